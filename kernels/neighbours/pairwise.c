#include "panel.h"
#include "primitives.h"

#include <math.h>

INLINE void store_tile(const int vectors, ptrdiff_t rows, ptrdiff_t columns, int kind,
                       vreal acc[TILE_ROWS][TILE_VECTORS], real *out, ptrdiff_t stride)
{
    UNROLL for (int i = 0; i < TILE_ROWS; i++) if (i < rows) UNROLL for (int v = 0; v < vectors; v++)
    {
        vreal value = acc[i][v];
        if (kind == ROOT_DISTANCE)
            value = vsqrt(value);
        else if (kind == COSINE_DISTANCE)
            value = vselect(value > 4, vsplat(2), value / 2);
        store_some(out + i * stride + v * LANES, value, columns - v * LANES);
    }
}

INLINE void distance_tiles(const int vectors, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t d, int kind,
                           const real *packed, const real *panel, real *out, ptrdiff_t stride)
{
    for (ptrdiff_t i = 0; i < rows; i += TILE_ROWS) {
        vreal acc[TILE_ROWS][TILE_VECTORS];
        tile_differences(0, TILE_ROWS, vectors, d, packed + i * d, NULL, panel, acc);
        store_tile(vectors, rows - i, columns, kind, acc, out + i * stride, stride);
    }
}

static void distances(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t d, int kind, const real *packed, const real *panel,
                      real *out, ptrdiff_t stride)
{
    assert(columns >= 1 && columns <= PANEL);
    const ptrdiff_t vectors = ceil_div(columns, LANES);
    if (vectors == 1)
        distance_tiles(1, rows, columns, d, kind, packed, panel, out, stride);
    else if (vectors == TILE_VECTORS)
        distance_tiles(TILE_VECTORS, rows, columns, d, kind, packed, panel, out, stride);
    else
        distance_tiles(2, rows, columns, d, kind, packed, panel, out, stride);
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

typedef int64_t vwide_mask __attribute__((vector_size(LANES * sizeof(double))));
INLINE vwide wide_select(vwide_mask mask, vwide x, vwide y)
{
    return (vwide)((mask & (vwide_mask)x) | (~mask & (vwide_mask)y));
}

typedef struct {
    vwide home, total, own, other;
} group_sums;

/* The group ends whose share is given: its total is the sum of a sample at home there, and a mean for all the others. */
INLINE void end_group(group_sums *sums, int32_t group, double share)
{
    const vwide_mask here = sums->home == vsplat_wide(group);
    const vwide mean = sums->total * share;
    sums->own = wide_select(here, sums->total, sums->own);
    sums->other = wide_select(~here & (mean < sums->other), mean, sums->other);
    sums->total = (vwide){0};
}

INLINE void sum_tiles(const int vectors, const sample_groups *groups, const real *panel, const double *homes,
                      double *own, double *other)
{
    group_sums sums[TILE_VECTORS];
    for (int v = 0; v < vectors; v++)
        sums[v] = (group_sums){.home = *(const vwide_memory *)(homes + v * LANES), .other = vsplat_wide(INFINITY)};
    for (ptrdiff_t q = 0; q < groups->tiles; q++) {
        const real *weights = groups->weights + q * TILE_ROWS;
        const int32_t *ends = groups->ends + q * TILE_ROWS;
        vreal acc[TILE_ROWS][TILE_VECTORS];
        tile_differences(0, TILE_ROWS, vectors, groups->d, groups->packed + q * TILE_ROWS * groups->d, NULL, panel,
                         acc);
        int32_t last = -1;
        for (int i = 0; i < TILE_ROWS; i++)
            last = ends[i] > last ? ends[i] : last;
        for (int v = 0; v < vectors; v++) {
            vreal part = {0};
            UNROLL for (int i = 0; i < TILE_ROWS; i++)
            {
                part = vfma(vsqrt(acc[i][v]), vsplat(weights[i]), part);
                if (last >= 0 && ends[i] >= 0) {
                    sums[v].total += vwiden(part);
                    part = (vreal){0};
                    end_group(sums + v, ends[i], groups->shares[ends[i]]);
                }
            }
            sums[v].total += vwiden(part);
        }
    }
    for (int v = 0; v < vectors; v++) {
        *(vwide_memory *)(own + v * LANES) = sums[v].own;
        *(vwide_memory *)(other + v * LANES) = sums[v].other;
    }
}

static void sums_of_groups(const sample_groups *groups, ptrdiff_t vectors, const real *panel, const double *homes,
                           double *own, double *other)
{
    assert(vectors >= 1 && vectors <= TILE_VECTORS);
    if (vectors == 1)
        sum_tiles(1, groups, panel, homes, own, other);
    else if (vectors == TILE_VECTORS)
        sum_tiles(TILE_VECTORS, groups, panel, homes, own, other);
    else
        sum_tiles(2, groups, panel, homes, own, other);
}

const pairwise_primitives NAME(pairwise) = {
    .distances = distances,
    .sums = sums_of_groups,
};
