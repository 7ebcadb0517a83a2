/* A training run with its files, its progress on stderr, and its end by a signal.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "training.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* ----- the run ------------------------------------------------------------------------------- */

/* What the library has against the options is bad usage as well. */
static icl_trainer *new_trainer(const command *cmd, const icl_train_options *o)
{
  icl_trainer *t;
  icl_report r = {ICL_OK, 0, ""};
  const icl_error e = icl_trainer_new(&t, o, &r);
  if (e == ICL_ERR_MEMORY) fail("training", "%s", icl_error_string(e));
  if (e) usage_error(cmd, "%s", r.text[0] ? r.text : icl_error_string(e));
  return t;
}

static progress new_progress(const training *s)
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
static int64_t train_to(icl_trainer *trainer, const training *s, const char *state)
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
  e = icl_train_run(trainer, &plan, &last, &r);
  if (p.terminal && p.first >= 0) fputc('\n', stderr);
  if (e)
    fail_report(e == ICL_ERR_STATE || e == ICL_ERR_FORMAT || e == ICL_ERR_DIGEST ? state
                : s->out, &r);
  return last.step;
}

int train(const command *cmd, const training *s)
{
  char *state = join(s->out, ".state");
  icl_trainer *trainer;
  int64_t done;
  int stopped;
  icl_report r;
  if (!s->force) protect_files(s->out, state, s->resume);
  trainer = new_trainer(cmd, &s->o);
  catch_signals();
  if (s->force) remove(state);
  /* can it be? */
  if (!exists(state) && icl_train_save(trainer, state, &r)) fail_report(state, &r);
  fprintf(stderr, "%zu parameters, %d threads\n", icl_trainer_model(trainer)->n_params,
          s->o.threads);
  done = train_to(trainer, s, state);
  stopped = stop && done < s->o.steps;
  if (stopped)
    fprintf(stderr, "stopped after step %" PRId64 "; %s goes on from there\n", done,
            s->resume ? "the same command" : "--resume");
  else
    fprintf(stderr, "wrote %s\n", s->out);
  icl_trainer_delete(trainer);
  free(state);
  return !stopped;
}
