/* Elementary functions on vectors.
 *
 * Every function takes any value in every lane: the limits at 0, inf and beyond the domain are exact, a NaN stays a NaN,
 * denormals are kept. No operation reads another lane, so a number gives the same bits in every position.
 *
 * The polynomials are our own minimax fits: Remez exchange on the relative error of the function, in 60 digits, the
 * coefficients then rounded to the number type. The reductions follow Tang, "Table-driven implementation of the
 * exponential function", ACM TOMS 15(2), 1989 (without tables) and Ng, fdlibm (Sun Microsystems, 1993). They hold with
 * and without FMA. "Largest error" is over all float32, and over 10^8 samples in float64. */
#ifndef NPK_VMATH_H
#define NPK_VMATH_H

#include "real.h"

#if REAL_BITS == 32
#define MANTISSA_BITS 23
#define EXPONENT_BIAS 127
#define SMALLEST_NORMAL 0x1p-126f
#define ROUNDING 0x1.8p23f /* 1.5 2^23: x + this has x, rounded to an integer, in its lowest bits */
#define LN2_HIGH 0x1.62e4p-1f /* 16 bits: its product with an exponent is exact */
#define LN2_LOW 0x1.7f7d1cf79abcap-20f
#define EXP_LOWEST -174.0f /* exp is 0, also after a product with a number below 2^100; its exponent fits vscale */
#define EXP_HIGHEST 89.0f  /* exp is inf */
#else
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define ROUNDING 0x1.8p52
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define EXP_LOWEST -1416.0
#define EXP_HIGHEST 710.0
#endif
#define INFINITE ((number)__builtin_inff())

/* sum of c[i] x^i, i < count */
INLINE vreal vpolynomial(vreal x, int count, const number *c)
{
    vreal sum = vsplat(c[count - 1]);
    UNROLL for (int i = count - 2; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

INLINE vreal vabs(vreal x) { return (vreal)((vbits)x & ((bits)-1 >> 1)); }

/* The sign of `sign` on the size of x. */
INLINE vreal vcopysign(vreal x, vreal sign)
{
    const bits top = (bits)1 << (REAL_BITS - 1);
    return (vreal)(((vbits)x & ~top) | ((vbits)sign & top));
}

/* y 2^n, rounded once where |y| is in [1/2, 2]; n integral, |n| <= 2 EXPONENT_BIAS - 2. */
INLINE vreal vscale(vreal y, vreal n)
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

/* p, n with p 2^n = e^(high + low), p in [0.7, 1.5], |low| <= 2^-8 |high|. Whoever multiplies the exponential does that to p
 * and applies 2^n last, so that a small exponential does not lose digits of the product.
 *
 * e^x = 2^n e^r, n = round(x / ln 2), r = x - n ln 2 in two steps of which the first is exact; e^r = 1 + r + r^2 q(r),
 * |q's relative error| < 2^-28.2 (float32), 2^-57.9 (float64). Arguments are clamped to [EXP_LOWEST, EXP_HIGHEST]. */
INLINE vreal vexp_parts(vreal high, vreal low, vreal *n)
{
#if REAL_BITS == 32
    static const number q[] = {4.999999345e-01f, 1.666652063e-01f, 4.166838741e-02f, 8.368716961e-03f, 1.381463913e-03f};
#else
    static const number q[] = {
        0.5000000000000011,    0.1666666666666641,    0.04166666666653029,  0.00833333333349544,  0.0013888888943606851,
        0.0001984126950468951, 2.4801493114786734e-05, 2.755758786251247e-06, 2.763024481372879e-07, 2.4999645835686095e-08,
    };
#endif
    high = vmin(vsplat(EXP_HIGHEST), vmax(vsplat(EXP_LOWEST), high)); /* a NaN is the second operand: it stays */
    const vreal rounded = (high + low) * (number)0x1.71547652b82fep0 + ROUNDING; /* 1 / ln 2 */
    *n = rounded - ROUNDING;
    const vreal r = ((high - *n * LN2_HIGH) - *n * LN2_LOW) + low;
    return 1 + (r + r * r * vpolynomial(r, sizeof q / sizeof *q, q));
}

/* e^x */
INLINE vreal vexp(vreal x)
{
    vreal n;
    const vreal p = vexp_parts(x, (vreal){0}, &n);
    return vscale(p, n);
}

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
 * float64: with s = f / (2 + f), ln(1 + f) = 2 s + s^3 R(s^2) = f - (f^2/2 - s (f^2/2 + s^2 R)), relative error 2^-59.4. */
INLINE vreal vlog_sum(vreal k, vreal f)
{
    const vreal half_square = (number)0.5 * f * f;
#if REAL_BITS == 32
    static const number p[] = {3.333333172e-01f, -2.500082094e-01f, 2.000122617e-01f, -1.662335908e-01f,
                               1.420176935e-01f, -1.316018032e-01f, 1.276152551e-01f, -7.634448970e-02f};
    const vreal rest = f * f * f * vpolynomial(f, sizeof p / sizeof *p, p);
#else
    static const number r[] = {0.6666666666666734,  0.3999999999941432,  0.2857142874247574, 0.22222198563362894,
                               0.18183564873559646, 0.15314035654664684, 0.14796107279774906};
    const vreal s = f / (2 + f), z = s * s;
    const vreal rest = s * (half_square + z * vpolynomial(z, sizeof r / sizeof *r, r));
#endif
    return k * LN2_HIGH - ((half_square - (rest + k * LN2_LOW)) - f);
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

#endif
