/* Prints answers as CSV, in the separator and decimal mark of the file that they belong to.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_ANSWERS_H
#define ICL_TOOLS_ANSWERS_H

#include <stdio.h>

typedef struct answer_style {
  char separator, decimal;
  int digits;                      /* significant ones; 0: as many as make sense              */
  double y_sd;                     /* of the y in context: answers are no finer than it needs */
} answer_style;

typedef struct answer {
  const char *inputs;              /* as written                                              */
  double y, low, high;
  int interval;                    /* 1: with low and high                                    */
  const double *surprise;          /* NULL: no such column; NaN: an empty field               */
} answer;

/* A number's text with the file's decimal mark, in quotes where that separates fields too; to be
 * freed. */
char *number_in_style(const answer_style *style, const char *text);

void print_answer(const answer_style *style, const answer *a);

/* The header's line: n names of inputs and that of y. */
void print_names(const answer_style *style, char *const *names, int n, int interval, int surprise);

/* Decimals that show v to n significant digits; below 0 for large v. */
int decimals_for(double v, int n);

/* Takes zeros off the end of a number's decimals. */
void strip_zeros(char *text);

/* v with so many decimals in text[64]; very large and very small ones with an exponent. */
void write_decimal(char *text, double v, int decimals);

#endif
