/* A model's answers mixed with ridge regression's, against the same worked out by hand with the bundled
 * model of several inputs.
 *
 *     cc -I. tests/test_blend.c -lm -o build/test_blend && build/test_blend */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include "../tools/solve.c"
#include "../tools/ridge.c"
#include "../tools/blend.c"
#include "test.h"

enum { D = 10, N = 23, ASKED = 7 };

static icl_model *model;
static icl_ctx *c, *spare;
static float x[N * D], y[N], queries[ASKED * D];
static uint32_t state = 1;

static float uniform(void)
{
  state = state * 1664525u + 1013904223u;
  return (float)(state >> 8) / 8388608.0f - 1.0f;
}

/* n pairs of 3 inputs beside zeros: a sum, and so much of what no line is. */
static void draw(int n, float bend)
{
  int i, k;
  memset(x, 0, sizeof x);
  memset(queries, 0, sizeof queries);
  for (i = 0; i < n; i++) {
    float *row = x + i * D;
    for (k = 0; k < 3; k++) row[k] = (k ? 1.0f : 1000.0f) * uniform() + 5;
    y[i] = row[0] / 1000 - 2 * row[1] + 0.5f * row[2] + bend * fabsf(row[1] - 5) + 7;
  }
  for (i = 0; i < ASKED * D; i++) if (i % D < 3) queries[i] = (i % D ? 1.0f : 1000.0f) * uniform() + 5;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_standardize(c, n, x, y), ICL_OK);
  CHECK_EQ(icl_add_batch(c, n, x, y), ICL_OK);
}

/* out[m] = ridge regression's answers at asked[m][D] by rows[n][D], truth[n]. */
static void ridge_by_hand(int n, const float *rows, const float *truth, int m, const float *asked, float *out)
{
  static double scaled[N * D], centred[N], slope[D], memory[D * (D + 2)];
  double mean[D], sd[D], y_mean = 0;
  int i, k;
  for (i = 0; i < n; i++) y_mean += (double)truth[i] / n;
  for (k = 0; k < D; k++) {
    mean[k] = sd[k] = 0;
    for (i = 0; i < n; i++) mean[k] += (double)rows[i * D + k] / n;
    for (i = 0; i < n; i++) sd[k] += pow((double)rows[i * D + k] - mean[k], 2) / n;
    sd[k] = sd[k] > 0 ? sqrt(sd[k]) : 1;
    for (i = 0; i < n; i++) scaled[i * D + k] = ((double)rows[i * D + k] - mean[k]) / sd[k];
  }
  for (i = 0; i < n; i++) centred[i] = (double)truth[i] - y_mean;
  ridge_choose(n, D, scaled, centred, slope, memory);
  for (i = 0; i < m; i++) {
    double v = y_mean;
    for (k = 0; k < D; k++) v += slope[k] * ((double)asked[i * D + k] - mean[k]) / sd[k];
    out[i] = (float)v;
  }
}

/* Sums of squared errors at every fifth row, predicted from the others. */
static void errors_by_hand(double *of_model, double *of_ridge)
{
  float rows[N * D], truth[N], out[N], one;
  int fold, i, n;
  *of_model = *of_ridge = 0;
  for (fold = 0; fold < 5; fold++) {
    for (n = i = 0; i < N; i++) {
      if (i % 5 == fold) continue;
      memcpy(rows + n * D, x + i * D, D * sizeof(float));
      truth[n++] = y[i];
    }
    CHECK_EQ(icl_rewind(spare, 0), ICL_OK);
    CHECK_EQ(icl_standardize(spare, n, rows, truth), ICL_OK);
    CHECK_EQ(icl_add_batch(spare, n, rows, truth), ICL_OK);
    ridge_by_hand(n, rows, truth, N, x, out);
    for (i = fold; i < N; i += 5) {
      CHECK_EQ(icl_predict(spare, x + i * D, &one), ICL_OK);
      *of_model += pow((double)one - (double)y[i], 2);
      *of_ridge += pow((double)out[i] - (double)y[i], 2);
    }
  }
}

TEST(share_and_answers)
{
  static const float bends[] = {0, 0.5f, 1, 2, 8};
  float ridge[ASKED], before[ASKED], ys[ASKED], lo[ASKED], hi[ASKED];
  double shares[5], of_model, of_ridge;
  blend b;
  int i, k;
  for (k = 0; k < 5; k++) {
    state = 7;
    draw(N, bends[k]);
    errors_by_hand(&of_model, &of_ridge);
    CHECK_EQ(blend_fit(&b, c, spare), ICL_OK);
    shares[k] = b.share;
    CHECK_NEAR(b.share, 1 / (1 + pow(of_model / of_ridge, 4)), 1e-3);
    CHECK_EQ(icl_count(c), N);
    CHECK_EQ(icl_predict_interval(c, ASKED, queries, 0.9f, before, lo, hi), ICL_OK);
    for (i = 0; i < ASKED; i++) { ys[i] = before[i]; lo[i] = before[i] - 2; hi[i] = before[i] + 1; }
    ridge_by_hand(N, x, y, ASKED, queries, ridge);
    blend_answers(&b, ASKED, queries, ys, lo, hi);
    for (i = 0; i < ASKED; i++) {
      CHECK_NEAR((double)ys[i], b.share * (double)before[i] + (1 - b.share) * (double)ridge[i], 1e-3);
      CHECK_NEAR(ys[i] - lo[i], 2, 1e-4);
      CHECK_NEAR(hi[i] - ys[i], 1, 1e-4);
    }
    blend_free(&b);
  }
  CHECK(shares[0] < 0.01);                       /* a plane: ridge's is exact                       */
  CHECK(shares[4] > 0.5);                        /* mostly bent                                     */
}

/* The answer stays the model's own. */
static void check_untouched(int n)
{
  float ys[ASKED];
  blend b;
  int i;
  CHECK_EQ(blend_fit(&b, c, spare), ICL_OK);
  CHECK(b.share >= 1);
  for (i = 0; i < ASKED; i++) ys[i] = (float)i;
  blend_answers(&b, ASKED, queries, ys, NULL, NULL);
  for (i = 0; i < ASKED; i++) CHECK_EQ(ys[i], (float)i);
  CHECK_EQ(icl_count(c), n);
  blend_free(&b);
  blend_free(&b);
}

TEST(the_model_alone)
{
  float ys[ASKED] = {0}, ridge[ASKED];
  blend b;
  int i, k;
  draw(BLEND_LEAST - 1, 0);
  check_untouched(BLEND_LEAST - 1);
  draw(N, 0);
  for (i = 0; i < N; i++) for (k = 1; k < D; k++) x[i * D + k] = 0;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_add_batch(c, N, x, y), ICL_OK);
  check_untouched(N);                            /* one input varies                                */
  draw(BLEND_LEAST, 1);
  CHECK_EQ(blend_fit(&b, c, NULL), ICL_OK);
  CHECK(b.share >= 1 && b.mean);
  b.share = 0;                                   /* the caller's: ridge alone                       */
  blend_answers(&b, ASKED, queries, ys, NULL, NULL);
  ridge_by_hand(BLEND_LEAST, x, y, ASKED, queries, ridge);
  for (i = 0; i < ASKED; i++) CHECK_NEAR(ys[i], ridge[i], 1e-3);
  blend_free(&b);
}

int main(void)
{
  icl_report why = {ICL_OK, 0, ""};
  CHECK_EQ(icl_load(&model, "examples/models/table.safetensors", &why), ICL_OK);
  if (!model) return test_report("blend");
  CHECK_EQ(icl_ctx_new(&c, model, N, 64), ICL_OK);
  CHECK_EQ(icl_ctx_new(&spare, model, N, 64), ICL_OK);
  RUN(share_and_answers);
  RUN(the_model_alone);
  icl_ctx_delete(c);
  icl_ctx_delete(spare);
  icl_unload(model);
  return test_report("blend");
}
