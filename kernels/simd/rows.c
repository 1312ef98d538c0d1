#include "primitives.h"

static double sum(ptrdiff_t count, const real *x)
{
    enum { CHAINS = 4 };
    vreal chain[CHAINS] = {{0}};
    ptrdiff_t i = 0;
    for (; i + CHAINS * LANES <= count; i += CHAINS * LANES)
        UNROLL for (int c = 0; c < CHAINS; c++) chain[c] += vload(x + i + c * LANES);
    for (; i < count; i += LANES)
        chain[0] += count - i >= LANES ? vload(x + i) : vload_part(x + i, count - i);
    const vreal total = (chain[0] + chain[1]) + (chain[2] + chain[3]);
    double lanes[LANES];
    for (int l = 0; l < LANES; l++)
        lanes[l] = total[l];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] += lanes[l + half];
    return lanes[0];
}

static void add(ptrdiff_t count, const real *x, real *sum)
{
    for (ptrdiff_t i = 0; i < count; i += LANES) {
        const ptrdiff_t lanes = min_size(count - i, LANES);
        vstore_part(sum + i, vload_part(sum + i, lanes) + vload_part(x + i, lanes), lanes);
    }
}

const row_primitives NAME(rows) = {.sum = sum, .add = add};
