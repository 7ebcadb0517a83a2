/* What no other test reaches: arguments that are refused, numbers that overflow on the way, threads that do
 * not start or come late, disks that fail.  tests/proof/coverage.py says what is missing. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined __linux__ && defined __GLIBC__
#include <pthread.h>
#include <unistd.h>
#define HAVE_COOKIES 1

/* How files fail that are opened for writing: not, in fwrite, in fclose, or they are not where they should be;
 * and how many threads still start (-1: all). */
enum { DISK_WORKS, DISK_FULL, DISK_FULL_AT_END, DISK_FULL_TWICE, DISK_ELSEWHERE };
static int disk, threads_allowed = -1;

static ssize_t cookie_write(void *cookie, const char *data, size_t n)
{
  (void)cookie, (void)data;
  errno = ENOSPC;
  return disk == DISK_FULL_AT_END ? (ssize_t)n : 0;
}

static int cookie_close(void *cookie)
{
  (void)cookie;
  errno = EDQUOT;
  return disk == DISK_FULL ? 0 : -1;
}

static FILE *open_disk(const char *path, const char *mode)
{
  cookie_io_functions_t io = {NULL, NULL, NULL, NULL};
  FILE *f;
  io.write = cookie_write;
  io.close = cookie_close;
  if (*mode != 'w' || disk == DISK_WORKS) return fopen(path, mode);
  if (disk == DISK_ELSEWHERE) return fopen("/dev/null", "wb");
  f = fopencookie(NULL, "wb", io);
  if (f) setvbuf(f, NULL, _IONBF, 0);
  return f;
}

static int start_thread(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
  if (threads_allowed == 0) return EAGAIN;
  threads_allowed -= threads_allowed > 0;
  return pthread_create(t, a, f, arg);
}

#define pthread_create start_thread
#define ICL_FOPEN(path, mode) open_disk(path, mode)
#ifndef ICL_TRAIN_THREADS
#define ICL_TRAIN_THREADS
#endif
#else
#define HAVE_COOKIES 0
#endif
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

#define COUNT(a) (sizeof (a) / sizeof *(a))

static void *need(size_t n)
{
  void *p = calloc(1, n + 1);
  if (!p) exit(3);
  return p;
}

static int same(const float *a, const float *b, size_t n) { return !memcmp(a, b, n * sizeof *a); }

/* ----- models ----------------------------------------------------------------------------------- */

typedef struct made { icl_model m; float *params; void *mem; } made;

static icl_config config_of(int d, int C, int H, icl_position position)
{
  icl_config c;
  memset(&c, 0, sizeof c);
  c.n_dims = d;
  c.n_embd = C;
  c.n_head = H;
  c.n_layer = c.n_out = 1;
  c.n_positions = 9;
  c.position_embedding_type = position;
  c.layer_norm_epsilon = 1e-5f;
  return c;
}

static icl_config with_levels(icl_config c, float a, float b, float e)
{
  c.n_quantiles = 3;
  c.n_out = 4;
  c.quantiles[0] = a; c.quantiles[1] = b; c.quantiles[2] = e;
  return c;
}

/* A model whose weights are 0, but for LayerNorms' gains: 1. */
static made empty_model(const icl_config *cfg)
{
  made x;
  float *at;
  icl_tensor t;
  int i;
  x.params = at = (float *)need(icl_param_count(cfg) * sizeof *x.params);
  x.mem = need(icl_bind_bytes(cfg));
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    size_t n, k;
    icl_tensor_at(cfg, i, &t);
    n = (size_t)t.rows * (size_t)t.cols;
    for (k = 0; k < n; k++) at[k] = strstr(t.name, "ln_") && strstr(t.name, "weight") ? 1.0f : 0.0f;
    at += n;
  }
  CHECK_EQ(icl_model_bind(&x.m, cfg, x.params, x.mem, icl_bind_bytes(cfg)), ICL_OK);
  return x;
}

/* The same with weights of all signs. */
static made any_model(const icl_config *cfg)
{
  made x = empty_model(cfg);
  size_t i;
  for (i = 0; i < x.m.n_params; i++) x.params[i] += (float)((i * 37 + 11) % 19) / 16 - 0.55f;
  return x;
}

/* The numbers of a tensor. */
static float *tensor(const made *x, const char *name)
{
  float *at = x->params;
  icl_tensor t;
  int i;
  for (i = 0; !icl_tensor_at(&x->m.config, i, &t); i++) {
    if (!strcmp(t.name, name)) return at;
    at += (size_t)t.rows * (size_t)t.cols;
  }
  exit(4);
}

static void set(float *to, size_t n, ...)
{
  va_list args;
  va_start(args, n);
  for (; n; n--) *to++ = (float)va_arg(args, double);
  va_end(args);
}

static void drop(made *x)
{
  free(x->params);
  free(x->mem);
}

static icl_ctx *context(const icl_model *m, int pairs, int batch, icl_storage kv)
{
  icl_ctx_options o;
  icl_ctx *c = NULL;
  memset(&o, 0, sizeof o);
  o.max_pairs = pairs;
  o.queries_at_once = batch;
  o.kv = kv;
  CHECK_EQ(icl_ctx_new_with(&c, m, &o, NULL), ICL_OK);
  if (!c) exit(5);
  return c;
}

static const float few_x[] = {0.5f, -1, 2, 0.25f}, few_y[] = {1, -0.5f, 0.75f, 0};

static icl_ctx *context_of(const icl_model *m, int pairs)
{
  icl_ctx *c = context(m, 8, 4, ICL_STORE_F32);
  CHECK_EQ(icl_add_batch(c, pairs, few_x, few_y), ICL_OK);
  return c;
}

/* ----- numbers and texts ----------------------------------------------------------------------------- */

TEST(sizes_that_do_not_fit)
{
  static unsigned char mem[200];
  icl__arena a = icl__arena_on(mem);
  unsigned char *first = (unsigned char *)icl__take(&a, 5, 0);
  CHECK(first == icl__take(&a, 1, 1));
  CHECK_EQ(a.used, 64);
  CHECK(icl__take(&a, SIZE_MAX, 4) == NULL && a.used == SIZE_MAX);
  CHECK(icl__take(&a, 1, 1) == NULL && a.used == SIZE_MAX);
  CHECK(icl__plus(SIZE_MAX, 1) == SIZE_MAX && icl__plus(SIZE_MAX - 1, 1) == SIZE_MAX && icl__plus(3, 4) == 7);
}

/* Of a reason that leaves no room for the name, 16 characters of the name stay. */
TEST(a_long_reason)
{
  char why[250];
  icl_report r;
  memset(why, 'w', sizeof why - 1);
  why[sizeof why - 1] = 0;
  CHECK_EQ(icl__fail_io(&r, 7, "cannot", "a name that is far too long", why), ICL_ERR_IO);
  CHECK_EQ(r.offset, 7);
  CHECK(!strncmp(r.text, "cannot 'a nam.. too long': www", 30));
  CHECK_EQ(strlen(r.text), sizeof r.text - 1);
  CHECK_EQ(icl__fail_io(NULL, 0, "cannot", "name", why), ICL_ERR_IO);
}

/* ----- files -------------------------------------------------------------------------------------- */

/* A checkpoint of a model; size in *n. */
static unsigned char *written(const made *x, const icl_metadata *md, size_t *n)
{
  unsigned char *file;
  *n = icl_write_bytes(&x->m.config, md);
  file = (unsigned char *)need(*n);
  CHECK_EQ(icl_write(file, *n, &x->m.config, x->params, md), ICL_OK);
  return file;
}

/* 4096 couples of typical surprise are the most. */
TEST(the_most_typical)
{
  enum { MOST = 4096 };
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  icl_metadata md;
  char *text = (char *)need(8 * (MOST + 1)), *at = text;
  made x = any_model(&cfg);
  unsigned char *file, *mem;
  icl_model m;
  size_t n, size;
  int i;
  memset(&md, 0, sizeof md);
  md.typical = text;
  for (i = 0; i < MOST; i++) at += sprintf(at, i ? " -1 %d" : "-1 %d", i % 10);
  file = written(&x, &md, &n);
  CHECK_EQ(icl_inspect(file, n, NULL, &size, NULL), ICL_OK);
  mem = (unsigned char *)need(size);
  CHECK_EQ(icl_model_init(&m, file, n, mem, size, NULL), ICL_OK);
  CHECK_EQ(m.n_typical, MOST);
  CHECK(m.typical[0] == -0.001f && m.typical[2 * MOST - 1] == (float)((MOST - 1) % 10) / 1000.0f);
  strcpy(at, " -1 2");
  CHECK_EQ(icl_write_bytes(&cfg, &md), 0);
  free(mem);
  free(file);
  free(text);
  drop(&x);
}

/* The last member of the last tensor is its dtype: the header ends 3 characters after a quote. */
TEST(a_dtype_at_the_end)
{
  static const char tail[] = "{\"shape\":[1],\"data_offsets\":[%u,%u],\"dtype\":\"F32\"}}";
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  char *header, *brace;
  size_t n, size, bytes = 4 * x.m.n_params;
  unsigned char *file = written(&x, NULL, &n);
  icl_report r;
  header = (char *)need(n + 100);
  memcpy(header, file + 8, n - 8 - bytes);
  brace = strstr(header, "\"_read_out.bias\":") + 17;
  size = (size_t)(brace - header) + (size_t)sprintf(brace, tail, (unsigned)bytes - 4, (unsigned)bytes);
  icl__put_le(file, size, 8);
  memmove(file + 8 + size, file + n - bytes, bytes);
  memcpy(file + 8, header, size);
  CHECK_EQ(icl_inspect(file, 8 + size + bytes, NULL, NULL, &r), ICL_OK);
  CHECK_STR(r.text, "");
  free(header);
  free(file);
  drop(&x);
}

TEST(models_that_are_none)
{
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  float *params = (float *)need(x.m.n_params * sizeof *params);
  icl_model none;
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_model_storage(NULL), ICL_STORE_F32);
  CHECK_EQ(icl_model_storage(&x.m), ICL_STORE_F32);
  CHECK_EQ(icl_model_params(&none, params), ICL_ERR_ARG);
  CHECK_EQ(icl_model_params(&x.m, params), ICL_OK);
  CHECK(same(params, x.params, x.m.n_params));
  free(params);
  drop(&x);
}

/* ----- contexts ---------------------------------------------------------------------------------- */

static void run_in_order(void *user, int n, void (*task)(void *, int), void *arg)
{
  int i;
  (void)user;
  for (i = 0; i < n; i++) task(arg, i);
}

/* I8 weights have their scales shared out too. */
TEST(threads_on_i8_weights)
{
  icl_config cfg = config_of(1, 64, 2, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  icl_metadata md;
  icl_model m;
  unsigned char *file, *mem;
  size_t n, size = 0;
  float one[8], many[8], at[8];
  icl_ctx *c;
  int i, plain;
  memset(&md, 0, sizeof md);
  md.storage = ICL_STORE_I8;
  file = written(&x, &md, &n);
  CHECK_EQ(icl_inspect(file, n, NULL, &size, NULL), ICL_OK);
  mem = (unsigned char *)need(size);
  CHECK_EQ(icl_model_init(&m, file, n, mem, size, NULL), ICL_OK);
  CHECK_EQ(icl_model_storage(&m), ICL_STORE_I8);
  for (i = 0; i < 8; i++) at[i] = (float)i / 4 - 1;
  for (plain = 0; plain < 2; plain++) {
    if (plain) icl_force_plain(&m);
    c = context(&m, 8, 8, ICL_STORE_F32);
    CHECK_EQ(icl_ask(c, 4, few_x, few_y, 8, at, one), ICL_OK);
    CHECK_EQ(icl_rewind(c, 0), ICL_OK);
    CHECK_EQ(icl_ctx_threads(c, 3, run_in_order, NULL), ICL_OK);
    CHECK_EQ(icl_ask(c, 4, few_x, few_y, 8, at, many), ICL_OK);
    CHECK(same(one, many, 8));
    icl_ctx_delete(c);
  }
  free(mem);
  free(file);
  drop(&x);
}

/* The panel for the read-in is wider than those of all layers. */
TEST(more_inputs_than_hidden_units)
{
  icl_config cfg = config_of(64, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  float in[8 * 64], y[8], one;
  icl_ctx *c = context(&x.m, 4, 8, ICL_STORE_F32);
  int i;
  for (i = 0; i < 8 * 64; i++) in[i] = (float)(i * 7 % 31) / 16 - 1;
  CHECK_EQ(icl_add_batch(c, 4, in, few_y), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, 8, in, y), ICL_OK);
  for (i = 0; i < 8; i++) {
    CHECK_EQ(icl_predict(c, in + 64 * i, &one), ICL_OK);
    CHECK(same(y + i, &one, 1));
  }
  icl_ctx_delete(c);
  drop(&x);
}

/* 25 rows for each of 26 threads leave the last one none of 625. */
TEST(threads_without_a_share)
{
  enum { N = 625 };
  icl_config cfg = config_of(1, 26, 26, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  float *in = (float *)need(N * sizeof *in), *one = (float *)need(N * sizeof *one), *many = (float *)need(N * sizeof *many);
  icl_ctx *c;
  int i;
  icl_force_plain(&x.m);
  c = context(&x.m, 4, N, ICL_STORE_F32);
  for (i = 0; i < N; i++) in[i] = (float)i / 300 - 1;
  CHECK_EQ(icl_add_batch(c, 4, few_x, few_y), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, N, in, one), ICL_OK);
  CHECK_EQ(icl_ctx_threads(c, 26, run_in_order, NULL), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, N, in, many), ICL_OK);
  CHECK(same(one, many, N));
  icl_ctx_delete(c);
  free(in);
  free(one);
  free(many);
  drop(&x);
}

/* x tokens become (1, -1) after LayerNorm, y tokens (-1, 1); `at` is where in c_attn the values or keys of
 * y tokens overflow, while those of x tokens are about 0. */
static void check_overflow_of_y(int at, icl_storage kv)
{
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = empty_model(&cfg);
  float *w = tensor(&x, "_backbone.h.0.attn.c_attn.weight"), one = 1, most = kv == ICL_STORE_F16 ? 6e4f : 3e38f;
  icl_ctx *c = context(&x.m, 4, 4, kv);
  set(tensor(&x, "_read_in.weight"), 2, 1.0, -1.0);
  w[at] = -most;
  tensor(&x, "_backbone.h.0.attn.c_attn.bias")[at] = most;
  CHECK_EQ(icl_add(c, &one, -1.0f), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  CHECK_EQ(icl_add(c, &one, 1.0f), ICL_OK);
  icl_ctx_delete(c);
  drop(&x);
}

TEST(a_cache_that_overflows)
{
  int kv;
  for (kv = 0; kv < 4; kv++) {
    check_overflow_of_y(2, (icl_storage)kv);
    check_overflow_of_y(4, (icl_storage)kv);
  }
}

/* The answer depends on the number of pairs alone: 0 of none, -1 of one. */
TEST(a_check_that_overflows)
{
  static const float x[2] = {0, 0}, y[2] = {3.3e38f, 0};
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_ALTERNATING);
  made m = empty_model(&cfg);
  float *qkv = tensor(&m, "_backbone.h.0.attn.c_attn.weight"), rmse = 77, answer;
  icl_ctx *c = context(&m.m, 4, 4, ICL_STORE_F32);
  set(tensor(&m, "_backbone.wpe.weight"), 4, 1.0, -1.0, -1.0, 1.0);
  qkv[4] = 3;
  qkv[5] = -3;
  set(tensor(&m, "_backbone.h.0.attn.c_attn.bias") + 4, 2, -3.0, 3.0);
  set(tensor(&m, "_backbone.h.0.attn.c_proj.weight"), 4, 1.0, 0.0, 0.0, 1.0);
  set(tensor(&m, "_read_out.weight"), 2, 0.5, 0.0);
  set(tensor(&m, "_read_out.bias"), 1, -0.5);
  CHECK_EQ(icl_add_batch(c, 2, x, few_y), ICL_OK);
  CHECK_EQ(icl_check(c, &rmse), ICL_OK);
  c->inputs[1] = INFINITY;                     /* as if a caller had written there */
  CHECK_EQ(icl_check(c, &rmse), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  rmse = 77;
  CHECK_EQ(icl_ctx_scale(c, NULL, NULL, 0, 3e38f), ICL_OK);
  CHECK_EQ(icl_predict(c, x, &answer), ICL_OK);
  CHECK_NEAR(answer, 0, 1e34);
  CHECK_EQ(icl_add_batch(c, 2, x, y), ICL_OK);
  CHECK_NEAR(icl_residuals(c)[1], 3e38, 1e34);
  CHECK_EQ(icl_check(c, &rmse), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_count(c), 0);
  CHECK(rmse == 77);
  icl_ctx_delete(c);
  drop(&m);
}

TEST(copies_that_are_refused)
{
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg), other = any_model(&cfg);
  icl_ctx *a = context_of(&x.m, 3), *b = context_of(&other.m, 1), *i8 = context(&x.m, 8, 1, ICL_STORE_I8);
  icl_ctx *little = context(&x.m, 2, 1, ICL_STORE_F32), none;
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_ctx_copy(NULL, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_copy(a, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_copy(&none, a), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_copy(a, &none), ICL_ERR_ARG);
  CHECK_EQ(icl_ctx_copy(b, a), ICL_ERR_STATE);
  CHECK_EQ(icl_ctx_copy(i8, a), ICL_ERR_STATE);
  CHECK_EQ(icl_ctx_copy(little, a), ICL_ERR_FULL);
  CHECK_EQ(icl_ctx_copy(a, a), ICL_OK);
  CHECK(icl_count(a) == 3 && icl_count(b) == 1 && icl_count(little) == 0);
  icl_ctx_delete(a);
  icl_ctx_delete(b);
  icl_ctx_delete(i8);
  icl_ctx_delete(little);
  drop(&x);
  drop(&other);
}

TEST(many_that_are_refused)
{
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg), other = any_model(&cfg);
  icl_ctx *a = context_of(&x.m, 3), *b = context_of(&other.m, 1), *fine = context(&x.m, 2, 2, ICL_STORE_F32), none;
  icl_ctx *all[6], *mixed[2];
  float in[6] = {1, 2, 3, 4, 5, 6}, out[6], std = 1e-3f, alone;
  int i;
  memset(&none, 0, sizeof none);
  for (i = 0; i < 6; i++) all[i] = i == 1 ? fine : a;
  mixed[0] = a;
  mixed[1] = b;
  CHECK_EQ(icl_predict_many(NULL, 1, all, in, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(&none, 1, all, in, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(a, -1, all, in, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(a, 1, NULL, in, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(a, 1, all, NULL, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(a, 1, all, in, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(a, 0, NULL, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict_many(a, 2, mixed, in, out), ICL_ERR_ARG);
  mixed[1] = NULL;
  CHECK_EQ(icl_predict_many(a, 2, mixed, in, out), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_many(fine, 6, all, in, out), ICL_OK);
  CHECK_EQ(icl_predict(fine, in + 1, &alone), ICL_OK);
  CHECK(same(out + 1, &alone, 1));
  CHECK_EQ(icl_ctx_scale(fine, NULL, &std, 0, 1), ICL_OK);      /* in pass 1 of 3: x / std overflows */
  in[1] = 3e38f;
  CHECK_EQ(icl_predict_many(fine, 6, all, in, out), ICL_ERR_NONFINITE);
  in[1] = 1;
  in[5] = INFINITY;
  CHECK_EQ(icl_predict_many(fine, 6, all, in, out), ICL_ERR_NONFINITE);
  icl_ctx_delete(a);
  icl_ctx_delete(b);
  icl_ctx_delete(fine);
  drop(&x);
  drop(&other);
}

/* ----- quantiles, refinement, images ------------------------------------------------------------------- */

TEST(quantiles_that_are_refused)
{
  icl_config cfg = with_levels(config_of(1, 2, 1, ICL_POSITION_NONE), 0.125f, 0.5f, 0.625f);
  made x = any_model(&cfg);
  icl_ctx *c = context_of(&x.m, 2), none;
  float in[2] = {1, 2}, y[2], lo[2], hi[2], qs[6];
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_predict_quantiles(NULL, 2, in, qs), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(&none, 2, in, qs), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, -1, in, qs), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, 2, NULL, qs), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, 2, in, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_quantiles(c, 0, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict_quantiles(c, 2, in, qs), ICL_OK);
  CHECK_EQ(icl_predict_interval(NULL, 2, in, 0, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(&none, 2, in, 0, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, -1, in, 0, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 2, NULL, 0, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 2, in, 0, NULL, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 2, in, 0, y, NULL, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 2, in, 0, y, lo, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 0, NULL, 0, NULL, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict_interval(c, 2, in, -0.1f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_interval(c, 2, in, 0.9f, y, lo, hi), ICL_ERR_ARG);       /* 0.05 is too low   */
  CHECK_EQ(icl_predict_interval(c, 2, in, 0.5f, y, lo, hi), ICL_ERR_ARG);       /* 0.75 is too high  */
  CHECK_EQ(icl_predict_interval(c, 2, in, 0.25f, y, lo, hi), ICL_OK);
  icl_ctx_delete(c);
  drop(&x);
}

TEST(refinement_that_is_refused)
{
  icl_config cfg = with_levels(config_of(1, 2, 1, ICL_POSITION_NONE), 0.25f, 0.5f, 0.75f);
  made x = any_model(&cfg), other = any_model(&cfg);
  icl_ctx *c = context_of(&x.m, 3), *r = context(&x.m, 3, 1, ICL_STORE_F32), *far = context_of(&other.m, 1), none;
  icl_ctx *little = context(&x.m, 2, 1, ICL_STORE_F32);
  float in[2] = {1, 2}, y[2], lo[2], hi[2];
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_refine(NULL, c), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(r, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(c, c), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(r, &none), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(&none, c), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(far, c), ICL_ERR_ARG);
  CHECK_EQ(icl_refine(c, r), ICL_ERR_STATE);
  CHECK_EQ(icl_refine(little, c), ICL_ERR_FULL);
  CHECK_EQ(icl_refine(r, c), ICL_OK);
  CHECK_EQ(icl_predict_refined(NULL, r, 2, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, NULL, 2, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(&none, r, 2, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, far, 2, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, -1, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 2, in, 0.5f, y, NULL, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 2, in, 0.5f, y, lo, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 2, NULL, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 2, in, 0.5f, NULL, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 0, NULL, 0.5f, NULL, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_predict_refined(c, r, 2, in, 0.9f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_refined(c, r, 2, in, 0.5f, y, lo, hi), ICL_OK);
  CHECK(lo[0] <= hi[0] && lo[1] <= hi[1]);
  icl_ctx_delete(c);
  icl_ctx_delete(r);
  icl_ctx_delete(far);
  icl_ctx_delete(little);
  drop(&x);
  drop(&other);
}

/* The residuals of an image of y have a negative scale too, and so the refined image is the image of the
 * refined context: with weights that answer 0 whatever comes, it is 0 on both sides. */
TEST(refinement_of_an_image)
{
  icl_config cfg = with_levels(config_of(1, 2, 1, ICL_POSITION_NONE), 0.25f, 0.5f, 0.75f);
  made x = empty_model(&cfg);
  icl_ctx *c = context_of(&x.m, 3), *image = context(&x.m, 3, 1, ICL_STORE_F32), *r = context(&x.m, 3, 1, ICL_STORE_F32);
  float y[2], mean = (few_y[0] + few_y[1] + few_y[2]) / 3;
  CHECK_EQ(icl_mirror(image, c, ICL_MIRROR_Y), ICL_OK);
  CHECK_EQ(icl_refine(r, image), ICL_OK);
  CHECK_NEAR(r->y_scale[0], mean, 1e-6);
  CHECK(r->y_scale[1] < 0);
  CHECK_EQ(icl_predict_refined(image, r, 2, few_x, 0, y, NULL, NULL), ICL_OK);
  CHECK_NEAR(y[0], mean, 1e-6);
  CHECK_NEAR(y[1], mean, 1e-6);
  icl_ctx_delete(c);
  icl_ctx_delete(image);
  icl_ctx_delete(r);
  drop(&x);
}

TEST(images_that_are_refused)
{
  icl_config even = with_levels(config_of(1, 2, 1, ICL_POSITION_NONE), 0.25f, 0.5f, 0.75f);
  icl_config odd = with_levels(even, 0.125f, 0.5f, 0.625f);
  made x = any_model(&even), other = any_model(&odd);
  icl_ctx *c = context_of(&x.m, 3), *m = context(&x.m, 3, 1, ICL_STORE_F32), *little = context(&x.m, 2, 1, ICL_STORE_F32);
  icl_ctx *lopsided = context_of(&other.m, 2), *image = context(&other.m, 3, 1, ICL_STORE_F32), none;
  memset(&none, 0, sizeof none);
  CHECK_EQ(icl_mirror(NULL, c, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(m, NULL, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(c, c, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(m, &none, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(lopsided, c, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(m, c, 4), ICL_ERR_ARG);
  CHECK_EQ(icl_mirror(little, c, 0), ICL_ERR_FULL);
  CHECK_EQ(icl_mirror(image, lopsided, ICL_MIRROR_Y), ICL_ERR_CONFIG);
  CHECK_EQ(icl_mirror(image, lopsided, ICL_MIRROR_X), ICL_OK);
  CHECK_EQ(icl_mirror(m, c, ICL_MIRROR_X | ICL_MIRROR_Y), ICL_OK);
  CHECK(m->x_std[0] == -1 && m->y_scale[1] == -1 && icl_count(m) == 3);
  icl_ctx_delete(c);
  icl_ctx_delete(m);
  icl_ctx_delete(little);
  icl_ctx_delete(lopsided);
  icl_ctx_delete(image);
  drop(&x);
  drop(&other);
}

/* The mean of a context and its image, in three passes, and of what is wrong with it. */
TEST(means)
{
  enum { N = 130 };
  icl_config cfg = with_levels(config_of(1, 2, 1, ICL_POSITION_NONE), 0.25f, 0.5f, 0.75f);
  made x = any_model(&cfg), other = any_model(&cfg);
  icl_ctx *c = context_of(&x.m, 3), *m = context(&x.m, 3, 4, ICL_STORE_F32), *r = context(&x.m, 3, 4, ICL_STORE_F32);
  icl_ctx *far = context_of(&other.m, 1), *cs[2], *rs[2] = {NULL, NULL}, none;
  float in[N], y[N], lo[N], hi[N], a[N], b[N], low[2][N], high[2][N];
  int i;
  memset(&none, 0, sizeof none);
  for (i = 0; i < N; i++) in[i] = (float)i / 64 - 1;
  cs[0] = c;
  cs[1] = m;
  CHECK_EQ(icl_mirror(m, c, ICL_MIRROR_X), ICL_OK);
  CHECK_EQ(icl_refine(r, c), ICL_OK);
  CHECK_EQ(icl_predict_mean(0, cs, NULL, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, NULL, NULL, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, NULL, -1, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.5f, y, NULL, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, NULL, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.5f, NULL, lo, hi), ICL_ERR_ARG);
  CHECK_EQ(icl_predict_mean(2, cs, NULL, 0, NULL, 0.5f, NULL, NULL, NULL), ICL_OK);
  cs[1] = NULL;
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  cs[1] = &none;
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  cs[1] = far;
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  cs[1] = m;
  CHECK_EQ(icl_predict_mean(2, cs, NULL, N, in, 0.9f, y, lo, hi), ICL_ERR_ARG);
  rs[1] = far;
  y[0] = 42;
  CHECK_EQ(icl_predict_mean(2, cs, rs, N, in, 0.5f, y, lo, hi), ICL_ERR_ARG);
  CHECK(y[0] == 42);
  rs[1] = NULL;
  rs[0] = r;
  CHECK_EQ(icl_predict_mean(2, cs, rs, N, in, 0.5f, y, lo, hi), ICL_OK);
  CHECK_EQ(icl_predict_refined(c, r, N, in, 0.5f, a, low[0], high[0]), ICL_OK);
  CHECK_EQ(icl_predict_interval(m, N, in, 0.5f, b, low[1], high[1]), ICL_OK);
  for (i = 0; i < N; i++) {
    CHECK_NEAR(y[i], (a[i] + b[i]) / 2, 1e-6);
    CHECK_NEAR(lo[i], (low[0][i] + low[1][i]) / 2, 1e-6);
    CHECK_NEAR(hi[i], (high[0][i] + high[1][i]) / 2, 1e-6);
  }
  icl_ctx_delete(c);
  icl_ctx_delete(m);
  icl_ctx_delete(r);
  icl_ctx_delete(far);
  drop(&x);
  drop(&other);
}

/* ----- threads and disks ------------------------------------------------------------------------------ */

#if HAVE_COOKIES
/* Two tasks that must run at the same time; the one of a thread that was started takes its time. */
typedef struct late { pthread_mutex_t lock; int begun, done; pthread_t caller; } late;

static int count(late *l, int *what)
{
  int n;
  pthread_mutex_lock(&l->lock);
  n = ++*what;
  pthread_mutex_unlock(&l->lock);
  return n;
}

static void late_task(void *arg, int i)
{
  late *l = (late *)arg;
  int both = count(l, &l->begun) == 2;
  (void)i;
  while (!both) {
    pthread_mutex_lock(&l->lock);
    both = l->begun == 2;
    pthread_mutex_unlock(&l->lock);
  }
  if (!pthread_equal(pthread_self(), l->caller)) usleep(30000);
  count(l, &l->done);
}

TEST(a_thread_that_is_late)
{
  icl_threads *t;
  late l;
  memset(&l, 0, sizeof l);
  pthread_mutex_init(&l.lock, NULL);
  l.caller = pthread_self();
  CHECK_EQ(icl_threads_new(&t, 2), ICL_OK);
  icl_threads_run(t, 2, late_task, &l);
  CHECK_EQ(l.done, 2);
  icl_threads_run(t, 0, late_task, &l);
  icl_threads_run(t, -1, late_task, &l);
  CHECK_EQ(l.done, 2);
  icl_threads_delete(t);
  icl_threads_delete(NULL);
  pthread_mutex_destroy(&l.lock);
}

static void mark(void *arg, int i) { ((int *)arg)[i]++; }

TEST(threads_that_do_not_start)
{
  int allowed;
  for (allowed = 0; allowed < 3; allowed++) {
    icl_threads *t;
    int ran[5] = {0, 0, 0, 0, 0}, i;
    threads_allowed = allowed;
    CHECK_EQ(icl_threads_new(&t, 4), ICL_OK);
    threads_allowed = -1;
    icl_threads_run(t, 5, mark, ran);
    for (i = 0; i < 5; i++) CHECK_EQ(ran[i], 1);
    icl_threads_delete(t);
  }
}

static char folder[] = "/tmp/icl-paths-XXXXXX", path[60];

static const char *in_folder(const char *name)
{
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

/* Saves with a disk that fails somehow: the old file stays, and nothing is left beside it. */
static void check_disk(const made *x, int how, const char *says)
{
  icl_report r;
  icl_model *m = NULL;
  char expected[300];
  snprintf(expected, sizeof expected, "cannot write '%s': %s", in_folder("m.st"), says);
  disk = how;
  CHECK_EQ(icl_save(in_folder("m.st"), &x->m.config, x->params, NULL, &r), ICL_ERR_IO);
  disk = DISK_WORKS;
  CHECK_STR(r.text, expected);
  CHECK(access(in_folder("m.st.tmp00"), F_OK) != 0);
  CHECK_EQ(icl_load(&m, in_folder("m.st"), NULL), ICL_OK);
  icl_unload(m);
}

TEST(disks_that_fail)
{
  icl_config cfg = config_of(1, 2, 1, ICL_POSITION_NONE);
  made x = any_model(&cfg);
  icl_report r;
  char expected[300];
  int i;
  if (!mkdtemp(folder)) SKIP("no temporary folder");
  CHECK_EQ(icl_save(in_folder("m.st"), &cfg, x.params, NULL, &r), ICL_OK);
  check_disk(&x, DISK_FULL, "No space left on device");
  check_disk(&x, DISK_FULL_AT_END, "Disk quota exceeded");
  check_disk(&x, DISK_FULL_TWICE, "No space left on device");
  check_disk(&x, DISK_ELSEWHERE, "No such file or directory");
  for (i = 0; i < 100; i++) {
    char name[20];
    FILE *f;
    sprintf(name, "n.st.tmp%02d", i);
    f = fopen(in_folder(name), "wb");
    if (f) fclose(f);
  }
  CHECK_EQ(icl_save(in_folder("n.st"), &cfg, x.params, NULL, &r), ICL_ERR_IO);
  snprintf(expected, sizeof expected, "cannot create '%s': File exists", in_folder("n.st.tmp99"));
  CHECK_STR(r.text, expected);
  for (i = 0; i < 100; i++) {
    char name[20];
    sprintf(name, "n.st.tmp%02d", i);
    CHECK_EQ(remove(in_folder(name)), 0);
  }
  CHECK_EQ(remove(in_folder("m.st")), 0);
  CHECK_EQ(rmdir(folder), 0);
  drop(&x);
}

/* icl_load reads the header on its own before the rest. */
TEST(files_with_bad_headers)
{
  static const unsigned char bytes[] = "\4\0\0\0\0\0\0\0{1} ";
  char name[] = "/tmp/icl-paths-XXXXXX";
  int file = mkstemp(name);
  icl_model *m = NULL;
  icl_report r;
  if (file < 0) SKIP("no temporary file");
  CHECK(write(file, bytes, 12) == 12 && !close(file));
  CHECK_EQ(icl_load(&m, name, &r), ICL_ERR_FORMAT);
  CHECK_STR(r.text, "expected a string");
  CHECK_EQ(r.offset, 9);
  CHECK(m == NULL);
  remove(name);
}
#else
TEST(a_thread_that_is_late) { SKIP("needs Linux"); }
TEST(threads_that_do_not_start) { SKIP("needs Linux"); }
TEST(disks_that_fail) { SKIP("needs Linux"); }
TEST(files_with_bad_headers) { SKIP("needs Linux"); }
#endif

/* Three steps on two threads, which use packed weights where kernels have them; the same bits as on one. */
TEST(training)
{
  icl_trainer *t[2];
  icl_train_options o;
  icl_train_info info;
  int i, k;
  memset(&o, 0, sizeof o);
  o.task = "dense";
  o.model.n_dims = o.model.n_layer = o.model.n_head = 1;
  o.model.n_embd = 8;
  o.pairs = 3;
  o.batch = 4;
  o.steps = 10;
  for (i = 0; i < 2; i++) {
    o.threads = 1 + i;
    CHECK_EQ(icl_trainer_new(&t[i], &o, NULL), ICL_OK);
    for (k = 0; k < 3; k++) CHECK_EQ(icl_train_step(t[i], &info), ICL_OK);
  }
  CHECK(same(icl_trainer_params(t[0]), icl_trainer_params(t[1]), icl_param_count(&icl_trainer_model(t[0])->config)));
  for (i = 0; i < 2; i++) icl_trainer_delete(t[i]);
}

int main(void)
{
  RUN(sizes_that_do_not_fit); RUN(a_long_reason); RUN(the_most_typical); RUN(a_dtype_at_the_end);
  RUN(models_that_are_none); RUN(threads_on_i8_weights); RUN(more_inputs_than_hidden_units);
  RUN(threads_without_a_share); RUN(a_cache_that_overflows); RUN(a_check_that_overflows);
  RUN(copies_that_are_refused); RUN(many_that_are_refused); RUN(quantiles_that_are_refused);
  RUN(refinement_that_is_refused); RUN(refinement_of_an_image); RUN(images_that_are_refused); RUN(means);
  RUN(a_thread_that_is_late); RUN(threads_that_do_not_start); RUN(disks_that_fail); RUN(files_with_bad_headers);
  RUN(training);
  return test_report("paths");
}
