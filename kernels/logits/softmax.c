#include "parts.h"
#include "primitives.h"
#include "shuffle.h"
#include "softmax_lanes.h"
#include "vmath.h"

#include <math.h>

INLINE number lane_max(vreal v)
{
    UNROLL for (int left = LANES; left > 1; left /= 2) /* each step meets the other half of what is left, twice */
        v = vmax(__builtin_shufflevector(v, v, LOW), __builtin_shufflevector(v, v, HIGH));
    return v[0];
}

/* A NaN may be passed over here: it comes back with exp(NaN - m). */
INLINE number row_max(ptrdiff_t c, const real *x)
{
    vreal most[2] = {vsplat(-INFINITY), vsplat(-INFINITY)};
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= c; j += 2 * LANES)
        UNROLL for (int h = 0; h < 2; h++)
        {
            prefetch_ahead(x + j + h * LANES);
            most[h] = vmax(vload(x + j + h * LANES), most[h]);
        }
    for (; j < c; j += LANES)
        most[0] = vmax(load_or(x + j, c - j, -INFINITY), most[0]);
    return lane_max(vmax(most[0], most[1]));
}

/* A piece of a sum over a row: of terms in a_j, b_j and the constants, which may also be written to y. */
typedef number (*piece_fn)(ptrdiff_t count, const real *a, const real *b, number m, number n, real *y);

INLINE number row_total(piece_fn piece, ptrdiff_t c, const real *a, const real *b, number m, number n, real *y)
{
    enum { PIECE = LONGEST_CHAIN * LANES };
    if (c <= PIECE)
        return piece(c, a, b, m, n, y);
    double total = 0;
    for (ptrdiff_t j = 0; j < c; j += PIECE)
        total += (double)piece(min_size(c - j, PIECE), a + j, b ? b + j : NULL, m, n, y ? y + j : NULL);
    return (number)total;
}

/* The sum of exp(x_j - m); the exponentials into y unless it is NULL. */
INLINE number exp_piece(ptrdiff_t c, const real *x, const real *b, number m, number n, real *y)
{
    (void)b, (void)n;
    vreal sum[2] = {{0}};
    ptrdiff_t j = 0;
    for (; j + 2 * LANES <= c; j += 2 * LANES)
        UNROLL for (int h = 0; h < 2; h++)
        {
            prefetch_ahead(x + j + h * LANES); /* most often of the next row */
            const vreal e = vexp_fall(vload(x + j + h * LANES) - m);
            sum[h] += e;
            if (y)
                vstore(y + j + h * LANES, e);
        }
    for (; j < c; j += LANES) {
        const vreal e = vexp_fall(load_or(x + j, c - j, m) - m);
        sum[0] += first_lanes(e, c - j, 0);
        if (y)
            store_some(y + j, e, c - j);
    }
    return lane_sum(sum[0] + sum[1]);
}
INLINE number row_exp(ptrdiff_t c, const real *x, number m, real *y)
{
    return row_total(exp_piece, c, x, NULL, m, 0, y);
}

/* The sum of a_j b_j, of a_j, of a_j (m - b_j). */
INLINE number product_piece(ptrdiff_t c, const real *a, const real *b, number m, number n, real *y)
{
    (void)m, (void)n, (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j += LANES)
        sum = vfma(load_or(a + j, c - j, 0), load_or(b + j, c - j, 0), sum);
    return lane_sum(sum);
}
INLINE number plain_piece(ptrdiff_t c, const real *a, const real *b, number m, number n, real *y)
{
    (void)b, (void)m, (void)n, (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j += LANES)
        sum += load_or(a + j, c - j, 0);
    return lane_sum(sum);
}
INLINE number difference_piece(ptrdiff_t c, const real *a, const real *b, number m, number n, real *y)
{
    (void)n, (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j += LANES)
        sum = vfma(load_or(a + j, c - j, 0), m - load_or(b + j, c - j, m), sum);
    return lane_sum(sum);
}

/* The sum of y_j = (a_j keep + even) b_j, b 1 if there is none. */
INLINE number base_piece(ptrdiff_t c, const real *a, const real *b, number keep, number even, real *y)
{
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j += LANES) {
        vreal q = vfma(load_or(a + j, c - j, 0), vsplat(keep), vsplat(even));
        q = q * (b ? load_or(b + j, c - j, 0) : vsplat(1));
        store_some(y + j, q, c - j);
        sum += first_lanes(q, c - j, 0);
    }
    return lane_sum(sum);
}

/* y_j = (e_j factor - base_j) scale, base 0 if there is none; e may be y. */
INLINE vreal finished(const int based, vreal e, number factor, vreal base, number scale)
{
    return based ? vfms(e, vsplat(factor), base) * scale : e * (factor * scale);
}

INLINE void finish_part(const int based, ptrdiff_t count, const real *e, number factor, const real *base, number scale,
                        real *y)
{
    vstore_part(y, finished(based, vload_part(e, count), factor, based ? vload_part(base, count) : vsplat(0), scale),
                count);
}

INLINE void finish_row(const int based, ptrdiff_t c, const real *e, number factor, const real *base, number scale,
                       real *y)
{
    ptrdiff_t j = e == y ? 0 : to_boundary(c, y);
    const int streamed = may_stream(e != y, y + j);
    if (j > 0)
        finish_part(based, j, e, factor, base, scale, y);
    for (; j + LANES <= c; j += LANES)
        put(y + j, finished(based, vload(e + j), factor, based ? vload(base + j) : vsplat(0), scale), streamed);
    if (j < c)
        finish_part(based, c - j, e + j, factor, base + j, scale, y + j);
}

INLINE void row_finish(ptrdiff_t c, const real *e, number factor, const real *base, number scale, real *y)
{
    if (base)
        finish_row(1, c, e, factor, base, scale, y);
    else
        finish_row(0, c, e, factor, e, scale, y); /* not read: a pointer to add to */
}

INLINE number log_of(number x) { return vlog(vsplat(x))[0]; }

static void rows_softmax(ptrdiff_t count, ptrdiff_t c, const char *x, ptrdiff_t x_bytes, real *y, real *scratch)
{
    assert(count >= 0 && c >= 1);
    for (; count > 0; count--, x += x_bytes, y += c) {
        real *const e = scratch ? scratch : y;
        const number sum = row_exp(c, (const real *)x, row_max(c, (const real *)x), e);
        row_finish(c, e, 1 / sum, NULL, 1, y); /* 1 <= sum: divisions would take as long as the exponentials */
    }
}

/* y_j = x_j - max - log_sum */
INLINE void row_less(ptrdiff_t c, const real *x, number max, number log_sum, int streamed, real *y)
{
    ptrdiff_t j = streamed ? to_boundary(c, y) : 0;
    streamed = may_stream(streamed, y + j);
    if (j > 0)
        vstore_part(y, vload_part(x, j) - max - log_sum, j);
    for (; j + LANES <= c; j += LANES)
        put(y + j, vload(x + j) - max - log_sum, streamed);
    if (j < c)
        vstore_part(y + j, vload_part(x + j, c - j) - max - log_sum, c - j);
}

/* One logarithm, which takes as long as a short row, for the sums of several rows that stay in the cache. */
static void rows_log_softmax(ptrdiff_t count, ptrdiff_t c, const char *x, ptrdiff_t x_bytes, real *y, real *scratch)
{
    assert(count >= 0 && c >= 1);
    enum { CACHED = 16384 / sizeof(number) };
    const ptrdiff_t most = c * LANES <= CACHED ? LANES : c <= CACHED ? CACHED / c : 1;
    number max[LANES], sum[LANES] = {0};
    for (; count > 0; count -= most, x += most * x_bytes, y += most * c) {
        const int rows = (int)(count < most ? count : most);
        for (int r = 0; r < rows; r++) {
            const real *row = (const real *)(x + r * x_bytes);
            max[r] = row_max(c, row);
            sum[r] = row_exp(c, row, max[r], NULL);
        }
        vstore(sum, vlog(vload(sum)));
        for (int r = 0; r < rows; r++)
            row_less(c, (const real *)(x + r * x_bytes), max[r], sum[r], scratch != NULL, y + r * c);
    }
}

static void row_softmax_backward(ptrdiff_t c, const real *dy, const real *y, real *dx)
{
    assert(c >= 1);
    const number total = row_total(product_piece, c, dy, y, 0, 0, NULL);
    for (ptrdiff_t j = 0; j < c; j += LANES)
        store_some(dx + j, load_or(y + j, c - j, 0) * (load_or(dy + j, c - j, 0) - total), c - j);
}

static void row_log_softmax_backward(ptrdiff_t c, const real *dy, const real *y, real *dx)
{
    assert(c >= 1);
    const number total = row_total(plain_piece, c, dy, NULL, 0, 0, NULL);
    for (ptrdiff_t j = 0; j < c; j += LANES)
        store_some(dx + j, vfnma(vsplat(total), vexp(load_or(y + j, c - j, 0)), load_or(dy + j, c - j, 0)), c - j);
}

static void row_cross_entropy(ptrdiff_t c, const real *x, const real *base, double base_sum,
                              const sample_target *target, real *dx, real *loss, real *scratch)
{
    assert(c >= 1 && target->target >= TARGET_IGNORED && target->target < c);
    if (target->target == TARGET_IGNORED) {
        *loss = 0;
        if (dx)
            memset(dx, 0, (size_t)c * sizeof(number));
        return;
    }
    const number m = row_max(c, x), hard = (number)target->hard;
    const number at_target = target->target >= 0 ? m - x[target->target] : 0; /* before dx, which may be x */
    const number terms = base ? row_total(difference_piece, c, base, x, m, 0, NULL) : 0;
    real *const e = dx && scratch ? scratch : dx;
    const number sum = row_exp(c, x, m, e), log_sum = log_of(sum);
    number total = 0;
    if (base)
        total = terms + (number)base_sum * log_sum;
    if (target->target >= 0)
        total += hard * (at_target + log_sum);
    *loss = total;
    if (dx) {
        const double scale = target->scale;
        row_finish(c, e, (number)((base_sum + target->hard) / sum), base, (number)scale, dx);
        if (target->target >= 0)
            dx[target->target] -= (number)(scale * target->hard);
    }
}

static double row_base(ptrdiff_t c, const real *target, const real *weight, double keep, double even, real *base)
{
    assert(c >= 1);
    return row_total(base_piece, c, target, weight, (number)keep, (number)even, base);
}

const softmax_primitives NAME(softmax) = {
    .rows_softmax = rows_softmax,
    .rows_log_softmax = rows_log_softmax,
    .row_softmax_backward = row_softmax_backward,
    .row_log_softmax_backward = row_log_softmax_backward,
    .row_cross_entropy = row_cross_entropy,
    .row_base = row_base,
    .lanes_softmax = lanes_softmax,
    .lanes_log_softmax = lanes_log_softmax,
    .lanes_softmax_backward = lanes_softmax_backward,
    .lanes_log_softmax_backward = lanes_log_softmax_backward,
    .lanes_cross_entropy = lanes_cross_entropy,
    .lanes_base = lanes_base,
};
