/* Arrays of any strides, element by element in C order. */
#ifndef NPK_STRIDED_H
#define NPK_STRIDED_H

#include <stdint.h>

enum { STRIDED_AXES = 64 }; /* NumPy's limit */

typedef struct {
    char *data;
    int axes;                                             /* at least 1; neighbours that step alike are merged */
    ptrdiff_t shape[STRIDED_AXES], strides[STRIDED_AXES]; /* outermost first, strides in bytes */
} strided;

typedef struct {
    /* to[i] = element first + i of the array, in C order, for i < count */
    void (*gather)(const strided *array, ptrdiff_t first, ptrdiff_t count, real *to);
    /* the reverse: element first + i = from[i] */
    void (*scatter)(const strided *array, ptrdiff_t first, ptrdiff_t count, const real *from);
    /* gather of an array of bytes */
    void (*gather_bytes)(const strided *array, ptrdiff_t first, ptrdiff_t count, uint8_t *to);
} strided_primitives;

#endif
