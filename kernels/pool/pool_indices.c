#include <math.h>

#include "places.h"
#include "primitives.h"
#include "shuffle.h"
#include "taps.h"
#include "transpose.h"

typedef bits vbits_memory __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));

/* x[every * l] for lanes l < count of `every` 3 and more */
INLINE vreal load_every(const real *x, ptrdiff_t every, ptrdiff_t count)
{
    number lanes[LANES];
    for (ptrdiff_t l = 0; l < LANES; l++)
        lanes[l] = x[min_size(l, count - 1) * every];
    return vload(lanes);
}

/* The taps of one row, for LANES neighbouring windows of which `count` are needed; place is that of the first tap.
 * Beyond those any readable number will do. */
INLINE best best_of_row(best all, const real *x, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t every, ptrdiff_t count,
                        vbits place)
{
    for (ptrdiff_t b = 0; b < taps; b++) {
        const real *const at = x + b * dilation;
        const vbits here = place + (bits)(b * dilation);
        if (every == 1) {
            all = better(all, vload(at), here);
        } else if (every == 2) {
            const vreal low = vload(at), high = vload(at + LANES);
            all = better(all, __builtin_shufflevector(low, high, EVEN), here);
            if (dilation == 1 && b + 1 < taps) { /* the next tap is in the other lanes */
                all = better(all, __builtin_shufflevector(low, high, ODD), here + 1);
                b++;
            }
        } else {
            all = better(all, load_every(at, every, count), here);
        }
    }
    return all;
}

/* The rows that one row of windows sees: x at column -left, `step` bytes and `places` places apart. */
typedef struct {
    const char *x;
    ptrdiff_t count, step;
    bits place, places; /* place: of column -left of the first row */
} window_rows;

/* firsts: the first column of the plane in each window, counted from -left. */
INLINE void row_of_maxima(window_rows rows, ptrdiff_t windows, ptrdiff_t taps, ptrdiff_t dilation, ptrdiff_t every,
                          const bits *firsts, real *y, int32_t *indices)
{
    vbits lane;
    for (int l = 0; l < LANES; l++)
        lane[l] = (bits)(l * every);
    for (ptrdiff_t j = 0; j < windows; j += LANES) {
        const ptrdiff_t count = min_size(LANES, windows - j);
        best all = {vsplat(-(number)INFINITY), *(const vbits_memory *)(firsts + j) + rows.place};
        for (ptrdiff_t a = 0; a < rows.count; a++)
            all = best_of_row(all, (const real *)(rows.x + a * rows.step) + j * every, taps, dilation, every, count,
                              lane + (rows.place + (bits)(j * every) + (bits)a * rows.places));
        store_some(y + j, all.value, count);
        store_places(indices + j, all.place, count);
    }
}

static void max_rows(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                     real *scratch, real *y, int32_t *indices)
{
    bits *const firsts = (bits *)scratch;
    for (ptrdiff_t j = 0; j < g->ow; j++)
        firsts[j] = (bits)(j * g->sw + ceil_quotient(g->left - j * g->sw, g->dw) * g->dw);
    for (ptrdiff_t i = first; i < last; i++, y += g->ow, indices += g->ow) {
        const ptrdiff_t start = i * g->sh - g->top;
        const interval a = inside(g->h, start, g->dh, g->kh);
        const ptrdiff_t row = start + a.first * g->dh, apart = a.last - a.first > 1 ? g->dh : 0;
        const window_rows rows = {x + row * row_stride - g->left * (ptrdiff_t)sizeof(number), a.last - a.first,
                                  apart * row_stride, (bits)(row * g->w - g->left), (bits)(apart * g->w)};
        if (g->sw == 2 && g->kw == 2 && g->dw == 1)
            row_of_maxima(rows, g->ow, 2, 1, 2, firsts, y, indices);
        else if (g->sw == 2 && g->kw == 3 && g->dw == 1)
            row_of_maxima(rows, g->ow, 3, 1, 2, firsts, y, indices);
        else if (g->sw == 2)
            row_of_maxima(rows, g->ow, g->kw, g->dw, 2, firsts, y, indices);
        else if (g->sw == 1)
            row_of_maxima(rows, g->ow, g->kw, g->dw, 1, firsts, y, indices);
        else
            row_of_maxima(rows, g->ow, g->kw, g->dw, g->sw, firsts, y, indices);
    }
}

/* A window of up to LANES planes whose elements lie next to each other: x is its first element in the plane. */
INLINE best best_of_planes(const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                           ptrdiff_t columns, ptrdiff_t planes, bits place, bits row_places, bits column_places)
{
    best all = {vsplat(-(number)INFINITY), (vbits){0} + place};
    for (ptrdiff_t a = 0; a < rows; a++)
        for (ptrdiff_t b = 0; b < columns; b++)
            all = better(all, load_some((const real *)(x + a * row_stride + b * column_stride), planes),
                         (vbits){0} + (place + (bits)a * row_places + (bits)b * column_places));
    return all;
}

/* One window of all planes: values and places[plane / LANES * LANES * LANES + plane % LANES]. */
INLINE void best_of_pixels(const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t rows,
                           ptrdiff_t columns, ptrdiff_t planes, bits place, bits row_places, bits column_places,
                           real *values, real *places)
{
    ptrdiff_t p = 0;
    for (; p + LANES <= planes; p += LANES) {
        const best one = best_of_planes(x + p * (ptrdiff_t)sizeof(number), row_stride, column_stride, rows, columns,
                                        LANES, place, row_places, column_places);
        vstore(values + p * LANES, one.value);
        vstore(places + p * LANES, (vreal)one.place);
    }
    if (p < planes) {
        const best one = best_of_planes(x + p * (ptrdiff_t)sizeof(number), row_stride, column_stride, rows, columns,
                                        planes - p, place, row_places, column_places);
        vstore(values + p * LANES, one.value);
        vstore(places + p * LANES, (vreal)one.place);
    }
}

/* LANES windows at a time, each of all planes, so that memory is read as it lies; then the planes are transposed. */
static void max_planes(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t planes,
                       ptrdiff_t i, real *scratch, real *y, int32_t *indices)
{
    const ptrdiff_t top = i * g->sh - g->top, plane = g->oh * g->ow, down = g->dh * row_stride,
                    right = g->dw * column_stride;
    const interval a = inside(g->h, top, g->dh, g->kh);
    const ptrdiff_t row = top + a.first * g->dh, rows = a.last - a.first;
    const bits next_row = (bits)(g->dh * g->w), next_column = (bits)g->dw;
    real *const places = scratch + (planes + LANES - 1) / LANES * LANES * LANES;
    for (ptrdiff_t j = 0; j < g->ow; j += LANES) {
        for (ptrdiff_t q = 0; q < min_size(LANES, g->ow - j); q++) {
            const ptrdiff_t left = (j + q) * g->sw - g->left;
            const interval b = inside(g->w, left, g->dw, g->kw);
            const ptrdiff_t column = left + b.first * g->dw, columns = b.last - b.first;
            const char *const at = x + row * row_stride + column * column_stride;
            const bits place = (bits)(row * g->w + column);
            real *const values_q = scratch + q * LANES, *const places_q = places + q * LANES;
            if (rows == 2 && columns == 2)
                best_of_pixels(at, down, right, 2, 2, planes, place, next_row, next_column, values_q, places_q);
            else if (rows == 3 && columns == 3)
                best_of_pixels(at, down, right, 3, 3, planes, place, next_row, next_column, values_q, places_q);
            else
                best_of_pixels(at, down, right, rows, columns, planes, place, next_row, next_column, values_q,
                               places_q);
        }
        for (ptrdiff_t p = 0; p < planes; p += LANES) {
            vreal block[2][LANES];
            UNROLL for (int q = 0; q < LANES; q++) block[0][q] = vload(scratch + (p + q) * LANES);
            UNROLL for (int q = 0; q < LANES; q++) block[1][q] = vload(places + (p + q) * LANES);
            transpose(block[0]);
            transpose(block[1]);
            for (ptrdiff_t r = 0; r < min_size(planes - p, LANES); r++) {
                store_some(y + (p + r) * plane + j, block[0][r], g->ow - j);
                store_places(indices + (p + r) * plane + j, (vbits)block[1][r], g->ow - j);
            }
        }
    }
}

/* A negative number becomes one of the largest. Other threads may write to the indices, and what is checked must be what is used:
 * the compiler forgets where the number came from, so that it cannot load it once more. */
INLINE uint64_t load_index(const char *p, int type)
{
    uint64_t index = 0;
    memcpy(&index, p, (size_t)1 << (type & ~UNSIGNED_INDEX)); /* little endian */
    const int unused = 64 - (8 << (type & ~UNSIGNED_INDEX));
    index = type & UNSIGNED_INDEX ? index : (uint64_t)((int64_t)(index << unused) >> unused);
    __asm__("" : "+r"(index));
    return index;
}

INLINE int scatter_type(const pool_gradients *g, int type, ptrdiff_t dy_column, ptrdiff_t index_column, real *dx)
{
    const ptrdiff_t columns = g->columns, rows = g->rows; /* in registers: dx might alias *g */
    const uint64_t size = (uint64_t)g->size;
    const char *dy = g->dy, *at = g->indices;
    for (ptrdiff_t i = 0, row = 0; i < g->planes * rows; i++) {
#pragma GCC unroll 8
        for (ptrdiff_t j = 0; j < columns; j++) {
            const uint64_t index = load_index(at + j * index_column, type);
            if (__builtin_expect(index >= size, 0))
                return 0;
            dx[index] += *(const real *)(dy + j * dy_column);
        }
        dy += g->dy_row, at += g->index_row;
        if (++row == rows) {
            row = 0, dx += size;
            dy += g->dy_plane - rows * g->dy_row, at += g->index_plane - rows * g->index_row;
        }
    }
    return 1;
}

static int scatter(const pool_gradients *g, int type, real *dx)
{
    assert(type >= 0 && type <= UNSIGNED_INDEX + 3 && g->size >= 0);
    const ptrdiff_t dy_column = g->dy_column, index_column = g->index_column;
    if (type == 2 && dy_column == sizeof(number) && index_column == sizeof(int32_t)) /* what max_rows writes */
        return scatter_type(g, 2, sizeof(number), sizeof(int32_t), dx);
    switch (type) {
    case 0: return scatter_type(g, 0, dy_column, index_column, dx);
    case 1: return scatter_type(g, 1, dy_column, index_column, dx);
    case 2: return scatter_type(g, 2, dy_column, index_column, dx);
    case 3: return scatter_type(g, 3, dy_column, index_column, dx);
    case UNSIGNED_INDEX: return scatter_type(g, UNSIGNED_INDEX, dy_column, index_column, dx);
    case UNSIGNED_INDEX + 1: return scatter_type(g, UNSIGNED_INDEX + 1, dy_column, index_column, dx);
    case UNSIGNED_INDEX + 2: return scatter_type(g, UNSIGNED_INDEX + 2, dy_column, index_column, dx);
    default: return scatter_type(g, UNSIGNED_INDEX + 3, dy_column, index_column, dx);
    }
}

const pool_index_primitives NAME(pool_indices) = {.max_rows = max_rows, .max_planes = max_planes, .scatter = scatter};
