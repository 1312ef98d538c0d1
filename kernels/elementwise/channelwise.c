#include "activation_linear.h"
#include "parts.h"
#include "primitives.h"

/* Every function is two of a vector: the value, and the gradient, which also gives dy df/dparameter in `terms`. */

/* slope x, also where that is 0 inf: there the limit, a 0 with the sign of the product */
INLINE vreal lines(vreal slope, vreal x) { return slope * vselect(slope == 0, vcopysign(vsplat(1), x), x); }

/* slope x for x <= 0, else x; f' is slope at 0, and where x is NaN, as in PyTorch */
INLINE vreal prelu_value(vreal x, const vreal *p) { return vselect(x <= 0, lines(p[0], x), x); }
INLINE vreal prelu_gradient(vreal dy, vreal x, const vreal *p, vreal *terms)
{
    terms[0] = vselect(x > 0, zero, dy * x);
    return vselect(x > 0, dy, p[0] * dy);
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
INLINE vreal parameter(const channel_parameters *c, const int step, int k, ptrdiff_t i, ptrdiff_t rest)
{
    const real *at = c->parameters + k * c->pitch;
    return step ? load_some(at + i, rest) : vsplat(*at);
}

/* Adds the terms of parameter k: those of one channel to `total`, which `finish` adds up, else each to its own sum. */
INLINE void add(const channel_parameters *c, const int step, int k, ptrdiff_t i, ptrdiff_t rest, vreal terms,
                vdouble_sum *total)
{
    double *sums = c->sums + k * c->sums_pitch + i;
    if (!step)
        add_to(total, terms);
    else if (rest >= LANES)
        *(vwide_memory *)sums += vwiden(terms);
    else
        for (ptrdiff_t lane = 0; lane < rest; lane++)
            sums[lane] += terms[lane];
}
INLINE void finish(const channel_parameters *c, const int step, int k, const vdouble_sum *total)
{
    if (!step)
        c->sums[k * c->sums_pitch] += total_of(total, 1);
}

typedef vreal (*value_fn)(vreal x, const vreal *p);
typedef vreal (*gradient_fn)(vreal dy, vreal x, const vreal *p, vreal *terms);
enum { MOST = 4 }; /* parameters of prelu, brelu and srelu */

/* What a row is made of: constants where they are used, so that no vector asks. */
typedef struct {
    value_fn value;
    gradient_fn gradient;
    int parameters, step, sums;
} channel_form;

/* Parameters of one channel are loaded once a row, the others for every vector. */
INLINE void parameters_of(const channel_form form, const channel_parameters *c, int step, ptrdiff_t i, ptrdiff_t rest,
                          vreal *p)
{
    if (form.step == step)
        UNROLL for (int k = 0; k < form.parameters; k++) p[k] = parameter(c, step, k, i, rest);
}

INLINE void forward_vector(const channel_form form, ptrdiff_t i, ptrdiff_t rest, const real *x, real *y,
                           const channel_parameters *c, vreal *p)
{
    parameters_of(form, c, 1, i, rest, p);
    store_some(y + i, form.value(load_some(x + i, rest), p), rest);
}

INLINE void forward_row(const channel_form form, ptrdiff_t count, const real *x, real *y, const channel_parameters *c)
{
    assert(count >= 0 && c->count == form.parameters && c->step == form.step);
    vreal p[MOST];
    ptrdiff_t i = to_boundary(count, y);
    parameters_of(form, c, 0, 0, count, p);
    if (i > 0)
        forward_vector(form, 0, i, x, y, c, p);
    for (; i + LANES <= count; i += LANES) {
        prefetch_ahead(x + i);
        forward_vector(form, i, LANES, x, y, c, p);
    }
    if (i < count)
        forward_vector(form, i, count - i, x, y, c, p);
}

/* No vector depends on where the row lies in memory, for the order of the sums would. Lanes behind the end of the row
 * hold 0 in x and dy: their terms are 0. */
INLINE void backward_vector(const channel_form form, ptrdiff_t i, ptrdiff_t rest, const real *dy, const real *x,
                            real *dx, const channel_parameters *c, vreal *p, vdouble_sum *totals)
{
    vreal terms[MOST];
    parameters_of(form, c, 1, i, rest, p);
    store_some(dx + i, form.gradient(load_some(dy + i, rest), load_some(x + i, rest), p, terms), rest);
    if (form.sums)
        UNROLL for (int k = 0; k < form.parameters; k++) add(c, form.step, k, i, rest, terms[k], &totals[k]);
}

INLINE void backward_row(const channel_form form, ptrdiff_t count, const real *dy, const real *x, real *dx,
                         const channel_parameters *c)
{
    assert(count >= 0 && c->count == form.parameters && c->step == form.step);
    vreal p[MOST];
    vdouble_sum totals[MOST] = {0};
    ptrdiff_t i = 0;
    parameters_of(form, c, 0, 0, count, p);
    for (; i + LANES <= count; i += LANES) {
        prefetch_ahead(dy + i);
        prefetch_ahead(x + i);
        backward_vector(form, i, LANES, dy, x, dx, c, p, totals);
    }
    if (i < count)
        backward_vector(form, i, count - i, dy, x, dx, c, p, totals);
    if (form.sums)
        UNROLL for (int k = 0; k < form.parameters; k++) finish(c, form.step, k, &totals[k]);
}

#define ROWS(name, parameters)                                                                                         \
    static void name##_forward(ptrdiff_t count, const real *x, real *y, const channel_parameters *c)                   \
    {                                                                                                                  \
        if (c->step)                                                                                                   \
            forward_row((channel_form){name##_value, name##_gradient, parameters, 1, 0}, count, x, y, c);              \
        else                                                                                                           \
            forward_row((channel_form){name##_value, name##_gradient, parameters, 0, 0}, count, x, y, c);              \
    }                                                                                                                  \
    static void name##_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const channel_parameters *c) \
    {                                                                                                                  \
        if (c->sums == NULL && c->step)                                                                                \
            backward_row((channel_form){name##_value, name##_gradient, parameters, 1, 0}, count, dy, x, dx, c);        \
        else if (c->sums == NULL)                                                                                      \
            backward_row((channel_form){name##_value, name##_gradient, parameters, 0, 0}, count, dy, x, dx, c);        \
        else if (c->step)                                                                                              \
            backward_row((channel_form){name##_value, name##_gradient, parameters, 1, 1}, count, dy, x, dx, c);        \
        else                                                                                                           \
            backward_row((channel_form){name##_value, name##_gradient, parameters, 0, 1}, count, dy, x, dx, c);        \
    }
ROWS(prelu, 1)
ROWS(brelu, 1)
ROWS(srelu, 4)

/* Parameter k where the step is known when it runs. */
INLINE vreal piece(const channel_parameters *c, int k, ptrdiff_t i, ptrdiff_t rest)
{
    return parameter(c, c->step, k, i, rest);
}

/* max(0, x) + sum of a_s max(0, b_s - x). F. Agostinelli et al., "Learning activation functions to improve deep neural
 * networks", arXiv:1412.6830, 2014. */
static void apl_forward(ptrdiff_t count, const real *x, real *y, const channel_parameters *c)
{
    assert(count >= 0 && c->count >= 0 && c->count % 2 == 0); /* of no hinges: max(0, x) */
    const int pieces = c->count / 2;
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        const vreal v = load_some(x + i, rest);
        vreal sum = vmax(zero, v);
        for (int s = 0; s < pieces; s++)
            sum += lines(piece(c, s, i, rest), vmax(zero, piece(c, pieces + s, i, rest) - v));
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
        const vreal d = load_some(dy + i, rest), above = piece(c, pieces + s, i, rest) - load_some(x + i, rest);
        add(c, c->step, s, i, rest, d * vmax(zero, above), &slope_total);
        add(c, c->step, pieces + s, i, rest, vselect(above <= 0, zero, d * piece(c, s, i, rest)), &hinge_total);
    }
    finish(c, c->step, s, &slope_total);
    finish(c, c->step, pieces + s, &hinge_total);
}

/* f' = H(x) - sum of a_s H(b_s - x). The sums come first, for dx may lie on dy or x. */
static void apl_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const channel_parameters *c)
{
    assert(count >= 0 && c->count >= 0 && c->count % 2 == 0); /* of no hinges: max(0, x) */
    const int pieces = c->count / 2;
    for (int s = 0; c->sums != NULL && s < pieces; s++)
        apl_sums(count, dy, x, s, c);
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t rest = count - i;
        const vreal v = load_some(x + i, rest), d = load_some(dy + i, rest);
        vreal sum = vselect(v <= 0, zero, d);
        for (int s = 0; s < pieces; s++) {
            const vreal above = piece(c, pieces + s, i, rest) - v;
            sum -= vselect(above <= 0, zero, d * piece(c, s, i, rest));
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
