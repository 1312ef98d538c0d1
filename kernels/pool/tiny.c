#include "parts.h"
#include "primitives.h"
#include "taps.h"

#include <math.h>

/* Tiny planes, one to a lane: no row of a plane fills a vector. Sums and maxima are taken in the order of pool.c, and zeros have
 * the signs that they have there. */

enum { MAX, SUM };

INLINE vreal combine(int op, vreal a, vreal b) { return op == SUM ? a + b : vmax_or_nan(a, b); }

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

INLINE void pool_tiny(int op, const pooling *g, int include_pad, ptrdiff_t planes, const real *x, real *y)
{
    const ptrdiff_t row = g->w * planes;
    for (ptrdiff_t i = 0; i < g->oh; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++, y += planes) {
            const ptrdiff_t top = i * g->sh - g->top, left = j * g->sw - g->left;
            const range a = taps_inside(g->h, top, g->dh, g->kh), b = taps_inside(g->w, left, g->dw, g->kw);
            const real *const first = x + (top + a.first * g->dh) * row + (left + b.first * g->dw) * planes;
            const vreal count = vsplat((number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad) *
                                       (number)divisor(g->w, j * g->sw, g->kw, g->left, g->right, include_pad));
            const int padded = op == SUM && b.last - b.first < g->kw; /* with zeros */
            for (ptrdiff_t p = 0; p < planes; p += LANES) {
                vreal all = fold_window(op, first + p, a.last - a.first, g->dh * row, b.last - b.first, g->dw * planes);
                if (padded)
                    all = positive_zeros(all);
                vstore(y + p, op == SUM ? all / count : all);
            }
        }
}

static void max_tiny(const pooling *g, ptrdiff_t planes, const real *x, real *y) { pool_tiny(MAX, g, 0, planes, x, y); }

static void mean_tiny(const pooling *g, int include_pad, ptrdiff_t planes, const real *x, real *y)
{
    pool_tiny(SUM, g, include_pad, planes, x, y);
}

/* The maxima and their places: the first of equal ones, or of NaN. */
static void indices_tiny(const pooling *g, ptrdiff_t planes, const real *x, real *y, real *places)
{
    for (ptrdiff_t i = 0; i < g->oh; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++, y += planes, places += planes) {
            const ptrdiff_t top = i * g->sh - g->top, left = j * g->sw - g->left;
            const range a = taps_inside(g->h, top, g->dh, g->kh), b = taps_inside(g->w, left, g->dw, g->kw);
            const ptrdiff_t start = (top + a.first * g->dh) * g->w + left + b.first * g->dw;
            for (ptrdiff_t p = 0; p < planes; p += LANES) {
                vreal best = vload(x + start * planes + p), place = vsplat((number)start);
                for (ptrdiff_t s = 0; s < a.last - a.first; s++)
                    for (ptrdiff_t t = 0; t < b.last - b.first; t++) {
                        const ptrdiff_t at = start + s * g->dh * g->w + t * g->dw;
                        const vreal next = vload(x + at * planes + p);
                        const vint wins = (next > best) | ((next != next) & (best == best));
                        best = vselect(wins, next, best);
                        place = vselect(wins, vsplat((number)at), place);
                    }
                vstore(y + p, best);
                vstore(places + p, place);
            }
        }
}

static void to_integers(ptrdiff_t count, const real *x, int32_t *to)
{
    for (ptrdiff_t i = 0; i < count; i++)
        to[i] = (int32_t)x[i];
}

/* The windows that see element r of an axis. */
INLINE range windows_at(ptrdiff_t r, ptrdiff_t begin, ptrdiff_t kernel, ptrdiff_t stride, ptrdiff_t count)
{
    const ptrdiff_t last = min_size((r + begin) / stride + 1, count);
    return (range){min_size(ceil_quotient(r + begin - kernel + 1, stride), last), last};
}

static void mean_backward_tiny(const pooling *g, int include_pad, ptrdiff_t planes, real *dy, real *dx)
{
    for (ptrdiff_t i = 0; i < g->oh; i++)
        for (ptrdiff_t j = 0; j < g->ow; j++) {
            const vreal count = vsplat((number)divisor(g->h, i * g->sh, g->kh, g->top, g->bottom, include_pad) *
                                       (number)divisor(g->w, j * g->sw, g->kw, g->left, g->right, include_pad));
            real *const share = dy + (i * g->ow + j) * planes;
            for (ptrdiff_t p = 0; p < planes; p += LANES)
                vstore(share + p, vload(share + p) / count);
        }
    for (ptrdiff_t r = 0; r < g->h; r++)
        for (ptrdiff_t c = 0; c < g->w; c++, dx += planes) {
            const range a = windows_at(r, g->top, g->kh, g->sh, g->oh), b = windows_at(c, g->left, g->kw, g->sw, g->ow);
            const ptrdiff_t rows = a.last - a.first, columns = rows > 0 ? b.last - b.first : 0;
            const real *const first = dy + (a.first * g->ow + b.first) * planes;
            for (ptrdiff_t p = 0; p < planes; p += LANES)
                vstore(dx + p, positive_zeros(fold_window(SUM, first + p, rows, g->ow * planes, columns, planes)));
        }
}

const tiny_pool_primitives NAME(tiny_pool) = {
    .max = max_tiny,
    .mean = mean_tiny,
    .indices = indices_tiny,
    .to_integers = to_integers,
    .mean_backward = mean_backward_tiny,
};
