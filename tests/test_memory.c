/* Memory: each allocation fails, once and for ever; buffers of the exact size between pages that nobody may
 * touch, and one byte less; memory full of NaN before it is used; the stack that calls take. */
#define _DEFAULT_SOURCE
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef MAP_ANONYMOUS
#define ANONYMOUS MAP_ANONYMOUS
#else
#define ANONYMOUS MAP_ANON
#endif

/* Every block stands between two pages that nobody may touch, filled with a byte: at their end, or with a
 * gap to the alignment that malloc promises.  Allocation number `failing` fails, and all after it where
 * for_ever is set. */
static long blocks, allocations, failing = -1;
static int for_ever, filling = 0xff;

typedef struct block { unsigned char *base; size_t whole, size; unsigned char *p; } block;
enum { MAX_BLOCKS = 256 };
static block table[MAX_BLOCKS];

/* A block of `size` bytes that ends (front 0) or begins (front 1) at a page that nobody may touch. */
static void *guarded(size_t size, int front, size_t align)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (size + align + page - 1) / page * page;
  void *at = mmap(NULL, room + 2 * page, PROT_NONE, MAP_PRIVATE | ANONYMOUS, -1, 0);
  unsigned char *base = (unsigned char *)at;
  int i;
  for (i = 0; i < MAX_BLOCKS && table[i].base; i++) continue;
  if (at == MAP_FAILED || i == MAX_BLOCKS || mprotect(base + page, room, PROT_READ | PROT_WRITE)) exit(3);
  memset(base + page, filling, room);
  table[i].base = base;
  table[i].whole = room + 2 * page;
  table[i].size = size;
  table[i].p = base + page + (front ? 0 : (room - size) / align * align);
  blocks++;
  return table[i].p;
}

static void release(void *p)
{
  int i;
  for (i = 0; i < MAX_BLOCKS; i++)
    if (p && table[i].base && table[i].p == p) {
      munmap(table[i].base, table[i].whole);
      table[i].base = NULL;
      blocks--;
      return;
    }
  if (p) exit(4);                                          /* freed twice, or never allocated           */
}

static void *test_malloc(size_t size)
{
  long n = allocations++;
  if (failing >= 0 && (n == failing || (for_ever && n > failing))) return NULL;
  return guarded(size, 0, 16);
}

static void *test_realloc(void *old, size_t size)
{
  int i;
  void *p = test_malloc(size);
  for (i = 0; p && old && i < MAX_BLOCKS; i++)
    if (table[i].base && table[i].p == old) {
      memcpy(p, old, table[i].size < size ? table[i].size : size);
      release(old);
      break;
    }
  return p;
}

#define ICL_MALLOC(size) test_malloc(size)
#define ICL_REALLOC(p, size) test_realloc(p, size)
#define ICL_FREE(p) release(p)
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"
#include "held.h"

#include <pthread.h>

#define COUNT(a) (sizeof (a) / sizeof *(a))

static char folder[64] = "/tmp/icl_memory_XXXXXX", model_path[100], state_path[100], out_path[100];
static float params[1 << 14];

/* ----- models --------------------------------------------------------------------------------------- */

static const struct shape { int d, C, H, L, position, activation, joint, Q; } shapes[] = {
  {1, 8, 2, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 0, 3},
  {3, 6, 1, 2, ICL_POSITION_SINUSOIDAL, ICL_RELU, 1, 0},
  {2, 24, 3, 1, ICL_POSITION_ALTERNATING, ICL_GELU_ERF, 1, 2},
  {17, 16, 4, 1, ICL_POSITION_NONE, ICL_GELU_TANH, 0, 0},
};

static icl_config config_of(const struct shape *s)
{
  icl_config c;
  int i;
  memset(&c, 0, sizeof c);
  c.n_dims = s->d; c.n_embd = s->C; c.n_head = s->H; c.n_layer = s->L; c.n_positions = 33;
  c.position_embedding_type = (icl_position)s->position;
  c.activation_function = (icl_activation)s->activation;
  c.tokens = s->joint ? ICL_TOKENS_JOINT : ICL_TOKENS_APART;
  c.layer_norm_epsilon = 1e-5f;
  c.n_out = 1 + s->Q;
  c.n_quantiles = s->Q;
  for (i = 0; i < s->Q; i++) c.quantiles[i] = (float)(i + 1) / (float)(s->Q + 1);
  return c;
}

static void draw_params(void)
{
  size_t i;
  for (i = 0; i < COUNT(params); i++)
    params[i] = 0.3f * sinf(1.7f * (float)(i % 999) * (float)(i % 77)) + 0.05f;
}

/* ----- exact buffers -------------------------------------------------------------------------------- */

/* The file of a model in a block of its own. */
static unsigned char *write_file(const icl_config *c, icl_storage storage, size_t *bytes, int front)
{
  icl_metadata md = {"dense", "-900 2000 -1100 1500", ICL_STORE_F32, "order=1", "steps=1"};
  unsigned char *file;
  md.storage = storage;
  *bytes = icl_write_bytes(c, &md);
  file = (unsigned char *)guarded(*bytes, front, 1);
  CHECK(icl_param_count(c) <= COUNT(params));
  CHECK_EQ(icl_write(file, *bytes - 1, c, params, &md), ICL_ERR_MEMORY);
  CHECK_EQ(icl_write(file, *bytes, c, params, &md), ICL_OK);
  return file;
}

static float *floats(size_t n, int front)
{
  float *x = (float *)guarded(n * sizeof *x, front, 4);
  size_t i;
  for (i = 0; i < n; i++) x[i] = sinf((float)(i * i % 91)) * 1.3f;
  return x;
}

/* The calls of a context in buffers that end or begin at a forbidden page; answers[64] of all of them. */
static void use_context(icl_ctx *c, icl_ctx *other, int front, float *answers)
{
  int d = c->model->config.n_dims, Q = c->model->config.n_quantiles, n = 7, q = 5;
  float *xs = floats((size_t)(n * d), front), *ys = floats((size_t)n, front);
  float *qs = floats((size_t)(q * d), front), *a = floats((size_t)q, front), *lo = floats((size_t)q, front);
  float *hi = floats((size_t)q, front), *levels = Q ? floats((size_t)(q * Q), front) : NULL;
  unsigned char *saved;
  size_t bytes;
  CHECK_EQ(icl_standardize(c, n, xs, ys), ICL_OK);
  CHECK_EQ(icl_add(c, xs, ys[0]), ICL_OK);
  CHECK_EQ(icl_ask(c, n - 1, xs + d, ys + 1, q, qs, a), ICL_OK);
  memcpy(answers, a, (size_t)q * sizeof *a);
  CHECK_EQ(icl_predict_batch(c, q, qs, a), ICL_OK);
  memcpy(answers + 5, a, (size_t)q * sizeof *a);
  bytes = icl_ctx_save_bytes(c);
  saved = (unsigned char *)guarded(bytes, front, 1);
  CHECK_EQ(icl_ctx_save(c, saved, bytes - 1), ICL_ERR_MEMORY);
  CHECK_EQ(icl_ctx_save(c, saved, bytes), ICL_OK);
  CHECK_EQ(icl_forget(c, 2), ICL_OK);
  CHECK_EQ(icl_ctx_restore(c, saved, bytes - 1, NULL), ICL_ERR_FORMAT);
  CHECK_EQ(icl_ctx_restore(c, saved, bytes, NULL), ICL_OK);
  CHECK_EQ(icl_check(c, answers + 10), ICL_OK);
  CHECK_EQ(icl_surprise(c, answers + 11), ICL_OK);
  CHECK_EQ(icl_ctx_copy(other, c), ICL_OK);
  CHECK_EQ(icl_predict_many(other, 2, (icl_ctx *const[]){c, other}, qs, answers + 12), ICL_OK);
  CHECK_EQ(icl_refine(other, c), ICL_OK);
  CHECK_EQ(icl_predict_refined(c, other, q, qs, 0.3f, a, Q ? lo : NULL, Q ? hi : NULL),
           Q == 1 ? ICL_ERR_ARG : ICL_OK);
  memcpy(answers + 14, a, (size_t)q * sizeof *a);
  if (Q) CHECK_EQ(icl_predict_quantiles(c, q, qs, levels), ICL_OK);
  if (Q) memcpy(answers + 19, levels, (size_t)(q * Q) * sizeof *a);
  if (Q) CHECK_EQ(icl_predict_interval(c, q, qs, 0.3f, a, lo, hi), ICL_OK);
  CHECK_EQ(icl_mirror(other, c, ICL_MIRROR_X | ICL_MIRROR_Y), ICL_OK);
  CHECK_EQ(icl_predict_mean(2, (icl_ctx *const[]){c, other}, NULL, q, qs, 0, a, NULL, NULL), ICL_OK);
  memcpy(answers + 40, a, (size_t)q * sizeof *a);
  CHECK_EQ(icl_rewind(c, 1), ICL_OK);
  CHECK_EQ(icl_predict(c, qs, answers + 45), ICL_OK);
  release(xs); release(ys); release(qs); release(a); release(lo); release(hi); release(levels);
  release(saved);
}

static void one_context(const icl_model *m, icl_storage kv, int batch, int front, float *answers)
{
  icl_ctx c, other;
  icl_ctx_options o = ctx_options(8, batch, kv);
  size_t bytes = icl_ctx_bytes_with(m, &o, NULL);
  void *mem = guarded(bytes, front, 1), *mem2 = guarded(bytes, front, 1);
  CHECK_EQ(icl_ctx_init_with(&c, m, &o, mem, bytes - 1, NULL), ICL_ERR_MEMORY);
  CHECK_EQ(icl_ctx_init_with(&c, m, &o, mem, bytes, NULL), ICL_OK);
  CHECK_EQ(icl_ctx_init_with(&other, m, &o, mem2, bytes, NULL), ICL_OK);
  use_context(&c, &other, front, answers);
  release(mem);
  release(mem2);
}

static void exact_model(const struct shape *s, icl_storage storage, int front)
{
  icl_config cfg = config_of(s), got;
  icl_model m;
  icl_report r;
  size_t bytes, need = 0, n;
  unsigned char *file = write_file(&cfg, storage, &bytes, front);
  float answers[64], *all, *back;
  void *mem;
  int kv, batch, plain;
  CHECK_EQ(icl_inspect(file, bytes, &got, &need, &r), ICL_OK);
  CHECK_EQ(icl_inspect(file, bytes - 1, &got, NULL, NULL), ICL_ERR_FORMAT);
  mem = guarded(need, front, 1);
  CHECK_EQ(icl_model_init(&m, file, bytes, mem, need - 1, &r), ICL_ERR_MEMORY);
  CHECK_EQ(icl_model_init(&m, file, bytes, mem, need, &r), ICL_OK);
  n = icl_param_count(&cfg);
  all = floats(n, front);
  CHECK_EQ(icl_model_params(&m, all), ICL_OK);
  for (plain = 0; plain < 2; plain++) {
    if (plain) icl_force_plain(&m);
    for (kv = ICL_STORE_F32; kv <= ICL_STORE_I8; kv++)
      for (batch = 1; batch < 40; batch += 19) one_context(&m, (icl_storage)kv, batch, front, answers);
  }
  release(mem);
  n = icl_bind_bytes(&cfg);
  mem = guarded(n, front, 1);
  CHECK_EQ(icl_model_bind(&m, &cfg, all, mem, n - 1), ICL_ERR_MEMORY);
  CHECK_EQ(icl_model_bind(&m, &cfg, all, mem, n), ICL_OK);
  back = floats(icl_param_count(&cfg), front);
  CHECK_EQ(icl_model_params(&m, back), ICL_OK);
  CHECK(!memcmp(all, back, icl_param_count(&cfg) * sizeof *all));
  release(mem); release(all); release(back); release(file);
}

TEST(exact_buffers)
{
  size_t i;
  int storage, front;
  for (i = 0; i < COUNT(shapes); i++)
    for (storage = ICL_STORE_F32; storage <= ICL_STORE_I8; storage++)
      for (front = 0; front < 2; front++) exact_model(&shapes[i], (icl_storage)storage, front);
  CHECK_EQ(blocks, 0);
}

/* At each of 64 places beside an alignment: the last that a context places ends within its bytes. */
TEST(any_alignment)
{
  size_t i, off, need = 0, n;
  for (i = 0; i < COUNT(shapes); i++) {
    icl_config cfg = config_of(&shapes[i]);
    unsigned char *file = write_file(&cfg, ICL_STORE_F16, &n, 0), *mem;
    CHECK_EQ(icl_inspect(file, n, NULL, &need, NULL), ICL_OK);
    mem = (unsigned char *)guarded(need + 64, 0, 64);
    for (off = 0; off < 64; off++) {
      icl_model m;
      icl_ctx c;
      size_t bytes, last;
      unsigned char *place;
      CHECK_EQ(icl_model_init(&m, file, n, mem + off, need, NULL), ICL_OK);
      CHECK((const unsigned char *)m.recipe >= mem + off && !((uintptr_t)m.weights % 64));
      bytes = icl_ctx_bytes(&m, 8, 20);
      place = (unsigned char *)guarded(bytes + 64, 0, 64);
      CHECK_EQ(icl_ctx_init(&c, &m, 8, 20, place + off, bytes), ICL_OK);
      CHECK(!((uintptr_t)c.x_mean % 64) && (unsigned char *)c.x_mean >= place + off);
      last = (c.n_pack * sizeof(float) + 63) / 64 * 64;
      CHECK((unsigned char *)c.pack + last <= place + off + bytes);
      CHECK(off != 1 || (unsigned char *)c.pack + last == place + off + bytes);      /* none too many */
      release(place);
    }
    release(mem);
    release(file);
  }
}

/* The sampler's and the trainer's buffers; their own memory is guarded by test_malloc. */
static icl_train_options train_options(void)
{
  icl_train_options o;
  memset(&o, 0, sizeof o);
  o.model.n_dims = 3; o.model.n_embd = 8; o.model.n_head = 2; o.model.n_layer = 1;
  o.task = "dense + noisy(sparse(nnz=1), sd=0.1..0.5)"; o.pairs = 5; o.batch = 6; o.steps = 4; o.seed = 3;
  return o;
}

static const char *const tasks[] = {
  "dense", "tree(depth=3)", "relu(hidden=7)", "noisy(convex(sine, gp(length=0.5..2)), sd=0.1)",
  "0.3*poly + pool(size=5)",
};

TEST(exact_prompts)
{
  size_t i;
  int front, data;
  for (i = 0; i < COUNT(tasks); i++)
    for (front = 0; front < 2; front++)
      for (data = 0; data < 2; data++) {
        icl_task t;
        icl_sampling s;
        icl_rng rng;
        float *xs = floats(3 * 6, front), *ys = floats(6, front), *f;
        char *text;
        size_t n;
        memset(&s, 0, sizeof s);
        if (data) { s.inputs = ICL_INPUTS_DATA; s.order = 1; s.standardize = 1; }
        CHECK_EQ(icl_task_parse(&t, tasks[i], 3, NULL, 0, NULL), ICL_OK);
        f = floats(icl_prompt_scratch(&t), front);
        icl_rng_init(&rng, 1, 2, i);
        CHECK_EQ(icl_prompt_sample(&t, &s, &rng, 6, xs, ys, NULL, f), ICL_OK);
        CHECK_EQ(icl_prompt_label(&t, NULL, &rng, 6, xs, ys, NULL, f), ICL_OK);
        n = icl_task_print(&t, NULL, 0);
        text = (char *)guarded(n + 1, front, 1);
        CHECK_EQ(icl_task_print(&t, text, n + 1), n);
        CHECK_EQ(strlen(text), n);
        release(xs); release(ys); release(f); release(text);
      }
  CHECK_EQ(blocks, 0);
}

/* Losses of four steps, and predictions of a batch. */
static void train_a_little(icl_train_options o, float *figures)
{
  icl_trainer *t = NULL;
  icl_batch *b = NULL;
  icl_train_info info;
  int i, n;
  float *xs, *ys, *preds;
  CHECK_EQ(icl_trainer_new(&t, &o, NULL), ICL_OK);
  if (!t) return;
  for (i = 0; i < 3; i++) { CHECK_EQ(icl_train_step(t, &info), ICL_OK); figures[i] = info.loss; }
  n = icl_trainer_next(t, &info);
  xs = floats((size_t)(n * info.pairs * o.model.n_dims), 0);
  ys = floats((size_t)(n * info.pairs), 0);
  preds = floats((size_t)(n * info.pairs), 0);
  CHECK_EQ(icl_train_gradient(t, xs, ys, &figures[3]), ICL_OK);
  CHECK_EQ(icl_train_update(t, &info), ICL_OK);
  CHECK_EQ(icl_batch_new(&b, icl_trainer_model(t), info.pairs, 1), ICL_OK);
  CHECK_EQ(icl_batch_predict(b, n, xs, ys, preds), ICL_OK);
  memcpy(figures + 4, preds, 12 * sizeof *preds);
  icl_batch_delete(b);
  icl_trainer_delete(t);
  release(xs); release(ys); release(preds);
}

static void odd_options(icl_train_options *o, int i)
{
  *o = train_options();
  if (i == 1) o->optimizer = ICL_MUON;
  if (i == 2) { o->ema = 0.9f; o->shards = 3; }
  if (i == 3) { o->model.n_quantiles = 2; o->model.quantiles[0] = 0.2f; o->model.quantiles[1] = 0.8f; }
  if (i == 4) {
    o->model.position_embedding_type = ICL_POSITION_SINUSOIDAL;
    o->threads = 3;
    o->model.n_embd = 14;
  }
  if (i == 5) {
    o->sampling.inputs = ICL_INPUTS_DATA;
    o->sampling.standardize = 1;
    o->pairs_start = 2;
    o->pairs_every = 1;
  }
}

/* ----- memory full of NaN --------------------------------------------------------------------------- */

TEST(memory_may_hold_anything)
{
  static const int bytes[] = {0, 0xff, 0x7f, 0xa5};        /* 0x7f7f7f7f is 3.4e38, 0xffff.. NaN         */
  size_t i, k;
  int kv, o;
  for (i = 0; i < COUNT(shapes); i++)
    for (kv = ICL_STORE_F32; kv <= ICL_STORE_I8; kv++) {
      static float answers[COUNT(bytes)][64];
      memset(answers, 0, sizeof answers);
      for (k = 0; k < COUNT(bytes); k++) {
        icl_config cfg = config_of(&shapes[i]);
        icl_model m;
        size_t n, need = 0;
        unsigned char *file;
        void *mem;
        filling = bytes[k];
        file = write_file(&cfg, ICL_STORE_F16, &n, 0);
        CHECK_EQ(icl_inspect(file, n, NULL, &need, NULL), ICL_OK);
        mem = guarded(need, 0, 1);
        memset(&m, bytes[k], sizeof m);
        CHECK_EQ(icl_model_init(&m, file, n, mem, need, NULL), ICL_OK);
        one_context(&m, (icl_storage)kv, 20, 0, answers[k]);
        CHECK(!memcmp(answers[k], answers[0], sizeof answers[0]));
        release(mem);
        release(file);
      }
    }
  for (o = 0; o < 6; o++) {
    static float figures[COUNT(bytes)][16];
    icl_train_options options;
    odd_options(&options, o);
    for (k = 0; k < COUNT(bytes); k++) {
      filling = bytes[k];
      train_a_little(options, figures[k]);
      CHECK(icl__finite(figures[k], 16));
      CHECK(!memcmp(figures[k], figures[0], sizeof figures[0]));
    }
  }
  filling = 0xff;
  CHECK_EQ(blocks, 0);
}

/* ----- allocations that fail ------------------------------------------------------------------------- */

/* Each makes a thing or a file of its own, and takes it away again; the code is what it returned. */
static icl_model *loaded;

static icl_error make_ctx(icl_report *r)
{
  icl_ctx_options o = ctx_options(4, 2, ICL_STORE_F32);
  icl_ctx *c = NULL;
  icl_error err = icl_ctx_new_with(&c, loaded, &o, r);
  CHECK(!err == !!c);
  icl_ctx_delete(c);
  return err;
}

static icl_error make_model(icl_report *r)
{
  icl_model *m = NULL;
  icl_error err = icl_load(&m, model_path, r);
  CHECK(!err == !!m);
  icl_unload(m);
  return err;
}

static icl_error make_file(icl_report *r) { return icl_save(out_path, &loaded->config, params, NULL, r); }

static icl_error make_threads(icl_report *r)
{
  icl_threads *t = NULL;
  icl_error err = icl_threads_new(&t, 3);
  CHECK(!err == !!t);
  icl_threads_delete(t);
  if (err) icl__fail(r, err, 0, "threads", NULL);
  return err;
}

static icl_error make_batch(icl_report *r)
{
  icl_batch *b = NULL;
  icl_error err = icl_batch_new(&b, loaded, 4, 2);
  CHECK(!err == !!b);
  icl_batch_delete(b);
  if (err) icl__fail(r, err, 0, "batch", NULL);
  return err;
}

static icl_error make_lock(icl_report *r)
{
  icl_lock *l = NULL;
  icl_error err = icl_lock_new(&l, out_path, r);
  CHECK(!err == !!l);
  icl_lock_delete(l);
  return err;
}

static icl_error make_trainer(icl_report *r)
{
  icl_train_options o = train_options();
  icl_trainer *t = NULL;
  icl_error err = icl_trainer_new(&t, &o, r);
  CHECK(!err == !!t);
  icl_trainer_delete(t);
  return err;
}

static icl_trainer *trainer;                               /* made while nothing fails                  */

static icl_error replace(icl_report *r) { return icl_replace_file(out_path, "text", 4, r); }
static icl_error step(icl_report *r) { (void)r; return icl_train_step(trainer, NULL); }
static icl_error resume(icl_report *r) { return icl_train_resume(trainer, state_path, r); }
static icl_error save_state(icl_report *r) { return icl_train_save(trainer, state_path, r); }
static icl_error export_model(icl_report *r) { return icl_train_export(trainer, out_path, r); }
static icl_error whole_run(icl_report *r)
{
  icl_run run;
  memset(&run, 0, sizeof run);
  run.model_path = out_path; run.state_path = state_path; run.resume = 1;
  return icl_train_run(trainer, &run, NULL, r);
}

static const struct { const char *name; icl_error (*make)(icl_report *r); int sites; } makers[] = {
  {"icl_ctx_new_with", make_ctx, 1}, {"icl_load", make_model, 5}, {"icl_save", make_file, 1},
  {"icl_threads_new", make_threads, 1}, {"icl_batch_new", make_batch, 2}, {"icl_lock_new", make_lock, 1},
  {"icl_trainer_new", make_trainer, 2}, {"icl_replace_file", replace, 0}, {"icl_train_save", save_state, 0},
  {"icl_train_step", step, 0}, {"icl_train_resume", resume, 1}, {"icl_train_export", export_model, 3},
  {"icl_train_run", whole_run, 5},
};

/* Fails allocation k of a maker, then lets it go on undisturbed.  Returns 0 where there is no k-th. */
static int one_failure(size_t i, long k, int ever)
{
  icl_report r;
  icl_error err;
  long before = blocks, made;
  static float kept[1 << 12];
  memcpy(kept, trainer->params, trainer->n * sizeof(float));
  memset(&r, 0, sizeof r);
  allocations = 0;
  failing = k;
  for_ever = ever;
  err = makers[i].make(&r);
  made = allocations;
  failing = -1;
  CHECK_EQ(blocks, before);
  if (made <= k) {
    CHECK_EQ(err, ICL_OK);
    return 0;
  }
  CHECK_EQ(err, ICL_ERR_MEMORY);
  CHECK_EQ(r.code, ICL_ERR_MEMORY);
  CHECK(r.text[0]);
  CHECK(!memcmp(kept, trainer->params, trainer->n * sizeof(float)) || makers[i].make == whole_run);
  CHECK_EQ(makers[i].make(&r), ICL_OK);
  CHECK_EQ(blocks, before);
  return 1;
}

TEST(allocations_that_fail)
{
  icl_config cfg = config_of(&shapes[0]);
  icl_train_options o = train_options();
  size_t i;
  CHECK_EQ(icl_save(model_path, &cfg, params, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_load(&loaded, model_path, NULL), ICL_OK);
  CHECK_EQ(icl_trainer_new(&trainer, &o, NULL), ICL_OK);
  CHECK_EQ(icl_train_save(trainer, state_path, NULL), ICL_OK);
  for (i = 0; i < COUNT(makers); i++) {
    int ever, k;
    for (ever = 0; ever < 2; ever++) {
      for (k = 0; k < 20 && one_failure(i, k, ever); k++) continue;
      CHECK_EQ(k, makers[i].sites);                        /* an allocation that is new is seen here     */
    }
  }
  icl_trainer_delete(trainer);
  icl_unload(loaded);
  CHECK_EQ(blocks, 0);
}

/* ----- the stack ------------------------------------------------------------------------------------ */

enum { STACK = 1 << 18 };
static unsigned char *stack_of_thread;
static icl_model stack_model;
static icl_ctx stack_ctx, stack_other;
static const unsigned char *stack_file;
static size_t stack_file_size, stack_need;
static unsigned char stack_mem[1 << 16], stack_buf[1 << 16];
static float sx[64], sy[64], sz[64];

static void s_nothing(void) {}
static void s_inspect(void)
{
  icl_config c;
  icl_report r;
  icl_inspect(stack_file, stack_file_size, &c, &stack_need, &r);
}
static void s_init(void)
{
  icl_model_init(&stack_model, stack_file, stack_file_size, stack_mem, sizeof stack_mem, NULL);
}
static void s_add(void) { icl_rewind(&stack_ctx, 0); icl_add(&stack_ctx, sx, 1); }
static void s_batch(void) { icl_rewind(&stack_ctx, 0); icl_add_batch(&stack_ctx, 6, sx, sy); }
static void s_predict(void) { icl_predict(&stack_ctx, sx, sz); }
static void s_queries(void) { icl_predict_batch(&stack_ctx, 40, sx, sz); }
static void s_interval(void) { icl_predict_interval(&stack_ctx, 6, sx, 0.3f, sy, sz, sz + 8); }
static void s_check(void) { float e; icl_check(&stack_ctx, &e); }
static void s_refine(void) { icl_refine(&stack_other, &stack_ctx); }
static void s_refined(void) { icl_predict_refined(&stack_ctx, &stack_other, 6, sx, 0.3f, sy, sz, sz + 8); }
static void s_mean(void)
{
  icl_ctx *cs[2];
  cs[0] = &stack_ctx; cs[1] = &stack_other;
  icl_mirror(&stack_other, &stack_ctx, 1);
  icl_predict_mean(2, cs, NULL, 6, sx, 0.3f, sy, sz, sz + 8);
}
static void s_scale(void)
{
  icl_standardize(&stack_ctx, 0, NULL, NULL);
  icl_ctx_scale(&stack_ctx, NULL, NULL, 0, 1);
}
static void s_forget(void) { icl_forget(&stack_ctx, 1); }
static void s_save(void) { icl_ctx_save(&stack_ctx, stack_buf, sizeof stack_buf); }
static void s_restore(void) { icl_ctx_restore(&stack_ctx, stack_buf, icl_ctx_save_bytes(&stack_ctx), NULL); }
static void s_surprise(void) { float s; icl_surprise(&stack_ctx, &s); }
static void s_write(void) { icl_write(stack_buf, sizeof stack_buf, &stack_model.config, params, NULL); }

static const struct { const char *name; void (*run)(void); } stacks[] = {
  {"nothing", s_nothing}, {"inspect", s_inspect}, {"model_init", s_init}, {"add", s_add},
  {"add_batch", s_batch},
  {"predict", s_predict}, {"predict_batch", s_queries}, {"interval", s_interval}, {"check", s_check},
  {"refine", s_refine}, {"predict_refined", s_refined}, {"predict_mean", s_mean}, {"scale", s_scale},
  {"save", s_save}, {"restore", s_restore}, {"forget", s_forget}, {"surprise", s_surprise},
  {"write", s_write},
};

/* Runs it twice, so that names are bound, paints the stack below and runs it again. */
static void *on_the_stack(void *run)
{
  void (*f)(void) = stacks[(size_t)(uintptr_t)run].run;
  volatile unsigned char here = 0;
  volatile uintptr_t end = (uintptr_t)&here - 512;         /* below this frame                           */
  uintptr_t at;
  f();
  f();
  for (at = (uintptr_t)stack_of_thread; at < end; at++) *(volatile unsigned char *)at = 0x5a;
  f();
  return NULL;
}

/* Bytes of the thread's stack that were used, with what a thread needs anyway. */
static size_t stack_use(size_t i)
{
  pthread_attr_t attr;
  pthread_t thread;
  size_t at;
  pthread_attr_init(&attr);
  if (pthread_attr_setstack(&attr, stack_of_thread, STACK)
      || pthread_create(&thread, &attr, on_the_stack, (void *)(uintptr_t)i)) return 0;
  pthread_join(thread, NULL);
  pthread_attr_destroy(&attr);
  for (at = 0; at < STACK && stack_of_thread[at] == 0x5a; at++) continue;
  return STACK - at;
}

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

TEST(stack_of_calls)
{
#if !defined __OPTIMIZE__ || defined SANITIZED
  SKIP("needs an optimizing compiler and no sanitizer");
#else
  icl_config cfg = config_of(&shapes[0]);
  icl_ctx_options o = ctx_options(8, 8, ICL_STORE_F32);
  size_t bytes, base, i, worst = 0;
  const char *which = "";
  void *mem, *mem2;
  stack_file = write_file(&cfg, ICL_STORE_F16, &stack_file_size, 0);
  CHECK_EQ(icl_inspect(stack_file, stack_file_size, NULL, &stack_need, NULL), ICL_OK);
  s_init();
  bytes = icl_ctx_bytes_with(&stack_model, &o, NULL);
  mem = guarded(bytes, 0, 1);
  mem2 = guarded(bytes, 0, 1);
  CHECK_EQ(icl_ctx_init_with(&stack_ctx, &stack_model, &o, mem, bytes, NULL), ICL_OK);
  CHECK_EQ(icl_ctx_init_with(&stack_other, &stack_model, &o, mem2, bytes, NULL), ICL_OK);
  for (i = 0; i < COUNT(sx); i++) { sx[i] = sinf((float)i); sy[i] = cosf((float)i); }
  stack_of_thread = (unsigned char *)guarded(STACK, 1, 4096);
  base = stack_use(0);
  CHECK(base > 0);
  for (i = 1; i < COUNT(stacks); i++) {
    size_t n = stack_use(i) - base;
    if (n > worst) { worst = n; which = stacks[i].name; }
    if (n + 512 >= 4096) printf("%s takes %d bytes of stack\n", stacks[i].name, (int)n);
    CHECK(n + 512 < 4096);                                 /* 512 are not painted                        */
  }
  printf("memory: at most %d bytes of stack, in %s\n", (int)worst + 512, which);
  release(mem); release(mem2); release(stack_of_thread); release((void *)(uintptr_t)stack_file);
#endif
}

static void remove_files(void)
{
  remove(model_path); remove(state_path); remove(out_path);
  rmdir(folder);
}

int main(void)
{
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!mkdtemp(folder)) return 2;
  snprintf(model_path, sizeof model_path, "%s/model", folder);
  snprintf(state_path, sizeof state_path, "%s/state", folder);
  snprintf(out_path, sizeof out_path, "%s/out", folder);
  draw_params();
  RUN(exact_buffers);
  RUN(any_alignment);
  RUN(exact_prompts);
  RUN(memory_may_hold_anything);
  RUN(allocations_that_fail);
  RUN(stack_of_calls);
  remove_files();
  return test_report("memory");
}
