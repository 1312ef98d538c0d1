/* One vector of windows whose rows are short, so that it spans several: their pixels of one tap, brought together. */
#ifndef NPK_SCATTERED_H
#define NPK_SCATTERED_H

#include "conv.h"

/* Where the windows j0 <= j < j0 + count begin. */
typedef struct {
    ptrdiff_t rows[LANES], columns[LANES]; /* of the image */
    int32_t offsets[LANES];                /* from the first, bytes */
    ptrdiff_t first, count;
} scattered;

INLINE scattered scatter_windows(const windows *g, ptrdiff_t j0, ptrdiff_t count)
{
    scattered v = {.count = count};
    const ptrdiff_t plane = g->oh * g->ow;
    ptrdiff_t n = j0 / plane, i = j0 % plane / g->ow, j = j0 % g->ow;
    for (ptrdiff_t l = 0; l < count; l++) {
        v.rows[l] = i * g->sh - g->top;
        v.columns[l] = j * g->sw - g->left;
        const ptrdiff_t at = n * g->image_stride + v.rows[l] * g->row_stride + v.columns[l] * g->column_stride;
        v.first = l ? v.first : at;
        v.offsets[l] = (int32_t)(at - v.first);
        if (++j == g->ow) {
            j = 0;
            if (++i == g->oh) {
                i = 0;
                n++;
            }
        }
    }
    return v;
}

/* A vector of pixels that lie together and hold those of some lanes: lane l gets pixel index[l]; `used` are touched. */
typedef struct {
    ptrdiff_t offset;
    vint index;
    unsigned lanes, used;
} cover;

enum { COVERS = 5 }; /* more cost as much as a gather */

/* The covers of the wanted lanes; more than COVERS if these do not do. Offsets ascend and are whole numbers apart. */
INLINE int cut_covers(const int32_t offsets[LANES], unsigned wanted, cover covers[COVERS])
{
    enum { SHIFT = sizeof(number) == 8 ? 3 : 2 };
    vint at;
    int count = 0;
    for (int l = 0; l < LANES; l++)
        at[l] = offsets[l];
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

INLINE void fill_by_covers(const int count, const cover *covers, const char *x, ptrdiff_t next_x, ptrdiff_t rows, real *to,
                           ptrdiff_t next)
{
    for (; rows > 0; rows--, x += next_x, to += next) {
        vreal v = {0};
        UNROLL for (int q = 0; q < count; q++)
            v = vpermute_into(v, covers[q].lanes, covers[q].index, vload_mask((const real *)(x + covers[q].offset), covers[q].used));
        __builtin_prefetch((const void *)(to + 4 * next), 1); /* lines of the panel that no hardware foresees */
        vstore(to, v);
    }
}

/* One tap (a, b) of `rows` channels from `channel` on; a row of the panel every `next` numbers. */
INLINE void fill_scattered(const windows *g, const scattered *v, ptrdiff_t channel, ptrdiff_t a, ptrdiff_t b, ptrdiff_t rows,
                           real *to, ptrdiff_t next)
{
    const ptrdiff_t down = a * g->dh, right = b * g->dw, next_x = g->channel_stride;
    const char *x = g->x + v->first + channel * next_x + down * g->row_stride + right * g->column_stride;
    unsigned wanted = 0;
    for (ptrdiff_t l = 0; l < v->count; l++)
        wanted |= (unsigned)(v->rows[l] + down >= 0 && v->rows[l] + down < g->h && v->columns[l] + right >= 0 &&
                             v->columns[l] + right < g->w)
                  << l;
    cover covers[COVERS];
    switch (cut_covers(v->offsets, wanted, covers)) {
    case 0: fill_by_covers(0, covers, x, next_x, rows, to, next); break;
    case 1: fill_by_covers(1, covers, x, next_x, rows, to, next); break;
    case 2: fill_by_covers(2, covers, x, next_x, rows, to, next); break;
    case 3: fill_by_covers(3, covers, x, next_x, rows, to, next); break;
    case 4: fill_by_covers(4, covers, x, next_x, rows, to, next); break;
    case 5: fill_by_covers(5, covers, x, next_x, rows, to, next); break;
    default:
        for (; rows > 0; rows--, x += next_x, to += next)
            vstore(to, vgather_offsets(x, v->offsets, wanted));
    }
}

INLINE bool whole_and_ascending(ptrdiff_t stride)
{
    return stride >= 0 && stride % (ptrdiff_t)sizeof(number) == 0;
}

/* Offsets must ascend from one window to the next, which overlapping strides need not, and fit 32 bits. */
INLINE bool rows_are_short(const windows *g)
{
    const ptrdiff_t row = g->sh * g->row_stride, image = g->image_stride;
    return WIDE_GATHER && g->ow < LANES && whole_and_ascending(g->sw * g->column_stride) && whole_and_ascending(row) &&
           whole_and_ascending(image) && image < INT32_MAX / 64 && row < INT32_MAX / 64 / g->h &&
           row >= (g->ow - 1) * g->sw * g->column_stride && image >= (g->oh - 1) * row;
}

#endif
