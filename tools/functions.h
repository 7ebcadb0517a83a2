/* Functions of one's own, as rows of a table: what icl train --data learns from.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_FUNCTIONS_H
#define ICL_TOOLS_FUNCTIONS_H

#include "icl_train.h"

#include <stdint.h>

#define USUAL_HOLDOUT 0.1f         /* the share of functions that icl train does not learn from  */

/* Some functions of one table; also the `user` of draw_rows. */
typedef struct functions {
  int d;                           /* inputs                                                  */
  int n;                           /* functions                                               */
  int least;                       /* rows of the one with the fewest                         */
  const int *chosen;               /* [n] which of them                                       */
  const int *first;                /* first[f] to first[f + 1]: rows of function f            */
  const float *xs, *ys;            /* [rows][d], [rows]                                       */
} functions;

typedef struct function_table {
  functions training, held_out;    /* disjoint; all of them                                   */
  uint64_t digest;                 /* of the numbers, the names and the split                 */
  /* private below */
  int *first, *chosen;
  float *xs, *ys;
} function_table;

/* Reads rows function_id,x1,..,xd,y; exit 1 where a line is none.  Functions are told apart by their
 * ids, wherever their rows stand.  The share `held_out`, one at least, is set apart by the ids
 * alone, so that another table of the same ids splits in the same way; 0: none. */
function_table read_functions(const char *path, double held_out);
void free_functions(function_table *t);

/* An icl_draw: n_pairs rows of one function in random order, none of them twice. */
int draw_rows(void *user, icl_rng *rng, int n_dims, int n_pairs, float *xs, float *ys);

/* Exit 1 where a function has fewer rows than a prompt has pairs. */
void check_rows(const char *path, const functions *f, int pairs);

#endif
