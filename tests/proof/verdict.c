/* The loader's verdict on checkpoints from standard input, each with its length before it in 4 bytes,
 * little-endian: a line "CODE OFFSET TEXT" for each. */
#define ICL_IMPLEMENTATION
#include "icl.h"

int main(void)
{
  unsigned char head[4];
  while (fread(head, 1, 4, stdin) == 4) {
    size_t n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16;
    unsigned char *data = (unsigned char *)malloc(n + 1);
    icl_report r;
    icl_error e;
    if (!data || fread(data, 1, n, stdin) != n) return 1;
    e = icl_inspect(data, n, NULL, NULL, &r);
    printf("%d %lu %s\n", (int)e, (unsigned long)(e ? r.offset : 0), e ? r.text : "");
    free(data);
  }
  return 0;
}
