/* make demo: the bundled models on real data, with their 90 % intervals, beside the truth and beside
 * ridge regression.  They answer as icl predict does: twice, by mirror images where there is one
 * input, mixed with ridge regression where there are several.  Scaled by the rows of the context
 * only; the models have never seen any of these data. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define ICL_BAYES_IMPLEMENTATION             /* ridge regression */
#include "tools/icl_bayes.h"
#include "tools/blend.h"

enum { MAX_ROWS = 500, MAX_DIMS = 10 };

/* ----- data: a context and held-out rows of one CSV file -------------------------------------- */

typedef struct rows { int n; float x[MAX_ROWS * MAX_DIMS], y[MAX_ROWS]; } rows;

typedef struct split {
  int d;
  rows context, held_out;
  float x_mean[MAX_DIMS], x_sd[MAX_DIMS], y_mean, y_sd;     /* of the context */
} split;

static void fail(const char *what, const char *why)
{
  fprintf(stderr, "demo: %s: %s\n", what, why);
  exit(1);
}

static void moments(float *mean, float *sd, const float *v, int n, int stride)
{
  double sum = 0, square = 0;
  int i;
  for (i = 0; i < n; i++) sum += (double)v[i * stride];
  sum /= n;
  for (i = 0; i < n; i++) square += ((double)v[i * stride] - sum) * ((double)v[i * stride] - sum);
  *mean = (float)sum;
  *sd = square > 0 ? (float)sqrt(square / n) : 1.0f;
}

/* Row i of the file, from 0, goes where `where` says: 1 context, 2 held out, 0 nowhere. */
static void read_csv(split *s, const char *path, int d, int (*where)(int row))
{
  FILE *f = fopen(path, "r");
  char line[512];
  int row, j;
  if (!f || !fgets(line, sizeof line, f))
    fail(path, "cannot read it; run this from the top folder");
  s->d = d;
  s->context.n = s->held_out.n = 0;
  for (row = 0; fgets(line, sizeof line, f); row++) {
    rows *to = where(row) == 1 ? &s->context : where(row) == 2 ? &s->held_out : NULL;
    char *at = line;
    if (!to) continue;
    if (to->n == MAX_ROWS) fail(path, "too many rows");
    for (j = 0; j < d; j++, at++) to->x[to->n * d + j] = strtof(at, &at);
    to->y[to->n++] = strtof(at, NULL);
  }
  fclose(f);
  for (j = 0; j < d; j++) moments(&s->x_mean[j], &s->x_sd[j], s->context.x + j, s->context.n, d);
  moments(&s->y_mean, &s->y_sd, s->context.y, s->context.n, 1);
}

/* ----- the two predictors --------------------------------------------------------------------- */

static icl_model *load(const char *path)
{
  icl_model *m;
  icl_report why;
  if (icl_load(&m, path, &why)) fail(path, why.text);
  return m;
}

/* The rows of a split, as icl predict asks about them. */
typedef struct asked {
  icl_ctx *c[4], *rest[4];                   /* the rows and their mirror images; what each misses */
  int k;                                     /* how many of them count */
  blend mix;
} asked;

static asked ask_of(const icl_model *m, const split *s)
{
  asked a;
  icl_error err = ICL_OK;
  int i;
  for (i = 0; i < 8 && !err; i++)
    err = icl_ctx_new(i < 4 ? &a.c[i] : &a.rest[i - 4], m, s->context.n, 64);
  if (!err) err = icl_standardize(a.c[0], s->context.n, s->context.x, s->context.y);
  if (!err) err = icl_add_batch(a.c[0], s->context.n, s->context.x, s->context.y);
  if (!err) err = icl_mirror_images(a.c, &a.k);
  if (!err) err = blend_fit(&a.mix, a.c[0], a.rest[0]);
  for (i = 0; i < a.k && !err; i++) err = icl_refine(a.rest[i], a.c[i]);
  if (err) fail("context", icl_error_string(err));
  return a;
}

static void answer(asked *a, int n, const float *x, float *y, float *low, float *high)
{
  if (icl_predict_mean(a->k, a->c, a->rest, n, x, 0.9f, y, low, high)) fail("predict", "no answer");
  blend_answers(&a->mix, n, x, y, low, high);
}

static void delete_asked(asked *a)
{
  int i;
  for (i = 0; i < 4; i++) {
    icl_ctx_delete(a->c[i]);
    icl_ctx_delete(a->rest[i]);
  }
  blend_free(&a->mix);
}

/* Ridge regression with an intercept: on standardised data, lambda 1. */
static void ridge(float *out, const split *s, const float *x, int n)
{
  static float X[MAX_ROWS * MAX_DIMS], Q[MAX_ROWS * MAX_DIMS], y[MAX_ROWS];
  icl_baseline b;
  void *scratch;
  int i, j, d = s->d;
  for (j = 0; j < d; j++) {
    for (i = 0; i < s->context.n; i++)
      X[i * d + j] = (s->context.x[i * d + j] - s->x_mean[j]) / s->x_sd[j];
    for (i = 0; i < n; i++) Q[i * d + j] = (x[i * d + j] - s->x_mean[j]) / s->x_sd[j];
  }
  for (i = 0; i < s->context.n; i++) y[i] = (s->context.y[i] - s->y_mean) / s->y_sd;
  icl_baseline_parse(&b, "ridge:1", NULL);
  scratch = malloc(icl_baseline_scratch(&b, s->context.n, d));
  if (!scratch || icl_baseline_predict(&b, NULL, s->context.n, d, X, y, n, Q, out, scratch))
    fail("ridge", "cannot compute it");
  for (i = 0; i < n; i++) out[i] = s->y_mean + s->y_sd * out[i];
  free(scratch);
}

/* Prints the first `shown` held-out rows, the errors over all of them, and how many of them are
 * inside of their intervals. */
static void compare(asked *a, const split *s, int shown, const char *x_name)
{
  static float model[MAX_ROWS], low[MAX_ROWS], high[MAX_ROWS], linear[MAX_ROWS];
  double e_model = 0, e_linear = 0, e_mean = 0;
  int i, inside = 0, n = s->held_out.n;
  answer(a, n, s->held_out.x, model, low, high);
  ridge(linear, s, s->held_out.x, n);
  printf("  %10s %10s %10s %21s %10s\n", x_name, "truth", "model", "90 % between", "ridge");
  for (i = 0; i < n; i++) {
    double y = (double)s->held_out.y[i];
    e_model += (model[i] - y) * (model[i] - y);
    e_linear += (linear[i] - y) * (linear[i] - y);
    e_mean += (s->y_mean - y) * (s->y_mean - y);
    inside += s->held_out.y[i] >= low[i] && s->held_out.y[i] <= high[i];
    if (i >= shown) continue;
    if (s->d == 1) printf("  %10.0f", (double)s->held_out.x[i]);
    else printf("  %10d", s->context.n + i + 1);
    printf(" %10.1f %10.1f %10.1f %10.1f %10.1f\n", y, (double)model[i], (double)low[i],
           (double)high[i], (double)linear[i]);
  }
  printf("  root mean squared error over %d held-out rows: model %.2f, ridge %.2f,"
         " mean of the context %.2f\n", n, sqrt(e_model / n), sqrt(e_linear / n), sqrt(e_mean / n));
  printf("  inside the 90 %% interval: %d of %d\n", inside, n);
}

/* ----- a picture in the terminal -------------------------------------------------------------- */

enum { WIDE = 73, HIGH = 17 };

static int place(float v, float low, float high, int cells)
{
  int at = (int)floor((double)((v - low) / (high - low) * (float)(cells - 1)) + 0.5);
  return at < 0 ? 0 : at >= cells ? cells - 1 : at;
}

/* The model's curve over all x as dots, its interval as dashes, the rows of the context as o, those held out as x. */
static void draw(asked *a, const split *s, float from, float to, const char *x_name,
                 const char *y_name)
{
  char cells[HIGH][WIDE + 1];
  float curve[WIDE], lo[WIDE], hi[WIDE], xs[WIDE], low = s->context.y[0], high = low;
  int i;
  memset(cells, ' ', sizeof cells);
  for (i = 0; i < WIDE; i++) xs[i] = from + (to - from) * (float)i / (WIDE - 1);
  answer(a, WIDE, xs, curve, lo, hi);
  for (i = 0; i < s->context.n; i++) {
    if (s->context.y[i] < low) low = s->context.y[i];
    if (s->context.y[i] > high) high = s->context.y[i];
  }
  for (i = 0; i < WIDE; i++) {
    cells[place(lo[i], low, high, HIGH)][i] = cells[place(hi[i], low, high, HIGH)][i] = '-';
    cells[place(curve[i], low, high, HIGH)][i] = '.';
  }
  for (i = 0; i < s->held_out.n; i++)
    cells[place(s->held_out.y[i], low, high, HIGH)][place(s->held_out.x[i], from, to, WIDE)] = 'x';
  for (i = 0; i < s->context.n; i++)
    cells[place(s->context.y[i], low, high, HIGH)][place(s->context.x[i], from, to, WIDE)] = 'o';
  printf("\n  %s\n", y_name);
  for (i = HIGH; i--;) {
    cells[i][WIDE] = 0;
    if (i % 4 == 0)
      printf("%6.0f |%s\n", (double)(low + (high - low) * (float)i / (HIGH - 1)), cells[i]);
    else printf("       |%s\n", cells[i]);
  }
  printf("       +");
  for (i = 0; i < WIDE; i++) putchar('-');
  printf("\n        %-*.0f%*.0f  %s\n", WIDE - 6, (double)from, 6, (double)to, x_name);
  printf("        o given   x held out   . predicted   - 90 %% interval\n\n");
}

/* ----- the four parts ------------------------------------------------------------------------- */

static int first_40(int row) { return row < 40 ? 1 : 2; }
static int two_years(int row) { return row >= 24 ? 0 : row % 3 == 1 ? 2 : 1; }
static int every_third_june(int row) { return row % 12 != 5 ? 0 : row / 12 % 3 == 1 ? 1 : 2; }

/* The surprise figure as pairs of f come in, at n places in an order that jumps about.  The scale is
 * that of the pairs so far. */
static void watch_surprise(const icl_model *m, const char *what, float (*f)(float))
{
  icl_ctx *c;
  int i;
  if (icl_ctx_new(&c, m, 24, 2)) fail("context", "no memory");
  printf("  %-34s", what);
  for (i = 0; i < 24; i++) {
    float x = -2.0f + 4.0f * (float)(i * 7 % 24) / 23.0f, s;
    if (icl_add(c, &x, f(x))) fail("add", "refused");
    if (i % 4 != 3) continue;
    if (icl_standardize(c, 0, NULL, NULL)) fail("standardize", "refused");
    if (!icl_surprise(c, &s)) printf("%7.2f", (double)s);
  }
  printf("\n");
  icl_ctx_delete(c);
}

static float parabola(float x) { return 0.6f * x * x - 0.5f * x - 0.7f; }
static float slow_wave(float x) { return 1.2f * cosf(2.5f * x + 0.4f); }
static float fast_wave(float x) { return 1.2f * cosf(21.0f * x + 0.4f); }
static float zigzag(float x) { return (int)floorf(x * 5.75f + 11.75f) % 2 ? 1.0f : -1.0f; }

/* One data set, from the heading to its figures. */
static void show(const icl_model *m, split *s, const char *heading, int shown, const char *x_name,
                 int picture)
{
  asked a = ask_of(m, s);
  float surprise, error;
  printf("%s\n", heading);
  compare(&a, s, shown, x_name);
  if (!icl_check(a.c[0], &error)) printf("  leave-one-out error on the context alone: %.2f\n", (double)error);
  if (!icl_surprise(a.c[0], &surprise)) printf("  surprise %.2f\n", (double)surprise);
  if (picture) draw(&a, s, 1, 24, "month from January 1920", "degrees F");
  else printf("\n");
  delete_asked(&a);
}

int main(void)
{
  static split s;
  icl_model *table = load("examples/models/table.safetensors");
  icl_model *curves = load("examples/models/curves.safetensors");

  read_csv(&s, "examples/data/diabetes.csv", 10, first_40);
  show(table, &s, "Diabetes: progression after a year from ten measurements; 40 patients as context.", 8,
       "patient", 0);
  read_csv(&s, "examples/data/nottem.csv", 1, two_years);
  show(curves, &s, "Nottingham Castle: monthly temperature over two years, every third month held out.",
       8, "month", 1);
  read_csv(&s, "examples/data/co2.csv", 1, every_third_june);
  show(curves, &s, "Mauna Loa: CO2 in June; every third year as context, the years between held out.", 8,
       "month", 0);

  printf("Is the model out of its depth?  Surprise after 4, 8, .. 24 pairs: 0 is the median of the\n"
         "contexts it was trained on, and only one in a hundred of those goes above 1.\n");
  watch_surprise(curves, "parabola (in the mixture)", parabola);
  watch_surprise(curves, "slow wave (in the mixture)", slow_wave);
  watch_surprise(curves, "wave faster than any it has seen", fast_wave);
  watch_surprise(curves, "zigzag", zigzag);
  icl_unload(curves);
  icl_unload(table);
  return 0;
}
