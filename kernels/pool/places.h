/* Maxima and their places, in the lanes. */
#ifndef NPK_PLACES_H
#define NPK_PLACES_H

#include "parts.h"

#if REAL_BITS == 64
typedef int32_t vplace __attribute__((vector_size(LANES * 4)));
#endif

/* The maximum so far and its place. A number is better if it is larger, a NaN if there was none yet; in ascending order
 * of places the first of equals stays. */
typedef struct {
    vreal value;
    vbits place;
} best;

INLINE best better(best old, vreal value, vbits place)
{
    const vint found = ~(value <= old.value) & (old.value == old.value);
    return (best){vselect(found, value, old.value), ((vbits)found & place) | (~(vbits)found & old.place)};
}

INLINE void store_places(int32_t *to, vbits place, ptrdiff_t count)
{
#if REAL_BITS == 32 /* numbers as wide as indices: a store under a mask is faster than memcpy */
    store_some((real *)to, (vreal)place, count);
#else
    const vplace places = __builtin_convertvector(place, vplace);
    if (count >= LANES)
        memcpy(to, &places, sizeof places);
    else
        memcpy(to, &places, (size_t)count * sizeof *to);
#endif
}

#endif
