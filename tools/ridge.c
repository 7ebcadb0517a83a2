/* See ridge.h.
 * SPDX-License-Identifier: MIT */
#include "ridge.h"
#include "solve.h"

#include <math.h>
#include <string.h>

void ridge_fit(int n, int d, const double *x, const double *y, double penalty, double *l,
               double *slope)
{
  const size_t wide = (size_t)d;
  size_t i, k;
  int row;
  memset(l, 0, wide * wide * sizeof *l);
  memset(slope, 0, wide * sizeof *slope);
  for (row = 0; row < n; row++, x += wide) {
    for (i = 0; i < wide; i++) {
      for (k = 0; k <= i; k++) l[i * wide + k] += x[i] * x[k];
      slope[i] += x[i] * y[row];
    }
  }
  for (i = 0; i < wide; i++) l[i * wide + i] += penalty;
  cholesky(l, d);
  solve_lower(l, d, slope);
  solve_upper(l, d, slope);
}

/* Squared error of leaving one row out, in closed form: residual / (1 - leverage). */
static double left_out_error(int n, int d, const double *x, const double *y, const double *l,
                             const double *slope, double *scratch)
{
  double sum = 0;
  int row;
  for (row = 0; row < n; row++, x += d) {
    double residual = y[row] - dot(slope, x, d), free_part;
    memcpy(scratch, x, (size_t)d * sizeof *x);
    solve_lower(l, d, scratch);
    free_part = 1 - dot(scratch, scratch, d) - 1.0 / n;
    residual /= fmax(free_part, 1e-3);
    sum += residual * residual;
  }
  return sum;
}

void ridge_choose(int n, int d, const double *x, const double *y, double *slope, double *memory)
{
  const size_t wide = (size_t)d;
  double *l = memory, *tried = l + wide * wide, *scratch = tried + wide, best = INFINITY;
  int i;
  memset(slope, 0, wide * sizeof *slope);
  for (i = -6; i <= 6; i++) {
    double error;
    ridge_fit(n, d, x, y, pow(10, 0.5 * i), l, tried);
    error = left_out_error(n, d, x, y, l, tried, scratch);
    if (!(error < best)) continue;
    best = error;
    memcpy(slope, tried, wide * sizeof *slope);
  }
}
