/* icl predict: answers the rows of a CSV file that ask, from the rows above them.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <ctype.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64, ROWS_AT_ONCE = 64 };

/* ----- rows ---------------------------------------------------------------------------------- */

/* x1,...,xn,y.  All rows have the width of the first line. */
typedef struct table {
  line_reader lines;
  int max_inputs;                  /* the model's d                                           */
  int n_inputs;                    /* of this table; 0 before the first line                  */
  double *x;                       /* [max_inputs] of the row at hand, padded with zeros      */
  double y;
  int asks;                        /* the row has no y                                        */
} table;

/* Cuts the line at its commas: fields[max_inputs + 1]. */
static void split_line(table *t, char **fields)
{
  const long line = t->lines.number;
  char *rest = t->lines.text, *field;
  int n = 0;
  for (field = next_field(&rest, ','); field; field = next_field(&rest, ',')) {
    if (n <= t->max_inputs) fields[n] = field;
    n++;
  }
  if (n < 2) fail(t->lines.name, "line %ld: a row is x1,...,xd,y", line);
  if (n - 1 > t->max_inputs)
    fail(t->lines.name, "line %ld has %d inputs, the model takes %d", line, n - 1, t->max_inputs);
  if (t->n_inputs && n - 1 != t->n_inputs)
    fail(t->lines.name, "line %ld has %d inputs, the first line has %d", line, n - 1, t->n_inputs);
  t->n_inputs = n - 1;
}

/* A header is a first line of names: what cannot be meant as a number, and no number beside it. */
static int is_header(const table *t, char *const *fields)
{
  int i, n_names = 0;
  double ignored;
  for (i = 0; i <= t->n_inputs; i++) {
    const char *s = fields[i];
    if (parse_number(s, &ignored) != NUMBER_BAD) return 0;
    n_names += *s && *s != '?' && !strchr("+-.", *s) && !isdigit((unsigned char)*s);
  }
  return n_names > 0;
}

static double read_field(const table *t, char *field, int i)
{
  double v = 0;
  const number_error e = parse_number(field, &v);
  if (e)
    fail(t->lines.name, "line %ld, field %d: '%s' is not a %snumber", t->lines.number, i + 1,
         printable(field), e == NUMBER_NONFINITE ? "finite " : "");
  return v;
}

static void read_row(table *t, char **fields)
{
  char *y = fields[t->n_inputs];
  int i;
  for (i = 0; i < t->n_inputs; i++) t->x[i] = read_field(t, fields[i], i);
  t->asks = !*y || !strcmp(y, "?");
  t->y = t->asks ? 0 : read_field(t, y, i);
}

/* ----- the context --------------------------------------------------------------------------- */

/* The pairs above the row at hand, and a context that lags behind them until a row asks. */
typedef struct memory {
  const icl_model *model;
  icl_ctx *ctx;
  int max_pairs;                   /* as many as are allowed                                  */
  int capacity;                    /* of xs and ys                                            */
  int n_pairs;
  float *xs, *ys;                  /* [capacity][d], [capacity]                               */
  float *x_mean, *x_std;           /* [d]                                                     */
  int standardize, kv;
} memory;

/* Doubles the room for pairs, as far as that is allowed. */
static void grow(memory *m)
{
  const size_t d = (size_t)m->model->config.n_dims;
  const int half = m->max_pairs / 2;
  int capacity = m->capacity > half ? m->max_pairs : 2 * m->capacity;
  float *xs, *ys;
  if (!m->capacity) capacity = m->max_pairs < FIRST_CAPACITY ? m->max_pairs : FIRST_CAPACITY;
  xs = allocate((size_t)capacity * d, sizeof *xs);
  ys = allocate((size_t)capacity, sizeof *ys);
  if (m->n_pairs) {
    memcpy(xs, m->xs, (size_t)m->n_pairs * d * sizeof *xs);
    memcpy(ys, m->ys, (size_t)m->n_pairs * sizeof *ys);
  }
  free(m->xs);
  free(m->ys);
  m->xs = xs;
  m->ys = ys;
  m->capacity = capacity;
}

static void remember(memory *m, const table *t)
{
  const int d = t->max_inputs;
  int i;
  if (m->n_pairs == m->max_pairs)
    fail(t->lines.name, "line %ld: more pairs than the %d that fit", t->lines.number, m->max_pairs);
  if (m->n_pairs == m->capacity) grow(m);
  for (i = 0; i < d; i++) m->xs[(size_t)m->n_pairs * (size_t)d + (size_t)i] = (float)t->x[i];
  m->ys[m->n_pairs++] = (float)t->y;
}

/* Mean and standard deviation (of the n values themselves, not n - 1) of v[0], v[stride], ...;
 * a column that does not vary gets 1. */
static void column_stats(float *mean, float *std, const float *v, size_t stride, int n)
{
  float least = FLT_MAX, most = -FLT_MAX;
  double sum = 0, squares = 0, m;
  size_t i, end = (size_t)n * stride;
  *mean = 0;
  *std = 1;
  for (i = 0; i < end; i += stride) {
    if (v[i] < least) least = v[i];
    if (v[i] > most) most = v[i];
    sum += (double)v[i];
  }
  if (n == 0) return;
  *mean = least == most ? least : (float)(sum / n);
  m = (double)*mean;
  for (i = 0; i < end; i += stride) squares += ((double)v[i] - m) * ((double)v[i] - m);
  if (sqrt(squares / n) >= (double)FLT_MIN) *std = (float)sqrt(squares / n);
}

/* Empties the context and scales it by the pairs that it is about to get. */
static void rescale(memory *m)
{
  const int d = m->model->config.n_dims;
  float y_mean, y_std;
  int i;
  for (i = 0; i < d; i++)
    column_stats(&m->x_mean[i], &m->x_std[i], m->xs + i, (size_t)d, m->n_pairs);
  column_stats(&y_mean, &y_std, m->ys, 1, m->n_pairs);
  check(icl_rewind(m->ctx, 0), "context");
  check(icl_ctx_scale(m->ctx, m->x_mean, m->x_std, y_mean, y_std), "--standardize");
}

/* Brings the context up to the pairs: into a larger one where they no longer fit, and from the
 * start where new pairs have changed the scale. */
static icl_error catch_up(memory *m)
{
  const size_t d = (size_t)m->model->config.n_dims;
  int done;
  if (!m->capacity) grow(m);
  if (m->ctx && m->ctx->max_pairs < m->n_pairs) {
    icl_ctx_delete(m->ctx);
    m->ctx = NULL;
  }
  if (!m->ctx) {
    const icl_error e = icl_ctx_new_kv(&m->ctx, m->model, m->capacity, ROWS_AT_ONCE,
                                       (icl_storage)m->kv);
    if (e) return e;
  }
  if (m->standardize && icl_count(m->ctx) != m->n_pairs) rescale(m);
  done = icl_count(m->ctx);
  if (done == m->n_pairs) return ICL_OK;
  return icl_add_batch(m->ctx, m->n_pairs - done, m->xs + (size_t)done * d, m->ys + done);
}

/* As many pairs as the option says, or as the model and the sizes of this machine allow. */
static int pair_limit(const char *path, const icl_model *model, int wanted)
{
  const icl_config *c = &model->config;
  int limit = INT_MAX / 4;
  if (c->position_embedding_type == ICL_POSITION_LEARNED) limit = (c->n_positions - 1) / 2;
  if (limit < 1) fail(path, "this model has no positions for a pair and a query");
  if (wanted > limit)
    usage_error(&cmd_predict, "--pairs %d: %s takes %d at most", wanted, path, limit);
  return wanted ? wanted : limit;
}

static memory new_memory(const icl_model *model, int max_pairs, int standardize)
{
  const size_t d = (size_t)model->config.n_dims;
  memory m = {NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL, 0, 0};
  m.model = model;
  m.max_pairs = max_pairs;
  m.standardize = standardize;
  m.x_mean = allocate(d, sizeof *m.x_mean);
  m.x_std = allocate(d, sizeof *m.x_std);
  return m;
}

static void free_memory(memory *m)
{
  icl_ctx_delete(m->ctx);
  free(m->xs);
  free(m->ys);
  free(m->x_mean);
  free(m->x_std);
}

/* ----- answers ------------------------------------------------------------------------------- */

/* The surprise of the pairs so far; an empty field where there is none to tell. */
static void print_surprise(const icl_ctx *c, int *told)
{
  float s;
  const icl_error e = icl_surprise(c, &s);
  putchar(',');
  if (!e) printf("%.9g", (double)s);
  if (e != ICL_ERR_CONFIG || *told) return;
  fprintf(stderr, "icl predict: no surprise: the model does not say what is typical for it\n");
  *told = 1;
}

/* Prints the row with its answer, and sees to it that it is out before more input is read. */
static void answer(memory *m, const table *t, float *x, int *surprise)
{
  float y = 0;
  int i;
  icl_error e = catch_up(m);
  for (i = 0; i < t->max_inputs; i++) x[i] = (float)t->x[i];
  if (!e) e = icl_predict(m->ctx, x, &y);
  if (e) fail(t->lines.name, "line %ld: %s", t->lines.number, icl_error_string(e));
  for (i = 0; i < t->n_inputs; i++) printf("%.9g,", t->x[i]);
  printf("%.9g", (double)y);
  if (surprise) print_surprise(m->ctx, surprise);
  putchar('\n');
  flush_output();
}

static void print_header(char *const *fields, int n_fields, int surprise)
{
  int i;
  for (i = 0; i < n_fields; i++) printf("%s%s", i ? "," : "", fields[i]);
  puts(surprise ? ",surprise" : "");
}

/* Reads row after row.  surprise: NULL, or whether it has been told that there is none. */
static void answer_rows(memory *m, table *t, int *surprise)
{
  char **fields = allocate((size_t)t->max_inputs + 1, sizeof *fields);
  float *x = allocate((size_t)t->max_inputs, sizeof *x);
  int first = 1, asked = 0;
  for (; next_line(&t->lines); first = 0) {
    split_line(t, fields);
    if (first && is_header(t, fields)) {
      print_header(fields, t->n_inputs + 1, surprise != NULL);
      continue;
    }
    read_row(t, fields);
    asked |= t->asks;
    if (t->asks) answer(m, t, x, surprise);
    else remember(m, t);
  }
  if (!asked) fprintf(stderr, "icl predict: no row asks: a query has an empty y, or ?\n");
  free(fields);
  free(x);
}

static int run(int argc, char **argv)
{
  int standardize = 0, surprise = 0, pairs = 0, kv = 0, told = 0, n;
  const option options[] = {
    OPT_FLAG("--standardize", &standardize,
             "shift and scale x and y to mean 0 and standard deviation 1, by\n"
             "the pairs above each query; these models expect such data"),
    OPT_FLAG("--surprise", &surprise,
             "one more column: how unlike the pretraining the pairs look;\n"
             "0 is typical, above 1 fewer than one in a hundred are as odd"),
    OPT_INT("--pairs", "N", &pairs, 1, INT_MAX / 4,
            "no more than N pairs: one more is an error"),
    OPT_CHOICE("--kv", STORAGE_CHOICES, &kv, "how the context keeps keys and values"),
    OPT_END
  };
  const char *operands[2] = {NULL, NULL};
  icl_model *model;
  memory m;
  table t = {{NULL, NULL, NULL, 0, 0}, 0, 0, NULL, 0, 0};
  n = parse_options(&cmd_predict, options, argc, argv, operands, 2);
  if (!n) usage_error(&cmd_predict, "no MODEL");
  model = load_model(operands[0]);
  m = new_memory(model, pair_limit(operands[0], model, pairs), standardize);
  m.kv = kv;
  t.max_inputs = model->config.n_dims;
  t.x = allocate((size_t)t.max_inputs, sizeof *t.x);
  t.lines = open_lines(operands[1]);
  answer_rows(&m, &t, surprise ? &told : NULL);
  close_lines(&t.lines);
  free(t.x);
  free_memory(&m);
  icl_unload(model);
  return EXIT_SUCCESS;
}

const command cmd_predict = {
  "predict", "answers the rows of a CSV file that ask", "MODEL [FILE.csv]",
  "Reads rows x1,...,xd,y (of stdin without a FILE, or for -).  A row whose y is empty or ? asks:\n"
  "it is printed with the model's answer, given the rows with a y above it, before further rows\n"
  "are read.  With fewer inputs than the model has, the others are zero.  A first line of names\n"
  "is a header and is printed again; blank lines and those that start with # are skipped.",
  run
};
