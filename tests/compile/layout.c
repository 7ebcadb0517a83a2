/* Prints the layout of every public struct, which no macro may change: two files of a program may
 * have been compiled with different ones. */
#include "tools/icl_bayes.h"
#include <stdio.h>

#define SIZE(type) printf(#type " %u\n", (unsigned)sizeof(type));
#define PLACE(type, member) printf(#type "." #member " %u\n", (unsigned)offsetof(type, member));

int main(void)
{
  SIZE(icl_error) SIZE(icl_report) SIZE(icl_config) SIZE(icl_tensor) SIZE(icl_model) SIZE(icl_ctx)
  SIZE(icl_metadata) SIZE(icl_rng) SIZE(icl_class_arg) SIZE(icl_class_call) SIZE(icl_class)
  SIZE(icl_task_node) SIZE(icl_task) SIZE(icl_sampling) SIZE(icl_baseline) SIZE(icl_train_options)
  SIZE(icl_train_info) SIZE(icl_run)
  PLACE(icl_report, text) PLACE(icl_config, layer_norm_epsilon) PLACE(icl_model, ops)
  PLACE(icl_ctx, pack) PLACE(icl_task, node) PLACE(icl_train_options, user)
  PLACE(icl_train_info, skipped) PLACE(icl_run, stop)
  return 0;
}
