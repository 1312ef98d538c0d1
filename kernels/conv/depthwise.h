/* Convolution of one plane with one kernel, and its gradients: the forms for groups of a single channel, where a product
 * would have one row. Planes have contiguous rows and any distance between rows; `windows` describes x, one image of one
 * channel with top, left >= 0 and stands on the preconditions of `depthwise_fits`. Scratch: the elements of the
 * band. */
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

/* The remainders of the taps' places, a bit each: no window sees a row or column of the copy with another one. */
static inline unsigned remainders(ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t stride)
{
    unsigned met = 0;
    for (ptrdiff_t a = 0; a < kernel; a++)
        met |= 1u << a * dilation % stride;
    return met;
}

/* `seen` of the phases are copied. */
static inline depthwise_band depthwise_band_of(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t reach, ptrdiff_t stride,
                                               ptrdiff_t span, ptrdiff_t phases, ptrdiff_t seen, ptrdiff_t itemsize)
{
    depthwise_band band = {.pitch = depthwise_up(columns + reach, 16)};
    band.rows = rows;
    if (((rows - 1) * stride + span + 1) * seen * band.pitch * itemsize > DEPTHWISE_BYTES) {
        const ptrdiff_t fit = (DEPTHWISE_BYTES / itemsize / (seen * band.pitch) - span - 1) / stride + 1;
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
    const ptrdiff_t seen = g->sw <= 2 ? g->sw : __builtin_popcount(remainders(g->kw, g->dw, g->sw));
    return depthwise_band_of(g->oh, g->ow, (g->kw - 1) * g->dw / g->sw, g->sh, (g->kh - 1) * g->dh, g->sw, seen,
                             itemsize);
}

static inline depthwise_band depthwise_gradient_band(const windows *g, ptrdiff_t itemsize)
{
    const ptrdiff_t rows = (g->h + g->top - 1) / g->sh - g->top / g->sh + 1;
    const ptrdiff_t columns = (g->w + g->left - 1) / g->sw - g->left / g->sw + 1;
    depthwise_band band =
        depthwise_band_of(rows, columns, (g->kw - 1) * g->dw / g->sw, 1, (g->kh - 1) * g->dh / g->sh, 1, 1, itemsize);
    band.elements += band.rows * g->sw * band.pitch + 64;
    return band;
}

/* The other form has LANES channels in the lanes of a pixel: for small planes, whose rows do not fill vectors. It copies whole
 * pixels, a band of rows in the result at a time; a gradient of the image is done in one. */
enum { PIXEL_BYTES = 192 << 10 };

typedef struct {
    ptrdiff_t pitch, rows, height; /* of the copy, in pixels; rows of the result */
    ptrdiff_t pixels;              /* of the copy and of the result */
} pixel_band;

static inline pixel_band pixels_forward_band(const windows *g, ptrdiff_t pixel_bytes)
{
    const ptrdiff_t span = (g->kh - 1) * g->dh;
    pixel_band band = {.pitch = (g->ow - 1) * g->sw + (g->kw - 1) * g->dw + 1};
    const ptrdiff_t fit = (PIXEL_BYTES / (band.pitch * pixel_bytes) - span - 1) / g->sh + 1;
    band.rows = fit < 1 ? 1 : fit < g->oh ? fit : g->oh;
    band.height = (band.rows - 1) * g->sh + span + 1;
    band.pixels = band.height * band.pitch + band.rows * g->ow;
    return band;
}

static inline pixel_band pixels_gradient_band(const windows *g)
{
    pixel_band band = {.pitch = (g->w + g->left - 1) / g->sw - g->left / g->sw + 1 + (g->kw - 1) * g->dw / g->sw};
    band.rows = (g->h + g->top - 1) / g->sh - g->top / g->sh + 1;
    band.height = band.rows + (g->kh - 1) * g->dh / g->sh;
    band.pixels = band.height * band.pitch + g->h * g->w;
    return band;
}

static inline int depthwise_fits(const windows *g)
{
    return g->kh * g->kw <= DEPTHWISE_TAPS && (g->kh - 1) * g->dh <= DEPTHWISE_SPAN / 4 &&
           (g->kw - 1) * g->dw <= DEPTHWISE_SPAN && g->sh <= 8 && g->sw <= 8 && g->ow <= 1 << 16 && g->w <= 1 << 16;
}

/* Rows r = sh*Q + (r + top) % sh - top of dx meet dy at rows Q - a*dh / sh of the taps whose a*dh has that remainder,
 * columns likewise: each phase of rows and columns is a correlation of stride 1. The last tap comes first. */
typedef struct {
    ptrdiff_t phase, distance;
} meeting;

static inline void meet(ptrdiff_t kernel, ptrdiff_t dilation, ptrdiff_t stride, meeting *met)
{
    for (ptrdiff_t a = 0; a < kernel; a++)
        met[a] = (meeting){a * dilation % stride, (kernel - 1) * dilation / stride - a * dilation / stride};
}

typedef struct {
    /* y[i, j] = bias + sum over (a, b) of w[a, b] x[i*sh + a*dh - top, j*sw + b*dw - left]; bias may be NULL */
    void (*forward)(const windows *x, const real *w, const real *bias, char *y, ptrdiff_t y_row, real *scratch);
    /* dx[i*sh + a*dh - top, j*sw + b*dw - left] = the sum of w[a, b] dy[i, j], or is increased by it; `x` describes dx */
    void (*image_gradient)(const windows *x, const char *dy, ptrdiff_t dy_row, const real *w, int add, char *dx,
                           ptrdiff_t dx_row, real *scratch);
    /* lanes[(a, b), .] += the products dy[i, j] x[i*sh + a*dh - top, j*sw + b*dw - left] of the columns j that fall to a
     * lane; (kh * kw, LANES). Their sum is the gradient of w[a, b]. */
    void (*weight_lanes)(const windows *x, const char *dy, ptrdiff_t dy_row, double *lanes, real *scratch);
    /* dw[t] = sum of lanes[t, .] */
    void (*sum_lanes)(ptrdiff_t taps, const double *lanes, real *dw);
    /* The same of 1 <= `channels` <= LANES planes, whose kernels are packed as w[t * LANES + l], 0 in the lanes of no channel.
     * Planes of y and dx follow each other, dy is seen through windows of one pixel; sums[t * LANES + l] are increased by dw. */
    void (*pixels_forward)(const windows *x, ptrdiff_t channels, const real *w, const real *bias, char *y,
                           real *scratch);
    void (*pixels_image_gradient)(const windows *x, const windows *dy, ptrdiff_t channels, const real *w, char *dx,
                                  real *scratch);
    void (*pixels_weights)(const windows *x, const windows *dy, ptrdiff_t channels, double *sums, real *scratch);
} depthwise_primitives;

#ifdef REAL_BITS
void NAME(pixels_forward)(const windows *x, ptrdiff_t channels, const real *w, const real *bias, char *y,
                          real *scratch);
void NAME(pixels_image_gradient)(const windows *x, const windows *dy, ptrdiff_t channels, const real *w, char *dx,
                                 real *scratch);
void NAME(pixels_weights)(const windows *x, const windows *dy, ptrdiff_t channels, double *sums, real *scratch);
#endif

#endif
