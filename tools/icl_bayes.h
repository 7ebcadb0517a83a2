/* icl_bayes.h 0.1.0 - what else would predict y: classical predictors, and the exact Bayes optimum
 * of icl_train.h's tasks.  SPDX-License-Identifier: MIT; full text in icl.h.
 *
 *     #define ICL_IMPLEMENTATION          // all three, in one .c or .cpp file
 *     #define ICL_TRAIN_IMPLEMENTATION
 *     #define ICL_BAYES_IMPLEMENTATION
 *     #include "icl_bayes.h"              // includes icl_train.h, which includes icl.h
 *
 *     int main(void)
 *     {
 *       static double scratch[4000];
 *       const float x[] = {1, 2, 3}, y[] = {2, 4, 6}, query = 4;
 *       icl_baseline ols;
 *       float at = 0;
 *       icl_baseline_parse(&ols, "ols", NULL);
 *       if (icl_baseline_scratch(&ols, 3, 1) > sizeof scratch) return 1;
 *       if (icl_baseline_predict(&ols, NULL, 3, 1, x, y, 1, &query, &at, scratch)) return 1;
 *       printf("%g\n", (double)at);       // 8
 *       return 0;
 *     }
 *
 *     cc -O2 -I. program.c -lm
 *
 * Learning curves of a model are read against these.  Training needs nothing of this file.
 *
 * MEMORY.  Nothing is allocated: the caller brings scratch.  No globals; any number of threads.
 *
 * CONTENTS (search for >>name): api | predictors
 */
#ifndef ICL_BAYES_H
#define ICL_BAYES_H

#include "icl_train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ===== >>api ================================================================================ */

/* Classical predictors and the exact optimum, to hold a model against (arXiv 2208.01066, appendix
 * A.3).  With no pairs every predictor answers 0; bayes of a pool answers the mean of its members.
 *
 *     ols            least squares; of all solutions the one of least norm.  Any k, any rank;
 *                    directions below max(k, d) 2^-23 of the largest count as rounding of floats
 *     ridge:L        min |y - X w|^2 + L |w|^2, L > 0
 *     lasso:A        min |y - X w|^2 / (2 k) + A |w|_1, A >= 0, no intercept; at most 100,000
 *                    sweeps at A, as in the code of Garg et al.
 *     knn:K          mean of the K nearest y's, of all where there are fewer
 *     avg            w = mean(x_i y_i)
 *     zero           0
 *     tree:D         regression tree of depth D at most (CART): each split is the input and the
 *                    midpoint between two of its values that leave the least squared error
 *     net:H, net:H:N two-layer ReLU network of H hidden units after N steps (100) of Adam at 0.005
 *                    on all pairs, from first weights that are always the same; H = 100 is the
 *                    network of Garg et al., in their code with these steps, in their paper with
 *                    5000 of batches of 10
 *     bayes, bayes:S posterior mean under the task, for tasks that icl_bayes_supported accepts.
 *                    S (1e-8) is noise variance on top of the task's: more is softer.  It is at
 *                    least 1e-6 with a sine, a gp or relu alone and 1e-4 with relu in a mixture
 *
 * Under bayes any mixture of classes, with its weights as the prior, is a mixture of Gaussians or
 * of the functions that are counted below; predictions are weighted by evidence.
 *     dense, sparse  supports are enumerated; Gaussian given the support
 *     relu           the Gaussian process of infinitely many hidden units, which has the same
 *                    covariances as any width: the best predictor that is linear in y, and not far
 *                    from the optimum for 100 units
 *     sine (d = 1)   the frequencies 0, 1.25e-4, .. 5 under their Gamma prior; Gaussian given the
 *                    frequency
 *     pool           its members are enumerated: exp(-|y - X w_i|^2 / (2 noise))
 *     affine         the Gaussian process of a constant and a linear part
 *     gp             the Gaussian process of infinitely many features, which has the same
 *                    covariances; nu = 0, 1/2, 3/2, 5/2.  A range of lengths becomes 7 values for
 *                    each factor of e, and so does ard, for d = 1 only
 *     noisy          sd or a range of it: 7 values for each factor of e, 24 of a range from 0.
 *                    Not with a share below 1, tails, hetero or outliers
 *     convex(A, B)   Gaussian in both parts at once: of dense, affine, relu, gp and sine, but two
 *                    of gp and a sine with anything but dense; alpha ~ U(0, 1) becomes 16 nodes
 * Other arguments must not be ranges.  The optimum is that of prompts that icl_prompt_sample draws
 * with any x and in any order, but not with standardize or a y_scale, and where sparse is in the
 * task not of fewer inputs than d (dims_active, or inputs of data).
 * A prompt of n pairs costs, over all its prefixes, in multiplications: dense n d^2 min(n, d);
 * sparse n nnz^2 for each support; pool n d and drawing d normal numbers for each member; affine,
 * relu and gp n^3 / 6 + n^2 d / 2, gp also n^2 / 2 exponentials; sine 40064 n steps of some twenty
 * operations.  Each value of alpha, sd and length costs that once more, but values of sd share the
 * kernel, and those of a sine most of its work. */
typedef enum icl_baseline_kind {
  ICL_BASELINE_OLS, ICL_BASELINE_RIDGE, ICL_BASELINE_LASSO, ICL_BASELINE_KNN, ICL_BASELINE_AVG,
  ICL_BASELINE_ZERO, ICL_BASELINE_BAYES, ICL_BASELINE_TREE, ICL_BASELINE_NET
} icl_baseline_kind;

typedef struct icl_baseline {
  icl_baseline_kind kind;
  double value;                    /* L, A, K, S, D or H                                      */
  double steps;                    /* N; 0 for the others                                     */
} icl_baseline;

/* Reads one of the texts above.  CONFIG where it is none: r->offset is the place in the text. */
ICL_API icl_error icl_baseline_parse(icl_baseline *b, const char *text, icl_report *r);

/* 1 if `bayes` can be had for the task: mixtures of the classes above, under noisy and garg, with
 * at most 2^20 supports (choices of nnz among d inputs) and members in all, each counted once for
 * every combination of alpha, sd and length. */
ICL_API int icl_bayes_supported(const icl_task *t);

/* Bytes of scratch that b needs for k pairs of d inputs, in any of the functions below.  0: k or d
 * out of range, at most 16384 and 4096. */
ICL_API size_t icl_baseline_scratch(const icl_baseline *b, int k, int d);

/* out[m] = predictions at qs[m][d] from pairs xs[k][d], y[k].  task is for bayes only and may be
 * NULL for the others.  scratch[icl_baseline_scratch], aligned or not.  Errors, with out
 * untouched: ARG; NONFINITE in xs, y or qs; CONFIG where bayes does not support the task; LIMIT
 * where bayes gets more than 4096 pairs of a task with affine, relu or gp. */
ICL_API icl_error icl_baseline_predict(const icl_baseline *b, const icl_task *task, int k, int d,
                                       const float *xs, const float *y, int m, const float *qs,
                                       float *out, void *scratch);

/* out[k] = prediction of y[k] from the pairs before it, k = 0..n-1, for one prompt xs[n][d], y[n]:
 * what icl_baseline_predict says, to rounding.  bayes shares its work between the prefixes; the
 * others start anew for each.  Errors as above; LIMIT for affine, relu or gp and more than 4096
 * pairs. */
ICL_API icl_error icl_baseline_curve(const icl_baseline *b, const icl_task *task, int n, int d,
                                     const float *xs, const float *y, float *out, void *scratch);

/* What bayes:soft thinks of k pairs: weights[icl_task_terms], the posterior probability of each
 * term of the outermost sum, and *evidence = log p(y | X) under the whole task, natural logarithm.
 * Either may be NULL.  scratch and errors are those of bayes. */
ICL_API icl_error icl_bayes_posterior(const icl_task *task, double soft, int k, int d,
                                      const float *xs, const float *y, double *weights,
                                      double *evidence, void *scratch);

/* All of it for all prefixes at once: out[n] as icl_baseline_curve has it, and for k = 0..n
 * weights[n + 1][icl_task_terms], evidence[n + 1].  Each may be NULL. */
ICL_API icl_error icl_bayes_curve(const icl_task *task, double soft, int n, int d, const float *xs,
                                  const float *y, float *out, double *weights, double *evidence,
                                  void *scratch);

#ifdef __cplusplus
}
#endif
#endif /* ICL_BAYES_H */

/* ============================================================================================= */
/* Stop here if you only use the library.                                                        */
/* ============================================================================================= */

#include "icl_train.h"     /* its implementation, if the first include was for declarations */

#if defined ICL_BAYES_IMPLEMENTATION && !defined ICL__BAYES_IMPLEMENTED
#define ICL__BAYES_IMPLEMENTED

#ifndef ICL__TRAIN_IMPLEMENTED
#error "define ICL_TRAIN_IMPLEMENTATION too, in the file that defines ICL_BAYES_IMPLEMENTATION"
#endif

#if defined __cplusplus && ICL__GNU                      /* the casts below are C's */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
#endif

/* ---------------------------------------------------------------------------------------------
 * >>predictors
 * Classical predictors but for k-NN, tree and net are linear in the query: they find w[d], in
 * double, and predict q.w.  Sizes are at most k = 2^14 and d = 2^12, so that int holds every index.
 * ------------------------------------------------------------------------------------------- */
/* Waves of one block of the frequency grid, and what is known of their amplitudes. */
enum { ICL__WAVES = 64 };
typedef struct icl__waves {
  double prior[ICL__WAVES];                      /* probability of each frequency             */
  double cosine[ICL__WAVES], sine[ICL__WAVES];   /* at one x                                  */
  double xc[ICL__WAVES], cc[ICL__WAVES], yc[ICL__WAVES];   /* sums of x cos, cos^2, y cos      */
  double det[ICL__WAVES], energy[ICL__WAVES];    /* det A, y'K^-1 y                           */
  double amplitude[ICL__WAVES];                  /* posterior mean times weight               */
  double xx, xy, yy;                             /* sums, the same for all                    */
} icl__waves;

/* A node of a regression tree. */
typedef struct icl__split {
  int first, count;                /* its pairs, in order[]                                   */
  int level;
  int input, below;                /* x[input] <= at: node below, otherwise below + 1; 0: leaf */
  double at, mean;
} icl__split;

typedef struct icl__fit {
  int k, d;                        /* pairs and inputs                                        */
  const float *x, *y;              /* [k][d], [k]                                             */
  double *w;                       /* [d] the result                                          */
  double *a, *b;                   /* ols: [k][d], [r][k] for rank r <= min(k, d)             */
  double *pivot_a, *pivot_b;       /* ols: [min(k, d)] diagonals of the triangles             */
  double *labels;                  /* ols: [k]                                                */
  double *gram;                    /* X'X [d][d]                                              */
  double *xy;                      /* X'y [d]                                                 */
  double *l, *inverse, *z;         /* A = L D L': L [n][stride], 1 / D [n], L^-1 rhs [n]      */
  double *c;                       /* [n] A^-1 rhs                                            */
  int stride;
  int *index;                      /* bayes: [d] the support                                  */
  double *energy, *log_det;        /* bayes: [d + 1] rhs'A^-1 rhs, log det A of its prefixes  */
  double square;                   /* bayes: y'y of the first k pairs                         */
  int n, from, to;                 /* bayes: pairs there are; k goes from..to                 */
  const float *q;                  /* bayes: [m][d] queries; NULL: pair k is that of prefix k */
  int m, terms;                    /* bayes: of the outermost sum                             */
  double *top, *sum;               /* bayes: [to - from + 1] largest log weight, sum of weights
                                    *   relative to it                                        */
  double *mass, *answer;           /* bayes: [..][terms] and [..][m] parts of the sum         */
  icl__waves *waves;               /* bayes: of a sine                                        */
  float *member;                   /* bayes: [d] one of a pool                                */
  icl__split *split;               /* tree: [2 k + 1], the root first                         */
  int *order;                      /* tree: [k] pairs, those of a node next to each other     */
  double *net[4];                  /* net: [H (d + 2) + 1] weights, gradient, Adam's moments  */
  double *hidden;                  /* net: [H]                                                */
  int units;                       /* net: H                                                  */
  double *nearest;                 /* knn: [K][2] squared distance and y, nearest first       */
} icl__fit;

static double *icl__take_doubles(icl__arena *a, size_t count)
{
  return (double *)icl__take(a, count, sizeof(double));
}

/* A system of n unknowns. */
static void icl__fit_place_ldl(icl__fit *f, icl__arena *mem, size_t n)
{
  f->stride = (int)n;
  f->l = icl__take_doubles(mem, n * n);
  f->inverse = icl__take_doubles(mem, n);
  f->z = icl__take_doubles(mem, n);
  f->c = icl__take_doubles(mem, n);
}

enum {
  ICL__QUERIES = 64,               /* answered at once                                        */
  ICL__PROCESS = 4096              /* pairs at most of a Gaussian process                     */
};

/* For any task: k + 1 prefixes with one query or one with 64; a system of min(k, 4096) or d. */
static void icl__bayes_place(icl__fit *f, icl__arena *mem)
{
  size_t d = (size_t)f->d, slots = (size_t)f->k + 1;
  icl__fit_place_ldl(f, mem, f->k > f->d && f->k <= ICL__PROCESS ? (size_t)f->k : d);
  f->index = (int *)icl__take(mem, d, sizeof(int));
  f->energy = icl__take_doubles(mem, d + 1);
  f->log_det = icl__take_doubles(mem, d + 1);
  f->top = icl__take_doubles(mem, slots);
  f->sum = icl__take_doubles(mem, slots);
  f->mass = icl__take_doubles(mem, slots * ICL_MAX_TASK_NODES);
  f->answer = icl__take_doubles(mem, slots > ICL__QUERIES ? slots : (size_t)ICL__QUERIES);
  f->member = (float *)icl__take(mem, d, sizeof(float));
  if (d == 1) f->waves = (icl__waves *)icl__take(mem, 1, sizeof(icl__waves));
}

static void icl__fit_place(icl__fit *f, const icl_baseline *b, icl__arena *mem)
{
  size_t k = (size_t)f->k, d = (size_t)f->d, n = k < d ? k : d;
  icl_baseline_kind kind = b->kind;
  if (kind == ICL_BASELINE_KNN) f->nearest = icl__take_doubles(mem, 2 * (size_t)b->value);
  f->w = icl__take_doubles(mem, d);
  if (kind == ICL_BASELINE_OLS) {
    f->a = icl__take_doubles(mem, k * d);
    f->b = icl__take_doubles(mem, n * k);
    f->pivot_a = icl__take_doubles(mem, n);
    f->pivot_b = icl__take_doubles(mem, n);
    f->labels = icl__take_doubles(mem, k);
  }
  if (kind == ICL_BASELINE_RIDGE) icl__fit_place_ldl(f, mem, n);
  if (kind == ICL_BASELINE_TREE) {
    f->split = (icl__split *)icl__take(mem, 2 * k + 1, sizeof(icl__split));
    f->order = (int *)icl__take(mem, k, sizeof(int));
  }
  if (kind == ICL_BASELINE_NET) {
    int i;
    f->units = (int)b->value;
    for (i = 0; i < 4; i++) f->net[i] = icl__take_doubles(mem, (size_t)f->units * (d + 2) + 1);
    f->hidden = icl__take_doubles(mem, (size_t)f->units);
  }
  if (kind != ICL_BASELINE_LASSO && kind != ICL_BASELINE_BAYES) return;
  f->gram = icl__take_doubles(mem, d * d);
  f->xy = icl__take_doubles(mem, d);
  if (kind == ICL_BASELINE_BAYES) icl__bayes_place(f, mem);
}

static double icl__fit_dot(const double *a, const double *b, int n)
{
  double s = 0;
  int i;
  for (i = 0; i < n; i++) s += a[i] * b[i];
  return s;
}

static double icl__fit_dot_f(const float *a, const float *b, int n)
{
  double s = 0;
  int i;
  for (i = 0; i < n; i++) s += (double)a[i] * (double)b[i];
  return s;
}

/* |a - b|^2. */
static double icl__distance(const float *a, const float *b, int d)
{
  double s = 0;
  int i;
  for (i = 0; i < d; i++) s += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
  return s;
}

/* w = scale X'c for c[k]. */
static void icl__fit_back(icl__fit *f, const double *c, double scale)
{
  int i, j;
  memset(f->w, 0, (size_t)f->d * sizeof *f->w);
  for (i = 0; i < f->k; i++)
    for (j = 0; j < f->d; j++) f->w[j] += scale * c[i] * (double)f->x[i * f->d + j];
}

/* ----- least squares ------------------------------------------------------------------------ */

/* x[n] -= v (v.x): a reflection, for v.v = 2. */
static void icl__reflect(double *x, const double *v, int n)
{
  double s = icl__fit_dot(v, x, n);
  int i;
  for (i = 0; i < n; i++) x[i] -= s * v[i];
}

/* v[n] becomes the reflection that takes it to (pivot, 0, .., 0).  Returns pivot. */
static double icl__make_reflection(double *v, int n)
{
  double norm = sqrt(icl__fit_dot(v, v, n)), sign = v[0] < 0 ? -1 : 1;
  double scale = 1 / sqrt(norm * (norm + sign * v[0]));
  int i;
  v[0] += sign * norm;
  for (i = 0; i < n; i++) v[i] *= scale;
  return -sign * norm;
}

/* Moves the longest of what is left of columns j.. of a to column j, and its label with it.
 * Returns its length. */
static double icl__pivot(icl__fit *f, int j)
{
  int i, best = j, d = f->d;
  double longest = -1, t;
  double *a = f->a + (ptrdiff_t)j * d, *b;
  for (i = j; i < f->k; i++) {
    const double *rest = f->a + (ptrdiff_t)i * d + j;
    double s = icl__fit_dot(rest, rest, d - j);
    if (s > longest) { longest = s; best = i; }
  }
  b = f->a + (ptrdiff_t)best * d;
  for (i = 0; i < d; i++) { t = a[i]; a[i] = b[i]; b[i] = t; }
  t = f->labels[j]; f->labels[j] = f->labels[best]; f->labels[best] = t;
  return sqrt(longest);
}

/* X' P = Q [R; 0] by reflections; a holds them below R, whose diagonal is pivot_a.  Returns the
 * rank: a pivot below max(k, d) 2^-23 of the first is no more than rounding of floats. */
static int icl__ols_rows(icl__fit *f)
{
  int i, j, n = f->k < f->d ? f->k : f->d;
  double length, first = 0;
  for (j = 0; j < n; j++) {
    double *v = f->a + (ptrdiff_t)j * f->d + j;
    length = icl__pivot(f, j);
    if (j == 0) first = length;
    if (!(length > first * (f->k > f->d ? f->k : f->d) / 8388608)) break;
    f->pivot_a[j] = icl__make_reflection(v, f->d - j);
    for (i = j + 1; i < f->k; i++) icl__reflect(f->a + (ptrdiff_t)i * f->d + j, v, f->d - j);
  }
  return j;
}

/* min |labels - R'z| for R of rank rows: R' [k][rank] = Q T by reflections, w = T^-1 Q' labels. */
static void icl__ols_columns(icl__fit *f, int rank)
{
  int i, j, k = f->k;
  for (j = 0; j < rank; j++) {
    double *b = f->b + (ptrdiff_t)j * k;
    for (i = 0; i < k; i++)
      b[i] = i < j ? 0 : i == j ? f->pivot_a[j] : f->a[i * f->d + j];
  }
  for (j = 0; j < rank; j++) {
    double *v = f->b + (ptrdiff_t)j * k + j;
    f->pivot_b[j] = icl__make_reflection(v, k - j);
    for (i = j + 1; i < rank; i++) icl__reflect(f->b + (ptrdiff_t)i * k + j, v, k - j);
    icl__reflect(f->labels + j, v, k - j);
  }
  for (j = rank - 1; j >= 0; j--) {
    double s = f->labels[j];
    for (i = j + 1; i < rank; i++) s -= f->b[i * k + j] * f->w[i];
    f->w[j] = s / f->pivot_b[j];
  }
}

/* The solution of least norm of min |y - X w|: w = Q [z; 0] lies in the span of the x's. */
static void icl__fit_ols(icl__fit *f)
{
  int i, j, rank;
  for (i = 0; i < f->k * f->d; i++) f->a[i] = (double)f->x[i];
  for (i = 0; i < f->k; i++) f->labels[i] = (double)f->y[i];
  memset(f->w, 0, (size_t)f->d * sizeof *f->w);
  rank = icl__ols_rows(f);
  icl__ols_columns(f, rank);
  for (j = rank - 1; j >= 0; j--)
    icl__reflect(f->w + j, f->a + (ptrdiff_t)j * f->d + j, f->d - j);
}

/* ----- ridge -------------------------------------------------------------------------------- */

/* Row i of A = L D L' and of z = L^-1 rhs.  On entry row i of l holds A's and z[i] holds rhs[i];
 * the rows before it are done.  A is positive semidefinite plus at least `least` on the diagonal,
 * so no pivot is below that, whatever rounding says; returns it.  In solutions a pivot that is lost
 * to rounding counts as infinite, for z has rounding of the same size. */
static double icl__ldl_row(icl__fit *f, int i, double least)
{
  double *row = f->l + (ptrdiff_t)i * f->stride, pivot = row[i], z = f->z[i], lost = 1e-14 * row[i];
  int j;
  for (j = 1; j < i; j++) row[j] -= icl__fit_dot(row, f->l + (ptrdiff_t)j * f->stride, j);
  for (j = 0; j < i; j++) {
    double u = row[j];
    row[j] = u * f->inverse[j];
    pivot -= u * row[j];
    z -= row[j] * f->z[j];
  }
  f->z[i] = z;
  f->inverse[i] = 0;
  if (pivot > lost) f->inverse[i] = 1 / (pivot > least ? pivot : least);
  return pivot > least ? pivot : least;
}

/* c = L'^-1 D^-1 z: the solution, for n unknowns. */
static void icl__ldl_back(icl__fit *f, int n)
{
  int i, j;
  for (i = n - 1; i >= 0; i--) {
    double s = f->z[i] * f->inverse[i];
    for (j = i + 1; j < n; j++) s -= f->l[j * f->stride + i] * f->c[j];
    f->c[i] = s;
  }
}

/* The first i + 1 elements of row i of scale X X' + diagonal I, and its label. */
static void icl__dual_row(icl__fit *f, int i, double scale, double diagonal)
{
  double *row = f->l + (ptrdiff_t)i * f->stride;
  int j, d = f->d;
  for (j = 0; j <= i; j++)
    row[j] = scale * icl__fit_dot_f(f->x + (ptrdiff_t)i * d, f->x + (ptrdiff_t)j * d, d);
  row[i] += diagonal;
  f->z[i] = (double)f->y[i];
}

/* Row j of X'X, first n elements. */
static void icl__gram_row(double *row, const icl__fit *f, int j, int n)
{
  int i, p;
  memset(row, 0, (size_t)n * sizeof *row);
  for (i = 0; i < f->k; i++) {
    const float *x = f->x + (ptrdiff_t)i * f->d;
    for (p = 0; p < n; p++) row[p] += (double)x[j] * (double)x[p];
  }
}

/* Element j of X'y. */
static double icl__moment(const icl__fit *f, int j)
{
  double s = 0;
  int i;
  for (i = 0; i < f->k; i++) s += (double)f->x[i * f->d + j] * (double)f->y[i];
  return s;
}

/* w = (X'X + L I)^-1 X'y, or the same as X'(XX' + L I)^-1 y where k < d. */
static void icl__fit_ridge(icl__fit *f, double lambda)
{
  int i, n = f->stride;
  for (i = 0; i < n; i++) {
    if (n < f->d) {
      icl__dual_row(f, i, 1, lambda);
    } else {
      icl__gram_row(f->l + (ptrdiff_t)i * n, f, i, i + 1);
      f->l[i * n + i] += lambda;
      f->z[i] = icl__moment(f, i);
    }
    icl__ldl_row(f, i, lambda);
  }
  icl__ldl_back(f, n);
  if (n < f->d) icl__fit_back(f, f->c, 1);
  else memcpy(f->w, f->c, (size_t)n * sizeof *f->w);
}

/* ----- lasso -------------------------------------------------------------------------------- */

/* gram = scale X'X, xy = scale X'y. */
static void icl__fit_moments(icl__fit *f, double scale)
{
  size_t i, d = (size_t)f->d;
  for (i = 0; i < d; i++) {
    icl__gram_row(f->gram + i * d, f, (int)i, f->d);
    f->xy[i] = scale * icl__moment(f, (int)i);
  }
  for (i = 0; i < d * d; i++) f->gram[i] *= scale;
}

/* Minimises over w_j alone: w_j = S(X_j'r / k + G_jj w_j, alpha) / G_jj, S the soft threshold.  xy
 * is kept at X'(y - X w) / k.  Returns how far that moves the predictions, root mean square. */
static double icl__lasso_step(icl__fit *f, int j, double alpha)
{
  const double *g = f->gram + (ptrdiff_t)j * f->d;
  double old = f->w[j], t, change;
  int i;
  if (!(g[j] > 0)) return 0;
  t = f->xy[j] + g[j] * old;
  f->w[j] = t > alpha ? (t - alpha) / g[j] : t < -alpha ? (t + alpha) / g[j] : 0;
  change = f->w[j] - old;
  if (change == 0) return 0;
  for (i = 0; i < f->d; i++) f->xy[i] -= change * g[i];
  return fabs(change) * sqrt(g[j]);
}

/* Sweeps over all coordinates until one moves no prediction by more than tolerance. */
static void icl__lasso_sweeps(icl__fit *f, double alpha, double tolerance, int most)
{
  double largest = tolerance + 1;
  int sweep, j;
  for (sweep = 0; sweep < most && largest > tolerance; sweep++)
    for (j = 0, largest = 0; j < f->d; j++) {
      double moved = icl__lasso_step(f, j, alpha);
      if (moved > largest) largest = moved;
    }
}

/* Cyclic coordinate descent.  Weak penalties are reached by way of stronger ones, each half the
 * one before, from the first that leaves w at 0: each solution starts close to the next one.  The
 * last tolerance is 1e-7 of y's root mean square. */
static void icl__fit_lasso(icl__fit *f, double alpha)
{
  double start = 0, size = sqrt(icl__fit_dot_f(f->y, f->y, f->k) / f->k);
  int j;
  memset(f->w, 0, (size_t)f->d * sizeof *f->w);
  icl__fit_moments(f, 1.0 / f->k);
  for (j = 0; j < f->d; j++) if (fabs(f->xy[j]) > start) start = fabs(f->xy[j]);
  for (j = 0; j < 40 && (start /= 2) > alpha; j++) icl__lasso_sweeps(f, start, 1e-4 * size, 1000);
  icl__lasso_sweeps(f, alpha, 1e-7 * size, 100000);
}

/* ----- bayes: the prior --------------------------------------------------------------------- */

/* A task's prior is a sum of these: one class for each mixture on the way, two below a convex, and
 * one value of whatever else is drawn (alpha, sd, length).  y = x.w + a constant + a ReLU network
 * + a Gaussian process + b cos(2 pi w x) + N(0, noise), each part with its variance, 0 where it is
 * not there. */
typedef struct icl__prior {
  int term;                        /* of the outermost sum                                    */
  int nnz;                         /* w has so many coordinates that are not 0                */
  double log_weight, noise;
  double linear;                   /* of each w_j                                             */
  double relu, cosine;             /* of the network at |x|^2 = d, of b                       */
  double level;                    /* of the constant                                         */
  double process, length;          /* of gp, and its length                                   */
  int degrees;                     /* of gp: 2 nu, 0 for RBF                                  */
  double member;                   /* of a pool: the factor on its members, 0: none           */
} icl__prior;

/* alpha ~ U(0, 1) becomes the nodes of Gauss and Legendre, of weight / 2 each in (-1, 1) and
 * symmetric.  The evidence is smooth in alpha, and once slope and amplitude are known (k = 4) the
 * prediction no longer depends on it: against 160 values of alpha the predictions of dense and sine
 * differ by 0.001 at most (k = 3, where the optimum errs by 0.2) and the log evidence by 0.016,
 * both root mean square over 150 prompts. */
enum { ICL__ALPHAS = 16 };
static const double icl__alpha[ICL__ALPHAS / 2][2] = {   /* place, weight */
  {0.0950125098376374, 0.1894506104550685}, {0.2816035507792589, 0.1826034150449236},
  {0.4580167776572274, 0.1691565193950025}, {0.6178762444026438, 0.1495959888165767},
  {0.7554044083550030, 0.1246289712555339}, {0.8656312023878318, 0.0951585116824928},
  {0.9445750230732326, 0.0622535239386479}, {0.9894009349916499, 0.0271524594117541}};

/* Supports of size nnz among d inputs. */
static double icl__choices(int d, int nnz)
{
  double n = 1;
  int i;
  for (i = 0; i < nnz; i++) n = n * (d - i) / (i + 1);
  return n;
}

/* The convex that node i is inside of, -1: none; and which of its classes it belongs to. */
static int icl__convex_of(const icl_task *t, int i, int *operand)
{
  for (; i >= 0; i = t->node[i].parent) {
    int parent = t->node[i].parent;
    if (operand) *operand = t->node[i].operand;
    if (parent < 0 || t->node[parent].kind == ICL__CONVEX) return parent;
  }
  return -1;
}

/* 1 if class a, together with class b where a is inside of a convex and b = -1 elsewhere, is one
 * way to choose from all mixtures. */
static int icl__is_choice(const icl_task *t, int a, int b)
{
  int first = 0, second = 0, convex;
  if (icl__kind_operands(t->node[a].kind)) return 0;
  convex = icl__convex_of(t, a, &first);
  if (b < 0) return convex < 0;
  if (convex < 0 || icl__kind_operands(t->node[b].kind)) return 0;
  return icl__convex_of(t, b, &second) == convex && first == 0 && second == 1;
}

/* A range of a positive argument becomes cells of equal width on the logarithm, each with its
 * middle for a value.  gp(length=0.15..4) has 24: with 96 its predictions move by 0.05 % of their
 * squared error (100 prompts of 40 pairs, no noise). */
#define ICL__CELL 0.1375
enum { ICL__LEAST_CELLS = 6, ICL__ZERO_CELLS = 24 };

static int icl__cells(double width)
{
  int n = (int)ceil(width / ICL__CELL), least = ICL__LEAST_CELLS;
  return n < least ? least : n;
}

/* Values of sd that stand for noisy's range, and value i of them, with its probability. */
static int icl__sd_count(const icl_task_node *n)
{
  if (n->kind != ICL__NOISY || !(n->ranged & 1)) return 1;
  return n->arg[0] > 0 ? icl__cells(log((double)n->high[0] / (double)n->arg[0]))
                       : (int)ICL__ZERO_CELLS;
}

static double icl__sd_at(const icl_task_node *n, int i, double *log_weight)
{
  int count = icl__sd_count(n);
  double low = (double)n->arg[0], high = (double)n->high[0], u = (i + 0.5) / count;
  if (count == 1) return low;
  *log_weight -= log((double)count);
  if (low > 0) return low * pow(high / low, u);
  *log_weight += log(2 * u);              /* U(0, high): cells of equal width on the root */
  return high * u * u;
}

/* With ard, d = 1: in half of all functions log length is moved by U(-0.7, 0.7). */
#define ICL__ARD_REACH 0.7

/* Lengths that stand for gp's: its own, then the cells of what ard moves it to; or the cells of its
 * range, which ard widens. */
static int icl__length_count(const icl_task_node *n)
{
  double reach = n->arg[2] > 0 ? 2 * ICL__ARD_REACH : 0;
  if (n->ranged & 1) return icl__cells(log((double)n->high[0] / (double)n->arg[0]) + reach);
  return reach > 0 ? 1 + icl__cells(reach) : 1;
}

static double icl__ramp(double v) { return v > 0 ? v * v / 2 : 0; }

/* Probability that log length, uniform over (low, high) and moved by ard, is below v. */
static double icl__length_below(double v, double low, double high, int ard)
{
  const double r = ICL__ARD_REACH;
  double u = (v - low) / (high - low), moved;
  u = u < 0 ? 0 : u > 1 ? 1 : u;
  moved = icl__ramp(v - low + r) - icl__ramp(v - low - r) - icl__ramp(v - high + r)
        + icl__ramp(v - high - r);
  return ard ? 0.5 * u + 0.5 * moved / (2 * r * (high - low)) : u;
}

static double icl__length_at(const icl_task_node *n, int i, double *log_weight)
{
  int count = icl__length_count(n), ard = n->arg[2] > 0;
  double reach = ard ? ICL__ARD_REACH : 0, low = log((double)n->arg[0]), high, from, step;
  if (count == 1) return (double)n->arg[0];
  if (n->ranged & 1) {
    high = log((double)n->high[0]);
    step = (high - low + 2 * reach) / count;
    from = low - reach + i * step;
    *log_weight += log(icl__length_below(from + step, low, high, ard)
                       - icl__length_below(from, low, high, ard));
    return exp(from + step / 2);
  }
  *log_weight -= log(i ? 2.0 * (count - 1) : 2.0);
  return i ? exp(low + reach * ((2 * i - 1.0) / (count - 1) - 1)) : (double)n->arg[0];
}

/* Values of sd on the way from node i to the inside of node end. */
static double icl__way_values(const icl_task *t, int i, int end)
{
  double n = 1;
  for (i = t->node[i].parent; i != end; i = t->node[i].parent) n *= icl__sd_count(&t->node[i]);
  return n;
}

static int icl__class_values(const icl_task *t, int i)
{
  return t->node[i].kind == ICL__GP ? icl__length_count(&t->node[i]) : 1;
}

/* Priors that the choice of a and b stands for: all combinations of alpha, sd and length. */
static double icl__choice_values(const icl_task *t, int a, int b)
{
  int convex = icl__convex_of(t, a, NULL);
  double n = icl__way_values(t, a, convex) * icl__class_values(t, a);
  if (b < 0) return n;
  n *= icl__way_values(t, b, convex) * icl__way_values(t, convex, -1) * icl__class_values(t, b);
  return t->node[convex].given ? n : n * (double)ICL__ALPHAS;
}

/* The next digit of *i, below n. */
static int icl__digit(int *i, int n)
{
  int digit = *i % n;
  *i /= n;
  return digit;
}

/* From node i outwards to the inside of node end, -1 for all the way: noise and log_weight, and
 * the factor on what is inside.  own: garg's factor for its class.  *at: digits of the values of
 * sd. */
static void icl__prior_way(icl__prior *p, double *factor, const icl_task *t, int i, int end,
                           double own, int *at)
{
  const icl_task_node *n = &t->node[i];
  p->log_weight += log((double)n->weight / (double)n->total);
  for (i = n->parent; i != end; i = n->parent) {
    double f = own, sd = 0;
    n = &t->node[i];
    if (n->kind == ICL__NOISY) {
      float arg[2];
      sd = icl__sd_at(n, icl__digit(at, icl__sd_count(n)), &p->log_weight);
      arg[0] = (float)sd;
      arg[1] = n->arg[1];
      f = (double)icl__noisy_factor(arg);
    }
    *factor *= f;
    p->noise = f * f * (p->noise + sd * sd);
    p->log_weight += log((double)n->weight / (double)n->total);
  }
}

static double icl__garg_factor(const icl_task *t, int i)
{
  const icl_task_node *n = &t->node[i];
  const icl_class *c = icl__task_class(t, n->kind);
  icl_class_call call = icl__node_call(t, n, t->n_dims);
  return c->garg_scale ? (double)c->garg_scale(&call) : 1;
}

/* affine: a constant and a linear part, of variance 1 together. */
static void icl__prior_affine(icl__prior *p, const icl_task_node *n, int d, double var)
{
  double s = (double)n->arg[0] * (double)n->arg[0], a = (double)n->arg[1] * (double)n->arg[1];
  p->level += var * a / (s + a);
  p->linear += var * s / (s + a) / d;
}

static int icl__gp_degrees(const icl_task_node *n) { return (int)(2 * n->arg[1] + 0.5f); }

/* Enters class i, with this factor.  *at: the digit of its length. */
static void icl__prior_class(icl__prior *p, const icl_task *t, int i, double factor, int *at)
{
  const icl_task_node *n = &t->node[i];
  double var = factor * factor;
  p->nnz = n->kind == ICL__SPARSE ? (int)n->arg[0] : t->n_dims;
  switch (n->kind) {
    case ICL__RELU: p->relu += var; break;
    case ICL__AFFINE: icl__prior_affine(p, n, t->n_dims, var); break;
    case ICL__GP:
      p->process += var;
      p->degrees = icl__gp_degrees(n);
      p->length = icl__length_at(n, icl__digit(at, icl__length_count(n)), &p->log_weight);
      break;
    case ICL__POOL: p->member = factor; p->log_weight -= log((double)n->arg[0]); break;
    case ICL__SINE: p->cosine += n->arg[0] > 0 ? 1.999458 * var : var; break;
    default:        p->linear += p->nnz ? var / p->nnz : 0; break;
  }
  p->log_weight -= log(icl__choices(t->n_dims, p->nnz));
}

/* Prior i of the choice of a and b.  Those that differ in noise alone follow each other, where
 * renorm is 0.  soft: noise inside of all but convex. */
static icl__prior icl__prior_of(const icl_task *t, int a, int b, int i, double soft)
{
  icl__prior p, q;
  double alpha = 0, one = 1, two = 1, both = 1, own = icl__garg_factor(t, a);
  int convex = icl__convex_of(t, a, NULL), root = a, outer = i;
  if (b >= 0) i /= (int)icl__way_values(t, convex, -1);
  memset(&p, 0, sizeof p);
  memset(&q, 0, sizeof q);
  p.noise = b < 0 ? soft : 0;
  icl__prior_way(&p, &one, t, a, convex, own, &i);
  if (b >= 0) {
    const double *node;
    int place;
    icl__prior_way(&q, &two, t, b, convex, icl__garg_factor(t, b), &i);
    place = icl__digit(&i, t->node[convex].given ? 1 : (int)ICL__ALPHAS);
    node = icl__alpha[place / 2];
    alpha = t->node[convex].given ? (double)t->node[convex].arg[0]
                                  : 0.5 + 0.5 * (place % 2 ? node[0] : -node[0]);
    p.noise = alpha * alpha * p.noise + (1 - alpha) * (1 - alpha) * q.noise + soft;
    p.log_weight += q.log_weight;
    if (!t->node[convex].given) p.log_weight += log(node[1] / 2);
    icl__prior_way(&p, &both, t, convex, -1, own, &outer);
    icl__prior_class(&p, t, b, (1 - alpha) * two * both, &i);
  }
  icl__prior_class(&p, t, a, (b < 0 ? 1 : alpha) * one * both, &i);
  if (b >= 0) p.nnz = t->n_dims;
  if (!(p.noise > 0)) p.noise = soft;                     /* garg of a function that is 0 */
  while (t->node[root].parent >= 0) root = t->node[root].parent;
  while (root-- > 0) p.term += t->node[root].parent < 0;
  return p;
}

/* 1 for a gp whose covariance has a closed form and a length that all inputs share. */
static int icl__gp_supported(const icl_task_node *n, int d)
{
  int degrees = icl__gp_degrees(n);
  return (degrees == 0 || degrees % 2) && (d == 1 || !(n->arg[2] > 0));
}

/* 1 if a range, of sd or of a gp's length alone, and Gaussian noise are all that node n has. */
static int icl__args_supported(const icl_task_node *n)
{
  if (n->kind != ICL__NOISY) return !(n->ranged & (n->kind == ICL__GP ? ~1u : ~0u));
  return !(n->ranged & ~1u) && n->arg[2] >= 1 && n->arg[3] <= 0 && n->arg[4] <= 0
      && n->arg[5] <= 0;
}

/* Classes whose function is a Gaussian process at all k. */
static int icl__is_process(int kind)
{
  return kind == ICL__RELU || kind == ICL__AFFINE || kind == ICL__GP;
}

/* Systems to solve for class i at each k, and -1 where it cannot be done. */
static double icl__class_cost(const icl_task *t, int i)
{
  const icl_task_node *n = &t->node[i];
  int outer, convex = icl__convex_of(t, i, NULL), d = t->n_dims, nnz = (int)n->arg[0];
  switch (n->kind) {
    case ICL__DENSE: case ICL__RELU: case ICL__AFFINE: break;
    case ICL__GP: if (!icl__gp_supported(n, d)) return -1; break;
    case ICL__SPARSE:
      if (convex >= 0 && nnz > 0 && nnz < d) return -1;
      return icl__choices(d, nnz);
    case ICL__SINE: if (d > 1) return -1; break;
    case ICL__POOL: return convex < 0 ? (double)n->arg[0] : -1;
    default: return -1;
  }
  outer = convex < 0 ? -1 : icl__convex_of(t, convex, NULL);
  return outer < 0 ? 1 : -1;
}

int icl_bayes_supported(const icl_task *t)
{
  double cost = 0;
  int a, b;
  if (!t || t->n_nodes < 1) return 0;
  for (a = 0; a < t->n_nodes; a++) {
    double c = icl__kind_operands(t->node[a].kind) ? 0 : icl__class_cost(t, a);
    if (c < 0 || !icl__args_supported(&t->node[a])) return 0;
    if (icl__is_choice(t, a, -1)) cost += c * icl__choice_values(t, a, -1);
  }
  for (a = 0; a < t->n_nodes; a++)
    for (b = 0; b < t->n_nodes; b++) {
      int first = t->node[a].kind, second = t->node[b].kind;
      if (!icl__is_choice(t, a, b)) continue;
      if (first == second && (first == ICL__SINE || first == ICL__GP)) return 0;
      if (first == ICL__SINE && icl__is_process(second)) return 0;
      if (second == ICL__SINE && icl__is_process(first)) return 0;
      cost += icl__choice_values(t, a, b);
    }
  return cost <= 1048576;
}

/* Noise below which the grid of a sine and the kernels of a ReLU network and of a gp can tell too
 * much: they are not the very functions that are drawn. */
static double icl__bayes_soft(const icl_task *t, double soft)
{
  double least = 0;
  int i, classes = 0;
  for (i = 0; i < t->n_nodes; i++) classes += !icl__kind_operands(t->node[i].kind);
  for (i = 0; i < t->n_nodes; i++) {
    double s = t->node[i].kind == ICL__SINE ? 1e-6
             : t->node[i].kind == ICL__RELU ? (classes > 1 ? 1e-4 : 1e-6)
             : t->node[i].kind == ICL__GP ? 1e-6 : 0;
    if (s > least) least = s;
  }
  return soft > least ? soft : least;
}

/* ----- bayes: the posterior ----------------------------------------------------------------- */

/* Enters one more function into the posterior of the first k pairs, its weight given by its
 * logarithm.  Returns the weight relative to the heaviest so far. */
static double icl__bayes_weigh(icl__fit *f, int k, int term, double log_weight)
{
  double p, *answer, *mass;
  int i, slot = k - f->from;
  answer = f->answer + (ptrdiff_t)slot * f->m;
  mass = f->mass + (ptrdiff_t)slot * f->terms;
  if (!(f->sum[slot] > 0) || log_weight > f->top[slot]) {
    double shrink = f->sum[slot] > 0 ? exp(f->top[slot] - log_weight) : 0;
    for (i = 0; i < f->m; i++) answer[i] *= shrink;
    for (i = 0; i < f->terms; i++) mass[i] *= shrink;
    f->sum[slot] *= shrink;
    f->top[slot] = log_weight;
  }
  p = exp(log_weight - f->top[slot]);
  f->sum[slot] += p;
  mass[term] += p;
  return p;
}

/* 1 if this weight is too small to change a double, even 2^20 of them. */
static int icl__bayes_lost(const icl__fit *f, int k, double log_weight)
{
  return f->sum[k - f->from] > 0 && log_weight < f->top[k - f->from] - 55;
}

/* Query j of the first k pairs: NULL where there is none. */
static const float *icl__bayes_query(const icl__fit *f, int k, int j)
{
  if (f->q) return f->q + (ptrdiff_t)j * f->d;
  return k < f->n && f->m ? f->x + (ptrdiff_t)k * f->d : NULL;
}

/* Correlation of a gp at this squared distance. */
static double icl__gp_kernel(const icl__prior *p, double square)
{
  double s = square / (p->length * p->length), r;
  if (!p->degrees) return exp(-0.5 * s);
  r = sqrt(p->degrees * s);
  return exp(-r) * (p->degrees == 1 ? 1 : p->degrees == 3 ? 1 + r : 1 + r + r * r / 3);
}

/* Covariance of f(a) and f(b): constant, linear a.b, of a gp, and of a ReLU network of any width
 * |a||b| / (pi d) (sin t + (pi - t) cos t), t the angle between them (Cho and Saul 2009). */
static double icl__kernel(const icl__fit *f, const icl__prior *p, const float *a, const float *b)
{
  double ab = icl__fit_dot_f(a, b, f->d), same = p->linear * ab + p->level, r, c;
  if (p->process > 0) same += p->process * icl__gp_kernel(p, icl__distance(a, b, f->d));
  if (!(p->relu > 0)) return same;
  r = sqrt(icl__fit_dot_f(a, a, f->d)) * sqrt(icl__fit_dot_f(b, b, f->d));
  c = r > 0 ? ab / r : 0;
  c = c > 1 ? 1 : c < -1 ? -1 : c;
  c = sqrt(1 - c * c) + (3.141592653589793 - acos(c)) * c;
  return same + p->relu * r * c / (3.141592653589793 * f->d);
}

/* 1 if p and q have the same kernel: they differ in noise and weight at most. */
static int icl__same_kernel(const icl__prior *p, const icl__prior *q)
{
  return fabs(p->linear - q->linear) + fabs(p->relu - q->relu) + fabs(p->level - q->level)
       + fabs(p->process - q->process) + fabs(p->length - q->length) <= 0;
}

/* Row i of K + noise I, and its label.  K is kept above the diagonal of l; known: it is there. */
static void icl__process_row(icl__fit *f, const icl__prior *p, int i, int known)
{
  double *row = f->l + (ptrdiff_t)i * f->stride;
  int j, d = f->d;
  for (j = 0; j < i; j++) {
    double *kept = f->l + (ptrdiff_t)j * f->stride + i;
    if (!known) *kept = icl__kernel(f, p, f->x + (ptrdiff_t)i * d, f->x + (ptrdiff_t)j * d);
    row[j] = *kept;
  }
  row[i] = icl__kernel(f, p, f->x + (ptrdiff_t)i * d, f->x + (ptrdiff_t)i * d) + p->noise;
  f->z[i] = (double)f->y[i];
}

/* Answers to the queries of the first k pairs.  Row k of L, if x_k is the query, is already
 * L^-1 D^-1 times its covariances: the mean is its product with z. */
static void icl__process_answer(icl__fit *f, const icl__prior *p, int k, double weight)
{
  double *answer = f->answer + (ptrdiff_t)(k - f->from) * f->m;
  int i, j;
  if (!f->q) {
    if (k < f->n && f->m)
      *answer += weight * icl__fit_dot(f->l + (ptrdiff_t)k * f->stride, f->z, k);
    return;
  }
  icl__ldl_back(f, k);
  for (j = 0; j < f->m; j++)
    for (i = 0; i < k; i++)
      answer[j] += weight * f->c[i] * icl__kernel(f, p, f->q + (ptrdiff_t)j * f->d,
                                                  f->x + (ptrdiff_t)i * f->d);
}

/* A Gaussian process, up to prefix `to`: K + noise I = L D L' grows by a row for each pair, and
 * with it log N(y; 0, K + noise I) = -1/2 (z'D^-1 z + log det D).  known: the call before had the
 * same kernel. */
static void icl__bayes_process(icl__fit *f, const icl__prior *p, int to, int known)
{
  double energy = 0, log_det = 0, pivot = 0;
  int i;
  for (i = 0; i <= to; i++) {
    if (i < f->n) {
      icl__process_row(f, p, i, known);
      pivot = icl__ldl_row(f, i, p->noise);
    }
    if (i >= f->from) {
      double weight = p->log_weight - 0.5 * (energy + log_det);
      if (!icl__bayes_lost(f, i, weight))
        icl__process_answer(f, p, i, icl__bayes_weigh(f, i, p->term, weight));
    }
    if (i == f->n) break;
    energy += f->z[i] * f->z[i] / pivot;
    log_det += log(pivot);
  }
}

/* Rows from.. of the system of the current support S: A = X_S'X_S + noise / var I, rhs = X_S'y. */
static void icl__bayes_rows(icl__fit *f, const icl__prior *p, int from)
{
  double pivot;
  int i, j;
  for (i = from; i < p->nnz; i++) {
    double *row = f->l + (ptrdiff_t)i * f->stride;
    const double *gram = f->gram + (ptrdiff_t)f->index[i] * f->d;
    for (j = 0; j <= i; j++) row[j] = gram[f->index[j]];
    row[i] += p->noise / p->linear;
    f->z[i] = f->xy[f->index[i]];
    pivot = icl__ldl_row(f, i, p->noise / p->linear);
    f->energy[i + 1] = f->energy[i] + f->z[i] * f->z[i] * f->inverse[i];
    f->log_det[i + 1] = f->log_det[i] + log(pivot);
  }
}

/* log evidence = -1/2 [(y'y - rhs'A^-1 rhs) / noise + (k - s) log noise + log det A + s log var],
 * less k/2 log 2 pi, which all terms share. */
static void icl__bayes_support(icl__fit *f, const icl__prior *p)
{
  int i, j, s = p->nnz;
  double rest = f->square - f->energy[s], weight;
  double sum = (rest > 0 ? rest : 0) / p->noise + (f->k - s) * log(p->noise) + f->log_det[s];
  if (s) sum += s * log(p->linear);
  sum = p->log_weight - 0.5 * sum;
  if (icl__bayes_lost(f, f->k, sum)) return;
  weight = icl__bayes_weigh(f, f->k, p->term, sum);
  icl__ldl_back(f, s);
  for (j = 0; j < f->m; j++) {
    const float *q = icl__bayes_query(f, f->k, j);
    double *answer = f->answer + (ptrdiff_t)(f->k - f->from) * f->m + j;
    for (i = 0; i < s && q; i++) *answer += weight * f->c[i] * (double)q[f->index[i]];
  }
}

/* All supports of size nnz in lexicographic order: those that follow each other share most of
 * their first inputs, and with them the first rows of their systems. */
static void icl__bayes_supports(icl__fit *f, const icl__prior *p)
{
  int i, from = 0, s = p->nnz;
  for (i = 0; i < s; i++) f->index[i] = i;
  f->energy[0] = f->log_det[0] = 0;
  while (from >= 0) {
    icl__bayes_rows(f, p, from);
    icl__bayes_support(f, p);
    for (from = s - 1; from >= 0 && f->index[from] == f->d - s + from; from--) {}
    if (from >= 0) f->index[from]++;
    for (i = from + 1; i < s && from >= 0; i++) f->index[i] = f->index[i - 1] + 1;
  }
}

/* ----- bayes: a sine ------------------------------------------------------------------------ */

/* The grid of frequencies: 0, step, .. just above 5, in blocks of 64. */
#define ICL__WAVE_STEP 1.25e-4
enum { ICL__WAVE_BLOCKS = 626, ICL__WAVE_NODES = 8 };

/* Eight frequencies of a block, close to the nodes of Gauss and Legendre, with weights that give
 * the sum over all 64 for polynomials up to degree 7. */
static const struct { int place; double weight; } icl__wave_nodes[ICL__WAVE_NODES] = {
  {1, 3.4863534520191055}, {6, 6.83156462585034}, {15, 10.655833988246258},
  {26, 11.026247933884298}, {37, 11.026247933884298}, {48, 10.655833988246258},
  {57, 6.83156462585034}, {62, 3.4863534520191055}};

/* Gamma(6, 1/6) at the frequencies from `first` on: step 6^6 / 5! w^5 exp(-6 w). */
static void icl__waves_prior(icl__waves *v, double first)
{
  double decay = exp(-6 * first), ratio = exp(-6 * ICL__WAVE_STEP);
  int j;
  for (j = 0; j < ICL__WAVES; j++, decay *= ratio) {
    double w = first + j * ICL__WAVE_STEP;
    v->prior[j] = ICL__WAVE_STEP * 388.8 * w * w * w * w * w * decay;
  }
}

/* cosine[j] = cos(2 pi (first + j step) x) and its sine, by doubling: those of j + n from those of
 * j and of n. */
static void icl__waves_at(icl__waves *v, double first, double x)
{
  double a = 6.283185307179586 * first * x, b = 6.283185307179586 * ICL__WAVE_STEP * x;
  double cb = cos(b), sb = sin(b), old;
  int j, n;
  v->cosine[0] = cos(a);
  v->sine[0] = sin(a);
  for (n = 1; n < ICL__WAVES; n *= 2) {
    double *c = v->cosine + n, *s = v->sine + n;
    for (j = 0; j < n; j++) {
      c[j] = v->cosine[j] * cb - v->sine[j] * sb;
      s[j] = v->sine[j] * cb + v->cosine[j] * sb;
    }
    old = cb;
    cb = cb * cb - sb * sb;
    sb = 2 * sb * old;
  }
}

/* One more pair, whose waves are there. */
static void icl__waves_add(icl__waves *v, double x, double y)
{
  int j;
  for (j = 0; j < ICL__WAVES; j++) {
    double c = v->cosine[j];
    v->xc[j] += x * c;
    v->cc[j] += c * c;
    v->yc[j] += y * c;
  }
  v->xx += x * x;
  v->xy += x * y;
  v->yy += y * y;
}

/* With the features F = (x, cos) and V^2 = (linear, cosine), A = V F'F V + noise I: what is the
 * same for all frequencies.  Without a linear part it is the same with a zero. */
typedef struct icl__wave_pair { double va, vb, vab, cosine, noise, a, r; } icl__wave_pair;

static icl__wave_pair icl__wave_pair_of(const icl__waves *v, const icl__prior *p)
{
  icl__wave_pair u;
  u.va = sqrt(p->linear);
  u.vb = sqrt(p->cosine);
  u.vab = u.va * u.vb;
  u.cosine = p->cosine;
  u.noise = p->noise;
  u.a = p->linear * v->xx + p->noise;
  u.r = u.va * v->xy;
  return u;
}

/* det A, and y'K^-1 y = (y'y - r'A^-1 r) / noise with r = V F'y, at frequency j. */
static void icl__wave_solve(icl__waves *v, const icl__wave_pair *u, int j)
{
  double b = u->cosine * v->cc[j] + u->noise, c = u->vab * v->xc[j], s = u->vb * v->yc[j];
  double det = u->a * b - c * c;
  v->det[j] = det;
  v->energy[j] = (v->yy - (u->r * u->r * b - 2 * u->r * s * c + s * s * u->a) / det) / u->noise;
}

/* At all frequencies, or at the eight nodes.  Returns the least y'K^-1 y.  *flat: 1 where it stays
 * within 4 of that, and det A within a factor of 4. */
static double icl__waves_solve(icl__waves *v, const icl__prior *p, int all, int *flat)
{
  const icl__wave_pair u = icl__wave_pair_of(v, p);
  double least = -1, most = 0, low = 0, high = 0;
  int i, j, n = all ? (int)ICL__WAVES : (int)ICL__WAVE_NODES;
  if (all) for (j = 0; j < ICL__WAVES; j++) icl__wave_solve(v, &u, j);
  else for (i = 0; i < n; i++) icl__wave_solve(v, &u, icl__wave_nodes[i].place);
  for (i = 0; i < n; i++) {
    j = all ? i : icl__wave_nodes[i].place;
    if (!(v->energy[j] > 0)) v->energy[j] = 0;
    if (least < 0 || v->energy[j] < least) least = v->energy[j];
    if (v->energy[j] > most) most = v->energy[j];
    if (!i || v->det[j] < low) low = v->det[j];
    if (v->det[j] > high) high = v->det[j];
  }
  *flat = most < least + 4 && high < 4 * low;
  return least;
}

/* Sum of weights prior exp((least - energy) / 2) / sqrt(det A); *slope and amplitude[j] become the
 * posterior means, A^-1 r times V, each times its weight. */
static double icl__waves_weigh(icl__waves *v, const icl__prior *p, int all, double least,
                               double *slope)
{
  const icl__wave_pair u = icl__wave_pair_of(v, p);
  double sum = 0;
  int i, n = all ? (int)ICL__WAVES : (int)ICL__WAVE_NODES;
  *slope = 0;
  for (i = 0; i < n; i++) {
    int j = all ? i : icl__wave_nodes[i].place;
    double e = 0.5 * (least - v->energy[j]), weight, b, c, s;
    v->amplitude[j] = 0;
    if (e < -55) continue;
    weight = v->prior[j] * exp(e) / sqrt(v->det[j]) * (all ? 1 : icl__wave_nodes[i].weight);
    b = u.cosine * v->cc[j] + u.noise;
    c = u.vab * v->xc[j];
    s = u.vb * v->yc[j];
    sum += weight;
    weight /= v->det[j];
    *slope += weight * u.va * (u.r * b - s * c);
    v->amplitude[j] = weight * u.vb * (s * u.a - u.r * c);
  }
  return sum;
}

/* A bound on the weights of a block under all of p[n]: K is at most that of the largest variances,
 * y'K^-1 y therefore at least what it is there, and log det K at least k log noise. */
static double icl__waves_bound(icl__waves *v, const icl__prior *p, int n, int k)
{
  icl__prior most = p[0];
  double noise = p[0].noise;
  int i, flat;
  for (i = 1; i < n; i++) {
    if (p[i].linear > most.linear) most.linear = p[i].linear;
    if (p[i].cosine > most.cosine) most.cosine = p[i].cosine;
    if (p[i].noise > most.noise) most.noise = p[i].noise;
    if (p[i].noise < noise) noise = p[i].noise;
    if (p[i].log_weight > most.log_weight) most.log_weight = p[i].log_weight;
  }
  return most.log_weight - 0.5 * (icl__waves_solve(v, &most, 1, &flat) + k * log(noise));
}

/* Enters a block of frequencies from `first` on, for the first k pairs.  From its first frequency
 * to its last no phase changes by more than 0.05 |x|, and y'K^-1 y is close to a parabola: where it
 * is flat at the eight nodes it is flat, and they stand for all. */
static void icl__waves_enter(icl__fit *f, const icl__prior *p, int n, int k, double first)
{
  icl__waves *v = f->waves;
  double *answer = f->answer + (ptrdiff_t)(k - f->from) * f->m, slope;
  int i, j, h;
  if (n > 1 && icl__bayes_lost(f, k, icl__waves_bound(v, p, n, k))) return;
  for (i = 0; i < n; i++) {
    double part = log(p[i].noise), sum, weight;
    int flat, again, all;
    double least = icl__waves_solve(v, &p[i], 0, &flat);
    all = !flat;
    if (all) least = icl__waves_solve(v, &p[i], 1, &again);
    if (icl__bayes_lost(f, k, p[i].log_weight - 0.5 * (least + k * part))) continue;
    sum = icl__waves_weigh(v, &p[i], all, least, &slope);
    if (!(sum > 0)) continue;
    weight = p[i].log_weight - 0.5 * (least + (k - 2) * part) + log(sum);
    weight = icl__bayes_weigh(f, k, p[i].term, weight) / sum;
    for (j = 0; j < f->m; j++) {
      const float *q = icl__bayes_query(f, k, j);
      double value;
      if (!q) continue;
      if (f->q) icl__waves_at(v, first, (double)*q);
      value = slope * (double)*q;
      for (h = 0; h < (all ? (int)ICL__WAVES : (int)ICL__WAVE_NODES); h++) {
        int at = all ? h : icl__wave_nodes[h].place;
        value += v->amplitude[at] * v->cosine[at];
      }
      answer[j] += weight * value;
    }
  }
}

/* A sine, with or without a linear part: p[n] differ in alpha and noise. */
static void icl__bayes_sine(icl__fit *f, const icl__prior *p, int n)
{
  icl__waves *v = f->waves;
  int block, k;
  for (block = 0; block < ICL__WAVE_BLOCKS; block++) {
    double first = block * ICL__WAVES * ICL__WAVE_STEP;
    memset(v, 0, sizeof *v);
    icl__waves_prior(v, first);
    for (k = 0; k <= f->to; k++) {
      if (k < f->n) icl__waves_at(v, first, (double)f->x[k]);
      if (k >= f->from) icl__waves_enter(f, p, n, k, first);
      if (k < f->n) icl__waves_add(v, (double)f->x[k], (double)f->y[k]);
    }
  }
}

/* ----- bayes: a pool ------------------------------------------------------------------------ */

/* A member with these values at the queries of the first k pairs: of weight
 * exp(-rest / (2 noise)), rest = |y - X w|^2. */
static void icl__member_enter(icl__fit *f, const icl__prior *p, int k, double rest,
                              double log_noise)
{
  double weight = p->log_weight - 0.5 * (rest / p->noise + k * log_noise);
  double *answer = f->answer + (ptrdiff_t)(k - f->from) * f->m;
  int j;
  if (icl__bayes_lost(f, k, weight)) return;
  weight = icl__bayes_weigh(f, k, p->term, weight);
  for (j = 0; j < f->m; j++) {
    const float *q = icl__bayes_query(f, k, j);
    if (q) answer[j] += weight * p->member * (double)icl__class_dot(f->member, q, f->d);
  }
}

/* Pool i of the task: each member in turn, at all prefixes. */
static void icl__bayes_pool(icl__fit *f, const icl_task *t, int i, const icl__prior *p)
{
  icl_class_call call = icl__node_call(t, &t->node[i], f->d);
  double log_noise = log(p->noise);
  int member, k;
  for (member = 0; member < (int)call.arg[0]; member++) {
    double rest = 0, miss;
    icl__pool_member(f->member, &call, member);
    for (k = 0; k <= f->to; k++) {
      if (k >= f->from) icl__member_enter(f, p, k, rest, log_noise);
      if (k == f->n) break;
      miss = p->member * (double)icl__class_dot(f->member, f->x + (ptrdiff_t)k * f->d, f->d);
      miss -= (double)f->y[k];
      rest += miss * miss;
    }
  }
}

/* ----- bayes: all of it --------------------------------------------------------------------- */

/* 1 if no prefix needs more than X'X and X'y. */
static int icl__is_linear(const icl__prior *p)
{
  return !(p->relu > 0 || p->level > 0 || p->process > 0 || p->cosine > 0 || p->member > 0);
}

/* Priors p[n] of the choice of a and b in what serves all prefixes at once: up to k = d for
 * functions that are linear in all inputs.  before: the prior in front of p, NULL: none. */
static void icl__bayes_priors(icl__fit *f, const icl_task *t, int a, const icl__prior *p, int n,
                              const icl__prior *before)
{
  int i, to = f->to;
  if (icl__is_linear(p) && (p->nnz < f->d || f->from >= f->d)) return;
  if (icl__is_linear(p) && to >= f->d) to = f->d - 1;
  if (p->cosine > 0) { icl__bayes_sine(f, p, n); return; }
  for (i = 0; i < n; before = &p[i++]) {
    if (p->member > 0) icl__bayes_pool(f, t, a, &p[i]);
    else icl__bayes_process(f, &p[i], to, before && icl__same_kernel(before, &p[i]));
  }
}

/* All priors of the choice, so many at a time. */
static void icl__bayes_choice(icl__fit *f, const icl_task *t, int a, int b, double soft)
{
  icl__prior p[ICL__ALPHAS], last;
  int i, j, m, n = (int)icl__choice_values(t, a, b);
  for (i = 0; i < n; i += m) {
    m = n - i < ICL__ALPHAS ? n - i : (int)ICL__ALPHAS;
    for (j = 0; j < m; j++) p[j] = icl__prior_of(t, a, b, i + j, soft);
    icl__bayes_priors(f, t, a, p, m, i ? &last : NULL);
    last = p[m - 1];
  }
}

/* The same, in what is done for each prefix anew. */
static void icl__bayes_choice_at(icl__fit *f, const icl_task *t, int a, int b, double soft)
{
  int i, n = (int)icl__choice_values(t, a, b);
  for (i = 0; i < n; i++) {
    icl__prior p = icl__prior_of(t, a, b, i, soft);
    if (!icl__is_linear(&p) || (p.nnz == f->d && f->k < f->d)) return;
    if (!(p.linear > 0)) p.nnz = 0;
    icl__bayes_supports(f, &p);
  }
}

/* Pair k into X'X, X'y and y'y. */
static void icl__bayes_add(icl__fit *f)
{
  const float *x = f->x + (ptrdiff_t)f->k * f->d;
  double y = (double)f->y[f->k];
  int i, j;
  for (i = 0; i < f->d; i++) {
    double *row = f->gram + (ptrdiff_t)i * f->d, xi = (double)x[i];
    for (j = 0; j < f->d; j++) row[j] += xi * (double)x[j];
    f->xy[i] += xi * y;
  }
  f->square += y * y;
  f->k++;
}

/* The posterior of each prefix from..to: the answers of each choice and support, weighted by
 * evidence, and the masses of the terms. */
static void icl__fit_bayes(icl__fit *f, const icl_task *t, double soft)
{
  size_t i, slots = (size_t)(f->to - f->from) + 1, d = (size_t)f->d;
  int a, b;
  memset(f->sum, 0, slots * sizeof *f->sum);
  memset(f->mass, 0, slots * (size_t)f->terms * sizeof *f->mass);
  memset(f->answer, 0, slots * (size_t)f->m * sizeof *f->answer);
  memset(f->gram, 0, d * d * sizeof *f->gram);
  memset(f->xy, 0, d * sizeof *f->xy);
  soft = icl__bayes_soft(t, soft);
  for (a = 0; a < t->n_nodes; a++)
    for (b = -1; b < t->n_nodes; b++)
      if (icl__is_choice(t, a, b)) icl__bayes_choice(f, t, a, b, soft);
  f->square = 0;
  for (f->k = 0; f->k <= f->to; icl__bayes_add(f)) {
    for (a = 0; a < t->n_nodes && f->k >= f->from; a++)
      for (b = -1; b < t->n_nodes; b++)
        if (icl__is_choice(t, a, b)) icl__bayes_choice_at(f, t, a, b, soft);
    if (f->k == f->n) break;
  }
  for (i = 0; i < slots * (size_t)f->m; i++) f->answer[i] /= f->sum[i / (size_t)f->m];
  for (i = 0; i < slots * (size_t)f->terms; i++) f->mass[i] /= f->sum[i / (size_t)f->terms];
}

/* ----- k nearest neighbours ----------------------------------------------------------------- */

/* Mean of the n nearest y's; of equally near ones the earlier come first. */
static float icl__knn(icl__fit *f, const float *q, int n)
{
  double sum = 0;
  int i, j, have = 0;
  for (i = 0; i < f->k; i++) {
    double s = icl__distance(f->x + (ptrdiff_t)i * f->d, q, f->d);
    if (have == n && !(s < f->nearest[2 * (n - 1)])) continue;
    if (have < n) have++;
    for (j = have - 1; j > 0 && s < f->nearest[2 * (j - 1)]; j--) {
      f->nearest[2 * j] = f->nearest[2 * (j - 1)];
      f->nearest[2 * j + 1] = f->nearest[2 * (j - 1) + 1];
    }
    f->nearest[2 * j] = s;
    f->nearest[2 * j + 1] = (double)f->y[i];
  }
  for (i = 0; i < have; i++) sum += f->nearest[2 * i + 1];
  return (float)(sum / have);
}

/* ----- regression tree ---------------------------------------------------------------------- */

static float icl__tree_x(const icl__fit *f, int pair, int input)
{
  return f->x[pair * f->d + input];
}

/* Sorts order[n] by one input (Shell). */
static void icl__tree_sort(const icl__fit *f, int *order, int n, int input)
{
  int gap, i, j;
  for (gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
    for (i = gap; i < n; i++) {
      int pair = order[i];
      float x = icl__tree_x(f, pair, input);
      for (j = i; j >= gap && icl__tree_x(f, order[j - gap], input) > x; j -= gap)
        order[j] = order[j - gap];
      order[j] = pair;
    }
}

/* Sum of (y - mean)^2 over a node; the mean is kept. */
static double icl__tree_spread(const icl__fit *f, icl__split *node)
{
  const int *order = f->order + node->first;
  double sum = 0, square = 0;
  int i;
  for (i = 0; i < node->count; i++) sum += (double)f->y[order[i]];
  node->mean = sum / node->count;
  for (i = 0; i < node->count; i++) {
    double y = (double)f->y[order[i]] - node->mean;
    square += y * y;
  }
  return square;
}

/* The best place to cut along one input: squared error falls by sum_below^2 / n_below +
 * sum_above^2 / n_above.  Cuts that are equal but for rounding: the first stays. */
static void icl__tree_cut(const icl__fit *f, icl__split *node, int input, double *best,
                          double least, int *cut)
{
  int *order = f->order + node->first, i, n = node->count;
  double sum = 0;
  icl__tree_sort(f, order, n, input);
  for (i = 1; i < n; i++) {
    double a = (double)icl__tree_x(f, order[i - 1], input);
    double b = (double)icl__tree_x(f, order[i], input), gain;
    sum += (double)f->y[order[i - 1]] - node->mean;
    if (!(b > a)) continue;
    gain = sum * sum / i + sum * sum / (n - i);
    if (*cut && !(gain > *best + least)) continue;
    *best = gain;
    *cut = i;
    node->input = input;
    node->at = a + (b - a) / 2;
  }
}

/* Splits node i, the two parts after all the others.  Returns how many nodes there are then. */
static int icl__tree_split(icl__fit *f, int i, int n_nodes, int depth)
{
  icl__split *node = &f->split[i], *part = &f->split[n_nodes];
  double best = 0, spread = icl__tree_spread(f, node), size = node->mean * node->mean;
  int j, cut = 0;
  if (node->level == depth || !(spread > 1e-13 * (spread + node->count * size))) return n_nodes;
  for (j = 0; j < f->d; j++) icl__tree_cut(f, node, j, &best, 1e-9 * spread, &cut);
  if (!cut) return n_nodes;
  icl__tree_sort(f, f->order + node->first, node->count, node->input);
  node->below = n_nodes;
  memset(part, 0, 2 * sizeof *part);
  part[0].level = part[1].level = node->level + 1;
  part[0].first = node->first;
  part[0].count = cut;
  part[1].first = node->first + cut;
  part[1].count = node->count - cut;
  return n_nodes + 2;
}

/* Greedy: every node that is not pure and not too deep is split in the best way there is, even if
 * that gains nothing yet. */
static void icl__fit_tree(icl__fit *f, int depth)
{
  int i, n = 1;
  for (i = 0; i < f->k; i++) f->order[i] = i;
  memset(f->split, 0, sizeof *f->split);
  f->split[0].count = f->k;
  for (i = 0; i < n; i++) n = icl__tree_split(f, i, n, depth);
}

static float icl__tree_answer(const icl__fit *f, const float *q)
{
  const icl__split *node = f->split;
  while (node->below) node = f->split + node->below + ((double)q[node->input] > node->at);
  return (float)node->mean;
}

/* ----- network ------------------------------------------------------------------------------ */

/* f(x) = c + a.relu(W x + b), weights W [H][d], b [H], a [H], c.  Keeps relu(..) in hidden. */
static double icl__net_value(icl__fit *f, const float *x)
{
  int i, j, d = f->d, h = f->units;
  const double *w = f->net[0], *b = w + (ptrdiff_t)h * d, *a = b + h;
  double y = a[h];
  for (i = 0; i < h; i++, w += d) {
    double s = b[i];
    for (j = 0; j < d; j++) s += w[j] * (double)x[j];
    f->hidden[i] = s > 0 ? s : 0;
    y += a[i] * f->hidden[i];
  }
  return y;
}

/* Adds the gradient of dy f(x), after icl__net_value. */
static void icl__net_gradient(icl__fit *f, const float *x, double dy)
{
  int i, j, d = f->d, h = f->units;
  const double *a = f->net[0] + (ptrdiff_t)h * (d + 1);
  double *dw = f->net[1], *db = dw + (ptrdiff_t)h * d, *da = db + h;
  da[h] += dy;
  for (i = 0; i < h; i++, dw += d) {
    double ds = dy * a[i];
    if (!(f->hidden[i] > 0)) continue;
    da[i] += dy * f->hidden[i];
    db[i] += ds;
    for (j = 0; j < d; j++) dw[j] += ds * (double)x[j];
  }
}

/* Adam (Kingma and Ba 2015): beta 0.9 and 0.999, epsilon 1e-8. */
static void icl__net_adam(icl__fit *f, int n, int step)
{
  double *w = f->net[0], *g = f->net[1], *m = f->net[2], *v = f->net[3];
  double m_scale = 1 / (1 - pow(0.9, step)), v_scale = 1 / (1 - pow(0.999, step));
  int i;
  for (i = 0; i < n; i++) {
    m[i] += 0.1 * (g[i] - m[i]);
    v[i] += 0.001 * (g[i] * g[i] - v[i]);
    w[i] -= 0.005 * m[i] * m_scale / (sqrt(v[i] * v_scale) + 1e-8);
  }
}

/* First weights and biases are uniform in +-1 / sqrt(inputs of their layer), as PyTorch draws
 * them.  The loss is the mean squared error. */
static void icl__fit_net(icl__fit *f, int steps)
{
  int i, step, h = f->units, n = h * (f->d + 2) + 1, inner = h * (f->d + 1);
  icl_rng r;
  icl_rng_init(&r, 0, (uint64_t)1 << 43, 0);
  for (i = 0; i < n; i++) {
    f->net[0][i] = (2 * (double)icl_rng_uniform(&r) - 1) / sqrt((double)(i < inner ? f->d : h));
    f->net[2][i] = f->net[3][i] = 0;
  }
  for (step = 1; step <= steps; step++) {
    memset(f->net[1], 0, (size_t)n * sizeof *f->net[1]);
    for (i = 0; i < f->k; i++) {
      const float *x = f->x + (ptrdiff_t)i * f->d;
      double miss = icl__net_value(f, x) - (double)f->y[i];
      icl__net_gradient(f, x, 2 * miss / f->k);
    }
    icl__net_adam(f, n, step);
  }
}

/* ----- all of them -------------------------------------------------------------------------- */

/* In the order of icl_baseline_kind. */
typedef struct icl__baseline_row {
  const char *name;
  int number;                      /* 0: none, 1: wanted, 2: allowed                          */
  double min, max;
} icl__baseline_row;

static const icl__baseline_row icl__baselines[] = {
  {"ols", 0, 0, 0}, {"ridge", 1, 1e-12, 1e12}, {"lasso", 1, 0, 1e12}, {"knn", 1, 1, 16384},
  {"avg", 0, 0, 0}, {"zero", 0, 0, 0}, {"bayes", 2, 1e-12, 1e12}, {"tree", 1, 0, 64},
  {"net", 1, 1, 4096}
};
#define ICL__N_BASELINES ((int)(sizeof icl__baselines / sizeof icl__baselines[0]))

static int icl__baseline_ok(const icl_baseline *b)
{
  const icl__baseline_row *row;
  if (!b || (int)b->kind < 0 || (int)b->kind >= ICL__N_BASELINES) return 0;
  row = &icl__baselines[b->kind];
  if ((b->kind == ICL_BASELINE_KNN || b->kind == ICL_BASELINE_TREE || b->kind == ICL_BASELINE_NET)
      && floor(b->value) < b->value) return 0;
  if (b->kind == ICL_BASELINE_NET && !(b->steps >= 1 && b->steps <= 1e6)) return 0;
  return !row->number || (b->value >= row->min && b->value <= row->max);
}

icl_error icl_baseline_parse(icl_baseline *b, const char *text, icl_report *r)
{
  icl_baseline found;
  size_t n, end;
  int i = 0;
  if (!b || !text) return icl__fail(r, ICL_ERR_ARG, 0, "icl_baseline_parse: NULL", NULL);
  n = end = icl__name_length(text);
  while (i < ICL__N_BASELINES && !icl__same_name(icl__baselines[i].name, text, n)) i++;
  if (i == ICL__N_BASELINES)
    return icl__fail(r, ICL_ERR_CONFIG, 0,
                     "not one of ols ridge:L lasso:A knn:K avg zero bayes tree:D net:H:", text);
  found.kind = (icl_baseline_kind)i;
  found.value = i == ICL_BASELINE_BAYES ? 1e-8 : 0;
  found.steps = i == ICL_BASELINE_NET ? 100 : 0;
  if (icl__baselines[i].number == 1 && text[end] != ':')
    return icl__fail(r, ICL_ERR_CONFIG, end, "expected : and a number after", text);
  if (icl__baselines[i].number && text[end] == ':') {
    n = icl__read_number(&found.value, text + ++end);
    if (!n || !icl__baseline_ok(&found))
      return icl__fail(r, ICL_ERR_CONFIG, end, "the number is missing or out of range:", text);
    end += n;
  }
  if (i == ICL_BASELINE_NET && text[end] == ':') {
    n = icl__read_number(&found.steps, text + ++end);
    if (!n || !icl__baseline_ok(&found) || floor(found.steps) < found.steps)
      return icl__fail(r, ICL_ERR_CONFIG, end, "the number is missing or out of range:", text);
    end += n;
  }
  if (text[end]) return icl__fail(r, ICL_ERR_CONFIG, end, "expected no more, not", text + end);
  *b = found;
  return icl__ok(r);
}

size_t icl_baseline_scratch(const icl_baseline *b, int k, int d)
{
  icl__arena mem = icl__arena_on(NULL);
  icl__fit f;
  if (!icl__baseline_ok(b) || k < 0 || k > 16384 || d < 1 || d > 4096) return 0;
  memset(&f, 0, sizeof f);
  f.k = k;
  f.d = d;
  icl__fit_place(&f, b, &mem);
  return icl__arena_need(&mem);
}

/* What a predictor makes of at least one pair; of a linear one it is w. */
static void icl__fit_run(icl__fit *f, const icl_baseline *b)
{
  int j;
  switch (b->kind) {
    case ICL_BASELINE_OLS:   icl__fit_ols(f); break;
    case ICL_BASELINE_RIDGE: icl__fit_ridge(f, b->value); break;
    case ICL_BASELINE_LASSO: icl__fit_lasso(f, b->value); break;
    case ICL_BASELINE_TREE:  icl__fit_tree(f, (int)b->value); break;
    case ICL_BASELINE_NET:   icl__fit_net(f, (int)b->steps); break;
    case ICL_BASELINE_AVG:   for (j = 0; j < f->d; j++) f->w[j] = icl__moment(f, j) / f->k; break;
    default:                 memset(f->w, 0, (size_t)f->d * sizeof *f->w); break;
  }
}

static float icl__fit_answer(icl__fit *f, const icl_baseline *b, const float *q)
{
  double s = 0;
  int j;
  if (!f->k) return 0;
  if (b->kind == ICL_BASELINE_KNN) return icl__knn(f, q, (int)b->value);
  if (b->kind == ICL_BASELINE_TREE) return icl__tree_answer(f, q);
  if (b->kind == ICL_BASELINE_NET) return (float)icl__net_value(f, q);
  for (j = 0; j < f->d; j++) s += f->w[j] * (double)q[j];
  return (float)s;
}

/* What is wrong with b, its task and n pairs. */
static icl_error icl__baseline_check(const icl_baseline *b, const icl_task *t, int n, int d,
                                     const float *X, const float *y, const void *scratch)
{
  int i;
  if (!icl_baseline_scratch(b, n, d) || !scratch || (n && (!X || !y))) return ICL_ERR_ARG;
  if (b->kind == ICL_BASELINE_BAYES) {
    if (!t || t->n_dims != d) return ICL_ERR_ARG;
    if (!icl_bayes_supported(t)) return ICL_ERR_CONFIG;
    for (i = 0; i < t->n_nodes && n > ICL__PROCESS; i++)
      if (icl__is_process(t->node[i].kind)) return ICL_ERR_LIMIT;
  }
  if (!icl__finite(X, (size_t)n * (size_t)d)) return ICL_ERR_NONFINITE;
  return icl__finite(y, (size_t)n) ? ICL_OK : ICL_ERR_NONFINITE;
}

static void icl__fit_begin(icl__fit *f, const icl_baseline *b, const icl_task *t, int n, int d,
                           const float *X, const float *y, void *scratch)
{
  icl__arena mem = icl__arena_on(scratch);
  memset(f, 0, sizeof *f);
  f->k = f->n = f->from = f->to = n;
  f->d = d;
  f->x = X;
  f->y = y;
  if (b->kind == ICL_BASELINE_BAYES) f->terms = icl_task_terms(t);
  icl__fit_place(f, b, &mem);
}

/* The queries in groups. */
static void icl__bayes_predict(icl__fit *f, const icl_baseline *b, const icl_task *t, int m,
                               const float *Q, float *out)
{
  int i, first;
  for (first = 0; first < m; first += f->m) {
    f->m = m - first < ICL__QUERIES ? m - first : ICL__QUERIES;
    f->q = Q + (size_t)first * (size_t)f->d;
    icl__fit_bayes(f, t, b->value);
    for (i = 0; i < f->m; i++) out[first + i] = (float)f->answer[i];
  }
}

icl_error icl_baseline_predict(const icl_baseline *b, const icl_task *task, int k, int d,
                               const float *X, const float *y, int m, const float *Q, float *out,
                               void *scratch)
{
  icl__fit f;
  size_t i, row = (size_t)d;
  icl_error e = icl__baseline_check(b, task, k, d, X, y, scratch);
  if (m < 0 || (m && (!Q || !out))) return ICL_ERR_ARG;
  if (e) return e;
  if (!icl__finite(Q, (size_t)m * row)) return ICL_ERR_NONFINITE;
  icl__fit_begin(&f, b, task, k, d, X, y, scratch);
  if (b->kind == ICL_BASELINE_BAYES) {
    icl__bayes_predict(&f, b, task, m, Q, out);
    return ICL_OK;
  }
  if (k && b->kind != ICL_BASELINE_KNN) icl__fit_run(&f, b);
  for (i = 0; i < (size_t)m; i++)
    out[i] = icl__fit_answer(&f, b, Q + i * row);
  return ICL_OK;
}

/* weights[from..to][terms], evidence[from..to]. */
static void icl__bayes_report(const icl__fit *f, double *weights, double *evidence)
{
  int i, slots = f->to - f->from + 1;
  for (i = 0; i < slots * f->terms && weights; i++) weights[i] = f->mass[i];
  for (i = 0; i < slots && evidence; i++)
    evidence[i] = f->top[i] + log(f->sum[i]) - 0.9189385332046727 * (f->from + i);
}

static icl_baseline icl__bayes_of(double soft)
{
  icl_baseline b;
  memset(&b, 0, sizeof b);
  b.kind = ICL_BASELINE_BAYES;
  b.value = soft;
  return b;
}

icl_error icl_bayes_posterior(const icl_task *task, double soft, int k, int d, const float *X,
                              const float *y, double *weights, double *evidence, void *scratch)
{
  icl_baseline b = icl__bayes_of(soft);
  icl__fit f;
  icl_error e = icl__baseline_check(&b, task, k, d, X, y, scratch);
  if (e) return e;
  icl__fit_begin(&f, &b, task, k, d, X, y, scratch);
  icl__fit_bayes(&f, task, soft);
  icl__bayes_report(&f, weights, evidence);
  return ICL_OK;
}

icl_error icl_bayes_curve(const icl_task *task, double soft, int n, int d, const float *X,
                          const float *y, float *out, double *weights, double *evidence,
                          void *scratch)
{
  icl_baseline b = icl__bayes_of(soft);
  icl__fit f;
  int k;
  icl_error e = icl__baseline_check(&b, task, n, d, X, y, scratch);
  if (e) return e;
  icl__fit_begin(&f, &b, task, n, d, X, y, scratch);
  f.from = 0;
  f.m = out != NULL;
  icl__fit_bayes(&f, task, soft);
  for (k = 0; k < n && out; k++) out[k] = (float)f.answer[k];
  icl__bayes_report(&f, weights, evidence);
  return ICL_OK;
}

icl_error icl_baseline_curve(const icl_baseline *b, const icl_task *task, int n, int d,
                             const float *X, const float *y, float *out, void *scratch)
{
  int k;
  icl_error e = icl__baseline_check(b, task, n, d, X, y, scratch);
  if (e || (n && !out)) return e ? e : ICL_ERR_ARG;
  if (b->kind == ICL_BASELINE_BAYES)
    return icl_bayes_curve(task, b->value, n, d, X, y, out, NULL, NULL, scratch);
  for (k = 0; k < n && !e; k++)
    e = icl_baseline_predict(b, task, k, d, X, y, 1, X + (size_t)k * (size_t)d, out + k, scratch);
  return e;
}

#if defined __cplusplus && ICL__GNU
#pragma GCC diagnostic pop
#endif
#endif /* ICL_BAYES_IMPLEMENTATION */
