/* icl.h for a page: models and contexts in one block of memory, points and answers in fixed places, all for
 * app.js to read and write.  Compiled by build.py; it imports nothing. */
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#define ICL_IMPLEMENTATION
#include "../../icl.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { MODELS = 2, POINTS = 64, QUERIES = 512, CHECKED = 32 };

static unsigned char arena[24 << 20];
static size_t used;
static icl_model models[MODELS];
static icl_ctx contexts[MODELS], rests[MODELS];          /* rests: what refines the answers */
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
int EXPORT(capacity)(int i) { return contexts[i].max_pairs; }
int EXPORT(has_interval)(int i) { return models[i].config.n_quantiles > 0; }

/* 1 where model i was trained on data that were standardised: then the points are too. */
int EXPORT(standardized)(int i) { return strstr(models[i].sampling, "standardize=1") != NULL; }

/* size bytes for a checkpoint that stays as long as the page; NULL where there is no room. */
unsigned char *EXPORT(room)(size_t size)
{
  unsigned char *p = arena + used;
  if (size > sizeof arena - used) return NULL;
  used += (size + 63) & ~(size_t)63;
  return p;
}

/* Makes model i of file[size], which came from room, and a context of as many pairs as it was trained to. */
int EXPORT(load)(int i, const unsigned char *file, size_t size)
{
  icl_model *m = &models[i];
  size_t need = 0, bytes;
  int pairs;
  icl_error err = icl_inspect(file, size, NULL, &need, &report);
  if (!err) err = icl_model_init(m, file, size, room(need), need, &report);
  if (err) return err;
  if (m->config.n_dims != 1) return ICL_ERR_CONFIG;
  pairs = (int)icl__min(POINTS, (size_t)(m->config.n_positions - 1) / 2);
  bytes = icl_ctx_bytes(m, pairs, QUERIES);
  err = icl_ctx_init(&contexts[i], m, pairs, QUERIES, room(bytes), bytes);
  if (!err && has_interval(i)) err = icl_ctx_init(&rests[i], m, pairs, QUERIES, room(bytes), bytes);
  return err;
}

/* The scale of model i: that of the n points, or none. */
static icl_error set_scale(int i, int n)
{
  if (!n || !standardized(i)) return icl_ctx_scale(&contexts[i], NULL, NULL, 0, 1);
  return icl_standardize(&contexts[i], n, xs, ys);
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

/* answers[n_query] of model i at queries[n_query], given the n points; low and high where it has intervals, and
 * then refined, as in icl predict. */
int EXPORT(ask)(int i, int n, int n_query)
{
  icl_ctx *c = &contexts[i];
  icl_error err;
  if (n < 0 || n > POINTS || n_query < 0 || n_query > QUERIES) return ICL_ERR_ARG;
  err = icl_rewind(c, 0);
  if (!err) err = set_scale(i, n);
  if (err || !has_interval(i)) return err ? err : icl_ask(c, n, xs, ys, n_query, queries, answers);
  err = icl_add_batch(c, n, xs, ys);
  if (!err && n) err = icl_refine(&rests[i], c);
  if (!err && n) err = icl_predict_refined(c, &rests[i], n_query, queries, 0.9f, answers, low, high);
  if (!err && !n) err = icl_predict_interval(c, n_query, queries, 0.9f, answers, low, high);
  if (!err && is_flat(i, n)) answer_flat(n_query);
  return err;
}

/* How unlike model i's pretraining the points of the last ask look; NaN where that is not known. */
float EXPORT(surprise)(int i)
{
  float s;
  return icl_surprise(&contexts[i], &s) ? NAN : s;
}

/* Root mean squared error of the points of the last ask, each predicted from the others; NaN for fewer than 2,
 * and for more than CHECKED, which would take long. */
float EXPORT(check)(int i)
{
  float rmse;
  if (icl_count(&contexts[i]) > CHECKED) return NAN;
  return icl_check(&contexts[i], &rmse) ? NAN : rmse;
}
