/* Samples against centroids in register tiles: lanes hold samples, a tile is some centroids by some vectors of samples. */
#ifndef NPK_PANEL_H
#define NPK_PANEL_H

#include "parts.h"
#include "transpose.h"

enum { PANEL = TILE_VECTORS * LANES }; /* the most samples of a tile */

/* Centroids are split evenly into tiles of at most TILE_ROWS. */
INLINE ptrdiff_t tile_count(ptrdiff_t k) { return ceil_div(k, TILE_ROWS); }
INLINE ptrdiff_t tile_start(ptrdiff_t k, ptrdiff_t q) { return k * q / tile_count(k); }

INLINE int all_lanes(vint mask)
{
    int all = 1;
    for (int l = 0; l < LANES; l++)
        all &= mask[l] != 0;
    return all;
}

INLINE vint is_finite(vreal v) { return v - v == 0; }

/* Lines of d = 2, 4 or 8 contiguous features, without gaps: unzipping pairs of vectors rotates the bits of the place
 * (line, feature) by one; log2(d) rounds bring the feature in front. See transpose.h. */
INLINE void load_short_lines(const int d, vreal *features, const real *x)
{
    vreal other[LANES];
    UNROLL for (int i = 0; i < d; i++) features[i] = vload(x + i * LANES);
    UNROLL for (int round = d; round > 1; round /= 2)
    {
        UNROLL for (int i = 0; i < d / 2; i++)
        {
            other[i] = __builtin_shufflevector(features[2 * i], features[2 * i + 1], EVEN);
            other[i + d / 2] = __builtin_shufflevector(features[2 * i], features[2 * i + 1], ODD);
        }
        UNROLL for (int i = 0; i < d; i++) features[i] = other[i];
    }
}

INLINE void store_centred(int count, const vreal *features, const real *mean, number scale, real *to, ptrdiff_t width)
{
    UNROLL for (int q = 0; q < LANES; q++) if (q < count)
    {
        vstore(to + q * width, (features[q] - vsplat(mean[q])) * scale);
    }
}

/* One vector of samples whose features are contiguous, `lines` of them in use. */
INLINE void pack_lines(ptrdiff_t lines, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const real *mean,
                       number scale, real *to, ptrdiff_t width)
{
    vreal features[LANES];
    if (lines == LANES && row_stride == d * (ptrdiff_t)sizeof(number) && d < LANES) {
        if (d == 2) {
            load_short_lines(2, features, (const real *)x);
            store_centred(2, features, mean, scale, to, width);
            return;
        }
#if VECTOR_BYTES * 8 / REAL_BITS > 4
        if (d == 4) {
            load_short_lines(4, features, (const real *)x);
            store_centred(4, features, mean, scale, to, width);
            return;
        }
#endif
#if VECTOR_BYTES * 8 / REAL_BITS > 8
        if (d == 8) {
            load_short_lines(8, features, (const real *)x);
            store_centred(8, features, mean, scale, to, width);
            return;
        }
#endif
    }
    for (ptrdiff_t p = 0; p < d; p += LANES) {
        const int count = (int)min_size(d - p, LANES);
        load_transposed(features, x + p * (ptrdiff_t)sizeof(number), row_stride, lines, count);
        if (count == LANES)
            store_centred(LANES, features, mean + p, scale, to + p * width, width);
        else
            store_centred(count, features, mean + p, scale, to + p * width, width);
    }
}

/* panel[p * width + i] = (x[i, p] - mean[p]) scale for i < count <= width = vectors * LANES */
static inline void pack_panel(ptrdiff_t count, ptrdiff_t vectors, ptrdiff_t d, const char *x, ptrdiff_t row_stride,
                              ptrdiff_t column_stride, const real *mean, number scale, real *panel)
{
    assert(count > (vectors - 1) * LANES && count <= vectors * LANES && d >= 1);
    const ptrdiff_t width = vectors * LANES;
    for (ptrdiff_t v = 0; v < vectors; v++, x += LANES * row_stride, panel += LANES) {
        const ptrdiff_t lines = min_size(count - v * LANES, LANES);
        if (row_stride == sizeof(number)) {
            for (ptrdiff_t p = 0; p < d; p++)
                vstore(panel + p * width,
                       (vload_part((const real *)(x + p * column_stride), lines) - vsplat(mean[p])) * scale);
        } else if (column_stride == sizeof(number)) {
            pack_lines(lines, d, x, row_stride, mean, scale, panel, width);
        } else {
            for (ptrdiff_t p = 0; p < d; p++)
                for (ptrdiff_t i = 0; i < LANES; i++)
                    panel[p * width + i] =
                        i < lines ? (*(const real *)(x + i * row_stride + p * column_stride) - mean[p]) * scale : 0;
        }
    }
}

/* While scores are computed the next samples are fetched, STEP_LINES cache lines with every STEP features; with few
 * features the hardware does it alone. */
enum { LINE = 64, STEP = 4, STEP_LINES = 2, AHEAD_FEATURES = 32 };

INLINE void add_products(const int rows, const int vectors, ptrdiff_t p, const real *c, const real *panel,
                         vreal acc[TILE_ROWS][TILE_VECTORS])
{
    vreal x[TILE_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) x[v] = vload(panel + (p * vectors + v) * LANES);
    UNROLL for (int i = 0; i < rows; i++)
    {
        const vreal cp = vsplat(c[p * rows + i]);
        UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vfma(cp, x[v], acc[i][v]);
    }
}

/* Products of features p <= . < end; `ahead` is fetched meanwhile, unless it is NULL. Returns what is left of it. */
INLINE const char *products_of(const int rows, const int vectors, ptrdiff_t p, ptrdiff_t end, const real *c,
                               const real *panel, const char *ahead, vreal acc[TILE_ROWS][TILE_VECTORS])
{
    if (ahead)
        for (; p + STEP <= end; p += STEP, ahead += STEP_LINES * LINE) {
            UNROLL for (int line = 0; line < STEP_LINES; line++) __builtin_prefetch(ahead + line * LINE, 0, 2);
            UNROLL for (int q = 0; q < STEP; q++) add_products(rows, vectors, p + q, c, panel, acc);
        }
    _Pragma("GCC unroll 4") for (; p < end; p++) add_products(rows, vectors, p, c, panel, acc);
    return ahead;
}

/* The sums of a tile over more features than a chain may have: those of pieces are added in double. */
INLINE void end_piece(const int rows, const int vectors, vreal acc[TILE_ROWS][TILE_VECTORS],
                      vwide totals[TILE_ROWS][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++)
    {
        totals[i][v] += vwiden(acc[i][v]);
        acc[i][v] = (vreal){0};
    }
}

INLINE void narrow_totals(const int rows, const int vectors, vwide totals[TILE_ROWS][TILE_VECTORS],
                          vreal acc[TILE_ROWS][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vnarrow(totals[i][v]);
}

/* acc[i][v] = start[i] + c_i . x for the samples of vector v; c a tile, feature by feature. */
INLINE void tile_products(const int rows, const int vectors, ptrdiff_t d, const real *c, const real *start,
                          const real *panel, const char *ahead, vreal acc[TILE_ROWS][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vsplat(start[i]);
    if (d <= LONGEST_CHAIN) {
        products_of(rows, vectors, 0, d, c, panel, ahead, acc);
        return;
    }
    vwide totals[TILE_ROWS][TILE_VECTORS] = {0};
    for (ptrdiff_t p = 0; p < d; p += LONGEST_CHAIN) {
        ahead = products_of(rows, vectors, p, min_size(p + LONGEST_CHAIN, d), c, panel, ahead, acc);
        end_piece(rows, vectors, acc, totals);
    }
    narrow_totals(rows, vectors, totals, acc);
}

/* Squared differences of features p <= . < end; `split`: points have a low part, which is subtracted last. */
INLINE void differences_of(const int split, const int rows, const int vectors, ptrdiff_t p, ptrdiff_t end,
                           const real *points, const real *low, const real *panel, vreal acc[TILE_ROWS][TILE_VECTORS])
{
    _Pragma("GCC unroll 2") for (; p < end; p++)
    {
        vreal x[TILE_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) x[v] = vload(panel + (p * vectors + v) * LANES);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vreal point = vsplat(points[p * rows + i]), rest = split ? vsplat(low[p * rows + i]) : (vreal){0};
            UNROLL for (int v = 0; v < vectors; v++)
            {
                const vreal difference = split ? x[v] - point - rest : x[v] - point;
                acc[i][v] = vfma(difference, difference, acc[i][v]);
            }
        }
    }
}

/* acc[i][v] = |x - point_i|^2 for the samples of vector v; points a tile, feature by feature. */
INLINE void tile_differences(const int split, const int rows, const int vectors, ptrdiff_t d, const real *points,
                             const real *low, const real *panel, vreal acc[TILE_ROWS][TILE_VECTORS])
{
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = (vreal){0};
    if (d <= LONGEST_CHAIN) {
        differences_of(split, rows, vectors, 0, d, points, low, panel, acc);
        return;
    }
    vwide totals[TILE_ROWS][TILE_VECTORS] = {0};
    for (ptrdiff_t p = 0; p < d; p += LONGEST_CHAIN) {
        differences_of(split, rows, vectors, p, min_size(p + LONGEST_CHAIN, d), points, low, panel, acc);
        end_piece(rows, vectors, acc, totals);
    }
    narrow_totals(rows, vectors, totals, acc);
}

#endif
