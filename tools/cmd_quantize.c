/* icl quantize: a checkpoint with smaller weights, and what that costs.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "evaluate.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ----- the file ------------------------------------------------------------------------------ */

/* A model and the bytes that it was made of. */
typedef struct stored_model { icl_model model; void *mem, *file; size_t size; } stored_model;

/* icl.typical of a model, in thousandths as files have it; NULL for a model without. */
static char *typical_text(const icl_model *m)
{
  enum { LONGEST = 9 };            /* "-1000000 " */
  const int n = 2 * m->n_typical;
  char *text, *at;
  int i;
  if (!n) return NULL;
  at = text = allocate((size_t)n * LONGEST + 1, 1);
  for (i = 0; i < n; i++)
    at += sprintf(at, "%s%ld", i ? " " : "", lround(1000 * (double)m->typical[i]));
  return text;
}

/* icl.typical of a model, measured anew on n_contexts of each length. */
static char *measure_typical(const icl_model *m, const char *name, int n_contexts)
{
  icl_train_options o;
  icl_trainer *t;
  icl_report why = {ICL_OK, 0, ""};
  char *text;
  size_t size;
  icl_train_defaults(&o);
  o.model = m->config;
  o.task = m->task;
  o.from = m;
  o.steps = 1;
  o.pairs = m->n_typical ? m->n_typical : prompt_pairs(&cmd_quantize, m, 0);
  sample_as_trained(&cmd_quantize, &o.sampling, m, name);
  if (icl_trainer_new(&t, &o, &why)) fail_report(name, &why);
  size = (size_t)o.pairs * ICL_TYPICAL_BYTES + 1;
  text = allocate(size, 1);
  check(icl_train_typical(t, n_contexts, text, size), name);
  icl_trainer_delete(t);
  return text;
}

/* The model as a checkpoint with that kind of weights would give it.  Owns typical. */
static void store(stored_model *s, const icl_model *m, int storage, char *typical)
{
  float *params = allocate(m->n_params, sizeof *params);
  icl_metadata md;
  size_t need = 0;
  memset(&md, 0, sizeof md);
  md.task = m->task[0] ? m->task : NULL;
  md.sampling = m->sampling[0] ? m->sampling : NULL;
  md.recipe = m->recipe[0] ? m->recipe : NULL;
  md.typical = typical;
  md.storage = (icl_storage)storage;
  s->size = icl_write_bytes(&m->config, &md);
  s->file = allocate(s->size, 1);
  check(icl_model_params(m, params), "weights");
  check(icl_write(s->file, s->size, &m->config, params, &md), "weights of that type");
  check(icl_inspect(s->file, s->size, NULL, &need, NULL), "quantize");
  s->mem = allocate(need, 1);
  check(icl_model_init(&s->model, s->file, s->size, s->mem, need, NULL), "quantize");
  free(typical);
  free(params);
}

/* ----- learning curves ----------------------------------------------------------------------- */

typedef struct report {
  icl_task task;
  icl_sampling sampling;
  uint64_t seed;
  int pairs, prompts;              /* P of a prompt; how many                                 */
} report;

/* What one model makes of the prompts. */
typedef struct column { icl_ctx *ctx; double *sums; } column;    /* [pairs] squared errors      */

static column new_column(const report *r, const icl_model *m, int kv)
{
  column c;
  icl_ctx_options o;
  memset(&o, 0, sizeof o);
  o.max_pairs = r->pairs - 1;
  o.queries_at_once = 2 * r->pairs - 1;
  o.kv = (icl_storage)kv;
  check(icl_ctx_new_with(&c.ctx, m, &o, NULL), "context");
  c.sums = allocate((size_t)r->pairs, sizeof *c.sums);
  return c;
}

static void free_column(column *c)
{
  icl_ctx_delete(c->ctx);
  free(c->sums);
}

/* The predictions of a prompt's y from the pairs before each, and of the last from all others. */
static void add_errors(column *c, const report *r, const float *xs, const float *ys)
{
  const int last = r->pairs - 1;
  float y;
  int k;
  check(icl_rewind(c->ctx, 0), "context");
  check(icl_ask(c->ctx, last, xs, ys, 1, xs + last * r->task.n_dims, &y), "model");
  for (k = 0; k < last; k++) {
    const double e = (double)icl_residuals(c->ctx)[k];
    c->sums[k] += e * e;
  }
  c->sums[last] += ((double)y - (double)ys[last]) * ((double)y - (double)ys[last]);
}

/* Prints k,model,quantized: the mean squared errors on the same prompts. */
static void print_curves(const report *r, const icl_model *before, const icl_model *after, int kv)
{
  const size_t width = (size_t)r->pairs;
  column a = new_column(r, before, ICL_STORE_F32), b = new_column(r, after, kv);
  float *xs = allocate(width * (size_t)r->task.n_dims, sizeof *xs);
  float *ys = allocate(width, sizeof *ys);
  float *function = allocate(icl_prompt_scratch(&r->task), sizeof *function);
  int i, k;
  for (i = 0; i < r->prompts; i++) {
    icl_rng rng;
    icl_rng_init(&rng, r->seed, EVAL_STREAM, (uint64_t)i);
    check(icl_prompt_sample(&r->task, &r->sampling, &rng, r->pairs, xs, ys, NULL, function),
          "drawing a prompt");
    add_errors(&a, r, xs, ys);
    add_errors(&b, r, xs, ys);
  }
  puts("k,model,quantized");
  for (k = 0; k < r->pairs; k++)
    printf("%d,%.9g,%.9g\n", k, a.sums[k] / r->prompts, b.sums[k] / r->prompts);
  flush_output();
  free_column(&a);
  free_column(&b);
  free(xs);
  free(ys);
  free(function);
}

/* ----- the command --------------------------------------------------------------------------- */

typedef struct request {
  const char *model, *out, *task;
  int dtype, kv, force, typical;
} request;

static request parse_request(report *r, int argc, char **argv)
{
  request q = {NULL, NULL, NULL, ICL_STORE_F32, ICL_STORE_F32, 0, 0};
  const option table[] = {
    OPT_TEXT("-o", "OUT", &q.out, "the checkpoint to write, OUT.safetensors"),
    OPT_CHOICE("--dtype", STORAGE_CHOICES, &q.dtype,
               "of the matrices of blocks; i8 has one scale per output\nchannel; -o wants one"),
    OPT_INT("--typical", "N", &q.typical, 100, 1 << 20,
            "measure what surprise compares with anew, on N contexts of each\n"
            "length from the mixture it was trained on; then without --dtype\n"
            "all weights are f32"),
    OPT_FLAG("--force", &q.force, FORCE_HELP),
    OPT_INT("--prompts", "M", &r->prompts, 1, INT_MAX / 2,
            "print learning curves before and after, over M prompts"),
    OPT_CHOICE("--kv", STORAGE_CHOICES, &q.kv,
               "... the latter with such keys and values in the context"),
    OPT_TEXT("--task", "SPEC", &q.task,
             "... on these functions, inputs N(0, 1); otherwise prompts as it\nwas trained on"),
    OPT_INT("--pairs", "P", &r->pairs, 2, 16384,
            "... of P pairs; otherwise as many as in training"),
    OPT_SEED("--seed", "S", &r->seed, "... of the prompts"),
    OPT_END
  };
  const command *cmd = &cmd_quantize;
  if (!parse_options(cmd, table, argc, argv, &q.model, 1)) usage_error(cmd, "no MODEL");
  if (!q.out && !r->prompts) usage_error(cmd, "nothing to do: -o OUT, --prompts M or both");
  if (q.out && q.dtype == ICL_STORE_F32 && !q.typical)
    usage_error(cmd, "-o wants --dtype f16, bf16 or i8, or --typical");
  if (q.typical && !q.out) usage_error(cmd, "--typical wants -o");
  if (!r->prompts && (q.task || r->pairs || r->seed || q.kv != ICL_STORE_F32))
    usage_error(cmd, "--task, --pairs, --seed and --kv are for --prompts");
  return q;
}

static void prepare_report(report *r, const icl_model *m, const request *q)
{
  const char *spec = q->task ? q->task : m->task;
  icl_report why = {ICL_OK, 0, ""};
  if (!*spec)
    usage_error(&cmd_quantize, "--task is required: the model does not say what it learned");
  if (icl_task_parse(&r->task, spec, m->config.n_dims, NULL, 0, &why))
    usage_error(&cmd_quantize, "task '%s', character %zu: %s", spec, why.offset + 1, why.text);
  r->pairs = prompt_pairs(&cmd_quantize, m, r->pairs);
  if (r->pairs < 2) usage_error(&cmd_quantize, "--prompts: this model's prompts have one pair only");
  if (!q->task) sample_as_trained(&cmd_quantize, &r->sampling, m, q->model);
}

static int run(int argc, char **argv)
{
  report r;
  request q;
  icl_model *m;
  stored_model s;
  memset(&r, 0, sizeof r);
  memset(&s, 0, sizeof s);
  q = parse_request(&r, argc, argv);
  if (q.out) protect_output(&cmd_quantize, q.out, q.model, q.force);
  m = load_model(q.model);
  if (r.prompts) prepare_report(&r, m, &q);
  if (q.typical && !m->task[0])
    usage_error(&cmd_quantize, "--typical: the model does not say what it learned");
  if (q.dtype != ICL_STORE_F32 || q.typical)
    store(&s, m, q.dtype, q.typical ? measure_typical(m, q.model, q.typical) : typical_text(m));
  if (q.out) {
    write_output(q.out, s.file, s.size);
    fprintf(stderr, "wrote %s, %zu bytes\n", q.out, s.size);
  }
  if (r.prompts) print_curves(&r, m, s.file ? &s.model : m, q.kv);
  free(s.file);
  free(s.mem);
  icl_unload(m);
  return EXIT_SUCCESS;
}

const command cmd_quantize = {
  "quantize", "a checkpoint with smaller weights, and what that costs", "MODEL [options]",
  "Writes the checkpoint with the weight matrices of its blocks, nearly all of it, in fewer bytes,\n"
  "rounded to nearest.  icl.h runs such a file directly and computes in F32.  With --prompts it\n"
  "prints k,model,quantized: the mean squared error with k pairs in context, before and after.",
  run
};
