/* PNG files through stb_image_write, where it was there to build with (Debian: libstb-dev).
 * SPDX-License-Identifier: MIT */
#include "canvas.h"
#include "common.h"

#include <stdlib.h>

#ifdef ICL_HAVE_STB
/* Out of memory, stb's would end in an assertion or in a file of 0 bytes. */
static void *grow(void *old, size_t size)
{
  void *p = realloc(old, size);
  if (!p) fail("memory", "cannot have %zu bytes for a PNG", size);
  return p;
}

#define STBIW_MALLOC(size) grow(NULL, size)
#define STBIW_REALLOC(p, size) grow(p, size)
#define STBIW_FREE(p) free(p)
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#if defined(__GNUC__)              /* warnings of somebody else's file */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#include <stb/stb_image_write.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

static void append(void *file, void *data, int n) { fwrite(data, 1, (size_t)n, (FILE *)file); }

int png_available(void) { return 1; }

void write_png(FILE *file, const unsigned char *rgb, int width, int height)
{
  stbi_write_png_to_func(append, file, width, height, 3, rgb, 3 * width);
}
#else
int png_available(void) { return 0; }

void write_png(FILE *file, const unsigned char *rgb, int width, int height)
{
  (void)file; (void)rgb; (void)width; (void)height;
}
#endif
