/* Reads CSV as spreadsheets, R, pandas and people write it: RFC 4180 and its neighbours.
 * SPDX-License-Identifier: MIT
 *
 * Columns are separated by , or ; or tabs, whichever the first line has, or the first line says
 * sep=; as Excel has it.  Quotes are those of RFC 4180: "" stands for one, and a quoted field may
 * hold separators and line ends.  Lines end with LF, CR LF or CR; a byte order mark is skipped; ^Z
 * ends the text.  Blank lines, rows of nothing but separators, and lines that start with # are left
 * out. */
#ifndef ICL_TOOLS_CSV_H
#define ICL_TOOLS_CSV_H

#include <stddef.h>
#include <stdio.h>

typedef struct csv_field {
  char *text;                      /* without quotes, and without blanks around it            */
  char *raw;                       /* as written, without blanks around it                    */
} csv_field;

typedef struct csv_record {
  long line;                       /* where it starts, from 1                                 */
  int n;
  csv_field *fields;               /* [n]                                                     */
  char *memory;                    /* of their texts                                          */
} csv_record;

typedef struct csv_reader {
  FILE *file;
  const char *name;                /* for messages                                            */
  char separator;                  /* 0: not known yet; ' ' means any run of blanks           */
  char decimal;                    /* '.' or ','; 0: not known yet                            */
  long line;                       /* lines read so far                                       */
  char *text;                      /* [capacity] the record at hand, as written               */
  size_t used, capacity;
  int after_cr, ended;
  long n_commas;                   /* numbers whose comma was taken for a decimal comma       */
  long n_thousands;                /* those of them that look like "1,234"                    */
  int n_fields;                    /* of the last record                                      */
  long n_hidden, first_hidden;     /* comments that could be rows: how many, the first's line */
} csv_reader;

/* Opens a file; NULL and "-" mean stdin.  separator and decimal as above, 0 to find them. */
csv_reader csv_open(const char *path, char separator, char decimal);
void csv_close(csv_reader *r);

/* Whether a character can stand between columns: nothing that numbers, quotes or comments have. */
int csv_separates(char c);

/* The next record, which the caller frees; NULL at the end.  It asks the system for no more than it
 * must, so that a line from a pipe is seen at once. */
csv_record *csv_read(csv_reader *r);
void csv_free(csv_record *record);

typedef enum csv_value {
  CSV_NUMBER, CSV_DATE, CSV_MISSING, CSV_NONFINITE, CSV_TEXT
} csv_value;

/* Says what a field's text is.  *value of a number: the double; of a date, YYYY-MM-DD with or
 * without a time of day (2024-05-01T12:30, 2024-05-01 12:30:15.5): days since 1970-01-01. */
csv_value csv_parse(csv_reader *r, const char *text, double *value);

/* Whether a text is a name: nothing that can be meant as a number.  A header has names only, and perhaps
 * empty fields. */
int csv_is_name(csv_reader *r, const char *text);
int csv_is_header(csv_reader *r, const csv_record *c);

/* Writes days since 1970-01-01 as a date to text[48], with the time of day where there is one. */
void csv_write_date(double days, char *text);

/* Advice for a text that is not a number, in brackets; "" where there is none. */
const char *csv_hint(const csv_reader *r, const char *text);

/* Tells, after the last record, of comments that could be rows and, unless the decimal mark was given,
 * of commas that may be for thousands. */
void csv_tell(const csv_reader *r, int decimal_given);

/* text for a message: at most 40 bytes, without control characters. */
const char *csv_printable(char *text);

#endif
