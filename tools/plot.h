/* Line plots, as SVG or PNG.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_PLOT_H
#define ICL_TOOLS_PLOT_H

typedef struct plot_line {
  const char *name;                /* for the legend                                          */
  const double *y;                 /* [n]                                                     */
} plot_line;

typedef struct plot {
  const char *title, *x_label, *y_label;
  int n;                           /* points of each line, two or more                        */
  const double *x;                 /* [n] increasing                                          */
  const plot_line *lines;          /* [n_lines] the first one is emphasised                   */
  int n_lines;
  int log_y;                       /* y axis: 1 logarithmic, 0 linear from 0                  */
} plot;

/* The path's ending says which format: ".svg", or ".png" where the build can.  0 for others. */
int plot_path_ok(const char *path);

/* Writes the picture, or exit 1. */
void plot_write(const plot *p, const char *path);

#endif
