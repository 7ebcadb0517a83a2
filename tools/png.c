/* A PNG writer without zlib.  Rows are stored as differences from the row above, and runs of one
 * byte are compressed, which is most of what there is to gain in a plot.
 * SPDX-License-Identifier: MIT
 *
 * Formats: PNG is RFC 2083 (www.w3.org/TR/png), zlib RFC 1950, deflate RFC 1951. */
#include "canvas.h"
#include "common.h"

#include <stdlib.h>
#include <string.h>

/* ----- deflate ------------------------------------------------------------------------------- */

/* Bits are packed from the lowest bit of each byte on. */
typedef struct bit_writer {
  unsigned char *bytes;
  size_t n;
  uint32_t bits;
  int n_bits;
} bit_writer;

static void put_bits(bit_writer *w, uint32_t value, int n)
{
  w->bits |= value << w->n_bits;
  w->n_bits += n;
  for (; w->n_bits >= 8; w->n_bits -= 8) {
    w->bytes[w->n++] = (unsigned char)w->bits;
    w->bits >>= 8;
  }
}

/* Huffman codes go in from their highest bit on, unlike everything else. */
static void put_code(bit_writer *w, uint32_t code, int n)
{
  while (n-- > 0) put_bits(w, code >> n & 1, 1);
}

/* A literal byte, the end of the block (256) or a length code (257..285), in the fixed code. */
static void put_symbol(bit_writer *w, uint32_t symbol)
{
  if (symbol < 144) put_code(w, 0x30 + symbol, 8);
  else if (symbol < 256) put_code(w, 0x190 + symbol - 144, 9);
  else if (symbol < 280) put_code(w, symbol - 256, 7);
  else put_code(w, 0xC0 + symbol - 280, 8);
}

/* "The last byte, n more times", 3 <= n <= 258: a length, and the distance 1. */
static void put_run(bit_writer *w, uint32_t n)
{
  uint32_t symbol = 257, first = 3, next = 4;    /* this symbol means lengths first..next - 1 */
  int extra = 0;
  while (n >= next && symbol < 285) {
    symbol++;
    if (symbol >= 265) extra = (int)(symbol - 261) / 4;
    first = next;
    next = first + (1u << extra);
  }
  if (n == 258) {
    symbol = 285;
    extra = 0;
    first = 258;
  }
  put_symbol(w, symbol);
  put_bits(w, n - first, extra);
  put_code(w, 0, 5);
}

/* Adler-32, the check sum of zlib. */
static uint32_t adler32(const unsigned char *p, size_t n)
{
  uint32_t a = 1, b = 0;
  for (; n; n--, p++) {
    a = (a + *p) % 65521;
    b = (b + a) % 65521;
  }
  return b << 16 | a;
}

static void put_be32(unsigned char *p, uint32_t v)
{
  int i;
  for (i = 0; i < 4; i++) p[i] = (unsigned char)(v >> (24 - 8 * i));
}

/* out[2 n + 16] = p[n] as a zlib stream; returns its length. */
static size_t compress(unsigned char *out, const unsigned char *p, size_t n)
{
  bit_writer w = {NULL, 2, 0, 0};
  size_t i = 0, run;
  w.bytes = out;
  memcpy(out, "\x78\x01", 2);
  put_bits(&w, 3, 3);              /* the last block, fixed codes */
  while (i < n) {
    put_symbol(&w, p[i]);
    for (run = 0; run < 258 && i + 1 + run < n && p[i + 1 + run] == p[i]; run++) {}
    if (run < 3) run = 0;
    else put_run(&w, (uint32_t)run);
    i += 1 + run;
  }
  put_symbol(&w, 256);
  put_bits(&w, 0, 7);              /* fills up the last byte */
  put_be32(out + w.n, adler32(p, n));
  return w.n + 4;
}

/* ----- chunks -------------------------------------------------------------------------------- */

static uint32_t crc32(uint32_t crc, const unsigned char *p, size_t n)
{
  int k;
  for (; n; n--, p++) {
    crc ^= *p;
    for (k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
  }
  return crc;
}

static void write_chunk(FILE *file, const char *type, const unsigned char *data, size_t n)
{
  unsigned char head[8], tail[4];
  put_be32(head, (uint32_t)n);
  memcpy(head + 4, type, 4);
  put_be32(tail, ~crc32(crc32(~(uint32_t)0, head + 4, 4), data, n));
  fwrite(head, 1, 8, file);
  if (n) fwrite(data, 1, n, file);
  fwrite(tail, 1, 4, file);
}

/* out[height][1 + 3 width] = each row's bytes minus those above, behind 2, which says just that. */
static void filter_rows(unsigned char *out, const unsigned char *rgb, int width, int height)
{
  const size_t row = 3 * (size_t)width;
  size_t i;
  int y;
  for (y = 0; y < height; y++, rgb += row) {
    *out++ = 2;
    for (i = 0; i < row; i++) *out++ = (unsigned char)(rgb[i] - (y ? rgb[i - row] : 0));
  }
}

void write_png(FILE *file, const unsigned char *rgb, int width, int height)
{
  const size_t n = (size_t)height * (1 + 3 * (size_t)width);
  unsigned char *rows = allocate(n, 1), *packed = allocate(2 * n + 16, 1);
  unsigned char header[13] = {0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0};   /* 8 bits each of RGB */
  put_be32(header, (uint32_t)width);
  put_be32(header + 4, (uint32_t)height);
  filter_rows(rows, rgb, width, height);
  fwrite("\x89PNG\r\n\x1A\n", 1, 8, file);
  write_chunk(file, "IHDR", header, sizeof header);
  write_chunk(file, "IDAT", packed, compress(packed, rows, n));
  write_chunk(file, "IEND", NULL, 0);
  free(rows);
  free(packed);
}
