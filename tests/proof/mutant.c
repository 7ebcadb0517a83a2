/* The corpora of one mutant, as short as can be: the verdicts of tests/test_fuzz.c, and the end at the first
 * one that is another.  Digests are compared here (in fuzzing they are not), on files that were damaged.
 *
 *     cc -DMUTANT_ENGINE | -DMUTANT_CSV -I. tests/proof/mutant.c -lm && ./a.out */
#ifdef MUTANT_CSV
#define _GNU_SOURCE
#define FUZZ_ENTRY fuzz_rows
#define ICL_IMPLEMENTATION
#include "../fuzz/rows.c"
#undef FUZZ_ENTRY
icl_error icl_replace_file(const char *path, const void *data, size_t size, icl_report *r)
{
  (void)path, (void)data, (void)size, (void)r;
  return ICL_ERR_IO;
}
icl_error icl_probe_file(const char *path, icl_report *r)
{
  (void)path, (void)r;
  return ICL_ERR_IO;
}
#else
#define FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION 1
#define ICL_IMPLEMENTATION
#include "icl.h"
#define FUZZ_ENTRY fuzz_load
#include "../fuzz/load.c"
#undef FUZZ_ENTRY
#define FUZZ_ENTRY fuzz_restore
#include "../fuzz/restore.c"
#undef FUZZ_ENTRY
#endif

static uint8_t all[1 << 22];

/* Every input of a corpus. */
static void replay(const char *name, int (*run)(const uint8_t *, size_t))
{
  char path[100];
  FILE *corpus, *verdicts;
  uint8_t size[4];
  unsigned long want;
  sprintf(path, "tests/fuzz/%s.corpus", name);
  MUST((corpus = fopen(path, "rb")) != NULL);
  sprintf(path, "tests/fuzz/%s.verdicts", name);
  MUST((verdicts = fopen(path, "r")) != NULL);
  while (fread(size, 1, 4, corpus) == 4) {
    size_t n = size[0] | size[1] << 8 | size[2] << 16;
    MUST(fread(all, 1, n, corpus) == n && fscanf(verdicts, "%lx", &want) == 1);
    fuzz_verdict = 0;
    run(all, n);
    if (fuzz_verdict != want) exit(3);
  }
  fclose(corpus);
  fclose(verdicts);
}

int main(void)
{
#ifdef MUTANT_CSV
  replay("rows", fuzz_rows);
#else
  replay("header", fuzz_load);
  replay("restore", fuzz_restore);
  replay("life", fuzz_load);
#endif
  return 0;
}
