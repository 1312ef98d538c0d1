/* Activations made of lines, parabolas and hyperbolas. Part of activation.c. */
#ifndef NPK_ACTIVATION_LINEAR_H
#define NPK_ACTIVATION_LINEAR_H

#include "vmath.h"

static const vreal zero = {0};
static const number LARGEST = REAL_BITS == 32 ? (number)__FLT_MAX__ : (number)__DBL_MAX__;

/* slope x, also where that is 0 inf: there the limit, a 0 with the sign of the product */
INLINE vreal line(number slope, vreal x) { return slope * (slope == 0 ? vcopysign(vsplat(1), x) : x); }

INLINE vreal identity_value(vreal x, const double *c) { return x; }
INLINE vreal identity_gradient(vreal dy, vreal x, const double *c) { return dy; }

/* 0 for x < 0, else 1 */
INLINE vreal binary_step_value(vreal x, const double *c) { return vselect(x == x, vselect(x < 0, zero, vsplat(1)), x); }
INLINE vreal binary_step_gradient(vreal dy, vreal x, const double *c) { return zero; }

/* max(0, x) */
INLINE vreal relu_value(vreal x, const double *c) { return vmax(zero, x); /* a NaN is the second operand: it stays */ }
INLINE vreal relu_gradient(vreal dy, vreal x, const double *c) { return vselect(x <= 0, zero, dy); }

/* slope x for x <= 0, else x; f' is slope at 0, and where x is NaN, as in PyTorch */
INLINE vreal leaky_relu_value(vreal x, const double *c) { return vselect(x <= 0, line((number)c[0], x), x); }
INLINE vreal leaky_relu_gradient(vreal dy, vreal x, const double *c) { return vselect(x > 0, dy, (number)c[0] * dy); }

/* low, x or high */
INLINE vreal clip_value(vreal x, const double *c) { return vmin(vsplat((number)c[1]), vmax(vsplat((number)c[0]), x)); }
INLINE vreal clip_gradient(vreal dy, vreal x, const double *c)
{
    return vselect((x <= (number)c[0]) | (x >= (number)c[1]), zero, dy);
}

/* x/6 + 1/2 between 0 and 1; x + 3 is exact where the sum is small */
INLINE vreal hard_sigmoid_value(vreal x, const double *c) { return vmin(vsplat(1), vmax(zero, (x + 3) / 6)); }
INLINE vreal hard_sigmoid_gradient(vreal dy, vreal x, const double *c)
{
    return vselect((x > -3) & (x < 3), dy / 6, zero);
}

/* x hard_sigmoid(x); f' = (2 x + 3) / 6 between -3 and 3 */
INLINE vreal hard_swish_value(vreal x, const double *c)
{
    return vselect(x <= -3, vsplat(-0.0), x * hard_sigmoid_value(x, c)); /* x may be -inf */
}
INLINE vreal hard_swish_gradient(vreal dy, vreal x, const double *c)
{
    return vselect(x <= -3, zero, vselect(x >= 3, dy, dy * (vfma(vsplat(2), x, vsplat(3)) / 6)));
}

/* With t = min(2, |x|): t (1 - t/4) and the sign of x; f' = 1 - t/2 */
INLINE vreal sqnl_value(vreal x, const double *c)
{
    const vreal t = vmin(vsplat(2), vabs(x));
    return vcopysign(t * vfnma(t, vsplat((number)0.25), vsplat(1)), x);
}
INLINE vreal sqnl_gradient(vreal dy, vreal x, const double *c)
{
    return dy * vfnma(vmin(vsplat(2), vabs(x)), vsplat((number)0.5), vsplat(1));
}

/* 1 - t^2/2 for t = |x| <= 1, then (2 - t)^2/2, 0 from 2 on; f' = -x, then sign(x) (t - 2), then 0 */
INLINE vreal sq_rbf_value(vreal x, const double *c)
{
    const vreal t = vabs(x), rest = vmax(zero, 2 - t);
    return vselect(t <= 1, vfnma(t, (number)0.5 * t, vsplat(1)), (number)0.5 * rest * rest);
}
INLINE vreal sq_rbf_gradient(vreal dy, vreal x, const double *c)
{
    const vreal t = vabs(x);
    return dy * -vcopysign(vselect(t <= 1, t, vmax(zero, 2 - t)), x);
}

/* x / (1 + |x|); f' = 1 / (1 + |x|)^2 */
INLINE vreal softsign_value(vreal x, const double *c)
{
    const vreal t = vmin(vsplat(LARGEST), vabs(x));
    return vcopysign(t / (1 + t), x);
}
INLINE vreal softsign_gradient(vreal dy, vreal x, const double *c)
{
    const vreal w = 1 / (1 + vabs(x));
    return dy * w * w;
}

/* x / sqrt(1 + a x^2); for |x| > 1, where x^2 may be inf, sign(x) / sqrt(1/x^2 + a). Returns f / x: f' is its cube. */
INLINE vreal isru_ratio(vreal x, number a, vreal *value)
{
    const vint far = vabs(x) > 1;
    const vreal inverse = 1 / x, r = vselect(far, inverse, x), square = r * r;
    const vreal root = vsqrt(vselect(far, square + a, vfma(vsplat(a), square, vsplat(1))));
    *value = vselect(far, vcopysign(vsplat(1), x), x) / root;
    return vselect(far, vabs(inverse), vsplat(1)) / root;
}
INLINE vreal isru_value(vreal x, const double *c)
{
    vreal value;
    isru_ratio(x, (number)c[0], &value);
    return value;
}
INLINE vreal isru_gradient(vreal dy, vreal x, const double *c)
{
    vreal value;
    const vreal ratio = isru_ratio(x, (number)c[0], &value);
    return dy * ratio * ratio * ratio;
}

/* isru for x < 0, else x */
INLINE vreal isrlu_value(vreal x, const double *c) { return vselect(x < 0, isru_value(x, c), x); }
INLINE vreal isrlu_gradient(vreal dy, vreal x, const double *c) { return vselect(x < 0, isru_gradient(dy, x, c), dy); }

/* sqrt(x^2 + 1), |x| where 1 adds nothing */
INLINE vreal root_of_square_and_one(vreal x)
{
    const vreal t = vabs(x);
    return vselect(t > 1 / TINY, t, vsqrt(vfma(t, t, vsplat(1))));
}

/* (sqrt(x^2 + 1) - 1)/2 + x = x (1 + v), v = x/(2 (1 + sqrt(x^2 + 1))); f' = x / (2 sqrt(x^2 + 1)) + 1 */
INLINE vreal bent_identity_value(vreal x, const double *c)
{
    const vreal t = vmin(vsplat(LARGEST), vabs(x)), v = (number)0.5 * t / (1 + root_of_square_and_one(t));
    return x * (1 + vcopysign(v, x));
}
INLINE vreal bent_identity_gradient(vreal dy, vreal x, const double *c)
{
    const vreal t = vmin(vsplat(LARGEST), vabs(x));
    return dy * (1 + vcopysign((number)0.5 * t / root_of_square_and_one(t), x));
}

/* ln(x + sqrt(x^2 + 1)); f' = 1 / sqrt(x^2 + 1) */
INLINE vreal arsinh_value(vreal x, const double *c) { return vasinh(x); }
INLINE vreal arsinh_gradient(vreal dy, vreal x, const double *c) { return dy / root_of_square_and_one(x); }

/* arctan x; f' = 1 / (x^2 + 1), the square root of that twice because the square may be inf */
INLINE vreal arctan_value(vreal x, const double *c) { return vatan(x); }
INLINE vreal arctan_gradient(vreal dy, vreal x, const double *c)
{
    const vreal t = vabs(x);
    const vint far = t > 1 / TINY;
    const vreal once = vselect(far, t, vfma(t, t, vsplat(1)));
    return dy / once / vselect(far, t, vsplat(1));
}

#endif
