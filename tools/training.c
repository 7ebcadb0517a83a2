/* A training run with its files, its progress on stderr, and its end by a signal.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "training.h"
#include "monitor.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ----- stopping ------------------------------------------------------------------------------ */

static volatile sig_atomic_t stop;

/* From a keyboard, kill, a terminal that went away, batch systems shortly before they kill. */
#ifdef _WIN32
static const int stop_signals[] = {SIGINT, SIGTERM};
#else
static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
#endif
enum { N_SIGNALS = sizeof stop_signals / sizeof *stop_signals };

/* The first signal asks for an orderly end; the second one, of any kind, ends the process. */
static void on_signal(int number)
{
  int i;
  (void)number;
  stop = 1;
  for (i = 0; i < N_SIGNALS; i++) signal(stop_signals[i], SIG_DFL);
}

#ifdef _WIN32
static void set_signals(void (*handler)(int))
{
  int i;
  for (i = 0; i < N_SIGNALS; i++) signal(stop_signals[i], handler);
}
#else
/* Under nohup, SIGHUP stays ignored. */
static void set_signals(void (*handler)(int))
{
  struct sigaction action, old;
  int i;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (i = 0; i < N_SIGNALS; i++)
    if (stop_signals[i] != SIGHUP || sigaction(SIGHUP, NULL, &old) || old.sa_handler != SIG_IGN)
      sigaction(stop_signals[i], &action, NULL);
}
#endif

/* ----- progress ------------------------------------------------------------------------------ */

typedef struct progress {
  const training *s;
  const char *state;
  icl_trainer *trainer;
  const char *ended;               /* the option that ended the run, or NULL                  */
  int kept;                        /* 1: out has the weights of an evaluation                 */
  int64_t lost;                    /* step of better ones that could not be written, or 0     */
  double lost_error;               /* and their error                                         */
  double saved;                    /* seconds() at the last save by the clock                 */
  int64_t steps, log_every;
  int64_t first;                   /* steps done when this process began                      */
  double started, shown;           /* seconds()                                               */
  double loss, weight;             /* running sums; their ratio is the smoothed loss          */
  int terminal;
  monitor monitor;
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

static void show_evaluation(const progress *p, const icl_train_info *info, const double eval[2],
                            int best)
{
  const int most = icl_trainer_options(p->monitor.trainer)->pairs - 1;
  fprintf(stderr, "%sstep %" PRId64 "  error on %s %.4g, %.4g with %d pairs%s%s\n",
          p->terminal ? "\r" : "", info->step, p->s->held_out ? "functions held out" : "new prompts",
          eval[0], eval[1], most, best && p->s->keep_best ? ", kept" : "",
          p->terminal ? "\033[K" : "");
}

/* A save on the way that failed; the bar, if there is one, begins on a new line. */
static void on_save_failed(void *user, const icl_report *r)
{
  const progress *p = user;
  fprintf(stderr, "%sicl: %s; training goes on, and the next save tries again\n",
          p->terminal ? "\n" : "", r->text);
}

/* The weights of the best evaluation so far, after so many steps.  What cannot be written is as if it
 * had not been measured, so that OUT is the best of the others. */
static void keep_best(progress *p, int64_t step, double error)
{
  icl_report r;
  if (!icl_train_export(p->trainer, p->s->out, &r)) {
    p->kept = 1;
    if (p->lost && error <= p->lost_error) p->lost = 0;
    return;
  }
  fprintf(stderr, "%sicl: %s; training goes on without these weights\n", p->terminal ? "\n" : "",
          r.text);
  if (!p->lost || error < p->lost_error) {
    p->lost = step;
    p->lost_error = error;
  }
  monitor_rewind(&p->monitor, step - 1);
}

static void save_by_the_clock(progress *p, double now)
{
  icl_report r;
  if (!(p->s->save_minutes > 0) || now - p->saved < 60 * (double)p->s->save_minutes) return;
  if (icl_train_save(p->trainer, p->state, &r)) on_save_failed(p, &r);
  p->saved = seconds();
}

/* After each step: a bar ten times a second on a terminal; elsewhere a line every five seconds, or
 * every so many steps.  The last step is always shown. */
static int on_step(void *user, const icl_train_info *info)
{
  progress *p = user;
  const double now = seconds();
  double eval[2];
  int due = now - p->shown >= (p->terminal ? 0.1 : 5), flags;
  if (p->log_every && !p->terminal) due = info->step % p->log_every == 0;
  if (p->first < 0) p->first = info->step - 1;
  smooth_loss(p, (double)info->loss);
  if (due || info->step == p->steps) {
    show(p, info);
    p->shown = now;
  }
  if (p->s->minutes > 0 && now - p->started >= 60 * (double)p->s->minutes) p->ended = "--minutes";
  flags = monitor_step(&p->monitor, info, stop || p->ended || info->step == p->steps, eval);
  if (flags) show_evaluation(p, info, eval, flags & STEP_IS_BEST);
  if (flags & STEP_IS_BEST && p->s->keep_best) keep_best(p, info->step, eval[0]);
  if (flags && monitor_verdict(&p->monitor)) p->ended = monitor_verdict(&p->monitor);
  if (p->ended) return 1;
  save_by_the_clock(p, now);
  return 0;
}

/* ----- files --------------------------------------------------------------------------------- */

static icl_lock *lock;             /* of OUT.state                                            */
static int locked_once;

/* At the end of the run or, where that fails, of the process. */
static void drop_lock(void)
{
  icl_lock_delete(lock);
  lock = NULL;
}

/* 1 if two names are or would be one file: the same name in the same folder. */
static int same_place(const char *a, const char *b)
{
  const char *x = strrchr(a, '/'), *y = strrchr(b, '/');
  char *folder_a, *folder_b;
  int same;
  if (same_file(a, b)) return 1;
  if (strcmp(x ? x + 1 : a, y ? y + 1 : b)) return 0;
  folder_a = x ? join(a, "") : join("./", "");
  folder_b = y ? join(b, "") : join("./", "");
  if (x) folder_a[x - a + 1] = 0;
  if (y) folder_b[y - b + 1] = 0;
  same = same_file(folder_a, folder_b);
  free(folder_a);
  free(folder_b);
  return same;
}

/* OUT.evals.csv, what the run's evaluations found; NULL where nothing hangs on them. */
static char *history_path(const training *s)
{
  if (!s->keep_best && !s->patience && !(s->target > 0)) return NULL;
  return join(s->out, ".evals.csv");
}

/* A file of that name that is no history is somebody's. */
static void protect_history(const training *s)
{
  char *path = history_path(s);
  if (path && !s->force && file_exists(path) && !is_history(path))
    fail(path, "is there already, and no file of icl train: --force overwrites it");
  free(path);
}

/* Nothing that took hours to train is overwritten unasked; OUT must be a file that can be made. */
static void protect_files(const command *cmd, const training *s, const char *state)
{
  const int there = file_exists(s->out), begun = file_exists(state);
  static const char *const endings[] = {"", ".state", ".state.lock", ".config", ".evals.csv"};
  size_t i;
  for (i = 0; i < sizeof endings / sizeof *endings; i++) {
    char *own = join(s->out, endings[i]);
    if (file_exists(own) && s->from) protect_output(cmd, own, s->from, 1);
    if (file_exists(own) && s->data) protect_output(cmd, own, s->data, 1);
    if (s->log && same_place(s->log, own))
      usage_error(cmd, "--log '%s' is a file that -o '%s' writes", s->log, s->out);
    free(own);
  }
  protect_output(cmd, s->out, NULL, 1);
  protect_history(s);
  if (s->resume && there && !begun)
    fail(s->out, "is there, but %s is not: --force starts over", state);
  if (s->log) protect_output(cmd, s->log, s->data, 1);
  if (s->log) protect_output(cmd, s->log, s->from, (s->resume && begun) || s->force);
  if (s->resume || s->force) return;
  if (begun) fail(state, "is there already: --resume goes on from it, --force starts over");
  if (there) fail(s->out, "is there already: --force overwrites it");
}

void protect_training(const command *cmd, const training *s)
{
  char *state = join(s->out, ".state");
  protect_files(cmd, s, state);
  free(state);
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

static progress new_progress(const training *s, icl_trainer *trainer, const char *state)
{
  progress p;
  memset(&p, 0, sizeof p);
  p.s = s;
  p.trainer = trainer;
  p.state = state;
  p.saved = seconds();
  p.steps = s->o.steps;
  p.log_every = s->log_every;
  p.first = -1;
  p.started = p.shown = seconds();
  p.terminal = isatty(STDERR_FILENO);
  p.monitor.path = s->log;
  p.monitor.log_every = s->log_every;
  p.monitor.save_every = s->save_every;
  p.monitor.eval_every = s->eval_every;
  p.monitor.n_prompts = s->eval_prompts;
  p.monitor.draw = s->held_out ? draw_rows : NULL;
  p.monitor.draw_user = (void *)s->held_out;
  p.monitor.seed = s->eval_seed + MONITOR_SEED;
  p.monitor.history = history_path(s);
  p.monitor.patience = s->patience;
  p.monitor.target = (double)s->target;
  return p;
}

/* The model of a run without a best evaluation: the last one. */
static void export_last(const progress *p)
{
  icl_report r;
  if (p->kept || (p->monitor.n_marks && file_exists(p->s->out))) return;
  if (icl_train_export(p->trainer, p->s->out, &r)) fail_report(p->s->out, &r);
}

/* 1 if an option has ended the run before: after the step of its state, which OUT gets. */
static int ended_before(progress *p, icl_trainer *trainer, icl_train_info *at)
{
  icl_report r = {ICL_OK, 0, ""};
  if (!monitor_verdict(&p->monitor)) return 0;
  if (p->s->keep_best && !file_exists(p->s->out)) return 0;
  if (icl_train_resume(trainer, p->state, &r)) fail_report(p->state, &r);
  icl_trainer_next(trainer, at);
  monitor_rewind(&p->monitor, at->step);
  if (!monitor_verdict(&p->monitor)) return 0;
  if (!p->s->keep_best && icl_train_export(trainer, p->s->out, &r)) fail_report(p->s->out, &r);
  return 1;
}

/* Trains to the end, to a signal or to what options say; returns the steps done.  begun: there was a
 * state to go on from.  *began: steps done before, -1 if none was done now; *ended: the option that
 * ended the run, or NULL. */
static int64_t train_to(icl_trainer *trainer, const training *s, const char *state, int begun,
                        int64_t *began, const char **ended)
{
  progress p = new_progress(s, trainer, state);
  icl_report r = {ICL_OK, 0, ""};
  icl_train_info last;
  icl_run plan;
  icl_error e;
  memset(&last, 0, sizeof last);
  memset(&plan, 0, sizeof plan);
  monitor_open(&p.monitor, trainer, begun);
  *began = -1;
  if (begun && ended_before(&p, trainer, &last)) {
    *ended = monitor_verdict(&p.monitor);
    monitor_close(&p.monitor);
    free((char *)p.monitor.history);
    return last.step;
  }
  plan.model_path = s->keep_best ? NULL : s->out;
  plan.state_path = state;
  plan.resume = s->resume;
  plan.save_every = s->save_every;
  plan.progress = on_step;
  plan.user = &p;
  plan.stop = &stop;
  plan.lock = lock;
  plan.save_failed = on_save_failed;
  e = icl_train_run(trainer, &plan, &last, &r);
  if (p.terminal && p.first >= 0) fputc('\n', stderr);
  if (e)
    fail_report(e == ICL_ERR_STATE || e == ICL_ERR_FORMAT || e == ICL_ERR_DIGEST
                || strstr(r.text, ".state'") ? state : s->out, &r);
  if (s->keep_best) export_last(&p);
  if (p.lost)
    fail(s->out, "could not be written after step %" PRId64 ", whose error is the least; it has the "
         "best of the other evaluations", p.lost);
  monitor_close(&p.monitor);
  free((char *)p.monitor.history);
  *began = p.first;
  *ended = p.ended;
  return last.step;
}

/* What came of it, after `done` steps. */
static void say_end(const training *s, int64_t began, int64_t done, int stopped, const char *ended)
{
  if (ended && began >= 0)
    fprintf(stderr, "%s ended it after step %" PRId64 "\n", ended, done);
  if (ended && began < 0)
    fprintf(stderr, "%s ended it before: nothing was trained\n", ended);
  if (ended) {
    if (began >= 0) fprintf(stderr, "wrote %s\n", s->out);
    return;
  }
  if (stopped)
    fprintf(stderr, "stopped after step %" PRId64 "; %s goes on from there\n", done,
            s->resume ? "the same command" : "--resume");
  else if (began < 0)
    fprintf(stderr, "all %" PRId64 " steps were done before: nothing was trained; wrote %s\n", done,
            s->out);
  else
    fprintf(stderr, "wrote %s\n", s->out);
}

int train(const command *cmd, const training *s)
{
  char *state = join(s->out, ".state");
  icl_trainer *trainer;
  const char *ended;
  int64_t began, done;
  int stopped, begun;
  icl_report r;
  protect_files(cmd, s, state);
  trainer = new_trainer(cmd, &s->o);
  if (icl_lock_new(&lock, state, &r)) fail_report(state, &r);
  if (!locked_once++) atexit(drop_lock);
  protect_files(cmd, s, state);      /* again: whoever had the lock until now may have made them */
  begun = s->resume && !s->force && file_exists(state);
  set_signals(on_signal);
  /* fail now rather than after hours if the state cannot be written */
  if ((s->force || !file_exists(state)) && icl_train_save(trainer, state, &r))
    fail_report(state, &r);
  if (s->begun) s->begun(s->user);
  fprintf(stderr, "%zu parameters, %d thread%s\n", icl_trainer_model(trainer)->n_params,
          s->o.threads, s->o.threads == 1 ? "" : "s");
  done = train_to(trainer, s, state, begun, &began, &ended);
  set_signals(SIG_DFL);
  stopped = stop && done < s->o.steps && !ended;
  say_end(s, began, done, stopped, ended);
  drop_lock();
  icl_trainer_delete(trainer);
  free(state);
  return !stopped;
}
