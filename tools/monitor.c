/* See monitor.h.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "monitor.h"
#include "evaluate.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char header[] =
  "step,loss,grad_norm,lr,dims,pairs,skipped,tokens_per_s,seconds,eval,eval_last";

/* ----- the evaluation ------------------------------------------------------------------------ */

/* Prompts of the run's own mixture at its full size, which training does not see. */
static void draw_prompts(monitor *m, const icl_train_options *o)
{
  const size_t P = (size_t)o->pairs, d = (size_t)o->model.n_dims;
  icl_sampling sampling = o->sampling;
  icl_task task;
  float *function;
  size_t i;
  sampling.dims_active = 0;
  check(icl_task_parse(&task, o->task, o->model.n_dims, o->own, o->n_own, NULL), "task");
  function = allocate(icl_prompt_scratch(&task), sizeof *function);
  m->xs = allocate((size_t)m->prompts * P * d, sizeof *m->xs);
  m->ys = allocate((size_t)m->prompts * P, sizeof *m->ys);
  m->preds = allocate((size_t)m->prompts * P, sizeof *m->preds);
  for (i = 0; i < (size_t)m->prompts; i++) {
    icl_rng rng;
    icl_rng_init(&rng, o->seed, EVAL_STREAM, i);
    check(icl_prompt_sample(&task, &sampling, &rng, o->pairs, m->xs + i * P * d, m->ys + i * P,
                            NULL, function), "drawing a prompt");
  }
  free(function);
}

void monitor_open(monitor *m, const icl_trainer *t)
{
  const icl_train_options *o = icl_trainer_options(t);
  m->trainer = t;
  m->since = m->last = seconds();
  if (!m->eval_every) return;
  draw_prompts(m, o);
  check(icl_batch_new(&m->batch, icl_trainer_model(t), o->pairs, o->threads), "evaluation");
}

/* NaN where a prediction is not finite. */
static void evaluate_now(const monitor *m, double eval[2])
{
  const int P = icl_trainer_options(m->trainer)->pairs;
  double all = 0, last = 0;
  int i, k;
  if (icl_batch_predict(m->batch, m->prompts, m->xs, m->ys, m->preds)) all = last = NAN;
  for (i = 0; i < m->prompts; i++)
    for (k = 0; k < P; k++) {
      const double e = (double)m->preds[i * P + k] - (double)m->ys[i * P + k];
      all += e * e;
      if (k == P - 1) last += e * e;
    }
  eval[0] = all / ((double)m->prompts * P);
  eval[1] = last / m->prompts;
}

/* ----- the log ------------------------------------------------------------------------------- */

static void lose(monitor *m)
{
  if (m->lost) return;
  m->lost = errno ? errno : EIO;
  fprintf(stderr, "icl: %s: %s; training goes on without this log\n", m->path, strerror(m->lost));
}

/* Copies the rows of steps up to `done` of a log that is there; the seconds of the last one are
 * where this run goes on. */
static void keep_rows(monitor *m, FILE *out, int64_t done)
{
  line_reader r = open_lines(m->path);
  while (next_line(&r)) {
    char *rest, *field = NULL;
    int i;
    if (r.number == 1 && strcmp(r.text, header)) fail(m->path, "is no log of icl train");
    if (r.number == 1 || strtoll(r.text, NULL, 10) > done) continue;
    if (!strchr(r.text, ',')) continue;
    fprintf(out, "%s\n", r.text);
    rest = r.text;
    for (i = 0; i < 9; i++) field = next_field(&rest, ',');
    if (field) m->before = strtod(field, NULL);
  }
  close_lines(&r);
}

static void begin_log(monitor *m, int64_t done)
{
  output out;
  m->begun = 1;
  if (!m->path) return;
  open_output(&out, m->path);
  fprintf(out.file, "%s\n", header);
  if (done && file_exists(m->path)) keep_rows(m, out.file, done);
  close_output(&out);
  m->file = fopen(m->path, "a");
  if (!m->file) fail(m->path, "%s", strerror(errno));
}

static void put_row(monitor *m, const icl_train_info *info, double step_seconds, const double *eval)
{
  const icl_train_options *o = icl_trainer_options(m->trainer);
  const double tokens = (double)o->batch * (2.0 * info->pairs - 1);
  fprintf(m->file, "%" PRId64 ",%.9g,%.9g,%.9g,%d,%d,%" PRId64 ",%.6g,%.6f,", info->step,
          (double)info->loss, (double)info->grad_norm, (double)info->lr, info->dims, info->pairs,
          info->skipped, tokens / (step_seconds + 1e-9), m->before + m->last - m->since);
  if (eval) fprintf(m->file, "%.9g,%.9g\n", eval[0], eval[1]);
  else fputs(",\n", m->file);
}

int monitor_step(monitor *m, const icl_train_info *info, int last, double eval[2])
{
  const double now = seconds(), step_seconds = now - m->last;
  const int due = m->eval_every && (last || info->step % m->eval_every == 0);
  const int row = last || due || info->step % (m->log_every ? m->log_every : 1) == 0;
  if (!m->begun) begin_log(m, info->step - 1);
  if (due) evaluate_now(m, eval);
  if (m->file && !m->lost) {
    const int flush = last || due || now - m->last > 1 || info->step % m->save_every == 0;
    errno = 0;
    m->last = now;
    if (row) put_row(m, info, step_seconds, due ? eval : NULL);
    if (ferror(m->file) || (flush && fflush(m->file))) lose(m);
  }
  m->last = seconds();
  return due;
}

void monitor_close(monitor *m)
{
  errno = 0;
  if (m->file && fclose(m->file)) lose(m);
  icl_batch_delete(m->batch);
  free(m->xs);
  free(m->ys);
  free(m->preds);
  if (m->lost) fail(m->path, "rows were lost: %s", strerror(m->lost));
}
