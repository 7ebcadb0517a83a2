/* See csv.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "csv.h"
#include "common.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RECORD = 1 << 20, NUMBER_ROOM = 64 };

/* ----- characters ---------------------------------------------------------------------------- */

csv_reader csv_open(const char *path, char separator, char decimal)
{
  csv_reader r = {NULL, path, 0, 0, 0, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  r.separator = separator;
  r.decimal = decimal;
  if (!path || !strcmp(path, "-")) {
    r.file = stdin;
    r.name = "standard input";
  } else if (!(r.file = fopen(path, "rb"))) {
    fail(path, "%s", strerror(errno));
  }
  return r;
}

void csv_close(csv_reader *r)
{
  if (r->file != stdin) fclose(r->file);
  free(r->text);
}

static void refuse_nul(const csv_reader *r)
{
  const char *advice = "save the file as UTF-8 (\"CSV UTF-8\" in Excel, -Encoding utf8 in "
                       "PowerShell)";
  if (r->line) fail(r->name, "line %ld has a NUL byte", r->line + 1);
  if (r->used > 1 && (!memcmp(r->text, "\xFF\xFE", 2) || !memcmp(r->text, "\xFE\xFF", 2)))
    fail(r->name, "the text is UTF-16: %s", advice);
  fail(r->name, "line 1 has a NUL byte; if the text is UTF-16, %s", advice);
}

/* The next character.  Every end of a line comes as LF, after which nothing is read ahead. */
static int next_char(csv_reader *r)
{
  int c = r->ended ? EOF : getc(r->file);
  if (c == '\n' && r->after_cr) c = getc(r->file);
  r->after_cr = c == '\r';
  if (c == 0) refuse_nul(r);
  if (c == 0x1A) c = EOF;          /* ^Z, the end of a text file of DOS */
  if (c == EOF) r->ended = 1;
  if (c == EOF && ferror(r->file)) fail(r->name, "%s", strerror(errno));
  return c == '\r' ? '\n' : c;
}

static void keep_char(csv_reader *r, int c, int quoted)
{
  if (r->used + 2 > r->capacity) {
    char *text;
    if (r->capacity == MAX_RECORD)
      fail(r->name, "line %ld is longer than a MiB%s", r->line + 1,
           quoted ? " (a quote that is never closed?)" : "");
    r->capacity = r->capacity ? 2 * r->capacity : 256;
    text = realloc(r->text, r->capacity);
    if (!text) fail(r->name, "line %ld: not enough memory", r->line + 1);
    r->text = text;
  }
  r->text[r->used++] = (char)c;
  r->text[r->used] = '\0';
}

/* ----- records ------------------------------------------------------------------------------- */

typedef enum place { LINE_START, FIELD_START, IN_FIELD, IN_QUOTES, AFTER_QUOTE, IN_COMMENT } place;

int csv_separates(char c)
{
  return !isalnum((unsigned char)c) && !strchr("\".+-#", c);
}

static int is_blank(int c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f'; }

static int is_separator(const csv_reader *r, int c)
{
  if (!r->separator) return c == ',' || c == ';' || c == '\t';
  return c == r->separator || (r->separator == ' ' && c == '\t');
}

/* Where the reader is after character c. */
static place step(const csv_reader *r, place at, int c)
{
  if (at == IN_COMMENT) return IN_COMMENT;
  if (at == IN_QUOTES) return c == '"' ? AFTER_QUOTE : IN_QUOTES;
  if (at == AFTER_QUOTE && c == '"') return IN_QUOTES;
  if (at == LINE_START && c == '#') return IN_COMMENT;
  if (is_separator(r, c)) return FIELD_START;
  if (at <= FIELD_START && c == '"') return IN_QUOTES;
  return at <= FIELD_START && is_blank(c) ? at : IN_FIELD;
}

/* Reads up to the end of a line that is outside of quotes.  0 where the text ends. */
static int read_raw(csv_reader *r, long *start)
{
  place at = LINE_START;
  int c, lines = 0;
  r->used = 0;
  *start = r->line + 1;
  while ((c = next_char(r)) != EOF) {
    lines += c == '\n';
    if (c == '\n' && at != IN_QUOTES) break;
    keep_char(r, c, at == IN_QUOTES);
    at = step(r, at, c);
    if (*start == 1 && r->used == 3 && !memcmp(r->text, "\xEF\xBB\xBF", 3)) {
      r->used = 0;
      at = LINE_START;
    }
  }
  if (c == EOF && at == IN_QUOTES) fail(r->name, "line %ld: a quote is never closed", *start);
  r->line += lines;
  return c != EOF || r->used > 0;
}

/* Whether a comma stands beside a tab: "1,\t2" is separated by commas, "1,5\t2" by tabs. */
static int comma_beside_tab(const char *text)
{
  const char *s = text, *left;
  for (; (s = strchr(s, '\t')) != NULL; s++) {
    for (left = s; left > text && is_blank(left[-1]); left--) {}
    if (s[strspn(s, " \t")] == ',' || (left > text && left[-1] == ',')) return 1;
  }
  return 0;
}

/* A comma between columns cannot be a decimal comma as well. */
static void settle_decimal(csv_reader *r)
{
  if (r->separator == ',' && !r->decimal) r->decimal = '.';
}

/* Finds the separator of the columns in the first line. */
static void find_separator(csv_reader *r, long line)
{
  int commas = 0, semicolons = 0, tabs = 0;
  place at = LINE_START;
  const char *s;
  for (s = r->text; *s; at = step(r, at, *s++)) {
    if (at == IN_QUOTES) continue;
    commas += *s == ',';
    semicolons += *s == ';';
    tabs += *s == '\t';
  }
  if (semicolons) r->separator = ';';
  else if (tabs && !(commas && comma_beside_tab(r->text))) r->separator = '\t';
  else if (commas) r->separator = ',';
  else
    fail(r->name, "line %ld has one column, and columns are separated by , or ; or tabs (by blanks: "
         "--separator space, of icl predict and check)", line);
  settle_decimal(r);
}

/* 0 for lines that say nothing: blank ones, comments, and nothing but separators. */
static int says_something(const csv_reader *r)
{
  const char *s = r->text;
  if (!r->used) return 0;
  while (is_blank(*s)) s++;
  if (*s == '#') return 0;
  while (is_blank(*s) || (*s && is_separator(r, *s))) s++;
  return *s != '\0';
}

/* ----- fields -------------------------------------------------------------------------------- */

/* Takes blanks, among them no-break spaces, off both ends of s[*n]; returns where the rest is. */
static char *trim(char *s, size_t *n)
{
  for (;;) {
    if (*n && is_blank(s[0])) s++, --*n;
    else if (*n > 1 && !memcmp(s, "\xC2\xA0", 2)) s += 2, *n -= 2;
    else if (*n && is_blank(s[*n - 1])) --*n;
    else if (*n > 1 && !memcmp(s + *n - 2, "\xC2\xA0", 2)) *n -= 2;
    else return s;
  }
}

/* Copies what a quoted field says; raw starts with the quote. */
static void unquote(const csv_reader *r, char *text, const char *raw, long line)
{
  const char *s = raw + 1;
  for (;; s++) {
    if (!*s) fail(r->name, "line %ld: a quote is never closed", line);
    if (*s == '"' && *++s != '"') break;
    *text++ = *s;
  }
  *text = '\0';
  if (*s) fail(r->name, "line %ld: text after a closing quote", line);
}

/* The end of the field that starts at s. */
static char *field_end(const csv_reader *r, char *s)
{
  place at = FIELD_START;
  while (*s && !(at != IN_QUOTES && is_separator(r, *s))) at = step(r, at, *s++);
  return s;
}

static int count_fields(const csv_reader *r)
{
  char *s = r->text;
  int n = 0;
  for (;;) {
    if (r->separator == ' ') while (is_blank(*s)) s++;
    if (r->separator == ' ' && !*s) return n;
    n++;
    s = field_end(r, s);
    if (!*s++) return n;
  }
}

/* Cuts the record at hand into fields.  memory holds every text twice: raw, and unquoted. */
static csv_record *split(csv_reader *r, long line)
{
  csv_record *record = allocate(1, sizeof *record);
  char *s = r->text, *free_room;
  int i;
  record->line = line;
  record->n = r->n_fields = count_fields(r);
  record->fields = allocate((size_t)record->n, sizeof *record->fields);
  free_room = record->memory = allocate(2 * (r->used + (size_t)record->n + 1), 1);
  for (i = 0; i < record->n; i++) {
    csv_field *f = &record->fields[i];
    char *end, *from;
    size_t n;
    if (r->separator == ' ') while (is_blank(*s)) s++;
    end = field_end(r, s);
    n = (size_t)(end - s);
    from = trim(s, &n);
    f->raw = memcpy(free_room, from, n);
    f->text = free_room += n + 1;
    if (n && *from == '"') unquote(r, f->text, f->raw, line);
    else memcpy(f->text, from, n);
    free_room += n + 1;
    s = end + 1;
  }
  return record;
}

/* Counts a comment that could be a row, such as "#N/A,2" or "#1,2": no blank after the #, and as many
 * fields as the record before. */
static void count_hidden(csv_reader *r, long line)
{
  const char *s = r->text;
  int separators = 0;
  if (!r->used) return;
  while (is_blank(*s)) s++;
  if (*s != '#' || is_blank(s[1]) || r->n_fields < 2 || r->separator == ' ') return;
  while (*s) separators += *s++ == r->separator;
  if (separators + 1 != r->n_fields) return;
  if (!r->n_hidden++) r->first_hidden = line;
}

/* "sep=;", the first line of files that Excel is to read, tells the separator and is no record. */
static int tells_separator(csv_reader *r)
{
  const char *s = r->text;
  if (strlen(s) != 5 || strncmp(s, "sep=", 4) || !csv_separates(s[4])) return 0;
  if (r->separator) return 1;
  r->separator = s[4];
  settle_decimal(r);
  return 1;
}

csv_record *csv_read(csv_reader *r)
{
  long line;
  while (read_raw(r, &line)) {
    if (!says_something(r)) {
      count_hidden(r, line);
      continue;
    }
    if (line == 1 && tells_separator(r)) continue;
    if (!r->separator) find_separator(r, line);
    return split(r, line);
  }
  return NULL;
}

void csv_free(csv_record *record)
{
  if (!record) return;
  free(record->fields);
  free(record->memory);
  free(record);
}

/* ----- numbers and dates --------------------------------------------------------------------- */

static int same_word(const char *s, const char *word)
{
  for (; *s && *word; s++, word++)
    if (tolower((unsigned char)*s) != *word) return 0;
  return *s == *word;
}

static int is_one_of(const char *s, const char *const *words)
{
  for (; *words; words++) if (same_word(s, *words)) return 1;
  return 0;
}

/* Copies a number's text to number[NUMBER_ROOM], with - for U+2212; 0 if it is too long. */
static int plain_signs(const char *text, char *number)
{
  size_t n = 0;
  while (*text && n + 1 < NUMBER_ROOM) {
    const int minus = !strncmp(text, "\xE2\x88\x92", 3);
    number[n++] = minus ? '-' : *text;
    text += minus ? 3 : 1;
  }
  number[n] = '\0';
  return !*text;
}

/* "1,234", "-12,345": one to three digits, a comma, three digits. */
static int like_thousands(const char *s)
{
  size_t n;
  if (*s == '+' || *s == '-') s++;
  n = strspn(s, "0123456789");
  return n >= 1 && n <= 3 && *s != '0' && s[n] == ',' && strspn(s + n + 1, "0123456789") == 3
         && !s[n + 4];
}

/* The decimal mark of a number's text: 0 without one, -1 where it cannot be one in this file. */
static int decimal_mark(const csv_reader *r, const char *number)
{
  const int comma = strchr(number, ',') != NULL, point = strchr(number, '.') != NULL;
  if (comma && (point || r->decimal == '.')) return -1;
  if (point && r->decimal == ',') return -1;
  return comma ? ',' : point ? '.' : 0;
}

/* Remembers which decimal mark the file uses. */
static void note_mark(csv_reader *r, int mark, const char *text)
{
  if (!mark) return;
  r->decimal = (char)mark;
  if (mark == '.') return;
  r->n_commas++;
  r->n_thousands += like_thousands(text);
}

static csv_value parse_decimal(csv_reader *r, const char *text, double *value)
{
  char number[NUMBER_ROOM], *end;
  double v;
  int mark;
  /* strtod alone would also take blanks in front, hexadecimal numbers and names */
  if (!plain_signs(text, number) || number[strspn(number, "0123456789+-.,eE")]) return CSV_TEXT;
  mark = decimal_mark(r, number);
  if (mark < 0) return CSV_TEXT;
  if (mark == ',') *strchr(number, ',') = '.';
  v = strtod(number, &end);
  if (*end || end == number) return CSV_TEXT;
  if (!isfinite(v)) return CSV_NONFINITE;
  note_mark(r, mark, text);
  *value = v;
  return CSV_NUMBER;
}

/* Days from 1970-01-01 to a date of the Gregorian calendar, by eras of 400 years from March on. */
static long days_to(int year, int month, int day)
{
  const int y = month <= 2 ? year - 1 : year, m = month > 2 ? month - 3 : month + 9;
  const int era = y / 400, of_era = y - 400 * era;
  return 146097L * era + 365L * of_era + of_era / 4 - of_era / 100 + (153 * m + 2) / 5 + day
         - 719469;
}

/* Reads n digits at *s and the character after them, if that is one of `after`; -1 otherwise. */
static int take_digits(const char **s, int n, const char *after)
{
  int v = 0;
  for (; n > 0; n--) {
    if (!isdigit((unsigned char)**s)) return -1;
    v = 10 * v + (*(*s)++ - '0');
  }
  if (!**s) return strchr(after, '$') ? v : -1;      /* $: the text may end here */
  if (!strchr(after, **s) || **s == '$') return -1;
  ++*s;
  return v;
}

/* The day's part of a time "hh:mm", "hh:mm:ss" or "hh:mm:ss.f", with or without a Z; -1 if bad. */
static double parse_time(const char *s)
{
  const int hour = take_digits(&s, 2, ":"), minute = hour < 0 ? -1 : take_digits(&s, 2, ":Z$");
  double part = 0;
  int second = 0;
  if (minute < 0 || hour > 23 || minute > 59) return -1;
  if (s[-1] == ':') second = take_digits(&s, 2, ".Z$");
  if (second < 0 || second > 60) return -1;
  if (s[-1] == '.') {
    double unit = 0.1;
    for (; isdigit((unsigned char)*s); unit /= 10) part += unit * (*s++ - '0');
    if (*s == 'Z') s++;
  }
  return *s ? -1 : (3600 * hour + 60 * minute + second + part) / 86400;
}

static long days_in(int year, int month)
{
  return days_to(month < 12 ? year : year + 1, month % 12 + 1, 1) - days_to(year, month, 1);
}

static csv_value parse_date(const char *s, double *days)
{
  const int year = take_digits(&s, 4, "-"), month = year < 0 ? -1 : take_digits(&s, 2, "-");
  const int day = year < 1 || month < 1 || month > 12 ? -1 : take_digits(&s, 2, "T $");
  double time = 0;
  if (day < 1 || day > days_in(year, month)) return CSV_TEXT;
  if (s[-1] == 'T' || s[-1] == ' ') time = parse_time(s);
  if (time < 0) return CSV_TEXT;
  *days = (double)days_to(year, month, day) + time;
  return CSV_DATE;
}

csv_value csv_parse(csv_reader *r, const char *text, double *value)
{
  static const char *const missing[] = {"na", "n/a", "#n/a", "nan", "+nan", "-nan", "null", "none",
                                        NULL};
  static const char *const infinite[] = {"inf", "+inf", "-inf", "infinity", "+infinity",
                                         "-infinity", NULL};
  csv_value v;
  if (!*text || is_one_of(text, missing)) return CSV_MISSING;
  if (is_one_of(text, infinite)) return CSV_NONFINITE;
  v = parse_decimal(r, text, value);
  return v == CSV_TEXT ? parse_date(text, value) : v;
}

void csv_write_date(double days, char *text)
{
  const double whole = floor(days + 0.5 / 86400);
  const int second = (int)floor(86400 * (days - whole) + 0.5), shifted = (int)whole + 719468;
  const int era = shifted / 146097, e = shifted % 146097;
  const int year = (e - e / 1460 + e / 36524 - e / 146096) / 365;
  const int day = e - (365 * year + year / 4 - year / 100), m = (5 * day + 2) / 153;
  const int month = m < 10 ? m + 3 : m - 9;
  const int n = snprintf(text, 24, "%04d-%02d-%02d", year + 400 * era + (month <= 2), month,
                         day - (153 * m + 2) / 5 + 1);
  if (!second) return;
  snprintf(text + n, 24, "T%02d:%02d:%02d", second / 3600, second / 60 % 60, second % 60);
}

/* ----- messages ------------------------------------------------------------------------------ */

/* Digits with two marks between them, such as 1/2/2024, 01.02.24 and 12:30:00. */
static int like_date(const char *s)
{
  int marks = 0;
  for (; *s; s++) {
    if (strchr("/.:-", *s)) marks++;
    else if (!isdigit((unsigned char)*s) && !strchr(" TZAPMapm+", *s)) return 0;
  }
  return marks >= 2;
}

static const char *comma_hint(const csv_reader *r, const char *text)
{
  const char *comma = strchr(text, ',');
  if (strchr(text, '.') || strchr(comma + 1, ',') || (r->decimal == '.' && like_thousands(text)))
    return " (write it without separators of thousands)";
  if (r->separator == ',') return " (a decimal comma? --decimal , says so)";
  return " (a decimal comma, and a decimal point above? --decimal says which)";
}

const char *csv_hint(const csv_reader *r, const char *text)
{
  static const char *const truths[] = {"true", "false", "yes", "no", NULL};
  const size_t n = strlen(text);
  if (is_one_of(text, truths)) return " (write 1 and 0)";
  if (n > 1 && text[n - 1] == '%') return " (write it without the %)";
  if (strspn(text, "+-0123456789.,eE") == n && strchr(text, ',')) return comma_hint(r, text);
  if (strspn(text, "+-0123456789.") == n && strchr(text, '.') && r->decimal == ',')
    return " (a decimal point, and a decimal comma above? --decimal says which)";
  if (strspn(text, "0123456789:") == n && strchr(text, ':') == strrchr(text, ':') && strchr(text, ':'))
    return " (write a time of day in hours, or with its date: 2024-05-01T12:30:00)";
  if (like_date(text)) return " (write dates as 2024-05-01 or 2024-05-01T12:30:00)";
  return "";
}

int csv_is_name(csv_reader *r, const char *s)
{
  double ignored;
  return *s && !isdigit((unsigned char)*s) && !strchr("?+-.", *s)
         && csv_parse(r, s, &ignored) == CSV_TEXT;
}

int csv_is_header(csv_reader *r, const csv_record *c)
{
  int i, names = 0;
  for (i = 0; i < c->n; i++) {
    if (!*c->fields[i].text) continue;
    if (!csv_is_name(r, c->fields[i].text)) return 0;
    names++;
  }
  return names > 0;
}

void csv_tell(const csv_reader *r, int decimal_given)
{
  if (r->n_hidden)
    fprintf(stderr, "icl: %s: comments that could be rows: %ld, the first in line %ld; a # that is none "
            "needs quotes\n", r->name, r->n_hidden, r->first_hidden);
  if (r->n_thousands && r->n_thousands == r->n_commas && !decimal_given)
    fprintf(stderr, "icl: %s: numbers such as 1,234 were read as 1.234; if the comma is for "
            "thousands, take it out\n", r->name);
}

const char *csv_printable(char *text)
{
  size_t i;
  for (i = 0; text[i] && i < 40; i++)
    if ((unsigned char)text[i] < ' ' || text[i] == 0x7F
        || ((unsigned char)text[i] == 0xC2 && (unsigned char)text[i + 1] < 0xA0)) text[i] = '?';
  while (i > 0 && text[i] && ((unsigned char)text[i] & 0xC0) == 0x80) i--;    /* whole letters */
  text[i] = '\0';
  return text;
}
