/* What icl bench measures itself against.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_BENCH_PEAK_H
#define ICL_TOOLS_BENCH_PEAK_H

#include <stddef.h>

#define PEAK_STEPS 5000000L
#define PEAK_FLOP (160.0 * PEAK_STEPS)       /* of one task: 80 multiply-adds a step            */

/* Task i of an icl_parallel: multiply-adds that need no memory.  arg: a float for each task. */
void peak_task(void *arg, int i);

/* Task i reads its part of x, floats long, and leaves its sum in sum[i]. */
typedef struct read_area { const float *x; size_t floats; float *sum; } read_area;
void read_task(void *arg, int i);
#endif
