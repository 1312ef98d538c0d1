/* The number type and the vector type of this compilation.
 *
 * Every file of this folder is compiled once for each (ISA, dtype). The build defines
 *   REAL_BITS      32 or 64
 *   ISA            generic, avx2, avx512: the suffix of the exported names
 *   VECTOR_BYTES   16, 32, 64
 *   TILE_ROWS, TILE_VECTORS   the register tile (see tile.h)
 * Vectors are GNU C vector types: +, *, <, ?: on them need no intrinsics. */
#ifndef NPK_REAL_H
#define NPK_REAL_H

#include <assert.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <immintrin.h>
#endif

/* NumPy arrays may be unaligned, so `real`, the type of everything behind a pointer, has no alignment. */
#if REAL_BITS == 32
typedef float number;
typedef int32_t integer; /* as wide as a number: lanes of masks and of bit patterns */
typedef uint32_t bits;
#else
typedef double number;
typedef int64_t integer;
typedef uint64_t bits;
#endif
typedef number real __attribute__((aligned(1), may_alias));

typedef number vreal __attribute__((vector_size(VECTOR_BYTES)));
typedef integer vint __attribute__((vector_size(VECTOR_BYTES)));
typedef bits vbits __attribute__((vector_size(VECTOR_BYTES)));
typedef number vreal_memory __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));
enum { LANES = VECTOR_BYTES / (REAL_BITS / 8) };
typedef double vwide __attribute__((vector_size(LANES * sizeof(double)))); /* the lanes of a vreal in float64 */
typedef double vwide_memory __attribute__((vector_size(LANES * sizeof(double)), aligned(1), may_alias));

/* The only macros that paste names: NAME(tile) is tile_f32_avx512. */
#define NPK_PASTE_(name, bits, isa) name##_f##bits##_##isa
#define NPK_PASTE(name, bits, isa) NPK_PASTE_(name, bits, isa)
#define NAME(name) NPK_PASTE(name, REAL_BITS, ISA)

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16") /* for loops over registers: constant trip counts, unrolled whole */

INLINE vreal vload(const real *p) { return *(const vreal_memory *)p; }
INLINE void vstore(real *p, vreal v) { *(vreal_memory *)p = v; }
INLINE vwide vwiden(vreal x) { return __builtin_convertvector(x, vwide); }
INLINE vreal vnarrow(vwide x) { return __builtin_convertvector(x, vreal); }
INLINE vreal vsplat(number x) { return x - (vreal){0}; } /* x - 0 keeps the sign of -0, 0 + x would not */

/* x, and +0 for -0. A chain of multiply-adds ends in -0 where it begins with -0 or a product underflows, unless one more
 * product, of a 0, follows: forms that leave such products out agree with those that do not because sums are stored so. */
INLINE vreal positive_zeros(vreal x) { return x + 0; }

#include "fma.h"

/* The lanes whose bit is set in `mask`, lane l from p[l]; the others are 0 and their memory is not touched. AVX has
 * instructions for this that no compiler finds in the portable form (a loop through the stack, some 20 times slower). */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vload_mask(const real *p, unsigned mask) { return _mm512_maskz_loadu_ps((__mmask16)mask, p); }
#elif defined __AVX512F__
INLINE vreal vload_mask(const real *p, unsigned mask) { return _mm512_maskz_loadu_pd((__mmask8)mask, p); }
#elif defined __AVX2__ && REAL_BITS == 32
INLINE vreal vload_mask(const real *p, unsigned mask)
{
    const vint bit = {1, 2, 4, 8, 16, 32, 64, 128};
    return _mm256_maskload_ps((const float *)p, (__m256i)((bit & (integer)mask) == bit));
}
#elif defined __AVX2__
INLINE vreal vload_mask(const real *p, unsigned mask)
{
    const vint bit = {1, 2, 4, 8};
    return _mm256_maskload_pd((const double *)p, (__m256i)((bit & (integer)mask) == bit));
}
#else
INLINE vreal vload_mask(const real *p, unsigned mask)
{
    number lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = mask >> l & 1 ? p[l] : 0;
    return vload(lanes);
}
#endif

/* The same with lane l from l * step bytes behind p. The instruction beats 16 loads into a buffer by a factor of 2. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vgather_mask(const char *p, ptrdiff_t step, unsigned mask)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    if (step == (int32_t)step && 16 * step == (int32_t)(16 * step)) {
        const __m512i offset = _mm512_mullo_epi32(lane, _mm512_set1_epi32((int)step));
        return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), (__mmask16)mask, offset, p, 1);
    }
    number lanes[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            lanes[l] = *(const real *)(p + l * step);
    return vload(lanes);
}
#elif defined __AVX512F__
INLINE vreal vgather_mask(const char *p, ptrdiff_t step, unsigned mask)
{
    const __m512i offset = _mm512_setr_epi64(0, step, 2 * step, 3 * step, 4 * step, 5 * step, 6 * step, 7 * step);
    return _mm512_mask_i64gather_pd(_mm512_setzero_pd(), (__mmask8)mask, offset, p, 1);
}
#else
INLINE vreal vgather_mask(const char *p, ptrdiff_t step, unsigned mask)
{
    number lanes[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            lanes[l] = *(const real *)(p + l * step);
    return vload(lanes);
}
#endif

/* Lane l from offsets[l] bytes behind p, for any offsets; WIDE_GATHER: this is one instruction. */
#if defined __AVX512F__
enum { WIDE_GATHER = 1 };
#if REAL_BITS == 32
INLINE vreal vgather_offsets(const char *p, const int32_t offsets[LANES], unsigned mask)
{
    return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), (__mmask16)mask, _mm512_loadu_si512(offsets), p, 1);
}
#else
INLINE vreal vgather_offsets(const char *p, const int32_t offsets[LANES], unsigned mask)
{
    const __m256i offset = _mm256_loadu_si256((const __m256i *)offsets);
    return _mm512_mask_i32gather_pd(_mm512_setzero_pd(), (__mmask8)mask, offset, p, 1);
}
#endif
#else
enum { WIDE_GATHER = 0 };
INLINE vreal vgather_offsets(const char *p, const int32_t offsets[LANES], unsigned mask)
{
    number lanes[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        if (mask >> l & 1)
            lanes[l] = *(const real *)(p + offsets[l]);
    return vload(lanes);
}
#endif

/* The first `count` lanes, 0 <= count <= LANES; the others are 0 and their memory is not touched. */
INLINE vreal vload_part(const real *p, ptrdiff_t count)
{
    assert(count >= 0 && count <= LANES);
    return vload_mask(p, (1u << count) - 1);
}

#if defined __AVX512F__ && REAL_BITS == 32
INLINE void vstore_part(real *p, vreal v, ptrdiff_t count)
{
    assert(count >= 0 && count <= LANES);
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), v);
}
#elif defined __AVX512F__
INLINE void vstore_part(real *p, vreal v, ptrdiff_t count)
{
    assert(count >= 0 && count <= LANES);
    _mm512_mask_storeu_pd(p, (__mmask8)((1u << count) - 1), v);
}
#else
INLINE void vstore_part(real *p, vreal v, ptrdiff_t count)
{
    assert(count >= 0 && count <= LANES);
    number lanes[LANES];
    vstore(lanes, v);
    for (ptrdiff_t i = 0; i < count; i++)
        p[i] = lanes[i];
}
#endif

/* Lanes of x where the mask (of a comparison: all ones or zero) is set, else of y. In C `?:` does not take vectors; GCC
 * and Clang find the blend instruction in this form, and the maximum and the square root in those below. */
INLINE vreal vselect(vint mask, vreal x, vreal y) { return (vreal)((mask & (vint)x) | (~mask & (vint)y)); }

/* Lanes of x where a > b, else of y. AVX-512 compares into a mask register, from which GCC blends in two instructions. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vselect_above(vreal a, vreal b, vreal x, vreal y)
{
    return (vreal)_mm512_mask_blend_ps(_mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ), (__m512)y, (__m512)x);
}
#elif defined __AVX512F__
INLINE vreal vselect_above(vreal a, vreal b, vreal x, vreal y)
{
    return (vreal)_mm512_mask_blend_pd(_mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_GT_OQ), (__m512d)y, (__m512d)x);
}
#else
INLINE vreal vselect_above(vreal a, vreal b, vreal x, vreal y) { return vselect(a > b, x, y); }
#endif

/* a > b ? a : b and a < b ? a : b: a NaN in either gives b. The portable form becomes two instructions where a is a
 * constant, which is how these functions are used. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vmax(vreal a, vreal b) { return (vreal)_mm512_max_ps((__m512)a, (__m512)b); }
INLINE vreal vmin(vreal a, vreal b) { return (vreal)_mm512_min_ps((__m512)a, (__m512)b); }
#elif defined __AVX512F__
INLINE vreal vmax(vreal a, vreal b) { return (vreal)_mm512_max_pd((__m512d)a, (__m512d)b); }
INLINE vreal vmin(vreal a, vreal b) { return (vreal)_mm512_min_pd((__m512d)a, (__m512d)b); }
#elif defined __AVX2__ && REAL_BITS == 32
INLINE vreal vmax(vreal a, vreal b) { return (vreal)_mm256_max_ps((__m256)a, (__m256)b); }
INLINE vreal vmin(vreal a, vreal b) { return (vreal)_mm256_min_ps((__m256)a, (__m256)b); }
#elif defined __AVX2__
INLINE vreal vmax(vreal a, vreal b) { return (vreal)_mm256_max_pd((__m256d)a, (__m256d)b); }
INLINE vreal vmin(vreal a, vreal b) { return (vreal)_mm256_min_pd((__m256d)a, (__m256d)b); }
#else
INLINE vreal vmax(vreal a, vreal b)
{
    vreal most;
    UNROLL for (int i = 0; i < LANES; i++) most[i] = a[i] > b[i] ? a[i] : b[i];
    return most;
}
INLINE vreal vmin(vreal a, vreal b)
{
    vreal least;
    UNROLL for (int i = 0; i < LANES; i++) least[i] = a[i] < b[i] ? a[i] : b[i];
    return least;
}
#endif

/* The larger one; a NaN in either gives a NaN, that of a if both are. AVX-512 has a masked maximum, which GCC does not find
 * (half the instructions). */
#ifdef __AVX512F__
#if REAL_BITS == 32
INLINE vreal vmax_or_nan(vreal a, vreal b) { return _mm512_mask_max_ps(a, _mm512_cmp_ps_mask(a, a, _CMP_ORD_Q), a, b); }
#else
INLINE vreal vmax_or_nan(vreal a, vreal b) { return _mm512_mask_max_pd(a, _mm512_cmp_pd_mask(a, a, _CMP_ORD_Q), a, b); }
#endif
#else
INLINE vreal vmax_or_nan(vreal a, vreal b) { return vselect((a > b) | (a != a), a, b); }
#endif

/* The square root, rounded correctly; GCC takes the portable form apart. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vsqrt(vreal x) { return (vreal)_mm512_sqrt_ps((__m512)x); }
#elif defined __AVX512F__
INLINE vreal vsqrt(vreal x) { return (vreal)_mm512_sqrt_pd((__m512d)x); }
#elif defined __AVX2__ && REAL_BITS == 32
INLINE vreal vsqrt(vreal x) { return (vreal)_mm256_sqrt_ps((__m256)x); }
#elif defined __AVX2__
INLINE vreal vsqrt(vreal x) { return (vreal)_mm256_sqrt_pd((__m256d)x); }
#else
INLINE vreal vsqrt(vreal x)
{
    vreal y;
    UNROLL for (int l = 0; l < LANES; l++) y[l] = REAL_BITS == 32 ? __builtin_sqrtf((float)x[l]) : __builtin_sqrt(x[l]);
    return y;
}
#endif

/* A store past the caches, to an aligned place, and the fence between such stores and what another thread may read. */
#if defined __AVX512F__
INLINE void vstream(real *p, vreal v) { _mm512_stream_si512((void *)p, (__m512i)v); }
#elif defined __AVX2__
INLINE void vstream(real *p, vreal v) { _mm256_stream_si256((void *)p, (__m256i)v); }
#elif defined __SSE2__
INLINE void vstream(real *p, vreal v) { _mm_stream_si128((void *)p, (__m128i)v); }
#else
INLINE void vstream(real *p, vreal v) { vstore(p, v); }
#endif
#if defined __SSE2__
INLINE void vstream_fence(void) { _mm_sfence(); }
#else
INLINE void vstream_fence(void) {}
#endif

/* Lanes l whose bit is set get element index[l] of x, the others keep what they are. Used where AVX-512 has this in one
 * instruction. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE vreal vpermute_into(vreal v, unsigned lanes, vint index, vreal x)
{
    return _mm512_mask_permutexvar_ps(v, (__mmask16)lanes, (__m512i)index, x);
}
#elif defined __AVX512F__
INLINE vreal vpermute_into(vreal v, unsigned lanes, vint index, vreal x)
{
    return _mm512_mask_permutexvar_pd(v, (__mmask8)lanes, (__m512i)index, x);
}
#else
INLINE vreal vpermute_into(vreal v, unsigned lanes, vint index, vreal x)
{
    for (int l = 0; l < LANES; l++)
        v[l] = lanes >> l & 1 ? x[index[l]] : v[l];
    return v;
}
#endif

/* Lane l gets table[index[l] modulo PIECES]: one instruction, which reads its table from two registers. */
#if defined __AVX512F__ && REAL_BITS == 32
enum { PIECES = 32 };
INLINE vreal vpick(const float table[PIECES], vint index)
{
    return _mm512_permutex2var_ps(vload(table), (__m512i)index, vload(table + LANES));
}
#else
enum { PIECES = 0 }; /* there is none */
#endif

/* Bit l is lane l of a mask. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE unsigned vmask_bits(vint mask) { return _mm512_movepi32_mask((__m512i)mask); }
#elif defined __AVX512F__
INLINE unsigned vmask_bits(vint mask) { return _mm512_movepi64_mask((__m512i)mask); }
#else
INLINE unsigned vmask_bits(vint mask)
{
    unsigned lanes = 0;
    UNROLL for (int l = 0; l < LANES; l++) lanes |= (unsigned)(mask[l] & 1) << l;
    return lanes;
}
#endif

/* Whether any lane of a mask is set. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE int vany(vint mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
#elif defined __AVX512F__
INLINE int vany(vint mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }
#elif defined __AVX2__
INLINE int vany(vint mask) { return _mm256_movemask_epi8((__m256i)mask) != 0; }
#elif defined __SSE2__
INLINE int vany(vint mask) { return _mm_movemask_epi8((__m128i)mask) != 0; }
#else
INLINE int vany(vint mask)
{
    integer any = 0;
    UNROLL for (int i = 0; i < LANES; i++) any |= mask[i];
    return any != 0;
}
#endif

/* Whether a < b in any lane: AVX-512 needs no vector for that. */
#if defined __AVX512F__ && REAL_BITS == 32
INLINE int vany_below(vreal a, vreal b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ) != 0; }
#elif defined __AVX512F__
INLINE int vany_below(vreal a, vreal b) { return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ) != 0; }
#else
INLINE int vany_below(vreal a, vreal b) { return vany(a < b); }
#endif

INLINE ptrdiff_t min_size(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
INLINE ptrdiff_t max_size(ptrdiff_t a, ptrdiff_t b) { return a > b ? a : b; }
INLINE ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return (a + b - 1) / b; } /* a >= 0 */

#endif
