/* icl.h as a shared library for Python: the whole API, and icl_py_*, which take the caller's data in double,
 * scale them before anything is rounded, and refine.  Knows nothing of Python: ctypes calls it without the
 * interpreter's lock.
 * SPDX-License-Identifier: MIT */
#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif
#define ICL_API EXPORT extern
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <float.h>
#include "tools/solve.c"
#include "tools/ridge.c"
#include "tools/blend.c"

enum { BATCH = 64 };                   /* queries that go through the network at once */

/* Pairs in context, their scale, and what refines the answers. */
typedef struct icl_py {
  icl_ctx *ctx;
  icl_ctx *images[4], *rests[4];       /* ctx and its mirror images; rests: NULL, not refined     */
  int n_images;
  blend mix;                           /* with ridge regression, where there are several inputs   */
  int d, wide;                         /* inputs of the data, and of the model: others are 0      */
  double y_mean, y_scale;              /* y_scale 0: all y are y_mean                             */
  double *mean, *scale;                /* [d] scale 0: a constant column, which the model sees as 0 */
  float *xs, *ys;                      /* [max(n, BATCH)][wide], [3 BATCH or n]: scratch          */
} icl_py;

/* Inputs and quantiles of a model; 1 where it sees the order of pairs, and learned from random ones. */
EXPORT int icl_py_dims(const icl_model *m) { return m->config.n_dims; }
EXPORT int icl_py_quantiles(const icl_model *m) { return m->config.n_quantiles; }
EXPORT int icl_py_ordered(const icl_model *m)
{
  return m->config.position_embedding_type == ICL_POSITION_LEARNED
         || m->config.position_embedding_type == ICL_POSITION_SINUSOIDAL;
}

EXPORT void icl_py_delete(icl_py *p)
{
  int i;
  if (!p) return;
  icl_ctx_delete(p->ctx);
  for (i = 0; i < 4; i++) {
    if (i) icl_ctx_delete(p->images[i]);
    icl_ctx_delete(p->rests[i]);
  }
  blend_free(&p->mix);
  free(p->mean);
  free(p->scale);
  free(p->xs);
  free(p->ys);
  free(p);
}

/* Mean and standard deviation of v[0], v[stride], ..; the deviation is 0 where values differ by rounding. */
static void moments(const double *v, int n, int stride, double *mean, double *sd)
{
  double least = v[0], most = v[0], squares = 0, half;
  int i;
  *mean = 0;
  for (i = 0; i < n; i++) {
    const double at = v[(size_t)i * (size_t)stride];
    least = at < least ? at : least;
    most = at > most ? at : most;
    *mean += at / n;
  }
  half = most / 2 - least / 2;
  *sd = 0;
  if (half <= 4 * DBL_EPSILON * fmax(fabs(least), fabs(most))) { *mean = v[0]; return; }
  for (i = 0; i < n; i++) {
    const double from = (v[(size_t)i * (size_t)stride] - *mean) / half;
    squares += from * from / n;
  }
  *sd = half * sqrt(squares);
}

/* p->xs = what the model sees of x[n][d]. */
static void scale_inputs(icl_py *p, int n, const double *x)
{
  float *out = p->xs;
  int i, k;
  for (i = 0; i < n; i++, x += p->d)
    for (k = 0; k < p->wide; k++) {
      const double v = k < p->d && p->scale[k] > 0 ? (x[k] - p->mean[k]) / p->scale[k] : 0;
      *out++ = fabs(v) <= (double)FLT_MAX ? (float)v : (v == v && k < p->d ? INFINITY : NAN);
    }
}

static icl_py *py_new(int n, int d, int wide)
{
  const size_t rows = (size_t)(n > BATCH ? n : BATCH);
  icl_py *p = (icl_py *)calloc(1, sizeof *p);
  if (!p) return NULL;
  p->d = d;
  p->wide = wide;
  p->mean = (double *)malloc((size_t)d * sizeof *p->mean);
  p->scale = (double *)malloc((size_t)d * sizeof *p->scale);
  p->xs = (float *)malloc(rows * (size_t)wide * sizeof *p->xs);
  p->ys = (float *)malloc(3 * rows * sizeof *p->ys);
  if (p->mean && p->scale && p->xs && p->ys) return p;
  icl_py_delete(p);
  return NULL;
}

/* The mirror images that count, of n pairs of one input. */
static icl_error mirror(icl_py *p, int n)
{
  icl_error e = ICL_OK;
  int i;
  for (i = 1; i < 4 && !e; i++) e = icl_ctx_new(&p->images[i], p->ctx->model, n, BATCH);
  return e ? e : icl_mirror_images(p->images, &p->n_images);
}

/* A second look at each image: contexts of residuals.  With several inputs ridge regression is mixed in. */
static icl_error refine_images(icl_py *p, int n)
{
  icl_error e = p->d == 1 ? mirror(p, n) : ICL_OK;
  int i;
  for (i = 0; i < p->n_images && !e; i++) {
    e = icl_ctx_new(&p->rests[i], p->ctx->model, n, BATCH);
    if (!e && p->d > 1) e = blend_fit(&p->mix, p->ctx, p->rests[i]);
    if (!e) e = icl_refine(p->rests[i], p->images[i]);
  }
  return e;
}

/* *out = the pairs x[n][d], y[n] in context, scaled to mean 0 and deviation 1. */
EXPORT int icl_py_fit(icl_py **out, const icl_model *m, int n, int d, const double *x, const double *y,
                      int refine)
{
  icl_error e;
  icl_py *p;
  int i;
  if (n < 1 || d < 1 || d > m->config.n_dims) return ICL_ERR_ARG;
  if (!(p = py_new(n, d, m->config.n_dims))) return ICL_ERR_MEMORY;
  for (i = 0; i < d; i++) moments(x + i, n, d, &p->mean[i], &p->scale[i]);
  moments(y, n, 1, &p->y_mean, &p->y_scale);
  scale_inputs(p, n, x);
  for (i = 0; i < n; i++) p->ys[i] = p->y_scale > 0 ? (float)((y[i] - p->y_mean) / p->y_scale) : 0;
  e = icl_ctx_new(&p->ctx, m, n, BATCH);
  if (!e) e = icl_add_batch(p->ctx, n, p->xs, p->ys);
  p->images[0] = p->ctx;
  p->n_images = 1;
  p->mix.share = 1;
  if (!e && refine) e = refine_images(p, n);
  if (e) icl_py_delete(p);
  else *out = p;
  return e;
}

static icl_error answer(icl_py *p, int n, float level)
{
  float *lo = level > 0 ? p->ys + BATCH : NULL, *hi = level > 0 ? p->ys + 2 * BATCH : NULL;
  const icl_error e = icl_predict_mean(p->n_images, p->images, p->rests, n, p->xs, level, p->ys, lo, hi);
  if (!e) blend_answers(&p->mix, n, p->xs, p->ys, lo, hi);
  return e;
}

static void unscale(const icl_py *p, int n, const float *from, double *to)
{
  int i;
  for (i = 0; i < n; i++) to[i] = p->y_mean + p->y_scale * (double)from[i];
}

/* y[n] at x[n][d], and with level > 0 the interval lo[n], hi[n]. */
EXPORT int icl_py_predict(icl_py *p, int n, const double *x, double level, double *y, double *lo, double *hi)
{
  int at, now;
  for (at = 0; at < n; at += now) {
    icl_error e;
    now = n - at < BATCH ? n - at : BATCH;
    scale_inputs(p, now, x + (size_t)at * (size_t)p->d);
    if ((e = answer(p, now, (float)level)) != ICL_OK) return e;
    unscale(p, now, p->ys, y + at);
    if (level > 0) unscale(p, now, p->ys + BATCH, lo + at);
    if (level > 0) unscale(p, now, p->ys + 2 * BATCH, hi + at);
  }
  return ICL_OK;
}

/* Where all y are the same there is none. */
EXPORT int icl_py_surprise(const icl_py *p, double *s)
{
  float v;
  const icl_error e = p->y_scale > 0 ? icl_surprise(p->ctx, &v) : ICL_ERR_CONFIG;
  if (!e) *s = (double)v;
  return e;
}

/* *rmse = the error of each pair, predicted from the others; without refinement. */
EXPORT int icl_py_check(icl_py *p, double *rmse)
{
  float v;
  const icl_error e = icl_check(p->ctx, &v);
  if (!e) *rmse = (double)v * p->y_scale;
  return e;
}
