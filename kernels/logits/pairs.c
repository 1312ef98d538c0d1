#include "parts.h"
#include "primitives.h"
#include "vmath.h"

INLINE vreal hinge(vreal x, number rest, vint *active)
{
    const vreal z = rest + x;
    *active = ~(z <= 0); /* a NaN is active: it shows in the sum */
    return vselect(*active, z, vsplat(0));
}

static double margins(ptrdiff_t d, const real *x, ptrdiff_t target, double margin, double scale, real *dx)
{
    assert(d >= 1 && target >= 0 && target < d && x != dx);
    const number rest = (number)margin - x[target], step = (number)scale;
    vdouble_sum sum = {0}, count = {0};
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t some = d - j;
        vint active;
        const vreal terms = hinge(load_some(x + j, some), rest, &active);
        add_to(&sum, first_lanes(terms, some, 0));
        if (dx) {
            const vreal ones = vselect(active, vsplat(1), vsplat(0));
            add_to(&count, first_lanes(ones, some, 0));
            store_some(dx + j, ones * step, some);
        }
    }
    vint active; /* of the target itself, which is no term */
    const double own = (double)hinge(vsplat(x[target]), rest, &active)[0];
    if (dx) {
        const double others = total_of(&count, 1) - (active[0] != 0);
        dx[target] = (number)(-scale * others);
    }
    return total_of(&sum, 1) - own;
}

static double gaussian_kl(ptrdiff_t d, const real *m, const real *v, double scale, real *dm, real *dv)
{
    vdouble_sum sum = {0};
    const number factor = (number)scale;
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t some = d - j;
        const vreal mean = load_some(m + j, some), log_var = load_some(v + j, some), rise = vexpm1(log_var);
        add_to(&sum, first_lanes((number)0.5 * vfma(mean, mean, rise - log_var), some, 0));
        if (dm)
            store_some(dm + j, factor * mean, some);
        if (dv)
            store_some(dv + j, factor * ((number)0.5 * rise), some);
    }
    return total_of(&sum, 1);
}

/* sum += a b, in double precision */
INLINE void add_product(vdouble_sum *sum, const vdouble a[LANES / DOUBLE_LANES], const vdouble b[LANES / DOUBLE_LANES])
{
    UNROLL for (int i = 0; i < LANES / DOUBLE_LANES; i++) sum->part[i] = vfma_double(a[i], b[i], sum->part[i]);
}

static void dots(ptrdiff_t d, const real *a, const real *b, double *sums)
{
    vdouble_sum sum[3] = {0};
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        vdouble left[LANES / DOUBLE_LANES], right[LANES / DOUBLE_LANES];
        widen(load_or(a + j, d - j, 0), left);
        widen(load_or(b + j, d - j, 0), right);
        add_product(&sum[0], left, left);
        add_product(&sum[1], left, right);
        add_product(&sum[2], right, right);
    }
    for (int i = 0; i < 3; i++)
        sums[i] = total_of(&sum[i], 1);
}

static double distance(ptrdiff_t d, const real *a, const real *b, double shift)
{
    vdouble_sum sum = {0};
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t some = d - j;
        const vreal step = load_some(a + j, some) - load_some(b + j, some) + (number)shift;
        add_square_to(&sum, first_lanes(step, some, 0));
    }
    return total_of(&sum, 1);
}

static void difference(ptrdiff_t d, const real *a, const real *b, double shift, double factor, real *y)
{
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t some = d - j;
        const vreal step = load_some(a + j, some) - load_some(b + j, some) + (number)shift;
        store_some(y + j, (number)factor * step, some);
    }
}

static void combine(ptrdiff_t d, const real *a, const real *b, double p, double q, real *y)
{
    for (ptrdiff_t j = 0; j < d; j += LANES) {
        const ptrdiff_t some = d - j;
        store_some(y + j, vfma(vsplat((number)p), load_some(a + j, some), (number)q * load_some(b + j, some)), some);
    }
}

const pair_primitives NAME(pairs) = {
    .margins = margins,
    .gaussian_kl = gaussian_kl,
    .dots = dots,
    .distance = distance,
    .difference = difference,
    .combine = combine,
};
