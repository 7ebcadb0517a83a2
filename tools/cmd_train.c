/* icl train: trains a model, and goes on with one after a stop.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"
#include "icl_train.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEDULE_CHOICES "constant|inverse-sqrt|cosine"

/* ----- stopping ------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop;

/* The first signal asks for an orderly end; the second one, of either kind, ends the process. */
static void on_signal(int number)
{
  (void)number;
  stop = 1;
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

static void catch_signals(void)
{
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
}

/* ----- progress ------------------------------------------------------------------------------ */

typedef struct progress {
  int64_t steps, log_every;
  int64_t first;                   /* steps done when this process began                      */
  double started, shown;           /* seconds()                                               */
  double loss, weight;             /* running sums; their ratio is the smoothed loss          */
  int terminal;
} progress;

/* Averages over the last fifty steps or so; a step without a loss does not count. */
static void smooth_loss(progress *p, double loss)
{
  const double keep = 0.98;
  if (!isfinite(loss)) return;
  p->loss = keep * p->loss + (1 - keep) * loss;
  p->weight = keep * p->weight + (1 - keep);
}

static void print_time_left(double s)
{
  const long t = s < 1e7 ? (long)(s + 0.5) : 9999999L;
  if (t >= 3600) fprintf(stderr, "%ld:%02ld:%02ld left", t / 3600, t / 60 % 60, t % 60);
  else fprintf(stderr, "%ld:%02ld left", t / 60, t % 60);
}

static void print_bar(double share)
{
  enum { WIDTH = 16 };
  const int full = (int)(share * WIDTH);
  int i;
  fputs("\r[", stderr);
  for (i = 0; i < WIDTH; i++) fputc(i < full ? '#' : '.', stderr);
  fputs("] ", stderr);
}

static void show(const progress *p, const icl_train_info *info)
{
  const double rate = (double)(info->step - p->first) / (seconds() - p->started + 1e-9);
  if (p->terminal) print_bar((double)info->step / (double)p->steps);
  fprintf(stderr, "step %" PRId64 "/%" PRId64, info->step, p->steps);
  if (p->weight > 0) fprintf(stderr, "  loss %.4g", p->loss / p->weight);
  if (!p->terminal) fprintf(stderr, "  lr %.3g", (double)info->lr);
  if (info->skipped) fprintf(stderr, "  skipped %" PRId64, info->skipped);
  fprintf(stderr, "  %.3g steps/s  ", rate);
  print_time_left((double)(p->steps - info->step) / (rate + 1e-9));
  fputs(p->terminal ? "\033[K" : "\n", stderr);
  fflush(stderr);
}

/* After each step: a bar ten times a second on a terminal; elsewhere a line every five seconds, or
 * every so many steps.  The last step is always shown. */
static int on_step(void *user, const icl_train_info *info)
{
  progress *p = user;
  const double now = seconds();
  int due = now - p->shown >= (p->terminal ? 0.1 : 5);
  if (p->log_every && !p->terminal) due = info->step % p->log_every == 0;
  if (p->first < 0) p->first = info->step - 1;
  smooth_loss(p, (double)info->loss);
  if (due || info->step == p->steps) {
    show(p, info);
    p->shown = now;
  }
  return 0;
}

/* ----- files --------------------------------------------------------------------------------- */

static int exists(const char *path) { return access(path, F_OK) == 0; }

/* Nothing that took hours to train is overwritten unasked. */
static void protect_files(const char *out, const char *state, int resume)
{
  if (resume && exists(out) && !exists(state))
    fail(out, "is there, but %s is not: --force starts over", state);
  if (resume) return;
  if (exists(state)) fail(state, "is there already: --resume goes on from it, --force starts over");
  if (exists(out)) fail(out, "is there already: --force overwrites it");
}

/* ----- the command --------------------------------------------------------------------------- */

/* What the options say that icl_train_options does not hold as it is. */
typedef struct settings {
  icl_train_options o;
  int positions, activation, schedule;
  const char *out;
  int resume, force;
  int64_t save_every, log_every;
} settings;

static settings default_settings(void)
{
  settings s;
  memset(&s, 0, sizeof s);
  s.o.model.n_layer = 3;           /* the shape and the recipe of Garg et al.'s tiny model */
  s.o.model.n_head = 2;
  s.o.model.n_embd = 64;
  s.o.model.layer_norm_epsilon = 1e-5f;
  s.o.batch = 64;
  s.o.init_sd = 0.02f;
  s.o.lr = 1e-4f;
  s.o.beta1 = 0.9f;
  s.o.beta2 = 0.999f;
  s.o.epsilon = 1e-8f;
  s.o.pairs_add = 2;
  s.o.max_bad = 10;
  s.o.threads = processors(ICL_MAX_THREADS);
  s.o.sampling.x_scale = s.o.sampling.y_scale = 1;
  s.save_every = 1000;
  return s;
}

static settings parse_settings(int argc, char **argv)
{
  settings s = default_settings();
  icl_train_options *o = &s.o;
  icl_config *m = &o->model;
  const option table[] = {
    OPT_TEXT("--task", "SPEC", &o->task,
             "(required) what to draw functions from, e.g. dense,\n"
             "'sparse(nnz=2)' or '0.5*dense + 0.5*relu(hidden=100)';\n"
             "icl_train.h explains all"),
    OPT_INT("--dims", "d", &m->n_dims, 1, 4096, "(required) inputs of a function"),
    OPT_INT("--pairs", "P", &o->pairs, 1, 1 << 20, "(required) pairs of a prompt"),
    OPT_COUNT("--steps", "N", &o->steps, 1, "(required) optimizer steps"),
    OPT_TEXT("-o", "OUT", &s.out, "(required) the checkpoint to write, OUT.safetensors"),
    OPT_FLAG("--resume", &s.resume, "go on from the training state OUT.state, if it is there"),
    OPT_FLAG("--force", &s.force, "overwrite OUT and OUT.state"),
    OPT_COUNT("--save-every", "N", &s.save_every, 1, "steps between saves"),
    OPT_COUNT("--log-every", "N", &s.log_every, 0,
              "steps between lines where there is no terminal; otherwise\nthere is one in 5 s"),
    OPT_SEED("--seed", "S", &o->seed, "of weights and prompts"),
    OPT_INT("--threads", "T", &o->threads, 1, ICL_MAX_THREADS, "the result does not depend on it"),
    OPT_INT("--layers", "L", &m->n_layer, 1, 4096, "decoder blocks"),
    OPT_INT("--heads", "H", &m->n_head, 1, 4096, "attention heads, a divisor of C"),
    OPT_INT("--width", "C", &m->n_embd, 1, 1 << 20, "width of the residual stream"),
    OPT_CHOICE("--positions", POSITION_CHOICES, &s.positions, "position embedding"),
    OPT_INT("--n-positions", "N", &m->n_positions, 1, INT_MAX / 4,
            "tokens that the model is made for; otherwise 2 P - 1"),
    OPT_CHOICE("--activation", ACTIVATION_CHOICES, &s.activation, "of the MLP"),
    OPT_INT("--n-out", "N", &m->n_out, 1, 4096, "rows of the read-out, 1 or d; otherwise 1"),
    OPT_REAL("--layer-norm-epsilon", "E", &m->layer_norm_epsilon, TINY_REAL, 0.1, "of LayerNorm"),
    OPT_REAL("--init-sd", "S", &o->init_sd, TINY_REAL, 10,
             "of the first weights of the blocks; narrow models learn far\n"
             "sooner with 1 / sqrt(C)"),
    OPT_INT("--batch", "B", &o->batch, 1, 1 << 24, "prompts a step"),
    OPT_REAL("--lr", "R", &o->lr, TINY_REAL, 10, "learning rate, or its peak"),
    OPT_CHOICE("--schedule", SCHEDULE_CHOICES, &s.schedule, "of the learning rate"),
    OPT_COUNT("--warmup", "N", &o->warmup, 0,
              "steps of linear warm-up; inverse-sqrt has 5000 otherwise"),
    OPT_REAL("--lr-end", "SHARE", &o->lr_end, 0, 1, "cosine: of R, at the last step"),
    OPT_REAL("--beta1", "B", &o->beta1, TINY_REAL, 0.999999, "Adam"),
    OPT_REAL("--beta2", "B", &o->beta2, TINY_REAL, 0.999999, "Adam"),
    OPT_REAL("--epsilon", "E", &o->epsilon, TINY_REAL, 1, "Adam"),
    OPT_REAL("--weight-decay", "W", &o->weight_decay, 0, 10, "AdamW, decoupled"),
    OPT_REAL("--clip", "G", &o->clip, 0, 1e9, "largest norm of the gradient; 0 is no limit"),
    OPT_INT("--max-bad", "N", &o->max_bad, 1, INT_MAX,
            "give up after N steps in a row that are not finite"),
    OPT_INT("--dims-start", "d", &o->dims_start, 1, 4096, "curriculum: inputs in use at first"),
    OPT_COUNT("--dims-every", "N", &o->dims_every, 1, "... and one more every N steps"),
    OPT_INT("--pairs-start", "P", &o->pairs_start, 1, 1 << 20, "curriculum: pairs at first"),
    OPT_INT("--pairs-add", "P", &o->pairs_add, 1, 1 << 20, "... and so many more"),
    OPT_COUNT("--pairs-every", "N", &o->pairs_every, 1, "... every N steps"),
    OPT_CHOICE("--x", X_CHOICES, &o->sampling.x_uniform, "distribution of inputs, variance 1"),
    OPT_REAL("--x-scale", "F", &o->sampling.x_scale, TINY_REAL, 1e6, "inputs times F"),
    OPT_REAL("--y-scale", "F", &o->sampling.y_scale, TINY_REAL, 1e6, "outputs times F"),
    OPT_END
  };
  parse_options(&cmd_train, table, argc, argv, NULL, 0);
  m->position_embedding_type = (icl_position)s.positions;
  m->activation_function = (icl_activation)s.activation;
  o->schedule = (icl_schedule)s.schedule;
  return s;
}

/* Whatever can be said to be wrong with the options before anything is done. */
static void check_settings(const settings *s)
{
  const icl_train_options *o = &s->o;
  const char *missing = !o->task ? "--task" : !o->model.n_dims ? "--dims" :
                        !o->pairs ? "--pairs" : !o->steps ? "--steps" : !s->out ? "-o" : NULL;
  icl_task task;
  icl_report r = {ICL_OK, 0, ""};
  if (missing) usage_error(&cmd_train, "%s is required", missing);
  if (o->model.n_embd % o->model.n_head)
    usage_error(&cmd_train, "--heads %d does not divide --width %d", o->model.n_head,
                o->model.n_embd);
  if (!o->dims_start != !o->dims_every)
    usage_error(&cmd_train, "--dims-start and --dims-every go together");
  if (!o->pairs_start != !o->pairs_every)
    usage_error(&cmd_train, "--pairs-start and --pairs-every go together");
  if (icl_task_parse(&task, o->task, o->model.n_dims, NULL, 0, &r))
    usage_error(&cmd_train, "--task, character %zu: %s", r.offset + 1, r.text);
  if (s->resume && s->force) usage_error(&cmd_train, "--resume and --force contradict each other");
}

/* What the library has against the options is bad usage as well. */
static icl_trainer *new_trainer(const icl_train_options *o)
{
  icl_trainer *t;
  icl_report r = {ICL_OK, 0, ""};
  const icl_error e = icl_trainer_new(&t, o, &r);
  if (e == ICL_ERR_MEMORY) fail("training", "%s", icl_error_string(e));
  if (e) usage_error(&cmd_train, "%s", r.text[0] ? r.text : icl_error_string(e));
  return t;
}

static progress new_progress(const settings *s)
{
  progress p;
  memset(&p, 0, sizeof p);
  p.steps = s->o.steps;
  p.log_every = s->log_every;
  p.first = -1;
  p.started = p.shown = seconds();
  p.terminal = isatty(STDERR_FILENO);
  return p;
}

/* Trains to the end or to a signal; returns the steps done. */
static int64_t train(icl_trainer *trainer, const settings *s, const char *state)
{
  progress p = new_progress(s);
  icl_report r = {ICL_OK, 0, ""};
  icl_train_info last;
  icl_run plan;
  icl_error e;
  memset(&last, 0, sizeof last);
  memset(&plan, 0, sizeof plan);
  plan.model_path = s->out;
  plan.state_path = state;
  plan.resume = s->resume;
  plan.save_every = s->save_every;
  plan.progress = on_step;
  plan.user = &p;
  plan.stop = &stop;
  catch_signals();
  e = icl_train_run(trainer, &plan, &last, &r);
  if (p.terminal && p.first >= 0) fputc('\n', stderr);
  if (e)
    fail_report(e == ICL_ERR_STATE || e == ICL_ERR_FORMAT || e == ICL_ERR_DIGEST ? state
                : s->out, &r);
  return last.step;
}

static int run(int argc, char **argv)
{
  const settings s = parse_settings(argc, argv);
  icl_trainer *trainer;
  int64_t done;
  int stopped;
  char *state;
  icl_report r;
  check_settings(&s);
  state = join(s.out, ".state");
  if (!s.force) protect_files(s.out, state, s.resume);
  trainer = new_trainer(&s.o);
  if (s.force) remove(state);
  /* can it be? */
  if (!exists(state) && icl_train_save(trainer, state, &r)) fail_report(state, &r);
  fprintf(stderr, "%zu parameters, %d threads\n", icl_trainer_model(trainer)->n_params,
          s.o.threads);
  done = train(trainer, &s, state);
  stopped = stop && done < s.o.steps;
  if (stopped)
    fprintf(stderr, "stopped after step %" PRId64 "; --resume goes on from there\n", done);
  else
    fprintf(stderr, "wrote %s\n", s.out);
  icl_trainer_delete(trainer);
  free(state);
  return stopped ? EXIT_STOPPED : EXIT_SUCCESS;
}

const command cmd_train = {
  "train", "trains a model",
  "--task SPEC --dims d --pairs P --steps N -o OUT.safetensors [options]",
  "Trains a transformer on prompts of functions, drawn afresh for every step, and writes it to\n"
  "OUT.  The training state goes to OUT.state.  Ctrl-C or SIGTERM finishes the step, saves and\n"
  "exits with 130; the same command with --resume then ends with the same bits as a run without\n"
  "a stop.",
  run
};
