/* The random numbers, the function classes, the grammar of tasks and the prompt sampler. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

#include <stdlib.h>

/* ----- helpers ------------------------------------------------------------------------------ */

#define MAX_D 32
#define MAX_PAIRS 64

static float scratch[20000];
static float xs[MAX_PAIRS * MAX_D], ys[MAX_PAIRS];

static icl_task parse(const char *text, int d)
{
  icl_task t;
  icl_report r;
  memset(&t, 0, sizeof t);
  if (icl_task_parse(&t, text, d, NULL, 0, &r))
    CHECK_STR(r.text, text);
  CHECK(t.n_nodes > 0 && icl_prompt_scratch(&t) <= sizeof scratch / sizeof *scratch);
  return t;
}

static icl_rng rng_at(uint64_t index)
{
  icl_rng r;
  icl_rng_init(&r, 20240601, 0, index);
  return r;
}

/* Mean, mean square and their standard errors of one label each of n prompts. */
typedef struct moments { double mean, square, mean_error, square_error; } moments;

static moments labels_of(const char *text, int d, int n)
{
  icl_task t = parse(text, d);
  moments m;
  double s1 = 0, s2 = 0, s4 = 0;
  int i;
  for (i = 0; i < n; i++) {
    icl_rng r = rng_at((uint64_t)i);
    double y;
    icl_prompt_sample(&t, NULL, &r, 1, xs, ys, NULL, scratch);
    y = (double)ys[0];
    s1 += y; s2 += y * y; s4 += y * y * y * y;
  }
  m.mean = s1 / n;
  m.square = s2 / n;
  m.mean_error = sqrt(m.square / n);
  m.square_error = sqrt((s4 / n - m.square * m.square) / n);
  return m;
}

/* Under valgrind and emulators, where the numbers are compared bit by bit (test_bits), fewer of them. */
#ifdef ICL_TEST_QUICK
enum { FEWER = 8 };
#else
enum { FEWER = 1 };
#endif

/* E y = 0 and E y^2 = square, within 4.5 standard errors. */
static void check_labels(const char *text, int d, int n, double square)
{
  moments m = labels_of(text, d, n / FEWER);
  int bad = test_bad;
  CHECK_NEAR(m.mean, 0, 4.5 * m.mean_error);
  CHECK_NEAR(m.square, square, 4.5 * m.square_error);
  if (test_bad > bad) printf("  of %s\n", text);
}

/* count of n trials of probability p, within 4.5 standard deviations. */
static void check_count(double count, double n, double p)
{
  CHECK_NEAR(count, n * p, 4.5 * sqrt(n * p * (1 - p)) + 0.5);
}

/* ----- random numbers ----------------------------------------------------------------------- */

/* From kat_vectors of the Random123 library: counter, key, output. */
TEST(philox_known_answers)
{
  static const uint32_t kat[3][10] = {
    {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
    {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
     0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
    {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0,
     0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  int i, j;
  for (i = 0; i < 3; i++) {
    uint32_t out[4];
    icl__philox(out, kat[i], kat[i] + 4);
    for (j = 0; j < 4; j++) CHECK_EQ(out[j], kat[i][6 + j]);
  }
}

/* Where seed, stream and index go, as the header promises, block after block. */
TEST(rng_layout)
{
  uint32_t key[2] = {0x55667788u, 0x11223344u};
  uint32_t counter[4] = {0, 0xaabbccddu, 0x01020304u, 0x12349876u}, out[4];
  icl_rng r;
  int block, j;
  icl_rng_init(&r, 0x1122334455667788u, 0x123401020304u, 0x9876aabbccddu);
  for (block = 0; block < 3; block++) {
    counter[0] = (uint32_t)block;
    icl__philox(out, counter, key);
    for (j = 0; j < 4; j++) CHECK_EQ(icl_rng_u32(&r), out[j]);
  }
}

TEST(rng_streams_differ)
{
  const uint64_t high = (uint64_t)1 << 40;
  const uint64_t at[7][3] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}, {1, high, 0}, {1, 0, high},
                             {high, 0, 0}};
  uint32_t first[7];
  icl_rng r;
  int i, j;
  for (i = 0; i < 7; i++) {
    icl_rng_init(&r, at[i][0], at[i][1], at[i][2]);
    first[i] = icl_rng_u32(&r);
    for (j = 0; j < i; j++) CHECK(first[i] != first[j]);
  }
}

TEST(uniform)
{
  enum { N = 200000, BINS = 64 };
  icl_rng r = rng_at(0);
  double s1 = 0, s2 = 0, chi = 0;
  int i, count[BINS] = {0};
  for (i = 0; i < N; i++) {
    float u = icl_rng_uniform(&r);
    CHECK(u >= 0 && u < 1);
    s1 += (double)u; s2 += (double)u * (double)u;
    count[(int)(u * BINS)]++;
  }
  CHECK_NEAR(s1 / N, 0.5, 4.5 * sqrt(1.0 / 12 / N));
  CHECK_NEAR(s2 / N, 1.0 / 3, 4.5 * sqrt(4.0 / 45 / N));
  for (i = 0; i < BINS; i++) chi += pow(count[i] - N / (double)BINS, 2) / (N / (double)BINS);
  CHECK_NEAR(chi, BINS - 1, 4.5 * sqrt(2.0 * (BINS - 1)));
}

TEST(normal)
{
  enum { N = 400000 };
  icl_rng r = rng_at(0);
  double s[5] = {0}, before = 0, lag = 0, tail[3] = {0};
  int i, j;
  for (i = 0; i < N; i++) {
    double z = (double)icl_rng_normal(&r), p = 1;
    for (j = 1; j < 5; j++) s[j] += p *= z;
    for (j = 0; j < 3; j++) tail[j] += fabs(z) > j + 2;
    lag += z * before;
    before = z;
  }
  CHECK_NEAR(s[1] / N, 0, 4.5 * sqrt(1.0 / N));
  CHECK_NEAR(s[2] / N, 1, 4.5 * sqrt(2.0 / N));
  CHECK_NEAR(s[3] / N, 0, 4.5 * sqrt(15.0 / N));
  CHECK_NEAR(s[4] / N, 3, 4.5 * sqrt(96.0 / N));
  CHECK_NEAR(lag / N, 0, 4.5 * sqrt(1.0 / N));
  for (j = 0; j < 3; j++) check_count(tail[j], N, erfc((j + 2) / sqrt(2.0)));
}

/* P(Gamma(6) < x) is P(Poisson(x) >= 6); P(Gamma(1/2) < x) = erf(sqrt(x)). */
TEST(gamma_distribution)
{
  enum { N = 200000 };
  icl_rng r = rng_at(0);
  double s1 = 0, s2 = 0, low = 0, high = 0, half = 0, half_low = 0;
  int i;
  for (i = 0; i < N; i++) {
    double w = (double)icl_rng_gamma(&r, 6, 1.0f / 6), v = (double)icl_rng_gamma(&r, 0.5f, 2);
    CHECK(w > 0 && v >= 0);
    s1 += w; s2 += (w - 1) * (w - 1);
    low += w < 0.5; high += w > 2;
    half += v; half_low += v < 0.02;
  }
  CHECK_NEAR(s1 / N, 1, 4.5 * sqrt(1.0 / 6 / N));
  CHECK_NEAR(s2 / N, 1.0 / 6, 4.5 * sqrt(3.0 / 36 / N));
  check_count(low, N, 0.0839179);
  check_count(high, N, 0.0203410);
  CHECK_NEAR(half / N, 1, 4.5 * sqrt(2.0 / N));
  check_count(half_low, N, erf(0.1));
  CHECK(icl_rng_gamma(&r, 0, 1) == 0 && icl_rng_gamma(&r, 1, -1) == 0);
}

/* 2^32 / (3 2^29) is 8 / 3: without rejection u32 % n would prefer low values, and (u32 n) >> 32
 * would take those with v % 3 == 2 only twice in eight. */
TEST(below_is_unbiased)
{
  enum { N = 100000 };
  icl_rng r = rng_at(0);
  int i, j, count[7] = {0}, low = 0, third = 0;
  for (i = 0; i < N; i++) {
    int k = icl_rng_below(&r, 7);
    CHECK(k >= 0 && k < 7);
    count[k]++;
    k = icl_rng_below(&r, 3 << 29);
    low += k < 1 << 30;
    third += k % 3 == 2;
  }
  for (j = 0; j < 7; j++) check_count(count[j], N, 1.0 / 7);
  check_count(low, N, 2.0 / 3);
  check_count(third, N, 1.0 / 3);
  CHECK_EQ(icl_rng_below(&r, 1), 0);
  CHECK_EQ(icl_rng_below(&r, 0), 0);
  CHECK_EQ(icl_rng_below(&r, -5), 0);
}

/* ----- classes ------------------------------------------------------------------------------ */

/* arXiv 2311.00871, appendix A.2: all of variance 1 but sine, which has
 * (1 + E exp(-8 pi^2 w^2)) / 2.  The paper's classes in its dimensions, the others in a few. */
TEST(class_variances)
{
  check_labels("dense", 20, 40000, 1);
  check_labels("dense", 1, 40000, 1);
  check_labels("sparse", 20, 40000, 1);
  check_labels("sparse(nnz=7)", 20, 40000, 1);
  check_labels("sparse(nnz=20)", 20, 40000, 1);
  check_labels("relu", 20, 6000, 1);
  check_labels("relu(hidden=3)", 5, 40000, 1);
  check_labels("sine", 1, 100000, 0.500136);
  check_labels("sine(norm=1)", 1, 40000, 1);
  check_labels("sine", 4, 40000, 0.500136);
  check_labels("tree", 20, 40000, 1);
  check_labels("quadratic", 20, 40000, 1);
  check_labels("affine", 4, 40000, 1);
  check_labels("affine(slope=2, intercept=0.5)", 1, 40000, 1);
  check_labels("poly", 1, 40000, 1);
  check_labels("poly(degree=3)", 3, 40000, 1);
  check_labels("wave", 1, 40000, 1);
  check_labels("wave(fmin=0, fmax=0, offset=0)", 2, 40000, 1);
  check_labels("pool(size=100000)", 20, 40000, 1);
  check_labels("garg(pool(size=100000, seed=1))", 5, 40000, 5);
  check_labels("saturate", 1, 100000, 1);
  check_labels("saturate(tmin=0.1, tmax=0.1, x0=-1)", 3, 40000, 1);
  check_labels("saturate(tmin=50, tmax=50, x0=0)", 1, 40000, 1);
}

/* One of three functions, the same for every prompt, each as often; a seed makes others. */
TEST(pool_is_fixed)
{
  enum { N = 6000 };
  icl_task t = parse("pool(size=3, seed=5)", 4), other = parse("pool(size=3, seed=6)", 4);
  icl_task larger = parse("pool(size=4, seed=5)", 4);
  float known[4][8];
  int count[4] = {0}, found = 0, i, j, same;
  memset(known, 0, sizeof known);
  for (i = 0; i < N; i++) {
    icl_rng r = rng_at((uint64_t)i);
    float *f = scratch + t.node[0].theta;
    icl_function_draw(scratch, &t, NULL, &r);
    for (j = 0; j < found && memcmp(known[j], f, 4 * sizeof *f); j++) {}
    if (j == found && found < 4) memcpy(known[found++], f, 4 * sizeof *f);
    if (j < 4) count[j]++;
  }
  CHECK_EQ(found, 3);
  for (j = 0; j < 3; j++) check_count(count[j], N, 1.0 / 3);
  for (same = 0, i = 0; i < 60; i++) {
    icl_rng r = rng_at((uint64_t)i), again = r;
    icl_function_draw(scratch, &larger, NULL, &r);
    for (j = 0; j < 3; j++) same |= !memcmp(known[j], scratch + t.node[0].theta, 16) << j;
    icl_function_draw(scratch, &other, NULL, &again);
    for (j = 0; j < 3; j++) CHECK(memcmp(known[j], scratch + t.node[0].theta, 16));
  }
  CHECK_EQ(same, 7);
}

TEST(wrapper_variances)
{
  check_labels("noisy(sd=0.5)", 20, 40000, 1.25);
  check_labels("noisy(sd=2, renorm=1)", 20, 40000, 1);
  check_labels("convex(dense, dense, alpha=0.3)", 5, 40000, 0.09 + 0.49);
  check_labels("convex(dense, dense)", 5, 40000, 2.0 / 3);
  check_labels("garg(dense)", 20, 40000, 20);
  check_labels("garg(sparse(nnz=3))", 20, 40000, 3);
  check_labels("garg(relu(hidden=10))", 20, 20000, 20);
  check_labels("garg(quadratic)", 20, 40000, 20);
  check_labels("garg(tree)", 20, 40000, 1);
  check_labels("garg(noisy(dense, sd=0.5))", 20, 40000, 25);
  check_labels("noisy(garg(dense), sd=0.5)", 20, 40000, 20.25);
  check_labels("garg(0.25*dense + 0.75*tree)", 20, 40000, 5.75);
}

/* f at the unit vectors: the coefficients of a linear function. */
static void coefficients(float *b, const float *f, const icl_task *t)
{
  float x[MAX_D] = {0};
  int j;
  for (j = 0; j < t->n_dims; j++) {
    x[j] = 1;
    b[j] = icl_function_eval(f, x, t);
    x[j] = 0;
  }
}

/* Every coordinate is as likely, alone and together with another one. */
TEST(sparse_supports)
{
  enum { N = 20000, D = 6 };
  icl_task t = parse("sparse(nnz=3)", D);
  int i, j, count[D] = {0}, pair = 0;
  float b[D];
  for (i = 0; i < N; i++) {
    icl_rng r = rng_at((uint64_t)i);
    int nnz = 0;
    icl_function_draw(scratch, &t, NULL, &r);
    coefficients(b, scratch, &t);
    for (j = 0; j < D; j++) { nnz += b[j] != 0; count[j] += b[j] != 0; }
    CHECK_EQ(nnz, 3);
    pair += b[0] != 0 && b[D - 1] != 0;
  }
  for (j = 0; j < D; j++) check_count(count[j], N, 0.5);
  check_count(pair, N, 0.2);
}

/* Of fewer than nnz inputs it is all, and the scale stays 1 / sqrt(nnz). */
TEST(sparse_of_active_inputs)
{
  enum { N = 500 };
  icl_task t = parse("sparse(nnz=3)", 8);
  icl_sampling opt;
  float b[8];
  int i, j, active, nnz;
  memset(&opt, 0, sizeof opt);
  for (active = 1; active <= 8; active++) {
    double square = 0;
    for (i = 0; i < N; i++) {
      icl_rng r = rng_at((uint64_t)i);
      opt.dims_active = active;
      icl_function_draw(scratch, &t, &opt, &r);
      coefficients(b, scratch, &t);
      for (j = 0, nnz = 0; j < 8; j++) {
        CHECK(j < active || b[j] == 0);
        nnz += b[j] != 0;
        square += (double)b[j] * (double)b[j];
      }
      CHECK_EQ(nnz, active < 3 ? active : 3);
    }
    CHECK_NEAR(square / nnz / N, 1.0 / 3, 4.5 * sqrt(2.0 / 9 / nnz / N));
  }
}

TEST(sparse_of_nothing_is_zero)
{
  icl_task t = parse("sparse(nnz=0)", 4);
  icl_rng r = rng_at(0);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 3, xs, ys, NULL, scratch), ICL_OK);
  CHECK(ys[0] == 0 && ys[1] == 0 && ys[2] == 0);
}

/* f(x) computed in double from theta, by the formula. */
TEST(relu_formula)
{
  enum { D = 5, H = 7 };
  icl_task t = parse("relu(hidden=7)", D);
  icl_rng r = rng_at(1);
  const float *beta, *w;
  double y = 0;
  int i, j;
  icl_prompt_sample(&t, NULL, &r, 1, xs, ys, NULL, scratch);
  beta = scratch + t.node[0].theta;
  w = beta + H;
  for (i = 0; i < H; i++) {
    double s = 0;
    for (j = 0; j < D; j++) s += (double)w[i * D + j] * (double)xs[j];
    if (s > 0) y += (double)beta[i] * s;
  }
  CHECK_NEAR(ys[0], y, 1e-6);
  CHECK_EQ(icl_prompt_scratch(&t), ICL__F_HEAD + 1 + H + H * D);
}

/* x_j > 0 goes right.  Depth 2: node 0, then 1 or 2; leaves 3, 4 or 5, 6. */
TEST(tree_semantics)
{
  icl_class_call c;
  static const float theta[7] = {2, 0, 1, 10, 20, 30, 40};
  static const float x[5][3] = {{-1, -1, -1}, {1, -1, 0}, {-1, -1, 1}, {-1, 1, 1}, {1, 1, -1}};
  static const float y[5] = {10, 20, 30, 40, 20};
  int i;
  memset(&c, 0, sizeof c);
  c.n_dims = 3;
  c.arg[0] = 2;
  for (i = 0; i < 5; i++) CHECK_EQ(icl__tree_eval(theta, x[i], &c), y[i]);
}

/* Four random tests make at most 16 values, and inputs are tested for their sign alone. */
TEST(tree_is_piecewise_constant)
{
  icl_task t = parse("tree(depth=4)", 3), constant = parse("tree(depth=0)", 3);
  icl_rng r = rng_at(3);
  int i, j;
  icl_prompt_sample(&t, NULL, &r, MAX_PAIRS, xs, ys, NULL, scratch);
  for (i = 0; i < MAX_PAIRS; i++) {
    float x[3];
    for (j = 0; j < 3; j++) x[j] = 5 * xs[3 * i + j];
    CHECK(icl_function_eval(scratch, x, &t) == ys[i]);
  }
  icl_prompt_sample(&constant, NULL, &r, 9, xs, ys, NULL, scratch);
  for (i = 1; i < 9; i++) CHECK(ys[i] == ys[0]);
}

/* theta is written by hand: direction, then the numbers of the class. */
static double curve(const char *text, const float *theta, float x)
{
  icl_task t = parse(text, 1);
  scratch[ICL__F_HEAD] = 1;
  memcpy(scratch + t.node[0].theta, theta,
         (icl_prompt_scratch(&t) - t.node[0].theta) * sizeof *theta);
  return (double)icl_function_eval(scratch, &x, &t);
}

TEST(curve_formulas)
{
  static const float sine[] = {1, 0.25f, 3}, wave[] = {1, 0.5f, 1, 2, 7};
  static const float poly[] = {1, 0, 0, 0, 1}, affine[] = {2, 5}, saturate[] = {-1, 2, 1, 3};
  double z = 1.5;
  CHECK_NEAR(curve("sine", sine, 1.5f), 3 * cos(0.75 * 3.14159265358979), 1e-6);
  CHECK_NEAR(curve("wave", wave, 1.5f), 7 + 2 * cos(1.5 * 3.14159265358979 + 1), 1e-6);
  CHECK_NEAR(curve("poly(degree=3)", poly, 1.5f), (z * z * z - 3 * z) / sqrt(6.0), 1e-6);
  CHECK_NEAR(curve("affine", affine, 1.5f), 8, 1e-6);
  CHECK_NEAR(curve("saturate", saturate, 1.5f), 1 + 3 * (1 - exp(-1.0)), 1e-6);
  CHECK_NEAR(curve("saturate", saturate, 2.5f), 1, 0);
}

/* Curves vary along one direction only: f is the same at all points with the same u.x. */
TEST(curves_have_a_direction)
{
  static const char *const text[] = {"sine", "poly", "wave", "saturate"};
  int c, i, j;
  for (c = 0; c < 4; c++) {
    icl_task t = parse(text[c], 3);
    icl_rng r = rng_at((uint64_t)c);
    const float *u = scratch + t.node[0].theta;
    double norm = 0;
    icl_prompt_sample(&t, NULL, &r, 5, xs, ys, NULL, scratch);
    for (j = 0; j < 3; j++) norm += (double)u[j] * (double)u[j];
    CHECK_NEAR(norm, 1, 1e-6);
    for (i = 0; i < 5; i++) {
      float *x = xs + 3 * i;
      x[0] += 3 * u[1]; x[1] -= 3 * u[0];
      CHECK_NEAR(icl_function_eval(scratch, x, &t), ys[i], 1e-4);
    }
  }
}

/* ----- mixtures and wrappers ---------------------------------------------------------------- */

TEST(mixture_frequencies)
{
  enum { N = 20000 };
  icl_task t = parse("2*dense + sparse + 5*tree", 4);
  int i, k = -1, count[3] = {0};
  CHECK_EQ(icl_task_terms(&t), 3);
  CHECK_NEAR(icl_task_weight(&t, 0), 0.25, 1e-7);
  CHECK_NEAR(icl_task_weight(&t, 2), 0.625, 1e-7);
  CHECK(icl_task_weight(&t, 3) == 0);
  for (i = 0; i < N; i++) {
    icl_rng r = rng_at((uint64_t)i);
    icl_prompt_sample(&t, NULL, &r, 1, xs, ys, &k, scratch);
    CHECK(k >= 0 && k < 3 && k == icl_function_class(scratch));
    count[k]++;
  }
  for (k = 0; k < 3; k++) check_count(count[k], N, (double)icl_task_weight(&t, k));
}

/* A class of the caller's own: the constant `value`, times *user if there is one. */
static int constant_size(const icl_class_call *c) { return c->arg[0] < -100 ? -1 : 1; }
static void constant_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  (void)rng;
  theta[0] = c->arg[0];
}
static float constant_eval(const float *theta, const float *x, const icl_class_call *c)
{
  (void)x;
  return c->user ? theta[0] * *(const float *)c->user : theta[0];
}
static const float two = 2;
static const icl_class own[] = {
  {"constant", {{"value", 1, -1000, 1000, 0}},
   constant_size, constant_draw, constant_eval, NULL, NULL, 0},
  {"twice", {{"value", 1, -1000, 1000, 0}},
   constant_size, constant_draw, constant_eval, NULL, &two, 0}};

static icl_task parse_own(const char *text)
{
  icl_task t;
  icl_report r;
  memset(&t, 0, sizeof t);
  CHECK_EQ(icl_task_parse(&t, text, 2, own, 2, &r), ICL_OK);
  return t;
}

static float first_label(const icl_task *t, uint64_t index)
{
  icl_rng r = rng_at(index);
  icl_prompt_sample(t, NULL, &r, 1, xs, ys, NULL, scratch);
  return ys[0];
}

TEST(own_classes)
{
  icl_task t = parse_own("constant(value=3)");
  CHECK(first_label(&t, 0) == 3);
  t = parse_own("twice");
  CHECK(first_label(&t, 0) == 2);
  t = parse_own("convex(constant(value=8), convex(twice, constant(value=-2), alpha=0.5), "
                "alpha=0.25)");
  CHECK(first_label(&t, 0) == 2);
}

TEST(own_classes_refused)
{
  icl_class bad[2];
  icl_task t;
  icl_report r;
  memcpy(bad, own, sizeof bad);
  bad[1].name = "dense";
  CHECK_EQ(icl_task_parse(&t, "dense", 2, bad, 2, &r), ICL_ERR_ARG);
  bad[1].name = "constant";
  CHECK_EQ(icl_task_parse(&t, "dense", 2, bad, 2, &r), ICL_ERR_ARG);
  bad[1].name = "a b";
  CHECK_EQ(icl_task_parse(&t, "dense", 2, bad, 2, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "own class with a bad name 'a b'");
  bad[1].name = "other";
  bad[1].eval = NULL;
  CHECK_EQ(icl_task_parse(&t, "dense", 2, bad, 2, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_task_parse(&t, "constant(value=-500)", 2, own, 2, &r), ICL_ERR_CONFIG);
  CHECK_EQ(icl_task_parse(&t, "constan", 2, own, 2, &r), ICL_ERR_CONFIG);
  CHECK_STR(r.text, "unknown class; perhaps constant, not 'constan'");
}

static float nan_eval(const float *theta, const float *x, const icl_class_call *c)
{
  (void)theta; (void)c;
  return (x[0] - x[0]) / (x[0] - x[0]);
}

TEST(own_class_that_yields_nan)
{
  icl_class bad[1];
  icl_task t;
  icl_rng r = rng_at(0);
  memcpy(bad, own, sizeof bad);
  bad[0].eval = nan_eval;
  CHECK_EQ(icl_task_parse(&t, "constant", 2, bad, 1, NULL), ICL_OK);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 2, xs, ys, NULL, scratch), ICL_ERR_NONFINITE);
}

/* Terms of inner mixtures are drawn too: values 1, 2, 3 with 1/2, 1/8, 3/8. */
TEST(nested_mixtures)
{
  enum { N = 20000 };
  icl_task t = parse_own("constant + noisy(0.25*constant(value=2) + 0.75*constant(value=3), sd=0)");
  int i, count[4] = {0};
  CHECK_EQ(icl_task_terms(&t), 2);
  for (i = 0; i < N; i++) {
    int y = (int)first_label(&t, (uint64_t)i);
    CHECK(y >= 1 && y <= 3 && icl_function_class(scratch) == (y > 1));
    count[y & 3]++;
  }
  check_count(count[1], N, 0.5);
  check_count(count[2], N, 0.125);
  check_count(count[3], N, 0.375);
}

/* alpha: value 1 and 0 make the label alpha itself. */
TEST(convex_alpha)
{
  enum { N = 20000 };
  icl_task t = parse_own("convex(constant(value=1), constant(value=0))");
  double s1 = 0, s2 = 0;
  int i;
  for (i = 0; i < N; i++) {
    double a = (double)first_label(&t, (uint64_t)i);
    CHECK(a >= 0 && a < 1);
    s1 += a; s2 += a * a;
  }
  CHECK_NEAR(s1 / N, 0.5, 4.5 * sqrt(1.0 / 12 / N));
  CHECK_NEAR(s2 / N, 1.0 / 3, 4.5 * sqrt(4.0 / 45 / N));
  t = parse_own("convex(constant(value=1), constant(value=0), alpha=0.3)");
  CHECK_NEAR(first_label(&t, 0), 0.3, 1e-7);
  t = parse_own("convex(constant(value=1), constant(value=0), alpha=0)");
  CHECK(first_label(&t, 0) == 0);
}

/* On labels only: x and f are those of the task without noise, and y - f(x) is normal. */
TEST(noise)
{
  enum { N = 2000 };
  icl_task t = parse("noisy(dense, sd=0.7)", 3);
  double s1 = 0, s2 = 0, s4 = 0;
  int i, j;
  for (i = 0; i < N; i++) {
    icl_rng r = rng_at((uint64_t)i);
    icl_prompt_sample(&t, NULL, &r, 20, xs, ys, NULL, scratch);
    for (j = 0; j < 20; j++) {
      double e = (double)(ys[j] - icl_function_eval(scratch, xs + 3 * j, &t)) / 0.7;
      s1 += e; s2 += e * e; s4 += e * e * e * e;
    }
  }
  CHECK_NEAR(icl_function_noise(scratch), 0.7, 1e-6);
  CHECK_NEAR(s1 / (20 * N), 0, 4.5 * sqrt(1 / (20.0 * N)));
  CHECK_NEAR(s2 / (20 * N), 1, 4.5 * sqrt(2 / (20.0 * N)));
  CHECK_NEAR(s4 / (20 * N), 3, 4.5 * sqrt(96 / (20.0 * N)));
}

static double noise_of(const char *text)
{
  icl_task t = parse(text, 4);
  icl_rng r = rng_at(0);
  icl_function_draw(scratch, &t, NULL, &r);
  return (double)icl_function_noise(scratch);
}

TEST(noises_add_up)
{
  CHECK_NEAR(noise_of("dense"), 0, 0);
  CHECK_NEAR(noise_of("noisy(noisy(dense, sd=3), sd=4)"), 5, 1e-6);
  CHECK_NEAR(noise_of("noisy(sd=1, renorm=1)"), sqrt(0.5), 1e-6);
  CHECK_NEAR(noise_of("noisy(noisy(dense, sd=1, renorm=1), sd=1)"), sqrt(1.5), 1e-6);
  CHECK_NEAR(noise_of("convex(noisy(sd=3), noisy(sd=8), alpha=0.5)"), sqrt(9 / 4.0 + 16), 1e-6);
  CHECK_NEAR(noise_of("garg(noisy(sd=1))"), 2, 1e-6);
  CHECK_NEAR(noise_of("noisy(garg(dense), sd=1)"), 1, 1e-6);
  CHECK_NEAR(noise_of("1e-9*noisy + 1e9*tree"), 0, 0);
}

/* ----- prompts ------------------------------------------------------------------------------ */

static const char *const everything =
  "dense + sparse + relu(hidden=5) + sine + tree + quadratic + affine + poly + wave + saturate + "
  "pool(size=3) + noisy + convex(dense, sine) + garg(sparse)";

/* The same whatever was drawn before, and in whatever order. */
TEST(prompts_depend_on_their_place_only)
{
  enum { N = 40 };
  icl_task t = parse(everything, 3), copy;
  float first[N][7];
  int i, pass;
  copy = t;
  memset(&t, 0xff, sizeof t);
  for (pass = 0; pass < 2; pass++)
    for (i = 0; i < N; i++) {
      int at = pass ? N - 1 - i : i;
      icl_rng r = rng_at((uint64_t)at);
      CHECK_EQ(icl_prompt_sample(&copy, NULL, &r, 7, xs, ys, NULL, scratch), ICL_OK);
      if (pass) CHECK(!memcmp(first[at], ys, sizeof first[at]));
      memcpy(first[at], ys, sizeof first[at]);
    }
}

TEST(short_prompts_begin_long_ones)
{
  icl_task t = parse(everything, 3);
  float x[12], y[4];
  int i;
  for (i = 0; i < 40; i++) {
    icl_rng r = rng_at((uint64_t)i), again = r;
    icl_prompt_sample(&t, NULL, &r, 4, x, y, NULL, scratch);
    icl_prompt_sample(&t, NULL, &again, 30, xs, ys, NULL, scratch);
    CHECK(!memcmp(x, xs, sizeof x) && !memcmp(y, ys, sizeof y));
  }
}

/* What a change of the sampler would change, and with it every model that is made from a seed. */
TEST(golden_prompt)
{
  icl_task t = parse("noisy(0.5*dense + 0.5*sparse, sd=0.1)", 3);
  static const float x[6] = {0.518160403f, -1.75858879f, 0.0531782359f,
                             -0.657379448f, 0.026329482f, 1.13346255f};
  static const float y[2] = {-2.47064877f, 0.925228834f};
  icl_rng r;
  int i;
  icl_rng_init(&r, 1, 2, 3);
  icl_prompt_sample(&t, NULL, &r, 2, xs, ys, NULL, scratch);
  for (i = 0; i < 6; i++) CHECK_NEAR(xs[i], x[i], 1e-6);
  for (i = 0; i < 2; i++) CHECK_NEAR(ys[i], y[i], 1e-6);
}

TEST(inputs)
{
  icl_task t = parse("dense", 4);
  icl_sampling opt;
  double s[2] = {0, 0}, fourth[2] = {0, 0};
  int i, j, uniform;
  memset(&opt, 0, sizeof opt);
  for (uniform = 0; uniform < 2; uniform++) {
    opt.inputs = uniform ? ICL_INPUTS_UNIFORM : ICL_INPUTS_NORMAL;
    for (i = 0; i < 1000; i++) {
      icl_rng r = rng_at((uint64_t)i);
      icl_prompt_sample(&t, &opt, &r, 10, xs, ys, NULL, scratch);
      for (j = 0; j < 40; j++) {
        CHECK(!uniform || fabsf(xs[j]) <= 1.7320509f);
        s[uniform] += pow((double)xs[j], 2);
        fourth[uniform] += pow((double)xs[j], 4);
      }
    }
  }
  CHECK_NEAR(s[0] / 40000, 1, 4.5 * sqrt(2.0 / 40000));
  CHECK_NEAR(s[1] / 40000, 1, 4.5 * sqrt(0.8 / 40000));
  CHECK_NEAR(fourth[0] / 40000, 3, 4.5 * sqrt(96.0 / 40000));
  CHECK_NEAR(fourth[1] / 40000, 1.8, 4.5 * sqrt(5.76 / 40000));
}

/* Another unit of y is another unit of its noise, whatever kind that is.  A power of two is exact. */
TEST(noise_scales_with_labels)
{
  icl_task t = parse("noisy(dense, sd=0.5, tails=1, hetero=1, outliers=1)", 2);
  icl_rng r = rng_at(0), again = r;
  icl_sampling opt;
  float x[16], y[8];
  int i;
  memset(&opt, 0, sizeof opt);
  icl_prompt_sample(&t, &opt, &r, 8, x, y, NULL, scratch);
  opt.y_scale = 8;
  icl_prompt_sample(&t, &opt, &again, 8, xs, ys, NULL, scratch);
  for (i = 0; i < 8; i++) CHECK(ys[i] == 8 * y[i]);
}

TEST(curriculum_and_scales)
{
  icl_task t = parse("dense", 4);
  icl_sampling opt;
  icl_rng r = rng_at(0), again = r;
  float x[20], y[5];
  int i;
  memset(&opt, 0, sizeof opt);
  opt.dims_active = 2;
  icl_prompt_sample(&t, &opt, &r, 5, x, y, NULL, scratch);
  for (i = 0; i < 20; i++) CHECK((x[i] == 0) == (i % 4 >= 2));
  opt.x_scale = 2;
  opt.y_scale = -3;
  icl_prompt_sample(&t, &opt, &again, 5, xs, ys, NULL, scratch);
  for (i = 0; i < 20; i++) CHECK(xs[i] == 2 * x[i]);
  for (i = 0; i < 5; i++) CHECK_NEAR(ys[i], -6 * y[i], 1e-5);
}

/* One function, at points that are given. */
TEST(labels_of_given_inputs)
{
  icl_task t = parse("relu(hidden=4)", 2);
  icl_rng r = rng_at(0), again = r;
  float y[9];
  int i, k = -1;
  for (i = 0; i < 18; i++) xs[i] = (float)(i % 5) - 2;
  CHECK_EQ(icl_prompt_label(&t, NULL, &r, 9, xs, y, &k, scratch), ICL_OK);
  CHECK_EQ(k, 0);
  icl_function_draw(scratch, &t, NULL, &again);
  for (i = 0; i < 9; i++) CHECK(y[i] == icl_function_eval(scratch, xs + 2 * i, &t));
  CHECK(y[0] != y[1]);
}

TEST(sampler_errors)
{
  icl_task t = parse("dense", 4), none;
  icl_sampling opt;
  icl_rng r = rng_at(0);
  memset(&opt, 0, sizeof opt);
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_prompt_sample(&none, NULL, &r, 1, xs, ys, NULL, scratch), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(NULL, NULL, &r, 1, xs, ys, NULL, scratch), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(&t, NULL, NULL, 1, xs, ys, NULL, scratch), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, -1, xs, ys, NULL, scratch), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 1, NULL, ys, NULL, scratch), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 1, xs, ys, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 0, xs, ys, NULL, scratch), ICL_OK);
  opt.dims_active = 5;
  CHECK_EQ(icl_prompt_sample(&t, &opt, &r, 1, xs, ys, NULL, scratch), ICL_ERR_ARG);
  opt.dims_active = 0;
  opt.x_scale = (float)HUGE_VAL;
  CHECK_EQ(icl_prompt_sample(&t, &opt, &r, 1, xs, ys, NULL, scratch), ICL_ERR_ARG);
}

/* ----- grammar ------------------------------------------------------------------------------ */

static const char *const accepted[][2] = {
  {"dense", "dense"},
  {" dense ( ) ", "dense"},
  {"sparse", "sparse(nnz=2)"},
  {"sparse(nnz=3)", "sparse(nnz=3)"},
  {"\tsparse\n( nnz\r= +3. )", "sparse(nnz=3)"},
  {"sparse(nnz=.3e1)", "sparse(nnz=3)"},
  {"relu(hidden=1e2)", "relu(hidden=100)"},
  {"0.5*dense + 0.5*sparse(nnz=2)", "0.5*dense + 0.5*sparse(nnz=2)"},
  {"0.5*dense+0.5*sparse(nnz=2)", "0.5*dense + 0.5*sparse(nnz=2)"},
  {"dense + sparse + tree", "dense + sparse(nnz=2) + tree(depth=4)"},
  {"3*dense + sine", "3*dense + sine(norm=0)"},
  {"0.25 * dense", "dense"},
  {"0.000001*dense + 1e-7*sine", "1e-6*dense + 1e-7*sine(norm=0)"},
  {"0.001*dense + 123456789*sine", "0.001*dense + 123456790*sine(norm=0)"},
  {"noisy", "noisy(dense, sd=0.5, renorm=0)"},
  {"noisy()", "noisy(dense, sd=0.5, renorm=0)"},
  {"noisy(sd=0.25)", "noisy(dense, sd=0.25, renorm=0)"},
  {"noisy(sd=0.1, sparse(nnz=3), renorm=1)", "noisy(sparse(nnz=3), sd=0.1, renorm=1)"},
  {"noisy(0.5*dense + 2*tree, sd=1)", "noisy(0.5*dense + 2*tree(depth=4), sd=1, renorm=0)"},
  {"convex(dense, sine, alpha=0.3)", "convex(dense, sine(norm=0), alpha=0.3)"},
  {"convex(dense, alpha=0.3, sine)", "convex(dense, sine(norm=0), alpha=0.3)"},
  {"convex(dense,sine)", "convex(dense, sine(norm=0))"},
  {"convex(noisy, garg(tree) + dense, alpha=1)",
   "convex(noisy(dense, sd=0.5, renorm=0), garg(tree(depth=4)) + dense, alpha=1)"},
  {"noisy(noisy(noisy, sd=1), sd=2) + dense",
   "noisy(noisy(noisy(dense, sd=0.5, renorm=0), sd=1, renorm=0), sd=2, renorm=0) + dense"},
  {"pool + pool(seed=7, size=8)", "pool(size=1024, seed=0) + pool(size=8, seed=7)"},
  {"saturate(x0=-1.5)", "saturate(tmin=0.3, tmax=3, x0=-1.5)"},
  {"affine(slope=0.333333343)", "affine(slope=0.33333334, intercept=1)"}};

TEST(grammar_accepts)
{
  char text[512], again[512];
  size_t i;
  for (i = 0; i < sizeof accepted / sizeof *accepted; i++) {
    icl_task t = parse(accepted[i][0], 5), u;
    CHECK_EQ(icl_task_print(&t, text, sizeof text), strlen(text));
    CHECK_STR(text, accepted[i][1]);
    u = parse(text, 5);
    icl_task_print(&u, again, sizeof again);
    CHECK_STR(again, text);
  }
}

/* Text, inputs, place of the fault, report. */
static const struct { const char *text; int d; int at; const char *report; } refused[] = {
  {"", 5, 0, "expected a class, not 'the end'"},
  {"   ", 5, 3, "expected a class, not 'the end'"},
  {"dens", 5, 0, "unknown class; perhaps dense, not 'dens'"},
  {"Dense", 5, 0, "unknown class; perhaps dense, not 'Dense'"},
  {"dense + spars(nnz=2)", 5, 8, "unknown class; perhaps sparse, not 'spars'"},
  {"linear", 5, 0,
   "unknown class (icl tasks lists them): 'linear'"},
  {"dense sparse", 5, 6, "expected +, not 'sparse'"},
  {"dense +", 5, 7, "expected a class, not 'the end'"},
  {"+ dense", 5, 0, "expected a class, not '+'"},
  {"dense, sparse", 5, 5, "expected +, not ','"},
  {"noisy(dense + sd=0.5)", 5, 14, "unknown class (icl tasks lists them): 'sd'"},
  {"noisy(dense + sd=0.5, relu)", 5, 14, "unknown class (icl tasks lists them): 'sd'"},
  {"dense)", 5, 5, "expected +, not ')'"},
  {"dense()()", 5, 7, "expected +, not '('"},
  {"(dense)", 5, 0, "expected a class, not '('"},
  {"0.5 dense", 5, 4, "expected * after a weight, not 'dense'"},
  {"0.5", 5, 3, "expected * after a weight, not 'the end'"},
  {"0.5*", 5, 4, "expected a class, not 'the end'"},
  {"0*dense", 5, 0, "a weight must be above 0 and at most 1e9, not '0'"},
  {"dense + -1*sine", 5, 8, "a weight must be above 0 and at most 1e9, not '-1'"},
  {"1e10*dense", 5, 0, "a weight must be above 0 and at most 1e9, not '1e10'"},
  {"1e99*dense", 5, 0, "expected a class, not '1e99'"},
  {"inf*dense", 5, 0, "unknown class"},
  {"1,5*dense", 5, 1, "expected * after a weight, not ','"},
  {"sparse(nnz=2", 5, 12, "expected , or ), not 'the end'"},
  {"sparse(", 5, 7, "expected a class, not 'the end'"},
  {"sparse(nnz)", 5, 7, "unknown class"},
  {"sparse(2)", 5, 8, "expected * after a weight, not ')'"},
  {"sparse(nnz=)", 5, 11, "nnz must be a whole number from 0 to 5, not ')'"},
  {"sparse(nnz=x)", 5, 11, "nnz must be a whole number from 0 to 5, not 'x'"},
  {"sparse(nnz=6)", 5, 11, "nnz must be a whole number from 0 to 5, not '6'"},
  {"sparse(nnz=2.5)", 5, 11, "nnz must be a whole number from 0 to 5, not '2.5'"},
  {"sparse(nnz=-1)", 5, 11, "nnz must be a whole number from 0 to 5, not '-1'"},
  {"sparse(nnz=nan)", 5, 11, "nnz must be a whole number from 0 to 5, not 'nan'"},
  {"sparse(nnz=1e999)", 5, 11, "nnz must be a whole number from 0 to 5, not '1e999'"},
  {"sparse(nz=2)", 5, 7, "sparse has no argument 'nz'"},
  {"sparse(nnz=2, nnz=2)", 5, 14, "given twice: 'nnz'"},
  {"sparse(nnz=2,)", 5, 13, "expected a class, not ')'"},
  {"sparse(nnz=2 nnz=3)", 5, 13, "expected , or ), not 'nnz'"},
  {"sparse(nnz=2 + dense)", 5, 13, "expected , or ), not '+'"},
  {"dense(sine)", 5, 6, "one class too many: 'sine'"},
  {"noisy(dense, sine)", 5, 13, "one class too many: 'sine'"},
  {"convex(dense)", 5, 0, "one more class is wanted by 'convex'"},
  {"dense + convex", 5, 8, "no class in 'convex'"},
  {"garg()", 5, 0, "no class in 'garg'"},
  {"convex(dense, sine, tree)", 5, 20, "one class too many: 'tree'"},
  {"convex(dense, sine, alpha=1.5)", 5, 26, "alpha must be a number from 0 to 1, not '1.5'"},
  {"noisy(sd=-0.5)", 5, 9, "sd must be a number from 0 to 1000, not '-0.5'"},
  {"tree(depth=17)", 5, 11, "depth must be a whole number from 0 to 16, not '17'"},
  {"relu(hidden=0)", 5, 12, "hidden must be a whole number from 1 to 4096, not '0'"},
  {"relu(hidden=5000)", 5, 12, "hidden must be a whole number from 1 to 4096, not '5000'"},
  {"dense + sparse", 1, 8, "too few inputs for the defaults of 'sparse'"},
  {"wave(fmin=2)", 5, 0, "the arguments contradict each other: 'wave'"},
  {"affine(slope=0, intercept=0)", 5, 0, "the arguments contradict each other: 'affine'"},
  {"dense\xff", 5, 5, "expected +, not '?'"}};

TEST(grammar_refuses)
{
  icl_task t, before;
  icl_report r;
  size_t i;
  memset(&t, 0x5a, sizeof t);
  before = t;
  for (i = 0; i < sizeof refused / sizeof *refused; i++) {
    int bad = test_bad;
    CHECK_EQ(icl_task_parse(&t, refused[i].text, refused[i].d, NULL, 0, &r), ICL_ERR_CONFIG);
    CHECK_EQ(r.code, ICL_ERR_CONFIG);
    CHECK_EQ(r.offset, refused[i].at);
    r.text[icl__min(sizeof r.text - 1, strlen(refused[i].report))] = 0;
    CHECK_STR(r.text, refused[i].report);
    CHECK(!memcmp(&t, &before, sizeof t));
    CHECK_EQ(icl_task_parse(&t, refused[i].text, refused[i].d, NULL, 0, NULL), ICL_ERR_CONFIG);
    if (test_bad > bad) printf("  of \"%s\"\n", refused[i].text);
  }
}

TEST(nearest_names)
{
  CHECK_EQ(icl__name_distance("kitten", 6, "sitting"), 3);
  CHECK_EQ(icl__name_distance("dense", 5, "dense"), 0);
  CHECK_EQ(icl__name_distance("abc", 3, ""), 3);
  CHECK_EQ(icl__name_distance("", 0, "abc"), 3);
  CHECK_EQ(icl__name_distance("abc", 3, "xabc"), 1);
  CHECK_EQ(icl__name_distance("abcd", 4, "acd"), 1);
}

TEST(grammar_limits)
{
  char text[1000] = "dense";
  icl_task t;
  icl_report r;
  int i;
  for (i = 1; i < ICL_MAX_TASK_NODES; i++) strcat(text, "+ dense");
  CHECK_EQ(icl_task_parse(&t, text, 1, NULL, 0, &r), ICL_OK);
  CHECK_EQ(icl_task_terms(&t), ICL_MAX_TASK_NODES);
  strcat(text, "+ dense");
  CHECK_EQ(icl_task_parse(&t, text, 1, NULL, 0, &r), ICL_ERR_LIMIT);
  CHECK_EQ(r.offset, strlen(text) - 5);
  strcpy(text, "relu(hidden=4096) + relu(hidden=4096) + relu(hidden=4096) + relu(hidden=4096)");
  CHECK_EQ(icl_task_parse(&t, text, 4096, NULL, 0, &r), ICL_ERR_LIMIT);
  CHECK_EQ(icl_task_parse(&t, "dense", 0, NULL, 0, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_task_parse(&t, "dense", 4097, NULL, 0, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_task_parse(&t, "dense", 4096, NULL, 0, &r), ICL_OK);
  CHECK_EQ(icl_task_parse(NULL, "dense", 1, NULL, 0, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_task_parse(&t, NULL, 1, NULL, 0, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_task_parse(&t, "dense", 1, NULL, 1, &r), ICL_ERR_ARG);
}

/* Deep nesting is bounded by the number of names, not by the stack. */
TEST(grammar_depth)
{
  char text[20000] = "";
  icl_task t;
  icl_report r;
  int i;
  for (i = 0; i < 2000; i++) strcat(text, "noisy(");
  CHECK_EQ(icl_task_parse(&t, text, 1, NULL, 0, &r), ICL_ERR_LIMIT);
  text[31 * 6] = 0;
  strcat(text, "dense");
  for (i = 0; i < 31; i++) strcat(text, ")");
  CHECK_EQ(icl_task_parse(&t, text, 1, NULL, 0, &r), ICL_OK);
}

/* Random pieces: what is accepted prints as itself and draws; what is refused names a place. */
TEST(grammar_fuzz)
{
  static const char *const piece[] = {
    "dense", "sparse", "noisy", "convex", "garg", "tree", "(", ")", "(", ")", ",", "+", "*", "0.5",
    "2", "nnz", "sd", "alpha", "=", " ", "=0.25", "wave", "-", "e", "poly(degree=1)"};
  const int pieces = (int)(sizeof piece / sizeof *piece);
  icl_rng r = rng_at(99);
  char text[300], printed[1200], again[1200];
  int i, j, good = 0;
  for (i = 0; i < 60000; i++) {
    icl_task t;
    icl_report e;
    int n = 1 + icl_rng_below(&r, 9);
    text[0] = 0;
    for (j = 0; j < n; j++) strcat(text, piece[icl_rng_below(&r, pieces)]);
    if (icl_task_parse(&t, text, 3, NULL, 0, &e)) {
      CHECK(e.offset <= strlen(text) && e.text[0]);
      continue;
    }
    good++;
    CHECK(icl_task_print(&t, printed, sizeof printed) < sizeof printed);
    CHECK_EQ(icl_task_parse(&t, printed, 3, NULL, 0, &e), ICL_OK);
    icl_task_print(&t, again, sizeof again);
    CHECK_STR(again, printed);
    CHECK_EQ(icl_prompt_sample(&t, NULL, &r, 2, xs, ys, NULL, scratch), ICL_OK);
  }
  CHECK(good > 1000);
}

TEST(print_is_cut_to_fit)
{
  icl_task t = parse("0.5*dense + 0.5*sparse(nnz=2)", 4);
  char text[40];
  memset(text, 'x', sizeof text);
  CHECK_EQ(icl_task_print(&t, text, 8), 29);
  CHECK_STR(text, "0.5*den");
  CHECK(text[8] == 'x');
  CHECK_EQ(icl_task_print(&t, NULL, 0), 29);
}

/* Every float reads back as itself. */
TEST(numbers_round_trip)
{
  icl_rng r = rng_at(0);
  int i;
  for (i = 0; i < 20000; i++) {
    char text[40];
    icl__line line = icl__line_on(text, sizeof text);
    uint32_t bits = i < 100 ? (uint32_t)i : icl_rng_u32(&r);
    double back = 0;
    float v;
    if ((bits & 0x7f800000u) == 0x7f800000u) bits ^= 0x00800000u;
    memcpy(&v, &bits, 4);
    icl__line_number(&line, v);
    CHECK_EQ(icl__read_number(&back, text), strlen(text));
    CHECK((float)back == v);
    if ((float)back != v) printf("  %.9g was written as %s\n", (double)v, text);
  }
}

TEST(class_table)
{
  int i = 0;
  while (icl_class_at(i)) i++;
  CHECK(i >= 13);
  CHECK(icl_class_at(-1) == NULL);
  CHECK_STR(icl_class_at(1)->name, "sparse");
  CHECK_STR(icl_class_at(1)->arg[0].name, "nnz");
}

int main(void)
{
  RUN(philox_known_answers);
  RUN(rng_layout);
  RUN(rng_streams_differ);
  RUN(uniform);
  RUN(normal);
  RUN(gamma_distribution);
  RUN(below_is_unbiased);
  RUN(class_variances);
  RUN(pool_is_fixed);
  RUN(wrapper_variances);
  RUN(sparse_supports);
  RUN(sparse_of_active_inputs);
  RUN(sparse_of_nothing_is_zero);
  RUN(relu_formula);
  RUN(tree_semantics);
  RUN(tree_is_piecewise_constant);
  RUN(curve_formulas);
  RUN(curves_have_a_direction);
  RUN(mixture_frequencies);
  RUN(own_classes);
  RUN(own_classes_refused);
  RUN(own_class_that_yields_nan);
  RUN(nested_mixtures);
  RUN(convex_alpha);
  RUN(noise);
  RUN(noises_add_up);
  RUN(noise_scales_with_labels);
  RUN(prompts_depend_on_their_place_only);
  RUN(short_prompts_begin_long_ones);
  RUN(golden_prompt);
  RUN(inputs);
  RUN(curriculum_and_scales);
  RUN(labels_of_given_inputs);
  RUN(sampler_errors);
  RUN(grammar_accepts);
  RUN(grammar_refuses);
  RUN(nearest_names);
  RUN(grammar_limits);
  RUN(grammar_depth);
  RUN(grammar_fuzz);
  RUN(print_is_cut_to_fit);
  RUN(numbers_round_trip);
  RUN(class_table);
  return test_report("sampler");
}
