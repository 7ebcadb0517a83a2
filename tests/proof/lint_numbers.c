/* Predictions of the bundled models for the numerical sanitizer, which computes each float in double as well
 * (lint.py).  No training: Adam divides gradients by their own size, and what is rounding becomes a step.
 * SPDX-License-Identifier: MIT */
#define ICL_NO_SIMD
#define ICL_IMPLEMENTATION
#include "icl.h"

#include <math.h>
#include <stdio.h>

enum { PAIRS = 24, QUERIES = 5 };

static int look(const char *path)
{
  float xs[PAIRS * 16], ys[PAIRS], qs[QUERIES * 16], at[QUERIES], lo[QUERIES], hi[QUERIES], surprise = 0;
  icl_model *m;
  icl_ctx *c;
  int i, k, d, bad;
  if (icl_load(&m, path, NULL) || icl_ctx_new(&c, m, PAIRS, QUERIES)) return 1;
  d = m->config.n_dims < 16 ? m->config.n_dims : 16;
  for (i = 0; i < PAIRS; i++) {
    for (k = 0; k < d; k++) xs[i * d + k] = 430.0f + 1.5f * (float)((i * (k + 3) + 5 * k) % 31);
    ys[i] = sinf(0.3f * xs[i * d]) + 0.01f * xs[i * d];
  }
  for (i = 0; i < QUERIES * d; i++) qs[i] = 431.0f + 0.7f * (float)i;
  bad = icl_standardize(c, PAIRS, xs, ys) || icl_add_batch(c, PAIRS, xs, ys)
        || icl_predict_interval(c, QUERIES, qs, 0.9f, at, lo, hi) || icl_surprise(c, &surprise);
  printf("%s: %g in %g to %g, surprise %g\n", path, (double)at[0], (double)lo[0], (double)hi[0],
         (double)surprise);
  icl_ctx_delete(c);
  icl_unload(m);
  return bad;
}

int main(void)
{
  return look("examples/models/curves.safetensors") || look("examples/models/table.safetensors");
}
