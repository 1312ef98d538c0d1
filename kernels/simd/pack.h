/* Packers: an operand of the product, read through any strides (in bytes), written the way the tile reads it. */
#ifndef NPK_PACK_H
#define NPK_PACK_H

typedef struct {
    /* panel[p * width + j] = x[p, j] for p < k, j < columns; 0 for columns <= j < width (width = whole vectors). */
    void (*panel)(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x, ptrdiff_t k_stride,
                  ptrdiff_t column_stride, real *panel);
    /* rows[i * k + p] = x[i, p] */
    void (*rows)(ptrdiff_t count, ptrdiff_t k, const char *x, ptrdiff_t row_stride, ptrdiff_t k_stride, real *rows);
} pack_primitives;

#endif
