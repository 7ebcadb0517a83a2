/* See rows.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "rows.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ----- options ------------------------------------------------------------------------------- */

static char separator_option(const command *cmd, const char *text)
{
  if (!text) return 0;
  if (!strcmp(text, "tab") || !strcmp(text, "\\t")) return '\t';
  if (!strcmp(text, "space")) return ' ';
  if (!strcmp(text, "comma")) return ',';
  if (!strcmp(text, "semicolon")) return ';';
  if (strlen(text) != 1 || !csv_separates(*text))
    usage_error(cmd, "--separator is a character such as , or ; or tab or space, not '%s'", text);
  return *text;
}

static char decimal_option(const command *cmd, const char *text)
{
  if (!text) return 0;
  if (strcmp(text, ".") && strcmp(text, ","))
    usage_error(cmd, "--decimal is . or , not '%s'", text);
  return *text;
}

/* ----- which line is a header, which columns are what ----------------------------------------- */

static void keep_ahead(row_reader *r, csv_record *record)
{
  if (r->n_ahead == r->capacity) {
    r->capacity = r->capacity ? 2 * r->capacity : 64;
    r->ahead = realloc(r->ahead, (size_t)r->capacity * sizeof *r->ahead);
    if (!r->ahead) fail(r->csv.name, "line %ld: not enough memory", record->line);
  }
  r->ahead[r->n_ahead++] = record;
}

/* Reads the first row, or all rows, before the columns are chosen. */
static void read_ahead(row_reader *r, int whole)
{
  csv_record *record;
  while ((whole || !r->n_ahead) && (record = csv_read(&r->csv)) != NULL) keep_ahead(r, record);
}

/* Whether field i is empty in the header and in all rows read so far, which one row without a header
 * cannot tell. */
static int column_is_empty(const row_reader *r, int i)
{
  int k;
  if (!r->header && !r->whole) return 0;
  if (r->header && *r->header->fields[i].text) return 0;
  for (k = 0; k < r->n_ahead; k++)
    if (i < r->ahead[k]->n && *r->ahead[k]->fields[i].text) return 0;
  return 1;
}

/* How many fields a row has: separators at the end of all lines make none. */
static int count_columns(const row_reader *r)
{
  int n = r->header ? r->header->n : r->ahead[0]->n;
  while (n > 2 && column_is_empty(r, n - 1)) n--;
  return n;
}

static int names_rows(const char *name)
{
  static const char *const names[] = {"", "rownames", "row.names", "row_names", "rowname", "index",
                                      "Index", "Unnamed: 0"};
  size_t i;
  for (i = 0; i < sizeof names / sizeof *names; i++) if (!strcmp(name, names[i])) return 1;
  return 0;
}

static int is_text(row_reader *r, const csv_field *f)
{
  double ignored;
  return csv_parse(&r->csv, f->text, &ignored) == CSV_TEXT && strcmp(f->text, "?");
}

/* Whether the first of three or more columns holds row names, by its header or by its first row. */
static row_labels find_labels(row_reader *r)
{
  if (r->n_fields < 3) return ROWS_UNNAMED;
  if (r->header && names_rows(r->header->fields[0].text)) return ROWS_NUMBERED;
  return r->n_ahead && is_text(r, r->ahead[0]->fields) ? ROWS_NAMED : ROWS_UNNAMED;
}

/* The names of all columns for a message; the caller frees it. */
static char *column_names(const row_reader *r)
{
  char *all = join("", ""), *longer;
  int i;
  for (i = 0; i < r->n_fields; i++) {
    longer = join(all, i ? ", " : "");
    free(all);
    all = join(longer, csv_printable(r->header->fields[i].text));
    free(longer);
  }
  return all;
}

/* The field of a column that is called so, or has this number; -1 for none. */
static int try_column(const row_reader *r, const char *name)
{
  char *end;
  long number;
  int i;
  for (i = 0; r->header && i < r->n_fields; i++) {
    const csv_field *f = &r->header->fields[i];
    if (!strcmp(f->text, name) || !strcmp(f->raw, name)) return i;
  }
  number = strtol(name, &end, 10);
  return isdigit((unsigned char)*name) && !*end && number >= 1 && number <= r->n_fields
         ? (int)number - 1 : -1;
}

static int find_column(const row_reader *r, char *name)
{
  const int i = try_column(r, name);
  if (i >= 0) return i;
  if (!r->header)
    fail(r->csv.name, "no column '%s': there is no header, and columns 1 to %d",
         csv_printable(name), r->n_fields);
  fail(r->csv.name, "no column '%s'; the columns are %s", csv_printable(name), column_names(r));
}

static void add_input(row_reader *r, int field)
{
  int i;
  for (i = 0; i < r->n_inputs; i++)
    if (r->inputs[i] == field) fail(r->csv.name, "--x has column %d twice", field + 1);
  r->inputs[r->n_inputs++] = field;
}

/* The columns of --x: one name that may have commas, or names with commas between them. */
static void choose_named_inputs(row_reader *r)
{
  char *list = join(r->options->x, ""), *rest = list, *name;
  const int one = try_column(r, r->options->x);
  if (one >= 0) add_input(r, one);
  else while ((name = next_field(&rest, ',')) != NULL && r->n_inputs < r->n_fields)
    add_input(r, find_column(r, name));
  if (one < 0 && rest) fail(r->csv.name, "--x has more columns than the file");
  free(list);
}

/* All columns but that of y, row names and, where all rows are known, those that are empty. */
static void choose_other_inputs(row_reader *r)
{
  int i;
  if (r->target) r->labels = find_labels(r);
  for (i = r->labels != ROWS_UNNAMED; i < r->n_fields; i++) {
    if (i == r->target) continue;
    if (!r->whole || !column_is_empty(r, i)) add_input(r, i);
    else fprintf(stderr, "icl: %s: column %d is empty and left out\n", r->csv.name, i + 1);
  }
}

static int is_input(const row_reader *r, int field)
{
  int i;
  for (i = 0; i < r->n_inputs; i++) if (r->inputs[i] == field) return 1;
  return 0;
}

static void choose_columns(row_reader *r)
{
  char *y = r->options->y ? join(r->options->y, "") : NULL;
  r->inputs = allocate((size_t)r->n_fields, sizeof *r->inputs);
  r->target = r->n_fields - 1;
  if (y) r->target = find_column(r, y);
  if (r->options->x) choose_named_inputs(r);
  else choose_other_inputs(r);
  while (!y && r->target > 0 && is_input(r, r->target)) r->target--;
  if (is_input(r, r->target)) fail(r->csv.name, "column %d is both x and y", r->target + 1);
  if (!r->n_inputs) fail(r->csv.name, "there is no column but y");
  free(y);
}

/* ----- opening ------------------------------------------------------------------------------- */

static void tell_of_labels(const row_reader *r)
{
  const char *name = r->header ? csv_printable(r->header->fields[0].text) : "no header";
  if (!r->labels) return;
  fprintf(stderr, "icl: %s: column 1 (%s) holds row names and is left out; --x chooses columns\n",
          r->csv.name, *name ? name : "without a name");
}

/* Without --x and --y the last column is y, even where another one is called so. */
static void tell_of_target(const row_reader *r)
{
  int i;
  if (!r->header || r->options->x || r->options->y) return;
  for (i = 0; i < r->n_inputs; i++) {
    const char *name = r->header->fields[r->inputs[i]].text;
    if (strcmp(name, "y") && strcmp(name, "Y")) continue;
    fprintf(stderr, "icl: %s: the last column is y, though column %d is called %s (--y %s chooses it)\n",
            r->csv.name, r->inputs[i] + 1, name, name);
  }
}


/* Opens the file and takes its header off. */
static row_reader open_file(const command *cmd, const char *path, const row_options *o)
{
  row_reader r;
  csv_record *first;
  memset(&r, 0, sizeof r);
  r.options = o;
  r.csv = csv_open(path, separator_option(cmd, o->separator), decimal_option(cmd, o->decimal));
  if (r.csv.separator == ',' && !r.csv.decimal) r.csv.decimal = '.';
  first = csv_read(&r.csv);
  if (!first) fail(r.csv.name, "there are no rows");
  if (o->header || csv_is_header(&r.csv, first)) r.header = first;
  else keep_ahead(&r, first);
  return r;
}

row_reader rows_open(const command *cmd, const char *path, const row_options *o, int whole)
{
  row_reader r = open_file(cmd, path, o);
  int i;
  r.whole = whole;
  read_ahead(&r, whole);
  r.first_line = r.n_ahead ? r.ahead[0]->line : 1;
  r.n_fields = count_columns(&r);
  choose_columns(&r);
  r.kinds = allocate((size_t)r.n_inputs, sizeof *r.kinds);
  for (i = 0; i < r.n_inputs; i++) r.kinds[i] = CSV_MISSING;
  r.numbers = allocate((size_t)r.n_inputs, sizeof *r.numbers);
  tell_of_target(&r);
  if (!whole) tell_of_labels(&r);
  return r;
}

void rows_close(row_reader *r)
{
  int i;
  for (i = r->taken; i < r->n_ahead; i++) csv_free(r->ahead[i]);
  csv_free(r->header);
  free(r->ahead);
  free(r->inputs);
  free(r->kinds);
  free(r->numbers);
  csv_close(&r->csv);
}

/* ----- one row ------------------------------------------------------------------------------- */

static void check_width(const row_reader *r, const csv_record *c)
{
  const char *hint = "";
  int i = r->n_fields;
  while (i < c->n && !*c->fields[i].text) i++;
  if (i == c->n) return;
  if (r->header && c->n == r->n_fields + 1)
    hint = " (are there row names? R: write.csv(.., row.names = FALSE))";
  fail(r->csv.name, "line %ld has %d field%s, %s %d%s", c->line, c->n, c->n == 1 ? "" : "s",
       r->header ? "the header has" : "the first row has", r->n_fields, hint);
}

/* What may be wrong with a text that is not a number. */
static const char *advice(row_reader *r, const csv_record *c, const char *text)
{
  const char *hint = csv_hint(&r->csv, text);
  if (*hint) return hint;
  if (!r->header && c->line == r->first_line && csv_is_name(&r->csv, c->fields[0].text))
    return " (--header says that the first line is a header)";
  if (r->header && c->line == r->first_line && csv_is_header(&r->csv, c))
    return " (a line of units? Take it out)";
  return c->n > 2 ? " (--x and --y choose columns)" : "";
}

/* Says what is wrong with a field, and ends. */
static void refuse_field(row_reader *r, const csv_record *c, int i, const char *wrong,
                         const char *remedy)
{
  const char *name = r->header ? csv_printable(r->header->fields[i].text) : "";
  fail(r->csv.name, "line %ld, field %d%s%s%s: '%s' %s%s", c->line, i + 1, *name ? " (" : "", name,
       *name ? ")" : "", csv_printable(c->fields[i].text), wrong, remedy);
}

/* The value of a field: 1; 0 where it has none and --skip-na is set. */
static int read_value(row_reader *r, const csv_record *c, int i, csv_value *kind, double *v)
{
  const char *text = c->fields[i].text;
  *kind = csv_parse(&r->csv, text, v);
  if (*kind == CSV_NUMBER || *kind == CSV_DATE) return 1;
  if (!strcmp(text, "?")) refuse_field(r, c, i, "can stand in the column of y only", "");
  if (*kind == CSV_TEXT) refuse_field(r, c, i, "is not a number", advice(r, c, text));
  if (!r->options->skip_na)
    refuse_field(r, c, i, !*text ? "is empty" : *kind == CSV_MISSING ? "stands for no value"
                                                                     : "is not a finite number",
                 i == r->target ? " (an empty y or ? asks; --skip-na leaves such rows out)"
                                : " (--skip-na leaves such rows out)");
  return 0;
}

static void tell_of_dates(const row_reader *r, int i)
{
  if (r->kinds[i] == CSV_DATE)
    fprintf(stderr, "icl: %s: the dates of column %d are read as days\n", r->csv.name,
            r->inputs[i] + 1);
}

/* Whether a number could be a date without its dashes. */
static int like_date_number(row_reader *r, double v)
{
  char text[48];
  double ignored;
  int n;
  if (!(v > 19000000 && v < 21000000)) return 0;
  n = (int)v;
  snprintf(text, sizeof text, "%d-%02d-%02d", n / 10000, n / 100 % 100, n % 100);
  return v == n && csv_parse(&r->csv, text, &ignored) == CSV_DATE;
}

static void tell_of_date_numbers(const row_reader *r, int i)
{
  if (r->kinds[i] == CSV_NUMBER && !r->numbers[i])
    fprintf(stderr, "icl: %s: column %d is read as numbers; if these are dates, write 20240501 as "
            "2024-05-01\n", r->csv.name, r->inputs[i] + 1);
}

/* Numbers and dates do not mix within a column. */
static void check_kind(row_reader *r, const csv_record *c, int i, csv_value kind)
{
  const int field = r->inputs[i];
  if (r->kinds[i] == kind) return;
  if (r->kinds[i] != CSV_MISSING)
    refuse_field(r, c, field, kind == CSV_DATE ? "is a date, the rows above have numbers"
                                               : "is not a date, as the rows above have", "");
  r->kinds[i] = kind;
  if (!r->whole) tell_of_dates(r, i);
}

static int read_inputs(row_reader *r, const csv_record *c, double *x)
{
  csv_value kind;
  int i;
  for (i = 0; i < r->n_inputs; i++) {
    if (!read_value(r, c, r->inputs[i], &kind, &x[i])) return 0;
    check_kind(r, c, i, kind);
    if (!like_date_number(r, x[i])) r->numbers[i] = 1;
  }
  return 1;
}

static int read_target(row_reader *r, const csv_record *c, row *out)
{
  const char *text = c->fields[r->target].text;
  csv_value kind;
  out->y = 0;
  out->asks = !*text || !strcmp(text, "?");
  if (out->asks) return 1;
  if (!read_value(r, c, r->target, &kind, &out->y)) return 0;
  if (kind == CSV_DATE) refuse_field(r, c, r->target, "is a date, and y is a number", "");
  return 1;
}

/* The inputs as they are written, with separators between them. */
static char *inputs_as_written(const row_reader *r, const csv_record *c)
{
  size_t room = 1;
  char *text, *end;
  int i;
  for (i = 0; i < r->n_inputs; i++) room += strlen(c->fields[r->inputs[i]].raw) + 1;
  text = end = allocate(room, 1);
  for (i = 0; i < r->n_inputs; i++) {
    const char *raw = c->fields[r->inputs[i]].raw;
    if (i) *end++ = r->csv.separator;
    memcpy(end, raw, strlen(raw));
    end += strlen(raw);
  }
  return text;
}

static csv_record *next_record(row_reader *r)
{
  if (r->taken < r->n_ahead) return r->ahead[r->taken++];
  return csv_read(&r->csv);
}

/* Whether the row names of a file without a header for them are no numbers. */
static void check_label(row_reader *r, const csv_record *c)
{
  if (r->labels == ROWS_NAMED && *c->fields[0].text && !is_text(r, c->fields))
    refuse_field(r, c, 0, "is not text, as the first row has there", " (--x chooses columns)");
}

/* What is told after the last row. */
static void tell_of_rest(const row_reader *r)
{
  int i;
  if (r->whole) tell_of_labels(r);
  for (i = 0; r->whole && i < r->n_inputs; i++) tell_of_dates(r, i);
  for (i = 0; i < r->n_inputs; i++) tell_of_date_numbers(r, i);
  if (r->n_skipped)
    fprintf(stderr, "icl: %s: left out %ld row%s without a value, line %ld%s\n", r->csv.name,
            r->n_skipped, r->n_skipped > 1 ? "s" : "", r->first_skipped,
            r->n_skipped > 1 ? " the first" : "");
  csv_tell(&r->csv, r->options->decimal != NULL);
}

int rows_next(row_reader *r, row *out)
{
  csv_record *c;
  int read = 0;
  while (!read && (c = next_record(r)) != NULL) {
    check_width(r, c);
    check_label(r, c);
    out->line = c->line;
    read = read_inputs(r, c, out->x) && read_target(r, c, out);
    if (!read && !r->n_skipped++) r->first_skipped = c->line;
    out->text = read && out->asks ? inputs_as_written(r, c) : NULL;
    csv_free(c);
  }
  if (!read) tell_of_rest(r);
  return read;
}

char *rows_name(const row_reader *r, int i, int quoted)
{
  const int field = i < r->n_inputs ? r->inputs[i] : r->target;
  char name[16] = "y";
  if (i < r->n_inputs) snprintf(name, sizeof name, r->n_inputs > 1 ? "x%d" : "x", i + 1);
  if (!r->header) return join(name, "");
  return join(quoted ? r->header->fields[field].raw : r->header->fields[field].text, "");
}
