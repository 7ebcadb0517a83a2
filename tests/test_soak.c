/* One context for a long time: pairs come, the oldest quarter goes whenever it is full, questions are asked.
 * Each time the same pairs are in it, it gives the same bits as the first time and as a new context; nothing
 * is allocated.
 *
 *     build/test_soak               300,000 appends, and what is forgotten between them
 *     build/test_soak long          100,000,000; build/test_soak N: so many */
#include <stdlib.h>
static long allocations;
static void *test_realloc(void *old, size_t size) { allocations++; return realloc(old, size); }
#define ICL_MALLOC(size) test_realloc(NULL, size)
#define ICL_REALLOC(p, size) test_realloc(p, size)
#define ICL_FREE(p) free(p)
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"
#include "held.h"

enum { WINDOW = 16, PERIOD = 60, N_PARAMS = 4096 };        /* a forgetting drops 4, so 60 is 15 of them  */

static long appends = 300000;
static float params[N_PARAMS];
static icl_model model;
static unsigned char model_mem[4096];

static void make_model(void)
{
  icl_config cfg;
  int i;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = 1; cfg.n_embd = 8; cfg.n_head = 2; cfg.n_layer = 1; cfg.n_positions = 2 * WINDOW + 1;
  cfg.n_out = 1;
  cfg.layer_norm_epsilon = 1e-5f;
  for (i = 0; i < N_PARAMS; i++) params[i] = 0.6f * sinf(1.7f * (float)i * (float)i) + 0.1f;
  CHECK_EQ(icl_model_bind(&model, &cfg, params, model_mem, sizeof model_mem), ICL_OK);
}

/* Bytes of the process's own pages in memory, 0 where the system does not say.  The counters of statm
 * lag by up to 32 pages a processor; this walks the page table. */
static long resident(void)
{
  FILE *f = fopen("/proc/self/smaps_rollup", "r");
  char line[128];
  long kilobytes = 0;
  while (f && fgets(line, sizeof line, f))
    if (!strncmp(line, "Anonymous:", 10)) kilobytes = atol(line + 10);
  if (f) fclose(f);
  return 1024 * kilobytes;
}

static float x_of(long i) { return (float)(i * 37 % PERIOD) / 20.0f - 1.5f; }
static float y_of(long i) { return (float)(i * 23 % PERIOD) / 25.0f - 1.2f; }

/* Append number i; where there is no room, the oldest quarter goes first. */
static int append(icl_ctx *c, long i, long *forgets)
{
  float x = x_of(i);
  icl_error err = ICL_OK;
  if (icl_count(c) == WINDOW) { err = icl_forget(c, WINDOW / 4); ++*forgets; }
  return !err && icl_add(c, &x, y_of(i)) == ICL_OK;
}

static icl_ctx *new_ctx(icl_storage kv)
{
  icl_ctx_options o = ctx_options(WINDOW, 1, kv);
  icl_ctx *c = NULL;
  CHECK_EQ(icl_ctx_new_with(&c, &model, &o, NULL), ICL_OK);
  return c;
}

/* c holds the last pairs before number i of the stream, as a new context would. */
static void compare_fresh(const icl_ctx *c, long i)
{
  icl_ctx *fresh = new_ctx(c->kv);
  long k;
  for (k = i - c->n_pairs; k < i; k++) {
    float x = x_of(k);
    CHECK_EQ(icl_add(fresh, &x, y_of(k)), ICL_OK);
  }
  CHECK(unchanged(fresh, take(c)));
  icl_ctx_delete(fresh);
}

static void soak(icl_storage kv, long n)
{
  icl_ctx *c = new_ctx(kv);
  float first = 0, y = 0, x = 0.3f;
  long i, forgets = 0, asked = 0, bad = 0, bytes = 0, started = allocations;
  for (i = 0; i < n && bad < 10; i++) {
    bad += !append(c, i, &forgets);
    if (i % PERIOD) continue;
    bad += icl_predict(c, &x, &y) != ICL_OK;
    if (i == 4 * PERIOD) { first = y; bytes = resident(); }
    if (i > 4 * PERIOD) bad += memcmp(&y, &first, sizeof y) != 0;
    asked++;
  }
  CHECK_EQ(bad, 0);
  CHECK_EQ(allocations, started);
#ifndef __SANITIZE_ADDRESS__                               /* which keeps freed memory for a while       */
  CHECK(resident() - bytes <= 65536);                      /* what the C library's stdio takes           */
#endif
  compare_fresh(c, i);
  CHECK_EQ(icl_rewind(c, 0), ICL_OK);
  for (i = 0; i < WINDOW; i++) CHECK(append(c, i, &forgets));
  compare_fresh(c, WINDOW);
  printf("soak: %ld appends, %ld forgettings, %ld questions, %ld bytes more\n", n, forgets, asked,
         resident() - bytes);
  icl_ctx_delete(c);
}

TEST(bits_and_memory_stay) { soak(ICL_STORE_F32, appends); }
TEST(rounded_caches_stay) { soak(ICL_STORE_I8, appends / 10); }

int main(int argc, char **argv)
{
  if (argc > 1) appends = !strcmp(argv[1], "long") ? 100000000 : atol(argv[1]);
  make_model();
  RUN(bits_and_memory_stay);
  RUN(rounded_caches_stay);
  return test_report("soak");
}
