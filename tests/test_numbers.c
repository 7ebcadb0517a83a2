/* Any finite numbers: inputs from subnormal to 3e38, scales from 1e-38 to 1e38, weights up to FLT_MAX.  The
 * answer is finite and, beside a network in double precision, right; or the code is NONFINITE and the context
 * as it was.  What overflows on the way never comes out with ICL_OK, nor what relu and softmax would make 0 of.
 * Then the rounding modes, and subnormal numbers as zeros.  All with every set of kernels that this machine has.
 *
 *     build/test_numbers            40,000 prompts, that is above 100,000 random numbers
 *     build/test_numbers long       10,000,000 prompts; build/test_numbers N: so many */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

#include <fenv.h>
#include <float.h>
#include <stdlib.h>
#if ICL__X86
#include <xmmintrin.h>
#endif

enum { D = 2, C = 8, H = 2, F = 4 * C, MAX_T = 9, PAIRS = 3, N_PARAMS = 4096, N_MEM = 1 << 15 };

static icl_config cfg;
static float params[N_PARAMS];
static icl_model model;
static unsigned char model_mem[1 << 12], ctx_mem[N_MEM];
static long prompts = 40000, ok, refused, checked, beyond;

/* The kernels of this build that this machine runs. */
static const char *isas[6];
static int n_isas;

static void find_isas(void)
{
  size_t i;
  for (i = 0; i < sizeof icl__all_ops / sizeof *icl__all_ops; i++)
    if (icl__can_run(icl__all_ops[i])) isas[n_isas++] = icl__all_ops[i]->name;
}

static void use_isa(int i) { CHECK_EQ(icl_model_isa(&model, isas[i]), ICL_OK); }

static uint64_t seed = 88172645463325252u;

static uint32_t draw(void)
{
  seed ^= seed << 13; seed ^= seed >> 7; seed ^= seed << 17;
  return (uint32_t)(seed >> 32);
}

static float uniform(void) { return (float)(draw() >> 8) / 16777216.0f; }

/* +-2^e for e uniform in low .. high, times 1 to 2; subnormal where e is below -126. */
static float spread(int low, int high)
{
  double v = ldexp(1.0 + (double)uniform(), low + (int)(draw() % (uint32_t)(high - low + 1)));
  float x = v > (double)FLT_MAX ? FLT_MAX : (float)v;
  return draw() & 1 ? x : -x;
}

/* ----- the network in double precision -------------------------------------------------------------- */

static double largest;             /* magnitude that occurred on the way, as a float would hold it      */

static double seen(double v)
{
  if (fabs(v) > largest) largest = fabs(v);
  return v;
}

static const float *tensor(const float **p, int n) { const float *t = *p; *p += n; return t; }

/* out[n] = x[k] W + b, W[k][n]. */
static void linear(double *out, const double *x, const float *w, const float *b, int k, int n)
{
  int i, j;
  for (j = 0; j < n; j++) {
    double s = (double)b[j];
    for (i = 0; i < k; i++) s += x[i] * (double)w[i * n + j];
    out[j] = seen(s);
  }
}

static void norm(double *out, const double *x, const float *g, const float *b)
{
  double mean = 0, var = 0;
  int i;
  for (i = 0; i < C; i++) mean += x[i] / C;
  for (i = 0; i < C; i++) var += (x[i] - mean) * (x[i] - mean) / C;
  seen(var);
  for (i = 0; i < C; i++)
    out[i] = seen((x[i] - mean) / sqrt(var + (double)cfg.layer_norm_epsilon) * (double)g[i] + (double)b[i]);
}

static double activate(double x)
{
  if (cfg.activation_function == ICL_RELU) return x > 0 ? x : 0;
  if (cfg.activation_function == ICL_GELU_ERF) return 0.5 * x * erfc(-x * 0.70710678118654752);
  return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

/* The prediction at the last of T tokens. */
static double predict64(double (*token)[D], int T)
{
  static double x[MAX_T][C], qkv[MAX_T][3 * C], ln[C], att[C], fc[F], out[C];
  const float *p = params, *in_w = tensor(&p, C * D), *in_b = tensor(&p, C);
  const float *wpe = tensor(&p, cfg.n_positions * C);
  const float *g1 = tensor(&p, C), *b1 = tensor(&p, C), *aw = tensor(&p, 3 * C * C), *ab = tensor(&p, 3 * C);
  const float *pw = tensor(&p, C * C), *pb = tensor(&p, C), *g2 = tensor(&p, C), *b2 = tensor(&p, C);
  const float *fw = tensor(&p, C * F), *fb = tensor(&p, F), *mw = tensor(&p, F * C), *mb = tensor(&p, C);
  const float *gf = tensor(&p, C), *bf = tensor(&p, C), *ow = tensor(&p, C), *ob = tensor(&p, 1);
  int t, s, h, i, j;
  double y;
  for (t = 0; t < T; t++) {
    for (i = 0; i < C; i++) {
      x[t][i] = (double)in_b[i] + (double)wpe[t * C + i];
      for (j = 0; j < D; j++) x[t][i] += token[t][j] * (double)in_w[i * D + j];
      seen(x[t][i]);
    }
    norm(ln, x[t], g1, b1);
    linear(qkv[t], ln, aw, ab, C, 3 * C);
  }
  t = T - 1;
  for (h = 0; h < H; h++) {
    double score[MAX_T], most = -1e300, sum = 0;
    for (s = 0; s < T; s++) {
      for (score[s] = 0, i = 0; i < C / H; i++) score[s] += qkv[t][h * C / H + i] * qkv[s][C + h * C / H + i];
      score[s] = seen(score[s] / sqrt((double)(C / H)));
      if (score[s] > most) most = score[s];
    }
    for (s = 0; s < T; s++) sum += score[s] = exp(score[s] - most);
    for (i = 0; i < C / H; i++)
      for (att[h * C / H + i] = 0, s = 0; s < T; s++)
        att[h * C / H + i] += score[s] / sum * qkv[s][2 * C + h * C / H + i];
  }
  linear(out, att, pw, pb, C, C);
  for (i = 0; i < C; i++) x[t][i] = seen(x[t][i] + out[i]);
  norm(ln, x[t], g2, b2);
  linear(fc, ln, fw, fb, C, F);
  for (i = 0; i < F; i++) fc[i] = activate(fc[i]);
  linear(out, fc, mw, mb, F, C);
  for (i = 0; i < C; i++) x[t][i] = seen(x[t][i] + out[i]);
  norm(ln, x[t], gf, bf);
  for (y = (double)ob[0], i = 0; i < C; i++) y += ln[i] * (double)ow[i];
  return seen(y);
}

/* ----- models --------------------------------------------------------------------------------------- */

enum { USUAL, SOME_HUGE, ALL_HUGE, ONE_COLUMN, SCORES };

/* Makes a product overflow where the answer need not: in one column before relu, whose minus infinity
 * would be 0; or in queries and keys, where a score of minus infinity has no share. */
static float overflowing(const icl_tensor *t, int kind, int k, float usual)
{
  if (kind == ONE_COLUMN && strstr(t->name, "mlp.c_fc.weight") && k % F == 5) return usual * 3e38f;
  if (kind == SCORES && strstr(t->name, "c_attn.weight") && k % (3 * C) < 2 * C) return usual * 1.8e19f;
  return usual;
}

/* USUAL: weights that matter; SOME_HUGE: some tensors are of any size up to FLT_MAX; ALL_HUGE: all. */
static void make_model(int huge, icl_activation activation)
{
  float *p = params;
  int i, k;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = D; cfg.n_embd = C; cfg.n_head = H; cfg.n_layer = 1; cfg.n_positions = MAX_T; cfg.n_out = 1;
  cfg.layer_norm_epsilon = 1e-5f;
  cfg.activation_function = activation;
  for (i = 0; i < icl_tensor_count(&cfg); i++) {
    icl_tensor t;
    int any;
    icl_tensor_at(&cfg, i, &t);
    any = huge == ALL_HUGE || (huge == SOME_HUGE && draw() % 6 == 0);
    for (k = 0; k < t.rows * t.cols; k++, p++) {
      *p = any ? spread(huge == ALL_HUGE ? 100 : 40, 127) : (2 * uniform() - 1) * (t.rank == 2 ? 0.8f : 0.3f)
           + (t.rank == 1 && !strstr(t.name, "bias") ? 1.0f : 0.0f);
      *p = overflowing(&t, huge, k, *p);
    }
  }
  CHECK_EQ(icl_model_bind(&model, &cfg, params, model_mem, sizeof model_mem), ICL_OK);
}

/* ----- one prompt ----------------------------------------------------------------------------------- */

typedef struct prompt {
  int n;
  float x[PAIRS + 1][D], y[PAIRS], x_mean[D], x_std[D], y_mean, y_std;
} prompt;

static void draw_prompt(prompt *p)
{
  int i, j, low = draw() % 4 ? -12 : -149, high = draw() % 4 ? 6 : draw() % 2 ? 60 : 127;
  int wide = draw() % 4 == 0;
  p->n = (int)(draw() % (PAIRS + 1));
  for (i = 0; i <= p->n; i++) for (j = 0; j < D; j++) p->x[i][j] = spread(low, high);
  for (i = 0; i < p->n; i++) p->y[i] = spread(low, high);
  for (j = 0; j < D; j++) {
    p->x_mean[j] = draw() % 3 ? 0 : spread(low, high);
    p->x_std[j] = fabsf(wide ? spread(-126, 126) : spread(-3, 3));
  }
  p->y_mean = draw() % 3 ? 0 : spread(low, high);
  p->y_std = fabsf(wide ? spread(-126, 126) : spread(-3, 3));
}

/* What the model should say, in double precision of the tokens that it sees. */
static double right_answer(const prompt *p)
{
  double token[MAX_T][D];
  int i, j;
  memset(token, 0, sizeof token);
  largest = 0;
  for (i = 0; i <= p->n; i++) {
    for (j = 0; j < D; j++) token[2 * i][j] = seen((double)((p->x[i][j] - p->x_mean[j]) / p->x_std[j]));
    if (i < p->n) token[2 * i + 1][0] = seen((double)((p->y[i] - p->y_mean) / p->y_std));
  }
  return predict64(token, 2 * p->n + 1);
}

/* What the promise names: each kind of number must have come, and been answered where it can be. */
enum { SUBNORMAL_INPUT, LARGEST_INPUT, LEAST_SCALE, LARGEST_SCALE, LARGEST_WEIGHT, N_EDGES };
static const char *const edge_names[] = {"a subnormal number", "a number above 1e38", "a scale below 1e-37",
                                         "a scale above 1e37", "a weight above 1e38"};
static long edges[N_EDGES][2];               /* prompts with such numbers: answered, refused             */

static void count_edges(const prompt *p, int answered)
{
  int had[N_EDGES] = {0}, i, j;
  for (i = 0; i <= p->n; i++)
    for (j = 0; j <= D; j++) {
      float v = j < D ? p->x[i][j] : i < p->n ? p->y[i] : 0;
      if (v != 0 && fabsf(v) < FLT_MIN) had[SUBNORMAL_INPUT] = 1;
      if (fabsf(v) > 1e38f) had[LARGEST_INPUT] = 1;
    }
  for (j = 0; j <= D; j++) {
    float v = j < D ? p->x_std[j] : p->y_std;
    if (v < 1e-37f) had[LEAST_SCALE] = 1;
    if (v > 1e37f) had[LARGEST_SCALE] = 1;
  }
  for (i = 0; i < (int)model.n_params && !had[LARGEST_WEIGHT]; i++) had[LARGEST_WEIGHT] = fabsf(params[i]) > 1e38f;
  for (i = 0; i < N_EDGES; i++) edges[i][!answered] += had[i];
}

static void complain(const prompt *p, double got, double expected)
{
  int i;
  if (!test_fail(__FILE__, __LINE__, "answer")) return;
  printf(" %.9g, expected %.9g; largest %g, mean %g, std %g, n %d:", got, expected, largest,
         (double)p->y_mean, (double)p->y_std, p->n);
  for (i = 0; i <= p->n; i++) printf(" %g", (double)((p->x[i][0] - p->x_mean[0]) / p->x_std[0]));
  printf("\n");
}

/* Adds the pairs and asks.  Where weights are huge only overflow is known. */
static void try_prompt(const prompt *p, int huge)
{
  icl_ctx c;
  float y = 12345;
  double expected, tolerance;
  icl_error err;
  CHECK_EQ(icl_ctx_init(&c, &model, PAIRS, 2, ctx_mem, sizeof ctx_mem), ICL_OK);
  CHECK_EQ(icl_ctx_scale(&c, p->x_mean, p->x_std, p->y_mean, p->y_std), ICL_OK);
  err = icl_add_batch(&c, p->n, p->x[0], p->y);
  if (err) CHECK_EQ(c.n_pairs, 0);
  if (!err) err = icl_predict(&c, p->x[p->n], &y);
  if (err) {
    refused++;
    CHECK_EQ(err, ICL_ERR_NONFINITE);
    CHECK(y > 12344 && y < 12346);
    count_edges(p, 0);
    return;
  }
  ok++;
  count_edges(p, 1);
  CHECK(icl__finite(&y, 1) && icl__finite(c.residuals, (size_t)c.n_pairs));
  expected = right_answer(p);
  if (largest > (huge < ONE_COLUMN ? 1e40 : 3.5e38)) { beyond++; complain(p, (double)y, expected); }     /* no float holds that          */
  if (huge) return;
  tolerance = 1e-3 * (double)p->y_std * (1 + fabs(expected)) + 1e-6 * fabs((double)p->y_mean) + 1e-44;
  expected = (double)p->y_mean + (double)p->y_std * expected;
  checked++;
  if (!(fabs((double)y - expected) <= tolerance)) complain(p, (double)y, expected);
}

TEST(any_finite_numbers)
{
  long k;
  int i;
  prompt p;
  for (k = 0; k < prompts && test_bad < 10; k++) {
    int huge = (int)(k / 1000 % 6) - 1;                    /* half of the models are usual ones         */
    if (k % 20 == 0)
      make_model(huge < 0 ? USUAL : huge, huge == ONE_COLUMN ? ICL_RELU : (icl_activation)(k / 20 % 3));
    use_isa((int)(k / 6000 % n_isas));
    draw_prompt(&p);
    try_prompt(&p, huge < 0 ? USUAL : huge);
  }
  printf("numbers: %ld prompts: %ld answered (%ld of them beside double precision), %ld NONFINITE\n", k, ok,
         checked, refused);
  CHECK(ok > k / 10 && refused > k / 10 && checked > k / 10);
  CHECK_EQ(beyond, 0);
  for (i = 0; i < N_EDGES; i++) {
    printf("numbers: %s: %ld answered, %ld NONFINITE\n", edge_names[i], edges[i][0], edges[i][1]);
    CHECK(edges[i][0] > 0 && edges[i][1] > 0);
  }
}

/* ----- overflows that relu or softmax would make 0 of ----------------------------------------------- */

static float *tensor_of(const char *name)
{
  icl_tensor t;
  size_t at = 0;
  int i;
  for (i = 0; i < icl_tensor_count(&cfg); i++) {
    icl_tensor_at(&cfg, i, &t);
    if (strstr(t.name, name)) return params + at;
    at += (size_t)t.rows * (size_t)t.cols;
  }
  CHECK(!"no such tensor");
  return params;
}

/* All weights 0 but the LayerNorms' gains; the read-in sends x[0] to (x, -x, x, -x ..), of which LayerNorm
 * leaves the sign; the answer is its first channel. */
static void make_signs(void)
{
  float *p;
  int i;
  make_model(USUAL, ICL_RELU);
  memset(params, 0, sizeof params);
  for (p = tensor_of("_read_in.weight"), i = 0; i < C; i++) p[i * D] = i % 2 ? -1.0f : 1.0f;
  for (i = 0; i < C; i++)
    tensor_of("ln_1.weight")[i] = tensor_of("ln_2.weight")[i] = tensor_of("ln_f.weight")[i] = 1;
  tensor_of("_read_out.weight")[0] = 1;
}

/* A context with n pairs (1, 0), 1; then x[0] = sign overflows: as a query, in a batch, and as a pair. */
static void refuse_sign(int n, float sign, int overflows)
{
  float xs[2 * D] = {1, 0, 1, 0}, one = 1, two[2] = {-7, -7}, bad[2 * D] = {1, 0, 0, 0}, ones[2] = {1, 1};
  icl_error want = overflows ? ICL_ERR_NONFINITE : ICL_OK;
  icl_ctx c;
  int i;
  bad[D] = sign;
  CHECK_EQ(icl_ctx_init(&c, &model, PAIRS + 1, 2, ctx_mem, sizeof ctx_mem), ICL_OK);
  for (i = 0; i < n; i++) CHECK_EQ(icl_add(&c, xs, one), ICL_OK);
  CHECK_EQ(icl_predict(&c, xs, two), ICL_OK);
  two[0] = -7;
  CHECK_EQ(icl_predict(&c, bad + D, two), want);
  if (want) CHECK(two[0] < -6 && two[0] > -8);
  CHECK_EQ(icl_predict_batch(&c, 2, bad, two), want);
  CHECK_EQ(icl_add_batch(&c, 1, bad + D, ones), want);
  CHECK_EQ(icl_count(&c), n + !want);
}

/* Unit f of the MLP has -4e38 where x is below 0. */
TEST(relu_hides_no_overflow)
{
  int i, f, n;
  make_signs();
  for (i = 0; i < n_isas; i++)
    for (f = 0; f < F; f++) {
      use_isa(i);
      tensor_of("mlp.c_fc.weight")[f] = tensor_of("mlp.c_fc.weight")[2 * F + f] = 2e38f;
      for (n = 0; n <= PAIRS; n++) { tensor_of("mlp.c_fc.bias")[f] = -2e38f; refuse_sign(n, -1, 1); }
      tensor_of("mlp.c_fc.weight")[2 * F + f] = tensor_of("mlp.c_fc.bias")[f] = 0;
      refuse_sign(PAIRS, -1, 0);
      tensor_of("mlp.c_fc.weight")[f] = 0;
    }
}

/* Queries are nonzero where x is below 0, keys where it is above: all scores overflow but a query's own. */
TEST(softmax_hides_no_overflow)
{
  int i, h, n;
  make_signs();
  for (i = 0; i < n_isas; i++)
    for (h = 0; h < C; h++) {                              /* dimension h % (C / H) of a head           */
      float *w = tensor_of("c_attn.weight"), *b = tensor_of("c_attn.bias");
      use_isa(i);
      w[h] = 0.7e20f; b[h] = -0.7e20f;                     /* q = 0.7e20 (sign - 1)                     */
      w[C + h] = 0.7e20f; b[C + h] = 0.7e20f;              /* k = 0.7e20 (sign + 1)                     */
      for (n = 1; n <= PAIRS; n++) refuse_sign(n, -1, 1);
      w[h] = 0; b[h] = 0;
      refuse_sign(PAIRS, -1, 0);
      w[C + h] = 0; b[C + h] = 0;
    }
}

/* ----- rounding modes, and subnormal numbers as zeros ------------------------------------------------ */

enum { N_USUAL = 200 };

static void usual_answers(float *answers, int *same_bits)
{
  int k, j;
  *same_bits = 1;
  for (k = 0; k < N_USUAL; k++) {
    icl_ctx c;
    float xs[PAIRS * D], ys[PAIRS], q[3 * D], three[3];
    for (j = 0; j < PAIRS * D; j++) xs[j] = sinf((float)(k + 3 * j)) * 1.5f;
    for (j = 0; j < PAIRS; j++) ys[j] = cosf((float)(k + 5 * j));
    for (j = 0; j < 3 * D; j++) q[j] = sinf((float)(2 * k + 7 * j)) * 1.5f;
    CHECK_EQ(icl_ctx_init(&c, &model, PAIRS, 8, ctx_mem, sizeof ctx_mem), ICL_OK);
    CHECK_EQ(icl_standardize(&c, PAIRS, xs, ys), ICL_OK);
    CHECK_EQ(icl_add_batch(&c, PAIRS, xs, ys), ICL_OK);
    CHECK_EQ(icl_predict_batch(&c, 3, q, three), ICL_OK);
    CHECK_EQ(icl_predict(&c, q + 2 * D, &answers[k]), ICL_OK);
    *same_bits &= !memcmp(&answers[k], &three[2], sizeof(float));
    CHECK(icl__finite(&answers[k], 1));
  }
}

TEST(rounding_modes)
{
#if !defined FE_UPWARD || !defined FE_DOWNWARD || !defined FE_TOWARDZERO
  SKIP("this machine has one rounding mode");
#else
  static const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
  static float nearest[N_USUAL], other[N_USUAL];
  int i, k, same = 0, set;
  for (set = 0; set < n_isas; set++) {
    double worst = 0;
    seed = 88172645463325252u;
    make_model(0, ICL_GELU_TANH);
    use_isa(set);
    usual_answers(nearest, &same);
    CHECK(same);
    for (i = 0; i < 3; i++) {
      CHECK_EQ(fesetround(modes[i]), 0);
      usual_answers(other, &same);
      CHECK_EQ(fegetround(), modes[i]);
      fesetround(FE_TONEAREST);
      CHECK(same);                                         /* batches and single queries still agree     */
      for (k = 0; k < N_USUAL; k++) {
        double off = fabs((double)other[k] - (double)nearest[k]);
        if (off > worst) worst = off;
        CHECK_NEAR(other[k], nearest[k], 1e-4);
      }
    }
    printf("numbers: other rounding modes move answers by %.2g (%s)\n", worst, icl_isa_name(&model));
  }
#endif
}

TEST(subnormal_numbers_as_zeros)
{
#if !ICL__X86
  SKIP("needs x86's MXCSR");
#else
  static float before[N_USUAL], after[N_USUAL];
  unsigned csr = _mm_getcsr(), with = csr | 0x8040u;       /* FTZ, DAZ                                   */
  icl_train_options o;
  icl_trainer *t = NULL;
  prompt p;
  int same = 0, i, set;
  make_model(0, ICL_GELU_TANH);
  for (set = 0; set < n_isas; set++) {
    use_isa(set);
    usual_answers(before, &same);
    CHECK(same);
    _mm_setcsr(with);
    usual_answers(after, &same);
    CHECK_EQ(_mm_getcsr() & ~0x3fu, with & ~0x3fu);
    _mm_setcsr(csr);
    CHECK(same && !memcmp(before, after, sizeof before));
  }
  _mm_setcsr(with);
  for (i = 0; i < 2000; i++) {                             /* a scale of zero is a division by zero      */
    icl_ctx c;
    float y = 0;
    icl_error err;
    draw_prompt(&p);
    use_isa(i % n_isas);
    CHECK_EQ(icl_ctx_init(&c, &model, PAIRS, 2, ctx_mem, sizeof ctx_mem), ICL_OK);
    err = icl_ctx_scale(&c, p.x_mean, p.x_std, p.y_mean, p.y_std);
    if (!err) err = icl_add_batch(&c, p.n, p.x[0], p.y);
    if (!err) err = icl_predict(&c, p.x[p.n], &y);
    CHECK(err || icl__finite(&y, 1));
  }
  memset(&o, 0, sizeof o);
  o.model.n_dims = 2; o.model.n_embd = 8; o.model.n_head = 2; o.model.n_layer = 1;
  o.task = "dense"; o.pairs = 4; o.batch = 8; o.steps = 4;
  CHECK_EQ(icl_trainer_new(&t, &o, NULL), ICL_OK);
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(_mm_getcsr() & ~0x3fu, with & ~0x3fu);
  _mm_setcsr(csr);
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(_mm_getcsr() & ~0x3fu, csr & ~0x3fu);
  icl_trainer_delete(t);
#endif
}

int main(int argc, char **argv)
{
  if (argc > 1) prompts = !strcmp(argv[1], "long") ? 10000000 : atol(argv[1]);
  find_isas();
  RUN(any_finite_numbers);
  RUN(relu_hides_no_overflow);
  RUN(softmax_hides_no_overflow);
  RUN(rounding_modes);
  RUN(subnormal_numbers_as_zeros);
  return test_report("numbers");
}
