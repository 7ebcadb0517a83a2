/* icl eval: the error of a model on a task, by the number of pairs in its context.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "evaluate.h"
#include "functions.h"
#include "plot.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- results ------------------------------------------------------------------------------- */

/* A number, or nothing where there was no query. */
static void print_number(double value)
{
  putchar(',');
  if (isfinite(value)) printf("%.9g", value);
}

static void print_names(const evaluation *v, const char *ending)
{
  int i;
  for (i = 0; i < v->n; i++) printf(",%s%s", v->p[i].name, ending);
}

/* ",model-ols,model-ols_se" for all but the reference, or their numbers in column c. */
static void print_paired_names(const evaluation *v, int reference)
{
  const char *name = v->p[reference].name;
  int i;
  for (i = 0; i < v->n; i++)
    if (i != reference) printf(",%s-%s,%s-%s_se", v->p[i].name, name, v->p[i].name, name);
}

static void print_paired(const evaluation *v, int reference, int c)
{
  int i;
  for (i = 0; i < v->n; i++) {
    double error = 0;
    if (i == reference) continue;
    print_number(paired_difference(v, i, reference, c, &error));
    print_number(error);
  }
}

/* low and high are NULL where no band is wanted; reference -1: no differences. */
static void print_table(const evaluation *v, int medians, int errors, int reference,
                        const double *low, const double *high)
{
  int c, i;
  putchar('k');
  print_names(v, "");
  if (errors) print_names(v, "_se");
  if (reference >= 0) print_paired_names(v, reference);
  if (medians) print_names(v, "_median");
  if (low) print_names(v, "_low");
  if (low) print_names(v, "_high");
  putchar('\n');
  for (c = 0; c < v->n_k; c++) {
    printf("%d", v->pairs + 1 - v->n_k + c);
    for (i = 0; i < v->n; i++) print_number(mean_error(v, i, c));
    for (i = 0; i < v->n && errors; i++) print_number(standard_error(v, i, c));
    if (reference >= 0) print_paired(v, reference, c);
    for (i = 0; i < v->n && medians; i++) print_number(median_error(v, i, c));
    for (i = 0; i < v->n && low; i++) print_number(low[i * v->n_k + c]);
    for (i = 0; i < v->n && low; i++) print_number(high[i * v->n_k + c]);
    putchar('\n');
  }
  flush_output();
}

static void plot_means(const evaluation *v, const char *title, int log_y, const double *low,
                       const double *high, const char *path)
{
  const int n = v->n_k;
  double *x = allocate((size_t)n, sizeof *x), *y = allocate((size_t)(n * v->n), sizeof *y);
  plot_series series[MAX_PREDICTORS];
  plot p;
  int i, k;
  memset(&p, 0, sizeof p);
  memset(series, 0, sizeof series);
  for (k = 0; k < n; k++) x[k] = k;
  for (i = 0; i < v->n; i++) {
    for (k = 0; k < n; k++) y[i * n + k] = mean_error(v, i, k);
    series[i].name = v->p[i].name;
    series[i].n = n;
    series[i].x = x;
    series[i].y = y + i * n;
    series[i].low = low ? low + i * n : NULL;
    series[i].high = low ? high + i * n : NULL;
  }
  p.title = title;
  p.x_label = "pairs in context k";
  p.y_label = "squared error";
  p.series = series;
  p.n_series = v->n;
  p.log_y = log_y;
  plot_write(NULL, &p, 1, 1, path);
  free(x);
  free(y);
}

/* ----- the command --------------------------------------------------------------------------- */

static int has_class(const icl_task *t, const char *name)
{
  int i;
  for (i = 0; i < t->n_nodes; i++)
    if (!strcmp(icl_class_at(t->node[i].kind)->name, name)) return 1;
  return 0;
}

/* Ends where bayes is not the optimum of these prompts.  --order is no obstacle: f is drawn after
 * x.  With data's inputs sparse has fewer inputs to choose from than its prior says. */
static void refuse_bayes(const evaluation *v)
{
  const icl_sampling *s = &v->sampling;
  if (v->draw) usage_error(&cmd_eval, "--baselines: bayes wants a --task, not --data");
  if (!icl_bayes_supported(&v->task))
    usage_error(&cmd_eval, "--baselines: bayes is not known for this task");
  if (s->standardize)
    usage_error(&cmd_eval, "--baselines: bayes is not known for prompts that are standardized");
  if (s->inputs == ICL_INPUTS_DATA && v->task.n_dims > 1 && has_class(&v->task, "sparse"))
    usage_error(&cmd_eval, "--baselines: bayes is not known for sparse and inputs of data");
  if (s->y_scale < 1 || s->y_scale > 1)
    fprintf(stderr, "icl eval: bayes does not know of the outputs' scale\n");
}

/* Cuts the list (NULL: none) at its commas and keeps the pieces as names. */
static void parse_baselines(evaluation *v, char *list)
{
  icl_report r = {ICL_OK, 0, ""};
  icl_baseline b;
  char *name;
  for (name = next_field(&list, ','); name; name = next_field(&list, ',')) {
    if (v->n >= MAX_PREDICTORS) usage_error(&cmd_eval, "more than %d columns", MAX_PREDICTORS);
    if (icl_baseline_parse(&b, name, &r))
      usage_error(&cmd_eval, "--baselines, '%s': %s", name, r.text);
    if (b.kind == ICL_BASELINE_BAYES) refuse_bayes(v);
    if (!icl_baseline_scratch(&b, v->pairs + 1, v->task.n_dims))
      usage_error(&cmd_eval, "%s: too many pairs or inputs", name);
    add_baseline(v, name, name, NULL);
  }
}

/* The models of --with; the column of each has the name of its file. */
static void load_others(evaluation *v, char *list, icl_model **models)
{
  char *path;
  for (path = next_field(&list, ','); path; path = next_field(&list, ',')) {
    if (v->n >= MAX_PREDICTORS) usage_error(&cmd_eval, "more than %d columns", MAX_PREDICTORS);
    *models = load_model(path);
    add_model(v, path, *models++);
  }
}

/* What the options say beside the evaluation itself; NULL where they say nothing. */
typedef struct request {
  const char *model, *task, *data, *baselines, *others, *picture, *paired;
  float holdout;
  int given;                       /* 1: --task is                                            */
  int medians, errors, band, log_y, xs, force, inputs;   /* inputs: -1 where not given */
} request;

static request parse_request(evaluation *v, int argc, char **argv)
{
  request q = {NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, -1};
  const option table[] = {
    OPT_TEXT("--task", "SPEC", &q.task,
             "what to draw functions from; otherwise what it was trained on"),
    OPT_TEXT("--data", "F.csv", &q.data,
             "ask for these functions instead: rows function_id,x1,...,xd,y"),
    OPT_REAL("--holdout", "SHARE", &q.holdout, TINY_REAL, 1,
             "only those of them that icl train --holdout SHARE left out,\n0.1 without it; 1: all"),
    OPT_INT("--pairs", "P", &v->pairs, 1, 16384,
            "pairs of a prompt; otherwise as many as in training"),
    OPT_FLAG("--last", &v->at, "only k = P - 1, which is quicker"),
    OPT_INT("--prompts", "M", &v->prompts, 1, INT_MAX / 2, "prompts to average over"),
    OPT_SEED("--seed", "S", &v->seed, "of the prompts"),
    OPT_TEXT("--with", "LIST", &q.others, "other models beside MODEL, with commas between"),
    OPT_TEXT("--baselines", "LIST", &q.baselines, BASELINE_HELP),
    OPT_FLAG("--median", &q.medians, "print the medians as well"),
    OPT_FLAG("--se", &q.errors, "print the standard errors of the means as well"),
    OPT_TEXT("--paired", "REF", &q.paired,
             "print the mean differences to this column, prompt by prompt,\n"
             "and their standard errors as well"),
    OPT_FLAG("--band", &q.band,
             "print the 5 % and 95 % quantiles of the mean over 1000\nbootstrap resamples as well"),
    OPT_TEXT("--plot", "FILE", &q.picture, "draw the means: FILE.svg or FILE.png"),
    OPT_FLAG("--log-y", &q.log_y, "with a logarithmic axis"),
    OPT_FLAG("--force", &q.force, FORCE_HELP),
    OPT_CHOICE("--distribution", DISTRIBUTION_CHOICES, &q.xs,
               "of x, as in Garg et al.: the context's and the query's;\n"
               "tools/evaluate.h explains all"),
    OPT_CHOICE("--x", X_CHOICES, &q.inputs,
               "distribution of inputs; this and the next ones otherwise as in\n"
               "training, where --task is left out"),
    OPT_FLAG("--order", &v->sampling.order, "pairs in the orders that data come in"),
    OPT_FLAG("--standardize", &v->sampling.standardize, "scale prompts by their first pairs"),
    OPT_REAL("--x-scale", "F", &v->sampling.x_scale, TINY_REAL, 1e6, "inputs times F"),
    OPT_REAL("--y-scale", "F", &v->sampling.y_scale, TINY_REAL, 1e6, "outputs times F"),
    OPT_INT("--threads", "T", &v->threads, 1, ICL_MAX_THREADS, "the result does not depend on it"),
    OPT_END
  };
  if (!parse_options(&cmd_eval, table, argc, argv, &q.model, 1)) usage_error(&cmd_eval, "no MODEL");
  if (q.picture && !plot_path_ok(q.picture))
    usage_error(&cmd_eval, "--plot wants FILE.svg or, in builds with libstb-dev, FILE.png");
  if (q.holdout > 0 && !q.data) usage_error(&cmd_eval, "--holdout is for --data");
  if (!(q.holdout > 0)) q.holdout = USUAL_HOLDOUT;
  if (q.data && q.task) usage_error(&cmd_eval, "--task and --data contradict each other");
  if (q.data && (q.xs || q.inputs >= 0 || v->sampling.order))
    usage_error(&cmd_eval, "--data has its own inputs: not --distribution, --x or --order");
  if (q.picture && v->at) usage_error(&cmd_eval, "--plot wants all k, --last only one");
  v->xs = (x_distribution)q.xs;
  if (q.inputs >= 0) v->sampling.inputs = (icl_input_kind)q.inputs;
  if (v->xs != X_STANDARD && (v->sampling.inputs || v->sampling.order || v->sampling.standardize))
    usage_error(&cmd_eval, "--distribution has its own inputs: not --x, --order or --standardize");
  return q;
}

static void set_task(evaluation *v, const char *spec)
{
  icl_report r = {ICL_OK, 0, ""};
  if (!*spec) usage_error(&cmd_eval, "--task is required: the model does not say what it learned");
  if (icl_task_parse(&v->task, spec, v->p[0].model->config.n_dims, NULL, 0, &r))
    usage_error(&cmd_eval, "task '%s', character %zu: %s", spec, r.offset + 1, r.text);
}

/* Draws prompts as the model was trained on, where the task is the model's, but for what an option
 * says. */
static void choose_sampling(evaluation *v, const request *q)
{
  const icl_sampling said = v->sampling;
  icl_sampling *s = &v->sampling;
  const int any = q->inputs >= 0 || said.order || said.standardize || !isnan(said.x_scale)
                  || !isnan(said.y_scale);
  const char *trained = v->p[0].model->sampling;
  s->x_scale = s->y_scale = 1;
  if (!q->given && v->xs == X_STANDARD)
    sample_as_trained(any ? NULL : &cmd_eval, s, v->p[0].model, q->model);
  if (!q->given && *trained && v->xs != X_STANDARD)
    fprintf(stderr, "icl eval: --distribution, and nothing that training had: %s\n", trained);
  else if (!q->given && *trained && any)
    fprintf(stderr, "icl eval: prompts drawn as in training, but for the options: %s\n", trained);
  if (q->inputs >= 0) s->inputs = said.inputs;
  if (said.order) s->order = 1;
  if (said.standardize) s->standardize = 1;
  if (!isnan(said.x_scale)) s->x_scale = said.x_scale;
  if (!isnan(said.y_scale)) s->y_scale = said.y_scale;
  if (!q->data) return;
  v->sampling.inputs = ICL_INPUTS_NORMAL;    /* of data that were drawn */
  v->sampling.order = 0;
}

/* The functions of --data; without --pairs as many pairs as they have, and the model takes. */
static void set_data(evaluation *v, const request *q, function_table *table)
{
  functions *f = &table->held_out;
  const int d = v->p[0].model->config.n_dims;
  *table = read_functions(q->data, (double)q->holdout);
  if (f->d != d) fail(q->data, "has %d input%s, the model %d", f->d, f->d == 1 ? "" : "s", d);
  if (!v->pairs) {
    const int most = prompt_pairs(&cmd_eval, v->p[0].model, 0);
    v->pairs = f->least < most ? f->least : most;
  }
  check_rows(q->data, f, v->pairs);
  v->draw = draw_rows;
  v->draw_user = f;
  v->task.n_dims = d;
  fprintf(stderr, "icl eval: %d of %d functions\n", f->n, f->n + table->training.n);
}

/* The column that --paired names, -1 where it is not given. */
static int find_reference(const evaluation *v, const char *name)
{
  int i;
  if (!name) return -1;
  for (i = 0; i < v->n; i++) if (!strcmp(v->p[i].name, name)) return i;
  usage_error(&cmd_eval, "--paired: no column '%s'", name);
}

static void report(const evaluation *v, const request *q)
{
  const size_t n = (size_t)v->n * (size_t)v->n_k;
  double *low = q->band ? allocate(n, sizeof *low) : NULL;
  double *high = q->band ? allocate(n, sizeof *high) : NULL;
  if (q->band) bootstrap_band(v, low, high);
  if (q->picture) plot_means(v, q->task, q->log_y, low, high, q->picture);
  print_table(v, q->medians, q->errors, find_reference(v, q->paired), low, high);
  free(low);
  free(high);
}

static int run(int argc, char **argv)
{
  evaluation v;
  request q;
  icl_model *models[MAX_PREDICTORS + 1] = {NULL};
  function_table table;
  char *list, *others;
  int i;
  memset(&v, 0, sizeof v);
  memset(&table, 0, sizeof table);
  v.unit = 1;
  v.prompts = 1280;                /* as in Garg et al. */
  v.sampling.x_scale = v.sampling.y_scale = NAN;   /* not given */
  v.threads = processors(ICL_MAX_THREADS);
  q = parse_request(&v, argc, argv);
  if (q.picture) protect_output(&cmd_eval, q.picture, q.model, q.force);
  models[0] = load_model(q.model);
  add_model(&v, "model", models[0]);
  q.given = q.task != NULL;
  if (!q.task) q.task = q.data ? q.data : models[0]->task;
  if (q.log_y && !q.picture) usage_error(&cmd_eval, "--log-y is for --plot");
  if (q.data) set_data(&v, &q, &table);
  else set_task(&v, q.task);
  choose_sampling(&v, &q);
  v.pairs = prompt_pairs(&cmd_eval, models[0], v.pairs) - 1;
  if (!v.pairs && v.xs != X_STANDARD)
    usage_error(&cmd_eval, "--distribution wants prompts of 2 pairs or more");
  others = q.others ? join(q.others, "") : NULL;
  load_others(&v, others, models + 1);
  list = q.baselines ? join(q.baselines, "") : NULL;
  parse_baselines(&v, list);
  find_reference(&v, q.paired);
  evaluate(&v);
  report(&v, &q);
  free_evaluation(&v);
  free_functions(&table);
  free(list);
  free(others);
  for (i = 0; models[i]; i++) icl_unload(models[i]);
  return EXIT_SUCCESS;
}

const command cmd_eval = {
  "eval", "the error of a model by the number of pairs, beside baselines", "MODEL [options]",
  "Prints k,model,...: the mean squared error of the model, and of baselines that see the same\n"
  "pairs, with k = 0 to P - 1 pairs in context.  Every prompt has P pairs of a new function.",
  run
};
