/* What the fuzz targets share.  A target is one C file with an entry FUZZ_ENTRY(data, n), which libFuzzer
 * and AFL++ call as LLVMFuzzerTestOneInput; tests/test_fuzz.c includes all of them under other names and
 * runs the committed corpora without clang.  The switch FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION leaves
 * out the comparisons of digests, so that damage gets past them. */
#ifndef ICL_FUZZ_H
#define ICL_FUZZ_H

#ifndef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION 1
#endif
#ifndef FUZZ_ENTRY
#define FUZZ_ENTRY LLVMFuzzerTestOneInput
#define FUZZ_ALONE 1
#endif

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A property that must hold for every input; a failure is a crash to the fuzzer. */
#define MUST(cond) do { \
  if (!(cond)) { fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #cond); abort(); } } while (0)

/* What a target found out about its input: codes, places, digests.  tests/fuzz/NAME.verdicts has it for every
 * input of a corpus, 8 hex digits each, so that a change of any of them is seen.  No text of a message and no
 * result of float arithmetic goes in. */
static uint32_t fuzz_verdict;

static inline void fuzz_say(uint64_t v)
{
  fuzz_verdict = (fuzz_verdict ^ (uint32_t)(v ^ v >> 32)) * 0x01000193u;
  fuzz_verdict ^= fuzz_verdict >> 15;
}

/* Messages, for tests/proof/mutant.c alone: they may change without a verdict's changing. */
#ifdef FUZZ_TEXTS
static uint32_t fuzz_texts;

static inline void fuzz_say_text(const char *s)
{
  for (; *s; s++) fuzz_texts = (fuzz_texts ^ (unsigned char)*s) * 0x01000193u;
}
#else
#define fuzz_say_text(s) (void)0
#endif

/* The input, read from its front; zeros behind its end. */
typedef struct fuzz_input { const uint8_t *p; size_t n; } fuzz_input;

static inline unsigned fuzz_byte(fuzz_input *in)
{
  if (!in->n) return 0;
  in->n--;
  return *in->p++;
}

static inline void *fuzz_alloc(size_t n)
{
  void *p = malloc(n ? n : 1);
  MUST(p);
  return p;
}

/* A copy in a block of exactly that size, at `shift` bytes behind an aligned address: what reads past
 * its end reads past the block. */
static inline uint8_t *fuzz_copy(const void *data, size_t n, size_t shift, void **block)
{
  uint8_t *p = (uint8_t *)fuzz_alloc(n + shift);
  *block = p;
  if (n) memcpy(p + shift, data, n);
  return p + shift;
}

static inline int fuzz_finite(const float *v, size_t n)
{
  for (; n--; v++) {
    uint32_t u;
    memcpy(&u, v, 4);
    if ((u & 0x7f800000u) == 0x7f800000u) return 0;
  }
  return 1;
}

/* A number: mostly one that models are made for, sometimes one at the edge of what floats are. */
static inline float fuzz_number(fuzz_input *in)
{
  static const uint32_t edges[] = {
    0, 0x80000000u, 1, 0x007fffffu, 0x00800000u, 0x7f7fffffu, 0xff7fffffu, 0x7f800000u, 0xff800000u,
    0x7fc00000u, 0x7f800001u, 0x60ad78ecu, 0x7e967699u, 0x2b8cbcccu, 0x477fe000u, 0x47800000u
  };
  unsigned k = fuzz_byte(in);
  float v;
  if (k < 224) return ((float)k - 112) / 40;
  memcpy(&v, &edges[(k - 224) % 16], 4);
  return v;
}

#endif
