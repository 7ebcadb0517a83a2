/* The command's CSV reader by tables: values, dates and times at their edges, separators, quotes, lines and what
 * is said about texts that are no numbers. */
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <stdio.h>
static int grows_left = -1;                  /* times that a text still grows; -1: always              */
static int blocks, files;                    /* that are there, of those that the reader asked for     */

static void *grow(void *p, size_t n)
{
  if (!grows_left) return NULL;
  grows_left -= grows_left > 0;
  blocks += !p;
  return realloc(p, n);
}

static void release(void *p)
{
  blocks -= p != NULL;
  free(p);
}

static int shut(FILE *f)
{
  files--;
  return fclose(f);
}

static FILE *named(const char *path, const char *mode), *talk;     /* what is opened, and what is told */
#define realloc grow
#define free release
#define fclose shut
#define fopen named
#define allocate counted_allocate
#undef stderr
#define stderr talk
#include "../tools/csv.c"
#include "../tools/rows.c"
#undef realloc
#undef free
#undef fclose
#undef fopen
#undef allocate
#include "test.h"
#include "common_stub.h"

void *counted_allocate(size_t count, size_t size)
{
  blocks++;
  return allocate(count, size);
}

/* ----- what rows.c needs of common.c ------------------------------------------------------------ */

void usage_error(const command *cmd, const char *format, ...)
{
  va_list args;
  int n = snprintf(fault, sizeof fault, "%s: ", cmd->name);
  va_start(args, format);
  vsnprintf(fault + n, sizeof fault - (size_t)n, format, args);
  va_end(args);
  longjmp(after_fault, 1);
}

char *join(const char *head, const char *tail)
{
  char *text = (char *)counted_allocate(strlen(head) + strlen(tail) + 1, 1);
  return strcat(strcpy(text, head), tail);
}

/* Names between separators, without blanks around them. */
char *next_field(char **rest, char separator)
{
  char *field = *rest, *end = field;
  if (!field) return NULL;
  while (*end && *end != separator) end++;
  *rest = *end ? end + 1 : NULL;
  *end = 0;
  while (end > field && end[-1] == ' ') *--end = 0;
  return field + strspn(field, " ");
}

#define COUNT(a) ((int)(sizeof (a) / sizeof *(a)))

/* ----- records --------------------------------------------------------------------------------- */

static FILE *file_of(const char *text, size_t n)
{
  FILE *f;
#ifdef _WIN32
  f = tmpfile();
  if (!f || fwrite(text, 1, n, f) != n) exit(3);
  rewind(f);
#else
  f = n ? fmemopen((void *)(size_t)text, n, "rb") : tmpfile();
  if (!f) exit(3);
#endif
  files++;
  return f;
}

static const char *content;                  /* of the file that is called "text"                     */

static FILE *named(const char *path, const char *mode)
{
  FILE *f = strcmp(path, "text") ? fopen(path, mode) : file_of(content, strlen(content));
  files += strcmp(path, "text") && f;
  return f;
}

/* Fields in <>, records with their line in front; the message where one is refused; then the separator. */
static const char *shown(const char *text, size_t n, char separator, char decimal)
{
  static char out[1000];
  static csv_reader r;
  static size_t at;
  csv_record *c;
  int i;
  at = 0;
  out[0] = 0;
  blocks = files = 0;
  r = csv_open("-", separator, decimal);
  r.file = file_of(text, n);
  if (!setjmp(after_fault)) {
    while ((c = csv_read(&r)) != NULL) {
      at += (size_t)snprintf(out + at, sizeof out - at, "%ld", c->line);
      for (i = 0; i < c->n; i++) {
        CHECK(c->fields[i].raw + strlen(c->fields[i].text) < c->fields[i].text);
        at += (size_t)snprintf(out + at, sizeof out - at, "<%s>", c->fields[i].text);
      }
      csv_free(c);
    }
    snprintf(out + at, sizeof out - at, "%c", r.separator ? r.separator : '0');
    csv_close(&r);
    CHECK_EQ(blocks, 0);
    CHECK_EQ(files, 0);
  } else {
    snprintf(out + at, sizeof out - at, "!%.90s", fault);
    csv_close(&r);
  }
  return out;
}

TEST(records)
{
  static const struct { const char *text, *shows; char separator; } cases[] = {
    {"1,2\n3,4\n", "1<1><2>2<3><4>,", 0}, {"1,2", "1<1><2>,", 0}, {"", "0", 0}, {"\n\n", "0", 0}, {"1;2,5\n", "1<1><2,5>;", 0},
    {"1,5\t2,5\n", "1<1,5><2,5>\t", 0}, {"1,\t2\n", "1<1><2>,", 0}, {"1\t,2\n", "1<1><2>,", 0}, {"1 \t ,2\n", "1<1><2>,", 0},
    {",\t2\n", "1<><2>,", 0}, {"1\t2\n", "1<1><2>\t", 0}, {"1 2\n",
     "!line 1 has one column, and columns are separated by , or ; or tabs (by blanks: --separator", 0},
    {"\n1\n", "!line 2 has one column, and columns are separated by , or ; or tabs (by blanks: --separator", 0},
    {"1 2\t 3\n", "1<1><2><3> ", ' '}, {"  1 2  \n", "1<1><2> ", ' '}, {"1,2\n", "1<1,2>;", ';'}, {"1|2\n", "1<1><2>|", '|'},
    {"1,2\r\n3,4\r\n", "1<1><2>2<3><4>,", 0}, {"1,2\r3,4\r", "1<1><2>2<3><4>,", 0}, {"1,2\r\n\r\n3,4", "1<1><2>3<3><4>,", 0},
    {"1,2\n\r3,4", "1<1><2>3<3><4>,", 0}, {"1,2\r\r3,4", "1<1><2>3<3><4>,", 0},
    {"# a,\"b\n1,2\n3,4", "2<1><2>3<3><4>,", 0}, {"1,2\n # a,\"b\n3,\"4\"", "1<1><2>3<3><4>,", 0},
    {"# a\n1,2\n  # b\n#\n3,4", "2<1><2>5<3><4>,", 0}, {"1,2\n,\n ,\t\n;\n3,4", "1<1><2>4<;>5<3><4>,", 0},
    {"1,2 # no\n", "1<1><2 # no>,", 0}, {"1,2\x1A" "3,4\n", "1<1><2>,", 0}, {"1,2\n\x1A\n3,4", "1<1><2>,", 0},
    {"\xEF\xBB\xBF" "1,2\n", "1<1><2>,", 0}, {"\xEF\xBB\xBF\"a,b\",2\n", "1<a,b><2>,", 0},
    {"\xEF\xBB\xBF# c\n1,2\n", "2<1><2>,", 0}, {"\xEF\xBB" "1,2\n", "1<\xEF\xBB" "1><2>,", 0},
    {"1,2\n\xEF\xBB\xBF" "3,4\n", "1<1><2>2<\xEF\xBB\xBF" "3><4>,", 0}, {"1,\xEF\xBB\xBF" "2\n", "1<1><\xEF\xBB\xBF" "2>,", 0},
    {"\"a\",\"b\"\n", "1<a><b>,", 0}, {"\"a\"\"b\",c\n", "1<a\"b><c>,", 0}, {"\"\",c\n", "1<><c>,", 0}, {"\"\"\"\",c\n", "1<\"><c>,", 0},
    {"\"a\nb\",c\n1,2\n", "1<a\nb><c>3<1><2>,", 0}, {"\"a\r\nb\",c\n", "1<a\nb><c>,", 0}, {" \"a\" ,c\n", "1<a><c>,", 0},
    {"a\"b\",c\n", "1<a\"b\"><c>,", 0}, {"\"a,b\";c\n", "1<a,b><c>;", 0}, {"\"a;b\",c\n", "1<a;b><c>,", 0},
    {"\"#\",c\n", "1<#><c>,", 0}, {"\"a\" b,c\n", "!line 1: text after a closing quote", 0},
    {"1,2\n\"a,c\n", "1<1><2>!line 2: a quote is never closed", 0}, {"1,2\n3,\"a", "1<1><2>!line 2: a quote is never closed", 0},
    {" 1 ,\t2\v,\f3\n", "1<1 ,><2\v,\f3>\t", '\t'}, {" 1 ,  2\v,\f3\n", "1<1><2><3>,", 0}, {"\xC2\xA0" "1\xC2\xA0,2 \xC2\xA0\n", "1<1><2>,", 0},
    {"\xC2,\xA0\n", "1<\xC2><\xA0>,", 0}, {"\xC2\xA0,2\n", "1<><2>,", 0}, {"1,2,\n", "1<1><2><>,", 0}, {",,\n1,2", "2<1><2>,", 0},
    {"1\t2\n", "1<1><2> ", ' '}, {"\"a b\" 2\n", "1<a b><2> ", ' '}, {"\t1,2\n", "1<><1,2>\t", 0}, {"1,#,\"a\nb\"\n", "1<1><#><a\nb>,", 0},
    {"\xC2\xA0" "1\n", "1<\xC2><1>\xA0", '\xA0'}, {"1\xC2\xC2\xA0\n", "1<1><><\xA0>\xC2", '\xC2'}, {"\xA0,1\n", "1<\xA0><1>,", 0},
    {"1,\"\"\n\"\",\"\"\n", "1<1><>2<><>,", 0}, {"1, \"a,b\"\n", "1<1><a,b>,", 0},
    {"sep=;\n1,5;2\n", "2<1,5><2>;", 0}, {"sep=\t\n1;2\t3\n", "2<1;2><3>\t", 0}, {"\xEF\xBB\xBFsep=,\r\n1,2\r\n", "2<1><2>,", 0},
    {"sep=,\n1|2\n", "2<1><2>|", '|'}, {"sep=;", ";", 0}, {"\nsep=;\n1;2\n", "2<sep=><>3<1><2>;", 0},
    {"sep=;;\n", "1<sep=><><>;", 0}, {"sepa;\n", "1<sepa><>;", 0}, {"sep;=\n", "1<sep><=>;", 0}, {"sep=|\n1|2\n", "2<1><2>|", '|'},
    {"sep=|\n1|2\n", "2<1><2>|", 0}, {"sep=:\n1,5:2\n", "2<1,5><2>:", 0}, {"sep=a\n1,2\n", "!line 1 has one column, and columns are separated by , or ; or tabs (by blanks: --separator", 0},
    {"sep=.;1\n", "1<sep=.><1>;", 0}, {"sep=+\n1;2\n", "1<sep=+>2<1><2>;", ';'},
    {"\"a\" \"b,c\n", "!line 1: text after a closing quote", 0}, {"1\t\"a\nb\"\n", "1<1><a\nb>\t", 0}, {"1;\"a\nb\"\n", "1<1><a\nb>;", 0}, {"\"\"\n", "1<>;", ';'}
  };
  int i;
  for (i = 0; i < COUNT(cases); i++)
    CHECK_STR(shown(cases[i].text, strlen(cases[i].text), cases[i].separator, 0), cases[i].shows);
}

TEST(bytes_that_are_zero)
{
  CHECK_STR(shown("1,2\n3,\0\n", 8, 0, 0), "1<1><2>!line 2 has a NUL byte");
  CHECK_STR(shown("\0", 1, 0, 0), "!line 1 has a NUL byte; if the text is UTF-16, save the file as UTF-8 (\"CSV UTF-8\" in Excel");
  CHECK_STR(shown("1\0,\0", 4, 0, 0), "!line 1 has a NUL byte; if the text is UTF-16, save the file as UTF-8 (\"CSV UTF-8\" in Excel");
  CHECK_STR(shown("\xFF\xFE" "1\0", 4, 0, 0), "!the text is UTF-16: save the file as UTF-8 (\"CSV UTF-8\" in Excel, -Encoding utf8 in PowerS");
  CHECK_STR(shown("\xFE\xFF\0" "1", 4, 0, 0), "!the text is UTF-16: save the file as UTF-8 (\"CSV UTF-8\" in Excel, -Encoding utf8 in PowerS");
  CHECK_STR(shown("\xFFx\0", 3, 0, 0), "!line 1 has a NUL byte; if the text is UTF-16, save the file as UTF-8 (\"CSV UTF-8\" in Excel");
  CHECK_STR(shown("\xFEx\0", 3, 0, 0), "!line 1 has a NUL byte; if the text is UTF-16, save the file as UTF-8 (\"CSV UTF-8\" in Excel");
  CHECK_STR(shown("\xFF\0", 2, 0, 0), "!line 1 has a NUL byte; if the text is UTF-16, save the file as UTF-8 (\"CSV UTF-8\" in Excel");
}

/* Lines of a MiB are read, one byte more is not; a quote that is never closed runs to that end. */
TEST(long_lines)
{
  enum { MOST = (1 << 20) - 1 };
  char *text = (char *)allocate(MOST + 3, 1);
  memset(text, ' ', MOST + 2);
  memcpy(text, "1,2", 3);
  memcpy(text + MOST, "\n\n", 2);
  grows_left = 13;                             /* 256 bytes, which double 12 times */
  CHECK_STR(shown(text, MOST + 2, 0, 0), "1<1><2>,");
  grows_left = -1;
  text[MOST] = ' ';
  CHECK_STR(shown(text, MOST + 2, 0, 0), "!line 1 is longer than a MiB");
  text[0] = '"';
  CHECK_STR(shown(text, MOST + 2, 0, 0), "!line 1 is longer than a MiB (a quote that is never closed?)");
  memcpy(text, "1,2\n3,\"", 7);
  CHECK_STR(shown(text, MOST + 2, 0, 0), "1<1><2>!line 2: a quote is never closed");
  free(text);
}

/* ----- values ----------------------------------------------------------------------------------- */

/* "N 1.5" for a number and so on, then the mark that the file has, and how many commas, like thousands or not. */
static const char *value_of(const char *text, char decimal)
{
  static char out[100];
  csv_reader r = csv_open("-", ',', decimal);
  double v = 0;
  csv_value kind = csv_parse(&r, text, &v);
  int n = snprintf(out, sizeof out, "%c %.9g", kind == CSV_NUMBER ? 'N' : kind == CSV_DATE ? 'D' : kind == CSV_MISSING ? 'M'
                   : kind == CSV_NONFINITE ? 'I' : 'T', kind == CSV_NUMBER || kind == CSV_DATE ? v : 0);
  if (r.decimal != decimal || r.n_commas) snprintf(out + n, 40, " %c %d %d", r.decimal, (int)r.n_commas, (int)r.n_thousands);
  return out;
}

TEST(numbers)
{
  static const struct { const char *text, *is; char decimal; } cases[] = {
    {"1", "N 1", 0}, {"-1", "N -1", 0}, {"+1", "N 1", 0}, {"1.5", "N 1.5 . 0 0", 0}, {".5", "N 0.5 . 0 0", 0}, {"5.", "N 5 . 0 0", 0},
    {"1e3", "N 1000", 0}, {"1E-3", "N 0.001", 0}, {"1,5", "N 1.5 , 1 0", 0}, {"1,500", "N 1.5 , 1 1", 0}, {"12,500", "N 12.5 , 1 1", 0},
    {"123,500", "N 123.5 , 1 1", 0}, {"1234,500", "N 1234.5 , 1 0", 0}, {"-1,500", "N -1.5 , 1 1", 0}, {"+1,500", "N 1.5 , 1 1", 0},
    {"0,500", "N 0.5 , 1 0", 0}, {",500", "N 0.5 , 1 0", 0}, {"1,5000", "N 1.5 , 1 0", 0}, {"1,50", "N 1.5 , 1 0", 0}, {"1,500e1", "N 15 , 1 0", 0},
    {"1,5", "T 0", '.'}, {"1.5", "T 0", ','}, {"1.5", "N 1.5", '.'}, {"1,234.5", "T 0", 0}, {"1,2,3", "T 0", 0}, {"", "M 0", 0},
    {"\xE2\x88\x92" "2", "N -2", 0}, {"1e\xE2\x88\x92" "2", "N 0.01", 0}, {"\xE2\x88" "2", "T 0", 0}, {"0x10", "T 0", 0}, {" 1", "T 0", 0},
    {"1 ", "T 0", 0}, {"1e", "T 0", 0}, {"e1", "T 0", 0}, {"--1", "T 0", 0}, {"1e999", "I 0", 0}, {"-1e999", "I 0", 0}, {"1e-999", "N 0", 0},
    {"NA", "M 0", 0}, {"n/a", "M 0", 0}, {"#N/A", "M 0", 0}, {"NaN", "M 0", 0}, {"+nan", "M 0", 0}, {"-NAN", "M 0", 0}, {"null", "M 0", 0},
    {"None", "M 0", 0}, {"n", "T 0", 0}, {"nana", "T 0", 0}, {"inf", "I 0", 0}, {"+Inf", "I 0", 0}, {"-INF", "I 0", 0}, {"infinity", "I 0", 0},
    {"-Infinity", "I 0", 0}, {"+infinity", "I 0", 0}, {"infinit", "T 0", 0}, {"?", "T 0", 0},
    {"000000000000000000000000000000000000000000000000000000000000001", "N 1", 0},
    {"0000000000000000000000000000000000000000000000000000000000000001", "T 0", 0}
  };
  int i;
  for (i = 0; i < COUNT(cases); i++) CHECK_STR(value_of(cases[i].text, cases[i].decimal), cases[i].is);
}

TEST(dates_and_times)
{
  static const struct { const char *text, *is; } cases[] = {
    {"1970-01-01", "D 0"}, {"1970-01-02", "D 1"}, {"1969-12-31", "D -1"}, {"2000-02-29", "D 11016"}, {"2000-03-01", "D 11017"},
    {"1900-02-28", "D -25509"}, {"1900-03-01", "D -25508"}, {"1900-02-29", "T 0"}, {"2023-02-29", "T 0"}, {"2024-02-29", "D 19782"},
    {"2024-12-31", "D 20088"}, {"2024-12-32", "T 0"}, {"2024-04-30", "D 19843"}, {"2024-04-31", "T 0"}, {"2024-01-31", "D 19753"},
    {"0001-01-01", "D -719162"}, {"9999-12-31", "D 2932896"}, {"0000-01-01", "T 0"}, {"2024-00-10", "T 0"}, {"2024-13-01", "T 0"},
    {"2024-01-00", "T 0"}, {"2024-1-01", "T 0"}, {"2024-01-1", "T 0"}, {"202-01-01", "T 0"}, {"20240101", "N 20240101"}, {"2024/01/01", "T 0"},
    {"2024-01", "T 0"}, {"2024", "N 2024"}, {"2024-", "T 0"}, {"2024-01-01$", "T 0"}, {"2024-01-01x", "T 0"}, {"2024$01-01", "T 0"},
    {"1970-01-01T06:00", "D 0.25"}, {"1970-01-01 06:00", "D 0.25"}, {"1970-01-01T06:00Z", "D 0.25"}, {"1970-01-01T00:00", "D 0"},
    {"1970-01-01T06:00:00", "D 0.25"}, {"1970-01-01T06:00:00Z", "D 0.25"}, {"1970-01-01T06:00:00.000", "D 0.25"}, {"1970-01-01T06:00:00.Z", "D 0.25"},
    {"1970-01-01T00:00:43.2", "D 0.0005"}, {"1970-01-01T00:00:08.64", "D 0.0001"}, {"1970-01-01T00:00:00.864Z", "D 1e-05"},
    {"1970-01-01T23:59:60", "D 1"}, {"1970-01-01T23:59:61", "T 0"}, {"1970-01-01T24:00", "T 0"}, {"1970-01-01T23:60", "T 0"},
    {"1970-01-01T23:59", "D 0.999305556"}, {"1970-01-01T00:01", "D 0.000694444444"}, {"1970-01-01T01:00", "D 0.0416666667"},
    {"1970-01-01T6:00", "T 0"}, {"1970-01-01T06", "T 0"}, {"1970-01-01T06:", "T 0"}, {"1970-01-01T06:0", "T 0"}, {"1970-01-01T06:00:", "T 0"},
    {"1970-01-01T06:00:0", "T 0"}, {"1970-01-01T06:00:00x", "T 0"}, {"1970-01-01T06:00x", "T 0"}, {"1970-01-01T06:00ZZ", "T 0"},
    {"1970-01-01T06:00Z00", "T 0"}, {"1970-01-01T06:00:00.0x", "T 0"}, {"1970-01-01T06:00:00.0ZZ", "T 0"}, {"1970-01-01T", "T 0"},
    {"1970-01-01T0612:00", "T 0"}, {"1970-01-01T0659:60", "T 0"}, {"1970-01-01T0659:60.5", "T 0"}, {"1970-01-01T06:0012", "T 0"}, {"1970-01-01T06:00:0012", "T 0"}, {"1970-0101-01", "T 0"},
    {"1970-01-0101", "T 0"}, {"19700-01-01", "T 0"}, {"1970-01-01Tab", "T 0"}, {"1970-01-01T06.00", "T 0"}, {"1970-01-01T06:00.00", "T 0"}
  };
  static const struct { double days; const char *shows; } written[] = {
    {0, "1970-01-01"}, {-1, "1969-12-31"}, {0.25, "1970-01-01T06:00:00"}, {0.999305556, "1970-01-01T23:59:00"}, {-0.25, "1969-12-31T18:00:00"},
    {0.4 / 86400, "1970-01-01"}, {0.6 / 86400, "1970-01-01T00:00:01"}, {1 - 0.4 / 86400, "1970-01-02"}, {59.0 / 86400, "1970-01-01T00:00:59"},
    {1 - 0.5 / 86400 - 3e-11, "1970-01-01T23:59:59"}, {1 - 0.5 / 86400 + 3e-11, "1970-01-02"}, {61.0 / 86400, "1970-01-01T00:01:01"}, {3661.0 / 86400, "1970-01-01T01:01:01"}, {86399.0 / 86400, "1970-01-01T23:59:59"}
  };
  char text[48];
  int i;
  for (i = 0; i < COUNT(cases); i++) CHECK_STR(value_of(cases[i].text, 0), cases[i].is);
  for (i = 0; i < COUNT(written); i++) {
    csv_write_date(written[i].days, text);
    CHECK_STR(text, written[i].shows);
  }
}

/* Every day of 400 years, one after the other. */
TEST(days_in_order)
{
  char text[48], expected[48];
  int year = 1899, month = 1, day = 1, n;
  double v;
  for (n = -25932; year < 2301; n++) {
    snprintf(expected, sizeof expected, "%04d-%02d-%02d", year, month, day);
    csv_write_date(n, text);
    CHECK_STR(text, expected);
    CHECK(parse_date(expected, &v) == CSV_DATE && v == n);
    if (day++ == days_in(year, month)) {
      day = 1;
      if (month++ == 12) { month = 1; year++; }
    }
  }
}

/* ----- hints and other texts ------------------------------------------------------------------------- */

TEST(hints)
{
  static const char thousands[] = " (write it without separators of thousands)", mark[] = " (a decimal comma? --decimal , says so)";
  static const char both[] = " (a decimal comma, and a decimal point above? --decimal says which)";
  static const char point[] = " (a decimal point, and a decimal comma above? --decimal says which)";
  static const char dates[] = " (write dates as 2024-05-01 or 2024-05-01T12:30:00)";
  static const struct { const char *text, *says; char separator, decimal; } cases[] = {
    {"true", " (write 1 and 0)", ',', 0}, {"No", " (write 1 and 0)", ',', 0}, {"YES", " (write 1 and 0)", ',', 0}, {"false", " (write 1 and 0)", ',', 0},
    {"noo", "", ',', 0}, {"5%", " (write it without the %)", ',', 0}, {"%", "", ',', 0}, {"1,234.5", thousands, ',', 0}, {"1,2,3", thousands, ',', 0},
    {"1,234", thousands, ';', '.'}, {"1,234", both, ';', 0}, {"1,23", both, ';', '.'}, {"1,23", mark, ',', '.'}, {"1,234", mark, ',', 0}, {"1.5", point, ';', ','},
    {"1.5", "", ';', '.'}, {"1.5x", "", ';', ','}, {"15", "", ';', ','}, {"1.5e3", "", ';', ','}, {"a,b", "", ';', 0},
    {"1/2/2024", dates, ',', 0}, {"01.02.24", dates, ',', 0}, {"12:30:00", dates, ',', 0}, {"12:30 PM", "", ',', 0}, {"1/2/24 1 pm", dates, ',', 0},
    {"1-2", "", ',', 0}, {"1-2-x", "", ',', 0}, {"", "", ',', 0}, {"?", "", ',', 0}, {"2024-05-01T12", dates, ',', 0}
  };
  csv_reader r = csv_open("-", ',', 0);
  int i;
  for (i = 0; i < COUNT(cases); i++) {
    r.separator = cases[i].separator;
    r.decimal = cases[i].decimal;
    CHECK_STR(csv_hint(&r, cases[i].text), cases[i].says);
  }
}

/* 40 bytes at most, whole letters, no control characters, not those of Latin-1 either. */
TEST(printable_texts)
{
  static const struct { const char *text, *shows; } cases[] = {
    {"plain", "plain"}, {"a\nb\x1b[\x7f", "a?b?[?"}, {"\xC3\xA9", "\xC3\xA9"}, {"\xC2\x9F.", "?\x9F."}, {"\xC2\xA0.", "\xC2\xA0."},
    {"0123456789012345678901234567890123456789x", "0123456789012345678901234567890123456789"},
    {"012345678901234567890123456789012345678\xC3\xA9", "012345678901234567890123456789012345678"},
    {"01234567890123456789012345678901234567\xC3\xA9", "01234567890123456789012345678901234567\xC3\xA9"},
    {"0123456789012345678901234567890123456789", "0123456789012345678901234567890123456789"}, {"", ""}, {" ~", " ~"}
  };
  char text[100];
  int i;
  for (i = 0; i < COUNT(cases); i++) CHECK_STR(csv_printable(strcpy(text, cases[i].text)), cases[i].shows);
}

TEST(files_that_are_not_there)
{
  csv_reader r = csv_open(NULL, ';', ',');
  CHECK(r.file == stdin && r.separator == ';' && r.decimal == ',');
  CHECK_STR(r.name, "standard input");
  files = 0;
  csv_close(&r);
  CHECK_EQ(files, 0);                          /* standard input stays open */
  if (!setjmp(after_fault)) {
    csv_open("/no such folder/x.csv", 0, 0);
    CHECK(0);
  }
  CHECK_STR(fault, "No such file or directory");
  r = csv_open("tests/test_csv.c", 0, 0);
  CHECK(r.file != stdin && r.file);
  csv_close(&r);
  csv_free(NULL);
}

/* A comma between columns cannot be a decimal comma as well. */
TEST(marks_of_separators)
{
  static const struct { const char *text; char decimal, found; } cases[] = {
    {"1,2\n", 0, '.'}, {"1;2\n", 0, 0}, {"1\t2\n", 0, 0}, {"1,2\n", ',', ','}, {"1;2\n", ',', ','},
    {"sep=,\n1,2\n", 0, '.'}, {"sep=;\n1;2\n", 0, 0}, {"sep=,\n1,2\n", ',', ','}
  };
  int i;
  for (i = 0; i < COUNT(cases); i++) {
    csv_reader r = csv_open("-", 0, cases[i].decimal);
    r.file = file_of(cases[i].text, strlen(cases[i].text));
    csv_free(csv_read(&r));
    CHECK_EQ(r.decimal, cases[i].found);
    csv_close(&r);
  }
}

/* Lines that begin with # where a row could begin so: how many, and the first one's line. */
TEST(comments_that_could_be_rows)
{
  static const struct { const char *text; char separator; long hidden, first; } cases[] = {
    {"1,2\n#3,4\n", 0, 1, 2}, {"1,2\n#,\n", 0, 1, 2}, {"1,2,3\n\n#4,5,6", 0, 1, 3},
    {"1,2\n  #3,4\n5,6\n#7,8\n", 0, 2, 2}, {"1;2\n#,3\n#;3\n", 0, 1, 3}, {"1\t2\n#3\t4\n", 0, 1, 2},
    {"1,2\n# 3,4\n", 0, 0, 0}, {"1,2\n#\t3,4\n", 0, 0, 0}, {"1,2\n#3\n", 0, 0, 0}, {"1,2\n#3,4,5\n", 0, 0, 0},
    {"1\n#2\n", ',', 0, 0}, {"#1,2\n3,4\n", 0, 0, 0}, {"1,2\n,\n", 0, 0, 0}, {"1,2\n\n", 0, 0, 0},
    {"1 2\n#3 4\n", ' ', 0, 0}, {"\n\n", 0, 0, 0}
  };
  int i;
  for (i = 0; i < COUNT(cases); i++) {
    csv_reader r = csv_open("-", cases[i].separator, 0);
    csv_record *record;
    r.file = file_of(cases[i].text, strlen(cases[i].text));
    while ((record = csv_read(&r)) != NULL) csv_free(record);
    CHECK_EQ(r.n_hidden, cases[i].hidden);
    CHECK_EQ(r.first_hidden, cases[i].first);
    csv_close(&r);
  }
}

TEST(texts_that_cannot_be_read)
{
  static csv_reader r;
  grows_left = 0;
  CHECK_STR(shown("1,2\n", 4, 0, 0), "!line 1: not enough memory");
  grows_left = -1;
#if defined __linux__
  r = csv_open("tests", 0, 0);
  if (!setjmp(after_fault)) {
    csv_free(csv_read(&r));
    CHECK(0);
  }
  CHECK_STR(fault, "Is a directory");
  csv_close(&r);
#else
  (void)r;
#endif
}

/* ----- rows -------------------------------------------------------------------------------------- */

typedef struct row_case { const char *x, *y, *separator, *decimal, *flags, *text, *shows; } row_case;

/* What is told, and "line: inputs > y" of each row, or "line: inputs ?text", in the order of time; then the names
 * of the columns, those as written in brackets; or what was refused.  flags: h header, s skip_na, w whole. */
static const char *rows_shown(const row_case *c)
{
  static const command cmd = {"rows", "", "", "", NULL};
  static char out[6000];
  static row_reader r;
  static row line;
  static row_options o;
  size_t n;
  int i;
  memset(&o, 0, sizeof o);
  o.x = c->x;
  o.y = c->y;
  o.separator = c->separator;
  o.decimal = c->decimal;
  o.header = strchr(c->flags, 'h') != NULL;
  o.skip_na = strchr(c->flags, 's') != NULL;
  content = c->text;
  blocks = files = 0;
  if (!talk && !(talk = tmpfile())) exit(3);
  rewind(talk);
  if (!setjmp(after_fault)) {
    r = rows_open(&cmd, "text", &o, strchr(c->flags, 'w') != NULL);
    line.x = (double *)counted_allocate((size_t)r.n_inputs, sizeof *line.x);
    while (rows_next(&r, &line)) {
      fprintf(talk, "%ld:", line.line);
      for (i = 0; i < r.n_inputs; i++) fprintf(talk, " %.9g", line.x[i]);
      if (line.asks) fprintf(talk, " ?%s\n", line.text);
      else fprintf(talk, " > %.9g\n", line.y);
      CHECK(line.asks ? line.y == 0 : line.text == NULL);
      release(line.text);
    }
    for (i = 0; i <= r.n_inputs; i++) {
      char *name = rows_name(&r, i, 0), *quoted = rows_name(&r, i, 1);
      if (i) fputc(' ', talk);
      fputs(name, talk);
      if (strcmp(name, quoted)) fprintf(talk, "[%s]", quoted);
      release(name);
      release(quoted);
    }
    release(line.x);
    rows_close(&r);
    CHECK_EQ(blocks, 0);
    CHECK_EQ(files, 0);
  } else {
    fprintf(talk, "!%s", fault);
  }
  n = (size_t)ftell(talk);
  rewind(talk);
  if (n >= sizeof out || fread(out, 1, n, talk) != n) exit(3);
  out[n] = 0;
  return out;
}

static void check_rows(const row_case *c, int n)
{
  int i;
  for (i = 0; i < n; i++) CHECK_STR(rows_shown(c + i), c[i].shows);
}

TEST(which_line_is_a_header)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2\n3,4\n", "1: 1 > 2\n2: 3 > 4\nx y"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2\n3,?\n", "2: 1 > 2\n3: 3 ?3\na b"},
    {NULL, NULL, NULL, NULL, "", "\"a\",b\n1,2\n", "2: 1 > 2\na[\"a\"] b"},
    {NULL, NULL, NULL, NULL, "", "a,\n1,2\n", "2: 1 > 2\na "},
    {NULL, NULL, NULL, NULL, "", ",b\n1,2\n", "2: 1 > 2\n b"},
    {NULL, NULL, NULL, NULL, "", "a,1\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "1,a\n1,2\n", "!line 1, field 2: 'a' is not a number"},
    {NULL, NULL, NULL, NULL, "", "a,1b\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,?\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,+b\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,-b\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,.b\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,NA\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "a,inf\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "h", "1,2\n3,4\n", "2: 3 > 4\n1 2"},
    {NULL, NULL, NULL, NULL, "h", "1,2\n", "1 2"},
    {NULL, NULL, NULL, NULL, "hw", "1,2\n", "1 2"},
    {NULL, NULL, NULL, NULL, "", "a,b\n", "a b"},
    {NULL, NULL, NULL, NULL, "", "\"\",\"\"\n1,2\n", "!line 1, field 1: '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "", "!there are no rows"},
    {NULL, NULL, NULL, NULL, "", "\n# nothing\n", "!there are no rows"},
    {NULL, NULL, NULL, NULL, "", "?,b\n1,2\n", "!line 1, field 1: '?' can stand in the column of y only"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(separators_and_decimals)
{
  static const row_case cases[] = {
    {NULL, NULL, "tab", NULL, "", "1,5\t2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, "\\t", NULL, "", "1,5\t2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, "space", NULL, "", "1,5  2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, "comma", NULL, "", "1.5,2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, "comma", NULL, "", "1,5,2\n", "1: 1 5 > 2\nx1 x2 y"},
    {NULL, NULL, "semicolon", NULL, "", "1,5;2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, "|", NULL, "", "1.5|?\n2,5|3\n",
     "1: 1.5 ?1.5\n!line 2, field 1: '2,5' is not a number (a decimal comma, and a decimal point above? --decimal says which)"},
    {NULL, NULL, ";", NULL, "", "1,5;?\n", "1: 1.5 ?1,5\nx y"},
    {NULL, NULL, ",", ",", "", "\"1,5\",2\n3,?\n", "1: 1.5 > 2\n2: 3 ?3\nx y"},
    {NULL, NULL, ",", NULL, "", "\"1,5\",2\n",
     "!line 1, field 1: '1,5' is not a number (a decimal comma? --decimal , says so)"},
    {NULL, NULL, ";", ".", "", "1,5;2\n",
     "!line 1, field 1: '1,5' is not a number (a decimal comma, and a decimal point above? --decimal says which)"},
    {NULL, NULL, ";", ".", "", "1.5;2\n", "1: 1.5 > 2\nx y"},
    {NULL, NULL, NULL, ",", "", "1.5;2\n",
     "!line 1, field 1: '1.5' is not a number (a decimal point, and a decimal comma above? --decimal says which)"},
    {NULL, NULL, "", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not ''"},
    {NULL, NULL, "ab", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not 'ab'"},
    {NULL, NULL, "a", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not 'a'"},
    {NULL, NULL, "0", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '0'"},
    {NULL, NULL, "\"", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '\"'"},
    {NULL, NULL, ".", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '.'"},
    {NULL, NULL, "+", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '+'"},
    {NULL, NULL, "-", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '-'"},
    {NULL, NULL, "#", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not '#'"},
    {NULL, NULL, "spac", NULL, "", "1,2\n", "!rows: --separator is a character such as , or ; or tab or space, not 'spac'"},
    {NULL, NULL, NULL, "", "", "1,2\n", "!rows: --decimal is . or , not ''"},
    {NULL, NULL, NULL, "x", "", "1,2\n", "!rows: --decimal is . or , not 'x'"},
    {NULL, NULL, NULL, ",,", "", "1,2\n", "!rows: --decimal is . or , not ',,'"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(columns_that_are_empty)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2,\n3,4,\n", "1: 1 2 ?1,2\n2: 3 4 ?3,4\nx1 x2 y"},
    {NULL, NULL, NULL, NULL, "w", "1,2,\n3,4,\n", "1: 1 > 2\n2: 3 > 4\nx y"},
    {NULL, NULL, NULL, NULL, "w", "1,2,\n3,4\n", "1: 1 > 2\n2: 3 > 4\nx y"},
    {NULL, NULL, NULL, NULL, "w", "1,2,\n3,4,5\n", "1: 1 2 ?1,2\n2: 3 4 > 5\nx1 x2 y"},
    {NULL, NULL, NULL, NULL, "w", "1,\n3,\n", "1: 1 ?1\n2: 3 ?3\nx y"},
    {NULL, NULL, NULL, NULL, "", "a,b,\n1,2,\n3,4,\n", "2: 1 > 2\n3: 3 > 4\na b"},
    {NULL, NULL, NULL, NULL, "", "a,b,\n1,2\n", "2: 1 > 2\na b"},
    {NULL, NULL, NULL, NULL, "", "a,b,\n1,2,\n3,4,5\n",
     "2: 1 > 2\n!line 3 has 3 fields, the header has 2 (are there row names? R: write.csv(.., row.names = FALSE))"},
    {NULL, NULL, NULL, NULL, "w", "a,b,\n1,2,\n3,4,5\n", "2: 1 2 ?1,2\n3: 3 4 > 5\na b "},
    {NULL, NULL, NULL, NULL, "", "a,b,\n1,2,3\n", "2: 1 2 > 3\na b "},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2,\n", "2: 1 > 2\na b"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2,,,\n", "2: 1 > 2\na b"},
    {NULL, NULL, NULL, NULL, "w", "a,b,c\n1,2,\n3,4,\n", "2: 1 2 ?1,2\n3: 3 4 ?3,4\na b c"},
    {NULL, NULL, NULL, NULL, "w", "1,2,\n3,4,\n?,5,\n",
     "1: 1 > 2\n2: 3 > 4\n!line 3, field 1: '?' can stand in the column of y only"},
    {NULL, NULL, NULL, NULL, "hw", "a,b,\n", "a b"},
    {NULL, NULL, NULL, NULL, "hw", "a,b\n1,2\n", "2: 1 > 2\na b"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(rows_of_another_width)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2\n3\n", "1: 1 > 2\n!line 2 has 1 field, the first row has 2"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,4,5\n", "1: 1 > 2\n!line 2 has 3 fields, the first row has 2"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,4,5,6\n", "1: 1 > 2\n!line 2 has 4 fields, the first row has 2"},
    {NULL, NULL, NULL, NULL, "", "a,b\n3\n", "!line 2 has 1 field, the header has 2"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,3,4\n",
     "!line 2 has 3 fields, the header has 2 (are there row names? R: write.csv(.., row.names = FALSE))"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2,3,4\n", "!line 2 has 4 fields, the header has 2"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2,,4\n", "!line 2 has 4 fields, the header has 2"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,4,5\n", "1: 1 > 2\n!line 2 has 3 fields, the first row has 2"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(row_names)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", ",b,c\n7,1,2\n",
     "icl: text: column 1 (without a name) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "rownames,b,c\n7,1,2\n",
     "icl: text: column 1 (rownames) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "row.names,b,c\n7,1,2\n",
     "icl: text: column 1 (row.names) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "row_names,b,c\n7,1,2\n",
     "icl: text: column 1 (row_names) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "rowname,b,c\n7,1,2\n",
     "icl: text: column 1 (rowname) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "index,b,c\n7,1,2\n",
     "icl: text: column 1 (index) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "Index,b,c\n7,1,2\n",
     "icl: text: column 1 (Index) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "Unnamed: 0,b,c\n7,1,2\n",
     "icl: text: column 1 (Unnamed: 0) holds row names and is left out; --x chooses columns\n2: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "", "INDEX,b,c\n7,1,2\n", "2: 7 1 > 2\nINDEX b c"},
    {NULL, NULL, NULL, NULL, "", "name,b,c\n7,1,2\n", "2: 7 1 > 2\nname b c"},
    {NULL, NULL, NULL, NULL, "", "row,b,c\n7,1,2\n", "2: 7 1 > 2\nrow b c"},
    {NULL, NULL, NULL, NULL, "w", "index,b,c\n7,1,2\n",
     "2: 1 > 2\nicl: text: column 1 (index) holds row names and is left out; --x chooses columns\nb c"},
    {NULL, NULL, NULL, NULL, "", "index,c\n7,2\n", "2: 7 > 2\nindex c"},
    {NULL, NULL, NULL, NULL, "", "a,b,c\nx,1,2\ny,3,4\n",
     "icl: text: column 1 (a) holds row names and is left out; --x chooses columns\n2: 1 > 2\n3: 3 > 4\nb c"},
    {NULL, NULL, NULL, NULL, "w", "a,b,c\nx,1,2\ny,3,4\n",
     "2: 1 > 2\n3: 3 > 4\nicl: text: column 1 (a) holds row names and is left out; --x chooses columns\nb c"},
    {NULL, NULL, NULL, NULL, "w", ",b,c\nx,1,2\ny,3,?\n",
     "2: 1 > 2\n3: 3 ?3\nicl: text: column 1 (without a name) holds row names and is left out; --x chooses columns\nb c"},
    {NULL, NULL, NULL, NULL, "h", "x,1,2\ny,3,4\n,5,6\n",
     "icl: text: column 1 (x) holds row names and is left out; --x chooses columns\n2: 3 > 4\n3: 5 > 6\n1 2"},
    {NULL, NULL, NULL, NULL, "", "x,1,2\ny,3,4\n,5,6\n",
     "icl: text: column 1 (no header) holds row names and is left out; --x chooses columns\n1: 1 > 2\n2: 3 > 4\n3: 5 > 6\nx y"},
    {NULL, NULL, NULL, NULL, "", "a,b,c\nx,1,2\n5,3,4\n",
     "icl: text: column 1 (a) holds row names and is left out; --x chooses columns\n2: 1 > 2\n!line 3, field 1 (a): '5' is not text, as the first row has there (--x chooses columns)"},
    {NULL, NULL, NULL, NULL, "", "a,b,c\nx,1,2\n?,3,4\n",
     "icl: text: column 1 (a) holds row names and is left out; --x chooses columns\n2: 1 > 2\n!line 3, field 1 (a): '?' is not text, as the first row has there (--x chooses columns)"},
    {NULL, NULL, NULL, NULL, "", "a,b,c\n?,1,2\n", "!line 2, field 1 (a): '?' can stand in the column of y only"},
    {NULL, NULL, NULL, NULL, "", "a,b\nx,1\n", "!line 2, field 1 (a): 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "", "index,b,c\nx,1,2\n5,1,2\n",
     "icl: text: column 1 (index) holds row names and is left out; --x chooses columns\n2: 1 > 2\n3: 1 > 2\nb c"},
    {NULL, NULL, NULL, NULL, "hw", "a,b,c\n", "a b c"},
    {"1,2", NULL, NULL, NULL, "", "index,b,c\n7,1,2\n", "2: 7 1 > 2\nindex b c"},
    {NULL, "1", NULL, NULL, "", "index,b,c\n7,1,2\n", "2: 1 2 > 7\nb c index"},
    {NULL, "2", NULL, NULL, "", "index,b,c\n7,1,2\n",
     "icl: text: column 1 (index) holds row names and is left out; --x chooses columns\n2: 2 > 1\nc b"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(chosen_columns)
{
  static const row_case cases[] = {
    {"a", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "2: 1 > 3\na c"},
    {"c", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "2: 3 > 2\nc b"},
    {"c,b", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "2: 3 2 > 1\nc b a"},
    {" c , b ", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "2: 3 2 > 1\nc b a"},
    {"3,1", NULL, NULL, NULL, "", "a,b,c\n1,2,?\n", "!line 2, field 3 (c): '?' can stand in the column of y only"},
    {"1", "3", NULL, NULL, "", "1,2,3\n4,5,?\n", "1: 1 > 3\n2: 4 ?4\nx y"},
    {NULL, "b", NULL, NULL, "", "a,b,c\n1,2,3\n", "2: 1 3 > 2\na c b"},
    {NULL, "2", NULL, NULL, "", "1,2,3\n4,?,6\n", "1: 1 3 > 2\n2: 4 6 ?4,6\nx1 x2 y"},
    {"\"a\"", NULL, NULL, NULL, "", "\"a\",b\n1,2\n", "2: 1 > 2\na[\"a\"] b"},
    {"a,b", NULL, NULL, NULL, "", "\"a,b\",c\n1,2\n", "2: 1 > 2\na,b[\"a,b\"] c"},
    {"a", "a", NULL, NULL, "", "a,b\n1,2\n", "!column 1 is both x and y"},
    {"a,b", NULL, NULL, NULL, "", "a,b\n1,2\n", "!column 1 is both x and y"},
    {"a,a", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!--x has column 1 twice"},
    {"1,1", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!--x has column 1 twice"},
    {"a,b,c", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!column 1 is both x and y"},
    {"a,b,c,1", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!column 1 is both x and y"},
    {"d", NULL, NULL, NULL, "", "a,b\x7f,c\n1,2,3\n", "!no column 'd'; the columns are a, b?, c"},
    {"4", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!no column '4'; the columns are a, b, c"},
    {"0", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!no column '0'; the columns are a, b, c"},
    {"1x", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!no column '1x'; the columns are a, b, c"},
    {"+1", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!no column '+1'; the columns are a, b, c"},
    {"", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n", "!no column ''; the columns are a, b, c"},
    {"4", NULL, NULL, NULL, "", "1,2,3\n", "!no column '4': there is no header, and columns 1 to 3"},
    {"a", NULL, NULL, NULL, "", "1,2,3\n", "!no column 'a': there is no header, and columns 1 to 3"},
    {NULL, "d", NULL, NULL, "", "a,b\n1,2\n", "!no column 'd'; the columns are a, b"},
    {"99999999999999999999", NULL, NULL, NULL, "", "1,2,3\n",
     "!no column '99999999999999999999': there is no header, and columns 1 to 3"},
    {NULL, NULL, "|", NULL, "", "1\n2\n", "!there is no column but y"},
    {NULL, NULL, "|", NULL, "h", "y\n2\n", "!there is no column but y"},
    {"1", NULL, "|", NULL, "", "1\n2\n", "!column 1 is both x and y"},
    {NULL, "1", "|", NULL, "", "1\n2\n", "!there is no column but y"},
    {"b", "b", NULL, NULL, "", "a,b\n1,2\n", "!column 2 is both x and y"},
    {"b,c", NULL, NULL, NULL, "", "a,b,c\n1,2,3\n4,5,?\n",
     "2: 2 3 > 1\n!line 3, field 3 (c): '?' can stand in the column of y only"},
    {"2", NULL, NULL, NULL, "w", "a,b,c,d\n1,2,3,4\n", "2: 2 > 4\nb d"},
    {"d,c", NULL, NULL, NULL, "", "a,b,c,d\n1,2,3,4\n", "2: 4 3 > 2\nd c b"},
    {NULL, NULL, NULL, NULL, "", "y,x\n1,2\n",
     "icl: text: the last column is y, though column 1 is called y (--y y chooses it)\n2: 1 > 2\ny x"},
    {NULL, NULL, NULL, NULL, "w", "a,Y,b\n1,2,3\n",
     "icl: text: the last column is y, though column 2 is called Y (--y Y chooses it)\n2: 1 2 > 3\na Y b"},
    {NULL, NULL, NULL, NULL, "w", "y,x\n?,4\n",
     "icl: text: the last column is y, though column 1 is called y (--y y chooses it)\n"
     "!line 2, field 1 (y): '?' can stand in the column of y only"},
    {"y,c", NULL, NULL, NULL, "", "b,y,c\n1,2,3\n", "2: 2 3 > 1\ny c b"},
    {NULL, NULL, NULL, NULL, "", "y,Y\n1,2\n",
     "icl: text: the last column is y, though column 1 is called y (--y y chooses it)\n2: 1 > 2\ny Y"},
    {NULL, NULL, NULL, NULL, "", "yy,y\n1,2\n", "2: 1 > 2\nyy y"},
    {"x", NULL, NULL, NULL, "", "y,x,b\n1,2,3\n", "2: 2 > 3\nx b"},
    {NULL, "x", NULL, NULL, "", "y,x\n1,2\n", "2: 1 > 2\ny x"},
    {NULL, "y", NULL, NULL, "", "y,x\n1,2\n", "2: 2 > 1\nx y"},
    {NULL, NULL, NULL, NULL, "w", "a,,b,,y\n1,,2,,3\n4,,5,,\n",
     "icl: text: column 2 is empty and left out\nicl: text: column 4 is empty and left out\n2: 1 2 > 3\n3: 4 5 ?4,5\na b y"},
    {NULL, NULL, NULL, NULL, "w", "1,,3\n4,,5\n", "icl: text: column 2 is empty and left out\n1: 1 > 3\n2: 4 > 5\nx y"},
    {NULL, NULL, NULL, NULL, "w", "a,y,,\n1,2,,\n4,5,,\n", "2: 1 > 2\n3: 4 > 5\na y"},
    {NULL, NULL, NULL, NULL, "w", "a,,y\n1,,3\n4,6,5\n", "!line 2, field 2: '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "w", "a,c,y\n1,,3\n", "!line 2, field 2 (c): '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "a,,y\n1,,3\n", "!line 2, field 2: '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "w", ",,2\n,,3\n",
     "icl: text: column 1 is empty and left out\nicl: text: column 2 is empty and left out\n!there is no column but y"},
    {"1,2", NULL, NULL, NULL, "w", "a,,y\n1,,3\n", "!line 2, field 2: '' is empty (--skip-na leaves such rows out)"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(fields_that_are_refused)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2\n3,x\n", "1: 1 > 2\n!line 2, field 2: 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "", "1,2,3\n3,x,1\n",
     "1: 1 2 > 3\n!line 2, field 2: 'x' is not a number (--x and --y choose columns)"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,2\n3,x\n", "2: 1 > 2\n!line 3, field 2 (b): 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "", "a,b,c\n1,2,3\n3,4,x\n",
     "2: 1 2 > 3\n!line 3, field 3 (c): 'x' is not a number (--x and --y choose columns)"},
    {NULL, NULL, NULL, NULL, "", "a,b,\n1,2,\n3,x,\n",
     "2: 1 > 2\n!line 3, field 2 (b): 'x' is not a number (--x and --y choose columns)"},
    {NULL, NULL, NULL, NULL, "", "a,b\nm,kg\n1,2\n",
     "!line 2, field 1 (a): 'm' is not a number (a line of units? Take it out)"},
    {NULL, NULL, NULL, NULL, "", "a,b\nm,1\n1,2\n", "!line 2, field 1 (a): 'm' is not a number"},
    {NULL, NULL, NULL, NULL, "", "a,1\n1,2\n",
     "!line 1, field 1: 'a' is not a number (--header says that the first line is a header)"},
    {NULL, NULL, NULL, NULL, "", "1,b\n1,2\n", "!line 1, field 2: 'b' is not a number"},
    {NULL, NULL, NULL, NULL, "", "1,2\na,3\n", "1: 1 > 2\n!line 2, field 1: 'a' is not a number"},
    {NULL, NULL, NULL, NULL, "", "a,b\n?,2\n", "!line 2, field 1 (a): '?' can stand in the column of y only"},
    {NULL, NULL, NULL, NULL, "", "?,2\n", "!line 1, field 1: '?' can stand in the column of y only"},
    {NULL, NULL, NULL, NULL, "", "a,b\n,2\n", "!line 2, field 1 (a): '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\n,2\n", "1: 1 > 2\n!line 2, field 1: '' is empty (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\nNA,2\n",
     "1: 1 > 2\n!line 2, field 1: 'NA' stands for no value (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\ninf,2\n",
     "1: 1 > 2\n!line 2, field 1: 'inf' is not a finite number (--skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,inf\n",
     "1: 1 > 2\n!line 2, field 2: 'inf' is not a finite number (an empty y or ? asks; --skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,NA\n",
     "1: 1 > 2\n!line 2, field 2: 'NA' stands for no value (an empty y or ? asks; --skip-na leaves such rows out)"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,\n4,?\n", "1: 1 > 2\n2: 3 ?3\n3: 4 ?4\nx y"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,yes\n", "1: 1 > 2\n!line 2, field 2: 'yes' is not a number (write 1 and 0)"},
    {NULL, NULL, NULL, NULL, "", "1,2\n3,5%\n", "1: 1 > 2\n!line 2, field 2: '5%' is not a number (write it without the %)"},
    {NULL, NULL, NULL, NULL, "", "a,\n1,2\nx,3\n", "2: 1 > 2\n!line 3, field 1 (a): 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,x\n", "!line 2, field 2 (b): 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "w", "a,b\n1,2\n3,\x01x\n", "2: 1 > 2\n!line 3, field 2 (b): '?x' is not a number"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(rows_left_out)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "s", "1,2\n,3\n4,5\n",
     "1: 1 > 2\n3: 4 > 5\nicl: text: left out 1 row without a value, line 2\nx y"},
    {NULL, NULL, NULL, NULL, "s", "1,2\nNA,3\n4,5\n6,inf\n7,nan\n",
     "1: 1 > 2\n3: 4 > 5\nicl: text: left out 3 rows without a value, line 2 the first\nx y"},
    {NULL, NULL, NULL, NULL, "sw", "1,2\nNA,3\n4,5\n6,inf\n7,?\n",
     "1: 1 > 2\n3: 4 > 5\n5: 7 ?7\nicl: text: left out 2 rows without a value, line 2 the first\nx y"},
    {NULL, NULL, NULL, NULL, "s", "1,2\n?,3\n", "1: 1 > 2\n!line 2, field 1: '?' can stand in the column of y only"},
    {NULL, NULL, NULL, NULL, "s", "1,2\nx,3\n", "1: 1 > 2\n!line 2, field 1: 'x' is not a number"},
    {NULL, NULL, NULL, NULL, "sw", "NA,3\n", "icl: text: left out 1 row without a value, line 1\nx y"},
    {NULL, NULL, NULL, NULL, "s", "1,2\nNA,\n4,\n",
     "1: 1 > 2\n3: 4 ?4\nicl: text: left out 1 row without a value, line 2\nx y"},
    {NULL, NULL, NULL, NULL, "s", "1,?\nNA,3\n4,5\n", "1: 1 ?1\n3: 4 > 5\nicl: text: left out 1 row without a value, line 2\nx y"},
    {NULL, NULL, NULL, NULL, "s", "1,2\n\n\nNA,3\nNA,4\nNA,5\n",
     "1: 1 > 2\nicl: text: left out 3 rows without a value, line 4 the first\nx y"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(dates_in_columns)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1970-01-02,1\n1970-01-03,2\n",
     "icl: text: the dates of column 1 are read as days\n1: 1 > 1\n2: 2 > 2\nx y"},
    {NULL, NULL, NULL, NULL, "w", "1970-01-02,1\n1970-01-03,2\n",
     "1: 1 > 1\n2: 2 > 2\nicl: text: the dates of column 1 are read as days\nx y"},
    {NULL, NULL, NULL, NULL, "", "20240101,1\n20240229,2\n",
     "1: 20240101 > 1\n2: 20240229 > 2\nicl: text: column 1 is read as numbers; if these are dates, write 20240501 as "
     "2024-05-01\nx y"},
    {NULL, NULL, NULL, NULL, "w", "5,19000101,1\n6,20991231,2\n",
     "1: 5 19000101 > 1\n2: 6 20991231 > 2\nicl: text: column 2 is read as numbers; if these are dates, write "
     "20240501 as 2024-05-01\nx1 x2 y"},
    {NULL, NULL, NULL, NULL, "", "20240101,1\n20240230,2\n", "1: 20240101 > 1\n2: 20240230 > 2\nx y"},
    {NULL, NULL, NULL, NULL, "", "20240101,1\n20241301,2\n", "1: 20240101 > 1\n2: 20241301 > 2\nx y"},
    {NULL, NULL, NULL, NULL, "", "18991231,1\n", "1: 18991231 > 1\nx y"},
    {NULL, NULL, NULL, NULL, "", "21000101,1\n", "1: 21000101 > 1\nx y"},
    {NULL, NULL, NULL, NULL, "", "20240101.5,1\n", "1: 20240101.5 > 1\nx y"},
    {NULL, NULL, NULL, NULL, "", "t,u,y\n1970-01-02,1970-01-05,1\n",
     "icl: text: the dates of column 1 are read as days\nicl: text: the dates of column 2 are read as days\n2: 1 4 > 1\nt u y"},
    {NULL, NULL, NULL, NULL, "w", "t,u,y\n1,1970-01-05,1\n",
     "2: 1 4 > 1\nicl: text: the dates of column 2 are read as days\nt u y"},
    {NULL, NULL, NULL, NULL, "", "1970-01-02,1\n3,2\n",
     "icl: text: the dates of column 1 are read as days\n1: 1 > 1\n!line 2, field 1: '3' is not a date, as the rows above have"},
    {NULL, NULL, NULL, NULL, "", "1,1\n1970-01-02,2\n",
     "1: 1 > 1\n!line 2, field 1: '1970-01-02' is a date, the rows above have numbers"},
    {NULL, NULL, NULL, NULL, "", "t,y\n1,1\n1970-01-02,2\n",
     "2: 1 > 1\n!line 3, field 1 (t): '1970-01-02' is a date, the rows above have numbers"},
    {NULL, NULL, NULL, NULL, "", "t,y\n1970-01-02,2\n5,1\n",
     "icl: text: the dates of column 1 are read as days\n2: 1 > 2\n!line 3, field 1 (t): '5' is not a date, as the rows above have"},
    {NULL, NULL, NULL, NULL, "", "1,1970-01-02\n", "!line 1, field 2: '1970-01-02' is a date, and y is a number"},
    {NULL, NULL, NULL, NULL, "", "a,b\n1,1970-01-02\n", "!line 2, field 2 (b): '1970-01-02' is a date, and y is a number"},
    {NULL, NULL, NULL, NULL, "s", "1,1\nNA,2\n1970-01-02,2\n",
     "1: 1 > 1\n!line 3, field 1: '1970-01-02' is a date, the rows above have numbers"},
    {NULL, NULL, NULL, NULL, "s", "NA,2\n1970-01-02,2\n",
     "icl: text: the dates of column 1 are read as days\n2: 1 > 2\nicl: text: left out 1 row without a value, line 1\nx y"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(texts_of_rows_that_ask)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2\n3,?\n 4 ,\n", "1: 1 > 2\n2: 3 ?3\n3: 4 ?4\nx y"},
    {NULL, NULL, ";", NULL, "", "1;2\n3;?\n4;\n", "1: 1 > 2\n2: 3 ?3\n3: 4 ?4\nx y"},
    {NULL, NULL, NULL, NULL, "", "1\t2\t3\n3\t4,5\t?\n", "1: 1 2 > 3\n2: 3 4.5 ?3\t4,5\nx1 x2 y"},
    {NULL, NULL, NULL, NULL, "", "\"1\",2,3\n \"3\" , 4.50 ,?\n", "1: 1 2 > 3\n2: 3 4.5 ?\"3\",4.50\nx1 x2 y"},
    {"2,1", NULL, NULL, NULL, "", "1,2,3\n5,6,?\n", "1: 2 1 > 3\n2: 6 5 ?6,5\nx1 x2 y"},
    {NULL, NULL, "space", NULL, "", "1 2 3\n5   6 ?\n", "1: 1 2 > 3\n2: 5 6 ?5 6\nx1 x2 y"},
    {NULL, "1", NULL, NULL, "", "1,2,3\n?,5,6\n,5,6\n", "1: 2 3 > 1\n2: 5 6 ?5,6\n3: 5 6 ?5,6\nx1 x2 y"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(commas_for_thousands)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,234;2\n2,345;3\n",
     "1: 1.234 > 2\n2: 2.345 > 3\nicl: text: numbers such as 1,234 were read as 1.234; if the comma is for thousands, take it out\nx y"},
    {NULL, NULL, NULL, NULL, "w", "1,234;2\n2,345;3\n",
     "1: 1.234 > 2\n2: 2.345 > 3\nicl: text: numbers such as 1,234 were read as 1.234; if the comma is for thousands, take it out\nx y"},
    {NULL, NULL, NULL, NULL, "", "1,234;2\n2,5;3\n", "1: 1.234 > 2\n2: 2.5 > 3\nx y"},
    {NULL, NULL, NULL, ",", "", "1,234;2\n2,345;3\n", "1: 1.234 > 2\n2: 2.345 > 3\nx y"},
    {NULL, NULL, NULL, NULL, "", "1;2\n2;3\n", "1: 1 > 2\n2: 2 > 3\nx y"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(comments_that_are_told)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "x,y\n#N/A,2\n1,2\n#3,4\n",
     "3: 1 > 2\nicl: text: comments that could be rows: 2, the first in line 2; a # that is none needs quotes\nx y"},
    {NULL, NULL, NULL, NULL, "", "x,y\n# 3,4\n1,2\n", "3: 1 > 2\nx y"}
  };
  check_rows(cases, COUNT(cases));
}

TEST(names_of_columns)
{
  static const row_case cases[] = {
    {NULL, NULL, NULL, NULL, "", "1,2,3\n", "1: 1 2 > 3\nx1 x2 y"},
    {NULL, NULL, NULL, NULL, "", "\"a \"\"q\"\"\",\"b\",c\n1,2,3\n", "2: 1 2 > 3\na \"q\"[\"a \"\"q\"\"\"] b[\"b\"] c"},
    {"3", "1", NULL, NULL, "", "1,2,3\n", "1: 3 > 1\nx y"},
    {"3", "1", NULL, NULL, "", "\"a\",b,\"c\"\n1,2,3\n", "2: 3 > 1\nc[\"c\"] a[\"a\"]"},
    {NULL, NULL, NULL, NULL, "", "\"a\",\n1,2\n", "2: 1 > 2\na[\"a\"] "}
  };
  check_rows(cases, COUNT(cases));
}

/* Rows that are read ahead are as many as there are, or as memory has room for. */
TEST(rows_ahead)
{
  static char text[2000];
  static row_case c = {NULL, NULL, NULL, NULL, "w", text, NULL};
  const char *shows;
  char last[40];
  int i;
  for (i = 0; i < 200; i++) sprintf(text + 5 * i, "1,%02d\n", i % 100);
  for (i = 63; i < 200; i++) {
    text[5 * i] = 0;
    shows = rows_shown(&c);
    snprintf(last, sizeof last, "\n%d: 1 > %d\nx y", i, (i - 1) % 100);
    CHECK_STR(shows + strlen(shows) - strlen(last), last);
    CHECK(!strncmp(shows, "1: 1 > 0\n2: 1 > 1\n", 18));
    text[5 * i] = '1';
  }
  for (i = 1; i < 5; i++) {                              /* one for the text, then 64 rows, 128, 256 */
    grows_left = i;
    snprintf(last, sizeof last, "!line %d: not enough memory", i == 1 ? 1 : 32 << (i - 1) | 1);
    shows = rows_shown(&c);
    if (i < 4) CHECK_STR(shows, last);
    else CHECK_STR(shows + strlen(shows) - 3, "x y");
  }
  grows_left = -1;
}

/* A reader may be closed at any time. */
TEST(rows_that_are_not_read)
{
  static const command cmd = {"rows", "", "", "", NULL};
  row_options o;
  row line;
  double x[1];
  int whole, n;
  memset(&o, 0, sizeof o);
  line.x = x;
  for (whole = 0; whole < 2; whole++)
    for (n = 0; n < 4; n++) {
      row_reader r;
      char *names;
      int i;
      content = "a,b\n1,2\n3,4\n5,6\n";
      blocks = files = 0;
      r = rows_open(&cmd, "text", &o, whole);
      for (i = 0; i < n; i++) CHECK(rows_next(&r, &line) && line.text == NULL);
      i = blocks;
      names = column_names(&r);
      CHECK_STR(names, "a, b");
      CHECK_EQ(blocks, i + 1);
      release(names);
      rows_close(&r);
      CHECK_EQ(blocks, 0);
      CHECK_EQ(files, 0);
    }
}

/* The quick ones first: tests/proof/mutants.py runs them thousands of times, each time up to what fails. */
int main(void)
{
  RUN(records); RUN(bytes_that_are_zero); RUN(numbers); RUN(dates_and_times); RUN(hints); RUN(printable_texts); RUN(files_that_are_not_there);
  RUN(which_line_is_a_header); RUN(separators_and_decimals); RUN(columns_that_are_empty); RUN(rows_of_another_width); RUN(row_names); RUN(chosen_columns);
  RUN(fields_that_are_refused); RUN(rows_left_out); RUN(dates_in_columns); RUN(texts_of_rows_that_ask); RUN(commas_for_thousands); RUN(names_of_columns);
  RUN(rows_that_are_not_read); RUN(marks_of_separators); RUN(comments_that_could_be_rows); RUN(comments_that_are_told); RUN(texts_that_cannot_be_read); RUN(long_lines); RUN(rows_ahead); RUN(days_in_order);
  return test_report("csv");
}
