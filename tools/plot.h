/* Plots of one or several panels, as SVG or PNG.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_PLOT_H
#define ICL_TOOLS_PLOT_H

/* A series is a curve through its points, dots, or one bar in each group of bars. */
typedef enum plot_kind { PLOT_CURVE, PLOT_DOTS, PLOT_BARS } plot_kind;

typedef struct plot_series {
  const char *name;                /* for the legend                                          */
  plot_kind kind;
  int n;
  const double *x, *y;             /* [n] x increasing for curves; of bars 0, 1, 2, ...       */
  const double *low, *high;        /* [n] a band around a curve, a bar's range; or NULL       */
} plot_series;

typedef struct plot {
  const char *title, *x_label, *y_label;
  const plot_series *series;       /* [n_series] the first one is emphasised                  */
  int n_series;
  int log_x, log_y;                /* axes: 1 logarithmic (x > 0), 0 linear                   */
  double y_from, y_to;             /* of a linear axis; both 0: from 0, as far as the series;
                                      a logarithmic one starts at y_from's power of ten       */
  const char *const *groups;       /* names for x = 0, 1, ..: of groups of bars; NULL: numbers */
} plot;

/* The path's ending says which format: ".svg", or ".png" where the build can.  0 for others. */
int plot_path_ok(const char *path);

/* Writes a picture of n panels, so many in a row, or exit 1.  The legend is that of the panel with
 * most series, the first of these; the heading stands above several panels; NULL: none. */
void plot_write(const char *heading, const plot *panels, int n, int columns, const char *path);

#endif
