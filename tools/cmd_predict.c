/* icl predict: answers the rows of a CSV file that ask, from those that have a y.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "answers.h"
#include "draw.h"
#include "plot.h"
#include "predictor.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CURVE_POINTS = 241 };

typedef struct request {
  const char *model, *data;        /* paths, or NULL                                          */
  row_options rows;
  int stream, raw, keep_order, kv, unrefined, one_image, unmixed;
  int max_context, pairs;          /* 0: not said                                             */
  const char *at, *plot;
  int grid, digits, surprise, force;
  float level;                     /* of intervals; 0: none                                   */
} request;

/* Everything that a run needs at hand. */
typedef struct job {
  const request *want;
  row_reader rows;
  predictor model;
  dataset data;
  answer_style style;
  double surprise;                 /* NaN: none to tell                                       */
  int told_of_surprise, told_of_scale;
  long n_far;                      /* queries far outside the context                         */
} job;

/* ----- printing ------------------------------------------------------------------------------ */

static void print_header(job *j)
{
  const int n = j->data.d;
  char **names;
  int i;
  if (!j->rows.header) return;
  names = allocate((size_t)n + 1, sizeof *names);
  for (i = 0; i <= n; i++) names[i] = rows_name(&j->rows, i, 1);
  print_names(&j->style, names, n, j->want->level > 0, j->want->surprise);
  for (i = 0; i <= n; i++) free(names[i]);
  free(names);
}

static void print_one(const job *j, const char *inputs, double y, double low, double high)
{
  const answer a = {inputs, y, low, high, j->want->level > 0,
                    j->want->surprise ? &j->surprise : NULL};
  print_answer(&j->style, &a);
}

/* ----- what is worth telling ------------------------------------------------------------------ */

/* The surprise of the pairs in context; NaN where there is none to tell: all y are the same, or, with
 * a note once, the model does not say. */
static void find_surprise(job *j)
{
  float s;
  const icl_error e = icl_surprise(j->model.ctx, &s);
  j->surprise = e || !(j->model.y_scale > 0) ? (double)NAN : (double)s;
  if (e != ICL_ERR_CONFIG || j->told_of_surprise) return;
  fprintf(stderr, "icl predict: no surprise: the model does not say what is typical for it\n");
  j->told_of_surprise = 1;
}

/* Whether n values of this mean and deviation are too far from 0 and 1 to be a chance. */
static int far_from_standard(int n, double mean, double sd)
{
  const double chance = 4 / sqrt(n);
  return fabs(mean) > 1 + chance || sd > 2 + chance || (n >= 8 && sd > 0 && sd < 0.3);
}

static void warn_of_column(job *j, int i, const double *v, int stride)
{
  const int n = j->data.pairs.n;
  double mean, sd;
  char *name;
  mean_and_sd(v, n, stride, &mean, &sd);
  if (j->told_of_scale || !far_from_standard(n, mean, sd)) return;
  name = rows_name(&j->rows, i, 0);
  fprintf(stderr, "icl predict: --raw: %s has mean %.3g and standard deviation %.3g, and these "
          "models expect about 0 and 1: answers may be far off\n", csv_printable(name), mean, sd);
  free(name);
  j->told_of_scale = 1;
}

/* With --raw: names the first column that the models were not made for. */
static void warn_of_scale(job *j)
{
  const points *p = &j->data.pairs;
  int i;
  for (i = 0; i < j->data.d; i++) warn_of_column(j, i, p->x + i, j->data.d);
  warn_of_column(j, i, p->y, 1);
}

static void tell_of_constants(job *j)
{
  char *name;
  int i;
  for (i = 0; i < j->data.d && j->data.pairs.n > 1; i++) {
    if (j->model.scale[i] > 0) continue;
    name = rows_name(&j->rows, i, 0);
    fprintf(stderr, "icl predict: %s is the same in all rows with a y and is not used\n",
            csv_printable(name));
    free(name);
  }
  if (!(j->model.y_scale > 0))
    fprintf(stderr, "icl predict: the only y is %.9g, and so is every answer%s\n", j->model.y_mean,
            j->want->level > 0 ? "; intervals have no width and say nothing" : "");
}

/* Ends: the level of --interval is beyond the model's quantiles. */
static void refuse_level(const predictor *p)
{
  const icl_config *c = &p->model->config;
  const double low = c->quantiles[0], high = 1 - (double)c->quantiles[c->n_quantiles - 1];
  fail(p->name, "--interval is %.4g at most: the model's quantiles go from %.4g to %.4g",
       1 - 2 * fmax(low, high), low, 1 - high);
}

static void refuse_query(const job *j, const points *asked, int i, icl_error e)
{
  const char *name = j->rows.csv.name;
  if (e == ICL_ERR_ARG && j->want->level > 0 && j->model.model->config.n_quantiles > 0)
    refuse_level(&j->model);
  if (e == ICL_ERR_CONFIG && j->want->level > 0)
    fail(j->model.name, "this model gives no intervals: it has no quantiles of y");
  if (e == ICL_ERR_NONFINITE && asked->lines[i])
    fail(name, "line %ld: x is too far from the rows with a y", asked->lines[i]);
  if (e == ICL_ERR_NONFINITE)
    fail(name, "x = %s is too far from the rows with a y", asked->texts[i]);
  fail(j->model.name, "%s%s", j->want->level > 0 ? "--interval: " : "", icl_error_string(e));
}

/* ----- more queries: --at and --grid ---------------------------------------------------------- */

static void refuse_at(const command *cmd, char *text)
{
  usage_error(cmd, "--at wants numbers or dates, not '%s'", csv_printable(text));
}

/* One number of --at, where d make a query; *printed: its text as the file would have it. */
static double read_at(job *j, char *text, int i, char **printed)
{
  csv_reader marks = j->rows.csv;
  csv_value kind;
  double v = 0;
  marks.decimal = strchr(j->want->at, ';') ? 0 : '.';
  marks.separator = ';';
  kind = csv_parse(&marks, text, &v);
  if (kind != CSV_NUMBER && kind != CSV_DATE) refuse_at(&cmd_predict, text);
  if (j->rows.kinds[i] != CSV_MISSING && j->rows.kinds[i] != kind)
    usage_error(&cmd_predict, "--at %s: the file has %s there", text,
                kind == CSV_DATE ? "numbers" : "dates");
  *printed = kind == CSV_DATE ? join(text, "") : number_in_style(&j->style, text);
  return v;
}

/* Adds text to the end of *all, after a separator. */
static void append(char **all, const char *text, char separator)
{
  const char between[2] = {separator, '\0'};
  char *head = *all ? join(*all, between) : join("", "");
  free(*all);
  *all = join(head, text);
  free(head);
}

/* --at 1,2,3: with one input three queries, with three inputs one. */
static void add_listed(job *j)
{
  const char separator = strchr(j->want->at, ';') ? ';' : ',';
  char *list = join(j->want->at, ""), *rest = list, *text, *printed, *inputs = NULL;
  double *x = allocate((size_t)j->data.d, sizeof *x);
  int i = 0;
  while ((text = next_field(&rest, separator)) != NULL) {
    x[i] = read_at(j, text, i, &printed);
    append(&inputs, printed, j->style.separator);
    free(printed);
    if (++i < j->data.d) continue;
    add_point(&j->data.queries, j->data.d, x, 0, 0, inputs);
    inputs = NULL;
    i = 0;
  }
  if (i)
    usage_error(&cmd_predict, "--at wants %d numbers a query; the last one has %d", j->data.d, i);
  free(x);
  free(list);
}

static void find_range(const job *j, double *from, double *to)
{
  *from = INFINITY;
  *to = -INFINITY;
  widen_range(&j->data.pairs, 1, 0, from, to);
  widen_range(&j->data.queries, 1, 0, from, to);
}

/* Rounds x of a grid to what is worth printing; the text of it. */
static char *grid_text(const job *j, double *x, double step)
{
  char text[64];
  if (j->rows.kinds[0] == CSV_DATE) {
    csv_write_date(*x, text);
    return join(text, "");
  }
  write_decimal(text, *x, decimals_for(step, 3));
  strip_zeros(text);
  *x = strtod(text, NULL);
  return number_in_style(&j->style, text);
}

static void add_grid(job *j)
{
  double from, to, step, x;
  int i;
  find_range(j, &from, &to);
  if (!(to > from)) fail(j->rows.csv.name, "--grid: there is only one x");
  step = (to - from) / (j->want->grid - 1);
  for (i = 0; i < j->want->grid; i++) {
    char *text;
    x = from + i * step;
    text = grid_text(j, &x, step);
    add_point(&j->data.queries, 1, &x, 0, 0, text);
  }
}

static void add_queries(job *j)
{
  if ((j->want->grid || j->want->plot) && j->data.d > 1)
    fail(j->rows.csv.name, "%s is for one input, not %d (--x chooses columns)",
         j->want->grid ? "--grid" : "--plot", j->data.d);
  if (j->want->at) add_listed(j);
  if (j->want->grid) add_grid(j);
}

/* ----- a file: all rows with a y answer all others -------------------------------------------- */

static void check_pairs(const job *j)
{
  const points *p = &j->data.pairs;
  const int most = j->want->pairs;
  if (!p->n) fail(j->rows.csv.name, "no row has a y: there is nothing to learn from");
  if (most && p->n > most)
    fail(j->rows.csv.name, "line %ld: more pairs than the %d of --pairs", p->lines[most], most);
}

static void check_limit(const job *j, const char *name, int wanted)
{
  const int most = most_pairs(&j->model);
  if (wanted > most)
    usage_error(&cmd_predict, "%s %d: the model %s takes %d at most", name, wanted, j->model.name,
                most);
}

/* As many pairs as are wanted, or as the model takes. */
static int pair_limit(const job *j)
{
  if (j->want->max_context) return j->want->max_context;
  return j->want->stream ? most_pairs(&j->model) : usual_pairs(&j->model);
}

static void tell_of_choice(const job *j, int used)
{
  const int all = used == most_pairs(&j->model);
  if (used < j->data.pairs.n && !j->want->max_context)
    fprintf(stderr, "icl predict: %d rows have a y; the model gets %d of them, spread evenly over "
            "the file%s\n", j->data.pairs.n, used,
            all ? ", which is all it takes" : " (--max-context says how many)");
}

/* Gives the model as many of the pairs as it takes. */
static void set_pairs(job *j)
{
  const dataset *data = &j->data;
  const int limit = pair_limit(j);
  double *x, *y;
  int used, *order = choose_pairs(&j->model, data->pairs.n, limit, j->want->keep_order, &used);
  tell_of_choice(j, used);
  x = allocate((size_t)used * (size_t)data->d, sizeof *x);
  y = allocate((size_t)used, sizeof *y);
  gather(&data->pairs, data->d, order, used, x, y);
  set_context(&j->model, used, x, y, 0);
  free(order);
  free(x);
  free(y);
}

/* Intervals can fail where an input lies farther outside the rows in context than these reach from end to
 * end.  From bounds[2 i] to bounds[2 i + 1] input i is not so far. */
static double *trusted_bounds(const job *j)
{
  const int d = j->data.d;
  double *bounds = allocate(2 * (size_t)d, sizeof *bounds);
  int i;
  for (i = 0; i < d; i++) {
    double low = INFINITY, high = -INFINITY, reach;
    widen_range(&j->data.pairs, d, i, &low, &high);
    reach = high > low ? (high - low) * (1 + 1e-6) : INFINITY;   /* an even grid is not too far */
    bounds[2 * i] = low - reach;
    bounds[2 * i + 1] = high + reach;
  }
  return bounds;
}

static int is_far(const double *x, int d, const double *bounds)
{
  int i;
  for (i = 0; i < d; i++) if (x[i] < bounds[2 * i] || x[i] > bounds[2 * i + 1]) return 1;
  return 0;
}

/* Warns of queries x[n][d] that are far, naming the first one by its line or text; in a stream only once,
 * and then counts. */
static void tell_of_distance(job *j, int n, const double *x, const long *lines, char *const *texts)
{
  double *bounds = trusted_bounds(j);
  char place[32];
  int i, count = 0, first = 0;
  for (i = n - 1; i >= 0; i--)
    if (is_far(x + (size_t)i * (size_t)j->data.d, j->data.d, bounds)) {
      first = i;
      count++;
    }
  free(bounds);
  j->n_far += count;
  if (!count || j->n_far > count) return;
  snprintf(place, sizeof place, "line %ld", lines[first]);
  fprintf(stderr, "icl predict: %s%s%s: beyond the rows in context by more than they reach from end "
          "to end: trust neither answer nor interval\n", lines[first] ? "" : "x = ",
          lines[first] ? place : texts[first], count > 1 ? " and others" : "");
}

static void print_answers(job *j)
{
  points *q = &j->data.queries;
  const size_t n = (size_t)q->n;
  double *bounds = allocate(2 * n, sizeof *bounds), ignored;
  int i, bad = 0;
  icl_error e = ICL_OK;
  if (n) e = ask(&j->model, q->n, q->x, (double)j->want->level, q->y, bounds, bounds + n, &bad);
  if (e) refuse_query(j, q, bad, e);
  tell_of_distance(j, q->n, q->x, q->lines, q->texts);
  mean_and_sd(j->data.pairs.y, j->data.pairs.n, 1, &ignored, &j->style.y_sd);
  if (n) print_header(j);
  for (i = 0; i < q->n; i++) print_one(j, q->texts[i], q->y[i], bounds[i], bounds[n + (size_t)i]);
  flush_output();
  free(bounds);
}

/* ----- the plot ------------------------------------------------------------------------------ */

/* The curve over the range of x and a little beyond, and its band where the model has one. */
static void trace(job *j, picture *p, double *x, double *y, char *band)
{
  const double level = j->want->level > 0 ? (double)j->want->level : 0.9;
  double from, to, room;
  int i, bad = 0;
  icl_error e;
  find_range(j, &from, &to);
  room = to > from ? 0.03 * (to - from) : 1;
  for (i = 0; i < p->n; i++) x[i] = from - room + i * (to - from + 2 * room) / (p->n - 1);
  p->x = x;
  p->y = y;
  e = ask(&j->model, p->n, x, level, y, y + p->n, y + 2 * p->n, &bad);
  if (e == ICL_ERR_ARG && j->want->level > 0) refuse_level(&j->model);
  if (!e) {
    snprintf(band, 32, "%g %% interval", 100 * level);
    p->band = band;
    p->low = y + p->n;
    p->high = y + 2 * p->n;
  } else {
    check(ask(&j->model, p->n, x, 0, y, NULL, NULL, &bad), "--plot");
  }
}

static void draw(job *j)
{
  double *memory = allocate(4 * CURVE_POINTS, sizeof *memory);
  char *x_name = rows_name(&j->rows, 0, 0), *y_name = rows_name(&j->rows, 1, 0), band[32];
  const char *name = j->rows.csv.name, *slash = strrchr(name, '/');
  picture p;
  memset(&p, 0, sizeof p);
  p.title = slash ? slash + 1 : name;
  p.n = CURVE_POINTS;
  p.x_name = csv_printable(x_name);
  p.y_name = csv_printable(y_name);
  p.given = &j->data.pairs;
  p.asked = &j->data.queries;
  trace(j, &p, memory, memory + CURVE_POINTS, band);
  if (strcmp(j->want->plot, "-")) draw_file(&p, j->want->plot);
  else draw_text(&p);
  free(memory);
  free(x_name);
  free(y_name);
}

static void answer_file(job *j)
{
  free_dataset(&j->data);
  j->data = read_dataset(&j->rows);
  j->style.decimal = j->rows.csv.decimal;
  add_queries(j);
  check_pairs(j);
  if (j->want->raw) warn_of_scale(j);
  set_pairs(j);
  tell_of_constants(j);
  if (j->want->surprise) find_surprise(j);
  print_answers(j);
  if (j->want->plot) draw(j);
  else if (!j->data.queries.n)
    fprintf(stderr, "icl predict: no row asks for a y: leave y empty or write ? there, or use --at or "
            "--grid\n");
}

/* ----- a stream: the rows above answer -------------------------------------------------------- */

/* Takes one more pair, and, with --max-context, drops the oldest where there are too many.  Returns
 * how many are still those that the model has had. */
static int take_pair(job *j, const row *next, int known)
{
  points *p = &j->data.pairs;
  const int window = j->want->max_context;
  const int most = j->want->pairs ? j->want->pairs : pair_limit(j);
  if (p->n == most && !window)
    fail(j->rows.csv.name, "line %ld: more pairs than the %d that fit (--max-context N keeps the "
         "last N)", next->line, most);
  if (p->n == most) {
    drop_point(p, j->data.d);
    known = 0;
  }
  add_point(p, j->data.d, next->x, next->y, next->line, NULL);
  return known;
}

/* Prints the row with its answer, and sees to it that it is out before more input is read. */
static void answer_row(job *j, const row *next, int known)
{
  points one = {1, 1, NULL, NULL, NULL, NULL}, *p = &j->data.pairs;
  double y, low = 0, high = 0, ignored;
  long line = next->line;
  int bad = 0;
  icl_error e;
  one.lines = &line;
  if (!p->n) fail(j->rows.csv.name, "line %ld asks before there is a row with a y", line);
  j->style.decimal = j->rows.csv.decimal;
  if (j->want->raw) warn_of_scale(j);
  if (known < p->n) set_context(&j->model, p->n, p->x, p->y, known);
  e = ask(&j->model, 1, next->x, (double)j->want->level, &y, &low, &high, &bad);
  if (e) refuse_query(j, &one, 0, e);
  tell_of_distance(j, 1, next->x, &next->line, NULL);
  if (j->want->surprise) find_surprise(j);
  mean_and_sd(p->y, p->n, 1, &ignored, &j->style.y_sd);
  print_one(j, next->text, y, low, high);
  flush_output();
}

static void answer_stream(job *j)
{
  row next = {0, NULL, 0, 0, NULL};
  int asked = 0, known = 0;
  next.x = allocate((size_t)j->data.d, sizeof *next.x);
  print_header(j);
  while (rows_next(&j->rows, &next)) {
    if (next.asks) {
      answer_row(j, &next, known);
      known = j->data.pairs.n;
      asked = 1;
    } else {
      known = take_pair(j, &next, known);
    }
    free(next.text);
  }
  if (!asked) fprintf(stderr, "icl predict: no row asks for a y: leave y empty or write ? there\n");
  if (j->n_far > 1) fprintf(stderr, "icl predict: %ld queries were so far beyond\n", j->n_far);
  free(next.x);
}

/* ----- the command --------------------------------------------------------------------------- */

static void check_request(const request *want)
{
  const char *alone = want->at ? "--at" : want->grid ? "--grid" : want->plot ? "--plot" : NULL;
  if (want->stream && alone)
    usage_error(&cmd_predict, "%s needs all rows, and --stream has those above", alone);
  if (want->pairs && want->max_context)
    usage_error(&cmd_predict, "--pairs and --max-context exclude each other");
  if (want->plot && strcmp(want->plot, "-") && !plot_path_ok(want->plot))
    usage_error(&cmd_predict, "--plot takes a name that ends in .svg, or in .png where the build "
                "can (with libstb-dev), or - for the terminal; not '%s'", want->plot);
  if (want->plot && strcmp(want->plot, "-"))
    protect_output(&cmd_predict, want->plot, want->data, want->force);
  if ((!want->data || !strcmp(want->data, "-")) && isatty(STDIN_FILENO))
    fprintf(stderr, "icl predict: reading rows x,y from the terminal; end with Ctrl-D\n");
}

static void work(const request *want)
{
  job j;
  memset(&j, 0, sizeof j);
  j.want = want;
  j.model = open_predictor(want->model);
  j.rows = rows_open(&cmd_predict, want->data, &want->rows, !want->stream);
  take_inputs(&j.model, j.rows.n_inputs, j.rows.csv.name, j.rows.first_line);
  j.model.raw = want->raw;
  j.model.kv = want->kv;
  j.model.refine = !want->unrefined;
  j.model.one_image = want->one_image;
  j.model.unmixed = want->unmixed;
  j.data = new_dataset(j.rows.n_inputs);
  j.style = (answer_style){j.rows.csv.separator, '.', want->digits, 0};
  check_limit(&j, "--max-context", want->max_context);
  check_limit(&j, "--pairs", want->pairs);
  if (want->stream) answer_stream(&j);
  else answer_file(&j);
  free_dataset(&j.data);
  free_predictor(&j.model);
  rows_close(&j.rows);
}

static int run(int argc, char **argv)
{
  request want;
  int standardize = 0, refined = 0, n;
  const char *operands[2] = {NULL, NULL};
  const option options[] = {
    OPT_TEXT("--at", "X,X,..", &want.at, "ask at these x too; with d inputs, d numbers a query"),
    OPT_INT("--grid", "N", &want.grid, 2, 1000000,
            "ask at N places from the least x to the largest too"),
    OPT_REAL("--interval", "LEVEL", &want.level, 0.01, 0.999,
             "two more columns, lo and hi: y is between them with this\n"
             "probability, 0.9 say; for models that have quantiles"),
    OPT_FLAG("--surprise", &want.surprise,
             "one more column: how unlike those of training the pairs are;\n"
             "0 is typical; above 1: about one in a hundred is as odd"),
    OPT_TEXT("--plot", "FILE", &want.plot,
             "draw points, curve and answers: FILE.svg, FILE.png, or - for\n"
             "characters on standard output; for one input"),
    OPT_FLAG("--force", &want.force, FORCE_HELP),
    ROW_OPTIONS(want.rows),
    OPT_INT("--digits", "N", &want.digits, 1, 17,
            "significant digits of answers; without it six, with intervals\n"
            "as many as their width justifies"),
    OPT_FLAG("--stream", &want.stream, "answer each row at once, from the rows above it only"),
    OPT_INT("--max-context", "N", &want.max_context, 1, INT_MAX / 4,
            "give the model N of the rows with a y, spread over the file;\n"
            "with --stream the last N; without it 1000 at most, with\n"
            "--stream as many as it takes"),
    OPT_INT("--pairs", "N", &want.pairs, 1, INT_MAX / 4, "more than N rows with a y are an error"),
    OPT_FLAG("--keep-order", &want.keep_order,
             "give the model the rows in the order of the file; without it\n"
             "they are shuffled, in the same way each time, for models that\n"
             "see the order and learned from random ones"),
    OPT_FLAG("--no-refine", &want.unrefined,
             "one look only; without it the model also predicts its own\n"
             "residuals at the rows with a y, in a second context"),
    OPT_FLAG("--no-mirror", &want.one_image,
             "with one input, do not average over mirror images (x, y or\n"
             "both negated) of the rows: a quarter of the time"),
    OPT_FLAG("--no-ridge", &want.unmixed,
             "with several inputs, do not mix in ridge regression, whose\n"
             "share comes from 5-fold cross-validation of it and of the\n"
             "model: less than half the time"),
    OPT_FLAG("--refine", &refined, "as without --no-refine"),
    OPT_FLAG("--raw", &want.raw, "do not scale: x and y have mean 0 and standard deviation 1"),
    OPT_FLAG("--standardize", &standardize, "scale x and y to mean 0 and standard deviation 1: as\n"
             "without --raw"),
    OPT_CHOICE("--kv", STORAGE_CHOICES, &want.kv, "how the context keeps keys and values"),
    OPT_END
  };
  memset(&want, 0, sizeof want);
  n = parse_options(&cmd_predict, options, argc, argv, operands, 2);
  if (refined && want.unrefined)
    usage_error(&cmd_predict, "--refine and --no-refine exclude each other");
  if (standardize && want.raw)
    usage_error(&cmd_predict, "--raw and --standardize exclude each other");
  sort_operands(operands, n, &want.model, &want.data);
  check_request(&want);
  work(&want);
  return EXIT_SUCCESS;
}

const command cmd_predict = {
  "predict", "predicts the missing y of a CSV file from its other rows", "[MODEL] [FILE.csv]",
  "Reads rows x1,...,xd,y from FILE, or from standard input without one or for -.  A row whose y\n"
  "is empty or ? is a query: it asks for its y, which the model predicts from all rows that have\n"
  "one, wherever they stand.  It prints the queries, with their x as written:\n\n"
  "  printf '1,2.1\\n2,3.9\\n3,6.2\\n4,?\\n' | icl predict\n"
  "  icl predict data.csv --plot - --at 10,20      a picture, and y at two more x\n\n"
  "MODEL is a checkpoint (.safetensors); without it a model inside the command is used: one for\n"
  "one input, one for up to ten.  With fewer inputs than the model has, the others are zero.  All\n"
  "data are scaled before the model sees them, and answers are scaled back.  Whether to trust the\n"
  "answers: icl check.\n\n"
  "Columns are separated by , or ; or tabs.  A first line of names is a header and is printed\n"
  "again; blank lines and those that start with # are skipped.  Dates such as 2024-05-01 are read\n"
  "as days.",
  run
};
