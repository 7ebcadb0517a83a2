/* See solve.h.
 * SPDX-License-Identifier: MIT */
#include "solve.h"

#include <math.h>
#include <stddef.h>

double dot(const double *a, const double *b, int n)
{
  double sum = 0;
  int i;
  for (i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

int cholesky(double *a, int n)
{
  const size_t wide = (size_t)n;
  int i, k;
  for (i = 0; i < n; i++) {
    double *row = a + (size_t)i * wide, pivot;
    for (k = 0; k < i; k++) {
      const double *other = a + (size_t)k * wide;
      row[k] = (row[k] - dot(row, other, k)) / other[k];
    }
    pivot = row[i] - dot(row, row, i);
    if (!(pivot > 0)) return 0;
    row[i] = sqrt(pivot);
  }
  return 1;
}

void solve_lower(const double *l, int n, double *b)
{
  int i;
  for (i = 0; i < n; i++) {
    const double *row = l + (size_t)i * (size_t)n;
    b[i] = (b[i] - dot(row, b, i)) / row[i];
  }
}

void solve_upper(const double *l, int n, double *b)
{
  int i, k;
  for (i = n - 1; i >= 0; i--) {
    const double *row = l + (size_t)i * (size_t)n;
    b[i] /= row[i];
    for (k = 0; k < i; k++) b[k] -= row[k] * b[i];
  }
}
