/* The transposition of LANES vectors in registers. */
#ifndef NPK_TRANSPOSE_H
#define NPK_TRANSPOSE_H

#include "shuffle.h"

/* One round of the perfect shuffle: rows i and i + L/2 are interleaved into rows 2i and 2i + 1. log2(L) rounds
 * rotate the bits of (row, lane) half way round, which exchanges row and lane: a transposition.
 * Stone, "Parallel Processing with the Perfect Shuffle", IEEE Trans. Computers C-20(2), 1971. */
INLINE void shuffle_round(const vreal from[LANES], vreal to[LANES])
{
    UNROLL for (int i = 0; i < LANES / 2; i++)
    {
        to[2 * i] = __builtin_shufflevector(from[i], from[i + LANES / 2], LOW);
        to[2 * i + 1] = __builtin_shufflevector(from[i], from[i + LANES / 2], HIGH);
    }
}

INLINE void transpose(vreal x[LANES])
{
    vreal y[LANES];
    shuffle_round(x, y);
#if VECTOR_BYTES * 8 / REAL_BITS == 2
    memcpy(x, y, sizeof y);
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
    shuffle_round(y, x);
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
    shuffle_round(y, x);
    shuffle_round(x, y);
    memcpy(x, y, sizeof y);
#else
    shuffle_round(y, x);
    shuffle_round(x, y);
    shuffle_round(y, x);
#endif
}

/* block[i][q] = x[i, q] for i < lines, q < count, else 0, transposed; lines of x are `line_stride` bytes apart. */
INLINE void load_transposed(vreal block[LANES], const char *x, ptrdiff_t line_stride, ptrdiff_t lines, ptrdiff_t count)
{
    if (lines == LANES && count == LANES) {
        UNROLL for (int i = 0; i < LANES; i++) block[i] = vload((const real *)(x + i * line_stride));
    } else {
        for (int i = 0; i < LANES; i++)
            block[i] = i < lines ? vload_part((const real *)(x + i * line_stride), count) : (vreal){0};
    }
    transpose(block);
}

#endif
