/* Squared distances of samples to a few points, as sums of squared differences: exactly 0 for equal rows. */
#ifndef NPK_DISTANCE_H
#define NPK_DISTANCE_H

#include <stdint.h>

typedef struct {
    /* Points (k, d), contiguous, as `distances` reads them; packed (k, d). */
    void (*pack)(ptrdiff_t k, ptrdiff_t d, const real *points, real *packed);
    /* distances[j * pitch + i] = |x_i - point_j|^2 for i < count, anything up to a whole vector, count <= pitch, pitch a multiple
     * of the lanes; x in any strides, in bytes. Each is one chain of multiply-adds in ascending feature. zero: d zeros; panel:
     * panel_reals(d) numbers of scratch. Where low is not NULL, packed as the points are, it is subtracted from the
     * differences. */
    void (*distances)(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                      ptrdiff_t column_stride, const real *packed, const real *low, const real *zero, real *panel,
                      real *distances, ptrdiff_t pitch);
    ptrdiff_t (*panel_reals)(ptrdiff_t d);
    /* nearest[i] = min(nearest[i], distances[i]); then sums[j * lanes + i % lanes] += weights[i] min(nearest[i],
     * distances[j * pitch + i]) for j < k, in ascending i; distances as above, weights NULL: 1. Returns whether every nearest[i] is
     * finite. */
    int (*lower)(ptrdiff_t count, ptrdiff_t k, const real *distances, ptrdiff_t pitch, const double *weights,
                 real *nearest, double *sums);
    /* The first i < count up to which the sum of weights[i] nearest[i] exceeds `target`; if none does the last one of a
     * weight and a distance that are not 0; -1 if there is none. */
    ptrdiff_t (*draw)(ptrdiff_t count, const real *nearest, const double *weights, double target);
    /* to[i * row + j] = sqrt(distances[j * pitch + i]) for i < count, j < k */
    void (*roots)(ptrdiff_t count, ptrdiff_t k, const real *distances, ptrdiff_t pitch, real *to, ptrdiff_t row);
} distance_primitives;

#endif
