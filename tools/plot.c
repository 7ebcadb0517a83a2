/* The layout of a plot; canvas_svg.c and canvas_png.c do the drawing.
 * SPDX-License-Identifier: MIT */
#include "plot.h"
#include "canvas.h"
#include "common.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const point frame_from = {80, 46}, frame_to = {710, 456};

/* The first line is black; the others are told apart by colour (Okabe and Ito's, for the
 * colour-blind) and by their dashes. */
static const unsigned colours[] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9};
enum { N_COLOURS = sizeof colours / sizeof *colours };

static const unsigned ink = 0x222222, faint = 0xE4E4E4;

/* From data to picture, along one axis. */
typedef struct axis {
  double from, to;                 /* data; logarithms of data where log is set               */
  double at_from, at_to;           /* picture                                                 */
  int log;
} axis;

static double place(const axis *a, double value)
{
  const double v = a->log ? log10(value > 0 ? value : 1e-300) : value;
  const double at = a->at_from + (v - a->from) / (a->to - a->from) * (a->at_to - a->at_from);
  return at < -1e4 ? -1e4 : at > 1e4 ? 1e4 : at;   /* far outside is far enough */
}

/* ----- axes ---------------------------------------------------------------------------------- */

static axis x_axis(const plot *p)
{
  axis a = {0, 1, 0, 0, 0};
  a.from = p->x[0];
  a.to = p->x[p->n - 1];
  if (!(a.to > a.from)) a.to = a.from + 1;
  a.at_from = frame_from.x;
  a.at_to = frame_to.x;
  return a;
}

/* The largest value that the axis has to show: the whole first line, and where the others start.  A
 * baseline that explodes leaves the picture on top. */
static double largest(const plot *p)
{
  double most = 0;
  int i;
  for (i = 0; i < p->n; i++)
    if (isfinite(p->lines[0].y[i])) most = fmax(most, p->lines[0].y[i]);
  for (i = 1; i < p->n_lines; i++)
    if (isfinite(p->lines[i].y[0])) most = fmax(most, p->lines[i].y[0]);
  return most > 0 ? most : 1;
}

/* The least positive value of the first line: those of exact baselines are as good as zero. */
static double smallest(const plot *p, double most)
{
  double least = most;
  int i;
  for (i = 0; i < p->n; i++)
    if (p->lines[0].y[i] > 0) least = fmin(least, p->lines[0].y[i]);
  return least;
}

static axis y_axis(const plot *p)
{
  const double most = largest(p);
  axis a = {0, 1, 0, 0, 0};
  a.log = p->log_y;
  a.to = 1.1 * most;
  if (a.log) {
    a.to = log10(1.5 * most);
    a.from = floor(log10(0.9 * smallest(p, most)));
  }
  a.at_from = frame_to.y;
  a.at_to = frame_from.y;
  return a;
}

static void draw_line(canvas *c, point a, point b, unsigned colour, double width)
{
  const point ends[2] = {a, b};
  const stroke s = {colour, width, 0, 0};
  c->lines(c, ends, 2, &s);
}

static void draw_x_tick(canvas *c, const axis *a, double value)
{
  const text_style style = {ink, 13, ANCHOR_MIDDLE, 0};
  const double x = place(a, value);
  char label[32];
  snprintf(label, sizeof label, "%g", value);
  draw_line(c, (point){x, frame_from.y}, (point){x, frame_to.y}, faint, 1);
  c->text(c, (point){x, frame_to.y + 20}, label, &style);
}

static void draw_y_tick(canvas *c, const axis *a, double value)
{
  const text_style style = {ink, 13, ANCHOR_END, 0};
  const double y = place(a, value);
  char label[32];
  snprintf(label, sizeof label, "%g", value);
  draw_line(c, (point){frame_from.x, y}, (point){frame_to.x, y}, faint, 1);
  c->text(c, (point){frame_from.x - 9, y + 4.5}, label, &style);
}

/* 1, 2 or 5 times a power of ten, so that there are five to ten steps. */
static double tick_step(double range)
{
  const double power = pow(10, floor(log10(range / 5)));
  const double n = range / power;
  return n >= 50 ? 10 * power : n >= 25 ? 5 * power : n >= 10 ? 2 * power : power;
}

static void draw_linear_ticks(canvas *c, const axis *a,
                              void (*draw)(canvas *, const axis *, double))
{
  const double step = tick_step(a->to - a->from), end = a->to / step + 1e-9;
  double i;
  for (i = floor(a->from / step + 1 - 1e-9); i <= end; i++) draw(c, a, i * step);
}

/* Powers of ten, and 2 and 5 times them where there are few. */
static void draw_log_ticks(canvas *c, const axis *a,
                           void (*draw)(canvas *, const axis *, double))
{
  static const double factors[] = {1, 2, 5};
  const int n = a->to - a->from < 2.5 ? 3 : 1;
  double e;
  int i;
  for (e = floor(a->from); e <= a->to; e++)
    for (i = 0; i < n; i++) {
      const double value = factors[i] * pow(10, e);
      if (log10(value) >= a->from - 1e-9 && log10(value) <= a->to) draw(c, a, value);
    }
}

static void draw_axes(canvas *c, const plot *p, const axis *x, const axis *y)
{
  const text_style title = {ink, 16, ANCHOR_START, 0}, middle = {ink, 14, ANCHOR_MIDDLE, 0};
  const text_style upwards = {ink, 14, ANCHOR_MIDDLE, 1};
  const point corner = {frame_from.x, frame_to.y};
  char text[96];                   /* as much of the title as fits */
  const double mid_x = 0.5 * (frame_from.x + frame_to.x), mid_y = 0.5 * (frame_from.y + frame_to.y);
  draw_linear_ticks(c, x, draw_x_tick);
  (p->log_y ? draw_log_ticks : draw_linear_ticks)(c, y, draw_y_tick);
  draw_line(c, corner, frame_to, ink, 1.2);
  draw_line(c, corner, frame_from, ink, 1.2);
  snprintf(text, sizeof text, "%.85s%s", p->title, strlen(p->title) > 85 ? "..." : "");
  c->text(c, (point){frame_from.x, 28}, text, &title);
  c->text(c, (point){mid_x, PICTURE_HEIGHT - 20}, p->x_label, &middle);
  c->text(c, (point){22, mid_y}, p->y_label, &upwards);
}

/* ----- lines and legend ---------------------------------------------------------------------- */

static stroke line_stroke(int i)
{
  stroke s = {0x000000, 3.2, 0, 1};
  if (i == 0) return s;
  s.colour = colours[(i - 1) % N_COLOURS];
  s.width = 2;
  s.dash = 3 + 2 * ((i - 1) % 8);
  return s;
}

/* Runs of finite values; a value that is none leaves a gap. */
static void draw_curve(canvas *c, const plot *p, int line, const axis *x, const axis *y)
{
  const stroke s = line_stroke(line);
  const double *v = p->lines[line].y;
  point *points = allocate((size_t)p->n, sizeof *points);
  int i, n = 0;
  for (i = 0; i <= p->n; i++) {
    if (i < p->n && isfinite(v[i])) {
      points[n].x = place(x, p->x[i]);
      points[n++].y = place(y, v[i]);
    } else {
      if (n > 1) c->lines(c, points, n, &s);
      n = 0;
    }
  }
  free(points);
}

static void draw_legend(canvas *c, const plot *p)
{
  const text_style style = {ink, 13, ANCHOR_START, 0};
  const double x = frame_to.x + 16;
  int i;
  for (i = 0; i < p->n_lines; i++) {
    const double y = frame_from.y + 12 + 22 * i;
    const point ends[2] = {{x, y}, {x + 34, y}};
    stroke s = line_stroke(i);
    s.clipped = 0;
    c->lines(c, ends, 2, &s);
    c->text(c, (point){x + 42, y + 4.5}, p->lines[i].name, &style);
  }
}

/* ----- the plot ------------------------------------------------------------------------------ */

static int ends_with(const char *text, const char *end)
{
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

int plot_path_ok(const char *path)
{
  return ends_with(path, ".svg") || (ends_with(path, ".png") && png_available());
}

void plot_write(const plot *p, const char *path)
{
  FILE *file = fopen(path, "wb");
  const axis x = x_axis(p), y = y_axis(p);
  canvas *c;
  int i, failed;
  if (!file) fail(path, "%s", strerror(errno));
  c = (ends_with(path, ".svg") ? new_svg_canvas : new_png_canvas)(file, frame_from, frame_to);
  draw_axes(c, p, &x, &y);
  for (i = 0; i < p->n_lines; i++) draw_curve(c, p, i, &x, &y);   /* the broad one lowest */
  draw_legend(c, p);
  c->finish(c);
  failed = ferror(file);
  if (fclose(file) || failed) fail(path, "%s", strerror(errno));
}
