/* Whole ways to train, by name: what icl train does where its options do not say otherwise.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_PRESETS_H
#define ICL_TOOLS_PRESETS_H

#include "icl_train.h"

#include <stdint.h>

/* laptop: what learned soonest here.  garg, yadlowsky: the recipes of arXiv 2208.01066 (appendix
 * A.2) and 2311.00871 (appendix A.1). */
typedef enum preset_name { PRESET_LAPTOP, PRESET_GARG, PRESET_YADLOWSKY } preset_name;
#define PRESET_CHOICES "laptop|garg|yadlowsky"

typedef struct preset {
  int n_layer, n_head, n_embd;
  icl_position positions;
  icl_tokens tokens;
  icl_activation activation;
  int wide;                        /* 1: the read-out has d rows, not 1                       */
  int64_t steps;
  int batch;
  icl_optimizer optimizer;
  float lr;                        /* 0: 0.008 for 3 layers of width 64, else as the root of
                                      1 / (layers * width), at most 0.0113                    */
  icl_schedule schedule;
  int64_t warmup;                  /* -1: a twentieth of the steps                            */
  float clip, epsilon;
  float init_sd;                   /* 0: 1 / sqrt(width)                                      */
  int dims_start;                  /* 0: no curriculum                                        */
  int64_t dims_every;
  int pairs_start, pairs_add;      /* long prompts: twice and a half of both                  */
  int64_t pairs_every;
} preset;

const preset *find_preset(preset_name name);

/* What is left open in the preset, decided for a run of so many steps with model o->model. */
float preset_lr(const preset *p, const icl_config *m);
int64_t preset_warmup(const preset *p, int64_t steps);
float preset_init_sd(const preset *p, const icl_config *m);

/* The preset's curricula for o's inputs, pairs and steps. */
void use_dims_curriculum(icl_train_options *o, const preset *p);
void use_pairs_curriculum(icl_train_options *o, const preset *p);

/* Everything of the preset that o does not have yet; inputs, pairs and the shape are there, and
 * o->steps or 0. */
void use_preset(icl_train_options *o, const preset *p);

#endif
