#include "primitives.h"

static void centre(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const real *near, real *panel, double *sums)
{
    assert(k >= 0 && columns >= 1 && columns <= width && width % LANES == 0);
    for (ptrdiff_t j = 0; j < columns; j += LANES) {
        const ptrdiff_t count = min_size(columns - j, LANES);
        const vreal middle = vload_part(near + j, count);
        vreal sum = {0};
        for (ptrdiff_t p = 0; p < k; p++) {
            const vreal value = vload(panel + p * width + j) - middle;
            vstore(panel + p * width + j, value);
            sum += value;
        }
        for (ptrdiff_t l = 0; l < count; l++)
            sums[j + l] += (double)sum[l];
    }
}

static void add(ptrdiff_t rows, ptrdiff_t columns, const real *c, ptrdiff_t c_stride, double *to, ptrdiff_t to_stride)
{
    assert(rows >= 0 && columns >= 0 && c_stride >= columns && to_stride >= columns);
    for (ptrdiff_t i = 0; i < rows; i++, c += c_stride, to += to_stride)
        for (ptrdiff_t j = 0; j < columns; j++)
            to[j] += (double)c[j];
}

const gram_primitives NAME(gram) = {
    .centre = centre,
    .add = add,
};
