/* Reductions of contiguous rows. */
#ifndef NPK_ROWS_H
#define NPK_ROWS_H

typedef struct {
    /* The sum, in an order that depends on `count` alone: lane sums of four interleaved vectors, then a tree. */
    double (*sum)(ptrdiff_t count, const real *x);
    /* y[r] = sum of row r / count, count >= 1; rows are `stride` bytes apart */
    void (*means)(ptrdiff_t rows, ptrdiff_t count, const real *x, ptrdiff_t stride, real *y);
    /* y[r] = the largest of row r, a NaN if there is one, of zeros of both signs the first, count >= 1; rows are `stride`
     * bytes apart */
    void (*maxima)(ptrdiff_t rows, ptrdiff_t count, const real *x, ptrdiff_t stride, real *y);
    /* sum[i] += x[i] */
    void (*add)(ptrdiff_t count, const real *x, real *sum);
    void (*add_to_doubles)(ptrdiff_t count, const real *x, double *sums);
    /* y[i] = x[i] */
    void (*narrow)(ptrdiff_t count, const double *x, real *y);
} row_primitives;

#endif
