#include "parts.h"
#include "primitives.h"
#include "transpose.h"

#include <math.h>

INLINE double row_sum(ptrdiff_t count, const real *x)
{
    assert(count >= 0);
    enum { CHAINS = 4 };
    vreal chain[CHAINS] = {{0}};
    ptrdiff_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        UNROLL for (int c = 0; c < CHAINS; c++) chain[c] += vload(x + i + c * LANES);
    for (; i < count; i += LANES)
        chain[0] += count - i >= LANES ? vload(x + i) : vload_part(x + i, count - i);
    const vreal total = (chain[0] + chain[1]) + (chain[2] + chain[3]);
    vdouble wide[LANES / DOUBLE_LANES], all;
    widen(total, wide);
    all = wide[0];
    for (int i = 1; i < LANES / DOUBLE_LANES; i++)
        all += wide[i];
    return double_sum(all);
}

static double sum(ptrdiff_t count, const real *x) { return row_sum(count, x); }

/* Rows of up to LANES numbers lie in the lanes, as for the maxima. */
static void short_means(ptrdiff_t rows, ptrdiff_t count, const real *x, ptrdiff_t stride, real *y)
{
    for (ptrdiff_t r = 0; r < rows; r += LANES) {
        const ptrdiff_t lines = min_size(rows - r, LANES);
        vreal block[LANES];
        vwide total = {0};
        load_transposed(block, (const char *)x + r * stride, stride, lines, count);
        for (ptrdiff_t q = 0; q < count; q++)
            total += vwiden(block[q]);
        store_some(y + r, vnarrow(total / (double)count), lines);
    }
}

static void means(ptrdiff_t rows, ptrdiff_t count, const real *x, ptrdiff_t stride, real *y)
{
    assert(rows >= 0 && count >= 1);
    if (count <= LANES)
        short_means(rows, count, x, stride, y);
    else
        for (ptrdiff_t r = 0; r < rows; r++)
            y[r] = (number)(row_sum(count, (const real *)((const char *)x + r * stride)) / (double)count);
}

/* The maximum of each lane of a row longer than a vector, whose last part overlaps the one before. */
INLINE vreal row_maximum(ptrdiff_t count, const real *x)
{
    enum { CHAINS = 4 };
    const vreal last = vload(x + count - LANES);
    vreal chain[CHAINS] = {vmax_or_nan(vload(x), last), last, last, last};
    ptrdiff_t i = LANES;
    if (count <= 2 * LANES)
        return chain[0];
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        UNROLL for (int c = 0; c < CHAINS; c++) chain[c] = vmax_or_nan(chain[c], vload(x + i + c * LANES));
    for (; i + LANES < count; i += LANES)
        chain[0] = vmax_or_nan(chain[0], vload(x + i));
    return vmax_or_nan(vmax_or_nan(chain[0], chain[1]), vmax_or_nan(chain[2], chain[3]));
}

/* Lane q: the maximum over the lanes of vector q. Halves as many shuffles as a transposition. */
INLINE vreal maxima_of_vectors(vreal vectors[LANES])
{
    UNROLL for (int n = LANES / 2; n > 0; n /= 2) UNROLL for (int i = 0; i < n; i++)
    {
        const vreal a = vectors[2 * i], b = vectors[2 * i + 1];
        vectors[i] = vmax_or_nan(__builtin_shufflevector(a, b, EVEN), __builtin_shufflevector(a, b, ODD));
    }
    return vectors[0];
}

/* Zeros of both signs are equal, and maxima of vectors take either: it is the first one of a row that counts. */
INLINE vreal with_first_zeros(vreal most, ptrdiff_t rows, ptrdiff_t count, const char *x, ptrdiff_t stride)
{
    if (!vany(most == 0))
        return most;
    for (ptrdiff_t q = 0; q < rows; q++) {
        const real *const row = (const real *)(x + q * stride);
        ptrdiff_t i = most[q] == 0 ? 0 : count;
        while (i < count && row[i] != 0)
            i++;
        if (i < count)
            most[q] = row[i];
    }
    return most;
}

static void maxima(ptrdiff_t rows, ptrdiff_t count, const real *x, ptrdiff_t stride, real *y)
{
    assert(rows >= 0 && count >= 1);
    const number nothing = -(number)INFINITY;
    for (ptrdiff_t r = 0; r < rows; r += LANES) {
        const ptrdiff_t lines = min_size(rows - r, LANES);
        const char *const first = (const char *)x + r * stride;
        vreal block[LANES];
        for (ptrdiff_t q = 0; q < LANES; q++) {
            const real *const row = (const real *)(first + q * stride);
            block[q] = q >= lines       ? vsplat(nothing)
                       : count <= LANES ? load_or(row, count, nothing)
                                        : row_maximum(count, row);
        }
        store_some(y + r, with_first_zeros(maxima_of_vectors(block), lines, count, first, stride), lines);
    }
}

static void add(ptrdiff_t count, const real *x, real *sum)
{
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lanes = min_size(count - i, LANES);
        vstore_part(sum + i, vload_part(sum + i, lanes) + vload_part(x + i, lanes), lanes);
    }
}

static void add_to_doubles(ptrdiff_t count, const real *x, double *sums)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        add_to_lanes(sums + i, vload(x + i));
    for (; i < count; i++)
        sums[i] += (double)x[i];
}

static void narrow(ptrdiff_t count, const double *x, real *y)
{
    ptrdiff_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, vnarrow(*(const vwide_memory *)(x + i)));
    for (; i < count; i++)
        y[i] = (number)x[i];
}

const row_primitives NAME(rows) = {
    .sum = sum, .means = means, .maxima = maxima, .add = add, .add_to_doubles = add_to_doubles, .narrow = narrow};
