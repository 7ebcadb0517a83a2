/* The predictors on top of engine and trainer: declarations, all three implementations, and both again. */
#ifdef __STRICT_ANSI__
#define _POSIX_C_SOURCE 200809L
#endif
#include "tools/icl_bayes.h"
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#define ICL_BAYES_IMPLEMENTATION
#include "tools/icl_bayes.h"
#include "tools/icl_bayes.h"
