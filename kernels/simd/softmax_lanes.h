/* Softmax of LANES samples at once: x[j * LANES + l] is class j of sample l. Part of softmax.c. */
#ifndef NPK_SOFTMAX_LANES_H
#define NPK_SOFTMAX_LANES_H

#include "vmath.h"

#include <math.h>

INLINE vreal lanes_max(ptrdiff_t c, const real *x)
{
    vreal most = vsplat(-INFINITY);
    for (ptrdiff_t j = 0; j < c; j++)
        most = vmax(vload(x + j * LANES), most);
    return most;
}

INLINE vreal lanes_exp(ptrdiff_t c, const real *x, vreal m, real *y)
{
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++) {
        const vreal e = vexp_fall(vload(x + j * LANES) - m);
        sum += e;
        if (y)
            vstore(y + j * LANES, e);
    }
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
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++)
        sum = vfma(vload(dy + j * LANES), vload(y + j * LANES), sum);
    for (ptrdiff_t j = 0; j < c; j++)
        vstore(dx + j * LANES, vload(y + j * LANES) * (vload(dy + j * LANES) - sum));
}

static void lanes_log_softmax_backward(ptrdiff_t c, const real *dy, const real *y, real *dx)
{
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++)
        sum += vload(dy + j * LANES);
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
    for (ptrdiff_t l = 0; l < count; l++)
        if (targets[l].target >= 0)
            total[l] = m[l] - x[targets[l].target * LANES + l];
    if (base)
        for (ptrdiff_t j = 0; j < c; j++)
            terms = vfma(shared ? vsplat(base[j]) : vload(base + j * LANES), m - vload(x + j * LANES), terms);
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
    vreal sum = {0};
    for (ptrdiff_t j = 0; j < c; j++) {
        const vreal p = vfma(vload(target + j * LANES), vsplat((number)keep), vsplat((number)even));
        const vreal q = p * (weight ? weight[j] : 1);
        vstore(base + j * LANES, q);
        sum += q;
    }
    for (int l = 0; l < LANES; l++)
        sums[l] = sum[l];
}

#endif
