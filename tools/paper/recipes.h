/* How each model of the papers' figures is trained, at both scales.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_RECIPES_H
#define ICL_TOOLS_RECIPES_H

#include "icl_train.h"

/* laptop: every claim within an evening on two cores.  paper: the papers' recipes. */
typedef enum scale { LAPTOP, PAPER } scale;
#define SCALE_CHOICES "laptop|paper"

/* Which problem a model is trained on decides inputs, pairs and schedule. */
typedef enum problem {
  PROBLEM_LINEAR,                  /* linear and ReLU: d = 8, 17 pairs; d = 20, 41 pairs      */
  PROBLEM_SHORT,                   /* laptop: the same with 10 pairs, a stage before the last */
  PROBLEM_WAVE,                    /* d = 1: 17 pairs, quantiles, a token of y carries x too,
                                      positions alternate; 41 pairs as in the paper           */
  PROBLEM_GARG,                    /* as linear; the recipe of Garg et al.                    */
  PROBLEM_GARG_LONG,               /* the same with 101 pairs                                 */
  PROBLEM_POOL,                    /* Raventos et al.: d = 8; 17 pairs; 16 pairs              */
  PROBLEM_LEVELS,                  /* Bai et al.: as linear; d = 20, 21 pairs                 */
  PROBLEM_SIZES,                   /* laptop: as waves, without quantiles                     */
  PROBLEM_TWENTY,                  /* laptop: d = 20, 41 pairs, a token of y carries x too    */
  N_PROBLEMS
} problem;

/* A model's shape and length of training at one scale; steps 0: it is not trained there. */
typedef struct recipe_size { int n_layer, n_head, n_embd; int64_t steps; } recipe_size;

typedef struct recipe {
  const char *name;                /* of the file: NAME.safetensors                           */
  const char *task;
  problem problem;
  recipe_size at[2];               /* laptop, paper                                           */
  const char *from;                /* laptop: name of the model it starts from, or NULL       */
  float lr;                        /* laptop: peak of the learning rate                       */
  int seeds;                       /* laptop: models in examples/paper; 0: none               */
} recipe;

/* The i-th recipe of a scale, NULL past the last; the one of that name, NULL where there is none. */
const recipe *recipe_at(scale s, int i);
const recipe *find_recipe(scale s, const char *name);

/* All steps of a model, those of the stages before it included. */
int64_t recipe_steps(scale s, const recipe *r);

/* Inputs, pairs, and the number of pairs in context at which figures with one number are made. */
typedef struct shape { int dims, pairs, at; } shape;
shape problem_shape(scale s, problem p);

/* Everything that icl_trainer_new wants; threads are the caller's. */
icl_train_options recipe_options(scale s, const recipe *r, uint64_t seed);

#endif
