/* Logarithms, and what is made of them. Part of vmath.h. */
#ifndef NPK_VLOG_H
#define NPK_VLOG_H

#include "vmath.h"

/* k, f with x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), for positive finite normal x. */
INLINE vreal vlog_parts(vreal x, vreal *k)
{
#if REAL_BITS == 32
    const bits sqrt_half = 0x3f3504f3;
#else
    const bits sqrt_half = 0x3fe6a09e667f3bcc;
#endif
    const bits one = (bits)EXPONENT_BIAS << MANTISSA_BITS;
    const vbits biased = ((vbits)x - sqrt_half + one) >> MANTISSA_BITS; /* k + EXPONENT_BIAS */
    *k = (vreal)(biased + (vbits)vsplat(ROUNDING)) - (ROUNDING + EXPONENT_BIAS);
    return (vreal)((vbits)x - (biased << MANTISSA_BITS) + one) - 1;
}

/* k ln 2 + ln(1 + f) for 1 + f in [sqrt(1/2), sqrt(2)).
 * float32: ln(1 + f) = f - f^2/2 + f^3 P(f), relative error 2^-27.3.
 * float64: with s = f / (2 + f), ln(1 + f) = 2 s + s^3 R(s^2) = f - (f^2/2 - s (f^2/2 + s^2 R)), relative error
 * 2^-59.4. */
INLINE vreal vlog_sum(vreal k, vreal f)
{
    const vreal half = (number)0.5 * f;
#if REAL_BITS == 32
    static const number p[] = {3.333333172e-01f, -2.500082094e-01f, 2.000122617e-01f, -1.662335908e-01f,
                               1.420176935e-01f, -1.316018032e-01f, 1.276152551e-01f, -7.634448970e-02f};
    const vreal rest = f * f * f * vpolynomial(f, sizeof p / sizeof *p, p);
#else
    static const number r[] = {0.6666666666666734,  0.3999999999941432,  0.2857142874247574, 0.22222198563362894,
                               0.18183564873559646, 0.15314035654664684, 0.14796107279774906};
    const vreal s = f / (2 + f), z = s * s;
    const vreal rest = s * vfma(z, vpolynomial(z, sizeof r / sizeof *r, r), half * f);
#endif
    return vfms(k, vsplat(LN2_HIGH), vfms(half, f, vfma(k, vsplat(LN2_LOW), rest)) - f);
}

/* ln x; ln 0 = -inf, NaN below. */
INLINE vreal vlog(vreal x)
{
    const vint small = x < SMALLEST_NORMAL;
    const number lift = (number)((bits)1 << (MANTISSA_BITS + 1));
    vreal k;
    const vreal f = vlog_parts(vselect(small, x * lift, x), &k);
    vreal y = vlog_sum(k - vselect(small, vsplat(MANTISSA_BITS + 1), (vreal){0}), f);
    y = vselect(x < INFINITE, y, x); /* inf and NaN */
    y = vselect(x == 0, vsplat(-INFINITE), y);
    return vselect(x < 0, vsplat(INFINITE - INFINITE), y);
}

/* ln(1 + x + low) for -1 < x + low, x < 1 / TINY, except that it may be 0 where |x| < TINY. With u = 1 + x rounded, k
 * from u, and s = 2^-k: 1 + f = s (1 + x), so f = s x + (s - 1), rounded once. */
INLINE vreal vlog1p_pair(vreal x, vreal low)
{
    vreal k;
    vlog_parts(1 + x + low, &k);
    const vreal s = (vreal)((vbits)(ROUNDING + EXPONENT_BIAS - k) << MANTISSA_BITS);
    return vlog_sum(k, vfma(s, low, vfma(s, x, s - 1)));
}
INLINE vreal vlog1p_inner(vreal x) { return vlog1p_pair(x, (vreal){0}); }

/* ln(1 + x); ln 0 = -inf, NaN below. */
INLINE vreal vlog1p(vreal x)
{
    vreal y = vselect(x < 1 / TINY, vlog1p_inner(x), vlog(x));
    y = vselect(vabs(x) < TINY, x, y);
    y = vselect(x == -1, vsplat(-INFINITE), y);
    return vselect(x < -1, vsplat(INFINITE - INFINITE), y);
}

/* arsinh x = ln(x + sqrt(x^2 + 1)) on |x|, whose relative errors, absolute ones of the logarithm, are small against it
 * where it is above 1; ln 2|x| where 1 adds nothing. Below, x + x^3 P(x^2), relative error 2^-27.2 up to 1.2 (float32),
 * 2^-60.6 up to 0.56 (float64). */
INLINE vreal vasinh(vreal x)
{
#if REAL_BITS == 32
    static const number c[] = {-1.666660607e-01f, 7.498180866e-02f,  -4.445044696e-02f,
                               2.935761958e-02f,  -1.915005594e-02f, 1.076047495e-02f,
                               -4.496958572e-03f, 1.178738778e-03f,  -1.415322913e-04f};
    const number series_end = 1.2f;
#else
    static const number c[] = {
        -0.16666666666666624,   0.07499999999988781,  -0.044642857132799946, 0.030381943989396528,
        -0.022372146910610163,  0.017352554046495616, -0.013962374554529079, 0.011531487091059823,
        -0.00964249375926002,   0.007889682783503278, -0.005809602803991183, 0.00325679661393716,
        -0.0009807116719863593,
    };
    const number series_end = 0.56;
#endif
    const vreal size = vabs(x), square = x * x;
    const vreal near = vfma(size * square, vpolynomial(square, sizeof c / sizeof *c, c), size);
    const vint huge = size > 1 / TINY;
    vreal k;
    const vreal f = vlog_parts(vselect(huge, size, size + vsqrt(1 + square)), &k);
    const vreal far = vlog_sum(k + vselect(huge, vsplat(1), (vreal){0}), f);
    const vreal y = vselect(size < series_end, near, vselect(size < INFINITE, far, size));
    return vcopysign(y, x);
}

#endif
