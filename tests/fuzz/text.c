/* Texts: of tasks, of sampling and of baselines.  Input: which and how many inputs | the text. */
#include "fuzz.h"
#ifdef FUZZ_ALONE
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define ICL_BAYES_IMPLEMENTATION
#include "tools/icl_bayes.h"
#endif

enum { TEXT_ROOM = 4096, TEXT_DIMS = 7, TEXT_PAIRS = 3, TEXT_FLOATS = 1 << 16 };

/* Prompts of a task: finite, or NONFINITE. */
static void text_sample(const icl_task *t, unsigned k)
{
  static float scratch[TEXT_FLOATS];
  float xs[TEXT_PAIRS * TEXT_DIMS], ys[TEXT_PAIRS];
  int drawn = -1;
  icl_sampling how;
  icl_rng rng;
  icl_error e;
  if (icl_prompt_scratch(t) > TEXT_FLOATS) return;
  memset(&how, 0, sizeof how);
  how.order = k & 1;
  how.standardize = k >> 1 & 1;
  how.inputs = (icl_input_kind)(k >> 2 & 1 ? ICL_INPUTS_DATA : ICL_INPUTS_NORMAL);
  icl_rng_init(&rng, 1, 2, k);
  e = icl_prompt_sample(t, &how, &rng, TEXT_PAIRS, xs, ys, &drawn, scratch);
  MUST(e == ICL_OK || e == ICL_ERR_NONFINITE);
  if (e) return;
  MUST(fuzz_finite(xs, (size_t)(TEXT_PAIRS * t->n_dims)) && fuzz_finite(ys, TEXT_PAIRS));
  MUST(drawn >= 0 && drawn < icl_task_terms(t) && icl_function_class(scratch) == drawn);
  MUST(icl_function_noise(scratch) >= 0);
}

/* A task that parses is printed as a text that parses to the same text, and its weights sum up to 1. */
static void text_task(const char *text, size_t size, unsigned k)
{
  icl_task t, again;
  icl_report r;
  char *first = (char *)fuzz_alloc(TEXT_ROOM), *second = (char *)fuzz_alloc(TEXT_ROOM);
  int dims = 1 + (int)(k % TEXT_DIMS), i;
  double sum = 0;
  icl_error e = icl_task_parse(&t, text, dims, NULL, 0, &r);
  MUST(r.code == e && memchr(r.text, 0, sizeof r.text) && (!e || r.offset <= size));
  fuzz_say((uint64_t)e << 32 | (e ? r.offset : 0));
  if (!e && icl_task_print(&t, first, TEXT_ROOM) < TEXT_ROOM) {
    MUST(icl_task_parse(&again, first, dims, NULL, 0, &r) == ICL_OK);
    icl_task_print(&again, second, TEXT_ROOM);
    MUST(!strcmp(first, second));
    for (i = 0; i < icl_task_terms(&t); i++) sum += (double)icl_task_weight(&t, i);
    MUST(sum > 0.999 && sum < 1.001 && icl_task_weight(&t, i) <= 0);
    text_sample(&t, k / TEXT_DIMS);
  }
  free(first);
  free(second);
}

/* Sampling that parses is printed as a text that parses and is printed as the same. */
static void text_sampling(const char *text)
{
  icl_sampling how, again;
  char line[256], second[256];
  memset(&how, 0, sizeof how);
  fuzz_say(icl_sampling_parse(&how, text));
  if (icl_sampling_parse(&how, text)) return;
  MUST(icl_sampling_print(&how, line, sizeof line) < sizeof line);
  memset(&again, 0, sizeof again);
  MUST(icl_sampling_parse(&again, line) == ICL_OK);
  icl_sampling_print(&again, second, sizeof second);
  MUST(!strcmp(line, second));
}

static void text_baseline(const char *text, size_t size)
{
  icl_baseline b;
  icl_report r;
  icl_error e = icl_baseline_parse(&b, text, &r);
  MUST(r.code == e && memchr(r.text, 0, sizeof r.text) && (!e || r.offset <= size));
  fuzz_say((uint64_t)e << 32 | (e ? r.offset : 0));
  if (!e) MUST(icl_baseline_scratch(&b, 3, 2) < (size_t)1 << 40);
}

int FUZZ_ENTRY(const uint8_t *data, size_t n)
{
  char *text;
  if (n < 1) return 0;
  text = (char *)fuzz_alloc(n);
  memcpy(text, data + 1, n - 1);
  text[n - 1] = 0;
  if (data[0] < 240) text_task(text, strlen(text), data[0]);
  else if (data[0] < 248) text_sampling(text);
  else text_baseline(text, strlen(text));
  free(text);
  return 0;
}
