#include "gather.h"
#include "parts.h"
#include "primitives.h"

enum { COPY_VECTORS = 32 }; /* of a row whose masks are prepared at a time */

/* copy[r][s][e] = x[r - top, e*phases + s - left], 0 outside (h, w), for r < height, s < phases, e < pitch. `ahead` rows on
 * lies what is read next. */
INLINE void copy_phases(const int phases, const char *x, ptrdiff_t x_row, ptrdiff_t h, ptrdiff_t w, ptrdiff_t top,
                        ptrdiff_t left, ptrdiff_t height, ptrdiff_t pitch, real *copy)
{
    unsigned masks[COPY_VECTORS];
    const ptrdiff_t vectors = (pitch + LANES - 1) / LANES, pixels = phases * LANES, size = sizeof(number);
    for (ptrdiff_t begin = 0; begin < vectors; begin += COPY_VECTORS) {
        const ptrdiff_t end = min_size(vectors, begin + COPY_VECTORS);
        for (ptrdiff_t v = begin; v < end; v++) {
            const ptrdiff_t first = min_size(max_size(left - v * pixels, 0), pixels);
            const ptrdiff_t last = min_size(max_size(left + w - v * pixels, first), pixels);
            masks[v - begin] = (unsigned)(((uint64_t)1 << last) - ((uint64_t)1 << first));
        }
        for (ptrdiff_t r = 0; r < height; r++) {
            const bool in = r - top >= 0 && r - top < h;
            const char *const row = x + (r - top) * x_row - left * size;
            real *const to = copy + r * phases * pitch;
            for (ptrdiff_t v = begin; v < end; v++) {
                const real *const from = (const real *)row + v * pixels;
                const unsigned mask = in ? masks[v - begin] : 0;
                const vreal low = vload_mask(from, mask & (unsigned)(((uint64_t)1 << LANES) - 1));
                __builtin_prefetch((const char *)from + height * x_row);
                if (phases == 1) {
                    vstore(to + v * LANES, low);
                } else {
                    const vreal high = vload_mask(from + LANES, (unsigned)((uint64_t)mask >> LANES));
                    vstore(to + v * LANES, __builtin_shufflevector(low, high, EVEN));
                    vstore(to + pitch + v * LANES, __builtin_shufflevector(low, high, ODD));
                }
            }
        }
    }
}

/* to[e] = row[e * phases + s - left], 0 outside the row. */
INLINE void deal_phase(const windows *g, const real *row, ptrdiff_t s, ptrdiff_t pitch, real *to)
{
    const ptrdiff_t phases = g->sw, first = min_size((max_size(g->left - s, 0) + phases - 1) / phases, pitch);
    const ptrdiff_t end = max_size(min_size((max_size(g->left + g->w - s, 0) + phases - 1) / phases, pitch), first);
    memset(to, 0, (size_t)first * sizeof(number));
    row += first * phases + s - g->left;
    for (ptrdiff_t e = first; e < end; e++, row += phases)
        to[e] = *row;
    memset(to + end, 0, (size_t)(pitch - end) * sizeof(number));
}

/* As copy_phases for any stride, only rows and phases that windows see. */
static void deal_seen(const windows *g, ptrdiff_t top, ptrdiff_t height, ptrdiff_t pitch, real *copy)
{
    const unsigned rows_seen = remainders(g->kh, g->dh, g->sh), seen = remainders(g->kw, g->dw, g->sw);
    for (ptrdiff_t r = 0; r < height; r++) {
        if (!(rows_seen >> r % g->sh & 1))
            continue;
        const bool in = r >= top && r < top + g->h;
        for (ptrdiff_t s = 0; s < g->sw; s++) {
            real *const to = copy + (r * g->sw + s) * pitch;
            if (seen >> s & 1 && in)
                deal_phase(g, (const real *)(g->x + (r - top) * g->row_stride), s, pitch, to);
            else if (seen >> s & 1)
                memset(to, 0, (size_t)pitch * sizeof(number));
        }
    }
}

/* Rows from `row` of the padded image on. */
static void copy_band(const windows *g, ptrdiff_t row, ptrdiff_t height, ptrdiff_t pitch, real *copy)
{
    const ptrdiff_t top = g->top - row;
    if (g->sw == 1)
        copy_phases(1, g->x, g->row_stride, g->h, g->w, top, g->left, height, pitch, copy);
    else if (g->sw == 2)
        copy_phases(2, g->x, g->row_stride, g->h, g->w, top, g->left, height, pitch, copy);
    else
        deal_seen(g, top, height, pitch, copy);
}

/* A list of taps: the result at a place of the copy is the sum of w[t] copy[place + offset[t]]. */
typedef struct {
    int count;
    number w[DEPTHWISE_TAPS];
    ptrdiff_t offset[DEPTHWISE_TAPS];
} tap_list;

INLINE void correlate_block(const int rows, const int vectors, const tap_list *taps, const real *copy, ptrdiff_t step,
                            vreal start, bool add, real *y, ptrdiff_t y_row, ptrdiff_t last)
{
    vreal acc[9];
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const real *const from = (const real *)((const char *)y + i * y_row) + v * LANES;
            acc[i * vectors + v] = !add                               ? start
                                   : v < vectors - 1 || last == LANES ? vload(from)
                                                                      : vload_part(from, last);
        }
    }
    for (int t = 0; t < taps->count; t++) {
        const vreal w = vsplat(taps->w[t]);
        const real *x = copy + taps->offset[t];
        UNROLL for (int i = 0; i < rows; i++, x += step)
        {
            UNROLL for (int v = 0; v < vectors; v++)
            {
                acc[i * vectors + v] = vfma(w, vload(x + v * LANES), acc[i * vectors + v]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int v = 0; v < vectors; v++)
        {
            real *const to = (real *)((char *)y + i * y_row) + v * LANES;
            if (v < vectors - 1 || last == LANES)
                vstore(to, positive_zeros(acc[i * vectors + v]));
            else
                vstore_part(to, positive_zeros(acc[i * vectors + v]), last);
        }
    }
}

/* Rows are split evenly into blocks of at most `most`: their chains hide each other's latency, a single row has none to hide
 * behind. `step` elements lie between the rows of the copy, `y_row` bytes between those of the result. */
INLINE void correlate_columns(const int most, const int vectors, const tap_list *taps, const real *copy, ptrdiff_t step,
                              ptrdiff_t rows, vreal start, bool add, real *y, ptrdiff_t y_row, ptrdiff_t last)
{
    const ptrdiff_t blocks = (rows + most - 1) / most;
    for (ptrdiff_t q = 0; q < blocks; q++) {
        const ptrdiff_t i = rows * q / blocks, height = rows * (q + 1) / blocks - i;
        UNROLL for (int count = 1; count <= most; count++)
        {
            if (count == height)
                correlate_block(count, vectors, taps, copy + i * step, step, start, add,
                                (real *)((char *)y + i * y_row), y_row, last);
        }
    }
}

static void correlate(const tap_list *taps, const real *copy, ptrdiff_t step, ptrdiff_t rows, ptrdiff_t columns,
                      vreal start, bool add, real *y, ptrdiff_t y_row)
{
    for (ptrdiff_t j = 0; j < columns; j += 4 * LANES) {
        const ptrdiff_t vectors = (min_size(columns - j, 4 * LANES) + LANES - 1) / LANES;
        const ptrdiff_t last = min_size(columns - j - (vectors - 1) * LANES, LANES);
        switch (vectors) {
        case 1: correlate_columns(8, 1, taps, copy + j, step, rows, start, add, y + j, y_row, last); break;
        case 2: correlate_columns(4, 2, taps, copy + j, step, rows, start, add, y + j, y_row, last); break;
        case 3: correlate_columns(3, 3, taps, copy + j, step, rows, start, add, y + j, y_row, last); break;
        default: correlate_columns(2, 4, taps, copy + j, step, rows, start, add, y + j, y_row, last); break;
        }
    }
}

/* Where the taps lie in the copy of x, from the place of their window. Divisions cost more than a small plane. */
INLINE void place_taps(const windows *g, ptrdiff_t pitch, ptrdiff_t *offsets)
{
    for (ptrdiff_t b = 0; b < g->kw; b++) {
        const ptrdiff_t column = g->sw == 1 ? b * g->dw : b * g->dw % g->sw * pitch + b * g->dw / g->sw;
        for (ptrdiff_t a = 0; a < g->kh; a++)
            offsets[a * g->kw + b] = a * g->dh * g->sw * pitch + column;
    }
}

static void forward(const windows *g, const real *w, const real *bias, char *y, ptrdiff_t y_row, real *scratch)
{
    assert(depthwise_fits(g));
    const depthwise_band band = depthwise_forward_band(g, sizeof(number));
    const vreal start = bias != NULL ? vsplat(bias[0]) : (vreal){0};
    tap_list taps;
    taps.count = (int)(g->kh * g->kw);
    memcpy(taps.w, w, (size_t)taps.count * sizeof(number));
    place_taps(g, band.pitch, taps.offset);
    for (ptrdiff_t i = 0; i < g->oh; i += band.rows) {
        const ptrdiff_t rows = min_size(band.rows, g->oh - i), height = (rows - 1) * g->sh + (g->kh - 1) * g->dh + 1;
        copy_band(g, i * g->sh, height, band.pitch, scratch);
        correlate(&taps, scratch, g->sh * g->sw * band.pitch, rows, g->ow, start, false, (real *)(y + i * y_row),
                  y_row);
    }
}

INLINE void list_phase(const windows *g, ptrdiff_t pitch, const real *w, const meeting *rows, const meeting *columns,
                       ptrdiff_t row_phase, ptrdiff_t column_phase, tap_list *taps)
{
    taps->count = 0;
    for (ptrdiff_t a = g->kh - 1; a >= 0; a--)
        for (ptrdiff_t b = g->kw - 1; b >= 0 && rows[a].phase == row_phase; b--)
            if (columns[b].phase == column_phase) {
                taps->w[taps->count] = w[a * g->kw + b];
                taps->offset[taps->count++] = rows[a].distance * pitch + columns[b].distance;
            }
}

INLINE void store_or_add(real *to, vreal v, ptrdiff_t count, bool add)
{
    if (count >= LANES)
        vstore(to, add ? vload(to) + v : v);
    else if (count > 0)
        vstore_part(to, add ? vload_part(to, count) + v : v, count);
}

/* dx[sw * e + s - skip] = or += parts[s][e], for the columns that dx has; parts of more than two phases that are not `seen`
 * are 0 and not read */
INLINE void interleave(const real *parts, ptrdiff_t pitch, ptrdiff_t sw, unsigned seen, ptrdiff_t skip, ptrdiff_t w,
                       bool add, real *dx)
{
    if (sw == 2)
        for (ptrdiff_t c = 0; c < w; c += 2 * LANES) {
            const vreal even = vload(parts + skip * pitch + c / 2),
                        odd = vload(parts + (1 - skip) * pitch + c / 2 + skip);
            store_or_add(dx + c, __builtin_shufflevector(even, odd, LOW), w - c, add);
            store_or_add(dx + c + LANES, __builtin_shufflevector(even, odd, HIGH), w - c - LANES, add);
        }
    else if (!add)
        memset(dx, 0, (size_t)w * sizeof(number));
    for (ptrdiff_t s = 0; s < sw && sw > 2; s++) {
        const real *from = parts + s * pitch + (s < skip);
        for (ptrdiff_t c = s < skip ? s - skip + sw : s - skip; c < w && seen >> s & 1; c += sw)
            dx[c] += *from++;
    }
}

static void image_gradient(const windows *g, const char *dy, ptrdiff_t dy_row, const real *w, int add, char *dx,
                           ptrdiff_t dx_row, real *scratch)
{
    assert(depthwise_fits(g));
    const depthwise_band band = depthwise_gradient_band(g, sizeof(number));
    const ptrdiff_t sh = g->sh, sw = g->sw, first = g->top / sh, end = (g->h + g->top - 1) / sh + 1;
    const ptrdiff_t span_h = (g->kh - 1) * g->dh / sh, span_w = (g->kw - 1) * g->dw / sw;
    const ptrdiff_t columns = (g->w + g->left - 1) / sw - g->left / sw + 1;
    const unsigned rows_seen = remainders(g->kh, g->dh, sh), seen = sw <= 2 ? 3 : remainders(g->kw, g->dw, sw);
    real *const parts = scratch + band.height * band.pitch + 64;
    meeting met_rows[DEPTHWISE_TAPS], met_columns[DEPTHWISE_TAPS];
    tap_list taps;
    meet(g->kh, g->dh, sh, met_rows);
    meet(g->kw, g->dw, sw, met_columns);
    for (ptrdiff_t q = first; q < end; q += band.rows) {
        const ptrdiff_t rows = min_size(band.rows, end - q);
        copy_phases(1, dy, dy_row, g->oh, g->ow, span_h - q, span_w - g->left / sw, rows + span_h, band.pitch, scratch);
        for (ptrdiff_t phase = 0; phase < sh; phase++) {
            /* rows sh * Q + phase - top of dx, q <= Q < q + rows, as far as dx has them */
            const ptrdiff_t begin = q * sh + phase < g->top ? 1 : 0, r = (q + begin) * sh + phase - g->top;
            const ptrdiff_t count = min_size(rows - begin, r < g->h ? (g->h - r + sh - 1) / sh : 0);
            real *const to = (real *)(dx + r * dx_row);
            if (!(rows_seen >> phase & 1)) {
                for (ptrdiff_t i = 0; i < count && !add; i++)
                    memset((char *)to + i * sh * dx_row, 0, (size_t)g->w * sizeof(number));
                continue;
            }
            for (ptrdiff_t s = 0; s < sw && count > 0; s++) {
                if (!(seen >> s & 1))
                    continue;
                list_phase(g, band.pitch, w, met_rows, met_columns, phase, s, &taps);
                if (sw == 1)
                    correlate(&taps, scratch + begin * band.pitch, band.pitch, count, columns, (vreal){0}, add, to,
                              sh * dx_row);
                else
                    correlate(&taps, scratch + begin * band.pitch, band.pitch, count, columns, (vreal){0}, false,
                              parts + s * band.pitch, sw * band.pitch * (ptrdiff_t)sizeof(number));
            }
            for (ptrdiff_t i = 0; i < count && sw > 1; i++)
                interleave(parts + i * sw * band.pitch, band.pitch, sw, seen, g->left % sw, g->w, add,
                           (real *)((char *)to + i * sh * dx_row));
        }
    }
}

/* Up to 8 taps over some rows, in the lanes of the columns; the sums are added in double. */
INLINE void weight_block(const int taps, const real *copy, const ptrdiff_t *offsets, ptrdiff_t step, ptrdiff_t rows,
                         ptrdiff_t columns, const char *dy, ptrdiff_t dy_row, double *lanes)
{
    vreal acc[8] = {{0}};
    for (ptrdiff_t i = 0; i < rows; i++, copy += step, dy += dy_row)
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            /* what a window does not see may be NaN */
            const unsigned mask = (1u << min_size(columns - j, LANES)) - 1;
            const vreal d = vload_mask((const real *)dy + j, mask);
            UNROLL for (int t = 0; t < taps; t++) acc[t] = vfma(d, vload_mask(copy + offsets[t] + j, mask), acc[t]);
        }
    UNROLL for (int t = 0; t < taps; t++) add_to_lanes(lanes + t * LANES, acc[t]);
}

static void weight_blocks(ptrdiff_t taps, const real *copy, const ptrdiff_t *offsets, ptrdiff_t step, ptrdiff_t rows,
                          ptrdiff_t columns, const char *dy, ptrdiff_t dy_row, double *lanes)
{
    const ptrdiff_t blocks = (taps + 7) / 8;
    for (ptrdiff_t q = 0; q < blocks; q++) {
        const ptrdiff_t t = taps * q / blocks;
        const ptrdiff_t *const from = offsets + t;
        double *const to = lanes + t * LANES;
        switch (taps * (q + 1) / blocks - t) {
        case 1: weight_block(1, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 2: weight_block(2, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 3: weight_block(3, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 4: weight_block(4, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 5: weight_block(5, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 6: weight_block(6, copy, from, step, rows, columns, dy, dy_row, to); break;
        case 7: weight_block(7, copy, from, step, rows, columns, dy, dy_row, to); break;
        default: weight_block(8, copy, from, step, rows, columns, dy, dy_row, to); break;
        }
    }
}

static void weight_lanes(const windows *g, const char *dy, ptrdiff_t dy_row, double *lanes, real *scratch)
{
    enum { WIDE = LONGEST_CHAIN / 4 * LANES }; /* a band of such rows has 4 */
    assert(depthwise_fits(g));
    const depthwise_band band = depthwise_forward_band(g, sizeof(number));
    const ptrdiff_t taps = g->kh * g->kw, step = g->sh * g->sw * band.pitch;
    ptrdiff_t offsets[DEPTHWISE_TAPS];
    place_taps(g, band.pitch, offsets);
    for (ptrdiff_t i = 0; i < g->oh; i += band.rows) {
        const ptrdiff_t rows = min_size(band.rows, g->oh - i), height = (rows - 1) * g->sh + (g->kh - 1) * g->dh + 1;
        const char *const d = dy + i * dy_row;
        copy_band(g, i * g->sh, height, band.pitch, scratch);
        for (ptrdiff_t j = 0; j < g->ow; j += WIDE)
            weight_blocks(taps, scratch + j, offsets, step, rows, min_size(g->ow - j, WIDE),
                          (const char *)((const real *)d + j), dy_row, lanes);
    }
}

static void sum_lanes(ptrdiff_t taps, const double *lanes, real *dw)
{
    for (ptrdiff_t t = 0; t < taps; t++) {
        double sum[LANES];
        memcpy(sum, lanes + t * LANES, sizeof sum);
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int l = 0; l < half; l++)
                sum[l] += sum[l + half];
        dw[t] = (number)sum[0];
    }
}

const depthwise_primitives NAME(depthwise) = {.forward = forward,
                                              .image_gradient = image_gradient,
                                              .weight_lanes = weight_lanes,
                                              .sum_lanes = sum_lanes,
                                              .pixels_forward = NAME(pixels_forward),
                                              .pixels_image_gradient = NAME(pixels_image_gradient),
                                              .pixels_weights = NAME(pixels_weights)};
