/* Exponentials, and what is made of them. Part of vmath.h. */
#ifndef NPK_VEXP_H
#define NPK_VEXP_H

#include "vmath.h"

/* y 2^n where that is no denormal number; n integral, |n| <= 2 EXPONENT_BIAS - 2. */
INLINE vreal vscale_normal(vreal y, vreal n)
{
#ifdef __AVX512F__
#if REAL_BITS == 32
    return (vreal)_mm512_scalef_ps((__m512)y, (__m512)n);
#else
    return (vreal)_mm512_scalef_pd((__m512d)y, (__m512d)n);
#endif
#else
    /* 2^n does not fit one normal number: two factors, of which the first is exact on y. */
    const vbits biased = (vbits)(n + (ROUNDING + 2 * EXPONENT_BIAS)) - (vbits)vsplat(ROUNDING);
    const vbits half = biased >> 1;
    return y * (vreal)(half << MANTISSA_BITS) * (vreal)((biased - half) << MANTISSA_BITS);
#endif
}

/* y 2^n, rounded once where |y| is in [1/2, 2]. Where an operation's result is denormal, or 0 because it is smaller still, some
 * CPUs call microcode: 16 exponentials of -100, or of a masked logit, took 250 cycles and not 8. The bits of a denormal number
 * are its multiple of the smallest one, which a sum can round and no microcode sees. */
INLINE vreal vscale(vreal y, vreal n)
{
    const vreal limit = vsplat(27 - EXPONENT_BIAS);
    if (__builtin_expect(!vany_below(n, limit), 1))
        return vscale_normal(y, n);
    const vreal whole = vsplat((bits)1 << MANTISSA_BITS);
    const vreal multiple = vscale_normal(y, n + (EXPONENT_BIAS - 1 + MANTISSA_BITS));
    const vint tiny = (n < limit) & (vabs(multiple) < whole);
    const vreal rounded = (vreal)((vbits)(vabs(multiple) + whole) - (vbits)whole);
    return vselect(tiny, vcopysign(rounded, y), vscale_normal(vselect(tiny, (vreal){0}, y), n));
}

/* e^x = 2^n e^r with n = round(x / ln 2), r = x - n ln 2, for x in [EXP_LOWEST, EXP_HIGHEST]. */
INLINE vreal vexp_exponent(vreal x)
{
    const number inverse = (number)0x1.71547652b82fep0; /* 1 / ln 2 */
    return vfma(x, vsplat(inverse), vsplat(ROUNDING)) - ROUNDING;
}
INLINE vreal vexp_rest(vreal x, vreal n) /* the first difference is exact */
{
    return vfnma(n, vsplat(LN2_LOW), vfnma(n, vsplat(LN2_HIGH), x));
}

/* The series of e^r for |r| <= ln(2) / 2: 1 + r + r^2 q(r), relative error 2^-28.2 (float32), 2^-57.9 (float64). */
#if REAL_BITS == 32
enum { EXP_TERMS = 7 };
static const number exp_series[EXP_TERMS] = {
    1, 1, 4.999999345e-01f, 1.666652063e-01f, 4.166838741e-02f, 8.368716961e-03f, 1.381463913e-03f,
};
#else
enum { EXP_TERMS = 12 };
/* clang-format off */
static const number exp_series[EXP_TERMS] = {
    1, 1, 0.5000000000000011, 0.1666666666666641, 0.04166666666653029, 0.00833333333349544, 0.0013888888943606851,
    0.0001984126950468951, 2.4801493114786734e-05, 2.755758786251247e-06, 2.763024481372879e-07, 2.4999645835686095e-08,
};
/* clang-format on */
#endif

/* e^r - 1 */
INLINE vreal vexp_rise(vreal r) { return vfma(r * r, vpolynomial(r, EXP_TERMS - 2, exp_series + 2), r); }

/* p, n with p 2^n = e^x, p in [0.7, 1.5], for x in [EXP_LOWEST, EXP_HIGHEST]. Whoever multiplies the exponential does
 * that to p and applies 2^n last, so that a small exponential does not lose digits of the product. */
INLINE vreal vexp_parts(vreal x, vreal *n)
{
    *n = vexp_exponent(x);
    return vpolynomial(vexp_rest(x, *n), EXP_TERMS, exp_series);
}

/* e^x */
INLINE vreal vexp(vreal x)
{
    vreal n;
    x = vmin(vsplat(EXP_HIGHEST), vmax(vsplat(EXP_LOWEST), x)); /* a NaN is the second operand: it stays */
    const vreal p = vexp_parts(x, &n);
    return vscale(p, n);
}

/* e^x for x <= 0 */
INLINE vreal vexp_fall(vreal x)
{
    vreal n;
    const vreal p = vexp_parts(vmax(vsplat(EXP_LOWEST), x), &n);
    return vscale(p, n);
}

/* e^-|x| */
INLINE vreal vexp_decay(vreal x) { return vexp_fall(vminus_abs(x)); }

/* p, n with p 2^n = e^-|z|, z = high + low; p is 0 where any product with a finite number is 0. */
INLINE vreal vexp_decay_parts(vreal high, vreal low, vreal *n)
{
    const vreal power = vminus_abs(high), inner = vmax(vsplat(EXP_LOWEST), power);
    *n = vexp_exponent(inner);
    const vreal r = vexp_rest(inner, *n) + vselect(high < 0, low, -low);
    return vselect(power < EXP_LOWEST, (vreal){0}, vpolynomial(r, EXP_TERMS, exp_series));
}

/* r, n with 2^n e^r = e^(c t^2), c a power of 2 less its sign, c t^2 in [EXP_LOWEST, EXP_HIGHEST]. */
INLINE vreal vexp_square(number c, vreal t, vreal *n)
{
    vreal low;
    const vreal high = c * vsquare(t, &low);
    *n = vexp_exponent(vfma(vsplat(c), low, high));
    return vfma(vsplat(c), low, vexp_rest(high, *n));
}

/* e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)); halved because 2^n may be beyond the largest number. */
INLINE vreal vexpm1(vreal x)
{
    const vreal inner = vmin(vsplat(EXP_HIGHEST), vmax(vsplat(EXPM1_LOWEST), x));
    const vreal n = vexp_exponent(inner), rise = vexp_rise(vexp_rest(inner, n));
    const vbits half = (vbits)(n + (ROUNDING + EXPONENT_BIAS - 1)) << MANTISSA_BITS;
    const vreal y = 2 * vfma((vreal)half, rise, (vreal)half - (number)0.5);
    return vselect(vabs(x) < TINY, x, y); /* halving would cost a denormal its last bit, and -0 its sign */
}

/* tanh x = x + x^3 P(x^2) below 0.625, |relative error| < 2^-27.7 (float32), 2^-56.4 (float64); above,
 * 1 - 2 e / (1 + e) with e = e^(-2 |x|), where the rounding errors of the quotient are small against the 1. */
INLINE vreal vtanh(vreal x)
{
    if (PIECES > 0)
        return vtanh_pieces(x);
#if REAL_BITS == 32
    static const number c[] = {-3.333328194e-01f, 1.333144185e-01f, -5.373967148e-02f, 2.063891189e-02f,
                               -5.704764196e-03f};
#else
    static const number c[] = {
        -0.33333333333332854,   0.13333333333262035,  -0.053968253931240294, 0.021869487575459215,
        -0.008863220994230779,  0.003591989105561523, -0.001454958525355906, 0.000586315378821498,
        -0.0002285618496890762, 7.71416668249488e-05, -1.60712421872225e-05,
    };
#endif
    const vreal size = vabs(x), square = x * x, e = vexp_decay(2 * x);
    const vreal near = vfma(size * square, vpolynomial(square, sizeof c / sizeof *c, c), size);
    return vcopysign(vselect(size < (number)0.625, near, 1 - 2 * e / (1 + e)), x);
}

/* 1 / (1 + e^-|x|) = 1 - w and e^-|x| / (1 + e^-|x|) = e - e w, w = e / (1 + e): the rounding errors of the quotient
 * are small against e, and e keeps its digits to the denormals. */
INLINE vreal vsigmoid(vreal x)
{
    const vreal e = vexp_decay(x), w = e / (1 + e), start = vselect(x < 0, e, vsplat(1));
    return vfnma(start, w, start);
}

/* tail, n with tail 2^n = factor Q(t), Q(t) = erfc(t / sqrt 2) / 2 the normal distribution beyond t >= 0; the factor is
 * t or 1. And p 2^n = e^(-t^2/2).
 *
 * Q(t) = e^(-t^2/2) M(t) with Mills' ratio M ~ 1 / (sqrt(2 pi) t) for large t. 1 / M(t) - sqrt(2 pi) t falls from 2 to
 * 0; as (1 + t A(t)) / N(t) it gives M = N / (1 + t (sqrt(2 pi) N + A)). All coefficients are positive, and at either
 * end few terms matter, so that few rounding errors do. N and A are scaled by 3/2, so that near 0 no sum lies just
 * above a power of 2, where a rounding error is relatively largest. Relative error of the fit 2^-30.0 (float32),
 * 2^-57.2 (float64).
 *
 * For t <= NORMAL_END, whose Q is 0 also times t. */
INLINE vreal vnormal_tail(vreal t, vreal factor, vreal *p, vreal *n)
{
    /* clang-format off */
#if REAL_BITS == 32
    static const number above[] = {
        7.499999993e-01f, 8.213699627e-01f, 4.314338965e-01f, 1.312750239e-01f, 2.316089294e-02f, 1.962196943e-03f,
    };
    static const number below[] = {
        9.595954482e-01f, 3.196465349e-01f, 5.803762998e-02f, 4.918825884e-03f,
    };
#else
    static const number above[] = {
        0.75, 1.2777589522486772, 1.0761420895210443, 0.5803176332906218,
        0.22005106690798296, 0.061071192662840924, 0.012553823506903863, 0.0018909432665965788,
        0.00020068599172362, 1.3666030890141308e-05, 4.6030143009809114e-07,
    };
    static const number below[] = {
        1.8723735397284038, 1.1933554005777076, 0.4935947391878709, 0.14394560058112316,
        0.030473214834512992, 0.004671380586486139, 0.0005007375711749563, 3.4255659440110295e-05,
        1.1538045794946239e-06,
    };
#endif
    /* clang-format on */
    const vreal r = vexp_square(-0.5, t, n);
    const vreal rise = r * vpolynomial(r, EXP_TERMS - 1, exp_series + 1); /* p - 1 */
    *p = 1 + rise;
    const vreal a = vpolynomial(t, sizeof above / sizeof *above, above);
    const vreal b = vpolynomial(t, sizeof below / sizeof *below, below);
    const vreal bottom = (number)1.5 + vfma(vsplat((number)0x1.40d931ff62706p+1), t * a, t * b); /* sqrt(2 pi) */
    const vreal top = factor * a;
    return vfma(rise, top, top) / bottom;
}

#endif
