/* icl train: trains a model, and goes on with one after a stop.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "training.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SCHEDULE_CHOICES "constant|inverse-sqrt|cosine|linear"
#define OPTIMIZER_CHOICES "adam|muon"

/* ----- the command --------------------------------------------------------------------------- */

/* What the options say that icl_train_options does not hold as it is. */
typedef struct settings {
  training t;
  const char *from;
  const char *quantiles;
  int positions, activation, schedule, optimizer, tokens, inputs;
} settings;

/* The recipe of Garg et al.; the shape is that of --from, or choose_shape's. */
static settings default_settings(void)
{
  settings s;
  memset(&s, 0, sizeof s);
  icl_train_defaults(&s.t.o);
  s.positions = s.activation = -1;
  s.t.o.model.n_out = 0;           /* not given: refuse_shape wants to know */
  s.t.o.model.layer_norm_epsilon = s.t.o.init_sd = NAN;
  s.t.o.threads = processors(ICL_MAX_THREADS);
  s.t.save_every = 1000;
  s.t.eval_prompts = 512;
  return s;
}

static settings parse_settings(int argc, char **argv)
{
  settings s = default_settings();
  icl_train_options *o = &s.t.o;
  icl_config *m = &o->model;
  const option table[] = {         /* icl_trainer_new has the limits of what is ANY here */
    OPT_TEXT("--task", "SPEC", &o->task,
             "(required) what to draw functions from, e.g. dense,\n"
             "'sparse(nnz=2)' or '0.5*dense + 0.5*relu(hidden=100)';\n"
             "icl_train.h explains all"),
    OPT_INT("--dims", "d", &m->n_dims, 1, 4096, "(required) inputs of a function"),
    OPT_ANY_INT("--pairs", "P", &o->pairs, "(required) pairs of a prompt"),
    OPT_COUNT("--steps", "N", &o->steps, 0, "(required) optimizer steps"),
    OPT_TEXT("-o", "OUT", &s.t.out, "(required) the checkpoint to write, e.g. mine.safetensors"),
    OPT_FLAG("--resume", &s.t.resume, "go on from the training state OUT.state, if it is there"),
    OPT_FLAG("--force", &s.t.force, FORCE_HELP),
    OPT_COUNT("--save-every", "N", &s.t.save_every, 1, "steps between saves"),
    OPT_COUNT("--log-every", "N", &s.t.log_every, 0,
              "print a line every N steps, not every 5 s, where there is no\n"
              "terminal; and write every Nth row of --log, not all"),
    OPT_TEXT("--log", "FILE.csv", &s.t.log,
             "step,loss,grad_norm,lr,dims,pairs,skipped,tokens_per_s,\n"
             "seconds,eval,eval_last; --resume goes on with it"),
    OPT_COUNT("--eval-every", "N", &s.t.eval_every, 0,
              "every N steps and in the end, print the mean squared error on\n"
              "prompts that are always the same and not trained on"),
    OPT_INT("--eval-prompts", "M", &s.t.eval_prompts, 1, 1 << 20, "so many"),
    OPT_TEXT("--from", "MODEL", &s.from,
             "start from the weights of this model, which has the shape:\n"
             "--dims may repeat it, the options from --layers to --init-sd\n"
             "are not for this"),
    OPT_SEED("--seed", "S", &o->seed, "of weights and prompts"),
    OPT_ANY_INT("--threads", "T", &o->threads, "the result does not depend on it"),
    OPT_INT("--layers", "L", &m->n_layer, 1, 4096, "decoder blocks; otherwise 3"),
    OPT_INT("--heads", "H", &m->n_head, 1, 4096, "attention heads, a divisor of C; otherwise 2"),
    OPT_INT("--width", "C", &m->n_embd, 1, 1 << 20, "width of the residual stream; otherwise 64"),
    OPT_CHOICE("--positions", POSITION_CHOICES, &s.positions, "position embedding; otherwise learned"),
    OPT_CHOICE("--tokens", TOKEN_CHOICES, &s.tokens,
               "the token of y carries y alone, or x and y"),
    OPT_TEXT("--quantiles", "LIST", &s.quantiles,
             "learn these quantiles of y too, for intervals:\n0.05,0.25,0.5,0.75,0.95"),
    OPT_INT("--n-positions", "N", &m->n_positions, 1, INT_MAX / 4,
            "tokens that the model is made for; otherwise 2 P - 1"),
    OPT_CHOICE("--activation", ACTIVATION_CHOICES, &s.activation, "of the MLP; otherwise gelu_new"),
    OPT_INT("--n-out", "N", &m->n_out, 1, 4096, "rows of the read-out, 1 or d; otherwise 1"),
    OPT_REAL("--layer-norm-epsilon", "E", &m->layer_norm_epsilon, TINY_REAL, 0.1,
             "of LayerNorm; otherwise 1e-05"),
    OPT_ANY_REAL("--init-sd", "S", &o->init_sd,
             "of the first weights of the blocks, otherwise 0.02; narrow\n"
             "models learn far sooner with 1 / sqrt(C)"),
    OPT_ANY_INT("--batch", "B", &o->batch, "prompts a step"),
    OPT_ANY_REAL("--lr", "R", &o->lr, "learning rate, or its peak"),
    OPT_CHOICE("--schedule", SCHEDULE_CHOICES, &s.schedule, "of the learning rate"),
    OPT_COUNT("--warmup", "N", &o->warmup, 0,
              "steps of linear warm-up; inverse-sqrt has 5000 otherwise"),
    OPT_ANY_REAL("--lr-end", "SHARE", &o->lr_end, "cosine, linear: of R, at the last step"),
    OPT_CHOICE("--optimizer", OPTIMIZER_CHOICES, &s.optimizer,
               "Adam; or Muon for the matrices of the blocks"),
    OPT_ANY_REAL("--momentum", "M", &o->momentum, "Muon"),
    OPT_ANY_REAL("--beta1", "B", &o->beta1, "Adam"),
    OPT_ANY_REAL("--beta2", "B", &o->beta2, "Adam"),
    OPT_ANY_REAL("--epsilon", "E", &o->epsilon, "Adam"),
    OPT_ANY_REAL("--weight-decay", "W", &o->weight_decay, "AdamW, decoupled"),
    OPT_ANY_REAL("--clip", "G", &o->clip, "largest norm of the gradient; 0 is no limit"),
    OPT_ANY_INT("--max-bad", "N", &o->max_bad,
            "give up after N steps in a row that are not finite"),
    OPT_ANY_INT("--dims-start", "d", &o->dims_start, "curriculum: inputs in use at first"),
    OPT_COUNT("--dims-every", "N", &o->dims_every, 0, "... and one more every N steps"),
    OPT_ANY_INT("--pairs-start", "P", &o->pairs_start, "curriculum: pairs at first"),
    OPT_ANY_INT("--pairs-add", "P", &o->pairs_add, "... and so many more"),
    OPT_COUNT("--pairs-every", "N", &o->pairs_every, 0, "... every N steps"),
    OPT_CHOICE("--x", X_CHOICES, &s.inputs,
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
  parse_options(&cmd_train, table, argc, argv, NULL, 0);
  o->schedule = (icl_schedule)s.schedule;
  o->optimizer = (icl_optimizer)s.optimizer;
  o->sampling.inputs = (icl_input_kind)s.inputs;
  return s;
}

/* A model that training starts from has its shape already. */
static void refuse_shape(const settings *s, const icl_config *of)
{
  const icl_config *m = &s->t.o.model;
  const char *given = m->n_layer ? "--layers" : m->n_head ? "--heads" : m->n_embd ? "--width" :
                      s->positions >= 0 ? "--positions" : m->n_positions ? "--n-positions" :
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

/* The shape of Garg et al.'s tiny model, where nothing else was asked for. */
static void choose_shape(settings *s)
{
  icl_config *m = &s->t.o.model;
  if (!m->n_layer) m->n_layer = 3;
  if (!m->n_head) m->n_head = 2;
  if (!m->n_embd) m->n_embd = 64;
  read_quantiles(m, s->quantiles);
  if (!m->n_out) m->n_out = 1 + m->n_quantiles;
  if (isnan(m->layer_norm_epsilon)) m->layer_norm_epsilon = 1e-5f;
  if (s->positions >= 0) m->position_embedding_type = (icl_position)s->positions;
  if (s->activation >= 0) m->activation_function = (icl_activation)s->activation;
  m->tokens = (icl_tokens)s->tokens;
}

/* Whatever can be said to be wrong with the options before anything is done. */
static void check_settings(const training *s)
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
  if (o->lr_end > 0 && o->schedule != ICL_LR_COSINE && o->schedule != ICL_LR_LINEAR)
    usage_error(&cmd_train, "--lr-end is for --schedule cosine or linear");
  if (s->resume && s->force) usage_error(&cmd_train, "--resume and --force contradict each other");
}

static int run(int argc, char **argv)
{
  settings s = parse_settings(argc, argv);
  icl_model *from = s.from ? load_model(s.from) : NULL;
  int done;
  if (from) {
    refuse_shape(&s, &from->config);
    s.t.o.from = from;
    s.t.o.model = from->config;
  } else {
    choose_shape(&s);
  }
  if (isnan(s.t.o.init_sd)) s.t.o.init_sd = 0.02f;
  s.t.from = s.from;
  check_settings(&s.t);
  done = train(&cmd_train, &s.t);
  icl_unload(from);
  return done ? EXIT_SUCCESS : EXIT_STOPPED;
}

const command cmd_train = {
  "train", "trains a model",
  "--task SPEC --dims d --pairs P --steps N -o OUT [options]",
  "Trains a transformer on prompts of functions, drawn afresh for every step, and writes it to\n"
  "OUT.  The training state goes to OUT.state.  Ctrl-C, SIGTERM, SIGHUP or SIGUSR1 finishes the\n"
  "step, saves and exits with 130; the same command with --resume then ends with the same bits as\n"
  "a run without a stop.  Whole numbers may be written 1e5 or 100k.",
  run
};
