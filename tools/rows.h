/* Rows of numbers out of a CSV file: which columns are the inputs and which is y, which rows ask.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_ROWS_H
#define ICL_TOOLS_ROWS_H

#include "common.h"
#include "csv.h"

typedef struct row_options {
  const char *x, *y;               /* columns by name or number, or NULL                      */
  const char *separator, *decimal;
  int header;                      /* the first line is one, whatever is in it                */
  int skip_na;                     /* leave rows out that lack a value                        */
} row_options;

#define ROW_OPTIONS(o) \
  OPT_TEXT("--x", "A,B,..", &(o).x, \
           "the columns of the inputs, by name or number, from 1; without\n" \
           "it all but y and row names"), \
  OPT_TEXT("--y", "C", &(o).y, \
           "the column of y, by name or number; without it the last one"), \
  OPT_TEXT("--separator", "S", &(o).separator, \
           "of the columns: , or ; or tab or space, or any other\n" \
           "character; without it the first line tells"), \
  OPT_TEXT("--decimal", "MARK", &(o).decimal, \
           ". or , in numbers; without it the file tells: a comma\n" \
           "only where it does not separate columns"), \
  OPT_FLAG("--header", &(o).header, "the first line is a header, even if it has a number"), \
  OPT_FLAG("--skip-na", &(o).skip_na, \
           "leave out rows with an empty x, NA, NaN or infinity;\n" \
           "without it they are errors")

typedef enum row_labels {
  ROWS_UNNAMED,
  ROWS_NUMBERED,                   /* by its header the first column is an index or row names */
  ROWS_NAMED                       /* its first row has text there                            */
} row_labels;

typedef struct row_reader {
  csv_reader csv;
  const row_options *options;
  csv_record *header;              /* NULL without                                            */
  csv_record **ahead;              /* [n_ahead] read to choose the columns, not all taken     */
  int n_ahead, capacity, taken;
  int whole;                       /* all rows are ahead: notes can wait until they are good  */
  long first_line;                 /* of the first row                                        */
  int n_fields;                    /* of a row, without an empty last column                  */
  int *inputs, n_inputs;           /* fields from 0                                           */
  int target;
  row_labels labels;
  csv_value *kinds;                /* [n_inputs] number or date; CSV_MISSING: not known yet   */
  int *numbers;                    /* [n_inputs] 1: a number was no date such as 20240501     */
  long n_skipped, first_skipped;   /* rows without a value; the line of the first one         */
} row_reader;

typedef struct row {
  long line;
  double *x;                       /* [n_inputs], which the caller owns                       */
  double y;
  int asks;                        /* y is empty or ?                                         */
  char *text;                      /* the inputs as written, with separators; to be freed     */
} row;

/* Opens a file and chooses the columns: by the first row, or, where whole is set, by all rows,
 * which are then in memory. */
row_reader rows_open(const command *cmd, const char *path, const row_options *o, int whole);

/* Reads the next row to row->x and the rest; text is set in rows that ask.  0 at the end, where it
 * tells of rows that were left out. */
int rows_next(row_reader *r, row *out);
void rows_close(row_reader *r);

/* The name of input i, or of y for i = n_inputs; "x2" or "y" without a header.  quoted: as written
 * in the file.  The text is to be freed. */
char *rows_name(const row_reader *r, int i, int quoted);

#endif
