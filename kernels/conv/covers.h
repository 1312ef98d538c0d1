/* Vectors of numbers that lie scattered but not far apart: a few loads, of which each lane takes its own by permutation. */
#ifndef NPK_COVERS_H
#define NPK_COVERS_H

#include "real.h"

/* Lane l of `lanes` gets number index[l] of those at `offset`, of which `used` are touched. */
typedef struct {
    vint index;
    ptrdiff_t offset; /* bytes */
    unsigned lanes, used;
} cover;

enum { COVERS = 5 }; /* more cost as much as a gather */

/* The covers of the wanted lanes, lane l at[l] bytes away; more than COVERS if so many do not do. Offsets ascend and are whole
 * numbers apart. */
INLINE int cut_covers(vint at, unsigned wanted, cover covers[COVERS])
{
    enum { SHIFT = sizeof(number) == 8 ? 3 : 2 };
    integer offsets[LANES];
    memcpy(offsets, &at, sizeof at);
    int count = 0;
    for (; wanted; count++) {
        if (count == COVERS)
            return COVERS + 1;
        cover *const c = &covers[count];
        c->offset = offsets[__builtin_ctz(wanted)];
        c->index = (at - (integer)c->offset) >> SHIFT;
        c->lanes = wanted & vmask_bits((c->index >= 0) & (c->index < LANES));
        c->used = (2u << ((offsets[31 - __builtin_clz(c->lanes)] - c->offset) >> SHIFT)) - 1;
        wanted &= ~c->lanes;
    }
    return count;
}

/* The lanes of one cover of x, those of v elsewhere. */
INLINE vreal take(const cover *c, const char *x, vreal v)
{
    return vpermute_into(v, c->lanes, c->index, vload_mask((const real *)(x + c->offset), c->used));
}

#endif
