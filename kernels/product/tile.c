#include "parts.h"
#include "primitives.h"
#include "transpose.h"

INLINE void start_accumulators(const int rows, const int vectors, vreal acc[TILE_ROWS][TILE_VECTORS], const real *c,
                               ptrdiff_t c_stride, ptrdiff_t last, int start, const real *bias)
{
    assert((start != START_ROW_BIAS && start != START_COLUMN_BIAS) || bias != NULL);
    const int end = vectors - 1;
    if (start == START_ZERO || start == ADD_TO_C) {
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = (vreal){0};
    } else if (start == START_ROW_BIAS) {
        UNROLL for (int i = 0; i < rows; i++) UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vsplat(bias[i]);
    } else if (start == START_COLUMN_BIAS) {
        UNROLL for (int v = 0; v < vectors; v++)
        {
            const vreal first = v < end ? vload(bias + v * LANES) : load_some(bias + v * LANES, last);
            UNROLL for (int i = 0; i < rows; i++) acc[i][v] = first;
        }
    } else {
        UNROLL for (int i = 0; i < rows; i++)
        {
            UNROLL for (int v = 0; v < end; v++) acc[i][v] = vload(c + i * c_stride + v * LANES);
            acc[i][end] = load_some(c + i * c_stride + end * LANES, last);
        }
    }
}

INLINE void store_accumulators(const int rows, const int vectors, vreal acc[TILE_ROWS][TILE_VECTORS], real *c,
                               ptrdiff_t c_stride, ptrdiff_t last, int start)
{
    if (start == ADD_TO_C)
        UNROLL for (int i = 0; i < rows; i++)
        {
            UNROLL for (int v = 0; v < vectors - 1; v++) acc[i][v] += vload(c + i * c_stride + v * LANES);
            acc[i][vectors - 1] += load_some(c + i * c_stride + (vectors - 1) * LANES, last);
        }
    UNROLL for (int i = 0; i < rows; i++)
    {
        UNROLL for (int v = 0; v < vectors - 1; v++) vstore(c + i * c_stride + v * LANES, positive_zeros(acc[i][v]));
        store_some(c + i * c_stride + (vectors - 1) * LANES, positive_zeros(acc[i][vectors - 1]), last);
    }
}

INLINE void tile(const int rows, const int vectors, const bool by_runs, ptrdiff_t k, const real *a, ptrdiff_t a_row,
                 ptrdiff_t a_step, const real *b, ptrdiff_t b_stride, const ptrdiff_t *runs, real *c,
                 ptrdiff_t c_stride, ptrdiff_t columns, int start, const real *bias)
{
    assert(k >= 0 && columns > (vectors - 1) * LANES && columns <= vectors * LANES && (!by_runs || runs != NULL));
    const ptrdiff_t last = columns - (vectors - 1) * LANES; /* lanes in use in the last vector of a row */
    vreal acc[TILE_ROWS][TILE_VECTORS];
    start_accumulators(rows, vectors, acc, c, c_stride, last, start, bias);

    /* Without the unrolling by 4 GCC spills the accumulators. */
    _Pragma("GCC unroll 4") for (ptrdiff_t p = 0; p < k; p++)
    {
        vreal bp[TILE_VECTORS];
        const real *const row = b + (by_runs ? runs[p] : p * b_stride);
        UNROLL for (int v = 0; v < vectors; v++) bp[v] = vload(row + v * LANES);
        UNROLL for (int i = 0; i < rows; i++)
        {
            const vreal ap = vsplat(a[i * a_row + p * a_step]);
            UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vfma(ap, bp[v], acc[i][v]);
        }
    }

    store_accumulators(rows, vectors, acc, c, c_stride, last, start);
}

INLINE void tile_taps(const int rows, const int vectors, const window_taps *taps, const real *a, ptrdiff_t a_row,
                      const real *b, real *c, ptrdiff_t c_stride, int start, const real *bias)
{
    assert(taps->channels >= 0 && taps->group >= 1 && taps->count >= 0 && taps->places != NULL && taps->lines != NULL);
    vreal acc[TILE_ROWS][TILE_VECTORS];
    start_accumulators(rows, vectors, acc, c, c_stride, LANES, start, bias);
    for (ptrdiff_t left = taps->channels; left > 0; left -= taps->group, a += taps->a_group, b += taps->b_group) {
        const ptrdiff_t count = min_size(left, taps->group) * taps->count;
        const ptrdiff_t *const places = taps->places, *const lines = taps->lines;
        _Pragma("GCC unroll 4") for (ptrdiff_t t = 0; t < count; t++)
        {
            const real *const pixel = a + places[t], *const line = b + lines[t];
            vreal bp[TILE_VECTORS];
            UNROLL for (int v = 0; v < vectors; v++) bp[v] = vload(line + v * LANES);
            UNROLL for (int i = 0; i < rows; i++)
            {
                const vreal ap = vsplat(pixel[i * a_row]);
                UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vfma(ap, bp[v], acc[i][v]);
            }
        }
    }
    store_accumulators(rows, vectors, acc, c, c_stride, LANES, start);
}

INLINE void tile_lines(const int rows, const int vectors, const picture_pixels *pixels, const real *a,
                       const ptrdiff_t *runs, const real *b, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start)
{
    assert(columns > (vectors - 1) * LANES && columns <= vectors * LANES);
    assert(start == START_ZERO || start == START_C || start == ADD_TO_C);
    assert(pixels->pictures >= 0 && pixels->lines >= 0 && pixels->width >= 0);
    const ptrdiff_t last = columns - (vectors - 1) * LANES;
    const picture_pixels k = *pixels;
    vreal acc[TILE_ROWS][TILE_VECTORS];
    start_accumulators(rows, vectors, acc, c, c_stride, last, start, c);
    for (ptrdiff_t n = 0; n < k.pictures; n++, a += k.a_picture, b += k.b_picture)
        for (ptrdiff_t l = 0; l < k.lines; l++) {
            const real *row[TILE_ROWS], *line = b + l * k.b_line;
            UNROLL for (int i = 0; i < rows; i++) row[i] = a + l * k.a_line + runs[i];
            for (ptrdiff_t p = 0, left = k.width; left > 0; left--, p += k.a_column, line += k.b_column) {
                vreal bp[TILE_VECTORS];
                UNROLL for (int v = 0; v < vectors; v++) bp[v] = vload(line + v * LANES);
                UNROLL for (int i = 0; i < rows; i++)
                {
                    const vreal ap = vsplat(row[i][p]);
                    UNROLL for (int v = 0; v < vectors; v++) acc[i][v] = vfma(ap, bp[v], acc[i][v]);
                }
            }
        }
    store_accumulators(rows, vectors, acc, c, c_stride, last, start);
}

enum {
    ROW_VECTORS = 8, /* chains that hide the latency of a multiply-add */
    ROW_LINES = 4,   /* lines of B at a time; 8 that lie a power of 2 apart crowd the cache where B is not aligned */
};

INLINE void row_block(const int vectors, ptrdiff_t k, const real *a, ptrdiff_t a_step, const real *b,
                      ptrdiff_t b_stride, const ptrdiff_t *runs, real *c, ptrdiff_t columns, int start,
                      const real *bias)
{
    const ptrdiff_t last = columns - (vectors - 1) * LANES;
    vreal acc[ROW_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++)
    {
        const ptrdiff_t count = v < vectors - 1 ? LANES : last;
        acc[v] = start == START_ZERO       ? (vreal){0}
                 : start == START_ROW_BIAS ? vsplat(bias[0])
                                           : load_some((start == START_C ? c : bias) + v * LANES, count);
    }
    for (ptrdiff_t p = 0; p < k; p++) {
        const vreal ap = vsplat(a[p * a_step]);
        const real *const row = b + (runs != NULL ? runs[p] : p * b_stride);
        UNROLL for (int v = 0; v < vectors; v++) acc[v] = vfma(ap, vload(row + v * LANES), acc[v]);
    }
    UNROLL for (int v = 0; v < vectors - 1; v++) vstore(c + v * LANES, positive_zeros(acc[v]));
    store_some(c + (vectors - 1) * LANES, positive_zeros(acc[vectors - 1]), last);
}

INLINE void row(ptrdiff_t k, const real *a, ptrdiff_t a_step, const real *b, ptrdiff_t b_stride, const ptrdiff_t *runs,
                real *c, ptrdiff_t columns, int start, const real *bias)
{
    const ptrdiff_t vectors = ceil_div(columns, LANES), blocks = panel_count(vectors, ROW_VECTORS);
    for (ptrdiff_t q = 0; q < blocks; q++) {
        const ptrdiff_t first = panel_start(vectors, blocks, q), end = panel_start(vectors, blocks, q + 1);
        const ptrdiff_t j = first * LANES, count = min_size(end * LANES, columns) - j;
        const real *const begin = start == START_COLUMN_BIAS ? bias + j : bias;
        switch (end - first) {
        case 1: row_block(1, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 2: row_block(2, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 3: row_block(3, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 4: row_block(4, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 5: row_block(5, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 6: row_block(6, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        case 7: row_block(7, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        default: row_block(8, k, a, a_step, b + j, b_stride, runs, c + j, count, start, begin); break;
        }
    }
}

static void row_runs(ptrdiff_t k, const real *a, const real *b, const ptrdiff_t *runs, real *c, ptrdiff_t columns,
                     int start, const real *bias)
{
    assert(k >= 0 && columns >= 1 && start != ADD_TO_C);
    row(k, a, 1, b, 0, runs, c, columns, start, bias);
}

INLINE void lines_part(const int lines, const vreal *factor, const real *b, ptrdiff_t b_stride, real *c,
                       ptrdiff_t count, int start, const real *bias)
{
    vreal sum = start == START_ZERO       ? (vreal){0}
                : start == START_ROW_BIAS ? vsplat(bias[0])
                                          : vload_part(start == START_C ? c : bias, count);
    UNROLL for (int p = 0; p < lines; p++) sum = vfma(factor[p], vload_part(b + p * b_stride, count), sum);
    vstore_part(c, positive_zeros(sum), count);
}

/* `lines` lines of B times a number each, every line read from its beginning to its end: that is what the prefetchers follow,
   and the row of C stays in L1. Vectors of B that lie across two cache lines would take 1.5 times as long. */
INLINE void few_lines(const int lines, const real *a, ptrdiff_t a_step, const real *b, ptrdiff_t b_stride, real *c,
                      ptrdiff_t columns, int start, const real *bias)
{
    const ptrdiff_t ahead = (ptrdiff_t)(-(uintptr_t)b % sizeof(vreal) / sizeof(real)), head = min_size(columns, ahead);
    const bool by_column = start == START_COLUMN_BIAS;
    const real *const begin = start == START_C ? c : bias;
    vreal factor[ROW_LINES];
    UNROLL for (int p = 0; p < lines; p++) factor[p] = vsplat(a[p * a_step]);
    if (head)
        lines_part(lines, factor, b, b_stride, c, head, start, bias);
    ptrdiff_t j = head;
    for (; j + 2 * LANES <= columns; j += 2 * LANES) {
        vreal left = {0}, right = {0};
        if (start == START_ROW_BIAS) {
            left = right = vsplat(bias[0]);
        } else if (start != START_ZERO) {
            left = vload(begin + j);
            right = vload(begin + j + LANES);
        }
        UNROLL for (int p = 0; p < lines; p++)
        {
            left = vfma(factor[p], vload(b + p * b_stride + j), left);
            right = vfma(factor[p], vload(b + p * b_stride + j + LANES), right);
        }
        vstore(c + j, positive_zeros(left));
        vstore(c + j + LANES, positive_zeros(right));
    }
    for (; j < columns; j += LANES)
        lines_part(lines, factor, b + j, b_stride, c + j, min_size(columns - j, LANES), start,
                   by_column ? bias + j : bias);
}

static void row_lines(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step, const real *b, ptrdiff_t b_stride,
                      real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start, const real *bias)
{
    assert(k >= 0 && columns >= 1 && start != ADD_TO_C);
    if (columns <= ROW_VECTORS * LANES && columns % LANES == 0) {
        row(k, a, a_step, b, b_stride, NULL, c, columns, start, bias);
        return;
    }
    const ptrdiff_t first = k == 0 ? 0 : (k - 1) % ROW_LINES + 1;
    switch (first) {
    case 0: few_lines(0, a, a_step, b, b_stride, c, columns, start, bias); break;
    case 1: few_lines(1, a, a_step, b, b_stride, c, columns, start, bias); break;
    case 2: few_lines(2, a, a_step, b, b_stride, c, columns, start, bias); break;
    case 3: few_lines(3, a, a_step, b, b_stride, c, columns, start, bias); break;
    default: few_lines(ROW_LINES, a, a_step, b, b_stride, c, columns, start, bias); break;
    }
    for (ptrdiff_t p = first; p < k; p += ROW_LINES)
        few_lines(ROW_LINES, a + p * a_step, a_step, b + p * b_stride, b_stride, c, columns, START_C, NULL);
}

INLINE void thin(const int rows, const int vectors, ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step,
                 const real *b, ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start,
                 const real *bias)
{
    assert(k >= 0 && columns > (vectors - 1) * LANES && columns <= vectors * LANES);
    const ptrdiff_t last = columns - (vectors - 1) * LANES;
    vreal acc[TILE_ROWS][TILE_VECTORS];
    start_accumulators(rows, vectors, acc, c, c_stride, last, start, bias);
    /* LANES lines of B at a time: more would be more streams than the caches have ways for lines a power of 2 apart. */
    UNROLL for (int v = 0; v < vectors; v++) for (ptrdiff_t p = 0; p < k; p += LANES)
    {
        const ptrdiff_t count = min_size(k - p, LANES);
        vreal block[LANES];
        load_transposed(block, (const char *)(b + v * LANES * b_stride + p), b_stride * (ptrdiff_t)sizeof(number),
                        v < vectors - 1 ? LANES : last, count);
        if (count == LANES) {
            UNROLL for (int q = 0; q < LANES; q++) UNROLL for (int i = 0; i < rows; i++)
            {
                acc[i][v] = vfma(vsplat(a[i * a_row + (p + q) * a_step]), block[q], acc[i][v]);
            }
        } else {
            for (int q = 0; q < count; q++)
                UNROLL for (int i = 0; i < rows; i++)
                {
                    acc[i][v] = vfma(vsplat(a[i * a_row + (p + q) * a_step]), block[q], acc[i][v]);
                }
        }
    }
    store_accumulators(rows, vectors, acc, c, c_stride, last, start);
}

/* Heights and widths below the largest are functions of their own, so that an edge costs what it computes. */
#define TILE(rows, vectors)                                                                                            \
    static void tile_##rows##x##vectors(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step, const real *b,  \
                                        ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start, \
                                        const real *bias)                                                              \
    {                                                                                                                  \
        tile(rows, vectors, false, k, a, a_row, a_step, b, b_stride, NULL, c, c_stride, columns, start, bias);         \
    }
#define RUNS(rows, vectors)                                                                                            \
    static void runs_##rows##x##vectors(ptrdiff_t k, const real *a, ptrdiff_t a_stride, const real *b,                 \
                                        const ptrdiff_t *runs, real *c, ptrdiff_t c_stride, ptrdiff_t columns,         \
                                        int start, const real *bias)                                                   \
    {                                                                                                                  \
        tile(rows, vectors, true, k, a, a_stride, 1, b, 0, runs, c, c_stride, columns, start, bias);                   \
    }
#define TAPS(rows, vectors)                                                                                            \
    static void taps_##rows##x##vectors(const window_taps *taps, const real *a, ptrdiff_t a_row, const real *b,        \
                                        real *c, ptrdiff_t c_stride, int start, const real *bias)                      \
    {                                                                                                                  \
        tile_taps(rows, vectors, taps, a, a_row, b, c, c_stride, start, bias);                                         \
    }
#define LINES(rows, vectors)                                                                                           \
    static void lines_##rows##x##vectors(const picture_pixels *pixels, const real *a, const ptrdiff_t *runs,           \
                                         const real *b, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start)     \
    {                                                                                                                  \
        tile_lines(rows, vectors, pixels, a, runs, b, c, c_stride, columns, start);                                    \
    }
#define THIN(rows, vectors)                                                                                            \
    static void thin_##rows##x##vectors(ptrdiff_t k, const real *a, ptrdiff_t a_row, ptrdiff_t a_step, const real *b,  \
                                        ptrdiff_t b_stride, real *c, ptrdiff_t c_stride, ptrdiff_t columns, int start, \
                                        const real *bias)                                                              \
    {                                                                                                                  \
        thin(rows, vectors, k, a, a_row, a_step, b, b_stride, c, c_stride, columns, start, bias);                      \
    }
#if TILE_VECTORS == 3
#define THINS(rows) THIN(rows, 1) THIN(rows, 2) THIN(rows, 3)
#define TILES(rows) EACH(TILE, rows) EACH(RUNS, rows) EACH(TAPS, rows) EACH(LINES, rows)
#define EACH(LAYOUT, rows) LAYOUT(rows, 1) LAYOUT(rows, 2) LAYOUT(rows, 3)
#define ROW(layout, rows) {layout##_##rows##x1, layout##_##rows##x2, layout##_##rows##x3}
#else
#define THINS(rows) THIN(rows, 1) THIN(rows, 2)
#define TILES(rows) EACH(TILE, rows) EACH(RUNS, rows) EACH(TAPS, rows) EACH(LINES, rows)
#define EACH(LAYOUT, rows) LAYOUT(rows, 1) LAYOUT(rows, 2)
#define ROW(layout, rows) {layout##_##rows##x1, layout##_##rows##x2}
#endif
/* clang-format off */
THINS(1) THINS(2) THINS(3) THINS(4) THINS(5) THINS(6)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6)
#if TILE_ROWS == 8
THINS(7) THINS(8)
TILES(7) TILES(8)
#define ROWS(layout)                                                                                                   \
    {ROW(layout, 1), ROW(layout, 2), ROW(layout, 3), ROW(layout, 4),                                                   \
     ROW(layout, 5), ROW(layout, 6), ROW(layout, 7), ROW(layout, 8)}
#else
#define ROWS(layout) {ROW(layout, 1), ROW(layout, 2), ROW(layout, 3), ROW(layout, 4), ROW(layout, 5), ROW(layout, 6)}
#endif

static const tile_fn tiles[TILE_ROWS][TILE_VECTORS] = ROWS(tile);
/* clang-format on */

static const tile_runs_fn runs[TILE_ROWS][TILE_VECTORS] = ROWS(runs);

static const tile_taps_fn taps[TILE_ROWS][TILE_VECTORS] = ROWS(taps);

static const tile_lines_fn lines[TILE_ROWS][TILE_VECTORS] = ROWS(lines);

static const tile_fn thins[TILE_ROWS][TILE_VECTORS] = ROWS(thin);

const tile_primitives NAME(tile) = {.rows = TILE_ROWS,
                                    .vectors = TILE_VECTORS,
                                    .tiles = &tiles[0][0],
                                    .runs = &runs[0][0],
                                    .taps = &taps[0][0],
                                    .lines = &lines[0][0],
                                    .row_runs = row_runs,
                                    .row_lines = row_lines,
                                    .thin = &thins[0][0],
                                    .dots = NAME(dots),
                                    .dots_most = VECTOR_BYTES == 64 ? 192 / sizeof(real) : 2 * TILE_ROWS,
                                    .dots_rows = TILE_ROWS / DOTS_ROWS * DOTS_ROWS};
