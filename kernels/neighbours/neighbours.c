#include "difference.h"
#include "panel.h"
#include "primitives.h"
#include "queue.h"

#include <math.h>

/* ---- Rows of y --------------------------------------------------------------------------------------------------- */

static void middle_of(ptrdiff_t count, ptrdiff_t d, const real *rows, real *middle)
{
    assert(count >= 1 && d >= 0);
    const vwide share = vsplat_wide(1.0 / (double)count);
    for (ptrdiff_t p = 0; p < d; p += LANES) {
        const vreal first = load_some(rows + p, d - p);
        vwide mean = {0}; /* of the differences from the first row: a common offset rounds nothing away */
        for (ptrdiff_t j = 1; j < count; j++)
            mean = vfma_wide(vwiden(load_some(rows + j * d + p, d - p) - first), share, mean);
        const vreal wanted = first + vnarrow(mean);
        vreal found = first, gap = first - wanted;
        gap = vmax(gap, -gap);
        for (ptrdiff_t j = 1; j < count; j++) {
            const vreal value = load_some(rows + j * d + p, d - p), away = vmax(value - wanted, wanted - value);
            found = vselect(away < gap, value, found);
            gap = vmin(away, gap);
        }
        store_some(middle + p, found, d - p);
    }
}

static double deviation(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const real *middle)
{
    vreal most = {0};
    vint finite = ~(vint){0};
    for (ptrdiff_t i = 0; i < count; i++, x += row_stride)
        for (ptrdiff_t p = 0; p < d; p += LANES) {
            const vreal value = load_some((const real *)x + p, d - p);
            const vreal difference = value - load_some(middle + p, d - p);
            finite &= is_finite(value);
            most = vmax(vmax(difference, -difference), most);
        }
    number largest = 0;
    for (int l = 0; l < LANES; l++)
        largest = most[l] > largest ? most[l] : largest;
    return all_lanes(finite) ? (double)largest : NAN;
}

/* LANES features of `lines` rows, transposed; the same rows of the next tile are fetched. */
INLINE void load_rows(const int lines, const char *y, ptrdiff_t row_stride, vreal features[LANES])
{
    UNROLL for (int i = 0; i < LANES; i++)
    {
        features[i] = i < lines ? vload((const real *)(y + i * row_stride)) : (vreal){0};
        if (i < lines)
            __builtin_prefetch((const void *)((uintptr_t)y + (uintptr_t)((i + TILE_ROWS) * row_stride)));
    }
    transpose(features);
}

/* Up to LANES of the rows of a tile, from row i of it on; `lines` of them exist. */
INLINE void pack_lanes(ptrdiff_t lines, const int i, ptrdiff_t d, const char *y, ptrdiff_t row_stride,
                       const real *middle, number scale, int norms, real *packed, real *start)
{
    const int width = TILE_ROWS - i < LANES ? TILE_ROWS - i : LANES;
    vdouble_sum squares = {0};
    for (ptrdiff_t p = 0; p < d; p += LANES) {
        const ptrdiff_t count = min_size(d - p, LANES);
        vreal features[LANES];
        if (lines == width && count == LANES)
            load_rows(width, y + p * (ptrdiff_t)sizeof(number), row_stride, features);
        else
            load_transposed(features, y + p * (ptrdiff_t)sizeof(number), row_stride, lines, count);
        UNROLL for (int q = 0; q < LANES; q++) if (q < count)
        {
            vreal value = (features[q] - vsplat(middle[p + q])) * scale;
            if (lines < width)
                value = first_lanes(value, lines, 0);
            vstore_part(packed + (p + q) * TILE_ROWS + i, value, width);
            add_square_to(&squares, value);
        }
    }
    vwide norm;
    memcpy(&norm, squares.part, sizeof norm);
    const vreal begin = norms ? vnarrow(norm * -0.5) : (vreal){0};
    vstore_part(start + i, first_lanes(begin, lines, -INFINITY), width);
}

static void pack(ptrdiff_t count, ptrdiff_t d, const char *y, ptrdiff_t row_stride, const real *middle,
                 const real *scale, int norms, real *packed, real *start)
{
    assert(count >= 0 && d >= 0);
    for (ptrdiff_t j = 0; j < count; j += TILE_ROWS, packed += TILE_ROWS * d, start += TILE_ROWS)
        UNROLL for (int i = 0; i < TILE_ROWS; i += LANES)
            pack_lanes(max_size(0, min_size(min_size(count - j, TILE_ROWS) - i, LANES)), i, d, y + (j + i) * row_stride,
                       row_stride, middle, *scale, norms, packed, start);
}

static void panel_of(ptrdiff_t count, ptrdiff_t d, const matrix *x, const real *middle, const real *scale, real *panel)
{
    if (d > 0)
        pack_panel(count, ceil_div(count, LANES), d, x->data, x->row, x->column, middle, *scale, panel);
}

/* ---- Search ------------------------------------------------------------------------------------------------------ */

INLINE void search_tiles(const int vectors, ptrdiff_t tiles, ptrdiff_t d, ptrdiff_t first, const real *packed,
                         const real *start, const real *panel, ptrdiff_t length, real *queues)
{
    const ptrdiff_t reals = queue_reals(length);
    for (ptrdiff_t q = 0; q < tiles; q++, packed += TILE_ROWS * d, start += TILE_ROWS, first += TILE_ROWS) {
        vreal acc[TILE_ROWS][TILE_VECTORS];
        tile_products(TILE_ROWS, vectors, d, packed, start, panel, NULL, acc);
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const queue to = queue_at(length, queues + v * reals);
            vreal most = acc[0][v];
            UNROLL for (int i = 1; i < TILE_ROWS; i++) most = vmax(acc[i][v], most);
            if (vany_below(vload(to.bound), most)) {
                vreal scores[TILE_ROWS];
                UNROLL for (int i = 0; i < TILE_ROWS; i++) scores[i] = acc[i][v];
                take(&to, scores, (integer)first);
            }
        }
    }
}

static void search(ptrdiff_t tiles, ptrdiff_t d, ptrdiff_t first, const real *packed, const real *start,
                   ptrdiff_t vectors, const real *panel, ptrdiff_t length, real *queues)
{
    assert(vectors >= 1 && vectors <= TILE_VECTORS && d >= 1);
    if (vectors == 1)
        search_tiles(1, tiles, d, first, packed, start, panel, length, queues);
    else if (vectors == TILE_VECTORS)
        search_tiles(TILE_VECTORS, tiles, d, first, packed, start, panel, length, queues);
    else
        search_tiles(2, tiles, d, first, packed, start, panel, length, queues);
}

static void begin(ptrdiff_t length, real *memory)
{
    const queue to = queue_at(length, memory);
    for (ptrdiff_t s = 0; s < length; s++)
        clear_slot(&to, s);
    vstore(to.bound, vsplat(-INFINITY));
    vstore((real *)to.filled, (vreal){0});
}

static void merge(ptrdiff_t length, real *memory, real *other)
{
    const queue to = queue_at(length, memory), from = queue_at(length, other);
    settle(&to);
    settle(&from);
    join(&to, from.scores, from.places);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

INLINE vreal product_piece(ptrdiff_t d, const real *x, const real *y)
{
    vreal even = {0}, odd = {0};
    ptrdiff_t p = 0;
    for (; p + 2 * LANES <= d; p += 2 * LANES) {
        even = vfma(vload(x + p), vload(y + p), even);
        odd = vfma(vload(x + p + LANES), vload(y + p + LANES), odd);
    }
    for (; p < d; p += LANES)
        even = vfma(load_some(x + p, d - p), load_some(y + p, d - p), even);
    return even + odd;
}

static number product_of(ptrdiff_t d, const real *x, const real *y)
{
    enum { PIECE = LONGEST_CHAIN * LANES };
    if (d <= PIECE)
        return lane_sum(product_piece(d, x, y));
    vwide total = {0};
    for (ptrdiff_t p = 0; p < d; p += PIECE)
        total += vwiden(product_piece(min_size(d - p, PIECE), x + p, y + p));
    return lane_sum(vnarrow(total));
}

static number value_of(int kind, ptrdiff_t d, const real *x, const real *y)
{
    if (kind == INNER_PRODUCT)
        return product_of(d, x, y);
    const number squared = lane_sum(squared_difference(0, d, x, y, NULL));
    if (kind == COSINE_DISTANCE) {
        const int lengths = product_of(d, x, x) > 0 && product_of(d, y, y) > 0;
        return !lengths ? 1 : squared < 4 ? squared / 2 : 2;
    }
    return kind == ROOT_DISTANCE ? vsqrt(vsplat(squared))[0] : squared;
}

/* Row i of m, where it lies or copied to `row`. */
static const real *features_of(const matrix *m, ptrdiff_t i, ptrdiff_t d, real *row)
{
    const char *from = m->data + i * m->row;
    if (m->column == sizeof(number))
        return (const real *)from;
    for (ptrdiff_t p = 0; p < d; p++)
        row[p] = *(const real *)(from + p * m->column);
    return row;
}

static void finish(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, int kind, const matrix *x, const matrix *y, real *rows,
                   ptrdiff_t length, real *memory, real *values, int32_t *indices)
{
    assert(count <= LANES && k <= length);
    const queue found = queue_at(length, memory);
    const number sign = kind == INNER_PRODUCT ? 1 : -1;
    settle(&found);
    for (ptrdiff_t l = 0; l < count; l++) {
        const real *sample = features_of(x, l, d, rows);
        for (ptrdiff_t s = l; s < length * LANES; s += LANES)
            if (found.places[s] != NOWHERE)
                found.scores[s] =
                    sign * value_of(kind, d, sample, features_of(y, (ptrdiff_t)found.places[s], d, rows + d));
    }
    sort(length, found.scores, found.places);
    for (ptrdiff_t l = 0; l < count; l++)
        for (ptrdiff_t s = 0; s < k; s++) {
            const integer place = found.places[s * LANES + l];
            values[l * k + s] = sign * found.scores[s * LANES + l];
            indices[l * k + s] = place == NOWHERE ? -1 : (int32_t)place;
        }
}

const neighbour_primitives NAME(neighbours) = {
    .middle = middle_of,
    .deviation = deviation,
    .pack = pack,
    .panel = panel_of,
    .queue_reals = queue_reals,
    .begin = begin,
    .search = search,
    .merge = merge,
    .finish = finish,
};
