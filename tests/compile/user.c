/* A second translation unit, which only uses what another one implements. */
#include "../../icl_train.h"
#include <stdio.h>
#include <string.h>

int main(void)
{
  icl_train_options o;
  icl_trainer *t = NULL;
  icl_train_info info;
  icl_report r;
  memset(&o, 0, sizeof o);
  o.model.n_dims = 1; o.model.n_embd = 4; o.model.n_head = 2; o.model.n_layer = 1;
  o.task = "dense";
  o.pairs = 2;
  o.batch = 1;
  o.steps = 1;
  if (strcmp(icl_version(), ICL_VERSION)) { puts("another version"); return 1; }
  if (!icl_error_string(ICL_ERR_IO)[0]) { puts("no text"); return 1; }
  if (icl_trainer_new(&t, &o, &r)) { puts(r.text); return 1; }
  if (icl_train_step(t, &info) || info.step != 1) { puts("no step"); return 1; }
  icl_trainer_delete(t);
  return 0;
}
