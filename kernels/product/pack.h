/* Packers: an operand of the product, read through any strides (in bytes), written the way the tile reads it. */
#ifndef NPK_PACK_H
#define NPK_PACK_H

typedef void (*pack_panel_fn)(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x, ptrdiff_t k_stride,
                              ptrdiff_t column_stride, real *panel);

typedef struct {
    /* panel[p * width + j] = x[p, j] for p < k, j < columns, 1 <= columns; 0 for columns <= j < width, the fewest whole vectors.
     * Chained: row p goes to place (p % LANES) * ceil(k / LANES) + p / LANES, those of a chain one behind the other. */
    pack_panel_fn panel, chained_panel;
    /* `count` panels one behind the other, that of x, of x + step bytes, ... */
    void (*panels)(ptrdiff_t count, ptrdiff_t step, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x,
                   ptrdiff_t k_stride, ptrdiff_t column_stride, real *panels);
    /* rows[i * k + p] = x[i, p] */
    void (*rows)(ptrdiff_t count, ptrdiff_t k, const char *x, ptrdiff_t row_stride, ptrdiff_t k_stride, real *rows);
    /* to[i, j] = x[i * x_stride + j]: the way back, x_stride in elements, to's strides in bytes */
    void (*scatter)(ptrdiff_t rows, ptrdiff_t columns, const real *x, ptrdiff_t x_stride, char *to,
                    ptrdiff_t row_stride, ptrdiff_t column_stride);
    /* to[j * row + i * taps + t] = x[i, j, t], element t of (i, j) `offsets[t]` bytes behind its first; row in elements */
    void (*turn)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t taps, const char *x, ptrdiff_t row_stride,
                 ptrdiff_t column_stride, const ptrdiff_t *offsets, real *to, ptrdiff_t row);
    /* to[j, i] = x[i, j]; strides in elements */
    void (*transpose)(ptrdiff_t rows, ptrdiff_t columns, const real *x, ptrdiff_t x_stride, real *to,
                      ptrdiff_t to_stride);
} pack_primitives;

#endif
