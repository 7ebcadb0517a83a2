/* The corpora of one mutant, as short as can be: the verdicts of tests/test_fuzz.c, and the end at the first
 * one that is another.  Without a change it also writes the messages of each input, as a hash, to
 * mutant-NAME.texts, which those of the mutants are compared with.  tests/proof/mutants.py compiles it with the
 * sources of schemata.py, and with MUTANT_ENGINE or MUTANT_CSV. */
#define FUZZ_TEXTS 1
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

static FILE *open_for(const char *folder, const char *name, const char *kind, const char *mode)
{
  char path[100];
  FILE *f;
  sprintf(path, "%s%s.%s", folder, name, kind);
  MUST((f = fopen(path, mode)) != NULL);
  return f;
}

/* Every input of a corpus, each in a block of its own size. */
static void replay(const char *name, int (*run)(const uint8_t *, size_t))
{
  FILE *corpus = open_for("tests/fuzz/", name, "corpus", "rb");
  FILE *verdicts = open_for("tests/fuzz/", name, "verdicts", "r");
  FILE *texts = open_for("mutant-", name, "texts", icl__mutant ? "r" : "w");
  uint8_t size[4];
  unsigned long want, text;
  while (fread(size, 1, 4, corpus) == 4) {
    size_t n = size[0] | size[1] << 8 | size[2] << 16;
    void *block;
    MUST(fread(all, 1, n, corpus) == n && fscanf(verdicts, "%lx", &want) == 1);
    fuzz_verdict = fuzz_texts = 0;
    run(fuzz_copy(all, n, 0, &block), n);
    free(block);
    if (!icl__mutant) fprintf(texts, "%x\n", fuzz_texts);
    else MUST(fscanf(texts, "%lx", &text) == 1);
    if (fuzz_verdict != want || (icl__mutant && fuzz_texts != text)) exit(3);
  }
  fclose(corpus);
  fclose(verdicts);
  fclose(texts);
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
