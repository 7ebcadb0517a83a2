/* A thermistor is calibrated on a microcontroller: eight readings at known temperatures go in, a
 * curve comes out; a sensor of another kind is refused; the calibration outlives a power cut.
 * Compiled for Cortex-M by mcu.sh and for a PC, which must print the same numbers.
 * SPDX-License-Identifier: MIT */
#define ICL_NO_MALLOC
#define ICL_NO_STDIO
#include "board.h"
#include "icl.h"
#include "sensors_model.h"             /* sensors_model, sensors_model_size: build/icl embed   */
#include <string.h>

typedef struct reading { int celsius, counts; } reading;      /* of a 12-bit converter         */

/* A thermistor of 10 kOhm and B = 3950 K by its name, 10.4 kOhm and 3890 K in truth, below a
 * resistor of 10 kOhm: R = R0 exp(B (1/T - 1/298.15 K)), counts = 4095 R / (R + 10 kOhm).  The
 * outermost points first, then those between. */
static const reading reference[] = {
  {0, 3171}, {80, 491}, {40, 1464}, {20, 2314}, {60, 856}, {10, 2764}, {70, 648}, {30, 1868}
};
static const reading between[] = {
  {5, 2975}, {15, 2541}, {25, 2088}, {35, 1659}, {45, 1286}, {55, 982}, {65, 745}, {75, 564}
};
/* A pressure sensor in the same bath reads the air's pressure. */
static const reading pressure[] = {
  {0, 1652}, {80, 1655}, {40, 1650}, {20, 1653}, {60, 1651}, {10, 1654}, {70, 1652}, {30, 1653}
};
enum { READINGS = 8, PAIRS = 32 };

static unsigned char model_memory[2 * 1024];
static unsigned char ctx_memory[119 * 1024];
static icl_model model;
static icl_ctx ctx;
static int failed;

/* ----- output: no printf ---------------------------------------------------------------------- */

static void print_count(const char *name, unsigned long v)
{
  char text[12], *p = text + sizeof text;
  *--p = 0;
  do { *--p = (char)('0' + v % 10); v /= 10; } while (v);
  board_print(name);
  board_print(" ");
  board_print(p);
  board_print("\n");
}

/* name v, with six decimals; |v| < 4e9. */
static void print_number(const char *name, float v)
{
  char text[32] = " -", *p = text + sizeof text;
  unsigned long whole, part, i;
  float size = v < 0 ? -v : v;
  whole = (unsigned long)size;
  part = (unsigned long)((size - (float)whole) * 1e6f + 0.5f);
  if (part >= 1000000) { part -= 1000000; whole++; }
  *--p = 0;
  *--p = '\n';
  for (i = 0; i < 6; i++, part /= 10) *--p = (char)('0' + part % 10);
  *--p = '.';
  do { *--p = (char)('0' + whole % 10); whole /= 10; } while (whole);
  if (v < 0) *--p = '-';
  board_print(name);
  board_print(" ");
  board_print(p);
}

static void check(const char *what, int good)
{
  board_print(good ? "ok " : "FAILED ");
  board_print(what);
  board_print("\n");
  failed |= !good;
}

/* ----- the work ------------------------------------------------------------------------------- */

/* An empty context that sees counts and degrees at mean 0 and standard deviation 1, and keeps keys
 * and values in a type. */
static int begin(icl_storage kv)
{
  const float middle = 1850.0f, spread = 800.0f;
  icl_ctx_options o = {PAIRS, 1, 1, kv, NULL, NULL};
  return icl_ctx_init_with(&ctx, &model, &o, ctx_memory, sizeof ctx_memory, NULL)
      || icl_ctx_scale(&ctx, &middle, &spread, 40.0f, 25.0f);
}

/* What the model makes of readings of a sensor; 1 or more is unlike all it was trained on. */
static float learn(const reading *r, icl_storage kv)
{
  float x, surprise = -1.0f;
  int i, err = begin(kv);
  for (i = 0; i < READINGS && !err; i++, r++) {
    x = (float)r->counts;
    err = icl_add(&ctx, &x, (float)r->celsius);
  }
  check("eight readings", !err && !icl_surprise(&ctx, &surprise));
  return surprise;
}

/* celsius[READINGS] at the counts between the references. */
static void convert(float *celsius)
{
  float x;
  int i, err = 0;
  for (i = 0; i < READINGS; i++) {
    x = (float)between[i].counts;
    err |= icl_predict(&ctx, &x, &celsius[i]) != ICL_OK;
  }
  check("eight conversions", !err);
}

/* Keys and values in fewer bytes: within so many degrees of the answers celsius[READINGS]. */
static void fewer_bytes(const float *celsius)
{
  static const struct { icl_storage kv; float within; const char *name; } ways[] = {
    {ICL_STORE_F16, 0.02f, "keys and values in F16"}, {ICL_STORE_BF16, 0.1f, "in BF16"},
    {ICL_STORE_I8, 0.3f, "in I8"}
  };
  float again[READINGS];
  int i, good;
  size_t k;
  for (k = 0; k < sizeof ways / sizeof *ways; k++) {
    good = learn(reference, ways[k].kv) < 1.0f;
    convert(again);
    for (i = 0; i < READINGS; i++) {
      float d = again[i] - celsius[i];
      good &= d < ways[k].within && d > -ways[k].within;
    }
    check(ways[k].name, good);
  }
}

/* Multiply-adds of a pair, or of a query (tokens 1), behind n pairs: blocks, read-in, read-out.
 * The y of a pair needs no more than keys and values of the last block. */
static unsigned long multiply_adds(unsigned long n, int tokens)
{
  unsigned long C = (unsigned long)model.config.n_embd, L = (unsigned long)model.config.n_layer;
  unsigned long sum = L * (12 * C * C + 2 * C * (2 * n + 1)) + 2 * C;
  if (tokens == 2) sum += (L - 1) * (12 * C * C + 2 * C * (2 * n + 2)) + 3 * C * C + C;
  return sum;
}

/* Instructions of the 32nd pair and of a query behind it. */
static void count_instructions(void)
{
  unsigned long at;
  float x = 1000.0f, y = 0.0f;
  int i, err = 0;
  at = board_instructions();
  board_run_200000();
  print_count("#calibration", board_instructions() - at);
  for (i = icl_count(&ctx); i < PAIRS && !err; i++, x += 50.0f) {
    at = board_instructions();
    err = icl_add(&ctx, &x, 60.0f - 0.02f * x);
  }
  print_count("#append", board_instructions() - at);
  print_count("append_multiply_adds", multiply_adds(PAIRS - 1, 2));
  at = board_instructions();
  check("a full context answers", !err && !icl_predict(&ctx, &x, &y));
  print_count("#query", board_instructions() - at);
  print_count("query_multiply_adds", multiply_adds(PAIRS, 1));
  print_number("full", y);
}

int main(void)
{
  float celsius[READINGS], again[READINGS], surprise, worst = 0;
  size_t saved;
  int i;
  icl_report why;
  if (icl_model_init(&model, sensors_model, sensors_model_size, model_memory, sizeof model_memory,
                     &why)) {
    board_print(why.text);
    return 1;
  }
  surprise = learn(reference, ICL_STORE_F32);
  print_number("surprise", surprise);
  check("the thermistor is accepted", surprise < 1.0f);
  convert(celsius);
  for (i = 0; i < READINGS; i++) {
    float error = celsius[i] - (float)between[i].celsius;
    print_number("celsius", celsius[i]);
    if (error < 0) error = -error;
    if (error > worst) worst = error;
  }
  print_number("worst", worst);
  check("within two degrees", worst < 2.0f);

  saved = icl_ctx_save_bytes(&ctx);
  check("saved", !icl_ctx_save(&ctx, board_nvm, sizeof board_nvm));
  print_count("saved_bytes", saved);
  surprise = learn(pressure, ICL_STORE_F32);
  print_number("surprise", surprise);
  check("the pressure sensor is refused", surprise > 1.0f);

  memset(ctx_memory, 0xff, sizeof ctx_memory);                          /* the power is cut     */
  check("restored", !begin(ICL_STORE_F32) && !icl_ctx_restore(&ctx, board_nvm, saved, NULL));
  convert(again);
  check("the same bits as before", !memcmp(celsius, again, sizeof again));

  count_instructions();
  fewer_bytes(celsius);
  print_count("#stack", board_stack_used());
  board_print("#kernels ");
  board_print(icl_isa_name(&model));
  board_print(failed ? "\nFAILED\n" : "\nall well\n");
  return failed;
}
