/* Models on demand, and figures as files.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "repro.h"
#include "../canvas.h"
#include "../training.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ----- functions without chance --------------------------------------------------------------- */

static const double pi = 3.14159265358979323846;

static int no_theta(const icl_class_call *c) { return c->n_dims == 1 ? 0 : -1; }
static int two_theta(const icl_class_call *c) { return c->n_dims == 1 ? 2 : -1; }

static void draw_nothing(float *theta, const icl_class_call *c, icl_rng *rng)
{
  (void)theta;
  (void)c;
  (void)rng;
}

static float eval_cosine(const float *theta, const float *x, const icl_class_call *c)
{
  (void)theta;
  return (float)cos(2 * pi * (double)c->arg[0] * (double)*x);
}

static float eval_slope(const float *theta, const float *x, const icl_class_call *c)
{
  (void)theta;
  return c->arg[0] * *x;
}

static void draw_tone(float *theta, const icl_class_call *c, icl_rng *rng)
{
  theta[0] = icl_rng_normal(rng);
  theta[1] = c->arg[0] + (c->arg[1] - c->arg[0]) * icl_rng_uniform(rng);
}

static float eval_tone(const float *theta, const float *x, const icl_class_call *c)
{
  (void)c;
  return (float)((double)theta[0] * cos(2 * pi * (double)theta[1] * (double)*x));
}

#define NO_ARG {NULL, 0, 0, 0, 0}
static const icl_class own_classes[] = {
  {"cosine", {{"f", 1, 0, 1000, 0}, NO_ARG, NO_ARG, NO_ARG}, no_theta, draw_nothing, eval_cosine,
   NULL, NULL, 0},
  {"slope", {{"b", 1, -1000, 1000, 0}, NO_ARG, NO_ARG, NO_ARG}, no_theta, draw_nothing, eval_slope,
   NULL, NULL, 0},
  {"tone", {{"fmin", 1, 0, 1000, 0}, {"fmax", 1, 0, 1000, 0}, NO_ARG, NO_ARG}, two_theta, draw_tone,
   eval_tone, NULL, NULL, 0}
};

icl_task parse_task(const char *text, int n_dims)
{
  icl_report r = {ICL_OK, 0, ""};
  icl_task t;
  if (icl_task_parse(&t, text, n_dims, own_classes, sizeof own_classes / sizeof *own_classes, &r))
    fail(text, "character %zu: %s", r.offset + 1, r.text);
  return t;
}

evaluation new_evaluation(const repro *r, const char *task, problem p)
{
  const shape s = problem_shape(r->scale, p);
  evaluation v;
  memset(&v, 0, sizeof v);
  v.task = parse_task(task, s.dims);
  v.sampling.x_scale = v.sampling.y_scale = 1;
  v.seed = r->seed;
  v.unit = 1;
  v.prompts = r->prompts;
  v.pairs = s.pairs - 1;
  v.threads = r->threads;
  return v;
}

/* ----- models -------------------------------------------------------------------------------- */

static char *path_of(const repro *r, const char *folder, const char *name, const char *ending)
{
  char *a = join(r->dir, folder), *b = join(a, name), *c = join(b, ending);
  free(a);
  free(b);
  return c;
}

/* Where the repository has the model, unless that is where this looks already. */
static const char *hint(const repro *r, const recipe *what, int seed)
{
  const char *committed = "examples/paper";
  return r->scale == LAPTOP && what->seeds >= seed && strncmp(r->dir, committed, strlen(committed))
             ? " (--dir examples/paper has it)" : "";
}

static void make_folder(const char *path)
{
#ifdef _WIN32
  const int failed = mkdir(path);
#else
  const int failed = mkdir(path, 0777);
#endif
  if (failed && errno != EEXIST) fail(path, "%s", strerror(errno));
}

/* Where the model of a seed is, to be freed. */
static char *model_path(const repro *r, const recipe *what, int seed)
{
  char name[64];
  if (seed == 1) snprintf(name, sizeof name, "%s", what->name);
  else snprintf(name, sizeof name, "%s-%d", what->name, seed);
  return path_of(r, "/models/", name, ".safetensors");
}

/* The model that this one starts from, trained if need be; NULL where there is none. */
static icl_model *first_weights(const repro *r, const recipe *what, int seed)
{
  const recipe *before = r->scale == LAPTOP && what->from ? find_recipe(LAPTOP, what->from) : NULL;
  char *path;
  icl_model *m;
  if (!before) return NULL;
  train_model(r, before, seed);
  path = model_path(r, before, seed);
  m = load_model(path);
  free(path);
  return m;
}

void train_model(const repro *r, const recipe *what, int seed)
{
  char *path = model_path(r, what, seed), *state = join(path, ".state");
  const int there = access(path, F_OK) == 0, begun = access(state, F_OK) == 0;
  char *folder = join(r->dir, "/models");
  icl_model *from;
  training t;
  if (!there || begun) {
    if (r->no_train) fail(path, "is missing or unfinished%s", hint(r, what, seed));
    make_folder(r->dir);
    make_folder(folder);
    memset(&t, 0, sizeof t);
    t.o = recipe_options(r->scale, what, (uint64_t)seed);
    t.o.from = from = first_weights(r, what, seed);
    t.o.threads = r->threads;
    t.out = path;
    t.resume = 1;
    t.save_every = 1000;
    fprintf(stderr, "training %s, seed %d: %s%s\n", what->name, seed, what->task, hint(r, what, seed));
    if (!train(&cmd_repro, &t)) exit(EXIT_STOPPED);
    remove(state);
    icl_unload(from);
  }
  free(path);
  free(state);
  free(folder);
}

/* A file that another recipe made must not pass for this one's. */
static void check_model(const repro *r, const icl_model *m, const recipe *what, const char *path)
{
  const icl_train_options o = recipe_options(r->scale, what, 1);
  const icl_task task = parse_task(what->task, o.model.n_dims);
  char text[1024];
  icl_task_print(&task, text, sizeof text);
  if (strcmp(text, m->task) || m->config.n_dims != o.model.n_dims
      || m->config.n_layer != o.model.n_layer || m->config.n_embd != o.model.n_embd
      || m->config.n_head != o.model.n_head || m->config.tokens != o.model.tokens
      || m->config.position_embedding_type != o.model.position_embedding_type
      || m->config.n_quantiles != o.model.n_quantiles)
    fail(path, "was made by another recipe, not %s at this scale: move it away", what->name);
}

int count_seeds(const repro *r, const char *name)
{
  const recipe *what = find_recipe(r->scale, name);
  int n = 0;
  if (!what) return 1;
  if (r->seeds) return r->seeds;
  while (n < MAX_SEEDS) {
    char *path = model_path(r, what, n + 1);
    const int there = file_exists(path);
    free(path);
    if (!there) break;
    n++;
  }
  return n ? n : 1;
}

const icl_model *get_model(repro *r, const char *name, int seed)
{
  const recipe *what = find_recipe(r->scale, name);
  const int at = r->n_models;
  char *path;
  int i;
  if (!what) fail(name, "there is no such model at this scale");
  for (i = 0; i < at; i++)
    if (r->recipes[i] == what && r->model_seeds[i] == seed) return r->models[i];
  if (at == MAX_MODELS) fail(name, "more than %d models", MAX_MODELS);
  train_model(r, what, seed);
  path = model_path(r, what, seed);
  r->models[at] = load_model(path);
  r->recipes[at] = what;
  r->model_seeds[at] = seed;
  check_model(r, r->models[at], what, path);
  free(path);
  return r->models[r->n_models++];
}

/* ----- teams ---------------------------------------------------------------------------------- */

void add_team(repro *r, evaluation *v, const char *title, const char *name)
{
  const int n = count_seeds(r, name);
  int seed;
  for (seed = 1; seed <= n; seed++) add_model(v, title, get_model(r, name, seed));
}

/* Predictors from i on with the name of predictor i. */
static int members(const evaluation *v, int i)
{
  int n = 1;
  while (i + n < v->n && !strcmp(v->p[i + n].name, v->p[i].name)) n++;
  return n;
}

/* A team's first predictor. */
static int first_of(const evaluation *v, int team)
{
  int i = 0;
  while (team--) i += members(v, i);
  return i;
}

int count_teams(const evaluation *v)
{
  int i, n = 0;
  for (i = 0; i < v->n; i += members(v, i)) n++;
  return n;
}

const char *team_name(const evaluation *v, int team) { return v->p[first_of(v, team)].name; }

void add_seed(score *s, int seed, int n, double value)
{
  s->mean = (seed == 1 ? 0 : s->mean) + value / n;
  s->low = seed == 1 ? value : fmin(s->low, value);
  s->high = seed == 1 ? value : fmax(s->high, value);
}

score team_score(const evaluation *v, int team, int c)
{
  const int first = first_of(v, team), n = members(v, first);
  score s = {0, 0, 0};
  int i;
  for (i = 0; i < n; i++) add_seed(&s, i + 1, n, mean_error(v, first + i, c));
  return s;
}

double team_error(const evaluation *v, int team, int c) { return team_score(v, team, c).mean; }

double team_difference(const evaluation *v, int team, int other, int c)
{
  const int a = first_of(v, team), n = members(v, a), b = first_of(v, other), m = members(v, b);
  double sum = 0;
  int i;
  for (i = 0; i < n; i++) sum += mean_difference(v, a + i, b + (i < m ? i : 0), c);
  return sum / n;
}

char *write_score(char text[SPREAD_SIZE], score s, int decimals)
{
  const int length = snprintf(text, SPREAD_SIZE, "%.*f", decimals, s.mean);
  if (s.low < s.high)
    snprintf(text + length, SPREAD_SIZE - (size_t)length, " (%.*f to %.*f)", decimals, s.low,
             decimals, s.high);
  return text;
}

char *write_rms(char text[SPREAD_SIZE], score s, int decimals)
{
  const score root = {sqrt(s.mean), sqrt(s.low), sqrt(s.high)};
  return write_score(text, root, decimals);
}

char *write_spread(char text[SPREAD_SIZE], const evaluation *v, int team, int c, int decimals)
{
  return write_score(text, team_score(v, team, c), decimals);
}

/* ----- figures -------------------------------------------------------------------------------- */

static const char *keep_text(figure *f, const char *text)
{
  if (f->n_texts == (int)(sizeof f->texts / sizeof *f->texts)) fail(text, "too many texts");
  return f->texts[f->n_texts++] = join(text, "");
}

static double *copy_doubles(const double *x, int n)
{
  double *y;
  if (!x) return NULL;
  y = allocate((size_t)n, sizeof *y);
  memcpy(y, x, (size_t)n * sizeof *y);
  return y;
}

figure *new_figure(const char *name, const char *heading, int columns)
{
  figure *f = allocate(1, sizeof *f);
  f->name = name;
  f->heading = heading;
  f->columns = columns;
  return f;
}

plot *add_panel(figure *f, const char *x_label, const char *y_label, const char *title, ...)
{
  plot *p = &f->panels[f->n];
  char text[160];
  va_list rest;
  if (f->n == MAX_PANELS) fail(f->name, "more than %d panels", MAX_PANELS);
  va_start(rest, title);
  vsnprintf(text, sizeof text, title, rest);
  va_end(rest);
  p->title = keep_text(f, text);
  p->x_label = keep_text(f, x_label);
  p->y_label = keep_text(f, y_label);
  p->series = f->series[f->n++];
  return p;
}

void add_series(figure *f, const char *name, plot_kind kind, int n, const double *x,
                const double *y, const double *low, const double *high)
{
  plot *p = &f->panels[f->n - 1];
  plot_series *s = &f->series[f->n - 1][p->n_series++];
  if (p->n_series > MAX_SERIES) fail(f->name, "more than %d series", MAX_SERIES);
  s->name = keep_text(f, name);
  s->kind = kind;
  s->n = n;
  s->x = copy_doubles(x, n);
  s->y = copy_doubles(y, n);
  s->low = copy_doubles(low, n);
  s->high = copy_doubles(high, n);
}

void add_scores(figure *f, const char *name, plot_kind kind, int n, const double *x,
                const score *y)
{
  double *mean = allocate(3 * (size_t)n, sizeof *mean), *low = mean + n, *high = low + n;
  int i, several = 0;
  for (i = 0; i < n; i++) {
    mean[i] = y[i].mean;
    low[i] = y[i].low;
    high[i] = y[i].high;
    several |= low[i] < high[i];
  }
  add_series(f, name, kind, n, x, mean, several ? low : NULL, several ? high : NULL);
  free(mean);
}

/* A team over all k.  low and high [n][n_k] are of its predictors, for a single model. */
static void add_team_curve(figure *f, const evaluation *v, int team, const double *low,
                           const double *high)
{
  const int i = first_of(v, team), several = members(v, i) > 1;
  const size_t n = (size_t)v->n_k;
  double *x = allocate(4 * n, sizeof *x), *y = x + n, *least = y + n, *most = least + n;
  int c;
  for (c = 0; c < v->n_k; c++) {
    const score e = team_score(v, team, c);
    x[c] = v->pairs + 1 - v->n_k + c;
    y[c] = e.mean;
    least[c] = e.low;
    most[c] = e.high;
  }
  if (!several) low += i * v->n_k, high += i * v->n_k;
  else low = least, high = most;
  if (v->p[i].model) add_series(f, v->p[i].name, PLOT_CURVE, v->n_k, x, y, low, high);
  else add_series(f, v->p[i].name, PLOT_CURVE, v->n_k, x, y, NULL, NULL);
  free(x);
}

void add_curves(figure *f, const evaluation *v)
{
  const size_t n = (size_t)v->n * (size_t)v->n_k;
  double *low = allocate(n, sizeof *low), *high = allocate(n, sizeof *high);
  int i;
  bootstrap_band(v, low, high);
  for (i = 0; i < count_teams(v); i++) add_team_curve(f, v, i, low, high);
  free(low);
  free(high);
}

static void put_number(FILE *file, double value)
{
  fputc(',', file);
  if (isfinite(value)) fprintf(file, "%.6g", value);
}

static void write_csv(const figure *f, FILE *file)
{
  int i, j, k;
  fputs("panel,series,x,y,low,high\n", file);
  for (i = 0; i < f->n; i++)
    for (j = 0; j < f->panels[i].n_series; j++)
      for (k = 0; k < f->series[i][j].n; k++) {
        const plot_series *s = &f->series[i][j];
        fprintf(file, "\"%s\",\"%s\"", f->panels[i].title, s->name);
        put_number(file, s->x[k]);
        put_number(file, s->y[k]);
        put_number(file, s->low ? s->low[k] : NAN);
        put_number(file, s->high ? s->high[k] : NAN);
        fputc('\n', file);
      }
}

int figure_exists(const repro *r, const char *name)
{
  static const char *const endings[] = {".csv", ".svg", ".png", ".txt"};
  size_t i;
  for (i = 0; i < sizeof endings / sizeof *endings; i++) {
    char *path = path_of(r, "/", name, endings[i]);
    const int there = file_exists(path);
    free(path);
    if (there) return 1;
  }
  return 0;
}

void finish_figure(const repro *r, figure *f)
{
  char *csv = path_of(r, "/", f->name, ".csv"), *svg = path_of(r, "/", f->name, ".svg");
  char *png = path_of(r, "/", f->name, ".png");
  output out;
  int i, j;
  make_folder(r->dir);
  open_output(&out, csv);
  write_csv(f, out.file);
  close_output(&out);
  plot_write(f->heading, f->panels, f->n, f->columns, svg);
  if (png_available()) plot_write(f->heading, f->panels, f->n, f->columns, png);
  fprintf(stderr, "wrote %s and .svg%s\n", csv, png_available() ? " and .png" : "");
  for (i = 0; i < f->n; i++)
    for (j = 0; j < f->panels[i].n_series; j++) {
      const plot_series *s = &f->series[i][j];
      free((void *)s->x);
      free((void *)s->y);
      free((void *)s->low);
      free((void *)s->high);
    }
  for (i = 0; i < f->n_texts; i++) free(f->texts[i]);
  free(f);
  free(csv);
  free(svg);
  free(png);
}

void verdict(const repro *r, const char *name, const char *claim, const char *measured, ...)
{
  char *path = path_of(r, "/", name, ".txt"), text[2048];
  output out;
  va_list rest;
  make_folder(r->dir);
  open_output(&out, path);
  va_start(rest, measured);
  vsnprintf(text, sizeof text, measured, rest);
  va_end(rest);
  fprintf(out.file, "%s: %s\n%s\n", name, claim, text);
  close_output(&out);
  printf("%s: %s\n%s\n", name, claim, text);
  flush_output();
  free(path);
}
