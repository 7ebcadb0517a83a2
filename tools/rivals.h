/* What a person would use instead of a pretrained model.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_RIVALS_H
#define ICL_TOOLS_RIVALS_H

#include "gp.h"

/* What is known, scaled so that every column has mean 0 and standard deviation 1. */
typedef struct sample {
  int n, d;
  const double *x, *y;             /* [n][d], [n]                                             */
  gp_choice *gp;                   /* of a series of samples that differ by a row             */
} sample;

typedef struct rival {
  const char *key;                 /* for JSON                                                */
  const char *name, *advice;       /* "Use .. instead"                                        */
  double (*predict)(const sample *s, const double *query);
  int one_input;                   /* 1: for one input only                                   */
} rival;

extern const rival rivals[];
extern const int n_rivals;

#endif
