/* Windows that share out an axis, of `size` elements: window i of `count` holds floor(i size / count) <= t <
 * ceil((i + 1) size / count), so that neighbours share one element at most. They are lists of intervals here, and so are, for the
 * gradient, the windows that see an element.
 *
 * Two steps for every layout: rows are folded into a line, then pixels of the line, `planes` numbers each and `pitch`
 * apart, into windows. Numbers of a pixel belong to different planes, or to different rows of windows: nothing is added across
 * lanes. Pixels of results hold whole vectors. Both steps go in ascending order. */
#ifndef NPK_ADAPTIVE_H
#define NPK_ADAPTIVE_H

#include "axis.h"

#include <stdint.h>

/* Neighbouring elements that the same windows see. */
typedef struct {
    interval windows;
    ptrdiff_t count;
} run_of_elements;

typedef struct {
    /* line[e] = x[0, e] op x[1, e] op ... for e < count, rows >= 1: the sum, or the maximum, for which a NaN wins. */
    void (*fold)(int mean, const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t count, real *line);
    /* The maxima, and as integers as wide as numbers `place` + r * step for the row r that each comes from: of equal ones the
     * first, of NaN the first. */
    void (*fold_places)(const char *x, ptrdiff_t row_stride, ptrdiff_t rows, ptrdiff_t place, ptrdiff_t step,
                        ptrdiff_t count, real *line, real *places);
    /* y[j, p] = line[c, p] op ... over the pixels c of columns[j], j < count. Sums are divided by heights[p modulo LANES]
     * times the number of pixels, unless heights is NULL. Lines are readable up to a vector beyond the last plane. */
    void (*along)(int mean, const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t pitch,
                  const real *heights, const real *line, real *y);
    /* The maxima, and the places of those of the line plus c. */
    void (*along_places)(const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t pitch, const real *line,
                         const real *line_places, real *y, real *places);
    /* Such places, numbers of memory, become int32. */
    void (*narrow_places)(ptrdiff_t count, const real *places, int32_t *to);
    /* shares[j, p] = dy[j, p] / (height * number of elements of columns[j]); whole vectors or one plane, dense */
    void (*shares)(const interval *columns, ptrdiff_t count, ptrdiff_t planes, ptrdiff_t height, const real *dy,
                   real *shares);
    /* A row of `count` elements: each run the sum of line[j] over its windows j. */
    void (*spread_runs)(const run_of_elements *runs, ptrdiff_t count, const real *line, real *row);
} adaptive_primitives;

#endif
