/* Declarations only, twice, beside names that a program may well have. */
#include "../../icl_train.h"
#include "../../icl.h"
#include "../../icl_train.h"
#include "../../icl.h"

typedef struct model { int n_dims; } model;
typedef enum report { ok, error, text, offset } report;

report header_only(model *out, const icl_config *config);

report header_only(model *out, const icl_config *config)
{
  const int min = 1, max = 2, T = 3, C = 4, H = 5;
  out->n_dims = config->n_dims + min + max + T + C + H;
  return (size_t)out->n_dims > sizeof(icl_model) ? error : ok;
}
