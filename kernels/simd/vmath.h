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
#define NORMAL_END 14.5f
#else
#define MANTISSA_BITS 52
#define EXPONENT_BIAS 1023
#define SMALLEST_NORMAL 0x1p-1022
#define ROUNDING 0x1.8p52
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW 0x1.a39ef35793c76p-33
#define EXP_LOWEST -1416.0
#define EXP_HIGHEST 710.0
#define NORMAL_END 39.0
#endif
#define EXPM1_LOWEST -64.0f /* e^x - 1 is -1 */
#define TINY 0x1p-60f       /* 1 + x is 1 */
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

/* e^r - 1 - r and n with e^(high + low) = 2^n e^r; |low| <= 2^-8 |high|.
 *
 * e^x = 2^n e^r, n = round(x / ln 2), r = x - n ln 2 in two steps of which the first is exact; e^r - 1 - r = r^2 q(r),
 * |q's relative error| < 2^-28.2 (float32), 2^-57.9 (float64). Arguments are clamped to [EXP_LOWEST, EXP_HIGHEST]. */
INLINE vreal vexp_reduced(vreal high, vreal low, vreal *r, vreal *n)
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
    *r = ((high - *n * LN2_HIGH) - *n * LN2_LOW) + low;
    return *r * *r * vpolynomial(*r, sizeof q / sizeof *q, q);
}

/* p, n with p 2^n = e^(high + low), p in [0.7, 1.5]. Whoever multiplies the exponential does that to p and applies 2^n
 * last, so that a small exponential does not lose digits of the product. */
INLINE vreal vexp_parts(vreal high, vreal low, vreal *n)
{
    vreal r;
    const vreal rest = vexp_reduced(high, low, &r, n);
    return 1 + (r + rest);
}

/* e^x */
INLINE vreal vexp(vreal x)
{
    vreal n;
    const vreal p = vexp_parts(x, (vreal){0}, &n);
    return vscale(p, n);
}

/* e^x - 1 = 2 (2^(n-1) (e^r - 1) + (2^(n-1) - 1/2)); halved because 2^n may be beyond the largest number. */
INLINE vreal vexpm1(vreal x)
{
    vreal r, n;
    const vreal rest = vexp_reduced(vmax(vsplat(EXPM1_LOWEST), x), (vreal){0}, &r, &n);
    const vbits half = (vbits)(n + (ROUNDING + EXPONENT_BIAS - 1)) << MANTISSA_BITS;
    const vreal y = 2 * ((vreal)half * (r + rest) + ((vreal)half - (number)0.5));
    return vselect(vabs(x) < TINY, x, y); /* halving would cost a denormal its last bit, and -0 its sign */
}

/* tanh x = x + x^3 P(x^2) below 0.625, |relative error| < 2^-27.7 (float32), 2^-56.4 (float64); above,
 * 1 - 2 e / (1 + e) with e = e^(-2 |x|), where the rounding errors of the quotient are small against the 1. */
INLINE vreal vtanh(vreal x)
{
#if REAL_BITS == 32
    static const number c[] = {-3.333328194e-01f, 1.333144185e-01f, -5.373967148e-02f, 2.063891189e-02f, -5.704764196e-03f};
#else
    static const number c[] = {-0.33333333333332854, 0.13333333333262035,    -0.053968253931240294,  0.021869487575459215,
                               -0.008863220994230779, 0.003591989105561523,  -0.001454958525355906,  0.000586315378821498,
                               -0.0002285618496890762, 7.71416668249488e-05, -1.60712421872225e-05};
#endif
    const vreal size = vabs(x), square = x * x, e = vexp(-2 * size);
    const vreal near = x + x * square * vpolynomial(square, sizeof c / sizeof *c, c);
    const vreal far = vcopysign(1 - 2 * e / (1 + e), x);
    return vselect(size < (number)0.625, near, far);
}

/* 1 / (1 + e^-|x|) = 1 - w and e^-|x| / (1 + e^-|x|) = e - e w, w = e / (1 + e): the rounding errors of the quotient are
 * small against e, and e keeps its digits to the denormals. */
INLINE vreal vsigmoid(vreal x)
{
    const vreal e = vexp(-vabs(x)), w = e / (1 + e), start = vselect(x < 0, e, vsplat(1));
    return start - start * w;
}

/* tail, n with tail 2^n = Q(t) = erfc(t / sqrt 2) / 2, the normal distribution beyond t >= 0, and p 2^n = e^(-t^2/2).
 *
 * Q(t) = e^(-t^2/2) M(t), M a quotient of polynomials, relative error 2^-27.3 (float32), 2^-59.9 (float64), of positive
 * coefficients, so that nothing cancels; the form is that of Cody, "Rational Chebyshev approximations for the error
 * function", Math. Comp. 23, 1969. t^2 must be exact, for the exponential makes its absolute error a relative one: with h
 * the upper half of the digits of t, -t^2/2 = -h^2/2 - (t - h)(t + h)/2. NORMAL_END stands for every larger t: there Q is
 * 0, also after a product with a number of that size. */
INLINE vreal vnormal_tail(vreal t, vreal *p, vreal *n)
{
#if REAL_BITS == 32
    static const number above[] = {5.000000030e-01f, 4.382950991e-01f, 1.832352525e-01f, 4.063326655e-02f,
                                   4.116315369e-03f};
    static const number below[] = {1.000000000e+00f, 1.674475179e+00f, 1.202503608e+00f,
                                   4.694709339e-01f, 1.018589419e-01f, 1.031795275e-02f};
#else
    static const number above[] = {
        0.5,                    0.8279457397099019,    0.6796427948813661,   0.3573716898923444,
        0.13205967670422764,    0.035672500885866924,  0.007124040701189616, 0.001039920917524038,
        0.0001065976927611436,  6.977892296818809e-06, 2.2425605380676267e-07,
    };
    static const number below[] = {
        1.0,                    2.4537760402226696,     2.817115607924383,     2.001549929500734,
        0.9801773419239703,     0.3483530538743314,     0.09198941285056803,   0.01812339837974894,
        0.0026241861575787276,  0.0002677629172475755,  1.7490982128565717e-05, 5.62126565229074e-07,
    };
#endif
    t = vmin(vsplat(NORMAL_END), t);
    const vreal h = (vreal)((vbits)t & ((bits)-1 << ((MANTISSA_BITS + 2) / 2)));
    *p = vexp_parts((number)-0.5 * h * h, (number)-0.5 * (t - h) * (t + h), n);
    return *p * vpolynomial(t, sizeof above / sizeof *above, above) / vpolynomial(t, sizeof below / sizeof *below, below);
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

/* ln(1 + x). With u = 1 + x rounded, k from u, and s = 2^-k: 1 + f = s (1 + x), so f = s x + (s - 1), rounded once. Where
 * the 1 is below the last digit of x, 1 + f comes from u itself. */
INLINE vreal vlog1p(vreal x)
{
    const vreal u = 1 + x;
    vreal k;
    const vreal f = vlog_parts(u, &k);
    const vreal s = (vreal)((vbits)(ROUNDING + EXPONENT_BIAS - k) << MANTISSA_BITS);
    vreal y = vlog_sum(k, vselect(x < 1 / TINY, s * x + (s - 1), f));
    y = vselect(vabs(x) < TINY, x, y);
    y = vselect(x < INFINITE, y, x);
    y = vselect(x == -1, vsplat(-INFINITE), y);
    return vselect(x < -1, vsplat(INFINITE - INFINITE), y);
}

#endif
