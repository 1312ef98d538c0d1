/* Nearest centroids.
 *
 * |x - c|^2 = |x - m|^2 - 2 ((x - m).(c - m) - |c - m|^2 / 2) for any m: the nearest centroid is the one of the largest
 * score (x - m).(c - m) - |c - m|^2 / 2. With m near the data a common offset cancels before anything is rounded. */
#ifndef NPK_CLUSTER_H
#define NPK_CLUSTER_H

#include <stdint.h>

enum { FEW_FEATURES = 16 };

typedef struct {
    /* rows[i * d + p] = x[i, p] - mean[p]; strides of x in bytes */
    void (*centre)(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                   const real *mean, real *rows);
    /* The largest of `count` scores, if it is above *best, becomes *best, and first + its lowest place *label. */
    void (*best_score)(ptrdiff_t count, const real *scores, int32_t first, real *best, int32_t *label);
    /* The same for `count` samples of d <= FEW_FEATURES contiguous features and all centroids at once: lanes hold
     * samples. centred (k, d) is c - m, start (k) is -|c - m|^2 / 2; label is -1 where no score is a number. */
    void (*few_features)(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                         const real *mean, const real *centred, const real *start, real *best, int32_t *labels);
    /* |x - c|^2 of two rows, in lane sums and a tree */
    double (*squared_distance)(ptrdiff_t d, const real *x, const real *c);
    /* sums[p] += weight * x[p] */
    void (*accumulate)(ptrdiff_t d, const real *x, double weight, double *sums);
} cluster_primitives;

#endif
