/* The best scores of a vector of samples and their places: slot s of the sample in lane l is element s * LANES + l.
 * The first `length` slots are sorted, best first; as many follow that are not, of which filled[l] are in use. */
#ifndef NPK_QUEUE_H
#define NPK_QUEUE_H

#include "real.h"

#include <math.h>

enum { NOWHERE = INT32_MAX }; /* the place of a slot that holds nothing, beyond all others */

typedef struct {
    ptrdiff_t length; /* a power of 2 */
    real *scores;     /* 2 length slots */
    integer *places;
    real *bound; /* the worst of the sorted scores */
    integer *filled;
} queue;

/* Whole lines of the cache */
static ptrdiff_t queue_reals(ptrdiff_t length) { return 4 * (length + 1) * LANES; }

INLINE queue queue_at(ptrdiff_t length, real *memory)
{
    const ptrdiff_t slots = 2 * length * LANES;
    return (queue){length, memory, (integer *)(memory + slots), memory + 2 * slots,
                   (integer *)(memory + 2 * slots + LANES)};
}

INLINE vint load_places(const integer *p) { return (vint)vload((const real *)p); }
INLINE void store_places(integer *p, vint v) { vstore((real *)p, (vreal)v); }

INLINE void clear_slot(const queue *q, ptrdiff_t slot)
{
    vstore(q->scores + slot * LANES, vsplat(-INFINITY));
    store_places(q->places + slot * LANES, (vint){0} + NOWHERE);
}

/* Whether (b, q) comes before (a, p): the higher score, of equal ones the lower place. */
INLINE vint precedes(vreal b, vint q, vreal a, vint p) { return (b > a) | ((b == a) & (q < p)); }

/* The better of slots i and j goes to i. */
INLINE void exchange(real *scores, integer *places, ptrdiff_t i, ptrdiff_t j)
{
    const vreal a = vload(scores + i * LANES), b = vload(scores + j * LANES);
    const vint p = load_places(places + i * LANES), q = load_places(places + j * LANES);
    const vint swap = precedes(b, q, a, p);
    vstore(scores + i * LANES, vselect(swap, b, a));
    vstore(scores + j * LANES, vselect(swap, a, b));
    vstore((real *)(places + i * LANES), vselect(swap, (vreal)q, (vreal)p));
    vstore((real *)(places + j * LANES), vselect(swap, (vreal)p, (vreal)q));
}

/* Batcher's odd-even merge sort, in all lanes at once: K. E. Batcher, "Sorting networks and their applications", 1968, in
 * the form of D. E. Knuth, "The Art of Computer Programming" 3, 5.2.2, algorithm M. */
static void sort(ptrdiff_t length, real *scores, integer *places)
{
    for (ptrdiff_t run = 1; run < length; run *= 2)
        for (ptrdiff_t step = run; step >= 1; step /= 2)
            for (ptrdiff_t first = step % run; first + step < length; first += 2 * step)
                for (ptrdiff_t i = first; i < first + step && i + step < length; i++)
                    if (i / (2 * run) == (i + step) / (2 * run))
                        exchange(scores, places, i, i + step);
}

/* The sorted slots become the best of these and of `length` others that are sorted: the better ones of slots i and length -
 * 1 - i rise and then fall, and a bitonic merge sorts them. */
static void join(const queue *q, const real *scores, const integer *places)
{
    const ptrdiff_t length = q->length;
    for (ptrdiff_t i = 0; i < length; i++) {
        const ptrdiff_t to = i * LANES, from = (length - 1 - i) * LANES;
        const vreal a = vload(q->scores + to), b = vload(scores + from);
        const vint p = load_places(q->places + to), r = load_places(places + from);
        const vint better = precedes(b, r, a, p);
        vstore(q->scores + to, vselect(better, b, a));
        vstore((real *)(q->places + to), vselect(better, (vreal)r, (vreal)p));
    }
    for (ptrdiff_t step = length / 2; step >= 1; step /= 2)
        for (ptrdiff_t first = 0; first < length; first += 2 * step)
            for (ptrdiff_t i = first; i < first + step; i++)
                exchange(q->scores, q->places, i, i + step);
    vstore(q->bound, vload(q->scores + (length - 1) * LANES));
}

/* What is not sorted joins what is. */
static void settle(const queue *q)
{
    real *scores = q->scores + q->length * LANES;
    integer *places = q->places + q->length * LANES;
    const vint filled = load_places(q->filled);
    ptrdiff_t most = 0;
    for (int l = 0; l < LANES; l++)
        most = q->filled[l] > most ? (ptrdiff_t)q->filled[l] : most;
    if (most == 0)
        return;
    for (ptrdiff_t s = 0; s < q->length; s++) {
        const vint used = filled > (integer)s;
        vstore(scores + s * LANES, vselect(used, vload(scores + s * LANES), vsplat(-INFINITY)));
        store_places(places + s * LANES,
                     (vint)vselect(used, (vreal)load_places(places + s * LANES), (vreal)((vint){0} + NOWHERE)));
    }
    sort(q->length, scores, places);
    join(q, scores, places);
    store_places(q->filled, (vint){0});
}

/* Scores above the bound, of rows first, first + 1, ..., ascending from call to call. */
static __attribute__((noinline)) void take(const queue *q, const vreal scores[TILE_ROWS], integer first)
{
    for (int i = 0; i < TILE_ROWS; i++) {
        unsigned above = vmask_bits(scores[i] > vload(q->bound));
        bool full = false;
        for (; above != 0; above &= above - 1) {
            const int l = __builtin_ctz(above);
            const ptrdiff_t slot = (q->length + (ptrdiff_t)q->filled[l]) * LANES + l;
            q->scores[slot] = ((const real *)(scores + i))[l];
            q->places[slot] = first + i;
            full |= ++q->filled[l] == q->length;
        }
        if (full)
            settle(q);
    }
}

#endif
