/* Powers of 2, for weights that are relative to the largest one. */
#ifndef NPK_EXP2_H
#define NPK_EXP2_H

#include "vexp.h"

/* 2^r for |r| <= 1/2: minimax fits as those of vmath.h, relative error 2^-29.0 (float32), 2^-58.2 (float64); 1 at 0. */
#if REAL_BITS == 32
enum { EXP2_TERMS = 7 };
static const number exp2_series[EXP2_TERMS] = {
    1, 6.931472057e-01f, 2.402264689e-01f, 5.550328777e-02f, 9.618488957e-03f, 1.339993121e-03f, 1.534581216e-04f,
};
static const number EXP2_LOWEST = -125;
#else
enum { EXP2_TERMS = 12 };
/* clang-format off */
static const number exp2_series[EXP2_TERMS] = {
    1, 0.69314718055994533, 0.240226506959101562, 0.0555041086648199215, 0.00961812910758833508, 0.00133335581467899503,
    0.00015403530462514613, 0.0000152527334899608046, 1.3215433089594629e-6, 1.01781980333285277e-7,
    7.07410562624565937e-9, 4.43528094461033616e-10,
};
/* clang-format on */
static const number EXP2_LOWEST = -1021;
#endif

/* 2^x for x <= 1; 0 below EXP2_LOWEST, so that none is denormal: beside a weight of 1 it counts for nothing. */
INLINE vreal vexp2_fall(vreal x)
{
    const vreal n = (x + ROUNDING) - ROUNDING;
    const vreal power = vscale_normal(vpolynomial(x - n, EXP2_TERMS, exp2_series), n);
    return vselect_above(vsplat(EXP2_LOWEST), x, (vreal){0}, power); /* a NaN is not below: it stays */
}

#endif
