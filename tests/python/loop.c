/* What a query of one row costs in C: microseconds of one of `calls` calls of the library's icl_py_predict.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include <time.h>

typedef int predict_function(void *, int, const double *, double, double *, double *, double *);

static double now(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return 1e6 * (double)t.tv_sec + 1e-3 * (double)t.tv_nsec;
}

double loop(predict_function *predict, void *context, int calls)
{
  const double began = now(), q = 0.3;
  double answer;
  int i;
  for (i = 0; i < calls; i++) if (predict(context, 1, &q, 0, &answer, 0, 0)) return -1;
  return (now() - began) / calls;
}
