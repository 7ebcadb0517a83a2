/* Checkpoints, and whole lives of the models that load.  Input: n | alignment and kernels | operations[n] |
 * the bytes of a checkpoint.  Two targets: `life`, and `header`, whose inputs have no operations and
 * which runs several times as fast. */
#include "fuzz.h"
#ifdef FUZZ_ALONE
#define ICL_IMPLEMENTATION
#include "icl.h"
#endif

enum { LOAD_ROWS = 7, LOAD_MAX_OPS = 120, LOAD_MAX_CTX = 1 << 20 };

/* A context, another of the same sizes, a smaller one (now and then of another kv), and room for LOAD_ROWS
 * rows of everything. */
typedef struct load_life {
  fuzz_input in;
  const icl_model *model;
  icl_ctx c, other, third;
  size_t d, Q;
  int n;                                     /* rows of this operation                                */
  float *xs, *ys, *out, *again, *lo, *hi, *quantiles;
} load_life;

static void load_run_backwards(void *user, int n, void (*task)(void *, int), void *arg)
{
  (void)user;
  while (n--) task(arg, n);
}

/* The context holds as many pairs as before and `added`; on an error as before, or none where the
 * function adds pairs anew. */
static void load_counts(const load_life *l, int before, int added, icl_error e, int anew)
{
  int now = icl_count(&l->c);
  MUST(e ? now == before || (anew && now == 0) : now == before + added);
}

/* ----- operations ---------------------------------------------------------------------------- */

static void load_add(load_life *l)
{
  int before = icl_count(&l->c);
  load_counts(l, before, 1, icl_add(&l->c, l->xs, l->ys[0]), 0);
}

static void load_add_batch(load_life *l)
{
  int before = icl_count(&l->c);
  load_counts(l, before, l->n, icl_add_batch(&l->c, l->n, l->xs, l->ys), 0);
}

/* Batched queries and single ones are the same bits. */
static void load_predict(load_life *l)
{
  int i;
  icl_error e = icl_predict_batch(&l->c, l->n, l->xs, l->out);
  for (i = 0; i < l->n && !e; i++) {
    MUST(icl_predict(&l->c, l->xs + (size_t)i * l->d, l->again) == ICL_OK);
    MUST(fuzz_finite(l->again, 1) && !memcmp(l->out + i, l->again, 4));
  }
}

static void load_ask(load_life *l)
{
  int before = icl_count(&l->c), pairs = l->n / 2, q = l->n - pairs;
  icl_error e = icl_ask(&l->c, pairs, l->xs, l->ys, q, l->xs + (size_t)pairs * l->d, l->out);
  load_counts(l, before, pairs, e, 0);
  MUST(e || fuzz_finite(l->out, (size_t)q));
}

static void load_rewind(load_life *l)
{
  int before = icl_count(&l->c), to = (int)(fuzz_byte(&l->in) % 9) - 1;
  icl_error e = icl_rewind(&l->c, to);
  MUST(e == (to < 0 || to > before ? ICL_ERR_ARG : ICL_OK));
  MUST(icl_count(&l->c) == (e ? before : to));
}

static void load_forget(load_life *l)
{
  int before = icl_count(&l->c), n = (int)(fuzz_byte(&l->in) % 9) - 1;
  load_counts(l, before, -n, icl_forget(&l->c, n), 1);
}

static void load_scale(load_life *l)
{
  unsigned k = fuzz_byte(&l->in);
  icl_ctx_scale(&l->c, k & 1 ? l->xs : NULL, k & 2 ? l->xs + ((size_t)l->n - 1) * l->d : NULL, l->ys[0],
                k & 4 ? 1.0f : l->ys[l->n - 1]);
}

static void load_standardize(load_life *l)
{
  int before = icl_count(&l->c), own = fuzz_byte(&l->in) & 1;
  icl_error e = icl_standardize(&l->c, own ? 0 : l->n, own ? NULL : l->xs, own ? NULL : l->ys);
  load_counts(l, before, 0, e, 1);
}

/* Quantiles rise, and an interval has its ends in order. */
static void load_quantiles(load_life *l)
{
  float level = 0.5f + fuzz_number(&l->in) / 8;
  size_t i, q;
  icl_error e = icl_predict_quantiles(&l->c, l->n, l->xs, l->quantiles);
  MUST(l->Q || e == ICL_ERR_CONFIG);
  for (i = 0; i < (size_t)l->n && !e; i++)
    for (q = 1; q < l->Q; q++) MUST(l->quantiles[i * l->Q + q - 1] <= l->quantiles[i * l->Q + q]);
  e = icl_predict_interval(&l->c, l->n, l->xs, level, l->out, l->lo, l->hi);
  for (i = 0; i < (size_t)l->n && !e; i++) MUST(l->lo[i] <= l->hi[i] && fuzz_finite(l->out + i, 1));
}

static void load_judge(load_life *l)
{
  float figure = 0;
  int before = icl_count(&l->c);
  icl_error e = icl_surprise(&l->c, &figure);
  MUST(e || fuzz_finite(&figure, 1));
  e = icl_check(&l->c, &figure);
  load_counts(l, before, 0, e, 1);
  MUST(e || (fuzz_finite(&figure, 1) && figure >= 0));
  MUST(fuzz_finite(icl_residuals(&l->c), (size_t)icl_count(&l->c)));
  MUST(fuzz_finite(icl_outputs(&l->c), (size_t)icl_count(&l->c)));
  MUST(fuzz_finite(icl_inputs(&l->c), (size_t)icl_count(&l->c) * l->d));
}

static void load_refine(load_life *l)
{
  int before = icl_count(&l->c);
  icl_error e = icl_refine(&l->other, &l->c);
  MUST(icl_count(&l->c) == before);
  if (!e) e = icl_predict_refined(&l->c, &l->other, l->n, l->xs, 0.5f, l->out, l->lo, l->hi);
  if (e) icl_predict_refined(&l->c, &l->other, l->n, l->xs, 0.5f, l->out, NULL, NULL);
}

/* What was saved comes back as it was, answers alike and is saved as the same bytes. */
static void load_snapshot(load_life *l)
{
  size_t size = icl_ctx_save_bytes(&l->c);
  unsigned char *s = (unsigned char *)fuzz_alloc(size), *t = (unsigned char *)fuzz_alloc(size);
  icl_error e;
  MUST(icl_ctx_save(&l->c, s, size - 1) == ICL_ERR_MEMORY && icl_ctx_save(&l->c, s, size) == ICL_OK);
  MUST(icl_ctx_restore(&l->other, s, size, NULL) == ICL_OK && icl_ctx_save_bytes(&l->other) == size);
  MUST(icl_ctx_save(&l->other, t, size) == ICL_OK && !memcmp(s, t, size));
  e = icl_predict(&l->c, l->xs, l->out);
  MUST(icl_predict(&l->other, l->xs, l->again) == e && (e || !memcmp(l->out, l->again, 4)));
  s[(fuzz_byte(&l->in) * 256u + fuzz_byte(&l->in)) % size] ^= (unsigned char)fuzz_byte(&l->in);
  icl_ctx_restore(&l->other, s, size, NULL);
  free(s);
  free(t);
}

static void load_threads(load_life *l)
{
  MUST(icl_ctx_threads(&l->c, 1 + (int)(fuzz_byte(&l->in) % 5), load_run_backwards, NULL) == ICL_OK);
}

static void load_misuse(load_life *l)
{
  int before = icl_count(&l->c);
  MUST(icl_add_batch(&l->c, -1, l->xs, l->ys) == ICL_ERR_ARG);
  MUST(icl_predict_batch(&l->c, -5, l->xs, l->out) == ICL_ERR_ARG);
  MUST(icl_ask(&l->c, 0x7fffffff, l->xs, l->ys, 1, l->xs, l->out) == ICL_ERR_FULL);
  MUST(icl_predict(&l->c, NULL, l->out) == ICL_ERR_ARG);
  MUST(icl_forget(&l->c, before + 1) == ICL_ERR_ARG && icl_count(&l->c) == before);
}

/* A copy answers as the original does. */
static void load_copy(load_life *l)
{
  icl_ctx *to = fuzz_byte(&l->in) & 1 ? &l->other : &l->third;
  int before = icl_count(to);
  icl_error e = icl_ctx_copy(to, &l->c);
  MUST(e == (to->kv != l->c.kv ? ICL_ERR_STATE : icl_count(&l->c) > to->max_pairs ? ICL_ERR_FULL : ICL_OK));
  MUST(icl_count(to) == (e ? before : icl_count(&l->c)));
  MUST(icl_ctx_copy(&l->c, &l->c) == ICL_OK);
  if (e) return;
  MUST(!memcmp(icl_residuals(to), icl_residuals(&l->c), 4 * (size_t)icl_count(to)));
  e = icl_predict(&l->c, l->xs, l->out);
  MUST(icl_predict(to, l->xs, l->again) == e && (e || !memcmp(l->out, l->again, 4)));
}

/* Contexts in any order, one there more than once: each answers as it does alone. */
static void load_many(load_life *l)
{
  icl_ctx *of[3], *each[LOAD_ROWS];
  unsigned how = fuzz_byte(&l->in);
  icl_error e;
  int i;
  of[0] = &l->c; of[1] = &l->other; of[2] = &l->third;
  for (i = 0; i < l->n; i++) each[i] = of[(how + how / 3 * (unsigned)i) % 3];
  e = icl_predict_many(of[how >> 6 & 1 ? 2 : 0], l->n, each, l->xs, l->out);
  for (i = 0; i < l->n; i++) {
    icl_error alone = icl_predict(each[i], l->xs + (size_t)i * l->d, l->again);
    MUST(e || (!alone && !memcmp(l->out + i, l->again, 4)));
    if (alone) MUST(e == alone);
  }
}

/* An image, and the mean of both with or without the image of refinement. */
static void load_mirror(load_life *l)
{
  unsigned how = fuzz_byte(&l->in);
  float level = 0.5f + fuzz_number(&l->in) / 8, *lo = how & 8 ? l->lo : NULL, *hi = how & 8 ? l->hi : NULL;
  icl_ctx *cs[2], *rs[2] = {NULL, NULL};
  int before = icl_count(&l->c), i;
  icl_error e = icl_mirror(&l->other, &l->c, (int)(how & 7));
  MUST(icl_count(&l->c) == before && (!(how & 4) || e == ICL_ERR_ARG));
  MUST(e || icl_count(&l->other) == before);
  cs[0] = &l->c; cs[1] = &l->other;
  if (how & 16 && !icl_refine(&l->third, &l->c)) rs[0] = &l->third;
  e = icl_predict_mean(how & 32 ? 1 : 2, cs, rs, l->n, l->xs, level, l->out, lo, hi);
  for (i = 0; i < l->n && !e && lo; i++) MUST(l->lo[i] <= l->hi[i] || !fuzz_finite(l->out + i, 1));
  if (e || lo || rs[0] || !(how & 32)) return;
  MUST(icl_predict_batch(&l->c, l->n, l->xs, l->again) == ICL_OK);
  for (i = 0; i < l->n; i++) MUST(fabsf(l->out[i] - l->again[i]) <= 1e-6f * fabsf(l->again[i]));
}

static void (*const load_ops[])(load_life *) = {
  load_add, load_add_batch, load_add_batch, load_predict, load_predict, load_ask, load_rewind, load_forget,
  load_scale, load_standardize, load_quantiles, load_judge, load_refine, load_snapshot, load_threads,
  load_misuse
};
static void (*const load_new_ops[])(load_life *) = {load_copy, load_many, load_mirror};

/* Operation `op`: the later ones at the end, so that older inputs stay what they were. */
static void load_operate(load_life *l, unsigned op)
{
  if (op >= 208) load_new_ops[op % 3](l);
  else load_ops[op % (sizeof load_ops / sizeof *load_ops)](l);
}

/* ----- a life -------------------------------------------------------------------------------- */

static float *load_floats(float **at, size_t n)
{
  float *p = *at;
  *at += n;
  return p;
}

/* The operations, with numbers from the input; all rows end where the block does. */
static void load_live(load_life *l)
{
  size_t n = LOAD_ROWS, floats = n * (l->d + 5 + l->Q), i;
  float *block = (float *)fuzz_alloc(floats * sizeof *block), *at = block;
  l->ys = load_floats(&at, n);
  l->out = load_floats(&at, n);
  l->again = load_floats(&at, n);
  l->lo = load_floats(&at, n);
  l->hi = load_floats(&at, n);
  l->quantiles = load_floats(&at, n * l->Q);
  while (l->in.n) {
    unsigned op = fuzz_byte(&l->in);
    l->n = 1 + (int)(fuzz_byte(&l->in) % LOAD_ROWS);
    l->xs = block + floats - (size_t)l->n * l->d;
    for (i = 0; i < (size_t)l->n * l->d; i++) l->xs[i] = i < 14 ? fuzz_number(&l->in) : 0.25f;
    for (i = 0; i < (size_t)l->n; i++) l->ys[i] = fuzz_number(&l->in);
    load_operate(l, op);
  }
  free(block);
}

/* Contexts of sizes that the input says, in memory of just the size that they ask for. */
static void load_contexts(const icl_model *m, fuzz_input in)
{
  load_life l;
  int pairs = 1 + (int)(fuzz_byte(&in) % 6), batch = 1 + (int)(fuzz_byte(&in) % 9);
  icl_ctx_options o;
  size_t need;
  void *mem[3];
  memset(&o, 0, sizeof o);
  o.max_pairs = pairs > icl_max_pairs(m) ? icl_max_pairs(m) : pairs;
  o.queries_at_once = batch;
  o.kv = (icl_storage)(fuzz_byte(&in) % 4);
  need = icl_ctx_bytes_with(m, &o, NULL);
  if (!need || need > LOAD_MAX_CTX) return;
  memset(&l, 0, sizeof l);
  l.in = in;
  l.model = m;
  l.d = (size_t)m->config.n_dims;
  l.Q = (size_t)m->config.n_quantiles;
  mem[0] = fuzz_alloc(need);
  mem[1] = fuzz_alloc(need);
  MUST(icl_ctx_init_with(&l.c, m, &o, mem[0], need - 1, NULL) == ICL_ERR_MEMORY);
  MUST(icl_ctx_init_with(&l.c, m, &o, mem[0], need, NULL) == ICL_OK);
  MUST(icl_ctx_init_with(&l.other, m, &o, mem[1], need, NULL) == ICL_OK);
  o.max_pairs = (o.max_pairs + 1) / 2;
  if (batch % 4 == 0) o.kv = (icl_storage)((o.kv + 1) % 4);
  need = icl_ctx_bytes_with(m, &o, NULL);
  mem[2] = fuzz_alloc(need);
  MUST(icl_ctx_init_with(&l.third, m, &o, mem[2], need, NULL) == ICL_OK);
  load_live(&l);
  free(mem[0]);
  free(mem[1]);
  free(mem[2]);
}

/* ----- the file ------------------------------------------------------------------------------- */

static void load_report_ok(const icl_report *r, icl_error e, size_t size)
{
  const char *t = r->text;
  MUST(r->code == e && memchr(t, 0, sizeof r->text));
  for (; *t; t++) MUST(*t >= 32 && *t < 127);
  MUST(!e || r->offset <= size);
  fuzz_say((uint64_t)e << 32 | (e ? r->offset : 0));
  fuzz_say_text(r->text);
}

/* What was written from a model's weights loads again as the same configuration. */
static void load_write(const icl_model *m)
{
  icl_metadata md;
  icl_model back;
  icl_report r;
  size_t bytes, need, n = icl_param_count(&m->config);
  float *params;
  unsigned char *file, *mem;
  MUST(n == m->n_params);
  memset(&md, 0, sizeof md);
  md.storage = icl_model_storage(m);
  md.task = m->task;
  md.sampling = m->sampling;
  md.recipe = m->recipe;
  params = (float *)fuzz_alloc(n * sizeof *params);
  MUST(icl_model_params(m, params) == ICL_OK && fuzz_finite(params, n));
  bytes = icl_write_bytes(&m->config, &md);
  file = (unsigned char *)fuzz_alloc(bytes);
  if (bytes && icl_write(file, bytes, &m->config, params, &md) == ICL_OK) {
    MUST(icl_inspect(file, bytes, NULL, &need, &r) == ICL_OK);
    mem = (unsigned char *)fuzz_alloc(need);
    MUST(icl_model_init(&back, file, bytes, mem, need, &r) == ICL_OK && back.verified);
    fuzz_say(icl__digest(bytes, file, bytes));
    MUST(!memcmp(&back.config, &m->config, sizeof back.config) && !strcmp(back.task, m->task));
    free(mem);
  }
  free(file);
  free(params);
}

/* The numbers of a model that are read, not computed. */
static void load_say(const icl_model *m)
{
  const icl_config *c = &m->config;
  uint32_t eps;
  int i;
  memcpy(&eps, &c->layer_norm_epsilon, 4);
  fuzz_say((uint64_t)c->n_dims << 40 | (uint64_t)c->n_embd << 20 | (uint64_t)c->n_head);
  fuzz_say((uint64_t)c->n_layer << 40 | (uint64_t)c->n_positions << 8 | (uint64_t)c->n_out);
  fuzz_say((uint64_t)eps << 8 | (uint64_t)c->position_embedding_type << 4 | (uint64_t)c->activation_function);
  fuzz_say(m->digest ^ (uint64_t)m->verified ^ (uint64_t)m->n_typical << 8);
  fuzz_say((uint64_t)c->n_quantiles << 8 | (uint64_t)c->tokens << 4 | (uint64_t)icl_model_storage(m));
  for (i = 0; i < c->n_quantiles; i++) {
    memcpy(&eps, &c->quantiles[i], 4);
    fuzz_say(eps);
  }
  for (i = 0; i < 2 * m->n_typical; i++) {
    memcpy(&eps, &m->typical[i], 4);
    fuzz_say(eps);
  }
  fuzz_say(icl__digest(strlen(m->task), m->task, strlen(m->task)));
  fuzz_say(icl__digest(strlen(m->sampling), m->sampling, strlen(m->sampling)));
}

/* A model of the file, and what it does; with no operations nothing but that it loads. */
static void load_make(const uint8_t *file, size_t size, unsigned how, size_t need, fuzz_input ops)
{
  icl_report r;
  icl_model m;
  void *mem = fuzz_alloc(need);
  icl_error e = icl_model_init(&m, file, size, mem, need, &r);
  load_report_ok(&r, e, size);
  if (!e) load_say(&m);
  if (!e && ops.n) {
    if (how & 16) icl_force_plain(&m);
    if (how & 32) load_write(&m);
    if (how & 64) MUST(icl_model_init(&m, file, size, mem, need - 1, NULL) == ICL_ERR_MEMORY);
    load_contexts(&m, ops);
  }
  free(mem);
}

int FUZZ_ENTRY(const uint8_t *data, size_t n)
{
  size_t ops, size, need = 0;
  fuzz_input in;
  icl_config cfg;
  icl_report r;
  icl_error e;
  uint8_t *file;
  void *block;
  if (n < 2) return 0;
  ops = data[0] > n - 2 ? n - 2 : data[0];
  in.p = data + 2;
  in.n = ops < LOAD_MAX_OPS ? ops : LOAD_MAX_OPS;
  size = n - 2 - ops;
  file = fuzz_copy(data + 2 + ops, size, data[1] & 15, &block);
  e = icl_inspect(file, size, &cfg, &need, &r);
  load_report_ok(&r, e, size);
  if (data[1] & 128) MUST(icl_inspect(file, size, NULL, NULL, NULL) == e);
  if (!e) {
    MUST(icl_config_check(&cfg, NULL) == ICL_OK && need <= 4 * size + 65536);
    fuzz_say(need);
    load_make(file, size, data[1], need, in);
  }
  free(block);
  return 0;
}

/* ----- words of headers, for the mutator below and for AFL++'s dictionary ------------------------ */
static const char *const load_words[] = {
  "F32", "F16", "BF16", "I8", "F64", "I64", "U8", "BOOL", "dtype", "shape", "data_offsets", "__metadata__",
  "n_head", "activation_function", "gelu", "relu", "gelu_new", "gelu_fast", "absolute", "sinusoidal", "none",
  "alternating", "position_embedding_type", "n_positions", "layer_norm_epsilon", "icl.digest", "icl.task",
  "icl.typical", "icl.tokens", "joint", "icl.quantiles", "0.05,0.5,0.95", "icl.sampling", "icl.recipe",
  "-1 2 0 1000000", "0123456789abcdef", "module.", "_orig_mod.", "_backbone.h.0.attn.bias",
  "_backbone.h.0.attn.masked_bias", "_backbone.wte.weight", "_backbone.h.511.", "_backbone.h.512.", "1e-5",
  "1e-45", "123456789012345678901", "\\u0041", "\\u00", "\\", "\xc3\xa9", "\xf0\x9f\x98\x80", "\xed\xa0\x80",
  ".scale", "{}", "[]", "[1,2,3,4]", "[1,2,3,4,5]", "null", "\t", " ", ","
};
enum { LOAD_WORDS = sizeof load_words / sizeof *load_words };

/* Word i, or NULL. */
static inline const char *load_word_at(size_t i) { return i < LOAD_WORDS ? load_words[i] : NULL; }

/* ----- a mutator that knows headers -------------------------------------------------------------- */
#ifdef FUZZ_MUTATOR                          /* libFuzzer's */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static uint64_t load_random;

static size_t load_below(size_t n)
{
  load_random = load_random * 6364136223846793005u + 1442695040888963407u;
  return n ? (size_t)(load_random >> 33) % n : 0;
}

/* Text t[n] with room for cap. */
typedef struct load_text { uint8_t *t; size_t n, cap; } load_text;

/* Puts s[m] in the place of t[from .. to). */
static void load_splice(load_text *x, size_t from, size_t to, const void *s, size_t m)
{
  if (x->n - (to - from) + m > x->cap) return;
  memmove(x->t + from + m, x->t + to, x->n - to);
  memcpy(x->t + from, s, m);
  x->n = x->n - (to - from) + m;
}

static int load_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static void load_other_number(load_text *x)
{
  static const char *const numbers[] = {
    "0", "1", "2", "3", "4", "6", "8", "9", "12", "16", "24", "36", "48", "255", "511", "512", "513", "65535",
    "65536", "65537", "1048576", "2147483647", "2147483648", "4294967295", "4294967296", "4611686018427387904",
    "9007199254740992", "9007199254740993", "18446744073709551615", "18446744073709551616", "-1", "1e3", "01",
    "1.0", "00", "0.5", "1e-45", "4e38"
  };
  const char *s = numbers[load_below(sizeof numbers / sizeof *numbers)];
  size_t i = load_below(x->n), e;
  while (i < x->n && !load_is_digit(x->t[i])) i++;
  for (e = i; e < x->n && load_is_digit(x->t[e]);) e++;
  if (e > i) load_splice(x, i, e, s, strlen(s));
}

static const char *load_word(void) { return load_word_at(load_below(LOAD_WORDS)); }

static void load_other_string(load_text *x)
{
  const char *s = load_word();
  size_t i = load_below(x->n), e;
  while (i < x->n && x->t[i] != '"') i++;
  for (e = i + 1; e < x->n && x->t[e] != '"';) e++;
  if (e < x->n) load_splice(x, i + 1, e, s, strlen(s));
}

static void load_insert(load_text *x)
{
  const char *s = load_word();
  size_t at = load_below(x->n);
  load_splice(x, at, at, s, strlen(s));
}

/* The member "NAME":{..} that ends behind a byte at random: from its comma to its brace. */
static int load_member(const load_text *x, size_t *from, size_t *to)
{
  size_t i = load_below(x->n);
  while (i + 1 < x->n && !(x->t[i] == '}' && x->t[i + 1] == ',')) i++;
  *from = ++i;
  while (i + 1 < x->n && !(x->t[i] == '}' && (x->t[i + 1] == ',' || x->t[i + 1] == '}'))) i++;
  *to = i + 1;
  return i + 1 < x->n;
}

static void load_delete_member(load_text *x)
{
  size_t from, to;
  if (load_member(x, &from, &to)) load_splice(x, from, to, "", 0);
}

/* Copies a member somewhere else, or moves it. */
static void load_repeat_member(load_text *x)
{
  size_t from, to, at, e, n;
  uint8_t copy[512];
  if (!load_member(x, &from, &to) || (n = to - from) > sizeof copy) return;
  memcpy(copy, x->t + from, n);
  if (load_below(2)) load_splice(x, from, to, "", 0);
  if (load_member(x, &at, &e)) load_splice(x, at, at, copy, n);
}

static void load_any(load_text *x) { x->n = LLVMFuzzerMutate(x->t, x->n, x->cap); }

static void load_mutate_header(load_text *x)
{
  static void (*const ways[])(load_text *) = {
    load_other_number, load_other_number, load_other_string, load_other_string, load_insert,
    load_delete_member, load_repeat_member, load_any
  };
  size_t times = 1 + load_below(3);
  while (times-- && x->n > 4) ways[load_below(sizeof ways / sizeof *ways)](x);
}

/* Some words of data[n] become numbers at an edge. */
static void load_mutate_data(uint8_t *data, size_t n)
{
  static const uint32_t edges[] = {
    0, 0x80000000u, 1, 0x7f7fffffu, 0x7f800000u, 0xffc00001u, 0x7e000000u, 0x3f800000u, 0x7c007bffu,
    0x00010001u, 0x7f7f7f7fu, 0x80808080u, 0x7b800000u, 0x7b800001u
  };
  size_t times = 1 + load_below(4), at;
  if (n < 4) return;
  while (times--) memcpy(data + load_below(n / 4) * 4, &edges[load_below(14)], 4);
  if (load_below(8)) return;
  for (at = 0; at + 4 <= n; at += 4) memcpy(data + at, &edges[load_below(14)], 4);
}

static void load_put_length(uint8_t *p, uint64_t v)
{
  int i;
  for (i = 0; i < 8; i++) p[i] = (uint8_t)(v >> 8 * i);
}

/* Another input for data[n], which has room for max bytes.  header: it stays without operations. */
static size_t load_mutate(uint8_t *data, size_t n, size_t max, unsigned int seed, int header_only)
{
  static uint8_t text[1 << 16];
  size_t ops, header = 0, left, what;
  load_text x = {text, 0, 0};
  uint8_t *file;
  int i;
  load_random = seed * 0x9e3779b97f4a7c15u + 1;
  what = load_below(16);
  ops = n < 2 || data[0] > n - 2 ? n : data[0];
  if (!what || n < ops + 12 || n > sizeof text / 2) return LLVMFuzzerMutate(data, n, max);
  file = data + 2 + ops;
  left = n - 2 - ops - 8;
  for (i = 7; i >= 0; i--) header = header << 8 | file[i];
  if (header > left) header = left;
  if (header_only && what < 5) what = 8;
  if (what < 5) {                                        /* operations */
    memcpy(x.t, data + 2, x.n = ops);
    x.cap = 255;
    load_any(&x);
    if (n - ops + x.n > max) return n;
    memmove(data + 2 + x.n, file, n - 2 - ops);
    memcpy(data + 2, x.t, x.n);
    data[0] = (uint8_t)x.n;
    return n - ops + x.n;
  }
  if (what < 7) { load_mutate_data(file + 8 + header, left - header); return n; }
  memcpy(x.t, file + 8, x.n = header);
  x.cap = header + (max - n < 600 ? max - n : 600);
  load_mutate_header(&x);
  memmove(file + 8 + x.n, file + 8 + header, left - header);
  memcpy(file + 8, x.t, x.n);
  if (load_below(12)) load_put_length(file, x.n);
  return n - header + x.n;
}
#endif
