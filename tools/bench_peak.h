/* What icl bench measures itself against.
 * SPDX-License-Identifier: MIT */
#ifndef ICL_TOOLS_BENCH_PEAK_H
#define ICL_TOOLS_BENCH_PEAK_H

#include <stddef.h>

#define PEAK_STEPS 5000000L

/* Floating point operations of one peak_task in vectors of an instruction set, by icl_isa_name. */
double peak_flop(const char *isa);

/* Task i of an icl_parallel: multiply-adds that need no memory.  kept: a float for each task. */
typedef struct peak_work { const char *isa; volatile float *kept; } peak_work;
void peak_task(void *arg, int i);

/* Task i reads its part of x, floats long, and leaves its sum in sum[i]. */
typedef struct read_area { const char *isa; const float *x; size_t floats; float *sum; } read_area;
void read_task(void *arg, int i);
#endif
