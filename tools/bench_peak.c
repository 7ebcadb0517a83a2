/* What this machine could do at best: multiply-adds in registers, and reading memory.
 * SPDX-License-Identifier: MIT */
#define ICL_API static                     /* a copy of the engine for its eight-float type */
#if defined __GNUC__
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#define ICL_IMPLEMENTATION
#include "icl.h"
#include "bench_peak.h"

#if ICL__SIMD
/* Ten chains, more than latency times throughput of any processor we know. */
ICL__KERNEL void chains(float *x, long steps)
{
  const icl__f8 a = icl__f8_set1(0.999f), b = icl__f8_set1(1e-3f);
  icl__f8 c0 = icl__f8_load(x), c1 = icl__f8_load(x + 8), c2 = icl__f8_load(x + 16);
  icl__f8 c3 = icl__f8_load(x + 24), c4 = icl__f8_load(x + 32), c5 = icl__f8_load(x + 40);
  icl__f8 c6 = icl__f8_load(x + 48), c7 = icl__f8_load(x + 56), c8 = icl__f8_load(x + 64);
  icl__f8 c9 = icl__f8_load(x + 72);
  for (; steps; steps--) {
    c0 = icl__f8_fma(c0, a, b); c1 = icl__f8_fma(c1, a, b); c2 = icl__f8_fma(c2, a, b);
    c3 = icl__f8_fma(c3, a, b); c4 = icl__f8_fma(c4, a, b); c5 = icl__f8_fma(c5, a, b);
    c6 = icl__f8_fma(c6, a, b); c7 = icl__f8_fma(c7, a, b); c8 = icl__f8_fma(c8, a, b);
    c9 = icl__f8_fma(c9, a, b);
  }
  icl__f8_store(x, c0); icl__f8_store(x + 8, c1); icl__f8_store(x + 16, c2);
  icl__f8_store(x + 24, c3); icl__f8_store(x + 32, c4); icl__f8_store(x + 40, c5);
  icl__f8_store(x + 48, c6); icl__f8_store(x + 56, c7); icl__f8_store(x + 64, c8);
  icl__f8_store(x + 72, c9);
}

ICL__KERNEL float sum(const float *x, size_t n)
{
  icl__f8 s0 = icl__f8_set1(0), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0;
  size_t i;
  for (i = 0; i + 64 <= n; i += 64) {
    s0 = icl__f8_add(s0, icl__f8_load(x + i));      s1 = icl__f8_add(s1, icl__f8_load(x + i + 8));
    s2 = icl__f8_add(s2, icl__f8_load(x + i + 16)); s3 = icl__f8_add(s3, icl__f8_load(x + i + 24));
    s4 = icl__f8_add(s4, icl__f8_load(x + i + 32)); s5 = icl__f8_add(s5, icl__f8_load(x + i + 40));
    s6 = icl__f8_add(s6, icl__f8_load(x + i + 48)); s7 = icl__f8_add(s7, icl__f8_load(x + i + 56));
  }
  s0 = icl__f8_add(icl__f8_add(s0, s1), icl__f8_add(s2, s3));
  return icl__f8_sum(icl__f8_add(s0, icl__f8_add(icl__f8_add(s4, s5), icl__f8_add(s6, s7))));
}
#else
static void chains(float *x, long steps)
{
  int i;
  for (; steps; steps--)
    for (i = 0; i < 80; i++) x[i] = x[i] * 0.999f + 1e-3f;
}

static float sum(const float *x, size_t n)
{
  float s = 0;
  size_t i;
  for (i = 0; i < n; i++) s += x[i];
  return s;
}
#endif

void peak_task(void *arg, int i)
{
  volatile float *kept = (volatile float *)arg;
  float x[80];
  int k;
  for (k = 0; k < 80; k++) x[k] = (float)(k + i);
  chains(x, PEAK_STEPS);
  for (k = 0; k < 80; k++) kept[i] = x[k];
}

void read_task(void *arg, int i)
{
  read_area *area = (read_area *)arg;
  area->sum[i] = sum(area->x + (size_t)i * area->floats, area->floats);
}
