/* What tests of the tools need of tools/common.c: fail() leaves its text in `fault` and jumps to after_fault. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf after_fault;
static char fault[8192];

#if defined __SANITIZE_ADDRESS__
const char *__asan_default_options(void);      /* a text that is refused leaves its memory */
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif

void fail(const char *path, const char *format, ...)
{
  va_list args;
  (void)path;
  va_start(args, format);
  vsnprintf(fault, sizeof fault, format, args);
  va_end(args);
  longjmp(after_fault, 1);
}

void *allocate(size_t count, size_t size)
{
  void *p = calloc(count ? count : 1, size);
  if (!p) abort();
  return p;
}
