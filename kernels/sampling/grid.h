/* Images sampled at given places. Channels lie in the lanes: a position is four pixels and their weights, which are worked
 * out for a vector of positions and used for all channels. */
#ifndef NPK_GRID_H
#define NPK_GRID_H

enum { GRID_ZEROS, GRID_BORDER, GRID_REFLECTION };

typedef struct {
    ptrdiff_t h, w; /* of the images, at least 1; h * w < 2^31 */
    int nearest, padding, align_corners;
    ptrdiff_t position, coordinate; /* of the grid: bytes to the next position, from x to y */
    ptrdiff_t line, pixel,
        channels; /* of x: pixels to the next row, bytes to the next pixel; channels lie side by side */
    ptrdiff_t y_position, y_channel;   /* numbers to the next position and channel, one of which is 1 */
    ptrdiff_t dx_pixel;                /* numbers to the next pixel; channels lie side by side */
    ptrdiff_t dy_position, dy_channel; /* bytes */
} sampling;

typedef struct {
    /* y[p y_position + k y_channel] = the sample of channel k at position p of the grid, for p < count */
    void (*forward)(const sampling *s, ptrdiff_t count, const char *grid, const char *x, real *y);
    /* dx[(row w + column) dx_pixel + k] += what position p took of channel k there, times dy[k, p]; positions in their order.
     * dgrid[p, 0 .. 1] = the gradient of the coordinates, summed over the channels. Either may be NULL: not wanted. */
    void (*backward)(const sampling *s, ptrdiff_t count, const char *grid, const char *x, const char *dy, real *dx,
                     real *dgrid);
    /* to[2 j + k] = x[2 j + k] slope[k] + start[k] for j < count */
    void (*affine)(ptrdiff_t count, const real *x, const double *slope, const double *start, real *to);
} grid_primitives;

#endif
