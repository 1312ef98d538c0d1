/* Distances of all rows of x and y as sums of squared differences, exactly 0 for equal rows, and their sums. Rows of x are
 * in tiles (neighbours.h, `pack`), rows of y in the lanes of panels. */
#ifndef NPK_PAIRWISE_H
#define NPK_PAIRWISE_H

#include <stdint.h>

/* Samples in groups, one after the other. Row j of the tiles weighs weights[j] and ends group ends[j], -1: none. */
typedef struct {
    ptrdiff_t tiles, d;
    const real *packed, *weights;
    const int32_t *ends;
    const double *shares; /* 1 / the weight of each group */
} sample_groups;

typedef struct {
    /* out[i * stride + j] for i < rows, j < columns, 1 <= columns <= a tile's, of one of the kinds of neighbours.h but the inner
     * product: that of lengths 1 only for COSINE_DISTANCE */
    void (*distances)(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t d, int kind, const real *packed, const real *panel,
                      real *out, ptrdiff_t stride);
    /* For `vectors` vectors of samples in a panel, of the groups homes: own[i] = the weighted sum of the distances to
     * samples of its group, other[i] = the least weighted mean of the distances to those of another one, inf if there is none. */
    void (*sums)(const sample_groups *groups, ptrdiff_t vectors, const real *panel, const double *homes, double *own,
                 double *other);
} pairwise_primitives;

#endif
