/* The test harness.  A file of tests is a program of its own:
 *
 *     #include "test.h"
 *     TEST(two_and_two) { CHECK_EQ(2 + 2, 4); }
 *     int main(void) { RUN(two_and_two); return test_report("arithmetic"); }
 *
 * A named test passes if all of its checks hold.  Failed checks say where, and with what values.
 * SKIP(reason) inside of a test counts it as skipped. */
#ifndef ICL_TEST_H
#define ICL_TEST_H

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *test_name = "";
static int test_passed, test_failed, test_skipped;
static int test_bad;               /* failed checks of the running test                       */
static int test_skip;              /* 1: it was skipped                                       */

/* Counts a failed check and says where; the values follow.  After ten of a test, only counts. */
static int test_fail(const char *file, int line, const char *what)
{
  if (++test_bad > 10) return 0;
  printf("%s:%d: %s: %s", file, line, test_name, what);
  return 1;
}

#define TEST(name) static void name(void)
#define RUN(name) (test_begin(#name), name(), test_end())
#define SKIP(reason) do { \
  test_skip = 1; printf("skipped %s: %s\n", test_name, reason); return; } while (0)

#define CHECK(cond) do { \
  if (!(cond) && test_fail(__FILE__, __LINE__, #cond)) printf(" is false\n"); } while (0)

/* Whole numbers. */
#define CHECK_EQ(a, b) do { long long a_ = (long long)(a), b_ = (long long)(b); \
  if (a_ != b_ && test_fail(__FILE__, __LINE__, #a)) \
    printf(" = %lld, expected %s = %lld\n", a_, #b, b_); } while (0)

/* |a - b| <= tol; NaN is never near. */
#define CHECK_NEAR(a, b, tol) do { double a_ = (double)(a), b_ = (double)(b), t_ = (double)(tol); \
  if (!(fabs(a_ - b_) <= t_) && test_fail(__FILE__, __LINE__, #a)) \
    printf(" = %.9g, expected %s = %.9g within %.3g\n", a_, #b, b_, t_); } while (0)

#define CHECK_STR(a, b) do { const char *a_ = (a), *b_ = (b); \
  if (strcmp(a_, b_) && test_fail(__FILE__, __LINE__, #a)) \
    printf(" = \"%s\", expected \"%s\"\n", a_, b_); } while (0)

static void test_begin(const char *name) { test_name = name; test_bad = test_skip = 0; }

static void test_end(void)
{
  if (test_bad > 10) printf("%s: and %d more\n", test_name, test_bad - 10);
  if (test_bad) test_failed++;
  else if (test_skip) test_skipped++;
  else test_passed++;
}

/* The closing line, and main's return value. */
static int test_report(const char *name)
{
  printf("%s: %d passed, %d failed, %d skipped\n", name, test_passed, test_failed, test_skipped);
  return test_failed != 0;
}

#endif
