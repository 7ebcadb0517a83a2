/* icl check: how good the model is on a person's own data, beside what he would use otherwise.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "answers.h"
#include "predictor.h"
#include "rivals.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_HELD_OUT = 64, LEAST_ROWS = 3, MOST_RIVALS = 8, EXIT_RIVAL = 3 };

static const double LEVEL = 0.9, CLEARLY = 0.9;   /* an error below this part is clearly better */
static const double CLOSE = 0.1;   /* where ridge is nearer, it is the better one half of the time */

typedef struct request {
  const char *model, *data;
  row_options rows;
  int max_context, keep_order, json;
} request;

/* What leaving rows out has shown. */
typedef struct report {
  int rows, inputs, held_out, context;
  double sd;                       /* of y                                                    */
  double model;                    /* root mean squared errors                                */
  double rivals[MOST_RIVALS];      /* NaN: does not apply                                     */
  double model_abs, rivals_abs[MOST_RIVALS];   /* mean absolute errors                        */
  int has_interval, covered;       /* how many y were within the interval                     */
  double surprise;                 /* NaN: not known                                          */
  double apart;                    /* ridge from the model at the rows that ask, in widths of */
                                   /*   its interval; NaN: no such rows, or no interval       */
} report;

/* Rows but one: as they are for the model, scaled for the rivals. */
typedef struct fold {
  int n, d;
  double *x, *y, *query;           /* [n][d], [n], [d]                                        */
  double truth;
  double *scaled_x, *scaled_y, *scaled_query;
  double y_mean, y_sd;
  gp_choice gp;
} fold;

/* ----- one row left out ---------------------------------------------------------------------- */

static fold new_fold(int n, int d)
{
  const size_t rows = (size_t)n, wide = (size_t)d;
  fold f;
  memset(&f, 0, sizeof f);
  f.n = n;
  f.d = d;
  f.x = allocate(2 * (rows + 1) * (wide + 1), sizeof *f.x);
  f.y = f.x + rows * wide;
  f.query = f.y + rows;
  f.scaled_x = f.query + wide;
  f.scaled_y = f.scaled_x + rows * wide;
  f.scaled_query = f.scaled_y + rows;
  return f;
}

/* Shifts and scales n values from[0], from[stride], .. by mean and sd. */
static void scale_column(const double *from, double *to, int n, int stride, double mean, double sd)
{
  int i;
  for (i = 0; i < n; i++)
    to[(size_t)i * (size_t)stride] =
      sd > 0 ? (from[(size_t)i * (size_t)stride] - mean) / sd : 0;
}

static void scale_fold(fold *f)
{
  double mean, sd;
  int k;
  for (k = 0; k < f->d; k++) {
    mean_and_sd(f->x + k, f->n, f->d, &mean, &sd);
    scale_column(f->x + k, f->scaled_x + k, f->n, f->d, mean, sd);
    scale_column(f->query + k, f->scaled_query + k, 1, 1, mean, sd);
  }
  mean_and_sd(f->y, f->n, 1, &f->y_mean, &f->y_sd);
  scale_column(f->y, f->scaled_y, f->n, 1, f->y_mean, f->y_sd);
}

/* Fills f with all points but `out`. */
static void leave_out(fold *f, const points *p, int out)
{
  int *order = allocate((size_t)f->n, sizeof *order), i;
  for (i = 0; i < f->n; i++) order[i] = i + (i >= out);
  gather(p, f->d, order, f->n, f->x, f->y);
  gather(p, f->d, &out, 1, f->query, &f->truth);
  scale_fold(f);
  free(order);
}

/* ----- the model ----------------------------------------------------------------------------- */

/* Gives the model the rows x[n][d], or as many as it takes; returns how many. */
static int give(predictor *model, const request *want, int n, const double *x, const double *y)
{
  const points all = {n, n, (double *)(uintptr_t)x, (double *)(uintptr_t)y, NULL, NULL};
  const int limit = want->max_context ? want->max_context : usual_pairs(model);
  int used, *order = choose_pairs(model, n, limit, want->keep_order, &used);
  double *memory = allocate((size_t)used * ((size_t)model->d + 1), sizeof *memory);
  double *ys = memory + (size_t)used * (size_t)model->d;
  gather(&all, model->d, order, used, memory, ys);
  set_context(model, used, memory, ys, 0);
  free(order);
  free(memory);
  return used;
}

/* The model's prediction, and its interval where it has one. */
static double ask_model(predictor *model, const fold *f, report *r)
{
  double y, low, high;
  int bad = 0;
  icl_error e = ask(model, 1, f->query, LEVEL, &y, &low, &high, &bad);
  r->has_interval = !e;
  r->covered += !e && low <= f->truth && f->truth <= high;
  if (e) check(ask(model, 1, f->query, 0, &y, NULL, NULL, &bad), model->name);
  return y;
}

static double model_surprise(const predictor *model)
{
  float s;
  return icl_surprise(model->ctx, &s) ? (double)NAN : (double)s;
}

/* ----- rows that ask ------------------------------------------------------------------------- */

static const rival *rival_named(const char *key)
{
  int i;
  for (i = 0; i < n_rivals - 1 && strcmp(rivals[i].key, key); i++) {}
  return &rivals[i];
}

/* report.apart, root mean squares over up to 64 rows without a y; the model has the pairs. */
static double ridge_apart(predictor *model, const points *pairs, const points *queries, int d)
{
  const rival *ridge = rival_named("ridge");
  const int n = queries->n < MOST_HELD_OUT ? queries->n : MOST_HELD_OUT;
  int *asked = spread(queries->n, MOST_HELD_OUT), *all = spread(pairs->n, pairs->n), i, bad = 0;
  fold f = new_fold(pairs->n, d);
  const sample known = {f.n, d, f.scaled_x, f.scaled_y, &f.gp};
  double apart = 0, width = 0, y, low, high;
  icl_error e = ICL_OK;
  gather(pairs, d, all, f.n, f.x, f.y);
  for (i = 0; i < n && !e; i++) {
    memcpy(f.query, queries->x + (size_t)asked[i] * (size_t)d, (size_t)d * sizeof *f.query);
    scale_fold(&f);
    e = ask(model, 1, f.query, LEVEL, &y, &low, &high, &bad);
    if (e) break;
    y -= f.y_mean + f.y_sd * ridge->predict(&known, f.scaled_query);
    apart += y * y;
    width += (high - low) * (high - low);
  }
  free(asked);
  free(all);
  free(f.x);
  return n && !e && width > 0 ? sqrt(apart / width) : (double)NAN;
}

/* ----- all rows ------------------------------------------------------------------------------ */

/* Adds the squared errors of one fold, in units of y's scale. */
static void add_fold(report *r, predictor *model, const request *want, fold *f, double scale)
{
  const sample known = {f->n, f->d, f->scaled_x, f->scaled_y, &f->gp};
  double error;
  int i;
  r->context = give(model, want, f->n, f->x, f->y);
  error = (ask_model(model, f, r) - f->truth) / scale;
  r->model += error * error;
  r->model_abs += fabs(error);
  for (i = 0; i < n_rivals; i++) {
    if (rivals[i].one_input && f->d > 1) continue;
    error = f->y_mean + f->y_sd * rivals[i].predict(&known, f->scaled_query);
    error = (error - f->truth) / scale;
    r->rivals[i] += error * error;
    r->rivals_abs[i] += fabs(error);
  }
}

/* From sums to root mean squares and means, in units of y. */
static void finish_errors(report *r, double scale)
{
  int i;
  r->model = scale * sqrt(r->model / r->held_out);
  r->model_abs *= scale / r->held_out;
  for (i = 0; i < n_rivals; i++) {
    const int applies = r->inputs == 1 || !rivals[i].one_input;
    r->rivals[i] = applies ? scale * sqrt(r->rivals[i] / r->held_out) : (double)NAN;
    r->rivals_abs[i] = applies ? scale * r->rivals_abs[i] / r->held_out : (double)NAN;
  }
}

/* On a terminal, which row it is at, every 8 rows; the last call wipes it. */
static void show_progress(int row, int rows, int terminal)
{
  if (!terminal || row % 8) return;
  if (row < rows) fprintf(stderr, "\rrow %d of %d ", row + 1, rows);
  else fprintf(stderr, "\r%20s\r", "");
  fflush(stderr);
}

static report examine(predictor *model, const request *want, const dataset *data)
{
  const points *p = &data->pairs;
  const int d = data->d;
  report r;
  fold f = new_fold(p->n - 1, d);
  int *held_out = spread(p->n, MOST_HELD_OUT), i;
  const int terminal = isatty(STDERR_FILENO) && p->n > MOST_HELD_OUT;
  double mean, scale;
  memset(&r, 0, sizeof r);
  r.rows = p->n;
  r.inputs = d;
  r.held_out = p->n < MOST_HELD_OUT ? p->n : MOST_HELD_OUT;
  mean_and_sd(p->y, p->n, 1, &mean, &r.sd);
  scale = r.sd > 0 ? r.sd : 1;
  give(model, want, p->n, p->x, p->y);
  r.surprise = r.sd > 0 ? model_surprise(model) : (double)NAN;
  r.apart = ridge_apart(model, p, &data->queries, d);
  model->share = model->mix.share;   /* one row less hardly changes it, and it takes long */
  for (i = 0; i < r.held_out; i++) {
    show_progress(i, r.held_out, terminal);
    leave_out(&f, p, held_out[i]);
    add_fold(&r, model, want, &f, scale);
  }
  show_progress(r.held_out, r.held_out, terminal);
  finish_errors(&r, scale);
  free(held_out);
  free(f.x);
  return r;
}

/* ----- advice -------------------------------------------------------------------------------- */

/* The rival with the least error; the simpler one where two are equal. */
static int best_rival(const report *r)
{
  int i, best = n_rivals - 1;
  for (i = n_rivals - 2; i >= 0; i--) if (r->rivals[i] < 0.999 * r->rivals[best]) best = i;
  return best;
}

static int rival_is_better(const report *r)
{
  return r->rivals[best_rival(r)] < CLEARLY * r->model;
}

static int percent_less(double small, double large)
{
  return large > 0 ? (int)floor(100 * (1 - small / large) + 0.5) : 0;
}

/* One sentence in text[200]. */
static void advise(const report *r, char *text)
{
  const rival *best = &rivals[best_rival(r)];
  const double error = r->rivals[best_rival(r)], mean = r->rivals[n_rivals - 1];
  const char *rough = r->rows < 10 ? " (with so few rows this is a rough guess)" : "";
  if (!(r->sd > 0))
    snprintf(text, 200, "All y are the same: there is nothing to predict.");
  else if (rival_is_better(r))
    snprintf(text, 200, "Use %s instead: the error is %d %% smaller than the model's%s.",
             best->advice, percent_less(error, r->model), rough);
  else if (fmin(error, r->model) > CLEARLY * mean)
    snprintf(text, 200, "The inputs say little about y: the mean of y is about as good as "
             "anything%s.", rough);
  else if (error <= r->model / CLEARLY)
    snprintf(text, 200, "Use the model; %s would be about as good%s.", best->advice, rough);
  else
    snprintf(text, 200, "Use the model: its error is %d %% smaller than that of the next best, "
             "%s%s.", percent_less(r->model, error), best->advice, rough);
}

/* ----- printing ------------------------------------------------------------------------------ */

static void print_error(const char *name, double error, double sd)
{
  char text[64];
  if (isnan(error)) return;
  write_decimal(text, error, decimals_for(error, 3));
  printf("  %-30s %12s", name, text);
  if (sd > 0) printf(100 * error / sd < 1e8 ? "%9.0f %%" : "%9.2g %%", 100 * error / sd);
  putchar('\n');
}

static void print_table(const report *r, const predictor *model, const char *y_name)
{
  char name[64];
  int i;
  if (r->held_out < r->rows) printf("%d of %d rows", r->held_out, r->rows);
  else printf("%d rows", r->rows);
  printf(", each predicted from the others");
  if (r->context < r->rows - 1) printf(" (the model gets %d of them)", r->context);
  printf("\n\n  %-30s %12s %10s\n", "root mean squared error", "", "of y's sd");
  snprintf(name, sizeof name, model->memory ? "the model (%s)" : "the model", model->name);
  print_error(name, r->model, r->sd);
  for (i = 0; i < n_rivals; i++) print_error(rivals[i].name, r->rivals[i], r->sd);
  if (r->has_interval || !isnan(r->surprise)) printf("\n");
  if (r->has_interval)
    printf("  the model's 90 %% interval has %d of %d values of %s in it\n", r->covered,
           r->held_out, y_name);
  if (!isnan(r->surprise))
    printf("  surprise %.2f (0 is typical of what the model was trained on, above 1 is odd)\n",
           r->surprise);
  if (!isnan(r->apart))
    printf("  at the rows without y, ridge regression answers %.2f widths of that interval away%s\n",
           r->apart, r->inputs == 1 && r->apart < CLOSE ? ": it may be as good there" : "");
}

/* A JSON string. */
static void print_string(const char *s)
{
  putchar('"');
  for (; *s; s++) {
    if ((unsigned char)*s < ' ') printf("\\u%04x", (unsigned)(unsigned char)*s);
    else printf("%s%c", *s == '"' || *s == '\\' ? "\\" : "", *s);
  }
  putchar('"');
}

static void print_value(const char *key, double v)
{
  printf("\"%s\": ", key);
  if (isfinite(v)) printf("%.9g", v);
  else printf("null");
}

static void print_errors(const char *key, double model, const double *of_rivals)
{
  int i;
  printf("\"%s\": {", key);
  print_value("model", model);
  for (i = 0; i < n_rivals; i++) {
    printf(", ");
    print_value(rivals[i].key, of_rivals[i]);
  }
  printf("}, ");
}

static void print_json(const report *r, const predictor *model, const char *advice)
{
  printf("{\"rows\": %d, \"inputs\": %d, \"held_out\": %d, \"context\": %d, \"model\": ", r->rows,
         r->inputs, r->held_out, r->context);
  print_string(model->name);
  printf(", ");
  print_value("sd", r->sd);
  printf(", ");
  print_errors("mean_error", r->model_abs, r->rivals_abs);
  print_errors("error", r->model, r->rivals);
  print_value("coverage_90", r->has_interval ? (double)r->covered / r->held_out : (double)NAN);
  printf(", ");
  print_value("surprise", r->surprise);
  printf(", ");
  print_value("ridge_apart", r->apart);
  printf(", \"use\": ");
  print_string(rival_is_better(r) ? rivals[best_rival(r)].key : "model");
  printf(", \"advice\": ");
  print_string(advice);
  printf("}\n");
}

/* ----- the command --------------------------------------------------------------------------- */

static report check_rows(const request *want, row_reader *rows, predictor *model)
{
  dataset data = read_dataset(rows);
  report r;
  if (want->max_context > most_pairs(model))
    usage_error(&cmd_check, "--max-context %d: the model %s takes %d at most", want->max_context,
                model->name, most_pairs(model));
  if (data.pairs.n < LEAST_ROWS)
    fail(rows->csv.name, "%d row%s with a y: a check needs %d or more", data.pairs.n,
         data.pairs.n == 1 ? "" : "s", LEAST_ROWS);
  r = examine(model, want, &data);
  free_dataset(&data);
  return r;
}

static int work(const request *want)
{
  predictor model = open_predictor(want->model);
  row_reader rows = rows_open(&cmd_check, want->data, &want->rows, 1);
  char *y_name = rows_name(&rows, rows.n_inputs, 0), advice[200];
  report r;
  take_inputs(&model, rows.n_inputs, rows.csv.name, rows.first_line);
  model.refine = 1;
  r = check_rows(want, &rows, &model);
  advise(&r, advice);
  if (want->json) print_json(&r, &model, advice);
  else print_table(&r, &model, csv_printable(y_name));
  if (!want->json) printf("\n%s\n", advice);
  free(y_name);
  free_predictor(&model);
  rows_close(&rows);
  return rival_is_better(&r) ? EXIT_RIVAL : EXIT_SUCCESS;
}

static int run(int argc, char **argv)
{
  request want;
  const char *operands[2] = {NULL, NULL};
  const option options[] = {
    OPT_FLAG("--json", &want.json, "one JSON object instead of a table"),
    ROW_OPTIONS(want.rows),
    OPT_INT("--max-context", "N", &want.max_context, 1, INT_MAX / 4,
            "give the model N of the other rows; without it 1000 at most"),
    OPT_FLAG("--keep-order", &want.keep_order, "as for icl predict"),
    OPT_END
  };
  int n;
  memset(&want, 0, sizeof want);
  n = parse_options(&cmd_check, options, argc, argv, operands, 2);
  sort_operands(operands, n, &want.model, &want.data);
  if (!want.data) usage_error(&cmd_check, "no FILE.csv (- is standard input)");
  return work(&want);
}

const command cmd_check = {
  "check", "tells whether to use a model on your data, or what instead", "[MODEL] FILE.csv",
  "Leaves out each row with a y in turn, or 64 of them where there are more, predicts it from the\n"
  "others, and prints the root mean squared error: of the model, and of what you would use\n"
  "otherwise.  Each method sees the same rows (the Gaussian process 300 at most, the model 1000).\n"
  "The last line says what to use.  Rows without a y cannot be checked: for these it prints how\n"
  "far the answers of ridge regression are from the model's.  10,000 rows take a minute or two.\n\n"
  "FILE and MODEL are as for icl predict; - is standard input.\n\n"
  "Exit status: 0 use the model, 3 something else has an error that is more than 10 % smaller,\n"
  "1 these rows cannot be checked, 2 bad usage.",
  run
};
