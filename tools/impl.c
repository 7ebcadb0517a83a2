/* The one translation unit that holds the implementation of all headers.
 * SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE                    /* madvise, for large pages */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define ICL_BAYES_IMPLEMENTATION
#include "icl_bayes.h"
