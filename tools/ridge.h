/* Ridge regression, with the penalty chosen by leaving rows out.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_RIDGE_H
#define ICL_TOOLS_RIDGE_H

/* slope[d] of y[n] on x[n][d], which are centred; l[d][d] gets the Cholesky factor of
 * X'X + penalty I. */
void ridge_fit(int n, int d, const double *x, const double *y, double penalty, double *l,
               double *slope);

/* The same with the penalty of 10^-3, 10^-2.5 .. 10^3 that errs least at rows left out.
 * memory[d (d + 2)]. */
void ridge_choose(int n, int d, const double *x, const double *y, double *slope, double *memory);

#endif
