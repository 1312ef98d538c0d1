/* Windows and elements of one axis: window i sees the elements i stride + t dilation - begin, t < kernel, that lie in it.
 * Nothing here overflows if the padded axis does not. */
#ifndef NPK_AXIS_H
#define NPK_AXIS_H

#include <stddef.h>

/* first <= i < last */
typedef struct {
    ptrdiff_t first, last;
} interval;

static inline ptrdiff_t ceil_quotient(ptrdiff_t a, ptrdiff_t b) /* 0 for a < 0 */
{
    return a <= 0 ? 0 : b == 1 ? a : (a - 1) / b + 1; /* a division costs more than the rest */
}

/* The i < count with 0 <= start + i step < size: taps of a window that lie in the image, or windows whose tap does. */
static inline interval inside(ptrdiff_t size, ptrdiff_t start, ptrdiff_t step, ptrdiff_t count)
{
    if (start >= 0 && (count - 1) * step < size - start) /* most windows */
        return (interval){0, count};
    interval i = {ceil_quotient(-start, step), ceil_quotient(size - start, step)};
    i.last = i.last < count ? i.last : count;
    i.first = i.first < i.last ? i.first : i.last;
    return i;
}

/* The windows of `count` that see one of the elements first <= r < last at least. */
static inline interval windows_that_see(ptrdiff_t first, ptrdiff_t last, ptrdiff_t begin, ptrdiff_t kernel,
                                        ptrdiff_t stride, ptrdiff_t count)
{
    const ptrdiff_t end = ceil_quotient(last + begin, stride),
                    before = ceil_quotient(first + begin - kernel + 1, stride);
    const ptrdiff_t to = end < count ? end : count;
    return (interval){before < to ? before : to, to};
}

#endif
