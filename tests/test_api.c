/* Contexts: what a program sees of icl.h once it has a model.  Pair by pair, in batches, or cold: the same
 * bits.  Whatever is done wrong: the right code, the context as it was, and never a number that is none. */
#define _DEFAULT_SOURCE
#include <limits.h>
#include <stdlib.h>

/* The sugar's allocations, counted, and failing on demand. */
static long blocks, allowed = -1;            /* blocks in use; calls that still succeed, -1: all      */
static int recovers;                         /* 1: only one call fails                                */

static int refuses(void)
{
  if (allowed < 0) return 0;
  if (allowed > 0) { allowed--; return 0; }
  if (recovers) allowed = -1;
  return 1;
}

static void *test_malloc(size_t size)
{
  void *p = refuses() ? NULL : malloc(size);
  blocks += p != NULL;
  return p;
}

static void *test_realloc(void *old, size_t size)
{
  void *p = refuses() ? NULL : realloc(old, size);
  blocks += p && !old;
  return p;
}

static void test_free(void *p)
{
  blocks -= p != NULL;
  free(p);
}

/* Files open as always, or on a disk that is full; are renamed, or not; removals are counted. */
#include <errno.h>
#include <stdio.h>
static int disk_is_full, rename_fails, removals;
#define ICL_RENAME(from, to) (rename_fails ? (errno = EACCES, -1) : rename(from, to))
#define ICL_REMOVE(path) (removals++, remove(path))
#define ICL_FOPEN(path, mode) fopen(disk_is_full ? "/dev/full" : path, disk_is_full ? "wb" : mode)

#define ICL_MALLOC(size) test_malloc(size)
#define ICL_REALLOC(p, size) test_realloc(p, size)
#define ICL_FREE(p) test_free(p)
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"
#include "held.h"

#if defined __unix__ || defined __APPLE__
#include <sys/mman.h>
#include <unistd.h>
#define HAVE_PAGES 1
#else
#define HAVE_PAGES 0
#endif

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* Under valgrind and emulators: a part of the longest tests, one shape in twelve of the longest of all. */
#ifdef ICL_TEST_QUICK
enum { EVERY = 12, QUICK = 1 };
#else
enum { EVERY = 1, QUICK = 0 };
#endif

static uint32_t seed = 1;

static uint32_t draw(void)
{
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

static int draw_below(int n) { return (int)(draw() % (uint32_t)n); }
static float uniform(void) { return (float)((int)(draw() & 0xffff) - 32768) / 32768.0f; }
static int same(const void *a, const void *b, size_t floats) { return memcmp(a, b, floats * sizeof(float)) == 0; }

static float from_bits(uint32_t u)
{
  float x;
  memcpy(&x, &u, 4);
  return x;
}

/* ----- models and prompts -------------------------------------------------------------------------- */

enum { MAX_D = 20, MAX_PAIRS = 160, MAX_QUERIES = 40 };

typedef struct subject { icl_model m; float *params; void *mem; } subject;

static float read_in_size = 1;               /* of the first layer's weights, against the usual       */

/* Weights that make all parts of the network matter: outputs of size 1 that depend on every input. */
static float *draw_params(const icl_config *cfg, uint32_t s)
{
  float *params = (float *)malloc(icl_param_count(cfg) * sizeof(float)), *p = params;
  icl_tensor t;
  int i;
  seed = s;
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    size_t n, k;
    float size, centre = 0;
    icl_tensor_at(cfg, i, &t);
    n = (size_t)t.rows * (size_t)t.cols;
    size = t.rank == 2 ? 1.7f / sqrtf((float)(strstr(t.name, "_read_in") || strstr(t.name, "_read_out") ? t.cols : t.rows)) : 0.3f;
    if (strstr(t.name, "_read_in.weight")) size *= read_in_size;
    if (strstr(t.name, "wpe")) size = 0.7f;
    if (strstr(t.name, "c_attn.weight")) size *= 1.5f;
    if (strstr(t.name, "ln_") && strstr(t.name, "weight")) centre = 1;
    for (k = 0; k < n; k++) *p++ = centre + size * uniform();
  }
  return params;
}

static void make_subject(subject *s, const icl_config *cfg, uint32_t with_seed)
{
  size_t n = icl_bind_bytes(cfg);
  s->params = draw_params(cfg, with_seed);
  s->mem = malloc(n);
  CHECK_EQ(icl_model_bind(&s->m, cfg, s->params, s->mem, n), ICL_OK);
}

static void free_subject(subject *s)
{
  free(s->params);
  free(s->mem);
}

/* The same through a checkpoint: with a digest, and a task and typical figures if md has them. */
typedef struct loaded { icl_model m; unsigned char *file, *mem; } loaded;

static void make_loaded(loaded *l, const icl_config *cfg, uint32_t with_seed, const icl_metadata *md)
{
  float *params = draw_params(cfg, with_seed);
  size_t n = icl_write_bytes(cfg, md), need = 0;
  l->file = (unsigned char *)malloc(n);
  CHECK_EQ(icl_write(l->file, n, cfg, params, md), ICL_OK);
  CHECK_EQ(icl_inspect(l->file, n, NULL, &need, NULL), ICL_OK);
  l->mem = (unsigned char *)malloc(need);
  CHECK_EQ(icl_model_init(&l->m, l->file, n, l->mem, need, NULL), ICL_OK);
  free(params);
}

static void free_loaded(loaded *l)
{
  free(l->file);
  free(l->mem);
}

static icl_config config_of(int C, int H, int d, int L, int position, int activation)
{
  icl_config cfg;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = d;
  cfg.n_embd = C;
  cfg.n_head = H;
  cfg.n_layer = L;
  cfg.n_positions = 2 * MAX_PAIRS + 1;
  cfg.n_out = (C + d) % 2 ? d : 1;
  cfg.position_embedding_type = (icl_position)position;
  cfg.activation_function = (icl_activation)activation;
  cfg.layer_norm_epsilon = 1e-5f;
  return cfg;
}

static float xs[MAX_PAIRS * MAX_D], ys[MAX_PAIRS], qs[MAX_QUERIES * MAX_D];

static void draw_prompt(int d)
{
  int i;
  for (i = 0; i < MAX_PAIRS * d; i++) xs[i] = 1.7f * uniform();
  for (i = 0; i < MAX_PAIRS; i++) ys[i] = 1.7f * uniform();
  for (i = 0; i < MAX_QUERIES * d; i++) qs[i] = 1.7f * uniform();
}

static const icl_ctx *shares_of;             /* what run_in_turn was called for                       */

static void run_in_turn(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  shares_of = (const icl_ctx *)user;
  while (n--) task(arg, n);
}

static icl_ctx *new_ctx(const icl_model *m, int pairs, int batch)
{
  icl_ctx *c = NULL;
  CHECK_EQ(icl_ctx_new(&c, m, pairs, batch), ICL_OK);
  if (!c) exit(3);
  return c;
}

/* ----- what the network should say ------------------------------------------------------------------ */

enum { MAX_C = 72, MAX_T = 2 * 20 + 1 };

/* A tensor of the parameters, by its name behind the layer's prefix. */
static const float *tensor(const icl_config *cfg, const float *params, int layer, const char *name)
{
  icl_tensor t;
  int i;
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    icl_tensor_at(cfg, i, &t);
    if (t.layer == layer && strlen(t.name) >= strlen(name) && !strcmp(t.name + strlen(t.name) - strlen(name), name)) return params;
    params += (size_t)t.rows * (size_t)t.cols;
  }
  return NULL;
}

static void exact_norm(double *out, const double *x, const float *gain, const float *bias, int C, double eps)
{
  double mean = 0, var = 0;
  int i;
  for (i = 0; i < C; i++) mean += x[i] / C;
  for (i = 0; i < C; i++) var += (x[i] - mean) * (x[i] - mean) / C;
  for (i = 0; i < C; i++) out[i] = (double)gain[i] * (x[i] - mean) / sqrt(var + eps) + (double)bias[i];
}

/* out[n] = x[k] w[k][n] + b */
static void exact_linear(double *out, const double *x, const float *w, const float *b, int k, int n)
{
  int i, j;
  for (j = 0; j < n; j++) out[j] = (double)b[j];
  for (i = 0; i < k; i++) for (j = 0; j < n; j++) out[j] += x[i] * (double)w[i * n + j];
}

static double exact_activation(double x, icl_activation kind)
{
  if (kind == ICL_RELU) return x > 0 ? x : 0;
  if (kind == ICL_GELU_ERF) return 0.5 * x * erfc(-x / sqrt(2.0));
  return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979324) * (x + 0.044715 * x * x * x)));
}

/* x[t] += c_proj(attention of token t over tokens 0..t) */
static void exact_attention(double (*x)[MAX_C], double (*qkv)[3 * MAX_C], const float *w, const float *b, int T, int C, int H)
{
  int t, u, h, i, D = C / H;
  for (t = 0; t < T; t++) {
    double mix[MAX_C] = {0}, out[MAX_C];
    for (h = 0; h < H; h++) {
      double p[MAX_T], sum = 0, max = -1e300;
      for (u = 0; u <= t; u++) {
        for (p[u] = 0, i = h * D; i < (h + 1) * D; i++) p[u] += qkv[t][i] * qkv[u][C + i] / sqrt(D);
        if (p[u] > max) max = p[u];
      }
      for (u = 0; u <= t; u++) sum += p[u] = exp(p[u] - max);
      for (u = 0; u <= t; u++) for (i = h * D; i < (h + 1) * D; i++) mix[i] += p[u] / sum * qkv[u][2 * C + i];
    }
    exact_linear(out, mix, w, b, C, C);
    for (i = 0; i < C; i++) x[t][i] += out[i];
  }
}

/* x[t] = read-in of token t, and its position */
static void exact_embedding(double (*x)[MAX_C], const icl_config *cfg, const float *params, int n, const float *q)
{
  const float *w = tensor(cfg, params, -1, "_read_in.weight"), *b = tensor(cfg, params, -1, "_read_in.bias");
  const float *wpe = tensor(cfg, params, -1, "wpe.weight");
  int C = cfg->n_embd, d = cfg->n_dims, t, i, j;
  for (t = 0; t <= 2 * n; t++)
    for (i = 0; i < C; i++) {
      const float *token = t == 2 * n ? q : xs + t / 2 * d;
      double sum = (double)b[i];
      if (t % 2) sum += (double)w[i * d] * (double)ys[t / 2];
      else for (j = 0; j < d; j++) sum += (double)w[i * d + j] * (double)token[j];
      if (wpe) sum += (double)wpe[t * C + i];
      if (cfg->position_embedding_type == ICL_POSITION_SINUSOIDAL) {
        int half = C / 2;
        double angle = t * (half > 1 ? pow(10000, -(double)(i % half) / (half - 1)) : 1);
        sum += i < half ? sin(angle) : cos(angle);
      }
      x[t][i] = sum;
    }
}

/* The prediction at q after the first n pairs, in double precision, as the papers write it down. */
static double exact_prediction(const icl_config *cfg, const float *params, int n, const float *q)
{
  static double x[MAX_T][MAX_C], qkv[MAX_T][3 * MAX_C];
  double h[MAX_C], f[4 * MAX_C], out[MAX_C], sum;
  int C = cfg->n_embd, T = 2 * n + 1, l, t, i;
  double eps = (double)cfg->layer_norm_epsilon;
  exact_embedding(x, cfg, params, n, q);
  for (l = 0; l < cfg->n_layer; l++) {
    for (t = 0; t < T; t++) {
      exact_norm(h, x[t], tensor(cfg, params, l, "ln_1.weight"), tensor(cfg, params, l, "ln_1.bias"), C, eps);
      exact_linear(qkv[t], h, tensor(cfg, params, l, "c_attn.weight"), tensor(cfg, params, l, "c_attn.bias"), C, 3 * C);
    }
    exact_attention(x, qkv, tensor(cfg, params, l, "attn.c_proj.weight"), tensor(cfg, params, l, "attn.c_proj.bias"), T, C, cfg->n_head);
    for (t = 0; t < T; t++) {
      exact_norm(h, x[t], tensor(cfg, params, l, "ln_2.weight"), tensor(cfg, params, l, "ln_2.bias"), C, eps);
      exact_linear(f, h, tensor(cfg, params, l, "c_fc.weight"), tensor(cfg, params, l, "c_fc.bias"), C, 4 * C);
      for (i = 0; i < 4 * C; i++) f[i] = exact_activation(f[i], cfg->activation_function);
      exact_linear(out, f, tensor(cfg, params, l, "mlp.c_proj.weight"), tensor(cfg, params, l, "mlp.c_proj.bias"), 4 * C, C);
      for (i = 0; i < C; i++) x[t][i] += out[i];
    }
  }
  exact_norm(h, x[T - 1], tensor(cfg, params, -1, "ln_f.weight"), tensor(cfg, params, -1, "ln_f.bias"), C, eps);
  sum = (double)tensor(cfg, params, -1, "_read_out.bias")[0];
  for (i = 0; i < C; i++) sum += h[i] * (double)tensor(cfg, params, -1, "_read_out.weight")[i];
  return sum;
}

/* ----- the same bits, however they are asked for -------------------------------------------------- */

/* cold[k]: the prediction of pair k from the k before it, each in a context of its own; answers[q]: the
 * queries, after n pairs. */
static void ask_cold(const icl_model *m, int n, int n_queries, float *cold, float *answers)
{
  int d = m->config.n_dims, k;
  for (k = 0; k < n + n_queries; k++) {
    icl_ctx *c = new_ctx(m, n, 2 * n);
    CHECK_EQ(icl_add_batch(c, k < n ? k : n, xs, ys), ICL_OK);
    if (k < n) CHECK_EQ(icl_predict(c, xs + k * d, &cold[k]), ICL_OK);
    else CHECK_EQ(icl_predict(c, qs + (k - n) * d, &answers[k - n]), ICL_OK);
    icl_ctx_delete(c);
  }
}

/* Pair by pair, with a look at the next before it is added. */
static void check_stepwise(const icl_model *m, int n, const float *cold, snapshot *end)
{
  icl_ctx *c = new_ctx(m, n, 1);
  int d = m->config.n_dims, k;
  for (k = 0; k < n; k++) {
    float y = 0, residual;
    CHECK_EQ(icl_predict(c, xs + k * d, &y), ICL_OK);
    CHECK(same(&y, &cold[k], 1));
    CHECK_EQ(icl_add(c, xs + k * d, ys[k]), ICL_OK);
    residual = ys[k] - cold[k];
    CHECK(same(&icl_residuals(c)[k], &residual, 1));
    CHECK_EQ(icl_count(c), k + 1);
  }
  *end = take(c);
  icl_ctx_delete(c);
}

/* In batches of any size, with rewinding in between. */
static void check_batched(const icl_model *m, int n, int max_batch, int n_queries, const float *answers, const snapshot *end)
{
  icl_ctx *c = new_ctx(m, n, max_batch);
  float got[MAX_QUERIES];
  snapshot s;
  int d = m->config.n_dims, k, step;
  CHECK_EQ(icl_add_batch(c, n, xs, ys), ICL_OK);
  s = take(c);
  CHECK(s.n == end->n && !memcmp(s.bytes, end->bytes, s.n));
  CHECK_EQ(icl_predict_batch(c, n_queries, qs, got), ICL_OK);
  CHECK(same(got, answers, (size_t)n_queries));
  CHECK(unchanged(c, s));
  for (k = n_queries - 1; k >= 0; k--) {                 /* one at a time, from the back */
    CHECK_EQ(icl_predict(c, qs + k * d, &got[0]), ICL_OK);
    CHECK(same(&got[0], &answers[k], 1));
  }
  CHECK_EQ(icl_predict_batch(c, n_queries - 1, qs + d, got), ICL_OK);     /* in other places of the batch */
  CHECK(same(got, answers + 1, (size_t)(n_queries - 1)));
  CHECK_EQ(icl_rewind(c, n / 3), ICL_OK);
  CHECK_EQ(icl_add_batch(c, 1, qs, ys), ICL_OK);         /* something else, */
  CHECK_EQ(icl_rewind(c, n / 3), ICL_OK);                /* and back */
  for (k = n / 3; k < n; k += step) {
    step = 1 + draw_below(5);
    if (step > n - k) step = n - k;
    CHECK_EQ(icl_add_batch(c, step, xs + k * d, ys + k), ICL_OK);
  }
  s = take(c);
  CHECK(s.n == end->n && !memcmp(s.bytes, end->bytes, s.n));
  free(s.bytes);
  icl_ctx_delete(c);
}

/* All ways of asking give the same bits, and those are near to the truth. */
static void check_bits(const icl_model *m, const float *params, int n, int n_queries)
{
  static const int batches[] = {1, 2, 3, 7, 64};
  float cold[MAX_PAIRS], answers[MAX_QUERIES];
  snapshot end;
  size_t b;
  draw_prompt(m->config.n_dims);
  ask_cold(m, n, n_queries, cold, answers);
  CHECK_NEAR(cold[0], exact_prediction(&m->config, params, 0, xs), 2e-5);
  CHECK_NEAR(cold[n - 1], exact_prediction(&m->config, params, n - 1, xs + (n - 1) * m->config.n_dims), 2e-5);
  CHECK_NEAR(answers[n_queries - 1], exact_prediction(&m->config, params, n, qs + (n_queries - 1) * m->config.n_dims), 2e-5);
  check_stepwise(m, n, cold, &end);
  for (b = 0; b < COUNT(batches); b++) check_batched(m, n, batches[b], n_queries, answers, &end);
  free(end.bytes);
}

static void check_config_bits(const icl_config *cfg, int n, int n_queries, int plain)
{
  subject s;
  make_subject(&s, cfg, (uint32_t)(cfg->n_embd * 100 + cfg->n_dims));
  if (plain) icl_force_plain(&s.m);
  check_bits(&s.m, s.params, n, n_queries);
  free_subject(&s);
}

TEST(all_kinds_of_models)
{
  static const int shapes[][3] = {{6, 1, 3}, {30, 5, 2}, {20, 4, 5}, {64, 2, 20}, {72, 3, 7}};
  int i, position, activation, at = 0;
  for (i = 0; i < 5; i++)
    for (position = 0; position < 3; position++)
      for (activation = 0; activation < 3; activation++) {
        icl_config cfg = config_of(shapes[i][0], shapes[i][1], shapes[i][2], 1 + i % 2, position, activation);
        if (QUICK && at++ % 7) continue;                   /* 7 of 45, each kind of everything among them */
        check_config_bits(&cfg, i > 2 ? 6 : 9, 9, 0);
        if (i < 3) check_config_bits(&cfg, 6, 5, 1);
      }
}

TEST(all_numbers_of_inputs)
{
  int d;
  for (d = 1; d <= MAX_D; d++) {
    icl_config cfg = config_of(6 + 2 * (d % 5), 1 + d % 2, d, 1 + d % 3, d % 3, d % 2);
    check_config_bits(&cfg, 7, 8, 0);
    check_config_bits(&cfg, 5, 3, 1);
  }
}

TEST(small_and_odd_widths)
{
  static const int shapes[][2] = {{1, 1}, {2, 1}, {2, 2}, {3, 3}, {5, 1}, {7, 7}, {9, 3}, {15, 5}, {16, 1}, {17, 1}, {31, 1}, {33, 3}};
  size_t i;
  for (i = 0; i < COUNT(shapes); i++) {
    int C = shapes[i][0];
    icl_config cfg = config_of(C, shapes[i][1], 1 + (int)i % 4, 2, C % 2 ? 2 * ((int)i % 2) : (int)i % 3, (int)i % 3);
    check_config_bits(&cfg, 8, 7, 0);
    check_config_bits(&cfg, 8, 7, 1);
  }
}

/* Beyond 256 keys the sums over values go through two blocks. */
TEST(long_contexts)
{
  int position;
  for (position = 0; position < 3; position++) {
    icl_config cfg = config_of(24, 3, 2, 2, position, position);
    subject s;
    icl_ctx *one, *many;
    float a[9], b[9];
    snapshot p, q;
    int k;
    make_subject(&s, &cfg, 5);
    draw_prompt(2);
    one = new_ctx(&s.m, MAX_PAIRS, 1);
    many = new_ctx(&s.m, MAX_PAIRS, 64);
    for (k = 0; k < MAX_PAIRS; k++) CHECK_EQ(icl_add(one, xs + 2 * k, ys[k]), ICL_OK);
    CHECK_EQ(icl_add_batch(many, MAX_PAIRS, xs, ys), ICL_OK);
    p = take(one);
    q = take(many);
    CHECK(p.n == q.n && !memcmp(p.bytes, q.bytes, p.n));
    CHECK_EQ(icl_predict_batch(one, 9, qs, a), ICL_OK);
    CHECK_EQ(icl_predict_batch(many, 9, qs, b), ICL_OK);
    CHECK(same(a, b, 9));
    for (k = 0; k < 9; k++) CHECK(k == 0 || a[k] != a[0]);
    free(p.bytes);
    free(q.bytes);
    icl_ctx_delete(one);
    icl_ctx_delete(many);
    free_subject(&s);
  }
}

/* Whatever is in a query's neighbours: its answer stays. */
TEST(queries_do_not_see_each_other)
{
  icl_config cfg = config_of(20, 4, 3, 2, 0, 0);
  subject s;
  float a[12], b[12], other[12 * 3];
  int batch, k, j, plain;
  make_subject(&s, &cfg, 3);
  for (plain = 0; plain < 2; plain++) {
    if (plain) icl_force_plain(&s.m);
    for (batch = 1; batch <= 13; batch += 3) {
      icl_ctx *c = new_ctx(&s.m, 5, batch);
      draw_prompt(3);
      icl_add_batch(c, 5, xs, ys);
      CHECK_EQ(icl_predict_batch(c, 12, qs, a), ICL_OK);
      for (k = 0; k < 12; k++) {
        memcpy(other, qs, sizeof other);
        for (j = 0; j < 12 * 3; j++) if (j / 3 != k) other[j] = 3 * uniform();
        CHECK_EQ(icl_predict_batch(c, 12, other, b), ICL_OK);
        CHECK(same(&a[k], &b[k], 1));
        for (j = 0; j < 12; j++) CHECK(j == k || a[j] != b[j]);
      }
      icl_ctx_delete(c);
    }
  }
  free_subject(&s);
}

/* No pairs at all, order of pairs, and what the answer depends on: every input, every pair. */
TEST(answers_depend_on_all_that_was_said)
{
  icl_config cfg = config_of(64, 2, 20, 2, 0, 0);
  subject s;
  icl_ctx *c;
  float y, z, x[MAX_D];
  int k;
  make_subject(&s, &cfg, 8);
  c = new_ctx(&s.m, 6, 1);
  draw_prompt(20);
  CHECK_EQ(icl_predict(c, qs, &y), ICL_OK);
  CHECK_EQ(icl_predict(c, qs + 20, &z), ICL_OK);
  CHECK(y != z);
  icl_add_batch(c, 6, xs, ys);
  icl_predict(c, qs, &y);
  for (k = 0; k < 20; k++) {
    memcpy(x, qs, sizeof x);
    x[k] += 0.5f;
    icl_predict(c, x, &z);
    CHECK(y != z);
  }
  for (k = 0; k < 6; k++) {
    icl_rewind(c, 0);
    icl_add_batch(c, k, xs, ys);
    icl_add(c, xs + 20 * k, ys[k] + 0.5f);
    icl_add_batch(c, 5 - k, xs + 20 * (k + 1), ys + k + 1);
    icl_predict(c, qs, &z);
    CHECK(y != z);
  }
  icl_ctx_delete(c);
  free_subject(&s);
}

TEST(two_contexts_on_one_model)
{
  icl_config cfg = config_of(30, 5, 2, 2, 1, 1);
  subject s;
  icl_ctx *a, *b, *alone;
  float ya[9], yb[9], y;
  int k;
  make_subject(&s, &cfg, 4);
  a = new_ctx(&s.m, 9, 1);
  b = new_ctx(&s.m, 12, 4);
  draw_prompt(2);
  for (k = 0; k < 9; k++) {
    icl_predict(a, xs + 2 * k, &ya[k]);
    icl_predict(b, xs + 2 * (20 + k), &yb[k]);
    icl_add(a, xs + 2 * k, ys[k]);
    icl_add(b, xs + 2 * (20 + k), ys[20 + k]);
  }
  alone = new_ctx(&s.m, 9, 1);
  for (k = 0; k < 9; k++) {
    icl_predict(alone, xs + 2 * k, &y);
    CHECK(same(&y, &ya[k], 1));
    icl_add(alone, xs + 2 * k, ys[k]);
  }
  icl_rewind(alone, 0);
  for (k = 0; k < 9; k++) {
    icl_predict(alone, xs + 2 * (20 + k), &y);
    CHECK(same(&y, &yb[k], 1));
    icl_add(alone, xs + 2 * (20 + k), ys[20 + k]);
  }
  icl_ctx_delete(a); icl_ctx_delete(b); icl_ctx_delete(alone);
  free_subject(&s);
}

TEST(plain_kernels_agree)
{
  int i;
  for (i = 0; i < 9; i++) {
    icl_config cfg = config_of(64, 2, 5, 2, i % 3, i / 3);
    subject s;
    icl_ctx *c;
    float fast[20], plain[20];
    make_subject(&s, &cfg, 6);
    CHECK_STR(icl_isa_name(&s.m), icl__ops_best()->name);
    c = new_ctx(&s.m, 20, 8);
    draw_prompt(5);
    icl_add_batch(c, 20, xs, ys);
    CHECK_EQ(icl_predict_batch(c, 20, qs, fast), ICL_OK);
    icl_force_plain(&s.m);
    CHECK_STR(icl_isa_name(&s.m), "c");
    icl_rewind(c, 0);
    icl_add_batch(c, 20, xs, ys);
    CHECK_EQ(icl_predict_batch(c, 20, qs, plain), ICL_OK);
    {
      int k;
      for (k = 0; k < 20; k++) CHECK_NEAR(fast[k], plain[k], 1e-5);
    }
    icl_ctx_delete(c);
    free_subject(&s);
  }
  CHECK_STR(icl_isa_name(NULL), "none");
  icl_force_plain(NULL);
}

/* Kernels by their names.  A name that the build or the processor lacks leaves the model as it was. */
TEST(kernels_by_name)
{
  static const char *const names[] = {"avx512", "avx2", "neon", "wasm128", "mve", "c"};
  static const char *const wrong[] = {"", "C", "avx", "avx5120", "none", "auto"};
  icl_config cfg = config_of(64, 2, 5, 2, 0, 0);
  const char *best;
  subject s;
  size_t i;
  int k, known = 0;
  float first[20], y[20];
  make_subject(&s, &cfg, 6);
  draw_prompt(5);
  best = icl_isa_name(&s.m);
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    const icl_error err = icl_model_isa(&s.m, names[i]);
    icl_ctx *c;
    CHECK_STR(icl_isa_name(&s.m), err ? best : names[i]);
    if (err) { CHECK(err == ICL_ERR_ARG || (ICL__X86 && err == ICL_ERR_LIMIT)); continue; }
    c = new_ctx(&s.m, 20, 8);
    icl_add_batch(c, 20, xs, ys);
    CHECK_EQ(icl_predict_batch(c, 20, qs, y), ICL_OK);
    if (!known++) memcpy(first, y, sizeof y);
    for (k = 0; k < 20; k++) CHECK_NEAR(y[k], first[k], 1e-5);
    icl_ctx_delete(c);
    CHECK_EQ(icl_model_isa(&s.m, NULL), ICL_OK);
    CHECK_STR(icl_isa_name(&s.m), best);
  }
  CHECK(known >= 1);
  CHECK_EQ(icl_model_isa(&s.m, ICL__X86 ? "neon" : "avx2"), ICL_ERR_ARG);
  for (i = 0; i < sizeof wrong / sizeof *wrong; i++) CHECK_EQ(icl_model_isa(&s.m, wrong[i]), ICL_ERR_ARG);
  CHECK_STR(icl_isa_name(&s.m), best);
  CHECK_EQ(icl_model_isa(NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_model_isa(NULL, "c"), ICL_ERR_ARG);
  free_subject(&s);
}

/* ----- any order of calls -------------------------------------------------------------------------- */

/* Random calls, right and wrong, beside a list of the pairs that should be there. */
TEST(any_order_of_calls)
{
  static const int batches[] = {1, 2, 5, 16};
  int b;
  for (b = 0; b < 4; b++) {
    icl_config cfg = config_of(12, 2, 2, 1, b % 3, b % 3);
    subject s;
    icl_ctx *c, *check;
    float x[10 * 2], y[10], list_x[10 * 2], list_y[10], got[10], is[10];
    int n = 0, step, k;
    make_subject(&s, &cfg, 9);
    c = new_ctx(&s.m, 10, batches[b]);
    check = new_ctx(&s.m, 10, 3);
    seed = (uint32_t)b;
    for (step = 0; step < 600; step++) {
      int many = draw_below(5), bad = draw_below(6) == 0;
      for (k = 0; k < 20; k++) x[k] = uniform();
      for (k = 0; k < 10; k++) y[k] = uniform();
      switch (draw_below(5)) {
        case 0:
        case 1:
          if (bad) y[many / 2] = from_bits(0x7fc00000u);
          if (many && bad && n + many <= 10) CHECK_EQ(icl_add_batch(c, many, x, y), ICL_ERR_NONFINITE);
          else if (n + many > 10) CHECK(icl_add_batch(c, many, x, y) != ICL_OK);
          else {
            CHECK_EQ(icl_add_batch(c, many, x, y), ICL_OK);
            memcpy(list_x + 2 * n, x, sizeof(float) * 2 * (size_t)many);
            memcpy(list_y + n, y, sizeof(float) * (size_t)many);
            n += many;
          }
          break;
        case 2:
          k = draw_below(n + 3) - 1;
          if (k < 0 || k > n) CHECK_EQ(icl_rewind(c, k), ICL_ERR_ARG);
          else { CHECK_EQ(icl_rewind(c, k), ICL_OK); n = k; }
          break;
        case 3:
          if (bad) x[0] = from_bits(0xff800000u);
          CHECK_EQ(icl_predict(c, x, &y[0]), bad ? ICL_ERR_NONFINITE : ICL_OK);
          break;
        default:
          icl_rewind(check, 0);
          CHECK_EQ(icl_add_batch(check, n, list_x, list_y), ICL_OK);
          CHECK_EQ(icl_predict_batch(c, many, x, got), ICL_OK);
          CHECK_EQ(icl_predict_batch(check, many, x, is), ICL_OK);
          CHECK(same(got, is, (size_t)many));
          CHECK(same(icl_residuals(c), icl_residuals(check), (size_t)n));
      }
      CHECK_EQ(icl_count(c), n);
    }
    icl_ctx_delete(c);
    icl_ctx_delete(check);
    free_subject(&s);
  }
}

/* ----- capacity and memory -------------------------------------------------------------------------- */

TEST(full_is_full)
{
  int max_pairs, batch, position;
  for (position = 0; position < 3; position++)
    for (max_pairs = 1; max_pairs <= 17; max_pairs += max_pairs < 9 ? 1 : 4)
      for (batch = 1; batch <= 8; batch += 7) {
        icl_config cfg = config_of(6, 1, 2, 1, position, 0);
        subject s;
        icl_ctx *c;
        snapshot before;
        float y[9];
        cfg.n_positions = 2 * max_pairs + 1;
        make_subject(&s, &cfg, 2);
        draw_prompt(2);
        c = new_ctx(&s.m, max_pairs, batch);
        CHECK_EQ(icl_add_batch(c, max_pairs + 1, xs, ys), ICL_ERR_FULL);
        CHECK_EQ(icl_count(c), 0);
        CHECK_EQ(icl_add_batch(c, max_pairs, xs, ys), ICL_OK);
        before = take(c);
        CHECK_EQ(icl_add(c, xs, ys[0]), ICL_ERR_FULL);
        CHECK_EQ(icl_add_batch(c, 2, xs, ys), ICL_ERR_FULL);
        CHECK_EQ(icl_add_batch(c, 0, xs, ys), ICL_OK);
        CHECK_EQ(icl_count(c), max_pairs);
        CHECK_EQ(icl_predict_batch(c, 9, qs, y), ICL_OK);
        CHECK(icl__finite(y, 9));
        CHECK(unchanged(c, before));
        CHECK_EQ(icl_rewind(c, max_pairs - 1), ICL_OK);
        CHECK_EQ(icl_add(c, xs, ys[0]), ICL_OK);
        icl_ctx_delete(c);
        free_subject(&s);
      }
}

/* 2 max_pairs + 1 <= n_positions, where positions are learned. */
TEST(learned_positions_end)
{
  int P, n;
  for (P = 1; P <= 12; P++) {
    icl_config cfg = config_of(6, 1, 2, 1, 0, 0);
    subject s;
    cfg.n_positions = P;
    make_subject(&s, &cfg, 2);
    for (n = 1; n <= 8; n++) CHECK_EQ(icl_ctx_bytes(&s.m, n, 1) > 0, 2 * n + 1 <= P);
    free_subject(&s);
    cfg.position_embedding_type = ICL_POSITION_NONE;
    make_subject(&s, &cfg, 2);
    for (n = 1; n <= 8; n++) CHECK(icl_ctx_bytes(&s.m, n, 1) > 0);
    free_subject(&s);
  }
}

TEST(sizes_out_of_range)
{
  static const int bad[] = {0, -1, INT_MIN, INT_MAX, (1 << 22) + 1};
  icl_config cfg = config_of(6, 1, 2, 1, 2, 0);
  subject s;
  icl_ctx ctx, *c = NULL;
  icl_model none;
  size_t i;
  static unsigned char mem[100000];
  make_subject(&s, &cfg, 2);
  for (i = 0; i < COUNT(bad); i++) {
    CHECK_EQ(icl_ctx_bytes(&s.m, bad[i], 1), 0);
    CHECK_EQ(icl_ctx_bytes(&s.m, 1, bad[i]), 0);
    CHECK_EQ(icl_ctx_bytes(&s.m, bad[i], bad[i]), 0);
    CHECK_EQ(icl_ctx_init(&ctx, &s.m, bad[i], 1, mem, sizeof mem), ICL_ERR_ARG);
    CHECK_EQ(icl_ctx_init(&ctx, &s.m, 1, bad[i], mem, sizeof mem), ICL_ERR_ARG);
    CHECK_EQ(icl_ctx_new(&c, &s.m, bad[i], 1), ICL_ERR_ARG);
    CHECK_EQ(icl_ctx_new(&c, &s.m, 1, bad[i]), ICL_ERR_ARG);
    CHECK(c == NULL);
  }
  CHECK(icl_ctx_bytes(&s.m, 1 << 22, 1 << 22) > 0);
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_ctx_bytes(&none, 1, 1), 0);
  CHECK_EQ(icl_ctx_new(&c, &none, 1, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_bytes(NULL, 1, 1), 0);
  free_subject(&s);
}

/* Exactly icl_ctx_bytes: at the end of the mapped memory, at all alignments, filled with what looks like
 * numbers least. */
TEST(memory_is_exact)
{
  static const int shapes[][5] = {{6, 1, 3, 3, 1}, {30, 5, 1, 2, 3}, {20, 4, 20, 5, 64}, {64, 2, 7, 8, 5}, {1, 1, 1, 1, 1}};
  static const unsigned char fills[] = {0x00, 0xff, 0x7f, 0xa5};
  size_t room = 1 << 20, i, shift, guard;
#if HAVE_PAGES
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *map = (unsigned char *)mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  unsigned char *inputs = (unsigned char *)mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (map == MAP_FAILED || mprotect(map + room, page, PROT_NONE)) exit(3);
  if (inputs == MAP_FAILED || mprotect(inputs + room, page, PROT_NONE)) exit(3);
#else
  unsigned char *map = (unsigned char *)malloc(room), *inputs = (unsigned char *)malloc(room);
#endif
  for (i = 0; i < COUNT(shapes); i++) {
    icl_config cfg = config_of(shapes[i][0], shapes[i][1], shapes[i][2], 2, shapes[i][0] % 2 ? 2 : (int)i % 3, (int)i % 3);
    int pairs = shapes[i][3], batch = shapes[i][4];
    subject s;
    snapshot first;
    float answers[5], *y, *x, *q, *in;
    size_t n, d = (size_t)cfg.n_dims, p = (size_t)pairs;
    make_subject(&s, &cfg, 3);
    draw_prompt(cfg.n_dims);
    in = (float *)(void *)inputs + room / 4;                 /* ends at their page, too */
    memcpy(q = in - 5 * d, qs, 5 * d * sizeof(float));
    x = (float *)malloc(p * d * sizeof(float));              /* and for a tool to see */
    memcpy(x, xs, p * d * sizeof(float));
    y = (float *)malloc(5 * sizeof(float));
    n = icl_ctx_bytes(&s.m, pairs, batch);
    memset(&first, 0, sizeof first);
    CHECK(n + 256 < room);
    for (shift = 0; shift < 68; shift++) {
      unsigned char *mem = map + room - n - shift;
      icl_ctx c;
      snapshot now;
      memset(mem - 64, fills[shift % 4], n + 64 + shift);
      CHECK_EQ(icl_ctx_init(&c, &s.m, pairs, batch, mem, n - 1), ICL_ERR_MEMORY);
      CHECK_EQ(icl_ctx_init(&c, &s.m, pairs, batch, mem, 0), ICL_ERR_MEMORY);
      CHECK_EQ(icl_ctx_init(&c, &s.m, pairs, batch, mem, n), ICL_OK);
      CHECK_EQ(icl_add_batch(&c, pairs, x, ys), ICL_OK);
      CHECK_EQ(icl_predict_batch(&c, 5, q, y), ICL_OK);
      now = take(&c);
      if (!shift) { first = now; memcpy(answers, y, sizeof answers); }
      else {
        CHECK(now.n == first.n && !memcmp(now.bytes, first.bytes, now.n));
        CHECK(same(y, answers, 5));
        free(now.bytes);
      }
      for (guard = 1; guard <= 64; guard++) CHECK(mem[-(ptrdiff_t)guard] == fills[shift % 4]);
      for (guard = 0; guard < shift; guard++) CHECK(mem[n + guard] == fills[shift % 4]);
    }
    memcpy(q = in - p * d, xs, p * d * sizeof(float));       /* the pairs at the end of a page */
    {
      icl_ctx *c = new_ctx(&s.m, pairs, batch);
      CHECK_EQ(icl_add_batch(c, pairs, q, ys), ICL_OK);
      CHECK(unchanged(c, first));
      icl_ctx_delete(c);
    }
    free(x);
    free(y);
    free_subject(&s);
  }
#if HAVE_PAGES
  munmap(map, room + page);
  munmap(inputs, room + page);
#else
  free(map);
  free(inputs);
#endif
}

/* icl_model_bind: exact bytes, any alignment; the parameters may change in between. */
TEST(binding)
{
  icl_config cfg = config_of(20, 4, 3, 2, 1, 2);
  size_t n = icl_bind_bytes(&cfg), count = icl_param_count(&cfg), i;
  unsigned char *mem = (unsigned char *)malloc(n + 128);
  float *params = draw_params(&cfg, 3), *back = (float *)malloc(count * sizeof(float)), y[2], z;
  size_t shift;
  icl_model m;
  CHECK_EQ(icl_model_bind(&m, &cfg, params, mem, n - 1), ICL_ERR_MEMORY);
  draw_prompt(3);
  for (shift = 0; shift < 64; shift++) {
    icl_ctx *c;
    memset(mem, 0x5a, n + 128);
    CHECK_EQ(icl_model_bind(&m, &cfg, params, mem + shift, n), ICL_OK);
    for (i = 0; i < shift; i++) CHECK(mem[i] == 0x5a);
    for (i = shift + n; i < n + 128; i++) CHECK(mem[i] == 0x5a);
    CHECK_EQ(icl_model_params(&m, back), ICL_OK);
    CHECK(same(back, params, count));
    c = new_ctx(&m, 2, 1);
    icl_add(c, xs, ys[0]);
    icl_predict(c, qs, &y[shift > 0]);
    icl_ctx_delete(c);
    CHECK(same(&y[0], &y[shift > 0], 1));
  }
  CHECK_EQ(m.n_params, count);
  CHECK_EQ(m.verified, 0);
  CHECK_STR(m.task, "");
  {
    icl_ctx *c = new_ctx(&m, 2, 1);
    icl_add(c, xs, ys[0]);
    params[count - 1] += 0.25f;                          /* the bias of the read-out */
    params[count - (size_t)cfg.n_out] += 0.25f;
    icl_predict(c, qs, &z);
    CHECK(z != y[0]);
    icl_ctx_delete(c);
  }
  CHECK_EQ(icl_model_bind(NULL, &cfg, params, mem, n), ICL_ERR_ARG);
  CHECK_EQ(icl_model_bind(&m, NULL, params, mem, n), ICL_ERR_ARG);
  CHECK_EQ(icl_model_bind(&m, &cfg, NULL, mem, n), ICL_ERR_ARG);
  CHECK_EQ(icl_model_bind(&m, &cfg, params, NULL, n), ICL_ERR_ARG);
  cfg.n_head = 3;
  CHECK_EQ(icl_model_bind(&m, &cfg, params, mem, n), ICL_ERR_ARG);
  free(mem);
  free(params);
  free(back);
}

/* A model from a file and one bound to the same parameters: one model. */
TEST(bound_and_loaded_agree)
{
  icl_config cfg = config_of(30, 5, 4, 2, 0, 1);
  subject s;
  loaded l;
  icl_ctx *a, *b;
  float x[5], y[5];
  make_subject(&s, &cfg, 77);
  make_loaded(&l, &cfg, 77, NULL);
  draw_prompt(4);
  a = new_ctx(&s.m, 5, 3);
  b = new_ctx(&l.m, 5, 2);
  icl_add_batch(a, 5, xs, ys);
  icl_add_batch(b, 5, xs, ys);
  icl_predict_batch(a, 5, qs, x);
  icl_predict_batch(b, 5, qs, y);
  CHECK(same(x, y, 5));
  icl_ctx_delete(a);
  icl_ctx_delete(b);
  free_subject(&s);
  free_loaded(&l);
}

/* ----- scaling --------------------------------------------------------------------------------------- */

/* By powers of two nothing is rounded, so the bits are those of scaling by hand. */
TEST(scaling)
{
  static const float mean[3] = {2, -1, 0.5f}, std[3] = {4, 0.25f, 1};
  icl_config cfg = config_of(20, 4, 3, 2, 0, 0);
  subject s;
  icl_ctx *raw, *scaled;
  float y_mean = 3, y_std = 8, x[10 * 3], y[10], q[9 * 3], a[9], b[9];
  int i, batch;
  make_subject(&s, &cfg, 12);
  draw_prompt(3);
  for (i = 0; i < 60; i++) xs[i] = (float)((int)(xs[i] * 64)) / 64;
  for (i = 0; i < 27; i++) qs[i] = (float)((int)(qs[i] * 64)) / 64;
  for (i = 0; i < 10; i++) ys[i] = (float)((int)(ys[i] * 64)) / 64;
  for (i = 0; i < 30; i++) x[i] = xs[i] * std[i % 3] + mean[i % 3];
  for (i = 0; i < 27; i++) q[i] = qs[i] * std[i % 3] + mean[i % 3];
  for (i = 0; i < 10; i++) y[i] = ys[i] * y_std + y_mean;
  for (batch = 1; batch < 10; batch += 4) {
    raw = new_ctx(&s.m, 10, batch);
    scaled = new_ctx(&s.m, 10, batch);
    CHECK_EQ(icl_ctx_scale(scaled, mean, std, y_mean, y_std), ICL_OK);
    icl_add_batch(raw, 10, xs, ys);
    CHECK_EQ(icl_add_batch(scaled, 10, x, y), ICL_OK);
    icl_predict_batch(raw, 9, qs, a);
    CHECK_EQ(icl_predict_batch(scaled, 9, q, b), ICL_OK);
    for (i = 0; i < 9; i++) CHECK_NEAR(b[i], y_mean + y_std * a[i], 2e-6);
    for (i = 0; i < 10; i++) CHECK_NEAR(icl_residuals(scaled)[i], y_std * icl_residuals(raw)[i], 1e-5);
    icl_ctx_delete(raw);
    icl_ctx_delete(scaled);
  }
  free_subject(&s);
}

TEST(scaling_any_numbers)
{
  icl_config cfg = config_of(20, 4, 3, 2, 0, 0);
  static const float mean[3] = {170.3f, -1e-3f, 1e6f}, std[3] = {9.7f, 3e-4f, 12345.0f};
  subject s;
  icl_ctx *raw, *scaled;
  float x[10 * 3], y[10], a, b;
  int i;
  make_subject(&s, &cfg, 13);
  draw_prompt(3);
  raw = new_ctx(&s.m, 10, 1);
  scaled = new_ctx(&s.m, 10, 1);
  CHECK_EQ(icl_ctx_scale(scaled, mean, std, -40, 0.01f), ICL_OK);
  for (i = 0; i < 30; i++) x[i] = xs[i] * std[i % 3] + mean[i % 3];
  for (i = 0; i < 10; i++) y[i] = ys[i] * 0.01f - 40;
  for (i = 0; i < 30; i++) xs[i] = (x[i] - mean[i % 3]) / std[i % 3];
  for (i = 0; i < 10; i++) ys[i] = (y[i] - -40.0f) / 0.01f;
  for (i = 0; i < 10; i++) {
    icl_predict(raw, xs + 3 * i, &a);
    icl_predict(scaled, x + 3 * i, &b);
    CHECK_NEAR(b, -40 + 0.01 * (double)a, 1e-5);
    CHECK_EQ(icl_add(raw, xs + 3 * i, ys[i]), ICL_OK);
    CHECK_EQ(icl_add(scaled, x + 3 * i, y[i]), ICL_OK);
    CHECK(same(&icl_residuals(scaled)[i], (b = y[i] - b, &b), 1));
  }
  icl_ctx_delete(raw);
  icl_ctx_delete(scaled);
  free_subject(&s);
}

TEST(scales_that_are_refused)
{
  icl_config cfg = config_of(6, 1, 3, 1, 0, 0);
  static const float good[3] = {1, 2, 3};
  subject s;
  icl_ctx *c;
  snapshot before;
  float bad[3], y, z;
  int i, k;
  make_subject(&s, &cfg, 1);
  draw_prompt(3);
  c = new_ctx(&s.m, 4, 1);
  CHECK_EQ(icl_ctx_scale(c, good, good, 1, 2), ICL_OK);
  icl_predict(c, qs, &y);
  before = take(c);
  for (k = 0; k < 6; k++) {
    float v = k == 0 ? from_bits(0x7fc00000u) : k == 1 ? from_bits(0x7f800000u) : k == 2 ? from_bits(0xff800000u)
            : k == 3 ? 0.0f : k == 4 ? -1.0f : -0.0f;
    icl_error code = k < 3 ? ICL_ERR_NONFINITE : ICL_ERR_ARG;
    for (i = 0; i < 3; i++) {
      memcpy(bad, good, sizeof bad);
      bad[i] = v;
      CHECK_EQ(icl_ctx_scale(c, good, bad, 1, 2), code);
      if (k < 3) CHECK_EQ(icl_ctx_scale(c, bad, good, 1, 2), code);
    }
    CHECK_EQ(icl_ctx_scale(c, good, good, 1, v), code);
    if (k < 3) CHECK_EQ(icl_ctx_scale(c, good, good, v, 2), code);
  }
  CHECK(unchanged(c, before));
  icl_predict(c, qs, &z);
  CHECK(same(&y, &z, 1));
  icl_add(c, xs, ys[0]);
  before = take(c);
  CHECK_EQ(icl_ctx_scale(c, NULL, bad, 0, 1), ICL_ERR_ARG);
  CHECK(unchanged(c, before));
  icl_rewind(c, 0);
  CHECK_EQ(icl_ctx_scale(c, NULL, NULL, 0, 1), ICL_OK);
  icl_predict(c, qs, &z);
  CHECK(y != z);
  CHECK_EQ(icl_ctx_scale(NULL, NULL, NULL, 0, 1), ICL_ERR_ARG);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* A scale that comes after the pairs: the same bits as one that was there before them.  Where they overflow
 * under it, the context is empty. */
TEST(scales_that_change)
{
  static const float mean[] = {3, -2, 1}, std[] = {0.5f, 7, 2}, tiny[] = {1, 1e-38f, 1};
  int position, n;
  for (position = 0; position < 3; position++)
    for (n = 0; n < 9; n += 2) {
      icl_config cfg = config_of(20, 4, 3, 2, position, 0);
      subject s;
      icl_ctx *late, *early;
      float y, z;
      make_subject(&s, &cfg, 11);
      draw_prompt(3);
      late = new_ctx(&s.m, 12, 4);
      early = new_ctx(&s.m, 12, 3);
      CHECK_EQ(icl_add_batch(late, n, xs, ys), ICL_OK);
      CHECK_EQ(icl_ctx_scale(late, mean, std, 10, 4), ICL_OK);
      CHECK_EQ(icl_ctx_scale(early, mean, std, 10, 4), ICL_OK);
      CHECK_EQ(icl_add_batch(early, n, xs, ys), ICL_OK);
      CHECK_EQ(icl_count(late), n);
      CHECK(unchanged(late, take(early)));
      CHECK_EQ(icl_predict(late, qs, &y), ICL_OK);
      CHECK_EQ(icl_predict(early, qs, &z), ICL_OK);
      CHECK(same(&y, &z, 1));
      CHECK_EQ(icl_add(late, xs + 30, ys[10]), ICL_OK);  /* and the stream goes on */
      CHECK_EQ(icl_ctx_scale(late, late->x_mean, late->x_std, 10, 4), ICL_OK);
      CHECK_EQ(icl_add(early, xs + 30, ys[10]), ICL_OK);
      CHECK(unchanged(late, take(early)));
      CHECK_EQ(icl_ctx_scale(late, NULL, tiny, 0, 1), ICL_ERR_NONFINITE);
      CHECK_EQ(icl_count(late), 0);
      icl_ctx_delete(late);
      icl_ctx_delete(early);
      free_subject(&s);
    }
}

/* ----- keys and values in fewer bytes ------------------------------------------------------------- */

static const icl_storage kinds_of_kv[] = {ICL_STORE_F16, ICL_STORE_BF16, ICL_STORE_I8};

static icl_ctx *new_ctx_kv(const icl_model *m, int pairs, int batch, icl_storage kv)
{
  icl_ctx *c = NULL;
  icl_ctx_options o = ctx_options(pairs, batch, kv);
  CHECK_EQ(icl_ctx_new_with(&c, m, &o, NULL), ICL_OK);
  if (!c) exit(3);
  CHECK_EQ(c->kv, kv);
  return c;
}

/* The largest of most and |a - b|.  (With both loops of distance_of in one function gcc 12 for
 * AArch64 ends in an internal error.) */
static double farther(double most, int n, const float *a, const float *b)
{
  int k;
  for (k = 0; k < n; k++)
    if (fabs((double)a[k] - (double)b[k]) > most) most = fabs((double)a[k] - (double)b[k]);
  return most;
}

/* The largest distance from F32's answers and residuals. */
static double distance_of(const icl_model *m, icl_storage kv, int n, const float *answers, const float *residuals)
{
  icl_ctx *c = new_ctx_kv(m, n, 16, kv);
  float got[MAX_QUERIES];
  double most;
  CHECK_EQ(icl_ask(c, n, xs, ys, 9, qs, got), ICL_OK);
  most = farther(farther(0, 9, got, answers), n, icl_residuals(c), residuals);
  icl_ctx_delete(c);
  return most;
}

/* F32 by way of options gives F32's bits.  Predictions are of size 1, and so are keys and values: off by what
 * rounding to 11, 8 or 7 bits can do, and not by nothing. */
TEST(rounded_caches_are_near)
{
  static const double least[] = {1e-6, 1e-5, 1e-5}, most[] = {4e-3, 3e-2, 3e-2};
  static const int shapes[][3] = {{30, 5, 2}, {20, 4, 5}, {64, 2, 20}, {72, 3, 7}, {48, 1, 3}};
  int i, plain, n = 20;
  size_t k;
  for (i = 0; i < 5; i++)
    for (plain = 0; plain < 2; plain++) {
      icl_config cfg = config_of(shapes[i][0], shapes[i][1], shapes[i][2], 2, i % 3, i % 3);
      subject s;
      icl_ctx *c;
      float answers[9], residuals[20];
      make_subject(&s, &cfg, (uint32_t)i + 1);
      if (plain) icl_force_plain(&s.m);
      draw_prompt(cfg.n_dims);
      c = new_ctx(&s.m, n, 16);
      CHECK_EQ(c->kv, ICL_STORE_F32);
      CHECK_EQ(icl_ask(c, n, xs, ys, 9, qs, answers), ICL_OK);
      memcpy(residuals, icl_residuals(c), sizeof residuals);
      CHECK(distance_of(&s.m, ICL_STORE_F32, n, answers, residuals) == 0);
      for (k = 0; k < COUNT(kinds_of_kv); k++) {
        double is = distance_of(&s.m, kinds_of_kv[k], n, answers, residuals);
        CHECK(is > least[k]);
        CHECK_NEAR(is, 0, most[k]);
      }
      icl_ctx_delete(c);
      free_subject(&s);
    }
}

/* One by one, in batches, in any place of a batch, after rewinding, in shares: the same bits. */
TEST(rounded_caches_give_the_same_bits)
{
  static const int shapes[][3] = {{6, 1, 3}, {30, 5, 2}, {64, 2, 5}, {17, 1, 1}, {33, 3, 2}, {32, 2, 4}};
  int i, k, step, plain, n = 23;
  size_t kind;
  for (i = 0; i < 6; i++)
    for (plain = QUICK && i % 2; plain < (QUICK ? 1 + i % 2 : 2); plain++)
      for (kind = 0; kind < COUNT(kinds_of_kv); kind++) {
        icl_config cfg = config_of(shapes[i][0], shapes[i][1], shapes[i][2], 2, i % 2 * 2, i % 3);
        int d = cfg.n_dims;
        subject s;
        icl_ctx *one, *many;
        float a[30], b[30];
        snapshot p, q;
        make_subject(&s, &cfg, (uint32_t)i + 9);
        if (plain) icl_force_plain(&s.m);
        draw_prompt(d);
        one = new_ctx_kv(&s.m, n, 1, kinds_of_kv[kind]);
        many = new_ctx_kv(&s.m, n, 64, kinds_of_kv[kind]);
        for (k = 0; k < n; k++) CHECK_EQ(icl_add(one, xs + k * d, ys[k]), ICL_OK);
        CHECK_EQ(icl_ask(many, n, xs, ys, 30, qs, b), ICL_OK);
        for (k = 0; k < 30; k++) CHECK_EQ(icl_predict(one, qs + k * d, &a[k]), ICL_OK);
        CHECK(same(a, b, 30));
        CHECK_EQ(icl_predict_batch(many, 29, qs + d, b), ICL_OK);
        CHECK(same(a + 1, b, 29));
        p = take(one);
        q = take(many);
        CHECK(p.n == q.n && !memcmp(p.bytes, q.bytes, p.n));
        free(q.bytes);
        CHECK_EQ(icl_rewind(many, n / 3), ICL_OK);
        CHECK_EQ(icl_add(many, qs, ys[0]), ICL_OK);
        CHECK_EQ(icl_rewind(many, n / 3), ICL_OK);
        for (k = n / 3; k < n; k += step) {
          step = 1 + draw_below(5);
          if (step > n - k) step = n - k;
          CHECK_EQ(icl_add_batch(many, step, xs + k * d, ys + k), ICL_OK);
        }
        CHECK_EQ(icl_ctx_threads(many, 3, run_in_turn, many), ICL_OK);
        CHECK_EQ(icl_rewind(many, 1), ICL_OK);
        shares_of = NULL;
        CHECK_EQ(icl_add_batch(many, n - 1, xs + d, ys + 1), ICL_OK);
        CHECK(shares_of == many);
        CHECK(unchanged(many, p));
        icl_ctx_delete(one);
        icl_ctx_delete(many);
        free_subject(&s);
      }
}

/* To the byte, and by as much less as the types say: of keys and values, and of nothing else. */
TEST(bytes_of_rounded_caches)
{
  int i, pairs;
  size_t kind;
  for (i = 0; i < 4; i += EVERY > 1 ? 2 : 1)
    for (pairs = 1; pairs < (QUICK ? 50 : 160); pairs += 1 + pairs / 2)
      for (kind = 0; kind < COUNT(kinds_of_kv); kind++) {
        icl_config cfg = config_of(16 + 16 * i, 1 << (i % 3), 2, 1 + i, i % 3, 0);
        icl_storage kv = kinds_of_kv[kind];
        subject s;
        icl_ctx c;
        size_t whole, n, LC = (size_t)(cfg.n_layer * cfg.n_embd), cells, scales;
        icl_ctx_options o;
        unsigned char *mem;
        make_subject(&s, &cfg, 3);
        whole = icl_ctx_bytes(&s.m, pairs, 4);
        o = ctx_options(pairs, 4, ICL_STORE_F32);
        CHECK_EQ(whole, icl_ctx_bytes_with(&s.m, &o, NULL));
        o.kv = kv;
        n = icl_ctx_bytes_with(&s.m, &o, NULL);
        cells = LC * (4 * (size_t)pairs);
        scales = kv == ICL_STORE_I8 ? 4 * 2 * (size_t)(cfg.n_layer * cfg.n_head) * (2 * (size_t)pairs) : 0;
        CHECK(n <= whole - cells * (kv == ICL_STORE_I8 ? 3 : 2) + scales + 64 + 8 * 16 * (size_t)(cfg.n_layer * cfg.n_head));
        mem = (unsigned char *)malloc(n);
        CHECK_EQ(icl_ctx_init_with(&c, &s.m, &o, mem, n - 1, NULL), ICL_ERR_MEMORY);
        CHECK_EQ(icl_ctx_init_with(&c, &s.m, &o, mem, n, NULL), ICL_OK);
        draw_prompt(2);
        CHECK_EQ(icl_add_batch(&c, pairs, xs, ys), ICL_OK);       /* the sanitizer sees the end of mem */
        CHECK_EQ(icl_add(&c, xs, ys[0]), ICL_ERR_FULL);
        free(mem);
        free_subject(&s);
      }
}

/* Each option out of its range: the report names it, its value and its limits; nothing is made. */
TEST(options_that_are_refused)
{
  static const struct { icl_ctx_options o; const char *text; } cases[] = {
    {{0, 1, 1, ICL_STORE_F32, NULL, NULL}, "max_pairs is 0, not 1 to 160"},
    {{161, 1, 1, ICL_STORE_F32, NULL, NULL}, "max_pairs is 161, not 1 to 160"},
    {{INT_MIN, 1, 1, ICL_STORE_F32, NULL, NULL}, "max_pairs is -2147483648, not 1 to 160"},
    {{4, -1, 1, ICL_STORE_F32, NULL, NULL}, "queries_at_once is -1, not 1 to 4194304"},
    {{4, (1 << 22) + 1, 1, ICL_STORE_F32, NULL, NULL}, "queries_at_once is 4194305, not 1 to 4194304"},
    {{4, 1, -7, ICL_STORE_F32, NULL, NULL}, "threads is -7, not 1 to 2147483647"},
    {{4, 1, 2, ICL_STORE_F32, NULL, NULL}, "threads without 'run'"},
    {{4, 1, 1, (icl_storage)4, NULL, NULL}, "kv is 4, not 0 to 3"}
  };
  icl_config cfg = config_of(8, 2, 2, 1, 0, 0);
  subject s;
  icl_ctx c, *none = NULL;
  icl_model empty;
  icl_report r;
  icl_ctx_options good = ctx_options(4, 1, ICL_STORE_F32);
  size_t i;
  static unsigned char mem[1 << 16];
  make_subject(&s, &cfg, 3);
  memset(&empty, 0, sizeof empty);
  for (i = 0; i < COUNT(cases); i++) {
    CHECK_EQ(icl_ctx_bytes_with(&s.m, &cases[i].o, &r), 0);
    CHECK(r.code == ICL_ERR_ARG && r.offset == 0);
    CHECK_STR(r.text, cases[i].text);
    memset(&r, 0, sizeof r);
    CHECK_EQ(icl_ctx_init_with(&c, &s.m, &cases[i].o, mem, sizeof mem, &r), ICL_ERR_ARG);
    CHECK_STR(r.text, cases[i].text);
    memset(&r, 0, sizeof r);
    CHECK_EQ(icl_ctx_new_with(&none, &s.m, &cases[i].o, &r), ICL_ERR_ARG);
    CHECK_STR(r.text, cases[i].text);
    CHECK_EQ(icl_ctx_new_with(&none, &s.m, &cases[i].o, NULL), ICL_ERR_ARG);
    CHECK(none == NULL);
  }
  CHECK_EQ(icl_ctx_bytes_with(NULL, &good, &r), 0);
  CHECK_STR(r.text, "NULL 'model'");
  CHECK_EQ(icl_ctx_bytes_with(&empty, &good, &r), 0);
  CHECK_STR(r.text, "not initialized: 'model'");
  CHECK_EQ(icl_ctx_bytes_with(&s.m, NULL, &r), 0);
  CHECK_STR(r.text, "NULL 'options'");
  CHECK_EQ(icl_ctx_new_with(NULL, &s.m, &good, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'context'");
  CHECK_EQ(icl_ctx_init_with(NULL, &s.m, &good, mem, sizeof mem, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'context'");
  CHECK_EQ(icl_ctx_init_with(&c, &s.m, &good, NULL, sizeof mem, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'mem'");
  CHECK_EQ(icl_ctx_init_with(&c, &s.m, &good, mem, 100, &r), ICL_ERR_MEMORY);
  CHECK_STR(r.text, "smaller than icl_ctx_bytes asks for: 'mem'");
  CHECK(icl_ctx_bytes_with(&s.m, &good, &r) > 0);
  CHECK(r.code == ICL_OK && !r.text[0]);
  free_subject(&s);
}

/* Zero is the default, and threads work from the first call on. */
TEST(options_and_plain_sizes_agree)
{
  icl_config cfg = config_of(20, 4, 3, 2, 1, 0);
  int batch;
  subject s;
  make_subject(&s, &cfg, 8);
  draw_prompt(3);
  for (batch = 0; batch < 20; batch++) {
    icl_ctx_options o = ctx_options(11, batch, ICL_STORE_F32);
    icl_ctx *a = NULL, *b = new_ctx(&s.m, 11, batch ? batch : 1);
    icl_report r;
    float y[20], z[20];
    o.threads = batch % 3 ? 3 : 0;
    o.run = run_in_turn;
    CHECK_EQ(icl_ctx_bytes_with(&s.m, &o, NULL), icl_ctx_bytes(&s.m, 11, batch ? batch : 1));
    CHECK_EQ(icl_ctx_new_with(&a, &s.m, &o, &r), ICL_OK);
    CHECK(r.code == ICL_OK);
    CHECK_EQ(icl_add_batch(a, 11, xs, ys), ICL_OK);
    CHECK_EQ(icl_add_batch(b, 11, xs, ys), ICL_OK);
    CHECK_EQ(icl_predict_batch(a, 20, qs, y), ICL_OK);
    CHECK_EQ(icl_predict_batch(b, 20, qs, z), ICL_OK);
    CHECK(same(y, z, 20));
    CHECK(unchanged(a, take(b)));
    icl_ctx_delete(a);
    icl_ctx_delete(b);
  }
  free_subject(&s);
}

/* A copy is larger or smaller, answers the same bits, goes on by itself, and leaves the first as it was. */
TEST(copies)
{
  static const icl_storage all[] = {ICL_STORE_F32, ICL_STORE_F16, ICL_STORE_BF16, ICL_STORE_I8};
  static const float mean[] = {1, -2}, std[] = {2, 0.5f};
  icl_config cfg = config_of(24, 3, 2, 2, 0, 0);
  subject s, other;
  size_t i;
  int room;
  make_subject(&s, &cfg, 4);
  make_subject(&other, &cfg, 4);
  draw_prompt(2);
  for (i = 0; i < 4; i++)
    for (room = 6; room < 40; room += 11) {
      icl_ctx *from = new_ctx_kv(&s.m, 12, 3, all[i]), *to = new_ctx_kv(&s.m, room, 1, all[i]);
      icl_ctx *wrong = new_ctx_kv(&s.m, 40, 1, all[(i + 1) % 4]), *foreign = new_ctx_kv(&other.m, 40, 1, all[i]);
      snapshot before;
      float y, z;
      CHECK_EQ(icl_add(to, xs + 20, ys[9]), ICL_OK);
      CHECK_EQ(icl_ctx_scale(from, mean, std, 3, 2), ICL_OK);
      CHECK_EQ(icl_add_batch(from, 6, xs, ys), ICL_OK);
      before = take(from);
      CHECK_EQ(icl_ctx_copy(to, from), ICL_OK);
      CHECK(unchanged(to, before));
      before = take(from);
      CHECK_EQ(icl_predict(from, qs, &y), ICL_OK);
      CHECK_EQ(icl_predict(to, qs, &z), ICL_OK);
      CHECK(same(&y, &z, 1));
      CHECK_EQ(icl_add(to, xs + 12, ys[6]), room > 6 ? ICL_OK : ICL_ERR_FULL);
      CHECK_EQ(icl_rewind(to, 2), ICL_OK);
      CHECK_EQ(icl_ctx_copy(from, from), ICL_OK);
      CHECK(unchanged(from, before));
      before = take(to);
      CHECK_EQ(icl_add(from, xs + 12, ys[6]), ICL_OK);
      if (room == 6) CHECK_EQ(icl_ctx_copy(to, from), ICL_ERR_FULL);
      CHECK_EQ(icl_ctx_copy(to, wrong), ICL_ERR_STATE);
      CHECK_EQ(icl_ctx_copy(to, foreign), ICL_ERR_STATE);
      CHECK_EQ(icl_ctx_copy(to, NULL), ICL_ERR_ARG);
      CHECK_EQ(icl_ctx_copy(NULL, from), ICL_ERR_ARG);
      CHECK(unchanged(to, before));
      icl_ctx_delete(from);
      icl_ctx_delete(to);
      icl_ctx_delete(wrong);
      icl_ctx_delete(foreign);
    }
  free_subject(&s);
  free_subject(&other);
}

enum { PLAYERS = 23 };

/* Contexts of one model that differ in all that contexts may differ in. */
static void make_many(icl_ctx **c, const icl_model *m)
{
  static const icl_storage all[] = {ICL_STORE_F32, ICL_STORE_F16, ICL_STORE_BF16, ICL_STORE_I8};
  int i, d = m->config.n_dims;
  for (i = 0; i < PLAYERS; i++) {
    float mean[MAX_D] = {0}, std[MAX_D];
    int j, n = (5 * i + 1) % 20;
    for (j = 0; j < d; j++) std[j] = 1 + (float)((i + j) % 3);
    c[i] = new_ctx_kv(m, n + i % 4 + !n, 1 + i % 5, all[i % 4]);
    CHECK_EQ(icl_ctx_scale(c[i], mean, std, (float)(i % 5), 1 + (float)(i % 3)), ICL_OK);
    CHECK_EQ(icl_add_batch(c[i], n, xs + i * d, ys + i), ICL_OK);
  }
}

/* The bits of icl_predict, in any passes, on one thread or several, with a context twice among them and with
 * a work context that is one of them; none of them changes. */
TEST(many_contexts_at_once)
{
  int shape, at_once, threads, i;
  for (shape = 0; shape < 8; shape += QUICK ? 3 : 1) {
    static const int shapes[][3] = {{6, 1, 3}, {30, 5, 2}, {64, 2, 5}, {17, 1, 1}, {33, 3, 2}, {32, 2, 4}, {128, 4, 2}, {8, 2, 20}};
    icl_config cfg = config_of(shapes[shape][0], shapes[shape][1], shapes[shape][2], 1 + shape % 3,
                               shapes[shape][0] % 2 ? 2 : shape % 3, shape % 3);
    subject s;
    icl_ctx *c[PLAYERS + 1], *work;
    float one[PLAYERS + 1], many[PLAYERS + 1], over[(PLAYERS + 1) * MAX_D];
    int d = cfg.n_dims;
    make_subject(&s, &cfg, (uint32_t)shape + 5);
    if (shape % 4 == 3) icl_force_plain(&s.m);
    draw_prompt(d);
    make_many(c, &s.m);
    c[PLAYERS] = c[3];
    for (i = 0; i <= PLAYERS; i++) CHECK_EQ(icl_predict(c[i], qs + i * d, &one[i]), ICL_OK);
    for (at_once = 1 + QUICK; at_once < 30; at_once += QUICK ? 12 : 1 + at_once / 3)
      for (threads = 1; threads < 4; threads += 2) {
        snapshot before[PLAYERS];
        work = at_once == 2 ? c[5] : new_ctx(&s.m, 1 + at_once, at_once);
        CHECK_EQ(icl_ctx_threads(work, threads, run_in_turn, work), ICL_OK);
        for (i = 0; i < PLAYERS; i++) before[i] = take(c[i]);
        memset(many, 0x77, sizeof many);
        CHECK_EQ(icl_predict_many(work, PLAYERS + 1, c, qs, many), ICL_OK);
        CHECK(same(one, many, PLAYERS + 1));
        for (i = 0; i < PLAYERS; i++) CHECK(unchanged(c[i], before[i]));
        memcpy(over, qs, sizeof(float) * (size_t)((PLAYERS + 1) * d));
        CHECK_EQ(icl_predict_many(work, PLAYERS + 1, c, over, over), ICL_OK);
        CHECK(same(one, over, PLAYERS + 1));
        CHECK_EQ(icl_ctx_threads(work, 1, NULL, NULL), ICL_OK);
        if (work != c[5]) icl_ctx_delete(work);
      }
    for (i = 0; i < PLAYERS; i++) icl_ctx_delete(c[i]);
    free_subject(&s);
  }
}

TEST(many_contexts_that_are_refused)
{
  icl_config cfg = config_of(12, 2, 2, 1, 0, 0);
  subject s, other;
  icl_ctx *c[3], *foreign;
  float y[3] = {7, 7, 7}, bad[6];
  int i;
  make_subject(&s, &cfg, 1);
  make_subject(&other, &cfg, 1);
  draw_prompt(2);
  for (i = 0; i < 3; i++) c[i] = new_ctx(&s.m, 4, 2);
  foreign = new_ctx(&other.m, 4, 2);
  memcpy(bad, qs, sizeof bad);
  bad[5] = from_bits(0x7fc00000u);
  CHECK_EQ(icl_predict_many(c[0], 3, c, bad, y), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_predict_many(c[0], -1, c, qs, y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(NULL, 3, c, qs, y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(c[0], 3, NULL, qs, y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(c[0], 3, c, NULL, y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(c[0], 3, c, qs, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(foreign, 3, c, qs, y), ICL_ERR_ARG);
  CHECK(y[0] == 7 && y[1] == 7 && y[2] == 7);
  CHECK_EQ(icl_predict_many(c[0], 0, NULL, NULL, NULL), ICL_OK);
  bad[5] = 3e38f;                                        /* overflows on the way */
  CHECK_EQ(icl_predict_many(c[0], 3, c, bad, y), ICL_ERR_NONFINITE);
  icl_ctx_delete(c[2]);
  c[2] = NULL;
  CHECK_EQ(icl_predict_many(c[0], 3, c, qs, y), ICL_ERR_ARG);
  for (i = 0; i < 2; i++) icl_ctx_delete(c[i]);
  icl_ctx_delete(foreign);
  free_subject(&s);
  free_subject(&other);
}

/* Pairs go back into a context of any size and kind, and give what adding them there gives. */
TEST(snapshots_of_rounded_caches)
{
  static const icl_storage all[] = {ICL_STORE_F32, ICL_STORE_F16, ICL_STORE_BF16, ICL_STORE_I8};
  icl_config cfg = config_of(24, 3, 2, 2, 0, 0);
  subject s;
  size_t a, b;
  make_subject(&s, &cfg, 4);
  draw_prompt(2);
  for (a = 0; a < 4; a++)
    for (b = 0; b < 4; b++) {
      icl_ctx *from = new_ctx_kv(&s.m, 12, 3, all[a]), *to = new_ctx_kv(&s.m, 9 + (int)b, 1, all[b]);
      icl_ctx *fresh = new_ctx_kv(&s.m, 7, 3, all[b]);
      snapshot p;
      CHECK_EQ(icl_add_batch(from, 7, xs, ys), ICL_OK);
      CHECK_EQ(icl_add_batch(fresh, 7, xs, ys), ICL_OK);
      p = save(from);
      CHECK_EQ(icl_ctx_restore(to, p.bytes, p.n, NULL), ICL_OK);
      CHECK(unchanged(to, take(fresh)));
      CHECK_EQ(icl_add_batch(to, 2, xs + 14, ys + 7), ICL_OK);
      free(p.bytes);
      icl_ctx_delete(from);
      icl_ctx_delete(to);
      icl_ctx_delete(fresh);
    }
  free_subject(&s);
}

/* A key or value that F16 cannot hold is an error, and the pair is not there; BF16 and I8 hold it. */
TEST(too_large_for_f16)
{
  icl_config cfg = config_of(8, 2, 2, 2, 2, 0);
  static const int of_value[] = {0, 1};
  size_t kind, k;
  for (k = 0; k < COUNT(of_value); k++)
    for (kind = 0; kind < COUNT(kinds_of_kv); kind++) {
      subject s;
      icl_ctx *c;
      float *bias;
      make_subject(&s, &cfg, 4);
      bias = (float *)(uintptr_t)tensor(&cfg, s.params, 1, "attn.c_attn.bias") + 8 + 8 * of_value[k] + 3;
      draw_prompt(2);
      c = new_ctx_kv(&s.m, 8, 8, kinds_of_kv[kind]);
      CHECK_EQ(icl_add_batch(c, 2, xs, ys), ICL_OK);
      *bias = 70000;
      if (kinds_of_kv[kind] == ICL_STORE_F16) {
        CHECK_EQ(icl_add(c, xs + 4, ys[2]), ICL_ERR_NONFINITE);
        CHECK_EQ(icl_count(c), 2);
      } else {
        CHECK_EQ(icl_add(c, xs + 4, ys[2]), ICL_OK);
        CHECK_EQ(icl_rewind(c, 2), ICL_OK);
      }
      *bias = 1e38f;
      if (of_value[k]) CHECK_EQ(icl_add(c, xs + 4, ys[2]), ICL_ERR_NONFINITE);
      icl_ctx_delete(c);
      free_subject(&s);
    }
}

/* ----- surprise -------------------------------------------------------------------------------------- */

static const icl_metadata typical = {
  "dense", "-900 2000 -1100 1500 -1200 300", ICL_STORE_F32, NULL, NULL
};
/* The figure comes from the residuals, whatever they come from. */
TEST(surprise_of_rounded_caches)
{
  icl_config cfg = config_of(20, 4, 2, 1, 2, 0);
  loaded l;
  icl_ctx *c;
  float s, t;
  size_t k;
  make_loaded(&l, &cfg, 3, &typical);
  draw_prompt(2);
  c = new_ctx(&l.m, 8, 4);
  CHECK_EQ(icl_add_batch(c, 8, xs, ys), ICL_OK);
  CHECK_EQ(icl_surprise(c, &s), ICL_OK);
  icl_ctx_delete(c);
  for (k = 0; k < COUNT(kinds_of_kv); k++) {
    c = new_ctx_kv(&l.m, 8, 4, kinds_of_kv[k]);
    CHECK_EQ(icl_add_batch(c, 8, xs, ys), ICL_OK);
    CHECK_EQ(icl_surprise(c, &t), ICL_OK);
    CHECK(t != s);
    CHECK_NEAR(t, s, 0.05);
    icl_ctx_delete(c);
  }
  free_loaded(&l);
}

static const double typical_is[][2] = {{-0.9, 2}, {-1.1, 1.5}, {-1.2, 0.3}};

TEST(surprise)
{
  icl_config cfg = config_of(20, 4, 2, 1, 2, 0);
  loaded l, without;
  int scaled, n, i;
  make_loaded(&l, &cfg, 3, &typical);
  make_loaded(&without, &cfg, 3, NULL);
  for (scaled = 0; scaled < 2; scaled++) {
    icl_ctx *c = new_ctx(&l.m, 8, 1), *plain = new_ctx(&without.m, 8, 1);
    float s = -7, y_mean = scaled ? 5.0f : 0.0f, y_std = scaled ? 20.0f : 1.0f;
    draw_prompt(2);
    if (scaled) icl_ctx_scale(c, NULL, NULL, y_mean, y_std);
    CHECK_EQ(icl_surprise(c, &s), ICL_ERR_STATE);
    CHECK(s == -7);
    CHECK_EQ(icl_surprise(plain, &s), ICL_ERR_STATE);
    for (n = 1; n <= 8; n++) {
      const double *is = typical_is[(n < 3 ? n : 3) - 1];
      double late = 0, all = 0, figure;
      icl_add(c, xs + 2 * n, y_std * ys[n]);
      icl_add(plain, xs + 2 * n, y_std * ys[n]);
      CHECK_EQ(icl_surprise(plain, &s), ICL_ERR_CONFIG);
      CHECK_EQ(icl_surprise(c, &s), ICL_OK);
      for (i = 0; i < n; i++) {
        double e = (double)icl_residuals(c)[i] / (double)y_std;
        double y = ((double)(y_std * ys[i + 1]) - (double)y_mean) / (double)y_std;
        if (i >= n / 3) late += log(e * e + 1e-4) / (n - n / 3);
        all += y * y;
      }
      figure = (late - log(all / n + 0.1) - is[0]) / (is[1] - is[0]);
      CHECK_NEAR(s, figure, 1e-5 * (1 + fabs(figure)));
    }
    CHECK_EQ(icl_surprise(NULL, &s), ICL_ERR_ARG);
    CHECK_EQ(icl_surprise(c, NULL), ICL_ERR_ARG);
    icl_rewind(c, 0);
    CHECK_EQ(icl_surprise(c, &s), ICL_ERR_STATE);
    icl_ctx_delete(c);
    icl_ctx_delete(plain);
  }
  free_loaded(&l);
  free_loaded(&without);
}

/* Residuals however large or small: a number comes out.  A model that hardly looks at its inputs takes
 * large ones. */
TEST(surprise_is_finite)
{
  static const float stds[] = {1, 1e-20f, 1e-38f, 1e20f, 1e38f};
  icl_config cfg = config_of(20, 4, 2, 1, 2, 0);
  int dull, ten, refused = 0, trials = 0;
  size_t k;
  draw_prompt(2);
  for (dull = 0; dull < 30; dull += 6) {
    loaded l;
    read_in_size = powf(10, -(float)dull);
    make_loaded(&l, &cfg, 3, &typical);
    read_in_size = 1;
    for (ten = -45; ten <= 38; ten++)
      for (k = 0; k < COUNT(stds); k++) {
        icl_ctx *c = new_ctx(&l.m, 2, 1);
        float s = 0;
        CHECK_EQ(icl_ctx_scale(c, NULL, NULL, 0, stds[k]), ICL_OK);
        trials++;
        if (icl_add(c, xs, powf(10, (float)ten))) refused++;
        else {
          CHECK_EQ(icl_surprise(c, &s), ICL_OK);
          CHECK(icl__finite(&s, 1));
        }
        icl_ctx_delete(c);
      }
    free_loaded(&l);
  }
  CHECK(refused > trials / 10 && refused < trials / 2);
}

/* ----- save and restore ------------------------------------------------------------------------------- */

TEST(save_and_restore)
{
  int position, i;
  for (position = 0; position < 3; position++) {
    icl_config cfg = config_of(20, 4, 3, 2, position, 1);
    static const float mean[3] = {1, 2, 3}, std[3] = {2, 3, 4};
    loaded l;
    icl_ctx *from, *to[4];
    snapshot s, t;
    float a[7], b[7];
    make_loaded(&l, &cfg, 21, &typical);
    draw_prompt(3);
    from = new_ctx(&l.m, 9, 4);
    to[0] = new_ctx(&l.m, 9, 4);
    to[1] = new_ctx(&l.m, 6, 1);
    to[2] = new_ctx(&l.m, 31, 7);
    to[3] = new_ctx(&l.m, 150, 64);
    icl_ctx_scale(from, mean, std, -1, 5);
    icl_add_batch(from, 6, xs, ys);
    s = save(from);
    icl_predict_batch(from, 7, qs, a);
    for (i = 0; i < 4; i++) {
      float more, here;
      if (i) icl_add_batch(to[i], 5, xs + 30, ys + 9);                  /* something to be replaced */
      CHECK_EQ(icl_ctx_restore(to[i], s.bytes, s.n, NULL), ICL_OK);
      CHECK_EQ(icl_count(to[i]), 6);
      t = save(to[i]);
      CHECK(t.n == s.n && !memcmp(t.bytes, s.bytes, s.n));
      free(t.bytes);
      CHECK_EQ(icl_predict_batch(to[i], 7, qs, b), ICL_OK);
      CHECK(same(a, b, 7));
      CHECK(same(icl_residuals(from), icl_residuals(to[i]), 6));
      icl_surprise(from, &more);
      icl_surprise(to[i], &here);
      CHECK(same(&more, &here, 1));
      if (i == 1) { CHECK_EQ(icl_add(to[i], xs, ys[0]), ICL_ERR_FULL); continue; }
      icl_rewind(from, 6);                                              /* and go on from there */
      icl_add_batch(from, 2, xs + 18, ys + 6);
      CHECK_EQ(icl_add_batch(to[i], 2, xs + 18, ys + 6), ICL_OK);
      icl_predict(from, qs, &more);
      icl_predict(to[i], qs, &here);
      CHECK(same(&more, &here, 1));
      icl_rewind(from, 6);
    }
    free(s.bytes);
    icl_rewind(from, 0);                                                /* an empty one keeps its scale */
    s = save(from);
    CHECK_EQ(icl_ctx_restore(to[2], s.bytes, s.n, NULL), ICL_OK);
    CHECK_EQ(icl_count(to[2]), 0);
    icl_predict(from, qs, &a[0]);
    icl_predict(to[2], qs, &b[0]);
    CHECK(same(a, b, 1));
    free(s.bytes);
    icl_ctx_delete(from);
    for (i = 0; i < 4; i++) icl_ctx_delete(to[i]);
    free_loaded(&l);
  }
}

TEST(saving_needs_room)
{
  icl_config cfg = config_of(6, 1, 2, 1, 0, 0);
  subject s;
  icl_ctx *c;
  unsigned char *buf;
  size_t n, i;
  make_subject(&s, &cfg, 1);
  draw_prompt(2);
  c = new_ctx(&s.m, 4, 1);
  icl_add_batch(c, 3, xs, ys);
  n = icl_ctx_save_bytes(c);
  buf = (unsigned char *)malloc(n + 16);
  memset(buf, 0x77, n + 16);
  CHECK_EQ(icl_ctx_save(c, buf, n - 1), ICL_ERR_MEMORY);
  CHECK_EQ(icl_ctx_save(c, buf, 0), ICL_ERR_MEMORY);
  for (i = 0; i < n + 16; i++) CHECK(buf[i] == 0x77);
  CHECK_EQ(icl_ctx_save(c, buf + 1, n), ICL_OK);
  CHECK(buf[0] == 0x77 && buf[n + 1] == 0x77);
  CHECK_EQ(icl_ctx_restore(c, buf + 1, n, NULL), ICL_OK);
  CHECK_EQ(icl_ctx_save(NULL, buf, n), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_save(c, NULL, n), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_save_bytes(NULL), 0);
  free(buf);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* Pairs are the caller's: any model of as many inputs takes them, loaded or bound, and says what it says when
 * they are added to it. */
TEST(restoring_elsewhere)
{
  icl_config cfg = config_of(6, 1, 2, 2, 0, 0), wide = config_of(16, 1, 3, 1, 2, 0);
  loaded a, b;
  subject bound, other;
  icl_ctx *c, *to, *fresh;
  snapshot s, before;
  icl_report r;
  int i;
  make_loaded(&a, &cfg, 1, NULL);
  make_loaded(&b, &cfg, 2, NULL);                        /* other weights */
  make_subject(&bound, &cfg, 3);
  make_subject(&other, &wide, 1);
  draw_prompt(2);
  c = new_ctx(&a.m, 6, 1);
  icl_add_batch(c, 5, xs, ys);
  s = save(c);
  CHECK_EQ(s.n, 32 + 8 * 2 + 4 * 3 * 5);
  for (i = 0; i < 3; i++) {
    const icl_model *m = i == 0 ? &a.m : i == 1 ? &b.m : &bound.m;
    to = new_ctx(m, 5, 1);
    fresh = new_ctx(m, 5, 4);
    icl_add(to, xs + 8, ys[4]);
    CHECK_EQ(icl_add_batch(fresh, 5, xs, ys), ICL_OK);
    CHECK_EQ(icl_ctx_restore(to, s.bytes, s.n, &r), ICL_OK);
    CHECK(r.code == ICL_OK && !r.text[0]);
    CHECK(unchanged(to, take(fresh)));
    icl_ctx_delete(to);
    icl_ctx_delete(fresh);
  }
  to = new_ctx(&other.m, 6, 1);
  icl_add(to, xs, ys[0]);
  before = take(to);
  CHECK_EQ(icl_ctx_restore(to, s.bytes, s.n, &r), ICL_ERR_STATE);
  CHECK_STR(r.text, "saved with another number of inputs");
  CHECK(unchanged(to, before));
  icl_ctx_delete(to);
  to = new_ctx(&a.m, 4, 1);
  icl_add(to, xs, ys[0]);
  before = take(to);
  CHECK_EQ(icl_ctx_restore(to, s.bytes, s.n, &r), ICL_ERR_FULL);
  CHECK_STR(r.text, "more pairs than the context holds");
  CHECK(unchanged(to, before));
  CHECK_EQ(icl_ctx_restore(NULL, s.bytes, s.n, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'context'");
  CHECK_EQ(icl_ctx_restore(to, NULL, s.n, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'buf'");
  CHECK_EQ(icl_ctx_restore(to, s.bytes, 0, &r), ICL_ERR_FORMAT);
  CHECK_STR(r.text, "not a saved context");
  icl_ctx_delete(to);
  icl_ctx_delete(c);
  free(s.bytes);
  free_loaded(&a); free_loaded(&b);
  free_subject(&bound); free_subject(&other);
}

/* Pairs that one model takes and another one cannot: an error that says so, and an empty context. */
TEST(restoring_what_overflows)
{
  icl_config cfg = config_of(8, 2, 2, 2, 2, 0);
  subject s;
  icl_ctx *c, *half;
  icl_report r;
  snapshot p;
  make_subject(&s, &cfg, 4);
  ((float *)(uintptr_t)tensor(&cfg, s.params, 1, "attn.c_attn.bias"))[8 + 3] = 70000;
  draw_prompt(2);
  c = new_ctx(&s.m, 8, 8);
  half = new_ctx_kv(&s.m, 8, 8, ICL_STORE_F16);
  CHECK_EQ(icl_add_batch(c, 2, xs, ys), ICL_OK);
  p = save(c);
  CHECK_EQ(icl_ctx_restore(half, p.bytes, p.n, &r), ICL_ERR_NONFINITE);
  CHECK_STR(r.text, "the saved pairs overflow in this model");
  CHECK_EQ(icl_count(half), 0);
  free(p.bytes);
  icl_ctx_delete(c);
  icl_ctx_delete(half);
  free_subject(&s);
}

/* Each byte cut off, each bit flipped: an error, and the context as it was. */
TEST(damaged_snapshots)
{
  icl_config cfg = config_of(4, 2, 2, 1, 0, 0);
  loaded l;
  icl_ctx *c;
  snapshot s, before;
  size_t i, bit;
  int codes[(ICL_ERROR_MAX + 1)] = {0};
  make_loaded(&l, &cfg, 5, NULL);
  draw_prompt(2);
  c = new_ctx(&l.m, 6, 1);
  icl_add_batch(c, 3, xs, ys);
  s = save(c);
  icl_rewind(c, 0);
  icl_add_batch(c, 4, xs + 12, ys + 7);
  before = take(c);
  for (i = 0; i < s.n; i++) {
    unsigned char *cut = (unsigned char *)malloc(i + !i);
    memcpy(cut, s.bytes, i);
    CHECK_EQ(icl_ctx_restore(c, cut, i, NULL), ICL_ERR_FORMAT);
    free(cut);
  }
  s.bytes[s.n] = 0;
  CHECK_EQ(icl_ctx_restore(c, s.bytes, s.n + 1, NULL), ICL_ERR_FORMAT);
  for (bit = 0; bit < 8 * s.n; bit++) {
    icl_error err;
    s.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    err = icl_ctx_restore(c, s.bytes, s.n, NULL);
    CHECK(err == ICL_ERR_FORMAT || err == ICL_ERR_STATE || err == ICL_ERR_FULL || err == ICL_ERR_DIGEST || err == ICL_ERR_NONFINITE);
    codes[err]++;
    s.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  CHECK_EQ(codes[ICL_ERR_STATE], 32);                    /* another number of inputs */
  CHECK(codes[ICL_ERR_FORMAT] > 64 && codes[ICL_ERR_FULL] > 20 && codes[ICL_ERR_DIGEST] > 500);
  CHECK_EQ(icl_count(c), 4);
  CHECK(unchanged(c, before));
  CHECK_EQ(icl_ctx_restore(c, s.bytes, s.n, NULL), ICL_OK);
  free(s.bytes);
  icl_ctx_delete(c);
  free_loaded(&l);
}

/* Made on purpose, with a digest that fits: numbers that are none, scales that are none. */
TEST(forged_snapshots)
{
  static const uint32_t bad[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0x7f800001u};
  icl_config cfg = config_of(4, 2, 2, 1, 0, 0);
  loaded l;
  icl_ctx *c;
  snapshot s, before;
  icl_report r;
  size_t i, k;
  make_loaded(&l, &cfg, 5, NULL);
  draw_prompt(2);
  c = new_ctx(&l.m, 6, 1);
  icl_add_batch(c, 3, xs, ys);
  s = save(c);
  before = take(c);
  for (i = 16; i + 8 < s.n; i += 4)
    for (k = 0; k < 4; k++) {
      unsigned char keep[4];
      memcpy(keep, s.bytes + i, 4);
      icl__put_le(s.bytes + i, bad[k], 4);
      seal(s);
      CHECK_EQ(icl_ctx_restore(c, s.bytes, s.n, &r), ICL_ERR_NONFINITE);
      CHECK_EQ(r.offset, i);
      memcpy(s.bytes + i, keep, 4);
    }
  for (i = 0; i < 3; i++)                                /* x_std[0], x_std[1], y_std */
    for (k = 0; k < 3; k++) {
      size_t at = 16 + (i < 2 ? 8 + 4 * i : 20);
      icl__put_le(s.bytes + at, k == 0 ? 0u : k == 1 ? 0xbf800000u : 0x80000000u, 4);
      seal(s);
      CHECK_EQ(icl_ctx_restore(c, s.bytes, s.n, &r), ICL_ERR_FORMAT);
      CHECK_EQ(r.offset, at);
      CHECK_STR(r.text, "a standard deviation not above 0");
      icl__put_le(s.bytes + at, 0x3f800000u, 4);
    }
  CHECK(unchanged(c, before));
  free(s.bytes);
  icl_ctx_delete(c);
  free_loaded(&l);
}

/* ----- pairs and queries in one pass ----------------------------------------------------------------- */

static int hold_the_same(const icl_ctx *a, const icl_ctx *b) { return unchanged(a, take(b)); }

/* icl_ask on c says and leaves what the two calls that it stands for say and leave in `two`. */
static void check_ask(icl_ctx *c, icl_ctx *two, int n, int n_query)
{
  float got[MAX_QUERIES], expected[MAX_QUERIES];
  int at = icl_count(c), d = c->model->config.n_dims;
  const float *x = n ? xs + at * d : NULL, *y = n ? ys + at : NULL, *q = n_query ? qs + at % 5 * d : NULL;
  got[n_query] = 77;
  CHECK_EQ(icl_add_batch(two, n, x, y), ICL_OK);
  CHECK_EQ(icl_predict_batch(two, n_query, q, expected), ICL_OK);
  CHECK_EQ(icl_ask(c, n, x, y, n_query, q, n_query ? got : NULL), ICL_OK);
  CHECK_EQ(icl_count(c), at + n);
  CHECK(same(got, expected, (size_t)n_query));
  CHECK(got[n_query] == 77);
  CHECK(same(icl_residuals(c), icl_residuals(two), (size_t)(at + n)));
  CHECK(hold_the_same(c, two));
}

/* Every n and n_query up to 6: on contexts that go on growing, and on empty ones. */
static void check_asking(const icl_model *m)
{
  int batch, n, q;
  draw_prompt(m->config.n_dims);
  for (batch = 1; batch <= 16; batch++) {
    icl_ctx *c = new_ctx(m, 150, batch), *two = new_ctx(m, 150, batch % 3 ? 64 : 1);
    for (n = 0; n <= 6; n++)
      for (q = 0; q <= 6; q++) {
        if (batch % 2) { icl_rewind(c, 0); icl_rewind(two, 0); }
        check_ask(c, two, n, q);
      }
    CHECK_EQ(icl_count(c), batch % 2 ? 6 : 147);
    check_ask(c, two, 2, 30);
    icl_ctx_delete(c);
    icl_ctx_delete(two);
  }
}

TEST(asking_in_one_pass)
{
  static const int shapes[][4] = {
    {1, 1, 1, 1}, {6, 1, 3, 2}, {5, 1, 2, 2}, {9, 3, 4, 1}, {20, 4, 5, 1}, {33, 3, 20, 1}, {72, 3, 7, 1}
  };
  size_t i;
  int plain;
  for (i = 0; i < COUNT(shapes); i += EVERY)
    for (plain = 0; plain <= (shapes[i][0] < 30); plain++) {
      int C = shapes[i][0], position = C % 2 ? 2 * ((int)i / 2 % 2) : (int)(i + (size_t)plain) % 3;
      icl_config cfg = config_of(C, shapes[i][1], shapes[i][2], shapes[i][3], position, (int)i % 3);
      subject s;
      make_subject(&s, &cfg, (uint32_t)i);
      if (plain) icl_force_plain(&s.m);
      check_asking(&s.m);
      free_subject(&s);
    }
}

/* In the caller's units, and from a restored context. */
TEST(asking_with_a_scale)
{
  static const float mean[] = {3, -2}, std[] = {0.5f, 7};
  icl_config cfg = config_of(20, 4, 2, 2, 1, 0);
  subject s;
  int batch;
  make_subject(&s, &cfg, 3);
  draw_prompt(2);
  for (batch = 1; batch <= 16; batch++) {
    icl_ctx *c = new_ctx(&s.m, 20, batch), *two = new_ctx(&s.m, 20, 5);
    snapshot snap;
    CHECK_EQ(icl_ctx_scale(c, mean, std, 10, 4), ICL_OK);
    CHECK_EQ(icl_ctx_scale(two, mean, std, 10, 4), ICL_OK);
    check_ask(c, two, 4, 5);
    snap = save(c);
    check_ask(c, two, 3, 2);
    CHECK_EQ(icl_ctx_restore(c, snap.bytes, snap.n, NULL), ICL_OK);
    CHECK_EQ(icl_ctx_restore(two, snap.bytes, snap.n, NULL), ICL_OK);
    check_ask(c, two, 5, 6);
    free(snap.bytes);
    icl_ctx_delete(c);
    icl_ctx_delete(two);
  }
  free_subject(&s);
}

TEST(asking_with_bad_arguments)
{
  static const int bad[] = {-1, -2, INT_MIN, INT_MIN + 1};
  icl_config cfg = config_of(6, 1, 2, 1, 0, 0);
  subject s;
  icl_ctx *c, empty;
  snapshot before;
  float a[4] = {77, 77, 77, 77}, x[2];
  size_t i;
  make_subject(&s, &cfg, 1);
  draw_prompt(2);
  c = new_ctx(&s.m, 6, 5);
  icl_add_batch(c, 2, xs, ys);
  before = take(c);
  memset(&empty, 0, sizeof empty);
  CHECK_EQ(icl_ask(NULL, 1, xs, ys, 1, qs, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(NULL, 0, NULL, NULL, 0, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(&empty, 1, xs, ys, 1, qs, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 1, NULL, ys, 1, qs, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 1, xs, NULL, 1, qs, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 1, xs, ys, 1, NULL, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 1, xs, ys, 1, qs, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 0, NULL, NULL, 1, qs, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(c, 1, xs, NULL, 0, NULL, NULL), ICL_ERR_ARG);
  for (i = 0; i < COUNT(bad); i++) {
    CHECK_EQ(icl_ask(c, bad[i], xs, ys, 1, qs, a), ICL_ERR_ARG);
    CHECK_EQ(icl_ask(c, 1, xs, ys, bad[i], qs, a), ICL_ERR_ARG);
    CHECK_EQ(icl_ask(c, bad[i], xs, ys, bad[i], qs, a), ICL_ERR_ARG);
    CHECK_EQ(icl_ask(c, bad[i], NULL, NULL, 0, NULL, NULL), ICL_ERR_ARG);
    CHECK_EQ(icl_ask(c, 0, NULL, NULL, bad[i], NULL, NULL), ICL_ERR_ARG);
  }
  CHECK(a[0] == 77);
  /* more pairs than fit are refused before they are read: there is only one, and it is NaN */
  x[0] = x[1] = from_bits(0x7fc00000u);
  CHECK_EQ(icl_ask(c, 5, x, x, 1, qs, a), ICL_ERR_FULL);
  CHECK_EQ(icl_ask(c, INT_MAX, x, x, 0, NULL, NULL), ICL_ERR_FULL);
  CHECK_EQ(icl_ask(c, INT_MAX, x, x, 3, qs, a), ICL_ERR_FULL);
  CHECK(a[0] == 77);
  CHECK(unchanged(c, before));
  before = take(c);
  CHECK_EQ(icl_ask(c, 0, NULL, NULL, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_ask(c, 0, NULL, NULL, 2, qs, a), ICL_OK);
  CHECK(a[0] != 77 && a[1] != 77 && a[2] == 77);
  CHECK(unchanged(c, before));
  CHECK_EQ(icl_ask(c, 4, xs, ys, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_ask(c, 1, xs, ys, 1, qs, a), ICL_ERR_FULL);
  CHECK_EQ(icl_ask(c, 0, NULL, NULL, 1, qs, a), ICL_OK);             /* full, and still answers */
  CHECK_EQ(icl_count(c), 6);
  icl_ctx_delete(c);
  free_subject(&s);
}

/* One number in `place` is v: refused, the context as it was. */
static void check_refused(icl_ctx *c, float *place, float v, int n, int n_query)
{
  int d = c->model->config.n_dims, at = icl_count(c);
  float keep = *place, a[MAX_QUERIES];
  snapshot before = take(c);
  *place = v;
  CHECK_EQ(icl_ask(c, n, xs + at * d, ys + at, n_query, qs, a), ICL_ERR_NONFINITE);
  *place = keep;
  CHECK_EQ(icl_count(c), at);
  CHECK(unchanged(c, before));
}

/* Every place of pairs and queries, every number that is none or too large, in the first or the last pass. */
TEST(asking_with_bad_numbers)
{
  static const float large[] = {1e38f, -1e38f, 3.4e38f, 1e30f};
  static const uint32_t bad[] = {0x7fc00000u, 0x7f800001u, 0x7f800000u, 0xff800000u};
  static const int batches[] = {1, 2, 3, 4, 5, 9, 16};
  size_t b, k;
  int plain, i, n = 4, q = 5, d = 3;
  for (plain = 0; plain < 2; plain++) {
    icl_config cfg = config_of(12, 2, d, 2, plain, plain);
    subject s;
    make_subject(&s, &cfg, 7);
    if (plain) icl_force_plain(&s.m);
    draw_prompt(d);
    for (b = 0; b < COUNT(batches); b++) {
      icl_ctx *c = new_ctx(&s.m, 9, batches[b]), *two = new_ctx(&s.m, 9, 1);
      CHECK_EQ(icl_add_batch(c, 2, xs, ys), ICL_OK);
      CHECK_EQ(icl_add_batch(two, 2, xs, ys), ICL_OK);
      for (k = 0; k < 8; k++) {
        float v = k < 4 ? from_bits(bad[k]) : large[k - 4];
        for (i = 0; i < n * d; i++) check_refused(c, xs + 2 * d + i, v, n, q);
        for (i = 0; i < n; i++) check_refused(c, ys + 2 + i, v, n, q);
        for (i = 0; i < q * d; i++) check_refused(c, qs + i, v, n, q);
        for (i = 0; i < q * d; i++) check_refused(c, qs + i, v, 0, q);
      }
      check_ask(c, two, n, q);                             /* nothing of all that is left */
      icl_ctx_delete(c);
      icl_ctx_delete(two);
    }
    free_subject(&s);
  }
}

/* ----- threads ------------------------------------------------------------------------------------------ */

enum { MANY = 200 };
static float many_queries[MANY * MAX_D];

static void draw_queries(int d)
{
  int i;
  for (i = 0; i < MANY * d; i++) many_queries[i] = 1.7f * uniform();
}

/* A runner without threads: any order must do. */
enum { IN_ORDER, REVERSED, SHUFFLED, ORDERS };
typedef struct runner {
  int order, most;                           /* tasks that it may get at a time                  */
  int calls, wrong, busy;
} runner;

static void run_in_some_order(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  runner *r = (runner *)user;
  int turn[64], i;
  r->calls++;
  if (n < 1 || n > r->most || n > 64 || r->busy) { r->wrong++; return; }
  r->busy = 1;                               /* a task may not ask for more threads              */
  for (i = 0; i < n; i++) turn[i] = r->order == REVERSED ? n - 1 - i : i;
  for (i = n - 1; i > 0 && r->order == SHUFFLED; i--) {
    int j = draw_below(i + 1), t = turn[i];
    turn[i] = turn[j];
    turn[j] = t;
  }
  for (i = 0; i < n; i++) task(arg, turn[i]);
  r->busy = 0;
}

static runner new_runner(const icl_model *m, int threads, int order)
{
  runner r;
  memset(&r, 0, sizeof r);
  r.order = order;
  r.most = threads > m->config.n_head ? threads : m->config.n_head;
  return r;
}

enum { THREAD_PAIRS = 20, THREAD_ANSWERS = 5 + 7 + MANY + 100 + 47 + 48 + 49 + 1 };

/* Everything that a context can be asked for; the answers one behind the other. */
static void ask_everything(icl_ctx *c, float *answers)
{
  static const int counts[] = {MANY, 100, 47, 48, 49, 1};
  int d = c->model->config.n_dims, k;
  size_t i;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  for (k = 0; k < 3; k++) CHECK_EQ(icl_add(c, xs + k * d, ys[k]), ICL_OK);
  CHECK_EQ(icl_add_batch(c, 6, xs + 3 * d, ys + 3), ICL_OK);
  CHECK_EQ(icl_ask(c, 4, xs + 9 * d, ys + 9, 5, qs, answers), ICL_OK);
  CHECK_EQ(icl_ask(c, 1, xs + 13 * d, ys + 13, 7, qs, answers + 5), ICL_OK);
  CHECK_EQ(icl_ask(c, 6, xs + 14 * d, ys + 14, 0, NULL, NULL), ICL_OK);
  for (answers += 12, i = 0; i < COUNT(counts); answers += counts[i++])
    CHECK_EQ(icl_predict_batch(c, counts[i], many_queries, answers), ICL_OK);
}

/* The same bits with 1, 2, 3, 8 threads as without, in any order of tasks. */
static void check_threads(const icl_model *m, int batch, int must_be_used)
{
  static const int threads[] = {1, 2, 3, 8};
  static float got[THREAD_ANSWERS], expected[THREAD_ANSWERS];
  icl_ctx *alone = new_ctx(m, THREAD_PAIRS, batch), *c = new_ctx(m, THREAD_PAIRS, batch);
  size_t i;
  int order;
  draw_prompt(m->config.n_dims);
  draw_queries(m->config.n_dims);
  ask_everything(alone, expected);
  for (i = 0; i < COUNT(threads); i++)
    for (order = 0; order < ORDERS; order++) {
      runner r = new_runner(m, threads[i], order);
      CHECK_EQ(icl_ctx_threads(c, threads[i], run_in_some_order, &r), ICL_OK);
      memset(got, 0, sizeof got);
      ask_everything(c, got);
      CHECK(same(got, expected, THREAD_ANSWERS));
      CHECK(hold_the_same(c, alone));
      CHECK_EQ(r.wrong, 0);
      if (threads[i] == 1) CHECK_EQ(r.calls, 0);
      if (threads[i] > 1 && must_be_used) CHECK(r.calls > 0);
    }
  icl_ctx_delete(alone);
  icl_ctx_delete(c);
}

/* Wide enough that products and queries are shared out, and too small for that. */
TEST(threads_in_any_order)
{
  static const int shapes[][4] = {
    {1, 1, 1, 1}, {6, 1, 3, 1}, {5, 1, 2, 2}, {20, 4, 5, 1}, {33, 3, 2, 1}, {64, 2, 20, 2}, {72, 3, 7, 1},
    {80, 4, 3, 1}, {96, 4, 5, 1}, {64, 8, 1, 1}, {66, 1, 4, 1}
  };
  size_t i;
  int plain;
  for (i = 0; i < COUNT(shapes); i += EVERY)
    for (plain = 0; plain < 2; plain++) {
      int C = shapes[i][0], position = C % 2 ? 2 * (int)(i % 2) : ((int)i + plain) % 3;
      icl_config cfg = config_of(C, shapes[i][1], shapes[i][2], shapes[i][3], position, (int)i % 3);
      subject s;
      make_subject(&s, &cfg, (uint32_t)i);
      if (plain) icl_force_plain(&s.m);
      check_threads(&s.m, 256, C >= 64);
      check_threads(&s.m, 64, C >= 64);
      if (!plain) check_threads(&s.m, 1 + (int)i, C >= 64);
      free_subject(&s);
    }
}

TEST(threads_out_of_range)
{
  static const int bad[] = {0, -1, INT_MIN};
  icl_config cfg = config_of(64, 4, 5, 1, 0, 0);
  subject s;
  icl_ctx *c, *alone, empty;
  runner r;
  float got[MANY], expected[MANY];
  size_t i;
  make_subject(&s, &cfg, 1);
  draw_prompt(5);
  draw_queries(5);
  c = new_ctx(&s.m, 4, MANY);
  alone = new_ctx(&s.m, 4, MANY);
  memset(&empty, 0, sizeof empty);
  r = new_runner(&s.m, 2, REVERSED);
  CHECK_EQ(icl_ctx_threads(NULL, 2, run_in_some_order, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_threads(NULL, 1, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_threads(&empty, 2, run_in_some_order, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_threads(c, 2, run_in_some_order, &r), ICL_OK);
  for (i = 0; i < COUNT(bad); i++) {
    CHECK_EQ(icl_ctx_threads(c, bad[i], run_in_some_order, NULL), ICL_ERR_ARG);
    CHECK_EQ(icl_ctx_threads(c, bad[i], NULL, NULL), ICL_ERR_ARG);
  }
  CHECK_EQ(icl_ctx_threads(c, 2, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_threads(c, INT_MAX, NULL, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_ask(alone, 4, xs, ys, MANY, many_queries, expected), ICL_OK);
  CHECK_EQ(icl_ask(c, 4, xs, ys, MANY, many_queries, got), ICL_OK);   /* as it was set before */
  CHECK(r.calls > 0 && same(got, expected, MANY));
  r.calls = 0;
  CHECK_EQ(icl_ctx_threads(c, 1, NULL, NULL), ICL_OK);                /* and back to one */
  CHECK_EQ(icl_predict_batch(c, MANY, many_queries, got), ICL_OK);
  CHECK(r.calls == 0 && same(got, expected, MANY));
  r.most = 64;
  CHECK_EQ(icl_ctx_threads(c, INT_MAX, run_in_some_order, &r), ICL_OK);
  icl_rewind(c, 0);
  CHECK_EQ(icl_ask(c, 4, xs, ys, MANY, many_queries, got), ICL_OK);
  CHECK(same(got, expected, MANY));
  CHECK_EQ(icl_predict_batch(c, MANY, many_queries, got), ICL_OK);
  CHECK(r.calls > 0 && r.wrong == 0 && same(got, expected, MANY));
  icl_ctx_delete(c);
  icl_ctx_delete(alone);
  free_subject(&s);
}

/* Whoever finds a number that overflows: the same error, and nothing is changed. */
static void check_threads_refuse(const icl_model *m, int threads, int order)
{
  static float answers[MANY];
  icl_ctx *c = new_ctx(m, 12, 256), *alone = new_ctx(m, 12, 256);
  runner r = new_runner(m, threads, order);
  snapshot before;
  int i, d = m->config.n_dims;
  CHECK_EQ(icl_ctx_threads(c, threads, run_in_some_order, &r), ICL_OK);
  CHECK_EQ(icl_add_batch(c, 4, xs, ys), ICL_OK);
  CHECK_EQ(icl_add_batch(alone, 4, xs, ys), ICL_OK);
  before = take(c);
  for (i = 0; i < MANY; i += QUICK ? 77 : 11) {            /* a query in anybody's share */
    float keep = many_queries[i * d];
    many_queries[i * d] = i % 2 ? 1e37f : from_bits(0x7fc00000u);
    CHECK_EQ(icl_predict_batch(c, MANY, many_queries, answers), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_ask(c, 3, xs + 4 * d, ys + 4, MANY, many_queries, answers), ICL_ERR_NONFINITE);
    many_queries[i * d] = keep;
  }
  for (i = 4; i < 12; i += QUICK ? 7 : 1) {
    float keep = ys[i];
    ys[i] = -1e37f;
    CHECK_EQ(icl_add_batch(c, 8, xs + 4 * d, ys + 4), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_ask(c, 8, xs + 4 * d, ys + 4, 9, qs, answers), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_add(c, xs + i * d, ys[i]), ICL_ERR_NONFINITE);
    ys[i] = keep;
  }
  CHECK(unchanged(c, before));
  CHECK_EQ(r.wrong, 0);
  check_ask(c, alone, 8, 9);
  icl_ctx_delete(c);
  icl_ctx_delete(alone);
}

/* A network whose weights are too large for any input. */
static void check_huge_weights(const icl_model *m, int threads, int order)
{
  static float answers[MANY];
  icl_ctx *c = new_ctx(m, 12, 256);
  runner r = new_runner(m, threads, order);
  snapshot before = take(c);
  CHECK_EQ(icl_ctx_threads(c, threads, run_in_some_order, &r), ICL_OK);
  CHECK_EQ(icl_add(c, xs, ys[0]), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_add_batch(c, 12, xs, ys), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_predict(c, qs, answers), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_predict_batch(c, MANY, many_queries, answers), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_ask(c, 5, xs, ys, MANY, many_queries, answers), ICL_ERR_NONFINITE);
  CHECK(unchanged(c, before));
  CHECK_EQ(r.wrong, 0);
  if (threads > 1) CHECK(r.calls > 0);
  icl_ctx_delete(c);
}

TEST(threads_and_bad_numbers)
{
  static const int threads[] = {1, 2, 3, 8};
  size_t i;
  int plain, order;
  for (plain = 0; plain < 2; plain++) {
    icl_config cfg = config_of(72, 4, 3, 2, plain, 0);
    subject s, huge;
    float *w;
    int k;
    make_subject(&s, &cfg, 9);
    make_subject(&huge, &cfg, 9);
    w = (float *)(uintptr_t)tensor(&cfg, huge.params, 0, "c_fc.weight");
    for (k = 0; k < 72 * 4 * 72; k++) w[k] *= 1e30f;
    w = (float *)(uintptr_t)tensor(&cfg, huge.params, 0, "mlp.c_proj.weight");
    for (k = 0; k < 72 * 4 * 72; k++) w[k] *= 1e30f;
    if (plain) { icl_force_plain(&s.m); icl_force_plain(&huge.m); }
    draw_prompt(3);
    draw_queries(3);
    for (i = QUICK ? 2 : 0; i < COUNT(threads); i += EVERY)
      for (order = REVERSED; order < (QUICK ? SHUFFLED : ORDERS); order++) {
        check_threads_refuse(&s.m, threads[i], order);
        check_huge_weights(&huge.m, threads[i], order);
      }
    free_subject(&s);
    free_subject(&huge);
  }
}

/* answers may be queries, here too: no share writes over a query that another one has yet to read. */
TEST(answers_over_queries_with_threads)
{
  static const int threads[] = {1, 2, 3, 8}, inputs[] = {1, 2, 5};
  static float both[MANY * MAX_D], expected[MANY];
  size_t i, k;
  int order;
  for (k = 0; k < COUNT(inputs); k++) {
    int d = inputs[k];
    icl_config cfg = config_of(64, 4, d, 1, 0, 0);
    subject s;
    icl_ctx *c;
    make_subject(&s, &cfg, 4);
    draw_prompt(d);
    draw_queries(d);
    c = new_ctx(&s.m, 4, MANY);
    CHECK_EQ(icl_ask(c, 4, xs, ys, MANY, many_queries, expected), ICL_OK);
    for (i = QUICK ? 2 : 0; i < COUNT(threads); i += EVERY)
      for (order = 0; order < ORDERS; order++) {
        runner r = new_runner(&s.m, threads[i], order);
        CHECK_EQ(icl_ctx_threads(c, threads[i], run_in_some_order, &r), ICL_OK);
        memcpy(both, many_queries, sizeof both);
        CHECK_EQ(icl_predict_batch(c, MANY, both, both), ICL_OK);
        CHECK(same(both, expected, MANY));
      }
    icl_ctx_delete(c);
    free_subject(&s);
  }
}

/* ----- misuse ------------------------------------------------------------------------------------------ */

TEST(null_arguments)
{
  icl_config cfg = config_of(6, 1, 2, 1, 0, 0);
  subject s;
  icl_ctx ctx, *c, empty;
  float x[2] = {0, 0}, y = 0;
  static unsigned char mem[1 << 16];
  make_subject(&s, &cfg, 1);
  CHECK_EQ(icl_ctx_init(NULL, &s.m, 2, 1, mem, sizeof mem), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_init(&ctx, NULL, 2, 1, mem, sizeof mem), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_init(&ctx, &s.m, 2, 1, NULL, sizeof mem), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_new(NULL, &s.m, 2, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_new(&c, NULL, 2, 1), ICL_ERR_ARG);
  c = new_ctx(&s.m, 2, 1);
  CHECK_EQ(icl_add(NULL, x, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_add(c, NULL, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_add_batch(NULL, 1, x, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_add_batch(c, 1, NULL, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_add_batch(c, 1, x, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_add_batch(c, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict(NULL, x, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict(c, NULL, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict(c, x, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_batch(NULL, 1, x, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_batch(c, 1, NULL, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_batch(c, 1, x, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_batch(c, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_rewind(NULL, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_count(NULL), 0);
  CHECK(icl_residuals(NULL) == NULL);
  CHECK_EQ(icl_model_params(NULL, x), ICL_ERR_ARG);
  CHECK_EQ(icl_model_params(&s.m, NULL), ICL_ERR_ARG);
  icl_ctx_delete(c);
  icl_ctx_delete(NULL);
  icl_unload(NULL);
  memset(&empty, 0, sizeof empty);                       /* a context that was never made */
  CHECK_EQ(icl_add(&empty, x, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_predict(&empty, x, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_rewind(&empty, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_count(&empty), 0);
  CHECK_EQ(icl_surprise(&empty, &y), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_scale(&empty, NULL, NULL, 0, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_save_bytes(&empty), 0);
  CHECK_EQ(icl_ctx_save(&empty, mem, sizeof mem), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_restore(&empty, mem, sizeof mem, NULL), ICL_ERR_ARG);
  free_subject(&s);
}

TEST(counts_out_of_range)
{
  static const int bad[] = {-1, -2, INT_MIN, INT_MIN + 1};
  icl_config cfg = config_of(6, 1, 2, 1, 0, 0);
  subject s;
  icl_ctx *c;
  snapshot before;
  float y[3], x[2];
  size_t i;
  make_subject(&s, &cfg, 1);
  draw_prompt(2);
  c = new_ctx(&s.m, 4, 1);
  icl_add_batch(c, 2, xs, ys);
  before = take(c);
  for (i = 0; i < COUNT(bad); i++) {
    CHECK_EQ(icl_add_batch(c, bad[i], xs, ys), ICL_ERR_ARG);
    CHECK_EQ(icl_predict_batch(c, bad[i], xs, y), ICL_ERR_ARG);
    CHECK_EQ(icl_rewind(c, bad[i]), ICL_ERR_ARG);
  }
  CHECK_EQ(icl_rewind(c, 3), ICL_ERR_ARG);
  CHECK_EQ(icl_rewind(c, INT_MAX), ICL_ERR_ARG);
  /* more pairs than fit are refused before they are read: there is only one, and it is NaN */
  x[0] = x[1] = from_bits(0x7fc00000u);
  CHECK_EQ(icl_add_batch(c, INT_MAX, x, x), ICL_ERR_FULL);
  CHECK_EQ(icl_add_batch(c, 3, x, x), ICL_ERR_FULL);
  CHECK(unchanged(c, before));
  icl_ctx_delete(c);
  free_subject(&s);
}

/* Every place of x and y, every number that is none or too large. */
TEST(numbers_that_are_refused)
{
  static const uint32_t bad[] = {0x7fc00000u, 0x7f800001u, 0xffc00000u, 0x7f800000u, 0xff800000u};
  static const float large[] = {1e38f, -1e38f, 3.4e38f, 1e30f, -1e25f};
  static const int shapes[][3] = {{6, 1, 3}, {20, 4, 5}, {64, 2, 7}};
  int i, plain, at, k;
  for (i = 0; i < 3; i++)
    for (plain = 0; plain < 2; plain++) {
      icl_config cfg = config_of(shapes[i][0], shapes[i][1], shapes[i][2], 2, i, i);
      subject s;
      icl_ctx *c;
      snapshot before;
      int d = cfg.n_dims;
      make_subject(&s, &cfg, 1);
      if (plain) icl_force_plain(&s.m);
      draw_prompt(d);
      c = new_ctx(&s.m, 9, 4);
      icl_add_batch(c, 4, xs, ys);
      before = take(c);
      for (k = 0; k < 10; k++) {
        float v = k < 5 ? from_bits(bad[k]) : large[k - 5], out[5], keep;
        for (at = 0; at < 5 * d; at += QUICK ? 4 : 1) {
          float *x = xs + 4 * d;
          keep = x[at];
          x[at] = v;
          CHECK_EQ(icl_add_batch(c, 5, x, ys + 4), ICL_ERR_NONFINITE);
          out[4] = 1;
          CHECK_EQ(icl_predict_batch(c, 5, x, out), ICL_ERR_NONFINITE);
          CHECK_EQ(icl_add(c, x + at / d * d, 0.5f), ICL_ERR_NONFINITE);
          out[0] = 77;
          CHECK_EQ(icl_predict(c, x + at / d * d, out), ICL_ERR_NONFINITE);
          CHECK(out[0] == 77);
          x[at] = keep;
        }
        for (at = 0; at < 5; at++) {
          keep = ys[4 + at];
          ys[4 + at] = v;
          CHECK_EQ(icl_add_batch(c, 5, xs + 4 * d, ys + 4), ICL_ERR_NONFINITE);
          CHECK_EQ(icl_add(c, xs, v), ICL_ERR_NONFINITE);
          ys[4 + at] = keep;
        }
        CHECK_EQ(icl_count(c), 4);
      }
      CHECK(unchanged(c, before));
      icl_ctx_delete(c);
      free_subject(&s);
    }
}

/* Numbers of all sizes, scales of all sizes: OK means a finite answer, anything else changes nothing. */
TEST(ok_means_finite)
{
  icl_config cfg = config_of(12, 2, 2, 1, 0, 0);
  loaded l;
  icl_ctx *c;
  int trial, k, ok = 0;
  make_loaded(&l, &cfg, 4, NULL);
  c = new_ctx(&l.m, 6, 2);
  for (trial = 0; trial < 3000; trial++) {
    float v[6 * 2], y[6], mean[2], std[2], out[6];
    for (k = 0; k < 12; k++) v[k] = uniform() * powf(10, (float)(draw_below(77) - 38) * (float)(trial % 3) / 2);
    for (k = 0; k < 6; k++) y[k] = uniform() * powf(10, (float)(draw_below(77) - 38) * (float)(trial % 3) / 2);
    for (k = 0; k < 2; k++) { mean[k] = uniform() * powf(10, (float)(draw_below(77) - 38)); std[k] = powf(10, (float)(draw_below(77) - 38)); }
    icl_rewind(c, 0);
    if (trial % 2) icl_ctx_scale(c, mean, std, mean[0], std[1]);
    else icl_ctx_scale(c, NULL, NULL, 0, 1);
    for (k = 0; k < 6; k++) {
      int before = icl_count(c);
      snapshot snap = take(c);
      if (icl_add(c, v + 2 * k, y[k])) CHECK(unchanged(c, snap));
      else { CHECK_EQ(icl_count(c), before + 1); free(snap.bytes); }
    }
    CHECK(icl__finite(icl_residuals(c), (size_t)icl_count(c)));
    if (icl_predict_batch(c, 6, v, out) == ICL_OK) { ok++; CHECK(icl__finite(out, 6)); }
  }
  CHECK(ok > 500 && ok < 2900);
  icl_ctx_delete(c);
  free_loaded(&l);
}

/* A batch that fails in its last pass leaves nothing of the first ones. */
TEST(failing_late_changes_nothing)
{
  icl_config cfg = config_of(12, 2, 2, 2, 0, 0);
  subject s;
  icl_ctx *c;
  snapshot before;
  int batch;
  make_subject(&s, &cfg, 4);
  draw_prompt(2);
  for (batch = 1; batch < 30; batch += 5) {
    c = new_ctx(&s.m, 20, batch);
    icl_add_batch(c, 3, xs, ys);
    before = take(c);
    xs[2 * 17] = 1e37f;                                  /* finite, but too much for the network */
    CHECK_EQ(icl_add_batch(c, 15, xs + 6, ys + 3), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_count(c), 3);
    CHECK(unchanged(c, before));
    xs[2 * 17] = 0.5f;
    CHECK_EQ(icl_add_batch(c, 15, xs + 6, ys + 3), ICL_OK);
    icl_ctx_delete(c);
  }
  free_subject(&s);
}

/* Keys and values of the last y are seen by nobody while it is added.  They may overflow there all the same,
 * in any layer, and are refused then: what was accepted can be saved, restored, and asked. */
TEST(nothing_infinite_is_kept)
{
  int L, part, layer, ten, refused = 0, kept = 0;
  for (L = 1; L <= 3; L++)
    for (part = 1; part < 3; part++)                     /* keys, values */
      for (layer = 0; layer < L; layer++)
        for (ten = 360; ten < 385; ten++) {
          icl_config cfg = config_of(12, 1, 2, L, 2, 0);
          subject s;
          icl_ctx *c;
          float *w, size = powf(10, (float)ten / 10), y;
          int i, j, k;
          make_subject(&s, &cfg, (uint32_t)ten);
          w = (float *)(uintptr_t)tensor(&cfg, s.params, layer, "c_attn.weight");
          for (i = 0; i < 12; i++) w[i * 36 + part * 12] *= size;      /* one channel is huge, */
          if (part == 1) for (i = 0; i < 12; i++) w[i * 36] = 0;       /* and nobody looks at it */
          if (part == 1) ((float *)(uintptr_t)tensor(&cfg, s.params, layer, "c_attn.bias"))[0] = 0;
          w = (float *)(uintptr_t)tensor(&cfg, s.params, layer, "attn.c_proj.weight");
          if (part == 2) for (j = 0; j < 12; j++) w[j] = 0;
          draw_prompt(2);
          c = new_ctx(&s.m, 4, 1);
          for (k = 0; k < 4; k++) {
            snapshot snap;
            if (icl_add(c, xs + 2 * k, ys[k])) { refused++; break; }
            kept++;
            snap = save(c);
            CHECK_EQ(icl_ctx_restore(c, snap.bytes, snap.n, NULL), ICL_OK);
            free(snap.bytes);
          }
          if (icl_predict(c, qs, &y) == ICL_OK) CHECK(icl__finite(&y, 1));
          icl_ctx_delete(c);
          free_subject(&s);
        }
  CHECK(refused > 20 && kept > 500);
}

/* ys may be xs: every row is read before it is written over. */
TEST(answers_over_queries)
{
  icl_config cfg = config_of(12, 2, 2, 1, 0, 0);
  subject s;
  icl_ctx *c;
  float both[2 * 20], out[20];
  int batch;
  make_subject(&s, &cfg, 4);
  draw_prompt(2);
  for (batch = 1; batch < 30; batch += 4) {
    c = new_ctx(&s.m, 20, batch);
    icl_add_batch(c, 3, xs, ys);
    CHECK_EQ(icl_predict_batch(c, 20, qs, out), ICL_OK);
    memcpy(both, qs, sizeof both);
    CHECK_EQ(icl_predict_batch(c, 20, both, both), ICL_OK);
    CHECK(same(both, out, 20));
    icl_ctx_delete(c);
  }
  free_subject(&s);
}

TEST(error_strings)
{
  int e;
  for (e = -300; e < 300; e++) {
    const char *s = icl_error_string((icl_error)e);
    CHECK(s && *s);
    if (e < 0 || e >= (ICL_ERROR_MAX + 1)) CHECK_STR(s, "unknown error");
    else CHECK(strcmp(s, "unknown error"));
  }
  CHECK_STR(icl_error_string((icl_error)INT_MAX), "unknown error");
  CHECK_STR(icl_error_string((icl_error)INT_MIN), "unknown error");
  CHECK_STR(icl_error_string(ICL_OK), "no error");
  for (e = 0; e < (ICL_ERROR_MAX + 1); e++) {
    int k;
    for (k = 0; k < e; k++) CHECK(strcmp(icl_error_string((icl_error)e), icl_error_string((icl_error)k)));
  }
  CHECK((ICL_ERROR_MAX + 1) <= 12);
  CHECK_STR(icl_version(), ICL_VERSION);
}

TEST(allocations_that_fail)
{
  icl_config cfg = config_of(12, 2, 2, 1, 0, 0);
  subject s;
  int persistent;
  long start = blocks;
  make_subject(&s, &cfg, 4);
  for (persistent = 0; persistent < 2; persistent++) {
    icl_ctx *c = NULL;
    allowed = 0;
    recovers = !persistent;
    CHECK_EQ(icl_ctx_new(&c, &s.m, 4, 1), ICL_ERR_MEMORY);
    CHECK(c == NULL);
    CHECK_EQ(blocks, start);
    allowed = -1;
    CHECK_EQ(icl_ctx_new(&c, &s.m, 4, 1), ICL_OK);
    CHECK_EQ(blocks, start + 1);                         /* one block for all */
    allowed = 0;
    draw_prompt(2);
    CHECK_EQ(icl_add_batch(c, 4, xs, ys), ICL_OK);       /* nothing is allocated after that */
    CHECK_EQ(icl_predict(c, xs, ys), ICL_OK);
    allowed = -1;
    icl_ctx_delete(c);
    CHECK_EQ(blocks, start);
  }
  free_subject(&s);
}

/* A context that no machine has room for is refused by malloc, not by a sum that wrapped. */
TEST(contexts_too_large)
{
  icl_config cfg = config_of(64, 1, 1, 64, 2, 0);
  subject s;
  icl_ctx *c = NULL;
  size_t n;
  make_subject(&s, &cfg, 4);
  n = icl_ctx_bytes(&s.m, 1 << 22, 1 << 22);
  CHECK(n == SIZE_MAX || n / 64 / 64 / 4 >= 2 * 2 * ((size_t)1 << 22));
  allowed = 0;                                           /* do not really try */
  recovers = 1;
  CHECK_EQ(icl_ctx_new(&c, &s.m, 1 << 22, 1 << 22), ICL_ERR_MEMORY);
  allowed = -1;
  free_subject(&s);
}

/* ----- icl_save ------------------------------------------------------------------------------------- */

#if HAVE_PAGES
static char folder[] = "/tmp/icl_api_XXXXXX";

static const char *in_folder(const char *name)
{
  static char path[64];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put_file(const char *name, const char *text)
{
  FILE *f = fopen(in_folder(name), "wb");
  CHECK(f && fputs(text, f) >= 0 && !fclose(f));
}

/* 1 if a file holds that. */
static int holds(const char *name, const void *data, size_t n)
{
  static unsigned char got[1 << 16];
  FILE *f = fopen(in_folder(name), "rb");
  size_t have = f ? fread(got, 1, sizeof got, f) : 0;
  if (f) fclose(f);
  return f && have == n && !memcmp(got, data, n);
}

static int is_there(const char *name) { return !access(in_folder(name), F_OK); }

/* What icl_write writes, in place of what was there; no link is followed, no file of others is touched. */
TEST(saving_files)
{
  icl_config cfg = config_of(12, 2, 2, 1, 0, 0);
  icl_metadata md;
  subject s;
  icl_model *m = NULL;
  icl_report r;
  static unsigned char expected[1 << 16];
  size_t n;
  int i;
  memset(&md, 0, sizeof md);
  md.task = "dense";
  make_subject(&s, &cfg, 4);
  CHECK(mkdtemp(folder) != NULL);
  n = icl_write_bytes(&cfg, &md);
  CHECK(n <= sizeof expected);
  CHECK_EQ(icl_write(expected, n, &cfg, s.params, &md), ICL_OK);
  put_file("victim", "mine");
  put_file("m.tmp01", "also mine");
  {
    char target[64];
    strcpy(target, in_folder("victim"));
    CHECK_EQ(symlink(target, in_folder("m.tmp00")), 0);
  }
  for (i = 0; i < 2; i++) {                              /* new, and over the old one */
    CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, &md, &r), ICL_OK);
    CHECK(r.code == ICL_OK && !r.text[0]);
    CHECK(holds("m", expected, n));
    CHECK(holds("victim", "mine", 4) && holds("m.tmp01", "also mine", 9) && !is_there("m.tmp02"));
  }
  CHECK_EQ(icl_load(&m, in_folder("m"), &r), ICL_OK);
  CHECK(m && m->verified == 1);
  icl_unload(m);
  disk_is_full = 1;
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, NULL, &r), ICL_ERR_IO);
  disk_is_full = 0;
  CHECK(strstr(r.text, "cannot write") && strstr(r.text, "No space left"));
  CHECK(holds("m", expected, n) && !is_there("m.tmp02"));
  rename_fails = 1;
  removals = 0;
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, NULL, &r), ICL_ERR_IO);
  rename_fails = 0;
  CHECK(strstr(r.text, "cannot write") && strstr(r.text, "Permission denied"));
  CHECK_EQ(removals, 1);
  CHECK(holds("m", expected, n) && !is_there("m.tmp02"));
  CHECK_EQ(icl_save(in_folder("nowhere/m"), &cfg, s.params, NULL, &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "cannot create") && strstr(r.text, "No such file"));
  CHECK_EQ(icl_save(folder, &cfg, s.params, NULL, &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "not a regular file"));
  CHECK_EQ(icl_save("/dev/null", &cfg, s.params, NULL, &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "not a regular file"));
  CHECK_EQ(icl_save(NULL, &cfg, s.params, NULL, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'path'");
  CHECK_EQ(icl_save(in_folder("m"), &cfg, NULL, NULL, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'params'");
  CHECK_EQ(icl_save(in_folder("m"), NULL, s.params, NULL, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'config'");
  md.task = "\"";
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, &md, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "cannot be written: 'metadata'");
  cfg.n_head = 5;
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, NULL, &r), ICL_ERR_CONFIG);
  cfg.n_head = 2;
  allowed = 0;
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, NULL, &r), ICL_ERR_MEMORY);
  allowed = -1;
  s.params[3] = from_bits(0x7f800000u);
  CHECK_EQ(icl_save(in_folder("m"), &cfg, s.params, NULL, &r), ICL_ERR_NONFINITE);
  CHECK_STR(r.text, "a weight is not finite as it is stored");
  CHECK(holds("m", expected, n));
  remove(in_folder("m")); remove(in_folder("m.tmp00")); remove(in_folder("m.tmp01")); remove(in_folder("victim"));
  CHECK_EQ(rmdir(folder), 0);                            /* and nothing else was left */
  free_subject(&s);
}
#endif

/* The header's own threads, without the trainer: the bits of one thread. */
TEST(threads_of_the_header)
{
  icl_config cfg = config_of(128, 4, 3, 2, 0, 0);
  icl_threads *t = NULL;
  icl_ctx *one, *many, *c[PLAYERS];
  float y[50], z[50];
  subject s;
  int i;
  CHECK_EQ(icl_threads_new(&t, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_threads_new(&t, ICL_MAX_THREADS + 1), ICL_ERR_ARG);
  CHECK_EQ(icl_threads_new(NULL, 2), ICL_ERR_ARG);
  allowed = 0;
  CHECK_EQ(icl_threads_new(&t, 2), ICL_ERR_MEMORY);
  allowed = -1;
  CHECK(t == NULL);
  CHECK_EQ(icl_threads_new(&t, 3), ICL_OK);
  make_subject(&s, &cfg, 4);
  draw_prompt(3);
  one = new_ctx(&s.m, 40, 64);
  many = new_ctx(&s.m, 40, 64);
  CHECK_EQ(icl_ctx_threads(many, 3, icl_threads_run, t), ICL_OK);
  CHECK_EQ(icl_ask(one, 40, xs, ys, 50, qs, y), ICL_OK);
  CHECK_EQ(icl_ask(many, 40, xs, ys, 50, qs, z), ICL_OK);
  CHECK(same(y, z, 50));
  CHECK(unchanged(many, take(one)));
  make_many(c, &s.m);
  CHECK_EQ(icl_predict_many(one, PLAYERS, c, qs, y), ICL_OK);
  CHECK_EQ(icl_predict_many(many, PLAYERS, c, qs, z), ICL_OK);
  CHECK(same(y, z, PLAYERS));
  for (i = 0; i < PLAYERS; i++) icl_ctx_delete(c[i]);
  icl_ctx_delete(one);
  icl_ctx_delete(many);
  icl_threads_delete(t);
  icl_threads_delete(NULL);
  free_subject(&s);
}

int main(void)
{
  RUN(all_kinds_of_models); RUN(all_numbers_of_inputs); RUN(small_and_odd_widths); RUN(long_contexts);
  RUN(queries_do_not_see_each_other); RUN(answers_depend_on_all_that_was_said); RUN(two_contexts_on_one_model);
  RUN(plain_kernels_agree); RUN(kernels_by_name); RUN(any_order_of_calls);
  RUN(full_is_full); RUN(learned_positions_end); RUN(sizes_out_of_range); RUN(memory_is_exact);
  RUN(binding); RUN(bound_and_loaded_agree);
  RUN(scaling); RUN(scaling_any_numbers); RUN(scales_that_are_refused); RUN(scales_that_change);
  RUN(surprise); RUN(surprise_is_finite);
  RUN(save_and_restore); RUN(saving_needs_room); RUN(restoring_elsewhere); RUN(restoring_what_overflows);
  RUN(damaged_snapshots); RUN(forged_snapshots);
  RUN(rounded_caches_are_near); RUN(rounded_caches_give_the_same_bits); RUN(bytes_of_rounded_caches);
  RUN(options_that_are_refused); RUN(options_and_plain_sizes_agree);
  RUN(copies); RUN(many_contexts_at_once); RUN(many_contexts_that_are_refused);
  RUN(snapshots_of_rounded_caches); RUN(too_large_for_f16); RUN(surprise_of_rounded_caches);
  RUN(asking_in_one_pass); RUN(asking_with_a_scale); RUN(asking_with_bad_arguments);
  RUN(asking_with_bad_numbers);
  RUN(threads_in_any_order); RUN(threads_out_of_range); RUN(threads_and_bad_numbers);
  RUN(answers_over_queries_with_threads);
  RUN(null_arguments); RUN(counts_out_of_range); RUN(numbers_that_are_refused); RUN(ok_means_finite);
  RUN(failing_late_changes_nothing); RUN(nothing_infinite_is_kept); RUN(answers_over_queries); RUN(error_strings);
  RUN(threads_of_the_header);
#if HAVE_PAGES
  RUN(saving_files);
#endif
  RUN(allocations_that_fail); RUN(contexts_too_large);
  CHECK_EQ(blocks, 0);
  return test_report("api");
}
