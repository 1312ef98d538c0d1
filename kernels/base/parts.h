/* The last vector of a row, of which `count` lanes are in use; and sums over lanes in a fixed order. */
#ifndef NPK_PARTS_H
#define NPK_PARTS_H

#include "real.h"

INLINE vint lane_numbers(void)
{
    vint lane;
    UNROLL for (int l = 0; l < LANES; l++) lane[l] = l;
    return lane;
}

/* The first `count` lanes of v, the others `fill`. */
INLINE vreal first_lanes(vreal v, ptrdiff_t count, number fill)
{
    if (count >= LANES)
        return v;
    return vselect(lane_numbers() < (integer)count, v, vsplat(fill));
}

INLINE vreal load_or(const real *p, ptrdiff_t count, number fill)
{
    return count >= LANES ? vload(p) : first_lanes(vload_part(p, count), count, fill);
}

INLINE vreal load_some(const real *p, ptrdiff_t count) { return count >= LANES ? vload(p) : vload_part(p, count); }

INLINE void store_some(real *p, vreal v, ptrdiff_t count)
{
    if (count >= LANES)
        vstore(p, v);
    else
        vstore_part(p, v, count);
}

INLINE void copy_row(ptrdiff_t count, const real *from, real *to)
{
    for (ptrdiff_t i = 0; i < count; i += LANES)
        store_some(to + i, load_some(from + i, count - i), count - i);
}

/* Long rows start with the part of a vector that brings the result to a boundary: a vector across two lines of the
 * cache is written at half speed, and one that is streamed must not lie across. Sums have no such start, their order
 * must not depend on addresses. */
INLINE ptrdiff_t to_boundary(ptrdiff_t count, const real *p)
{
    return count < 16 * LANES ? 0 : (ptrdiff_t)(-(uintptr_t)p % VECTOR_BYTES / sizeof(number));
}

/* A streamed vector must lie at a boundary. */
INLINE int may_stream(int wanted, const real *p) { return wanted && (uintptr_t)p % VECTOR_BYTES == 0; }
INLINE void put(real *p, vreal v, int streamed)
{
    assert(!streamed || (uintptr_t)p % VECTOR_BYTES == 0);
    if (streamed)
        vstream(p, v);
    else
        vstore(p, v);
}

/* The hardware's own prefetch falls behind where two arrays are read by whole lines of the cache: with this, a gradient
 * is a third faster from memory. Where much is read that nobody has used for long, it comes into the second-level cache only:
 * by a seventh faster. */
enum { AHEAD_BYTES = 4096 };
INLINE void prefetch_ahead(const real *p) { __builtin_prefetch((const void *)((uintptr_t)p + AHEAD_BYTES)); }
INLINE void prefetch_far(const real *p) { __builtin_prefetch((const void *)((uintptr_t)p + AHEAD_BYTES), 0, 2); }

/* The error of a chain of additions grows with its length. Longer sums are cut into pieces, whose sums are added in double;
 * a sum of one piece costs nothing and is what it was. */
enum { LONGEST_CHAIN = 8192 };

/* Halves of vectors are added until one number is left: a few instructions, where a loop over lanes takes 60 cycles. */
typedef number vector2 __attribute__((vector_size(2 * sizeof(number))));
INLINE number sum2(vector2 v) { return v[0] + v[1]; }
#if VECTOR_BYTES * 8 / REAL_BITS >= 4
typedef number vector4 __attribute__((vector_size(4 * sizeof(number))));
INLINE number sum4(vector4 v)
{
    vector2 half[2];
    memcpy(half, &v, sizeof v);
    return sum2(half[0] + half[1]);
}
#endif
#if VECTOR_BYTES * 8 / REAL_BITS >= 8
typedef number vector8 __attribute__((vector_size(8 * sizeof(number))));
INLINE number sum8(vector8 v)
{
    vector4 half[2];
    memcpy(half, &v, sizeof v);
    return sum4(half[0] + half[1]);
}
#endif

INLINE number lane_sum(vreal v)
{
#if VECTOR_BYTES * 8 / REAL_BITS == 2
    return sum2(v);
#elif VECTOR_BYTES * 8 / REAL_BITS == 4
    return sum4(v);
#elif VECTOR_BYTES * 8 / REAL_BITS == 8
    return sum8(v);
#else
    vector8 half[2];
    memcpy(half, &v, sizeof v);
    return sum8(half[0] + half[1]);
#endif
}

/* A sum over vectors in double precision, one chain of additions a lane. */
enum { DOUBLE_LANES = VECTOR_BYTES / 8 };
typedef struct {
    vdouble part[LANES / DOUBLE_LANES];
} vdouble_sum;

/* The lanes of v in double precision. */
INLINE void widen(vreal v, vdouble wide[LANES / DOUBLE_LANES])
{
#if REAL_BITS == 32
    typedef float half __attribute__((vector_size(VECTOR_BYTES / 2)));
    half halves[2];
    memcpy(halves, &v, sizeof halves);
#ifdef __AVX512F__ /* GCC converts quarters and puts them together */
    UNROLL for (int i = 0; i < 2; i++) wide[i] = (vdouble)_mm512_cvtps_pd((__m256)halves[i]);
#else
    UNROLL for (int i = 0; i < 2; i++) wide[i] = __builtin_convertvector(halves[i], vdouble);
#endif
#else
    wide[0] = v;
#endif
}

INLINE void add_to(vdouble_sum *sum, vreal v)
{
    vdouble wide[LANES / DOUBLE_LANES];
    widen(v, wide);
    UNROLL for (int i = 0; i < LANES / DOUBLE_LANES; i++) sum->part[i] += wide[i];
}

INLINE void add_square_to(vdouble_sum *sum, vreal v)
{
    vdouble wide[LANES / DOUBLE_LANES];
    widen(v, wide);
    UNROLL for (int i = 0; i < LANES / DOUBLE_LANES; i++) sum->part[i] = vfma_double(wide[i], wide[i], sum->part[i]);
}

/* lanes[l] += lane l of v */
typedef double vdouble_memory __attribute__((vector_size(VECTOR_BYTES), aligned(1), may_alias));
INLINE void add_to_lanes(double *lanes, vreal v)
{
    vdouble wide[LANES / DOUBLE_LANES];
    widen(v, wide);
    vdouble_memory *const to = (vdouble_memory *)lanes;
    UNROLL for (int i = 0; i < LANES / DOUBLE_LANES; i++) to[i] += wide[i];
}

/* The sum of `terms` vectors, `step` bytes from one to the next, of which `count` lanes are in use. */
INLINE vreal sum_of_vectors(const char *x, ptrdiff_t step, ptrdiff_t terms, ptrdiff_t count)
{
    assert(terms >= 0 && count >= 0);
    vwide total = {0};
    for (ptrdiff_t first = 0; first < terms; first += LONGEST_CHAIN) {
        vreal sum = {0};
        for (ptrdiff_t t = first; t < min_size(first + LONGEST_CHAIN, terms); t++)
            sum += load_some((const real *)(x + t * step), count);
        total += vwiden(sum);
    }
    return vnarrow(total);
}

INLINE double double_sum(vdouble v)
{
    double lanes[DOUBLE_LANES];
    memcpy(lanes, &v, sizeof lanes);
    UNROLL for (int h = DOUBLE_LANES / 2; h > 0; h /= 2) UNROLL for (int l = 0; l < h; l++) lanes[l] += lanes[l + h];
    return lanes[0];
}

INLINE double total_of(const vdouble_sum *sum, int count)
{
    vdouble all = {0};
    for (int i = 0; i < count; i++)
        for (int j = 0; j < LANES / DOUBLE_LANES; j++)
            all += sum[i].part[j];
    return double_sum(all);
}

#endif
