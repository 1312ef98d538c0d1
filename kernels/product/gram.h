/* What the product of a matrix with itself needs beside panels and tiles. */
#ifndef NPK_GRAM_H
#define NPK_GRAM_H

typedef struct {
    /* panel[p * width + j] -= near[j] for p < k, j < columns, and sums[j] += the sum of them over p. */
    void (*centre)(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const real *near, real *panel, double *sums);
    /* to[i * to_stride + j] += c[i * c_stride + j] for i < rows, j < columns */
    void (*add)(ptrdiff_t rows, ptrdiff_t columns, const real *c, ptrdiff_t c_stride, double *to, ptrdiff_t to_stride);
} gram_primitives;

#endif
