/* Snapshots of contexts.  Input: how keys are kept and what is put right | the bytes of a snapshot. */
#include "fuzz.h"
#ifdef FUZZ_ALONE
#define ICL_IMPLEMENTATION
#include "icl.h"
#endif

enum { RESTORE_PAIRS = 3 };

/* A model of two inputs, and a context for each way to keep keys, with a pair in it. */
static struct {
  icl_model model;
  icl_ctx c[4];
} restore;

static void restore_begin(void)
{
  icl_config cfg;
  icl_ctx_options o;
  float *params;
  size_t n, i;
  int kv;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = cfg.n_embd = 2;
  cfg.n_head = cfg.n_layer = cfg.n_out = 1;
  cfg.n_positions = 7;
  cfg.layer_norm_epsilon = 1e-5f;
  n = icl_param_count(&cfg);
  params = (float *)fuzz_alloc(n * sizeof *params);
  for (i = 0; i < n; i++) params[i] = (float)((i * 37 + 11) % 19) / 19 - 0.45f;
  MUST(!icl_model_bind(&restore.model, &cfg, params, fuzz_alloc(icl_bind_bytes(&cfg)),
                       icl_bind_bytes(&cfg)));
  memset(&o, 0, sizeof o);
  o.max_pairs = RESTORE_PAIRS;
  for (kv = 0; kv < 4; kv++) {
    size_t need;
    o.kv = (icl_storage)kv;
    need = icl_ctx_bytes_with(&restore.model, &o, NULL);
    MUST(!icl_ctx_init_with(&restore.c[kv], &restore.model, &o, fuzz_alloc(need), need, NULL));
  }
}

static size_t restore_save(const icl_ctx *c, uint8_t **s)
{
  size_t n = icl_ctx_save_bytes(c);
  *s = (uint8_t *)fuzz_alloc(n);
  MUST(icl_ctx_save(c, *s, n) == ICL_OK);
  return n;
}

/* What was restored is saved as the same bytes but for the digest at the end, and answers or says NONFINITE. */
static void restore_ok(icl_ctx *c, const uint8_t *from, size_t n)
{
  static const float x[2] = {0.5f, -1};
  uint8_t *s;
  float y;
  icl_error e;
  MUST(restore_save(c, &s) == n && !memcmp(s, from, n - 8));
  free(s);
  e = icl_predict(c, x, &y);
  MUST(e == ICL_ERR_NONFINITE || (e == ICL_OK && fuzz_finite(&y, 1)));
  e = icl_add(c, x, 1);
  MUST(e == ICL_ERR_NONFINITE || e == ICL_OK || (e == ICL_ERR_FULL && icl_count(c) == RESTORE_PAIRS));
  if (icl_count(c)) {
    e = icl_forget(c, 1);
    MUST(e == ICL_OK || (e == ICL_ERR_NONFINITE && icl_count(c) == 0));
  }
}

int FUZZ_ENTRY(const uint8_t *data, size_t n)
{
  static const float x[2] = {1, 0.25f};
  icl_ctx *c;
  uint8_t *before, *after, *s;
  void *block;
  size_t size;
  icl_report r;
  icl_error e;
  if (!restore.model.config.n_dims) restore_begin();
  if (n < 1) return 0;
  c = &restore.c[data[0] & 3];
  icl_rewind(c, 0);
  MUST(!icl_ctx_scale(c, NULL, NULL, 0, 1) && !icl_add(c, x, 0.5f));
  size = restore_save(c, &before);
  s = fuzz_copy(data + 1, n - 1, data[0] >> 2 & 7, &block);
  if (data[0] & 128 && n > 24) memcpy(s, before, 8);     /* the magic */
  if (data[0] & 64 && n > 25) memcpy(s + 12, before + 12, 4);
  e = icl_ctx_restore(c, s, n - 1, &r);
  MUST(e == r.code && memchr(r.text, 0, sizeof r.text) && (!e || r.offset <= n));
  fuzz_say((uint64_t)e << 8 | (uint64_t)icl_count(c));
  fuzz_say_text(r.text);
  if (!e) restore_ok(c, s, n - 1);
  else if (e == ICL_ERR_NONFINITE && !r.offset) MUST(icl_count(c) == 0);
  else {
    MUST(restore_save(c, &after) == size && !memcmp(before, after, size));
    free(after);
  }
  free(before);
  free(block);
  return 0;
}
