/* The pictures of how-it-works.md, by the bundled models and the project's own plots: make pictures.
 *
 *     pictures FOLDER PICTURE         FOLDER/PICTURE.svg: prompts, pairs, interval, refine, coverage
 * SPDX-License-Identifier: MIT */
#include "../tools/common.h"
#include "../tools/plot.h"
#include "icl_train.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 201, MOST = 64 };

/* A panel's numbers, and its series. */
typedef struct panel {
  double x[GRID], y[GRID], low[GRID], high[GRID], more[4][GRID], px[MOST], py[MOST];
  plot_series series[6];
  char title[96];
} panel;

static plot show(panel *p, int n_series, double from, double to)
{
  plot out;
  memset(&out, 0, sizeof out);
  out.title = p->title;
  out.x_label = "x";
  out.y_label = "y";
  out.series = p->series;
  out.n_series = n_series;
  out.y_from = from;
  out.y_to = to;
  return out;
}

static plot_series curve(const char *name, const panel *p, const double *y)
{
  const plot_series s = {name, PLOT_CURVE, GRID, p->x, y, NULL, NULL};
  return s;
}

static plot_series dots(const char *name, const panel *p, int n)
{
  const plot_series s = {name, PLOT_DOTS, n, p->px, p->py, NULL, NULL};
  return s;
}

/* Sorts the points by x, as a plot wants them; the range of y with some room. */
static void sort_points(panel *p, int n, double *from, double *to)
{
  int i, k;
  for (i = 1; i < n; i++)
    for (k = i; k > 0 && p->px[k - 1] > p->px[k]; k--) {
      const double x = p->px[k], y = p->py[k];
      p->px[k] = p->px[k - 1];
      p->py[k] = p->py[k - 1];
      p->px[k - 1] = x;
      p->py[k - 1] = y;
    }
  *from = *to = p->py[0];
  for (i = 1; i < n; i++) {
    *from = fmin(*from, p->py[i]);
    *to = fmax(*to, p->py[i]);
  }
  *from -= 0.3;
  *to += 0.3;
}

/* Standard normal numbers, the same each time. */
static double noise(int i)
{
  icl_rng rng;
  icl_rng_init(&rng, 11, 4711, (uint64_t)i);
  return (double)icl_rng_normal(&rng);
}

static double wave(double x) { return 1.3 * sin(1.7 * x + 0.4) + 0.35 * x; }

/* n points of f from -2 to 2 with so much noise, in ascending x. */
static void points_of(panel *p, int n, double (*f)(double), double sd)
{
  int i;
  for (i = 0; i < n; i++) {
    p->px[i] = n > 1 ? -2 + 4.0 * i / (n - 1) + 0.05 * noise(100 + i) : 0;
    p->py[i] = f(p->px[i]) + sd * noise(i);
  }
  for (i = 0; i < GRID; i++) p->x[i] = -2.6 + 5.2 * i / (GRID - 1);
}

/* A context of the first n points of p, scaled by them unless raw. */
static icl_ctx *context(const icl_model *m, const panel *p, int n, int raw)
{
  float x[MOST], y[MOST];
  icl_ctx *c;
  int i;
  for (i = 0; i < n; i++) {
    x[i] = (float)p->px[i];
    y[i] = (float)p->py[i];
  }
  check(icl_ctx_new(&c, m, MOST < icl_max_pairs(m) ? MOST : icl_max_pairs(m), GRID), "context");
  if (!raw) check(icl_standardize(c, n, x, y), "scale");
  check(icl_add_batch(c, n, x, y), "pairs");
  return c;
}

/* y, and with level its interval, over the grid; r refines where it is not NULL. */
static void answer(icl_ctx *c, icl_ctx *r, const panel *p, float level, double *y, double *low, double *high)
{
  float x[GRID], out[3][GRID];
  int i;
  for (i = 0; i < GRID; i++) x[i] = (float)p->x[i];
  if (r) check(icl_predict_refined(c, r, GRID, x, level, out[0], out[1], out[2]), "answers");
  else if (level > 0) check(icl_predict_interval(c, GRID, x, level, out[0], out[1], out[2]), "answers");
  else check(icl_predict_batch(c, GRID, x, out[0]), "answers");
  for (i = 0; i < GRID; i++) {
    y[i] = (double)out[0][i];
    if (low) low[i] = (double)out[1][i];
    if (high) high[i] = (double)out[2][i];
  }
}

/* ----- the pictures -------------------------------------------------------------------------------- */

/* Six prompts, drawn as in the training of the bundled model. */
static void draw_prompts(const icl_model *m, const char *path)
{
  static panel p[6];
  plot plots[6];
  icl_task task;
  icl_sampling sampling;
  float x[32], y[32], *scratch;
  double low, high;
  int i, k;
  memset(&sampling, 0, sizeof sampling);
  check(icl_task_parse(&task, m->task, 1, NULL, 0, NULL), "task");
  check(icl_sampling_parse(&sampling, m->sampling), "sampling");
  scratch = allocate(icl_prompt_scratch(&task), sizeof *scratch);
  for (i = 0; i < 6; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 5, 4711, (uint64_t)i);
    check(icl_prompt_sample(&task, &sampling, &rng, 32, x, y, NULL, scratch), "prompt");
    for (k = 0; k < 32; k++) {
      p[i].px[k] = (double)x[k];
      p[i].py[k] = (double)y[k];
    }
    sort_points(&p[i], 32, &low, &high);
    p[i].series[0] = dots("pairs of a prompt", &p[i], 32);
    plots[i] = show(&p[i], 1, low, high);
  }
  free(scratch);
  plot_write("Six prompts of the pretraining, 32 pairs each", plots, 6, 3, path);
}

/* The same function behind 3, 6 and 16 pairs. */
static void draw_pairs(const icl_model *m, const char *path)
{
  static const int n[3] = {3, 6, 16};
  static panel p[3];
  plot plots[3];
  int i, k;
  for (i = 0; i < 3; i++) {
    icl_ctx *c;
    points_of(&p[i], n[i], wave, 0.15);
    c = context(m, &p[i], n[i], 0);
    answer(c, NULL, &p[i], 0.9f, p[i].y, p[i].low, p[i].high);
    icl_ctx_delete(c);
    for (k = 0; k < GRID; k++) p[i].more[0][k] = wave(p[i].x[k]);
    p[i].series[0] = curve("model, 90 % interval", &p[i], p[i].y);
    p[i].series[0].low = p[i].low;
    p[i].series[0].high = p[i].high;
    p[i].series[1] = dots("pairs", &p[i], n[i]);
    p[i].series[2] = curve("function", &p[i], p[i].more[0]);
    snprintf(p[i].title, sizeof p[i].title, "%d pairs", n[i]);
    plots[i] = show(&p[i], 3, -3.5, 3.5);
  }
  plot_write(NULL, plots, 3, 3, path);
}

/* Intervals of three levels, from one set of quantiles. */
static void draw_interval(const icl_model *m, const char *path)
{
  static panel p;
  plot one;
  icl_ctx *c;
  points_of(&p, 10, wave, 0.25);
  c = context(m, &p, 10, 0);
  answer(c, NULL, &p, 0.5f, p.y, p.more[0], p.more[1]);
  answer(c, NULL, &p, 0.95f, p.y, p.low, p.high);
  icl_ctx_delete(c);
  p.series[0] = curve("mean, 95 % interval", &p, p.y);
  p.series[0].low = p.low;
  p.series[0].high = p.high;
  p.series[1] = dots("pairs", &p, 10);
  p.series[2] = curve("quantile 0.25", &p, p.more[0]);
  p.series[3] = curve("quantile 0.75", &p, p.more[1]);
  one = show(&p, 4, -3.5, 3.5);
  plot_write(NULL, &one, 1, 1, path);
}

/* What a second look adds: errors of both answers on a function without noise. */
static void draw_refine(const icl_model *m, const char *path)
{
  static panel p;
  plot one;
  icl_ctx *c, *r;
  int i;
  points_of(&p, 24, wave, 0);
  for (i = 0; i < GRID; i++) p.x[i] = -2 + 4.0 * i / (GRID - 1);
  c = context(m, &p, 24, 0);
  check(icl_ctx_new(&r, m, MOST, GRID), "context");
  check(icl_refine(r, c), "refine");
  answer(c, r, &p, 0.9f, p.more[0], p.low, p.high);
  answer(c, NULL, &p, 0, p.more[1], NULL, NULL);
  icl_ctx_delete(r);
  icl_ctx_delete(c);
  for (i = 0; i < GRID; i++) {
    p.more[0][i] -= wave(p.x[i]);
    p.more[1][i] -= wave(p.x[i]);
  }
  for (i = 0; i < 24; i++) p.py[i] = 0;
  p.series[0] = curve("refined", &p, p.more[0]);
  p.series[1] = dots("pairs", &p, 24);
  p.series[2] = curve("first answer", &p, p.more[1]);
  one = show(&p, 3, -0.04, 0.04);
  one.y_label = "error";
  plot_write(NULL, &one, 1, 1, path);
}

static double cosine(double x) { return cos(6.283185307 * x); }
static double line(double x) { return 0.8 * x; }
static double both(double x) { return 0.5 * line(x) + 0.5 * cosine(x); }

/* A model that has seen lines and cosines, and never a sum of them. */
static void draw_coverage(const icl_model *m, const char *path)
{
  static double (*const f[3])(double) = {line, cosine, both};
  static const char *const names[3] = {"a line", "a cosine", "half of each"};
  static panel p[3];
  plot plots[3];
  int i, k;
  for (i = 0; i < 3; i++) {
    icl_ctx *c;
    float s;
    points_of(&p[i], 16, f[i], 0);
    for (k = 0; k < 16; k++) {              /* this model has learned from pairs in random order */
      const int j = k * 7 % 16;
      p[i].px[k] = -2 + 4.0 * j / 15 + 0.05 * noise(100 + j);
      p[i].py[k] = f[i](p[i].px[k]);
    }
    c = context(m, &p[i], 16, 1);
    answer(c, NULL, &p[i], 0, p[i].y, NULL, NULL);
    check(icl_surprise(c, &s), "surprise");
    icl_ctx_delete(c);
    for (k = 0; k < GRID; k++) p[i].more[0][k] = f[i](p[i].x[k]);
    p[i].series[0] = curve("model", &p[i], p[i].y);
    p[i].series[1] = dots("pairs", &p[i], 16);
    p[i].series[2] = curve("function", &p[i], p[i].more[0]);
    snprintf(p[i].title, sizeof p[i].title, "%s: surprise %.2f", names[i], (double)s);
    plots[i] = show(&p[i], 3, -2.2, 2.2);
  }
  plot_write(NULL, plots, 3, 3, path);
}

int main(int argc, char **argv)
{
  static const struct { const char *name, *model; void (*draw)(const icl_model *, const char *); } all[] = {
    {"prompts", "models/curves", draw_prompts}, {"pairs", "models/curves", draw_pairs},
    {"interval", "models/curves", draw_interval}, {"refine", "models/curves", draw_refine},
    {"coverage", "paper/models/both", draw_coverage}
  };
  char from[128], to[512];
  size_t i;
  for (i = 0; argc == 3 && i < sizeof all / sizeof *all; i++) {
    icl_model *m;
    if (strcmp(all[i].name, argv[2])) continue;
    snprintf(from, sizeof from, "examples/%s.safetensors", all[i].model);
    snprintf(to, sizeof to, "%s/%s.svg", argv[1], argv[2]);
    m = load_model(from);
    all[i].draw(m, to);
    icl_unload(m);
    return 0;
  }
  fprintf(stderr, "usage: pictures FOLDER prompts|pairs|interval|refine|coverage\n");
  return 2;
}
