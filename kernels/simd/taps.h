/* Which elements of a window lie in the plane, along one axis. Nothing here overflows if the padded axis does not. */
#ifndef NPK_TAPS_H
#define NPK_TAPS_H

#include "real.h"

/* first <= t < last */
typedef struct {
    ptrdiff_t first, last;
} range;

INLINE ptrdiff_t ceil_quotient(ptrdiff_t a, ptrdiff_t b) { return a > 0 ? (a - 1) / b + 1 : 0; } /* 0 for a < 0 */

/* The taps t < count with 0 <= start + t * step < size */
INLINE range taps_inside(ptrdiff_t size, ptrdiff_t start, ptrdiff_t step, ptrdiff_t count)
{
    if (start >= 0 && (count - 1) * step < size - start) /* most windows */
        return (range){0, count};
    return (range){ceil_quotient(-start, step), min_size(count, ceil_quotient(size - start, step))};
}

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

#endif
