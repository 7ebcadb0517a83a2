/* See rivals.h.
 * SPDX-License-Identifier: MIT */
#include "rivals.h"
#include "common.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static double mean_of(const sample *s, const double *query)
{
  (void)s, (void)query;
  return 0;                        /* the data are scaled */
}

/* ----- lines: X'X + penalty ------------------------------------------------------------------ */

/* Factors X'X + penalty I into l[d][d] and finds the coefficients. */
static void fit_ridge(const sample *s, double penalty, double *l, double *coefficients)
{
  const size_t d = (size_t)s->d;
  size_t i, k;
  int row;
  memset(l, 0, d * d * sizeof *l);
  memset(coefficients, 0, d * sizeof *coefficients);
  for (row = 0; row < s->n; row++) {
    const double *x = s->x + (size_t)row * d;
    for (i = 0; i < d; i++) {
      for (k = 0; k <= i; k++) l[i * d + k] += x[i] * x[k];
      coefficients[i] += x[i] * s->y[row];
    }
  }
  for (i = 0; i < d; i++) l[i * d + i] += penalty;
  cholesky(l, s->d);
  solve_lower(l, s->d, coefficients);
  solve_upper(l, s->d, coefficients);
}

/* Squared error of leaving one row out, in closed form: residual / (1 - leverage). */
static double left_out_error(const sample *s, const double *l, const double *coefficients,
                             double *scratch)
{
  double sum = 0;
  int row;
  for (row = 0; row < s->n; row++) {
    const double *x = s->x + (size_t)row * (size_t)s->d;
    double residual = s->y[row] - dot(coefficients, x, s->d), free_part;
    memcpy(scratch, x, (size_t)s->d * sizeof *x);
    solve_lower(l, s->d, scratch);
    free_part = 1 - dot(scratch, scratch, s->d) - 1.0 / s->n;
    residual /= fmax(free_part, 1e-3);
    sum += residual * residual;
  }
  return sum;
}

static double line(const sample *s, const double *query)
{
  const size_t d = (size_t)s->d;
  double *l = allocate(d * (d + 1), sizeof *l), y;
  fit_ridge(s, 1e-9 * s->n, l, l + d * d);
  y = dot(l + d * d, query, s->d);
  free(l);
  return y;
}

/* The penalty is the one of 10^-3 .. 10^3 with the least error of leaving one row out. */
static double ridge(const sample *s, const double *query)
{
  const size_t d = (size_t)s->d;
  double *l = allocate(d * (d + 2), sizeof *l), *coefficients = l + d * d;
  double best = INFINITY, y = 0;
  int i;
  for (i = -6; i <= 6; i++) {
    double error;
    fit_ridge(s, pow(10, 0.5 * i), l, coefficients);
    error = left_out_error(s, l, coefficients, coefficients + d);
    if (error >= best) continue;
    best = error;
    y = dot(coefficients, query, s->d);
  }
  free(l);
  return y;
}

/* ----- neighbours ---------------------------------------------------------------------------- */

/* The mean y of the rows with the largest x at most, or the least x at least, the query; NaN where
 * there is none. */
static double beside(const sample *s, double query, double side, double *at)
{
  double sum = 0;
  int i, n = 0;
  *at = INFINITY;
  for (i = 0; i < s->n; i++) {
    const double off = side * (s->x[i] - query);
    if (off < 0 || off > *at) continue;
    if (off < *at) sum = n = 0;
    *at = off;
    sum += s->y[i];
    n++;
  }
  return n ? sum / n : (double)NAN;
}

/* A straight line between the neighbours; beyond the ends, the last y. */
static double dots(const sample *s, const double *query)
{
  double left, right;
  const double y0 = beside(s, *query, -1, &left), y1 = beside(s, *query, 1, &right);
  if (isnan(y0)) return y1;
  if (isnan(y1)) return y0;
  return left + right > 0 ? (y0 * right + y1 * left) / (left + right) : y0;
}

enum { NEIGHBOURS = 3 };

static double squared_distance(const double *a, const double *b, int d)
{
  double sum = 0;
  int i;
  for (i = 0; i < d; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

static double nearest(const sample *s, const double *query)
{
  double far[NEIGHBOURS + 1], y[NEIGHBOURS + 1], sum = 0;
  int i, k, n = 0;
  for (i = 0; i < s->n; i++) {
    const double r = squared_distance(s->x + (size_t)i * (size_t)s->d, query, s->d);
    for (k = n; k > 0 && far[k - 1] > r; k--) {
      far[k] = far[k - 1];
      y[k] = y[k - 1];
    }
    far[k] = r;
    y[k] = s->y[i];
    if (n < NEIGHBOURS) n++;
  }
  for (k = 0; k < n; k++) sum += y[k];
  return n ? sum / n : 0;
}

static double gaussian_process(const sample *s, const double *query)
{
  return gp_predict(s->gp, s->n, s->d, s->x, s->y, query);
}

const rival rivals[] = {
  {"gp", "Gaussian process", "a Gaussian process", gaussian_process, 0},
  {"dots", "joining the dots", "straight lines between neighbouring points", dots, 1},
  {"knn", "3 nearest neighbours", "the mean of the 3 nearest neighbours", nearest, 0},
  {"ridge", "ridge regression", "ridge regression", ridge, 0},
  {"line", "straight line (least squares)", "a straight line (least squares)", line, 0},
  {"mean", "mean", "the mean of y", mean_of, 0}
};
const int n_rivals = sizeof rivals / sizeof *rivals;
