/* Predicts from a checkpoint file: calibration readings in, a curve with its 90 % interval out.
 *
 *     cc -O2 -I. examples/01_predict.c -lm -o build/01_predict && build/01_predict
 */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <stdio.h>

int main(void)
{
  /* what the sensor said, and what the reference instrument said, in any order */
  static const float raw[] = {1.02f, 1.31f, 1.77f, 2.05f, 2.48f, 2.93f, 3.36f, 3.90f};
  static const float truth[] = {2.1f, 4.9f, 8.2f, 9.7f, 11.3f, 12.4f, 13.1f, 13.6f};
  icl_model *model;
  icl_ctx *ctx;
  icl_report why;
  float x, error, surprise;

  if (icl_load(&model, "examples/models/curves.safetensors", &why)) {
    fprintf(stderr, "%s (byte %lu)\n", why.text, (unsigned long)why.offset);
    return 1;
  }
  if (icl_ctx_new(&ctx, model, 8, 8)) return 1;           /* 8 pairs, 8 queries at once */
  icl_standardize(ctx, 8, raw, truth);                    /* the model wants mean 0, deviation 1 */
  if (icl_add_batch(ctx, 8, raw, truth)) return 1;

  for (x = 1.0f; x < 4.01f; x += 0.5f) {
    float y, lo, hi;
    if (icl_predict_interval(ctx, 1, &x, 0.9f, &y, &lo, &hi)) return 1;
    printf("raw %.1f  ->  %5.2f, with 90 %% between %5.2f and %5.2f\n", x, y, lo, hi);
  }
  if (!icl_check(ctx, &error)) printf("error of a reading that is left out: %.2f\n", error);
  if (!icl_surprise(ctx, &surprise))
    printf("surprise %.2f (0 is usual, above 1 the model is out of its depth)\n", surprise);
  icl_ctx_delete(ctx);
  icl_unload(model);
  return 0;
}
