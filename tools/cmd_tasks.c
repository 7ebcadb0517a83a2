/* icl tasks: the function classes that a task is made of.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include "icl_train.h"

#include <stdlib.h>
#include <string.h>

/* What a class is, in one line, and a task to try with so many inputs. */
typedef struct class_text {
  const char *name, *formula, *example;
  int dims;
} class_text;

/* One row for each class of icl_train.h; z is x for d = 1, otherwise x along a random direction. */
static const class_text texts[] = {
  {"dense", "b.x / sqrt(d), b ~ N(0, I)", "noisy(dense, sd=0.1)", 5},
  {"sparse", "b.x / sqrt(nnz) with nnz coordinates of b that are not 0", "sparse(nnz=2)", 5},
  {"relu", "b.relu(W x) / sqrt(d hidden), W ~ N(0, 2)", "relu(hidden=100)", 5},
  {"sine", "b cos(2 pi w z), w ~ Gamma(6, 1/6); norm=1: variance 1 instead of 1/2",
   "sine(norm=1)", 1},
  {"tree", "binary decisions x_j > 0 to this depth, leaves N(0, 1)", "tree(depth=3)", 5},
  {"quadratic", "b.x^2 / sqrt(3 d), b ~ N(0, I)", "quadratic", 3},
  {"affine", "(intercept a + slope b.x / sqrt(d)) / norm, a and b ~ N(0, I)",
   "affine(slope=2, intercept=0.5)", 2},
  {"poly", "polynomial in z, Hermite coefficients N(0, 1) / sqrt(degree + 1)", "poly(degree=3)", 1},
  {"wave", "(offset c + A cos(2 pi w z + phase)) / norm, w ~ U(fmin, fmax)", "wave(fmax=0.5)", 1},
  {"saturate", "a + b (1 - exp(-max(0, z - x0) / t)), t log-uniform from tmin to tmax",
   "saturate(tmin=0.5, tmax=2)", 1},
  {"gp", "Gaussian process, 32 random features: RBF (nu=0) or Matern; ard=1: a length per input",
   "gp(length=0.15..4, nu=1.5)", 1},
  {"logistic", "1 / (1 + exp(-s (z - c))), s log-uniform from smin to smax, level and rise N(0, 1)",
   "logistic(smin=1, smax=5)", 1},
  {"decay", "exp(-r z), r log-uniform from rmin to rmax, in 3 of 10 with a second rate",
   "noisy(decay, sd=0.05)", 1},
  {"peak", "Gaussian or Lorentzian, width log-uniform from wmin to wmax, in 3 of 10 two of them",
   "peak(wmin=0.2)", 1},
  {"power", "Hill curve, power law or logarithm of z - c, exponent log-uniform from amin to amax",
   "power(amin=1, amax=2)", 1},
  {"hinge", "piecewise linear in z with 1 to max bends", "hinge(max=2)", 1},
  {"monotone", "rising or falling in z: a sum of that many sigmoids", "monotone(parts=2)", 1},
  {"decaying", "linear; weights kept with probability keep, times q^j in random order, "
   "q ~ U(rate, 1)", "decaying(keep=0.3..1)", 8},
  {"products", "sum of that many products a x_i x_j / sqrt(terms), a ~ N(0, 1)",
   "products(terms=2)", 4},
  {"additive", "sum of that many bends and saturations of single inputs", "additive(terms=4)", 4},
  {"link", "b (exp(s z) - mean) / sd, log s ~ U(log rate, 0)", "link(rate=0.5)", 3},
  {"splits", "tree to this depth of decisions x_j > t, t ~ N(0, 0.7^2), leaves N(0, 1)",
   "splits(depth=3)", 3},
  {"pool", "one of size fixed dense functions, which seed determines", "pool(size=64, seed=1)", 5},
  {"noisy", "A(x) + N(0, sd^2), A = dense where left out; renorm=1: / sqrt(1 + sd^2); chances of "
   "noise at all, heavy tails, noise that grows with |A|, outliers",
   "noisy(0.5*dense + 0.5*sparse, sd=0.01..1)", 3},
  {"convex", "alpha A(x) + (1 - alpha) B(x); without alpha it is U(0, 1) for each function",
   "convex(dense, sine, alpha=0.3)", 1},
  {"garg", "A(x) in the units of Garg et al. 2022: times sqrt(d), of sparse sqrt(nnz)",
   "garg(dense)", 5}
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static const class_text *text_of(const char *name)
{
  int i;
  for (i = 0; i < N_TEXTS; i++) if (!strcmp(texts[i].name, name)) return &texts[i];
  return NULL;
}

static const icl_class *class_of(const char *name)
{
  int i;
  for (i = 0; icl_class_at(i); i++)
    if (!strcmp(icl_class_at(i)->name, name)) return icl_class_at(i);
  return NULL;
}

/* Fails where a class has no text, or a text no class: tests/test_tasks.sh runs this. */
static void check_texts(void)
{
  int i;
  for (i = 0; icl_class_at(i); i++)
    if (!text_of(icl_class_at(i)->name)) fail(icl_class_at(i)->name, "a class without a text");
  for (i = 0; i < N_TEXTS; i++)
    if (!class_of(texts[i].name)) fail(texts[i].name, "a text without a class");
}

static void print_value(const icl_class_arg *a, float value)
{
  if (a->max < 0 && a->min >= 0 && value < 0) putchar('d');      /* ICL_AT_MOST_DIMS */
  else printf(a->whole ? "%.0f" : "%g", (double)value);
}

static void print_limits(const icl_class_arg *a, const char *between)
{
  print_value(a, a->min);
  fputs(between, stdout);
  print_value(a, a->max);
}

/* gp(length=1[0.01..100], ...)  the formula */
static void print_line(const icl_class *c)
{
  int j;
  fputs(c->name, stdout);
  for (j = 0; j < ICL_MAX_ARGS && c->arg[j].name; j++) {
    printf("%s%s=", j ? ", " : "(", c->arg[j].name);
    print_value(&c->arg[j], c->arg[j].value);
    putchar('[');
    print_limits(&c->arg[j], "..");
    putchar(']');
  }
  printf("%s  %s\n", j ? ")" : "", text_of(c->name)->formula);
}

static void print_all(void)
{
  int i;
  for (i = 0; icl_class_at(i); i++) print_line(icl_class_at(i));
  puts("\nname(argument=default[least..most], ...)  f(x) of d inputs.  E f(x)^2 is 1 or nearly,\n"
       "for x ~ N(0, I).  z is x for d = 1 and otherwise x along a random direction.  An\n"
       "argument may be a range, sd=0.01..2, and is drawn anew for each function.  Mixtures:\n"
       "0.5*dense + 0.5*sparse(nnz=2).  icl tasks NAME explains one.");
}

static void print_one(const icl_class *c)
{
  const class_text *text = text_of(c->name);
  int j;
  printf("%s: %s\n", c->name, text->formula);
  for (j = 0; j < ICL_MAX_ARGS && c->arg[j].name; j++) {
    const icl_class_arg *a = &c->arg[j];
    printf("  %-10s %s from ", a->name, a->whole ? "whole number" : "number");
    print_limits(a, " to ");
    fputs(" [", stdout);
    print_value(a, a->value);
    puts("]");
  }
  printf("example: icl sample --task '%s' --dims %d --pairs 10\n", text->example, text->dims);
}

static int run(int argc, char **argv)
{
  static const option table[] = {OPT_END};
  const char *name = NULL;
  check_texts();
  if (!parse_options(&cmd_tasks, table, argc, argv, &name, 1)) print_all();
  else if (class_of(name)) print_one(class_of(name));
  else usage_error(&cmd_tasks, "no class '%s'", name);
  return EXIT_SUCCESS;
}

const command cmd_tasks = {
  "tasks", "the function classes that tasks are made of", "[NAME]",
  "Prints one line for each function class: its arguments with their defaults and limits, and its\n"
  "formula.  With NAME: that class, and a command that draws some of its functions.",
  run
};
