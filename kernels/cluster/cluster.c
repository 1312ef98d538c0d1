#include "difference.h"
#include "panel.h"
#include "primitives.h"

#include <math.h>

/* ---- Centroids --------------------------------------------------------------------------------------------------- */

INLINE number sum_of_lanes(vreal v)
{
    number sum = 0;
    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

/* mean = c_0 + sum of (c - c_0) / k: relative to c_0, so that a common offset rounds nothing away. */
static void mean_of_rows(ptrdiff_t k, ptrdiff_t d, const real *c, real *mean)
{
    const number share = (number)(1.0 / (double)k);
    memset(mean, 0, (size_t)d * sizeof(number));
    for (ptrdiff_t j = 1; j < k; j++)
        for (ptrdiff_t p = 0; p < d; p += LANES) {
            const vreal difference = load_some(c + j * d + p, d - p) - load_some(c + p, d - p);
            store_some(mean + p, vfma(difference, vsplat(share), load_some(mean + p, d - p)), d - p);
        }
    for (ptrdiff_t p = 0; p < d; p++)
        mean[p] += c[p];
}

/* The largest |c - m| of a single feature, inf if one overflows; *finite: whether all centroids are. */
static number largest_deviation(ptrdiff_t k, ptrdiff_t d, const real *c, const real *mean, int *finite)
{
    vreal most = {0};
    vint finite_values = ~(vint){0}, finite_deviations = ~(vint){0};
    for (ptrdiff_t j = 0; j < k; j++)
        for (ptrdiff_t p = 0; p < d; p += LANES) {
            const ptrdiff_t count = min_size(d - p, LANES);
            const vreal value = vload_part(c + j * d + p, count), deviation = value - vload_part(mean + p, count);
            finite_values &= is_finite(value);
            finite_deviations &= is_finite(deviation);
            most = vmax(vmax(deviation, -deviation), most);
        }
    number largest = 0;
    for (int l = 0; l < LANES; l++)
        largest = most[l] > largest ? most[l] : largest;
    *finite = all_lanes(finite_values);
    return all_lanes(finite_deviations) ? largest : INFINITY;
}

/* The largest |(c - m) scale|^2. */
static double largest_norm(ptrdiff_t k, ptrdiff_t d, const real *c, const real *mean, number scale)
{
    double largest = 0;
    for (ptrdiff_t j = 0; j < k; j++) {
        vreal sum = {0};
        for (ptrdiff_t p = 0; p < d; p += LANES) {
            const ptrdiff_t count = min_size(d - p, LANES);
            const vreal deviation = (vload_part(c + j * d + p, count) - vload_part(mean + p, count)) * scale;
            sum = vfma(deviation, deviation, sum);
        }
        const double norm = sum_of_lanes(sum);
        largest = norm > largest ? norm : largest;
    }
    return largest;
}

/* m is rounded to multiples of a power of 2, between an eighth and a quarter of the deviation of a feature in the mean
 * over features: integers stay exactly representable when m is subtracted, so that exact ties remain ties, and m moves
 * by at most an eighth of the largest |c - m|. */
static void round_mean(ptrdiff_t d, real *mean, double deviation)
{
    int exponent;
    frexp(deviation, &exponent);
    const double step = ldexp(1, exponent - 3), shift = 0x1.8p52; /* + shift - shift rounds to an integer */
    if (step < 0x1p-1021)
        return;
    for (ptrdiff_t p = 0; p < d; p++) {
        const double quotient = (double)mean[p] / step;
        if (fabs(quotient) < 0x1p51) /* beyond, it is an integer */
            mean[p] = (number)((quotient + shift - shift) * step);
    }
}

/* A tile of centroids, feature by feature, and -|c|^2 / 2 of each. */
INLINE void pack_tile(const int rows, ptrdiff_t d, const real *c, const real *low, const real *mean, number scale,
                      real *packed, real *start)
{
    double norms[TILE_ROWS] = {0};
    for (ptrdiff_t p = 0; p < d; p++) {
        number values[TILE_ROWS];
        for (int i = 0; i < rows; i++)
            values[i] = (c[i * d + p] - mean[p] + (low ? low[i * d + p] : 0)) * scale;
        for (int i = 0; i < rows; i++) {
            packed[p * rows + i] = values[i];
            norms[i] += (double)values[i] * (double)values[i];
        }
    }
    for (int i = 0; i < rows; i++)
        start[i] = (number)(-0.5 * norms[i]);
}

static int centre(ptrdiff_t k, ptrdiff_t d, const real *c, const real *low, real *mean, real *scale, real *packed,
                  real *start)
{
    assert(k >= 1 && d >= 1);
    enum { LARGEST = REAL_BITS == 32 ? 126 : 1022 }; /* 2^LARGEST and its inverse are normal */
    int finite, exponent;
    mean_of_rows(k, d, c, mean);
    number spread = largest_deviation(k, d, c, mean, &finite);
    if (!finite)
        return 0;
    if (!(spread < (number)ldexp(1, LARGEST))) { /* x - m might overflow; no offset can matter */
        memset(mean, 0, (size_t)d * sizeof(number));
        spread = largest_deviation(k, d, c, mean, &finite);
    }
    frexp((double)spread, &exponent);
    exponent = (int)max_size(-LARGEST, min_size(exponent, LARGEST));
    *scale = (number)ldexp(1, -exponent);
    const double norm = largest_norm(k, d, c, mean, *scale);
    if (norm > 0)
        round_mean(d, mean, ldexp(sqrt(norm / (double)d), exponent));
    for (ptrdiff_t q = 0; q < tile_count(k); q++) {
        const ptrdiff_t j = tile_start(k, q), rows = tile_start(k, q + 1) - j;
        if (rows == TILE_ROWS && !low)
            pack_tile(TILE_ROWS, d, c + j * d, NULL, mean, *scale, packed + j * d, start + j);
        else
            pack_tile((int)rows, d, c + j * d, low ? low + j * d : NULL, mean, *scale, packed + j * d, start + j);
    }
    return 1;
}

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

/* One tile: centroids first, ..., first + rows - 1 against `vectors` vectors of samples. */
INLINE void score(const int rows, const int vectors, ptrdiff_t d, const real *c, const real *start, ptrdiff_t first,
                  const real *panel, real *best, integer *place, const char *ahead)
{
    vreal acc[TILE_ROWS][TILE_VECTORS];
    tile_products(rows, vectors, d, c, start, panel, ahead, acc);
    UNROLL for (int v = 0; v < vectors; v++)
    {
        vreal most = vload(best + v * LANES);
        vreal at = vload((const real *)(place + v * LANES));
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vreal index = (vreal)((vint){0} + (integer)(first + i));
            at = vselect_above(acc[i][v], most, index, at); /* > keeps the lowest index, and nothing of a NaN */
            most = vselect_above(acc[i][v], most, acc[i][v], most);
        }
        vstore(best + v * LANES, most);
        vstore((real *)(place + v * LANES), at);
    }
}

typedef void (*score_fn)(ptrdiff_t d, const real *c, const real *start, ptrdiff_t first, const real *panel, real *best,
                         integer *place, const char *ahead);

#define SCORE(rows, vectors)                                                                                           \
    static void score_##rows##x##vectors(ptrdiff_t d, const real *c, const real *start, ptrdiff_t first,               \
                                         const real *panel, real *best, integer *place, const char *ahead)             \
    {                                                                                                                  \
        score(rows, vectors, d, c, start, first, panel, best, place, ahead);                                           \
    }
#if TILE_VECTORS == 3
#define SCORES(rows) SCORE(rows, 1) SCORE(rows, 2) SCORE(rows, 3)
#define ROW(rows) {score_##rows##x1, score_##rows##x2, score_##rows##x3}
#else
#define SCORES(rows) SCORE(rows, 1) SCORE(rows, 2)
#define ROW(rows) {score_##rows##x1, score_##rows##x2}
#endif
/* clang-format off */
SCORES(1) SCORES(2) SCORES(3) SCORES(4) SCORES(5) SCORES(6)
#if TILE_ROWS == 8
SCORES(7) SCORES(8)
static const score_fn scores[][TILE_VECTORS] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(8)};
#else
static const score_fn scores[][TILE_VECTORS] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};
#endif
/* clang-format on */

static ptrdiff_t scratch_reals(ptrdiff_t count, ptrdiff_t d)
{
    return ceil_div(count, LANES) * LANES * (d + 2); /* panels, best score, place */
}

static int nearest(ptrdiff_t count, ptrdiff_t following, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                   ptrdiff_t column_stride, const real *mean, const real *scale, const real *packed, const real *start,
                   real *scratch, int32_t *labels)
{
    assert(count >= 1 && following >= 0 && d >= 1 && k >= 1);
    const ptrdiff_t samples = ceil_div(count, LANES) * LANES, tiles = tile_count(k);
    real *best = scratch, *panels = scratch + 2 * samples;
    integer *place = (integer *)(scratch + samples);
    for (ptrdiff_t i = 0; i < samples; i += LANES) {
        vstore(best + i, vsplat(-INFINITY));
        vstore((real *)(place + i), (vreal){0});
    }
    for (ptrdiff_t i = 0; i < samples; i += PANEL)
        pack_panel(min_size(count - i, PANEL), min_size(samples - i, PANEL) / LANES, d, x + i * row_stride, row_stride,
                   column_stride, mean, *scale, panels + i * d);
    const char *ahead = x + count * row_stride, *end = ahead;
    if (d >= AHEAD_FEATURES && column_stride == sizeof(number) && row_stride == d * (ptrdiff_t)sizeof(number))
        end += following * row_stride;
    for (ptrdiff_t q = 0; q < tiles; q++) {
        const ptrdiff_t j = tile_start(k, q), rows = tile_start(k, q + 1) - j;
        for (ptrdiff_t i = 0; i < samples; i += PANEL) {
            scores[rows - 1][min_size(samples - i, PANEL) / LANES - 1](d, packed + j * d, start + j, j, panels + i * d,
                                                                       best + i, place + i, ahead < end ? ahead : NULL);
            ahead += d / STEP * STEP_LINES * LINE;
        }
    }
    vint finite = ~(vint){0};
    for (ptrdiff_t i = 0; i < samples; i += LANES)
        finite &= is_finite(vload(best + i));
    for (ptrdiff_t i = 0; i < count; i++)
        labels[i] = (int32_t)place[i];
    return all_lanes(finite);
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

INLINE void distances_of(const int split, ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride,
                         const real *centroids, const real *low, const int32_t *labels, real *distances)
{
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lines = min_size(count - i, LANES);
        vreal sums[LANES];
        if (d <= LANES && lines == LANES) {
            UNROLL for (int l = 0; l < LANES; l++)
            {
                const ptrdiff_t c = (ptrdiff_t)labels[i + l] * d;
                const real *row = (const real *)(x + (i + l) * row_stride);
                const vreal rest = part_difference(split, d, row, centroids + c, split ? low + c : NULL, 0);
                sums[l] = rest * rest;
            }
        } else {
            for (int l = 0; l < LANES; l++) {
                const ptrdiff_t c = l < lines ? (ptrdiff_t)labels[i + l] * d : 0;
                const real *row = (const real *)(x + (i + l) * row_stride);
                sums[l] =
                    l < lines ? squared_difference(split, d, row, centroids + c, split ? low + c : NULL) : (vreal){0};
            }
        }
        transpose(sums); /* lane l of every vector is a part of sample l: a tree of sums */
        UNROLL for (int h = LANES / 2; h > 0; h /= 2) UNROLL for (int l = 0; l < h; l++) sums[l] += sums[l + h];
        vstore_part(distances + i, sums[0], lines);
    }
}

static void squared_distances(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const real *centroids,
                              const real *low, const int32_t *labels, real *distances)
{
    assert(count >= 0 && d >= 1);
    if (low)
        distances_of(1, count, d, x, row_stride, centroids, low, labels, distances);
    else
        distances_of(0, count, d, x, row_stride, centroids, NULL, labels, distances);
}

static void add_samples(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const int32_t *labels,
                        const double *weights, double *sums, ptrdiff_t pitch)
{
    assert(count >= 0 && pitch >= d);
    for (ptrdiff_t i = 0; i < count; i++, x += row_stride) {
        const double weight = weights ? weights[i] : 1;
        const real *restrict row = (const real *)x;
        double *restrict sum = sums + (ptrdiff_t)labels[i] * pitch;
        for (ptrdiff_t p = 0; p < d; p++)
            sum[p] += weight * (double)row[p];
    }
}

static void add_weights(ptrdiff_t count, const int32_t *labels, const double *weights, const real *distances,
                        double *counts, double *inertia)
{
    assert(count >= 0 && (inertia == NULL || distances != NULL));
    for (ptrdiff_t i = 0; i < count; i++)
        counts[labels[i]] += weights ? weights[i] : 1;
    if (!inertia)
        return;
    double sum = *inertia;
    for (ptrdiff_t i = 0; i < count; i++)
        sum += (weights ? weights[i] : 1) * (double)distances[i];
    *inertia = sum;
}

const cluster_primitives NAME(cluster) = {
    .centre = centre,
    .nearest = nearest,
    .scratch_reals = scratch_reals,
    .squared_distances = squared_distances,
    .add_samples = add_samples,
    .add_weights = add_weights,
};
