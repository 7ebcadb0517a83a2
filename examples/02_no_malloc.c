/* A model in a C array, all memory static: no file, no malloc, no stdio in the library.
 *
 *     build/icl embed examples/models/curves.safetensors -o build/curves_model.h
 *     cc -O2 -I. -Ibuild examples/02_no_malloc.c -lm -o build/02_no_malloc && build/02_no_malloc
 */
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#define ICL_IMPLEMENTATION
#include "icl.h"
#include "curves_model.h"        /* curves_model, curves_model_size */
#include <stdio.h>               /* for this program's own printf   */

static unsigned char model_memory[4096];          /* the weights stay in the array          */
static unsigned char ctx_memory[512 * 1024];      /* of which 16 pairs take what is printed */

int main(void)
{
  icl_model model;
  icl_ctx ctx;
  icl_report why;
  size_t need, bytes;
  float x, y;

  if (icl_inspect(curves_model, curves_model_size, NULL, &need, &why)
      || icl_model_init(&model, curves_model, curves_model_size, model_memory, sizeof model_memory,
                        &why)) {
    printf("%s\n", why.text);
    return 1;
  }
  bytes = icl_ctx_bytes(&model, 16, 1);
  printf("model table %lu bytes, context %lu bytes, kernels: %s\n", (unsigned long)need,
         (unsigned long)bytes, icl_isa_name(&model));
  if (icl_ctx_init(&ctx, &model, 16, 1, ctx_memory, sizeof ctx_memory)) return 1;

  for (x = -1.5f; x < 1.6f; x += 0.25f) icl_add(&ctx, &x, 0.8f * x * x - 0.9f);
  icl_standardize(&ctx, 0, NULL, NULL);           /* scaled by the pairs that it holds by now */
  x = 0.6f;
  if (icl_predict(&ctx, &x, &y)) return 1;
  printf("f(%.1f) = %.3f, predicted %.3f\n", x, 0.8f * x * x - 0.9f, y);
  return 0;
}
