/* The recipes of the figures' models.
 * SPDX-License-Identifier: MIT */
#include "recipes.h"
#include "../presets.h"

#include <math.h>
#include <string.h>

/* ----- models -------------------------------------------------------------------------------- */

#define TINY 3, 2, 64
#define MEDIUM 6, 4, 64
#define SMALL 6, 4, 128
#define DEEP 12, 4, 128
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

/* The mixtures of the sizes figure: the two classes of figures 4 to 6; these and two more; these four
 * and combinations of each of the two with one of the others, but not of the two with each other. */
#define TWO "0.5*dense + 0.5*sine"
#define FOUR "0.3*dense + 0.3*sine + 0.2*poly(degree=3) + 0.2*peak"
#define COMBINED "0.2*dense + 0.2*sine + 0.1*poly(degree=3) + 0.1*peak + " \
  "0.2*convex(dense, peak) + 0.2*convex(sine, poly(degree=3))"
#define W40 3, 2, 40
#define AT_SIZES(name, task) \
  {name "-40", task, PROBLEM_SIZES, {{W40, 8000}, NONE}, NULL, 0.008f, 0}, \
  {name "-tiny", task, PROBLEM_SIZES, {{TINY, 8000}, NONE}, NULL, 0.008f, 0}, \
  {name "-medium", task, PROBLEM_SIZES, {{MEDIUM, 8000}, NONE}, NULL, 0.0057f, 0}

static const recipe recipes[] = {
  {"dense", "dense", PROBLEM_LINEAR, {{MEDIUM, 10000}, {STANDARD, MILLION}}, NULL, 0.004f, 3},
  {"mix75", MIX(0.75, 0.25), PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "mix-more",
   0.001f, 1},
  {"mix", MIX(0.5, 0.5), PROBLEM_LINEAR, {{MEDIUM, 15000}, {STANDARD, MILLION}}, "mix-more",
   0.002f, 3},
  {"mix25", MIX(0.25, 0.75), PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "mix-more",
   0.001f, 1},
  {"mix-more", MIX(0.5, 0.5), PROBLEM_SHORT, {{MEDIUM, 50000}, NONE}, "mix-short", 0.003f, 0},
  {"mix-short", MIX(0.5, 0.5), PROBLEM_SHORT, {{MEDIUM, 30000}, NONE}, "start", 0.003f, 0},
  {"sparse", SPARSE, PROBLEM_LINEAR, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "start", 0.001f, 3},
  {"start", SPARSE, PROBLEM_SHORT, {{MEDIUM, 60000}, NONE}, NULL, 0.004f, 0},
  {"dense-tiny", "dense", PROBLEM_LINEAR, {{TINY, 12000}, NONE}, NULL, 0.008f, 1},
  {"dense-small", "dense", PROBLEM_LINEAR, {{SMALL, 4000}, NONE}, NULL, 0.004f, 1},
  {"mix-small", MIX(0.5, 0.5), PROBLEM_LINEAR, {{SMALL, 5000}, {SMALL, MILLION}}, NULL, 0.004f, 1},
  {"mix-tiny", MIX(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 5000}, {TINY, MILLION}}, NULL, 0.008f, 3},
  {"mix90", MIX(0.9, 0.1), PROBLEM_LINEAR, {{TINY, 6000}, {STANDARD, MILLION}}, NULL, 0.008f, 1},
  {"mix98", MIX(0.98, 0.02), PROBLEM_LINEAR, {{TINY, 6000}, {STANDARD, MILLION}}, NULL, 0.008f, 1},
  {"relu75", WITH_RELU(0.75, 0.25), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f, 3},
  {"relu50", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f, 3},
  {"relu25", WITH_RELU(0.25, 0.75), PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL,
   0.008f, 3},
  {"relu", "relu(hidden=100)", PROBLEM_LINEAR, {{TINY, 5000}, {STANDARD, MILLION}}, NULL, 0.008f, 3},
  {"relu50-small", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{SMALL, 2500}, {SMALL, MILLION}}, NULL,
   0.004f, 1},
  {"relu50-tiny", WITH_RELU(0.5, 0.5), PROBLEM_LINEAR, {{TINY, 2500}, {TINY, MILLION}}, NULL,
   0.008f, 1},
  {"line", "dense", PROBLEM_WAVE, {{TINY, 2000}, {STANDARD, MILLION}}, NULL, 0.008f, 1},
  {"sine", "sine", PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both", 0.001f, 3},
  {"both", TWO, PROBLEM_WAVE, {{MEDIUM, 30000}, {STANDARD, MILLION}}, NULL, 0.004f, 3},
  {"convex10", WITH_CONVEX(0.45, 0.1), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both",
   0.001f, 3},
  {"convex25", WITH_CONVEX(0.375, 0.25), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}},
   "both", 0.001f, 3},
  {"convex50", WITH_CONVEX(0.25, 0.5), PROBLEM_WAVE, {{MEDIUM, 5000}, {STANDARD, MILLION}}, "both",
   0.001f, 3},
  {"garg-linear", "garg(dense)", PROBLEM_GARG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0, 1},
  {"garg-sparse", "garg(sparse(nnz=3))", PROBLEM_GARG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0, 1},
  {"garg-relu", "garg(relu(hidden=100))", PROBLEM_GARG_LONG, {NONE, {STANDARD, GARG_STEPS}},
   NULL, 0, 1},
  {"tree", "tree(depth=2)", PROBLEM_LINEAR, {{TINY, 4000}, NONE}, NULL, 0.008f, 1},
  {"tree", "garg(tree(depth=4))", PROBLEM_GARG_LONG, {NONE, {STANDARD, GARG_STEPS}}, NULL, 0, 1},
  {"pool4", POOL("pool(size=16)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f, 1},
  {"pool8", POOL("pool(size=256)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f, 1},
  {"pool12", POOL("pool(size=4096)"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f, 1},
  {"pool", POOL("dense"), PROBLEM_POOL, {{TINY, 12000}, NONE}, NULL, 0.008f, 1},
  {"pool4", THEIR_POOL("pool(size=16)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool8", THEIR_POOL("pool(size=256)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool12", THEIR_POOL("pool(size=4096)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool14", THEIR_POOL("pool(size=16384)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool16", THEIR_POOL("pool(size=65536)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool20", THEIR_POOL("pool(size=1048576)"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"pool", THEIR_POOL("dense"), PROBLEM_POOL, {NONE, {BASE}}, NULL, 0, 1},
  {"noises", NOISES, PROBLEM_LEVELS, {{TINY, 12000}, {STANDARD, 500000}}, NULL, 0.008f, 1},
  {"dense20", "dense", PROBLEM_TWENTY, {{TINY, 12000}, NONE}, NULL, 0.008f, 3},
  {"dense20-small", "dense", PROBLEM_TWENTY, {{SMALL, 5000}, NONE}, NULL, 0.004f, 1},
  AT_SIZES("two", TWO), AT_SIZES("four", FOUR), AT_SIZES("combined", COMBINED),
  {"two-small", TWO, PROBLEM_SIZES, {{SMALL, 8000}, NONE}, NULL, 0.004f, 0},
  {"two-deep", TWO, PROBLEM_SIZES, {{DEEP, 8000}, NONE}, NULL, 0.0028f, 0}
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

int64_t recipe_steps(scale s, const recipe *r)
{
  int64_t steps = 0;
  for (; r; r = s == LAPTOP && r->from ? find_recipe(s, r->from) : NULL) steps += r->at[s].steps;
  return steps;
}

/* ----- training ------------------------------------------------------------------------------ */

static const shape shapes[2][N_PROBLEMS] = {
  {{8, 17, 6}, {8, 10, 6}, {1, 17, 16}, {8, 17, 6}, {8, 17, 6}, {8, 17, 8}, {8, 17, 6}, {1, 17, 16},
   {20, 41, 20}},
  {{20, 41, 16}, {20, 41, 16}, {1, 41, 16}, {20, 41, 20}, {20, 101, 50}, {8, 16, 8}, {20, 21, 10},
   {0, 0, 0}, {0, 0, 0}}
};

shape problem_shape(scale s, problem p) { return shapes[s][p]; }

/* Problems whose tokens of y carry x too. */
static int is_joint(problem p)
{
  return p == PROBLEM_WAVE || p == PROBLEM_SIZES || p == PROBLEM_TWENTY;
}

/* Muon on the blocks, cosine to 0, first weights of variance 1 / width; inputs one by one over the
 * first steps.  Short prompts are for stages before the last: their models have room for long ones,
 * their cosine ends at a fifth.  Sparse functions are learned with a hint. */
static void laptop_training(icl_train_options *o, const recipe *r)
{
  static const float quantiles[] = {0.05f, 0.25f, 0.5f, 0.75f, 0.95f};
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
  if (strstr(r->task, "sparse")) o->hint = 1;
  if (is_joint(r->problem)) o->model.tokens = ICL_TOKENS_JOINT;
  if (o->model.n_dims == 1) o->model.position_embedding_type = ICL_POSITION_ALTERNATING;
  if (r->problem == PROBLEM_WAVE) {
    o->model.n_quantiles = 5;
    o->model.n_out = 6;
    memcpy(o->model.quantiles, quantiles, sizeof quantiles);
  }
  if (o->model.n_dims == 1 || r->from) return;
  o->dims_start = r->problem == PROBLEM_TWENTY ? 5 : 2;
  o->dims_every = r->problem == PROBLEM_TWENTY ? 150 : 300;
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
  else if (r->problem == PROBLEM_GARG || r->problem == PROBLEM_GARG_LONG)
    use_preset(&o, find_preset(PRESET_GARG));
  else if (r->problem == PROBLEM_POOL) raventos_training(&o);
  else if (r->problem == PROBLEM_LEVELS) bai_training(&o);
  else use_preset(&o, find_preset(PRESET_YADLOWSKY));
  return o;
}
