/* Everything included twice and in any order: declarations, implementation, and both again. */
#include "../../icl.h"
#include "../../icl_train.h"
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../../icl.h"
#include "../../icl_train.h"
#include "../../icl_train.h"
#include "../../icl.h"
