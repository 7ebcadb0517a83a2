/* icl_train.h 0.2.0 - trains the models that icl.h runs, on functions drawn from a mixture of
 * classes. SPDX-License-Identifier: MIT; full text in icl.h.
 *
 *     #define ICL_IMPLEMENTATION          // both, in one .c or .cpp file, before other includes
 *     #define ICL_TRAIN_IMPLEMENTATION
 *     #define ICL_TRAIN_THREADS           // if pthreads are to be used
 *     #include "icl_train.h"              // includes icl.h
 *
 *     int main(void)
 *     {
 *       icl_train_options o = {0};        // zero: the default
 *       icl_run run = {0};
 *       icl_trainer *t = NULL;
 *       icl_report why;
 *       o.task = "0.5*dense + 0.5*sparse(nnz=1)";
 *       o.model.n_dims = 3; o.model.n_layer = 3; o.model.n_head = 2; o.model.n_embd = 32;
 *       o.pairs = 16; o.steps = 3000; o.threads = 2;
 *       o.lr = 3e-3f; o.schedule = ICL_LR_COSINE; o.warmup = 200; o.clip = 1; o.init_sd = 0.18f;
 *       run.model_path = "mine.safetensors";
 *       if (icl_trainer_new(&t, &o, &why) || icl_train_run(t, &run, NULL, &why)) puts(why.text);
 *       icl_trainer_delete(t);
 *       return 0;
 *     }
 *
 *     cc -O2 program.c -lm -lpthread
 *
 * WHAT IS HERE.  A counter-based random generator; function classes and mixtures of them, from text
 * (design after Yadlowsky et al. 2023 and Garg et al. 2022) or from the caller; the backward pass
 * of the whole model family of icl.h; Adam, AdamW and Muon, the schedules and the curriculum of
 * both papers; prediction of many prompts at once.  Classical predictors and the Bayes optimum to
 * compare with are in tools/icl_bayes.h.
 *
 * REPRODUCIBLE.  The result of a run is a function of its options: the same bits for any number of
 * threads, for a run that was stopped anywhere, kill -9 included, and resumed, and under AVX2,
 * AVX-512 and NEON on AArch64, with every compiler and libm (tests/test_bits.c).  Prompt i of step
 * s is a function of (seed, s, i), on every processor; every sum has a fixed order.  Weights that
 * plain C, SIMD128 or 32-bit ARM trains round otherwise.
 *
 * SAFE.  A step whose loss, gradient or new weights are not finite is skipped and counted; too many
 * in a row end the run.  Weights that are not finite are never saved, and good ones are, whatever
 * ends a run.  Files are replaced whole or not at all, by one process at a time.
 *
 * HINTS.  An answer tells the weights one number of a prompt's function.  With options.hint the
 * loss has a second part: hint times  1 / pairs sum over tokens of y, j of (h_j - f(e_j))^2,  where
 * h is the residual stream behind block hint_layer, j the inputs in use, and f(e_j) the function,
 * without noise, at x_scale times the unit vector of input j: x_scale times the coefficients of a
 * linear one.  So the first n_dims channels learn to tell the function (an intermediate target, as
 * Romero et al. 2015 call a hint, arXiv 1412.6550).  The model has nothing more than others, and
 * the loss that is reported is the answers'.  For deep models, and tasks that these values say
 * something of.  A step where one of them is not finite is skipped.
 *
 * MANY MACHINES.  Each process (options.rank of options.world) draws its share of a batch, and
 * options.reduce adds floats up over all of them: MPI_Allreduce will do, as in examples/05_mpi.c.
 * It is called twice a step.  First 20 floats for each process say who is in which run at which
 * step, stops or failed: so all leave after the same step, and one that is elsewhere (other
 * options, seed, step, weights) ends all of them with a report that names it.  Then come the
 * gradients.  Rank 0 alone writes files, and all read the state; its run may go on with another
 * number of processes, to the same bits if options.shards is set.  docs/cluster.md: how to do it.
 *     What it costs, on paper.  Of N weights a process sends and receives 2 (W - 1) / W 4 N bytes a
 * step in a ring of W, twice that with shards; it computes 6 N FLOP for each token.  With F FLOP/s
 * and B bytes/s the two take the same time where a process has F / (0.75 B) tokens a step, or twice
 * that with shards, whatever N: 1,100 tokens, 13 prompts of 41 pairs, at F = 1 TFLOP/s (some 16
 * cores) and B = 1.25 GB/s (10 Gbit Ethernet).  With 2 log2 W messages of 50 us each on top, half
 * the ideal speed is left on so many machines, by N and the prompts of 41 pairs in a batch:
 *                  10 Gbit/s: 64    1024    with shards    100 Gbit/s: 64    1024    with shards
 *         0.2 M            5      54       3, 33                    12     122      10, 108
 *         10 M             5      78       3, 40                    46     687      24, 369
 *         100 M            5      79       3, 40                    49     776      25, 391
 *
 * MACROS.  ICL_TRAIN_THREADS: pthreads; without it everything runs on the caller's thread.
 * ICL_TRAIN_FILE: the name of this file where it is not "icl_train.h", as ICL_FILE in icl.h, whose
 * macros hold here too.  The functions here use malloc and, on POSIX systems, file
 * descriptors and fsync: with -std=c99 include this before the system's headers, or define
 * _POSIX_C_SOURCE=200809L.  They print nothing.
 *
 * CONTENTS (search for >>name): config api | platform functions rng classes numbers tasks prompts
 * gradients work forward batch backward optimizer trainer files processes typical run kernels
 * dispatch
 */
#ifndef ICL_TRAIN_H
#define ICL_TRAIN_H

/* ===== >>config ============================================================================= */
#include "icl.h"
#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ===== >>api ================================================================================ */

/* ----- random numbers ----------------------------------------------------------------------- */

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011): a block of
 * four words is a function of a counter and a key, so any place of any sequence is reached at
 * once, on any thread.  Here
 *     key     = seed (low word, high word)
 *     counter = block number, low 32 bits of index, low 32 bits of stream,
 *               bits 32..47 of stream above bits 32..47 of index.
 * Sequence `index` of training step `stream` is therefore the same whoever computes it.  Each
 * holds 2^34 words.  stream and index must be below 2^48: higher bits are ignored. */
typedef struct icl_rng {
  /* private below */
  uint32_t key[2], counter[4];
  uint32_t word[4];                /* the block before counter[0]                             */
  int used;                        /* words of it handed out                                  */
  int has_spare;                   /* 1: spare is a normal number that is not handed out yet  */
  float spare;
} icl_rng;

ICL_API void icl_rng_init(icl_rng *r, uint64_t seed, uint64_t stream, uint64_t index);

/* 32 uniform bits; a uniform float in [0, 1), a multiple of 2^-24; N(0, 1). */
ICL_API uint32_t icl_rng_u32(icl_rng *r);
ICL_API float icl_rng_uniform(icl_rng *r);
ICL_API float icl_rng_normal(icl_rng *r);

/* Gamma(shape, scale), mean shape * scale; finite.  0 where shape or scale is not positive, or not
 * finite. */
ICL_API float icl_rng_gamma(icl_rng *r, float shape, float scale);

/* One of 0..n-1, all equally likely to the last bit; 0 where n < 2. */
ICL_API int icl_rng_below(icl_rng *r, int n);

/* ----- function classes --------------------------------------------------------------------- */

/* A class is a distribution over functions of x[d].  `draw` draws one, as theta[n_theta] floats,
 * and `eval` computes it.  Those that are built in (formulas in >>classes):
 *
 *     dense                    b.x / sqrt(d), b ~ N(0, I)
 *     sparse(nnz=2)            the same with nnz coordinates that are not zero, / sqrt(nnz)
 *     relu(hidden=100)         b.relu(W x) / sqrt(d hidden), W ~ N(0, 2)
 *     sine(norm=0)             b cos(2 pi w z), w ~ Gamma(6, 1/6): variance 1/2; norm=1: variance 1
 *     tree(depth=4)            binary decisions x_j > 0, leaves N(0, 1)
 *     quadratic                b.x^2 / sqrt(3 d)
 *     affine(slope=1, intercept=1)         a + b.x, each with that standard deviation
 *     poly(degree=2)                       polynomial in z, Hermite coefficients N(0, 1)
 *     wave(fmin=0.1, fmax=1, offset=1)     offset c + A cos(2 pi w z + phase), w ~ U(fmin, fmax)
 *     saturate(tmin=0.3, tmax=3, x0=-2)    a + b (1 - exp(-max(0, z - x0) / t)), t log-uniform
 *     gp(length=1, nu=0, ard=0)            a Gaussian process by 32 random features (Rahimi and
 *                                          Recht 2007): kernel RBF (nu=0) or Matern nu=1.5, 2.5;
 *                                          ard=1: a length for each input, half of them off
 *     logistic(smin=0.5, smax=12)          sigmoids and steps: 1 / (1 + exp(-s (z - c)))
 *     decay(rmin=0.3, rmax=3)              exp(-r z), in 3 of 10 with a second rate
 *     peak(wmin=0.1, wmax=1)               Gaussian or Lorentzian, in 3 of 10 two of them
 *     power(amin=0.3, amax=3)              Hill, power law or logarithm of z - c, 0 below c
 *     hinge(max=3)                         piecewise linear with 1 to max bends
 *     monotone(parts=4)                    rising or falling: a sum of that many sigmoids
 *     decaying(keep=0.6, rate=0.4)         linear; each weight is kept with probability keep and
 *                                          times q^j in random order, q ~ U(rate, 1)
 *     products(terms=3)                    sum of products x_i x_j
 *     additive(terms=4)                    sum of bends and saturations of single inputs
 *     link(rate=0.2)                       exp(s b.x), log s ~ U(log rate, 0)
 *     splits(depth=3)                      a tree with thresholds N(0, 0.7^2)
 *     pool(size=1024, seed=0)              one of size fixed dense functions, all equally likely
 *                                          (Raventos et al. 2306.15063): member i is a function
 *                                          of seed, i and d
 *
 * z is x for d = 1 and otherwise x along a random direction.  With x ~ N(0, I), E f(x)^2 over x
 * and functions is 1 for each (sine: 0.5001; pool: over pools; products: 1 + 2 / d; additive: 1.7,
 * with one term 2.6; link and those from logistic to monotone: nearly, but that one decay or peak
 * in some hundreds, which hardly any x meets, is far larger).  An argument may be a range,
 * "sd=0.01..2": each function draws it anew, log-uniform where the range starts above 0, otherwise
 * uniform; of whole numbers all are equally likely.  These change a class, and nest:
 *
 *     noisy(A, sd=0.5, renorm=0)    label noise N(0, sd^2); A is dense where none is given;
 *                                   renorm=1 divides by sqrt(1 + sd^2).  Further arguments, each
 *                                   a probability that a prompt has it: share=1 noise at all,
 *                                   tails=0 Student's t of 3 degrees instead, hetero=0 noise that
 *                                   grows with |f|, outliers=0 one label in 20 off by 3 to 10 sd
 *     convex(A, B, alpha=)          alpha A(x) + (1 - alpha) B(x); without alpha it is U(0, 1),
 *                                   drawn anew for each function
 *     garg(A)                       in the units of Garg et al.: times sqrt(d), for sparse
 *                                   sqrt(nnz), for tree and the curves in z 1 */
#define ICL_MAX_ARGS 6
#define ICL_AT_MOST_DIMS (-1.0f)   /* as the maximum of an argument: n_dims                   */

typedef struct icl_class_arg {
  const char *name;                /* NULL: no argument                                       */
  float value;                     /* where the text gives none                               */
  float min, max;                  /* both allowed                                            */
  int whole;                       /* 1: a whole number                                       */
} icl_class_arg;

/* What a class's functions are told. */
typedef struct icl_class_call {
  float arg[ICL_MAX_ARGS];         /* in the order of the class's table                       */
  int n_dims;                      /* d                                                       */
  int dims_active;                 /* inputs from here on are zero (curriculum)               */
  const void *user;                /* of the class                                            */
} icl_class_call;

/* A row of the table.  Callers may bring rows of their own; their text names are used like the
 * others.  The functions depend on their arguments alone and may run on several threads. */
typedef struct icl_class {
  const char *name;                /* letters, digits and _; not one of the names above       */
  icl_class_arg arg[ICL_MAX_ARGS];
  int (*n_theta)(const icl_class_call *c);       /* floats of one function; < 0: bad arguments */
  void (*draw)(float *theta, const icl_class_call *c, icl_rng *rng);
  float (*eval)(const float *theta, const float *x, const icl_class_call *c);    /* x[d] */
  float (*garg_scale)(const icl_class_call *c);  /* factor under garg(); NULL: 1               */
  const void *user;
  uint64_t version;                /* of the functions and of what user points to: another one
                                      is another run, and does not resume this one's state     */
} icl_class;

/* Built-in class i, for listings: NULL past the last. */
ICL_API const icl_class *icl_class_at(int i);

/* ----- tasks: mixtures of classes, from text ------------------------------------------------ */

#define ICL_MAX_TASK_NODES 96

/* One name of the text.  Nodes that share parent and operand are the terms of one mixture. */
typedef struct icl_task_node {
  int kind;                        /* row of the class table; the caller's own come last      */
  int parent;                      /* node it is inside of, always an earlier one; -1: none   */
  int operand;                     /* which of the parent's classes it is                     */
  int first;                       /* 1: the first term of its mixture                        */
  float weight, total;             /* weight as written, and the sum over the mixture         */
  float arg[ICL_MAX_ARGS];
  float high[ICL_MAX_ARGS];        /* end of a range that starts at arg                       */
  unsigned ranged;                 /* bit i: argument i is a range, drawn for each function   */
  unsigned given;                  /* bit i: the text gave argument i                         */
  size_t at;                       /* place in the text                                       */
  size_t theta;                    /* place in a drawn function                               */
} icl_task_node;

/* A parsed task.  Holds no memory and no pointer to itself: copy it, put it anywhere. */
typedef struct icl_task {
  int n_dims;                      /* d                                                       */
  /* private below */
  int n_nodes, n_own;
  size_t n_floats;                 /* of a drawn function                                     */
  const icl_class *own;            /* [n_own] the caller's                                    */
  icl_task_node node[ICL_MAX_TASK_NODES];
} icl_task;

/* Reads a task.  A sum picks one of its terms for each prompt, with probability weight / sum; a
 * term without a weight counts 1.  Spaces are free:
 *     task  = term { "+" term }
 *     term  = [ number "*" ] name [ "(" item { "," item } ")" ]
 *     item  = task | argument "=" number [ ".." number ]
 * own[n_own] (or NULL, 0) must outlive the task.  n_dims from 1 to 4096.  On an error t is
 * untouched, r->offset is the place in the text and r->text names the word: CONFIG (the text),
 * LIMIT (more than 96 names, or functions of more than 2^26 floats), ARG (NULL, n_dims, a bad row
 * of own). */
ICL_API icl_error icl_task_parse(icl_task *t, const char *text, int n_dims, const icl_class *own,
                                 int n_own, icl_report *r);

/* Writes the task's text with every argument spelled out; parsing it again gives the same task.
 * Returns its length.  buf[size] gets what fits, ended by NUL; size 0 only counts. */
ICL_API size_t icl_task_print(const icl_task *t, char *buf, size_t size);

/* Terms of the outermost sum, and the probability of term i (0 past the last). */
ICL_API int icl_task_terms(const icl_task *t);
ICL_API float icl_task_weight(const icl_task *t, int i);

/* ----- prompts ------------------------------------------------------------------------------ */

/* Where x comes from: N(0, I); U[-sqrt 3, sqrt 3]; or as people's data have it: normal, uniform,
 * grid, lognormal, clusters, few tied levels, and of several inputs from 1 to all of them, moved by
 * common factors, some of them skewed, binary, ordinal or constant. */
typedef enum icl_input_kind {
  ICL_INPUTS_NORMAL, ICL_INPUTS_UNIFORM, ICL_INPUTS_DATA
} icl_input_kind;

/* How to draw prompts.  Zeros are the default. */
typedef struct icl_sampling {
  int dims_active;                 /* curriculum: x beyond is 0, classes choose within; 0: all */
  icl_input_kind inputs;
  float x_scale;                   /* x is multiplied by this, before f; 0: 1                 */
  float y_scale;                   /* y is multiplied by this; 0: 1                           */
  int order;                       /* 1: pairs in any order that data come in: random, rising,
                                      falling, in blocks, nearest first; the last ones inside
                                      the range of the others or beyond it                    */
  int standardize;                 /* 1: x and y scaled by the first k pairs as icl_standardize
                                      does, k at random, whatever x_scale and y_scale; f has
                                      variance 1 on the prompt before noise is added; x is cut
                                      off at +-8, y at +-6                                    */
} icl_sampling;

/* Writes opt as "inputs=data order=1", only what is not the default; and reads it back.  print
 * returns the length, 0 where a field is out of range; buf[size] gets what fits.  parse: CONFIG. */
ICL_API size_t icl_sampling_print(const icl_sampling *opt, char *buf, size_t size);
ICL_API icl_error icl_sampling_parse(icl_sampling *opt, const char *text);

/* Floats of one drawn function, which is also all the scratch that the functions below want. */
ICL_API size_t icl_prompt_scratch(const icl_task *t);

/* Draws a prompt: a function f (one term of each mixture), then pair by pair x_i and, for noisy
 * tasks, the noise of y_i = f(x_i).  Hence the first pairs of a longer prompt are those of a
 * shorter one.  xs[n_pairs][d], ys[n_pairs]; *class_drawn (NULL is fine) is the term of the
 * outermost sum; scratch[icl_prompt_scratch] keeps f for icl_function_eval.  opt may be NULL; with
 * inputs of data, order or standardize a longer prompt is another prompt, and f is only right up to
 * the scale of the labels.
 * Errors: ARG; NONFINITE where x or f's y is NaN or infinity, and then xs and ys are of no use. */
ICL_API icl_error icl_prompt_sample(const icl_task *t, const icl_sampling *opt, icl_rng *rng,
                                    int n_pairs, float *xs, float *ys, int *class_drawn,
                                    float *scratch);

/* The same for xs[n][d] that are given: they are used as they are, whatever opt says of x.
 * NONFINITE where one is not finite. */
ICL_API icl_error icl_prompt_label(const icl_task *t, const icl_sampling *opt, icl_rng *rng, int n,
                                   const float *xs, float *ys, int *class_drawn, float *scratch);

/* A source of prompts of the caller's own: xs[n_pairs][n_dims] and ys[n_pairs], which depend on
 * rng, n_pairs and user's data alone; the prompts of one call are one function's.  May be called on
 * several threads at once.  Returns 0, or not, and then the step is skipped. */
typedef int (*icl_draw)(void *user, icl_rng *rng, int n_dims, int n_pairs, float *xs, float *ys);

/* A prompt of draw's, with opt's scales: x_scale and y_scale, or standardize by the first k pairs,
 * k at random.  opt (NULL is fine) may not ask for inputs or order: ARG.  NONFINITE where the
 * prompt is not finite, also once it is scaled, or draw fails. */
ICL_API icl_error icl_prompt_own(icl_draw draw, void *user, const icl_sampling *opt, icl_rng *rng,
                                 int n_dims, int n_pairs, float *xs, float *ys);

/* The two halves of icl_prompt_sample.  draw: f[icl_prompt_scratch] becomes a function of the task;
 * ARG on bad options.  eval: f at x[d], without noise.  noise: the standard deviation of the noise
 * on its labels.  class: the term of the outermost sum. */
ICL_API icl_error icl_function_draw(float *f, const icl_task *t, const icl_sampling *opt,
                                    icl_rng *rng);
ICL_API float icl_function_eval(const float *f, const float *x, const icl_task *t);
ICL_API float icl_function_noise(const float *f);
ICL_API int icl_function_class(const float *f);

/* ----- training ------------------------------------------------------------------------------- */

/* Learning rate at update t of N after W steps of linear warm-up:
 * constant: lr;  inverse square root (Praxis): lr sqrt(W / t);  cosine, linear: from lr down to
 * lr_end lr at the last (linear with W = N / 2 is the triangle of Raventos et al.). */
typedef enum icl_schedule {
  ICL_LR_CONSTANT, ICL_LR_INVERSE_SQRT, ICL_LR_COSINE, ICL_LR_LINEAR
} icl_schedule;

/* Adam for all tensors; or Muon for the matrices of the blocks and Adam for the rest (formulas at
 * icl__muon_step): leaves the plateau of in-context learning in fewer steps. */
typedef enum icl_optimizer { ICL_ADAM, ICL_MUON } icl_optimizer;

/* How to train.  A field that is zero takes the default in parentheses; where zero itself is to be
 * had, begin with icl_train_defaults. */
typedef struct icl_train_options {
  icl_config model;        /* shape; n_positions (2 pairs - 1), n_out (1), epsilon (1e-5)         */
  const char *task;        /* mixture of function classes; required but with draw or own_prompts */
  const icl_class *own;    /* [n_own] classes of the caller's                                    */
  int n_own;
  icl_sampling sampling;   /* how prompts are drawn; dims_active is the curriculum's             */
  int pairs;               /* pairs in a prompt; required                                        */
  int batch;               /* prompts per step (64)                                              */
  int64_t steps;           /* required                                                           */
  icl_schedule schedule;   /* (constant)                                                         */
  float lr;                /* (1e-4)                                                             */
  int64_t warmup;          /* steps (0; inverse square root: 5000)                               */
  float lr_end;            /* cosine, linear: share of lr that is left at the end (0)            */
  icl_optimizer optimizer; /* (Adam)                                                             */
  float momentum;          /* Muon's (0.95)                                                      */
  float beta1, beta2;      /* Adam (0.9, 0.999)                                                  */
  float epsilon;           /* Adam (1e-8)                                                        */
  float weight_decay;      /* AdamW: decoupled, on every tensor (0)                              */
  float clip;              /* largest norm of the gradient (0: no limit)                         */
  float ema;               /* decay of an average of the weights, which is then what is exported */
                           /*   (0: none); after u updates it is at most (1 + u) / (10 + u)      */
  float init_sd;           /* of the blocks' first weights (0.02, GPT-2's; narrow models leave   */
                           /*   the plateau far sooner with 1 / sqrt(n_embd))                    */
  float hint;              /* weight of a hint (0: none): the tokens of y behind block           */
  int hint_layer;          /*   hint_layer (n_layer - 1) learn to tell the function in their     */
                           /*   first n_dims channels, see HINTS on top                          */
  int dims_start;          /* curriculum of Garg et al.: inputs that are not zero at first (d),  */
  int64_t dims_every;      /*   one more each so many steps                                      */
  int pairs_start;         /* pairs at first (pairs),                                            */
  int pairs_add;           /*   so many more (2)                                                 */
  int64_t pairs_every;     /*   each so many steps                                               */
  const icl_model *from;   /* the first weights, of a model of the same shape, read by           */
                           /*   icl_trainer_new only (NULL: drawn)                               */
  uint64_t seed;
  int threads;             /* (1)  the result is the same bits for any number; without           */
                           /*   ICL_TRAIN_THREADS the trainer's options say 1                    */
  int max_bad;             /* non-finite steps in a row after which training fails (10)          */
  /* One process of several, see MANY MACHINES on top: its number, from 0, and how many (0, 1) */
  int rank, world;
  /* Adds x[n] up over all processes, which call it together with the same n, and gives all of
   * them the same bits; 0: done */
  int (*reduce)(void *user, float *x, size_t n);
  void *user;
  int shards;              /* parts of a batch whose gradients are added up exactly: the same    */
                           /*   bits for any world up to it; 256 at most (0: as many as there    */
                           /*   are processes, and rounding depends on world)                    */
  int own_prompts;         /* 1: all prompts come by icl_train_gradient; task is NULL, and the   */
                           /*   checkpoint has neither icl.task nor icl.typical                  */
  icl_draw draw;           /* where prompts come from instead of a task; task is NULL, and the   */
  void *draw_user;         /*   checkpoint has no icl.task                                       */
  uint64_t draw_version;   /* of draw and its data: another one is another run                   */
  int complete;            /* 1: zeros are meant; icl_train_defaults sets it                      */
} icl_train_options;

/* All defaults, spelled out.  What is zero afterwards means zero (beta1 = 0), except in
 * n_positions, the curriculum, the scales of sampling and, for the inverse square root, warmup,
 * where it still stands for the default. */
ICL_API void icl_train_defaults(icl_train_options *o);

/* What a step did. */
typedef struct icl_train_info {
  int64_t step;            /* steps done                                                         */
  float loss;              /* mean squared error over the batch's predictions, before the update */
  float grad_norm;         /* before clipping                                                    */
  float lr;
  int dims, pairs;         /* where the curriculum stood                                         */
  int64_t skipped;         /* steps without an update so far: something was not finite           */
} icl_train_info;

typedef struct icl_trainer icl_trainer;

/* Allocates everything that training needs, and takes the first weights from a model or draws them:
 * normal(init_sd), residual outputs / sqrt(2 L) as GPT-2; read-in and read-out uniform(1 /
 * sqrt(inputs)).  CONFIG and LIMIT say in r what is wrong with the options; MEMORY. */
ICL_API icl_error icl_trainer_new(icl_trainer **t, const icl_train_options *o, icl_report *r);
ICL_API void icl_trainer_delete(icl_trainer *t);

/* One step: a batch, its gradient, an update.  A step whose loss, gradient or new weights are not
 * finite is skipped: weights and moments stay as they are.  NONFINITE after max_bad of these in a
 * row; IO if reduce fails; STATE if the processes are not in the same run at the same step, which
 * icl_train_agree explains; ARG without a task.  info may be NULL. */
ICL_API icl_error icl_train_step(icl_trainer *t, icl_train_info *info);

/* The model as it is now; changes with the next step.  The one that icl_train_export writes: the
 * same, or the average of options.ema.  The options, with their defaults. */
ICL_API const icl_model *icl_trainer_model(const icl_trainer *t);
ICL_API const icl_model *icl_trainer_result(const icl_trainer *t);
ICL_API const icl_train_options *icl_trainer_options(const icl_trainer *t);

/* Weights and last gradient, [icl_param_count] in the order of the tensor table; with shards, or
 * over processes, that of the last update.  The caller may change the weights between steps. */
ICL_API float *icl_trainer_params(icl_trainer *t);
ICL_API const float *icl_trainer_grads(const icl_trainer *t);

/* Where the next step stands: info (NULL is fine) gets step (those done), lr, dims, pairs and
 * skipped.  Returns the prompts that this process brings to it: batch, or its share of that. */
ICL_API int icl_trainer_next(const icl_trainer *t, icl_train_info *info);

/* Where prompt i of this process's share, 0 <= i < icl_trainer_next, stands in the batch. */
ICL_API int icl_trainer_prompt(const icl_trainer *t, int i);

/* All processes of a run call it together.  ICL_OK if they are in the same run, at the same step,
 * with the same weights; otherwise STATE, and r->text says who differs from rank 0 in what.  Each
 * step does the same, but compares weights only when a run begins and every 1000 steps. */
ICL_API icl_error icl_train_agree(icl_trainer *t, icl_report *r);

/* Loss and gradient, without a hint, of prompts that the caller brings: xs[n][pairs][d] and
 * ys[n][pairs], where n and pairs are icl_trainer_next's: the share of this process, and the pairs
 * that the curriculum has come to.  *loss (NULL is fine) is the share's part of the mean over the
 * whole batch: all of it in a run of one process; not finite where a number is not, and then the
 * update skips the step.  And the update that icl_train_step makes of the gradient. */
ICL_API icl_error icl_train_gradient(icl_trainer *t, const float *xs, const float *ys, float *loss);
ICL_API icl_error icl_train_update(icl_trainer *t, icl_train_info *info);

/* Training state to a file, whole or not at all (temporary file, fsync, rename, fsync of the
 * folder), and back.  A run that is resumed goes on to the same bits.  STATE: the file is of a run
 * with other options, and r->text says which; threads may differ, and steps if the schedule is
 * neither cosine nor linear.  FORMAT, DIGEST: damaged. */
ICL_API icl_error icl_train_save(const icl_trainer *t, const char *path, icl_report *r);
ICL_API icl_error icl_train_resume(icl_trainer *t, const char *path, icl_report *r);

/* The model as a checkpoint, written in the same way, with icl.typical measured on 2048 new
 * contexts of each length. */
ICL_API icl_error icl_train_export(icl_trainer *t, const char *path, icl_report *r);

/* icl.typical of that model alone, measured on n_prompts contexts of each length, as a text in
 * text[size]: it goes into icl_metadata.typical, where the weights stay as they are.  n_prompts is
 * 100 to 2^22, size at least ICL_TYPICAL_BYTES a pair, of 4,096 pairs at most, and 1; ARG
 * otherwise, and for a trainer without a source of prompts.  NONFINITE: a prediction is not finite,
 * or options.draw failed. */
enum { ICL_TYPICAL_BYTES = 18 };
ICL_API icl_error icl_train_typical(icl_trainer *t, int n_prompts, char *text, size_t size);

/* Replaces a file, or makes it, as all files here are written: whole or not at all.  Symbolic links
 * are followed and permissions kept; folders, devices and pipes are refused.  IO says why in r.
 * What killed writers of path left beside it, PATH.tmp.*, is removed. */
ICL_API icl_error icl_replace_file(const char *path, const void *data, size_t size, icl_report *r);

/* ICL_OK if icl_replace_file(path) can be expected to work.  Nothing else is changed. */
ICL_API icl_error icl_probe_file(const char *path, icl_report *r);

/* The right to write path, held through PATH.lock until delete or the end of the process, killed or
 * not.  IO if another process has it, which r->text names.  Where the file system has no locks, or
 * there is no POSIX, everybody gets it. */
typedef struct icl_lock icl_lock;
ICL_API icl_error icl_lock_new(icl_lock **l, const char *path, icl_report *r);
ICL_API void icl_lock_delete(icl_lock *l);

/* The whole loop.  Zero means none, where no default is given. */
typedef struct icl_run {
  const char *model_path;  /* checkpoint, written when the run ends or is stopped                */
  const char *state_path;  /* training state, written every save_every steps and at the end.     */
                           /*   Of several processes rank 0 writes both files, and all read      */
                           /*   the state, from a folder that all of them see                    */
  int resume;              /* 1: go on from state_path if that file exists                       */
  int64_t save_every;      /* (1000)                                                             */
  int (*progress)(void *user, const icl_train_info *info);   /* after each step; nonzero: stop   */
  void *user;
  const volatile sig_atomic_t *stop;                         /* set by a signal handler: stop    */
  const icl_lock *lock;    /* of state_path, if the caller has it already (NULL: taken here)     */
  void (*save_failed)(void *user, const icl_report *r);      /* a save on the way failed         */
} icl_run;

/* Steps until options.steps are done, or until told to stop.  last (NULL ok) is the last step's.
 * Processes stop after the same step, the next that ends after one of them is told to, and all fail
 * if one fails to begin or to save.  A save on the way that fails does not end the run: the next
 * save tries again, and only the last one's failure is an error.  After NONFINITE the last good
 * weights are saved like those of a run that was stopped.  IO at once if another process runs on
 * state_path, or model_path cannot be written. */
ICL_API icl_error icl_train_run(icl_trainer *t, const icl_run *run, icl_train_info *last,
                                icl_report *r);

/* ----- all predictions of many prompts -------------------------------------------------------- */

typedef struct icl_batch icl_batch;

/* Memory and threads to run m over prompts of n_pairs pairs: 1 to (n_positions + 1) / 2 with
 * learned positions, to 49,999 with sinusoidal ones, to 2^22 with others; ARG otherwise, MEMORY. */
ICL_API icl_error icl_batch_new(icl_batch **b, const icl_model *m, int n_pairs, int threads);
ICL_API void icl_batch_delete(icl_batch *b);

/* preds[n][n_pairs]: y_i predicted from the i pairs before it, the same bits as icl_add finds.
 * xs[n][n_pairs][d], ys[n][n_pairs]; the last y of a prompt is not used. */
ICL_API icl_error icl_batch_predict(icl_batch *b, int n, const float *xs, const float *ys,
                                    float *preds);

#ifdef __cplusplus
}
#endif
#endif /* ICL_TRAIN_H */

/* ============================================================================================= */
/* Stop here if you only use the library.                                                        */
/* ============================================================================================= */

#include "icl.h"     /* its implementation, where the first include brought declarations alone */

#if defined ICL_TRAIN_IMPLEMENTATION && !defined ICL__TRAIN_IMPLEMENTED
#define ICL__TRAIN_IMPLEMENTED

#ifdef ICL_NO_MALLOC
#error "icl_train.h needs malloc: build it without ICL_NO_MALLOC"
#endif
#ifndef ICL__IMPLEMENTED
#error "define ICL_IMPLEMENTATION too, in the file that defines ICL_TRAIN_IMPLEMENTATION"
#endif

/* ---------------------------------------------------------------------------------------------
 * >>platform
 * ------------------------------------------------------------------------------------------- */
/* Single letters that others have as macros, as in icl.h: these come back at the end. */
#pragma push_macro("A")
#undef A
#pragma push_macro("B")
#undef B
#pragma push_macro("C")
#undef C
#pragma push_macro("D")
#undef D
#pragma push_macro("F")
#undef F
#pragma push_macro("H")
#undef H
#pragma push_macro("K")
#undef K
#pragma push_macro("L")
#undef L
#pragma push_macro("N")
#undef N
#pragma push_macro("P")
#undef P
#pragma push_macro("R")
#undef R
#pragma push_macro("S")
#undef S
#pragma push_macro("T")
#undef T

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#if defined __unix__ || defined __APPLE__
#define ICL__POSIX
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#if defined __GLIBC__ && !defined __USE_XOPEN2K8
#error "icl_train.h needs POSIX 2008: include it first, or define _POSIX_C_SOURCE=200809L"
#endif

#if defined __cplusplus && ICL__GNU                      /* the casts below are C's */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif
#if defined __clang__                                    /* as in icl.h: nothing is fused */
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC push_options
#pragma GCC optimize ("fp-contract=off")
#elif defined _MSC_VER
#pragma fp_contract (off)
#endif

/* Asks for large pages under a block that the products go through again and again. */
static void icl__advise(void *block, size_t bytes)
{
#if defined ICL__POSIX && defined MADV_HUGEPAGE
  size_t skip = (size_t)(-(uintptr_t)block & 4095);
  if (bytes > (size_t)4 << 20) madvise((char *)block + skip, bytes - skip, MADV_HUGEPAGE);
#else
  (void)block; (void)bytes;
#endif
}

/* ---------------------------------------------------------------------------------------------
 * >>functions
 * exp, log, sin, cos, erfc of doubles for prompts and for the optimizer: made of plain operations
 * alone, so that they give the same bits with every compiler and math library, which the last
 * digits of libm's do not.  Relative errors are some 1e-15 (sin, cos: absolute), of numbers that
 * occur here; no infinities, no NaN.
 * ------------------------------------------------------------------------------------------- */

/* 1 / n! */
static const double icl__inverse_factorials[18] = {
  1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040, 1.0 / 40320, 1.0 / 362880,
  1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0, 1.0 / 87178291200.0,
  1.0 / 1307674368000.0, 1.0 / 20922789888000.0, 1.0 / 355687428096000.0
};

/* exp(x): x = k ln 2 + r, |r| < 0.35, by its series to r^13; 0 below -708, clamped above 709. */
static double icl__exp_of(double x)
{
  const double *f = icl__inverse_factorials;
  double r, p;
  uint64_t u;
  int i, k;
  if (!(x >= -708)) return 0;
  if (x > 709) x = 709;
  k = (int)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
  r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
  for (p = f[13], i = 12; i >= 0; i--) p = p * r + f[i];
  if (k > 1023) { p *= 2; k--; }
  u = (uint64_t)(k + 1023) << 52;
  memcpy(&r, &u, 8);
  return p * r;
}

/* ln x for normal x > 0: x = 2^k m, m from 1/sqrt 2 to sqrt 2, and ln m = 2 artanh(s) by its
 * series to s^21, s = (m - 1) / (m + 1). */
static double icl__log_of(double x)
{
  static const double odd[10] = {1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11,
                                 1.0 / 9, 1.0 / 7, 1.0 / 5, 1.0 / 3};
  double m, s, q, sum = 0;
  uint64_t u;
  int i, k;
  memcpy(&u, &x, 8);
  k = (int)(u >> 52) - 1023;
  u = (u & 0xfffffffffffffu) | 0x3ff0000000000000u;
  memcpy(&m, &u, 8);
  if (m > 1.4142135623730951) { m *= 0.5; k++; }
  s = (m - 1) / (m + 1);
  q = s * s;
  for (i = 0; i < 10; i++) sum = (sum + odd[i]) * q;
  return k * 0.693147180369123816490 + (k * 1.90821492927058770002e-10 + 2 * (s + s * sum));
}

/* sin(x + quarter pi / 2) for |x| < 1e6, of 0 beyond 1e9: x = k pi / 2 + r, |r| <= pi / 4, by
 * series to r^17. */
static double icl__turned_sin(double x, int quarter)
{
  const double *f = icl__inverse_factorials;
  int k = x > -1e9 && x < 1e9 ? (int)(x * 0.63661977236758138 + (x < 0 ? -0.5 : 0.5)) : 0, i;
  double r = !(x > -1e9 && x < 1e9) ? 0
           : (x - k * 1.57079632673412561417) - k * 6.07710050650619224932e-11;
  double q = r * r, p;
  quarter = (k + quarter) & 3;
  i = quarter & 1 ? 16 : 17;
  for (p = f[i]; i > 1; i -= 2) p = f[i - 2] - p * q;
  p = quarter & 1 ? p : p * r;
  return quarter & 2 ? -p : p;
}
static double icl__sin_of(double x) { return icl__turned_sin(x, 0); }
static double icl__cos_of(double x) { return icl__turned_sin(x, 1); }

/* x^y for x >= 0 */
static double icl__pow_of(double x, double y)
{
  return x > 0 ? icl__exp_of(y * icl__log_of(x)) : y > 0 ? 0 : 1;
}

/* x^n by squaring. */
static double icl__power(double x, int64_t n)
{
  double p = 1;
  for (; n > 0; n /= 2, x *= x) if (n % 2) p *= x;
  return p;
}

/* erfc(x), absolute error some 1e-15: 1 - erf by its series up to 3, above it a continued
 * fraction. */
static double icl__erfc_of(double x)
{
  double size = x < 0 ? -x : x, term = size, sum = size, tail = size;
  int i;
  if (size < 3) {
    for (i = 1; i < 60; i++) sum += term *= 2 * size * size / (2 * i + 1);
    sum = 1 - 1.1283791670955126 * icl__exp_of(-size * size) * sum;
  } else {
    for (i = 60; i > 0; i--) tail = size + i * 0.5 / tail;
    sum = icl__exp_of(-size * size) * 0.56418958354775629 / tail;
  }
  return x < 0 ? 2 - sum : sum;
}

static double icl__tanh_of(double x)
{
  double e = icl__exp_of(-2 * (x < 0 ? -x : x)), t = (1 - e) / (1 + e);
  return x < 0 ? -t : t;
}

/* The same for floats. */
static float icl__expf(float x) { return (float)icl__exp_of((double)x); }
static float icl__logf(float x) { return (float)icl__log_of((double)x); }
static float icl__cosf(float x) { return (float)icl__cos_of((double)x); }
static float icl__powf(float x, float y) { return (float)icl__pow_of((double)x, (double)y); }
static float icl__tanhf(float x) { return (float)icl__tanh_of((double)x); }

/* ---------------------------------------------------------------------------------------------
 * >>rng
 * Philox4x32-10.  The words are exact everywhere; normal numbers are rounded from double, which
 * hides the last bits, in which one libm's log, sin and cos differ from another's.
 * ------------------------------------------------------------------------------------------- */
static void icl__philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
  uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
  c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
  c[1] = (uint32_t)b;
  c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
  c[3] = (uint32_t)a;
}

/* out[4] = Philox(counter[4], key[2]). */
static void icl__philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
  uint32_t i;
  memcpy(out, counter, 4 * sizeof *out);
  for (i = 0; i < 10; i++)
    icl__philox_round(out, key[0] + i * 0x9E3779B9u, key[1] + i * 0xBB67AE85u);
}

void icl_rng_init(icl_rng *r, uint64_t seed, uint64_t stream, uint64_t index)
{
  if (!r) return;
  memset(r, 0, sizeof *r);
  r->key[0] = (uint32_t)seed;
  r->key[1] = (uint32_t)(seed >> 32);
  r->counter[1] = (uint32_t)index;
  r->counter[2] = (uint32_t)stream;
  r->counter[3] = (uint32_t)(stream >> 32) << 16 | ((uint32_t)(index >> 32) & 0xFFFFu);
  r->used = 4;
}

uint32_t icl_rng_u32(icl_rng *r)
{
  if (!r) return 0;
  if (r->used == 4) {
    icl__philox(r->word, r->counter, r->key);
    r->counter[0]++;
    r->used = 0;
  }
  return r->word[r->used++];
}

float icl_rng_uniform(icl_rng *r) { return (float)(icl_rng_u32(r) >> 8) * (1.0f / 16777216); }

/* Uniform in (0, 1], never 0, so that it has a logarithm. */
static double icl__rng_open(icl_rng *r) { return (icl_rng_u32(r) + 1.0) * (1 / 4294967296.0); }

/* Box and Muller: two uniform words make two normal numbers, up to 6.66. */
float icl_rng_normal(icl_rng *r)
{
  double radius, angle;
  if (!r) return 0;
  if (r->has_spare) { r->has_spare = 0; return r->spare; }
  radius = sqrt(-2 * icl__log_of(icl__rng_open(r)));
  angle = icl_rng_u32(r) * (6.283185307179586 / 4294967296.0);
  r->spare = (float)(radius * icl__sin_of(angle));
  r->has_spare = 1;
  return (float)(radius * icl__cos_of(angle));
}

/* Marsaglia and Tsang 2000: d v with v = (1 + c n)^3, d = shape - 1/3, c = 1 / sqrt(9 d), accepted
 * if log u < n^2/2 + d (1 - v + log v).  Needs shape >= 1. */
static double icl__rng_gamma(icl_rng *r, double shape)
{
  double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
  for (;;) {
    double n = (double)icl_rng_normal(r), v = 1 + c * n;
    if (v <= 0) continue;
    v *= v * v;
    if (icl__log_of(icl__rng_open(r)) < n * n / 2 + d * (1 - v + icl__log_of(v))) return d * v;
  }
}

/* Shapes below 1: Gamma(shape) = Gamma(shape + 1) u^(1 / shape). */
float icl_rng_gamma(icl_rng *r, float shape, float scale)
{
  double g, k = (double)shape;
  if (!r || !(shape > 0) || !(scale > 0) || !icl__finite(&shape, 1) || !icl__finite(&scale, 1))
    return 0;
  g = icl__rng_gamma(r, k < 1 ? k + 1 : k);
  if (k < 1) g *= icl__pow_of(icl__rng_open(r), 1 / k);
  g *= (double)scale;
  return g < 3.4e38 ? (float)g : 3.4e38f;
}

/* Lemire 2019: the high word of u n, u drawn again where the low word falls in the uneven rest. */
int icl_rng_below(icl_rng *r, int n)
{
  uint32_t size = (uint32_t)n, uneven;
  uint64_t product;
  if (!r || n < 2) return 0;
  uneven = (0u - size) % size;
  do product = (uint64_t)icl_rng_u32(r) * size; while ((uint32_t)product < uneven);
  return (int)(product >> 32);
}

/* ---------------------------------------------------------------------------------------------
 * >>classes
 * One row of icl__classes and up to four functions each: how many floats describe a function, how
 * to draw them, how to evaluate them.  "Unit variance" is E f(x)^2 = 1 over x ~ N(0, I) and f.
 * From arXiv 2311.00871, appendix A.2, are dense, sparse, relu and sine; from arXiv 2208.01066 tree
 * and quadratic; the rest are curves that people meet.
 * ------------------------------------------------------------------------------------------- */

/* a[n].b[n], in four sums: a single one would wait for itself. */
static float icl__class_dot(const float *a, const float *b, int n)
{
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  int i = 0;
  for (; i + 4 <= n; i += 4) {
    s0 += a[i] * b[i];
    s1 += a[i + 1] * b[i + 1];
    s2 += a[i + 2] * b[i + 2];
    s3 += a[i + 3] * b[i + 3];
  }
  for (; i < n; i++) s0 += a[i] * b[i];
  return (s0 + s1) + (s2 + s3);
}

static void icl__draw_normals(float *out, int n, double sd, icl_rng *rng)
{
  int i;
  for (i = 0; i < n; i++) out[i] = (float)sd * icl_rng_normal(rng);
}

/* u[d]: a random direction, so that z = u.x ~ N(0, 1).  Of one input it is that input. */
static void icl__draw_direction(float *u, const icl_class_call *c, icl_rng *rng)
{
  double norm = 0;
  int i;
  memset(u, 0, (size_t)c->n_dims * sizeof *u);
  u[0] = 1;
  if (c->dims_active == 1) return;
  icl__draw_normals(u, c->dims_active, 1, rng);
  for (i = 0; i < c->dims_active; i++) norm += (double)u[i] * (double)u[i];
  for (i = 0; i < c->dims_active; i++) u[i] = (float)((double)u[i] / sqrt(norm));
}

/* dense: f(x) = b.x / sqrt(d), b ~ N(0, I).   theta[d] = b / sqrt(d) */
static int icl__dense_size(const icl_class_call *c) { return c->n_dims; }

static void icl__dense_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  icl__draw_normals(theta, c->n_dims, 1 / sqrt((double)c->n_dims), rng);
}

static float icl__dense_eval(const float *theta, const float *x, const icl_class_call *c)
{
  return icl__class_dot(theta, x, c->n_dims);
}

/* Garg et al. do not divide by sqrt(d). */
static float icl__garg_root_d(const icl_class_call *c) { return sqrtf((float)c->n_dims); }

/* sparse: f(x) = sum over S of b_j x_j / sqrt(nnz), b ~ N(0, I), S uniform of size nnz; of all
 * active inputs where there are fewer.   theta[nnz][2] = j, b_j / sqrt(nnz) */
static int icl__sparse_size(const icl_class_call *c) { return 2 * (int)c->arg[0]; }

/* Floyd's sampling without replacement: t of 0..j, or j itself where t is taken. */
static void icl__sparse_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int nnz = (int)c->arg[0], n = c->dims_active, i, k;
  memset(theta, 0, 2 * (size_t)nnz * sizeof *theta);
  if (nnz < n) n = nnz;
  for (i = 0; i < n; i++) {
    int j = c->dims_active - n + i, t = icl_rng_below(rng, j + 1);
    for (k = 0; k < i; k++) if ((int)theta[2 * k] == t) t = j;
    theta[2 * i] = (float)t;
    theta[2 * i + 1] = icl_rng_normal(rng) / sqrtf((float)nnz);
  }
}

static float icl__sparse_eval(const float *theta, const float *x, const icl_class_call *c)
{
  float y = 0;
  int i, nnz = (int)c->arg[0];
  for (i = 0; i < nnz; i++) y += theta[2 * i + 1] * x[(int)theta[2 * i]];
  return y;
}

static float icl__garg_root_nnz(const icl_class_call *c) { return sqrtf(c->arg[0]); }

/* relu: f(x) = b.relu(W x) / sqrt(d h), W_ij ~ N(0, 2), b ~ N(0, I).  It is printed with sqrt(d) h
 * below the line, but only this has unit variance.   theta = b / sqrt(d h) [h], W [h][d] */
static int icl__relu_size(const icl_class_call *c) { return (int)c->arg[0] * (c->n_dims + 1); }

static void icl__relu_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int h = (int)c->arg[0];
  icl__draw_normals(theta, h, 1 / sqrt((double)h * c->n_dims), rng);
  icl__draw_normals(theta + h, h * c->n_dims, sqrt(2.0), rng);
}

static float icl__relu_eval(const float *theta, const float *x, const icl_class_call *c)
{
  int i, h = (int)c->arg[0], d = c->n_dims;
  const float *w = theta + h;
  float y = 0;
  for (i = 0; i < h; i++, w += d) {
    float s = icl__class_dot(w, x, d);
    if (s > 0) y += theta[i] * s;
  }
  return y;
}

/* sine: f(x) = b cos(2 pi w z), b ~ N(0, 1), w ~ Gamma(6, 1/6), as printed, without a phase.  Its
 * variance is (1 + E exp(-8 pi^2 w^2)) / 2 = 0.500136; norm=1 makes it 1.   theta = u[d], w, b */
static int icl__sine_size(const icl_class_call *c) { return c->n_dims + 2; }

static void icl__sine_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  float *p = theta + c->n_dims;
  icl__draw_direction(theta, c, rng);
  p[0] = icl_rng_gamma(rng, 6, 1.0f / 6);
  p[1] = icl_rng_normal(rng) * (c->arg[0] > 0 ? 1.41402192f : 1.0f);
}

static float icl__sine_eval(const float *theta, const float *x, const icl_class_call *c)
{
  const float *p = theta + c->n_dims;
  return p[1] * icl__cosf(6.28318531f * p[0] * icl__class_dot(theta, x, c->n_dims));
}

/* tree: from node i go to 2 i + 1, or to 2 i + 2 if x_j > 0, j uniform; leaves ~ N(0, 1).
 * theta = j [2^depth - 1], leaves [2^depth], in the order of their node numbers */
static int icl__tree_size(const icl_class_call *c) { return (2 << (int)c->arg[0]) - 1; }

static void icl__tree_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int i, leaves = 1 << (int)c->arg[0];
  for (i = 0; i < leaves - 1; i++) theta[i] = (float)icl_rng_below(rng, c->dims_active);
  icl__draw_normals(theta + leaves - 1, leaves, 1, rng);
}

static float icl__tree_eval(const float *theta, const float *x, const icl_class_call *c)
{
  int level, i = 0, depth = (int)c->arg[0];
  for (level = 0; level < depth; level++) i = 2 * i + 1 + (x[(int)theta[i]] > 0);
  return theta[i];
}

/* quadratic: f(x) = b.x^2 / sqrt(3 d), b ~ N(0, I); E x^4 = 3.   theta[d] = b / sqrt(3 d) */
static void icl__quadratic_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  icl__draw_normals(theta, c->n_dims, 1 / sqrt(3.0 * c->n_dims), rng);
}

static float icl__quadratic_eval(const float *theta, const float *x, const icl_class_call *c)
{
  float y = 0;
  int i;
  for (i = 0; i < c->n_dims; i++) y += theta[i] * x[i] * x[i];
  return y;
}

/* affine: f(x) = (A a + S b.x / sqrt(d)) / sqrt(A^2 + S^2) with S = slope, A = intercept, a and b
 * ~ N(0, 1): dense with an intercept.   theta = weights[d], intercept */
static int icl__affine_size(const icl_class_call *c)
{
  return c->arg[0] > 0 || c->arg[1] > 0 ? c->n_dims + 1 : -1;
}

static void icl__affine_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  double s = (double)c->arg[0], a = (double)c->arg[1], norm = sqrt(s * s + a * a);
  icl__draw_normals(theta, c->n_dims, s / norm / sqrt((double)c->n_dims), rng);
  icl__draw_normals(theta + c->n_dims, 1, a / norm, rng);
}

static float icl__affine_eval(const float *theta, const float *x, const icl_class_call *c)
{
  return theta[c->n_dims] + icl__class_dot(theta, x, c->n_dims);
}

/* poly: f(x) = sum over j = 0..degree of c_j h_j(z) / sqrt(degree + 1), c ~ N(0, I), with the
 * Hermite polynomials h_0 = 1, h_1 = z, sqrt(j + 1) h_{j+1} = z h_j - sqrt(j) h_{j-1}, which are
 * orthonormal under N(0, 1): every polynomial of that degree, each part of equal variance.
 * theta = u[d], c / sqrt(degree + 1) [degree + 1] */
static int icl__poly_size(const icl_class_call *c) { return c->n_dims + 1 + (int)c->arg[0]; }

static void icl__poly_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int n = (int)c->arg[0] + 1;
  icl__draw_direction(theta, c, rng);
  icl__draw_normals(theta + c->n_dims, n, 1 / sqrt((double)n), rng);
}

static float icl__poly_eval(const float *theta, const float *x, const icl_class_call *c)
{
  int j, degree = (int)c->arg[0];
  const float *p = theta + c->n_dims;
  float z = icl__class_dot(theta, x, c->n_dims), h = 1, before = 0, y = 0;
  for (j = 0; j <= degree; j++) {
    float next = (z * h - sqrtf((float)j) * before) / sqrtf((float)j + 1);
    y += p[j] * h;
    before = h;
    h = next;
  }
  return y;
}

/* wave: f(x) = (O c + A cos(2 pi w z + phase)) / sqrt(O^2 + 1/2) with O = offset, c and A
 * ~ N(0, 1), w ~ U(fmin, fmax), phase ~ U(0, 2 pi): unit variance at every z.
 * theta = u[d], w, phase, amplitude, offset */
static int icl__wave_size(const icl_class_call *c)
{
  return c->arg[0] <= c->arg[1] ? c->n_dims + 4 : -1;
}

static void icl__wave_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  double o = (double)c->arg[2], norm = sqrt(o * o + 0.5);
  float *p = theta + c->n_dims;
  icl__draw_direction(theta, c, rng);
  p[0] = c->arg[0] + (c->arg[1] - c->arg[0]) * icl_rng_uniform(rng);
  p[1] = 6.28318531f * icl_rng_uniform(rng);
  icl__draw_normals(p + 2, 1, 1 / norm, rng);
  icl__draw_normals(p + 3, 1, o / norm, rng);
}

static float icl__wave_eval(const float *theta, const float *x, const icl_class_call *c)
{
  const float *p = theta + c->n_dims;
  return p[3] + p[2] * icl__cosf(6.28318531f * p[0] * icl__class_dot(theta, x, c->n_dims) + p[1]);
}

/* saturate: f(x) = (a + b (g(z) - m) / s) / sqrt(2), g(z) = 1 - exp(-max(0, +-z - x0) / t), a and
 * b ~ N(0, 1), log t ~ U(log tmin, log tmax), either sign.  m and s are g's mean and standard
 * deviation under N(0, 1), so each t has unit variance.
 * theta = u[d], 1 / t, f's level before x0, its rise */
static int icl__saturate_size(const icl_class_call *c)
{
  return c->arg[0] <= c->arg[1] ? c->n_dims + 3 : -1;
}

/* E exp(-rate (z - x0)) [z > x0] = exp(rate^2 / 2 + rate x0) Phi(-x0 - rate). */
static double icl__saturate_decay(double rate, double x0)
{
  return icl__exp_of(rate * (rate / 2 + x0)) * 0.5 * icl__erfc_of((x0 + rate) * 0.7071067811865476);
}

static void icl__saturate_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  double low = icl__log_of((double)c->arg[0]), high = icl__log_of((double)c->arg[1]);
  double x0 = (double)c->arg[2];
  double t = icl__exp_of(low + (high - low) * (double)icl_rng_uniform(rng));
  double after = icl__saturate_decay(0, x0), decay = icl__saturate_decay(1 / t, x0);
  double mean = after - decay;
  double square = after - 2 * decay + icl__saturate_decay(2 / t, x0);
  double a = (double)icl_rng_normal(rng), b = (double)icl_rng_normal(rng);
  float *p = theta + c->n_dims;
  int i, flip = icl_rng_below(rng, 2);
  b /= sqrt(square - mean * mean);
  p[0] = (float)(1 / t);
  p[1] = (float)((a - b * mean) * 0.7071067811865476);
  p[2] = (float)(b * 0.7071067811865476);
  icl__draw_direction(theta, c, rng);
  for (i = 0; i < c->n_dims && flip; i++) theta[i] = -theta[i];
}

static float icl__saturate_eval(const float *theta, const float *x, const icl_class_call *c)
{
  const float *p = theta + c->n_dims;
  float after = icl__class_dot(theta, x, c->n_dims) - c->arg[2];
  return p[1] + p[2] * (float)(1 - icl__exp_of((double)(-p[0] * (after > 0 ? after : 0))));
}

/* pool: f(x) = b_i.x / sqrt(d), i uniform below size, with b_1, b_2, .. ~ N(0, I) of a stream of
 * their own, so that nothing is kept of them.   theta[d] = b_i / sqrt(d) */
#define ICL__STREAM_POOL ((uint64_t)1 << 42)

static void icl__pool_member(float *theta, const icl_class_call *c, int i)
{
  icl_rng member;
  icl_rng_init(&member, (uint64_t)c->arg[1], ICL__STREAM_POOL, (uint64_t)i);
  icl__dense_draw(theta, c, &member);
}

static void icl__member_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  icl__pool_member(theta, c, icl_rng_below(rng, (int)c->arg[0]));
}

/* gp: f(x) = sqrt(2 / M) sum over m of a_m cos(w_m.x + b_m), a ~ N(0, 1), b ~ U(0, 2 pi), w_m ~
 * N(0, I) / length, which is the spectrum of RBF; of Matern nu it is divided by sqrt(g / 2 nu), g ~
 * chi^2 of 2 nu degrees.   theta = [M][2 + d]: a sqrt(2 / M), b, w */
enum { ICL__FEATURES = 32 };

static int icl__gp_size(const icl_class_call *c) { return ICL__FEATURES * (2 + c->n_dims); }

/* scale[d]: 1 / length of each input; with ard half of them are 0, but never all. */
static void icl__gp_scales(float *scale, const icl_class_call *c, icl_rng *rng)
{
  int j, on = 0;
  for (j = 0; j < c->n_dims; j++) {
    scale[j] = j < c->dims_active ? 1 / c->arg[0] : 0;
    if (c->arg[2] <= 0 || scale[j] <= 0) continue;
    if (icl_rng_below(rng, 2)) scale[j] = 0;
    else scale[j] *= icl__expf(1.4f * (icl_rng_uniform(rng) - 0.5f));
    on |= scale[j] > 0;
  }
  if (c->arg[2] > 0 && !on) scale[icl_rng_below(rng, c->dims_active)] = 1 / c->arg[0];
}

static void icl__gp_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int m, j, i, degrees = (int)(2 * c->arg[1] + 0.5f), d = c->n_dims;
  float *scale = theta + (ptrdiff_t)(ICL__FEATURES - 1) * (2 + d) + 2;  /* the last w, drawn last */
  icl__gp_scales(scale, c, rng);
  for (m = 0; m < ICL__FEATURES; m++, theta += 2 + d) {
    float g = 0, n;
    theta[0] = icl_rng_normal(rng) * 0.25f;                  /* sqrt(2 / 32) */
    theta[1] = 6.28318531f * icl_rng_uniform(rng);
    for (i = 0; i < degrees; i++) { n = icl_rng_normal(rng); g += n * n; }
    g = degrees ? sqrtf((float)degrees / (g + 1e-6f)) : 1;
    for (j = 0; j < d; j++) theta[2 + j] = icl_rng_normal(rng) * scale[j] * g;
  }
}

static float icl__gp_eval(const float *theta, const float *x, const icl_class_call *c)
{
  int m, d = c->n_dims;
  float y = 0;
  for (m = 0; m < ICL__FEATURES; m++, theta += 2 + d)
    y += theta[0] * icl__cosf(icl__class_dot(theta + 2, x, d) + theta[1]);
  return y;
}

/* ----- shapes ---------------------------------------------------------------------------------
 * f(x) = (a + b (g(z) - m) / s) / sqrt(2), a and b ~ N(0, 1), for a shape g of one variable with up
 * to 12 numbers p; m and s are the mean and standard deviation of g at 32 quantiles of N(0, 1).
 * The sign of z is random.   theta = u[d], m sqrt(1/2) b / s .. level, rise, p[12] */
enum { ICL__SHAPE_ARGS = 12 };
typedef enum icl__shape {
  ICL__LOGISTIC_SHAPE, ICL__DECAY_SHAPE, ICL__PEAK_SHAPE, ICL__POWER_SHAPE, ICL__HINGE_SHAPE,
  ICL__MONOTONE_SHAPE
} icl__shape;

static int icl__shape_size(const icl_class_call *c) { return c->n_dims + 2 + ICL__SHAPE_ARGS; }

static float icl__log_uniform(icl_rng *rng, float low, float high)
{
  return low * icl__expf(icl_rng_uniform(rng) * icl__logf(high / low));
}

static float icl__sigmoid(float x) { return 1 / (1 + icl__expf(-x)); }

static int icl__chance(icl_rng *rng, float p) { return icl_rng_uniform(rng) < p; }

/* p[] of a shape: see icl__shape_at. */
static void icl__shape_draw_args(float *p, icl__shape shape, const icl_class_call *c, icl_rng *rng)
{
  float low = c->arg[0], high = c->arg[1];
  int i, n;
  memset(p, 0, ICL__SHAPE_ARGS * sizeof *p);
  switch (shape) {
    case ICL__LOGISTIC_SHAPE:
      p[0] = icl__log_uniform(rng, low, high);
      p[1] = icl_rng_normal(rng);
      break;
    case ICL__DECAY_SHAPE:
      p[0] = icl__log_uniform(rng, low, high);
      p[1] = icl__log_uniform(rng, low, high);
      p[2] = icl__chance(rng, 0.3f) ? icl_rng_normal(rng) * 0.7f : 0;
      break;
    case ICL__PEAK_SHAPE:
      for (i = 0; i < 2; i++) {
        p[3 * i] = icl_rng_normal(rng);
        p[3 * i + 1] = 1 / icl__log_uniform(rng, low, high);
        p[3 * i + 2] = !i ? 1 : icl__chance(rng, 0.3f) ? icl_rng_normal(rng) : 0;
      }
      p[6] = (float)icl__chance(rng, 0.3f);
      break;
    case ICL__POWER_SHAPE:
      p[0] = icl__log_uniform(rng, low, high);
      p[1] = icl__log_uniform(rng, 0.1f, 3);
      p[2] = -0.7f - 2 * icl_rng_uniform(rng);
      p[3] = (float)icl_rng_below(rng, 3);
      break;
    case ICL__HINGE_SHAPE:
      n = 1 + icl_rng_below(rng, (int)low);
      p[0] = icl_rng_normal(rng);
      for (i = 0; i < n && i < 5; i++) {
        p[1 + 2 * i] = icl_rng_normal(rng);
        p[2 + 2 * i] = icl_rng_normal(rng) * (i ? 1.0f : 1.5f);
      }
      break;
    default:
      n = (int)low;
      for (i = 0; i < n && i < 4; i++) {
        p[3 * i] = icl__log_uniform(rng, 0.5f, 12);
        p[3 * i + 1] = 1.2f * icl_rng_normal(rng);
        p[3 * i + 2] = icl__expf(icl_rng_normal(rng));
      }
  }
}

/* g(z). */
static float icl__shape_at(const float *p, icl__shape shape, float z)
{
  float y = 0, u;
  int i;
  switch (shape) {
    case ICL__LOGISTIC_SHAPE: return icl__sigmoid(p[0] * (z - p[1]));
    case ICL__DECAY_SHAPE:
      u = -p[0] * (z + 2);
      y = icl__expf(u < 5 ? u : 5);
      u = -p[1] * (z + 2);
      return p[2] < 0 || p[2] > 0 ? y + p[2] * icl__expf(u < 5 ? u : 5) : y;
    case ICL__PEAK_SHAPE:
      for (i = 0; i < 2; i++, p += 3) {
        u = (z - p[0]) * p[1];
        y += p[2] * (p[6 - 3 * i] > 0 ? 1 / (1 + u * u) : icl__expf(-0.5f * u * u));
      }
      return y;
    case ICL__POWER_SHAPE:
      u = z > p[2] ? z - p[2] : 0;
      if (p[3] > 1) return icl__logf(u + p[1]);
      y = icl__powf(u, p[0]);
      return p[3] > 0 ? y : y / (y + icl__powf(p[1], p[0]));
    case ICL__HINGE_SHAPE:
      for (y = p[0] * z, i = 0; i < 5; i++)
        if (z > p[1 + 2 * i]) y += p[2 + 2 * i] * (z - p[1 + 2 * i]);
      return y;
    default:
      for (i = 0; i < 4; i++) y += p[3 * i + 2] * icl__sigmoid(p[3 * i] * (z - p[3 * i + 1]));
      return y;
  }
}

/* Quantiles (i + 1/2) / 32 of N(0, 1), the upper half. */
static const float icl__normal_quantiles[16] = {
  0.0392f, 0.1178f, 0.1971f, 0.2777f, 0.3601f, 0.4450f, 0.5334f, 0.6261f, 0.7245f, 0.8305f,
  0.9467f, 1.0775f, 1.2299f, 1.4178f, 1.6757f, 2.1539f
};

static void icl__shape_draw(float *theta, icl__shape shape, const icl_class_call *c, icl_rng *rng)
{
  float *level = theta + c->n_dims, *p = level + 2;
  double sum = 0, squares = 0, a, b;
  int i, flip;
  icl__draw_direction(theta, c, rng);
  flip = icl_rng_below(rng, 2);
  for (i = 0; i < c->n_dims && flip; i++) theta[i] = -theta[i];
  icl__shape_draw_args(p, shape, c, rng);
  for (i = 0; i < 32; i++) {
    float q = icl__normal_quantiles[i / 2];
    double g = (double)icl__shape_at(p, shape, i % 2 ? q : -q);
    sum += g;
    squares += g * g;
  }
  sum /= 32;
  squares = squares / 32 - sum * sum;
  a = (double)icl_rng_normal(rng) * 0.7071067811865476;
  b = (double)icl_rng_normal(rng) * 0.7071067811865476 / sqrt(squares > 1e-6 ? squares : 1e-6);
  level[0] = (float)(a - b * sum);
  level[1] = (float)b;
}

static float icl__shape_eval(const float *theta, icl__shape shape, const float *x,
                             const icl_class_call *c)
{
  const float *level = theta + c->n_dims;
  return level[0] + level[1] * icl__shape_at(level + 2, shape,
                                             icl__class_dot(theta, x, c->n_dims));
}

/* The functions of a row: name_draw and name_eval. */
#define ICL__SHAPE(name, shape)                                                                   \
  static void icl__##name##_draw(float *theta, const icl_class_call *c, icl_rng *rng)             \
  { icl__shape_draw(theta, shape, c, rng); }                                                      \
  static float icl__##name##_eval(const float *theta, const float *x, const icl_class_call *c)    \
  { return icl__shape_eval(theta, shape, x, c); }
ICL__SHAPE(logistic, ICL__LOGISTIC_SHAPE)
ICL__SHAPE(decay, ICL__DECAY_SHAPE)
ICL__SHAPE(peak, ICL__PEAK_SHAPE)
ICL__SHAPE(power, ICL__POWER_SHAPE)
ICL__SHAPE(hinge, ICL__HINGE_SHAPE)
ICL__SHAPE(monotone, ICL__MONOTONE_SHAPE)
#undef ICL__SHAPE

static int icl__range_size(const icl_class_call *c)
{
  return c->arg[0] <= c->arg[1] ? icl__shape_size(c) : -1;
}

/* ----- several inputs ------------------------------------------------------------------------- */

/* decaying: weights b_j q^r, r the place of input j in a random order, each kept with probability
 * keep, scaled so that the sum of their squares is 1 times a normal number.   theta[d] */
static void icl__decaying_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  float q = c->arg[1] + (1 - c->arg[1]) * icl_rng_uniform(rng), w = 1, norm = 0;
  int i, n = c->dims_active;
  memset(theta, 0, (size_t)c->n_dims * sizeof *theta);
  for (i = 0; i < n; i++, w *= q)
    theta[i] = i == 0 || icl__chance(rng, c->arg[0]) ? w * icl_rng_normal(rng) : 0;
  for (i = n - 1; i > 0; i--) {
    int j = icl_rng_below(rng, i + 1);
    float t = theta[i];
    theta[i] = theta[j];
    theta[j] = t;
  }
  for (i = 0; i < n; i++) norm += theta[i] * theta[i];
  w = icl_rng_normal(rng) / sqrtf(norm + 1e-12f);
  for (i = 0; i < n; i++) theta[i] *= w;
}

/* products: sum of a_m x_i x_j / sqrt(terms).   theta[terms][4] = i, j, a / sqrt(terms), unused */
static int icl__terms_size(const icl_class_call *c) { return 4 * (int)c->arg[0]; }

static void icl__products_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int m, n = (int)c->arg[0];
  for (m = 0; m < n; m++, theta += 4) {
    theta[0] = (float)icl_rng_below(rng, c->dims_active);
    theta[1] = (float)icl_rng_below(rng, c->dims_active);
    theta[2] = icl_rng_normal(rng) / sqrtf((float)n);
  }
}

static float icl__products_eval(const float *theta, const float *x, const icl_class_call *c)
{
  float y = 0;
  int m;
  for (m = 0; m < (int)c->arg[0]; m++, theta += 4)
    y += theta[2] * x[(int)theta[0]] * x[(int)theta[1]];
  return y;
}

/* additive: terms of one input x_j each, in turn a bend a max(0, x_j - c) and a saturation
 * a tanh(s (x_j - c)).   theta[terms][4] = j, a / sqrt(terms), c, s (0: bend) */
static void icl__additive_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int m, n = (int)c->arg[0];
  for (m = 0; m < n; m++, theta += 4) {
    theta[0] = (float)icl_rng_below(rng, c->dims_active);
    theta[1] = icl_rng_normal(rng) / sqrtf((float)n) * (m % 2 ? 1.2f : 1.6f);
    theta[2] = icl_rng_normal(rng);
    theta[3] = m % 2 ? icl__log_uniform(rng, 0.5f, 4) : 0;
  }
}

static float icl__additive_eval(const float *theta, const float *x, const icl_class_call *c)
{
  float y = 0;
  int m;
  for (m = 0; m < (int)c->arg[0]; m++, theta += 4) {
    float u = x[(int)theta[0]] - theta[2];
    y += theta[1] * (theta[3] > 0 ? icl__tanhf(theta[3] * u) : u > 0 ? u : 0);
  }
  return y;
}

/* link: f(x) = b (exp(s z) - exp(s^2 / 2)) / sd, z along a random direction of all inputs.
 * theta = u[d], s, level, rise */
static int icl__link_size(const icl_class_call *c) { return c->n_dims + 3; }

static void icl__link_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  float *p = theta + c->n_dims;
  double s = (double)icl__log_uniform(rng, c->arg[0], 1), mean = icl__exp_of(s * s / 2);
  double b = (double)icl_rng_normal(rng) / sqrt(icl__exp_of(2 * s * s) - icl__exp_of(s * s));
  icl__draw_direction(theta, c, rng);
  p[0] = (float)s;
  p[1] = (float)(-b * mean);
  p[2] = (float)b;
}

static float icl__link_eval(const float *theta, const float *x, const icl_class_call *c)
{
  const float *p = theta + c->n_dims;
  float u = p[0] * icl__class_dot(theta, x, c->n_dims);
  return p[1] + p[2] * icl__expf(u < 4 ? u : 4);
}

/* splits: a tree whose node i asks x_j > t, t ~ N(0, 0.7^2).
 * theta = j [2^depth - 1], t [2^depth - 1], leaves [2^depth] */
static int icl__splits_size(const icl_class_call *c) { return 3 * (1 << (int)c->arg[0]) - 2; }

static void icl__splits_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  int i, nodes = (1 << (int)c->arg[0]) - 1;
  for (i = 0; i < nodes; i++) theta[i] = (float)icl_rng_below(rng, c->dims_active);
  icl__draw_normals(theta + nodes, nodes, 0.7, rng);
  icl__draw_normals(theta + 2 * nodes, nodes + 1, 1, rng);
}

static float icl__splits_eval(const float *theta, const float *x, const icl_class_call *c)
{
  int level, i = 0, depth = (int)c->arg[0], nodes = (1 << depth) - 1;
  for (level = 0; level < depth; level++) i = 2 * i + 1 + (x[(int)theta[i]] > theta[nodes + i]);
  return theta[nodes + i];
}

/* Rows of the table, by name.  From ICL__NOISY on they change the classes inside of them. */
enum {
  ICL__DENSE, ICL__SPARSE, ICL__RELU, ICL__SINE, ICL__TREE, ICL__QUADRATIC, ICL__AFFINE, ICL__POLY,
  ICL__WAVE, ICL__SATURATE, ICL__GP, ICL__LOGISTIC, ICL__DECAY, ICL__PEAK, ICL__POWER, ICL__HINGE,
  ICL__MONOTONE, ICL__DECAYING, ICL__PRODUCTS, ICL__ADDITIVE, ICL__LINK, ICL__SPLITS, ICL__POOL,
  ICL__NOISY, ICL__CONVEX, ICL__GARG, ICL__N_CLASSES
};

#define ICL__NO_ARG {NULL, 0, 0, 0, 0}
#define ICL__ROW(f, scale) icl__##f##_size, icl__##f##_draw, icl__##f##_eval, scale, NULL, 0
#define ICL__NO_FUNCTIONS NULL, NULL, NULL, NULL, NULL, 0
static const icl_class icl__classes[ICL__N_CLASSES] = {
  {"dense", {ICL__NO_ARG}, ICL__ROW(dense, icl__garg_root_d)},
  {"sparse", {{"nnz", 2, 0, ICL_AT_MOST_DIMS, 1}}, ICL__ROW(sparse, icl__garg_root_nnz)},
  {"relu", {{"hidden", 100, 1, 4096, 1}}, ICL__ROW(relu, icl__garg_root_d)},
  {"sine", {{"norm", 0, 0, 1, 1}}, ICL__ROW(sine, NULL)},
  {"tree", {{"depth", 4, 0, 16, 1}}, ICL__ROW(tree, NULL)},
  {"quadratic", {ICL__NO_ARG}, icl__dense_size, icl__quadratic_draw, icl__quadratic_eval,
   icl__garg_root_d, NULL, 0},
  {"affine", {{"slope", 1, 0, 1000, 0}, {"intercept", 1, 0, 1000, 0}},
   ICL__ROW(affine, icl__garg_root_d)},
  {"poly", {{"degree", 2, 0, 12, 1}}, ICL__ROW(poly, NULL)},
  {"wave", {{"fmin", 0.1f, 0, 100, 0}, {"fmax", 1, 0, 100, 0}, {"offset", 1, 0, 1000, 0}},
   ICL__ROW(wave, NULL)},
  {"saturate", {{"tmin", 0.3f, 0.1f, 100, 0}, {"tmax", 3, 0.1f, 100, 0}, {"x0", -2, -4, 0, 0}},
   ICL__ROW(saturate, NULL)},
  {"gp", {{"length", 1, 0.01f, 100, 0}, {"nu", 0, 0, 2.5f, 0}, {"ard", 0, 0, 1, 1}},
   ICL__ROW(gp, NULL)},
  {"logistic", {{"smin", 0.5f, 0.01f, 100, 0}, {"smax", 12, 0.01f, 100, 0}}, icl__range_size,
   icl__logistic_draw, icl__logistic_eval, NULL, NULL, 0},
  {"decay", {{"rmin", 0.3f, 0.01f, 100, 0}, {"rmax", 3, 0.01f, 100, 0}}, icl__range_size,
   icl__decay_draw, icl__decay_eval, NULL, NULL, 0},
  {"peak", {{"wmin", 0.1f, 0.01f, 100, 0}, {"wmax", 1, 0.01f, 100, 0}}, icl__range_size,
   icl__peak_draw, icl__peak_eval, NULL, NULL, 0},
  {"power", {{"amin", 0.3f, 0.01f, 10, 0}, {"amax", 3, 0.01f, 10, 0}}, icl__range_size,
   icl__power_draw, icl__power_eval, NULL, NULL, 0},
  {"hinge", {{"max", 3, 1, 5, 1}}, icl__shape_size, icl__hinge_draw, icl__hinge_eval, NULL,
   NULL, 0},
  {"monotone", {{"parts", 4, 1, 4, 1}}, icl__shape_size, icl__monotone_draw, icl__monotone_eval,
   NULL, NULL, 0},
  {"decaying", {{"keep", 0.6f, 0, 1, 0}, {"rate", 0.4f, 0, 1, 0}}, icl__dense_size,
   icl__decaying_draw, icl__dense_eval, NULL, NULL, 0},
  {"products", {{"terms", 3, 1, 64, 1}}, icl__terms_size, icl__products_draw, icl__products_eval,
   NULL, NULL, 0},
  {"additive", {{"terms", 4, 1, 64, 1}}, icl__terms_size, icl__additive_draw, icl__additive_eval,
   NULL, NULL, 0},
  {"link", {{"rate", 0.2f, 0.01f, 1, 0}}, ICL__ROW(link, NULL)},
  {"splits", {{"depth", 3, 0, 12, 1}}, ICL__ROW(splits, NULL)},
  {"pool", {{"size", 1024, 1, 1048576, 1}, {"seed", 0, 0, 16777215, 1}}, icl__dense_size,
   icl__member_draw, icl__dense_eval, icl__garg_root_d, NULL, 0},
  {"noisy", {{"sd", 0.5f, 0, 1000, 0}, {"renorm", 0, 0, 1, 1}, {"share", 1, 0, 1, 0},
             {"tails", 0, 0, 1, 0}, {"hetero", 0, 0, 1, 0}, {"outliers", 0, 0, 1, 0}},
   ICL__NO_FUNCTIONS},
  {"convex", {{"alpha", 0, 0, 1, 0}}, ICL__NO_FUNCTIONS},
  {"garg", {ICL__NO_ARG}, ICL__NO_FUNCTIONS}
};
#undef ICL__NO_ARG
#undef ICL__ROW
#undef ICL__NO_FUNCTIONS

const icl_class *icl_class_at(int i)
{
  return i >= 0 && i < ICL__N_CLASSES ? &icl__classes[i] : NULL;
}

/* Classes that a node of this kind has inside of its parentheses. */
static int icl__kind_operands(int kind)
{
  return kind == ICL__CONVEX ? 2 : kind == ICL__NOISY || kind == ICL__GARG ? 1 : 0;
}

static const icl_class *icl__task_class(const icl_task *t, int kind)
{
  return kind < ICL__N_CLASSES ? &icl__classes[kind] : &t->own[kind - ICL__N_CLASSES];
}

/* ---------------------------------------------------------------------------------------------
 * >>numbers
 * Decimal numbers without the locale.  Both ways go through m * 10^x with the same rounding, and so
 * a float that was written reads back as itself.
 * ------------------------------------------------------------------------------------------- */
static double icl__scale10(double m, int x)
{
  double p = 1;
  int i, n = x < 0 ? -x : x;
  for (i = 0; i < n; i++) p *= 10;
  return x < 0 ? m / p : m * p;
}

static int icl__is_digit(char c) { return c >= '0' && c <= '9'; }

/* Exponent "e-3" at p: its length, 0 where there is none. */
static size_t icl__read_exponent(int *x, const char *p)
{
  size_t i = 1;
  int e = 0, minus;
  if (p[0] != 'e' && p[0] != 'E') return 0;
  minus = p[i] == '-';
  if (p[i] == '-' || p[i] == '+') i++;
  if (!icl__is_digit(p[i])) return 0;
  for (; icl__is_digit(p[i]); i++) if (e < 1000) e = 10 * e + (p[i] - '0');
  *x += minus ? -e : e;
  return i;
}

/* Reads [+-]digits[.digits][e[+-]digits] at p.  Returns its length, 0 where there is no number or
 * one that no float can hold. */
static size_t icl__read_number(double *v, const char *p)
{
  double m = 0;
  size_t i = p[0] == '-' || p[0] == '+', digits = 0;
  int x = 0, fraction = 0;
  for (; icl__is_digit(p[i]) || (p[i] == '.' && !fraction && p[i + 1] != '.'); i++) {
    if (p[i] == '.') { fraction = 1; continue; }
    m = 10 * m + (p[i] - '0');
    x -= fraction;
    digits++;
  }
  if (!digits) return 0;
  i += icl__read_exponent(&x, p + i);
  if (x < -700) x = -700;
  if (m > 0) m = icl__scale10(m, x);
  if (!(m < 3.4028235677973366e38)) return 0;
  *v = p[0] == '-' ? -m : m;
  return i;
}

/* Text that is cut where buf ends; len goes on. */
typedef struct icl__line { char *buf; size_t size, len; } icl__line;

static icl__line icl__line_on(char *buf, size_t size)
{
  icl__line t;
  t.buf = buf; t.size = size; t.len = 0;
  if (size) buf[0] = 0;
  return t;
}

static void icl__line_char(icl__line *t, char c)
{
  if (t->len + 1 < t->size) { t->buf[t->len] = c; t->buf[t->len + 1] = 0; }
  t->len++;
}

static void icl__line_put(icl__line *t, const char *s) { while (*s) icl__line_char(t, *s++); }

static void icl__line_digits(icl__line *t, unsigned long n)
{
  unsigned long p = 1;
  while (n / p >= 10) p *= 10;
  for (; p; p /= 10) icl__line_char(t, (char)('0' + n / p % 10));
}

/* m 10^x for m of n digits, as people write it. */
static void icl__line_decimal(icl__line *t, unsigned long m, int n, int x)
{
  unsigned long p = 1;
  int i;
  for (i = 0; i < -x && i < n; i++) p *= 10;
  if (n + x > 9 || n + x < -3) {
    icl__line_digits(t, m);
    icl__line_put(t, x < 0 ? "e-" : "e");
    icl__line_digits(t, (unsigned long)(x < 0 ? -x : x));
    return;
  }
  icl__line_digits(t, m / p);
  for (i = 0; i < x; i++) icl__line_char(t, '0');
  if (x < 0) icl__line_char(t, '.');
  for (i = n; i < -x; i++) icl__line_char(t, '0');
  for (m %= p, p /= 10; p && x < 0; p /= 10) icl__line_char(t, (char)('0' + m / p % 10));
}

/* The fewest digits that read back as v. */
static void icl__line_number(icl__line *t, float v)
{
  double a = (double)(v < 0 ? -v : v), m;
  int top = 0, n = 0, x;
  if (v != v) { icl__line_put(t, "NaN"); return; }
  if (v < 0) icl__line_char(t, '-');
  if (a > 3.5e38) { icl__line_put(t, "infinity"); return; }
  if (!(a > 0)) { icl__line_char(t, '0'); return; }
  while (a >= icl__scale10(1, top + 1)) top++;
  while (a < icl__scale10(1, top)) top--;
  do {
    x = top - n++;
    m = floor(icl__scale10(a, -x) + 0.5);
  } while (n < 9 && (float)icl__scale10(m, x) != (float)a);
  while (fmod(m, 10) < 0.5) { m /= 10; x++; }
  for (n = 1; m >= icl__scale10(1, n); n++) {}
  icl__line_decimal(t, (unsigned long)m, n, x);
}

/* ---------------------------------------------------------------------------------------------
 * >>tasks
 * The parser walks the text once, without recursion: the parents of the open node are its stack.
 * ------------------------------------------------------------------------------------------- */
typedef struct icl__spec {
  const char *text;
  size_t at;                       /* next character                                          */
  icl_task *t;
  icl_report *report;
  int open;                        /* node whose parentheses are open, -1 for none            */
  int operand;                     /* which of its classes comes next                         */
  int last;                        /* node of the last item, -1 if that was an argument       */
  int plus;                        /* 1: + came before the next item, which is a term         */
  int bare;                        /* 1: the last item is a name so far, "(" may follow       */
} icl__spec;

static int icl__is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static int icl__is_name(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || icl__is_digit(c) || c == '_';
}

static size_t icl__name_length(const char *s)
{
  size_t n = 0;
  if (icl__is_digit(s[0])) return 0;
  while (icl__is_name(s[n])) n++;
  return n;
}

static int icl__same_name(const char *name, const char *s, size_t n)
{
  return name && strlen(name) == n && !memcmp(name, s, n);
}

/* The character after any spaces. */
static char icl__spec_next(icl__spec *s)
{
  while (icl__is_space(s->text[s->at])) s->at++;
  return s->text[s->at];
}

/* Reports the word, or else the character, at `at`. */
static icl_error icl__spec_fail(const icl__spec *s, size_t at, const char *what)
{
  const char *word = s->text + at;
  size_t n = 0;
  while (word[n] && !icl__is_space(word[n]) && !strchr("()+*,=", word[n])) n++;
  if (!n && !word[0]) return icl__fail(s->report, ICL_ERR_CONFIG, at, what, "the end");
  return icl__fail_n(s->report, ICL_ERR_CONFIG, at, what, word, n ? n : 1);
}

/* Letters to insert, drop or change to get from a[n] to b (Levenshtein). */
static int icl__name_distance(const char *a, size_t n, const char *b)
{
  int row[32];
  size_t i, j;
  if (n > 31) n = 31;
  for (i = 0; i <= n; i++) row[i] = (int)i;
  for (j = 0; b[j]; j++) {
    int corner = row[0]++;
    for (i = 0; i < n; i++) {
      int change = corner + (a[i] != b[j]);
      corner = row[i + 1];
      if (row[i + 1] > row[i]) row[i + 1] = row[i];
      row[i + 1] = row[i + 1] + 1 < change ? row[i + 1] + 1 : change;
    }
  }
  return row[n];
}

/* An unknown class: names the one that is probably meant. */
static icl_error icl__spec_unknown(const icl__spec *s, size_t n)
{
  char what[96];
  icl__line text = icl__line_on(what, sizeof what);
  int i, best = -1, distance = 3, all = ICL__N_CLASSES + s->t->n_own;
  for (i = 0; i < all; i++) {
    int e = icl__name_distance(s->text + s->at, n, icl__task_class(s->t, i)->name);
    if (e < distance && 2 * e < (int)n) { distance = e; best = i; }
  }
  icl__line_put(&text, best < 0 ? "unknown class (icl tasks lists them):"
                                : "unknown class; perhaps ");
  if (best >= 0) {
    icl__line_put(&text, icl__task_class(s->t, best)->name);
    icl__line_put(&text, ", not");
  }
  return icl__spec_fail(s, s->at, what);
}

/* Row of the class called s->text[at..at+n), -1 if there is none. */
static int icl__spec_kind(const icl__spec *s, size_t n)
{
  int i;
  for (i = 0; i < ICL__N_CLASSES + s->t->n_own; i++)
    if (icl__same_name(icl__task_class(s->t, i)->name, s->text + s->at, n)) return i;
  return -1;
}

/* A new node of this kind at the current place, all arguments at their defaults. */
static icl_error icl__spec_add(icl__spec *s, int kind, float weight, size_t at)
{
  icl_task_node *n = &s->t->node[s->t->n_nodes];
  int i;
  if (s->t->n_nodes == ICL_MAX_TASK_NODES)
    return icl__fail(s->report, ICL_ERR_LIMIT, at, "a task of more than 96 names", NULL);
  memset(n, 0, sizeof *n);
  n->kind = kind;
  n->parent = s->open;
  n->operand = s->operand;
  n->weight = weight;
  n->at = at;
  for (i = 0; i < ICL_MAX_ARGS; i++) n->arg[i] = icl__task_class(s->t, kind)->arg[i].value;
  s->last = s->t->n_nodes++;
  s->bare = 1;
  return ICL_OK;
}

/* term = [ number "*" ] name */
static icl_error icl__spec_term(icl__spec *s)
{
  double weight = 1;
  size_t n = icl__read_number(&weight, s->text + s->at), at;
  int kind;
  if (n) {
    if (!((float)weight > 0) || weight > 1e9)
      return icl__spec_fail(s, s->at, "a weight must be above 0 and at most 1e9, not");
    s->at += n;
    if (icl__spec_next(s) != '*')
      return icl__spec_fail(s, s->at, "expected * after a weight, not");
    s->at++;
    icl__spec_next(s);
  }
  at = s->at;
  n = icl__name_length(s->text + at);
  if (!n) return icl__spec_fail(s, at, "expected a class, not");
  kind = icl__spec_kind(s, n);
  if (kind < 0) return icl__spec_unknown(s, n);
  if (s->open >= 0 && s->operand >= icl__kind_operands(s->t->node[s->open].kind))
    return icl__spec_fail(s, at, "one class too many:");
  s->at += n;
  return icl__spec_add(s, kind, (float)weight, at);
}

/* "nnz must be a whole number from 0 to 20, not 'x'" */
static icl_error icl__spec_range(const icl__spec *s, const icl_class_arg *a, float max)
{
  char what[96];
  icl__line text = icl__line_on(what, sizeof what);
  icl__line_put(&text, a->name);
  icl__line_put(&text, a->whole ? " must be a whole number from " : " must be a number from ");
  icl__line_number(&text, a->min);
  icl__line_put(&text, " to ");
  icl__line_number(&text, max);
  icl__line_put(&text, ", not");
  return icl__spec_fail(s, s->at, what);
}

static int icl__arg_ok(const icl_class_arg *a, float v, float max)
{
  return v >= a->min && v <= max && (!a->whole || floorf(v) == v);
}

static float icl__arg_max(const icl_class_arg *a, int n_dims)
{
  return a->max < 0 && a->min >= 0 ? (float)n_dims : a->max;
}

/* "sparse has no argument 'x'" */
static icl_error icl__spec_no_arg(const icl__spec *s)
{
  char what[96];
  icl__line text = icl__line_on(what, sizeof what);
  icl__line_put(&text, icl__task_class(s->t, s->t->node[s->open].kind)->name);
  icl__line_put(&text, " has no argument");
  return icl__spec_fail(s, s->at, what);
}

/* [ ".." number ] after argument i of a node: a range, which must rise. */
static icl_error icl__spec_range_end(icl__spec *s, icl_task_node *node, int i)
{
  const icl_class_arg *a = &icl__task_class(s->t, node->kind)->arg[i];
  float max = icl__arg_max(a, s->t->n_dims);
  double v = 0;
  size_t n;
  icl__spec_next(s);
  if (strncmp(s->text + s->at, "..", 2)) return ICL_OK;
  if (node->kind == ICL__CONVEX)
    return icl__spec_fail(s, s->at, "alpha cannot be a range; leave it out:");
  s->at += 2;
  icl__spec_next(s);
  n = icl__read_number(&v, s->text + s->at);
  if (!n || !icl__arg_ok(a, (float)v, max)) return icl__spec_range(s, a, max);
  if (!((float)v > node->arg[i])) return icl__spec_fail(s, s->at, "a range must rise:");
  s->at += n;
  node->high[i] = (float)v;
  node->ranged |= 1u << i;
  return ICL_OK;
}

/* item = name[n] "=" number [ ".." number ], an argument of the open node. */
static icl_error icl__spec_arg(icl__spec *s, size_t n)
{
  icl_task_node *node = &s->t->node[s->open];
  const icl_class_arg *a = icl__task_class(s->t, node->kind)->arg;
  double v = 0;
  float max;
  int i = 0;
  while (i < ICL_MAX_ARGS && !icl__same_name(a[i].name, s->text + s->at, n)) i++;
  if (i == ICL_MAX_ARGS) return icl__spec_no_arg(s);
  if (node->given >> i & 1) return icl__spec_fail(s, s->at, "given twice:");
  s->at += n;
  icl__spec_next(s);
  s->at++;
  icl__spec_next(s);
  n = icl__read_number(&v, s->text + s->at);
  max = icl__arg_max(&a[i], s->t->n_dims);
  if (!n || !icl__arg_ok(&a[i], (float)v, max)) return icl__spec_range(s, &a[i], max);
  s->at += n;
  node->arg[i] = (float)v;
  node->given |= 1u << i;
  s->last = -1;
  s->bare = 0;
  return icl__spec_range_end(s, node, i);
}

/* item: an argument if a name and "=" come next, otherwise a term. */
static icl_error icl__spec_item(icl__spec *s)
{
  size_t n, after;
  icl__spec_next(s);
  n = after = icl__name_length(s->text + s->at);
  while (icl__is_space(s->text[s->at + after])) after++;
  if (n && s->open >= 0 && !s->plus && s->text[s->at + after] == '=') return icl__spec_arg(s, n);
  return icl__spec_term(s);
}

/* A node is complete: noisy without a class is noisy dense, the others need all of theirs. */
static icl_error icl__spec_close(icl__spec *s, int i)
{
  icl_task *t = s->t;
  int j, kind = t->node[i].kind, have = 0;
  for (j = i + 1; j < t->n_nodes; j++)
    if (t->node[j].parent == i) have = t->node[j].operand + 1;
  if (kind == ICL__NOISY && !have) {
    icl_error e;
    s->open = i;
    s->operand = 0;
    e = icl__spec_add(s, ICL__DENSE, 1, t->node[i].at);
    if (e) return e;
    have = 1;
  }
  s->open = t->node[i].parent;
  s->operand = t->node[i].operand;
  s->last = i;
  s->bare = 0;
  if (have < icl__kind_operands(kind))
    return icl__spec_fail(s, t->node[i].at, have ? "one more class is wanted by" : "no class in");
  return ICL_OK;
}

/* "(" after a name: its items follow, or none. */
static icl_error icl__spec_open(icl__spec *s, int *more)
{
  s->at++;
  s->open = s->last;
  s->operand = 0;
  s->bare = 0;
  s->last = -1;
  *more = icl__spec_next(s) != ')';
  return ICL_OK;
}

/* One sign between items.  *more: an item must follow.  *done: the text has ended. */
static icl_error icl__spec_sign(icl__spec *s, int *more, int *done)
{
  char c = icl__spec_next(s);
  icl_error e = ICL_OK;
  *more = 0;
  *done = 0;
  s->plus = 0;
  if (c == '(' && s->bare) return icl__spec_open(s, more);
  if (s->bare) e = icl__spec_close(s, s->last);
  if (e) return e;
  if (c == ')' && s->open >= 0) {
    s->at++;
    return icl__spec_close(s, s->open);
  }
  if (!c && s->open < 0) { *done = 1; return ICL_OK; }
  *more = 1;
  if (c == '+' && s->last >= 0) { s->plus = 1; s->at++; return ICL_OK; }
  if (c != ',' || s->open < 0)
    return icl__spec_fail(s, s->at, s->open < 0 ? "expected +, not" : "expected , or ), not");
  s->at++;
  if (s->last >= 0) s->operand++;
  return ICL_OK;
}

static icl_error icl__spec_read(icl__spec *s)
{
  int more = 1, done = 0;
  while (!done) {
    icl_error e = more ? icl__spec_item(s) : ICL_OK;
    if (!e) e = icl__spec_sign(s, &more, &done);
    if (e) return e;
  }
  return ICL_OK;
}

/* Sums of weights; a mixture of one is no mixture. */
static void icl__task_weigh(icl_task *t)
{
  int i, j, count;
  for (i = 0; i < t->n_nodes; i++) {
    icl_task_node *n = &t->node[i];
    n->first = 1;
    for (count = 0, j = 0; j < t->n_nodes; j++)
      if (t->node[j].parent == n->parent && t->node[j].operand == n->operand) {
        if (j < i) n->first = 0;
        n->total += t->node[j].weight;
        count++;
      }
    if (count == 1) n->weight = n->total = 1;
  }
}

static icl_class_call icl__node_call(const icl_task *t, const icl_task_node *n, int dims_active)
{
  icl_class_call c;
  memcpy(c.arg, n->arg, sizeof c.arg);
  c.n_dims = t->n_dims;
  c.dims_active = dims_active;
  c.user = icl__task_class(t, n->kind)->user;
  return c;
}

/* A drawn function is f[0] = term of the outermost sum, f[1] = standard deviation of the noise,
 * f[2], f[4] = 1 for heavy tails, for outliers, f[3] = 1 / unit of y for noise that grows with |f|,
 * f[ICL__F_HEAD + i] = factor of node i, and then the thetas; of a node with ranges its arguments
 * stand before its theta. */
enum { ICL__F_TAILS = 2, ICL__F_HETERO, ICL__F_OUTLIERS, ICL__F_HEAD };

/* The arguments of node i in a drawn function. */
static const float *icl__drawn_args(const float *f, const icl_task_node *n)
{
  return n->ranged ? f + n->theta - ICL_MAX_ARGS : n->arg;
}

/* The floats of node n's function, the most that any ends of its ranges ask for; -1 where two of
 * them contradict each other. */
static int icl__node_size(const icl_task *t, const icl_task_node *n)
{
  const icl_class *c = icl__task_class(t, n->kind);
  int size = 0, one, j;
  unsigned high;
  for (high = 0; c->n_theta && high < 1u << ICL_MAX_ARGS; high++) {
    icl_class_call call = icl__node_call(t, n, t->n_dims);
    if (high & ~n->ranged) continue;
    for (j = 0; j < ICL_MAX_ARGS; j++) if (high >> j & 1) call.arg[j] = n->high[j];
    one = c->n_theta(&call);
    if (one < 0) return -1;
    if (one > size) size = one;
  }
  return size;
}

/* Places the parts of a drawn function. */
static icl_error icl__task_place(icl__spec *s)
{
  icl_task *t = s->t;
  int i, j;
  t->n_floats = ICL__F_HEAD + (size_t)t->n_nodes;
  for (i = 0; i < t->n_nodes; i++) {
    icl_task_node *n = &t->node[i];
    const icl_class *c = icl__task_class(t, n->kind);
    int size;
    for (j = 0; j < ICL_MAX_ARGS && c->arg[j].name; j++)
      if (!icl__arg_ok(&c->arg[j], n->arg[j], icl__arg_max(&c->arg[j], t->n_dims)))
        return icl__spec_fail(s, n->at, "too few inputs for the defaults of");
    if (n->ranged) t->n_floats += ICL_MAX_ARGS;
    size = icl__node_size(t, n);
    if (size < 0) return icl__spec_fail(s, n->at, "the arguments contradict each other:");
    if ((size_t)size > ((size_t)1 << 26) - t->n_floats)
      return icl__fail(s->report, ICL_ERR_LIMIT, n->at, "a function too large to draw", NULL);
    n->theta = t->n_floats;
    t->n_floats += (size_t)size;
  }
  return ICL_OK;
}

/* A name, and a default between min and max, which may be infinite. */
static int icl__own_arg_ok(const icl_class_arg *a)
{
  return a->name[0] && !a->name[icl__name_length(a->name)] && a->min <= a->value
      && (a->max == ICL_AT_MOST_DIMS || a->value <= a->max);
}

/* The caller's rows must be complete and have names of their own. */
static icl_error icl__own_check(const icl_class *own, int n, icl_report *r)
{
  int i, j;
  for (i = 0; i < n; i++) {
    const char *name = own[i].name;
    if (!name || !name[0] || name[icl__name_length(name)])
      return icl__fail(r, ICL_ERR_ARG, 0, "own class with a bad name", name);
    if (!own[i].n_theta || !own[i].draw || !own[i].eval)
      return icl__fail(r, ICL_ERR_ARG, 0, "own class lacks a function:", name);
    for (j = 0; j < ICL_MAX_ARGS && own[i].arg[j].name; j++)
      if (!icl__own_arg_ok(&own[i].arg[j]))
        return icl__fail(r, ICL_ERR_ARG, 0, "own class with a bad argument:", own[i].arg[j].name);
    for (j = 0; j < ICL__N_CLASSES + i; j++)
      if (!strcmp(name, j < ICL__N_CLASSES ? icl__classes[j].name : own[j - ICL__N_CLASSES].name))
        return icl__fail(r, ICL_ERR_ARG, 0, "own class with a name that is taken:", name);
  }
  return ICL_OK;
}

icl_error icl_task_parse(icl_task *t, const char *text, int n_dims, const icl_class *own, int n_own,
                         icl_report *r)
{
  icl_task task;
  icl__spec s;
  icl_error e;
  if (!t || !text || n_own < 0 || (n_own && !own))
    return icl__fail(r, ICL_ERR_ARG, 0, "icl_task_parse: NULL", NULL);
  if (n_dims < 1 || n_dims > 4096)
    return icl__fail(r, ICL_ERR_ARG, 0, "n_dims must be from 1 to 4096", NULL);
  e = icl__own_check(own, n_own, r);
  if (e) return e;
  memset(&task, 0, sizeof task);
  memset(&s, 0, sizeof s);
  task.n_dims = n_dims;
  task.own = own;
  task.n_own = n_own;
  s.text = text;
  s.t = &task;
  s.report = r;
  s.open = -1;
  e = icl__spec_read(&s);
  if (!e) icl__task_weigh(&task);
  if (!e) e = icl__task_place(&s);
  if (e) return e;
  *t = task;
  return icl__ok(r);
}

/* The arguments and the closing parenthesis of node i; empty: "(" is not written yet.  An alpha
 * that is drawn is left out. */
static void icl__print_close(icl__line *text, const icl_task *t, int i, int empty)
{
  const icl_task_node *n = &t->node[i];
  const icl_class *c = icl__task_class(t, n->kind);
  int j;
  for (j = 0; j < ICL_MAX_ARGS && c->arg[j].name; j++) {
    if (n->kind == ICL__CONVEX && !n->given) continue;
    if (n->kind == ICL__NOISY && j > 1 && !(n->given >> j & 1)) continue;
    icl__line_put(text, empty ? "(" : ", ");
    icl__line_put(text, c->arg[j].name);
    icl__line_char(text, '=');
    icl__line_number(text, n->arg[j]);
    if (n->ranged >> j & 1) { icl__line_put(text, ".."); icl__line_number(text, n->high[j]); }
    empty = 0;
  }
  if (!empty) icl__line_char(text, ')');
}

/* What stands between node i - 1 and node i. */
static void icl__print_between(icl__line *text, const icl_task *t, int i)
{
  int j, parent = t->node[i].parent;
  for (j = i - 1; j != parent; j = t->node[j].parent) icl__print_close(text, t, j, j == i - 1);
  if (i == 0) return;
  if (parent == i - 1) icl__line_char(text, '(');
  else icl__line_put(text, t->node[i].first ? ", " : " + ");
}

size_t icl_task_print(const icl_task *t, char *buf, size_t size)
{
  icl__line text = icl__line_on(buf, buf ? size : 0);
  int i;
  if (!t) return 0;
  for (i = 0; i < t->n_nodes; i++) {
    const icl_task_node *n = &t->node[i];
    icl__print_between(&text, t, i);
    if (n->weight != 1) {
      icl__line_number(&text, n->weight);
      icl__line_char(&text, '*');
    }
    icl__line_put(&text, icl__task_class(t, n->kind)->name);
  }
  for (i = t->n_nodes - 1; i >= 0; i = t->node[i].parent)
    icl__print_close(&text, t, i, i == t->n_nodes - 1);
  return text.len;
}

int icl_task_terms(const icl_task *t)
{
  int i, n = 0;
  for (i = 0; t && i < t->n_nodes; i++) n += t->node[i].parent < 0;
  return n;
}

float icl_task_weight(const icl_task *t, int i)
{
  int j;
  for (j = 0; t && i >= 0 && j < t->n_nodes; j++)
    if (t->node[j].parent < 0 && i-- == 0) return t->node[j].weight / t->node[j].total;
  return 0;
}

/* ---------------------------------------------------------------------------------------------
 * >>prompts
 * Mixtures choose, and noisy, convex and garg only multiply and add.  So whatever the task, a drawn
 * function is a sum of its classes' functions, each with a factor, and one Gaussian noise.
 * ------------------------------------------------------------------------------------------- */
size_t icl_prompt_scratch(const icl_task *t) { return t ? t->n_floats : 0; }

/* The name of a choice or flag of s that is out of range, NULL where all are in it. */
static const char *icl__sampling_bad(const icl_sampling *s)
{
  return (unsigned)s->inputs > ICL_INPUTS_DATA ? "inputs" : (unsigned)s->order > 1 ? "order"
       : (unsigned)s->standardize > 1 ? "standardize" : NULL;
}

/* opt with its zeros replaced by what they mean. */
static icl_error icl__sampling_of(icl_sampling *s, const icl_task *t, const icl_sampling *opt)
{
  float scale[2];
  memset(s, 0, sizeof *s);
  if (!t || t->n_nodes < 1) return ICL_ERR_ARG;
  if (opt) *s = *opt;
  scale[0] = s->x_scale;
  scale[1] = s->y_scale;
  if (s->dims_active < 0 || s->dims_active > t->n_dims || !icl__finite(scale, 2)
      || icl__sampling_bad(s)) return ICL_ERR_ARG;
  if (!s->dims_active) s->dims_active = t->n_dims;
  if (s->x_scale == 0) s->x_scale = 1;
  if (s->y_scale == 0) s->y_scale = 1;
  return ICL_OK;
}

/* Picks a term of the mixture that node i begins, with probability weight / total. */
static int icl__choose(const icl_task *t, int i, icl_rng *rng)
{
  const icl_task_node *first = &t->node[i];
  int j, chosen = i;
  float u;
  if (!(first->total > first->weight)) return i;
  u = icl_rng_uniform(rng) * first->total;
  for (j = i; j < t->n_nodes; j++) {
    if (t->node[j].parent != first->parent || t->node[j].operand != first->operand) continue;
    chosen = j;
    if (u < t->node[j].weight) break;
    u -= t->node[j].weight;
  }
  return chosen;
}

/* What a drawing knows of each node. */
typedef struct icl__drawn {
  int chosen;                      /* 1: part of the function                                 */
  float alpha;                     /* convex: share of the first class                        */
  float scale;                     /* Garg's, of the first class drawn inside                 */
} icl__drawn;

/* Draws the ranged arguments of node n into f; returns the call of its class. */
static icl_class_call icl__draw_args(float *f, const icl_task *t, const icl_task_node *n,
                                     int dims_active, icl_rng *rng)
{
  icl_class_call call = icl__node_call(t, n, dims_active);
  const icl_class_arg *a = icl__task_class(t, n->kind)->arg;
  int j;
  if (!n->ranged) return call;
  for (j = 0; j < ICL_MAX_ARGS; j++) {
    float low = n->arg[j], high = n->high[j], u;
    if (!(n->ranged >> j & 1)) continue;
    u = icl_rng_uniform(rng);
    if (a[j].whole) call.arg[j] = low + floorf(u * (high - low + 1));
    else if (low > 0) call.arg[j] = low * icl__expf(u * icl__logf(high / low));
    else call.arg[j] = low + u * (high - low);
    if (call.arg[j] > high) call.arg[j] = high;
  }
  memcpy(f + n->theta - ICL_MAX_ARGS, call.arg, sizeof call.arg);
  return call;
}

/* Chooses terms and draws their numbers, from the outside in. */
static void icl__draw_nodes(float *f, icl__drawn *w, const icl_task *t, int dims_active,
                            icl_rng *rng)
{
  int i;
  for (i = 0; i < t->n_nodes; i++) {
    const icl_task_node *n = &t->node[i];
    const icl_class *c = icl__task_class(t, n->kind);
    icl_class_call call;
    if (n->first && (n->parent < 0 || w[n->parent].chosen)) w[icl__choose(t, i, rng)].chosen = 1;
    if (!w[i].chosen) continue;
    call = icl__draw_args(f, t, n, dims_active, rng);
    w[i].alpha = n->arg[0];
    if (n->kind == ICL__CONVEX && !n->given) w[i].alpha = icl_rng_uniform(rng);
    if (c->draw) c->draw(f + n->theta, &call, rng);
    w[i].scale = c->garg_scale ? c->garg_scale(&call) : 1.0f;
  }
  for (i = t->n_nodes - 1; i > 0; i--)
    if (w[i].chosen && t->node[i].parent >= 0) w[t->node[i].parent].scale = w[i].scale;
}

/* noisy: the factor on what is inside, of its arguments. */
static float icl__noisy_factor(const float *arg)
{
  return arg[1] > 0 ? 1 / sqrtf(1 + arg[0] * arg[0]) : 1.0f;
}

/* The factor that node i's parent puts on it. */
static float icl__factor_inside(const float *f, const icl_task *t, const icl__drawn *w, int i)
{
  int p = t->node[i].parent;
  switch (t->node[p].kind) {
    case ICL__NOISY:  return icl__noisy_factor(icl__drawn_args(f, &t->node[p]));
    case ICL__CONVEX: return t->node[i].operand ? 1 - w[p].alpha : w[p].alpha;
    default:          return w[p].scale;
  }
}

/* The standard deviation of the noise of a noisy node, and in f what kind of noise it is.  outer:
 * the unit that its values have from outside. */
static float icl__draw_noise(float *f, const icl_task_node *n, float outer, icl_rng *rng)
{
  const float *arg = icl__drawn_args(f, n);
  int j;
  for (j = 0; j < 3; j++)
    if (arg[3 + j] > 0 && icl__chance(rng, arg[3 + j]))
      f[ICL__F_TAILS + j] = ICL__F_TAILS + j == ICL__F_HETERO ? 1 / fabsf(outer) : 1;
  return arg[2] < 1 && !icl__chance(rng, arg[2]) ? 0 : arg[0];
}

/* f[ICL__F_HEAD + i] = factor on node i; f[1], the standard deviation of the noises together. */
static void icl__draw_factors(float *f, const icl__drawn *w, const icl_task *t, float y_scale,
                              icl_rng *rng)
{
  float variance = 0;
  int i;
  memset(f + ICL__F_TAILS, 0, 3 * sizeof *f);
  for (i = 0; i < t->n_nodes; i++) {
    const icl_task_node *n = &t->node[i];
    float *factor = &f[ICL__F_HEAD + i];
    *factor = n->parent < 0 ? y_scale
                            : f[ICL__F_HEAD + n->parent] * icl__factor_inside(f, t, w, i);
    if (!w[i].chosen) *factor = 0;
    if (n->kind == ICL__NOISY && w[i].chosen) {
      float sd = *factor * icl__noisy_factor(icl__drawn_args(f, n)), outer = y_scale;
      int p;
      for (p = n->parent; p >= 0; p = t->node[p].parent)
        if (t->node[p].kind == ICL__GARG) outer *= w[p].scale;
      sd *= icl__draw_noise(f, n, outer, rng);
      variance += sd * sd;
    }
  }
  f[1] = sqrtf(variance);
}

icl_error icl_function_draw(float *f, const icl_task *t, const icl_sampling *opt, icl_rng *rng)
{
  icl__drawn w[ICL_MAX_TASK_NODES];
  icl_sampling s;
  int i, term = 0;
  if (!f || !rng || icl__sampling_of(&s, t, opt)) return ICL_ERR_ARG;
  memset(w, 0, sizeof w);
  icl__draw_nodes(f, w, t, s.dims_active, rng);
  icl__draw_factors(f, w, t, s.y_scale, rng);
  for (i = 0; i < t->n_nodes; i++) {
    if (t->node[i].parent >= 0) continue;
    if (w[i].chosen) f[0] = (float)term;
    term++;
  }
  return ICL_OK;
}

float icl_function_eval(const float *f, const float *x, const icl_task *t)
{
  float y = 0;
  int i;
  if (!f || !x || !t) return 0;
  for (i = 0; i < t->n_nodes; i++) {
    const icl_task_node *n = &t->node[i];
    const icl_class *c = icl__task_class(t, n->kind);
    if (c->eval && f[ICL__F_HEAD + i] != 0) {
      icl_class_call call = icl__node_call(t, n, t->n_dims);
      if (n->ranged) memcpy(call.arg, icl__drawn_args(f, n), sizeof call.arg);
      y += f[ICL__F_HEAD + i] * c->eval(f + n->theta, x, &call);
    }
  }
  return y;
}

float icl_function_noise(const float *f) { return f ? f[1] : 0; }
int icl_function_class(const float *f) { return f ? (int)f[0] : 0; }

/* Student's t of 3 degrees, whose variance is 3. */
static float icl__tailed(icl_rng *rng)
{
  float n = icl_rng_normal(rng), g = 0, v;
  int i;
  for (i = 0; i < 3; i++) { v = icl_rng_normal(rng); g += v * v; }
  return n / sqrtf(g / 3 + 1e-3f);
}

/* y = f(x) with its noise. */
static float icl__noise(const float *f, float y, icl_rng *rng)
{
  float sd = f[1], e;
  if (!(sd > 0)) return y;
  e = f[ICL__F_TAILS] > 0 ? icl__tailed(rng) : icl_rng_normal(rng);
  if (f[ICL__F_HETERO] > 0) e *= f[ICL__F_HETERO] * fabsf(y) + 0.1f;
  if (f[ICL__F_OUTLIERS] > 0 && icl__chance(rng, 0.05f))
    e += (icl_rng_below(rng, 2) ? 1.0f : -1.0f) * (3 + 7 * icl_rng_uniform(rng));
  return y + sd * e;
}

static float icl__label(const float *f, const float *x, const icl_task *t, icl_rng *rng)
{
  return icl__noise(f, icl_function_eval(f, x, t), rng);
}

/* x[d]: the active inputs, and zeros. */
static void icl__draw_x(float *x, const icl_sampling *s, int d, icl_rng *rng)
{
  int i;
  for (i = 0; i < s->dims_active; i++)
    x[i] = s->x_scale * (s->inputs ? 3.46410162f * (icl_rng_uniform(rng) - 0.5f)
                                   : icl_rng_normal(rng));
  for (; i < d; i++) x[i] = 0;
}

/* ----- prompts as people's data are ----------------------------------------------------------- */

/* One input, xs[n] `stride` apart, from a distribution that data have. */
static void icl__draw_column(float *xs, size_t stride, int n, icl_rng *rng)
{
  float q = icl_rng_uniform(rng), centre[8], s;
  int i, m, sign = icl_rng_below(rng, 2) ? 1 : -1;
  if (q < 0.55f) {                                           /* normal, uniform */
    for (i = 0; i < n; i++)
      xs[(size_t)i * stride] = q < 0.25f ? icl_rng_normal(rng) : icl_rng_uniform(rng);
  } else if (q < 0.65f) {                                    /* a grid */
    for (i = 0; i < n; i++) xs[(size_t)i * stride] = (float)i;
    for (i = n - 1; i > 0; i--) {
      size_t j = (size_t)icl_rng_below(rng, i + 1);
      float t = xs[(size_t)i * stride];
      xs[(size_t)i * stride] = xs[j * stride];
      xs[j * stride] = t;
    }
  } else if (q < 0.8f) {                                     /* lognormal, either way round */
    s = 0.3f + icl_rng_uniform(rng);
    for (i = 0; i < n; i++)
      xs[(size_t)i * stride] = (float)sign * icl__expf(s * icl_rng_normal(rng));
  } else if (q < 0.9f) {                                     /* clusters */
    m = 2 + icl_rng_below(rng, 4);
    s = icl__log_uniform(rng, 0.02f, 0.3f);
    icl__draw_normals(centre, m, 1, rng);
    for (i = 0; i < n; i++)
      xs[(size_t)i * stride] = centre[icl_rng_below(rng, m)] + s * icl_rng_normal(rng);
  } else {                                                   /* levels, even or in a ratio */
    m = 4 + icl_rng_below(rng, 5);
    s = icl_rng_below(rng, 2) ? 0.6f : 0;
    for (i = 0; i < m; i++) centre[i] = s > 0 ? icl__expf(s * (float)i) : (float)i;
    for (i = 0; i < n; i++) xs[(size_t)i * stride] = centre[icl_rng_below(rng, m)];
  }
}

enum { ICL__FACTORS = 4 };

/* How one of several inputs is made from the common factors. */
typedef struct icl__column {
  int kind;                        /* 0 as it is, 1 skewed, 2 binary, 3 ordinal, 4 bounded,   */
                                   /*   5 constant                                            */
  float load[ICL__FACTORS], own;   /* weights of the factors and of noise of its own; norm 1   */
  float at, skew;                  /* threshold; spread of the logarithm, with a sign          */
} icl__column;

static icl__column icl__draw_column_kind(int factors, float load, icl_rng *rng)
{
  icl__column c;
  float q = icl_rng_uniform(rng), norm;
  int i;
  memset(&c, 0, sizeof c);
  c.kind = q < 0.48f ? 0 : q < 0.7f ? 1 : q < 0.82f ? 2 : q < 0.89f ? 3 : q < 0.98f ? 4 : 5;
  c.own = icl__log_uniform(rng, 0.3f, 1);
  c.at = 0.7f * icl_rng_normal(rng);
  c.skew = (icl__chance(rng, 0.8f) ? 1.0f : -1.0f) * (0.3f + 0.7f * icl_rng_uniform(rng));
  for (norm = c.own * c.own, i = 0; i < factors; i++) {
    c.load[i] = load * icl_rng_normal(rng) / sqrtf((float)factors);
    norm += c.load[i] * c.load[i];
  }
  norm = 1 / sqrtf(norm);
  c.own *= norm;
  for (i = 0; i < factors; i++) c.load[i] *= norm;
  return c;
}

/* One value of the input, from z[ICL__FACTORS]. */
static float icl__column_value(const icl__column *c, const float *z, icl_rng *rng)
{
  float v = c->own * icl_rng_normal(rng) + icl__class_dot(c->load, z, ICL__FACTORS);
  switch (c->kind) {
    case 0:  return v;
    case 1:  return (c->skew < 0 ? -1.0f : 1.0f) * icl__expf(fabsf(c->skew) * v);
    case 2:  return v > c->at ? 1.0f : 0.0f;
    case 3:  return floorf(1.2f * v + c->at);
    case 4:  return icl__tanhf(1.2f * v);
    default: return 1;
  }
}

/* xs[n][d] as data have it; returns how many inputs there are, the others being 0.  Each column has
 * a generator of its own, so that columns can be drawn one by one. */
static int icl__draw_data_inputs(float *xs, int n, int d, int most, icl_rng *rng)
{
  int i, j, f, present = icl__chance(rng, 0.25f) ? most : 1 + icl_rng_below(rng, most);
  int factors = icl_rng_below(rng, ICL__FACTORS + 1);
  float load = icl__log_uniform(rng, 0.3f, 3), z[ICL__FACTORS];
  uint32_t key[2];
  memset(xs, 0, (size_t)n * (size_t)d * sizeof *xs);
  if (present == 1) { icl__draw_column(xs, (size_t)d, n, rng); return 1; }
  key[0] = icl_rng_u32(rng);
  key[1] = icl_rng_u32(rng);
  for (j = 0; j < present; j++) {
    icl__column c = icl__draw_column_kind(factors, load, rng);
    icl_rng common;
    icl_rng_init(&common, key[0] | (uint64_t)key[1] << 32, 0, 0);   /* the same factors */
    for (i = 0; i < n; i++) {
      for (f = 0; f < ICL__FACTORS; f++) z[f] = icl_rng_normal(&common);
      xs[(ptrdiff_t)i * d + j] = icl__column_value(&c, z, rng);
    }
  }
  return present;
}

static void icl__swap_rows(float *xs, int d, int a, int b)
{
  float *first = xs + (ptrdiff_t)a * d, *second = xs + (ptrdiff_t)b * d;
  int j;
  for (j = 0; j < d; j++) {
    float t = first[j];
    first[j] = second[j];
    second[j] = t;
  }
}

static void icl__shuffle_rows(float *xs, int d, int from, int to, icl_rng *rng)
{
  int i;
  for (i = to - 1; i > from; i--) icl__swap_rows(xs, d, i, from + icl_rng_below(rng, i - from + 1));
}

/* Sorts rows from .. to by x_j or, where centre is given, |x_j - *centre|; sign -1: falling. */
static void icl__sort_rows(float *xs, int d, int from, int to, int j, const float *centre,
                           float sign)
{
  float at = centre ? *centre : 0;
  int i, k, best;
  for (i = from; i < to; i++) {
    for (best = i, k = i + 1; k < to; k++) {
      float u = xs[(ptrdiff_t)k * d + j] - at, v = xs[(ptrdiff_t)best * d + j] - at;
      if (centre) { u = fabsf(u); v = fabsf(v); }
      if (sign * u < sign * v) best = k;
    }
    if (best != i) icl__swap_rows(xs, d, i, best);
  }
}

/* Orders rows from .. to by input j as somebody's file has them. */
static void icl__order_part(float *xs, int d, int from, int to, int j, icl_rng *rng)
{
  float q = icl_rng_uniform(rng), centre;
  int n = to - from, i, cut;
  if (q < 0.45f || n < 2) return;                            /* as drawn */
  if (q < 0.75f) {                                           /* rising, falling */
    icl__sort_rows(xs, d, from, to, j, NULL, q < 0.63f ? 1.0f : -1.0f);
  } else if (q < 0.9f) {                                     /* sorted blocks, in another order */
    icl__sort_rows(xs, d, from, to, j, NULL, 1);
    cut = 1 + icl_rng_below(rng, n - 1);
    for (i = 0; i < cut && i < n - cut; i++) icl__swap_rows(xs, d, from + i, from + cut + i);
  } else {                                                   /* nearest to one of them first */
    centre = xs[(ptrdiff_t)(from + icl_rng_below(rng, n)) * d + j];
    icl__sort_rows(xs, d, from, to, j, &centre, 1);
  }
}

/* The order of a prompt whose first k pairs are the context: the others lie inside of its range or,
 * in 3 of 10, beyond it. */
static void icl__order_rows(float *xs, int n, int d, int k, int present, icl_rng *rng)
{
  int j = icl_rng_below(rng, present), beyond = icl__chance(rng, 0.3f);
  if (beyond) {
    icl__sort_rows(xs, d, 0, n, j, NULL, icl_rng_below(rng, 2) ? 1.0f : -1.0f);
    if (icl__chance(rng, 0.6f)) icl__shuffle_rows(xs, d, 0, k, rng);
    if (icl__chance(rng, 0.5f)) icl__shuffle_rows(xs, d, k, n, rng);
  }
  icl__order_part(xs, d, 0, k, j, rng);
  if (!beyond && icl__chance(rng, 0.2f)) icl__order_part(xs, d, k, n, j, rng);
}

/* v[n], `stride` apart: minus mean, over standard deviation of the first k, within +-most.  drawn:
 * of a function, whose values differ by rounding alone where it is constant. */
static void icl__standardize_by(float *v, size_t stride, int n, int k, float most, int drawn)
{
  float mean, std;
  int i;
  icl__mean_std(&mean, &std, v, (size_t)k, stride);
  if (drawn && (std < 1e-6f * fabsf(mean) || std < 1e-12f)) std = 1;
  for (i = 0; i < n; i++, v += stride) {
    *v = (*v - mean) / std;
    *v = *v < -most ? -most : *v > most ? most : *v;
  }
}

/* How many pairs a prompt of n is standardized by. */
static int icl__draw_known(int n, icl_rng *rng)
{
  int least = n < 8 ? (n + 1) / 2 : 4, k = least + icl_rng_below(rng, n - least);
  return k < 1 ? 1 : k;
}

/* A prompt of n pairs with inputs, order or scale of data, the first k of which are the context:
 * all of x first, then f, then noise. */
static icl_error icl__sample_data(const icl_task *t, const icl_sampling *s, icl_rng *rng, int n,
                                  int k, float *xs, float *ys, float *f)
{
  int i, j, d = t->n_dims, present = s->dims_active;
  icl_sampling opt = *s;
  if (s->inputs == ICL_INPUTS_DATA) present = icl__draw_data_inputs(xs, n, d, present, rng);
  else for (i = 0; i < n; i++) icl__draw_x(xs + (ptrdiff_t)i * d, s, d, rng);
  if (s->order) icl__order_rows(xs, n, d, k, present, rng);
  for (j = 0; j < present && (s->standardize || s->inputs == ICL_INPUTS_DATA); j++)
    icl__standardize_by(xs + j, (size_t)d, n, s->standardize ? k : n, 8, 1);
  for (i = 0; i < n && s->inputs == ICL_INPUTS_DATA && !s->standardize; i++)
    for (j = 0; j < d; j++) xs[(ptrdiff_t)i * d + j] *= s->x_scale;
  opt.dims_active = present;
  if (s->standardize) opt.y_scale = 1;                       /* of noise too: it cancels out */
  if (icl_function_draw(f, t, &opt, rng)) return ICL_ERR_ARG;
  for (i = 0; i < n; i++) ys[i] = icl_function_eval(f, xs + (ptrdiff_t)i * d, t);
  if (s->standardize) icl__standardize_by(ys, 1, n, n, 1e6f, 1);
  for (i = 0; i < n; i++) ys[i] = icl__noise(f, ys[i], rng);
  if (s->standardize) icl__standardize_by(ys, 1, n, k, 6, 1);
  return ICL_OK;
}

/* icl_prompt_sample; of a prompt with order or scale the first `known` pairs are the context, or,
 * where that is 0, a number that is drawn. */
static icl_error icl__prompt_sample(const icl_task *t, const icl_sampling *opt, icl_rng *rng,
                                    int n_pairs, int known, float *xs, float *ys, int *class_drawn,
                                    float *scratch)
{
  icl_sampling s;
  size_t i, n = (size_t)n_pairs, d;
  if (n_pairs < 0 || !xs || !ys || !rng || !scratch || icl__sampling_of(&s, t, opt))
    return ICL_ERR_ARG;
  d = (size_t)t->n_dims;
  if (s.inputs == ICL_INPUTS_DATA || s.order || s.standardize) {
    if (n_pairs && !known) known = icl__draw_known(n_pairs, rng);
    if (n_pairs ? icl__sample_data(t, &s, rng, n_pairs, known, xs, ys, scratch)
                : icl_function_draw(scratch, t, opt, rng)) return ICL_ERR_ARG;
  } else {
    if (icl_function_draw(scratch, t, opt, rng)) return ICL_ERR_ARG;
    for (i = 0; i < n; i++) {
      icl__draw_x(xs + i * d, &s, t->n_dims, rng);
      ys[i] = icl__label(scratch, xs + i * d, t, rng);
    }
  }
  if (class_drawn) *class_drawn = icl_function_class(scratch);
  return icl__finite(xs, n * d) && icl__finite(ys, n) ? ICL_OK : ICL_ERR_NONFINITE;
}

icl_error icl_prompt_sample(const icl_task *t, const icl_sampling *opt, icl_rng *rng, int n_pairs,
                            float *xs, float *ys, int *class_drawn, float *scratch)
{
  return icl__prompt_sample(t, opt, rng, n_pairs, 0, xs, ys, class_drawn, scratch);
}

/* icl_prompt_own, with `known` as for icl__prompt_sample. */
static icl_error icl__prompt_own(icl_draw draw, void *user, const icl_sampling *opt, icl_rng *rng,
                                 int d, int n, int known, float *xs, float *ys)
{
  float scale[2] = {1, 1};
  size_t j;
  int i, k = known;
  if (!draw || !rng || d < 1 || n < 1 || !xs || !ys || (opt && (opt->inputs || opt->order)))
    return ICL_ERR_ARG;
  if (opt && (!icl__finite(&opt->x_scale, 1) || !icl__finite(&opt->y_scale, 1)))
    return ICL_ERR_ARG;
  if (opt && opt->x_scale > 0) scale[0] = opt->x_scale;
  if (opt && opt->y_scale > 0) scale[1] = opt->y_scale;
  if (draw(user, rng, d, n, xs, ys) || !icl__finite(xs, (size_t)n * (size_t)d)
      || !icl__finite(ys, (size_t)n)) return ICL_ERR_NONFINITE;
  if (opt && opt->standardize) {
    if (!k) k = icl__draw_known(n, rng);
    for (i = 0; i < d; i++) icl__standardize_by(xs + i, (size_t)d, n, k, 8, 0);
    icl__standardize_by(ys, 1, n, k, 6, 0);
    return ICL_OK;
  }
  for (j = 0; j < (size_t)n * (size_t)d; j++) xs[j] *= scale[0];
  for (i = 0; i < n; i++) ys[i] *= scale[1];
  return icl__finite(xs, j) && icl__finite(ys, (size_t)n) ? ICL_OK : ICL_ERR_NONFINITE;
}

icl_error icl_prompt_own(icl_draw draw, void *user, const icl_sampling *opt, icl_rng *rng, int d,
                         int n, float *xs, float *ys)
{
  return icl__prompt_own(draw, user, opt, rng, d, n, 0, xs, ys);
}

/* ----- sampling as text ----------------------------------------------------------------------- */

static const char *const icl__input_names[] = {"normal", "uniform", "data"};

size_t icl_sampling_print(const icl_sampling *opt, char *buf, size_t size)
{
  icl__line text = icl__line_on(buf, buf ? size : 0);
  if (!opt || icl__sampling_bad(opt)) return 0;
  if (opt->inputs) {
    icl__line_put(&text, "inputs=");
    icl__line_put(&text, icl__input_names[opt->inputs]);
  }
  if (opt->x_scale > 0 && (opt->x_scale < 1 || opt->x_scale > 1)) {
    icl__line_put(&text, text.len ? " x_scale=" : "x_scale=");
    icl__line_number(&text, opt->x_scale);
  }
  if (opt->y_scale > 0 && (opt->y_scale < 1 || opt->y_scale > 1)) {
    icl__line_put(&text, text.len ? " y_scale=" : "y_scale=");
    icl__line_number(&text, opt->y_scale);
  }
  if (opt->order) icl__line_put(&text, text.len ? " order=1" : "order=1");
  if (opt->standardize) icl__line_put(&text, text.len ? " standardize=1" : "standardize=1");
  return text.len;
}

/* One "key=value" of n characters. */
static int icl__sampling_word(icl_sampling *s, const char *word, size_t n)
{
  static const char *const keys[] = {"inputs=", "x_scale=", "y_scale=", "order=", "standardize="};
  size_t k = 0, at, i;
  double v = 0;
  while (k < 5 && strncmp(word, keys[k], strlen(keys[k]))) k++;
  if (k == 5) return 0;
  at = strlen(keys[k]);
  if (k == 0) {
    for (i = 0; i < 3; i++)
      if (icl__same_name(icl__input_names[i], word + at, n - at)) {
        s->inputs = (icl_input_kind)i;
        return 1;
      }
    return 0;
  }
  if (n == at || icl__read_number(&v, word + at) != n - at || !(v >= 0)) return 0;
  if (k == 1) s->x_scale = (float)v;
  else if (k == 2) s->y_scale = (float)v;
  else if (v > 1 || (v > 0 && v < 1)) return 0;
  else if (k == 3) s->order = (int)v;
  else s->standardize = (int)v;
  return 1;
}

icl_error icl_sampling_parse(icl_sampling *opt, const char *text)
{
  icl_sampling s;
  if (!opt || !text) return ICL_ERR_ARG;
  memset(&s, 0, sizeof s);
  while (*text) {
    size_t n = strcspn(text, " ");
    if (n && !icl__sampling_word(&s, text, n)) return ICL_ERR_CONFIG;
    text += n + (text[n] == ' ');
  }
  *opt = s;
  return ICL_OK;
}

icl_error icl_prompt_label(const icl_task *t, const icl_sampling *opt, icl_rng *rng, int n,
                           const float *xs, float *ys, int *class_drawn, float *scratch)
{
  int i;
  if (n < 0 || !xs || !ys || !t) return ICL_ERR_ARG;
  if (!icl__finite(xs, (size_t)n * (size_t)t->n_dims)) return ICL_ERR_NONFINITE;
  if (icl_function_draw(scratch, t, opt, rng)) return ICL_ERR_ARG;
  for (i = 0; i < n; i++, xs += t->n_dims) ys[i] = icl__label(scratch, xs, t, rng);
  if (class_drawn) *class_drawn = icl_function_class(scratch);
  return icl__finite(ys, (size_t)n) ? ICL_OK : ICL_ERR_NONFINITE;
}

/* ---------------------------------------------------------------------------------------------
 * >>gradients
 * Kernels of the backward pass and the optimizer, in plain C; over vectors they are in >>kernels.
 * A kernel that sums over rows takes the rows in order.
 * ------------------------------------------------------------------------------------------- */

/* The numbers of an Adam update, bias corrections included: m and v are moved towards g and g^2,
 * p = decay p - rate m / (root_v sqrt(v) + eps). */
typedef struct icl__adam { float beta1, beta2, eps, rate, root_v, decay, grad_scale; } icl__adam;

typedef struct icl__train_ops {
  /* dx[rows][n] += the gradient through LayerNorm of dy[rows][n],  dgain[n] += sum over rows of
   * dy xhat,  dbias[n] += sum of dy */
  void (*layernorm)(float *dx, float *dgain, float *dbias, const float *dy, const float *x,
                    const float *stats, const float *gain, size_t rows, size_t n);
  /* sum[n] += sum over rows of x[rows][stride] */
  void (*column_sum)(float *sum, const float *x, size_t rows, size_t n, size_t stride);
  /* d[n] *= f'(x), x[n] = f(x), which share most of their work */
  icl__elementwise *activate;
  /* d[n] = scale p (d - sum p d) */
  void (*softmax)(float *d, const float *p, size_t n, float scale);
  void (*adam)(float *p, float *m, float *v, const float *g, size_t n, const icl__adam *k);
} icl__train_ops;

/* With xhat = (x - mean) rstd and g = gain dy:
 * dx = rstd (g - mean(g) - xhat mean(g xhat)). */
static void icl__d_layernorm_ref(float *dx, float *dgain, float *dbias, const float *dy,
                                 const float *x, const float *stats, const float *gain, size_t rows,
                                 size_t n)
{
  size_t t, i;
  for (t = 0; t < rows; t++, dx += n, dy += n, x += n) {
    float mean = stats[2 * t], rstd = stats[2 * t + 1], a = 0, b = 0;
    for (i = 0; i < n; i++) {
      a += gain[i] * dy[i];
      b += gain[i] * dy[i] * (x[i] - mean) * rstd;
      dgain[i] += dy[i] * ((x[i] - mean) * rstd);
      dbias[i] += dy[i];
    }
    a /= (float)n;
    b /= (float)n;
    for (i = 0; i < n; i++) dx[i] += rstd * (gain[i] * dy[i] - a - (x[i] - mean) * rstd * b);
  }
}

static void icl__column_sum_ref(float *sum, const float *x, size_t rows, size_t n, size_t stride)
{
  size_t t, i;
  for (t = 0; t < rows; t++, x += stride)
    for (i = 0; i < n; i++) sum[i] += x[i];
}

/* gelu, tanh form: x s(u), u = A (x + B x^3):  s + x s (1 - s) u'.   erf form: Phi + x phi. */
static void icl__d_activate_ref(float *d, float *x, size_t n, icl_activation kind)
{
  size_t i;
  for (i = 0; i < n; i++) {
    float v = x[i], e, s, slope;
    icl__activate_ref(&x[i], &v, 1, kind);
    if (kind == ICL_RELU) {
      slope = v > 0.0f ? 1.0f : 0.0f;
    } else if (kind == ICL_GELU_ERF) {
      slope = 0.5f * (1.0f + erff(v * 0.707106781f)) + v * 0.398942280f * expf(-0.5f * v * v);
    } else {
      e = expf(-ICL__GELU_A * (v + ICL__GELU_B * v * v * v));
      if (e > 1e38f) e = 1e38f;                              /* 1 - s = e s, and not inf 0 */
      s = 1.0f / (1.0f + e);
      slope = s + v * s * (e * s) * ICL__GELU_A * (1.0f + 3.0f * ICL__GELU_B * v * v);
    }
    d[i] *= slope;
  }
}

static void icl__d_softmax_ref(float *d, const float *p, size_t n, float scale)
{
  float dot = 0;
  size_t i;
  for (i = 0; i < n; i++) dot += p[i] * d[i];
  for (i = 0; i < n; i++) d[i] = scale * p[i] * (d[i] - dot);
}

static void icl__adam_ref(float *p, float *m, float *v, const float *grad, size_t n,
                          const icl__adam *k)
{
  size_t i;
  for (i = 0; i < n; i++) {
    float g = grad[i] * k->grad_scale;
    m[i] = k->beta1 * m[i] + (1.0f - k->beta1) * g;
    v[i] = k->beta2 * v[i] + (1.0f - k->beta2) * (g * g);
    p[i] = k->decay * p[i] - k->rate * m[i] / (k->root_v * sqrtf(v[i]) + k->eps);
  }
}

static const icl__train_ops icl__train_ref = {
  icl__d_layernorm_ref, icl__column_sum_ref, icl__d_activate_ref, icl__d_softmax_ref, icl__adam_ref
};

/* The table that belongs to the model's own kernels.  Those over vectors are in >>kernels. */
static const icl__train_ops *icl__train_ops_of(const icl_model *m);

/* ---------------------------------------------------------------------------------------------
 * >>work
 * The memory that prompts go through: activations of `micro` prompts at once, by shape and batch
 * alone, so that neither bits nor memory depend on the number of threads.  All threads share them:
 * they take rows, or heads of prompts.  Each sequence has T = 2 pairs - 1 tokens: nothing reads the
 * last y.
 * ------------------------------------------------------------------------------------------- */
enum {
  ICL__UNIT = 36,                            /* rows that are summed up on their own             */
  ICL__ROWS = 576, ICL__ACT_FLOATS = 4 << 20, ICL__TILE_M = 192, ICL__TILE_N = 256,
  ICL__ADAM_CHUNK = 1 << 14
};

/* What one thread needs beside the activations. */
typedef struct icl__thread {
  float *keys;                               /* [C][key_row]                                     */
  float *scores;                             /* [6][key_row]                                     */
  float *pack, *pack_a;
  float *d_scores;                           /* [pairs or T][key_row], gradient of the scores    */
  float *function;                           /* [icl_prompt_scratch]                             */
  float *act;                                /* [rows][4C]                                       */
  float *d_ln;                               /* [rows][C] gradient of a LayerNorm's output       */
} icl__thread;

typedef struct icl__work {
  const icl_model *model;
  icl__pool pool;
  int training;                              /* 1: a set of activations per layer, and gradients */
  size_t max_pairs, micro, rows, units, key_row, n_pack, n_function;
  size_t pairs, T, prompts;                  /* now                                              */
  icl__thread *thread;                       /* [threads]                                        */
  float *positions;                          /* [T][C] sinusoidal                                */
  float *xs, *ys;                            /* [micro][pairs][d], [micro][pairs]                */
  float *preds;                              /* [micro][pairs][n_answer]                         */
  size_t n_answer;                           /* 1 + quantiles                                    */
  float *tokens;                             /* [micro][T][d], or d + 1: joint                   */
  icl__acts *acts;                           /* [L] without act                                  */
  float *lnf, *stats_f;                      /* [K][C], [K][2]                                   */
  /* training: gradients of one layer's activations, K or R rows */
  float *d_out, *d_in, *d_mid, *d_fc, *d_att, *d_qkv;
  float *d_pred;                             /* [K][n_answer]                                    */
  float *sums;                               /* [L][units][13 C], see icl__unit_parts            */
  float *sums_f;                             /* [micro][2 C] gain and bias of the last LayerNorm */
  float **panels, **panels_t;                /* by slot: a block's weights, and their transposes */
  float **grads;                             /* by slot                                          */
  float *hints;                              /* [micro][d] f at the unit vectors, or NULL        */
  size_t hint_layer, hint_dims;              /* whose input they are for; inputs in use now      */
  float hint_scale;                          /* of their gradient; 0: none now                   */
  size_t layer;                              /* that is worked on                                */
  float *scratch; size_t n_scratch;          /* between two forward passes                       */
} icl__work;

static size_t icl__kept_in(const icl__work *w, size_t l, size_t T)
{
  return icl__kept(T, l + 1 == (size_t)w->model->config.n_layer);
}

/* One layer's activations for R rows; those that only the backward pass reads, in training.
 * Products may read up to ICL__NR floats past their rows, and throw away what comes of them. */
static void icl__place_acts(const icl__work *w, icl__acts *a, icl__arena *mem, size_t l)
{
  size_t C = (size_t)w->model->config.n_embd, H = (size_t)w->model->config.n_head;
  size_t T = 2 * w->max_pairs - 1, R = icl__times(w->micro, T);
  size_t K = icl__times(w->micro, icl__kept_in(w, l, T));
  a->ln1 = icl__take_floats(mem, icl__times(R, C));
  a->qkv = icl__take_floats(mem, icl__times(R, 3 * C) + ICL__NR);
  a->mid = icl__take_floats(mem, icl__times(w->training ? K : R, C));
  a->att = a->ln2 = a->ln1;
  a->out = a->x;
  a->act = a->fc = NULL;
  if (!w->training) return;
  a->stats1 = icl__take_floats(mem, icl__times(R, 2));
  a->prob = icl__take_floats(mem, icl__times(icl__times(K, H), w->key_row));
  a->att = icl__take_floats(mem, icl__times(K, C));
  a->ln2 = icl__take_floats(mem, icl__times(K, C));
  a->stats2 = icl__take_floats(mem, icl__times(K, 2));
  a->fc = icl__take_floats(mem, icl__times(K, 4 * C));
  a->out = icl__take_floats(mem, icl__times(K, C));
}

/* Without training all layers share one set, and the last leaves its result where mid was.  The
 * scratch lies over all of them. */
static void icl__place_layers(icl__work *w, icl__arena *mem, size_t R)
{
  size_t C = (size_t)w->model->config.n_embd, L = (size_t)w->model->config.n_layer, l;
  icl__arena over;
  icl__acts one;
  memset(&one, 0, sizeof one);
  w->acts = (icl__acts *)icl__take(mem, L, sizeof(icl__acts));
  over = *mem;
  w->scratch = icl__take_floats(&over, w->n_scratch);
  one.x = icl__take_floats(mem, icl__times(R, C));
  for (l = 0; l < L; l++) {
    if (w->training || l == 0) icl__place_acts(w, &one, mem, l);
    if (!w->training && l + 1 == L) one.out = one.mid;
    if (w->acts) w->acts[l] = one;
    one.x = one.out;
  }
  mem->used = icl__max(mem->used, over.used);
}

static void icl__place_thread(const icl__work *w, icl__thread *t, icl__arena *mem)
{
  size_t C = (size_t)w->model->config.n_embd, T = 2 * w->max_pairs - 1;
  t->keys = icl__take_floats(mem, icl__times(C, w->key_row));
  t->scores = icl__take_floats(mem, ICL__MR * w->key_row);
  t->pack = icl__take_floats(mem, w->n_pack);
  t->function = icl__take_floats(mem, w->n_function);
  t->act = icl__take_floats(mem, icl__times(w->rows, 4 * C));
  t->pack_a = w->training ? icl__take_floats(mem, ICL__MC * ICL__KC) : NULL;
  t->d_scores = w->training ? icl__take_floats(mem, icl__times(T, w->key_row)) : NULL;
  t->d_ln = w->training ? icl__take_floats(mem, icl__times(w->rows, C)) : NULL;
}

/* What is summed up over the rows of a unit before units are: gradients of the biases and
 * LayerNorms of a block, n C of them from at C on. */
enum { ICL__UNIT_SUMS = 13 };
static const struct { int kind; size_t at, n; } icl__unit_parts[8] = {
  {ICL__LN1_W, 0, 1}, {ICL__LN1_B, 1, 1}, {ICL__QKV_B, 2, 3}, {ICL__PROJ_B, 5, 1},
  {ICL__LN2_W, 6, 1}, {ICL__LN2_B, 7, 1}, {ICL__FC_B, 8, 4}, {ICL__MLP_B, 12, 1}
};

/* The gradients of activations: one layer's at a time, in rows of the whole microbatch. */
static void icl__place_gradients(icl__work *w, icl__arena *mem, size_t R)
{
  size_t C = (size_t)w->model->config.n_embd, L = (size_t)w->model->config.n_layer;
  size_t d = (size_t)w->model->config.n_dims;
  w->d_out = icl__take_floats(mem, icl__times(R, C));
  w->d_in = icl__take_floats(mem, icl__times(R, C));
  w->d_mid = icl__take_floats(mem, icl__times(R, C));
  w->d_fc = icl__take_floats(mem, icl__times(R, 4 * C));
  w->d_att = icl__take_floats(mem, icl__times(R, C) + ICL__NR);
  w->d_qkv = icl__take_floats(mem, icl__times(R, 3 * C) + ICL__NR);
  w->d_pred = icl__take_floats(mem, icl__times(R, w->n_answer));
  w->sums = icl__take_floats(mem, icl__times(icl__times(L, w->units), ICL__UNIT_SUMS * C));
  w->sums_f = icl__take_floats(mem, icl__times(w->micro, 2 * C));
  w->hints = w->hint_layer ? icl__take_floats(mem, icl__times(w->micro, d)) : NULL;
  w->grads = (float **)icl__take(mem, icl__slot_count(&w->model->config), sizeof(float *));
}

/* The four weights of a block: rows k, columns n, in units of the width. */
static const struct { int kind; size_t k, n; } icl__block_weights[4] = {
  {ICL__QKV_W, 1, 3}, {ICL__PROJ_W, 1, 1}, {ICL__FC_W, 1, 4}, {ICL__MLP_W, 4, 1}
};

/* Room for the weights as panels, which all threads share. */
static float **icl__place_panels(const icl__work *w, icl__arena *mem, int transposed)
{
  size_t C = (size_t)w->model->config.n_embd, l, i;
  float **panels = (float **)icl__take(mem, icl__slot_count(&w->model->config), sizeof(float *));
  for (l = 0; l < (size_t)w->model->config.n_layer; l++)
    for (i = 0; i < 4; i++) {
      size_t k = icl__block_weights[i].k * C, n = icl__block_weights[i].n * C;
      float *x = icl__take_floats(mem, transposed ? icl__times(n, icl__round_up(k))
                                                  : icl__times(k, icl__round_up(n)));
      if (panels) panels[icl__slot(l, (size_t)icl__block_weights[i].kind)] = x;
    }
  return panels;
}

/* Prompts at once of a batch: so many that their activations, which the backward pass reads again,
 * stay in the last cache (16 MB), but no fewer than give 16 threads some rows each.  And the rows
 * of a task. */
static void icl__choose_sizes(icl__work *w, size_t batch)
{
  const icl_config *c = &w->model->config;
  size_t T = 2 * w->max_pairs - 1, per_token, fit;
  per_token = (size_t)c->n_layer * (12 * (size_t)c->n_embd + (size_t)c->n_head * T);
  fit = ICL__ACT_FLOATS / icl__max(1, icl__times(per_token, T));
  w->micro = icl__min(batch, icl__max(1, icl__max(fit, (ICL__ROWS + T / 2) / T)));
  w->units = (icl__times(w->micro, T) + ICL__UNIT - 1) / ICL__UNIT;
  w->rows = ICL__UNIT * icl__min(4, icl__max(1, w->units / (size_t)w->pool.threads));
}

/* Counts or places a workspace; model, pool.threads, training, max_pairs, n_function and sizes are
 * set. */
static void icl__place_work(icl__work *w, icl__arena *mem)
{
  const icl_config *cfg = &w->model->config;
  size_t C = (size_t)cfg->n_embd, d = (size_t)cfg->n_dims, n = (size_t)w->pool.threads, i;
  size_t T = 2 * w->max_pairs - 1, R = icl__times(w->micro, T);
  size_t K = icl__times(w->micro, w->max_pairs);
  icl__thread none;
  w->key_row = icl__round_up(T + 1);
  w->n_pack = (size_t)ICL__KC * ICL__NC;
  w->n_answer = icl__answer_size(cfg);
  w->xs = icl__take_floats(mem, icl__times(K, d));
  w->ys = icl__take_floats(mem, K);
  w->preds = icl__take_floats(mem, icl__times(K, w->n_answer));
  w->tokens = icl__take_floats(mem, icl__times(R, (size_t)icl__token_size(cfg)));
  w->positions = cfg->position_embedding_type == ICL_POSITION_SINUSOIDAL
               ? icl__take_floats(mem, icl__times(T, C)) : NULL;
  w->lnf = icl__take_floats(mem, icl__times(K, C));
  w->stats_f = icl__take_floats(mem, icl__times(K, 2));
  w->thread = (icl__thread *)icl__take(mem, n, sizeof(icl__thread));
  for (i = 0; i < n; i++) icl__place_thread(w, w->thread ? &w->thread[i] : &none, mem);
  icl__place_layers(w, mem, R);
  w->panels = icl__place_panels(w, mem, 0);
  w->panels_t = w->training ? icl__place_panels(w, mem, 1) : NULL;
  if (w->training) icl__place_gradients(w, mem, R);
  if (mem->base && w->positions) icl__sinusoids(w->positions, T, C);
}

static void icl__set_pairs(icl__work *w, size_t pairs)
{
  w->pairs = pairs;
  w->T = 2 * pairs - 1;
}

/* The size of the next of the even parts, at most micro, in which so many prompts are done. */
static size_t icl__next_prompts(const icl__work *w, size_t prompts)
{
  size_t parts = (prompts + w->micro - 1) / w->micro;
  return (prompts + parts - 1) / parts;
}

static icl__pass icl__work_pass(const icl__work *w, int thread)
{
  icl__pass p;
  memset(&p, 0, sizeof p);
  p.n_seq = w->prompts;
  p.T = w->T;
  p.key_row = w->key_row;
  p.keys = w->thread[thread].keys;
  p.scores = w->thread[thread].scores;
  p.pack = w->thread[thread].pack;
  p.n_pack = w->n_pack;
  if (w->model->ops->panels) p.panels = (const float *const *)w->panels;
  return p;
}

/* Weight i % 4 of block i / 4 as panels. */
static void icl__pack_weight(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t C = (size_t)w->model->config.n_embd;
  size_t k = icl__block_weights[i % 4].k * C, n = icl__block_weights[i % 4].n * C;
  size_t slot = icl__slot(i / 4, (size_t)icl__block_weights[i % 4].kind);
  icl__mm g;
  (void)thread;
  memset(&g, 0, sizeof g);
  icl__set_weight(&g, w->model, slot);
  g.k = k; g.n = n; g.b_row = n; g.b_col = 1;
  w->model->ops->panels(w->panels[slot], &g);
  if (!w->training) return;
  g.k = n; g.n = k; g.b_row = 1; g.b_col = n;
  w->model->ops->panels(w->panels_t[slot], &g);
}

/* Before a pass, and after the weights changed. */
static void icl__pack_weights(icl__work *w)
{
  if (w->model->ops->panels)
    icl__pool_run(&w->pool, 4 * (size_t)w->model->config.n_layer, icl__pack_weight, w);
}

/* What one task of Muon updates: a tensor of Adam's, whose second moments begin at v[v_at]; or
 * rows x cols of a block's weight, which has none. */
typedef struct icl__piece { size_t at, v_at, rows, cols, stride; int muon; } icl__piece;

/* A trainer, which the sections from >>optimizer to >>run are about. */
struct icl_trainer {
  icl_train_options o;                       /* with defaults                                    */
  icl_task task;
  icl_model model, average;                  /* see params and ema                               */
  icl__work work;
  float *params, *m;                         /* [n_state] in one block: [n] weights, [n] first   */
  float *v, *ema;                            /*   and [n_v] second moments, and with options.ema */
                                             /*   [n] the average of the weights, else NULL      */
  float *grad;                               /* [n + 1] the gradient, and the loss               */
  icl__piece *pieces;                        /* [n_pieces] what tasks of Muon update             */
  float *loss;                               /* [batch] squared error of each prompt             */
  size_t n, n_v, n_state, n_pieces;
  int64_t step, updates, skipped;
  int bad;                                   /* skipped steps in a row                           */
  size_t first;                              /* of the microbatch: its first prompt of the batch */
  const float *given_x, *given_y;            /* prompts brought by the caller, or NULL           */
  size_t shard;                              /* that is worked on                                */
  float *shards;                             /* [own shards, 2 at least][n + 1] their gradients; */
                                             /*   then the two halves of their sum               */
  float *message;                            /* [icl__message_floats] what processes tell        */
  float *squares;                            /* [icl__blocks] of a norm                          */
  uint64_t identity;                         /* digest of the run's text, where world > 1        */
  int exponent;                              /* no gradient of a shard reaches 2^exponent        */
  int met;                                   /* 1: the processes have compared their weights     */
  int stopping, told;                        /* one of them stops; this one wants to             */
  const volatile sig_atomic_t *stop;         /* of the run, or NULL                              */
  icl_report why;                            /* they do not agree                                */
  uint64_t from;                             /* digest of the first weights, 0 if they were drawn */
  char text[4096];                           /* the task, every argument spelled out             */
  char sampling[96];                         /* icl_sampling_print                               */
  void *block;
};

/* ---------------------------------------------------------------------------------------------
 * >>forward
 * icl__block of icl.h for many prompts, in turn by rows and by heads of prompts.
 * ------------------------------------------------------------------------------------------- */

/* Tokens of a prompt: x_1, (y_1, 0, ..), x_2, ..; joint: (x_1, 0), (x_1, y_1), (x_2, 0), .. */
static void icl__put_tokens(const icl__work *w, size_t prompt)
{
  const icl_config *cfg = &w->model->config;
  size_t d = (size_t)cfg->n_dims, t = (size_t)icl__token_size(cfg), i;
  float *token = w->tokens + prompt * w->T * t;
  const float *x = w->xs + prompt * w->pairs * d, *y = w->ys + prompt * w->pairs;
  for (i = 0; i < w->T; i++, token += t) {
    memset(token, 0, t * sizeof(float));
    if (i % 2 == 0 || t > d) memcpy(token, x + i / 2 * d, d * sizeof(float));
    if (i % 2) token[t > d ? d : 0] = y[i / 2];
  }
}

/* xs and ys of prompt i to the first layer's x. */
static void icl__embed_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  const icl_config *cfg = &w->model->config;
  const float *positions = icl__has_wpe(cfg) ? icl__floats(w->model, ICL__WPE) : w->positions;
  icl__pass p = icl__work_pass(w, thread);
  icl__put_tokens(w, i);
  icl__embed(w->model, &p, w->acts[0].x + i * w->T * (size_t)cfg->n_embd,
             w->tokens + i * w->T * (size_t)icl__token_size(cfg), positions, 0, 1, w->T);
}

/* Rows r .. r+n of layer l up to its attention. */
static void icl__before_attention(const icl__work *w, const icl__pass *p, size_t l, size_t r,
                                  size_t n)
{
  const icl_model *m = w->model;
  const icl__acts *a = &w->acts[l];
  size_t C = (size_t)m->config.n_embd;
  icl__mm g;
  m->ops->layernorm(a->ln1 + r * C, a->stats1 ? a->stats1 + 2 * r : NULL, a->x + r * C,
                    icl__floats(m, icl__slot(l, ICL__LN1_W)),
                    icl__floats(m, icl__slot(l, ICL__LN1_B)), n, C, m->config.layer_norm_epsilon);
  icl__block_linear(&g, m, p, l, ICL__QKV_W, a->qkv + r * 3 * C, NULL, a->ln1 + r * C, n, C, 3 * C);
  m->ops->mm(&g);
}

/* mid[n][C] = rows r .. r+n of those of x that the last layer keeps. */
static void icl__take_kept(const icl__work *w, float *mid, const float *x, size_t r, size_t n)
{
  size_t C = (size_t)w->model->config.n_embd, kept = w->pairs;
  for (n += r; r < n; r++, mid += C)
    memcpy(mid, x + (r / kept * w->T + r % kept * 2) * C, C * sizeof(float));
}

/* Rows r .. r+n of layer l from its attention on. */
static void icl__after_attention(const icl__work *w, const icl__pass *p, size_t l, size_t r,
                                 size_t n, float *act)
{
  const icl_model *m = w->model;
  const icl__acts *a = &w->acts[l];
  size_t C = (size_t)m->config.n_embd, F = 4 * C;
  float *mid = a->mid + r * C, *ln2 = a->ln2 + r * C, *fc = a->fc ? a->fc + r * F : act;
  const float *init = a->x + r * C;
  icl__mm g;
  if (icl__kept_in(w, l, w->T) != w->T) { icl__take_kept(w, mid, a->x, r, n); init = mid; }
  icl__block_linear(&g, m, p, l, ICL__PROJ_W, mid, init, a->att + r * C, n, C, C);
  m->ops->mm(&g);
  m->ops->layernorm(ln2, a->stats2 ? a->stats2 + 2 * r : NULL, mid,
                    icl__floats(m, icl__slot(l, ICL__LN2_W)),
                    icl__floats(m, icl__slot(l, ICL__LN2_B)), n, C, m->config.layer_norm_epsilon);
  icl__block_linear(&g, m, p, l, ICL__FC_W, fc, NULL, ln2, n, C, F);
  g.after = m->ops->activate; g.out = act; g.in = fc; g.after_row = F;
  g.act_kind = m->config.activation_function;
  m->ops->mm(&g);
  icl__block_linear(&g, m, p, l, ICL__MLP_W, a->out + r * C, mid, act, n, F, C);
  m->ops->mm(&g);
}

/* Rows that a task of icl__rows_task goes through at layer l. */
static size_t icl__rows_of(const icl__work *w, size_t l)
{
  return w->prompts * (l ? icl__kept_in(w, l - 1, w->T) : w->T);
}

/* Some rows from the attention of the layer before w->layer to that of w->layer. */
static void icl__rows_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t l = w->layer, r = i * w->rows, n = icl__min(w->rows, icl__rows_of(w, l) - r);
  icl__pass p = icl__work_pass(w, thread);
  if (l) icl__after_attention(w, &p, l - 1, r, n, w->thread[thread].act);
  if (l < (size_t)w->model->config.n_layer) icl__before_attention(w, &p, l, r, n);
}

/* One head of one prompt. */
static void icl__attention_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t C = (size_t)w->model->config.n_embd, H = (size_t)w->model->config.n_head, D = C / H;
  icl__pass p = icl__work_pass(w, thread);
  icl__heads t;
  memset(&t, 0, sizeof t);
  t.m = w->model; t.p = &p; t.layer = 0; t.a = &w->acts[w->layer];
  t.trim = icl__kept_in(w, w->layer, w->T) != w->T;
  t.seq = i / H;
  w->model->ops->transpose(w->thread[thread].keys + i % H * D * w->key_row, w->key_row,
                           t.a->qkv + t.seq * w->T * 3 * C + C + i % H * D, 3 * C, w->T, D);
  icl__attention_head(&t, (int)(i % H));
}

static size_t icl__tasks(const icl__work *w, size_t rows) { return (rows + w->rows - 1) / w->rows; }

/* w->prompts prompts up to the last layer's out; `begin` of each of them ends with
 * icl__embed_task. */
static void icl__forward(icl__work *w, icl__task_fn *begin, void *arg)
{
  size_t L = (size_t)w->model->config.n_layer, H = (size_t)w->model->config.n_head;
  icl__pool_run(&w->pool, w->prompts, begin, arg);
  for (w->layer = 0; w->layer <= L; w->layer++) {
    icl__pool_run(&w->pool, icl__tasks(w, icl__rows_of(w, w->layer)), icl__rows_task, w);
    if (w->layer < L) icl__pool_run(&w->pool, w->prompts * H, icl__attention_task, w);
  }
}

/* preds of prompt i. */
static void icl__answers_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t C = (size_t)w->model->config.n_embd, L = (size_t)w->model->config.n_layer, k;
  (void)thread;
  for (k = i * w->pairs; k < (i + 1) * w->pairs; k++)
    icl__read_out(w->model, w->preds + k * w->n_answer, w->n_answer, w->lnf + k * C,
                  w->stats_f + 2 * k, w->acts[L - 1].out + k * C);
}

/* ---------------------------------------------------------------------------------------------
 * >>batch
 * ------------------------------------------------------------------------------------------- */
struct icl_batch { icl__work work; void *block; };

icl_error icl_batch_new(icl_batch **out, const icl_model *m, int n_pairs, int threads)
{
  icl_batch *b;
  icl__arena count = icl__arena_on(NULL), mem;
  icl__work *w;
  if (!out || !m || n_pairs < 1 || n_pairs > ICL__MAX_PAIRS || threads < 1
      || threads > ICL_MAX_THREADS)
    return ICL_ERR_ARG;
  if (m->config.position_embedding_type == ICL_POSITION_LEARNED
      && 2 * n_pairs - 1 > m->config.n_positions) return ICL_ERR_ARG;
  if (m->config.position_embedding_type == ICL_POSITION_SINUSOIDAL
      && n_pairs > ICL__MAX_SINUSOIDS) return ICL_ERR_ARG;
  b = (icl_batch *)ICL_MALLOC(sizeof *b);
  if (!b) return ICL_ERR_MEMORY;
  memset(b, 0, sizeof *b);
  w = &b->work;
  w->model = m;
  w->max_pairs = (size_t)n_pairs;
  icl__pool_start(&w->pool, threads, 0);          /* as icl_add */
  icl__choose_sizes(w, ICL__MAX_BATCH);
  icl__place_work(w, &count);
  b->block = icl__arena_need(&count) == SIZE_MAX ? NULL : ICL_MALLOC(icl__arena_need(&count));
  if (!b->block) {
    icl_batch_delete(b);
    return ICL_ERR_MEMORY;
  }
  icl__advise(b->block, icl__arena_need(&count));
  memset(b->block, 0, icl__arena_need(&count));
  mem = icl__arena_on(b->block);
  icl__place_work(w, &mem);
  icl__set_pairs(w, (size_t)n_pairs);
  if (m->types) icl__pack_weights(w);
  *out = b;
  return ICL_OK;
}

void icl_batch_delete(icl_batch *b)
{
  if (!b) return;
  icl__pool_stop(&b->work.pool);
  ICL_FREE(b->block);
  ICL_FREE(b);
}

icl_error icl_batch_predict(icl_batch *b, int n, const float *xs, const float *ys, float *preds)
{
  icl__work *w;
  size_t P, d, at, i;
  if (!b || n < 0 || (n && (!xs || !ys || !preds))) return ICL_ERR_ARG;
  w = &b->work;
  P = w->pairs;
  d = (size_t)w->model->config.n_dims;
  if (!icl__finite(xs, (size_t)n * P * d)) return ICL_ERR_NONFINITE;
  for (at = 0; at < (size_t)n; at++)
    if (!icl__finite(ys + at * P, P - 1)) return ICL_ERR_NONFINITE;
  if (!w->model->types) icl__pack_weights(w);                /* bound weights may have changed */
  for (at = 0; at < (size_t)n; at += w->prompts) {
    w->prompts = icl__next_prompts(w, (size_t)n - at);
    memcpy(w->xs, xs + at * P * d, w->prompts * P * d * sizeof(float));
    memcpy(w->ys, ys + at * P, w->prompts * P * sizeof(float));
    icl__forward(w, icl__embed_task, w);
    icl__pool_run(&w->pool, w->prompts, icl__answers_task, w);
    if (!icl__finite(w->preds, w->prompts * P * w->n_answer)) return ICL_ERR_NONFINITE;
    for (i = 0; i < w->prompts * P; i++) preds[at * P + i] = w->preds[i * w->n_answer];
  }
  return ICL_OK;
}

/* ---------------------------------------------------------------------------------------------
 * >>backward
 * A layer at a time.  First the data: rows, then heads of prompts, then rows again take the
 * gradient of the layer's output back to its input.  They sum up, in the rows that they have at
 * hand, what biases and LayerNorms get, a unit of rows at a time.  Beside them the weights: each
 * tile of a weight's gradient sums over all rows in order.  Units and rows are the same whoever
 * computes them, so the bits do not depend on threads.
 * ------------------------------------------------------------------------------------------- */

/* out[rows][k] = dy[rows][n] W^T,  W[k][n], weight `kind` of the layer that is worked on. */
static icl__mm icl__d_input(const icl__work *w, const icl__pass *p, float *out, const float *dy,
                            int kind, size_t rows, size_t k, size_t n)
{
  size_t slot = icl__slot(w->layer, (size_t)kind);
  icl__mm g = icl__linear(p, out, NULL, dy, icl__floats(w->model, slot), NULL, rows, n, k);
  g.b_row = 1;
  g.b_col = n;
  if (p->panels) g.panels = w->panels_t[slot];
  return g;
}

/* One head of one prompt: gradients of its q, k, v from that of its output. */
typedef struct icl__head {
  size_t T, kept, step, D, C, key_row;
  /* columns of qkv; k, v rows 3C apart, q rows 3C step */
  const float *q, *k, *v;
  const float *p, *d_o;                      /* [kept][key_row], [kept] rows C apart             */
  float *d_p;                                /* [kept][key_row]                                  */
  float *dq, *dk, *dv;                       /* as q, k, v                                       */
} icl__head;

/* Rows r .. r+b of the gradient of the scores:  dP = dO V^T,  dS = p (dP - sum p dP) / sqrt D; and
 * of dq = dS K. */
static void icl__d_scores(const icl__work *w, const icl__pass *pass, const icl__head *t,
                          size_t r, size_t b)
{
  size_t n = 1 + t->step * (r + b - 1), i, j;
  icl__mm g = icl__linear(pass, t->d_p + r * t->key_row, NULL, t->d_o + r * t->C, t->v, NULL, b,
                          t->D, n);
  g.a_row = t->C;
  g.b_row = 1; g.b_col = 3 * t->C;
  g.c_row = t->key_row;
  w->model->ops->mm(&g);
  for (i = 0; i < b; i++) {
    float *d = t->d_p + (r + i) * t->key_row;
    size_t seen = 1 + t->step * (r + i);
    icl__train_ops_of(w->model)->softmax(d, t->p + (r + i) * t->key_row, seen,
                                         1.0f / sqrtf((float)t->D));
    for (j = seen; j < t->T; j++) d[j] = 0.0f;
  }
  g = icl__linear(pass, t->dq + r * t->step * 3 * t->C, NULL, t->d_p + r * t->key_row, t->k,
                  NULL, b, n, t->D);
  g.a_row = t->key_row;
  g.b_row = 3 * t->C; g.b_padded = 1;
  g.c_row = t->step * 3 * t->C;
  w->model->ops->mm(&g);
}

/* Keys j .. j+b:  out = A^T x summed over the queries that see them; A is p or dS. */
static void icl__d_keys(const icl__work *w, const icl__pass *pass, const icl__head *t, float *out,
                        const float *a, const float *x, size_t x_row, size_t j, size_t b)
{
  size_t r = (j + t->step - 1) / t->step;                /* the first query that sees key j */
  icl__mm g = icl__linear(pass, out + j * 3 * t->C, NULL, a + r * t->key_row + j, x + r * x_row,
                          NULL, b, t->kept - r, t->D);
  g.a_row = 1; g.a_col = t->key_row;
  g.b_row = x_row; g.b_padded = 1;
  g.c_row = 3 * t->C;
  w->model->ops->mm(&g);
}

/* Queries that nobody asks get 0. */
static void icl__d_head(const icl__work *w, const icl__pass *pass, const icl__head *t)
{
  enum { chunk = 24 };
  size_t r, j;
  for (r = 0; r < t->kept; r += chunk) icl__d_scores(w, pass, t, r, icl__min(chunk, t->kept - r));
  for (j = 0; j < t->T; j += chunk) {
    size_t b = icl__min(chunk, t->T - j);
    icl__d_keys(w, pass, t, t->dv, t->p, t->d_o, t->C, j, b);
    icl__d_keys(w, pass, t, t->dk, t->d_p, t->q, t->step * 3 * t->C, j, b);
  }
  for (r = 1; r < t->T && t->step == 2; r += 2)
    memset(t->dq + r * 3 * t->C, 0, t->D * sizeof(float));
}

/* d_qkv of head i % H of prompt i / H from d_att. */
static void icl__d_attention(const icl__work *w, size_t i, int thread)
{
  size_t C = (size_t)w->model->config.n_embd, H = (size_t)w->model->config.n_head;
  size_t s = i / H, h = i % H, kept = icl__kept_in(w, w->layer, w->T), at;
  const icl__acts *a = &w->acts[w->layer];
  icl__pass p = icl__work_pass(w, thread);
  icl__head t;
  t.T = w->T; t.kept = kept; t.step = kept == w->T ? 1 : 2;
  t.D = C / H; t.C = C; t.key_row = w->key_row;
  at = s * w->T * 3 * C + h * t.D;
  t.q = a->qkv + at; t.k = t.q + C; t.v = t.q + 2 * C;
  t.dq = w->d_qkv + at; t.dk = t.dq + C; t.dv = t.dq + 2 * C;
  t.p = a->prob + i * kept * w->key_row;
  t.d_o = w->d_att + s * kept * C + h * t.D;
  t.d_p = w->thread[thread].d_scores;
  icl__d_head(w, &p, &t);
}

/* Sums of unit u in layer l. */
static float *icl__unit_of(const icl__work *w, size_t l, size_t u)
{
  return w->sums + (l * w->units + u) * ICL__UNIT_SUMS * (size_t)w->model->config.n_embd;
}

/* Rows r .. r+n from the layer's output to its attention's: d_out -> d_fc, d_mid, d_att; and fc
 * becomes the activation again.  The mirror of icl__after_attention. */
static void icl__d_after_attention(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  const icl_model *m = w->model;
  const icl__train_ops *o = icl__train_ops_of(m);
  size_t C = (size_t)m->config.n_embd, F = 4 * C, l = w->layer, r = i * w->rows, u, k;
  size_t n = icl__min(w->rows, w->prompts * icl__kept_in(w, l, w->T) - r), end = r + n;
  const icl__acts *a = &w->acts[l];
  float *d_fc = w->d_fc + r * F, *d_mid = w->d_mid + r * C, *d_ln = w->thread[thread].d_ln;
  icl__pass p = icl__work_pass(w, thread);
  icl__mm g = icl__d_input(w, &p, d_fc, w->d_out + r * C, ICL__MLP_W, n, F, C);
  g.after = o->activate; g.out = d_fc; g.in = a->fc + r * F; g.after_row = F;
  g.act_kind = m->config.activation_function;
  m->ops->mm(&g);
  g = icl__d_input(w, &p, d_ln, d_fc, ICL__FC_W, n, C, F);
  m->ops->mm(&g);
  memcpy(d_mid, w->d_out + r * C, n * C * sizeof(float));
  for (u = r / ICL__UNIT, k = r; k < end; u++, k += ICL__UNIT) {
    size_t rows = icl__min(ICL__UNIT, end - k);
    float *s = icl__unit_of(w, l, u);
    memset(s + 5 * C, 0, 8 * C * sizeof(float));
    o->layernorm(w->d_mid + k * C, s + 6 * C, s + 7 * C, d_ln + (k - r) * C, a->mid + k * C,
                 a->stats2 + 2 * k, icl__floats(m, icl__slot(l, ICL__LN2_W)), rows, C);
    o->column_sum(s + 5 * C, w->d_mid + k * C, rows, C, C);
    o->column_sum(s + 8 * C, w->d_fc + k * F, rows, F, F);
    o->column_sum(s + 12 * C, w->d_out + k * C, rows, C, C);
  }
  g = icl__d_input(w, &p, w->d_att + r * C, d_mid, ICL__PROJ_W, n, C, C);
  m->ops->mm(&g);
}

/* d_in[n][C] = rows r .. r+n: those of d_mid that are kept, zeros elsewhere. */
static void icl__spread_kept(const icl__work *w, float *d_in, size_t r, size_t n)
{
  size_t C = (size_t)w->model->config.n_embd, kept = icl__kept_in(w, w->layer, w->T);
  if (kept == w->T) { memcpy(d_in, w->d_mid + r * C, n * C * sizeof(float)); return; }
  for (n += r; r < n; r++, d_in += C)
    if (r % w->T % 2) memset(d_in, 0, C * sizeof(float));
    else memcpy(d_in, w->d_mid + (r / w->T * kept + r % w->T / 2) * C, C * sizeof(float));
}

/* Rows of d_qkv and d_mid -> d_in.  The mirror of icl__before_attention. */
static void icl__d_before_attention(icl__work *w, size_t i, int thread)
{
  const icl_model *m = w->model;
  const icl__train_ops *o = icl__train_ops_of(m);
  size_t C = (size_t)m->config.n_embd, l = w->layer, r = i * w->rows, u, k;
  size_t n = icl__min(w->rows, w->prompts * w->T - r), end = r + n;
  const icl__acts *a = &w->acts[l];
  float *d_ln = w->thread[thread].d_ln;
  icl__pass p = icl__work_pass(w, thread);
  icl__mm g = icl__d_input(w, &p, d_ln, w->d_qkv + r * 3 * C, ICL__QKV_W, n, C, 3 * C);
  m->ops->mm(&g);
  icl__spread_kept(w, w->d_in + r * C, r, n);
  for (u = r / ICL__UNIT, k = r; k < end; u++, k += ICL__UNIT) {
    size_t rows = icl__min(ICL__UNIT, end - k);
    float *s = icl__unit_of(w, l, u);
    memset(s, 0, 5 * C * sizeof(float));
    o->layernorm(w->d_in + k * C, s, s + C, d_ln + (k - r) * C, a->x + k * C, a->stats1 + 2 * k,
                 icl__floats(m, icl__slot(l, ICL__LN1_W)), rows, C);
    o->column_sum(s + 2 * C, w->d_qkv + k * 3 * C, rows, 3 * C, 3 * C);
  }
}

/* Prompt i through read-out and final LayerNorm: d_pred -> d_out. */
static void icl__d_answers(icl__work *w, size_t i, int thread)
{
  const icl_model *m = w->model;
  size_t C = (size_t)m->config.n_embd, L = (size_t)m->config.n_layer, A = w->n_answer, c, k, a;
  const float *out_w = icl__weight_after(m, ICL__OUT_W);
  float *d = w->thread[thread].d_ln, *s = w->sums_f + i * 2 * C;
  memset(s, 0, 2 * C * sizeof(float));
  memset(w->d_out + i * w->pairs * C, 0, w->pairs * C * sizeof(float));
  for (k = i * w->pairs; k < (i + 1) * w->pairs; k++) {
    for (c = 0; c < C; c++) d[c] = w->d_pred[k * A] * out_w[c];
    for (a = 1; a < A; a++) m->ops->axpy(d, w->d_pred[k * A + a], out_w + a * C, C);
    icl__train_ops_of(m)->layernorm(w->d_out + k * C, s, s + C, d, w->acts[L - 1].out + k * C,
                                    w->stats_f + 2 * k, icl__weight_after(m, ICL__LNF_W), 1, C);
  }
}

/* ----- weights -------------------------------------------------------------------------------- */

/* Tiles of the gradient of weight i of a block. */
static size_t icl__tiles(const icl__work *w, size_t i)
{
  size_t C = (size_t)w->model->config.n_embd;
  size_t k = icl__block_weights[i].k * C, n = icl__block_weights[i].n * C;
  return (k + ICL__TILE_M - 1) / ICL__TILE_M * ((n + ICL__TILE_N - 1) / ICL__TILE_N);
}

/* Tile `tile` of the gradients of a block's weights from weight i on:  dW += x^T dy  over all
 * rows. */
static void icl__d_weight(const icl__work *w, size_t i, size_t tile, int thread)
{
  const icl__acts *a = &w->acts[w->layer];
  const float *xs[4] = {a->ln1, a->att, a->ln2, a->fc};
  const float *dys[4] = {w->d_qkv, w->d_mid, w->d_fc, w->d_out};
  size_t C = (size_t)w->model->config.n_embd, rows, k, n, r, c;
  icl__pass p = icl__work_pass(w, thread);
  icl__mm g;
  float *dw;
  for (; tile >= icl__tiles(w, i); i++) tile -= icl__tiles(w, i);
  k = icl__block_weights[i].k * C;
  n = icl__block_weights[i].n * C;
  rows = w->prompts * (i ? icl__kept_in(w, w->layer, w->T) : w->T);
  c = (n + ICL__TILE_N - 1) / ICL__TILE_N;
  r = tile / c * ICL__TILE_M;
  c = tile % c * ICL__TILE_N;
  dw = w->grads[icl__slot(w->layer, (size_t)icl__block_weights[i].kind)] + r * n + c;
  g = icl__linear(&p, dw, dw, xs[i] + r, dys[i] + c, NULL, icl__min(ICL__TILE_M, k - r), rows,
                  icl__min(ICL__TILE_N, n - c));
  g.a_row = 1; g.a_col = k;
  g.b_row = g.c_row = g.init_row = n;
  g.pack_a = w->thread[thread].pack_a;
  w->model->ops->mm(&g);
}

/* Heads of prompts, and beside them the weights whose gradients do not wait for these. */
static void icl__d_heads_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t heads = w->prompts * (size_t)w->model->config.n_head;
  if (i < heads) icl__d_attention(w, i, thread);
  else icl__d_weight(w, 1, i - heads, thread);
}

/* Rows, and beside them the weight of queries, keys and values. */
static void icl__d_rows_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  size_t tasks = icl__tasks(w, w->prompts * w->T);
  if (i < tasks) icl__d_before_attention(w, i, thread);
  else icl__d_weight(w, 0, i - tasks, thread);
}

/* Adds up what is outside the blocks: read-out and final LayerNorm (task 0), read-in (1), positions
 * (2); and the units of layer i - 3. */
static void icl__outer_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  const icl_config *c = &w->model->config;
  const icl__ops *ops = w->model->ops;
  const icl__train_ops *o = icl__train_ops_of(w->model);
  size_t C = (size_t)c->n_embd, t = (size_t)icl__token_size(c), A = w->n_answer, a, k;
  size_t K = w->prompts * w->pairs, R = w->prompts * w->T;
  float **behind = w->grads + icl__slot((size_t)c->n_layer, 0);
  if (i == 0) {
    for (k = 0; k < K; k++)
      for (a = 0; a < A; a++) {
        ops->axpy(behind[ICL__OUT_W] + a * C, w->d_pred[k * A + a], w->lnf + k * C, C);
        behind[ICL__OUT_B][a] += w->d_pred[k * A + a];
      }
    o->column_sum(behind[ICL__LNF_W], w->sums_f, w->prompts, C, 2 * C);
    o->column_sum(behind[ICL__LNF_B], w->sums_f + C, w->prompts, C, 2 * C);
  } else if (i == 1) {
    icl__pass p = icl__work_pass(w, thread);
    icl__mm g = icl__linear(&p, w->grads[ICL__READ_IN_W], w->grads[ICL__READ_IN_W], w->d_out,
                            w->tokens, NULL, C, R, t);
    g.a_row = 1; g.a_col = C;
    g.pack_a = w->thread[thread].pack_a;
    ops->mm(&g);
    o->column_sum(w->grads[ICL__READ_IN_B], w->d_out, R, C, C);
  } else if (i == 2) {
    if (icl__alternates(c))
      for (k = 0; k < R; k++)
        ops->axpy(w->grads[ICL__WPE] + k % w->T % 2 * C, 1.0f, w->d_out + k * C, C);
    else if (icl__has_wpe(c))
      for (k = 0; k < w->prompts; k++)
        ops->axpy(w->grads[ICL__WPE], 1.0f, w->d_out + k * w->T * C, w->T * C);
  } else {
    for (k = 0; k < 8; k++) {
      size_t rows = k < 3 ? R : w->prompts * icl__kept_in(w, i - 3, w->T);
      o->column_sum(w->grads[icl__slot(i - 3, (size_t)icl__unit_parts[k].kind)],
                    icl__unit_of(w, i - 3, 0) + icl__unit_parts[k].at * C,
                    (rows + ICL__UNIT - 1) / ICL__UNIT, icl__unit_parts[k].n * C,
                    ICL__UNIT_SUMS * C);
    }
  }
}

/* Adds to d_in the gradient of prompt i's hint,  hint_scale / 2 sum of (x_j - f(e_j))^2  over its
 * tokens of y and inputs j in use, x being what goes into layer hint_layer. */
static void icl__hint_task(void *arg, size_t i, int thread)
{
  icl__work *w = (icl__work *)arg;
  const icl__ops *ops = w->model->ops;
  size_t C = (size_t)w->model->config.n_embd, d = (size_t)w->model->config.n_dims, k;
  (void)thread;
  for (k = i * w->T + 1; k < (i + 1) * w->T; k += 2) {
    ops->axpy(w->d_in + k * C, w->hint_scale, w->acts[w->layer].x + k * C, w->hint_dims);
    ops->axpy(w->d_in + k * C, -w->hint_scale, w->hints + i * d, w->hint_dims);
  }
}

/* Adds the gradient of the microbatch that is in w to w->grads. */
static void icl__backward(icl__work *w)
{
  size_t L = (size_t)w->model->config.n_layer, H = (size_t)w->model->config.n_head, l = L, rows;
  while (l--) {
    float *swap = w->d_out;
    w->layer = l;
    rows = w->prompts * icl__kept_in(w, l, w->T);
    icl__pool_run(&w->pool, icl__tasks(w, rows), icl__d_after_attention, w);
    icl__pool_run(&w->pool, w->prompts * H + icl__tiles(w, 1) + icl__tiles(w, 2) + icl__tiles(w, 3),
                  icl__d_heads_task, w);
    icl__pool_run(&w->pool, icl__tasks(w, w->prompts * w->T) + icl__tiles(w, 0), icl__d_rows_task,
                  w);
    if (l && l == w->hint_layer && w->hint_scale > 0)
      icl__pool_run(&w->pool, w->prompts, icl__hint_task, w);
    w->d_out = w->d_in;
    w->d_in = swap;
  }
  icl__pool_run(&w->pool, 3 + L, icl__outer_task, w);
}

/* ---------------------------------------------------------------------------------------------
 * >>optimizer
 * ------------------------------------------------------------------------------------------- */
/* A norm is summed up in blocks of so many floats. */
enum { ICL__BLOCK = 1024, ICL__NORM_CHUNK = 32 };
static size_t icl__blocks(const icl_trainer *t) { return (t->n + ICL__BLOCK - 1) / ICL__BLOCK; }

/* Floats that one thread needs for a step of Muon: two matrices [C][4C], two [C][C]. */
static size_t icl__newton_floats(const icl_trainer *t)
{
  size_t C = (size_t)t->o.model.n_embd;
  return t->o.optimizer == ICL_MUON ? icl__times(10 * C, C) : 0;
}

static float icl__lr_now(const icl_trainer *t)
{
  const icl_train_options *o = &t->o;
  int64_t s = t->step + 1;
  double x, lr = (double)o->lr;
  if (s <= o->warmup) return (float)(lr * (double)s / (double)o->warmup);
  if (o->schedule == ICL_LR_INVERSE_SQRT) return (float)(lr * sqrt((double)o->warmup / (double)s));
  if (o->schedule == ICL_LR_CONSTANT) return o->lr;
  x = (double)(s - o->warmup) / (double)(o->steps > o->warmup ? o->steps - o->warmup : 1);
  if (x > 1) x = 1;
  x = o->schedule == ICL_LR_LINEAR ? 1 - x : 0.5 * (1 + icl__cos_of(3.14159265358979 * x));
  return (float)(lr * ((double)o->lr_end + (1 - (double)o->lr_end) * x));
}

typedef struct icl__update { icl_trainer *t; icl__adam k; float lr; } icl__update;

static void icl__adam_chunk(void *arg, size_t i, int thread)
{
  icl__update *u = (icl__update *)arg;
  icl_trainer *t = u->t;
  size_t at = i * ICL__ADAM_CHUNK, n = icl__min(ICL__ADAM_CHUNK, t->n - at);
  (void)thread;
  icl__train_ops_of(&t->model)->adam(t->params + at, t->m + at, t->v + at, t->grad + at, n, &u->k);
}

/* Adds the pieces of tensor `row` of the table, the first of which begins at params[at], to
 * t->pieces if that is there: queries, keys and values are three matrices in one tensor. */
static void icl__add_pieces(icl_trainer *t, int row, size_t at)
{
  icl_tensor x;
  size_t i, n;
  int muon;
  icl_tensor_at(&t->o.model, row, &x);
  muon = t->o.optimizer == ICL_MUON && x.rank == 2 && x.layer >= 0;
  n = muon && strstr(x.name, "c_attn") ? 3 : 1;
  for (i = 0; i < n; i++) {
    icl__piece *p = t->pieces ? &t->pieces[t->n_pieces] : NULL;
    t->n_pieces++;
    if (!p) continue;
    p->rows = (size_t)x.rows;
    p->stride = (size_t)x.cols;
    p->cols = p->stride / n;
    p->at = at + i * p->cols;
    p->v_at = t->n_v;
    p->muon = muon;
  }
  if (!muon) t->n_v += icl__tensor_floats(&x);
}

/* Counts pieces and second moments, and sets t->pieces if that is there. */
static void icl__set_pieces(icl_trainer *t)
{
  icl_tensor x;
  size_t at = 0;
  int row;
  t->n_pieces = t->n_v = 0;
  for (row = 0; row < icl_tensor_count(&t->o.model); row++) {
    icl__add_pieces(t, row, at);
    icl_tensor_at(&t->o.model, row, &x);
    at += icl__tensor_floats(&x);
  }
}

/* c[m][n] = a[m][k] B, where B is b[k][n], or the transpose of b[n][k]. */
static void icl__newton_product(const icl_trainer *t, int thread, float *c, const float *a,
                                const float *b, size_t m, size_t k, size_t n, int transposed)
{
  icl__mm g;
  memset(&g, 0, sizeof g);
  g.m = m; g.n = n; g.k = k;
  g.a = a; g.a_row = k; g.a_col = 1;
  g.b = b; g.b_row = transposed ? 1 : n; g.b_col = transposed ? k : 1;
  g.c = c; g.c_row = n;
  g.pack = t->work.thread[thread].pack; g.n_pack = t->work.n_pack;
  t->model.ops->mm(&g);
}

/* x[m][n], m <= n, to a matrix with the same singular vectors and singular values near 1: five
 * times  A = X X';  X = a X + (b A + c A A) X  with the coefficients of Jordan et al. (Muon, 2024).
 * The result is in x; y[m][n], A[m][m] and B[m][m] are scratch. */
static void icl__orthogonalize(const icl_trainer *t, int thread, float *x, float *y, float *A,
                               float *B, size_t m, size_t n)
{
  const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  size_t i;
  int round;
  for (round = 0; round < 5; round++) {
    icl__newton_product(t, thread, A, x, x, m, n, m, 1);
    icl__newton_product(t, thread, B, A, A, m, m, m, 0);
    for (i = 0; i < m * m; i++) B[i] = b * A[i] + c * B[i];
    for (i = 0; i < m; i++) B[i * m + i] += a;
    icl__newton_product(t, thread, y, B, x, m, m, n, 0);
    memcpy(x, y, m * n * sizeof(float));
  }
}

/* Muon (Jordan et al. 2024), steps as large as Adam's (Liu et al. 2025, arXiv 2502.16982):
 *     m = momentum m + g;  O = orthogonalize(g + momentum m);
 *     p = (1 - lr wd) p - lr 0.2 sqrt(max(rows, cols)) O */
static void icl__muon_step(const icl__update *u, const icl__piece *p, int thread)
{
  icl_trainer *t = u->t;
  const float mu = t->o.momentum;
  size_t m = icl__min(p->rows, p->cols), n = icl__max(p->rows, p->cols), i, j;
  float *x = t->work.scratch + (size_t)thread * icl__newton_floats(t);
  float *y = x + m * n, *A = y + m * n;
  float norm, rate = u->lr * 0.2f * sqrtf((float)n);
  size_t di = p->rows <= p->cols ? n : 1, dj = p->rows <= p->cols ? 1 : n;   /* x is [m][n] */
  for (i = 0; i < p->rows; i++)
    for (j = 0; j < p->cols; j++) {
      size_t at = p->at + i * p->stride + j;
      float g = t->grad[at] * u->k.grad_scale;
      t->m[at] = mu * t->m[at] + g;
      x[i * di + j * dj] = g + mu * t->m[at];
    }
  norm = sqrtf(t->model.ops->dot(x, x, m * n));
  if (!(norm > 0.0f)) return;
  for (i = 0; i < m * n; i++) x[i] /= norm;
  icl__orthogonalize(t, thread, x, y, A, A + m * m, m, n);
  for (i = 0; i < p->rows; i++)
    for (j = 0; j < p->cols; j++) {
      float *w = t->params + p->at + i * p->stride + j;
      *w = u->k.decay * *w - rate * x[i * di + j * dj];
    }
}

static void icl__muon_piece(void *arg, size_t i, int thread)
{
  icl__update *u = (icl__update *)arg;
  icl_trainer *t = u->t;
  const icl__piece *p = &t->pieces[i];
  if (p->muon) icl__muon_step(u, p, thread);
  else
    icl__train_ops_of(&t->model)->adam(t->params + p->at, t->m + p->at, t->v + p->v_at,
                                       t->grad + p->at, p->rows * p->cols, &u->k);
}

typedef struct icl__norm_of { icl_trainer *t; const float *x; } icl__norm_of;

/* Squares of a chunk of blocks.  Infinity where a block's overflow a float, from 1.8e19 on. */
static void icl__norm_chunk(void *arg, size_t chunk, int thread)
{
  const icl__norm_of *a = (const icl__norm_of *)arg;
  icl_trainer *t = a->t;
  size_t i = chunk * ICL__NORM_CHUNK, end = icl__min(icl__blocks(t), i + ICL__NORM_CHUNK);
  (void)thread;
  for (; i < end; i++) {
    const float *x = a->x + i * ICL__BLOCK;
    t->squares[i] = t->model.ops->dot(x, x, icl__min(ICL__BLOCK, t->n - i * ICL__BLOCK));
  }
}

/* |x| of x[t->n], the blocks in order. */
static double icl__norm(icl_trainer *t, const float *x)
{
  icl__norm_of a;
  double sum = 0;
  size_t i, n = icl__blocks(t);
  a.t = t;
  a.x = x;
  icl__pool_run(&t->work.pool, (n + ICL__NORM_CHUNK - 1) / ICL__NORM_CHUNK, icl__norm_chunk, &a);
  for (i = 0; i < n; i++) sum += (double)t->squares[i];
  return sqrt(sum);
}

/* 1 if an update of Adam's leaves every weight and moment finite, as computed for each. */
static int icl__adam_fits(const icl_trainer *t, const icl__adam *k)
{
  size_t i;
  for (i = 0; i < t->n; i++) {
    float g = t->grad[i] * k->grad_scale, x[3];
    x[0] = k->beta1 * t->m[i] + (1 - k->beta1) * g;
    x[1] = k->beta2 * t->v[i] + (1 - k->beta2) * g * g;
    x[2] = k->decay * t->params[i] - k->rate * x[0] / (k->root_v * sqrtf(x[1]) + k->eps);
    x[2] *= 1.001f;                                        /* the kernel may round otherwise */
    if (!icl__finite(x, 3)) return 0;
  }
  return 1;
}

/* 1 if the update leaves every weight finite.  Norms bound what it can do, and are far from that
 * limit in any ordinary run.  Beyond, Adam's update is looked at weight by weight; Muon's, whose
 * products would overflow, is not made. */
static int icl__update_fits(icl_trainer *t, const icl__adam *k, double grad_norm)
{
  double p = icl__norm(t, t->params), m = icl__norm(t, t->m);
  double step = (double)k->rate * (m > grad_norm ? m : grad_norm) / (double)k->eps;
  if (p * fabs((double)k->decay) + step < 1e38 && m + grad_norm < 1e18) return 1;
  return t->o.optimizer == ICL_ADAM && icl__adam_fits(t, k);
}

/* ema += (1 - decay) (params - ema), with less decay at first. */
static void icl__average(icl_trainer *t)
{
  float u = (float)t->updates, early = (1 + u) / (10 + u), keep = t->o.ema;
  size_t i;
  if (!t->ema) return;
  if (keep > early) keep = early;
  for (i = 0; i < t->n; i++) t->ema[i] += (1 - keep) * (t->params[i] - t->ema[i]);
}

/* Adam (Kingma and Ba 2015) with decoupled decay (Loshchilov and Hutter 2019), as PyTorch counts
 * it: p -= lr wd p;  p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).
 * 0, with nothing changed, if a weight would not be finite. */
static int icl__apply(icl_trainer *t, double norm, float lr)
{
  icl__update u;
  const int64_t k = t->updates + 1;
  double c1, c2;
  c1 = 1 - icl__power((double)t->o.beta1, k);
  c2 = 1 - icl__power((double)t->o.beta2, k);
  u.t = t;
  u.lr = lr;
  u.k.beta1 = t->o.beta1;
  u.k.beta2 = t->o.beta2;
  u.k.eps = t->o.epsilon;
  u.k.rate = (float)((double)lr / c1);
  u.k.root_v = (float)(1 / sqrt(c2));
  u.k.decay = 1.0f - lr * t->o.weight_decay;
  u.k.grad_scale = 1.0f;
  if (t->o.clip > 0.0f && norm > (double)t->o.clip)
    u.k.grad_scale = (float)((double)t->o.clip / (norm + 1e-6));
  if (!icl__update_fits(t, &u.k, norm)) return 0;
  t->updates++;
  if (t->o.optimizer == ICL_MUON)
    icl__pool_run(&t->work.pool, t->n_pieces, icl__muon_piece, &u);
  else
    icl__pool_run(&t->work.pool, (t->n + ICL__ADAM_CHUNK - 1) / ICL__ADAM_CHUNK, icl__adam_chunk,
                  &u);
  icl__average(t);
  return 1;
}

/* ---------------------------------------------------------------------------------------------
 * >>trainer
 * ------------------------------------------------------------------------------------------- */
enum { ICL__MAX_SHARDS = 256 };

/* The options that are numbers: what they are by default, from where to where they go, without the
 * ends that `open` names, and in which runs they decide what is computed.  Ranges that depend on
 * other options are in icl__check_options. */
enum { ICL__INT, ICL__LONG, ICL__REAL };
enum { ICL__ABOVE = 1, ICL__BELOW = 2 };
enum {
  ICL__OF_NONE, ICL__OF_ALL, ICL__OF_AN_END, ICL__OF_MUON, ICL__OF_AVERAGE, ICL__OF_HINTS,
  ICL__OF_SHARDS
};

typedef struct icl__field {
  const char *name;
  int kind;
  size_t at, size;                 /* in icl_train_options                                    */
  double usual, least, most;
  int open, role;
  const char *words;               /* of a choice: "a|b|c"                                    */
} icl__field;

#define ICL__FLOAT_MAX 3.4028234663852886e38
#define ICL__FIELD(name, member, kind, usual, least, most, open, role, words) \
  {name, ICL__##kind, offsetof(icl_train_options, member), \
   sizeof ((icl_train_options *)0)->member, usual, least, most, open, ICL__OF_##role, words}
#define ICL__SHAPE(name, words) \
  ICL__FIELD(#name, model.name, INT, 0, -2147483648.0, 2147483647.0, 0, ALL, words)
static const icl__field icl__fields[] = {
  ICL__SHAPE(n_dims, NULL),
  ICL__SHAPE(n_embd, NULL),
  ICL__SHAPE(n_head, NULL),
  ICL__SHAPE(n_layer, NULL),
  ICL__SHAPE(n_positions, NULL),
  ICL__SHAPE(n_out, NULL),
  ICL__SHAPE(position_embedding_type, "learned|sinusoidal|none|alternating"),
  ICL__SHAPE(activation_function, "gelu_new|gelu|relu"),
  ICL__FIELD("layer_norm_epsilon", model.layer_norm_epsilon, REAL, 0, 0, ICL__FLOAT_MAX, 0, ALL,
             NULL),
  ICL__SHAPE(tokens, "apart|joint"),
  ICL__FIELD("inputs", sampling.inputs, INT, 0, 0, ICL_INPUTS_DATA, 0, ALL, "normal|uniform|data"),
  ICL__FIELD("order", sampling.order, INT, 0, 0, 1, 0, ALL, NULL),
  ICL__FIELD("standardize", sampling.standardize, INT, 0, 0, 1, 0, ALL, NULL),
  ICL__FIELD("x_scale", sampling.x_scale, REAL, 1, 0, ICL__FLOAT_MAX, 0, ALL, NULL),
  ICL__FIELD("y_scale", sampling.y_scale, REAL, 1, 0, ICL__FLOAT_MAX, 0, ALL, NULL),
  ICL__FIELD("pairs", pairs, INT, 0, 1, ICL__MAX_PAIRS, 0, ALL, NULL),
  ICL__FIELD("batch", batch, INT, 64, 1, ICL__MAX_BATCH, 0, ALL, NULL),
  ICL__FIELD("steps", steps, LONG, 0, 1, 1099511627776.0, 0, AN_END, NULL),
  ICL__FIELD("schedule", schedule, INT, 0, 0, ICL_LR_LINEAR, 0, ALL,
             "constant|inverse-sqrt|cosine|linear"),
  ICL__FIELD("lr", lr, REAL, 1e-4, 0, 10, ICL__ABOVE | ICL__BELOW, ALL, NULL),
  ICL__FIELD("warmup", warmup, LONG, 0, 0, 1099511627776.0, 0, ALL, NULL),
  ICL__FIELD("lr_end", lr_end, REAL, 0, 0, 1, 0, ALL, NULL),
  ICL__FIELD("optimizer", optimizer, INT, 0, 0, ICL_MUON, 0, ALL, "adam|muon"),
  ICL__FIELD("momentum", momentum, REAL, 0.95, 0, 1, ICL__BELOW, MUON, NULL),
  ICL__FIELD("beta1", beta1, REAL, 0.9, 0, 1, ICL__BELOW, ALL, NULL),
  ICL__FIELD("beta2", beta2, REAL, 0.999, 0, 1, ICL__BELOW, ALL, NULL),
  ICL__FIELD("epsilon", epsilon, REAL, 1e-8, 0, 1, ICL__ABOVE | ICL__BELOW, ALL, NULL),
  ICL__FIELD("weight_decay", weight_decay, REAL, 0, 0, 10, ICL__BELOW, ALL, NULL),
  ICL__FIELD("clip", clip, REAL, 0, 0, ICL__FLOAT_MAX, 0, ALL, NULL),
  ICL__FIELD("ema", ema, REAL, 0, 0, 1, ICL__BELOW, AVERAGE, NULL),
  ICL__FIELD("init_sd", init_sd, REAL, 0.02, 0, 10, ICL__ABOVE | ICL__BELOW, ALL, NULL),
  ICL__FIELD("hint", hint, REAL, 0, 0, ICL__FLOAT_MAX, 0, HINTS, NULL),
  ICL__FIELD("hint_layer", hint_layer, INT, 0, 0, 2147483647.0, 0, HINTS, NULL),
  ICL__FIELD("dims_start", dims_start, INT, 0, 1, 4096, 0, ALL, NULL),
  ICL__FIELD("dims_every", dims_every, LONG, 0, 1, 9007199254740992.0, 0, ALL, NULL),
  ICL__FIELD("pairs_start", pairs_start, INT, 0, 1, ICL__MAX_PAIRS, 0, ALL, NULL),
  ICL__FIELD("pairs_add", pairs_add, INT, 2, 1, 2147483647.0, 0, ALL, NULL),
  ICL__FIELD("pairs_every", pairs_every, LONG, 0, 1, 9007199254740992.0, 0, ALL, NULL),
  ICL__FIELD("threads", threads, INT, 1, 1, ICL_MAX_THREADS, 0, NONE, NULL),
  ICL__FIELD("max_bad", max_bad, INT, 10, 1, 2147483647.0, 0, NONE, NULL),
  ICL__FIELD("rank", rank, INT, 0, 0, 2147483647.0, 0, NONE, NULL),
  ICL__FIELD("world", world, INT, 1, 1, ICL__MAX_BATCH, 0, NONE, NULL),
  ICL__FIELD("shards", shards, INT, 0, 0, ICL__MAX_SHARDS, 0, SHARDS, NULL)
};
#undef ICL__SHAPE
#undef ICL__FIELD
#define ICL__N_FIELDS (sizeof icl__fields / sizeof *icl__fields)

/* An int, or an enumeration of fewer bytes, as ABIs with short enumerations have it. */
static int icl__get_int(const char *p, size_t size)
{
  unsigned char byte;
  unsigned short half;
  int i;
  if (size == sizeof byte) { memcpy(&byte, p, sizeof byte); return byte; }
  if (size == sizeof half) { memcpy(&half, p, sizeof half); return half; }
  memcpy(&i, p, sizeof i);
  return i;
}

static void icl__put_int(char *p, size_t size, int i)
{
  unsigned char byte = (unsigned char)i;
  unsigned short half = (unsigned short)i;
  if (size == sizeof byte) memcpy(p, &byte, sizeof byte);
  else if (size == sizeof half) memcpy(p, &half, sizeof half);
  else memcpy(p, &i, sizeof i);
}

static double icl__field_value(const icl_train_options *o, const icl__field *f)
{
  const char *p = (const char *)o + f->at;
  int64_t l;
  float x;
  switch (f->kind) {
    case ICL__LONG: memcpy(&l, p, sizeof l); return (double)l;
    case ICL__REAL: memcpy(&x, p, sizeof x); return (double)x;
    default: return icl__get_int(p, f->size);
  }
}

static void icl__set_field(icl_train_options *o, const icl__field *f, double v)
{
  char *p = (char *)o + f->at;
  int64_t l = f->kind == ICL__LONG ? (int64_t)v : 0;
  float x = (float)v;
  if (f->kind == ICL__LONG) memcpy(p, &l, sizeof l);
  else if (f->kind == ICL__REAL) memcpy(p, &x, sizeof x);
  else icl__put_int(p, f->size, (int)v);
}

/* Gives the options that are zero their defaults. */
static void icl__set_defaults(icl_train_options *o)
{
  size_t i;
  for (i = 0; i < ICL__N_FIELDS; i++) {
    const icl__field *f = &icl__fields[i];
    if (f->usual > 0 && icl__field_value(o, f) == 0) icl__set_field(o, f, f->usual);
  }
  if (!o->model.n_out) o->model.n_out = 1;
  if (o->model.layer_norm_epsilon == 0.0f) o->model.layer_norm_epsilon = 1e-5f;
}

void icl_train_defaults(icl_train_options *o)
{
  if (!o) return;
  memset(o, 0, sizeof *o);
  icl__set_defaults(o);
  o->complete = 1;
}

/* Whatever is not given and has no default of its own. */
static void icl__default_options(icl_train_options *o)
{
  icl_config *c = &o->model;
  if (!c->n_out && c->n_quantiles >= 0 && c->n_quantiles <= ICL_MAX_QUANTILES)
    c->n_out = 1 + c->n_quantiles;
  if (!o->complete) icl__set_defaults(o);
  if (!c->n_positions && o->pairs > 0 && o->pairs <= ICL__MAX_PAIRS)
    c->n_positions = 2 * o->pairs - 1;
  if (o->hint > 0 && !o->hint_layer && c->n_layer > 1) o->hint_layer = c->n_layer - 1;
  if (o->sampling.x_scale == 0.0f) o->sampling.x_scale = 1;
  if (o->sampling.y_scale == 0.0f) o->sampling.y_scale = 1;
  if (o->schedule == ICL_LR_INVERSE_SQRT && !o->warmup) o->warmup = 5000;
  if (!o->dims_every && !o->dims_start) { o->dims_start = c->n_dims; o->dims_every = 1; }
  if (!o->pairs_every && !o->pairs_start) { o->pairs_start = o->pairs; o->pairs_every = 1; }
}

static void icl__line_long(icl__line *t, int64_t v)
{
  char digits[24];
  if (v < 0) icl__line_char(t, '-');
  digits[icl__put_uint(digits, v < 0 ? 0 - (uint64_t)v : (uint64_t)v)] = 0;
  icl__line_put(t, digits);
}

/* A value of the table's, as people write it. */
static void icl__line_value(icl__line *t, const icl__field *f, double v)
{
  const char *word = f->words;
  int i;
  if (!word && f->kind == ICL__REAL) icl__line_number(t, (float)v);
  if (!word && f->kind != ICL__REAL) icl__line_long(t, (int64_t)v);
  for (i = 0; word && i < (int)v && *word; word++) i += *word == '|';
  for (; word && *word && *word != '|'; word++) icl__line_char(t, *word);
}

/* Reports "lr must be from 0 to 10, not 11". */
static icl_error icl__out_of_range(icl_report *r, const icl__field *f, double most, double value)
{
  char what[sizeof r->text];
  icl__line t = icl__line_on(what, sizeof what);
  icl__line_put(&t, f->name);
  if (most >= ICL__FLOAT_MAX) {
    icl__line_put(&t, " must be finite and at least ");
    icl__line_value(&t, f, f->least);
  } else {
    icl__line_put(&t, f->open & ICL__ABOVE ? " must be above " : " must be from ");
    icl__line_value(&t, f, f->least);
    icl__line_put(&t, !(f->open & ICL__BELOW) ? " to " : f->open & ICL__ABOVE ? " and below "
                                                                              : " to below ");
    icl__line_value(&t, f, most);
  }
  icl__line_put(&t, ", not ");
  icl__line_value(&t, f, value);
  return icl__fail(r, ICL_ERR_CONFIG, 0, what, NULL);
}

static icl_error icl__check_field(const icl_train_options *o, const icl__field *f, icl_report *r)
{
  double v = icl__field_value(o, f), most = f->most;
  if (!strcmp(f->name, "dims_start") && o->model.n_dims > 0) most = o->model.n_dims;
  if (!strcmp(f->name, "pairs_start")) most = o->pairs;
  if (v >= f->least && v <= most && !(f->open & ICL__ABOVE && v <= f->least)
      && !(f->open & ICL__BELOW && v >= most))
    return ICL_OK;
  if (f->words) return icl__fail(r, ICL_ERR_CONFIG, 0, "unknown", f->name);
  return icl__out_of_range(r, f, most, v);
}

/* The options after their defaults; names the first that is out of range. */
static icl_error icl__check_options(const icl_train_options *o, icl_report *r)
{
  size_t i;
  icl_error err;
  if (!o->dims_start != !o->dims_every)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "dims_start and dims_every go together", NULL);
  if (!o->pairs_start != !o->pairs_every)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "pairs_start and pairs_every go together", NULL);
  if (o->model.n_dims > 0)                   /* else icl_config_check has a better word for it */
    for (i = 0; i < ICL__N_FIELDS; i++)
      if ((err = icl__check_field(o, &icl__fields[i], r))) return err;
  if (o->rank >= o->world || o->world > o->batch)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "rank must be below world, and world at most batch",
                     NULL);
  if (o->shards && (o->shards < o->world || o->shards > o->batch))
    return icl__fail(r, ICL_ERR_CONFIG, 0, "shards must be from world to batch", NULL);
  if (o->world > 1 && !o->reduce)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "reduce is needed where world is above 1", NULL);
  if (o->model.position_embedding_type == ICL_POSITION_LEARNED
      && o->model.n_positions < 2 * o->pairs - 1)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "fewer positions than tokens:", "n_positions");
  if (o->model.position_embedding_type == ICL_POSITION_SINUSOIDAL && o->pairs > ICL__MAX_SINUSOIDS)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "more than 49999 with sinusoidal positions:", "pairs");
  if ((err = icl_config_check(&o->model, r)) || !(o->hint > 0)) return err;
  if (!o->task || o->sampling.standardize || o->sampling.inputs == ICL_INPUTS_DATA)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "hint is for a task whose prompts are not scaled", NULL);
  if (o->hint_layer < 1 || o->hint_layer >= o->model.n_layer)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "must be from 1 to below n_layer:", "hint_layer");
  if (o->model.n_embd < o->model.n_dims)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "hint needs a width of n_dims or more", NULL);
  return ICL_OK;
}

/* Shard s of S has the prompts s, s + S, s + 2 S, .. of a batch; a process has the shards rank,
 * rank + world, .. */
static size_t icl__shard_count(const icl_train_options *o)
{
  return (size_t)(o->shards ? o->shards : o->world);
}

static size_t icl__shard_size(const icl_train_options *o, size_t shard)
{
  size_t S = icl__shard_count(o);
  return ((size_t)o->batch - shard + S - 1) / S;
}

static size_t icl__own_shards(const icl_train_options *o)
{
  return (icl__shard_count(o) - (size_t)o->rank + (size_t)o->world - 1) / (size_t)o->world;
}

/* Prompts of a step that this process draws. */
static size_t icl__local_batch(const icl_train_options *o)
{
  size_t s, n = 0;
  for (s = (size_t)o->rank; s < icl__shard_count(o); s += (size_t)o->world)
    n += icl__shard_size(o, s);
  return n;
}

/* A message of processes is one float for each 16 bits: ICL__WORDS words from each of them, or a
 * text of one of them. */
enum { ICL__RUN_IS, ICL__STEP_IS, ICL__WEIGHTS_ARE, ICL__VOTES_ARE, ICL__EXPONENT_IS, ICL__WORDS };
enum { ICL__RUN_TEXT = 6144 };

static size_t icl__message_floats(const icl_train_options *o)
{
  size_t all = icl__times((size_t)o->world, 4 * ICL__WORDS);
  return o->world > 1 ? icl__max(all, ICL__RUN_TEXT) : 0;
}

/* Counts or places a trainer's memory. */
static void icl__place_trainer(icl_trainer *t, icl__arena *mem)
{
  t->pieces = t->o.optimizer == ICL_MUON
            ? (icl__piece *)icl__take(mem, t->n_pieces, sizeof(icl__piece)) : NULL;
  t->params = icl__take_floats(mem, t->n_state);
  t->grad = icl__take_floats(mem, t->n + 1);
  t->loss = icl__take_floats(mem, icl__shard_size(&t->o, (size_t)t->o.rank));
  t->shards = t->o.shards ? icl__take_floats(mem, icl__times(icl__max(2, icl__own_shards(&t->o)),
                                                             t->n + 1)) : NULL;
  t->message = icl__take_floats(mem, icl__message_floats(&t->o));
  t->squares = icl__take_floats(mem, icl__blocks(t));
  icl__place_work(&t->work, mem);
}

/* Streams of the generator: below 2^40 those of the steps. */
#define ICL__STREAM_INIT ((uint64_t)1 << 40)
#define ICL__STREAM_TYPICAL ((uint64_t)1 << 41)

/* The first weights; tensor i of the table is sequence i of its own stream. */
static void icl__init_params(icl_trainer *t)
{
  const icl_config *c = &t->o.model;
  float residual = t->o.init_sd / sqrtf(2.0f * (float)c->n_layer), *p = t->params;
  int i, n = icl_tensor_count(c);
  for (i = 0; i < n; i++) {
    icl_tensor x;
    icl_rng rng;
    size_t k, size;
    const char *name;
    int outer, gain, bias;
    icl_tensor_at(c, i, &x);
    size = icl__tensor_floats(&x);
    name = x.name + strlen(x.name);
    bias = name[-1] == 's';                                  /* .bias, else .weight */
    outer = strncmp(x.name, "_read", 5) == 0;
    gain = x.rank == 1 && !bias;
    icl_rng_init(&rng, t->o.seed, ICL__STREAM_INIT, (uint64_t)i);
    for (k = 0; k < size; k++) {
      float fan_in = (float)(x.name[6] == 'o' ? c->n_embd : icl__token_size(c));
      if (gain) p[k] = 1.0f;
      else if (outer) p[k] = (2.0f * icl_rng_uniform(&rng) - 1.0f) / sqrtf(fan_in);
      else if (bias) p[k] = 0.0f;
      else p[k] = (strstr(x.name, "c_proj") ? residual : t->o.init_sd) * icl_rng_normal(&rng);
    }
    p += size;
  }
}

/* The first weights from o.from, whose life need not be longer than this call. */
static icl_error icl__copy_params(icl_trainer *t, icl_report *r)
{
  const icl_model *from = t->o.from;
  icl_error err;
  if (icl__digest_config(&from->config) != icl__digest_config(&t->o.model))
    return icl__fail(r, ICL_ERR_CONFIG, 0, "the model to start from has another shape", NULL);
  if ((err = icl_model_params(from, t->params)) != ICL_OK)
    return icl__fail(r, err, 0, "no weights to start from", NULL);
  t->from = icl__digest(1, t->params, t->n * sizeof *t->params);
  t->o.from = NULL;
  return ICL_OK;
}

/* w->grads[slot] into one block g[n], as params. */
static void icl__point_grads(icl_trainer *t, float *g)
{
  int i, n = icl_tensor_count(&t->o.model);
  for (i = 0; i < n; i++) {
    icl_tensor x;
    icl_tensor_at(&t->o.model, i, &x);
    t->work.grads[icl__slot_of_row(&t->o.model, i)] = g;
    g += icl__tensor_floats(&x);
  }
}

/* Decides all sizes; o and task are checked.  Returns a trainer's bytes, SIZE_MAX: too many. */
static size_t icl__size_trainer(icl_trainer *t)
{
  icl__arena count = icl__arena_on(NULL);
  t->n = icl_param_count(&t->o.model);
  if (!t->n) return SIZE_MAX;
  icl__set_pieces(t);
  t->n_state = 2 * t->n + t->n_v + (t->o.ema > 0 ? t->n : 0);
  t->model.config = t->o.model;                              /* for counting; bound below */
  t->work.model = &t->model;
  t->work.training = 1;
  t->work.max_pairs = (size_t)t->o.pairs;
  t->work.hint_layer = t->o.hint > 0 ? (size_t)t->o.hint_layer : 0;
  t->work.n_scratch = icl__times((size_t)t->o.threads, icl__newton_floats(t));
  t->work.n_function = t->o.task ? icl_prompt_scratch(&t->task) : 0;
  icl__choose_sizes(&t->work, icl__shard_size(&t->o, (size_t)t->o.rank));
  icl__place_trainer(t, &count);
  return icl__arena_need(&count);
}

/* Memory and first weights. */
static icl_error icl__build_trainer(icl_trainer *t, icl_report *r)
{
  size_t bind = icl_bind_bytes(&t->o.model), bytes = icl__size_trainer(t);
  icl__arena mem;
  icl_error err;
  if (!t->n) return icl__fail(r, ICL_ERR_LIMIT, 0, "too many parameters", NULL);
  if (bytes > SIZE_MAX - 2 * bind || !(t->block = ICL_MALLOC(bytes + 2 * bind)))
    return icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for training", NULL);
  icl__advise(t->block, bytes);
  memset(t->block, 0, bytes + 2 * bind);
  mem = icl__arena_on(t->block);
  icl__place_trainer(t, &mem);
  t->m = t->params + t->n;
  t->v = t->m + t->n;
  t->ema = t->o.ema > 0 ? t->v + t->n_v : NULL;
  if (t->pieces) icl__set_pieces(t);
  icl_model_bind(&t->model, &t->o.model, t->params, (char *)t->block + bytes, bind);
  icl_model_bind(&t->average, &t->o.model, t->ema ? t->ema : t->params,
                 (char *)t->block + bytes + bind, bind);
  icl__point_grads(t, t->grad);
  if (!t->o.from) icl__init_params(t);
  else if ((err = icl__copy_params(t, r)) != ICL_OK) return err;
  if (t->ema) memcpy(t->ema, t->params, t->n * sizeof(float));
  return ICL_OK;
}

icl_error icl_trainer_new(icl_trainer **out, const icl_train_options *o, icl_report *r)
{
  icl_trainer *t;
  icl_error err;
  if (!out || !o || (!o->task && !o->own_prompts && !o->draw))
    return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "options or task");
  if ((o->task != NULL) + (o->own_prompts != 0) + (o->draw != NULL) > 1)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "task, draw and own_prompts contradict each other",
                     NULL);
  if (o->draw && (o->sampling.inputs || o->sampling.order || o->dims_start))
    return icl__fail(r, ICL_ERR_CONFIG, 0, "inputs, order and dims_start are for a task", NULL);
  t = (icl_trainer *)ICL_MALLOC(sizeof *t);
  if (!t) return icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for training", NULL);
  memset(t, 0, sizeof *t);
  t->o = *o;
  icl__default_options(&t->o);
  err = icl__check_options(&t->o, r);
#ifndef ICL_TRAIN_THREADS
  t->o.threads = 1;
#endif
  if (!err && o->task)
    err = icl_task_parse(&t->task, o->task, o->model.n_dims, o->own, o->n_own, r);
  if (!err && o->task) {
    if (icl_task_print(&t->task, t->text, sizeof t->text) >= sizeof t->text)
      err = icl__fail(r, ICL_ERR_LIMIT, 0, "the task's text is too long", NULL);
    t->o.task = t->text;
  }
  if (!err && !o->own_prompts) icl_sampling_print(&o->sampling, t->sampling, sizeof t->sampling);
  if (!err) {
    icl__pool_start(&t->work.pool, t->o.threads, 1);
    err = icl__build_trainer(t, r);
    if (err) icl__pool_stop(&t->work.pool);
  }
  if (err) { ICL_FREE(t->block); ICL_FREE(t); return err; }
  *out = t;
  return icl__ok(r);
}

void icl_trainer_delete(icl_trainer *t)
{
  if (!t) return;
  icl__pool_stop(&t->work.pool);
  ICL_FREE(t->block);
  ICL_FREE(t);
}

const icl_model *icl_trainer_model(const icl_trainer *t) { return t ? &t->model : NULL; }
const icl_model *icl_trainer_result(const icl_trainer *t) { return t ? &t->average : NULL; }
const icl_train_options *icl_trainer_options(const icl_trainer *t) { return t ? &t->o : NULL; }
float *icl_trainer_params(icl_trainer *t) { return t ? t->params : NULL; }
const float *icl_trainer_grads(const icl_trainer *t) { return t ? t->grad : NULL; }

static int icl__dims_now(const icl_trainer *t)
{
  int64_t d = t->o.dims_start + t->step / t->o.dims_every;
  return d < t->o.model.n_dims ? (int)d : t->o.model.n_dims;
}

static int icl__pairs_now(const icl_trainer *t)
{
  int64_t grown = t->step / t->o.pairs_every;
  int64_t p = grown > t->o.pairs ? t->o.pairs : t->o.pairs_start + grown * t->o.pairs_add;
  return p < t->o.pairs ? (int)p : t->o.pairs;
}

/* Prompt `index` of a stream from the trainer's source, into place at of the microbatch.  Its first
 * `known` pairs are the context; 0: a number that is drawn.  1: done. */
static int icl__source_prompt(icl_trainer *t, uint64_t stream, uint64_t index, int dims, int known,
                              size_t at, int thread)
{
  icl__work *w = &t->work;
  size_t d = (size_t)t->o.model.n_dims, P = w->pairs;
  float *xs = w->xs + at * P * d, *ys = w->ys + at * P;
  icl_sampling sampling = t->o.sampling;
  icl_rng rng;
  icl_rng_init(&rng, t->o.seed, stream, index);
  if (t->o.draw)
    return icl__prompt_own(t->o.draw, t->o.draw_user, &sampling, &rng, (int)d, (int)P, known, xs,
                           ys) == ICL_OK;
  sampling.dims_active = dims;
  return icl__prompt_sample(&t->task, &sampling, &rng, (int)P, known, xs, ys, NULL,
                            w->thread[thread].function) == ICL_OK;
}

/* What the hint of prompt i tells: the function that was drawn last, at the unit vectors of the
 * inputs in use; 0 where one is not finite. */
static int icl__put_hints(icl_trainer *t, size_t i, int thread)
{
  icl__work *w = &t->work;
  size_t d = (size_t)t->o.model.n_dims, j;
  float *e = w->thread[thread].d_ln, *hint = w->hints + i * d;         /* e[C] at least, C >= d */
  memset(e, 0, d * sizeof(float));
  for (j = 0; j < w->hint_dims; j++) {
    e[j] = t->o.sampling.x_scale;
    hint[j] = icl_function_eval(w->thread[thread].function, e, &t->task);
    e[j] = 0;
  }
  return icl__finite(hint, w->hint_dims);
}

/* Draws prompt i of the microbatch, or takes the caller's.  The loss becomes NaN without one. */
static void icl__train_begin(void *arg, size_t i, int thread)
{
  icl_trainer *t = (icl_trainer *)arg;
  icl__work *w = &t->work;
  size_t d = (size_t)t->o.model.n_dims, P = w->pairs, at = t->first + i;
  t->loss[at] = 0;
  if (t->given_x) {
    memcpy(w->xs + i * P * d, t->given_x + at * P * d, P * d * sizeof(float));
    memcpy(w->ys + i * P, t->given_y + at * P, P * sizeof(float));
  } else if (!icl__source_prompt(t, (uint64_t)t->step, t->shard + at * icl__shard_count(&t->o),
                                 icl__dims_now(t), 0, i, thread)
             || (w->hints && !icl__put_hints(t, i, thread))) {
    t->loss[at] = NAN;
  }
  icl__embed_task(w, i, thread);
}

/* Returns the squared error of one answer, and its share of the gradient in d[n_answer].  The loss
 * of a prediction p of y with quantiles q_1 .. q_Q of levels a_i is
 *     (p - y)^2 + 2/Q sum over i of max(a_i (y - q_i), (a_i - 1) (y - q_i)),
 * the second part being the pinball loss (Koenker and Bassett 1978). */
static float icl__answer_loss(const icl_config *cfg, float *d, const float *answer, float y,
                              float scale)
{
  float e = answer[0] - y, share = scale / (float)(cfg->n_quantiles ? cfg->n_quantiles : 1);
  int i;
  d[0] = scale * e;
  for (i = 0; i < cfg->n_quantiles; i++)
    d[1 + i] = share * ((answer[1 + i] > y ? 1.0f : 0.0f) - cfg->quantiles[i]);
  return e * e;
}

/* Squared error of prompt i of the microbatch, and the gradient down to the last block. */
static void icl__loss_task(void *arg, size_t i, int thread)
{
  icl_trainer *t = (icl_trainer *)arg;
  icl__work *w = &t->work;
  float scale = 2.0f / ((float)t->o.batch * (float)w->pairs), *loss = &t->loss[t->first + i];
  size_t k;
  icl__answers_task(w, i, thread);
  for (k = i * w->pairs; k < (i + 1) * w->pairs; k++)
    *loss += icl__answer_loss(&t->o.model, w->d_pred + k * w->n_answer,
                              w->preds + k * w->n_answer, w->ys[k], scale);
  icl__d_answers(w, i, thread);
}

/* Gradient of the shard: grad[n], and its part of the mean squared error behind it. */
static void icl__shard_gradient(icl_trainer *t, float *grad)
{
  icl__work *w = &t->work;
  size_t batch = icl__shard_size(&t->o, t->shard), i;
  double sum = 0;
  icl__point_grads(t, grad);
  memset(grad, 0, (t->n + 1) * sizeof(float));
  for (t->first = 0; t->first < batch; t->first += w->prompts) {
    w->prompts = icl__next_prompts(w, batch - t->first);
    icl__forward(w, icl__train_begin, t);
    icl__pool_run(&w->pool, w->prompts, icl__loss_task, t);
    icl__backward(w);
  }
  for (i = 0; i < batch; i++) sum += (double)t->loss[i];
  grad[t->n] = (float)(sum / ((double)t->o.batch * (double)w->pairs));
}

/* Gradients of this process's shards, t->shards[][n + 1] or, without options.shards,
 * t->grad[n + 1].  Returns their part of the loss. */
static double icl__gradient(icl_trainer *t)
{
  size_t own = icl__own_shards(&t->o), j, P, d = (size_t)t->o.model.n_dims;
  double loss = 0;
  icl__set_pairs(&t->work, P = (size_t)icl__pairs_now(t));
  t->work.hint_dims = (size_t)icl__dims_now(t);
  t->work.hint_scale = t->given_x ? 0 : 2 * t->o.hint / ((float)t->o.batch * (float)P);
  icl__pack_weights(&t->work);
  for (j = 0; j < own; j++) {
    float *grad = t->o.shards ? t->shards + j * (t->n + 1) : t->grad;
    t->shard = (size_t)t->o.rank + j * (size_t)t->o.world;
    icl__shard_gradient(t, grad);
    loss += (double)grad[t->n];
    if (!t->given_x) continue;
    t->given_x += icl__shard_size(&t->o, t->shard) * P * d;
    t->given_y += icl__shard_size(&t->o, t->shard) * P;
  }
  return loss;
}

icl_error icl_train_gradient(icl_trainer *t, const float *xs, const float *ys, float *loss)
{
  double sum;
  if (!t || !xs || !ys) return ICL_ERR_ARG;
  t->given_x = xs;
  t->given_y = ys;
  sum = icl__gradient(t);
  t->given_x = t->given_y = NULL;
  if (loss) *loss = (float)sum;
  return ICL_OK;
}

/* ----- the sum over shards and processes ------------------------------------------------------ */

/* The gradients g of S shards are added up exactly, so that their order does not matter.  With 2^E
 * above all |g| and B = 23 - ceil(log2 S), each is split, up to 2^(E - 2 B - 2), into
 *     g = 2^(E - B) (high + low / 2^(B + 1)),   whole numbers |high|, |low| <= 2^B:
 * their sums over shards are whole numbers below 2^24, which floats hold. */
enum { ICL__MAX_EXPONENT = 101, ICL__SUM_CHUNK = 1 << 14 };

static int icl__split_bits(const icl_train_options *o)
{
  int b = 0;
  while (1 << b < o->shards) b++;
  return 23 - b;
}

/* The least E, from -80 on, or ICL__MAX_EXPONENT where a gradient is not finite or above 1e30. */
static int icl__shard_exponent(const icl_trainer *t)
{
  size_t i, n = icl__own_shards(&t->o) * (t->n + 1);
  float most = 0;
  int e;
  for (i = 0; i < n; i++) {
    float x = fabsf(t->shards[i]);
    if (!(x <= 1e30f)) return ICL__MAX_EXPONENT;
    if (x > most) most = x;
  }
  frexpf(most, &e);
  return e > -80 ? e : -80;
}

static float icl__whole(float x) { return (float)(int32_t)(x < 0.0f ? x - 0.5f : x + 0.5f); }

/* A part of the shards' gradients to the sums of high and of low, in the rows of the first two. */
static void icl__split_chunk(void *arg, size_t chunk, int thread)
{
  icl_trainer *t = (icl_trainer *)arg;
  const int B = icl__split_bits(&t->o);
  const float scale = ldexpf(1.0f, B - t->exponent), fine = ldexpf(1.0f, B + 1);
  size_t row = t->n + 1, own = icl__own_shards(&t->o), i = chunk * ICL__SUM_CHUNK, j;
  size_t end = icl__min(row, i + ICL__SUM_CHUNK);
  (void)thread;
  for (; i < end; i++) {
    float high = 0, low = 0;
    for (j = 0; j < own; j++) {
      float x = t->shards[j * row + i] * scale, whole = icl__whole(x);
      high += whole;
      low += icl__whole((x - whole) * fine);
    }
    t->shards[i] = high;
    t->shards[row + i] = low;
  }
}

static void icl__join_chunk(void *arg, size_t chunk, int thread)
{
  icl_trainer *t = (icl_trainer *)arg;
  const int B = icl__split_bits(&t->o);
  const double scale = ldexp(1.0, t->exponent - B), fine = ldexp(1.0, -B - 1);
  size_t row = t->n + 1, i = chunk * ICL__SUM_CHUNK, end = icl__min(row, i + ICL__SUM_CHUNK);
  (void)thread;
  for (; i < end; i++)
    t->grad[i] = (float)(((double)t->shards[i] + (double)t->shards[row + i] * fine) * scale);
}

/* The whole batch's gradient in t->grad[n + 1], on all processes. */
static icl_error icl__sum_gradients(icl_trainer *t)
{
  size_t row = t->n + 1, chunks = (row + ICL__SUM_CHUNK - 1) / ICL__SUM_CHUNK, i;
  int bad = 0;
  if (!t->o.shards) {
    if (t->o.reduce) bad = t->o.reduce(t->o.user, t->grad, row);
  } else if (t->exponent == ICL__MAX_EXPONENT) {
    for (i = 0; i < row; i++) t->grad[i] = NAN;
  } else {
    icl__pool_run(&t->work.pool, chunks, icl__split_chunk, t);
    if (t->o.reduce) bad = t->o.reduce(t->o.user, t->shards, 2 * row);
    icl__pool_run(&t->work.pool, chunks, icl__join_chunk, t);
  }
  return bad ? ICL_ERR_IO : ICL_OK;
}

/* What the processes tell each other before they add up their gradients; see >>processes. */
static icl_error icl__meet(icl_trainer *t, int weights, icl_error failed, icl_report *r);

int icl_trainer_next(const icl_trainer *t, icl_train_info *info)
{
  if (!t) return 0;
  if (info) {
    memset(info, 0, sizeof *info);
    info->step = t->step;
    info->lr = icl__lr_now(t);
    info->dims = icl__dims_now(t);
    info->pairs = icl__pairs_now(t);
    info->skipped = t->skipped;
  }
  return (int)icl__local_batch(&t->o);
}

int icl_trainer_prompt(const icl_trainer *t, int i)
{
  size_t s, at = (size_t)i;
  if (!t || i < 0 || at >= icl__local_batch(&t->o)) return -1;
  for (s = (size_t)t->o.rank; at >= icl__shard_size(&t->o, s); s += (size_t)t->o.world)
    at -= icl__shard_size(&t->o, s);
  return (int)(s + at * icl__shard_count(&t->o));
}

icl_error icl_train_update(icl_trainer *t, icl_train_info *info)
{
  double norm;
  float lr, loss;
  int ok;
  icl_error err;
  if (!t) return ICL_ERR_ARG;
  if (t->o.shards) t->exponent = icl__shard_exponent(t);
  if ((err = icl__meet(t, !t->met || t->step % 1000 == 0, ICL_OK, &t->why)) != ICL_OK) return err;
  if ((err = icl__sum_gradients(t)) != ICL_OK) return err;
  norm = icl__norm(t, t->grad);
  loss = t->grad[t->n];
  lr = icl__lr_now(t);
  ok = icl__finite(&loss, 1) && norm <= 1e30;              /* false for NaN too */
  if (info) {
    info->loss = loss;
    info->grad_norm = (float)norm;
    info->lr = lr;
    info->dims = icl__dims_now(t);
    info->pairs = icl__pairs_now(t);
  }
  ok = ok && icl__apply(t, norm, lr);
  t->skipped += !ok;
  t->bad = ok ? 0 : t->bad + 1;
  t->step++;
  if (info) { info->step = t->step; info->skipped = t->skipped; }
  return t->bad >= t->o.max_bad ? ICL_ERR_NONFINITE : ICL_OK;
}

icl_error icl_train_step(icl_trainer *t, icl_train_info *info)
{
  if (!t || t->o.own_prompts) return ICL_ERR_ARG;
  icl__gradient(t);
  return icl_train_update(t, info);
}

/* ---------------------------------------------------------------------------------------------
 * >>files
 * A file is replaced whole: a temporary one beside it is written, flushed to the disk and renamed
 * over it, and the folder is flushed.  A crash leaves the old file or the new one.
 * ------------------------------------------------------------------------------------------- */
enum { ICL__MAX_PATH = 1068, ICL__TMP_DIGITS = 16 };     /* PATH.tmp.0123456789abcdef */

typedef struct icl__out {
#ifdef ICL__POSIX
  int fd;
#else
  FILE *file;
#endif
  char path[ICL__MAX_PATH + 1], tmp[ICL__MAX_PATH + 33];
  uint64_t digest;
  icl_report *r;
} icl__out;

/* Reports "what 'path': why"; why may be NULL.  A path too long for the report keeps both its ends,
 * so that the reason is always there. */
static icl_error icl__fail_path(icl_report *r, icl_error code, const char *what, const char *path,
                                const char *why)
{
  const size_t size = sizeof r->text, n = strlen(path);
  size_t fixed = strlen(what) + 4 + (why ? strlen(why) + 2 : 0), at, room, head;
  if (!r) return code;
  room = fixed + 16 < size ? size - fixed : 16;
  head = n <= room ? n : (room - 3) / 3;
  at = icl__append(r->text, size, 0, what, strlen(what));
  at = icl__append(r->text, size, at, " '", 2);
  at = icl__append(r->text, size, at, path, head);
  if (n > room) {
    at = icl__append(r->text, size, at, "...", 3);
    at = icl__append(r->text, size, at, path + n - (room - 3 - head), room - 3 - head);
  }
  at = icl__append(r->text, size, at, "'", 1);
  if (why) at = icl__append(r->text, size, at, ": ", 2);
  if (why) icl__append(r->text, size, at, why, strlen(why));
  r->code = code;
  r->offset = 0;
  return code;
}

/* A path of which a file can be made: not empty, not a folder's, not too long. */
static icl_error icl__check_path(const char *path, icl_report *r)
{
  size_t n = strlen(path);
  if (n > ICL__MAX_PATH) return icl__fail_path(r, ICL_ERR_LIMIT, "path too long:", path, NULL);
  if (n && path[n - 1] != '/') return ICL_OK;
  return icl__fail_path(r, ICL_ERR_IO, n ? "the name of a folder:" : "no name of a file:", path,
                        NULL);
}

#ifdef ICL__POSIX
/* A descriptor above the standard three, so that no message ends up in a checkpoint. */
static int icl__above_standard(int fd)
{
  int high;
  if (fd < 0 || fd > 2) return fd;
  high = fcntl(fd, F_DUPFD, 3);
  close(fd);
  return high;
}

/* open, fsync and rename that a signal does not end. */
static int icl__open(const char *path, int flags, mode_t mode)
{
  int fd;
  do fd = open(path, flags, mode); while (fd < 0 && errno == EINTR);
  return fd < 0 ? fd : icl__above_standard(fd);
}

static int icl__fsync(int fd)
{
  int bad;
  do bad = fsync(fd); while (bad && errno == EINTR);
  return bad;
}

static int icl__rename(const char *from, const char *to)
{
  int bad;
  do bad = rename(from, to); while (bad && errno == EINTR);
  return bad;
}

/* 64 bits that differ between processes, those with one number on two machines included: the
 * system's, and where it has none, the process's number and where its stack is.  For names only. */
static uint64_t icl__random_bits(int attempt)
{
  struct { uint64_t drawn[2]; int attempt; pid_t pid; const void *here; } s;
  int fd;
  memset(&s, 0, sizeof s);
  s.attempt = attempt;
  s.pid = getpid();
  s.here = &s;
  fd = icl__open("/dev/urandom", O_RDONLY, 0);
  if (fd >= 0) {
    if (read(fd, s.drawn, sizeof s.drawn) < 0) s.drawn[0] = 0;
    close(fd);
  }
  return icl__digest(0, &s, sizeof s);
}

static icl_error icl__write_all(icl__out *out, const void *data, size_t n)
{
  const char *p = (const char *)data;
  out->digest = icl__digest(out->digest, data, n);
  while (n) {
    ssize_t k = write(out->fd, p, n < (1 << 20) ? n : (1 << 20));
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0)
      return icl__fail_path(out->r, ICL_ERR_IO, "cannot write", out->path, strerror(errno));
    p += k;
    n -= (size_t)k;
  }
  return ICL_OK;
}

/* Replaces path[ICL__MAX_PATH + 1] by what its symbolic links lead to.  0: too long, in a circle,
 * or, with errno set, not to be read: taken for no link, one would be overwritten. */
static int icl__follow_links(char *path)
{
  char to[ICL__MAX_PATH + 1];
  int links;
  for (links = 0; links < 16; links++) {
    char *slash = strrchr(path, '/');
    ssize_t n = readlink(path, to, sizeof to);
    size_t folder;
    if (n < 0) return errno != EIO && errno != ENOMEM;     /* no link, or nothing there yet */
    folder = slash && to[0] != '/' ? (size_t)(slash - path) + 1 : 0;
    if (folder + (size_t)n > ICL__MAX_PATH) break;
    memcpy(path + folder, to, (size_t)n);
    path[folder + (size_t)n] = 0;
  }
  errno = 0;
  return 0;
}

/* real[ICL__MAX_PATH + 1] = the file that path leads to. */
static icl_error icl__real_path(char *real, const char *path, icl_report *r)
{
  icl_error err = icl__check_path(path, r);
  if (err) return err;
  strcpy(real, path);
  if (icl__follow_links(real)) return ICL_OK;
  if (errno) return icl__fail_path(r, ICL_ERR_IO, "cannot read", path, strerror(errno));
  return icl__fail_path(r, ICL_ERR_LIMIT, "too many links:", path, NULL);
}

/* Takes the lock of a file: ICL__LOCKED, ICL__TAKEN by somebody else, or the file system or the
 * system has ICL__NO_LOCKS. */
enum { ICL__TAKEN, ICL__LOCKED, ICL__NO_LOCKS };

static int icl__flock(int fd)
{
#ifdef LOCK_EX
  int bad;
  do bad = flock(fd, LOCK_EX | LOCK_NB); while (bad && errno == EINTR);
  return !bad ? ICL__LOCKED : errno == EWOULDBLOCK ? ICL__TAKEN : ICL__NO_LOCKS;
#else
  (void)fd;
  return ICL__NO_LOCKS;
#endif
}

/* Locks a temporary file that was just made, which says that its writer is alive.  0: icl__sweep of
 * another process came in between, and the name is gone. */
static int icl__lock_tmp(int fd, const char *name)
{
  struct stat mine, now;
  if (icl__flock(fd) == ICL__TAKEN) return 0;
  if (fstat(fd, &mine)) return 1;
  if (stat(name, &now)) return errno != ENOENT;
  return now.st_ino == mine.st_ino && now.st_dev == mine.st_dev;
}

/* Creates out->tmp, a name that nobody has, beside out->path, and locks it.  Returns its descriptor
 * or -1. */
static int icl__create_tmp(icl__out *out, mode_t mode)
{
  size_t n = strlen(out->path);
  int tries, i, fd = -1;
  memcpy(out->tmp, out->path, n);
  memcpy(out->tmp + n, ".tmp.", 5);
  out->tmp[n + 5 + ICL__TMP_DIGITS] = 0;
  for (tries = 0; tries < 8 && fd < 0; tries++) {
    uint64_t bits = icl__random_bits(tries);
    for (i = 0; i < ICL__TMP_DIGITS; i++, bits >>= 4)
      out->tmp[n + 5 + (size_t)i] = "0123456789abcdef"[bits & 15];
    fd = icl__open(out->tmp, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd < 0 && errno != EEXIST) break;
    if (fd >= 0 && !icl__lock_tmp(fd, out->tmp)) {
      close(fd);
      errno = EEXIST;
      fd = -1;
    }
  }
  return fd;
}

/* Opens the temporary file beside what path leads to through links.  The new file gets the old
 * one's permissions, where the file system lets it; what is there and no regular file is left
 * alone. */
static icl_error icl__open_out(icl__out *out, const char *path, icl_report *r)
{
  struct stat old, made;
  icl_error err = icl__real_path(out->path, path, r);
  int there;
  if (err) return err;
  out->r = r;
  out->digest = 0;
  there = stat(out->path, &old) == 0;
  if (!there && errno != ENOENT)                           /* else its permissions would be lost */
    return icl__fail_path(r, ICL_ERR_IO, "cannot write", out->path, strerror(errno));
  if (there && !S_ISREG(old.st_mode))
    return icl__fail_path(r, ICL_ERR_IO, "not a regular file:", path, NULL);
  out->fd = icl__create_tmp(out, there ? old.st_mode & 0777 : 0666);
  if (out->fd < 0) {
    int why = errno;
    if (why != EEXIST) unlink(out->tmp);                   /* made, but no descriptor above 2 */
    return icl__fail_path(r, ICL_ERR_IO, "cannot create", out->path, strerror(why));
  }
  if (there && !fstat(out->fd, &made) && (made.st_mode ^ old.st_mode) & 07777
      && fchmod(out->fd, old.st_mode & 07777) && errno == EINTR)
    fchmod(out->fd, old.st_mode & 07777);
  return ICL_OK;
}

/* folder[ICL__MAX_PATH + 1] = the folder of path; returns where its name begins in path. */
static size_t icl__folder_of(char *folder, const char *path)
{
  const char *slash = strrchr(path, '/');
  size_t n = slash ? (size_t)(slash - path) + 1 : 0;
  memcpy(folder, n ? path : ".", n ? n : 1);
  folder[n ? n : 1] = 0;
  return n;
}

/* Flushes the folder of path.  A folder that cannot be flushed or read (network file systems, FUSE,
 * folders without permission to list) is no failure: the file is whole and in its place. */
static int icl__sync_folder(const char *path)
{
  char folder[ICL__MAX_PATH + 1];
  int fd, ok;
  icl__folder_of(folder, path);
  fd = icl__open(folder, O_RDONLY, 0);
  ok = fd >= 0 && icl__fsync(fd) == 0;
  ok = ok || errno == EINVAL || errno == ENOTSUP || errno == EOPNOTSUPP || errno == EACCES
       || errno == EPERM || errno == ENOSYS;
  if (fd >= 0) {
    int why = errno;
    close(fd);
    errno = why;
  }
  return ok;
}

/* Puts the file in its place if err is ICL_OK, and removes it otherwise. */
static icl_error icl__close_out(icl__out *out, icl_error err)
{
  if (!err && icl__fsync(out->fd))
    err = icl__fail_path(out->r, ICL_ERR_IO, "cannot flush", out->path, strerror(errno));
  if (close(out->fd) && !err && errno != EINTR)            /* flushed, and closed all the same */
    err = icl__fail_path(out->r, ICL_ERR_IO, "cannot close", out->path, strerror(errno));
  if (!err && icl__rename(out->tmp, out->path))
    err = icl__fail_path(out->r, ICL_ERR_IO, "cannot replace", out->path, strerror(errno));
  if (err) { unlink(out->tmp); return err; }
  if (!icl__sync_folder(out->path))
    return icl__fail_path(out->r, ICL_ERR_IO, "written, but its folder cannot be flushed:",
                          out->path, strerror(errno));
  return ICL_OK;
}

#ifndef O_NOFOLLOW                           /* where a system hides it */
#define O_NOFOLLOW 0
#endif

/* 1 if name is base[n] followed by .tmp. and the digits of a temporary file. */
static int icl__is_tmp(const char *name, const char *base, size_t n)
{
  if (strncmp(name, base, n) || strncmp(name + n, ".tmp.", 5)) return 0;
  name += n + 5;
  return strlen(name) == ICL__TMP_DIGITS && strspn(name, "0123456789abcdef") == ICL__TMP_DIGITS;
}

/* Removes a temporary file that nobody has locked: its writer is dead. */
static void icl__remove_tmp(const char *name)
{
  int fd = icl__open(name, O_RDWR | O_NONBLOCK | O_NOFOLLOW, 0);
  if (fd < 0) fd = icl__open(name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
  if (fd < 0) return;
  if (icl__flock(fd) == ICL__LOCKED) unlink(name);
  close(fd);
}

/* Removes the temporary files that writers of path left when they were killed. */
static void icl__sweep(const char *path)
{
  char real[ICL__MAX_PATH + 1], folder[ICL__MAX_PATH + 1], name[ICL__MAX_PATH + 33];
  struct dirent *e;
  size_t n, base;
  DIR *d;
  if (!path || icl__real_path(real, path, NULL)) return;
  n = icl__folder_of(folder, real);
  base = strlen(real + n);
  if ((d = opendir(folder)) == NULL) return;
  memcpy(name, real, n);
  while ((e = readdir(d)) != NULL)
    if (icl__is_tmp(e->d_name, real + n, base)) {
      strcpy(name + n, e->d_name);
      icl__remove_tmp(name);
    }
  closedir(d);
}

/* Opens a regular file to read.  Nothing else: a pipe would wait for its writer. */
static FILE *icl__open_in(const char *path)
{
  struct stat st;
  int fd = icl__open(path, O_RDONLY | O_NONBLOCK, 0);
  FILE *f = NULL;
  if (fd < 0) return NULL;
  if (fstat(fd, &st) || !S_ISREG(st.st_mode)) errno = EINVAL;
  else f = fdopen(fd, "rb");
  if (!f) {
    int why = errno;
    close(fd);
    errno = why;
  }
  return f;
}
#else
/* Plain stdio, where there is no POSIX: whole, but a crash between the two last calls leaves only
 * the temporary file, and nothing is promised about power loss. */
static icl_error icl__open_out(icl__out *out, const char *path, icl_report *r)
{
  size_t n = strlen(path);
  icl_error err = icl__check_path(path, r);
  if (err) return err;
  out->r = r;
  out->digest = 0;
  memcpy(out->path, path, n + 1);
  memcpy(out->tmp, path, n);
  memcpy(out->tmp + n, ".tmp", 5);
  out->file = ICL_FOPEN(out->tmp, "wb");
  if (out->file) return ICL_OK;
  return icl__fail_path(r, ICL_ERR_IO, "cannot create", path, strerror(errno));
}

static icl_error icl__write_all(icl__out *out, const void *data, size_t n)
{
  out->digest = icl__digest(out->digest, data, n);
  if (fwrite(data, 1, n, out->file) == n) return ICL_OK;
  return icl__fail_path(out->r, ICL_ERR_IO, "cannot write", out->path, strerror(errno));
}

static icl_error icl__close_out(icl__out *out, icl_error err)
{
  if (fclose(out->file) && !err)
    err = icl__fail_path(out->r, ICL_ERR_IO, "cannot close", out->path, strerror(errno));
  if (!err) {
    (void)ICL_REMOVE(out->path);
    if (ICL_RENAME(out->tmp, out->path))
      return icl__fail_path(out->r, ICL_ERR_IO, "cannot replace", out->path, strerror(errno));
  }
  if (err) (void)ICL_REMOVE(out->tmp);
  return err;
}

static FILE *icl__open_in(const char *path) { return ICL_FOPEN(path, "rb"); }
static void icl__sweep(const char *path) { (void)path; }
#endif

icl_error icl_replace_file(const char *path, const void *data, size_t size, icl_report *r)
{
  icl__out out;
  icl_error err;
  if (!path || (size && !data)) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", path ? "data" : "path");
  icl__sweep(path);
  if ((err = icl__open_out(&out, path, r))) return err;
  err = icl__close_out(&out, icl__write_all(&out, data, size));
  return err ? err : icl__ok(r);
}

icl_error icl_probe_file(const char *path, icl_report *r)
{
  icl__out out;
  icl_error err;
  if (!path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "path");
  icl__sweep(path);
  if ((err = icl__open_out(&out, path, r))) return err;
  icl__close_out(&out, ICL_ERR_IO);                        /* which removes it */
  return icl__ok(r);
}

/* ----- one run at a time ---------------------------------------------------------------------- */

struct icl_lock {
  int fd;
  char path[ICL__MAX_PATH + 6];    /* the file that is locked: PATH.lock                      */
};

#ifdef ICL__POSIX
/* Names the process whose text is in the lock file. */
static icl_error icl__fail_locked(int fd, const char *path, icl_report *r)
{
  char what[72] = "in use by another process:", holder[41];
  ssize_t n = read(fd, holder, sizeof holder - 1), i;
  icl__line text = icl__line_on(what, sizeof what);
  icl__line_put(&text, "in use by ");
  for (i = 0; i < n && holder[i] != '\n'; i++) icl__line_char(&text, holder[i]);
  if (i < 1) icl__line_put(&text, "another process");
  icl__line_put(&text, ":");
  return icl__fail_path(r, ICL_ERR_IO, what, path, NULL);
}

/* "process 1234 on host", for those who find it locked. */
static void icl__sign_lock(int fd)
{
  char text[128], host[65];
  icl__line line = icl__line_on(text, sizeof text);
  if (gethostname(host, sizeof host)) host[0] = 0;
  host[sizeof host - 1] = 0;
  icl__line_put(&line, "process ");
  icl__line_digits(&line, (unsigned long)getpid());
  icl__line_put(&line, " on ");
  icl__line_put(&line, host);
  icl__line_put(&line, "\n");
  if (ftruncate(fd, 0) || write(fd, text, line.len) < 0) return;      /* only a name is missing */
}

/* Opens and locks l->path.  A holder removes it in the end, so the file that was locked must be the
 * one that is there now. */
static icl_error icl__take_lock(icl_lock *l, const char *path, icl_report *r)
{
  struct stat mine, now;
  int tries, looked;
  for (tries = 0; tries < 100; tries++) {
    l->fd = icl__open(l->path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (l->fd < 0) return icl__fail_path(r, ICL_ERR_IO, "cannot lock", path, strerror(errno));
    looked = !fstat(l->fd, &mine);
    if (looked && !S_ISREG(mine.st_mode)) break;
    if (icl__flock(l->fd) == ICL__TAKEN) {
      icl_error err = icl__fail_locked(l->fd, path, r);
      close(l->fd);
      return err;
    }
    if (looked && !stat(l->path, &now) && now.st_ino == mine.st_ino && now.st_dev == mine.st_dev) {
      icl__sign_lock(l->fd);
      return ICL_OK;
    }
    close(l->fd);
    l->fd = -1;
  }
  if (l->fd < 0) return icl__fail_path(r, ICL_ERR_IO, "cannot lock", path, "it keeps changing");
  close(l->fd);
  return icl__fail_path(r, ICL_ERR_IO, "cannot lock", path, "not a lock file");
}

#endif

icl_error icl_lock_new(icl_lock **out, const char *path, icl_report *r)
{
  icl_lock *l;
  icl_error err = ICL_OK;
  if (!out || !path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", out ? "path" : "lock");
  l = (icl_lock *)ICL_MALLOC(sizeof *l);
  if (!l) return icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for a lock", NULL);
#ifdef ICL__POSIX
  err = icl__real_path(l->path, path, r);
  if (!err) {
    strcat(l->path, ".lock");
    err = icl__take_lock(l, path, r);
  }
#endif
  if (err) { ICL_FREE(l); return err; }
  *out = l;
  return icl__ok(r);
}

void icl_lock_delete(icl_lock *l)
{
#ifdef ICL__POSIX
  if (l) {
    unlink(l->path);
    close(l->fd);
  }
#endif
  ICL_FREE(l);
}

/* x[n] as little-endian bytes. */
static icl_error icl__write_floats(icl__out *out, const float *x, size_t n)
{
  unsigned char buf[4096];
  icl_error err = ICL_OK;
  size_t at, i, k;
  for (at = 0; at < n && !err; at += k) {
    k = icl__min(1024, n - at);
    for (i = 0; i < k; i++) {
      uint32_t u;
      memcpy(&u, &x[at + i], 4);
      icl__put_le(buf + 4 * i, u, 4);
    }
    err = icl__write_all(out, buf, 4 * k);
  }
  return err;
}

/* "ICLTRN03", bytes of the run's text, step, updates, skipped, bad, n; the text, digest of all
 * that; then params[n_state], digest of everything. */
enum { ICL__STATE_HEAD = 56 };
static const char icl__state_magic[] = "ICLTRN03";

/* 1 if the field decides what training computes. */
static int icl__decides(const icl_train_options *o, const icl__field *f)
{
  switch (f->role) {
    case ICL__OF_ALL: return 1;
    case ICL__OF_AN_END: return o->schedule >= ICL_LR_COSINE;
    case ICL__OF_MUON: return o->optimizer == ICL_MUON;
    case ICL__OF_AVERAGE: return o->ema > 0;
    case ICL__OF_HINTS: return o->hint > 0;
    case ICL__OF_SHARDS: return o->shards > 0;
    default: return 0;
  }
}

/* The versions of the caller's classes that the task names. */
static void icl__put_versions(icl__line *t, const icl_trainer *tr)
{
  int i, k;
  for (k = 0; k < tr->task.n_own; k++) {
    for (i = 0; i < tr->task.n_nodes; i++) if (tr->task.node[i].kind == ICL__N_CLASSES + k) break;
    if (i == tr->task.n_nodes || !tr->task.own[k].version) continue;
    icl__line_put(t, tr->task.own[k].name);
    icl__line_put(t, "'s_version ");
    icl__line_long(t, (int64_t)tr->task.own[k].version);
    icl__line_char(t, '\n');
  }
}

/* Everything that decides what training computes, as lines "name value": two runs with the same
 * text do the same.  Returns its length. */
static size_t icl__run_text(const icl_trainer *t, char text[ICL__RUN_TEXT])
{
  const icl_train_options *o = &t->o;
  icl__line l = icl__line_on(text, ICL__RUN_TEXT);
  char digits[24];
  size_t i;
  for (i = 0; i < ICL__N_FIELDS; i++) {
    if (!icl__decides(o, &icl__fields[i])) continue;
    icl__line_put(&l, icl__fields[i].name);
    icl__line_char(&l, ' ');
    icl__line_value(&l, &icl__fields[i], icl__field_value(o, &icl__fields[i]));
    icl__line_char(&l, '\n');
  }
  for (i = 0; i < (size_t)o->model.n_quantiles; i++) {
    icl__line_put(&l, i ? "," : "quantiles ");
    icl__line_number(&l, o->model.quantiles[i]);
  }
  icl__line_put(&l, i ? "\n" : "");
  icl__line_put(&l, o->draw ? "data " : "task ");
  digits[icl__put_uint(digits, o->draw_version)] = 0;
  icl__line_put(&l, o->draw ? digits : t->text);
  icl__line_put(&l, "\nseed ");
  digits[icl__put_uint(digits, o->seed)] = 0;
  icl__line_put(&l, digits);
  icl__line_put(&l, "\nfirst_weights ");
  digits[icl__put_uint(digits, t->from)] = 0;
  icl__line_put(&l, t->from ? digits : "drawn");
  icl__line_char(&l, '\n');
  icl__put_versions(&l, t);
  return l.len;
}

/* The value of a line of text whose name is name[n], *len long; NULL where there is none. */
static const char *icl__run_value(const char *text, const char *name, size_t n, size_t *len)
{
  while (*text) {
    *len = strcspn(text, "\n");
    if (*len > n && text[n] == ' ' && !memcmp(text, name, n)) {
      *len -= n + 1;
      return text + n + 1;
    }
    text += *len + (text[*len] != 0);
  }
  return NULL;
}

/* Appends "name was .., is .." for each line of a that b has otherwise or, with only_new, not at
 * all.  was: a is the old text. */
static void icl__list_changes(icl__line *t, const char *a, const char *b, int was, int only_new)
{
  while (*a) {
    size_t width = strcspn(a, "\n"), n = strcspn(a, " "), here, there;
    const char *mine = icl__run_value(a, a, n, &here), *other = icl__run_value(b, a, n, &there);
    const char *old = was ? mine : other, *now = was ? other : mine;
    size_t old_n = was ? here : there, now_n = was ? there : here;
    if (mine && (other ? !only_new && (here != there || memcmp(mine, other, here)) : 1)) {
      if (t->len) icl__line_put(t, "; ");
      for (; n; n--, width--) icl__line_char(t, *a++);
      icl__line_put(t, " was ");
      if (!old) icl__line_put(t, "not given");
      for (; old && old_n; old_n--) icl__line_char(t, *old++);
      icl__line_put(t, ", is ");
      if (!now) icl__line_put(t, "not given");
      for (; now && now_n; now_n--) icl__line_char(t, *now++);
    }
    a += width + (a[width] != 0);
  }
}

/* Says in which options the run of the state and this one differ. */
static icl_error icl__fail_other_run(const char *old, const char *now, icl_report *r)
{
  char what[sizeof r->text];
  icl__line t = icl__line_on(what, sizeof what);
  icl__list_changes(&t, old, now, 1, 0);
  icl__list_changes(&t, now, old, 0, 1);
  if (t.len >= sizeof what) strcpy(what + sizeof what - 4, "...");
  return icl__fail(r, ICL_ERR_STATE, 0, what, NULL);
}

static void icl__put_state_head(const icl_trainer *t, unsigned char head[ICL__STATE_HEAD],
                                size_t text_size)
{
  memcpy(head, icl__state_magic, 8);
  icl__put_le(head + 8, text_size, 8);
  icl__put_le(head + 16, (uint64_t)t->step, 8);
  icl__put_le(head + 24, (uint64_t)t->updates, 8);
  icl__put_le(head + 32, (uint64_t)t->skipped, 8);
  icl__put_le(head + 40, (uint64_t)t->bad, 8);
  icl__put_le(head + 48, (uint64_t)t->n, 8);
}

icl_error icl_train_save(const icl_trainer *t, const char *path, icl_report *r)
{
  unsigned char head[ICL__STATE_HEAD], digest[8];
  char text[ICL__RUN_TEXT];
  icl__out out;
  icl_error err;
  size_t n;
  if (!t || !path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", t ? "path" : "t");
  if (!icl__finite(t->params, t->n_state))
    return icl__fail(r, ICL_ERR_NONFINITE, 0, "NaN or infinity in the weights; not saved", NULL);
  n = icl__run_text(t, text);
  if (n >= sizeof text)
    return icl__fail(r, ICL_ERR_LIMIT, 0, "the options' text is too long", NULL);
  if ((err = icl__open_out(&out, path, r))) return err;
  icl__put_state_head(t, head, n);
  err = icl__write_all(&out, head, sizeof head);
  if (!err) err = icl__write_all(&out, text, n);
  icl__put_le(digest, out.digest, 8);
  if (!err) err = icl__write_all(&out, digest, 8);
  if (!err) err = icl__write_floats(&out, t->params, t->n_state);
  icl__put_le(digest, out.digest, 8);
  if (!err) err = icl__write_all(&out, digest, 8);
  err = icl__close_out(&out, err);
  return err ? err : icl__ok(r);
}

/* Reads x[n] in the pieces in which it was written, and carries the digest on. */
static int icl__read_floats(FILE *f, float *x, size_t n, uint64_t *digest)
{
  unsigned char buf[4096];
  size_t at, i, k;
  for (at = 0; at < n; at += k) {
    k = icl__min(1024, n - at);
    if (fread(buf, 4, k, f) != k) return 0;
    *digest = icl__digest(*digest, buf, 4 * k);
    for (i = 0; i < k; i++) x[at + i] = icl__decode(buf + 4 * i, ICL__F32);
  }
  return icl__finite(x, n);
}

/* Head and text of a state file, which must be this run's. */
static icl_error icl__read_state_head(const icl_trainer *t, FILE *f, unsigned char *head,
                                      uint64_t *digest, icl_report *r)
{
  char now[ICL__RUN_TEXT], old[ICL__RUN_TEXT];
  unsigned char tail[8];
  size_t n;
  if (fread(head, 1, ICL__STATE_HEAD, f) != ICL__STATE_HEAD || memcmp(head, "ICLTRN", 6))
    return icl__fail(r, ICL_ERR_FORMAT, 0, "not a training state", NULL);
  if (memcmp(head, icl__state_magic, 8))
    return icl__fail(r, ICL_ERR_FORMAT, 0, "a training state of another version of icl", NULL);
  n = icl__get64(head + 8) < sizeof old ? (size_t)icl__get64(head + 8) : sizeof old;
  if (n == sizeof old || fread(old, 1, n, f) != n || fread(tail, 1, 8, f) != 8
      || icl__get64(tail) != (*digest = icl__digest(icl__digest(0, head, ICL__STATE_HEAD), old, n)))
    return icl__fail(r, ICL_ERR_DIGEST, ICL__STATE_HEAD, "the training state is damaged", NULL);
  *digest = icl__digest(*digest, tail, 8);
  old[n] = 0;
  icl__run_text(t, now);
  if (strcmp(old, now)) return icl__fail_other_run(old, now, r);
  if (icl__get64(head + 48) == t->n) return ICL_OK;
  return icl__fail(r, ICL_ERR_FORMAT, 48, "the training state contradicts itself", NULL);
}

/* The whole state file into fresh memory[n_state]. */
static icl_error icl__read_state(const icl_trainer *t, FILE *f, unsigned char *head, float *x,
                                 icl_report *r)
{
  unsigned char tail[8];
  uint64_t digest;
  icl_error err = icl__read_state_head(t, f, head, &digest, r);
  if (err) return err;
  if (icl__read_floats(f, x, t->n_state, &digest) && fread(tail, 1, 8, f) == 8
      && icl__get64(tail) == digest && getc(f) == EOF) return ICL_OK;
  return icl__fail(r, ICL_ERR_DIGEST, ICL__STATE_HEAD, "the training state is damaged", NULL);
}

/* Every step made an update or was skipped, and second moments are not negative. */
static int icl__counters_ok(const icl_trainer *t, const unsigned char *head, const float *v)
{
  uint64_t step = icl__get64(head + 16), updates = icl__get64(head + 24);
  uint64_t skipped = icl__get64(head + 32), bad = icl__get64(head + 40);
  size_t i;
  for (i = 0; i < t->n_v; i++) if (v[i] < 0.0f) return 0;
  return step <= (uint64_t)1 << 40 && updates <= step && skipped == step - updates && bad <= skipped
      && bad <= INT32_MAX;
}

icl_error icl_train_resume(icl_trainer *t, const char *path, icl_report *r)
{
  unsigned char head[ICL__STATE_HEAD];
  float *x;
  FILE *f;
  icl_error err;
  if (!t || !path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", t ? "path" : "t");
  f = icl__open_in(path);
  if (!f)
    return icl__fail_path(r, ICL_ERR_IO, "cannot open", path,
                          errno == EINVAL ? "not a regular file" : strerror(errno));
  x = (float *)ICL_MALLOC(t->n_state * sizeof(float));
  err = x ? icl__read_state(t, f, head, x, r) : icl__fail(r, ICL_ERR_MEMORY, 0,
                                                          "no memory to resume", NULL);
  fclose(f);
  if (!err && !icl__counters_ok(t, head, x + 2 * t->n))
    err = icl__fail(r, ICL_ERR_FORMAT, 16, "the training state contradicts itself", NULL);
  if (!err) {
    memcpy(t->params, x, t->n_state * sizeof(float));
    t->step = (int64_t)icl__get64(head + 16);
    t->updates = (int64_t)icl__get64(head + 24);
    t->skipped = (int64_t)icl__get64(head + 32);
    t->bad = (int)icl__get64(head + 40);
    icl__ok(r);
  }
  ICL_FREE(x);
  return err;
}

/* ---------------------------------------------------------------------------------------------
 * >>processes
 * What the processes of a run tell each other, by options.reduce alone: each has a place of its own
 * in a message that is zero elsewhere, so that the sum is what all of them said.
 * ------------------------------------------------------------------------------------------- */
enum { ICL__VOTE_STOP = 1, ICL__VOTE_FAILED = 2 };

/* The run's text, and what else must be the same for processes to do the same. */
static size_t icl__meeting_text(const icl_trainer *t, char text[ICL__RUN_TEXT])
{
  size_t i;
  icl__line l = icl__line_on(text, ICL__RUN_TEXT);
  l.len = icl__run_text(t, text);
  for (i = 0; i < ICL__N_FIELDS; i++) {
    const icl__field *f = &icl__fields[i];
    int differ = !strcmp(f->name, "rank") || !strcmp(f->name, "threads");
    if (differ || icl__decides(&t->o, f)) continue;
    icl__line_put(&l, f->name);
    icl__line_char(&l, ' ');
    icl__line_value(&l, f, icl__field_value(&t->o, f));
    icl__line_char(&l, '\n');
  }
  return l.len;
}

static uint64_t icl__meeting_digest(const icl_trainer *t)
{
  char text[ICL__RUN_TEXT];
  size_t n = icl__meeting_text(t, text);
  return icl__digest(2, text, n < sizeof text ? n : sizeof text - 1);
}

/* The word that a process said in the message; one that nobody can have said if a sum is wrong. */
static uint64_t icl__said(const icl_trainer *t, int rank, int word)
{
  const float *x = t->message + 4 * ((size_t)rank * ICL__WORDS + (size_t)word);
  uint64_t v = 0;
  int i;
  for (i = 0; i < 4; i++) {
    if (!(x[i] >= 0.0f && x[i] <= 65535.0f)) return UINT64_MAX;
    v |= (uint64_t)x[i] << 16 * i;
  }
  return v;
}

/* All processes say their words.  IO where reduce fails or does not add up. */
static icl_error icl__say(icl_trainer *t, const uint64_t words[ICL__WORDS], icl_report *r)
{
  float *mine = t->message + 4 * (size_t)t->o.rank * ICL__WORDS;
  size_t n = 4 * (size_t)t->o.world * ICL__WORDS;
  int i, wrong = 0;
  memset(t->message, 0, n * sizeof(float));
  for (i = 0; i < 4 * ICL__WORDS; i++) mine[i] = (float)(words[i / 4] >> 16 * (i % 4) & 0xFFFF);
  if (t->o.reduce(t->o.user, t->message, n))
    return icl__fail(r, ICL_ERR_IO, 0, "the sum over processes failed", NULL);
  for (i = 0; i < ICL__WORDS; i++) wrong |= icl__said(t, t->o.rank, i) != words[i];
  for (i = 0; i < t->o.world; i++) wrong |= icl__said(t, i, ICL__RUN_IS) == 0;
  if (wrong)
    return icl__fail(r, ICL_ERR_IO, 0, "reduce does not add up, or two processes have one rank",
                     NULL);
  return ICL_OK;
}

/* The text of process `from`, to all: text[n] is its own there, and the copy elsewhere. */
static int icl__read_out_loud(icl_trainer *t, int from, char *text, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++)
    t->message[i] = t->o.rank == from ? (float)(unsigned char)text[i] : 0.0f;
  if (t->o.reduce(t->o.user, t->message, n)) return 0;
  for (i = 0; i < n; i++)
    text[i] = t->message[i] >= 1.0f && t->message[i] <= 255.0f
            ? (char)(unsigned char)t->message[i] : (char)0;
  text[n - 1] = 0;
  return 1;
}

static void icl__line_rank(icl__line *l, int rank)
{
  icl__line_put(l, "rank ");
  icl__line_long(l, rank);
}

/* Reports "rank 1 has lr 0.01, rank 0 has lr 0.001": the first line in which their texts differ. */
static icl_error icl__fail_run_of(icl_trainer *t, int rank, icl_report *r)
{
  char first[ICL__RUN_TEXT], other[ICL__RUN_TEXT], what[sizeof r->text];
  icl__line l = icl__line_on(what, sizeof what);
  size_t at = 0, i;
  icl__meeting_text(t, first);
  memcpy(other, first, sizeof other);
  if (!icl__read_out_loud(t, 0, first, sizeof first)
      || !icl__read_out_loud(t, rank, other, sizeof other))
    return icl__fail(r, ICL_ERR_IO, 0, "the sum over processes failed", NULL);
  for (i = 0; first[i] && first[i] == other[i]; i++) if (first[i] == '\n') at = i + 1;
  icl__line_rank(&l, rank);
  icl__line_put(&l, " has ");
  for (i = at; other[i] && other[i] != '\n'; i++) icl__line_char(&l, other[i]);
  icl__line_put(&l, ", rank 0 has ");
  for (i = at; first[i] && first[i] != '\n'; i++) icl__line_char(&l, first[i]);
  return icl__fail(r, ICL_ERR_STATE, 0, what, NULL);
}

/* The first process that failed says why. */
static icl_error icl__fail_of(icl_trainer *t, int rank, icl_report *r)
{
  char text[sizeof r->text], what[sizeof r->text];
  icl__line l = icl__line_on(what, sizeof what);
  icl_error code = (icl_error)(icl__said(t, rank, ICL__VOTES_ARE) >> 8);
  memset(text, 0, sizeof text);
  if (t->o.rank == rank) memcpy(text, t->why.text, sizeof text);
  if (!icl__read_out_loud(t, rank, text, sizeof text))
    return icl__fail(r, ICL_ERR_IO, 0, "the sum over processes failed", NULL);
  if (t->o.rank == rank) return icl__fail(r, code, 0, text, NULL);
  icl__line_rank(&l, rank);
  icl__line_put(&l, ": ");
  icl__line_put(&l, text);
  return icl__fail(r, code, 0, what, NULL);
}

/* Compares what all processes have said with what rank 0 said, in the same order everywhere: all
 * come to the same result. */
static icl_error icl__compare_said(icl_trainer *t, icl_report *r)
{
  char what[sizeof r->text];
  icl__line l = icl__line_on(what, sizeof what);
  int k, step = 1;
  for (k = 1; k < t->o.world; k++)
    if (icl__said(t, k, ICL__RUN_IS) != icl__said(t, 0, ICL__RUN_IS))
      return icl__fail_run_of(t, k, r);
  for (k = 0; k < t->o.world; k++)
    if (icl__said(t, k, ICL__VOTES_ARE) & ICL__VOTE_FAILED) return icl__fail_of(t, k, r);
  for (k = 1; k < t->o.world; k++) {
    step = icl__said(t, k, ICL__STEP_IS) != icl__said(t, 0, ICL__STEP_IS);
    if (step || icl__said(t, k, ICL__WEIGHTS_ARE) != icl__said(t, 0, ICL__WEIGHTS_ARE)) break;
  }
  if (k == t->o.world) return ICL_OK;
  icl__line_rank(&l, k);
  if (step) {
    icl__line_put(&l, " is at step ");
    icl__line_long(&l, (int64_t)icl__said(t, k, ICL__STEP_IS));
    icl__line_put(&l, ", rank 0 at ");
    icl__line_long(&l, (int64_t)icl__said(t, 0, ICL__STEP_IS));
  } else {
    icl__line_put(&l, " has other weights than rank 0");
  }
  return icl__fail(r, ICL_ERR_STATE, 0, what, NULL);
}

/* All processes together: whether they are in the same run at the same step (weights: and with the
 * same weights), whether one of them failed, as this one did for the reason in r, or stops; and the
 * largest exponent of a gradient.  Alone: returns failed. */
static icl_error icl__meet(icl_trainer *t, int weights, icl_error failed, icl_report *r)
{
  uint64_t mine[ICL__WORDS];
  icl_error err;
  int k;
  if (t->o.world == 1) return failed;
  if (!t->identity) t->identity = icl__meeting_digest(t);
  if (failed && r != &t->why) t->why = *r;
  mine[ICL__RUN_IS] = t->identity;
  mine[ICL__STEP_IS] = (uint64_t)t->step;
  mine[ICL__WEIGHTS_ARE] = weights ? icl__digest(3, t->params, t->n * sizeof(float)) : 0;
  mine[ICL__VOTES_ARE] = t->told || (t->stop && *t->stop) ? ICL__VOTE_STOP : 0;
  if (failed) mine[ICL__VOTES_ARE] |= ICL__VOTE_FAILED | (uint64_t)failed << 8;
  mine[ICL__EXPONENT_IS] = (uint64_t)(t->exponent + 100);
  if ((err = icl__say(t, mine, r)) != ICL_OK) return err;
  for (k = 0; k < t->o.world; k++) {
    int e = (int)icl__said(t, k, ICL__EXPONENT_IS) - 100;
    t->stopping |= (icl__said(t, k, ICL__VOTES_ARE) & ICL__VOTE_STOP) != 0;
    if (e > t->exponent) t->exponent = e;
  }
  t->met |= weights;
  return icl__compare_said(t, r);
}

icl_error icl_train_agree(icl_trainer *t, icl_report *r)
{
  icl_error err;
  icl_report why;
  if (!t) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "t");
  err = icl__meet(t, 1, ICL_OK, &why);
  if (!err) return icl__ok(r);
  if (r) *r = why;
  return err;
}

/* ---------------------------------------------------------------------------------------------
 * >>typical
 * What icl_surprise of icl.h measures against: its figure on contexts of n pairs from the training
 * mixture.  A context is a prompt of n pairs which all set its order and its scale, as a user's
 * do.  The first n of a longer prompt are something else: a part of the range, at another scale.
 * ------------------------------------------------------------------------------------------- */
#ifndef ICL__TYPICAL_PROMPTS                 /* fewer for tests under emulators */
#define ICL__TYPICAL_PROMPTS 2048
#endif

static int icl__compare_floats(const void *a, const void *b)
{
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* x in thousandths, -1000 <= x <= 1000. */
static void icl__put_milli(icl__text *t, float x)
{
  if (!(x > -1000.0f)) x = -1000.0f;
  if (x > 1000.0f) x = 1000.0f;
  if (t->n) icl__put(t, " ");
  if (x < 0) icl__put(t, "-");
  icl__put_number(t, (uint64_t)((x < 0 ? -x : x) * 1000.0f + 0.5f));
}

static void icl__swap_pairs(float *xs, float *ys, int d, int a, int b)
{
  float y = ys[a];
  ys[a] = ys[b];
  ys[b] = y;
  icl__swap_rows(xs, d, a, b);
}

/* Puts n pairs in random order; then, for turn 1 and -1, so that the first input rises or falls. */
static void icl__typical_order(float *xs, float *ys, int n, int d, int turn, icl_rng *rng)
{
  size_t row = (size_t)d;
  int i, k, best;
  for (i = n - 1; i > 0; i--) icl__swap_pairs(xs, ys, d, i, icl_rng_below(rng, i + 1));
  for (i = 0; i < n && turn; i++) {
    for (best = i, k = i + 1; k < n; k++)
      if ((float)turn * xs[(size_t)k * row] < (float)turn * xs[(size_t)best * row]) best = k;
    icl__swap_pairs(xs, ys, d, i, best);
  }
}

/* Context i of those at hand.  Where prompts have orders, a third each is drawn, rising, falling.
 * Sorted contexts surprise less: with these shares one threshold serves both. */
static void icl__typical_begin(void *arg, size_t i, int thread)
{
  icl_trainer *t = (icl_trainer *)arg;
  icl__work *w = &t->work;
  size_t n = w->pairs, d = (size_t)t->o.model.n_dims, at = t->first + i;
  icl_rng rng;
  if (!icl__source_prompt(t, ICL__STREAM_TYPICAL, at, 0, (int)n, i, thread))
    icl__spoil(w->ys + i * n, n);                          /* not finite: the figure is none */
  icl_rng_init(&rng, t->o.seed, ICL__STREAM_TYPICAL + 1, at);
  if (t->o.sampling.order)
    icl__typical_order(w->xs + i * n * d, w->ys + i * n, (int)n, (int)d, (int)(at % 3) - 1, &rng);
  icl__embed_task(w, i, thread);
}

/* figures[N] of contexts of n pairs, by the trainer's own workspace; scratch residuals[n].  Fewer
 * than 4 pairs have no scale of their own: they are the first of 4.  0: not finite. */
static int icl__typical_figures(icl_trainer *t, size_t n, size_t N, float *figures,
                                float *residuals)
{
  icl__work *w = &t->work;
  size_t i, k, whole = n < 4 ? icl__min(4, (size_t)t->o.pairs) : n;
  icl__set_pairs(w, whole);
  for (t->first = 0; t->first < N; t->first += w->prompts) {
    w->prompts = icl__next_prompts(w, N - t->first);
    icl__forward(w, icl__typical_begin, t);
    icl__pool_run(&w->pool, w->prompts, icl__answers_task, w);
    for (i = 0; i < w->prompts; i++) {
      const float *ys = w->ys + i * whole;
      for (k = 0; k < n; k++) residuals[k] = ys[k] - w->preds[(i * whole + k) * w->n_answer];
      if (!icl__finite(residuals, n)) return 0;
      figures[t->first + i] = icl__surprise_log(ys, residuals, n, 0, 1);
    }
  }
  return 1;
}

/* The number of pairs to measure after n of P: each up to 8, then two in every doubling, and P. */
static size_t icl__typical_next(size_t n, size_t P)
{
  size_t power = 8;
  if (n < 8) return n + 1;
  while (2 * power <= n) power *= 2;
  n = n < power + power / 2 ? power + power / 2 : 2 * power;
  return n < P ? n : P;
}

/* couples[P][2]: median and 99th percentile of N contexts after 1 .. P pairs.  Between the numbers
 * that are measured, on straight lines over log n.  0: a prediction was not finite. */
static int icl__typical_couples(icl_trainer *t, size_t N, size_t P, float *couples, float *figures,
                                float *residuals)
{
  size_t last = 0, n, k, j;
  t->work.model = &t->average;
  icl__pack_weights(&t->work);
  for (n = 1; last < P; n = icl__typical_next(n, P)) {
    float *at = couples + 2 * (n - 1);
    if (!icl__typical_figures(t, n, N, figures, residuals)) break;
    qsort(figures, N, sizeof *figures, icl__compare_floats);
    at[0] = figures[N / 2];
    at[1] = figures[N - N / 100];
    for (k = last + 1; k < n; k++) {
      const float *from = couples + 2 * (last - 1);
      float part = icl__logf((float)k / (float)last) / icl__logf((float)n / (float)last);
      for (j = 0; j < 2; j++) couples[2 * (k - 1) + j] = from[j] + part * (at[j] - from[j]);
    }
    last = n;
  }
  t->work.model = &t->model;
  return last == P;
}

/* The text of icl.typical. */
static void icl__typical_text(icl__text *t, const float *couples, size_t P)
{
  size_t k;
  for (k = 0; k < P; k++) {
    float middle = couples[2 * k], high = couples[2 * k + 1];
    icl__put_milli(t, middle);
    icl__put_milli(t, high < middle + 0.01f ? middle + 0.01f : high);
  }
  if (t->out) t->out[t->n] = 0;
}

icl_error icl_train_typical(icl_trainer *t, int n_prompts, char *text, size_t size)
{
  size_t P, N = (size_t)n_prompts;
  icl__text out;
  float *block;
  icl_error err;
  if (!t || n_prompts < 100 || n_prompts > 1 << 22 || t->o.own_prompts || !text) return ICL_ERR_ARG;
  P = icl__min((size_t)t->o.pairs, ICL__MAX_TYPICAL);    /* what a checkpoint takes */
  if (size < P * ICL_TYPICAL_BYTES + 1) return ICL_ERR_ARG;
  block = (float *)ICL_MALLOC((N + 3 * P) * sizeof(float));
  if (!block) return ICL_ERR_MEMORY;
  out.out = text;
  out.n = 0;
  err = icl__typical_couples(t, N, P, block, block + 2 * P, block + 2 * P + N)
      ? ICL_OK : ICL_ERR_NONFINITE;
  if (!err) icl__typical_text(&out, block, P);
  ICL_FREE(block);
  return err;
}

/* The checkpoint's bytes in buf, to the file. */
static icl_error icl__write_model(icl_trainer *t, const char *path, const icl_metadata *md,
                                  icl_report *r)
{
  size_t size = icl_write_bytes(&t->o.model, md);
  void *buf = size ? ICL_MALLOC(size) : NULL;
  icl_error err;
  icl__out out;
  if (!buf)
    return icl__fail(r, size ? ICL_ERR_MEMORY : ICL_ERR_CONFIG, 0, "cannot make the checkpoint",
                     NULL);
  err = icl_write(buf, size, &t->o.model, t->ema ? t->ema : t->params, md);
  if (err) icl__fail(r, err, 0, icl_error_string(err), NULL);
  if (!err && !(err = icl__open_out(&out, path, r)))
    err = icl__close_out(&out, icl__write_all(&out, buf, size));
  ICL_FREE(buf);
  return err;
}

static void icl__line_key(icl__line *text, const char *key)
{
  icl__line_put(text, text->len ? " " : "");
  icl__line_put(text, key);
}

static void icl__line_pair(icl__line *text, const char *key, double v)
{
  icl__line_key(text, key);
  icl__line_number(text, (float)v);
}

/* A whole number, of which a float would not have all digits. */
static void icl__line_count(icl__line *text, const char *key, uint64_t v)
{
  char digits[24];
  digits[icl__put_uint(digits, v)] = 0;
  icl__line_key(text, key);
  icl__line_put(text, digits);
}

/* icl.recipe: how the model was trained, as "key=value" with blanks between. */
static void icl__recipe_text(const icl_trainer *t, char *buf, size_t size)
{
  static const char *const schedules[] = {"constant", "inverse-sqrt", "cosine", "linear"};
  const icl_train_options *o = &t->o;
  icl__line text = icl__line_on(buf, size);
  icl__line_count(&text, "steps=", (uint64_t)t->step);
  icl__line_count(&text, "batch=", (uint64_t)o->batch);
  icl__line_count(&text, "pairs=", (uint64_t)o->pairs);
  icl__line_put(&text, o->optimizer == ICL_MUON ? " optimizer=muon" : " optimizer=adam");
  icl__line_pair(&text, "lr=", (double)o->lr);
  icl__line_put(&text, " schedule=");
  icl__line_put(&text, schedules[o->schedule]);
  icl__line_count(&text, "warmup=", (uint64_t)o->warmup);
  icl__line_pair(&text, "init_sd=", (double)o->init_sd);
  icl__line_count(&text, "seed=", o->seed);
  if (t->ema) icl__line_pair(&text, "ema=", (double)o->ema);
  if (o->hint > 0) icl__line_pair(&text, "hint=", (double)o->hint);
  if (o->hint > 0) icl__line_count(&text, "hint_layer=", (uint64_t)o->hint_layer);
  if (t->o.draw) icl__line_put(&text, " prompts=own");
  if (t->from) icl__line_put(&text, " from=another-model");
}

icl_error icl_train_export(icl_trainer *t, const char *path, icl_report *r)
{
  size_t size;
  char *text, recipe[320];
  icl_metadata md;
  icl_error err;
  if (!t || !path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", t ? "path" : "t");
  if (!icl__finite(t->params, t->n))
    return icl__fail(r, ICL_ERR_NONFINITE, 0, "NaN or infinity in the weights; not saved", NULL);
  memset(&md, 0, sizeof md);
  if (t->o.own_prompts) {
    err = icl__write_model(t, path, &md, r);
    return err ? err : icl__ok(r);
  }
  size = (size_t)t->o.pairs * ICL_TYPICAL_BYTES + 1;
  text = (char *)ICL_MALLOC(size);
  err = text ? icl_train_typical(t, ICL__TYPICAL_PROMPTS, text, size) : ICL_ERR_MEMORY;
  if (err == ICL_ERR_MEMORY) {
    icl__fail(r, err, 0, "no memory to measure icl.typical", NULL);
  } else {
    md.typical = err ? NULL : text;
    md.task = t->o.task;
    md.sampling = t->sampling[0] ? t->sampling : NULL;
    icl__recipe_text(t, recipe, sizeof recipe);
    md.recipe = recipe;
    err = icl__write_model(t, path, &md, r);
  }
  ICL_FREE(text);
  return err ? err : icl__ok(r);
}

/* ---------------------------------------------------------------------------------------------
 * >>run
 * ------------------------------------------------------------------------------------------- */
/* A file that is there and cannot be opened exists too, and one of which nobody can say: taken for
 * none, it would be overwritten. */
static int icl__exists(const char *path)
{
#ifdef ICL__POSIX
  return access(path, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR);
#else
  FILE *f = ICL_FOPEN(path, "rb");
  if (f) fclose(f);
  return f != NULL;
#endif
}

/* A save on the way.  One that fails is not the end: the next one tries again. */
static void icl__save_on_the_way(icl_trainer *t, const icl_run *run)
{
  icl_report why;
  if (icl_train_save(t, run->state_path, &why) && run->save_failed)
    run->save_failed(run->user, &why);
}

/* Steps until the last one, or one after which to stop; NONFINITE after too many that were
 * skipped. */
static icl_error icl__run_steps(icl_trainer *t, const icl_run *run, icl_train_info *info)
{
  int64_t every = run->save_every > 0 ? run->save_every : 1000;
  while (t->step < t->o.steps) {
    icl_error err = icl_train_step(t, info);
    if (err) return err;
    t->told |= run->progress && run->progress(run->user, info);
    if (t->o.world == 1) t->stopping = t->told || (run->stop && *run->stop);
    if (t->stopping) break;
    if (run->state_path && t->o.rank == 0 && t->step % every == 0 && t->step < t->o.steps)
      icl__save_on_the_way(t, run);
  }
  return ICL_OK;
}

/* The files of a run that has ended, written by rank 0; the report is the first failure's. */
static icl_error icl__run_end(icl_trainer *t, const icl_run *run, int64_t began, icl_report *r)
{
  icl_report more;
  icl_error err = ICL_OK, last = ICL_OK;
  if (t->o.rank) return icl__ok(r);
  if (run->state_path && t->step > began) err = icl_train_save(t, run->state_path, r);
  if (run->model_path) last = icl_train_export(t, run->model_path, err ? &more : r);
  return err ? err : last ? last : icl__ok(r);
}

/* The state to go on from, and rank 0's right to its files. */
static icl_error icl__run_begin(icl_trainer *t, const icl_run *run, icl_lock **lock, icl_report *r)
{
  icl_error err = ICL_OK;
  if (t->o.rank == 0 && run->state_path && !run->lock)
    err = icl_lock_new(lock, run->state_path, r);
  if (!err && t->o.rank == 0) icl__sweep(run->state_path);
  if (!err && t->o.rank == 0) icl__sweep(run->model_path);
  if (!err && run->resume && run->state_path && icl__exists(run->state_path))
    err = icl_train_resume(t, run->state_path, r);
  if (!err && t->o.rank == 0 && run->model_path) err = icl_probe_file(run->model_path, r);
  return err;
}

/* A run that has begun, on all processes. */
static icl_error icl__run_on(icl_trainer *t, const icl_run *run, icl_train_info *info,
                             icl_report *r)
{
  int64_t began = info->step = t->step;
  icl_error err = icl__run_steps(t, run, info), saved;
  if (err == ICL_ERR_STATE) { *r = t->why; return err; }
  if (err && err != ICL_ERR_NONFINITE) {                   /* the others are out of reach */
    icl__run_end(t, run, began, r);
    return icl__fail(r, err, 0, "the sum over processes failed", NULL);
  }
  saved = icl__meet(t, 1, icl__run_end(t, run, began, r), r);
  if (!err) return saved;
  return icl__fail(r, err, 0, saved ? "not finite too many times in a row; stopped, not saved" :
                   "not finite too many times in a row; stopped, the last good weights kept", NULL);
}

icl_error icl_train_run(icl_trainer *t, const icl_run *run, icl_train_info *last, icl_report *r)
{
  icl_lock *lock = NULL;
  icl_train_info info;
  icl_report why;
  icl_error err;
  if (!t || !run) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", t ? "run" : "t");
  if (t->o.own_prompts)
    return icl__fail(r, ICL_ERR_ARG, 0, "there is no task to draw prompts from", NULL);
  memset(&info, 0, sizeof info);
  icl__ok(&why);
  info.step = t->step;
  t->stopping = t->told = 0;
  t->stop = run->stop;
  err = icl__meet(t, 1, icl__run_begin(t, run, &lock, &why), &why);
  if (!err) err = icl__run_on(t, run, &info, &why);
  t->stop = NULL;
  icl_lock_delete(lock);
  if (last) *last = info;
  if (r) *r = why;
  return err;
}

#endif /* ICL_TRAIN_IMPLEMENTATION, but for the kernels */

/* ---------------------------------------------------------------------------------------------
 * >>kernels
 * Those of >>gradients over the vectors of icl.h; its >>kernels tells how V works and when sums
 * have the same bits on every processor.
 * ------------------------------------------------------------------------------------------- */
#ifdef ICL__PASS
#pragma push_macro("V")
#undef V
#define V(name) ICL__JOIN(ICL__PASS, name)

ICL__KERNEL void V(d_layernorm)(float *dx, float *dgain, float *dbias, const float *dy,
                                const float *x, const float *stats, const float *gain, size_t rows,
                                size_t n)
{
  size_t t, i;
  for (t = 0; t < rows; t++, dx += n, dy += n, x += n) {
    V(t) m = V(set1)(stats[2 * t]), s = V(set1)(stats[2 * t + 1]), zero = V(set1)(0.0f);
    V(t) a0 = zero, a1 = zero, b0 = zero, b1 = zero, a, b, g, xhat;
    for (i = 0; i < n; i += ICL__W) {
      V(t) k = V(get)(gain, i, n), d = V(get)(dy, i, n);
      xhat = V(mul)(V(sub)(V(get)(x, i, n), m), s);
      V(turn)(&a0, &a1, V(fma)(k, d, a0));
      V(turn)(&b0, &b1, V(fma)(V(mul)(k, d), xhat, b0));
      V(put)(dgain, V(fma)(d, xhat, V(get)(dgain, i, n)), i, n);
      V(put)(dbias, V(add)(d, V(get)(dbias, i, n)), i, n);
    }
    a = V(set1)(-V(sum)(a0, a1) / (float)n);
    b = V(set1)(-V(sum)(b0, b1) / (float)n);
    for (i = 0; i < n; i += ICL__W) {
      xhat = V(mul)(V(sub)(V(get)(x, i, n), m), s);
      g = V(fma)(xhat, b, V(fma)(V(get)(gain, i, n), V(get)(dy, i, n), a));
      V(put)(dx, V(fma)(s, g, V(get)(dx, i, n)), i, n);
    }
  }
}

/* Four rows at a time, so that x is read in memory order and sum stays in the first cache. */
ICL__KERNEL void V(column_sum)(float *sum, const float *x, size_t rows, size_t n, size_t stride)
{
  size_t t = 0, i;
  for (; t + 4 <= rows; t += 4, x += 4 * stride)
    for (i = 0; i < n; i += ICL__W) {
      V(t) s = V(add)(V(get)(sum, i, n), V(get)(x, i, n));
      s = V(add)(s, V(get)(x + stride, i, n));
      s = V(add)(s, V(get)(x + 2 * stride, i, n));
      V(put)(sum, V(add)(s, V(get)(x + 3 * stride, i, n)), i, n);
    }
  for (; t < rows; t++, x += stride)
    for (i = 0; i < n; i += ICL__W) V(put)(sum, V(add)(V(get)(sum, i, n), V(get)(x, i, n)), i, n);
}

/* *y = f(x); returns f'(x) */
ICL__INLINE V(t) V(d_activate1)(V(t) *y, V(t) x, icl_activation kind)
{
  V(t) zero = V(set1)(0.0f), one = V(set1)(1.0f), xx = V(mul)(x, x), positive = V(gt)(x, zero);
  V(t) e, s, u;
  if (kind == ICL_RELU) {
    *y = V(max)(zero, x);
    return positive;
  }
  if (kind == ICL_GELU_ERF) {
    V(t) tail;
    e = V(exp)(V(mul1)(xx, -0.5f));
    tail = V(normal_tail)(x, e);
    *y = V(fma)(V(sub)(zero, V(abs)(x)), tail, V(max)(zero, x));
    s = V(fma1)(-2.0f, positive, one);
    s = V(fma)(s, tail, positive);                                           /* Phi(x) */
    return V(fma)(V(mul1)(x, 0.398942280f), e, s);
  }
  u = V(mul1_plus)(xx, -ICL__GELU_A * ICL__GELU_B, -ICL__GELU_A);
  e = V(exp)(V(mul)(x, u));
  s = V(recip)(V(add1)(e, 1.0f));
  *y = V(mul)(x, s);
  u = V(mul1_plus)(xx, 3.0f * ICL__GELU_A * ICL__GELU_B, ICL__GELU_A);
  u = V(mul)(V(mul)(x, V(mul)(e, s)), u);                                    /* 1 - s = e s */
  return V(fma)(s, u, s);
}

ICL__INLINE void V(d_activate_as)(const icl_activation kind, float *d, float *x, size_t n)
{
  size_t i;
  for (i = 0; i < n; i += ICL__W) {
    V(t) y, slope = V(d_activate1)(&y, V(get)(x, i, n), kind);
    V(put)(d, V(mul)(V(get)(d, i, n), slope), i, n);
    V(put)(x, y, i, n);
  }
}

ICL__KERNEL void V(d_activate)(float *d, float *x, size_t n, icl_activation kind)
{
  if (kind == ICL_RELU) V(d_activate_as)(ICL_RELU, d, x, n);
  else if (kind == ICL_GELU_ERF) V(d_activate_as)(ICL_GELU_ERF, d, x, n);
  else V(d_activate_as)(ICL_GELU_TANH, d, x, n);
}

ICL__KERNEL void V(d_softmax)(float *d, const float *p, size_t n, float scale)
{
  V(t) dot = V(set1)(V(dot)(p, d, n));
  size_t i;
  for (i = 0; i < n; i += ICL__W) {
    V(t) v = V(sub)(V(get)(d, i, n), dot);
    V(put)(d, V(mul)(V(mul1)(V(get)(p, i, n), scale), v), i, n);
  }
}

ICL__KERNEL void V(adam)(float *p, float *m, float *v, const float *grad, size_t n,
                         const icl__adam *k)
{
  V(t) b1 = V(set1)(k->beta1), b2 = V(set1)(k->beta2), eps = V(set1)(k->eps);
  V(t) c1 = V(set1)(1.0f - k->beta1), c2 = V(set1)(1.0f - k->beta2), rate = V(set1)(-k->rate);
  V(t) root = V(set1)(k->root_v), decay = V(set1)(k->decay), scale = V(set1)(k->grad_scale);
  size_t i;
  for (i = 0; i < n; i += ICL__W) {
    V(t) g = V(mul)(V(get)(grad, i, n), scale);
    V(t) a = V(fma)(b1, V(get)(m, i, n), V(mul)(c1, g));
    V(t) b = V(fma)(b2, V(get)(v, i, n), V(mul)(c2, V(mul)(g, g)));
    V(t) step = V(div)(V(mul)(rate, a), V(fma)(root, V(sqrt)(b), eps));
    V(put)(m, a, i, n);
    V(put)(v, b, i, n);
    V(put)(p, V(fma)(decay, V(get)(p, i, n), step), i, n);
  }
}

static const icl__train_ops V(train_ops) = {
  V(d_layernorm), V(column_sum), V(d_activate), V(d_softmax), V(adam)
};

#pragma pop_macro("V")
#endif /* ICL__PASS */

/* ---------------------------------------------------------------------------------------------
 * >>dispatch
 * ------------------------------------------------------------------------------------------- */
#if defined ICL_TRAIN_IMPLEMENTATION && !defined ICL__TRAIN_DISPATCHED
#define ICL__TRAIN_DISPATCHED
#ifndef ICL_TRAIN_FILE
#define ICL_TRAIN_FILE "icl_train.h"   /* beside this file, as ICL_FILE */
#endif

#if ICL__AVX512
#define ICL__PASS icl__v16
#define ICL__W 16
#include ICL_TRAIN_FILE
#undef ICL__PASS
#undef ICL__W
#endif

#if ICL__SIMD
#define ICL__PASS icl__v8
#define ICL__W 8
#include ICL_TRAIN_FILE
#undef ICL__PASS
#undef ICL__W
#endif

static const icl__train_ops *icl__train_ops_of(const icl_model *m)
{
#if ICL__AVX512
  if (m->ops == &icl__v16_ops) return &icl__v16_train_ops;
#endif
#if ICL__SIMD
  if (m->ops == &icl__v8_ops) return &icl__v8_train_ops;
#endif
  (void)m;
  return &icl__train_ref;
}

#if defined __clang__
#pragma STDC FP_CONTRACT DEFAULT
#elif defined __GNUC__
#pragma GCC pop_options
#elif defined _MSC_VER
#pragma fp_contract (on)
#endif
#if defined __cplusplus && ICL__GNU
#pragma GCC diagnostic pop
#endif
#pragma pop_macro("A")
#pragma pop_macro("B")
#pragma pop_macro("C")
#pragma pop_macro("D")
#pragma pop_macro("F")
#pragma pop_macro("H")
#pragma pop_macro("K")
#pragma pop_macro("L")
#pragma pop_macro("N")
#pragma pop_macro("P")
#pragma pop_macro("R")
#pragma pop_macro("S")
#pragma pop_macro("T")
#endif /* ICL_TRAIN_IMPLEMENTATION */
