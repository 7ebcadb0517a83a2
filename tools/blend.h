/* A model's answers mixed with those of ridge regression, which a table of several inputs often
 * follows more exactly than a model can: each by how well it predicts rows that it has not seen.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_BLEND_H
#define ICL_TOOLS_BLEND_H

#include "icl.h"

enum { BLEND_LEAST = 8, BLEND_FOLDS = 5 };     /* pairs, below which the model answers alone */

typedef struct blend {
  int d;
  double share;                    /* of the model, 0 to 1                                    */
  double *mean, *scale, *slope;    /* [d] ridge: y_mean + sum slope (x - mean) / scale        */
  double y_mean;
} blend;

/* Makes *b of the pairs in c, which stay.  Each fifth of them is predicted from the others, by the
 * model, in `spare`, and by ridge regression: share = 1 / (1 + r^8), r the model's root mean
 * squared error over ridge's.  spare is another context of the model with as much room as c; NULL
 * leaves share at 1, for the caller to set.  share stays 1 for fewer than 8 pairs and where no more
 * than one input varies.  blend_free also after an error. */
icl_error blend_fit(blend *b, const icl_ctx *c, icl_ctx *spare);

/* Mixes ridge's answers at xs[n][d] into the model's ys[n]; its interval lo, hi (or NULL) moves
 * along. */
void blend_answers(const blend *b, int n, const float *xs, float *ys, float *lo, float *hi);
void blend_free(blend *b);

#endif
