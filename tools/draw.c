/* See draw.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "draw.h"
#include "answers.h"
#include "plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct range { double from, to; } range;

static void widen(range *r, const double *v, int n)
{
  int i;
  for (i = 0; v && i < n; i++) {
    r->from = fmin(r->from, v[i]);
    r->to = fmax(r->to, v[i]);
  }
}

/* All y of the picture and a little room; the band counts as far as three times the rest. */
static range y_range(const picture *p)
{
  range r = {INFINITY, -INFINITY}, band;
  double room;
  widen(&r, p->given->y, p->given->n);
  widen(&r, p->asked->y, p->asked->n);
  widen(&r, p->y, p->n);
  band = r;
  room = r.to - r.from;
  widen(&band, p->low, p->n);
  widen(&band, p->high, p->n);
  r.from = fmax(band.from, r.from - room) - 0.05 * room;
  r.to = fmin(band.to, r.to + room) + 0.05 * room;
  if (!(r.to > r.from)) r = (range){r.from - 1, r.to + 1};
  return r;
}

/* ----- files --------------------------------------------------------------------------------- */

typedef struct xy { double x, y; } xy;

static int by_x(const void *a, const void *b)
{
  const double u = ((const xy *)a)->x, v = ((const xy *)b)->x;
  return (u > v) - (u < v);
}

/* Copies points in ascending x, as a plot wants them, to x[n] and y[n]. */
static void sort_points(const points *p, double *x, double *y)
{
  xy *sorted = allocate((size_t)p->n, sizeof *sorted);
  int i;
  for (i = 0; i < p->n; i++) sorted[i] = (xy){p->x[i], p->y[i]};
  qsort(sorted, (size_t)p->n, sizeof *sorted, by_x);
  for (i = 0; i < p->n; i++) {
    x[i] = sorted[i].x;
    y[i] = sorted[i].y;
  }
  free(sorted);
}

/* The points as a series, whose x and y are at *memory, which moves on. */
static plot_series dots(const char *name, const points *p, double **memory)
{
  double *x = *memory, *y = x + p->n;
  *memory += 2 * p->n;
  sort_points(p, x, y);
  return (plot_series){name, PLOT_DOTS, p->n, x, y, NULL, NULL};
}

void draw_file(const picture *p, const char *path)
{
  const range y = y_range(p);
  char *name = p->band ? join("model, ", p->band) : join("model", "");
  double *memory = allocate(2 * ((size_t)p->given->n + (size_t)p->asked->n), sizeof *memory);
  double *next = memory;
  plot_series series[3];
  plot all = {p->title, p->x_name, p->y_name, series, 0, 0, 0, y.from, y.to, NULL};
  series[all.n_series++] = (plot_series){name, PLOT_CURVE, p->n, p->x, p->y, p->low, p->high};
  if (p->given->n) series[all.n_series++] = dots("given", p->given, &next);
  if (p->asked->n) series[all.n_series++] = dots("answers", p->asked, &next);
  plot_write(NULL, &all, 1, 1, path);
  free(memory);
  free(name);
}

/* ----- characters ---------------------------------------------------------------------------- */

enum { WIDE = 72, HIGH = 20, MARGIN = 10, INNER = WIDE - MARGIN - 1 };

typedef struct sheet {
  char cells[HIGH][INNER + 1];
  range x, y;
} sheet;

static int cell(double v, range r, int n)
{
  const double at = (v - r.from) / (r.to - r.from) * (n - 1);
  return at >= -0.5 && at < n - 0.5 ? (int)floor(at + 0.5) : -1;         /* NaN is nowhere */
}

static void put(sheet *s, double x, double y, char mark)
{
  const int column = cell(x, s->x, INNER), line = cell(y, s->y, HIGH);
  if (column >= 0 && line >= 0) s->cells[HIGH - 1 - line][column] = mark;
}

static void put_points(sheet *s, const points *p, char mark)
{
  int i;
  for (i = 0; i < p->n; i++) put(s, p->x[i], p->y[i], mark);
}

static void put_curve(sheet *s, const picture *p, const double *y, char mark)
{
  int i;
  for (i = 0; y && i < p->n; i++) put(s, p->x[i], y[i], mark);
}

/* Numbers at the axes, as short as tells them apart. */
static void label(char *text, double v, range r)
{
  write_decimal(text, v, decimals_for(r.to - r.from, 3));
  strip_zeros(text);
}

static void print_sheet(const sheet *s, const picture *p)
{
  char text[64], last[64];
  int i;
  printf("%*.*s\n", MARGIN, MARGIN + 30, p->y_name);
  for (i = 0; i < HIGH; i++) {
    *text = '\0';
    if (i % 5 == 0 || i == HIGH - 1)
      label(text, s->y.to - i * (s->y.to - s->y.from) / (HIGH - 1), s->y);
    printf("%*s|%s\n", MARGIN, text, s->cells[i]);
  }
  printf("%*s+", MARGIN, "");
  for (i = 0; i < INNER; i++) putchar('-');
  label(text, s->x.from, s->x);
  label(last, s->x.to, s->x);
  i = INNER - (int)strlen(text) - (int)strlen(last);
  printf("\n%*s%s%*.*s%*s\n", MARGIN + 1, "", text, i / 2 + (int)strlen(p->x_name) / 2, i,
         p->x_name, INNER - (int)strlen(text) - i / 2 - (int)strlen(p->x_name) / 2, last);
}

void draw_text(const picture *p)
{
  sheet s;
  int i;
  for (i = 0; i < HIGH; i++) {
    memset(s.cells[i], ' ', INNER);
    s.cells[i][INNER] = '\0';
  }
  s.x = (range){p->x[0], p->x[p->n - 1]};
  s.y = y_range(p);
  put_curve(&s, p, p->low, ':');
  put_curve(&s, p, p->high, ':');
  put_curve(&s, p, p->y, '.');
  put_points(&s, p->given, 'o');
  put_points(&s, p->asked, 'x');
  print_sheet(&s, p);
  printf("%*so given%s   . model%s%s\n", MARGIN + 1, "", p->asked->n ? "   x answers" : "",
         p->band ? "   : " : "", p->band ? p->band : "");
}
