/* Losses of rows and of pairs of rows: against sums in double. */
#include "checkasm.h"

void NAME(check_margins)(void)
{
    const ptrdiff_t count = some_count(1), target = between(0, count - 1);
    real *const x = integers(count, INPUT), *const dx = one_in(2) ? results(count) : NULL;
    double sum = 0, others = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        const double z = 1.5 - x[target] + x[i];
        const int active = i != target && z > 0;
        sum += active ? z : 0;
        others += active;
        if (dx)
            want(dx)[i] = (number)(active ? 0.25 : 0);
    }
    if (dx)
        want(dx)[target] = (number)(-0.25 * others);
    same(CALL(pairs, margins)(count, x, target, 1.5, 0.25, dx), sum, FLOAT64);
    verify();
}

void NAME(check_gaussian_kl)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const m = numbers(count, -2, 2, INPUT), *const v = numbers(count, -2, 2, INPUT);
    real *const dm = one_in(2) ? results(count) : NULL, *const dv = one_in(2) ? results(count) : NULL;
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        sum += ((double)m[i] * m[i] + expm1((double)v[i]) - v[i]) / 2;
        if (dm)
            want(dm)[i] = (number)0.5 * m[i];
        if (dv)
            want(dv)[i] = (number)(expm1((double)v[i]) / 4);
    }
    tolerate(0, 16 * EPS * (double)(count + 1));
    same(CALL(pairs, gaussian_kl)(count, m, v, 0.5, dm, dv), sum, FLOAT64);
    tolerate(8, 8 * EPS);
    verify();
}

void NAME(check_pair_dots)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const a = integers(count, INPUT), *const b = integers(count, INPUT);
    double sums[3], wanted[3] = {0}, steps = 0;
    for (ptrdiff_t i = 0; i < count; i++) {
        const double x = a[i], y = b[i];
        wanted[0] += x * x;
        wanted[1] += x * y;
        wanted[2] += y * y;
        steps += (x - y + 0.5) * (x - y + 0.5);
    }
    CALL(pairs, dots)(count, a, b, sums);
    for (int i = 0; i < 3; i++)
        same(sums[i], wanted[i], FLOAT64);
    same(CALL(pairs, distance)(count, a, b, 0.5), steps, FLOAT64);
    verify();
}

void NAME(check_difference)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const a = integers(count, INPUT), *const b = integers(count, INPUT), *const y = results(count);
    for (ptrdiff_t i = 0; i < count; i++)
        want(y)[i] = (number)0.25 * (a[i] - b[i] + (number)0.5);
    CALL(pairs, difference)(count, a, b, 0.5, 0.25, y);
    verify();
}

void NAME(check_combine)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const a = integers(count, INPUT), *const b = integers(count, INPUT), *const y = results(count);
    for (ptrdiff_t i = 0; i < count; i++)
        want(y)[i] = (number)0.5 * a[i] - (number)0.25 * b[i];
    CALL(pairs, combine)(count, a, b, 0.5, -0.25, y);
    verify();
}
