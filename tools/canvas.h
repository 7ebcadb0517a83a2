/* What a plot is drawn on: lines, areas and text, as SVG or as pixels.
 * SPDX-License-Identifier: MIT
 *
 * Units are those of a picture width by height, y downwards; colours 0xRRGGBB. */
#ifndef ICL_TOOLS_CANVAS_H
#define ICL_TOOLS_CANVAS_H

#include <stdio.h>

typedef struct point { double x, y; } point;

typedef struct stroke {
  unsigned colour;
  double width;
  double dash;                     /* length of a dash and of the gap behind it; 0: solid     */
  int clipped;                     /* 1: nothing outside of the clip rectangle is seen        */
} stroke;

typedef enum text_anchor { ANCHOR_START, ANCHOR_MIDDLE, ANCHOR_END } text_anchor;

typedef struct text_style {
  unsigned colour;
  double size;                     /* of the font                                             */
  text_anchor anchor;
  int upwards;                     /* 1: written from bottom to top                           */
} text_style;

typedef struct canvas canvas;
struct canvas {
  void (*lines)(canvas *c, const point *p, int n, const stroke *s);    /* p[0] to p[n - 1]    */
  /* the inside of a polygon, clipped; opacity from 0 to 1 */
  void (*area)(canvas *c, const point *p, int n, unsigned colour, double opacity);
  void (*text)(canvas *c, point at, const char *text, const text_style *s);   /* at: baseline */
  void (*clip)(canvas *c, point from, point to);   /* rectangle, upper left to lower right    */
  void (*finish)(canvas *c);       /* completes the picture and frees the canvas              */
};

/* Both write to file, which stays open. */
canvas *new_svg_canvas(FILE *file, int width, int height);
canvas *new_png_canvas(FILE *file, int width, int height);

/* 1 if this build can write PNG; rgb[height][width][3] as such a file. */
int png_available(void);
void write_png(FILE *file, const unsigned char *rgb, int width, int height);

#endif
