/* What windows make of their elements, what they are divided by, and the rows that they see next. */
#ifndef NPK_TAPS_H
#define NPK_TAPS_H

#include "axis.h"
#include "real.h"

enum { MAX, SUM };

INLINE vreal combine(int op, vreal a, vreal b) { return op == SUM ? a + b : vmax_or_nan(a, b); }

/* What the sum of a window that starts at `start` of the padded axis is divided by: its elements in the axis, or in the
 * padded axis. */
INLINE ptrdiff_t divisor(ptrdiff_t size, ptrdiff_t start, ptrdiff_t kernel, ptrdiff_t begin, ptrdiff_t end,
                         int include_pad)
{
    const ptrdiff_t padded = min_size(kernel, begin + size + end - start);
    return include_pad ? padded : min_size(padded, begin + size - start) - max_size(0, begin - start);
}

/* Whether every window has all its elements in the (padded) axis: those at the ends have the fewest. */
INLINE int all_whole(ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t begin, ptrdiff_t end,
                     ptrdiff_t count, int include_pad)
{
    return divisor(size, 0, kernel, begin, end, include_pad) == kernel &&
           divisor(size, (count - 1) * stride, kernel, begin, end, include_pad) == kernel;
}

INLINE void divisors(ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t begin, ptrdiff_t end,
                     ptrdiff_t count, int include_pad, real *to)
{
    const int whole = all_whole(size, kernel, stride, begin, end, count, include_pad);
    for (ptrdiff_t j = 0; j < count; j++)
        to[j] = (number)(whole ? kernel : divisor(size, j * stride, kernel, begin, end, include_pad));
}

/* Moves on to the windows that see element r of an axis, from those of one before; returns whether they are others. Without
 * divisions, which would cost as much as a short row. */
INLINE int move_windows(ptrdiff_t r, ptrdiff_t begin, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t count,
                        interval *over)
{
    const interval before = *over;
    while (over->last < count && over->last * stride - begin <= r)
        over->last++;
    while (over->first < over->last && r - (over->first * stride - begin) >= kernel)
        over->first++;
    return over->first != before.first || over->last != before.last;
}

enum { CACHE_LINE = 64, LONG_ROW = 8192 };

/* The rows that row i + 1 of the output sees and row i does not, of planes whose elements lie next to each other; 0 bytes where
 * rows are so short that the hardware sees them coming. An address beyond the array does no harm. */
INLINE uintptr_t rows_to_come(const pooling *g, const char *x, ptrdiff_t row_stride, ptrdiff_t planes, ptrdiff_t i,
                              ptrdiff_t *bytes)
{
    const ptrdiff_t row_bytes = g->seen * planes * (ptrdiff_t)sizeof(real);
    *bytes = row_bytes < LONG_ROW ? 0 : min_size(g->sh, g->kh) * row_bytes;
    return (uintptr_t)x + (uintptr_t)((i * g->sh - g->top + (g->kh - 1) * g->dh + 1) * row_stride);
}

INLINE uintptr_t prefetch_stretch(uintptr_t from, ptrdiff_t bytes)
{
    const uintptr_t end = from + (uintptr_t)bytes;
    for (; from < end; from += CACHE_LINE)
        __builtin_prefetch((const void *)from, 0, 2);
    return from;
}

#endif
