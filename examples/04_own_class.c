/* A function class of your own: damped oscillations, mixed with lines, learned in context.
 *
 *     cc -O2 -DICL_TRAIN_THREADS -I. examples/04_own_class.c -lm -lpthread -o build/04_own_class
 *     build/04_own_class
 */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "icl_train.h"

/* f(x) = a exp(-rate (x + 2)) cos(2 pi w x + phase), described by four floats. */
static int damped_floats(const icl_class_call *c) { (void)c; return 4; }

static void damped_draw(float *theta, const icl_class_call *c, icl_rng *rng)
{
  theta[0] = 3.0f * icl_rng_normal(rng);
  theta[1] = c->arg[0] * icl_rng_uniform(rng);             /* "rate", from the text */
  theta[2] = 0.2f + 0.4f * icl_rng_uniform(rng);
  theta[3] = 6.2831853f * icl_rng_uniform(rng);
}

static float damped_eval(const float *theta, const float *x, const icl_class_call *c)
{
  (void)c;
  return theta[0] * expf(-theta[1] * (x[0] + 2)) * cosf(6.2831853f * theta[2] * x[0] + theta[3]);
}

int main(void)
{
  icl_class damped;
  icl_train_options o;
  icl_train_info info;
  icl_trainer *t;
  icl_ctx *ctx;
  icl_report why;
  float x, y;

  memset(&damped, 0, sizeof damped);
  damped.name = "damped";
  damped.arg[0].name = "rate"; damped.arg[0].value = 1; damped.arg[0].min = 0; damped.arg[0].max = 5;
  damped.n_theta = damped_floats;
  damped.draw = damped_draw;
  damped.eval = damped_eval;

  memset(&o, 0, sizeof o);
  o.own = &damped; o.n_own = 1;
  o.task = "0.7*damped(rate=1.5) + 0.3*affine";
  o.model.n_dims = 1; o.model.n_layer = 3; o.model.n_head = 2; o.model.n_embd = 32;
  o.pairs = 16; o.steps = 2500; o.threads = 2;
  o.lr = 3e-3f; o.schedule = ICL_LR_COSINE; o.warmup = 200; o.clip = 1; o.init_sd = 0.18f;
  if (icl_trainer_new(&t, &o, &why)) { fprintf(stderr, "%s\n", why.text); return 1; }
  do {
    if (icl_train_step(t, &info)) return 1;
    if (info.step % 500 == 0) fprintf(stderr, "step %d  loss %.3f\n", (int)info.step, info.loss);
  } while (info.step < o.steps);

  if (icl_ctx_new(&ctx, icl_trainer_model(t), 15, 1)) return 1;
  for (x = -1.75f; x < 1.8f; x += 0.25f) icl_add(ctx, &x, 2 * expf(-(x + 2)) * cosf(2 * x));
  for (x = -1.6f; x < 1.7f; x += 0.8f)
    if (!icl_predict(ctx, &x, &y))
      printf("f(%4.1f) = %6.3f   predicted %6.3f\n", x, 2 * expf(-(x + 2)) * cosf(2 * x), y);
  icl_ctx_delete(ctx);
  icl_trainer_delete(t);
  return 0;
}
