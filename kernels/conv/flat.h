/* An image laid out flat, so that every tap of a window lies at a constant distance from the window's own place.
 *
 * The rows of the padded image are dealt into the phases of the stride, its columns too: phase (r, s) holds the pixels
 *   flat[q * pitch + e] = x[q*sh + r - top, e*sw + s - left], 0 outside the image.
 * Window (i, j) has the place f = i * pitch + j; its tap (a, b) is the element f + (a*dh / sh) * pitch + b*dw / sw of
 * phase (a*dh % sh, b*dw % sw). So the taps of neighbouring windows are neighbours, also across rows, and a matrix
 * whose rows are such runs needs no gathering. The padding of a row's end is that of the next row's beginning.
 * Places with j >= ow belong to no window. */
#ifndef NPK_FLAT_H
#define NPK_FLAT_H

#include "conv.h"

typedef struct {
    ptrdiff_t pitch;
    ptrdiff_t length;           /* from the first window to the last */
    ptrdiff_t extra;            /* largest distance of a tap */
    ptrdiff_t steps_h, steps_w; /* after so many taps the phases repeat */
    ptrdiff_t phases_h,
        phases_w; /* that some tap meets; tap a meets phase a % steps_h, whose r is (a % steps_h) dh % sh */
} flat_layout;

static inline ptrdiff_t flat_gcd(ptrdiff_t a, ptrdiff_t b) { return b ? flat_gcd(b, a % b) : a; }
static inline ptrdiff_t flat_ceil(ptrdiff_t a, ptrdiff_t b) { return a <= 0 ? 0 : (a + b - 1) / b; }

static inline flat_layout flat_layout_of(const windows *g)
{
    flat_layout f = {.steps_h = g->sh / flat_gcd(g->sh, g->dh), .steps_w = g->sw / flat_gcd(g->sw, g->dw)};
    f.phases_h = g->kh < f.steps_h ? g->kh : f.steps_h;
    f.phases_w = g->kw < f.steps_w ? g->kw : f.steps_w;
    /* The columns that windows meet are 0 <= e < met; of those the image fills lead <= e < end. */
    const ptrdiff_t met = g->ow + (g->kw - 1) * g->dw / g->sw;
    ptrdiff_t lead = met, end = 0;
    for (ptrdiff_t p = 0; p < f.phases_w; p++) {
        const ptrdiff_t shift = g->left - p * g->dw % g->sw, first = flat_ceil(shift, g->sw);
        const ptrdiff_t last = flat_ceil(g->w + shift, g->sw);
        lead = first < lead ? first : lead;
        end = last > end ? last : end;
    }
    /* Beyond the pitch a window meets the beginning of the next row, which must be padding. */
    f.pitch = end < met ? end : met;
    f.pitch = f.pitch < met - lead ? met - lead : f.pitch;
    f.pitch = f.pitch < g->ow ? g->ow : f.pitch;
    f.length = (g->oh - 1) * f.pitch + g->ow;
    f.extra = (g->kh - 1) * g->dh / g->sh * f.pitch + (g->kw - 1) * g->dw / g->sw;
    return f;
}

typedef struct {
    /* to[f - start] = flat[f] for start <= f < start + count of a phase (r, s) of a channel of the first image; what lies
     * behind them may be overwritten as far as there is room, room >= count. pitch >= that of the layout. */
    void (*fill)(const windows *windows, ptrdiff_t pitch, ptrdiff_t channel, ptrdiff_t row_phase,
                 ptrdiff_t column_phase, ptrdiff_t start, ptrdiff_t count, ptrdiff_t room, real *to);
    /* y[r, i, j] = c[r * c_stride + f - start] for r < rows and the windows (i, j) with start <= f < start + count;
     * strides of y in bytes, of c in elements */
    void (*store)(ptrdiff_t rows, ptrdiff_t start, ptrdiff_t count, ptrdiff_t pitch, ptrdiff_t ow, const real *c,
                  ptrdiff_t c_stride, char *y, ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column);
} flat_primitives;

#endif
