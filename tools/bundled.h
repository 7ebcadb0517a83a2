/* The models inside the command.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_BUNDLED_H
#define ICL_TOOLS_BUNDLED_H

#include <stddef.h>

/* The checkpoint of the model for this many inputs, and its name; NULL where there is none. */
const void *bundled_model(int n_inputs, size_t *size, const char **name);

#endif
