/* Both headers, behind macros that other code has defined: as declarations, and implemented. */
#ifdef __STRICT_ANSI__
#define _POSIX_C_SOURCE 200809L
#endif
#if defined NAMES_LATE        /* as a file that includes all else first */
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

/* They are as they were before. */
#if A != 1 || B != 2 || C != 3 || D != 4 || E != 5 || G != 7 || H != 8 || I != 9 || J != 10 || K != 11 || L != 12 \
    || M != 13 || N != 14 || O != 15 || P != 16 || Q != 17 || R != 18 || S != 19 || T != 20 || U != 21 || V != 22 \
    || W != 23 || X != 24 || Y != 25 || Z != 26 || F(6) != 6 || B1 != 1 || min(3, 2) != 2
#error "a macro of the program is gone"
#endif
