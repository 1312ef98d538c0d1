/* Images sampled at given places. What a position needs, pixels and weights, is worked out for a vector of positions and used
 * for all channels. Where few channels lie next to each other positions lie in the lanes, else channels. */
#ifndef NPK_GRID_H
#define NPK_GRID_H

enum { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };

typedef struct {
    ptrdiff_t h, w;        /* of the images, at least 1; h * w < 2^31 */
    ptrdiff_t top, bottom; /* the rows that count: those of the images, in `image` a band of them */
    int nearest, padding, align_corners;
    ptrdiff_t position, coordinate; /* of the grid: bytes to the next position, from x to y */
    ptrdiff_t channels;
    ptrdiff_t line, pixel, channel; /* of x: pixels to the next row, bytes to the next pixel and channel */
    /* How many channels are a pixel of x, which has no gap to the next one, nor has a pixel of y: 1 to 4, or 0 for channels in
     * the lanes. All of them where it is not 1; w is at least 2 where it is not 0. */
    int together;
    ptrdiff_t y_position, y_channel; /* numbers to the next position and channel, one of which is 1 */
    ptrdiff_t dy_position, dy_channel;
    ptrdiff_t sum_pixel, sum_channel; /* numbers; channels lie in the lanes if they are a whole vector, side by side */
} sampling;

typedef struct {
    /* y[p y_position + k y_channel] = the sample of channel k at position p of the grid, for p < count */
    void (*forward)(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y);
    /* to[2 j + k] = x[2 j + k] slope[k] + start[k] for j < count */
    void (*affine)(ptrdiff_t count, const real *x, const double *slope, const double *start, real *to);
} grid_primitives;

typedef struct {
    /* dgrid[p, 0 .. 1] = the gradient of the coordinates, summed over the channels; not of the nearest pixels, where it is 0.
     * Sum l of LANES is that of the channels l, l + LANES, ...; the halves of the sums are added until one is left. */
    void (*places)(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy, real *dgrid);
    /* sums[((row - top) w + column) sum_pixel + k sum_channel] += what position p took of that pixel, times dy[k, p], which is
     * rounded; positions in their order. Pixels of x are numbered as if its rows followed each other: line = w. */
    void (*image)(const sampling *s, ptrdiff_t count, const char *grid, const char *dy, double *sums);
    /* dx[k plane + p] = sums[p LANES + k] for p < pixels, k < LANES */
    void (*turn)(ptrdiff_t pixels, const double *sums, real *dx, ptrdiff_t plane);
} grid_gradient_primitives;

#endif
