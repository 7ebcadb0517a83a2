/* The kernels: each over vectors, of every width that the processor has, against its plain C twin and against double precision, with
 * buffers that end where the memory ends, and with NaN in every float that must not be used.
 *
 * The product is held to the letter of >>gemm: every element is one chain of fused multiply-adds, in
 * order of k, from init + bias on, whatever the strides, the packing, and the number of rows. */
#ifdef ICL_TEST_PASS
/* Included by itself for each width: the vector layer. */
ICL__KERNEL void T(exp)(float *out, const float *x) { V(store)(out, V(exp)(V(load)(x))); }
ICL__KERNEL void T(tail)(float *out, const float *x)
{
  V(t) v = V(load)(x), e = V(exp)(V(mul1)(V(mul)(v, v), -0.5f));
  V(store)(out, V(normal_tail)(v, e));
}
ICL__KERNEL void T(sigmoid)(float *out, const float *x) { V(store)(out, V(sigmoid)(V(load)(x))); }
ICL__KERNEL void T(recip)(float *out, const float *x) { V(store)(out, V(recip)(V(load)(x))); }
ICL__KERNEL void T(part)(float *out, const float *x, size_t n) { V(store_n)(out, V(load_n)(x, n), n); }
ICL__KERNEL void T(first)(float *out, const float *x, const float *y, size_t n)
{
  V(store)(out, V(first)(V(load)(x), V(load)(y), n));
}
ICL__KERNEL void T(halves)(float *out, const uint16_t *h) { V(store)(out, V(load_f16)(h)); }
ICL__KERNEL void T(upper_halves)(float *out, const uint16_t *h) { V(store)(out, V(load_bf16)(h)); }
ICL__KERNEL float T(sum)(const float *x)
{
  return V(sum)(V(load)(x), V(load)(x + 16 - ICL__W));
}
ICL__KERNEL float T(top)(const float *x) { return V(hmax)(V(load)(x)); }
static const layer T(layer) = {
  "", ICL__W, T(exp), T(tail), T(sigmoid), T(recip), T(part), T(first), T(halves), T(upper_halves),
  T(sum), T(top)
};
#else
#define _DEFAULT_SOURCE
/* What the header takes for granted, which is checked in all that runs here. */
static long assumed, assumed_wrongly;
#define ICL_ASSERT(condition) ((void)assumed++, (condition) ? (void)0 : (void)assumed_wrongly++)
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"

/* Under emulators and instrumentation, one shape of so many where there are thousands. */
#ifdef ICL_TEST_QUICK
enum { ONE_OF = 17 };
#else
enum { ONE_OF = 1 };
#endif
static unsigned shapes_seen;
static int its_turn(void) { return shapes_seen++ % ONE_OF == 0; }

#if defined __unix__ || defined __APPLE__
#include <sys/mman.h>
#include <unistd.h>
#define HAVE_PAGES 1
#else
#define HAVE_PAGES 0
#endif

/* ----- tools ----------------------------------------------------------------------------------- */

static uint32_t seed = 1;

/* Uniform in [-1, 1). */
static float uniform(void)
{
  seed = seed * 1664525u + 1013904223u;
  return (float)(int32_t)seed / 2147483648.0f;
}

static float nan_float(void)
{
  uint32_t u = 0x7fc00000u;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

static float infinity_float(void)
{
  uint32_t u = 0x7f800000u;
  float x;
  memcpy(&x, &u, 4);
  return x;
}

static int same(const float *a, const float *b, size_t n) { return memcmp(a, b, n * sizeof(float)) == 0; }

/* Room for floats, behind whose end lies a page that nobody may touch.  The blocks are handed out so that
 * they end at that page. */
typedef struct room { float *base; size_t floats; } room;

static room new_room(size_t floats)
{
  room r;
#if HAVE_PAGES
  size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (floats * sizeof(float) + page - 1) / page * page;
  void *p = mmap(NULL, bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (p == MAP_FAILED || mprotect((char *)p + bytes, page, PROT_NONE)) exit(3);
  r.base = (float *)p;
  r.floats = bytes / sizeof(float);
#else
  r.base = (float *)malloc(floats * sizeof(float));
  r.floats = floats;
#endif
  return r;
}

static float *at_end(const room *r, size_t floats)
{
  if (floats > r->floats) exit(3);
  return r->base + r->floats - floats;
}

/* Which tables there are to test. */
static const icl__ops *tables[4];
static int n_tables;

static int is_simd(const icl__ops *o) { return o != &icl__ops_ref; }

/* Where it is known beforehand which kernels must be the ones in use. */
#ifdef ICL_TEST_ISA
TEST(kernels_in_use) { CHECK_STR(icl__ops_best()->name, ICL_TEST_ISA); }
#endif

/* ----- the product ----------------------------------------------------------------------------- */

enum { A_ROWS, A_COLUMNS, A_STRIDES, A_KINDS };
enum { B_ROWS, B_PADDED_STRIDE, B_COLUMNS, B_MAY_OVERREAD, B_STRIDES, B_KINDS };
enum { START_NONE, START_BIAS, START_INIT, START_BOTH, START_IN_PLACE, START_IN_PLACE_BIAS, START_ONE_ROW,
       START_KINDS };
enum { ACT_NONE, ACT_APART, ACT_IN_PLACE, ACT_SCALE, ACT_KINDS };

/* What the tests of the product share: values as plain matrices, and rooms to lay them out in. */
enum { MAX_M = 320, MAX_N = 320, MAX_K = 1040 };
#define COUNT(a) (sizeof (a) / sizeof *(a))

static float *val_a, *val_b, *val_init, *val_bias;            /* [m][k], [k][n], [m][n], [n]          */
static float *want[4];                                        /* [m][n] from none, bias, init, both   */
static double *exact, *size_of;                               /* [m][n] A B, |A| |B|                  */
static room room_a, room_b, room_init, room_bias, room_c, room_act, room_pack, room_pack_a,
            room_panels;

static void open_rooms(void)
{
  size_t mn = (size_t)MAX_M * MAX_N, mk = (size_t)MAX_M * MAX_K, kn = (size_t)MAX_K * MAX_N;
  int i;
  val_a = (float *)malloc(mk * sizeof(float));
  val_b = (float *)malloc(kn * sizeof(float));
  val_init = (float *)malloc(mn * sizeof(float));
  val_bias = (float *)malloc(MAX_N * sizeof(float));
  for (i = 0; i < 4; i++) want[i] = (float *)malloc(mn * sizeof(float));
  exact = (double *)malloc(mn * sizeof(double));
  size_of = (double *)malloc(mn * sizeof(double));
  room_a = new_room(3 * mk);
  room_b = new_room(3 * kn);
  room_init = new_room(2 * mn);
  room_bias = new_room(MAX_N);
  room_c = new_room(2 * mn);
  room_act = new_room(2 * mn);
  room_pack = new_room(256 * 256);
  room_pack_a = new_room(96 * 256);
  room_panels = new_room((size_t)MAX_K * (MAX_N + ICL__NR) + 16);
}

static void draw_values(size_t m, size_t n, size_t k)
{
  size_t i;
  for (i = 0; i < m * k; i++) val_a[i] = uniform();
  for (i = 0; i < k * n; i++) val_b[i] = uniform();
  for (i = 0; i < m * n; i++) val_init[i] = uniform();
  for (i = 0; i < n; i++) val_bias[i] = uniform();
}

/* One step of a chain, as the vector unit takes it: rounded once, but twice in WebAssembly. */
static float step(float a, float b, float c) { return ICL__WASM ? a * b + c : fmaf(a, b, c); }

/* The four chains of each element, and the product in double precision. */
static void expect_product(size_t m, size_t n, size_t k)
{
  size_t i, j, p;
  int s;
  for (i = 0; i < m; i++)
    for (j = 0; j < n; j++) {
      float init = val_init[i * n + j], bias = val_bias[j];
      float c0 = 0, c1 = bias, c2 = init, c3 = init + bias;
      double sum = 0, size = 0;
      for (p = 0; p < k; p++) {
        float a = val_a[i * k + p], b = val_b[p * n + j];
        c0 = step(a, b, c0); c1 = step(a, b, c1); c2 = step(a, b, c2); c3 = step(a, b, c3);
        sum += (double)a * (double)b;
        size += fabs((double)a * (double)b);
      }
      want[0][i * n + j] = c0; want[1][i * n + j] = c1; want[2][i * n + j] = c2; want[3][i * n + j] = c3;
      exact[i * n + j] = sum;
      size_of[i * n + j] = size;
      for (s = 0; s < 4; s++) {
        double start = (s & 2 ? (double)init : 0) + (s & 1 ? (double)bias : 0);
        CHECK_NEAR(want[s][i * n + j], sum + start, 1.2e-7 * (double)(k + 2) * (size + 2));
      }
    }
}

/* One way to lay out and ask for a product. */
typedef struct way { int a, b, start, act, act_kind, pack_a, large_pack, pad, panels; } way;

static void fill(float *x, size_t n, float v) { size_t i; for (i = 0; i < n; i++) x[i] = v; }

static void lay_out_a(icl__mm *g, const way *w)
{
  size_t i, p, floats;
  float *a;
  if (w->a == A_ROWS) { g->a_row = g->k + (size_t)w->pad; g->a_col = 1; }
  else if (w->a == A_COLUMNS) { g->a_row = 1; g->a_col = g->m + (size_t)w->pad; }
  else { g->a_row = 2 * g->k + 1; g->a_col = 2; }
  floats = g->m && g->k ? (g->m - 1) * g->a_row + (g->k - 1) * g->a_col + 1 : 0;
  fill(a = at_end(&room_a, floats), floats, nan_float());
  for (i = 0; i < g->m; i++)
    for (p = 0; p < g->k; p++) a[i * g->a_row + p * g->a_col] = val_a[i * g->k + p];
  g->a = a;
}

static void lay_out_b(icl__mm *g, const way *w)
{
  size_t p, j, floats, last = g->n;
  float *b;
  g->b_col = 1;
  g->b_row = g->n;
  if (w->b == B_PADDED_STRIDE) g->b_row += 1 + (size_t)w->pad;
  if (w->b == B_COLUMNS) { g->b_row = 1; g->b_col = g->k + (size_t)w->pad; }
  if (w->b == B_STRIDES) { g->b_row = 2 * g->n + 1; g->b_col = 2; }
  if (w->b == B_MAY_OVERREAD) { g->b_padded = 1; last = icl__round_up(g->n); }
  floats = g->n && g->k ? (g->k - 1) * g->b_row + (last - 1) * g->b_col + 1 : 0;
  fill(b = at_end(&room_b, floats), floats, nan_float());
  for (p = 0; p < g->k; p++)
    for (j = 0; j < g->n; j++) b[p * g->b_row + j * g->b_col] = val_b[p * g->n + j];
  g->b = b;
}

static void lay_out_start(icl__mm *g, const way *w)
{
  int in_place = w->start == START_IN_PLACE || w->start == START_IN_PLACE_BIAS;
  size_t i;
  if (w->start == START_BIAS || w->start == START_BOTH || w->start == START_IN_PLACE_BIAS)
    g->bias = (const float *)memcpy(at_end(&room_bias, g->n), val_bias, g->n * sizeof(float));
  if (w->start == START_INIT || w->start == START_BOTH || w->start == START_ONE_ROW) {
    float *x;
    size_t rows = w->start == START_ONE_ROW ? 1 : g->m, floats;
    g->init_row = w->start == START_ONE_ROW ? 0 : g->n + (size_t)w->pad;
    floats = rows && g->n ? (rows - 1) * g->init_row + g->n : 0;
    fill(x = at_end(&room_init, floats), floats, nan_float());
    for (i = 0; i < rows; i++) memcpy(x + i * g->init_row, val_init + i * g->n, g->n * sizeof(float));
    g->init = x;
  }
  if (in_place) {
    g->init = g->c;
    g->init_row = g->c_row;
    for (i = 0; i < g->m; i++) memcpy(g->c + i * g->c_row, val_init + i * g->n, g->n * sizeof(float));
  }
}

static const float canary = -12345.678f;

/* A block [m] rows of stride row, in canaries.  It ends where the last row does, at the end of the room. */
static float *output(const room *r, size_t m, size_t n, size_t row, size_t *floats)
{
  float *x;
  *floats = m && n ? (m - 1) * row + n : 0;
  x = at_end(r, *floats);
  fill(x - 16, *floats + 16, canary);
  return x;
}

/* Nothing but [m][n] of the block was written. */
static int intact(const float *x, size_t m, size_t n, size_t row)
{
  size_t i, j;
  for (j = 0; j < 16; j++) if (x[(ptrdiff_t)j - 16] != canary) return 0;
  for (i = 0; i + 1 < m; i++)
    for (j = n; j < row; j++) if (x[i * row + j] != canary) return 0;
  return 1;
}

/* B packed once for all: as many floats as promised, every one of them, and none around them. */
static void lay_out_panels(icl__mm *g, const icl__ops *o)
{
  size_t n = g->k * ((g->n + o->columns - 1) / o->columns * o->columns), floats, i = 0;
  float *p = output(&room_panels, 1, n, n, &floats);
  o->panels(p, g);
  CHECK(intact(p, 1, n, n));
  while (i < n && p[i] != canary) i++;
  CHECK_EQ(i, n);
  g->panels = p;
}

/* As in the backward pass, out is C itself and `in` another matrix.  It holds powers of two, so that its
 * factors can be taken out of the result again without a trace. */
static void times(float *out, float *in, size_t n, icl_activation kind)
{
  size_t i;
  (void)kind;
  for (i = 0; i < n; i++) out[i] *= in[i];
}

static void lay_out_factors(icl__mm *g)
{
  size_t floats = (g->m - 1) * g->c_row + g->n, i, j;
  float *x = at_end(&room_act, floats);
  fill(x, floats, nan_float());
  for (i = 0; i < g->m; i++)
    for (j = 0; j < g->n; j++) x[i * g->c_row + j] = ldexpf(j % 2 ? -1.0f : 1.0f, (int)((i + j) % 7) - 3);
  g->after = times;
  g->out = g->c; g->in = x; g->after_row = g->c_row;
}

static void take_factors_out(const icl__mm *g)
{
  size_t i, j;
  for (i = 0; i < g->m; i++)
    for (j = 0; j < g->n; j++) g->c[i * g->c_row + j] /= g->in[i * g->after_row + j];
}

static int near_exact(const float *c, size_t i, size_t j, size_t n, size_t k, int start)
{
  double init = (start & 2) ? (double)val_init[i * n + j] : 0, bias = (start & 1) ? (double)val_bias[j] : 0;
  double e = (double)c[j] - (exact[i * n + j] + init + bias);
  return fabs(e) <= 1.2e-7 * (double)(k + 2) * (size_of[i * n + j] + 2);
}

/* Runs the product and checks all that it wrote. */
static void check_way(const icl__ops *o, size_t m, size_t n, size_t k, const way *w)
{
  static const int chain[START_KINDS] = {0, 1, 2, 3, 2, 3, 2};
  static float row[MAX_N];
  icl__mm g;
  float *c;
  size_t i, j, floats, act_floats;
  int start = chain[w->start], in_place = w->act == ACT_IN_PLACE;
  memset(&g, 0, sizeof g);
  g.m = m; g.n = n; g.k = k;
  g.c_row = n + (size_t)w->pad;
  c = g.c = output(&room_c, m, n, g.c_row, &floats);
  lay_out_a(&g, w);
  lay_out_b(&g, w);
  lay_out_start(&g, w);
  g.act_kind = (icl_activation)w->act_kind;
  if (w->act == ACT_APART) {
    g.after = o->activate; g.in = g.c; g.after_row = g.c_row;
    g.out = output(&room_act, m, n, g.after_row, &act_floats);
  }
  if (in_place) { g.after = o->activate; g.out = g.c; g.in = g.c; g.after_row = g.c_row; }
  if (w->act == ACT_SCALE) lay_out_factors(&g);
  if (w->panels && o->panels) lay_out_panels(&g, o);
  g.n_pack = w->large_pack ? 256 * 256 : ICL__NR * (k < 256 ? k : 256);
  g.pack = at_end(&room_pack, g.n_pack);
  g.pack_a = w->pack_a ? at_end(&room_pack_a, 96 * 256) : NULL;
  o->mm(&g);
  CHECK(intact(c, m, n, g.c_row));
  if (w->act == ACT_APART) CHECK(intact(g.out, m, n, g.after_row));
  if (w->act == ACT_SCALE) take_factors_out(&g);
  for (i = 0; i < m; i++) {
    float *ci = c + i * g.c_row, *expected = want[start] + i * n;
    if (w->start == START_ONE_ROW && i) {                     /* every row starts from row 0 of init */
      for (j = 0; j < n; j++) row[j] = nan_float();
      continue;
    }
    if (!in_place && is_simd(o)) CHECK(same(ci, expected, n));
    if (!in_place && !is_simd(o)) for (j = 0; j < n; j++) CHECK(near_exact(ci, i, j, n, k, start));
    if (w->act == ACT_APART) {
      o->activate(row, ci, n, g.act_kind);
      CHECK(same(g.out + i * g.after_row, row, n));
    }
    if (in_place && is_simd(o)) {
      o->activate(row, expected, n, g.act_kind);
      CHECK(same(ci, row, n));
    }
  }
}

/* Every layout of A and B; starts, activations and packing take turns. */
static void check_shape(size_t m, size_t n, size_t k, unsigned *turn)
{
  int t, a, b;
  draw_values(m, n, k);
  expect_product(m, n, k);
  for (t = 0; t < n_tables; t++)
    for (a = 0; a < A_KINDS; a++)
      for (b = 0; b < B_KINDS; b++) {
        way w;
        unsigned u = (*turn)++;
        w.a = a; w.b = b;
        w.start = (int)(u % START_KINDS); u /= START_KINDS;
        w.act = (int)(u % ACT_KINDS); u /= ACT_KINDS;
        w.act_kind = (int)(u % 3); u /= 3;
        w.pack_a = (int)(u & 1); w.large_pack = (int)(u >> 1 & 1); w.pad = (int)((u >> 2) % 3);
        w.panels = (int)((u >> 2) / 3 & 1);
        check_way(tables[t], m, n, k, &w);
      }
}

TEST(product_of_all_small_shapes)
{
  size_t m, n, k;
  unsigned turn = 0;
  for (m = 1; m <= 20; m++)
    for (n = 1; n <= 20; n++)
      for (k = 1; k <= 20; k++) if (its_turn()) check_shape(m, n, k, &turn);
}

/* Every combination of all that a call can ask for, on a few shapes. */
TEST(product_in_all_ways)
{
  static const size_t shapes[][3] = {{1, 19, 5}, {2, 16, 7}, {2, 9, 4}, {3, 17, 9}, {7, 32, 6}, {13, 21, 3}};
  size_t s;
  int t;
  way w;
  for (s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
    draw_values(m, n, k);
    expect_product(m, n, k);
    for (t = 0; t < n_tables; t++)
      for (w.a = 0; w.a < A_KINDS; w.a++)
        for (w.b = 0; w.b < B_KINDS; w.b++)
          for (w.start = 0; w.start < START_KINDS; w.start++)
            for (w.act = 0; w.act < ACT_KINDS; w.act++)
              for (w.act_kind = 0; w.act_kind < (w.act ? 3 : 1); w.act_kind++)
                for (w.pack_a = 0; w.pack_a < 2; w.pack_a++)
                  for (w.large_pack = 0; w.large_pack < 2; w.large_pack++)
                    for (w.pad = 0; w.pad < 3; w.pad += 2)
                      for (w.panels = 0; w.panels < 2; w.panels++) check_way(tables[t], m, n, k, &w);
  }
}

TEST(product_of_large_shapes)
{
  static const size_t shapes[][3] = {
    {97, 131, 517}, {300, 257, 261}, {7, 16, 1000}, {1, 320, 1040}, {2, 257, 513}, {3, 300, 256},
    {23, 48, 257}, {24, 48, 255}, {96, 16, 256}, {97, 272, 3}, {192, 33, 12}, {193, 15, 12}, {320, 1, 300}
  };
  size_t s;
  unsigned turn = 5;
  for (s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    size_t m = shapes[s][0], n = shapes[s][1], k = shapes[s][2];
    way w;
    int t, a;
    if (m * n * k < 4000000) { check_shape(m, n, k, &turn); continue; }
    draw_values(m, n, k);
    expect_product(m, n, k);
    for (t = 0; t < n_tables; t++)
      for (a = 0; a < (tables[t] == &icl__ops_ref ? 1 : 4); a++) {
        memset(&w, 0, sizeof w);
        w.a = a & 1 ? A_COLUMNS : A_ROWS;
        w.b = a & 2 ? B_COLUMNS : B_ROWS;
        w.start = a; w.pack_a = a & 1; w.large_pack = a >> 1; w.pad = a;
        check_way(tables[t], m, n, k, &w);
      }
  }
}

/* k = 0 leaves init + bias; m = 0 or n = 0 writes nothing and reads nothing. */
TEST(product_of_nothing)
{
  static const size_t rows[] = {1, 2, 3, 6, 7, 30};
  size_t i, n;
  int t;
  way w;
  memset(&w, 0, sizeof w);
  for (i = 0; i < 6; i++)
    for (n = 1; n < 40; n += 5) {
      draw_values(rows[i], n, 0);
      expect_product(rows[i], n, 0);
      for (t = 0; t < n_tables; t++)
        for (w.b = 0; w.b < B_KINDS; w.b++)
          for (w.start = 0; w.start < START_KINDS; w.start++)
            for (w.act = 0; w.act < ACT_KINDS; w.act++)
              for (w.panels = 0; w.panels < 2; w.panels++) check_way(tables[t], rows[i], n, 0, &w);
    }
  for (t = 0; t < n_tables; t++) {
    icl__mm g;
    memset(&g, 0, sizeof g);
    g.n = 5; g.k = 5; g.a_col = g.b_col = 1;
    g.a = at_end(&room_a, 0);                              /* not NULL, to which C adds not even 0       */
    g.c = at_end(&room_c, 0);
    tables[t]->mm(&g);
    g.n = 0; g.m = 5;
    tables[t]->mm(&g);
    g.m = g.k = 0;
    tables[t]->mm(&g);
  }
}

/* Weights packed once, as they lie and transposed: the chains that the product without them computes. */
static void check_panels(size_t m, size_t n, size_t k, unsigned *turn)
{
  int transposed, t;
  draw_values(m, n, k);
  expect_product(m, n, k);
  for (transposed = 0; transposed < 2; transposed++) {
    way w;
    unsigned u = (*turn)++;
    memset(&w, 0, sizeof w);
    w.panels = 1;
    w.b = transposed ? B_COLUMNS : B_ROWS;
    w.a = (int)(u / 2 % A_KINDS);
    w.start = (int)(u / 6 % START_KINDS);
    w.act = (int)(u / 14 % ACT_KINDS);
    w.large_pack = (int)(u / 3 % 2); w.pack_a = (int)(u / 5 % 2);
    for (t = 1; t < n_tables; t++) if (tables[t]->panels) check_way(tables[t], m, n, k, &w);
  }
}

TEST(panels_of_all_small_shapes)
{
  size_t m, n, k;
  unsigned turn = 0;
  if (n_tables < 2) SKIP("no vector unit");
  for (m = 1; m <= 20; m++)
    for (n = 1; n <= 20; n++)
      for (k = 1; k <= 20; k++) check_panels(m, n, k, &turn);
}

TEST(panels_of_large_shapes)
{
  static const size_t shapes[][3] = {
    {97, 131, 517}, {300, 257, 261}, {7, 300, 600}, {1, 320, 1040}, {2, 257, 513}, {3, 300, 256},
    {23, 272, 1000}, {24, 319, 511}, {193, 258, 259}, {5, 15, 1025}, {100, 320, 7}
  };
  size_t s;
  unsigned turn = 0, round;
  if (n_tables < 2) SKIP("no vector unit");
  for (s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (round = 0; round < 3; round++, turn += 11)
      if (its_turn()) check_panels(shapes[s][0], shapes[s][1], shapes[s][2], &turn);
}

/* B as F16 or BF16: the bits of the product with the same numbers as F32, nothing read beyond the end. */
static void check_halves(size_t m, size_t n, size_t k, icl__dtype type, int transposed, int panels)
{
  size_t i, j, t, floats, count = n * k;
  draw_values(m, n, k);
  for (i = 0; i < count; i++) val_b[i] = icl__half(icl__to_half(val_b[i], type), type);
  expect_product(m, n, k);
  for (t = 0; t < (size_t)n_tables; t++) {
    icl__mm g;
    way w;
    uint16_t *half = (uint16_t *)(void *)at_end(&room_b, (count + 1) / 2) + (count & 1);
    memset(&w, 0, sizeof w);
    memset(&g, 0, sizeof g);
    g.m = m; g.n = n; g.k = k;
    g.b_row = transposed ? 1 : n;
    g.b_col = transposed ? k : 1;
    for (i = 0; i < k; i++)
      for (j = 0; j < n; j++)
        half[i * g.b_row + j * g.b_col] = (uint16_t)icl__to_half(val_b[i * n + j], type);
    icl__set_b(&g, type, half, NULL);
    g.c = output(&room_c, m, n, n, &floats);
    g.c_row = n;
    lay_out_a(&g, &w);
    g.n_pack = ICL__NR * (k < 256 ? k : 256);
    g.pack = at_end(&room_pack, g.n_pack);
    if (panels && tables[t]->panels) lay_out_panels(&g, tables[t]);
    tables[t]->mm(&g);
    for (i = 0; i < m; i++)
      for (j = 0; j < n; j++)
        CHECK(is_simd(tables[t]) ? g.c[i * n + j] == want[0][i * n + j]
                                 : near_exact(g.c + i * n, i, j, n, k, 0));
  }
}

TEST(weights_of_half_precision)
{
  static const size_t rows[] = {1, 2, 3, 7, 30}, ks[] = {1, 3, 4, 5, 8, 17, 256, 300};
  static const size_t ns[] = {1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 100, 300};
  size_t a, b, c;
  int kind;
  for (a = 0; a < COUNT(rows); a++)
    for (b = 0; b < COUNT(ks); b++)
      for (c = 0; c < COUNT(ns); c++)
        for (kind = 0; kind < 8; kind++)
          if (its_turn())
            check_halves(rows[a], ns[c], ks[b], kind & 1 ? ICL__F16 : ICL__BF16, kind >> 1 & 1, kind >> 2);
}

/* B as I8, with scales and without: the same. */
static void check_bytes(size_t m, size_t n, size_t k, int scaled, int transposed, int panels)
{
  size_t i, j, t, floats, count = n * k;
  float *scale = at_end(&room_init, n);
  int8_t *i8 = (int8_t *)at_end(&room_b, (count + 3) / 4) + ((count + 3) / 4 * 4 - count);
  draw_values(m, n, k);
  for (j = 0; j < n; j++) scale[j] = scaled ? 0.02f * (1.5f + uniform()) : 1.0f;
  for (i = 0; i < k; i++)
    for (j = 0; j < n; j++) {
      int8_t q = (int8_t)(i + j == 0 ? -128 : 127.4f * val_b[i * n + j]);
      i8[transposed ? j * k + i : i * n + j] = q;
      val_b[i * n + j] = (float)q * scale[j];
    }
  expect_product(m, n, k);
  for (t = 0; t < (size_t)n_tables; t++) {
    icl__mm g;
    way w;
    memset(&w, 0, sizeof w);
    memset(&g, 0, sizeof g);
    g.m = m; g.n = n; g.k = k;
    g.b_row = transposed ? 1 : n;
    g.b_col = transposed ? k : 1;
    icl__set_b(&g, ICL__I8, i8, scaled ? scale : NULL);
    g.c = output(&room_c, m, n, n, &floats);
    g.c_row = n;
    lay_out_a(&g, &w);
    g.n_pack = ICL__NR * (k < 256 ? k : 256);
    g.pack = at_end(&room_pack, g.n_pack);
    if (panels && tables[t]->panels) lay_out_panels(&g, tables[t]);
    tables[t]->mm(&g);
    CHECK(intact(g.c, m, n, n));
    for (i = 0; i < m; i++)
      for (j = 0; j < n; j++)
        CHECK(is_simd(tables[t]) ? g.c[i * n + j] == want[0][i * n + j]
                                 : near_exact(g.c + i * n, i, j, n, k, 0));
  }
}

TEST(weights_of_eight_bits)
{
  static const size_t rows[] = {1, 2, 3, 7, 30}, ks[] = {1, 3, 4, 5, 17, 256, 300};
  static const size_t ns[] = {1, 7, 8, 9, 15, 16, 17, 24, 31, 33, 100};
  size_t a, b, c;
  int kind;
  for (a = 0; a < COUNT(rows); a++)
    for (b = 0; b < COUNT(ks); b++)
      for (c = 0; c < COUNT(ns); c++)
        for (kind = 0; kind < 8; kind++)
          if (its_turn()) check_bytes(rows[a], ns[c], ks[b], kind & 1, kind >> 1 & 1, kind >> 2);
}

/* Whole numbers up to 127, the nearest ones, of a scale that the largest decides. */
TEST(rounding_to_eight_bits)
{
  size_t n, i;
  for (n = 1; n <= 40; n++) {
    float x[3 * 40], most = 0, s;
    int8_t q[2 * 40];
    memset(q, 99, sizeof q);
    for (i = 0; i < 3 * n; i++) x[i] = i % 3 ? nan_float() : ldexpf(uniform(), (int)n - 20);
    for (i = 0; i < n; i++) most = fmaxf(most, fabsf(x[3 * i]));
    s = icl__to_i8(q, 2, x, 3, n);
    CHECK_NEAR(s, most / 127, 1e-7 * (double)most);
    for (i = 0; i < n; i++) {
      CHECK(abs(q[2 * i]) <= 127 && q[2 * i + 1] == 99);
      CHECK_NEAR((double)s * q[2 * i], x[3 * i], 0.50001 * (double)s);
    }
    x[3 * (n / 2)] = n % 2 ? nan_float() : infinity_float();
    s = icl__to_i8(q, 2, x, 3, n);
    CHECK(s != s);
    for (i = 0; i < n; i++) x[3 * i] = i % 2 ? 1e-37f : -0.0f;
    s = icl__to_i8(q, 2, x, 3, n);
    CHECK(s == 1);
    for (i = 0; i < n; i++) CHECK_EQ(q[2 * i], 0);
  }
}

/* Any number of rows and columns; nothing written between the rows or behind them. */
TEST(transposing)
{
  size_t m, n, i, j, floats;
  int t;
  for (t = 0; t < n_tables; t++)
    for (m = 1; m <= 20; m++)
      for (n = 1; n <= 20; n++) {
        size_t in_row = n + m % 3, out_row = m + n % 4, count = (m - 1) * in_row + n;
        float *x = at_end(&room_a, count), *y;
        for (i = 0; i < count; i++) x[i] = uniform();
        y = output(&room_c, n, m, out_row, &floats);
        tables[t]->transpose(y, out_row, x, in_row, m, n);
        CHECK(intact(y, n, m, out_row));
        for (i = 0; i < m; i++)
          for (j = 0; j < n; j++) CHECK(y[j * out_row + i] == x[i * in_row + j]);
      }
}

/* Where there are panels they are what counts, not B: it may be gone. */
TEST(panels_stand_for_b)
{
  static const size_t rows[] = {3, 6, 7, 24, 100}, ks[] = {1, 8, 256, 300, 600}, ns[] = {1, 16, 100, 300};
  size_t a, b, c, floats;
  int transposed, t;
  if (n_tables < 2) SKIP("no vector unit");
  for (a = 0; a < 5; a++)
    for (b = 0; b < 5; b++)
      for (c = 0; c < 4; c++)
        for (transposed = 0; transposed < 2; transposed++) for (t = 1; t < n_tables; t++) {
          icl__mm g;
          way w;
          if (!its_turn() || !tables[t]->panels) continue;
          memset(&w, 0, sizeof w);
          memset(&g, 0, sizeof g);
          w.b = transposed ? B_COLUMNS : B_ROWS;
          g.m = rows[a]; g.n = ns[c]; g.k = ks[b];
          draw_values(g.m, g.n, g.k);
          expect_product(g.m, g.n, g.k);
          g.c = output(&room_c, g.m, g.n, g.n, &floats);
          g.c_row = g.n;
          lay_out_a(&g, &w);
          lay_out_b(&g, &w);
          lay_out_panels(&g, tables[t]);
          fill(at_end(&room_b, g.n * g.k), g.n * g.k, nan_float());
          g.n_pack = ICL__NR * (g.k < 256 ? g.k : 256);
          g.pack = at_end(&room_pack, g.n_pack);
          tables[t]->mm(&g);
          CHECK(same(g.c, want[0], g.m * g.n));
        }
}

/* ----- the same bits, whatever is computed beside them ------------------------------------------ */

/* c[m][n] for the values laid out plainly, b transposed or not. */
static void multiply(const icl__ops *o, float *c, size_t m, size_t n, size_t k, int transposed, int padded,
                     size_t n_pack)
{
  icl__mm g;
  memset(&g, 0, sizeof g);
  g.m = m; g.n = n; g.k = k;
  g.a = val_a; g.a_row = k; g.a_col = 1;
  g.b = val_b; g.b_row = transposed ? 1 : n; g.b_col = transposed ? k : 1;
  g.b_padded = padded;
  g.init = val_init; g.init_row = n; g.bias = val_bias;
  g.c = c; g.c_row = n;
  g.pack = at_end(&room_pack, n_pack); g.n_pack = n_pack;
  o->mm(&g);
}

/* Row i of an m-row product is the product of row i: by one row, by many, by any panel width. */
TEST(rows_do_not_know_of_each_other)
{
  static const size_t rows[] = {1, 2, 3, 5, 6, 7, 23, 24, 100}, ns[] = {1, 7, 8, 15, 16, 17, 48, 100, 260};
  static const size_t ks[] = {1, 5, 64, 256, 257, 600};
  float *all = (float *)malloc(sizeof(float) * 100 * 260), *c = (float *)malloc(sizeof(float) * 100 * 260);
  size_t a, b, r;
  int t, transposed, padded;
  for (t = 0; t < n_tables; t++)
    for (a = 0; a < 9; a++)
      for (b = 0; b < 6; b++) {
        size_t n = ns[a], k = ks[b];
        draw_values(100, n, k);
        for (transposed = 0; transposed < 2; transposed++) {
          multiply(tables[t], all, 100, n, k, transposed, 0, 256 * 256);
          for (padded = 0; padded <= !transposed; padded++)
            for (r = 0; r < 8; r++) {
              memset(c, 0, sizeof(float) * rows[r] * n);
              multiply(tables[t], c, rows[r], n, k, transposed, padded, r & 1 ? ICL__NR * (k < 256 ? k : 256) : 256 * 100);
              CHECK(same(c, all, rows[r] * n));
            }
        }
      }
  free(all);
  free(c);
}

/* Sums of zeros have a sign too: one row, two rows and full tiles agree about it. */
TEST(zeros_have_the_same_sign_everywhere)
{
  static const size_t ns[] = {1, 8, 15, 16, 17, 32, 40};
  static float one[64], many[64 * 64];
  int t, start, product;
  size_t a, m, i, j, k;
  for (t = 0; t < n_tables; t++)
    for (k = 0; k < 3; k++)
      for (start = 0; start < 2; start++)
        for (product = 0; product < 2; product++)
          for (a = 0; a < 7; a++) {
            size_t n = ns[a];
            fill(val_a, 64 * 2, product ? -1.0f : 1.0f);
            fill(val_b, 64 * 2, 0.0f);
            fill(val_init, 64 * 64, start ? -0.0f : 0.0f);
            for (m = 1; m <= 30; m += m < 8 ? 1 : 11) {
              icl__mm g;
              memset(&g, 0, sizeof g);
              g.m = m; g.n = n; g.k = k;
              g.a = val_a; g.a_row = k; g.a_col = 1;
              g.b = val_b; g.b_row = n; g.b_col = 1;
              g.init = val_init; g.init_row = n;
              g.c = m == 1 ? one : many; g.c_row = n;
              g.pack = room_pack.base; g.n_pack = 256 * 256;
              tables[t]->mm(&g);
              for (i = 0; i < m && m > 1; i++)
                for (j = 0; j < n; j++) CHECK_EQ(signbit(many[i * n + j]) != 0, signbit(one[j]) != 0);
            }
          }
}

/* A NaN or infinity in A or B reaches every element of its row or column, and no other. */
TEST(product_passes_nan_on)
{
  static const size_t rows[] = {1, 2, 3, 7, 25};
  static float c[32 * 40];
  size_t r, i, j, p;
  int t, in_b;
  for (t = 0; t < n_tables; t++)
    for (r = 0; r < 5; r++)
      for (p = 0; p < 9; p++)
        for (in_b = 0; in_b < 2; in_b++) {
          size_t m = rows[r], n = 37, k = 9, at = in_b ? (p * 5) % n : (p * 3) % m;
          draw_values(m, n, k);
          if (in_b) val_b[p * n + at] = p & 1 ? nan_float() : infinity_float();
          else val_a[at * k + p] = p & 1 ? nan_float() : infinity_float();
          multiply(tables[t], c, m, n, k, 0, 0, ICL__NR * 9);
          for (i = 0; i < m; i++)
            for (j = 0; j < n; j++)
              CHECK_EQ(icl__finite(&c[i * n + j], 1), in_b ? j != at : i != at);
        }
}

/* ----- rows: LayerNorm, softmax, activations ---------------------------------------------------- */

static const size_t long_rows[] = {96, 100, 127, 255, 256, 257, 1000, 4099};

/* n = 1 .. 70, then a few long ones; 0 at the end. */
static size_t next_length(size_t n)
{
  size_t i;
  if (n < 70) return n + 1;
  for (i = 0; i < sizeof long_rows / sizeof *long_rows; i++) if (long_rows[i] > n) return long_rows[i];
  return 0;
}

static void check_layernorm(const icl__ops *o, size_t rows, size_t n, float centre, float spread, float eps)
{
  float *x = at_end(&room_a, rows * n), *gain = at_end(&room_bias, 0), *bias, *out, stats[8];
  size_t floats, t, i;
  gain = at_end(&room_b, n);
  bias = at_end(&room_init, n);
  for (i = 0; i < rows * n; i++) x[i] = centre + spread * uniform();
  for (i = 0; i < n; i++) { gain[i] = uniform(); bias[i] = uniform(); }
  out = output(&room_c, rows, n, n, &floats);
  fill(stats, 8, canary);
  o->layernorm(out, rows > 1 ? stats : NULL, x, gain, bias, rows, n, eps);
  CHECK(intact(out, rows, n, n));
  for (t = 0; t < rows; t++) {
    double mean = 0, var = 0, rstd, tol;
    for (i = 0; i < n; i++) mean += (double)x[t * n + i];
    mean /= (double)n;
    for (i = 0; i < n; i++) var += ((double)x[t * n + i] - mean) * ((double)x[t * n + i] - mean);
    rstd = 1 / sqrt(var / (double)n + (double)eps);
    /* the mean in float is off by some roundings of its own size */
    tol = 2e-6 + 2e-6 * sqrt((double)n) + 3e-7 * fabs((double)centre) * rstd * (1 + sqrt((double)n) / 8);
    for (i = 0; i < n; i++)
      CHECK_NEAR(out[t * n + i], (double)gain[i] * ((double)x[t * n + i] - mean) * rstd + (double)bias[i], tol);
    if (rows > 1) CHECK_NEAR(stats[2 * t], mean, 1e-6 * (fabs((double)centre) + 1) * (1 + sqrt((double)n) / 8));
    if (rows > 1) CHECK_NEAR(stats[2 * t + 1], rstd, (1e-5 + tol) * rstd);
  }
  if (rows > 1) CHECK(stats[2 * rows] == canary);
}

TEST(layernorm)
{
  size_t n;
  int t;
  for (t = 0; t < n_tables; t++)
    for (n = 1; n; n = next_length(n)) {
      check_layernorm(tables[t], 1, n, 0, 1, 1e-5f);
      check_layernorm(tables[t], 3, n, 0.5f, 2, 1e-5f);
      check_layernorm(tables[t], 2, n, 100, 1, 1e-12f + (n < 3 ? 1e-3f : 0));
      check_layernorm(tables[t], 2, n, 0, 1e-4f, 1e-5f);
      check_layernorm(tables[t], 1, n, 0, 1e6f, 0.0013f);
    }
}

/* A row's bits do not depend on the rows beside it, and constant rows come out as the bias (what the mean
 * is off by, over sqrt(eps)). */
TEST(layernorm_of_each_row)
{
  static float x[5 * 70], gain[70], bias[70], all[5 * 70], one[70];
  size_t n, t, i;
  int k;
  for (k = 0; k < n_tables; k++)
    for (n = 1; n <= 70; n++) {
      for (i = 0; i < 5 * n; i++) x[i] = i / n == 3 ? 0.7f : uniform();
      for (i = 0; i < n; i++) { gain[i] = uniform(); bias[i] = uniform(); }
      tables[k]->layernorm(all, NULL, x, gain, bias, 5, n, 1e-5f);
      for (t = 0; t < 5; t++) {
        tables[k]->layernorm(one, NULL, x + t * n, gain, bias, 1, n, 1e-5f);
        CHECK(same(one, all + t * n, n));
      }
      for (i = 0; i < n; i++) CHECK_NEAR(all[3 * n + i], bias[i], 5e-4);
    }
}

/* Rows that overflow in between must not come out as finite numbers. */
TEST(layernorm_does_not_hide_overflow)
{
  static const float sizes[] = {1e19f, 1e20f, 1e30f, 3e38f};
  static float x[70], gain[70], bias[70], out[70];
  size_t n, s, i;
  int t;
  fill(gain, 70, 1.0f);
  for (t = 0; t < n_tables; t++)
    for (n = 2; n <= 70; n++)
      for (s = 0; s < 4; s++) {
        double mean = 0, var = 0;
        for (i = 0; i < n; i++) { x[i] = sizes[s] * uniform(); mean += (double)x[i] / (double)n; }
        for (i = 0; i < n; i++) var += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        tables[t]->layernorm(out, NULL, x, gain, bias, 1, n, 1e-5f);
        for (i = 0; i < n; i++)
          CHECK(!icl__finite(&out[i], 1) || fabs((double)out[i] - ((double)x[i] - mean) / sqrt(var)) < 1e-4);
      }
}

static void check_softmax(const icl__ops *o, size_t n, float spread, float scale)
{
  float *s, *x = at_end(&room_a, n);
  double max, sum = 0, total = 0;
  size_t floats, i;
  s = output(&room_c, 1, n, n, &floats);
  for (i = 0; i < n; i++) s[i] = x[i] = spread * uniform();
  for (max = (double)x[0], i = 1; i < n; i++) if ((double)x[i] > max) max = (double)x[i];
  for (i = 0; i < n; i++) sum += exp((double)scale * ((double)x[i] - max));
  o->softmax(s, n, scale);
  CHECK(intact(s, 1, n, n));
  for (i = 0; i < n; i++) {
    double p = exp((double)scale * ((double)x[i] - max)) / sum;
    /* scale (x - max) is rounded, so p is off by a part of that; below e^-80 the exponential stays there */
    CHECK_NEAR(s[i], p, p * (1e-6 + 2.4e-7 * (double)scale * fabs((double)x[i] - max) + 1e-7 * sqrt((double)n)) + 2e-35);
    total += (double)s[i];
  }
  CHECK_NEAR(total, 1, 1e-6 + 1e-8 * (double)n);
}

TEST(softmax)
{
  size_t n;
  int t;
  for (t = 0; t < n_tables; t++)
    for (n = 1; n; n = next_length(n)) {
      check_softmax(tables[t], n, 0, 1);
      check_softmax(tables[t], n, 1, 1);
      check_softmax(tables[t], n, 10, 0.35f);
      check_softmax(tables[t], n, 200, 1);
      check_softmax(tables[t], n, 1e4f, 0.125f);
    }
}

/* One NaN or infinity anywhere makes all weights NaN: a score of -infinity is an overflow, too. */
TEST(softmax_passes_nan_on)
{
  size_t n, at, i;
  int t, kind;
  for (t = 0; t < n_tables; t++)
    for (n = 1; n <= 70; n++)
      for (at = 0; at < n; at++)
        for (kind = 0; kind < 3; kind++) {
          float *s = at_end(&room_c, n);
          for (i = 0; i < n; i++) s[i] = uniform();
          s[at] = kind == 0 ? nan_float() : kind == 1 ? infinity_float() : -infinity_float();
          tables[t]->softmax(s, n, 0.5f);
          for (i = 0; i < n; i++) CHECK(s[i] != s[i]);
        }
}

/* Processors may take a hundred times as long for a subnormal number: none comes out of softmax over
 * up to 1,000 tokens, nor out of an activation, however far the others are. */
static int is_subnormal(float x) { return x != 0 && fabsf(x) < 1.17549435e-38f; }

TEST(no_subnormal_numbers)
{
  enum { N = 1000 };
  static float s[N], y[N];
  int t, kind, i, far;
  for (t = 0; t < n_tables; t++)
    for (far = 1; far < 300; far += 7) {
      for (i = 0; i < N; i++) s[i] = i % 2 ? 0 : -(float)far;
      tables[t]->softmax(s, N, 1);
      for (i = 0; i < N; i++) CHECK(!is_subnormal(s[i]));
      for (kind = 0; kind < 3; kind++) {
        for (i = 0; i < N; i++) s[i] = -(float)far * (float)(i + 1) / N - 0.1f;
        tables[t]->activate(y, s, N, (icl_activation)kind);
        for (i = 0; i < N; i++) CHECK(!is_subnormal(y[i]));
      }
    }
}

static double gelu(double x, int kind)
{
  if (kind == ICL_RELU) return x > 0 ? x : 0;
  if (kind == ICL_GELU_ERF) return x * 0.5 * erfc(-x * 0.70710678118654752);
  return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

/* Over [-10, 10], within a few roundings of x, and for the vectors' erf form what its tail is off by. */
TEST(activations)
{
  enum { N = 20001 };
  static float x[N], y[N];
  int t, kind, i;
  for (i = 0; i < N; i++) x[i] = -10.0f + 20.0f * (float)i / (N - 1);
  for (t = 0; t < n_tables; t++)
    for (kind = 0; kind < 3; kind++) {
      double worst = 0;
      tables[t]->activate(y, x, N, (icl_activation)kind);
      for (i = 0; i < N; i++) {
        double e = fabs((double)y[i] - gelu((double)x[i], kind)) / (1e-30 + fabs((double)x[i]));
        if (e > worst) worst = e;
      }
      CHECK(worst <= (kind == ICL_RELU ? 0 : kind == ICL_GELU_ERF && is_simd(tables[t]) ? 2.5e-7 : 2.4e-7));
    }
}

/* Every length, in place and apart, with the end of the memory behind it; positions do not matter. */
TEST(activations_of_every_length)
{
  static float all[70], x[70];
  size_t n, i, floats;
  int t, kind;
  for (t = 0; t < n_tables; t++)
    for (kind = 0; kind < 3; kind++) {
      for (i = 0; i < 70; i++) x[i] = 4 * uniform();
      for (i = 0; i < 70; i++) tables[t]->activate(all + i, x + i, 1, (icl_activation)kind);
      for (n = 0; n <= 70; n++) {
        float *in = at_end(&room_a, n), *out = output(&room_c, 1, n, n, &floats);
        memcpy(in, x, n * sizeof(float));
        tables[t]->activate(out, in, n, (icl_activation)kind);
        CHECK(same(out, all, n));
        CHECK(intact(out, 1, n, n));
        memcpy(out, x, n * sizeof(float));
        tables[t]->activate(out, out, n, (icl_activation)kind);
        CHECK(same(out, all, n));
        CHECK(intact(out, 1, n, n));
      }
    }
}

TEST(activations_pass_nan_on)
{
  static float x[20], y[20];
  size_t at, i;
  int t, kind;
  for (t = 0; t < n_tables; t++)
    for (kind = 0; kind < 3; kind++)
      for (at = 0; at < 20; at++) {
        for (i = 0; i < 20; i++) x[i] = i == at ? nan_float() : uniform();
        tables[t]->activate(y, x, 20, (icl_activation)kind);
        for (i = 0; i < 20; i++) CHECK_EQ(icl__finite(&y[i], 1), i != at);
      }
}

/* What overflowed stays visible in its row; relu alone would make 0 of -infinity. */
TEST(activations_do_not_hide_overflow)
{
  static float x[40], y[40];
  size_t n, at, i;
  int t, kind, sign;
  for (t = 0; t < n_tables; t++)
    for (kind = 0; kind < 3; kind++)
      for (sign = 0; sign < 2; sign++)
        for (n = 1; n <= 40; n++)
          for (at = 0; at < n; at++) {
            for (i = 0; i < n; i++) x[i] = uniform();
            x[at] = sign ? -infinity_float() : infinity_float();
            tables[t]->activate(y, x, n, (icl_activation)kind);
            CHECK(!icl__finite(y, n));
          }
}

/* Far out: x on the right, nothing on the left, and finite everywhere. */
TEST(activations_far_out)
{
  static float far[] = {15, 40, 100, 1e4f, 1e10f, 1e19f, 1e30f, 3.4e38f};
  static float x[8], y[8];
  int t, kind, i;
  for (t = 0; t < n_tables; t++)
    for (kind = 0; kind < 3; kind++) {
      tables[t]->activate(y, far, 8, (icl_activation)kind);
      for (i = 0; i < 8; i++) CHECK_NEAR(y[i], far[i], 1e-6 * (double)far[i]);
      for (i = 0; i < 8; i++) x[i] = -far[i];
      tables[t]->activate(y, x, 8, (icl_activation)kind);
      for (i = 0; i < 8; i++) CHECK_NEAR(y[i], 0, 1e-12 + 2e-38 * (double)far[i]);
    }
}

/* ----- vectors ---------------------------------------------------------------------------------- */

static void check_axpy(const icl__ops *o, size_t n)
{
  float *x = at_end(&room_a, n), *y, a = uniform();
  static float old[4100];
  size_t floats, i;
  y = output(&room_c, 1, n, n, &floats);
  for (i = 0; i < n; i++) { x[i] = uniform(); old[i] = y[i] = uniform(); }
  o->axpy(y, a, x, n);
  CHECK(intact(y, 1, n, n));
  for (i = 0; i < n; i++)
    if (is_simd(o)) CHECK(y[i] == step(a, x[i], old[i]));
    else CHECK_NEAR(y[i], (double)old[i] + (double)a * (double)x[i], 2.4e-7);
}

/* One row; and of one to six rows at a time, each is the same. */
static float dot_in_order(const icl__ops *o, const float *x, const float *y, size_t n)
{
  float one = 0, some[6 * 3];
  size_t rows, i;
  o->dots_in_order(&one, 1, x, y, 0, 1, n);
  for (rows = 1; rows <= 6; rows++) {
    for (i = 0; i < 6 * 3; i++) some[i] = 77;
    o->dots_in_order(some, 3, x, y, 0, rows, n);
    for (i = 0; i < 6 * 3; i++) CHECK(some[i] == (i % 3 == 0 && i < 3 * rows ? one : 77.0f));
  }
  for (rows = 2; n >= 12 && rows <= 6; rows++) {              /* rows that differ, 2 floats apart */
    o->dots_in_order(some, 1, x, y, 2, rows, n - 10);
    for (i = 0; i < rows; i++) {
      float alone;
      o->dots_in_order(&alone, 1, x + 2 * i, y + 2 * i, 0, 1, n - 10);
      CHECK(some[i] == alone);
    }
  }
  return one;
}

static void check_dots(const icl__ops *o, size_t n)
{
  float *x = at_end(&room_a, n), *y = at_end(&room_b, n), chain = 0, c = canary;
  double sum = 0, size = 1;
  size_t i;
  icl__mm g;
  for (i = 0; i < n; i++) {
    x[i] = uniform();
    y[i] = uniform();
    chain = step(x[i], y[i], chain);
    sum += (double)x[i] * (double)y[i];
    size += fabs((double)x[i] * (double)y[i]);
  }
  CHECK_NEAR(o->dot(x, y, n), sum, 6e-8 * ((double)n + 1) * size);
  CHECK_NEAR(dot_in_order(o, x, y, n), sum, 6e-8 * ((double)n + 1) * size);
  if (is_simd(o)) CHECK(dot_in_order(o, x, y, n) == chain);
  memset(&g, 0, sizeof g);                          /* the same bits as the product of row and column */
  g.m = g.n = 1; g.k = n;
  g.a = x; g.a_row = n; g.a_col = 1;
  g.b = y; g.b_row = 1; g.b_col = 1;
  g.c = &c; g.c_row = 1;
  g.pack = at_end(&room_pack, ICL__NR * 256); g.n_pack = ICL__NR * 256;
  o->mm(&g);
  CHECK(c == dot_in_order(o, x, y, n));
}

TEST(sums_of_products)
{
  size_t n;
  int t;
  for (t = 0; t < n_tables; t++) {
    CHECK_EQ(tables[t]->dot(NULL, NULL, 0), 0);
    CHECK_EQ(dot_in_order(tables[t], at_end(&room_a, 0), at_end(&room_b, 0), 0), 0);
    for (n = 1; n; n = next_length(n)) {
      check_axpy(tables[t], n);
      check_dots(tables[t], n);
    }
  }
}

/* A weighted sum by axpy after a product is the product with one row more: what queries rely on. */
TEST(axpy_goes_on_with_the_chain)
{
  static const size_t rows[] = {1, 2, 3, 6};
  static float c[6 * 40], longer[6 * 40];
  size_t r, n, k, i;
  int t;
  for (t = 0; t < n_tables; t++)
    for (r = 0; r < 4; r++)
      for (n = 1; n < 40; n += 3)
        for (k = 1; k < 12; k++) {
          icl__mm g;
          memset(&g, 0, sizeof g);
          draw_values(rows[r], n, k + 1);
          g.m = rows[r]; g.n = n; g.k = k;
          g.a = val_a; g.a_row = k + 1; g.a_col = 1;
          g.b = val_b; g.b_row = n; g.b_col = 1; g.b_padded = 1;
          g.c = c; g.c_row = n;
          tables[t]->mm(&g);
          for (i = 0; i < rows[r]; i++)
            tables[t]->axpy(c + i * n, val_a[i * (k + 1) + k], val_b + k * n, n);
          g.k = k + 1;
          g.c = longer;
          tables[t]->mm(&g);
          CHECK(same(c, longer, rows[r] * n));
        }
}

/* ----- the vector layer ------------------------------------------------------------------------- */

/* |a - exact| in units of the last place of a float of that size. */
static double ulps(float a, double is)
{
  int e;
  frexp(is, &e);
  return fabs((double)a - is) / ldexp(1, e - 24);
}

TEST(exponential_in_plain_c)
{
  float x, nan = nan_float();
  double worst = 0;
  for (x = -80; x <= 87; x += 0.00173f)
    if (ulps(icl__exp(x), exp((double)x)) > worst) worst = ulps(icl__exp(x), exp((double)x));
  CHECK(worst > 0.1 && worst <= 2);
  CHECK(icl__exp(0) == 1 && icl__exp(-0.0f) == 1);
  CHECK(icl__exp(-infinity_float()) == icl__exp(-80) && icl__exp(-3e38f) == icl__exp(-80));
  CHECK(icl__exp(infinity_float()) == icl__exp(87) && icl__exp(3e38f) == icl__exp(87));
  CHECK(icl__exp(-80) < 2e-35f && 1 / icl__exp(87) > 1.17549435e-38f && icl__exp(87) > 6e37f);
  CHECK(icl__exp(nan) != icl__exp(nan));
}

#if ICL__SIMD
/* The vector layer of each pass, through memory. */
typedef struct layer {
  const char *name;
  size_t lanes;
  void (*exp)(float *out, const float *x);
  void (*tail)(float *out, const float *x);
  void (*sigmoid)(float *out, const float *x);
  void (*recip)(float *out, const float *x);
  void (*part)(float *out, const float *x, size_t n);
  void (*first)(float *out, const float *x, const float *y, size_t n);
  void (*halves)(float *out, const uint16_t *f16);
  void (*upper_halves)(float *out, const uint16_t *bf16);
  float (*sum)(const float *x);
  float (*top)(const float *x);
} layer;
#define ICL_TEST_PASS
#define ICL__W 8
#define V(name) icl__v8_##name
#define T(name) v8_##name
#include "test_kernels.c"
#undef ICL__W
#undef V
#undef T
#if ICL__AVX512
#define ICL__W 16
#define V(name) icl__v16_##name
#define T(name) v16_##name
#include "test_kernels.c"
#undef ICL__W
#undef V
#undef T
#endif
#undef ICL_TEST_PASS

static const layer *layers[2];
static int n_layers;

TEST(exponential)
{
  static const float odd[16] = {0, -0.0f, 1, -1, 87, -80, 0.34657359f, -0.34657362f, 0, -0.0f, 2, -2, 30, -30, 1e-20f, 5};
  float x[16], y[16];
  double worst = 0;
  uint32_t i, k;
  int l;
  for (l = 0; l < n_layers; l++) {
    for (i = 0; i < 167 * 2000; i += 8) {
      for (k = 0; k < 16; k++) x[k] = -80.0f + (float)(i + k) / 2000.0f;
      layers[l]->exp(y, x);
      for (k = 0; k < layers[l]->lanes && x[k] <= 87; k++)
        if (ulps(y[k], exp((double)x[k])) > worst) worst = ulps(y[k], exp((double)x[k]));
    }
    layers[l]->exp(y, odd);
    for (k = 0; k < layers[l]->lanes; k++) CHECK(ulps(y[k], exp((double)odd[k])) <= 2);
    CHECK(y[0] == 1 && y[1] == 1);
    if (worst > 2) printf("exp is off by %.3f ulp\n", worst);
    CHECK(worst > 0 && worst <= 2);
  }
}

TEST(exponential_at_its_limits)
{
  float x[16], y[16], low[16], high[16];
  size_t k, i;
  int l;
  for (l = 0; l < n_layers; l++) {
    fill(x, 16, -80);
    layers[l]->exp(low, x);
    fill(x, 16, 87);
    layers[l]->exp(high, x);
    CHECK(low[0] < 2e-35f && 1 / high[0] > 1.17549435e-38f && high[0] > 6e37f);
    for (k = 0; k < 4; k++) {
      static const float below[4] = {-80.0001f, -100, -3e38f, 0}, above[4] = {87.0001f, 100, 3e38f, 0};
      fill(x, 16, k < 3 ? below[k] : -infinity_float());
      layers[l]->exp(y, x);
      CHECK(same(y, low, layers[l]->lanes));
      fill(x, 16, k < 3 ? above[k] : infinity_float());
      layers[l]->exp(y, x);
      CHECK(same(y, high, layers[l]->lanes));
    }
    for (k = 0; k < layers[l]->lanes; k++) {
      fill(x, 16, 1);
      x[k] = nan_float();
      layers[l]->exp(y, x);
      for (i = 0; i < layers[l]->lanes; i++) CHECK((y[i] != y[i]) == (i == k));
    }
  }
}

TEST(normal_tail_and_sigmoid)
{
  float x[16], y[16], s[16];
  double worst = 0, worst_s = 0;
  size_t k;
  int i, l;
  for (l = 0; l < n_layers; l++)
    for (i = 0; i < 400000; i += 8) {
      for (k = 0; k < 16; k++) x[k] = (float)(i + (int)k - 200000) / 10000.0f;
      layers[l]->tail(y, x);
      layers[l]->sigmoid(s, x);
      for (k = 0; k < layers[l]->lanes; k++) {
        double e = fabs((double)y[k] - 0.5 * erfc(fabs((double)x[k]) * 0.70710678118654752));
        double f = fabs((double)s[k] * (1 + exp(-(double)x[k])) - 1);
        if (e > worst) worst = e;
        if (f > worst_s) worst_s = f;
      }
    }
  if (!(worst < 2.5e-7)) printf("the normal tail is off by %.3g\n", worst);
  CHECK(worst < 2.5e-7);
  CHECK(worst_s < 4e-7);
}

/* The bits of a division, for all fractions; exponents are exact. */
TEST(reciprocals_are_rounded_as_divisions)
{
  static const uint32_t exponents[] = {0x3f800000u, 0x40000000u, 0x7e000000u};
  float x[16], y[16], is[16];
  uint32_t e, u, k;
  int l, bad = 0;
  for (l = 0; l < n_layers; l++)
    for (e = 0; e < 3; e++)
      for (u = 0; u < 1u << 23; u += (uint32_t)layers[l]->lanes) {
        if (!its_turn() && u + 16 < 1u << 23) continue;
        for (k = 0; k < layers[l]->lanes; k++) {
          uint32_t bits = exponents[e] + u + k;
          memcpy(&x[k], &bits, 4);
          is[k] = 1 / x[k];
        }
        layers[l]->recip(y, x);
        bad += !same(y, is, layers[l]->lanes);
      }
  CHECK_EQ(bad, 0);
}

/* n from 0 to all lanes; nothing is read or written beyond. */
TEST(parts_of_a_vector)
{
  size_t n, i;
  float in[17], other[17], out[17];
  int l;
  for (i = 0; i < 17; i++) { in[i] = (float)i + 1; other[i] = -(float)i; }
  for (l = 0; l < n_layers; l++)
    for (n = 0; n <= layers[l]->lanes; n++) {
      float *x = at_end(&room_a, n), *y = at_end(&room_c, n);
      fill(out, 17, canary);
      layers[l]->part(out, in, n);
      for (i = 0; i < 17; i++) CHECK(out[i] == (i < n ? in[i] : canary));
      memcpy(x, in, n * sizeof *x);
      layers[l]->part(y, x, n);
      CHECK(same(x, y, n));
      layers[l]->first(out, in, other, n);
      for (i = 0; i < layers[l]->lanes; i++) CHECK(out[i] == (i < n ? in[i] : other[i]));
    }
}

/* Sixteen lanes in one tree, the same for every width; and the largest of a vector. */
TEST(tree_of_sixteen_lanes)
{
  float x[16], t[16], top;
  int l, round, i, step;
  for (round = 0; round < 1000; round++) {
    for (i = 0; i < 16; i++) x[i] = t[i] = uniform();
    for (step = 8; step; step /= 2) for (i = 0; i < step; i++) t[i] += t[i + step];
    for (l = 0; l < n_layers; l++) {
      CHECK(layers[l]->sum(x) == t[0]);
      for (top = x[0], i = 1; i < (int)layers[l]->lanes; i++) if (x[i] > top) top = x[i];
      CHECK(layers[l]->top(x) == top);
    }
  }
}

/* All 65536 values of both 16-bit types, subnormals too, against the plain conversions. */
TEST(halves_of_a_vector)
{
  uint32_t u, i;
  int type, l;
  for (l = 0; l < n_layers; l++)
    for (u = 0; u < 65536; u += 8)
      for (type = ICL__F16; type <= ICL__BF16; type++) {
        uint16_t h[16];
        float v[16];
        for (i = 0; i < 16; i++) h[i] = (uint16_t)(u + i);
        if (type == ICL__F16) layers[l]->halves(v, h);
        else layers[l]->upper_halves(v, h);
        for (i = 0; i < layers[l]->lanes; i++) {
          float plain = icl__half(h[i], (icl__dtype)type);
          CHECK(plain != plain ? v[i] != v[i] : same(&v[i], &plain, 1));
        }
      }
}

/* ----- the same bits on every width --------------------------------------------------------------- */

/* What a table's kernels make of the same numbers, for every length. */
TEST(same_bits_on_every_width)
{
  static float x[300], y[300], gain[300], bias[300], first[5][300], out[300];
  float dot[2];
  size_t n, i;
  int t, k;
  for (n = 1; n <= 300; n += n < 70 ? 1 : 23) {
    for (i = 0; i < n; i++) {
      x[i] = 3 * uniform(); y[i] = uniform(); gain[i] = uniform(); bias[i] = uniform();
    }
    for (t = 1; t < n_tables; t++)
      for (k = 0; k < 5; k++) {
        memcpy(out, x, n * sizeof *out);
        if (k == 0) tables[t]->layernorm(out, NULL, x, gain, bias, 1, n, 1e-5f);
        else if (k == 1) tables[t]->softmax(out, n, 0.7f);
        else tables[t]->activate(out, x, n, (icl_activation)(k - 2));
        if (t == 1) memcpy(first[k], out, n * sizeof *out);
        CHECK(same(out, first[k], n));
        if (k) continue;
        dot[t > 1] = tables[t]->dot(x, y, n);
        CHECK(t == 1 || same(&dot[0], &dot[1], 1));
      }
  }
}
#endif

/* ----- positions, half precision, the rest ------------------------------------------------------- */

/* Within the roundings of t_j and of p t_j. */
TEST(sinusoids)
{
  static const size_t widths[] = {2, 4, 6, 10, 64, 72, 256};
  enum { N = 512 };
  float *x = (float *)malloc(sizeof(float) * N * 256 + 4);
  size_t w, p, j;
  for (w = 0; w < 7; w++) {
    size_t C = widths[w], half = C / 2;
    x[N * C] = canary;
    icl__sinusoids(x, N, C);
    CHECK(x[N * C] == canary);
    for (p = 0; p < N; p++)
      for (j = 0; j < half; j++) {
        double t = half > 1 ? pow(10000, -(double)j / (double)(half - 1)) : 1;
        double tol = 2e-7 + 8e-7 * (double)p * t;
        CHECK_NEAR(x[p * C + j], sin((double)p * t), tol);
        CHECK_NEAR(x[p * C + half + j], cos((double)p * t), tol);
      }
  }
  free(x);
}

/* Up to the last position of a context of icl_max_pairs pairs. */
TEST(sine_and_cosine_to_their_limit)
{
  float x = 0, sine, cosine;
  double worst = 0;
  for (; x <= 2 * ICL__MAX_SINUSOIDS; x += x < 100 ? 0.01f : 1) {
    icl__sin_cos(&sine, &cosine, x);
    worst = fmax(worst, fmax(fabs((double)sine - sin((double)x)),
                             fabs((double)cosine - cos((double)x))));
  }
  CHECK(worst > 1e-8 && worst < 1e-6);
}

/* All 65536 values of both 16-bit types, against the definition. */
TEST(half_precision)
{
  uint32_t u;
  for (u = 0; u < 65536; u++) {
    unsigned char b[2];
    uint32_t e = u >> 10 & 31, m = u & 1023, bits;
    double sign = u >> 15 ? -1 : 1;
    float h, bf;
    b[0] = (unsigned char)u;
    b[1] = (unsigned char)(u >> 8);
    h = icl__decode(b, ICL__F16);
    bf = icl__decode(b, ICL__BF16);
    memcpy(&bits, &bf, 4);
    CHECK_EQ(bits, u << 16);
    if (e == 31) CHECK(m ? h != h : !icl__finite(&h, 1) && (double)h * sign > 0);
    else CHECK((double)h == sign * (e ? ldexp(1024 + m, (int)e - 25) : ldexp(m, -24)));
    CHECK_EQ(signbit(h) != 0, u >> 15);
  }
}

TEST(finite_is_a_test_of_bits)
{
  static const uint32_t bad[] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u, 0xffffffffu};
  static const uint32_t good[] = {0, 0x80000000u, 1, 0x807fffffu, 0x7f7fffffu, 0xff7fffffu};
  float x[12];
  size_t i, at;
  CHECK(icl__finite(NULL, 0));
  for (i = 0; i < 6; i++) { memcpy(&x[0], &good[i], 4); CHECK(icl__finite(x, 1)); }
  for (i = 0; i < 5; i++)
    for (at = 0; at < 12; at++) {
      fill(x, 12, 1);
      memcpy(&x[at], &bad[i], 4);
      CHECK(!icl__finite(x, 12));
      CHECK(icl__finite(x, at));
    }
}

/* The arena: blocks 64-aligned on any base, what is needed is what is counted, no sum wraps. */
TEST(arena)
{
  static unsigned char mem[1000];
  size_t shift;
  for (shift = 0; shift < 64; shift++) {
    icl__arena count = icl__arena_on(NULL), a = icl__arena_on(mem + shift);
    unsigned char *p, *q, *last;
    icl__take(&count, 3, 7); icl__take(&count, 1, 64); icl__take(&count, 100, 1);
    p = (unsigned char *)icl__take(&a, 3, 7);
    q = (unsigned char *)icl__take(&a, 1, 64);
    last = (unsigned char *)icl__take(&a, 100, 1);
    CHECK((uintptr_t)p % 64 == 0 && q == p + 64 && last == q + 64);
    CHECK_EQ(a.used, count.used);
    CHECK(p >= mem + shift && last + 128 <= mem + shift + icl__arena_need(&count));
  }
  {
    static const size_t counts[] = {SIZE_MAX, SIZE_MAX / 4, SIZE_MAX / 4 - 15, SIZE_MAX / 2 + 1, SIZE_MAX / 8 * 3};
    size_t i;
    for (i = 0; i < 5; i++) {
      icl__arena a = icl__arena_on(NULL);
      icl__take_floats(&a, 10);
      icl__take_floats(&a, counts[i]);
      CHECK(a.used == SIZE_MAX || a.used / 4 >= counts[i]);
      CHECK(icl__arena_need(&a) == SIZE_MAX || icl__arena_need(&a) / 4 >= counts[i]);
      a.used = SIZE_MAX;
      CHECK(!icl__take_floats(&a, 0) && a.used == SIZE_MAX);
      CHECK_EQ(icl__arena_need(&a) == SIZE_MAX, 1);
    }
    CHECK(icl__times(SIZE_MAX / 2, 3) == SIZE_MAX && icl__times(0, 5) == 0 && icl__times(5, 0) == 0);
    CHECK(icl__times(SIZE_MAX, 1) == SIZE_MAX && icl__times(6, 7) == 42);
  }
}

/* ----- what overflows on the way ---------------------------------------------------------------- */

/* A bound model of one layer, two channels, all weights 0 but the LayerNorms' gains; the read-in sends
 * x to (x, -x), so that LayerNorm leaves the sign. */
typedef struct small_model { icl_config cfg; icl_model m; float params[200]; void *table[64]; } small_model;

static float *tensor_of(small_model *s, const char *name)
{
  icl_tensor t;
  size_t at = 0;
  int i;
  for (i = 0; i < icl_tensor_count(&s->cfg); i++) {
    icl_tensor_at(&s->cfg, i, &t);
    if (strstr(t.name, name)) return s->params + at;
    at += (size_t)t.rows * (size_t)t.cols;
  }
  CHECK(!"no such tensor");
  return s->params;
}

static void new_small_model(small_model *s, int plain)
{
  static const icl_config cfg = {1, 2, 1, 1, 99, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  static const char *const gains[] = {"ln_1.weight", "ln_2.weight", "ln_f.weight", "_read_out.weight", "_read_in.weight"};
  size_t i;
  memset(s, 0, sizeof *s);
  s->cfg = cfg;
  CHECK(icl_param_count(&cfg) <= sizeof s->params / sizeof *s->params);
  CHECK(icl_bind_bytes(&cfg) <= sizeof s->table);
  CHECK_EQ(icl_model_bind(&s->m, &cfg, s->params, s->table, sizeof s->table), ICL_OK);
  if (plain) icl_force_plain(&s->m);
  for (i = 0; i < 5; i++) tensor_of(s, gains[i])[0] = 1;
  for (i = 0; i < 3; i++) tensor_of(s, gains[i])[1] = 1;
  tensor_of(s, "_read_in.weight")[1] = -1;
}

/* Units of the MLP overflow to -infinity, in exact arithmetic they would be 5. */
TEST(relu_hides_no_overflow)
{
  small_model s;
  icl_ctx *c = NULL;
  int plain;
  for (plain = 0; plain < 2; plain++) {
    float x = 1, y = -7, *fc;
    new_small_model(&s, plain);
    fc = tensor_of(&s, "c_fc.weight");
    tensor_of(&s, "c_fc.bias")[0] = 5;
    tensor_of(&s, "mlp.c_proj.weight")[0] = -1;
    CHECK_EQ(icl_ctx_new(&c, &s.m, 4, 1), ICL_OK);
    CHECK_EQ(icl_add(c, &x, 0.5f), ICL_OK);
    tensor_of(&s, "ln_2.weight")[0] = tensor_of(&s, "ln_2.weight")[1] = 1e20f;
    fc[0] = fc[8] = -1e25f;
    CHECK_EQ(icl_add(c, &x, 0.5f), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_predict(c, &x, &y), ICL_ERR_NONFINITE);
    CHECK_EQ(icl_count(c), 1);
    icl_ctx_delete(c);
  }
}

/* Scores of negative tokens against positive ones overflow to -infinity, all others are finite. */
TEST(softmax_hides_no_overflow)
{
  small_model s;
  icl_ctx *c = NULL;
  int plain, n, i;
  for (plain = 0; plain < 2; plain++)
    for (n = 1; n <= 20; n++) {
      float x = 1, y = -7, *w, *b;
      new_small_model(&s, plain);
      w = tensor_of(&s, "c_attn.weight");
      b = tensor_of(&s, "c_attn.bias");
      w[0] = 0.5e20f;                                       /* q = 0.5e20 (sign - 1)                  */
      b[0] = -0.5e20f;
      w[2] = 0.5e20f;                                       /* k = 0.5e20 (sign + 1)                  */
      b[2] = 0.5e20f;
      CHECK_EQ(icl_ctx_new(&c, &s.m, 40, 1), ICL_OK);
      for (i = 0; i < n; i++) CHECK_EQ(icl_add(c, &x, 1), ICL_OK);
      CHECK_EQ(icl_predict(c, &x, &y), ICL_OK);
      x = -1;
      CHECK_EQ(icl_predict(c, &x, &y), ICL_ERR_NONFINITE);
      CHECK_EQ(icl_add(c, &x, 1), ICL_ERR_NONFINITE);
      CHECK_EQ(icl_count(c), n);
      icl_ctx_delete(c);
    }
}

/* ----- threads and room ------------------------------------------------------------------------- */

static int tasks_run;

static void run_in_turn(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  int i;
  (void)user;
  for (i = 0; i < n; i++, tasks_run++) task(arg, i);
}

/* Panels of B that were laid out before, and several threads: the same bits as without. */
TEST(panels_and_threads)
{
  enum { M = 40, N = 96, K = 64 };
  static float a[M * K], b[K * N], c0[M * N], c1[M * N], pack[1 << 15], panels[K * N];
  icl_model m;
  icl__pass p;
  icl__mm g;
  size_t i;
  memset(&m, 0, sizeof m);
  memset(&p, 0, sizeof p);
  m.ops = icl__ops_best();
  if (!m.ops->panels) SKIP("kernels without panels");
  p.pack = pack; p.n_pack = 1 << 14; p.threads = 2; p.run = run_in_turn;
  for (i = 0; i < M * K; i++) a[i] = uniform();
  for (i = 0; i < K * N; i++) b[i] = uniform();
  g = icl__linear(&p, c0, NULL, a, b, NULL, M, K, N);
  m.ops->mm(&g);
  g = icl__linear(&p, c1, NULL, a, b, NULL, M, K, N);
  m.ops->panels(panels, &g);
  g.panels = panels;
  icl__multiply(&m, &p, &g);
  CHECK(same(c0, c1, M * N));
}

/* Kernels that pack nothing need no room for it, and threads all the same. */
TEST(plain_kernels_reserve_no_room_to_pack)
{
  static const icl_config cfg = {1, 64, 4, 1, 99, 1, ICL_POSITION_NONE, ICL_RELU, 1e-5f, ICL_TOKENS_APART, 0, {0}};
  size_t n = icl_param_count(&cfg), bytes, i;
  float *params = (float *)malloc(n * sizeof *params), x[64], one[64], two[64];
  void *table[64];
  icl_model m;
  icl_ctx *c = NULL;
  for (i = 0; i < n; i++) params[i] = 0.2f * uniform();
  for (i = 0; i < 64; i++) x[i] = uniform();
  CHECK_EQ(icl_model_bind(&m, &cfg, params, table, sizeof table), ICL_OK);
  bytes = icl_ctx_bytes(&m, 16, 64);
  icl_force_plain(&m);
  if (icl__ops_best()->panels) CHECK_EQ(bytes - icl_ctx_bytes(&m, 16, 64), 4 * 256 * 256);
  else CHECK_EQ(bytes, icl_ctx_bytes(&m, 16, 64));
  CHECK_EQ(icl_ctx_new(&c, &m, 16, 64), ICL_OK);
  CHECK_EQ(c->n_pack, 0);
  CHECK_EQ(icl_add_batch(c, 16, x, x + 16), ICL_OK);
  CHECK_EQ(icl_predict_batch(c, 64, x, one), ICL_OK);
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  CHECK_EQ(icl_ctx_threads(c, 4, run_in_turn, NULL), ICL_OK);
  tasks_run = 0;
  CHECK_EQ(icl_add_batch(c, 16, x, x + 16), ICL_OK);
  CHECK(tasks_run > 4);                                    /* products, not only heads               */
  tasks_run = 0;
  CHECK_EQ(icl_predict_batch(c, 64, x, two), ICL_OK);
  CHECK_EQ(tasks_run, 2);                                  /* queries in shares                      */
  CHECK(same(one, two, 64));
  icl_ctx_delete(c);
  free(params);
}

/* Products in shares have neither panels nor a packed A. */
TEST(assumptions_hold)
{
  CHECK(assumed > 4);
  CHECK_EQ(assumed_wrongly, 0);
}

int main(void)
{
#if ICL__SIMD
  static icl__ops few;             /* the product that small processors use, on the vectors of this one */
#endif
  open_rooms();
  tables[n_tables++] = &icl__ops_ref;
#if ICL__SIMD
  if (icl__can_run(&icl__v8_ops)) {
    tables[n_tables++] = &icl__v8_ops;
    layers[n_layers++] = &v8_layer;
#if ICL__AVX512
    if (icl__can_run(&icl__v16_ops)) {
      tables[n_tables++] = &icl__v16_ops;
      layers[n_layers++] = &v16_layer;
    }
#endif
    few = icl__v8_ops;
    few.mm = icl__v8_mm_few;
    few.panels = NULL;
    tables[n_tables++] = &few;
  }
#endif
#ifdef ICL_TEST_ISA
  RUN(kernels_in_use);
#endif
  RUN(product_of_all_small_shapes); RUN(product_in_all_ways); RUN(product_of_large_shapes);
  RUN(panels_of_all_small_shapes); RUN(panels_of_large_shapes); RUN(panels_stand_for_b); RUN(transposing); RUN(weights_of_half_precision);
  RUN(weights_of_eight_bits); RUN(rounding_to_eight_bits);
  RUN(product_of_nothing); RUN(rows_do_not_know_of_each_other); RUN(zeros_have_the_same_sign_everywhere);
  RUN(product_passes_nan_on);
  RUN(layernorm); RUN(layernorm_of_each_row); RUN(layernorm_does_not_hide_overflow);
  RUN(softmax); RUN(softmax_passes_nan_on); RUN(no_subnormal_numbers);
  RUN(activations); RUN(activations_of_every_length); RUN(activations_pass_nan_on); RUN(activations_do_not_hide_overflow);
  RUN(activations_far_out); RUN(relu_hides_no_overflow); RUN(softmax_hides_no_overflow);
  RUN(panels_and_threads); RUN(plain_kernels_reserve_no_room_to_pack);
  RUN(sums_of_products); RUN(axpy_goes_on_with_the_chain);
#if ICL__SIMD
  RUN(exponential); RUN(exponential_at_its_limits); RUN(normal_tail_and_sigmoid); RUN(parts_of_a_vector);
  RUN(halves_of_a_vector); RUN(reciprocals_are_rounded_as_divisions); RUN(tree_of_sixteen_lanes);
  RUN(same_bits_on_every_width);
#endif
  RUN(assumptions_hold);
  RUN(exponential_in_plain_c); RUN(sinusoids); RUN(sine_and_cosine_to_their_limit);
  RUN(half_precision); RUN(finite_is_a_test_of_bits); RUN(arena);
  return test_report("kernels");
}
#endif
