/* A training run with its files, its progress on stderr, and its end by a signal.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_TRAINING_H
#define ICL_TOOLS_TRAINING_H

#include "common.h"
#include "functions.h"
#include "icl_train.h"

typedef struct training {
  icl_train_options o;
  const char *out;                 /* the checkpoint; its state is OUT.state                  */
  const char *from, *data;         /* files that are read, which out must not be; or NULL     */
  int resume, force;               /* go on from the state if there is one; overwrite         */
  int64_t save_every, log_every;   /* steps; log_every 0: a line in 5 s, a row of the log each */
  const char *log;                 /* CSV of the run; NULL: none                              */
  int64_t eval_every;              /* steps between evaluations on the same prompts; 0: none  */
  int eval_prompts;
  uint64_t eval_seed;              /* of its prompts, plus MONITOR_SEED: what a run is stopped or
                                      kept by must not be what it is judged on afterwards     */
  const functions *held_out;       /* where these come from, with own data; NULL: the task    */
  int keep_best;                   /* 1: out gets the weights of the best evaluation          */
  int64_t patience;                /* evaluations without a better one until the end; 0: none */
  float target, minutes;           /* of the evaluation's error; of this process: to stop at; 0 */
  float save_minutes;              /* between saves, beside save_every; 0: none               */
  void (*begun)(void *user);       /* the files are this run's now; NULL: nothing             */
  void *user;
} training;

enum { MONITOR_SEED = 1000000 };

/* Exit 1 or bad usage where the run would overwrite what it must not; for several runs, beforehand. */
void protect_training(const command *cmd, const training *t);

/* Trains to the end, or to where target, patience or minutes end it: 1; or to SIGINT, SIGTERM,
 * SIGHUP, SIGUSR1 or SIGUSR2, and saves: 0.  What the
 * options lack is cmd's bad usage; whatever else fails is exit 1. */
int train(const command *cmd, const training *t);

#endif
