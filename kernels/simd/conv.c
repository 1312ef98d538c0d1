#include "primitives.h"

#if VECTOR_BYTES * 8 / REAL_BITS == 2
#define EVEN 0, 2
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
#define EVEN 0, 2, 4, 6
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14
#else
#define EVEN 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#endif

/* Columns j of a row of windows for which a tap b lies inside the image: first <= j < last. */
typedef struct {
    ptrdiff_t first, last;
} range;

INLINE range inside(ptrdiff_t size, ptrdiff_t stride, ptrdiff_t shift, ptrdiff_t count)
{
    /* 0 <= j * stride + shift < size; most strides are 1, and divisions cost more than the rest */
    range r = {shift < 0 ? -shift : 0, size > shift ? size - shift : 0};
    if (stride > 1) {
        r.first = (r.first + stride - 1) / stride;
        r.last = (r.last + stride - 1) / stride;
    }
    r.last = min_size(r.last, count);
    r.first = min_size(r.first, r.last);
    return r;
}

/* Lanes l with a bit in `mask` get x[l * step], x in bytes; the others are 0 and their memory is not touched. */
INLINE vreal gather_lanes(const char *x, ptrdiff_t step, unsigned mask)
{
    if (step == sizeof(number))
        return vload_mask((const real *)x, mask);
    number lanes[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            lanes[l] = *(const real *)(x + l * step);
    return vload(lanes);
}

/* The same for a step of two numbers: bit e of `mask` is element e of x; lane l gets element 2 l. */
INLINE vreal gather_even(const char *x, unsigned mask)
{
    const vreal low = vload_mask((const real *)x, mask & (unsigned)(((uint64_t)1 << LANES) - 1));
    const vreal high = vload_mask((const real *)x + LANES, (unsigned)((uint64_t)mask >> LANES));
    return __builtin_shufflevector(low, high, EVEN);
}

/* The mask that makes these functions fetch lanes first <= l < end and touch nothing else. */
INLINE unsigned lane_mask(ptrdiff_t step, int first, int end)
{
    if (step == 2 * sizeof(number))
        return (unsigned)(((uint64_t)1 << (2 * end - 1)) - ((uint64_t)1 << (2 * first)));
    return (1u << end) - (1u << first);
}

INLINE vreal gather(const char *x, ptrdiff_t step, unsigned mask)
{
    return step == 2 * sizeof(number) ? gather_even(x, mask) : gather_lanes(x, step, mask);
}

/* to[i] = x[i * step] for i < count; up to to[room - 1] may be overwritten. */
INLINE void copy_run(const char *x, ptrdiff_t step, ptrdiff_t count, real *to, ptrdiff_t room)
{
    for (; count > 0; count -= LANES, room -= LANES, x += LANES * step, to += LANES) {
        const ptrdiff_t lanes = min_size(count, LANES);
        const vreal v = gather(x, step, lane_mask(step, 0, (int)lanes));
        if (room >= LANES)
            vstore(to, v); /* a store under a mask is several times slower */
        else
            vstore_part(to, v, lanes);
    }
}

/* Part of a row of windows: columns j .. j + count of row i of image n. */
typedef struct {
    ptrdiff_t n, i, j, count;
} segment;

INLINE segment first_segment(const windows *g, ptrdiff_t column)
{
    const ptrdiff_t plane = g->oh * g->ow, pixel = column % plane;
    return (segment){.n = column / plane, .i = pixel / g->ow, .j = pixel % g->ow};
}

/* The segment at `s`, at most `most` columns of it; moves `s` on to the next. */
INLINE segment take(const windows *g, segment *s, ptrdiff_t most)
{
    segment taken = *s;
    taken.count = min_size(g->ow - s->j, most);
    s->j += taken.count;
    if (s->j == g->ow) {
        s->j = 0;
        if (++s->i == g->oh) {
            s->i = 0;
            s->n++;
        }
    }
    return taken;
}

/* What a tap (a, b) sees of a segment: `count` pixels from `x` on go to `offset` of the destination. */
typedef struct {
    ptrdiff_t offset, count;
    const char *x;
} run;

INLINE run clip(const windows *g, segment s, ptrdiff_t a, ptrdiff_t b, range columns)
{
    const ptrdiff_t row = s.i * g->sh + a * g->dh - g->top;
    const ptrdiff_t first = max_size(s.j, columns.first), last = min_size(s.j + s.count, columns.last);
    if (row < 0 || row >= g->h || first >= last)
        return (run){0, 0, NULL};
    return (run){first - s.j, last - first,
                 g->x + s.n * g->image_stride + row * g->row_stride +
                     (first * g->sw + b * g->dw - g->left) * g->column_stride};
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
    real *to[BLOCK_VECTORS]; /* row 0 of the panel that a vector belongs to, */
    ptrdiff_t width[BLOCK_VECTORS]; /* and the length of its rows */
    int pieces_of[BLOCK_VECTORS];
    piece pieces[BLOCK_COLUMNS + BLOCK_VECTORS];
} block;

INLINE void begin_block(block *v, const windows *g, ptrdiff_t k_count, ptrdiff_t j0, ptrdiff_t columns, real *panels)
{
    segment next = first_segment(g, j0);
    v->segment_count = 0;
    for (ptrdiff_t done = 0; done < columns; done += v->segments[v->segment_count++].count)
        v->segments[v->segment_count] = take(g, &next, columns - done);
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

INLINE void cut_pieces(block *v, const windows *g, ptrdiff_t a, ptrdiff_t b)
{
    const range valid = inside(g->w, g->sw, b * g->dw - g->left, g->ow);
    const ptrdiff_t step = g->sw * g->column_stride;
    piece *next = v->pieces;
    for (int i = 0; i < v->vectors; i++)
        v->pieces_of[i] = 0;
    for (ptrdiff_t i = 0, start = 0; i < v->segment_count; start += v->segments[i++].count) {
        run r = clip(g, v->segments[i], a, b, valid);
        for (r.offset += start; r.count > 0;) {
            const int first = (int)(r.offset % LANES), taken = (int)min_size(r.count, LANES - first);
            *next++ = (piece){r.x - first * step, lane_mask(step, first, first + taken)};
            v->pieces_of[r.offset / LANES]++;
            r.offset += taken, r.count -= taken, r.x += taken * step;
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
    assert(columns <= BLOCK_COLUMNS);
    block v;
    begin_block(&v, g, k_count, j0, columns, panels);
    const ptrdiff_t taps = g->kh * g->kw, step = g->sw * g->column_stride;
    ptrdiff_t a = p0 % taps / g->kw, b = p0 % g->kw, channel = p0 / taps;
    for (ptrdiff_t tap = 0; tap < min_size(taps, k_count); tap++) {
        /* The pieces of a tap are the same in every channel. */
        cut_pieces(&v, g, a, b);
        ptrdiff_t shift = channel * g->channel_stride;
        /* The first tap brings the pixels into cache. Channels lie a plane apart, where no hardware looks ahead. */
        const ptrdiff_t ahead = tap == 0 ? 8 * g->channel_stride : 0;
        if (step == sizeof(number))
            for (ptrdiff_t p = tap; p < k_count; p += taps, shift += g->channel_stride)
                fill_row(&v, p, shift, sizeof(number), ahead);
        else
            for (ptrdiff_t p = tap; p < k_count; p += taps, shift += g->channel_stride)
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

static void patch_rows(const windows *g, ptrdiff_t p0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns, real *to,
                       ptrdiff_t stride)
{
    const ptrdiff_t taps = g->kh * g->kw, step = g->sw * g->column_stride;
    const segment first = first_segment(g, j0);
    for (ptrdiff_t p = p0; p < p0 + rows; p++, to += stride) {
        const ptrdiff_t a = p % taps / g->kw, b = p % g->kw, channel = p / taps * g->channel_stride;
        const range valid = inside(g->w, g->sw, b * g->dw - g->left, g->ow);
        segment next = first;
        for (ptrdiff_t done = 0; done < columns;) {
            const segment s = take(g, &next, columns - done);
            const run r = clip(g, s, a, b, valid);
            for (ptrdiff_t j = 0; j < r.offset; j++)
                to[done + j] = 0;
            if (r.count)
                copy_run(r.x + channel, step, r.count, to + done + r.offset, columns - done - r.offset);
            for (ptrdiff_t j = r.offset + r.count; j < s.count; j++)
                to[done + j] = 0;
            done += s.count;
        }
    }
}

static void patch_sum(const windows *g, const char *cols, ptrdiff_t row_stride, ptrdiff_t column_stride, real *plane)
{
    memset(plane, 0, (size_t)(g->h * g->w) * sizeof(number));
    for (ptrdiff_t a = 0; a < g->kh; a++)
        for (ptrdiff_t b = 0; b < g->kw; b++, cols += row_stride) {
            const range rows = inside(g->h, g->sh, a * g->dh - g->top, g->oh);
            const range valid = inside(g->w, g->sw, b * g->dw - g->left, g->ow);
            for (ptrdiff_t i = rows.first; i < rows.last; i++) {
                const ptrdiff_t to = (i * g->sh + a * g->dh - g->top) * g->w + b * g->dw - g->left;
                const char *const from = cols + i * g->ow * column_stride;
                if (g->sw == 1 && column_stride == sizeof(number))
                    for (ptrdiff_t j = valid.first; j < valid.last; j++)
                        plane[to + j] += ((const real *)from)[j];
                else
                    for (ptrdiff_t j = valid.first; j < valid.last; j++)
                        plane[to + j * g->sw] += *(const real *)(from + j * column_stride);
            }
        }
}

const conv_primitives NAME(conv) = {.patch_block = patch_block, .patch_rows = patch_rows, .patch_sum = patch_sum};
