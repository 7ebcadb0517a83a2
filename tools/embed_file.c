/* Writes a file as a C array, for make: embed_file FILE NAME > HEADER gives NAME.bytes, aligned to
 * 64 bits, and NAME_size.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>

int main(int argc, char **argv)
{
  FILE *in = argc == 3 ? fopen(argv[1], "rb") : NULL;
  unsigned long size = 0, i;
  int failed;
  if (!in) {
    fprintf(stderr, "usage: embed_file FILE NAME > HEADER\n");
    return 1;
  }
  while (getc(in) != EOF) size++;
  rewind(in);
  printf("/* %s */\nenum { %s_size = %lu };\n", argv[1], argv[2], size);
  printf("static const union { unsigned char bytes[%lu]; double align; } %s = {{", size, argv[2]);
  for (i = 0; i < size; i++) printf("%s%d,", i % 24 ? "" : "\n", getc(in));
  printf("\n}};\n");
  failed = ferror(in) | fclose(in) | fflush(stdout) | ferror(stdout);
  return failed || !size;
}
