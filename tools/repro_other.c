/* Figures of Garg et al. 2022, Raventos et al. 2023, Bai et al. 2023 and Tripuraneni et al. 2023.
 * SPDX-License-Identifier: MIT */
#include "repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- Garg et al.: learning curves beside classical predictors -------------------------------- */

/* A model on its own class, in units of variance 1, and baselines with their names in the legend;
 * after so many pairs as the problem says. */
typedef struct garg_figure {
  const char *name, *title, *laptop_model, *paper_model;
  const char *laptop_task, *paper_task;
  const char *const (*baselines)[2];
  problem paper_problem;
  const char *claim;
} garg_figure;

static void make_garg(repro *r, const garg_figure *g)
{
  const int small = r->scale == LAPTOP;
  const problem p = small ? PROBLEM_LINEAR : g->paper_problem;
  const shape s = problem_shape(r->scale, p);
  const char *model = small ? g->laptop_model : g->paper_model;
  evaluation v = new_evaluation(r, small ? g->laptop_task : g->paper_task, p);
  figure *f = new_figure(g->name, NULL, 1);
  char text[512];
  int i, n = 0;
  add_model(&v, "model", get_model(r, model));
  for (i = 0; g->baselines[i][0]; i++)
    add_baseline(&v, g->baselines[i][1], g->baselines[i][0], NULL);
  evaluate(&v);
  add_panel(f, "pairs in context k", "mean squared error", "%s", g->title);
  add_curves(f, &v);
  finish_figure(r, f);
  for (i = 0; i < v.n; i++)
    n += snprintf(text + n, sizeof text - (size_t)n, "%s%s %.3f / %.4f", i ? ", " : "",
                  v.p[i].name, mean_error(&v, i, s.at), mean_error(&v, i, v.pairs));
  verdict(r, g->name, g->claim, "measured with %d / %d pairs: %s\noptimum: %s", s.at, v.pairs, text,
          strstr(g->laptop_task, "tree") ? "not known for trees" : "in that list");
  free_evaluation(&v);
}

static void make_garg_linear(repro *r)
{
  static const char *const baselines[][2] = {
    {"ols", "least squares = optimum"}, {"knn:3", "3 nearest neighbours"}, {"avg", "averaging"},
    {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-linear", "Linear functions", "dense-small", "garg-linear", "dense", "garg(dense)", baselines,
    PROBLEM_GARG, "the model does as well as least squares: error 0.02 at k = d, 0.0006 at 2 d"
  };
  make_garg(r, &g);
}

static void make_garg_sparse(repro *r)
{
  static const char *const baselines[][2] = {
    {"bayes", "optimum"}, {"lasso:0.01", "Lasso 0.01"}, {"lasso:0.1", "Lasso 0.1"},
    {"ols", "least squares"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-sparse", "Sparse linear functions", "sparse", "garg-sparse", "sparse(nnz=2)",
    "garg(sparse(nnz=3))", baselines, PROBLEM_GARG,
    "the model does as well as Lasso, far better than least squares"
  };
  make_garg(r, &g);
}

static void make_garg_relu(repro *r)
{
  static const char *const baselines[][2] = {
    {"bayes", "Gaussian process"}, {"net:100", "network by Adam"}, {"ridge:1", "ridge 1"},
    {"knn:3", "3 nearest neighbours"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-relu", "ReLU networks", "relu", "garg-relu", "relu(hidden=100)",
    "garg(relu(hidden=100))", baselines, PROBLEM_GARG_LONG,
    "the model does as well as a two-layer network that Adam fits to the context"
  };
  make_garg(r, &g);
}

static void make_garg_tree(repro *r)
{
  static const char *const baselines[][2] = {
    {"tree:2", "greedy tree, depth 2"}, {"tree:4", "greedy tree, depth 4"},
    {"knn:3", "3 nearest neighbours"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-tree", "Decision trees", "tree", "tree", "tree(depth=2)", "garg(tree(depth=4))",
    baselines, PROBLEM_GARG_LONG, "the model is far better than greedy tree learning"
  };
  make_garg(r, &g);
}

/* ----- Garg et al.: prompts unlike those of training ------------------------------------------- */

typedef struct shift {
  const char *title;
  x_distribution xs;
  float x_scale, y_scale;
  const char *task;                /* NULL: the model's                                       */
} shift;

static void make_garg_ood(repro *r)
{
  static const shift shifts[] = {
    {"standard", X_STANDARD, 1, 1, NULL},
    {"random quadrants", X_QUADRANTS, 1, 1, NULL},
    {"orthogonal query", X_ORTHOGONAL, 1, 1, NULL},
    {"query from the context", X_OVERLAPPING, 1, 1, NULL},
    {"half subspace", X_HALF_SUBSPACE, 1, 1, NULL},
    {"skewed covariance", X_SKEWED, 1, 1, NULL},
    {"x scaled by 1/3", X_STANDARD, 0.333f, 1, NULL},
    {"x scaled by 3", X_STANDARD, 3, 1, NULL},
    {"y scaled by 1/3", X_STANDARD, 1, 0.333f, NULL},
    {"y scaled by 3", X_STANDARD, 1, 3, NULL},
    {"label noise, sd 1", X_STANDARD, 1, 1, "noisy(sd=1, renorm=1)"}
  };
  enum { N_SHIFTS = sizeof shifts / sizeof *shifts };
  const int small = r->scale == LAPTOP;
  const problem p = small ? PROBLEM_LINEAR : PROBLEM_GARG;
  figure *f = new_figure("garg-ood", "Linear functions, prompts unlike those of training", 4);
  double last[N_SHIFTS];
  int i;
  for (i = 0; i < N_SHIFTS; i++) {
    const char *task = small ? (shifts[i].task ? shifts[i].task : "dense")
                             : (shifts[i].task ? "garg(noisy(sd=1, renorm=1))" : "garg(dense)");
    evaluation v = new_evaluation(r, task, p);
    plot *panel;
    v.xs = shifts[i].xs;
    v.sampling.x_scale = shifts[i].x_scale;
    v.sampling.y_scale = shifts[i].y_scale;
    add_model(&v, "model", get_model(r, small ? "dense-small" : "garg-linear"));
    add_baseline(&v, "least squares", "ols", NULL);
    add_baseline(&v, "ridge d", small ? "ridge:8" : "ridge:20", NULL);
    evaluate(&v);
    panel = add_panel(f, "pairs k", "squared error", "%s", shifts[i].title);
    panel->log_y = 1;
    add_curves(f, &v);
    last[i] = mean_error(&v, 0, v.pairs);
    free_evaluation(&v);
  }
  finish_figure(r, f);
  verdict(r, "garg-ood", "robust where the prompt stays on familiar scales; scaling x by 3 breaks it",
          "measured with all pairs: standard %.4f, quadrants %.3f, half subspace %.4f, skewed %.3f, "
          "x / 3 %.3f, x * 3 %.2f, y / 3 %.4f, y * 3 %.2f\noptimum: 0 without noise", last[0],
          last[1], last[4], last[5], last[6], last[7], last[8], last[9]);
}

/* ----- Raventos et al.: how many functions does it take? --------------------------------------- */

static void make_raventos(repro *r)
{
  static const char *const models[] = {"pool4", "pool8", "pool12", "pool"};
  static const double size[] = {4, 8, 12, 16};
  figure *f = new_figure("raventos", NULL, 1);
  const shape s = problem_shape(r->scale, PROBLEM_POOL);
  double own[4], fresh[4], discrete[4], ridge[4];
  int i;
  for (i = 0; i < 4; i++) {
    const recipe *what = find_recipe(r->scale, models[i]);
    const icl_task prior = parse_task(what->task, s.dims);
    evaluation a = new_evaluation(r, what->task, PROBLEM_POOL);
    evaluation b = new_evaluation(r, find_recipe(r->scale, "pool")->task, PROBLEM_POOL);
    a.at = b.at = 1;
    add_model(&a, "model", get_model(r, models[i]));
    add_model(&b, "model", get_model(r, models[i]));
    add_baseline(&b, "dMMSE", "bayes", &prior);
    add_baseline(&b, "ridge", "bayes", NULL);
    evaluate(&a);
    evaluate(&b);
    own[i] = mean_error(&a, 0, 0);
    fresh[i] = mean_error(&b, 0, 0);
    discrete[i] = mean_difference(&b, 0, 1, 0);
    ridge[i] = mean_difference(&b, 0, 2, 0);
    free_evaluation(&a);
    free_evaluation(&b);
  }
  add_panel(f, "log2 of functions in pretraining (16: no limit)", "squared error or difference",
            "Task diversity, %d pairs, d = %d", s.pairs - 1, s.dims)->log_y = 1;
  add_series(f, "error, new functions", PLOT_CURVE, 4, size, fresh, NULL, NULL);
  add_series(f, "error, pretraining's", PLOT_CURVE, 4, size, own, NULL, NULL);
  add_series(f, "difference to dMMSE", PLOT_CURVE, 4, size, discrete, NULL, NULL);
  add_series(f, "difference to ridge", PLOT_CURVE, 4, size, ridge, NULL, NULL);
  finish_figure(r, f);
  verdict(r, "raventos", "with few functions the model is the discrete optimum of its pool, with "
          "many it becomes ridge regression",
          "measured on new functions, 2^4 / 2^8 / 2^12 / unlimited: difference to the pool's optimum "
          "%.3f / %.3f / %.3f / -, to ridge %.3f / %.3f / %.3f / %.3f\n"
          "optimum: difference 0 to the one or the other", discrete[0], discrete[1], discrete[2],
          ridge[0], ridge[1], ridge[2], ridge[3]);
}

/* ----- Bai et al.: several levels of noise ----------------------------------------------------- */

static void make_noise(repro *r)
{
  static const double sd[] = {0.1, 0.25, 0.5, 1};
  const problem p = r->scale == LAPTOP ? PROBLEM_LINEAR : PROBLEM_GARG;
  const shape s = problem_shape(r->scale, p);
  const recipe *what = find_recipe(r->scale, "noises");
  const icl_task mixture = parse_task(what->task, s.dims);
  figure *f = new_figure("noise", "One model for four levels of label noise", 2);
  double worst = 0;
  int i, k;
  for (i = 0; i < 4; i++) {
    char task[40];
    evaluation v;
    snprintf(task, sizeof task, "noisy(sd=%g)", sd[i]);
    v = new_evaluation(r, task, p);
    add_model(&v, "model", get_model(r, "noises"));
    add_baseline(&v, "ridge, noise known", "bayes", NULL);
    add_baseline(&v, "optimum of mixture", "bayes", &mixture);
    add_baseline(&v, "least squares", "ols", NULL);
    evaluate(&v);
    add_panel(f, "pairs in context k", "squared error", "noise sd %g", sd[i]);
    add_curves(f, &v);
    for (k = 0; k <= v.pairs; k++)
      worst = fmax(worst, mean_error(&v, 0, k) - mean_error(&v, 2, k));
    free_evaluation(&v);
  }
  finish_figure(r, f);
  verdict(r, "noise", "one model does what ridge regression does that knows the level of noise",
          "measured: at worst %.3f above the optimum of the mixture, over all k and levels\n"
          "optimum: evidence-weighted ridge regressions, drawn", worst);
}

/* ----- Tripuraneni et al.: rare families ------------------------------------------------------- */

static void make_rare(repro *r)
{
  static const char *const small[] = {"mix-tiny", "mix90", "mix98"};
  static const char *const large[] = {"mix", "mix90", "mix98"};
  const char *const *models = r->scale == LAPTOP ? small : large;
  static const char *const names[] = {"sparse 50 %", "sparse 10 %", "sparse 2 %"};
  const shape s = problem_shape(r->scale, PROBLEM_LINEAR);
  static const char *const tasks[] = {"dense", "sparse(nnz=2)"};
  static const char *const titles[] = {"(a) on dense", "(b) on sparse, 2 nonzero"};
  figure *f = new_figure("rare-family", "Mixtures in which sparse functions are rare", 2);
  icl_task priors[3];
  double at[2][3], best[2][3];
  int i, j;
  for (j = 0; j < 3; j++) priors[j] = parse_task(find_recipe(r->scale, models[j])->task, s.dims);
  for (i = 0; i < 2; i++) {
    evaluation v = new_evaluation(r, tasks[i], PROBLEM_LINEAR);
    for (j = 0; j < 3; j++) add_model(&v, names[j], get_model(r, models[j]));
    add_baseline(&v, "optimum, 50 %", "bayes", &priors[0]);
    add_baseline(&v, "optimum, 10 %", "bayes", &priors[1]);
    add_baseline(&v, "optimum, 2 %", "bayes", &priors[2]);
    evaluate(&v);
    add_panel(f, "pairs in context k", "mean squared error", "%s", titles[i]);
    add_curves(f, &v);
    for (j = 0; j < 3; j++) {
      at[i][j] = mean_error(&v, j, s.at);
      best[i][j] = mean_error(&v, 3 + j, s.at);
    }
    free_evaluation(&v);
  }
  finish_figure(r, f);
  verdict(r, "rare-family", "what is rare in pretraining is learned late: its curves are far from "
          "those of the balanced mixture",
          "measured on sparse with %d pairs at shares 50 / 10 / 2 %%: %.3f / %.3f / %.3f, on dense "
          "%.3f / %.3f / %.3f\noptimum: %.3f / %.3f / %.3f on sparse", s.at, at[1][0], at[1][1],
          at[1][2], at[0][0], at[0][1], at[0][2], best[1][0], best[1][1], best[1][2]);
}

const figure_row other_figures[] = {
  {"garg-linear", "linear functions beside least squares (Garg et al.)", make_garg_linear},
  {"garg-sparse", "sparse functions beside Lasso", make_garg_sparse},
  {"garg-relu", "ReLU networks beside a Gaussian process and Adam", make_garg_relu},
  {"garg-tree", "decision trees beside greedy learning", make_garg_tree},
  {"garg-ood", "prompts unlike those of training", make_garg_ood},
  {"raventos", "how many functions pretraining needs (Raventos et al.)", make_raventos},
  {"noise", "several levels of label noise (Bai et al.)", make_noise},
  {"rare-family", "rare families in the mixture (Tripuraneni et al.)", make_rare},
  {NULL, NULL, NULL}
};
