/* Joint tokens, alternating positions, quantiles and intervals; what a context does with the pairs it
 * keeps; the metadata of all that; the gradient of the whole loss; function classes, ranges of arguments,
 * kinds of noise, and prompts as data are. */
#define _DEFAULT_SOURCE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"
#include "held.h"

#include <float.h>
#include <stdlib.h>

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* Under valgrind, TSan and emulators: a part of the longest loops, and of the types of keys and values
 * F32 and I8 alone. */
#ifdef ICL_TEST_QUICK
enum { EVERY = 10, KV_STEP = 3 };
#else
enum { EVERY = 1, KV_STEP = 1 };
#endif

/* ----- numbers, models, prompts ---------------------------------------------------------------- */

static uint32_t seed = 1;

static uint32_t draw(void)
{
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

static float uniform(void) { return (float)((int)(draw() & 0xffff) - 32768) / 32768.0f; }

static int same(const void *a, const void *b, size_t floats)
{
  return memcmp(a, b, floats * sizeof(float)) == 0;
}

static void *need(size_t size)
{
  void *p = malloc(size + 1);
  if (!p) exit(3);
  return p;
}

enum { MAX_D = 8, MAX_C = 24, MAX_PAIRS = 300, MAX_T = 2 * MAX_PAIRS + 1, MAX_A = 1 + ICL_MAX_QUANTILES };

static float xs[MAX_PAIRS * MAX_D], ys[MAX_PAIRS], qs[MAX_PAIRS * MAX_D];

static void draw_prompt(int d, int n)
{
  int i;
  for (i = 0; i < n * d; i++) { xs[i] = 1.7f * uniform(); qs[i] = 1.7f * uniform(); }
  for (i = 0; i < n; i++) ys[i] = 1.7f * uniform();
}

/* Rising levels, (i + 1) / (n + 1). */
static icl_config config_of(int d, int C, int H, int L, icl_position position, icl_tokens tokens, int Q)
{
  icl_config c;
  int i;
  memset(&c, 0, sizeof c);
  c.n_dims = d; c.n_embd = C; c.n_head = H; c.n_layer = L;
  c.n_positions = position == ICL_POSITION_LEARNED ? 2 * 80 + 1 : 9;
  c.n_out = 1 + Q;
  c.position_embedding_type = position;
  c.layer_norm_epsilon = 1e-5f;
  c.tokens = tokens;
  c.n_quantiles = Q;
  for (i = 0; i < Q; i++) c.quantiles[i] = (float)(i + 1) / (float)(Q + 1);
  return c;
}

static const float five[5] = {0.05f, 0.25f, 0.5f, 0.75f, 0.95f};

static icl_config with_five(icl_config c)
{
  c.n_quantiles = 5;
  c.n_out = 6;
  memcpy(c.quantiles, five, sizeof five);
  return c;
}

enum { SHAPES = 6 };

static icl_config shape_of(int i)
{
  icl_config c;
  switch (i) {
    case 0: return with_five(config_of(3, 24, 4, 2, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5));
    case 1: return config_of(1, 12, 3, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 0);
    case 2: return config_of(2, 16, 2, 2, ICL_POSITION_ALTERNATING, ICL_TOKENS_APART, 1);
    case 3: return config_of(5, 10, 2, 1, ICL_POSITION_LEARNED, ICL_TOKENS_JOINT, 9);
    case 4: return config_of(1, 8, 1, 2, ICL_POSITION_SINUSOIDAL, ICL_TOKENS_JOINT, 3);
    default:
      c = config_of(2, 12, 2, 1, ICL_POSITION_NONE, ICL_TOKENS_JOINT, 0);
      c.n_out = 2;                                           /* d rows, of which one is read */
      return c;
  }
}

/* Weights that make all parts of the network matter. */
static void draw_params(float *p, const icl_config *c)
{
  icl_tensor t;
  int i;
  for (i = 0; i < icl_tensor_count(c); i++) {
    size_t k, n;
    float size, centre;
    icl_tensor_at(c, i, &t);
    n = (size_t)t.rows * (size_t)t.cols;
    size = t.rank == 2 ? 1.7f / sqrtf((float)(strstr(t.name, "_read_") ? t.cols : t.rows)) : 0.3f;
    if (strstr(t.name, "wpe")) size = 0.7f;
    centre = t.rank == 1 && strstr(t.name, "weight") ? 1.0f : 0.0f;
    for (k = 0; k < n; k++) *p++ = centre + size * uniform();
  }
}

typedef struct subject { icl_model m; float *params; void *mem; } subject;

static void make_subject(subject *s, const icl_config *c, uint32_t with_seed)
{
  size_t n = icl_bind_bytes(c);
  s->params = (float *)need(icl_param_count(c) * sizeof(float));
  s->mem = need(n);
  seed = with_seed;
  draw_params(s->params, c);
  CHECK_EQ(icl_model_bind(&s->m, c, s->params, s->mem, n), ICL_OK);
}

static void free_subject(subject *s)
{
  free(s->params);
  free(s->mem);
}

static icl_ctx *new_ctx(const icl_model *m, int pairs, int batch, icl_storage kv)
{
  icl_ctx *c = NULL;
  icl_ctx_options o = ctx_options(pairs, batch, kv);
  CHECK_EQ(icl_ctx_new_with(&c, m, &o, NULL), ICL_OK);
  if (!c) exit(3);
  return c;
}

/* 1 if two contexts hold the same. */
static int alike(const icl_ctx *a, const icl_ctx *b) { return unchanged(a, take(b)); }

/* ----- the network in double precision, as design and papers write it down --------------------- */

static double *norm64(double *out, const double *x, double *p, int C, double eps)
{
  double mean = 0, var = 0;
  int i;
  for (i = 0; i < C; i++) mean += x[i] / C;
  for (i = 0; i < C; i++) var += (x[i] - mean) * (x[i] - mean) / C;
  for (i = 0; i < C; i++) out[i] = p[i] * (x[i] - mean) / sqrt(var + eps) + p[C + i];
  return p + 2 * C;
}

/* out[n] = x[k] p[k][n] + b[n] after it, on top of what is there where add is 1. */
static double *linear64(double *out, const double *x, double *p, int k, int n, int add)
{
  int i, j;
  for (j = 0; j < n; j++) out[j] = (add ? out[j] : 0) + p[k * n + j];
  for (i = 0; i < k; i++) for (j = 0; j < n; j++) out[j] += x[i] * p[i * n + j];
  return p + k * n + n;
}

static double gelu64(double x)
{
  return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
}

/* att[C] of token t. */
static void attend64(double *att, double (*qkv)[3 * MAX_C], int t, int C, int H)
{
  static double p[MAX_T];
  int h, i, u, D = C / H;
  for (h = 0; h < H; h++) {
    double sum = 0;
    for (u = 0; u <= t; u++) {
      double s = 0;
      for (i = h * D; i < (h + 1) * D; i++) s += qkv[t][i] * qkv[u][C + i] / sqrt(D);
      sum += p[u] = exp(s);
    }
    for (i = h * D; i < (h + 1) * D; i++)
      for (att[i] = 0, u = 0; u <= t; u++) att[i] += p[u] / sum * qkv[u][2 * C + i];
  }
}

static double position64(const icl_config *c, const double *wpe, int t, int i)
{
  int half = c->n_embd / 2;
  double angle;
  switch (c->position_embedding_type) {
    case ICL_POSITION_LEARNED: return wpe[t * c->n_embd + i];
    case ICL_POSITION_ALTERNATING: return wpe[t % 2 * c->n_embd + i];
    case ICL_POSITION_NONE: return 0;
    default:
      angle = t * pow(10000, -(double)(i % half) / (half - 1));
      return i < half ? sin(angle) : cos(angle);
  }
}

/* out[P][1 + Q] at the x tokens of one prompt, from p[params] in the order of the tensor table. */
static void predict64(double *out, const icl_config *c, double *p, const float *x, const float *y, int P)
{
  static double r[MAX_T][MAX_C], qkv[MAX_T][3 * MAX_C];
  double h[MAX_C], f[4 * MAX_C], *in = p, *wpe, *q = NULL;
  int C = c->n_embd, d = c->n_dims, n = d + (c->tokens == ICL_TOKENS_JOINT), T = 2 * P - 1, t, i, j, l;
  wpe = in + C * n + C;
  p = wpe + C * (c->position_embedding_type == ICL_POSITION_LEARNED ? c->n_positions
                 : c->position_embedding_type == ICL_POSITION_ALTERNATING ? 2 : 0);
  for (t = 0; t < T; t++)
    for (i = 0; i < C; i++) {
      double v = in[C * n + i] + position64(c, wpe, t, i);
      for (j = 0; j < d && (t % 2 == 0 || n > d); j++) v += in[i * n + j] * (double)x[t / 2 * d + j];
      if (t % 2) v += in[i * n + (n > d ? d : 0)] * (double)y[t / 2];
      r[t][i] = v;
    }
  for (l = 0; l < c->n_layer; l++) {
    double *block = p;
    for (t = 0; t < T; t++) {
      p = norm64(h, r[t], block, C, (double)c->layer_norm_epsilon);
      q = linear64(qkv[t], h, p, C, 3 * C, 0);
    }
    for (t = 0; t < T; t++) {
      attend64(h, qkv, t, C, c->n_head);
      p = linear64(r[t], h, q, C, C, 1);
      p = norm64(h, r[t], p, C, (double)c->layer_norm_epsilon);
      p = linear64(f, h, p, C, 4 * C, 0);
      for (i = 0; i < 4 * C; i++) f[i] = gelu64(f[i]);
      p = linear64(r[t], f, p, 4 * C, C, 1);
    }
  }
  for (t = 0; t < T; t += 2) {
    q = norm64(h, r[t], p, C, (double)c->layer_norm_epsilon);
    for (j = 0; j <= c->n_quantiles; j++, out++)
      for (*out = q[c->n_out * C + j], i = 0; i < C; i++) *out += h[i] * q[j * C + i];
  }
}

static double *as_doubles(const float *v, size_t n)
{
  double *out = (double *)need(n * sizeof *out);
  size_t i;
  for (i = 0; i < n; i++) out[i] = (double)v[i];
  return out;
}

/* answer[1 + Q] at q after the first n pairs of xs, ys. */
static void answer64(double *answer, const icl_config *c, const float *params, int n, const float *q)
{
  static double out[MAX_PAIRS * MAX_A];
  static float x[MAX_PAIRS * MAX_D];
  double *p = as_doubles(params, icl_param_count(c));
  size_t A = 1 + (size_t)c->n_quantiles, d = (size_t)c->n_dims;
  memcpy(x, xs, (size_t)n * d * sizeof(float));
  memcpy(x + (size_t)n * d, q, d * sizeof(float));
  predict64(out, c, p, x, ys, n + 1);
  memcpy(answer, out + (size_t)n * A, A * sizeof *answer);
  free(p);
}

/* ----- contexts: the same bits, however they are asked ------------------------------------------ */

enum { PAIRS = 19, QUERIES = 75 };

/* What one context of two rows answers, pair by pair and query by query. */
typedef struct answers { float y[QUERIES], q[QUERIES * ICL_MAX_QUANTILES]; snapshot s; } answers;

static void ask_singly(answers *a, const icl_model *m, icl_storage kv)
{
  icl_ctx *c = new_ctx(m, PAIRS, 1, kv);
  int i, d = m->config.n_dims, Q = m->config.n_quantiles;
  for (i = 0; i < PAIRS; i++) CHECK_EQ(icl_add(c, xs + i * d, ys[i]), ICL_OK);
  for (i = 0; i < QUERIES; i++) {
    CHECK_EQ(icl_predict(c, qs + i * d, &a->y[i]), ICL_OK);
    if (Q) CHECK_EQ(icl_predict_quantiles(c, 1, qs + i * d, a->q + i * Q), ICL_OK);
  }
  a->s = take(c);
  icl_ctx_delete(c);
}

static void check_same_answers(icl_ctx *c, const answers *a)
{
  static float y[QUERIES], q[QUERIES * ICL_MAX_QUANTILES];
  int Q = c->model->config.n_quantiles;
  snapshot now = take(c);
  CHECK(now.n == a->s.n && !memcmp(now.bytes, a->s.bytes, now.n));
  free(now.bytes);
  CHECK_EQ(icl_predict_batch(c, QUERIES, qs, y), ICL_OK);
  CHECK(same(y, a->y, QUERIES));
  if (!Q) return;
  CHECK_EQ(icl_predict_quantiles(c, QUERIES, qs, q), ICL_OK);
  CHECK(same(q, a->q, (size_t)(QUERIES * Q)));
}

static void check_ways(const icl_model *m, icl_storage kv, icl_threads *threads)
{
  static answers a;
  static float y[QUERIES];
  static const int batches[] = {1, 3, 16, 2 * PAIRS + QUERIES};
  size_t k;
  int n;
  ask_singly(&a, m, kv);
  for (k = 0; k < COUNT(batches); k++)
    for (n = 1; n <= 3; n += 2) {
      icl_ctx *c = new_ctx(m, PAIRS, batches[k], kv);
      CHECK_EQ(icl_ctx_threads(c, n, icl_threads_run, threads), ICL_OK);
      CHECK_EQ(icl_add_batch(c, PAIRS, xs, ys), ICL_OK);
      check_same_answers(c, &a);
      CHECK_EQ(icl_rewind(c, 0), ICL_OK);
      CHECK_EQ(icl_ask(c, PAIRS, xs, ys, QUERIES, qs, y), ICL_OK);
      CHECK(same(y, a.y, QUERIES));
      check_same_answers(c, &a);
      icl_ctx_delete(c);
    }
  free(a.s.bytes);
}

TEST(same_bits_in_batches_and_threads)
{
  icl_threads *threads = NULL;
  int i, kv;
  CHECK_EQ(icl_threads_new(&threads, 3), ICL_OK);
  for (i = 0; i < SHAPES; i++)
    for (kv = 0; kv < 4; kv += KV_STEP) {
      icl_config c = shape_of(i);
      subject s;
      make_subject(&s, &c, 100 + (uint32_t)i);
      draw_prompt(c.n_dims, QUERIES);
      check_ways(&s.m, (icl_storage)kv, threads);
      free_subject(&s);
    }
  icl_threads_delete(threads);
}

/* Context, batch of prompts and trainer agree with the formulas. */
TEST(predictions_in_double_precision)
{
  int i, k, j;
  for (i = 0; i < SHAPES; i++) {
    icl_config c = shape_of(i);
    subject s;
    icl_ctx *x;
    icl_batch *b = NULL;
    double *p, want[PAIRS * MAX_A];
    float preds[PAIRS], y;
    int A = 1 + c.n_quantiles;
    make_subject(&s, &c, 200 + (uint32_t)i);
    draw_prompt(c.n_dims, PAIRS);
    p = as_doubles(s.params, icl_param_count(&c));
    predict64(want, &c, p, xs, ys, PAIRS);
    x = new_ctx(&s.m, PAIRS, 4, ICL_STORE_F32);
    CHECK_EQ(icl_batch_new(&b, &s.m, PAIRS, 2), ICL_OK);
    CHECK_EQ(icl_batch_predict(b, 1, xs, ys, preds), ICL_OK);
    for (k = 0; k < PAIRS; k++) {
      float q[ICL_MAX_QUANTILES];
      double rising[ICL_MAX_QUANTILES];
      CHECK_EQ(icl_predict(x, xs + k * c.n_dims, &y), ICL_OK);
      CHECK_NEAR(y, want[k * A], 3e-5);
      CHECK(same(&y, preds + k, 1));
      for (j = 0; j < c.n_quantiles; j++) {                  /* sorted by insertion */
        int at = j;
        for (; at && rising[at - 1] > want[k * A + 1 + j]; at--) rising[at] = rising[at - 1];
        rising[at] = want[k * A + 1 + j];
      }
      if (c.n_quantiles) CHECK_EQ(icl_predict_quantiles(x, 1, xs + k * c.n_dims, q), ICL_OK);
      for (j = 0; j < c.n_quantiles; j++) CHECK_NEAR(q[j], rising[j], 3e-5);
      CHECK_EQ(icl_add(x, xs + k * c.n_dims, ys[k]), ICL_OK);
    }
    icl_batch_delete(b);
    icl_ctx_delete(x);
    free(p);
    free_subject(&s);
  }
}

/* A model of 9 positions and 256 pairs. */
TEST(alternating_positions_have_no_limit)
{
  icl_config c = with_five(config_of(2, 8, 2, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5));
  double want[MAX_A];
  icl_ctx *x;
  subject s;
  float y, q[5];
  int j;
  make_subject(&s, &c, 7);
  CHECK_EQ(icl_max_pairs(&s.m), 1 << 22);
  draw_prompt(2, 260);
  x = new_ctx(&s.m, 256, 16, ICL_STORE_F32);
  CHECK_EQ(icl_add_batch(x, 256, xs, ys), ICL_OK);
  CHECK_EQ(icl_add(x, xs, ys[0]), ICL_ERR_FULL);
  CHECK_EQ(icl_predict(x, qs, &y), ICL_OK);
  answer64(want, &c, s.params, 256, qs);
  CHECK_NEAR(y, want[0], 1e-4);
  CHECK_EQ(icl_predict_quantiles(x, 1, qs, q), ICL_OK);
  for (j = 1; j < 6; j++) CHECK(q[0] <= (float)want[j] + 1e-4f && q[4] >= (float)want[j] - 1e-4f);
  for (j = 0; j < 3; j++) {                                  /* each at the place of an x */
    CHECK_EQ(icl_rewind(x, 255 - j), ICL_OK);
    CHECK_EQ(icl_predict(x, qs + 2 * j, &y), ICL_OK);
    answer64(want, &c, s.params, 255 - j, qs + 2 * j);
    CHECK_NEAR(y, want[0], 1e-4);
  }
  icl_ctx_delete(x);
  free_subject(&s);
}

TEST(most_pairs_of_a_model)
{
  static const struct { icl_position type; int n_positions, pairs; } cases[] = {
    {ICL_POSITION_LEARNED, 1, 0}, {ICL_POSITION_LEARNED, 2, 0}, {ICL_POSITION_LEARNED, 3, 1},
    {ICL_POSITION_LEARNED, 8, 3}, {ICL_POSITION_LEARNED, 9, 4},
    {ICL_POSITION_LEARNED, 1 << 24, 1 << 22},
    {ICL_POSITION_SINUSOIDAL, 9, 49999}, {ICL_POSITION_NONE, 9, 1 << 22},
    {ICL_POSITION_ALTERNATING, 1, 1 << 22}
  };
  size_t i;
  CHECK_EQ(icl_max_pairs(NULL), 0);
  for (i = 0; i < COUNT(cases); i++) {
    icl_config c = config_of(1, 2, 1, 1, cases[i].type, ICL_TOKENS_JOINT, 0);
    subject s;
    c.n_positions = cases[i].n_positions > 9 ? 9 : cases[i].n_positions;
    make_subject(&s, &c, 1);
    s.m.config.n_positions = cases[i].n_positions;           /* without so many rows of weights */
    CHECK_EQ(icl_max_pairs(&s.m), cases[i].pairs);
    if (cases[i].pairs) CHECK(icl_ctx_bytes(&s.m, cases[i].pairs, 1) > 0);
    CHECK_EQ(icl_ctx_bytes(&s.m, cases[i].pairs + 1, 1), 0);
    free_subject(&s);
  }
}

/* ----- quantiles and intervals ------------------------------------------------------------------ */

/* A context of n pairs of shape 0, and its model. */
static icl_ctx *new_five(subject *s, int n, int batch)
{
  icl_config c = shape_of(0);
  icl_ctx *x;
  make_subject(s, &c, 31);
  draw_prompt(3, QUERIES);
  x = new_ctx(&s->m, PAIRS, batch, ICL_STORE_F32);
  CHECK_EQ(icl_add_batch(x, n, xs, ys), ICL_OK);
  return x;
}

static void check_interval(icl_ctx *c, float level, const float *q, int low, int high, float share)
{
  static float y[QUERIES], p[QUERIES], lo[QUERIES], hi[QUERIES];
  int i;
  CHECK_EQ(icl_predict_interval(c, QUERIES, qs, level, y, lo, hi), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, QUERIES, qs, p), ICL_OK);
  CHECK(same(y, p, QUERIES));
  for (i = 0; i < QUERIES; i++, q += 5) {
    CHECK(lo[i] <= hi[i]);
    CHECK_NEAR(lo[i], q[low] + share * (q[low + 1] - q[low]), 1e-5);
    CHECK_NEAR(hi[i], q[high] - share * (q[high] - q[high - 1]), 1e-5);
  }
}

TEST(intervals)
{
  static float q[5 * QUERIES];
  subject s;
  int batch, i, j, moved = 0;
  for (batch = 1; batch < 100; batch += 40) {
    icl_ctx *c = new_five(&s, PAIRS, batch);
    CHECK_EQ(icl_predict_quantiles(c, QUERIES, qs, q), ICL_OK);
    for (i = 0; i < QUERIES; i++)
      for (j = 1; j < 5; j++) { CHECK(q[5 * i + j - 1] <= q[5 * i + j]); moved += q[5 * i + j - 1] < q[5 * i + j]; }
    check_interval(c, 0.9f, q, 0, 4, 0);
    check_interval(c, 0.5f, q, 1, 3, 0);
    check_interval(c, 0, q, 2, 2, 0);
    check_interval(c, 0.7f, q, 0, 4, 0.5f);                  /* 0.15 of 0.05 .. 0.25 */
    check_interval(c, 0.3f, q, 1, 3, 0.4f);                  /* 0.35 of 0.25 .. 0.5 */
    icl_ctx_delete(c);
    free_subject(&s);
  }
  CHECK(moved > 4 * QUERIES);
}

/* Answers in the units of the caller: those of the scaled problem, moved and stretched. */
TEST(quantiles_in_the_callers_units)
{
  static const float mean[3] = {10, -3, 0}, std[3] = {4, 0.5f, 1};
  float x[3 * PAIRS], y[PAIRS], query[3], q[5], scaled[5], p[3], r[3];
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 8), *u;
  int i;
  u = new_ctx(&s.m, PAIRS, 8, ICL_STORE_F32);
  for (i = 0; i < 3 * PAIRS; i++) x[i] = mean[i % 3] + std[i % 3] * xs[i];
  for (i = 0; i < PAIRS; i++) y[i] = 200 + 64 * ys[i];
  for (i = 0; i < 3; i++) query[i] = mean[i] + std[i] * qs[i];
  CHECK_EQ(icl_ctx_scale(u, mean, std, 200, 64), ICL_OK);
  CHECK_EQ(icl_add_batch(u, PAIRS, x, y), ICL_OK);
  CHECK_EQ(icl_predict_quantiles(c, 1, qs, q), ICL_OK);
  CHECK_EQ(icl_predict_quantiles(u, 1, query, scaled), ICL_OK);
  for (i = 0; i < 5; i++) CHECK_NEAR(scaled[i], 200 + 64 * q[i], 5e-3);
  CHECK_EQ(icl_predict_interval(c, 1, qs, 0.5f, p, p + 1, p + 2), ICL_OK);
  CHECK_EQ(icl_predict_interval(u, 1, query, 0.5f, r, r + 1, r + 2), ICL_OK);
  for (i = 0; i < 3; i++) CHECK_NEAR(r[i], 200 + 64 * p[i], 5e-3);
  icl_ctx_delete(c);
  icl_ctx_delete(u);
  free_subject(&s);
}

/* Ends of an interval, and sums of two looks, that no float holds are no answer. */
TEST(intervals_never_say_infinity)
{
  icl_config cfg = config_of(1, 8, 1, 1, ICL_POSITION_NONE, ICL_TOKENS_APART, 0);
  float *bias, x = 1, q = 0.5f, y, lo, hi;
  icl_ctx *c, *rest;
  subject s;
  cfg.n_out = 3;
  cfg.n_quantiles = 2;
  cfg.quantiles[0] = 0.05f;
  cfg.quantiles[1] = 0.95f;
  make_subject(&s, &cfg, 1);
  memset(s.params, 0, icl_param_count(&cfg) * sizeof(float));
  bias = s.params + icl_param_count(&cfg) - 3;               /* all that the model answers */
  bias[1] = -1.5f;
  bias[2] = 1.5f;
  c = new_ctx(&s.m, 4, 1, ICL_STORE_F32);
  rest = new_ctx(&s.m, 4, 1, ICL_STORE_F32);
  CHECK_EQ(icl_ctx_scale(c, NULL, NULL, 0, 2e38f), ICL_OK);
  CHECK_EQ(icl_add(c, &x, 0), ICL_OK);
  CHECK_EQ(icl_predict_interval(c, 1, &q, 0.5f, &y, &lo, &hi), ICL_ERR_NONFINITE);
  bias[0] = 1;
  CHECK_EQ(icl_ctx_scale(rest, NULL, NULL, 0, 2e38f), ICL_OK);
  CHECK_EQ(icl_predict_refined(c, rest, 1, &q, 0, &y, NULL, NULL), ICL_ERR_NONFINITE);
  y = 42;
  CHECK_EQ(icl_predict_mean(1, &c, &rest, 1, &q, 0, &y, NULL, NULL), ICL_ERR_NONFINITE);
  CHECK(y == 42);                                            /* no part of a mean is left */
  bias[0] = 0;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_add(c, &x, 2.5e38f), ICL_OK);
  bias[0] = -1;
  CHECK_EQ(icl_refine(rest, c), ICL_ERR_NONFINITE);          /* its residual: 4.5e38 */
  CHECK_EQ(icl_count(rest), 0);
  CHECK(rest->y_scale[1] == 2e38f);
  icl_ctx_delete(c);
  icl_ctx_delete(rest);
  free_subject(&s);
}

/* icl_batch_predict has the bits of icl_predict for answers below the normal floats too. */
TEST(batches_keep_subnormal_answers)
{
  icl_config cfg = config_of(1, 8, 1, 1, ICL_POSITION_NONE, ICL_TOKENS_APART, 0);
  float x = 0.5f, zero = 0, y = 0, batched = 0;
  icl_batch *b = NULL;
  icl_ctx *c;
  subject s;
  make_subject(&s, &cfg, 1);
  memset(s.params, 0, icl_param_count(&cfg) * sizeof(float));
  s.params[icl_param_count(&cfg) - 1] = 1e-40f;              /* the read-out's bias */
  c = new_ctx(&s.m, 4, 1, ICL_STORE_F32);
  CHECK_EQ(icl_predict(c, &x, &y), ICL_OK);
  CHECK_EQ(icl_batch_new(&b, &s.m, 1, 1), ICL_OK);
  CHECK_EQ(icl_batch_predict(b, 1, &x, &zero, &batched), ICL_OK);
  CHECK(y > 0 && same(&y, &batched, 1));
  icl_batch_delete(b);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* 1 if all n floats are still what wipe made of them; wipes them again. */
static float untouched_value = 12345.678f;

static void wipe(float *v, size_t n) { while (n--) *v++ = untouched_value; }

static int untouched(const float *v, size_t n)
{
  for (; n; n--, v++) if (!same(v, &untouched_value, 1)) return 0;
  return 1;
}

TEST(quantiles_refused)
{
  static float out[8 * QUERIES];
  static const float levels[] = {0.92f, 1, 1.5f, -0.01f, -1, NAN, INFINITY};
  float *y = out, *lo = out + QUERIES, *hi = out + 2 * QUERIES;
  snapshot before;
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 8);
  size_t i;
  int at;
  before = take(c);
  wipe(out, COUNT(out));
  for (i = 0; i < COUNT(levels); i++)
    CHECK_EQ(icl_predict_interval(c, 3, qs, levels[i], y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(NULL, 3, qs, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, -1, qs, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 3, NULL, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 3, qs, 0.5f, NULL, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 3, qs, 0.5f, y, NULL, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 3, qs, 0.5f, y, lo, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(NULL, 3, qs, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, -1, qs, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, 3, NULL, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, 3, qs, NULL), ICL_ERR_ARG);
  for (at = 0; at < 3 * QUERIES; at += 3 * QUERIES / 7) {    /* in the first pass and in later ones */
    float x = qs[at];
    qs[at] = at % 2 ? NAN : -INFINITY;
    CHECK_EQ(icl_predict_quantiles(c, QUERIES, qs, out), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_predict_interval(c, QUERIES, qs, 0.5f, y, lo, hi), ICL_ERR_NONFINITE);
    qs[at] = x;
  }
  CHECK(untouched(out, COUNT(out)));
  CHECK_EQ(icl_predict_quantiles(c, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict_interval(c, 0, NULL, 0.5f, NULL, NULL, NULL), ICL_OK);
  CHECK(unchanged(c, before));
  icl_ctx_delete(c);
  free_subject(&s);
}

/* Of a model with the median alone, and of one without quantiles. */
TEST(few_quantiles)
{
  icl_config c = shape_of(2);
  float y = 0, lo = 1, hi = 2, q = 3;
  icl_ctx *x;
  subject s;
  make_subject(&s, &c, 5);
  draw_prompt(2, 4);
  x = new_ctx(&s.m, 4, 4, ICL_STORE_F32);
  CHECK_EQ(icl_add_batch(x, 4, xs, ys), ICL_OK);
  CHECK_EQ(icl_predict_quantiles(x, 1, qs, &q), ICL_OK);
  CHECK_EQ(icl_predict_interval(x, 1, qs, 0, &y, &lo, &hi), ICL_OK);
  CHECK(lo == q && hi == q && y != q);
  CHECK_EQ(icl_predict_interval(x, 1, qs, 0.01f, &y, &lo, &hi), ICL_ERR_ARG);
  icl_ctx_delete(x);
  free_subject(&s);
  c = shape_of(5);
  make_subject(&s, &c, 5);
  x = new_ctx(&s.m, 4, 4, ICL_STORE_F32);
  CHECK_EQ(icl_add_batch(x, 4, xs, ys), ICL_OK);
  wipe(&q, 1); wipe(&y, 1); wipe(&lo, 1); wipe(&hi, 1);
  CHECK_EQ(icl_predict_quantiles(x, 1, qs, &q), ICL_ERR_CONFIG);
  CHECK_EQ(icl_predict_interval(x, 1, qs, 0.5f, &y, &lo, &hi), ICL_ERR_CONFIG);
  CHECK(untouched(&q, 1) && untouched(&y, 1) && untouched(&lo, 1) && untouched(&hi, 1));
  icl_ctx_delete(x);
  free_subject(&s);
}

/* ----- pairs that are kept ---------------------------------------------------------------------- */

static void scale_somehow(icl_ctx *c)
{
  float mean[MAX_D], std[MAX_D];
  int j;
  for (j = 0; j < MAX_D; j++) { mean[j] = 0.1f * (float)j; std[j] = 0.5f + 0.25f * (float)j; }
  CHECK_EQ(icl_ctx_scale(c, mean, std, -0.5f, 1.5f), ICL_OK);
}

static void check_kept(const icl_ctx *c, int first, int n)
{
  size_t d = (size_t)c->model->config.n_dims;
  CHECK_EQ(icl_count(c), n);
  CHECK(same(icl_inputs(c), xs + (size_t)first * d, (size_t)n * d));
  CHECK(same(icl_outputs(c), ys + first, (size_t)n));
}

/* ----- refinement and mirror images ---------------------------------------------------------- */

static float answers_of[4][3 * QUERIES];

/* y, lo and hi of c and r, which may be NULL, in answers_of[k]. */
static void answer_into(int k, icl_ctx *c, icl_ctx *r)
{
  float *y = answers_of[k];
  CHECK_EQ(icl_predict_mean(1, &c, &r, QUERIES, qs, 0.9f, y, y + QUERIES, y + 2 * QUERIES), ICL_OK);
}

/* A second context of c's model and size. */
static icl_ctx *another(const icl_ctx *c) { return new_ctx(c->model, c->max_pairs, 6, ICL_STORE_F32); }

/* r holds c's pairs with what c misses at them; its answers are added, and the interval is wider by as much. */
TEST(refinement_adds_the_residuals)
{
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 6), *r = another(c);
  float at_pairs[PAIRS], rest[QUERIES], y[QUERIES], first[2 * QUERIES], second[2 * QUERIES];
  int i, rises = 0, falls = 0;
  scale_somehow(c);
  CHECK_EQ(icl_predict_batch(c, PAIRS, icl_inputs(c), at_pairs), ICL_OK);
  CHECK_EQ(icl_refine(r, c), ICL_OK);
  CHECK_EQ(icl_count(r), PAIRS);
  for (i = 0; i < PAIRS; i++) CHECK_EQ(icl_outputs(r)[i], icl_outputs(c)[i] - at_pairs[i]);
  answer_into(0, c, NULL);
  answer_into(1, c, r);
  CHECK_EQ(icl_predict_batch(r, QUERIES, qs, rest), ICL_OK);
  for (i = 0; i < QUERIES; i++) {
    CHECK_EQ(answers_of[1][i], answers_of[0][i] + rest[i]);
    CHECK_NEAR(answers_of[1][QUERIES + i], answers_of[0][QUERIES + i] + 2 * fminf(rest[i], 0), 1e-5);
    CHECK_NEAR(answers_of[1][2 * QUERIES + i], answers_of[0][2 * QUERIES + i] + 2 * fmaxf(rest[i], 0), 1e-5);
    rises |= rest[i] > 0;
    falls |= rest[i] < 0;
  }
  CHECK(rises && falls);
  CHECK_EQ(icl_predict_interval(c, QUERIES, qs, 0.5f, y, first, first + QUERIES), ICL_OK);
  CHECK_EQ(icl_predict_refined(c, r, QUERIES, qs, 0.5f, y, second, second + QUERIES), ICL_OK);
  for (i = 0; i < 2 * QUERIES; i++) CHECK_EQ(second[i], first[i] + rest[i % QUERIES]);
  CHECK_EQ(icl_refine(c, c), ICL_ERR_ARG);
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_refine(r, c), ICL_ERR_STATE);
  icl_ctx_delete(c);
  icl_ctx_delete(r);
  free_subject(&s);
}

/* An image answers as a context of negated numbers does; an image's image is the context again. */
TEST(mirror_images)
{
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 6), *m = another(c), *again = another(c);
  int d = c->model->config.n_dims, image, i;
  for (image = 0; image < 4; image++) {
    float x_sign = image & ICL_MIRROR_X ? -1.0f : 1.0f, y_sign = image & ICL_MIRROR_Y ? -1.0f : 1.0f;
    CHECK_EQ(icl_mirror(m, c, image), ICL_OK);
    CHECK_EQ(icl_mirror(again, m, image), ICL_OK);
    answer_into(0, c, NULL);
    answer_into(1, again, NULL);
    CHECK(same(answers_of[0], answers_of[1], 3 * QUERIES));
    answer_into(1, m, NULL);
    CHECK(image == 0 || !same(answers_of[0], answers_of[1], QUERIES));
    CHECK_EQ(icl_rewind(again, 0), ICL_OK);
    CHECK_EQ(icl_ctx_scale(again, NULL, NULL, 0, 1), ICL_OK);
    for (i = 0; i < PAIRS * d; i++) xs[i] *= x_sign;
    for (i = 0; i < QUERIES * d; i++) qs[i] *= x_sign;
    for (i = 0; i < PAIRS; i++) ys[i] *= y_sign;
    CHECK_EQ(icl_add_batch(again, PAIRS, xs, ys), ICL_OK);
    answer_into(2, again, NULL);
    for (i = 0; i < PAIRS * d; i++) xs[i] *= x_sign;
    for (i = 0; i < QUERIES * d; i++) qs[i] *= x_sign;
    for (i = 0; i < PAIRS; i++) ys[i] *= y_sign;
    for (i = 0; i < QUERIES; i++) {
      CHECK_EQ(answers_of[1][i], y_sign * answers_of[2][i]);
      CHECK(fabsf(answers_of[1][QUERIES + i] - y_sign * answers_of[2][(y_sign > 0 ? 1 : 2) * QUERIES + i]) <= 1e-5f);
      CHECK(answers_of[1][QUERIES + i] <= answers_of[1][2 * QUERIES + i]);
    }
  }
  icl_ctx_delete(c);
  icl_ctx_delete(m);
  icl_ctx_delete(again);
  free_subject(&s);
}

/* Surprise of c when its median and 99th percentile are -1 and `most`, whatever the number of pairs. */
static float odd(icl_ctx *c, icl_model *m, float *typical, float most)
{
  float s = 0;
  typical[0] = -1;
  typical[1] = most;
  m->typical = typical;
  m->n_typical = 1;
  CHECK_EQ(icl_surprise(c, &s), ICL_OK);
  return s;
}

/* Which images count by the rule, worked out from icl_mirror and icl_surprise. */
static int count_familiar(icl_ctx *m, const icl_ctx *c, int *kept)
{
  float own, s;
  int image, n = 1;
  CHECK_EQ(icl_surprise(c, &own), ICL_OK);
  for (image = 1; image < 4; image++) {
    CHECK_EQ(icl_mirror(m, c, image), ICL_OK);
    CHECK_EQ(icl_surprise(m, &s), ICL_OK);
    if (s <= 1 || s <= own) kept[n++] = image;
  }
  return n;
}

/* Sixteen prompts with one input that varies, and a model to which some of their images are odd. */
TEST(images_that_count)
{
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 6), *m = another(c), *cs[4];
  float typical[2];
  int i, j, k, kept[4], seen[5] = {0};
  cs[0] = c;
  for (i = 1; i < 4; i++) cs[i] = another(c);
  for (i = 0; i < 16; i++) {
    draw_prompt(3, QUERIES);
    for (j = 0; j < PAIRS; j++) xs[3 * j] = xs[3 * j + 2] = 0;
    CHECK_EQ(icl_rewind(c, 0), ICL_OK);
    CHECK_EQ(icl_add_batch(c, PAIRS, xs, ys), ICL_OK);
    odd(c, &s.m, typical, i < 12 ? -0.75f : 9.0f);
    CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
    CHECK_EQ(k, count_familiar(m, c, kept));
    seen[k]++;
    for (j = 1; j < k; j++) {
      CHECK_EQ(icl_mirror(m, c, kept[j]), ICL_OK);
      answer_into(0, m, NULL);
      answer_into(1, cs[j], NULL);
      CHECK(same(answers_of[0], answers_of[1], 3 * QUERIES));
    }
  }
  CHECK(seen[4] >= 4 && seen[4] < 16);                       /* both outcomes were there */
  s.m.n_typical = 0;
  CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
  CHECK_EQ(k, 1);                                            /* nothing says what is familiar */
  for (i = 1; i < 4; i++) icl_ctx_delete(cs[i]);
  icl_ctx_delete(c);
  icl_ctx_delete(m);
  free_subject(&s);
}

/* One image where several inputs vary, where the context is empty, and where quantiles lack symmetry;
 * errors, which leave *k alone. */
TEST(images_that_do_not_count)
{
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 6), *cs[4];
  float typical[2];
  int i, k = -1;
  cs[0] = c;
  for (i = 1; i < 4; i++) cs[i] = another(c);
  odd(c, &s.m, typical, 9.0f);
  CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
  CHECK_EQ(k, 1);
  for (i = 0; i < PAIRS; i++) xs[3 * i] = xs[3 * i + 1] = 0;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
  CHECK_EQ(k, 1);
  CHECK_EQ(icl_add_batch(c, PAIRS, xs, ys), ICL_OK);
  CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
  CHECK_EQ(k, 4);
  s.m.config.quantiles[0] = 0.1f;
  CHECK_EQ(icl_mirror_images(cs, &k), ICL_OK);
  CHECK_EQ(k, 2);                                            /* x alone may be negated */
  s.m.config.quantiles[0] = 0.05f;
  k = -1;
  CHECK_EQ(icl_mirror_images(NULL, &k), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror_images(cs, NULL), ICL_ERR_ARG);
  for (i = 1; i < 4; i++) {                                  /* what is wrong is found before any is filled */
    icl_ctx *kept = cs[i];
    int j;
    CHECK_EQ(icl_rewind(cs[i % 3 + 1], 0), ICL_OK);
    for (j = 0; j < 4; j++) {
      cs[i] = j == i ? NULL : cs[j];
      CHECK_EQ(icl_mirror_images(cs, &k), ICL_ERR_ARG);
    }
    cs[i] = new_ctx(c->model, PAIRS - 1, 6, ICL_STORE_F32);
    CHECK_EQ(icl_mirror_images(cs, &k), ICL_ERR_FULL);
    icl_ctx_delete(cs[i]);
    cs[i] = kept;
    CHECK_EQ(icl_count(cs[i % 3 + 1]), 0);
  }
  CHECK_EQ(k, -1);
  for (i = 0; i < 4; i++) icl_ctx_delete(cs[i]);
  free_subject(&s);
}

/* The mean of two contexts' answers, more queries than are asked at once. */
TEST(mean_of_contexts)
{
  subject s;
  icl_ctx *c = new_five(&s, PAIRS, 6), *m = another(c), *r = another(c), *cs[2], *rs[2];
  float y[QUERIES];
  int i;
  cs[0] = c; cs[1] = m;
  rs[0] = NULL; rs[1] = r;
  CHECK_EQ(icl_mirror(m, c, ICL_MIRROR_X), ICL_OK);
  CHECK_EQ(icl_refine(r, m), ICL_OK);
  answer_into(0, c, NULL);
  answer_into(1, m, r);
  CHECK_EQ(icl_predict_mean(2, cs, rs, QUERIES, qs, 0, y, NULL, NULL), ICL_OK);
  for (i = 0; i < QUERIES; i++)
    CHECK(fabsf(y[i] - (answers_of[0][i] + answers_of[1][i]) / 2) <= 1e-6f * (fabsf(y[i]) + 1));
  CHECK_EQ(icl_predict_mean(0, cs, rs, QUERIES, qs, 0, y, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, rs, QUERIES, qs, 0.9f, y, y, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, NULL, rs, QUERIES, qs, 0, y, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(c, c, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(m, c, 4), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(m, NULL, 1), ICL_ERR_ARG);
  icl_ctx_delete(r);
  r = new_ctx(c->model, PAIRS - 1, 6, ICL_STORE_F32);
  CHECK_EQ(icl_mirror(r, c, 1), ICL_ERR_FULL);
  CHECK_EQ(icl_refine(r, c), ICL_ERR_FULL);
  icl_ctx_delete(c);
  icl_ctx_delete(m);
  icl_ctx_delete(r);
  free_subject(&s);
}

/* What is left after forget(n) is what a context has that never saw those pairs. */
TEST(forget_equals_a_fresh_context)
{
  static const int forgotten[] = {0, 1, 5, PAIRS - 1, PAIRS};
  int i, kv;
  size_t k;
  for (i = 0; i < SHAPES; i++)
    for (kv = 0; kv < 4; kv += KV_STEP) {
      icl_config c = shape_of(i);
      subject s;
      make_subject(&s, &c, 300 + (uint32_t)i);
      draw_prompt(c.n_dims, 2 * PAIRS);
      for (k = 0; k < COUNT(forgotten); k++) {
        int n = forgotten[k];
        icl_ctx *a = new_ctx(&s.m, PAIRS, 6, (icl_storage)kv);
        icl_ctx *b = new_ctx(&s.m, PAIRS, 6, (icl_storage)kv);
        scale_somehow(a);
        scale_somehow(b);
        CHECK_EQ(icl_add_batch(a, PAIRS, xs, ys), ICL_OK);
        check_kept(a, 0, PAIRS);
        CHECK_EQ(icl_forget(a, n), ICL_OK);
        CHECK_EQ(icl_add_batch(b, PAIRS - n, xs + n * c.n_dims, ys + n), ICL_OK);
        check_kept(a, n, PAIRS - n);
        CHECK(alike(a, b));
        CHECK_EQ(icl_add_batch(a, n + 1, xs, ys), ICL_ERR_FULL);  /* room for n more */
        CHECK_EQ(icl_add_batch(a, n, xs + PAIRS * c.n_dims, ys + PAIRS), ICL_OK);
        check_kept(a, n, PAIRS);
        icl_ctx_delete(a);
        icl_ctx_delete(b);
      }
      free_subject(&s);
    }
}

TEST(forget_refused)
{
  subject s;
  icl_ctx *c = new_five(&s, 7, 8);
  icl_ctx none;
  snapshot before = take(c);
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_forget(c, 8), ICL_ERR_ARG);
  CHECK_EQ(icl_forget(c, -1), ICL_ERR_ARG);
  CHECK_EQ(icl_forget(NULL, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_forget(&none, 0), ICL_ERR_ARG);
  CHECK(unchanged(c, before));
  CHECK(icl_inputs(NULL) == NULL && icl_outputs(NULL) == NULL);
  s.params[0] = NAN;                                         /* the weights of a model in training */
  CHECK_EQ(icl_forget(c, 1), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  s.params[0] = 0.5f;
  CHECK_EQ(icl_add_batch(c, PAIRS, xs, ys), ICL_OK);
  check_kept(c, 0, PAIRS);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* ----- standardize ------------------------------------------------------------------------------ */

/* Data of every size; column j = 2 is constant, column 3 nearly. */
static void draw_data(int n, int d)
{
  static const float at[MAX_D] = {1000, -0.02f, 7, 3, 0, 5, 5, 5}, size[MAX_D] = {30, 1e-3f, 0, 1e-5f, 1e6f, 1, 1, 1};
  int i;
  for (i = 0; i < n * d; i++) xs[i] = at[i % d] + size[i % d] * uniform();
  for (i = 0; i < n; i++) ys[i] = -40 + 8 * uniform();
}

static void by_hand(float *mean, float *std, const float *v, int n, int stride)
{
  double m = 0, s = 0;
  int i;
  for (i = 0; i < n; i++) m += (double)v[i * stride] / n;
  for (i = 0; i < n; i++) s += pow((double)v[i * stride] - m, 2) / n;
  *mean = (float)m;
  *std = s > 0 ? (float)sqrt(s) : 1;
}

static int near(float a, float b, float tolerance) { return fabsf(a - b) <= tolerance * (fabsf(b) + 1e-30f); }

TEST(standardize_by_hand)
{
  icl_config c = config_of(5, 10, 2, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 3);
  float mean[5], std[5], y_mean, y_std, y, z;
  icl_ctx *a, *b;
  subject s;
  int j, n, q;
  make_subject(&s, &c, 12);
  for (n = 1; n <= PAIRS; n += 6) {
    draw_prompt(5, QUERIES);
    draw_data(PAIRS, 5);
    a = new_ctx(&s.m, PAIRS, 6, ICL_STORE_F32);
    b = new_ctx(&s.m, PAIRS, 6, ICL_STORE_F32);
    for (j = 0; j < 5; j++) by_hand(&mean[j], &std[j], xs + j, n, 5);
    by_hand(&y_mean, &y_std, ys, n, 1);
    if (n == 1) { y_std = 1; for (j = 0; j < 5; j++) std[j] = 1; }
    mean[2] = 7; std[2] = 1;                                 /* constant */
    CHECK_EQ(icl_standardize(a, n, xs, ys), ICL_OK);
    CHECK_EQ(icl_count(a), 0);
    for (j = 0; j < 5; j++) CHECK(near(a->x_mean[j], mean[j], 2e-7f) && near(a->x_std[j], std[j], 2e-6f));
    CHECK(a->x_mean[2] == 7 && a->x_std[2] == 1);
    CHECK(near(a->y_scale[0], y_mean, 2e-7f) && near(a->y_scale[1], y_std, 2e-6f));
    CHECK_EQ(icl_ctx_scale(b, a->x_mean, a->x_std, a->y_scale[0], a->y_scale[1]), ICL_OK);
    CHECK_EQ(icl_add_batch(a, PAIRS, xs, ys), ICL_OK);
    CHECK_EQ(icl_add_batch(b, PAIRS, xs, ys), ICL_OK);
    CHECK(alike(a, b));
    icl_rewind(b, 0);
    CHECK_EQ(icl_ctx_scale(b, mean, std, y_mean, y_std), ICL_OK);
    CHECK_EQ(icl_add_batch(b, PAIRS, xs, ys), ICL_OK);
    for (q = 0; q < 5; q++) {
      CHECK_EQ(icl_predict(a, xs + 5 * q, &y), ICL_OK);
      CHECK_EQ(icl_predict(b, xs + 5 * q, &z), ICL_OK);
      CHECK_NEAR(y, z, 2e-3);
    }
    icl_ctx_delete(a);
    icl_ctx_delete(b);
  }
  free_subject(&s);
}

/* Pairs that are there are added anew; NULL means those. */
TEST(standardize_with_pairs)
{
  int i, kv;
  for (i = 0; i < SHAPES; i++)
    for (kv = 0; kv < 4; kv += KV_STEP) {
      icl_config c = shape_of(i);
      icl_ctx *a, *b;
      subject s;
      make_subject(&s, &c, 400 + (uint32_t)i);
      draw_prompt(c.n_dims, PAIRS);
      draw_data(PAIRS, c.n_dims);
      a = new_ctx(&s.m, PAIRS, 6, (icl_storage)kv);
      b = new_ctx(&s.m, PAIRS, 6, (icl_storage)kv);
      CHECK_EQ(icl_standardize(b, 11, xs, ys), ICL_OK);
      CHECK_EQ(icl_add_batch(b, 11, xs, ys), ICL_OK);
      scale_somehow(a);                                      /* a guess */
      CHECK_EQ(icl_add_batch(a, 11, xs, ys), ICL_OK);
      CHECK(!alike(a, b));
      CHECK_EQ(icl_standardize(a, -3, NULL, NULL), ICL_OK);
      CHECK(alike(a, b));
      check_kept(a, 0, 11);
      CHECK_EQ(icl_standardize(a, PAIRS, xs, ys), ICL_OK);   /* of more data than pairs */
      check_kept(a, 0, 11);
      CHECK_EQ(icl_rewind(b, 0), ICL_OK);
      CHECK_EQ(icl_standardize(b, PAIRS, xs, ys), ICL_OK);
      CHECK_EQ(icl_add_batch(b, 11, xs, ys), ICL_OK);
      CHECK(alike(a, b));
      CHECK_EQ(icl_standardize(a, icl_count(a), icl_inputs(a), icl_outputs(a)), ICL_OK);
      CHECK_EQ(icl_standardize(b, 11, xs, ys), ICL_OK);
      CHECK(alike(a, b));
      icl_ctx_delete(a);
      icl_ctx_delete(b);
      free_subject(&s);
    }
}

TEST(standardize_refused)
{
  subject s;
  icl_ctx *c = new_five(&s, 7, 8), *empty = new_ctx(&s.m, 3, 1, ICL_STORE_F32);
  icl_ctx none;
  snapshot before = take(c);
  float bad[3] = {1, NAN, 2};
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_standardize(NULL, 3, xs, ys), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(&none, 3, xs, ys), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(c, 3, xs, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(c, 3, NULL, ys), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(c, 0, xs, ys), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(c, -5, xs, ys), ICL_ERR_ARG);
  CHECK_EQ(icl_standardize(c, 1, bad, ys), ICL_ERR_NONFINITE);
  bad[1] = INFINITY;
  CHECK_EQ(icl_standardize(c, 2, xs, bad), ICL_ERR_NONFINITE);
  CHECK(unchanged(c, before));
  CHECK_EQ(icl_standardize(empty, 0, NULL, NULL), ICL_ERR_ARG);
  s.params[0] = INFINITY;
  CHECK_EQ(icl_standardize(c, 0, NULL, NULL), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  icl_ctx_delete(c);
  icl_ctx_delete(empty);
  free_subject(&s);
}

/* The largest and the smallest floats: scales stay finite and above 0. */
TEST(standardize_extremes)
{
  static const float pairs[][2] = {
    {-FLT_MAX, FLT_MAX}, {FLT_MAX, FLT_MAX}, {0, 1e-44f}, {1e-38f, 2e-38f}, {0, 0}, {-0.0f, 0.0f}, {16777216, 16777218}
  };
  static const float means[] = {0, FLT_MAX, 0, 1.5e-38f, 0, 0, 16777216}, stds[] = {FLT_MAX, 1, 1, 1, 1, 1, 1};
  icl_config c = config_of(1, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 0);
  icl_ctx *x;
  subject s;
  size_t i;
  make_subject(&s, &c, 2);
  x = new_ctx(&s.m, 2, 4, ICL_STORE_F32);
  for (i = 0; i < COUNT(pairs); i++) {
    CHECK_EQ(icl_standardize(x, 2, pairs[i], pairs[i]), ICL_OK);
    CHECK_NEAR(x->x_mean[0], means[i], 1);
    CHECK(x->x_std[0] == stds[i] && x->y_scale[1] == stds[i]);
  }
  icl_ctx_delete(x);
  free_subject(&s);
}

/* ----- leave one out ---------------------------------------------------------------------------- */

/* Each of n pairs from all others, in a context of its own. */
static double left_out(const icl_ctx *like, int n)
{
  const icl_model *m = like->model;
  size_t d = (size_t)m->config.n_dims;
  double sum = 0;
  int i;
  for (i = 0; i < n; i++) {
    icl_ctx *c = new_ctx(m, n, 4, like->kv);
    float y = 0;
    double e;
    CHECK_EQ(icl_ctx_scale(c, like->x_mean, like->x_std, like->y_scale[0], like->y_scale[1]), ICL_OK);
    CHECK_EQ(icl_add_batch(c, i, xs, ys), ICL_OK);
    CHECK_EQ(icl_add_batch(c, n - 1 - i, xs + (size_t)(i + 1) * d, ys + i + 1), ICL_OK);
    CHECK_EQ(icl_predict(c, xs + (size_t)i * d, &y), ICL_OK);
    e = (double)ys[i] - (double)y;
    sum += e * e;
    icl_ctx_delete(c);
  }
  return sqrt(sum / n);
}

TEST(check_is_leave_one_out)
{
  static const int counts[] = {2, 3, 9};
  int i, kv;
  size_t k;
  for (i = 0; i < SHAPES; i++)
    for (kv = 0; kv < 4; kv += KV_STEP) {
      icl_config c = shape_of(i);
      subject s;
      icl_ctx *x;
      make_subject(&s, &c, 500 + (uint32_t)i);
      draw_prompt(c.n_dims, PAIRS);
      x = new_ctx(&s.m, 9, 5, (icl_storage)kv);
      scale_somehow(x);
      for (k = 0; k < COUNT(counts); k++) {
        float rmse = 0, y, z;
        snapshot before;
        CHECK_EQ(icl_rewind(x, 0), ICL_OK);
        CHECK_EQ(icl_add_batch(x, counts[k], xs, ys), ICL_OK);
        before = take(x);
        CHECK_EQ(icl_predict(x, qs, &y), ICL_OK);
        CHECK_EQ(icl_check(x, &rmse), ICL_OK);
        CHECK_NEAR(rmse, left_out(x, counts[k]), 1e-6);
        CHECK(rmse > 0);
        CHECK_EQ(icl_predict(x, qs, &z), ICL_OK);
        CHECK(same(&y, &z, 1));
        check_kept(x, 0, counts[k]);
        CHECK(unchanged(x, before));
      }
      icl_ctx_delete(x);
      free_subject(&s);
    }
}

TEST(check_refused)
{
  subject s;
  icl_ctx *c = new_five(&s, 2, 8);
  icl_ctx none;
  float rmse;
  memset(&none, 0, sizeof none);
  wipe(&rmse, 1);
  CHECK_EQ(icl_check(NULL, &rmse), ICL_ERR_ARG);
  CHECK_EQ(icl_check(&none, &rmse), ICL_ERR_ARG);
  CHECK_EQ(icl_check(c, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_count(c), 2);
  icl_rewind(c, 1);
  CHECK_EQ(icl_check(c, &rmse), ICL_ERR_STATE);
  CHECK_EQ(icl_count(c), 1);
  icl_rewind(c, 0);
  CHECK_EQ(icl_check(c, &rmse), ICL_ERR_STATE);
  CHECK_EQ(icl_add_batch(c, 4, xs, ys), ICL_OK);
  s.params[0] = NAN;
  CHECK_EQ(icl_check(c, &rmse), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  CHECK(untouched(&rmse, 1));
  icl_ctx_delete(c);
  free_subject(&s);
}

/* Outputs near the largest float: an error that no float holds is no number for the caller. */
TEST(check_never_says_infinity)
{
  icl_config c = config_of(1, 8, 2, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 0);
  int i, finite = 0, not_finite = 0;
  for (i = 0; i < 150; i++) {
    subject s;
    icl_ctx *x;
    float rmse = -1, one = 1;
    make_subject(&s, &c, 600 + (uint32_t)i);
    draw_prompt(1, 2);
    x = new_ctx(&s.m, 2, 4, ICL_STORE_F32);
    CHECK_EQ(icl_ctx_scale(x, NULL, &one, 0, 1.2e38f), ICL_OK);
    ys[0] = i % 2 ? FLT_MAX : -FLT_MAX;
    ys[1] = -ys[0];
    if (!icl_add_batch(x, 2, xs, ys)) {
      icl_error err = icl_check(x, &rmse);
      CHECK(err ? err == ICL_ERR_NONFINITE && rmse == -1 && icl_count(x) == 0
                : rmse >= 0 && rmse <= FLT_MAX && icl_count(x) == 2);
      finite += !err;
      not_finite += err != 0;
    }
    icl_ctx_delete(x);
    free_subject(&s);
  }
  CHECK(finite > 0 && not_finite > 0);
}

/* ----- snapshots -------------------------------------------------------------------------------- */

TEST(snapshot_keeps_the_pairs)
{
  int i, kv;
  for (i = 0; i < SHAPES; i++)
    for (kv = 0; kv < 4; kv += KV_STEP) {
      icl_config c = shape_of(i);
      icl_ctx *a, *b, *fresh;
      float one, two;
      snapshot whole;
      subject s;
      make_subject(&s, &c, 700 + (uint32_t)i);
      draw_prompt(c.n_dims, PAIRS);
      a = new_ctx(&s.m, PAIRS, 6, (icl_storage)kv);
      b = new_ctx(&s.m, 12, 3, (icl_storage)kv);
      fresh = new_ctx(&s.m, 12, 3, (icl_storage)kv);
      scale_somehow(a);
      scale_somehow(fresh);
      CHECK_EQ(icl_add_batch(a, 11, xs, ys), ICL_OK);
      whole = save(a);
      CHECK_EQ(whole.n, 32 + 8 * (size_t)c.n_dims + 11 * 4 * (size_t)(c.n_dims + 1));
      CHECK_EQ(icl_ctx_restore(b, whole.bytes, whole.n, NULL), ICL_OK);
      check_kept(b, 0, 11);
      CHECK(alike(a, b));
      CHECK_EQ(icl_check(a, &one), ICL_OK);
      CHECK_EQ(icl_check(b, &two), ICL_OK);
      CHECK(same(&one, &two, 1));
      CHECK_EQ(icl_forget(b, 4), ICL_OK);
      CHECK_EQ(icl_add_batch(fresh, 7, xs + 4 * c.n_dims, ys + 4), ICL_OK);
      CHECK(alike(b, fresh));
      CHECK_EQ(icl_standardize(b, 0, NULL, NULL), ICL_OK);
      CHECK_EQ(icl_standardize(fresh, 7, xs + 4 * c.n_dims, ys + 4), ICL_OK);
      CHECK(alike(b, fresh));
      free(whole.bytes);
      icl_ctx_delete(a);
      icl_ctx_delete(b);
      icl_ctx_delete(fresh);
      free_subject(&s);
    }
}

/* Snapshots of other versions; and inputs that are no numbers. */
TEST(snapshot_refused)
{
  subject s;
  icl_ctx *c = new_five(&s, 5, 8);
  snapshot w = save(c), before = take(c);
  icl_report r;
  size_t i, inputs = 16 + 4 * (2 * 3 + 2);
  CHECK(!memcmp(w.bytes, "ICLCTX04", 8));
  for (i = '1'; i <= '5'; i += 1 + (i == '3')) {
    w.bytes[7] = (unsigned char)i;
    seal(w);
    CHECK_EQ(icl_ctx_restore(c, w.bytes, w.n, &r), ICL_ERR_FORMAT);
    CHECK_EQ(r.offset, 6);
    CHECK_STR(r.text, "a context saved by another version: save it anew");
  }
  w.bytes[7] = '4';
  seal(w);
  CHECK_EQ(icl_ctx_restore(c, w.bytes, w.n, NULL), ICL_OK);
  for (i = 0; i < 15; i++) {                                 /* [5][3] */
    uint32_t u = icl__get32(w.bytes + inputs + 4 * i);
    float x;
    memcpy(&x, &u, 4);
    CHECK(same(&x, xs + i, 1));
    icl__put_le(w.bytes + inputs + 4 * i, i % 2 ? 0x7f800000u : 0xffc00000u, 4);
    seal(w);
    CHECK_EQ(icl_ctx_restore(c, w.bytes, w.n, NULL), ICL_ERR_NONFINITE);
    icl__put_le(w.bytes + inputs + 4 * i, u ^ 1, 4);
    CHECK_EQ(icl_ctx_restore(c, w.bytes, w.n, NULL), ICL_ERR_DIGEST);
    icl__put_le(w.bytes + inputs + 4 * i, u, 4);
  }
  CHECK(unchanged(c, before));
  free(w.bytes);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* ----- files ------------------------------------------------------------------------------------ */

typedef struct bytes { unsigned char *p; size_t n; } bytes;

static bytes written(const icl_config *c, const icl_metadata *md)
{
  float *params = (float *)need(icl_param_count(c) * sizeof(float));
  bytes b;
  seed = 77;
  draw_params(params, c);
  b.n = icl_write_bytes(c, md);
  b.p = (unsigned char *)need(b.n);
  CHECK(b.n > 0);
  CHECK_EQ(icl_write(b.p, b.n, c, params, md), ICL_OK);
  free(params);
  return b;
}

/* Where a text begins in the header; 0 and a failed check where it does not. */
static size_t find(bytes b, const char *text)
{
  size_t i, n = strlen(text), header = (size_t)icl__get64(b.p);
  for (i = 8; i + n <= 8 + header; i++) if (!memcmp(b.p + i, text, n)) return i;
  CHECK_STR("not in the header", text);
  return 0;
}

/* The file with one text of its header replaced by another, of any length. */
static bytes replaced(bytes b, const char *from, const char *to)
{
  size_t at = find(b, from), was = strlen(from), is = strlen(to);
  bytes out;
  out.n = b.n - was + is;
  out.p = (unsigned char *)need(out.n);
  memcpy(out.p, b.p, at);
  memcpy(out.p + at, to, is);
  memcpy(out.p + at + is, b.p + at + was, b.n - at - was);
  icl__put_le(out.p, icl__get64(b.p) - was + is, 8);
  return out;
}

/* What comes of a file; m's memory is m->weights' owner, to be freed by free_model. */
typedef struct opened { icl_error code; icl_report r; icl_config cfg; icl_model m; void *mem; } opened;

static opened open_file(bytes b)
{
  opened o;
  size_t n = 0;
  memset(&o, 0, sizeof o);
  o.code = icl_inspect(b.p, b.n, &o.cfg, &n, &o.r);
  o.mem = need(n);
  if (!o.code) o.code = icl_model_init(&o.m, b.p, b.n, o.mem, n, &o.r);
  return o;
}

/* The file after the edit: its code and text.  Frees nothing but what it made. */
static void check_edit(bytes b, const char *from, const char *to, icl_error code, const char *says)
{
  bytes e = replaced(b, from, to);
  opened o = open_file(e);
  int bad = test_bad;
  CHECK_EQ(o.code, code);
  if (!strncmp(o.r.text, says, strlen(says)) && o.r.text[strlen(says)] == ':')
    o.r.text[strlen(says)] = 0;                              /* the value follows */
  CHECK_STR(o.r.text, says);
  if (test_bad > bad) printf("  %s for %s\n", to, from);
  free(o.mem);
  free(e.p);
}

static void check_file(const icl_config *c, const icl_metadata *md)
{
  bytes b = written(c, md);
  opened o = open_file(b);
  float *params = (float *)need(icl_param_count(c) * sizeof(float));
  float *back = (float *)need(icl_param_count(c) * sizeof(float));
  CHECK_EQ(o.code, ICL_OK);
  CHECK_STR(o.r.text, "");
  if (!o.code) {
    CHECK(!memcmp(&o.cfg, c, sizeof *c) && !memcmp(&o.m.config, c, sizeof *c));
    CHECK_EQ(o.m.verified, 1);
    CHECK_STR(o.m.task, md->task ? md->task : "");
    CHECK_STR(o.m.sampling, md->sampling ? md->sampling : "");
    CHECK_STR(o.m.recipe, md->recipe ? md->recipe : "");
    CHECK_EQ(o.m.n_typical, md->typical ? 2 : 0);
    CHECK_EQ(icl_model_params(&o.m, back), ICL_OK);
    seed = 77;
    draw_params(params, c);
    if (md->storage == ICL_STORE_F32) CHECK(same(params, back, icl_param_count(c)));
  }
  free(params);
  free(back);
  free(o.mem);
  free(b.p);
}

TEST(files_round_trip)
{
  static const int counts[] = {0, 1, 5, 15};
  static const char *const texts[] = {NULL, "", "inputs=data order=1", "~!#$%&'()*+,-./:;<=>?@[]^_`{|}"};
  int position, tokens, k = 0;
  size_t q;
  for (position = 0; position < 4; position++)
    for (tokens = 0; tokens < 2; tokens++)
      for (q = 0; q < COUNT(counts); q++) {
        int storage;
        for (storage = 0; storage < 4; storage++, k++) {
          icl_config c = config_of(1 + k % 3, 8, 2, 1 + k % 2, (icl_position)position, (icl_tokens)tokens, counts[q]);
          icl_metadata md;
          memset(&md, 0, sizeof md);
          md.storage = (icl_storage)storage;
          md.task = texts[k % 4];
          md.sampling = texts[(k + 1) % 4];
          md.recipe = texts[(k / 2) % 4];
          md.typical = k % 3 ? NULL : "-9 20 -11 15";
          check_file(&c, &md);
        }
      }
}

/* Every level between 0 and 1 can be written, and comes back to the bit. */
TEST(levels_that_are_hard_to_write)
{
  static const float levels[] = {1e-44f, 1.17549435e-38f, 1e-10f, 1.23456789e-6f, 0.0012345678f, 0.0098765432f,
    0.1f, 0.12345678f, 1 / 3.0f, 0.4999999702f, 0.5f, 0.96f, 0.999f, 0.9999999f, 0.99999994f};
  icl_config c = config_of(1, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 15);
  icl_metadata md;
  bytes b;
  int i;
  memset(&md, 0, sizeof md);
  memcpy(c.quantiles, levels, sizeof levels);
  check_file(&c, &md);
  c = config_of(1, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 1);
  for (seed = 3, i = 0; i < 400 / EVERY; i++) {
    uint32_t u = 1 + (draw() << 8 ^ draw()) % 0x3f7fffffu;   /* any float between 0 and 1 */
    memcpy(&c.quantiles[0], &u, 4);
    check_file(&c, &md);
  }
  c = with_five(config_of(1, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5));
  b = written(&c, &md);
  CHECK(find(b, "\"icl.quantiles\":\"0.05,0.25,0.5,0.75,0.95\"") > 0);
  CHECK(find(b, "\"icl.tokens\":\"joint\"") > 0 && find(b, "\"position_embedding_type\":\"alternating\"") > 0);
  free(b.p);
}

/* Joint tokens, alternating positions and five quantiles, without a digest. */
static bytes full_file(void)
{
  icl_config c = with_five(config_of(2, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5));
  icl_metadata md;
  bytes b, out;
  memset(&md, 0, sizeof md);
  md.task = "dense";
  md.sampling = "inputs=data";
  md.recipe = "steps=8000";
  b = written(&c, &md);
  out = replaced(b, "icl.digest", "xcl.digest");
  free(b.p);
  return out;
}

static void check_values(bytes b, const char *key, const char *value, const char *const *bad, size_t n)
{
  char from[200], to[200], says[80];
  size_t i;
  sprintf(from, "\"%s\":\"%s\"", key, value);
  sprintf(says, "bad value of '%s'", key);
  for (i = 0; i < n; i++) {
    sprintf(to, "\"%s\":\"%s\"", key, bad[i]);
    check_edit(b, from, to, ICL_ERR_CONFIG, says);
  }
}

static const char all_levels[] = "0.05,0.25,0.5,0.75,0.95";

TEST(bad_values_of_new_keys)
{
  static const char *const quantiles[] = {"", ",", "0", "1", "a", "0.25,0.05,0.5,0.75,0.95", "0.05,0.05,0.5,0.75,0.95",
    "0,0.25,0.5,0.75,0.95", "0.05,0.25,0.5,0.75,1", "0.05,0.25,0.5,0.75,1.5", "-0.05,0.25,0.5,0.75,0.95",
    "0.05,0.25,0.5,0.75,0.95,", ",0.05,0.25,0.5,0.75,0.95", "0.05,,0.25,0.5,0.75", "0.05;0.25;0.5;0.75;0.95",
    "0.05, 0.25, 0.5, 0.75, 0.95", "a,b,c,d,e", "0.05,0.25,0.5,0.75,nan", "0.05,0.25,0.5,0.75,inf", "0.05,0.25,0.5,0.75,0.95x",
    ".01,.02,.03,.04,.05,.06,.07,.08,.09,.1,.11,.12,.13,.14,.15,.16"};
  static const char *const tokens[] = {"", "Joint", "joint ", "both", "1"};
  static const char *const positions[] = {"", "Alternating", "alternate", "alternating "};
  bytes b = full_file();
  check_edit(b, "dense", "dense", ICL_OK, "");
  check_edit(b, all_levels, ".05,.25,5e-1,0.7500,0.95", ICL_OK, "");
  check_values(b, "icl.quantiles", all_levels, quantiles, COUNT(quantiles));
  check_values(b, "icl.tokens", "joint", tokens, COUNT(tokens));
  check_values(b, "position_embedding_type", "alternating", positions, COUNT(positions));
  free(b.p);
}

/* Values that are fine by themselves, of a file that is another. */
TEST(values_that_contradict_the_tensors)
{
  icl_config c;
  icl_metadata md;
  bytes b = full_file(), e;
  opened o;
  memset(&md, 0, sizeof md);
  check_edit(b, all_levels, "0.05,0.25,0.5,0.75", ICL_ERR_CONFIG, "read-out width is not 1 + quantiles");
  check_edit(b, all_levels, "0.05,0.25,0.5,0.75,0.95,0.99", ICL_ERR_CONFIG, "read-out width is not 1 + quantiles");
  check_edit(b, "icl.quantiles", "xcl.quantiles", ICL_ERR_CONFIG, "read-out width is neither 1 nor n_dims");
  check_edit(b, "\"alternating\"", "\"none\"", ICL_ERR_CONFIG, "there is a wpe tensor in spite of 'position_embedding_type'");
  check_edit(b, "\"n_positions\":\"9\",", "", ICL_OK, "");
  e = replaced(b, "\"n_positions\":\"9\",", "");
  o = open_file(e);
  CHECK_EQ(o.cfg.n_positions, 1 << 24);
  free(o.mem);
  free(e.p);
  e = replaced(b, "\"icl.tokens\":\"joint\",", "");           /* as if there were an input more */
  o = open_file(e);
  CHECK_EQ(o.code, ICL_OK);
  CHECK(o.cfg.n_dims == 3 && o.cfg.tokens == ICL_TOKENS_APART && o.m.verified == 0);
  free(o.mem);
  free(e.p);
  check_edit(b, "\"joint\"", "\"apart\"", ICL_OK, "");
  free(b.p);
  c = config_of(1, 4, 1, 1, ICL_POSITION_NONE, ICL_TOKENS_APART, 0);
  b = written(&c, &md);                                      /* one column, and y wants one more */
  check_edit(b, "\"n_head\"", "\"icl.tokens\":\"joint\",\"n_head\"", ICL_ERR_CONFIG, "a size is below 1");
  check_edit(b, "\"none\"", "\"alternating\"", ICL_ERR_TENSOR, "missing tensor '_backbone.wpe.weight'");
  free(b.p);
  c = config_of(1, 4, 1, 1, ICL_POSITION_LEARNED, ICL_TOKENS_APART, 0);
  c.n_positions = 3;
  b = written(&c, &md);
  check_edit(b, "\"absolute\"", "\"alternating\"", ICL_ERR_TENSOR, "wrong shape: '_backbone.wpe.weight'");
  free(b.p);
  c.n_positions = 2;                                         /* two rows: the type alone tells */
  b = written(&c, &md);
  check_edit(b, "\"absolute\"", "\"alternating\"", ICL_ERR_DIGEST, "data or configuration changed since 'icl.digest'");
  free(b.p);
}

TEST(configurations_refused)
{
  icl_config c = with_five(config_of(2, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5)), good = c;
  static const float bad[] = {0, 0.25f, 0.5f, 0.05f, -1, NAN};
  icl_report r;
  size_t i;
  CHECK_EQ(icl_config_check(&c, &r), ICL_OK);
  CHECK_EQ(icl_tensor_count(&c), 7 + 12);
  CHECK_EQ(icl_param_count(&c), 4 * 3 + 4 + 2 * 4 + (4 * 12 + 12 + 16 + 4 + 2 * 64 + 16 + 4 + 16) + 8 + 6 * 4 + 6);
  for (i = 0; i < COUNT(bad); i++) {
    c.quantiles[i < 2 ? 0 : 1] = bad[i];
    CHECK_EQ(icl_config_check(&c, &r), ICL_ERR_CONFIG);
    CHECK_STR(r.text, "not rising levels between 0 and 1: 'quantiles'");
    c = good;
  }
  c.quantiles[4] = 1;
  CHECK_EQ(icl_config_check(&c, NULL), ICL_ERR_CONFIG);
  c = good; c.n_quantiles = 16; c.n_out = 17;
  CHECK_EQ(icl_config_check(&c, NULL), ICL_ERR_CONFIG);
  c = good; c.n_quantiles = -1;
  CHECK_EQ(icl_config_check(&c, NULL), ICL_ERR_CONFIG);
  c = good; c.n_out = 5;
  CHECK_EQ(icl_config_check(&c, &r), ICL_ERR_CONFIG);
  CHECK_STR(r.text, "read-out width is not 1 + quantiles");
  c = good; c.tokens = (icl_tokens)2;
  CHECK_EQ(icl_config_check(&c, &r), ICL_ERR_CONFIG);
  CHECK_STR(r.text, "unknown 'tokens'");
  CHECK_EQ(icl_write_bytes(&c, NULL), 0);
}

/* All that a file says of how the model came about belongs to what is verified. */
TEST(digest_covers_the_metadata)
{
  static const char says[] = "data or configuration changed since 'icl.digest'";
  icl_config c = with_five(config_of(2, 4, 1, 1, ICL_POSITION_ALTERNATING, ICL_TOKENS_JOINT, 5));
  icl_metadata md;
  bytes b;
  memset(&md, 0, sizeof md);
  md.task = "dense";
  md.sampling = "inputs=data";
  md.recipe = "steps=8000";
  md.typical = "-9 20";
  b = written(&c, &md);
  check_edit(b, "dense", "tense", ICL_ERR_DIGEST, says);
  check_edit(b, "inputs=data", "inputs=datb", ICL_ERR_DIGEST, says);
  check_edit(b, "inputs=data", "inputs=dat", ICL_ERR_DIGEST, says);
  check_edit(b, "steps=8000", "steps=9000", ICL_ERR_DIGEST, says);
  check_edit(b, "steps=8000", "", ICL_ERR_DIGEST, says);
  check_edit(b, "\"icl.sampling\":\"inputs=data\",", "", ICL_ERR_DIGEST, says);
  check_edit(b, "\"icl.recipe\":\"steps=8000\",", "", ICL_ERR_DIGEST, says);
  check_edit(b, "icl.sampling\":\"inputs=data\",\"icl.recipe\":\"steps=8000", "icl.sampling\":\"inputs=datas\",\"icl.recipe\":\"teps=8000",
             ICL_ERR_DIGEST, says);
  check_edit(b, "0.75", "0.76", ICL_ERR_DIGEST, says);
  check_edit(b, "\"joint\"", "\"apart\"", ICL_ERR_DIGEST, says);
  check_edit(b, "icl.version", "icl.vvrsion", ICL_OK, "");
  free(b.p);
  md.sampling = "inputs=dorder=on";                    /* whole words of the digest: only lengths tell */
  md.recipe = "steps=80";
  b = written(&c, &md);
  check_edit(b, "dorder=on\",\"icl.recipe\":\"", "d\",\"icl.recipe\":\"order=on", ICL_ERR_DIGEST, says);
  check_edit(b, "on\",\"icl.recipe\":\"steps=80", "onsteps=80\",\"icl.recipe\":\"", ICL_ERR_DIGEST, says);
  free(b.p);
}

TEST(texts_refused)
{
  static const char *const bad[] = {"a\"b", "a\\b", "\n", "\x7f", "\xc3\xa9"};
  icl_config c = config_of(2, 4, 1, 1, ICL_POSITION_NONE, ICL_TOKENS_APART, 0);
  size_t i;
  for (i = 0; i < COUNT(bad); i++) {
    icl_metadata md;
    memset(&md, 0, sizeof md);
    CHECK(icl_write_bytes(&c, &md) > 0);
    md.sampling = bad[i];
    CHECK_EQ(icl_write_bytes(&c, &md), 0);
    md.sampling = NULL;
    md.recipe = bad[i];
    CHECK_EQ(icl_write_bytes(&c, &md), 0);
  }
}

/* Digests that were written before there were tokens, quantiles, sampling and recipe. */
TEST(files_of_before)
{
  static const char *const digests[4] = {"374057db8042eb29", "0a9ea1df74de1ec6", "6106fb51c277e093", "570c2fc8d6993f6a"};
  static float p[1000];
  unsigned char buf[4096];
  int k;
  for (k = 0; k < 4; k++) {
    icl_config c = config_of(2, 4, 2, 1, (icl_position)(k % 3), ICL_TOKENS_APART, 0);
    char line[40];
    icl_metadata md;
    bytes b;
    opened o;
    size_t i;
    memset(&md, 0, sizeof md);
    c.n_positions = 5;
    c.n_out = k % 2 ? 2 : 1;
    c.activation_function = (icl_activation)(k % 3);
    md.task = k ? "0.5*dense + 0.5*sparse(nnz=2)" : NULL;
    md.typical = k > 1 ? "-900 2000 -1100 1500" : NULL;
    md.storage = (icl_storage)k;
    for (i = 0; i < icl_param_count(&c); i++) p[i] = (float)((int)(i * 37 % 101) - 50) / 64.0f;
    b.p = buf;
    b.n = icl_write_bytes(&c, &md);
    CHECK(b.n < sizeof buf);
    CHECK_EQ(icl_write(b.p, sizeof buf, &c, p, &md), ICL_OK);
    sprintf(line, "\"icl.digest\":\"%s\"", digests[k]);
    CHECK(find(b, line) > 0);
    o = open_file(b);
    CHECK(o.code == ICL_OK && o.m.verified);
    CHECK_STR(o.m.sampling, "");
    CHECK_STR(o.m.recipe, "");
    CHECK_EQ(o.cfg.tokens, ICL_TOKENS_APART);
    free(o.mem);
  }
}

/* ----- gradients -------------------------------------------------------------------------------- */

static icl_train_options options_of(int shape)
{
  icl_train_options o;
  memset(&o, 0, sizeof o);
  o.model = shape_of(shape);
  o.model.n_positions = 0;
  o.task = "dense";
  o.pairs = 9;
  o.batch = 5;
  o.steps = 20;
  o.lr = 1e-2f;
  o.init_sd = 0.3f;
  o.seed = 7;
  return o;
}

static icl_trainer *begin(const icl_train_options *o)
{
  icl_trainer *t = NULL;
  icl_report r;
  icl_error err = icl_trainer_new(&t, o, &r);
  CHECK_EQ(err, ICL_OK);
  if (err) { printf("cannot go on: %s\n", r.text); exit(3); }
  return t;
}

/* The loss that the gradient is of: squared errors, and pinball losses of all quantiles times 2 / Q.
 * *squared: the former alone. */
static double loss64(const icl_config *c, double *p, const float *x, const float *y, int B, int P, double *squared)
{
  static double out[32 * MAX_A];
  double sum = 0;
  int b, k, i, A = 1 + c->n_quantiles;
  *squared = 0;
  for (b = 0; b < B; b++, x += P * c->n_dims, y += P) {
    predict64(out, c, p, x, y, P);
    for (k = 0; k < P; k++) {
      double label = (double)y[k];
      *squared += pow(out[k * A] - label, 2) / (B * P);
      for (i = 0; i < c->n_quantiles; i++) {
        double e = label - out[k * A + 1 + i], level = (double)c->quantiles[i];
        sum += 2.0 / c->n_quantiles * (e > 0 ? level * e : (level - 1) * e) / (B * P);
      }
    }
  }
  return *squared + sum;
}

/* A direction of +-1 in each tensor: the gradient along it is the slope of the loss. */
static void check_tensors(icl_trainer *t, const float *x, const float *y, int B, int P)
{
  const icl_config *c = &t->o.model;
  const float *g = icl_trainer_grads(t);
  double *p = as_doubles(icl_trainer_params(t), t->n), whole = 0, squared;
  size_t k, from = 0, n;
  int i, way;
  icl_tensor row;
  for (k = 0; k < t->n; k++) whole += (double)g[k] * (double)g[k];
  whole = sqrt(whole);
  for (i = 0; i < icl_tensor_count(c); i++, from += n) {
    double slope = 0, dot = 0, norm = 0;
    uint32_t was = 5000u + (uint32_t)i;
    int bad = test_bad;
    icl_tensor_at(c, i, &row);
    n = (size_t)row.rows * (size_t)row.cols;
    for (way = -1; way <= 1; way += 2) {
      for (seed = was, k = from; k < from + n; k++) p[k] += (draw() & 1 ? way : -way) * 1e-7;
      slope += way * 5e6 * loss64(c, p, x, y, B, P, &squared);
      for (seed = was, k = from; k < from + n; k++) p[k] = (double)icl_trainer_params(t)[k];
    }
    for (seed = was, k = from; k < from + n; k++) {
      dot += (draw() & 1 ? 1 : -1) * (double)g[k];
      norm += (double)g[k] * (double)g[k];
    }
    CHECK_NEAR(dot, slope, 3e-5 * sqrt(norm) + 3e-7 * whole);
    CHECK(norm > 0);
    if (test_bad > bad) printf("  %s\n", row.name);
  }
  free(p);
}

TEST(gradient_of_the_whole_loss)
{
  int i;
  for (i = 0; i < SHAPES - 1; i++) {
    icl_train_options o = options_of(i);
    float loss, *x, *y;
    double *p, squared;
    size_t k;
    icl_trainer *t;
    o.pairs = 5 + 3 * (i % 3);
    t = begin(&o);
    x = (float *)need((size_t)(o.batch * o.pairs * o.model.n_dims) * sizeof *x);
    y = (float *)need((size_t)(o.batch * o.pairs) * sizeof *y);
    seed = 40u + (uint32_t)i;
    draw_params(icl_trainer_params(t), &t->o.model);
    for (k = 0; k < (size_t)(o.batch * o.pairs * o.model.n_dims); k++) x[k] = 1.7f * uniform();
    for (k = 0; k < (size_t)(o.batch * o.pairs); k++) y[k] = 1.7f * uniform();
    CHECK_EQ(icl_train_gradient(t, x, y, &loss), ICL_OK);
    p = as_doubles(icl_trainer_params(t), t->n);
    loss64(&t->o.model, p, x, y, o.batch, o.pairs, &squared);
    CHECK_NEAR(loss, squared, 1e-5 * squared);               /* that is reported */
    check_tensors(t, x, y, o.batch, o.pairs);
    free(p); free(x); free(y);
    icl_trainer_delete(t);
  }
}

/* Three steps on prompts as data are; what they leave behind. */
static uint64_t train_bits(icl_train_options o, int threads, size_t units)
{
  icl_trainer *t;
  uint64_t h = 0;
  int s;
  o.threads = threads;
  t = begin(&o);
  if (units) t->work.rows = icl__min(units * ICL__UNIT, t->work.rows);
  for (s = 0; s < 3; s++) {
    icl_train_info info;
    CHECK_EQ(icl_train_step(t, &info), ICL_OK);
    CHECK_EQ(info.skipped, 0);
    h = icl__digest(icl__digest(h, &info.loss, 4), &info.grad_norm, 4);
  }
  h = icl__digest(h, icl_trainer_params(t), t->n * sizeof(float));
  icl_trainer_delete(t);
  return h;
}

TEST(training_gives_the_same_bits)
{
  static const struct { int threads; size_t units; } ways[] = {{2, 0}, {3, 0}, {1, 3}, {2, 1}, {3, 1}, {3, 2}};
  uint64_t before = 0;
  size_t k;
  int i;
  for (i = 0; i < SHAPES; i++) {
    icl_train_options o = options_of(i);
    uint64_t h;
    o.batch = 7;
    o.task = "noisy(0.5*gp(length=0.5..2) + 0.5*decaying, sd=0.01..1, share=0.7, tails=0.3, hetero=0.3, outliers=0.3)";
    o.sampling.inputs = ICL_INPUTS_DATA;
    o.sampling.order = o.sampling.standardize = 1;
    h = train_bits(o, 1, 0);
    CHECK(h != before);
    before = h;
    for (k = 0; k < COUNT(ways); k++) CHECK(train_bits(o, ways[k].threads, ways[k].units) == h);
    o.sampling.order = 0;
    CHECK(train_bits(o, 1, 0) != h);
  }
}

/* Prompt i of step s is icl_prompt_sample's, with inputs, order and scale of data too. */
TEST(trainer_draws_prompts_of_data)
{
  icl_train_options o = options_of(0);
  icl_trainer *t;
  float *scratch;
  int s, i;
  o.task = "noisy(gp(ard=1) + splits(depth=1..3), sd=0.1..1, tails=0.5)";
  o.threads = 3;
  o.pairs_start = 4; o.pairs_add = 3; o.pairs_every = 1;
  o.sampling.inputs = ICL_INPUTS_DATA;
  o.sampling.order = o.sampling.standardize = 1;
  t = begin(&o);
  CHECK_EQ(t->o.model.n_out, 6);
  scratch = (float *)need(icl_prompt_scratch(&t->task) * sizeof(float));
  for (s = 0; s < 3; s++) {
    icl_train_info info;
    CHECK_EQ(icl_train_step(t, &info), ICL_OK);
    CHECK(info.skipped == 0 && info.loss > 0);
    for (i = 0; i < o.batch; i++) {
      icl_sampling how = o.sampling;
      icl_rng rng;
      size_t P = (size_t)info.pairs;
      how.dims_active = info.dims;
      icl_rng_init(&rng, 7, (uint64_t)s, (uint64_t)i);
      CHECK_EQ(icl_prompt_sample(&t->task, &how, &rng, info.pairs, xs, ys, NULL, scratch), ICL_OK);
      CHECK(same(xs, t->work.xs + (size_t)i * P * 3, P * 3) && same(ys, t->work.ys + (size_t)i * P, P));
    }
  }
  free(scratch);
  icl_trainer_delete(t);
}

TEST(options_refused)
{
  static const char *const says[] = {
    "unknown 'inputs'", "unknown 'inputs'", "order must be from 0 to 1, not 2", "order must be from 0 to 1, not -1",
    "standardize must be from 0 to 1, not 2",
    "not rising levels between 0 and 1: 'quantiles'", "not rising levels between 0 and 1: 'quantiles'", "unknown 'tokens'",
    "read-out width is not 1 + quantiles"
  };
  icl_trainer *t = NULL;
  icl_report r;
  int i;
  for (i = 0; i < (int)COUNT(says); i++) {
    icl_train_options o = options_of(0);
    switch (i) {
      case 0: o.sampling.inputs = (icl_input_kind)3; break;
      case 1: o.sampling.inputs = (icl_input_kind)-1; break;
      case 2: o.sampling.order = 2; break;
      case 3: o.sampling.order = -1; break;
      case 4: o.sampling.standardize = 2; break;
      case 5: o.model.quantiles[4] = 0.6f; break;
      case 6: o.model.n_quantiles = 16; o.model.n_out = 17; break;
      case 7: o.model.tokens = (icl_tokens)2; break;
      default: o.model.n_out = 3; break;
    }
    CHECK_EQ(icl_trainer_new(&t, &o, &r), ICL_ERR_CONFIG);
    CHECK_STR(r.text, says[i]);
  }
  CHECK(t == NULL);
  {
    icl_train_options o = options_of(0);
    o.model.n_positions = 3;                                 /* few, and more pairs: they alternate */
    o.model.n_out = 0;
    t = begin(&o);
    CHECK_EQ(t->o.model.n_out, 6);
    icl_trainer_delete(t);
  }
}

/* ----- function classes ------------------------------------------------------------------------- */

static float scratch[40000];

static icl_task parse(const char *text, int d)
{
  icl_task t;
  icl_report r;
  memset(&t, 0, sizeof t);
  if (icl_task_parse(&t, text, d, NULL, 0, &r)) CHECK_STR(r.text, text);
  CHECK(t.n_nodes > 0 && icl_prompt_scratch(&t) <= COUNT(scratch));
  return t;
}

static icl_rng rng_at(uint64_t index)
{
  icl_rng r;
  icl_rng_init(&r, 20240601, 3, index);
  return r;
}

/* Draws function number i of the task, and x[d] ~ N(0, I). */
static void draw_function(const icl_task *t, int i, float *x)
{
  icl_rng r = rng_at((uint64_t)i);
  int j;
  CHECK_EQ(icl_function_draw(scratch, t, NULL, &r), ICL_OK);
  for (j = 0; x && j < t->n_dims; j++) x[j] = icl_rng_normal(&r);
}

static const float *theta_of(const icl_task *t, int node) { return scratch + t->node[node].theta; }

/* count of n trials of probability p, within 4.5 standard deviations. */
static void check_count(double count, double n, double p)
{
  CHECK_NEAR(count, n * p, 4.5 * sqrt(n * p * (1 - p)) + 0.5);
}

/* Sums of numbers and of their squares. */
typedef struct sums { double n, one, two; } sums;

static void add_to(sums *s, double v) { s->n++; s->one += v; s->two += v * v; }
static double mean_of(const sums *s) { return s->one / s->n; }
static double error_of(const sums *s) { return sqrt((s->two / s->n - mean_of(s) * mean_of(s)) / s->n); }

/* Mean 0 and mean square from low to high, within 4.5 standard errors.  cut: where decay and peak, whose
 * rare functions are far larger, are cut off. */
TEST(class_variances)
{
  static const struct { const char *text; int d; double low, high; } cases[] = {
    {"gp", 1, 1, 1}, {"gp(length=0.2, nu=1.5)", 3, 1, 1}, {"gp(length=3, nu=2.5, ard=1)", 5, 1, 1},
    {"logistic", 1, 0.9, 1.1}, {"logistic", 4, 0.9, 1.1}, {"decay", 1, 0.7, 1}, {"decay", 3, 0.7, 1},
    {"peak", 1, 0.7, 1}, {"power", 1, 0.9, 1.2}, {"hinge", 1, 0.9, 1.1}, {"hinge(max=1)", 2, 0.9, 1.1},
    {"monotone", 1, 0.9, 1.1}, {"monotone(parts=1)", 2, 0.9, 1.1},
    {"decaying", 1, 1, 1}, {"decaying", 8, 1, 1}, {"decaying(keep=0, rate=0)", 8, 1, 1},
    {"products", 1, 3, 3}, {"products", 4, 1.5, 1.5}, {"products(terms=1)", 8, 1.25, 1.25},
    {"additive", 1, 1.2, 2}, {"additive(terms=1)", 3, 2.56, 2.56}, {"link", 1, 0.85, 1.1}, {"link", 5, 0.85, 1.1},
    {"splits", 1, 1, 1}, {"splits(depth=0)", 2, 1, 1}, {"splits(depth=6)", 5, 1, 1}
  };
  size_t k;
  for (k = 0; k < COUNT(cases); k++) {
    icl_task t = parse(cases[k].text, cases[k].d);
    sums y = {0, 0, 0}, square = {0, 0, 0};
    double cut = strstr("decay peak", cases[k].text) ? 4 : 1e9;
    int i, bad = test_bad;
    for (i = 0; i < 10000 / EVERY; i++) {
      float x[MAX_D];
      double v;
      draw_function(&t, i, x);
      v = fmax(-cut, fmin(cut, (double)icl_function_eval(scratch, x, &t)));
      add_to(&y, v);
      add_to(&square, v * v);
    }
    CHECK_NEAR(mean_of(&y), 0, 4.5 * error_of(&y));
    CHECK(mean_of(&square) >= cases[k].low - 4.5 * error_of(&square));
    CHECK(mean_of(&square) <= cases[k].high + 4.5 * error_of(&square));
    if (test_bad > bad) printf("  of %s, d = %d\n", cases[k].text, cases[k].d);
  }
}

static double dot64(const float *a, const float *b, int n)
{
  double s = 0;
  while (n--) s += (double)*a++ * (double)*b++;
  return s;
}

static double sigmoid64(double x) { return 1 / (1 + exp(-x)); }

/* The shape number k of shape_names at z, from its numbers. */
static const char *const shape_names[] = {"logistic", "decay", "peak", "power", "hinge", "monotone"};

static double shape64(int k, const double *p, double z)
{
  double y = 0, u, v;
  int i;
  switch (k) {
    case 0: return sigmoid64(p[0] * (z - p[1]));
    case 1: return exp(fmin(5, -p[0] * (z + 2))) + (p[2] != 0 ? p[2] * exp(fmin(5, -p[1] * (z + 2))) : 0);
    case 2:
      u = (z - p[0]) * p[1];
      v = (z - p[3]) * p[4];
      return p[6] > 0 ? p[2] / (1 + u * u) + p[5] / (1 + v * v) : p[2] * exp(-u * u / 2) + p[5] * exp(-v * v / 2);
    case 3:
      u = fmax(0, z - p[2]);
      return p[3] > 1 ? log(u + p[1]) : p[3] > 0 ? pow(u, p[0]) : pow(u, p[0]) / (pow(u, p[0]) + pow(p[1], p[0]));
    case 4:
      for (y = p[0] * z, i = 0; i < 5; i++) y += p[2 + 2 * i] * fmax(0, z - p[1 + 2 * i]);
      return y;
    default:
      for (i = 0; i < 4; i++) y += p[3 * i + 2] * sigmoid64(p[3 * i] * (z - p[3 * i + 1]));
      return y;
  }
}

/* f(x) = level + rise g(u.x), |u| = 1. */
TEST(shapes_by_formula)
{
  size_t k;
  for (k = 0; k < COUNT(shape_names); k++) {
    icl_task t = parse(shape_names[k], 3);
    int i, j, second = 0;
    for (i = 0; i < 400 / EVERY; i++) {
      float x[MAX_D];
      double p[12], want;
      const float *u;
      draw_function(&t, i, x);
      u = theta_of(&t, 0);
      for (j = 0; j < 12; j++) p[j] = (double)u[5 + j];
      CHECK_NEAR(dot64(u, u, 3), 1, 1e-5);
      want = (double)u[3] + (double)u[4] * shape64((int)k, p, dot64(u, x, 3));
      CHECK_NEAR(icl_function_eval(scratch, x, &t), want, 1e-4 * (1 + fabs((double)u[3]) + fabs((double)u[4])));
      second += k == 1 ? p[2] != 0 : k == 2 ? p[5] != 0 : 0;
    }
    if (k == 1 || k == 2) check_count(second, i, 0.3);
  }
}

/* Numbers of a shape lie between the class's arguments, log-uniform. */
TEST(arguments_of_shapes)
{
  static const struct { const char *text; int at; int inverse; double low, high; } cases[] = {
    {"logistic(smin=0.5, smax=8)", 0, 0, 0.5, 8}, {"decay(rmin=0.25, rmax=4)", 0, 0, 0.25, 4},
    {"decay(rmin=0.25, rmax=4)", 1, 0, 0.25, 4}, {"peak(wmin=0.05, wmax=0.8)", 1, 1, 0.05, 0.8},
    {"power(amin=0.2, amax=5)", 0, 0, 0.2, 5}
  };
  enum { N = 2000 / EVERY };
  size_t k;
  int i;
  for (k = 0; k < COUNT(cases); k++) {
    icl_task t = parse(cases[k].text, 1);
    double below = 0, middle = sqrt(cases[k].low * cases[k].high);
    for (i = 0; i < N; i++) {
      double v;
      draw_function(&t, i, NULL);
      v = (double)theta_of(&t, 0)[3 + cases[k].at];
      if (cases[k].inverse) v = 1 / v;
      CHECK(v >= cases[k].low * 0.999999 && v <= cases[k].high * 1.000001);
      below += v < middle;
    }
    check_count(below, N, 0.5);
  }
  {
    icl_task t = parse("hinge(max=3)", 1);
    int bends[4] = {0}, j;
    for (i = 0; i < N; i++) {
      int n = 0;
      draw_function(&t, i, NULL);
      for (j = 0; j < 5; j++) n += theta_of(&t, 0)[3 + 2 + 2 * j] != 0;
      CHECK(n >= 1 && n <= 3);
      bends[n]++;
    }
    for (j = 1; j < 4; j++) check_count(bends[j], N, 1 / 3.0);
  }
}

TEST(monotone_is_monotone)
{
  icl_task t = parse("monotone", 1);
  int i, j, rising = 0;
  for (i = 0; i < 200; i++) {
    float x = -4, first, last, before, y;
    draw_function(&t, i, NULL);
    first = before = icl_function_eval(scratch, &x, &t);
    x = 4;
    last = icl_function_eval(scratch, &x, &t);
    for (j = 1; j <= 40; j++, before = y) {
      x = -4 + 0.2f * (float)j;
      y = icl_function_eval(scratch, &x, &t);
      CHECK(last > first ? y >= before - 1e-5f : y <= before + 1e-5f);
    }
    rising += last > first;
  }
  check_count(rising, 200, 0.5);
}

static double gp64(const float *theta, const float *x, int d)
{
  double y = 0;
  int m;
  for (m = 0; m < 32; m++, theta += 2 + d) y += (double)theta[0] * cos(dot64(theta + 2, x, d) + (double)theta[1]);
  return y;
}

TEST(classes_by_formula)
{
  static const char *const names[] = {"gp(length=0.5, nu=1.5)", "products(terms=4)", "additive(terms=5)", "splits(depth=3)",
                                      "decaying", "link"};
  size_t k;
  for (k = 0; k < COUNT(names); k++) {
    icl_task t = parse(names[k], 3);
    int i, m;
    for (i = 0; i < 200 / EVERY; i++) {
      float x[MAX_D];
      const float *p;
      double y = 0;
      draw_function(&t, i, x);
      p = theta_of(&t, 0);
      switch (k) {
        case 0: y = gp64(p, x, 3); break;
        case 1: for (m = 0; m < 4; m++) y += (double)p[4 * m + 2] * (double)x[(int)p[4 * m]] * (double)x[(int)p[4 * m + 1]]; break;
        case 2:
          for (m = 0; m < 5; m++) {
            double u = (double)x[(int)p[4 * m]] - (double)p[4 * m + 2];
            CHECK((p[4 * m + 3] > 0) == (m % 2 == 1));
            y += (double)p[4 * m + 1] * (m % 2 ? tanh((double)p[4 * m + 3] * u) : fmax(0, u));
          }
          break;
        case 3:
          for (m = 0; m < 7;) m = 2 * m + 1 + (x[(int)p[m]] > p[7 + m]);
          y = (double)p[14 + m - 7];
          break;
        case 4: y = dot64(p, x, 3); break;
        default:
          y = (double)p[4] + (double)p[5] * exp(fmin(4, (double)p[3] * dot64(p, x, 3)));
          CHECK(p[3] >= 0.2f && p[3] <= 1);
          CHECK_NEAR(p[4] / p[5], -exp((double)p[3] * (double)p[3] / 2), 1e-4);  /* mean 0 */
      }
      CHECK_NEAR(icl_function_eval(scratch, x, &t), y, 2e-5 * (1 + fabs(y)));
    }
  }
}

/* E f(0) f(r) over functions: exp(-r^2/2) and Matern's, r in units of the length. */
TEST(gp_covariance)
{
  static const struct { const char *text; double nu; } cases[] = {
    {"gp(length=1.5)", 0}, {"gp(length=1.5, nu=0.5)", 0.5}, {"gp(length=1.5, nu=1.5)", 1.5}, {"gp(length=1.5, nu=2.5)", 2.5}
  };
  static const double far[] = {0.3, 1, 2, 3.5};
  size_t k, j;
  for (k = 0; k < COUNT(cases); k++) {
    icl_task t = parse(cases[k].text, 2);
    sums s[4];
    int i;
    memset(s, 0, sizeof s);
    for (i = 0; i < 8000 / EVERY; i++) {
      float x[2] = {0.4f, -0.9f};
      double at0;
      draw_function(&t, i, NULL);
      at0 = (double)icl_function_eval(scratch, x, &t);
      for (j = 0; j < 4; j++) {
        x[0] = 0.4f + (float)(1.5 * far[j] * 0.6);           /* in the direction (3, 4) / 5 */
        x[1] = -0.9f + (float)(1.5 * far[j] * 0.8);
        add_to(&s[j], at0 * (double)icl_function_eval(scratch, x, &t));
      }
    }
    for (j = 0; j < 4; j++) {
      double r = far[j], u = sqrt(2 * cases[k].nu) * r, want = exp(-u);
      if (cases[k].nu < 0.4) want = exp(-r * r / 2);
      if (cases[k].nu > 1) want *= 1 + u;
      if (cases[k].nu > 2) want += u * u / 3 * exp(-u);
      CHECK_NEAR(mean_of(&s[j]), want, 4.5 * error_of(&s[j]));
    }
  }
}

/* With ard half of the inputs count, and at least one. */
TEST(gp_relevance)
{
  enum { N = 3000 / EVERY, D = 4 };
  icl_task t = parse("gp(ard=1)", D), all = parse("gp", D);
  int i, j, on[D] = {0}, none = 0, lengths = 0;
  for (i = 0; i < N; i++) {
    int used = 0;
    draw_function(&t, i, NULL);
    for (j = 0; j < D; j++) {
      int is = theta_of(&t, 0)[2 + j] != 0;
      CHECK_EQ(theta_of(&t, 0)[31 * (2 + D) + 2 + j] != 0, is);
      on[j] += is;
      used += is;
    }
    none += !used;
    draw_function(&all, i, NULL);
    for (j = 0; j < D; j++) lengths += theta_of(&all, 0)[2 + j] != 0;
  }
  CHECK_EQ(none, 0);
  CHECK_EQ(lengths, N * D);
  for (j = 0; j < D; j++) check_count(on[j], N, 0.5 + 1 / 16.0 / 4);  /* 1 in 16 has none, and gets one of 4 */
}

/* All but one weight are 0 with probability 1 - keep; the norm is that of one normal number. */
TEST(decaying_weights)
{
  enum { N = 4000 / EVERY, D = 6 };
  icl_task t = parse("decaying(keep=0.7, rate=0.5)", D), flat = parse("decaying(keep=1, rate=1)", D);
  icl_task steep = parse("decaying(keep=1, rate=0)", D);
  sums fourth = {0, 0, 0}, share[2] = {{0, 0, 0}, {0, 0, 0}};
  double zeros = 0, first = 0;
  int i, j, k;
  for (i = 0; i < N; i++) {
    double norm;
    draw_function(&t, i, NULL);
    for (j = 0; j < D; j++) zeros += theta_of(&t, 0)[j] == 0;
    first += theta_of(&t, 0)[0] == 0;
    norm = dot64(theta_of(&t, 0), theta_of(&t, 0), D);
    add_to(&fourth, norm * norm);
    for (k = 0; k < 2; k++) {                                /* share of the largest weight */
      const icl_task *u = k ? &steep : &flat;
      double most = 0;
      draw_function(u, i, NULL);
      norm = dot64(theta_of(u, 0), theta_of(u, 0), D);
      for (j = 0; j < D; j++) most = fmax(most, pow((double)theta_of(u, 0)[j], 2));
      add_to(&share[k], most / norm);
    }
  }
  check_count(zeros, N * (D - 1), 0.3);
  check_count(first, N, 0.3 * 5 / 6);                        /* in random order */
  CHECK_NEAR(mean_of(&fourth), 3, 4.5 * error_of(&fourth));
  CHECK(mean_of(&share[1]) > mean_of(&share[0]) + 0.15);
}

/* Thresholds N(0, 0.7^2), inputs and leaves: not those of tree, which splits at 0. */
TEST(splits_thresholds)
{
  enum { N = 1000 };
  icl_task t = parse("splits(depth=2)", 3);
  sums cut = {0, 0, 0}, leaf = {0, 0, 0};
  int i, j, input[3] = {0};
  for (i = 0; i < N; i++) {
    const float *p = theta_of(&t, 0);
    draw_function(&t, i, NULL);
    for (j = 0; j < 3; j++) { input[(int)p[j]]++; add_to(&cut, (double)p[3 + j] * (double)p[3 + j]); }
    for (j = 0; j < 4; j++) add_to(&leaf, (double)p[6 + j] * (double)p[6 + j]);
  }
  for (j = 0; j < 3; j++) check_count(input[j], 3 * N, 1 / 3.0);
  CHECK_NEAR(mean_of(&cut), 0.49, 4.5 * error_of(&cut));
  CHECK_NEAR(mean_of(&leaf), 1, 4.5 * error_of(&leaf));
}

/* Classes leave inputs alone that the curriculum has not reached. */
TEST(inactive_inputs)
{
  static const char *const names[] = {"gp", "gp(ard=1)", "logistic", "hinge", "decaying", "products", "additive", "link", "splits"};
  icl_sampling opt;
  size_t k;
  memset(&opt, 0, sizeof opt);
  opt.dims_active = 2;
  for (k = 0; k < COUNT(names); k++) {
    icl_task t = parse(names[k], 5);
    int i, j;
    for (i = 0; i < 60; i++) {
      icl_rng r = rng_at((uint64_t)i);
      float x[5] = {0.3f, -1.2f, 0, 0, 0}, y;
      icl_function_draw(scratch, &t, &opt, &r);
      y = icl_function_eval(scratch, x, &t);
      for (j = 2; j < 5; j++) x[j] = 1 + icl_rng_normal(&r);
      CHECK(icl_function_eval(scratch, x, &t) == y);
    }
  }
}

/* ----- ranges of arguments ---------------------------------------------------------------------- */

/* Printed as it was read, and read again as it was printed. */
static void check_printed(const char *text, const char *expected)
{
  char one[600], two[600];
  icl_task t = parse(text, 6);
  icl_task_print(&t, one, sizeof one);
  CHECK_STR(one, expected);
  t = parse(one, 6);
  icl_task_print(&t, two, sizeof two);
  CHECK_STR(two, one);
}

TEST(ranges_in_print)
{
  check_printed("noisy(sd = 0.01..2)", "noisy(dense, sd=0.01..2, renorm=0)");
  check_printed("noisy(gp(length=0.15..4), sd=0..1, share=0.65..0.7, tails=0.2, hetero=0, outliers=0.1)",
                "noisy(gp(length=0.15..4, nu=0, ard=0), sd=0..1, renorm=0, share=0.65..0.7, tails=0.2, hetero=0, outliers=0.1)");
  check_printed("sparse(nnz=1..3)+0.5*poly(degree=2..12)", "sparse(nnz=1..3) + 0.5*poly(degree=2..12)");
  check_printed("saturate(x0=-3..-1.5)", "saturate(tmin=0.3, tmax=3, x0=-3..-1.5)");
  check_printed("wave(fmin=.05...5, fmax=5e-1..1e0)", "wave(fmin=0.05..0.5, fmax=0.5..1, offset=1)");
  check_printed("noisy(dense, sd = 5 .. 6.25)", "noisy(dense, sd=5..6.25, renorm=0)");
  check_printed("noisy(dense, sd=5..6.25)", "noisy(dense, sd=5..6.25, renorm=0)");
  check_printed("noisy(dense, sd=0.5, share=1, hetero=1)", "noisy(dense, sd=0.5, renorm=0, share=1, hetero=1)");
}

TEST(ranges_refused)
{
  static const struct { const char *text; int at; const char *says; } bad[] = {
    {"noisy(sd=2..1)", 12, "a range must rise: '1'"},
    {"noisy(sd=1..1)", 12, "a range must rise: '1'"},
    {"noisy(sd=1..1001)", 12, "sd must be a number from 0 to 1000, not '1001'"},
    {"noisy(sd=-1..1)", 9, "sd must be a number from 0 to 1000, not '-1..1'"},
    {"noisy(sd=1..)", 12, "sd must be a number from 0 to 1000, not ')'"},
    {"noisy(sd=1..x)", 12, "sd must be a number from 0 to 1000, not 'x'"},
    {"noisy(sd=1.2)", -1, ""},
    {"sparse(nnz=1..2.5)", 14, "nnz must be a whole number from 0 to 6, not '2.5'"},
    {"sparse(nnz=1..7)", 14, "nnz must be a whole number from 0 to 6, not '7'"},
    {"noisy(share=0.5..1.5)", 17, "share must be a number from 0 to 1, not '1.5'"},
    {"convex(dense, tree, alpha=0.2..0.8)", 29, "alpha cannot be a range; leave it out: '..0.8'"},
    {"wave(fmin=0.1..2, fmax=1)", 0, "the arguments contradict each other: 'wave'"},
    {"wave(fmin=0.1..2, fmax=1..3)", 0, "the arguments contradict each other: 'wave'"},
    {"tree + logistic(smin=1, smax=0.5..2)", 7, "the arguments contradict each other: 'logistic'"},
    {"peak(wmin=0.5..1.5, wmax=1..2)", 0, "the arguments contradict each other: 'peak'"},
    {"decay(rmin=4)", 0, "the arguments contradict each other: 'decay'"},
    {"noisy(sd=0.1..2, sd=1)", 17, "given twice: 'sd'"},
    {"0.1..2*dense", 3, "expected * after a weight, not '..2'"}
  };
  size_t i;
  for (i = 0; i < COUNT(bad); i++) {
    icl_task t;
    icl_report r;
    int failed = test_bad;
    CHECK_EQ(icl_task_parse(&t, bad[i].text, 6, NULL, 0, &r), bad[i].at < 0 ? ICL_OK : ICL_ERR_CONFIG);
    CHECK_STR(r.text, bad[i].says);
    if (bad[i].at >= 0) CHECK_EQ(r.offset, bad[i].at);
    if (test_bad > failed) printf("  of %s\n", bad[i].text);
  }
}

TEST(ranges_are_drawn)
{
  enum { N = 4000 };
  icl_task up = parse("noisy(dense, sd=0.01..1)", 2), flat = parse("noisy(dense, sd=0..2)", 2);
  icl_task whole = parse("poly(degree=1..4)", 1), sparse = parse("garg(sparse(nnz=1..3))", 6);
  icl_task renorm = parse("noisy(dense, sd=0.2..3, renorm=1)", 1);
  int i, j, nnz[4] = {0}, degree[5] = {0};
  double tenth = 0, half = 0, quarter = 0;
  sums square = {0, 0, 0};
  for (i = 0; i < N; i++) {
    float x[6] = {0}, y[5], sd, b = 0;
    icl_rng r;
    draw_function(&up, i, NULL);
    sd = icl_function_noise(scratch);
    CHECK(sd >= 0.01f && sd <= 1);
    tenth += sd < 0.1f;
    quarter += sd < 0.0316228f;
    draw_function(&flat, i, NULL);
    sd = icl_function_noise(scratch);
    CHECK(sd >= 0 && sd <= 2);
    half += sd < 0.5f;
    draw_function(&sparse, i, NULL);
    for (nnz[0] = 0, j = 0; j < 6; j++) {
      x[j] = 1;
      if (icl_function_eval(scratch, x, &sparse) != 0) { nnz[0]++; b = icl_function_eval(scratch, x, &sparse); }
      x[j] = 0;
    }
    CHECK(nnz[0] >= 1 && nnz[0] <= 3 && b != 0);
    nnz[nnz[0]]++;
    draw_function(&whole, i, NULL);
    for (j = 0; j < 5; j++) { x[0] = (float)j - 2; y[j] = icl_function_eval(scratch, x, &whole); }
    degree[fabsf(y[0] - 4 * y[1] + 6 * y[2] - 4 * y[3] + y[4]) > 1e-3f ? 4 :
           fabsf(y[0] - 2 * y[1] + 2 * y[3] - y[4]) > 1e-3f ? 3 : fabsf(y[1] - 2 * y[2] + y[3]) > 1e-3f ? 2 : 1]++;
    r = rng_at((uint64_t)i);
    CHECK_EQ(icl_prompt_sample(&renorm, NULL, &r, 1, x, y, NULL, scratch), ICL_OK);
    add_to(&square, (double)y[0] * (double)y[0]);
  }
  check_count(tenth, N, 0.5);
  check_count(quarter, N, 0.25);
  check_count(half, N, 0.25);
  for (j = 1; j < 4; j++) check_count(nnz[j], N, 1 / 3.0);
  for (j = 1; j < 5; j++) CHECK_NEAR(degree[j], N / 4.0, 0.02 * N);  /* a coefficient may be small */
  CHECK_NEAR(mean_of(&square), 1, 4.5 * error_of(&square));
}

/* garg's factor and the size of a function follow the argument that was drawn. */
TEST(ranges_inside_of_others)
{
  icl_task t = parse("garg(sparse(nnz=1..3))", 6), relu = parse("relu(hidden=1..50)", 3);
  sums square = {0, 0, 0}, net = {0, 0, 0};
  int i;
  CHECK_EQ(icl_prompt_scratch(&relu), ICL__F_HEAD + 1 + ICL_MAX_ARGS + 50 * 4);
  for (i = 0; i < 6000; i++) {
    float x[MAX_D];
    double y;
    draw_function(&t, i, x);
    y = (double)icl_function_eval(scratch, x, &t);
    add_to(&square, y * y);
    draw_function(&relu, i, x);
    y = (double)icl_function_eval(scratch, x, &relu);
    add_to(&net, y * y);
  }
  CHECK_NEAR(mean_of(&square), 2, 4.5 * error_of(&square));
  CHECK_NEAR(mean_of(&net), 1, 4.5 * error_of(&net));
}

/* ----- noise ------------------------------------------------------------------------------------ */

/* Shares of |e| above these, e = (y - f(x)) / sd of n prompts of the noise that `text` says. */
static void noise_beyond(double *shares, const double *limits, int n_limits, const char *text, int hetero, int n)
{
  icl_task t = parse(text, 2);
  int i, k;
  for (k = 0; k < n_limits; k++) shares[k] = 0;
  for (i = 0; i < n; i++) {
    icl_rng r = rng_at((uint64_t)i);
    float x[2], y, f;
    double e;
    CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 1, x, &y, NULL, scratch), ICL_OK);
    f = icl_function_eval(scratch, x, &t);
    e = ((double)y - (double)f) / (double)icl_function_noise(scratch);
    if (hetero) e /= fabs((double)f) + 0.1;
    for (k = 0; k < n_limits; k++) shares[k] += fabs(e) > limits[k];
  }
}

TEST(kinds_of_noise)
{
  enum { N = 20000 / EVERY };
  static const double z[] = {0.67449, 1.95996, 2.57583}, t3[] = {0.76489, 3.18245, 5.84091}, far[] = {4.5, 1.95996};
  double c[3];
  noise_beyond(c, z, 3, "noisy(dense, sd=0.5)", 0, N);
  check_count(c[0], N, 0.5); check_count(c[1], N, 0.05); check_count(c[2], N, 0.01);
  noise_beyond(c, t3, 3, "noisy(dense, sd=0.5, tails=1)", 0, N);
  check_count(c[0], N, 0.5); check_count(c[1], N, 0.05); check_count(c[2], N, 0.01);
  noise_beyond(c, z, 3, "noisy(dense, sd=0.5, hetero=1)", 1, N);
  check_count(c[0], N, 0.5); check_count(c[1], N, 0.05); check_count(c[2], N, 0.01);
  /* N(0, 1) + (3 + 7 u) beyond 4.5: (integral of Phi from -1.5 to 5.5) / 7 = 0.7815 */
  noise_beyond(c, far, 1, "noisy(dense, sd=0.5, outliers=1)", 0, N);
  check_count(c[0], N, 0.05 * 0.7815);
}

/* Probabilities of each kind, for a prompt. */
TEST(shares_of_noise)
{
  enum { N = 8000 };
  icl_task t = parse("noisy(dense, sd=0.5, share=0.7, tails=0.2, hetero=0.3, outliers=0.4)", 1);
  icl_task two = parse("noisy(noisy(dense, sd=3, share=0.5), sd=4, share=0.5)", 1);
  double noisy = 0, tails = 0, hetero = 0, outliers = 0, both = 0, sums_of[6] = {0};
  int i;
  for (i = 0; i < N; i++) {
    float sd;
    memset(scratch, 0xff, 100 * sizeof *scratch);            /* whatever was there */
    draw_function(&t, i, NULL);
    sd = icl_function_noise(scratch);
    CHECK(sd == 0.5f || sd == 0);
    noisy += sd > 0;
    CHECK(scratch[ICL__F_TAILS] == 0 || scratch[ICL__F_TAILS] == 1);
    tails += scratch[ICL__F_TAILS] > 0;
    hetero += scratch[ICL__F_HETERO] > 0;
    outliers += scratch[ICL__F_OUTLIERS] > 0;
    both += scratch[ICL__F_TAILS] > 0 && scratch[ICL__F_OUTLIERS] > 0;
    draw_function(&two, i, NULL);
    sd = icl_function_noise(scratch);
    CHECK(sd == 0 || sd == 3 || sd == 4 || sd == 5);
    sums_of[(int)sd]++;
  }
  check_count(noisy, N, 0.7);
  check_count(tails, N, 0.2);
  check_count(hetero, N, 0.3);
  check_count(outliers, N, 0.4);
  check_count(both, N, 0.08);
  for (i = 0; i < 6; i++) if (i == 0 || i > 2) check_count(sums_of[i], N, 0.25);
}

/* ----- prompts as data are ---------------------------------------------------------------------- */

static icl_sampling data_sampling(int order, int standardize)
{
  icl_sampling s;
  memset(&s, 0, sizeof s);
  s.inputs = ICL_INPUTS_DATA;
  s.order = order;
  s.standardize = standardize;
  return s;
}

static void sample(const icl_task *t, const icl_sampling *s, int i, int n)
{
  icl_rng r = rng_at((uint64_t)i);
  CHECK_EQ(icl_prompt_sample(t, s, &r, n, xs, ys, NULL, scratch), ICL_OK);
}

/* 1 if the first k of v have mean 0, and standard deviation 1 or are all the same. */
static int is_scaled(const float *v, int stride, int k)
{
  double m = 0, s = 0;
  int i;
  for (i = 0; i < k; i++) { m += (double)v[i * stride] / k; s += pow((double)v[i * stride], 2) / k; }
  return fabs(m) < 2e-3 && (fabs(s - 1) < 5e-3 || s < 1e-10);
}

TEST(data_are_scaled_by_their_first_pairs)
{
  static const struct { int d, n; } sizes[] = {{1, 1}, {1, 2}, {1, 3}, {1, 7}, {1, 30}, {3, 12}, {8, 40}};
  size_t z;
  for (z = 0; z < COUNT(sizes); z++) {
    icl_task t = parse("noisy(gp(length=0.5..2) + dense, sd=0.1..1, tails=0.5, outliers=0.5)", sizes[z].d);
    icl_sampling s = data_sampling(1, 1);
    int d = sizes[z].d, n = sizes[z].n, least = n < 8 ? (n + 1) / 2 : 4, i, j, k, seen[MAX_PAIRS] = {0}, kinds = 0;
    for (i = 0; i < 300 / EVERY; i++) {
      int found = 0;
      sample(&t, &s, i, n);
      for (k = least; k < n || k == least; k++) {
        int all = is_scaled(ys, 1, k);
        for (j = 0; j < d && all; j++) all &= is_scaled(xs + j, d, k);
        if (all && !found) { found = 1; seen[k]++; }
      }
      CHECK(found);
      for (j = 0; j < n * d; j++) CHECK(xs[j] >= -8 && xs[j] <= 8);
      for (j = 0; j < n; j++) CHECK(ys[j] >= -6 && ys[j] <= 6);
    }
    for (k = 0; k <= n; k++) kinds += seen[k] > 0;
    CHECK(kinds >= (n - least + 1) / 2 / EVERY && (n - least < 2 || kinds > 1));  /* k differs from prompt to prompt */
  }
}

/* Without standardize: each input has mean 0 and variance 1 over the whole prompt, times x_scale. */
TEST(data_without_standardize)
{
  icl_task t = parse("dense", 4);
  icl_sampling s = data_sampling(0, 0);
  static float x[4 * 20];
  int i, j;
  for (i = 0; i < 100; i++) {
    s.x_scale = 0;
    sample(&t, &s, i, 20);
    for (j = 0; j < 4; j++) {
      double most = 0;
      int k;
      for (k = 0; k < 20; k++) most = fmax(most, fabs((double)xs[4 * k + j]));
      CHECK(is_scaled(xs + j, 4, 20) || most > 7.9);         /* but for what is cut off */
    }
    memcpy(x, xs, sizeof x);
    s.x_scale = 3;
    sample(&t, &s, i, 20);
    for (j = 0; j < 80; j++) CHECK_NEAR(xs[j], 3 * x[j], 1e-5);
    for (j = 0; j < 20; j++) CHECK_NEAR(ys[j], icl_function_eval(scratch, xs + 4 * j, &t), 1e-6);
  }
}

/* From 1 to d inputs are there, the first ones; some are binary, some constant, some move together. */
TEST(data_inputs)
{
  enum { N = 1500, D = 5, P = 24 };
  icl_task t = parse("dense", D);
  icl_sampling s = data_sampling(0, 1);
  int i, j, k, present[D + 1] = {0}, binary = 0, related = 0, columns = 0;
  for (i = 0; i < N; i++) {
    int last = 0;
    sample(&t, &s, i, P);
    for (j = 0; j < D; j++) {
      float low = xs[j], high = xs[j];
      int values = 1, between = 0;
      for (k = 1; k < P; k++) { low = fminf(low, xs[D * k + j]); high = fmaxf(high, xs[D * k + j]); }
      for (k = 0; k < P; k++) between += xs[D * k + j] > low && xs[D * k + j] < high;
      values += high > low;
      if (high > low) { last = j + 1; columns++; }
      binary += values == 2 && !between;
      if (j && high > low && xs[0] != xs[D]) {
        double r = 0, a = 0, b = 0;
        for (k = 0; k < P; k++) { r += (double)xs[D * k] * (double)xs[D * k + j]; a += pow((double)xs[D * k], 2); b += pow((double)xs[D * k + j], 2); }
        related += fabs(r) > 0.7 * sqrt(a * b);
      }
    }
    present[last]++;
  }
  for (j = 1; j <= D; j++) CHECK(present[j] > N / 20);
  CHECK(present[0] < N / 20);                                /* one that is constant */
  CHECK(present[D] > N / 4);                                 /* all in a quarter, and by chance */
  CHECK(binary > columns / 25 && binary < columns / 3);
  CHECK(related > N / 20);                                   /* |r| > 0.7 of 24 by chance: 1e-4 */
}

/* 1 if the first n of v never fall (sign 1) or never rise (-1). */
static int is_sorted(const float *v, int n, float sign)
{
  int i;
  for (i = 1; i < n; i++) if (sign * v[i] < sign * v[i - 1]) return 0;
  return 1;
}

/* 1 if there are three pairs or more at the end, all beyond the range of the others. */
static int goes_beyond(const float *v, int n)
{
  int k, i;
  for (k = 4; k <= n - 3; k++) {
    float low = v[0], high = v[0], next_low = v[k], next_high = v[k];
    for (i = 0; i < n; i++)
      if (i < k) { low = fminf(low, v[i]); high = fmaxf(high, v[i]); }
      else { next_low = fminf(next_low, v[i]); next_high = fmaxf(next_high, v[i]); }
    if (next_low > high || next_high < low) return 1;
  }
  return 0;
}

static int is_nearest_first(const float *v, int n)
{
  int i;
  for (i = 1; i < n; i++) if (fabsf(v[i] - v[0]) < fabsf(v[i - 1] - v[0])) return 0;
  return 1;
}

TEST(orders_of_pairs)
{
  enum { N = 1500, P = 24, FIRST = 6 };
  icl_task t = parse("dense", 1);
  int order;
  for (order = 0; order < 2; order++) {
    icl_sampling s = data_sampling(order, 1);
    double rising = 0, falling = 0, beyond = 0, near_first = 0, blocks = 0;
    int i, k;
    s.inputs = ICL_INPUTS_NORMAL;                            /* no ties */
    for (i = 0; i < N; i++) {
      int up, down;
      sample(&t, &s, i, P);
      up = is_sorted(xs, FIRST, 1);
      down = is_sorted(xs, FIRST, -1);
      rising += up;
      falling += down;
      beyond += goes_beyond(xs, P);
      near_first += !up && !down && is_nearest_first(xs, FIRST);
      for (k = 2; k <= FIRST - 2; k++)                       /* two sorted blocks, the second below */
        blocks += is_sorted(xs, k, 1) && is_sorted(xs + k, FIRST - k, 1) && xs[FIRST - 1] < xs[0];
    }
    CHECK(order ? rising > 0.15 * N && rising < 0.5 * N : rising < 0.02 * N);
    CHECK(order ? falling > 0.1 * N && falling < 0.5 * N : falling < 0.02 * N);
    CHECK(order ? beyond > 0.2 * N && beyond < 0.6 * N : beyond < 0.03 * N);
    CHECK(order ? near_first > 0.02 * N : near_first < 0.02 * N);
    CHECK(order ? blocks > 0.01 * N : blocks < 0.01 * N);
  }
}

/* Order alone moves pairs, and draws no others: y is still f(x). */
TEST(order_alone)
{
  icl_task t = parse("gp", 2);
  icl_sampling s;
  sums square = {0, 0, 0};
  int i, j;
  memset(&s, 0, sizeof s);
  s.order = 1;
  for (i = 0; i < 200; i++) {
    sample(&t, &s, i, 12);
    for (j = 0; j < 12; j++) {
      CHECK(ys[j] == icl_function_eval(scratch, xs + 2 * j, &t));
      add_to(&square, (double)xs[2 * j] * (double)xs[2 * j]);
    }
  }
  CHECK_NEAR(mean_of(&square), 1, 4.5 * error_of(&square));
}

/* f has variance 1 before noise is added, whatever its size: the line 10 x under noise of 0.5 explains
 * 1 / 1.25 of y.  y_scale changes nothing. */
static int slope_size(const icl_class_call *c) { (void)c; return 1; }
static void slope_draw(float *theta, const icl_class_call *c, icl_rng *rng) { (void)c; (void)rng; theta[0] = 10; }
static float slope_eval(const float *theta, const float *x, const icl_class_call *c) { (void)c; return theta[0] * x[0]; }

TEST(noise_of_standardized_prompts)
{
  enum { N = 400, P = 60 };
  icl_class own;
  icl_sampling s = data_sampling(0, 1);
  icl_task t;
  sums explained = {0, 0, 0};
  static float y[P];
  int i, j;
  memset(&own, 0, sizeof own);
  own.name = "slope"; own.n_theta = slope_size; own.draw = slope_draw; own.eval = slope_eval;
  CHECK_EQ(icl_task_parse(&t, "noisy(slope, sd=0.5)", 1, &own, 1, NULL), ICL_OK);
  s.inputs = ICL_INPUTS_UNIFORM;
  for (i = 0; i < N; i++) {
    double xy = 0, xx = 0, yy = 0, mx = 0, my = 0;
    s.y_scale = 0;
    sample(&t, &s, i, P);
    for (j = 0; j < P; j++) { mx += (double)xs[j] / P; my += (double)ys[j] / P; }
    for (j = 0; j < P; j++) {
      xy += ((double)xs[j] - mx) * ((double)ys[j] - my);
      xx += pow((double)xs[j] - mx, 2);
      yy += pow((double)ys[j] - my, 2);
    }
    add_to(&explained, xy * xy / (xx * yy));
    memcpy(y, ys, sizeof y);
    s.y_scale = 7;
    s.x_scale = i % 2 ? 0 : 3;
    sample(&t, &s, i, P);
    for (j = 0; j < P; j++) CHECK_NEAR(ys[j], y[j], 1e-4);
    s.x_scale = 0;
  }
  CHECK_NEAR(mean_of(&explained), 0.8, 0.01);
}

/* A prompt is a function of seed, step and index: not of what memory held, or what came before. */
TEST(data_prompts_depend_on_their_place_only)
{
  static const char *const tasks[] = {"noisy(gp(length=0.5..2, ard=1) + splits(depth=1..4), sd=0.1..1, share=0.5, tails=0.5, hetero=0.5, outliers=0.5)",
    "0.5*decaying + convex(logistic + hinge + peak, additive(terms=1..6) + link) + products(terms=1..4) + power + decay + monotone"};
  static float x[30 * 4], y[30];
  int i, k;
  for (k = 0; k < 2; k++) {
    icl_task t = parse(tasks[k], 4);
    icl_sampling s = data_sampling(1, 1);
    for (i = 0; i < 100; i++) {
      memset(scratch, 0, sizeof scratch);
      memset(xs, 0, sizeof xs);
      sample(&t, &s, i, 30);
      memcpy(x, xs, sizeof x);
      memcpy(y, ys, sizeof y);
      sample(&t, &s, i + 1, 30);
      CHECK(!same(x, xs, COUNT(x)) && !same(y, ys, COUNT(y)));
      memset(scratch, 0xff, sizeof scratch);
      memset(xs, 0xff, sizeof xs);
      memset(ys, 0xff, sizeof ys);
      sample(&t, &s, i, 30);
      CHECK(same(x, xs, COUNT(x)) && same(y, ys, COUNT(y)));
    }
  }
}

TEST(sampler_refuses)
{
  icl_task t = parse("dense", 2);
  icl_rng r = rng_at(0);
  icl_sampling s = data_sampling(0, 0);
  s.inputs = (icl_input_kind)3;
  CHECK_EQ(icl_prompt_sample(&t, &s, &r, 3, xs, ys, NULL, scratch), ICL_ERR_ARG);
  s = data_sampling(2, 0);
  CHECK_EQ(icl_prompt_sample(&t, &s, &r, 3, xs, ys, NULL, scratch), ICL_ERR_ARG);
  s = data_sampling(0, -1);
  CHECK_EQ(icl_prompt_sample(&t, &s, &r, 3, xs, ys, NULL, scratch), ICL_ERR_ARG);
  s = data_sampling(1, 1);
  CHECK_EQ(icl_prompt_sample(&t, &s, &r, 0, xs, ys, NULL, scratch), ICL_OK);
}

/* A function without pairs is drawn all the same. */
TEST(prompts_of_no_pairs)
{
  icl_task t = parse("dense + sparse", 2);
  icl_rng r = rng_at(0);
  icl_sampling s = data_sampling(1, 1);
  size_t i;
  int drawn = -1;
  for (i = 0; i < icl_prompt_scratch(&t); i++) scratch[i] = 1e30f;
  CHECK_EQ(icl_prompt_sample(&t, &s, &r, 0, xs, ys, &drawn, scratch), ICL_OK);
  CHECK(drawn == 0 || drawn == 1);
}

/* ----- sampling as text ------------------------------------------------------------------------- */

TEST(sampling_round_trip)
{
  static const float scales[] = {0, 0.5f, 3, 1e-10f, 3e7f, 1.23456789f, FLT_MAX};
  static const char *const names[] = {"normal", "uniform", "data"};
  int i, k, j, flags;
  for (i = 0; i < 3; i++)
    for (k = 0; k < (int)COUNT(scales); k++)
      for (j = 0; j < (int)COUNT(scales); j++)
        for (flags = 0; flags < 4; flags++) {
          icl_sampling s = data_sampling(flags & 1, flags >> 1), back;
          char text[96], cut[10];
          size_t n;
          s.inputs = (icl_input_kind)i;
          s.x_scale = scales[k];
          s.y_scale = scales[j];
          n = icl_sampling_print(&s, text, sizeof text);
          CHECK(n == strlen(text) && n < sizeof text);
          CHECK_EQ(icl_sampling_print(&s, NULL, 0), n);
          CHECK_EQ(icl_sampling_print(&s, cut, sizeof cut), n);
          CHECK(strlen(cut) == (n < 9 ? n : 9) && !strncmp(cut, text, strlen(cut)));
          CHECK_EQ(strstr(text, names[i]) != NULL, i > 0);
          CHECK_EQ(strstr(text, "order=1") != NULL, flags & 1);
          CHECK_EQ(strstr(text, "x_scale") != NULL, k > 0);
          memset(&back, 0xff, sizeof back);
          CHECK_EQ(icl_sampling_parse(&back, text), ICL_OK);
          CHECK(!memcmp(&back, &s, sizeof s));
        }
}

TEST(sampling_texts)
{
  static const char *const bad[] = {"inputs=Data", "inputs=", "inputs", "inputs=data,order=1", "order=2", "order=0.5", "order=-1",
    "order=", "standardize=yes", "x_scale=-1", "x_scale=1x", "x_scale=1e39", "x_scale=nan", "bogus=1", "order=1 bogus=1", "=", "dims_active=2"};
  icl_sampling s, was;
  char text[40] = "untouched";
  size_t i;
  memset(&s, 0x5a, sizeof s);
  was = s;
  for (i = 0; i < COUNT(bad); i++) CHECK_EQ(icl_sampling_parse(&s, bad[i]), ICL_ERR_CONFIG);
  CHECK_EQ(icl_sampling_parse(&s, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_sampling_parse(NULL, ""), ICL_ERR_ARG);
  CHECK(!memcmp(&s, &was, sizeof s));
  CHECK_EQ(icl_sampling_parse(&s, ""), ICL_OK);
  CHECK_EQ(icl_sampling_print(&s, text, sizeof text), 0);
  CHECK_STR(text, "");
  CHECK_EQ(icl_sampling_parse(&s, "  standardize=1   inputs=data order=1 "), ICL_OK);
  icl_sampling_print(&s, text, sizeof text);
  CHECK_STR(text, "inputs=data order=1 standardize=1");
  s.inputs = (icl_input_kind)3;
  CHECK_EQ(icl_sampling_print(&s, text, sizeof text), 0);
  CHECK_STR(text, "");
  CHECK_EQ(icl_sampling_print(NULL, text, sizeof text), 0);
}

int main(void)
{
  RUN(same_bits_in_batches_and_threads);
  RUN(predictions_in_double_precision);
  RUN(alternating_positions_have_no_limit);
  RUN(most_pairs_of_a_model);
  RUN(intervals);
  RUN(quantiles_in_the_callers_units);
  RUN(intervals_never_say_infinity);
  RUN(batches_keep_subnormal_answers);
  RUN(quantiles_refused);
  RUN(few_quantiles);
  RUN(refinement_adds_the_residuals);
  RUN(mirror_images);
  RUN(images_that_count);
  RUN(images_that_do_not_count);
  RUN(mean_of_contexts);
  RUN(forget_equals_a_fresh_context);
  RUN(forget_refused);
  RUN(standardize_by_hand);
  RUN(standardize_with_pairs);
  RUN(standardize_refused);
  RUN(standardize_extremes);
  RUN(check_is_leave_one_out);
  RUN(check_refused);
  RUN(check_never_says_infinity);
  RUN(snapshot_keeps_the_pairs);
  RUN(snapshot_refused);
  RUN(files_round_trip);
  RUN(levels_that_are_hard_to_write);
  RUN(bad_values_of_new_keys);
  RUN(values_that_contradict_the_tensors);
  RUN(configurations_refused);
  RUN(digest_covers_the_metadata);
  RUN(texts_refused);
  RUN(files_of_before);
  RUN(gradient_of_the_whole_loss);
  RUN(training_gives_the_same_bits);
  RUN(trainer_draws_prompts_of_data);
  RUN(options_refused);
  RUN(class_variances);
  RUN(shapes_by_formula);
  RUN(arguments_of_shapes);
  RUN(monotone_is_monotone);
  RUN(classes_by_formula);
  RUN(gp_covariance);
  RUN(gp_relevance);
  RUN(decaying_weights);
  RUN(splits_thresholds);
  RUN(inactive_inputs);
  RUN(ranges_in_print);
  RUN(ranges_refused);
  RUN(ranges_are_drawn);
  RUN(ranges_inside_of_others);
  RUN(kinds_of_noise);
  RUN(shares_of_noise);
  RUN(data_are_scaled_by_their_first_pairs);
  RUN(data_without_standardize);
  RUN(data_inputs);
  RUN(orders_of_pairs);
  RUN(order_alone);
  RUN(noise_of_standardized_prompts);
  RUN(data_prompts_depend_on_their_place_only);
  RUN(sampler_refuses);
  RUN(prompts_of_no_pairs);
  RUN(sampling_round_trip);
  RUN(sampling_texts);
  return test_report("features");
}
