/* See blend.h.
 * SPDX-License-Identifier: MIT */
#include "blend.h"
#include "ridge.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows at hand. */
typedef struct blend_rows {
  int n;
  float *x, *y;                    /* [n][d], [n] for the model                               */
  double *scaled, *centred;        /* [n][d], [n] for ridge                                   */
} blend_rows;

static int varies(const icl_ctx *c)
{
  const int d = c->model->config.n_dims, n = icl_count(c);
  const float *x = icl_inputs(c);
  int i, k, varying = 0;
  for (k = 0; k < d; k++) {
    for (i = 1; i < n && x[i * d + k] >= x[k] && x[i * d + k] <= x[k]; i++) {}
    varying += i < n;
  }
  return varying > 1;
}

/* The mean and deviation of v[0], v[stride], ..: 1 where all are the same. */
static double centre(const float *v, int n, int stride, double *mean)
{
  double squares = 0;
  int i;
  *mean = 0;
  for (i = 0; i < n; i++) *mean += (double)v[i * stride] / n;
  for (i = 0; i < n; i++) squares += pow((double)v[i * stride] - *mean, 2) / n;
  return squares > 0 ? sqrt(squares) : 1;
}

/* b's ridge regression of r; memory[d (d + 2)]. */
static void fit_ridge(blend *b, blend_rows *r, double *memory)
{
  const int d = b->d;
  int i, k;
  for (k = 0; k < d; k++) {
    b->scale[k] = centre(r->x + k, r->n, d, &b->mean[k]);
    for (i = 0; i < r->n; i++)
      r->scaled[i * d + k] = ((double)r->x[i * d + k] - b->mean[k]) / b->scale[k];
  }
  centre(r->y, r->n, 1, &b->y_mean);
  for (i = 0; i < r->n; i++) r->centred[i] = (double)r->y[i] - b->y_mean;
  ridge_choose(r->n, d, r->scaled, r->centred, b->slope, memory);
}

static double ridge_answer(const blend *b, const float *x)
{
  double y = b->y_mean;
  int k;
  for (k = 0; k < b->d; k++) y += b->slope[k] * ((double)x[k] - b->mean[k]) / b->scale[k];
  return y;
}

/* r = c's pairs whose number leaves `fold` when divided by 5, or the others. */
static void choose_rows(blend_rows *r, const icl_ctx *c, int fold, int inside)
{
  const int d = c->model->config.n_dims, n = icl_count(c);
  int i;
  r->n = 0;
  for (i = 0; i < n; i++) {
    if ((i % BLEND_FOLDS == fold) != inside) continue;
    memcpy(r->x + r->n * d, icl_inputs(c) + i * d, (size_t)d * sizeof(float));
    r->y[r->n++] = icl_outputs(c)[i];
  }
}

/* Adds the squared errors at one fifth, predicted from the others. */
static icl_error try_fold(blend *b, const icl_ctx *c, icl_ctx *spare, int fold, blend_rows *r,
                          double *memory, double *model, double *ridge)
{
  float *answers = (float *)r->scaled;
  icl_error e;
  int i;
  choose_rows(r, c, fold, 0);
  fit_ridge(b, r, memory);
  e = icl_rewind(spare, 0);
  if (!e) e = icl_standardize(spare, r->n, r->x, r->y);
  if (!e) e = icl_add_batch(spare, r->n, r->x, r->y);
  choose_rows(r, c, fold, 1);
  if (!e) e = icl_predict_batch(spare, r->n, r->x, answers);
  for (i = 0; i < r->n && !e; i++) {
    *model += pow((double)answers[i] - (double)r->y[i], 2);
    *ridge += pow(ridge_answer(b, r->x + i * b->d) - (double)r->y[i], 2);
  }
  return e;
}

/* The model's share by its and ridge's sums of squares. */
static double share_of(double model, double ridge)
{
  if (!(model > 0)) return 1;
  return ridge > 0 ? 1 / (1 + pow(model / ridge, 4)) : 0;
}

/* *share of the model by cross-validation. */
static icl_error find_share(blend *b, const icl_ctx *c, icl_ctx *spare, blend_rows *r, double *memory,
                            double *share)
{
  double model = 0, ridge = 0;
  icl_error e = ICL_OK;
  int fold;
  for (fold = 0; fold < BLEND_FOLDS && !e; fold++)
    e = try_fold(b, c, spare, fold, r, memory, &model, &ridge);
  if (!e) *share = share_of(model, ridge);
  return e;
}

/* Room for everything in one block, which b owns; returns what ridge_choose needs. */
static double *place(blend *b, blend_rows *r, size_t n, size_t d)
{
  const size_t doubles = 3 * d + d * (d + 2) + n * (d + 1), floats = n * (d + 1);
  double *memory = malloc(doubles * sizeof *memory + floats * sizeof *r->x);
  if (!memory) return NULL;
  b->mean = memory;
  b->scale = b->mean + d;
  b->slope = b->scale + d;
  r->scaled = b->slope + d;
  r->centred = r->scaled + n * d;
  r->x = (float *)(r->centred + n + d * (d + 2));
  r->y = r->x + n * d;
  return r->centred + n;
}

icl_error blend_fit(blend *b, const icl_ctx *c, icl_ctx *spare)
{
  const size_t n = (size_t)icl_count(c), d = (size_t)c->model->config.n_dims;
  double *memory, share = 1;
  icl_error e = ICL_OK;
  blend_rows r;
  memset(b, 0, sizeof *b);
  b->d = (int)d;
  b->share = 1;
  if (n < BLEND_LEAST || !varies(c)) return ICL_OK;
  if (!(memory = place(b, &r, n, d))) return ICL_ERR_MEMORY;
  if (spare) e = find_share(b, c, spare, &r, memory, &share);
  if (e) return e;
  choose_rows(&r, c, -1, 0);
  fit_ridge(b, &r, memory);
  b->share = share;
  return ICL_OK;
}

void blend_answers(const blend *b, int n, const float *xs, float *ys, float *lo, float *hi)
{
  int i;
  for (i = 0; i < n && b->share < 1; i++, xs += b->d) {
    const float move = (float)((1 - b->share) * (ridge_answer(b, xs) - (double)ys[i]));
    ys[i] += move;
    if (lo) lo[i] += move;
    if (lo) hi[i] += move;
  }
}

void blend_free(blend *b)
{
  free(b->mean);
  memset(b, 0, sizeof *b);
}
