/* The nearest rows of y for each row of x.
 *
 * |x - y|^2 = |x - m|^2 - 2 ((x - m).(y - m) - |y - m|^2 / 2) for any m: the nearest rows have the largest scores
 * (x - m).(y - m) - |y - m|^2 / 2, or x.y where inner products are wanted. m is made of values of y: differences of
 * integers stay integers, so that exact ties remain ties. With both factors divided by the spread of y, a power of 2, no
 * score of ordinary data overflows or underflows.
 *
 * Scores are tiles (panel.h) whose lanes are samples, rows of x. A queue holds the best of a vector of samples: `length`
 * of each, sorted, and room for as many new ones. A score goes there if it is above the worst of the sorted ones, which
 * takes a comparison of its whole tile to rule out for most; when there is no more room in a lane, all lanes are sorted
 * together, by a network. Then the values of so many pairs are computed anew, without cancellation, and sorted. Of equal
 * scores, and of equal values, the lower index comes first, in whatever order and parts rows of y are searched. */
#ifndef NPK_NEIGHBOURS_H
#define NPK_NEIGHBOURS_H

#include <stdint.h>

/* What is wanted of a pair: |x - y|^2, |x - y|, |x - y|^2 / 2 of rows of length 1 or 0 (at most 2; 1 with a row of length 0),
 * or x.y, of which the largest are the nearest. */
enum { SQUARED_DISTANCE, ROOT_DISTANCE, COSINE_DISTANCE, INNER_PRODUCT };

typedef struct {
    const char *data;
    ptrdiff_t row, column; /* strides in bytes */
} matrix;

typedef struct {
    /* middle[p] = of the values of feature p in rows (count, d), contiguous, the one nearest to their mean. */
    void (*middle)(ptrdiff_t count, ptrdiff_t d, const real *rows, real *middle);
    /* The largest |x - middle| of a single feature in rows of contiguous features; inf where a finite one overflows, NaN
     * where a value is not finite. */
    double (*deviation)(ptrdiff_t count, ptrdiff_t d, const char *x, ptrdiff_t row_stride, const real *middle);
    /* Tiles of (y - middle) scale, y of contiguous features: of the tile's rows each, feature by feature, one after the other;
     * 0 in rows beyond count. start[i] = -|(y_i - middle) scale|^2 / 2 if `norms`, else 0; -inf beyond count. */
    void (*pack)(ptrdiff_t count, ptrdiff_t d, const char *y, ptrdiff_t row_stride, const real *middle,
                 const real *scale, int norms, real *packed, real *start);
    /* panel[p * width + i] = (x[i, p] - middle[p]) scale for i < count <= width, the fewest whole vectors, else any number */
    void (*panel)(ptrdiff_t count, ptrdiff_t d, const matrix *x, const real *middle, const real *scale, real *panel);
    ptrdiff_t (*queue_reals)(ptrdiff_t length); /* of a queue; length: a power of 2 */
    void (*begin)(ptrdiff_t length, real *queue);
    /* Rows first, first + 1, ... of y in `tiles` tiles against `vectors` vectors of samples, each with its queue, one after
     * the other. */
    void (*search)(ptrdiff_t tiles, ptrdiff_t d, ptrdiff_t first, const real *packed, const real *start,
                   ptrdiff_t vectors, const real *panel, ptrdiff_t length, real *queues);
    void (*merge)(ptrdiff_t length, real *queue, real *other); /* other joins queue; what it holds then is left open */
    /* The nearest k of `count` samples, x at the first one, count <= lanes: values[i * k + j] and indices[i * k + j]; -1
     * where there are fewer. rows: 2 d numbers of scratch. */
    void (*finish)(ptrdiff_t count, ptrdiff_t d, ptrdiff_t k, int kind, const matrix *x, const matrix *y, real *rows,
                   ptrdiff_t length, real *queue, real *values, int32_t *indices);
} neighbour_primitives;

#endif
