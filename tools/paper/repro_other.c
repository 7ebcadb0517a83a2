/* Figures of Garg et al. 2022, Raventos et al. 2023, Bai et al. 2023 and Tripuraneni et al. 2023.
 * SPDX-License-Identifier: MIT */
#include "repro.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- Garg et al.: learning curves beside classical predictors -------------------------------- */

/* A model on a class, and baselines with their names in the legend.  Errors are in units of the
 * class's variance, as Garg et al. have them: that is 1 at laptop scale. */
typedef struct garg_panel {
  const char *title, *laptop_task, *paper_task;
  const char *const (*baselines)[2];
  double paper_variance;
} garg_panel;

/* One or two panels for a model; numbers for as many pairs as the problem says, and for all. */
typedef struct garg_figure {
  const char *name, *heading, *laptop_model, *paper_model;
  problem paper_problem;
  const char *claim, *optimum;
  garg_panel panel[2];             /* title NULL: none                                        */
} garg_figure;

/* Draws a panel, and writes everyone's two numbers to text. */
static void draw_garg(repro *r, const garg_figure *g, const garg_panel *p, figure *f,
                      char *text, size_t size)
{
  const int small = r->scale == LAPTOP;
  const problem which = small ? PROBLEM_LINEAR : g->paper_problem;
  const shape s = problem_shape(r->scale, which);
  evaluation v = new_evaluation(r, small ? p->laptop_task : p->paper_task, which);
  size_t n;
  int i;
  if (!small) v.unit = p->paper_variance;
  add_team(r, &v, "model", small ? g->laptop_model : g->paper_model);
  for (i = 0; p->baselines[i][0]; i++)
    add_baseline(&v, p->baselines[i][1], p->baselines[i][0], NULL);
  evaluate(&v);
  add_panel(f, "pairs in context k", "mean squared error", "%s", p->title)->log_y = 1;
  add_curves(f, &v);
  n = (size_t)snprintf(text, size, "with %d / %d pairs: ", s.at, v.pairs);
  for (i = 0; i < count_teams(&v) && n < size; i++) {
    char at[SPREAD_SIZE], last[SPREAD_SIZE];
    n += (size_t)snprintf(text + n, size - n, "%s%s %s / %s", i ? ", " : "", team_name(&v, i),
                          write_spread(at, &v, i, s.at, 3), write_spread(last, &v, i, v.pairs, 4));
  }
  free_evaluation(&v);
}

static void make_garg(repro *r, const garg_figure *g)
{
  const int both = g->panel[1].title != NULL;
  figure *f = new_figure(g->name, g->heading, 1 + both);
  char first[1024], second[1024];
  draw_garg(r, g, &g->panel[0], f, first, sizeof first);
  if (both) draw_garg(r, g, &g->panel[1], f, second, sizeof second);
  finish_figure(r, f);
  verdict(r, g->name, g->claim, "measured %s%s%s\noptimum: %s", first,
          both ? "; on linear functions " : "", both ? second : "", g->optimum);
}

static void make_garg_linear(repro *r)
{
  static const char *const baselines[][2] = {
    {"ols", "least squares"}, {"knn:3", "3 nearest neighbours"}, {"avg", "averaging"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-linear", NULL, "dense", "garg-linear", PROBLEM_GARG,
    "the model does as well as least squares: error 0.02 at k = d, 0.0006 at 2 d",
    "least squares",
    {{"Linear functions", "dense", "garg(dense)", baselines, 20}, {NULL, NULL, NULL, NULL, 0}}
  };
  make_garg(r, &g);
}

static void make_garg_sparse(repro *r)
{
  static const char *const baselines[][2] = {
    {"bayes", "optimum"}, {"lasso:0.01", "Lasso, penalty 0.01"},
    {"lasso:0.1", "Lasso, penalty 0.1"},
    {"ols", "least squares"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-sparse", NULL, "sparse", "garg-sparse", PROBLEM_GARG,
    "the model does as well as Lasso, far better than least squares", "in that list",
    {{"Sparse linear functions", "sparse(nnz=2)", "garg(sparse(nnz=3))", baselines, 3},
     {NULL, NULL, NULL, NULL, 0}}
  };
  make_garg(r, &g);
}

static void make_garg_relu(repro *r)
{
  static const char *const baselines[][2] = {
    {"bayes", "GP (b: optimum)"}, {"net:100", "network by Adam"}, {"ridge:1", "ridge 1"},
    {"knn:3", "3 nearest neighbours"}, {NULL, NULL}
  };
  static const garg_figure g = {
    "garg-relu", "The model of ReLU networks", "relu", "garg-relu", PROBLEM_GARG_LONG,
    "the model does as well as a two-layer network that Adam fits to the context, on ReLU networks "
    "and on linear functions",
    "in that list: of predictors that are linear in y the Gaussian process; least squares",
    {{"(a) on ReLU networks", "relu(hidden=100)", "garg(relu(hidden=100))", baselines, 20},
     {"(b) on linear functions", "dense", "garg(dense)", baselines, 20}}
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
    "garg-tree", NULL, "tree", "tree", PROBLEM_GARG_LONG,
    "the model is far better than greedy tree learning", "not known for trees",
    {{"Decision trees", "tree(depth=2)", "garg(tree(depth=4))", baselines, 1},
     {NULL, NULL, NULL, NULL, 0}}
  };
  make_garg(r, &g);
}

/* ----- Garg et al.: prompts unlike those of training ------------------------------------------- */

typedef struct shift {
  const char *title;
  x_distribution xs;
  float x_scale, y_scale;
} shift;

/* The last has label noise: sd 1 beside w ~ N(0, I), here in units of the variance d. */
static void make_garg_ood(repro *r)
{
  enum { N_SHIFTS = 15, QUADRANTS = 1, HALF = 4, SKEWED = 5, X_THIRD = 6, X_THRICE = 9,
         Y_THIRD = 10, Y_THRICE = 13, NOISE = 14 };
  static const shift shifts[N_SHIFTS] = {
    {"standard", X_STANDARD, 1, 1}, {"random quadrants", X_QUADRANTS, 1, 1},
    {"orthogonal query", X_ORTHOGONAL, 1, 1}, {"query from the context", X_OVERLAPPING, 1, 1},
    {"half subspace", X_HALF_SUBSPACE, 1, 1}, {"skewed covariance", X_SKEWED, 1, 1},
    {"x scaled by 1/3", X_STANDARD, 1 / 3.0f, 1}, {"x scaled by 1/2", X_STANDARD, 0.5f, 1},
    {"x scaled by 2", X_STANDARD, 2, 1}, {"x scaled by 3", X_STANDARD, 3, 1},
    {"y scaled by 1/3", X_STANDARD, 1, 1 / 3.0f}, {"y scaled by 1/2", X_STANDARD, 1, 0.5f},
    {"y scaled by 2", X_STANDARD, 1, 2}, {"y scaled by 3", X_STANDARD, 1, 3},
    {"label noise, variance 1/8", X_STANDARD, 1, 1}
  };
  const int small = r->scale == LAPTOP;
  const problem p = small ? PROBLEM_LINEAR : PROBLEM_GARG;
  figure *f = new_figure("garg-ood", "Linear functions, prompts unlike those of training", 4);
  char last[N_SHIFTS][SPREAD_SIZE];
  int i;
  for (i = 0; i < N_SHIFTS; i++) {
    const char *clean = small ? "dense" : "garg(dense)";
    const char *noisy = small ? "noisy(sd=0.3535534, renorm=1)"
                              : "garg(noisy(sd=0.2236068, renorm=1))";
    evaluation v = new_evaluation(r, i == NOISE ? noisy : clean, p);
    v.xs = shifts[i].xs;
    v.sampling.x_scale = shifts[i].x_scale;
    v.sampling.y_scale = shifts[i].y_scale;
    if (!small) v.unit = 20;
    add_team(r, &v, "model", small ? "dense" : "garg-linear");
    add_baseline(&v, "least squares", "ols", NULL);
    add_baseline(&v, "ridge 1", "ridge:1", NULL);
    evaluate(&v);
    add_panel(f, "pairs k", "squared error", "%s", shifts[i].title)->log_y = 1;
    add_curves(f, &v);
    write_spread(last[i], &v, 0, v.pairs, 4);
    free_evaluation(&v);
  }
  finish_figure(r, f);
  verdict(r, "garg-ood", "robust where the prompt stays on familiar scales; scaling x by 3 breaks it",
          "measured with all pairs: standard %s, quadrants %s, half subspace %s, skewed %s, x / 3 %s, "
          "x * 3 %s, y / 3 %s, y * 3 %s, noise %s\noptimum: 0 without noise",
          last[0], last[QUADRANTS], last[HALF], last[SKEWED], last[X_THIRD], last[X_THRICE],
          last[Y_THIRD], last[Y_THRICE], last[NOISE]);
}

/* ----- Raventos et al.: how many functions does it take? --------------------------------------- */

/* A model, and the log2 of how many functions its pool has. */
typedef struct pool_model { const char *model; double size; } pool_model;

enum { MAX_POOLS = 8 };

static void make_raventos(repro *r)
{
  static const pool_model laptop[] = {{"pool4", 4}, {"pool8", 8}, {"pool12", 12}, {NULL, 0}};
  static const pool_model paper[] = {{"pool4", 4}, {"pool8", 8}, {"pool12", 12}, {"pool14", 14},
                                     {"pool16", 16}, {"pool20", 20}, {NULL, 0}};
  const pool_model *pools = r->scale == LAPTOP ? laptop : paper;
  const char *fresh_task = find_recipe(r->scale, "pool")->task;
  const shape s = problem_shape(r->scale, PROBLEM_POOL);
  figure *f = new_figure("raventos", NULL, 1);
  plot *panel;
  double place[MAX_POOLS], discrete[MAX_POOLS], ridge[MAX_POOLS], to_own[MAX_POOLS];
  score own[MAX_POOLS], fresh[MAX_POOLS], best[MAX_POOLS];
  char text[512], spread[SPREAD_SIZE], names_text[MAX_POOLS][16];
  const char *names[MAX_POOLS];
  size_t length = 0;
  int last = 0, i;                 /* the last is the model of new functions in every prompt  */
  while (pools[last].model) last++;
  for (i = 0; i <= last; i++) {
    const char *model = i < last ? pools[i].model : "pool";
    const icl_task prior = parse_task(find_recipe(r->scale, model)->task, s.dims);
    evaluation a = new_evaluation(r, find_recipe(r->scale, model)->task, PROBLEM_POOL);
    evaluation b = new_evaluation(r, fresh_task, PROBLEM_POOL);
    a.at = b.at = 1;
    if (r->scale == PAPER) a.unit = b.unit = s.dims;
    add_team(r, &a, "model", model);
    add_baseline(&a, "optimum", "bayes", NULL);
    add_team(r, &b, "model", model);
    add_baseline(&b, "dMMSE", "bayes", &prior);
    add_baseline(&b, "ridge", "bayes", NULL);
    evaluate(&a);
    evaluate(&b);
    place[i] = i;
    names[i] = names_text[i];
    if (i < last) snprintf(names_text[i], sizeof names_text[i], "2^%g", pools[i].size);
    else snprintf(names_text[i], sizeof names_text[i], "no limit");
    own[i] = team_score(&a, 0, 0);
    to_own[i] = team_difference(&a, 0, 1, 0);
    fresh[i] = team_score(&b, 0, 0);
    best[i] = team_score(&b, 2, 0);
    discrete[i] = team_difference(&b, 0, 1, 0);
    ridge[i] = team_difference(&b, 0, 2, 0);
    free_evaluation(&a);
    free_evaluation(&b);
    if (i < last)
      length += (size_t)snprintf(text + length, sizeof text - length, "2^%g functions %.3f / %.3f, ",
                                 pools[i].size, discrete[i], ridge[i]);
    else snprintf(text + length, sizeof text - length, "no limit - / %.3f", ridge[i]);
  }
  panel = add_panel(f, "functions in pretraining", "squared error or difference",
                    "Task diversity, %d pairs, d = %d", s.pairs - 1, s.dims);
  panel->log_y = 1;
  panel->y_from = 0.02;
  panel->groups = names;
  add_scores(f, "error, new functions", PLOT_CURVE, last + 1, place, fresh);
  add_scores(f, "error of ridge", PLOT_CURVE, last + 1, place, best);
  add_series(f, "difference to ridge", PLOT_CURVE, last + 1, place, ridge, NULL, NULL);
  add_series(f, "difference to dMMSE", PLOT_CURVE, last, place, discrete, NULL, NULL);
  add_scores(f, "error, pool's functions", PLOT_CURVE, last + 1, place, own);
  finish_figure(r, f);
  verdict(r, "raventos", "with few functions the model is the discrete optimum of its pool, with "
          "many it becomes ridge regression",
          "measured on new functions, difference to the pool's optimum (dMMSE) / to ridge: %s; on "
          "its own %g functions the first has an error of %s, %.3f from the pool's optimum\n"
          "optimum: difference 0 to the one or the other; ridge has an error of %.3f", text,
          exp2(pools[0].size), write_score(spread, own[0], 3), to_own[0], best[last].mean);
}

/* ----- Bai et al.: several levels of noise ----------------------------------------------------- */

static void make_noise(repro *r)
{
  static const double sd[] = {0.1, 0.25, 0.5, 1};
  const problem p = PROBLEM_LEVELS;
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
    add_team(r, &v, "model", "noises");
    add_baseline(&v, "ridge, noise known", "bayes", NULL);
    add_baseline(&v, "optimum of mixture", "bayes", &mixture);
    add_baseline(&v, "least squares", "ols", NULL);
    evaluate(&v);
    add_panel(f, "pairs in context k", "squared error", "noise sd %g", sd[i]);
    add_curves(f, &v);
    for (k = 0; k <= v.pairs; k++)
      worst = fmax(worst, team_error(&v, 0, k) - team_error(&v, 2, k));
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
  char at[2][3][SPREAD_SIZE];
  double best[2][3];
  int i, j;
  for (j = 0; j < 3; j++) priors[j] = parse_task(find_recipe(r->scale, models[j])->task, s.dims);
  for (i = 0; i < 2; i++) {
    evaluation v = new_evaluation(r, tasks[i], PROBLEM_LINEAR);
    for (j = 0; j < 3; j++) add_team(r, &v, names[j], models[j]);
    add_baseline(&v, "optimum, 50 %", "bayes", &priors[0]);
    add_baseline(&v, "optimum, 10 %", "bayes", &priors[1]);
    add_baseline(&v, "optimum, 2 %", "bayes", &priors[2]);
    evaluate(&v);
    add_panel(f, "pairs in context k", "mean squared error", "%s", titles[i]);
    add_curves(f, &v);
    for (j = 0; j < 3; j++) {
      write_spread(at[i][j], &v, j, s.at, 3);
      best[i][j] = team_error(&v, 3 + j, s.at);
    }
    free_evaluation(&v);
  }
  finish_figure(r, f);
  verdict(r, "rare-family", "balanced mixtures cost almost nothing; the curves of families that are "
          "rare in pretraining are not monotonic",
          "measured on sparse with %d pairs at shares 50 / 10 / 2 %%: %s / %s / %s, on dense %s / %s / "
          "%s\noptimum: %.3f / %.3f / %.3f on sparse", s.at, at[1][0], at[1][1],
          at[1][2], at[0][0], at[0][1], at[0][2], best[1][0], best[1][1], best[1][2]);
}

const figure_row other_figures[] = {
  {"garg-linear", "linear functions beside least squares (Garg et al.)", make_garg_linear, 0, 0},
  {"garg-sparse", "sparse functions beside Lasso", make_garg_sparse, 0, 0},
  {"garg-relu", "ReLU networks beside a Gaussian process and Adam", make_garg_relu, 0, 0},
  {"garg-tree", "decision trees beside greedy learning", make_garg_tree, 0, 0},
  {"garg-ood", "prompts unlike those of training", make_garg_ood, 0, 0},
  {"raventos", "how many functions pretraining needs (Raventos et al.)", make_raventos, 0, 0},
  {"noise", "several levels of label noise (Bai et al.)", make_noise, 0, 0},
  {"rare-family", "rare families in the mixture (Tripuraneni et al.)", make_rare, 0, 0},
  {NULL, NULL, NULL, 0, 0}
};
