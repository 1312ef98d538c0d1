/* Pooling of planes (h, w), row by row: first down the columns of the rows that a window meets, into a line that stays
 * in L1, then along the line.
 *
 * Output (i, j) sees the elements (i sh + a dh - top, j sw + b dw - left), a < kh, b < kw, that lie in the plane; there
 * must be one at least. bottom and right only count for the divisor of the average. Rows of a plane have contiguous
 * columns and lie row_stride bytes apart. */
#ifndef NPK_POOL_H
#define NPK_POOL_H

#include "axis.h"

#include <stdint.h>

typedef struct {
    ptrdiff_t h, w, kh, kw, sh, sw, dh, dw, top, left, bottom, right, oh, ow;
    /* From `lay_out`. A padded line holds the columns -left .. span - left, of which `seen` from 0 on are in the plane; a
     * batch of lines lies `pitch` apart, from `skew` on so that column 0 is aligned. Where no window reaches into the
     * next line, pitch = ow sw and the batch is one long line. `line` elements hold a batch. */
    ptrdiff_t span, seen, pitch, batch, skew, line;
} pooling;

typedef struct {
    /* Fills in span .. line. Returns the elements of scratch that the functions below need, -1 if they overflow. */
    ptrdiff_t (*lay_out)(pooling *g);
    /* to[p, r, left + c] = x[p, r, c] for p < planes, r < rows, -left <= c < columns + right; `outside` where c is not
     * in [0, columns). Strides of x in bytes; to: rows of `pitch`, planes of rows * pitch elements. There is one plane, or
     * up to LANES whose elements lie next to each other. Up to `dealt` planes whose pixels are all that there is are dealt
     * out by permutations, the fastest way. */
    int dealt;
    void (*gather)(ptrdiff_t planes, ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t plane_stride,
                   ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t left, ptrdiff_t right, double outside,
                   ptrdiff_t pitch, real *to);
    /* Rows first .. last of the output of one plane, written to y on. A NaN wins over every number. */
    void (*max_rows)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                     real *scratch, real *y);
    /* The sum of a window divided by its elements in the plane, or in the padded plane if include_pad. */
    void (*mean_rows)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                      int include_pad, real *scratch, real *y);
    /* Row i of the output of planes whose elements lie next to each other; y holds whole planes, row i of the first from y
     * on. scratch: ow + span * planes + 2 LANES elements. */
    void (*max_planes)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t planes,
                       ptrdiff_t i, real *scratch, real *y);
    void (*mean_planes)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                        ptrdiff_t planes, ptrdiff_t i, int include_pad, real *scratch, real *y);
} pool_primitives;

/* Integer types of indices: log2 of the bytes, and UNSIGNED_INDEX. */
enum { UNSIGNED_INDEX = 4 };

/* Planes; strides in bytes. */
typedef struct {
    ptrdiff_t planes, rows, columns;
    const char *dy, *indices;
    ptrdiff_t dy_plane, dy_row, dy_column, index_plane, index_row, index_column, size;
} pool_gradients;

typedef struct {
    /* As pool_primitives.max_rows, and the places r * w + c of the maxima: of equal ones the first, of NaN the first.
     * Rows of x hold -inf outside the plane from column -left to span - left, and are readable 2 LANES beyond. Scratch as
     * `lay_out` says. */
    void (*max_rows)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t first, ptrdiff_t last,
                     real *scratch, real *y, int32_t *indices);
    /* Row i of planes whose elements lie next to each other, as pool_primitives.max_planes. x is read where it lies; scratch:
     * 2 (planes + LANES) LANES elements. */
    void (*max_planes)(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t column_stride, ptrdiff_t planes,
                       ptrdiff_t i, real *scratch, real *y, int32_t *indices);
    /* dx[p, indices[p, i, j]] += dy[p, i, j] in ascending (i, j). Returns 0, leaving out those that are not in [0, size). */
    int (*scatter)(const pool_gradients *g, int type, real *dx);
} pool_index_primitives;

/* Planes, or bands of their rows, one to a lane: pixel (r, c) of all of them is the row r * w + c of x or dx, window (i, j) the row
 * i * ow + j of dy. Rows hold whole vectors, `lanes` elements, and lie one behind the other. `rows` of the result are written, to y
 * or dx on; x or dy hold the rows that these see. line: a row of x or dy. No sum has more than 8192 terms. */
typedef struct {
    void (*max)(const pooling *g, ptrdiff_t lanes, interval rows, const real *x, real *line, real *y);
    void (*mean)(const pooling *g, int include_pad, ptrdiff_t lanes, interval rows, const real *x, real *line, real *y);
    /* max, and the places as pool_index_primitives.max_rows has them, as numbers that count from the first row which `rows` see */
    void (*indices)(const pooling *g, ptrdiff_t lanes, interval rows, const real *x, real *y, real *places);
    /* to[i] = origin + x[i] */
    void (*to_integers)(ptrdiff_t count, const real *x, ptrdiff_t origin, int32_t *to);
    /* As pool_backward_primitives.mean_rows. Writes over dy. */
    void (*mean_backward)(const pooling *g, int include_pad, ptrdiff_t lanes, interval rows, real *dy, real *line,
                          real *dx);
    /* What is read next, which no hardware foresees: lanes are read side by side. An address beyond the array does no harm. */
    void (*fetch)(ptrdiff_t bytes, const char *x);
} narrow_pool_primitives;

typedef struct {
    /* The elements of scratch for mean_rows, -1 if they overflow. */
    ptrdiff_t (*scratch_size)(const pooling *g);
    /* Rows first .. last of dx, written to dx on: dx[r, c] = sum of dy[i, j] / divisor[i, j] over the windows that see
     * (r, c), first down the columns, then along the row, both ascending. Strides of dy in bytes; dh = dw = 1. */
    void (*mean_rows)(const pooling *g, const char *dy, ptrdiff_t dy_row, ptrdiff_t dy_column, ptrdiff_t first,
                      ptrdiff_t last, int include_pad, real *scratch, real *dx);
    /* dx[p, i] = dy[p] / divisor for i < count; dy_stride in bytes */
    void (*spread)(ptrdiff_t planes, ptrdiff_t count, const char *dy, ptrdiff_t dy_stride, double divisor, real *dx);
} pool_backward_primitives;

#endif
