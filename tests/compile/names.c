/* Both headers, behind macros that other code has defined: as declarations, and implemented. */
#ifdef __STRICT_ANSI__
#define _POSIX_C_SOURCE 200809L
#endif
#if defined NAMES_LATE || defined __cplusplus        /* as a file that includes all else first */
#include <errno.h>
#include <fcntl.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#if defined __x86_64__ || defined __i386__
#include <cpuid.h>
#include <immintrin.h>
#endif
#endif
#include "names.h"
#ifdef NAMES_IMPLEMENT
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#endif
#include "../../icl_train.h"
#include "../../icl.h"
