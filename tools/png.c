/* PNG files through stb_image_write, where it was there to build with (Debian: libstb-dev).
 * SPDX-License-Identifier: MIT */
#include "canvas.h"

#ifdef ICL_HAVE_STB
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
