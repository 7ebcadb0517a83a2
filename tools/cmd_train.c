/* icl train: trains a model, and goes on with one after a stop.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "training.h"
#include "monitor.h"
#include "presets.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCHEDULE_CHOICES "constant|inverse-sqrt|cosine|linear"
#define OPTIMIZER_CHOICES "adam|muon"

/* ----- options ------------------------------------------------------------------------------- */

/* What the options say that icl_train_options does not hold as it is.  Before --recipe has its say,
 * -1 and NaN stand for what is not given. */
typedef struct settings {
  training t;
  const char *from, *quantiles, *data, *config;
  int positions, activation, schedule, optimizer, tokens, inputs, recipe, raw, seeds, settings;
  float holdout;
  function_table table;            /* of --data                                               */
} settings;

static settings default_settings(void)
{
  settings s;
  icl_train_options *o = &s.t.o;
  memset(&s, 0, sizeof s);
  icl_train_defaults(o);
  s.positions = s.activation = s.tokens = s.schedule = s.optimizer = -1;
  o->model.n_out = 0;              /* not given: refuse_shape wants to know */
  o->model.layer_norm_epsilon = o->init_sd = o->lr = o->clip = o->epsilon = NAN;
  o->batch = o->dims_start = o->pairs_start = o->pairs_add = -1;
  o->warmup = o->dims_every = o->pairs_every = -1;
  o->threads = processors(ICL_MAX_THREADS);
  s.t.save_every = 1000;
  s.t.save_minutes = 10;
  s.t.eval_prompts = 512;
  s.seeds = 1;
  s.holdout = NAN;
  return s;
}

enum { MAX_OPTIONS = 96 };

/* The options of s. */
static void fill_table(option table[MAX_OPTIONS], settings *s)
{
  icl_train_options *o = &s->t.o;
  icl_config *m = &o->model;
  const option rows[] = {          /* icl_trainer_new has the limits of what is ANY here */
    OPT_TEXT("--task", "SPEC", &o->task,
             "(required) what to draw functions from, e.g. dense,\n"
             "'sparse(nnz=2)' or '0.5*dense + 0.5*relu(hidden=100)';\n"
             "icl tasks explains all"),
    OPT_TEXT("--data", "F.csv", &s->data,
             "learn from these functions instead: rows\n"
             "function_id,x1,...,xd,y; a prompt is P rows of one function,\n"
             "scaled by its first pairs"),
    OPT_REAL("--holdout", "SHARE", &s->holdout, 0, 0.9,
             "of them, for --eval-every and icl eval; otherwise 0.1"),
    OPT_FLAG("--raw", &s->raw, "--data is scaled already: mean 0, deviation 1"),
    OPT_INT("--dims", "d", &m->n_dims, 1, 4096, "(required without --data) inputs of a function"),
    OPT_ANY_INT("--pairs", "P", &o->pairs,
                "(required without --data) pairs of a prompt: the model\n"
                "predicts with 0 to P - 1 pairs in context"),
    OPT_COUNT("--steps", "N", &o->steps, 1, "optimizer steps; otherwise the recipe's, laptop: 4000"),
    OPT_TEXT("-o", "OUT", &s->t.out, "(required) the checkpoint to write, e.g. mine.safetensors"),
    OPT_CHOICE("--recipe", PRESET_CHOICES, &s->recipe,
               "what is not given below: what learned soonest here, or the\n"
               "papers' recipes; docs/training.md has them"),
    OPT_TEXT("--config", "FILE", &s->config,
             "read options from FILE, as @FILE does; a line each, without\n"
             "dashes.  OUT.config is such a file"),
    OPT_FLAG("--settings", &s->settings, "print what all options would be, and do nothing else"),
    OPT_FLAG("--resume", &s->t.resume, "go on from the training state OUT.state, if it is there"),
    OPT_FLAG("--force", &s->t.force, FORCE_HELP),
    OPT_COUNT("--save-every", "N", &s->t.save_every, 1, "steps between saves"),
    OPT_REAL("--save-minutes", "M", &s->t.save_minutes, 0, 1e6, "and minutes; 0: no such saves"),
    OPT_REAL("--minutes", "M", &s->t.minutes, 0, 1e6,
             "stop after M minutes, saved; --resume has M minutes more.\n"
             "A schedule that ends does not know of it"),
    OPT_COUNT("--log-every", "N", &s->t.log_every, 0,
              "print a line every N steps, not every 5 s, where there is no\n"
              "terminal; and write every Nth row of --log, not all"),
    OPT_TEXT("--log", "FILE.csv", &s->t.log,
             "step,loss,grad_norm,lr,dims,pairs,skipped,tokens_per_s,\n"
             "seconds,eval,eval_last; --resume goes on with it"),
    OPT_COUNT("--eval-every", "N", &s->t.eval_every, 0,
              "every N steps and in the end, print the mean squared error on\n"
              "prompts that are always the same and not trained on, those of\n"
              "icl eval --seed S + 1000000"),
    OPT_INT("--eval-prompts", "M", &s->t.eval_prompts, 1, 1 << 20, "so many"),
    OPT_FLAG("--keep-best", &s->t.keep_best,
             "OUT is the best of these evaluations (of 20, where\n"
             "--eval-every is left out), not the last step"),
    OPT_COUNT("--patience", "N", &s->t.patience, 0, "stop after N evaluations without a better one"),
    OPT_REAL("--target", "MSE", &s->t.target, 0, FLT_MAX,
             "stop when the error over all pairs is that small"),
    OPT_INT("--seeds", "N", &s->seeds, 1, 1000,
            "train N models, OUT with -S, -(S+1), .. in its name; print\n"
            "k,mean,min,max and theirs, also into OUT's .seeds.csv"),
    OPT_TEXT("--from", "MODEL", &s->from,
             "start from the weights of this model, which has the shape:\n"
             "--dims may repeat it, the options from --layers to --init-sd\n"
             "are not for this"),
    OPT_SEED("--seed", "S", &o->seed, "of weights and prompts"),
    OPT_ANY_INT("--threads", "T", &o->threads, "the result does not depend on it"),
    OPT_ANY_INT("--shards", "N", &o->shards,
                "parts of a batch whose gradients are added up exactly, at most\n"
                "B: the bits are those of N processes; 0: none"),
    OPT_INT("--layers", "L", &m->n_layer, 1, 4096, "decoder blocks; laptop: 3"),
    OPT_INT("--heads", "H", &m->n_head, 1, 4096, "attention heads, a divisor of C; laptop: 2"),
    OPT_INT("--width", "C", &m->n_embd, 1, 1 << 20, "width of the residual stream; laptop: 64"),
    OPT_CHOICE("--positions", POSITION_CHOICES, &s->positions, "position embedding; laptop: learned"),
    OPT_CHOICE("--tokens", TOKEN_CHOICES, &s->tokens,
               "the token of y carries y alone, or x and y; laptop: joint"),
    OPT_TEXT("--quantiles", "LIST", &s->quantiles,
             "learn these quantiles of y too, for intervals:\n0.05,0.25,0.5,0.75,0.95"),
    OPT_INT("--n-positions", "N", &m->n_positions, 1, INT_MAX / 4,
            "tokens that the model is made for; otherwise 2 P - 1"),
    OPT_CHOICE("--activation", ACTIVATION_CHOICES, &s->activation, "of the MLP; laptop: gelu_new"),
    OPT_INT("--n-out", "N", &m->n_out, 1, 4096, "rows of the read-out, 1 or d; laptop: 1"),
    OPT_REAL("--layer-norm-epsilon", "E", &m->layer_norm_epsilon, TINY_REAL, 0.1,
             "of LayerNorm; otherwise 1e-05"),
    OPT_ANY_REAL("--init-sd", "S", &o->init_sd,
                 "of the first weights of the blocks; laptop: 1 / sqrt(C)"),
    OPT_ANY_INT("--batch", "B", &o->batch, "prompts a step; laptop: 64"),
    OPT_ANY_REAL("--lr", "R", &o->lr,
                 "learning rate, or its peak; laptop: 0.008 for 3 layers of 64,\n"
                 "otherwise as 1 / sqrt(L C); with --optimizer adam a quarter"),
    OPT_CHOICE("--schedule", SCHEDULE_CHOICES, &s->schedule, "of the learning rate; laptop: cosine"),
    OPT_COUNT("--warmup", "N", &o->warmup, 0,
              "steps of linear warm-up; laptop: a twentieth of the steps; with\n"
              "another schedule than the recipe's 0, but inverse-sqrt 5000"),
    OPT_ANY_REAL("--lr-end", "SHARE", &o->lr_end, "cosine, linear: of R, at the last step"),
    OPT_CHOICE("--optimizer", OPTIMIZER_CHOICES, &s->optimizer,
               "Adam; or Muon for the matrices of the blocks; laptop: muon"),
    OPT_ANY_REAL("--momentum", "M", &o->momentum, "Muon"),
    OPT_ANY_REAL("--beta1", "B", &o->beta1, "Adam"),
    OPT_ANY_REAL("--beta2", "B", &o->beta2, "Adam"),
    OPT_ANY_REAL("--epsilon", "E", &o->epsilon, "Adam; laptop: 1e-08"),
    OPT_ANY_REAL("--weight-decay", "W", &o->weight_decay, "AdamW, decoupled"),
    OPT_ANY_REAL("--clip", "G", &o->clip, "largest norm of the gradient; 0 is no limit; laptop: 1"),
    OPT_ANY_REAL("--ema", "DECAY", &o->ema,
                 "write and evaluate a running average of the weights, which\n"
                 "keeps this share of itself at each step, e.g. 0.999"),
    OPT_ANY_REAL("--hint", "W", &o->hint,
                 "weight of a hint: in the middle of the network tokens of y\n"
                 "learn the function's values at the unit vectors too, of linear\n"
                 "ones the coefficients; 0: none"),
    OPT_ANY_INT("--hint-layer", "L", &o->hint_layer,
                "... behind this block, the last but one unless given"),
    OPT_ANY_INT("--max-bad", "N", &o->max_bad,
            "give up after N steps in a row that are not finite"),
    OPT_ANY_INT("--dims-start", "d", &o->dims_start,
                "curriculum: inputs in use at first; laptop: 0, none"),
    OPT_COUNT("--dims-every", "N", &o->dims_every, 0,
              "... and one more every N steps"),
    OPT_ANY_INT("--pairs-start", "P", &o->pairs_start, "curriculum: pairs at first; laptop: 0, none"),
    OPT_ANY_INT("--pairs-add", "P", &o->pairs_add, "... and so many more, 2 unless given"),
    OPT_COUNT("--pairs-every", "N", &o->pairs_every, 0, "... every N steps"),
    OPT_CHOICE("--x", X_CHOICES, &s->inputs,
               "distribution of inputs: N(0, 1), uniform of variance 1, or the\n"
               "many that data have"),
    OPT_FLAG("--order", &o->sampling.order,
             "pairs in the orders that data come in: random, rising, falling,\n"
             "in blocks; the last ones inside the range of the others or beyond"),
    OPT_FLAG("--standardize", &o->sampling.standardize,
             "scale each prompt by its first pairs, as icl predict scales data"),
    OPT_REAL("--x-scale", "F", &o->sampling.x_scale, TINY_REAL, 1e6, "inputs times F"),
    OPT_REAL("--y-scale", "F", &o->sampling.y_scale, TINY_REAL, 1e6, "outputs times F"),
    OPT_END
  };
  memcpy(table, rows, sizeof rows);
}

/* OUT.config: everything that was asked for or chosen. */
static void write_config(void *user)
{
  /* those of one run; then the shape, which --from has */
  static const char *const skip[] = {
    "-o", "--config", "--settings", "--resume", "--force", "--threads", "--log", "--seeds", "--n-out",
    "--layers", "--heads", "--width", "--positions", "--tokens", "--quantiles", "--n-positions",
    "--activation", "--layer-norm-epsilon", "--init-sd"
  };
  settings *s = user;
  option table[MAX_OPTIONS];
  char *path = join(s->t.out, ".config");
  output out;
  fill_table(table, s);
  open_output(&out, path);
  fprintf(out.file, "# icl train @THIS -o OUT\n");
  print_options(out.file, table, skip,
               s->from ? (int)(sizeof skip / sizeof *skip) : s->quantiles ? 9 : 8);
  close_output(&out);
  free(path);
}

/* A file of that name that is none of write_config's is somebody's. */
static void protect_config(const settings *s)
{
  char *path = join(s->t.out, ".config"), head[13] = "";
  FILE *f = fopen(path, "r");
  if (f && !fgets(head, sizeof head, f)) head[0] = 0;
  if (f) fclose(f);
  protect_output(&cmd_train, path, s->data, s->t.force || (f && !strcmp(head, "# icl train ")));
  free(path);
}

/* ----- what is not given --------------------------------------------------------------------- */

/* A model that training starts from has its shape already. */
static void refuse_shape(const settings *s, const icl_config *of)
{
  const icl_config *m = &s->t.o.model;
  const char *given = m->n_layer ? "--layers" : m->n_head ? "--heads" : m->n_embd ? "--width" :
                      s->positions >= 0 ? "--positions" : m->n_positions ? "--n-positions" :
                      s->tokens >= 0 ? "--tokens" : s->quantiles ? "--quantiles" :
                      s->activation >= 0 ? "--activation" : m->n_out ? "--n-out" :
                      !isnan(m->layer_norm_epsilon) ? "--layer-norm-epsilon" :
                      !isnan(s->t.o.init_sd) ? "--init-sd" : NULL;
  if (given)
    usage_error(&cmd_train, "%s and --from contradict each other: the model has its shape", given);
  if (m->n_dims && m->n_dims != of->n_dims)
    usage_error(&cmd_train, "--dims %d, but the model has %d", m->n_dims, of->n_dims);
}

/* Levels of quantiles, with commas between them. */
static void read_quantiles(icl_config *m, const char *list)
{
  char *text, *rest, *field;
  if (!list) return;
  text = rest = join(list, "");
  for (field = next_field(&rest, ','); field; field = next_field(&rest, ',')) {
    double v = 0;
    if (m->n_quantiles == ICL_MAX_QUANTILES || parse_number(field, &v) != NUMBER_OK)
      usage_error(&cmd_train, "--quantiles wants up to %d numbers with commas between them",
                  ICL_MAX_QUANTILES);
    m->quantiles[m->n_quantiles++] = (float)v;
  }
  free(text);
}

static void choose_shape(settings *s, const preset *p)
{
  icl_config *m = &s->t.o.model;
  if (!m->n_layer) m->n_layer = p->n_layer;
  if (!m->n_head) m->n_head = p->n_head;
  if (!m->n_embd) m->n_embd = p->n_embd;
  read_quantiles(m, s->quantiles);
  if (!m->n_out) m->n_out = m->n_quantiles ? 1 + m->n_quantiles : p->wide ? m->n_dims : 1;
  if (isnan(m->layer_norm_epsilon)) m->layer_norm_epsilon = 1e-5f;
  if (s->positions < 0) s->positions = p->positions;
  if (s->activation < 0) s->activation = p->activation;
  if (s->tokens < 0) s->tokens = p->tokens;
  m->position_embedding_type = (icl_position)s->positions;
  m->activation_function = (icl_activation)s->activation;
  m->tokens = (icl_tokens)s->tokens;
}

/* A curriculum that is not given, or none: --from knows all inputs, and so do one's own data. */
static void choose_curricula(settings *s, const preset *p)
{
  icl_train_options *o = &s->t.o;
  const int dims = o->dims_start < 0 && o->dims_every < 0 && !s->from && !s->data;
  const int pairs = o->pairs_start < 0 && o->pairs_every < 0 && !s->from, add = o->pairs_add;
  if (o->dims_start < 0) o->dims_start = 0;
  if (o->dims_every < 0) o->dims_every = 0;
  if (o->pairs_start < 0) o->pairs_start = 0;
  if (o->pairs_every < 0) o->pairs_every = 0;
  o->pairs_add = 2;
  if (dims) use_dims_curriculum(o, p);
  if (pairs) use_pairs_curriculum(o, p);
  if (add >= 0) o->pairs_add = add;
}

static void choose_training(settings *s, const preset *p)
{
  icl_train_options *o = &s->t.o;
  if (!o->steps) o->steps = p->steps;
  if (o->batch < 0) o->batch = p->batch;
  if (s->optimizer < 0) s->optimizer = p->optimizer;
  if (s->schedule < 0) s->schedule = p->schedule;
  o->optimizer = (icl_optimizer)s->optimizer;
  o->schedule = (icl_schedule)s->schedule;
  if (isnan(o->lr)) {
    o->lr = preset_lr(p, &o->model);
    if (p->optimizer == ICL_MUON && o->optimizer == ICL_ADAM) o->lr /= 4;
  }
  if (o->warmup < 0)
    o->warmup = o->schedule == p->schedule ? preset_warmup(p, o->steps)
              : o->schedule == ICL_LR_INVERSE_SQRT ? 5000 : 0;
  if (isnan(o->clip)) o->clip = p->clip;
  if (isnan(o->epsilon)) o->epsilon = p->epsilon;
  if (isnan(o->init_sd)) o->init_sd = s->from ? 0.02f : preset_init_sd(p, &o->model);
  choose_curricula(s, p);
}

/* The functions of --data; they say how many inputs there are, and most pairs. */
static void choose_data(settings *s)
{
  icl_train_options *o = &s->t.o;
  const int wants = s->t.eval_every || s->t.keep_best || s->t.patience || s->t.target > 0;
  int least;
  if (o->task) usage_error(&cmd_train, "--task and --data contradict each other");
  if (s->inputs || o->sampling.order || o->dims_start > 0)
    usage_error(&cmd_train, "--data has its own inputs: not --x, --order or --dims-start");
  if (isnan(s->holdout)) s->holdout = USUAL_HOLDOUT;
  s->table = read_functions(s->data, (double)s->holdout);
  least = s->table.training.least;
  if (s->table.held_out.n && s->table.held_out.least < least) least = s->table.held_out.least;
  if (o->model.n_dims && o->model.n_dims != s->table.training.d)
    usage_error(&cmd_train, "%s%d, but the data have %d", s->from ? "inputs of --from: " : "--dims ",
                o->model.n_dims, s->table.training.d);
  if (wants && !s->table.held_out.n)
    usage_error(&cmd_train, "evaluations want functions held out: --holdout above 0");
  o->model.n_dims = s->table.training.d;
  if (!o->pairs) o->pairs = least < 64 ? least : 64;
  check_rows(s->data, &s->table.training, o->pairs);
  if (s->table.held_out.n) check_rows(s->data, &s->table.held_out, o->pairs);
  o->draw = draw_rows;
  o->draw_user = &s->table.training;
  o->draw_version = s->table.digest;
  if (!s->raw) o->sampling.standardize = 1;
  if (s->table.held_out.n) s->t.held_out = &s->table.held_out;
  fprintf(stderr, "%d functions, %d of them held out\n", s->table.training.n + s->table.held_out.n,
          s->table.held_out.n);
}

/* Twenty evaluations, where something hangs on them. */
static void choose_evaluations(training *t)
{
  if (t->eval_every || (!t->keep_best && !t->patience && !(t->target > 0))) return;
  t->eval_every = t->o.steps / 20 > 0 ? t->o.steps / 20 : 1;
}

/* Whatever can be said to be wrong with the options before anything is done. */
static void check_settings(const settings *s)
{
  const icl_train_options *o = &s->t.o;
  const char *missing = !o->task && !s->data ? "--task" : !o->model.n_dims ? "--dims" :
                        !o->pairs ? "--pairs" : !s->t.out ? "-o" : NULL;
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
  if (o->task && icl_task_parse(&task, o->task, o->model.n_dims, NULL, 0, &r))
    usage_error(&cmd_train, "--task, character %zu: %s", r.offset + 1, r.text);
  if (o->lr_end > 0 && o->schedule != ICL_LR_COSINE && o->schedule != ICL_LR_LINEAR)
    usage_error(&cmd_train, "--lr-end is for --schedule cosine or linear");
  if (s->t.resume && s->t.force)
    usage_error(&cmd_train, "--resume and --force contradict each other");
  if (s->raw && !s->data) usage_error(&cmd_train, "--raw is for --data");
  if (!isnan(s->holdout) && !s->data) usage_error(&cmd_train, "--holdout is for --data");
  if (s->raw && s->t.o.sampling.standardize)
    usage_error(&cmd_train, "--raw and --standardize contradict each other");
  if (s->seeds > 1 && s->t.log) usage_error(&cmd_train, "--log is for one run, not for --seeds");
}

/* ----- several seeds ------------------------------------------------------------------------- */

/* "a/b.safetensors" and "-3": "a/b-3.safetensors"; the middle stands before the name's ending. */
static char *name_with(const char *path, const char *middle, const char *ending)
{
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  const size_t n = dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
  char *head = join(path, ""), *both, *all;
  head[n] = 0;
  both = join(head, middle);
  all = join(both, ending ? ending : path + n);
  free(head);
  free(both);
  return all;
}

static char *seed_path(const char *out, uint64_t seed)
{
  char text[24];
  snprintf(text, sizeof text, "-%" PRIu64, seed);
  return name_with(out, text, NULL);
}

/* curves[seeds][pairs] as k,mean,min,max and a column for each. */
static void print_spread(FILE *f, const double *curves, int seeds, int pairs, uint64_t seed)
{
  int i, k;
  fputs("k,mean,min,max", f);
  for (i = 0; i < seeds; i++) fprintf(f, ",seed_%" PRIu64, seed + (uint64_t)i);
  fputc('\n', f);
  for (k = 0; k < pairs; k++) {
    double sum = 0, least = INFINITY, most = -INFINITY;
    for (i = 0; i < seeds; i++) {
      const double e = curves[i * pairs + k];
      sum += e;
      least = fmin(least, e);
      most = fmax(most, e);
    }
    fprintf(f, "%d,%.9g,%.9g,%.9g", k, sum / seeds, least, most);
    for (i = 0; i < seeds; i++) fprintf(f, ",%.9g", curves[i * pairs + k]);
    fputc('\n', f);
  }
}

/* All models of --seeds on the same prompts. */
static void compare_seeds(const settings *s, uint64_t first, const char *base, const char *csv)
{
  const icl_train_options *o = &s->t.o;
  const functions *from = s->t.held_out ? s->t.held_out : &s->table.training;
  prompts p = draw_prompts(o, s->data ? draw_rows : NULL, (void *)from, s->t.eval_prompts,
                           first);
  double *curves = allocate((size_t)s->seeds * (size_t)o->pairs, sizeof *curves);
  output out;
  int i;
  for (i = 0; i < s->seeds; i++) {
    char *path = seed_path(base, first + (uint64_t)i);
    icl_model *m = load_model(path);
    icl_batch *b;
    check(icl_batch_new(&b, m, o->pairs, o->threads), "evaluation");
    measure_curve(curves + i * o->pairs, b, &p);
    icl_batch_delete(b);
    icl_unload(m);
    free(path);
  }
  open_output(&out, csv);
  print_spread(out.file, curves, s->seeds, o->pairs, first);
  close_output(&out);
  print_spread(stdout, curves, s->seeds, o->pairs, first);
  flush_output();
  free(curves);
  free_prompts(&p);
}

static int train_seeds(settings *s)
{
  const char *base = s->t.out;
  const uint64_t first = s->t.o.seed;
  char *csv = name_with(base, "", ".seeds.csv");
  int i, done = 1;
  protect_output(&cmd_train, csv, s->data, s->t.force || s->t.resume);
  for (i = 0; i < s->seeds; i++) {           /* all of them before the first takes hours */
    char *path = seed_path(base, first + (uint64_t)i);
    s->t.out = path;
    protect_config(s);
    protect_training(&cmd_train, &s->t);
    free(path);
  }
  for (i = 0; i < s->seeds && done; i++) {
    char *path = seed_path(base, first + (uint64_t)i);
    s->t.o.seed = s->t.eval_seed = first + (uint64_t)i;    /* as its OUT.config alone would have it */
    s->t.out = path;
    fprintf(stderr, "seed %" PRIu64 ": %s\n", s->t.o.seed, path);
    done = train(&cmd_train, &s->t);
    free(path);
  }
  if (done) compare_seeds(s, first, base, csv);
  free(csv);
  return done;
}

/* ----- the command --------------------------------------------------------------------------- */

static int run(int argc, char **argv)
{
  settings s = default_settings();
  const preset *p;
  option table[MAX_OPTIONS];
  static const char *const skip[] = {"-o", "--settings"};
  icl_model *from;
  int done;
  fill_table(table, &s);
  parse_options(&cmd_train, table, argc, argv, NULL, 0);
  p = find_preset((preset_name)s.recipe);
  s.t.o.sampling.inputs = (icl_input_kind)s.inputs;
  from = s.from ? load_model(s.from) : NULL;
  if (from) refuse_shape(&s, &from->config);
  if (from) s.t.o.model.n_dims = from->config.n_dims;
  if (s.data) choose_data(&s);
  if (from) s.t.o.model = from->config;
  else choose_shape(&s, p);
  choose_training(&s, p);
  choose_evaluations(&s.t);
  check_settings(&s);
  if (s.settings) {
    print_options(stdout, table, skip, 2);
    flush_output();
    return EXIT_SUCCESS;
  }
  s.t.o.from = from;
  s.t.from = s.from;
  s.t.data = s.data;
  s.t.eval_seed = s.t.o.seed;
  s.t.begun = write_config;
  s.t.user = &s;
  if (s.seeds > 1) {
    done = train_seeds(&s);
  } else {
    protect_config(&s);
    done = train(&cmd_train, &s.t);
  }
  free_functions(&s.table);
  icl_unload(from);
  return done ? EXIT_SUCCESS : EXIT_STOPPED;
}

const command cmd_train = {
  "train", "trains a model",
  "--task SPEC --dims d --pairs P -o OUT [options]",
  "Trains a transformer on prompts of functions, drawn afresh for every step, and writes it to\n"
  "OUT.  The training state goes to OUT.state, the options to OUT.config.  Ctrl-C, SIGTERM, SIGHUP,\n"
  "SIGUSR1 or SIGUSR2 finishes the step, saves and exits with 130; the same command with --resume\n"
  "then ends with the same bits as a run without a stop.  Whole numbers may be written 1e5 or 100k.",
  run
};
