/* Dropout: which elements are kept, from a stream of random numbers that is a function of the place of the element. */
#ifndef NPK_DROPOUT_H
#define NPK_DROPOUT_H

#include <stdint.h>

enum { DROPOUT_GROUP = 64 }; /* elements that are drawn together */

typedef struct {
    /* mask[i] = 1 if element first + i is kept, else 0; first is a multiple of DROPOUT_GROUP. An element is kept if its
     * random number, uniform in [0, 2^32), is below `kept`. */
    void (*draw)(uint64_t key, uint64_t kept, ptrdiff_t first, ptrdiff_t count, uint8_t *mask);
    /* y[i] = scale x[i] where mask[i] is not 0, else 0; y may be x */
    void (*apply)(ptrdiff_t count, const real *x, const uint8_t *mask, double scale, real *y);
} dropout_primitives;

#endif
