/* Training: gradients against central differences in double precision, kernels against their plain
 * twins, the optimizer and the schedules against their formulas, the same bits whatever the
 * threads, stops and kills, and every fault of memory, numbers and files that can be made here.
 *
 * Reaches into the private parts of icl_train.h where the public ones cannot show what is to be
 * checked.  ICL_TEST_VERBOSE=1 prints what is learned. */
#define _DEFAULT_SOURCE                                        /* mkdtemp, symlink under -std=c99 */
#include <limits.h>
#include <stdlib.h>

static void *test_malloc(size_t size);
static void *test_realloc(void *p, size_t size);
static void test_free(void *p);
#define ICL_MALLOC(size) test_malloc(size)
#define ICL_REALLOC(p, size) test_realloc(p, size)
#define ICL_FREE(p) test_free(p)

#ifdef ICL_TEST_QUICK
#define ICL__TYPICAL_PROMPTS 128        /* too few to judge its figures: these tests leave that out */
enum { BYTES = 5 };                     /* damage: one byte of five */
#else
enum { BYTES = 1 };
#endif

/* The system's functions that write files and make threads, with faults on demand. */
#if defined __unix__ || defined __APPLE__
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static int test_open(const char *path, int flags, ...);
static ssize_t test_write(int fd, const void *p, size_t n);
static int test_fsync(int fd);
static int test_close(int fd);
static int test_rename(const char *from, const char *to);
static int test_unlink(const char *path);
static int test_fchmod(int fd, mode_t mode);
#define fchmod test_fchmod
#define open test_open
#define write test_write
#define fsync test_fsync
#define close test_close
#define rename test_rename
#define unlink test_unlink
#endif
#ifdef ICL_TRAIN_THREADS
#include <pthread.h>
static int test_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *),
                               void *arg);
#define pthread_create test_pthread_create
#endif

#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

#undef fchmod
#undef open
#undef write
#undef fsync
#undef close
#undef rename
#undef unlink
#undef pthread_create

#define COUNT(a) (sizeof (a) / sizeof *(a))

/* ----- memory that can fail ------------------------------------------------------------------- */

static long live_blocks;               /* allocated and not freed                                 */
static long allocations;               /* since they were last set to 0                           */
static long fail_at = -1;              /* this one fails; -1: none                                */
static int fail_on;                    /* 1: those after it too                                   */

/* Ranks that are threads count together. */
#ifdef ICL_TRAIN_THREADS
static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static void hold(void) { pthread_mutex_lock(&counting); }
static void let_go(void) { pthread_mutex_unlock(&counting); }
#else
static void hold(void) { }
static void let_go(void) { }
#endif

static void count_block(long more)
{
  hold();
  live_blocks += more;
  let_go();
}

static int allocation_fails(void)
{
  long i;
  hold();
  i = allocations++;
  let_go();
  return fail_at >= 0 && (fail_on ? i >= fail_at : i == fail_at);
}

static void *test_malloc(size_t size)
{
  void *p = allocation_fails() ? NULL : malloc(size ? size : 1);
  if (p) { count_block(1); memset(p, 0xA5, size); }
  return p;
}

static void *test_realloc(void *p, size_t size)
{
  void *q = allocation_fails() ? NULL : realloc(p, size ? size : 1);
  if (q && !p) count_block(1);
  return q;
}

static void test_free(void *p)
{
  if (p) count_block(-1);
  free(p);
}

static void *need(size_t size)
{
  void *p = malloc(size ? size : 1);
  if (!p) exit(3);
  return p;
}

/* ----- a system that can fail ----------------------------------------------------------------- */

#ifdef ICL__POSIX
static int call_fails = -1, call_errno; /* this system call fails, in this way; -1: none          */
static size_t write_limit;              /* bytes that a write takes at most; 0: no limit          */
static char calls[256];                 /* what was called: u, o, w, s (fsync), c, r              */
static int n_calls;
static char created[2000];              /* the last file that was made where there was none       */
static int fchmod_error, fchmod_calls;  /* fchmod fails with it; 0: it works                      */

static int call(char what)
{
  int fails;
  hold();
  fails = n_calls == call_fails;
  if (n_calls + 1 < (int)sizeof calls) { calls[n_calls] = what; calls[n_calls + 1] = 0; }
  n_calls++;
  let_go();
  if (fails) errno = call_errno;
  return fails;
}

static int test_open(const char *path, int flags, ...)
{
  va_list rest;
  int mode = 0;
  if (flags & O_CREAT) {
    va_start(rest, flags);
    mode = va_arg(rest, int);
    va_end(rest);
  }
  if (flags & O_EXCL) sprintf(created, "%.1900s", path);
  return call('o') ? -1 : open(path, flags, mode);
}

static ssize_t test_write(int fd, const void *p, size_t n)
{
  if (call('w')) return -1;
  return write(fd, p, write_limit && n > write_limit ? write_limit : n);
}

/* Nothing here needs to survive the machine, so nothing waits for the disk. */
static int test_fsync(int fd) { return call('s') ? -1 : fcntl(fd, F_GETFD) < 0 ? -1 : 0; }

static int test_close(int fd)              /* closes, and then says that something was lost */
{
  int fails = call('c');
  return close(fd) || fails ? -1 : 0;
}

static int test_rename(const char *from, const char *to)
{
  return call('r') ? -1 : rename(from, to);
}

static int test_unlink(const char *path) { return call('u') ? -1 : unlink(path); }

static int test_fchmod(int fd, mode_t mode)
{
  fchmod_calls++;
  if (!fchmod_error) return fchmod(fd, mode);
  errno = fchmod_error;
  return -1;
}
#endif

#ifdef ICL_TRAIN_THREADS
static int threads_left = -1;           /* that can be made; -1: any number                       */

static int test_pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*f)(void *), void *arg)
{
  if (threads_left == 0) return 11;        /* EAGAIN */
  if (threads_left > 0) threads_left--;
  return pthread_create(t, a, f, arg);
}
#endif

/* ----- numbers -------------------------------------------------------------------------------- */

static uint32_t seed = 1;

/* Uniform in [-1, 1), and about normal. */
static double uniform(void)
{
  seed = seed * 1664525u + 1013904223u;
  return (double)(int32_t)(seed ^ seed >> 15) / 2147483648.0;
}

static double normal(void)
{
  double sum = 0;
  int i;
  for (i = 0; i < 12; i++) sum += uniform();
  return sum / 2;
}

static void fill(float *x, size_t n, double sd)
{
  size_t i;
  for (i = 0; i < n; i++) x[i] = (float)(sd * normal());
}

static float *normals(size_t n, double sd)
{
  float *x = (float *)need(n * sizeof *x);
  fill(x, n, sd);
  return x;
}

static uint64_t digest_int(uint64_t h, int64_t v)
{
  unsigned char b[8];
  icl__put_le(b, (uint64_t)v, 8);
  return icl__digest(h, b, 8);
}

static uint64_t digest_float(uint64_t h, float v)
{
  uint32_t u;
  memcpy(&u, &v, 4);
  return digest_int(h, (int64_t)u);
}

static int same(const void *a, const void *b, size_t floats)
{
  return !memcmp(a, b, floats * sizeof(float));
}

/* ----- files ---------------------------------------------------------------------------------- */

static char folder[400] = ".";

static const char *at(const char *name)
{
  static char path[8][600];
  static int i;
  i = (i + 1) % 8;
  sprintf(path[i], "%s/%s", folder, name);
  return path[i];
}

typedef struct bytes { char *p; size_t n; } bytes;

static bytes slurp(const char *path)
{
  bytes b = {NULL, 0};
  FILE *f = fopen(path, "rb");
  if (!f) return b;
  fseek(f, 0, SEEK_END);
  b.n = (size_t)ftell(f);
  rewind(f);
  b.p = (char *)need(b.n);
  if (fread(b.p, 1, b.n, f) != b.n) b.n = 0;
  fclose(f);
  return b;
}

static void spill(const char *path, const char *p, size_t n)
{
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(p, 1, n, f) != n || fclose(f)) exit(4);
}

/* 1 if the file holds just these bytes. */
static int holds(const char *path, bytes b)
{
  bytes now = slurp(path);
  int ok = now.p && now.n == b.n && !memcmp(now.p, b.p, b.n);
  free(now.p);
  return ok;
}

static int is_there(const char *path)
{
  FILE *f = fopen(path, "rb");
  if (f) fclose(f);
  return f != NULL;
}

static void open_folder(void)
{
#ifdef ICL__POSIX
  const char *tmp = getenv("TMPDIR");
  if (!tmp || strlen(tmp) > 300) tmp = "/tmp";
  sprintf(folder, "%s/icl-test-train-XXXXXX", tmp);
  if (!mkdtemp(folder)) exit(4);
#endif
}

#ifdef ICL__POSIX
/* Removes all files of the folder and returns how many there were. */
static int empty_folder(void)
{
  int n = 0;
  DIR *d = opendir(folder);
  struct dirent *e;
  while (d && (e = readdir(d)) != NULL) {
    char path[800];
    if (e->d_name[0] == '.' && (!e->d_name[1] || e->d_name[1] == '.')) continue;
    sprintf(path, "%s/%.300s", folder, e->d_name);
    n++;
    if (unlink(path)) rmdir(path);
  }
  if (d) closedir(d);
  return n;
}

/* Nothing but the n files that should be there. */
#define CHECK_FILES(n) CHECK_EQ(empty_folder(), n)
#else
#define CHECK_FILES(n) (void)(n)
#endif

/* ----- trainers ------------------------------------------------------------------------------- */

/* A small run, to be changed. */
static icl_train_options small(void)
{
  icl_train_options o;
  memset(&o, 0, sizeof o);
  o.model.n_dims = 2; o.model.n_embd = 8; o.model.n_head = 2; o.model.n_layer = 2;
  o.task = "dense";
  o.pairs = 5;
  o.batch = 6;
  o.steps = 20;
  o.lr = 1e-2f;
  o.init_sd = 0.3f;
  o.seed = 7;
  return o;
}

/* One with everything that changes from step to step. */
static icl_train_options lively(void)
{
  icl_train_options o = small();
  o.model.n_dims = 3; o.model.n_embd = 24; o.model.n_head = 4;
  o.task = "0.5*noisy(dense, sd=0.1) + tree(depth=2)";
  o.pairs = 13;
  o.batch = 13;
  o.steps = 9;
  o.schedule = ICL_LR_COSINE;
  o.warmup = 2;
  o.weight_decay = 0.01f;
  o.clip = 0.5f;
  o.hint = 0.1f;
  o.dims_start = 1; o.dims_every = 2;
  o.pairs_start = 3; o.pairs_add = 4; o.pairs_every = 1;
  return o;
}

static icl_trainer *begin(const icl_train_options *o)
{
  icl_trainer *t = NULL;
  icl_report r;
  icl_error err = icl_trainer_new(&t, o, &r);
  CHECK_EQ(err, ICL_OK);
  if (err) { printf("cannot go on: %s\n", r.text); exit(3); }
  return t;
}

static void plain(icl_trainer *t, int yes) { if (yes) icl_force_plain(&t->model); }

#if ICL__SIMD
static int has_simd(void) { return icl__ops_best() != &icl__ops_ref; }
#endif

/* Everything that the next step depends on, to tell trainers apart. */
static uint64_t state_of(const icl_trainer *t)
{
  uint64_t h = icl__digest(1, t->params, t->n_state * sizeof(float));
  h = digest_int(h, t->step);
  h = digest_int(h, t->updates);
  h = digest_int(h, t->skipped);
  return digest_int(h, t->bad);
}

/* ----- the model in double precision ---------------------------------------------------------- */

static double act64(double x, icl_activation kind)
{
  if (kind == ICL_RELU) return x > 0 ? x : 0;
  if (kind == ICL_GELU_ERF) return 0.5 * x * (1 + erf(x / sqrt(2.0)));
  return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

static void norm64(double *out, const double *x, const double *g, const double *b, int n,
                   double eps)
{
  double mean = 0, var = 0;
  int i;
  for (i = 0; i < n; i++) mean += x[i] / n;
  for (i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / n;
  for (i = 0; i < n; i++)
    out[i] = (g ? g[i] : 1) * (x[i] - mean) / sqrt(var + eps) + (b ? b[i] : 0);
}

/* out[n] = x[k] W[k][n] + b[n] */
static void linear64(double *out, const double *x, const double *w, const double *b, int k, int n)
{
  int i, j;
  for (j = 0; j < n; j++) out[j] = b[j];
  for (i = 0; i < k; i++)
    for (j = 0; j < n; j++) out[j] += x[i] * w[i * n + j];
}

/* att[T][C] of every step-th query, packed; s[T] is scratch. */
static void attend64(double *att, double *s, const double *qkv, int T, int C, int H, int step)
{
  int t, u, h, c, D = C / H;
  for (t = 0; t < T; t += step, att += C)
    for (h = 0; h < H; h++) {
      const double *q = qkv + t * 3 * C + h * D;
      double max = -1e300, sum = 0;
      for (u = 0; u <= t; u++) {
        const double *k = qkv + u * 3 * C + C + h * D;
        for (s[u] = 0, c = 0; c < D; c++) s[u] += q[c] * k[c] / sqrt((double)D);
        if (s[u] > max) max = s[u];
      }
      for (u = 0; u <= t; u++) sum += s[u] = exp(s[u] - max);
      for (c = 0; c < D; c++) att[h * D + c] = 0;
      for (u = 0; u <= t; u++)
        for (c = 0; c < D; c++) att[h * D + c] += s[u] / sum * qkv[u * 3 * C + 2 * C + h * D + c];
    }
}

/* Scratch for prompts of T tokens. */
typedef struct oracle { double *x, *ln, *qkv, *att, *fc, *s; } oracle;

static oracle new_oracle(int T, int C)
{
  oracle o;
  size_t n = (size_t)(T * C) * sizeof(double);
  o.x = (double *)need(n); o.ln = (double *)need(n); o.qkv = (double *)need(3 * n);
  o.att = (double *)need(n); o.fc = (double *)need(4 * (size_t)C * sizeof(double));
  o.s = (double *)need((size_t)T * sizeof(double));
  return o;
}

static void free_oracle(oracle *o)
{
  free(o->x); free(o->ln); free(o->qkv); free(o->att); free(o->fc); free(o->s);
}

static double position64(const icl_config *c, const double *wpe, int p, int j)
{
  int half = c->n_embd / 2;
  double f;
  if (c->position_embedding_type == ICL_POSITION_NONE) return 0;
  if (c->position_embedding_type == ICL_POSITION_LEARNED) return wpe[p * c->n_embd + j];
  f = p * pow(10000.0, -(double)(j % half) / (half - 1));
  return j < half ? sin(f) : cos(f);
}

/* One block in place; returns where its parameters end. */
static const double *block64(const oracle *o, const double *p, const icl_config *c, int T)
{
  const int C = c->n_embd;
  const double *qkv = p + 2 * C, *proj = qkv + 3 * C * C + 3 * C, *ln2 = proj + C * C + C;
  const double *fc = ln2 + 2 * C, *mlp = fc + 4 * C * C + 4 * C;
  double eps = (double)c->layer_norm_epsilon;
  int t, i;
  for (t = 0; t < T; t++) {
    norm64(o->ln, o->x + t * C, p, p + C, C, eps);
    linear64(o->qkv + t * 3 * C, o->ln, qkv, qkv + 3 * C * C, C, 3 * C);
  }
  attend64(o->att, o->s, o->qkv, T, C, c->n_head, 1);
  for (t = 0; t < T; t++) {
    double *x = o->x + t * C;
    linear64(o->ln, o->att + t * C, proj, proj + C * C, C, C);
    for (i = 0; i < C; i++) x[i] += o->ln[i];
    norm64(o->ln, x, ln2, ln2 + C, C, eps);
    linear64(o->fc, o->ln, fc, fc + 4 * C * C, C, 4 * C);
    for (i = 0; i < 4 * C; i++) o->fc[i] = act64(o->fc[i], c->activation_function);
    linear64(o->ln, o->fc, mlp, mlp + 4 * C * C, 4 * C, C);
    for (i = 0; i < C; i++) x[i] += o->ln[i];
  }
  return mlp + 4 * C * C + C;
}

/* A prompt's tokens through the first `layers` blocks, from p[params] in table order; returns where
 * the parameters go on. */
static const double *blocks64(const oracle *o, const icl_config *c, const double *p, const float *xs,
                              const float *ys, int P, int layers)
{
  const int C = c->n_embd, d = c->n_dims, T = 2 * P - 1;
  const double *in = p, *wpe = p + C * d + C;
  int t, i, j, l;
  p = wpe + (c->position_embedding_type == ICL_POSITION_LEARNED ? c->n_positions * C : 0);
  for (t = 0; t < T; t++)
    for (i = 0; i < C; i++) {
      double v = in[C * d + i] + position64(c, wpe, t, i);
      if (t % 2) v += in[i * d] * (double)ys[t / 2];
      else for (j = 0; j < d; j++) v += in[i * d + j] * (double)xs[t / 2 * d + j];
      o->x[t * C + i] = v;
    }
  for (l = 0; l < layers; l++) p = block64(o, p, c, T);
  return p;
}

/* Predictions of one prompt from p[params] in table order. */
static void predict64(double *preds, const oracle *o, const icl_config *c, const double *p,
                      const float *xs, const float *ys, int P)
{
  const int C = c->n_embd, T = 2 * P - 1;
  int t, i;
  p = blocks64(o, c, p, xs, ys, P, c->n_layer);
  for (t = 0; t < T; t += 2) {
    norm64(o->ln, o->x + t * C, p, p + C, C, (double)c->layer_norm_epsilon);
    preds[t / 2] = p[2 * C + c->n_out * C];
    for (i = 0; i < C; i++) preds[t / 2] += o->ln[i] * p[2 * C + i];
  }
}

static double loss64(const oracle *o, const icl_config *c, const double *p, const float *xs,
                     const float *ys, int B, int P)
{
  double sum = 0, *preds = (double *)need((size_t)P * sizeof(double));
  int b, k;
  for (b = 0; b < B; b++) {
    predict64(preds, o, c, p, xs + b * P * c->n_dims, ys + b * P, P);
    for (k = 0; k < P; k++) sum += pow(preds[k] - (double)ys[b * P + k], 2) / (B * P);
  }
  free(preds);
  return sum;
}

/* 1 / P sum of (h_j - hints[B][d])^2 over the tokens of y behind block `layer` and inputs j < dims. */
static double hint64(const oracle *o, const icl_config *c, const double *p, const float *xs,
                     const float *ys, int B, int P, int layer, int dims, const float *hints)
{
  const int C = c->n_embd, d = c->n_dims;
  double sum = 0;
  int b, t, j;
  for (b = 0; b < B; b++) {
    blocks64(o, c, p, xs + b * P * d, ys + b * P, P, layer);
    for (t = 1; t < 2 * P - 1; t += 2)
      for (j = 0; j < dims; j++) sum += pow(o->x[t * C + j] - (double)hints[b * d + j], 2) / (B * P);
  }
  return sum;
}

/* ----- gradients against central differences -------------------------------------------------- */

/* One direction: entries +-1 in part of the parameters, and the loss's slope along it. */
typedef struct direction { size_t from, to; uint32_t seed; double slope; } direction;

static double sign(uint32_t *s)
{
  *s = *s * 1664525u + 1013904223u;
  return *s >> 31 ? 1.0 : -1.0;
}

static double shifted_loss(const direction *u, double step, double *p, const float *params,
                           const oracle *o, const icl_config *c, const float *xs, const float *ys,
                           int B, int P)
{
  uint32_t s = u->seed;
  size_t i, n = icl_param_count(c);
  for (i = 0; i < n; i++) p[i] = (double)params[i];
  for (i = u->from; i < u->to; i++) p[i] += step * sign(&s);
  return loss64(o, c, p, xs, ys, B, P);
}

/* The gradient g[n] along each direction; off by no more than 2e-5 of its norm on that part
 * (float sums over rows) plus 2e-7 of its whole norm (rounding of the forward pass). */
static void check_slopes(const direction *u, int n_dirs, const float *g, size_t n,
                         const icl_config *c)
{
  double whole = 0;
  size_t k;
  int i;
  for (k = 0; k < n; k++) whole += (double)g[k] * (double)g[k];
  whole = sqrt(whole);
  for (i = 0; i < n_dirs; i++) {
    double dot = 0, norm = 0;
    uint32_t s = u[i].seed;
    for (k = u[i].from; k < u[i].to; k++) {
      dot += (double)g[k] * sign(&s);
      norm += (double)g[k] * (double)g[k];
    }
    if (!(fabs(dot - u[i].slope) <= 2e-5 * sqrt(norm) + 2e-7 * whole)) {
      icl_tensor t;
      memset(&t, 0, sizeof t);
      icl_tensor_at(c, i / 2, &t);
      printf("%s: C = %d: %s: %.3g of its norm\n", test_name, c->n_embd,
             i / 2 < icl_tensor_count(c) ? t.name : "all",
             fabs(dot - u[i].slope) / sqrt(norm));
    }
    CHECK_NEAR(dot, u[i].slope, 2e-5 * sqrt(norm) + 2e-7 * whole);
  }
}

/* Two directions within each tensor, two in all: u[2 n_tensors + 2]. */
static int make_directions(direction *u, const icl_config *c)
{
  size_t from = 0;
  int i, n = icl_tensor_count(c);
  icl_tensor t;
  for (i = 0; i < 2 * n + 2; i++) {
    if (i < 2 * n) icl_tensor_at(c, i / 2, &t);
    u[i].from = i < 2 * n ? from : 0;
    u[i].to = i < 2 * n ? from + (size_t)t.rows * (size_t)t.cols : from;
    u[i].seed = 12345u + 977u * (uint32_t)i;
    if (i % 2 && i < 2 * n) from = u[i].to;
  }
  return 2 * n + 2;
}

/* Weights that are nowhere special: gains about 1, biases about 0. */
static void scramble(float *params, const icl_config *c)
{
  icl_tensor t;
  int i;
  for (i = 0; i < icl_tensor_count(c); i++) {
    size_t k, n;
    int gain;
    icl_tensor_at(c, i, &t);
    n = (size_t)t.rows * (size_t)t.cols;
    gain = t.rank == 1 && t.name[strlen(t.name) - 1] == 't';
    for (k = 0; k < n; k++)
      *params++ = (float)((t.rank == 2 ? 1 / sqrt((double)c->n_embd) : 0.3) * normal() + gain);
  }
}

typedef struct shape {
  int d, C, H, L, P, B, n_out;
  icl_position position;
  icl_activation activation;
  int room;                                                  /* for so many pairs more */
} shape;

/* Predictions, loss and gradient of one shape, on every path. */
static void check_shape(const shape *z)
{
  icl_train_options o = small();
  icl_trainer *t;
  direction *u;
  oracle orc = new_oracle(2 * z->P - 1, z->C);
  float *xs, *ys, *params, loss;
  double *p, *preds, expected;
  int i, n, way;
  o.model.n_dims = z->d; o.model.n_embd = z->C; o.model.n_head = z->H; o.model.n_layer = z->L;
  o.model.n_out = z->n_out;
  o.model.position_embedding_type = z->position;
  o.model.activation_function = z->activation;
  o.model.layer_norm_epsilon = 1e-3f;
  o.pairs = z->P + z->room; o.batch = z->B;
  o.pairs_start = z->P; o.pairs_every = 1000;
  t = begin(&o);
  xs = normals((size_t)(z->B * z->P * z->d), 1);
  ys = normals((size_t)(z->B * z->P), 1);
  params = (float *)need(t->n * sizeof(float));
  p = (double *)need(t->n * sizeof(double));
  preds = (double *)need((size_t)z->P * sizeof(double));
  scramble(params, &t->o.model);
  u = (direction *)need((size_t)(2 * icl_tensor_count(&t->o.model) + 2) * sizeof *u);
  n = make_directions(u, &t->o.model);
  for (i = 0; i < n; i++)
    for (u[i].slope = 0, way = 0; way < 2; way++)
      u[i].slope += (way ? 5e6 : -5e6) * shifted_loss(&u[i], way ? 1e-7 : -1e-7, p, params, &orc,
                                                      &t->o.model, xs, ys, z->B, z->P);
  expected = shifted_loss(&u[0], 0, p, params, &orc, &t->o.model, xs, ys, z->B, z->P);
  for (way = 0; way < 3; way++) {                              /* as built, other parts, plain C */
    if (way == 1) { t->work.rows = ICL__UNIT; t->work.micro = z->B > 1 ? 2 : 1; }
    plain(t, way == 2);
    memcpy(icl_trainer_params(t), params, t->n * sizeof(float));
    CHECK_EQ(icl_train_gradient(t, xs, ys, &loss), ICL_OK);
    CHECK_NEAR(loss, expected, 2e-6 * (expected + sqrt(expected)));
    check_slopes(u, n, icl_trainer_grads(t), t->n, &t->o.model);
    for (i = 0; i < t->o.model.n_out - 1; i++)         /* rows of the read-out that nothing reads */
      CHECK(icl_trainer_grads(t)[t->n - (size_t)t->o.model.n_out + 1 + (size_t)i] == 0.0f);
  }
  icl_trainer_delete(t);
  free_oracle(&orc);
  free(xs); free(ys); free(params); free(p); free(preds); free(u);
}

TEST(gradient_of_the_loss)
{
  static const shape shapes[] = {
    {1, 6, 1, 1, 1, 1, 1, ICL_POSITION_NONE, ICL_RELU, 0},             /* one token */
    {3, 12, 2, 2, 13, 3, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 0},   /* head 6, 25 rows */
    {2, 10, 2, 1, 25, 2, 1, ICL_POSITION_SINUSOIDAL, ICL_GELU_ERF, 5}, /* head 5, 49 and 25 rows */
    {3, 10, 2, 3, 26, 2, 3, ICL_POSITION_NONE, ICL_RELU, 0},           /* read-out d */
    {2, 4, 4, 2, 4, 5, 2, ICL_POSITION_LEARNED, ICL_GELU_ERF, 9},      /* head 1 */
    {1, 68, 4, 1, 3, 2, 1, ICL_POSITION_SINUSOIDAL, ICL_GELU_TANH, 0}, /* many tiles, head 17 */
    {19, 8, 1, 1, 6, 30, 19, ICL_POSITION_LEARNED, ICL_RELU, 1},       /* above 256 rows, d > 16 */
    {1, 3, 1, 1, 2, 3, 1, ICL_POSITION_NONE, ICL_GELU_TANH, 2}
  };
  size_t i;
  for (i = 0; i < COUNT(shapes); i++) check_shape(&shapes[i]);
}

/* The loss of drawn prompts with hint times what the hint adds. */
static void check_hint(icl_train_options o)
{
  icl_trainer *t = begin(&o);
  const icl_config *c = &t->o.model;
  int B = t->o.batch, P = t->o.pairs, d = c->n_dims, i, j, k, n, way;
  oracle orc = new_oracle(2 * P - 1, c->n_embd);
  direction *u = (direction *)need((size_t)(2 * icl_tensor_count(c) + 2) * sizeof *u);
  float *params = (float *)need(t->n * sizeof(float));
  double *p = (double *)need(t->n * sizeof(double)), loss, expected;
  uint32_t s;
  scramble(params, c);
  memcpy(icl_trainer_params(t), params, t->n * sizeof(float));
  icl__gradient(t);                                          /* draws the prompts */
  CHECK_EQ(t->work.prompts, B);
  for (i = 0; i < B; i++)
    for (k = 0; k < P; k++) {                                /* dense: the hints are the coefficients */
      double y = 0;
      for (j = 0; j < d; j++)
        y += (double)t->work.hints[i * d + j] / (double)o.sampling.x_scale * (double)t->work.xs[(i * P + k) * d + j];
      CHECK_NEAR(y, t->work.ys[i * P + k], 1e-5);
    }
  n = make_directions(u, c);
  for (i = 0; i < n; i++)
    for (u[i].slope = 0, way = 0; way < 2; way++) {
      double step = way ? 1e-7 : -1e-7;
      u[i].slope += shifted_loss(&u[i], step, p, params, &orc, c, t->work.xs, t->work.ys, B, P) / (2 * step);
      s = u[i].seed;
      for (k = 0; k < (int)t->n; k++) p[k] = (double)params[k];
      for (k = (int)u[i].from; k < (int)u[i].to; k++) p[k] += step * sign(&s);
      u[i].slope += (double)o.hint / (2 * step)
                    * hint64(&orc, c, p, t->work.xs, t->work.ys, B, P, t->o.hint_layer, icl__dims_now(t),
                             t->work.hints);
    }
  expected = shifted_loss(&u[0], 0, p, params, &orc, c, t->work.xs, t->work.ys, B, P);
  for (way = 0; way < 2; way++) {
    plain(t, way);
    loss = icl__gradient(t);
    CHECK_NEAR(loss, expected, 2e-6 * (expected + sqrt(expected)));   /* the answers' alone */
    check_slopes(u, n, icl_trainer_grads(t), t->n, c);
  }
  icl_trainer_delete(t);
  free_oracle(&orc);
  free(params); free(p); free(u);
}

TEST(gradient_of_a_hint)
{
  icl_train_options o = small();
  o.model.n_layer = 3;
  o.hint = 0.7f;
  o.sampling.x_scale = 0.5f;
  check_hint(o);                                             /* behind block 2 */
  o.dims_start = 1; o.dims_every = 5;                        /* one of two inputs */
  check_hint(o);
  o.dims_start = 0; o.dims_every = 0;
  o.hint_layer = 1;
  o.model.n_dims = 8;                                        /* all of the width */
  o.sampling.x_scale = 1;
  check_hint(o);
  o.hint_layer = 2;
  o.model.n_dims = 3;
  o.pairs = 1;                                               /* no token of y */
  check_hint(o);
}

/* Prompts that the caller brings have no hint; and it is weighed by their number of pairs. */
TEST(prompts_without_a_hint)
{
  icl_train_options o = small();
  icl_trainer *t, *u = begin(&o);
  float *xs = normals(6 * 5 * 2, 1), *ys = normals(6 * 5, 1), loss[2];
  o.hint = 1;
  t = begin(&o);
  CHECK_EQ(icl_train_gradient(t, xs, ys, &loss[0]), ICL_OK);
  CHECK_EQ(icl_train_gradient(u, xs, ys, &loss[1]), ICL_OK);
  CHECK(loss[0] == loss[1] && same(icl_trainer_grads(t), icl_trainer_grads(u), t->n));
  icl__gradient(t);
  icl__gradient(u);
  CHECK(!same(icl_trainer_grads(t), icl_trainer_grads(u), t->n));
  free(xs); free(ys);
  icl_trainer_delete(t);
  icl_trainer_delete(u);
}

/* ----- operations against central differences ------------------------------------------------- */

static const icl__train_ops *train_tables[3];
static const icl__ops *op_tables[3];
static int n_tables;

static void find_tables(void)
{
  train_tables[n_tables] = &icl__train_ref;
  op_tables[n_tables++] = &icl__ops_ref;
#if ICL__SIMD
  if (has_simd()) {
    train_tables[n_tables] = &icl__v8_train_ops;
    op_tables[n_tables++] = &icl__v8_ops;
  }
#endif
#if ICL__AVX512
  if (icl__can_run(&icl__v16_ops)) {
    train_tables[n_tables] = &icl__v16_train_ops;
    op_tables[n_tables++] = &icl__v16_ops;
  }
#endif
}

/* f(x) = sum w LN(x) of one row; its slope at x[i]. */
static double norm_slope(const float *x, const float *w, const float *gain, int n, int i)
{
  double v[64], g[64], out[64], f[2];
  int k, side;
  for (side = 0; side < 2; side++) {
    for (k = 0; k < n; k++) { v[k] = (double)x[k]; g[k] = (double)gain[k]; }
    v[i] += side ? 1e-5 : -1e-5;
    norm64(out, v, g, NULL, n, 1e-3);
    for (f[side] = 0, k = 0; k < n; k++) f[side] += (double)w[k] * out[k];
  }
  return (f[1] - f[0]) / 2e-5;
}

TEST(layernorm_slopes)
{
  enum { ROWS = 3 };
  static const int sizes[] = {1, 2, 5, 8, 12, 33, 40};
  float *x = normals(ROWS * 40, 1.5), *dy = normals(ROWS * 40, 1), *gain = normals(40, 0.5);
  float *bias = normals(40, 0.5), out[ROWS * 40], stats[2 * ROWS], dx[ROWS * 40], start[ROWS * 40];
  float dgain[40], dbias[40];
  size_t s;
  int table, r, i;
  for (table = 0; table < n_tables; table++)
    for (s = 0; s < COUNT(sizes); s++) {
      int n = sizes[s];
      fill(start, ROWS * 40, 1);
      memcpy(dx, start, sizeof dx);                          /* it adds */
      memcpy(dgain, start, sizeof dgain);
      memcpy(dbias, start + 40, sizeof dbias);
      op_tables[table]->layernorm(out, stats, x, gain, bias, ROWS, (size_t)n, 1e-3f);
      train_tables[table]->layernorm(dx, dgain, dbias, dy, x, stats, gain, ROWS, (size_t)n);
      for (r = 0; r < ROWS; r++)
        for (i = 0; i < n; i++)
          CHECK_NEAR(dx[r * n + i] - start[r * n + i],
                     norm_slope(x + r * n, dy + r * n, gain, n, i), 1e-5);
      for (i = 0; i < n; i++) {
        double g = (double)start[i], b = (double)start[40 + i];
        for (r = 0; r < ROWS; r++) {
          double v[64], xhat[64];
          int k;
          for (k = 0; k < n; k++) v[k] = (double)x[r * n + k];
          norm64(xhat, v, NULL, NULL, n, 1e-3);
          g += (double)dy[r * n + i] * xhat[i];
          b += (double)dy[r * n + i];
        }
        CHECK_NEAR(dgain[i], g, 4e-6);
        CHECK_NEAR(dbias[i], b, 2e-6);
      }
    }
  free(x); free(dy); free(gain); free(bias);
}

/* f(s) = sum w softmax(scale s) */
static double softmax64(const double *s, const float *w, int n, double scale)
{
  double max = s[0], sum = 0, f = 0;
  int i;
  for (i = 1; i < n; i++) if (s[i] > max) max = s[i];
  for (i = 0; i < n; i++) sum += exp(scale * (s[i] - max));
  for (i = 0; i < n; i++) f += (double)w[i] * exp(scale * (s[i] - max)) / sum;
  return f;
}

TEST(softmax_slopes)
{
  int table, n, i;
  for (table = 0; table < n_tables; table++)
    for (n = 1; n <= 40; n++) {
      float s[40], p[40], d[40], w[40];
      double v[40];
      fill(s, 40, 2);
      fill(w, 40, 1);
      memcpy(p, s, sizeof p);
      memcpy(d, w, sizeof d);
      op_tables[table]->softmax(p, (size_t)n, 0.6f);
      train_tables[table]->softmax(d, p, (size_t)n, 0.6f);
      for (i = 0; i < n; i++) v[i] = (double)s[i];
      for (i = 0; i < n; i++) {
        double up, down;
        v[i] = (double)s[i] + 1e-5;
        up = softmax64(v, w, n, (double)0.6f);
        v[i] = (double)s[i] - 1e-5;
        down = softmax64(v, w, n, (double)0.6f);
        v[i] = (double)s[i];
        CHECK_NEAR(d[i], (up - down) / 2e-5, 1e-6);
      }
      for (i = n; i < 40; i++) CHECK(d[i] == w[i]);
    }
}

/* Slopes of each activation over what a network can produce, and beyond: no NaN anywhere.  1 - s
 * of the tanh form costs it some digits at x = 4 to 6. */
TEST(activation_slopes)
{
  static const float special[] = {
    0.0f, 1e-3f, -1e-3f, 4.0f, -4.0f, 8.0f, -8.0f, 13.0f, -13.0f, 20.0f, -20.0f, 100.0f, -100.0f,
    1e4f, -1e4f, 1e9f, -1e9f
  };
  float x[417], d[417], expected[417], slopes[417];
  int table, kind;
  size_t i, n = COUNT(x);
  for (i = 0; i < n; i++)
    x[i] = i < COUNT(special) ? special[i] : (float)(i - COUNT(special)) / 25 - 7.983f;
  for (table = 0; table < n_tables; table++)
    for (kind = ICL_GELU_TANH; kind <= ICL_RELU; kind++) {
      const icl__ops *forward = op_tables[table];
      for (i = 0; i < n; i++) { d[i] = 2.0f; slopes[i] = x[i]; }
      forward->activate(expected, slopes, n, (icl_activation)kind);
      CHECK(!memcmp(slopes, x, sizeof x));
      train_tables[table]->activate(d, slopes, n, (icl_activation)kind);
      CHECK(!memcmp(slopes, expected, sizeof slopes));      /* training sees what inference does */
      for (i = 0; i < n; i++) {
        double v = (double)x[i], h = 1e-5 * (fabs(v) > 1 ? fabs(v) : 1), slope;
        slope = (act64(v + h, (icl_activation)kind) - act64(v - h, (icl_activation)kind)) / (2 * h);
        if (kind == ICL_RELU && x[i] == 0.0f) slope = 0;      /* as PyTorch has it */
        CHECK_NEAR(d[i], 2 * slope, 8e-6);
      }
    }
}

/* One case of attention: T = 2 P - 1, of C channels in H heads, in the last layer (trimmed) or
 * not. */
typedef struct attention_case { int P, C, H, trim; } attention_case;

/* dqkv by the backward pass of f(qkv) = sum w att(qkv), for two prompts. */
static void attention_backward(icl_trainer *t, int trim, const float *qkv, const float *w,
                               float *dqkv)
{
  icl__work *k = &t->work;
  size_t C = (size_t)t->o.model.n_embd, H = (size_t)t->o.model.n_head, R, i;
  icl__set_pairs(k, (size_t)t->o.pairs);
  k->prompts = 2;
  k->layer = trim ? (size_t)t->o.model.n_layer - 1 : 0;
  R = 2 * k->T;
  memcpy(k->acts[k->layer].qkv, qkv, R * 3 * C * sizeof(float));
  for (i = 0; i < 2 * H; i++) icl__attention_task(k, i, 0);
  memcpy(k->d_att, w, 2 * icl__kept(k->T, trim) * C * sizeof(float));
  fill(k->d_qkv, R * 3 * C, 1);                               /* it does not add */
  for (i = 0; i < 2 * H; i++) icl__d_attention(k, i, 0);
  memcpy(dqkv, k->d_qkv, R * 3 * C * sizeof(float));
}

/* The slope of f at qkv[i] of a prompt. */
static double attention_slope(double *qkv, double *att, double *s, const float *w,
                              const attention_case *z, size_t i)
{
  int T = 2 * z->P - 1, step = z->trim ? 2 : 1, side, k, kept = (T + step - 1) / step;
  double f[2], v = qkv[i];
  for (side = 0; side < 2; side++) {
    qkv[i] = v + (side ? 1e-5 : -1e-5);
    attend64(att, s, qkv, T, z->C, z->H, step);
    for (f[side] = 0, k = 0; k < kept * z->C; k++) f[side] += (double)w[k] * att[k];
  }
  qkv[i] = v;
  return (f[1] - f[0]) / 2e-5;
}

static void check_attention(const attention_case *z)
{
  icl_train_options o = small();
  icl_trainer *t;
  size_t T = (size_t)(2 * z->P - 1), C = (size_t)z->C, n = T * 3 * C, i, k;
  size_t kept = icl__kept(T, z->trim) * C;
  float *qkv = normals(2 * n, 1), *w = normals(2 * kept, 1);
  float *dqkv = (float *)need(2 * n * sizeof(float));
  double *v = (double *)need(3 * n * sizeof *v), *att = v + n, *s = att + n;
  int table, b;
  o.model.n_embd = z->C; o.model.n_head = z->H; o.model.n_layer = z->trim ? 1 : 2;
  o.pairs = z->P;
  t = begin(&o);
  for (table = 0; table < n_tables; table++) {
    t->model.ops = op_tables[table];
    attention_backward(t, z->trim, qkv, w, dqkv);
    for (b = 0; b < 2; b++) {
      for (i = 0; i < n; i++) v[i] = (double)qkv[(size_t)b * n + i];
      for (k = 0; k < 40; k++) {                             /* the last token, and anywhere */
        i = k < 12 ? n - 1 - k * C / 4 : (size_t)(fabs(uniform()) * 0.999999 * (double)n);
        if (i >= n) continue;
        CHECK_NEAR(dqkv[(size_t)b * n + i], attention_slope(v, att, s, w + (size_t)b * kept, z, i),
                   1e-5);
      }
    }
  }
  icl_trainer_delete(t);
  free(qkv); free(w); free(dqkv); free(v);
}

TEST(attention_slopes)
{
  static const attention_case cases[] = {
    {1, 6, 1, 0}, {1, 6, 1, 1}, {2, 10, 2, 0}, {2, 10, 2, 1}, {12, 12, 2, 0}, {13, 12, 2, 0},
    {13, 10, 2, 1}, {24, 10, 2, 1}, {25, 12, 2, 1}, {25, 10, 2, 0}, {26, 12, 2, 1}, {49, 6, 1, 1},
    {4, 3, 3, 0}, {4, 34, 2, 1}
  };
  size_t i;
  for (i = 0; i < COUNT(cases); i++) check_attention(&cases[i]);
}

/* ----- kernels against their plain twins ------------------------------------------------------ */

#if ICL__SIMD
/* What stands around the floats that a kernel may write. */
static const float guard = 12345.678f;

/* a[n] near b[n], relative to the sums they were made of, and guards behind a intact. */
static void check_twins(const float *a, const float *b, size_t n, double tolerance)
{
  size_t i;
  for (i = 0; i < n; i++) CHECK_NEAR(a[i], b[i], tolerance * (1 + fabs((double)b[i])));
  for (i = n; i < n + 8; i++) CHECK(a[i] == guard && b[i] == guard);
}

static const icl__train_ops *twin;                           /* of icl__train_ref              */

enum { TWIN_ROWS = 40, TWIN_SIZE = TWIN_ROWS * 41 + 8 };

/* The same start for both, with guards behind n floats. */
static void start_twins(float *a, float *b, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++) a[i] = b[i] = (float)normal();
  for (; i < n + 8; i++) a[i] = b[i] = guard;
}

static void row_twins(size_t rows, size_t n)
{
  static float a[TWIN_SIZE], b[TWIN_SIZE], c[TWIN_SIZE], d[TWIN_SIZE], x[TWIN_SIZE], dy[TWIN_SIZE];
  static float e[TWIN_SIZE], f[TWIN_SIZE];
  float stats[2 * TWIN_ROWS], gain[64];
  size_t stride = n + 1, i;
  fill(x, TWIN_SIZE, 1);
  fill(dy, TWIN_SIZE, 1);
  fill(gain, 64, 1);
  for (i = 0; i < rows; i++) {
    stats[2 * i] = (float)(0.2 * normal());
    stats[2 * i + 1] = 1 + (float)(0.1 * normal());
  }
  start_twins(a, b, rows * n);
  start_twins(c, d, n);
  start_twins(e, f, n);
  twin->layernorm(a, c, e, dy, x, stats, gain, rows, n);
  icl__train_ref.layernorm(b, d, f, dy, x, stats, gain, rows, n);
  check_twins(a, b, rows * n, 1e-5);
  check_twins(c, d, n, 1e-5);
  check_twins(e, f, n, 1e-5);
  CHECK(same(e, f, n));                                       /* plain sums in the same order */
  start_twins(a, b, n);
  twin->column_sum(a, x, rows, n, stride);
  icl__train_ref.column_sum(b, x, rows, n, stride);
  check_twins(a, b, n, 0);
}

static void flat_twins(size_t n)
{
  float a[48], b[48], m[2][48], v[2][48], p[48], g[48];
  icl__adam k;
  int kind;
  size_t i;
  for (kind = ICL_GELU_TANH; kind <= ICL_RELU; kind++) {
    start_twins(a, b, n);
    fill(g, 48, 3);
    memcpy(p, g, sizeof p);
    twin->activate(a, g, n, (icl_activation)kind);
    icl__train_ref.activate(b, p, n, (icl_activation)kind);
    check_twins(a, b, n, 4e-6);
    for (i = 0; i < n; i++) CHECK_NEAR(g[i], p[i], 2e-6 * (1 + fabs((double)p[i])));
  }
  start_twins(a, b, n);
  for (i = 0; i < 48; i++) p[i] = (float)(fabs(uniform()) / (double)n);
  twin->softmax(a, p, n, 0.4f);
  icl__train_ref.softmax(b, p, n, 0.4f);
  check_twins(a, b, n, 1e-6);
  k.beta1 = 0.8f; k.beta2 = 0.95f; k.eps = 1e-6f; k.rate = 0.02f; k.root_v = 1.7f; k.decay = 0.99f;
  k.grad_scale = 0.7f;
  start_twins(a, b, n);
  start_twins(m[0], m[1], n);
  start_twins(v[0], v[1], n);
  for (i = 0; i < n; i++) v[0][i] = v[1][i] = v[0][i] * v[0][i];
  twin->adam(a, m[0], v[0], g, n, &k);
  icl__train_ref.adam(b, m[1], v[1], g, n, &k);
  check_twins(a, b, n, 1e-6);
  check_twins(m[0], m[1], n, 1e-6);
  check_twins(v[0], v[1], n, 1e-6);
}
#endif

TEST(kernels_and_their_plain_twins)
{
#if ICL__SIMD
  size_t rows, n;
  int table;
  if (!has_simd()) SKIP("no vector unit");
  for (table = 1; table < n_tables; table++) {
    twin = train_tables[table];
    for (rows = 1; rows <= 40; rows++)
      for (n = 1; n <= 40; n += rows % 8 == 1 ? 1 : 3) row_twins(rows, n);
    for (n = 1; n <= 40; n++) flat_twins(n);
  }
#else
  SKIP("built without vectors");
#endif
}

/* ----- the same bits -------------------------------------------------------------------------- */

/* What steps of training leave behind, losses and norms included.  units of a task's rows, 0: as
 * chosen. */
static uint64_t train_bits(icl_train_options o, int steps, int threads, size_t units, int force)
{
  icl_trainer *t;
  uint64_t h;
  int s;
  o.threads = threads;
  t = begin(&o);
  plain(t, force);
  if (units) t->work.rows = icl__min(units * ICL__UNIT, t->work.rows);
  for (h = 0, s = 0; s < steps; s++) {
    icl_train_info info;
    CHECK_EQ(icl_train_step(t, &info), ICL_OK);
    h = digest_float(digest_float(h, info.loss), info.grad_norm);
  }
  h = digest_int(h, (int64_t)state_of(t));
  icl_trainer_delete(t);
  return h;
}

static void check_same_bits(const icl_train_options *o, int steps)
{
  static const struct { int threads; size_t units; } ways[] = {
#ifndef ICL_TEST_QUICK
    {4, 0}, {8, 0}, {16, 0}, {1, 1}, {1, 3}, {2, 1}, {3, 2},
#endif
    {2, 0}, {3, 0}, {1, 2}
  };
  int force;
  size_t i;
  for (force = 0; force < 1 + ICL__SIMD; force++) {
    uint64_t h = train_bits(*o, steps, 1, 0, force);
    for (i = 0; i < COUNT(ways); i++)
      CHECK(train_bits(*o, steps, ways[i].threads, ways[i].units, force) == h);
  }
}

TEST(same_bits_for_any_threads_and_rows)
{
  icl_train_options o = lively();
  check_same_bits(&o, 5);
  o.optimizer = ICL_MUON;
  check_same_bits(&o, 3);
  o.optimizer = ICL_ADAM;
  o.hint = 0;
  o.model.n_embd = 72; o.model.n_head = 1; o.model.n_layer = 1;   /* several tiles of each weight */
  o.model.position_embedding_type = ICL_POSITION_NONE;
  o.batch = 7;
  check_same_bits(&o, 3);
  o = small();                                           /* many tiny prompts: more than 256 rows */
  o.batch = 70;
  o.model.n_embd = 5; o.model.n_head = 1;
  check_same_bits(&o, 3);
}

/* Bytes of a trainer of the standard size, 41 pairs of 20 inputs, which it takes in one block. */
static size_t standard_bytes(int threads, icl_optimizer optimizer)
{
  static icl_trainer t;
  memset(&t, 0, sizeof t);
  t.o.model.n_dims = 20; t.o.model.n_layer = 12; t.o.model.n_head = 8; t.o.model.n_embd = 256;
  t.o.pairs = 41;
  t.o.optimizer = optimizer;
  t.o.threads = t.work.pool.threads = threads;
  icl__default_options(&t.o);
  return icl__size_trainer(&t);
}

/* Activations, of which all threads share one set, do not grow with their number; and Muon keeps no
 * second moments of the matrices that it updates. */
TEST(memory_of_a_standard_step)
{
  static const int threads[] = {1, 4, 16};
  const size_t moments = 12 * 12 * 256 * 256 * sizeof(float);
  size_t i;
  for (i = 0; i < COUNT(threads); i++) {
    size_t adam = standard_bytes(threads[i], ICL_ADAM), muon = standard_bytes(threads[i], ICL_MUON);
    CHECK(adam > 300000000 && adam < 350000000);
    CHECK(muon < adam - moments + 10000);
  }
}

/* Where the system has no more threads, fewer do the same. */
TEST(threads_that_cannot_be_had)
{
#ifdef ICL_TRAIN_THREADS
  icl_train_options o = lively();
  uint64_t h = train_bits(o, 2, 4, 0, 0);
  int left;
  for (left = 0; left < 4; left++) {
    threads_left = left;
    CHECK(train_bits(o, 2, 4, 0, 0) == h);
  }
  threads_left = -1;
#else
  SKIP("built without threads");
#endif
}

/* Another seed, and every step, give other bits: the test above could fail. */
TEST(other_bits_for_other_runs)
{
  icl_train_options o = small();
  uint64_t h = train_bits(o, 2, 1, 0, 0);
  CHECK(h != train_bits(o, 3, 1, 0, 0));
  o.seed++;
  CHECK(h != train_bits(o, 2, 1, 0, 0));
}

static void check_resumed(icl_train_options o)
{
#ifdef ICL_TEST_QUICK
  const int each = 3;
#else
  const int each = 1;
#endif
  char path[600];
  uint64_t expected;
  int k, s;
  icl_trainer *t = begin(&o);
  strcpy(path, at("run.state"));
  for (s = 0; s < 7; s++) CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  expected = state_of(t);
  icl_trainer_delete(t);
  for (k = 0; k <= 7; k += each) {
    icl_report r;
    o.threads = 1 + k % 3;
    t = begin(&o);
    for (s = 0; s < k; s++) icl_train_step(t, NULL);
    CHECK_EQ(icl_train_save(t, path, &r), ICL_OK);
    CHECK_STR(r.text, "");
    icl_trainer_delete(t);
    o.threads = k % 2 ? 8 : 2;
    t = begin(&o);
    for (s = 0; s < 3 * (k % 2); s++) icl_train_step(t, NULL);  /* whatever it did before is gone */
    CHECK_EQ(icl_train_resume(t, path, &r), ICL_OK);
    for (s = k; s < 7; s++) icl_train_step(t, NULL);
    CHECK(state_of(t) == expected);
    icl_trainer_delete(t);
  }
  CHECK_FILES(1);
}

TEST(resumed_run_is_the_same_run)
{
  icl_train_options o = lively();
  check_resumed(o);
  o.optimizer = ICL_MUON;
  check_resumed(o);
}

/* Saving and exporting on the way change nothing. */
TEST(looking_does_not_touch)
{
  icl_train_options o = lively();
  icl_trainer *t = begin(&o), *u = begin(&o);
  int s;
  for (s = 0; s < 4; s++) {
    icl_train_step(t, NULL);
    icl_train_step(u, NULL);
    if (s % 2) CHECK_EQ(icl_train_export(u, at("m.safetensors"), NULL), ICL_OK);
    CHECK_EQ(icl_train_save(u, at("u.state"), NULL), ICL_OK);
    CHECK(state_of(t) == state_of(u));
  }
  CHECK_FILES(2);
  icl_trainer_delete(t);
  icl_trainer_delete(u);
}

/* The first weights are the model's, which may go; another shape is refused; a state of a run that
 * drew its weights is not this run's. */
TEST(training_from_a_model)
{
  icl_train_options o = lively();
  icl_trainer *t, *u = begin(&o);
  size_t n = icl_param_count(&icl_trainer_options(u)->model);
  icl_report r;
  int i;
  for (i = 0; i < 3; i++) CHECK_EQ(icl_train_step(u, NULL), ICL_OK);
  o.from = icl_trainer_model(u);
  check_resumed(o);
  CHECK_EQ(icl_train_save(u, at("drawn.state"), NULL), ICL_OK);
  t = begin(&o);
  CHECK(!memcmp(icl_trainer_params(t), icl_trainer_params(u), n * sizeof(float)));
  icl_trainer_delete(u);
  CHECK_EQ(icl_train_resume(t, at("drawn.state"), &r), ICL_ERR_STATE);
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  o.from = icl_trainer_model(t);
  o.model.n_layer++;
  CHECK_EQ(icl_trainer_new(&u, &o, &r), ICL_ERR_CONFIG);
  CHECK_STR(r.text, "the model to start from has another shape");
  icl_trainer_delete(t);
  CHECK(!remove(at("drawn.state")));
}

/* ----- whose state is it ---------------------------------------------------------------------- */

static int no_sum(void *user, float *sum, size_t n) { (void)user; (void)sum; (void)n; return 0; }

/* Change i of the options of a run that makes it another run; NULL past the last. */
static const char *change_run(icl_train_options *o, int i)
{
  switch (i) {
    case 0:  o->model.n_dims = 4; return "n_dims";
    case 1:  o->model.n_embd = 32; return "n_embd";
    case 2:  o->model.n_head = 2; return "n_head";
    case 3:  o->model.n_layer = 3; return "n_layer";
    case 4:  o->model.n_positions = 26; return "n_positions";
    case 5:  o->model.n_out = 3; return "n_out";
    case 6:  o->model.position_embedding_type = ICL_POSITION_NONE; return "positions";
    case 7:  o->model.position_embedding_type = ICL_POSITION_SINUSOIDAL; return "sinusoidal";
    case 8:  o->model.activation_function = ICL_RELU; return "activation";
    case 9:  o->model.layer_norm_epsilon = 1e-6f; return "layer_norm_epsilon";
    case 10: o->task = "0.5*noisy(dense, sd=0.2) + tree(depth=2)"; return "task's argument";
    case 11: o->task = "0.6*noisy(dense, sd=0.1) + tree(depth=2)"; return "task's weight";
    case 12: o->sampling.inputs = ICL_INPUTS_UNIFORM; return "inputs";
    case 13: o->sampling.x_scale = 2; return "x_scale";
    case 14: o->sampling.y_scale = 2; return "y_scale";
    case 15: o->pairs = 12; o->model.n_positions = 25; return "pairs";
    case 16: o->batch = 14; return "batch";
    case 17: o->steps = 10; return "steps of a cosine";
    case 18: o->schedule = ICL_LR_CONSTANT; return "schedule";
    case 19: o->schedule = ICL_LR_INVERSE_SQRT; return "schedule";
    case 20: o->lr = 0.011f; return "lr";
    case 21: o->warmup = 3; return "warmup";
    case 22: o->lr_end = 0.1f; return "lr_end";
    case 23: o->beta1 = 0.95f; return "beta1";
    case 24: o->beta2 = 0.99f; return "beta2";
    case 25: o->epsilon = 1e-6f; return "epsilon";
    case 26: o->weight_decay = 0.02f; return "weight_decay";
    case 27: o->clip = 0.6f; return "clip";
    case 28: o->init_sd = 0.02f; return "init_sd";
    case 29: o->dims_start = 2; return "dims_start";
    case 30: o->dims_every = 3; return "dims_every";
    case 31: o->pairs_start = 4; return "pairs_start";
    case 32: o->pairs_add = 3; return "pairs_add";
    case 33: o->pairs_every = 2; return "pairs_every";
    case 34: o->seed = 8; return "seed";
    case 35: o->seed += (uint64_t)1 << 40; return "the seed's high bits";
    case 36: o->shards = 2; return "shards";
    case 37: o->optimizer = ICL_MUON; return "optimizer";
    case 38: o->hint = 0; return "hint";
    case 39: o->hint = 0.2f; return "hint's weight";
    default: return NULL;
  }
}

/* And changes that do not. */
static const char *change_nothing(icl_train_options *o, int i)
{
  switch (i) {
    case 0: o->threads = 5; return "threads";
    case 1: o->max_bad = 3; return "max_bad";
    case 2: o->task = " 0.5 * noisy( dense,sd=0.1,renorm=0)+1*tree( depth = 2 ) ";
      return "spaces and defaults";
    case 3: o->beta1 = 0.9f; o->model.n_positions = 25; return "defaults that are spelled out";
    case 4: o->sampling.x_scale = 1; o->sampling.y_scale = 1;
      return "scales of 1, which are the default";
    case 5: o->sampling.dims_active = 2; return "dims_active, which is the curriculum's";
    case 6: o->momentum = 0.5f; o->hint_layer = 1; return "momentum, which is Muon's, and a default";
    case 7: o->world = 2; o->rank = 1; o->reduce = no_sum; return "the number of processes";
    default: return NULL;
  }
}

static void check_change(const char *(*change)(icl_train_options *, int), icl_error expected)
{
  const char *what;
  int i;
  for (i = 0;; i++) {
    icl_train_options o = lively();
    icl_trainer *t;
    icl_report r;
    icl_error err;
    uint64_t before;
    if ((what = change(&o, i)) == NULL) break;
    t = begin(&o);
    icl_train_step(t, NULL);
    before = state_of(t);
    err = icl_train_resume(t, at("run.state"), &r);
    if (err != expected) printf("%s: %s\n", test_name, what);
    CHECK_EQ(err, expected);
    CHECK_EQ(r.code, err);
    if (err) CHECK(state_of(t) == before && r.text[0]);
    icl_trainer_delete(t);
  }
}

TEST(state_of_another_run)
{
  icl_train_options o = lively();
  icl_trainer *t = begin(&o);
  int s;
  for (s = 0; s < 3; s++) icl_train_step(t, NULL);
  CHECK_EQ(icl_train_save(t, at("run.state"), NULL), ICL_OK);
  icl_trainer_delete(t);
  check_change(change_run, ICL_ERR_STATE);
  check_change(change_nothing, ICL_OK);
  CHECK_FILES(1);
}

/* More steps are a longer run of the same, where the learning rate does not depend on how many. */
TEST(steps_can_be_added)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  icl_train_step(t, NULL);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  icl_trainer_delete(t);
  o.steps = 1000;
  t = begin(&o);
  CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
  icl_trainer_delete(t);
  CHECK_FILES(1);
}

/* ----- damaged state -------------------------------------------------------------------------- */

static icl_train_options tiny(void)
{
  icl_train_options o = small();
  o.model.n_dims = 1; o.model.n_embd = 2; o.model.n_head = 1; o.model.n_layer = 1;
  o.pairs = 2;
  o.batch = 2;
  return o;
}

/* Where the weights begin in a state: after the head, the options' text and a digest of both. */
static size_t weights_at(bytes b)
{
  return 56 + (size_t)icl__get64((unsigned char *)b.p + 8) + 8;
}

/* Resumes from the bytes and sees that it is refused, with nothing changed. */
static void check_refused(icl_trainer *t, const char *p, size_t n, icl_error expected)
{
  uint64_t before = state_of(t);
  icl_report r;
  icl_error err;
  spill(at("bad.state"), p, n);
  err = icl_train_resume(t, at("bad.state"), &r);
  if (expected != ICL_OK) CHECK_EQ(err, expected);
  CHECK(err != ICL_OK);
  CHECK_EQ(r.code, err);
  CHECK(state_of(t) == before);
}

static bytes tiny_state(void)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  bytes b;
  int s;
  for (s = 0; s < 5; s++) icl_train_step(t, NULL);
  CHECK_EQ(icl_train_save(t, at("good.state"), NULL), ICL_OK);
  b = slurp(at("good.state"));
  CHECK_EQ(b.n, weights_at(b) + 12 * t->n + 8);
  icl_trainer_delete(t);
  return b;
}

TEST(damaged_state)
{
  icl_train_options o = tiny();
  bytes b = tiny_state();
  icl_trainer *t = begin(&o);
  char *longer = (char *)need(b.n + 9);
  size_t i;
  int bit;
  icl_train_step(t, NULL);
  for (i = 0; i < b.n; i += BYTES) check_refused(t, b.p, i, i < 56 ? ICL_ERR_FORMAT : ICL_ERR_DIGEST);
  memcpy(longer, b.p, b.n);
  memset(longer + b.n, 0, 9);
  check_refused(t, longer, b.n + 1, ICL_ERR_DIGEST);
  check_refused(t, longer, b.n + 9, ICL_ERR_DIGEST);
  free(longer);
  for (i = 0; i < b.n; i += BYTES * (i < weights_at(b) || i + 16 > b.n ? 1 : 7))
    for (bit = 0; bit < 8; bit++) {
      icl_error expected = i < 8 ? ICL_ERR_FORMAT : ICL_ERR_DIGEST;
      b.p[i] = (char)(b.p[i] ^ 1 << bit);
      check_refused(t, b.p, b.n, expected);
      b.p[i] = (char)(b.p[i] ^ 1 << bit);
    }
  spill(at("bad.state"), b.p, b.n);
  CHECK_EQ(icl_train_resume(t, at("bad.state"), NULL), ICL_OK);
  CHECK_FILES(2);
  free(b.p);
  icl_trainer_delete(t);
}

/* A digest is no signature: whoever makes the file can make that fit.  Only what training can have
 * produced may be believed then. */
static void seal(bytes b)
{
  size_t n = (b.n - weights_at(b) - 8) / 12, at = weights_at(b), i;
  uint64_t h = icl__digest(icl__digest(0, b.p, 56), b.p + 56, at - 64);
  icl__put_le((unsigned char *)b.p + at - 8, h, 8);
  h = icl__digest(h, b.p + at - 8, 8);
  for (i = 0; i < 3; i++) h = icl__digest(h, b.p + at + 4 * n * i, 4 * n);
  icl__put_le((unsigned char *)b.p + b.n - 8, h, 8);
}

TEST(hostile_state)
{
  static const struct { size_t at; uint64_t value; } lies[] = {
    {16, (uint64_t)-1}, {16, (uint64_t)-1000000}, {16, (uint64_t)1 << 63},
    {16, ((uint64_t)1 << 63) - 1},
    {24, (uint64_t)-1}, {24, 6}, {24, (uint64_t)1 << 63}, {32, (uint64_t)-1}, {32, 6},
    {32, (uint64_t)1 << 62},
    {40, (uint64_t)-1}, {40, 6}, {40, (uint64_t)1 << 31}, {40, (uint64_t)1 << 32},
    {48, 0}, {48, 1}, {48, (uint64_t)-1}
  };
  static const uint32_t numbers[] = {0x7fc00000u, 0x7f800001u, 0x7f800000u, 0xff800000u};
  icl_train_options o = tiny();
  bytes b = tiny_state();
  icl_trainer *t = begin(&o);
  size_t i, k, n = t->n, at_weights = weights_at(b);
  for (i = 0; i < COUNT(lies); i++) {
    char old[8];
    memcpy(old, b.p + lies[i].at, 8);
    icl__put_le((unsigned char *)b.p + lies[i].at, lies[i].value, 8);
    seal(b);
    check_refused(t, b.p, b.n, ICL_OK);
    memcpy(b.p + lies[i].at, old, 8);
  }
  for (i = 0; i < COUNT(numbers); i++)
    for (k = 0; k < 3 * n; k += n - 1) {
      char old[4];
      memcpy(old, b.p + at_weights + 4 * k, 4);
      icl__put_le((unsigned char *)b.p + at_weights + 4 * k, numbers[i], 4);
      seal(b);
      check_refused(t, b.p, b.n, ICL_OK);
      memcpy(b.p + at_weights + 4 * k, old, 4);
    }
  icl__put_le((unsigned char *)b.p + at_weights + 8 * n, 0xbf800000u, 4);      /* v = -1 has no root */
  seal(b);
  check_refused(t, b.p, b.n, ICL_OK);
  CHECK_FILES(2);
  free(b.p);
  icl_trainer_delete(t);
}

/* ----- numbers that are none ------------------------------------------------------------------ */

/* A class that is linear but at one x. */
static struct { int armed; float x, y; } trap;

static int trap_size(const icl_class_call *c) { (void)c; return 1; }
static void trap_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  (void)c;
  *theta = icl_rng_normal(rng);
}

static float trap_eval(const float *theta, const float *x, const icl_class_call *c)
{
  (void)c;
  return trap.armed && x[0] == trap.x ? trap.y : theta[0] * x[0];
}

#ifdef ICL__POSIX
static float trap_always(const float *theta, const float *x, const icl_class_call *c)
{
  (void)x;
  (void)c;
  return trap.armed ? trap.y : theta[0];
}
#endif

static icl_class trap_class(void)
{
  icl_class c;
  memset(&c, 0, sizeof c);
  c.name = "trap";
  c.n_theta = trap_size;
  c.draw = trap_draw;
  c.eval = trap_eval;
  return c;
}

/* Arms the trap for one pair of one prompt of a step. */
static void arm(icl_trainer *t, int64_t step, int prompt, int pair, float y)
{
  float xs[64], ys[32], *scratch = (float *)need(icl_prompt_scratch(&t->task) * sizeof(float));
  icl_rng rng;
  trap.armed = 0;
  icl_rng_init(&rng, t->o.seed, (uint64_t)step, (uint64_t)prompt);
  CHECK_EQ(icl_prompt_sample(&t->task, &t->o.sampling, &rng, t->o.pairs, xs, ys, NULL, scratch),
           ICL_OK);
  free(scratch);
  trap.x = xs[pair * t->o.model.n_dims];
  trap.y = y;
  trap.armed = 1;
}

/* Weights and moments. */
static uint64_t learned(const icl_trainer *t)
{
  return icl__digest(0, t->params, (2 * t->n + t->n_v) * sizeof(float));
}

/* A step that must be skipped: nothing moves but the counters. */
static void check_skipped(icl_trainer *t, icl_error expected)
{
  icl_train_info info;
  int64_t skipped = t->skipped, updates = t->updates, step = t->step;
  uint64_t before = learned(t);
  int bad = t->bad;
  CHECK_EQ(icl_train_step(t, &info), expected);
  CHECK(learned(t) == before);
  CHECK_EQ(info.skipped, skipped + 1);
  CHECK_EQ(info.step, step + 1);
  CHECK_EQ(t->updates, updates);
  CHECK_EQ(t->bad, bad + 1);
  CHECK(!isfinite(info.loss) || !isfinite(info.grad_norm));
}

static icl_train_options trapped(icl_class *own)
{
  icl_train_options o = small();
  *own = trap_class();
  o.own = own;
  o.n_own = 1;
  o.task = "trap";
  return o;
}

TEST(one_bad_pair_skips_the_step)
{
  static const int prompts[] = {0, 3, 5}, pairs[] = {0, 2, 4};
  const float values[] = {NAN, INFINITY, -INFINITY, 1e30f, -3e38f};
  icl_class own;
  icl_train_options o = trapped(&own);
  size_t s, i, k, v;
  trap.armed = 0;
  for (s = 0; s < 2; s++)
    for (i = 0; i < 3; i++)
      for (k = 0; k < 3; k++)
        for (v = 0; v < COUNT(values); v++) {
          icl_trainer *t;
          size_t n;
          o.threads = 1 + (int)(v % 2);
          t = begin(&o);
          for (n = 0; n < s; n++) CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
          arm(t, (int64_t)s, prompts[i], pairs[k], values[v]);
          check_skipped(t, ICL_OK);
          CHECK_EQ(icl_train_step(t, NULL), ICL_OK);         /* and goes on */
          CHECK_EQ(t->bad, 0);
          CHECK_EQ(t->updates, s + 1);
          CHECK_EQ(t->skipped, 1);
          CHECK(icl__finite(t->params, t->n));
          trap.armed = 0;
          icl_trainer_delete(t);
        }
}

/* A function that is finite in the prompt and not where the hint asks for it. */
TEST(hint_that_is_not_finite_skips_the_step)
{
  const float values[] = {NAN, INFINITY, -INFINITY};
  icl_class own;
  icl_train_options o = trapped(&own);
  size_t v;
  o.hint = 0.5f;
  for (v = 0; v < COUNT(values); v++) {
    icl_trainer *t;
    o.threads = 1 + (int)(v % 2);
    t = begin(&o);
    trap.x = t->o.sampling.x_scale;
    trap.y = values[v];
    trap.armed = 1;
    CHECK(isnan(icl__gradient(t)));
    check_skipped(t, ICL_OK);
    trap.armed = 0;
    CHECK_EQ(icl_train_step(t, NULL), ICL_OK);               /* and goes on */
    CHECK(t->bad == 0 && t->updates == 1 && t->skipped == 1 && icl__finite(t->params, t->n));
    icl_trainer_delete(t);
  }
}

/* NaN in any tensor that the loss reads: skipped, after max_bad in a row the end; and none of it
 * saved. */
TEST(weights_that_are_not_finite)
{
  const float values[] = {NAN, INFINITY, 1e38f};
  icl_train_options o = small();
  icl_trainer *t;
  bytes old;
  icl_tensor x;
  int i;
  size_t at_weight = 0, v;
  o.max_bad = 3;
  t = begin(&o);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  old = slurp(at("a.state"));
  for (i = 0; i < icl_tensor_count(&t->o.model); i++) {
    icl_report r;
    icl_tensor_at(&t->o.model, i, &x);
    for (v = 0; v < 2; v++) {
      float keep = t->params[at_weight];
      t->params[at_weight] = values[v];
      t->bad = 0;
      check_skipped(t, ICL_OK);
      check_skipped(t, ICL_OK);
      check_skipped(t, ICL_ERR_NONFINITE);
      CHECK_EQ(icl_train_save(t, at("a.state"), &r), ICL_ERR_NONFINITE);
      CHECK_EQ(r.code, ICL_ERR_NONFINITE);
      if (i % 10 == 0) CHECK_EQ(icl_train_export(t, at("a.safetensors"), &r), ICL_ERR_NONFINITE);
      t->params[at_weight] = keep;
    }
    at_weight += (size_t)x.rows * (size_t)x.cols;
  }
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);                 /* whole again: it goes on */
  CHECK_EQ(t->bad, 0);
  t->m[5] = NAN;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_ERR_NONFINITE);
  t->m[5] = 0;
  t->v[t->n - 1] = INFINITY;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_ERR_NONFINITE);
  CHECK(holds(at("a.state"), old));
  CHECK(!is_there(at("a.safetensors")));
  CHECK_FILES(1);
  free(old.p);
  icl_trainer_delete(t);
}

/* Large but finite weights, prompts and gradients must never turn weights into NaN. */
TEST(huge_numbers)
{
  static const float sizes[] = {1e8f, 1e12f, 1e15f, 1e18f, 1e19f, 1e20f, 1e25f, 1e38f};
  size_t i, k;
  for (i = 0; i < COUNT(sizes); i++) {
    icl_train_options o = small();
    icl_trainer *t;
    float *xs = normals(6 * 5 * 2, 1), *ys = normals(6 * 5, 1), loss;
    int way;
    for (k = 0; k < 6 * 5; k++) ys[k] *= sizes[i];
    for (way = 0; way < 2; way++) {
      t = begin(&o);
      plain(t, way);
      CHECK_EQ(icl_train_gradient(t, xs, ys, &loss), ICL_OK);
      CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
      CHECK(icl__finite(t->params, t->n_state));
      for (k = 0; k < t->n; k++) t->params[k] *= sizes[i];
      icl_train_step(t, NULL);
      icl_train_step(t, NULL);
      CHECK(icl__finite(t->m, t->n) && icl__finite(t->v, t->n_v));
      icl_trainer_delete(t);
    }
    free(xs); free(ys);
  }
}

static int count_steps(void *user, const icl_train_info *info)
{
  (void)info;
  ++*(int *)user;
  return 0;
}

TEST(run_ends_when_nothing_is_finite)
{
  icl_class own;
  icl_train_options o = trapped(&own);
  icl_trainer *t;
  icl_run run;
  icl_report r;
  bytes old;
  int steps = 0;
  char paths[2][600];
  trap.armed = 0;
  o.max_bad = 4;
  o.steps = 30;
  t = begin(&o);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  old = slurp(at("a.state"));
  memset(&run, 0, sizeof run);
  strcpy(paths[0], at("a.state"));
  strcpy(paths[1], at("a.safetensors"));
  run.state_path = paths[0];
  run.model_path = paths[1];
  run.progress = count_steps;
  run.user = &steps;
  t->params[0] = NAN;
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_NONFINITE);
  CHECK(r.code == ICL_ERR_NONFINITE && r.text[0]);
  CHECK(steps == 3 || steps == 4);
  CHECK(holds(at("a.state"), old));
  CHECK_FILES(1);
  free(old.p);
  icl_trainer_delete(t);
}

/* ----- the optimizer -------------------------------------------------------------------------- */

/* Puts a gradient in place, as icl_train_gradient would. */
static void give_gradient(icl_trainer *t, const float *g, float factor)
{
  size_t i;
  for (i = 0; i < t->n; i++) t->grad[i] = factor * g[i];
  t->grad[t->n] = 1;
}

TEST(clipping_is_scaling)
{
  icl_train_options o = small();
  icl_trainer *clipped, *scaled;
  icl_train_info info;
  float *g;
  double norm = 0;
  size_t i;
  int s;
  scaled = begin(&o);
  o.clip = 0.25f;
  clipped = begin(&o);
  g = normals(clipped->n, 0.1);
  for (i = 0; i < clipped->n; i++) norm += (double)g[i] * (double)g[i];
  norm = sqrt(norm);
  for (s = 0; s < 3; s++) {                                  /* above the limit, twice, and below */
    float size = s < 2 ? 1.0f : 1e-3f;
    give_gradient(clipped, g, size);
    CHECK_EQ(icl_train_update(clipped, &info), ICL_OK);
    CHECK_NEAR(info.grad_norm, (double)size * norm, 1e-6 * norm);
    give_gradient(scaled, g, s < 2 ? (float)(0.25 / (icl__norm(clipped, clipped->grad) + 1e-6)) : size);
    CHECK_EQ(icl_train_update(scaled, NULL), ICL_OK);
    CHECK(same(clipped->params, scaled->params, scaled->n));
    CHECK(same(clipped->m, scaled->m, scaled->n) && same(clipped->v, scaled->v, scaled->n));
  }
  free(g);
  icl_trainer_delete(clipped);
  icl_trainer_delete(scaled);
}

/* lr of the update that comes after `done` of them, by its formula. */
static double lr64(const icl_train_options *o, int64_t done)
{
  double s = (double)done + 1, W = (double)o->warmup, N = (double)o->steps, lr = (double)o->lr, x;
  if (s <= W) return lr * s / W;
  if (o->schedule == ICL_LR_CONSTANT) return lr;
  if (o->schedule == ICL_LR_INVERSE_SQRT) return lr * sqrt(W / s);
  x = o->schedule == ICL_LR_LINEAR ? (N - s) / (N - W)
                                   : 0.5 * (1 + cos(3.14159265358979323846 * (s - W) / (N - W)));
  return lr * ((double)o->lr_end + (1 - (double)o->lr_end) * x);
}

static float lr_at(icl_trainer *t, int64_t done)
{
  icl_train_info info;
  float *zero = (float *)need(t->n * sizeof(float));
  memset(zero, 0, t->n * sizeof(float));
  t->step = done;
  give_gradient(t, zero, 0);
  CHECK_EQ(icl_train_update(t, &info), ICL_OK);
  free(zero);
  return info.lr;
}

TEST(schedules)
{
  static const struct { icl_schedule kind; int64_t warmup, steps; float lr_end; } runs[] = {
    {ICL_LR_CONSTANT, 0, 100, 0}, {ICL_LR_CONSTANT, 10, 100, 0}, {ICL_LR_INVERSE_SQRT, 0, 20000, 0},
    {ICL_LR_INVERSE_SQRT, 1, 100, 0}, {ICL_LR_INVERSE_SQRT, 100, 20000, 0},
    {ICL_LR_COSINE, 0, 100, 0},
    {ICL_LR_COSINE, 10, 1000, 0.1f}, {ICL_LR_COSINE, 500, 20000, 0}, {ICL_LR_COSINE, 100, 100, 0},
    {ICL_LR_COSINE, 200, 100, 0.5f}, {ICL_LR_COSINE, 0, 1, 0.25f},
    {ICL_LR_LINEAR, 0, 100, 0}, {ICL_LR_LINEAR, 50, 100, 0.1f}, {ICL_LR_LINEAR, 200, 100, 0}
  };
  size_t i;
  int64_t s;
  for (i = 0; i < COUNT(runs); i++) {
    icl_train_options o = small();
    icl_trainer *t;
    o.schedule = runs[i].kind;
    o.warmup = runs[i].warmup;
    o.steps = runs[i].steps;
    o.lr_end = runs[i].lr_end;
    o.lr = 3e-3f;
    t = begin(&o);
    o = *icl_trainer_options(t);
    for (s = 0; s < o.steps; s += s < 20 ? 1 : 1 + s / 7)
      CHECK_NEAR(lr_at(t, s), lr64(&o, s), 1e-6 * (double)o.lr);
    if (o.schedule == ICL_LR_INVERSE_SQRT) {
      CHECK_NEAR(lr_at(t, o.warmup - 1), o.lr, 1e-9);                    /* the peak */
      CHECK_NEAR(lr_at(t, 4 * o.warmup - 1), o.lr / 2, 1e-9);
    }
    if (o.schedule >= ICL_LR_COSINE && o.steps > o.warmup) {
      CHECK_NEAR(lr_at(t, o.steps - 1), o.lr * o.lr_end, 1e-9);
      CHECK_NEAR(lr_at(t, 3 * o.steps), o.lr * o.lr_end, 1e-9);          /* and stays there */
    }
    icl_trainer_delete(t);
  }
}

TEST(inverse_sqrt_warms_up_for_5000_steps)
{
  icl_train_options o = small();
  icl_trainer *t;
  o.schedule = ICL_LR_INVERSE_SQRT;
  t = begin(&o);
  CHECK_EQ(icl_trainer_options(t)->warmup, 5000);
  CHECK_NEAR(lr_at(t, 4999), 1e-2, 1e-9);
  CHECK_NEAR(lr_at(t, 0), 2e-6, 1e-12);
  icl_trainer_delete(t);
}

static void check_adam(float decay, float clip, int force)
{
  icl_train_options o = small();
  icl_trainer *t;
  double *p, *m, *v;
  float *g;
  size_t i;
  int s;
  o.weight_decay = decay;
  o.clip = clip;
  o.beta1 = 0.8f; o.beta2 = 0.97f; o.epsilon = 1e-6f;
  o.warmup = 5;
  t = begin(&o);
  plain(t, force);
  p = (double *)need(t->n * sizeof *p);
  m = (double *)need(t->n * sizeof *m);
  v = (double *)need(t->n * sizeof *v);
  g = (float *)need(t->n * sizeof *g);
  for (i = 0; i < t->n; i++) { p[i] = (double)t->params[i]; m[i] = v[i] = 0; }
  for (s = 1; s <= 20; s++) {
    double norm = 0, scale = 1, b1 = (double)o.beta1, b2 = (double)o.beta2;
    double lr = (double)o.lr * (s < 5 ? s / 5.0 : 1);
    fill(g, t->n, s % 3 ? 0.1 : 3);
    for (i = 0; i < t->n; i++) norm += (double)g[i] * (double)g[i];
    if (clip > 0 && sqrt(norm) > (double)clip) scale = (double)clip / sqrt(norm);
    for (i = 0; i < t->n; i++) {
      double x = scale * (double)g[i];
      m[i] = b1 * m[i] + (1 - b1) * x;
      v[i] = b2 * v[i] + (1 - b2) * x * x;
      p[i] -= lr * (double)decay * p[i];
      p[i] -= lr * (m[i] / (1 - pow(b1, s))) / (sqrt(v[i] / (1 - pow(b2, s))) + (double)o.epsilon);
    }
    give_gradient(t, g, 1);
    CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
    for (i = 0; i < t->n; i += 1 + t->n / 200) CHECK_NEAR(t->params[i], p[i], 1e-6);
  }
  free(p); free(m); free(v); free(g);
  icl_trainer_delete(t);
}

TEST(adam_in_double_precision)
{
  int force;
  for (force = 0; force < 1 + ICL__SIMD; force++) {
    check_adam(0, 0, force);
    check_adam(0.3f, 0, force);
    check_adam(0.3f, 0.7f, force);
  }
}

/* u[rows][cols] as icl__orthogonalize has it, the long way round, in double: g is what it was. */
static void orthogonalize64(double *u, const double *g, int rows, int cols)
{
  double *a = (double *)need((size_t)(rows * rows) * sizeof *a);
  double *b = (double *)need((size_t)(rows * rows) * sizeof *b);
  double *v = (double *)need((size_t)(rows * cols) * sizeof *v), norm = 0;
  int round, i, j, k;
  for (i = 0; i < rows * cols; i++) norm += g[i] * g[i];
  for (i = 0; i < rows * cols; i++) u[i] = g[i] / sqrt(norm);
  for (round = 0; round < 5; round++) {
    memset(a, 0, (size_t)(rows * rows) * sizeof *a);
    for (i = 0; i < rows; i++)
      for (j = 0; j < rows; j++)
        for (k = 0; k < cols; k++) a[i * rows + j] += u[i * cols + k] * u[j * cols + k];
    for (i = 0; i < rows; i++)
      for (j = 0; j < rows; j++) {
        b[i * rows + j] = 0;
        for (k = 0; k < rows; k++) b[i * rows + j] += 2.0315 * a[i * rows + k] * a[k * rows + j];
      }
    for (i = 0; i < rows; i++)
      for (j = 0; j < cols; j++) {
        v[i * cols + j] = 3.4445 * u[i * cols + j];
        for (k = 0; k < rows; k++)
          v[i * cols + j] += (b[i * rows + k] - 4.775 * a[i * rows + k]) * u[k * cols + j];
      }
    memcpy(u, v, (size_t)(rows * cols) * sizeof *v);
  }
  free(a); free(b); free(v);
}

/* One matrix of a block through a step of Muon: params before and after, gradient, momentum. */
static void check_muon_matrix(const icl_train_options *o, const icl_trainer *t, const float *before,
                              const float *g, double *m, const icl__piece *p, double scale)
{
  size_t n = p->rows * p->cols, i, j, at;
  double *x = (double *)need(n * sizeof *x), *u = (double *)need(n * sizeof *u);
  double mu = (double)o->momentum, lr = (double)o->lr;
  double rate = lr * 0.2 * sqrt((double)icl__max(p->rows, p->cols));
  for (i = 0; i < p->rows; i++)
    for (j = 0; j < p->cols; j++) {
      at = p->at + i * p->stride + j;
      m[at] = mu * m[at] + scale * (double)g[at];
      x[i * p->cols + j] = scale * (double)g[at] + mu * m[at];
    }
  orthogonalize64(u, x, (int)p->rows, (int)p->cols);
  for (i = 0; i < p->rows; i++)
    for (j = 0; j < p->cols; j++) {
      at = p->at + i * p->stride + j;
      CHECK_NEAR(t->params[at], (double)before[at] * (1 - lr * (double)o->weight_decay)
                                - rate * u[i * p->cols + j], 2e-6);
    }
  free(x); free(u);
}

/* Four steps of Muon, each from the parameters the last one left; the pieces cover every parameter
 * once, and those of Adam's are changed as by Adam. */
static void check_muon(float decay, float clip, int force)
{
  icl_train_options o = small(), adam;
  icl_trainer *t, *other;
  float *g, *before;
  double *m;
  int s;
  o.model.n_embd = 20; o.model.n_head = 2;
  o.weight_decay = decay;
  o.clip = clip;
  o.momentum = 0.9f;
  adam = o;
  o.optimizer = ICL_MUON;
  t = begin(&o);
  other = begin(&adam);
  plain(t, force);
  plain(other, force);
  g = (float *)need(t->n * sizeof *g);
  before = (float *)need(t->n * sizeof *before);
  m = (double *)need(t->n * sizeof *m);
  memset(m, 0, t->n * sizeof *m);
  for (s = 0; s < 4; s++) {
    double norm = 0, scale = 1;
    size_t i, k, next = 0;
    fill(g, t->n, 0.5);
    memcpy(before, t->params, t->n * sizeof *before);
    for (i = 0; i < t->n; i++) norm += (double)g[i] * (double)g[i];
    if (clip > 0 && sqrt(norm) > (double)clip) scale = (double)clip / sqrt(norm);
    give_gradient(t, g, 1);
    give_gradient(other, g, 1);
    CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
    CHECK_EQ(icl_train_update(other, NULL), ICL_OK);
    for (i = 0; i < t->n_pieces; i++) {
      icl__piece p = t->pieces[i];
      size_t size = p.rows * p.cols;
      if (p.muon) check_muon_matrix(&o, t, before, g, m, &p, scale);
      for (k = p.muon ? size : 0; k < size; k++)
        CHECK_NEAR(t->params[p.at + k], other->params[p.at + k], 1e-6);
      if (p.stride == p.cols) CHECK_EQ(p.at, next);
      next += size;
    }
    CHECK_EQ(next, t->n);
  }
  free(g); free(before); free(m);
  icl_trainer_delete(t);
  icl_trainer_delete(other);
}

TEST(muon_in_double_precision)
{
  int force;
  for (force = 0; force < 1 + ICL__SIMD; force++) {
    check_muon(0, 0, force);
    check_muon(0.3f, 0.7f, force);
  }
}

/* Without a gradient there is no direction: only the decay is left. */
TEST(muon_without_a_gradient)
{
  icl_train_options o = small();
  icl_trainer *t;
  float *g;
  uint64_t before;
  o.optimizer = ICL_MUON;
  t = begin(&o);
  g = (float *)need(t->n * sizeof *g);
  memset(g, 0, t->n * sizeof *g);
  before = icl__digest(0, t->params, t->n * sizeof(float));
  give_gradient(t, g, 1);
  CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
  CHECK(icl__digest(0, t->params, t->n * sizeof(float)) == before);
  free(g);
  icl_trainer_delete(t);
}

/* A skipped step is none for Adam: its bias correction counts updates. */
TEST(skipped_steps_are_no_updates)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o), *u = begin(&o);
  float *g = normals(t->n, 1);
  int s;
  for (s = 0; s < 3; s++) {
    give_gradient(t, g, 1);
    t->grad[t->n] = NAN;
    CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
    give_gradient(t, g, 1);
    CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
    give_gradient(u, g, 1);
    CHECK_EQ(icl_train_update(u, NULL), ICL_OK);
    CHECK(same(t->params, u->params, t->n));
  }
  CHECK_EQ(t->step, 6);
  CHECK_EQ(t->skipped, 3);
  free(g);
  icl_trainer_delete(t);
  icl_trainer_delete(u);
}

/* ----- beginnings ----------------------------------------------------------------------------- */

/* Mean and standard deviation of x[n] as they should be, within five standard errors, and the
 * largest. */
static void check_spread(const float *x, size_t n, double sd, double max, const char *name)
{
  double mean = 0, var = 0, top = 0;
  size_t i;
  for (i = 0; i < n; i++) {
    mean += (double)x[i] / (double)n;
    var += (double)x[i] * (double)x[i] / (double)n;
    if (fabs((double)x[i]) > top) top = fabs((double)x[i]);
  }
  if (!(fabs(mean) <= 5 * sd / sqrt((double)n))
      || !(fabs(sqrt(var) / sd - 1) <= 5 / sqrt(2.0 * (double)n)) || top > max)
    printf("%s: %s: mean %.3g, sd %.4g, expected %.4g, largest %.3g\n", test_name, name, mean,
           sqrt(var), sd, top);
  CHECK_NEAR(mean, 0, 5 * sd / sqrt((double)n));
  CHECK_NEAR(sqrt(var), sd, 5 * sd / sqrt(2.0 * (double)n));
  CHECK(top <= max);
}

TEST(first_weights)
{
  icl_train_options o = small();
  icl_trainer *t;
  icl_tensor x;
  size_t k, n;
  const float *p;
  int i;
  o.model.n_dims = 20; o.model.n_embd = 48; o.model.n_head = 4; o.model.n_layer = 3;
  o.pairs = 40;
  o.batch = 1;
  o.init_sd = 0;
  t = begin(&o);
  CHECK(t->o.init_sd == 0.02f);
  for (i = 0, p = t->params; i < icl_tensor_count(&t->o.model); i++, p += n) {
    double in = 0, out = 1 / sqrt(48.0), sd;
    icl_tensor_at(&t->o.model, i, &x);
    n = (size_t)x.rows * (size_t)x.cols;
    in = 1 / sqrt(20.0);
    if (!strncmp(x.name, "_read_in", 8)) check_spread(p, n, in / sqrt(3.0), in, x.name);
    else if (!strcmp(x.name, "_read_out.weight")) check_spread(p, n, out / sqrt(3.0), out, x.name);
    else if (!strcmp(x.name, "_read_out.bias")) CHECK(p[0] != 0.0f && fabs((double)p[0]) <= out);
    else if (x.rank == 1)
      for (k = 0; k < n; k++) CHECK(p[k] == (strstr(x.name, ".bias") ? 0.0f : 1.0f));
    else {
      sd = strstr(x.name, "c_proj") ? 0.02 / sqrt(2 * 3.0) : 0.02;
      check_spread(p, n, sd, 7 * sd, x.name);
    }
  }
  CHECK_EQ(p - t->params, t->n);
  icl_trainer_delete(t);
}

/* Every tensor has numbers of its own, and another seed gives others. */
TEST(first_weights_are_independent)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o), *u;
  size_t i, j, equal = 0;
  u = begin(&o);
  CHECK(same(t->params, u->params, t->n));
  icl_trainer_delete(u);
  o.seed += (uint64_t)1 << 32;
  u = begin(&o);
  for (i = 0; i < t->n; i++) {
    if (t->params[i] == 0.0f || t->params[i] == 1.0f) continue;
    equal += t->params[i] == u->params[i];
    for (j = i + 1; j < t->n; j++) equal += t->params[i] == t->params[j];
  }
  CHECK(equal < 3);
  icl_trainer_delete(t);
  icl_trainer_delete(u);
}

TEST(curriculum)
{
  icl_train_options o = small();
  icl_trainer *t;
  int s;
  o.model.n_dims = 5;
  o.pairs = 9;
  o.dims_start = 2; o.dims_every = 3;
  o.pairs_start = 2; o.pairs_add = 3; o.pairs_every = 2;
  o.steps = 40;
  t = begin(&o);
  for (s = 0; s < 14; s++) {
    int dims = 2 + s / 3, pairs = 2 + s / 2 * 3, i, j, zeros = 0;
    icl_train_info info;
    CHECK_EQ(icl_train_step(t, &info), ICL_OK);
    if (dims > 5) dims = 5;
    if (pairs > 9) pairs = 9;
    CHECK_EQ(info.dims, dims);
    CHECK_EQ(info.pairs, pairs);
    CHECK_EQ(t->work.prompts, 6);
    for (i = 0; i < 6 * pairs; i++)
      for (j = 0; j < 5; j++) {
        float x = t->work.xs[i * 5 + j];
        if (j >= dims) CHECK(x == 0.0f);
        else zeros += x == 0.0f;
      }
    CHECK_EQ(zeros, 0);
  }
  icl_trainer_delete(t);
  o.dims_start = o.pairs_start = 0;                          /* none */
  o.dims_every = o.pairs_every = 0;
  t = begin(&o);
  CHECK_EQ(icl__dims_now(t), 5);
  CHECK_EQ(icl__pairs_now(t), 9);
  icl_trainer_delete(t);
}

/* Prompt i of step s is that of icl_prompt_sample, on any thread. */
TEST(prompts_are_those_of_the_sampler)
{
  icl_train_options o = lively();
  icl_trainer *t;
  float xs[13 * 3], ys[13], *scratch;
  int s, i;
  o.threads = 3;
  o.batch = 4;
  t = begin(&o);
  scratch = (float *)need(icl_prompt_scratch(&t->task) * sizeof(float));
  for (s = 0; s < 5; s++) {
    icl_train_info info;
    icl_train_step(t, &info);
    for (i = 0; i < 4; i++) {
      icl_sampling how = t->o.sampling;
      icl_rng rng;
      size_t P = (size_t)info.pairs;
      how.dims_active = info.dims;
      icl_rng_init(&rng, 7, (uint64_t)s, (uint64_t)i);
      CHECK_EQ(icl_prompt_sample(&t->task, &how, &rng, info.pairs, xs, ys, NULL, scratch), ICL_OK);
      CHECK(same(xs, t->work.xs + (size_t)i * P * 3, P * 3)
            && same(ys, t->work.ys + (size_t)i * P, P));
    }
  }
  free(scratch);
  icl_trainer_delete(t);
}

/* ----- several processes ---------------------------------------------------------------------- */

enum { WORLD_STEPS = 5 };

static icl_train_options shared_run(int rank, int world)
{
  icl_train_options o = lively();
  o.epsilon = 1e-2f;        /* so that gradients which are 0 but for rounding stay without effect */
  o.batch = 7;
  o.rank = rank;
  o.world = world;
  return o;
}

/* What two ranks have learned, against one process that did it alone. */
static void check_world(icl_trainer *a, icl_trainer *b, const float *losses)
{
  icl_train_options o = shared_run(0, 1);
  icl_trainer *one = begin(&o);
  size_t i;
  int s;
  for (s = 0; s < WORLD_STEPS; s++) {
    icl_train_info info;
    CHECK_EQ(icl_train_step(one, &info), ICL_OK);
    CHECK_NEAR(losses[s], info.loss, 1e-5 * (double)info.loss);
  }
  for (i = 0; i < one->n; i++) CHECK_NEAR(a->params[i], one->params[i], 1e-5);
  CHECK(state_of(a) == state_of(b));
  icl_trainer_delete(one);
}

/* The sum of both gradients, worked out beforehand. */
static float *world_sum;

/* Where the processes talk, the other one says the same. */
static int take_sum(void *user, float *sum, size_t n)
{
  const icl_trainer *t = *(icl_trainer *const *)user;
  size_t half = n / 2, i;
  if (n == t->n + 1) memcpy(sum, world_sum, n * sizeof(float));
  else for (i = 0; i < half; i++) sum[i] = sum[half + i] = sum[i] + sum[half + i];
  return 0;
}

TEST(two_ranks_in_turn)
{
  icl_train_options o = shared_run(0, 2);
  icl_trainer *t[2];
  float losses[WORLD_STEPS];
  size_t i;
  int s, r;
  o.reduce = take_sum;
  o.user = &t[0];
  t[0] = begin(&o);
  o.rank = 1;
  t[1] = begin(&o);
  world_sum = (float *)need((t[0]->n + 1) * sizeof(float));
  for (s = 0; s < WORLD_STEPS; s++) {
    icl_train_info info;
    for (r = 0; r < 2; r++) icl__gradient(t[r]);
    for (i = 0; i <= t[0]->n; i++) world_sum[i] = t[0]->grad[i] + t[1]->grad[i];
    for (r = 0; r < 2; r++) CHECK_EQ(icl_train_update(t[r], &info), ICL_OK);
    losses[s] = info.loss;
  }
  check_world(t[0], t[1], losses);
  for (r = 0; r < 2; r++) icl__gradient(t[r]);            /* NaN on one rank: no update on either */
  t[1]->grad[3] = NAN;
  for (i = 0; i <= t[0]->n; i++) world_sum[i] = t[0]->grad[i] + t[1]->grad[i];
  for (r = 0; r < 2; r++) {
    CHECK_EQ(icl_train_update(t[r], NULL), ICL_OK);
    CHECK_EQ(t[r]->skipped, 1);
  }
  CHECK(state_of(t[0]) == state_of(t[1]));
  free(world_sum);
  icl_trainer_delete(t[0]);
  icl_trainer_delete(t[1]);
}

#ifdef ICL_TRAIN_THREADS
enum { MAX_WORLD = 4 };

/* A place where the ranks wait for each other. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t open;
  int world, waiting, round;
  float *part[MAX_WORLD];
} meeting;

static void wait_for_the_others(void)
{
  int round;
  pthread_mutex_lock(&meeting.lock);
  round = meeting.round;
  if (++meeting.waiting == meeting.world) {
    meeting.waiting = 0;
    meeting.round++;
    pthread_cond_broadcast(&meeting.open);
  }
  while (round == meeting.round) pthread_cond_wait(&meeting.open, &meeting.lock);
  pthread_mutex_unlock(&meeting.lock);
}

/* A rank is a thread here, with a trainer of its own. */
typedef struct rank_run {
  int rank;
  icl_trainer *t;
  float losses[WORLD_STEPS], *sum;
  const icl_run *run;              /* NULL: WORLD_STEPS steps                                 */
  icl_error err;
  icl_train_info last;
  icl_report r;
} rank_run;

/* The sum in an order that depends on the rank, so that only exact sums are the same for all; those
 * of two ranks always are. */
static int all_reduce(void *user, float *sum, size_t n)
{
  rank_run *k = (rank_run *)user;
  size_t i;
  int r;
  meeting.part[k->rank] = sum;
  wait_for_the_others();
  memset(k->sum, 0, n * sizeof(float));
  for (r = 0; r < meeting.world; r++)
    for (i = 0; i < n; i++) k->sum[i] += meeting.part[(k->rank + r) % meeting.world][i];
  wait_for_the_others();
  memcpy(sum, k->sum, n * sizeof(float));
  return 0;
}

/* Steps of a run with the caller's prompts, those of a task drawn by place in the batch. */
static icl_error own_step(icl_trainer *t, icl_train_info *info)
{
  static const char *const text = "dense";
  icl_train_info next;
  int n = icl_trainer_next(t, &next), d = t->o.model.n_dims, i;
  float *xs = (float *)need((size_t)(n * next.pairs * d) * sizeof(float)), scratch[64];
  float *ys = (float *)need((size_t)(n * next.pairs) * sizeof(float));
  icl_task task;
  icl_error err = icl_task_parse(&task, text, d, NULL, 0, NULL);
  for (i = 0; i < n && !err; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 5, (uint64_t)next.step, (uint64_t)icl_trainer_prompt(t, i));
    err = icl_prompt_sample(&task, NULL, &rng, next.pairs, xs + i * next.pairs * d, ys + i * next.pairs,
                            NULL, scratch);
  }
  if (!err) err = icl_train_gradient(t, xs, ys, NULL);
  if (!err) err = icl_train_update(t, info);
  free(xs);
  free(ys);
  return err;
}

static void *run_rank(void *arg)
{
  rank_run *k = (rank_run *)arg;
  int s;
  if (k->run) k->err = icl_train_run(k->t, k->run, &k->last, &k->r);
  for (s = 0; !k->run && s < WORLD_STEPS && !k->err; s++) {
    k->err = k->t->o.own_prompts ? own_step(k->t, &k->last) : icl_train_step(k->t, &k->last);
    k->losses[s] = k->last.loss;
  }
  if (!k->run && k->err) icl_train_agree(k->t, &k->r);
  return NULL;
}

/* Trainers of `world` ranks with the options o, rank r on 1 + r % 2 threads. */
static void begin_ranks(rank_run *k, const icl_train_options *from, int world)
{
  int r;
  pthread_mutex_init(&meeting.lock, NULL);
  pthread_cond_init(&meeting.open, NULL);
  meeting.world = world;
  meeting.waiting = 0;
  memset(k, 0, (size_t)world * sizeof *k);
  for (r = 0; r < world; r++) {
    icl_train_options o = *from;
    o.rank = k[r].rank = r;
    o.world = world;
    o.reduce = world > 1 ? all_reduce : NULL;
    o.user = &k[r];
    o.threads = 1 + r % 2;
    k[r].t = begin(&o);
    k[r].sum = (float *)need((2 * k[r].t->n + 2 + ICL__RUN_TEXT) * sizeof(float));
  }
}

static void run_ranks(rank_run *k)
{
  pthread_t other[MAX_WORLD];
  int r;
  for (r = 1; r < meeting.world; r++) if (pthread_create(&other[r], NULL, run_rank, &k[r])) exit(3);
  run_rank(&k[0]);
  for (r = 1; r < meeting.world; r++) pthread_join(other[r], NULL);
}

static void end_ranks(rank_run *k)
{
  int r;
  for (r = 0; r < meeting.world; r++) { icl_trainer_delete(k[r].t); free(k[r].sum); }
}
#endif

TEST(two_ranks_at_once)
{
#ifdef ICL_TRAIN_THREADS
  icl_train_options o = shared_run(0, 1);
  rank_run k[2];
  begin_ranks(k, &o, 2);
  run_ranks(k);
  check_world(k[0].t, k[1].t, k[0].losses);
  end_ranks(k);
#else
  SKIP("built without threads");
#endif
}

/* One gradient in shards is that of the whole batch, but for rounding. */
TEST(shards_add_up)
{
  icl_train_options o = shared_run(0, 1);
  icl_trainer *whole = begin(&o), *cut;
  icl_train_info a, b;
  size_t i;
  double most = 0;
  o.shards = 5;
  cut = begin(&o);
  CHECK_EQ(icl_train_step(whole, &a), ICL_OK);
  CHECK_EQ(icl_train_step(cut, &b), ICL_OK);
  CHECK_NEAR(a.loss, b.loss, 1e-6 * (double)a.loss);
  CHECK_NEAR(a.grad_norm, b.grad_norm, 1e-6 * (double)a.grad_norm);
  for (i = 0; i < whole->n; i++) most = fmax(most, fabs((double)whole->grad[i]));
  for (i = 0; i < whole->n; i++) CHECK_NEAR(whole->grad[i], cut->grad[i], 2e-6 * most);
  icl_trainer_delete(whole);
  icl_trainer_delete(cut);
}

/* The exact sum of shards' gradients, beside sums in double; the largest, and what is 2^-30 of it. */
TEST(shards_are_added_exactly)
{
  enum { S = 7 };
  icl_train_options o = shared_run(0, 1);
  icl_trainer *t;
  size_t i, j, row;
  o.shards = S;
  t = begin(&o);
  row = t->n + 1;
  for (i = 0; i < row; i++)
    for (j = 0; j < S; j++)
      t->shards[j * row + i] = (float)ldexp(normal(), i % 3 ? -40 : -70 - (int)(i % 7));
  t->exponent = icl__shard_exponent(t);
  CHECK(t->exponent < -36 && t->exponent > -42);
  {
    float *copy = (float *)need(S * row * sizeof(float));
    memcpy(copy, t->shards, S * row * sizeof(float));
    CHECK_EQ(icl__sum_gradients(t), ICL_OK);
    for (i = 0; i < row; i++) {
      double sum = 0;
      for (j = 0; j < S; j++) sum += (double)copy[j * row + i];
      CHECK_NEAR(t->grad[i], sum, ldexp(1.0, t->exponent - 39) + fabs(sum) * ldexp(1.0, -24));
    }
    free(copy);
  }
  for (i = 0; i < S * row; i++) t->shards[i] = 0;
  CHECK_EQ(t->exponent = icl__shard_exponent(t), 0);
  t->shards[row] = INFINITY;
  CHECK_EQ(t->exponent = icl__shard_exponent(t), ICL__MAX_EXPONENT);
  CHECK(icl__sum_gradients(t) == ICL_OK && isnan(t->grad[0]) && isnan(t->grad[t->n]));
  icl_trainer_delete(t);
}

/* With shards the bits are the same for 1, 2, 3, 4 ranks, whatever the order in which they add up:
 * prompts drawn with both optimizers, and prompts of the caller's. */
TEST(shards_of_any_world)
{
#ifdef ICL_TRAIN_THREADS
  rank_run k[MAX_WORLD];
  int kind, world, r, s;
  for (kind = 0; kind < 3; kind++) {
    float losses[WORLD_STEPS];
    uint64_t state = 0;
    for (world = 1; world <= MAX_WORLD; world++) {
      icl_train_options o = shared_run(0, 1);
      o.shards = 6;
      o.batch = 13;
      if (kind == 1) o.optimizer = ICL_MUON;
      if (kind == 2) { o.task = NULL; o.own_prompts = 1; o.hint = 0; }
      begin_ranks(k, &o, world);
      run_ranks(k);
      if (world == 1) state = state_of(k[0].t);
      if (world == 1) memcpy(losses, k[0].losses, sizeof losses);
      for (r = 0; r < world; r++) {
        CHECK_EQ(k[r].err, ICL_OK);
        CHECK(state_of(k[r].t) == state);
        for (s = 0; s < WORLD_STEPS; s++) CHECK(k[r].losses[s] == losses[s]);
      }
      end_ranks(k);
    }
  }
#else
  SKIP("built without threads");
#endif
}

/* Each prompt of a batch is one rank's. */
TEST(prompts_of_all_ranks)
{
  int world, shards, r, i;
  for (world = 1; world <= 4; world++)
    for (shards = 0; shards <= 7; shards += 7) {
      int seen[13] = {0};
      for (r = 0; r < world; r++) {
        icl_train_options o = shared_run(r, world);
        icl_trainer *t;
        o.reduce = no_sum;
        o.batch = 13;
        o.shards = shards;
        t = begin(&o);
        for (i = 0; i < icl_trainer_next(t, NULL); i++) {
          int at = icl_trainer_prompt(t, i);
          CHECK(at >= 0 && at < 13);
          if (at >= 0 && at < 13) seen[at]++;
        }
        CHECK_EQ(icl_trainer_prompt(t, i), -1);
        CHECK_EQ(icl_trainer_prompt(t, -1), -1);
        icl_trainer_delete(t);
      }
      for (i = 0; i < 13; i++) CHECK_EQ(seen[i], 1);
    }
  CHECK_EQ(icl_trainer_prompt(NULL, 0), -1);
}

#ifdef ICL_TRAIN_THREADS
/* Rank 2 of 3 differs from the others in one thing: all get the same error, and nothing changed. */
static void check_odd_one(int what, const char *text)
{
  icl_train_options o = shared_run(0, 1);
  rank_run k[3];
  uint64_t before[3];
  int r;
  begin_ranks(k, &o, 3);
  if (what < 4) {
    o.rank = 2;
    o.world = 3;
    o.reduce = all_reduce;
    o.user = &k[2];
    if (what == 0) o.seed++;
    if (what == 1) o.lr *= 2;
    if (what == 2) o.steps++;
    if (what == 3) o.model.n_embd *= 2;
    icl_trainer_delete(k[2].t);
    k[2].t = begin(&o);
  }
  if (what == 4) k[2].t->step++;
  if (what == 5) k[2].t->params[k[2].t->n / 2] += 1e-6f;
  for (r = 0; r < 3; r++) before[r] = state_of(k[r].t);
  run_ranks(k);
  for (r = 0; r < 3; r++) {
    CHECK_EQ(k[r].err, ICL_ERR_STATE);
    CHECK(strstr(k[r].r.text, "rank 2") && strstr(k[r].r.text, text));
    if (!strstr(k[r].r.text, text)) printf("%s: %s\n", text, k[r].r.text);
    CHECK(state_of(k[r].t) == before[r]);
  }
  end_ranks(k);
}
#endif

TEST(a_rank_elsewhere)
{
#ifdef ICL_TRAIN_THREADS
  check_odd_one(0, "seed");
  check_odd_one(1, "lr");
  check_odd_one(2, "steps");
  check_odd_one(3, "n_embd");
  check_odd_one(4, "step");
  check_odd_one(5, "weights");
#else
  SKIP("built without threads");
#endif
}

/* A sum that is none is found in the first step. */
TEST(a_reduce_that_does_not_add_up)
{
  icl_train_options o = shared_run(1, 2);
  icl_trainer *t;
  icl_report r;
  o.reduce = no_sum;
  t = begin(&o);
  CHECK_EQ(icl_train_step(t, NULL), ICL_ERR_IO);             /* rank 0 said nothing */
  CHECK_EQ(icl_train_agree(t, &r), ICL_ERR_IO);
  CHECK_EQ(r.code, ICL_ERR_IO);
  icl_trainer_delete(t);
  CHECK_EQ(icl_train_agree(NULL, &r), ICL_ERR_ARG);
  o = small();
  t = begin(&o);
  CHECK_EQ(icl_train_agree(t, &r), ICL_OK);                  /* alone, all agree */
  icl_trainer_delete(t);
}

#ifdef ICL_TRAIN_THREADS
static int stop_after_three(void *user, const icl_train_info *info)
{
  (void)user;
  return info->step == 3;
}

#ifdef ICL__POSIX
/* The folder of the files is gone in the middle of the run. */
static int remove_folder(void *user, const icl_train_info *info)
{
  if (info->step == 2) {
    char name[700];
    snprintf(name, sizeof name, "%s/a.state.lock", (const char *)user);
    remove(name);
    remove((const char *)user);
  }
  return 0;
}
#endif

/* All ranks end at this step with this error, and text in the report. */
static void check_ranks(const icl_train_options *o, int world, const icl_run *run, const icl_run *odd,
                        icl_error expected, const char *text, int step)
{
  rank_run k[MAX_WORLD];
  int r;
  begin_ranks(k, o, world);
  for (r = 0; r < world; r++) k[r].run = run;
  if (odd) k[world - 1].run = odd;
  run_ranks(k);
  for (r = 0; r < world; r++) {
    CHECK_EQ(k[r].err, expected);
    CHECK_EQ(k[r].r.code, expected);
    CHECK_EQ(k[r].t->step, step);
    if (!strstr(k[r].r.text, text)) CHECK_STR(k[r].r.text, text);
    if (!expected) CHECK(state_of(k[r].t) == state_of(k[0].t));
  }
  end_ranks(k);
}
#endif

/* A rank that is told to stop stops all after the same step, with a state that any world goes on
 * from to the same bits; a rank that cannot begin, or not save, makes all of them fail. */
TEST(ranks_stop_fail_and_resume)
{
#ifdef ICL_TRAIN_THREADS
  icl_train_options o = shared_run(0, 1);
  icl_run run, odd;
  icl_trainer *one;
  bytes whole, left;
  FILE *f;
  memset(&run, 0, sizeof run);
  run.state_path = at("ranks.state");
  o.shards = 4;
  o.steps = 9;
  one = begin(&o);
  CHECK_EQ(icl_train_run(one, &run, NULL, NULL), ICL_OK);
  icl_trainer_delete(one);
  whole = slurp(run.state_path);
  remove(run.state_path);
  odd = run;
  odd.progress = stop_after_three;
  check_ranks(&o, 2, &run, &odd, ICL_OK, "", 4);
  left = slurp(run.state_path);
  run.resume = odd.resume = 1;
  odd.progress = NULL;
  odd.state_path = at("no.state");
  check_ranks(&o, 1, &run, NULL, ICL_OK, "", 9);             /* a state of 9 steps .. */
  CHECK(holds(run.state_path, whole));
  odd.state_path = at("older.state");
  f = fopen(odd.state_path, "wb");                           /* .. and an older one */
  fwrite(left.p, 1, left.n, f);
  fclose(f);
  one = begin(&o);
  CHECK_EQ(icl_train_resume(one, odd.state_path, NULL), ICL_OK);
  CHECK_EQ(one->step, 4);
  icl_trainer_delete(one);
  f = fopen(run.state_path, "wb");
  fwrite(left.p, 1, left.n, f);
  fclose(f);
  check_ranks(&o, 3, &run, NULL, ICL_OK, "", 9);             /* three go on from what two left */
  CHECK(holds(run.state_path, whole));
  {
    rank_run k[2];
    begin_ranks(k, &o, 2);
    k[0].run = &run;
    k[1].run = &odd;
    run_ranks(k);
    CHECK(k[0].err == ICL_ERR_STATE && k[1].err == ICL_ERR_STATE);
    CHECK_STR(k[0].r.text, "rank 1 is at step 4, rank 0 at 9");
    CHECK_STR(k[1].r.text, k[0].r.text);
    end_ranks(k);
  }
  f = fopen(odd.state_path, "wb");
  fclose(f);
  {
    rank_run k[2];
    begin_ranks(k, &o, 2);
    k[0].run = &run;
    k[1].run = &odd;
    run_ranks(k);
    CHECK(k[0].err == ICL_ERR_FORMAT && k[1].err == ICL_ERR_FORMAT);
    CHECK_STR(k[0].r.text, "rank 1: not a training state");
    CHECK_STR(k[1].r.text, "not a training state");
    end_ranks(k);
  }
  remove(odd.state_path);
  remove(run.state_path);
  free(whole.p);
  free(left.p);
#else
  SKIP("built without threads");
#endif
}

/* Rank 0's disk fails: all of them say so. */
TEST(rank_zero_cannot_save)
{
#if defined ICL_TRAIN_THREADS && defined ICL__POSIX
  icl_train_options o = shared_run(0, 1);
  icl_run run, first;
  char path[700];
  const char *folder = at("gone");
  memset(&run, 0, sizeof run);
  o.steps = 4;
  snprintf(path, sizeof path, "%s/a.state", folder);
  run.state_path = path;
  check_ranks(&o, 2, &run, NULL, ICL_ERR_IO, "cannot lock", 0);
  first = run;
  first.progress = remove_folder;
  first.user = (void *)(uintptr_t)folder;
  if (mkdir(folder, 0700)) { CHECK(!"mkdir"); return; }
  check_ranks(&o, 2, &first, &run, ICL_ERR_IO, "cannot create", 4);
#else
  SKIP("built without threads or POSIX files");
#endif
}

static int cannot_sum(void *user, float *sum, size_t n)
{
  (void)user;
  sum[n / 2] = NAN;
  return 1;
}

TEST(sum_over_processes_fails)
{
  icl_train_options o = small();
  icl_trainer *t;
  icl_model *m = NULL;
  icl_run run;
  icl_report r;
  uint64_t before;
  o.reduce = cannot_sum;
  t = begin(&o);
  before = state_of(t);
  CHECK_EQ(icl_train_step(t, NULL), ICL_ERR_IO);
  CHECK(state_of(t) == before);
  memset(&run, 0, sizeof run);
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_IO);
  CHECK(r.code == ICL_ERR_IO && r.text[0]);
  CHECK(state_of(t) == before);
  run.model_path = at("s.safetensors");
  run.state_path = at("s.state");
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_IO);
  CHECK_EQ(icl_load(&m, at("s.safetensors"), &r), ICL_OK);     /* the good weights are kept */
  icl_unload(m);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* ----- the checkpoint ------------------------------------------------------------------------- */

/* Predictions of two models, pair by pair. */
static void check_same_model(const icl_model *a, const icl_model *b, int pairs)
{
  icl_ctx *c[2];
  size_t d = (size_t)a->config.n_dims;
  int i, k;
  CHECK_EQ(icl_ctx_new(&c[0], a, pairs - 1, 1), ICL_OK);
  CHECK_EQ(icl_ctx_new(&c[1], b, pairs - 1, 1), ICL_OK);
  for (k = 0; k < pairs; k++) {
    float *x = normals(d, 1), y[2] = {0, 1};
    for (i = 0; i < 2; i++) CHECK_EQ(icl_predict(c[i], x, &y[i]), ICL_OK);
    CHECK(same(&y[0], &y[1], 1));
    for (i = 0; i < 2 && k + 1 < pairs; i++) CHECK_EQ(icl_add(c[i], x, x[0]), ICL_OK);
    free(x);
  }
  icl_ctx_delete(c[0]);
  icl_ctx_delete(c[1]);
}

/* Surprise of new prompts of the mixture: median 0, one in a hundred above 1. */
static void check_typical(const icl_trainer *t, const icl_model *m)
{
  enum { N = 400 };
  float s[N], xs[13 * 3], ys[13];
  float *scratch = (float *)need(icl_prompt_scratch(&t->task) * sizeof(float));
  icl_ctx *c;
  int i, odd = 0, P = t->o.pairs;
  if (ICL__TYPICAL_PROMPTS < 2048) { free(scratch); return; }
  CHECK_EQ(icl_ctx_new(&c, m, P - 1, 4), ICL_OK);
  for (i = 0; i < N; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 99, 0, (uint64_t)i);
    CHECK_EQ(icl_prompt_sample(&t->task, &t->o.sampling, &rng, P, xs, ys, NULL, scratch), ICL_OK);
    icl_rewind(c, 0);
    CHECK_EQ(icl_add_batch(c, P - 1, xs, ys), ICL_OK);
    CHECK_EQ(icl_surprise(c, &s[i]), ICL_OK);
    odd += s[i] > 1;
  }
  qsort(s, N, sizeof *s, icl__compare_floats);
  CHECK_NEAR(s[N / 2], 0, 0.15);
  CHECK(odd <= 14);
  icl_ctx_delete(c);
  free(scratch);
}

TEST(exported_model)
{
  icl_train_options o = lively();
  icl_trainer *t;
  icl_model *m = NULL;
  icl_report r;
  bytes one;
  int s;
  t = begin(&o);
  for (s = 0; s < 6; s++) icl_train_step(t, NULL);
  CHECK_EQ(icl_train_save(t, at("t.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), &r), ICL_OK);
  one = slurp(at("m.safetensors"));
  CHECK_EQ(icl_load(&m, at("m.safetensors"), &r), ICL_OK);
  CHECK_STR(r.text, "");
  if (!m) return;
  CHECK_EQ(m->verified, 1);
  CHECK_EQ(m->n_typical, o.pairs);
  CHECK_EQ(m->n_params, t->n);
  CHECK_STR(m->task, icl_trainer_options(t)->task);
  CHECK(!memcmp(&m->config, &t->model.config, sizeof m->config));
  check_same_model(m, icl_trainer_model(t), o.pairs);
  check_typical(t, m);
  icl_unload(m);
  icl_trainer_delete(t);
  o.threads = 3;                                      /* the same file from any number of threads */
  t = begin(&o);
  t->work.micro = 3;
  CHECK_EQ(icl_train_resume(t, at("t.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), NULL), ICL_OK);
  CHECK(holds(at("m.safetensors"), one));
  CHECK_FILES(2);
  free(one.p);
  icl_trainer_delete(t);
}

/* A checkpoint says what it was trained on, however long that is: it can be parsed again. */
TEST(long_task_survives)
{
  icl_train_options o = small();
  icl_trainer *t;
  icl_model *m = NULL;
  icl_task task;
  o.model.n_dims = 1;
  o.batch = 2;
  o.task = "0.2*affine + 0.2*poly(degree=2) + 0.2*wave(fmin=0.1, fmax=1) + 0.2*saturate"
           " + 0.2*noisy(affine + poly(degree=2) + wave(fmin=0.1, fmax=1) + saturate, sd=0.2)";
  t = begin(&o);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), NULL), ICL_OK);
  CHECK_EQ(icl_load(&m, at("m.safetensors"), NULL), ICL_OK);
  if (m) {
    CHECK_EQ(icl_task_parse(&task, m->task, 1, NULL, 0, NULL), ICL_OK);
    CHECK_STR(m->task, icl_trainer_options(t)->task);
  }
  icl_unload(m);
  icl_trainer_delete(t);
  CHECK_FILES(1);
}

/* 2,000 characters, and how prompts are drawn and how it was trained, and the shape of the answer. */
TEST(how_it_was_trained_survives)
{
  static char text[2600];
  icl_train_options o = small();
  icl_trainer *t;
  icl_model *m = NULL;
  icl_task task;
  int i;
  strcpy(text, "noisy(gp(length=0.15..4, nu=1.5)");
  for (i = 0; strlen(text) < 1950; i++)
    strcat(text, i % 2 ? " + 0.125*wave(fmin=0.05, fmax=0.6)" : " + 0.5*logistic(smin=0.5, smax=12)");
  strcat(text, ", sd=0.003..2, share=0.65, tails=0.2, outliers=0.1)");
  o.task = text;
  o.model.tokens = ICL_TOKENS_JOINT;
  o.model.position_embedding_type = ICL_POSITION_ALTERNATING;
  o.model.n_quantiles = 2;
  o.model.quantiles[0] = 0.05f;
  o.model.quantiles[1] = 0.95f;
  o.sampling.inputs = ICL_INPUTS_DATA;
  o.sampling.order = o.sampling.standardize = 1;
  o.optimizer = ICL_MUON;
  t = begin(&o);
  CHECK(strlen(icl_trainer_options(t)->task) > 2000);
  for (i = 0; i < 3; i++) CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), NULL), ICL_OK);
  CHECK_EQ(icl_load(&m, at("m.safetensors"), NULL), ICL_OK);
  if (m) {
    CHECK_EQ(icl_task_parse(&task, m->task, 2, NULL, 0, NULL), ICL_OK);
    CHECK_EQ(task.n_nodes, t->task.n_nodes);
    CHECK_STR(m->task, icl_trainer_options(t)->task);
    CHECK_STR(m->sampling, "inputs=data order=1 standardize=1");
    CHECK_STR(m->recipe, "steps=3 batch=6 pairs=5 optimizer=muon lr=0.01 schedule=constant warmup=0 init_sd=0.3 seed=7");
    CHECK(m->verified && !memcmp(&m->config, &t->model.config, sizeof m->config));
    CHECK_EQ(m->n_typical, 5);
    check_same_model(m, icl_trainer_model(t), o.pairs);
    check_typical(t, m);
  }
  icl_unload(m);
  icl_trainer_delete(t);
  CHECK_FILES(1);
}

/* Puts n pairs of one input into rising order. */
static void sort_pairs(float *x, float *y, int n)
{
  int i, k;
  for (i = 1; i < n; i++) {
    for (k = i; k && x[k - 1] > x[k]; k--) {
      float u = x[k], v = y[k];
      x[k] = x[k - 1]; x[k - 1] = u;
      y[k] = y[k - 1]; y[k - 1] = v;
    }
  }
}

/* The part of N contexts of n pairs, in drawn or rising order, whose surprise is above 1, and in
 * *low the part below 0.  They are the first pairs of drawn prompts, at their own scale. */
static double part_above_1(const icl_model *m, int n, int sorted, int N, double *low)
{
  icl_sampling how;
  icl_task task;
  icl_ctx *c;
  float x[12], y[12], s = 0, *scratch;
  int i, above = 0, below = 0;
  memset(&how, 0, sizeof how);
  how.inputs = ICL_INPUTS_DATA;
  how.standardize = 1;
  CHECK_EQ(icl_task_parse(&task, m->task, 1, NULL, 0, NULL), ICL_OK);
  CHECK_EQ(icl_ctx_new(&c, m, 12, 4), ICL_OK);
  scratch = (float *)need(icl_prompt_scratch(&task) * sizeof(float));
  for (i = 0; i < N; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 5, 3, (uint64_t)i);
    CHECK_EQ(icl_prompt_sample(&task, &how, &rng, 12, x, y, NULL, scratch), ICL_OK);
    if (sorted) sort_pairs(x, y, n);
    CHECK_EQ(icl_rewind(c, 0), ICL_OK);
    CHECK_EQ(icl_standardize(c, n, x, y), ICL_OK);
    CHECK_EQ(icl_add_batch(c, n, x, y), ICL_OK);
    CHECK_EQ(icl_surprise(c, &s), ICL_OK);
    above += s > 1;
    below += s < 0;
  }
  icl_ctx_delete(c);
  free(scratch);
  *low = (double)below / N;
  return (double)above / N;
}

/* Surprise means the same at every number of pairs and in every order: 0 is the median, and 1 in 100
 * is above 1. */
TEST(surprise_of_whole_contexts)
{
  static const int sizes[] = {4, 6, 8, 12};
  icl_train_options o = small();
  icl_trainer *t;
  icl_model *m = NULL;
  size_t i;
  if (ICL__TYPICAL_PROMPTS < 2048) SKIP("too few prompts");
  o.model.n_dims = 1;
  o.model.tokens = ICL_TOKENS_JOINT;
  o.model.position_embedding_type = ICL_POSITION_ALTERNATING;
  o.task = "noisy(0.5*affine + 0.5*wave(fmin=0.05, fmax=0.6), sd=0.01..2)";
  o.sampling.inputs = ICL_INPUTS_DATA;
  o.sampling.order = o.sampling.standardize = 1;
  o.pairs = 13;
  o.batch = 32;
  o.steps = 60;
  t = begin(&o);
  for (i = 0; i < 60; i++) CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), NULL), ICL_OK);
  CHECK_EQ(icl_load(&m, at("m.safetensors"), NULL), ICL_OK);
  for (i = 0; m && i < COUNT(sizes); i++) {
    double drawn_low, rising_low, drawn, rising;
    drawn = part_above_1(m, sizes[i], 0, 2000, &drawn_low);
    rising = part_above_1(m, sizes[i], 1, 2000, &rising_low);
    CHECK_NEAR((drawn_low + rising_low) / 2, 0.5, 0.1);
    CHECK(drawn >= 0.003 && drawn <= 0.025);
    CHECK(rising >= 0.003 && rising <= 0.025);
  }
  icl_unload(m);
  icl_trainer_delete(t);
  CHECK_FILES(1);
}

/* icl.typical alone is that of the checkpoint; what it refuses. */
TEST(typical_alone)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  icl_model *m = NULL;
  char text[5 * ICL_TYPICAL_BYTES + 1], *rest = text;
  int i;
  CHECK_EQ(icl_train_typical(t, ICL__TYPICAL_PROMPTS, text, sizeof text), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("m.safetensors"), NULL), ICL_OK);
  CHECK_EQ(icl_load(&m, at("m.safetensors"), NULL), ICL_OK);
  for (i = 0; m && i < 10; i++) CHECK_NEAR(strtol(rest, &rest, 10) / 1000.0, (double)m->typical[i], 1e-6);
  CHECK_STR(rest, "");
  CHECK_EQ(icl_train_typical(NULL, 2048, text, sizeof text), ICL_ERR_ARG);
  CHECK_EQ(icl_train_typical(t, 99, text, sizeof text), ICL_ERR_ARG);
  CHECK_EQ(icl_train_typical(t, 2048, NULL, sizeof text), ICL_ERR_ARG);
  CHECK_EQ(icl_train_typical(t, 2048, text, sizeof text - 1), ICL_ERR_ARG);
  icl_trainer_params(t)[0] = NAN;
  CHECK_EQ(icl_train_typical(t, 100, text, sizeof text), ICL_ERR_NONFINITE);
  icl_unload(m);
  icl_trainer_delete(t);
  CHECK_FILES(1);
}

/* ----- the loop ------------------------------------------------------------------------------- */

static volatile sig_atomic_t stop_flag;

typedef struct watcher { int steps, stop_after, flag_after; int64_t last; bytes state; } watcher;

static int watch(void *user, const icl_train_info *info)
{
  watcher *w = (watcher *)user;
  w->steps++;
  CHECK(info->step == w->last + 1);
  w->last = info->step;
  if (w->steps == w->flag_after) stop_flag = 1;
  return w->steps == w->stop_after;
}

static char model_path[600], state_path[600];

static icl_run new_run(watcher *w)
{
  icl_run run;
  memset(w, 0, sizeof *w);
  memset(&run, 0, sizeof run);
  strcpy(model_path, at("r.safetensors"));
  strcpy(state_path, at("r.state"));
  run.model_path = model_path;
  run.state_path = state_path;
  run.progress = watch;
  run.user = w;
  run.stop = &stop_flag;
  stop_flag = 0;
  return run;
}

/* Runs to the end in one go; what it leaves. */
static void reference_run(const icl_train_options *o, bytes *model, bytes *state)
{
  icl_trainer *t = begin(o);
  icl_train_info last;
  watcher w;
  icl_run run = new_run(&w);
  icl_report r;
  run.resume = 1;                                       /* where there is no file: from the start */
  CHECK_EQ(icl_train_run(t, &run, &last, &r), ICL_OK);
  CHECK_EQ(r.code, ICL_OK);
  CHECK_EQ(last.step, o->steps);
  CHECK_EQ(w.steps, o->steps);
  *model = slurp(at("r.safetensors"));
  *state = slurp(at("r.state"));
  memset(&last, 0xA5, sizeof last);
  CHECK_EQ(icl_train_run(t, &run, &last, &r), ICL_OK);       /* done: it only writes again */
  CHECK(last.loss == 0.0f && last.skipped == 0);
  CHECK_EQ(w.steps, o->steps);
  CHECK_EQ(last.step, o->steps);
  CHECK(holds(at("r.safetensors"), *model) && holds(at("r.state"), *state));
  icl_trainer_delete(t);
  CHECK_FILES(2);
}

/* Stops after k steps by one of two ways, goes on in another trainer, and ends with the same
 * files. */
static void check_stop(const icl_train_options *from, int k, int by_flag, bytes model, bytes state)
{
  icl_train_options o = *from;
  icl_trainer *t = begin(&o);
  icl_train_info last;
  watcher w;
  icl_run run = new_run(&w);
  if (by_flag) w.flag_after = k;
  else w.stop_after = k;
  run.save_every = 4;
  CHECK_EQ(icl_train_run(t, &run, &last, NULL), ICL_OK);
  CHECK_EQ(last.step, k);
  CHECK_EQ(w.steps, k);
  CHECK(is_there(run.state_path) && is_there(run.model_path));
  icl_trainer_delete(t);
  o.threads = 3;
  t = begin(&o);
  run = new_run(&w);
  run.resume = 1;
  w.last = k;
  CHECK_EQ(icl_train_run(t, &run, NULL, NULL), ICL_OK);
  CHECK_EQ(w.steps, o.steps - k);
  CHECK(holds(at("r.safetensors"), model) && holds(at("r.state"), state));
  icl_trainer_delete(t);
  CHECK_FILES(2);
}

TEST(run_stops_and_goes_on)
{
  icl_train_options o = lively();
  bytes model, state;
  int k;
  o.model.n_embd = 8; o.model.n_layer = 1; o.hint = 0;
  o.pairs = 5;
  reference_run(&o, &model, &state);
  for (k = 1; k < 9; k += 2) {
    check_stop(&o, k, 0, model, state);
    check_stop(&o, k, 1, model, state);
  }
  free(model.p);
  free(state.p);
}

/* The state on disk is never older than save_every steps. */
static int note_saves(void *user, const icl_train_info *info)
{
  watcher *w = (watcher *)user;
  bytes now = slurp(at("r.state"));
  int64_t saved = now.n > 24 ? (int64_t)icl__get64((unsigned char *)now.p + 16) : 0;
  CHECK_EQ(saved, (info->step - 1) / 4 * 4);
  w->steps++;
  free(now.p);
  return 0;
}

TEST(save_every)
{
  icl_train_options o = small();
  icl_trainer *t;
  watcher w;
  icl_run run = new_run(&w);
  o.steps = 11;
  t = begin(&o);
  remove(run.state_path);
  run.progress = note_saves;
  run.save_every = 4;
  run.stop = NULL;
  CHECK_EQ(icl_train_run(t, &run, NULL, NULL), ICL_OK);
  CHECK_EQ(w.steps, 11);
  icl_trainer_delete(t);
  CHECK_FILES(2);
  t = begin(&o);
  memset(&run, 0, sizeof run);                               /* nothing to write, nobody to tell */
  CHECK_EQ(icl_train_run(t, &run, NULL, NULL), ICL_OK);
  CHECK_EQ(t->step, 11);
  icl_trainer_delete(t);
  CHECK_FILES(0);
}

/* A state that is there but cannot be taken is no reason to start over and write over it. */
TEST(run_keeps_a_state_it_cannot_use)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  watcher w;
  icl_run run = new_run(&w);
  icl_report r;
  bytes bad;
  spill(run.state_path, "ICLTRN03 but no more", 20);
  bad = slurp(run.state_path);
  run.resume = 1;
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_FORMAT);
  CHECK_EQ(w.steps, 0);
  CHECK_EQ(t->step, 0);
  CHECK(holds(at("r.state"), bad));
  CHECK_FILES(1);
  free(bad.p);
  icl_trainer_delete(t);
}

/* ----- options -------------------------------------------------------------------------------- */

/* Change i that makes the options impossible, and the word that the report must say; NULL past
 * the last. */
static const char *spoil(icl_train_options *o, int i)
{
  switch (i) {
    case 0:  o->pairs = 0; return "pairs";
    case 1:  o->pairs = -3; return "pairs";
    case 2:  o->pairs = INT32_MAX; return "pairs";
    case 3:  o->pairs = (1 << 22) + 1; return "pairs";
    case 4:  o->batch = -1; return "batch";
    case 5:  o->batch = INT32_MAX; return "batch";
    case 6:  o->steps = 0; return "steps";
    case 7:  o->steps = -5; return "steps";
    case 8:  o->schedule = (icl_schedule)4; return "schedule";
    case 9:  o->lr = -1e-3f; return "lr";
    case 10: o->lr = NAN; return "lr";
    case 11: o->lr = INFINITY; return "lr";
    case 12: o->lr = 10; return "lr";
    case 13: o->warmup = -1; return "warmup";
    case 14: o->lr_end = -0.1f; return "lr_end";
    case 15: o->lr_end = 1.1f; return "lr_end";
    case 16: o->lr_end = NAN; return "lr_end";
    case 17: o->beta1 = 1; return "beta1";
    case 18: o->beta1 = -0.5f; return "beta1";
    case 19: o->beta1 = NAN; return "beta1";
    case 20: o->beta2 = 1; return "beta2";
    case 21: o->beta2 = NAN; return "beta2";
    case 22: o->epsilon = -1; return "epsilon";
    case 23: o->epsilon = NAN; return "epsilon";
    case 24: o->epsilon = 1; return "epsilon";
    case 25: o->weight_decay = -0.1f; return "weight_decay";
    case 26: o->weight_decay = NAN; return "weight_decay";
    case 27: o->clip = -1; return "clip";
    case 28: o->clip = INFINITY; return "clip";
    case 29: o->clip = NAN; return "clip";
    case 30: o->init_sd = -1; return "init_sd";
    case 31: o->init_sd = NAN; return "init_sd";
    case 32: o->dims_start = 3; o->dims_every = 1; return "dims_start";
    case 33: o->dims_start = -1; o->dims_every = 1; return "dims_start";
    case 34: o->dims_start = 1; o->dims_every = -1; return "dims";
    case 35: o->pairs_start = 6; o->pairs_every = 1; return "pairs_start";
    case 36: o->pairs_start = -1; o->pairs_every = 1; return "pairs_start";
    case 37: o->pairs_start = 1; o->pairs_every = -1; return "pairs";
    case 38: o->pairs_start = 1; o->pairs_every = 1; o->pairs_add = -1; return "pairs";
    case 39: o->threads = -1; return "threads";
    case 40: o->threads = ICL_MAX_THREADS + 1; return "threads";
    case 41: o->max_bad = -1; return "max_bad";
    case 42: o->rank = -1; return "rank";
    case 43: o->rank = 2; o->world = 2; return "rank";
    case 44: o->world = -1; return "world";
    case 45: o->world = 7; return "world";
    case 46: o->world = 2; o->reduce = NULL; return "reduce";
    case 47: o->model.n_positions = 8; return "n_positions";
    case 48: o->model.n_head = 3; return "n_head";
    case 49: o->model.n_layer = 0; return "size";
    case 50: o->model.n_embd = -8; return "size";
    case 51: o->model.n_embd = 1 << 20; return "width";
    case 52: o->model.n_out = 5; return "read-out";
    case 53: o->model.layer_norm_epsilon = NAN; return "layer_norm_epsilon";
    case 54: o->model.activation_function = (icl_activation)7; return "activation_function";
    case 55: o->task = ""; return "class";
    case 56: o->task = "dens"; return "dens";
    case 57: o->task = "sparse(nnz=-1)"; return "nnz";
    case 58: o->sampling.x_scale = NAN; return "scale";
    case 59: o->sampling.y_scale = INFINITY; return "scale";
    case 60: o->steps = ((int64_t)1 << 40) + 1; return "steps";   /* numbers of steps are 40 bits */
    case 61: o->shards = -1; return "shards";
    case 62: o->shards = 257; o->batch = 300; return "shards";
    case 63: o->shards = 7; return "shards";
    case 64: o->shards = 1; o->world = 2; o->reduce = no_sum; return "shards";
    case 65: o->pairs = ICL__MAX_SINUSOIDS + 1; o->model.n_positions = 0;
             o->model.position_embedding_type = ICL_POSITION_SINUSOIDAL; return "49999 with sinusoidal";
    case 66: o->hint = -1; return "hint must be";
    case 67: o->hint = NAN; return "hint must be";
    case 68: o->hint = INFINITY; return "hint must be";
    case 69: o->hint = 1; o->hint_layer = 2; return "below n_layer: 'hint_layer'";
    case 70: o->hint = 1; o->hint_layer = -1; return "hint_layer";
    case 71: o->hint = 1; o->model.n_layer = 1; return "below n_layer: 'hint_layer'";
    case 72: o->hint = 1; o->sampling.standardize = 1; return "hint is for a task";
    case 73: o->hint = 1; o->sampling.inputs = ICL_INPUTS_DATA; return "hint is for a task";
    case 74: o->hint = 1; o->model.n_dims = 9; return "hint needs a width";
    case 75: o->hint = 1; o->task = NULL; o->own_prompts = 1; return "hint is for a task";
    case 76: o->hint = 1; o->model.n_layer = 0; return "size";
    case 77: o->hint = 1; o->model.n_layer = 600; return "layers";
    default: return NULL;
  }
}

TEST(options_out_of_range)
{
  const char *word;
  int i;
  for (i = 0;; i++) {
    icl_train_options o = small();
    icl_trainer *const nobody = (icl_trainer *)(void *)&o;
    icl_trainer *t = nobody;
    icl_report r;
    icl_error err;
    long before = live_blocks;
    if ((word = spoil(&o, i)) == NULL) break;
    err = icl_trainer_new(&t, &o, &r);
    CHECK(err == ICL_ERR_CONFIG || err == ICL_ERR_LIMIT);
    CHECK(t == nobody);
    CHECK_EQ(r.code, err);
    if (!err || !strstr(r.text, word))
      printf("%s: case %d: \"%s\", not %s\n", test_name, i, r.text, word);
    CHECK(strstr(r.text, word) != NULL);
    CHECK_EQ(live_blocks, before);
    if (!err) icl_trainer_delete(t);
  }
}

TEST(null_arguments)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o), *u = NULL;
  icl_batch *b = NULL;
  icl_run run;
  float x[60] = {0};
  memset(&run, 0, sizeof run);
  CHECK_EQ(icl_trainer_new(NULL, &o, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_trainer_new(&u, NULL, NULL), ICL_ERR_ARG);
  o.task = NULL;
  CHECK_EQ(icl_trainer_new(&u, &o, NULL), ICL_ERR_ARG);
  icl_trainer_delete(NULL);
  CHECK_EQ(icl_train_step(NULL, NULL), ICL_ERR_ARG);
  CHECK(!icl_trainer_model(NULL) && !icl_trainer_options(NULL) && !icl_trainer_params(NULL)
        && !icl_trainer_grads(NULL));
  CHECK_EQ(icl_train_gradient(NULL, x, x, x), ICL_ERR_ARG);
  CHECK_EQ(icl_train_gradient(t, NULL, x, x), ICL_ERR_ARG);
  CHECK_EQ(icl_train_gradient(t, x, NULL, x), ICL_ERR_ARG);
  CHECK_EQ(icl_train_gradient(t, x, x, NULL), ICL_OK);
  CHECK_EQ(icl_train_update(NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_save(NULL, "x", NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_save(t, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_resume(NULL, "x", NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_resume(t, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_export(NULL, "x", NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_export(t, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_run(NULL, &run, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_run(t, NULL, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(NULL, &t->model, 3, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, NULL, 3, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, &t->model, 0, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, &t->model, -1, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, &t->model, INT32_MAX, 1), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, &t->model, 6, 1), ICL_ERR_ARG);           /* 11 tokens, 9 positions */
  CHECK_EQ(icl_batch_new(&b, &t->model, 3, 0), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_new(&b, &t->model, 3, ICL_MAX_THREADS + 1), ICL_ERR_ARG);
  t->model.config.position_embedding_type = ICL_POSITION_SINUSOIDAL;
  CHECK_EQ(icl_batch_new(&b, &t->model, ICL__MAX_SINUSOIDS + 1, 1), ICL_ERR_ARG);
  t->model.config.position_embedding_type = ICL_POSITION_LEARNED;
  CHECK(!b && !u);
  CHECK_EQ(icl_batch_new(&b, &t->model, 3, 1), ICL_OK);
  CHECK_EQ(icl_batch_predict(NULL, 1, x, x, x), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_predict(b, -1, x, x, x), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_predict(b, 1, NULL, x, x), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_predict(b, 1, x, NULL, x), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_predict(b, 1, x, x, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_batch_predict(b, 0, NULL, NULL, NULL), ICL_OK);
  icl_batch_delete(b);
  icl_batch_delete(NULL);
  icl_trainer_delete(t);
}

/* ----- memory --------------------------------------------------------------------------------- */

/* Each public function that allocates, on a trainer that is there; the last one does not. */
enum { NEW_TRAINER, NEW_BATCH, NEW_THREADS, RESUME, EXPORT, LOAD, SAVE, MEMORY_CASES };

static icl_error use_memory(icl_trainer *t, int what)
{
  icl_train_options o = tiny();
  icl_trainer *new_t = NULL;
  icl_batch *new_b = NULL;
  icl_threads *new_p = NULL;
  icl_model *new_m = NULL;
  icl_error err = ICL_OK;
  o.threads = 2;
  if (what == NEW_TRAINER) err = icl_trainer_new(&new_t, &o, NULL);
  if (what == NEW_BATCH) err = icl_batch_new(&new_b, &t->model, 2, 2);
  if (what == NEW_THREADS) err = icl_threads_new(&new_p, 2);
  if (what == RESUME) err = icl_train_resume(t, at("mem.state"), NULL);
  if (what == EXPORT) err = icl_train_export(t, at("mem.safetensors"), NULL);
  if (what == LOAD) err = icl_load(&new_m, at("mem.safetensors"), NULL);
  if (what == SAVE) err = icl_train_save(t, at("mem.state"), NULL);
  CHECK(!err || (!new_t && !new_b && !new_p && !new_m));
  icl_trainer_delete(new_t);
  icl_batch_delete(new_b);
  icl_threads_delete(new_p);
  icl_unload(new_m);
  return err;
}

TEST(each_allocation_fails)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  uint64_t before;
  int what;
  CHECK_EQ(icl_train_save(t, at("mem.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("mem.safetensors"), NULL), ICL_OK);
  before = state_of(t);
  for (what = 0; what < MEMORY_CASES; what++)
    for (fail_on = 0; fail_on < 2; fail_on++) {
      long live = live_blocks, n = 0;
      icl_error err;
      do {
        allocations = 0;
        fail_at = n++;
        err = use_memory(t, what);
        CHECK(err == ICL_OK || err == ICL_ERR_MEMORY);
        if (!err) CHECK(allocations < n);
        CHECK_EQ(live_blocks, live);
        CHECK(state_of(t) == before);
        fail_at = -1;
        CHECK_EQ(use_memory(t, what), ICL_OK);               /* and then it works */
      } while (err && n < 20);
      CHECK_EQ(err, ICL_OK);
      CHECK(what == SAVE ? n == 1 : n > 1);
    }
  fail_on = 0;
  icl_trainer_delete(t);
  CHECK_FILES(2);
}

/* ----- threads for a context ------------------------------------------------------------------ */

enum { MANY_TASKS = 1000 };
typedef struct tally { int n; unsigned char done[MANY_TASKS], outside; } tally;

/* Only what is the task's own is touched: two threads with the same task are seen by TSan. */
static void count_task(void *arg, int i)
{
  tally *t = (tally *)arg;
  if (i < 0 || i >= t->n) t->outside++;
  else t->done[i]++;
}

/* n tasks, each of them done once. */
static int each_once(icl_threads *p, int n)
{
  static tally t;
  int i, bad;
  memset(&t, 0, sizeof t);
  t.n = n;
  icl_threads_run(p, n, count_task, &t);
  for (bad = t.outside, i = 0; i < n; i++) bad += t.done[i] != 1;
  for (; i < MANY_TASKS; i++) bad += t.done[i] != 0;
  return !bad;
}

static icl_threads *new_threads(int n)
{
  icl_threads *p = NULL;
  CHECK_EQ(icl_threads_new(&p, n), ICL_OK);
  if (!p) exit(3);
  return p;
}

/* Five milliseconds, in which all threads fall asleep. */
static void pause_a_little(void)
{
#ifdef ICL__POSIX
  struct timespec t = {0, 5000000};
  nanosleep(&t, NULL);
#endif
}

#if ICL__X86 || (defined __aarch64__ && ICL__GNU)
/* out[i] = 1e-30 * 1e-10, which is subnormal. */
static void tiny_task(void *arg, size_t i, int thread)
{
  static const volatile float a = 1e-30f, b = 1e-10f;
  (void)thread;
  ((float *)arg)[i] = a * b;
}
#endif

/* A trainer's tasks round subnormal numbers to zero on x86, which has nothing slower, and on AArch64, to
 * get the same bits; those that a caller brings are left alone, and so is the caller's thread. */
TEST(subnormal_numbers_in_tasks)
{
#if ICL__X86 || (defined __aarch64__ && ICL__GNU)
  static icl__pool pool;
  float out[16];
  int flush, threads, i;
  for (flush = 0; flush < 2; flush++)
    for (threads = 1; threads <= 3; threads++) {
      icl__pool_start(&pool, threads, flush);
      icl__pool_run(&pool, 16, tiny_task, out);
      for (i = 0; i < 16; i++) CHECK((out[i] == 0) == flush);
      icl__pool_stop(&pool);
      tiny_task(out, 0, 0);
      CHECK(out[0] > 0);
    }
#else
  SKIP("numbers are rounded to zero on x86-64 and AArch64 only");
#endif
}

TEST(each_task_is_done_once)
{
  static const int threads[] = {1, 2, 3, 8, ICL_MAX_THREADS};
  size_t i;
  for (i = 0; i < COUNT(threads); i++) {
    icl_threads *p = new_threads(threads[i]);
    int n;
    for (n = 0; n <= MANY_TASKS; n += threads[i] > 3 && n > 20 ? 49 : 1) CHECK(each_once(p, n));
    CHECK(each_once(p, MANY_TASKS));
    icl_threads_delete(p);
  }
}

/* A task sees what was written before the run, and the caller what the tasks wrote. */
typedef struct relay { int n; long in[8], out[8]; } relay;

static void relay_task(void *arg, int i)
{
  relay *r = (relay *)arg;
  r->out[i] = 3 * r->in[r->n - 1 - i] + i;
}

static void small_runs(int threads, int runs)
{
  icl_threads *p = new_threads(threads);
  relay r;
  int run, i, bad = 0;
  memset(&r, 0, sizeof r);
  for (run = 0; run < runs; run++) {
    r.n = run % 8 + 1;
    for (i = 0; i < r.n; i++) r.in[i] = (long)run * 10 + i;
    icl_threads_run(p, r.n, relay_task, &r);
    for (i = 0; i < r.n; i++) bad += r.out[i] != 3 * r.in[r.n - 1 - i] + i;
  }
  CHECK_EQ(bad, 0);
  icl_threads_delete(p);
}

TEST(many_small_runs)
{
  small_runs(1, 10000);
  small_runs(2, 10000);
  small_runs(3, 10000);
  small_runs(8, 500);
}

/* Between two runs the threads sleep, or are about to: none of them is forgotten. */
TEST(runs_after_a_pause)
{
  static const int threads[] = {2, 3, 8};
  size_t i;
  int round;
  for (i = 0; i < COUNT(threads); i++) {
    icl_threads *p = new_threads(threads[i]);
    for (round = 0; round < 20; round++) {
      pause_a_little();
      CHECK(each_once(p, 1 + round % 5));
      CHECK(each_once(p, 100));
    }
    pause_a_little();
    icl_threads_delete(p);                                 /* asleep */
  }
  for (round = 0; round < 200; round++) {                  /* not yet there, or just done */
    icl_threads *p = new_threads(2 + round % 3);
    if (round % 2) CHECK(each_once(p, round));
    icl_threads_delete(p);
  }
}

TEST(threads_out_of_range)
{
  static const int bad[] = {0, -1, INT_MIN, ICL_MAX_THREADS + 1, INT_MAX};
  icl_threads *p = (icl_threads *)(void *)&bad;
  long live = live_blocks;
  size_t i;
  for (i = 0; i < COUNT(bad); i++) CHECK_EQ(icl_threads_new(&p, bad[i]), ICL_ERR_ARG);
  CHECK_EQ(icl_threads_new(NULL, 2), ICL_ERR_ARG);
  CHECK_EQ(icl_threads_new(NULL, 0), ICL_ERR_ARG);
  CHECK((const void *)p == (const void *)&bad);
  icl_threads_delete(NULL);
  CHECK_EQ(live_blocks, live);
}

/* Memory that cannot be had is an error, threads that cannot be had are not. */
TEST(threads_without_memory)
{
  int untouched, left;
  icl_threads *p = (icl_threads *)(void *)&untouched;
  long live = live_blocks;
  allocations = 0;
  fail_at = 0;
  CHECK_EQ(icl_threads_new(&p, 3), ICL_ERR_MEMORY);
  fail_at = -1;
  CHECK((void *)p == (void *)&untouched);
  CHECK_EQ(live_blocks, live);
  p = new_threads(3);
  allocations = 0;
  CHECK(each_once(p, 50));
  CHECK_EQ(allocations, 0);                                /* nothing more in a run */
  icl_threads_delete(p);
  CHECK_EQ(live_blocks, live);
#ifdef ICL_TRAIN_THREADS
  for (left = 0; left < 4; left++) {
    int n;
    threads_left = left;
    p = new_threads(4);
    for (n = 0; n < 40; n++) CHECK(each_once(p, n));
    icl_threads_delete(p);
  }
  threads_left = -1;
#else
  (void)left;
#endif
  CHECK_EQ(live_blocks, live);
}

enum { ASKED = 200, ASK_PAIRS = 20, ASK_QUERIES = 7, ASK_DIMS = 5, ASK_ALL = 2 * ASK_QUERIES + ASKED };

/* Pairs and queries in one pass, one pair and queries, many queries. */
static void ask_all(icl_ctx *c, const float *xs, const float *ys, const float *queries, float *answers)
{
  const float *x = xs + (ASK_PAIRS - 1) * ASK_DIMS;
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_ask(c, ASK_PAIRS - 1, xs, ys, ASK_QUERIES, queries, answers), ICL_OK);
  CHECK_EQ(icl_ask(c, 1, x, ys + ASK_PAIRS - 1, ASK_QUERIES, queries, answers + ASK_QUERIES), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, ASKED, queries, answers + 2 * ASK_QUERIES), ICL_OK);
}

/* A context with threads of its own, twice, and another one with the same threads in between. */
static void check_context_with_threads(const icl_model *m, int threads)
{
  float *xs = normals(ASK_PAIRS * ASK_DIMS, 1), *ys = normals(ASK_PAIRS, 1);
  float *queries = normals(ASKED * ASK_DIMS, 1), expected[ASK_ALL], got[ASK_ALL];
  icl_threads *p = new_threads(threads);
  icl_ctx *alone = NULL, *c[2] = {NULL, NULL};
  int i;
  CHECK_EQ(icl_ctx_new(&alone, m, ASK_PAIRS, ASKED), ICL_OK);
  ask_all(alone, xs, ys, queries, expected);
  for (i = 0; i < 2; i++) {
    CHECK_EQ(icl_ctx_new(&c[i], m, ASK_PAIRS, i ? 64 : ASKED), ICL_OK);
    CHECK_EQ(icl_ctx_threads(c[i], threads, icl_threads_run, p), ICL_OK);
  }
  for (i = 0; i < 6; i++) {
    memset(got, 0, sizeof got);
    ask_all(c[i % 2], xs, ys, queries, got);
    CHECK(same(got, expected, ASK_ALL));
    CHECK(same(icl_residuals(c[i % 2]), icl_residuals(alone), ASK_PAIRS));
    if (i == 3) pause_a_little();
  }
  for (i = 0; i < 2; i++) icl_ctx_delete(c[i]);
  icl_ctx_delete(alone);
  icl_threads_delete(p);
  free(xs); free(ys); free(queries);
}

TEST(context_with_threads)
{
  static const int threads[] = {8, 2, 3, 1}, widths[] = {8, 72, 96};
#ifdef ICL_TEST_QUICK
  const size_t each = 2;
#else
  const size_t each = 1;
#endif
  size_t i, k;
  int force;
  for (k = 0; k < COUNT(widths); k++)
    for (force = 0; force < 1 + ICL__SIMD; force++) {
      icl_train_options o = small();
      icl_trainer *t;
      o.model.n_dims = ASK_DIMS; o.model.n_embd = widths[k]; o.model.n_head = 4;
      o.model.position_embedding_type = ICL_POSITION_NONE;
      o.model.activation_function = (icl_activation)k;
      o.init_sd = 0.1f;
      t = begin(&o);
      plain(t, force);
      for (i = 0; i < COUNT(threads); i += each) check_context_with_threads(&t->model, threads[i]);
      icl_trainer_delete(t);
    }
}

/* ----- many prompts --------------------------------------------------------------------------- */

TEST(batch_of_prompts)
{
  enum { N = 37, P = 7 };
  icl_train_options o = lively();
  icl_trainer *t = begin(&o);
  float *xs = normals(N * P * 3, 1), *ys = normals(N * P, 1), one[N * P], all[N * P];
  int threads, i;
  icl_batch *b = NULL;
  CHECK_EQ(icl_batch_new(&b, &t->model, P, 1), ICL_OK);
  for (i = 0; i < N; i++)
    CHECK_EQ(icl_batch_predict(b, 1, xs + i * P * 3, ys + i * P, one + i * P), ICL_OK);
  icl_batch_delete(b);
  for (threads = 1; threads <= 8; threads = threads * 2 + 1) {
    CHECK_EQ(icl_batch_new(&b, &t->model, P, threads), ICL_OK);
    CHECK_EQ(icl_batch_predict(b, N, xs, ys, all), ICL_OK);
    CHECK(same(one, all, N * P));
    CHECK_EQ(icl_batch_predict(b, 5, xs + 4 * P * 3, ys + 4 * P, all), ICL_OK);
    CHECK(same(one + 4 * P, all, 5 * P));
    xs[N * P * 3 - 1] = NAN;                                 /* refused whole */
    all[0] = 5;
    CHECK_EQ(icl_batch_predict(b, N, xs, ys, all), ICL_ERR_NONFINITE);
    CHECK(all[0] == 5);
    xs[N * P * 3 - 1] = 0.25f;
    CHECK_EQ(icl_batch_predict(b, N, xs, ys, one), ICL_OK);
    icl_batch_delete(b);
  }
  {                                                          /* pair by pair, the same bits */
    icl_ctx *c;
    CHECK_EQ(icl_ctx_new(&c, &t->model, P - 1, 1), ICL_OK);
    for (i = 0; i < P; i++) {
      float y = 0;
      CHECK_EQ(icl_predict(c, xs + ((N - 1) * P + i) * 3, &y), ICL_OK);
      CHECK(same(&y, &one[(N - 1) * P + i], 1));
      if (i + 1 < P) icl_add(c, xs + ((N - 1) * P + i) * 3, ys[(N - 1) * P + i]);
    }
    icl_ctx_delete(c);
  }
  free(xs); free(ys);
  icl_trainer_delete(t);
}

/* The last y of a prompt is what is asked for: it may be anything. */
TEST(last_y_is_not_used)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  float xs[2 * 3 * 2], ys[6] = {1, 2, 3, 4, 5, 6}, a[6], c[6];
  icl_batch *b = NULL;
  fill(xs, 12, 1);
  CHECK_EQ(icl_batch_new(&b, &t->model, 3, 1), ICL_OK);
  CHECK_EQ(icl_batch_predict(b, 2, xs, ys, a), ICL_OK);
  ys[2] = NAN;
  ys[5] = INFINITY;
  CHECK_EQ(icl_batch_predict(b, 2, xs, ys, c), ICL_OK);
  CHECK(same(a, c, 6));
  ys[1] = NAN;
  CHECK_EQ(icl_batch_predict(b, 2, xs, ys, c), ICL_ERR_NONFINITE);
  icl_batch_delete(b);
  icl_trainer_delete(t);
}

/* ----- does it learn? ------------------------------------------------------------------------- */

#ifndef ICL_TEST_QUICK
/* The loss of the last hundred steps; that of a model which says 0 is 1, E y^2. */
static double learn(int d, int steps, float lr, float init_sd)
{
  icl_train_options o = small();
  icl_trainer *t;
  double last = 0;
  int s;
  o.model.n_dims = d; o.model.n_layer = 1; o.model.n_embd = 24; o.model.n_head = 4;
  o.pairs = 6;
  o.batch = 32;
  o.steps = steps;
  o.lr = lr;
  o.init_sd = init_sd;
  o.seed = 9;
  o.schedule = ICL_LR_COSINE;
  o.warmup = 30;
  o.clip = 1;
  t = begin(&o);
  for (s = 0; s < steps; s++) {
    icl_train_info info;
    CHECK_EQ(icl_train_step(t, &info), ICL_OK);
    if (s >= steps - 100) last += (double)info.loss / 100;
  }
  icl_trainer_delete(t);
  return last;
}
#endif

/* One layer, a few hundred tiny steps.  Least squares reaches 1/6 and 1/4. */
TEST(it_learns)
{
#ifdef ICL_TEST_QUICK
  SKIP("1500 steps");
#else
  double one = learn(1, 500, 0.005f, 0.2f), two = learn(2, 1000, 0.01f, 0.4f);
  if (getenv("ICL_TEST_VERBOSE")) printf("learning: d = 1: %.3f, d = 2: %.3f\n", one, two);
  CHECK(one < 0.65);
  CHECK(two < 0.85);
#endif
}

/* ----- options: zeros, ranges, what differs --------------------------------------------------- */

/* The defaults spelled out are those of zeros, and zeros after them are zeros. */
TEST(zeros_that_are_meant)
{
  icl_train_options o = small(), d;
  icl_trainer *t = begin(&o), *u;
  icl_train_defaults(NULL);
  icl_train_defaults(&d);
  CHECK(d.beta1 == 0.9f && d.beta2 == 0.999f && d.momentum == 0.95f && d.epsilon == 1e-8f);
  CHECK(d.batch == 64 && d.lr == 1e-4f && d.init_sd == 0.02f && d.threads == 1 && d.max_bad == 10);
  d.model = o.model; d.task = o.task; d.pairs = o.pairs; d.batch = o.batch; d.steps = o.steps;
  d.model.n_out = 1; d.model.layer_norm_epsilon = 1e-5f;
  d.lr = o.lr; d.init_sd = o.init_sd; d.seed = o.seed;
  u = begin(&d);
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(icl_train_step(u, NULL), ICL_OK);
  CHECK(state_of(t) == state_of(u));
  icl_trainer_delete(u);
  d.beta1 = d.beta2 = d.momentum = 0;
  u = begin(&d);
  CHECK(u->o.beta1 == 0.0f && u->o.beta2 == 0.0f && u->o.momentum == 0.0f);
  CHECK_EQ(icl_train_step(u, NULL), ICL_OK);
  CHECK(same(u->m, u->grad, u->n));                           /* no memory of older gradients */
  icl_trainer_delete(u);
  icl_trainer_delete(t);
}

TEST(ranges_are_named)
{
  static const struct { const char *text; int which; double value; } cases[] = {
    {"lr must be above 0 and below 10, not 11", 0, 11},
    {"lr must be above 0 and below 10, not 10", 0, 10},
    {"lr must be above 0 and below 10, not NaN", 0, NAN},
    {"lr must be above 0 and below 10, not infinity", 0, INFINITY},
    {"beta1 must be from 0 to below 1, not 1", 1, 1},
    {"clip must be finite and at least 0, not -1", 2, -1},
    {"clip must be finite and at least 0, not infinity", 2, INFINITY},
    {"batch must be from 1 to 4194304, not -3", 3, -3},
    {"batch must be from 1 to 4194304, not 2147483647", 3, 2147483647},
    {"steps must be from 1 to 1099511627776, not 1099511627777", 4, 1099511627777.0},
    {"threads must be from 1 to 64, not 65", 5, 65},
    {"dims_start must be from 1 to 2, not 3", 6, 3},
    {"pairs_start must be from 1 to 5, not 6", 7, 6}
  };
  size_t i;
  for (i = 0; i < COUNT(cases); i++) {
    icl_train_options o = small();
    icl_trainer *t = NULL;
    icl_report r;
    double v = cases[i].value;
    o.dims_start = o.pairs_start = 1;
    o.dims_every = o.pairs_every = 1;
    switch (cases[i].which) {
      case 0: o.lr = (float)v; break;
      case 1: o.beta1 = (float)v; break;
      case 2: o.clip = (float)v; break;
      case 3: o.batch = (int)v; break;
      case 4: o.steps = (int64_t)v; break;
      case 5: o.threads = (int)v; break;
      case 6: o.dims_start = (int)v; break;
      default: o.pairs_start = (int)v; break;
    }
    if (ICL_MAX_THREADS != 64 && cases[i].which == 5) continue;
    CHECK_EQ(icl_trainer_new(&t, &o, &r), ICL_ERR_CONFIG);
    CHECK_STR(r.text, cases[i].text);
    CHECK(!t);
  }
}

/* Without pthreads the options do not pretend. */
TEST(threads_that_are_not_compiled_in)
{
  icl_train_options o = small();
  icl_trainer *t;
  o.threads = 3;
  t = begin(&o);
#ifdef ICL_TRAIN_THREADS
  CHECK_EQ(icl_trainer_options(t)->threads, 3);
#else
  CHECK_EQ(icl_trainer_options(t)->threads, 1);
#endif
  icl_trainer_delete(t);
}

/* Half of a curriculum is a mistake, not none. */
TEST(half_a_curriculum)
{
  icl_trainer *t = NULL;
  int i;
  for (i = 0; i < 4; i++) {
    icl_train_options o = small();
    icl_report r;
    if (i == 0) o.dims_start = 1;
    if (i == 1) o.dims_every = 1;
    if (i == 2) o.pairs_start = 1;
    if (i == 3) o.pairs_every = 1;
    CHECK_EQ(icl_trainer_new(&t, &o, &r), ICL_ERR_CONFIG);
    CHECK(strstr(r.text, i < 2 ? "dims_start and dims_every" : "pairs_start and pairs_every"));
  }
  CHECK(!t);
}

/* The report of a state of another run names each option that differs, as far as there is room. */
TEST(state_says_what_differs)
{
  static const char *const texts[] = {
    "lr was 0.01, is 0.02", "batch was 6, is 7; seed was 7, is 8",
    "schedule was constant, is cosine; steps was not given, is 20",
    "task was dense, is sparse(nnz=1)",
    "optimizer was adam, is muon; momentum was not given, is 0.95",
    "position_embedding_type was learned, is none", "first_weights was drawn, is "
  };
  icl_train_options o = small();
  icl_trainer *t = begin(&o), *u;
  size_t i;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  for (i = 0; i <= COUNT(texts); i++) {
    icl_report r;
    o = small();
    switch (i) {
      case 0: o.lr = 0.02f; break;
      case 1: o.batch = 7; o.seed = 8; break;
      case 2: o.schedule = ICL_LR_COSINE; break;
      case 3: o.task = "sparse(nnz=1)"; break;
      case 4: o.optimizer = ICL_MUON; break;
      case 5: o.model.position_embedding_type = ICL_POSITION_NONE; break;
      case 6: o.from = icl_trainer_model(t); break;
      default: o.lr = 0.02f; o.batch = 7; o.seed = 8; o.clip = 1; o.beta1 = 0.5f; o.warmup = 3;
    }
    u = begin(&o);
    CHECK_EQ(icl_train_resume(u, at("a.state"), &r), ICL_ERR_STATE);
    if (i < 6) CHECK_STR(r.text, texts[i]);
    if (i == 6) CHECK(!strncmp(r.text, texts[6], strlen(texts[6])));
    if (i > 6) CHECK(strlen(r.text) == 95 && !strcmp(r.text + 92, "..."));
    icl_trainer_delete(u);
  }
  CHECK(!remove(at("a.state")));
  icl_trainer_delete(t);
}

/* Classes of the caller's are part of the run by their version. */
TEST(version_of_a_class)
{
  icl_class own = trap_class();
  icl_train_options o = trapped(&own);
  icl_trainer *t;
  icl_report r;
  trap.armed = 0;
  own.version = 1;
  t = begin(&o);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_resume(t, at("a.state"), &r), ICL_OK);
  own.version = 2;
  CHECK_EQ(icl_train_resume(t, at("a.state"), &r), ICL_ERR_STATE);
  CHECK_STR(r.text, "trap's_version was 1, is 2");
  icl_trainer_delete(t);
  CHECK(!remove(at("a.state")));
}

/* "No limit" may be infinity: the report of what is out of range ends. */
TEST(class_without_a_limit)
{
  icl_class own = trap_class();
  icl_task task;
  icl_report r;
  own.arg[0].name = "a";
  own.arg[0].value = 1;
  own.arg[0].max = INFINITY;
#ifdef ICL__POSIX
  alarm(20);
#endif
  CHECK_EQ(icl_task_parse(&task, "trap(a=-1)", 2, &own, 1, &r), ICL_ERR_CONFIG);
  CHECK(strstr(r.text, "infinity") != NULL);
  CHECK_EQ(icl_task_parse(&task, "trap(a=3e38)", 2, &own, 1, &r), ICL_OK);
  own.arg[0].max = ICL_AT_MOST_DIMS;
  CHECK_EQ(icl_task_parse(&task, "trap", 2, &own, 1, &r), ICL_OK);
  own.arg[0].max = 0.5f;                                     /* below the default */
  CHECK_EQ(icl_task_parse(&task, "trap", 2, &own, 1, &r), ICL_ERR_ARG);
  CHECK(strstr(r.text, "argument") != NULL);
  own.arg[0].max = NAN;
  CHECK_EQ(icl_task_parse(&task, "trap", 2, &own, 1, &r), ICL_ERR_ARG);
  own.arg[0].max = 5;
  own.arg[0].value = NAN;
  CHECK_EQ(icl_task_parse(&task, "trap", 2, &own, 1, &r), ICL_ERR_ARG);
  own.arg[0].value = 1;
  own.arg[0].name = "a b";
  CHECK_EQ(icl_task_parse(&task, "trap", 2, &own, 1, &r), ICL_ERR_ARG);
#ifdef ICL__POSIX
  alarm(0);
#endif
}

/* ----- updates that would not be finite; prompts of one's own --------------------------------- */

/* Moments that a state can hold, and an update that they make infinite: a step that is skipped. */
TEST(update_that_is_not_finite)
{
  int muon, k;
  for (muon = 0; muon < 2; muon++)
    for (k = 0; k < 3; k++) {
      icl_train_options o = small();
      icl_trainer *t;
      size_t i;
      o.optimizer = muon ? ICL_MUON : ICL_ADAM;
      t = begin(&o);
      for (i = 0; i < t->n; i += 3) t->m[i] = k == 0 ? 3e38f : k == 1 ? 1e34f : -1e36f;
      CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
      CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
      {
        uint64_t before = learned(t);
        icl_train_info info;
        CHECK_EQ(icl_train_step(t, &info), ICL_OK);
        CHECK(learned(t) == before);
        CHECK(info.skipped == 1 && t->updates == 0 && t->bad == 1 && info.step == 1);
      }
      memset(t->m, 0, t->n * sizeof(float));
      CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
      CHECK(t->updates == 1 && icl__finite(t->params, t->n));
      icl_trainer_delete(t);
    }
  CHECK(!remove(at("a.state")));
}

/* What no norm can promise is looked at weight by weight: large moments of a run that really has
 * gradients that large are used. */
TEST(large_but_finite_updates)
{
  icl_train_options o = small();
  icl_trainer *t;
  size_t i;
  o.epsilon = 1e-30f;
  t = begin(&o);
  for (i = 0; i < t->n; i++) { t->m[i] = 1e10f; t->v[i] = 1e20f; }
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK(t->updates == 1 && t->skipped == 0 && icl__finite(t->params, t->n));
  icl_trainer_delete(t);
}

/* Training on prompts that the caller brings, without a task: the checkpoint says none. */
TEST(prompts_of_ones_own)
{
  icl_train_options o = small();
  icl_trainer *t = NULL;
  icl_train_info info;
  icl_model *m = NULL;
  icl_report r;
  icl_run run;
  float xs[6 * 5 * 2], ys[6 * 5], first = 0, loss = 0;
  int s, i;
  memset(&run, 0, sizeof run);
  o.own_prompts = 1;
  CHECK_EQ(icl_trainer_new(&t, &o, &r), ICL_ERR_CONFIG);       /* and a task */
  o.task = NULL;
  t = begin(&o);
  CHECK_EQ(icl_train_step(t, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_ARG);
  for (s = 0; s < 20; s++) {
    fill(xs, 60, 1);
    for (i = 0; i < 30; i++) ys[i] = xs[2 * i];
    CHECK_EQ(icl_train_gradient(t, xs, ys, &loss), ICL_OK);
    CHECK_EQ(icl_train_update(t, &info), ICL_OK);
    if (!s) first = loss;
  }
  CHECK(info.step == 20 && loss < first);
  CHECK_EQ(icl_train_save(t, at("o.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_resume(t, at("o.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("o.safetensors"), &r), ICL_OK);
  CHECK_EQ(icl_load(&m, at("o.safetensors"), &r), ICL_OK);
  if (m) CHECK(!m->task[0] && m->n_typical == 0);
  icl_unload(m);
  CHECK_FILES(2);
  icl_trainer_delete(t);
}

/* Lines through 0 of a slope that is drawn; every call is counted in user, if there is one. */
static int draw_line(void *user, icl_rng *rng, int d, int n, float *xs, float *ys)
{
  float slope = icl_rng_normal(rng);
  int i;
  for (i = 0; i < n * d; i++) xs[i] = 5 + 10 * icl_rng_normal(rng);
  for (i = 0; i < n; i++) ys[i] = slope * xs[i * d];
  return user && *(int *)user;
}

static icl_train_options own_lines(void)
{
  icl_train_options o = lively();
  o.task = NULL;
  o.hint = 0;
  o.draw = draw_line;
  o.draw_version = 1;
  o.dims_start = 0; o.dims_every = 0;
  o.sampling.standardize = 1;
  return o;
}

/* A source of the caller's own: the same bits for any threads and after a stop, its version is part
 * of the run, and surprise is measured on its prompts. */
TEST(source_of_ones_own)
{
  icl_train_options o = own_lines();
  icl_trainer *t = NULL;
  icl_model *m = NULL;
  icl_report r;
  check_same_bits(&o, 3);
  check_resumed(o);
  t = begin(&o);
  CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_export(t, at("a.safetensors"), NULL), ICL_OK);
  icl_trainer_delete(t);
  CHECK_EQ(icl_load(&m, at("a.safetensors"), &r), ICL_OK);
  if (m) CHECK(!m->task[0] && m->n_typical == o.pairs);
  if (m) CHECK_STR(m->sampling, "standardize=1");
  icl_unload(m);
  o.draw_version = 2;
  t = begin(&o);
  CHECK_EQ(icl_train_resume(t, at("a.state"), &r), ICL_ERR_STATE);
  CHECK_STR(r.text, "data was 1, is 2");
  icl_trainer_delete(t);
  CHECK_FILES(2);
}

/* One that fails makes its step a skipped one. */
TEST(source_that_fails)
{
  icl_train_options o = own_lines();
  icl_train_info info;
  int broken = 0;
  icl_trainer *t;
  uint64_t h;
  o.draw_user = &broken;
  t = begin(&o);
  CHECK_EQ(icl_train_step(t, &info), ICL_OK);
  h = state_of(t);
  broken = 1;
  CHECK_EQ(icl_train_step(t, &info), ICL_OK);
  CHECK(info.skipped == 1 && info.step == 2 && isnan(info.loss));
  broken = 0;
  CHECK_EQ(icl_train_step(t, &info), ICL_OK);
  CHECK(info.skipped == 1 && state_of(t) != h);
  icl_trainer_delete(t);
}

/* What is typical is not measured on prompts that never came, and not of more pairs than a
 * checkpoint takes. */
TEST(source_that_fails_is_not_typical)
{
  enum { MOST = ICL__MAX_TYPICAL };
  icl_train_options o = own_lines();
  char *text = (char *)need(MOST * ICL_TYPICAL_BYTES + 1);
  int broken = 1, i;
  o.draw_user = &broken;
  for (i = 0; i < 2; i++) {
    const size_t size = (size_t)(i ? MOST : o.pairs) * ICL_TYPICAL_BYTES;
    icl_trainer *t;
    if (i) {
      o.pairs = MOST + 1;
      o.pairs_start = o.pairs_add = o.pairs_every = 0;
      o.model.n_positions = 0;
      o.model.n_layer = o.model.n_head = 1;         /* attention to fit into 32 bits too */
      o.model.tokens = ICL_TOKENS_JOINT;
      o.batch = 1;
    }
    t = begin(&o);
    CHECK_EQ(icl_train_typical(t, 100, text, size + 1), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_train_typical(t, 100, text, size), ICL_ERR_ARG);
    icl_trainer_delete(t);
  }
  free(text);
}

TEST(source_beside_others)
{
  icl_trainer *t;
  icl_report r;
  int i;
  for (i = 0; i < 5; i++) {
    icl_train_options o = own_lines();
    if (i == 0) o.task = "dense";
    if (i == 1) o.own_prompts = 1;
    if (i == 2) o.sampling.inputs = ICL_INPUTS_DATA;
    if (i == 3) o.sampling.order = 1;
    if (i == 4) { o.dims_start = 1; o.dims_every = 1; }
    CHECK_EQ(icl_trainer_new(&t, &o, &r), ICL_ERR_CONFIG);
  }
}

/* Scales of prompts that are brought: the first k have mean 0 and deviation 1. */
TEST(own_prompts_are_scaled)
{
  icl_sampling s;
  float xs[24], ys[12], raw_x[24], raw_y[12];
  icl_rng a, b;
  int i, broken = 1;
  memset(&s, 0, sizeof s);
  icl_rng_init(&a, 3, 0, 0);
  icl_rng_init(&b, 3, 0, 0);
  CHECK_EQ(icl_prompt_own(draw_line, NULL, NULL, &a, 2, 12, raw_x, raw_y), ICL_OK);
  s.x_scale = 2;
  s.y_scale = 3;
  CHECK_EQ(icl_prompt_own(draw_line, NULL, &s, &b, 2, 12, xs, ys), ICL_OK);
  for (i = 0; i < 24; i++) CHECK_NEAR(xs[i], 2 * raw_x[i], 0);
  for (i = 0; i < 12; i++) CHECK_NEAR(ys[i], 3 * raw_y[i], 0);
  s.standardize = 1;
  icl_rng_init(&b, 3, 0, 0);
  CHECK_EQ(icl_prompt_own(draw_line, NULL, &s, &b, 2, 12, xs, ys), ICL_OK);
  for (i = 1; i < 11; i++)           /* an affine map of y */
    CHECK_NEAR((ys[i] - ys[0]) * (raw_y[11] - raw_y[0]), (ys[11] - ys[0]) * (raw_y[i] - raw_y[0]),
               1e-3 * fabs((double)(raw_y[11] - raw_y[0])));
  CHECK(fabs((double)ys[0]) < 6.001 && fabs((double)raw_x[0] - (double)xs[0]) > 1e-3);
  CHECK_EQ(icl_prompt_own(draw_line, &broken, &s, &b, 2, 12, xs, ys), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_prompt_own(NULL, NULL, &s, &b, 2, 12, xs, ys), ICL_ERR_ARG);
  s.order = 1;
  CHECK_EQ(icl_prompt_own(draw_line, NULL, &s, &b, 2, 12, xs, ys), ICL_ERR_ARG);
}

/* The average follows the weights as its formula says, is what is exported and comes back with the
 * state. */
TEST(average_of_the_weights)
{
  icl_train_options o = lively();
  icl_trainer *t, *bare;
  icl_model *m = NULL;
  float *mine;
  size_t i, n;
  int s;
  o.ema = 0.6f;
  check_same_bits(&o, 3);
  check_resumed(o);
  t = begin(&o);
  o.ema = 0;
  bare = begin(&o);
  n = icl_param_count(&icl_trainer_options(t)->model);
  mine = (float *)calloc(n, sizeof *mine);
  memcpy(mine, icl_trainer_params(t), n * sizeof *mine);
  for (s = 0; s < 8; s++) {
    const double u = s + 1, early = (1 + u) / (10 + u), keep = early < 0.6 ? early : 0.6;
    CHECK_EQ(icl_train_step(t, NULL), ICL_OK);
    CHECK_EQ(icl_train_step(bare, NULL), ICL_OK);
    for (i = 0; i < n; i++)
      mine[i] = (float)(keep * (double)mine[i] + (1 - keep) * (double)icl_trainer_params(t)[i]);
    for (i = 0; i < n; i += 7) CHECK_NEAR(t->ema[i], mine[i], 1e-5);
  }
  CHECK(!memcmp(icl_trainer_params(t), icl_trainer_params(bare), n * sizeof(float)));
  CHECK_EQ(icl_train_export(t, at("e.safetensors"), NULL), ICL_OK);
  CHECK_EQ(icl_load(&m, at("e.safetensors"), NULL), ICL_OK);
  if (m) {
    CHECK_EQ(icl_model_params(m, mine), ICL_OK);
    CHECK(!memcmp(mine, t->ema, n * sizeof(float)));
    CHECK(strstr(m->recipe, " ema=0.6") != NULL && m->n_typical == o.pairs);
  }
  CHECK(icl_trainer_result(t) != NULL && icl_trainer_result(NULL) == NULL);
  CHECK_EQ(icl_model_params(icl_trainer_result(t), mine), ICL_OK);
  CHECK(!memcmp(mine, t->ema, n * sizeof(float)));
  icl_unload(m);
  free(mine);
  icl_trainer_delete(t);
  icl_trainer_delete(bare);
  CHECK_FILES(1);
}

/* Shapes that icl_train_gradient wants, before any step. */
TEST(shapes_of_the_next_step)
{
  icl_train_options o = lively();
  icl_trainer *t;
  icl_train_info next, done;
  int s;
  o.model.n_embd = 8;
  t = begin(&o);
  for (s = 0; s < 5; s++) {
    CHECK_EQ(icl_trainer_next(t, &next), 13);
    CHECK_EQ(icl_train_step(t, &done), ICL_OK);
    CHECK(next.pairs == done.pairs && next.dims == done.dims && next.lr == done.lr);
    CHECK_EQ(next.step + 1, done.step);
  }
  icl_trainer_delete(t);
  o.world = 4; o.reduce = no_sum;
  for (s = 0; s < 4; s++) {
    o.rank = s;
    t = begin(&o);
    CHECK_EQ(icl_trainer_next(t, NULL), s ? 3 : 4);
    icl_trainer_delete(t);
  }
  CHECK_EQ(icl_trainer_next(NULL, &next), 0);
}

/* ----- files that cannot be written ----------------------------------------------------------- */

/* Saving and exporting to a path fail with err, leave what is there alone, and no temporary
 * file. */
static void check_unwritable(icl_trainer *t, const char *path, icl_error expected)
{
  bytes old = slurp(path);
  int what;
  for (what = 0; what < 2; what++) {
    icl_report r;
    icl_error err = what ? icl_train_export(t, path, &r) : icl_train_save(t, path, &r);
    if (err != expected) printf("%s: %.60s: %d\n", test_name, path, (int)err);
    CHECK_EQ(err, expected);
    CHECK_EQ(r.code, err);
    CHECK(r.text[0]);
    if (old.p) CHECK(holds(path, old));
  }
  free(old.p);
}

TEST(paths_that_do_not_work)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  char path[5000];
  memset(path, 'x', sizeof path);
  path[4999] = 0;
  check_unwritable(t, path, ICL_ERR_LIMIT);
  path[1100] = 0;
  check_unwritable(t, path, ICL_ERR_LIMIT);
  path[600] = 0;                                             /* longer than a name may be */
  check_unwritable(t, path, ICL_ERR_IO);
  check_unwritable(t, at("nowhere/a.state"), ICL_ERR_IO);
  check_unwritable(t, "", ICL_ERR_IO);
  spill(at("file"), "x", 1);
  check_unwritable(t, at("file/a.state"), ICL_ERR_IO);
  CHECK_EQ(icl_train_resume(t, at("nowhere"), NULL), ICL_ERR_IO);
  CHECK_EQ(icl_train_resume(t, "", NULL), ICL_ERR_IO);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

TEST(odd_names)
{
  static const char *const names[] = {
    "with space", "\xc3\xbc\xe2\x82\xac", "-o", "a;b'c\"d", "new\nline", ".hidden", "a.tmp",
    "a.tmp.1"
  };
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  size_t i;
  for (i = 0; i < COUNT(names); i++) {
    CHECK_EQ(icl_train_save(t, at(names[i]), NULL), ICL_OK);
    CHECK_EQ(icl_train_save(t, at(names[i]), NULL), ICL_OK);            /* over the old one */
    CHECK_EQ(icl_train_resume(t, at(names[i]), NULL), ICL_OK);
    CHECK_FILES(1);
  }
  icl_trainer_delete(t);
}

#ifdef ICL__POSIX
TEST(target_is_a_folder)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  CHECK_EQ(mkdir(at("folder"), 0700), 0);
  CHECK(icl_train_save(t, at("folder"), NULL) == ICL_ERR_IO);
  CHECK(icl_train_export(t, at("folder"), NULL) == ICL_ERR_IO);
  CHECK(icl_train_resume(t, at("folder"), NULL) != ICL_OK);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* The file system is full, as far as this process can tell, after a number of bytes. */
TEST(disk_full)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  bytes old;
  struct rlimit normal_limit, small_limit;
  size_t limits[6], i;
  if (getrlimit(RLIMIT_FSIZE, &normal_limit)) SKIP("no limits here");
  signal(SIGXFSZ, SIG_IGN);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  old = slurp(at("a.state"));
  icl_train_step(t, NULL);
  limits[0] = 0; limits[1] = 1; limits[2] = 56; limits[3] = 57;
  limits[4] = old.n - 8; limits[5] = old.n - 1;
  for (i = 0; i < COUNT(limits); i++) {
    small_limit = normal_limit;
    small_limit.rlim_cur = (rlim_t)limits[i];
    if (setrlimit(RLIMIT_FSIZE, &small_limit)) SKIP("limits cannot be set here");
    check_unwritable(t, at("a.state"), ICL_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &normal_limit);
    CHECK(holds(at("a.state"), old));
  }
  signal(SIGXFSZ, SIG_DFL);
  /* training went on in memory, and saves later */
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK(!holds(at("a.state"), old));
  CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
  CHECK_FILES(1);
  free(old.p);
  icl_trainer_delete(t);
}

/* Saves or exports, with call number k failing; checks what is there afterwards.  Returns
 * whether there was such a call. */
static int check_fault(icl_trainer *t, int export, int k, int error, bytes old, bytes fresh)
{
  icl_report r;
  icl_error err;
  spill(at("a"), old.p, old.n);
  n_calls = 0;
  call_fails = k;
  call_errno = error;
  err = export ? icl_train_export(t, at("a"), &r) : icl_train_save(t, at("a"), &r);
  call_fails = -1;
  if (err) {
    CHECK_EQ(err, ICL_ERR_IO);
    CHECK(r.code == ICL_ERR_IO && r.text[0]);
    if (!holds(at("a"), old)) {                       /* renamed; the folder could not be flushed */
      CHECK(holds(at("a"), fresh));
      CHECK(strstr(r.text, "written") != NULL);
    }
  } else {
    CHECK(holds(at("a"), fresh));
  }
  CHECK_FILES(1);
  return k < n_calls;
}

TEST(each_system_call_fails)
{
  static const int errors[] = {ENOSPC, EIO, EDQUOT, EINTR, EROFS, EMFILE, EXDEV};
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  bytes old = {NULL, 0}, fresh;
  int what, k;
  size_t i;
  old.p = (char *)need(100);
  memset(old.p, 'x', old.n = 100);
  for (what = 0; what < 2; what++) {
    CHECK_EQ(what ? icl_train_export(t, at("b"), NULL) : icl_train_save(t, at("b"), NULL), ICL_OK);
    fresh = slurp(at("b"));
    empty_folder();
    for (i = 0; i < (what ? 2 : COUNT(errors)); i++) {
      for (k = 0; check_fault(t, what, k, errors[i], old, fresh); k++) CHECK(k < 100);
      CHECK(k >= 7);                                     /* open, write, fsync, close, rename, .. */
    }
    free(fresh.p);
  }
  free(old.p);
  icl_trainer_delete(t);
}

/* A power cut leaves the old file or the new one: the bytes are flushed before the rename, the
 * name after. */
TEST(flushed_in_the_right_order)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  int what;
  for (what = 0; what < 2; what++) {
    const char *flush, *move, *again;
    n_calls = 0;
    CHECK_EQ(what ? icl_train_export(t, at("a"), NULL) : icl_train_save(t, at("a"), NULL), ICL_OK);
    move = strchr(calls, 'r');
    flush = strchr(calls, 's');
    again = move ? strchr(move, 's') : NULL;
    CHECK(move && flush && again);
    if (!move || !flush || !again) break;
    CHECK(flush < move && strrchr(calls, 'w') < flush && strrchr(calls, 'r') == move);
  }
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* Writes that take a few bytes at a time make the same file. */
TEST(short_writes)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  bytes whole;
  CHECK_EQ(icl_train_save(t, at("a"), NULL), ICL_OK);
  whole = slurp(at("a"));
  for (write_limit = 1; write_limit <= 13; write_limit++) {
    CHECK_EQ(icl_train_save(t, at("a"), NULL), ICL_OK);
    CHECK(holds(at("a"), whole));
  }
  write_limit = 0;
  CHECK_FILES(1);
  free(whole.p);
  icl_trainer_delete(t);
}

/* Which calls a save makes while it fails: from the first one after steps 3 and 6 on. */
typedef struct full_disk { int saves, failures, last; char text[96]; } full_disk;

static int fill_disk(void *user, const icl_train_info *info)
{
  full_disk *d = (full_disk *)user;
  d->last = (int)info->step;
  call_errno = ENOSPC;
  call_fails = -1;
  if (info->step == 3 || info->step == 6) { n_calls = 0; call_fails = d->saves; }
  return 0;
}

static void note_failure(void *user, const icl_report *r)
{
  full_disk *d = (full_disk *)user;
  d->failures++;
  CHECK_EQ(d->last % 3, 0);
  CHECK_EQ(r->code, ICL_ERR_IO);
  strcpy(d->text, r->text);
}

/* A save that fails on the way does not end the run: the next one tries again, and the files are
 * those of a run without faults.  The last save's failure is the run's. */
TEST(run_goes_on_after_a_failed_save)
{
  icl_train_options o = small();
  bytes model, state;
  int k;
  reference_run(&o, &model, &state);
  for (k = 0; k < 12; k++) {
    icl_trainer *t = begin(&o);
    watcher w;
    icl_run run = new_run(&w);
    full_disk d;
    icl_report r;
    memset(&d, 0, sizeof d);
    d.saves = k;
    run.progress = fill_disk;
    run.save_failed = note_failure;
    run.user = &d;
    run.save_every = 3;
    CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_OK);
    if (k > 2 && k < 5) CHECK(d.failures == 2 && strstr(d.text, "No space left") != NULL);
    CHECK(holds(at("r.safetensors"), model) && holds(at("r.state"), state));
    CHECK_FILES(2);
    icl_trainer_delete(t);
  }
  free(model.p);
  free(state.p);
}

static int full_at_the_end(void *user, const icl_train_info *info)
{
  (void)user;
  if (info->step == 20) { n_calls = 0; call_fails = 3; call_errno = ENOSPC; }
  return 0;
}

TEST(last_save_fails)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  watcher w;
  icl_run run = new_run(&w);
  icl_report r;
  run.progress = full_at_the_end;
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_IO);
  call_fails = -1;
  CHECK(strstr(r.text, "r.state") && strstr(r.text, "No space left"));
  CHECK_EQ(t->step, 20);
  CHECK(is_there(at("r.safetensors")) && !is_there(at("r.state")));
  CHECK_FILES(1);                                            /* neither temporary file nor lock */
  CHECK_EQ(icl_train_save(t, at("r.state"), &r), ICL_OK);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* No more file descriptors: nothing is read, nothing is written, and a state that could not be
 * opened is not taken for one that is not there. */
TEST(no_descriptors_left)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  struct rlimit normal_limit, small_limit;
  icl_error saved, resumed, ran;
  watcher w;
  icl_run run = new_run(&w);
  bytes old;
  CHECK_EQ(icl_train_save(t, at("r.state"), NULL), ICL_OK);
  old = slurp(at("r.state"));
  run.resume = 1;
  if (getrlimit(RLIMIT_NOFILE, &normal_limit)) SKIP("no limits here");
  small_limit = normal_limit;
  small_limit.rlim_cur = 3;
  if (setrlimit(RLIMIT_NOFILE, &small_limit)) SKIP("limits cannot be set here");
  saved = icl_train_save(t, at("r.state"), NULL);
  resumed = icl_train_resume(t, at("r.state"), NULL);
  ran = icl_train_run(t, &run, NULL, NULL);
  setrlimit(RLIMIT_NOFILE, &normal_limit);
  CHECK_EQ(saved, ICL_ERR_IO);
  CHECK_EQ(resumed, ICL_ERR_IO);
  CHECK_EQ(ran, ICL_ERR_IO);
  CHECK_EQ(w.steps, 0);                                      /* not one step from the start */
  CHECK(holds(at("r.state"), old));
  CHECK_FILES(1);
  free(old.p);
  icl_trainer_delete(t);
}

/* With standard input closed, a state does not become standard input; where it would have to, no
 * temporary file stays behind. */
TEST(never_a_standard_descriptor)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  struct rlimit normal_limit, small_limit;
  int keep = dup(0), free_after, tight;
  icl_error err, full;
  if (keep < 0) SKIP("standard input is closed");
  close(0);
  err = icl_train_save(t, at("a.state"), NULL);
  free_after = fcntl(0, F_GETFD) < 0;
  getrlimit(RLIMIT_NOFILE, &normal_limit);
  small_limit = normal_limit;
  small_limit.rlim_cur = 3;
  tight = !setrlimit(RLIMIT_NOFILE, &small_limit);
  full = icl_train_save(t, at("b.state"), NULL);
  if (tight) setrlimit(RLIMIT_NOFILE, &normal_limit);
  dup2(keep, 0);
  close(keep);
  CHECK_EQ(err, ICL_OK);
  CHECK(free_after);
  CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
  if (tight) CHECK_EQ(full, ICL_ERR_IO);
  CHECK_FILES(tight ? 1 : 2);
  icl_trainer_delete(t);
}

/* Saves as a user who may not write in the folder; root may everywhere, so a child gives that
 * up. */
TEST(folder_without_permission)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  char path[700];
  int status = 0;
  pid_t child;
  sprintf(path, "%s", at("locked"));
  CHECK_EQ(mkdir(path, 0700), 0);
  strcat(path, "/a.state");
  CHECK_EQ(icl_train_save(t, path, NULL), ICL_OK);
  chmod(folder, 0755);
  chmod(at("locked"), 0555);
  fflush(stdout);
  child = fork();
  if (child == 0) {
    icl_report r;
    if (geteuid() == 0 && (setgid(65534) || setuid(65534))) _exit(77);
    if (icl_train_save(t, path, &r) != ICL_ERR_IO || r.code != ICL_ERR_IO || !r.text[0]) _exit(1);
    if (icl_train_export(t, path, &r) != ICL_ERR_IO) _exit(2);
    _exit(0);
  }
  waitpid(child, &status, 0);
  chmod(at("locked"), 0700);
  CHECK_EQ(icl_train_resume(t, path, NULL), ICL_OK);
  CHECK_EQ(unlink(path), 0);
  CHECK_EQ(rmdir(at("locked")), 0);                           /* empty: no temporary file */
  CHECK_FILES(0);
  icl_trainer_delete(t);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) SKIP("root that cannot become somebody else");
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 0);
}

/* A pipe or a device (-o /dev/null, as root!) must not be renamed over. */
TEST(devices_stay_what_they_are)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  struct stat st;
  if (mkfifo(at("pipe"), 0600)) SKIP("no pipes here");
  CHECK_EQ(icl_train_save(t, at("pipe"), NULL), ICL_ERR_IO);
  CHECK(!lstat(at("pipe"), &st) && S_ISFIFO(st.st_mode));
  CHECK_EQ(icl_train_export(t, at("pipe"), NULL), ICL_ERR_IO);
  CHECK(!lstat(at("pipe"), &st) && S_ISFIFO(st.st_mode));
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* A link to a file elsewhere stays a link, and the file is the one that is replaced. */
TEST(links_are_followed)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  struct stat st;
  spill(at("real"), "old", 3);
  if (symlink("real", at("a-long-name"))) SKIP("no links here");
  CHECK_EQ(symlink(at("a-long-name"), at("b")), 0);
  CHECK_EQ(icl_train_save(t, at("b"), NULL), ICL_OK);
  CHECK(!lstat(at("b"), &st) && S_ISLNK(st.st_mode));
  CHECK(!lstat(at("a-long-name"), &st) && S_ISLNK(st.st_mode));
  CHECK_EQ(icl_train_resume(t, at("real"), NULL), ICL_OK);
  CHECK_FILES(3);
  CHECK_EQ(symlink("circle", at("circle")), 0);
  CHECK(icl_train_save(t, at("circle"), NULL) != ICL_OK);
  CHECK_EQ(symlink("nowhere", at("dangling")), 0);            /* makes what it points to */
  CHECK_EQ(icl_train_save(t, at("dangling"), NULL), ICL_OK);
  CHECK_EQ(icl_train_resume(t, at("nowhere"), NULL), ICL_OK);
  CHECK_FILES(3);
  icl_trainer_delete(t);
}

/* Who may read the old file may read the new one, and nobody else. */
TEST(permissions_are_kept)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  struct stat st;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  chmod(at("a.state"), 0600);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK(!stat(at("a.state"), &st) && (st.st_mode & 0777) == 0600);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* A temporary file with this process's number is no obstacle, and none of its business. */
TEST(left_over_temporary_file)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  bytes junk;
  char name[80];
  sprintf(name, "a.state.tmp.%ld", (long)getpid());
  spill(at(name), "junk", 4);
  junk = slurp(at(name));
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
  CHECK(holds(at(name), junk));
  CHECK_FILES(2);
  free(junk.p);
  icl_trainer_delete(t);
}

/* ----- one writer for every file -------------------------------------------------------------- */

/* A temporary file's name is nobody else's: another one for each save, never removed before it is
 * made, and beside the file it is for. */
TEST(temporary_names)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  char first[2000];
  const char *tail;
  n_calls = 0;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK(!strchr(calls, 'u'));
  strcpy(first, created);
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  CHECK(strcmp(first, created) != 0);
  tail = strstr(created, "/a.state.tmp.");
  CHECK(tail && strlen(tail) == 13 + 16 && strspn(tail + 13, "0123456789abcdef") == 16);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* A folder that cannot be opened or flushed: the file is whole and in its place.  A disk that fails
 * is a failure. */
TEST(folder_that_cannot_be_flushed)
{
  static const struct { int error; icl_error expected; } cases[] = {
    {EINVAL, ICL_OK}, {ENOTSUP, ICL_OK}, {EOPNOTSUPP, ICL_OK}, {EACCES, ICL_OK}, {ENOSYS, ICL_OK},
    {EIO, ICL_ERR_IO}, {ENOSPC, ICL_ERR_IO}, {EDQUOT, ICL_ERR_IO}
  };
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  size_t i, k;
  int moved;
  n_calls = 0;
  CHECK_EQ(icl_train_save(t, at("a.state"), NULL), ICL_OK);
  moved = (int)(strchr(calls, 'r') - calls);
  CHECK(calls[moved + 1] == 'o' && calls[moved + 2] == 's');
  for (i = 0; i < COUNT(cases); i++)
    for (k = 1; k < 3; k++) {
      icl_report r;
      n_calls = 0;
      call_fails = moved + (int)k;
      call_errno = cases[i].error;
      CHECK_EQ(icl_train_save(t, at("a.state"), &r), cases[i].expected);
      call_fails = -1;
      CHECK_EQ(icl_train_resume(t, at("a.state"), NULL), ICL_OK);
    }
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* A signal in the middle of any system call is no failure. */
TEST(interrupted_calls)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  int k;
  for (k = 0; k < 100; k++) {
    icl_report r;
    n_calls = 0;
    call_fails = k;
    call_errno = EINTR;
    CHECK_EQ(icl_train_save(t, at("a.state"), &r), ICL_OK);
    call_fails = -1;
    if (k >= n_calls) break;
  }
  CHECK(k > 6 && k < 100);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* Permissions are kept where they can be, and asked for only where they differ. */
TEST(permissions_that_cannot_be_set)
{
  static const int errors[] = {EPERM, ENOTSUP, EINTR};
  struct stat st;
  size_t i;
  mode_t before = umask(022);
  spill(at("a"), "old", 3);
  fchmod_calls = 0;
  CHECK_EQ(icl_replace_file(at("a"), "new", 3, NULL), ICL_OK);
  CHECK_EQ(fchmod_calls, 0);
  for (i = 0; i < COUNT(errors); i++) {
    chmod(at("a"), 0666);
    fchmod_error = errors[i];
    CHECK_EQ(icl_replace_file(at("a"), "newer", 5, NULL), ICL_OK);
    CHECK(!stat(at("a"), &st) && (st.st_mode & 0777) == 0644 && st.st_size == 5);
  }
  fchmod_error = 0;
  CHECK(fchmod_calls >= 3);
  chmod(at("a"), 0666);
  CHECK_EQ(icl_replace_file(at("a"), "", 0, NULL), ICL_OK);
  CHECK(!stat(at("a"), &st) && (st.st_mode & 0777) == 0666 && st.st_size == 0);
  umask(before);
  CHECK_FILES(1);
}

/* What can be replaced, and the same question without doing it. */
TEST(replace_and_probe)
{
  static const char *const bad[] = {"", "folder", "folder/", "new/", "nowhere/a", "pipe", "circle"};
  icl_report r;
  size_t i;
  CHECK_EQ(mkdir(at("folder"), 0700), 0);
  CHECK_EQ(mkfifo(at("pipe"), 0600), 0);
  CHECK_EQ(symlink("circle", at("circle")), 0);
  for (i = 0; i < COUNT(bad); i++) {
    const char *path = bad[i][0] ? at(bad[i]) : "";
    icl_error err = icl_probe_file(path, &r);
    CHECK(err == ICL_ERR_IO || err == ICL_ERR_LIMIT);
    CHECK(r.code == err && r.text[0]);
    CHECK_EQ(icl_replace_file(path, "x", 1, &r), err);
  }
  CHECK_EQ(icl_probe_file(at("a"), &r), ICL_OK);
  CHECK(!is_there(at("a")));
  CHECK_EQ(icl_replace_file(at("a"), "one", 3, &r), ICL_OK);
  CHECK_EQ(icl_probe_file(at("a"), &r), ICL_OK);
  CHECK_EQ(icl_replace_file(NULL, "x", 1, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_replace_file(at("a"), NULL, 1, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_probe_file(NULL, &r), ICL_ERR_ARG);
  CHECK_FILES(4);
}

/* A long path gives way in its middle, so that the reason is there. */
TEST(long_paths_leave_room_for_the_reason)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  char path[600];
  icl_report r;
  size_t n;
  for (n = 1; n < 300; n += 7) {
    sprintf(path, "%s/nowhere/%0*d.state", folder, (int)n, 0);
    CHECK_EQ(icl_train_save(t, path, &r), ICL_ERR_IO);
    CHECK(strstr(r.text, ": No such file or directory") && strstr(r.text, ".state'"));
    CHECK_EQ(icl_train_resume(t, path, &r), ICL_ERR_IO);
    CHECK(strstr(r.text, ": No such file or directory") && strstr(r.text, ".state'"));
  }
  CHECK_FILES(0);
  icl_trainer_delete(t);
}

/* A pipe in place of a state: an error, not a wait for whoever writes. */
TEST(state_that_is_a_pipe)
{
  icl_train_options o = tiny();
  icl_trainer *t = begin(&o);
  icl_report r;
  CHECK_EQ(mkfifo(at("a.state"), 0600), 0);
  alarm(20);
  CHECK_EQ(icl_train_resume(t, at("a.state"), &r), ICL_ERR_IO);
  alarm(0);
  CHECK(strstr(r.text, "not a regular file") != NULL);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* ----- one run at a time ---------------------------------------------------------------------- */

TEST(lock_of_a_path)
{
  icl_lock *a = NULL, *b = NULL;
  char who[60];
  icl_report r;
  int i;
  sprintf(who, "in use by process %ld on ", (long)getpid());
  for (i = 0; i < 2; i++) {
    CHECK_EQ(icl_lock_new(&a, at("a.state"), &r), ICL_OK);
    CHECK_EQ(icl_lock_new(&b, at("a.state"), &r), ICL_ERR_IO);
    CHECK(strstr(r.text, who) && strstr(r.text, "a.state"));
    CHECK(!b);
    CHECK_EQ(icl_lock_new(&b, at("b.state"), &r), ICL_OK);
    icl_lock_delete(b);
    icl_lock_delete(a);
    CHECK_FILES(0);
    spill(at("a.state.lock"), "process 1 on moon, which was killed", 35);
    b = NULL;
  }
  CHECK_FILES(1);
  spill(at("victim"), "mine", 4);
  CHECK_EQ(symlink("victim", at("a.state.lock")), 0);
  CHECK_EQ(icl_lock_new(&a, at("a.state"), &r), ICL_ERR_IO);
  CHECK_EQ(icl_lock_new(&a, at("nowhere/a"), &r), ICL_ERR_IO);
  CHECK_EQ(icl_lock_new(&a, "", &r), ICL_ERR_IO);
  CHECK_EQ(icl_lock_new(NULL, "a", &r), ICL_ERR_ARG);
  CHECK_EQ(icl_lock_new(&a, NULL, &r), ICL_ERR_ARG);
  {
    bytes b4 = slurp(at("victim"));
    CHECK_EQ(b4.n, 4);
    free(b4.p);
  }
  CHECK_FILES(2);
  icl_lock_delete(NULL);
}

/* A run whose files another one has touches nothing; with the lock in the caller's hand it runs. */
TEST(run_of_locked_files)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  watcher w;
  icl_run run = new_run(&w);
  icl_lock *l = NULL;
  icl_report r;
  CHECK_EQ(icl_lock_new(&l, run.state_path, &r), ICL_OK);
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "in use by process") != NULL);
  CHECK_EQ(w.steps, 0);
  run.lock = l;
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_OK);
  CHECK_EQ(w.steps, 20);
  icl_lock_delete(l);
  CHECK_FILES(2);
  icl_trainer_delete(t);
}

/* What killed runs left goes with the next run; what is nobody's temporary file stays. */
TEST(left_over_files_are_swept)
{
  static const char *const junk[] = {
    "r.state.tmp.0123456789abcdef", "r.safetensors.tmp.fedcba9876543210",
    "r.state.tmp.1", "r.state.tmp.0123456789abcdefg", "r.state.tmp.0123456789ABCDEF",
    "other.state.tmp.0123456789abcdef", "xr.state.tmp.0123456789abcdef", "r.state.bak"
  };
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  watcher w;
  icl_run run = new_run(&w);
  size_t i;
  for (i = 0; i < COUNT(junk); i++) spill(at(junk[i]), "junk", 4);
  CHECK_EQ(icl_train_run(t, &run, NULL, NULL), ICL_OK);
  for (i = 0; i < COUNT(junk); i++) CHECK_EQ(is_there(at(junk[i])), i > 1);
  CHECK_FILES(2 + (int)COUNT(junk) - 2);
  icl_trainer_delete(t);
}

/* A model that could not be written in the end is found out before the first step. */
TEST(model_path_is_probed)
{
  icl_train_options o = small();
  icl_trainer *t = begin(&o);
  watcher w;
  icl_run run = new_run(&w);
  icl_report r;
  CHECK_EQ(mkdir(at("r.safetensors"), 0700), 0);
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "not a regular file") != NULL);
  CHECK_EQ(w.steps, 0);
  CHECK_FILES(1);
  icl_trainer_delete(t);
}

/* After too many steps without an update the last good weights are in both files. */
TEST(good_weights_are_kept)
{
  icl_class own;
  icl_train_options o = trapped(&own);
  icl_trainer *t, *u;
  watcher w;
  icl_run run = new_run(&w);
  icl_report r;
  icl_model *m = NULL;
  bytes good;
  size_t i;
  int s;
  trap.armed = 0;
  o.max_bad = 3;
  o.steps = 30;
  u = begin(&o);
  for (s = 0; s < 7; s++) CHECK_EQ(icl_train_step(u, NULL), ICL_OK);
  CHECK_EQ(icl_train_save(u, at("u.state"), NULL), ICL_OK);
  t = begin(&o);
  CHECK_EQ(icl_train_resume(t, at("u.state"), NULL), ICL_OK);
  remove(at("u.state"));
  w.last = 7;
  trap.armed = 1;
  trap.y = NAN;
  own.eval = trap_always;
  CHECK_EQ(icl_train_run(t, &run, NULL, &r), ICL_ERR_NONFINITE);
  CHECK(strstr(r.text, "kept") != NULL);
  CHECK_EQ(t->step, 10);
  CHECK_EQ(t->bad, 3);
  good = slurp(at("r.state"));
  CHECK(good.n > 0);
  for (i = 0; i < u->n; i++) {
    uint32_t bits;
    memcpy(&bits, u->params + i, 4);
    if (icl__get32((unsigned char *)good.p + weights_at(good) + 4 * i) != bits) break;
  }
  CHECK_EQ(i, u->n);
  own.eval = trap_eval;
  trap.armed = 0;
  CHECK_EQ(icl_load(&m, at("r.safetensors"), &r), ICL_OK);
  icl_unload(m);
  free(good.p);
  CHECK_FILES(2);
  icl_trainer_delete(t);
  icl_trainer_delete(u);
}
#endif

int main(void)
{
  long before;
  setvbuf(stdout, NULL, _IOLBF, 1024);
  open_folder();
  find_tables();
  before = live_blocks;
  RUN(gradient_of_the_loss); RUN(gradient_of_a_hint); RUN(prompts_without_a_hint);
  RUN(layernorm_slopes); RUN(softmax_slopes); RUN(activation_slopes);
  RUN(attention_slopes); RUN(kernels_and_their_plain_twins);
  RUN(same_bits_for_any_threads_and_rows); RUN(memory_of_a_standard_step); RUN(threads_that_cannot_be_had);
  RUN(other_bits_for_other_runs); RUN(resumed_run_is_the_same_run); RUN(training_from_a_model); RUN(looking_does_not_touch);
  RUN(state_of_another_run); RUN(steps_can_be_added); RUN(damaged_state); RUN(hostile_state);
  RUN(one_bad_pair_skips_the_step); RUN(hint_that_is_not_finite_skips_the_step);
  RUN(weights_that_are_not_finite); RUN(huge_numbers);
  RUN(run_ends_when_nothing_is_finite); RUN(clipping_is_scaling); RUN(schedules);
  RUN(inverse_sqrt_warms_up_for_5000_steps); RUN(adam_in_double_precision);
  RUN(muon_in_double_precision); RUN(muon_without_a_gradient);
  RUN(skipped_steps_are_no_updates); RUN(first_weights); RUN(first_weights_are_independent);
  RUN(curriculum); RUN(prompts_are_those_of_the_sampler); RUN(two_ranks_in_turn);
  RUN(two_ranks_at_once); RUN(shards_add_up); RUN(shards_are_added_exactly); RUN(shards_of_any_world);
  RUN(prompts_of_all_ranks); RUN(a_rank_elsewhere); RUN(a_reduce_that_does_not_add_up); RUN(ranks_stop_fail_and_resume);
  RUN(rank_zero_cannot_save); RUN(sum_over_processes_fails); RUN(exported_model);
  RUN(long_task_survives); RUN(how_it_was_trained_survives); RUN(surprise_of_whole_contexts); RUN(typical_alone);
  RUN(run_stops_and_goes_on); RUN(save_every);
  RUN(run_keeps_a_state_it_cannot_use); RUN(options_out_of_range); RUN(null_arguments);
  RUN(each_allocation_fails); RUN(subnormal_numbers_in_tasks); RUN(each_task_is_done_once); RUN(many_small_runs);
  RUN(runs_after_a_pause); RUN(threads_out_of_range); RUN(threads_without_memory);
  RUN(context_with_threads); RUN(batch_of_prompts); RUN(last_y_is_not_used); RUN(it_learns);
  RUN(zeros_that_are_meant); RUN(ranges_are_named); RUN(half_a_curriculum);
  RUN(threads_that_are_not_compiled_in);
  RUN(state_says_what_differs); RUN(version_of_a_class); RUN(class_without_a_limit);
  RUN(update_that_is_not_finite); RUN(large_but_finite_updates); RUN(prompts_of_ones_own);
  RUN(source_of_ones_own); RUN(source_that_fails); RUN(source_that_fails_is_not_typical); RUN(source_beside_others);
  RUN(own_prompts_are_scaled); RUN(average_of_the_weights);
  RUN(shapes_of_the_next_step); RUN(paths_that_do_not_work); RUN(odd_names);
#ifdef ICL__POSIX
  RUN(target_is_a_folder); RUN(each_system_call_fails); RUN(flushed_in_the_right_order);
  RUN(short_writes); RUN(run_goes_on_after_a_failed_save); RUN(last_save_fails); RUN(disk_full);
  RUN(no_descriptors_left); RUN(never_a_standard_descriptor); RUN(folder_without_permission);
  RUN(devices_stay_what_they_are); RUN(links_are_followed); RUN(permissions_are_kept);
  RUN(left_over_temporary_file); RUN(temporary_names); RUN(folder_that_cannot_be_flushed);
  RUN(interrupted_calls); RUN(permissions_that_cannot_be_set); RUN(replace_and_probe);
  RUN(long_paths_leave_room_for_the_reason); RUN(state_that_is_a_pipe); RUN(lock_of_a_path);
  RUN(run_of_locked_files); RUN(left_over_files_are_swept); RUN(model_path_is_probed);
  RUN(good_weights_are_kept);
  empty_folder();
  rmdir(folder);
#endif
  if (live_blocks != before) {
    printf("leaked: %ld blocks\n", live_blocks - before);
    test_failed++;
  }
  return test_report("train");
}
