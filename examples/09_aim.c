/* A game learns how each player aims: from the shots so far, how far off this player will be at any
 * distance, and how sure that is.  One model for all players, a context for each.
 *
 *     cc -O2 -I. examples/09_aim.c -lm -o build/09_aim && build/09_aim
 */
#define ICL_IMPLEMENTATION
#include "icl.h"
#include <math.h>
#include <stdio.h>

enum { SHOTS = 32, PLAYERS = 2, LOOKS = 5 };

/* Degrees by which a player leads a target too little, at so many metres: what the game does not know. */
static float habit(int player, float metres)
{
  return player ? 2.5f * expf(-metres / 15) - 0.5f : 0.004f * metres * metres / 5;
}

static float noise(unsigned *seed)                          /* deviation 0.29 */
{
  *seed = *seed * 1664525u + 1013904223u;
  return (float)(*seed >> 8) / 16777216.0f - 0.5f;
}

/* One more shot.  The scale is settled anew after 8 and 16 shots, when it is known better. */
static icl_error shot(icl_ctx *c, float metres, float off)
{
  const int n = icl_count(c);
  icl_error e = n < SHOTS ? ICL_OK : icl_forget(c, SHOTS / 4);
  if (!e) e = icl_add(c, &metres, off);
  if (!e && (n == 3 || n == 7 || n == 15)) e = icl_standardize(c, 0, NULL, NULL);
  return e;
}

int main(void)
{
  static const float looks[LOOKS] = {5, 15, 25, 35, 45};
  icl_model *model;
  icl_ctx *players[PLAYERS];
  icl_ctx_options half = {SHOTS, LOOKS, 0, ICL_STORE_F16, NULL, NULL};  /* of the memory, by F16 */
  icl_report why;
  unsigned seed = 7;
  int i, p;

  if (icl_load(&model, "examples/models/curves.safetensors", &why)) { puts(why.text); return 1; }
  for (p = 0; p < PLAYERS; p++)
    if (icl_ctx_new_with(&players[p], model, &half, &why)) { puts(why.text); return 1; }
  printf("a player costs %lu KB\n", (unsigned long)icl_ctx_bytes_with(model, &half, NULL) / 1024);

  for (i = 0; i < 20; i++)                                  /* a round of 20 shots each */
    for (p = 0; p < PLAYERS; p++) {
      const float metres = 25 + 45 * noise(&seed);
      const float off = habit(p, metres) + 0.5f * noise(&seed);
      if (shot(players[p], metres, off)) return 1;
    }

  for (p = 0; p < PLAYERS; p++) {
    float off[LOOKS], lo[LOOKS], hi[LOOKS];
    if (icl_predict_interval(players[p], LOOKS, looks, 0.8f, off, lo, hi)) return 1;
    printf("player %d\n", p + 1);
    for (i = 0; i < LOOKS; i++)
      printf("  at %2.0f m: %5.2f degrees off, 80 %% from %5.2f to %5.2f; truly %5.2f\n", looks[i], off[i],
             lo[i], hi[i], habit(p, looks[i]));
  }
  for (p = 0; p < PLAYERS; p++) icl_ctx_delete(players[p]);
  icl_unload(model);
  return 0;
}
