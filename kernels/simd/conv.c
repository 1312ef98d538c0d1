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

INLINE void copy_contiguous(const real *x, ptrdiff_t count, real *to)
{
    for (; count >= LANES; count -= LANES, x += LANES, to += LANES)
        vstore(to, vload(x));
    if (count)
        vstore_part(to, vload_part(x, count), count);
}

/* to[i] = x[2 i]: nothing beyond x[2 (count - 1)] is touched. */
INLINE void copy_even(const real *x, ptrdiff_t count, real *to)
{
    for (; count > 0; count -= LANES, x += 2 * LANES, to += LANES) {
        const ptrdiff_t reach = min_size(2 * count, 2 * LANES) - 1;
        const vreal low = reach >= LANES ? vload(x) : vload_part(x, reach);
        const vreal high = reach > LANES ? vload_part(x + LANES, reach - LANES) : (vreal){0};
        const vreal even = __builtin_shufflevector(low, high, EVEN);
        if (count >= LANES)
            vstore(to, even);
        else
            vstore_part(to, even, count);
    }
}

/* to[i] = x[i], elements of x `step` bytes apart */
INLINE void copy_run(const char *x, ptrdiff_t step, ptrdiff_t count, real *to)
{
    if (step == sizeof(number))
        copy_contiguous((const real *)x, count, to);
    else if (step == 2 * sizeof(number))
        copy_even((const real *)x, count, to);
    else
        for (ptrdiff_t i = 0; i < count; i++)
            to[i] = *(const real *)(x + i * step);
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

/* The windows of a panel: the parts of rows that its columns are made of, at most one a column. */
enum { WIDEST = LANES * TILE_VECTORS };

INLINE int panel_segments(const windows *g, ptrdiff_t j0, ptrdiff_t columns, segment segments[WIDEST])
{
    int count = 0;
    segment next = first_segment(g, j0);
    for (ptrdiff_t done = 0; done < columns; done += segments[count++].count)
        segments[count] = take(g, &next, columns - done);
    return count;
}

/* What tap (a, b) sees of the segments, in runs of at most LANES; `covered` counts the pixels. */
INLINE int panel_runs(const windows *g, ptrdiff_t a, ptrdiff_t b, const segment *segments, int count, run runs[],
                      ptrdiff_t *covered)
{
    const range valid = inside(g->w, g->sw, b * g->dw - g->left, g->ow);
    const ptrdiff_t step = g->sw * g->column_stride;
    int pieces = 0;
    *covered = 0;
    for (ptrdiff_t i = 0, start = 0; i < count; start += segments[i++].count) {
        run r = clip(g, segments[i], a, b, valid);
        *covered += r.count;
        for (r.offset += start; r.count > 0; r.offset += LANES, r.count -= LANES, r.x += LANES * step)
            runs[pieces++] = (run){r.offset, min_size(r.count, LANES), r.x};
    }
    return pieces;
}

INLINE void copy_lanes(const char *x, ptrdiff_t step, ptrdiff_t count, real *to)
{
    if (step == sizeof(number)) {
        if (count == LANES)
            vstore(to, vload((const real *)x));
        else
            vstore_part(to, vload_part((const real *)x, count), count);
    } else {
        copy_run(x, step, count, to);
    }
}

static void patch_panel(const windows *g, ptrdiff_t p0, ptrdiff_t k_count, ptrdiff_t j0, ptrdiff_t columns,
                        ptrdiff_t width, real *panel)
{
    assert(columns <= width && width <= WIDEST && width % LANES == 0);
    segment segments[WIDEST];
    run runs[2 * WIDEST]; /* a run of each segment, and one more for each LANES columns */
    const int count = panel_segments(g, j0, columns, segments);
    const ptrdiff_t taps = g->kh * g->kw, step = g->sw * g->column_stride;
    ptrdiff_t a = p0 % taps / g->kw, b = p0 % g->kw, channel = p0 / taps;
    for (ptrdiff_t tap = 0; tap < min_size(taps, k_count); tap++) {
        /* The runs of a tap are the same in every channel. */
        ptrdiff_t covered;
        const int pieces = panel_runs(g, a, b, segments, count, runs, &covered);
        ptrdiff_t shift = channel * g->channel_stride;
        for (ptrdiff_t p = tap; p < k_count; p += taps, shift += g->channel_stride) {
            real *const to = panel + p * width;
            if (covered < width)
                for (ptrdiff_t j = 0; j < width; j += LANES)
                    vstore(to + j, (vreal){0});
            for (int i = 0; i < pieces; i++)
                copy_lanes(runs[i].x + shift, step, runs[i].count, to + runs[i].offset);
        }
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
                copy_run(r.x + channel, step, r.count, to + done + r.offset);
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

const conv_primitives NAME(conv) = {.patch_panel = patch_panel, .patch_rows = patch_rows, .patch_sum = patch_sum};
