/* Reductions of contiguous rows. */
#ifndef NPK_ROWS_H
#define NPK_ROWS_H

typedef struct {
    /* The sum, in an order that depends on `count` alone: lane sums of four interleaved vectors, then a tree. */
    double (*sum)(ptrdiff_t count, const real *x);
    /* sum[i] += x[i] */
    void (*add)(ptrdiff_t count, const real *x, real *sum);
} row_primitives;

#endif
