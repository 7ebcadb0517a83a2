/* Everything included twice and in any order: declarations, implementation, and both again.  Without
 * GNU's extensions the trainer wants POSIX to be asked for before the first include. */
#ifdef __STRICT_ANSI__
#define _POSIX_C_SOURCE 200809L
#endif
#include "../../icl.h"
#include "../../icl_train.h"
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../../icl.h"
#include "../../icl_train.h"
#include "../../icl_train.h"
#include "../../icl.h"
