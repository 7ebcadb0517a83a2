/* See presets.h.
 * SPDX-License-Identifier: MIT */
#include "presets.h"

#include <math.h>

#define TINY 3, 2, 64
#define STANDARD 12, 8, 256

static const preset presets[] = {
  {TINY, ICL_POSITION_LEARNED, ICL_TOKENS_JOINT, ICL_GELU_TANH, 0, 4000, 64, ICL_MUON, 0,
   ICL_LR_COSINE, -1, 1, 1e-8f, 0, 0, 0, 0, 0, 0},
  {STANDARD, ICL_POSITION_LEARNED, ICL_TOKENS_APART, ICL_GELU_TANH, 0, 500001, 64, ICL_ADAM, 1e-4f,
   ICL_LR_CONSTANT, 0, 0, 1e-8f, 0.02f, 5, 2000, 11, 2, 2000},
  /* the inverse square root schedule of Praxis, whose "learning rate of 1" peaks at
     1 / sqrt(width warmup) (Transformer schedule) */
  {STANDARD, ICL_POSITION_SINUSOIDAL, ICL_TOKENS_APART, ICL_RELU, 1, 1000000, 1024, ICL_ADAM, 0,
   ICL_LR_INVERSE_SQRT, 5000, 0, 1e-9f, 0.02f, 0, 0, 0, 0, 0}
};

const preset *find_preset(preset_name name) { return &presets[name]; }

float preset_lr(const preset *p, const icl_config *m)
{
  const float size = (float)m->n_layer * (float)m->n_embd;
  if (p->lr > 0) return p->lr;
  if (p->schedule == ICL_LR_INVERSE_SQRT) return 1 / sqrtf((float)m->n_embd * (float)p->warmup);
  return size < 96 ? 0.0113f : 0.008f * sqrtf(3 * 64 / size);
}

int64_t preset_warmup(const preset *p, int64_t steps)
{
  return p->warmup < 0 ? steps / 20 : p->warmup;
}

float preset_init_sd(const preset *p, const icl_config *m)
{
  return p->init_sd > 0 ? p->init_sd : 1 / sqrtf((float)m->n_embd);
}

void use_dims_curriculum(icl_train_options *o, const preset *p)
{
  if (!p->dims_start || p->dims_start >= o->model.n_dims) return;
  o->dims_start = p->dims_start;
  o->dims_every = p->dims_every;
}

/* Garg et al. have 26 pairs and 5 more for prompts of 101. */
void use_pairs_curriculum(icl_train_options *o, const preset *p)
{
  const int large = o->pairs > 41;
  const int start = large ? p->pairs_start * 5 / 2 - 1 : p->pairs_start;
  if (!p->pairs_start || start >= o->pairs) return;
  o->pairs_start = start;
  o->pairs_add = large ? p->pairs_add * 5 / 2 : p->pairs_add;
  o->pairs_every = p->pairs_every;
}

void use_preset(icl_train_options *o, const preset *p)
{
  o->model.position_embedding_type = p->positions;
  o->model.activation_function = p->activation;
  o->model.tokens = p->tokens;
  if (p->wide) o->model.n_out = o->model.n_dims;
  if (!o->steps) o->steps = p->steps;
  o->batch = p->batch;
  o->optimizer = p->optimizer;
  o->schedule = p->schedule;
  o->lr = preset_lr(p, &o->model);
  o->warmup = preset_warmup(p, o->steps);
  o->clip = p->clip;
  o->epsilon = p->epsilon;
  o->init_sd = preset_init_sd(p, &o->model);
  use_dims_curriculum(o, p);
  use_pairs_curriculum(o, p);
}
