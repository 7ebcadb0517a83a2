/* icl.h for a page: models and contexts in one block of memory, points and answers in fixed places, all for
 * app.js to read and write.  Compiled by build.py; it imports nothing. */
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#define ICL_IMPLEMENTATION
#include "../../icl.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { MODELS = 2, POINTS = 64, QUERIES = 512, IMAGES = 4, AT_ONCE = 64 };

static unsigned char arena[24 << 20];
static size_t used;
static icl_model models[MODELS];
static icl_ctx contexts[MODELS][IMAGES];                 /* the points and their mirror images */
static icl_ctx rests[MODELS][IMAGES];                    /* what refines the answers of each */
static icl_report report;
static float xs[POINTS], ys[POINTS], queries[QUERIES], answers[QUERIES], low[QUERIES], high[QUERIES];

float *EXPORT(point_xs)(void) { return xs; }           /* [POINTS]  */
float *EXPORT(point_ys)(void) { return ys; }           /* [POINTS]  */
float *EXPORT(query_xs)(void) { return queries; }      /* [QUERIES] */
float *EXPORT(answer_ys)(void) { return answers; }     /* [QUERIES] */
float *EXPORT(lows)(void) { return low; }              /* [QUERIES] the interval of 90 % */
float *EXPORT(highs)(void) { return high; }            /* [QUERIES] */
const char *EXPORT(why)(void) { return report.text; }
const char *EXPORT(isa)(int i) { return icl_isa_name(&models[i]); }
const char *EXPORT(task)(int i) { return models[i].task; }
int EXPORT(capacity)(int i) { return contexts[i][0].max_pairs; }
int EXPORT(has_interval)(int i) { return models[i].config.n_quantiles > 0; }

/* 1 where model i was trained on data that were standardised: then the points are too. */
int EXPORT(standardized)(int i) { return strstr(models[i].sampling, "standardize=1") != NULL; }

/* 1 where answers of model i are refined, and may be means over mirror images: as in icl predict, where it was
 * trained on data of every kind, and has intervals. */
int EXPORT(looks_twice)(int i) { return has_interval(i) && standardized(i); }

/* size bytes for a checkpoint that stays as long as the page; NULL where there is no room. */
unsigned char *EXPORT(room)(size_t size)
{
  unsigned char *p = arena + used;
  if (size > sizeof arena - used) return NULL;
  used += (size + 63) & ~(size_t)63;
  return p;
}

/* A context of model m. */
static icl_error make(icl_ctx *c, const icl_model *m, int pairs, int n_query)
{
  const size_t bytes = icl_ctx_bytes(m, pairs, n_query);
  return icl_ctx_init(c, m, pairs, n_query, room(bytes), bytes);
}

/* Makes model i of file[size], which came from room, and contexts of as many pairs as it was trained to: one, or,
 * where it looks twice, eight. */
int EXPORT(load)(int i, const unsigned char *file, size_t size)
{
  icl_model *m = &models[i];
  size_t need = 0;
  int pairs, k;
  icl_error err = icl_inspect(file, size, NULL, &need, &report);
  if (!err) err = icl_model_init(m, file, size, room(need), need, &report);
  if (err) return err;
  if (m->config.n_dims != 1) return ICL_ERR_CONFIG;
  pairs = (int)icl__min(POINTS, (size_t)(m->config.n_positions - 1) / 2);
  err = make(&contexts[i][0], m, pairs, QUERIES);
  for (k = 0; k < IMAGES && !err && looks_twice(i); k++) {
    err = make(&rests[i][k], m, pairs, k ? AT_ONCE : QUERIES);
    if (!err && k) err = make(&contexts[i][k], m, pairs, AT_ONCE);
  }
  return err;
}

/* The scale of model i: that of the n points, or none. */
static icl_error set_scale(int i, int n)
{
  if (!n || !standardized(i)) return icl_ctx_scale(&contexts[i][0], NULL, NULL, 0, 1);
  return icl_standardize(&contexts[i][0], n, xs, ys);
}

/* 1 where the points' y are all the same, which has no scale: then, as in icl predict, so is every answer. */
static int is_flat(int i, int n)
{
  int k;
  if (!n || !standardized(i)) return 0;
  for (k = 1; k < n; k++) if (ys[k] != ys[0]) return 0;
  return 1;
}

static void answer_flat(int n_query)
{
  int k;
  for (k = 0; k < n_query; k++) answers[k] = low[k] = high[k] = ys[0];
}

/* As icl predict answers one input: twice by the points and, where images is 1, by each of their mirror images. */
static icl_error look_twice(int i, int images, int n_query)
{
  icl_ctx *cs[IMAGES], *rs[IMAGES];
  icl_error err = ICL_OK;
  int k, n = 1;
  for (k = 0; k < IMAGES; k++) {
    cs[k] = &contexts[i][k];
    rs[k] = &rests[i][k];
  }
  if (images) err = icl_mirror_images(cs, &n);
  for (k = 0; k < n && !err; k++) err = icl_refine(rs[k], cs[k]);
  return err ? err : icl_predict_mean(n, cs, rs, n_query, queries, 0.9f, answers, low, high);
}

/* answers[n_query] of model i at queries[n_query], given the n points; low and high where it has intervals, and
 * then as in icl predict, or, where images is 0, icl predict --no-mirror, which takes a quarter of the time. */
int EXPORT(ask)(int i, int n, int n_query, int images)
{
  icl_ctx *c = &contexts[i][0];
  icl_error err;
  if (n < 0 || n > POINTS || n_query < 0 || n_query > QUERIES) return ICL_ERR_ARG;
  err = icl_rewind(c, 0);
  if (!err) err = set_scale(i, n);
  if (err || !has_interval(i)) return err ? err : icl_ask(c, n, xs, ys, n_query, queries, answers);
  err = icl_add_batch(c, n, xs, ys);
  if (err) return err;
  if (n && looks_twice(i)) err = look_twice(i, images, n_query);
  else err = icl_predict_interval(c, n_query, queries, 0.9f, answers, low, high);
  if (!err && is_flat(i, n)) answer_flat(n_query);
  return err;
}

/* How unlike model i's pretraining the points of the last ask look; NaN where that is not known or all
 * have the same y. */
float EXPORT(surprise)(int i)
{
  float s;
  if (is_flat(i, icl_count(&contexts[i][0]))) return NAN;
  return icl_surprise(&contexts[i][0], &s) ? NAN : s;
}

/* Root mean squared error of the points of the last ask, each predicted from the others; NaN for fewer than 2. */
float EXPORT(check)(int i)
{
  float rmse;
  if (icl_count(&contexts[i][0]) > 1 && is_flat(i, icl_count(&contexts[i][0]))) return 0;
  return icl_check(&contexts[i][0], &rmse) ? NAN : rmse;
}
