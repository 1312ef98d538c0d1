/* Pixels with LANES channels each, out of planes and back. */
#ifndef NPK_PIXELS_H
#define NPK_PIXELS_H

#include "transpose.h"

/* A row of `count` pixels, the channels of each in a vector; pixel e is column + e of the image, 0 outside. */
INLINE void pixels_of_row(const windows *g, const char *x, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t count,
                          real *to)
{
    const ptrdiff_t size = sizeof(number);
    const ptrdiff_t first = min_size(max_size(-column, 0), count),
                    last = max_size(min_size(g->w - column, count), first);
    x += column * g->column_stride;
    if (g->channel_stride == size) { /* channels last */
        for (ptrdiff_t e = 0; e < count; e++)
            vstore(to + e * LANES, e >= first && e < last
                                       ? vload_part((const real *)(x + e * g->column_stride), channels)
                                       : (vreal){0});
    } else if (g->column_stride == size) {
        for (ptrdiff_t e = 0; e < count; e += LANES) {
            const ptrdiff_t from = min_size(max_size(first - e, 0), LANES),
                            end = min_size(max_size(last - e, from), LANES);
            const unsigned mask = (1u << end) - (1u << from);
            vreal block[LANES];
            for (int l = 0; l < LANES; l++) {
                const char *const row = x + l * g->channel_stride + e * size;
                block[l] = l < channels ? vload_mask((const real *)row, mask) : (vreal){0};
                __builtin_prefetch(row + 4 * g->row_stride);
            }
            transpose(block);
            if (count - e >= LANES)
                UNROLL for (int i = 0; i < LANES; i++) vstore(to + (e + i) * LANES, block[i]);
            else
                for (ptrdiff_t i = 0; i < count - e; i++)
                    vstore(to + (e + i) * LANES, block[i]);
        }
    } else {
        for (ptrdiff_t e = 0; e < count; e++)
            for (ptrdiff_t l = 0; l < LANES; l++)
                to[e * LANES + l] = e >= first && e < last && l < channels
                                        ? *(const real *)(x + l * g->channel_stride + e * g->column_stride)
                                        : 0;
    }
}

/* y[l, i, j] = pixels[(i * width + j) * LANES + l] for l < channels, i < rows, j < columns; strides of y in bytes */
static inline void store_pixels(ptrdiff_t channels, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t width,
                                const real *pixels, char *y, ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column)
{
    const ptrdiff_t size = sizeof(number);
    for (ptrdiff_t i = 0; i < rows; i++, y += y_row)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            const ptrdiff_t count = min_size(columns - j, LANES);
            vreal block[LANES];
            load_transposed(block, (const char *)(pixels + (i * width + j) * LANES), LANES * size, count, LANES);
            if (channels == LANES && count == LANES && y_column == size) {
                UNROLL for (int l = 0; l < LANES; l++) vstore((real *)(y + l * y_channel + j * y_column), block[l]);
                continue;
            }
            for (ptrdiff_t l = 0; l < channels; l++) {
                char *const to = y + l * y_channel + j * y_column;
                if (y_column == size && count == LANES)
                    vstore((real *)to, block[l]);
                else if (y_column == size)
                    vstore_part((real *)to, block[l], count);
                else
                    for (ptrdiff_t e = 0; e < count; e++)
                        *(real *)(to + e * y_column) = block[l][e];
            }
        }
}

#endif
