/* Declarations first, as by way of a program's own header; the implementation later in the same file.
 * Then the program must have it: this one links and runs. */
#include "../../icl_train.h"
#include "../../icl.h"

int declared(const icl_model *m);
int declared(const icl_model *m) { return icl_count(NULL) + (m != NULL); }

#define ICL_IMPLEMENTATION
#ifdef WITH_TRAINER
#define ICL_TRAIN_IMPLEMENTATION
#include "../../icl_train.h"
#else
#include "../../icl.h"
#endif
#include "../../icl.h"

int main(void)
{
#ifdef WITH_TRAINER
  icl_rng r;
  icl_rng_init(&r, 1, 2, 3);
  if (icl_rng_below(&r, 1)) return 1;
#endif
  return declared(NULL) || icl_version()[0] != ICL_VERSION[0];
}
