/* See dataset.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "dataset.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- points -------------------------------------------------------------------------------- */

dataset new_dataset(int d)
{
  dataset data;
  memset(&data, 0, sizeof data);
  data.d = d;
  return data;
}

static void free_points(points *p)
{
  int i;
  for (i = 0; i < p->n; i++) free(p->texts[i]);
  free(p->x);
  free(p->y);
  free(p->lines);
  free(p->texts);
}

void free_dataset(dataset *data)
{
  free_points(&data->pairs);
  free_points(&data->queries);
}

static void *enlarge(void *memory, size_t count, size_t size)
{
  void *more = count > (size_t)-1 / size ? NULL : realloc(memory, count * size);
  if (!more) fail("memory", "cannot have %zu times %zu bytes", count, size);
  return more;
}

static void make_room(points *p, int d)
{
  const size_t n = p->capacity ? 2 * (size_t)p->capacity : 64;
  if (p->n < p->capacity) return;
  if (p->capacity > (1 << 28)) fail("memory", "too many rows");
  p->x = enlarge(p->x, n * (size_t)d, sizeof *p->x);
  p->y = enlarge(p->y, n, sizeof *p->y);
  p->lines = enlarge(p->lines, n, sizeof *p->lines);
  p->texts = enlarge(p->texts, n, sizeof *p->texts);
  p->capacity = (int)n;
}

void add_point(points *p, int d, const double *x, double y, long line, char *text)
{
  make_room(p, d);
  memcpy(p->x + (size_t)p->n * (size_t)d, x, (size_t)d * sizeof *x);
  p->y[p->n] = y;
  p->lines[p->n] = line;
  p->texts[p->n++] = text;
}

void drop_point(points *p, int d)
{
  const size_t n = (size_t)--p->n;
  free(p->texts[0]);
  memmove(p->x, p->x + d, n * (size_t)d * sizeof *p->x);
  memmove(p->y, p->y + 1, n * sizeof *p->y);
  memmove(p->lines, p->lines + 1, n * sizeof *p->lines);
  memmove(p->texts, p->texts + 1, n * sizeof *p->texts);
}

dataset read_dataset(row_reader *r)
{
  dataset data = new_dataset(r->n_inputs);
  row next = {0, NULL, 0, 0, NULL};
  next.x = allocate((size_t)data.d, sizeof *next.x);
  while (rows_next(r, &next)) {
    points *p = next.asks ? &data.queries : &data.pairs;
    add_point(p, data.d, next.x, next.y, next.line, next.text);
  }
  free(next.x);
  return data;
}

void widen_range(const points *p, int d, int i, double *from, double *to)
{
  int k;
  for (k = 0; k < p->n; k++) {
    const double v = p->x[(size_t)k * (size_t)d + (size_t)i];
    *from = fmin(*from, v);
    *to = fmax(*to, v);
  }
}

/* ----- choosing and ordering ------------------------------------------------------------------ */

/* Random numbers below n, the same on every machine. */
static int draw(uint64_t *state, int n)
{
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (int)((*state >> 33) % (uint64_t)n);
}

int *spread(int n, int m)
{
  int *chosen = allocate((size_t)(m < n ? m : n), sizeof *chosen);
  uint64_t state = 1;
  int i;
  for (i = 0; i < m && i < n; i++) {
    const int from = (int)((int64_t)i * n / m), next = (int)((int64_t)(i + 1) * n / m);
    chosen[i] = m >= n ? i : from + draw(&state, next - from);
  }
  if (m > 1 && m < n) {
    chosen[0] = 0;
    chosen[m - 1] = n - 1;
  }
  return chosen;
}

void shuffle(int *order, int n)
{
  uint64_t state = 2;
  int i;
  for (i = n - 1; i > 0; i--) {
    const int k = draw(&state, i + 1), kept = order[i];
    order[i] = order[k];
    order[k] = kept;
  }
}

void gather(const points *p, int d, const int *order, int n, double *x, double *y)
{
  int i, k;
  for (i = 0; i < n; i++) {
    for (k = 0; k < d; k++) *x++ = p->x[(size_t)order[i] * (size_t)d + (size_t)k];
    y[i] = p->y[order[i]];
  }
}
