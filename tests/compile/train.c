/* Engine and trainer, implemented in this file. */
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../../icl_train.h"
