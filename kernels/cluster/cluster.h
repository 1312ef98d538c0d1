/* Nearest centroids, and the sums of their samples.
 *
 * |x - c|^2 = |x - m|^2 - 2 ((x - m).(c - m) - |c - m|^2 / 2) for any m: the nearest centroid is the one of the largest
 * score (x - m).(c - m) - |c - m|^2 / 2. With m near the centroids a common offset cancels before anything is rounded,
 * and with both factors divided by the spread of the centroids, a power of 2, no score of ordinary data overflows or
 * underflows.
 *
 * Scores are a product whose lanes are samples: a tile is some centroids by some vectors of samples, and the best score
 * of a sample and its centroid stay in their lane. Every score is one chain of multiply-adds in ascending feature, and
 * centroids come in ascending order: how samples and centroids are split into tiles changes no bits. */
#ifndef NPK_CLUSTER_H
#define NPK_CLUSTER_H

#include <stdint.h>

typedef struct {
    /* From centroids c (k, d), contiguous, k, d >= 1: m in mean (d); the factor 1 / spread in *scale; (c - m) scale in
     * packed (k, d), a tile of centroids after the other, each (d, height); -|(c - m) scale|^2 / 2 in start (k). Where low
     * is not NULL c is centroids + low, low being at most the rounding error of centroids. Returns whether all centroids
     * are finite; only then is anything of use. */
    int (*centre)(ptrdiff_t k, ptrdiff_t d, const real *centroids, const real *low, real *mean, real *scale,
                  real *packed, real *start);
    /* labels[i] = the lowest j of the largest score of sample i < count, count >= 1; x in any strides, in bytes. Returns whether
     * every best score is finite; it is not where x is not. `following` samples come next in memory, and soon in time.
     * `scratch`: scratch_reals(count, d) numbers. */
    int (*nearest)(ptrdiff_t count, ptrdiff_t following, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, const real *mean, const real *scale, const real *packed, const real *start,
                   real *scratch, int32_t *labels);
    ptrdiff_t (*scratch_reals)(ptrdiff_t count, ptrdiff_t d);
    /* distances[i] = |x_i - c[labels[i]]|^2, c as above, low subtracted last; x of contiguous features, rows row_stride
     * bytes apart */
    void (*squared_distances)(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const real *centroids,
                              const real *low, const int32_t *labels, real *distances);
    /* sums[labels[i] * pitch + p] += weights[i] x[i, p] for p < d, in ascending i; weights NULL: 1 */
    void (*add_samples)(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const int32_t *labels,
                        const double *weights, double *sums, ptrdiff_t pitch);
    /* counts[labels[i]] += weights[i], *inertia += weights[i] distances[i], in ascending i; inertia NULL: not wanted */
    void (*add_weights)(ptrdiff_t count, const int32_t *labels, const double *weights, const real *distances,
                        double *counts, double *inertia);
} cluster_primitives;

#endif
