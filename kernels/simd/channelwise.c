#include "activation_linear.h"
#include "parts.h"
#include "primitives.h"

/* Every function is two of a vector: the value, and the gradient, which also gives dy df/dparameter in `terms`. */

/* slope x, also where that is 0 inf: there the limit, 0 */
INLINE vreal lines(vreal slope, vreal x) { return vselect(slope == 0, zero, slope * x); }

/* slope x for x < 0, else x */
INLINE vreal prelu_value(vreal x, const vreal *p) { return vselect(x < 0, lines(p[0], x), x); }
INLINE vreal prelu_gradient(vreal dy, vreal x, const vreal *p, vreal *terms)
{
    terms[0] = vselect(x < 0, dy * x, zero);
    return vselect(x < 0, p[0] * dy, dy);
}

/* sign relu(sign x), the sign 1 or -1 */
INLINE vreal brelu_value(vreal x, const vreal *p) { return p[0] * vmax(zero, p[0] * x); }
INLINE vreal brelu_gradient(vreal dy, vreal x, const vreal *p, vreal *terms)
{
    terms[0] = zero;
    return vselect(p[0] * x <= 0, zero, dy);
}

/* t + a (x - t) on either side, x between; f' = a, df/dt = 1 - a, df/da = x - t.
 * X. Jin et al., "Deep learning with S-shaped rectified linear activation units", AAAI 2016. */
INLINE vreal srelu_value(vreal x, const vreal *p)
{
    const vreal right = vselect(x >= p[2], p[2] + lines(p[3], x - p[2]), x);
    return vselect(x <= p[0], p[0] + lines(p[1], x - p[0]), right);
}
INLINE vreal srelu_gradient(vreal dy, vreal x, const vreal *p, vreal *terms)
{
    const vint left = x <= p[0], right = (x >= p[2]) & ~left;
    terms[0] = vselect(left, dy * (1 - p[1]), zero);
    terms[1] = vselect(left, dy * (x - p[0]), zero);
    terms[2] = vselect(right, dy * (1 - p[3]), zero);
    terms[3] = vselect(right, dy * (x - p[2]), zero);
    return vselect(left, p[1] * dy, vselect(right, p[3] * dy, dy));
}

/* Parameter k of the elements from i on, `rest` to the end of the row. */
INLINE vreal parameter(const channel_parameters *c, int k, ptrdiff_t i, ptrdiff_t rest)
{
    const real *at = c->parameters + k * c->pitch;
    return c->step ? load_some(at + i, rest) : vsplat(*at);
}

/* Adds the terms of parameter k: those of one channel to `total`, which `finish` adds up, else each to its own sum. */
INLINE void add(const channel_parameters *c, int k, ptrdiff_t i, ptrdiff_t rest, vreal terms,
                vdouble_sum *total)
{
    double *sums = c->sums + k * c->sums_pitch + i;
    if (!c->step)
        add_to(total, terms);
    else if (rest >= LANES)
        *(vwide_memory *)sums += vwiden(terms);
    else
        for (ptrdiff_t lane = 0; lane < rest; lane++)
            sums[lane] += terms[lane];
}
INLINE void finish(const channel_parameters *c, int k, const vdouble_sum *total)
{
    if (!c->step)
        c->sums[k * c->sums_pitch] += total_of(total, 1);
}

typedef vreal (*value_fn)(vreal x, const vreal *p);
typedef vreal (*gradient_fn)(vreal dy, vreal x, const vreal *p, vreal *terms);
enum { MOST = 4 }; /* parameters of prelu, brelu and srelu */

INLINE void forward_row(value_fn f, const int parameters, ptrdiff_t count, const real *x, real *y,
                        const channel_parameters *c)
{
    vreal p[MOST];
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        UNROLL for (int k = 0; k < parameters; k++) p[k] = parameter(c, k, i, rest);
        store_some(y + i, f(load_some(x + i, rest), p), rest);
    }
}

/* Lanes behind the end of the row hold 0 in x and dy: their terms are 0. */
INLINE void backward_row(gradient_fn f, const int parameters, ptrdiff_t count, const real *dy, const real *x, real *dx,
                         const channel_parameters *c)
{
    vreal p[MOST], terms[MOST];
    vdouble_sum totals[MOST] = {0};
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        UNROLL for (int k = 0; k < parameters; k++) p[k] = parameter(c, k, i, rest);
        store_some(dx + i, f(load_some(dy + i, rest), load_some(x + i, rest), p, terms), rest);
        if (c->sums != NULL)
            UNROLL for (int k = 0; k < parameters; k++) add(c, k, i, rest, terms[k], &totals[k]);
    }
    if (c->sums != NULL)
        UNROLL for (int k = 0; k < parameters; k++) finish(c, k, &totals[k]);
}

#define ROWS(name, parameters)                                                                                         \
    static void name##_forward(ptrdiff_t count, const real *x, real *y, const channel_parameters *c)                   \
    {                                                                                                                  \
        forward_row(name##_value, parameters, count, x, y, c);                                                         \
    }                                                                                                                  \
    static void name##_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const channel_parameters *c) \
    {                                                                                                                  \
        backward_row(name##_gradient, parameters, count, dy, x, dx, c);                                                \
    }
ROWS(prelu, 1)
ROWS(brelu, 1)
ROWS(srelu, 4)

/* max(0, x) + sum of a_s max(0, b_s - x). F. Agostinelli et al., "Learning activation functions to improve deep neural
 * networks", arXiv:1412.6830, 2014. */
static void apl_forward(ptrdiff_t count, const real *x, real *y, const channel_parameters *c)
{
    const int pieces = c->count / 2;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        const vreal v = load_some(x + i, rest);
        vreal sum = vmax(zero, v);
        for (int s = 0; s < pieces; s++)
            sum += lines(parameter(c, s, i, rest), vmax(zero, parameter(c, pieces + s, i, rest) - v));
        store_some(y + i, sum, rest);
    }
}

/* df/da_s = max(0, b_s - x), df/db_s = a_s H(b_s - x) */
static void apl_sums(ptrdiff_t count, const real *dy, const real *x, int s, const channel_parameters *c)
{
    const int pieces = c->count / 2;
    vdouble_sum slope_total = {0}, hinge_total = {0};
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        const vreal d = load_some(dy + i, rest), above = parameter(c, pieces + s, i, rest) - load_some(x + i, rest);
        add(c, s, i, rest, d * vmax(zero, above), &slope_total);
        add(c, pieces + s, i, rest, vselect(above <= 0, zero, d * parameter(c, s, i, rest)), &hinge_total);
    }
    finish(c, s, &slope_total);
    finish(c, pieces + s, &hinge_total);
}

/* f' = H(x) - sum of a_s H(b_s - x). The sums come first, for dx may lie on dy or x. */
static void apl_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const channel_parameters *c)
{
    const int pieces = c->count / 2;
    for (int s = 0; c->sums != NULL && s < pieces; s++)
        apl_sums(count, dy, x, s, c);
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        const vreal v = load_some(x + i, rest), d = load_some(dy + i, rest);
        vreal sum = vselect(v <= 0, zero, d);
        for (int s = 0; s < pieces; s++) {
            const vreal above = parameter(c, pieces + s, i, rest) - v;
            sum -= vselect(above <= 0, zero, d * parameter(c, s, i, rest));
        }
        store_some(dx + i, sum, rest);
    }
}

static void maxout(ptrdiff_t count, int piece, const real *x, real *best, int *which)
{
    for (ptrdiff_t i = 0; i < count; i++) {
        const number new = x[i], old = best[i];
        const int wins = (piece == 0) | (new > old) | ((new != new) & (old == old));
        best[i] = wins ? new : old;
        which[i] = wins ? piece : which[i];
    }
}

static void maxout_backward(ptrdiff_t count, int piece, const real *dy, const int *which, real *dx)
{
    for (ptrdiff_t i = 0; i < count; i++)
        dx[i] = which[i] == piece ? dy[i] : 0;
}

static const channelwise_fn forward[] = {
    [CHANNELWISE_PRELU] = prelu_forward,
    [CHANNELWISE_BRELU] = brelu_forward,
    [CHANNELWISE_SRELU] = srelu_forward,
    [CHANNELWISE_APL] = apl_forward,
};
static const channelwise_gradient_fn backward[] = {
    [CHANNELWISE_PRELU] = prelu_backward,
    [CHANNELWISE_BRELU] = brelu_backward,
    [CHANNELWISE_SRELU] = srelu_backward,
    [CHANNELWISE_APL] = apl_backward,
};

const channelwise_primitives NAME(channelwise) = {
    .forward = forward,
    .backward = backward,
    .maxout = maxout,
    .maxout_backward = maxout_backward,
};
