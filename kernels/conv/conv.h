/* Patches: the windows of a batch of images as the rows or the columns of a matrix that is never stored.
 *
 *   patch[(c, a, b), (n, i, j)] = x[n, c, i*sh + a*dh - top, j*sw + b*dw - left], 0 outside the image
 *
 * top and left may be negative: then the windows start inside the image, which has a pixel at least. */
#ifndef NPK_CONV_H
#define NPK_CONV_H

typedef struct {
    const char *x;
    ptrdiff_t image_stride, channel_stride, row_stride, column_stride; /* bytes */
    ptrdiff_t h, w, kh, kw, sh, sw, dh, dw, top, left, oh, ow;
} windows;

/* Patches that are stored: of element (n, c, (a, b), (i, j)) the strides of n, c, (a, b) and (i, j) in bytes. */
typedef struct {
    const char *x;
    ptrdiff_t image, channel, tap, column;
} patch_columns;

#ifdef REAL_BITS
void NAME(patch_sums)(const windows *windows, ptrdiff_t images, ptrdiff_t channels, const patch_columns *cols,
                      const real *bias, char *to, ptrdiff_t to_image, ptrdiff_t to_channel);
#endif

typedef struct {
    ptrdiff_t short_rows; /* rows of windows shorter than this are brought together at one price, however short */
    /* Columns j0 <= j < j0 + columns of rows p0 <= p < p0 + k_count, packed as panels (tile.h), 0 up to whole vectors. */
    void (*patch_block)(const windows *windows, ptrdiff_t p0, ptrdiff_t k_count, ptrdiff_t j0, ptrdiff_t columns,
                        real *panels);
    /* to[(p - p0) * stride + j - j0] = patch[p, j] for p0 <= p < p0 + rows, j0 <= j < j0 + columns */
    void (*patch_rows)(const windows *windows, ptrdiff_t p0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns, real *to,
                       ptrdiff_t stride);
    /* The adjoint: to[n, c, .] = bias[c] (0 if NULL) + the sum of cols[n, c, (a, b), (i, j)] over all windows that see the
     * pixel, in ascending (a, b). Planes of `to` are contiguous and fully overwritten; top, left >= 0. */
    void (*patch_sums)(const windows *windows, ptrdiff_t images, ptrdiff_t channels, const patch_columns *cols,
                       const real *bias, char *to, ptrdiff_t to_image, ptrdiff_t to_channel);
} conv_primitives;

#endif
