/* The canvas that sets pixels: smooth lines, and text made of them.
 * SPDX-License-Identifier: MIT */
#include "canvas.h"
#include "common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCALE = 2 };                /* pixels of a unit                                       */

typedef struct png_canvas {
  canvas base;                     /* first, so that a canvas * is a png_canvas *             */
  FILE *file;
  int width, height;               /* in pixels                                               */
  point clip_from, clip_to;        /* likewise                                                */
  unsigned char *rgb;              /* [height][width][3]                                      */
} png_canvas;

/* ----- lines --------------------------------------------------------------------------------- */

static double clamp(double x, double least, double most)
{
  return x < least ? least : x > most ? most : x;
}

/* The distance of q from the segment from a to b. */
static double distance(point q, point a, point b)
{
  const double dx = b.x - a.x, dy = b.y - a.y, square = dx * dx + dy * dy;
  double t = 0;
  if (square > 0) t = clamp(((q.x - a.x) * dx + (q.y - a.y) * dy) / square, 0, 1);
  return hypot(q.x - a.x - t * dx, q.y - a.y - t * dy);
}

static void blend(unsigned char *pixel, unsigned colour, double share)
{
  int i;
  for (i = 0; i < 3; i++) {
    const double ink = (double)(colour >> (16 - 8 * i) & 255);
    pixel[i] = (unsigned char)(pixel[i] + share * (ink - pixel[i]) + 0.5);
  }
}

static unsigned char *pixel_at(png_canvas *c, int x, int y)
{
  return c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
}

/* One segment with round ends, in pixels: each pixel gets colour by its distance from the line. */
static void draw_segment(png_canvas *c, point a, point b, const stroke *s)
{
  const double reach = 0.5 * SCALE * s->width + 0.5;
  const point from = s->clipped ? c->clip_from : (point){0, 0};
  const point to = s->clipped ? c->clip_to : (point){c->width, c->height};
  const int left = (int)clamp(fmin(a.x, b.x) - reach, from.x, to.x);
  const int right = (int)clamp(fmax(a.x, b.x) + reach + 1, from.x, to.x);
  const int top = (int)clamp(fmin(a.y, b.y) - reach, from.y, to.y);
  const int bottom = (int)clamp(fmax(a.y, b.y) + reach + 1, from.y, to.y);
  int x, y;
  for (y = top; y < bottom; y++)
    for (x = left; x < right; x++) {
      const double share = clamp(reach - distance((point){x + 0.5, y + 0.5}, a, b), 0, 1);
      if (share > 0) blend(pixel_at(c, x, y), s->colour, share);
    }
}

/* The dashes of one segment; *done is the length of the line before it. */
static void draw_dashes(png_canvas *c, point a, point b, const stroke *s, double *done)
{
  const double length = hypot(b.x - a.x, b.y - a.y), dash = SCALE * s->dash;
  double at = 0;
  while (at < length) {
    const double phase = fmod(*done + at, 2 * dash);
    const double rest = (phase < dash ? dash : 2 * dash) - phase + 1e-6;
    const double end = fmin(at + rest, length), t = at / length, u = end / length;
    const point p = {a.x + t * (b.x - a.x), a.y + t * (b.y - a.y)};
    const point q = {a.x + u * (b.x - a.x), a.y + u * (b.y - a.y)};
    if (phase < dash) draw_segment(c, p, q, s);
    at = end;
  }
  *done += length;
}

static void png_lines(canvas *base, const point *p, int n, const stroke *s)
{
  png_canvas *c = (png_canvas *)base;
  double done = 0;
  int i;
  for (i = 1; i < n; i++) {
    const point a = {SCALE * p[i - 1].x, SCALE * p[i - 1].y}, b = {SCALE * p[i].x, SCALE * p[i].y};
    if (s->dash > 0) draw_dashes(c, a, b, s, &done);
    else draw_segment(c, a, b, s);
  }
}

/* ----- areas --------------------------------------------------------------------------------- */

static int ascending(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Row by row: where the row's middle crosses the outline, the inside begins or ends. */
static void png_area(canvas *base, const point *p, int n, unsigned colour, double opacity)
{
  png_canvas *c = (png_canvas *)base;
  double *cross = allocate((size_t)n, sizeof *cross);
  int x, y, i, m;
  for (y = (int)c->clip_from.y; y < (int)c->clip_to.y; y++) {
    for (i = m = 0; i < n; i++) {
      const point a = p[i], b = p[(i + 1) % n];
      const double at = (y + 0.5) / SCALE;
      if ((a.y <= at) != (b.y <= at))
        cross[m++] = SCALE * (a.x + (at - a.y) / (b.y - a.y) * (b.x - a.x));
    }
    qsort(cross, (size_t)m, sizeof *cross, ascending);
    for (i = 0; i + 1 < m; i += 2) {
      const int to = (int)clamp(cross[i + 1] + 0.5, 0, c->clip_to.x);
      for (x = (int)clamp(cross[i] + 0.5, c->clip_from.x, c->clip_to.x); x < to; x++)
        blend(pixel_at(c, x, y), colour, opacity);
    }
  }
  free(cross);
}

static void png_clip(canvas *base, point from, point to)
{
  png_canvas *c = (png_canvas *)base;
  c->clip_from = (point){SCALE * from.x, SCALE * from.y};
  c->clip_to = (point){SCALE * to.x, SCALE * to.y};
}

/* ----- text ---------------------------------------------------------------------------------- */

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = 8 };

/* ASCII 32 to 126 as columns of dots, the lowest bit on top; the last row is below the baseline. */
static const unsigned char glyphs[95][GLYPH_WIDTH] = {
  {0x00, 0x00, 0x00, 0x00, 0x00}, {0x00, 0x00, 0x5F, 0x00, 0x00}, {0x00, 0x07, 0x00, 0x07, 0x00},
  {0x14, 0x7F, 0x14, 0x7F, 0x14}, {0x24, 0x2A, 0x7F, 0x2A, 0x12}, {0x23, 0x13, 0x08, 0x64, 0x62},
  {0x36, 0x49, 0x56, 0x20, 0x50}, {0x00, 0x08, 0x07, 0x03, 0x00}, {0x00, 0x1C, 0x22, 0x41, 0x00},
  {0x00, 0x41, 0x22, 0x1C, 0x00}, {0x2A, 0x1C, 0x7F, 0x1C, 0x2A}, {0x08, 0x08, 0x3E, 0x08, 0x08},
  {0x00, 0x80, 0x70, 0x30, 0x00}, {0x08, 0x08, 0x08, 0x08, 0x08}, {0x00, 0x00, 0x60, 0x60, 0x00},
  {0x20, 0x10, 0x08, 0x04, 0x02}, {0x3E, 0x51, 0x49, 0x45, 0x3E}, {0x00, 0x42, 0x7F, 0x40, 0x00},
  {0x72, 0x49, 0x49, 0x49, 0x46}, {0x21, 0x41, 0x49, 0x4D, 0x33}, {0x18, 0x14, 0x12, 0x7F, 0x10},
  {0x27, 0x45, 0x45, 0x45, 0x39}, {0x3C, 0x4A, 0x49, 0x49, 0x31}, {0x41, 0x21, 0x11, 0x09, 0x07},
  {0x36, 0x49, 0x49, 0x49, 0x36}, {0x46, 0x49, 0x49, 0x29, 0x1E}, {0x00, 0x00, 0x14, 0x00, 0x00},
  {0x00, 0x40, 0x34, 0x00, 0x00}, {0x00, 0x08, 0x14, 0x22, 0x41}, {0x14, 0x14, 0x14, 0x14, 0x14},
  {0x00, 0x41, 0x22, 0x14, 0x08}, {0x02, 0x01, 0x59, 0x09, 0x06}, {0x3E, 0x41, 0x5D, 0x59, 0x4E},
  {0x7C, 0x12, 0x11, 0x12, 0x7C}, {0x7F, 0x49, 0x49, 0x49, 0x36}, {0x3E, 0x41, 0x41, 0x41, 0x22},
  {0x7F, 0x41, 0x41, 0x41, 0x3E}, {0x7F, 0x49, 0x49, 0x49, 0x41}, {0x7F, 0x09, 0x09, 0x09, 0x01},
  {0x3E, 0x41, 0x41, 0x51, 0x73}, {0x7F, 0x08, 0x08, 0x08, 0x7F}, {0x00, 0x41, 0x7F, 0x41, 0x00},
  {0x20, 0x40, 0x41, 0x3F, 0x01}, {0x7F, 0x08, 0x14, 0x22, 0x41}, {0x7F, 0x40, 0x40, 0x40, 0x40},
  {0x7F, 0x02, 0x1C, 0x02, 0x7F}, {0x7F, 0x04, 0x08, 0x10, 0x7F}, {0x3E, 0x41, 0x41, 0x41, 0x3E},
  {0x7F, 0x09, 0x09, 0x09, 0x06}, {0x3E, 0x41, 0x51, 0x21, 0x5E}, {0x7F, 0x09, 0x19, 0x29, 0x46},
  {0x26, 0x49, 0x49, 0x49, 0x32}, {0x01, 0x01, 0x7F, 0x01, 0x01}, {0x3F, 0x40, 0x40, 0x40, 0x3F},
  {0x1F, 0x20, 0x40, 0x20, 0x1F}, {0x3F, 0x40, 0x38, 0x40, 0x3F}, {0x63, 0x14, 0x08, 0x14, 0x63},
  {0x03, 0x04, 0x78, 0x04, 0x03}, {0x61, 0x51, 0x49, 0x45, 0x43}, {0x00, 0x7F, 0x41, 0x41, 0x00},
  {0x02, 0x04, 0x08, 0x10, 0x20}, {0x00, 0x41, 0x41, 0x7F, 0x00}, {0x04, 0x02, 0x01, 0x02, 0x04},
  {0x80, 0x80, 0x80, 0x80, 0x80}, {0x00, 0x03, 0x07, 0x08, 0x00}, {0x20, 0x54, 0x54, 0x78, 0x40},
  {0x7F, 0x44, 0x44, 0x44, 0x38}, {0x38, 0x44, 0x44, 0x44, 0x28}, {0x38, 0x44, 0x44, 0x44, 0x7F},
  {0x38, 0x54, 0x54, 0x54, 0x18}, {0x00, 0x08, 0x7E, 0x09, 0x02}, {0x18, 0xA4, 0xA4, 0x9C, 0x78},
  {0x7F, 0x08, 0x04, 0x04, 0x78}, {0x00, 0x44, 0x7D, 0x40, 0x00}, {0x40, 0x80, 0x80, 0x7D, 0x00},
  {0x7F, 0x10, 0x28, 0x44, 0x00}, {0x00, 0x41, 0x7F, 0x40, 0x00}, {0x7C, 0x04, 0x78, 0x04, 0x78},
  {0x7C, 0x08, 0x04, 0x04, 0x78}, {0x38, 0x44, 0x44, 0x44, 0x38}, {0xFC, 0x18, 0x24, 0x24, 0x18},
  {0x18, 0x24, 0x24, 0x18, 0xFC}, {0x7C, 0x08, 0x04, 0x04, 0x08}, {0x48, 0x54, 0x54, 0x54, 0x24},
  {0x04, 0x04, 0x3F, 0x44, 0x24}, {0x3C, 0x40, 0x40, 0x20, 0x7C}, {0x1C, 0x20, 0x40, 0x20, 0x1C},
  {0x3C, 0x40, 0x30, 0x40, 0x3C}, {0x44, 0x28, 0x10, 0x28, 0x44}, {0x4C, 0x90, 0x90, 0x90, 0x7C},
  {0x44, 0x64, 0x54, 0x4C, 0x44}, {0x00, 0x08, 0x36, 0x41, 0x00}, {0x00, 0x00, 0x77, 0x00, 0x00},
  {0x00, 0x41, 0x36, 0x08, 0x00}, {0x02, 0x01, 0x02, 0x04, 0x02}
};

/* Where text is being written: pixels = at + column * across + row * down. */
typedef struct pen {
  png_canvas *canvas;
  stroke stroke;
  point at, across, down;
} pen;

static int has_dot(const unsigned char *glyph, int column, int row)
{
  return column >= 0 && column < GLYPH_WIDTH && row < GLYPH_HEIGHT && (glyph[column] >> row & 1);
}

static void connect(const pen *p, int c0, int r0, int c1, int r1)
{
  const point a = {p->at.x + c0 * p->across.x + r0 * p->down.x,
                   p->at.y + c0 * p->across.y + r0 * p->down.y};
  const point b = {p->at.x + c1 * p->across.x + r1 * p->down.x,
                   p->at.y + c1 * p->across.y + r1 * p->down.y};
  draw_segment(p->canvas, a, b, &p->stroke);
}

/* Draws lines from dot to neighbouring dot, so that a coarse font looks smooth: to the right and
 * down, and diagonally where there is no way around the corner. */
static void draw_glyph(const pen *p, const unsigned char *g)
{
  int c, r;
  for (c = 0; c < GLYPH_WIDTH; c++)
    for (r = 0; r < GLYPH_HEIGHT; r++) {
      if (!has_dot(g, c, r)) continue;
      connect(p, c, r, c, r);
      if (has_dot(g, c + 1, r)) connect(p, c, r, c + 1, r);
      if (has_dot(g, c, r + 1)) {
        connect(p, c, r, c, r + 1);
        continue;
      }
      if (has_dot(g, c + 1, r + 1) && !has_dot(g, c + 1, r)) connect(p, c, r, c + 1, r + 1);
      if (has_dot(g, c - 1, r + 1) && !has_dot(g, c - 1, r)) connect(p, c, r, c - 1, r + 1);
    }
}

static void png_text(canvas *base, point at, const char *text, const text_style *s)
{
  const double wide = SCALE * s->size * 0.092, high = SCALE * s->size * 0.115;
  const double advance = (GLYPH_WIDTH + 1) * wide;
  const double shift = 0.5 * (double)s->anchor * ((double)strlen(text) * advance - wide);
  const point across = s->upwards ? (point){0, -wide} : (point){wide, 0};
  const point down = s->upwards ? (point){high, 0} : (point){0, high};
  const double start = -shift / wide, top = -(GLYPH_HEIGHT - 2);   /* in columns, rows */
  pen p;
  p.canvas = (png_canvas *)base;
  p.stroke = (stroke){s->colour, 0.09 * s->size, 0, 0};
  p.across = across;
  p.down = down;
  p.at.x = SCALE * at.x + start * across.x + top * down.x;
  p.at.y = SCALE * at.y + start * across.y + top * down.y;
  for (; *text; text++) {
    const int c = *text < ' ' || *text > '~' ? '?' : *text;
    draw_glyph(&p, glyphs[c - ' ']);
    p.at.x += (GLYPH_WIDTH + 1) * across.x;
    p.at.y += (GLYPH_WIDTH + 1) * across.y;
  }
}

/* ----- the canvas ---------------------------------------------------------------------------- */

static void png_finish(canvas *base)
{
  png_canvas *c = (png_canvas *)base;
  write_png(c->file, c->rgb, c->width, c->height);
  free(c->rgb);
  free(c);
}

canvas *new_png_canvas(FILE *file, int width, int height)
{
  png_canvas *c = allocate(1, sizeof *c);
  c->base.lines = png_lines;
  c->base.area = png_area;
  c->base.text = png_text;
  c->base.clip = png_clip;
  c->base.finish = png_finish;
  c->file = file;
  c->width = SCALE * width;
  c->height = SCALE * height;
  c->clip_to = (point){c->width, c->height};
  c->rgb = allocate((size_t)c->width * (size_t)c->height, 3);
  memset(c->rgb, 255, 3 * (size_t)c->width * (size_t)c->height);
  return &c->base;
}
