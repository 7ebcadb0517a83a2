/* Every public function of icl.h and icl_train.h, from the table that tests/proof/calls.py makes of their
 * declarations, with every pointer NULL, every whole number at its bounds, every float at its worst, also in
 * arrays and in the structs that a caller fills.  Nothing crashes, leaks or hangs; where NULL is not allowed
 * the code is ARG; an error leaves contexts and outputs as they were, and says so in the report; OK means
 * finite. */
#define _DEFAULT_SOURCE
#include <float.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The allocations, counted; what is too large for a test is refused. */
static long blocks;

static void *test_realloc(void *old, size_t size)
{
  void *p = size > (size_t)64 << 20 ? NULL : realloc(old, size);
  blocks += p && !old;
  return p;
}

static void test_free(void *p) { blocks -= p != NULL; free(p); }

#define ICL_MALLOC(size) test_realloc(NULL, size)
#define ICL_REALLOC(p, size) test_realloc(p, size)
#define ICL_FREE(p) test_free(p)
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"
#include "held.h"

#include <setjmp.h>
#include <signal.h>
#include <unistd.h>

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* ----- the table ------------------------------------------------------------------------------------ */

typedef union arg { void *p; void (*g)(void); int i; float f; size_t z; uint64_t u; int64_t l; } arg;
enum { MAX_ARGS = 9 };
typedef struct call {
  const char *name;
  char returns;                    /* e icl_error, otherwise as kind                                    */
  void (*run)(const arg *a, arg *result);
  int n;
  struct { const char *type, *name; char kind; } param[MAX_ARGS];
  const char *declaration;
} call;
typedef struct field { const char *in, *name; char kind; size_t at; } field;
#include "proof/calls.h"

static int is(const char *a, const char *b) { return !strcmp(a, b); }

/* 1 if "function.parameter" is one of n. */
static int listed(const char *const *list, size_t n, const call *c, int k)
{
  char name[100];
  size_t i;
  snprintf(name, sizeof name, "%s.%s", c->name, c->param[k].name);
  for (i = 0; i < n; i++) if (is(list[i], name)) return 1;
  return 0;
}

/* What NULL is fine for, beside every icl_report: as the headers say. */
static const char *const may_be_null[] = {
  "icl_inspect.cfg", "icl_inspect.need", "icl_model_isa.name", "icl_ctx_scale.x_mean", "icl_ctx_scale.x_std",
  "icl_ctx_threads.user", "icl_predict_mean.rs", "icl_write.md", "icl_write_bytes.md", "icl_save.md",
  "icl_task_print.buf", "icl_sampling_print.buf", "icl_prompt_sample.opt", "icl_prompt_sample.class_drawn",
  "icl_prompt_label.opt", "icl_prompt_label.class_drawn", "icl_prompt_own.user", "icl_prompt_own.opt",
  "icl_function_draw.opt", "icl_train_step.info", "icl_train_update.info", "icl_train_gradient.loss",
  "icl_trainer_next.info", "icl_train_run.last", "icl_threads_run.user", "icl_threads_run.task",
  "icl_threads_run.arg",
};

/* What may leave a context empty where pairs cannot be added again, and which one. */
static const char *const may_empty[] = {
  "icl_ctx_scale.c", "icl_standardize.c", "icl_forget.c", "icl_check.c", "icl_ctx_restore.c", "icl_refine.r",
  "icl_mirror.m",
};

/* Counts of what a function writes, or runs: such memory or time is not to be had. */
static const char *const not_huge[] = {
  "icl_prompt_sample.n_pairs", "icl_prompt_label.n", "icl_prompt_own.n_pairs", "icl_prompt_own.n_dims",
  "icl_threads_run.n", "icl_replace_file.size", "icl_train_typical.n_prompts",
};

/* ----- the world that a call is made in ------------------------------------------------------------- */

enum { ROWS = 64, N_PARAMS = 4096, N_FILE = 1 << 14, N_MEM = 1 << 18, PATTERN = 0x5a };

/* What calls write to: all of it is compared. */
static struct outputs {
  icl_config cfg;
  size_t need;
  icl_model made;
  icl_ctx made_ctx;
  icl_tensor tensor;
  icl_model *model;
  icl_ctx *ctx;
  icl_threads *threads;
  icl_trainer *trainer;
  icl_lock *lock;
  icl_batch *batch;
  icl_task task;
  icl_sampling opt;
  icl_train_options options;
} out, out_before;

static struct arrays {             /* these may be written in part where something is not finite        */
  float x[MAX_ARGS][4 * ROWS], params[N_PARAMS], f[1024];
  unsigned char buf[N_FILE];
  char text[256];
  int drawn;
  icl_train_info info;
} arrays, arrays_before;

static struct world {
  icl_config cfg;
  icl_metadata md;
  icl_ctx_options co;
  icl_report report;
  icl_model model, own, zero_model;
  icl_ctx c, c2, zero_ctx;
  icl_ctx *list[ROWS], *refined[ROWS];
  icl_task task;
  icl_sampling opt;
  icl_rng rng;
  icl_train_options to;
  icl_run run;
  icl_class row[ROWS];
  char row_name[ROWS][8];
  float in[MAX_ARGS][4 * ROWS];
  size_t file_size, snapshot_size;
  unsigned char file[N_FILE], snapshot[1024];
  int hits;
  /* made for one call */
  icl_model *loaded;
  icl_ctx *fresh;
  icl_threads *threads;
  icl_trainer *trainer;
  icl_lock *lock;
  icl_batch *batch;
} w;

static int crashed;                /* the last call; what it holds stays                                */
static float params[1 << 24];      /* as many as the largest model that memory is given for           */
static unsigned char model_mem[N_MEM], ctx_mem[2][N_MEM], mem[N_MEM];
static char folder[64] = "/tmp/icl_misuse_XXXXXX", model_path[100], state_path[100], out_path[100];

static void in_turn(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  int i;
  (void)user;
  for (i = 0; i < n; i++) task(arg, i);
}

static void count_hit(void *arg, int i) { (void)i; if (arg) ++*(int *)arg; }

static int draw_line(void *user, icl_rng *rng, int d, int n, float *xs, float *ys)
{
  int i;
  (void)user;
  for (i = 0; i < n * d; i++) xs[i] = icl_rng_normal(rng);
  for (i = 0; i < n; i++) ys[i] = xs[i * d];
  return 0;
}

static int row_size(const icl_class_call *c) { (void)c; return 1; }

static void row_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  (void)c;
  theta[0] = icl_rng_normal(rng);
}

static float row_eval(const float *theta, const float *x, const icl_class_call *c)
{
  (void)c;
  return theta[0] * x[0];
}

/* What stays the same for all calls: a model with quantiles and typical figures, its file, a state. */
static void make_world(void)
{
  icl_trainer *t = NULL;
  size_t i, need = 0;
  w.cfg.n_dims = 2; w.cfg.n_embd = 8; w.cfg.n_head = 2; w.cfg.n_layer = 1; w.cfg.n_positions = 17;
  w.cfg.n_out = 4; w.cfg.layer_norm_epsilon = 1e-5f; w.cfg.n_quantiles = 3;
  w.cfg.quantiles[0] = 0.05f; w.cfg.quantiles[1] = 0.5f; w.cfg.quantiles[2] = 0.95f;
  w.md.task = "dense";
  w.md.typical = "-900 2000 -1100 1500 -1200 300";
  for (i = 0; i < N_PARAMS; i++) params[i] = 0.3f * sinf(1.7f * (float)i) + 0.01f;
  w.file_size = icl_write_bytes(&w.cfg, &w.md);
  CHECK(w.file_size && w.file_size <= N_FILE && icl_param_count(&w.cfg) <= N_PARAMS);
  CHECK_EQ(icl_write(w.file, w.file_size, &w.cfg, params, &w.md), ICL_OK);
  CHECK_EQ(icl_inspect(w.file, w.file_size, NULL, &need, NULL), ICL_OK);
  CHECK_EQ(icl_model_init(&w.model, w.file, w.file_size, model_mem, sizeof model_mem, NULL), ICL_OK);
  CHECK_EQ(icl_save(model_path, &w.cfg, params, &w.md, NULL), ICL_OK);
  w.to.model.n_dims = 2; w.to.model.n_embd = 8; w.to.model.n_head = 2; w.to.model.n_layer = 1;
  w.to.task = "dense"; w.to.pairs = 4; w.to.batch = 4; w.to.steps = 2;
  CHECK_EQ(icl_trainer_new(&t, &w.to, NULL), ICL_OK);
  CHECK_EQ(icl_train_save(t, state_path, NULL), ICL_OK);
  icl_trainer_delete(t);
  CHECK_EQ(icl_task_parse(&w.task, "dense + noisy(sine)", 2, NULL, 0, NULL), ICL_OK);
  w.co.max_pairs = 4; w.co.queries_at_once = 4;
}

/* Before each call: inputs, contexts of 3 and 2 pairs, outputs full of a pattern. */
static void reset_world(void)
{
  static const icl_sampling none;
  size_t i, k;
  icl_ctx *c = NULL;
  for (k = 0; k < MAX_ARGS; k++)
    for (i = 0; i < 4 * ROWS; i++) w.in[k][i] = sinf((float)(i + 7 * k)) + 1.5f;
  CHECK_EQ(icl_ctx_init(&w.c, &w.model, 8, 4, ctx_mem[0], N_MEM), ICL_OK);
  CHECK_EQ(icl_ctx_init(&w.c2, &w.model, 8, 4, ctx_mem[1], N_MEM), ICL_OK);
  CHECK_EQ(icl_add_batch(&w.c, 3, w.in[0], w.in[1]), ICL_OK);
  CHECK_EQ(icl_add_batch(&w.c2, 2, w.in[2], w.in[3]), ICL_OK);
  w.snapshot_size = icl_ctx_save_bytes(&w.c);
  CHECK_EQ(icl_ctx_save(&w.c, w.snapshot, w.snapshot_size), ICL_OK);
  for (i = 0; i < ROWS; i++) { w.list[i] = i % 2 ? &w.c2 : &w.c; w.refined[i] = i % 2 ? NULL : &w.c2; }
  for (i = 0; i < ROWS; i++) {
    snprintf(w.row_name[i], sizeof w.row_name[i], "line%d", (int)i);
    w.row[i].name = w.row_name[i]; w.row[i].n_theta = row_size; w.row[i].draw = row_draw;
    w.row[i].eval = row_eval;
  }
  w.own = w.model;
  w.opt = none;
  memset(&w.run, 0, sizeof w.run);
  w.run.model_path = out_path;
  icl_rng_init(&w.rng, 1, 2, 3);
  memset(&w.report, PATTERN, sizeof w.report);
  w.report.text[95] = 0;
  memset(&out, PATTERN, sizeof out);
  memset(&arrays, PATTERN, sizeof arrays);
  memset(arrays.f, 0, sizeof arrays.f);
  CHECK_EQ(icl_function_draw(arrays.f, &w.task, NULL, &w.rng), ICL_OK);
  out.ctx = c;
  w.loaded = NULL; w.fresh = NULL; w.threads = NULL; w.trainer = NULL; w.lock = NULL; w.batch = NULL;
  memset(&out.model, 0, (size_t)((char *)&out.task - (char *)&out.model));   /* the pointers */
}

/* Frees what a call was given, unless it was a delete that got it, and what it made. */
static void clean_world(const call *c)
{
  if (crashed) return;                                   /* locks may be held                        */
  if (!is(c->name, "icl_unload")) icl_unload(w.loaded);
  if (!is(c->name, "icl_ctx_delete")) icl_ctx_delete(w.fresh);
  if (!is(c->name, "icl_threads_delete")) icl_threads_delete(w.threads);
  if (!is(c->name, "icl_trainer_delete")) icl_trainer_delete(w.trainer);
  if (!is(c->name, "icl_lock_delete")) icl_lock_delete(w.lock);
  if (!is(c->name, "icl_batch_delete")) icl_batch_delete(w.batch);
  icl_unload(out.model);
  icl_ctx_delete(out.ctx);
  icl_threads_delete(out.threads);
  icl_trainer_delete(out.trainer);
  icl_lock_delete(out.lock);
  icl_batch_delete(out.batch);
}

/* ----- arguments that are right --------------------------------------------------------------------- */

static void *good_path(const call *c)
{
  return is(c->name, "icl_load") ? model_path : is(c->name, "icl_train_resume") ? state_path : out_path;
}

static void *good_ctx(const call *c, const char *name)
{
  if (is(c->name, "icl_ctx_init") || is(c->name, "icl_ctx_init_with")) return &out.made_ctx;
  if (is(c->name, "icl_ctx_delete")) {
    CHECK_EQ(icl_ctx_new(&w.fresh, &w.model, 4, 4), ICL_OK);
    return w.fresh;
  }
  return is(name, "c") || is(name, "from") || is(name, "work") ? &w.c : &w.c2;
}

static void *good_model(const call *c)
{
  if (is(c->name, "icl_unload")) {
    CHECK_EQ(icl_load(&w.loaded, model_path, NULL), ICL_OK);
    return w.loaded;
  }
  return is(c->name, "icl_model_isa") || is(c->name, "icl_force_plain") ? &w.own : &out.made;
}

static void *good_trainer(void)
{
  if (!w.trainer) CHECK_EQ(icl_trainer_new(&w.trainer, &w.to, NULL), ICL_OK);
  return w.trainer;
}

static void *good_threads(void)
{
  if (!w.threads) CHECK_EQ(icl_threads_new(&w.threads, 2), ICL_OK);
  return w.threads;
}

static void *good_lock(void)
{
  if (!w.lock) CHECK_EQ(icl_lock_new(&w.lock, out_path, NULL), ICL_OK);
  return w.lock;
}

static void *good_batch(void)
{
  if (!w.batch) CHECK_EQ(icl_batch_new(&w.batch, &w.model, 4, 1), ICL_OK);
  return w.batch;
}

/* Numbers that are read, and those that are written. */
static void *good_floats(const call *c, int k)
{
  const char *name = c->param[k].name;
  int read = !strncmp(c->param[k].type, "const", 5);
  if (is(name, "params")) return read ? params : arrays.params;
  if (is(name, "f") || is(name, "scratch")) return arrays.f;
  return read ? w.in[k] : arrays.x[k];
}

static void *good_void(const call *c, const char *name)
{
  if (is(c->name, "icl_threads_run")) return is(name, "user") ? good_threads() : (void *)&w.hits;
  if (is(name, "mem")) return mem;
  if (is(c->name, "icl_ctx_restore")) return w.snapshot;
  if (is(name, "data")) return w.file;
  return is(name, "user") ? (void *)&w.hits : (void *)arrays.buf;
}

static void *good_text(const call *c, const char *name)
{
  static char plain[] = "c", task[] = "0.5*line0 + sparse(nnz=1)", sampling[] = "order=1 x_scale=2";
  if (is(name, "path")) return good_path(c);
  return is(name, "name") ? plain : is(c->name, "icl_sampling_parse") ? sampling : task;
}

/* An argument that is a pointer. */
static void *good_pointer(const call *c, int k)
{
  const char *type = c->param[k].type, *name = c->param[k].name;
  struct { const char *type; void *p; } plain[] = {
    {"icl_report *", &w.report}, {"const icl_config *", &w.cfg}, {"icl_config *", &out.cfg},
    {"const icl_ctx_options *", &w.co}, {"const icl_metadata *", &w.md}, {"icl_tensor *", &out.tensor},
    {"const icl_model *", &w.model}, {"icl_model **", &out.model}, {"icl_ctx **", &out.ctx},
    {"icl_threads **", &out.threads}, {"icl_trainer **", &out.trainer}, {"icl_lock **", &out.lock},
    {"icl_batch **", &out.batch}, {"icl_rng *", &w.rng}, {"const icl_task *", &w.task},
    {"icl_task *", &out.task}, {"const icl_class *", w.row}, {"const icl_sampling *", &w.opt},
    {"icl_sampling *", &out.opt}, {"const icl_train_options *", &w.to},
    {"icl_train_options *", &out.options}, {"icl_train_info *", &arrays.info}, {"const icl_run *", &w.run},
    {"int *", &arrays.drawn}, {"size_t *", &out.need}, {"char *", arrays.text},
  };
  size_t i;
  for (i = 0; i < COUNT(plain); i++) if (is(type, plain[i].type)) return plain[i].p;
  if (is(type, "icl_ctx *const *")) return is(name, "rs") ? w.refined : w.list;
  if (strstr(type, "icl_ctx *")) return good_ctx(c, name);
  if (strstr(type, "icl_model *")) return good_model(c);
  if (strstr(type, "icl_threads *")) return good_threads();
  if (strstr(type, "icl_trainer *")) return good_trainer();
  if (strstr(type, "icl_lock *")) return good_lock();
  if (strstr(type, "icl_batch *")) return good_batch();
  if (strstr(type, "float *")) return good_floats(c, k);
  if (strstr(type, "void *")) return good_void(c, name);
  if (strstr(type, "char *")) return good_text(c, name);
  printf("no value for %s %s of %s\n", type, name, c->name);
  CHECK(!"a pointer of a type that the test knows");
  return NULL;
}

static int good_int(const call *c, int k)
{
  static const struct { const char *name; int v; } by_name[] = {
    {"icl_rewind.n_pairs", 1}, {"icl_forget.n", 1}, {"icl_rng_below.n", 5}, {"max_pairs", 4},
    {"max_batch", 4}, {"n_prompts", 100},
    {"image", 3}, {"i", 0}, {"n_pairs", 4}, {"threads", 1}, {"n_own", 1}, {"e", 0},
  };
  char full[100];
  size_t i;
  snprintf(full, sizeof full, "%s.%s", c->name, c->param[k].name);
  for (i = 0; i < COUNT(by_name); i++)
    if (is(by_name[i].name, full) || is(by_name[i].name, c->param[k].name)) return by_name[i].v;
  return 2;
}

/* The largest value that is right, where it is not a count of an array. */
static int largest(const call *c, int k)
{
  const char *name = c->param[k].name;
  if (is(name, "max_pairs") || is(c->name, "icl_batch_new")) return 8;
  if (is(name, "max_batch")) return 1 << 22;
  if (is(name, "image") || is(c->name, "icl_rewind") || is(c->name, "icl_forget")) return 3;
  if (is(name, "i")) return is(c->name, "icl_trainer_prompt") ? 3 : icl_tensor_count(&w.cfg) - 1;
  if (is(c->name, "icl_threads_new")) return ICL_MAX_THREADS;
  return is(c->name, "icl_add_batch") ? 5 : is(name, "e") ? ICL_ERROR_MAX : 63;
}

static size_t good_size(const call *c, int k)
{
  size_t need = 0;
  const char *f = c->name;
  if (is(f, "icl_model_init") && k == 4) icl_inspect(w.file, w.file_size, NULL, &need, NULL);
  else if (is(f, "icl_inspect") || is(f, "icl_model_init")) need = w.file_size;
  else if (is(f, "icl_ctx_init")) need = icl_ctx_bytes(&w.model, 4, 4);
  else if (is(f, "icl_ctx_init_with")) need = icl_ctx_bytes_with(&w.model, &w.co, NULL);
  else if (is(f, "icl_ctx_save")) need = icl_ctx_save_bytes(&w.c);
  else if (is(f, "icl_ctx_restore")) need = w.snapshot_size;
  else if (is(f, "icl_model_bind")) need = icl_bind_bytes(&w.cfg);
  else if (is(f, "icl_write")) need = w.file_size;
  else if (is(f, "icl_task_print") || is(f, "icl_sampling_print")) need = sizeof arrays.text;
  else if (is(f, "icl_train_typical")) need = (size_t)w.to.pairs * ICL_TYPICAL_BYTES + 1;
  else if (is(f, "icl_replace_file")) need = 100;
  else CHECK(!"a size that the test knows");
  return need;
}

static float good_float(const char *name)
{
  return is(name, "level") ? 0.8f : is(name, "y_mean") ? 0.1f : is(name, "y_std") ? 1.5f : 2.0f;
}

/* All arguments but number `skip`. */
static void good_args(const call *c, arg *a, int skip)
{
  int k;
  memset(a, 0, MAX_ARGS * sizeof *a);
  for (k = 0; k < c->n; k++) {
    const char *type = c->param[k].type;
    if (k == skip) continue;
    switch (c->param[k].kind) {
      case 'p': a[k].p = good_pointer(c, k); break;
      case 'g': a[k].g = is(type, "icl_parallel *") ? (void (*)(void))in_turn
                       : is(type, "icl_draw") ? (void (*)(void))draw_line : (void (*)(void))count_hit; break;
      case 'i': a[k].i = good_int(c, k); break;
      case 'f': a[k].f = good_float(c->param[k].name); break;
      case 'z': a[k].z = good_size(c, k); break;
      default:  a[k].u = 1;
    }
  }
}

/* ----- one call ------------------------------------------------------------------------------------- */

static char doing[200];            /* "function.argument = value"                                       */
static long calls_made;

/* A call that crashes is a failed check, and the next one follows. */
static sigjmp_buf back;

static void died(int signal_number) { siglongjmp(back, signal_number); }

static void check(int ok, const char *what)
{
  if (!ok && test_fail(__FILE__, __LINE__, doing)) printf(": %s\n", what);
}

static void check_blocks(long before)
{
  check(blocks == before || crashed, "memory leaks");
  blocks = before;
  crashed = 0;
}

/* 1 if c holds what it held, or nothing where that is allowed. */
static int held(const call *c, const icl_ctx *now, snapshot before, const icl_ctx *const *args, icl_error err)
{
  int k, empty = 0, same;
  for (k = 0; k < c->n; k++)
    empty |= args[k] == now && err == ICL_ERR_NONFINITE && listed(may_empty, COUNT(may_empty), c, k);
  if (empty && now->n_pairs == 0) { free(before.bytes); return 1; }
  same = unchanged(now, before);
  return same;
}

static int report_ok(const call *c, const arg *a, icl_error err)
{
  int k, i;
  for (k = 0; k < c->n; k++) {
    if (!is(c->param[k].type, "icl_report *") || !a[k].p) continue;
    if (w.report.code != err || (err != ICL_OK) != (w.report.text[0] != 0)) return 0;
    for (i = 0; w.report.text[i]; i++)
      if (i > 94 || w.report.text[i] < 32 || w.report.text[i] > 126) return 0;
  }
  return 1;
}

/* What c wrote as predictions and the like is finite: all but the pattern is looked at. */
static int written_finite(const call *c)
{
  int k;
  size_t i;
  if (is(c->name, "icl_train_gradient")) return 1;       /* icl_train_update skips it                 */
  for (k = 0; k < c->n; k++)
    for (i = 0; is(c->param[k].type, "float *") && i < 4 * ROWS; i++)
      if (!icl__finite(&arrays.x[k][i], 1)) return 0;
  return 1;
}

/* Makes the call in doing; returns its result, which is checked for what holds always. */
static arg make_call(const call *c, const arg *a)
{
  arg r;
  snapshot c1, c2;
  const icl_ctx *args[MAX_ARGS];
  int k;
  memset(&r, 0, sizeof r);
  for (k = 0; k < MAX_ARGS; k++)
    args[k] = (const icl_ctx *)(k < c->n && c->param[k].kind == 'p' ? a[k].p : NULL);
  c1 = take(&w.c);
  c2 = take(&w.c2);
  out_before = out;
  arrays_before = arrays;
  calls_made++;
  if (sigsetjmp(back, 1)) {
    check(0, "crashes, or takes 20 s");
    crashed = 1;
    return r;
  }
  alarm(20);
  c->run(a, &r);
  alarm(0);
  if (c->returns != 'e') { free(c1.bytes); free(c2.bytes); return r; }
  check((unsigned)r.i <= ICL_ERROR_MAX, "an unknown code");
  check(report_ok(c, a, (icl_error)r.i), "the report is another one");
  if (r.i == ICL_OK) {
    check(written_finite(c), "OK, and not finite");
    free(c1.bytes);
    free(c2.bytes);
    return r;
  }
  check(held(c, &w.c, c1, args, (icl_error)r.i), "an error changed the context");
  check(held(c, &w.c2, c2, args, (icl_error)r.i), "an error changed the other context");
  check(!memcmp(&out, &out_before, sizeof out), "an error changed an output");
  if (r.i != ICL_ERR_NONFINITE)
    check(!memcmp(&arrays, &arrays_before, sizeof arrays), "an error wrote numbers");
  return r;
}

/* The same in a world of its own; argument k is `value`, others are right.  k < 0: all are. */
static arg one_call(const call *c, int k, arg value)
{
  arg a[MAX_ARGS], r;
  long before = blocks;
  reset_world();
  good_args(c, a, k);
  if (k >= 0) a[k] = value;
  r = make_call(c, a);
  clean_world(c);
  check_blocks(before);
  return r;
}

static int is_zero(const call *c, arg r)
{
  return c->returns == 'p' ? !r.p : c->returns == 'z' ? !r.z
       : c->returns == 'f' ? !(r.f < 0 || r.f > 0) : !r.i;
}

/* ----- the tests ------------------------------------------------------------------------------------ */

/* The next declaration of a header as the generator writes it; NULL at the end. */
static const char *next_declaration(const char **at, char *text, size_t size)
{
  size_t n = 0;
  const char *p = *at;
  do p = strstr(p + 1, "\nICL_API "); while (p && strcspn(p + 1, ";") > strcspn(p + 1, "#"));
  if (!p) return NULL;
  for (p++; n + 1 < size; p++) {
    char ch = *p == '\n' ? ' ' : *p;
    if (ch != ' ' || text[n - 1] != ' ') text[n++] = ch;
    if (ch == ';') break;
  }
  text[n] = 0;
  *at = p;
  return text;
}

static char *slurp(const char *path)
{
  FILE *f = fopen(path, "rb");
  char *text = (char *)calloc(1, 1 << 20);
  if (f && fread(text, 1, (1 << 20) - 1, f) == 0) text[0] = 0;
  if (f) fclose(f);
  return text;
}

TEST(the_table_is_the_headers)
{
  const char *const headers[] = {"icl.h", "icl_train.h"};
  char declaration[600];
  size_t i, at = 0;
  for (i = 0; i < COUNT(headers); i++) {
    char *text = slurp(headers[i]);
    const char *p = text;
    CHECK(text[0]);
    while (next_declaration(&p, declaration, sizeof declaration)) {
      CHECK(at < COUNT(calls));
      if (at < COUNT(calls)) CHECK_STR(calls[at].declaration, declaration);   /* run tests/proof/calls.py */
      at++;
    }
    free(text);
  }
  CHECK_EQ(at, COUNT(calls));
}

TEST(right_calls_work)
{
  static const arg none;
  size_t i;
  for (i = 0; i < COUNT(calls); i++) {
    arg r;
    snprintf(doing, sizeof doing, "%s", calls[i].name);
    r = one_call(&calls[i], -1, none);
    if (calls[i].returns == 'e') CHECK_STR(icl_error_string((icl_error)r.i), "no error");
    if (calls[i].returns == 'p') CHECK(r.p != NULL);
    if (calls[i].returns == 'z') CHECK(r.z > 0 || is(calls[i].name, "icl_sampling_print"));
  }
}

/* What functions without a code say of NULL, where that is not 0. */
static int says_of_null(const call *c, arg r)
{
  if (is(c->name, "icl_isa_name")) return is((const char *)r.p, "none");
  return is(c->name, "icl_trainer_prompt") ? r.i == -1 : is_zero(c, r);
}

TEST(null_pointers)
{
  static const arg null;
  size_t i;
  int k;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++) {
      const call *c = &calls[i];
      char kind = c->param[k].kind;
      int fine = is(c->param[k].type, "icl_report *") || listed(may_be_null, COUNT(may_be_null), c, k);
      arg r;
      if (kind != 'p' && kind != 'g') continue;
      snprintf(doing, sizeof doing, "%s.%s = NULL", c->name, c->param[k].name);
      r = one_call(c, k, null);
      if (c->returns == 'e') check(r.i == (fine ? ICL_OK : ICL_ERR_ARG), icl_error_string((icl_error)r.i));
      else if (!fine) check(says_of_null(c, r), "not 0");
    }
}

/* Models and contexts that were never made. */
TEST(zeroed_objects)
{
  size_t i;
  int k;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++) {
      const call *c = &calls[i];
      const char *type = c->param[k].type;
      arg v, r;
      if (is(type, "const icl_model *")) v.p = &w.zero_model;
      else if (is(type, "const icl_ctx *") || (is(type, "icl_ctx *") && !strstr(c->name, "_init")))
        v.p = &w.zero_ctx;
      else continue;
      if (is(c->name, "icl_ctx_delete")) continue;
      snprintf(doing, sizeof doing, "%s.%s = {0}", c->name, c->param[k].name);
      memset(&w.zero_model, 0, sizeof w.zero_model);
      memset(&w.zero_ctx, 0, sizeof w.zero_ctx);
      r = one_call(c, k, v);
      if (c->returns == 'e') check(r.i == ICL_ERR_ARG, icl_error_string((icl_error)r.i));
    }
}

/* Makes a count that is longer than the arrays an honest one: what is read first is bad. */
static void spoil_first(const call *c, const arg *a)
{
  static const uint32_t nan = 0x7fc00000u;
  int k;
  for (k = 0; k < c->n; k++) {
    if (is(c->param[k].type, "const float *") && !is(c->param[k].name, "params")) memcpy(a[k].p, &nan, 4);
    if (is(c->param[k].type, "icl_ctx *const *")) w.list[1] = NULL;
    if (is(c->param[k].type, "const icl_class *")) w.row[0].name = NULL;
  }
}

static void one_int(const call *c, int k, int v)
{
  arg a[MAX_ARGS], r;
  long before = blocks;
  int array = strstr(c->declaration, "const float *") || is(c->name, "icl_task_parse");
  if (v > ROWS && listed(not_huge, COUNT(not_huge), c, k)) return;
  snprintf(doing, sizeof doing, "%s.%s = %d", c->name, c->param[k].name, v);
  reset_world();
  good_args(c, a, k);
  a[k].i = v;
  if (v > ROWS && array) spoil_first(c, a);
  r = make_call(c, a);
  clean_world(c);
  check_blocks(before);
  if (c->returns != 'e') return;
  if (v < 0) check(r.i == ICL_ERR_ARG, icl_error_string((icl_error)r.i));
  if (v > ROWS && !is(c->name, "icl_ctx_threads")) check(r.i != ICL_OK, "OK");
}

TEST(whole_numbers)
{
  size_t i, j;
  int k;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++) {
      int most = largest(&calls[i], k);
      const int v[] = {INT_MIN, INT_MIN + 1, -1, 0, 1, most - 1, most, most + 1, INT_MAX - 1, INT_MAX};
      if (calls[i].param[k].kind == 'i') for (j = 0; j < COUNT(v); j++) one_int(&calls[i], k, v[j]);
    }
}

TEST(sizes)
{
  size_t i, j;
  int k;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++) {
      const call *c = &calls[i];
      size_t right, v[8];
      if (c->param[k].kind != 'z') continue;
      reset_world();
      right = good_size(c, k);
      v[0] = 0; v[1] = 1; v[2] = right - 1; v[3] = right; v[4] = right + 1; v[5] = SIZE_MAX / 2;
      v[6] = SIZE_MAX - 1;
      v[7] = SIZE_MAX;
      for (j = 0; j < COUNT(v); j++) {
        arg a, r;
        int at_least = !strstr(c->name, "print") && !is(c->name, "icl_replace_file");
        if (j > 4 && listed(not_huge, COUNT(not_huge), c, k)) continue;
        a.z = v[j];
        snprintf(doing, sizeof doing, "%s.%s = %lu", c->name, c->param[k].name, (unsigned long)v[j]);
        r = one_call(c, k, a);
        if (c->returns == 'e' && at_least && v[j] < right) check(r.i != ICL_OK, "OK");
        if (v[j] == right && c->returns == 'e') check(r.i == ICL_OK, icl_error_string((icl_error)r.i));
      }
    }
}

static const uint32_t hard_bits[] = {              /* NaN, signalling NaN, infinities, 0, -0, -1 .. */
  0x7fc00000u, 0x7f800001u, 0x7f800000u, 0xff800000u, 0, 0x80000000u, 0xbf800000u, 1u, 0x80000001u,
  0x007fffffu,
  0x00800000u, 0x7f7fffffu, 0xff7fffffu, 0x7e967699u,
};
enum { N_BAD = 4 };

TEST(floats)
{
  size_t i, j;
  int k;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++)
      for (j = 0; calls[i].param[k].kind == 'f' && j < COUNT(hard_bits); j++) {
        arg v, r;
        memset(&v, 0, sizeof v);
        memcpy(&v.f, &hard_bits[j], 4);
        snprintf(doing, sizeof doing, "%s.%s = %g", calls[i].name, calls[i].param[k].name, (double)v.f);
        r = one_call(&calls[i], k, v);
        if (calls[i].returns == 'e' && j < N_BAD) check(r.i != ICL_OK, "OK");
        if (calls[i].returns == 'f') check(icl__finite(&r.f, 1), "not finite");
      }
}

/* The first and the last number of every array that is read. */
TEST(floats_in_arrays)
{
  size_t i, j;
  int k, last;
  for (i = 0; i < COUNT(calls); i++)
    for (k = 0; k < calls[i].n; k++)
      for (j = 0; j < COUNT(hard_bits); j++)
        for (last = 0; last < 2; last++) {
          const call *c = &calls[i];
          const char *name = c->param[k].name;
          arg a[MAX_ARGS], r;
          long before = blocks;
          int at = !last ? 0 : is(name, "ys") ? 1 : is(name, "xs") || is(name, "queries") ? 3 : 1;
          if (!is(c->param[k].type, "const float *") || is(name, "params") || is(name, "f")) continue;
          if (is(c->name, "icl_train_gradient") || is(c->name, "icl_batch_predict")) at = last ? 4 : 0;
          snprintf(doing, sizeof doing, "%s.%s[%d] = %08x", c->name, name, at, (unsigned)hard_bits[j]);
          reset_world();
          good_args(c, a, -1);
          memcpy((float *)a[k].p + at, &hard_bits[j], 4);
          r = make_call(c, a);
          clean_world(c);
          check_blocks(before);
          if (c->returns == 'e' && j < N_BAD && !is(c->name, "icl_train_gradient"))
            check(r.i != ICL_OK, "OK");
        }
}

/* ----- structs that the caller fills ---------------------------------------------------------------- */

static void *struct_of(const char *type)
{
  return is(type, "icl_config") ? (void *)&w.cfg : is(type, "icl_ctx_options") ? (void *)&w.co
       : is(type, "icl_metadata") ? (void *)&w.md : is(type, "icl_sampling") ? (void *)&w.opt
       : is(type, "icl_train_options") ? (void *)&w.to : (void *)&w.run;
}

/* Value number j of a field; 0 past the last. */
static int field_value(const field *f, int j, arg *v, size_t *width)
{
  static const int ints[] = {INT_MIN, -1, 0, 1, 2, 3, 17, 100, 4096, 1 << 22, INT_MAX - 1, INT_MAX};
  static const int64_t longs[] = {INT64_MIN, -1, 0, 1, INT32_MAX, (int64_t)1 << 40, INT64_MAX};
  memset(v, 0, sizeof *v);
  *width = f->kind == 'i' || f->kind == 'f' ? 4 : f->kind == 'p' ? sizeof(void *) : f->kind == 'g'
         ? sizeof(void (*)(void)) : 8;
  switch (f->kind) {
    case 'i': if (j < (int)COUNT(ints)) v->i = ints[j]; return j < (int)COUNT(ints);
    case 'f':
      if (j < (int)COUNT(hard_bits)) memcpy(&v->f, &hard_bits[j], 4);
      return j < (int)COUNT(hard_bits);
    case 'u': case 'l': if (j < (int)COUNT(longs)) v->l = longs[j]; return j < (int)COUNT(longs);
    default:  return j < 1;
  }
}

static int takes(const call *c, const char *type)
{
  char text[64];
  int k;
  snprintf(text, sizeof text, "const %s *", type);
  for (k = 0; k < c->n; k++) if (is(c->param[k].type, text)) return 1;
  return 0;
}

/* Steps of a trainer that was made with odd options: no crash. */
static void step_made(void)
{
  int i;
  if (sigsetjmp(back, 1)) { check(0, "its first step crashes, or takes 20 s"); crashed = 1; return; }
  alarm(20);
  for (i = 0; out.trainer && !out.trainer->o.own_prompts && out.trainer->o.batch <= 4096 && i < 2; i++)
    icl_train_step(out.trainer, NULL);
  alarm(0);
}

static void one_field(const call *c, const field *f, arg v, size_t width)
{
  arg a[MAX_ARGS];
  long before = blocks;
  unsigned char kept[16];
  unsigned char *at;
  reset_world();
  at = (unsigned char *)struct_of(f->in) + f->at;
  memcpy(kept, at, width);
  good_args(c, a, -1);
  memcpy(at, &v, width);
  make_call(c, a);
  step_made();
  memcpy(at, kept, width);
  clean_world(c);
  check_blocks(before);
}

TEST(fields_of_structs)
{
  size_t i, n, width;
  int j;
  arg v;
  for (n = 0; n < COUNT(fields); n++)
    for (i = 0; i < COUNT(calls); i++)
      for (j = 0; takes(&calls[i], fields[n].in) && field_value(&fields[n], j, &v, &width); j++) {
        snprintf(doing, sizeof doing, "%s: %s.%s, value %d", calls[i].name, fields[n].in, fields[n].name, j);
        one_field(&calls[i], &fields[n], v, width);
      }
}

static void remove_files(void)
{
  char lock[120];
  snprintf(lock, sizeof lock, "%s.lock", out_path);
  remove(model_path); remove(state_path); remove(out_path); remove(lock);
  rmdir(folder);
}

int main(void)
{
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (!mkdtemp(folder)) return 2;
  snprintf(model_path, sizeof model_path, "%s/model", folder);
  snprintf(state_path, sizeof state_path, "%s/state", folder);
  snprintf(out_path, sizeof out_path, "%s/out", folder);
  signal(SIGSEGV, died); signal(SIGFPE, died); signal(SIGBUS, died); signal(SIGABRT, died);
  signal(SIGALRM, died);
  make_world();
  RUN(the_table_is_the_headers);
  RUN(right_calls_work);
  RUN(null_pointers);
  RUN(zeroed_objects);
  RUN(whole_numbers);
  RUN(sizes);
  RUN(floats);
  RUN(floats_in_arrays);
  RUN(fields_of_structs);
  remove_files();
  printf("misuse: %ld calls of %d functions\n", calls_made, (int)COUNT(calls));
  return test_report("misuse");
}
