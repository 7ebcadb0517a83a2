/* The engine, implemented in this file. */
#define ICL_IMPLEMENTATION
#include "../../icl.h"
