#include "primitives.h"
#include "taps.h"

/* Planes, or bands of their rows, one to a lane: no row of a plane fills a vector. Sums and maxima are taken in the order of
 * pool.c, and zeros have the signs that they have there. */

/* The elements a x b from `first` on, down the columns first; rows are `row` elements apart, columns `column`. */
INLINE vreal fold_window(int op, const real *first, ptrdiff_t a, ptrdiff_t row, ptrdiff_t b, ptrdiff_t column)
{
    vreal all = {0};
    for (ptrdiff_t t = 0; t < b; t++, first += column) {
        vreal line = vload(first);
        for (ptrdiff_t s = 1; s < a; s++)
            line = combine(op, line, vload(first + s * row));
        all = t == 0 ? line : combine(op, all, line);
    }
    return all;
}

/* to[e] = x[0, e] op x[1, e] op ... for e < count: whole vectors */
INLINE void fold_lines(int op, const real *x, ptrdiff_t lines, ptrdiff_t row, ptrdiff_t count, real *to)
{
    for (ptrdiff_t e = 0; e < count; e += LANES)
        vstore(to + e, fold_window(op, x + e, lines, row, 1, 0));
}

/* One window of all lanes */
INLINE void pool_window(int op, const real *first, ptrdiff_t a, ptrdiff_t row, ptrdiff_t b, ptrdiff_t column,
                        int padded, number divisor, ptrdiff_t lanes, real *y)
{
    const vreal divisors = vsplat(divisor);
    for (ptrdiff_t p = 0; p < lanes; p += LANES) {
        vreal all = fold_window(op, first + p, a, row, b, column);
        if (padded) /* with zeros */
            all = positive_zeros(all);
        vstore(y + p, op == SUM ? all / divisors : all);
    }
}

INLINE void pool_lanes(int op, const pooling *g, int include_pad, ptrdiff_t lanes, interval rows, const real *x,
                       real *line, real *y)
{
    const ptrdiff_t row = g->w * lanes, down = g->dh * row, right = g->dw * lanes;
    const int shared = g->sw < g->kw; /* a column is seen by several windows: it is folded once */
    for (ptrdiff_t i = rows.first; i < rows.last; i++) {
        const ptrdiff_t top = i * g->sh - g->top;
        const interval a = inside(g->h, top, g->dh, g->kh);
        const real *from = x + (top + a.first * g->dh) * row;
        const ptrdiff_t lines = shared ? 1 : a.last - a.first;
        const number height = (number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad);
        if (shared) {
            fold_lines(op, from, a.last - a.first, down, row, line);
            from = line;
        }
        for (ptrdiff_t j = 0; j < g->ow; j++, y += lanes) {
            const ptrdiff_t left = j * g->sw - g->left;
            const interval b = inside(g->w, left, g->dw, g->kw);
            const real *const first = from + (left + b.first * g->dw) * lanes;
            const ptrdiff_t columns = b.last - b.first;
            const int padded = op == SUM && columns < g->kw;
            const number count = height * (number)divisor(g->w, j * g->sw, g->kw, g->left, g->right, include_pad);
            if (lines == 1 && columns == 3)
                pool_window(op, first, 1, down, 3, right, padded, count, lanes, y);
            else if (lines == 2 && columns == 2)
                pool_window(op, first, 2, down, 2, right, padded, count, lanes, y);
            else
                pool_window(op, first, lines, down, columns, right, padded, count, lanes, y);
        }
    }
}

static void max_lanes(const pooling *g, ptrdiff_t lanes, interval rows, const real *x, real *line, real *y)
{
    pool_lanes(MAX, g, 0, lanes, rows, x, line, y);
}

static void mean_lanes(const pooling *g, int include_pad, ptrdiff_t lanes, interval rows, const real *x, real *line,
                       real *y)
{
    pool_lanes(SUM, g, include_pad, lanes, rows, x, line, y);
}

/* The maxima and their places: the first of equal ones, or of NaN. */
static void index_lanes(const pooling *g, ptrdiff_t lanes, interval rows, const real *x, real *y, real *places)
{
    const ptrdiff_t origin = max_size(0, rows.first * g->sh - g->top) * g->w;
    for (ptrdiff_t i = rows.first; i < rows.last; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++, y += lanes, places += lanes) {
            const ptrdiff_t top = i * g->sh - g->top, left = j * g->sw - g->left;
            const interval a = inside(g->h, top, g->dh, g->kh), b = inside(g->w, left, g->dw, g->kw);
            const ptrdiff_t start = (top + a.first * g->dh) * g->w + left + b.first * g->dw;
            for (ptrdiff_t p = 0; p < lanes; p += LANES) {
                vreal best = vload(x + start * lanes + p), place = vsplat((number)(start - origin));
                for (ptrdiff_t s = 0; s < a.last - a.first; s++)
                    for (ptrdiff_t t = 0; t < b.last - b.first; t++) {
                        const ptrdiff_t at = start + s * g->dh * g->w + t * g->dw;
                        const vreal next = vload(x + at * lanes + p);
                        const vint wins = (next > best) | ((next != next) & (best == best));
                        best = vselect(wins, next, best);
                        place = vselect(wins, vsplat((number)(at - origin)), place);
                    }
                vstore(y + p, best);
                vstore(places + p, place);
            }
        }
}

static void to_integers(ptrdiff_t count, const real *x, ptrdiff_t origin, int32_t *to)
{
    for (ptrdiff_t i = 0; i < count; i++)
        to[i] = (int32_t)x[i] + (int32_t)origin;
}

static void mean_backward_lanes(const pooling *g, int include_pad, ptrdiff_t lanes, interval rows, real *dy, real *line,
                                real *dx)
{
    const interval all = windows_that_see(rows.first, rows.last, g->top, g->kh, g->sh, g->oh);
    const ptrdiff_t row = g->ow * lanes;
    for (ptrdiff_t i = all.first; i < all.last; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            real *const share = dy + i * row + j * lanes;
            pool_window(SUM, share, 1, 0, 1, 0, 0,
                        (number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad) *
                            (number)divisor(g->w, j * g->sw, g->kw, g->left, g->right, include_pad),
                        lanes, share);
        }
    interval a = {all.first, all.first};
    for (ptrdiff_t r = rows.first; r < rows.last; r++, dx += g->w * lanes) {
        if (!move_windows(r, g->top, g->kh, g->sh, g->oh, &a) && r > rows.first) { /* as the row above */
            memcpy(dx, dx - g->w * lanes, (size_t)(g->w * lanes) * sizeof(number));
            continue;
        }
        if (a.first == a.last)
            memset(line, 0, (size_t)row * sizeof(number));
        else
            fold_lines(SUM, dy + a.first * row, a.last - a.first, row, row, line);
        interval b = {0, 0};
        for (ptrdiff_t c = 0; c < g->w; c++) {
            move_windows(c, g->left, g->kw, g->sw, g->ow, &b);
            pool_window(SUM, line + b.first * lanes, 1, 0, b.last - b.first, lanes, 1, 1, lanes, dx + c * lanes);
        }
    }
}

static void fetch(ptrdiff_t bytes, const char *x) { prefetch_stretch((uintptr_t)x, bytes); }

const narrow_pool_primitives NAME(narrow_pool) = {
    .max = max_lanes,
    .mean = mean_lanes,
    .indices = index_lanes,
    .to_integers = to_integers,
    .mean_backward = mean_backward_lanes,
    .fetch = fetch,
};
