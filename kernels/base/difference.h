/* The squared distance of two rows, from their differences: lanes hold features. */
#ifndef NPK_DIFFERENCE_H
#define NPK_DIFFERENCE_H

#include "parts.h"

/* x - c for the features from p on; `split`: whether there is anything in low */
INLINE vreal difference(const int split, const real *x, const real *c, const real *low, ptrdiff_t p)
{
    const vreal high = vload(x + p) - vload(c + p);
    return split ? high - vload(low + p) : high;
}

/* The same for `count` features. */
INLINE vreal part_difference(const int split, ptrdiff_t count, const real *x, const real *c, const real *low,
                             ptrdiff_t p)
{
    const vreal high = vload_part(x + p, count) - vload_part(c + p, count);
    return split ? high - vload_part(low + p, count) : high;
}

INLINE vreal difference_piece(const int split, ptrdiff_t d, const real *x, const real *c, const real *low)
{
    vreal even = {0}, odd = {0};
    ptrdiff_t p = 0;
    for (; p + 2 * LANES <= d; p += 2 * LANES) {
        const vreal first = difference(split, x, c, low, p), second = difference(split, x, c, low, p + LANES);
        even = vfma(first, first, even);
        odd = vfma(second, second, odd);
    }
    for (; p < d; p += LANES) {
        const vreal rest = part_difference(split, min_size(d - p, LANES), x, c, low, p);
        even = vfma(rest, rest, even);
    }
    return even + odd;
}

INLINE vreal squared_difference(const int split, ptrdiff_t d, const real *x, const real *c, const real *low)
{
    enum { PIECE = LONGEST_CHAIN * LANES };
    if (d <= PIECE)
        return difference_piece(split, d, x, c, low);
    vwide total = {0};
    for (ptrdiff_t p = 0; p < d; p += PIECE)
        total += vwiden(difference_piece(split, min_size(d - p, PIECE), x + p, c + p, split ? low + p : NULL));
    return vnarrow(total);
}

#endif
