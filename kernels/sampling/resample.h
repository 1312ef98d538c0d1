/* Images of another size: every result is a weighted sum of pixels, over rows with one list of taps, over columns with
 * another. Interpolation, padding by the image itself, and the gradients of both, which are sums of the transposed lists.
 *
 * y[i, j] = sum over the taps b of column j of v[b] (sum over the taps a of row i of u[a] x[row a, column b])
 * in the order of the lists, the rows first: one order, whichever layout x has. A row or column without taps is `fill`. */
#ifndef NPK_RESAMPLE_H
#define NPK_RESAMPLE_H

#include <stdint.h>

/* The taps of result i are start[i] <= t < start[i + 1]. */
typedef struct {
    const ptrdiff_t *start, *pixel;
    const real *weight;
} pixel_list;

/* The taps of a vector of neighbouring columns: tap t of lane l is entry (first + t) * lanes + l of `offsets` and `weights`,
 * bytes behind pixel `base`; the lanes that have so many taps are the bits of entry first + t of `masks`. */
typedef struct {
    ptrdiff_t first, taps, base;
    int near;         /* vpick may read all that it reads from `base` on */
    ptrdiff_t copies; /* vectors from here on that are the pixels from `base` on as they are */
} column_group;

typedef struct {
    ptrdiff_t width, columns; /* pixels of a row of x; columns of y */
    pixel_list rows, across;
    const column_group *groups; /* `across` once more, for vectors */
    const int32_t *offsets;
    const real *weights;
    const int32_t *masks;
    double fill;
} resampling;

typedef struct {
    ptrdiff_t pieces; /* what vpick reads, 0: there is none */
    /* Rows first .. last of a plane of y, of a plane whose columns are contiguous. `line`: width + pieces numbers. */
    void (*plane)(const resampling *r, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last, real *line,
                  real *y);
    /* The same of `channels` that lie next to each other, those of the pixels of y `pitch` numbers apart.
     * `line`: width * channels numbers. */
    void (*image)(const resampling *r, const char *x, ptrdiff_t row_stride, ptrdiff_t pixel_stride, ptrdiff_t channels,
                  ptrdiff_t first, ptrdiff_t last, real *line, real *y, ptrdiff_t pitch);
} resample_primitives;

#endif
