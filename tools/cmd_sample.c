/* icl sample: prompts of a task as CSV.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "evaluate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_STREAM (EVAL_STREAM + 1000)

typedef struct request {
  const char *spec;
  icl_task task;
  icl_sampling sampling;
  uint64_t seed;
  int dims, pairs, prompts, classes, inputs;
} request;

static request parse_request(int argc, char **argv)
{
  request q;
  icl_report r = {ICL_OK, 0, ""};
  const option table[] = {
    OPT_TEXT("--task", "SPEC", &q.spec,
             "(required) what to draw functions from; icl tasks lists all"),
    OPT_INT("--dims", "d", &q.dims, 1, 4096, "(required) inputs of a function"),
    OPT_INT("--pairs", "P", &q.pairs, 1, 1 << 20, "(required) pairs of a prompt"),
    OPT_INT("--prompts", "M", &q.prompts, 1, INT_MAX, "prompts to draw"),
    OPT_SEED("--seed", "S", &q.seed, "of the prompts"),
    OPT_CHOICE("--x", X_CHOICES, &q.inputs, "distribution of inputs"),
    OPT_FLAG("--order", &q.sampling.order, "pairs in the orders that data come in"),
    OPT_FLAG("--standardize", &q.sampling.standardize, "scale prompts by their first pairs"),
    OPT_FLAG("--class", &q.classes,
             "one more column: which term of the task's sum it is, from 1"),
    OPT_END
  };
  memset(&q, 0, sizeof q);
  q.prompts = 1;
  parse_options(&cmd_sample, table, argc, argv, NULL, 0);
  if (!q.spec || !q.dims || !q.pairs)
    usage_error(&cmd_sample, "%s is required", !q.spec ? "--task" : !q.dims ? "--dims" : "--pairs");
  if (icl_task_parse(&q.task, q.spec, q.dims, NULL, 0, &r))
    usage_error(&cmd_sample, "--task, character %zu: %s", r.offset + 1, r.text);
  q.sampling.inputs = (icl_input_kind)q.inputs;
  return q;
}

static void print_header(const request *q)
{
  int j;
  fputs("prompt", stdout);
  for (j = 1; j <= q->dims; j++) printf(",x%d", j);
  puts(q->classes ? ",y,class" : ",y");
}

/* xs[pairs][d], ys[pairs] as rows of prompt `number`. */
static void print_prompt(const request *q, int number, const float *xs, const float *ys, int term)
{
  int i, j;
  for (i = 0; i < q->pairs; i++) {
    printf("%d", number);
    for (j = 0; j < q->dims; j++) printf(",%.9g", (double)*xs++);
    printf(",%.9g", (double)ys[i]);
    if (q->classes) printf(",%d", term + 1);
    putchar('\n');
  }
}

static int run(int argc, char **argv)
{
  const request q = parse_request(argc, argv);
  float *xs = allocate((size_t)q.pairs * (size_t)q.dims, sizeof *xs);
  float *ys = allocate((size_t)q.pairs, sizeof *ys);
  float *function = allocate(icl_prompt_scratch(&q.task), sizeof *function);
  int i, term;
  print_header(&q);
  for (i = 0; i < q.prompts; i++) {
    icl_rng rng;
    icl_rng_init(&rng, q.seed, SAMPLE_STREAM, (uint64_t)i);
    check(icl_prompt_sample(&q.task, &q.sampling, &rng, q.pairs, xs, ys, &term, function),
          "drawing a prompt");
    print_prompt(&q, i + 1, xs, ys, term);
    flush_output();
  }
  free(xs);
  free(ys);
  free(function);
  return EXIT_SUCCESS;
}

const command cmd_sample = {
  "sample", "prompts of a task as CSV", "--task SPEC --dims d --pairs P [options]",
  "Draws functions from a task and prints pairs of each: prompt,x1,...,xd,y.  Prompt i depends on\n"
  "the seed, the task, the other options but --prompts, and i alone; no training step and no\n"
  "evaluation draws it.",
  run
};
