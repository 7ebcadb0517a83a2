/* The layout of plots; canvas_svg.c and canvas_png.c do the drawing.
 * SPDX-License-Identifier: MIT */
#include "plot.h"
#include "canvas.h"
#include "common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first series is black; the others are told apart by colour (Okabe and Ito's, for the
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

/* A panel on its canvas. */
typedef struct panel {
  canvas *c;
  const plot *p;
  point from, to;                  /* the frame, upper left to lower right                    */
  axis x, y;
  double font;                     /* size of numbers                                         */
} panel;

static double place(const axis *a, double value)
{
  const double v = a->log ? log10(value > 0 ? value : 1e-300) : value;
  const double at = a->at_from + (v - a->from) / (a->to - a->from) * (a->at_to - a->at_from);
  return at < -1e4 ? -1e4 : at > 1e4 ? 1e4 : at;   /* far outside is far enough */
}

/* ----- axes ---------------------------------------------------------------------------------- */

static axis x_axis(const panel *v)
{
  axis a = {INFINITY, -INFINITY, 0, 0, 0};
  int i;
  for (i = 0; i < v->p->n_series; i++) {
    const plot_series *s = &v->p->series[i];
    if (s->n < 1) continue;
    a.from = fmin(a.from, s->x[0]);
    a.to = fmax(a.to, s->x[s->n - 1]);
  }
  if (v->p->groups) {
    a.from -= 0.5;
    a.to += 0.5;
  }
  if (v->p->log_x) {
    a.log = 1;
    a.from = log10(a.from);
    a.to = log10(a.to);
  }
  if (!(a.to > a.from)) a.to = a.from + fmax(1, 1e-9 * fabs(a.from));
  a.at_from = v->from.x;
  a.at_to = v->to.x;
  return a;
}

/* The largest value that the axis has to show: the whole first series, all bars, and where the
 * other curves start.  A baseline that explodes leaves the picture on top. */
static double largest(const plot *p)
{
  double most = 0;
  int i, k;
  for (i = 0; i < p->n_series; i++)
    for (k = 0; k < p->series[i].n; k++)
      if (isfinite(p->series[i].y[k]) && (i == 0 || k == 0 || p->groups))
        most = fmax(most, p->series[i].y[k]);
  return most > 0 ? most : 1;
}

/* Where a logarithmic axis starts: y_from, or else the least positive value of the first series, for
 * those of exact baselines are as good as zero. */
static double smallest(const plot *p, double most)
{
  double least = most;
  int k;
  if (p->y_from > 0) return p->y_from;
  for (k = 0; k < p->series[0].n; k++)
    if (p->series[0].y[k] > 0) least = fmin(least, p->series[0].y[k]);
  return least;
}

static axis y_axis(const panel *v)
{
  const double most = largest(v->p);
  axis a = {0, 1, 0, 0, 0};
  a.log = v->p->log_y;
  a.to = 1.1 * most;
  if (a.log) {
    a.to = log10(1.5 * most);
    a.from = floor(log10(0.9 * smallest(v->p, most)));
  } else if (v->p->y_to > v->p->y_from) {
    a.from = v->p->y_from;
    a.to = v->p->y_to;
  }
  a.at_from = v->to.y;
  a.at_to = v->from.y;
  return a;
}

static void draw_line(canvas *c, point a, point b, unsigned colour, double width)
{
  const point ends[2] = {a, b};
  const stroke s = {colour, width, 0, 0};
  c->lines(c, ends, 2, &s);
}

/* A tick's number: 2e-5 for 0.00002 and 1.5e5 for 150000, for which there is no room beside the axis,
 * where four digits say it all. */
static const char *write_tick(char label[32], const axis *a, double value)
{
  const double size = fabs(value);
  if (size >= 1e5 || (size > 0 && size < (a->log ? 0.0099 : 0.00099))) {
    const int e = (int)floor(log10(size) + 1e-9);
    snprintf(label, 32, "%.4ge%d", value / pow(10, e), e);
    if (fabs(strtod(label, NULL) - value) <= 1e-9 * size) return label;
  }
  snprintf(label, 32, "%.10g", value);
  return label;
}

static void draw_x_tick(const panel *v, double value)
{
  const text_style style = {ink, v->font, ANCHOR_MIDDLE, 0};
  const double x = place(&v->x, value);
  char label[32];
  draw_line(v->c, (point){x, v->from.y}, (point){x, v->to.y}, faint, 1);
  v->c->text(v->c, (point){x, v->to.y + 7 + v->font}, write_tick(label, &v->x, value), &style);
}

static void draw_y_tick(const panel *v, double value)
{
  const text_style style = {ink, v->font, ANCHOR_END, 0};
  const double y = place(&v->y, value);
  char label[32];
  draw_line(v->c, (point){v->from.x, y}, (point){v->to.x, y}, faint, 1);
  v->c->text(v->c, (point){v->from.x - 9, y + 0.35 * v->font}, write_tick(label, &v->y, value),
             &style);
}

/* 1, 2 or 5 times a power of ten, so that there are at most `most` steps, and as a rule half. */
static double tick_step(double range, int most)
{
  const double power = pow(10, floor(log10(range / most)));
  const double n = range / power / most;
  return n > 5 ? 10 * power : n > 2 ? 5 * power : n > 1 ? 2 * power : power;
}

static void draw_linear_ticks(const panel *v, const axis *a, void (*draw)(const panel *, double))
{
  const int most = (int)fmin(10, fabs(a->at_to - a->at_from) / 28);
  const double step = tick_step(a->to - a->from, most), end = a->to / step + 1e-9;
  const double first = ceil(a->from / step - 1e-9);
  int n;                           /* first + 1 is first from 2^53 on */
  for (n = 0; n <= most && first + n <= end; n++)
    draw(v, first + n == 0 ? 0 : (first + n) * step);
}

/* Powers of ten, and 2 and 5 times them where there are few. */
static void draw_log_ticks(const panel *v, const axis *a, void (*draw)(const panel *, double))
{
  static const double factors[] = {1, 2, 5};
  const int n = a->to - a->from < 2.5 ? 3 : 1;
  double e;
  int i;
  for (e = floor(a->from); e <= a->to; e++)
    for (i = 0; i < n; i++) {
      const double value = factors[i] * pow(10, e);
      if (log10(value) >= a->from - 1e-9 && log10(value) <= a->to) draw(v, value);
    }
}

static void draw_group_names(const panel *v)
{
  const text_style style = {ink, v->font, ANCHOR_MIDDLE, 0};
  int i;
  for (i = 0; i < v->p->series[0].n; i++)
    v->c->text(v->c, (point){place(&v->x, i), v->to.y + 7 + v->font}, v->p->groups[i], &style);
}

/* Bytes of the letters of a UTF-8 text that are whole within the first n. */
static int whole_letters(const char *text, int n)
{
  if ((int)strlen(text) <= n) return (int)strlen(text);
  while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
  return n;
}

static void draw_axes(const panel *v)
{
  const plot *p = v->p;
  const text_style title = {ink, v->font + 3, ANCHOR_START, 0};
  const text_style middle = {ink, v->font + 1, ANCHOR_MIDDLE, 0};
  const text_style upwards = {ink, v->font + 1, ANCHOR_MIDDLE, 1};
  const point corner = {v->from.x, v->to.y};
  const int room = (int)((v->to.x - v->from.x) / (0.46 * title.size));
  const double mid_x = 0.5 * (v->from.x + v->to.x), mid_y = 0.5 * (v->from.y + v->to.y);
  char text[160];                  /* as much of the title as fits */
  if (p->groups) draw_group_names(v);
  else (p->log_x ? draw_log_ticks : draw_linear_ticks)(v, &v->x, draw_x_tick);
  (p->log_y ? draw_log_ticks : draw_linear_ticks)(v, &v->y, draw_y_tick);
  draw_line(v->c, corner, v->to, ink, 1.2);
  draw_line(v->c, corner, v->from, ink, 1.2);
  snprintf(text, sizeof text, "%.*s%s", whole_letters(p->title, room > 150 ? 150 : room), p->title,
           strlen(p->title) > (size_t)room ? "..." : "");
  v->c->text(v->c, (point){v->from.x, v->from.y - 12}, text, &title);
  v->c->text(v->c, (point){mid_x, v->to.y + 16 + 2.2 * v->font}, p->x_label, &middle);
  v->c->text(v->c, (point){v->from.x - 45, mid_y}, p->y_label, &upwards);
}

/* ----- series and legend --------------------------------------------------------------------- */

static stroke series_stroke(int i)
{
  stroke s = {0x000000, 3.2, 0, 1};
  if (i == 0) return s;
  s.colour = colours[(i - 1) % N_COLOURS];
  s.width = 2;
  s.dash = 3 + 2 * ((i - 1) % 8);
  return s;
}

/* Runs of finite values; a value that is none leaves a gap. */
static void draw_curve(const panel *v, const plot_series *s, const stroke *style)
{
  point *points = allocate((size_t)s->n + 1, sizeof *points);
  int i, n = 0;
  for (i = 0; i <= s->n; i++) {
    if (i < s->n && isfinite(s->y[i])) {
      points[n].x = place(&v->x, s->x[i]);
      points[n++].y = place(&v->y, s->y[i]);
    } else {
      if (n > 1) v->c->lines(v->c, points, n, style);
      n = 0;
    }
  }
  free(points);
}

/* The band around a curve, as far as it is finite. */
static void draw_band(const panel *v, const plot_series *s, unsigned colour)
{
  point *points = allocate(2 * (size_t)s->n, sizeof *points);
  int i, n = 0;
  for (i = 0; i < s->n; i++)
    if (isfinite(s->low[i])) points[n++] = (point){place(&v->x, s->x[i]), place(&v->y, s->low[i])};
  for (i = s->n - 1; i >= 0; i--)
    if (isfinite(s->high[i]))
      points[n++] = (point){place(&v->x, s->x[i]), place(&v->y, s->high[i])};
  v->c->area(v->c, points, n, colour, 0.18);
  free(points);
}

static void draw_dot(canvas *c, point at, double radius, unsigned colour)
{
  point p[16];
  int i;
  for (i = 0; i < 16; i++)
    p[i] = (point){at.x + radius * cos(0.3926990817 * i), at.y + radius * sin(0.3926990817 * i)};
  c->area(c, p, 16, colour, 1);
}

/* The range of a bar's height, where there is one. */
static void draw_whisker(const panel *v, double x, double low, double high)
{
  const point ends[2] = {{x, place(&v->y, low)}, {x, place(&v->y, high)}};
  const stroke thin = {ink, 1.5, 0, 0};
  if (high > low) v->c->lines(v->c, ends, 2, &thin);
}

/* Bar `index` of each group, with its value on top, above the range where there is one. */
static void draw_bars(const panel *v, const plot_series *s, int index, unsigned colour)
{
  const text_style style = {ink, v->font - 2, ANCHOR_MIDDLE, 0};
  const double wide = 0.84 / v->p->n_series;
  int i;
  for (i = 0; i < s->n; i++) {
    const double left = s->x[i] - 0.42 + index * wide;
    const double x0 = place(&v->x, left), x1 = place(&v->x, left + 0.92 * wide);
    const double y = place(&v->y, s->y[i]), base = v->to.y;
    const double top = s->low && s->high[i] > s->y[i] ? place(&v->y, s->high[i]) : y;
    const point corners[4] = {{x0, base}, {x0, y}, {x1, y}, {x1, base}};
    char label[32];
    if (!isfinite(s->y[i])) continue;
    v->c->area(v->c, corners, 4, colour, 1);
    if (s->low) draw_whisker(v, 0.5 * (x0 + x1), s->low[i], s->high[i]);
    snprintf(label, sizeof label, s->y[i] < 0.0995 ? "%.3f" : "%.2f", s->y[i]);
    v->c->text(v->c, (point){0.5 * (x0 + x1), top - 4}, label, &style);
  }
}

static void draw_series(const panel *v, int index)
{
  const plot_series *s = &v->p->series[index];
  const stroke style = series_stroke(index);
  int i;
  if (s->low && s->kind != PLOT_BARS) draw_band(v, s, style.colour);
  if (s->kind == PLOT_CURVE) draw_curve(v, s, &style);
  if (s->kind == PLOT_BARS) draw_bars(v, s, index, style.colour);
  for (i = 0; s->kind == PLOT_DOTS && i < s->n; i++)
    if (isfinite(s->y[i]))
      draw_dot(v->c, (point){place(&v->x, s->x[i]), place(&v->y, s->y[i])}, 4.5, style.colour);
}

static void draw_legend(canvas *c, const plot *p, point at)
{
  const text_style text = {ink, 13, ANCHOR_START, 0};
  int i;
  for (i = 0; i < p->n_series; i++) {
    const double y = at.y + 22 * i;
    point ends[2] = {{at.x, y}, {at.x + 34, y}};
    stroke s = series_stroke(i);
    s.clipped = 0;
    if (p->series[i].kind == PLOT_BARS) {
      ends[0].x += 8;
      ends[1].x -= 8;
      s.dash = 0;
      s.width = 11;
    }
    if (p->series[i].kind == PLOT_DOTS) draw_dot(c, (point){at.x + 17, y}, 4.5, s.colour);
    else c->lines(c, ends, 2, &s);
    c->text(c, (point){at.x + 42, y + 4.5}, p->series[i].name, &text);
  }
}

/* ----- the picture --------------------------------------------------------------------------- */

static int ends_with(const char *text, const char *end)
{
  const size_t n = strlen(text), m = strlen(end);
  return n >= m && !strcmp(text + n - m, end);
}

int plot_path_ok(const char *path)
{
  return ends_with(path, ".svg") || (ends_with(path, ".png") && png_available());
}

static void draw_panel(canvas *c, const plot *p, point from, point to, double font)
{
  panel v = {c, p, from, to, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, font};
  int i;
  v.x = x_axis(&v);
  v.y = y_axis(&v);
  draw_axes(&v);
  c->clip(c, from, to);
  for (i = 0; i < p->n_series; i++) draw_series(&v, i);   /* the broad one lowest */
}

/* Sizes in the picture: a lone panel, and those of a grid, each with the room around it. */
enum {
  LEFT = 80, TOP = 46, ONE_WIDTH = 630, ONE_HEIGHT = 410, CELL_WIDTH = 250, CELL_HEIGHT = 210,
  GAP_X = 78, GAP_Y = 88, BELOW = 64, LEGEND = 214, HEADING = 28
};

void plot_write(const char *heading, const plot *panels, int n, int columns, const char *path)
{
  const int one = n == 1, rows = (n + columns - 1) / columns, top = heading ? TOP + HEADING : TOP;
  const int wide = one ? ONE_WIDTH : CELL_WIDTH, high = one ? ONE_HEIGHT : CELL_HEIGHT;
  const int inner = columns * wide + (columns - 1) * GAP_X;
  const int width = LEFT + inner + LEGEND;
  const int height = top + rows * high + (rows - 1) * GAP_Y + BELOW;
  const text_style style = {ink, 17, ANCHOR_START, 0};
  output out;
  canvas *c;
  int most = 0, i;
  for (i = 1; i < n; i++) if (panels[i].n_series > panels[most].n_series) most = i;
  open_output(&out, path);
  c = (ends_with(path, ".svg") ? new_svg_canvas : new_png_canvas)(out.file, width, height);
  if (heading) c->text(c, (point){24, 30}, heading, &style);
  for (i = 0; i < n; i++) {
    const double x = LEFT + (i % columns) * (wide + GAP_X);
    const double y = top + (i / columns) * (high + GAP_Y);
    draw_panel(c, &panels[i], (point){x, y}, (point){x + wide, y + high}, one ? 13 : 11);
  }
  c->clip(c, (point){0, 0}, (point){width, height});
  draw_legend(c, &panels[most], (point){LEFT + inner + 16, top + 12});
  c->finish(c);
  close_output(&out);
}
