#include "primitives.h"
#include "transpose.h"

/* Few rows of A times a B whose columns are contiguous, as dot products: lane l of a sum is chain l of an element (see
 * tile.h), so the numbers of B are used as they are loaded. A few columns at a time: from L3, 4 lines read side by side come
 * at 108 GB/s, 16 at 78. */
enum { SIDE = LANES < 4 ? LANES : 4, MOST_ROWS = TILE_ROWS * TILE_VECTORS / SIDE }; /* so many sums the registers hold */

INLINE vint lanes_below(ptrdiff_t count)
{
    vint lane;
    UNROLL for (int l = 0; l < LANES; l++) lane[l] = l;
    return lane < (integer)count;
}

/* chains[i][at + j]: the chains of element (i, j) in its lanes */
INLINE void columns_of_chains(const int rows, const int columns, ptrdiff_t k, const real *a, ptrdiff_t a_row, const real *b,
                              ptrdiff_t b_stride, const real *bias, vreal chains[TILE_ROWS][LANES], ptrdiff_t at)
{
    const ptrdiff_t whole = k / LANES * LANES;
    vreal sum[TILE_ROWS][SIDE];
    UNROLL for (int j = 0; j < columns; j++)
    {
        const vreal start = bias != NULL ? vload_part(bias + j, 1) : (vreal){0};
        UNROLL for (int i = 0; i < rows; i++) sum[i][j] = start;
    }
    for (ptrdiff_t p = 0; p < whole; p += LANES) {
        vreal bp[SIDE];
        UNROLL for (int j = 0; j < columns; j++) bp[j] = vload(b + j * b_stride + p);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vreal ap = vload(a + i * a_row + p);
            UNROLL for (int j = 0; j < columns; j++) sum[i][j] += ap * bp[j];
        }
    }
    if (whole < k) { /* chains that have ended keep what they are: not even the sign of a zero changes */
        const vint longer = lanes_below(k - whole);
        UNROLL for (int j = 0; j < columns; j++)
        {
            const vreal bp = vload_part(b + j * b_stride + whole, k - whole);
            UNROLL for (int i = 0; i < rows; i++)
                sum[i][j] = vselect(longer, sum[i][j] + vload_part(a + i * a_row + whole, k - whole) * bp, sum[i][j]);
        }
    }
    UNROLL for (int i = 0; i < rows; i++) UNROLL for (int j = 0; j < columns; j++) chains[i][at + j] = sum[i][j];
}

INLINE void rows_of_chains(const int rows, const int columns, ptrdiff_t k, const real *a, ptrdiff_t a_row, const real *b,
                           ptrdiff_t b_stride, const real *bias, vreal chains[TILE_ROWS][LANES], ptrdiff_t at)
{
    const int parts = (rows + MOST_ROWS - 1) / MOST_ROWS;
    UNROLL for (int q = 0; q < parts; q++)
    {
        const int first = rows * q / parts, end = rows * (q + 1) / parts;
        columns_of_chains(end - first, columns, k, a + first * a_row, a_row, b, b_stride, bias, chains + first, at);
    }
}

INLINE void dots(const int rows, ptrdiff_t k, const real *a, ptrdiff_t a_row, const real *b, ptrdiff_t b_stride, real *c,
                 ptrdiff_t c_stride, ptrdiff_t columns, int start, const real *bias)
{
    assert(start == START_ZERO || start == START_COLUMN_BIAS || start == ADD_TO_C);
    for (ptrdiff_t first = 0; first < columns; first += LANES, b += LANES * b_stride) {
        const ptrdiff_t count = min_size(columns - first, LANES), sides = count / SIDE * SIDE;
        const real *const begin = start == START_COLUMN_BIAS ? bias + first : NULL;
        vreal chains[TILE_ROWS][LANES];
        ptrdiff_t j = 0;
        for (; j < sides; j += SIDE)
            rows_of_chains(rows, SIDE, k, a, a_row, b + j * b_stride, b_stride, begin ? begin + j : NULL, chains, j);
        for (; j < count; j++)
            rows_of_chains(rows, 1, k, a, a_row, b + j * b_stride, b_stride, begin ? begin + j : NULL, chains, j);
        for (int i = 0; i < rows; i++) {
            for (j = count; j < LANES; j++)
                chains[i][j] = (vreal){0};
            real *const to = c + i * c_stride + first;
            transpose(chains[i]);
            vreal total = start == ADD_TO_C ? vload_part(to, count) + chains[i][0] : chains[i][0];
            UNROLL for (int l = 1; l < LANES; l++) total += chains[i][l];
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
DOTS(1) DOTS(2) DOTS(3) DOTS(4) DOTS(5) DOTS(6)
#if TILE_ROWS == 8
DOTS(7) DOTS(8)
const tile_fn NAME(dots)[TILE_ROWS] = {dots_1, dots_2, dots_3, dots_4, dots_5, dots_6, dots_7, dots_8};
#else
const tile_fn NAME(dots)[TILE_ROWS] = {dots_1, dots_2, dots_3, dots_4, dots_5, dots_6};
#endif
