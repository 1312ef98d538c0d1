/* Convolution with 3x3 kernels at stride 1 by fewer multiplications: F(4x4, 3x3).
 *
 * A tile of 6x6 pixels d and a kernel g give 4x4 pixels of the result,
 *   Y = A' [ sum over channels of (G g G') * (B' d B) ] A,    * elementwise,
 * with 36 multiplications instead of 144. The matrices evaluate polynomials at 0, a, -a, b, -b and infinity. The choice
 * a = sqrt(1/2), b = sqrt 2 keeps their entries near 1, which is what the rounding error grows with.
 * Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Barabasz et al., "Error Analysis and
 * Improving the Accuracy of Winograd Convolution for Deep Neural Networks", ACM TOMS 46(4), 2020.
 *
 * Lanes are channels. A place f = 6 i + j of a transformed tile or kernel is a plane of its own, `plane` elements apart. */
#ifndef NPK_WINOGRAD_H
#define NPK_WINOGRAD_H

#include "conv.h"

enum { WINOGRAD_IN = 6, WINOGRAD_OUT = 4, WINOGRAD_PLANES = 36, WINOGRAD_TILES = 16 };

typedef struct {
    /* u[f * plane + c * width + o] = G g G' for the kernels packed as panel: taps[(c * 9 + t) * width + o], o < width, whole
     * vectors. Returns whether every weight was finite and small enough for the transform not to overflow. */
    int (*kernels)(ptrdiff_t channels, ptrdiff_t width, const real *taps, real *u, ptrdiff_t plane);
    /* v[f * plane + t * tile + l] = B' d B of `tiles` <= WINOGRAD_TILES neighbouring tiles t, the first of which begins at
     * pixel (row, column) of image g->x, for LANES channels l, of which `channels` exist; the others are 0. Pixels outside
     * the image are 0. Returns whether every pixel was finite and small enough. pixels: WINOGRAD_IN * (4 tiles + 2) vectors. */
    int (*input)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles, real *pixels, real *v,
                 ptrdiff_t plane, ptrdiff_t tile);
    /* pixels[(i * 4 * tiles + 4 * t + j) * LANES + l] = (A' m A)[i, j] + bias[l], m at m[f * plane + t * tile + l]; bias may
     * be NULL, `channels` of it exist */
    void (*output)(ptrdiff_t tiles, const real *m, ptrdiff_t plane, ptrdiff_t tile, const real *bias, ptrdiff_t channels,
                   real *pixels);
    /* y[l, i, j] = pixels[(i * width + j) * LANES + l] for l < channels, i < rows, j < columns; strides of y in bytes */
    void (*store)(ptrdiff_t channels, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t width, const real *pixels, char *y,
                  ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column);
    /* The gradient of the kernels, F(3x3, 4x4) at the same points: that of a tile is A' [(G dy G') * (B' d B)] A.
     * As `input`, for tiles of 4 x 4 pixels of dy: v = G dy G'. pixels: WINOGRAD_OUT * 4 tiles vectors. */
    int (*gradient)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles, real *pixels,
                    real *v, ptrdiff_t plane, ptrdiff_t tile);
    /* taps[(c * 9 + t) * LANES + o] = (A' m A)[t], m at m[f * plane + c * width + o], for LANES outputs o */
    void (*weights)(ptrdiff_t channels, const real *m, ptrdiff_t plane, ptrdiff_t width, real *taps);
} winograd_primitives;

#endif
