/* The same bits everywhere: digests of prompts, of predictions and of trained weights, compared with
 * constants.  Prompts are the same on every processor; predictions and weights on every processor with
 * fused multiply-add, under all its kernels.  Plain C and SIMD128 round a b + c twice: their predictions
 * are near those, within a tolerance.
 *
 * New constants after a change that is meant:  build/test_bits print */
#define _DEFAULT_SOURCE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

/* Kernels that fuse; training on 32-bit ARM rounds subnormal numbers in other places. */
static int fuses(const char *isa) { return strcmp(isa, "c") && strcmp(isa, "wasm128"); }

/* FNV-1a over the bits, which do not depend on the order of bytes. */
static uint64_t digest(uint64_t h, const float *x, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++) {
    uint32_t u;
    memcpy(&u, &x[i], 4);
    h = (h ^ u) * 1099511628211u;
  }
  return h;
}

static int printing;

static void expect(const char *what, uint64_t h, uint64_t is)
{
  if (printing) printf("%s 0x%08x%08xu\n", what, (unsigned)(h >> 32), (unsigned)h);
  else if (h != is && test_fail(__FILE__, __LINE__, what))
    printf(": 0x%08x%08xu\n", (unsigned)(h >> 32), (unsigned)h);
}

/* ----- the own functions ------------------------------------------------------------------------ */

static double worst_of(double worst, double a, double is, double size)
{
  double e = fabs(a - is) / size;
  return e > worst ? e : worst;
}

TEST(functions_against_the_library)
{
  double e[7] = {0, 0, 0, 0, 0, 0, 0}, x;
  float s, c, f;
  for (x = -700; x < 700; x += 0.173) e[0] = worst_of(e[0], icl__exp_of(x), exp(x), exp(x));
  for (x = 1e-10; x < 1e10; x *= 1.0037) e[1] = worst_of(e[1], icl__log_of(x), log(x), 1 + fabs(log(x)));
  for (x = -1000; x < 1000; x += 0.0173) {
    e[2] = worst_of(e[2], icl__sin_of(x), sin(x), 1);
    e[2] = worst_of(e[2], icl__cos_of(x), cos(x), 1);
  }
  for (x = -6; x < 6; x += 0.00173) e[3] = worst_of(e[3], icl__erfc_of(x), erfc(x), 1);
  for (x = 3; x < 20; x += 0.0173) e[4] = worst_of(e[4], icl__erfc_of(x), erfc(x), erfc(x));
  CHECK(e[0] < 1e-13 && e[1] < 2e-15 && e[2] < 1e-15 && e[3] < 4e-15 && e[4] < 1e-12);
  if (printing) printf("errors %.2g %.2g %.2g %.2g %.2g\n", e[0], e[1], e[2], e[3], e[4]);
  for (f = 1e-4f; f < 1e10f; f *= 1.0037f)
    e[5] = worst_of(e[5], (double)icl__log(f), log((double)f), 1 + fabs(log((double)f)));
  for (f = 0; f < 4000; f += 0.0173f) {
    icl__sin_cos(&s, &c, f);
    e[6] = worst_of(e[6], (double)s, sin((double)f), 1);
    e[6] = worst_of(e[6], (double)c, cos((double)f), 1);
  }
  CHECK(e[5] < 2.4e-7 && e[6] < 2.4e-7);
  if (printing) printf("errors %.2g %.2g\n", e[5], e[6]);
  CHECK(icl__power(0.9, 5) == 0.9 * ((0.9 * 0.9) * (0.9 * 0.9)) || fabs(icl__power(0.9, 5) - 0.59049) < 1e-15);
  CHECK(fabs(icl__pow_of(2.5, 1.5) - pow(2.5, 1.5)) < 1e-14 && icl__pow_of(0, 2) == 0);
  CHECK(fabs(icl__tanh_of(-0.7) - tanh(-0.7)) < 1e-15);
}

/* ----- prompts ---------------------------------------------------------------------------------- */

enum { D = 5, PAIRS = 23 };

/* Twenty prompts of a task; each class with its own defaults. */
static uint64_t prompts_of(const char *text)
{
  static float xs[PAIRS * D], ys[PAIRS];
  uint64_t h = 14695981039346656037u;
  icl_task task;
  icl_report r;
  float *f;
  int i;
  CHECK_EQ(icl_task_parse(&task, text, D, NULL, 0, &r), ICL_OK);
  f = (float *)malloc((icl_prompt_scratch(&task) + 1) * sizeof *f);
  for (i = 0; i < 20; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 7, 3, (uint64_t)i);
    CHECK_EQ(icl_prompt_sample(&task, NULL, &rng, PAIRS, xs, ys, NULL, f), ICL_OK);
    h = digest(digest(h, xs, PAIRS * D), ys, PAIRS);
  }
  free(f);
  return h;
}

TEST(prompts_of_every_class)
{
  static const uint64_t is[] = {
    0xde654518e9b5200au, 0x441ff83ced7f2e68u, 0x5a3798c01210ea10u, 0x4f19039111176e75u,
    0x4bcfeaef1e059479u, 0xd2c8e9b3fa73f95eu, 0x3df52326a9a798a2u, 0x90e86d4ac46f3b91u,
    0x256d07a9a7adb7a8u, 0x8b96a3b156b9925fu, 0xbd57adbbc1b180c3u, 0x5eb426ef41fb47aeu,
    0x809d2771e1b7a4eau, 0xcf826967ff9e89a8u, 0x2a7fe5c74db19e6du, 0xdcc2aac086cbc58au,
    0x8d905816861a9fbcu, 0xe282a0e2347df8b1u, 0x069e9bbb18d84edeu, 0x0330765150433719u,
    0xfd2077fbcd493439u, 0xf056417d71af2c7bu, 0xc4d59427775ddefau, 0x27622267c6d648b7u,
    0x533f913ef3416bcau, 0x26590768a3615cadu
  };
  int i;
  for (i = 0; icl_class_at(i); i++) {
    const char *name = icl_class_at(i)->name;
    const char *text = !strcmp(name, "convex") ? "convex(dense, relu)"
                     : !strcmp(name, "garg") ? "garg(sparse)" : name;
    expect(name, prompts_of(text), i < (int)(sizeof is / sizeof *is) ? is[i] : 0);
  }
  CHECK_EQ(i, sizeof is / sizeof *is);
}

/* ----- predictions ------------------------------------------------------------------------------ */

static uint32_t seed;

/* Uniform in [-1, 1). */
static float uniform(void)
{
  seed = seed * 1664525u + 1013904223u;
  return (float)(int32_t)(seed & 0xffffff00u) / 2147483648.0f;
}

static const char *const names[] = {"avx512", "avx2", "neon", "mve", "wasm128", "c"};
enum { ALL = 6, ANSWERS = 12 * 40 };

/* Answers of a model of a width that is no multiple of 16, for each form of it. */
static int answers_of(const char *isa, float *out)
{
  int form, i;
  for (form = 0; form < 12; form++) {
    icl_config cfg = {D, 36, 3, 2, 99, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}};
    size_t n, k;
    float *params, x[40 * D], y[40], q[20 * D];
    void *table;
    icl_model m;
    icl_ctx *c;
    cfg.position_embedding_type = (icl_position)(form % 4);
    cfg.activation_function = (icl_activation)(form / 4);
    n = icl_param_count(&cfg);
    params = (float *)malloc(n * sizeof *params);
    table = malloc(icl_bind_bytes(&cfg));
    seed = (uint32_t)form;
    for (k = 0; k < n; k++) params[k] = 0.3f * uniform();
    for (i = 0; i < 40 * D; i++) x[i] = 2 * uniform();
    for (i = 0; i < 20 * D; i++) q[i] = 2 * uniform();
    for (i = 0; i < 40; i++) y[i] = uniform();
    CHECK_EQ(icl_model_bind(&m, &cfg, params, table, icl_bind_bytes(&cfg)), ICL_OK);
    if (icl_model_isa(&m, isa)) { free(params); free(table); return 0; }
    CHECK_STR(icl_isa_name(&m), isa);
    CHECK_EQ(icl_ctx_new(&c, &m, 40, 20), ICL_OK);
    for (i = 0; i < 20; i++) {
      CHECK_EQ(icl_add(c, x + i * D, y[i]), ICL_OK);
      CHECK_EQ(icl_predict(c, q + i * D, &out[i]), ICL_OK);
    }
    CHECK_EQ(icl_add_batch(c, 20, x + 20 * D, y + 20), ICL_OK);
    CHECK_EQ(icl_predict_batch(c, 20, q, out + 20), ICL_OK);
    out += 40;
    icl_ctx_delete(c);
    free(params);
    free(table);
  }
  return 1;
}

TEST(predictions)
{
  static float out[ANSWERS], best[ANSWERS];
  int i, k, seen = 0;
  for (i = 0; i < ALL; i++) {
    if (!answers_of(names[i], out)) continue;
    if (fuses(names[i]))
      expect(names[i], digest(14695981039346656037u, out, ANSWERS), 0xd7a9886d4a1926a0u);
    if (!seen++) memcpy(best, out, sizeof best);
    for (k = 0; k < ANSWERS; k++) CHECK_NEAR(out[k], best[k], 2e-5);
  }
  CHECK(seen > 0);
}

/* ----- training --------------------------------------------------------------------------------- */

/* Weights after ten steps; 0: there are no such kernels here. */
static uint64_t trained(const char *isa, icl_optimizer optimizer, icl_activation kind, float *loss)
{
  icl_train_options o;
  icl_train_info info;
  icl_trainer *t;
  uint64_t h = 14695981039346656037u;
  int i;
  memset(&o, 0, sizeof o);
  o.model.n_dims = D; o.model.n_embd = 36; o.model.n_head = 3; o.model.n_layer = 2;
  o.model.activation_function = kind;
  o.task = "dense + relu(hidden=10) + gp"; o.pairs = 11; o.batch = 12; o.steps = 10;
  o.optimizer = optimizer; o.lr = 1e-2f; o.weight_decay = 0.1f; o.clip = 1; o.schedule = ICL_LR_COSINE;
  o.init_sd = 0.2f;
  o.hint = optimizer == ICL_MUON ? 0.3f : 0;
  CHECK_EQ(icl_trainer_new(&t, &o, NULL), ICL_OK);
  if (icl_model_isa((icl_model *)(uintptr_t)icl_trainer_model(t), isa)) { icl_trainer_delete(t); return 0; }
  for (i = 0; i < 10; i++) CHECK_EQ(icl_train_step(t, &info), ICL_OK);
  *loss = info.loss;
  h = digest(h, icl_trainer_params(t), icl_param_count(&icl_trainer_model(t)->config));
  icl_trainer_delete(t);
  return h;
}

TEST(ten_steps)
{
  static const uint64_t is[6] = {
    0x88453199f46ac628u, 0x445d6a1de0658e6eu, 0x6160100d7936b4abu,
    0x7843ef2b1d2d5f21u, 0xc8d7fd5bfdeb85c3u, 0xd07582fcb87b6006u
  };
  int i, k, seen = 0;
  float best[6] = {0, 0, 0, 0, 0, 0};
  for (i = 0; i < ALL; i++)
    for (k = 0; k < 6; k++) {
      float loss = 0;
      uint64_t h = trained(names[i], k < 3 ? ICL_ADAM : ICL_MUON, (icl_activation)(k % 3), &loss);
      if (!h) continue;
      if (fuses(names[i]) && sizeof(void *) == 8) expect(names[i], h, is[k]);
      if (++seen <= 6) best[k] = loss;
      CHECK_NEAR(loss, best[k], 1e-3 * (double)best[k]);
    }
  CHECK(seen >= 6);
}

int main(int argc, char **argv)
{
  printing = argc > 1 && !strcmp(argv[1], "print");
  RUN(functions_against_the_library); RUN(prompts_of_every_class); RUN(predictions); RUN(ten_steps);
  return test_report("bits");
}
