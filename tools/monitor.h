/* What a training run tells while it goes on: its log as CSV; its error on prompts that are always
 * the same; and when that error says that it should end.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_MONITOR_H
#define ICL_TOOLS_MONITOR_H

#include "common.h"
#include "icl_train.h"

/* ----- prompts that training does not see ---------------------------------------------------- */

typedef struct prompts {
  int n, pairs, dims;
  float *xs, *ys;                  /* [n][pairs][dims], [n][pairs]                            */
} prompts;

/* n prompts of the run's task at its full size; or of draw (NULL: the task), a source that training
 * does not use, which user is for. */
prompts draw_prompts(const icl_train_options *o, icl_draw draw, void *user, int n, uint64_t seed);
void free_prompts(prompts *p);

/* curve[pairs]: the mean squared error after 0 .. pairs - 1 pairs; NaN where a prediction is not
 * finite. */
void measure_curve(double *curve, icl_batch *b, const prompts *p);

/* ----- the monitor --------------------------------------------------------------------------- */

typedef struct monitor {
  const char *path;                /* of the log; NULL: none                                  */
  int64_t log_every;               /* steps between its rows; 0: 1                            */
  int64_t save_every;              /* steps between saves, before which it is flushed         */
  int64_t eval_every;              /* steps between evaluations; 0: none                      */
  int n_prompts;                   /* of an evaluation                                        */
  icl_draw draw;                   /* of its prompts; NULL: the run's task                    */
  void *draw_user;
  uint64_t seed;                   /* of its prompts                                          */
  const char *history;             /* file of all evaluations, step,eval,..; or NULL          */
  int64_t patience;                /* evaluations without a new best; 0: no limit             */
  double target;                   /* error to stop at; 0: none                               */
  /* private below */
  const icl_trainer *trainer;
  FILE *file;
  int lost;                        /* errno of what was lost; 0: nothing                      */
  int resumed, begun;
  double since, last, before;      /* seconds(): the start and the last step; of older rows   */
  icl_batch *batch;
  prompts prompts;
  double *curve;                   /* [pairs]                                                 */
  struct mark { int64_t step; double eval[2]; } *marks;      /* [n_marks], the history        */
  int n_marks;
} monitor;

/* 1 if a file begins as a history does. */
int is_history(const char *path);

/* Draws the prompts of the evaluations and, for a run that goes on, reads the history.  The fields
 * above "private" are set. */
void monitor_open(monitor *m, const icl_trainer *t, int resume);

/* What a step was. */
enum { STEP_EVALUATED = 1, STEP_IS_BEST = 2 };

/* After each step.  The first one makes the log; a run that goes on keeps the rows of the steps
 * done before.  eval[2] = the mean squared error of all predictions and of those with the most
 * pairs, if it was measured now; returns STEP_ flags.  last: no step comes after this one. */
int monitor_step(monitor *m, const icl_train_info *info, int last, double eval[2]);

/* Why the evaluations up to now say that the run is to end: "--patience", "--target" or NULL. */
const char *monitor_verdict(const monitor *m);

/* Forgets the evaluations after a step. */
void monitor_rewind(monitor *m, int64_t step);

/* Closes the log; exit 1 if rows were lost. */
void monitor_close(monitor *m);

#endif
