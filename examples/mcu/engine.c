/* icl.h in an object of its own, so that link.ld can tell its size from that of the rest.
 * SPDX-License-Identifier: MIT */
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#define ICL_IMPLEMENTATION
#include "icl.h"
