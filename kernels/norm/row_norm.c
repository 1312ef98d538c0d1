#include "parts.h"
#include "primitives.h"

/* Without beta, y = t gamma. */
INLINE void row_map(ptrdiff_t count, const real *x, double mean, double scale, const real *gamma, const real *beta,
                    real *y, const int shifted)
{
    const number centre = (number)mean, rest = (number)(mean - centre), factor = (number)scale;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t some = count - i;
        const vreal t = ((load_some(x + i, some) - centre) - rest) * factor, by = load_some(gamma + i, some);
        store_some(y + i, shifted ? vfma(t, by, load_some(beta + i, some)) : t * by, some);
    }
}

static void row(ptrdiff_t count, const real *x, double mean, double scale, const real *gamma, const real *beta, real *y)
{
    if (beta)
        row_map(count, x, mean, scale, gamma, beta, y, 1);
    else
        row_map(count, x, mean, scale, gamma, beta, y, 0);
}

/* One vector of row_gradient_sums. */
INLINE void add_gradients(ptrdiff_t count, const real *dy, const real *x, const real *gamma, number centre,
                          number factor, vreal *first, vreal *second, real *dgamma, real *dbeta, const int shifted)
{
    const vreal d = load_some(dy, count), t = (load_or(x, count, centre) - centre) * factor,
                g = d * load_some(gamma, count);
    *second = vfma(g, t, *second);
    store_some(dgamma, vfma(d, t, load_some(dgamma, count)), count);
    if (!shifted)
        return;
    *first += g;
    store_some(dbeta, load_some(dbeta, count) + d, count);
}

INLINE void add_row(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean, double scale,
                    double sums[2], real *dgamma, real *dbeta, const int shifted)
{
    enum { PAIR = 2 };
    const number centre = (number)mean, factor = (number)scale;
    vreal first[PAIR] = {{0}}, second[PAIR] = {{0}};
    ptrdiff_t i = 0;
    for (; i + PAIR * LANES <= count; i += PAIR * LANES)
        UNROLL for (int c = 0; c < PAIR; c++)
        {
            const ptrdiff_t at = i + c * LANES;
            add_gradients(LANES, dy + at, x + at, gamma + at, centre, factor, &first[c], &second[c], dgamma + at,
                          dbeta + at, shifted);
        }
    for (; i < count; i += LANES)
        add_gradients(count - i, dy + i, x + i, gamma + i, centre, factor, first, second, dgamma + i, dbeta + i,
                      shifted);
    if (shifted)
        sums[0] += lane_sum(first[0] + first[1]);
    sums[1] += lane_sum(second[0] + second[1]);
}

static void row_gradient_sums(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean,
                              double scale, double sums[2], real *dgamma, real *dbeta)
{
    if (dbeta)
        add_row(count, dy, x, gamma, mean, scale, sums, dgamma, dbeta, 1);
    else
        add_row(count, dy, x, gamma, mean, scale, sums, dgamma, dgamma, 0); /* where nobody writes */
}

static void row_gradient(ptrdiff_t count, const real *dy, const real *x, const real *gamma, double mean, double scale,
                         double offset, double slope, real *dx)
{
    const number centre = (number)mean, factor = (number)scale, by = (number)offset, along = (number)slope;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t some = count - i;
        const vreal t = (load_some(x + i, some) - centre) * factor;
        const vreal g = vfms(load_some(dy + i, some), load_some(gamma + i, some), vsplat(by));
        store_some(dx + i, vfnma(vsplat(along), t, g) * factor, some);
    }
}

const row_norm_primitives NAME(row_norm) = {
    .row = row,
    .row_gradient_sums = row_gradient_sums,
    .row_gradient = row_gradient,
};
