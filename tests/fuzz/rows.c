/* The command's options, and rows of numbers from CSV.  Input: n | n bytes of options, one a line | the text
 * of a file.  The command ends by exit, which here goes back to the target; what it had allocated then is
 * freed. */
#define _POSIX_C_SOURCE 200809L
#include "fuzz.h"
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#ifdef FUZZ_ALONE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#endif
#include "icl_train.h"

/* Blocks of the run in hand, in a ring, and what it reads and prints. */
typedef union rows_block { struct { union rows_block *next, *last; } link; double align[2]; } rows_block;

static rows_block rows_blocks = {{&rows_blocks, &rows_blocks}};
static jmp_buf rows_end;
static FILE *rows_talk, *rows_file;
static const uint8_t *rows_data;
static size_t rows_size;

static void *rows_realloc(void *p, size_t n)
{
  rows_block *b = p ? (rows_block *)p - 1 : NULL;
  if (b) { b->link.next->link.last = b->link.last; b->link.last->link.next = b->link.next; }
  b = (rows_block *)realloc(b, sizeof *b + n);
  MUST(b);
  b->link.next = rows_blocks.link.next;
  b->link.last = &rows_blocks;
  b->link.next->link.last = rows_blocks.link.next = b;
  return b + 1;
}

static void *rows_calloc(size_t n, size_t size)
{
  void *p = rows_realloc(NULL, n * size);
  return memset(p, 0, n * size);
}

static void rows_free(void *p)
{
  rows_block *b = p ? (rows_block *)p - 1 : NULL;
  if (!b) return;
  b->link.next->link.last = b->link.last;
  b->link.last->link.next = b->link.next;
  free(b);
}

__attribute__((noreturn)) static void rows_exit(int status) { longjmp(rows_end, 1 + status); }

static FILE *rows_open_file(void)
{
  rows_file = rows_size ? fmemopen((void *)(uintptr_t)rows_data, rows_size, "rb") : fopen("/dev/null", "rb");
  return rows_file;
}

/* What the command prints goes nowhere, or to where its words are counted. */
#ifdef FUZZ_TEXTS
static char *rows_text;
static size_t rows_text_size;

static FILE *rows_open_talk(void) { return open_memstream(&rows_text, &rows_text_size); }

static void rows_say_talk(void)
{
  fputc(0, rows_talk);
  fflush(rows_talk);
  fuzz_say_text(rows_text);
  rewind(rows_talk);
}
#else
static FILE *rows_open_talk(void) { return fopen("/dev/null", "w"); }
#define rows_say_talk() (void)0
#endif

static int rows_close_file(FILE *f)
{
  if (f == rows_file) rows_file = NULL;
  return fclose(f);
}

#define exit(status) rows_exit(status)
#define realloc(p, n) rows_realloc(p, n)
#define malloc(n) rows_realloc(NULL, n)
#define calloc(n, size) rows_calloc(n, size)
#define free(p) rows_free(p)
#define fopen(path, mode) rows_open_file()
#define fclose(f) rows_close_file(f)
#define printf(...) fprintf(rows_talk, __VA_ARGS__)
#define puts(s) fprintf(rows_talk, "%s\n", s)
#define putchar(c) fputc(c, rows_talk)
#define write_output rows_unused_write_output
#undef stderr
#define stderr rows_talk
#include "../../tools/common.c"
#include "../../tools/csv.c"
#include "../../tools/rows.c"
#undef exit
#undef realloc
#undef malloc
#undef calloc
#undef free
#undef fopen
#undef fclose
#undef printf
#undef puts
#undef putchar
#undef stderr
#ifdef __GLIBC__
#define stderr stderr
#endif

/* One of each kind of option. */
static void rows_options(int argc, char **argv, row_options *o, int *whole)
{
  static const command cmd = {"fuzz", "", "[FILE.csv]", "", NULL};
  int64_t steps = 1;
  uint64_t seed = 0;
  const char *config = NULL;
  float level = 0.5f;
  int count = 3, kind = 0;
  const option table[] = {
    ROW_OPTIONS(*o),
    OPT_FLAG("--stream", whole, "row by row"),
    OPT_INT("--count", "N", &count, 1, 100, "a number"),
    OPT_COUNT("--steps", "N", &steps, 1, "a large one"),
    OPT_SEED("--seed", "N", &seed, "64 bits"),
    OPT_REAL("--level", "P", &level, TINY_REAL, 1, "a real one"),
    OPT_CHOICE("--kind", "one|two|three", &kind, "one of them"),
    OPT_TEXT("--config", "FILE", &config, "options from a file"),
    OPT_END
  };
  static const char *const skip[] = {"--config"};
  const char *operands[1];
  parse_options(&cmd, table, argc, argv, operands, 1);
  print_options(rows_talk, table, skip, 1);
  MUST(count >= 1 && count <= 100 && steps >= 1 && level > 0 && level <= 1 && kind >= 0 && kind < 3);
}

static void rows_say(double v)
{
  uint64_t u;
  memcpy(&u, &v, sizeof u);
  fuzz_say(u);
}

/* All rows: their numbers are finite. */
static void rows_read(const row_options *o, int whole)
{
  static const command cmd = {"fuzz", "", "[FILE.csv]", "", NULL};
  row_reader r = rows_open(&cmd, "file", o, whole);
  row line;
  int i;
  line.x = (double *)rows_calloc((size_t)r.n_inputs, sizeof *line.x);
  while (rows_next(&r, &line)) {
    for (i = 0; i < r.n_inputs; i++) { MUST(isfinite(line.x[i])); rows_say(line.x[i]); }
    fuzz_say((uint64_t)line.line << 1 | (uint64_t)line.asks);
    if (!line.asks) rows_say(line.y);
    MUST(line.asks || isfinite(line.y));
    if (line.asks) fuzz_say(icl__digest(strlen(line.text), line.text, strlen(line.text)));
    if (line.asks) rows_free(line.text);
  }
  for (i = 0; i <= r.n_inputs; i++) {
    char *name = rows_name(&r, i, i & 1);
    fuzz_say(icl__digest(strlen(name), name, strlen(name)));
    rows_free(name);
  }
  rows_free(line.x);
  rows_close(&r);
}

/* 1 where options may be read from a file: their texts stay allocated. */
static int rows_names_config(const char *options, size_t n)
{
  size_t i;
  for (i = 0; i < n; i++)
    if ((!i || options[i - 1] == '\n') && (options[i] == '@' || !strncmp(options + i, "--config", 8))) return 1;
  return 0;
}

static void rows_run(char *options, size_t n)
{
  char *argv[17] = {(char *)"fuzz"};
  row_options o;
  int argc = 1, stream = 0;
  size_t i;
  for (i = 0; i < n && argc < 16; i++)
    if (options[i] != '\n' && (!i || !options[i - 1])) argv[argc++] = options + i;
    else if (options[i] == '\n') options[i] = 0;
  memset(&o, 0, sizeof o);
  rows_options(argc, argv, &o, &stream);
  rows_read(&o, !stream);
}

int FUZZ_ENTRY(const uint8_t *data, size_t n)
{
  size_t options;
  char *text;
  int status;
  if (!rows_talk) MUST((rows_talk = rows_open_talk()) != NULL);
  if (n < 1) return 0;
  options = data[0] > n - 1 ? n - 1 : data[0];
  text = (char *)rows_calloc(options + 1, 1);
  memcpy(text, data + 1, options);
  rows_data = data + 1 + options;
  rows_size = n - 1 - options;
  status = setjmp(rows_end);
  fuzz_say((uint64_t)status);
  if (!status) {
    int keeps = rows_names_config(text, options);
    rows_run(text, options);
    rows_free(text);
    MUST(keeps || rows_blocks.link.next == &rows_blocks);  /* nothing is left of a run that ended well */
  } else {
    MUST(status >= 1 && status <= 3);
    if (rows_file) rows_close_file(rows_file);
    rows_file = NULL;
  }
  while (rows_blocks.link.next != &rows_blocks) rows_free(rows_blocks.link.next + 1);
  rows_say_talk();
  return 0;
}
