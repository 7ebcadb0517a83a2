/* Figures 1, 2, 3, 7, 8 and 9 of Yadlowsky et al. 2023: linear functions and ReLU networks.
 * SPDX-License-Identifier: MIT */
#include "repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MIX_TASK "0.5*dense + 0.5*sparse(nnz=2)"
#define RELU_MIX_TASK "0.5*dense + 0.5*relu(hidden=100)"

/* Functions with exactly nnz inputs that matter. */
static void write_nnz(char text[40], int nnz) { snprintf(text, 40, "sparse(nnz=%d)", nnz); }

/* ----- fig1: one number for each model and class ---------------------------------------------- */

static void make_fig1(repro *r)
{
  static const char *const columns[] = {"mixture", "sparse only", "dense only",
                                        "optimum, class known"};
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  const int nnz[3] = {2, s.dims / 2, s.dims};
  const double x[3] = {0, 1, 2};
  score e[4][3];
  char names[3][40], spread[4][3][SPREAD_SIZE];
  const char *groups[3] = {names[0], names[1], names[2]};
  figure *f = new_figure("fig1", NULL, 1);
  plot *p = add_panel(f, "functions evaluated", "mean squared error",
                      "Fig 1: error after %d pairs, d = %d", s.at, s.dims);
  int i, j;
  for (i = 0; i < 3; i++) {
    char text[40];
    evaluation v;
    write_nnz(text, nnz[i]);
    v = new_evaluation(r, text, PROBLEM_LINEAR);
    v.pairs = s.at;
    v.at = 1;
    add_team(r, &v, "mix", "mix");
    add_team(r, &v, "sparse", "sparse");
    add_team(r, &v, "dense", "dense");
    if (nnz[i] == s.dims) add_baseline(&v, "optimum", "ols", NULL);
    else add_baseline(&v, "optimum", "bayes", NULL);
    evaluate(&v);
    for (j = 0; j < 4; j++) {
      e[j][i] = team_score(&v, j, 0);
      write_score(spread[j][i], e[j][i], 3);
    }
    free_evaluation(&v);
    snprintf(names[i], sizeof names[i], i == 2 ? "dense" : "%d nonzero", nnz[i]);
  }
  for (j = 0; j < 4; j++) add_scores(f, columns[j], PLOT_BARS, 3, x, e[j]);
  p->groups = groups;
  finish_figure(r, f);
  verdict(r, "fig1", "a model of a mixture is as good as the specialist on each of its classes",
          "measured: %d nonzero / dense: mixture %s / %s, sparse only %s / %s, dense only %s / %s\n"
          "optimum: %.3f / %.3f", nnz[0], spread[0][0], spread[0][2], spread[1][0], spread[1][2],
          spread[2][0], spread[2][2], e[3][0].mean, e[3][2].mean);
}

/* ----- learning curves ------------------------------------------------------------------------ */

/* Of all models over all k, for the axis: those of exact optima are as good as zero. */
static double least_error(const evaluation *v)
{
  double least = INFINITY;
  int i, c;
  for (i = 0; i < v->n && v->p[i].model; i++)
    for (c = 0; c < v->n_k; c++) least = fmin(least, mean_error(v, i, c));
  return least;
}

/* One panel: models, named as in the legend, and two optima: that of the class alone, and that of
 * one who also reckons with the mixture; with ReLU networks the Gaussian process stands for both.
 * On sparse functions least squares, which uses no sparsity. */
static evaluation curves_panel(repro *r, figure *f, const char *title, const char *task,
                               const char *const (*models)[2], const icl_task *mixture)
{
  evaluation v = new_evaluation(r, task, PROBLEM_LINEAR);
  plot *panel;
  int i;
  for (i = 0; models[i][0]; i++) add_team(r, &v, models[i][1], models[i][0]);
  add_baseline(&v, "optimum, class known", "bayes", NULL);
  add_baseline(&v, "optimum of mixture", "bayes", mixture);
  if (strstr(task, "sparse")) add_baseline(&v, "least squares", "ols", NULL);
  evaluate(&v);
  panel = add_panel(f, "pairs in context k", "mean squared error", "%s", title);
  panel->log_y = 1;
  panel->y_from = least_error(&v);
  add_curves(f, &v);
  return v;
}

/* The largest gap over all k between the teams i and j of an evaluation. */
static double largest_gap(const evaluation *v, int i, int j)
{
  double most = 0;
  int c;
  for (c = 0; c < v->n_k; c++) most = fmax(most, team_error(v, i, c) - team_error(v, j, c));
  return most;
}

/* Figures 2 and 7: models of five mixtures on both of their classes. */
static void make_mixtures(repro *r, const char *name, const char *heading, const char *other,
                          const char *title, const char *mixture_text,
                          const char *const (*models)[2])
{
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  const icl_task mixture = parse_task(mixture_text, s.dims);
  figure *f = new_figure(name, heading, 2);
  evaluation a = curves_panel(r, f, "(a) on dense", "dense", models, &mixture);
  evaluation b = curves_panel(r, f, title, other, models, &mixture);
  const double gap_a = fmax(largest_gap(&a, 2, 4), fmax(largest_gap(&a, 1, 4),
                                                        largest_gap(&a, 3, 4)));
  const double gap_b = fmax(largest_gap(&b, 2, 0), fmax(largest_gap(&b, 1, 0),
                                                        largest_gap(&b, 3, 0)));
  char text[6][SPREAD_SIZE];
  finish_figure(r, f);
  verdict(r, name, "every mixture is close to the specialist at every k; only the model of the "
          "other class alone is bad",
          "measured: largest gap of a mixture above the specialist %.3f on dense, %.3f on %s; with "
          "%d pairs w = 0.5 has %s and %s, the specialists %s and %s, each on the other class %s and "
          "%s\noptimum: %.3f and %.3f with %d pairs", gap_a, gap_b, other, s.at,
          write_spread(text[0], &a, 2, s.at, 3), write_spread(text[1], &b, 2, s.at, 3),
          write_spread(text[2], &a, 4, s.at, 3), write_spread(text[3], &b, 0, s.at, 3),
          write_spread(text[4], &a, 0, s.at, 3), write_spread(text[5], &b, 4, s.at, 3),
          team_error(&a, 5, s.at), team_error(&b, 5, s.at), s.at);
  free_evaluation(&a);
  free_evaluation(&b);
}

static void make_fig2(repro *r)
{
  static const char *const models[][2] = {
    {"sparse", "w = 0 (sparse)"}, {"mix25", "w = 0.25"}, {"mix", "w = 0.5"}, {"mix75", "w = 0.75"},
    {"dense", "w = 1 (dense)"}, {NULL, NULL}
  };
  make_mixtures(r, "fig2", "Fig 2: models of w dense + (1 - w) sparse", "sparse(nnz=2)",
                "(b) on sparse, 2 nonzero", MIX_TASK, models);
}

static void make_fig7(repro *r)
{
  static const char *const laptop[][2] = {
    {"relu", "w = 0 (ReLU)"}, {"relu25", "w = 0.25"}, {"relu50", "w = 0.5"},
    {"relu75", "w = 0.75"}, {"dense-tiny", "w = 1 (dense)"}, {NULL, NULL}
  };
  static const char *const paper[][2] = {
    {"relu", "w = 0 (ReLU)"}, {"relu25", "w = 0.25"}, {"relu50", "w = 0.5"},
    {"relu75", "w = 0.75"}, {"dense", "w = 1 (dense)"}, {NULL, NULL}
  };
  make_mixtures(r, "fig7", "Fig 7: models of w dense + (1 - w) ReLU networks", "relu(hidden=100)",
                "(b) on ReLU networks (optimum: GP)", RELU_MIX_TASK,
                r->scale == LAPTOP ? laptop : paper);
}

/* Figures 8 and 9: the same mixture at several sizes. */
static void make_sizes(repro *r, const char *name, const char *heading, const char *other,
                       const char *title, const char *mixture_text, const char *const (*models)[2],
                       const char *claim)
{
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  const icl_task mixture = parse_task(mixture_text, s.dims);
  figure *f = new_figure(name, heading, 2);
  evaluation a = curves_panel(r, f, "(a) on dense", "dense", models, &mixture);
  evaluation b = curves_panel(r, f, title, other, models, &mixture);
  char text[768], one[SPREAD_SIZE], two[SPREAD_SIZE];
  size_t length = 0;
  int i;
  finish_figure(r, f);
  for (i = 0; models[i][0]; i++)
    length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %s / %s",
                               i ? "; " : "", models[i][1], write_spread(one, &a, i, s.at, 3),
                               write_spread(two, &b, i, s.at, 3));
  verdict(r, name, claim, "measured with %d pairs, on dense / on %s: %s\noptimum: %.3f / %.3f",
          s.at, other, text, team_error(&a, i, s.at), team_error(&b, i, s.at));
  free_evaluation(&a);
  free_evaluation(&b);
}

/* A laptop model's layers / heads / width, and all steps that its weights have seen, as text. */
static const char *size_label(char text[48], const char *model)
{
  const recipe *r = find_recipe(LAPTOP, model);
  const recipe_size *s = &r->at[LAPTOP];
  snprintf(text, 48, "%d/%d/%d, %gk steps", s->n_layer, s->n_head, s->n_embd,
           1e-3 * (double)recipe_steps(LAPTOP, r));
  return text;
}

static void make_fig8(repro *r)
{
  char text[3][48];
  const char *const laptop[][2] = {
    {"mix-tiny", size_label(text[0], "mix-tiny")}, {"mix-small", size_label(text[1], "mix-small")},
    {"mix", size_label(text[2], "mix")}, {"dense-small", "6/4/128, dense only"}, {NULL, NULL}
  };
  static const char *const paper[][2] = {
    {"mix-tiny", "3/2/64"}, {"mix-small", "6/4/128"}, {"mix", "12/8/256"}, {NULL, NULL}
  };
  make_sizes(r, "fig8", "Fig 8: 0.5 dense + 0.5 sparse, layers / heads / width", "sparse(nnz=2)",
             "(b) on sparse, 2 nonzero", MIX_TASK, r->scale == LAPTOP ? laptop : paper,
             "selection improves with size, most of all on the sparse class");
}

static void make_fig9(repro *r)
{
  static const char *const laptop[][2] = {
    {"relu50-tiny", "3/2/64"}, {"relu50-small", "6/4/128"}, {NULL, NULL}
  };
  static const char *const paper[][2] = {
    {"relu50-tiny", "3/2/64"}, {"relu50-small", "6/4/128"}, {"relu50", "12/8/256"}, {NULL, NULL}
  };
  make_sizes(r, "fig9", "Fig 9: 0.5 dense + 0.5 ReLU networks, layers / heads / width",
             "relu(hidden=100)", "(b) on ReLU networks (optimum: GP)", RELU_MIX_TASK,
             r->scale == LAPTOP ? laptop : paper,
             "size matters on dense (the smallest is poor), hardly on ReLU networks");
}

/* ----- fig3: functions between the classes --------------------------------------------------- */

/* Noise variances of the mixture's Bayes predictor, to see which the model resembles. */
static const char *const noises[] = {
  "bayes:1e-6", "bayes:1e-5", "bayes:1e-4", "bayes:3e-4", "bayes:1e-3", "bayes:2e-3",
  "bayes:5e-3", "bayes:1e-2", "bayes:2e-2", "bayes:5e-2", "bayes:1e-1", "bayes:2e-1", "bayes:5e-1"
};
enum { N_NOISES = sizeof noises / sizeof *noises, MAX_NNZ = 20, MAX_POINTS = MAX_NNZ + 1 };

/* Columns of the sweep's evaluations. */
enum { SPARSE, DENSE, MIXED, BAYES_SPARSE, BAYES_MIXED, N_SWEEP };

/* A point for each number of nonzero coefficients, from 0. */
typedef struct sweep {
  double nnz[MAX_POINTS];
  score error[N_SWEEP][MAX_POINTS];
  double to_dense[MAX_POINTS], to_sparse[MAX_POINTS];  /* normalised differences of the mixture */
  double distance[N_NOISES];       /* sum over nnz of E (mixture - Bayes with that noise)^2   */
} sweep;

static void sweep_point(repro *r, sweep *w, int nnz, const icl_task *sparse, const icl_task *mix)
{
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  evaluation v;
  double apart;
  char text[40];
  int i;
  write_nnz(text, nnz);
  v = new_evaluation(r, text, PROBLEM_LINEAR);
  v.pairs = s.at;
  v.at = 1;
  add_team(r, &v, "sparse", "sparse");
  add_team(r, &v, "dense", "dense");
  add_team(r, &v, "mix", "mix");
  add_baseline(&v, "optimum of sparse", "bayes", sparse);
  add_baseline(&v, "optimum of mixture", "bayes", mix);
  for (i = 0; i < N_NOISES; i++) add_baseline(&v, noises[i], noises[i], mix);
  evaluate(&v);
  w->nnz[nnz] = nnz;
  for (i = 0; i < N_SWEEP; i++) w->error[i][nnz] = team_score(&v, i, 0);
  for (i = 0; i < N_NOISES; i++) w->distance[i] += team_difference(&v, MIXED, N_SWEEP + i, 0);
  apart = team_difference(&v, SPARSE, DENSE, 0);
  w->to_dense[nnz] = team_difference(&v, MIXED, DENSE, 0) / apart;
  w->to_sparse[nnz] = team_difference(&v, MIXED, SPARSE, 0) / apart;
  free_evaluation(&v);
}

static void draw_sweep(repro *r, const sweep *w, int n)
{
  static const char *const names[] = {"mixture", "sparse only", "dense only", "optimum of sparse",
                                      "optimum of mixture"};
  static const int order[] = {MIXED, SPARSE, DENSE, BAYES_SPARSE, BAYES_MIXED};
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  figure *f = new_figure("fig3", "Fig 3: functions between the classes", 2);
  plot *p = add_panel(f, "nonzero coefficients", "mean squared error", "(a) after %d pairs", s.at);
  int i;
  for (i = 0; i < N_SWEEP; i++)
    add_scores(f, names[i], PLOT_CURVE, n, w->nnz, w->error[order[i]]);
  p->y_to = 1.1;
  p = add_panel(f, "nonzero coefficients", "share of the specialists' distance",
                "(b) squared distance of the mixture");
  /* in the colours of (a); the function that is 0 everywhere is no measure */
  add_series(f, "mixture", PLOT_CURVE, 0, w->nnz, w->to_sparse, NULL, NULL);
  add_series(f, "to sparse only", PLOT_CURVE, n - 1, w->nnz + 1, w->to_sparse + 1, NULL, NULL);
  add_series(f, "to dense only", PLOT_CURVE, n - 1, w->nnz + 1, w->to_dense + 1, NULL, NULL);
  p->y_to = 1.1;
  finish_figure(r, f);
}

static void make_fig3(repro *r)
{
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  const icl_task sparse = parse_task("sparse(nnz=2)", s.dims), mix = parse_task(MIX_TASK, s.dims);
  sweep *w = allocate(1, sizeof *w);
  double worst = -INFINITY;
  int nnz, best = 0, i, crossing = 1;
  for (nnz = 0; nnz <= s.dims; nnz++) sweep_point(r, w, nnz, &sparse, &mix);
  draw_sweep(r, w, s.dims + 1);
  for (i = 0; i <= s.dims; i++)
    worst = fmax(worst, w->error[MIXED][i].mean
                            - fmin(w->error[SPARSE][i].mean, w->error[DENSE][i].mean));
  for (i = 1; i < N_NOISES; i++) if (w->distance[i] < w->distance[best]) best = i;
  while (crossing <= s.dims
         && w->error[SPARSE][crossing].mean < w->error[DENSE][crossing].mean) crossing++;
  verdict(r, "fig3", "between its classes the mixture is as good as the better specialist, and "
          "turns from one into the other near 4 of 20 nonzero coefficients",
          "measured: at worst %.3f above the better specialist, which changes at %d nonzero; the "
          "mixture is most like Bayes with noise variance %s (mean squared difference %.4f)\n"
          "optimum of the mixture: %.3f at 2 nonzero, %.3f at %d", worst, crossing,
          noises[best] + strlen("bayes:"), w->distance[best] / (s.dims + 1),
          w->error[BAYES_MIXED][2].mean, w->error[BAYES_MIXED][s.dims].mean, s.dims);
  free(w);
}

const figure_row linear_figures[] = {
  {"fig1", "models of dense, sparse and both functions on each", make_fig1, 0, 0},
  {"fig2", "learning curves for five shares of dense and sparse", make_fig2, 0, 0},
  {"fig3", "functions between dense and sparse; effective noise of the mixture", make_fig3, 0, 0},
  {"fig7", "learning curves for five shares of dense and ReLU networks", make_fig7, 0, 0},
  {"fig8", "size study on dense and sparse", make_fig8, 0, 0},
  {"fig9", "size study on dense and ReLU networks", make_fig9, 0, 0},
  {NULL, NULL, NULL, 0, 0}
};
