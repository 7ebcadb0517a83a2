/* Trains on many machines by MPI, and goes on where it was stopped or killed: with as many as there are
 * now, and to the same bits.
 *
 *     mpicc -O2 -DICL_TRAIN_THREADS -I. examples/05_mpi.c -lm -lpthread -o build/05_mpi
 *     mpirun -n 4 build/05_mpi mine             (further arguments: steps, seed)
 *
 * The folder must be one that all machines see: rank 0 writes mine.state and mine.safetensors there, the
 * others read the state.  SIGTERM, SIGINT or SIGUSR1 to any rank stops all of them after the same step.
 * docs/cluster.md has more. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "icl_train.h"
#include <mpi.h>
#include <inttypes.h>

static volatile sig_atomic_t stop;

static void on_signal(int number) { (void)number; stop = 1; }

/* options.reduce, in parts whose number an int holds. */
static int sum_up(void *user, float *x, size_t n)
{
  size_t at, part;
  (void)user;
  for (at = 0; at < n; at += part) {
    part = n - at < (1u << 26) ? n - at : 1u << 26;
    if (MPI_Allreduce(MPI_IN_PLACE, x + at, (int)part, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD)) return 1;
  }
  return 0;
}

static int progress(void *user, const icl_train_info *info)
{
  const int rank = *(const int *)user;
  if (rank == 0 && info->step % 100 == 0)
    fprintf(stderr, "step %" PRId64 "  loss %.4f\n", info->step, (double)info->loss);
  return 0;
}

int main(int argc, char **argv)
{
  static char state[1000], model[1000];
  const char *name = argc > 1 ? argv[1] : "mine";
  icl_train_options o;
  icl_run run;
  icl_train_info last;
  icl_trainer *t;
  icl_report why;
  int rank, failed;
  MPI_Init(&argc, &argv);
  icl_train_defaults(&o);
  MPI_Comm_rank(MPI_COMM_WORLD, &o.rank);
  MPI_Comm_size(MPI_COMM_WORLD, &o.world);
  rank = o.rank;
  o.reduce = sum_up;
  o.shards = 8;                                              /* the same bits on 1 to 8 machines */
  o.task = "0.5*dense + 0.5*sparse(nnz=1)";
  o.model.n_dims = 3; o.model.n_layer = 3; o.model.n_head = 2; o.model.n_embd = 32;
  o.pairs = 16; o.lr = 3e-3f; o.schedule = ICL_LR_COSINE; o.warmup = 200; o.clip = 1; o.init_sd = 0.18f;
  o.steps = argc > 2 ? atoi(argv[2]) : 3000;
  o.seed = argc > 3 ? (uint64_t)atoi(argv[3]) : 0;
  memset(&run, 0, sizeof run);
  snprintf(state, sizeof state, "%s.state", name);
  snprintf(model, sizeof model, "%s.safetensors", name);
  run.state_path = state;
  run.model_path = model;
  run.resume = 1;
  run.save_every = 20;
  run.progress = progress;
  run.user = &rank;
  run.stop = &stop;
  signal(SIGTERM, on_signal);
  signal(SIGINT, on_signal);
  signal(SIGUSR1, on_signal);
  if (icl_trainer_new(&t, &o, &why)) {                       /* the others would wait for ever */
    fprintf(stderr, "rank %d: %s\n", rank, why.text);
    MPI_Abort(MPI_COMM_WORLD, 1);
  }
  failed = icl_train_run(t, &run, &last, &why);
  fprintf(stderr, "rank %d: %s, step %" PRId64 "\n", rank, failed ? why.text : "ok", last.step);
  icl_trainer_delete(t);
  MPI_Finalize();
  return failed != 0;
}
