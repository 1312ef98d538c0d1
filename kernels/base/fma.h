/* Multiply-adds. Part of real.h.
 *
 * The build forbids compilers to make one operation of a * b + c (-ffp-contract=off), for each would choose for every copy of
 * an expression anew, and bits would depend on addresses, edges and batches. What shall be one is said here: one rounding where
 * the instruction set has the instruction, else two, never a call. */
#ifndef NPK_FMA_H
#define NPK_FMA_H

#ifdef __ARM_FEATURE_FMA
#include <arm_neon.h>
#endif

/* as many numbers in double precision as a register holds */
typedef double vdouble __attribute__((vector_size(VECTOR_BYTES)));

/* a b + c */
#if defined __AVX512F__
INLINE vdouble vfma_double(vdouble a, vdouble b, vdouble c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined __FMA__
INLINE vdouble vfma_double(vdouble a, vdouble b, vdouble c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined __ARM_FEATURE_FMA
INLINE vdouble vfma_double(vdouble a, vdouble b, vdouble c)
{
    return (vdouble)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
INLINE vdouble vfma_double(vdouble a, vdouble b, vdouble c) { return a * b + c; }
#endif

#if REAL_BITS == 64
INLINE vreal vfma(vreal a, vreal b, vreal c) { return vfma_double(a, b, c); }
#elif defined __AVX512F__
INLINE vreal vfma(vreal a, vreal b, vreal c) { return _mm512_fmadd_ps(a, b, c); }
#elif defined __FMA__
INLINE vreal vfma(vreal a, vreal b, vreal c) { return _mm256_fmadd_ps(a, b, c); }
#elif defined __ARM_FEATURE_FMA
INLINE vreal vfma(vreal a, vreal b, vreal c)
{
    return (vreal)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
#else
INLINE vreal vfma(vreal a, vreal b, vreal c) { return a * b + c; }
#endif

/* The same in double precision for the lanes of a vreal, which take two registers where these are floats. */
INLINE vwide vfma_wide(vwide a, vwide b, vwide c)
{
    enum { PARTS = sizeof(vwide) / sizeof(vdouble) };
    vdouble part[3][PARTS];
    memcpy(part[0], &a, sizeof a);
    memcpy(part[1], &b, sizeof b);
    memcpy(part[2], &c, sizeof c);
    UNROLL for (int i = 0; i < PARTS; i++) part[2][i] = vfma_double(part[0][i], part[1][i], part[2][i]);
    memcpy(&c, part[2], sizeof c);
    return c;
}
INLINE vwide vsplat_wide(double x) { return x - (vwide){0}; }

/* a b - c and c - a b: the sign costs no instruction where the operand is a constant or no other expression wants it negative. */
INLINE vreal vfms(vreal a, vreal b, vreal c) { return vfma(a, b, -c); }
INLINE vreal vfnma(vreal a, vreal b, vreal c) { return vfma(a, -b, c); }

#endif
