/* A model and its context on a person's own data: inputs that the model lacks are padded, and data
 * are scaled in double, before anything is rounded to float.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_PREDICTOR_H
#define ICL_TOOLS_PREDICTOR_H

#include "blend.h"
#include "dataset.h"

typedef struct predictor {
  const char *name;                /* of the model                                            */
  icl_model *model;
  void *memory;                    /* of a bundled model; NULL for a file                     */
  icl_ctx *ctx;
  icl_ctx *images[4], *rests[4];   /* ctx and its mirror images; residuals of each, or NULL   */
  int n_images;                    /* that answer; 0 before a context is set                  */
  int refined;                     /* 1: rests are of the present context                     */
  int d;                           /* inputs of the data, at most the model's                 */
  int raw;                         /* 1: nothing is scaled                                    */
  int refine;                      /* 1: answers are refined; with one input mirrored as well, */
                                   /* with several mixed with ridge regression's              */
  int one_image, unmixed;          /* 1: no mirror images; no ridge regression                */
  double share;                    /* of the model in that mix; 0: found for each context     */
  blend mix;                       /* with share 1 the model alone                            */
  int kv;                          /* an icl_storage                                          */
  double *mean, *scale;            /* [d] the model sees (x - mean) / scale; scale 0: only 0  */
  double y_mean, y_scale;          /* y_scale 0: all y are y_mean                             */
} predictor;

/* Tells a model from data among operands[n], n at most 2: *model and *data are NULL where they are
 * left out.  A single operand is a model if it ends in .safetensors or starts as such a file; of two
 * the first one is, and a CSV file there ends the program. */
void sort_operands(const char *const *operands, int n, const char **model, const char **data);

/* Loads the model at path; for NULL that waits until the inputs are known. */
predictor open_predictor(const char *path);

/* Makes p ready for so many inputs: with the bundled model for them, unless it has one; exit 1
 * where the model does not take that many.  data and line are for messages: where the inputs were
 * counted. */
void take_inputs(predictor *p, int n_inputs, const char *data, long line);
void free_predictor(predictor *p);

/* The most pairs of a context, and how many are used unless asked for more. */
int most_pairs(const predictor *p);
int usual_pairs(const predictor *p);

/* 1 where the order of the pairs makes a difference that the model was not trained to undo. */
int order_matters(const predictor *p);

/* Which *n of n_pairs rows the model gets, in the order in which it gets them: at most `limit`,
 * spread evenly; shuffled where the order matters, unless keep_order is set.  To be freed. */
int *choose_pairs(const predictor *p, int n_pairs, int limit, int keep_order, int *n);

/* Makes x[n][d], y[n] the context, and scales by them.  The first `kept` are those of the last
 * call: unscaled, they need no work. */
void set_context(predictor *p, int n, const double *x, const double *y, int kept);

/* y[n] at x[n][d].  level > 0 asks for the interval that holds so large a part: low[n], high[n];
 * CONFIG where the model has none.  *bad: the query that is NONFINITE. */
icl_error ask(predictor *p, int n, const double *x, double level, double *y, double *low,
              double *high, int *bad);

/* Mean and standard deviation (of the values themselves, not n - 1) of v[0], v[stride], .. ; the
 * deviation is 0 where the values differ by rounding only. */
void mean_and_sd(const double *v, int n, int stride, double *mean, double *sd);

#endif
