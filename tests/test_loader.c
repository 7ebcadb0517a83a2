/* The loader and the writer: safetensors files are built here byte by byte, whole and broken in every way
 * that we could think of, and each has to give its exact code, offset and text.  Nothing may crash, read a
 * byte beyond the file, or load as something else. */
#define _DEFAULT_SOURCE
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

/* Allocations of icl_load, counted. */
static size_t heap_now, heap_peak;
static long heap_blocks;
static long heap_allowed = -1;               /* calls that still succeed; -1: all                     */
static int heap_recovers;                    /* 1: only one call fails                                */

static int heap_refuses(void)
{
  if (heap_allowed < 0) return 0;
  if (heap_allowed > 0) { heap_allowed--; return 0; }
  if (heap_recovers) heap_allowed = -1;
  return 1;
}

static void *heap_realloc(void *p, size_t size)
{
  size_t *block = p ? (size_t *)p - 2 : NULL, old = block ? *block : 0;
  if (heap_refuses()) return NULL;
  block = (size_t *)realloc(block, size + 2 * sizeof *block);
  if (!block) return NULL;
  heap_blocks += !p;
  heap_now += size - old;
  if (heap_now > heap_peak) heap_peak = heap_now;
  *block = size;
  return block + 2;
}

static void heap_free(void *p)
{
  if (!p) return;
  heap_blocks--;
  heap_now -= *((size_t *)p - 2);
  free((size_t *)p - 2);
}

#define ICL_MALLOC(size) heap_realloc(NULL, size)
#define ICL_REALLOC(p, size) heap_realloc(p, size)
#define ICL_FREE(p) heap_free(p)

/* Files that icl_load opens, and headers that the loader goes over, counted. */
static int files_opened, walks;
#define ICL_FOPEN(path, mode) (files_opened++, fopen(path, mode))
#define ICL__WALK() (void)walks++
/* What the header takes for granted, which is checked in all that runs here. */
static long assumed, assumed_wrongly;
#define ICL_ASSERT(condition) ((void)assumed++, (condition) ? (void)0 : (void)assumed_wrongly++)
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"

#if defined __unix__ || defined __APPLE__
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#define HAVE_POSIX 1
#else
#define HAVE_POSIX 0
#endif

/* ----- texts ------------------------------------------------------------------------------------ */

static uint32_t seed = 1;

static uint32_t draw(void)
{
  seed = seed * 1664525u + 1013904223u;
  return seed >> 8;
}

static int draw_below(int n) { return (int)(draw() % (uint32_t)n); }

typedef struct text { char *s; size_t n, cap; } text;

static void add_bytes(text *t, const char *s, size_t n)
{
  if (t->n + n + 1 > t->cap) t->s = (char *)realloc(t->s, t->cap = 2 * (t->n + n) + 64);
  memcpy(t->s + t->n, s, n);
  t->s[t->n += n] = 0;
}

static void addf(text *t, const char *format, ...)
{
  char line[700];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  add_bytes(t, line, strlen(line));
}

/* Where what begins in s[n]; n if nowhere. */
static size_t find_in(const char *s, size_t n, const char *what)
{
  size_t m = strlen(what), i;
  for (i = 0; i + m <= n; i++) if (!memcmp(s + i, what, m)) return i;
  return n;
}

/* ----- plans of files ---------------------------------------------------------------------------- */

typedef struct entry {
  char name[100], dtype[16], shape[100];
  size_t bytes;                              /* of data                                               */
  uint64_t begin, end;
} entry;

enum { MAX_ENTRIES = 400 };
typedef struct plan {
  icl_config cfg;
  char metadata[600];                        /* between the braces; "-" for no __metadata__ at all    */
  entry e[MAX_ENTRIES];
  int n;
  int order[MAX_ENTRIES];                    /* of the header                                         */
  int metadata_at;                           /* before which entry of the header                      */
} plan;

/* A file: header[n_header] behind the length word, then data. */
typedef struct file { text header; unsigned char *data; size_t n_data; } file;

static size_t width_of(const char *dtype)
{
  if (strstr(dtype, "64")) return 8;
  if (strstr(dtype, "32")) return 4;
  return strstr(dtype, "16") ? 2 : 1;
}

static entry *plan_tensor(plan *p, const char *name, const char *dtype, int rank, int rows, int cols)
{
  entry *e = &p->e[p->n];
  snprintf(e->name, sizeof e->name, "%s", name);
  snprintf(e->dtype, sizeof e->dtype, "%s", dtype);
  if (rank == 2) snprintf(e->shape, sizeof e->shape, "%d,%d", rows, cols);
  else snprintf(e->shape, sizeof e->shape, "%d", cols);
  e->bytes = (size_t)rows * (size_t)cols * width_of(dtype);
  p->order[p->n] = p->n;
  p->n++;
  return e;
}

/* The tensors lie in the order of the plan. */
static void lay_out(plan *p)
{
  uint64_t at = 0;
  int i;
  for (i = 0; i < p->n; i++) {
    p->e[i].begin = at;
    p->e[i].end = at += p->e[i].bytes;
  }
}

static void plan_model(plan *p, const icl_config *cfg, const char *metadata, const char *dtype)
{
  icl_tensor t;
  int i;
  memset(p, 0, sizeof *p);
  p->cfg = *cfg;
  snprintf(p->metadata, sizeof p->metadata, "%s", metadata);
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    icl_tensor_at(cfg, i, &t);
    plan_tensor(p, t.name, dtype, t.rank, t.rows, t.cols);
  }
  lay_out(p);
}

static int is_product(const char *name)
{
  return strstr(name, ".c_") != NULL && strlen(name) > 7 && !strcmp(name + strlen(name) - 7, ".weight");
}

/* The matrices of blocks become I8, and their scales follow behind all else. */
static void plan_i8(plan *p, const icl_config *cfg, const char *metadata)
{
  int i, n;
  plan_model(p, cfg, metadata, "F32");
  for (i = 0, n = p->n; i < n; i++)
    if (is_product(p->e[i].name)) {
      char name[120];
      icl_tensor t;
      icl_tensor_at(cfg, i, &t);
      strcpy(p->e[i].dtype, "I8");
      p->e[i].bytes /= 4;
      snprintf(name, sizeof name, "%s.scale", p->e[i].name);
      plan_tensor(p, name, "F32", 1, 1, t.cols);
    }
  lay_out(p);
}

static int find_tensor(const plan *p, const char *name)
{
  int i = 0;
  while (i < p->n && strcmp(p->e[i].name, name)) i++;
  CHECK(i < p->n);
  return i;
}

static void remove_tensor(plan *p, int i)
{
  int k;
  memmove(p->e + i, p->e + i + 1, sizeof *p->e * (size_t)(p->n - i - 1));
  p->n--;
  for (k = 0; k < p->n; k++) p->order[k] = k;
  lay_out(p);
}

static void put_entry(text *t, const entry *e)
{
  addf(t, "\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}", e->name, e->dtype, e->shape,
       (unsigned long long)e->begin, (unsigned long long)e->end);
}

static void make_header(const plan *p, text *t)
{
  int i, metadata = strcmp(p->metadata, "-") != 0;
  t->n = 0;
  addf(t, "{");
  for (i = 0; i <= p->n; i++) {
    if (i == p->metadata_at && metadata) {
      addf(t, "%s\"__metadata__\":{%s}", t->n > 1 ? "," : "", p->metadata);
    }
    if (i < p->n) {
      if (t->n > 1) addf(t, ",");
      put_entry(t, &p->e[p->order[i]]);
    }
  }
  addf(t, "}");
}

/* Weights that go with a tensor's name and place in it, whatever the file's order; small and finite in
 * all types. */
static void make_data(const plan *p, file *f)
{
  int i;
  size_t k, n = 0;
  for (i = 0; i < p->n; i++) if (p->e[i].end > n && p->e[i].end < 1u << 16) n = (size_t)p->e[i].end;
  free(f->data);
  f->data = (unsigned char *)calloc(1, n + 1);
  f->n_data = n;
  for (i = 0; i < p->n; i++) {
    const entry *e = &p->e[i];
    size_t w = width_of(e->dtype);
    const char *c = e->name;
    if (e->end > n || e->begin + e->bytes > n) continue;
    while (!strncmp(c, "module.", 7) || !strncmp(c, "_orig_mod.", 10)) c += *c == 'm' ? 7 : 10;
    for (seed = 7; *c; c++) seed = seed * 31 + (unsigned char)*c;
    for (k = 0; k + w <= e->bytes; k += w) {
      unsigned char *out = f->data + e->begin + k;
      uint32_t r = draw() % 64, sign = r & 1, m = r >> 1;         /* +-1.m / 4, five bits of m */
      uint32_t u = sign << 31 | 125u << 23 | m << 18;
      if (!strcmp(e->dtype, "BF16")) icl__put_le(out, u >> 16, 2);
      else if (w == 2) icl__put_le(out, sign << 15 | 13u << 10 | m << 5, 2);
      else if (w == 4) icl__put_le(out, strstr(e->name, ".scale") ? u & 0x7fffffffu : u, 4);
      else out[0] = (unsigned char)(sign ? 256 - m : m);
    }
  }
}

static void make_file(const plan *p, file *f)
{
  make_header(p, &f->header);
  make_data(p, f);
}

static void free_file(file *f)
{
  free(f->header.s);
  free(f->data);
  memset(f, 0, sizeof *f);
}

/* Replaces the first `from` of the header. */
static void edit_n(file *f, const char *from, const char *to, size_t n)
{
  text t = {NULL, 0, 0};
  size_t at = find_in(f->header.s, f->header.n, from);
  CHECK(at < f->header.n);
  if (at == f->header.n) return;
  add_bytes(&t, f->header.s, at);
  add_bytes(&t, to, n);
  add_bytes(&t, f->header.s + at + strlen(from), f->header.n - at - strlen(from));
  free(f->header.s);
  f->header = t;
}

static void edit(file *f, const char *from, const char *to) { edit_n(f, from, to, strlen(to)); }

/* ----- trials ------------------------------------------------------------------------------------ */

static int reached[(ICL_ERROR_MAX + 1)];

/* What came of some bytes. */
typedef struct trial {
  icl_error code;
  icl_report r;
  icl_config cfg;
  size_t need;
  int verified, n_typical;
  char task[500];
  size_t n_params;
  float y[4];                                /* what it answers                                       */
  uint64_t params;                           /* digest of the weights                                 */
  icl_error surprised;
} trial;

static void check_report(const icl_report *r, icl_error code, size_t size)
{
  size_t i, n = strlen(r->text);
  CHECK_EQ(r->code, code);
  CHECK(n < sizeof r->text && (n > 0) == (code != ICL_OK));
  CHECK(r->offset <= size);
  for (i = 0; i < n; i++) CHECK(r->text[i] >= 32 && r->text[i] < 127);
}

/* Two pairs, then a query, then the surprise. */
static void ask(const icl_model *m, trial *t)
{
  static unsigned char mem[1 << 17];
  icl_ctx c;
  float x[64];
  int k;
  size_t j;
  memset(t->y, 0, sizeof t->y);
  if (icl_ctx_bytes(m, 2, 2) > sizeof mem || icl_ctx_init(&c, m, 2, 2, mem, sizeof mem)) return;
  for (k = 0; k < 3; k++) {
    for (j = 0; j < 64; j++) x[j] = (float)(k + 1) * 0.25f - (float)(j % 5) * 0.375f;
    if (m->config.n_dims > 64) return;
    if (k < 2) CHECK_EQ(icl_add(&c, x, 0.5f - (float)k), ICL_OK);
    else CHECK_EQ(icl_predict(&c, x, &t->y[2]), ICL_OK);
    if (k < 2) t->y[k] = icl_residuals(&c)[k];
  }
  t->surprised = icl_surprise(&c, &t->y[3]);
}

/* Loads the bytes at data[n] where they lie. */
static void try_at(trial *t, const unsigned char *data, size_t n)
{
  static unsigned char mem[1 << 18];
  static float params[1 << 14];
  icl_model m;
  memset(t, 0, sizeof *t);
  memset(&m, 0x5a, sizeof m);
  t->need = 12345;
  t->code = icl_inspect(data, n, &t->cfg, &t->need, &t->r);
  check_report(&t->r, t->code, n);
  if (t->code) {
    static const icl_config none;
    icl_report again;
    CHECK_EQ(t->need, 12345);
    CHECK(memcmp(&t->cfg, &none, sizeof none) == 0);
    CHECK_EQ(icl_model_init(&m, data, n, mem, sizeof mem, &again), t->code);
    CHECK_EQ(again.offset, t->r.offset);
    CHECK_STR(again.text, t->r.text);
    CHECK_EQ(icl_inspect(data, n, NULL, NULL, NULL), t->code);
  } else {
    CHECK(t->need <= 4 * n + 65536);
    CHECK(t->need <= sizeof mem);
    CHECK_EQ(icl_model_init(&m, data, n, mem, t->need - 1, NULL), ICL_ERR_MEMORY);
    t->code = icl_model_init(&m, data, n, mem, t->need, &t->r);
    check_report(&t->r, t->code, n);
  }
  reached[t->code]++;
  if (t->code) {
    CHECK(m.verified == 0x5a5a5a5a && m.n_params == (size_t)0x5a5a5a5a5a5a5a5aull);
    return;
  }
  t->verified = m.verified;
  t->n_params = m.n_params;
  t->n_typical = m.n_typical;
  snprintf(t->task, sizeof t->task, "%s", m.task);
  CHECK_EQ(m.n_params, icl_param_count(&m.config));
  CHECK(memcmp(&m.config, &t->cfg, sizeof t->cfg) == 0);
  if (m.n_params <= sizeof params / sizeof *params) {
    CHECK_EQ(icl_model_params(&m, params), ICL_OK);
    t->params = icl__digest(0, params, m.n_params * sizeof(float));
  }
  ask(&m, t);
}

/* A block of its own for n bytes, whose start is shift behind a multiple of 64 and whose end is the end. */
static unsigned char *block_of(size_t n, size_t shift, void **block)
{
#if HAVE_POSIX
  if (posix_memalign(block, 64, n + shift + !(n + shift))) exit(3);
#else
  *block = malloc(n + shift + 1);
#endif
  return (unsigned char *)*block + shift;
}

static void try_shifted(trial *t, const file *f, size_t shift)
{
  size_t n = 8 + f->header.n + f->n_data;
  void *block;
  unsigned char *p = block_of(n, shift, &block);
  icl__put_le(p, f->header.n, 8);
  memcpy(p + 8, f->header.s, f->header.n);
  if (f->n_data) memcpy(p + 8 + f->header.n, f->data, f->n_data);
  try_at(t, p, n);
  free(block);
}

static void try_file(trial *t, const file *f) { try_shifted(t, f, 0); }

static void try_plan(trial *t, const plan *p)
{
  file f;
  memset(&f, 0, sizeof f);
  make_file(p, &f);
  try_file(t, &f);
  free_file(&f);
}

/* Same configuration, weights and answers. */
static int alike(const trial *a, const trial *b)
{
  return !a->code && !b->code && !memcmp(&a->cfg, &b->cfg, sizeof a->cfg) && a->params == b->params
      && !memcmp(a->y, b->y, sizeof a->y) && a->surprised == b->surprised && a->n_typical == b->n_typical
      && !strcmp(a->task, b->task);
}

static void expect_ok(const trial *t, const char *what)
{
  if (t->code) printf("%s: %s: offset %u: %s\n", test_name, what, (unsigned)t->r.offset, t->r.text);
  CHECK_EQ(t->code, ICL_OK);
}

static void expect_error(const trial *t, icl_error code, const char *content, size_t offset, const char *what)
{
  int right = t->code == code && !strcmp(t->r.text, content) && t->r.offset == offset;
  if (!right)
    printf("%s: %s: code %d offset %u \"%s\", expected code %d offset %u \"%s\"\n", test_name, what, (int)t->code,
           (unsigned)t->r.offset, t->r.text, (int)code, (unsigned)offset, content);
  CHECK(right);
}

/* ----- the file that most tests start from ------------------------------------------------------- */

static const icl_config small = {2, 4, 2, 2, 5, 1, ICL_POSITION_LEARNED, ICL_GELU_ERF, 1e-5f, ICL_TOKENS_APART, 0, {0}};
static const char small_metadata[] = "\"n_head\":\"2\",\"activation_function\":\"gelu\"";

static void small_file(file *f)
{
  static plan p;
  memset(f, 0, sizeof *f);
  plan_model(&p, &small, small_metadata, "F32");
  make_file(&p, f);
}

static trial small_trial(void)
{
  trial t;
  file f;
  small_file(&f);
  try_file(&t, &f);
  free_file(&f);
  return t;
}

/* An edit of that file, and what it has to give.  at: a piece of the edited header at whose start the
 * error is to be found; NULL: byte 8. */
typedef struct edit_case { const char *from, *to; icl_error code; const char *says, *at; } edit_case;

static void check_edits(const edit_case *c, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++) {
    trial t;
    file f;
    small_file(&f);
    edit(&f, c[i].from, c[i].to);
    try_file(&t, &f);
    if (c[i].code)
      expect_error(&t, c[i].code, c[i].says, 8 + (c[i].at ? find_in(f.header.s, f.header.n, c[i].at) : 0), c[i].to);
    else
      expect_ok(&t, c[i].to);
    free_file(&f);
  }
}
#define COUNT(a) (sizeof (a) / sizeof *(a))

/* Under emulators and instrumentation every 31st bit of data, every 7th of headers and of many cases. */
#ifdef ICL_TEST_QUICK
enum { EVERY_BIT = 31, EVERY_HEADER_BIT = 7, EVERY = 7 };
#else
enum { EVERY_BIT = 1, EVERY_HEADER_BIT = 1, EVERY = 1 };
#endif

TEST(a_file_loads)
{
  trial t = small_trial();
  expect_ok(&t, "the small file");
  CHECK(memcmp(&t.cfg, &small, sizeof small) == 0);
  CHECK_EQ(t.verified, 0);
  CHECK_STR(t.task, "");
  CHECK_EQ(t.surprised, ICL_ERR_CONFIG);
}

/* ----- JSON --------------------------------------------------------------------------------------- */

TEST(grammar)
{
  static const edit_case cases[] = {
    {"{\"__metadata__\"", "[\"__metadata__\"", ICL_ERR_FORMAT, "the header does not start with {", NULL},
    {"{\"__metadata__\"", " {\"__metadata__\"", ICL_ERR_FORMAT, "the header does not start with {", NULL},
    {"{\"__metadata__\"", "\xef\xbb\xbf{\"__metadata__\"", ICL_ERR_FORMAT, "the header does not start with {", NULL},
    {"{\"__metadata__\"", "{,\"__metadata__\"", ICL_ERR_FORMAT, "expected a string", ",\"__m"},
    {"{\"__metadata__\"", "{__metadata__", ICL_ERR_FORMAT, "expected a string", "__m"},
    {"{\"__metadata__\"", "{'__metadata__'", ICL_ERR_FORMAT, "expected a string", "'__m"},
    {"\"__metadata__\":", "\"__metadata__\"=", ICL_ERR_FORMAT, "expected :", "={"},
    {"\"__metadata__\":{", "\"__metadata__\":[", ICL_ERR_FORMAT, "expected {", "[\"n_head"},
    {"\"__metadata__\":{", "\"__metadata__\":{,", ICL_ERR_FORMAT, "expected a string", ",\"n_head"},
    {"\"gelu\"}", "\"gelu\",}", ICL_ERR_FORMAT, "expected a string", "},\"_read_in.w"},
    {"\"gelu\"}", "\"gelu\"]", ICL_ERR_FORMAT, "expected } or ,", "],\"_read_in.w"},
    {"\"gelu\"}", "{}}", ICL_ERR_FORMAT, "not a string: the value of 'activation_function'", "{}},"},
    {"\"gelu\"}", "null}", ICL_ERR_FORMAT, "not a string: the value of 'activation_function'", "null}"},
    {"\"gelu\"}", "1}", ICL_ERR_FORMAT, "not a string: the value of 'activation_function'", "1},\"_r"},
    {"\"gelu\"}", "[\"gelu\"]}", ICL_ERR_FORMAT, "not a string: the value of 'activation_function'", "[\"gelu"},
    {"\"gelu\"},", "\"gelu\"}", ICL_ERR_FORMAT, "expected , or }", "\"_read_in.w"},
    {"\"gelu\"},", "\"gelu\"},,", ICL_ERR_FORMAT, "expected a string", ",\"_read_in.w"},
    {"weight\":{", "weight\":", ICL_ERR_FORMAT, "expected {", "\"dtype\":\"F32\",\"shape\":[4,2]"},
    {"weight\":{", "weight\":[", ICL_ERR_FORMAT, "expected {", "[\"dtype\""},
    {"weight\":{", "weight\":{}, \"_read_in.weight\":{", ICL_ERR_FORMAT, "expected a string", "}, \"_r"},
    {"\"dtype\":\"F32\"", "\"dtype\":null", ICL_ERR_FORMAT, "expected a string", "null"},
    {"\"dtype\":\"F32\"", "\"dtype\":32", ICL_ERR_FORMAT, "expected a string", "32,\"sh"},
    {"\"dtype\":\"F32\"", "dtype:\"F32\"", ICL_ERR_FORMAT, "expected a string", "dtype:"},
    {"\"dtype\":\"F32\",", "\"dtype\":\"F32\"", ICL_ERR_FORMAT, "expected } or ,", "\"shape\":[4,2]"},
    {"\"dtype\":\"F32\",", "", ICL_ERR_FORMAT, "dtype, shape or data_offsets missing in '_read_in.weight'", "_read_in.w"},
    {"\"shape\":[4,2],", "", ICL_ERR_FORMAT, "dtype, shape or data_offsets missing in '_read_in.weight'", "_read_in.w"},
    {",\"data_offsets\":[0,32]", "", ICL_ERR_FORMAT, "dtype, shape or data_offsets missing in '_read_in.weight'", "_read_in.w"},
    {"\"shape\":[4,2],", "\"shape\":[4,2],\"shape\":[4,2],", ICL_ERR_FORMAT, "repeated key 'shape'", "shape\":[4,2],\"data"},
    {"\"dtype\":\"F32\",", "\"dtype\":\"F32\",\"dtype\":\"F32\",", ICL_ERR_FORMAT, "repeated key 'dtype'", "dtype\":\"F32\",\"shape"},
    {"[0,32]", "[0,32],\"data_offsets\":[0,32]", ICL_ERR_FORMAT, "repeated key 'data_offsets'", "data_offsets\":[0,32]},"},
    {"\"dtype\":\"F32\",", "\"dtype\":\"F32\",\"extra\":1,", ICL_ERR_FORMAT, "unknown key 'extra'", "extra\""},
    {"\"dtype\":\"F32\",", "\"Dtype\":\"F32\",", ICL_ERR_FORMAT, "unknown key 'Dtype'", "Dtype\""},
    {"\"dtype\":\"F32\",", "\"d\\u0074ype\":\"F32\",", ICL_ERR_FORMAT, "unknown key 'd\\u0074ype'", "d\\u0074"},
    {"\"dtype\":\"F32\",", "\"\":\"F32\",", ICL_ERR_FORMAT, "unknown key ''", "\":\"F32\",\"shape\""},
    {"[4,2]", "{4,2}", ICL_ERR_FORMAT, "expected [", "{4,2}"},
    {"[4,2]", "4", ICL_ERR_FORMAT, "expected [", "4,\"data"},
    {"[4,2]", "[4 2]", ICL_ERR_FORMAT, "expected ]", "2],\"data_offsets\":[0,32"},
    {"[4,2]", "[4,2,]", ICL_ERR_FORMAT, "expected a whole number from 0 to 2^53", "],\"data_offsets\":[0,32"},
    {"[4,2]", "[,4,2]", ICL_ERR_FORMAT, "expected a whole number from 0 to 2^53", ",4,2]"},
    {"[4,2]", "[[4,2]]", ICL_ERR_FORMAT, "expected a whole number from 0 to 2^53", "[4,2]]"},
    {"[4,2]", "[1,1,1,4,2]", ICL_ERR_FORMAT, "too many numbers in a list", "2],\"data"},
    {"[0,32]", "[0]", ICL_ERR_FORMAT, "data_offsets is not a pair in '_read_in.weight'", "_read_in.w"},
    {"[0,32]", "[]", ICL_ERR_FORMAT, "data_offsets is not a pair in '_read_in.weight'", "_read_in.w"},
    {"[0,32]", "[0,32,32]", ICL_ERR_FORMAT, "too many numbers in a list", "32]},"},
    {"[0,32]", "[32,0]", ICL_ERR_FORMAT, "data_offsets do not fit the shape of '_read_in.weight'", "_read_in.w"},
    {"[0,32]", "[0,31]", ICL_ERR_FORMAT, "data_offsets do not fit the shape of '_read_in.weight'", "_read_in.w"},
    {"[0,32]", "[0,36]", ICL_ERR_FORMAT, "data_offsets do not fit the shape of '_read_in.weight'", "_read_in.w"},
    {"[0,32]", "[4,36]", ICL_ERR_FORMAT, "hole before tensor '_read_in.weight'", "_read_in.w"},
    {"\"__metadata__\"", "\"__met\\u0061data__\"", ICL_ERR_FORMAT, "escape in the name '__met\\u0061data__'", "__met"},
    {"_read_in.weight", "_read\\u005fin.weight", ICL_ERR_FORMAT, "escape in the name '_read\\u005fin.weight'", "_read\\u"},
    {"_read_in.weight", "_read_in.weight\\\\", ICL_ERR_FORMAT, "escape in the name '_read_in.weight\\\\'", "_read_in.w"},
    {"\"n_head\"", "\"n\\u005fhead\"", ICL_ERR_FORMAT, "escape in the key 'n\\u005fhead'", "n\\u005f"},
    {"\"__metadata__\"", "\"__metadata__\":{},\"__metadata__\"", ICL_ERR_FORMAT, "repeated key '__metadata__'", "__metadata__\":{\""},
    {"\"_read_in.weight\"", "\"__metadata__\":{},\"_read_in.weight\"", ICL_ERR_FORMAT, "repeated key '__metadata__'", "__metadata__\":{}"},
    {"\"n_head\":\"2\"", "\"n_head\":\"2\",\"n_head\":\"2\"", ICL_ERR_FORMAT, "repeated key 'n_head'", "n_head\":\"2\",\"act"},
    {"\"n_head\":\"2\"", "\"icl.task\":\"a\",\"n_head\":\"2\",\"icl.task\":\"b\"", ICL_ERR_FORMAT, "repeated key 'icl.task'", "icl.task\":\"b"}
  };
  check_edits(cases, COUNT(cases));
}

/* White space and order are free where JSON leaves them so. */
TEST(spellings_that_are_fine)
{
  static const edit_case cases[] = {
    {"{\"__metadata__\":{", "{ \n\t\r\"__metadata__\" \n: {  ", ICL_OK, NULL, NULL},
    {"\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":[0,32]",
     " \"data_offsets\" : [ 0 ,\n32 ] ,\"dtype\" : \"F32\" , \"shape\" :[\t4 , 2 ] ", ICL_OK, NULL, NULL},
    {"\"n_head\":\"2\"", "\"format\":\"pt\",\"n_head\":\"2\"", ICL_OK, NULL, NULL},
    {"\"n_head\":\"2\"", "\"n_head\" : \"2\" , \"a\\n\":\"\"", ICL_ERR_FORMAT, "escape in the key 'a\\n'", "a\\n"},
    {"\"n_head\":\"2\"", "\"note\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\",\"n_head\":\"2\"", ICL_OK, NULL, NULL},
    {"\"n_head\":\"2\"", "\"note\":\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \x7f\",\"n_head\":\"2\"", ICL_OK, NULL, NULL},
    {"\"n_head\":\"2\"", "\"icl.version\":\"99.9\",\"n_head\":\"2\"", ICL_OK, NULL, NULL}
  };
  trial whole = small_trial(), t;
  file f;
  size_t i;
  check_edits(cases, COUNT(cases));
  for (i = 0; i < COUNT(cases); i++) {
    if (cases[i].code) continue;
    small_file(&f);
    edit(&f, cases[i].from, cases[i].to);
    try_file(&t, &f);
    CHECK(alike(&t, &whole));
    free_file(&f);
  }
}

/* Behind the last brace: spaces and nothing else. */
TEST(the_end_of_the_header)
{
  static const char *const tails[] = {"\n", "\t", "x", "}", ",", "{}", "\"", "[]"};
  trial t;
  file f;
  size_t i, n;
  for (i = 0; i < COUNT(tails); i++) {
    small_file(&f);
    add_bytes(&f.header, "  ", 2);
    n = f.header.n;
    addf(&f.header, "%s  ", tails[i]);
    try_file(&t, &f);
    expect_error(&t, ICL_ERR_FORMAT, "bytes after the header's }", 8 + n, tails[i]);
    free_file(&f);
  }
  small_file(&f);
  add_bytes(&f.header, "\0", 1);
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "bytes after the header's }", 8 + f.header.n - 1, "NUL");
  free_file(&f);
  small_file(&f);
  f.header.n--;
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "expected , or }", 8 + f.header.n, "no brace");
  free_file(&f);
}

/* Headers that end in the middle of something, right before memory that must not be read. */
TEST(nothing_is_read_beyond_the_header)
{
  static const struct { const char *header, *says; } ends[] = {
    {"{ ", "expected a string"}, {"{\"", "a string does not end"}, {"{\"a", "a string does not end"}, {"{\"a\"", "expected :"},
    {"{\"a\":", "expected {"}, {"{\"\\", "bad escape in a string"}, {"{\"\\u", "bad escape in a string"},
    {"{\"\\u0", "bad escape in a string"}, {"{\"\\u00", "bad escape in a string"}, {"{\"\\u004", "bad escape in a string"},
    {"{\"\\u0041", "a string does not end"}, {"{\"__metadata__\":{\"a\":\"\\u0", "bad escape in a string"},
    {"{\"__metadata__\":{\"a\"", "expected :"}, {"{\"__metadata__\":{\"a\":", "expected a string"},
    {"{\"__metadata__\":{\"a\": ", "expected a string"}, {"{\"__metadata__\":{\"a\":\"b\"", "expected } or ,"},
    {"{\"a\":{\"shape\":", "expected ["}, {"{\"a\":{\"shape\":[", "expected a whole number from 0 to 2^53"},
    {"{\"a\":{\"shape\":[1", "expected ]"}, {"{\"a\":{\"shape\":[1,", "expected a whole number from 0 to 2^53"},
    {"{\"a\":{\"shape\":[1]", "expected } or ,"}, {"{\"\xe2\x82", "a string is not UTF-8"}, {"{\"\xf0", "a string is not UTF-8"}
  };
  const size_t room = 1 << 16;
  size_t i;
#if HAVE_POSIX
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *map = (unsigned char *)mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  CHECK(map != MAP_FAILED && !mprotect(map + room, page, PROT_NONE));
#else
  unsigned char *map = (unsigned char *)malloc(room);
#endif
  for (i = 0; i < COUNT(ends); i++) {
    size_t n = strlen(ends[i].header);
    unsigned char *p = map + room - 8 - n;
    trial t;
    icl__put_le(p, n, 8);
    memcpy(p + 8, ends[i].header, n);
    try_at(&t, p, 8 + n);
    CHECK_EQ(t.code, ICL_ERR_FORMAT);
    CHECK_STR(t.r.text, ends[i].says);
  }
#if HAVE_POSIX
  munmap(map, room + page);
#else
  free(map);
#endif
}

TEST(number_forms)
{
  static const struct { const char *form; size_t at; } bad[] = {
    {"1e3", 1}, {"4E0", 1}, {"-0", 0}, {"-4", 0}, {"+4", 0}, {"04", 2}, {"00", 2}, {"4.0", 1}, {"4.", 1}, {".4", 0},
    {"4e", 1}, {"4-", 1}, {"4+0", 1}, {"0x4", SIZE_MAX}, {"", 0}, {"\"4\"", 0}, {"null", 0}, {"true", 0}, {"NaN", 0},
    {"1000000000000000000000000000000", 17}, {"9007199254740993", 16}, {"18446744073709551620", 17}, {"\xd9\xa4", 0}
  };
  trial t;
  file f;
  size_t i;
  for (i = 0; i < COUNT(bad); i++) {
    static const char *const places[] = {"[4,2]", "[0,32]"};
    size_t place, start;
    for (place = 0; place < 2; place++) {
      char to[100];
      snprintf(to, sizeof to, place ? "[%s,32]" : "[%s,2]", bad[i].form);
      small_file(&f);
      start = find_in(f.header.s, f.header.n, places[place]) + 1;
      edit(&f, places[place], to);
      try_file(&t, &f);
      if (bad[i].at == SIZE_MAX) expect_error(&t, ICL_ERR_FORMAT, "expected ]", 8 + start + 1, to);
      else expect_error(&t, ICL_ERR_FORMAT, "expected a whole number from 0 to 2^53", 8 + start + bad[i].at, to);
      free_file(&f);
    }
  }
  small_file(&f);
  edit(&f, "[4,2]", "[9007199254740992,2]");
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "data_offsets do not fit the shape of '_read_in.weight'",
               8 + find_in(f.header.s, f.header.n, "_read_in.w"), "2^53");
  free_file(&f);
}

/* Bad bytes in a tensor's name, a known and an unknown value; the error stands at the bad byte. */
static void check_bad_string(const char *bytes, size_t n, size_t bad_at, const char *says)
{
  static const char *const where[] = {"_read_in.weight", "pt", "x"};
  int i;
  for (i = 0; i < 3; i++) {
    trial t;
    file f;
    text with = {NULL, 0, 0};
    size_t at;
    small_file(&f);
    edit(&f, "\"n_head\":\"2\"", "\"n_head\":\"2\",\"format\":\"pt\",\"icl.task\":\"x\"");
    addf(&with, "%s", where[i]);
    at = find_in(f.header.s, f.header.n, where[i]) + with.n;
    add_bytes(&with, bytes, n);
    edit_n(&f, where[i], with.s, with.n);
    try_file(&t, &f);
    expect_error(&t, ICL_ERR_FORMAT, says, 8 + at + bad_at, where[i]);
    free(with.s);
    free_file(&f);
  }
}

TEST(strings_that_are_not_utf8)
{
  static const char *const bad[] = {
    "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3(", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe2\x82", "\xe2\x28\xa1",
    "\xe2\x82\x28", "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
    "\xf0\x9f\x98\x28", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff"
  };
  size_t i;
  char c;
  for (i = 0; i < COUNT(bad); i++) check_bad_string(bad[i], strlen(bad[i]), 0, "a string is not UTF-8");
  for (c = 0; c < 32; c++) check_bad_string(&c, 1, 0, "control character in a string");
  check_bad_string("\x1b[31mred", 8, 0, "control character in a string");
}

TEST(bad_escapes)
{
  static const struct { const char *s; size_t at; } bad[] = {
    {"\\x", 1}, {"\\", 2}, {"\\u12", 4}, {"\\u12g4", 4}, {"\\U0041", 1}, {"\\u00\xc3\xa9", 4}, {"\\'", 1}, {"\\0", 1}
  };
  static const struct { const char *header, *says; } cut[] = {
    {"{\"\\u0041", "a string does not end"}, {"{\"\\u004", "bad escape in a string"}, {"{\"\\n", "a string does not end"},
    {"{\"\\", "bad escape in a string"}, {"{\"", "a string does not end"}
  };
  size_t i;
  for (i = 0; i < COUNT(bad); i++) if (bad[i].s[1]) check_bad_string(bad[i].s, strlen(bad[i].s), bad[i].at, "bad escape in a string");
  for (i = 0; i < COUNT(cut); i++) {                       /* at the end of the header */
    trial t;
    file f;
    memset(&f, 0, sizeof f);
    addf(&f.header, "%s", cut[i].header);
    try_file(&t, &f);
    CHECK_EQ(t.code, ICL_ERR_FORMAT);
    CHECK_STR(t.r.text, cut[i].says);
    free_file(&f);
  }
}

/* The rules of the Unicode standard, table 3-7, by decoding. */
static size_t utf8_length(const unsigned char *s, size_t n)
{
  uint32_t v;
  size_t len = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0, i;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  if (!len || len > n) return 0;
  v = len == 1 ? s[0] : s[0] & (0x7fu >> len);
  for (i = 1; i < len; i++) {
    if (s[i] >> 6 != 2) return 0;
    v = v << 6 | (s[i] & 63);
  }
  return v < least[len] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000) ? 0 : len;
}

TEST(utf8_of_all_kinds)
{
  static const unsigned char edge[] = {0, 0x28, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
  unsigned a, b, c, d;
  size_t n;
  for (a = 0; a < 256; a++)
    for (b = 0; b < 256; b++)
      for (c = 0; c < sizeof edge; c++)
        for (d = 0; d < sizeof edge; d++)
          for (n = 1; n <= 4; n++) {
            unsigned char s[4];
            s[0] = (unsigned char)a; s[1] = (unsigned char)b; s[2] = edge[c]; s[3] = edge[d];
            if (icl__utf8(s, n) != utf8_length(s, n)) CHECK_EQ(icl__utf8(s, n), utf8_length(s, n));
          }
}

/* ----- metadata ----------------------------------------------------------------------------------- */

/* The small file with another value of a key. */
static void try_value(trial *t, const char *key, const char *value, size_t *value_of)
{
  file f;
  char to[700];
  small_file(&f);
  snprintf(to, sizeof to, "\"%s\":\"%s\"", key, value);
  if (!strcmp(key, "n_head")) edit(&f, "\"n_head\":\"2\"", to);
  else if (!strcmp(key, "activation_function")) edit(&f, "\"activation_function\":\"gelu\"", to);
  else {
    snprintf(to, sizeof to, "\"n_head\":\"2\",\"%s\":\"%s\"", key, value);
    edit(&f, "\"n_head\":\"2\"", to);
  }
  *value_of = 8 + find_in(f.header.s, f.header.n, key);
  try_file(t, &f);
  free_file(&f);
}

static void expect_bad_values(const char *key, const char *const *values, size_t n)
{
  size_t i, at;
  char says[100], *c;
  for (i = 0; i < n; i++) {
    trial t;
    snprintf(says, sizeof says, "bad value of '%s': '%s'", key, values[i]);
    for (c = says; *c; c++) if (*c < 32 || *c > 126) *c = '?';
    try_value(&t, key, values[i], &at);
    expect_error(&t, ICL_ERR_CONFIG, says, at, values[i]);
  }
}

TEST(bad_values)
{
  static const char *const heads[] = {"", "0", "-1", "+2", " 2", "2 ", "2.0", "02", "two", "65537", "2e0",
                                      "99999999999999999999999999", "\xd9\xa2"};
  static const char *const activations[] = {"", "GELU", "gelu ", "gelu_newer", "tanh", "swish"};
  static const char *const epsilons[] = {"", ".", "e", "e-5", "1e", "1e-", "1e--5", "1e-5 ", " 1e-5", "-1e-5", "+1e-5",
    "nan", "NaN", "inf", "Infinity", "0x1p-5", "1,0e-5", "1..0", "1.0.0", "1e-5e-5", "1e61", "1e-61", "1e99999999999999999999",
    "1e-99999999999999999999", "1e5.0", "1_000", "1e40", "1f"};
  static const char *const types[] = {"", "learned", "rotary", "Absolute", "absolute ", "relative_key"};
  static const char *const positions[] = {"", "0", "-5", "+5", "5.0", "05", "16777217", "5 ", "9007199254740993"};
  static const char *const digests[] = {"", "0", "0123456789abcde", "0123456789abcdef0", "0123456789ABCDEF", "0x23456789abcdef",
                                        "0123456789abcdeg", "               0"};
  static const char *const typicals[] = {"", " ", "1", "1 2 3", "2 2", "3 2", "1 2 ", " 1 2", "1  2", "1 2 3 3", "1,2",
    "a b", "2 1000001", "-1000001 2", "1 2 5 4", "1.0 2", "--1 2", "- 2", "1 2\\t4 5", "01 2"};
  expect_bad_values("n_head", heads, COUNT(heads));
  expect_bad_values("activation_function", activations, COUNT(activations));
  expect_bad_values("layer_norm_epsilon", epsilons, COUNT(epsilons));
  expect_bad_values("position_embedding_type", types, COUNT(types));
  expect_bad_values("n_positions", positions, COUNT(positions));
  expect_bad_values("icl.digest", digests, COUNT(digests));
  expect_bad_values("icl.typical", typicals, COUNT(typicals) - 2);
}

/* HF has more than one name for the tanh form. */
TEST(names_of_activations)
{
  static const char *const names[] = {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"};
  trial first, t;
  size_t i, at;
  for (i = 0; i < COUNT(names); i++) {
    try_value(&t, "activation_function", names[i], &at);
    expect_ok(&t, names[i]);
    if (i == 0) first = t;
    CHECK_EQ(t.cfg.activation_function, ICL_GELU_TANH);
    CHECK(alike(&first, &t));
  }
}

TEST(values_that_contradict)
{
  static const struct { const char *key, *value, *says; } bad[] = {
    {"n_head", "3", "does not divide the width: 'n_head'"},
    {"n_head", "5", "does not divide the width: 'n_head'"},
    {"layer_norm_epsilon", "0", "not between 0 and 1: 'layer_norm_epsilon'"},
    {"layer_norm_epsilon", "0.000", "not between 0 and 1: 'layer_norm_epsilon'"},
    {"layer_norm_epsilon", "1", "not between 0 and 1: 'layer_norm_epsilon'"},
    {"layer_norm_epsilon", "1e1", "not between 0 and 1: 'layer_norm_epsilon'"},
    {"position_embedding_type", "none", "there is a wpe tensor in spite of 'position_embedding_type'"},
    {"position_embedding_type", "sinusoidal", "there is a wpe tensor in spite of 'position_embedding_type'"},
    {"n_positions", "4", "the wpe tensor contradicts 'n_positions'"},
    {"n_positions", "16777216", "the wpe tensor contradicts 'n_positions'"}
  };
  size_t i, at;
  trial t;
  for (i = 0; i < COUNT(bad); i++) {
    try_value(&t, bad[i].key, bad[i].value, &at);
    CHECK_EQ(t.code, ICL_ERR_CONFIG);
    CHECK_STR(t.r.text, bad[i].says);
  }
  try_value(&t, "n_head", "\\u0032", &at);
  expect_error(&t, ICL_ERR_CONFIG, "escape in the value of 'n_head'", at, "n_head");
  try_value(&t, "icl.task", "a\\tb", &at);
  expect_error(&t, ICL_ERR_CONFIG, "escape in the value of 'icl.task'", at, "icl.task");
}

TEST(values_and_defaults)
{
  static const struct { const char *form; float is; } eps[] = {
    {"1e-5", 1e-5f}, {"1e-05", 1e-5f}, {"1E-5", 1e-5f}, {"1e-005", 1e-5f}, {"0.00001", 1e-5f}, {"1.0e-5", 1e-5f},
    {"10e-6", 1e-5f}, {"0.1e-4", 1e-5f}, {"1e-12", 1e-12f}, {"1e-08", 1e-8f}, {"0.0013", 0.0013f}, {".5", 0.5f},
    {"5e-1", 0.5f}, {"0.5e+0", 0.5f}, {"00.5", 0.5f}, {"0.99999994", 0.99999994f}, {"1e-38", 1e-38f}, {"5.0E-07", 5e-7f},
    {"9.999999747378752e-06", 1e-5f},               /* Python's str(float(np.float32(1e-5)))     */
    {"9.9999999999999991e-06", 1e-5f}, {"0.30000000000000004", 0.3f}, {"9.8765432109876543e-4", 9.8765432e-4f}
  };
  static const struct { const char *s; icl_activation is; } acts[] = {
    {"gelu_new", ICL_GELU_TANH}, {"gelu", ICL_GELU_ERF}, {"relu", ICL_RELU}
  };
  size_t i, at;
  trial t, whole = small_trial();
  file f;
  for (i = 0; i < COUNT(eps); i++) {
    try_value(&t, "layer_norm_epsilon", eps[i].form, &at);
    expect_ok(&t, eps[i].form);
    CHECK_NEAR(t.cfg.layer_norm_epsilon, eps[i].is, 0);
  }
  for (i = 0; i < COUNT(acts); i++) {
    try_value(&t, "activation_function", acts[i].s, &at);
    expect_ok(&t, acts[i].s);
    CHECK_EQ(t.cfg.activation_function, acts[i].is);
  }
  try_value(&t, "position_embedding_type", "absolute", &at);
  CHECK(alike(&t, &whole));
  try_value(&t, "n_positions", "5", &at);
  CHECK(alike(&t, &whole));
  small_file(&f);
  edit(&f, ",\"activation_function\":\"gelu\"", "");
  try_file(&t, &f);
  CHECK_EQ(t.code, ICL_OK);
  CHECK_EQ(t.cfg.activation_function, ICL_GELU_TANH);
  CHECK(t.cfg.layer_norm_epsilon == 1e-5f);
  free_file(&f);
}

TEST(what_the_metadata_must_say)
{
  static const char *const lack[] = {"-", "", "\"format\":\"pt\"", "\"N_head\":\"2\"", "\"icl.task\":\"dense\""};
  static plan p;
  trial t;
  size_t i;
  for (i = 0; i < COUNT(lack); i++) {
    plan_model(&p, &small, lack[i], "F32");
    try_plan(&t, &p);
    expect_error(&t, ICL_ERR_CONFIG, "metadata lack 'n_head'", 8, lack[i]);
  }
  plan_model(&p, &small, small_metadata, "F32");
  remove_tensor(&p, 2);
  try_plan(&t, &p);
  expect_error(&t, ICL_ERR_CONFIG, "no wpe tensor, and metadata lack 'position_embedding_type'", 8, "wpe");
  strcat(p.metadata, ",\"position_embedding_type\":\"none\"");
  try_plan(&t, &p);
  expect_error(&t, ICL_ERR_CONFIG, "metadata lack 'n_positions'", 8, "n_positions");
  strcat(p.metadata, ",\"n_positions\":\"7\"");
  try_plan(&t, &p);
  expect_ok(&t, "none");
  CHECK_EQ(t.cfg.n_positions, 7);
  CHECK_EQ(t.cfg.position_embedding_type, ICL_POSITION_NONE);
}

/* A task is text for people: any UTF-8 loads, of any length; what is not printable ASCII shows as '?'. */
TEST(task_texts)
{
  char longest[400];
  size_t at, i;
  trial t;
  try_value(&t, "icl.task", "0.5*dense + 0.5*sparse(nnz=2)", &at);
  CHECK_STR(t.task, "0.5*dense + 0.5*sparse(nnz=2)");
  try_value(&t, "icl.task", "", &at);
  CHECK_STR(t.task, "");
  try_value(&t, "icl.task", "d\xc3\xa9\x7f", &at);
  CHECK_STR(t.task, "d???");
  for (i = 0; i < 399; i++) longest[i] = (char)('a' + i % 26);
  longest[399] = 0;
  try_value(&t, "icl.task", longest, &at);
  CHECK_STR(t.task, longest);
}

/* ----- tensors ------------------------------------------------------------------------------------ */

static void expect_tensor_error(const plan *p, icl_error code, const char *what, const char *name, int at_name)
{
  trial t;
  file f;
  char says[300], quoted[120];
  memset(&f, 0, sizeof f);
  make_file(p, &f);
  snprintf(says, 96, "%s '%s'", what, name);
  if (strlen(says) == 95 && says[94] != '\'') says[94] = '\'';
  snprintf(quoted, sizeof quoted, "\"%s\"", name);
  try_file(&t, &f);
  expect_error(&t, code, says, 8 + (at_name ? find_in(f.header.s, f.header.n, quoted) + 1 : 0), name);
  free_file(&f);
}

static int decides_the_config(const char *name)
{
  return !strcmp(name, "_read_in.weight") || !strcmp(name, "_backbone.wpe.weight") || !strcmp(name, "_read_out.weight");
}

TEST(every_tensor_removed)
{
  static plan p;
  char name[100];
  int i, n = icl_tensor_count(&small);
  for (i = 0; i < n; i++) {
    plan_model(&p, &small, "\"n_head\":\"2\",\"position_embedding_type\":\"absolute\"", "F32");
    strcpy(name, p.e[i].name);
    remove_tensor(&p, i);
    expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", name, 0);
  }
  plan_model(&p, &small, small_metadata, "F32");             /* a whole layer */
  while (p.n > 0 && strstr(p.e[p.n - 1].name, "_backbone.h.") == NULL) p.n--;
  plan_model(&p, &small, small_metadata, "F32");
  for (i = p.n - 1; i >= 0; i--) if (strstr(p.e[i].name, "h.0.")) remove_tensor(&p, i);
  expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", "_backbone.h.0.ln_1.weight", 0);
  plan_model(&p, &small, small_metadata, "F32");
  for (i = p.n - 1; i >= 0; i--) if (strstr(p.e[i].name, "_backbone.h.")) remove_tensor(&p, i);
  expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", "_backbone.h.0.ln_1.weight", 0);
  p.n = 0;
  expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", "_read_in.weight", 0);
}

TEST(every_tensor_renamed)
{
  static const char *const forms[] = {"%sx", "x%s", "%s ", "_%s", "%s.", "model.%s", "modules.%s", "Module.%s", "_orig_mod%s", "%s.scale"};
  static plan p;
  int i, n = icl_tensor_count(&small);
  size_t k;
  for (i = 0; i < n; i++)
    for (k = 0; k < COUNT(forms); k++) {
      char name[100];
      plan_model(&p, &small, small_metadata, "F32");
      strcpy(name, p.e[i].name);
      snprintf(p.e[i].name, sizeof p.e[i].name, forms[k], name);
      if (k == COUNT(forms) - 1 && is_product(name))         /* a scale, of another rank */
        expect_tensor_error(&p, ICL_ERR_TENSOR, "wrong shape:", p.e[i].name, 1);
      else expect_tensor_error(&p, ICL_ERR_TENSOR, forms[k][0] == '%' ? "unknown tensor"
                               : "unknown prefix in the name of tensor", p.e[i].name, 1);
    }
}

TEST(names_that_are_nearly_right)
{
  static const char *const names[] = {
    "", " ", "_", "module.", "_orig_mod.", "_backbone.h.", "_backbone.h.0", "_backbone.h.0.", "_backbone.h..ln_1.weight",
    "_backbone.h.00.ln_1.weight", "_backbone.h.-1.ln_1.weight", "_backbone.h.+1.ln_1.weight", "_backbone.h.1x.ln_1.weight",
    "_backbone.h.1e0.ln_1.weight", "_backbone.h.2147483648.ln_1.weight", "_backbone.h.4294967296.ln_1.weight",
    "_backbone.h.18446744073709551616.ln_1.weight", "_backbone.h.0.ln_3.weight", "_backbone.h.0.attn.c_attn", "_backbone.ln_f.scale",
    "_backbone.wte.bias", "_backbone.wpe.bias", "_read_in", "_read_out.weights", "READ_IN.WEIGHT", "_backbone.h.0.attn.biass",
    "_backbone.h.0.ln_1.weight.scale", "_backbone.h.0.attn.c_attn.bias.scale", "_backbone.h.0.attn.bias.scale",
    "_backbone.h.0.attn.c_attn.scale", "_backbone.h.0.attn.c_attn.weight.scale.scale", "_backbone.h.0..scale",
    "_backbone.h.0.scale", "_backbone.h.0.attn.c_attn.weightscale", "_backbone.h.0.attn.c_attn.weight.scales",
    "attn.c_attn.weight.scale", ".scale",
    "_backbone.h.0.mlp.bias", "attn.bias", "_backbone.h.0.attn.masked_bias.", "__metadata", "__metadata___",
    "a name that is so long that it does not fit into the text of a report, which is cut at its end"
  };
  static plan p;
  size_t i;
  for (i = 0; i < COUNT(names); i++) {
    plan_model(&p, &small, small_metadata, "F32");
    plan_tensor(&p, names[i], "F32", 1, 1, 4);
    lay_out(&p);
    expect_tensor_error(&p, ICL_ERR_TENSOR, "unknown tensor", names[i], 1);
  }
}

TEST(layers_beyond_the_limit)
{
  static const char *const names[] = {"_backbone.h.512.ln_1.weight", "_backbone.h.2147483647.ln_1.weight", "_backbone.h.99999.attn.bias",
                                      "_backbone.h.512.attn.masked_bias"};
  static plan p;
  size_t i;
  for (i = 0; i < COUNT(names); i++) {
    plan_model(&p, &small, small_metadata, "F32");
    plan_tensor(&p, names[i], "F32", 1, 1, 4);
    lay_out(&p);
    expect_tensor_error(&p, ICL_ERR_LIMIT, "too many layers:", names[i], 1);
  }
  plan_model(&p, &small, small_metadata, "F32");             /* a gap: layers 2 to 510 are not there */
  plan_tensor(&p, "_backbone.h.511.ln_1.weight", "F32", 1, 1, 4);
  lay_out(&p);
  expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", "_backbone.h.2.ln_1.weight", 0);
}

TEST(every_tensor_twice)
{
  static plan p;
  int i, n = icl_tensor_count(&small), kind;
  for (i = 0; i < n; i++)
    for (kind = 0; kind < 3; kind++) {
      char first[100];
      plan_model(&p, &small, small_metadata, "F32");
      strcpy(first, p.e[i].name);
      p.e[p.n] = p.e[i];
      p.order[p.n] = p.n;
      if (kind) snprintf(p.e[p.n].name, sizeof p.e[i].name, kind == 1 ? "module.%s" : "_orig_mod.module.%s", first);
      p.n++;
      lay_out(&p);
      if (!kind) {                                            /* the second of the two is reported */
        trial t;
        char says[120];
        try_plan(&t, &p);
        snprintf(says, sizeof says, "there twice: '%s'", first);
        CHECK_EQ(t.code, ICL_ERR_TENSOR);
        CHECK_STR(t.r.text, says);
      } else {
        expect_tensor_error(&p, ICL_ERR_TENSOR, "there twice:", p.e[p.n - 1].name, 1);
      }
    }
}

/* Rows or columns more or fewer, another rank.  The three tensors that decide the configuration make some
 * other tensor, or the configuration, wrong. */
TEST(every_tensor_reshaped)
{
  static plan p;
  int i, n = icl_tensor_count(&small), kind;
  for (i = 0; i < n; i++)
    for (kind = 0; kind < 9; kind++) {
      icl_tensor x;
      entry *e;
      trial t;
      plan_model(&p, &small, "\"n_head\":\"2\",\"n_positions\":\"5\"", "F32");
      icl_tensor_at(&small, i, &x);
      e = &p.e[i];
      if (kind == 0) { snprintf(e->shape, 99, "%d", x.rows * x.cols + 1); e->bytes += 4; }
      if (kind == 1) snprintf(e->shape, 99, "1,%d,%d", x.rows, x.cols);
      if (kind == 2) snprintf(e->shape, 99, "%d,%d,1", x.rows, x.cols);
      if (kind == 3) snprintf(e->shape, 99, "%d,1,1,%d", x.rows, x.cols);
      if (kind == 4) { snprintf(e->shape, 99, "%d,%d", x.rows + 1, x.cols); e->bytes += 4 * (size_t)x.cols; }
      if (kind == 5) { snprintf(e->shape, 99, "%d,%d", x.rows, x.cols + 1); e->bytes += 4 * (size_t)x.rows; }
      if (kind == 6) { e->shape[0] = 0; e->bytes = 4; }
      if (kind == 7) snprintf(e->shape, 99, x.rank == 2 ? "%d" : "1,%d", x.rows * x.cols);
      if (kind == 8) {
        if (x.rows == x.cols || x.rank == 1) continue;
        snprintf(e->shape, 99, "%d,%d", x.cols, x.rows);
      }
      lay_out(&p);
      if (decides_the_config(e->name)) {
        try_plan(&t, &p);
        if (i == 0 && kind == 5) CHECK(t.code == ICL_OK && t.cfg.n_dims == 3);     /* one input more */
        else CHECK(t.code == ICL_ERR_TENSOR || t.code == ICL_ERR_CONFIG);
      } else {
        expect_tensor_error(&p, ICL_ERR_TENSOR, "wrong shape:", e->name, 1);
      }
    }
}

TEST(every_tensor_of_another_type)
{
  static const char *const types[] = {"F64", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"};
  static const char *const unknown[] = {"", "f32", "F32 ", " F32", "F33", "F", "F3", "F320", "FLOAT32", "float32", "bf16", "BF32", "F8",
                                        "I4", "torch.float32", "<f4", "F\\u0033\\u0032", "BFLOAT16", "I128", "NULL"};
  static plan p;
  int i, n = icl_tensor_count(&small);
  size_t k;
  for (i = 0; i < n; i++) {
    icl_tensor x;
    icl_tensor_at(&small, i, &x);
    for (k = 0; k < COUNT(types); k++) {
      plan_model(&p, &small, small_metadata, "F32");
      strcpy(p.e[i].dtype, types[k]);
      p.e[i].bytes = (size_t)x.rows * (size_t)x.cols * (strcmp(types[k], "BOOL") ? width_of(types[k]) : 1);
      lay_out(&p);
      if (!is_product(x.name))
        expect_tensor_error(&p, ICL_ERR_TENSOR, "dtype is not F32, F16 or BF16:", x.name, 1);
      else if (strcmp(types[k], "I8"))
        expect_tensor_error(&p, ICL_ERR_TENSOR, "dtype is not F32, F16, BF16 or I8:", x.name, 1);
      else {
        char scale[100];
        snprintf(scale, sizeof scale, "%s.scale", x.name);
        expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", scale, 0);
      }
    }
  }
  for (k = 0; k < COUNT(unknown); k++) {
    trial t;
    file f;
    char says[100];
    plan_model(&p, &small, small_metadata, "F32");
    memset(&f, 0, sizeof f);
    snprintf(p.e[3].dtype, sizeof p.e[3].dtype, "%s", unknown[k]);
    if (strlen(unknown[k]) >= sizeof p.e[3].dtype) continue;
    make_file(&p, &f);
    try_file(&t, &f);
    snprintf(says, sizeof says, "unknown dtype '%s'", unknown[k]);
    expect_error(&t, ICL_ERR_TENSOR, says, 8 + find_in(f.header.s, f.header.n, p.e[3].name) + strlen(p.e[3].name) + 12, unknown[k]);
    free_file(&f);
  }
}

TEST(prefixes)
{
  static const char *const prefixes[] = {"module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "module.module."};
  static plan p;
  trial whole = small_trial(), t;
  size_t k;
  int i, half;
  for (k = 0; k < COUNT(prefixes); k++)
    for (half = 1; half < 3; half++) {
      plan_model(&p, &small, small_metadata, "F32");
      for (i = 0; i < p.n; i += half) {
        char name[60];
        strcpy(name, p.e[i].name);
        snprintf(p.e[i].name, sizeof p.e[i].name, "%s%s", prefixes[k], name);
      }
      try_plan(&t, &p);
      expect_ok(&t, prefixes[k]);
      CHECK(alike(&t, &whole));
    }
}

/* What HF leaves behind, of any type and rank, changes nothing; but no name may come twice. */
TEST(buffers_are_skipped)
{
  static const char *const names[] = {"_backbone.wte.weight", "_backbone.h.0.attn.bias", "_backbone.h.1.attn.masked_bias",
                                      "module._backbone.h.1.attn.bias"};
  static const char *const types[] = {"F64", "F32", "F16", "BF16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"};
  static const char *const shapes[] = {"", "1", "3", "2,3", "1,1,8,8", "1,5,1"};
  static const int counts[] = {1, 1, 3, 6, 64, 5};
  static plan p;
  trial whole = small_trial(), t;
  size_t a, b, c;
  for (a = 0; a < COUNT(names); a++)
    for (b = 0; b < COUNT(types); b++)
      for (c = 0; c < COUNT(shapes); c++) {
        entry *e;
        plan_model(&p, &small, small_metadata, "F32");
        e = plan_tensor(&p, names[a], types[b], 1, 1, counts[c]);
        strcpy(e->shape, shapes[c]);
        e->bytes = (size_t)counts[c] * (strcmp(types[b], "BOOL") ? width_of(types[b]) : 1);
        lay_out(&p);
        try_plan(&t, &p);
        expect_ok(&t, names[a]);
        CHECK(alike(&t, &whole));
      }
  for (a = 0; a < COUNT(names); a++) {
    plan_model(&p, &small, small_metadata, "F32");
    plan_tensor(&p, names[a], "U8", 1, 1, 1);
    plan_tensor(&p, names[a], "U8", 1, 1, 1);
    lay_out(&p);
    try_plan(&t, &p);
    CHECK_EQ(t.code, ICL_ERR_TENSOR);
    if (t.code) CHECK(strstr(t.r.text, "there twice: '") == t.r.text);
  }
}

static void shuffle(int *order, int n)
{
  int i;
  for (i = n - 1; i > 0; i--) {
    int k = draw_below(i + 1), tmp = order[i];
    order[i] = order[k];
    order[k] = tmp;
  }
}

/* Lays the tensors out in a random order. */
static void shuffle_data(plan *p)
{
  int order[MAX_ENTRIES], i;
  uint64_t at = 0;
  for (i = 0; i < p->n; i++) order[i] = i;
  shuffle(order, p->n);
  for (i = 0; i < p->n; i++) {
    entry *e = &p->e[order[i]];
    e->begin = at;
    e->end = at += e->bytes;
  }
}

TEST(any_order)
{
  static plan p;
  trial whole = small_trial(), t;
  int k;
  for (k = 0; k < 200; k++) {
    uint32_t keep = seed = (uint32_t)k * 77 + 1;
    plan_model(&p, &small, small_metadata, "F32");
    seed = keep;
    shuffle(p.order, p.n);
    if (k & 1) shuffle_data(&p);
    p.metadata_at = draw_below(p.n + 1);
    try_plan(&t, &p);
    expect_ok(&t, "order");
    CHECK(alike(&t, &whole));
  }
}

/* The values of make_data are exact in all three types. */
TEST(any_mix_of_types)
{
  static const char *const types[] = {"F32", "F16", "BF16"};
  static plan p;
  trial whole = small_trial(), t;
  int k, i;
  for (k = 0; k < 200; k++) {
    plan_model(&p, &small, small_metadata, "F32");
    seed = (uint32_t)k * 977 + 5;
    for (i = 0; i < p.n; i++) {
      size_t floats = p.e[i].bytes / 4;
      strcpy(p.e[i].dtype, types[k < 3 ? k : draw_below(3)]);
      p.e[i].bytes = floats * width_of(p.e[i].dtype);
    }
    shuffle_data(&p);
    shuffle(p.order, p.n);
    try_plan(&t, &p);
    expect_ok(&t, "types");
    CHECK(alike(&t, &whole));
  }
}

/* ----- I8 ------------------------------------------------------------------------------------------ */

/* Weight [i][j] is byte times scale [j], -128 too; and the model answers like the one in F32 that has those
 * numbers. */
TEST(bytes_times_scales)
{
  static plan p;
  static float params[2000];
  static unsigned char mem[1 << 16];
  file f;
  trial t, other;
  icl_model m;
  size_t n, at = 0, k;
  void *block, *copy;
  unsigned char *q;
  int i;
  memset(&f, 0, sizeof f);
  plan_i8(&p, &small, small_metadata);
  make_file(&p, &f);
  f.data[p.e[find_tensor(&p, "_backbone.h.1.mlp.c_proj.weight")].begin] = 0x80;
  try_file(&t, &f);
  expect_ok(&t, "I8");
  n = 8 + f.header.n + f.n_data;
  q = block_of(n, 0, &block);
  icl__put_le(q, f.header.n, 8);
  memcpy(q + 8, f.header.s, f.header.n);
  memcpy(q + 8 + f.header.n, f.data, f.n_data);
  CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, NULL), ICL_OK);
  CHECK_EQ(icl_model_storage(&m), ICL_STORE_I8);
  CHECK_EQ(icl_model_params(&m, params), ICL_OK);
  for (i = 0; i < icl_tensor_count(&small); at += p.e[i].bytes / width_of(p.e[i].dtype), i++) {
    char name[120];
    icl_tensor x;
    icl_tensor_at(&small, i, &x);
    if (!is_product(x.name)) continue;
    snprintf(name, sizeof name, "%s.scale", x.name);
    for (k = 0; k < p.e[i].bytes; k++) {
      const unsigned char *scale = f.data + p.e[find_tensor(&p, name)].begin + k % (size_t)x.cols * 4;
      int byte = f.data[p.e[i].begin + k];
      CHECK(params[at + k] == (float)(byte < 128 ? byte : byte - 256) * icl__decode(scale, ICL__F32));
    }
  }
  k = icl_write_bytes(&small, NULL);
  free(block);
  q = block_of(k, 0, &copy);
  CHECK_EQ(icl_write(q, k, &small, params, NULL), ICL_OK);
  try_at(&other, q, k);
  CHECK(alike(&t, &other));
  free(copy);
  free_file(&f);
}

TEST(bytes_in_any_order)
{
  static plan p;
  trial whole, t;
  int k;
  plan_i8(&p, &small, small_metadata);
  try_plan(&whole, &p);
  for (k = 0; k < 100; k++) {
    plan_i8(&p, &small, small_metadata);
    seed = (uint32_t)k * 77 + 1;
    shuffle(p.order, p.n);
    if (k & 1) shuffle_data(&p);
    if (k % 3 == 0) {
      char name[60];
      strcpy(name, p.e[p.n - 1].name);
      snprintf(p.e[p.n - 1].name, sizeof p.e[0].name, "module.%s", name);
    }
    p.metadata_at = draw_below(p.n + 1);
    try_plan(&t, &p);
    expect_ok(&t, "order");
    CHECK(alike(&t, &whole));
  }
}

/* Each scale missing, there twice, without its I8, of another type or shape. */
TEST(scales_that_do_not_fit)
{
  static const char *const types[] = {"F16", "BF16", "F64", "I8", "U8", "I32"};
  static plan p;
  int i, n = icl_tensor_count(&small), all;
  size_t k;
  plan_i8(&p, &small, small_metadata);
  for (i = n, all = p.n; i < all; i++) {
    char name[90], weight[90];
    entry *e;
    icl_tensor x;
    plan_i8(&p, &small, small_metadata);
    strcpy(name, p.e[i].name);
    remove_tensor(&p, i);
    expect_tensor_error(&p, ICL_ERR_TENSOR, "missing tensor", name, 0);

    plan_i8(&p, &small, small_metadata);
    p.e[p.n] = p.e[i];
    snprintf(p.e[p.n].name, sizeof p.e[0].name, "module.%s", name);
    p.order[p.n] = p.n;
    p.n++;
    lay_out(&p);
    expect_tensor_error(&p, ICL_ERR_TENSOR, "there twice:", p.e[p.n - 1].name, 1);

    for (k = 0; k < 3; k++) {                                 /* the weight is not I8 */
      plan_i8(&p, &small, small_metadata);
      strcpy(weight, name);
      weight[strlen(name) - 6] = 0;
      e = &p.e[find_tensor(&p, weight)];
      strcpy(e->dtype, k == 0 ? "F32" : k == 1 ? "F16" : "BF16");
      e->bytes *= width_of(e->dtype);
      lay_out(&p);
      expect_tensor_error(&p, ICL_ERR_TENSOR, "no I8 tensor goes with", name, 0);
    }
    for (k = 0; k < COUNT(types); k++) {
      plan_i8(&p, &small, small_metadata);
      p.e[i].bytes = p.e[i].bytes / 4 * width_of(types[k]);
      strcpy(p.e[i].dtype, types[k]);
      lay_out(&p);
      expect_tensor_error(&p, ICL_ERR_TENSOR, "dtype is not F32:", name, 1);
    }
    for (k = 0; k < 6; k++) {
      plan_i8(&p, &small, small_metadata);
      CHECK_EQ(icl_tensor_at(&small, find_tensor(&p, weight), &x), ICL_OK);
      e = &p.e[i];
      if (k == 0) { snprintf(e->shape, 99, "%d", x.cols + 1); e->bytes += 4; }
      if (k == 1 && x.cols > 1) { snprintf(e->shape, 99, "%d", x.cols - 1); e->bytes -= 4; }
      if (k == 2) snprintf(e->shape, 99, "1,%d", x.cols);
      if (k == 3) snprintf(e->shape, 99, "%d,1", x.cols);
      if (k == 4) { snprintf(e->shape, 99, "%d,%d", x.rows, x.cols); e->bytes *= (size_t)x.rows; }
      if (k == 5) { e->shape[0] = 0; e->bytes = 4; }
      lay_out(&p);
      expect_tensor_error(&p, ICL_ERR_TENSOR, "wrong shape:", name, 1);
    }
  }
}

/* First and last of every tensor of scales. */
TEST(values_of_scales)
{
  static const struct { uint32_t u; icl_error code; } values[] = {
    {0x7fc00000u, ICL_ERR_NONFINITE}, {0xff800001u, ICL_ERR_NONFINITE}, {0x7f800000u, ICL_ERR_NONFINITE},
    {0xff800000u, ICL_ERR_NONFINITE}, {0, ICL_ERR_FORMAT}, {0x80000000u, ICL_ERR_FORMAT}, {0x80000001u, ICL_ERR_FORMAT},
    {0xbf800000u, ICL_ERR_FORMAT}, {0x7b800001u, ICL_ERR_FORMAT}, {0x7f7fffffu, ICL_ERR_FORMAT},
    {1, ICL_OK}, {0x00800000u, ICL_OK}, {0x3f800000u, ICL_OK}, {0x7b800000u, ICL_OK}
  };
  static unsigned char mem[1 << 14];
  static plan p;
  file f;
  int i, last;
  size_t k;
  memset(&f, 0, sizeof f);
  plan_i8(&p, &small, small_metadata);
  make_file(&p, &f);
  for (i = icl_tensor_count(&small); i < p.n; i++)
    for (last = 0; last < 2; last++)
      for (k = 0; k < COUNT(values); k++) {
        size_t at = (size_t)(last ? p.e[i].end - 4 : p.e[i].begin), n = 8 + f.header.n + f.n_data;
        char says[120];
        void *block;
        unsigned char *q = block_of(n, 0, &block);
        icl_model m;
        icl_report r;
        icl__put_le(q, f.header.n, 8);
        memcpy(q + 8, f.header.s, f.header.n);
        memcpy(q + 8 + f.header.n, f.data, f.n_data);
        icl__put_le(q + 8 + f.header.n + at, values[k].u, 4);
        CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, &r), values[k].code);
        snprintf(says, sizeof says, "%s '%s'", values[k].code == ICL_ERR_NONFINITE ? "NaN or infinity in"
                 : "not above 0, or above 2^120, in", p.e[i].name);
        if (values[k].code) {
          CHECK_STR(r.text, says);
          CHECK_EQ(r.offset, 8 + f.header.n + at);
        }
        free(block);
      }
  free_file(&f);
}

/* ----- sizes and offsets --------------------------------------------------------------------------- */

/* A model of 12 layers: more tensors than fit into two walks of the check. */
static void large_plan(plan *p)
{
  static const icl_config cfg = {1, 2, 1, 12, 9, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  plan_model(p, &cfg, "\"n_head\":\"1\",\"activation_function\":\"relu\",\"position_embedding_type\":\"none\",\"n_positions\":\"9\"", "F32");
}

static int by_begin(const void *a, const void *b)
{
  const entry *x = *(const entry *const *)a, *y = *(const entry *const *)b;
  return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* Whether the ranges tile 0..size, by sorting them. */
static int tiles(const plan *p, uint64_t size)
{
  const entry *sorted[MAX_ENTRIES];
  uint64_t at = 0;
  int i;
  for (i = 0; i < p->n; i++) sorted[i] = &p->e[i];
  qsort(sorted, (size_t)p->n, sizeof *sorted, by_begin);
  for (i = 0; i < p->n; at = sorted[i++]->end) if (sorted[i]->begin != at) return 0;
  return at == size;
}

static void try_tiling(const plan *p, size_t size)
{
  trial t;
  file f;
  memset(&f, 0, sizeof f);
  make_header(p, &f.header);
  f.n_data = size;
  f.data = (unsigned char *)calloc(1, size + 1);
  try_file(&t, &f);
  if (tiles(p, size)) expect_ok(&t, "a tiling");
  else {
    CHECK_EQ(t.code, ICL_ERR_FORMAT);
    CHECK(strstr(t.r.text, "hole before tensor") || strstr(t.r.text, "overlapping tensor")
          || strstr(t.r.text, "the data end too early") || strstr(t.r.text, "bytes after the data"));
  }
  free_file(&f);
}

static void order_header(plan *p, int kind)
{
  int i;
  for (i = 0; i < p->n; i++) p->order[i] = kind == 1 ? p->n - 1 - i : i;
  if (kind == 2) shuffle(p->order, p->n);
}

/* One tensor lies on another one, and the rest close up, so that there is no hole. */
TEST(a_range_twice)
{
  static plan p;
  int i, j, kind, k;
  for (kind = 0; kind < 3; kind++)
    for (large_plan(&p), i = 0; i < p.n; i += EVERY * (kind ? 2 : 3))
      for (j = i % 7; j < i; j += 29) {
        uint64_t at = 0;
        large_plan(&p);
        seed = (uint32_t)(i * 1000 + j);
        order_header(&p, kind);
        for (k = 0; k < p.n; k++) {
          p.e[k].begin = k == i ? p.e[j].begin : at;
          p.e[k].end = p.e[k].begin + p.e[k].bytes;
          if (k != i) at = p.e[k].end;
        }
        try_tiling(&p, (size_t)(p.e[i].end > at ? p.e[i].end : at));
      }
}

/* Two tensors in one place, the first of them number k of the data and the second behind all, for k
 * around every edge of a walk; the data are cut or filled up so that their size fits. */
TEST(ties_at_the_edges_of_walks)
{
  static plan p;
  int k, kind, i;
  for (k = 0; k < 150; k += EVERY)
    for (kind = 0; kind < 3; kind++) {
      uint64_t at = 0;
      trial t;
      file f;
      char says[200];
      memset(&f, 0, sizeof f);
      large_plan(&p);
      for (i = 0; i < 24; i++) {
        char name[60];
        snprintf(name, sizeof name, "_backbone.h.%d.attn.%s", i / 2, i % 2 ? "bias" : "masked_bias");
        plan_tensor(&p, name, "U8", 1, 1, 4);
      }
      for (i = 0; i < p.n; i++) {                           /* all of one size but for these */
        p.e[i].begin = at;
        p.e[i].end = at += p.e[i].bytes;
      }
      i = p.n - 1;                                         /* the last one goes on top of number k */
      if (k >= i || p.e[k].bytes < p.e[i].bytes) continue;
      p.e[i].begin = p.e[k].begin;
      p.e[i].end = p.e[i].begin + p.e[i].bytes;
      seed = (uint32_t)k;
      order_header(&p, kind);
      make_header(&p, &f.header);
      f.n_data = (size_t)p.e[i - 1].end;
      f.data = (unsigned char *)calloc(1, f.n_data);
      try_file(&t, &f);
      CHECK_EQ(t.code, ICL_ERR_FORMAT);
      CHECK(strstr(t.r.text, "overlapping tensor '") == t.r.text);
      snprintf(says, sizeof says, "overlapping tensor '%s'", p.e[k].name);
      if (strcmp(t.r.text, says)) snprintf(says, sizeof says, "overlapping tensor '%s'", p.e[i].name);
      if (strcmp(t.r.text, says)) snprintf(says, sizeof says, "overlapping tensor '%s'", p.e[k + 1].name);
      CHECK_STR(t.r.text, says);
      free_file(&f);
    }
}

/* One range moved by some bytes, or set anywhere, in a file of many tensors. */
TEST(ranges_moved)
{
  static plan p;
  int trial_no, i;
  for (trial_no = 0; trial_no < 600; trial_no += EVERY) {
    uint64_t size;
    uint32_t keep = (uint32_t)trial_no * 7919 + 3;
    large_plan(&p);
    seed = keep;
    if (trial_no & 1) shuffle_data(&p);
    order_header(&p, trial_no % 3);
    for (size = 0, i = 0; i < p.n; i++) size += p.e[i].bytes;
    i = draw_below(p.n);
    if (trial_no % 4 == 0) p.e[i].begin += (uint64_t)(draw_below(9) - 4);
    else if (trial_no % 4 == 1) p.e[i].begin = (uint64_t)draw_below((int)size);
    else if (trial_no % 4 == 2) p.e[i].begin = p.e[draw_below(p.n)].begin;
    if ((int64_t)p.e[i].begin < 0) p.e[i].begin = 0;
    p.e[i].end = p.e[i].begin + p.e[i].bytes;
    try_tiling(&p, (size_t)size);
    if (trial_no % 50 == 0) try_tiling(&p, (size_t)size + 1);
    if (trial_no % 50 == 1) try_tiling(&p, (size_t)size - 1);
  }
}

/* Exactly 64, 65, 128, 129, 192 tensors and so on: the walks' edges.  Buffers make up the numbers. */
TEST(counts_of_tensors)
{
  static plan p;
  int more, n, i;
  for (n = 60; n < 200; n++) {
    static const icl_config cfg = {1, 2, 1, 3, 9, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
    uint64_t size = 0;
    plan_model(&p, &cfg, "\"n_head\":\"1\",\"position_embedding_type\":\"none\",\"n_positions\":\"9\"", "F32");
    if (n > p.n + 7) { large_plan(&p); }
    if (n < p.n || n > p.n + 25) continue;
    for (more = 0; p.n < n; more++) {
      char name[60];
      snprintf(name, sizeof name, more % 2 ? "_backbone.h.%d.attn.masked_bias" : "_backbone.h.%d.attn.bias", more / 2);
      if (more == 24 || (p.cfg.n_layer == 3 && more == 6)) strcpy(name, "_backbone.wte.weight");
      plan_tensor(&p, name, "U8", 1, 1, 1 + more);
    }
    lay_out(&p);
    for (i = 0; i < p.n; i++) size += p.e[i].bytes;
    order_header(&p, n % 3);
    try_tiling(&p, (size_t)size);
    p.e[p.n - 1].begin--;
    p.e[p.n - 1].end--;
    try_tiling(&p, (size_t)size);
    try_tiling(&p, (size_t)size - 1);
  }
}

TEST(exact_length)
{
  trial t;
  file f;
  size_t n;
  small_file(&f);
  n = f.n_data;
  f.data = (unsigned char *)realloc(f.data, n + 8);
  memset(f.data + n, 0, 8);
  f.n_data = n + 1;
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "bytes after the data", 8 + f.header.n + n + 1, "one more");
  f.n_data = n + 8;
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "bytes after the data", 8 + f.header.n + n + 8, "eight more");
  f.n_data = n - 1;
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_FORMAT, "the data end too early", 8 + f.header.n + n - 1, "one less");
  free_file(&f);
}

/* Products that wrap, sizes at the edges of every integer type, with offsets that go along where they can. */
TEST(sizes_that_overflow)
{
  static const uint64_t edges[] = {0, 1, 2, 1u << 16, (1u << 16) + 1, 0x7fffffffu, 0x80000000u, 0xffffffffu, (uint64_t)1 << 32,
    ((uint64_t)1 << 32) + 1, (uint64_t)1 << 53, (uint64_t)1 << 62, ((uint64_t)1 << 63) - 1, (uint64_t)1 << 63, UINT64_MAX};
  static const char *const names[] = {"_read_in.weight", "_read_in.bias", "_backbone.wpe.weight", "_backbone.h.1.attn.c_attn.weight",
                                      "_backbone.h.0.ln_1.weight", "_read_out.weight", "_backbone.wte.weight"};
  static plan p;
  size_t n, a, b;
  int i, kind, at = 0;
  for (n = 0; n < COUNT(names); n++)
    for (a = 0; a < COUNT(edges); a++)
      for (b = 0; b < COUNT(edges); b++)
        for (kind = 0; kind < 4; kind++) {
          uint64_t bytes = edges[a] * edges[b] * 4;
          trial t;
          if (at++ % EVERY) continue;
          plan_model(&p, &small, small_metadata, "F32");
          if (n == 6) plan_tensor(&p, names[n], "F32", 1, 1, 4);
          lay_out(&p);
          for (i = 0; strcmp(p.e[i].name, names[n]); i++) {}
          snprintf(p.e[i].shape, 99, kind & 1 ? "%llu,%llu,1" : "%llu,%llu", (unsigned long long)edges[a], (unsigned long long)edges[b]);
          if (kind & 2) p.e[i].end = p.e[i].begin + bytes;
          try_plan(&t, &p);
          if (n == 6 && a < 3 && b < 3) continue;                  /* a buffer may have that shape */
          CHECK(t.code == ICL_ERR_FORMAT || t.code == ICL_ERR_TENSOR || t.code == ICL_ERR_LIMIT || t.code == ICL_ERR_CONFIG);
        }
}

/* A dimension of nought, in any place, is impossible; so is a product beyond 64 bits. */
TEST(impossible_shapes)
{
  static const char *const shapes[] = {"0", "0,4", "4,0", "0,0", "1,0,1", "4294967296,4294967296", "9007199254740992,9007199254740992",
    "2,4611686018427387904", "9007199254740992,2048,1", "65536,65536,65536,65536"};
  static plan p;
  size_t i;
  for (i = 0; i < COUNT(shapes); i++) {
    plan_model(&p, &small, small_metadata, "F32");
    strcpy(p.e[0].shape, shapes[i]);
    if (i == 7) continue;                              /* the number is beyond 2^53 */
    expect_tensor_error(&p, ICL_ERR_TENSOR, "impossible shape of", "_read_in.weight", 1);
    p.e[0].end = 0;
    expect_tensor_error(&p, ICL_ERR_TENSOR, "impossible shape of", "_read_in.weight", 1);
  }
}

TEST(limits_of_the_configuration)
{
  static plan p;
  trial t;
  static const struct { int i; const char *shape; uint64_t bytes; } big[] = {
    {0, "4,65537", 4 * 65537 * 4}, {0, "16777217,2", 16777217ull * 8}, {2, "16777217,4", 16777217ull * 16}, {2, "5,65537", 5 * 65537 * 4}
  };
  size_t k;
  for (k = 0; k < COUNT(big); k++) {
    plan_model(&p, &small, small_metadata, "F32");
    strcpy(p.e[big[k].i].shape, big[k].shape);
    p.e[big[k].i].end = p.e[big[k].i].begin + big[k].bytes;
    expect_tensor_error(&p, ICL_ERR_LIMIT, "too large:", p.e[big[k].i].name, 1);
  }
  plan_model(&p, &small, small_metadata, "F32");
  strcpy(p.e[0].shape, "65537,2");
  p.e[0].end = 65537 * 8;
  try_plan(&t, &p);
  CHECK_EQ(t.code, ICL_ERR_LIMIT);
}

/* ----- header length -------------------------------------------------------------------------------- */

TEST(header_lengths_that_lie)
{
  static const uint64_t lies[] = {0, 1, 2, 7, 8, 1u << 20, (1u << 20) + 1, 0x7fffffffu, 0x80000000u, 0xffffffffu, (uint64_t)1 << 32,
    ((uint64_t)1 << 63) - 1, (uint64_t)1 << 63, UINT64_MAX - 8, UINT64_MAX - 7, UINT64_MAX};
  static const size_t sizes[] = {8, 9, 16, 100, 3000};
  size_t i, k;
  for (i = 0; i < COUNT(lies); i++)
    for (k = 0; k < COUNT(sizes); k++) {
      void *block;
      unsigned char *p = block_of(sizes[k], 0, &block);
      trial t;
      memset(p, '{', sizes[k]);
      icl__put_le(p, lies[i], 8);
      try_at(&t, p, sizes[k]);
      if (lies[i] < 2) expect_error(&t, ICL_ERR_FORMAT, "header length below 2", 0, "lie");
      else if (lies[i] > 1u << 20) expect_error(&t, ICL_ERR_LIMIT, "not a safetensors file: header longer than 1 MiB", 0, "lie");
      else if (lies[i] > sizes[k] - 8) expect_error(&t, ICL_ERR_FORMAT, "header longer than the file", 0, "lie");
      else CHECK_EQ(t.code, ICL_ERR_FORMAT);
      free(block);
    }
  for (i = 0; i < 8; i++) {
    void *block;
    unsigned char *p = block_of(i, 0, &block);
    trial t;
    memset(p, 2, i);
    try_at(&t, p, i);
    expect_error(&t, ICL_ERR_FORMAT, "shorter than 8 bytes", 0, "short");
    free(block);
  }
}

/* The true length give or take some bytes. */
/* What people have in place of a checkpoint is called by its name. */
TEST(other_kinds_of_files)
{
  static const struct { const char *bytes; size_t n; const char *says; } kinds[] = {
    {"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", 70,
     "not a safetensors file but a git-lfs pointer to one: fetch it with git lfs pull"},
    {"PK\3\4\0\0\x08\x08\0\0", 10, "not a safetensors file but a zip file, as torch.save writes them"},
    {"\x80\2}q\0(X\x0f\0\0", 10, "not a safetensors file but a pickle, as torch.save writes them"},
    {"<!DOCTYPE html>", 15, "not a safetensors file but HTML or XML, as a failed download leaves"},
    {"<html>\n<head>", 13, "not a safetensors file but HTML or XML, as a failed download leaves"},
    {"GGUF\3\0\0\0\1\0", 10, "not a safetensors file but a GGUF file"},
    {"versions ", 9, "not a safetensors file: header longer than 1 MiB"},
    {"{\"__metadata__\"", 15, "not a safetensors file: header longer than 1 MiB"}
  };
  size_t i;
  for (i = 0; i < COUNT(kinds); i++) {
    void *block;
    unsigned char *p = block_of(kinds[i].n, 0, &block);
    trial t;
    memcpy(p, kinds[i].bytes, kinds[i].n);
    try_at(&t, p, kinds[i].n);
    expect_error(&t, ICL_ERR_LIMIT, kinds[i].says, 0, kinds[i].bytes);
    free(block);
  }
}

TEST(header_lengths_slightly_off)
{
  file f;
  int off;
  small_file(&f);
  for (off = -20; off <= 20; off++) {
    size_t n = 8 + f.header.n + f.n_data;
    void *block;
    unsigned char *p = block_of(n, 0, &block);
    trial t;
    icl__put_le(p, (uint64_t)((int64_t)f.header.n + off), 8);
    memcpy(p + 8, f.header.s, f.header.n);
    memcpy(p + 8 + f.header.n, f.data, f.n_data);
    try_at(&t, p, n);
    CHECK_EQ(t.code, off ? ICL_ERR_FORMAT : ICL_OK);
    free(block);
  }
  free_file(&f);
}

TEST(longest_header)
{
  trial t, whole = small_trial();
  file f;
  small_file(&f);
  while (f.header.n < 1u << 20) add_bytes(&f.header, " ", 1);
  try_file(&t, &f);
  expect_ok(&t, "1 MiB");
  CHECK(alike(&t, &whole));
  add_bytes(&f.header, " ", 1);
  try_file(&t, &f);
  expect_error(&t, ICL_ERR_LIMIT, "not a safetensors file: header longer than 1 MiB", 0, "1 MiB and 1");
  free_file(&f);
}

/* Seconds that it takes to refuse a header. */
static double seconds_for(const text *header, size_t n_data, icl_error *code)
{
  size_t n = 8 + header->n + n_data;
  void *block;
  unsigned char *p = block_of(n, 0, &block);
  clock_t start;
  double s;
  icl__put_le(p, header->n, 8);
  memcpy(p + 8, header->s, header->n);
  memset(p + 8 + header->n, 0, n_data);
  start = clock();
  walks = 0;
  *code = icl_inspect(p, n, NULL, NULL, NULL);
  s = (double)(clock() - start) / CLOCKS_PER_SEC;
  free(block);
  return s;
}

/* 1 MiB of what deepens or repeats: a fixed depth, no recursion, and hardly any time. */
TEST(headers_that_are_hard_work)
{
  static const char *const units[] = {"{\"a\":", "[", "{", "{\"__metadata__\":{", "{\"__metadata__\":{\"a\":\"", "{\"", "{\"a\":[",
                                      "{\"_backbone.wte.weight\":{\"shape\":[", "{\"_backbone.wte.weight\":{\"shape\":[[", "\\", "{\"\\u0041", " "};
  size_t i;
  icl_error code;
  for (i = 0; i < COUNT(units); i++) {
    text t = {NULL, 0, 0};
    double s;
    while (t.n + strlen(units[i]) <= 1u << 20) add_bytes(&t, units[i], strlen(units[i]));
    s = seconds_for(&t, 0, &code);
    CHECK_EQ(code, ICL_ERR_FORMAT);
    if (s > 0.5) printf("%s: 1 MiB of %s took %.3f s\n", test_name, units[i], s);
    CHECK(s <= 0.5);
    free(t.s);
  }
}

/* The same buffer over and over, backwards: thousands of ranges, 64 a walk, if repetition were allowed. */
TEST(many_tensors_are_not_quadratic)
{
  text t = {NULL, 0, 0};
  icl_error code;
  double s;
  int n = 13500, i;
  addf(&t, "{\"__metadata__\":{\"n_head\":\"2\"}");
  for (i = n; i-- > 0;)
    addf(&t, ",\"_backbone.wte.weight\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[%d,%d]}", i, i + 1);
  {
    static plan p;
    uint64_t at = (uint64_t)n;
    plan_model(&p, &small, "-", "F32");
    for (i = 0; i < p.n; i++) {
      addf(&t, ",");
      p.e[i].begin = at;
      p.e[i].end = at += p.e[i].bytes;
      put_entry(&t, &p.e[i]);
    }
    addf(&t, "}");
    CHECK(t.n <= 1u << 20);
    s = seconds_for(&t, (size_t)at, &code);
  }
  if (s > 0.5) printf("%s: %d tensors took %.3f s\n", test_name, n, s);
  CHECK(s <= 0.5);
  CHECK_EQ(walks, 2);
  CHECK_EQ(code, ICL_ERR_TENSOR);
  free(t.s);
}

/* The largest file that loads in earnest: 512 layers, 6148 tensors, backwards. */
TEST(the_deepest_model)
{
  icl_config cfg = {1, 1, 1, 512, 3, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  text t = {NULL, 0, 0};
  icl_error code;
  double s;
  int i;
  size_t floats = icl_param_count(&cfg), at = floats;
  addf(&t, "{\"__metadata__\":{\"n_head\":\"1\",\"position_embedding_type\":\"none\",\"n_positions\":\"3\"}");
  for (i = icl_tensor_count(&cfg); i-- > 0;) {
    icl_tensor x;
    char shape[30];
    size_t n;
    icl_tensor_at(&cfg, i, &x);
    n = (size_t)x.rows * (size_t)x.cols;
    at -= n;
    snprintf(shape, sizeof shape, x.rank == 2 ? "%d,%d" : "%d", x.rank == 2 ? x.rows : x.cols, x.cols);
    addf(&t, ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%lu,%lu]}", x.name, shape, (unsigned long)(4 * at),
         (unsigned long)(4 * (at + n)));
  }
  addf(&t, "}");
  s = seconds_for(&t, 4 * floats, &code);
  CHECK_EQ(code, ICL_OK);
  if (s > 5) printf("%s: took %.3f s\n", test_name, s);          /* 0.2 s, and in an emulator 2 s */
  CHECK(s <= 5);
  CHECK_EQ(walks, 4);
  free(t.s);
}

/* All the tensors that a header can have: 512 layers in I8, with scales and buffers, 9,223 of them, and
 * a key of escapes that fills it up to 1 MiB.  order: 0 as in the data, 1 backwards, 2 every second
 * one and then the others, 3 shuffled. */
typedef struct small_entry { char name[50], shape[16], dtype[4]; uint32_t begin, end; } small_entry;

static void add_small_entry(small_entry *e, int *n, const char *name, const char *suffix, const char *dtype, int rank, uint32_t *at)
{
  snprintf(e[*n].name, sizeof e[*n].name, "%s%s", name, suffix);
  strcpy(e[*n].dtype, dtype);
  strcpy(e[*n].shape, rank == 1 ? "1" : "1,1");
  if (strstr(name, "c_attn") || strstr(name, "c_fc") || strstr(name, "mlp.c_proj.w")) {
    int q = strstr(name, "c_attn") ? 3 : 4, rows = strstr(name, "mlp.c_proj.w") != NULL;
    if (rows && !*suffix) snprintf(e[*n].shape, sizeof e[*n].shape, "%d,1", q);
    else if (rows) strcpy(e[*n].shape, "1");
    else snprintf(e[*n].shape, sizeof e[*n].shape, rank == 1 ? "%d" : "1,%d", q);
    e[*n].end = *at + (rows && *suffix ? 1 : (uint32_t)q) * (dtype[0] == 'F' ? 4u : 1u);
  } else {
    e[*n].end = *at + (dtype[0] == 'F' ? 4u : 1u);
  }
  e[*n].begin = *at;
  *at = e[(*n)++].end;
}

static void hardest_header(text *t, int order, size_t *n_data)
{
  static const icl_config cfg = {1, 1, 1, 512, 3, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  static small_entry e[9300];
  static int at[9300];
  uint32_t end = 0;
  int i, k, n = 0, l;
  for (i = 0; i < icl_tensor_count(&cfg); i++) {
    icl_tensor x;
    icl_tensor_at(&cfg, i, &x);
    add_small_entry(e, &n, x.name, "", is_product(x.name) ? "I8" : "F32", x.rank, &end);
    if (is_product(x.name)) add_small_entry(e, &n, x.name, ".scale", "F32", 1, &end);
  }
  for (l = 0; l < 512; l++) {
    char name[50];
    snprintf(name, sizeof name, "_backbone.h.%d.attn.", l);
    add_small_entry(e, &n, name, "bias", "U8", 1, &end);
    add_small_entry(e, &n, name, "masked_bias", "U8", 1, &end);
  }
  add_small_entry(e, &n, "_backbone.wte.weight", "", "U8", 1, &end);
  for (i = 0; i < n; i++) at[i] = order == 1 ? n - 1 - i : order == 2 ? (2 * i < n ? 2 * i : 2 * (i - (n + 1) / 2) + 1) : i;
  for (i = n; order == 3 && i-- > 1;) { int j = draw_below(i + 1), old = at[i]; at[i] = at[j]; at[j] = old; }
  addf(t, "{");
  for (k = 0; k < n; k++) {
    const small_entry *x = &e[at[k]];
    addf(t, "\"%s\":{\"dtype\":\"%s\",\"shape\":[%s],\"data_offsets\":[%u,%u]},", x->name, x->dtype, x->shape, (unsigned)x->begin,
         (unsigned)x->end);
  }
  addf(t, "\"__metadata__\":{\"n_head\":\"1\",\"position_embedding_type\":\"none\",\"n_positions\":\"3\",\"x\":\"");
  while (t->n + 9 < 1u << 20) addf(t, "\\u00e9");
  addf(t, "\"}}");
  CHECK(t->n <= 1u << 20);
  CHECK_EQ(n, 6150 + 4 * 512 + 2 * 512 + 1);
  *n_data = end;
}

TEST(walks_are_few)
{
  static const int most[] = {4, 4, 46, 32};    /* of icl_inspect; others take one more */
  int order;
  for (order = 0; order < 4; order++) {
    text t = {NULL, 0, 0};
    size_t n_data, n, i, need;
    void *block;
    unsigned char *p, *mem;
    icl_model m;
    icl_report r;
    seed = 5;
    hardest_header(&t, order, &n_data);
    n = 8 + t.n + n_data;
    p = block_of(n, 0, &block);
    icl__put_le(p, t.n, 8);
    memcpy(p + 8, t.s, t.n);
    for (i = 0; i < n_data; i++) p[8 + t.n + i] = i % 4 == 3 ? 0x3f : 0x11;
    walks = 0;
    CHECK_EQ(icl_inspect(p, n, NULL, &need, &r), ICL_OK);
    CHECK_STR(r.text, "");
    CHECK(walks > 0 && walks <= most[order]);
    mem = (unsigned char *)malloc(need);
    walks = 0;
    CHECK_EQ(icl_model_init(&m, p, n, mem, need, NULL), ICL_OK);
    CHECK(walks > 0 && walks <= most[order] + 1);
#if HAVE_POSIX
    {
      char path[] = "/tmp/icl_walks_XXXXXX";
      FILE *out = fdopen(mkstemp(path), "wb");
      icl_model *loaded = NULL;
      fwrite(p, 1, n, out);
      fclose(out);
      walks = 0;
      files_opened = 0;
      CHECK_EQ(icl_load(&loaded, path, NULL), ICL_OK);
      CHECK_EQ(files_opened, 1);
      CHECK(walks > 0 && walks <= most[order] + 1);
      icl_unload(loaded);
      remove(path);
    }
#endif
    free(mem);
    free(block);
    free(t.s);
  }
}

/* An ordinary file: five, whatever is done with it. */
TEST(walks_of_an_ordinary_file)
{
  static plan p;
  file f;
  void *block;
  unsigned char *q;
  size_t n, need;
  icl_model m;
  static unsigned char mem[1 << 16];
  memset(&f, 0, sizeof f);
  large_plan(&p);
  make_file(&p, &f);
  n = 8 + f.header.n + f.n_data;
  q = block_of(n, 0, &block);
  icl__put_le(q, f.header.n, 8);
  memcpy(q + 8, f.header.s, f.header.n);
  memcpy(q + 8 + f.header.n, f.data, f.n_data);
  walks = 0;
  CHECK_EQ(icl_inspect(q, n, NULL, &need, NULL), ICL_OK);
  CHECK_EQ(walks, 4);
  CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, NULL), ICL_OK);
  CHECK_EQ(walks, 9);
  free(block);
  free_file(&f);
}

/* ----- damage ---------------------------------------------------------------------------------------- */

/* What icl_write makes of the small model, with all it can say. */
static unsigned char *written(size_t *n, void **block, const icl_metadata *md)
{
  size_t count = icl_param_count(&small), i;
  float *params = (float *)malloc(count * sizeof(float));
  unsigned char *p;
  for (seed = 11, i = 0; i < count; i++) params[i] = (float)((int)(draw() % 2001) - 1000) / 1500.0f;
  *n = icl_write_bytes(&small, md);
  p = block_of(*n, 0, block);
  CHECK_EQ(icl_write(p, *n, &small, params, md), ICL_OK);
  free(params);
  return p;
}

static const icl_metadata full_metadata = {
  "0.5*dense + 0.5*sparse(nnz=2)", "-900 2000 -1100 1500", ICL_STORE_F32, NULL, NULL
};

static const icl_metadata i8_metadata = {
  "0.5*dense + 0.5*sparse(nnz=2)", "-900 2000 -1100 1500", ICL_STORE_I8, NULL, NULL
};

static void check_cuts(const icl_metadata *md)
{
  size_t n, i;
  void *block;
  unsigned char *p = written(&n, &block, md);
  for (i = 0; i < n; i++) {
    trial t;
    void *cut;
    unsigned char *q = block_of(i, 0, &cut);
    memcpy(q, p, i);
    try_at(&t, q, i);
    CHECK_EQ(t.code, ICL_ERR_FORMAT);
    free(cut);
  }
  free(block);
}

TEST(cut_at_every_byte)
{
  check_cuts(&full_metadata);
  check_cuts(&i8_metadata);
}

/* Every bit of length and header, or one in so many.  What still loads must be the same model with the same
 * answers. */
static void flip_header(const icl_metadata *md, size_t step)
{
  size_t n, bit, header;
  void *block;
  unsigned char *p = written(&n, &block, md);
  trial whole, t;
  int errors = 0, unverified = 0, verified = 0, bad = 0;
  try_at(&whole, p, n);
  CHECK_EQ(whole.verified, 1);
  CHECK_EQ(whole.surprised, ICL_OK);
  CHECK_EQ(whole.n_typical, 2);
  header = 8 + (size_t)icl__get64(p);
  for (bit = 0; bit < 8 * header; bit += step) {
    p[bit / 8] ^= (unsigned char)(1u << bit % 8);
    try_at(&t, p, n);
    if (t.code) errors++;
    else if (alike(&t, &whole)) { if (t.verified) verified++; else unverified++; }
    else if (++bad <= 5)
      printf("%s: bit %u of byte %u loads as another model: ...%.30s...\n", test_name, (unsigned)(bit % 8), (unsigned)(bit / 8),
             (char *)p + bit / 8 - 15);
    p[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  CHECK_EQ(bad, 0);
  CHECK(errors > 9 * (int)(header * 8 / step) / 10);
  /* loads as unverified: the name of icl.digest is hit.  Verified: icl.version, and names of keys with default values */
  CHECK(unverified > 0 && unverified <= 8 * 10);
  CHECK(verified < 8 * 100);
  free(block);
}

TEST(every_bit_of_the_header_flipped)
{
  flip_header(&full_metadata, EVERY_HEADER_BIT);
  flip_header(&i8_metadata, 5 * EVERY_HEADER_BIT);
}

static void flip_data(const icl_metadata *md)
{
  static unsigned char mem[1 << 14];
  size_t n, bit, header, flipped = 0;
  void *block;
  unsigned char *p = written(&n, &block, md);
  int digest = 0, nonfinite = 0, scale = 0;
  header = 8 + (size_t)icl__get64(p);
  for (bit = 8 * header; bit < 8 * n; bit += EVERY_BIT, flipped++) {
    icl_model m;
    icl_report r;
    icl_error err;
    p[bit / 8] ^= (unsigned char)(1u << bit % 8);
    err = icl_model_init(&m, p, n, mem, sizeof mem, &r);
    digest += err == ICL_ERR_DIGEST && !strcmp(r.text, "data or configuration changed since 'icl.digest'");
    nonfinite += err == ICL_ERR_NONFINITE && r.offset == bit / 32 * 4;
    scale += err == ICL_ERR_FORMAT && r.offset == bit / 32 * 4 && strstr(r.text, ".scale'") != NULL;
    p[bit / 8] ^= (unsigned char)(1u << bit % 8);
  }
  CHECK_EQ(digest + nonfinite + scale, flipped);
  CHECK(md->storage == ICL_STORE_I8 ? scale * EVERY_BIT >= (3 + 1 + 4 + 1) * 2 : !scale);   /* signs, at least */
  free(block);
}

TEST(every_bit_of_the_data_flipped)
{
  flip_data(&full_metadata);
  flip_data(&i8_metadata);
}

/* Damage that one bit is not: bytes set, words swapped, blocks zeroed. */
TEST(data_damaged_otherwise)
{
  size_t n, i, k, header;
  void *block, *other;
  unsigned char *p = written(&n, &block, NULL), *q = block_of(n, 0, &other);
  header = 8 + (size_t)icl__get64(p);
  for (i = 0; i < 1500; i++) {
    trial t;
    size_t at = header + (size_t)draw_below((int)(n - header)), len = 1 + (size_t)draw_below(64), to = header + (size_t)draw_below((int)(n - header));
    memcpy(q, p, n);
    if (at + len > n) len = n - at;
    if (to + len > n) continue;
    if (i % 3 == 0) memset(q + at, draw_below(256), len);
    else if (i % 3 == 1) memmove(q + to, p + at, len);
    else for (k = 0; k < len; k++) { q[at + k] = p[to + k]; q[to + k] = p[at + k]; }
    try_at(&t, q, n);
    if (!memcmp(p, q, n)) CHECK_EQ(t.code, ICL_OK);
    else CHECK(t.code == ICL_ERR_DIGEST || t.code == ICL_ERR_NONFINITE);
  }
  free(block);
  free(other);
}

/* NaN and infinity: first, last and in between, in every tensor, of every type. */
TEST(weights_that_are_not_finite)
{
  static const uint32_t bad32[] = {0x7fc00000u, 0x7f800001u, 0xffffffffu, 0x7f800000u, 0xff800000u};
  static const uint32_t bad16[] = {0x7e00, 0x7c01, 0xffff, 0x7c00, 0xfc00}, bad_b[] = {0x7fc0, 0x7f81, 0xffff, 0x7f80, 0xff80};
  static const char *const types[] = {"F32", "F16", "BF16"};
  static plan p;
  int type, i, k, v;
  file f;
  memset(&f, 0, sizeof f);
  for (type = 0; type < 3; type++) {
    plan_model(&p, &small, small_metadata, types[type]);
    seed = 5;
    shuffle_data(&p);
    shuffle(p.order, p.n);
    make_file(&p, &f);
    for (i = 0; i < p.n; i++)
      for (k = 0; k < 3; k++)
        for (v = 0; v < 5; v++) {
          const entry *e = &p.e[i];
          size_t w = width_of(e->dtype), count = e->bytes / w, at = (size_t)e->begin + w * (k == 0 ? 0 : k == 1 ? count - 1 : count / 2);
          unsigned char keep[4];
          char says[100];
          trial t;
          memcpy(keep, f.data + at, w);
          icl__put_le(f.data + at, type == 0 ? bad32[v] : type == 1 ? bad16[v] : bad_b[v], w);
          try_file(&t, &f);
          snprintf(says, sizeof says, "NaN or infinity in '%s'", e->name);
          expect_error(&t, ICL_ERR_NONFINITE, says, 8 + f.header.n + at, types[type]);
          memcpy(f.data + at, keep, w);
        }
  }
  free_file(&f);
}

/* The largest and the smallest numbers of each type are weights like others. */
TEST(weights_at_the_edge)
{
  static const uint32_t good32[] = {0x7f7fffffu, 0xff7fffffu, 1, 0x80000000u, 0x807fffffu}, good16[] = {0x7bff, 0xfbff, 1, 0x8000, 0x83ff};
  static const uint32_t good_b[] = {0x7f7f, 0xff7f, 1, 0x8000, 0x807f};
  static const char *const types[] = {"F32", "F16", "BF16"};
  static plan p;
  static unsigned char mem[1 << 16];
  int type, v;
  for (type = 0; type < 3; type++)
    for (v = 0; v < 5; v++) {
      file f;
      size_t n;
      void *block;
      unsigned char *q;
      uint32_t u = type == 0 ? good32[v] : type == 1 ? good16[v] : good_b[v], is;
      icl_model m;
      float params[2000];
      memset(&f, 0, sizeof f);
      plan_model(&p, &small, small_metadata, types[type]);
      make_file(&p, &f);
      icl__put_le(f.data + p.e[0].begin, u, width_of(types[type]));
      n = 8 + f.header.n + f.n_data;
      q = block_of(n, 0, &block);
      icl__put_le(q, f.header.n, 8);
      memcpy(q + 8, f.header.s, f.header.n);
      memcpy(q + 8 + f.header.n, f.data, f.n_data);
      CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, NULL), ICL_OK);
      CHECK_EQ(icl_model_params(&m, params), ICL_OK);
      memcpy(&is, &params[0], 4);
      if (type == 0) CHECK_EQ(is, u);
      if (type == 1) CHECK_EQ(is, v == 0 ? 0x477fe000u : v == 1 ? 0xc77fe000u : v == 2 ? 0x33800000u : v == 3 ? 0x80000000u : 0xb87fc000u);
      if (type == 2) CHECK_EQ(is, u << 16);
      free(block);
      free_file(&f);
    }
}

TEST(digests)
{
  trial t;
  size_t n, at, header;
  void *block;
  unsigned char *p;
  try_value(&t, "icl.digest", "0123456789abcdef", &at);
  CHECK_EQ(t.code, ICL_ERR_DIGEST);
  p = written(&n, &block, &full_metadata);
  try_at(&t, p, n);
  CHECK_EQ(t.code, ICL_OK);
  CHECK_EQ(t.verified, 1);
  header = (size_t)icl__get64(p);
  at = 8 + find_in((char *)p + 8, header, "icl.digest");
  p[at] = 'x';                                        /* another key: as if it had none */
  try_at(&t, p, n);
  CHECK_EQ(t.code, ICL_OK);
  CHECK_EQ(t.verified, 0);
  p[at] = 'i';
  at = 8 + find_in((char *)p + 8, header, "sparse");
  p[at] = 'S';                                        /* the task belongs to what is verified */
  try_at(&t, p, n);
  CHECK_EQ(t.code, ICL_ERR_DIGEST);
  free(block);
}

/* ----- memory ---------------------------------------------------------------------------------------- */

/* A file whose digest is 0, by a buffer that was made for it, is a file like others: nothing takes its I8
 * weights for floats. */
TEST(a_digest_of_zero)
{
  static plan p;
  file f;
  icl_model m;
  icl_report r;
  icl_ctx c;
  float x[2] = {0.25f, -0.5f};
  static unsigned char mem[1 << 16], ctx[1 << 16], saved[1 << 14];
  entry last;
  int weight;
  size_t n, buffer, bytes;
  void *block;
  unsigned char *q;
  uint64_t h;
  memset(&f, 0, sizeof f);
  plan_i8(&p, &small, "\"n_head\":\"2\",\"activation_function\":\"gelu\",\"icl.digest\":\"0000000000000000\"");
  last = p.e[p.n - 1];                                     /* the largest matrix comes last: four times as long it */
  weight = find_tensor(&p, "_backbone.h.0.mlp.c_proj.weight");     /* would not be in the block           */
  p.e[p.n - 1] = p.e[weight];
  p.e[weight] = last;
  lay_out(&p);
  plan_tensor(&p, "_backbone.wte.weight", "U8", 1, 1, 8 + (int)((8 - p.e[p.n - 1].end % 8) % 8));
  lay_out(&p);
  make_file(&p, &f);
  n = 8 + f.header.n + f.n_data;
  q = block_of(n, 0, &block);
  icl__put_le(q, f.header.n, 8);
  memcpy(q + 8, f.header.s, f.header.n);
  memcpy(q + 8 + f.header.n, f.data, f.n_data);
  CHECK_EQ(icl_inspect(q, n, NULL, NULL, &r), ICL_OK);
  CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, &r), ICL_ERR_DIGEST);
  buffer = f.n_data - 8;
  h = icl__digest(icl__digest_config(&small), q + 8 + f.header.n, buffer);
  icl__put_le(q + n - 8, h, 8);                            /* h ^ h is 0, and stays it */
  CHECK_EQ(icl_model_init(&m, q, n, mem, sizeof mem, &r), ICL_OK);
  CHECK(m.verified == 1 && m.digest == 0);
  CHECK_EQ(icl_ctx_init(&c, &m, 2, 2, ctx, sizeof ctx), ICL_OK);
  CHECK_EQ(icl_add(&c, x, 0.5f), ICL_OK);
  bytes = icl_ctx_save_bytes(&c);
  CHECK(bytes <= sizeof saved);
  CHECK_EQ(icl_ctx_save(&c, saved, bytes), ICL_OK);        /* read beyond the block, once */
  CHECK_EQ(icl_ctx_restore(&c, saved, bytes, NULL), ICL_OK);
  free(block);
  free_file(&f);
}

TEST(data_at_every_alignment)
{
  static const char *const types[] = {"F32", "F16", "BF16"};
  static plan p;
  trial whole = small_trial(), bytes, t;
  size_t shift;
  int type, i;
  plan_i8(&p, &small, small_metadata);
  try_plan(&bytes, &p);
  for (type = 0; type < 5; type++)
    for (shift = 0; shift < 64; shift++) {
      file f;
      memset(&f, 0, sizeof f);
      if (type == 4) plan_i8(&p, &small, small_metadata);
      else plan_model(&p, &small, small_metadata, types[type % 3]);
      if (type == 3) {                                /* an odd byte moves what lies behind it */
        plan_tensor(&p, "_backbone.wte.weight", "U8", 1, 1, 1);
        p.e[p.n - 1].begin = 0;
        p.e[p.n - 1].end = 1;
        for (i = 0; i + 1 < p.n; i++) { p.e[i].begin++; p.e[i].end++; }
      }
      make_file(&p, &f);
      try_shifted(&t, &f, shift);
      expect_ok(&t, type == 4 ? "I8" : types[type % 3]);
      CHECK(alike(&t, type == 4 ? &bytes : &whole));
      free_file(&f);
    }
}

/* mem: exactly what icl_inspect said, at any place, to the end of a page and not before its start. */
TEST(memory_is_exact)
{
  static const char *const types[] = {"F32", "F16"};
  static plan p;
  size_t n, need = 0, shift, room = 1 << 16;
  int type;
#if HAVE_POSIX
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char *map = (unsigned char *)mmap(NULL, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  CHECK(map != MAP_FAILED && !mprotect(map + room, page, PROT_NONE));
#else
  unsigned char *map = (unsigned char *)malloc(room);
#endif
  for (type = 0; type < 3; type++) {
    file f;
    void *block;
    unsigned char *q;
    memset(&f, 0, sizeof f);
    if (type < 2) plan_model(&p, &small, "\"n_head\":\"2\",\"icl.typical\":\"1 2\"", types[type]);
    else plan_i8(&p, &small, "\"n_head\":\"2\",\"icl.typical\":\"1 2\"");
    make_file(&p, &f);
    n = 8 + f.header.n + f.n_data;
    q = block_of(n, 0, &block);
    icl__put_le(q, f.header.n, 8);
    memcpy(q + 8, f.header.s, f.header.n);
    memcpy(q + 8 + f.header.n, f.data, f.n_data);
    CHECK_EQ(icl_inspect(q, n, NULL, &need, NULL), ICL_OK);
    for (shift = 0; shift < 130; shift++) {
      unsigned char *mem = map + room - need - shift;
      icl_model m;
      icl_report r;
      size_t i;
      memset(map, 0xa5, room);
      CHECK_EQ(icl_model_init(&m, q, n, mem, need - 1, &r), ICL_ERR_MEMORY);
      CHECK_STR(r.text, "smaller than icl_inspect asks for: 'mem'");
      CHECK_EQ(icl_model_init(&m, q, n, mem, 0, &r), ICL_ERR_MEMORY);
      CHECK_EQ(icl_model_init(&m, q, n, mem, need, &r), ICL_OK);
      for (i = 1; i <= 64; i++) CHECK(mem[-(ptrdiff_t)i] == 0xa5);
      for (i = 0; i < shift; i++) CHECK(mem[need + i] == 0xa5);
    }
    free(block);
    free_file(&f);
  }
}

TEST(null_arguments)
{
  size_t n, need = 0;
  void *block;
  unsigned char *p = written(&n, &block, NULL);
  static unsigned char mem[1 << 14];
  icl_model m;
  icl_report r;
  CHECK_EQ(icl_inspect(NULL, n, NULL, &need, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'data'");
  CHECK_EQ(icl_inspect(NULL, 0, NULL, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_inspect(p, n, NULL, NULL, NULL), ICL_OK);
  CHECK_EQ(icl_inspect(p, n, NULL, &need, &r), ICL_OK);
  CHECK_EQ(r.code, ICL_OK);
  CHECK_STR(r.text, "");
  CHECK_EQ(icl_model_init(NULL, p, n, mem, need, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'm'");
  CHECK_EQ(icl_model_init(&m, NULL, n, mem, need, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'data'");
  CHECK_EQ(icl_model_init(&m, p, n, NULL, need, &r), ICL_ERR_ARG);
  CHECK_STR(r.text, "NULL 'mem'");
  CHECK_EQ(icl_model_init(&m, p, n, mem, need, NULL), ICL_OK);
  reached[ICL_ERR_ARG]++;
  free(block);
}

/* ----- the writer -------------------------------------------------------------------------------------- */

static const float epsilons[] = {1e-5f, 1e-12f, 0.0013f, 3.3333333e-6f, 1e-6f, 1e-8f, 0.1f, 0.99999994f, 0.5f, 1.17549435e-38f};

/* x to a number of bits behind the point of its binary form, and to no less than the least exponent. */
static float rounded(float x, int bits, int least)
{
  int e;
  frexp((double)x, &e);
  if (e - 1 < least) e = least + 1;
  return (float)ldexp(nearbyint(ldexp((double)x, bits + 1 - e)), e - 1 - bits);
}

static float as_stored(float x, icl_storage storage)
{
  if (storage == ICL_STORE_F16) return rounded(x, 10, -14);
  return storage == ICL_STORE_BF16 ? rounded(x, 7, -126) : x;
}

/* A matrix becomes what a file in I8 holds of it. */
static void store_i8(float *w, int rows, int cols)
{
  int i, j;
  for (j = 0; j < cols; j++) {
    float most = 0, scale;
    for (i = 0; i < rows; i++) most = fmaxf(most, fabsf(w[i * cols + j]));
    scale = most / 127.0f;
    for (i = 0; i < rows && most > 0; i++) w[i * cols + j] = roundf(w[i * cols + j] / scale) * scale;
  }
}

/* The weights of blocks become what a file holds of them; returns by how much that file is smaller. */
static size_t store_params(float *params, const icl_config *cfg, icl_storage storage)
{
  size_t at = 0, n, saved = 0;
  icl_tensor t;
  int i;
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    CHECK_EQ(icl_tensor_at(cfg, i, &t), ICL_OK);
    n = (size_t)t.rows * (size_t)t.cols;
    if (is_product(t.name)) {
      saved += storage == ICL_STORE_F32 ? 0 : storage == ICL_STORE_I8 ? 3 * n - 4 * (size_t)t.cols : 2 * n;
      if (storage == ICL_STORE_I8) store_i8(params + at, t.rows, t.cols);
      for (; n && storage != ICL_STORE_I8; n--, at++) params[at] = as_stored(params[at], storage);
    }
    at += n;
  }
  return saved;
}

static void check_round_trip(const icl_config *cfg, const icl_metadata *md)
{
  static float params[4000], back[4000];
  static unsigned char mem[1 << 14];
  size_t count = icl_param_count(cfg), n = icl_write_bytes(cfg, md), i, need, saved;
  void *block;
  unsigned char *p = block_of(n, 0, &block);
  icl_model m;
  icl_config again;
  icl_report r;
  CHECK(n > 0 && count <= COUNT(params));
  for (i = 0; i < count; i++) params[i] = (float)((int)(draw() % 2001) - 1000) / 777.0f;
  CHECK_EQ(icl_write(p, n - 1, cfg, params, md), ICL_ERR_MEMORY);
  CHECK_EQ(icl_write(p, n, cfg, params, md), ICL_OK);
  CHECK_EQ((8 + icl__get64(p)) % 64, 0);
  saved = store_params(params, cfg, md ? md->storage : ICL_STORE_F32);
  CHECK_EQ(8 + icl__get64(p) + 4 * count, n + saved);
  CHECK_EQ(icl_inspect(p, n, &again, &need, &r), ICL_OK);
  CHECK_STR(r.text, "");
  CHECK(memcmp(&again, cfg, sizeof again) == 0);
  CHECK_EQ(icl_model_init(&m, p, n, mem, sizeof mem, &r), ICL_OK);
  CHECK_EQ(m.verified, 1);
  CHECK_EQ(m.n_params, count);
  CHECK_STR(m.task, md && md->task ? md->task : "");
  CHECK_EQ(m.n_typical > 0, md && md->typical);
  /* halves are read in place where they lie the right way round, and as floats elsewhere */
  CHECK_EQ(icl_model_storage(&m), md && (icl__little_endian() || md->storage == ICL_STORE_I8)
                                  ? md->storage : ICL_STORE_F32);
  CHECK_EQ(icl_model_params(&m, back), ICL_OK);
  for (i = 0; i < count; i++) CHECK(back[i] == params[i]);
  free(block);
}

TEST(round_trips)
{
  static const icl_metadata mds[] = {
    {NULL, NULL, ICL_STORE_F32, NULL, NULL}, {"dense", NULL, ICL_STORE_F32, NULL, NULL}, {"", NULL, ICL_STORE_F16, NULL, NULL},
    {"sine ~!#$%&'()*+,-./:;<=>?@[]^_`{|}", "0 1", ICL_STORE_BF16, NULL, NULL}, {NULL, "-1000000 -5 -3 1000000", ICL_STORE_F32, NULL, NULL},
    {"dense", "0 1", ICL_STORE_I8, NULL, NULL}
  };
  icl_config cfg = {3, 4, 2, 1, 8, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  int position, activation, wide;
  size_t e, k;
  for (position = 0; position < 3; position++)
    for (activation = 0; activation < 3; activation++)
      for (wide = 0; wide < 2; wide++)
        for (e = 0; e < COUNT(epsilons); e++)
          for (k = 0; k < COUNT(mds) + 1; k++) {
            cfg.position_embedding_type = (icl_position)position;
            cfg.activation_function = (icl_activation)activation;
            cfg.n_out = wide ? cfg.n_dims : 1;
            cfg.layer_norm_epsilon = epsilons[e];
            cfg.n_layer = 1 + (int)(e % 3);
            cfg.n_head = 1 << (e % 3);
            check_round_trip(&cfg, k < COUNT(mds) ? &mds[k] : NULL);
          }
}

/* Each F16 and BF16 there is, and the numbers half way to the next one. */
TEST(halves)
{
  uint32_t h;
  int bad = 0;
  for (h = 0; h < 1u << 16; h++) {
    float f = icl__half(h, ICL__F16), b = icl__half(h, ICL__BF16), next;
    int e = (int)(h >> 10 & 31), m = (int)(h & 1023), sign = h >> 15 ? -1 : 1;
    double exact = e ? ldexp(1024 + m, e - 25) : ldexp(m, -24);
    if (e < 31) {
      bad += (double)f != sign * exact || icl__to_half(f, ICL__F16) != h;
      next = icl__half(h + 1, ICL__F16);
      if ((h & 0x7fff) < 0x7bff)                              /* ties go to the even one */
        bad += icl__to_half(0.5f * (f + next), ICL__F16) != (h & 1 ? h + 1 : h);
    }
    if ((h & 0x7f80) < 0x7f80) {
      bad += icl__to_half(b, ICL__BF16) != h;
      next = icl__half(h + 1, ICL__BF16);
      if ((h & 0x7fff) < 0x7f7f)
        bad += icl__to_half(0.5f * b + 0.5f * next, ICL__BF16) != (h & 1 ? h + 1 : h) && b > 1e-30f;
    }
  }
  CHECK_EQ(bad, 0);
  CHECK_EQ(icl__to_half(65519.996f, ICL__F16), 0x7bff);
  CHECK_EQ(icl__to_half(65520.0f, ICL__F16), 0x7c00);
  CHECK_EQ(icl__to_half(-1e30f, ICL__F16), 0xfc00);
  CHECK_EQ(icl__to_half(1e-9f, ICL__F16), 0);
  for (h = 0; h < 4; h++) {                                  /* a NaN, of all ones too, stays what is not finite */
    static const uint32_t bits[4] = {0x7f800001u, 0x7fffffffu, 0xffffffffu, 0xffc00000u};
    float f;
    memcpy(&f, &bits[h], 4);
    CHECK_EQ(icl__to_half(f, ICL__BF16) & 0x7f80, 0x7f80);
    CHECK_EQ(icl__to_half(f, ICL__F16) & 0x7c00, 0x7c00);
  }
  CHECK_EQ(icl__to_half(-INFINITY, ICL__BF16), 0xff80);
}

/* What is finite as F32 and not as F16 is refused. */
TEST(weights_too_large_for_their_type)
{
  static const icl_metadata f16 = {NULL, NULL, ICL_STORE_F16, NULL, NULL}, bf16 = {NULL, NULL, ICL_STORE_BF16, NULL, NULL};
  static const icl_metadata f32 = {NULL, NULL, ICL_STORE_F32, NULL, NULL};
  icl_config cfg = {1, 2, 1, 1, 3, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  static float params[200];
  static unsigned char buf[8192];
  static const icl_metadata i8 = {NULL, NULL, ICL_STORE_I8, NULL, NULL};
  icl_metadata odd = {NULL, NULL, (icl_storage)4, NULL, NULL};
  size_t i, k = 2 + 2 + 2 + 2;                                /* read-in, ln_1: then c_attn.weight */
  for (i = 0; i < COUNT(params); i++) params[i] = 0.5f;
  CHECK_EQ(icl_write_bytes(&cfg, &odd), 0);
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &f16), ICL_OK);
  params[k] = 65520.0f;
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &f16), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &bf16), ICL_OK);
  params[k] = 3.4028e38f;
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &bf16), ICL_ERR_NONFINITE);
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &f32), ICL_OK);
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &i8), ICL_ERR_NONFINITE);
  params[k] = 1.6e38f;                                        /* / 127 is below 2^120 */
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &i8), ICL_OK);
  params[k] = 0.5f;
  params[0] = 65520.0f;                                       /* the read-in stays F32 */
  CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, &f16), ICL_OK);
}

/* Any epsilon between 0 and 1 can be written, and comes back to the bit. */
TEST(every_epsilon_can_be_written)
{
  icl_config cfg = {1, 1, 1, 1, 3, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  unsigned char *buf = (unsigned char *)malloc(1 << 14);
  float *params = (float *)calloc(icl_param_count(&cfg), sizeof(float));
  int i, bad = 0;
  for (i = 0; i < 9000; i += EVERY) {
    uint32_t u = 0x2b8cbccdu + draw() * 16 % (0x3f800000u - 0x2b8cbccdu);        /* 1e-12 to 1 */
    icl_config back;
    size_t n;
    if (i < 2000) u = 1 + draw() * 255u % 0x2b8cbcccu;                           /* and below */
    memcpy(&cfg.layer_norm_epsilon, &u, 4);
    n = icl_write_bytes(&cfg, NULL);
    if (!n || n > 1 << 14 || icl_write(buf, n, &cfg, params, NULL) || icl_inspect(buf, n, &back, NULL, NULL)
        || memcmp(&back, &cfg, sizeof back)) {
      if (bad++ < 5) printf("%s: %.9g cannot be written\n", test_name, (double)cfg.layer_norm_epsilon);
    }
  }
  CHECK_EQ(bad, 0);
  free(params);
  free(buf);
}

TEST(configurations_that_are_refused)
{
  static const struct { int field; int value; icl_error code; const char *says; } bad[] = {
    {0, 0, ICL_ERR_CONFIG, "a size is below 1"}, {0, -1, ICL_ERR_CONFIG, "a size is below 1"},
    {0, INT32_MIN, ICL_ERR_CONFIG, "a size is below 1"}, {1, 0, ICL_ERR_CONFIG, "a size is below 1"},
    {2, 0, ICL_ERR_CONFIG, "a size is below 1"}, {2, -2, ICL_ERR_CONFIG, "a size is below 1"},
    {3, 0, ICL_ERR_CONFIG, "a size is below 1"}, {4, 0, ICL_ERR_CONFIG, "a size is below 1"},
    {0, 65537, ICL_ERR_LIMIT, "dims, width, layers or positions"}, {1, 65538, ICL_ERR_LIMIT, "dims, width, layers or positions"},
    {1, INT32_MAX, ICL_ERR_LIMIT, "dims, width, layers or positions"}, {3, 513, ICL_ERR_LIMIT, "dims, width, layers or positions"},
    {4, 16777217, ICL_ERR_LIMIT, "dims, width, layers or positions"}, {3, INT32_MAX, ICL_ERR_LIMIT, "dims, width, layers or positions"},
    {2, 3, ICL_ERR_CONFIG, "does not divide the width: 'n_head'"}, {2, INT32_MAX, ICL_ERR_CONFIG, "does not divide the width: 'n_head'"},
    {5, 0, ICL_ERR_CONFIG, "read-out width is neither 1 nor n_dims"}, {5, 3, ICL_ERR_CONFIG, "read-out width is neither 1 nor n_dims"},
    {5, -1, ICL_ERR_CONFIG, "read-out width is neither 1 nor n_dims"},
    {6, 4, ICL_ERR_CONFIG, "unknown 'position_embedding_type'"}, {6, -1, ICL_ERR_CONFIG, "unknown 'position_embedding_type'"},
    {7, 3, ICL_ERR_CONFIG, "unknown 'activation_function'"}, {7, -1, ICL_ERR_CONFIG, "unknown 'activation_function'"}
  };
  static const uint32_t eps[] = {0, 0x80000000u, 0xb727c5acu, 0x3f800000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0x40000000u};
  float *params = (float *)calloc(20000, sizeof(float));
  unsigned char buf[8000];
  icl_report r;
  icl_tensor t;
  size_t i;
  for (i = 0; i < COUNT(bad) + COUNT(eps); i++) {
    icl_config cfg = small;
    icl_error code = ICL_ERR_CONFIG;
    if (i < COUNT(bad)) {
      int *field[8];
      field[0] = &cfg.n_dims; field[1] = &cfg.n_embd; field[2] = &cfg.n_head; field[3] = &cfg.n_layer;
      field[4] = &cfg.n_positions; field[5] = &cfg.n_out;
      if (bad[i].field < 6) *field[bad[i].field] = bad[i].value;
      else if (bad[i].field == 6) cfg.position_embedding_type = (icl_position)bad[i].value;
      else cfg.activation_function = (icl_activation)bad[i].value;
      if (bad[i].field == 5 && bad[i].value == 3) cfg.n_dims = 2;
      code = bad[i].code;
      CHECK_EQ(icl_config_check(&cfg, &r), code);
      CHECK_STR(r.text, bad[i].says);
    } else {
      memcpy(&cfg.layer_norm_epsilon, &eps[i - COUNT(bad)], 4);
      CHECK_EQ(icl_config_check(&cfg, &r), code);
      CHECK_STR(r.text, "not between 0 and 1: 'layer_norm_epsilon'");
    }
    check_report(&r, code, 0);
    CHECK_EQ(icl_config_check(&cfg, NULL), code);
    CHECK_EQ(icl_tensor_count(&cfg), 0);
    CHECK_EQ(icl_param_count(&cfg), 0);
    CHECK_EQ(icl_tensor_at(&cfg, 0, &t), ICL_ERR_ARG);
    CHECK_EQ(icl_write_bytes(&cfg, NULL), 0);
    CHECK_EQ(icl_bind_bytes(&cfg), 0);
    CHECK_EQ(icl_write(buf, sizeof buf, &cfg, params, NULL), ICL_ERR_ARG);
  }
  CHECK_EQ(icl_config_check(NULL, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_config_check(&small, &r), ICL_OK);
  check_report(&r, ICL_OK, 0);
  {
    icl_config odd = small;
    odd.n_embd = 3; odd.n_head = 1; odd.position_embedding_type = ICL_POSITION_SINUSOIDAL;
    CHECK_EQ(icl_config_check(&odd, &r), ICL_ERR_CONFIG);
    CHECK_STR(r.text, "sinusoidal positions need an even width");
    odd.position_embedding_type = ICL_POSITION_NONE;
    CHECK_EQ(icl_config_check(&odd, &r), ICL_OK);
  }
  free(params);
}

/* What icl_write takes, icl_inspect takes. */
TEST(texts_that_are_refused)
{
  static const char *const tasks[] = {"a\"b", "a\\b", "\"", "\\", "a\nb", "\t", "\x7f", "\x01", "d\xc3\xa9", "\xff"};
  static const char *const typicals[] = {"\"", "a\nb", "", "hello", "1", "1 2 ", "3 2", "2 1000001", "1.5 2"};
  float params[2000] = {0};
  unsigned char buf[20000];
  char *longest = (char *)malloc((1 << 20) + 100);
  icl_metadata md;
  size_t i;
  memset(&md, 0, sizeof md);
  for (i = 0; i < COUNT(tasks); i++) {
    md.task = tasks[i];
    CHECK_EQ(icl_write_bytes(&small, &md), 0);
    CHECK_EQ(icl_write(buf, sizeof buf, &small, params, &md), ICL_ERR_ARG);
  }
  md.task = NULL;
  for (i = 0; i < COUNT(typicals); i++) {
    md.typical = typicals[i];
    CHECK_EQ(icl_write_bytes(&small, &md), 0);
    CHECK_EQ(icl_write(buf, sizeof buf, &small, params, &md), ICL_ERR_ARG);
  }
  memset(longest, 'x', (1 << 20) + 99);
  longest[(1 << 20) + 99] = 0;
  md.typical = NULL;
  md.task = longest;
  CHECK_EQ(icl_write_bytes(&small, &md), 0);
  longest[1 << 19] = 0;
  CHECK(icl_write_bytes(&small, &md) > 1 << 19);
  free(longest);
}

TEST(weights_that_are_not_written)
{
  static const uint32_t bad[] = {0x7fc00000u, 0x7f800000u, 0xff800000u, 0x7f800001u};
  float params[2000];
  unsigned char buf[20000];
  size_t n = icl_param_count(&small), i, k;
  for (i = 0; i < n; i++) params[i] = 1;
  for (i = 0; i < n; i++)
    for (k = 0; k < 4; k++) {
      memcpy(&params[i], &bad[k], 4);
      CHECK_EQ(icl_write(buf, sizeof buf, &small, params, NULL), ICL_ERR_NONFINITE);
      params[i] = 1;
    }
  CHECK_EQ(icl_write(buf, sizeof buf, &small, params, NULL), ICL_OK);
  CHECK_EQ(icl_write(NULL, sizeof buf, &small, params, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_write(buf, sizeof buf, NULL, params, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_write(buf, sizeof buf, &small, NULL, NULL), ICL_ERR_ARG);
  CHECK_EQ(icl_write(buf, 0, &small, params, NULL), ICL_ERR_MEMORY);
  CHECK_EQ(icl_write_bytes(NULL, NULL), 0);
}

/* ----- the table of tensors ---------------------------------------------------------------------------- */

TEST(tensor_table)
{
  static const struct { icl_config cfg; int rows; } cases[] = {
    {{2, 4, 2, 2, 5, 1, ICL_POSITION_LEARNED, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}, 31}, {{2, 4, 2, 2, 5, 2, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}, 30},
    {{1, 1, 1, 1, 1, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}, 18}, {{20, 64, 2, 512, 9, 20, ICL_POSITION_SINUSOIDAL, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}, 6150}
  };
  size_t k;
  for (k = 0; k < COUNT(cases); k++) {
    const icl_config *cfg = &cases[k].cfg;
    size_t C = (size_t)cfg->n_embd, d = (size_t)cfg->n_dims, sum = 0;
    size_t formula = C * d + C + (size_t)cfg->n_layer * (12 * C * C + 13 * C) + 2 * C + (size_t)cfg->n_out * (C + 1);
    int i, n = icl_tensor_count(cfg), last = -1;
    icl_tensor t, first;
    if (cfg->position_embedding_type == ICL_POSITION_LEARNED) formula += C * (size_t)cfg->n_positions;
    CHECK_EQ(n, cases[k].rows);
    icl_tensor_at(cfg, 0, &first);
    for (i = 0; i < n; i++) {
      icl__place place;
      icl__string name;
      CHECK_EQ(icl_tensor_at(cfg, i, &t), ICL_OK);
      CHECK(t.rank == 1 ? t.rows == 1 : t.rank == 2);
      CHECK(t.rows > 0 && t.cols > 0 && strlen(t.name) < sizeof t.name);
      CHECK(t.layer >= -1 && t.layer < cfg->n_layer && (t.layer < 0 || t.layer >= last));
      if (t.layer >= 0) last = t.layer;
      CHECK((t.layer >= 0) == (strstr(t.name, "_backbone.h.") == t.name));
      name.s = t.name; name.n = strlen(t.name); name.at = 0; name.escaped = 0;
      CHECK(icl__lookup(name, &place));                        /* the loader knows it, at this place */
      CHECK_EQ(place.layer, t.layer);
      CHECK_EQ(icl__slot_of_place(cfg, &place), icl__slot_of_row(cfg, i));
      sum += (size_t)t.rows * (size_t)t.cols;
    }
    CHECK_EQ(sum, formula);
    CHECK_EQ(icl_param_count(cfg), formula);
    CHECK_EQ(icl_tensor_at(cfg, -1, &t), ICL_ERR_ARG);
    CHECK_EQ(icl_tensor_at(cfg, n, &t), ICL_ERR_ARG);
    CHECK_EQ(icl_tensor_at(cfg, INT32_MAX, &t), ICL_ERR_ARG);
    CHECK_EQ(icl_tensor_at(cfg, 0, NULL), ICL_ERR_ARG);
    CHECK_EQ(icl_tensor_at(NULL, 0, &t), ICL_ERR_ARG);
  }
  CHECK_EQ(icl_tensor_count(NULL), 0);
  CHECK_EQ(icl_param_count(NULL), 0);
  CHECK_EQ(icl_bind_bytes(NULL), 0);
}

/* The largest configuration that is accepted has a count that did not wrap. */
TEST(the_largest_model)
{
  icl_config cfg = {65536, 65536, 1, 512, 1 << 24, 65536, ICL_POSITION_LEARNED, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  cfg.tokens = ICL_TOKENS_JOINT;                             /* tokens of 65537 numbers: no file may have them */
  CHECK_EQ(icl_config_check(&cfg, NULL), ICL_ERR_LIMIT);
  cfg.n_dims = cfg.n_out = 65535;
  CHECK_EQ(icl_config_check(&cfg, NULL), ICL_OK);
  cfg.n_dims = cfg.n_out = 65536;
  cfg.tokens = ICL_TOKENS_APART;
  CHECK_EQ(icl_config_check(&cfg, NULL), ICL_OK);
  CHECK_EQ(icl_tensor_count(&cfg), 7 + 12 * 512);
  if (sizeof(size_t) == 8) {
    uint64_t C = 65536, sum = C * C + C + (C << 24) + 512 * (12 * C * C + 13 * C) + 2 * C + C * (C + 1);
    CHECK(icl_param_count(&cfg) == sum);
    CHECK(icl_write_bytes(&cfg, NULL) > 4 * sum && icl_write_bytes(&cfg, NULL) < 4 * sum + (1 << 20) + 8);
  } else {
    CHECK_EQ(icl_param_count(&cfg), 0);
    CHECK_EQ(icl_write_bytes(&cfg, NULL), 0);
  }
}

/* ----- files -------------------------------------------------------------------------------------------- */

TEST(what_pytorch_wrote)
{
  static const struct { const char *name; icl_config cfg; } golden[] = {
    {"gpt2", {5, 32, 4, 2, 0, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}}},
    {"gpt2_erf", {3, 24, 4, 1, 0, 3, ICL_POSITION_LEARNED, ICL_GELU_ERF, 1e-3f, ICL_TOKENS_APART, 0, {0}}},
    {"gpt2_relu", {1, 30, 5, 1, 0, 1, ICL_POSITION_LEARNED, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}},
    {"sinusoidal", {4, 36, 2, 1, 0, 4, ICL_POSITION_SINUSOIDAL, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}}},
    {"none", {2, 20, 2, 2, 0, 1, ICL_POSITION_NONE, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}}},
    {"f16", {5, 32, 4, 2, 0, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}}},
    {"bf16", {5, 32, 4, 2, 0, 1, ICL_POSITION_LEARNED, ICL_GELU_TANH, 1e-5f, ICL_TOKENS_APART, 0, {0}}}
  };
  size_t i;
  for (i = 0; i < COUNT(golden); i++) {
    char path[100];
    icl_model *m = NULL;
    icl_report r;
    icl_config is = golden[i].cfg;
    snprintf(path, sizeof path, "tests/golden/%s.safetensors", golden[i].name);
    if (icl_load(&m, path, &r) == ICL_ERR_IO) SKIP("run it from the repository's root");
    CHECK_STR(r.text, "");
    if (!m) continue;
    is.n_positions = m->config.n_positions;
    CHECK(memcmp(&m->config, &is, sizeof is) == 0);
    CHECK(is.n_positions >= 14 && is.n_positions < 100);
    CHECK_EQ(m->verified, 0);
    icl_unload(m);
  }
  CHECK_EQ(heap_blocks, 0);
}

#if HAVE_POSIX
static char folder[] = "/tmp/icl_test_XXXXXX";

static const char *in_folder(const char *name)
{
  static char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void put_file(const char *path, const void *data, size_t n)
{
  FILE *f = fopen(path, "wb");
  CHECK(f != NULL);
  if (!f) return;
  CHECK_EQ(fwrite(data, 1, n, f), n);
  fclose(f);
}

/* icl_load has to fail with this, and to leave m alone and no memory behind. */
static void expect_load_error(const char *path, icl_error code, const char *says)
{
  icl_model *m = (icl_model *)&heap_now;
  icl_report r;
  CHECK_EQ(icl_load(&m, path, &r), code);
  CHECK_STR(r.text, says);
  CHECK(m == (icl_model *)&heap_now);
  CHECK_EQ(icl_load(&m, path, NULL), code);
  CHECK_EQ(heap_blocks, 0);
  reached[code]++;
}

TEST(files_that_load_and_do_not)
{
  size_t n, i;
  void *block;
  unsigned char *p = written(&n, &block, &full_metadata), *more = (unsigned char *)malloc(n + 1);
  const char *path;
  icl_model *m = NULL;
  icl_report r;
  char long_path[300];
  CHECK(mkdtemp(folder) != NULL);
  path = in_folder("m.safetensors");
  put_file(path, p, n);
  CHECK_EQ(icl_load(&m, path, &r), ICL_OK);
  check_report(&r, ICL_OK, n);
  CHECK_EQ(m->verified, 1);
  CHECK_STR(m->task, full_metadata.task);
  icl_unload(m);
  icl_unload(NULL);
  CHECK_EQ(heap_blocks, 0);

  put_file(in_folder("m\xc3\xb6\x64 \xe2\x98\x83.safetensors"), p, n);     /* names in UTF-8, with a blank */
  CHECK_EQ(icl_load(&m, in_folder("m\xc3\xb6\x64 \xe2\x98\x83.safetensors"), &r), ICL_OK);
  icl_unload(m);
  remove(in_folder("m\xc3\xb6\x64 \xe2\x98\x83.safetensors"));
  path = in_folder("m.safetensors");
  memcpy(more, p, n);
  more[n] = 0;
  put_file(path, more, n + 1);
  expect_load_error(path, ICL_ERR_FORMAT, "bytes after the data");
  for (i = 0; i < n; i += i < 16 ? 1 : 211) {
    put_file(path, p, i);
    expect_load_error(path, ICL_ERR_FORMAT, "the file ends too early");
    CHECK_EQ(icl_load(&m, path, &r), ICL_ERR_FORMAT);
    CHECK_EQ(r.offset, i);
  }
  p[n - 1] ^= 1;
  put_file(path, p, n);
  expect_load_error(path, ICL_ERR_DIGEST, "data or configuration changed since 'icl.digest'");
  memset(p + n - 4, 0xff, 4);
  put_file(path, p, n);
  expect_load_error(path, ICL_ERR_NONFINITE, "NaN or infinity in '_read_out.bias'");
  remove(path);

  expect_load_error(folder, ICL_ERR_IO, "cannot read on: Is a directory");
  CHECK_EQ(icl_load(&m, in_folder("missing"), &r), ICL_ERR_IO);
  CHECK(strstr(r.text, "cannot open '/tmp/icl_test_") == r.text);
  CHECK_EQ(icl_load(&m, "", &r), ICL_ERR_IO);
  memset(long_path, 'x', 299);
  long_path[299] = 0;
  CHECK_EQ(icl_load(&m, long_path, &r), ICL_ERR_IO);
  check_report(&r, ICL_ERR_IO, 0);
  for (i = 1; i < 250; i++) {                              /* as long as it may be, the reason is there */
    static const char reason[] = "': No such file or directory";
    memset(long_path, 'x', i);
    memcpy(long_path, "none/", i < 5 ? i : 5);
    memcpy(long_path + i - (i < 4 ? i : 4), &"/end"[i < 4 ? 4 - i : 0], i < 4 ? i : 4);
    long_path[i] = 0;
    CHECK_EQ(icl_load(&m, long_path, &r), ICL_ERR_IO);
    check_report(&r, ICL_ERR_IO, 0);
    if (strcmp(strerror(ENOENT), "No such file or directory")) continue;
    CHECK(strstr(r.text, i < 9 ? "cannot open '" : "cannot open 'none/") == r.text);
    CHECK(strlen(r.text) > sizeof reason && strstr(r.text, i < 4 ? reason : "/end': No such file or directory"));
    CHECK_EQ(strlen(r.text), i + 13 + sizeof reason - 1 < 95 ? i + 13 + sizeof reason - 1 : 95);
    CHECK_EQ(strstr(r.text, "..") != NULL, i + 13 + sizeof reason - 1 > 95);
  }
  CHECK_EQ(icl_load(&m, "tests/\x1b[31m\n\xff", &r), ICL_ERR_IO);
  check_report(&r, ICL_ERR_IO, 0);
  CHECK_EQ(icl_load(NULL, path, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_load(&m, NULL, &r), ICL_ERR_ARG);
  CHECK_EQ(icl_load(NULL, NULL, NULL), ICL_ERR_ARG);
  free(more);
  free(block);
}

/* A file that is mapped, read-only: weights are read in place, by two models at once. */
TEST(files_that_are_mapped)
{
  static unsigned char mem[2][1 << 14];
  size_t n, i, in_place = 0;
  void *block;
  unsigned char *p = written(&n, &block, &full_metadata);
  const char *path = in_folder("mapped");
  const unsigned char *map;
  icl_model m[2], *loaded = NULL;
  static float one[2000], two[2000];
  FILE *f;
  put_file(path, p, n);
  f = fopen(path, "rb");
  map = (const unsigned char *)mmap(NULL, n, PROT_READ, MAP_PRIVATE, fileno(f), 0);
  fclose(f);
  CHECK((const void *)map != MAP_FAILED);
  CHECK_EQ(icl_load(&loaded, path, NULL), ICL_OK);
  for (i = 0; i < 2; i++) CHECK_EQ(icl_model_init(&m[i], map, n, mem[i], sizeof mem[i], NULL), ICL_OK);
  for (i = 0; i < icl__slot_count(&small); i++) {
    const unsigned char *w = (const unsigned char *)m[0].weights[i];
    CHECK(!icl__little_endian() || m[0].weights[i] == m[1].weights[i]);
    in_place += w >= map && w < map + n;
  }
  if (icl__little_endian()) CHECK_EQ(in_place, icl_tensor_count(&small));
  CHECK(icl_param_count(&small) <= COUNT(one));
  CHECK_EQ(icl_model_params(&m[0], one), ICL_OK);
  CHECK_EQ(icl_model_params(loaded, two), ICL_OK);
  CHECK(!memcmp(one, two, icl_param_count(&small) * sizeof *one));
  icl_unload(loaded);
  munmap((void *)(uintptr_t)map, n);
  remove(path);
  free(block);
}

TEST(devices_and_pipes)
{
  size_t n, part;
  void *block;
  unsigned char *p = written(&n, &block, NULL);
  const char *path = in_folder("fifo");
  if (access("/dev/zero", R_OK) == 0) expect_load_error("/dev/zero", ICL_ERR_FORMAT, "header length below 2");
  if (access("/dev/null", R_OK) == 0) expect_load_error("/dev/null", ICL_ERR_FORMAT, "the file ends too early");
  CHECK_EQ(mkfifo(path, 0600), 0);
  for (part = 0; part < 5; part++) {
    size_t bytes = part == 4 ? n : part * n / 4;
    pid_t child = fork();
    icl_model *m = NULL;
    icl_error err;
    int status;
    if (child == 0) {
      FILE *f = fopen(path, "wb");
      size_t half = bytes / 2;
      fwrite(p, 1, half, f);                               /* in two pieces */
      fflush(f);
      usleep(2000);
      fwrite(p + half, 1, bytes - half, f);
      fclose(f);
      _exit(0);
    }
    err = icl_load(&m, path, NULL);
    CHECK_EQ(err, bytes == n ? ICL_OK : ICL_ERR_FORMAT);
    icl_unload(m);
    waitpid(child, &status, 0);
  }
  CHECK_EQ(heap_blocks, 0);
  remove(path);
  free(block);
}

/* A pipe that stays open: what the header promises is there, and nobody waits for more. */
TEST(pipes_that_stay_open)
{
  size_t n;
  void *block;
  unsigned char *p = written(&n, &block, NULL);
  const char *path = in_folder("open");
  int done[2], status = 0;
  pid_t child;
  icl_model *m = NULL;
  CHECK_EQ(mkfifo(path, 0600), 0);
  CHECK_EQ(pipe(done), 0);
  child = fork();
  if (child == 0) {
    struct timeval limit = {20, 0};
    fd_set set;
    FILE *f = fopen(path, "wb");
    fwrite(p, 1, n, f);
    fflush(f);
    close(done[1]);
    FD_ZERO(&set);
    FD_SET(done[0], &set);
    _exit(select(done[0] + 1, &set, NULL, NULL, &limit) == 1 ? 0 : 7);     /* until the parent has loaded */
  }
  close(done[0]);
  CHECK_EQ(icl_load(&m, path, NULL), ICL_OK);
  close(done[1]);
  waitpid(child, &status, 0);
  CHECK_EQ(status, 0);
  icl_unload(m);
  CHECK_EQ(heap_blocks, 0);
  remove(path);
  free(block);
}

/* A header that promises petabytes, in a file of a kilobyte, costs memory like the kilobyte. */
TEST(promises_do_not_cost_memory)
{
  static plan p;
  file f;
  entry *e;
  const char *path = in_folder("lie");
  unsigned char head[8];
  FILE *out;
  memset(&f, 0, sizeof f);
  plan_model(&p, &small, small_metadata, "F32");
  e = plan_tensor(&p, "_backbone.wte.weight", "F64", 2, 1, 1);
  strcpy(e->shape, "1048576,1048576");
  lay_out(&p);
  e->end = e->begin + ((uint64_t)1 << 43);
  make_file(&p, &f);
  icl__put_le(head, f.header.n, 8);
  out = fopen(path, "wb");
  fwrite(head, 1, 8, out);
  fwrite(f.header.s, 1, f.header.n, out);
  fwrite(f.data, 1, f.n_data, out);
  fclose(out);
  heap_peak = 0;
  if (sizeof(size_t) < 8) expect_load_error(path, ICL_ERR_LIMIT, "too large for this address space");
  else expect_load_error(path, ICL_ERR_FORMAT, "the file ends too early");
  CHECK(heap_peak < 4 * (8 + f.header.n + f.n_data) + 65536);
  remove(path);
  free_file(&f);
}

/* Each allocation of icl_load fails: once, then from there on. */
TEST(allocations_that_fail)
{
  static plan p;
  const char *path = in_folder("big");
  int persistent, i;
  file f;
  unsigned char head[8];
  FILE *out;
  memset(&f, 0, sizeof f);
  large_plan(&p);
  make_file(&p, &f);
  icl__put_le(head, f.header.n, 8);
  out = fopen(path, "wb");
  fwrite(head, 1, 8, out);
  fwrite(f.header.s, 1, f.header.n, out);
  fwrite(f.data, 1, f.n_data, out);
  fclose(out);
  for (persistent = 0; persistent < 2; persistent++)
    for (i = 0;; i++) {
      icl_model *m = NULL;
      icl_report r;
      icl_error err;
      heap_allowed = i;
      heap_recovers = !persistent;
      err = icl_load(&m, path, &r);
      if (heap_allowed > 0 || err == ICL_OK) {              /* not reached any more */
        heap_allowed = -1;
        CHECK_EQ(err, ICL_OK);
        CHECK(i >= 3 && i < 40);
        icl_unload(m);
        break;
      }
      heap_allowed = -1;
      CHECK_EQ(err, ICL_ERR_MEMORY);
      check_report(&r, ICL_ERR_MEMORY, SIZE_MAX);
      CHECK(m == NULL);
      CHECK_EQ(heap_blocks, 0);
      CHECK_EQ(icl_load(&m, path, &r), ICL_OK);             /* and again, with memory */
      icl_unload(m);
      CHECK_EQ(heap_blocks, 0);
      reached[ICL_ERR_MEMORY]++;
    }
  remove(path);
  rmdir(folder);
  free_file(&f);
}
#endif

TEST(assumptions_hold)
{
  CHECK(assumed > 1000);
  CHECK_EQ(assumed_wrongly, 0);
}

TEST(every_code_was_reached)
{
  static const icl_error codes[] = {ICL_OK, ICL_ERR_ARG, ICL_ERR_NONFINITE, ICL_ERR_FORMAT, ICL_ERR_LIMIT, ICL_ERR_TENSOR, ICL_ERR_CONFIG,
                                    ICL_ERR_DIGEST};
  size_t i;
  for (i = 0; i < COUNT(codes); i++) CHECK(reached[codes[i]] > 0);
#if HAVE_POSIX
  CHECK(reached[ICL_ERR_IO] > 0 && reached[ICL_ERR_MEMORY] > 0);
#endif
}

/* tests/proof/mutants.py leaves out at first what takes long. */
#ifdef ICL_TEST_SHORT
#define LONG(name) (void)name
#else
#define LONG(name) RUN(name)
#endif

int main(void)
{
  RUN(a_file_loads);
  RUN(grammar); RUN(spellings_that_are_fine); RUN(the_end_of_the_header); RUN(nothing_is_read_beyond_the_header); RUN(number_forms);
  RUN(strings_that_are_not_utf8); RUN(bad_escapes); LONG(utf8_of_all_kinds);
  RUN(bad_values); RUN(names_of_activations); RUN(values_that_contradict); RUN(values_and_defaults); RUN(what_the_metadata_must_say); RUN(task_texts);
  RUN(every_tensor_removed); RUN(every_tensor_renamed); RUN(names_that_are_nearly_right); RUN(layers_beyond_the_limit);
  RUN(every_tensor_twice); RUN(every_tensor_reshaped); RUN(every_tensor_of_another_type);
  RUN(prefixes); LONG(buffers_are_skipped); LONG(any_order); LONG(any_mix_of_types);
  RUN(bytes_times_scales); LONG(bytes_in_any_order); RUN(scales_that_do_not_fit); RUN(values_of_scales);
  LONG(a_range_twice); LONG(ties_at_the_edges_of_walks); LONG(ranges_moved); LONG(counts_of_tensors); RUN(exact_length);
  LONG(sizes_that_overflow); RUN(impossible_shapes); RUN(limits_of_the_configuration);
  RUN(header_lengths_that_lie); RUN(other_kinds_of_files); RUN(header_lengths_slightly_off); RUN(longest_header);
  LONG(headers_that_are_hard_work); RUN(many_tensors_are_not_quadratic); RUN(the_deepest_model); LONG(walks_are_few); RUN(walks_of_an_ordinary_file);
  LONG(cut_at_every_byte); LONG(every_bit_of_the_header_flipped); LONG(every_bit_of_the_data_flipped); LONG(data_damaged_otherwise);
  LONG(weights_that_are_not_finite); RUN(weights_at_the_edge); RUN(digests); RUN(a_digest_of_zero);
  LONG(data_at_every_alignment); LONG(memory_is_exact); RUN(null_arguments);
  LONG(round_trips); RUN(halves); RUN(weights_too_large_for_their_type); LONG(every_epsilon_can_be_written); RUN(configurations_that_are_refused); RUN(texts_that_are_refused);
  LONG(weights_that_are_not_written); RUN(tensor_table); RUN(the_largest_model);
  RUN(what_pytorch_wrote);
#if HAVE_POSIX
  RUN(files_that_load_and_do_not); RUN(files_that_are_mapped); RUN(devices_and_pipes); RUN(pipes_that_stay_open); RUN(promises_do_not_cost_memory); RUN(allocations_that_fail);
#endif
  LONG(every_code_was_reached); LONG(assumptions_hold);
  return test_report("loader");
}
