/* See bundled.h.  The Makefile turns examples/models into the two headers (embed_file.c) and
 * defines ICL_BUNDLED; without it the command has no models of its own.
 * SPDX-License-Identifier: MIT */
#include "bundled.h"

#ifdef ICL_BUNDLED

#include "bundled_curves.h"
#include "bundled_table.h"

enum { TABLE_INPUTS = 10 };

const void *bundled_model(int n_inputs, size_t *size, const char **name)
{
  if (n_inputs > TABLE_INPUTS) return NULL;
  *size = n_inputs == 1 ? curves_size : table_size;
  *name = n_inputs == 1 ? "curves" : "table";
  return n_inputs == 1 ? curves.bytes : table.bytes;
}

#else

const void *bundled_model(int n_inputs, size_t *size, const char **name)
{
  (void)n_inputs, (void)size, (void)name;
  return NULL;
}

#endif
