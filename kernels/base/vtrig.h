/* Functions of the circle. Part of vmath.h. */
#ifndef NPK_VTRIG_H
#define NPK_VTRIG_H

#include "vmath.h"

/* atan x on t = |x|: z in [-0.25, 0.6], atan t = base + atan z, with base pi/2 and z = -1/t for t > tan(3 pi / 8), base
 * pi/4 and z = (t - 1)/(t + 1) for t > 0.6, else z = t. atan z = z + z^3 P(z^2), relative error 2^-28.6 (float32),
 * 2^-59.4 (float64). fdlibm's and Cephes' (S. Moshier, 1989) reduction. */
INLINE vreal vatan(vreal x)
{
#if REAL_BITS == 32
    static const number c[] = {-3.333328962e-01f, 1.999761611e-01f,  -1.424088478e-01f,
                               1.071491539e-01f,  -7.240132242e-02f, 2.959458902e-02f};
#else
    static const number c[] = {
        -0.33333333333333226, 0.19999999999972462,  -0.1428571428324151,   0.11111110998611133,  -0.09090906046707561,
        0.07692254150368663,  -0.06666020531425956, 0.058768176507763066,  -0.05228790381644869, 0.04605548053337336,
        -0.03824785001285654, 0.02715844800180609,  -0.013943677721778404, 0.00369826651440654,
    };
#endif
    const double pi_4 = 0x1.921fb54442d18p-1, pi_4_rest = 0x1.1a62633145c07p-55;
    const number high = (number)pi_4, low = (number)(pi_4 - (double)high + pi_4_rest);
    const vreal t = vabs(x), none = {0};
    const vint steep = t > (number)2.414213562373095, middle = t > (number)0.6;
    const vreal top = vselect(steep, vsplat(-1), vselect(middle, t - 1, t));
    const vreal z = top / vselect(steep, t, vselect(middle, t + 1, vsplat(1))), square = z * z;
    const vreal quarters = vselect(steep, vsplat(2), vselect(middle, vsplat(1), none));
    const vreal rest = vfma(z * square, vpolynomial(square, sizeof c / sizeof *c, c), quarters * low);
    return vcopysign(vfma(quarters, vsplat(high), z + rest), x);
}

/* The first 1216 binary digits of 2 / pi. */
static const uint64_t two_over_pi[] = {
    0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
    0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484, 0xe99c7026b45f7e41,
    0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d, 0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab,
};

/* r, returns q with x = q pi/2 + r (mod 2 pi), |r| <= pi/4, for 2^20 <= x < inf. Payne and Hanek: with x = m 2^e, the
 * digits of 2 / pi from weight 2^-(e - 2) up make multiples of 4 with m; of the following 192 the product with m,
 * modulo 2^192, is x 2/pi modulo 4 with 190 digits behind the point, wrong by less than 2^-137. No float64 is so near
 * to a multiple of pi/2 that r has less than 2^-62 of a quadrant (Muller, Elementary Functions, 2016, section 11.3). */
static inline int reduce_far(double x, double *r)
{
    __extension__ typedef unsigned __int128 wide;
    __extension__ typedef __int128 signed_wide;
    uint64_t m, digits[3];
    memcpy(&m, &x, sizeof m);
    const int start = (int)(m >> 52) - 1075 - 2 + 64; /* e - 2, behind the word of zeros */
    m = (m & ((uint64_t)-1 >> 12)) | (uint64_t)1 << 52;
    for (int i = 0, word = start / 64, bit = start % 64; i < 3; i++, word++)
        digits[i] = bit == 0 ? two_over_pi[word] : two_over_pi[word] << bit | two_over_pi[word + 1] >> (64 - bit);
    const wide low = (wide)m * digits[2], middle = (wide)m * digits[1] + (uint64_t)(low >> 64);
    const uint64_t high = m * digits[0] + (uint64_t)(middle >> 64);
    const uint64_t fraction = high << 2 | (uint64_t)middle >> 62, next = (uint64_t)middle << 2 | (uint64_t)low >> 62;
    const signed_wide rest = (signed_wide)((wide)fraction << 64 | next); /* above 1/2: less 1, into the next quadrant */
    *r = (double)rest * (0x1.921fb54442d18p0 * 0x1p-128);
    return (int)((high >> 62) + (fraction >> 63)) & 3;
}

/* q (modulo 4), r with |x| = q pi/2 + r, |r| <= pi/4 to a rounding error; q and r of inf and NaN: any, NaN.
 *
 * Cody and Waite: pi/2 in parts so short that their products with q are exact; float32 does it in float64. Numbers too
 * large for that go one by one. */
INLINE vreal vquadrant(vreal x, vbits *q)
{
    const vreal size = vabs(x);
    const number near_end = 0x1p20f;
#if REAL_BITS == 32
    const double rounding = 0x1.8p52;
    const vwide wide = vwiden(size), quarter = vsplat_wide(0x1.45f306dc9c883p-1); /* 2 / pi */
    const vwide turns = vfma_wide(wide, quarter, vsplat_wide(rounding)) - rounding;
    const vwide first = vfma_wide(turns, vsplat_wide(-0x1.921fb544p0), wide);
    vreal r = vnarrow(vfma_wide(turns, vsplat_wide(-0x1.0b4611a626331p-34), first));
    const vreal n = vnarrow(turns);
#else
    const vreal n = vfma(size, vsplat(0x1.45f306dc9c883p-1), vsplat(ROUNDING)) - ROUNDING;
    vreal low, lower;
    vreal r = vsum(vfnma(n, vsplat(0x1.921fb544p0), size), -(n * 0x1.0b4611a6p-34), &low);
    r = vsum(r, -(n * 0x1.3198a2ep-69), &lower);
    r += vfnma(n, vsplat(0x1.b839a252049c1p-104), low + lower);
#endif
    *q = (vbits)(n + ROUNDING);
    const vint far = (size >= near_end) & (size < INFINITE);
    if (vany(far))
        for (int l = 0; l < LANES; l++)
            if (far[l]) {
                double rest;
                (*q)[l] = (bits)reduce_far((double)size[l], &rest);
                r[l] = (number)rest;
            }
    return r;
}

/* sin(q pi/2 + r) for |r| <= pi/4: sin r = r + r^3 S(r^2) or cos r = 1 - r^2/2 + r^4 C(r^2), and the sign. Errors
 * 2^-27.9 and 2^-32.9 (float32), 2^-57.9 and 2^-63.9 (float64). */
INLINE vreal vsin_quadrant(vreal r, vbits q)
{
#if REAL_BITS == 32
    static const number s[] = {-1.666665524e-01f, 8.332154714e-03f, -1.951445302e-04f};
    static const number c[] = {4.166664556e-02f, -1.388730831e-03f, 2.443220910e-05f};
#else
    static const number s[] = {-0.1666666666666663,    0.008333333333322118,    -0.00019841269829589303,
                               2.7557313621306012e-06, -2.5050747750856984e-08, 1.58962294870117e-10};
    static const number c[] = {0.041666666666666595,    -0.0013888888888873056, 2.4801587288851606e-05,
                               -2.7557314179266866e-07, 2.0875700837677457e-09, -1.135853628707816e-11};
#endif
    const vreal square = r * r;
    const vreal sine = vfma(r * square, vpolynomial(square, sizeof s / sizeof *s, s), r);
    const vreal rest = vpolynomial(square, sizeof c / sizeof *c, c);
    const vreal cosine = 1 - vfnma(square * square, rest, (number)0.5 * square);
    const vreal y = vselect((vint)((q & 1) != 0), cosine, sine);
    return (vreal)((vbits)y ^ (q & 2) << (REAL_BITS - 2));
}

/* sin x = sign(x) sin |x|, cos x = sin(|x| + pi/2); NaN at inf */
INLINE vreal vsin(vreal x)
{
    vbits q;
    const vreal r = vquadrant(x, &q);
    return vflip(vsin_quadrant(r, q), x);
}
INLINE vreal vcos(vreal x)
{
    vbits q;
    const vreal r = vquadrant(x, &q);
    return vsin_quadrant(r, q + 1);
}

#endif
