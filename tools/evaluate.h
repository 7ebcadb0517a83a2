/* Predictors side by side on the same prompts: models, baselines and exact optima.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_EVALUATE_H
#define ICL_TOOLS_EVALUATE_H

#include "common.h"
#include "icl_bayes.h"

/* Prompts for evaluation come from streams that no training step reads: this one and later ones. */
#define EVAL_STREAM ((uint64_t)1 << 47)

/* Where x's come from.  Those of Garg et al. 2022 (arXiv 2208.01066, section 4 and appendix B), with
 * x ~ N(0, I) where nothing else is said:
 *     standard        context and query alike
 *     quadrants       the context's x's lie in one random orthant, the query anywhere
 *     orthogonal      the query is orthogonal to the context, its length kept; none from k = d on
 *     overlapping     the query is one of the context's x's
 *     half-subspace   all x's in a random subspace of ceil(d / 2) dimensions, E |x|^2 = d
 *     skewed          covariance with eigenvalues 1 / i^2 in a random basis, E |x|^2 = d */
typedef enum x_distribution {
  X_STANDARD, X_QUADRANTS, X_ORTHOGONAL, X_OVERLAPPING, X_HALF_SUBSPACE, X_SKEWED
} x_distribution;
#define DISTRIBUTION_CHOICES "standard|quadrants|orthogonal|overlapping|half-subspace|skewed"

enum { MAX_PREDICTORS = 32 };

/* A model; or, where model is NULL, a baseline. */
typedef struct predictor {
  const char *name;
  const icl_model *model;
  icl_baseline baseline;
  const icl_task *prior;           /* of `bayes`; NULL: the task that is evaluated            */
} predictor;

/* What to evaluate on what; the results are filled in by evaluate(). */
typedef struct evaluation {
  icl_task task;                   /* of functions of one's own it has n_dims alone           */
  icl_sampling sampling;
  icl_draw draw;                   /* where the prompts come from instead of a task, or NULL  */
  void *draw_user;
  x_distribution xs;
  uint64_t seed;
  double unit;                     /* errors are divided by it                                */
  int prompts, pairs;              /* pairs in context: k goes from 0 to pairs                */
  int at;                          /* 1: only k = pairs is wanted                             */
  int threads;
  int n;                           /* predictors                                              */
  predictor p[MAX_PREDICTORS];
  /* results */
  int n_k;                         /* columns: pairs + 1, or 1                                */
  float *labels;                   /* [prompts][n_k] of the queries                           */
  float *preds;                    /* [n][prompts][n_k]                                       */
} evaluation;

/* Adds one more.  The names are kept as pointers. */
void add_model(evaluation *v, const char *name, const icl_model *m);
void add_baseline(evaluation *v, const char *name, const char *text, const icl_task *prior);

/* Makes *s how the prompts of m's training were drawn, and says so where that is not the default and
 * cmd is not NULL.  Exit 1 where this version does not know it; path is the model's, for that. */
void sample_as_trained(const command *cmd, icl_sampling *s, const icl_model *m, const char *path);

/* Draws the prompts and lets everyone predict.  Prompt i depends on the seed, the distribution and i
 * alone.  A progress line on a terminal.  Exit 1 where a model does not fit. */
void evaluate(evaluation *v);
void free_evaluation(evaluation *v);

/* Where predictor i's prediction with k pairs (column k - first) of a prompt is. */
const float *predictions(const evaluation *v, int i);

/* Mean squared error of predictor i in column c, in units; NaN where a query was not defined. */
double mean_error(const evaluation *v, int i, int c);
double median_error(const evaluation *v, int i, int c);

/* Standard error of that mean over prompts; NaN for a single prompt. */
double standard_error(const evaluation *v, int i, int c);

/* Mean over prompts of predictor i's squared error less predictor j's, in units, and its standard
 * error: the prompts are the same, so it is smaller than those of the two means. */
double paired_difference(const evaluation *v, int i, int j, int c, double *error);

/* E (pred_i - pred_j)^2 in column c, in units. */
double mean_difference(const evaluation *v, int i, int j, int c);

/* 5 % and 95 % quantiles of the means over 1000 resamples of the prompts: low, high [n][n_k]. */
void bootstrap_band(const evaluation *v, double *low, double *high);

#endif
