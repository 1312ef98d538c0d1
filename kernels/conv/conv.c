#include "primitives.h"
#include "gather.h"
#include "scattered.h"

/* Part of a row of windows: columns j .. j + count of a row whose first tap meets row `row` of an image, and its pixel j
 * the byte `offset` of x; both may lie outside the image. */
typedef struct {
    ptrdiff_t offset, row, j, count;
} segment;

/* Cuts columns j0 .. j0 + columns into at most `most` segments; returns how many. */
INLINE int cut_segments(const windows *g, ptrdiff_t j0, ptrdiff_t columns, segment *segments, int most)
{
    const ptrdiff_t plane = g->oh * g->ow, pixel = j0 % plane;
    ptrdiff_t n = j0 / plane, i = pixel / g->ow, j = pixel % g->ow;
    int count = 0;
    while (columns > 0 && count < most) {
        segment *s = &segments[count++];
        s->row = i * g->sh - g->top;
        s->j = j;
        s->count = min_size(g->ow - j, columns);
        s->offset = n * g->image_stride + s->row * g->row_stride + (j * g->sw - g->left) * g->column_stride;
        columns -= s->count;
        j = 0;
        if (++i == g->oh) {
            i = 0;
            n++;
        }
    }
    return count;
}

/* An element (channel, a, b) of the window: the rows, bytes and columns that lie between it and the first one. */
typedef struct {
    ptrdiff_t rows, offset;
    interval columns; /* for which it lies inside the image */
} tap;

INLINE tap tap_at(const windows *g, ptrdiff_t channel, ptrdiff_t a, ptrdiff_t b)
{
    return (tap){a * g->dh, channel * g->channel_stride + a * g->dh * g->row_stride + b * g->dw * g->column_stride,
                 inside(g->w, b * g->dw - g->left, g->sw, g->ow)};
}

/* What a tap sees of a segment: its columns first <= j < end, the others are 0. */
INLINE interval seen(const windows *g, const segment *s, const tap *t)
{
    const ptrdiff_t row = s->row + t->rows;
    if (row < 0 || row >= g->h)
        return (interval){0, 0};
    const interval r = {max_size(t->columns.first - s->j, 0), min_size(t->columns.last - s->j, s->count)};
    return r.first < r.last ? r : (interval){0, 0};
}

enum { BLOCK_VECTORS = BLOCK_PANELS * TILE_VECTORS, BLOCK_COLUMNS = BLOCK_VECTORS * LANES };

/* What a vector of columns gets from one segment. */
typedef struct {
    const char *x;
    unsigned mask;
} piece;

/* A block of columns: its segments, and for one tap after the other the pieces of each of its vectors. */
typedef struct {
    segment segments[BLOCK_COLUMNS];
    int segment_count, vectors;
    real *to[BLOCK_VECTORS];        /* row 0 of the panel that a vector belongs to, */
    ptrdiff_t width[BLOCK_VECTORS]; /* and the length of its rows */
    int pieces_of[BLOCK_VECTORS];
    piece pieces[BLOCK_COLUMNS + BLOCK_VECTORS];
} block;

INLINE void place_vectors(block *v, ptrdiff_t k_count, ptrdiff_t columns, real *panels)
{
    v->vectors = (int)((columns + LANES - 1) / LANES);
    const ptrdiff_t count = panel_count(v->vectors, TILE_VECTORS);
    for (ptrdiff_t q = 0; q < count; q++) {
        const ptrdiff_t start = panel_start(v->vectors, count, q), end = panel_start(v->vectors, count, q + 1);
        for (ptrdiff_t i = start; i < end; i++) {
            v->to[i] = panels + start * LANES * k_count + (i - start) * LANES;
            v->width[i] = (end - start) * LANES;
        }
    }
}

INLINE void cut_pieces(block *v, const windows *g, const tap *t)
{
    const ptrdiff_t step = g->sw * g->column_stride;
    piece *next = v->pieces;
    for (int i = 0; i < v->vectors; i++)
        v->pieces_of[i] = 0;
    for (ptrdiff_t i = 0, start = 0; i < v->segment_count; start += v->segments[i++].count) {
        const segment *const s = &v->segments[i];
        const interval r = seen(g, s, t);
        for (ptrdiff_t j = r.first; j < r.last;) {
            const int first = (int)((start + j) % LANES), taken = (int)min_size(r.last - j, LANES - first);
            *next++ = (piece){g->x + s->offset + t->offset + (j - first) * step, lane_mask(step, first, first + taken)};
            v->pieces_of[(start + j) / LANES]++;
            j += taken;
        }
    }
}

/* Row p of all panels. A vector is the union of its pieces and stored whole: a store under a mask costs several. */
INLINE void fill_row(const block *v, ptrdiff_t p, ptrdiff_t shift, ptrdiff_t step, ptrdiff_t ahead)
{
    const piece *next = v->pieces;
    for (int i = 0; i < v->vectors; i++) {
        vint lanes = {0};
        for (const piece *end = next + v->pieces_of[i]; next < end; next++) {
            if (ahead)
                __builtin_prefetch(next->x + shift + ahead);
            lanes |= (vint)gather(next->x + shift, step, next->mask);
        }
        vstore(v->to[i] + p * v->width[i], (vreal)lanes);
    }
}

static void patch_block(const windows *g, ptrdiff_t p0, ptrdiff_t k_count, ptrdiff_t j0, ptrdiff_t columns,
                        real *panels)
{
    assert(g->h >= 1 && g->w >= 1 && k_count >= 0 && columns >= 1 && columns <= BLOCK_COLUMNS);
    const ptrdiff_t taps = g->kh * g->kw, step = g->sw * g->column_stride;
    block v;
    place_vectors(&v, k_count, columns, panels);
    if (by_covers(g)) {
        for (int i = 0; i < v.vectors; i++) {
            scattered s = scatter_windows(g, j0 + i * LANES, min_size(columns - i * LANES, LANES));
            for (ptrdiff_t first = 0; first < min_size(taps, k_count); first++) {
                const ptrdiff_t p = p0 + first, tap = p % taps;
                fill_scattered(g, &s, p / taps, tap / g->kw, tap % g->kw, (k_count - first + taps - 1) / taps,
                               v.to[i] + first * v.width[i], taps * v.width[i], LANES);
            }
        }
        return;
    }
    v.segment_count = cut_segments(g, j0, columns, v.segments, BLOCK_COLUMNS);
    ptrdiff_t a = p0 % taps / g->kw, b = p0 % g->kw, channel = p0 / taps;
    for (ptrdiff_t first = 0; first < min_size(taps, k_count); first++) {
        /* The pieces of a tap are the same in every channel. */
        const tap t = tap_at(g, channel, a, b);
        cut_pieces(&v, g, &t);
        /* The first tap brings the pixels into cache. Channels lie a plane apart, where no hardware looks ahead. */
        const ptrdiff_t ahead = first == 0 ? 8 * g->channel_stride : 0;
        ptrdiff_t shift = 0;
        if (step == sizeof(number))
            for (ptrdiff_t p = first; p < k_count; p += taps, shift += g->channel_stride)
                fill_row(&v, p, shift, sizeof(number), ahead);
        else
            for (ptrdiff_t p = first; p < k_count; p += taps, shift += g->channel_stride)
                fill_row(&v, p, shift, step, ahead);
        if (++b == g->kw) {
            b = 0;
            if (++a == g->kh) {
                a = 0;
                channel++;
            }
        }
    }
}

/* One segment of one row, in whole vectors as long as the row has room for them. */
INLINE void fill_segment(const windows *g, const segment *s, const tap *t, ptrdiff_t step, real *to, ptrdiff_t room)
{
    const interval r = seen(g, s, t);
    const char *const x = g->x + s->offset + t->offset;
    for (ptrdiff_t j = 0; j < s->count; j += LANES) {
        const int first = (int)max_size(r.first - j, 0), end = (int)min_size(r.last - j, LANES);
        const vreal v = first < end ? gather(x + j * step, step, lane_mask(step, first, end)) : (vreal){0};
        if (room - j >= LANES)
            vstore(to + j, v);
        else
            vstore_part(to + j, v, min_size(s->count - j, LANES));
    }
}

static void patch_rows(const windows *g, ptrdiff_t p0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns, real *to,
                       ptrdiff_t stride)
{
    assert(g->h >= 1 && g->w >= 1 && stride >= columns);
    enum { MOST = 128 };
    segment segments[MOST];
    const ptrdiff_t taps = g->kh * g->kw, step = g->sw * g->column_stride;
    if (by_covers(g) && rows >= 4 * taps) {
        for (ptrdiff_t j = 0; j < columns; j += LANES) {
            scattered s = scatter_windows(g, j0 + j, min_size(columns - j, LANES));
            for (ptrdiff_t first = 0; first < taps; first++) {
                const ptrdiff_t p = p0 + first, tap = p % taps;
                fill_scattered(g, &s, p / taps, tap / g->kw, tap % g->kw, (rows - first + taps - 1) / taps,
                               to + first * stride + j, taps * stride, min_size(columns - j, LANES));
            }
        }
        return;
    }
    for (ptrdiff_t done = 0, width = 0; done < columns; done += width) {
        const int count = cut_segments(g, j0 + done, columns - done, segments, MOST);
        for (ptrdiff_t p = p0; p < p0 + rows; p++) {
            const tap t = tap_at(g, p / taps, p % taps / g->kw, p % g->kw);
            width = 0;
            for (int i = 0; i < count; width += segments[i++].count) {
                real *const row = to + (p - p0) * stride + done + width;
                const ptrdiff_t room = columns - done - width;
                if (step == sizeof(number))
                    fill_segment(g, &segments[i], &t, sizeof(number), row, room);
                else
                    fill_segment(g, &segments[i], &t, step, row, room);
            }
        }
    }
}

const conv_primitives NAME(conv) = {.short_rows = WIDE_GATHER ? LANES : 0,
                                    .patch_block = patch_block,
                                    .patch_rows = patch_rows,
                                    .patch_sums = NAME(patch_sums)};
