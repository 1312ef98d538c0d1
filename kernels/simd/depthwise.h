/* Convolution of one plane with one kernel, and its gradients: the forms for groups of a single channel, where a product
 * would have one row. Planes have contiguous rows and any distance between rows; `windows` describes x, one image of one
 * channel with top, left >= 0, and stands on the preconditions of `depthwise_fits`. */
#ifndef NPK_DEPTHWISE_H
#define NPK_DEPTHWISE_H

#include "conv.h"

enum { DEPTHWISE_TAPS = 128, DEPTHWISE_SPAN = 256, DEPTHWISE_BYTES = 24 << 10 };

/* A band of rows of a plane is copied with its padding into scratch, the columns dealt into the phases of the stride. */
typedef struct {
    ptrdiff_t pitch;        /* of a row of one phase, in elements */
    ptrdiff_t rows, height; /* of the result in a band; of the copy */
    ptrdiff_t elements;     /* of scratch */
} depthwise_band;

static inline ptrdiff_t depthwise_up(ptrdiff_t x, ptrdiff_t to) { return (x + to - 1) / to * to; }

static inline depthwise_band depthwise_band_of(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t reach, ptrdiff_t stride,
                                               ptrdiff_t span, ptrdiff_t phases, ptrdiff_t itemsize)
{
    depthwise_band band = {.pitch = depthwise_up(columns + reach, 16)};
    band.rows = rows;
    if (((rows - 1) * stride + span + 1) * phases * band.pitch * itemsize > DEPTHWISE_BYTES) {
        const ptrdiff_t fit = (DEPTHWISE_BYTES / itemsize / (phases * band.pitch) - span - 1) / stride + 1;
        band.rows = fit < 4 ? 4 : fit;
        band.rows = band.rows < rows ? band.rows : rows;
    }
    band.height = (band.rows - 1) * stride + span + 1;
    band.elements = band.height * phases * band.pitch + 64;
    return band;
}

/* The copy of x for `forward` and `weight_lanes`, and that of dy for `image_gradient`, whose results are rows of dx too. */
static inline depthwise_band depthwise_forward_band(const windows *g, ptrdiff_t itemsize)
{
    return depthwise_band_of(g->oh, g->ow, (g->kw - 1) * g->dw / g->sw, g->sh, (g->kh - 1) * g->dh, g->sw, itemsize);
}

static inline depthwise_band depthwise_gradient_band(const windows *g, ptrdiff_t itemsize)
{
    const ptrdiff_t rows = (g->h + g->top - 1) / g->sh - g->top / g->sh + 1;
    const ptrdiff_t columns = (g->w + g->left - 1) / g->sw - g->left / g->sw + 1;
    depthwise_band band = depthwise_band_of(rows, columns, (g->kw - 1) * g->dw / g->sw, 1, (g->kh - 1) * g->dh / g->sh, 1,
                                            itemsize);
    band.elements += band.rows * g->sw * band.pitch + 64;
    return band;
}

static inline int depthwise_fits(const windows *g)
{
    return g->kh * g->kw <= DEPTHWISE_TAPS && (g->kh - 1) * g->dh <= DEPTHWISE_SPAN / 4 &&
           (g->kw - 1) * g->dw <= DEPTHWISE_SPAN && g->sh <= 8 && g->sw <= 8 && g->ow <= 1 << 16 && g->w <= 1 << 16;
}

typedef struct {
    /* y[i, j] = bias + sum over (a, b) of w[a, b] x[i*sh + a*dh - top, j*sw + b*dw - left]; bias may be NULL */
    void (*forward)(const windows *x, const real *w, const real *bias, char *y, ptrdiff_t y_row, real *scratch);
    /* dx[i*sh + a*dh - top, j*sw + b*dw - left] = the sum of w[a, b] dy[i, j], or is increased by it; `x` describes dx */
    void (*image_gradient)(const windows *x, const char *dy, ptrdiff_t dy_row, const real *w, int add, char *dx,
                           ptrdiff_t dx_row, real *scratch);
    /* lanes[(a, b), .] += the products dy[i, j] x[i*sh + a*dh - top, j*sw + b*dw - left] of the columns j that fall to a
     * lane; (kh * kw, LANES). Their sum is the gradient of w[a, b]. */
    void (*weight_lanes)(const windows *x, const char *dy, ptrdiff_t dy_row, real *lanes, real *scratch);
    /* dw[t] = sum of lanes[t, .] */
    void (*sum_lanes)(ptrdiff_t taps, const real *lanes, real *dw);
} depthwise_primitives;

#endif
