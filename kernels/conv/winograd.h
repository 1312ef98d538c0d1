/* Convolution at stride 1 by fewer multiplications: F(m x m, r x r) for kernels of r x r, r = 3 or 5, with m = 7 - r.
 *
 * A tile of 6x6 pixels d and a kernel g give m x m pixels of the result,
 *   Y = A' [ sum over channels of (G g G') * (B' d B) ] A,    * elementwise,
 * with 36 multiplications instead of 144 or 100; tiles are m pixels apart.
 *
 *   pixels    0 1 2 3 4 5 6 7 8 9      r = 3, m = 4: neighbouring tiles share r - 1 pixels
 *   tile 0   [. . . . . .]
 *   tile 1           [. . . . . .]
 *   results   0 1 2 3|4 5 6 7
 *
 *   d -> B' d B -> V_f (channels x tiles)      for each of the 36 places f one product
 *   g -> G g G' -> U_f (outputs x channels)    M_f = U_f V_f (outputs x tiles) -> A' M A -> Y
 *
 * The gradient of the kernel is F(r x r, m x m):
 *   dg = A' [ sum over tiles of (G dy G') * (B' d B) ] A.
 * The matrices evaluate polynomials at 0, a, -a, b, -b and infinity. The choice a = sqrt(1/2), b = sqrt 2 keeps their entries
 * near 1, which is what the rounding error grows with.
 * Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Barabasz et al., "Error Analysis and
 * Improving the Accuracy of Winograd Convolution for Deep Neural Networks", ACM TOMS 46(4), 2020.
 *
 * The form subtracts neighbouring pixels: an error is of the size of the largest pixels of a tile, also in windows that do
 * not see them. The direct form stands in for it unless images are even: the sum of squares of what a window sees, over all
 * channels, is at least 1/128 of that of its tile, so that an outlier is either seen or not much larger than all else that is
 * seen together. So must kernels be: no weight is larger than the sum of all others of its output.
 *
 * Lanes are channels. A place f = 6 i + j of a transformed tile or kernel is a plane of its own, `plane` elements apart. */
#ifndef NPK_WINOGRAD_H
#define NPK_WINOGRAD_H

#include "conv.h"

enum { WINOGRAD_PLANES = 36, WINOGRAD_TILES = 16, WINOGRAD_PIXELS = 6 * (4 * WINOGRAD_TILES + 2), WINOGRAD_PARTS = 9 };

typedef struct {
    /* u[f * plane + c * width + o] = G g G' for the kernels packed as panel: taps[(c * r^2 + t) * width + o], o < width, whole
     * vectors; turned: the taps t of each from the last to the first. extents[o], extents[width + o]: the largest absolute
     * value of the weights of o, and the sum of all. */
    void (*kernels)(ptrdiff_t channels, ptrdiff_t width, const real *taps, int turned, real *u, ptrdiff_t plane,
                    real *extents);
    /* Whether the kernels of `outputs` <= width outputs are even, finite and of a size with which no transform overflows or
     * underflows, by the extents of `parts` ranges of channels, 2 width apart. */
    int (*even_kernels)(ptrdiff_t parts, ptrdiff_t width, const real *extents, ptrdiff_t outputs);
    /* v[f * plane + t * tile + l] = B' d B of 1 <= `tiles` <= WINOGRAD_TILES neighbouring tiles t, the first of which begins at
     * pixel (row, column) of image g->x, for LANES channels l, of which `channels` exist; the others are 0. Pixels outside
     * the image are 0. pixels: WINOGRAD_PIXELS vectors. The energies, sums of squares, of the parts p of the tiles t are added
     * to energies[(t * WINOGRAD_PARTS + p) * LANES + l]. */
    void (*input)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles, real *pixels,
                  real *v, ptrdiff_t plane, ptrdiff_t tile, real *energies);
    /* Whether tiles are even, finite and of a size as above, by their energies over all channels; (row, column): the first
     * result of the first tile. */
    int (*even)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t tiles, const real *energies);
    /* pixels[(i * m * tiles + m * t + j) * LANES + l] = (A' m A)[i, j] + bias[l], m at m[f * plane + t * tile + l]; bias may
     * be NULL, `channels` of it exist */
    void (*output)(ptrdiff_t tiles, const real *m, ptrdiff_t plane, ptrdiff_t tile, const real *bias,
                   ptrdiff_t channels, real *pixels);
    /* y[l, i, j] = pixels[(i * width + j) * LANES + l] for l < channels, i < rows, j < columns; strides of y in bytes */
    void (*store)(ptrdiff_t channels, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t width, const real *pixels, char *y,
                  ptrdiff_t y_channel, ptrdiff_t y_row, ptrdiff_t y_column);
    /* As `input`, for tiles of m x m pixels of dy, which are one part: v = G dy G' */
    void (*gradient)(const windows *g, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channels, ptrdiff_t tiles,
                     real *pixels, real *v, ptrdiff_t plane, ptrdiff_t tile, real *energies);
    /* Of the roots of the energies of tiles, one channel a lane: the largest, if above *largest; their sum, added to *sum. */
    void (*pixel_extent)(ptrdiff_t tiles, const real *energies, double *largest, double *sum);
    void (*gradient_extent)(ptrdiff_t tiles, const real *energies, double *largest, double *sum);
    /* taps[(c * r^2 + t) * LANES + o] = (A' m A)[t], m at m[f * plane + c * width + o], for LANES outputs o */
    void (*weights)(ptrdiff_t channels, const real *m, ptrdiff_t plane, ptrdiff_t width, real *taps);
} winograd_primitives;

#endif
