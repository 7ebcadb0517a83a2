/* icl eval: the error of a model on a task, by the number of pairs in its context.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include "icl_train.h"
#include "plot.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BASELINES = 16, PROMPTS_AT_ONCE = 64 };

/* Prompts for evaluation come from a stream of random numbers that no training step reads. */
#define EVAL_STREAM ((uint64_t)1 << 47)

typedef struct evaluation {
  const icl_model *model;
  icl_task task;
  icl_sampling sampling;
  uint64_t seed;
  int pairs, prompts, threads;
  int n_columns;                   /* column 0 is the model, then come the baselines          */
  const char *name[1 + MAX_BASELINES];
  icl_baseline baseline[1 + MAX_BASELINES];      /* [0] is not used                           */
  double *errors;                  /* [n_columns][pairs + 1][prompts] squared                 */
} evaluation;

/* [prompts] the squared errors of a column with k pairs in context. */
static double *errors_at(const evaluation *v, int column, int k)
{
  const size_t row = (size_t)column * ((size_t)v->pairs + 1) + (size_t)k;
  return v->errors + row * (size_t)v->prompts;
}

static double square(double x) { return x * x; }

/* ----- prompts and predictions --------------------------------------------------------------- */

/* Some prompts of pairs + 1 pairs, and what the model predicts: y_k from the k pairs before it. */
typedef struct block {
  float *xs, *ys, *preds;          /* [n][pairs + 1][d], [n][pairs + 1], [n][pairs + 1]       */
  float *function;
  void *scratch;                   /* of the baselines                                        */
  icl_batch *batch;
} block;

static block new_block(const evaluation *v)
{
  const size_t n = (size_t)PROMPTS_AT_ONCE * ((size_t)v->pairs + 1);
  size_t bytes = 0;
  block b;
  int i;
  for (i = 1; i < v->n_columns; i++) {
    const size_t need = icl_baseline_scratch(&v->baseline[i], v->pairs, v->task.n_dims);
    if (!need) usage_error(&cmd_eval, "%s: too many pairs or inputs", v->name[i]);
    if (need > bytes) bytes = need;
  }
  b.xs = allocate(n * (size_t)v->task.n_dims, sizeof *b.xs);
  b.ys = allocate(n, sizeof *b.ys);
  b.preds = allocate(n, sizeof *b.preds);
  b.function = allocate(icl_prompt_scratch(&v->task), sizeof *b.function);
  b.scratch = allocate(bytes, 1);
  check(icl_batch_new(&b.batch, v->model, v->pairs + 1, v->threads), "model");
  return b;
}

static void free_block(block *b)
{
  icl_batch_delete(b->batch);
  free(b->xs);
  free(b->ys);
  free(b->preds);
  free(b->function);
  free(b->scratch);
}

/* Draws prompts first .. first + n - 1; each depends on the seed and its own number only. */
static void draw_prompts(const evaluation *v, block *b, int first, int n)
{
  const size_t width = (size_t)v->pairs + 1;
  int i;
  for (i = 0; i < n; i++) {
    const size_t at = (size_t)i * width;
    icl_rng rng;
    icl_rng_init(&rng, v->seed, EVAL_STREAM, (uint64_t)(first + i));
    check(icl_prompt_sample(&v->task, &v->sampling, &rng, v->pairs + 1,
                            b->xs + at * (size_t)v->task.n_dims, b->ys + at, NULL, b->function),
          "drawing a prompt");
  }
}

static void model_errors(const evaluation *v, block *b, int first, int n)
{
  const float *y = b->ys, *pred = b->preds;
  int i, k;
  check(icl_batch_predict(b->batch, n, b->xs, b->ys, b->preds), "model");
  for (i = 0; i < n; i++)
    for (k = 0; k <= v->pairs; k++, y++, pred++)
      errors_at(v, 0, k)[first + i] = square((double)*pred - (double)*y);
}

/* A baseline starts anew for each k: it sees the first k pairs and is asked at the next x. */
static void baseline_errors(const evaluation *v, const block *b, int column, int first, int n)
{
  const int d = v->task.n_dims;
  const size_t width = (size_t)v->pairs + 1;
  int i, k;
  for (i = 0; i < n; i++) {
    const float *x = b->xs + (size_t)i * width * (size_t)d, *y = b->ys + (size_t)i * width;
    for (k = 0; k <= v->pairs; k++) {
      float pred = 0;
      check(icl_baseline_predict(&v->baseline[column], &v->task, k, d, x, y, 1,
                                 x + (size_t)k * (size_t)d, &pred, b->scratch),
            v->name[column]);
      errors_at(v, column, k)[first + i] = square((double)pred - (double)y[k]);
    }
  }
}

static void evaluate(const evaluation *v)
{
  const int terminal = isatty(STDERR_FILENO);
  block b = new_block(v);
  int first, n, i;
  for (first = 0; first < v->prompts; first += n) {
    n = v->prompts - first < PROMPTS_AT_ONCE ? v->prompts - first : PROMPTS_AT_ONCE;
    draw_prompts(v, &b, first, n);
    model_errors(v, &b, first, n);
    for (i = 1; i < v->n_columns; i++) baseline_errors(v, &b, i, first, n);
    if (terminal) fprintf(stderr, "\r%d/%d prompts", first + n, v->prompts);
  }
  if (terminal) fputs("\r\033[K", stderr);
  free_block(&b);
}

/* ----- results ------------------------------------------------------------------------------- */

static double mean_error(const evaluation *v, int column, int k)
{
  const double *e = errors_at(v, column, k);
  double sum = 0;
  int i;
  for (i = 0; i < v->prompts; i++) sum += e[i];
  return sum / v->prompts;
}

static void print_table(const evaluation *v, int medians)
{
  int k, i;
  putchar('k');
  for (i = 0; i < v->n_columns; i++) printf(",%s", v->name[i]);
  for (i = 0; medians && i < v->n_columns; i++) printf(",%s_median", v->name[i]);
  putchar('\n');
  for (k = 0; k <= v->pairs; k++) {
    printf("%d", k);
    for (i = 0; i < v->n_columns; i++) printf(",%.9g", mean_error(v, i, k));
    for (i = 0; medians && i < v->n_columns; i++)
      printf(",%.9g", median(errors_at(v, i, k), (size_t)v->prompts));
    putchar('\n');
  }
  flush_output();
}

static void plot_means(const evaluation *v, const char *title, int log_y, const char *path)
{
  const size_t n = (size_t)v->pairs + 1;
  double *x = allocate(n, sizeof *x), *y = allocate(n * (size_t)v->n_columns, sizeof *y);
  plot_line lines[1 + MAX_BASELINES];
  plot p = {NULL, "pairs in context k", "squared error", 0, NULL, NULL, 0, 0};
  int i, k;
  for (k = 0; k <= v->pairs; k++) x[k] = k;
  for (i = 0; i < v->n_columns; i++) {
    for (k = 0; k <= v->pairs; k++) y[(size_t)i * n + (size_t)k] = mean_error(v, i, k);
    lines[i].name = v->name[i];
    lines[i].y = y + (size_t)i * n;
  }
  p.title = title;
  p.n = v->pairs + 1;
  p.x = x;
  p.lines = lines;
  p.n_lines = v->n_columns;
  p.log_y = log_y;
  plot_write(&p, path);
  free(x);
  free(y);
}

/* ----- the command --------------------------------------------------------------------------- */

/* Cuts the list (NULL: none) at its commas and keeps the pieces as names. */
static void parse_baselines(evaluation *v, char *list)
{
  icl_report r = {ICL_OK, 0, ""};
  char *name;
  for (name = next_field(&list, ','); name; name = next_field(&list, ',')) {
    icl_baseline *b = &v->baseline[v->n_columns];
    if (v->n_columns > MAX_BASELINES)
      usage_error(&cmd_eval, "--baselines: more than %d", MAX_BASELINES);
    if (icl_baseline_parse(b, name, &r))
      usage_error(&cmd_eval, "--baselines, '%s': %s", name, r.text);
    if (b->kind == ICL_BASELINE_BAYES && !icl_bayes_supported(&v->task))
      usage_error(&cmd_eval, "--baselines: bayes is not known for this task");
    v->name[v->n_columns++] = name;
  }
}

/* As many as the model has positions for, where the option does not say. */
static int count_pairs(const icl_config *c, int wanted)
{
  const int limit = (c->n_positions - 1) / 2;
  if (c->position_embedding_type == ICL_POSITION_LEARNED && wanted > limit)
    usage_error(&cmd_eval, "--pairs %d: this model takes %d at most", wanted, limit);
  if (!wanted && !limit)
    usage_error(&cmd_eval, "--pairs is required: the model does not say how many");
  return wanted ? wanted : limit;
}

/* What the options say beside the evaluation itself; NULL where they say nothing. */
typedef struct request {
  const char *model, *task, *baselines, *picture;
  int medians, log_y;
} request;

static request parse_request(evaluation *v, int argc, char **argv)
{
  request q = {NULL, NULL, NULL, NULL, 0, 0};
  const option table[] = {
    OPT_TEXT("--task", "SPEC", &q.task,
             "what to draw functions from; otherwise what it was trained on"),
    OPT_INT("--pairs", "P", &v->pairs, 1, 16384,
            "most pairs in context; otherwise as many as the model has\npositions for"),
    OPT_INT("--prompts", "M", &v->prompts, 1, INT_MAX / 2, "prompts to average over"),
    OPT_SEED("--seed", "S", &v->seed, "of the prompts"),
    OPT_TEXT("--baselines", "LIST", &q.baselines,
             "of ols, ridge:L, lasso:A, knn:K, avg, zero, bayes, bayes:S,\nwith commas between"),
    OPT_FLAG("--median", &q.medians, "print the medians as well"),
    OPT_TEXT("--plot", "FILE", &q.picture, "draw the means: FILE.svg or FILE.png"),
    OPT_FLAG("--log-y", &q.log_y, "with a logarithmic axis"),
    OPT_CHOICE("--x", X_CHOICES, &v->sampling.x_uniform, "distribution of inputs, variance 1"),
    OPT_REAL("--x-scale", "F", &v->sampling.x_scale, TINY_REAL, 1e6, "inputs times F"),
    OPT_REAL("--y-scale", "F", &v->sampling.y_scale, TINY_REAL, 1e6, "outputs times F"),
    OPT_INT("--threads", "T", &v->threads, 1, ICL_MAX_THREADS, "of the model"),
    OPT_END
  };
  if (!parse_options(&cmd_eval, table, argc, argv, &q.model, 1)) usage_error(&cmd_eval, "no MODEL");
  if (q.picture && !plot_path_ok(q.picture))
    usage_error(&cmd_eval, "--plot wants FILE.svg or, in builds with libstb-dev, FILE.png");
  return q;
}

static void set_task(evaluation *v, const char *spec)
{
  icl_report r = {ICL_OK, 0, ""};
  if (!*spec) usage_error(&cmd_eval, "--task is required: the model does not say what it learned");
  if (icl_task_parse(&v->task, spec, v->model->config.n_dims, NULL, 0, &r))
    usage_error(&cmd_eval, "task '%s', character %zu: %s", spec, r.offset + 1, r.text);
}

static int run(int argc, char **argv)
{
  evaluation v;
  request q;
  icl_model *model;
  char *list;
  memset(&v, 0, sizeof v);
  v.prompts = 1280;                /* as in Garg et al. */
  v.sampling.x_scale = v.sampling.y_scale = 1;
  v.threads = processors(ICL_MAX_THREADS);
  v.name[0] = "model";
  v.n_columns = 1;
  q = parse_request(&v, argc, argv);
  v.model = model = load_model(q.model);
  if (!q.task) q.task = model->task;
  set_task(&v, q.task);
  v.pairs = count_pairs(&model->config, v.pairs);
  list = q.baselines ? join(q.baselines, "") : NULL;
  parse_baselines(&v, list);
  v.errors = allocate((size_t)v.n_columns * ((size_t)v.pairs + 1) * (size_t)v.prompts,
                      sizeof *v.errors);
  evaluate(&v);
  if (q.picture) plot_means(&v, q.task, q.log_y, q.picture);
  print_table(&v, q.medians);      /* last: medians sort the errors */
  free(v.errors);
  free(list);
  icl_unload(model);
  return EXIT_SUCCESS;
}

const command cmd_eval = {
  "eval", "the error of a model by the number of pairs, beside baselines", "MODEL [options]",
  "Prints k,model,...: the mean squared error of the model, and of baselines that see the same\n"
  "pairs, with k = 0 to P pairs in context.  Every prompt has P + 1 pairs of a new function.",
  run
};
