/* What the subcommands of icl share: options, numbers, CSV lines, ways to end.
 * SPDX-License-Identifier: MIT
 *
 * Data go to stdout, talk goes to stderr.  Exit status: 0, 1 for a failed run, 2 for bad usage.
 * Nothing here calls setlocale, so the C library reads and writes numbers as in the C locale,
 * whatever the user's is. */
#ifndef ICL_TOOLS_COMMON_H
#define ICL_TOOLS_COMMON_H

#include "icl.h"

#include <float.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#if defined(__GNUC__)
#define NORETURN __attribute__((noreturn))
#ifdef __MINGW32__
#define PRINTF(text, rest) __attribute__((format(gnu_printf, text, rest)))   /* which knows %zu */
#else
#define PRINTF(text, rest) __attribute__((format(printf, text, rest)))
#endif
#else
#define NORETURN
#define PRINTF(text, rest)
#endif

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_STOPPED = 130 };

/* ----- commands and their options ----------------------------------------------------------- */

/* One subcommand; icl.c has the table of them. */
typedef struct command {
  const char *name;
  const char *summary;             /* for the list of commands                                */
  const char *operands;            /* of the usage line: "MODEL [FILE.csv]"                   */
  const char *about;               /* the help's first paragraph                              */
  int (*run)(int argc, char **argv);   /* argv[0] is the name; returns the exit status        */
} command;

extern const command cmd_info, cmd_predict, cmd_train, cmd_eval, cmd_repro, cmd_bench, cmd_embed;
extern const command cmd_quantize, cmd_check, cmd_tasks, cmd_sample;

typedef enum option_kind {
  OPTION_END, OPTION_FLAG, OPTION_INT, OPTION_COUNT, OPTION_SEED, OPTION_REAL, OPTION_TEXT,
  OPTION_CHOICE
} option_kind;

/* One row of a command's option table: the parser and the help both walk it.  The value holds the
 * default before parsing. */
typedef struct option {
  option_kind kind;
  const char *name;                /* "--steps"                                               */
  const char *arg;                 /* its value in the help; of a choice: all, as "a|b|c"     */
  union {
    int *integer;                  /* flag (0 or 1), int, choice (index into arg)             */
    int64_t *count;
    uint64_t *seed;
    float *real;
    const char **text;
  } value;
  double min, max;                 /* both allowed                                            */
  const char *help;                /* may have several lines                                  */
} option;

#define OPT_FLAG(name, p, help)             {OPTION_FLAG, name, NULL, {.integer = p}, 0, 1, help}
#define OPT_INT(name, arg, p, lo, hi, help) {OPTION_INT, name, arg, {.integer = p}, lo, hi, help}
#define OPT_COUNT(name, arg, p, lo, help)   {OPTION_COUNT, name, arg, {.count = p}, lo, 1e15, help}
#define OPT_SEED(name, arg, p, help)        {OPTION_SEED, name, arg, {.seed = p}, 0, 0, help}
#define OPT_REAL(name, arg, p, lo, hi, help) {OPTION_REAL, name, arg, {.real = p}, lo, hi, help}
/* The same for a value whose limits somebody else checks. */
#define OPT_ANY_INT(name, arg, p, help)     OPT_INT(name, arg, p, 0, INT_MAX, help)
#define OPT_ANY_REAL(name, arg, p, help)    OPT_REAL(name, arg, p, -FLT_MAX, FLT_MAX, help)
#define OPT_TEXT(name, arg, p, help)        {OPTION_TEXT, name, arg, {.text = p}, 0, 0, help}
#define OPT_CHOICE(name, all, p, help)      {OPTION_CHOICE, name, all, {.integer = p}, 0, 0, help}
#define OPT_END                             {OPTION_END, NULL, NULL, {NULL}, 0, 0, NULL}

#define TINY_REAL 1e-30            /* the least that an option takes which must be positive   */

/* Reads argv[1..] by the table, prints the help and exits for --help, and exits for bad usage.
 * operands[max] gets what is no option; returns how many.  "--" ends the options.
 *
 * Where the table has --config FILE, that and @FILE read options from a file, a line each: the name,
 * with or without its dashes, then the value; # comments.  They come before all others of the
 * line, which win. */
int parse_options(const command *cmd, const option *table, int argc, char **argv,
                  const char **operands, int max);

/* Writes the options of the table that have a value as such a file has them, but those in
 * skip[n_skip]. */
void print_options(FILE *out, const option *table, const char *const *skip, int n_skip);

/* Which of names[n] a mistyped one is meant to be, or NULL. */
const char *nearest_name(const char *typed, const char *const *names, int n);

/* Entry i of "a|b|c", which is *width characters long. */
const char *choice_name(const char *choices, int i, int *width);

/* The values of icl_position and icl_activation, in their order. */
#define POSITION_CHOICES "learned|sinusoidal|none|alternating"
#define TOKEN_CHOICES "apart|joint"
#define ACTIVATION_CHOICES "gelu_new|gelu|relu"
#define STORAGE_CHOICES "f32|f16|bf16|i8"     /* icl_storage                                    */
#define X_CHOICES "normal|uniform|data"        /* icl_input_kind                                 */
#define BASELINE_HELP \
  "of ols, ridge:L, lasso:A, knn:K, avg, zero, tree:D, net:H,\nnet:H:N, bayes, bayes:S, with commas between"

/* ----- ways to end --------------------------------------------------------------------------- */

/* "icl CMD: text (icl CMD --help tells more)", exit 2. */
void usage_error(const command *cmd, const char *format, ...) NORETURN PRINTF(2, 3);

/* "icl: PATH: text", exit 1. */
void fail(const char *path, const char *format, ...) NORETURN PRINTF(2, 3);

/* "icl: PATH: text (byte N)", exit 1; without the byte where the fault is none of the file's. */
void fail_report(const char *path, const icl_report *r) NORETURN;

/* Goes on where e is ICL_OK; otherwise "icl: what: the error's text", exit 1. */
void check(icl_error e, const char *what);

/* Flushes stdout; exit 1 where anything written to it was lost. */
void flush_output(void);

/* ----- files that are written ---------------------------------------------------------------- */

/* A file in memory, which close_output writes, whole or not at all.  Its text goes to o->file. */
typedef struct output {
  FILE *file;
  const char *path;
  char *data;
  size_t size;
} output;

void open_output(output *o, const char *path);
void close_output(output *o);      /* exit 1 where it cannot be written                       */

/* The same for bytes that are there already. */
void write_output(const char *path, const void *data, size_t size);

/* For the beginning of the work that path is to hold: exit 1 where it is there already and force is
 * 0, or cannot be written; bad usage where it is the file input (NULL: none), whatever force is. */
void protect_output(const command *cmd, const char *path, const char *input, int force);

/* 1 if there is something of that name; 1 if both are there and the same file.  Exit 1 where the
 * system cannot say. */
int file_exists(const char *path);
int same_file(const char *a, const char *b);

#define FORCE_HELP "overwrite what is there already"

/* ----- small things -------------------------------------------------------------------------- */

/* The model in a checkpoint file, or exit 1. */
icl_model *load_model(const char *path);

/* Pairs of the prompts to hold a model against: `wanted`, or for 0 as many as its positions are for,
 * those of its training.  Bad usage where it has no positions for that many. */
int prompt_pairs(const command *cmd, const icl_model *m, int wanted);

/* The bytes of a regular file, which the caller frees; exit 1 where it cannot be read.  NULL for what
 * is none, such as a pipe: it cannot be read a second time. */
void *read_file(const char *path, size_t *size);

/* Memory for count objects of size bytes, all zero, or exit 1. */
void *allocate(size_t count, size_t size);

/* A text of one's own, to be freed: head followed by tail. */
char *join(const char *head, const char *tail);

/* Seconds on a clock that only runs forwards. */
double seconds(void);

/* Processors that this process may use, from 1 to most: by its affinity and its cgroup's quota,
 * where there are such things. */
int processors(int most);

/* Writes the processor's name, "unknown" where the system does not tell; returns name. */
const char *processor_name(char *name, size_t size);

/* Sorts v[n], the least first. */
void sort_doubles(double *v, size_t n);

/* The median of v[n], which it sorts; n > 0. */
double median(double *v, size_t n);

/* ----- numbers and CSV lines ----------------------------------------------------------------- */

typedef enum number_error { NUMBER_OK, NUMBER_BAD, NUMBER_NONFINITE } number_error;

/* A decimal number that fits a float, and nothing else in the text.  NaN, infinity, and what is too
 * large for a float are NUMBER_NONFINITE. */
number_error parse_number(const char *text, double *value);

typedef struct line_reader {
  FILE *file;
  const char *name;                /* for messages                                            */
  char *text;                      /* the line, without its end                               */
  size_t capacity;
  long number;                     /* of the line, from 1                                     */
} line_reader;

/* Opens a file; NULL and "-" mean stdin. */
line_reader open_lines(const char *path);
void close_lines(line_reader *r);

/* The next line that is neither blank nor a # comment is in r->text: 1; 0 at the end.  It asks the
 * system for no more than it must, so that a line from a pipe is seen at once. */
int next_line(line_reader *r);

/* Makes a field fit for a message: 40 printable ASCII characters at most. */
const char *printable(char *field);

/* Cuts the next field off a line, without blanks around it; NULL after the last one. */
char *next_field(char **rest, char separator);

#endif
