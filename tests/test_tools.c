/* The command's CSV reader on random texts, dates, numbers as they are printed, and the rivals of
 * icl check against values computed by numpy.
 *
 *     cc -I. tests/test_tools.c -lm -o build/test_tools && build/test_tools */
#define _POSIX_C_SOURCE 200809L
#include "../tools/csv.c"
#include "../tools/dataset.c"
#include "../tools/answers.c"
#include "../tools/solve.c"
#include "../tools/gp.c"
#include "../tools/ridge.c"
#include "../tools/rivals.c"
#include "test.h"
#include "common_stub.h"

/* ----- what the tools need of rows.c ---------------------------------------------------------- */

int rows_next(row_reader *r, row *out)
{
  (void)r, (void)out;
  return 0;
}

/* ----- CSV ----------------------------------------------------------------------------------- */

static uint64_t random_state = 7;

static int below(int n) { return draw(&random_state, n); }

/* Mostly what matters to a reader, and now and then any byte. */
static char random_char(void)
{
  static const char alphabet[] = ",;\t\"\"\"\n\r\n#  .-+0123456789eENA?%/:TZ\xE2\x88\x92\xC2\xA0"
                                 "\x1A\xEF\xBB\xBFxyz,,;;1122..\"\n";
  return below(200) ? alphabet[below(sizeof alphabet - 1)] : (char)below(256);
}

static void read_field(csv_reader *r, const csv_field *f)
{
  char date[48];
  double v = 0;
  const csv_value kind = csv_parse(r, f->text, &v);
  CHECK(strlen(f->text) <= strlen(f->raw));
  CHECK(kind != CSV_NUMBER || isfinite(v));
  if (kind == CSV_DATE) csv_write_date(v, date);
  csv_hint(r, f->text);
  csv_printable(f->text);
  CHECK(strlen(f->text) <= 40);
}

/* 1 where the text is read to its end, 0 where it is refused. */
static int read_all(csv_reader *r)
{
  csv_record *c;
  int i;
  if (setjmp(after_fault)) return 0;
  while ((c = csv_read(r)) != NULL) {
    CHECK(c->n > 0 && c->line > 0);
    for (i = 0; i < c->n; i++) read_field(r, &c->fields[i]);
    csv_free(c);
  }
  return 1;
}

/* No text reads or writes where it must not; this finds most with a sanitizer. */
TEST(random_texts)
{
  static char text[400];
  static csv_reader r;
  int i, run, good = 0;
  for (run = 0; run < 2000; run++) {
    const int n = 1 + below(300);
    for (i = 0; i < n; i++) text[i] = random_char();
    r = csv_open("-", below(4) ? 0 : ",; \t|"[below(5)], below(4) ? 0 : '.');
#ifdef _WIN32
    r.file = tmpfile();
    fwrite(text, 1, (size_t)n, r.file);
    rewind(r.file);
#else
    r.file = fmemopen(text, (size_t)n, "rb");
#endif
    good += read_all(&r);
    fclose(r.file);
    free(r.text);
  }
  CHECK(good > 500 && good < 1500);
}

/* Every day of 800 years is one more than the day before, and comes back as it was. */
TEST(days_of_the_calendar)
{
  char text[48], again[48];
  double value, last = 0;
  int year, month, day;
  for (year = 1600; year < 2400; year++)
    for (month = 1; month <= 12; month++)
      for (day = 1; day <= days_in(year, month); day++) {
        snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
        CHECK_EQ(parse_date(text, &value), CSV_DATE);
        CHECK(last == 0 || value == last + 1);
        csv_write_date(value, again);
        CHECK_STR(again, text);
        last = value;
      }
  CHECK_EQ(parse_date("1970-01-01T06:00", &value), CSV_DATE);
  CHECK_NEAR(value, 0.25, 0);
  csv_write_date(value + 1.0 / 86400, again);
  CHECK_STR(again, "1970-01-01T06:00:01");
}

static void check_decimal(double v, int digits, const char *expected)
{
  char text[64];
  write_decimal(text, v, decimals_for(v, digits));
  CHECK_STR(text, expected);
}

TEST(numbers_as_printed)
{
  char text[64] = "1.500";
  check_decimal(8.29496384, 6, "8.29496");
  check_decimal(0.00123456, 3, "0.00123");
  check_decimal(123456.7, 3, "123457");
  check_decimal(-1e-9, 3, "-1e-09");
  check_decimal(2.5e20, 3, "2.5e+20");
  check_decimal(0, 6, "0.00000");
  write_decimal(text, -0.001, 2);
  CHECK_STR(text, "0.00");
  write_decimal(text, 1e9 + 28.4, 1);
  CHECK_STR(text, "1000000028.4");
  strip_zeros(strcpy(text, "1.500"));
  CHECK_STR(text, "1.5");
  strip_zeros(strcpy(text, "100"));
  CHECK_STR(text, "100");
}

/* ----- choosing rows -------------------------------------------------------------------------- */

TEST(chosen_rows_are_spread)
{
  int n, m, i;
  for (n = 1; n < 60; n += 7)
    for (m = 1; m <= n + 2; m++) {
      int *rows = spread(n, m);
      const int most = m < n ? m : n;
      for (i = 1; i < most; i++) {
        CHECK(rows[i - 1] < rows[i]);
        CHECK(rows[i] - rows[i - 1] < 2.0 * n / most + 1);
      }
      CHECK(rows[0] >= 0 && rows[most - 1] < n);
      CHECK(m < 2 || (rows[0] == 0 && rows[most - 1] == n - 1));
      free(rows);
    }
}

/* ----- rivals --------------------------------------------------------------------------------- */

enum { ROWS = 12 };

static double x1[ROWS], first_y[ROWS], x2[2 * ROWS], second_y[ROWS];

static void make_data(void)
{
  int i;
  for (i = 0; i < ROWS; i++) {
    x1[i] = (i - 5.5) / 3.5;
    first_y[i] = sin(i / 2.0);
    x2[2 * i] = sin(i + 1);
    x2[2 * i + 1] = cos(2 * i);
    second_y[i] = x2[2 * i] - 0.5 * x2[2 * i + 1] + 0.3 * cos(5 * i);
  }
}

/* To mean 0 and standard deviation 1. */
static void standardize(double *v, int stride)
{
  double mean = 0, squares = 0;
  int i;
  for (i = 0; i < ROWS; i++) mean += v[i * stride] / ROWS;
  for (i = 0; i < ROWS; i++) squares += pow(v[i * stride] - mean, 2) / ROWS;
  for (i = 0; i < ROWS; i++) v[i * stride] = (v[i * stride] - mean) / sqrt(squares);
}

TEST(gaussian_process_of_numpy)
{
  const double at1 = 0.3, at2[2] = {0.2, -0.4};
  gp_choice g = {0, 0};
  make_data();
  CHECK_NEAR(gp_predict(&g, ROWS, 1, x1, first_y, &at1), -0.13294964749618998, 1e-7);
  CHECK_NEAR(g.length, 3, 1e-12);
  CHECK_NEAR(g.noise, 1e-8, 1e-20);
  CHECK_NEAR(gp_predict(&g, ROWS, 2, x2, second_y, at2), 0.3732935537848707, 1e-9);
  CHECK_NEAR(g.length, 4.242640687119286, 1e-12);
  CHECK_NEAR(g.noise, 0.01, 1e-12);
}

TEST(ridge_and_line_of_numpy)
{
  const double at[2] = {0.2, -0.4};
  gp_choice g = {0, 0};
  const sample s = {ROWS, 2, x2, second_y, &g};
  make_data();
  standardize(x2, 2);
  standardize(x2 + 1, 2);
  standardize(second_y, 1);
  CHECK_NEAR(ridge(&s, at), 0.3440007457837946, 1e-9);
  CHECK_NEAR(line(&s, at), 0.3442921191696528, 1e-7);
}

TEST(dots_and_neighbours)
{
  const double x[5] = {3, 1, 2, 2, 0}, y[5] = {9, 1, 4, 6, 0}, at[4] = {1.25, 2, -1, 7};
  gp_choice g = {0, 0};
  const sample s = {5, 1, x, y, &g};
  CHECK_NEAR(dots(&s, &at[0]), 2, 1e-12);
  CHECK_NEAR(dots(&s, &at[1]), 5, 1e-12);
  CHECK_NEAR(dots(&s, &at[2]), 0, 1e-12);
  CHECK_NEAR(dots(&s, &at[3]), 9, 1e-12);
  CHECK_NEAR(nearest(&s, &at[3]), 19.0 / 3, 1e-12);
}

int main(void)
{
  RUN(random_texts);
  RUN(days_of_the_calendar);
  RUN(numbers_as_printed);
  RUN(chosen_rows_are_spread);
  RUN(gaussian_process_of_numpy);
  RUN(ridge_and_line_of_numpy);
  RUN(dots_and_neighbours);
  return test_report("tools");
}
