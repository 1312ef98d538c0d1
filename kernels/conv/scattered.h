/* One vector of windows whose rows are short, so that it spans several: their pixels of one tap, brought together. */
#ifndef NPK_SCATTERED_H
#define NPK_SCATTERED_H

#include "conv.h"
#include "covers.h"

/* Where the windows j0 <= j < j0 + count begin, and how the pixels of a tap are brought together. */
typedef struct {
    vint rows, columns;     /* of the image; of no image beyond count */
    int32_t offsets[LANES]; /* from the first, bytes */
    ptrdiff_t first;
    unsigned wanted; /* lanes of the last tap, and its covers: most taps want all */
    int cover_count; /* more than COVERS: gather */
    cover covers[COVERS];
} scattered;

INLINE scattered scatter_windows(const windows *g, ptrdiff_t j0, ptrdiff_t count)
{
    scattered v = {.rows = (vint){0} - 1 - (integer)(g->kh * g->dh)};
    const ptrdiff_t plane = g->oh * g->ow;
    ptrdiff_t n = j0 / plane, i = j0 % plane / g->ow, j = j0 % g->ow;
    for (ptrdiff_t l = 0; l < count; l++) {
        const ptrdiff_t row = i * g->sh - g->top, column = j * g->sw - g->left;
        const ptrdiff_t at = n * g->image_stride + row * g->row_stride + column * g->column_stride;
        v.rows[l] = (integer)row;
        v.columns[l] = (integer)column;
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

/* `rows` rows of `lanes` numbers, one every `next`. */
INLINE void fill_by_covers(const int count, const cover *covers, const char *x, ptrdiff_t next_x, ptrdiff_t rows,
                           real *to, ptrdiff_t next, ptrdiff_t lanes)
{
    for (; rows > 0; rows--, x += next_x, to += next) {
        vreal v = {0};
        UNROLL for (int q = 0; q < count; q++) v = take(&covers[q], x, v);
        __builtin_prefetch((const void *)(to + 4 * next), 1); /* lines that no hardware foresees */
        if (lanes == LANES)
            vstore(to, v);
        else
            vstore_part(to, v, lanes);
    }
}

/* One tap (a, b) of `rows` channels from `channel` on. */
INLINE void fill_scattered(const windows *g, scattered *v, ptrdiff_t channel, ptrdiff_t a, ptrdiff_t b, ptrdiff_t rows,
                           real *to, ptrdiff_t next, ptrdiff_t lanes)
{
    const ptrdiff_t down = a * g->dh, right = b * g->dw, next_x = g->channel_stride;
    const char *x = g->x + v->first + channel * next_x + down * g->row_stride + right * g->column_stride;
    const vint row = v->rows + (integer)down, column = v->columns + (integer)right;
    const unsigned wanted = vmask_bits((row >= 0) & (row < (integer)g->h) & (column >= 0) & (column < (integer)g->w));
    if (wanted != v->wanted) {
        v->wanted = wanted;
        vint at;
        for (int l = 0; l < LANES; l++)
            at[l] = v->offsets[l];
        v->cover_count = cut_covers(at, wanted, v->covers);
    }
    switch (v->cover_count) {
    case 0: fill_by_covers(0, v->covers, x, next_x, rows, to, next, lanes); break;
    case 1: fill_by_covers(1, v->covers, x, next_x, rows, to, next, lanes); break;
    case 2: fill_by_covers(2, v->covers, x, next_x, rows, to, next, lanes); break;
    case 3: fill_by_covers(3, v->covers, x, next_x, rows, to, next, lanes); break;
    case 4: fill_by_covers(4, v->covers, x, next_x, rows, to, next, lanes); break;
    case 5: fill_by_covers(5, v->covers, x, next_x, rows, to, next, lanes); break;
    default:
        for (; rows > 0; rows--, x += next_x, to += next)
            vstore_part(to, vgather_offsets(x, v->offsets, wanted), lanes);
    }
}

INLINE bool whole_and_ascending(ptrdiff_t stride) { return stride >= 0 && stride % (ptrdiff_t)sizeof(number) == 0; }

/* Whether covers bring the windows of a vector together. */
INLINE bool by_covers(const windows *g)
{
    enum { FAR = INT32_MAX / 64 }; /* bytes; the windows of a vector fit 32 bits */
    const ptrdiff_t step = g->sw * g->column_stride, row = g->sh * g->row_stride, image = g->image_stride;
    const ptrdiff_t last = (g->ow - 1) * step; /* from the first window of a row */
    const ptrdiff_t number_bytes = sizeof(number);

    /* Else whole rows are copied, or two loads reach all pixels. */
    const bool short_rows = g->ow < LANES, wide_steps = step > 2 * number_bytes && step <= COVERS * number_bytes;
    /* From one window to the next; rows and images of overlapping strides need not. */
    const bool ascend = whole_and_ascending(step) && whole_and_ascending(row) && whole_and_ascending(image) &&
                        row >= last && image >= (g->oh - 1) * row + last;
    const bool fit = image < FAR && row < FAR / (g->h + 1) && g->h + g->kh * g->dh < FAR && g->w + g->kw * g->dw < FAR;
    return WIDE_GATHER && (short_rows || wide_steps) && ascend && fit;
}

#endif
