/* Elementary functions on vectors.
 *
 * Every function takes any value in every lane, unless it says otherwise: the limits at 0, inf and beyond the domain
 * are exact, a NaN stays a NaN, denormals are kept. No operation reads another lane, so a number gives the same bits
 * in every position.
 *
 * The polynomials are our own minimax fits: Remez exchange on the relative error of the function, in 60 digits, the
 * coefficients then rounded to the number type. The reductions follow Tang, "Table-driven implementation of the
 * exponential function", ACM TOMS 15(2), 1989 (without tables) and Ng, fdlibm (Sun Microsystems, 1993). They hold with
 * and without FMA. Largest errors found, in ULP, the worst of all instruction sets, over every seventh float32
 * (vsigmoid: every one) and over 10^7 float64 of all magnitudes; tests/ulp.py sweeps what is public:
 *
 *             vexp  vexpm1  vlog  vlog1p  vtanh  vsigmoid  x (1 - vnormal_tail)
 *   float32   1.17    1.54  0.86    1.44   1.48      1.98                  3.48
 *   float64   1.21    2.15  0.79    1.27   1.42      1.85                  3.51 */
#ifndef NPK_VMATH_H
#define NPK_VMATH_H

#include "real.h"

#if REAL_BITS == 32
enum { MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
static const number SMALLEST_NORMAL = 0x1p-126f;
static const number LN2_HIGH = 0x1.62e4p-1f; /* 16 bits: its product with an exponent is exact */
static const number LN2_LOW = 0x1.7f7d1cf79abcap-20f;
static const number EXP_LOWEST = -174; /* e^x is 0, also times a number below 2^100; n still fits vscale */
static const number EXP_HIGHEST = 89;  /* e^x is inf */
static const number NORMAL_END = 18.6f; /* e^(-x^2/2) likewise */
#else
enum { MANTISSA_BITS = 52, EXPONENT_BIAS = 1023 };
static const number SMALLEST_NORMAL = 0x1p-1022;
static const number LN2_HIGH = 0x1.62e42feep-1;
static const number LN2_LOW = 0x1.a39ef35793c76p-33;
static const number EXP_LOWEST = -1416;
static const number EXP_HIGHEST = 710;
static const number NORMAL_END = 53;
#endif
static const number ROUNDING = (number)3 * ((bits)1 << (MANTISSA_BITS - 1)); /* x + this ends in the bits of round(x) */
static const number EXPM1_LOWEST = -64;                                      /* e^x - 1 is -1 */
static const number TINY = 0x1p-60f;                                         /* 1 + x is 1 */
static const number INFINITE = __builtin_inff();

/* sum of c[i] x^i, i < count */
INLINE vreal vpolynomial(vreal x, int count, const number *c)
{
    vreal sum = vsplat(c[count - 1]);
    UNROLL for (int i = count - 2; i >= 0; i--) sum = sum * x + c[i];
    return sum;
}

INLINE vreal vabs(vreal x) { return (vreal)((vbits)x & ((bits)-1 >> 1)); }
INLINE vreal vminus_abs(vreal x) { return (vreal)((vbits)x | (bits)1 << (REAL_BITS - 1)); }

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

/* e^x = 2^n e^r with n = round(x / ln 2), r = x - n ln 2, for x in [EXP_LOWEST, EXP_HIGHEST]. */
INLINE vreal vexp_exponent(vreal x) { return x * (number)0x1.71547652b82fep0 + ROUNDING - ROUNDING; } /* 1 / ln 2 */
INLINE vreal vexp_rest(vreal x, vreal n) { return x - n * LN2_HIGH - n * LN2_LOW; } /* the first difference is exact */

/* The series of e^r for |r| <= ln(2) / 2: 1 + r + r^2 q(r), relative error 2^-28.2 (float32), 2^-57.9 (float64). */
#if REAL_BITS == 32
enum { EXP_TERMS = 7 };
static const number exp_series[EXP_TERMS] = {
    1, 1, 4.999999345e-01f, 1.666652063e-01f, 4.166838741e-02f, 8.368716961e-03f, 1.381463913e-03f,
};
#else
enum { EXP_TERMS = 12 };
static const number exp_series[EXP_TERMS] = {
    1, 1, 0.5000000000000011, 0.1666666666666641, 0.04166666666653029, 0.00833333333349544, 0.0013888888943606851,
    0.0001984126950468951, 2.4801493114786734e-05, 2.755758786251247e-06, 2.763024481372879e-07, 2.4999645835686095e-08,
};
#endif

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

/* e^-|x| */
INLINE vreal vexp_decay(vreal x)
{
    vreal n;
    const vreal p = vexp_parts(vmax(vsplat(EXP_LOWEST), vminus_abs(x)), &n);
    return vscale(p, n);
}

/* e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)); halved because 2^n may be beyond the largest number. */
INLINE vreal vexpm1(vreal x)
{
    const vreal inner = vmin(vsplat(EXP_HIGHEST), vmax(vsplat(EXPM1_LOWEST), x));
    const vreal n = vexp_exponent(inner), r = vexp_rest(inner, n);
    const vreal rest = r * r * vpolynomial(r, EXP_TERMS - 2, exp_series + 2);
    const vbits half = (vbits)(n + (ROUNDING + EXPONENT_BIAS - 1)) << MANTISSA_BITS;
    const vreal y = 2 * ((vreal)half * (r + rest) + ((vreal)half - (number)0.5));
    return vselect(vabs(x) < TINY, x, y); /* halving would cost a denormal its last bit, and -0 its sign */
}

/* tanh x = x + x^3 P(x^2) below 0.625, |relative error| < 2^-27.7 (float32), 2^-56.4 (float64); above,
 * 1 - 2 e / (1 + e) with e = e^(-2 |x|), where the rounding errors of the quotient are small against the 1. */
INLINE vreal vtanh(vreal x)
{
#if REAL_BITS == 32
    static const number c[] = {-3.333328194e-01f, 1.333144185e-01f, -5.373967148e-02f, 2.063891189e-02f,
                               -5.704764196e-03f};
#else
    static const number c[] = {
        -0.33333333333332854, 0.13333333333262035, -0.053968253931240294, 0.021869487575459215, -0.008863220994230779,
        0.003591989105561523, -0.001454958525355906, 0.000586315378821498, -0.0002285618496890762,
        7.71416668249488e-05, -1.60712421872225e-05,
    };
#endif
    const vreal size = vabs(x), square = x * x, e = vexp_decay(2 * x);
    const vreal near = size + size * square * vpolynomial(square, sizeof c / sizeof *c, c);
    return vcopysign(vselect(size < (number)0.625, near, 1 - 2 * e / (1 + e)), x);
}

/* 1 / (1 + e^-|x|) = 1 - w and e^-|x| / (1 + e^-|x|) = e - e w, w = e / (1 + e): the rounding errors of the quotient
 * are small against e, and e keeps its digits to the denormals. */
INLINE vreal vsigmoid(vreal x)
{
    const vreal e = vexp_decay(x), w = e / (1 + e), start = vselect(x < 0, e, vsplat(1));
    return start - start * w;
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
 * t^2 must be exact, for the exponential makes its absolute error a relative one: with h the upper half of the digits
 * of t, -t^2/2 = -h^2/2 - (t - h)(t + h)/2. For t <= NORMAL_END, whose Q is 0 also times t. */
INLINE vreal vnormal_tail(vreal t, vreal factor, vreal *p, vreal *n)
{
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
    const vreal h = (vreal)((vbits)t & ((bits)-1 << ((MANTISSA_BITS + 2) / 2)));
    const vreal high = (number)-0.5 * h * h, low = (number)-0.5 * (t - h) * (t + h);
    *n = vexp_exponent(high + low);
    const vreal r = vexp_rest(high, *n) + low;
    const vreal rise = r * vpolynomial(r, EXP_TERMS - 1, exp_series + 1); /* p - 1 */
    *p = 1 + rise;
    const vreal a = vpolynomial(t, sizeof above / sizeof *above, above);
    const vreal b = vpolynomial(t, sizeof below / sizeof *below, below);
    const vreal bottom = (number)1.5 + (t * b + (number)0x1.40d931ff62706p+1 * (t * a)); /* sqrt(2 pi) */
    const vreal top = factor * a;
    return (top + rise * top) / bottom;
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
 * float64: with s = f / (2 + f), ln(1 + f) = 2 s + s^3 R(s^2) = f - (f^2/2 - s (f^2/2 + s^2 R)), relative error
 * 2^-59.4. */
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

/* ln(1 + x) for -1 < x < 1 / TINY, except that it may be 0 where |x| < TINY. With u = 1 + x rounded, k from u, and
 * s = 2^-k: 1 + f = s (1 + x), so f = s x + (s - 1), rounded once. */
INLINE vreal vlog1p_inner(vreal x)
{
    vreal k;
    vlog_parts(1 + x, &k);
    const vreal s = (vreal)((vbits)(ROUNDING + EXPONENT_BIAS - k) << MANTISSA_BITS);
    return vlog_sum(k, s * x + (s - 1));
}

/* ln(1 + x); ln 0 = -inf, NaN below. */
INLINE vreal vlog1p(vreal x)
{
    vreal y = vselect(x < 1 / TINY, vlog1p_inner(x), vlog(x));
    y = vselect(vabs(x) < TINY, x, y);
    y = vselect(x == -1, vsplat(-INFINITE), y);
    return vselect(x < -1, vsplat(INFINITE - INFINITE), y);
}

#endif
