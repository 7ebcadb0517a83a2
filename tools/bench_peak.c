/* What this machine could do at best: multiply-adds in registers, and reading memory.
 * SPDX-License-Identifier: MIT */
#ifdef BENCH_PEAK_PASS
/* Included by itself for each width.  Ten chains, more than latency times throughput of any processor
 * we know. */
ICL__KERNEL void T(chains)(float *x, long steps)
{
  const V(t) a = V(set1)(0.999f), b = V(set1)(1e-3f);
  V(t) c0 = V(load)(x), c1 = V(load)(x + ICL__W), c2 = V(load)(x + 2 * ICL__W);
  V(t) c3 = V(load)(x + 3 * ICL__W), c4 = V(load)(x + 4 * ICL__W), c5 = V(load)(x + 5 * ICL__W);
  V(t) c6 = V(load)(x + 6 * ICL__W), c7 = V(load)(x + 7 * ICL__W), c8 = V(load)(x + 8 * ICL__W);
  V(t) c9 = V(load)(x + 9 * ICL__W);
  for (; steps; steps--) {
    c0 = V(fma)(c0, a, b); c1 = V(fma)(c1, a, b); c2 = V(fma)(c2, a, b); c3 = V(fma)(c3, a, b);
    c4 = V(fma)(c4, a, b); c5 = V(fma)(c5, a, b); c6 = V(fma)(c6, a, b); c7 = V(fma)(c7, a, b);
    c8 = V(fma)(c8, a, b); c9 = V(fma)(c9, a, b);
  }
  c0 = V(add)(V(add)(V(add)(c0, c1), V(add)(c2, c3)), V(add)(V(add)(c4, c5), V(add)(c6, c7)));
  V(store)(x, V(add)(c0, V(add)(c8, c9)));
}

ICL__KERNEL float T(sum)(const float *x, size_t n)
{
  V(t) s0 = V(set1)(0), s1 = s0, s2 = s0, s3 = s0;
  size_t i;
  for (i = 0; i + 4 * ICL__W <= n; i += 4 * ICL__W) {
    s0 = V(add)(s0, V(load)(x + i));
    s1 = V(add)(s1, V(load)(x + i + ICL__W));
    s2 = V(add)(s2, V(load)(x + i + 2 * ICL__W));
    s3 = V(add)(s3, V(load)(x + i + 3 * ICL__W));
  }
  return V(sum)(V(add)(s0, s1), V(set1)(0)) + V(sum)(V(add)(s2, s3), V(set1)(0));
}
#else
#define ICL_STATIC                         /* a copy of the engine for its vectors */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include "bench_peak.h"

#define BENCH_PEAK_PASS
#if ICL__SIMD
#define ICL__W 8
#define V(name) icl__v8_##name
#define T(name) v8_##name
#include "bench_peak.c"
#undef ICL__W
#undef V
#undef T
#endif
#if ICL__AVX512
#define ICL__W 16
#define V(name) icl__v16_##name
#define T(name) v16_##name
#include "bench_peak.c"
#undef ICL__W
#undef V
#undef T
#endif

static void plain_chains(float *x, long steps)
{
  int i;
  for (; steps; steps--)
    for (i = 0; i < 80; i++) x[i] = x[i] * 0.999f + 1e-3f;
}

static float plain_sum(const float *x, size_t n)
{
  float s = 0;
  size_t i;
  for (i = 0; i < n; i++) s += x[i];
  return s;
}

/* Lanes of the kernels of that name. */
static int lanes(const char *isa)
{
  return !strcmp(isa, "avx512") ? 16 : !strcmp(isa, "c") ? 1 : 8;
}

double peak_flop(const char *isa)
{
  return (lanes(isa) == 16 ? 320.0 : 160.0) * PEAK_STEPS;
}

void peak_task(void *arg, int i)
{
  peak_work *work = (peak_work *)arg;
  float x[160];
  int k;
  for (k = 0; k < 160; k++) x[k] = (float)(k + i);
  switch (lanes(work->isa)) {
#if ICL__AVX512
    case 16: v16_chains(x, PEAK_STEPS); break;
#endif
#if ICL__SIMD
    case 8: v8_chains(x, PEAK_STEPS); break;
#endif
    default: plain_chains(x, PEAK_STEPS);
  }
  for (k = 0; k < 160; k++) work->kept[i] = x[k];
}

void read_task(void *arg, int i)
{
  read_area *area = (read_area *)arg;
  const float *x = area->x + (size_t)i * area->floats;
  switch (lanes(area->isa)) {
#if ICL__AVX512
    case 16: area->sum[i] = v16_sum(x, area->floats); break;
#endif
#if ICL__SIMD
    case 8: area->sum[i] = v8_sum(x, area->floats); break;
#endif
    default: area->sum[i] = plain_sum(x, area->floats);
  }
}
#endif
