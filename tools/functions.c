/* See functions.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "functions.h"
#include "common.h"
#include "csv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- reading ------------------------------------------------------------------------------- */

/* The rows as they stand in the file. */
typedef struct table {
  int d, rows, capacity, n, slots;
  float *numbers;                  /* [rows][d + 1]: x and y                                  */
  int *owner;                      /* [rows] the function                                     */
  int n_names;                     /* room in names                                           */
  char **names;                    /* [n] ids                                                 */
  int *slot;                       /* [slots] hash table of names: function + 1, 0: free      */
} table;

/* FNV-1a, carried on from h. */
static uint64_t hash_bytes(uint64_t h, const void *bytes, size_t n)
{
  const unsigned char *p = bytes;
  while (n--) h = (h ^ *p++) * 1099511628211u;
  return h;
}

static uint64_t hash_name(const char *name)
{
  return hash_bytes(14695981039346656037u, name, strlen(name));
}

static void *grow(void *memory, size_t count, size_t size)
{
  void *more = count > (size_t)-1 / size ? NULL : realloc(memory, count * size);
  if (!more) fail("memory", "cannot have %zu times %zu bytes", count, size);
  return more;
}

/* Where the function of that name is or would be in t->slot. */
static int *find_slot(const table *t, const char *name)
{
  size_t i = (size_t)(hash_name(name) % (uint64_t)t->slots);
  while (t->slot[i] && strcmp(t->names[t->slot[i] - 1], name)) i = (i + 1) % (size_t)t->slots;
  return &t->slot[i];
}

/* Keeps the hash table half empty. */
static void make_slots(table *t)
{
  int i;
  if (t->slots > 2 * t->n) return;
  free(t->slot);
  t->slots = 4 * t->n + 64;
  t->slot = allocate((size_t)t->slots, sizeof *t->slot);
  for (i = 0; i < t->n; i++) *find_slot(t, t->names[i]) = i + 1;
}

static int find_function(table *t, const char *name)
{
  int *slot;
  make_slots(t);
  slot = find_slot(t, name);
  if (*slot) return *slot - 1;
  if (t->n == t->n_names) {
    t->n_names = 2 * t->n_names + 16;
    t->names = grow(t->names, (size_t)t->n_names, sizeof *t->names);
  }
  t->names[t->n] = join(name, "");
  *slot = ++t->n;
  return t->n - 1;
}

static void make_room(table *t)
{
  if (t->rows < t->capacity) return;
  if (t->capacity > 1 << 28) fail("memory", "too many rows");
  t->capacity = 2 * t->capacity + 256;
  t->numbers = grow(t->numbers, (size_t)t->capacity * ((size_t)t->d + 1), sizeof *t->numbers);
  t->owner = grow(t->owner, (size_t)t->capacity, sizeof *t->owner);
}

/* Reads the numbers after the id to out[d + 1]. */
static void read_numbers(csv_reader *r, const csv_record *c, int d, float *out)
{
  int i;
  for (i = 0; i <= d; i++) {
    char *text = c->fields[i + 1].text;
    double v = 0;
    if (csv_parse(r, text, &v) != CSV_NUMBER || !(fabs(v) <= (double)FLT_MAX))
      fail(r->name, "line %ld, column %d: '%s' is not a finite number", c->line, i + 2,
           csv_printable(text));
    out[i] = (float)v;
  }
}

/* Fields of a record without the empty ones at its end; a row has three at least. */
static int count_used(const csv_record *c)
{
  int n = c->n;
  while (n > 3 && !*c->fields[n - 1].text) n--;
  return n;
}

/* The first record says how many inputs there are, and may be a header. */
static void take_record(table *t, csv_reader *r, const csv_record *c)
{
  const int n = count_used(c), first = !t->d;
  if (first && n < 3) fail(r->name, "line %ld: a row is function_id,x1,...,xd,y", c->line);
  if (first) t->d = n - 2;
  if (first && csv_is_header(r, c)) return;
  if (n != t->d + 2)
    fail(r->name, "line %ld: %d fields, and a row of this file has %d: function_id, %d input%s, y",
         c->line, n, t->d + 2, t->d, t->d == 1 ? "" : "s");
  make_room(t);
  read_numbers(r, c, t->d, t->numbers + (size_t)t->rows * ((size_t)t->d + 1));
  t->owner[t->rows++] = find_function(t, c->fields[0].text);
}

static table read_table(const char *path)
{
  csv_reader r = csv_open(path, 0, 0);
  csv_record *c;
  table t;
  memset(&t, 0, sizeof t);
  while ((c = csv_read(&r)) != NULL) {
    take_record(&t, &r, c);
    csv_free(c);
  }
  if (!t.rows) fail(r.name, "has no rows: function_id,x1,...,xd,y");
  csv_tell(&r, 0);
  csv_close(&r);
  return t;
}

static void free_table(table *t)
{
  int i;
  for (i = 0; i < t->n; i++) free(t->names[i]);
  free(t->names);
  free(t->numbers);
  free(t->owner);
  free(t->slot);
}

/* ----- functions ----------------------------------------------------------------------------- */

/* Puts the rows of each function together, in the order of the file. */
static void sort_rows(function_table *out, const table *t)
{
  const size_t width = (size_t)t->d + 1;
  int *at = allocate((size_t)t->n + 1, sizeof *at), i;
  out->first = allocate((size_t)t->n + 1, sizeof *out->first);
  out->xs = allocate((size_t)t->rows * (size_t)t->d, sizeof *out->xs);
  out->ys = allocate((size_t)t->rows, sizeof *out->ys);
  for (i = 0; i < t->rows; i++) out->first[t->owner[i] + 1]++;
  for (i = 0; i < t->n; i++) out->first[i + 1] += out->first[i];
  memcpy(at, out->first, (size_t)t->n * sizeof *at);
  for (i = 0; i < t->rows; i++) {
    const float *row = t->numbers + (size_t)i * width;
    const size_t to = (size_t)at[t->owner[i]]++;
    memcpy(out->xs + to * (size_t)t->d, row, (size_t)t->d * sizeof *row);
    out->ys[to] = row[t->d];
  }
  free(at);
}

typedef struct ticket { uint64_t hash; int f; } ticket;

static int compare_tickets(const void *a, const void *b)
{
  const ticket *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return x->f - y->f;
}

static functions some(const function_table *t, int d, int from, int to)
{
  functions f = {d, to - from, 0, t->chosen + from, t->first, t->xs, t->ys};
  int i;
  for (i = from; i < to; i++) {
    const int rows = t->first[t->chosen[i] + 1] - t->first[t->chosen[i]];
    if (i == from || rows < f.least) f.least = rows;
  }
  return f;
}

/* Sets those functions apart whose ids have the least hashes. */
static void split(function_table *out, const table *t, double share)
{
  ticket *tickets = allocate((size_t)t->n, sizeof *tickets);
  int i, out_n = (int)(share * t->n + 0.5);
  if (share > 0 && !out_n) out_n = 1;
  out->chosen = allocate((size_t)t->n, sizeof *out->chosen);
  for (i = 0; i < t->n; i++) {
    tickets[i].hash = hash_name(t->names[i]) * 0x9E3779B97F4A7C15u;
    tickets[i].f = i;
  }
  qsort(tickets, (size_t)t->n, sizeof *tickets, compare_tickets);
  for (i = 0; i < t->n; i++) out->chosen[i] = tickets[i].f;
  out->held_out = some(out, t->d, 0, out_n);
  out->training = some(out, t->d, out_n, t->n);
  free(tickets);
}

static uint64_t digest_of(const table *t, int held_out)
{
  uint64_t h = hash_bytes(hash_name("functions"), &held_out, sizeof held_out);
  int i;
  for (i = 0; i < t->n; i++) h = hash_bytes(h, t->names[i], strlen(t->names[i]) + 1);
  h = hash_bytes(h, t->owner, (size_t)t->rows * sizeof *t->owner);
  return hash_bytes(h, t->numbers, (size_t)t->rows * ((size_t)t->d + 1) * sizeof *t->numbers);
}

function_table read_functions(const char *path, double held_out)
{
  table t = read_table(path);
  function_table out;
  memset(&out, 0, sizeof out);
  sort_rows(&out, &t);
  split(&out, &t, held_out);
  out.digest = digest_of(&t, out.held_out.n);
  free_table(&t);
  return out;
}

void free_functions(function_table *t)
{
  free(t->first);
  free(t->chosen);
  free(t->xs);
  free(t->ys);
}

void check_rows(const char *path, const functions *f, int pairs)
{
  if (!f->n) fail(path, "no function is left: one at least for training, one to hold out");
  if (f->least < pairs)
    fail(path, "a function has %d row%s, and prompts have %d pairs", f->least,
         f->least == 1 ? "" : "s", pairs);
}

int draw_rows(void *user, icl_rng *rng, int d, int n_pairs, float *xs, float *ys)
{
  const functions *f = user;
  const int which = f->chosen[icl_rng_below(rng, f->n)];
  const int from = f->first[which], rows = f->first[which + 1] - from;
  int *order = malloc((size_t)rows * sizeof *order), i;
  if (!order || d != f->d || n_pairs > rows) {
    free(order);
    return 1;
  }
  for (i = 0; i < rows; i++) order[i] = from + i;
  for (i = 0; i < n_pairs; i++) {
    const int k = i + icl_rng_below(rng, rows - i), row = order[k];
    order[k] = order[i];
    memcpy(xs + (size_t)i * (size_t)d, f->xs + (size_t)row * (size_t)d, (size_t)d * sizeof *xs);
    ys[i] = f->ys[row];
  }
  free(order);
  return 0;
}
