/* Follows a drifting sensor: a sliding window of the last readings, from which the next one is predicted
 * before it comes; a reading far outside of its interval is reported and not learned.
 *
 *     cc -O2 -I. examples/08_drift.c -lm -o build/08_drift && build/08_drift
 */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <math.h>
#include <stdio.h>

enum { WINDOW = 24, STEPS = 160, FAULT = 120 };

/* What the sensor says at time t: a drift, a daily wave, noise, and one fault. */
static float sensor(int t)
{
  static unsigned seed = 1;
  float noise = 0;
  int i;
  for (i = 0; i < 4; i++) {
    seed = seed * 1664525u + 1013904223u;
    noise += (float)(seed >> 8) / 16777216.0f - 0.5f;       /* of four: deviation 0.58 */
  }
  return 20 + 0.02f * (float)t + 2 * sinf((float)t / 6) + 0.15f * noise + (t == FAULT ? 3.0f : 0.0f);
}

/* Room for one more pair: drops a quarter of the window now and then, since those that stay are read anew,
 * each in the light of those before it. */
static icl_error make_room(icl_ctx *c)
{
  return icl_count(c) < WINDOW ? ICL_OK : icl_forget(c, WINDOW / 4);
}

int main(void)
{
  icl_model *model;
  icl_ctx *c;
  icl_report why;
  double missed = 0, missed_by_last = 0;
  float last = 0;
  int t, n = 0, inside = 0;

  if (icl_load(&model, "examples/models/curves.safetensors", &why)) { puts(why.text); return 1; }
  if (icl_ctx_new(&c, model, WINDOW, 1)) return 1;
  for (t = 0; t < STEPS; t++) {
    const float x = (float)t, y = sensor(t);
    float at, lo, hi;
    int jump = 0;
    if (icl_count(c) >= WINDOW / 2) {
      if (icl_standardize(c, 0, NULL, NULL)) return 1;      /* scaled by the pairs that it holds */
      if (icl_predict_interval(c, 1, &x, 0.95f, &at, &lo, &hi)) return 1;
      jump = y < lo - (hi - lo) || y > hi + (hi - lo);
      if (jump) printf("t = %d: %.1f, where %.1f to %.1f was expected\n", t, y, lo, hi);
      if (!jump && t != FAULT + 1) {
        missed += (at - y) * (at - y);
        missed_by_last += (last - y) * (last - y);
        inside += y >= lo && y <= hi;
        n++;
      }
    }
    if (!jump) {                                            /* what is no reading is not learned */
      if (make_room(c) || icl_add(c, &x, y)) return 1;
      last = y;
    }
  }
  printf("%d readings predicted: error %.2f; taking the last reading %.2f\n", n, sqrt(missed / n),
         sqrt(missed_by_last / n));
  printf("inside of their 95 %% interval: %d of %d\n", inside, n);
  icl_ctx_delete(c);
  icl_unload(model);
  return 0;
}
