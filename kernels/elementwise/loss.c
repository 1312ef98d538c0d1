#include "parts.h"
#include "primitives.h"
#include "vmath.h"

typedef struct {
    vreal loss, slope;
} loss_lanes;

/* Without a difference of large numbers: with t = |x| and l = ln(1 + e^-t),
 * loss = t (1 - y) + (1 - y + w y) l for x >= 0, t w y + the same below; slope = (1 - y) s - w y (1 - s). */
INLINE loss_lanes binary_cross_entropy_with_logits_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    (void)c;
    const vreal e = vexp_decay(x), l = vselect(e < TINY, e, vlog1p_inner(e)), one = vsplat(1);
    const vint negative = x < 0;
    const vreal on = weighted ? w * y : y, off = 1 - y;
    return (loss_lanes){
        .loss = vfma(weighted ? off + on : one, l, vabs(x) * vselect(negative, on, off)),
        .slope = vfnma(on, vselect(negative, one, e), off * vselect(negative, e, one)) / (1 + e),
    };
}

INLINE loss_lanes mse_loss_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    (void)w, (void)weighted, (void)c;
    const vreal d = x - y;
    return (loss_lanes){.loss = d * d, .slope = 2 * d};
}

INLINE loss_lanes l1_loss_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    (void)w, (void)weighted, (void)c;
    const vreal d = x - y, size = vabs(d);
    return (loss_lanes){.loss = size, .slope = vselect(size > 0, vcopysign(vsplat(1), d), d)};
}

INLINE loss_lanes huber_loss_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    (void)w, (void)weighted;
    const vreal d = x - y, size = vabs(d);
    const vint far = size > c[0];
    return (loss_lanes){
        .loss = vselect(far, c[0] * (size - (number)0.5 * c[0]), (number)0.5 * d * d),
        .slope = vselect(far, vcopysign(vsplat(c[0]), d), d),
    };
}

INLINE loss_lanes kl_div_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    (void)w, (void)weighted, (void)c;
    return (loss_lanes){.loss = vselect(y == 0, vsplat(0), y * (vlog(y) - x)), .slope = -y};
}

/* With q = 1 - p_t = (1 - y) s + y (1 - s): loss = a q^g times the cross-entropy, a = alpha y + (1 - alpha) (1 - y), or 1
 * for alpha < 0; slope = a q^g (g (s (1 - s) / q) (1 - 2 y) cross-entropy + s - y). With e = e^-|x| and h the part of
 * the target on the other side of 0, q (1 + e) = h + e (1 - h): of h = 0 neither the quotient nor ln q underflows. */
INLINE loss_lanes sigmoid_focal_loss_lanes(vreal x, vreal y, vreal w, const int weighted, const number *c)
{
    const loss_lanes entropy = binary_cross_entropy_with_logits_lanes(x, y, w, 0, c);
    const vreal e = vexp_decay(x), s = 1 / (1 + e), hard = vselect(x < 0, y, 1 - y);
    const vreal top = vfma(e, 1 - hard, hard), q = top * s, gamma = vsplat(c[1]), alpha = vsplat(c[0]);
    const vint easy = hard == 0;
    vreal power = q * q;
    if (c[1] != 2) {
        const vreal small = vlog(s) - vabs(x);
        power = c[1] == 0 ? vsplat(1) : vexp(gamma * vselect(easy, small, vlog(q)));
    }
    const vreal factor = c[0] < 0 ? power : power * vfma(alpha, y, (1 - alpha) * (1 - y));
    const vreal ratio = vselect(easy, s, e * s / top);
    return (loss_lanes){
        .loss = factor * entropy.loss,
        .slope = factor * vfma(gamma * ratio * (1 - 2 * y), entropy.loss, entropy.slope),
    };
}

typedef loss_lanes (*lanes_fn)(vreal x, vreal y, vreal w, const int weighted, const number *c);

/* What a row is made of: constants where they are used, so that what is not wanted is not computed. */
typedef struct {
    lanes_fn f;
    int weighted, slopes;
} loss_form;

INLINE vreal losses_at(const loss_form form, ptrdiff_t count, ptrdiff_t i, const real *x, const real *y,
                       const real *weight, const number *c, number scale, real *losses, real *gradient)
{
    const vreal w = form.weighted ? load_some(weight + i, count) : (vreal){0};
    const loss_lanes v = form.f(load_some(x + i, count), load_some(y + i, count), w, form.weighted, c);
    if (losses)
        store_some(losses + i, v.loss, count);
    if (form.slopes)
        store_some(gradient + i, v.slope * scale, count);
    return v.loss;
}

INLINE double row(const loss_form form, ptrdiff_t count, const real *x, const real *y, const real *weight,
                  const double *c, double scale, real *losses, real *gradient)
{
    assert(count >= 0 && (!form.weighted || weight != NULL) && (!form.slopes || gradient != NULL));
    enum { CHAINS = 2 };
    const number parameter[LOSS_PARAMETERS] = {(number)c[0], (number)c[1]}, factor = (number)scale;
    vdouble_sum sum[CHAINS] = {0};
    ptrdiff_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        UNROLL for (int k = 0; k < CHAINS; k++)
        {
            add_to(&sum[k], losses_at(form, LANES, i + k * LANES, x, y, weight, parameter, factor, losses, gradient));
        }
    for (; i < count; i += LANES) {
        const ptrdiff_t rest = min_size(LANES, count - i);
        const vreal loss = losses_at(form, rest, i, x, y, weight, parameter, factor, losses, gradient);
        add_to(&sum[0], first_lanes(loss, rest, 0));
    }
    return total_of(sum, CHAINS);
}

#define LOSS(name)                                                                                                     \
    static double name(ptrdiff_t count, const real *x, const real *y, const real *weight, const double *c,             \
                       double scale, real *losses, real *gradient)                                                     \
    {                                                                                                                  \
        const lanes_fn f = name##_lanes;                                                                               \
        const int weights = LOSS_##name == LOSS_binary_cross_entropy_with_logits;                                      \
        if (weights && weight && gradient)                                                                             \
            return row((loss_form){f, 1, 1}, count, x, y, weight, c, scale, losses, gradient);                         \
        if (weights && weight)                                                                                         \
            return row((loss_form){f, 1, 0}, count, x, y, weight, c, scale, losses, gradient);                         \
        if (gradient)                                                                                                  \
            return row((loss_form){f, 0, 1}, count, x, y, weight, c, scale, losses, gradient);                         \
        return row((loss_form){f, 0, 0}, count, x, y, weight, c, scale, losses, gradient);                             \
    }
LOSSES(LOSS)

#define ENTRY(name) name,
static const loss_fn losses[] = {LOSSES(ENTRY)};

const loss_primitives NAME(loss) = {.losses = losses};
