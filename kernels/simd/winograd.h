/* Convolution at stride 1 by fewer multiplications: F(m x m, r x r) for kernels of r x r, r = 3 or 5, with m = 7 - r.
 *
 * A tile of 6x6 pixels d and a kernel g give m x m pixels of the result,
 *   Y = A' [ sum over channels of (G g G') * (B' d B) ] A,    * elementwise,
 * with 36 multiplications instead of 144 or 100; tiles are m pixels apart. The gradient of the kernel is F(r x r, m x m):
 *   dg = A' [ sum over tiles of (G dy G') * (B' d B) ] A.
 * The matrices evaluate polynomials at 0, a, -a, b, -b and infinity. The choice a = sqrt(1/2), b = sqrt 2 keeps their entries
 * near 1, which is what the rounding error grows with.
 * Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Barabasz et al., "Error Analysis and
 * Improving the Accuracy of Winograd Convolution for Deep Neural Networks", ACM TOMS 46(4), 2020.
 *
 * Lanes are channels. A place f = 6 i + j of a transformed tile or kernel is a plane of its own, `plane` elements apart. */
#ifndef NPK_WINOGRAD_H
#define NPK_WINOGRAD_H

#include "conv.h"

enum { WINOGRAD_PLANES = 36, WINOGRAD_TILES = 16, WINOGRAD_PIXELS = 6 * (4 * WINOGRAD_TILES + 2) };

typedef struct {
    /* u[f * plane + c * width + o] = G g G' for the kernels packed as panel: taps[(c * r^2 + t) * width + o], o < width, whole
     * vectors; turned: the taps t of each from the last to the first. Returns whether every weight was finite and small
     * enough for the transform not to overflow. */
    int (*kernels)(ptrdiff_t channels, ptrdiff_t width, const real *taps, int turned, real *u, ptrdiff_t plane);
    /* v[f * plane + t * tile + l] = B' d B of 1 <= `tiles` <= WINOGRAD_TILES neighbouring tiles t, the first of which begins at
     * pixel (row, column) of image g->x, for LANES channels l, of which `channels` exist; the others are 0. Pixels outside
     * the image are 0. Returns whether every pixel was finite and small enough. pixels: WINOGRAD_PIXELS vectors. */
    int (*input)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles, real *pixels, real *v,
                 ptrdiff_t plane, ptrdiff_t tile);
    /* pixels[(i * m * tiles + m * t + j) * LANES + l] = (A' m A)[i, j] + bias[l], m at m[f * plane + t * tile + l]; bias may
     * be NULL, `channels` of it exist */
    void (*output)(ptrdiff_t tiles, const real *m, ptrdiff_t plane, ptrdiff_t tile, const real *bias, ptrdiff_t channels,
                   real *pixels);
    /* y[l, i, j] = pixels[(i * width + j) * LANES + l] for l < channels, i < rows, j < columns; strides of y in bytes */
    void (*store)(ptrdiff_t channels, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t width, const real *pixels, char *y,
                  ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column);
    /* As `input`, for tiles of m x m pixels of dy: v = G dy G' */
    int (*gradient)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles, real *pixels,
                    real *v, ptrdiff_t plane, ptrdiff_t tile);
    /* taps[(c * r^2 + t) * LANES + o] = (A' m A)[t], m at m[f * plane + c * width + o], for LANES outputs o */
    void (*weights)(ptrdiff_t channels, const real *m, ptrdiff_t plane, ptrdiff_t width, real *taps);
} winograd_primitives;

#endif
