/* Rows of a table. */
#ifndef NPK_EMBEDDING_H
#define NPK_EMBEDDING_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    /* y[i * columns + j] = w[rows[i], j], a row contiguous; streamed: past the caches, `fence` is due when all is written. */
    void (*gather)(ptrdiff_t count, ptrdiff_t columns, const char *w, ptrdiff_t row_stride, const int64_t *rows,
                   int streamed, real *y);
} embedding_primitives;

#endif
