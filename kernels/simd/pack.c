#include "primitives.h"

/* Interleaving the first halves and the second halves of two vectors: the step of which a transposition is made. */
#if VECTOR_BYTES * 8 / REAL_BITS == 2
#define LOW 0, 2
#define HIGH 1, 3
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#endif

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

/* Element-wise, for strides that allow no vector: to[i * to_stride + j] = x[i, j]. */
static void copy_strided(ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                         real *to, ptrdiff_t to_stride)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            to[i * to_stride + j] = *(const real *)(x + i * row_stride + j * column_stride);
}

/* to[i * to_stride + j] = x[i, j] where x's rows are LANES (or `rows` fewer) contiguous columns apart by any stride:
 * reads LANES source lines of `count` numbers, writes their transpose. */
INLINE void transpose_block(const char *x, ptrdiff_t line_stride, ptrdiff_t lines, ptrdiff_t count, real *to,
                            ptrdiff_t to_stride)
{
    vreal block[LANES];
    if (lines == LANES && count == LANES) {
        UNROLL for (int i = 0; i < LANES; i++) block[i] = vload((const real *)(x + i * line_stride));
    } else {
        for (int i = 0; i < LANES; i++)
            block[i] = i < lines ? vload_part((const real *)(x + i * line_stride), count) : (vreal){0};
    }
    transpose(block);
    if (count == LANES) {
        UNROLL for (int i = 0; i < LANES; i++) vstore(to + i * to_stride, block[i]);
    } else {
        for (int i = 0; i < count; i++)
            vstore(to + i * to_stride, block[i]);
    }
}

static void panel(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x, ptrdiff_t k_stride,
                  ptrdiff_t column_stride, real *to)
{
    assert(columns >= 1 && columns <= width && width % LANES == 0 && width - columns < LANES);
    if (column_stride == sizeof(number)) {
        const ptrdiff_t whole = columns / LANES * LANES, rest = columns - whole;
        for (ptrdiff_t p = 0; p < k; p++, x += k_stride, to += width) {
            for (ptrdiff_t j = 0; j < whole; j += LANES)
                vstore(to + j, vload((const real *)x + j));
            if (rest)
                vstore(to + whole, vload_part((const real *)x + whole, rest));
        }
    } else if (k_stride == sizeof(number)) {
        /* LANES columns at a time, each read in one go: as many streams as the prefetcher follows. */
        for (ptrdiff_t j = 0; j < columns; j += LANES)
            for (ptrdiff_t p = 0; p < k; p += LANES)
                transpose_block(x + j * column_stride + p * k_stride, column_stride, min_size(columns - j, LANES),
                                min_size(k - p, LANES), to + p * width + j, width);
    } else {
        for (ptrdiff_t p = 0; p < k; p++)
            vstore(to + p * width + width - LANES, (vreal){0});
        copy_strided(k, columns, x, k_stride, column_stride, to, width);
    }
}

static void rows(ptrdiff_t count, ptrdiff_t k, const char *x, ptrdiff_t row_stride, ptrdiff_t k_stride, real *to)
{
    if (k_stride == sizeof(number))
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(to + i * k, x + i * row_stride, (size_t)k * sizeof(number));
    else
        copy_strided(count, k, x, row_stride, k_stride, to, k);
}

static void scatter(ptrdiff_t rows, ptrdiff_t columns, const real *x, ptrdiff_t x_stride, char *to,
                    ptrdiff_t row_stride, ptrdiff_t column_stride)
{
    for (ptrdiff_t i = 0; i < rows; i++, x += x_stride, to += row_stride)
        if (column_stride == sizeof(number))
            memcpy(to, x, (size_t)columns * sizeof(number));
        else
            for (ptrdiff_t j = 0; j < columns; j++)
                *(real *)(to + j * column_stride) = x[j];
}

const pack_primitives NAME(pack) = {.panel = panel, .rows = rows, .scatter = scatter};
