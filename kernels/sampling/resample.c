#include "parts.h"
#include "primitives.h"

/* u[0] x[0] + u[1] x[1] + ..., `count` lanes in use, x[t] at x + pixel[t] * stride. Long sums are those of pieces. */
INLINE vreal sum_of_taps(const ptrdiff_t taps, const ptrdiff_t *pixel, const real *weight, const char *x,
                         ptrdiff_t stride, ptrdiff_t count)
{
    vreal sum = vsplat(weight[0]) * load_some((const real *)(x + pixel[0] * stride), count);
    for (ptrdiff_t t = 1; t < min_size(taps, LONGEST_CHAIN); t++)
        sum = vfma(vsplat(weight[t]), load_some((const real *)(x + pixel[t] * stride), count), sum);
    if (taps <= LONGEST_CHAIN)
        return sum;
    vwide total = vwiden(sum);
    for (ptrdiff_t first = LONGEST_CHAIN; first < taps; first += LONGEST_CHAIN) {
        sum = (vreal){0};
        for (ptrdiff_t t = first; t < min_size(taps, first + LONGEST_CHAIN); t++)
            sum = vfma(vsplat(weight[t]), load_some((const real *)(x + pixel[t] * stride), count), sum);
        total += vwiden(sum);
    }
    return vnarrow(total);
}

INLINE void combine(const ptrdiff_t taps, const ptrdiff_t *pixel, const real *weight, const char *x, ptrdiff_t stride,
                    ptrdiff_t count, real *to)
{
    ptrdiff_t k = 0;
    for (; k + LANES <= count; k += LANES)
        vstore(to + k, sum_of_taps(taps, pixel, weight, x + k * (ptrdiff_t)sizeof(number), stride, LANES));
    if (k < count)
        vstore_part(to + k, sum_of_taps(taps, pixel, weight, x + k * (ptrdiff_t)sizeof(number), stride, count - k),
                    count - k);
}

/* The weighted sum of the rows of x that row i of y sees, `pixels` times `channels` numbers, in `line`; or, where it sees
 * one as it is, that row itself if `may_stay`. *pixel_stride becomes that of the result. NULL: it sees none. */
INLINE const char *row_of(const resampling *r, ptrdiff_t i, const char *x, ptrdiff_t row_stride, ptrdiff_t channels,
                          int may_stay, ptrdiff_t *pixel_stride, real *line)
{
    const ptrdiff_t first = r->rows.start[i], taps = r->rows.start[i + 1] - first,
                    close = channels * (ptrdiff_t)sizeof(number);
    const ptrdiff_t *const pixel = r->rows.pixel + first;
    const real *const weight = r->rows.weight + first;
    if (taps == 0)
        return NULL;
    if (may_stay && taps == 1 && weight[0] == 1)
        return x + pixel[0] * row_stride;
    const ptrdiff_t pieces = *pixel_stride == close ? 1 : r->width,
                    count = *pixel_stride == close ? r->width * channels : channels;
    for (ptrdiff_t p = 0; p < pieces; p++) {
        const char *const from = x + p * *pixel_stride;
        if (taps == 2)
            combine(2, pixel, weight, from, row_stride, count, line + p * channels);
        else
            combine(taps, pixel, weight, from, row_stride, count, line + p * channels);
    }
    *pixel_stride = close;
    return (const char *)line;
}

INLINE void fill_row(const resampling *r, real *y)
{
    for (ptrdiff_t j = 0; j < r->columns; j++)
        y[j] = (number)r->fill;
}

/* ---- A plane: columns in the lanes ------------------------------------------------------------------------------- */

/* Tap e of all lanes; 0 in those that have none. */
INLINE vreal lanes_of(const resampling *r, ptrdiff_t e, const real *from, int near)
{
    const int32_t *const offsets = r->offsets + e * LANES;
    const unsigned mask = (unsigned)r->masks[e];
#if defined __AVX512F__ && REAL_BITS == 32
    if (near) {
        vint index;
        memcpy(&index, offsets, sizeof index);
        const vreal picked = vpick((const float *)from, index >> 2);
        return mask == (1u << LANES) - 1 ? picked : vpermute_into((vreal){0}, mask, lane_numbers(), picked);
    }
#endif
    return vgather_offsets((const char *)from, offsets, mask);
}

/* 0 times what lies beyond a lane's last tap is nothing, be it infinite: it was replaced by 0. */
INLINE vreal columns_of(const resampling *r, const column_group *g, const ptrdiff_t taps, const real *line, int near)
{
    const real *const from = line + g->base, *const weights = r->weights + g->first * LANES;
    vreal sum = vload(weights) * lanes_of(r, g->first, from, near);
    for (ptrdiff_t t = 1; t < min_size(taps, LONGEST_CHAIN); t++)
        sum = vfma(vload(weights + t * LANES), lanes_of(r, g->first + t, from, near), sum);
    if (taps <= LONGEST_CHAIN)
        return sum;
    vwide total = vwiden(sum);
    for (ptrdiff_t first = LONGEST_CHAIN; first < taps; first += LONGEST_CHAIN) {
        sum = (vreal){0};
        for (ptrdiff_t t = first; t < min_size(taps, first + LONGEST_CHAIN); t++)
            sum = vfma(vload(weights + t * LANES), lanes_of(r, g->first + t, from, near), sum);
        total += vwiden(sum);
    }
    return vnarrow(total);
}

INLINE vreal some_columns(const resampling *r, const column_group *g, const real *line, int near)
{
    if (g->taps == 1)
        return columns_of(r, g, 1, line, near);
    if (g->taps == 2)
        return columns_of(r, g, 2, line, near);
    return columns_of(r, g, g->taps, line, near);
}

/* The lanes without a tap are `fill`, which is 0 where there are no bits for them. */
INLINE vreal filled(const resampling *r, const column_group *g, vreal sum)
{
    vint bit;
    UNROLL for (int l = 0; l < LANES; l++) bit[l] = (integer)1 << l;
    return vselect((bit & (integer)r->masks[g->first]) != 0, sum, vsplat((number)r->fill));
}

enum { SHORT_RUN = 16 }; /* vectors that are copied before memcpy has found out how */

static void plane(const resampling *r, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last, real *line,
                  real *y)
{
    for (ptrdiff_t i = first; i < last; i++, y += r->columns) {
        ptrdiff_t close = sizeof(number);
        const real *const row = (const real *)row_of(r, i, x, row_stride, 1, r->width >= PIECES, &close, line);
        if (row == NULL) {
            fill_row(r, y);
            continue;
        }
        const column_group *g = r->groups;
        for (ptrdiff_t j = 0; j < r->columns; j += LANES, g++) {
            if (g->copies > 0) {
                const ptrdiff_t count = min_size(g->copies * LANES, r->columns - j);
                if (count <= SHORT_RUN * LANES)
                    copy_row(count, row + g->base, y + j);
                else
                    memcpy(y + j, row + g->base, (size_t)count * sizeof(number));
                j += (g->copies - 1) * LANES;
                g += g->copies - 1;
                continue;
            }
            vreal sum = vsplat((number)r->fill);
            if (g->taps > 0)
                sum = g->near ? some_columns(r, g, row, 1) : some_columns(r, g, row, 0);
            if (r->fill != 0 && g->taps > 0)
                sum = filled(r, g, sum);
            store_some(y + j, sum, r->columns - j);
        }
    }
}

/* ---- Channels in the lanes --------------------------------------------------------------------------------------- */

/* Column j of y, `count` lanes in use. */
INLINE vreal column_of(const resampling *r, ptrdiff_t j, const char *row, ptrdiff_t pixel_stride, ptrdiff_t count)
{
    const ptrdiff_t first = r->across.start[j], taps = r->across.start[j + 1] - first;
    const ptrdiff_t *const pixel = r->across.pixel + first;
    const real *const weight = r->across.weight + first;
    if (taps == 0)
        return vsplat((number)r->fill);
    if (taps == 1 && weight[0] == 1)
        return load_some((const real *)(row + pixel[0] * pixel_stride), count);
    if (taps == 2)
        return sum_of_taps(2, pixel, weight, row, pixel_stride, count);
    return sum_of_taps(taps, pixel, weight, row, pixel_stride, count);
}

static void fill_pixels(const resampling *r, ptrdiff_t channels, real *y, ptrdiff_t pitch)
{
    for (ptrdiff_t j = 0; j < r->columns; j++)
        for (ptrdiff_t k = 0; k < channels; k++)
            y[j * pitch + k] = (number)r->fill;
}

/* The same where the rows that row i sees are not combined before: of results that see most pixels once at most. */
INLINE vreal column_of_rows(const resampling *r, ptrdiff_t i, ptrdiff_t j, const char *x, ptrdiff_t row_stride,
                            ptrdiff_t pixel_stride, ptrdiff_t count, const ptrdiff_t row_taps)
{
    const ptrdiff_t first = r->across.start[j], taps = r->across.start[j + 1] - first, above = r->rows.start[i];
    const ptrdiff_t *const pixel = r->across.pixel + first;
    const real *const weight = r->across.weight + first;
    if (taps == 0)
        return vsplat((number)r->fill);
    vreal sum = {0};
    for (ptrdiff_t t = 0; t < taps; t++) {
        const vreal rows = sum_of_taps(row_taps, r->rows.pixel + above, r->rows.weight + above,
                                       x + pixel[t] * pixel_stride, row_stride, count);
        if (taps == 1 && weight[0] == 1)
            return rows;
        sum = t == 0 ? vsplat(weight[0]) * rows : vfma(vsplat(weight[t]), rows, sum);
    }
    return sum;
}

static void row_at_once(const resampling *r, ptrdiff_t i, const char *x, ptrdiff_t row_stride, ptrdiff_t pixel_stride,
                        ptrdiff_t channels, real *y, ptrdiff_t pitch)
{
    for (ptrdiff_t j = 0; j < r->columns; j++) {
        ptrdiff_t k = 0;
        for (; k + LANES <= channels; k += LANES)
            vstore(y + j * pitch + k,
                   column_of_rows(r, i, j, x + k * (ptrdiff_t)sizeof(number), row_stride, pixel_stride, LANES, 2));
        if (k < channels)
            vstore_part(
                y + j * pitch + k,
                column_of_rows(r, i, j, x + k * (ptrdiff_t)sizeof(number), row_stride, pixel_stride, channels - k, 2),
                channels - k);
    }
}

/* How many columns from j on are neighbouring pixels as they are. */
INLINE ptrdiff_t run_of_copies(const pixel_list *across, ptrdiff_t columns, ptrdiff_t j)
{
    const ptrdiff_t first = j, *const start = across->start;
    while (j < columns && start[j + 1] - start[j] == 1 && across->weight[start[j]] == 1 &&
           across->pixel[start[j]] - across->pixel[start[first]] == j - first)
        j++;
    return j - first;
}

static void image(const resampling *r, const char *x, ptrdiff_t row_stride, ptrdiff_t pixel_stride, ptrdiff_t channels,
                  ptrdiff_t first, ptrdiff_t last, real *line, real *y, ptrdiff_t pitch)
{
    const ptrdiff_t close = channels * (ptrdiff_t)sizeof(number);
    const int once = r->across.start[r->columns] <= min_size(r->width, LONGEST_CHAIN);
    for (ptrdiff_t i = first; i < last; i++, y += r->columns * pitch) {
        if (once && r->rows.start[i + 1] - r->rows.start[i] == 2) {
            row_at_once(r, i, x, row_stride, pixel_stride, channels, y, pitch);
            continue;
        }
        ptrdiff_t stride = pixel_stride;
        const char *const row = row_of(r, i, x, row_stride, channels, 1, &stride, line);
        if (row == NULL) {
            fill_pixels(r, channels, y, pitch);
            continue;
        }
        for (ptrdiff_t j = 0; j < r->columns; j++) {
            const ptrdiff_t run = stride == close && pitch == channels ? run_of_copies(&r->across, r->columns, j) : 0;
            if (run > 1) {
                memcpy(y + j * pitch, row + r->across.pixel[r->across.start[j]] * stride, (size_t)(run * close));
                j += run - 1;
                continue;
            }
            ptrdiff_t k = 0;
            for (; k + LANES <= channels; k += LANES)
                vstore(y + j * pitch + k, column_of(r, j, row + k * (ptrdiff_t)sizeof(number), stride, LANES));
            if (k < channels)
                vstore_part(y + j * pitch + k,
                            column_of(r, j, row + k * (ptrdiff_t)sizeof(number), stride, channels - k), channels - k);
        }
    }
}

const resample_primitives NAME(resample) = {.pieces = PIECES, .plane = plane, .image = image};
