/* See predictor.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "predictor.h"
#include "bundled.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { QUERIES_AT_ONCE = 64, USUAL_PAIRS = 1000 };

/* ----- models -------------------------------------------------------------------------------- */

static int ends_with(const char *text, const char *end)
{
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

/* A safetensors file starts with 8 bytes, the header's length, little-endian, and a brace. */
static int starts_as_model(const char *path)
{
  unsigned char head[9] = {0};
  struct stat st;
  FILE *f = NULL;
  size_t n;
  if (stat(path, &st) || !S_ISREG(st.st_mode) || !(f = fopen(path, "rb"))) return 0;
  n = fread(head, 1, sizeof head, f);
  fclose(f);
  return n == sizeof head && head[8] == '{' && !head[4] && !head[5] && !head[6] && !head[7];
}

static int looks_like_model(const char *path)
{
  return ends_with(path, ".safetensors") || (strcmp(path, "-") && starts_as_model(path));
}

void sort_operands(const char *const *operands, int n, const char **model, const char **data)
{
  const int first = n == 2 || (n == 1 && looks_like_model(operands[0]));
  if (n == 2 && !looks_like_model(operands[0])
      && (looks_like_model(operands[1]) || ends_with(operands[0], ".csv")))
    fail(operands[0], "not a model (MODEL comes first, then one FILE)");
  *model = first ? operands[0] : NULL;
  *data = n > first ? operands[first] : NULL;
}

static void load_bundled(predictor *p, int n_inputs, const char *data, long line)
{
  size_t size = 0, need = 0;
  icl_report why = {ICL_OK, 0, ""};
  const void *bytes = bundled_model(n_inputs, &size, &p->name);
  if (!bytes)
    fail(data, "line %ld has %d inputs; no bundled model takes that many (--x chooses columns, or "
         "name a MODEL)", line, n_inputs);
  if (icl_inspect(bytes, size, NULL, &need, &why)) fail_report(p->name, &why);
  p->model = allocate(1, sizeof *p->model);
  p->memory = allocate(need, 1);
  if (icl_model_init(p->model, bytes, size, p->memory, need, &why)) fail_report(p->name, &why);
}

predictor open_predictor(const char *path)
{
  predictor p;
  memset(&p, 0, sizeof p);
  p.name = path;
  if (path) p.model = load_model(path);
  return p;
}

void take_inputs(predictor *p, int n_inputs, const char *data, long line)
{
  if (!p->model) load_bundled(p, n_inputs, data, line);
  if (n_inputs > p->model->config.n_dims)
    fail(data, "line %ld has %d inputs, the model takes %d (--x chooses columns)", line, n_inputs,
         p->model->config.n_dims);
  p->d = n_inputs;
  p->mean = allocate((size_t)n_inputs, sizeof *p->mean);
  p->scale = allocate((size_t)n_inputs, sizeof *p->scale);
}

void free_predictor(predictor *p)
{
  int i;
  for (i = 0; i < 4; i++) {
    if (i) icl_ctx_delete(p->images[i]);
    icl_ctx_delete(p->rests[i]);
  }
  icl_ctx_delete(p->ctx);
  blend_free(&p->mix);
  if (p->memory) free(p->model);
  else icl_unload(p->model);
  free(p->memory);
  free(p->mean);
  free(p->scale);
}

int most_pairs(const predictor *p)
{
  const int most = icl_max_pairs(p->model);
  if (most < 1) fail(p->name, "this model has no positions for a pair and a query");
  return most;
}

int usual_pairs(const predictor *p)
{
  const int most = most_pairs(p);
  return most < USUAL_PAIRS ? most : USUAL_PAIRS;
}

int order_matters(const predictor *p)
{
  const icl_position kind = p->model->config.position_embedding_type;
  return kind == ICL_POSITION_LEARNED || kind == ICL_POSITION_SINUSOIDAL;
}

int *choose_pairs(const predictor *p, int n_pairs, int limit, int keep_order, int *n)
{
  int *order = spread(n_pairs, limit);
  *n = n_pairs < limit ? n_pairs : limit;
  if (order_matters(p) && !keep_order) shuffle(order, *n);
  return order;
}

/* ----- scale --------------------------------------------------------------------------------- */

/* Whether values from least to most differ by rounding only. */
static int only_rounding(double least, double most)
{
  return most / 2 - least / 2 <= 4 * DBL_EPSILON * fmax(fabs(least), fabs(most));
}

void mean_and_sd(const double *v, int n, int stride, double *mean, double *sd)
{
  double least = INFINITY, most = -INFINITY, squares = 0, half;
  size_t i, end = (size_t)n * (size_t)stride, step = (size_t)stride;
  *mean = *sd = 0;
  if (n < 1) return;
  for (i = 0; i < end; i += step) {
    least = fmin(least, v[i]);
    most = fmax(most, v[i]);
    *mean += v[i] / n;
  }
  if (only_rounding(least, most)) {
    *mean = v[0];
    return;
  }
  half = most / 2 - least / 2;
  for (i = 0; i < end; i += step) squares += (v[i] - *mean) / half * ((v[i] - *mean) / half) / n;
  *sd = half * sqrt(squares);
}

static void set_scale(predictor *p, int n, const double *x, const double *y)
{
  int i;
  for (i = 0; i < p->d; i++) {
    p->mean[i] = 0;
    p->scale[i] = 1;
    if (!p->raw) mean_and_sd(x + i, n, p->d, &p->mean[i], &p->scale[i]);
  }
  p->y_mean = 0;
  p->y_scale = 1;
  if (!p->raw) mean_and_sd(y, n, 1, &p->y_mean, &p->y_scale);
}

static double scaled(double v, double mean, double scale)
{
  return scale > 0 ? (v - mean) / scale : 0;
}

/* v as float; infinity where it is too large for one. */
static float narrow(double v) { return fabs(v) <= (double)FLT_MAX ? (float)v : INFINITY; }

static double unscaled(float v, double mean, double scale) { return mean + scale * (double)v; }

/* What the model sees of x[n][d]: out[n][n_dims], zero where there are no inputs. */
static void scale_inputs(const predictor *p, int n, const double *x, float *out)
{
  const int wide = p->model->config.n_dims;
  int i, k;
  for (i = 0; i < n; i++, x += p->d)
    for (k = 0; k < wide; k++)
      *out++ = k < p->d ? narrow(scaled(x[k], p->mean[k], p->scale[k])) : 0;
}

/* ----- the work ------------------------------------------------------------------------------ */

/* A context of `room` pairs. */
static icl_ctx *new_context(const predictor *p, int room)
{
  icl_ctx_options o;
  icl_ctx *c;
  memset(&o, 0, sizeof o);
  o.max_pairs = room;
  o.queries_at_once = QUERIES_AT_ONCE;
  o.kv = (icl_storage)p->kv;
  check(icl_ctx_new_with(&c, p->model, &o, NULL), p->name);
  return c;
}

/* A context with room for n pairs that has the first `kept` of those it had.  Returns how many. */
static int make_context(predictor *p, int n, int kept)
{
  int room = p->ctx ? p->ctx->max_pairs : QUERIES_AT_ONCE;
  if (p->ctx && room >= n) {
    check(icl_rewind(p->ctx, kept), "context");
    return kept;
  }
  while (room < n) room *= 2;
  if (room > most_pairs(p)) room = most_pairs(p);
  icl_ctx_delete(p->ctx);
  p->ctx = new_context(p, room);
  return 0;
}

/* Makes *c a context with as much room as the first one. */
static void match_room(const predictor *p, icl_ctx **c)
{
  if (*c && (*c)->max_pairs >= p->ctx->max_pairs) return;
  icl_ctx_delete(*c);
  *c = new_context(p, p->ctx->max_pairs);
}

/* The mirror images that count, where there is one input. */
static void mirror(predictor *p)
{
  int i;
  for (i = 1; i < 4; i++) match_room(p, &p->images[i]);
  check(icl_mirror_images(p->images, &p->n_images), p->name);
}

/* How much of ridge regression belongs into the answers, where there are several inputs. */
static void mix(predictor *p)
{
  const int known = p->share > 0;
  match_room(p, &p->rests[0]);
  check(blend_fit(&p->mix, p->ctx, known ? NULL : p->rests[0]), p->name);
  if (known && p->mix.mean) p->mix.share = p->share;
}

/* A second look at each image: contexts of residuals. */
static void refine(predictor *p)
{
  int i;
  if (p->d == 1 && !p->raw && !p->one_image) mirror(p);
  if (p->d > 1 && !p->raw && !p->unmixed) mix(p);
  for (i = 0; i < p->n_images; i++) {
    match_room(p, &p->rests[i]);
    check(icl_refine(p->rests[i], p->images[i]), p->name);
  }
}

void set_context(predictor *p, int n, const double *x, const double *y, int kept)
{
  const size_t wide = (size_t)p->model->config.n_dims;
  float *xs = allocate((size_t)n * wide, sizeof *xs);
  float *ys = allocate((size_t)n, sizeof *ys);
  icl_error e = ICL_OK;
  int i;
  set_scale(p, n, x, y);
  scale_inputs(p, n, x, xs);
  for (i = 0; i < n; i++) ys[i] = narrow(scaled(y[i], p->y_mean, p->y_scale));
  kept = make_context(p, n, p->raw ? kept : 0);
  if (n > kept) e = icl_add_batch(p->ctx, n - kept, xs + (size_t)kept * wide, ys + kept);
  if (e == ICL_ERR_NONFINITE) fail(p->name, "a row with a y has too large numbers for --raw");
  check(e, p->name);
  p->images[0] = p->ctx;
  p->n_images = 1;
  blend_free(&p->mix);
  p->mix.share = 1;
  p->refined = p->refine && n > 0;
  if (p->refined) refine(p);
  free(xs);
  free(ys);
}

/* The row of x[n][d] that is too far off; the last one where all are finite. */
static int first_nonfinite(const float *x, int n, int d)
{
  int i, k;
  for (i = 0; i < n; i++)
    for (k = 0; k < d; k++) if (!isfinite(*x++)) return i;
  return n - 1;
}

static void unscale(const predictor *p, int n, const float *from, double *to)
{
  int i;
  for (i = 0; i < n; i++) to[i] = unscaled(from[i], p->y_mean, p->y_scale);
}

icl_error ask(predictor *p, int n, const double *x, double level, double *y, double *low,
              double *high, int *bad)
{
  const int wide = p->model->config.n_dims;
  float *xs = allocate((size_t)n * (size_t)wide, sizeof *xs);
  float *ys = allocate(3 * (size_t)n, sizeof *ys);
  icl_error e;
  int k;
  scale_inputs(p, n, x, xs);
  e = icl_predict_mean(p->n_images, p->images, p->refined ? p->rests : NULL, n, xs,
                       (float)level, ys, level > 0 ? ys + n : NULL, level > 0 ? ys + 2 * n : NULL);
  if (!e) blend_answers(&p->mix, n, xs, ys, level > 0 ? ys + n : NULL, ys + 2 * n);
  if (e == ICL_ERR_NONFINITE) *bad = first_nonfinite(xs, n, wide);
  if (!e) unscale(p, n, ys, y);
  if (!e && level > 0) unscale(p, n, ys + n, low);
  if (!e && level > 0) unscale(p, n, ys + 2 * n, high);
  for (k = 0; k < n && !e; k++)                    /* the data's units may leave all numbers behind */
    if (!isfinite(y[k]) || (level > 0 && !(isfinite(low[k]) && isfinite(high[k])))) {
      *bad = k;
      e = ICL_ERR_NONFINITE;
    }
  free(xs);
  free(ys);
  return e;
}
