/* Vectors out of rows of pixels that may lie apart. */
#ifndef NPK_GATHER_H
#define NPK_GATHER_H

#include "axis.h"
#include "shuffle.h"

/* Elements two numbers apart: bit e of `mask` is element e of x; lane l gets element 2 l. */
INLINE vreal gather_even(const char *x, unsigned mask)
{
    const vreal low = vload_mask((const real *)x, mask & (unsigned)(((uint64_t)1 << LANES) - 1));
    const vreal high = vload_mask((const real *)x + LANES, (unsigned)((uint64_t)mask >> LANES));
    return __builtin_shufflevector(low, high, EVEN);
}

/* The mask that makes `gather` fetch lanes first <= l < end and touch nothing else. */
INLINE unsigned lane_mask(ptrdiff_t step, int first, int end)
{
    if (step == 2 * sizeof(number))
        return (unsigned)(((uint64_t)1 << (2 * end - 1)) - ((uint64_t)1 << (2 * first)));
    return (1u << end) - (1u << first);
}

/* Lanes of the mask get x[l * step], step in bytes; the others are 0 and their memory is not touched. */
INLINE vreal gather(const char *x, ptrdiff_t step, unsigned mask)
{
    if (step == sizeof(number))
        return vload_mask((const real *)x, mask);
    return step == 2 * sizeof(number) ? gather_even(x, mask) : vgather_mask(x, step, mask);
}

#endif
