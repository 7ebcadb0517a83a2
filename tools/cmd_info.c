/* icl info: what is in a checkpoint.
 * SPDX-License-Identifier: MIT */
#define _POSIX_C_SOURCE 200809L
#include "common.h"

#include <stdlib.h>

static void print_config(const icl_config *c)
{
  int width, i;
  const char *name;
  printf("n_dims              %d\n", c->n_dims);
  printf("n_embd              %d\n", c->n_embd);
  printf("n_head              %d\n", c->n_head);
  printf("n_layer             %d\n", c->n_layer);
  printf("n_positions         %d\n", c->n_positions);
  printf("n_out               %d\n", c->n_out);
  name = choice_name(POSITION_CHOICES, (int)c->position_embedding_type, &width);
  printf("positions           %.*s\n", width, name);
  name = choice_name(ACTIVATION_CHOICES, (int)c->activation_function, &width);
  printf("activation          %.*s\n", width, name);
  name = choice_name(TOKEN_CHOICES, (int)c->tokens, &width);
  printf("tokens              %.*s\n", width, name);
  if (c->n_quantiles) printf("quantiles           ");
  for (i = 0; i < c->n_quantiles; i++)
    printf("%g%c", (double)c->quantiles[i], i + 1 < c->n_quantiles ? ',' : '\n');
  printf("layer_norm_epsilon  %g\n", (double)c->layer_norm_epsilon);
}

/* The file, what icl_model_init needs beside it, and a context for as many pairs as its positions are
 * for; those that alternate, or are none, know no limit. */
static void print_sizes(const char *path, const icl_model *m)
{
  const int pairs = (m->config.n_positions - 1) / 2;
  size_t size = 0, need = 0;
  void *data = read_file(path, &size);
  int width;
  const char *name;
  name = choice_name(STORAGE_CHOICES, (int)icl_model_storage(m), &width);
  printf("parameters          %zu\n", m->n_params);
  printf("weights             %.*s\n", width, name);
  if (data && !icl_inspect(data, size, NULL, &need, NULL)) {
    printf("file_bytes          %zu\n", size);
    printf("model_bytes         %zu (beside those of the file)\n", need);
  }
  free(data);
  if (pairs > 0) {
    printf("context_pairs       %d%s\n", pairs,
           icl_max_pairs(m) > pairs ? " (as trained; more are possible)" : "");
    printf("context_bytes       %zu\n", icl_ctx_bytes(m, pairs, 1));
  }
}

static int run(int argc, char **argv)
{
  static const option table[] = {OPT_END};
  const char *path;
  icl_model *m;
  if (!parse_options(&cmd_info, table, argc, argv, &path, 1)) usage_error(&cmd_info, "no MODEL");
  m = load_model(path);
  print_config(&m->config);
  print_sizes(path, m);
  printf("task                %s\n", m->task[0] ? m->task : "(not said)");
  if (m->sampling[0]) printf("sampling            %s\n", m->sampling);
  if (m->recipe[0]) printf("recipe              %s\n", m->recipe);
  printf("digest              %s\n", m->verified ? "verified" : "none: unverified");
  printf("surprise            %s\n", m->n_typical ? "available" : "not available");
  printf("isa                 %s\n", icl_isa_name(m));
  icl_unload(m);
  return EXIT_SUCCESS;
}

const command cmd_info = {
  "info", "what is in a checkpoint", "MODEL",
  "Prints what is in a checkpoint: its configuration under the names of Hugging Face, its sizes,\n"
  "the task that it was trained on, and whether its bytes match their digest.",
  run
};
