/* Gaussian process regression: Matern-5/2 kernel plus noise, whose length and noise maximise the
 * marginal likelihood over a small grid; the variance follows in closed form.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_GP_H
#define ICL_TOOLS_GP_H

enum {
  GP_MAX_ROWS = 300,               /* of more, so many are used, spread evenly                */
  GP_REFIT_ROWS = 100              /* with more, one choice serves a whole series of calls    */
};

typedef struct gp_choice { double length, noise; } gp_choice;    /* length 0: not made yet */

/* The mean at query[d] given x[n][d] and y[n], all scaled to mean 0 and standard deviation 1.  The
 * choice is made anew, or, with many rows, by the first call of a series. */
double gp_predict(gp_choice *choice, int n, int d, const double *x, const double *y,
                  const double *query);

#endif
