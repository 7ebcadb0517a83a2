/* Pictures of a person's own data with one input: points, curve, band, gaps.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_DRAW_H
#define ICL_TOOLS_DRAW_H

#include "dataset.h"

typedef struct picture {
  const char *title, *x_name, *y_name;
  const points *given, *asked;     /* asked has the answers as y                              */
  int n;                           /* of the curve                                            */
  const double *x, *y;             /* [n] x ascending                                         */
  const double *low, *high;        /* [n] or NULL                                             */
  const char *band;                /* its name, "90 % interval"; NULL without                 */
} picture;

/* Writes an SVG or PNG file; plot_path_ok tells whether it can. */
void draw_file(const picture *p, const char *path);

/* Draws with characters on stdout, 72 wide and 20 high. */
void draw_text(const picture *p);

#endif
