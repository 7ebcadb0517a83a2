/* The caller's memory functions, and nobody else's. */
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
void *my_malloc(size_t size);
void *my_realloc(void *p, size_t size);
void my_free(void *p);
#ifdef __cplusplus
}
#endif

#define ICL_MALLOC(size) my_malloc(size)
#define ICL_REALLOC(p, size) my_realloc(p, size)
#define ICL_FREE(p) my_free(p)
#define ICL_IMPLEMENTATION
#define ICL_TRAIN_IMPLEMENTATION
#include "../../icl_train.h"
