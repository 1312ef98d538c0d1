#include "panel.h"
#include "primitives.h"

#include <math.h>

static void pack(ptrdiff_t k, ptrdiff_t d, const real *points, real *packed)
{
    assert(k >= 1 && d >= 1);
    for (ptrdiff_t q = 0; q < tile_count(k); q++) {
        const ptrdiff_t j = tile_start(k, q), rows = tile_start(k, q + 1) - j;
        for (ptrdiff_t p = 0; p < d; p++)
            for (ptrdiff_t i = 0; i < rows; i++)
                packed[j * d + p * rows + i] = points[(j + i) * d + p];
    }
}

/* One tile: `rows` points against `vectors` vectors of samples; `split`: whether points have a low part. */
INLINE void tile_distances(const int split, const int rows, const int vectors, ptrdiff_t d, const real *points,
                           const real *low, const real *panel, real *distances, ptrdiff_t pitch)
{
    vreal acc[TILE_ROWS][TILE_VECTORS];
    tile_differences(split, rows, vectors, d, points, low, panel, acc);
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++)
    {
        vstore(distances + i * pitch + v * LANES, acc[i][v]);
    }
}

typedef void (*distance_fn)(ptrdiff_t d, const real *points, const real *low, const real *panel, real *distances,
                            ptrdiff_t pitch);

#define TILE(rows, vectors)                                                                                            \
    static void tile_##rows##x##vectors(ptrdiff_t d, const real *points, const real *low, const real *panel,           \
                                        real *distances, ptrdiff_t pitch)                                              \
    {                                                                                                                  \
        if (low)                                                                                                       \
            tile_distances(1, rows, vectors, d, points, low, panel, distances, pitch);                                 \
        else                                                                                                           \
            tile_distances(0, rows, vectors, d, points, NULL, panel, distances, pitch);                                \
    }
#if TILE_VECTORS == 3
#define TILES(rows) TILE(rows, 1) TILE(rows, 3)
#define ROW(rows) {tile_##rows##x1, tile_##rows##x3}
#else
#define TILES(rows) TILE(rows, 1) TILE(rows, 2)
#define ROW(rows) {tile_##rows##x1, tile_##rows##x2}
#endif
/* clang-format off */
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if TILE_ROWS == 8
TILES(7) TILES(8)
static const distance_fn tiles[][2] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6), ROW(7), ROW(8)};
#else
static const distance_fn tiles[][2] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};
#endif
/* clang-format on */

static ptrdiff_t panel_reals(ptrdiff_t d) { return PANEL * d; }

static void distances_to(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, const char *x, ptrdiff_t row_stride,
                         ptrdiff_t column_stride, const real *packed, const real *low, const real *zero, real *panel,
                         real *distances, ptrdiff_t pitch)
{
    assert(count >= 0 && count <= pitch && pitch % LANES == 0 && d >= 1 && k >= 1);
    for (ptrdiff_t i = 0; i < count;) {
        const int whole = count - i > PANEL - LANES;
        const ptrdiff_t vectors = whole ? TILE_VECTORS : 1;
        pack_panel(min_size(count - i, vectors * LANES), vectors, d, x + i * row_stride, row_stride, column_stride,
                   zero, 1, panel);
        for (ptrdiff_t q = 0; q < tile_count(k); q++) {
            const ptrdiff_t j = tile_start(k, q), rows = tile_start(k, q + 1) - j;
            tiles[rows - 1][whole](d, packed + j * d, low ? low + j * d : NULL, panel, distances + j * pitch + i,
                                   pitch);
        }
        i += vectors * LANES;
    }
}

/* sums[l] += weights[l] values[l] for l < lines, in double; 0 times inf is 0 here. */
INLINE void add_lanes(ptrdiff_t lines, vreal values, const double *weights, double *restrict sums)
{
    number lanes[LANES];
    vstore(lanes, values);
    if (weights)
        for (ptrdiff_t l = 0; l < lines; l++)
            sums[l] += weights[l] > 0 ? weights[l] * (double)lanes[l] : 0;
    else
        for (ptrdiff_t l = 0; l < lines; l++)
            sums[l] += (double)lanes[l];
}

static int lower(ptrdiff_t count, ptrdiff_t k, const real *distances, ptrdiff_t pitch, const double *weights,
                 real *nearest, double *sums)
{
    assert(count >= 0 && count <= pitch && pitch % LANES == 0 && k >= 0);
    vint finite = ~(vint){0};
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lines = min_size(count - i, LANES);
        const vreal least = vmin(vload(distances + i), vload_part(nearest + i, lines)); /* of a NaN nothing is left */
        finite &= is_finite(least);
        vstore_part(nearest + i, least, lines);
        const double *weight = weights ? weights + i : NULL;
        for (ptrdiff_t j = 0; j < k; j++) {
            const vreal lowered = vmin(vload(distances + j * pitch + i), least);
            if (lines == LANES)
                add_lanes(LANES, lowered, weight, sums + j * LANES);
            else
                add_lanes(lines, lowered, weight, sums + j * LANES);
        }
    }
    return all_lanes(finite);
}

static ptrdiff_t draw(ptrdiff_t count, const real *nearest, const double *weights, double target)
{
    double sum = 0;
    ptrdiff_t last = -1;
    for (ptrdiff_t i = 0; i < count; i++) {
        const double weight = weights ? weights[i] : 1;
        if (weight > 0 && nearest[i] > 0) {
            sum += weight * (double)nearest[i];
            last = i;
            if (sum > target)
                break;
        }
    }
    return last;
}

static void roots(ptrdiff_t count, ptrdiff_t k, const real *distances, ptrdiff_t pitch, real *to, ptrdiff_t row)
{
    assert(count <= pitch && pitch % LANES == 0 && row >= k);
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lines = min_size(count - i, LANES);
        for (ptrdiff_t j = 0; j < k; j++) {
            const vreal found = vsqrt(vload(distances + j * pitch + i));
            for (ptrdiff_t l = 0; l < lines; l++)
                to[(i + l) * row + j] = found[l];
        }
    }
}

const distance_primitives NAME(distance) = {
    .pack = pack,
    .distances = distances_to,
    .panel_reals = panel_reals,
    .lower = lower,
    .draw = draw,
    .roots = roots,
};
