/* Functions that icl.h is about to have, on what it has today.  To be deleted with the include in
 * predictor.c once it has them.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_PENDING_H
#define ICL_TOOLS_PENDING_H

#include "icl.h"

#include <limits.h>

static inline int icl_max_pairs(const icl_model *m)
{
  const icl_config *c = &m->config;
  if (c->position_embedding_type != ICL_POSITION_LEARNED) return INT_MAX / 4;
  return (c->n_positions - 1) / 2;
}

static inline icl_error icl_predict_interval(icl_ctx *c, int n, const float *xs, float level,
                                             float *ys, float *lo, float *hi)
{
  (void)c, (void)n, (void)xs, (void)level, (void)ys, (void)lo, (void)hi;
  return ICL_ERR_CONFIG;
}

#endif
