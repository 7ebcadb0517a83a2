/* What the figures of `icl repro` share: models that are trained when they are missing, and results
 * as CSV, SVG, PNG and a verdict.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_REPRO_H
#define ICL_TOOLS_REPRO_H

#include "../evaluate.h"
#include "../plot.h"
#include "recipes.h"

enum { MAX_MODELS = 40, MAX_PANELS = 16, MAX_SERIES = 12 };

/* One call of the command. */
typedef struct repro {
  scale scale;
  const char *dir;                 /* figures; its folder models/ holds the models            */
  int prompts, threads, no_train, force;
  uint64_t seed;
  int n_models;
  icl_model *models[MAX_MODELS];
  const recipe *recipes[MAX_MODELS];
} repro;

/* The model of that name: from its file; trained where that is missing or unfinished. */
const icl_model *get_model(repro *r, const char *name);

/* Trains it if need be. */
void train_model(const repro *r, const recipe *what);

/* A text of a class of one's own: "cosine(f=0.5)" is the function cos(2 pi f x), "slope(b=1)" is
 * b x; both without chance, d = 1; "tone(fmin=3, fmax=5)" is b cos(2 pi w x), b ~ N(0, 1), w
 * uniform. */
icl_task parse_task(const char *text, int n_dims);

/* An evaluation of the task at the problem's shape, without predictors; the caller may change it. */
evaluation new_evaluation(const repro *r, const char *task, problem p);

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

/* Predictor i of an evaluation over all k, with the band of the models' means; all of them. */
void add_curve(figure *f, const evaluation *v, int i, const double *low, const double *high);
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
} figure_row;

extern const figure_row linear_figures[], wave_figures[], other_figures[];   /* end: name NULL */

#endif
