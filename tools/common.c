/* See common.h.
 * SPDX-License-Identifier: MIT */
#if !defined __FreeBSD__ && !defined __DragonFly__   /* which would hide the number of processors */
#define _POSIX_C_SOURCE 200809L
#endif
#define _DARWIN_C_SOURCE             /* and on macOS and NetBSD these show it                      */
#define _NETBSD_SOURCE
#include "common.h"
#include "icl_train.h"

#include <ctype.h>
#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LINE = 1 << 20, HELP_COLUMN = 27 };

/* ----- ways to end --------------------------------------------------------------------------- */

void usage_error(const command *cmd, const char *format, ...)
{
  va_list args;
  fprintf(stderr, "icl %s: ", cmd->name);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, " (icl %s --help tells more)\n", cmd->name);
  exit(EXIT_USAGE);
}

void fail(const char *path, const char *format, ...)
{
  va_list args;
  fflush(stdout);                  /* the answers before the fault are good */
  fprintf(stderr, "icl: %s: ", path);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(EXIT_FAILED);
}

/* "cannot open 'PATH': why" as "icl: PATH: cannot open: why": the report may have cut the path. */
static void fail_io(const char *path, const char *text)
{
  const char *name = strstr(text, " '"), *end = strrchr(text, '\'');
  const size_t n = name ? (size_t)(name - text) : strlen(text);
  if (!name || end == name + 1) end = "'";                 /* no room was left for the reason */
  fail(path, "%.*s%s", (int)(n && text[n - 1] == ':' ? n - 1 : n), text, end + 1);
}

void fail_report(const char *path, const icl_report *r)
{
  const char *text = r->text[0] ? r->text : icl_error_string(r->code);
  if (r->code == ICL_ERR_IO) fail_io(path, text);
  if (r->offset || (r->code >= ICL_ERR_FORMAT && r->code <= ICL_ERR_DIGEST))
    fail(path, "%s (byte %zu)", text, r->offset);
  fail(path, "%s", text);
}

void check(icl_error e, const char *what)
{
  if (e) fail(what, "%s", icl_error_string(e));
}

void flush_output(void)
{
  if (fflush(stdout) || ferror(stdout)) fail("standard output", "%s", strerror(errno));
}

/* ----- small things -------------------------------------------------------------------------- */

icl_model *load_model(const char *path)
{
  icl_model *model;
  icl_report report = {ICL_OK, 0, ""};
  if (icl_load(&model, path, &report)) fail_report(path, &report);
  return model;
}

int prompt_pairs(const command *cmd, const icl_model *m, int wanted)
{
  const icl_config *c = &m->config;
  const int limit = c->n_positions / 2 + c->n_positions % 2;
  if (c->position_embedding_type == ICL_POSITION_LEARNED && wanted > limit)
    usage_error(cmd, "--pairs %d: this model takes prompts of %d at most", wanted, limit);
  if (!wanted && limit > 16384)
    usage_error(cmd, "--pairs is required: the model says that it takes %d", limit);
  return wanted ? wanted : limit;
}

void *allocate(size_t count, size_t size)
{
  void *p = calloc(count ? count : 1, size);
  if (!p) fail("memory", "cannot have %zu times %zu bytes", count, size);
  return p;
}

void *read_file(const char *path, size_t *size)
{
  struct stat st;
  FILE *f;
  void *data;
  if (stat(path, &st)) fail(path, "%s", strerror(errno));
  if (!S_ISREG(st.st_mode)) return NULL;
  if (!(f = fopen(path, "rb"))) fail(path, "%s", strerror(errno));
  *size = (size_t)st.st_size;
  data = allocate(*size, 1);
  errno = 0;
  if (fread(data, 1, *size, f) != *size)
    fail(path, "%s", errno ? strerror(errno) : "shorter than its size");
  fclose(f);
  return data;
}

char *join(const char *head, const char *tail)
{
  const size_t n = strlen(head), m = strlen(tail);
  char *text = allocate(n + m + 1, 1);
  memcpy(text, head, n);
  memcpy(text + n, tail, m);
  return text;
}

/* ----- files that are written ----------------------------------------------------------------- */

/* A stream into memory; Windows has a temporary file instead, which finish_stream reads back. */
#ifdef _WIN32
#define lstat stat
static FILE *new_stream(output *o) { (void)o; return tmpfile(); }

static int finish_stream(output *o)
{
  const long size = ftell(o->file);
  if (size < 0 || fflush(o->file)) return 0;
  rewind(o->file);
  o->size = (size_t)size;
  o->data = allocate(o->size + 1, 1);
  return fread(o->data, 1, o->size, o->file) == o->size;
}
#else
static FILE *new_stream(output *o) { return open_memstream(&o->data, &o->size); }
static int finish_stream(output *o) { return !ferror(o->file); }
#endif

void open_output(output *o, const char *path)
{
  o->path = path;
  o->data = NULL;
  o->size = 0;
  o->file = new_stream(o);
  if (!o->file) fail(path, "not enough memory");
}

/* 1 if a stat that returned `bad` found something.  Where nobody can say, the command ends: what is
 * taken for nothing is overwritten. */
static int is_there(int bad, const char *path)
{
  if (bad && errno != ENOENT && errno != ENOTDIR) fail(path, "%s", strerror(errno));
  return !bad;
}

int file_exists(const char *path) { struct stat st; return is_there(lstat(path, &st), path); }

int same_file(const char *a, const char *b)
{
  struct stat x, y;
  return is_there(stat(a, &x), a) && is_there(stat(b, &y), b)
         && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

void write_output(const char *path, const void *data, size_t size)
{
  icl_report r = {ICL_OK, 0, ""};
  if (icl_replace_file(path, data, size, &r)) fail_report(path, &r);
}

void close_output(output *o)
{
  const int bad = !finish_stream(o);
  if (fclose(o->file) || bad) fail(o->path, "not enough memory");
  write_output(o->path, o->data, o->size);
  free(o->data);
}

void protect_output(const command *cmd, const char *path, const char *input, int force)
{
  icl_report r = {ICL_OK, 0, ""};
  if (!*path) usage_error(cmd, "the output has no name");
  if (input && same_file(path, input))
    usage_error(cmd, "'%s' is what is read: name another output", path);
  if (!force && file_exists(path)) fail(path, "is there already: --force overwrites it");
  if (icl_probe_file(path, &r)) fail_report(path, &r);
}

/* ----- the machine ---------------------------------------------------------------------------- */

double seconds(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void sort_doubles(double *v, size_t n) { qsort(v, n, sizeof *v, compare_doubles); }

double median(double *v, size_t n)
{
  sort_doubles(v, n);
  return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

/* ----- numbers ------------------------------------------------------------------------------- */

/* "nan", "inf" and "infinity" in any case, with or without a sign. */
static int names_nonfinite(const char *s)
{
  static const char *const names[] = {"nan", "inf", "infinity"};
  size_t i, k;
  if (*s == '+' || *s == '-') s++;
  for (i = 0; i < sizeof names / sizeof *names; i++) {
    for (k = 0; s[k] && tolower((unsigned char)s[k]) == names[i][k]; k++) {}
    if (!s[k] && !names[i][k]) return 1;
  }
  return 0;
}

number_error parse_number(const char *text, double *value)
{
  char *end;
  double v;
  if (names_nonfinite(text)) return NUMBER_NONFINITE;
  /* strtod alone would also take blanks in front and hexadecimal numbers */
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return NUMBER_BAD;
  v = strtod(text, &end);
  if (*end || end == text) return NUMBER_BAD;
  if (!(fabs(v) <= (double)FLT_MAX)) return NUMBER_NONFINITE;
  *value = v;
  return NUMBER_OK;
}

/* Digits only; 0 where there is anything else or the value needs more than 64 bits. */
static int parse_digits(const char *text, uint64_t *value)
{
  uint64_t v = 0;
  if (!*text) return 0;
  for (; *text; text++) {
    const unsigned digit = (unsigned)*text - '0';
    if (digit > 9 || v > (UINT64_MAX - digit) / 10) return 0;
    v = 10 * v + digit;
  }
  *value = v;
  return 1;
}

/* A count: digits, or 1.5e6, or 100k, or 2M.  0 where it is none, or no whole number below 2^53. */
static int parse_count(const char *text, uint64_t *value)
{
  const size_t n = strlen(text);
  const double unit = n && text[n - 1] == 'k' ? 1e3 : n && text[n - 1] == 'M' ? 1e6 : 1;
  char digits[32];
  double v;
  if (parse_digits(text, value)) return 1;
  if (n >= sizeof digits || !isdigit((unsigned char)*text)) return 0;
  memcpy(digits, text, n + 1);
  if (unit > 1) digits[n - 1] = 0;
  if (parse_number(digits, &v)) return 0;
  v = floor(v * unit + 0.5);                             /* 1.3k is 1300, 1.3 * 1000 is not */
  if (v > 9007199254740992.0 || fabs(v - strtod(digits, NULL) * unit) > 1e-6) return 0;
  *value = (uint64_t)v;
  return 1;
}

/* Letters to insert, drop, change or swap with the next to get from a to b; at most 99. */
static int distance(const char *a, const char *b)
{
  enum { LONGEST = 31 };
  int rows[3][LONGEST + 1] = {{0}}, *before = rows[0], *last = rows[1], *now = rows[2], *t;
  const size_t n = strlen(a), m = strlen(b);
  size_t i, j;
  if (n > LONGEST || m > LONGEST) return 99;
  for (i = 0; i <= n; i++) last[i] = (int)i;
  for (j = 1; j <= m; j++, t = before, before = last, last = now, now = t) {
    now[0] = (int)j;
    for (i = 1; i <= n; i++) {
      int best = last[i - 1] + (a[i - 1] != b[j - 1]);
      if (last[i] + 1 < best) best = last[i] + 1;
      if (now[i - 1] + 1 < best) best = now[i - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]
          && before[i - 2] + 1 < best)
        best = before[i - 2] + 1;
      now[i] = best;
    }
  }
  return last[n];
}

const char *nearest_name(const char *typed, const char *const *names, int n)
{
  const char *best = NULL;
  int i, least = (int)strlen(typed) / 3 + 1;
  if (least > 3) least = 3;
  for (i = 0; i < n; i++) {
    const int d = distance(typed, names[i]);
    if (d <= least && d < (int)strlen(names[i])) {
      least = d - 1;
      best = names[i];
    }
  }
  return best;
}

/* ----- options ------------------------------------------------------------------------------- */

const char *choice_name(const char *choices, int i, int *width)
{
  while (i-- > 0) choices += strcspn(choices, "|") + 1;
  *width = (int)strcspn(choices, "|");
  return choices;
}

/* Which of "a|b|c" the text is, or -1. */
static int choice_index(const char *choices, const char *text)
{
  const size_t n = strlen(text);
  int i;
  for (i = 0;; i++) {
    const size_t width = strcspn(choices, "|");
    if (width == n && !strncmp(choices, text, n)) return i;
    if (!choices[width]) return -1;
    choices += width + 1;
  }
}

static void set_whole(const command *cmd, const option *o, const char *text)
{
  uint64_t v;
  if (!(o->kind == OPTION_SEED ? parse_digits : parse_count)(text, &v))
    usage_error(cmd, "%s wants a whole number, not '%s'", o->name, text);
  if (o->kind == OPTION_SEED) {
    *o->value.seed = v;
    return;
  }
  if ((double)v < o->min || (double)v > o->max)
    usage_error(cmd, "%s is %.15g to %.15g, not %s", o->name, o->min, o->max, text);
  if (o->kind == OPTION_INT) *o->value.integer = (int)v;
  else *o->value.count = (int64_t)v;
}

static void set_real(const command *cmd, const option *o, const char *text)
{
  double v;
  if (parse_number(text, &v)) usage_error(cmd, "%s wants a number, not '%s'", o->name, text);
  if (v < o->min || v > o->max)
    usage_error(cmd, "%s is %.9g to %.9g, not %s", o->name, o->min, o->max, text);
  *o->value.real = (float)v;
}

static void set_option(const command *cmd, const option *o, const char *text)
{
  switch (o->kind) {
  case OPTION_FLAG: *o->value.integer = 1; break;
  case OPTION_TEXT: *o->value.text = text; break;
  case OPTION_REAL: set_real(cmd, o, text); break;
  case OPTION_CHOICE:
    *o->value.integer = choice_index(o->arg, text);
    if (*o->value.integer < 0) usage_error(cmd, "%s is one of %s, not '%s'", o->name, o->arg, text);
    break;
  default: set_whole(cmd, o, text); break;
  }
}

/* The default in brackets, where there is one worth telling: a value that could be given. */
static void print_default(const option *o)
{
  const char *choice;
  int width;
  switch (o->kind) {
  case OPTION_INT: if (*o->value.integer > 0) printf(" [%d]", *o->value.integer); break;
  case OPTION_COUNT: if (*o->value.count > 0) printf(" [%" PRId64 "]", *o->value.count); break;
  case OPTION_SEED: printf(" [%" PRIu64 "]", *o->value.seed); break;
  case OPTION_REAL:
    if ((double)*o->value.real >= o->min) printf(" [%g]", (double)*o->value.real);
    break;
  case OPTION_TEXT: if (*o->value.text) printf(" [%s]", *o->value.text); break;
  case OPTION_CHOICE:
    if (*o->value.integer < 0) break;
    choice = choice_name(o->arg, *o->value.integer, &width);
    printf(" [%.*s]", width, choice);
    break;
  default: break;
  }
}

/* Name and value on the left, the text from HELP_COLUMN on. */
static void print_option(const option *o)
{
  const char *line = o->help;
  int column = printf("  %s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
  if (column >= HELP_COLUMN) {
    putchar('\n');
    column = 0;
  }
  for (;;) {
    const size_t width = strcspn(line, "\n");
    printf("%*s%.*s", HELP_COLUMN - column, "", (int)width, line);
    if (!line[width]) break;
    putchar('\n');
    line += width + 1;
    column = 0;
  }
  print_default(o);
  putchar('\n');
}

static void print_help(const command *cmd, const option *table)
{
  printf("usage: icl %s %s\n\n%s\n\n", cmd->name, cmd->operands, cmd->about);
  for (; table->kind; table++) print_option(table);
  printf("  -h, --help%*sthis text\n", HELP_COLUMN - 12, "");
  flush_output();
}

/* The row for the name that arg starts with: "--name" or "--name=value". */
static const option *find_option(const option *table, const char *arg) {
  for (; table->kind; table++) {
    const size_t n = strlen(table->name);
    if (!strncmp(arg, table->name, n) && (!arg[n] || (arg[n] == '=' && arg[1] == '-')))
      return table;
  }
  return NULL;
}

/* Names the option that a mistyped one, with or without a value, is meant to be. */
NORETURN static void fail_unknown(const command *cmd, const option *table, const char *typed)
{
  const char *names[120], *meant;
  char name[40];
  int n;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(typed, "="), typed);
  for (n = 0; table[n].kind && n < 120; n++) names[n] = table[n].name;
  meant = nearest_name(name, names, n);
  if (meant) usage_error(cmd, "unknown option '%s': perhaps %s", typed, meant);
  usage_error(cmd, "unknown option '%s'", typed);
}

/* Handles the option argv[i]; returns the index of the last argument that it took. */
static int take_option(const command *cmd, const option *table, int argc, char **argv, int i)
{
  const option *o = find_option(table, argv[i]);
  const char *value = strchr(argv[i], '=');
  if (!o) fail_unknown(cmd, table, argv[i]);
  if (o->kind == OPTION_FLAG) {
    if (value) usage_error(cmd, "%s takes no value", o->name);
  } else if (value) {
    value++;
  } else {
    if (++i == argc) usage_error(cmd, "%s wants a value: %s", o->name, o->arg);
    value = argv[i];
  }
  set_option(cmd, o, value);
  return i;
}

/* ----- options in a file --------------------------------------------------------------------- */

/* The row that a line's first word names, with its dashes or without. */
static const option *find_named(const option *table, const char *name)
{
  for (; table->kind; table++) {
    const char *bare = table->name + strspn(table->name, "-");
    if (!strcmp(name, table->name) || !strcmp(name, bare)) return table;
  }
  return NULL;
}

/* Takes the options of a file.  Texts stay allocated: the values point into them. */
static void take_config(const command *cmd, const option *table, const char *path)
{
  line_reader r = open_lines(path);
  while (next_line(&r)) {
    char *name = join(r.text + strspn(r.text, " \t"), ""), *value, *end;
    const option *o;
    value = name + strcspn(name, " \t=");
    if (*value) *value++ = '\0';
    value += strspn(value, " \t=");
    for (end = value + strlen(value); end > value && strchr(" \t", end[-1]); end--) {}
    *end = '\0';
    o = find_named(table, name);
    if (!o || !strcmp(o->name, "--config"))
      fail(path, "line %ld: no option '%s' of icl %s", r.number, printable(name), cmd->name);
    if (!*value != (o->kind == OPTION_FLAG))
      fail(path, "line %ld: %s wants %s value", r.number, o->name, *value ? "no" : "a");
    set_option(cmd, o, value);
  }
  close_lines(&r);
}

/* The file that argument i names, "@FILE" or "--config FILE", whose last argument is *last; or
 * NULL. */
static const char *config_path(const option *table, int argc, char **argv, int i, int *last)
{
  static const char name[] = "--config";
  *last = i;
  if (!find_named(table, name)) return NULL;
  if (argv[i][0] == '@' && argv[i][1]) return argv[i] + 1;
  if (!strncmp(argv[i], name, sizeof name - 1) && argv[i][sizeof name - 1] == '=')
    return argv[i] + sizeof name;
  if (strcmp(argv[i], name) || i + 1 == argc) return NULL;
  *last = i + 1;
  return argv[i + 1];
}

/* Values of other options are passed over: one that begins with @ names no options. */
static void take_configs(const command *cmd, const option *table, int argc, char **argv)
{
  int i;
  for (i = 1; i < argc && strcmp(argv[i], "--"); i++) {
    const char *arg = argv[i], *path = config_path(table, argc, argv, i, &i);
    const option *o = path ? NULL : find_option(table, arg);
    if (path) take_config(cmd, table, path);
    else if (o && o->kind != OPTION_FLAG && !strchr(arg, '=')) i++;
  }
}

/* 1 if the option has a value that differs from "not given". */
static int has_value(const option *o)
{
  switch (o->kind) {
  case OPTION_FLAG: return *o->value.integer != 0;
  case OPTION_INT: return *o->value.integer >= o->min;
  case OPTION_COUNT: return (double)*o->value.count >= o->min;
  case OPTION_REAL: return (double)*o->value.real >= o->min;
  case OPTION_TEXT: return *o->value.text != NULL;
  case OPTION_CHOICE: return *o->value.integer >= 0;
  default: return 1;
  }
}

/* The fewest digits that read back as the same float. */
static void print_float(FILE *out, float v)
{
  char text[32];
  int digits = 5;
  do snprintf(text, sizeof text, "%.*g", ++digits, (double)v);
  while (digits < 9 && (strtof(text, NULL) < v || strtof(text, NULL) > v));
  fprintf(out, " %s", text);
}

static void print_value(FILE *out, const option *o)
{
  const char *text;
  int width;
  switch (o->kind) {
  case OPTION_INT: fprintf(out, " %d", *o->value.integer); break;
  case OPTION_COUNT: fprintf(out, " %" PRId64, *o->value.count); break;
  case OPTION_SEED: fprintf(out, " %" PRIu64, *o->value.seed); break;
  case OPTION_REAL: print_float(out, *o->value.real); break;
  case OPTION_TEXT:
    putc(' ', out);
    for (text = *o->value.text; *text; text++) putc(*text == '\n' ? ' ' : *text, out);
    break;
  case OPTION_CHOICE:
    text = choice_name(o->arg, *o->value.integer, &width);
    fprintf(out, " %.*s", width, text);
    break;
  default: break;
  }
}

void print_options(FILE *out, const option *table, const char *const *skip, int n_skip)
{
  int i;
  for (; table->kind; table++) {
    for (i = 0; i < n_skip && strcmp(skip[i], table->name); i++) {}
    if (i < n_skip || !has_value(table)) continue;
    fputs(table->name + strspn(table->name, "-"), out);
    print_value(out, table);
    putc('\n', out);
  }
}

/* ----- the line ------------------------------------------------------------------------------ */

/* Wherever --help stands, it wins over what else may be wrong with the line. */
static int wants_help(int argc, char **argv)
{
  int i;
  for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return 1;
  return 0;
}

int parse_options(const command *cmd, const option *table, int argc, char **argv,
                  const char **operands, int max)
{
  int i, n = 0, only_operands = 0;
  if (wants_help(argc, argv)) {
    print_help(cmd, table);
    exit(EXIT_SUCCESS);
  }
  take_configs(cmd, table, argc, argv);
  for (i = 1; i < argc; i++) {
    if (!only_operands && config_path(table, argc, argv, i, &i)) continue;
    if (!only_operands && !strcmp(argv[i], "--")) {
      only_operands = 1;
    } else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
      i = take_option(cmd, table, argc, argv, i);
    } else {
      if (n == max) usage_error(cmd, "one argument too many: '%s'", argv[i]);
      operands[n++] = argv[i];
    }
  }
  return n;
}

/* ----- lines and fields ---------------------------------------------------------------------- */

line_reader open_lines(const char *path)
{
  line_reader r = {NULL, path, NULL, 0, 0};
  if (!path || !strcmp(path, "-")) {
    r.file = stdin;
    r.name = "standard input";
  } else if (!(r.file = fopen(path, "r"))) {
    fail(path, "%s", strerror(errno));
  }
  return r;
}

void close_lines(line_reader *r)
{
  if (r->file != stdin) fclose(r->file);
  free(r->text);
}

static void grow_line(line_reader *r)
{
  char *text;
  if (r->capacity == MAX_LINE) fail(r->name, "line %ld is longer than a MiB", r->number);
  r->capacity = r->capacity ? 2 * r->capacity : 256;
  text = realloc(r->text, r->capacity);
  if (!text) fail(r->name, "line %ld: not enough memory", r->number);
  r->text = text;
}

/* The next line, whatever is in it, without CR and LF. */
static int read_line(line_reader *r)
{
  size_t n = 0;
  int c = getc(r->file);
  if (c != EOF) r->number++;
  for (; c != EOF && c != '\n'; c = getc(r->file)) {
    if (n + 2 > r->capacity) grow_line(r);
    if (!c) fail(r->name, "line %ld has a NUL byte", r->number);
    r->text[n++] = (char)c;
  }
  if (ferror(r->file)) fail(r->name, "%s", strerror(errno));
  if (!r->capacity) grow_line(r);
  if (n && r->text[n - 1] == '\r') n--;
  r->text[n] = '\0';
  return c != EOF || n > 0;
}

int next_line(line_reader *r)
{
  while (read_line(r)) {
    const char *s = r->text;
    if (r->number == 1 && !strncmp(s, "\xEF\xBB\xBF", 3))   /* the byte order mark of UTF-8 */
      memmove(r->text, s + 3, strlen(s + 3) + 1);
    s += strspn(s, " \t");
    if (*s && *s != '#') return 1;
  }
  return 0;
}

const char *printable(char *field)
{
  size_t i;
  for (i = 0; field[i] && i < 40; i++)
    if (field[i] < ' ' || field[i] > '~') field[i] = '?';
  field[i] = '\0';
  return field;
}

char *next_field(char **rest, char separator)
{
  char *field = *rest, *end;
  if (!field) return NULL;
  end = strchr(field, separator);
  *rest = end ? end + 1 : NULL;
  if (!end) end = field + strlen(field);
  while (end > field && (end[-1] == ' ' || end[-1] == '\t')) end--;
  *end = '\0';
  return field + strspn(field, " \t");
}
