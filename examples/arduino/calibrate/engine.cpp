// icl.h, compiled once for the sketch.  SPDX-License-Identifier: MIT
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#define ICL_IMPLEMENTATION
#include <icl.h>
