/* A person's own data in memory: pairs, and the queries that ask.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_DATASET_H
#define ICL_TOOLS_DATASET_H

#include "rows.h"

/* Rows of d inputs, with y and where they come from. */
typedef struct points {
  int n, capacity;
  double *x;                       /* [n][d]                                                  */
  double *y;                       /* [n]                                                     */
  long *lines;                     /* [n] of the file; 0 for those that the command made      */
  char **texts;                    /* [n] inputs as written; NULL for pairs                   */
} points;

typedef struct dataset {
  int d;
  points pairs, queries;
} dataset;

dataset new_dataset(int d);
void free_dataset(dataset *data);

/* Appends a point; text becomes the points' own. */
void add_point(points *p, int d, const double *x, double y, long line, char *text);

/* Drops the first point. */
void drop_point(points *p, int d);

/* All rows that are left in r. */
dataset read_dataset(row_reader *r);

/* Least and largest of the points' input i, widened from *from and *to. */
void widen_range(const points *p, int d, int i, double *from, double *to);

/* Chooses m of n places from 0 on, spread evenly but with a little chance, so that no period of the
 * data meets one of the choice; the first and the last are among them.  m >= n chooses all. */
int *spread(int n, int m);

/* Puts order[n] into one that depends on n only and looks random. */
void shuffle(int *order, int n);

/* x of the points at order[n]: out[n][d]; and y. */
void gather(const points *p, int d, const int *order, int n, double *x, double *y);

#endif
