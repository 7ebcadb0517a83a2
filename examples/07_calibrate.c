/* Calibrates a flow meter from nine readings, with intervals and a second look (icl_refine), says where
 * the next reading would teach most, and keeps the calibration for the next start (icl_ctx_save).
 *
 *     cc -O2 -I. examples/07_calibrate.c -lm -o build/07_calibrate && build/07_calibrate
 */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <stdio.h>

/* Volts of the meter, and litres a minute by weight and stopwatch, as they were taken. */
static const float volts[] = {0.52f, 4.10f, 1.65f, 2.90f, 1.04f, 3.55f, 2.24f, 0.71f, 1.32f};
static const float flow[] = {0.0f, 31.8f, 7.9f, 18.6f, 2.9f, 25.2f, 12.7f, 0.9f, 5.1f};
enum { READINGS = 9, TABLE = 8 };

static int fail(const char *why)
{
  fprintf(stderr, "%s\n", why);
  return 1;
}

/* c's pairs are the readings, and r's what c misses there. */
static icl_error calibrate(icl_ctx *c, icl_ctx *r)
{
  icl_error e = icl_standardize(c, READINGS, volts, flow);
  if (!e) e = icl_add_batch(c, READINGS, volts, flow);
  return e ? e : icl_refine(r, c);
}

/* Prints the table, and returns the volts of the widest interval. */
static float print_table(icl_ctx *c, icl_ctx *r)
{
  float x[TABLE], y[TABLE], lo[TABLE], hi[TABLE];
  int i, widest = 0;
  for (i = 0; i < TABLE; i++) x[i] = 0.6f + 0.5f * (float)i;
  if (icl_predict_refined(c, r, TABLE, x, 0.9f, y, lo, hi)) return 0;
  for (i = 0; i < TABLE; i++) {
    printf("%.1f V  %5.1f l/min, with 90 %% between %5.1f and %5.1f\n", x[i], y[i], lo[i], hi[i]);
    if (hi[i] - lo[i] > hi[widest] - lo[widest]) widest = i;
  }
  return x[widest];
}

int main(void)
{
  static unsigned char kept[512 * 1024];                   /* in an instrument: flash */
  icl_model *model;
  icl_ctx *c, *r, *later;
  icl_report why;
  size_t size;
  float error, q = 2.0f, before, after;

  if (icl_load(&model, "examples/models/curves.safetensors", &why)) return fail(why.text);
  if (icl_ctx_new(&c, model, READINGS, TABLE) || icl_ctx_new(&r, model, READINGS, TABLE)
      || icl_ctx_new(&later, model, READINGS, TABLE)) return fail("no memory");
  if (calibrate(c, r)) return fail("a reading is no number");
  printf("the next reading is best taken at %.1f V\n", print_table(c, r));
  if (!icl_check(c, &error)) printf("a reading that is left out is missed by %.1f l/min\n", error);

  size = icl_ctx_save_bytes(c);
  if (size > sizeof kept || icl_ctx_save(c, kept, size)) return fail("does not fit");
  if (icl_ctx_restore(later, kept, size, &why)) return fail(why.text);
  if (icl_predict(c, &q, &before) || icl_predict(later, &q, &after)) return fail("no answer");
  printf("after a restart the answer at 2 V is %s\n", before == after ? "the same" : "another");
  icl_ctx_delete(later);
  icl_ctx_delete(r);
  icl_ctx_delete(c);
  icl_unload(model);
  return 0;
}
