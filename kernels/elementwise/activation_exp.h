/* Activations made of exponentials. Part of activation.c.
 *
 * With t = |x| mostly e^-t occurs, which cannot overflow. Where a result is a multiple of an exponential, its power of
 * two 2^n comes last: the result keeps its digits where the exponential itself is denormal, 0 or inf. */
#ifndef NPK_ACTIVATION_EXP_H
#define NPK_ACTIVATION_EXP_H

#include "activation_linear.h"

/* e^-|x|, and p, n with p 2^n = e^-|x|; p is 0 where any product with a finite number is 0. */
INLINE vreal decay(vreal x, vreal *p, vreal *n)
{
    *p = vexp_decay_parts(x, zero, n);
    return vscale(*p, *n);
}

/* p, n with p 2^n = e^z; p is 0 as above, and p 2^n is inf where any product with a number above 2^-100 is inf. */
INLINE vreal power(vreal z, vreal *n)
{
    const vreal p = vexp_parts(vmin(vsplat(-EXP_LOWEST), vmax(vsplat(EXP_LOWEST), z)), n);
    return vselect(z < EXP_LOWEST, zero, p);
}

/* 1 / (1 + e^-x); f' = f (1 - f) = e^-t / (1 + e^-t)^2 */
INLINE vreal sigmoid_value(vreal x, const double *c) { return vsigmoid(x); }
INLINE vreal sigmoid_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal d = 1 + decay(x, &p, &n);
    return vscale(dy * (p / (d * d)), n);
}

/* tanh x; f' = 1 / cosh^2 x = 4 e^-2t / (1 + e^-2t)^2 */
INLINE vreal tanh_value(vreal x, const double *c) { return vtanh(x); }
INLINE vreal tanh_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal d = 1 + decay(2 * x, &p, &n);
    return vscale(dy * (4 * p / (d * d)), n);
}

/* x Phi(x), Phi the normal distribution: max(0, x) - t Q(t), Q(t) = 1 - Phi(t) */
INLINE vreal gelu_value(vreal x, const double *c)
{
    vreal p, n, rest = zero;
    const vreal t = vmin(vsplat(NORMAL_END), vabs(x));
    if (PIECES > 0)
        rest = t * vtail_pieces(t);
    if (PIECES == 0 || __builtin_expect(vany_below(vsplat(TAIL_END), t), 0)) {
        const vreal tail = vnormal_tail(t, t, &p, &n);
        rest = vselect(t <= TAIL_END, rest, vscale(tail, n));
    }
    return vmax(vsplat(-0.0), x) - rest; /* the sign of x, also of a 0 and of what underflows */
}
/* f' = Phi(x) + x phi(x), phi(x) = e^(-x^2/2) / sqrt(2 pi): with d = t phi(t) - Q(t), 1 + d for x >= 0 and -d below */
INLINE vreal gelu_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal size = vabs(x), t = vmin(vsplat(NORMAL_END), size), tail = vnormal_tail(t, vsplat(1), &p, &n);
    const vreal density = (number)0x1.9884533d43651p-2 * t; /* t / sqrt(2 pi), without the exponential */
    const vreal d = vselect(size > NORMAL_END, zero, vfms(density, p, tail));
    const vint negative = x < 0;
    return vscale(dy * vselect(negative, -d, 1 + vscale(d, n)), vselect(negative, n, zero));
}

/* x / (1 + e^-x) = max(0, x) - t e^-t / (1 + e^-t) */
INLINE vreal silu_value(vreal x, const double *c)
{
    vreal p, n;
    const vreal t = vabs(x), e = decay(t, &p, &n);
    return vmax(vsplat(-0.0), x) - vscale(vmin(vsplat(-EXP_LOWEST), t) * p / (1 + e), n);
}
/* f' = s (1 + x (1 - s)), s = sigmoid x: over (1 + e)^2, e = e^-t, it is 1 + e + t e for x >= 0, e (1 + e - t) below */
INLINE vreal silu_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal size = vabs(x), e = decay(x, &p, &n), t = vmin(vsplat(-EXP_LOWEST), size), d = 1 + e;
    const vint negative = x < 0;
    const vreal top = vselect(negative, p * (d - t), vfma(t, e, d));
    return vscale(dy * (top / (d * d)), vselect(negative, n, zero));
}

/* ln(1 + e^(beta x)) / beta = (z > 0 ? x : 0) + ln(1 + e^-|z|) / beta, z = beta x; ln(1 + e) = e for small e */
INLINE vreal softplus_value(vreal x, const double *c)
{
    vreal low, n;
    const number inverse = (number)(1 / c[0]);
    const vreal z = vproduct(c[0], x, &low), p = vexp_decay_parts(z, low, &n), e = vscale(p, n);
    const vint small = n < -60;
    const vreal rest = inverse * vselect(small, p, vlog1p_inner(e));
    return vselect(z > 0, x, vsplat(-0.0)) + vscale(rest, vselect(small, n, zero)); /* a 0 has the sign of beta */
}
/* f' = 1 / (1 + e^-z) */
INLINE vreal softplus_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal z = (number)c[0] * x, d = 1 + decay(z, &p, &n);
    const vint negative = z < 0;
    return vscale(dy * (vselect(negative, p, 1 + zero) / d), vselect(negative, n, zero));
}

/* alpha (e^x - 1) for x <= 0, else x; f' = alpha e^x or 1 */
INLINE vreal elu_value(vreal x, const double *c) { return vselect(x > 0, x, (number)c[0] * vexpm1(x)); }
INLINE vreal elu_gradient(vreal dy, vreal x, const double *c)
{
    vreal n;
    const vreal p = power(vmin(zero, x), &n);
    return vselect(x > 0, dy, vscale(dy * ((number)c[0] * p), n));
}

/* scale elu(x, alpha) */
static const double SELU_SCALE = 1.0507009873554805, SELU_ALPHA = 1.6732632423543772;
INLINE vreal selu_value(vreal x, const double *c)
{
    const double factor = SELU_SCALE * SELU_ALPHA;
    const number high = (number)factor, low = (number)(factor - (double)high);
    const vreal e = vexpm1(x);
    return vselect(x > 0, (number)SELU_SCALE * x, vfma(vsplat(high), e, low * e));
}
INLINE vreal selu_gradient(vreal dy, vreal x, const double *c)
{
    vreal n;
    const vreal p = power(vmin(zero, x), &n);
    return vselect(x > 0, (number)SELU_SCALE * dy, vscale(dy * ((number)(SELU_SCALE * SELU_ALPHA) * p), n));
}

/* (e^(z + low) - 1)/a; where the 1 does not count, 2^n comes after the division */
INLINE vreal expm1_over(vreal z, vreal low, number a)
{
    const vreal inner = vmin(vsplat(-EXP_LOWEST), vmax(vsplat(EXPM1_LOWEST), z)), n = vexp_exponent(inner);
    const vreal rise = vexp_rise(vexp_rest(inner, n) + low), two_n = vscale(vsplat(1), vmin(vsplat(64), n));
    const vreal near = vselect(vabs(z) < TINY, z, vfma(two_n, rise, two_n - 1)) / a;
    return vselect(n > 64, vscale((1 + rise) / a, n), near);
}

/* alpha (e^(x / alpha) - 1) for x <= 0, else x, the quotient with its remainder; f' = e^(x / alpha) or 1 */
INLINE vreal celu_value(vreal x, const double *c)
{
    const number alpha = (number)c[0];
    vreal low;
    const vreal z = x / alpha, product = vproduct(c[0], z, &low);
    const vreal rest = vselect(vabs(product) < 4096 * vabs(vsplat(alpha)), ((x - product) - low) / alpha, zero);
    return vselect(x > 0, x, expm1_over(z, rest, (number)(1 / c[0])));
}
INLINE vreal celu_gradient(vreal dy, vreal x, const double *c)
{
    vreal n;
    const vreal p = power(x / (number)c[0], &n);
    return vselect(x > 0, dy, vscale(dy * p, n));
}

/* 2 + 2 e + e^2 below 0, else 1 + 2 e + 2 e^2 */
INLINE vreal mish_bottom(vint negative, vreal e)
{
    return vselect(negative, vfma(e, 2 + e, vsplat(2)), vfma(2 * e, 1 + e, vsplat(1)));
}
/* x tanh(ln(1 + e^x)), e = e^-t: x (1 - 2 e^2 / (1 + 2 e + 2 e^2)) for x >= 0, x e (1 - e (1 + e) / (2 + 2 e + e^2))
 * below. D. Misra, "Mish: A self regularized non-monotonic activation function", arXiv:1908.08681, 2019. */
INLINE vreal mish_value(vreal x, const double *c)
{
    vreal p, n;
    const vreal e = decay(x, &p, &n), t = vmin(vsplat(-EXP_LOWEST), vabs(x));
    const vint negative = x < 0;
    const vreal top = vselect(negative, e * (1 + e), 2 * e * e);
    const vreal bottom = mish_bottom(negative, e);
    const vreal start = vselect(negative, -t * p, x), inner = vselect(negative, start, t); /* x may be inf */
    return vscale(vfnma(inner, top / bottom, start), vselect(negative, n, zero));
}
/* f' = tanh s + x sigmoid(x) / cosh^2 s, s = ln(1 + e^x): over the squares of 1 + 2 e + 2 e^2 and 2 + 2 e + e^2,
 * 1 + 4 e + (4 t + 6) e^2 + 4 (t + 1) e^3 for x >= 0 and e (4 - 4 t + (6 - 4 t) e + 4 e^2 + e^3) below */
INLINE vreal mish_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal e = decay(x, &p, &n), t = vmin(vsplat(-EXP_LOWEST), vabs(x));
    const vint negative = x < 0;
    const vreal four = vsplat(4), cube = vfma(four, t, four), square = vfma(four, t, vsplat(6));
    const vreal above = vfma(e, vfma(e, vfma(e, cube, square), four), vsplat(1));
    const vreal below = p * vfma(e, vfma(e, 4 + e, vfnma(t, four, vsplat(6))), vfnma(t, four, four));
    const vreal bottom = mish_bottom(negative, e);
    return vscale(dy * (vselect(negative, below, above) / (bottom * bottom)), vselect(negative, n, zero));
}

/* z = sqrt(8/pi) (x + 0.044715 x^3), a pair, for t <= GELU_TANH_END; beyond, e^-z is 0 also times t. */
static const number GELU_TANH_END = REAL_BITS == 32 ? 13 : 27;
INLINE vreal gelu_tanh_argument(vreal t, vreal *low)
{
#if REAL_BITS == 32
    const vwide wide = vwiden(t);
    const vwide z = wide * vfma_wide(0x1.2444f2a4d8b4bp-4 * wide, wide, vsplat_wide(0x1.9884533d43651p0));
    const vreal high = vnarrow(z);
    *low = vnarrow(z - vwiden(high));
    return high;
#else
    vreal square_low, product_low, sum_low, high_low;
    const vreal square = vsquare(t, &square_low);
    const vreal product = vproduct(0x1.2444f2a4d8b4bp-4, square, &product_low);
    const vreal sum = vsum(vsplat(0x1.9884533d43651p0), product, &sum_low);
    const vreal first = vfma(vsplat(0x1.2444f2a4d8b4bp-4), square_low, sum_low + product_low);
    const vreal rest = vfnma(square, vsplat(0x1.6c843a29d1c70p-61), first) - 0x1.cbc0d30ebfd15p-54;
    const vreal high = vproduct_of(sum, t, &high_low);
    *low = vfma(rest, t, high_low);
    return high;
#endif
}

/* x / (1 + e^-z) = max(0, x) - t e^-|z| / (1 + e^-|z|) */
INLINE vreal gelu_tanh_value(vreal x, const double *c)
{
    vreal low, n;
    const vreal t = vmin(vsplat(GELU_TANH_END), vabs(x)), z = gelu_tanh_argument(t, &low);
    const vreal p = vexp_decay_parts(z, low, &n);
    return vmax(vsplat(-0.0), x) - vscale(t * p / (1 + vscale(p, n)), n);
}
/* f' = s (1 + x z' (1 - s)), s = 1 / (1 + e^-z), x z' = sqrt(8/pi) (x + 3 * 0.044715 x^3): as for silu */
INLINE vreal gelu_tanh_gradient(vreal dy, vreal x, const double *c)
{
    vreal p, n;
    const vreal t = vmin(vsplat(GELU_TANH_END), vabs(x)), square = (number)0x1.2444f2a4d8b4bp-4 * t * t;
    const vreal line = (number)0x1.9884533d43651p0 * t, e = decay(vfma(square, t, line), &p, &n), d = 1 + e;
    const vreal slope = vfma(3 * square, t, line);
    const vint negative = x < 0;
    const vreal top = vselect(negative, p * (d - slope), vfma(slope, e, d));
    return vscale(dy * (top / (d * d)), vselect(negative, n, zero));
}

/* a > 0: (e^(a x) - 1)/a + a */
INLINE vreal soft_exponential_rise(vreal x, double a)
{
    vreal low;
    const vreal z = vproduct(a, x, &low);
    return expm1_over(z, low, (number)a) + (number)a;
}
/* a = -b < 0: w = b (x - b) as a pair; 1 + w, small near the end of the domain, as exact as x */
INLINE vreal soft_exponential_inner(vreal x, double b, vreal *distance, vreal *low)
{
    vreal rest, distance_low;
    const number high = (number)b;
    const vreal first = vsum(vmin(vsplat(LARGEST), vmax(vsplat(-LARGEST), x)), vsplat(-high), &rest);
    *distance = vsum(first, rest - (number)(b - (double)high), &distance_low);
    const vreal w = vproduct(b, *distance, low);
    *low = vfma(vsplat(high), distance_low, *low);
    return w;
}
/* -ln(1 - a (x + a))/a = ln(1 + w)/b; x for a = 0. A large w may be inf: ln(x - b) + ln b.
 * L. B. Godfrey and M. S. Gashler, "A continuum among logarithmic, linear, and exponential functions", 2015. */
INLINE vreal soft_exponential_value(vreal x, const double *c)
{
    const number b = (number)-c[0];
    if (b <= 0)
        return b == 0 ? x : soft_exponential_rise(x, c[0]);
    vreal distance, low;
    const vreal w = soft_exponential_inner(x, -c[0], &distance, &low), whole = 1 + w + low;
    const vreal far = vlog(distance) + vlog(vsplat(b)), near = vselect(vabs(w) < TINY, w, vlog1p_pair(w, low));
    vreal y = vselect(w < 1 / TINY, near, vselect(x == INFINITE, x, far)) / b;
    y = vselect(whole == 0, vsplat(-INFINITE), y);
    return vselect(whole < 0, vsplat(INFINITE - INFINITE), y);
}
/* f' = e^z, 1, or 1/(1 + w) */
INLINE vreal soft_exponential_gradient(vreal dy, vreal x, const double *c)
{
    const number b = (number)-c[0];
    vreal n, distance, low;
    if (b == 0)
        return dy;
    if (b < 0) {
        const vreal p = power((number)c[0] * x, &n);
        return vscale(dy * p, n);
    }
    const vreal w = soft_exponential_inner(x, -c[0], &distance, &low);
    const vint infinite = vabs(x) == INFINITE;
    return vselect((vabs(w) == INFINITE) | infinite, dy / vselect(infinite, x, distance) / b, dy / (1 + w + low));
}

/* (1/a) ln((1 + e^(a x)) / (1 + e^(a (x - 1)))), c = {a, 1 - e^-|a|}. Call it f_a. As f_-a(x) = 1 - f_a(x) and that is
 * f_a(1 - x), only b = |a| and w = x or 1 - x up to 1/2 remain, where it is ln(1 + q)/b with
 * q = e^(b w) (1 - e^-b) / (1 + e^(-b (1 - w))); q for small q, w for large b w. */
INLINE vreal soft_clipping_value(vreal x, const double *c)
{
    const double b = c[0] < 0 ? -c[0] : c[0];
    vreal mirrored_low, low, n;
    const vreal inner = vmin(vsplat(LARGEST), vmax(vsplat(-LARGEST), x));
    const vreal mirrored = vsum(vsplat(1), -inner, &mirrored_low);
    const vint swapped = x > (number)0.5;
    const vreal w = vselect(swapped, mirrored, inner), other = vselect(swapped, inner, mirrored);
    const vreal z = vproduct(b, w, &low);
    low = vfma(vsplat((number)b), vselect(swapped, mirrored_low, zero), low);
    const vreal top = vmin(vsplat(40), vmax(vsplat(EXP_LOWEST), z));
    n = vexp_exponent(top);
    const vreal rise = vexp_rise(vexp_rest(top, n) + low), factor = (number)c[1] / (1 + vexp_decay((number)b * other));
    const vreal part = vselect(z < EXP_LOWEST, zero, vfma(rise, factor, factor));
    const vreal q = vscale(part, n);
    const vint small = q < TINY;
    vreal y = vscale(vselect(small, part, vlog1p_inner(q)) / (number)b, vselect(small, n, zero));
    y = vselect(z > 40, w, y);
    return vselect(c[0] > 0 ? swapped : ~swapped, 1 - y, y);
}
/* f' = (1/2) sinh(a/2) / (cosh(a x/2) cosh(a (1 - x)/2)) = s (1 - e^-b) / ((1 + e1) (1 + e2)) with e1 = e^-|b x|,
 * e2 = e^-|b (1 - x)|, and s = e1 for x < 0, e2 for x > 1, 1 between, and the sign of a */
INLINE vreal soft_clipping_gradient(vreal dy, vreal x, const double *c)
{
    const number a = (number)c[0], factor = (number)(c[0] < 0 ? -c[1] : c[1]);
    vreal p1, p2, n1, n2;
    const vreal e1 = decay(a * x, &p1, &n1), e2 = decay(a * (1 - x), &p2, &n2);
    const vint below = x < 0, above = x > 1;
    const vreal p = vselect(below, p1, vselect(above, p2, vsplat(1)));
    return vscale(dy * (factor * p / ((1 + e1) * (1 + e2))), vselect(below, n1, vselect(above, n2, zero)));
}

/* e^(-x^2); f' = -2 x e^(-x^2) */
static const number GAUSSIAN_END = REAL_BITS == 32 ? (number)13.1 : (number)37.4; /* e^(-x^2) is 0, also times x */
INLINE vreal gaussian_parts(vreal x, vreal *t, vreal *n)
{
    const vreal size = vabs(x);
    *t = vmin(vsplat(GAUSSIAN_END), size);
    const vreal p = vpolynomial(vexp_square(-1, *t, n), EXP_TERMS, exp_series);
    return vselect(size > GAUSSIAN_END, zero, p);
}
INLINE vreal gaussian_value(vreal x, const double *c)
{
    vreal t, n;
    const vreal p = gaussian_parts(x, &t, &n);
    return vscale(p, n);
}
INLINE vreal gaussian_gradient(vreal dy, vreal x, const double *c)
{
    vreal t, n;
    const vreal p = gaussian_parts(x, &t, &n);
    return vscale(dy * (-2 * vcopysign(t, x) * p), n);
}

/* sin x; f' = cos x */
INLINE vreal sinusoid_value(vreal x, const double *c) { return vsin(x); }
INLINE vreal sinusoid_gradient(vreal dy, vreal x, const double *c) { return dy * vcos(x); }

/* sin(x) / x, 1 at 0, 0 at inf */
INLINE vreal sinc_value(vreal x, const double *c)
{
    const vreal t = vabs(x);
    return vselect(t == 0, vsplat(1), vselect(t == INFINITE, zero, vsin(t) / t));
}
/* f' = (cos x - sin(x)/x)/x, below 1 as x Q(x^2), relative error 2^-27.3 (float32), 2^-65.9 (float64) */
INLINE vreal sinc_gradient(vreal dy, vreal x, const double *c)
{
#if REAL_BITS == 32
    static const number q[] = {-3.333333433e-01f, 3.333327174e-02f, -1.190162962e-03f, 2.154719732e-05f};
#else
    static const number q[] = {-0.3333333333333333,     0.03333333333333333,    -0.001190476190476178,
                               2.2045855379090506e-05,  -2.505210834707316e-07, 1.927084445422577e-09,
                               -1.0705069068844916e-11, 4.4393328395876474e-14};
#endif
    vbits quadrant;
    const vreal t = vabs(x), r = vquadrant(t, &quadrant), square = x * x;
    const vreal sine = vsin_quadrant(r, quadrant), cosine = vsin_quadrant(r, quadrant + 1);
    const vreal far = vselect(t == INFINITE, zero, (cosine - sine / t) / t);
    return vselect(t < 1, dy * x * vpolynomial(square, sizeof q / sizeof *q, q), dy * vflip(far, x));
}

#endif
