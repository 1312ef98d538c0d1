/* Losses of rows of d elements and of pairs of rows; sums in double precision. Results that are not wanted are NULL. */
#ifndef NPK_PAIRS_H
#define NPK_PAIRS_H

typedef struct {
    /* sum over j != t of max(0, margin - x_t + x_j), t the target; dx is scale at each j whose term is above 0, and less
     * scale for each of these at t. dx may not be x. */
    double (*margins)(ptrdiff_t d, const real *x, ptrdiff_t target, double margin, double scale, real *dx);
    /* sum (e^v + m^2 - 1 - v) / 2; dm = scale m, dv = scale (e^v - 1) / 2 */
    double (*gaussian_kl)(ptrdiff_t d, const real *m, const real *v, double scale, real *dm, real *dv);
    /* a.a, a.b and b.b */
    void (*dots)(ptrdiff_t d, const real *a, const real *b, double *sums);
    /* sum (a - b + shift)^2 */
    double (*distance)(ptrdiff_t d, const real *a, const real *b, double shift);
    /* y = factor (a - b + shift) */
    void (*difference)(ptrdiff_t d, const real *a, const real *b, double shift, double factor, real *y);
    /* y = p a + q b */
    void (*combine)(ptrdiff_t d, const real *a, const real *b, double p, double q, real *y);
} pair_primitives;

#endif
