/* The canvas that writes SVG.
 * SPDX-License-Identifier: MIT */
#include "canvas.h"
#include "common.h"

#include <stdlib.h>

typedef struct svg_canvas {
  canvas base;                     /* first, so that a canvas * is an svg_canvas *            */
  FILE *file;
  int clips;                       /* rectangles so far                                       */
} svg_canvas;

static void svg_lines(canvas *c, const point *p, int n, const stroke *s)
{
  FILE *f = ((svg_canvas *)c)->file;
  int i;
  fprintf(f, "<polyline fill=\"none\" stroke=\"#%06x\" stroke-width=\"%g\"", s->colour, s->width);
  if (s->dash > 0) fprintf(f, " stroke-dasharray=\"%g\"", s->dash);
  if (s->clipped) fprintf(f, " clip-path=\"url(#frame%d)\"", ((svg_canvas *)c)->clips);
  fputs(" points=\"", f);
  for (i = 0; i < n; i++) fprintf(f, "%s%.6g,%.6g", i ? " " : "", p[i].x, p[i].y);
  fputs("\"/>\n", f);
}

static void svg_area(canvas *c, const point *p, int n, unsigned colour, double opacity)
{
  FILE *f = ((svg_canvas *)c)->file;
  int i;
  fprintf(f, "<polygon fill=\"#%06x\" fill-opacity=\"%g\" clip-path=\"url(#frame%d)\" points=\"",
          colour, opacity, ((svg_canvas *)c)->clips);
  for (i = 0; i < n; i++) fprintf(f, "%s%.6g,%.6g", i ? " " : "", p[i].x, p[i].y);
  fputs("\"/>\n", f);
}

static void svg_clip(canvas *c, point from, point to)
{
  svg_canvas *s = (svg_canvas *)c;
  fprintf(s->file,
          "<clipPath id=\"frame%d\"><rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\"/>"
          "</clipPath>\n", ++s->clips, from.x, from.y, to.x - from.x, to.y - from.y);
}

/* Bytes of the UTF-8 letter at s, 1 to 4; 0 for what is none (RFC 3629). */
static int letter_bytes(const char *s)
{
  const unsigned char *u = (const unsigned char *)s;
  const int n = *u < 0x80 ? 1 : *u < 0xc2 ? 0 : *u < 0xe0 ? 2 : *u < 0xf0 ? 3 : *u < 0xf5 ? 4 : 0;
  int i;
  for (i = 1; i < n; i++) if ((u[i] & 0xc0) != 0x80) return 0;
  if ((*u == 0xe0 && u[1] < 0xa0) || (*u == 0xed && u[1] > 0x9f)) return 0;
  if ((*u == 0xf0 && u[1] < 0x90) || (*u == 0xf4 && u[1] > 0x8f)) return 0;
  return n;
}

/* Text between tags; control characters, and bytes that are no letter, have no place in XML. */
static void put_escaped(const char *s, FILE *f)
{
  while (*s) {
    const int n = letter_bytes(s);
    if (*s == '&') fputs("&amp;", f);
    else if (*s == '<') fputs("&lt;", f);
    else if (*s == '>') fputs("&gt;", f);
    else if (n && (unsigned char)*s >= ' ') fwrite(s, 1, (size_t)n, f);
    else fputc('?', f);
    s += n ? n : 1;
  }
}

static void svg_text(canvas *c, point at, const char *text, const text_style *s)
{
  static const char *const anchors[] = {"start", "middle", "end"};
  FILE *f = ((svg_canvas *)c)->file;
  fprintf(f, "<text x=\"%.6g\" y=\"%.6g\" font-size=\"%g\" fill=\"#%06x\" text-anchor=\"%s\"", at.x,
          at.y, s->size, s->colour, anchors[s->anchor]);
  if (s->upwards) fprintf(f, " transform=\"rotate(-90 %.6g %.6g)\"", at.x, at.y);
  fputc('>', f);
  put_escaped(text, f);
  fputs("</text>\n", f);
}

static void svg_finish(canvas *c)
{
  fputs("</svg>\n", ((svg_canvas *)c)->file);
  free(c);
}

canvas *new_svg_canvas(FILE *file, int width, int height)
{
  svg_canvas *c = allocate(1, sizeof *c);
  c->base.lines = svg_lines;
  c->base.area = svg_area;
  c->base.text = svg_text;
  c->base.clip = svg_clip;
  c->base.finish = svg_finish;
  c->file = file;
  fprintf(file,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\"\n"
          "     width=\"%d\" height=\"%d\" font-family=\"Helvetica, Arial, sans-serif\"\n"
          "     stroke-linejoin=\"round\">\n"
          "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
          width, height, width, height);
  return &c->base;
}
