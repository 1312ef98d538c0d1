#include "primitives.h"
#include "transpose.h"

/* Element-wise, for strides that allow no vector: to[i * to_stride + j] = x[i, j]. */
static void copy_strided(ptrdiff_t rows, ptrdiff_t columns, const char *x, ptrdiff_t row_stride,
                         ptrdiff_t column_stride, real *to, ptrdiff_t to_stride)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            to[i * to_stride + j] = *(const real *)(x + i * row_stride + j * column_stride);
}

/* to[q * to_stride + i] = x[i, q]: lines of x become columns; i up to LANES is written, 0 beyond `lines`. */
INLINE void transpose_block(const char *x, ptrdiff_t line_stride, ptrdiff_t lines, ptrdiff_t count, real *to,
                            ptrdiff_t to_stride)
{
    vreal block[LANES];
    load_transposed(block, x, line_stride, lines, count);
    if (count == LANES) {
        UNROLL for (int q = 0; q < LANES; q++) vstore(to + q * to_stride, block[q]);
    } else {
        for (int q = 0; q < count; q++)
            vstore(to + q * to_stride, block[q]);
    }
}

INLINE void pack_panel(const int chains, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x,
                       ptrdiff_t k_stride, ptrdiff_t column_stride, real *to)
{
    assert(k >= 0 && columns >= 1 && columns <= width && width % LANES == 0 && width - columns < LANES);
    const ptrdiff_t chain = ceil_div(k, chains) * width; /* numbers of a chain in the panel */
    if (k_stride == sizeof(number) && column_stride != sizeof(number)) {
        /* LANES columns at a time, each read in one go: as many streams as the prefetcher follows. */
        for (ptrdiff_t j = 0; j < columns; j += LANES)
            for (ptrdiff_t p = 0; p < k; p += LANES)
                transpose_block(x + j * column_stride + p * k_stride, column_stride, min_size(columns - j, LANES),
                                min_size(k - p, LANES), to + p / chains * width + j, chains > 1 ? chain : width);
        return;
    }
    const ptrdiff_t whole = columns / LANES * LANES, rest = columns - whole;
    for (ptrdiff_t p = 0; p < k; p++, x += k_stride) {
        real *const row = to + p % chains * chain + p / chains * width;
        if (column_stride == sizeof(number)) {
            if (columns <= LANES) /* rows of A by columns: their next line, for the slivers behind these */
                __builtin_prefetch(x + 64, 0, 2);
            for (ptrdiff_t j = 0; j < whole; j += LANES)
                vstore(row + j, vload((const real *)x + j));
            if (rest)
                vstore(row + whole, vload_part((const real *)x + whole, rest));
        } else {
            vstore(row + width - LANES, (vreal){0});
            copy_strided(1, columns, x, 0, column_stride, row, 0);
        }
    }
}

static void panel(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x, ptrdiff_t k_stride,
                  ptrdiff_t column_stride, real *to)
{
    pack_panel(1, k, columns, width, x, k_stride, column_stride, to);
}

/* The next panel is fetched ahead: where it is small and far away, the hardware does not see it coming. */
static void panels(ptrdiff_t count, ptrdiff_t step, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x,
                   ptrdiff_t k_stride, ptrdiff_t column_stride, real *to)
{
    for (; count > 0; count--, x += step, to += k * width) {
        for (ptrdiff_t j = 0; count > 1 && j < columns; j++)
            __builtin_prefetch(x + step + j * column_stride);
        panel(k, columns, width, x, k_stride, column_stride, to);
    }
}

static void chained_panel(ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, const char *x, ptrdiff_t k_stride,
                          ptrdiff_t column_stride, real *to)
{
    pack_panel(LANES, k, columns, width, x, k_stride, column_stride, to);
}

static void rows(ptrdiff_t count, ptrdiff_t k, const char *x, ptrdiff_t row_stride, ptrdiff_t k_stride, real *to)
{
    assert(count >= 0 && k >= 0);
    if (k_stride == sizeof(number))
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(to + i * k, x + i * row_stride, (size_t)k * sizeof(number));
    else
        copy_strided(count, k, x, row_stride, k_stride, to, k);
}

static void scatter(ptrdiff_t rows, ptrdiff_t columns, const real *x, ptrdiff_t x_stride, char *to,
                    ptrdiff_t row_stride, ptrdiff_t column_stride)
{
    assert(rows >= 0 && columns >= 0 && (rows <= 1 || x_stride >= columns));
    for (ptrdiff_t i = 0; i < rows; i++, x += x_stride, to += row_stride)
        if (column_stride == sizeof(number))
            memcpy(to, x, (size_t)columns * sizeof(number));
        else
            for (ptrdiff_t j = 0; j < columns; j++)
                *(real *)(to + j * column_stride) = x[j];
}

static void turn(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t taps, const char *x, ptrdiff_t row_stride,
                 ptrdiff_t column_stride, const ptrdiff_t *offsets, real *to, ptrdiff_t row)
{
    assert(rows >= 0 && columns >= 0 && taps >= 0 && (columns <= 1 || row >= rows * taps));
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++) {
            const char *const from = x + i * row_stride + j * column_stride;
            real *const end = to + j * row + i * taps;
            for (ptrdiff_t t = 0; t < taps; t++)
                end[t] = *(const real *)(from + offsets[t]);
        }
}

static void transpose_matrix(ptrdiff_t rows, ptrdiff_t columns, const real *x, ptrdiff_t x_stride, real *to,
                             ptrdiff_t to_stride)
{
    assert(rows >= 0 && columns >= 0 && (columns <= 1 || to_stride >= rows));
    for (ptrdiff_t j = 0; j < columns; j += LANES)
        for (ptrdiff_t i = 0; i < rows; i += LANES) {
            const ptrdiff_t lines = min_size(rows - i, LANES), count = min_size(columns - j, LANES);
            vreal block[LANES];
            load_transposed(block, (const char *)(x + i * x_stride + j), x_stride * (ptrdiff_t)sizeof(number), lines,
                            count);
            if (lines == LANES && count == LANES)
                UNROLL for (int q = 0; q < LANES; q++) vstore(to + (j + q) * to_stride + i, block[q]);
            else
                for (int q = 0; q < count; q++)
                    vstore_part(to + (j + q) * to_stride + i, block[q], lines);
        }
}

const pack_primitives NAME(pack) = {.panel = panel,
                                    .chained_panel = chained_panel,
                                    .panels = panels,
                                    .rows = rows,
                                    .scatter = scatter,
                                    .turn = turn,
                                    .transpose = transpose_matrix};
