/* See rivals.h.
 * SPDX-License-Identifier: MIT */
#include "rivals.h"
#include "common.h"
#include "ridge.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>

static double mean_of(const sample *s, const double *query)
{
  (void)s, (void)query;
  return 0;                        /* the data are scaled */
}

/* ----- lines --------------------------------------------------------------------------------- */

static double line(const sample *s, const double *query)
{
  const size_t d = (size_t)s->d;
  double *l = allocate(d * (d + 1), sizeof *l), y;
  ridge_fit(s->n, s->d, s->x, s->y, 1e-9 * s->n, l, l + d * d);
  y = dot(l + d * d, query, s->d);
  free(l);
  return y;
}

static double ridge(const sample *s, const double *query)
{
  const size_t d = (size_t)s->d;
  double *slope = allocate(d * (d + 3), sizeof *slope), y;
  ridge_choose(s->n, s->d, s->x, s->y, slope, slope + d);
  y = dot(slope, query, s->d);
  free(slope);
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
