/* Functions by table: where one instruction picks a number of many (PIECES > 0), a polynomial on each of 32 pieces needs neither
 * a division nor an exponential: tanh in 12 cycles a vector instead of 20, gelu in 14 instead of 28. pieces.py makes the tables. */
#ifndef NPK_VPIECES_H
#define NPK_VPIECES_H

#include "real.h"

#if defined __AVX512F__ && REAL_BITS == 32
#include "pieces.h"

enum { PIECE_TERMS = 7 };

/* sum of c[i][n] u^i, n = round(t / width), u = t - n width, for 0 <= t < (PIECES - 1/2) width; a NaN gives a NaN. */
INLINE vreal vpieces(vreal t, number width, const float c[PIECE_TERMS][PIECES])
{
    const vreal shifted = vfma(t, vsplat(1 / width), vsplat(ROUNDING)), u = vfnma(shifted - ROUNDING, vsplat(width), t);
    vreal sum = vpick(c[PIECE_TERMS - 1], (vint)shifted);
    UNROLL for (int i = PIECE_TERMS - 2; i >= 0; i--) sum = vfma(sum, u, vpick(c[i], (vint)shifted));
    return sum;
}

/* Largest error over every seventh float32: 1.01 ULP. The last piece is 1. */
INLINE vreal vtanh_pieces(vreal x)
{
    const vreal end = vsplat((PIECES - 1) * tanh_width);
    return vcopysign(vpieces(vmin(end, vabs(x)), tanh_width, tanh_pieces), x);
}

/* Q(t), the normal distribution beyond t, for 0 <= t <= TAIL_END. */
static const number TAIL_END = (PIECES - 0.5f) * tail_width;
INLINE vreal vtail_pieces(vreal t) { return vpieces(t, tail_width, tail_pieces); }
#else
static const number TAIL_END = -1;
INLINE vreal vtanh_pieces(vreal x) { return x; }
INLINE vreal vtail_pieces(vreal t) { return t; }
#endif

#endif
