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

/* One vector of some rows, while gamma and what is added to it are in registers. */
INLINE void add_gradients(const int rows, ptrdiff_t at, ptrdiff_t count, const norm_row_operands *from, const real *gamma,
                          vreal *first, vreal *second, real *dgamma, real *dbeta, const int shifted)
{
    const vreal by = load_some(gamma + at, count);
    vreal along = load_some(dgamma + at, count), sum = shifted ? load_some(dbeta + at, count) : by;
    UNROLL for (int r = 0; r < rows; r++)
    {
        const number centre = (number)from->mean[r], factor = (number)from->scale[r];
        const vreal d = load_some(from->dy[r] + at, count), g = d * by;
        const vreal t = (load_or(from->x[r] + at, count, centre) - centre) * factor;
        second[r] = vfma(g, t, second[r]);
        along = vfma(d, t, along);
        if (shifted) {
            first[r] += g;
            sum += d;
        }
    }
    store_some(dgamma + at, along, count);
    if (shifted)
        store_some(dbeta + at, sum, count);
}

INLINE void add_rows(const int rows, ptrdiff_t count, const norm_row_operands *from, const real *gamma, double *sums,
                     real *dgamma, real *dbeta, const int shifted)
{
    vreal first[NORM_ROWS] = {{0}}, second[NORM_ROWS] = {{0}};
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        add_gradients(rows, i, LANES, from, gamma, first, second, dgamma, dbeta, shifted);
    if (i < count)
        add_gradients(rows, i, count - i, from, gamma, first, second, dgamma, dbeta, shifted);
    UNROLL for (int r = 0; r < rows; r++)
    {
        sums[2 * r] += shifted ? lane_sum(first[r]) : 0;
        sums[2 * r + 1] += lane_sum(second[r]);
    }
}

static void row_gradient_sums(ptrdiff_t rows, ptrdiff_t count, const norm_row_operands *from, const real *gamma,
                              double *sums, real *dgamma, real *dbeta)
{
    norm_row_operands one;
    if (rows == NORM_ROWS && dbeta) {
        add_rows(NORM_ROWS, count, from, gamma, sums, dgamma, dbeta, 1);
        return;
    }
    if (rows == NORM_ROWS) {
        add_rows(NORM_ROWS, count, from, gamma, sums, dgamma, NULL, 0);
        return;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        one.dy[0] = from->dy[r], one.x[0] = from->x[r], one.mean[0] = from->mean[r], one.scale[0] = from->scale[r];
        if (dbeta)
            add_rows(1, count, &one, gamma, sums + 2 * r, dgamma, dbeta, 1);
        else
            add_rows(1, count, &one, gamma, sums + 2 * r, dgamma, NULL, 0);
    }
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
