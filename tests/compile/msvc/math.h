/* Enough of Windows' headers for icl.h without files, so that clang can compile as clang-cl. */
double sqrt(double);
float sqrtf(float), fabsf(float), expf(float), logf(float), sinf(float), cosf(float), erff(float);
float fmaf(float, float, float);
#define NAN __builtin_nanf("")
#define INFINITY __builtin_inff()
