/* What a training run tells while it goes on: its log as CSV, and its error on prompts that are
 * always the same.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_MONITOR_H
#define ICL_TOOLS_MONITOR_H

#include "common.h"
#include "icl_train.h"

typedef struct monitor {
  const char *path;                /* of the log; NULL: none                                  */
  int64_t log_every;               /* steps between its rows; 0: 1                            */
  int64_t save_every;              /* steps between saves, before which it is flushed         */
  int64_t eval_every;              /* steps between evaluations; 0: none                      */
  int prompts;                     /* of an evaluation                                        */
  /* private below */
  const icl_trainer *trainer;
  FILE *file;
  int lost;                        /* errno of what was lost; 0: nothing                      */
  int begun;
  double since, last, before;      /* seconds(): the start and the last step; of older rows   */
  icl_batch *batch;
  float *xs, *ys, *preds;          /* [prompts][pairs][d], [prompts][pairs] twice             */
} monitor;

/* Draws the prompts of the evaluations.  The fields above "private" are set. */
void monitor_open(monitor *m, const icl_trainer *t);

/* After each step.  The first one makes the log; a run that goes on keeps the rows of the steps
 * done before.  eval[2] = the mean squared error of all predictions and of those with the most
 * pairs; returns 1 if it was measured now.  last: no step comes after this one. */
int monitor_step(monitor *m, const icl_train_info *info, int last, double eval[2]);

/* Closes the log; exit 1 if rows were lost. */
void monitor_close(monitor *m);

#endif
