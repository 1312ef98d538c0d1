#include "primitives.h"
#include "transpose.h"

#include <math.h>

static void centre(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                   const real *mean, real *rows)
{
    for (ptrdiff_t i = 0; i < count; i++, x += row_stride, rows += d)
        if (column_stride == sizeof(number))
            for (ptrdiff_t p = 0; p < d; p++)
                rows[p] = ((const real *)x)[p] - mean[p];
        else
            for (ptrdiff_t p = 0; p < d; p++)
                rows[p] = *(const real *)(x + p * column_stride) - mean[p];
}

INLINE vint lane_numbers(void)
{
    vint lanes;
    UNROLL for (int l = 0; l < LANES; l++) lanes[l] = l;
    return lanes;
}

/* Each lane keeps the first of its largest scores, so that the first of all is the lowest place among the largest. */
INLINE void first_of_lanes(vreal most, vint place, int32_t first, real *best, int32_t *label)
{
    number top = *best;
    integer at = -1;
    for (int l = 0; l < LANES; l++)
        if (most[l] > top || (at >= 0 && most[l] == top && place[l] < at)) {
            top = most[l];
            at = place[l];
        }
    if (at >= 0) {
        *best = top;
        *label = first + (int32_t)at;
    }
}

static void best_score(ptrdiff_t count, const real *scores, int32_t first, real *best, int32_t *label)
{
    vreal most = vsplat(-INFINITY);
    vint place = {0}, here = lane_numbers();
    ptrdiff_t j = 0;
    for (; j + LANES <= count; j += LANES, here += LANES) {
        const vreal s = vload(scores + j);
        const vint above = s > most;
        most = vselect(above, s, most);
        place = (vint)vselect(above, (vreal)here, (vreal)place);
    }
    if (j < count) {
        const vint above = (vload_part(scores + j, count - j) > most) & (here < (integer)count);
        most = vselect(above, vload_part(scores + j, count - j), most);
        place = (vint)vselect(above, (vreal)here, (vreal)place);
    }
    first_of_lanes(most, place, first, best, label);
}

enum { TOGETHER = 4 }; /* centroids at a time: independent chains of multiply-adds */

/* The scores of `together` centroids from j on against LANES samples. */
INLINE void score_centroids(const int together, ptrdiff_t j, ptrdiff_t d, const vreal *x, const real *centred,
                            const real *start, vreal *most, vint *label)
{
    vreal score[TOGETHER];
    UNROLL for (int q = 0; q < together; q++) score[q] = vsplat(start[j + q]);
    for (ptrdiff_t p = 0; p < d; p++)
        UNROLL for (int q = 0; q < together; q++) score[q] += x[p] * vsplat(centred[(j + q) * d + p]);
    UNROLL for (int q = 0; q < together; q++)
    {
        const vint above = score[q] > *most;
        *most = vselect(above, score[q], *most);
        *label = (vint)vselect(above, (vreal)((vint){0} + (integer)(j + q)), (vreal)*label);
    }
}

/* One vector of samples; d is a constant where it pays, so that the loop over features is unrolled. */
INLINE void score_samples(ptrdiff_t d, ptrdiff_t k, const vreal *x, const real *centred, const real *start, vreal *most,
                          vint *label)
{
    ptrdiff_t j = 0;
    for (; j + TOGETHER <= k; j += TOGETHER)
        score_centroids(TOGETHER, j, d, x, centred, start, most, label);
    for (; j < k; j++)
        score_centroids(1, j, d, x, centred, start, most, label);
}

static void few_features(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                         const real *mean, const real *centred, const real *start, real *best, int32_t *labels)
{
    assert(d >= 1 && d <= FEW_FEATURES);
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lines = min_size(count - i, LANES);
        vreal features[FEW_FEATURES + LANES];
        for (ptrdiff_t p = 0; p < d; p += LANES) {
            load_transposed(features + p, x + i * row_stride + p * (ptrdiff_t)sizeof(number), row_stride, lines,
                            min_size(d - p, LANES));
            for (ptrdiff_t q = p; q < min_size(d, p + LANES); q++)
                features[q] -= vsplat(mean[q]);
        }
        vreal most = vsplat(-INFINITY);
        vint label = (vint){0} - 1;
        if (d == 2)
            score_samples(2, k, features, centred, start, &most, &label);
        else if (d == 8)
            score_samples(8, k, features, centred, start, &most, &label);
        else
            score_samples(d, k, features, centred, start, &most, &label);
        vstore_part(best + i, most, lines);
        for (ptrdiff_t l = 0; l < lines; l++)
            labels[i + l] = (int32_t)label[l];
    }
}

static double squared_distance(ptrdiff_t d, const real *x, const real *c)
{
    vreal sum[2] = {{0}};
    ptrdiff_t p = 0;
    for (; p + 2 * LANES <= d; p += 2 * LANES)
        UNROLL for (int h = 0; h < 2; h++)
        {
            const vreal difference = vload(x + p + h * LANES) - vload(c + p + h * LANES);
            sum[h] += difference * difference;
        }
    for (; p < d; p += LANES) {
        const ptrdiff_t count = min_size(d - p, LANES);
        const vreal difference = vload_part(x + p, count) - vload_part(c + p, count);
        sum[0] += difference * difference;
    }
    const vreal total = sum[0] + sum[1];
    number lanes[LANES];
    vstore(lanes, total);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

static void accumulate(ptrdiff_t d, const real *x, double weight, double *sums)
{
    for (ptrdiff_t p = 0; p < d; p++)
        sums[p] += weight * (double)x[p];
}

const cluster_primitives NAME(cluster) = {
    .centre = centre,
    .best_score = best_score,
    .few_features = few_features,
    .squared_distance = squared_distance,
    .accumulate = accumulate,
};
