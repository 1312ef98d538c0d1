#include "parts.h"
#include "primitives.h"
#include "transpose.h"

/* Few rows of A times a B whose columns are contiguous, as dot products: lane l of a sum is chain l of an element (see
 * tile.h), so the numbers of B are used as they are loaded. A few columns at a time: from L3, 4 lines read side by side come
 * at 108 GB/s, 16 at 78. Vectors of B begin at cache lines (across two they took 1.2 to 1.4 times as long): where B begins
 * `ahead` numbers before one, those come first, and lane l of a sum is chain (l + ahead) % LANES. */

/* sum[i][j] of lanes first <= l < end */
INLINE void part_of_chains(const int rows, const int columns, const real *a, ptrdiff_t a_row, const real *b,
                           ptrdiff_t b_stride, ptrdiff_t first, ptrdiff_t end, vreal sum[TILE_ROWS][DOTS_SIDE])
{
    assert(0 <= first && first < end && end <= LANES);
    const unsigned mask = (1u << end) - (1u << first);
    const vint lane = lane_numbers();
    const vint growing = (lane >= (integer)first) & (lane < (integer)end);
    UNROLL for (int j = 0; j < columns; j++)
    {
        const vreal bp = vload_mask(b + j * b_stride, mask);
        UNROLL for (int i = 0; i < rows; i++) /* other chains keep what they are: not even the sign of a zero changes */
            sum[i][j] = vselect(growing, vfma(vload_mask(a + i * a_row, mask), bp, sum[i][j]), sum[i][j]);
    }
}

/* chains[i][at + j]: the chains of element (i, j) in its lanes */
INLINE void columns_of_chains(const int rows, const int columns, ptrdiff_t k, ptrdiff_t ahead, const real *a,
                              ptrdiff_t a_row, const real *b, ptrdiff_t b_stride, const real *bias,
                              vreal chains[TILE_ROWS][LANES], ptrdiff_t at)
{
    const ptrdiff_t whole = ahead + (k - ahead) / LANES * LANES;
    const vint begins = lane_numbers() == (integer)((LANES - ahead) % LANES);
    vreal sum[TILE_ROWS][DOTS_SIDE];
    UNROLL for (int j = 0; j < columns; j++)
    {
        const vreal start = bias != NULL ? vselect(begins, vsplat(bias[j]), (vreal){0}) : (vreal){0};
        UNROLL for (int i = 0; i < rows; i++) sum[i][j] = start;
    }
    if (ahead)
        part_of_chains(rows, columns, a + ahead - LANES, a_row, b + ahead - LANES, b_stride, LANES - ahead, LANES, sum);
    for (ptrdiff_t p = ahead; p < whole; p += LANES) {
        vreal bp[DOTS_SIDE];
        UNROLL for (int j = 0; j < columns; j++) bp[j] = vload(b + j * b_stride + p);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vreal ap = vload(a + i * a_row + p);
            UNROLL for (int j = 0; j < columns; j++) sum[i][j] = vfma(ap, bp[j], sum[i][j]);
        }
    }
    if (whole < k)
        part_of_chains(rows, columns, a + whole, a_row, b + whole, b_stride, 0, k - whole, sum);
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < columns; j++) chains[i][at + j] = sum[i][j];
}

INLINE void rows_of_chains(const int rows, const int columns, ptrdiff_t k, ptrdiff_t ahead, const real *a,
                           ptrdiff_t a_row, const real *b, ptrdiff_t b_stride, const real *bias,
                           vreal chains[TILE_ROWS][LANES], ptrdiff_t at)
{
    const int parts = (int)ceil_div(rows, DOTS_ROWS);
    UNROLL for (int q = 0; q < parts; q++)
    {
        const int first = rows * q / parts, end = rows * (q + 1) / parts;
        columns_of_chains(end - first, columns, k, ahead, a + first * a_row, a_row, b, b_stride, bias, chains + first,
                          at);
    }
}

INLINE void dots(const int rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, const real *b, ptrdiff_t b_stride,
                 real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start, const real *bias)
{
    assert(k >= 0 && columns >= 0);
    assert(start == START_ZERO || start == ADD_TO_C || (start == START_COLUMN_BIAS && bias != NULL));
    const ptrdiff_t ahead =
        b_stride % LANES || k < LANES ? 0 : (ptrdiff_t)(-(uintptr_t)b % sizeof(vreal) / sizeof(real));
    for (ptrdiff_t first = 0; first < columns; first += LANES, b += LANES * b_stride) {
        const ptrdiff_t count = min_size(columns - first, LANES), sides = count / DOTS_SIDE * DOTS_SIDE;
        const real *const begin = start == START_COLUMN_BIAS ? bias + first : NULL;
        vreal chains[TILE_ROWS][LANES];
        ptrdiff_t j = 0;
        for (; j < sides; j += DOTS_SIDE)
            rows_of_chains(rows, DOTS_SIDE, k, ahead, a, a_row, b + j * b_stride, b_stride, begin ? begin + j : NULL,
                           chains, j);
        for (; j < count; j++)
            rows_of_chains(rows, 1, k, ahead, a, a_row, b + j * b_stride, b_stride, begin ? begin + j : NULL, chains,
                           j);
        for (int i = 0; i < rows; i++) {
            for (j = count; j < LANES; j++)
                chains[i][j] = (vreal){0};
            real *const to = c + i * c_stride + first;
            transpose(chains[i]);
            vreal total = start == ADD_TO_C ? vload_part(to, count) : (vreal){0};
            UNROLL for (int l = 0; l < LANES; l++) total += chains[i][(l - ahead) & (LANES - 1)];
            vstore_part(to, total, count);
        }
    }
}

#define DOTS(rows)                                                                                                     \
    static void dots_##rows(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step, const real *b,              \
                            ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start,             \
                            const real *bias)                                                                          \
    {                                                                                                                  \
        dots(rows, k, a, a_row, b, b_stride, c, c_stride, columns, start, bias);                                       \
    }
/* clang-format off */
DOTS(1) DOTS(2) DOTS(3) DOTS(4) DOTS(5) DOTS(6)
#if TILE_ROWS == 8
DOTS(7) DOTS(8)
const tile_fn NAME(dots)[TILE_ROWS] = {dots_1, dots_2, dots_3, dots_4, dots_5, dots_6, dots_7, dots_8};
#else
const tile_fn NAME(dots)[TILE_ROWS] = {dots_1, dots_2, dots_3, dots_4, dots_5, dots_6};
#endif
/* clang-format on */
