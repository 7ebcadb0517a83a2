/* Draws prompts, has every predictor answer them, and sums up.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RESAMPLE_STREAM (EVAL_STREAM + 1)

enum { PROMPTS_AT_ONCE = 256, RESAMPLES = 1000 };

void add_model(evaluation *v, const char *name, const icl_model *m)
{
  predictor *p = &v->p[v->n++];
  if (v->n > MAX_PREDICTORS) fail(name, "more than %d predictors", MAX_PREDICTORS);
  memset(p, 0, sizeof *p);
  p->name = name;
  p->model = m;
}

void add_baseline(evaluation *v, const char *name, const char *text, const icl_task *prior)
{
  icl_report r = {ICL_OK, 0, ""};
  add_model(v, name, NULL);
  v->p[v->n - 1].prior = prior;
  if (icl_baseline_parse(&v->p[v->n - 1].baseline, text, &r)) fail(text, "%s", r.text);
}

void sample_as_trained(const command *cmd, icl_sampling *s, const icl_model *m, const char *path)
{
  if (!*m->sampling) return;
  if (icl_sampling_parse(s, m->sampling))
    fail(path, "icl.sampling is not one that this version knows: '%s'", m->sampling);
  if (cmd) fprintf(stderr, "icl %s: prompts drawn as in training: %s\n", cmd->name, m->sampling);
}

const float *predictions(const evaluation *v, int i)
{
  return v->preds + (size_t)i * (size_t)v->prompts * (size_t)v->n_k;
}

/* ----- prompts ------------------------------------------------------------------------------- */

/* Some prompts.  Row k of xs is the k-th x of the context, and what is asked with k pairs is row k
 * of qs: the same array, except where queries are drawn in another way than the context. */
typedef struct block {
  int n, free_queries;
  float *xs, *ys;                  /* [n][pairs + 1][d], [n][pairs + 1]                       */
  float *qs, *labels;              /* the queries: [n][pairs + 1][d], [n][pairs + 1]          */
  float *preds;                    /* [n][pairs + 1] of one model                             */
} block;

/* What one thread needs. */
typedef struct worker {
  float *function;                 /* [icl_prompt_scratch]                                    */
  float *points, *values;          /* [2 pairs + 1][d], [2 pairs + 1]                         */
  double *basis;                   /* [d][d] rows                                             */
  void *scratch;                   /* of the baselines                                        */
  icl_ctx *ctx[MAX_PREDICTORS];    /* of the models, for free queries                         */
} worker;

static int has_free_queries(const evaluation *v)
{
  return v->xs == X_QUADRANTS || v->xs == X_ORTHOGONAL || v->xs == X_OVERLAPPING;
}

static void draw_normals(float *x, int n, const evaluation *v, icl_rng *rng)
{
  int i;
  for (i = 0; i < n; i++) x[i] = icl_rng_normal(rng) * v->sampling.x_scale;
}

static double dot(const double *a, const double *b, int n)
{
  double s = 0;
  int i;
  for (i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

/* u[d] less its part in the span of basis[n][d], which is orthonormal; twice, against rounding.
 * Returns the length of what is left. */
static double project_off(double *u, const double *basis, int n, int d)
{
  int round, i, j;
  for (round = 0; round < 2; round++)
    for (i = 0; i < n; i++) {
      const double *b = basis + i * d, s = dot(u, b, d);
      for (j = 0; j < d; j++) u[j] -= s * b[j];
    }
  return sqrt(dot(u, u, d));
}

/* basis[n] becomes the direction of x that is not in the span of the rows before.  0: there is
 * none. */
static int extend_basis(double *basis, int n, const float *x, int d)
{
  double *u = basis + n * d, length;
  int j;
  if (n >= d) return 0;
  for (j = 0; j < d; j++) u[j] = (double)x[j];
  length = project_off(u, basis, n, d);
  if (!(length > 0)) return 0;
  for (j = 0; j < d; j++) u[j] /= length;
  return 1;
}

/* n x's with standard deviation s_i along direction i of a random basis: half-subspace and
 * skewed. */
static void draw_spread(float *xs, int n, const evaluation *v, worker *w, icl_rng *rng)
{
  const int d = v->task.n_dims, rank = v->xs == X_SKEWED ? d : (d + 1) / 2;
  double total = 0;
  int i, j, p;
  for (i = 0; i < rank;) {
    draw_normals(w->values, d, v, rng);
    i += extend_basis(w->basis, i, w->values, d);
  }
  for (i = 0; i < rank; i++) total += v->xs == X_SKEWED ? 1.0 / ((i + 1.0) * (i + 1.0)) : 1;
  for (p = 0; p < n; p++, xs += d) {
    memset(xs, 0, (size_t)d * sizeof *xs);
    for (i = 0; i < rank; i++) {
      const double s = sqrt(d / total) / (v->xs == X_SKEWED ? i + 1 : 1);
      const double z = s * (double)(icl_rng_normal(rng) * v->sampling.x_scale);
      for (j = 0; j < d; j++) xs[j] += (float)(z * w->basis[i * d + j]);
    }
  }
}

/* Moves query k into the space that is orthogonal to the first k x's, of which basis holds an
 * orthonormal basis of n, at the same distance from 0. */
static void make_orthogonal(float *q, const double *basis, int n, int d)
{
  double *u = allocate((size_t)d, sizeof *u), before, after;
  int j;
  for (j = 0; j < d; j++) u[j] = (double)q[j];
  before = sqrt(dot(u, u, d));
  after = project_off(u, basis, n, d);
  for (j = 0; j < d; j++) q[j] = n < d ? (float)(u[j] * before / after) : 0.0f;
  free(u);
}

/* Context xs[P][d] and queries qs[P + 1][d] of the distributions whose queries are free. */
static void draw_free(float *xs, float *qs, const evaluation *v, worker *w, icl_rng *rng)
{
  const int d = v->task.n_dims, P = v->pairs;
  int k, j, n = 0;
  draw_normals(xs, P * d, v, rng);
  draw_normals(qs, (P + 1) * d, v, rng);
  if (v->xs == X_QUADRANTS)
    for (j = 0; j < d; j++) {
      const float sign = icl_rng_below(rng, 2) ? 1.0f : -1.0f;
      for (k = 0; k < P; k++) xs[k * d + j] = sign * fabsf(xs[k * d + j]);
    }
  for (k = 0; k <= P; k++) {
    if (v->xs == X_OVERLAPPING && k)
      memcpy(qs + k * d, xs + icl_rng_below(rng, k) * d, (size_t)d * sizeof *qs);
    if (v->xs != X_ORTHOGONAL) continue;
    make_orthogonal(qs + k * d, w->basis, n, d);
    if (k < P) n += extend_basis(w->basis, n, xs + k * d, d);
  }
}

/* Prompt `number` of the evaluation, as the i-th of the block. */
static void draw_prompt(const evaluation *v, block *b, worker *w, int i, int number)
{
  const int d = v->task.n_dims, P = v->pairs;
  const size_t at = (size_t)i * ((size_t)P + 1);
  float *xs = b->xs + at * (size_t)d, *ys = b->ys + at;
  icl_error e;
  icl_rng rng;
  int k;
  icl_rng_init(&rng, v->seed, EVAL_STREAM, (uint64_t)number);
  if (b->free_queries) {
    float *qs = w->points + P * d;
    draw_free(w->points, qs, v, w, &rng);
    e = icl_prompt_label(&v->task, &v->sampling, &rng, 2 * P + 1, w->points, w->values, NULL,
                         w->function);
    memcpy(xs, w->points, (size_t)(P * d) * sizeof *xs);
    memcpy(ys, w->values, (size_t)P * sizeof *ys);
    memcpy(b->qs + at * (size_t)d, qs, ((size_t)P + 1) * (size_t)d * sizeof *qs);
    memcpy(b->labels + at, w->values + P, ((size_t)P + 1) * sizeof *ys);
    for (k = d; k <= P && v->xs == X_ORTHOGONAL; k++) b->labels[at + (size_t)k] = NAN;
  } else if (v->draw) {
    e = icl_prompt_own(v->draw, v->draw_user, &v->sampling, &rng, d, P + 1, xs, ys);
  } else if (v->xs == X_STANDARD) {
    e = icl_prompt_sample(&v->task, &v->sampling, &rng, P + 1, xs, ys, NULL, w->function);
  } else {
    draw_spread(xs, P + 1, v, w, &rng);
    e = icl_prompt_label(&v->task, &v->sampling, &rng, P + 1, xs, ys, NULL, w->function);
  }
  check(e, "drawing a prompt");
}

/* ----- predictions --------------------------------------------------------------------------- */

/* A model on one prompt whose queries are free: a context grows pair by pair. */
static void ask_model(icl_ctx *c, const evaluation *v, const float *xs, const float *ys,
                      const float *qs, float *out)
{
  const int d = v->task.n_dims;
  int k;
  check(icl_rewind(c, 0), "model");
  for (k = 0; k <= v->pairs; k++) {
    float y = 0;
    if (!v->at || k == v->pairs) {
      check(icl_predict(c, qs + k * d, &y), "model");
      *out++ = y;
    }
    if (k < v->pairs) check(icl_add(c, xs + k * d, ys[k]), "model");
  }
}

static void ask_baseline(const predictor *p, const evaluation *v, worker *w, const float *xs,
                         const float *ys, const float *qs, float *out)
{
  const icl_task *prior = p->prior ? p->prior : &v->task;
  const int d = v->task.n_dims;
  int k;
  if (qs == xs && !v->at) {
    check(icl_baseline_curve(&p->baseline, prior, v->pairs + 1, d, xs, ys, out, w->scratch),
          p->name);
    return;
  }
  for (k = v->at ? v->pairs : 0; k <= v->pairs; k++)
    check(icl_baseline_predict(&p->baseline, prior, k, d, xs, ys, 1, qs + k * d, out++,
                               w->scratch), p->name);
}

/* One thread's share of a block. */
typedef struct share {
  evaluation *v;
  block *b;
  worker *w;
  int first;                       /* prompt of the evaluation that is the block's first      */
} share;

/* Prompts i, i + threads, ... of the block: drawn; then answered by all but the batched models. */
static void draw_share(void *arg, int i)
{
  share *s = arg;
  for (; i < s->b->n; i += s->v->threads)
    draw_prompt(s->v, s->b, &s->w[i % s->v->threads], i, s->first + i);
}

static void answer_share(void *arg, int i)
{
  share *s = arg;
  evaluation *v = s->v;
  worker *w = &s->w[i];
  int j;
  for (; i < s->b->n; i += v->threads) {
    const size_t at = (size_t)i * ((size_t)v->pairs + 1), d = (size_t)v->task.n_dims;
    const float *xs = s->b->xs + at * d, *ys = s->b->ys + at, *qs = s->b->qs + at * d;
    for (j = 0; j < v->n; j++) {
      float *out = v->preds + ((size_t)j * (size_t)v->prompts + (size_t)(s->first + i))
                              * (size_t)v->n_k;
      if (!v->p[j].model) ask_baseline(&v->p[j], v, w, xs, ys, qs, out);
      else if (w->ctx[j]) ask_model(w->ctx[j], v, xs, ys, qs, out);
    }
  }
}

/* Labels and the predictions of a batched model from [n][pairs + 1] to [prompts][n_k]. */
static void keep_columns(float *out, const evaluation *v, const float *from, int first, int n)
{
  const int width = v->pairs + 1;
  int i;
  out += (size_t)first * (size_t)v->n_k;
  for (i = 0; i < n; i++, out += v->n_k, from += width)
    memcpy(out, from + (width - v->n_k), (size_t)v->n_k * sizeof *out);
}

/* ----- memory -------------------------------------------------------------------------------- */

static block new_block(const evaluation *v)
{
  const size_t n = (size_t)PROMPTS_AT_ONCE * ((size_t)v->pairs + 1), d = (size_t)v->task.n_dims;
  block b;
  b.n = 0;
  b.free_queries = has_free_queries(v);
  b.qs = b.xs = allocate(n * d, sizeof *b.xs);
  b.labels = b.ys = allocate(n, sizeof *b.ys);
  b.preds = allocate(n, sizeof *b.preds);
  if (b.free_queries) {
    b.qs = allocate(n * d, sizeof *b.qs);
    b.labels = allocate(n, sizeof *b.labels);
  }
  return b;
}

static void free_block(block *b)
{
  if (b->free_queries) free(b->qs);
  if (b->free_queries) free(b->labels);
  free(b->xs);
  free(b->ys);
  free(b->preds);
}

static size_t baseline_bytes(const evaluation *v)
{
  size_t most = 1;
  int i;
  for (i = 0; i < v->n; i++) {
    const predictor *p = &v->p[i];
    size_t need;
    if (p->model) continue;
    need = icl_baseline_scratch(&p->baseline, v->pairs + 1, v->task.n_dims);
    if (!need) fail(p->name, "too many pairs or inputs");
    if (need > most) most = need;
  }
  return most;
}

static worker *new_workers(const evaluation *v, int free_queries)
{
  const size_t d = (size_t)v->task.n_dims, n = 2 * (size_t)v->pairs + 1, bytes = baseline_bytes(v);
  worker *w = allocate((size_t)v->threads, sizeof *w);
  int i, j;
  for (i = 0; i < v->threads; i++) {
    w[i].function = allocate(icl_prompt_scratch(&v->task), sizeof *w->function);
    w[i].points = allocate(n * d, sizeof *w->points);
    w[i].values = allocate(n + d, sizeof *w->values);
    w[i].basis = allocate(d * d, sizeof *w->basis);
    w[i].scratch = allocate(bytes, 1);
    for (j = 0; j < v->n && free_queries; j++)
      if (v->p[j].model)
        check(icl_ctx_new(&w[i].ctx[j], v->p[j].model, v->pairs, 1), v->p[j].name);
  }
  return w;
}

static void free_workers(worker *w, const evaluation *v)
{
  int i, j;
  for (i = 0; i < v->threads; i++) {
    free(w[i].function);
    free(w[i].points);
    free(w[i].values);
    free(w[i].basis);
    free(w[i].scratch);
    for (j = 0; j < v->n; j++) if (w[i].ctx[j]) icl_ctx_delete(w[i].ctx[j]);
  }
  free(w);
}

static void check_models(const evaluation *v)
{
  int i;
  for (i = 0; i < v->n; i++) {
    const icl_model *m = v->p[i].model;
    if (m && m->config.n_dims != v->task.n_dims)
      fail(v->p[i].name, "has %d input%s, not %d", m->config.n_dims, m->config.n_dims == 1 ? "" : "s",
           v->task.n_dims);
    if (m && m->config.position_embedding_type == ICL_POSITION_LEARNED
        && m->config.n_positions < 2 * v->pairs + 1)
      fail(v->p[i].name, "takes prompts of %d pairs, not %d", (m->config.n_positions + 1) / 2,
           v->pairs + 1);
  }
}

/* ----- the evaluation ------------------------------------------------------------------------ */

/* A block of prompts, through the models that take them in batches and then all others. */
static void evaluate_block(share *s, icl_batch **batches, icl_threads *pool)
{
  evaluation *v = s->v;
  block *b = s->b;
  int i;
  icl_threads_run(pool, v->threads, draw_share, s);
  for (i = 0; i < v->n; i++) {
    if (!batches[i]) continue;
    check(icl_batch_predict(batches[i], b->n, b->xs, b->ys, b->preds), v->p[i].name);
    keep_columns(v->preds + (size_t)i * (size_t)v->prompts * (size_t)v->n_k, v, b->preds,
                 s->first, b->n);
  }
  icl_threads_run(pool, v->threads, answer_share, s);
  keep_columns(v->labels, v, b->labels, s->first, b->n);
}

void evaluate(evaluation *v)
{
  const int terminal = isatty(STDERR_FILENO);
  icl_batch *batches[MAX_PREDICTORS] = {NULL};
  icl_threads *pool;
  block b;
  share s;
  int i;
  check_models(v);
  v->n_k = v->at ? 1 : v->pairs + 1;
  v->labels = allocate((size_t)v->prompts * (size_t)v->n_k, sizeof *v->labels);
  v->preds = allocate((size_t)v->n * (size_t)v->prompts * (size_t)v->n_k, sizeof *v->preds);
  check(icl_threads_new(&pool, v->threads), "threads");
  b = new_block(v);
  s.v = v;
  s.b = &b;
  s.w = new_workers(v, b.free_queries);
  for (i = 0; i < v->n && !b.free_queries; i++)
    if (v->p[i].model)
      check(icl_batch_new(&batches[i], v->p[i].model, v->pairs + 1, v->threads), v->p[i].name);
  for (s.first = 0; s.first < v->prompts; s.first += b.n) {
    b.n = v->prompts - s.first < PROMPTS_AT_ONCE ? v->prompts - s.first : PROMPTS_AT_ONCE;
    evaluate_block(&s, batches, pool);
    if (terminal) fprintf(stderr, "\r%d/%d prompts", s.first + b.n, v->prompts);
  }
  if (terminal) fputs("\r\033[K", stderr);
  for (i = 0; i < v->n; i++) if (batches[i]) icl_batch_delete(batches[i]);
  free_workers(s.w, v);
  free_block(&b);
  icl_threads_delete(pool);
}

void free_evaluation(evaluation *v)
{
  free(v->labels);
  free(v->preds);
  v->labels = v->preds = NULL;
}

/* ----- statistics ---------------------------------------------------------------------------- */

static double square(double x) { return x * x; }

static double error_of(const evaluation *v, int i, int prompt, int c)
{
  const size_t at = (size_t)prompt * (size_t)v->n_k + (size_t)c;
  return square((double)predictions(v, i)[at] - (double)v->labels[at]) / v->unit;
}

double mean_error(const evaluation *v, int i, int c)
{
  double sum = 0;
  int p;
  for (p = 0; p < v->prompts; p++) sum += error_of(v, i, p, c);
  return sum / v->prompts;
}

/* Mean of n numbers whose sum and sum of squares these are, and its standard error. */
static double mean_and_error(double sum, double squares, int n, double *error)
{
  const double mean = sum / n, rest = squares / n - mean * mean;
  *error = n > 1 && isfinite(mean) ? sqrt((rest > 0 ? rest : 0) / (n - 1)) : (double)NAN;
  return mean;
}

double paired_difference(const evaluation *v, int i, int j, int c, double *error)
{
  double sum = 0, squares = 0;
  int p;
  for (p = 0; p < v->prompts; p++) {
    const double e = error_of(v, i, p, c) - (j < 0 ? 0 : error_of(v, j, p, c));
    sum += e;
    squares += e * e;
  }
  return mean_and_error(sum, squares, v->prompts, error);
}

double standard_error(const evaluation *v, int i, int c)
{
  double error;
  paired_difference(v, i, -1, c, &error);
  return error;
}

double median_error(const evaluation *v, int i, int c)
{
  double *e = allocate((size_t)v->prompts, sizeof *e), result;
  int p;
  for (p = 0; p < v->prompts; p++) e[p] = error_of(v, i, p, c);
  result = median(e, (size_t)v->prompts);
  free(e);
  return result;
}

double mean_difference(const evaluation *v, int i, int j, int c)
{
  const float *a = predictions(v, i) + c, *b = predictions(v, j) + c;
  double sum = 0;
  int p;
  for (p = 0; p < v->prompts; p++, a += v->n_k, b += v->n_k) sum += square((double)*a - (double)*b);
  return sum / v->prompts / v->unit;
}

/* The means of all resamples; thread i does every threads-th of them. */
typedef struct resampling {
  const evaluation *v;
  size_t width;                    /* n n_k                                                   */
  double *errors, *means;          /* [prompts][width], [width][RESAMPLES]                    */
} resampling;

static void resample_share(void *arg, int i)
{
  const resampling *s = arg;
  const int prompts = s->v->prompts;
  double *sum = allocate(s->width, sizeof *sum);
  size_t c;
  int r, p;
  for (r = i; r < RESAMPLES; r += s->v->threads) {
    icl_rng rng;
    icl_rng_init(&rng, s->v->seed, RESAMPLE_STREAM, (uint64_t)r);
    memset(sum, 0, s->width * sizeof *sum);
    for (p = 0; p < prompts; p++) {
      const double *e = s->errors + (size_t)icl_rng_below(&rng, prompts) * s->width;
      for (c = 0; c < s->width; c++) sum[c] += e[c];
    }
    for (c = 0; c < s->width; c++) s->means[c * RESAMPLES + (size_t)r] = sum[c] / prompts;
  }
  free(sum);
}

void bootstrap_band(const evaluation *v, double *low, double *high)
{
  resampling s;
  icl_threads *pool;
  size_t c;
  int p, i, k;
  s.v = v;
  s.width = (size_t)v->n * (size_t)v->n_k;
  s.errors = allocate((size_t)v->prompts * s.width, sizeof *s.errors);
  s.means = allocate(s.width * RESAMPLES, sizeof *s.means);
  for (p = 0, c = 0; p < v->prompts; p++)
    for (i = 0; i < v->n; i++)
      for (k = 0; k < v->n_k; k++) s.errors[c++] = error_of(v, i, p, k);
  check(icl_threads_new(&pool, v->threads), "threads");
  icl_threads_run(pool, v->threads, resample_share, &s);
  icl_threads_delete(pool);
  for (c = 0; c < s.width; c++) {
    sort_doubles(s.means + c * RESAMPLES, RESAMPLES);
    low[c] = s.means[c * RESAMPLES + RESAMPLES / 20];
    high[c] = s.means[c * RESAMPLES + RESAMPLES - 1 - RESAMPLES / 20];
  }
  free(s.errors);
  free(s.means);
}
