/* Figures that go on from the papers: does size or diversity close the gap on convex combinations,
 * does the interval see it, and a model of 20 inputs beside published curves.
 * SPDX-License-Identifier: MIT */
#include "repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- sizes: weights and diversity ------------------------------------------------------------ */

enum { N_SIZES = 5, N_MIXTURES = 3 };

/* Errors with all pairs on what the mixture has, and on convex combinations, whose optimum is 0. */
typedef struct size_point { double inside, outside; } size_point;

static size_point measure_size(repro *r, const char *model)
{
  static const char *const tasks[2] = {"0.5*dense + 0.5*sine", "convex(dense, sine)"};
  double e[2];
  int i;
  for (i = 0; i < 2; i++) {
    evaluation v = new_evaluation(r, tasks[i], PROBLEM_SIZES);
    v.at = 1;
    add_team(r, &v, "model", model);
    evaluate(&v);
    e[i] = team_error(&v, 0, 0);
    free_evaluation(&v);
  }
  return (size_point){e[0], e[1]};
}

static void make_sizes_figure(repro *r)
{
  static const char *const mixtures[N_MIXTURES][2] = {
    {"two", "lines, sinusoids"}, {"four", "+ cubics, peaks"}, {"combined", "+ combinations"}
  };
  static const char *const sizes[N_SIZES] = {"40", "tiny", "medium", "small", "deep"};
  static const int trained[N_MIXTURES] = {5, 3, 3};          /* of these */
  double weights[N_SIZES], inside[N_MIXTURES][N_SIZES], outside[N_MIXTURES][N_SIZES];
  double ols[N_SIZES];
  char text[512];
  size_t n = 0;
  figure *f = new_figure("sizes", "Would a larger model combine classes?  Error with 16 pairs", 2);
  plot *p;
  evaluation v = new_evaluation(r, "convex(dense, sine)", PROBLEM_SIZES);
  int i, j;
  v.at = 1;
  add_baseline(&v, "least squares", "ols", NULL);
  evaluate(&v);
  for (j = 0; j < N_SIZES; j++) ols[j] = mean_error(&v, 0, 0);
  free_evaluation(&v);
  for (i = 0; i < N_MIXTURES; i++)
    for (j = 0; j < trained[i]; j++) {
      char name[32];
      size_point at;
      snprintf(name, sizeof name, "%s-%s", mixtures[i][0], sizes[j]);
      at = measure_size(r, name);
      inside[i][j] = at.inside;
      outside[i][j] = at.outside;
      weights[j] = (double)icl_param_count(&get_model(r, name, 1)->config);
    }
  p = add_panel(f, "weights", "mean squared error", "(a) on convex combinations");
  p->log_x = p->log_y = 1;
  p->y_from = 0.02;
  for (i = 0; i < N_MIXTURES; i++)
    add_series(f, mixtures[i][1], PLOT_CURVE, trained[i], weights, outside[i], NULL, NULL);
  add_series(f, "least squares", PLOT_CURVE, N_SIZES, weights, ols, NULL, NULL);
  p = add_panel(f, "weights", "mean squared error", "(b) on lines and sinusoids");
  p->log_x = p->log_y = 1;
  p->y_from = 0.002;
  for (i = 0; i < N_MIXTURES; i++)
    add_series(f, mixtures[i][1], PLOT_CURVE, trained[i], weights, inside[i], NULL, NULL);
  finish_figure(r, f);
  for (i = 0; i < N_MIXTURES; i++)
    n += (size_t)snprintf(text + n, sizeof text - n,
                          "%s%s: %.3f to %.3f outside, %.3f to %.3f inside", i ? "; " : "",
                          mixtures[i][1], outside[i][0], outside[i][trained[i] - 1], inside[i][0],
                          inside[i][trained[i] - 1]);
  verdict(r, "sizes", "(not in the paper) does size close the gap on combinations, or diversity?",
          "measured from the smallest to the largest model, outside on convex combinations, inside on "
          "the two classes: %s\noptimum: 0 with the class known; least squares has %.3f on "
          "combinations", text, ols[0]);
}

/* ----- bands: the interval outside of the mixture --------------------------------------------- */

/* Deviations between the ends of a normal's 90 % interval. */
#define NORMAL_90 3.2897

enum { MAX_PAIRS = 64 };

/* Over the prompts of a task, with all pairs, for the seeds of `both`: root mean squared error,
 * deviation of the normal whose 90 % interval has the mean width of the model's, share of queries
 * inside. */
typedef struct band_point { score error, width, cover; } band_point;

/* For one seed: sums over prompts of squared errors, widths, queries inside. */
static void add_band(repro *r, const icl_task *task, int seed, double sums[3])
{
  const int pairs = problem_shape(r->scale, PROBLEM_WAVE).at;
  float *f = allocate(icl_prompt_scratch(task), sizeof *f);
  float x[MAX_PAIRS], y[MAX_PAIRS], at, low, high;
  icl_ctx *c;
  int i, k;
  check(icl_ctx_new(&c, get_model(r, "both", seed), pairs, 1), "both");
  for (i = 0; i < r->prompts; i++) {
    icl_rng rng;
    icl_rng_init(&rng, r->seed, EVAL_STREAM + 4, (uint64_t)i);
    check(icl_prompt_sample(task, NULL, &rng, pairs + 1, x, y, NULL, f), "bands");
    check(icl_rewind(c, 0), "both");
    for (k = 0; k < pairs; k++) check(icl_add(c, &x[k], y[k]), "both");
    check(icl_predict_interval(c, 1, &x[pairs], 0.9f, &at, &low, &high), "both");
    sums[0] += ((double)at - (double)y[pairs]) * ((double)at - (double)y[pairs]);
    sums[1] += (double)high - (double)low;
    sums[2] += y[pairs] >= low && y[pairs] <= high;
  }
  icl_ctx_delete(c);
  free(f);
}

static band_point measure_band(repro *r, const char *text)
{
  const icl_task task = parse_task(text, 1);
  const int seeds = count_seeds(r, "both");
  band_point b;
  int seed;
  memset(&b, 0, sizeof b);
  for (seed = 1; seed <= seeds; seed++) {
    double sums[3] = {0, 0, 0};
    add_band(r, &task, seed, sums);
    add_seed(&b.error, seed, seeds, sqrt(sums[0] / r->prompts));
    add_seed(&b.width, seed, seeds, sums[1] / r->prompts / NORMAL_90);
    add_seed(&b.cover, seed, seeds, sums[2] / r->prompts);
  }
  return b;
}

/* Two panels for a row of tasks: error and width, cover.  text has one %g. */
static void draw_bands(repro *r, figure *f, const char *text, const char *label,
                       const char *title, const char *covers, int n, const double *x,
                       band_point *at)
{
  score error[32], width[32], cover[32], wanted[32];
  int i;
  for (i = 0; i < n; i++) {
    char task[64];
    snprintf(task, sizeof task, text, x[i]);
    at[i] = measure_band(r, task);
    error[i] = at[i].error;
    width[i] = at[i].width;
    cover[i] = at[i].cover;
    wanted[i].mean = wanted[i].low = wanted[i].high = 0.9;
  }
  add_panel(f, label, "rms error; interval as a deviation", "%s", title);
  add_scores(f, "error (rms)", PLOT_CURVE, n, x, error);
  add_scores(f, "interval / 3.29", PLOT_CURVE, n, x, width);
  add_panel(f, label, "share of queries inside", "%s", covers)->y_to = 1.02;
  add_scores(f, "cover", PLOT_CURVE, n, x, cover);
  add_scores(f, "90 %", PLOT_CURVE, n, x, wanted);
}

/* "error / width / cover". */
static char *write_band(char text[3 * SPREAD_SIZE + 8], const band_point *b)
{
  char error[SPREAD_SIZE], width[SPREAD_SIZE], cover[SPREAD_SIZE];
  sprintf(text, "%s / %s / %s", write_score(error, b->error, 3), write_score(width, b->width, 3),
          write_score(cover, b->cover, 2));
  return text;
}

static void make_bands(repro *r)
{
  double alpha[11], frequency[14];
  char text[4][3 * SPREAD_SIZE + 8];
  band_point mixture, a[11], w[14];
  figure *f = new_figure("bands", "What the interval sees of it: 16 pairs, model with quantiles", 2);
  int i;
  for (i = 0; i < 11; i++) alpha[i] = 0.1 * i;
  for (i = 0; i < 14; i++) frequency[i] = i ? 0.4 * i : 0.01;
  draw_bands(r, f, "convex(slope, cosine, alpha=%g)", "alpha (0: cosine, 1: line)",
             "(a) convex combinations", "(a) inside (dotted: 90 %)", 11, alpha, a);
  draw_bands(r, f, "cosine(f=%g)", "frequency", "(b) cosines",
             "(b) inside (dotted: 90 %)", 14, frequency, w);
  finish_figure(r, f);
  mixture = measure_band(r, "0.5*dense + 0.5*sine");
  verdict(r, "bands", "(not in the paper) does the interval grow where the error does?",
          "measured, error / width as a deviation / cover: mixture %s, alpha 0.5 %s, frequency 1.2 %s, "
          "5.2 %s\noptimum: inside the mixture, cover 0.90", write_band(text[0], &mixture),
          write_band(text[1], &a[5]), write_band(text[2], &w[3]), write_band(text[3], &w[13]));
}

/* ----- garg20: 20 inputs ----------------------------------------------------------------------- */

/* Squared errors on linear functions of 20 inputs, over 1,280 prompts, divided by 20: evaluations of
 * the models that Garg et al. 2022 released. */
static const double published_k[] = {0, 1, 2, 5, 10, 15, 19, 20, 25, 30, 40};
static const double published_tiny[] = {0.9852, 0.9424, 0.9613, 0.7358, 0.496, 0.3435, 0.2326, 0.2278,
                                        0.172, 0.129, 0.09177};
static const double published_standard[] = {0.9822, 0.9286, 0.8042, 0.7354, 0.5128, 0.248, 0.06376,
                                            0.02067, 0.001599, 0.0008347, 0.0005759};
enum { N_PUBLISHED = sizeof published_k / sizeof *published_k };

static void make_garg20(repro *r)
{
  figure *f = new_figure("garg20", NULL, 1);
  evaluation v = new_evaluation(r, "dense", PROBLEM_TWENTY);
  char text[2][4][SPREAD_SIZE];
  double worst[2] = {-INFINITY, -INFINITY};
  int i, team, worst_k[2] = {0, 0};
  plot *p;
  add_team(r, &v, "model, 3/2/64", "dense20");
  add_team(r, &v, "model, 6/4/128", "dense20-small");
  add_baseline(&v, "least squares", "ols", NULL);
  evaluate(&v);
  p = add_panel(f, "pairs in context k", "mean squared error", "Linear functions of 20 inputs");
  p->log_y = 1;
  p->y_from = 0.001;
  add_curves(f, &v);
  add_series(f, "Garg et al., 3/2/64", PLOT_CURVE, N_PUBLISHED, published_k, published_tiny,
             NULL, NULL);
  add_series(f, "Garg et al., 12/8/256", PLOT_CURVE, N_PUBLISHED, published_k,
             published_standard, NULL, NULL);
  finish_figure(r, f);
  for (team = 0; team < 2; team++) {
    for (i = 0; i < N_PUBLISHED; i++) {
      const double above = team_error(&v, team, (int)published_k[i]) - published_tiny[i];
      if (above > worst[team]) worst[team] = above, worst_k[team] = (int)published_k[i];
    }
    for (i = 0; i < 4; i++) write_spread(text[team][i], &v, team, 10 * (i + 1), i < 2 ? 3 : 4);
  }
  verdict(r, "garg20", "(Garg et al., released models) tiny 0.496, 0.228, 0.129, 0.092 at k = 10, "
          "20, 30, 40; standard 0.513, 0.021, 0.0008, 0.0006",
          "measured, the same: 3/2/64 %s, %s, %s, %s; against their tiny model at worst %+.3f, at "
          "k = %d; 6/4/128 %s, %s, %s, %s; %+.3f, at %d\n"
          "optimum: least squares, %.3f at 10, 0 from 20 on",
          text[0][0], text[0][1], text[0][2], text[0][3], worst[0], worst_k[0], text[1][0],
          text[1][1], text[1][2], text[1][3], worst[1], worst_k[1], team_error(&v, 2, 10));
  free_evaluation(&v);
}

const figure_row more_figures[] = {
  {"garg20", "linear functions of 20 inputs beside Garg et al.'s models", make_garg20, 0, 1},
  {"bands", "intervals on convex combinations and rare frequencies", make_bands, 0, 1},
  {"sizes", "convex combinations against size and diversity", make_sizes_figure, 1, 1},
  {NULL, NULL, NULL, 0, 0}
};
