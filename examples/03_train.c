/* Trains a small model on a mixture of two function classes and shows its learning curve: some 20
 * seconds on a laptop.  Leaves the model in build/mine.safetensors.
 *
 *     cc -O2 -DICL_TRAIN_THREADS -I. examples/03_train.c -lm -lpthread -o build/03_train && build/03_train
 */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "icl_train.h"

/* Mean squared error of the model after k pairs, on 1000 fresh prompts of a task. */
static void learning_curve(const icl_model *m, const char *spec, int pairs)
{
  enum { PROMPTS = 1000, MAX = 16 };
  static float xs[PROMPTS * MAX * 3], ys[PROMPTS * MAX], preds[PROMPTS * MAX], scratch[4096];
  icl_task task;
  icl_batch *batch;
  int i, k;
  if (icl_task_parse(&task, spec, 3, NULL, 0, NULL) || icl_batch_new(&batch, m, pairs, 2)) return;
  for (i = 0; i < PROMPTS; i++) {
    icl_rng rng;
    icl_rng_init(&rng, 12345, 0, (uint64_t)i);
    icl_prompt_sample(&task, NULL, &rng, pairs, xs + i * pairs * 3, ys + i * pairs, NULL, scratch);
  }
  icl_batch_predict(batch, PROMPTS, xs, ys, preds);
  icl_batch_delete(batch);
  printf("%-15s", spec);
  for (k = 0; k < pairs; k += 3) {
    double sum = 0;
    for (i = k; i < PROMPTS * pairs; i += pairs) sum += (preds[i] - ys[i]) * (preds[i] - ys[i]);
    printf("  %5.3f", sum / PROMPTS);
  }
  printf("\n");
}

static int progress(void *user, const icl_train_info *info)
{
  (void)user;
  if (info->step % 500 == 0) fprintf(stderr, "step %d  loss %.3f\n", (int)info->step, info->loss);
  return 0;
}

int main(void)
{
  icl_train_options o;
  icl_run run;
  icl_trainer *t;
  icl_report why;
  memset(&o, 0, sizeof o);
  memset(&run, 0, sizeof run);
  o.task = "0.5*dense + 0.5*sparse(nnz=1)";
  o.model.n_dims = 3; o.model.n_layer = 3; o.model.n_head = 2; o.model.n_embd = 32;
  o.pairs = 16; o.steps = 3000; o.threads = 2;
  o.lr = 3e-3f; o.schedule = ICL_LR_COSINE; o.warmup = 200; o.clip = 1; o.init_sd = 0.18f;
  run.model_path = "build/mine.safetensors";
  run.progress = progress;
  if (icl_trainer_new(&t, &o, &why) || icl_train_run(t, &run, NULL, &why)) {
    fprintf(stderr, "%s\n", why.text);
    return 1;
  }
  printf("pairs in context    0      3      6      9     12     15   (least squares: 0 from 3 on)\n");
  learning_curve(icl_trainer_model(t), "dense", o.pairs);
  learning_curve(icl_trainer_model(t), "sparse(nnz=1)", o.pairs);
  icl_trainer_delete(t);
  return 0;
}
