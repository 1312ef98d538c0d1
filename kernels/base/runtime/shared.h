/* Single values that several threads use at once. */
#ifndef NPK_SHARED_H
#define NPK_SHARED_H

#include <stdint.h>

typedef int64_t int64_memory __attribute__((aligned(1), may_alias)); /* of an array of the caller */

/* A number of a caller's array, which another thread may write to: what was checked must be what is used, so that it is
 * loaded once. */
static inline int64_t load_once(const int64_memory *x) { return *(const volatile int64_memory *)x; }

#endif
