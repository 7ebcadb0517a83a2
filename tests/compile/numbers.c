/* What must hold under every compiler flag that icl.h does not refuse: exp, a prediction, and NaN,
 * infinity and overflow, which never come out with ICL_OK.
 *
 *     numbers curves.safetensors */
#define ICL_IMPLEMENTATION
#include "../../icl.h"
#include <stdio.h>

static int bad;

static void check(int holds, const char *what, const char *isa)
{
  if (holds) return;
  printf("%s, kernels %s\n", what, isa);
  bad++;
}

static float from_bits(uint32_t u)
{
  float x;
  memcpy(&x, &u, 4);
  return x;
}

/* Within 2^-17: reordered, the two parts of ln 2 become one. */
static void check_exp(void)
{
  double worst = 0;
  int i;
  for (i = -8000; i < 8700; i++) {
    volatile float x = 0.01f * (float)i;
    double e = exp((double)x), off = fabs((double)icl__exp(x) / e - 1);
    if (off > worst) worst = off;
  }
  check(worst < 7.6e-6, "exp", "c");
}

/* The bundled model: f(0.6) of nine unscaled pairs of 0.5 - x^2. */
static void check_prediction(icl_model *m)
{
  static const uint32_t none[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u, 0xffc12345u};
  static const float large[] = {1e19f, 1e30f, -1e30f, 3.4e38f};
  icl_ctx *c = NULL;
  float x, y = 0;
  size_t i;
  if (icl_ctx_new(&c, m, 16, 1)) { bad++; return; }
  for (x = -1; x <= 1; x += 0.25f) check(!icl_add(c, &x, 0.5f - x * x), "a pair", icl_isa_name(m));
  x = 0.6f;
  check(!icl_predict(c, &x, &y), "a query", icl_isa_name(m));
  check(y > 0.12433f - 4e-5f && y < 0.12433f + 4e-5f, "its answer", icl_isa_name(m));
  for (i = 0; i < sizeof none / sizeof *none; i++) {
    float v = from_bits(none[i]);
    check(icl_predict(c, &v, &y) == ICL_ERR_NONFINITE, "NaN or infinity as x", icl_isa_name(m));
    check(icl_add(c, &v, 0) == ICL_ERR_NONFINITE, "NaN or infinity as x", icl_isa_name(m));
    check(icl_add(c, &x, v) == ICL_ERR_NONFINITE, "NaN or infinity as y", icl_isa_name(m));
  }
  for (i = 0; i < sizeof large / sizeof *large; i++) {
    check(icl_add(c, &large[i], 1) == ICL_ERR_NONFINITE, "large x", icl_isa_name(m));
    check(icl_add(c, &x, large[i]) == ICL_ERR_NONFINITE, "large y", icl_isa_name(m));
    check(icl_predict(c, &large[i], &y) == ICL_ERR_NONFINITE, "large query", icl_isa_name(m));
  }
  check(icl_count(c) == 9, "pairs after that", icl_isa_name(m));
  icl_ctx_delete(c);
}

/* One layer of two channels, which LayerNorm makes the sign of x; all other weights are 0. */
static float params[200];
static const icl_config cfg = {1, 2, 1, 1, 99, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f};

static float *tensor(const char *name)
{
  icl_tensor t;
  size_t at = 0;
  int i;
  for (i = 0; i < icl_tensor_count(&cfg); i++) {
    icl_tensor_at(&cfg, i, &t);
    if (strstr(t.name, name)) break;
    at += (size_t)t.rows * (size_t)t.cols;
  }
  return params + at;
}

static icl_ctx *tiny(icl_model *m, void *table, size_t size, int plain, icl_storage kv)
{
  static const char *const ones[] = {"ln_1.weight", "ln_2.weight", "ln_f.weight", "_read_out.weight"};
  icl_ctx *c = NULL;
  icl_ctx_options o;
  size_t i;
  memset(&o, 0, sizeof o);
  memset(params, 0, sizeof params);
  if (icl_model_bind(m, &cfg, params, table, size)) bad++;
  if (plain) icl_force_plain(m);
  for (i = 0; i < 4; i++) tensor(ones[i])[0] = 1;
  for (i = 0; i < 3; i++) tensor(ones[i])[1] = 1;
  tensor("_read_in.weight")[0] = 1;
  tensor("_read_in.weight")[1] = -1;
  o.max_pairs = 40;
  o.kv = kv;
  if (icl_ctx_new_with(&c, m, &o, NULL)) bad++;
  return c;
}

static void check_overflow(int plain)
{
  icl_model m;
  void *table[64];
  float x = 1, y;
  int i;
  icl_ctx *c = tiny(&m, table, sizeof table, plain, ICL_STORE_F32);
  check(!icl_add(c, &x, 1), "a pair of the tiny model", icl_isa_name(&m));
  tensor("ln_2.weight")[0] = tensor("ln_2.weight")[1] = 1e20f;
  tensor("c_fc.weight")[0] = tensor("c_fc.weight")[8] = -1e25f;
  tensor("c_fc.bias")[0] = 5;
  tensor("mlp.c_proj.weight")[0] = -1;
  check(icl_predict(c, &x, &y) == ICL_ERR_NONFINITE, "overflow before relu", icl_isa_name(&m));
  icl_ctx_delete(c);

  c = tiny(&m, table, sizeof table, plain, ICL_STORE_F32);
  tensor("c_attn.weight")[0] = tensor("c_attn.weight")[2] = tensor("c_attn.bias")[2] = 0.5e20f;
  tensor("c_attn.bias")[0] = -0.5e20f;
  for (i = 0; i < 10; i++) check(!icl_add(c, &x, 1), "a pair", icl_isa_name(&m));
  x = -1;
  check(icl_predict(c, &x, &y) == ICL_ERR_NONFINITE, "overflow in a score", icl_isa_name(&m));
  icl_ctx_delete(c);

  c = tiny(&m, table, sizeof table, plain, ICL_STORE_I8);
  tensor("ln_1.weight")[0] = 1e20f;
  tensor("c_attn.weight")[4] = 1e25f;                      /* a value */
  check(icl_add(c, &x, 1) == ICL_ERR_NONFINITE, "overflow in an I8 value", icl_isa_name(&m));
  icl_ctx_delete(c);
}

int main(int argc, char **argv)
{
  icl_model *m = NULL;
  icl_report r;
  int major = 0, minor = 0, patch = 0;
  if (argc != 2 || icl_load(&m, argv[1], &r)) { puts(argc == 2 ? r.text : "which model?"); return 1; }
  check_exp();
  check_prediction(m);
  check_overflow(0);
  icl_force_plain(m);
  check_prediction(m);
  check_overflow(1);
  sscanf(ICL_VERSION, "%d.%d.%d", &major, &minor, &patch);
  check(ICL_VERSION_NUMBER == 10000 * major + 100 * minor + patch, "ICL_VERSION_NUMBER", "any");
  icl_unload(m);
  return bad != 0;
}
