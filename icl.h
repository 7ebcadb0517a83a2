/* icl.h 0.2.0 - in-context learning in one C header: a pretrained transformer sees pairs (x, y) of
 * a function that it has never met, and predicts y at new x, without training.
 * SPDX-License-Identifier: MIT; full text at the end.
 *
 *     #define ICL_IMPLEMENTATION          // in one .c or .cpp file of the program
 *     #include "icl.h"
 *
 *     int main(void)
 *     {
 *       const float x[] = {1, 2, 3, 4, 6, 8}, y[] = {2.1f, 3.4f, 4.6f, 5.1f, 6.3f, 6.8f}, q = 5;
 *       icl_model *model;
 *       icl_ctx *ctx;
 *       icl_report why;
 *       float at, lo, hi;
 *       if (icl_load(&model, "examples/models/curves.safetensors", &why)) return 1;
 *       if (icl_ctx_new(&ctx, model, 6, 1)) return 1;      // 6 pairs, 1 query at once
 *       icl_standardize(ctx, 6, x, y);                     // models want mean 0, deviation 1
 *       icl_add_batch(ctx, 6, x, y);
 *       if (!icl_predict_interval(ctx, 1, &q, 0.9f, &at, &lo, &hi))
 *         printf("f(5) is about %.2f, with 90 %% between %.2f and %.2f\n", at, lo, hi);
 *       icl_ctx_delete(ctx);
 *       icl_unload(model);
 *       return 0;
 *     }
 *
 *     cc -O2 program.c -lm
 *
 * WHAT IT DOES.  Runs the transformers of Garg et al. (2022, arXiv 2208.01066) and Yadlowsky, Doshi
 * and Tripuraneni (2023, arXiv 2311.00871): decoders that were trained on prompts x_1, f(x_1), x_2,
 * ... of many functions f.  Pairs are added one at a time (two tokens of work, whatever is there
 * already) or many at once; queries cost a token each and leave the context as it was.  Models
 * with quantiles tell an interval for each query (icl_predict_interval).  icl_check tells the error
 * on the caller's own pairs, icl_surprise when they look like nothing the model was trained on,
 * which is when these models fail.
 *
 * WHAT IT DOES NOT DO.  Train (icl_train.h does), classify, tokenize text, run other architectures.
 * Inputs and outputs of mean 0 and standard deviation 1 are assumed; icl_standardize maps others.
 *
 * MACROS, to be defined before the include:
 *     ICL_IMPLEMENTATION   compile the functions in this file; the other macros go beside it
 *     ICL_API              their linkage (extern)
 *     ICL_STATIC           static instead, without warnings about those that are not called
 *     ICL_NO_SIMD          plain C only; otherwise AVX-512 (F, DQ, BW, VL) or AVX2 + FMA where the
 *                          processor has them, found at run time and independent of compiler
 *                          flags (icl_model_isa chooses), NEON on AArch64, and on 32-bit ARM where
 *                          the compiler is told of it with FMA (gcc -mfpu=neon-vfpv4), SIMD128 in
 *                          WebAssembly that is compiled with -msimd128, Helium (MVE) where the
 *                          compiler is told of it
 *     ICL_NO_AVX512        no more than AVX2: smaller programs
 *     ICL_FILE             the name of this file where it is not "icl.h", as #include takes it: the
 *                          implementation includes itself once for each instruction set
 *     ICL_NO_MALLOC        without icl_ctx_new, icl_threads and files: no allocation anywhere
 *     ICL_NO_STDIO         without icl_load and icl_save: no files
 *     ICL_THREADS          icl_threads runs pthreads (link with -lpthread); without it everything
 *                          runs on the caller's thread
 *     ICL_MAX_THREADS      the most of them (64)
 *     ICL_MALLOC(size), ICL_REALLOC(p, size), ICL_FREE(p)     all three or none; p may be NULL
 *     ICL_FOPEN(path, mode), ICL_REMOVE(path), ICL_RENAME(from, to)  instead of fopen, remove and
 *                          rename for files; on Windows, where these take no UTF-8, functions that
 *                          widen the names and call _wfopen, _wremove and _wrename
 *     ICL_ASSERT(condition)  checks of the library's own assumptions (none)
 *
 * MEMORY.  Functions that need memory come with one that says how much, to the byte: that much
 * works, one byte less is refused.  Any alignment will do.  Nothing is allocated after init.
 * Calls take less than 4 KB of stack where the compiler optimizes, and nothing recurses; at -O0 on
 * x86 icl_add takes 53 KB with gcc and 161 KB with clang, half of that with ICL_NO_AVX512.  Weights
 * are read in place, F32 as well as F16, BF16 and I8 in the matrices of blocks: a model in flash,
 * or in a file that the program maps (mmap, MapViewOfFile: pass address and length to
 * icl_model_init), costs RAM only for a table of pointers, and processes that map one file share
 * its pages (on little-endian machines; elsewhere, and where data are not aligned, weights are
 * copied).  A context may keep its keys and values in F16, BF16 or I8 (icl_ctx_options).  Data, mem
 * and icl_model must stay in place as long as what was made of them is used.
 *
 * SHARED LIBRARY.  icl_model and icl_ctx are complete types, so that they can stand anywhere; their
 * private fields, and icl_ctx_options, change between versions.  Programs should compile the
 * implementation in.  A shared library must be built with the same header as its callers, who
 * should compare ICL_VERSION with icl_version(); callers in other languages get contexts and models
 * from icl_ctx_new and icl_load alone, as pointers.
 *
 * ERRORS.  Functions return icl_error.  On any error the context and the outputs are unchanged,
 * except that a batch may have written some of its predictions, and that functions that add the
 * pairs anew (icl_ctx_scale, icl_forget, icl_standardize, icl_check, icl_ctx_restore, icl_refine,
 * icl_mirror) say what they leave.  Where a reason has an argument an icl_report tells it.  ARG
 * means NULL or a number out of range and is not repeated below.  NULL is fine for icl_report,
 * user, icl_metadata, the options of a prompt, arrays of no elements, in deletes, and where a
 * function says so; functions without a code return 0 or NULL for it.  No pointer that is NULL
 * crashes.  Nothing aborts, prints, or sets globals.  NaN and infinity, and numbers so large that
 * they overflow on the way through the network, are NONFINITE and never come out with ICL_OK: these
 * are tests of bits, which hold under any compiler flag that the header does not refuse.
 *
 * FILES.  Untrusted checkpoints are in scope: any bytes give a model that was checked or an error
 * with the byte and the name of the tensor.
 *
 * THREADS.  A model is never changed and may be shared.  A context belongs to one thread at a time;
 * several threads may do its work (icl_ctx_threads, with icl_threads or the program's own).  Many
 * contexts with one query each: icl_predict_many.  icl_load may run in several threads as far as
 * strerror may, which names the reason when a file cannot be read.
 *
 * NUMERICS.  F32 throughout; what is stored in fewer bytes is unpacked as it is read.  The answer
 * to a query is the same bits whether it comes alone or in a batch, and whether the pairs came one
 * by one or all at once: every element of every product is one chain of multiply-adds in a fixed
 * order.  It is the same bits under AVX2, AVX-512, NEON and Helium, with every compiler, libm and
 * level of optimization (tests/test_bits.c compares digests, but for Helium).  Plain C and SIMD128
 * round a b + c twice and differ in the last digits.  Flags that may reorder sums
 * (-funsafe-math-optimizations) and x87 without -std=c99 change the last bits, and then batches
 * differ from single queries by rounding too.
 *
 * CHECKPOINT.  safetensors, as PyTorch's save_file(model.state_dict(), path, metadata) writes it:
 *     bytes 0 .. 7     n, length of the header, little-endian; at most 2^20
 *     8 .. 8 + n       JSON {"__metadata__": {..}, NAME: {"dtype", "shape", "data_offsets"}, ..}
 *     8 + n ..         the tensors, which tile this part exactly: F32, F16, BF16, little-endian,
 *                      and I8 for the four matrices of a block: c_attn, attn.c_proj, c_fc and
 *                      mlp.c_proj, "NAME.weight" [in, out]; then there is "NAME.weight.scale",
 *                      F32 [out], above 0 and at most 2^120, and the weight in row i and column j
 *                      is I8[i][j] scale[j], -128 being a number like others
 *   names              those of Garg et al.'s state dict, see >>tensors; "module." and
 *                      "_orig_mod." in front are accepted, "_backbone.wte.weight", "*.attn.bias"
 *                      and "*.attn.masked_bias" are skipped, others are errors
 *   metadata, strings  n_head (required); activation_function: gelu_new (default, of which
 *                      gelu_pytorch_tanh and gelu_fast are other names), gelu, relu;
 *                      layer_norm_epsilon (1e-5); position_embedding_type: absolute (default
 *                      where there is a wpe tensor), sinusoidal, none, alternating (wpe [2, C]);
 *                      n_positions (required without wpe); icl.tokens: apart (default) or joint,
 *                      then _read_in.weight is [C, d + 1]; icl.quantiles, levels of the rows
 *                      1 .. Q of the read-out, as "0.05,0.5,0.95"; icl.task, icl.sampling and
 *                      icl.recipe: how it was trained; icl.typical, see >>surprise; icl.version;
 *                      icl.digest, 16 hex digits, see >>digest
 *
 * CONTENTS (search for >>name): config types api | platform errors arena numbers tensors checkpoint
 * digest interface model attention forward context surprise snapshot writer sugar | kernels
 * dispatch */
#ifndef ICL_H
#define ICL_H

/* ===== >>config ============================================================================= */
#define ICL_VERSION "0.2.0"
#define ICL_VERSION_NUMBER 200     /* 10000 major + 100 minor + patch */

/* The trainer's files need POSIX, which -std=c99 hides unless asked for before any include. */
#if defined ICL_TRAIN_IMPLEMENTATION && defined __STRICT_ANSI__ && !defined _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#if defined ICL_TRAIN_IMPLEMENTATION && defined __NetBSD__ && !defined _NETBSD_SOURCE
#define _NETBSD_SOURCE             /* fchmod, which POSIX alone does not show there */
#endif

#include <stddef.h>
#include <stdint.h>

#ifndef ICL_API
#if defined ICL_STATIC && (defined __GNUC__ || defined __clang__)
#define ICL_API static __attribute__((unused))
#elif defined ICL_STATIC
#define ICL_API static
#else
#define ICL_API extern
#endif
#endif

#ifndef ICL_MAX_THREADS
#define ICL_MAX_THREADS 64
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ===== >>types ============================================================================== */

/* Every code with its text, once.  icl_error_string(code) returns the text. */
#define ICL_ERRORS(X)                                                                             \
  X(OK,            "no error")                                                                    \
  X(ERR_ARG,       "an argument is NULL or outside its range")                                    \
  X(ERR_MEMORY,    "not enough memory")                                                           \
  X(ERR_FULL,      "the context holds no more pairs")                                             \
  X(ERR_NONFINITE, "NaN or infinity")                                                             \
  X(ERR_IO,        "reading or writing failed")                                                   \
  X(ERR_FORMAT,    "not a well-formed file")                                                      \
  X(ERR_LIMIT,     "larger than this build accepts")                                              \
  X(ERR_TENSOR,    "a tensor is missing, unknown, repeated, or of the wrong type or shape")       \
  X(ERR_CONFIG,    "the configuration is missing or contradicts itself")                          \
  X(ERR_DIGEST,    "the data do not match their digest")                                          \
  X(ERR_STATE,     "not possible in this state, or made for another model")

typedef enum icl_error {
#define ICL_X(name, text) ICL_##name,
  ICL_ERRORS(ICL_X)
#undef ICL_X
  ICL_ERROR_MAX = ICL_ERR_STATE
} icl_error;

/* What went wrong and where: filled by every function that takes one; NULL is fine there. */
typedef struct icl_report {
  icl_error code;
  size_t offset;   /* byte in the file where the fault was found, 0 where that has no meaning */
  char text[96];   /* one line, printable ASCII: names the tensor, key or argument            */
} icl_report;

typedef enum icl_position {
  ICL_POSITION_LEARNED, ICL_POSITION_SINUSOIDAL, ICL_POSITION_NONE,
  ICL_POSITION_ALTERNATING         /* two learned rows, for x and for y tokens; no limit on pairs */
} icl_position;

/* What the token of y_i carries: y_i alone, in slot 0 (Garg et al. 2022); or (x_i, y_i), with an
 * input of its own for y that is 0 in x tokens, so that no layer must find the x of a y first. */
typedef enum icl_tokens { ICL_TOKENS_APART, ICL_TOKENS_JOINT } icl_tokens;

#define ICL_MAX_QUANTILES 15
typedef enum icl_activation { ICL_GELU_TANH, ICL_GELU_ERF, ICL_RELU } icl_activation;

/* The shape of a model, under HF's names. */
typedef struct icl_config {
  int n_dims;                      /* d: inputs                                               */
  int n_embd;                      /* C: width of the residual stream                         */
  int n_head;                      /* H: attention heads, divides C                           */
  int n_layer;                     /* L: decoder blocks                                       */
  int n_positions;                 /* P: tokens the model was made for, two a pair            */
  int n_out;                       /* rows of the read-out: 1, d or 1 + n_quantiles           */
                                   /*   row 0 is the prediction                               */
  icl_position position_embedding_type;
  icl_activation activation_function;
  float layer_norm_epsilon;
  icl_tokens tokens;
  int n_quantiles;                 /* Q: rows 1..Q of the read-out are quantiles of y         */
  float quantiles[ICL_MAX_QUANTILES];  /* [Q] their levels, rising, between 0 and 1           */
} icl_config;

/* One row of the tensor table: what the checkpoint calls it and how large it is. */
typedef struct icl_tensor {
  char name[48];                   /* as in the file, e.g. "_backbone.h.3.attn.c_attn.weight" */
  int rank;                        /* 1 (rows is 1) or 2                                      */
  int rows, cols;                  /* row-major                                               */
  int layer;                       /* 0..L-1, or -1 outside the blocks                        */
} icl_tensor;

/* A loaded model: immutable, may be shared between threads.  Put it anywhere. */
typedef struct icl_model {
  icl_config config;
  size_t n_params;
  int verified;                    /* 1: the file carried icl.digest, and its bytes match it:
                                      no accident changed them.  An adversary can forge it    */
  const char *task;                /* icl.task: the mixture it was trained on, "" if not said */
  const char *sampling;            /* icl.sampling: how its prompts were drawn, "" likewise   */
  const char *recipe;              /* icl.recipe: how it was trained, "" likewise             */
  /* private below */
  uint64_t digest;                 /* see >>digest; 0 after icl_model_bind                    */
  const void **weights;            /* [slots] rows of the tensor table, and scales of I8      */
  unsigned char *types;            /* [slots] an icl__dtype: F32 outside of the four products
                                      of a block; NULL: all are F32 (icl_model_bind)          */
  const float *typical;            /* [n_typical][2] median, 99th percentile, see >>surprise  */
  int n_typical;
  const struct icl__ops *ops;      /* the kernels that this processor runs                    */
  void *owned;                     /* the file's bytes, where icl_load read them              */
} icl_model;

/* Runs task(arg, 0) .. task(arg, n - 1) in any order, on any threads, and returns when all have. */
typedef void icl_parallel(void *user, int n, void (*task)(void *arg, int i), void *arg);

/* How a checkpoint stores the four weight matrices of each block, all else being F32; and how a
 * context stores keys and values. */
typedef enum icl_storage {
  ICL_STORE_F32, ICL_STORE_F16, ICL_STORE_BF16,
  ICL_STORE_I8                     /* whole numbers from -127 to 127 times a scale            */
} icl_storage;

/* How large a context is and how it works.  Set all of it to zero first; zero means the default, in
 * brackets. */
typedef struct icl_ctx_options {
  int max_pairs;                   /* pairs that it holds, 1 to icl_max_pairs; has no default     */
  int queries_at_once;             /* (1) queries that go through the network in one pass, to
                                      2^22; pairs go half as many; longer batches take several    */
  int threads;                     /* (1) threads of its work, by way of run; see icl_ctx_threads */
  icl_storage kv;                  /* (F32) how it stores keys and values                         */
  icl_parallel *run;
  void *user;                      /* the first argument of run                                   */
} icl_ctx_options;

/* The pairs seen so far, and scratch.  One per thread.  Put it anywhere, but do not copy it by
 * assignment: it points into its own memory (icl_ctx_copy). */
typedef struct icl_ctx {
  const icl_model *model;
  int max_pairs, max_batch;
  int n_pairs;
  /* private below */
  int threads;                     /* tasks that run can do at once; 1: no threads            */
  icl_parallel *run;
  void *run_user;
  size_t rows;                     /* rows of scratch: max(2, max_batch)                      */
  size_t key_row;                  /* numbers from one channel's keys to the next's           */
  size_t n_pack;                   /* floats of pack; 0 where the kernels pack nothing        */
  float *x_mean, *x_std;           /* [d] the model sees (x - x_mean) / x_std                 */
  float *y_scale;                  /* [2] y_mean, y_std                                       */
  float *inputs;                   /* [max_pairs][d] x, in the caller's units                 */
  float *outputs;                  /* [max_pairs] y, in the caller's units                    */
  float *residuals;                /* [max_pairs] y - prediction, in the caller's units       */
  icl_storage kv;                  /* how keys and values are stored                          */
  void *keys;                      /* [L][C][key_row] transposed: one row per channel         */
  void *values;                    /* [L][2 max_pairs][C]                                     */
  float *key_scales, *value_scales;    /* [L][H][key_row] one a token and head, I8 only; NULL */
  float *positions;                /* [2 max_pairs + 1][C], sinusoidal positions only         */
  float *tokens;                   /* [rows][d], or d + 1 where tokens are joint              */
  float *quantiles;                /* [rows][1 + Q] answers of a pass; NULL where Q is 0      */
  float *stream;                   /* [rows][C] the residual stream                           */
  float *normed;                   /* [rows][C]                                               */
  float *hidden;                   /* [rows][4C]                                              */
  float *scores;                   /* [H][6][key_row]                                         */
  float *pack;                     /* [n_pack] panels of weights, for the product             */
} icl_ctx;

/* What else a checkpoint says about itself; NULL fields are left out of the file.  Set all of it to
 * zero first. */
typedef struct icl_metadata {
  const char *task;                /* icl.task                                                */
  const char *typical;             /* icl.typical, see >>surprise                             */
  icl_storage storage;             /* rounded to nearest; I8: a column's scale is its largest
                                      magnitude / 127                                         */
  const char *sampling;            /* icl.sampling: how the prompts of the task were drawn    */
  const char *recipe;              /* icl.recipe: how it was trained                          */
} icl_metadata;

/* ===== >>api ================================================================================ */

/* The text of an error code; never NULL. */
ICL_API const char *icl_error_string(icl_error e);

/* ICL_VERSION of the implementation that was linked in. */
ICL_API const char *icl_version(void);

/* ----- a model, from bytes in the caller's memory -------------------------------------------- */

/* Reads the header of the checkpoint data[size] and checks the whole layout, without allocating.
 * cfg (NULL ok) gets the configuration; need (NULL ok) the bytes that icl_model_init wants.  That
 * is small where the weights can be used in place: F32, or F16, BF16 and I8 in the matrices of
 * blocks, little-endian host, data aligned to their size.  Other weights are unpacked to F32
 * there.  Errors: FORMAT, LIMIT, TENSOR, CONFIG, ARG. */
ICL_API icl_error icl_inspect(const void *data, size_t size, icl_config *cfg, size_t *need,
                              icl_report *r);

/* Makes a model of data[size], which must stay as it is while the model is used.  mem[mem_size] may
 * have any alignment.  On top of icl_inspect: every weight is finite (NONFINITE names tensor and
 * byte), the digest fits if there is one (DIGEST).  MEMORY where mem_size < need. */
ICL_API icl_error icl_model_init(icl_model *m, const void *data, size_t size,
                                 void *mem, size_t mem_size, icl_report *r);

/* How the matrices of m's blocks are read; where they differ, the first one's type.  Big-endian
 * hosts turn F16 and BF16 into F32. */
ICL_API icl_storage icl_model_storage(const icl_model *m);

/* The kernels in use: "avx512", "avx2", "neon", "wasm128", "mve" or "c"; "none" where m is NULL. */
ICL_API const char *icl_isa_name(const icl_model *m);

/* Chooses the kernels by name, NULL the best of this processor.  Call it before the model is shared
 * and before contexts are made.  ARG: the build has none of that name; LIMIT: it has, but this
 * processor cannot run them; m stays as it was. */
ICL_API icl_error icl_model_isa(icl_model *m, const char *name);

/* icl_model_isa(m, "c"), the plain C kernels; a build with Helium has none and keeps its own. */
ICL_API void icl_force_plain(icl_model *m);

/* ----- a context ----------------------------------------------------------------------------- */

/* The most pairs that a context of m can hold: (n_positions - 1) / 2 with learned positions, no
 * more than 2^22; 49,999 with sinusoidal ones; 2^22 with others; 0 for NULL. */
ICL_API int icl_max_pairs(const icl_model *m);

/* Bytes for a context of max_pairs pairs that sends up to max_batch token rows through the network
 * at once: that many queries, or half as many pairs (never less than one pair); longer batches go
 * through in several passes.  Exact: icl_ctx_init takes this many and refuses one less.  It depends
 * on the kernels in use.  0 where an argument is out of range: max_pairs from 1 to icl_max_pairs,
 * max_batch from 1 to 2^22. */
ICL_API size_t icl_ctx_bytes(const icl_model *m, int max_pairs, int max_batch);

/* An empty context in mem[bytes], any alignment.  ARG, MEMORY. */
ICL_API icl_error icl_ctx_init(icl_ctx *c, const icl_model *m, int max_pairs, int max_batch,
                               void *mem, size_t bytes);

/* The same with all options, and a report, which names the option and its limits: "max_pairs is 41,
 * not 1 to 40".  icl_ctx_bytes and icl_ctx_init set max_pairs and queries_at_once alone.
 * Keys and values are most of a context of many pairs: F16 and BF16 take half of F32's bytes, I8
 * about a quarter (a byte each, and an F32 for every token and head).  They are rounded to nearest
 * as pairs are added and unpacked where they are used; the arithmetic stays F32.  Never the
 * default: predictions change; examples/models/quantize.sh measures how much.  A number that is too
 * large for F16 is NONFINITE.  A pair sees its own rounded key, a query its own exact one:
 * residuals are not those of icl_predict to the bit. */
ICL_API size_t icl_ctx_bytes_with(const icl_model *m, const icl_ctx_options *o, icl_report *r);
ICL_API icl_error icl_ctx_init_with(icl_ctx *c, const icl_model *m, const icl_ctx_options *o,
                                    void *mem, size_t bytes, icl_report *r);

/* Makes to, of the same model and kv, hold what from holds: pairs, scale, residuals, and the same
 * bits of answers, without the work of adding them.  Its own sizes and threads stay.  STATE where
 * model or kv differ, FULL where to is too small; then it stays as it was. */
ICL_API icl_error icl_ctx_copy(icl_ctx *to, const icl_ctx *from);

/* From now on the model sees (x - x_mean) / x_std and (y - y_mean) / y_std, and answers in the
 * caller's units.  x_mean[d], x_std[d]; NULL means 0 and 1.  These models expect inputs and
 * outputs of mean 0 and standard deviation 1 and break without: Garg et al. (2022, section 5)
 * measure a normalised error of 0.58 when x is three times as large.  Pairs that the context holds
 * are added anew under the new scale, at the cost of icl_add_batch.  ARG if a standard deviation is
 * not above 0, NONFINITE; where the pairs cannot be added again (NONFINITE) the context is
 * empty. */
ICL_API icl_error icl_ctx_scale(icl_ctx *c, const float *x_mean, const float *x_std,
                                float y_mean, float y_std);

/* Scales by the data: mean and standard deviation of xs[n][d] and ys[n], computed in double; an
 * input or output that is constant gets 1.  NULL xs and ys: of the pairs in the context.  Pairs
 * that the context holds are added anew under the new scale, so a stream may begin with a guess
 * and be scaled once its first pairs are there.  ARG where n < 1, NONFINITE; where pairs cannot be
 * added again the context is empty. */
ICL_API icl_error icl_standardize(icl_ctx *c, int n, const float *xs, const float *ys);

/* Makes calls on c use up to n >= 1 threads from now on, by way of run(user, ..): icl_threads_run,
 * OpenMP, whatever the program has.  n = 1: the calling thread alone.  The answers stay the same
 * bits.  ARG. */
ICL_API icl_error icl_ctx_threads(icl_ctx *c, int n, icl_parallel *run, void *user);

/* ----- the work: on any error the context stays as it was ------------------------------------- */

/* One more pair: x[d], d = config.n_dims (with fewer inputs 0 for the others, where the model was
 * trained so), and its y.  Costs two tokens.  FULL, NONFINITE, ARG. */
ICL_API icl_error icl_add(icl_ctx *c, const float *x, float y);

/* n more pairs, xs[n][d] and ys[n], in batched passes; the same bits as n calls of icl_add. */
ICL_API icl_error icl_add_batch(icl_ctx *c, int n, const float *xs, const float *ys);

/* *y = the prediction at x[d] given the pairs so far.  Costs one token. */
ICL_API icl_error icl_predict(icl_ctx *c, const float *x, float *y);

/* ys[n] = predictions at xs[n][d]; no query sees another; the same bits as n calls of icl_predict.
 * ys may be xs.  On an error ys may be partly written. */
ICL_API icl_error icl_predict_batch(icl_ctx *c, int n, const float *xs, float *ys);

/* icl_add_batch(c, n, xs, ys), then icl_predict_batch(c, n_query, queries, answers), with the same
 * bits: where max_batch >= 2 n + n_query in one pass, which is the fastest way to a first answer.
 * On an error answers may be partly written. */
ICL_API icl_error icl_ask(icl_ctx *c, int n, const float *xs, const float *ys, int n_query,
                          const float *queries, float *answers);

/* ys[i] = what contexts[i] predicts at xs[i][d], for n contexts of one model: the bits of
 * icl_predict, in passes of work's queries_at_once over the network, which share its weights: for
 * many players, sensors or channels with one query each, 1.3 to 1.5 times as fast as one after the
 * other with the bundled models.  work is a context of the same model, one of them or another; its
 * scratch and threads are used, its pairs are not.  The contexts may differ in pairs, scale, size
 * and kv; one may be there twice.  All of them belong to the calling thread meanwhile.  ARG where
 * the models differ; on an error ys may be partly written. */
ICL_API icl_error icl_predict_many(icl_ctx *work, int n, icl_ctx *const *contexts, const float *xs,
                                   float *ys);

/* Forgets all but the first n_pairs pairs; 0 empties the context. */
ICL_API icl_error icl_rewind(icl_ctx *c, int n_pairs);

/* Drops the n oldest pairs, for a sliding window.  Adds the others anew, since each was read in the
 * light of those before it: at the cost of icl_add_batch of them.  Dropping one pair for each that
 * comes costs as much as a new context each time; dropping a quarter of the window whenever it is
 * full costs four additions a pair.  ARG where n is above icl_count.  Where the others cannot be
 * added again (NONFINITE) the context is empty. */
ICL_API icl_error icl_forget(icl_ctx *c, int n);

/* The pairs in the context, in the caller's units: x[icl_count][d] and y[icl_count].  Valid until
 * the context changes. */
ICL_API const float *icl_inputs(const icl_ctx *c);
ICL_API const float *icl_outputs(const icl_ctx *c);

/* Pairs in the context; 0 for NULL. */
ICL_API int icl_count(const icl_ctx *c);

/* ----- how sure is the model? ----------------------------------------------------------------- */

/* qs[n][Q] = quantiles of y at xs[n][d] given the pairs so far, rising, for the Q levels of the
 * model's config.  CONFIG where Q is 0 (models without icl.quantiles);
 * NONFINITE: untouched where a query is not finite, partly written where an answer is not. */
ICL_API icl_error icl_predict_quantiles(icl_ctx *c, int n, const float *xs, float *qs);

/* ys[n] = predictions, and the interval lo[n] to hi[n] that y should fall into with probability
 * level: between the quantiles (1 - level) / 2 and (1 + level) / 2, interpolated between the
 * trained levels.  ARG where the model's levels do not reach that far; CONFIG where it has none;
 * NONFINITE as above. */
ICL_API icl_error icl_predict_interval(icl_ctx *c, int n, const float *xs, float level, float *ys,
                                       float *lo, float *hi);

/* *rmse = root mean squared error, in the units of y, of each pair in the context when it is
 * predicted from all the others: an honest figure of merit on the caller's own data (the scale
 * alone has seen the pair).  Costs about n / 2 times icl_add_batch of n pairs.  Afterwards the
 * context holds the same pairs.  STATE where it holds fewer than 2; NONFINITE, and then it is
 * empty. */
ICL_API icl_error icl_check(icl_ctx *c, float *rmse);

/* Refinement: a second look.  r, another context of the same model with room for as many pairs,
 * becomes a context of residuals: c is asked at its own inputs, and its errors there, in r's own
 * scale, are the pairs of r.  icl_predict_refined adds both answers: ys[n] = c's + r's, and with
 * lo and hi (NULL: not wanted) c's interval moved along.  What one look corrects is not certain:
 * above level 0.5 the interval is wider on both sides by (level - 0.5) / 0.4 of |r's answer|.  A
 * smooth rest is learned once more, noise is answered with about 0.  Costs as much again as c did;
 * see docs/models.md for the gain.  Refine anew when c has changed.  ARG, STATE where c is empty,
 * FULL where r is too small, NONFINITE, and then r is empty; CONFIG as icl_predict_interval. */
ICL_API icl_error icl_refine(icl_ctx *r, icl_ctx *c);
ICL_API icl_error icl_predict_refined(icl_ctx *c, icl_ctx *r, int n, const float *xs, float level,
                                      float *ys, float *lo, float *hi);

/* Mirror images: the same pairs with x, y or both negated are a data set too, and the model's
 * errors there are in part others.  m, another context of the same model with room for as many
 * pairs, becomes an image of c: ICL_MIRROR_X and ICL_MIRROR_Y say what its scale negates.  It takes
 * and gives the caller's own x and y.  icl_predict_mean averages the answers of k contexts, each
 * with its rs[i] of icl_refine (rs or rs[i] NULL: none), and with lo and hi (NULL: not wanted) the
 * ends of their intervals.  With one input all four images gain most where x lies outside of the
 * pairs; see docs/models.md.  k times the cost.  Save the context itself: the snapshot of an image
 * is not restored.  ARG, FULL, NONFINITE, and then m is empty; CONFIG for ICL_MIRROR_Y with
 * quantiles that are not symmetric about 0.5. */
enum { ICL_MIRROR_X = 1, ICL_MIRROR_Y = 2 };
ICL_API icl_error icl_mirror(icl_ctx *m, const icl_ctx *c, int image);
ICL_API icl_error icl_predict_mean(int k, icl_ctx *const *cs, icl_ctx *const *rs, int n,
                                   const float *xs, float level, float *ys, float *lo, float *hi);

/* The images that count.  cs[0] has the pairs, cs[1] to cs[3] are other contexts of the same model
 * with room for as many.  *k = 1 to 4 contexts, the first of cs, are then cs[0] and those images of
 * it that the model finds familiar: whose surprise is at most 1, or at most that of cs[0].  So a
 * model of one kind of curve is not asked about another.  *k = 1 where more than one input varies,
 * where icl_surprise of cs[0] has an error, and where images are not possible.  Costs three times
 * icl_add_batch.  ARG, FULL. */
ICL_API icl_error icl_mirror_images(icl_ctx *const *cs, int *k);

/* ----- is the model out of its depth? --------------------------------------------------------- */

/* [icl_count] y - (prediction of y from the pairs before it), in the caller's units: what icl_add
 * found out on the way.  Valid until the context changes. */
ICL_API const float *icl_residuals(const icl_ctx *c);

/* *s = how unlike the pretraining mixture this context looks: 0 for the median of contexts drawn
 * from it, 1 where only one in a hundred of them is as odd, more beyond that.  Needs one pair or
 * more, and a model that carries `icl.typical` (those of icl_train.h do): STATE, CONFIG. */
ICL_API icl_error icl_surprise(const icl_ctx *c, float *s);

/* ----- save and restore a context ------------------------------------------------------------- */

/* Bytes that icl_ctx_save writes now: 32 + 8 d + 4 (d + 1) a pair; 0 for NULL. */
ICL_API size_t icl_ctx_save_bytes(const icl_ctx *c);

/* Writes the scale and the pairs of c to buf[size], the same bytes on every host.  They are the
 * caller's data: any model with as many inputs restores them.  MEMORY, ARG. */
ICL_API icl_error icl_ctx_save(const icl_ctx *c, void *buf, size_t size);

/* Replaces scale and pairs of c by those saved in buf[size], and adds them: the cost of
 * icl_add_batch, and the bits of this host, model and kv.  The report tells why not: FORMAT of
 * other or older bytes, STATE of another number of inputs, FULL where c is too small, DIGEST or
 * NONFINITE where the bytes are damaged; then c stays as it was.  Where the pairs cannot be added
 * (NONFINITE without a byte) c is empty. */
ICL_API icl_error icl_ctx_restore(icl_ctx *c, const void *buf, size_t size, icl_report *r);

/* ----- the tensor table, and writing checkpoints --------------------------------------------- */

/* OK or what is wrong with a configuration. */
ICL_API icl_error icl_config_check(const icl_config *cfg, icl_report *r);

/* Rows of the tensor table: 6 + learned positions + 12 L.  cfg must be valid. */
ICL_API int icl_tensor_count(const icl_config *cfg);

/* Row i of the table, 0 <= i < icl_tensor_count. */
ICL_API icl_error icl_tensor_at(const icl_config *cfg, int i, icl_tensor *t);

/* Floats in all tensors together; laid out in the order of the table they make one block. */
ICL_API size_t icl_param_count(const icl_config *cfg);

/* Copies the weights of m, as F32, to params[icl_param_count] in table order. */
ICL_API icl_error icl_model_params(const icl_model *m, float *params);

/* Points m at params[icl_param_count], in table order, which may change between calls of the
 * others: for training.  mem[icl_bind_bytes] holds the table of pointers.  The weights are not
 * checked.  MEMORY. */
ICL_API size_t icl_bind_bytes(const icl_config *cfg);
ICL_API icl_error icl_model_bind(icl_model *m, const icl_config *cfg, const float *params,
                                 void *mem, size_t mem_size);

/* A checkpoint (safetensors) of params[icl_param_count] in table order.  bytes: its exact
 * size, 0 for a bad configuration or metadata: printable ASCII without quote and backslash.  md may
 * be NULL.  icl_write: MEMORY; NONFINITE where a weight is not finite as it is stored, and then
 * part of buf may be written. */
ICL_API size_t icl_write_bytes(const icl_config *cfg, const icl_metadata *md);
ICL_API icl_error icl_write(void *buf, size_t size, const icl_config *cfg, const float *params,
                            const icl_metadata *md);

/* ----- malloc and stdio sugar ---------------------------------------------------------------- */

#ifndef ICL_NO_MALLOC
/* Contexts in memory of their own. */
ICL_API icl_error icl_ctx_new(icl_ctx **c, const icl_model *m, int max_pairs, int max_batch);
ICL_API icl_error icl_ctx_new_with(icl_ctx **c, const icl_model *m, const icl_ctx_options *o,
                                   icl_report *r);
ICL_API void icl_ctx_delete(icl_ctx *c);

/* n threads, the caller's among them, for icl_ctx_threads(c, n, icl_threads_run, t); without
 * ICL_THREADS only the caller's.  Between two calls they stay awake for some microseconds, then
 * sleep.  One context at a time may use them.  ARG where n is not 1 to ICL_MAX_THREADS. */
typedef struct icl_threads icl_threads;
ICL_API icl_error icl_threads_new(icl_threads **t, int n);
ICL_API void icl_threads_delete(icl_threads *t);

/* An icl_parallel; user is an icl_threads, or NULL for the caller's thread alone. */
ICL_API void icl_threads_run(void *user, int n, void (*task)(void *arg, int i), void *arg);
#ifndef ICL_NO_STDIO
/* Reads a checkpoint file; IO where it cannot be read.  On a pipe it takes what the header promises
 * and does not wait for the end, so that it ends on devices and pipes too. */
ICL_API icl_error icl_load(icl_model **m, const char *path, icl_report *r);
ICL_API void icl_unload(icl_model *m);

/* Writes a checkpoint (icl_write) to a new file beside path and renames it: path is the old file or
 * the new one, never half of it, as long as the power stays on; a link is replaced, not followed.
 * (icl_replace_file of icl_train.h also flushes to the disk, follows links and keeps permissions.)
 * IO; errors of icl_write. */
ICL_API icl_error icl_save(const char *path, const icl_config *cfg, const float *params,
                           const icl_metadata *md, icl_report *r);
#endif
#endif

#ifdef __cplusplus
}
#endif
#endif /* ICL_H */

/* ============================================================================================= */
/* Stop here if you only use the library.                                                        */
/* ============================================================================================= */

#if defined ICL_IMPLEMENTATION && !defined ICL__IMPLEMENTED
#define ICL__IMPLEMENTED

/* ---------------------------------------------------------------------------------------------
 * >>platform
 * The only place, with >>kernels and >>dispatch, that knows compilers and processors.
 * ------------------------------------------------------------------------------------------- */
/* Macros that others have: dimensions go by single letters here, and math.h and stdlib.h declare
 * abs, log2 and round.  They come back at the end. */
#pragma push_macro("abs")
#undef abs
#pragma push_macro("log2")
#undef log2
#pragma push_macro("max")
#undef max
#pragma push_macro("min")
#undef min
#pragma push_macro("round")
#undef round
#pragma push_macro("C")
#undef C
#pragma push_macro("D")
#undef D
#pragma push_macro("H")
#undef H
#pragma push_macro("L")
#undef L
#pragma push_macro("T")
#undef T

#include <math.h>
#include <string.h>
#ifndef ICL_NO_MALLOC
#include <stdlib.h>
#ifndef ICL_NO_STDIO
#include <errno.h>
#include <stdio.h>
#endif
#endif

#if !defined __cplusplus && defined __STRICT_ANSI__                                               \
    && (!defined __STDC_VERSION__ || __STDC_VERSION__ < 199901L)
#error "icl.h needs C99 or C++11: no -std=c89, no -ansi"
#endif

#if defined __FAST_MATH__ || (defined __FINITE_MATH_ONLY__ && __FINITE_MATH_ONLY__ > 0)           \
    || defined _M_FP_FAST
#error "icl.h needs NaN and infinity: no -ffast-math, -ffinite-math-only, /fp:fast"
#endif

#if defined __GNUC__ || defined __clang__                /* clang-cl is no __GNUC__ */
#define ICL__GNU 1
#else
#define ICL__GNU 0
#endif

#if defined __cplusplus && ICL__GNU                      /* the casts below are C's */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

/* ICL__IN_MEMORY: what p points at is in memory from here on, rounded to its type and of unknown
 * value.  ICL__SET: *p = v, for threads that wait awake; ICL__STILL: 1 while *p is `old`, after a
 * short pause. */
#if ICL__GNU
#define ICL__UNUSED static __attribute__((unused))
#define ICL__IN_MEMORY(p) __asm__ volatile("" : : "r"(p) : "memory")
#define ICL__SET(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#if defined __x86_64__ || defined __i386__
#define ICL__STILL(p, old) (__builtin_ia32_pause(), __atomic_load_n(p, __ATOMIC_RELAXED) == (old))
#else
#define ICL__STILL(p, old) (__atomic_load_n(p, __ATOMIC_RELAXED) == (old))
#endif
#else
#define ICL__UNUSED static
#define ICL__IN_MEMORY(p) (void)(p)
#define ICL__SET(p, v) (*(p) = (v))
#define ICL__STILL(p, old) 0
#endif

/* The vector unit; 0: none. */
#if defined ICL_NO_SIMD
#define ICL__VECTORS 0
#elif defined __x86_64__ || defined _M_X64
#define ICL__VECTORS 1
#elif (defined __aarch64__ && defined __ARM_NEON) || defined _M_ARM64
#define ICL__VECTORS 2
#elif defined __ARM_NEON && defined __ARM_FEATURE_FMA && ICL__GNU
#define ICL__VECTORS 3
#elif defined __wasm_simd128__
#define ICL__VECTORS 4
#elif defined __ARM_FEATURE_MVE && ICL__GNU && (__ARM_FEATURE_MVE & 2)   /* with floats */
#define ICL__VECTORS 5
#else
#define ICL__VECTORS 0
#endif
#define ICL__X86 (ICL__VECTORS == 1)
#define ICL__NEON (ICL__VECTORS == 2 || ICL__VECTORS == 3)
#define ICL__NEON32 (ICL__VECTORS == 3)                     /* 32-bit ARM */
#define ICL__WASM (ICL__VECTORS == 4)
#define ICL__MVE (ICL__VECTORS == 5)                        /* Helium */
#define ICL__SIMD (ICL__VECTORS > 0)
#ifdef ICL_NO_AVX512
#define ICL__AVX512 0
#else
#define ICL__AVX512 ICL__X86
#endif

/* ICL__INLINE: a helper over vectors of ICL__W floats, always inlined (with several sets of kernels
 * gcc stops inlining others).  ICL__KERNEL: a function made of such helpers, compiled for
 * ICL__TARGET whatever the flags of the file, and called through icl__ops only. */
#define ICL__JOIN_(a, b) a##_##b
#define ICL__JOIN(a, b) ICL__JOIN_(a, b)
#if ICL__X86 && ICL__GNU
#define ICL__TARGET_OF_8 "avx2,fma,f16c"
#define ICL__TARGET_OF_16 "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,f16c"
#define ICL__TARGET ICL__JOIN(ICL__TARGET_OF, ICL__W)
#include <immintrin.h>
#ifdef _MSC_VER                          /* clang-cl would leave these to /arch:AVX2 */
#include <smmintrin.h>
#include <avxintrin.h>
#include <avx2intrin.h>
#include <f16cintrin.h>
#include <fmaintrin.h>
#if ICL__AVX512
#include <avx512fintrin.h>
#include <avx512vlintrin.h>
#include <avx512bwintrin.h>
#include <avx512dqintrin.h>
#include <avx512vlbwintrin.h>
#include <avx512vldqintrin.h>
#endif
#endif
#define ICL__INLINE static inline __attribute__((always_inline, unused, target(ICL__TARGET)))
#define ICL__KERNEL static __attribute__((unused, target(ICL__TARGET)))
#elif ICL__SIMD && ICL__GNU
#if ICL__NEON
#include <arm_neon.h>
#elif ICL__WASM
#include <wasm_simd128.h>
#else
#include <arm_mve.h>
#endif
#define ICL__INLINE static inline __attribute__((always_inline, unused))
#if ICL__MVE && !defined __clang__       /* small elsewhere (-Os), but fast where it counts */
#define ICL__KERNEL static __attribute__((unused, optimize("O2", "fp-contract=off")))
#else
#define ICL__KERNEL static __attribute__((unused))
#endif
#elif ICL__SIMD
#include <intrin.h>
#if ICL__X86
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif
#define ICL__INLINE static __forceinline
#define ICL__KERNEL static
#endif

/* a b + c is rounded twice, unless fmaf is written: compilers must not fuse it where the processor
 * has such an instruction.  (clang's -ffp-contract=fast does in spite of this.) */
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#ifdef __CUDACC__                        /* nvcc hands it to gcc, but does not know it */
#pragma nv_diag_suppress 1675
#endif
#pragma GCC push_options
#pragma GCC optimize ("fp-contract=off")
#ifdef __CUDACC__
#pragma nv_diag_default 1675
#endif
#elif defined _MSC_VER
#pragma fp_contract (off)
#endif

/* Between these two calls a thread has zeros for subnormal numbers, on x86 and AArch64, so that
 * both get the same bits.  In training, slopes in the far tails of softmax and gelu are subnormal:
 * nothing beside the sums that they go into, and a hundred cycles each on x86. */
ICL__UNUSED uint64_t icl__flush_begin(void)
{
  uint64_t before = 0;
#if ICL__X86
  before = _mm_getcsr();
  _mm_setcsr((unsigned)before | 0x8040u);                /* FTZ, DAZ */
#elif defined __aarch64__ && ICL__GNU
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | 1u << 24));                           /* FZ */
#endif
  return before;
}
ICL__UNUSED void icl__flush_end(uint64_t before)
{
#if ICL__X86
  _mm_setcsr((unsigned)before);
#elif defined __aarch64__ && ICL__GNU
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
  (void)before;
#endif
}

#ifndef ICL_NO_MALLOC
#if defined ICL_MALLOC || defined ICL_REALLOC || defined ICL_FREE
#if !defined ICL_MALLOC || !defined ICL_REALLOC || !defined ICL_FREE
#error "define all of ICL_MALLOC, ICL_REALLOC and ICL_FREE, or none"
#endif
#else
#define ICL_MALLOC(size) malloc(size)
#define ICL_REALLOC(p, size) realloc(p, size)
#define ICL_FREE(p) free(p)
#endif
#endif

#ifndef ICL_NO_STDIO
#ifndef ICL_FOPEN
#define ICL_FOPEN(path, mode) fopen(path, mode)
#endif
#ifndef ICL_REMOVE
#define ICL_REMOVE(path) remove(path)
#endif
#ifndef ICL_RENAME
#define ICL_RENAME(from, to) rename(from, to)
#endif
#endif

#ifndef ICL_ASSERT
#define ICL_ASSERT(condition) (void)0
#endif

/* Conditions that hold always, or never, as the comment beside them says why, and are tested all
 * the same.  For measuring coverage they are constants, as in SQLite; x has no side effects. */
#ifdef ICL_COVERAGE
#define ICL__ALWAYS(x) 1
#define ICL__NEVER(x) 0
#else
#define ICL__ALWAYS(x) (x)
#define ICL__NEVER(x) (x)
#endif

/* ---------------------------------------------------------------------------------------------
 * >>errors
 * ------------------------------------------------------------------------------------------- */
#include <stdarg.h>

const char *icl_error_string(icl_error e)
{
  static const char *const text[] = {
#define ICL_X(name, text) text,
    ICL_ERRORS(ICL_X)
#undef ICL_X
  };
  return (unsigned)e <= ICL_ERROR_MAX ? text[e] : "unknown error";
}

const char *icl_version(void) { return ICL_VERSION; }

/* Appends text[n] to out[cap] at position at; what is not printable ASCII becomes '?'. */
static size_t icl__append(char *out, size_t cap, size_t at, const char *text, size_t n)
{
  size_t i;
  for (i = 0; i < n && at + 1 < cap; i++, at++)
    out[at] = text[i] >= 32 && text[i] < 127 ? text[i] : '?';
  out[at] = 0;
  return at;
}

/* Fills the report with "what 'name'"; name[n] need not end with NUL.  Returns code. */
static icl_error icl__fail_n(icl_report *r, icl_error code, size_t offset, const char *what,
                             const char *name, size_t n)
{
  if (r) {
    size_t at = icl__append(r->text, sizeof r->text, 0, what, strlen(what));
    if (name) {
      at = icl__append(r->text, sizeof r->text, at, " '", 2);
      at = icl__append(r->text, sizeof r->text - 1, at, name, n);
      icl__append(r->text, sizeof r->text, at, "'", 1);
    }
    r->code = code;
    r->offset = offset;
  }
  return code;
}

/* The same for a name that ends with NUL, or NULL. */
static icl_error icl__fail(icl_report *r, icl_error code, size_t offset, const char *what,
                           const char *name)
{
  return icl__fail_n(r, code, offset, what, name, name ? strlen(name) : 0);
}

/* Text into out[..] if out is not NULL; n counts either way. */
typedef struct icl__text { char *out; size_t n; } icl__text;

static void icl__put(icl__text *t, const char *s)
{
  size_t n = strlen(s);
  if (t->out) memcpy(t->out + t->n, s, n);
  t->n += n;
}

static size_t icl__put_uint(char *out, uint64_t v)
{
  char digits[20];
  size_t n = 0, i;
  do { digits[n++] = (char)('0' + v % 10); v /= 10; } while (v);
  for (i = 0; i < n; i++) out[i] = digits[n - 1 - i];
  return n;
}

static void icl__put_number(icl__text *t, uint64_t v)
{
  char s[21];
  s[icl__put_uint(s, v)] = 0;
  icl__put(t, s);
}

/* Puts format, in which % stands for a text and # for a uint64_t. */
static void icl__write(icl__text *t, const char *format, ...)
{
  char one[2] = {0, 0};
  va_list args;
  va_start(args, format);
  for (; *format; format++) {
    one[0] = *format;
    if (*format == '#') icl__put_number(t, va_arg(args, uint64_t));
    else icl__put(t, *format == '%' ? va_arg(args, const char *) : one);
  }
  va_end(args);
}

/* ICL_OK if v is low .. high; ARG and "name is v, not low to high" otherwise. */
static icl_error icl__check_range(icl_report *r, const char *name, int v, int low, int high)
{
  char s[sizeof r->text] = "";
  icl__text t;
  if (v >= low && v <= high) return ICL_OK;
  t.out = s;
  t.n = 0;
  icl__write(&t, v < 0 ? "% is -#, not # to #" : "% is #, not # to #", name,
             v < 0 ? 0 - (uint64_t)v : (uint64_t)v, (uint64_t)low, (uint64_t)high);
  s[t.n] = 0;
  return icl__fail(r, ICL_ERR_ARG, 0, s, NULL);
}

/* "what 'name': why", for why = strerror(errno).  A name that is too long gives way in its middle,
 * of which ".." stays. */
ICL__UNUSED icl_error icl__fail_io(icl_report *r, size_t offset, const char *what,
                                   const char *name, const char *why)
{
  char text[sizeof r->text];
  size_t n = name ? strlen(name) : 0, other = strlen(what) + strlen(why) + 5, room, head;
  if (!r) return ICL_ERR_IO;
  room = other + 16 < sizeof text ? sizeof text - 1 - other : 16;
  head = n > room ? room / 3 : n;
  if (name) {
    size_t at = icl__append(text, sizeof text, 0, name, head);
    if (head < n) at = icl__append(text, sizeof text, at, "..", 2);
    if (head < n) icl__append(text, sizeof text, at, name + n - (room - head - 2), room - head - 2);
    name = text;
  }
  icl__fail(r, ICL_ERR_IO, offset, what, name);
  head = icl__append(r->text, sizeof r->text, strlen(r->text), ": ", 2);
  icl__append(r->text, sizeof r->text, head, why, strlen(why));
  return ICL_ERR_IO;
}

static icl_error icl__ok(icl_report *r)
{
  if (r) { r->code = ICL_OK; r->offset = 0; r->text[0] = 0; }
  return ICL_OK;
}

/* 1 if all of x[n] are finite.  A test of bits in memory, which no compiler flag can remove. */
static int icl__finite(const float *x, size_t n)
{
  uint32_t u;
  ICL__IN_MEMORY(x);
  if (n) do {
    memcpy(&u, x++, 4);
    if (u << 1 >= 0xff000000u) return 0;       /* all bits of the exponent are 1 */
  } while (--n);
  return 1;
}

/* 1 if one of x[n] is -infinity, which relu and softmax would make nothing of. */
ICL__UNUSED int icl__overflowed(const float *x, size_t n)
{
  uint32_t u, found = 0;
  ICL__IN_MEMORY(x);
  for (; n; n--, x++) { memcpy(&u, x, 4); found |= u == 0xff800000u; }
  return (int)found;
}

/* Makes NaN of x[n], in memory, where the compiler cannot take it for impossible. */
static void icl__spoil(float *x, size_t n)
{
  static const uint32_t nan = 0x7fc00000u;
  for (; n; n--, x++) memcpy(x, &nan, 4);
  ICL__IN_MEMORY(x);
}

/* ---------------------------------------------------------------------------------------------
 * >>arena
 * Blocks one after the other, 64-aligned, in memory of the caller's.  With base NULL nothing is
 * placed and only counted: the pass that counts and the pass that places are the same code.
 * ------------------------------------------------------------------------------------------- */
typedef struct icl__arena { unsigned char *base; size_t used; } icl__arena;

static icl__arena icl__arena_on(void *mem)
{
  icl__arena a;
  a.base = (unsigned char *)mem;
  a.used = 0;
  if (mem) a.base += (64 - (uintptr_t)mem % 64) % 64;
  return a;
}

/* What the caller must reserve: the blocks, and room to align the first of them. */
static size_t icl__arena_need(const icl__arena *a)
{
  return a->used > SIZE_MAX - 63 ? SIZE_MAX : a->used + 63;
}

/* Takes count elements of size bytes.  On overflow `used` saturates at SIZE_MAX, a size that no
 * caller can supply. */
static void *icl__take(icl__arena *a, size_t count, size_t size)
{
  size_t at = a->used;
  if (at > SIZE_MAX - 64 || (size && count > (SIZE_MAX - 64 - at) / size)) {
    a->used = SIZE_MAX;
    return NULL;
  }
  a->used = (at + count * size + 63) & ~(size_t)63;
  return a->base ? a->base + at : NULL;
}

static float *icl__take_floats(icl__arena *a, size_t count)
{
  return (float *)icl__take(a, count, sizeof(float));
}

/* ---------------------------------------------------------------------------------------------
 * >>numbers
 * ------------------------------------------------------------------------------------------- */

/* How a tensor is stored: the first four are those of icl_storage, by number; the others are known
 * in tensors that are skipped, and are one: ICL__OTHER. */
typedef enum icl__dtype { ICL__F32, ICL__F16, ICL__BF16, ICL__I8, ICL__OTHER } icl__dtype;

/* Their names in files, and bytes of a number. */
static const struct { char name[5]; unsigned char bytes; } icl__types[] = {
  {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I8", 1}, {"F64", 8}, {"I64", 8}, {"I32", 4}, {"I16", 2},
  {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1}, {"BOOL", 1}
};

static size_t icl__width(icl__dtype type) { return icl__types[type].bytes; }

/* Number `at` of a block that holds a type. */
static void *icl__number_at(void *block, icl__dtype type, size_t at)
{
  return (unsigned char *)block + at * icl__width(type);
}

/* An F16 or BF16, given as its bits. */
static float icl__half(uint32_t h, icl__dtype type)
{
  uint32_t e = h >> 10 & 31, m = h & 0x3ffu, u = h << 16;
  float v;
  if (type == ICL__F16) {
    if (e == 0) {                                        /* zero or subnormal: m 2^-24 */
      v = (float)m * 5.9604644775390625e-8f;
      return h & 0x8000u ? -v : v;
    }
    u = (h & 0x8000u) << 16 | (e == 31 ? 255u : e + 112u) << 23 | m << 13;
  }
  memcpy(&v, &u, 4);
  return v;
}

/* Little-endian words at any alignment; compilers make one load of each. */
static uint32_t icl__get16(const unsigned char *p) { return (uint32_t)(p[0] | p[1] << 8); }
static uint32_t icl__get32(const unsigned char *p)
{
  return icl__get16(p) | icl__get16(p + 2) << 16;
}
static uint64_t icl__get64(const unsigned char *p)
{
  return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24
       | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
}

static void icl__put_le(unsigned char *p, uint64_t v, size_t n)
{
  for (; n--; v >>= 8) *p++ = (unsigned char)v;
}

static int icl__little_endian(void)
{
  const uint16_t one = 1;
  unsigned char first;
  memcpy(&first, &one, 1);
  return first;
}

/* One weight from its bytes. */
static float icl__decode(const unsigned char *p, icl__dtype type)
{
  uint32_t u;
  float v;
  if (type == ICL__I8) return (float)(p[0] < 128 ? p[0] : p[0] - 256);
  if (type != ICL__F32) return icl__half(icl__get16(p), type);
  u = icl__get32(p);
  memcpy(&v, &u, 4);
  return v;
}

/* The bits of the F16 or BF16 nearest to v, ties to even; of a NaN, not finite either. */
static uint32_t icl__to_half(float v, icl__dtype type)
{
  uint32_t u, sign;
  memcpy(&u, &v, 4);
  if (type == ICL__BF16)
    return (u & 0x7fffffffu) > 0x7f800000u ? 0x7fc0u : (u + 0x7fffu + (u >> 16 & 1)) >> 16;
  sign = u >> 16 & 0x8000u;
  u &= 0x7fffffffu;
  if (u >= 0x47800000u) return sign | 0x7c00u;                           /* 2^16 and above */
  if (u < 0x38800000u) {                                   /* subnormal: 0.5 has ulp 2^-24 */
    float half = fabsf(v) + 0.5f;
    memcpy(&u, &half, 4);
    return sign | (u - 0x3f000000u);
  }
  return sign | (u + 0xfffu + (u >> 13 & 1) - 0x38000000u) >> 13;
}

/* out[i out_row] = x[i row] / s to the nearest whole number, with s = max |x| / 127, which is
 * returned; NaN, and out untouched, where an x is not finite.  Where s would be no normal number
 * all are 0 and s is 1. */
static float icl__to_i8(int8_t *out, size_t out_row, const float *x, size_t row, size_t n)
{
  float s = 0.0f;
  size_t i;
  for (i = 0; i < n && icl__finite(x + i * row, 1); i++)
    if (fabsf(x[i * row]) > s) s = fabsf(x[i * row]);
  s /= 127.0f;
  if (!(s >= 1.17549435e-38f)) s = 0.0f;
  if (i < n) { icl__spoil(&s, 1); return s; }
  for (i = 0; i < n; i++) {
    float v = s > 0.0f ? x[i * row] / s : 0.0f;
    out[i * out_row] = (int8_t)(v < 0.0f ? v - 0.5f : v + 0.5f);
  }
  return s == 0.0f ? 1.0f : s;
}

/* a b and a + b, or SIZE_MAX where that does not fit. */
static size_t icl__times(size_t a, size_t b) { return b && a > SIZE_MAX / b ? SIZE_MAX : a * b; }
static size_t icl__plus(size_t a, size_t b) { return a > SIZE_MAX - b ? SIZE_MAX : a + b; }

/* ---------------------------------------------------------------------------------------------
 * >>tensors
 * The one table of what a model consists of.  The loader, the writer, the trainer's initialisation,
 * the optimizer and the gradient tests walk it.
 * ------------------------------------------------------------------------------------------- */
enum {  /* the table's order: rows before the blocks, rows of a block, rows after the blocks */
  ICL__READ_IN_W, ICL__READ_IN_B, ICL__WPE, ICL__BLOCKS,
  ICL__LN1_W = 0, ICL__LN1_B, ICL__QKV_W, ICL__QKV_B, ICL__PROJ_W, ICL__PROJ_B,
  ICL__LN2_W, ICL__LN2_B, ICL__FC_W, ICL__FC_B, ICL__MLP_W, ICL__MLP_B, ICL__BLOCK_ROWS,
  ICL__QKV_S = ICL__BLOCK_ROWS, ICL__PROJ_S, ICL__FC_S, ICL__MLP_S, ICL__PER_BLOCK,
  ICL__LNF_W = 0, ICL__LNF_B, ICL__OUT_W, ICL__OUT_B, ICL__AFTER
};

typedef struct icl__tensor_row { const char *name, *rows, *cols; } icl__tensor_row;

/* Sizes: 1, t inputs of a token, C width, P positions, O outputs, q 3C, f 4C.  The last rows of a
 * block, those of its I8 weights' scales, are no rows of the public table. */
static const icl__tensor_row icl__rows_before[] = {
  {"_read_in.weight", "C", "t"}, {"_read_in.bias", "1", "C"}, {"_backbone.wpe.weight", "P", "C"}
};
static const icl__tensor_row icl__rows_block[] = {
  {"ln_1.weight", "1", "C"},        {"ln_1.bias", "1", "C"},
  {"attn.c_attn.weight", "C", "q"}, {"attn.c_attn.bias", "1", "q"},
  {"attn.c_proj.weight", "C", "C"}, {"attn.c_proj.bias", "1", "C"},
  {"ln_2.weight", "1", "C"},        {"ln_2.bias", "1", "C"},
  {"mlp.c_fc.weight", "C", "f"},    {"mlp.c_fc.bias", "1", "f"},
  {"mlp.c_proj.weight", "f", "C"},  {"mlp.c_proj.bias", "1", "C"},
  {"attn.c_attn.weight.scale", "1", "q"}, {"attn.c_proj.weight.scale", "1", "C"},
  {"mlp.c_fc.weight.scale", "1", "f"},    {"mlp.c_proj.weight.scale", "1", "C"}
};
static const icl__tensor_row icl__rows_after[] = {
  {"_backbone.ln_f.weight", "1", "C"}, {"_backbone.ln_f.bias", "1", "C"},
  {"_read_out.weight", "O", "C"},      {"_read_out.bias", "1", "O"}
};
static const char icl__block_prefix[] = "_backbone.h.";

/* Numbers of a token: x, and y after it where tokens are joint. */
static int icl__token_size(const icl_config *cfg)
{
  return cfg->n_dims + (cfg->tokens == ICL_TOKENS_JOINT);
}

static int icl__alternates(const icl_config *cfg)
{
  return cfg->position_embedding_type == ICL_POSITION_ALTERNATING;
}

static int icl__tensor_size(const icl_config *cfg, char what)
{
  switch (what) {
    case 't': return icl__token_size(cfg);
    case 'C': return cfg->n_embd;
    case 'P': return icl__alternates(cfg) ? 2 : cfg->n_positions;
    case 'O': return cfg->n_out;
    case 'q': return 3 * cfg->n_embd;
    case 'f': return 4 * cfg->n_embd;
    default:  return 1;
  }
}

static int icl__has_wpe(const icl_config *cfg)
{
  return cfg->position_embedding_type == ICL_POSITION_LEARNED || icl__alternates(cfg);
}

/* Where a row of block l is in model->weights, which has room for wpe and scales that are not
 * there; l = n_layer: a row after the blocks. */
static size_t icl__slot(size_t l, size_t kind) { return ICL__BLOCKS + l * ICL__PER_BLOCK + kind; }

static size_t icl__slot_count(const icl_config *cfg)
{
  return ICL__BLOCKS + (size_t)cfg->n_layer * ICL__PER_BLOCK + ICL__AFTER;
}

/* The slot of row i of the public table, which has no rows for a missing wpe and for scales. */
static size_t icl__slot_of_row(const icl_config *cfg, int i)
{
  int at = i + (i >= ICL__WPE && !icl__has_wpe(cfg)) - ICL__BLOCKS, l = at / ICL__BLOCK_ROWS;
  if (at < 0) return (size_t)(at + ICL__BLOCKS);
  if (ICL__NEVER(l > cfg->n_layer)) l = cfg->n_layer;    /* a block has more rows than the end */
  return icl__slot((size_t)l, (size_t)(at - l * ICL__BLOCK_ROWS));
}

/* The row of the scales that an I8 weight has; 0 for a row that is none of the four products. */
static int icl__scale_row(int row)
{
  return row == ICL__QKV_W ? ICL__QKV_S : row == ICL__PROJ_W ? ICL__PROJ_S
       : row == ICL__FC_W ? ICL__FC_S : row == ICL__MLP_W ? ICL__MLP_S : 0;
}

/* The slot of the scales of the weight in a slot. */
static size_t icl__scale_slot(size_t slot)
{
  size_t row = (slot - ICL__BLOCKS) % ICL__PER_BLOCK;
  return slot - row + (size_t)icl__scale_row((int)row);
}

static void icl__tensor_name(char *out, int layer, const char *name)
{
  size_t n = 0;
  if (layer >= 0) {
    memcpy(out, icl__block_prefix, n = sizeof icl__block_prefix - 1);
    n += icl__put_uint(out + n, (uint64_t)layer);
    out[n++] = '.';
  }
  memcpy(out + n, name, strlen(name) + 1);
}

/* Fills t for a slot. */
static void icl__tensor_at_slot(const icl_config *cfg, size_t slot, icl_tensor *t)
{
  size_t blocks = (size_t)cfg->n_layer * ICL__PER_BLOCK;
  const icl__tensor_row *row;
  t->layer = -1;
  if (slot < ICL__BLOCKS) {
    row = &icl__rows_before[slot];
  } else if (slot - ICL__BLOCKS < blocks) {
    t->layer = (int)((slot - ICL__BLOCKS) / ICL__PER_BLOCK);
    row = &icl__rows_block[(slot - ICL__BLOCKS) % ICL__PER_BLOCK];
  } else {
    row = &icl__rows_after[slot - ICL__BLOCKS - blocks];
  }
  icl__tensor_name(t->name, t->layer, row->name);
  t->rank = row->rows[0] == '1' ? 1 : 2;
  t->rows = icl__tensor_size(cfg, row->rows[0]);
  t->cols = icl__tensor_size(cfg, row->cols[0]);
}

static size_t icl__tensor_floats(const icl_tensor *t) { return (size_t)t->rows * (size_t)t->cols; }

/* Largest sizes this build accepts; products of two of them stay far from overflowing 64 bits. */
enum { ICL__MAX_WIDTH = 1 << 16, ICL__MAX_LAYERS = 512, ICL__MAX_POSITIONS = 1 << 24 };

/* 1 if the levels of the quantiles rise and lie between 0 and 1. */
static int icl__quantiles_ok(const icl_config *cfg)
{
  int i;
  if (cfg->n_quantiles < 0 || cfg->n_quantiles > ICL_MAX_QUANTILES) return 0;
  for (i = 0; i < cfg->n_quantiles; i++)
    if (!(cfg->quantiles[i] > (i ? cfg->quantiles[i - 1] : 0.0f) && cfg->quantiles[i] < 1.0f))
      return 0;
  return 1;
}

icl_error icl_config_check(const icl_config *cfg, icl_report *r)
{
  if (!cfg) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "config");
  if (cfg->n_dims < 1 || cfg->n_embd < 1 || cfg->n_head < 1 || cfg->n_layer < 1
      || cfg->n_positions < 1)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "a size is below 1", NULL);
  if (cfg->n_dims > ICL__MAX_WIDTH - (cfg->tokens == ICL_TOKENS_JOINT)
      || cfg->n_embd > ICL__MAX_WIDTH || cfg->n_layer > ICL__MAX_LAYERS
      || cfg->n_positions > ICL__MAX_POSITIONS)
    return icl__fail(r, ICL_ERR_LIMIT, 0, "dims, width, layers or positions", NULL);
  if (cfg->n_embd % cfg->n_head)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "does not divide the width:", "n_head");
  if (!icl__quantiles_ok(cfg))
    return icl__fail(r, ICL_ERR_CONFIG, 0, "not rising levels between 0 and 1:", "quantiles");
  if (cfg->n_quantiles && cfg->n_out != 1 + cfg->n_quantiles)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "read-out width is not 1 + quantiles", NULL);
  if (!cfg->n_quantiles && cfg->n_out != 1 && cfg->n_out != cfg->n_dims)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "read-out width is neither 1 nor n_dims", NULL);
  if ((unsigned)cfg->tokens > ICL_TOKENS_JOINT)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "unknown", "tokens");
  if ((unsigned)cfg->position_embedding_type > ICL_POSITION_ALTERNATING)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "unknown", "position_embedding_type");
  if (cfg->position_embedding_type == ICL_POSITION_SINUSOIDAL && cfg->n_embd % 2)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "sinusoidal positions need an even width", NULL);
  if ((unsigned)cfg->activation_function > ICL_RELU)
    return icl__fail(r, ICL_ERR_CONFIG, 0, "unknown", "activation_function");
  if (!(cfg->layer_norm_epsilon > 0.0f && cfg->layer_norm_epsilon < 1.0f))
    return icl__fail(r, ICL_ERR_CONFIG, 0, "not between 0 and 1:", "layer_norm_epsilon");
  return icl__ok(r);
}

int icl_tensor_count(const icl_config *cfg)
{
  if (icl_config_check(cfg, NULL)) return 0;
  return ICL__BLOCKS - !icl__has_wpe(cfg) + cfg->n_layer * ICL__BLOCK_ROWS + ICL__AFTER;
}

icl_error icl_tensor_at(const icl_config *cfg, int i, icl_tensor *t)
{
  if (!t || i < 0 || i >= icl_tensor_count(cfg)) return ICL_ERR_ARG;
  icl__tensor_at_slot(cfg, icl__slot_of_row(cfg, i), t);
  return ICL_OK;
}

size_t icl_param_count(const icl_config *cfg)
{
  int i, n = icl_tensor_count(cfg);
  uint64_t sum = 0;
  icl_tensor t;
  for (i = 0; i < n; i++) {
    icl__tensor_at_slot(cfg, icl__slot_of_row(cfg, i), &t);
    sum += (uint64_t)t.rows * (uint64_t)t.cols;
  }
  return ICL__NEVER(sum > SIZE_MAX / 8) ? 0 : (size_t)sum;              /* but in 32 bits */
}

/* A tensor that is F32: all but the four weights of a block. */
static const float *icl__floats(const icl_model *m, size_t slot)
{
  return (const float *)m->weights[slot];
}

static const float *icl__weight_after(const icl_model *m, size_t kind)
{
  return icl__floats(m, icl__slot((size_t)m->config.n_layer, kind));
}

/* ---------------------------------------------------------------------------------------------
 * >>checkpoint
 * A strict subset of safetensors, read in place: 8 bytes of header length, a JSON header, data.
 * Nothing is allocated and nothing recurses; the header is walked several times instead.
 * ------------------------------------------------------------------------------------------- */
enum { ICL__MAX_HEADER = 1 << 20, ICL__MAX_RANK = 4, ICL__MAX_TYPICAL = 4096 };

/* A walk through the header.  Offsets are those of the file: the header starts at byte 8. */
typedef struct icl__json {
  const char *text;
  size_t at, end;
  int entries;                               /* members of the outer object that were read      */
  size_t metadata_end;                       /* where to go on at the metadata; 0: stop there    */
  icl_report *r;
} icl__json;

typedef struct icl__string { const char *s; size_t n, at; int escaped; } icl__string;

/* Which tensor a name means: a row of one of the three tables, or a buffer of HF's, which is
 * skipped. */
typedef enum icl__part { ICL__IN_FRONT, ICL__IN_BLOCK, ICL__AT_END, ICL__BUFFER } icl__part;
typedef struct icl__place { icl__part part; int layer, row; } icl__place;   /* layer or -1 */

/* One member of the header. */
typedef struct icl__entry {
  icl__string name;
  int is_metadata;                           /* 1: the cursor stands at its object, and the rest
                                                of this is not set                              */
  int known;                                 /* 1: the name means a tensor, in place            */
  icl__place place;
  icl__dtype dtype;
  int rank;
  uint64_t shape[ICL__MAX_RANK];
  uint64_t begin, end;                       /* bytes of data                                   */
} icl__entry;

/* The texts of the metadata that a digest goes over, in its order. */
enum { ICL__TASK, ICL__TYPICAL, ICL__SAMPLING, ICL__RECIPE, ICL__TEXTS };

/* What the walks find out. */
typedef struct icl__file {
  const char *header; size_t header_size;
  uint64_t data_size;                        /* what the tensors tile                           */
  icl_config cfg;
  int has_wpe, n_positions;
  unsigned seen;                             /* bits: metadata keys                             */
  uint64_t digest;
  icl__string texts[ICL__TEXTS];
  int n_typical;
  size_t metadata, metadata_end;             /* where the header has them: key, end of the object */
} icl__file;

/* Tests count the loader's passes over headers with this. */
#ifndef ICL__WALK
#define ICL__WALK() (void)0
#endif

static icl_error icl__bad_json(const icl__json *j, const char *what)
{
  return icl__fail(j->r, ICL_ERR_FORMAT, 8 + j->at, what, NULL);
}

static icl_error icl__fail_at(const icl__json *j, icl_error code, const char *what,
                              icl__string name)
{
  return icl__fail_n(j->r, code, 8 + name.at, what, name.s, name.n);
}

static void icl__skip_space(icl__json *j)
{
  while (j->at < j->end && (j->text[j->at] == ' ' || j->text[j->at] == '\t' ||
                            j->text[j->at] == '\n' || j->text[j->at] == '\r')) j->at++;
}

/* 1 and past it if the next character is c. */
static int icl__accept(icl__json *j, char c)
{
  icl__skip_space(j);
  if (j->at >= j->end || j->text[j->at] != c) return 0;
  j->at++;
  return 1;
}

/* Bytes of the UTF-8 sequence at s[n], 0 if it is none: no overlong forms, no surrogates. */
static size_t icl__utf8(const unsigned char *s, size_t n)
{
  size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3
    : s[0] < 0xf5 ? 4 : 0;
  size_t i;
  if (len == 0 || len > n) return 0;
  for (i = 1; i < len; i++) if ((s[i] & 0xc0) != 0x80) return 0;
  if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
  if (s[0] == 0xed && s[1] > 0x9f) return 0;
  if (s[0] == 0xf0 && s[1] < 0x90) return 0;
  if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
  return len;
}

/* Past a backslash: the escapes of JSON. */
static icl_error icl__escape(icl__json *j)
{
  size_t i;
  char c = j->at < j->end ? j->text[j->at] : 0;
  if (c && strchr("\"\\/bfnrt", c)) { j->at++; return ICL_OK; }
  if (c != 'u' || j->end - j->at < 5) return icl__bad_json(j, "bad escape in a string");
  for (j->at++, i = 0; i < 4; i++, j->at++) {
    c = j->text[j->at];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')))
      return icl__bad_json(j, "bad escape in a string");
  }
  return ICL_OK;
}

/* A JSON string; s points at its raw bytes in the header. */
static icl_error icl__read_string(icl__json *j, icl__string *s)
{
  if (!icl__accept(j, '"')) return icl__bad_json(j, "expected a string");
  s->at = j->at;
  s->s = j->text + j->at;
  s->escaped = 0;
  while (j->at < j->end && j->text[j->at] != '"') {
    const unsigned char *c = (const unsigned char *)j->text + j->at;
    size_t len;
    if (*c >= 0x20 && *c < 0x80 && *c != '\\') { j->at++; continue; }
    len = icl__utf8(c, j->end - j->at);
    if (*c < 0x20) return icl__bad_json(j, "control character in a string");
    if (!len) return icl__bad_json(j, "a string is not UTF-8");
    j->at += len;
    if (*c == '\\') {
      s->escaped = 1;
      if (icl__escape(j)) return ICL_ERR_FORMAT;
    }
  }
  if (j->at >= j->end) return icl__bad_json(j, "a string does not end");
  s->n = (size_t)(j->text + j->at - s->s);
  j->at++;
  return ICL_OK;
}

static int icl__is(icl__string s, const char *text)
{
  return s.n == strlen(text) && memcmp(s.s, text, s.n) == 0;
}

/* 0 | [1-9][0-9]*, at most 2^53, in s[n] from *at on. */
static int icl__digits(const char *s, size_t n, size_t *at, uint64_t *v)
{
  size_t first = *at;
  uint64_t sum = 0;
  while (*at < n && s[*at] >= '0' && s[*at] <= '9') {
    sum = 10 * sum + (uint64_t)(s[(*at)++] - '0');
    if (sum > (uint64_t)1 << 53) return 0;
  }
  if (*at == first || (s[first] == '0' && *at > first + 1)) return 0;
  *v = sum;
  return 1;
}

static icl_error icl__read_uint(icl__json *j, uint64_t *v)
{
  icl__skip_space(j);
  if (!icl__digits(j->text, j->end, &j->at, v))
    return icl__bad_json(j, "expected a whole number from 0 to 2^53");
  if (j->at < j->end && strchr(".eE+-", j->text[j->at]) && j->text[j->at])
    return icl__bad_json(j, "expected a whole number from 0 to 2^53");
  return ICL_OK;
}

/* [a, b, ...] with at most max numbers. */
static icl_error icl__read_uints(icl__json *j, uint64_t *v, int max, int *n)
{
  *n = 0;
  if (!icl__accept(j, '[')) return icl__bad_json(j, "expected [");
  if (icl__accept(j, ']')) return ICL_OK;
  do {
    if (*n == max) return icl__bad_json(j, "too many numbers in a list");
    if (icl__read_uint(j, &v[(*n)++])) return ICL_ERR_FORMAT;
  } while (icl__accept(j, ','));
  return icl__accept(j, ']') ? ICL_OK : icl__bad_json(j, "expected ]");
}

static icl_error icl__read_dtype(const icl__json *j, icl__string s, icl__dtype *type,
                                 uint64_t *bytes)
{
  int i, n = (int)(sizeof icl__types / sizeof *icl__types);
  for (i = 0; i < n; i++)
    if (icl__is(s, icl__types[i].name)) {
      *type = i < ICL__OTHER ? (icl__dtype)i : ICL__OTHER;
      *bytes = icl__types[i].bytes;
      return ICL_OK;
    }
  return icl__fail_at(j, ICL_ERR_TENSOR, "unknown dtype", s);
}

/* {"dtype": .., "shape": [..], "data_offsets": [begin, end]} in any order, each once. */
static icl_error icl__read_entry(icl__json *j, icl__entry *e)
{
  unsigned seen = 0, bit;
  uint64_t offsets[2] = {0, 0}, bytes = 1;
  int n, i;
  if (!icl__accept(j, '{')) return icl__bad_json(j, "expected {");
  do {
    icl__string key, type;
    if (icl__read_string(j, &key)) return ICL_ERR_FORMAT;
    if (!icl__accept(j, ':')) return icl__bad_json(j, "expected :");
    if (icl__is(key, "dtype")) {
      bit = 1;
      if (icl__read_string(j, &type)) return ICL_ERR_FORMAT;
      if (icl__read_dtype(j, type, &e->dtype, &bytes)) return ICL_ERR_TENSOR;
    } else if (icl__is(key, "shape")) {
      bit = 2;
      if (icl__read_uints(j, e->shape, ICL__MAX_RANK, &e->rank)) return ICL_ERR_FORMAT;
    } else if (icl__is(key, "data_offsets")) {
      bit = 4;
      if (icl__read_uints(j, offsets, 2, &n)) return ICL_ERR_FORMAT;
      if (n != 2) return icl__fail_at(j, ICL_ERR_FORMAT, "data_offsets is not a pair in", e->name);
    } else {
      return icl__fail_at(j, ICL_ERR_FORMAT, "unknown key", key);
    }
    if (seen & bit) return icl__fail_at(j, ICL_ERR_FORMAT, "repeated key", key);
    seen |= bit;
  } while (icl__accept(j, ','));
  if (!icl__accept(j, '}')) return icl__bad_json(j, "expected } or ,");
  if (seen != 7)
    return icl__fail_at(j, ICL_ERR_FORMAT, "dtype, shape or data_offsets missing in", e->name);
  for (i = 0; i < e->rank; i++) {                    /* bytes = product of the shape, checked */
    if (!e->shape[i] || e->shape[i] > UINT64_MAX / bytes)
      return icl__fail_at(j, ICL_ERR_TENSOR, "impossible shape of", e->name);
    bytes *= e->shape[i];
  }
  if (offsets[1] < offsets[0] || offsets[1] - offsets[0] != bytes)
    return icl__fail_at(j, ICL_ERR_FORMAT, "data_offsets do not fit the shape of", e->name);
  e->begin = offsets[0];
  e->end = offsets[1];
  return ICL_OK;
}

static int icl__starts(icl__string s, const char *prefix)
{
  size_t n = strlen(prefix);
  return s.n >= n && memcmp(s.s, prefix, n) == 0;
}

/* s without its first n bytes. */
static icl__string icl__skip(icl__string s, size_t n)
{
  s.s += n;
  s.n -= n;
  return s;
}

static int icl__find_row(icl__string s, const icl__tensor_row *rows, int n)
{
  int i = 0;
  while (i < n && !icl__is(s, rows[i].name)) i++;
  return i;
}

/* A name outside of the blocks.  0 for an unknown one. */
static int icl__lookup_outside(icl__string s, icl__place *p)
{
  p->part = ICL__BUFFER;
  p->row = 0;
  if (icl__is(s, "_backbone.wte.weight")) return 1;
  p->part = ICL__IN_FRONT;
  p->row = icl__find_row(s, icl__rows_before, ICL__BLOCKS);
  if (p->row < ICL__BLOCKS) return 1;
  p->part = ICL__AT_END;
  p->row = icl__find_row(s, icl__rows_after, ICL__AFTER);
  return p->row < ICL__AFTER;
}

/* *p = the place that a tensor's name means.  0 for an unknown name. */
static int icl__lookup(icl__string s, icl__place *p)
{
  size_t at = sizeof icl__block_prefix - 1;
  uint64_t layer;
  p->layer = -1;
  for (;;) {
    if (icl__starts(s, "module.")) s = icl__skip(s, 7);
    else if (icl__starts(s, "_orig_mod.")) s = icl__skip(s, 10);
    else break;
  }
  if (!icl__starts(s, icl__block_prefix)) return icl__lookup_outside(s, p);
  if (!icl__digits(s.s, s.n, &at, &layer) || at >= s.n || s.s[at] != '.') return 0;
  if (layer > INT32_MAX) return 0;
  s = icl__skip(s, at + 1);
  p->layer = (int)layer;
  p->part = ICL__IN_BLOCK;
  p->row = icl__find_row(s, icl__rows_block, ICL__PER_BLOCK);
  if (p->row < ICL__PER_BLOCK) return 1;
  p->part = ICL__BUFFER;
  p->row = !icl__is(s, "attn.bias");
  return !p->row || icl__is(s, "attn.masked_bias");
}

/* Starts a walk after the header's {.  The first one stops at the metadata, the others pass over
 * them; only the first one can find an error in the text. */
static void icl__start_walk(icl__json *j, const icl__file *f, icl_report *r)
{
  memset(j, 0, sizeof *j);
  j->text = f->header;
  j->at = 1;
  j->end = f->header_size;
  j->metadata_end = f->metadata_end;
  j->r = r;
  ICL__WALK();
}

/* Reads the next member of the header.  *more = 0 at its end, after which only spaces may come. */
static icl_error icl__next_entry(icl__json *j, icl__entry *e, int *more)
{
  do {
    *more = 0;
    if (icl__accept(j, '}')) {
      while (j->at < j->end && j->text[j->at] == ' ') j->at++;
      return j->at == j->end ? ICL_OK : icl__bad_json(j, "bytes after the header's }");
    }
    if (j->entries++ && !icl__accept(j, ',')) return icl__bad_json(j, "expected , or }");
    if (icl__read_string(j, &e->name)) return ICL_ERR_FORMAT;
    if (e->name.escaped) return icl__fail_at(j, ICL_ERR_FORMAT, "escape in the name", e->name);
    if (!icl__accept(j, ':')) return icl__bad_json(j, "expected :");
    e->is_metadata = icl__is(e->name, "__metadata__");
    if (e->is_metadata) j->at = j->metadata_end ? j->metadata_end : j->at;
  } while (e->is_metadata && j->metadata_end);
  *more = 1;
  if (e->is_metadata) return ICL_OK;
  e->known = icl__lookup(e->name, &e->place);
  return icl__read_entry(j, e);
}

/* ----- metadata ------------------------------------------------------------------------------- */

/* m 2^e with the top bit of m set; m is not 0. */
static uint64_t icl__normalise(uint64_t m, int *e)
{
  while (!(m >> 63)) { m <<= 1; --*e; }
  return m;
}

/* whole 10^ten to the nearest float, in 64-bit integers: each step loses less than 2^-59, so that
 * all but the closest of calls are rounded right. */
static float icl__decimal(uint64_t whole, int ten)
{
  int e = 0;
  uint64_t m;
  float v;
  if (!whole) return 0.0f;
  m = icl__normalise(whole, &e);
  for (; ten > 0; ten--) { e += 4; m = icl__normalise((m >> 4) * 10, &e); }
  for (; ten < 0; ten++) m = icl__normalise(m / 10, &e);
  /* subnormal: fewer bits are kept */
  if (e < -189) { m >>= e < -252 ? 63 : -189 - e; e = -189; }
  m = (m >> 40) + (m >> 39 & 1);
  for (v = (float)m, e += 40; e > 0; e--) v *= 2.0f;
  for (; e < 0; e++) v *= 0.5f;
  return v;
}

/* digits[.digits][e[+-]digits] to a float. */
static int icl__parse_float(icl__string s, float *out)
{
  uint64_t whole = 0, exponent = 0;
  int e = 0, minus = 0, digits = 0, point = 0;
  size_t i = 0;
  for (; i < s.n && (s.s[i] == '.' || (s.s[i] >= '0' && s.s[i] <= '9')); i++) {
    if (s.s[i] == '.') { if (point++) return 0; continue; }
    digits = 1;
    if (whole >> 59) { e += !point; continue; }            /* digits beyond the 17th do not count */
    whole = 10 * whole + (uint64_t)(s.s[i] - '0');
    e -= point;
  }
  if (!digits || s.n > 64) return 0;
  if (i < s.n && (s.s[i] == 'e' || s.s[i] == 'E')) {
    if (++i < s.n && (s.s[i] == '-' || s.s[i] == '+')) minus = s.s[i++] == '-';
    while (i + 1 < s.n && s.s[i] == '0') i++;                      /* 1e-05 */
    if (!icl__digits(s.s, s.n, &i, &exponent) || exponent > 60) return 0;
    e += minus ? -(int)exponent : (int)exponent;
  }
  *out = icl__decimal(whole, e);
  return i == s.n && icl__finite(out, 1);
}

static int icl__parse_hex64(icl__string s, uint64_t *out)
{
  uint64_t v = 0;
  size_t i;
  if (s.n != 16) return 0;
  for (i = 0; i < 16; i++) {
    char c = s.s[i];
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return 0;
    v = v << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  *out = v;
  return 1;
}

static int icl__parse_int(icl__string s, int max, int *out)
{
  size_t at = 0;
  uint64_t v;
  if (!icl__digits(s.s, s.n, &at, &v) || at != s.n || v > (uint64_t)max) return 0;
  *out = (int)v;
  return 1;
}

/* The next of whole numbers separated by single spaces, in thousandths. */
static int icl__next_milli(icl__string s, size_t *at, float *out)
{
  uint64_t v;
  int minus;
  if (*at && (*at >= s.n || s.s[(*at)++] != ' ')) return 0;
  minus = *at < s.n && s.s[*at] == '-';
  *at += (size_t)minus;
  if (!icl__digits(s.s, s.n, at, &v) || v > 1000000) return 0;
  *out = (minus ? -(float)v : (float)v) / 1000.0f;
  return 1;
}

/* icl.typical: couples, the 99th percentile above the median; *n of them. */
static int icl__parse_typical(icl__string s, float *out, int *n)
{
  size_t at = 0;
  for (*n = 0; at < s.n; (*n)++) {
    float t[2];
    if (*n == ICL__MAX_TYPICAL || !icl__next_milli(s, &at, &t[0]) || !icl__next_milli(s, &at, &t[1])
        || !(t[1] > t[0])) return 0;
    if (out) memcpy(out + 2 * *n, t, sizeof t);
  }
  return *n > 0;
}

/* icl.quantiles: levels with commas between them, rising. */
static int icl__parse_quantiles(icl__string s, icl_config *cfg)
{
  icl__string one = s;
  size_t i;
  cfg->n_quantiles = 0;
  for (i = 0; i <= s.n; i++) {
    if (i < s.n && s.s[i] != ',') continue;
    one.n = (size_t)(s.s + i - one.s);
    if (cfg->n_quantiles == ICL_MAX_QUANTILES
        || !icl__parse_float(one, &cfg->quantiles[cfg->n_quantiles++])) return 0;
    one.s = s.s + i + 1;
  }
  return icl__quantiles_ok(cfg);
}

enum {
  ICL__KEY_HEAD, ICL__KEY_ACTIVATION, ICL__KEY_EPSILON, ICL__KEY_POSITION, ICL__KEY_POSITIONS,
  ICL__KEY_TASK, ICL__KEY_DIGEST, ICL__KEY_VERSION, ICL__KEY_TYPICAL, ICL__KEY_QUANTILES,
  ICL__KEY_TOKENS, ICL__KEY_SAMPLING, ICL__KEY_RECIPE, ICL__KEYS
};
static const char *const icl__keys[] = {
  "n_head", "activation_function", "layer_norm_epsilon", "position_embedding_type", "n_positions",
  "icl.task", "icl.digest", "icl.version", "icl.typical", "icl.quantiles", "icl.tokens",
  "icl.sampling", "icl.recipe"
};
static const char *const icl__activations[] = {"gelu_new", "gelu", "relu"};
static const char *const icl__gelu_names[] = {"gelu_pytorch_tanh", "gelu_fast"};   /* of gelu_new */
static const char *const icl__position_types[] = {"absolute", "sinusoidal", "none", "alternating"};
static const char *const icl__token_types[] = {"apart", "joint"};

/* 1 if the metadata have a key. */
static int icl__has_key(const icl__file *f, int key) { return (int)(f->seen >> key & 1); }

/* Index of s in names[n], or n. */
static int icl__index(icl__string s, const char *const *names, int n)
{
  int i = 0;
  while (i < n && !icl__is(s, names[i])) i++;
  return i;
}

/* Takes the value of one of our keys.  0 where it is not valid. */
static int icl__take_metadata(icl__file *f, int key, icl__string v)
{
  icl_config *cfg = &f->cfg;
  int i;
  switch (key) {
    case ICL__KEY_HEAD:
      return icl__parse_int(v, ICL__MAX_WIDTH, &cfg->n_head) && cfg->n_head > 0;
    case ICL__KEY_ACTIVATION:
      i = icl__index(v, icl__gelu_names, 2) < 2 ? 0 : icl__index(v, icl__activations, 3);
      cfg->activation_function = (icl_activation)i;
      return i < 3;
    case ICL__KEY_EPSILON:
      return icl__parse_float(v, &cfg->layer_norm_epsilon);
    case ICL__KEY_POSITION:
      cfg->position_embedding_type = (icl_position)(i = icl__index(v, icl__position_types, 4));
      return i < 4;
    case ICL__KEY_POSITIONS:
      return icl__parse_int(v, ICL__MAX_POSITIONS, &f->n_positions) && f->n_positions > 0;
    case ICL__KEY_TOKENS:
      cfg->tokens = (icl_tokens)(i = icl__index(v, icl__token_types, 2));
      return i < 2;
    case ICL__KEY_QUANTILES: return icl__parse_quantiles(v, cfg);
    case ICL__KEY_SAMPLING: f->texts[ICL__SAMPLING] = v; return 1;
    case ICL__KEY_RECIPE: f->texts[ICL__RECIPE] = v; return 1;
    case ICL__KEY_TASK: f->texts[ICL__TASK] = v; return 1;
    case ICL__KEY_DIGEST: return icl__parse_hex64(v, &f->digest);
    case ICL__KEY_TYPICAL:
      f->texts[ICL__TYPICAL] = v;
      return icl__parse_typical(v, NULL, &f->n_typical);
    default: return 1;
  }
}

/* "bad value of 'KEY': 'VALUE'", at the key. */
static icl_error icl__bad_value(const icl__json *j, icl__string key, icl__string value)
{
  icl__fail_at(j, ICL_ERR_CONFIG, "bad value of", key);
  if (j->r) {
    char *text = j->r->text;
    size_t cap = sizeof j->r->text, at = icl__append(text, cap, strlen(text), ": '", 3);
    at = icl__append(text, cap - 1, at, value.s, value.n);
    icl__append(text, cap, at, "'", 1);
  }
  return ICL_ERR_CONFIG;
}

/* The object of "__metadata__": strings to strings. */
static icl_error icl__read_metadata(icl__json *j, icl__file *f)
{
  icl__string key, value;
  if (!icl__accept(j, '{')) return icl__bad_json(j, "expected {");
  if (icl__accept(j, '}')) return ICL_OK;
  do {
    int k;
    if (icl__read_string(j, &key)) return ICL_ERR_FORMAT;
    if (!icl__accept(j, ':')) return icl__bad_json(j, "expected :");
    icl__skip_space(j);
    if (j->at < j->end && j->text[j->at] != '"')
      return icl__fail_n(j->r, ICL_ERR_FORMAT, 8 + j->at, "not a string: the value of", key.s,
                         key.n);
    if (icl__read_string(j, &value)) return ICL_ERR_FORMAT;
    if (key.escaped) return icl__fail_at(j, ICL_ERR_FORMAT, "escape in the key", key);
    k = icl__index(key, icl__keys, ICL__KEYS);
    if (k == ICL__KEYS) continue;
    if (icl__has_key(f, k)) return icl__fail_at(j, ICL_ERR_FORMAT, "repeated key", key);
    f->seen |= 1u << k;
    if (value.escaped) return icl__fail_at(j, ICL_ERR_CONFIG, "escape in the value of", key);
    if (!icl__take_metadata(f, k, value)) return icl__bad_value(j, key, value);
  } while (icl__accept(j, ','));
  return icl__accept(j, '}') ? ICL_OK : icl__bad_json(j, "expected } or ,");
}

/* ----- tensors -------------------------------------------------------------------------------- */

/* What is wrong with a name that means no tensor. */
static const char *icl__unknown(icl__string s)
{
  icl__place p;
  if (s.n > 200) s = icl__skip(s, s.n - 200);
  for (; s.n; s = icl__skip(s, 1))
    if (s.s[0] == '_' && icl__lookup(s, &p)) return "unknown prefix in the name of tensor";
  return "unknown tensor";
}

/* Takes the sizes of the configuration that a tensor's shape tells. */
static icl_error icl__take_sizes(icl__file *f, const icl__json *j, const icl__entry *e)
{
  const icl__place *p = &e->place;
  icl_config *cfg = &f->cfg;
  if (p->layer >= ICL__MAX_LAYERS)
    return icl__fail_at(j, ICL_ERR_LIMIT, "too many layers:", e->name);
  if (p->layer >= cfg->n_layer) cfg->n_layer = p->layer + 1;
  if (e->rank != 2 || (p->part != ICL__IN_FRONT && p->part != ICL__AT_END)) return ICL_OK;
  if (e->shape[0] > ICL__MAX_POSITIONS || e->shape[1] > ICL__MAX_WIDTH)
    return icl__fail_at(j, ICL_ERR_LIMIT, "too large:", e->name);
  if (p->part == ICL__AT_END) {
    if (p->row == ICL__OUT_W) cfg->n_out = (int)e->shape[0];
  } else if (p->row == ICL__READ_IN_W) {
    cfg->n_embd = (int)e->shape[0];
    cfg->n_dims = (int)e->shape[1];
  } else if (p->row == ICL__WPE) {
    f->has_wpe = 1;
    cfg->n_positions = (int)e->shape[0];
  }
  return ICL_OK;
}

/* First walk: metadata, the names, and the sizes that the configuration is drawn from. */
static icl_error icl__read_config(icl__file *f, icl_report *r)
{
  icl__json j;
  icl__entry e;
  int more;
  icl_error err = ICL_OK;
  if (f->header[0] != '{')
    return icl__fail(r, ICL_ERR_FORMAT, 8, "the header does not start with {", NULL);
  icl__start_walk(&j, f, r);
  while (!err && !(err = icl__next_entry(&j, &e, &more)) && more) {
    if (!e.is_metadata) {
      if (!e.known) return icl__fail_at(&j, ICL_ERR_TENSOR, icl__unknown(e.name), e.name);
      err = icl__take_sizes(f, &j, &e);
      continue;
    }
    if (f->metadata_end) return icl__fail_at(&j, ICL_ERR_FORMAT, "repeated key", e.name);
    f->metadata = e.name.at;
    err = icl__read_metadata(&j, f);
    f->metadata_end = j.at;
  }
  return err;
}

/* Checks the configuration: what the file must say, and whether it fits together. */
static icl_error icl__check_config(icl__file *f, icl_report *r)
{
  icl_config *cfg = &f->cfg;
  cfg->n_dims -= cfg->tokens == ICL_TOKENS_JOINT;
  if (!icl__has_key(f, ICL__KEY_HEAD))
    return icl__fail(r, ICL_ERR_CONFIG, 8, "metadata lack", "n_head");
  if (!cfg->n_embd) return icl__fail(r, ICL_ERR_TENSOR, 8, "missing tensor", "_read_in.weight");
  if (!cfg->n_layer)
    return icl__fail(r, ICL_ERR_TENSOR, 8, "missing tensor", "_backbone.h.0.ln_1.weight");
  if (!cfg->n_out) return icl__fail(r, ICL_ERR_TENSOR, 8, "missing tensor", "_read_out.weight");
  if (!f->has_wpe) {
    if (!icl__has_key(f, ICL__KEY_POSITION))
      return icl__fail(r, ICL_ERR_CONFIG, 8, "no wpe tensor, and metadata lack",
                       "position_embedding_type");
    if (icl__has_wpe(cfg))
      return icl__fail(r, ICL_ERR_TENSOR, 8, "missing tensor", "_backbone.wpe.weight");
    if (!f->n_positions) return icl__fail(r, ICL_ERR_CONFIG, 8, "metadata lack", "n_positions");
    cfg->n_positions = f->n_positions;
  } else if (icl__alternates(cfg)) {
    cfg->n_positions = f->n_positions ? f->n_positions : ICL__MAX_POSITIONS;
  } else {
    if (cfg->position_embedding_type != ICL_POSITION_LEARNED)
      return icl__fail(r, ICL_ERR_CONFIG, 8, "there is a wpe tensor in spite of",
                       "position_embedding_type");
    if (f->n_positions && f->n_positions != cfg->n_positions)
      return icl__fail(r, ICL_ERR_CONFIG, 8, "the wpe tensor contradicts", "n_positions");
  }
  return icl_config_check(cfg, r);
}

/* The table's slot for a place. */
static size_t icl__slot_of_place(const icl_config *cfg, const icl__place *p)
{
  if (p->part == ICL__IN_FRONT) return (size_t)p->row;
  return icl__slot((size_t)(p->part == ICL__AT_END ? cfg->n_layer : p->layer), (size_t)p->row);
}

/* Bits of what is known of the tensors: slots that are filled; after these, so many a block, the
 * buffers that are there and the weights that are I8, in the order of their scales. */
enum { ICL__MORE_BITS = 6, ICL__I8_BIT = 2 };
enum { ICL__MAX_SLOTS = (int)ICL__BLOCKS + (int)ICL__MAX_LAYERS * ICL__PER_BLOCK + ICL__AFTER };

/* Bit `more` of block l; l = n_layer: of what is outside of the blocks. */
static size_t icl__more_bit(const icl_config *cfg, int l, int more)
{
  return icl__slot_count(cfg) + (size_t)(l * ICL__MORE_BITS + more);
}

static int icl__is_seen(const unsigned char *seen, size_t bit)
{
  return seen[bit / 8] >> bit % 8 & 1;
}

/* Sets a bit.  0 if it was set already. */
static int icl__see(unsigned char *seen, size_t bit)
{
  int before = icl__is_seen(seen, bit);
  seen[bit / 8] = (unsigned char)(seen[bit / 8] | 1u << bit % 8);
  return !before;
}

/* Sets the bit of a place.  0 if it was set already. */
static int icl__see_place(unsigned char *seen, const icl_config *cfg, const icl__place *p)
{
  return icl__see(seen, p->part != ICL__BUFFER ? icl__slot_of_place(cfg, p)
                      : icl__more_bit(cfg, p->layer < 0 ? cfg->n_layer : p->layer, p->row));
}

/* Every I8 weight has its scales, and there are no others. */
static icl_error icl__check_scales(const unsigned char *seen, const icl_config *cfg, icl_report *r)
{
  int l, row;
  for (l = 0; l < cfg->n_layer; l++)
    for (row = ICL__BLOCK_ROWS; row < ICL__PER_BLOCK; row++) {
      size_t slot = icl__slot((size_t)l, (size_t)row);
      int is_i8 = icl__is_seen(seen, icl__more_bit(cfg, l, ICL__I8_BIT + row - ICL__BLOCK_ROWS));
      icl_tensor t;
      if (is_i8 == icl__is_seen(seen, slot)) continue;
      icl__tensor_at_slot(cfg, slot, &t);
      return icl__fail(r, ICL_ERR_TENSOR, 8, is_i8 ? "missing tensor" : "no I8 tensor goes with",
                       t.name);
    }
  return ICL_OK;
}

/* No row of the table is missing. */
static icl_error icl__check_missing(const unsigned char *seen, const icl_config *cfg, icl_report *r)
{
  int i, n = icl_tensor_count(cfg);
  icl_tensor t;
  for (i = 0; i < n; i++) {
    size_t slot = icl__slot_of_row(cfg, i);
    if (icl__is_seen(seen, slot)) continue;
    icl__tensor_at_slot(cfg, slot, &t);
    return icl__fail(r, ICL_ERR_TENSOR, 8, "missing tensor", t.name);
  }
  return ICL_OK;
}

/* 1 where a place is that of scales. */
static int icl__is_scale(const icl__place *p)
{
  return p->part == ICL__IN_BLOCK && p->row >= ICL__BLOCK_ROWS;
}

/* Weights of products may be anything we know, other tensors no I8, and scales are F32. */
static icl_error icl__check_dtype(const icl__json *j, const icl__entry *e)
{
  int is_weight = e->place.part == ICL__IN_BLOCK && icl__scale_row(e->place.row);
  int is_scale = icl__is_scale(&e->place);
  if (e->dtype < (is_scale ? ICL__F16 : is_weight ? ICL__OTHER : ICL__I8)) return ICL_OK;
  return icl__fail_at(j, ICL_ERR_TENSOR, is_scale ? "dtype is not F32:"
                      : is_weight ? "dtype is not F32, F16, BF16 or I8:"
                        : "dtype is not F32, F16 or BF16:", e->name);
}

/* Second walk: every tensor has the table's shape, none is there twice, none is missing. */
static icl_error icl__check_tensors(icl__file *f, icl_report *r)
{
  unsigned char seen[(ICL__MAX_SLOTS + (ICL__MAX_LAYERS + 1) * ICL__MORE_BITS + 7) / 8];
  icl__json j;
  icl__entry e;
  icl_tensor t;
  int more;
  icl_error err;
  memset(seen, 0, sizeof seen);
  for (icl__start_walk(&j, f, r);;) {
    err = icl__next_entry(&j, &e, &more);
    if (ICL__NEVER(err)) return err;                     /* the first walk would have found it */
    if (!more) break;
    if (!icl__see_place(seen, &f->cfg, &e.place))
      return icl__fail_at(&j, ICL_ERR_TENSOR, "there twice:", e.name);
    if (e.place.part == ICL__BUFFER) continue;
    icl__tensor_at_slot(&f->cfg, icl__slot_of_place(&f->cfg, &e.place), &t);
    if ((err = icl__check_dtype(&j, &e))) return err;
    if (e.dtype == ICL__I8)
      icl__see(seen, icl__more_bit(&f->cfg, e.place.layer,
                                   ICL__I8_BIT + icl__scale_row(e.place.row) - ICL__BLOCK_ROWS));
    if (e.rank != t.rank || e.shape[e.rank - 1] != (uint64_t)t.cols
        || (e.rank == 2 && e.shape[0] != (uint64_t)t.rows))
      return icl__fail_at(&j, ICL_ERR_TENSOR, "wrong shape:", e.name);
  }
  err = icl__check_missing(seen, &f->cfg, r);
  return err ? err : icl__check_scales(seen, &f->cfg, r);
}

/* Further walks: the tensors tile the data from byte 0 on, without hole or overlap.  Ranges that
 * touch become one, so that a walk takes all tensors in any order that comes near to sorted, and
 * backwards.  Where more of them lie apart than there is room for, the highest are left to another
 * walk: at least ROOM tensors each, some 4 ROOM of them at random, for under 2 KB of stack. */
typedef struct icl__range { uint64_t begin, end; } icl__range;

/* The next range in a header that was checked: there, no string but that key starts with da.  0 at
 * the end. */
static int icl__next_range(const icl__file *f, size_t *at, icl__range *x)
{
  const char *s = f->header;
  size_t n = f->header_size;
  for (;; ++*at) {
    const char *quote = (const char *)memchr(s + *at, '"', n - *at);
    if (!quote) return 0;
    *at = (size_t)(quote - s);
    if (*at + 1 == f->metadata) *at = f->metadata_end;
    else if (n - *at > 3 && s[*at + 1] == 'd' && s[*at + 2] == 'a') break;
  }
  while (s[(*at)++] != '[') {}
  while (s[*at] < '0') ++*at;
  icl__digits(s, n, at, &x->begin);
  while (s[*at] < '0') ++*at;
  return icl__digits(s, n, at, &x->end);
}

/* Adds x to n <= room ranges, sorted and apart, the first of which begins at 0.  0 where it
 * overlaps with one of them.  Where there is no room the last range gives way, and *limit becomes
 * where it began. */
static int icl__add_range(icl__range *ranges, size_t room, size_t *n, icl__range x, uint64_t *limit)
{
  size_t i = *n, low = 0, after, left, right;
  ICL_ASSERT(*n >= 1 && *n <= room && ranges[0].begin == 0 && x.begin < x.end);
  while (low < i) {                          /* i: the first that begins after x                 */
    size_t mid = (low + i) / 2;
    if (ranges[mid].begin > x.begin) i = mid;
    else low = mid + 1;
  }
  if (ranges[i - 1].end > x.begin || (i < *n && ranges[i].begin < x.end)) return 0;
  left = ranges[i - 1].end == x.begin;
  right = i < *n && ranges[i].begin == x.end;
  if (left) x.begin = ranges[i - 1].begin;
  if (right) x.end = ranges[i].end;
  if (!left && !right && *n == room) {
    *limit = i == room ? x.begin : ranges[room - 1].begin;
    if (i == room) return 1;
    --*n;
  }
  after = i + right;
  i -= left;
  memmove(ranges + i + 1, ranges + after, (*n - after) * sizeof *ranges);
  *n += 1 - left - right;
  ranges[i] = x;
  return 1;
}

/* The first tensor, by its place in the data, that does not begin where those before it end; the
 * first in the header if several are in one place.  Takes the next 64 each walk. */
static icl_error icl__misplaced(const icl__file *f, icl_report *r)
{
  enum { AHEAD = 64 };
  struct { uint64_t begin, end; size_t name_at; } ahead[AHEAD + 1], last = {0, 0, 0};
  icl__json j;
  icl__entry e;
  int more;
  size_t n, i, len = 0;
  do {
    for (n = 0, icl__start_walk(&j, f, r); (void)icl__next_entry(&j, &e, &more), more;) {
      if (e.begin < last.begin || (e.begin == last.begin && e.name.at <= last.name_at)) continue;
      for (i = n; i > 0 && ahead[i - 1].begin > e.begin; i--) ahead[i] = ahead[i - 1];
      ahead[i].begin = e.begin; ahead[i].end = e.end; ahead[i].name_at = e.name.at;
      if (n < AHEAD) n++;
    }
    for (i = 0; i < n && ahead[i].begin == last.end; i++) last = ahead[i];
  } while (n == AHEAD && i == n);
  /* what does not tile has such a tensor */
  if (ICL__NEVER(i == n)) return icl__bad_json(&j, "overlapping tensors");
  while (f->header[ahead[i].name_at + len] != '"') len++;
  return icl__fail_n(r, ICL_ERR_FORMAT, 8 + ahead[i].name_at, ahead[i].begin > last.end
                     ? "hole before tensor" : "overlapping tensor", f->header + ahead[i].name_at,
                     len);
}

/* 1 if they tile, and then their size is known. */
static int icl__data_tiles(icl__file *f)
{
  enum { ROOM = 112 };
  icl__range ranges[ROOM], x;
  uint64_t from, limit = 0;
  size_t n, at;
  ranges[0].begin = ranges[0].end = 0;
  do {                                       /* ranges from `from` to `limit`, and all before it */
    ICL__WALK();
    for (from = limit, limit = UINT64_MAX, n = 1, at = 1; icl__next_range(f, &at, &x);)
      if (x.begin >= from && x.begin < limit && !icl__add_range(ranges, ROOM, &n, x, &limit))
        return 0;
    if (n > 1) return 0;
  } while (limit < UINT64_MAX);
  f->data_size = ranges[0].end;
  return 1;
}

/* Reads header[f->header_size] into the rest of f. */
static icl_error icl__read_header(icl__file *f, icl_report *r)
{
  icl_error err;
  f->cfg.layer_norm_epsilon = 1e-5f;
  if ((err = icl__read_config(f, r))) return err;
  if ((err = icl__check_config(f, r))) return err;
  if ((err = icl__check_tensors(f, r))) return err;
  return icl__data_tiles(f) ? ICL_OK : icl__misplaced(f, r);
}

/* Tells what a file is whose first 8 bytes are no length. */
static const char *icl__not_a_file(const unsigned char *data)
{
#ifndef ICL_NO_STDIO
  static const struct { const char *start, *text; } kinds[] = {
    {"version ", "not a safetensors file but a git-lfs pointer to one: fetch it with git lfs pull"},
    {"PK\3\4", "not a safetensors file but a zip file, as torch.save writes them"},
    {"\x80\2", "not a safetensors file but a pickle, as torch.save writes them"},
    {"<", "not a safetensors file but HTML or XML, as a failed download leaves"},
    {"GGUF", "not a safetensors file but a GGUF file"}
  };
  size_t i;
  for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (!memcmp(data, kinds[i].start, strlen(kinds[i].start))) return kinds[i].text;
#else
  (void)data;                                            /* no downloads where there are no files */
#endif
  return "not a safetensors file: header longer than 1 MiB";
}

/* The header's length, from the first 8 bytes. */
static icl_error icl__header_size(const unsigned char *data, size_t size, size_t *n, icl_report *r)
{
  uint64_t v;
  if (size < 8) return icl__fail(r, ICL_ERR_FORMAT, 0, "shorter than 8 bytes", NULL);
  v = icl__get64(data);
  if (v < 2) return icl__fail(r, ICL_ERR_FORMAT, 0, "header length below 2", NULL);
  if (v > ICL__MAX_HEADER)
    return icl__fail(r, ICL_ERR_LIMIT, 0, icl__not_a_file(data), NULL);
  *n = (size_t)v;
  return ICL_OK;
}

static icl_error icl__open_file(icl__file *f, const unsigned char *data, size_t size, icl_report *r)
{
  icl_error err;
  memset(f, 0, sizeof *f);
  if ((err = icl__header_size(data, size, &f->header_size, r))) return err;
  if (f->header_size > size - 8)
    return icl__fail(r, ICL_ERR_FORMAT, 0, "header longer than the file", NULL);
  f->header = (const char *)data + 8;
  if ((err = icl__read_header(f, r))) return err;
  if (f->data_size != size - 8 - f->header_size)
    return icl__fail(r, ICL_ERR_FORMAT, size, f->data_size > size - 8 - f->header_size
                     ? "the data end too early" : "bytes after the data", NULL);
  return ICL_OK;
}

/* ---------------------------------------------------------------------------------------------
 * >>digest
 * ------------------------------------------------------------------------------------------- */

/* h over data[n] as little-endian 64-bit words, the last one filled up with zeros.  Each step is
 * one to one in h and in the word, so any change within one word is found for certain, others but
 * for one in 2^64. */
static uint64_t icl__digest(uint64_t h, const void *data, size_t n)
{
  const unsigned char *p = (const unsigned char *)data;
  unsigned char rest[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  for (; n >= 8; p += 8, n -= 8) {
    h = (h ^ icl__get64(p)) * 0x9e3779b97f4a7c15u;
    h ^= h >> 32;
  }
  if (!n) return h;
  memcpy(rest, p, n);
  h = (h ^ icl__get64(rest)) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}

/* icl.digest goes over this, sizes, options and epsilon's bits, then over the data in the order of
 * the file, then over the texts. */
static uint64_t icl__digest_config(const icl_config *c)
{
  unsigned char b[36];
  uint64_t h;
  uint32_t eps;
  int i;
  memcpy(&eps, &c->layer_norm_epsilon, 4);
  icl__put_le(b, (uint64_t)c->n_dims, 4);
  icl__put_le(b + 4, (uint64_t)c->n_embd, 4);
  icl__put_le(b + 8, (uint64_t)c->n_head, 4);
  icl__put_le(b + 12, (uint64_t)c->n_layer, 4);
  icl__put_le(b + 16, (uint64_t)c->n_positions, 4);
  icl__put_le(b + 20, (uint64_t)c->n_out, 4);
  icl__put_le(b + 24, (uint64_t)c->position_embedding_type, 4);
  icl__put_le(b + 28, (uint64_t)c->activation_function, 4);
  icl__put_le(b + 32, eps, 4);
  h = icl__digest(0x69636c2e68000001u, b, sizeof b);
  if (c->tokens) h = icl__digest(h, "joint", 5);
  for (i = 0; i < c->n_quantiles; i++) {
    memcpy(&eps, &c->quantiles[i], 4);
    icl__put_le(b, eps, 4);
    h = icl__digest(h, b, 4);
  }
  return h;
}

/* The digest goes on over the texts; icl.sampling and icl.recipe, where they are there, come after
 * their lengths.  The first two have none, for the sake of files that exist: text that moves from
 * the end of icl.task to the start of icl.typical goes unnoticed, as does icl.recipe that becomes
 * icl.sampling where there is none, which are no accidents that happen to files. */
static uint64_t icl__digest_texts(uint64_t h, const icl__string *texts)
{
  unsigned char b[8];
  int i;
  for (i = 0; i < ICL__TEXTS; i++) {
    icl__put_le(b, texts[i].n, 8);
    if (i >= ICL__SAMPLING && texts[i].n) h = icl__digest(h, b, 8);
    h = icl__digest(h, texts[i].s, texts[i].n);
  }
  return h;
}

/* ---------------------------------------------------------------------------------------------
 * >>interface
 * The arguments of the product, the table of kernels that a model holds, and functions that stand
 * in for the math library's, whose last digits differ from one system to the next.
 * ------------------------------------------------------------------------------------------- */
/* A tile has ICL__MR rows; rows of keys and room to pack are multiples of ICL__NR, which is twice
 * the widest vector. */
enum { ICL__MR = 6, ICL__NR = ICL__AVX512 ? 32 : 16, ICL__KC = 256, ICL__NC = 256, ICL__MC = 96 };

/* out[n] = f(in[n]), f of a kind; some change in[n] too */
typedef void icl__elementwise(float *out, float *in, size_t n, icl_activation kind);

/* C[m][n] = init + bias + A[m][k] B[k][n] */
typedef struct icl__mm {
  size_t m, n, k;
  const float *a; size_t a_row, a_col;      /* A[i][p] is a[i a_row + p a_col]                  */
  const void *b; size_t b_row, b_col;       /* B[p][j] is number p b_row + j b_col of b         */
  icl__dtype type; const float *scale;      /* of b; I8: times scale[j] (NULL: 1)               */
  int b_padded;                             /* rows of B may be read to a multiple of ICL__NR   */
  const float *init; size_t init_row;       /* [m][n], row stride (0: the same for all); or NULL */
  const float *bias;                        /* [n] or NULL                                      */
  float *c; size_t c_row;
  icl__elementwise *after;                  /* on rows of C as they are done; or NULL           */
  float *out, *in;                          /* its arguments, [m][n]; either may be c itself    */
  size_t after_row; icl_activation act_kind;
  const float *panels;                      /* B as icl__ops.panels leaves it, or NULL          */
  float *pack; size_t n_pack;               /* floats: >= ICL__NR min(k, 256)                   */
  float *pack_a;                            /* 96 x 256 floats, where a_col is not 1; or NULL    */
} icl__mm;

/* The elementwise and reducing kernels, beside the product.  One table per instruction set. */
typedef struct icl__ops {
  const char *name;
  size_t columns;                                    /* of a panel; 0: there are none           */
  void (*mm)(const icl__mm *g);
  void (*panels)(float *out, const icl__mm *g);      /* NULL: mm has no use for them            */
  void (*layernorm)(float *out, float *stats, const float *x, const float *gain, const float *bias,
                    size_t rows, size_t n, float eps);
  void (*softmax)(float *s, size_t n, float scale);
  icl__elementwise *activate;
  /* out[j out_row + i] = x[i row + j] for m rows i and n columns j */
  void (*transpose)(float *out, size_t out_row, const float *x, size_t row, size_t m, size_t n);
  void (*axpy)(float *y, float a, const float *x, size_t n);
  float (*dot)(const float *a, const float *b, size_t n);
  /* out[i] for up to 6 rows of a and b, both `row` apart: the chain that mm computes, from 0 */
  void (*dots_in_order)(float *out, size_t out_row, const float *a, const float *b, size_t row,
                        size_t rows, size_t n);
} icl__ops;

static size_t icl__min(size_t a, size_t b) { return a < b ? a : b; }
/* To a whole number of panels. */
static size_t icl__round_up(size_t n) { return (n + ICL__NR - 1) / ICL__NR * ICL__NR; }
static size_t icl__max(size_t a, size_t b) { return a > b ? a : b; }

/* Number `at` of B, which is in column j; and B[p][j]. */
static float icl__mm_number(const icl__mm *g, size_t at, size_t j)
{
  if (g->type == ICL__F32) return ((const float *)g->b)[at];
  if (g->type != ICL__I8) return icl__half(((const uint16_t *)g->b)[at], g->type);
  return g->scale ? (float)((const int8_t *)g->b)[at] * g->scale[j]
                  : (float)((const int8_t *)g->b)[at];
}
static float icl__mm_b(const icl__mm *g, size_t p, size_t j)
{
  return icl__mm_number(g, p * g->b_row + j * g->b_col, j);
}

static void icl__set_b(icl__mm *g, icl__dtype type, const void *b, const float *scale)
{
  g->b = b;
  g->type = type;
  g->scale = scale;
}

/* exp(x) for -80 <= x <= 87, clamped to that range, in some 40 instructions; NaN stays NaN.  n is
 * rounded by way of an int, which holds in any precision and any order of operations; any n beside
 * the nearest one would do as well. */
static float icl__exp(float x)
{
  float n, r, p;
  int32_t k;
  uint32_t u;
  if (!(x >= -80.0f && x <= 87.0f)) {
    memcpy(&u, &x, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u) return x;                                  /* NaN */
    x = u >> 31 ? -80.0f : 87.0f;
  }
  k = (int32_t)(x * 1.44269504f + 127.5f) - 127;          /* the sum is positive: it rounds down */
  n = (float)k;
  r = x + n * -0.693359375f;
  r += n * 2.12194440e-4f;
  p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + (r + 1.0f);
  u = (uint32_t)(k + 127) << 23;             /* 2^n */
  memcpy(&r, &u, 4);
  return p * r;
}

/* ln x within 2 ulp of 1 + |ln x|, for normal x > 0: x = 2^k m, m from 1/sqrt 2 to sqrt 2, and
 * ln m = 2 artanh((m - 1) / (m + 1)) by its series. */
static float icl__log(float x)
{
  float m, s, q;
  int32_t k;
  uint32_t u;
  memcpy(&u, &x, 4);
  k = (int32_t)((u - 0x3f3504f3u) >> 23) - (u < 0x3f3504f3u ? 512 : 0);
  u -= (uint32_t)k << 23;
  memcpy(&m, &u, 4);
  s = (m - 1.0f) / (m + 1.0f);
  q = s * s;
  q = ((q * 0.11111111f + 0.14285715f) * q + 0.2f) * q + 0.33333333f;
  return (float)k * 0.693359375f + ((float)k * -2.12194440e-4f + 2.0f * (s + s * (s * s) * q));
}

/* sin and cos of 0 <= x < 1e5, absolute error below 1e-6: x = k pi / 2 + r, pi / 2 in three parts,
 * and polynomials of |r| <= pi / 4 (the coefficients of Cephes' sinf and cosf). */
static void icl__sin_cos(float *sine, float *cosine, float x)
{
  const int32_t k = (int32_t)(x * 0.636619772f + 0.5f);
  const float n = (float)k, r = ((x - n * 1.5703125f) - n * 4.83751297e-4f) - n * 7.54978995e-8f;
  const float q = r * r;
  float s = ((q * -1.9515295891e-4f + 8.3321608736e-3f) * q - 1.6666654611e-1f) * q * r + r;
  float c = ((q * 2.443315711809948e-5f - 1.388731625493765e-3f) * q + 4.166664568298827e-2f)
          * q * q - 0.5f * q + 1.0f;
  *sine = k & 1 ? c : s;
  *cosine = k & 1 ? s : c;
  if (k & 2) *sine = -*sine;
  if ((k + 1) & 2) *cosine = -*cosine;
}

/* The best kernels for this processor. */
static const icl__ops *icl__ops_best(void);

/* ---------------------------------------------------------------------------------------------
 * >>model
 * ------------------------------------------------------------------------------------------- */

/* B = the weight in a slot, as it is stored; its rows are contiguous. */
static void icl__set_weight(icl__mm *g, const icl_model *m, size_t slot)
{
  icl__dtype type = m->types ? (icl__dtype)m->types[slot] : ICL__F32;
  icl__set_b(g, type, m->weights[slot],
             type == ICL__I8 ? icl__floats(m, icl__scale_slot(slot)) : NULL);
}

/* 1 where the kernels can read a tensor in place: F32, and weights of blocks in their type. */
static int icl__in_place(const icl__entry *e, const unsigned char *data, int is_block_weight)
{
  return e->dtype == ICL__I8
      || (ICL__ALWAYS(icl__little_endian())                         /* but on big-endian hosts */
          && (uintptr_t)(data + e->begin) % icl__width(e->dtype) == 0
          && (e->dtype == ICL__F32 || is_block_weight));
}

/* 1 for a weight of the four products of a block. */
static int icl__is_block_weight(const icl_config *cfg, size_t slot)
{
  return slot >= ICL__BLOCKS && slot < icl__slot((size_t)cfg->n_layer, 0)
      && icl__scale_row((int)((slot - ICL__BLOCKS) % ICL__PER_BLOCK));
}

/* The largest scale of I8 weights: no weight of eight bits overflows with it. */
#define ICL__MAX_SCALE 1.329227996e36f   /* 2^120 */

/* Checks number i of a tensor: finite, and a scale above 0 as well. */
static icl_error icl__check_weight(const icl__file *f, const icl__entry *e, size_t i, float v,
                                   int is_scale, icl_report *r)
{
  size_t at = 8 + f->header_size + (size_t)e->begin + i * icl__width(e->dtype);
  if (!icl__finite(&v, 1))
    return icl__fail_n(r, ICL_ERR_NONFINITE, at, "NaN or infinity in", e->name.s, e->name.n);
  if (is_scale && !(v > 0.0f && v <= ICL__MAX_SCALE))
    return icl__fail_n(r, ICL_ERR_FORMAT, at, "not above 0, or above 2^120, in", e->name.s,
                       e->name.n);
  return ICL_OK;
}

static char *icl__take_text(icl__arena *mem, icl__string s)
{
  char *text = (char *)icl__take(mem, s.n + 1, 1);
  if (text) icl__append(text, s.n + 1, 0, s.s, s.n);
  return text;
}

/* Counts or takes the memory of a tensor that cannot be used in place.  Where it takes: points the
 * table at the tensor or its copy, and checks every number. */
static icl_error icl__take_tensor(icl_model *m, icl__arena *mem, const icl__file *f,
                                  const icl__entry *e, icl_report *r)
{
  const unsigned char *data = (const unsigned char *)f->header + f->header_size;
  const unsigned char *bytes = data + e->begin;
  size_t slot = icl__slot_of_place(&f->cfg, &e->place), width = icl__width(e->dtype), i;
  size_t n = (size_t)(e->end - e->begin) / width;
  float *copy = icl__in_place(e, data, icl__is_block_weight(&f->cfg, slot))
              ? NULL : icl__take_floats(mem, n);
  icl_error err = ICL_OK;
  if (!mem->base) return ICL_OK;
  m->weights[slot] = copy ? (const void *)copy : bytes;
  m->types[slot] = (unsigned char)(copy ? ICL__F32 : e->dtype);
  for (i = 0; i < n && !err; i++) {
    float v = icl__decode(bytes + i * width, e->dtype);
    err = icl__check_weight(f, e, i, v, icl__is_scale(&e->place), r);
    if (copy) copy[i] = v;
  }
  return err;
}

/* Counts or lays out what a model needs: the table of pointers, texts, typical surprise, and the
 * weights that cannot be used in place. */
static icl_error icl__lay_out_model(icl_model *m, icl__arena *mem, const icl__file *f,
                                    icl_report *r)
{
  size_t slots = icl__slot_count(&f->cfg);
  float *typical;
  icl__json j;
  icl__entry e;
  int more;
  icl_error err;
  m->weights = (const void **)icl__take(mem, slots, sizeof *m->weights);
  m->types = (unsigned char *)icl__take(mem, slots, 1);
  m->typical = typical = icl__take_floats(mem, 2 * (size_t)f->n_typical);
  m->task = icl__take_text(mem, f->texts[ICL__TASK]);
  m->sampling = icl__take_text(mem, f->texts[ICL__SAMPLING]);
  m->recipe = icl__take_text(mem, f->texts[ICL__RECIPE]);
  if (mem->base) {
    if (f->n_typical) icl__parse_typical(f->texts[ICL__TYPICAL], typical, &m->n_typical);
    memset(m->types, ICL__F32, slots);
    memset(m->weights, 0, slots * sizeof *m->weights);
  }
  icl__start_walk(&j, f, r);
  do {
    err = icl__next_entry(&j, &e, &more);
    if (ICL__NEVER(err)) return err;                     /* the first walk would have found it */
    if (more && e.place.part != ICL__BUFFER) err = icl__take_tensor(m, mem, f, &e, r);
  } while (more && !err);
  return err;
}

/* What a model of a file that was opened needs. */
static icl_error icl__count_model(const icl__file *f, size_t *need, icl_report *r)
{
  icl__arena count = icl__arena_on(NULL);
  icl_model none;
  icl_error err = icl__lay_out_model(&none, &count, f, r);
  *need = icl__arena_need(&count);
  return err;
}

/* That model, in mem of so many bytes. */
static icl_error icl__make_model(icl_model *m, const icl__file *f, void *mem, icl_report *r)
{
  icl_model out;
  icl__arena a = icl__arena_on(mem);
  icl_error err;
  memset(&out, 0, sizeof out);
  out.config = f->cfg;
  out.n_params = icl_param_count(&f->cfg);
  out.ops = icl__ops_best();
  if ((err = icl__lay_out_model(&out, &a, f, r))) return err;
  out.digest = icl__digest(icl__digest_config(&f->cfg), f->header + f->header_size,
                           (size_t)f->data_size);
  out.digest = icl__digest_texts(out.digest, f->texts);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (icl__has_key(f, ICL__KEY_DIGEST) && f->digest != out.digest)
    return icl__fail(r, ICL_ERR_DIGEST, 8, "data or configuration changed since", "icl.digest");
#endif
  out.verified = icl__has_key(f, ICL__KEY_DIGEST);
  *m = out;
  return icl__ok(r);
}

icl_error icl_inspect(const void *data, size_t size, icl_config *cfg, size_t *need, icl_report *r)
{
  icl__file f;
  size_t bytes;
  icl_error err;
  if (!data) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "data");
  if ((err = icl__open_file(&f, (const unsigned char *)data, size, r))) return err;
  err = icl__count_model(&f, &bytes, r);
  if (ICL__NEVER(err)) return err;                       /* the file was opened */
  if (cfg) *cfg = f.cfg;
  if (need) *need = bytes;
  return icl__ok(r);
}

icl_error icl_model_init(icl_model *m, const void *data, size_t size, void *mem, size_t mem_size,
                         icl_report *r)
{
  icl__file f;
  size_t need;
  icl_error err;
  if (!m || !data || !mem)
    return icl__fail(r, ICL_ERR_ARG, 0, "NULL", !m ? "m" : !data ? "data" : "mem");
  if ((err = icl__open_file(&f, (const unsigned char *)data, size, r))) return err;
  err = icl__count_model(&f, &need, r);
  if (ICL__NEVER(err)) return err;                       /* the file was opened */
  if (mem_size < need)
    return icl__fail(r, ICL_ERR_MEMORY, 0, "smaller than icl_inspect asks for:", "mem");
  return icl__make_model(m, &f, mem, r);
}

icl_storage icl_model_storage(const icl_model *m)
{
  return m && m->types ? (icl_storage)m->types[icl__slot(0, ICL__QKV_W)] : ICL_STORE_F32;
}

size_t icl_bind_bytes(const icl_config *cfg)
{
  icl__arena a = icl__arena_on(NULL);
  if (icl_config_check(cfg, NULL)) return 0;
  icl__take(&a, icl__slot_count(cfg), sizeof(void *));
  return icl__arena_need(&a);
}

icl_error icl_model_bind(icl_model *m, const icl_config *cfg, const float *params, void *mem,
                         size_t mem_size)
{
  icl__arena a;
  icl_tensor t;
  int i, n = cfg ? icl_tensor_count(cfg) : 0;
  if (!m || !params || !mem || !n) return ICL_ERR_ARG;
  if (mem_size < icl_bind_bytes(cfg)) return ICL_ERR_MEMORY;
  memset(m, 0, sizeof *m);
  m->config = *cfg;
  m->n_params = icl_param_count(cfg);
  m->ops = icl__ops_best();
  m->task = m->sampling = m->recipe = "";
  a = icl__arena_on(mem);
  m->weights = (const void **)icl__take(&a, icl__slot_count(cfg), sizeof(void *));
  memset(m->weights, 0, icl__slot_count(cfg) * sizeof(void *));
  for (i = 0; i < n; i++) {
    size_t slot = icl__slot_of_row(cfg, i);
    icl__tensor_at_slot(cfg, slot, &t);
    m->weights[slot] = params;
    params += icl__tensor_floats(&t);
  }
  return ICL_OK;
}

icl_error icl_model_params(const icl_model *m, float *params)
{
  icl_tensor t;
  int i, n;
  if (!m || !m->weights || !params) return ICL_ERR_ARG;
  n = icl_tensor_count(&m->config);
  for (i = 0; i < n; i++) {
    size_t slot = icl__slot_of_row(&m->config, i), size, k;
    icl__mm g;
    memset(&g, 0, sizeof g);
    icl__set_weight(&g, m, slot);
    icl__tensor_at_slot(&m->config, slot, &t);
    g.b_col = 1;
    g.b_row = (size_t)t.cols;
    size = icl__tensor_floats(&t);
    for (k = 0; k < size; k++) params[k] = icl__mm_b(&g, k / g.b_row, k % g.b_row);
    params += size;
  }
  return ICL_OK;
}

/* ---------------------------------------------------------------------------------------------
 * >>attention
 * Causal self-attention.  Keys lie transposed, [C][key_row], so that the scores of one query
 * against all keys are a product with rows that are contiguous; values lie as tokens, [.][v_row].
 * ------------------------------------------------------------------------------------------- */

/* The rows that go through the network at once:
 *     0 .. n_seq T          n_seq sequences of T new tokens, each after pos0 cached ones (pos0
 *                           even: x tokens at even places)
 *     n_seq T .. + n_query  queries x, each of which sees the whole of sequence 0 and itself */
typedef struct icl__pass {
  size_t n_seq, T, n_query, pos0;
  void *keys; size_t key_layer, key_row;     /* [L][C][key_row] of one sequence; key_layer =
                                                numbers from one layer's to the next's           */
  void *values; size_t value_layer;          /* [L][.][C], likewise; NULL: values are read in qkv */
  icl__dtype kv;                             /* how these are stored; F32 where values is NULL   */
  float *key_scales, *value_scales;          /* [L][H][key_row], I8 only                         */
  float *scores;                             /* [6][key_row]; [H][6][key_row] with threads       */
  float *pack; size_t n_pack;
  const float *const *panels;                /* of weights, by slot; or NULL                     */
  int threads; icl_parallel *run; void *user;            /* more threads, if threads > 1         */
  icl_ctx *const *each;                      /* [n_query] contexts, whose caches the queries see */
} icl__pass;                                 /*   instead of one cache (n_seq is 0); or NULL     */

/* The activations of one layer.  Training keeps a set per layer; inference shares one among all
 * layers, and among arrays of a layer that are not needed at the same time.  R rows; attention
 * leaves K of them: all, and in the last layer only those of x tokens, since nothing reads the
 * others. */
typedef struct icl__acts {
  float *x;                                  /* [R][C] residual stream, in                       */
  float *ln1, *stats1;                       /* [R][C], [R][2] or NULL                           */
  float *qkv;                                /* [R][3C]                                          */
  float *prob;                               /* [n_seq][H][kept][key_row] weights, or NULL       */
  float *att;                                /* [K][C]                                           */
  float *mid;                                /* [K][C] residual stream after the attention       */
  float *ln2, *stats2;                       /* [K][C], [K][2] or NULL                           */
  float *fc, *act;                           /* [K][4C]; in training fc becomes the derivative   */
  float *out;                                /* [K][C] residual stream, out                      */
} icl__acts;

/* One head's queries: row r sees the first n_keys + step r keys, and its own if self is given. */
typedef struct icl__queries {
  float *scores;                             /* [6][key_row], scratch                            */
  size_t rows, n_keys, step;
  const float *q; size_t q_row;
  const void *kt;                            /* [D][key_row]                                     */
  const void *v; size_t v_row;
  const float *k_scale, *v_scale;            /* [n_keys ..] I8 only, or NULL                     */
  const float *self; size_t self_to_v;       /* row 0's key, same stride as q; to its value      */
  float *out;                                /* [rows], row stride C                             */
  float *prob;                               /* [rows][key_row] or NULL                          */
} icl__queries;

/* out[b rows] = softmax(q K / sqrt D) V for a block of up to 6 rows from r on.  The scales of I8
 * values go into the weights of the sum. */
static void icl__attend_block(const icl_model *m, const icl__pass *p, const icl__queries *t,
                              size_t r, size_t b)
{
  size_t C = (size_t)m->config.n_embd, D = C / (size_t)m->config.n_head, i, j;
  size_t n = t->n_keys + t->step * (r + b - 1);          /* keys that the block's last row sees */
  size_t end = t->prob ? t->n_keys + t->step * (t->rows - 1) : n;
  float *s = t->prob ? t->prob + r * p->key_row : t->scores, scale = 1.0f / sqrtf((float)D);
  icl__mm g;
  memset(&g, 0, sizeof g);
  g.m = b; g.n = n; g.k = D;
  g.a = t->q + r * t->q_row; g.a_row = t->q_row; g.a_col = 1;
  icl__set_b(&g, p->kv, t->kt, t->k_scale);
  g.b_row = p->key_row; g.b_col = 1; g.b_padded = 1;
  g.c = s; g.c_row = p->key_row;
  m->ops->mm(&g);
  if (t->self)
    m->ops->dots_in_order(s + t->n_keys, p->key_row, g.a, t->self + r * t->q_row, t->q_row, b, D);
  for (i = 0; i < b; i++) {
    float *si = s + i * p->key_row;
    size_t seen = t->n_keys + t->step * (r + i), total = seen + (t->self != NULL);
    m->ops->softmax(si, total, scale);
    for (; total < end; total++) si[total] = 0.0f;
    for (j = 0; t->v_scale && j < n; j++) si[j] *= t->v_scale[j];
  }
  g.n = D; g.k = n;
  g.a = s; g.a_row = p->key_row;
  icl__set_b(&g, p->kv, t->v, NULL);
  g.b_row = t->v_row;
  g.c = t->out + r * C; g.c_row = C;
  m->ops->mm(&g);
  if (t->self)
    for (i = 0; i < b; i++)
      m->ops->axpy(g.c + i * C, s[i * p->key_row + n],
                   t->self + (r + i) * t->q_row + t->self_to_v, D);
}

/* Runs all rows.  Two at a time read a cache that is not F32 without room to unpack it. */
static void icl__attend(const icl_model *m, const icl__pass *p, const icl__queries *t)
{
  size_t r, step = p->kv == ICL__F32 ? ICL__MR : 2;
  for (r = 0; r < t->rows; r += step)
    icl__attend_block(m, p, t, r, icl__min(step, t->rows - r));
}

/* out[i out_row] = x[n] of one token and head in the type of the cache; returns the scale of I8. */
static float icl__cache_head(icl__dtype kv, void *out, size_t out_row, const float *x, size_t n)
{
  uint16_t *half = (uint16_t *)out;
  size_t i;
  if (kv == ICL__I8) return icl__to_i8((int8_t *)out, out_row, x, 1, n);
  for (i = 0; i < n; i++) half[i * out_row] = (uint16_t)icl__to_half(x[i], kv);
  return 1.0f;
}

/* icl__cache_tokens where the cache is not F32. */
static void icl__cache_rounded(const icl_model *m, const icl__pass *p, size_t layer,
                               const float *qkv)
{
  size_t C = (size_t)m->config.n_embd, H = (size_t)m->config.n_head, D = C / H, t, h;
  for (t = p->pos0; t < p->pos0 + p->T; t++, qkv += 3 * C)
    for (h = 0; h < H; h++) {
      size_t key = layer * p->key_layer + h * D * p->key_row + t;
      size_t value = layer * p->value_layer + t * C + h * D, s = (layer * H + h) * p->key_row + t;
      float k = icl__cache_head(p->kv, icl__number_at(p->keys, p->kv, key), p->key_row,
                                qkv + C + h * D, D);
      float v = icl__cache_head(p->kv, icl__number_at(p->values, p->kv, value), 1,
                                qkv + 2 * C + h * D, D);
      if (p->kv == ICL__I8) { p->key_scales[s] = k; p->value_scales[s] = v; }
    }
}

/* Appends keys and values of T tokens, qkv[T][3C], to the cached ones of pos0 tokens. */
static void icl__cache_tokens(const icl_model *m, const icl__pass *p, size_t layer,
                              const float *qkv)
{
  size_t C = (size_t)m->config.n_embd, t;
  float *keys = (float *)p->keys, *values = (float *)p->values;
  if (p->kv != ICL__F32) { icl__cache_rounded(m, p, layer, qkv); return; }
  m->ops->transpose(keys + layer * p->key_layer + p->pos0, p->key_row, qkv + C, 3 * C, p->T, C);
  for (t = 0; values && t < p->T; t++)
    memcpy(values + layer * p->value_layer + (p->pos0 + t) * C, qkv + t * 3 * C + 2 * C,
           C * sizeof(float));
}

static size_t icl__kept(size_t T, int trim) { return trim ? (T + 1) / 2 : T; }

/* The attention of a layer, to be done a head at a time. */
typedef struct icl__heads {
  const icl_model *m;
  const icl__pass *p;
  size_t layer;
  const icl__acts *a;
  int trim;
  size_t seq;                                /* the sequence; the last one's heads do the queries */
} icl__heads;

/* Head h of a sequence, then of the queries: its columns of a->att[K][C] from a->qkv[R][3C]. */
static void icl__attention_head(void *arg, int head)
{
  const icl__heads *w = (const icl__heads *)arg;
  const icl__pass *p = w->p;
  size_t C = (size_t)w->m->config.n_embd, H = (size_t)w->m->config.n_head, D = C / H;
  size_t kept = icl__kept(p->T, w->trim), h = (size_t)head, s = w->seq;
  const float *qkv = w->a->qkv + s * p->T * 3 * C + h * D;
  size_t scale = (w->layer * H + h) * p->key_row;
  const void *cached = p->values ? icl__number_at(p->values, p->kv,
                                                  w->layer * p->value_layer + h * D) : NULL;
  icl__queries t;
  memset(&t, 0, sizeof t);
  if (p->key_scales) { t.k_scale = p->key_scales + scale; t.v_scale = p->value_scales + scale; }
  t.scores = p->threads > 1 ? p->scores + h * ICL__MR * p->key_row : p->scores;
  t.kt = icl__number_at(p->keys, p->kv, w->layer * p->key_layer + h * D * p->key_row);
  t.rows = kept; t.n_keys = p->pos0 + 1; t.step = w->trim ? 2 : 1;
  t.q = qkv; t.q_row = t.step * 3 * C;
  t.v = cached ? cached : (const void *)(qkv + 2 * C); t.v_row = cached ? C : 3 * C;
  t.out = w->a->att + s * kept * C + h * D;
  t.prob = w->a->prob ? w->a->prob + (s * H + h) * kept * p->key_row : NULL;
  icl__attend(w->m, p, &t);
  if (!p->n_query || ICL__NEVER(s + 1 < p->n_seq)) return;    /* queries go with one sequence */
  t.rows = p->n_query; t.n_keys = p->pos0 + p->T; t.step = 0;
  t.q = w->a->qkv + p->n_seq * p->T * 3 * C + h * D; t.q_row = 3 * C;
  t.v = cached; t.v_row = C;
  t.self = t.q + C; t.self_to_v = C;
  t.out = w->a->att + p->n_seq * kept * C + h * D;
  t.prob = NULL;
  icl__attend(w->m, p, &t);
}

static icl__pass icl__ctx_pass(const icl_ctx *c, size_t n_tokens, size_t n_query);

/* Head h of queries of several contexts: query r sees the pairs of the context p->each[r], with
 * that context's scratch for its scores. */
static void icl__attention_each(void *arg, int head)
{
  icl__heads w = *(const icl__heads *)arg;
  size_t C = (size_t)w.m->config.n_embd, r, n = w.p->n_query;
  icl_ctx *const *each = w.p->each;
  icl__acts a = *w.a;
  w.a = &a;
  for (r = 0; r < n; r++, a.qkv += 3 * C, a.att += C) {
    icl__pass one = icl__ctx_pass(each[r], 0, 1);
    one.threads = 2;                                     /* a row of scores for each head */
    w.p = &one;
    icl__attention_head(&w, head);
  }
}

static void icl__attention(const icl_model *m, const icl__pass *p, size_t layer,
                           const icl__acts *a, int trim)
{
  size_t C = (size_t)m->config.n_embd;
  void (*task)(void *arg, int head) = p->each ? icl__attention_each : icl__attention_head;
  icl__heads w;
  int h, H = m->config.n_head;
  memset(&w, 0, sizeof w);
  w.m = m; w.p = p; w.layer = layer; w.a = a; w.trim = trim;
  for (w.seq = 0; w.seq < p->n_seq || w.seq == 0; w.seq++) {
    if (w.seq < p->n_seq) icl__cache_tokens(m, p, layer, a->qkv + w.seq * p->T * 3 * C);
    if (p->threads > 1) p->run(p->user, H, task, &w);
    else for (h = 0; h < H; h++) task(&w, h);
  }
}

/* ---------------------------------------------------------------------------------------------
 * >>forward
 * ------------------------------------------------------------------------------------------- */

/* out = init + x W + b, W[k][n] as HF's Conv1D stores it. */
static icl__mm icl__linear(const icl__pass *p, float *out, const float *init, const float *x,
                           const float *w, const float *b, size_t rows, size_t k, size_t n)
{
  icl__mm g;
  memset(&g, 0, sizeof g);
  g.m = rows; g.n = n; g.k = k;
  g.a = x; g.a_row = k; g.a_col = 1;
  g.b = w; g.b_row = n; g.b_col = 1;
  g.init = init; g.init_row = n; g.bias = b;
  g.c = out; g.c_row = n;
  g.pack = p->pack; g.n_pack = p->n_pack;
  return g;
}

/* A product in shares of whole panels of columns, one for each thread. */
typedef struct icl__shares {
  const icl_model *m;
  const icl__mm *g;
  size_t columns, n_pack;                    /* of a share                                       */
} icl__shares;

static void icl__share(void *arg, int i)
{
  const icl__shares *w = (const icl__shares *)arg;
  size_t j = (size_t)i * w->columns;
  icl__mm g = *w->g;
  ICL_ASSERT(!g.panels && !g.pack_a);
  if (j >= g.n) return;
  g.n = icl__min(w->columns, g.n - j);
  g.b = (const char *)g.b + j * g.b_col * icl__width(g.type);
  if (g.scale) g.scale += j;
  g.c += j;
  if (g.init) g.init += j;
  if (ICL__ALWAYS(g.bias)) g.bias += j;                  /* all products of a block have one */
  if (g.after) { g.out += j; g.in += j; }
  g.pack += (size_t)i * w->n_pack;
  g.n_pack = w->n_pack;
  w->m->ops->mm(&g);
}

/* The product, by several threads where that is worth waking them up and the room to pack is
 * enough for all.  Who computes a column does not change its bits. */
static void icl__multiply(const icl_model *m, const icl__pass *p, const icl__mm *g)
{
  enum { WORTH = 1 << 15 };
  size_t parts = icl__min((size_t)p->threads, (g->n + ICL__NR - 1) / ICL__NR);
  icl__shares w;
  if (g->m > 2 && m->ops->panels)
    parts = icl__min(parts, g->n_pack / (ICL__NR * icl__min(g->k, ICL__KC)));
  if (g->panels || ICL__NEVER(g->pack_a)) parts = 1;     /* not shared out; no block packs A */
  if (p->threads <= 1 || parts < 2 || g->m * g->n * g->k < WORTH) { m->ops->mm(g); return; }
  w.m = m;
  w.g = g;
  w.columns = icl__round_up((g->n + parts - 1) / parts);
  w.n_pack = g->n_pack / parts / ICL__NR * ICL__NR;
  p->run(p->user, (int)parts, icl__share, &w);
}

/* mid = the rows of x that are kept.  mid may be x: rows only move down. */
static void icl__keep_rows(const icl__pass *p, float *mid, const float *x, size_t C)
{
  size_t s, t;
  for (s = 0; s < p->n_seq; s++)
    for (t = 0; t < p->T; t += 2, mid += C) memmove(mid, x + (s * p->T + t) * C, C * sizeof(float));
  memmove(mid, x + p->n_seq * p->T * C, p->n_query * C * sizeof(float));
}

/* Sets *g to out = init + x W + b, for a weight of block l and the bias in the next slot. */
static void icl__block_linear(icl__mm *g, const icl_model *m, const icl__pass *p, size_t l,
                              int kind, float *out, const float *init, const float *x,
                              size_t rows, size_t k, size_t n)
{
  size_t slot = icl__slot(l, (size_t)kind);
  *g = icl__linear(p, out, init, x, NULL, icl__floats(m, slot + 1), rows, k, n);
  icl__set_weight(g, m, slot);
  if (p->panels) g->panels = p->panels[slot];
}

/* One pre-LayerNorm block:  mid = x + attention(ln1(x)),  out = mid + mlp(ln2(mid)). */
static void icl__block(const icl_model *m, const icl__pass *p, size_t l, const icl__acts *a)
{
  int trim = l + 1 == (size_t)m->config.n_layer;
  size_t C = (size_t)m->config.n_embd, rows = p->n_seq * p->T + p->n_query;
  size_t kept = p->n_seq * icl__kept(p->T, trim) + p->n_query;
  const icl__ops *o = m->ops;
  float eps = m->config.layer_norm_epsilon;
  const float *init = a->x;
  icl__mm g;

  o->layernorm(a->ln1, a->stats1, a->x, icl__floats(m, icl__slot(l, ICL__LN1_W)),
               icl__floats(m, icl__slot(l, ICL__LN1_B)), rows, C, eps);
  icl__block_linear(&g, m, p, l, ICL__QKV_W, a->qkv, NULL, a->ln1, rows, C, 3 * C);
  icl__multiply(m, p, &g);
  icl__attention(m, p, l, a, trim);
  if (trim) { icl__keep_rows(p, a->mid, a->x, C); init = a->mid; }
  icl__block_linear(&g, m, p, l, ICL__PROJ_W, a->mid, init, a->att, kept, C, C);
  icl__multiply(m, p, &g);

  o->layernorm(a->ln2, a->stats2, a->mid, icl__floats(m, icl__slot(l, ICL__LN2_W)),
               icl__floats(m, icl__slot(l, ICL__LN2_B)), kept, C, eps);
  icl__block_linear(&g, m, p, l, ICL__FC_W, a->fc, NULL, a->ln2, kept, C, 4 * C);
  g.after = o->activate; g.out = a->act; g.in = a->fc; g.after_row = 4 * C;
  g.act_kind = m->config.activation_function;
  icl__multiply(m, p, &g);
  icl__block_linear(&g, m, p, l, ICL__MLP_W, a->out, a->mid, a->act, kept, 4 * C, C);
  icl__multiply(m, p, &g);
}

/* x[rows][C] = positions[first ..] + tokens[rows][t] W^T + b.  step 1: consecutive positions, or
 * x and y in turn where positions alternate; 0: all at the first.  positions may be NULL. */
static void icl__embed(const icl_model *m, const icl__pass *p, float *x, const float *tokens,
                       const float *positions, size_t first, size_t step, size_t rows)
{
  size_t C = (size_t)m->config.n_embd, t = (size_t)icl__token_size(&m->config), r;
  int alternates = icl__alternates(&m->config);
  size_t every = alternates && step ? 2 : 1;
  for (r = 0; r < every && r < rows; r++) {
    const float *init = positions ? positions + (alternates ? r : first) * C : NULL;
    icl__mm g = icl__linear(p, x + r * C, init, tokens + r * t, icl__floats(m, ICL__READ_IN_W),
                            icl__floats(m, ICL__READ_IN_B), (rows - r + every - 1) / every, t, C);
    g.a_row = every * t;
    g.init_row = alternates ? 0 : step * C;
    g.b_row = 1; g.b_col = t;
    g.c_row = every * C;
    m->ops->mm(&g);
  }
}

/* Numbers of the answer to a query: the prediction, and Q quantiles. */
static size_t icl__answer_size(const icl_config *cfg) { return 1 + (size_t)cfg->n_quantiles; }

/* out[n] = the first n rows of the read-out of the final LayerNorm; row 0 is the prediction.
 * ln[C] is scratch. */
static void icl__read_out(const icl_model *m, float *out, size_t n, float *ln, float *stats,
                          const float *x)
{
  size_t C = (size_t)m->config.n_embd, i;
  m->ops->layernorm(ln, stats, x, icl__weight_after(m, ICL__LNF_W),
                    icl__weight_after(m, ICL__LNF_B), 1, C, m->config.layer_norm_epsilon);
  for (i = 0; i < n; i++)
    out[i] = m->ops->dot(ln, icl__weight_after(m, ICL__OUT_W) + i * C, C)
           + icl__weight_after(m, ICL__OUT_B)[i];
}

/* Praxis's sinusoidal positions, out[n][C]: channel j is sin(p t_j), channel C/2 + j is cos(p t_j),
 * t_j = 10000^(-j / (C/2 - 1)). */
static void icl__sinusoids(float *out, size_t n, size_t C)
{
  size_t p, j, half = C / 2;
  for (j = 0; j < half; j++) {
    float t = icl__exp(-9.21034037f * (float)j / (float)(half > 1 ? half - 1 : 1));
    for (p = 0; p < n; p++)
      icl__sin_cos(&out[p * C + j], &out[p * C + half + j], (float)p * t);
  }
}

/* ---------------------------------------------------------------------------------------------
 * >>context
 * ------------------------------------------------------------------------------------------- */

/* An icl_storage is an icl__dtype by number. */
static icl__dtype icl__kv_type(const icl_ctx *c) { return (icl__dtype)c->kv; }

/* Counts or places everything a context owns. */
static void icl__lay_out_ctx(icl_ctx *c, icl__arena *mem)
{
  const icl_config *cfg = &c->model->config;
  size_t C = (size_t)cfg->n_embd, d = (size_t)cfg->n_dims, L = (size_t)cfg->n_layer;
  size_t t = (size_t)icl__token_size(cfg);
  size_t tokens = 2 * (size_t)c->max_pairs, rows = (size_t)c->max_batch, k, n;
  size_t H = (size_t)cfg->n_head, kv = icl__width(icl__kv_type(c));
  c->rows = rows < 2 ? 2 : rows;
  c->key_row = icl__round_up(tokens + 1);
  /* one panel for the read-in; with more rows, panels of the widest layer */
  k = icl__min(icl__max(t, c->rows > 2 ? 4 * C : 0), ICL__KC);
  n = c->rows > 2 ? icl__min(icl__round_up(4 * C), ICL__NC) : (size_t)ICL__NR;
  c->n_pack = c->model->ops->panels ? k * n : 0;         /* others pack nothing */

  c->x_mean = icl__take_floats(mem, d);
  c->x_std = icl__take_floats(mem, d);
  c->y_scale = icl__take_floats(mem, 2);
  c->inputs = icl__take_floats(mem, icl__times((size_t)c->max_pairs, d));
  c->outputs = icl__take_floats(mem, (size_t)c->max_pairs);
  c->residuals = icl__take_floats(mem, (size_t)c->max_pairs);
  c->keys = icl__take(mem, icl__times(L * C, c->key_row), kv);
  /* +16: a tile of 16 columns at the last head reads past its D columns */
  c->values = icl__take(mem, icl__plus(icl__times(L * C, tokens), ICL__NR), kv);
  c->key_scales = c->value_scales = NULL;
  if (c->kv == ICL_STORE_I8) {
    c->key_scales = icl__take_floats(mem, icl__times(L * H, c->key_row));
    c->value_scales = icl__take_floats(mem, icl__times(L * H, c->key_row));
  }
  c->positions = cfg->position_embedding_type == ICL_POSITION_SINUSOIDAL
               ? icl__take_floats(mem, icl__times(C, tokens + 1)) : NULL;
  c->tokens = icl__take_floats(mem, icl__times(c->rows, t));
  c->quantiles = cfg->n_quantiles ? icl__take_floats(mem, icl__times(c->rows,
                                                                     icl__answer_size(cfg))) : NULL;
  c->stream = icl__take_floats(mem, icl__times(c->rows, C));
  c->normed = icl__take_floats(mem, icl__times(c->rows, C));
  c->hidden = icl__take_floats(mem, icl__times(c->rows, 4 * C));
  c->scores = icl__take_floats(mem, icl__times(H * ICL__MR, c->key_row));
  c->pack = icl__take_floats(mem, c->n_pack);
}

enum { ICL__MAX_PAIRS = 1 << 22, ICL__MAX_BATCH = 1 << 22,
       ICL__MAX_SINUSOIDS = 49999 };         /* pairs whose positions icl__sin_cos can take */

int icl_max_pairs(const icl_model *m)
{
  int most = ICL__MAX_PAIRS;
  if (!m) return 0;
  if (m->config.position_embedding_type == ICL_POSITION_SINUSOIDAL) most = ICL__MAX_SINUSOIDS;
  if (m->config.position_embedding_type != ICL_POSITION_LEARNED) return most;
  return m->config.n_positions - 1 < 2 * most ? (m->config.n_positions - 1) / 2 : most;
}

/* Options of the plain forms, where a max_batch of 0 is out of range. */
static icl_ctx_options icl__sizes(int max_pairs, int max_batch)
{
  icl_ctx_options o;
  memset(&o, 0, sizeof o);
  o.max_pairs = max_pairs;
  o.queries_at_once = max_batch ? max_batch : -1;
  return o;
}

/* An empty context without its memory: the options, with their defaults, checked. */
static icl_error icl__begin_ctx(icl_ctx *c, const icl_model *m, const icl_ctx_options *o,
                                icl_report *r)
{
  icl_error err;
  if (!m || !o) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", m ? "options" : "model");
  if (!m->weights) return icl__fail(r, ICL_ERR_ARG, 0, "not initialized:", "model");
  memset(c, 0, sizeof *c);
  c->model = m;
  c->max_pairs = o->max_pairs;
  c->max_batch = o->queries_at_once ? o->queries_at_once : 1;
  c->threads = o->threads ? o->threads : 1;
  c->kv = o->kv;
  c->run = o->run;
  c->run_user = o->user;
  if ((err = icl__check_range(r, "max_pairs", c->max_pairs, 1, icl_max_pairs(m)))) return err;
  if ((err = icl__check_range(r, "queries_at_once", c->max_batch, 1, ICL__MAX_BATCH))) return err;
  if ((err = icl__check_range(r, "threads", c->threads, 1, INT32_MAX))) return err;
  if ((err = icl__check_range(r, "kv", (int)c->kv, 0, ICL_STORE_I8))) return err;
  if (c->threads > 1 && !c->run) return icl__fail(r, ICL_ERR_ARG, 0, "threads without", "run");
  return ICL_OK;
}

size_t icl_ctx_bytes_with(const icl_model *m, const icl_ctx_options *o, icl_report *r)
{
  icl_ctx c;
  icl__arena count = icl__arena_on(NULL);
  if (icl__begin_ctx(&c, m, o, r)) return 0;
  icl__lay_out_ctx(&c, &count);
  icl__ok(r);
  return icl__arena_need(&count);
}

size_t icl_ctx_bytes(const icl_model *m, int max_pairs, int max_batch)
{
  icl_ctx_options o = icl__sizes(max_pairs, max_batch);
  return icl_ctx_bytes_with(m, &o, NULL);
}

static void icl__scale(icl_ctx *c, const float *x_mean, const float *x_std, float y_mean,
                       float y_std)
{
  int j;
  for (j = 0; j < c->model->config.n_dims; j++) {
    c->x_mean[j] = x_mean ? x_mean[j] : 0.0f;
    c->x_std[j] = x_std ? x_std[j] : 1.0f;
  }
  c->y_scale[0] = y_mean;
  c->y_scale[1] = y_std;
}

icl_error icl_ctx_init_with(icl_ctx *c, const icl_model *m, const icl_ctx_options *o, void *mem,
                            size_t bytes, icl_report *r)
{
  icl_ctx made;
  icl__arena count = icl__arena_on(NULL), a = icl__arena_on(mem);
  icl_error err;
  if (!c || !mem) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", c ? "mem" : "context");
  if ((err = icl__begin_ctx(&made, m, o, r))) return err;
  icl__lay_out_ctx(&made, &count);
  if (bytes < icl__arena_need(&count))
    return icl__fail(r, ICL_ERR_MEMORY, 0, "smaller than icl_ctx_bytes asks for:", "mem");
  icl__lay_out_ctx(&made, &a);
  *c = made;
  if (c->positions)
    icl__sinusoids(c->positions, 2 * (size_t)c->max_pairs + 1, (size_t)m->config.n_embd);
  icl__scale(c, NULL, NULL, 0.0f, 1.0f);
  return icl__ok(r);
}

icl_error icl_ctx_init(icl_ctx *c, const icl_model *m, int max_pairs, int max_batch, void *mem,
                       size_t bytes)
{
  icl_ctx_options o = icl__sizes(max_pairs, max_batch);
  return icl_ctx_init_with(c, m, &o, mem, bytes, NULL);
}

/* Copies n numbers of a type in each of several rows. */
static void icl__copy_rows(void *to, size_t to_row, const void *from, size_t from_row,
                           icl__dtype type, size_t rows, size_t n)
{
  size_t width = icl__width(type), i;
  for (i = 0; i < rows; i++)
    memcpy((unsigned char *)to + i * to_row * width,
           (const unsigned char *)from + i * from_row * width, n * width);
}

icl_error icl_ctx_copy(icl_ctx *to, const icl_ctx *from)
{
  const icl_config *cfg;
  size_t L, C, n, heads;
  icl__dtype kv;
  if (!to || !from || !to->model || !from->model) return ICL_ERR_ARG;
  if (to->model != from->model || to->kv != from->kv) return ICL_ERR_STATE;
  if (from->n_pairs > to->max_pairs) return ICL_ERR_FULL;
  if (to == from) return ICL_OK;
  cfg = &to->model->config;
  L = (size_t)cfg->n_layer; C = (size_t)cfg->n_embd; n = (size_t)from->n_pairs;
  kv = icl__kv_type(to);
  icl__scale(to, from->x_mean, from->x_std, from->y_scale[0], from->y_scale[1]);
  memcpy(to->inputs, from->inputs, n * (size_t)cfg->n_dims * sizeof(float));
  memcpy(to->outputs, from->outputs, n * sizeof(float));
  memcpy(to->residuals, from->residuals, n * sizeof(float));
  icl__copy_rows(to->keys, to->key_row, from->keys, from->key_row, kv, L * C, 2 * n);
  icl__copy_rows(to->values, 2 * (size_t)to->max_pairs * C, from->values,
                 2 * (size_t)from->max_pairs * C, kv, L, 2 * n * C);
  heads = to->key_scales ? L * (size_t)cfg->n_head : 0;
  icl__copy_rows(to->key_scales, to->key_row, from->key_scales, from->key_row, ICL__F32, heads,
                 2 * n);
  icl__copy_rows(to->value_scales, to->key_row, from->value_scales, from->key_row, ICL__F32, heads,
                 2 * n);
  to->n_pairs = from->n_pairs;
  return ICL_OK;
}

icl_error icl_ctx_threads(icl_ctx *c, int n, icl_parallel *run, void *user)
{
  if (!c || !c->model || n < 1 || (n > 1 && !run)) return ICL_ERR_ARG;
  c->threads = n;
  c->run = run;
  c->run_user = user;
  return ICL_OK;
}

/* The pass of new tokens after those of the pairs in c, and of queries. */
static icl__pass icl__ctx_pass(const icl_ctx *c, size_t n_tokens, size_t n_query)
{
  icl__pass p;
  memset(&p, 0, sizeof p);
  p.n_seq = 1;
  p.T = n_tokens;
  p.n_query = n_query;
  p.pos0 = 2 * (size_t)c->n_pairs;
  p.key_row = c->key_row;
  p.key_layer = (size_t)c->model->config.n_embd * c->key_row;
  p.value_layer = 2 * (size_t)c->max_pairs * (size_t)c->model->config.n_embd;
  p.keys = c->keys;
  p.values = c->values;
  p.kv = icl__kv_type(c);
  p.key_scales = c->key_scales;
  p.value_scales = c->value_scales;
  p.scores = c->scores;
  p.pack = c->pack;
  p.n_pack = c->n_pack;
  p.threads = c->threads;
  p.run = c->run;
  p.user = c->run_user;
  return p;
}

/* Every layer works in the same rows: the stream is changed in place. */
static icl__acts icl__ctx_acts(const icl_ctx *c)
{
  icl__acts a;
  memset(&a, 0, sizeof a);
  a.x = a.mid = a.out = c->stream;
  a.ln1 = a.att = a.ln2 = c->normed;
  a.qkv = a.fc = a.act = c->hidden;
  return a;
}

/* Positions that c's tokens get: learned, sinusoids, or NULL for none. */
static const float *icl__positions(const icl_ctx *c)
{
  return icl__has_wpe(&c->model->config) ? icl__floats(c->model, ICL__WPE) : c->positions;
}

/* c->tokens -> read-in -> blocks -> c->stream, whose first rows are then those of x tokens. */
static void icl__ctx_forward(icl_ctx *c, const icl__pass *p)
{
  const icl_model *m = c->model;
  icl__acts a = icl__ctx_acts(c);
  size_t l, r, C = (size_t)m->config.n_embd, t = (size_t)icl__token_size(&m->config);
  icl__embed(m, p, c->stream, c->tokens, icl__positions(c), p->pos0, 1, p->T);
  if (!p->each)
    icl__embed(m, p, c->stream + p->T * C, c->tokens + p->T * t, icl__positions(c), p->pos0 + p->T,
               0, p->n_query);
  for (r = 0; p->each && r < p->n_query; r++)
    icl__embed(m, p, c->stream + r * C, c->tokens + r * t, icl__positions(p->each[r]),
               2 * (size_t)p->each[r]->n_pairs, 0, 1);
  for (l = 0; l < (size_t)m->config.n_layer; l++) icl__block(m, p, l, &a);
}

/* Row r of c's tokens = x as the model sees it, under the scale of `of`. */
static void icl__set_token_x(icl_ctx *c, const icl_ctx *of, size_t r, const float *x)
{
  size_t d = (size_t)c->model->config.n_dims, t = (size_t)icl__token_size(&c->model->config), j;
  float *token = c->tokens + r * t;
  for (j = 0; j < d; j++) token[j] = (x[j] - of->x_mean[j]) / of->x_std[j];
  if (t > d) token[d] = 0.0f;
}

/* Row r of the tokens = y of the x in row r - 1: in slot 0, or in slot d after that x. */
static void icl__set_token_y(icl_ctx *c, size_t r, float y)
{
  size_t d = (size_t)c->model->config.n_dims, t = (size_t)icl__token_size(&c->model->config);
  float *token = c->tokens + r * t;
  if (t > d) memcpy(token, token - t, d * sizeof(float));
  else memset(token, 0, d * sizeof(float));
  token[t > d ? d : 0] = (y - c->y_scale[0]) / c->y_scale[1];
}

/* out[n] = the answer in row r of c's stream, under the scale of `of`. */
static void icl__answer(icl_ctx *c, const icl_ctx *of, size_t r, float *out, size_t n)
{
  size_t C = (size_t)c->model->config.n_embd, i;
  icl__read_out(c->model, out, n, c->normed, NULL, c->stream + r * C);
  for (i = 0; i < n; i++) out[i] = of->y_scale[0] + of->y_scale[1] * out[i];
}

/* 1 if n numbers of each row of a block are finite, as all I8 are; the first starts at number `at`,
 * the others `row` numbers apart. */
static int icl__rows_finite(const void *block, icl__dtype type, size_t at, size_t rows, size_t row,
                            size_t n)
{
  uint32_t exponent = type == ICL__F16 ? 0x7c00u : 0x7f80u;
  size_t i;
  for (; type != ICL__I8 && rows; rows--, at += row) {
    const uint16_t *half = (const uint16_t *)block + at;
    if (type == ICL__F32) {
      if (!icl__finite((const float *)block + at, n)) return 0;
    } else {
      for (i = 0; i < n; i++) if ((half[i] & exponent) == exponent) return 0;
    }
  }
  return 1;
}

/* 1 if all that T new tokens left in the cache is finite. */
static int icl__cache_finite(const icl_ctx *c, const icl__pass *p)
{
  size_t L = (size_t)c->model->config.n_layer, C = (size_t)c->model->config.n_embd;
  size_t row = p->key_row;
  size_t heads = p->key_scales ? L * (size_t)c->model->config.n_head : 0, at = p->pos0, T = p->T;
  return !T || (icl__rows_finite(p->keys, p->kv, at, L * C, row, T)
                && icl__rows_finite(p->values, p->kv, at * C, L, p->value_layer, T * C)
                && icl__rows_finite(p->key_scales, ICL__F32, at, heads, row, T)
                && icl__rows_finite(p->value_scales, ICL__F32, at, heads, row, T));
}

/* Sets the tokens of n pairs and of q queries after them; 0 where one is not finite. */
static int icl__set_tokens(icl_ctx *c, size_t n, const float *xs, const float *ys, size_t q,
                           const float *queries)
{
  size_t d = (size_t)c->model->config.n_dims, i;
  for (i = 0; i < n; i++) {
    icl__set_token_x(c, c, 2 * i, xs + i * d);
    icl__set_token_y(c, 2 * i + 1, ys[i]);
  }
  for (i = 0; i < q; i++) icl__set_token_x(c, c, 2 * n + i, queries + i * d);
  return icl__finite(c->tokens, (2 * n + q) * (size_t)icl__token_size(&c->model->config));
}

/* Runs the tokens that are set, 2 n + q <= rows, in one pass; keeps the pairs, which may be kept
 * already, with their residuals.  answers[q][width]: 1 or all numbers of the read-out. */
static icl_error icl__ask_pass(icl_ctx *c, size_t n, const float *xs, const float *ys, size_t q,
                               float *answers, size_t width)
{
  size_t d = (size_t)c->model->config.n_dims, at = (size_t)c->n_pairs, i;
  float answer[1 + ICL_MAX_QUANTILES];
  icl__pass p = icl__ctx_pass(c, 2 * n, q);
  icl__ctx_forward(c, &p);
  for (i = 0; i < n; i++) {
    float y, residual;
    icl__answer(c, c, i, &y, 1);
    residual = ys[i] - y;
    if (!icl__finite(&residual, 1)) return ICL_ERR_NONFINITE;
    c->residuals[at + i] = residual;
  }
  if (!icl__cache_finite(c, &p)) return ICL_ERR_NONFINITE;
  for (i = 0; i < q; i++) {
    icl__answer(c, c, n + i, answer, width);
    if (!icl__finite(answer, width)) return ICL_ERR_NONFINITE;
    memcpy(answers + i * width, answer, width * sizeof(float));
  }
  if (n) memmove(c->inputs + at * d, xs, n * d * sizeof(float));
  if (n) memmove(c->outputs + at, ys, n * sizeof(float));
  c->n_pairs += (int)n;
  return ICL_OK;
}

/* Queries in shares of rows, one for each thread, which works in its part of the scratch. */
typedef struct icl__query_shares {
  const icl_ctx *c;
  size_t rows, n_pack, q;                    /* of a share, of a share, in all                   */
  float *answers;                            /* [q][width]                                       */
  size_t width;
} icl__query_shares;

static void icl__query_share(void *arg, int i)
{
  const icl__query_shares *w = (const icl__query_shares *)arg;
  size_t C = (size_t)w->c->model->config.n_embd;
  size_t first = (size_t)i * w->rows;
  icl_ctx c = *w->c;
  if (first >= w->q) return;
  c.threads = 1;
  c.tokens += first * (size_t)icl__token_size(&c.model->config);
  c.stream += first * C;
  c.normed += first * C;
  c.hidden += first * 4 * C;
  c.scores += (size_t)i * ICL__MR * c.key_row;
  c.pack += (size_t)i * w->n_pack;
  c.n_pack = w->n_pack;
  if (icl__ask_pass(&c, 0, NULL, NULL, icl__min(w->rows, w->q - first),
                    w->answers + first * w->width, w->width))
    icl__spoil(w->answers + first * w->width, 1);  /* icl__query_pass finds it */
}

/* Runs the q <= rows queries that are set in the tokens. */
static icl_error icl__query_pass(icl_ctx *c, size_t q, float *answers, size_t width)
{
  enum { WORTH = 24 };                                       /* rows a thread                    */
  size_t parts = icl__min((size_t)c->threads, (size_t)c->model->config.n_head);
  icl__query_shares w;
  parts = icl__min(parts, q / WORTH);
  if (c->model->ops->panels) parts = icl__min(parts, c->n_pack / (ICL__NR * ICL__KC));
  if (parts < 2) return icl__ask_pass(c, 0, NULL, NULL, q, answers, width);
  w.c = c;
  w.rows = (q + parts - 1) / parts;
  w.n_pack = c->n_pack / parts / ICL__NR * ICL__NR;
  w.q = q;
  w.answers = answers;
  w.width = width;
  c->run(c->run_user, (int)parts, icl__query_share, &w);
  return icl__finite(answers, q * width) ? ICL_OK : ICL_ERR_NONFINITE;
}

/* icl_ask with answers[n_query][width]. */
static icl_error icl__ask(icl_ctx *c, int n, const float *xs, const float *ys, int n_query,
                          const float *queries, float *answers, size_t width)
{
  size_t d, at = 0, done = 0, pairs = (size_t)n, q = (size_t)n_query;
  int before;
  icl_error err = ICL_OK;
  if (!c || !c->model || n < 0 || n_query < 0 || (n && (!xs || !ys))
      || (n_query && (!queries || !answers)))
    return ICL_ERR_ARG;
  d = (size_t)c->model->config.n_dims;
  if (n > c->max_pairs - c->n_pairs) return ICL_ERR_FULL;
  if (!icl__finite(xs, pairs * d) || !icl__finite(ys, pairs) || !icl__finite(queries, q * d))
    return ICL_ERR_NONFINITE;
  before = c->n_pairs;
  while (!err && (at < pairs || done < q)) {
    size_t step = icl__min(c->rows / 2, pairs - at);
    size_t ask = at + step < pairs ? 0 : icl__min(c->rows - 2 * step, q - done);
    if (!icl__set_tokens(c, step, step ? xs + at * d : NULL, step ? ys + at : NULL, ask,
                         ask ? queries + done * d : NULL)) err = ICL_ERR_NONFINITE;
    else if (!step) err = icl__query_pass(c, ask, answers + done * width, width);
    else err = icl__ask_pass(c, step, xs + at * d, ys + at, ask,
                             ask ? answers + done * width : NULL, width);
    at += step;
    done += ask;
  }
  if (err) c->n_pairs = before;
  return err;
}

icl_error icl_ask(icl_ctx *c, int n, const float *xs, const float *ys, int n_query,
                  const float *queries, float *answers)
{
  return icl__ask(c, n, xs, ys, n_query, queries, answers, 1);
}

icl_error icl_add_batch(icl_ctx *c, int n, const float *xs, const float *ys)
{
  return icl_ask(c, n, xs, ys, 0, NULL, NULL);
}

icl_error icl_predict_batch(icl_ctx *c, int n, const float *xs, float *ys)
{
  return icl_ask(c, 0, NULL, NULL, n, xs, ys);
}

icl_error icl_add(icl_ctx *c, const float *x, float y) { return icl_add_batch(c, 1, x, &y); }

icl_error icl_predict(icl_ctx *c, const float *x, float *y)
{
  return icl_predict_batch(c, 1, x, y);
}

/* n <= work->rows queries, each of its own context. */
static icl_error icl__many_pass(icl_ctx *work, size_t n, icl_ctx *const *contexts, const float *xs,
                                float *ys)
{
  size_t d = (size_t)work->model->config.n_dims, i;
  icl__pass p = icl__ctx_pass(work, 0, n);
  p.n_seq = 0;
  p.each = contexts;
  for (i = 0; i < n; i++) icl__set_token_x(work, contexts[i], i, xs + i * d);
  if (!icl__finite(work->tokens, n * (size_t)icl__token_size(&work->model->config)))
    return ICL_ERR_NONFINITE;
  icl__ctx_forward(work, &p);
  for (i = 0; i < n; i++) {
    float y;
    icl__answer(work, contexts[i], i, &y, 1);
    if (!icl__finite(&y, 1)) return ICL_ERR_NONFINITE;
    ys[i] = y;
  }
  return ICL_OK;
}

icl_error icl_predict_many(icl_ctx *work, int n, icl_ctx *const *contexts, const float *xs,
                           float *ys)
{
  size_t at, step, d, i, total = (size_t)n;
  icl_error err = ICL_OK;
  if (!work || !work->model || n < 0 || (n && (!contexts || !xs || !ys))) return ICL_ERR_ARG;
  for (i = 0; i < total; i++)
    if (!contexts[i] || contexts[i]->model != work->model) return ICL_ERR_ARG;
  d = (size_t)work->model->config.n_dims;
  if (!icl__finite(xs, total * d)) return ICL_ERR_NONFINITE;
  for (at = 0; at < total && !err; at += step) {
    step = icl__min(work->rows, total - at);
    err = icl__many_pass(work, step, contexts + at, xs + at * d, ys + at);
  }
  return err;
}

icl_error icl_rewind(icl_ctx *c, int n_pairs)
{
  if (!c || !c->model || n_pairs < 0 || n_pairs > c->n_pairs) return ICL_ERR_ARG;
  c->n_pairs = n_pairs;
  return ICL_OK;
}

int icl_count(const icl_ctx *c) { return c ? c->n_pairs : 0; }
const float *icl_inputs(const icl_ctx *c) { return c ? c->inputs : NULL; }
const float *icl_outputs(const icl_ctx *c) { return c ? c->outputs : NULL; }

/* Adds kept pairs c->n_pairs .. n - 1 to the context again. */
static icl_error icl__add_kept(icl_ctx *c, int n)
{
  size_t at = (size_t)c->n_pairs, d = (size_t)c->model->config.n_dims;
  return icl_add_batch(c, n - c->n_pairs, c->inputs + at * d, c->outputs + at);
}

/* Adds n kept pairs to an empty context. */
static icl_error icl__add_again(icl_ctx *c, int n)
{
  c->n_pairs = 0;
  return icl__add_kept(c, n);
}

icl_error icl_forget(icl_ctx *c, int n)
{
  int rest;
  size_t d;
  if (!c || !c->model || n < 0 || n > c->n_pairs) return ICL_ERR_ARG;
  if (!n) return ICL_OK;
  rest = c->n_pairs - n;
  d = (size_t)c->model->config.n_dims;
  memmove(c->inputs, c->inputs + (size_t)n * d, (size_t)rest * d * sizeof(float));
  memmove(c->outputs, c->outputs + n, (size_t)rest * sizeof(float));
  return icl__add_again(c, rest);
}

icl_error icl_ctx_scale(icl_ctx *c, const float *x_mean, const float *x_std, float y_mean,
                        float y_std)
{
  size_t d, j;
  if (!c || !c->model) return ICL_ERR_ARG;
  d = (size_t)c->model->config.n_dims;
  if (!icl__finite(&y_mean, 1) || !icl__finite(&y_std, 1) || (x_mean && !icl__finite(x_mean, d))
      || (x_std && !icl__finite(x_std, d))) return ICL_ERR_NONFINITE;
  for (j = 0; x_std && j < d; j++) if (!(x_std[j] > 0.0f)) return ICL_ERR_ARG;
  if (!(y_std > 0.0f)) return ICL_ERR_ARG;
  icl__scale(c, x_mean, x_std, y_mean, y_std);
  return icl__add_again(c, c->n_pairs);
}

/* Mean and standard deviation (over n, not n - 1) of v[0], v[stride], ..; 1 where all are equal. */
static void icl__mean_std(float *mean, float *std, const float *v, size_t n, size_t stride)
{
  double sum = 0, squares = 0, m;
  size_t i;
  int varies = 0;
  for (i = 0; i < n; i++) {
    sum += (double)v[i * stride];
    varies |= v[i * stride] < v[0] || v[i * stride] > v[0];
  }
  m = varies ? sum / (double)n : (double)v[0];
  for (i = 0; i < n; i++)
    squares += ((double)v[i * stride] - m) * ((double)v[i * stride] - m);
  *mean = (float)m;
  *std = varies ? (float)sqrt(squares / (double)n) : 1.0f;
  if (!(*std >= 1e-37f)) *std = 1.0f;
}

icl_error icl_standardize(icl_ctx *c, int n, const float *xs, const float *ys)
{
  int pairs, j;
  size_t d;
  if (!c || !c->model || !xs != !ys) return ICL_ERR_ARG;
  d = (size_t)c->model->config.n_dims;
  pairs = c->n_pairs;
  if (!xs) { xs = c->inputs; ys = c->outputs; n = pairs; }
  if (n < 1) return ICL_ERR_ARG;
  if (!icl__finite(xs, (size_t)n * d) || !icl__finite(ys, (size_t)n)) return ICL_ERR_NONFINITE;
  for (j = 0; j < c->model->config.n_dims; j++)
    icl__mean_std(&c->x_mean[j], &c->x_std[j], xs + j, (size_t)n, d);
  icl__mean_std(&c->y_scale[0], &c->y_scale[1], ys, (size_t)n, 1);
  return icl__add_again(c, pairs);
}

/* ----- quantiles ------------------------------------------------------------------------------ */

/* Sorts q[n], which is nearly sorted: quantiles of a network may cross. */
static void icl__sort(float *q, size_t n)
{
  size_t i, j;
  for (i = 1; i < n; i++) {
    float v = q[i];
    for (j = i; j > 0 && q[j - 1] > v; j--) q[j] = q[j - 1];
    q[j] = v;
  }
}

/* The predictions and sorted quantiles of up to c->rows queries, in c->quantiles[n][1 + Q]. */
static icl_error icl__ask_quantiles(icl_ctx *c, int n, const float *xs)
{
  size_t width = icl__answer_size(&c->model->config), i;
  icl_error err = icl__ask(c, 0, NULL, NULL, n, xs, c->quantiles, width);
  for (i = 0; i < (size_t)n && !err; i++) icl__sort(c->quantiles + i * width + 1, width - 1);
  return err;
}

/* The quantile p of sorted q[Q], between the two trained levels around it. */
static float icl__quantile(const icl_config *cfg, const float *q, float p)
{
  const float *level = cfg->quantiles;
  int i = 1;
  while (i < cfg->n_quantiles - 1 && level[i] < p) i++;
  if (cfg->n_quantiles < 2) return q[0];
  return q[i - 1] + (q[i] - q[i - 1]) * ((p - level[i - 1]) / (level[i] - level[i - 1]));
}

/* 1 if p is one of the trained levels or between two of them, to rounding. */
static int icl__level_ok(const icl_config *cfg, float p)
{
  return p > cfg->quantiles[0] - 1e-6f && p < cfg->quantiles[cfg->n_quantiles - 1] + 1e-6f;
}

icl_error icl_predict_quantiles(icl_ctx *c, int n, const float *xs, float *qs)
{
  size_t width, d, i;
  int at, step;
  if (!c || !c->model || n < 0 || (n && (!xs || !qs))) return ICL_ERR_ARG;
  if (!(width = (size_t)c->model->config.n_quantiles)) return ICL_ERR_CONFIG;
  d = (size_t)c->model->config.n_dims;
  if (!icl__finite(xs, (size_t)n * d)) return ICL_ERR_NONFINITE;
  for (at = 0; at < n; at += step) {
    icl_error err;
    step = n - at < (int)c->rows ? n - at : (int)c->rows;
    if ((err = icl__ask_quantiles(c, step, xs + (size_t)at * d))) return err;
    for (i = 0; i < (size_t)step; i++)
      memcpy(qs + ((size_t)at + i) * width, c->quantiles + i * (1 + width) + 1,
             width * sizeof(float));
  }
  return ICL_OK;
}

/* NONFINITE where an answer of n is not finite; lo and hi may be NULL. */
static icl_error icl__check_answers(int n, const float *ys, const float *lo, const float *hi)
{
  size_t rows = (size_t)n;
  return icl__finite(ys, rows) && (!lo || (icl__finite(lo, rows) && icl__finite(hi, rows)))
       ? ICL_OK : ICL_ERR_NONFINITE;
}

icl_error icl_predict_interval(icl_ctx *c, int n, const float *xs, float level, float *ys,
                               float *lo, float *hi)
{
  const icl_config *cfg;
  int at, step, i;
  float low = (1.0f - level) / 2, high = (1.0f + level) / 2;
  if (!c || !c->model || n < 0 || (n && (!xs || !ys || !lo || !hi))) return ICL_ERR_ARG;
  cfg = &c->model->config;
  if (!cfg->n_quantiles) return ICL_ERR_CONFIG;
  if (!(level >= 0.0f) || !icl__level_ok(cfg, low) || !icl__level_ok(cfg, high))
    return ICL_ERR_ARG;
  if (!icl__finite(xs, (size_t)n * (size_t)cfg->n_dims)) return ICL_ERR_NONFINITE;
  for (at = 0; at < n; at += step) {
    icl_error err;
    step = n - at < (int)c->rows ? n - at : (int)c->rows;
    if ((err = icl__ask_quantiles(c, step, xs + (size_t)at * (size_t)cfg->n_dims))) return err;
    for (i = 0; i < step; i++) {
      const float *q = c->quantiles + (size_t)i * icl__answer_size(cfg);
      ys[at + i] = q[0];
      lo[at + i] = icl__quantile(cfg, q + 1, low);
      hi[at + i] = icl__quantile(cfg, q + 1, high);
    }
  }
  return icl__check_answers(n, ys, lo, hi);
}

/* ----- refinement ----------------------------------------------------------------------------- */

enum { ICL__CHUNK = 32 };                    /* answers on the stack                             */

/* The scale of r: x as c has it, y by the mean and deviation of the n residuals in r->outputs; not
 * finer than a millionth of the deviation of c's own y, where residuals are rounding. */
static void icl__scale_residuals(icl_ctx *r, const icl_ctx *c, size_t n)
{
  float mean, std, least = 1e-6f * fabsf(c->y_scale[1]);
  icl__mean_std(&mean, &std, r->outputs, n, 1);
  if (!(std > least)) std = least;
  icl__scale(r, c->x_mean, c->x_std, mean, c->y_scale[1] < 0.0f ? -std : std);
}

icl_error icl_refine(icl_ctx *r, icl_ctx *c)
{
  size_t d, n, i;
  icl_error err;
  if (!r || !c || r == c || !c->model || r->model != c->model) return ICL_ERR_ARG;
  if (!c->n_pairs) return ICL_ERR_STATE;
  if (c->n_pairs > r->max_pairs) return ICL_ERR_FULL;
  n = (size_t)c->n_pairs;
  d = (size_t)c->model->config.n_dims;
  r->n_pairs = 0;
  if ((err = icl_predict_batch(c, c->n_pairs, c->inputs, r->outputs))) return err;
  for (i = 0; i < n; i++) r->outputs[i] = c->outputs[i] - r->outputs[i];
  if (!icl__finite(r->outputs, n)) return ICL_ERR_NONFINITE;
  memcpy(r->inputs, c->inputs, n * d * sizeof(float));
  icl__scale_residuals(r, c, n);
  return icl__add_kept(r, c->n_pairs);
}

/* c's answers to n queries, refined where r is a context. */
static icl_error icl__look(icl_ctx *c, icl_ctx *r, int n, const float *xs, float level, float *ys,
                           float *lo, float *hi)
{
  float rest[ICL__CHUNK], wide = level > 0.5f ? (level - 0.5f) / 0.4f : 0.0f;
  int at, step, i;
  icl_error err;
  if (r && r->model != c->model) return ICL_ERR_ARG;
  err = lo ? icl_predict_interval(c, n, xs, level, ys, lo, hi) : icl_predict_batch(c, n, xs, ys);
  for (at = 0; r && at < n && !err; at += step) {
    step = n - at < ICL__CHUNK ? n - at : ICL__CHUNK;
    err = icl_predict_batch(r, step, xs + (size_t)at * (size_t)c->model->config.n_dims, rest);
    for (i = 0; i < step && !err; i++) {
      ys[at + i] += rest[i];
      if (lo) lo[at + i] += rest[i] - wide * fabsf(rest[i]);
      if (lo) hi[at + i] += rest[i] + wide * fabsf(rest[i]);
    }
  }
  return err || !r ? err : icl__check_answers(n, ys, lo, hi);
}

icl_error icl_predict_refined(icl_ctx *c, icl_ctx *r, int n, const float *xs, float level,
                              float *ys, float *lo, float *hi)
{
  if (!c || !r || !c->model || n < 0 || !lo != !hi || (n && (!xs || !ys))) return ICL_ERR_ARG;
  return icl__look(c, r, n, xs, level, ys, lo, hi);
}

/* ----- mirror images -------------------------------------------------------------------------- */

/* 1 if with every quantile p the model has 1 - p. */
static int icl__symmetric(const icl_config *cfg)
{
  int i, n = cfg->n_quantiles;
  for (i = 0; i < n; i++)
    if (fabsf(cfg->quantiles[i] + cfg->quantiles[n - 1 - i] - 1.0f) > 1e-5f) return 0;
  return 1;
}

/* Whether m, a context of c's model, can become an image of c. */
static icl_error icl__can_mirror(const icl_ctx *m, const icl_ctx *c)
{
  if (!m || m == c || m->model != c->model) return ICL_ERR_ARG;
  return c->n_pairs > m->max_pairs ? ICL_ERR_FULL : ICL_OK;
}

icl_error icl_mirror(icl_ctx *m, const icl_ctx *c, int image)
{
  size_t n, d, j;
  icl_error err;
  if (!c || !c->model || image & ~3) return ICL_ERR_ARG;
  if ((err = icl__can_mirror(m, c))) return err;
  if (image & ICL_MIRROR_Y && !icl__symmetric(&c->model->config)) return ICL_ERR_CONFIG;
  n = (size_t)c->n_pairs;
  d = (size_t)c->model->config.n_dims;
  icl__scale(m, c->x_mean, c->x_std, c->y_scale[0], c->y_scale[1]);
  for (j = 0; j < d && image & ICL_MIRROR_X; j++) m->x_std[j] = -m->x_std[j];
  if (image & ICL_MIRROR_Y) m->y_scale[1] = -m->y_scale[1];
  memcpy(m->inputs, c->inputs, n * d * sizeof(float));
  memcpy(m->outputs, c->outputs, n * sizeof(float));
  m->n_pairs = 0;
  return icl__add_kept(m, c->n_pairs);
}

/* How many inputs are not the same in all pairs of c. */
static int icl__varying_inputs(const icl_ctx *c)
{
  size_t d = (size_t)c->model->config.n_dims, n = (size_t)c->n_pairs, i, j;
  int varying = 0;
  for (j = 0; j < d; j++) {
    const float *x = c->inputs + j;
    for (i = 1; i < n && x[i * d] >= x[0] && x[i * d] <= x[0]; i++) {}
    varying += i < n;
  }
  return varying;
}

/* 1 if the model finds m, an image of c, no odder than is usual, or no odder than c itself. */
static int icl__familiar(const icl_ctx *m, const icl_ctx *c)
{
  float s, own;
  return !icl_surprise(m, &s) && !icl_surprise(c, &own) && (s <= 1.0f || s <= own);
}

icl_error icl_mirror_images(icl_ctx *const *cs, int *k)
{
  int n = 1, image, i;
  icl_error err;
  if (!cs || !cs[0] || !cs[0]->model || !k) return ICL_ERR_ARG;
  if (icl__varying_inputs(cs[0]) < 2) {
    for (i = 1; i < 4; i++) if ((err = icl__can_mirror(cs[i], cs[0]))) return err;
    if (cs[1] == cs[2] || cs[1] == cs[3] || cs[2] == cs[3]) return ICL_ERR_ARG;
    for (image = 1; image < 4; image++)
      n += !icl_mirror(cs[n], cs[0], image) && icl__familiar(cs[n], cs[0]);
  }
  *k = n;
  return ICL_OK;
}

/* The mean of k contexts' answers to n <= ICL__CHUNK queries. */
static icl_error icl__mean_answer(int k, icl_ctx *const *cs, icl_ctx *const *rs, int n,
                                  const float *xs, float level, float *ys, float *lo, float *hi)
{
  float one[3][ICL__CHUNK], sum[3][ICL__CHUNK] = {{0.0f}}, share = 1.0f / (float)k;
  size_t size = (size_t)n * sizeof(float);
  int i, j;
  icl_error err;
  for (i = 0; i < k; i++) {
    err = icl__look(cs[i], rs ? rs[i] : NULL, n, xs, level, one[0], lo ? one[1] : NULL,
                    lo ? one[2] : NULL);
    if (err) return err;
    for (j = 0; j < n; j++) {
      sum[0][j] += one[0][j] * share;
      if (lo) sum[1][j] += one[1][j] * share;
      if (lo) sum[2][j] += one[2][j] * share;
    }
  }
  if ((err = icl__check_answers(n, sum[0], lo ? sum[1] : NULL, sum[2]))) return err;
  memcpy(ys, sum[0], size);
  if (lo) memcpy(lo, sum[1], size);
  if (lo) memcpy(hi, sum[2], size);
  return ICL_OK;
}

icl_error icl_predict_mean(int k, icl_ctx *const *cs, icl_ctx *const *rs, int n, const float *xs,
                           float level, float *ys, float *lo, float *hi)
{
  int at, step, i;
  icl_error err = ICL_OK;
  if (k < 1 || !cs || n < 0 || !lo != !hi || (n && (!xs || !ys))) return ICL_ERR_ARG;
  for (i = 0; i < k; i++)
    if (!cs[i] || !cs[i]->model || cs[i]->model != cs[0]->model
        || (rs && rs[i] && rs[i]->model != cs[0]->model)) return ICL_ERR_ARG;
  for (at = 0; at < n && !err; at += step) {
    step = n - at < ICL__CHUNK ? n - at : ICL__CHUNK;
    err = icl__mean_answer(k, cs, rs, step, xs + (size_t)at * (size_t)cs[0]->model->config.n_dims,
                           level, ys + at, lo ? lo + at : NULL, hi ? hi + at : NULL);
  }
  return err;
}

/* ----- leave one out -------------------------------------------------------------------------- */

/* Moves kept pair `from` to number `to`; those between move up or down by one. */
static void icl__move_pair(icl_ctx *c, size_t from, size_t to)
{
  size_t d = (size_t)c->model->config.n_dims, j;
  while (from != to) {
    size_t next = from < to ? from + 1 : from - 1;
    float y = c->outputs[from];
    c->outputs[from] = c->outputs[next];
    c->outputs[next] = y;
    for (j = 0; j < d; j++) {
      float x = c->inputs[from * d + j];
      c->inputs[from * d + j] = c->inputs[next * d + j];
      c->inputs[next * d + j] = x;
    }
    from = next;
  }
}

/* Predicts pair i of n from the others.  The context holds the i pairs before it, and at the end
 * pair i too. */
static icl_error icl__leave_out(icl_ctx *c, int i, int n, double *squares)
{
  size_t d = (size_t)c->model->config.n_dims, last = (size_t)n - 1;
  float y = 0;
  double e;
  icl_error err;
  icl__move_pair(c, (size_t)i, last);
  err = icl__add_kept(c, n - 1);
  if (!err) err = icl_predict(c, c->inputs + last * d, &y);
  e = (double)c->outputs[last] - (double)y;
  *squares += e * e;
  icl__move_pair(c, last, (size_t)i);
  c->n_pairs = i;
  return err ? err : icl__add_kept(c, i + 1);
}

icl_error icl_check(icl_ctx *c, float *rmse)
{
  double squares = 0;
  float root;
  icl_error err = ICL_OK;
  int i, n;
  if (!c || !c->model || !rmse) return ICL_ERR_ARG;
  if ((n = c->n_pairs) < 2) return ICL_ERR_STATE;
  c->n_pairs = 0;
  for (i = 0; i < n && !err; i++) err = icl__leave_out(c, i, n, &squares);
  root = (float)sqrt(squares / n);
  if (!err && !icl__finite(&root, 1)) err = ICL_ERR_NONFINITE;
  if (err) c->n_pairs = 0;
  else *rmse = root;
  return err;
}

/* ---------------------------------------------------------------------------------------------
 * >>surprise
 * How large the residuals of all but the first third of n pairs are beside the outputs of all n:
 *     mean log(residual^2 + 1e-4) - log(mean y^2 + 0.1)
 * in the model's units, mapped so that 0 is its median and 1 its 99th percentile over contexts of
 * that length from the pretraining mixture, drawn and sorted, at their own scale.  icl.typical has
 * these two for n = 1, 2, ..., in thousandths.  The first pairs are a surprise to anyone; large
 * functions leave large residuals in training as well; the logarithm keeps one bad residual from
 * deciding alone, the constants exact answers and functions near 0.
 * ------------------------------------------------------------------------------------------- */

/* (x / unit)^2, clamped so that 2^22 of them have a finite sum. */
static float icl__square(float x, float unit)
{
  x = fabsf(x / unit);
  return x < 1e15f ? x * x : 1e30f;
}

/* The figure before it is mapped, of ys[n] and residuals[n] in the caller's units. */
static float icl__surprise_log(const float *ys, const float *residuals, size_t n, float y_mean,
                               float y_std)
{
  const size_t skip = n / 3;
  float late = 0, all = 0;
  size_t i;
  for (i = 0; i < n; i++) all += icl__square(ys[i] - y_mean, y_std);
  for (i = skip; i < n; i++) late += icl__log(icl__square(residuals[i], y_std) + 1e-4f);
  return late / (float)(n - skip) - icl__log(all / (float)n + 0.1f);
}

const float *icl_residuals(const icl_ctx *c) { return c ? c->residuals : NULL; }

icl_error icl_surprise(const icl_ctx *c, float *s)
{
  const float *typical;
  float figure;
  int n;
  if (!c || !c->model || !s) return ICL_ERR_ARG;
  if (!c->n_pairs) return ICL_ERR_STATE;
  if (!(n = c->model->n_typical)) return ICL_ERR_CONFIG;
  typical = c->model->typical + 2 * ((c->n_pairs < n ? c->n_pairs : n) - 1);
  figure = icl__surprise_log(c->outputs, c->residuals, (size_t)c->n_pairs, c->y_scale[0],
                             c->y_scale[1]);
  *s = (figure - typical[0]) / (typical[1] - typical[0]);
  return ICL_OK;
}

/* ---------------------------------------------------------------------------------------------
 * >>snapshot
 * "ICLCTX04", pairs (4 bytes), d (4), then F32: x_mean[d] x_std[d] y_mean y_std inputs[pairs][d]
 * outputs[pairs]; at the end the digest of all that (8).  Everything little-endian.
 * ------------------------------------------------------------------------------------------- */
enum { ICL__SNAPSHOT_HEAD = 16 };
static const char icl__snapshot_magic[] = "ICLCTX04";

static size_t icl__snapshot_floats(const icl_ctx *c, size_t pairs)
{
  size_t d = (size_t)c->model->config.n_dims;
  return 2 * d + 2 + (d + 1) * pairs;
}

/* Writes x[n]; returns the byte after it. */
static unsigned char *icl__save_floats(unsigned char *p, const float *x, size_t n)
{
  uint32_t u;
  for (; n; n--, p += 4) { memcpy(&u, x++, 4); icl__put_le(p, u, 4); }
  return p;
}

/* Reads x[n]; returns the byte after it. */
static const unsigned char *icl__load_floats(float *x, const unsigned char *p, size_t n)
{
  for (; n; n--, p += 4) *x++ = icl__decode(p, ICL__F32);
  return p;
}

size_t icl_ctx_save_bytes(const icl_ctx *c)
{
  if (!c || !c->model) return 0;
  return ICL__SNAPSHOT_HEAD + 4 * icl__snapshot_floats(c, (size_t)c->n_pairs) + 8;
}

icl_error icl_ctx_save(const icl_ctx *c, void *buf, size_t size)
{
  unsigned char *p = (unsigned char *)buf;
  size_t bytes = icl_ctx_save_bytes(c), d, pairs;
  if (!bytes || !buf) return ICL_ERR_ARG;
  if (size < bytes) return ICL_ERR_MEMORY;
  d = (size_t)c->model->config.n_dims;
  pairs = (size_t)c->n_pairs;
  memcpy(p, icl__snapshot_magic, 8);
  icl__put_le(p + 8, pairs, 4);
  icl__put_le(p + 12, d, 4);
  p = icl__save_floats(p + ICL__SNAPSHOT_HEAD, c->x_mean, d);
  p = icl__save_floats(p, c->x_std, d);
  p = icl__save_floats(p, c->y_scale, 2);
  p = icl__save_floats(p, c->inputs, pairs * d);
  p = icl__save_floats(p, c->outputs, pairs);
  icl__put_le(p, icl__digest(0, buf, bytes - 8), 8);
  return ICL_OK;
}

/* Everything that can be wrong with the bytes of a snapshot for c. */
static icl_error icl__check_snapshot(const icl_ctx *c, const unsigned char *p, size_t size,
                                     icl_report *r)
{
  size_t d = (size_t)c->model->config.n_dims, pairs, n, i;
  float v;
  if (size < ICL__SNAPSHOT_HEAD + 8 || memcmp(p, icl__snapshot_magic, 6))
    return icl__fail(r, ICL_ERR_FORMAT, 0, "not a saved context", NULL);
  if (memcmp(p, icl__snapshot_magic, 8))
    return icl__fail(r, ICL_ERR_FORMAT, 6, "a context saved by another version: save it anew",
                     NULL);
  if (icl__get32(p + 12) != d)
    return icl__fail(r, ICL_ERR_STATE, 12, "saved with another number of inputs", NULL);
  pairs = icl__get32(p + 8);
  if (pairs > (size_t)c->max_pairs)
    return icl__fail(r, ICL_ERR_FULL, 8, "more pairs than the context holds", NULL);
  n = icl__snapshot_floats(c, pairs);
  if (size != ICL__SNAPSHOT_HEAD + 4 * n + 8)
    return icl__fail(r, ICL_ERR_FORMAT, 8, "a saved context of another size", NULL);
#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
  if (icl__get64(p + size - 8) != icl__digest(0, p, size - 8))
    return icl__fail(r, ICL_ERR_DIGEST, size - 8, "a saved context was changed", NULL);
#endif
  for (p += ICL__SNAPSHOT_HEAD, i = 0; i < n; i++, p += 4) {
    size_t at = ICL__SNAPSHOT_HEAD + 4 * i;
    icl__load_floats(&v, p, 1);
    if (!icl__finite(&v, 1)) return icl__fail(r, ICL_ERR_NONFINITE, at, "NaN or infinity", NULL);
    if (((i >= d && i < 2 * d) || i == 2 * d + 1) && !(v > 0.0f))
      return icl__fail(r, ICL_ERR_FORMAT, at, "a standard deviation not above 0", NULL);
  }
  return ICL_OK;
}

icl_error icl_ctx_restore(icl_ctx *c, const void *buf, size_t size, icl_report *r)
{
  const unsigned char *p = (const unsigned char *)buf;
  size_t d, pairs;
  icl_error err;
  if (!c || !c->model || !buf)
    return icl__fail(r, ICL_ERR_ARG, 0, "NULL", c && c->model ? "buf" : "context");
  if ((err = icl__check_snapshot(c, p, size, r))) return err;
  d = (size_t)c->model->config.n_dims;
  pairs = icl__get32(p + 8);
  p = icl__load_floats(c->x_mean, p + ICL__SNAPSHOT_HEAD, d);
  p = icl__load_floats(c->x_std, p, d);
  p = icl__load_floats(c->y_scale, p, 2);
  p = icl__load_floats(c->inputs, p, pairs * d);
  icl__load_floats(c->outputs, p, pairs);
  if (!icl__add_again(c, (int)pairs)) return icl__ok(r);
  return icl__fail(r, ICL_ERR_NONFINITE, 0, "the saved pairs overflow in this model", NULL);
}

/* ---------------------------------------------------------------------------------------------
 * >>writer
 * ------------------------------------------------------------------------------------------- */

static void icl__write_pair(icl__text *t, const char *key, const char *value)
{
  if (value) icl__write(t, ",\"%\":\"%\"", key, value);
}

/* Writes "DIGITSe-EXPONENT"; 1 if it reads back as x. */
static int icl__try_epsilon(char *out, uint64_t digits, int e, float x)
{
  icl__string s = {NULL, 0, 0, 0};
  float back = 0;
  s.n = icl__put_uint(out, digits);
  memcpy(out + s.n, "e-", 2);
  s.n += 2;
  s.n += icl__put_uint(out + s.n, (uint64_t)e);
  out[s.n] = 0;
  s.s = out;
  icl__parse_float(s, &back);
  return back == x;
}

/* The shortest such text for x, 0 < x < 1.  Nine digits are enough for any float. */
static int icl__write_epsilon(char *out, float x)
{
  double limit = 1;
  int digits, e, off;
  for (digits = 1; ICL__ALWAYS(digits <= 9); digits++) {
    double v = (double)x;
    limit *= 10;
    for (e = 0; v < limit / 10; e++) v *= 10;
    for (off = 0; off < 3; off++)                       /* as rounded; one more; one less */
      if (icl__try_epsilon(out, (uint64_t)(v + 0.5) + (off == 1) - (off == 2), e, x)) return 1;
  }
  return 0;
}

/* The shortest "0.DIGITS" of up to nine that reads back as x, 0 < x < 1; "DIGITSe-EXPONENT" where
 * none does. */
static void icl__write_fraction(icl__text *t, float x)
{
  char out[32];
  icl__string s = {NULL, 0, 0, 0};
  float back = 0;
  double limit = 1;
  int digits, i;
  for (digits = 1; digits <= 9 && back != x; digits++) {
    uint64_t v;
    limit *= 10;
    v = (uint64_t)((double)x * limit + 0.5);
    memcpy(out, "0.", 2);
    for (i = digits; i > 0; i--, v /= 10) out[1 + i] = (char)('0' + v % 10);
    out[2 + digits] = 0;
    s.s = out;
    s.n = 2 + (size_t)digits;
    icl__parse_float(s, &back);
  }
  if (back != x) icl__write_epsilon(out, x);
  icl__put(t, out);
}

static void icl__write_quantiles(icl__text *t, const icl_config *cfg)
{
  int i;
  if (!cfg->n_quantiles) return;
  icl__put(t, ",\"icl.quantiles\":\"");
  for (i = 0; i < cfg->n_quantiles; i++) {
    if (i) icl__put(t, ",");
    icl__write_fraction(t, cfg->quantiles[i]);
  }
  icl__put(t, "\"");
}

/* A value that can stand between quotes: printable ASCII without quote and backslash; or NULL. */
static int icl__plain(const char *s)
{
  for (; s && *s; s++) if (*s < 32 || *s > 126 || *s == '"' || *s == '\\') return 0;
  return 1;
}

/* The texts of metadata. */
static void icl__texts_of(icl__string *texts, const icl_metadata *md)
{
  int i;
  memset(texts, 0, ICL__TEXTS * sizeof *texts);
  if (!md) return;
  texts[ICL__TASK].s = md->task;
  texts[ICL__TYPICAL].s = md->typical;
  texts[ICL__SAMPLING].s = md->sampling;
  texts[ICL__RECIPE].s = md->recipe;
  for (i = 0; i < ICL__TEXTS; i++) texts[i].n = texts[i].s ? strlen(texts[i].s) : 0;
}

/* 0 for metadata that the loader would refuse. */
static int icl__metadata_ok(const icl_metadata *md)
{
  icl__string texts[ICL__TEXTS];
  int n;
  if (!md) return 1;
  icl__texts_of(texts, md);
  return (unsigned)md->storage <= ICL_STORE_I8 && icl__plain(md->task) && icl__plain(md->sampling)
      && icl__plain(md->recipe)
      && (!md->typical || icl__parse_typical(texts[ICL__TYPICAL], NULL, &n));
}

static icl__dtype icl__stored_as(const icl_config *cfg, const icl_metadata *md, size_t slot)
{
  return md && icl__is_block_weight(cfg, slot) ? (icl__dtype)md->storage : ICL__F32;
}

/* Writes the tensor in a slot; *at is where its data begin, and then where they end. */
static void icl__write_entry(icl__text *t, const icl_config *cfg, size_t slot, icl__dtype type,
                             uint64_t *at)
{
  icl_tensor x;
  uint64_t begin = *at;
  icl__tensor_at_slot(cfg, slot, &x);
  *at += (uint64_t)icl__tensor_floats(&x) * icl__width(type);
  icl__write(t, ",\"%\":{\"dtype\":\"%\",\"shape\":[", x.name, icl__types[type].name);
  if (x.rank == 2) icl__write(t, "#,", (uint64_t)x.rows);
  icl__write(t, "#],\"data_offsets\":[#,#]}", (uint64_t)x.cols, begin, *at);
}

/* Length word and header, padded so that the data start at a multiple of 64.  Returns its size, and
 * in *data the bytes after it. */
static size_t icl__write_header(char *out, const icl_config *cfg, const icl_metadata *md,
                                uint64_t digest, uint64_t *data)
{
  icl__text t;
  char eps[32], hex[17];
  size_t pad;
  int i, ok;
  t.out = out ? out + 8 : NULL;
  t.n = 0;
  for (i = 0; i < 16; i++) hex[i] = "0123456789abcdef"[digest >> (60 - 4 * i) & 15];
  hex[16] = 0;
  ok = icl__write_epsilon(eps, cfg->layer_norm_epsilon);
  if (ICL__NEVER(!ok)) return 0;                         /* nine digits are enough */
  *data = 0;
  icl__write(&t, "{\"__metadata__\":{\"n_head\":\"#\",\"activation_function\":\"%\","
             "\"layer_norm_epsilon\":\"%\",\"position_embedding_type\":\"%\",\"n_positions\":\"#\"",
             (uint64_t)cfg->n_head, icl__activations[cfg->activation_function], eps,
             icl__position_types[cfg->position_embedding_type], (uint64_t)cfg->n_positions);
  if (cfg->tokens) icl__write_pair(&t, "icl.tokens", icl__token_types[cfg->tokens]);
  icl__write_quantiles(&t, cfg);
  icl__write_pair(&t, "icl.version", ICL_VERSION);
  icl__write_pair(&t, "icl.digest", hex);
  icl__write_pair(&t, "icl.task", md ? md->task : NULL);
  icl__write_pair(&t, "icl.sampling", md ? md->sampling : NULL);
  icl__write_pair(&t, "icl.recipe", md ? md->recipe : NULL);
  icl__write_pair(&t, "icl.typical", md ? md->typical : NULL);
  icl__put(&t, "}");
  for (i = 0; i < icl_tensor_count(cfg); i++) {
    size_t slot = icl__slot_of_row(cfg, i);
    icl__dtype type = icl__stored_as(cfg, md, slot);
    icl__write_entry(&t, cfg, slot, type, data);
    if (type == ICL__I8) icl__write_entry(&t, cfg, icl__scale_slot(slot), ICL__F32, data);
  }
  icl__put(&t, "}");
  for (pad = (64 - (8 + t.n) % 64) % 64; pad; pad--) icl__put(&t, " ");
  if (out) icl__put_le((unsigned char *)out, t.n, 8);
  return t.n > ICL__MAX_HEADER ? 0 : 8 + t.n;
}

size_t icl_write_bytes(const icl_config *cfg, const icl_metadata *md)
{
  uint64_t data;
  size_t header;
  if (icl_config_check(cfg, NULL) || !icl__metadata_ok(md)) return 0;
  header = icl__write_header(NULL, cfg, md, 0, &data);
  return header && ICL__ALWAYS(icl_param_count(cfg) && data < SIZE_MAX - header)
       ? header + (size_t)data : 0;                                     /* but in 32 bits */
}

/* Writes a weight as I8, and after it the scales of its columns; 0 where one is too large. */
static int icl__write_i8(unsigned char *out, const float *w, const icl_tensor *t)
{
  size_t n = (size_t)t->cols, j;
  unsigned char *scales = out + icl__tensor_floats(t);
  for (j = 0; j < n; j++) {
    float s = icl__to_i8((int8_t *)out + j, n, w + j, n, (size_t)t->rows);
    uint32_t u;
    if (!(s <= ICL__MAX_SCALE)) return 0;
    memcpy(&u, &s, 4);
    icl__put_le(scales + 4 * j, u, 4);
  }
  return 1;
}

/* Writes x[n] as F32, F16 or BF16; 0 where one does not fit. */
static int icl__write_numbers(unsigned char *out, const float *x, size_t n, icl__dtype type)
{
  size_t width = icl__width(type);
  for (; n; n--, x++, out += width) {
    uint32_t u;
    float stored;
    memcpy(&u, x, 4);
    if (type != ICL__F32) u = icl__to_half(*x, type);
    icl__put_le(out, u, width);
    stored = icl__decode(out, type);
    if (!icl__finite(&stored, 1)) return 0;
  }
  return 1;
}

/* The bytes of all tensors, in the order of the table; 0 where one does not fit its type. */
static int icl__write_data(unsigned char *out, const icl_config *cfg, const float *params,
                           const icl_metadata *md)
{
  int i, ok = 1;
  for (i = 0; i < icl_tensor_count(cfg) && ok; i++) {
    icl_tensor x;
    size_t slot = icl__slot_of_row(cfg, i), n;
    icl__dtype type = icl__stored_as(cfg, md, slot);
    icl__tensor_at_slot(cfg, slot, &x);
    n = icl__tensor_floats(&x);
    if (type == ICL__I8) ok = icl__write_i8(out, params, &x);
    else ok = icl__write_numbers(out, params, n, type);
    out += n * icl__width(type) + (type == ICL__I8 ? 4 * (size_t)x.cols : 0);
    params += n;
  }
  return ok;
}

icl_error icl_write(void *buf, size_t size, const icl_config *cfg, const float *params,
                    const icl_metadata *md)
{
  size_t bytes, header;
  unsigned char *out = (unsigned char *)buf;
  icl__string texts[ICL__TEXTS];
  uint64_t digest, data;
  if (!buf || !cfg || !params || !(bytes = icl_write_bytes(cfg, md))) return ICL_ERR_ARG;
  if (size < bytes) return ICL_ERR_MEMORY;
  if (!icl__finite(params, icl_param_count(cfg))) return ICL_ERR_NONFINITE;
  header = icl__write_header(NULL, cfg, md, 0, &data);
  if (!icl__write_data(out + header, cfg, params, md)) return ICL_ERR_NONFINITE;
  digest = icl__digest(icl__digest_config(cfg), out + header, (size_t)data);
  icl__texts_of(texts, md);
  digest = icl__digest_texts(digest, texts);
  icl__write_header((char *)buf, cfg, md, digest, &data);
  return ICL_OK;
}

/* ---------------------------------------------------------------------------------------------
 * >>sugar
 * ------------------------------------------------------------------------------------------- */
#ifndef ICL_NO_MALLOC
icl_error icl_ctx_new_with(icl_ctx **c, const icl_model *m, const icl_ctx_options *o, icl_report *r)
{
  size_t bytes = icl_ctx_bytes_with(m, o, r);
  unsigned char *block;
  if (!c) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", "context");
  if (!bytes) return ICL_ERR_ARG;
  block = ICL__NEVER(bytes > SIZE_MAX - sizeof(icl_ctx)) ? NULL         /* but in 32 bits */
        : (unsigned char *)ICL_MALLOC(sizeof(icl_ctx) + bytes);
  if (!block) return icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for the context", NULL);
  *c = (icl_ctx *)(void *)block;
  return icl_ctx_init_with(*c, m, o, block + sizeof(icl_ctx), bytes, r);
}

icl_error icl_ctx_new(icl_ctx **c, const icl_model *m, int max_pairs, int max_batch)
{
  icl_ctx_options o = icl__sizes(max_pairs, max_batch);
  return icl_ctx_new_with(c, m, &o, NULL);
}

void icl_ctx_delete(icl_ctx *c) { ICL_FREE(c); }

/* ----- threads --------------------------------------------------------------------------------
 * Each task of a run goes to a thread that is free; no result depends on which. */
#if defined ICL_TRAIN_THREADS && !defined ICL_THREADS
#define ICL_THREADS
#endif
#ifdef ICL_THREADS
#include <pthread.h>
#endif

typedef void icl__task_fn(void *arg, size_t i, int thread);

struct icl_threads {
  int threads;                               /* the caller's among them; its number is 0        */
  int flush;                                 /* tasks round subnormal numbers to zero           */
#ifdef ICL_THREADS
  pthread_mutex_t lock;
  pthread_cond_t start, done;
  icl__task_fn *fn;
  void *arg;
  size_t n, next;
  size_t pending;                            /* tasks that are not done                         */
  unsigned long round;                       /* counts runs                                     */
  int quit;
  int ids;                                   /* threads that have taken their number            */
  pthread_t handle[ICL_MAX_THREADS];
#endif
};
typedef struct icl_threads icl__pool;

static void icl__pool_task(const icl__pool *p, icl__task_fn *fn, void *arg, size_t i, int id)
{
  uint64_t before = p->flush ? icl__flush_begin() : 0;
  fn(arg, i, id);
  if (p->flush) icl__flush_end(before);
}

#ifdef ICL_THREADS
/* Waiting for a condition costs tens of microseconds, a product of a small model a few: so both
 * sides look that often before they sleep. */
enum { ICL__LOOKS = 2000 };

/* Runs tasks until none is left.  The lock is held on entry and on return. */
static void icl__pool_work(icl__pool *p, int id)
{
  while (p->next < p->n) {
    size_t i = p->next++;
    pthread_mutex_unlock(&p->lock);
    icl__pool_task(p, p->fn, p->arg, i, id);
    pthread_mutex_lock(&p->lock);
    ICL__SET(&p->pending, p->pending - 1);
    if (p->pending == 0 && id) pthread_cond_signal(&p->done);
  }
}

static void *icl__pool_thread(void *arg)
{
  icl__pool *p = (icl__pool *)arg;
  unsigned long seen = 0;
  int id;
  pthread_mutex_lock(&p->lock);
  id = ++p->ids;
  for (;;) {
    int looks = 0;
    pthread_mutex_unlock(&p->lock);
    while (looks < ICL__LOOKS && ICL__STILL(&p->round, seen)) looks++;
    pthread_mutex_lock(&p->lock);
    while (p->round == seen && !p->quit) pthread_cond_wait(&p->start, &p->lock);
    if (p->quit) break;
    seen = p->round;
    icl__pool_work(p, id);
  }
  pthread_mutex_unlock(&p->lock);
  return NULL;
}

/* Starts the threads; fewer where the system gives no more. */
static void icl__pool_start(icl__pool *p, int threads, int flush)
{
  memset(p, 0, sizeof *p);
  p->flush = flush;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->start, NULL);
  pthread_cond_init(&p->done, NULL);
  for (p->threads = 1; p->threads < threads; p->threads++)
    if (pthread_create(&p->handle[p->threads], NULL, icl__pool_thread, p)) break;
}

static void icl__pool_stop(icl__pool *p)
{
  int i;
  pthread_mutex_lock(&p->lock);
  p->quit = 1;
  pthread_cond_broadcast(&p->start);
  pthread_mutex_unlock(&p->lock);
  for (i = 1; i < p->threads; i++) pthread_join(p->handle[i], NULL);
  pthread_cond_destroy(&p->done);
  pthread_cond_destroy(&p->start);
  pthread_mutex_destroy(&p->lock);
}

static void icl__pool_run(icl__pool *p, size_t n, icl__task_fn *fn, void *arg)
{
  pthread_mutex_lock(&p->lock);
  p->fn = fn;
  p->arg = arg;
  p->n = n;
  ICL__SET(&p->pending, n);
  p->next = 0;
  if (p->threads > 1 && n > 1) {
    ICL__SET(&p->round, p->round + 1);
    pthread_cond_broadcast(&p->start);
  }
  icl__pool_work(p, 0);                      /* all of it, if nobody else wakes up in time */
  if (p->pending) {
    int looks = 0;
    pthread_mutex_unlock(&p->lock);
    while (looks < ICL__LOOKS && !ICL__STILL(&p->pending, 0)) looks++;
    pthread_mutex_lock(&p->lock);
  }
  while (p->pending) pthread_cond_wait(&p->done, &p->lock);
  pthread_mutex_unlock(&p->lock);
}
#else
static void icl__pool_start(icl__pool *p, int threads, int flush)
{
  (void)threads;
  p->threads = 1;
  p->flush = flush;
}
static void icl__pool_stop(icl__pool *p) { (void)p; }
static void icl__pool_run(icl__pool *p, size_t n, icl__task_fn *fn, void *arg)
{
  size_t i;
  for (i = 0; i < n; i++) icl__pool_task(p, fn, arg, i, 0);
}
#endif

icl_error icl_threads_new(icl_threads **t, int n)
{
  icl_threads *made;
  if (!t || n < 1 || n > ICL_MAX_THREADS) return ICL_ERR_ARG;
  made = (icl_threads *)ICL_MALLOC(sizeof *made);
  if (!made) return ICL_ERR_MEMORY;
  icl__pool_start(made, n, 0);
  *t = made;
  return ICL_OK;
}

void icl_threads_delete(icl_threads *t)
{
  if (t) icl__pool_stop(t);
  ICL_FREE(t);
}

typedef struct icl__any_task { void (*task)(void *arg, int i); void *arg; } icl__any_task;

static void icl__run_any(void *arg, size_t i, int thread)
{
  const icl__any_task *a = (const icl__any_task *)arg;
  (void)thread;
  a->task(a->arg, (int)i);
}

void icl_threads_run(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  icl__any_task a;
  int i;
  if (n < 1 || !task) return;
  a.task = task;
  a.arg = arg;
  if (user) icl__pool_run((icl_threads *)user, (size_t)n, icl__run_any, &a);
  else for (i = 0; i < n; i++) task(arg, i);
}

#ifndef ICL_NO_STDIO
#if defined __unix__ || defined __APPLE__
#include <sys/stat.h>
#endif
#if defined _WIN32 && !defined _UCRT
#define ICL__NEW_FILE "wb"                   /* msvcrt.dll knows no x */
#else
#define ICL__NEW_FILE "wbx"
#endif
#ifdef _MSC_VER
#pragma warning(push)
#pragma warning(disable : 4996)              /* fopen and strerror are what we mean */
#endif

/* Grows *buf to want bytes from the file, doubling, so that a header that lies about the size
 * costs less than twice the memory that the file has bytes. */
static icl_error icl__read_up_to(FILE *file, unsigned char **buf, size_t have, size_t want,
                                 icl_report *r)
{
  size_t room = have, got;
  while (have < want) {
    if (have == room) {
      unsigned char *more;
      room = room < 4096 ? icl__min(want, 4096) : room < want / 2 ? 2 * room : want;
      more = (unsigned char *)ICL_REALLOC(*buf, room);
      if (!more) return icl__fail(r, ICL_ERR_MEMORY, have, "no memory for the file", NULL);
      *buf = more;
    }
    got = fread(*buf + have, 1, room - have, file);
    if (!got && ferror(file))
      return icl__fail_io(r, have, "cannot read on", NULL, strerror(errno));
    if (!got) return icl__fail(r, ICL_ERR_FORMAT, have, "the file ends too early", NULL);
    have += got;
  }
  return ICL_OK;
}

/* The whole file: as much as its header promises, and then its end, which only files that can be
 * sought in have for sure: a pipe's may never come. */
static icl_error icl__read_file(FILE *file, unsigned char **buf, icl__file *f, icl_report *r)
{
  size_t size;
  int i;
  icl_error err;
  memset(f, 0, sizeof *f);
  if ((err = icl__read_up_to(file, buf, 0, 8, r))) return err;
  if ((err = icl__header_size(*buf, 8, &f->header_size, r))) return err;
  if ((err = icl__read_up_to(file, buf, 8, 8 + f->header_size, r))) return err;
  f->header = (const char *)*buf + 8;
  if ((err = icl__read_header(f, r))) return err;
  if (ICL__NEVER(f->data_size > SIZE_MAX - 8 - f->header_size))         /* but in 32 bits */
    return icl__fail(r, ICL_ERR_LIMIT, 0, "too large for this address space", NULL);
  size = 8 + f->header_size + (size_t)f->data_size;
  if ((err = icl__read_up_to(file, buf, 8 + f->header_size, size, r))) return err;
  if (!fseek(file, 0, SEEK_CUR) && getc(file) != EOF)
    return icl__fail(r, ICL_ERR_FORMAT, size, "bytes after the data", NULL);
  f->header = (const char *)*buf + 8;                    /* the block may have moved */
  for (i = 0; i < ICL__TEXTS; i++) f->texts[i].s = f->header + f->texts[i].at;
  return ICL_OK;
}

icl_error icl_load(icl_model **m, const char *path, icl_report *r)
{
  unsigned char *data = NULL, *block = NULL;
  icl__file f;
  size_t need = 0;
  icl_error err;
  FILE *file;
  if (!m || !path) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", m ? "path" : "m");
  file = ICL_FOPEN(path, "rb");
  if (!file) return icl__fail_io(r, 0, "cannot open", path, strerror(errno));
  err = icl__read_file(file, &data, &f, r);
  fclose(file);
  if (!err) err = icl__count_model(&f, &need, r);
  if (ICL__NEVER(!err && need > SIZE_MAX - sizeof(icl_model)))          /* but in 32 bits */
    err = icl__fail(r, ICL_ERR_MEMORY, 0, "no memory", NULL);
  if (!err && !(block = (unsigned char *)ICL_MALLOC(sizeof(icl_model) + need)))
    err = icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for the model", NULL);
  if (!err) err = icl__make_model((icl_model *)(void *)block, &f, block + sizeof(icl_model), r);
  if (err) {
    ICL_FREE(block);
    ICL_FREE(data);
    return err;
  }
  *m = (icl_model *)(void *)block;
  (*m)->owned = data;
  return ICL_OK;
}

void icl_unload(icl_model *m)
{
  if (!m) return;
  ICL_FREE(m->owned);
  ICL_FREE(m);
}

/* 1 where a file may come, or come instead of what is there: nothing, or a regular file. */
static int icl__may_replace(const char *path)
{
#if defined __unix__ || defined __APPLE__
  struct stat there;
  return stat(path, &there) || S_ISREG(there.st_mode);
#else
  (void)path;
  return 1;
#endif
}

/* Opens a new file "path.tmpNN"; name has room for it.  Mode x: a file or link that is there is
 * never opened. */
static FILE *icl__open_beside(char *name, const char *path)
{
  size_t n = strlen(path);
  int i;
  FILE *file = NULL;
  memcpy(name, path, n);
  memcpy(name + n, ".tmp00", 7);
  for (i = 0; i < 100 && !file; i++) {
    name[n + 4] = (char)('0' + i / 10);
    name[n + 5] = (char)('0' + i % 10);
    errno = 0;
    file = ICL_FOPEN(name, ICL__NEW_FILE);
    if (!file && errno != EEXIST) break;
  }
  return file;
}

/* Replaces path by data[size], by way of a file beside it; name has room for its name. */
static icl_error icl__replace(char *name, const char *path, const void *data, size_t size,
                              icl_report *r)
{
  FILE *file;
  int bad, why;
#ifdef _WIN32
  int gone;
#endif
  if (!icl__may_replace(path))
    return icl__fail_io(r, 0, "cannot write", path, "not a regular file");
  file = icl__open_beside(name, path);
  if (!file) return icl__fail_io(r, 0, "cannot create", name, strerror(errno));
  bad = fwrite(data, 1, size, file) != size;
  why = errno;
  if (fclose(file) && !bad) { bad = 1; why = errno; }
#ifdef _WIN32
  gone = !bad && !ICL_REMOVE(path);          /* rename replaces nothing there */
#endif
  if (!bad && ICL_RENAME(name, path)) { bad = 1; why = errno; }
  if (!bad) return icl__ok(r);
#ifdef _WIN32
  if (gone) return icl__fail_io(r, 0, "cannot rename the new file", name, strerror(why));
#endif
  (void)ICL_REMOVE(name);
  return icl__fail_io(r, 0, "cannot write", path, strerror(why));
}

icl_error icl_save(const char *path, const icl_config *cfg, const float *params,
                   const icl_metadata *md, icl_report *r)
{
  size_t bytes, room;
  unsigned char *buf;
  icl_error err;
  if (!path || !params) return icl__fail(r, ICL_ERR_ARG, 0, "NULL", path ? "params" : "path");
  if ((err = icl_config_check(cfg, r))) return err;
  if (!(bytes = icl_write_bytes(cfg, md)))
    return icl__fail(r, ICL_ERR_ARG, 0, "cannot be written:", "metadata");
  room = strlen(path) + 7;
  buf = ICL__NEVER(bytes > SIZE_MAX - room) ? NULL                      /* but in 32 bits */
      : (unsigned char *)ICL_MALLOC(bytes + room);
  if (!buf) return icl__fail(r, ICL_ERR_MEMORY, 0, "no memory for the file", NULL);
  if ((err = icl_write(buf, bytes, cfg, params, md)))
    icl__fail(r, err, 0, "a weight is not finite as it is stored", NULL);
  else
    err = icl__replace((char *)buf + bytes, path, buf, bytes, r);
  ICL_FREE(buf);
  return err;
}
#ifdef _MSC_VER
#pragma warning(pop)
#endif
#endif
#endif

#endif /* ICL_IMPLEMENTATION, but for the kernels */

/* ---------------------------------------------------------------------------------------------
 * >>kernels
 * The product and the loops around it: first in plain C, for processors without a vector unit,
 * then once over V(name), a vector of ICL__W floats.  >>dispatch includes this file again for each
 * instruction set, with ICL__PASS, the prefix that V gives to names, and ICL__W set;
 * then nothing but the vector kernels is compiled.
 *
 * THE SAME BITS.  Every element of a product is one chain of fused multiply-adds, in order of k,
 * from init + bias on.  Tiles, panels, threads and the number of rows decide who computes a chain,
 * never the chain itself.  Other sums (LayerNorm, softmax, dot) run over 16 lanes whatever the
 * width, element i in lane i % 16, and end in one tree (V(sum)).  A product of two numbers is added
 * to a third by V(fma) alone, so that compilers have nothing to fuse.  exp is made of the same
 * steps everywhere.  So AVX2, AVX-512, NEON and Helium give the same bits; plain C and SIMD128,
 * which round a b + c twice, differ from them in the last digits.
 *
 * THE PRODUCT.  Many rows: B is packed into panels of 2 vectors' width (256 steps of k: half of
 * the first cache), and a tile of 6 rows x 2 vectors stays in twelve registers over a block of 256
 * steps of k.  A step loads two vectors of B and six numbers of A for twelve multiply-adds, which
 * are what bounds the loop.  256 columns of panels and 96 rows of A make a block, which stays in
 * the second cache; `after` runs on a block before it leaves the cache.  Callers that reuse a B
 * pack it once (panels).  One or two rows use each row of B once, so B is streamed in memory order,
 * four rows at a time, and the next four are prefetched: memory bounds that loop.  A B of 16 or 8
 * bits becomes F32 as it is read, I8 times its scale, and gives the bits of that F32 B.
 * ------------------------------------------------------------------------------------------- */
#if defined ICL_IMPLEMENTATION && !defined ICL__PLAIN_KERNELS
#define ICL__PLAIN_KERNELS

/* ----- plain C ------------------------------------------------------------------------------- */

/* Applies `after` to columns j .. j+n of rows i .. i+m. */
static void icl__mm_after(const icl__mm *g, size_t i, size_t m, size_t j, size_t n)
{
  for (; g->after && m; m--, i++)
    g->after(g->out + i * g->after_row + j, g->in + i * g->after_row + j, n, g->act_kind);
}

/* gelu(x) = x Phi(x).  Its tanh form is computed as x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)),
 * which equals HF's gelu_new and avoids its cancellation. */
#define ICL__GELU_A 1.59576912f   /* 2 sqrt(2 / pi) */
#define ICL__GELU_B 0.044715f

static void icl__transpose_ref(float *out, size_t out_row, const float *x, size_t row, size_t m,
                               size_t n)
{
  size_t i, j;
  for (i = 0; i < m; i++, x += row)
    for (j = 0; j < n; j++) out[j * out_row + i] = x[j];
}

/* A processor with Helium has it always: plain C would be flash for nothing. */
#if !ICL__MVE
/* The value that element (i, j) starts from. */
static float icl__mm_start(const icl__mm *g, size_t i, size_t j)
{
  float start = g->init ? g->init[i * g->init_row + j] : 0.0f;
  return g->bias ? start + g->bias[j] : start;
}

/* Four columns of one row. */
static void icl__mm_ref4(const icl__mm *g, size_t i, size_t j)
{
  const float *a = g->a + i * g->a_row, *b = (const float *)g->b + j * g->b_col;
  float c0 = icl__mm_start(g, i, j), c1 = icl__mm_start(g, i, j + 1);
  float c2 = icl__mm_start(g, i, j + 2), c3 = icl__mm_start(g, i, j + 3);
  size_t p;
  for (p = 0; p < g->k; p++, a += g->a_col, b += g->b_row) {
    c0 += *a * b[0];
    c1 += *a * b[g->b_col];
    c2 += *a * b[2 * g->b_col];
    c3 += *a * b[3 * g->b_col];
  }
  g->c[i * g->c_row + j] = c0;
  g->c[i * g->c_row + j + 1] = c1;
  g->c[i * g->c_row + j + 2] = c2;
  g->c[i * g->c_row + j + 3] = c3;
}

/* Sixteen columns of one row where rows of B are contiguous.  The sums stay in registers: a weight
 * costs a load and a multiply-add. */
static void icl__mm_ref16(const icl__mm *g, size_t i, size_t j)
{
#define ICL__EACH_COLUMN(X)                                                                       \
  X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define ICL__COLUMN_ZERO(t) float c##t = 0.0f;
#define ICL__COLUMN_INIT(t) c##t = init[t];
#define ICL__COLUMN_BIAS(t) c##t += bias[t];
#define ICL__COLUMN_ADD(t) c##t += x * b[t];
#define ICL__COLUMN_STORE(t) c[t] = c##t;
  const float *a = g->a + i * g->a_row, *b = (const float *)g->b + j;
  const float *init = g->init ? g->init + i * g->init_row + j : NULL;
  const float *bias = g->bias ? g->bias + j : NULL;
  float *c = g->c + i * g->c_row + j;
  size_t a_col = g->a_col, b_row = g->b_row, left = g->k;
  ICL__EACH_COLUMN(ICL__COLUMN_ZERO)
  if (init) { ICL__EACH_COLUMN(ICL__COLUMN_INIT) }
  if (bias) { ICL__EACH_COLUMN(ICL__COLUMN_BIAS) }
  if (left) do {
    float x = *a;
    a += a_col;
    ICL__EACH_COLUMN(ICL__COLUMN_ADD)
    b += b_row;
  } while (--left);
  ICL__EACH_COLUMN(ICL__COLUMN_STORE)
}

static void icl__mm_ref1(const icl__mm *g, size_t i, size_t j)
{
  const float *a = g->a + i * g->a_row;
  float sum = icl__mm_start(g, i, j);
  size_t p;
  for (p = 0; p < g->k; p++) sum += a[p * g->a_col] * icl__mm_b(g, p, j);
  g->c[i * g->c_row + j] = sum;
}

static void icl__mm_ref(const icl__mm *g)
{
  size_t i, j;
  for (i = 0; i < g->m; i++) {
    const int floats = g->type == ICL__F32;
    for (j = 0; floats && g->b_col == 1 && j + 16 <= g->n; j += 16) icl__mm_ref16(g, i, j);
    for (; floats && j + 4 <= g->n; j += 4) icl__mm_ref4(g, i, j);
    for (; j < g->n; j++) icl__mm_ref1(g, i, j);
    icl__mm_after(g, i, 1, 0, g->n);
  }
}

/* out[t] = g (x[t] - mean) / sqrt(var + eps) + b for rows x[rows][n].  stats[rows][2] (or NULL)
 * keeps mean and 1 / sqrt(var + eps) for the backward pass.  A variance that overflows makes the
 * row NaN; zeros would look like an answer. */
static void icl__layernorm_ref(float *out, float *stats, const float *x, const float *gain,
                               const float *bias, size_t rows, size_t n, float eps)
{
  size_t t, i;
  for (t = 0; t < rows; t++, x += n, out += n) {
    float mean = 0, var = 0, rstd;
    for (i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    rstd = 1.0f / sqrtf(var / (float)n + eps);
    for (i = 0; i < n; i++) out[i] = gain[i] * ((x[i] - mean) * rstd) + bias[i];
    if (stats) { stats[2 * t] = mean; stats[2 * t + 1] = rstd; }
    if (icl__finite(&var, 1)) continue;
    icl__spoil(out, n);
    if (stats) icl__spoil(stats + 2 * t, 2);
  }
}

/* s[i] = exp(scale (s[i] - max)) / sum, in place.  If one score is not finite all weights become
 * NaN: a score that overflowed to -infinity must not pass as weight 0. */
static void icl__softmax_ref(float *s, size_t n, float scale)
{
  float max = s[0], sum = 0;
  size_t i;
  if (!icl__finite(s, n)) { icl__spoil(s, n); return; }
  for (i = 1; i < n; i++) if (s[i] > max) max = s[i];
  for (i = 0; i < n; i++) sum += s[i] = icl__exp(scale * (s[i] - max));
  for (sum = 1.0f / sum, i = 0; i < n; i++) s[i] *= sum;
}

/* max(0, v) on bits, but NaN for -infinity, which nothing but an overflow leaves. */
static float icl__relu(float v)
{
  uint32_t u;
  memcpy(&u, &v, 4);
  if (u >> 31) u = u < 0xff800000u ? 0 : u | 0x400000u;
  memcpy(&v, &u, 4);
  return v;
}

static void icl__activate_ref(float *out, float *x, size_t n, icl_activation kind)
{
  size_t i;
  for (i = 0; i < n; i++) {
    float v = x[i];
    if (kind == ICL_RELU) out[i] = icl__relu(v);
    else if (kind == ICL_GELU_ERF) out[i] = 0.5f * v * (1.0f + erff(v * 0.707106781f));
    else out[i] = v / (1.0f + icl__exp(v * (-ICL__GELU_A - ICL__GELU_A * ICL__GELU_B * (v * v))));
  }
}

/* y += a x */
static void icl__axpy_ref(float *y, float a, const float *x, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++) y[i] += a * x[i];
}

static float icl__dot_ref(const float *a, const float *b, size_t n)
{
  float sum = 0;
  size_t i;
  for (i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static void icl__dots_in_order_ref(float *out, size_t out_row, const float *a, const float *b,
                                   size_t row, size_t rows, size_t n)
{
  size_t i;
  for (i = 0; i < rows; i++) out[i * out_row] = icl__dot_ref(a + i * row, b + i * row, n);
}

static const icl__ops icl__ops_ref = {
  "c", 0, icl__mm_ref, NULL, icl__layernorm_ref, icl__softmax_ref, icl__activate_ref,
  icl__transpose_ref, icl__axpy_ref, icl__dot_ref, icl__dots_in_order_ref
};
#endif

#if ICL__SIMD
/* A tile: up to 6 rows of A against a panel of B, for cols columns of C. */
typedef struct icl__tile {
  size_t k, cols;
  const float *a; size_t a_row, a_col;
  const float *b; size_t b_row;             /* 2 vectors every b_row                            */
  const float *init; size_t init_row;
  const float *bias;
  float *c; size_t c_row;
} icl__tile;

/* A block of the product: rows i0 .. i0+m, columns j0 .. j0+n, steps p0 .. p0+k. */
typedef struct icl__block_of_mm { size_t i0, m, j0, n, p0, k; } icl__block_of_mm;
#endif
#endif

/* ----- vectors: the rest of the section is compiled once for each instruction set ------------ */
#if defined ICL__PASS && !defined ICL__DISPATCHED
#pragma push_macro("V")
#undef V
#define V(name) ICL__JOIN(ICL__PASS, name)
#define ICL__COLUMNS (2 * (size_t)ICL__W)    /* of a panel and a tile */

/* A unit offers one-line primitives over V(t), ICL__W floats.  load_n, store_n and first take n
 * from 0 to ICL__W: load_n fills up with zeros, first(a, b, n) takes n lanes of a and the rest of
 * b.  max and min return the second operand where one is NaN. */
#if ICL__X86 && ICL__W == 16
#define ICL__ALL ((__mmask16)0xffff)         /* maskz_ forms: g++ 12 warns about the others */
#define ICL__SOME(n) ((__mmask16)((1u << (n)) - 1))
typedef __m512 V(t);
ICL__INLINE V(t) V(load)(const float *p) { return _mm512_loadu_ps(p); }
ICL__INLINE V(t) V(load_n)(const float *p, size_t n)
{
  return _mm512_maskz_loadu_ps(ICL__SOME(n), p);
}
ICL__INLINE V(t) V(load_f16)(const uint16_t *p)
{
  return _mm512_maskz_cvtph_ps(ICL__ALL, _mm256_loadu_si256((const __m256i *)(const void *)p));
}
ICL__INLINE V(t) V(load_bf16)(const uint16_t *p)
{
  __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)p);
  __m512i u = _mm512_maskz_cvtepu16_epi32(ICL__ALL, h);
  return _mm512_castsi512_ps(_mm512_maskz_slli_epi32(ICL__ALL, u, 16));
}
ICL__INLINE V(t) V(load_i8)(const int8_t *p)
{
  __m128i q = _mm_loadu_si128((const __m128i *)(const void *)p);
  return _mm512_maskz_cvtepi32_ps(ICL__ALL, _mm512_maskz_cvtepi8_epi32(ICL__ALL, q));
}
ICL__INLINE void V(store)(float *p, V(t) a) { _mm512_storeu_ps(p, a); }
ICL__INLINE void V(store_n)(float *p, V(t) a, size_t n)
{
  _mm512_mask_storeu_ps(p, ICL__SOME(n), a);
}
ICL__INLINE V(t) V(first)(V(t) a, V(t) b, size_t n)
{
  return _mm512_mask_mov_ps(b, ICL__SOME(n), a);
}
ICL__INLINE V(t) V(set1)(float x) { return _mm512_set1_ps(x); }
ICL__INLINE V(t) V(add)(V(t) a, V(t) b) { return _mm512_add_ps(a, b); }
ICL__INLINE V(t) V(sub)(V(t) a, V(t) b) { return _mm512_sub_ps(a, b); }
ICL__INLINE V(t) V(mul)(V(t) a, V(t) b) { return _mm512_mul_ps(a, b); }
ICL__INLINE V(t) V(div)(V(t) a, V(t) b) { return _mm512_div_ps(a, b); }
ICL__INLINE V(t) V(sqrt)(V(t) a) { return _mm512_maskz_sqrt_ps(ICL__ALL, a); }
ICL__INLINE V(t) V(max)(V(t) a, V(t) b) { return _mm512_maskz_max_ps(ICL__ALL, a, b); }
ICL__INLINE V(t) V(min)(V(t) a, V(t) b) { return _mm512_maskz_min_ps(ICL__ALL, a, b); }
/* a b + c, rounded once */
ICL__INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return _mm512_fmadd_ps(a, b, c); }
/* to the nearest whole number, halves to even, for |a| < 2^31 */
ICL__INLINE V(t) V(round)(V(t) a)
{
  return _mm512_maskz_cvtepi32_ps(ICL__ALL, _mm512_maskz_cvtps_epi32(ICL__ALL, a));
}
/* p 2^n for whole n, where that is a normal number */
ICL__INLINE V(t) V(mul_exp2i)(V(t) p, V(t) n) { return _mm512_maskz_scalef_ps(ICL__ALL, p, n); }
/* 1 where a > b, else 0 */
ICL__INLINE V(t) V(gt)(V(t) a, V(t) b)
{
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), _mm512_set1_ps(1.0f));
}
/* 1 if a lane is -infinity */
ICL__INLINE int V(overflowed)(V(t) a)
{
  return _mm512_cmpeq_epi32_mask(_mm512_castps_si512(a), _mm512_set1_epi32(-0x800000)) != 0;
}
#define ICL__HALF(a, i) _mm512_maskz_extractf32x8_ps((__mmask8)255, a, i)
#elif ICL__X86
typedef __m256 V(t);
ICL__INLINE __m256i V(some)(size_t n)
{
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
ICL__INLINE V(t) V(load)(const float *p) { return _mm256_loadu_ps(p); }
ICL__INLINE V(t) V(load_n)(const float *p, size_t n) { return _mm256_maskload_ps(p, V(some)(n)); }
ICL__INLINE V(t) V(load_f16)(const uint16_t *p)
{
  return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
ICL__INLINE V(t) V(load_bf16)(const uint16_t *p)
{
  __m256i u = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(u, 16));
}
ICL__INLINE V(t) V(load_i8)(const int8_t *p)
{
  __m128i q = _mm_loadl_epi64((const __m128i *)(const void *)p);
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
}
ICL__INLINE void V(store)(float *p, V(t) a) { _mm256_storeu_ps(p, a); }
ICL__INLINE void V(store_n)(float *p, V(t) a, size_t n)      /* MSan does not know vmaskmov */
{
  __m128 v = _mm256_castps256_ps128(a);
  if (n & 8) { V(store)(p, a); return; }
  if (n & 4) { _mm_storeu_ps(p, v); p += 4; v = _mm256_extractf128_ps(a, 1); }
  if (n & 2) { _mm_storel_pi((__m64 *)(void *)p, v); p += 2; v = _mm_movehl_ps(v, v); }
  if (n & 1) _mm_store_ss(p, v);
}
ICL__INLINE V(t) V(first)(V(t) a, V(t) b, size_t n)
{
  return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(V(some)(n)));
}
ICL__INLINE V(t) V(set1)(float x) { return _mm256_set1_ps(x); }
ICL__INLINE V(t) V(add)(V(t) a, V(t) b) { return _mm256_add_ps(a, b); }
ICL__INLINE V(t) V(sub)(V(t) a, V(t) b) { return _mm256_sub_ps(a, b); }
ICL__INLINE V(t) V(mul)(V(t) a, V(t) b) { return _mm256_mul_ps(a, b); }
ICL__INLINE V(t) V(div)(V(t) a, V(t) b) { return _mm256_div_ps(a, b); }
ICL__INLINE V(t) V(sqrt)(V(t) a) { return _mm256_sqrt_ps(a); }
ICL__INLINE V(t) V(max)(V(t) a, V(t) b) { return _mm256_max_ps(a, b); }
ICL__INLINE V(t) V(min)(V(t) a, V(t) b) { return _mm256_min_ps(a, b); }
ICL__INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c) { return _mm256_fmadd_ps(a, b, c); }
ICL__INLINE V(t) V(round)(V(t) a) { return _mm256_round_ps(a, 8); }
ICL__INLINE V(t) V(mul_exp2i)(V(t) p, V(t) n)
{
  __m256i k = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(k, 23)));
}
ICL__INLINE V(t) V(gt)(V(t) a, V(t) b)
{
  return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ), _mm256_set1_ps(1.0f));
}
ICL__INLINE int V(overflowed)(V(t) a)
{
  __m256i low = _mm256_cmpeq_epi32(_mm256_castps_si256(a), _mm256_set1_epi32(-0x800000));
  return _mm256_movemask_ps(_mm256_castsi256_ps(low)) != 0;
}
#else
/* Units of four floats, icl__4, work in pairs. */
#if ICL__NEON
typedef float32x4_t icl__4;
#define icl__4_load vld1q_f32
#define icl__4_load_f16(p) icl__4_half(vld1_u16(p))
#define icl__4_load_bf16(p) vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16))
#define icl__4_store vst1q_f32
#define icl__4_set1 vdupq_n_f32
#define icl__4_add vaddq_f32
#define icl__4_sub vsubq_f32
#define icl__4_mul vmulq_f32
#define icl__4_max vmaxq_f32
#define icl__4_min vminq_f32
#define icl__4_fma(a, b, c) vfmaq_f32(c, a, b)
#define icl__4_lane vgetq_lane_f32
#if ICL__NEON32
/* 32-bit ARM divides and takes roots of single numbers only, has sixteen registers of four floats
 * (see V(tile_run)), and flushes subnormals to zero in vectors. */
ICL__INLINE icl__4 icl__4_half(uint16x4_t h)         /* gcc hides vcvt_f32_f16 without an option */
{
  icl__4 v;
  __asm__("vcvt.f32.f16 %q0, %P1" : "=w"(v) : "w"(h));
  return v;
}
#define icl__4_div(a, b) ((a) / (b))
ICL__INLINE icl__4 icl__4_sqrt(icl__4 a)
{
  int i;
  for (i = 0; i < 4; i++) a[i] = sqrtf(a[i]);
  return a;
}
ICL__INLINE icl__4 icl__4_round(icl__4 a)            /* |a| < 2^22: shift + a has no fractions   */
{
  icl__4 shift = vdupq_n_f32(12582912.0f), v = vaddq_f32(a, shift);
  __asm__("" : "+w"(v));                             /* where compilers may reassociate, too     */
  return vsubq_f32(v, shift);
}
/* 1 / a for a from 1 to 2^126, rounded as a division is: a guess that is off by 2^-8 at most, and
 * three steps y = y + y (1 - a y), each of which squares the error.  They end one place too low
 * where the fraction of a is all ones. */
ICL__INLINE icl__4 icl__4_recip(icl__4 a)
{
  icl__4 y = vrecpeq_f32(a), one = vdupq_n_f32(1.0f);
  uint32x4_t ones = vorrq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0xff800000u));
  y = vfmaq_f32(y, y, vfmsq_f32(one, a, y));
  y = vfmaq_f32(y, y, vfmsq_f32(one, a, y));
  y = vfmaq_f32(y, y, vfmsq_f32(one, a, y));
  ones = vceqq_u32(ones, vdupq_n_u32(0xffffffffu));
  return vreinterpretq_f32_u32(vsubq_u32(vreinterpretq_u32_f32(y), ones));
}
#define icl__4_to_int vcvtq_s32_f32
#else
#define icl__4_half(h) vcvt_f32_f16(vreinterpret_f16_u16(h))
#define icl__4_div vdivq_f32
#define icl__4_sqrt vsqrtq_f32
#define icl__4_round vrndnq_f32
#define icl__4_recip(a) vdivq_f32(vdupq_n_f32(1.0f), a)
#define icl__4_to_int vcvtnq_s32_f32
#endif
ICL__INLINE icl__4 icl__4_mul_exp2i(icl__4 p, icl__4 n)
{
  int32x4_t k = vshlq_n_s32(vaddq_s32(icl__4_to_int(n), vdupq_n_s32(127)), 23);
  return vmulq_f32(p, vreinterpretq_f32_s32(k));
}
ICL__INLINE icl__4 icl__4_gt(icl__4 a, icl__4 b)
{
  uint32x4_t one = vreinterpretq_u32_f32(vdupq_n_f32(1.0f));
  return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(a, b), one));
}
/* out[i stride + r] = p[r row + i], 4 x 4 */
ICL__INLINE void icl__4_transpose(float *out, size_t stride, const float *p, size_t row)
{
  float32x4x2_t a = vtrnq_f32(vld1q_f32(p), vld1q_f32(p + row));
  float32x4x2_t b = vtrnq_f32(vld1q_f32(p + 2 * row), vld1q_f32(p + 3 * row));
  vst1q_f32(out, vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0])));
  vst1q_f32(out + stride, vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1])));
  vst1q_f32(out + 2 * stride, vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0])));
  vst1q_f32(out + 3 * stride, vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1])));
}
#elif ICL__WASM
typedef v128_t icl__4;
#define icl__4_load wasm_v128_load
/* Four F16 in the low halves of h: 2^112 corrects the exponent, of subnormals too; infinity and NaN
 * get theirs by hand. */
ICL__INLINE icl__4 icl__4_half(icl__4 h)
{
  v128_t size = wasm_v128_and(h, wasm_i32x4_splat(0x7fff));
  v128_t sign = wasm_i32x4_shl(wasm_v128_xor(h, size), 16);
  v128_t top = wasm_i32x4_gt(size, wasm_i32x4_splat(0x7bff));
  v128_t v = wasm_f32x4_mul(wasm_i32x4_shl(size, 13), wasm_f32x4_splat(5.192296858534828e33f));
  v = wasm_v128_or(v, wasm_v128_and(top, wasm_i32x4_splat(0x7f800000)));
  return wasm_v128_or(v, sign);
}
#define icl__4_load_f16(p) icl__4_half(wasm_u32x4_load16x4(p))
#define icl__4_load_bf16(p) wasm_i32x4_shl(wasm_u32x4_load16x4(p), 16)
#define icl__4_store wasm_v128_store
#define icl__4_set1 wasm_f32x4_splat
#define icl__4_add wasm_f32x4_add
#define icl__4_sub wasm_f32x4_sub
#define icl__4_mul wasm_f32x4_mul
#define icl__4_div wasm_f32x4_div
#define icl__4_max(a, b) wasm_f32x4_pmax(b, a)       /* one instruction each on x86 */
#define icl__4_min(a, b) wasm_f32x4_pmin(b, a)
#define icl__4_fma(a, b, c) wasm_f32x4_add(wasm_f32x4_mul(a, b), c)     /* there is no fused form */
#define icl__4_lane wasm_f32x4_extract_lane
#define icl__4_sqrt wasm_f32x4_sqrt
#define icl__4_round wasm_f32x4_nearest
#define icl__4_recip(a) wasm_f32x4_div(wasm_f32x4_splat(1.0f), a)
ICL__INLINE icl__4 icl__4_mul_exp2i(icl__4 p, icl__4 n)
{
  v128_t k = wasm_i32x4_add(wasm_i32x4_trunc_sat_f32x4(n), wasm_i32x4_splat(127));
  return wasm_f32x4_mul(p, wasm_i32x4_shl(k, 23));
}
#define icl__4_gt(a, b) wasm_v128_and(wasm_f32x4_gt(a, b), wasm_f32x4_splat(1.0f))
ICL__INLINE void icl__4_transpose(float *out, size_t stride, const float *p, size_t row)
{
  v128_t r0 = wasm_v128_load(p), r1 = wasm_v128_load(p + row);
  v128_t r2 = wasm_v128_load(p + 2 * row), r3 = wasm_v128_load(p + 3 * row);
  v128_t a0 = wasm_i32x4_shuffle(r0, r1, 0, 4, 1, 5), a1 = wasm_i32x4_shuffle(r0, r1, 2, 6, 3, 7);
  v128_t b0 = wasm_i32x4_shuffle(r2, r3, 0, 4, 1, 5), b1 = wasm_i32x4_shuffle(r2, r3, 2, 6, 3, 7);
  wasm_v128_store(out, wasm_i32x4_shuffle(a0, b0, 0, 1, 4, 5));
  wasm_v128_store(out + stride, wasm_i32x4_shuffle(a0, b0, 2, 3, 6, 7));
  wasm_v128_store(out + 2 * stride, wasm_i32x4_shuffle(a1, b1, 0, 1, 4, 5));
  wasm_v128_store(out + 3 * stride, wasm_i32x4_shuffle(a1, b1, 2, 3, 6, 7));
}
#else
/* Helium: eight registers of four floats, so kernels for it keep at most six sums.  It flushes
 * subnormals to zero. */
typedef float32x4_t icl__4;
#define icl__4_load vldrwq_f32
/* vldrh zero-extends each F16 to 32 bits; vcvtb converts the low halves.  GNU as 2.40 encodes vcvtb
 * wrongly for registers other than q0. */
ICL__INLINE icl__4 icl__4_load_f16(const uint16_t *p)
{
  uint32x4_t h = vldrhq_u32(p);
#ifdef __clang__
  return vcvtbq_f32_f16(vreinterpretq_f16_u32(h));
#else
  __asm__("vmov q0, %q0\n\tvcvtb.f32.f16 q0, q0\n\tvmov %q0, q0" : "+w"(h) : : "q0");
  return vreinterpretq_f32_u32(h);
#endif
}
#define icl__4_load_bf16(p) vreinterpretq_f32_u32(vshlq_n_u32(vldrhq_u32(p), 16))
#define icl__4_store vstrwq_f32
#define icl__4_set1 vdupq_n_f32
#define icl__4_add vaddq_f32
#define icl__4_sub vsubq_f32
#define icl__4_mul vmulq_f32
#define icl__4_div(a, b) ((a) / (b))
#define icl__4_min vminnmq_f32                       /* drops NaN */
#define icl__4_fma(a, b, c) vfmaq_f32(c, a, b)
#define icl__4_lane(a, i) ((a)[i])
#define icl__4_abs vabsq_f32
#define icl__4_round vrndnq_f32
/* a > b ? a : b; vmaxnm would drop NaN, and gcc would move the masks of two comparisons to general
 * registers and back. */
ICL__INLINE icl__4 icl__4_max(icl__4 a, icl__4 b)
{
#ifdef __clang__
  return vpselq_f32(a, b, vcmpgtq_f32(a, b));
#else
  __asm__("vpt.f32 gt, %q1, %q0\n\tvmovt %q0, %q1" : "+w"(b) : "w"(a) : "p0");
  return b;
#endif
}
ICL__INLINE icl__4 icl__4_sqrt(icl__4 a)
{
  int i;
  for (i = 0; i < 4; i++) a[i] = sqrtf(a[i]);
  return a;
}
/* low .. high for low < 0 < high.  NaN stays: vcmp calls it less (in QEMU), but not greater, so a
 * lane is below low if its bits are above low's as a whole number; NaNs that vectors make are
 * positive. */
ICL__INLINE icl__4 icl__4_clamp(icl__4 x, float low, float high)
{
#ifdef __clang__
  uint32_t bits;
  memcpy(&bits, &low, 4);
  x = vdupq_m_n_f32(x, high, vcmpgtq_n_f32(x, high));
  x = vdupq_m_n_f32(x, low, vcmphiq_n_u32(vreinterpretq_u32_f32(x), bits));
#else
  __asm__("vpt.f32 gt, %q0, %1\n\tvdupt.32 %q0, %1\n\tvpt.u32 hi, %q0, %2\n\tvdupt.32 %q0, %2"
          : "+w"(x) : "r"(high), "r"(low) : "p0");
#endif
  return x;
}
/* 1 / a for a from 1 to 2e38, rounded as a division is: a guess y from the exponent, off by an
 * eighth at most, y (1 + e)(1 + e^2)(1 + e^4) with e = 1 - a y, and a last step y + y (1 - a y). */
ICL__INLINE icl__4 icl__4_recip(icl__4 a)
{
  uint32x4_t guess = vqsubq_u32(vdupq_n_u32(0x7ef311c3u), vreinterpretq_u32_f32(a));
  icl__4 y = vreinterpretq_f32_u32(guess), e = vfmasq_n_f32(vnegq_f32(a), y, 1.0f);
  y = vfmaq_f32(y, y, e);
  e = vmulq_f32(e, e);
  y = vfmaq_f32(y, y, e);
  y = vfmaq_f32(y, y, vmulq_f32(e, e));
  return vfmaq_f32(y, y, vfmasq_n_f32(vnegq_f32(a), y, 1.0f));
}
/* n is added to the exponent */
ICL__INLINE icl__4 icl__4_mul_exp2i(icl__4 p, icl__4 n)
{
  int32x4_t shifted = vshlq_n_s32(vcvtnq_s32_f32(n), 23);
  return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), shifted));
}
#define icl__4_gt(a, b) vpselq_f32(vdupq_n_f32(1.0f), vdupq_n_f32(0.0f), vcmpgtq_f32(a, b))
#endif

typedef struct V(t) { icl__4 lo, hi; } V(t);
ICL__INLINE V(t) V(pair)(icl__4 lo, icl__4 hi)
{
  V(t) r;
  r.lo = lo;
  r.hi = hi;
  return r;
}
#define ICL__LOADS(f, number) ICL__INLINE V(t) V(f)(const number *p)                              \
  { return V(pair)(icl__4_##f(p), icl__4_##f(p + 4)); }
#define ICL__PAIR1(f) ICL__INLINE V(t) V(f)(V(t) a)                                               \
  { return V(pair)(icl__4_##f(a.lo), icl__4_##f(a.hi)); }
#define ICL__PAIR2(f) ICL__INLINE V(t) V(f)(V(t) a, V(t) b)                                       \
  { return V(pair)(icl__4_##f(a.lo, b.lo), icl__4_##f(a.hi, b.hi)); }
ICL__LOADS(load, float) ICL__LOADS(load_f16, uint16_t) ICL__LOADS(load_bf16, uint16_t)
ICL__PAIR1(sqrt) ICL__PAIR1(round) ICL__PAIR1(recip)
ICL__PAIR2(add) ICL__PAIR2(sub) ICL__PAIR2(mul) ICL__PAIR2(div) ICL__PAIR2(max) ICL__PAIR2(min)
ICL__PAIR2(mul_exp2i) ICL__PAIR2(gt)
ICL__INLINE V(t) V(fma)(V(t) a, V(t) b, V(t) c)
{
  return V(pair)(icl__4_fma(a.lo, b.lo, c.lo), icl__4_fma(a.hi, b.hi, c.hi));
}
ICL__INLINE V(t) V(set1)(float x) { return V(pair)(icl__4_set1(x), icl__4_set1(x)); }
ICL__INLINE void V(store)(float *p, V(t) a) { icl__4_store(p, a.lo); icl__4_store(p + 4, a.hi); }
ICL__INLINE float V(sum)(V(t) a, V(t) b)
{
  icl__4 t = icl__4_add(icl__4_add(a.lo, b.lo), icl__4_add(a.hi, b.hi));
  return (icl__4_lane(t, 0) + icl__4_lane(t, 2)) + (icl__4_lane(t, 1) + icl__4_lane(t, 3));
}
#if !ICL__MVE
ICL__INLINE V(t) V(load_n)(const float *p, size_t n)
{
  float tmp[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  memcpy(tmp, p, n * sizeof(float));
  return V(load)(tmp);
}
ICL__INLINE void V(store_n)(float *p, V(t) a, size_t n)
{
  float tmp[8];
  V(store)(tmp, a);
  memcpy(p, tmp, n * sizeof(float));
}
ICL__INLINE V(t) V(first)(V(t) a, V(t) b, size_t n)
{
  float tmp[8];
  V(store)(tmp, b);
  V(store_n)(tmp, a, n);
  return V(load)(tmp);
}
ICL__INLINE float V(hmax)(V(t) a)
{
  float t[8], top;
  int i;
  V(store)(t, a);
  for (top = t[0], i = 1; i < 8; i++) if (t[i] > top) top = t[i];
  return top;
}
ICL__INLINE int V(overflowed)(V(t) a)
{
  float t[8];
  V(store)(t, a);
  return icl__overflowed(t, 8);
}
ICL__INLINE void V(transpose)(float *out, size_t stride, const float *p, size_t row)
{
  icl__4_transpose(out, stride, p, row);
  icl__4_transpose(out + 4, stride, p + 4 * row, row);
  icl__4_transpose(out + 4 * stride, stride, p + 4, row);
  icl__4_transpose(out + 4 * stride + 4, stride, p + 4 * row + 4, row);
}
#endif
#if ICL__NEON
ICL__INLINE V(t) V(load_i8)(const int8_t *p)
{
  int16x8_t q = vmovl_s8(vld1_s8(p));
  return V(pair)(vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))),
                 vcvtq_f32_s32(vmovl_s16(vget_high_s16(q))));
}
#elif ICL__WASM
ICL__INLINE V(t) V(load_i8)(const int8_t *p)
{
  v128_t h = wasm_i16x8_load8x8(p);
  return V(pair)(wasm_f32x4_convert_i32x4(wasm_i32x4_extend_low_i16x8(h)),
                 wasm_f32x4_convert_i32x4(wasm_i32x4_extend_high_i16x8(h)));
}
#else
ICL__INLINE V(t) V(load_i8)(const int8_t *p)
{
  return V(pair)(vcvtq_f32_s32(vldrbq_s32(p)), vcvtq_f32_s32(vldrbq_s32(p + 4)));
}
ICL__INLINE V(t) V(load_n)(const float *p, size_t n)
{
  return V(pair)(vldrwq_z_f32(p, vctp32q((uint32_t)n)),
                 vldrwq_z_f32(p + 4, vctp32q(n > 4 ? (uint32_t)n - 4 : 0)));
}
ICL__INLINE void V(store_n)(float *p, V(t) a, size_t n)
{
  vstrwq_p_f32(p, a.lo, vctp32q((uint32_t)n));
  vstrwq_p_f32(p + 4, a.hi, vctp32q(n > 4 ? (uint32_t)n - 4 : 0));
}
ICL__INLINE V(t) V(first)(V(t) a, V(t) b, size_t n)
{
  return V(pair)(vpselq_f32(a.lo, b.lo, vctp32q((uint32_t)n)),
                 vpselq_f32(a.hi, b.hi, vctp32q(n > 4 ? (uint32_t)n - 4 : 0)));
}
ICL__INLINE float V(hmax)(V(t) a) { return vmaxnmvq_f32(vmaxnmvq_f32(-INFINITY, a.lo), a.hi); }
ICL__INLINE int V(overflowed)(V(t) a)
{
  float low = vminnmvq_f32(vminnmvq_f32(0.0f, a.lo), a.hi);
  return icl__overflowed(&low, 1);
}
ICL__PAIR1(abs)
/* Operands that are single numbers stay in general registers. */
ICL__INLINE V(t) V(fma1)(float a, V(t) b, V(t) c)
{
  return V(pair)(vfmaq_n_f32(c.lo, b.lo, a), vfmaq_n_f32(c.hi, b.hi, a));
}
ICL__INLINE V(t) V(mul_plus)(V(t) a, V(t) b, float c)
{
  return V(pair)(vfmasq_n_f32(a.lo, b.lo, c), vfmasq_n_f32(a.hi, b.hi, c));
}
ICL__INLINE V(t) V(mul1)(V(t) a, float b)
{
  return V(pair)(vmulq_n_f32(a.lo, b), vmulq_n_f32(a.hi, b));
}
ICL__INLINE V(t) V(add1)(V(t) a, float b)
{
  return V(pair)(vaddq_n_f32(a.lo, b), vaddq_n_f32(a.hi, b));
}
ICL__INLINE V(t) V(mul1_plus)(V(t) a, float b, float c) { return V(fma1)(b, a, V(set1)(c)); }
ICL__INLINE V(t) V(clamp)(V(t) a, float low, float high)
{
  return V(pair)(icl__4_clamp(a.lo, low, high), icl__4_clamp(a.hi, low, high));
}
ICL__INLINE void V(transpose)(float *out, size_t stride, const float *p, size_t row)
{
  uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)stride);
  int r;
  for (r = 0; r < 8; r++, out++, p += row) {
    vstrwq_scatter_shifted_offset_f32(out, at, vldrwq_f32(p));
    vstrwq_scatter_shifted_offset_f32(out + 4 * stride, at, vldrwq_f32(p + 4));
  }
}
#endif
#endif

#if ICL__X86
/* The lanes added up, as a tree of halves; b holds lanes 8 to 15 where a vector has 8. */
ICL__INLINE float V(sum)(V(t) a, V(t) b)
{
#if ICL__W == 16
  __m256 u = _mm256_add_ps(ICL__HALF(a, 0), ICL__HALF(a, 1));
#else
  __m256 u = _mm256_add_ps(a, b);
#endif
  __m128 w = _mm_add_ps(_mm256_castps256_ps128(u), _mm256_extractf128_ps(u, 1));
  w = _mm_add_ps(w, _mm_movehl_ps(w, w));
  (void)b;
  return _mm_cvtss_f32(_mm_add_ss(w, _mm_shuffle_ps(w, w, 1)));
}
/* The largest lane. */
ICL__INLINE float V(hmax)(V(t) a)
{
#if ICL__W == 16
  __m256 u = _mm256_max_ps(ICL__HALF(a, 0), ICL__HALF(a, 1));
#else
  __m256 u = a;
#endif
  __m128 w = _mm_max_ps(_mm256_castps256_ps128(u), _mm256_extractf128_ps(u, 1));
  w = _mm_max_ps(w, _mm_movehl_ps(w, w));
  return _mm_cvtss_f32(_mm_max_ss(w, _mm_shuffle_ps(w, w, 1)));
}
/* Eight rows of eight floats become columns: out[i stride + r] = p[r row + i]. */
ICL__INLINE void V(transpose)(float *out, size_t stride, const float *p, size_t row)
{
  __m256 a0 = _mm256_loadu_ps(p), a1 = _mm256_loadu_ps(p + row);
  __m256 a2 = _mm256_loadu_ps(p + 2 * row), a3 = _mm256_loadu_ps(p + 3 * row);
  __m256 a4 = _mm256_loadu_ps(p + 4 * row), a5 = _mm256_loadu_ps(p + 5 * row);
  __m256 a6 = _mm256_loadu_ps(p + 6 * row), a7 = _mm256_loadu_ps(p + 7 * row);
  __m256 b0 = _mm256_unpacklo_ps(a0, a1), b1 = _mm256_unpackhi_ps(a0, a1);
  __m256 b2 = _mm256_unpacklo_ps(a2, a3), b3 = _mm256_unpackhi_ps(a2, a3);
  __m256 b4 = _mm256_unpacklo_ps(a4, a5), b5 = _mm256_unpackhi_ps(a4, a5);
  __m256 b6 = _mm256_unpacklo_ps(a6, a7), b7 = _mm256_unpackhi_ps(a6, a7);
  a0 = _mm256_shuffle_ps(b0, b2, 0x44);
  a1 = _mm256_shuffle_ps(b0, b2, 0xee);
  a2 = _mm256_shuffle_ps(b1, b3, 0x44);
  a3 = _mm256_shuffle_ps(b1, b3, 0xee);
  a4 = _mm256_shuffle_ps(b4, b6, 0x44);
  a5 = _mm256_shuffle_ps(b4, b6, 0xee);
  a6 = _mm256_shuffle_ps(b5, b7, 0x44);
  a7 = _mm256_shuffle_ps(b5, b7, 0xee);
  _mm256_storeu_ps(out, _mm256_permute2f128_ps(a0, a4, 0x20));
  _mm256_storeu_ps(out + stride, _mm256_permute2f128_ps(a1, a5, 0x20));
  _mm256_storeu_ps(out + 2 * stride, _mm256_permute2f128_ps(a2, a6, 0x20));
  _mm256_storeu_ps(out + 3 * stride, _mm256_permute2f128_ps(a3, a7, 0x20));
  _mm256_storeu_ps(out + 4 * stride, _mm256_permute2f128_ps(a0, a4, 0x31));
  _mm256_storeu_ps(out + 5 * stride, _mm256_permute2f128_ps(a1, a5, 0x31));
  _mm256_storeu_ps(out + 6 * stride, _mm256_permute2f128_ps(a2, a6, 0x31));
  _mm256_storeu_ps(out + 7 * stride, _mm256_permute2f128_ps(a3, a7, 0x31));
}
#endif

ICL__INLINE void V(prefetch)(const void *p)
{
#if ICL__X86
  _mm_prefetch((const char *)p, _MM_HINT_T0);
#elif ICL__NEON && ICL__GNU
  __builtin_prefetch(p);
#else
  (void)p;
#endif
}

#if ICL__X86 || ICL__WASM || ICL__NEON
#if ICL__X86
ICL__INLINE V(t) V(recip)(V(t) a) { return V(div)(V(set1)(1.0f), a); }           /* 1 / a */
#endif
/* Forms with single numbers, which Helium has as instructions. */
ICL__INLINE V(t) V(fma1)(float a, V(t) b, V(t) c) { return V(fma)(V(set1)(a), b, c); }
ICL__INLINE V(t) V(mul_plus)(V(t) a, V(t) b, float c) { return V(fma)(a, b, V(set1)(c)); }
ICL__INLINE V(t) V(mul1)(V(t) a, float b) { return V(mul)(a, V(set1)(b)); }
ICL__INLINE V(t) V(add1)(V(t) a, float b) { return V(add)(a, V(set1)(b)); }
ICL__INLINE V(t) V(mul1_plus)(V(t) a, float b, float c)
{
  return V(fma)(a, V(set1)(b), V(set1)(c));
}
ICL__INLINE V(t) V(abs)(V(t) a) { return V(max)(a, V(sub)(V(set1)(0.0f), a)); }
/* low .. high.  The order of the operands lets NaN through. */
ICL__INLINE V(t) V(clamp)(V(t) a, float low, float high)
{
  return V(max)(V(set1)(low), V(min)(V(set1)(high), a));
}
#endif

/* ICL__W of the n floats of p from i on, the last of them filled up with zeros; and back. */
ICL__INLINE V(t) V(get)(const float *p, size_t i, size_t n)
{
  return i + ICL__W <= n ? V(load)(p + i) : V(load_n)(p + i, n - i);
}
ICL__INLINE void V(put)(float *p, V(t) a, size_t i, size_t n)
{
  if (i + ICL__W <= n) V(store)(p + i, a);
  else V(store_n)(p + i, a, n - i);
}

/* A vector from i on of the n floats of p; whole is a constant: it has ICL__W of them. */
ICL__INLINE V(t) V(at)(const int whole, const float *p, size_t i, size_t n)
{
  return whole ? V(load)(p + i) : ICL__MVE ? V(load_n)(p + i, n - i) : V(get)(p, i, n);
}

/* A sum over 16 lanes is in *s; vectors of 8 take turns with *other.  Which of the two ends where
 * does not matter: V(sum) adds them first. */
ICL__INLINE void V(turn)(V(t) *s, V(t) *other, V(t) next)
{
  if (ICL__W < 16) { *s = *other; *other = next; }
  else *s = next;
}

/* Sums n terms over 16 lanes of s0 and s1; NEXT(s, whole, i) is s plus the term from i on. */
#define ICL__SUM(n, NEXT)                                                                         \
  s0 = s1 = V(set1)(0.0f);                                                                        \
  for (i = 0; i + 16 <= (n); i += 16) {                                                           \
    s0 = NEXT(s0, 1, i);                                                                          \
    if (ICL__W < 16) s1 = NEXT(s1, 1, i + 8);                                                     \
  }                                                                                               \
  for (; i < (n); i += ICL__W) V(turn)(&s0, &s1, NEXT(s0, 0, i))

/* exp(x) within 2 ulp for -80 <= x <= 87, and clamped to that range: x = n ln 2 + r, |r| < 0.35,
 * exp(r) by a polynomial of degree 7 (the coefficients of Cephes' expf).  NaN stays NaN.  The range
 * keeps softmax and gelu off subnormal numbers, which many processors take a hundred cycles for. */
ICL__INLINE V(t) V(exp)(V(t) x)
{
  V(t) n, r, p;
  x = V(clamp)(x, -80.0f, 87.0f);
  n = V(round)(V(mul1)(x, 1.44269504f));
  r = V(fma1)(-0.693359375f, n, x);
  r = V(fma1)(2.12194440e-4f, n, r);
  p = V(mul1_plus)(r, 1.9875691500e-4f, 1.3981999507e-3f);
  p = V(mul_plus)(p, r, 8.3334519073e-3f);
  p = V(mul_plus)(p, r, 4.1665795894e-2f);
  p = V(mul_plus)(p, r, 1.6666665459e-1f);
  p = V(mul_plus)(p, r, 5.0000001201e-1f);
  p = V(fma)(p, V(mul)(r, r), V(add1)(r, 1.0f));
  return V(mul_exp2i)(p, n);
}

/* 1 / (1 + exp(-x)) */
ICL__INLINE V(t) V(sigmoid)(V(t) x)
{
  return V(recip)(V(add1)(V(exp)(V(sub)(V(set1)(0.0f), x)), 1.0f));
}

/* The upper tail of the standard normal, Phi(-|x|), absolute error below 2.5e-7: Abramowitz and
 * Stegun (1964) 7.1.26 for erfc(|x| / sqrt 2) / 2.  e is exp(-x^2 / 2). */
ICL__INLINE V(t) V(normal_tail)(V(t) x, V(t) e)
{
  V(t) t = V(recip)(V(mul1_plus)(V(abs)(x), 0.2316419f, 1.0f)), p;
  p = V(mul1_plus)(t, 0.5f * 1.061405429f, 0.5f * -1.453152027f);
  p = V(mul_plus)(p, t, 0.5f * 1.421413741f);
  p = V(mul_plus)(p, t, 0.5f * -0.284496736f);
  p = V(mul_plus)(p, t, 0.5f * 0.254829592f);
  return V(mul)(V(mul)(p, t), e);
}

/* ----- the product --------------------------------------------------------------------------- */

/* ICL__W weights of B from number `at` on, in column j; type is a constant at every call. */
ICL__INLINE V(t) V(weights)(const icl__dtype type, const icl__mm *g, size_t at, size_t j)
{
  if (type == ICL__F16) return V(load_f16)((const uint16_t *)g->b + at);
  if (type == ICL__BF16) return V(load_bf16)((const uint16_t *)g->b + at);
  if (type == ICL__I8 && !g->scale) return V(load_i8)((const int8_t *)g->b + at);
  if (type == ICL__I8)
    return V(mul)(V(load_i8)((const int8_t *)g->b + at), V(load)(g->scale + j));
  return V(load)((const float *)g->b + at);
}
/* The first n of them, zeros after these. */
ICL__INLINE V(t) V(weights_n)(const icl__dtype type, const icl__mm *g, size_t at, size_t j,
                              size_t n)
{
  float tmp[ICL__W];
  size_t i;
  if (type == ICL__F32) return V(load_n)((const float *)g->b + at, n);
  for (i = 0; i < ICL__W; i++) tmp[i] = i < n ? icl__mm_number(g, at + i, j + i) : 0.0f;
  return V(load)(tmp);
}
ICL__INLINE const void *V(address)(const icl__dtype type, const icl__mm *g, size_t at)
{
  return (const char *)g->b + at * (type == ICL__F32 ? 4 : type == ICL__I8 ? 1 : 2);
}

/* Any panel: w columns of B, k steps, zeros beyond column w. */
static void V(pack_any)(float *out, const icl__mm *g, size_t p, size_t k, size_t j, size_t w)
{
  size_t i, end = p + k;
  for (; p < end; p++, out += ICL__COLUMNS) {
    for (i = 0; i < w; i++) out[i] = icl__mm_b(g, p, j + i);
    for (; i < ICL__COLUMNS; i++) out[i] = 0.0f;
  }
}

/* Whole panels of a B whose rows are contiguous, row by row in memory order. */
ICL__INLINE void V(pack_rows)(const icl__dtype type, float *out, const icl__mm *g, size_t p0,
                              size_t k, size_t j0, size_t n)
{
  size_t j, p;
  for (p = 0; p < k; p++)
    for (j = 0; j < n; j += ICL__COLUMNS) {
      size_t at = (p0 + p) * g->b_row + j0 + j, next = at + (p + 8 < k ? 8 * g->b_row : 0);
      float *to = out + j * k + p * ICL__COLUMNS;
      V(t) lo = V(weights)(type, g, at, j0 + j);
      V(t) hi = V(weights)(type, g, at + ICL__W, j0 + j + ICL__W);
      V(prefetch)(V(address)(type, g, next));
      if (ICL__W == 16 && type == ICL__F32) V(prefetch)(V(address)(type, g, next + 16));
      V(store)(to, lo);
      V(store)(to + ICL__W, hi);
    }
}

/* Whole panels of an F32 B whose columns are contiguous (a transposed weight), in squares of
 * eight. */
ICL__INLINE void V(pack_columns)(float *out, const icl__mm *g, size_t p0, size_t k, size_t j0,
                                 size_t n)
{
  size_t i, j, p, squares = k & ~(size_t)7;
  for (j = 0; j < n; j += ICL__COLUMNS) {
    const float *from = (const float *)g->b + p0 + (j0 + j) * g->b_col;
    float *to = out + j * k;
    for (p = 0; p < squares; p += 8, from += 8, to += 8 * ICL__COLUMNS)
      for (i = 0; i < ICL__COLUMNS; i += 8)
        V(transpose)(to + i, ICL__COLUMNS, from + i * g->b_col, g->b_col);
    V(pack_any)(to, g, p0 + squares, k - squares, j0 + j, ICL__COLUMNS);
  }
}

/* Writes B[p0 .. p0+k)[j0 .. j0+n) as panels [k][ICL__COLUMNS]. */
ICL__KERNEL void V(pack_b)(float *out, const icl__mm *g, size_t p0, size_t k, size_t j0, size_t n)
{
  size_t whole = n / ICL__COLUMNS * ICL__COLUMNS, j;
  if (g->b_col == 1 && g->type == ICL__F32) V(pack_rows)(ICL__F32, out, g, p0, k, j0, whole);
  else if (g->b_col == 1 && g->type == ICL__F16) V(pack_rows)(ICL__F16, out, g, p0, k, j0, whole);
  else if (g->b_col == 1 && g->type == ICL__BF16) V(pack_rows)(ICL__BF16, out, g, p0, k, j0, whole);
  else if (g->b_col == 1) V(pack_rows)(ICL__I8, out, g, p0, k, j0, whole);
  else if (g->b_row == 1 && g->type == ICL__F32) V(pack_columns)(out, g, p0, k, j0, whole);
  else whole = 0;
  for (j = whole; j < n; j += ICL__COLUMNS)
    V(pack_any)(out + j * k, g, p0, k, j0 + j, icl__min(ICL__COLUMNS, n - j));
}

/* All of B, for products that share it: out[k][n], n rounded up to panels; each block of 256 steps
 * of k is a row of panels. */
ICL__UNUSED void V(panels)(float *out, const icl__mm *g)
{
  size_t p, n = (g->n + ICL__COLUMNS - 1) / ICL__COLUMNS * ICL__COLUMNS;
  for (p = 0; p < g->k; p += ICL__KC)
    V(pack_b)(out + p * n, g, p, icl__min(ICL__KC, g->k - p), 0, g->n);
}

/* Writes A[i0 .. i0+m)[p0 .. p0+k) as tiles [k][6], for an A that is stored by columns.  Each step
 * copies 8 floats where 6 are wanted; the next step overwrites the surplus, and the last step of a
 * tile copies one by one. */
ICL__KERNEL void V(pack_a)(float *out, const icl__mm *g, size_t i0, size_t m, size_t p0, size_t k)
{
  size_t i, p, t, whole = 0;
  const float *a = g->a + i0 * g->a_row + p0 * g->a_col;
  if (g->a_row == 1 && m >= 8) whole = (m - 2) / ICL__MR * ICL__MR;
  for (p = 0; p + 1 < k; p++)
    for (i = 0; i < whole; i += ICL__MR)
#if ICL__W == 16
      _mm256_storeu_ps(out + i * k + p * ICL__MR, _mm256_loadu_ps(a + p * g->a_col + i));
#else
      V(store)(out + i * k + p * ICL__MR, V(load)(a + p * g->a_col + i));
#endif
  for (i = 0; i < m; i += ICL__MR)
    for (p = i < whole && k ? k - 1 : 0; p < k; p++)
      for (t = 0; t < ICL__MR; t++)
        out[i * k + p * ICL__MR + t] = i + t < m ? a[(i + t) * g->a_row + p * g->a_col] : 0.0f;
}

/* Compilers for AArch64 would load six numbers of A at once, and then be short of registers. */
#if ICL__NEON && !ICL__NEON32 && ICL__GNU
#define ICL__LOADS_STAY() __asm__ volatile("" ::: "memory")
#else
#define ICL__LOADS_STAY() (void)0
#endif

/* The operands of one step of a tile: two vectors of B, after which b moves on by b_row, and a
 * number of A in all lanes. */
#if ICL__NEON32 && !defined __clang__
/* gcc would spend eight more instructions on addresses and loads, on top of 14
 * (tests/neon_loop.sh).  Here a moves on by step. */
ICL__INLINE void V(next_b)(V(t) *b0, V(t) *b1, const float **b, size_t b_row, const int vectors)
{
  float32x4x2_t u, v;
  (void)vectors;
  __asm__("vld1.32 %h0, [%1]!" : "=w"(u), "+r"(*b) : "m"(*(const float (*)[8])*b));
  __asm__("vld1.32 %h0, [%1], %2"
          : "=w"(v), "+r"(*b) : "r"(4 * (b_row - 8)), "m"(*(const float (*)[8])*b));
  *b0 = V(pair)(u.val[0], u.val[1]);
  *b1 = V(pair)(v.val[0], v.val[1]);
}
ICL__INLINE V(t) V(next_a)(const float **a, size_t p, size_t step)
{
  float32x4_t v;
  (void)p;
  __asm__("vld1.32 {%e0[], %f0[]}, [%1], %2"
          : "=w"(v), "+r"(*a) : "r"(4 * step), "m"(**a));
  return V(pair)(v, v);
}
#else
ICL__INLINE void V(next_b)(V(t) *b0, V(t) *b1, const float **b, size_t b_row, const int vectors)
{
  *b0 = V(load)(*b);
  if (vectors > 1) *b1 = V(load)(*b + ICL__W);
  *b += b_row;
}
ICL__INLINE V(t) V(next_a)(const float **a, size_t p, size_t step)
{
  (void)step;
  return V(set1)((*a)[p]);
}
#endif

/* mr rows and one or two vectors of columns, all of them if whole is set; these are constants at
 * every call.  Twelve named accumulators: at -O2 compilers keep those in registers, but arrays in
 * memory. */
ICL__INLINE void V(tile_rows)(const int mr, const int vectors, const int whole, const icl__tile *t)
{
#define ICL__LOAD(p, n) (whole ? V(load)(p) : V(load_n)(p, n))
#define ICL__EACH_ROW(X) X(0) X(1) X(2) X(3) X(4) X(5)
#define ICL__ROW_DECLARE(i)                                                                       \
  V(t) c##i##0 = V(set1)(0.0f), c##i##1 = c##i##0;                                                \
  const float *a##i = t->a + (mr > i ? i : 0) * t->a_row;
#define ICL__ROW_INIT(i)                                                                          \
  if (mr > i) {                                                                                   \
    c##i##0 = ICL__LOAD(t->init + i * t->init_row, n0);                                           \
    if (vectors > 1) c##i##1 = ICL__LOAD(t->init + i * t->init_row + ICL__W, n1);                 \
  }
#define ICL__ROW_BIAS(i)                                                                          \
  c##i##0 = V(add)(c##i##0, b0);                                                                  \
  if (vectors > 1) c##i##1 = V(add)(c##i##1, b1);
#define ICL__ROW_FMA(i)                                                                           \
  if (mr > i) {                                                                                   \
    V(t) x;                                                                                       \
    if (i % 2 == 0) ICL__LOADS_STAY();                                                            \
    x = V(next_a)(&a##i, p, a_col);                                                               \
    c##i##0 = V(fma)(x, b0, c##i##0);                                                             \
    if (vectors > 1) c##i##1 = V(fma)(x, b1, c##i##1);                                            \
  }
#define ICL__ROW_STORE(i)                                                                         \
  if (mr > i) {                                                                                   \
    float *c = t->c + i * t->c_row;                                                               \
    if (whole) V(store)(c, c##i##0); else V(store_n)(c, c##i##0, n0);                             \
    if (vectors > 1 && whole) V(store)(c + ICL__W, c##i##1);                                      \
    else if (vectors > 1) V(store_n)(c + ICL__W, c##i##1, n1);                                    \
  }
  const float *b = t->b;
  size_t left, p = 0, a_col = t->a_col, b_row = t->b_row;
  size_t n0 = icl__min(t->cols, ICL__W), n1 = vectors > 1 ? t->cols - n0 : 0;
  V(t) b0, b1 = V(set1)(0.0f);
  ICL__EACH_ROW(ICL__ROW_DECLARE)
  (void)n1;
  if (t->init) { ICL__EACH_ROW(ICL__ROW_INIT) }
  if (t->bias) {
    b0 = ICL__LOAD(t->bias, n0);
    if (vectors > 1) b1 = ICL__LOAD(t->bias + ICL__W, n1);
    ICL__EACH_ROW(ICL__ROW_BIAS)
  }
  for (left = t->k; left; left--) {
    V(next_b)(&b0, &b1, &b, b_row, vectors);
    ICL__EACH_ROW(ICL__ROW_FMA)
    p += a_col;
  }
  ICL__EACH_ROW(ICL__ROW_STORE)
}

#define ICL__TILE(mr)                                                                             \
  ICL__KERNEL void V(tile##mr)(const icl__tile *t) { V(tile_rows)(mr, 2, 1, t); }                 \
  ICL__KERNEL void V(edge##mr)(const icl__tile *t)                                                \
  {                                                                                               \
    if (t->cols > ICL__W) V(tile_rows)(mr, 2, 0, t);                                              \
    else V(tile_rows)(mr, 1, 0, t);                                                               \
  }
ICL__TILE(1) ICL__TILE(2) ICL__TILE(3) ICL__TILE(4) ICL__TILE(5) ICL__TILE(6)

/* 32-bit ARM has 16 registers of four floats, and so may machines under WebAssembly: room for two
 * rows at a time. */
static void V(tile_run)(const icl__tile *t, size_t rows)
{
  const size_t most = ICL__WASM || ICL__NEON32 ? 2 : ICL__MR;
  static void (*const run[2][ICL__MR])(const icl__tile *) = {
    {V(tile1), V(tile2), V(tile3), V(tile4), V(tile5), V(tile6)},
    {V(edge1), V(edge2), V(edge3), V(edge4), V(edge5), V(edge6)}
  };
  const int edge = t->cols < ICL__COLUMNS;
  icl__tile part;
  if (rows <= most) { run[edge][rows - 1](t); return; }
  for (part = *t; rows > most; rows -= most) {
    run[edge][most - 1](&part);
    part.a += most * t->a_row;
    part.c += most * t->c_row;
    if (t->init) part.init += most * t->init_row;
  }
  run[edge][rows - 1](&part);
}

/* All tiles of a block; b is its first panel, the next one b_next floats further.  t has the
 * strides of A and B. */
static void V(mm_tiles)(const icl__mm *g, const icl__block_of_mm *w, icl__tile t, const float *a,
                        size_t a_tile, const float *b, size_t b_next)
{
  const float *init = w->p0 ? g->c : g->init;           /* after the first block of k: go on */
  const float *bias = w->p0 ? NULL : g->bias;
  size_t i, j;
  t.k = w->k;
  t.c_row = g->c_row;
  t.init_row = w->p0 ? g->c_row : g->init_row;
  for (j = 0; j < w->n; j += ICL__COLUMNS, b += b_next) {
    size_t at = w->j0 + j;
    t.cols = icl__min(ICL__COLUMNS, w->n - j);
    t.b = b;
    t.bias = bias ? bias + at : NULL;
    t.a = a;
    for (i = w->i0; i < w->i0 + w->m; i += ICL__MR, t.a += a_tile) {
      t.c = g->c + i * g->c_row + at;
      t.init = init ? init + i * t.init_row + at : NULL;
      V(tile_run)(&t, icl__min(ICL__MR, w->i0 + w->m - i));
    }
  }
}

/* The rows of a block of columns and k, in groups whose part of A stays in the second cache.  After
 * the last block of k, applies `after` while C is still there. */
static void V(mm_rows)(const icl__mm *g, icl__block_of_mm *w, const float *b, size_t b_next,
                       size_t b_row)
{
  icl__tile t;
  memset(&t, 0, sizeof t);
  t.b_row = b_row;
  for (w->i0 = 0; w->i0 < g->m; w->i0 += ICL__MC) {
    w->m = icl__min(ICL__MC, g->m - w->i0);
    if (g->a_col != 1 && g->pack_a) {
      t.a_row = 1; t.a_col = ICL__MR;
      V(pack_a)(g->pack_a, g, w->i0, w->m, w->p0, w->k);
      V(mm_tiles)(g, w, t, g->pack_a, ICL__MR * w->k, b, b_next);
    } else {
      t.a_row = g->a_row; t.a_col = g->a_col;
      V(mm_tiles)(g, w, t, g->a + w->i0 * g->a_row + w->p0 * g->a_col, ICL__MR * g->a_row, b,
                  b_next);
    }
    if (w->p0 + w->k == g->k) icl__mm_after(g, w->i0, w->m, w->j0, w->n);
  }
}

/* Columns j0 .. j0+n against all of k.  Few rows read B in place, unless the last panel would be
 * read beyond its end. */
static void V(mm_columns)(const icl__mm *g, icl__block_of_mm *w)
{
  const size_t reads = ICL__NEON32 ? ICL__COLUMNS : ICL__W, n = g->n + ICL__COLUMNS - 1;
  int in_place = g->b_col == 1 && g->type == ICL__F32
              && (g->b_padded || (g->m < 24 && w->n % reads == 0));
  for (w->p0 = 0; w->p0 < g->k || w->p0 == 0; w->p0 += ICL__KC) {
    w->k = icl__min(ICL__KC, g->k - w->p0);
    if (g->panels) {
      V(mm_rows)(g, w, g->panels + n / ICL__COLUMNS * ICL__COLUMNS * w->p0 + w->j0 * w->k,
                 ICL__COLUMNS * w->k, ICL__COLUMNS);
    } else if (in_place) {
      V(mm_rows)(g, w, (const float *)g->b + w->p0 * g->b_row + w->j0, ICL__COLUMNS, g->b_row);
    } else {
      V(pack_b)(g->pack, g, w->p0, w->k, w->j0, w->n);
      V(mm_rows)(g, w, g->pack, ICL__COLUMNS * w->k, ICL__COLUMNS);
    }
  }
}

/* C = init + bias in row i of C, which it returns.  A sum only where there are both: -0 stays. */
ICL__KERNEL float *V(mm_start)(const icl__mm *g, size_t i)
{
  const float *init = g->init ? g->init + i * g->init_row : NULL, *bias = g->bias;
  const float *one = init ? init : bias;
  float *c = g->c + i * g->c_row;
  size_t j = 0;
  for (; init && bias && j + ICL__W <= g->n; j += ICL__W)
    V(store)(c + j, V(add)(V(load)(init + j), V(load)(bias + j)));
  for (; one && j + ICL__W <= g->n; j += ICL__W) V(store)(c + j, V(load)(one + j));
  for (; j + ICL__W <= g->n; j += ICL__W) V(store)(c + j, V(set1)(0.0f));
  for (; j < g->n; j++) c[j] = init && bias ? init[j] + bias[j] : one ? one[j] : 0.0f;
  return c;
}

/* y += x[0..steps) B[0..steps)[.] for one or two rows, 1 or 4 steps of k at a time.  type, rows and
 * steps are constants at every call. */
ICL__INLINE void V(stream_steps)(const icl__dtype type, const int rows, const int steps,
                                 const icl__mm *g, size_t p)
{
  const float *a = g->a + p * g->a_col, *a2 = a + (rows > 1 ? g->a_row : 0);
  const size_t b_row = g->b_row, n = g->n, line = type == ICL__F32 ? 16 : type == ICL__I8 ? 64 : 32;
  float *y = g->c, *z = y + (rows > 1 ? g->c_row : 0);
  size_t at = p * b_row, next = at + (g->k - p < 8 ? 0 : 4 * b_row), j = 0;
#define ICL__STEP(i)                                                                              \
  V(t) x##i = V(set1)(steps > i ? a[i * g->a_col] : 0);                                           \
  V(t) w##i = V(set1)(steps > i ? a2[i * g->a_col] : 0);
#define ICL__ADD(i, WEIGHTS)                                                                      \
  if (steps > i) { v = WEIGHTS(at + i * b_row); c = V(fma)(x##i, v, c); d = V(fma)(w##i, v, d); }
#define ICL__STREAM(LOAD, STORE, WEIGHTS)                                                         \
  {                                                                                               \
    V(t) c = LOAD(y + j), d = rows > 1 ? LOAD(z + j) : c, v;                                      \
    ICL__ADD(0, WEIGHTS) ICL__ADD(1, WEIGHTS) ICL__ADD(2, WEIGHTS) ICL__ADD(3, WEIGHTS)           \
    STORE(y + j, c);                                                                              \
    if (rows > 1) STORE(z + j, d);                                                                \
  }
#define ICL__WHOLE(row) V(weights)(type, g, row + j, j)
#define ICL__LOAD_REST(p) V(load_n)(p, n - j)
#define ICL__STORE_REST(p, v) V(store_n)(p, v, n - j)
#define ICL__REST(row) V(weights_n)(type, g, row + j, j, n - j)
  ICL__STEP(0) ICL__STEP(1) ICL__STEP(2) ICL__STEP(3)
  for (; steps == 4 && j + 16 <= n; j += ICL__W) {
    if (j % line == 0) {               /* a cache line of each of the next four rows */
      V(prefetch)(V(address)(type, g, next + j));
      V(prefetch)(V(address)(type, g, next + b_row + j));
      V(prefetch)(V(address)(type, g, next + 2 * b_row + j));
      V(prefetch)(V(address)(type, g, next + 3 * b_row + j));
    }
    ICL__STREAM(V(load), V(store), ICL__WHOLE)
    if (ICL__W == 16) continue;
    j += ICL__W;
    ICL__STREAM(V(load), V(store), ICL__WHOLE)
  }
  for (; j + ICL__W <= n; j += ICL__W) ICL__STREAM(V(load), V(store), ICL__WHOLE)
  if (j < n) ICL__STREAM(ICL__LOAD_REST, ICL__STORE_REST, ICL__REST)
}

ICL__INLINE void V(stream_all)(const icl__dtype type, const int rows, const icl__mm *g)
{
  size_t p = 0;
  for (; p + 4 <= g->k; p += 4) V(stream_steps)(type, rows, 4, g, p);
  for (; p < g->k; p++) V(stream_steps)(type, rows, 1, g, p);
}

#define ICL__TYPE(name, type)                                                                     \
  ICL__KERNEL void V(stream_1_##name)(const icl__mm *g) { V(stream_all)(type, 1, g); }            \
  ICL__KERNEL void V(stream_2_##name)(const icl__mm *g) { V(stream_all)(type, 2, g); }
ICL__TYPE(f32, ICL__F32) ICL__TYPE(f16, ICL__F16) ICL__TYPE(bf16, ICL__BF16) ICL__TYPE(i8, ICL__I8)

static void V(mm_stream)(const icl__mm *g)
{
  static void (*const run[4][2])(const icl__mm *) = {
    {V(stream_1_f32), V(stream_2_f32)}, {V(stream_1_f16), V(stream_2_f16)},
    {V(stream_1_bf16), V(stream_2_bf16)}, {V(stream_1_i8), V(stream_2_i8)}
  };
  size_t i;
  for (i = 0; i < g->m; i++) V(mm_start)(g, i);
  run[g->type][g->m - 1](g);
  icl__mm_after(g, 0, g->m, 0, g->n);
}

ICL__UNUSED void V(mm)(const icl__mm *g)
{
  size_t room = ICL__COLUMNS;
  icl__block_of_mm w;
  memset(&w, 0, sizeof w);
  if (!g->m || !g->n) return;
  if (g->m <= 2 && g->b_col == 1) { V(mm_stream)(g); return; }
  if (g->pack) room = g->n_pack / (icl__min(g->k, ICL__KC) + !g->k) / ICL__COLUMNS * ICL__COLUMNS;
  room = icl__max(icl__min(room, ICL__NC), ICL__COLUMNS);
  for (w.j0 = 0; w.j0 < g->n; w.j0 += w.n) {
    w.n = icl__min(room, g->n - w.j0);
    V(mm_columns)(g, &w);
  }
}

/* ----- the product for processors with few registers, little memory and no cache -------------- */

/* Columns of a row at a time, over all of k, with B read in place.  24 columns make six sums of
 * four, and leave Helium two registers for B; the number of A stays in a general one.
 * V(gemv): c[n] = from[n] + a[steps] B[steps][n] for n = 8 parts columns. */
#if ICL__W == 8
#if ICL__MVE
/* Compilers would fill the loop with copies of addresses.  Four steps take 55, 39 and 23
 * instructions for 24, 16 and 8 columns. */
#define ICL__F4_MOVE(op, sum, p, at) op ".32 %q[" sum "], [%[" p "], #" at "]\n\t"
#define ICL__8_MOVE(op, p) ICL__F4_MOVE(op, "l0", p, "0") ICL__F4_MOVE(op, "h0", p, "16")
#define ICL__16_MOVE(op, p)                                                                       \
  ICL__8_MOVE(op, p) ICL__F4_MOVE(op, "l1", p, "32") ICL__F4_MOVE(op, "h1", p, "48")
#define ICL__24_MOVE(op, p)                                                                       \
  ICL__16_MOVE(op, p) ICL__F4_MOVE(op, "l2", p, "64") ICL__F4_MOVE(op, "h2", p, "80")
#define ICL__F4_STEP(sum, load, at, x)                                                            \
  "vldrw.32 %q[" load "], [%[b], #" at "]\n\tvfma.f32 %q[" sum "], %q[" load "], " x "\n\t"
#define ICL__8_STEPS(x) ICL__F4_STEP("l0", "t", "0", x) ICL__F4_STEP("h0", "u", "16", x)
#define ICL__16_STEPS(x)                                                                          \
  ICL__8_STEPS(x) ICL__F4_STEP("l1", "t", "32", x) ICL__F4_STEP("h1", "u", "48", x)
#define ICL__24_STEPS(x)                                                                          \
  ICL__16_STEPS(x) ICL__F4_STEP("l2", "t", "64", x) ICL__F4_STEP("h2", "u", "80", x)
#define ICL__TWICE(step)                                                                          \
  "ldrd %[x], %[y], [%[a]], #8\n\t" step("%[x]") "add %[b], %[row]\n\t"                           \
  step("%[y]") "add %[b], %[row]\n\t"
#define ICL__GEMV(move, step, ...)                                                                \
  __asm__ volatile(move("vldrw", "from") "lsr %[x], %[steps], #2\n\twls lr, %[x], 2f\n"           \
                   "1:\t" ICL__TWICE(step) ICL__TWICE(step) "le lr, 1b\n"                         \
                   "2:\tand %[x], %[steps], #3\n\twls lr, %[x], 4f\n"                             \
                   "3:\tldr %[x], [%[a]], #4\n\t" step("%[x]") "add %[b], %[row]\n\tle lr, 3b\n"   \
                   "4:\t" move("vstrw", "c")                                                      \
                   : [a] "+r"(a), [b] "+r"(b), [x] "=&r"(x), [y] "=&r"(y), [l0] "=&w"(l0),        \
                     [h0] "=&w"(h0), __VA_ARGS__ [t] "=&w"(t), [u] "=&w"(u)                       \
                   : [c] "r"(c), [from] "r"(from), [steps] "r"(steps), [row] "r"(4 * b_row)       \
                   : "lr", "cc", "memory")
ICL__INLINE void V(gemv)(const int parts, float *c, const float *from, const float *a,
                         const float *b, size_t b_row, size_t steps)
{
  float32x4_t l0, h0, l1, h1, l2, h2, t, u;
  uint32_t x, y;
  if (parts == 1) ICL__GEMV(ICL__8_MOVE, ICL__8_STEPS, );
  else if (parts == 2) ICL__GEMV(ICL__16_MOVE, ICL__16_STEPS, [l1] "=&w"(l1), [h1] "=&w"(h1), );
  else ICL__GEMV(ICL__24_MOVE, ICL__24_STEPS, [l1] "=&w"(l1), [h1] "=&w"(h1), [l2] "=&w"(l2),
                 [h2] "=&w"(h2), );
}
#else
ICL__INLINE void V(gemv)(const int parts, float *c, const float *from, const float *a,
                         const float *b, size_t b_row, size_t steps)
{
  V(t) c0 = V(load)(from), c1 = c0, c2 = c0;
  if (parts > 1) c1 = V(load)(from + 8);
  if (parts > 2) c2 = V(load)(from + 16);
  for (; steps; steps--, a++, b += b_row) {
    c0 = V(fma1)(*a, V(load)(b), c0);
    if (parts > 1) c1 = V(fma1)(*a, V(load)(b + 8), c1);
    if (parts > 2) c2 = V(fma1)(*a, V(load)(b + 16), c2);
  }
  V(store)(c, c0);
  if (parts > 1) V(store)(c + 8, c1);
  if (parts > 2) V(store)(c + 16, c2);
}
#endif

/* The last n < 8 columns from j on, where rows of B may be read beyond them. */
ICL__KERNEL void V(few_padded)(const icl__mm *g, float *c, const float *from, const float *a,
                               size_t j, size_t n)
{
  float tmp[8];
  V(store)(tmp, V(load_n)(from + j, n));
  V(gemv)(1, tmp, tmp, a, (const float *)g->b + j, g->b_row, g->k);
  V(store_n)(c + j, V(load)(tmp), n);
}

/* c[n] = from[n] + a[k] B in F32, except for last columns that must not be read beyond.  Returns
 * the first of those. */
ICL__KERNEL size_t V(few_f32)(const icl__mm *g, float *c, const float *from, const float *a)
{
  size_t j = 0, n = g->n, row = g->b_row, k = g->k;
  const float *b = (const float *)g->b;
  for (; j + 24 <= n; j += 24) V(gemv)(3, c + j, from + j, a, b + j, row, k);
  for (; j + 16 <= n; j += 16) V(gemv)(2, c + j, from + j, a, b + j, row, k);
  for (; j + 8 <= n; j += 8) V(gemv)(1, c + j, from + j, a, b + j, row, k);
  if (j == n || !g->b_padded) return j;
  V(few_padded)(g, c, from, a, j, n - j);
  return n;
}

/* The same for a B of another type, a constant at every call. */
ICL__INLINE size_t V(few_row)(const icl__dtype type, const icl__mm *g, float *c, const float *from,
                              const float *a)
{
  size_t j, p;
  for (j = 0; j + 8 <= g->n; j += 8) {
    V(t) sum = V(load)(from + j);
    for (p = 0; p < g->k; p++)
      sum = V(fma1)(a[p], V(weights)(type, g, p * g->b_row + j, j), sum);
    V(store)(c + j, sum);
  }
  return j;
}

#define ICL__FEW(name, type)                                                                      \
  ICL__KERNEL size_t V(few_##name)(const icl__mm *g, float *c, const float *from, const float *a) \
  {                                                                                               \
    return V(few_row)(type, g, c, from, a);                                                       \
  }
ICL__FEW(f16, ICL__F16) ICL__FEW(bf16, ICL__BF16) ICL__FEW(i8, ICL__I8)

/* n <= 8 columns of a row from j on, whatever the strides of A and B. */
ICL__KERNEL void V(few_any)(const icl__mm *g, float *c, const float *from, const float *a,
                            size_t j, size_t n)
{
  float b[8] = {0, 0, 0, 0, 0, 0, 0, 0};
  V(t) sum = V(load_n)(from + j, n);
  size_t p, t;
  for (p = 0; p < g->k; p++) {
    for (t = 0; t < n; t++) b[t] = icl__mm_b(g, p, j + t);
    sum = V(fma1)(a[p * g->a_col], V(load)(b), sum);
  }
  V(store_n)(c + j, sum, n);
}

/* Whole groups of columns of an F32 B of any strides, where a processor gathers them.  Returns the
 * first column that is left. */
ICL__KERNEL size_t V(few_apart)(const icl__mm *g, float *c, const float *from, const float *a)
{
#if ICL__MVE
  const uint32x4_t at = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)g->b_col);
  size_t j, p;
  for (j = 0; j + 4 <= g->n; j += 4) {
    const float *b = (const float *)g->b + j * g->b_col;
    float32x4_t sum = vldrwq_f32(from + j);
    for (p = 0; p < g->k; p++, b += g->b_row)
      sum = vfmaq_n_f32(sum, vldrwq_gather_shifted_offset_f32(b, at), a[p * g->a_col]);
    vstrwq_f32(c + j, sum);
  }
  return j;
#else
  (void)g; (void)c; (void)from; (void)a;
  return 0;
#endif
}

ICL__UNUSED void V(mm_few)(const icl__mm *g)
{
  size_t i, j;
  for (i = 0; i < g->m; i++) {
    const float *a = g->a + i * g->a_row, *init = g->init ? g->init + i * g->init_row : NULL, *from;
    float *c = g->c + i * g->c_row;
    from = !init == !g->bias ? V(mm_start)(g, i) : init ? init : g->bias;   /* a copy less */
    if (g->b_col != 1 && g->type == ICL__F32) j = V(few_apart)(g, c, from, a);
    else if (g->a_col != 1 || g->b_col != 1) j = 0;
    else if (g->type == ICL__F32) j = V(few_f32)(g, c, from, a);
    else if (g->type == ICL__F16) j = V(few_f16)(g, c, from, a);
    else if (g->type == ICL__BF16) j = V(few_bf16)(g, c, from, a);
    else j = V(few_i8)(g, c, from, a);
    for (; j < g->n; j += 8) V(few_any)(g, c, from, a, j, icl__min(8, g->n - j));
    icl__mm_after(g, i, 1, 0, g->n);
  }
}
#endif

/* ----- rows ---------------------------------------------------------------------------------- */

/* s + (x[i..] - mean)^2; what lies beyond n adds nothing. */
ICL__INLINE V(t) V(add_deviation)(V(t) s, const int whole, const float *x, size_t i, size_t n,
                                  V(t) mean)
{
  V(t) d = V(sub)(V(at)(whole, x, i, n), mean);
  if (!whole && (ICL__MVE || i + ICL__W > n)) d = V(first)(d, V(set1)(0.0f), n - i);
  return V(fma)(d, d, s);
}

/* As icl__layernorm_ref. */
ICL__KERNEL void V(layernorm)(float *out, float *stats, const float *x, const float *gain,
                              const float *bias, size_t rows, size_t n, float eps)
{
#define ICL__ADD_X(s, whole, i) V(add)(s, V(at)(whole, x, i, n))
#define ICL__ADD_DEVIATION(s, whole, i) V(add_deviation)(s, whole, x, i, n, m)
#define ICL__NORMALISE(whole, i)                                                                  \
  d = V(mul)(V(sub)(V(at)(whole, x, i, n), m), s);                                                \
  d = V(fma)(V(at)(whole, gain, i, n), d, V(at)(whole, bias, i, n));
  size_t t, i;
  for (t = 0; t < rows; t++, x += n, out += n) {
    V(t) s0, s1, d, m, s;
    float mean, var, rstd;
    ICL__SUM(n, ICL__ADD_X);
    mean = V(sum)(s0, s1) / (float)n;
    m = V(set1)(mean);
    ICL__SUM(n, ICL__ADD_DEVIATION);
    var = V(sum)(s0, s1);
    rstd = 1.0f / sqrtf(var / (float)n + eps);
    s = V(set1)(rstd);
    for (i = 0; i + ICL__W <= n; i += ICL__W) { ICL__NORMALISE(1, i) V(store)(out + i, d); }
    if (i < n) { ICL__NORMALISE(0, i) V(store_n)(out + i, d, n - i); }
    if (stats) { stats[2 * t] = mean; stats[2 * t + 1] = rstd; }
    if (icl__finite(&var, 1)) continue;
    icl__spoil(out, n);
    if (stats) icl__spoil(stats + 2 * t, 2);
  }
}

/* 1 if one of x[n] is -infinity. */
ICL__KERNEL int V(overflow_in)(const float *x, size_t n)
{
  V(t) low = V(set1)(0.0f);
  size_t i;
  for (i = 0; i < n; i += ICL__W) low = V(min)(low, V(get)(x, i, n));
  return V(overflowed)(low);
}

/* out = exp(scale (x - max)) for n numbers, a multiple of ICL__W. */
ICL__KERNEL void V(exp_vectors)(float *out, const float *x, size_t n, V(t) max, float scale)
{
  size_t i;
  for (i = 0; i < n; i += ICL__W)
    V(store)(out + i, V(exp)(V(mul1)(V(sub)(V(load)(x + i), max), scale)));
}

/* As icl__softmax_ref.  NaN and +infinity make all weights NaN by themselves. */
ICL__KERNEL void V(softmax)(float *s, size_t n, float scale)
{
#define ICL__ADD_WEIGHT(sum, whole, i) V(add)(sum, V(at)(whole, s, i, n))
  const size_t whole = n / ICL__W * ICL__W, rest = n - whole;
  V(t) max = V(set1)(s[0]), low = V(set1)(0.0f), s0, s1, v, total;
  float tmp[ICL__W];
  size_t i;
  for (i = 0; i < whole; i += ICL__W) {
    v = V(load)(s + i);
    low = V(min)(low, v);
    max = V(max)(max, v);
  }
  v = rest ? V(first)(V(load_n)(s + whole, rest), max, rest) : max;
  V(store)(tmp, v);
  low = V(min)(low, v);
  max = V(max)(max, v);
  if (V(overflowed)(low)) { icl__spoil(s, n); return; }
  max = V(set1)(V(hmax)(max));
  V(exp_vectors)(s, s, whole, max, scale);
  if (rest) {
    V(exp_vectors)(tmp, tmp, ICL__W, max, scale);
    V(store_n)(s + whole, V(load)(tmp), rest);
  }
  ICL__SUM(n, ICL__ADD_WEIGHT);
  total = V(set1)(1.0f / V(sum)(s0, s1));
  for (i = 0; i < whole; i += ICL__W) V(store)(s + i, V(mul)(V(load)(s + i), total));
  if (rest) V(store_n)(s + whole, V(mul)(V(load_n)(s + whole, rest), total), rest);
}

/* Both gelus start with an exponential, in the tanh form exp(-x (a + a b x^2)). */
ICL__INLINE V(t) V(activate1)(V(t) x, icl_activation kind)
{
  V(t) xx = V(mul)(x, x), zero = V(set1)(0.0f), e;
  if (kind == ICL_RELU) return V(max)(zero, x);
  if (kind == ICL_GELU_ERF) e = V(mul1)(xx, -0.5f);
  else e = V(mul)(x, V(mul1_plus)(xx, -ICL__GELU_A * ICL__GELU_B, -ICL__GELU_A));
  e = V(exp)(e);
  if (kind != ICL_GELU_ERF) return V(mul)(x, V(recip)(V(add1)(e, 1.0f)));
  return V(fma)(V(sub)(zero, V(abs)(x)), V(normal_tail)(x, e), V(max)(zero, x));
}

/* n a multiple of ICL__W.  kind is a constant at every call, except on Helium, where code is
 * scarce. */
ICL__INLINE void V(activate_whole)(const icl_activation kind, float *out, const float *x, size_t n)
{
  size_t i;
  for (i = 0; i < n; i += ICL__W) V(store)(out + i, V(activate1)(V(load)(x + i), kind));
}
ICL__KERNEL void V(activate_vectors)(float *out, const float *x, size_t n, icl_activation kind)
{
  if (ICL__MVE) V(activate_whole)(kind, out, x, n);
  else if (kind == ICL_RELU) V(activate_whole)(ICL_RELU, out, x, n);
  else if (kind == ICL_GELU_ERF) V(activate_whole)(ICL_GELU_ERF, out, x, n);
  else V(activate_whole)(ICL_GELU_TANH, out, x, n);
}

/* relu would turn an overflow to -infinity into 0; it becomes NaN. */
ICL__KERNEL void V(activate)(float *out, float *x, size_t n, icl_activation kind)
{
  const int overflow = kind == ICL_RELU && V(overflow_in)(x, n);
  const size_t whole = n / ICL__W * ICL__W;
  float tmp[ICL__W];
  V(activate_vectors)(out, x, whole, kind);
  if (whole < n) {
    V(store)(tmp, V(load_n)(x + whole, n - whole));
    V(activate_vectors)(tmp, tmp, ICL__W, kind);
    V(store_n)(out + whole, V(load)(tmp), n - whole);
  }
  if (overflow) icl__spoil(out, 1);
}

/* In squares of eight; the rest one by one. */
ICL__KERNEL void V(transpose_all)(float *out, size_t out_row, const float *x, size_t row, size_t m,
                                  size_t n)
{
  size_t i, j, rows = m & ~(size_t)7, cols = n & ~(size_t)7;
  for (i = 0; i < rows; i += 8)
    for (j = 0; j < cols; j += 8)
      V(transpose)(out + j * out_row + i, out_row, x + i * row + j, row);
  icl__transpose_ref(out + cols * out_row, out_row, x + cols, row, rows, n - cols);
  icl__transpose_ref(out + rows, out_row, x + rows * row, row, m - rows, n);
}

ICL__KERNEL void V(axpy)(float *y, float a, const float *x, size_t n)
{
  V(t) k = V(set1)(a);
  size_t i = 0;
  for (; i + ICL__W <= n; i += ICL__W)
    V(store)(y + i, V(fma)(k, V(load)(x + i), V(load)(y + i)));
  if (i < n) V(put)(y, V(fma)(k, V(get)(x, i, n), V(get)(y, i, n)), i, n);
}

ICL__KERNEL float V(dot)(const float *a, const float *b, size_t n)
{
#define ICL__ADD_PRODUCT(s, whole, i) V(fma)(V(at)(whole, a, i, n), V(at)(whole, b, i, n), s)
  V(t) s0, s1;
  size_t i;
  ICL__SUM(n, ICL__ADD_PRODUCT);
  return V(sum)(s0, s1);
}

#if ICL__MVE
ICL__KERNEL void V(dots_in_order)(float *out, size_t out_row, const float *a, const float *b,
                                  size_t row, size_t rows, size_t n)
{
  size_t i;
  for (; rows; rows--, a += row, b += row, out += out_row)
    for (*out = 0.0f, i = 0; i < n; i++) *out = fmaf(a[i], b[i], *out);
}
#else
/* Six chains side by side hide the latency of each; missing rows repeat the first. */
ICL__KERNEL void V(dots_in_order)(float *out, size_t out_row, const float *a, const float *b,
                                  size_t row, size_t rows, size_t n)
{
#define ICL__CHAIN_DECLARE(i) float s##i = 0.0f; const size_t r##i = rows > i ? i * row : 0;
#define ICL__CHAIN_STEP(i) s##i = ICL__MUL_ADD(a[r##i], b[r##i], s##i);
#define ICL__CHAIN_STORE(i) if (rows > i) out[i * out_row] = s##i;
#if ICL__WASM
#define ICL__MUL_ADD(x, y, z) (x) * (y) + (z)
#else
#define ICL__MUL_ADD(x, y, z) fmaf(x, y, z)
#endif
  ICL__EACH_ROW(ICL__CHAIN_DECLARE)
  for (; n; n--, a++, b++) { ICL__EACH_ROW(ICL__CHAIN_STEP) }
  ICL__EACH_ROW(ICL__CHAIN_STORE)
}
#endif

static const icl__ops V(ops) = {
#if ICL__MVE
  "mve", 0, V(mm_few), NULL, V(layernorm), V(softmax), V(activate), icl__transpose_ref, V(axpy),
#else
  ICL__W == 16 ? "avx512" : ICL__X86 ? "avx2" : ICL__NEON ? "neon" : "wasm128", ICL__COLUMNS,
  V(mm), V(panels), V(layernorm), V(softmax), V(activate), V(transpose_all), V(axpy),
#endif
  V(dot), V(dots_in_order)
};

#pragma pop_macro("V")
#endif /* ICL__PASS */

/* ---------------------------------------------------------------------------------------------
 * >>dispatch
 * ------------------------------------------------------------------------------------------- */
#if defined ICL_IMPLEMENTATION && !defined ICL__PASS && !defined ICL__DISPATCHED
#ifndef ICL_FILE
#define ICL_FILE "icl.h"           /* beside this file; define ICL_FILE where it has another name */
#endif

#if ICL__AVX512
#define ICL__PASS icl__v16
#define ICL__W 16
#include ICL_FILE
#undef ICL__PASS
#undef ICL__W
#endif

#if ICL__SIMD
#define ICL__PASS icl__v8
#define ICL__W 8
#include ICL_FILE
#undef ICL__PASS
#undef ICL__W
#endif

#if ICL__X86
/* eax, ebx, ecx, edx of a leaf of cpuid, its subleaf 0.  Compilers may hold rbx, so it goes through
 * rsi; __cpuid of <cpuid.h> names no register there, and clang 14 picks rdx, which cpuid writes. */
static void icl__cpuid(unsigned leaf, unsigned r[4])
{
#if ICL__GNU
  __asm__ volatile("{movq %%rbx, %%rsi|mov rsi, rbx}\n\tcpuid\n\t"
                   "{xchgq %%rbx, %%rsi|xchg rsi, rbx}"
                   : "=a"(r[0]), "=S"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
#else
  int i, info[4];
  __cpuidex(info, (int)leaf, 0);
  for (i = 0; i < 4; i++) r[i] = (unsigned)info[i];
#endif
}

/* Leaf 1 and leaf 7 of cpuid, and the registers that the system saves: bits of XCR0. */
typedef struct icl__cpu { unsigned ecx1, ebx7, saved; } icl__cpu;
static icl__cpu icl__ask_cpu(void)
{
  icl__cpu cpu = {0, 0, 0};
  unsigned r[4], last;
  icl__cpuid(0, r);
  last = r[0];
  icl__cpuid(1, r);
  cpu.ecx1 = r[2];
#if ICL__GNU
  if (cpu.ecx1 & 1u << 27) __asm__ volatile("xgetbv" : "=a"(cpu.saved) : "c"(0) : "edx");
#else
  if (cpu.ecx1 & 1u << 27) cpu.saved = (unsigned)_xgetbv(0);
#endif
  if (last < 7) return cpu;
  icl__cpuid(7, r);
  cpu.ebx7 = r[1];
  return cpu;
}
#endif

/* 1 if this processor has what the kernels need. */
static int icl__can_run(const icl__ops *o)
{
#if ICL__X86
  const unsigned fma_f16c = 1u << 12 | 1u << 29, avx2 = 1u << 5;
  const unsigned avx512 = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;      /* F, DQ, BW, VL */
  icl__cpu cpu;
  if (o == &icl__ops_ref) return 1;
  cpu = icl__ask_cpu();
  if (~cpu.ecx1 & fma_f16c || ~cpu.saved & 6 || ~cpu.ebx7 & avx2) return 0;
  return o->columns < 32 || !(~cpu.saved & 0xe6 || ~cpu.ebx7 & avx512);
#else
  (void)o;
  return 1;
#endif
}

/* All kernels of this build, the best first. */
static const icl__ops *const icl__all_ops[] = {
#if ICL__AVX512
  &icl__v16_ops,
#endif
#if ICL__SIMD
  &icl__v8_ops,
#endif
#if !ICL__MVE
  &icl__ops_ref
#endif
};

static const icl__ops *icl__ops_best(void)
{
  size_t i = 0;
  while (!icl__can_run(icl__all_ops[i])) i++;            /* the last one always can */
  return icl__all_ops[i];
}

const char *icl_isa_name(const icl_model *m) { return m && m->ops ? m->ops->name : "none"; }

icl_error icl_model_isa(icl_model *m, const char *name)
{
  size_t i;
  for (i = 0; m && i < sizeof icl__all_ops / sizeof *icl__all_ops; i++) {
    if (name && strcmp(name, icl__all_ops[i]->name)) continue;
    if (icl__can_run(icl__all_ops[i])) { m->ops = icl__all_ops[i]; return ICL_OK; }
    if (name) return ICL_ERR_LIMIT;
  }
  return ICL_ERR_ARG;
}

void icl_force_plain(icl_model *m) { icl_model_isa(m, "c"); }

#define ICL__DISPATCHED
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
#pragma pop_macro("abs")
#pragma pop_macro("log2")
#pragma pop_macro("max")
#pragma pop_macro("min")
#pragma pop_macro("round")
#pragma pop_macro("C")
#pragma pop_macro("D")
#pragma pop_macro("H")
#pragma pop_macro("L")
#pragma pop_macro("T")
#endif /* ICL_IMPLEMENTATION */

/*
 * MIT License
 *
 * Copyright (c) 2026 The icl.h authors
 *
 * Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
 * associated documentation files (the "Software"), to deal in the Software without restriction,
 * including without limitation the rights to use, copy, modify, merge, publish, distribute,
 * sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
 * furnished to do so, subject to the following conditions:
 *
 * The above copyright notice and this permission notice shall be included in all copies or
 * substantial portions of the Software.
 *
 * THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
 * NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
 * NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
 * DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
 * OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE. */
