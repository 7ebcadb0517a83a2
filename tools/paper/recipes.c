/* The recipes of the figures' models.
 * SPDX-License-Identifier: MIT */
#include "recipes.h"

#include <math.h>
#include <string.h>

/* ----- models -------------------------------------------------------------------------------- */

#define TINY 3, 2, 64
#define MEDIUM 6, 4, 64
#define SMALL 6, 4, 128
#define STANDARD 12, 8, 256

#define SPARSE "sparse(nnz=2)"
#define MIX(a, b) #a "*dense + " #b "*sparse(nnz=2)"
#define WITH_RELU(a, b) #a "*dense + " #b "*relu(hidden=100)"
#define WITH_CONVEX(a, b) #a "*dense + " #a "*sine + " #b "*convex(dense, sine)"

/* Label noise of Raventos et al., variance 0.25 beside w.x of variance 8, in units of variance 1
 * and as they have it; of Bai et al., four levels in equal parts. */
#define POOL(class) "noisy(" class ", sd=0.1767767)"
#define THEIR_POOL(class) "garg(" POOL(class) ")"
#define BASE 8, 2, 128, 500000
#define NOISES "noisy(sd=0.1) + noisy(sd=0.25) + noisy(sd=0.5) + noisy(sd=1)"

#define NONE {0, 0, 0, 0}
#define MILLION 1000000
#define GARG_STEPS 500001

static const recipe recipes[] = {
  {"dense", "dense", PROBLEM_LINEAR, {{MEDIUM, 10000}, {STANDARD, MILLION}}, NULL, 0.004f},
  {"mix75", MIX(0.75, 0.25), PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "mix-short",
   0.001f},
  {"mix", MIX(0.5, 0.5), PROBLEM_LINEAR, {{MEDIUM, 10000}, {STANDARD, MILLION}}, "mix-short",
   0.001f},
  {"mix25", MIX(0.25, 0.75), PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "mix-short",
   0.001f},
  {"mix-short", MIX(0.5, 0.5), PROBLEM_SHORT, {{MEDIUM, 60000}, NONE}, "mix-start", 0.002f},
  {"mix-start", MIX(0.5, 0.5), PROBLEM_LINEAR, {{MEDIUM, 15000}, NONE}, "start", 0.001f},
  {"sparse", SPARSE, PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "start", 0.001f},
  {"start", SPARSE, PROBLEM_SHORT, {{MEDIUM, 60000}, NONE}, NULL, 0.002f},
  {"dense-tiny", "dense", PROBLEM_LINEAR, {{TINY, 12000}, NONE}, NULL, 0.008f},
  {"dense-small", "dense", PROBLEM_LINEAR, {{SMALL, 4000}, NONE}, NULL, 0.004f},
  {"mix-small", MIX(0.5, 0.5), PROBLEM_LINEAR, {{SMALL, 5000}, {SMALL, MILLION}}, NULL, 0.004f},
  {"mix-tiny", MIX(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 5000}, {TINY, MILLION}}, NULL, 0.008f},
  {"mix90", MIX(0.9, 0.1), PROBLEM_LINEAR, {{TINY, 6000}, {STANDARD, MILLION}}, NULL, 0.008f},
  {"mix98", MIX(0.98, 0.02), PROBLEM_LINEAR, {{TINY, 6000}, {STANDARD, MILLION}}, NULL, 0.008f},
  {"relu75", WITH_RELU(0.75, 0.25), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f},
  {"relu50", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f},
  {"relu25", WITH_RELU(0.25, 0.75), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f},
  {"relu", "relu(hidden=100)", PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL, 0.008f},
  {"relu50-small", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{SMALL, 2500}, {SMALL, MILLION}}, NULL,
   0.004f},
  {"relu50-tiny", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 2500}, {TINY, MILLION}}, NULL,
   0.008f},
  {"line", "dense", PROBLEM_WAVE, {{TINY, 2000}, {STANDARD, MILLION}}, NULL, 0.004f},
  {"sine", "sine", PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both", 0.001f},
  {"both", "0.5*dense + 0.5*sine", PROBLEM_WAVE, {{MEDIUM, 30000}, {STANDARD, MILLION}},
   "both-start", 0.002f},
  {"both-start", "0.5*dense + 0.5*sine", PROBLEM_WAVE, {{MEDIUM, 40000}, NONE}, NULL, 0.002f},
  {"sine-tiny", "sine", PROBLEM_WAVE, {{TINY, 8000}, NONE}, "both-tiny", 0.004f},
  {"both-tiny", "0.5*dense + 0.5*sine", PROBLEM_WAVE, {{TINY, 60000}, NONE}, NULL, 0.004f},
  {"convex10", WITH_CONVEX(0.45, 0.1), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both",
   0.001f},
  {"convex25", WITH_CONVEX(0.375, 0.25), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}},
   "both", 0.001f},
  {"convex50", WITH_CONVEX(0.25, 0.5), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both",
   0.001f},
  {"garg-linear", "garg(dense)", PROBLEM_GARG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0},
  {"garg-sparse", "garg(sparse(nnz=3))", PROBLEM_GARG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0},
  {"garg-relu", "garg(relu(hidden=100))", PROBLEM_GARG_LONG, {NONE, {STANDARD, GARG_STEPS}},
   NULL, 0},
  {"tree", "tree(depth=2)", PROBLEM_LINEAR, {{TINY, 4000}, NONE}, NULL, 0.008f},
  {"tree", "garg(tree(depth=4))", PROBLEM_GARG_LONG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0},
  {"pool4", POOL("pool(size=16)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f},
  {"pool8", POOL("pool(size=256)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f},
  {"pool12", POOL("pool(size=4096)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f},
  {"pool", POOL("dense"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f},
  {"pool4", THEIR_POOL("pool(size=16)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool8", THEIR_POOL("pool(size=256)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool12", THEIR_POOL("pool(size=4096)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool14", THEIR_POOL("pool(size=16384)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool16", THEIR_POOL("pool(size=65536)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool20", THEIR_POOL("pool(size=1048576)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"pool", THEIR_POOL("dense"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0},
  {"noises", NOISES, PROBLEM_LEVELS, {{TINY, 12000}, {STANDARD, 500000}}, NULL, 0.008f}
};
enum { N_RECIPES = sizeof recipes / sizeof *recipes };

const recipe *recipe_at(scale s, int i)
{
  int at;
  for (at = 0; at < N_RECIPES; at++)
    if (recipes[at].at[s].steps && i-- == 0) return &recipes[at];
  return NULL;
}

const recipe *find_recipe(scale s, const char *name)
{
  const recipe *r;
  int i;
  for (i = 0; (r = recipe_at(s, i)) != NULL; i++) if (!strcmp(r->name, name)) return r;
  return NULL;
}

/* ----- training ------------------------------------------------------------------------------ */

static const shape shapes[2][N_PROBLEMS] = {
  {{8, 17, 6}, {8, 10, 6}, {1, 17, 16}, {8, 17, 6}, {8, 17, 6}, {8, 17, 8}, {8, 17, 6}},
  {{20, 41, 16}, {20, 41, 16}, {1, 41, 16}, {20, 41, 20}, {20, 101, 50}, {8, 16, 8}, {20, 21, 10}}
};

shape problem_shape(scale s, problem p) { return shapes[s][p]; }

/* Muon on the blocks, cosine to 0, first weights of variance 1 / width; inputs one by one over the
 * first steps.  Short prompts are for stages before the last: their models have room for long ones,
 * their cosine ends at a fifth. */
static void laptop_training(icl_train_options *o, const recipe *r)
{
  o->batch = 64;
  o->optimizer = ICL_MUON;
  o->lr = r->lr;
  o->schedule = ICL_LR_COSINE;
  o->warmup = 300;
  o->clip = 1;
  o->init_sd = 1 / sqrtf((float)o->model.n_embd);
  if (r->problem == PROBLEM_SHORT) {
    o->lr_end = 0.2f;
    o->model.n_positions = 2 * problem_shape(LAPTOP, PROBLEM_LINEAR).pairs - 1;
  }
  if (o->model.n_dims == 1 || r->from) return;
  o->dims_start = 2;
  o->dims_every = 300;
}

/* Yadlowsky et al., appendix A.1: Adam with the inverse square root schedule of Praxis, whose
 * "learning rate of 1" peaks at 1 / sqrt(width warmup) (Transformer schedule). */
static void yadlowsky_training(icl_train_options *o)
{
  o->model.position_embedding_type = ICL_POSITION_SINUSOIDAL;
  o->model.activation_function = ICL_RELU;
  o->model.n_out = o->model.n_dims;
  o->batch = 1024;
  o->schedule = ICL_LR_INVERSE_SQRT;
  o->warmup = 5000;
  o->lr = 1 / sqrtf((float)o->model.n_embd * 5000.0f);
  o->epsilon = 1e-9f;
}

/* Garg et al., appendix A.2: Adam at 1e-4 and a curriculum over inputs and pairs. */
static void garg_training(icl_train_options *o)
{
  o->batch = 64;
  o->lr = 1e-4f;
  o->dims_start = 5;
  o->dims_every = 2000;
  o->pairs_start = o->pairs > 41 ? 26 : 11;
  o->pairs_add = o->pairs > 41 ? 5 : 2;
  o->pairs_every = 2000;
}

/* Raventos et al., and their code: a triangle up to 1e-3 at half of the run. */
static void raventos_training(icl_train_options *o)
{
  o->batch = 256;
  o->lr = 1e-3f;
  o->schedule = ICL_LR_LINEAR;
  o->warmup = o->steps / 2;
}

/* Bai et al., their GPT-2 decoder: no positions, no curriculum. */
static void bai_training(icl_train_options *o)
{
  o->model.position_embedding_type = ICL_POSITION_NONE;
  o->batch = 64;
  o->lr = 1e-4f;
}

icl_train_options recipe_options(scale s, const recipe *r, uint64_t seed)
{
  const shape dims = problem_shape(s, r->problem);
  icl_train_options o;
  memset(&o, 0, sizeof o);
  o.task = r->task;
  o.model.n_dims = dims.dims;
  o.model.n_layer = r->at[s].n_layer;
  o.model.n_head = r->at[s].n_head;
  o.model.n_embd = r->at[s].n_embd;
  o.pairs = dims.pairs;
  o.steps = r->at[s].steps;
  o.seed = seed;
  if (s == LAPTOP) laptop_training(&o, r);
  else if (r->problem == PROBLEM_GARG || r->problem == PROBLEM_GARG_LONG) garg_training(&o);
  else if (r->problem == PROBLEM_POOL) raventos_training(&o);
  else if (r->problem == PROBLEM_LEVELS) bai_training(&o);
  else yadlowsky_training(&o);
  return o;
}
