/* Against PyTorch: tests/golden/NAME.safetensors and what HF's GPT2Model in Garg et al.'s wrapper (or the
 * plain model of tools/make_golden.py, for options that HF lacks) makes of it in double precision:
 * predictions and quantiles at every position, the gradient of every tensor, the losses of ten Adam
 * steps. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../icl_train.h"
#include "test.h"

typedef struct golden {
  icl_model *model;
  int B, P, d, n_answer, steps;    /* n_answer: 1 + quantiles                               */
  float lr, beta1, beta2, eps, decay, clip;
  float *xs, *ys, *preds, loss;
  float *grads;                    /* in the order of the tensor table */
  float *losses;
} golden;

static char *slurp(const char *path, size_t *n)
{
  FILE *f = fopen(path, "rb");
  char *data;
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  *n = (size_t)ftell(f);
  rewind(f);
  data = (char *)malloc(*n);
  if (fread(data, 1, *n, f) != *n) *n = 0;
  fclose(f);
  return data;
}

static int32_t take_int(const char **p)
{
  uint32_t u = icl__get32((const unsigned char *)*p);
  *p += 4;
  return (int32_t)u;
}

static float *take_floats(const char **p, size_t n)
{
  float *x = (float *)malloc(n * sizeof *x + 4);
  size_t i;
  for (i = 0; i < n; i++, *p += 4) x[i] = icl__decode((const unsigned char *)*p, ICL__F32);
  return x;
}

static float take_float(const char **p)
{
  float x = icl__decode((const unsigned char *)*p, ICL__F32);
  *p += 4;
  return x;
}

/* Index of a tensor in the table, by the name behind "module." and the like; -1: none. */
static int find_tensor(const icl_config *cfg, const char *name, size_t *at)
{
  icl_tensor t;
  int i;
  for (*at = 0, i = 0; i < icl_tensor_count(cfg); i++) {
    icl_tensor_at(cfg, i, &t);
    if (!strcmp(t.name, name)) return i;
    *at += (size_t)t.rows * (size_t)t.cols;
  }
  return -1;
}

static void take_grads(golden *g, const char **p)
{
  int i, n = take_int(p);
  CHECK_EQ(n, icl_tensor_count(&g->model->config));
  g->grads = (float *)calloc(g->model->n_params, sizeof(float));
  for (i = 0; i < n; i++) {
    char name[128];
    size_t at, count, len = (size_t)take_int(p);
    float *x;
    memcpy(name, *p, len);
    name[len] = 0;
    *p += len;
    count = (size_t)icl__get64((const unsigned char *)*p);
    *p += 8;
    x = take_floats(p, count);
    CHECK(find_tensor(&g->model->config, name, &at) >= 0);
    memcpy(g->grads + at, x, count * sizeof(float));
    free(x);
  }
}

static int open_golden(golden *g, const char *name)
{
  char path[200];
  size_t n = 0;
  char *data;
  const char *p;
  icl_report r;
  sprintf(path, "tests/golden/%s.safetensors", name);
  if (icl_load(&g->model, path, &r)) {
    CHECK_STR(r.text, "");
    return 0;
  }
  sprintf(path, "tests/golden/%s.golden", name);
  data = slurp(path, &n);
  CHECK(data && n > 48 && !memcmp(data, "ICLGOLD1", 8));
  if (!data) return 0;
  p = data + 8;
  g->B = take_int(&p); g->P = take_int(&p); g->d = take_int(&p); g->steps = take_int(&p);
  g->lr = take_float(&p); g->beta1 = take_float(&p); g->beta2 = take_float(&p);
  g->eps = take_float(&p); g->decay = take_float(&p); g->clip = take_float(&p);
  g->xs = take_floats(&p, (size_t)(g->B * g->P * g->d));
  g->ys = take_floats(&p, (size_t)(g->B * g->P));
  g->n_answer = 1 + g->model->config.n_quantiles;
  g->preds = take_floats(&p, (size_t)(g->B * g->P * g->n_answer));
  g->loss = take_float(&p);
  take_grads(g, &p);
  g->losses = take_floats(&p, (size_t)g->steps);
  CHECK_EQ(p - data, n);
  free(data);
  return 1;
}

static void close_golden(golden *g)
{
  icl_unload(g->model);
  free(g->xs); free(g->ys); free(g->preds); free(g->grads); free(g->losses);
}

/* The largest errors of all cases: of a prediction, of a tensor's gradient, of a loss. */
static struct { double prediction, gradient, loss; } worst;

static void widen(double *w, double e) { if (!(e <= *w)) *w = e; }

/* What the context says of the query x: the prediction and the quantiles, in answer[n_answer]. */
static void check_answer(icl_ctx *c, const golden *g, const float *x, const float *answer)
{
  float y = 0, q[ICL_MAX_QUANTILES];
  int i;
  CHECK_EQ(icl_predict(c, x, &y), ICL_OK);
  CHECK_NEAR(y, answer[0], 2e-5);
  widen(&worst.prediction, fabs((double)y - (double)answer[0]));
  if (g->n_answer == 1) return;
  CHECK_EQ(icl_predict_quantiles(c, 1, x, q), ICL_OK);
  for (i = 1; i < g->n_answer; i++) {
    CHECK_NEAR(q[i - 1], answer[i], 2e-5);
    widen(&worst.prediction, fabs((double)q[i - 1] - (double)answer[i]));
  }
}

/* Pair by pair, as a user would, and all at once: the same bits. */
static void check_predictions(golden *g)
{
  icl_batch *batch;
  icl_ctx *c;
  float *all = (float *)malloc((size_t)(g->B * g->P) * sizeof(float));
  int b, k;
  CHECK_EQ(icl_batch_new(&batch, g->model, g->P, 2), ICL_OK);
  CHECK_EQ(icl_batch_predict(batch, g->B, g->xs, g->ys, all), ICL_OK);
  icl_batch_delete(batch);
  CHECK_EQ(icl_ctx_new(&c, g->model, g->P - 1, 4), ICL_OK);
  for (b = 0; b < g->B; b++) {
    icl_rewind(c, 0);
    for (k = 0; k < g->P; k++) {
      int i = b * g->P + k;
      float y = 0;
      check_answer(c, g, g->xs + i * g->d, g->preds + i * g->n_answer);
      CHECK_EQ(icl_predict(c, g->xs + i * g->d, &y), ICL_OK);
      CHECK(memcmp(&y, &all[i], 4) == 0);
      if (k + 1 < g->P) CHECK_EQ(icl_add(c, g->xs + i * g->d, g->ys[i]), ICL_OK);
    }
  }
  icl_ctx_delete(c);
  free(all);
}

static icl_trainer *trainer_for(const golden *g, int threads, int plain)
{
  icl_trainer *t = NULL;
  icl_train_options o;
  memset(&o, 0, sizeof o);
  o.model = g->model->config;
  o.task = "dense";
  o.pairs = g->P;
  o.batch = g->B;
  o.steps = 100;
  o.lr = g->lr; o.beta1 = g->beta1; o.beta2 = g->beta2; o.epsilon = g->eps;
  o.weight_decay = g->decay; o.clip = g->clip;
  o.threads = threads;
  CHECK_EQ(icl_trainer_new(&t, &o, NULL), ICL_OK);
  if (!t) return NULL;
  if (plain) icl_force_plain((icl_model *)(uintptr_t)icl_trainer_model(t));
  icl_model_params(g->model, icl_trainer_params(t));
  return t;
}

/* Each tensor's gradient, relative to its norm. */
static void check_gradients(const golden *g, const float *grad)
{
  icl_tensor t;
  int i;
  size_t at = 0, k;
  for (i = 0; i < icl_tensor_count(&g->model->config); i++) {
    double norm = 0, off = 0;
    size_t n;
    icl_tensor_at(&g->model->config, i, &t);
    n = (size_t)t.rows * (size_t)t.cols;
    for (k = at; k < at + n; k++) {
      double e = (double)grad[k] - (double)g->grads[k];
      norm += (double)g->grads[k] * (double)g->grads[k];
      off += e * e;
    }
    if (!(sqrt(off) <= 1e-4 * sqrt(norm) + 1e-7))
      printf("%s: %s: relative error %.3g\n", test_name, t.name, sqrt(off / norm));
    CHECK(sqrt(off) <= 1e-4 * sqrt(norm) + 1e-7);
    if (norm > 1e-12) widen(&worst.gradient, sqrt(off / norm));
    at += n;
  }
}

static void check_training(const golden *g, int threads, int plain)
{
  icl_trainer *t = trainer_for(g, threads, plain);
  int s;
  if (!t) return;
  for (s = 0; s < g->steps; s++) {
    float loss = 0;
    CHECK_EQ(icl_train_gradient(t, g->xs, g->ys, &loss), ICL_OK);
    if (s == 0) {
      CHECK_NEAR(loss, g->loss, 1e-5 * (double)g->loss);
      check_gradients(g, icl_trainer_grads(t));
    }
    CHECK_NEAR(loss, g->losses[s], 1e-4 * (double)g->losses[s]);
    widen(&worst.loss, fabs((double)loss / (double)g->losses[s] - 1));
    CHECK_EQ(icl_train_update(t, NULL), ICL_OK);
  }
  icl_trainer_delete(t);
}

static void check_case(const char *name)
{
  golden g;
  memset(&g, 0, sizeof g);
  if (!open_golden(&g, name)) return;
  check_predictions(&g);
  check_training(&g, 1, 0);
  check_training(&g, 2, 0);
  check_training(&g, 1, 1);
  icl_force_plain(g.model);
  check_predictions(&g);
  close_golden(&g);
}

#define CASE(name) TEST(name) { check_case(#name); }
CASE(gpt2) CASE(gpt2_erf) CASE(gpt2_relu) CASE(sinusoidal) CASE(none) CASE(adamw) CASE(wide)
CASE(joint) CASE(f16) CASE(bf16)

int main(void)
{
  RUN(gpt2); RUN(gpt2_erf); RUN(gpt2_relu); RUN(sinusoidal); RUN(none); RUN(adamw); RUN(wide);
  RUN(joint); RUN(f16); RUN(bf16);
  printf("largest error of a prediction %.1e, of a gradient %.1e, of a loss %.1e\n", worst.prediction,
    worst.gradient, worst.loss);
  return test_report("golden");
}
