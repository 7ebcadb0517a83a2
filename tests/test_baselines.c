/* The baselines: closed forms, an independent solver, and reference numbers. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define ICL_BAYES_IMPLEMENTATION
#include "../tools/icl_bayes.h"
#include "test.h"

#include <stdlib.h>

/* ----- helpers ------------------------------------------------------------------------------ */

/* Under emulators and instrumentation, one prompt of so many: the bars get longer. */
#ifdef ICL_TEST_QUICK
enum { ONE_OF = 12 };
#else
enum { ONE_OF = 1 };
#endif

#define MAX_K 40
#define MAX_D 24
#define MAX_CURVE 41

static float X[(MAX_K + 1) * MAX_D], y[MAX_K + 1], w_true[MAX_D], theta[4000];
static double scratch_block[40000];

static icl_baseline baseline(const char *text)
{
  icl_baseline b;
  icl_report r;
  memset(&b, 0, sizeof b);
  if (icl_baseline_parse(&b, text, &r)) CHECK_STR(r.text, text);
  return b;
}

static icl_task task(const char *text, int d)
{
  icl_task t;
  icl_report r;
  memset(&t, 0, sizeof t);
  if (icl_task_parse(&t, text, d, NULL, 0, &r)) CHECK_STR(r.text, text);
  return t;
}

static icl_error predict(const char *text, const char *prior, int k, int d, int m, const float *Q,
                         float *out)
{
  icl_baseline b = baseline(text);
  icl_task t = task(prior ? prior : "dense", d);
  CHECK(icl_baseline_scratch(&b, k, d) <= sizeof scratch_block);
  return icl_baseline_predict(&b, &t, k, d, X, y, m, Q, out, scratch_block);
}

/* w of a linear predictor: its answers at the unit vectors. */
static void weights_of(float *w, const char *text, const char *prior, int k, int d)
{
  float Q[MAX_D * MAX_D];
  int j;
  memset(Q, 0, sizeof Q);
  for (j = 0; j < d; j++) Q[j * d + j] = 1;
  CHECK_EQ(predict(text, prior, k, d, d, Q, w), ICL_OK);
}

/* X[k + 1][d] and y = X w_true + noise. */
static void draw_regression(uint64_t index, int k, int d, float noise)
{
  icl_rng r;
  int i, j;
  icl_rng_init(&r, 7, 0, index);
  for (j = 0; j < d; j++) w_true[j] = icl_rng_normal(&r);
  for (i = 0; i <= k; i++) {
    y[i] = noise * icl_rng_normal(&r);
    for (j = 0; j < d; j++) y[i] += w_true[j] * (X[i * d + j] = icl_rng_normal(&r));
  }
}

static void exchange_pairs(int a, int b, int d)
{
  float t = y[a];
  int j;
  y[a] = y[b];
  y[b] = t;
  for (j = 0; j < d; j++) { t = X[a * d + j]; X[a * d + j] = X[b * d + j]; X[b * d + j] = t; }
}

/* Mean squared error at pair k of n prompts of the task `data`, and its standard error. */
typedef struct error { double mean, bar; } error;

static error error_of(const char *text, const char *prior, const char *data, int k, int d, int n)
{
  icl_baseline b = baseline(text);
  icl_task p = task(prior, d), t = task(data, d);
  double s1 = 0, s2 = 0;
  error e;
  int i;
  n = n / ONE_OF + 1;
  for (i = 0; i < n; i++) {
    icl_rng r;
    float out = 0;
    double v;
    icl_rng_init(&r, 11, (uint64_t)k, (uint64_t)i);
    icl_prompt_sample(&t, NULL, &r, k + 1, X, y, NULL, theta);
    CHECK_EQ(icl_baseline_predict(&b, &p, k, d, X, y, 1, X + k * d, &out, scratch_block), ICL_OK);
    v = pow((double)out - (double)y[k], 2);
    s1 += v; s2 += v * v;
  }
  e.mean = s1 / n;
  e.bar = sqrt((s2 / n - e.mean * e.mean) / n);
  return e;
}

/* The error is `expected`, itself a measurement that is good to `slack`. */
static void check_error(const char *text, const char *prior, const char *data, int k, int n,
                        double expected, double slack)
{
  error e = error_of(text, prior, data, k, 20, n);
  int bad = test_bad;
  CHECK_NEAR(e.mean, expected, 4.5 * e.bar + slack);
  if (test_bad > bad) printf("  %s under %s on %s, k = %d\n", text, prior, data, k);
}

static void swap(double *a, double *b) { double t = *a; *a = *b; *b = t; }

/* Gaussian elimination with row exchanges: solves A[n][n] s = b in place, returns log |det A|. */
static double solve(double *A, double *b, int n)
{
  double log_det = 0;
  int i, j, p, c;
  for (c = 0; c < n; c++) {
    for (p = c, i = c; i < n; i++) if (fabs(A[i * n + c]) > fabs(A[p * n + c])) p = i;
    for (j = 0; j < n; j++) swap(&A[c * n + j], &A[p * n + j]);
    swap(&b[c], &b[p]);
    log_det += log(fabs(A[c * n + c]));
    for (i = c + 1; i < n; i++) {
      double f = A[i * n + c] / A[c * n + c];
      for (j = c; j < n; j++) A[i * n + j] -= f * A[c * n + j];
      b[i] -= f * b[c];
    }
  }
  for (i = n - 1; i >= 0; i--) {
    for (j = i + 1; j < n; j++) b[i] -= A[i * n + j] * b[j];
    b[i] /= A[i * n + i];
  }
  return log_det;
}

/* s = (X'X + lambda I)^-1 X'y by the book. */
static void normal_equations(double *s, int k, int d, double lambda)
{
  double A[MAX_D * MAX_D];
  int i, j, p;
  memset(A, 0, sizeof A);
  for (j = 0; j < d; j++) {
    s[j] = 0;
    for (p = 0; p < d; p++)
      for (i = 0; i < k; i++) A[j * d + p] += (double)X[i * d + j] * (double)X[i * d + p];
    for (i = 0; i < k; i++) s[j] += (double)X[i * d + j] * (double)y[i];
    A[j * d + j] += lambda;
  }
  solve(A, s, d);
}

/* ----- text --------------------------------------------------------------------------------- */

TEST(names)
{
  static const struct { const char *text; icl_baseline_kind kind; double value; } good[] = {
    {"ols", ICL_BASELINE_OLS, 0}, {"ridge:0.5", ICL_BASELINE_RIDGE, 0.5},
    {"lasso:1e-2", ICL_BASELINE_LASSO, 0.01}, {"lasso:0", ICL_BASELINE_LASSO, 0},
    {"knn:3", ICL_BASELINE_KNN, 3}, {"avg", ICL_BASELINE_AVG, 0}, {"zero", ICL_BASELINE_ZERO, 0},
    {"bayes", ICL_BASELINE_BAYES, 1e-8}, {"bayes:0.01", ICL_BASELINE_BAYES, 0.01},
    {"tree:4", ICL_BASELINE_TREE, 4}, {"net:50:7", ICL_BASELINE_NET, 50},
    {"net:100", ICL_BASELINE_NET, 100}};
  size_t i;
  for (i = 0; i < sizeof good / sizeof *good; i++) {
    icl_baseline b = baseline(good[i].text);
    CHECK_EQ(b.kind, good[i].kind);
    CHECK_NEAR(b.value, good[i].value, 1e-15);
    CHECK_NEAR(b.steps, b.kind != ICL_BASELINE_NET ? 0 : b.value > 50 ? 100 : 7, 0);
  }
}

TEST(names_refused)
{
  static const struct { const char *text; int at; } bad[] = {
    {"", 0}, {"OLS", 0}, {"lm", 0}, {"ols:1", 3}, {"ols ", 3}, {"ridge", 5}, {"ridge:", 6},
    {"ridge:0", 6}, {"ridge:-1", 6}, {"ridge:1x", 7}, {"lasso:nan", 6}, {"knn", 3}, {"knn:0", 4},
    {"knn:2.5", 4}, {"knn:99999", 4}, {"bayes:0", 6}, {"bayes:", 6}, {"ols,avg", 3},
    {"tree", 4}, {"tree:1.5", 5}, {"tree:65", 5}, {"net", 3}, {"net:0", 4}, {"net:2:", 6},
    {"net:2:0", 6}, {"net:2:1.5", 6}, {"net:2:3:4", 7}, {"tree:2:3", 6}};
  icl_baseline b, before;
  icl_report r;
  size_t i;
  memset(&b, 0x33, sizeof b);
  before = b;
  for (i = 0; i < sizeof bad / sizeof *bad; i++) {
    int failed = test_bad;
    CHECK_EQ(icl_baseline_parse(&b, bad[i].text, &r), ICL_ERR_CONFIG);
    CHECK_EQ(r.offset, bad[i].at);
    CHECK(!memcmp(&b, &before, sizeof b));
    if (test_bad > failed) printf("  of \"%s\"\n", bad[i].text);
  }
  CHECK_EQ(icl_baseline_parse(NULL, "ols", &r), ICL_ERR_ARG);
  CHECK_EQ(icl_baseline_parse(&b, NULL, NULL), ICL_ERR_ARG);
}

static const char *const all[] = {
  "ols", "ridge:0.3", "lasso:0.05", "knn:3", "avg", "zero", "bayes", "tree:2", "net:5:20"};
#define N_ALL ((int)(sizeof all / sizeof *all))
static const char *const mixture = "0.5*dense + 0.5*sparse(nnz=2)";

/* ----- all predictors ----------------------------------------------------------------------- */

TEST(nothing_known_is_zero)
{
  float q[3] = {1, 2, 3}, out = 7;
  int i;
  for (i = 0; i < N_ALL; i++) {
    icl_baseline b = baseline(all[i]);
    icl_task t = task(mixture, 3);
    CHECK_EQ(icl_baseline_predict(&b, &t, 0, 3, NULL, NULL, 1, q, &out, scratch_block), ICL_OK);
    CHECK(out == 0);
    out = 7;
  }
}

/* Exactly the promised bytes are used, wherever they begin, and not one more. */
TEST(scratch_is_exact)
{
  unsigned char *block = (unsigned char *)malloc(200000);
  float first[5], out[5];
  size_t damaged = 0;
  int i, k, d, shift;
  for (i = 0; i < N_ALL; i++)
    for (k = 1; k < 12; k += 3)
      for (d = 2; d < 9; d += 3)
        for (shift = 1; shift < 65; shift += 21) {
          icl_baseline b = baseline(all[i]);
          icl_task t = task(mixture, d);
          size_t j, n = icl_baseline_scratch(&b, k, d);
          draw_regression(1, k + 5, d, 0.1f);
          memset(block, 0xa5, 200000);
          CHECK(n > 0 && n < 190000);
          CHECK_EQ(icl_baseline_predict(&b, &t, k, d, X, y, 5, X + k * d, out, block + shift),
                   ICL_OK);
          for (j = 0; j < (size_t)shift; j++) CHECK(block[j] == 0xa5);
          for (j = (size_t)shift + n; j < 200000; j++) damaged += block[j] != 0xa5;
          if (shift > 1) CHECK(!memcmp(first, out, sizeof out));
          memcpy(first, out, sizeof out);
        }
  CHECK_EQ(damaged, 0);
  free(block);
}

TEST(batch_equals_single)
{
  float out[9], one;
  int i, j;
  draw_regression(3, 15, 5, 0.2f);
  for (i = 0; i < N_ALL; i++) {
    CHECK_EQ(predict(all[i], mixture, 7, 5, 9, X + 7 * 5, out), ICL_OK);
    for (j = 0; j < 9; j++) {
      CHECK_EQ(predict(all[i], mixture, 7, 5, 1, X + (7 + j) * 5, &one), ICL_OK);
      CHECK(one == out[j]);
    }
  }
}

/* The order of the pairs does not matter. */
TEST(permutation)
{
  float before, after;
  int i, k, d = 5;
  for (i = 0; i < N_ALL; i++)
    for (k = 2; k < 12; k++) {
      draw_regression((uint64_t)k, k, d, 0.2f);
      CHECK_EQ(predict(all[i], mixture, k, d, 1, X + k * d, &before), ICL_OK);
      exchange_pairs(0, k - 1, d);
      CHECK_EQ(predict(all[i], mixture, k, d, 1, X + k * d, &after), ICL_OK);
      CHECK_NEAR(after, before, 2e-5 * (1 + fabs((double)before)));
    }
}

TEST(errors)
{
  icl_baseline ols = baseline("ols"), bayes = baseline("bayes"), bad = ols;
  icl_task t = task("dense", 2), tree = task("tree", 2);
  float q[2] = {1, 1}, out = 7, zero = 0;
  draw_regression(0, 4, 2, 0);
#define ANSWER(b, t, k, d, m) icl_baseline_predict(b, t, k, d, X, y, m, q, &out, scratch_block)
  CHECK_EQ(ANSWER(&ols, NULL, -1, 2, 1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&ols, NULL, 3, 0, 1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&ols, NULL, 3, 2, -1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(NULL, NULL, 3, 2, 1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&bayes, NULL, 3, 2, 1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&bayes, &t, 1, 3, 1), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&bayes, &tree, 3, 2, 1), ICL_ERR_CONFIG);
  bad.kind = (icl_baseline_kind)99;
  CHECK_EQ(ANSWER(&bad, NULL, 3, 2, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_baseline_predict(&ols, NULL, 3, 2, NULL, y, 1, q, &out, scratch_block), ICL_ERR_ARG);
  CHECK_EQ(icl_baseline_predict(&ols, NULL, 3, 2, X, y, 1, q, &out, NULL), ICL_ERR_ARG);
  CHECK_EQ(ANSWER(&ols, NULL, 3, 2, 0), ICL_OK);
  q[1] = 1 / zero;
  CHECK_EQ(ANSWER(&ols, NULL, 3, 2, 1), ICL_ERR_NONFINITE);
  q[1] = 1;
  y[2] = zero / zero;
  CHECK_EQ(ANSWER(&ols, NULL, 3, 2, 1), ICL_ERR_NONFINITE);
  CHECK_EQ(ANSWER(&ols, NULL, 2, 2, 0), ICL_OK);
#undef ANSWER
  CHECK(out == 7);
  CHECK_EQ(icl_baseline_scratch(&ols, 16385, 2), 0);
  CHECK_EQ(icl_baseline_scratch(&ols, 2, 4097), 0);
  CHECK_EQ(icl_baseline_scratch(&ols, -1, 2), 0);
  CHECK_EQ(icl_baseline_scratch(&ols, 2, 0), 0);
}

/* ----- least squares ------------------------------------------------------------------------ */

/* From k = d on, without noise, w is found. */
TEST(ols_is_exact)
{
  float w[MAX_D];
  int d, k, j;
  for (d = 1; d <= 20; d += 3)
    for (k = d; k <= 30; k += 4) {
      draw_regression((uint64_t)(100 * d + k), k, d, 0);
      weights_of(w, "ols", NULL, k, d);
      for (j = 0; j < d; j++) CHECK_NEAR(w[j], w_true[j], 3e-4);
    }
}

TEST(ols_solves_the_normal_equations)
{
  float w[MAX_D];
  double s[MAX_D];
  int d, j;
  for (d = 1; d <= 20; d++) {
    draw_regression((uint64_t)d, 30, d, 1);
    weights_of(w, "ols", NULL, 30, d);
    normal_equations(s, 30, d, 0);
    for (j = 0; j < d; j++) CHECK_NEAR(w[j], s[j], 1e-5 * (1 + fabs(s[j])));
  }
}

/* k < d: the solution of least norm is the limit of ridge, X'(XX')^-1 y. */
TEST(ols_has_the_least_norm)
{
  float w[MAX_D];
  double A[MAX_D * MAX_D], s[MAX_D];
  int k, d = 12, i, j, p;
  for (k = 1; k < d; k++) {
    draw_regression((uint64_t)k, k, d, 1);
    memset(A, 0, sizeof A);
    for (i = 0; i < k; i++) {
      s[i] = (double)y[i];
      for (j = 0; j < k; j++)
        for (p = 0; p < d; p++) A[i * k + j] += (double)X[i * d + p] * (double)X[j * d + p];
    }
    solve(A, s, k);
    weights_of(w, "ols", NULL, k, d);
    for (p = 0; p < d; p++) {
      double sum = 0;
      for (i = 0; i < k; i++) sum += s[i] * (double)X[i * d + p];
      CHECK_NEAR(w[p], sum, 2e-5 * (1 + fabs(sum)));
    }
  }
}

/* A repeated input shares its weight, a pair that is repeated counts twice, zeros count nothing. */
TEST(ols_of_deficient_rank)
{
  float w[4], without[4];
  double s[3];
  int i, k = 12;
  draw_regression(5, k, 3, 1);
  normal_equations(s, k, 3, 0);
  for (i = k; i >= 0; i--) {
    float x[3];
    memcpy(x, X + 3 * i, sizeof x);
    memcpy(X + 4 * i, x, sizeof x);
    X[4 * i + 3] = x[2];
  }
  weights_of(w, "ols", NULL, k, 4);
  CHECK_NEAR(w[0], s[0], 1e-5);
  CHECK_NEAR(w[1], s[1], 1e-5);
  CHECK_NEAR(w[2], s[2] / 2, 1e-5);
  CHECK_NEAR(w[3], s[2] / 2, 1e-5);
  draw_regression(6, 3, 4, 1);
  weights_of(without, "ols", NULL, 3, 4);
  memcpy(X + 12, X + 4, 4 * sizeof *X);
  y[3] = y[1];
  memset(X + 16, 0, 4 * sizeof *X);
  y[4] = 0;
  weights_of(w, "ols", NULL, 5, 4);
  for (i = 0; i < 4; i++) CHECK_NEAR(w[i], without[i], 1e-5);
  exchange_pairs(0, 4, 4);
  exchange_pairs(1, 2, 4);
  weights_of(w, "ols", NULL, 5, 4);
  for (i = 0; i < 4; i++) CHECK_NEAR(w[i], without[i], 1e-5);
  memset(X, 0, sizeof X);
  weights_of(w, "ols", NULL, 5, 4);
  for (i = 0; i < 4; i++) CHECK(w[i] == 0);
}

/* Contradicting pairs: the mean of the labels. */
TEST(ols_of_one_point)
{
  float out, q[2] = {1, 1};
  int i;
  for (i = 0; i < 4; i++) { X[2 * i] = X[2 * i + 1] = 1; y[i] = (float)i; }
  CHECK_EQ(predict("ols", NULL, 4, 2, 1, q, &out), ICL_OK);
  CHECK_NEAR(out, 1.5, 1e-6);
}

/* 1 - k / d, on dense and on any other class of unit coefficients. */
TEST(ols_learning_curve)
{
  int k;
  for (k = 1; k <= 20; k += 3) {
    check_error("ols", "dense", "dense", k, 2500, 1 - k / 20.0, 0);
    check_error("ols", "dense", "sparse(nnz=2)", k, 2500, 1 - k / 20.0, 0);
  }
}

/* Above k = d noise costs d / (k - d - 1). */
TEST(ols_under_noise)
{
  error e = error_of("ols", "dense", "noisy(sd=0.5)", 31, 20, 4000);
  CHECK_NEAR(e.mean, 0.25 * (1 + 20.0 / 10), 4.5 * e.bar);
}

/* ----- ridge, averaging, neighbours --------------------------------------------------------- */

TEST(ridge_solves_its_equations)
{
  static const char *const text[] = {"ridge:0.001", "ridge:0.5", "ridge:40"};
  static const double lambda[] = {0.001, 0.5, 40};
  float w[MAX_D];
  double s[MAX_D];
  int d, k, i, j;
  for (i = 0; i < 3; i++)
    for (d = 1; d <= 20; d += 4)
      for (k = 1; k <= 30; k += 3) {
        draw_regression((uint64_t)(d + k), k, d, 1);
        weights_of(w, text[i], NULL, k, d);
        normal_equations(s, k, d, lambda[i]);
        for (j = 0; j < d; j++) CHECK_NEAR(w[j], s[j], 1e-5 * (1 + fabs(s[j])));
      }
}

TEST(weak_ridge_is_ols)
{
  float w[6], v[6];
  int k, j;
  for (k = 1; k < 12; k++) {
    draw_regression((uint64_t)k, k, 6, k == 6 ? 0.0f : 0.1f);
    weights_of(w, "ridge:1e-9", NULL, k, 6);
    weights_of(v, "ols", NULL, k, 6);
    for (j = 0; j < 6; j++) CHECK_NEAR(w[j], v[j], 1e-4);
  }
}

/* Pairs repeated, and a penalty lost to rounding: finite all the same. */
TEST(ridge_without_rank)
{
  float w[3];
  int i, j;
  draw_regression(1, 1, 3, 0);
  for (j = 0; j < 3; j++) X[j] *= 1000;
  for (i = 1; i < 8; i++) { memcpy(X + 3 * i, X, 3 * sizeof *X); y[i] = y[0]; }
  for (i = 2; i < 8; i++) {
    weights_of(w, "ridge:1e-12", NULL, i, 3);
    for (j = 0; j < 3; j++) CHECK(fabsf(w[j]) < 10);
  }
}

/* Two pairs, again and again, and a penalty that is lost beside them: least squares of least
 * norm. */
TEST(ridge_of_repeated_pairs)
{
  enum { D = 8 };
  static const float size[] = {1, 100, 1e5f};
  float w[D], exact[D];
  int i, j, k, s;
  for (s = 0; s < 3; s++)
    for (k = 2; k < D; k++) {
      draw_regression((uint64_t)k, 2, D, 0.3f);
      for (j = 0; j < 2 * D; j++) X[j] *= size[s];
      for (i = 2; i < k; i++) {
        memcpy(X + i * D, X + i % 2 * D, D * sizeof *X);
        y[i] = y[i % 2];
      }
      weights_of(exact, "ols", NULL, k, D);
      weights_of(w, "ridge:1e-12", NULL, k, D);
      for (j = 0; j < D; j++) CHECK_NEAR(w[j] * size[s], exact[j] * size[s], 1e-3);
    }
}

/* w = mean(x_i y_i), with the error (d + 1) / k. */
TEST(averaging)
{
  float w[3];
  int j;
  error e;
  draw_regression(1, 2, 3, 1);
  weights_of(w, "avg", NULL, 2, 3);
  for (j = 0; j < 3; j++) CHECK_NEAR(w[j], (X[j] * y[0] + X[3 + j] * y[1]) / 2, 1e-6);
  e = error_of("avg", "dense", "dense", 20, 20, 4000);
  CHECK_NEAR(e.mean, 21 / 20.0, 4.5 * e.bar);
}

TEST(nearest_neighbours)
{
  static const float x[] = {0, 1, 2, 4, -1.5f, 2}, labels[] = {1, 2, 4, 8, 16, 32};
  float q[3] = {0.1f, 2.1f, 9}, out[3];
  memcpy(X, x, sizeof x);
  memcpy(y, labels, sizeof labels);
  CHECK_EQ(predict("knn:1", NULL, 6, 1, 3, q, out), ICL_OK);
  CHECK(out[0] == 1 && out[1] == 4 && out[2] == 8);           /* of 2 and 2 the earlier */
  CHECK_EQ(predict("knn:3", NULL, 6, 1, 3, q, out), ICL_OK);
  CHECK_NEAR(out[0], (1 + 2 + 16) / 3.0, 1e-6);
  CHECK_NEAR(out[1], (4 + 32 + 2) / 3.0, 1e-6);
  CHECK_NEAR(out[2], (8 + 4 + 32) / 3.0, 1e-6);
  CHECK_EQ(predict("knn:3", NULL, 2, 1, 1, q, out), ICL_OK);
  CHECK_NEAR(out[0], 1.5, 1e-6);
  CHECK_EQ(predict("knn:16384", NULL, 6, 1, 1, q, out), ICL_OK);
  CHECK_NEAR(out[0], 63 / 6.0, 1e-6);
}

/* Against a sort, in two dimensions. */
TEST(nearest_of_many)
{
  enum { K = 30, N = 7 };
  float out[10];
  int i, j, m;
  draw_regression(8, K + 10, 2, 0);
  CHECK_EQ(predict("knn:7", NULL, K, 2, 10, X + 2 * K, out), ICL_OK);
  for (m = 0; m < 10; m++) {
    const float *q = X + 2 * (K + m);
    double distance[K], sum = 0;
    for (i = 0; i < K; i++) {
      const float *x = X + 2 * i;
      distance[i] = pow((double)(x[0] - q[0]), 2) + pow((double)(x[1] - q[1]), 2);
    }
    for (i = 0; i < K; i++) {
      int nearer = 0;
      for (j = 0; j < K; j++) nearer += distance[j] < distance[i];
      if (nearer < N) sum += (double)y[i];
    }
    CHECK_NEAR(out[m], sum / N, 1e-5);
  }
}

/* ----- lasso -------------------------------------------------------------------------------- */

/* At the minimum X'(y - X w) / k is alpha sign(w_j) where w_j is not 0, elsewhere within alpha. */
TEST(lasso_optimality)
{
  static const char *const text[] = {"lasso:1", "lasso:0.1", "lasso:0.01", "lasso:0.001",
                                     "lasso:0.0001"};
  static const double alpha[] = {1, 0.1, 0.01, 0.001, 0.0001};
  float w[MAX_D];
  int a, k, i, j, d = 20;
  for (a = 0; a < 5; a++)
    for (k = 1; k <= 33; k += k > 12 && k < 24 ? 1 : 4) {
      double rest[MAX_K];
      draw_regression((uint64_t)k, k, d, 0.3f);
      weights_of(w, text[a], NULL, k, d);
      for (i = 0; i < k; i++) {
        rest[i] = (double)y[i];
        for (j = 0; j < d; j++) rest[i] -= (double)X[i * d + j] * (double)w[j];
      }
      for (j = 0; j < d; j++) {
        double g = 0;
        for (i = 0; i < k; i++) g += (double)X[i * d + j] * rest[i] / k;
        if (w[j] != 0) CHECK_NEAR(g, w[j] > 0 ? alpha[a] : -alpha[a], 2e-6);
        else CHECK(fabs(g) <= alpha[a] + 2e-6);
      }
    }
}

/* Orthogonal inputs of mean square 1: each weight is the least squares one, less alpha. */
TEST(lasso_of_orthogonal_inputs)
{
  static const float x[8] = {1, 1, 1, -1, -1, 1, -1, -1};
  float w[2];
  int i;
  for (i = 0; i < 4; i++) y[i] = 3 * x[2 * i] - 0.25f * x[2 * i + 1];
  memcpy(X, x, sizeof x);
  weights_of(w, "lasso:0.1", NULL, 4, 2);
  CHECK_NEAR(w[0], 2.9, 1e-6);
  CHECK_NEAR(w[1], -0.15, 1e-6);
  weights_of(w, "lasso:0.5", NULL, 4, 2);
  CHECK_NEAR(w[0], 2.5, 1e-6);
  CHECK(w[1] == 0);
  weights_of(w, "lasso:4", NULL, 4, 2);
  CHECK(w[0] == 0 && w[1] == 0);
  weights_of(w, "lasso:0", NULL, 4, 2);
  CHECK_NEAR(w[0], 3, 1e-6);
}

/* On sparse(2), d = 20: 3000 prompts by an independent program. */
TEST(lasso_reference)
{
  static const int k[] = {5, 8, 10, 16};
  static const double strong[] = {0.81, 0.76, 0.76, 0.69}, middle[] = {0.48, 0.15, 0.088, 0.032};
  static const double weak[] = {0.46, 0.088, 0.018, 0.0004};
  int i;
  for (i = 0; i < 4; i++) {
    check_error("lasso:1", "dense", "sparse", k[i], 2000, strong[i], 0.04);
    check_error("lasso:0.1", "dense", "sparse", k[i], 2000, middle[i], 0.1 * middle[i]);
    check_error("lasso:0.01", "dense", "sparse", k[i], 2000, weak[i], 0.1 * weak[i]);
  }
}

/* Garg et al. print 0.62 at k = 5 for s = 3, in units of s. */
TEST(lasso_of_garg)
{
  error e = error_of("lasso:0.01", "dense", "garg(sparse(nnz=3))", 5, 20, 3000);
  CHECK_NEAR(e.mean / 3, 0.62, 1.5 * e.bar + 0.02);
}

/* ----- tree, network ------------------------------------------------------------------------ */

/* Pairs (x, y) with the cuts in plain sight: x_1 at 2.5, then x_0 at 0 on one side. */
TEST(tree_by_hand)
{
  static const float x[12] = {-1, 1, 1, 2, 3, 3, -3, 5, 2, 4, -2, 3};
  static const float labels[6] = {0, 0, 10, 8, 11, 8};
  static const float q[8] = {9, 2.4f, -9, 2.6f, 0.1f, 9, -9, -9};
  float out[4];
  memcpy(X, x, sizeof x);
  memcpy(y, labels, sizeof labels);
  CHECK_EQ(predict("tree:0", NULL, 6, 2, 4, q, out), ICL_OK);
  CHECK_NEAR(out[0], 37 / 6.0, 1e-6);
  CHECK_EQ(predict("tree:1", NULL, 6, 2, 4, q, out), ICL_OK);
  CHECK_NEAR(out[0], 0, 0);
  CHECK_NEAR(out[1], 9.25, 1e-6);
  CHECK_NEAR(out[3], 0, 0);
  CHECK_EQ(predict("tree:2", NULL, 6, 2, 4, q, out), ICL_OK);
  CHECK_NEAR(out[0], 0, 0);
  CHECK_NEAR(out[1], 8, 1e-6);
  CHECK_NEAR(out[2], 10.5, 1e-6);
  CHECK_EQ(predict("tree:3", NULL, 6, 2, 4, q, out), ICL_OK);
  CHECK_NEAR(out[2], 11, 0);     /* 10 and 11 part at x_0 = 2.5 */
}

/* Deep enough, every pair whose x is its own is remembered; equal x share their mean. */
TEST(tree_remembers)
{
  float out[20];
  int i;
  draw_regression(2, 20, 3, 1);
  CHECK_EQ(predict("tree:64", NULL, 20, 3, 20, X, out), ICL_OK);
  for (i = 0; i < 20; i++) CHECK_NEAR(out[i], y[i], 1e-6);
  memcpy(X + 3, X, 3 * sizeof *X);
  CHECK_EQ(predict("tree:64", NULL, 20, 3, 1, X, out), ICL_OK);
  CHECK_NEAR(out[0], (y[0] + y[1]) / 2, 1e-6);
  for (i = 0; i < 60; i++) X[i] = 1;
  CHECK_EQ(predict("tree:64", NULL, 20, 3, 1, X, out), ICL_OK);
}

/* One step of Adam moves each weight by 0.005 against the sign of its gradient, written out for
 * three units and one input. */
TEST(net_of_one_step)
{
  enum { H = 3 };
  double w[3 * H + 1], s[H], f, g, moved = 0;
  float out, q = 0.7f;
  icl_rng r;
  int i;
  icl_rng_init(&r, 0, (uint64_t)1 << 43, 0);
  for (i = 0; i < 3 * H + 1; i++)
    w[i] = (2 * (double)icl_rng_uniform(&r) - 1) / (i < 2 * H ? 1 : sqrt(H));
  X[0] = q; y[0] = 5;
  for (f = w[3 * H], i = 0; i < H; i++) {
    s[i] = w[i] * (double)q + w[H + i];
    if (s[i] > 0) f += w[2 * H + i] * s[i];
  }
  for (g = f < 5 ? 0.005 : -0.005, moved = w[3 * H] + g, i = 0; i < H; i++) {
    double a = w[2 * H + i], sign = a > 0 ? g : -g;
    if (s[i] > 0) moved += (a + g) * ((w[i] + sign) * (double)q + w[H + i] + sign);
  }
  CHECK_EQ(predict("net:3:1", NULL, 1, 1, 1, &q, &out), ICL_OK);
  CHECK(fabs(moved - f) > 0.005);
  CHECK_NEAR(out, moved, 1e-6);
}

/* Many steps: the pairs are learned, and a linear function is met between them. */
TEST(net_learns)
{
  error e = error_of("net:100:1000", "dense", "dense", 30, 2, 4);
  float out[10];
  int i;
  CHECK(e.mean < 0.05);
  draw_regression(4, 10, 3, 0.5f);
  CHECK_EQ(predict("net:40:3000", NULL, 10, 3, 10, X, out), ICL_OK);
  for (i = 0; i < 10; i++) CHECK_NEAR(out[i], y[i], 0.05);
}

/* ----- bayes -------------------------------------------------------------------------------- */

TEST(bayes_supported)
{
  static const struct { const char *text; int d, yes; } tasks[] = {
    {"dense", 20, 1}, {"sparse(nnz=0)", 20, 1}, {"noisy", 20, 1}, {"relu", 20, 1},
    {"0.3*dense + 0.7*sparse(nnz=3)", 20, 1}, {"sparse(nnz=6)", 20, 1}, {"sparse(nnz=10)", 24, 0},
    {"noisy(garg(sparse + noisy), sd=1, renorm=1)", 20, 1}, {"noisy(wave)", 1, 0}, {"tree", 20, 0},
    {"dense + sine", 1, 1}, {"dense + sine", 2, 0}, {"dense + tree", 1, 0},
    {"convex(dense, sine)", 1, 1}, {"convex(noisy(garg(sine + dense)), sparse(nnz=1))", 1, 1},
    {"noisy(convex(sine, dense, alpha=0.3), sd=1)", 1, 1}, {"convex(dense, sine)", 2, 0},
    {"convex(sine, sine)", 1, 0}, {"convex(sine, relu)", 1, 0},
    {"convex(dense + sine, sine)", 1, 0},
    {"convex(convex(dense, dense), sine)", 1, 0}, {"convex(dense, relu)", 20, 1},
    {"pool + noisy(garg(pool(size=65536)))", 20, 1}, {"convex(pool, dense)", 20, 0},
    {"pool(size=1048576) + dense", 20, 0}, {"convex(dense, sparse, alpha=0.5)", 20, 0},
    {"convex(dense, sparse(nnz=20))", 20, 1},
    {"gp", 20, 1}, {"gp(length=0.15..4)", 5, 1}, {"gp(nu=0.5) + gp(nu=1.5) + gp(nu=2.5)", 3, 1},
    {"gp(nu=1)", 1, 0}, {"gp(nu=2)", 1, 0}, {"gp(nu=0..2.5)", 1, 0}, {"gp(ard=1)", 1, 1},
    {"gp(ard=1)", 2, 0}, {"gp(length=0.15..4, ard=1)", 1, 1}, {"gp(ard=0..1)", 1, 0},
    {"affine", 3, 1}, {"affine(slope=0.5..1)", 3, 0}, {"garg(affine + gp + dense)", 3, 1},
    {"convex(gp(length=0.5..2), dense)", 2, 1}, {"convex(gp, relu)", 2, 1},
    {"convex(affine, noisy(gp, sd=0.1..1))", 2, 1}, {"convex(gp, gp)", 2, 0},
    {"convex(gp, sine)", 1, 0}, {"convex(sine, affine)", 1, 0}, {"convex(gp + dense, gp)", 1, 0},
    {"noisy(gp(length=0.15..4) + affine + sparse, sd=0.01..2)", 5, 1},
    {"noisy(sd=0.1..1)", 20, 1}, {"noisy(sd=0..1)", 20, 1}, {"noisy(sine, sd=0.1..1)", 1, 1},
    {"noisy(sd=0.1..1, renorm=1)", 20, 1}, {"noisy(renorm=0..1)", 20, 0},
    {"noisy(share=0.5)", 20, 0}, {"noisy(share=0.5..1)", 20, 0}, {"noisy(share=1)", 20, 1},
    {"noisy(tails=0.1)", 20, 0}, {"noisy(tails=0..0.1)", 20, 0}, {"noisy(hetero=0.1)", 20, 0},
    {"noisy(outliers=1)", 20, 0}, {"noisy(tails=0, hetero=0, outliers=0)", 20, 1},
    {"sparse(nnz=1..3)", 20, 0}, {"relu(hidden=10..100)", 20, 0}, {"sine(norm=0..1)", 1, 0},
    {"pool(size=9..99)", 2, 0}, {"noisy(pool(size=65536), sd=0.01..2)", 2, 0},
    {"noisy(noisy(noisy(noisy(noisy(sd=0.001..9), sd=0.001..9), sd=0.001..9), sd=0.001..9), "
     "sd=0.001..9)", 2, 0}};
  size_t i;
  for (i = 0; i < sizeof tasks / sizeof *tasks; i++) {
    icl_task t = task(tasks[i].text, tasks[i].d);
    int bad = test_bad;
    CHECK_EQ(icl_bayes_supported(&t), tasks[i].yes);
    if (test_bad > bad) printf("  of %s, d = %d\n", tasks[i].text, tasks[i].d);
  }
  CHECK_EQ(icl_bayes_supported(NULL), 0);
}

/* A task that only the sampler knows in full has no exact Bayes predictor. */
TEST(no_bayes_for_what_is_drawn)
{
  static const char *const none[] = {
    "gp(nu=1)", "sparse(nnz=1..2)", "dense + noisy(sparse, share=0.5)", "noisy(dense, share=0.1..0.5)",
    "noisy(dense, tails=0.1)", "noisy(dense, hetero=0.1)", "noisy(dense, outliers=0.1)", "gp(ard=1)", "decaying", "dense + products"
  };
  icl_task t = task("noisy(dense, sd=0.5, share=1, tails=0, hetero=0, outliers=0)", 4);
  size_t i;
  CHECK_EQ(icl_bayes_supported(&t), 1);
  for (i = 0; i < sizeof none / sizeof *none; i++) {
    t = task(none[i], 4);
    CHECK_EQ(icl_bayes_supported(&t), 0);
  }
}

/* One class: least squares, and ridge with d sd^2 under noise. */
TEST(bayes_of_dense)
{
  float w[8], v[8];
  int k, j;
  for (k = 1; k < 14; k++) {
    draw_regression((uint64_t)k, k, 8, 0);
    weights_of(w, "bayes", "dense", k, 8);
    weights_of(v, "ols", NULL, k, 8);
    for (j = 0; j < 8; j++) CHECK_NEAR(w[j], v[j], 3e-4 * (1 + fabs((double)v[j])));
    draw_regression((uint64_t)k, k, 8, 0.5f);
    weights_of(w, "bayes", "noisy(sd=0.5)", k, 8);
    weights_of(v, "ridge:2", NULL, k, 8);
    for (j = 0; j < 8; j++) CHECK_NEAR(w[j], v[j], 1e-5);
  }
}

/* log N(y; 0, var X_S X_S' + noise I) and the mean of w, straight from the definition. */
static double direct_evidence(double *w, unsigned support, int k, int d, double var, double noise)
{
  double K[100], s[10], energy = 0, log_det;
  int i, j, p;
  memset(K, 0, sizeof K);
  for (i = 0; i < k; i++) {
    s[i] = (double)y[i];
    K[i * k + i] = noise;
  }
  for (i = 0; i < k; i++)
    for (j = 0; j < k; j++)
      for (p = 0; p < d; p++)
        if (support >> p & 1) K[i * k + j] += var * (double)X[i * d + p] * (double)X[j * d + p];
  log_det = solve(K, s, k);
  for (i = 0; i < k; i++) energy += s[i] * (double)y[i];
  for (p = 0; p < d; p++) {
    w[p] = 0;
    for (i = 0; i < k; i++) if (support >> p & 1) w[p] += var * (double)X[i * d + p] * s[i];
  }
  return -0.5 * (energy + log_det);
}

static int bits_of(unsigned v) { int n = 0; for (; v; v >>= 1) n += (int)(v & 1); return n; }

/* Sum over classes and all their supports, with the weights of the priors below written by hand. */
static void direct_posterior(double *mean, int k, int d)
{
  static const double weight[3] = {0.3, 0.5, 0.2};
  const int nnz[3] = {d, 2, 1};
  const double var[3] = {1.0 / d / 1.09, 0.5, 1}, noise[3] = {0.09 / 1.09, 1e-4, 0.01};
  const double choices[3] = {1, d * (d - 1) / 2.0, d};
  double total = 0, w[10];
  unsigned c, support;
  int p;
  for (p = 0; p < d; p++) mean[p] = 0;
  for (c = 0; c < 3; c++)
    for (support = 0; support < 1u << d; support++) {
      double b;
      if (bits_of(support) != nnz[c]) continue;
      b = weight[c] / choices[c] * exp(direct_evidence(w, support, k, d, var[c], noise[c]));
      total += b;
      for (p = 0; p < d; p++) mean[p] += b * w[p];
    }
  for (p = 0; p < d; p++) mean[p] /= total;
}

TEST(bayes_is_the_posterior_mean)
{
  static const char *const prior =
    "0.3*noisy(dense, sd=0.3, renorm=1) + 0.5*noisy(sparse, sd=0.01) + "
    "0.2*noisy(garg(sparse(nnz=1)), sd=0.1)";
  float w[5];
  double mean[5];
  int k, j, i;
  for (i = 0; i < 30; i++)
    for (k = 1; k < 9; k++) {
      draw_regression((uint64_t)(10 * i + k), k, 5, 0.3f);
      if (i % 2) for (j = 0; j < k; j++) y[j] = X[5 * j] - 0.5f * X[5 * j + 3];
      direct_posterior(mean, k, 5);
      weights_of(w, "bayes:1e-12", prior, k, 5);
      for (j = 0; j < 5; j++) CHECK_NEAR(w[j], mean[j], 2e-5);
    }
}

/* d = 20, mixture of equal parts, 3000 to 20000 prompts by an independent program. */
TEST(bayes_reference)
{
  static const int k[] = {1, 2, 3, 8};
  static const double on_dense[] = {0.953, 0.918, 0.886, 0.6};
  static const double on_sparse[] = {0.952, 0.796, 0.010, 0};
  static const double sparse_only[] = {0.952, 0.769, 0.0065, 0};
  int i;
  for (i = 0; i < 4; i++) {
    check_error("bayes", mixture, "dense", k[i], 3000, on_dense[i], 0.015);
    check_error("bayes", mixture, "sparse", k[i], 3000, on_sparse[i], 0.015);
    check_error("bayes", "sparse", "sparse", k[i], 3000, sparse_only[i], 0.015);
    check_error("bayes", "dense", "dense", k[i], 3000, 1 - k[i] / 20.0, 0);
  }
  check_error("bayes", "sparse", "dense", 8, 3000, 1.56, 0.12);
  check_error("bayes", "sparse", "dense", 16, 3000, 0.97, 0.05);
}

/* k = 16, functions of more inputs than the prior knows: soft noise blurs the choice. */
TEST(soft_bayes_reference)
{
  check_error("bayes", mixture, "sparse(nnz=3)", 16, 3000, 0.205, 0.01);
  check_error("bayes:0.01", mixture, "sparse(nnz=3)", 16, 3000, 0.117, 0.01);
  check_error("bayes:0.05", mixture, "sparse(nnz=4)", 16, 3000, 0.147, 0.01);
  check_error("bayes:0.05", mixture, "dense", 16, 3000, 0.252, 0.01);
}

/* Three of twenty: 1140 supports.  Nothing to learn is left from k = 4 on. */
TEST(bayes_of_three)
{
  error e = error_of("bayes", "sparse(nnz=3)", "sparse(nnz=3)", 5, 20, 300);
  CHECK(e.mean < 1e-6);
  e = error_of("bayes", "garg(sparse(nnz=3))", "garg(sparse(nnz=3))", 5, 20, 300);
  CHECK(e.mean < 3e-6);
}

/* The optimum is the best predictor of its own task. */
TEST(bayes_is_best)
{
  static const char *const other[] = {
    "ols", "ridge:1", "ridge:5", "lasso:0.01", "lasso:0.1", "knn:3", "zero"};
  static const char *const prior = "noisy(0.5*dense + 0.5*sparse, sd=0.2)";
  int i, k;
  for (k = 2; k <= 22; k += 10) {
    error best = error_of("bayes", prior, prior, k, 20, 800);
    for (i = 0; i < 7; i++) CHECK(error_of(other[i], prior, prior, k, 20, 800).mean > best.mean);
  }
}

/* ----- bayes of other classes --------------------------------------------------------------- */

/* Log evidence, terms' weights and answer at X[k] of a prior: for each case a covariance, in the
 * order of the terms. */
typedef struct direct { double top, sum, mass[4], answer; } direct;
enum { MAX_DIRECT = 12 };

/* One case: C[k + 1][k + 1] covariances of f at X[0] .. X[k], noise on the first k labels. */
static void direct_process(direct *p, int term, double prior, const double *C, double noise, int k)
{
  double K[MAX_DIRECT * MAX_DIRECT], s[MAX_DIRECT], lw, mean = 0;
  int i, j;
  for (i = 0; i < k; i++) {
    s[i] = (double)y[i];
    for (j = 0; j < k; j++) K[i * k + j] = C[i * (k + 1) + j] + (i == j ? noise : 0);
  }
  lw = log(prior) - 0.5 * solve(K, s, k) - 0.5 * k * log(2 * 3.141592653589793);
  for (i = 0; i < k; i++) {
    lw -= 0.5 * s[i] * (double)y[i];
    mean += s[i] * C[i * (k + 1) + k];
  }
  if (p->sum <= 0 || lw > p->top) {
    double shrink = p->sum > 0 ? exp(p->top - lw) : 0;
    for (i = 0; i < 4; i++) p->mass[i] *= shrink;
    p->sum *= shrink;
    p->answer *= shrink;
    p->top = lw;
  }
  lw = exp(lw - p->top);
  p->sum += lw;
  p->mass[term] += lw;
  p->answer += lw * mean;
}

/* C = linear x x' + cosine cos cos', at d = 1. */
static void direct_enter(direct *p, int term, double prior, double linear, double cosine, double w,
                         double noise, int k)
{
  double C[36], c[6];
  int i, j;
  for (i = 0; i <= k; i++) c[i] = cos(2 * 3.141592653589793 * w * (double)X[i]);
  for (i = 0; i <= k; i++)
    for (j = 0; j <= k; j++)
      C[i * (k + 1) + j] = linear * (double)X[i] * (double)X[j] + cosine * c[i] * c[j];
  direct_process(p, term, prior, C, noise, k);
}

/* 0.3 dense + 0.5 noisy sine + 0.2 of both at alpha = 0.4, frequency by frequency. */
static direct direct_sines(int k)
{
  direct p;
  int i;
  memset(&p, 0, sizeof p);
  direct_enter(&p, 0, 0.3, 1, 0, 0, 1e-4, k);
  for (i = 1; i <= 40000; i++) {
    double w = i * 1.25e-4, prior = 1.25e-4 * 46656 / 120 * pow(w, 5) * exp(-6 * w);
    direct_enter(&p, 1, 0.5 * prior, 0, 2 * 0.9997291, w, 0.01 + 1e-4, k);
    direct_enter(&p, 2, 0.2 * prior, 0.16, 0.36, w, 1e-4, k);
  }
  return p;
}

static void draw_curve(uint64_t index, const char *data, int n, int d)
{
  icl_task t = task(data, d);
  icl_rng r;
  icl_rng_init(&r, 5, 1, index);
  CHECK_EQ(icl_prompt_sample(&t, NULL, &r, n, X, y, NULL, theta), ICL_OK);
}

TEST(bayes_of_sines_by_brute_force)
{
  static const char *const prior =
    "0.3*dense + 0.5*noisy(sine(norm=1), sd=0.1) + 0.2*convex(dense, sine, alpha=0.4)";
  static const char *const data[] = {"dense", "sine", "convex(sine, dense, alpha=0.6)"};
  icl_task t = task(prior, 1);
  double weights[3], evidence;
  float out;
  int k, i, j;
  for (i = 0; i < 3; i++)
    for (k = 0; k < 5; k++) {
      direct p;
      draw_curve((uint64_t)(10 * i + k), data[i], k + 1, 1);
      p = direct_sines(k);
      CHECK_EQ(predict("bayes:1e-4", prior, k, 1, 1, X + k, &out), ICL_OK);
      CHECK_NEAR(out, p.answer / p.sum, 1e-5);
      CHECK_EQ(icl_bayes_posterior(&t, 1e-4, k, 1, X, y, weights, &evidence, scratch_block),
               ICL_OK);
      CHECK_NEAR(evidence, p.top + log(p.sum), 1e-5 * (1 + fabs(evidence)));
      for (j = 0; j < 3; j++) CHECK_NEAR(weights[j], p.mass[j] / p.sum, 1e-5);
    }
}

/* The curve, its weights and its evidence are those of each k by itself. */
TEST(curve_equals_predict)
{
  static const struct { const char *text; int d, n; const char *data; } tasks[] = {
    {"0.5*dense + 0.5*sparse", 5, 12, "dense"}, {"sine", 1, 9, "sine"},
    {"noisy(sparse(nnz=3) + dense, sd=0.1)", 4, 9, "relu"}, {"dense + sine", 1, 9, "sine"},
    {"relu", 3, 14, "relu"}, {"relu + noisy(garg(dense))", 5, 11, "dense"},
    {"dense + sine + convex(dense, sine)", 1, 7, "convex(dense, sine)"},
    {"noisy(convex(sine + dense, noisy), sd=0.2)", 1, 6, "sine"},
    {"convex(relu, dense)", 3, 8, "tree"},
    {"convex(dense, sparse(nnz=0))", 2, 8, "dense"},
    {"noisy(garg(pool(size=70)) + sparse, sd=0.3)", 3, 8, "garg(pool(size=70))"},
    {"noisy(gp(length=0.2..3) + affine + dense, sd=0.05..1)", 1, 8, "gp"},
    {"noisy(gp(nu=1.5, length=0.5..1), sd=0.1..0.5, renorm=1) + sparse", 3, 9, "relu"},
    {"gp(nu=2.5) + garg(affine) + gp(nu=0.5)", 4, 9, "gp(nu=1.5)"},
    {"gp(ard=1, length=0.5..2) + noisy(sine, sd=0.1..0.2)", 1, 5, "sine"},
    {"noisy(convex(gp(length=0.5..1), noisy(sd=0.1..0.2)), sd=0.1..0.2)", 2, 4, "gp"},
    {"noisy(pool(size=20) + dense, sd=0..1)", 2, 6, "noisy"}};
  size_t i;
  for (i = 0; i < sizeof tasks / sizeof *tasks; i++) {
    icl_task t = task(tasks[i].text, tasks[i].d);
    icl_baseline b = baseline("bayes:1e-5");
    int terms = icl_task_terms(&t), n = tasks[i].n, d = tasks[i].d, k, j, bad = test_bad;
    float out[20], again[20], one;
    double weights[21 * 3], evidence[21], w[3], e;
    CHECK_EQ(icl_bayes_supported(&t), 1);
    draw_curve((uint64_t)i, tasks[i].data, n, d);
    CHECK_EQ(icl_baseline_curve(&b, &t, n, d, X, y, out, scratch_block), ICL_OK);
    CHECK_EQ(icl_bayes_curve(&t, 1e-5, n, d, X, y, again, weights, evidence, scratch_block),
             ICL_OK);
    CHECK(!memcmp(out, again, (size_t)n * sizeof *out));
    for (k = 0; k <= n; k++) {
      CHECK_EQ(icl_baseline_predict(&b, &t, k, d, X, y, 1, X + k * d, &one, scratch_block),
               ICL_OK);
      if (k < n) CHECK_NEAR(out[k], one, 2e-5 * (1 + fabs((double)one)));
      CHECK_EQ(icl_bayes_posterior(&t, 1e-5, k, d, X, y, w, &e, scratch_block), ICL_OK);
      CHECK_NEAR(evidence[k], e, 1e-6 * (1 + fabs(e)));
      for (j = 0; j < terms; j++) CHECK_NEAR(weights[k * terms + j], w[j], 1e-5);
    }
    if (test_bad > bad) printf("  of %s\n", tasks[i].text);
  }
}

TEST(curves_of_all)
{
  float out[12], one;
  int i, k;
  for (i = 0; i < N_ALL; i++) {
    icl_baseline b = baseline(all[i]);
    icl_task t = task(mixture, 4);
    draw_curve(8, "dense", 12, 4);
    CHECK_EQ(icl_baseline_curve(&b, &t, 12, 4, X, y, out, scratch_block), ICL_OK);
    for (k = 0; k < 12; k++) {
      CHECK_EQ(predict(all[i], mixture, k, 4, 1, X + 4 * k, &one), ICL_OK);
      CHECK_NEAR(out[k], one, 1e-5);
    }
  }
}

/* Mean squared errors [n] of curves over prompts of a task, and the mean weights of term 1. */
static void curve_errors(error *e, double *second, const char *prior, const char *data, double soft,
                         int n, int d, int prompts)
{
  icl_task p = task(prior, d), t = task(data, d);
  int i, k, terms = icl_task_terms(&p);
  static double weights[(MAX_CURVE + 1) * 3];
  double square[MAX_CURVE];
  float out[MAX_CURVE];
  for (k = 0; k < n; k++) e[k].mean = square[k] = second[k] = 0;
  prompts = prompts / ONE_OF + 1;
  for (i = 0; i < prompts; i++) {
    icl_rng r;
    icl_rng_init(&r, 12, 0, (uint64_t)i);
    icl_prompt_sample(&t, NULL, &r, n, X, y, NULL, theta);
    CHECK_EQ(icl_bayes_curve(&p, soft, n, d, X, y, out, weights, NULL, scratch_block), ICL_OK);
    for (k = 0; k < n; k++) {
      double v = pow((double)out[k] - (double)y[k], 2);
      e[k].mean += v / prompts;
      square[k] += v * v / prompts;
      if (terms > 1) second[k] += weights[k * terms + 1] / prompts;
    }
  }
  for (k = 0; k < n; k++) e[k].bar = sqrt((square[k] - e[k].mean * e[k].mean) / prompts);
}

/* d = 1, 400 to 1600 prompts by an independent program; P: of the sine, on sines. */
static void sine_reference_in_full(void)
{
  static const double sine[] = {0.51, 0.41, 0.17, 0.016, 0.0001, 0};
  static const double mix[2][6] = {{0.51, 0.60, 0.20, 0.016, 0.0001, 0},
                                   {0.51, 0.60, 0.28, 0.07, 0.018, 0.003}};
  static const double share[2][6] = {{0.5, 0.60, 0.95, 0.98, 0.99, 0.99},
                                     {0.5, 0.60, 0.82, 0.89, 0.92, 0.94}};
  static const double line[2][6] = {{1, 0.19, 0.001, 0, 0, 0}, {1, 0.26, 0.023, 0.001, 0.0006, 0}};
  enum { N = 6, PROMPTS = 300 };
  double weight[N];
  error e[N];
  int s, k;
  curve_errors(e, weight, "sine", "sine", 1e-4, N, 1, PROMPTS);
  for (k = 0; k < N; k++) CHECK_NEAR(e[k].mean, sine[k], 4.5 * e[k].bar + 0.15 * sine[k] + 1e-3);
  for (s = 0; s < 2; s++) {
    curve_errors(e, weight, "dense + sine", "sine", s ? 1e-2 : 1e-4, N, 1, PROMPTS);
    for (k = 0; k < N; k++) {
      CHECK_NEAR(e[k].mean, mix[s][k], 4.5 * e[k].bar + 0.15 * mix[s][k] + 1e-3);
      CHECK_NEAR(weight[k], share[s][k], 0.04);
    }
    curve_errors(e, weight, "dense + sine", "dense", s ? 1e-2 : 1e-4, N, 1, PROMPTS);
    for (k = 0; k < N; k++)
      CHECK_NEAR(e[k].mean, line[s][k], 4.5 * e[k].bar + 0.15 * line[s][k] + 1e-3);
  }
}

TEST(sine_reference)
{
  if (ONE_OF > 1) SKIP("large errors are rare and want many prompts");
  sine_reference_in_full();
}

/* The oracle of convex combinations: nothing is left to learn from k = 4 on. */
TEST(convex_oracle)
{
  enum { N = 8 };
  double weight[N];
  error e[N], f[N];
  int k;
  curve_errors(e, weight, "convex(dense, sine)", "convex(dense, sine)", 1e-6, N, 1, 60);
  curve_errors(f, weight, "convex(sine, dense, alpha=0.7)", "convex(dense, sine, alpha=0.3)", 1e-6,
               N, 1, 60);
  CHECK_NEAR(e[0].mean, (1 + 0.5001) / 3, 4.5 * e[0].bar);
  CHECK_NEAR(f[0].mean, 0.09 + 0.49 * 0.5001, 4.5 * f[0].bar);
  for (k = 6; k < N; k++) {
    CHECK(e[k].mean < 2e-3);
    CHECK(f[k].mean < 2e-3);
  }
}

/* alpha ~ U(0, 1) is what 60 even values of alpha say together. */
TEST(unknown_alpha)
{
  enum { N = 5, VALUES = 60 };
  static double evidence[VALUES][N + 1];
  static float out[VALUES][N];
  icl_task whole = task("convex(dense, sine)", 1);
  float got[N];
  double together[N + 1];
  int prompt, k, i;
  for (prompt = 0; prompt < 3; prompt++) {
    draw_curve((uint64_t)(prompt + 40), "convex(dense, sine)", N, 1);
    for (i = 0; i < VALUES; i++) {
      char text[64];
      icl_task t;
      sprintf(text, "convex(dense, sine, alpha=%.7f)", (i + 0.5) / VALUES);
      t = task(text, 1);
      CHECK_EQ(icl_bayes_curve(&t, 1e-4, N, 1, X, y, out[i], NULL, evidence[i], scratch_block),
               ICL_OK);
    }
    CHECK_EQ(icl_bayes_curve(&whole, 1e-4, N, 1, X, y, got, NULL, together, scratch_block), ICL_OK);
    for (k = 0; k <= N; k++) {
      double sum = 0, mean = 0;
      for (i = 0; i < VALUES; i++) {
        double p = exp(evidence[i][k] - together[k]) / VALUES;
        sum += p;
        if (k < N) mean += p * (double)out[i][k];
      }
      CHECK_NEAR(sum, 1, 0.05);
      if (k < N) CHECK_NEAR(got[k], mean / sum, 5e-3);
    }
  }
}

/* One pair of a Gaussian process by hand: f(q) = K(q, x) / (K(x, x) + noise) y. */
TEST(relu_of_one_pair)
{
  static const float q[3][2] = {{6, 8}, {-4, 3}, {-3, -4}};
  const double k[3] = {50.0 / 2, 25 / (2 * 3.141592653589793), 0}, pi = 3.141592653589793;
  icl_task t = task("relu", 2);
  double evidence;
  float out[3];
  int i;
  X[0] = 3; X[1] = 4; y[0] = 2;
  CHECK_EQ(predict("bayes:0.5", "relu", 1, 2, 3, q[0], out), ICL_OK);
  for (i = 0; i < 3; i++) CHECK_NEAR(out[i], k[i] / 13 * 2, 1e-6);
  CHECK_EQ(icl_bayes_posterior(&t, 0.5, 1, 2, X, y, NULL, &evidence, scratch_block), ICL_OK);
  CHECK_NEAR(evidence, -0.5 * (4 / 13.0 + log(2 * pi * 13)), 1e-9);
}

/* d = 20, 3000 prompts by an independent program. */
static void relu_reference_in_full(void)
{
  static const int at[] = {1, 5, 10, 16, 20, 30, 40};
  static const double relu[] = {0.85, 0.73, 0.57, 0.46, 0.41, 0.32, 0.28};
  static const double mix[] = {0.89, 0.76, 0.585, 0.48, 0.41, 0.32, 0.28};
  static const double line[] = {1.08, 0.91, 0.66, 0.44, 0.31, 0.14, 0.072};
  static const double mix_line[] = {0.985, 0.81, 0.54, 0.23, 0.01, 0, 0};
  enum { N = 41, PROMPTS = 400 };
  double weight[N];
  error e[4][N];
  int i, k;
  curve_errors(e[0], weight, "relu", "relu", 1e-6, N, 20, PROMPTS);
  curve_errors(e[1], weight, "relu + dense", "relu", 1e-4, N, 20, PROMPTS);
  curve_errors(e[2], weight, "relu", "dense", 1e-6, N, 20, PROMPTS);
  curve_errors(e[3], weight, "relu + dense", "dense", 1e-4, N, 20, PROMPTS);
  for (i = 0; i < 7; i++) {
    k = at[i];
    CHECK_NEAR(e[0][k].mean, relu[i], 4.5 * e[0][k].bar + 0.02);
    CHECK_NEAR(e[1][k].mean, mix[i], 4.5 * e[1][k].bar + 0.02);
    CHECK_NEAR(e[2][k].mean, line[i], 4.5 * e[2][k].bar + 0.02);
    CHECK_NEAR(e[3][k].mean, mix_line[i], 4.5 * e[3][k].bar + 0.005);
  }
}

TEST(relu_reference)
{
  if (ONE_OF > 1) SKIP("large errors are rare and want many prompts");
  relu_reference_in_full();
}

/* Ridges of two noises, weighted by evidence. */
TEST(bayes_of_mixed_noise)
{
  static const char *const prior = "0.25*noisy(sd=0.1) + 0.75*noisy(sd=1)";
  double w[2][5], b[2], weights[2];
  icl_task t = task(prior, 5);
  float got[5];
  int k, j;
  for (k = 1; k < 10; k++) {
    draw_regression((uint64_t)k, k, 5, k % 2 ? 0.1f : 1);
    b[0] = 0.25 * exp(direct_evidence(w[0], 31, k, 5, 0.2, 0.01));
    b[1] = 0.75 * exp(direct_evidence(w[1], 31, k, 5, 0.2, 1));
    weights_of(got, "bayes:1e-12", prior, k, 5);
    for (j = 0; j < 5; j++)
      CHECK_NEAR(got[j], (b[0] * w[0][j] + b[1] * w[1][j]) / (b[0] + b[1]), 1e-5);
    CHECK_EQ(icl_bayes_posterior(&t, 1e-12, k, 5, X, y, weights, NULL, scratch_block), ICL_OK);
    CHECK_NEAR(weights[0], b[0] / (b[0] + b[1]), 1e-6);
  }
}

/* Member i of pool(seed=s), as the sampler draws it. */
static void pool_member(float *w, int d, int seed, int i)
{
  icl_rng r;
  int j;
  icl_rng_init(&r, (uint64_t)seed, (uint64_t)1 << 42, (uint64_t)i);
  for (j = 0; j < d; j++) w[j] = (float)(1 / sqrt((double)d)) * icl_rng_normal(&r);
}

/* softmax(-|y - X w_i|^2 / (2 sigma^2)) over the members, written out; alone and beside dense. */
TEST(bayes_of_a_pool)
{
  enum { M = 50, D = 5 };
  static const char *const pool = "noisy(pool(size=50, seed=3), sd=0.4)";
  static const char *const mixed = "noisy(pool(size=50, seed=3), sd=0.4) + noisy(sd=0.4)";
  icl_task t = task(mixed, D);
  int k, i, j, n;
  for (k = 0; k < 8; k++) {
    float w[D], out = 0, mix = 0;
    double sum = 0, mean = 0, dense[10], other, weights[2], value = 0;
    draw_curve((uint64_t)k, k % 2 ? "noisy(sd=0.4)" : pool, k + 1, D);
    for (i = 0; i < M; i++) {
      double p = 0, f = 0;
      pool_member(w, D, 3, i);
      for (n = 0; n <= k; n++) {
        for (f = 0, j = 0; j < D; j++) f += (double)w[j] * (double)X[n * D + j];
        if (n < k) p -= pow((double)y[n] - f, 2) / (2 * 0.16);
      }
      sum += exp(p - 0.5 * k * log(0.16));
      mean += exp(p - 0.5 * k * log(0.16)) * f;
    }
    CHECK_EQ(predict("bayes:1e-12", pool, k, D, 1, X + k * D, &out), ICL_OK);
    CHECK_NEAR(out, mean / sum, 1e-5);
    other = k ? exp(direct_evidence(dense, 31, k, D, 0.2, 0.16)) : 1;
    for (j = 0; j < D && k; j++) value += dense[j] * (double)X[k * D + j];
    CHECK_EQ(icl_bayes_posterior(&t, 1e-12, k, D, X, y, weights, NULL, scratch_block), ICL_OK);
    CHECK_NEAR(weights[0], sum / M / (sum / M + other), 1e-5);
    CHECK_EQ(predict("bayes:1e-12", mixed, k, D, 1, X + k * D, &mix), ICL_OK);
    CHECK_NEAR(mix, (mean / M + other * value) / (sum / M + other), 1e-5);
  }
}

/* Pairs repeated, far more pairs than inputs, labels of 0 or huge: finite all the same. */
TEST(bayes_without_rank)
{
  static const char *const priors[] = {
    "dense + sparse(nnz=1) + relu + pool(size=9)", "dense + sine + convex(dense, sine) + relu",
    "gp(length=0.2..1) + affine + gp(nu=2.5, ard=1) + noisy(gp, sd=0..0.01)"};
  enum { N = 40 };
  int i, k, mode;
  for (i = 0; i < 3; i++)
    for (mode = 0; mode < 4; mode++) {
      icl_task t = task(priors[i], i ? 1 : 2);
      float out[N];
      double weights[(N + 1) * 4], evidence[N + 1], sum;
      int j, d = t.n_dims, terms = icl_task_terms(&t);
      draw_curve(3, "dense", N, d);
      for (k = 0; k < N; k++) {
        for (j = 0; j < d && mode != 1; j++) X[k * d + j] = mode == 3 ? 1e4f * (float)k : X[j];
        y[k] = mode == 1 ? 0 : mode == 3 ? 1e15f * y[k] : y[0];
      }
      CHECK_EQ(icl_bayes_curve(&t, 1e-12, N, d, X, y, out, weights, evidence, scratch_block),
               ICL_OK);
      for (k = 0; k < N; k++) {
        CHECK(out[k] - out[k] == 0);
        if (mode == 1 && (i || k > 1)) CHECK_NEAR(out[k], 0, 1e-4);
        if (mode == 0 && k) CHECK_NEAR(out[k], y[0], 1e-2 * (1 + fabs((double)y[0])));
      }
      for (k = 0; k <= N; k++) {
        for (sum = 0, j = 0; j < terms; j++) sum += weights[k * terms + j];
        CHECK_NEAR(sum, 1, 1e-9);
        CHECK(evidence[k] - evidence[k] == 0);
      }
    }
}

/* Pairs that say the same again and again, with x^2 far above the noise: pivots beyond the first
 * are nothing but noise, in the end lost to rounding.  log N(y; 0, var x^2 1 1' + noise I) in
 * closed form. */
TEST(bayes_of_repeated_pairs)
{
  enum { D = 16 };
  const double x[] = {4, 4e3, 4e5}, noise = 1e-6, log_two_pi = 1.837877066409345;
  icl_task t = task("dense", D);
  int i, j, k;
  for (i = 0; i < 3; i++)
    for (k = 1; k <= 8; k++) {
      const double xx = x[i] * x[i] / D, all = k * xx + noise, label = 0.5 * x[i];
      double evidence, exact = label * label * k / all + log(all);
      memset(X, 0, (size_t)(k * D) * sizeof *X);
      for (j = 0; j < k; j++) { X[j * D] = (float)x[i]; y[j] = (float)label; }
      CHECK_EQ(icl_bayes_posterior(&t, noise, k, D, X, y, NULL, &evidence, scratch_block), ICL_OK);
      exact = -0.5 * (exact + (k - 1) * log(noise) + k * log_two_pi);
      CHECK_NEAR(evidence, exact, i < 2 ? 1e-3 : 0.5 * k);
    }
}

/* The unit of garg for functions that are 0 is 0, and so would be its noise. */
TEST(bayes_of_nothing)
{
  static const char *const priors[] = {
    "garg(sparse(nnz=0))", "garg(convex(sparse(nnz=0), dense))", "dense + garg(sparse(nnz=0))"};
  enum { N = 6, D = 4 };
  int i, k;
  for (i = 0; i < 3; i++) {
    icl_task t = task(priors[i], D);
    float out[N];
    double weights[(N + 1) * 2], evidence[N + 1];
    draw_curve(3, "dense", N, D);
    CHECK(icl_bayes_supported(&t));
    CHECK_EQ(icl_bayes_curve(&t, 1e-8, N, D, X, y, out, weights, evidence, scratch_block), ICL_OK);
    for (k = 0; k < N; k++) {
      CHECK(out[k] - out[k] == 0 && evidence[k] - evidence[k] == 0);
      if (i == 0) CHECK(out[k] == 0);
    }
    if (i == 2) CHECK_NEAR(weights[N * 2], 1, 1e-9);
  }
}

/* ----- bayes of Gaussian processes and of ranges ---------------------------------------------- */

/* Matern with 2 nu = degrees, 0: RBF, written with z = |a - b| / length. */
static double gp_covariance(int degrees, double length, const float *a, const float *b, int d)
{
  double z = 0;
  int i;
  for (i = 0; i < d; i++) z += pow(((double)a[i] - (double)b[i]) / length, 2);
  z = sqrt(z);
  switch (degrees) {
    case 1:  return exp(-z);
    case 3:  return (1 + sqrt(3.0) * z) * exp(-sqrt(3.0) * z);
    case 5:  return (1 + sqrt(5.0) * z + 5 * z * z / 3) * exp(-sqrt(5.0) * z);
    default: return exp(-z * z / 2);
  }
}

/* C[k + 1][k + 1] = process gp + level + linear x.x'. */
static void gp_covariances(double *C, double process, int degrees, double length, double level,
                           double linear, int k, int d)
{
  int i, j, p;
  for (i = 0; i <= k; i++)
    for (j = 0; j <= k; j++) {
      double *c = &C[i * (k + 1) + j];
      *c = level + process * gp_covariance(degrees, length, X + i * d, X + j * d, d);
      for (p = 0; p < d; p++) *c += linear * (double)X[i * d + p] * (double)X[j * d + p];
    }
}

static void check_direct(const direct *p, const char *prior, int k, int d, double slack)
{
  icl_task t = task(prior, d);
  double weights[4], evidence;
  float out = 0;
  int i, bad = test_bad;
  CHECK_EQ(predict("bayes:1e-6", prior, k, d, 1, X + k * d, &out), ICL_OK);
  CHECK_NEAR(out, p->answer / p->sum, slack);
  CHECK_EQ(icl_bayes_posterior(&t, 1e-6, k, d, X, y, weights, &evidence, scratch_block), ICL_OK);
  CHECK_NEAR(evidence, p->top + log(p->sum), slack * (1 + 0.1 * fabs(evidence)));
  for (i = 0; i < icl_task_terms(&t); i++) CHECK_NEAR(weights[i], p->mass[i] / p->sum, slack);
  if (test_bad > bad) printf("  of %s, k = %d\n", prior, k);
}

/* All kernels in one mixture, beside an affine function in the units of Garg et al. */
TEST(gp_by_brute_force)
{
  static const char *const prior =
    "noisy(0.3*gp(length=0.7) + 0.3*gp(nu=1.5, length=2), sd=0.2) + 0.2*gp(nu=2.5) + "
    "0.2*noisy(garg(affine(slope=2, intercept=1)), sd=0.1, renorm=1)";
  static const double noise[] = {0.04 + 1e-6, 0.04 + 1e-6, 1e-6};
  static const double length[] = {0.7, 2, 1}, weight[] = {1 / 1.4 / 2, 1 / 1.4 / 2, 0.2 / 1.4};
  static const int degrees[] = {0, 3, 5};
  double C[(MAX_DIRECT + 1) * (MAX_DIRECT + 1)];
  int k, d, i;
  for (d = 1; d <= 3; d += 2)
    for (k = 0; k < 10; k++) {
      const double s = 1 / 1.01;
      direct p;
      memset(&p, 0, sizeof p);
      draw_curve((uint64_t)k, k % 2 ? "gp(nu=2.5)" : "noisy(gp(length=0.7), sd=0.2)", k + 1, d);
      for (i = 0; i < 3; i++) {
        gp_covariances(C, 1, degrees[i], length[i], 0, 0, k, d);
        direct_process(&p, i / 2, weight[i], C, noise[i], k);
      }
      gp_covariances(C, 0, 0, 1, s * d / 5, s * 4.0 / 5, k, d);
      direct_process(&p, 2, 0.2 / 1.4, C, s * (0.01 + d * 1e-6), k);
      check_direct(&p, prior, k, d, 2e-5);
    }
}

/* Lengths: 400 of them for the grid's. */
TEST(gp_of_ranged_length)
{
  static const char *const data[] = {"gp(length=0.3)", "noisy(gp(length=3), sd=0.1)", "sine"};
  enum { N = 400 };
  double C[(MAX_DIRECT + 1) * (MAX_DIRECT + 1)];
  int k, i;
  for (k = 0; k < 12; k += 2) {
    direct p;
    memset(&p, 0, sizeof p);
    draw_curve((uint64_t)k, data[k / 2 % 3], k + 1, 1);
    for (i = 0; i < N; i++) {
      gp_covariances(C, 1, 3, 0.15 * pow(4 / 0.15, (i + 0.5) / N), 0, 0, k, 1);
      direct_process(&p, 0, 1.0 / N, C, 0.01 + 1e-6, k);
    }
    check_direct(&p, "noisy(gp(length=0.15..4, nu=1.5), sd=0.1)", k, 1, 3e-3);
  }
}

/* ard at d = 1: half the functions have a length of their own.  With a range, 40 x 41 lengths. */
TEST(gp_of_ard)
{
  enum { N = 40 };
  double C[(MAX_DIRECT + 1) * (MAX_DIRECT + 1)];
  int k, i, j, ranged;
  for (ranged = 0; ranged < 2; ranged++)
    for (k = 0; k < 10; k += 3) {
      direct p;
      memset(&p, 0, sizeof p);
      draw_curve((uint64_t)k, "noisy(gp(length=0.4), sd=0.2)", k + 1, 1);
      for (i = 0; i < (ranged ? (int)N : 1); i++)
        for (j = -1; j < N; j++) {
          double length = ranged ? 0.5 * pow(2, (i + 0.5) / N) : 0.6;
          if (j >= 0) length /= exp(1.4 * ((j + 0.5) / N - 0.5));
          gp_covariances(C, 1, 0, length, 0, 0, k, 1);
          direct_process(&p, 0, (j < 0 ? 0.5 : 0.5 / N) / (ranged ? N : 1), C, 0.04 + 1e-6, k);
        }
      check_direct(&p, ranged ? "noisy(gp(length=0.5..1, ard=1), sd=0.2)"
                              : "noisy(gp(length=0.6, ard=1), sd=0.2)", k, 1, 1e-2);
    }
}

/* sd log-uniform over 0.05 .. 2, the same with renorm, and uniform over 0 .. 1: 500 values. */
TEST(noise_of_a_range)
{
  static const char *const priors[] = {
    "noisy(dense, sd=0.05..2) + noisy(gp, sd=0.05..2)",
    "noisy(dense, sd=0.05..2, renorm=1) + noisy(gp, sd=0.05..2, renorm=1)",
    "noisy(dense, sd=0..1) + noisy(gp, sd=0..1)"};
  enum { N = 500, D = 2 };
  double C[(MAX_DIRECT + 1) * (MAX_DIRECT + 1)];
  int k, i, m;
  for (m = 0; m < 3; m++)
    for (k = 0; k < 11; k += 2) {
      direct p;
      memset(&p, 0, sizeof p);
      draw_curve((uint64_t)k, k % 4 ? "noisy(sd=0.1)" : "noisy(gp, sd=0.8)", k + 1, D);
      for (i = 0; i < N; i++) {
        double u = (i + 0.5) / N, sd = m < 2 ? 0.05 * pow(40, u) : u;
        double s = m == 1 ? 1 / (1 + sd * sd) : 1;
        gp_covariances(C, 0, 0, 1, 0, s / D, k, D);
        direct_process(&p, 0, 0.5 / N, C, s * (sd * sd + 1e-6), k);
        gp_covariances(C, s, 0, 1, 0, 0, k, D);
        direct_process(&p, 1, 0.5 / N, C, s * (sd * sd + 1e-6), k);
      }
      check_direct(&p, priors[m], k, D, 5e-3);
    }
}

/* Any process with this covariance, and so the class gp of 32 features, has the error
 * C(q, q) - C(q, X) (C + noise)^-1 C(X, q) + noise. */
TEST(gp_has_its_variance)
{
  static const struct { const char *text; int degrees, d; double length; } of[] = {
    {"noisy(gp(length=0.5), sd=0.1)", 0, 1, 0.5}, {"noisy(gp(nu=0.5), sd=0.1)", 1, 1, 1},
    {"noisy(gp(nu=1.5, length=2), sd=0.1)", 3, 3, 2}, {"noisy(gp(nu=2.5), sd=0.1)", 5, 2, 1}};
  enum { K = 6 };
  const int prompts = 2000 / ONE_OF + 1;
  double C[(K + 1) * (K + 1)], A[K * K], s[K];
  int m, n, i, j;
  for (m = 0; m < 4; m++) {
    icl_task t = task(of[m].text, of[m].d);
    icl_baseline b = baseline("bayes");
    double mean = 0, square = 0;
    for (n = 0; n < prompts; n++) {
      icl_rng r;
      float out = 0;
      double v;
      icl_rng_init(&r, 21, (uint64_t)m, (uint64_t)n);
      icl_prompt_sample(&t, NULL, &r, K + 1, X, y, NULL, theta);
      CHECK_EQ(icl_baseline_predict(&b, &t, K, of[m].d, X, y, 1, X + K * of[m].d, &out,
                                    scratch_block), ICL_OK);
      gp_covariances(C, 1, of[m].degrees, of[m].length, 0, 0, K, of[m].d);
      for (i = 0; i < K; i++)
        for (s[i] = C[i * (K + 1) + K], j = 0; j < K; j++)
          A[i * K + j] = C[i * (K + 1) + j] + (i == j ? 0.01 : 0);
      solve(A, s, K);
      v = pow((double)out - (double)y[K], 2) - 1 - 0.01;
      for (i = 0; i < K; i++) v += s[i] * C[i * (K + 1) + K];
      mean += v / prompts;
      square += v * v / prompts;
    }
    CHECK_NEAR(mean, 0, 4.5 * sqrt((square - mean * mean) / prompts));
  }
}

/* Queries together and one by one, in scratch that is not exceeded; more pairs than a process
 * takes. */
TEST(gp_in_batches)
{
  static const char *const prior = "noisy(gp(length=0.5..2), sd=0.1..1) + affine";
  unsigned char *block = (unsigned char *)malloc(100000);
  icl_baseline b = baseline("bayes");
  icl_task t = task(prior, 2);
  size_t n = icl_baseline_scratch(&b, 9, 2), i, damaged = 0;
  float out[5], one;
  int j;
  draw_curve(4, "gp", 15, 2);
  memset(block, 0xa5, 100000);
  CHECK(n < 99000);
  CHECK_EQ(icl_baseline_predict(&b, &t, 9, 2, X, y, 5, X + 18, out, block + 1), ICL_OK);
  for (i = n + 1; i < 100000; i++) damaged += block[i] != 0xa5;
  CHECK_EQ(damaged, 0);
  for (j = 0; j < 5; j++) {
    CHECK_EQ(icl_baseline_predict(&b, &t, 9, 2, X, y, 1, X + 18 + 2 * j, &one, block), ICL_OK);
    CHECK(one == out[j]);
  }
  CHECK_EQ(icl_baseline_predict(&b, &t, 5000, 2, X, y, 1, X, &one, block), ICL_ERR_LIMIT);
  free(block);
}

int main(void)
{
  RUN(names);
  RUN(names_refused);
  RUN(nothing_known_is_zero);
  RUN(scratch_is_exact);
  RUN(batch_equals_single);
  RUN(permutation);
  RUN(errors);
  RUN(ols_is_exact);
  RUN(ols_solves_the_normal_equations);
  RUN(ols_has_the_least_norm);
  RUN(ols_of_deficient_rank);
  RUN(ols_of_one_point);
  RUN(ols_learning_curve);
  RUN(ols_under_noise);
  RUN(ridge_solves_its_equations);
  RUN(weak_ridge_is_ols);
  RUN(ridge_without_rank);
  RUN(ridge_of_repeated_pairs);
  RUN(averaging);
  RUN(nearest_neighbours);
  RUN(nearest_of_many);
  RUN(lasso_optimality);
  RUN(lasso_of_orthogonal_inputs);
  RUN(lasso_reference);
  RUN(lasso_of_garg);
  RUN(tree_by_hand);
  RUN(tree_remembers);
  RUN(net_of_one_step);
  RUN(net_learns);
  RUN(bayes_supported);
  RUN(no_bayes_for_what_is_drawn);
  RUN(bayes_of_dense);
  RUN(bayes_is_the_posterior_mean);
  RUN(bayes_reference);
  RUN(soft_bayes_reference);
  RUN(bayes_of_three);
  RUN(bayes_is_best);
  RUN(bayes_of_sines_by_brute_force);
  RUN(curve_equals_predict);
  RUN(curves_of_all);
  RUN(sine_reference);
  RUN(convex_oracle);
  RUN(unknown_alpha);
  RUN(relu_of_one_pair);
  RUN(relu_reference);
  RUN(bayes_of_mixed_noise);
  RUN(bayes_of_a_pool);
  RUN(bayes_without_rank);
  RUN(bayes_of_repeated_pairs);
  RUN(bayes_of_nothing);
  RUN(gp_by_brute_force);
  RUN(gp_of_ranged_length);
  RUN(gp_of_ard);
  RUN(noise_of_a_range);
  RUN(gp_has_its_variance);
  RUN(gp_in_batches);
  return test_report("baselines");
}
