/* Figures 4, 5 and 6 of Yadlowsky et al. 2023, on functions of one input, and two that go on from
 * them: a mixture that repairs figure 5, and the surprise figure as a detector.
 * SPDX-License-Identifier: MIT */
#include "repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LINE_TASK "dense"
#define SINE_TASK "sine"
#define BOTH_TASK "0.5*dense + 0.5*sine"

/* Streams of random numbers, beside evaluate()'s: functions that are drawn, and the detector's, two
 * from here on; `bands` in repro_more.c has the prompts of the second one. */
enum { SWEEP_STREAM = 2, DETECTOR_STREAM = 3 };

/* Context and sweep of one panel: examples at x ~ N(0, 1), then predictions for a row of x's. */
enum { SWEEP_POINTS = 201, MAX_PAIRS = 64 };

/* ----- the sweep of a query ------------------------------------------------------------------ */

typedef struct prompt {
  int n;                           /* examples                                                */
  float x[MAX_PAIRS], y[MAX_PAIRS];
  float query[SWEEP_POINTS], truth[SWEEP_POINTS];
} prompt;

/* Examples of a function without chance, and its values from -range to range. */
static prompt draw_prompt(const repro *r, const char *text, double range)
{
  const icl_task task = parse_task(text, 1);
  float *f = allocate(icl_prompt_scratch(&task), sizeof *f);
  icl_rng rng;
  prompt p;
  int i;
  p.n = problem_shape(r->scale, PROBLEM_WAVE).at;
  icl_rng_init(&rng, r->seed, EVAL_STREAM + SWEEP_STREAM, 0);
  check(icl_prompt_sample(&task, NULL, &rng, p.n, p.x, p.y, NULL, f), text);
  for (i = 0; i < SWEEP_POINTS; i++) {
    p.query[i] = (float)(range * (2.0 * i / (SWEEP_POINTS - 1) - 1));
    p.truth[i] = icl_function_eval(f, &p.query[i], &task);
  }
  free(f);
  return p;
}

static void add_floats(figure *f, const char *name, plot_kind kind, int n, const float *x,
                       const float *y)
{
  double *wide = allocate(2 * (size_t)n, sizeof *wide);
  int i;
  for (i = 0; i < n; i++) {
    wide[i] = (double)x[i];
    wide[n + i] = (double)y[i];
  }
  add_series(f, name, kind, n, wide, wide + n, NULL, NULL);
  free(wide);
}

/* The mean of a model's seeds; where there are several, a band from the least to the largest. */
static void add_model_sweep(repro *r, figure *f, const prompt *p, const char *name,
                            const char *title)
{
  const int seeds = count_seeds(r, name);
  double x[SWEEP_POINTS];
  score at[SWEEP_POINTS];
  float y[SWEEP_POINTS];
  int seed, i;
  for (seed = 1; seed <= seeds; seed++) {
    icl_ctx *c;
    check(icl_ctx_new(&c, get_model(r, name, seed), p->n, SWEEP_POINTS), name);
    for (i = 0; i < p->n; i++) check(icl_add(c, &p->x[i], p->y[i]), name);
    check(icl_predict_batch(c, SWEEP_POINTS, p->query, y), name);
    icl_ctx_delete(c);
    for (i = 0; i < SWEEP_POINTS; i++) add_seed(&at[i], seed, seeds, (double)y[i]);
  }
  for (i = 0; i < SWEEP_POINTS; i++) x[i] = (double)p->query[i];
  add_scores(f, title, PLOT_CURVE, SWEEP_POINTS, x, at);
}

static void add_bayes_sweep(figure *f, const prompt *p, const char *prior, const char *title)
{
  const icl_task task = parse_task(prior, 1);
  icl_baseline b;
  float y[SWEEP_POINTS];
  void *scratch;
  check(icl_baseline_parse(&b, "bayes:1e-4", NULL), prior);
  scratch = allocate(icl_baseline_scratch(&b, p->n, 1), 1);
  check(icl_baseline_predict(&b, &task, p->n, 1, p->x, p->y, SWEEP_POINTS, p->query, y, scratch),
        prior);
  add_floats(f, title, PLOT_CURVE, SWEEP_POINTS, p->query, y);
  free(scratch);
}

/* A panel of figures 4 to 6: truth, examples, models, the optimum of the mixture. */
static void add_sweep(repro *r, figure *f, const char *function, double range, const char *title,
                      const char *const (*models)[2])
{
  const prompt p = draw_prompt(r, function, range);
  plot *panel = add_panel(f, "x", "y", "%s", title);
  int i;
  panel->y_from = -2.2;
  panel->y_to = 2.2;
  add_floats(f, "truth", PLOT_CURVE, SWEEP_POINTS, p.query, p.truth);
  add_floats(f, "examples", PLOT_DOTS, p.n, p.x, p.y);
  for (i = 0; models[i][0]; i++) add_model_sweep(r, f, &p, models[i][0], models[i][1]);
  add_bayes_sweep(f, &p, BOTH_TASK, "optimum of mixture");
}

/* ----- errors on one function after another -------------------------------------------------- */

/* Models and baselines that are compared on one task after another.  Those with a prior are Bayes
 * predictors. */
typedef struct contest {
  int n;
  const char *names[MAX_SERIES], *models[MAX_SERIES], *baselines[MAX_SERIES], *priors[MAX_SERIES];
} contest;

static void add_to(contest *c, const char *name, const char *model, const char *baseline,
                   const char *prior)
{
  c->names[c->n] = name;
  c->models[c->n] = model;
  c->baselines[c->n] = baseline;
  c->priors[c->n++] = prior;
}

/* The errors with 16 pairs on a task; that of entry i goes to e[i]. */
static void run_contest(repro *r, const contest *c, const char *task, score *e)
{
  evaluation v = new_evaluation(r, task, PROBLEM_WAVE);
  icl_task priors[MAX_SERIES];
  int i;
  v.pairs = problem_shape(r->scale, PROBLEM_WAVE).at;
  v.at = 1;
  for (i = 0; i < c->n; i++) {
    if (c->priors[i]) priors[i] = parse_task(c->priors[i], 1);
    if (c->models[i]) add_team(r, &v, c->names[i], c->models[i]);
    else add_baseline(&v, c->names[i], c->baselines[i], c->priors[i] ? &priors[i] : NULL);
  }
  evaluate(&v);
  for (i = 0; i < c->n; i++) e[i] = team_score(&v, i, 0);
  free_evaluation(&v);
}

/* ----- fig4 ---------------------------------------------------------------------------------- */

static const char *const three_models[][2] = {
  {"line", "model: lines"}, {"sine", "model: sinusoids"}, {"both", "model: both"}, {NULL, NULL}
};

static void make_fig4(repro *r)
{
  figure *f = new_figure("fig4", "Fig 4: 16 examples (dots), predictions for all x", 3);
  score e[3][3];
  char text[3][SPREAD_SIZE];
  contest c = {0, {NULL}, {NULL}, {NULL}, {NULL}};
  add_sweep(r, f, "slope", 2, "(a) a line", three_models);
  add_sweep(r, f, "cosine", 2, "(b) a cosine", three_models);
  add_sweep(r, f, "convex(slope, cosine, alpha=0.5)", 2, "(c) half line, half cosine",
            three_models);
  finish_figure(r, f);
  add_to(&c, "both", "both", NULL, NULL);
  add_to(&c, "optimum of mixture", NULL, "bayes:1e-4", BOTH_TASK);
  add_to(&c, "optimum, class known", NULL, "bayes:1e-4", "convex(dense, sine)");
  run_contest(r, &c, "slope", e[0]);
  run_contest(r, &c, "cosine", e[1]);
  run_contest(r, &c, "convex(slope, cosine, alpha=0.5)", e[2]);
  verdict(r, "fig4", "the model of both classes follows lines and cosines, and no convex "
          "combination of them",
          "measured: root mean squared error of `both` %s on x, %s on cos(2 pi x), %s on their mean\n"
          "optimum of the mixture: %.3f, %.3f, %.3f; of convex combinations: %.3f on their mean",
          write_rms(text[0], e[0][0], 3), write_rms(text[1], e[1][0], 3),
          write_rms(text[2], e[2][0], 3),
          sqrt(e[0][1].mean), sqrt(e[1][1].mean), sqrt(e[2][1].mean), sqrt(e[2][2].mean));
}

/* ----- fig5 and diversity: convex combinations ------------------------------------------------ */

enum { N_ALPHAS = 11 };

static void convex_text(char text[64], double alpha)
{
  snprintf(text, 64, "convex(slope, cosine, alpha=%g)", alpha);
}

/* Errors of everyone over alpha = 0, 0.1, .. 1 as a figure of one panel; e[predictor][alpha]. */
static void alpha_figure(repro *r, const contest *c, const char *name, const char *title,
                         double y_to, score (*e)[N_ALPHAS])
{
  figure *f = new_figure(name, NULL, 1);
  double alpha[N_ALPHAS];
  score at[MAX_SERIES];
  plot *p = add_panel(f, "alpha (0: cosine, 1: line)", "mean squared error", "%s", title);
  int i, j;
  for (i = 0; i < N_ALPHAS; i++) {
    char text[64];
    alpha[i] = i / (N_ALPHAS - 1.0);
    convex_text(text, alpha[i]);
    run_contest(r, c, text, at);
    for (j = 0; j < c->n; j++) e[j][i] = at[j];
  }
  for (j = 0; j < c->n; j++) add_scores(f, c->names[j], PLOT_CURVE, N_ALPHAS, alpha, e[j]);
  p->y_to = y_to;
  finish_figure(r, f);
}

static void make_fig5(repro *r)
{
  static const double alphas[] = {0.1, 0.2, 0.3, 0.7, 0.8, 0.9};
  figure *f = new_figure("fig5", "Fig 5: alpha x + (1 - alpha) cos(2 pi x) from 16 examples", 3);
  contest c = {0, {NULL}, {NULL}, {NULL}, {NULL}};
  score e[MAX_SERIES][N_ALPHAS];
  char text[3][SPREAD_SIZE];
  int i, most = 0;
  for (i = 0; i < 6; i++) {
    char task[64], title[32];
    convex_text(task, alphas[i]);
    snprintf(title, sizeof title, "alpha = %g", alphas[i]);
    add_sweep(r, f, task, 2, title, three_models);
  }
  finish_figure(r, f);
  add_to(&c, "model: both", "both", NULL, NULL);
  add_to(&c, "model: lines", "line", NULL, NULL);
  add_to(&c, "model: sinusoids", "sine", NULL, NULL);
  add_to(&c, "optimum of mixture", NULL, "bayes:1e-4", BOTH_TASK);
  add_to(&c, "least squares", NULL, "ols", NULL);
  add_to(&c, "optimum, class known", NULL, "bayes:1e-4", "convex(dense, sine)");
  alpha_figure(r, &c, "fig5-error", "Fig 5: error after 16 pairs", 1.6, e);
  for (i = 0; i < N_ALPHAS; i++) if (e[0][i].mean > e[0][most].mean) most = i;
  verdict(r, "fig5", "predictions are reasonable where one class dominates and erratic where both "
          "matter",
          "measured: error of `both` %s at alpha 0, %s at 1, largest %s at %.1f; the mixture's own "
          "optimum has %.3f there\noptimum with the class known: %.4f",
          write_score(text[0], e[0][0], 4), write_score(text[1], e[0][N_ALPHAS - 1], 4),
          write_score(text[2], e[0][most], 3), most / (N_ALPHAS - 1.0), e[3][most].mean,
          e[5][most].mean);
}

/* Share of the pretraining mixture that convex combinations have. */
static void make_diversity(repro *r)
{
  static const double shares[] = {0, 0.1, 0.25, 0.5};
  contest c = {0, {NULL}, {NULL}, {NULL}, {NULL}};
  static const char *const pure[3][2] = {
    {"on combinations", "convex(dense, sine)"}, {"on lines", LINE_TASK}, {"on sinusoids", SINE_TASK}
  };
  score e[MAX_SERIES][N_ALPHAS], at[3][MAX_SERIES];
  char text[3][4][SPREAD_SIZE];
  figure *f;
  plot *p;
  int i, j;
  add_to(&c, "share 0", "both", NULL, NULL);
  add_to(&c, "share 0.1", "convex10", NULL, NULL);
  add_to(&c, "share 0.25", "convex25", NULL, NULL);
  add_to(&c, "share 0.5", "convex50", NULL, NULL);
  add_to(&c, "optimum, class known", NULL, "bayes:1e-4", "convex(dense, sine)");
  alpha_figure(r, &c, "diversity", "Fig 5 with convex combinations in the mixture", 1.1, e);
  f = new_figure("diversity-share", NULL, 1);
  p = add_panel(f, "share of convex combinations in the mixture", "mean squared error",
                "What diversity costs and gives, after 16 pairs");
  p->log_y = 1;
  p->y_from = 0.0000112;
  for (i = 0; i < 3; i++) {
    run_contest(r, &c, pure[i][1], at[i]);
    add_scores(f, pure[i][0], PLOT_CURVE, 4, shares, at[i]);
    for (j = 0; j < 4; j++) write_score(text[i][j], at[i][j], i == 1 ? 5 : 3);
  }
  finish_figure(r, f);
  verdict(r, "diversity", "(not in the paper) does training on convex combinations repair Fig 5?",
          "measured with shares 0 / 0.1 / 0.25 / 0.5: on convex combinations %s / %s / %s / %s, on "
          "lines %s / %s / %s / %s, on sinusoids %s / %s / %s / %s\noptimum: %.4f on convex "
          "combinations", text[0][0], text[0][1], text[0][2], text[0][3], text[1][0], text[1][1],
          text[1][2], text[1][3], text[2][0], text[2][1], text[2][2], text[2][3], at[0][4].mean);
}

/* ----- fig6: frequencies --------------------------------------------------------------------- */

/* Density of Gamma(6, 1/6): 6^6 w^5 exp(-6 w) / 5!. */
static double gamma_density(double w) { return 46656 * pow(w, 5) * exp(-6 * w) / 120; }

/* Frequencies up to 2 in steps of 0.1, then 0.2. */
enum { N_FREQUENCIES = 36, AT_HALF = 5, AT_1 = 10, AT_1_5 = 15, AT_2 = 20, AT_5 = 35 };
enum { BOTH = 0, SINE = 1, BAYES = 2 };

static double frequency_at(int i)
{
  return i == 0 ? 0.01 : i <= AT_2 ? 0.1 * i : 2 + 0.2 * (i - AT_2);
}

static void frequency_figure(repro *r, double *w, score (*e)[N_FREQUENCIES])
{
  figure *f = new_figure("fig6-error", NULL, 1);
  contest c = {0, {NULL}, {NULL}, {NULL}, {NULL}};
  double density[N_FREQUENCIES];
  score at[MAX_SERIES];
  plot *p = add_panel(f, "frequency", "mean squared error; density",
                      "Fig 6: error on cos(2 pi w x) after 16 pairs");
  int i, j;
  add_to(&c, "model: both", "both", NULL, NULL);
  add_to(&c, "model: sinusoids", "sine", NULL, NULL);
  add_to(&c, "optimum of mixture", NULL, "bayes:1e-4", BOTH_TASK);
  for (i = 0; i < N_FREQUENCIES; i++) {
    char text[64];
    w[i] = frequency_at(i);
    density[i] = gamma_density(w[i]);
    snprintf(text, sizeof text, "cosine(f=%g)", w[i]);
    run_contest(r, &c, text, at);
    for (j = 0; j < c.n; j++) e[j][i] = at[j];
  }
  for (j = 0; j < c.n; j++) add_scores(f, c.names[j], PLOT_CURVE, N_FREQUENCIES, w, e[j]);
  add_series(f, "density in training", PLOT_CURVE, N_FREQUENCIES, w, density, NULL, NULL);
  p->y_to = 1.2;
  finish_figure(r, f);
}

static void make_fig6(repro *r)
{
  static const char *const two_models[][2] = {
    {"sine", "model: sinusoids"}, {"both", "model: both"}, {NULL, NULL}
  };
  static const double frequencies[] = {0.01, 0.1, 0.5, 1, 2, 5};
  figure *f = new_figure("fig6", "Fig 6: cos(2 pi w x) from 16 examples", 3);
  double w[N_FREQUENCIES];
  score e[3][N_FREQUENCIES];
  char text[5][SPREAD_SIZE];
  int i, worst = AT_HALF;
  for (i = 0; i < 6; i++) {
    char task[64], title[32];
    snprintf(task, sizeof task, "cosine(f=%g)", frequencies[i]);
    snprintf(title, sizeof title, "w = %g", frequencies[i]);
    add_sweep(r, f, task, 2, title, two_models);
  }
  finish_figure(r, f);
  frequency_figure(r, w, e);
  for (i = AT_HALF; i <= AT_1_5; i++) if (e[BOTH][i].mean > e[BOTH][worst].mean) worst = i;
  verdict(r, "fig6", "good at frequencies that were frequent in training, degrading dramatically "
          "where they were rare",
          "measured: error of `both` %s at frequency %g, %s at %g, %s at %g, %s at %g; from %g to %g "
          "at most %s, at %g\noptimum: %.4f, %.4f, %.4f, %.4f",
          write_score(text[0], e[BOTH][0], 4), w[0], write_score(text[1], e[BOTH][AT_1], 4), w[AT_1],
          write_score(text[2], e[BOTH][AT_2], 3), w[AT_2], write_score(text[3], e[BOTH][AT_5], 2),
          w[AT_5], w[AT_HALF], w[AT_1_5], write_score(text[4], e[BOTH][worst], 4), w[worst],
          e[BAYES][0].mean, e[BAYES][AT_1].mean, e[BAYES][AT_2].mean, e[BAYES][AT_5].mean);
}

/* ----- surprise: the detector ----------------------------------------------------------------- */

/* icl_surprise of a seed of `both` after so many pairs of each of n prompts of a task. */
static void surprises(repro *r, int seed, const char *text, int pairs, uint64_t stream, double *s)
{
  const icl_task task = parse_task(text, 1);
  float *f = allocate(icl_prompt_scratch(&task), sizeof *f), x[MAX_PAIRS], y[MAX_PAIRS], figure;
  icl_ctx *c;
  int i, k;
  check(icl_ctx_new(&c, get_model(r, "both", seed), pairs, 1), "both");
  for (i = 0; i < r->prompts; i++) {
    icl_rng rng;
    icl_rng_init(&rng, r->seed, EVAL_STREAM + DETECTOR_STREAM + stream, (uint64_t)i);
    check(icl_prompt_sample(&task, NULL, &rng, pairs, x, y, NULL, f), text);
    check(icl_rewind(c, 0), "both");
    for (k = 0; k < pairs; k++) check(icl_add(c, &x[k], y[k]), "both");
    check(icl_surprise(c, &figure), "both");
    s[i] = (double)figure;
  }
  icl_ctx_delete(c);
  free(f);
}

static int compare(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Share of alarms among b[n] at each share of false alarms among a[n], both of which are sorted;
 * returns the area under the curve, which is P(b > a) + P(b = a) / 2. */
enum { ROC_POINTS = 101 };
static double roc(double *a, double *b, int n, double *rate)
{
  double area = 0;
  int i, j = 0, ties = 0;
  qsort(a, (size_t)n, sizeof *a, compare);
  qsort(b, (size_t)n, sizeof *b, compare);
  for (i = 0; i < n; i++) {
    while (j < n && a[j] < b[i]) j++;
    for (ties = ties > j ? ties : j; ties < n && a[ties] == b[i];) ties++;
    area += 0.5 * (j + ties);
  }
  for (i = 0; i < ROC_POINTS; i++) {
    const int above = (int)((double)n * i / (ROC_POINTS - 1));
    const double threshold = above < n ? a[n - 1 - above] : -INFINITY;
    for (j = 0; j < n && b[j] <= threshold;) j++;
    rate[i] = (double)(n - j) / n;
  }
  return area / ((double)n * n);
}

/* Over the seeds of `both`: the area, and the share of alarms at each share of false alarms. */
typedef struct detection { score area, rate[ROC_POINTS]; } detection;

static void detect(repro *r, const char *outside, int pairs, detection *d)
{
  const size_t n = (size_t)r->prompts;
  const int seeds = count_seeds(r, "both");
  double *in = allocate(2 * n, sizeof *in), *out = in + n, rate[ROC_POINTS];
  int seed, i;
  memset(d, 0, sizeof *d);
  for (seed = 1; seed <= seeds; seed++) {
    surprises(r, seed, BOTH_TASK, pairs, 0, in);
    surprises(r, seed, outside, pairs, 1, out);
    add_seed(&d->area, seed, seeds, roc(in, out, r->prompts, rate));
    for (i = 0; i < ROC_POINTS; i++) add_seed(&d->rate[i], seed, seeds, rate[i]);
  }
  free(in);
}

static void make_surprise(repro *r)
{
  static const char *const outside[][2] = {
    {"convex(dense, sine, alpha=0.5)", "half line, half sine"},
    {"tone(fmin=3, fmax=5)", "frequencies 3 to 5"},
    {"tone(fmin=0, fmax=0.1)", "frequencies 0 to 0.1"}
  };
  double x[ROC_POINTS];
  char area[2][3][SPREAD_SIZE];
  detection *d = allocate(1, sizeof *d);
  figure *f = new_figure("surprise", "The surprise figure of the model of both as a detector", 2);
  int i, j;
  for (i = 0; i < ROC_POINTS; i++) x[i] = i / (ROC_POINTS - 1.0);
  for (i = 0; i < 2; i++) {
    const int pairs = i ? 16 : 8;
    plot *p = add_panel(f, "false alarms, on the mixture", "true alarms", "after %d pairs", pairs);
    p->y_to = 1.02;
    for (j = 0; j < 3; j++) {
      detect(r, outside[j][0], pairs, d);
      write_score(area[i][j], d->area, 3);
      add_scores(f, outside[j][1], PLOT_CURVE, ROC_POINTS, x, d->rate);
    }
    add_series(f, "chance", PLOT_CURVE, ROC_POINTS, x, x, NULL, NULL);
  }
  finish_figure(r, f);
  verdict(r, "surprise", "(not in the paper) does the model know when it is out of its mixture?",
          "measured: area under the ROC curve after 8 / 16 pairs: half a line and half a sinusoid %s / "
          "%s, frequencies 3 to 5 %s / %s, 0 to 0.1 %s / %s\noptimum: 1", area[0][0], area[1][0],
          area[0][1], area[1][1], area[0][2], area[1][2]);
  free(d);
}

const figure_row wave_figures[] = {
  {"fig4", "lines, cosines and their mean: predictions for all x", make_fig4, 0, 0},
  {"fig5", "convex combinations of a line and a cosine", make_fig5, 0, 0},
  {"fig6", "cosines of rare frequencies", make_fig6, 0, 0},
  {"diversity", "convex combinations in the mixture repair fig5", make_diversity, 0, 0},
  {"surprise", "area under the ROC curve of icl_surprise", make_surprise, 0, 0},
  {NULL, NULL, NULL, 0, 0}
};
