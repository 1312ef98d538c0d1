/* Elementary functions on vectors.
 *
 * Every function takes any value in every lane, unless it says otherwise: the limits at 0, inf and beyond the domain
 * are exact, a NaN stays a NaN, denormals are kept. No operation reads another lane, so a number gives the same bits
 * in every position.
 *
 * The polynomials are our own minimax fits: Remez exchange on the relative error of the function, in 60 digits, the
 * coefficients then rounded to the number type. The reductions follow Tang, "Table-driven implementation of the
 * exponential function", ACM TOMS 15(2), 1989 (without tables), Payne and Hanek, "Radian reduction for trigonometric
 * functions", SIGNUM Newsletter 18(1), 1983, and Ng, fdlibm (Sun Microsystems, 1993). They hold with and without FMA.
 * Largest errors found, in ULP, the worst of all instruction sets, over every seventh float32 (vsigmoid and those of
 * the second table: every one) and over 10^7 float64 of all magnitudes; tests/ulp.py sweeps what is public:
 *
 *             vexp  vexpm1  vlog  vlog1p  vtanh  vsigmoid  x (1 - vnormal_tail)
 *   float32   1.17    1.54  0.86    1.44   1.48      1.98                  3.48
 *   float64   1.21    2.15  0.79    1.27   1.42      1.85                  3.51
 *
 *             vasinh  vatan  vsin  vcos
 *   float32     1.39   0.92  1.59  1.59
 *   float64     2.18   0.91  2.49  2.45 */
#ifndef NPK_VMATH_H
#define NPK_VMATH_H

#include "real.h"

#if REAL_BITS == 32
enum { MANTISSA_BITS = 23, EXPONENT_BIAS = 127 };
static const number SMALLEST_NORMAL = 0x1p-126f;
static const number LN2_HIGH = 0x1.62e4p-1f; /* 16 bits: its product with an exponent is exact */
static const number LN2_LOW = 0x1.7f7d1cf79abcap-20f;
static const number EXP_LOWEST = -174;  /* e^x is 0, also times a number below 2^100; n still fits vscale */
static const number EXP_HIGHEST = 89;   /* e^x is inf */
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
    UNROLL for (int i = count - 2; i >= 0; i--) sum = vfma(sum, x, vsplat(c[i]));
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

/* y, negative where it was positive and the other way round, in the lanes where x is negative. */
INLINE vreal vflip(vreal y, vreal x) { return (vreal)((vbits)y ^ ((vbits)x & (bits)1 << (REAL_BITS - 1))); }

/* Pairs: high + low holds twice the digits of a number, |low| <= ulp(high) / 2. Where the argument of an exponential is
 * large, its absolute error becomes a relative one of the result: there a product must keep the digits that rounding
 * drops. */

/* The upper half of the digits of x; x less this is exact, and so are products of such halves. */
INLINE vreal vhalf(vreal x) { return (vreal)((vbits)x & ((bits)-1 << ((MANTISSA_BITS + 2) / 2))); }

/* t^2 = high + low: with h the upper half of t, h^2 + (t - h)(t + h). */
INLINE vreal vsquare(vreal t, vreal *low)
{
    const vreal h = vhalf(t);
    *low = (t - h) * (t + h);
    return h * h;
}

/* a + b = high + low. Knuth, The Art of Computer Programming, volume 2, section 4.2.2, theorem B. */
INLINE vreal vsum(vreal a, vreal b, vreal *low)
{
    const vreal high = a + b, b_seen = high - a;
    *low = (a - (high - b_seen)) + (b - b_seen);
    return high;
}

/* a x = high + low; low is 0 where |a x| >= 2^12, and no exponential can use it. float64: Dekker, "A floating-point
 * technique for extending the available precision", Numerische Mathematik 18, 1971. */
#if REAL_BITS == 32
INLINE vreal vproduct(double a, vreal x, vreal *low)
{
    if (a == 1)
        return *low = (vreal){0}, x;
    const vwide product = a * vwiden(x);
    const vreal high = vnarrow(product);
    *low = vselect(vabs(high) < 4096, vnarrow(product - vwiden(high)), (vreal){0});
    return high;
}
#else
INLINE vreal vproduct_of(vreal a, vreal x, vreal *low)
{
    const vreal a_high = vhalf(a), a_low = a - a_high, x_high = vhalf(x), x_low = x - x_high, high = a * x;
    const vreal rest = vfma(a_low, x_low, vfma(a_low, x_high, vfma(a_high, x_low, vfms(a_high, x_high, high))));
    *low = vselect(vabs(high) < 4096, rest, (vreal){0});
    return high;
}
INLINE vreal vproduct(double a, vreal x, vreal *low)
{
    return a == 1 ? *low = (vreal){0}, x : vproduct_of(vsplat(a), x, low);
}
#endif

#include "vpieces.h"

#include "vexp.h"

#include "vlog.h"

#include "vtrig.h"

#endif
