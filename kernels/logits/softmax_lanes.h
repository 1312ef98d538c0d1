/* Softmax of LANES samples at once: x[j * LANES + l] is class j of sample l. Part of softmax.c. */
#ifndef NPK_SOFTMAX_LANES_H
#define NPK_SOFTMAX_LANES_H

#include "parts.h"
#include "vmath.h"

#include <math.h>

INLINE vreal lanes_max(ptrdiff_t c, const real *x)
{
    assert(c >= 1);
    vreal most = vsplat(-INFINITY);
    for (ptrdiff_t j = 0; j < c; j++)
        most = vmax(vload(x + j * LANES), most);
    return most;
}

/* A piece of the sums of all lanes: of terms in a, b and m, which may also be written to y; b is `step` apart. */
typedef vreal (*lanes_fn)(ptrdiff_t count, const real *a, const real *b, ptrdiff_t step, vreal m, real *y);

INLINE vreal lanes_total(lanes_fn piece, ptrdiff_t c, const real *a, const real *b, ptrdiff_t step, vreal m, real *y)
{
    enum { PIECE = LONGEST_CHAIN };
    if (c <= PIECE)
        return piece(c, a, b, step, m, y);
    vwide total = {0};
    for (ptrdiff_t j = 0; j < c; j += PIECE)
        total += vwiden(
            piece(min_size(c - j, PIECE), a + j * LANES, b ? b + j * step : NULL, step, m, y ? y + j * LANES : NULL));
    return vnarrow(total);
}

INLINE vreal lanes_exp_piece(ptrdiff_t c, const real *x, const real *b, ptrdiff_t step, vreal m, real *y)
{
    (void)b, (void)step;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++) {
        const vreal e = vexp_fall(vload(x + j * LANES) - m);
        sum += e;
        if (y)
            vstore(y + j * LANES, e);
    }
    return sum;
}
INLINE vreal lanes_exp(ptrdiff_t c, const real *x, vreal m, real *y)
{
    return lanes_total(lanes_exp_piece, c, x, NULL, 0, m, y);
}

/* a_j b_j, a_j, (m - a_j) b_j */
INLINE vreal lanes_product_piece(ptrdiff_t c, const real *a, const real *b, ptrdiff_t step, vreal m, real *y)
{
    (void)step, (void)m, (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++)
        sum = vfma(vload(a + j * LANES), vload(b + j * LANES), sum);
    return sum;
}
INLINE vreal lanes_plain_piece(ptrdiff_t c, const real *a, const real *b, ptrdiff_t step, vreal m, real *y)
{
    (void)b, (void)step, (void)m, (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++)
        sum += vload(a + j * LANES);
    return sum;
}
INLINE vreal lanes_difference_piece(ptrdiff_t c, const real *a, const real *b, ptrdiff_t step, vreal m, real *y)
{
    (void)y;
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++)
        sum = vfma(step == 1 ? vsplat(b[j]) : vload(b + j * step), m - vload(a + j * LANES), sum);
    return sum;
}

static void lanes_softmax(ptrdiff_t c, const real *x, real *y)
{
    const vreal factor = 1 / lanes_exp(c, x, lanes_max(c, x), y);
    for (ptrdiff_t j = 0; j < c; j++)
        vstore(y + j * LANES, vload(y + j * LANES) * factor);
}

static void lanes_log_softmax(ptrdiff_t c, const real *x, real *y)
{
    const vreal m = lanes_max(c, x), log_sum = vlog(lanes_exp(c, x, m, NULL));
    for (ptrdiff_t j = 0; j < c; j++)
        vstore(y + j * LANES, vload(x + j * LANES) - m - log_sum);
}

static void lanes_softmax_backward(ptrdiff_t c, const real *dy, const real *y, real *dx)
{
    const vreal sum = lanes_total(lanes_product_piece, c, dy, y, LANES, (vreal){0}, NULL);
    for (ptrdiff_t j = 0; j < c; j++)
        vstore(dx + j * LANES, vload(y + j * LANES) * (vload(dy + j * LANES) - sum));
}

static void lanes_log_softmax_backward(ptrdiff_t c, const real *dy, const real *y, real *dx)
{
    const vreal sum = lanes_total(lanes_plain_piece, c, dy, NULL, 0, (vreal){0}, NULL);
    for (ptrdiff_t j = 0; j < c; j++)
        vstore(dx + j * LANES, vfnma(sum, vexp(vload(y + j * LANES)), vload(dy + j * LANES)));
}

static void lanes_cross_entropy(ptrdiff_t c, ptrdiff_t count, const real *x, const real *base, int shared,
                                const double *base_sum, const sample_target *targets, real *dx, real *loss)
{
    assert(c >= 1 && count >= 1 && count <= LANES);
    const vreal m = lanes_max(c, x);
    number total[LANES] = {0}, factor[LANES] = {0}, scale[LANES] = {0};
    vreal terms = {0};
    for (ptrdiff_t l = 0; l < count; l++) {
        assert(targets[l].target >= TARGET_IGNORED && targets[l].target < c);
        if (targets[l].target >= 0)
            total[l] = m[l] - x[targets[l].target * LANES + l];
    }
    if (base)
        terms = lanes_total(lanes_difference_piece, c, x, base, shared ? 1 : LANES, m, NULL);
    const vreal sum = lanes_exp(c, x, m, dx), log_sum = vlog(sum);
    for (ptrdiff_t l = 0; l < count; l++) {
        const sample_target *const t = &targets[l];
        const double q = (base ? base_sum[l] : 0) + t->hard;
        total[l] = t->target >= 0 ? (number)t->hard * (total[l] + log_sum[l]) : 0;
        loss[l] = total[l] + (base ? terms[l] + (number)base_sum[l] * log_sum[l] : 0);
        factor[l] = (number)(t->scale * q / sum[l]);
        scale[l] = (number)t->scale;
        if (t->target == TARGET_IGNORED)
            loss[l] = 0;
    }
    if (!dx)
        return;
    for (ptrdiff_t j = 0; j < c; j++) {
        vreal d = vload(dx + j * LANES) * vload(factor);
        if (base)
            d = vfnma(vload(scale), shared ? vsplat(base[j]) : vload(base + j * LANES), d);
        vstore(dx + j * LANES, d);
    }
    for (ptrdiff_t l = 0; l < count; l++)
        if (targets[l].target >= 0)
            dx[targets[l].target * LANES + l] -= (number)(targets[l].scale * targets[l].hard);
        else if (targets[l].target == TARGET_IGNORED)
            for (ptrdiff_t j = 0; j < c; j++)
                dx[j * LANES + l] = 0;
}

static void lanes_base(ptrdiff_t c, const real *target, const real *weight, double keep, double even, real *base,
                       double *sums)
{
    for (ptrdiff_t j = 0; j < c; j++) {
        const vreal p = vfma(vload(target + j * LANES), vsplat((number)keep), vsplat((number)even));
        vstore(base + j * LANES, p * (weight ? weight[j] : 1));
    }
    const vreal sum = lanes_total(lanes_plain_piece, c, base, NULL, 0, (vreal){0}, NULL);
    for (int l = 0; l < LANES; l++)
        sums[l] = sum[l];
}

#endif
