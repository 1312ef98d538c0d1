/* The transposition of LANES vectors in registers. */
#ifndef NPK_TRANSPOSE_H
#define NPK_TRANSPOSE_H

#include "shuffle.h"

/* PART elements in 16 bytes, PARTS of these in a vector: shuffles inside parts and of whole parts cost the least.
 * PARTS_LOW, PARTS_HIGH interleave the first and the second halves of every part of two vectors; PARTS_EVEN, PARTS_ODD
 * are the even and the odd parts of the one, then of the other. */
enum { PART = 128 / REAL_BITS, PARTS = VECTOR_BYTES / 16 };
#if REAL_BITS == 32
#define LOW_HALF(p) p, p + LANES, p + 1, p + 1 + LANES
#define HIGH_HALF(p) p + 2, p + 2 + LANES, p + 3, p + 3 + LANES
#define WHOLE(p) p, p + 1, p + 2, p + 3
#else
#define LOW_HALF(p) p, p + LANES
#define HIGH_HALF(p) p + 1, p + 1 + LANES
#define WHOLE(p) p, p + 1
#endif
#if VECTOR_BYTES == 64
#define EACH_PART(what) what(0), what(PART), what(2 * PART), what(3 * PART)
#define PARTS_EVEN WHOLE(0), WHOLE(2 * PART), WHOLE(LANES), WHOLE(LANES + 2 * PART)
#define PARTS_ODD WHOLE(PART), WHOLE(3 * PART), WHOLE(LANES + PART), WHOLE(LANES + 3 * PART)
#elif VECTOR_BYTES == 32
#define EACH_PART(what) what(0), what(PART)
#define PARTS_EVEN WHOLE(0), WHOLE(LANES)
#define PARTS_ODD WHOLE(PART), WHOLE(LANES + PART)
#else
#define EACH_PART(what) what(0)
#define PARTS_EVEN WHOLE(0)
#define PARTS_ODD WHOLE(LANES)
#endif
#define PARTS_LOW EACH_PART(LOW_HALF)
#define PARTS_HIGH EACH_PART(HIGH_HALF)

/* Four vectors of two parts of two numbers, number rp = column p of row r:
 *
 *      00 01 | 02 03      shuffle_places       00 10 | 02 12      shuffle_parts        00 10 | 20 30
 *      10 11 | 12 13      transposes each      01 11 | 03 13      transposes the       01 11 | 21 31
 *      20 21 | 22 23      square of PART       20 30 | 22 32      squares              02 12 | 22 32
 *      30 31 | 32 33      numbers              21 31 | 23 33                           03 13 | 23 33
 *
 * One round of the perfect shuffle inside the parts of PART neighbouring vectors: rows i and i + PART/2 are interleaved
 * into rows 2i and 2i + 1. log2(PART) rounds rotate the bits of (row, place in the part) half way round, which exchanges
 * row and place. Stone, "Parallel Processing with the Perfect Shuffle", IEEE Trans. Computers C-20(2), 1971. */
INLINE void shuffle_places(const vreal from[LANES], vreal to[LANES])
{
    UNROLL for (int i = 0; i < LANES; i += PART) UNROLL for (int j = 0; j < PART / 2; j++)
    {
        to[i + 2 * j] = __builtin_shufflevector(from[i + j], from[i + j + PART / 2], PARTS_LOW);
        to[i + 2 * j + 1] = __builtin_shufflevector(from[i + j], from[i + j + PART / 2], PARTS_HIGH);
    }
}

/* The way back of that shuffle, of whole parts: log2(PARTS) rounds exchange i and q of part q of row i PART + j. */
INLINE void shuffle_parts(const vreal from[LANES], vreal to[LANES])
{
    UNROLL for (int i = 0; i < PARTS / 2; i++) UNROLL for (int j = 0; j < PART; j++)
    {
        const vreal a = from[2 * i * PART + j], b = from[(2 * i + 1) * PART + j];
        to[i * PART + j] = __builtin_shufflevector(a, b, PARTS_EVEN);
        to[(i + PARTS / 2) * PART + j] = __builtin_shufflevector(a, b, PARTS_ODD);
    }
}

INLINE void transpose(vreal x[LANES])
{
    vreal y[LANES];
    for (int places = 1; places < PART; places *= 2) {
        shuffle_places(x, y);
        memcpy(x, y, sizeof y);
    }
    for (int parts = 1; parts < PARTS; parts *= 2) {
        shuffle_parts(x, y);
        memcpy(x, y, sizeof y);
    }
}

/* block[i][q] = x[i, q] for i < lines, q < count, else 0, transposed; lines of x are `line_stride` bytes apart. */
INLINE void load_transposed(vreal block[LANES], const char *x, ptrdiff_t line_stride, ptrdiff_t lines, ptrdiff_t count)
{
    assert(lines >= 0 && lines <= LANES && count >= 0 && count <= LANES);
    if (lines == LANES && count == LANES) {
        UNROLL for (int i = 0; i < LANES; i++) block[i] = vload((const real *)(x + i * line_stride));
    } else {
        for (int i = 0; i < LANES; i++)
            block[i] = i < lines ? vload_part((const real *)(x + i * line_stride), count) : (vreal){0};
    }
    transpose(block);
}

#endif
