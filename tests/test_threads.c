/* One model, many threads: 8 contexts on 8 threads at once, one context with 1 to 16 threads of its own, and
 * several with threads of their own at once.  The answers are those of one thread, to the bit, every time;
 * tests/sanitize.sh runs this under ThreadSanitizer.
 *
 *     build/test_threads            5 repeats
 *     build/test_threads long       100 */
#include <stdlib.h>
#ifndef ICL_THREADS
#define ICL_THREADS
#endif
#define ICL_IMPLEMENTATION
#include "../icl.h"
#include "test.h"
#include <pthread.h>

enum { D = 3, PAIRS = 40, QUERIES = 100, ROWS = 128, MANY = 8, MOST = 16, N_ANSWERS = 3 * QUERIES + 2 };

static int repeats = 5;
static icl_model model;
static float *params, xs[PAIRS * D], ys[PAIRS], queries[QUERIES * D], expected[2][N_ANSWERS];

static void make_model(void)
{
  static unsigned char mem[1 << 14];
  icl_config cfg;
  size_t i;
  memset(&cfg, 0, sizeof cfg);
  cfg.n_dims = D; cfg.n_embd = 64; cfg.n_head = 8; cfg.n_layer = 2; cfg.n_positions = 2 * PAIRS + 1;
  cfg.n_out = 3;
  cfg.layer_norm_epsilon = 1e-5f; cfg.n_quantiles = 2; cfg.quantiles[0] = 0.1f; cfg.quantiles[1] = 0.9f;
  params = (float *)malloc(icl_param_count(&cfg) * sizeof *params);
  for (i = 0; i < icl_param_count(&cfg); i++)
    params[i] = 0.2f * sinf(1.7f * (float)(i % 4093) * (float)(i % 89)) + 0.02f;
  CHECK_EQ(icl_model_bind(&model, &cfg, params, mem, sizeof mem), ICL_OK);
  for (i = 0; i < PAIRS * D; i++) xs[i] = sinf((float)(i * i % 101));
  for (i = 0; i < PAIRS; i++) ys[i] = cosf((float)(i * i % 97));
  for (i = 0; i < QUERIES * D; i++) queries[i] = sinf((float)(i * i % 103)) * 1.4f;
}

/* All that a context tells, in answers[N_ANSWERS]; 0 where a call fails. */
static int ask(icl_storage kv, int threads, icl_parallel *run, void *user, float *answers)
{
  icl_ctx_options o;
  icl_ctx *c = NULL;
  int good;
  memset(&o, 0, sizeof o);
  o.max_pairs = PAIRS; o.queries_at_once = ROWS; o.kv = kv; o.threads = threads; o.run = run; o.user = user;
  memset(answers, 0, N_ANSWERS * sizeof *answers);
  good = icl_ctx_new_with(&c, &model, &o, NULL) == ICL_OK && icl_standardize(c, PAIRS, xs, ys) == ICL_OK
      && icl_add_batch(c, PAIRS, xs, ys) == ICL_OK
      && icl_predict_interval(c, QUERIES, queries, 0.7f, answers, answers + QUERIES,
          answers + 2 * QUERIES) == ICL_OK
      && icl_forget(c, 5) == ICL_OK && icl_add(c, xs, ys[0]) == ICL_OK
      && icl_predict(c, queries, &answers[3 * QUERIES]) == ICL_OK;
  if (good) answers[3 * QUERIES + 1] = icl_residuals(c)[icl_count(c) - 1];
  icl_ctx_delete(c);
  return good;
}

static int as_expected(icl_storage kv, const float *answers)
{
  return !memcmp(answers, expected[kv == ICL_STORE_I8], sizeof expected[0]);
}

typedef struct job { icl_storage kv; int threads, wrong; } job;

/* A thread's work: contexts of its own, each with so many threads of its own. */
static void *work(void *arg)
{
  job *j = (job *)arg;
  icl_threads *t = NULL;
  int i;
  if (icl_threads_new(&t, j->threads)) { j->wrong = -1; return NULL; }
  for (i = 0; i < repeats; i++) {
    float answers[N_ANSWERS];
    if (!ask(j->kv, j->threads, icl_threads_run, t, answers) || !as_expected(j->kv, answers)) j->wrong++;
  }
  icl_threads_delete(t);
  return NULL;
}

/* n threads at once. */
static void together(int n, int threads)
{
  pthread_t thread[MANY];
  job jobs[MANY];
  int i;
  for (i = 0; i < n; i++) {
    jobs[i].kv = i % 2 ? ICL_STORE_I8 : ICL_STORE_F32;
    jobs[i].threads = threads;
    jobs[i].wrong = 0;
    CHECK_EQ(pthread_create(&thread[i], NULL, work, &jobs[i]), 0);
  }
  for (i = 0; i < n; i++) { pthread_join(thread[i], NULL); CHECK_EQ(jobs[i].wrong, 0); }
}

static int used;                   /* runs with more than one task                                      */

static void count_runs(void *user, int n, void (*task)(void *arg, int i), void *arg)
{
  used += n > 1;
  icl_threads_run(user, n, task, arg);
}

TEST(eight_contexts_on_one_model) { together(MANY, 1); }
TEST(three_contexts_with_threads_of_their_own) { together(3, 3); }

TEST(one_to_sixteen_threads)
{
  int n, i;
  for (n = 1; n <= MOST; n++) {
    icl_threads *t = NULL;
    CHECK_EQ(icl_threads_new(&t, n), ICL_OK);
    for (i = 0; i < repeats; i++) {
      float answers[N_ANSWERS];
      icl_storage kv = i % 2 ? ICL_STORE_I8 : ICL_STORE_F32;
      used = 0;
      CHECK(ask(kv, n, count_runs, t, answers));
      CHECK(as_expected(kv, answers));
      CHECK(n == 1 ? used == 0 : used > 0);
    }
    icl_threads_delete(t);
  }
}

int main(int argc, char **argv)
{
#ifdef ICL_TEST_QUICK
  repeats = 2;
#endif
  if (argc > 1) repeats = !strcmp(argv[1], "long") ? 100 : atoi(argv[1]);
  make_model();
  CHECK(ask(ICL_STORE_F32, 1, NULL, NULL, expected[0]) && ask(ICL_STORE_I8, 1, NULL, NULL, expected[1]));
  RUN(eight_contexts_on_one_model);
  RUN(three_contexts_with_threads_of_their_own);
  RUN(one_to_sixteen_threads);
  printf("threads: %d repeats\n", repeats);
  free(params);
  return test_report("threads");
}
