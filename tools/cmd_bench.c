/* icl bench: how fast training and prediction are on this machine.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include "icl_train.h"
#include "bench_peak.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What is timed, in the order of the output. */
enum { TRAIN, FORWARD, QUERY, APPEND, QUERIES, N_JOBS, PEAK = N_JOBS, BANDWIDTH, N_WHAT };

enum { N_QUERIES = 1000 };

typedef struct bench {
  icl_train_options o;
  int repeat, storage;
  const char *isa;                 /* the kernels by name; NULL: the best                     */
  int wanted[N_WHAT];
  icl_trainer *trainer;
  icl_model model;                 /* random weights: the trainer's before its first step     */
  void *file, *model_mem;
  icl_batch *batch;
  icl_ctx *ctx;
  icl_threads *threads;
  float *xs, *ys, *preds;          /* [B][P][d], [B][P], [B][P]                               */
  float *queries, *answers;        /* [N_QUERIES][d], [N_QUERIES]                             */
} bench;

/* ----- the work ------------------------------------------------------------------------------ */

/* One Adam step on B prompts of P pairs, which includes drawing them. */
static void train_once(bench *b)
{
  icl_train_info info;
  check(icl_train_step(b->trainer, &info), "bench: train");
}

/* All P predictions of B prompts. */
static void forward_once(bench *b)
{
  check(icl_batch_predict(b->batch, b->o.batch, b->xs, b->ys, b->preds), "bench: forward");
}

static void add_all_but_one(bench *b)
{
  const int n = b->o.pairs - 1;
  check(icl_rewind(b->ctx, 0), "bench: query");
  if (n > 0) check(icl_add_batch(b->ctx, n, b->xs, b->ys), "bench: query");
}

/* The last pair of the first prompt. */
static const float *last_x(const bench *b) {
  return b->xs + (size_t)(b->o.pairs - 1) * (size_t)b->o.model.n_dims;
}

/* One cold prompt: P - 1 pairs and one query. */
static void query_once(bench *b)
{
  check(icl_rewind(b->ctx, 0), "bench: query");
  check(icl_ask(b->ctx, b->o.pairs - 1, b->xs, b->ys, 1, last_x(b), b->preds), "bench: query");
}

static void rewind_one(bench *b)
{
  check(icl_rewind(b->ctx, b->o.pairs - 1), "bench: append");
}

/* One icl_add after P - 1 pairs. */
static void append_once(bench *b)
{
  check(icl_add(b->ctx, last_x(b), b->ys[b->o.pairs - 1]), "bench: append");
}

/* A thousand queries on P - 1 pairs. */
static void queries_once(bench *b)
{
  check(icl_predict_batch(b->ctx, N_QUERIES, b->queries, b->answers), "bench: queries");
}

static const struct {
  const char *name;
  void (*once)(bench *);           /* the first time, once, before all: not timed             */
  void (*before)(bench *);         /* before each run, not timed                              */
  void (*work)(bench *);
  const char *unit;
  double per_second;               /* units in one                                            */
  double flops;                    /* nominal, in units of 2 * params * B * 2P; 0: not told   */
} jobs[N_JOBS] = {
  {"train", NULL, NULL, train_once, "ms", 1e3, 3},
  {"forward", NULL, NULL, forward_once, "ms", 1e3, 1},
  {"query", NULL, NULL, query_once, "us", 1e6, 0},
  {"append", add_all_but_one, rewind_one, append_once, "us", 1e6, 0},
  {"queries", add_all_but_one, NULL, queries_once, "ms", 1e3, 0}
};

/* ----- timing -------------------------------------------------------------------------------- */

enum { FEWEST_RUNS = 5, MOST_RUNS = 1000 };

/* Whether n runs that took so many seconds together are enough. */
static int enough(const bench *b, int n, double spent)
{
  if (b->repeat) return n == b->repeat;
  return n == MOST_RUNS || (n >= FEWEST_RUNS && spent >= 1);
}

/* Times a job; returns the median in seconds, after printing it and the least. */
static double time_job(bench *b, int what)
{
  const int room = b->repeat ? b->repeat : MOST_RUNS;
  double *times = allocate((size_t)room, sizeof *times), spent = 0, middle;
  int n;
  if (jobs[what].once) jobs[what].once(b);
  for (n = -1; n < 0 || !enough(b, n, spent); n++) {   /* run -1 warms up */
    double start;
    if (jobs[what].before) jobs[what].before(b);
    start = seconds();
    jobs[what].work(b);
    if (n < 0) continue;
    times[n] = seconds() - start;
    spent += times[n];
  }
  middle = median(times, (size_t)n);       /* sorts: the least is now first */
  printf("%s median %.6g min %.6g %s\n", jobs[what].name, middle * jobs[what].per_second,
         times[0] * jobs[what].per_second, jobs[what].unit);
  flush_output();
  free(times);
  return middle;
}

/* The most that a kind of task does a second, in units of `each`, over all threads at once. */
static double best_rate(bench *b, void (*task)(void *, int), void *arg, double each)
{
  double best = 0;
  int run;
  for (run = 0; run < 7; run++) {
    double start = seconds(), rate;
    icl_threads_run(b->threads, b->o.threads, task, arg);
    rate = each * b->o.threads / (seconds() - start);
    if (rate > best) best = rate;
  }
  return best;
}

static void measure_peak(bench *b)
{
  float kept[ICL_MAX_THREADS];
  peak_work work;
  work.isa = icl_isa_name(&b->model);
  work.kept = kept;
  printf("peak_gflops %.6g\n", 1e-9 * best_rate(b, peak_task, &work, peak_flop(work.isa)));
}

/* Reading far more than the caches hold. */
static void measure_bandwidth(bench *b)
{
  const size_t floats = (size_t)32 << 20;
  float *x = allocate((size_t)b->o.threads * floats, sizeof *x);
  float sums[ICL_MAX_THREADS];
  read_area area;
  size_t i;
  for (i = 0; i < (size_t)b->o.threads * floats; i++) x[i] = 1;
  area.isa = icl_isa_name(&b->model);
  area.x = x;
  area.floats = floats;
  area.sum = sums;
  printf("bandwidth_gbs %.6g\n", 1e-9 * best_rate(b, read_task, &area, 4.0 * (double)floats));
  free(x);
}

static void run_jobs(bench *b)
{
  const double token = 2.0 * (double)b->model.n_params;
  const double unit = token * b->o.batch * 2.0 * b->o.pairs;
  double medians[N_JOBS];
  char name[64];
  int i;
  printf("processor %s\n", processor_name(name, sizeof name));
  printf("kernels %s\n", icl_isa_name(&b->model));
  for (i = 0; i < N_JOBS; i++)
    if (b->wanted[i]) medians[i] = time_job(b, i);
  for (i = 0; i < N_JOBS; i++)
    if (b->wanted[i] && jobs[i].flops > 0)
      printf("%s_gflops %.6g\n", jobs[i].name, 1e-9 * jobs[i].flops * unit / medians[i]);
  if (b->wanted[QUERIES])
    printf("queries_gflops %.6g\n", 1e-9 * N_QUERIES * token / medians[QUERIES]);
  if (b->wanted[PEAK]) measure_peak(b);
  if (b->wanted[BANDWIDTH]) measure_bandwidth(b);
}

/* ----- the command --------------------------------------------------------------------------- */

/* A model of the same weights as a checkpoint would give it. */
static void store(bench *b)
{
  icl_metadata md;
  size_t size, need;
  memset(&md, 0, sizeof md);
  md.storage = (icl_storage)b->storage;
  size = icl_write_bytes(&b->o.model, &md);
  b->file = allocate(size, 1);
  check(icl_write(b->file, size, &b->o.model, icl_trainer_params(b->trainer), &md), "bench: write");
  check(icl_inspect(b->file, size, NULL, &need, NULL), "bench: read");
  b->model_mem = allocate(need, 1);
  check(icl_model_init(&b->model, b->file, size, b->model_mem, need, NULL), "bench: read");
}

/* Chooses the kernels of a model. */
static void choose(const bench *b, icl_model *m)
{
  const icl_error e = icl_model_isa(m, b->isa);
  if (e == ICL_ERR_LIMIT) fail("bench", "this processor has no %s", b->isa);
  if (e) usage_error(&cmd_bench, "--isa: this build has no kernels '%s'", b->isa);
}

static void set_up(bench *b)
{
  const size_t n = (size_t)b->o.batch * (size_t)b->o.pairs, d = (size_t)b->o.model.n_dims;
  icl_report r = {ICL_OK, 0, ""};
  icl_rng rng;
  size_t i;
  if (icl_trainer_new(&b->trainer, &b->o, &r)) fail("bench", "%s", r.text);
  b->o.model = icl_trainer_model(b->trainer)->config;
  store(b);
  choose(b, &b->model);
  choose(b, (icl_model *)(uintptr_t)icl_trainer_model(b->trainer));     /* before its first step */
  check(icl_batch_new(&b->batch, &b->model, b->o.pairs, b->o.threads), "bench: forward");
  check(icl_ctx_new(&b->ctx, &b->model, b->o.pairs,
                    b->wanted[QUERIES] ? N_QUERIES : 2 * b->o.pairs), "bench: query");
  check(icl_threads_new(&b->threads, b->o.threads), "bench: threads");
  check(icl_ctx_threads(b->ctx, b->o.threads, icl_threads_run, b->threads), "bench: threads");
  b->xs = allocate(n * d, sizeof *b->xs);
  b->ys = allocate(n, sizeof *b->ys);
  b->preds = allocate(n, sizeof *b->preds);
  icl_rng_init(&rng, 0, 0, 0);
  b->queries = allocate(N_QUERIES * d, sizeof *b->queries);
  b->answers = allocate(N_QUERIES, sizeof *b->answers);
  for (i = 0; i < N_QUERIES * d; i++) b->queries[i] = icl_rng_normal(&rng);
  for (i = 0; i < n * d; i++) b->xs[i] = icl_rng_normal(&rng);
  for (i = 0; i < n; i++) b->ys[i] = icl_rng_normal(&rng);
}

static void tear_down(bench *b)
{
  icl_ctx_delete(b->ctx);
  icl_threads_delete(b->threads);
  icl_batch_delete(b->batch);
  icl_trainer_delete(b->trainer);
  free(b->file);
  free(b->model_mem);
  free(b->xs);
  free(b->ys);
  free(b->preds);
  free(b->queries);
  free(b->answers);
}

static const char *name_of(int what)
{
  return what == PEAK ? "peak" : what == BANDWIDTH ? "bandwidth" : jobs[what].name;
}

static void parse_what(bench *b, const char *list)
{
  char *copy = join(list, ""), *rest = copy, *name;
  int i;
  for (name = next_field(&rest, ','); name; name = next_field(&rest, ',')) {
    for (i = 0; i < N_WHAT && strcmp(name, name_of(i)); i++) {}
    if (i == N_WHAT) usage_error(&cmd_bench, "--what: no '%s'", name);
    b->wanted[i] = 1;
  }
  free(copy);
}

static int run(int argc, char **argv)
{
  bench b;
  const char *what = "train,forward,query,append";
  const option table[] = {
    OPT_INT("--layers", "L", &b.o.model.n_layer, 1, 4096, "decoder blocks"),
    OPT_INT("--heads", "H", &b.o.model.n_head, 1, 4096, "attention heads, a divisor of C"),
    OPT_INT("--width", "C", &b.o.model.n_embd, 1, 1 << 20, "width of the residual stream"),
    OPT_INT("--dims", "d", &b.o.model.n_dims, 1, 4096, "inputs of a function"),
    OPT_INT("--pairs", "P", &b.o.pairs, 1, 1 << 20, "pairs of a prompt"),
    OPT_INT("--batch", "B", &b.o.batch, 1, 1 << 24, "prompts a step"),
    OPT_INT("--threads", "T", &b.o.threads, 1, ICL_MAX_THREADS, "of all"),
    OPT_CHOICE("--weights", STORAGE_CHOICES, &b.storage, "of all but train"),
    OPT_TEXT("--isa", "NAME", &b.isa, "kernels: avx512, avx2, c ..; otherwise the best"),
    OPT_TEXT("--what", "LIST", &what, "what to time"),
    OPT_INT("--repeat", "N", &b.repeat, 1, 1000000,
            "runs of each; otherwise as many as take a second, 5 to 1000"),
    OPT_END
  };
  memset(&b, 0, sizeof b);
  b.o.model.n_layer = 3;
  b.o.model.n_head = 2;
  b.o.model.n_embd = 64;
  b.o.model.n_dims = 20;
  b.o.pairs = 41;
  b.o.batch = 64;
  b.o.threads = processors(ICL_MAX_THREADS);
  b.o.task = "dense";
  b.o.steps = 1000000000;          /* more than there will be */
  parse_options(&cmd_bench, table, argc, argv, NULL, 0);
  if (b.o.model.n_embd % b.o.model.n_head)
    usage_error(&cmd_bench, "--heads %d does not divide --width %d", b.o.model.n_head,
                b.o.model.n_embd);
  parse_what(&b, what);
  b.o.model.n_positions = 2 * b.o.pairs + 1;   /* append takes pair P into the context */
  set_up(&b);
  run_jobs(&b);
  tear_down(&b);
  return EXIT_SUCCESS;
}

const command cmd_bench = {
  "bench", "how fast this machine trains and predicts", "[options]",
  "Times a model with random weights, after telling processor and kernels:\n"
  "  train    one Adam step on B prompts of P pairs\n"
  "  forward  all P predictions of B prompts\n"
  "  query    one cold prompt, P-1 pairs and one query\n"
  "  append   one icl_add after P-1 pairs\n"
  "  queries  1,000 queries after P-1 pairs\n"
  "and prints the median and the least of several runs, after one that is not timed.  The GFLOP/s\n"
  "are nominal, by the median: forward is 2 * parameters * B * 2P operations, train three times\n"
  "that, queries 2 * parameters * 1000.  Two more are what the machine does at best:\n"
  "  peak       GFLOP/s of multiply-adds in registers, of the kernels' width\n"
  "  bandwidth  GB/s of reading memory",
  run
};
