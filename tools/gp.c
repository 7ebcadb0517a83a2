/* See gp.h.
 * SPDX-License-Identifier: MIT */
#include "gp.h"
#include "common.h"
#include "dataset.h"
#include "solve.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct gp {
  int n, d;
  const double *x, *y;             /* [n][d], [n]                                             */
  double *distance;                /* [n][n]                                                  */
  double *kernel;                  /* [n][n] then its Cholesky factor                         */
  double *weights;                 /* [n] K^-1 y                                              */
  double likelihood;               /* of the length and noise at hand                         */
} gp;

static double distance(const double *a, const double *b, int d)
{
  double sum = 0;
  int i;
  for (i = 0; i < d; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sqrt(sum);
}

/* k(r) = (1 + s + s^2 / 3) exp(-s), s = sqrt(5) r / length. */
static double matern(double r, double length)
{
  const double s = 2.2360679774997896964 * r / length;
  return (1 + s + s * s / 3) * exp(-s);
}

static void find_distances(gp *g)
{
  const size_t n = (size_t)g->n, d = (size_t)g->d;
  size_t i, k;
  for (i = 0; i < n; i++)
    for (k = 0; k <= i; k++)
      g->distance[i * n + k] = distance(g->x + i * d, g->x + k * d, g->d);
}

/* Factors K + noise I, and finds weights and likelihood:
 * -2 log p = n log(y' K^-1 y / n) + log det K, up to a constant.  0 where K is singular. */
static int fit(gp *g, double length, double noise)
{
  const size_t n = (size_t)g->n;
  double log_det = 0;
  size_t i, k;
  for (i = 0; i < n; i++)
    for (k = 0; k <= i; k++)
      g->kernel[i * n + k] = matern(g->distance[i * n + k], length) + (i == k ? noise : 0);
  if (!cholesky(g->kernel, g->n)) return 0;
  for (i = 0; i < n; i++) log_det += 2 * log(g->kernel[i * n + i]);
  memcpy(g->weights, g->y, n * sizeof *g->weights);
  solve_lower(g->kernel, g->n, g->weights);
  g->likelihood = -log_det - g->n * log(dot(g->weights, g->weights, g->n) + 1e-300);
  solve_upper(g->kernel, g->n, g->weights);
  return 1;
}

/* The best length and noise of the grid; lengths grow with the distances in d dimensions. */
static gp_choice choose(gp *g)
{
  static const double lengths[] = {0.025, 0.05, 0.1, 0.2, 0.35, 0.6, 1, 1.7, 3, 6, 12};
  static const double noises[] = {1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.3, 1, 3, 10};
  gp_choice chosen = {1, 1};
  double best = -INFINITY;
  size_t i, k;
  for (i = 0; i < sizeof lengths / sizeof *lengths; i++)
    for (k = 0; k < sizeof noises / sizeof *noises; k++) {
      if (!fit(g, lengths[i] * sqrt(g->d), noises[k]) || g->likelihood <= best) continue;
      best = g->likelihood;
      chosen.length = lengths[i] * sqrt(g->d);
      chosen.noise = noises[k];
    }
  return chosen;
}

static double mean_at(const gp *g, double length, const double *query)
{
  double sum = 0;
  int i;
  for (i = 0; i < g->n; i++)
    sum += g->weights[i] * matern(distance(g->x + (size_t)i * (size_t)g->d, query, g->d), length);
  return sum;
}

/* The rows that are used, in memory of its own: distance. */
static gp new_gp(int n, int d, const double *x, const double *y)
{
  const size_t used = (size_t)(n < GP_MAX_ROWS ? n : GP_MAX_ROWS);
  const points all = {n, n, (double *)(uintptr_t)x, (double *)(uintptr_t)y, NULL, NULL};
  double *memory = allocate(used * (2 * used + (size_t)d + 2), sizeof *memory);
  double *own_x = memory + 2 * used * used, *own_y = own_x + used * (size_t)d;
  gp g = {(int)used, d, own_x, own_y, memory, memory + used * used, own_y + used, 0};
  int *rows = spread(n, g.n);
  gather(&all, d, rows, g.n, own_x, own_y);
  free(rows);
  find_distances(&g);
  return g;
}

double gp_predict(gp_choice *choice, int n, int d, const double *x, const double *y,
                  const double *query)
{
  gp g = new_gp(n, d, x, y);
  double mean;
  if (n <= GP_REFIT_ROWS || !(choice->length > 0)) *choice = choose(&g);
  mean = fit(&g, choice->length, choice->noise) ? mean_at(&g, choice->length, query) : 0;
  free(g.distance);
  return mean;
}
