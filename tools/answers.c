/* See answers.h.
 * SPDX-License-Identifier: MIT */
#include "answers.h"
#include "common.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NO_INTERVAL_DIGITS = 6, INTERVAL_DIGITS = 3 };

static int exponent(double v) { return v == 0 || !isfinite(v) ? 0 : (int)floor(log10(fabs(v))); }

int decimals_for(double v, int n) { return n - 1 - exponent(v); }

void write_decimal(char *text, double v, int decimals)
{
  const double size = fabs(v);
  int n = decimals + exponent(v) + 1;
  if (n < 1) n = 1;
  if (n > 17) n = 17;
  if (size >= 1e15 || (size > 0 && size < 1e-4)) snprintf(text, 64, "%.*g", n, v);
  else snprintf(text, 64, "%.*f", decimals < 0 ? 0 : decimals > 20 ? 20 : decimals, v);
  if (*text == '-' && strspn(text, "-0.") == strlen(text)) memmove(text, text + 1, strlen(text));
}

void strip_zeros(char *text)
{
  size_t n = strlen(text);
  if (!strchr(text, '.') || strpbrk(text, "eE")) return;
  while (text[n - 1] == '0') text[--n] = '\0';
  if (text[n - 1] == '.') text[n - 1] = '\0';
}

/* A decimal comma between commas that separate needs quotes. */
char *number_in_style(const answer_style *style, const char *text)
{
  const char mark = style->decimal == ',' ? ',' : '.';
  const char *quote = mark == style->separator ? "\"" : "";
  const size_t size = strlen(text) + 3;
  char *whole = allocate(size, 1), *point;
  snprintf(whole, size, "%s%s%s", quote, text, quote);
  point = strpbrk(whole, ".,");
  if (point) *point = mark;
  return whole;
}

static void print_number(const answer_style *style, double v, int decimals)
{
  char text[64], *whole;
  write_decimal(text, v, style->digits ? decimals_for(v, style->digits) : decimals);
  whole = number_in_style(style, text);
  fputs(whole, stdout);
  free(whole);
}

/* Decimals of an answer: three digits of the interval's half, or six digits of y and at least three
 * of what the y differ by. */
static int answer_decimals(const answer_style *style, const answer *a)
{
  const int of_y = decimals_for(a->y, NO_INTERVAL_DIGITS);
  const int of_sd = decimals_for(style->y_sd, INTERVAL_DIGITS);
  const double half = 0.5 * (a->high - a->low);
  if (a->interval && half > 0) return decimals_for(half, INTERVAL_DIGITS);
  return style->y_sd > 0 && of_sd > of_y ? of_sd : of_y;
}

void print_answer(const answer_style *style, const answer *a)
{
  const int decimals = answer_decimals(style, a);
  printf("%s%c", a->inputs, style->separator);
  print_number(style, a->y, decimals);
  if (a->interval) {
    putchar(style->separator);
    print_number(style, a->low, decimals);
    putchar(style->separator);
    print_number(style, a->high, decimals);
  }
  if (a->surprise) putchar(style->separator);
  if (a->surprise && !isnan(*a->surprise)) print_number(style, *a->surprise, 3);
  putchar('\n');
}

void print_names(const answer_style *style, char *const *names, int n, int interval, int surprise)
{
  int i;
  for (i = 0; i <= n; i++) {
    if (i) putchar(style->separator);
    fputs(names[i], stdout);
  }
  if (interval) printf("%clo%chi", style->separator, style->separator);
  if (surprise) printf("%csurprise", style->separator);
  putchar('\n');
}
