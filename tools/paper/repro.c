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

/* Where the figures of the repository have all models, unless that is where this looks already. */
static const char *hint(const repro *r)
{
  const char *committed = "examples/paper";
  return r->scale == LAPTOP && strncmp(r->dir, committed, strlen(committed))
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

/* The model that this one starts from, trained if need be; NULL where there is none. */
static icl_model *first_weights(const repro *r, const recipe *what)
{
  const recipe *before = r->scale == LAPTOP && what->from ? find_recipe(LAPTOP, what->from) : NULL;
  char *path;
  icl_model *m;
  if (!before) return NULL;
  train_model(r, before);
  path = path_of(r, "/models/", before->name, ".safetensors");
  m = load_model(path);
  free(path);
  return m;
}

void train_model(const repro *r, const recipe *what)
{
  char *path = path_of(r, "/models/", what->name, ".safetensors"), *state = join(path, ".state");
  const int there = access(path, F_OK) == 0, begun = access(state, F_OK) == 0;
  char *folder = join(r->dir, "/models");
  icl_model *from;
  training t;
  if (!there || begun) {
    if (r->no_train) fail(path, "is missing or unfinished%s", hint(r));
    make_folder(r->dir);
    make_folder(folder);
    memset(&t, 0, sizeof t);
    t.o = recipe_options(r->scale, what, 1);
    t.o.from = from = first_weights(r, what);
    t.o.threads = r->threads;
    t.out = path;
    t.resume = 1;
    t.save_every = 1000;
    fprintf(stderr, "training %s: %s%s\n", what->name, what->task, hint(r));
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
      || m->config.n_head != o.model.n_head)
    fail(path, "was made by another recipe, not %s at this scale: move it away", what->name);
}

const icl_model *get_model(repro *r, const char *name)
{
  const recipe *what = find_recipe(r->scale, name);
  char *path;
  int i;
  if (!what) fail(name, "there is no such model at this scale");
  for (i = 0; i < r->n_models; i++) if (r->recipes[i] == what) return r->models[i];
  if (r->n_models == MAX_MODELS) fail(name, "more than %d models", MAX_MODELS);
  train_model(r, what);
  path = path_of(r, "/models/", what->name, ".safetensors");
  r->models[r->n_models] = load_model(path);
  r->recipes[r->n_models] = what;
  check_model(r, r->models[r->n_models], what, path);
  free(path);
  return r->models[r->n_models++];
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

void add_curve(figure *f, const evaluation *v, int i, const double *low, const double *high)
{
  double *x = allocate((size_t)v->n_k, sizeof *x), *y = allocate((size_t)v->n_k, sizeof *y);
  int c;
  for (c = 0; c < v->n_k; c++) {
    x[c] = v->pairs + 1 - v->n_k + c;
    y[c] = mean_error(v, i, c);
  }
  add_series(f, v->p[i].name, PLOT_CURVE, v->n_k, x, y, low ? low + i * v->n_k : NULL,
             high ? high + i * v->n_k : NULL);
  free(x);
  free(y);
}

void add_curves(figure *f, const evaluation *v)
{
  const size_t n = (size_t)v->n * (size_t)v->n_k;
  double *low = allocate(n, sizeof *low), *high = allocate(n, sizeof *high);
  int i;
  bootstrap_band(v, low, high);
  for (i = 0; i < v->n; i++)
    add_curve(f, v, i, v->p[i].model ? low : NULL, v->p[i].model ? high : NULL);
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
  char *path = path_of(r, "/", name, ".txt"), text[1024];
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
