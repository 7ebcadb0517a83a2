/* What the figures of `icl repro` share: models that are trained when they are missing, and results
 * as CSV, SVG, PNG and a verdict.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_REPRO_H
#define ICL_TOOLS_REPRO_H

#include "../evaluate.h"
#include "../plot.h"
#include "recipes.h"

enum { MAX_MODELS = 100, MAX_PANELS = 16, MAX_SERIES = 12, MAX_SEEDS = 3 };

/* One call of the command. */
typedef struct repro {
  scale scale;
  const char *dir;                 /* figures; its folder models/ holds the models            */
  int prompts, threads, no_train, force;
  int seeds;                       /* models of a recipe; 0: as many as DIR/models has        */
  uint64_t seed;
  int n_models;
  icl_model *models[MAX_MODELS];
  const recipe *recipes[MAX_MODELS];
  int model_seeds[MAX_MODELS];
} repro;

/* The model of that name that was trained with a seed from 1: from its file, NAME.safetensors or
 * NAME-SEED.safetensors; trained where that is missing or unfinished. */
const icl_model *get_model(repro *r, const char *name, int seed);

/* How many seeds the figures have of that model: seeds 1, 2, .. of it, at least 1. */
int count_seeds(const repro *r, const char *name);

/* Trains it if need be. */
void train_model(const repro *r, const recipe *what, int seed);

/* A text of a class of one's own: "cosine(f=0.5)" is the function cos(2 pi f x), "slope(b=1)" is
 * b x; both without chance, d = 1; "tone(fmin=3, fmax=5)" is b cos(2 pi w x), b ~ N(0, 1), w
 * uniform. */
icl_task parse_task(const char *text, int n_dims);

/* An evaluation of the task at the problem's shape, without predictors; the caller may change it. */
evaluation new_evaluation(const repro *r, const char *task, problem p);

/* ----- teams ---------------------------------------------------------------------------------
 * A team is one predictor, or one for each seed of a model: neighbours in an evaluation that have
 * the same name.  Teams are counted from 0, in the order of their predictors. */

/* Adds one predictor for each seed of the model, as one team. */
void add_team(repro *r, evaluation *v, const char *title, const char *name);

int count_teams(const evaluation *v);
const char *team_name(const evaluation *v, int team);

/* A number for each seed of a model: their mean, the least and the largest.  The three are the same
 * where there is one. */
typedef struct score { double mean, low, high; } score;

/* Adds the value of a seed, 1 to n, in that order; the first one begins anew. */
void add_seed(score *s, int seed, int n, double value);

/* mean_error of a team's members in column c, and its mean alone. */
score team_score(const evaluation *v, int team, int c);
double team_error(const evaluation *v, int team, int c);

/* The mean over seeds of mean_difference: member s of one team against member s of the other, or
 * against its only one. */
double team_difference(const evaluation *v, int team, int other, int c);

/* "0.123", or of several seeds "0.123 (0.120 to 0.127)", with so many decimals.  Returns text.
 * write_rms writes the roots, write_spread the score of a team in column c. */
enum { SPREAD_SIZE = 48 };
char *write_score(char text[SPREAD_SIZE], score s, int decimals);
char *write_rms(char text[SPREAD_SIZE], score s, int decimals);
char *write_spread(char text[SPREAD_SIZE], const evaluation *v, int team, int c, int decimals);

/* ----- figures -------------------------------------------------------------------------------- */

typedef struct figure {
  const char *name, *heading;      /* of the files; above several panels, or NULL             */
  int n, columns;
  plot panels[MAX_PANELS];
  plot_series series[MAX_PANELS][MAX_SERIES];
  char *texts[MAX_PANELS * (MAX_SERIES + 3)];
  int n_texts;
} figure;

figure *new_figure(const char *name, const char *heading, int columns);

/* The texts are copied, as printf has them for the title. */
plot *add_panel(figure *f, const char *x_label, const char *y_label, const char *title, ...)
  PRINTF(4, 5);

/* Copies x[n], y[n], low[n], high[n] (both or neither) and the name to the last panel. */
void add_series(figure *f, const char *name, plot_kind kind, int n, const double *x,
                const double *y, const double *low, const double *high);

/* A score for each x; a band from the least to the largest where any two seeds differ. */
void add_scores(figure *f, const char *name, plot_kind kind, int n, const double *x,
                const score *y);

/* All teams of an evaluation over all k.  Models have a band: from the least to the largest of
 * several seeds; of a single model, 90 % of the means of resampled prompts. */
void add_curves(figure *f, const evaluation *v);

/* 1 if a file of the figure is there. */
int figure_exists(const repro *r, const char *name);

/* DIR/NAME.csv (panel,series,x,y,low,high), DIR/NAME.svg and, in builds that can, DIR/NAME.png;
 * frees the figure. */
void finish_figure(const repro *r, figure *f);

/* Three lines to stdout and to DIR/NAME.txt: what the paper says, what was measured, the optimum. */
void verdict(const repro *r, const char *name, const char *claim, const char *measured, ...)
  PRINTF(4, 5);

/* ----- the figures, in repro_*.c ------------------------------------------------------------- */

typedef struct figure_row {
  const char *name, *about;
  void (*make)(repro *r);
  int apart;                       /* 1: not of `all`: its models are in no folder            */
  int laptop_only;                 /* 1: at paper scale there are no models for it            */
} figure_row;

/* The end of each has the name NULL. */
extern const figure_row linear_figures[], wave_figures[], other_figures[], more_figures[];

#endif
