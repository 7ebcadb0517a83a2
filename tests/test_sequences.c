/* Every sequence of calls on a context, up to a length, against a context that is made from scratch of the
 * pairs and the scale that a simple model of the calls says: the same bits of cache, residuals and answers,
 * and the code that the header says where a call is refused.
 *
 *     build/test_sequences          all of length <= 3, and a sample of those of length 5
 *     build/test_sequences long     all of length <= 5 */
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"
#include "held.h"

enum { D = 2, MAX_PAIRS = 4, N_MEM = 1 << 15, DEEPEST = 5, N_HELD = 1 << 12, N_QUERY = 3 };

typedef struct known {             /* what a context must hold                                          */
  int n;
  float x[MAX_PAIRS + 2][D], y[MAX_PAIRS + 2];
  float x_mean[D], x_std[D], y_mean, y_std;
} known;

typedef struct state {
  icl_ctx c, other;
  known is, other_is, saved_is;
  size_t saved;                    /* bytes of the snapshot; 0: none yet                                */
  unsigned char snapshot[256];
  unsigned char mem[2][N_MEM];
} state;

static icl_model model;
static icl_storage kv;
static state now, kept[DEEPEST + 1];         /* contexts point into now.mem: kept is only bytes         */
static icl_ctx fresh, refined, image;
static unsigned char fresh_mem[N_MEM], refined_mem[N_MEM], image_mem[N_MEM];
static unsigned char held_now[N_HELD], held_fresh[N_HELD];
static float queries[N_QUERY][D] = {{0.3f, -1.1f}, {1.9f, 0.2f}, {-0.7f, 0.6f}};
static char sequence[200];
static long sequences, steps;

/* ----- numbers and contexts ------------------------------------------------------------------------- */

static void make_model(void)
{
  static float params[4096];
  static unsigned char file[1 << 14], mem[1 << 14];
  static const icl_metadata md = {"dense", "-900 2000 -1100 1500 -1200 300", ICL_STORE_F32, NULL, NULL};
  icl_config cfg;
  size_t i, bytes;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = D; cfg.n_embd = 8; cfg.n_head = 2; cfg.n_layer = 1; cfg.n_positions = 31; cfg.n_out = 4;
  cfg.layer_norm_epsilon = 1e-5f; cfg.n_quantiles = 3;
  cfg.quantiles[0] = 0.05f; cfg.quantiles[1] = 0.5f; cfg.quantiles[2] = 0.95f;
  for (i = 0; i < 4096; i++) params[i] = 0.6f * sinf(1.7f * (float)i * (float)i) + 0.1f;
  bytes = icl_write_bytes(&cfg, &md);
  CHECK(bytes && bytes <= sizeof file);
  CHECK_EQ(icl_write(file, bytes, &cfg, params, &md), ICL_OK);
  CHECK_EQ(icl_model_init(&model, file, bytes, mem, sizeof mem, NULL), ICL_OK);
}

static void make_ctx(icl_ctx *c, unsigned char *mem)
{
  icl_ctx_options o = ctx_options(MAX_PAIRS, 3, kv);
  CHECK_EQ(icl_ctx_init_with(c, &model, &o, mem, N_MEM, NULL), ICL_OK);
}

static float x_of(int i, int j) { return sinf((float)(3 * i + 5 * j) + 0.4f) * 1.5f; }
static float y_of(int i) { return cosf((float)(2 * i) + 0.2f); }

/* A context of what k says, as somebody would make it who knew it from the start. */
static void make_fresh(const known *k)
{
  make_ctx(&fresh, fresh_mem);
  CHECK_EQ(icl_ctx_scale(&fresh, k->x_mean, k->x_std, k->y_mean, k->y_std), ICL_OK);
  CHECK_EQ(icl_add_batch(&fresh, k->n, k->x[0], k->y), ICL_OK);
}

static void failed(const char *what)
{
  if (test_fail(__FILE__, __LINE__, what)) printf(": %s\n", sequence);
}

/* c holds what k says, to the last bit. */
static void compare(const icl_ctx *c, const known *k, const char *what)
{
  snapshot a, b;
  make_fresh(k);
  a.bytes = held_now;
  b.bytes = held_fresh;
  hold_all(&a, c);
  hold_all(&b, &fresh);
  if (a.n > N_HELD || c->n_pairs != k->n || a.n != b.n || memcmp(held_now, held_fresh, a.n)) failed(what);
}

static void expect(icl_error is, icl_error must_be)
{
  if (is != must_be) failed(icl_error_string(is));
}

static void expect_same(const float *a, const float *b, int n)
{
  if (memcmp(a, b, (size_t)n * sizeof *a)) failed("another answer");
}

/* ----- what calls do to the pairs that are known ---------------------------------------------------- */

static void learn(known *k, int i)
{
  int j;
  for (j = 0; j < D; j++) k->x[k->n][j] = x_of(i, j);
  k->y[k->n++] = y_of(i);
}

static void drop_first(known *k, int n)
{
  memmove(k->x, k->x[n], (size_t)(k->n - n) * sizeof k->x[0]);
  memmove(k->y, k->y + n, (size_t)(k->n - n) * sizeof k->y[0]);
  k->n -= n;
}

/* Mean and deviation of v[n], stride apart; 1 where it is constant. */
static void fit(float *mean, float *std, const float *v, int n, int stride)
{
  double m = 0, s = 0;
  int i, varies = 0;
  for (i = 0; i < n; i++) { m += (double)v[i * stride]; varies |= v[i * stride] != v[0]; }
  m = varies ? m / n : (double)v[0];
  for (i = 0; i < n; i++) s += ((double)v[i * stride] - m) * ((double)v[i * stride] - m);
  *mean = (float)m;
  *std = varies ? (float)sqrt(s / n) : 1.0f;
}

static void fit_all(known *k, const float *xs, const float *ys, int n)
{
  int j;
  for (j = 0; j < D; j++) fit(&k->x_mean[j], &k->x_std[j], xs + j, n, D);
  fit(&k->y_mean, &k->y_std, ys, n, 1);
}

static void set_scale(known *k, float mean, float std)
{
  int j;
  for (j = 0; j < D; j++) { k->x_mean[j] = mean; k->x_std[j] = std; }
  k->y_mean = mean;
  k->y_std = std;
}

/* ----- the calls; i: how many came before, which chooses numbers ------------------------------------- */

static void add_one(int i)
{
  float x[D] = {x_of(i, 0), x_of(i, 1)};
  icl_error err = icl_add(&now.c, x, y_of(i));
  expect(err, now.is.n < MAX_PAIRS ? ICL_OK : ICL_ERR_FULL);
  if (!err) learn(&now.is, i);
}

static void add_two(int i)
{
  float x[2][D] = {{x_of(i, 0), x_of(i, 1)}, {x_of(i + 9, 0), x_of(i + 9, 1)}}, y[2] = {y_of(i), y_of(i + 9)};
  icl_error err = icl_add_batch(&now.c, 2, x[0], y);
  expect(err, now.is.n + 2 <= MAX_PAIRS ? ICL_OK : ICL_ERR_FULL);
  if (!err) { learn(&now.is, i); learn(&now.is, i + 9); }
}

static void add_nan(int i)
{
  float x[2][D] = {{x_of(i, 0), x_of(i, 1)}, {0, 0}}, y[2] = {1, 1};
  x[1][0] = (float)HUGE_VAL;
  expect(icl_add_batch(&now.c, 2, x[0], y), now.is.n + 2 <= MAX_PAIRS ? ICL_ERR_NONFINITE : ICL_ERR_FULL);
}

static void ask_one(int i)
{
  float x[D] = {x_of(i, 0), x_of(i, 1)}, y = y_of(i), a[N_QUERY], b[N_QUERY];
  icl_error err = icl_ask(&now.c, 1, x, &y, N_QUERY, queries[0], a);
  expect(err, now.is.n < MAX_PAIRS ? ICL_OK : ICL_ERR_FULL);
  if (err) return;
  learn(&now.is, i);
  make_fresh(&now.is);
  expect(icl_predict_batch(&fresh, N_QUERY, queries[0], b), ICL_OK);
  expect_same(a, b, N_QUERY);
}

static void predict_one(int i)
{
  float a = 0, b = 1;
  (void)i;
  expect(icl_predict(&now.c, queries[1], &a), ICL_OK);
  make_fresh(&now.is);
  expect(icl_predict(&fresh, queries[1], &b), ICL_OK);
  expect_same(&a, &b, 1);
}

static void predict_three(int i)
{
  float a[N_QUERY], b[N_QUERY];
  int j;
  (void)i;
  expect(icl_predict_batch(&now.c, N_QUERY, queries[0], a), ICL_OK);
  make_fresh(&now.is);
  for (j = 0; j < N_QUERY; j++) expect(icl_predict(&fresh, queries[j], &b[j]), ICL_OK);
  expect_same(a, b, N_QUERY);
}

static void predict_many(int i)
{
  icl_ctx *list[2];
  float a[2], b[2];
  (void)i;
  list[0] = &now.c; list[1] = &now.other;
  expect(icl_predict_many(&now.other, 2, list, queries[0], a), ICL_OK);
  make_fresh(&now.is);
  expect(icl_predict(&fresh, queries[0], &b[0]), ICL_OK);
  make_fresh(&now.other_is);
  expect(icl_predict(&fresh, queries[1], &b[1]), ICL_OK);
  expect_same(a, b, 2);
}

static void interval(int i)
{
  float a[3][N_QUERY], b[3][N_QUERY], q[3 * N_QUERY];
  int j;
  (void)i;
  expect(icl_predict_interval(&now.c, N_QUERY, queries[0], 0.9f, a[0], a[1], a[2]), ICL_OK);
  make_fresh(&now.is);
  for (j = 0; j < N_QUERY; j++)
    expect(icl_predict_interval(&fresh, 1, queries[j], 0.9f, &b[0][j], &b[1][j], &b[2][j]), ICL_OK);
  expect_same(a[0], b[0], 3 * N_QUERY);
  expect(icl_predict_quantiles(&now.c, N_QUERY, queries[0], q), ICL_OK);
  for (j = 0; j < N_QUERY; j++)
    if (!(q[3 * j] <= q[3 * j + 1] && q[3 * j + 1] <= q[3 * j + 2])) failed("falls");
}

static void forget_one(int i)
{
  (void)i;
  expect(icl_forget(&now.c, 1), now.is.n ? ICL_OK : ICL_ERR_ARG);
  if (now.is.n) drop_first(&now.is, 1);
}

static void rewind_one(int i)
{
  (void)i;
  expect(icl_rewind(&now.c, now.is.n - 1), now.is.n ? ICL_OK : ICL_ERR_ARG);
  if (now.is.n) now.is.n--;
}

static void scale_somehow(int i)
{
  set_scale(&now.is, 0.25f * (float)i - 0.3f, 0.8f + 0.5f * (float)i);
  expect(icl_ctx_scale(&now.c, now.is.x_mean, now.is.x_std, now.is.y_mean, now.is.y_std), ICL_OK);
}

static void scale_back(int i)
{
  (void)i;
  set_scale(&now.is, 0, 1);
  expect(icl_ctx_scale(&now.c, NULL, NULL, 0, 1), ICL_OK);
}

static void scale_badly(int i)
{
  float std[D] = {1, 0};
  (void)i;
  expect(icl_ctx_scale(&now.c, NULL, std, 0, 1), ICL_ERR_ARG);
}

static void standardize_own(int i)
{
  (void)i;
  expect(icl_standardize(&now.c, 0, NULL, NULL), now.is.n ? ICL_OK : ICL_ERR_ARG);
  if (now.is.n) fit_all(&now.is, now.is.x[0], now.is.y, now.is.n);
}

static void standardize_by_data(int i)
{
  float x[3][D], y[3];
  int j;
  for (j = 0; j < 3; j++) { x[j][0] = x_of(i + j, 0); x[j][1] = 4; y[j] = y_of(i + j); }
  expect(icl_standardize(&now.c, 3, x[0], y), ICL_OK);
  fit_all(&now.is, x[0], y, 3);
}

static void save_it(int i)
{
  (void)i;
  now.saved = icl_ctx_save_bytes(&now.c);
  if (now.saved > sizeof now.snapshot || now.saved != (size_t)(32 + 8 * D + 4 * (D + 1) * now.is.n))
    failed("size");
  expect(icl_ctx_save(&now.c, now.snapshot, now.saved - 1), ICL_ERR_MEMORY);
  expect(icl_ctx_save(&now.c, now.snapshot, now.saved), ICL_OK);
  now.saved_is = now.is;
}

static void restore_it(int i)
{
  (void)i;
  expect(icl_ctx_restore(&now.c, now.snapshot, now.saved, NULL), now.saved ? ICL_OK : ICL_ERR_FORMAT);
  if (now.saved) now.is = now.saved_is;
}

static void copy_out(int i)
{
  (void)i;
  expect(icl_ctx_copy(&now.other, &now.c), ICL_OK);
  now.other_is = now.is;
}

static void copy_in(int i)
{
  (void)i;
  expect(icl_ctx_copy(&now.c, &now.other), ICL_OK);
  now.is = now.other_is;
}

/* Leave one out, each pair by a context of the others. */
static void check_it(int i)
{
  double squares = 0;
  float rmse = -1, y;
  int j;
  (void)i;
  expect(icl_check(&now.c, &rmse), now.is.n < 2 ? ICL_ERR_STATE : ICL_OK);
  for (j = 0; now.is.n >= 2 && j < now.is.n; j++) {
    known rest = now.is;
    memmove(rest.x[j], rest.x[j + 1], (size_t)(rest.n - j) * sizeof rest.x[0]);
    memmove(&rest.y[j], &rest.y[j + 1], (size_t)(rest.n - j) * sizeof rest.y[0]);
    rest.n--;
    make_fresh(&rest);
    expect(icl_predict(&fresh, now.is.x[j], &y), ICL_OK);
    squares += ((double)now.is.y[j] - (double)y) * ((double)now.is.y[j] - (double)y);
  }
  if (now.is.n >= 2 && !(fabs((double)rmse - sqrt(squares / now.is.n)) <= 1e-6 * (1 + (double)rmse)))
    failed("rmse");
}

/* The refinement of c and of a fresh context answer alike, and so do their images. */
static void refine_it(int i)
{
  float a[3][N_QUERY], b[3][N_QUERY];
  icl_error must_be = now.is.n ? ICL_OK : ICL_ERR_STATE;
  (void)i;
  expect(icl_refine(&refined, &now.c), must_be);
  if (must_be) return;
  expect(icl_predict_refined(&now.c, &refined, N_QUERY, queries[0], 0.9f, a[0], a[1], a[2]), ICL_OK);
  make_fresh(&now.is);
  expect(icl_refine(&refined, &fresh), ICL_OK);
  expect(icl_predict_refined(&fresh, &refined, N_QUERY, queries[0], 0.9f, b[0], b[1], b[2]), ICL_OK);
  expect_same(a[0], b[0], 3 * N_QUERY);
}

static void mirror_it(int i)
{
  icl_ctx *two[2];
  float a[N_QUERY], b[N_QUERY];
  int what = i & 3;
  two[0] = &now.c; two[1] = &image;
  expect(icl_mirror(&image, &now.c, what), ICL_OK);
  expect(icl_predict_mean(2, two, NULL, N_QUERY, queries[0], 0, a, NULL, NULL), ICL_OK);
  make_fresh(&now.is);
  two[0] = &fresh;
  expect(icl_mirror(&image, &fresh, what), ICL_OK);
  expect(icl_predict_mean(2, two, NULL, N_QUERY, queries[0], 0, b, NULL, NULL), ICL_OK);
  expect_same(a, b, N_QUERY);
}

static void surprise(int i)
{
  float a = 0, b = 0;
  (void)i;
  expect(icl_surprise(&now.c, &a), now.is.n ? ICL_OK : ICL_ERR_STATE);
  make_fresh(&now.is);
  if (now.is.n) expect(icl_surprise(&fresh, &b), ICL_OK);
  expect_same(&a, &b, 1);
}

static const struct { const char *name; void (*run)(int i); } ops[] = {
  {"add", add_one}, {"add_batch", add_two}, {"add_nan", add_nan}, {"ask", ask_one}, {"predict", predict_one},
  {"predict_batch", predict_three}, {"predict_many", predict_many}, {"interval", interval},
  {"forget", forget_one}, {"rewind", rewind_one}, {"scale", scale_somehow}, {"scale_back", scale_back},
  {"scale_bad", scale_badly}, {"standardize", standardize_own}, {"standardize_data", standardize_by_data},
  {"save", save_it}, {"restore", restore_it}, {"copy_out", copy_out}, {"copy_in", copy_in},
  {"check", check_it},
  {"refine", refine_it}, {"mirror", mirror_it}, {"surprise", surprise}
};
enum { N_OPS = sizeof ops / sizeof *ops };

/* ----- all of them ---------------------------------------------------------------------------------- */

static void start(icl_storage type)
{
  kv = type;
  memset(&now, 0, sizeof now);
  make_ctx(&now.c, now.mem[0]);
  make_ctx(&now.other, now.mem[1]);
  make_ctx(&refined, refined_mem);
  make_ctx(&image, image_mem);
  set_scale(&now.is, 0, 1);
  now.other_is = now.is;
}

/* Call number op as number i of a sequence. */
static void step(int op, int i, size_t at)
{
  snprintf(sequence + at, sizeof sequence - at, " %s", ops[op].name);
  ops[op].run(i);
  compare(&now.c, &now.is, "the context holds something else");
  compare(&now.other, &now.other_is, "the other context holds something else");
  steps++;
}

/* Every call after i that were made, to a length of depth. */
static void walk(int i, int depth)
{
  size_t at = strlen(sequence);
  int op;
  kept[i] = now;
  for (op = 0; op < N_OPS; op++) {
    step(op, i, at);
    sequences++;
    if (i + 1 < depth && test_bad < 10) walk(i + 1, depth);
    now = kept[i];
    sequence[at] = 0;
  }
}

static int deepest = 3;

TEST(all_short_sequences)
{
  start(ICL_STORE_F32);
  sequence[0] = 0;
  walk(0, deepest);
}

TEST(sequences_of_rounded_caches)
{
  int type;
  for (type = ICL_STORE_F16; type <= ICL_STORE_I8; type++) {
    start((icl_storage)type);
    sequence[0] = 0;
    walk(0, deepest > 3 ? 3 : 2);
  }
}

TEST(some_long_sequences)
{
  uint32_t seed = 1;
  int i, k, length = 12;
  for (k = 0; k < 400; k++) {
    start((icl_storage)(k % 4));
    for (sequence[0] = 0, i = 0; i < length; i++) {
      seed = seed * 1664525u + 1013904223u;
      step((int)((seed >> 8) % N_OPS), i, strlen(sequence));
    }
    sequences++;
  }
}

int main(int argc, char **argv)
{
  if (argc > 1 && !strcmp(argv[1], "long")) deepest = DEEPEST;
  make_model();
  RUN(all_short_sequences);
  RUN(sequences_of_rounded_caches);
  RUN(some_long_sequences);
  printf("sequences: %ld sequences of %d calls, %ld calls\n", sequences, N_OPS, steps);
  return test_report("sequences");
}
