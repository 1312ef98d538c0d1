#include "parts.h"
#include "primitives.h"
#include "pixels.h"

/* Depthwise convolution with channels in the lanes; see depthwise.h. */

enum { PIXELS = VECTOR_BYTES == 64 ? 14 : 8 }; /* whose sums grow side by side, in as many registers */
enum { MOST_COLUMNS = 7 };                     /* of a row of taps in registers */

typedef struct {
    ptrdiff_t count, columns; /* in all; of each row whose taps meet neighbouring pixels, else 0 */
    ptrdiff_t tap[DEPTHWISE_TAPS], offset[DEPTHWISE_TAPS]; /* of the kernel; of its pixel in the copy, in elements */
} tap_places;

/* Pixels of planes without gaps, LANES at a time across the ends of rows, to rows `pitch` apart. */
INLINE void place_pixels(const windows *g, ptrdiff_t first_row, ptrdiff_t end_row, ptrdiff_t left, ptrdiff_t pitch,
                         ptrdiff_t channels, real *copy)
{
    const ptrdiff_t size = sizeof(number), end = end_row * g->w;
    ptrdiff_t column = left;
    for (ptrdiff_t p = first_row * g->w; p < end; p += LANES) {
        const ptrdiff_t count = min_size(end - p, LANES);
        vreal block[LANES];
        for (ptrdiff_t l = 0; l < LANES; l++)
            __builtin_prefetch(g->x + p * size + (LANES + l) * g->channel_stride);
        load_transposed(block, g->x + p * size, g->channel_stride, channels, count);
        for (ptrdiff_t i = 0; i < count; i++) {
            if (column >= 0 && column < pitch)
                vstore(copy + column * LANES, block[i]);
            if (++column == left + g->w) {
                column = left;
                copy += pitch * LANES;
            }
        }
    }
}

/* copy[r, e] = x[r - top, e - left], 0 outside */
INLINE void copy_pixels(const windows *g, ptrdiff_t top, ptrdiff_t left, ptrdiff_t height, ptrdiff_t pitch,
                        ptrdiff_t channels, real *copy)
{
    const ptrdiff_t size = sizeof(number), first = max_size(top, 0),
                    end = max_size(min_size(height, top + g->h), first);
    if (g->w < LANES && g->column_stride == size && g->row_stride == g->w * size && g->channel_stride != size) {
        memset(copy, 0, (size_t)(height * pitch * LANES) * sizeof(number));
        place_pixels(g, first - top, end - top, left, pitch, channels, copy + first * pitch * LANES);
        return;
    }
    for (ptrdiff_t r = 0; r < height; r++, copy += pitch * LANES)
        if (r >= first && r < end)
            pixels_of_row(g, g->x + (r - top) * g->row_stride, -left, channels, pitch, copy);
        else
            memset(copy, 0, (size_t)(pitch * LANES) * sizeof(number));
}

/* What rows i and on of a band of the result see; how many these are */
INLINE ptrdiff_t copy_band(const windows *g, const pixel_band *band, ptrdiff_t i, ptrdiff_t channels, real *copy)
{
    const ptrdiff_t rows = min_size(band->rows, g->oh - i), height = (rows - 1) * g->sh + (g->kh - 1) * g->dh + 1;
    copy_pixels(g, g->top - i * g->sh, g->left, height, band->pitch, channels, copy);
    return rows;
}

/* sum[p] += the products of `columns` taps and pixels x + p step and on. Every pixel is loaded once: a processor would do
 * two multiply-adds for two loads from the first cache, but reaches 1.5. */
INLINE void sum_tap_row(const int pixels, const int columns, const int step, const real *w, const ptrdiff_t *tap,
                        const real *x, vreal sum[PIXELS])
{
    vreal taps[MOST_COLUMNS];
    const ptrdiff_t next = (tap[1] - tap[0]) * LANES;
    w += tap[0] * LANES;
    UNROLL for (int b = 0; b < columns; b++) taps[b] = vload(w + b * next);
    _Pragma("GCC unroll 40") for (int e = 0; e < (pixels - 1) * step + columns; e++)
    {
        const vreal pixel = vload(x + e * LANES);
        UNROLL for (int b = e % step; b < columns; b += step)
        {
            if (b <= e && (e - b) / step < pixels)
                sum[(e - b) / step] = vfma(taps[b], pixel, sum[(e - b) / step]);
        }
    }
}

/* columns: taps->columns, or 0 for any */
INLINE void sum_pixels(const int pixels, const int columns, const tap_places *taps, const real *w, const real *copy,
                       ptrdiff_t step, vreal start, real *to, ptrdiff_t to_step)
{
    vreal sum[PIXELS];
    UNROLL for (int p = 0; p < pixels; p++) sum[p] = start;
    for (ptrdiff_t t = 0; t < taps->count; t += columns > 0 ? columns : 1) {
        const real *const x = copy + taps->offset[t];
        if (columns > 0) {
            sum_tap_row(pixels, columns, (int)step, w, taps->tap + t, x, sum);
        } else {
            const vreal tap = vload(w + taps->tap[t] * LANES);
            UNROLL for (int p = 0; p < pixels; p++) sum[p] = vfma(tap, vload(x + p * step * LANES), sum[p]);
        }
    }
    UNROLL for (int p = 0; p < pixels; p++) vstore(to + p * to_step * LANES, positive_zeros(sum[p]));
}

/* A row of sums, split evenly, from pixels `step` apart to pixels `to_step` apart. */
INLINE void sum_blocks(ptrdiff_t count, const int columns, const tap_places *taps, const real *w, const real *copy,
                       ptrdiff_t step, vreal start, real *to, ptrdiff_t to_step)
{
    const ptrdiff_t blocks = (count + PIXELS - 1) / PIXELS;
    for (ptrdiff_t q = 0; q < blocks; q++) {
        const ptrdiff_t j = count * q / blocks, pixels = count * (q + 1) / blocks - j;
        UNROLL for (int n = 1; n <= PIXELS; n++)
        {
            if (n == pixels)
                sum_pixels(n, columns, taps, w, copy + j * step * LANES, step, start, to + j * to_step * LANES,
                           to_step);
        }
    }
}

static void sum_row(ptrdiff_t count, const tap_places *taps, const real *w, const real *copy, ptrdiff_t step,
                    vreal start, real *to, ptrdiff_t to_step)
{
#define CASE(width, pace)                                                                                              \
    else if ((width == 0 || taps->columns == width) && step == pace)                                                   \
        sum_blocks(count, width, taps, w, copy, pace, start, to, to_step);
    if (step > 2)
        sum_blocks(count, 0, taps, w, copy, step, start, to, to_step);
    CASE(3, 1) CASE(5, 1) CASE(7, 1) CASE(5, 2) CASE(7, 2) CASE(0, 1) CASE(0, 2)
#undef CASE
}

INLINE void place_taps(const windows *g, ptrdiff_t pitch, tap_places *taps)
{
    taps->count = 0, taps->columns = g->dw == 1 ? g->kw : 0;
    for (ptrdiff_t a = 0; a < g->kh; a++)
        for (ptrdiff_t b = 0; b < g->kw; b++) {
            taps->tap[taps->count] = taps->count;
            taps->offset[taps->count++] = (a * g->dh * pitch + b * g->dw) * LANES;
        }
}

void NAME(pixels_forward)(const windows *g, ptrdiff_t channels, const real *w, const real *bias, char *y, real *scratch)
{
    assert(depthwise_fits(g) && channels >= 1 && channels <= LANES);
    const ptrdiff_t size = sizeof(number);
    const pixel_band band = pixels_forward_band(g, LANES * size);
    const vreal start = bias != NULL ? vload_part(bias, channels) : (vreal){0};
    real *const sums = scratch + band.height * band.pitch * LANES;
    tap_places taps;
    place_taps(g, band.pitch, &taps);
    for (ptrdiff_t i = 0; i < g->oh; i += band.rows) {
        const ptrdiff_t rows = copy_band(g, &band, i, channels, scratch);
        for (ptrdiff_t r = 0; r < rows; r++)
            sum_row(g->ow, &taps, w, scratch + r * g->sh * band.pitch * LANES, g->sw, start, sums + r * g->ow * LANES,
                    1);
        store_pixels(channels, 1, rows * g->ow, 0, sums, y + i * g->ow * size, g->oh * g->ow * size, 0, size);
    }
}

/* The taps that rows and columns of these phases meet */
INLINE void place_phase(const windows *g, ptrdiff_t pitch, const meeting *rows, const meeting *columns,
                        ptrdiff_t row_phase, ptrdiff_t column_phase, tap_places *taps)
{
    taps->count = 0, taps->columns = g->sw == 1 && g->dw == 1 ? g->kw : 0;
    for (ptrdiff_t a = g->kh - 1; a >= 0; a--)
        for (ptrdiff_t b = g->kw - 1; b >= 0 && rows[a].phase == row_phase; b--)
            if (columns[b].phase == column_phase) {
                taps->tap[taps->count] = a * g->kw + b;
                taps->offset[taps->count++] = (rows[a].distance * pitch + columns[b].distance) * LANES;
            }
}

void NAME(pixels_image_gradient)(const windows *g, const windows *dy, ptrdiff_t channels, const real *w, char *dx,
                                 real *scratch)
{
    assert(depthwise_fits(g) && channels >= 1 && channels <= LANES);
    const pixel_band band = pixels_gradient_band(g);
    const ptrdiff_t size = sizeof(number), sh = g->sh, sw = g->sw, first = g->top / sh, first_column = g->left / sw;
    real *const sums = scratch + band.height * band.pitch * LANES;
    meeting rows[DEPTHWISE_TAPS], columns[DEPTHWISE_TAPS];
    tap_places taps;
    meet(g->kh, g->dh, sh, rows);
    meet(g->kw, g->dw, sw, columns);
    copy_pixels(dy, (g->kh - 1) * g->dh / sh - first, (g->kw - 1) * g->dw / sw - first_column, band.height, band.pitch,
                channels, scratch);
    for (ptrdiff_t phase = 0; phase < sh; phase++)
        for (ptrdiff_t s = 0; s < sw; s++) {
            /* pixels (sh * Q + phase - top, sw * E + s - left), as far as dx has them */
            const ptrdiff_t q = first * sh + phase < g->top, e = first_column * sw + s < g->left;
            const ptrdiff_t c = (first_column + e) * sw + s - g->left, count = c < g->w ? (g->w - c + sw - 1) / sw : 0;
            ptrdiff_t r = (first + q) * sh + phase - g->top;
            place_phase(g, band.pitch, rows, columns, phase, s, &taps);
            for (const real *copy = scratch + (q * band.pitch + e) * LANES; r < g->h;
                 r += sh, copy += band.pitch * LANES)
                sum_row(count, &taps, w, copy, 1, (vreal){0}, sums + (r * g->w + c) * LANES, sw);
        }
    store_pixels(channels, 1, g->h * g->w, 0, sums, dx, g->h * g->w * size, 0, size);
}

/* sums of up to PIXELS taps, over a band of rows */
INLINE void sum_taps(const int taps, const windows *g, ptrdiff_t rows, const real *copy, ptrdiff_t pitch,
                     const ptrdiff_t *offsets, const real *dy, double *sums)
{
    vreal sum[PIXELS];
    UNROLL for (int t = 0; t < taps; t++) sum[t] = (vreal){0};
    for (ptrdiff_t i = 0; i < rows; i++) {
        const real *x = copy + i * g->sh * pitch * LANES;
        for (ptrdiff_t j = 0; j < g->ow; j++, dy += LANES, x += g->sw * LANES)
            UNROLL for (int t = 0; t < taps; t++) sum[t] = vfma(vload(dy), vload(x + offsets[t]), sum[t]);
    }
    for (int t = 0; t < taps; t++)
        for (int l = 0; l < LANES; l++)
            sums[t * LANES + l] += sum[t][l];
}

void NAME(pixels_weights)(const windows *g, const windows *dy, ptrdiff_t channels, double *sums, real *scratch)
{
    assert(depthwise_fits(g) && channels >= 1 && channels <= LANES);
    const pixel_band band = pixels_forward_band(g, LANES * sizeof(number));
    const ptrdiff_t count = g->kh * g->kw, blocks = (count + PIXELS - 1) / PIXELS;
    real *const d = scratch + band.height * band.pitch * LANES;
    tap_places taps;
    place_taps(g, band.pitch, &taps);
    for (ptrdiff_t i = 0; i < g->oh; i += band.rows) {
        const ptrdiff_t rows = copy_band(g, &band, i, channels, scratch);
        copy_pixels(dy, -i, 0, rows, g->ow, channels, d);
        for (ptrdiff_t q = 0; q < blocks; q++) {
            const ptrdiff_t t = count * q / blocks, end = count * (q + 1) / blocks;
            UNROLL for (int n = 1; n <= PIXELS; n++)
            {
                if (n == end - t)
                    sum_taps(n, g, rows, scratch, band.pitch, taps.offset + t, d, sums + t * LANES);
            }
        }
    }
}
