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

/* ----- prompts that training does not see ---------------------------------------------------- */

prompts draw_prompts(const icl_train_options *o, icl_draw draw, void *user, int n, uint64_t seed)
{
  const size_t P = (size_t)o->pairs, d = (size_t)o->model.n_dims;
  prompts p = {n, o->pairs, o->model.n_dims, NULL, NULL};
  icl_sampling sampling = o->sampling;
  float *function;
  icl_task task;
  size_t i;
  memset(&task, 0, sizeof task);
  sampling.dims_active = 0;
  if (!draw)
    check(icl_task_parse(&task, o->task, o->model.n_dims, o->own, o->n_own, NULL), "task");
  function = allocate(icl_prompt_scratch(&task), sizeof *function);
  p.xs = allocate((size_t)n * P * d, sizeof *p.xs);
  p.ys = allocate((size_t)n * P, sizeof *p.ys);
  for (i = 0; i < (size_t)n; i++) {
    float *xs = p.xs + i * P * d, *ys = p.ys + i * P;
    icl_rng rng;
    icl_rng_init(&rng, seed, EVAL_STREAM, i);
    check(draw ? icl_prompt_own(draw, user, &sampling, &rng, p.dims, p.pairs, xs, ys)
               : icl_prompt_sample(&task, &sampling, &rng, p.pairs, xs, ys, NULL, function),
          "drawing a prompt");
  }
  free(function);
  return p;
}

void free_prompts(prompts *p)
{
  free(p->xs);
  free(p->ys);
}

void measure_curve(double *curve, icl_batch *b, const prompts *p)
{
  const size_t P = (size_t)p->pairs;
  float *preds = allocate((size_t)p->n * P, sizeof *preds);
  const int bad = icl_batch_predict(b, p->n, p->xs, p->ys, preds) != ICL_OK;
  size_t i, k;
  for (k = 0; k < P; k++) {
    curve[k] = bad ? (double)NAN : 0;
    for (i = 0; i < (size_t)p->n; i++) {
      const double e = (double)preds[i * P + k] - (double)p->ys[i * P + k];
      curve[k] += e * e / p->n;
    }
  }
  free(preds);
}

/* ----- the history --------------------------------------------------------------------------- */

static void add_mark(monitor *m, int64_t step, double all, double last)
{
  struct mark *more = realloc(m->marks, ((size_t)m->n_marks + 1) * sizeof *more);
  if (!more) fail("memory", "cannot have more evaluations");
  m->marks = more;
  more[m->n_marks].step = step;
  more[m->n_marks].eval[0] = all;
  more[m->n_marks++].eval[1] = last;
}

#define HISTORY_HEADER "step,eval,eval_last"

int is_history(const char *path)
{
  line_reader r = open_lines(path);
  const int ours = next_line(&r) && !strncmp(r.text, HISTORY_HEADER, strlen(HISTORY_HEADER));
  close_lines(&r);
  return ours;
}

/* Errors on other prompts cannot be compared with those to come. */
static void read_history(monitor *m)
{
  line_reader r = open_lines(m->history);
  while (next_line(&r)) {
    char *rest = r.text, *step = next_field(&rest, ','), *all = next_field(&rest, ',');
    char *last = next_field(&rest, ','), *prompts = next_field(&rest, ',');
    if (r.number == 1 || !last) continue;
    if (prompts && strtoll(prompts, NULL, 10) != m->n_prompts)
      fail(m->history, "was measured on %s prompts: --eval-prompts %s goes on with it", prompts,
           prompts);
    add_mark(m, strtoll(step, NULL, 10), strtod(all, NULL), strtod(last, NULL));
  }
  close_lines(&r);
}

/* One that fails is told, and the next one writes all of it. */
static void write_history(const monitor *m)
{
  enum { LONGEST = 96 };
  const size_t size = ((size_t)m->n_marks + 1) * LONGEST;
  char *text = allocate(size, 1);
  size_t n = (size_t)snprintf(text, size, HISTORY_HEADER ",prompts\n");
  icl_report r;
  int i;
  for (i = 0; i < m->n_marks; i++)
    n += (size_t)snprintf(text + n, size - n, "%" PRId64 ",%.17g,%.17g,%d\n",
                          m->marks[i].step, m->marks[i].eval[0], m->marks[i].eval[1],
                          m->n_prompts);
  if (icl_replace_file(m->history, text, n, &r))
    fprintf(stderr, "icl: %s; training goes on\n", r.text);
  free(text);
}

/* The mark of the least error so far; 0 where there is none. */
static int best_mark(const monitor *m)
{
  int i, best = 0;
  for (i = 1; i < m->n_marks; i++)
    if (m->marks[i].eval[0] < m->marks[best].eval[0]
        || (isnan(m->marks[best].eval[0]) && !isnan(m->marks[i].eval[0]))) best = i;
  return best;
}

const char *monitor_verdict(const monitor *m)
{
  if (!m->n_marks) return NULL;
  if (m->target > 0 && m->marks[m->n_marks - 1].eval[0] <= m->target) return "--target";
  return m->patience && m->n_marks - 1 - best_mark(m) >= m->patience ? "--patience" : NULL;
}

void monitor_rewind(monitor *m, int64_t step)
{
  const int before = m->n_marks;
  while (m->n_marks && m->marks[m->n_marks - 1].step > step) m->n_marks--;
  if (m->n_marks < before && m->history) write_history(m);
}

/* ----- the evaluation ------------------------------------------------------------------------ */

void monitor_open(monitor *m, const icl_trainer *t, int resume)
{
  const icl_train_options *o = icl_trainer_options(t);
  m->trainer = t;
  m->since = m->last = seconds();
  m->resumed = resume;
  if (!m->eval_every) return;
  if (resume && m->history && file_exists(m->history)) read_history(m);
  m->prompts = draw_prompts(o, m->draw, m->draw_user, m->n_prompts, m->seed);
  m->curve = allocate((size_t)o->pairs, sizeof *m->curve);
  check(icl_batch_new(&m->batch, icl_trainer_result(t), o->pairs, o->threads), "evaluation");
}

/* Measures.  On a step that an undisturbed run measures too it is entered into the history; then 1
 * if it never was better. */
static int evaluate_now(monitor *m, int64_t step, double eval[2])
{
  const int P = m->prompts.pairs;
  const int64_t steps = icl_trainer_options(m->trainer)->steps;
  int k;
  measure_curve(m->curve, m->batch, &m->prompts);
  for (eval[0] = 0, k = 0; k < P; k++) eval[0] += m->curve[k] / P;
  eval[1] = m->curve[P - 1];
  if (step % m->eval_every && step != steps) return 0;
  while (m->n_marks && m->marks[m->n_marks - 1].step >= step) m->n_marks--;
  add_mark(m, step, eval[0], eval[1]);
  if (m->history) write_history(m);
  return !isnan(eval[0]) && best_mark(m) == m->n_marks - 1;
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
  if (m->resumed && file_exists(m->path)) keep_rows(m, out.file, done);
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
  int flags = 0;
  if (!m->begun) begin_log(m, info->step - 1);
  if (due) flags = STEP_EVALUATED | (evaluate_now(m, info->step, eval) ? STEP_IS_BEST : 0);
  if (m->file && !m->lost) {
    const int flush = last || due || now - m->last > 1 || info->step % m->save_every == 0;
    errno = 0;
    m->last = now;
    if (row) put_row(m, info, step_seconds, due ? eval : NULL);
    if (ferror(m->file) || (flush && fflush(m->file))) lose(m);
  }
  m->last = seconds();
  return flags;
}

void monitor_close(monitor *m)
{
  errno = 0;
  if (m->file && fclose(m->file)) lose(m);
  icl_batch_delete(m->batch);
  free_prompts(&m->prompts);
  free(m->curve);
  free(m->marks);
  if (m->lost) fail(m->path, "rows were lost: %s", strerror(m->lost));
}
