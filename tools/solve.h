/* Symmetric positive definite systems, by Cholesky.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_SOLVE_H
#define ICL_TOOLS_SOLVE_H

/* Overwrites the lower triangle of a[n][n] with L, a = L L'; 0 where a is not positive definite. */
int cholesky(double *a, int n);

/* b = L^-1 b, and b = L'^-1 b, in place. */
void solve_lower(const double *l, int n, double *b);
void solve_upper(const double *l, int n, double *b);

double dot(const double *a, const double *b, int n);

#endif
