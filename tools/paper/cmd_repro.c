/* icl repro: the figures of the papers, beside the optimum.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "repro.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const figure_row *const tables[] = {linear_figures, wave_figures, other_figures, more_figures};
enum { N_TABLES = sizeof tables / sizeof *tables };

/* Figure i of all tables, NULL past the last. */
static const figure_row *figure_at(int i)
{
  int t;
  for (t = 0; t < N_TABLES; t++) {
    const figure_row *row = tables[t];
    for (; row->name; row++) if (i-- == 0) return row;
  }
  return NULL;
}

static const figure_row *find_figure(const char *name)
{
  const figure_row *row;
  int i;
  for (i = 0; (row = figure_at(i)) != NULL; i++) if (!strcmp(row->name, name)) return row;
  return NULL;
}

static void list_all(scale s)
{
  static const char *const kept[] = {", not kept", ", 1 kept", ", 2 kept", ", 3 kept"};
  const figure_row *row;
  const recipe *what;
  int i;
  for (i = 0; (row = figure_at(i)) != NULL; i++) printf("%-12s %s\n", row->name, row->about);
  printf("\nModels (%s):\n", s == LAPTOP ? "laptop scale; kept: in examples/paper" : "paper scale");
  for (i = 0; (what = recipe_at(s, i)) != NULL; i++) {
    const char *from = s == LAPTOP ? what->from : NULL;
    printf("%-13s %2d layers, %d heads, width %3d, %7ld steps%s%s%s: %s\n", what->name,
           what->at[s].n_layer, what->at[s].n_head, what->at[s].n_embd, (long)what->at[s].steps,
           from ? " from " : "", from ? from : "", s == PAPER ? "" : kept[what->seeds],
           what->task);
  }
}

static void train_seeds(const repro *r, const recipe *what)
{
  int seed;
  for (seed = 1; seed <= count_seeds(r, what->name); seed++) train_model(r, what, seed);
}

static void train_all(const repro *r)
{
  const recipe *what;
  int i;
  for (i = 0; (what = recipe_at(r->scale, i)) != NULL; i++)
    if (r->scale == PAPER || what->seeds) train_seeds(r, what);
}

static void make_all(repro *r)
{
  const figure_row *row;
  int i;
  for (i = 0; (row = figure_at(i)) != NULL; i++) {
    if (row->apart || (row->laptop_only && r->scale == PAPER)) continue;
    if (r->force || !figure_exists(r, row->name)) row->make(r);
    else fprintf(stderr, "%s is there already: --force draws it again\n", row->name);
  }
}

static int is_known(scale s, const char *name)
{
  return !strcmp(name, "list") || !strcmp(name, "models") || !strcmp(name, "all")
      || find_figure(name) || find_recipe(s, name);
}

/* A figure's name goes before a model's. */
static void make(repro *r, const char *name)
{
  if (!strcmp(name, "list")) list_all(r->scale);
  else if (!strcmp(name, "models")) train_all(r);
  else if (!strcmp(name, "all")) make_all(r);
  else if (find_figure(name)) find_figure(name)->make(r);
  else train_seeds(r, find_recipe(r->scale, name));
}

static int run(int argc, char **argv)
{
  const char *names[64];
  int n, i, size = LAPTOP, list = 0;
  repro r;
  memset(&r, 0, sizeof r);
  r.dir = "paper";
  r.prompts = 4096;
  r.seed = 2311;
  r.threads = processors(ICL_MAX_THREADS);
  {
    const option table[] = {
      OPT_CHOICE("--scale", SCALE_CHOICES, &size,
                 "an evening on two cores, or the papers' recipes"),
      OPT_TEXT("--dir", "DIR", &r.dir,
               "where figures go, and models into DIR/models;\n"
               "examples/paper of the repository has all but those of sizes"),
      OPT_FLAG("--list", &list, "all figures and models, as icl repro list"),
      OPT_FLAG("--no-train", &r.no_train, "fail where a model is missing"),
      OPT_FLAG("--force", &r.force, "draw figures again that are there already"),
      OPT_INT("--prompts", "M", &r.prompts, 16, 1 << 20, "prompts to average over"),
      OPT_SEED("--seed", "S", &r.seed, "of the prompts; models have seeds of their own, from 1"),
      OPT_INT("--seeds", "N", &r.seeds, 0, MAX_SEEDS,
              "train N models of each recipe, and show their mean and a band\n"
              "from the least to the largest; 0: as many as DIR has, or one"),
      OPT_INT("--threads", "T", &r.threads, 1, ICL_MAX_THREADS, "the result does not depend on it"),
      OPT_END
    };
    n = parse_options(&cmd_repro, table, argc, argv, names, 64);
  }
  r.scale = (scale)size;
  if (list) { list_all(r.scale); return EXIT_SUCCESS; }
  if (!n) usage_error(&cmd_repro, "no FIGURE; icl repro list shows all");
  for (i = 0; i < n; i++)
    if (!is_known(r.scale, names[i]))
      usage_error(&cmd_repro, "there is no figure or model '%s'; icl repro list shows all",
                  names[i]);
  for (i = 0; i < n; i++)
    if (find_figure(names[i]) && find_figure(names[i])->laptop_only && r.scale == PAPER)
      fail(names[i], "is of laptop scale only");
  for (i = 0; i < n && !r.force; i++)
    if (find_figure(names[i]) && figure_exists(&r, names[i]))
      fail(names[i], "is in %s already: --force draws it again", r.dir);
  for (i = 0; i < n; i++) make(&r, names[i]);
  for (i = 0; i < r.n_models; i++) icl_unload(r.models[i]);
  return EXIT_SUCCESS;
}

const command cmd_repro = {
  "repro", "a figure of the papers: trains what is missing, draws it beside the optimum",
  "FIGURE... [options]",
  "Makes figures of Yadlowsky et al. (fig1 to fig9), of Garg et al. and of others: the models that\n"
  "are missing are trained (Ctrl-C stops, the next call goes on), evaluated, and drawn beside the\n"
  "exact optimum: DIR/FIGURE.csv, .svg and, in builds with libstb-dev, .png, and three lines on\n"
  "stdout: what the paper says, what was measured, the optimum.  FIGURE is a name of `icl repro\n"
  "list`; `all` makes all figures that are not there yet, but for `sizes`, which trains 11 models\n"
  "for over an hour.  A model's name of that list only trains it, `models` trains all that are kept.",
  run
};
