/* The register tiles: products of integers, whose sums are exact. */
#include "checkasm.h"

enum { MOST_K = 70, MOST_ROWS = 16 };

/* Where the operands of a product lie: row i of A at a_at[i * k + p], of B the columns from b_at[p] on, b_step apart.
 */
typedef struct {
    ptrdiff_t rows, columns, k, b_step;
    ptrdiff_t a_at[MOST_ROWS * MOST_K], b_at[MOST_K];
    real *a, *b, *c, *bias;
    ptrdiff_t c_stride;
    int start;
} product;

static product m; /* of the case */

/* The numbers from the least to the greatest place, of which those in use are integers and the others NaN; `readable`
 * more behind the last one. Returns where place 0 would be. */
static real *operand(const ptrdiff_t *at, ptrdiff_t count, ptrdiff_t each, ptrdiff_t step, ptrdiff_t readable)
{
    ptrdiff_t low = 0, high = -1;
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0; j < each; j++) {
            const ptrdiff_t place = at[i] + j * step;
            low = i + j == 0 || place < low ? place : low;
            high = i + j == 0 || place > high ? place : high;
        }
    real *const x = nothing(high - low + 1 + (high < low ? 0 : readable), INPUT) - low;
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t j = 0; j < each; j++)
            put_number(x + at[i] + j * step, (double)between(-3, 3));
    return x;
}

/* `whole`: the tile reads whole vectors of a row of B. */
static void place_operands(int start, int whole)
{
    const ptrdiff_t slack = whole ? up_to(m.columns, lanes()) - m.columns : 0;
    m.start = start;
    m.a = operand(m.a_at, m.rows * m.k, 1, 0, 0);
    m.b = operand(m.b_at, m.k, m.columns, m.b_step, slack);
    m.c_stride = m.columns + between(0, 5);
    m.c = results((m.rows - 1) * m.c_stride + m.columns);
    m.bias = start == START_ROW_BIAS      ? integers(m.rows, INPUT)
             : start == START_COLUMN_BIAS ? integers(m.columns, INPUT)
                                          : NULL;
    for (ptrdiff_t i = 0; i < m.rows; i++)
        for (ptrdiff_t j = 0; j < m.columns; j++) {
            real *const c = m.c + i * m.c_stride + j;
            if (start == START_C || start == ADD_TO_C)
                put_number(c, (double)between(-3, 3));
            number sum = m.bias ? m.bias[start == START_ROW_BIAS ? i : j] : start == START_ZERO ? 0 : *c;
            for (ptrdiff_t p = 0; p < m.k; p++)
                sum += m.a[m.a_at[i * m.k + p]] * m.b[m.b_at[p] + j * m.b_step];
            *want(c) = sum;
        }
}

/* Sizes of a tile of so many vectors; returns its place in the table. */
static ptrdiff_t some_tile(ptrdiff_t most_k)
{
    const ptrdiff_t most = VALUE(tile, vectors), vectors = between(1, most);
    m.rows = between(1, VALUE(tile, rows));
    m.columns = one_in(3) ? vectors * lanes() : between((vectors - 1) * lanes() + 1, vectors * lanes());
    m.k = between(0, most_k);
    m.b_step = 1;
    return (m.rows - 1) * most + vectors - 1;
}

static void steps(ptrdiff_t a_row, ptrdiff_t a_step, ptrdiff_t b_stride)
{
    for (ptrdiff_t i = 0; i < m.rows; i++)
        for (ptrdiff_t p = 0; p < m.k; p++)
            m.a_at[i * m.k + p] = i * a_row + p * a_step;
    for (ptrdiff_t p = 0; p < m.k; p++)
        m.b_at[p] = p * b_stride;
}

static ptrdiff_t some_stride(ptrdiff_t close)
{
    switch (between(0, 5)) {
    case 0: return 0;
    case 1: return -close - between(0, 3);
    case 2: return close + between(1, 9);
    default: return close;
    }
}

void NAME(check_tiles)(void)
{
    const ptrdiff_t at = some_tile(MOST_K), by_columns = one_in(3);
    const ptrdiff_t a_row = by_columns ? 1 : some_stride(m.k),
                    a_step = by_columns ? m.rows + between(0, 5) : between(0, 3);
    const ptrdiff_t b_stride = some_stride(up_to(m.columns, lanes()));
    steps(a_row, a_step, b_stride);
    place_operands((int)between(START_ZERO, ADD_TO_C), 1);
    detail("tile %td of k %td columns %td start %d", at, m.k, m.columns, m.start);
    CALL(tile, tiles)[at](m.k, m.a, a_row, a_step, m.b, b_stride, m.c, m.c_stride, m.columns, m.start, m.bias);
    verify();
}

void NAME(check_thin)(void)
{
    const ptrdiff_t at = some_tile(MOST_K), a_row = some_stride(m.k), b_stride = some_stride(m.k);
    steps(a_row, 1, 1);
    m.b_step = b_stride;
    place_operands((int)between(START_ZERO, ADD_TO_C), 0);
    detail("tile %td of k %td columns %td start %d", at, m.k, m.columns, m.start);
    CALL(tile, thin)[at](m.k, m.a, a_row, 1, m.b, b_stride, m.c, m.c_stride, m.columns, m.start, m.bias);
    verify();
}

void NAME(check_dots)(void)
{
    enum { STARTS = 3 };
    const int starts[STARTS] = {START_ZERO, START_COLUMN_BIAS, ADD_TO_C};
    some_tile(MOST_K);
    m.rows = between(1, VALUE(tile, dots_rows));
    m.columns = between(1, 3 * lanes() + 1);
    const ptrdiff_t a_row = some_stride(m.k), b_stride = one_in(2) ? up_to(m.k, lanes()) : some_stride(m.k);
    steps(a_row, 1, 1);
    m.b_step = b_stride;
    place_operands(starts[between(0, STARTS - 1)], 0);
    detail("rows %td of %td, k %td columns %td start %d", m.rows, VALUE(tile, dots_most), m.k, m.columns, m.start);
    CALL(tile, dots)[m.rows - 1](m.k, m.a, a_row, 1, m.b, b_stride, m.c, m.c_stride, m.columns, m.start, m.bias);
    verify();
}

static ptrdiff_t *some_runs(ptrdiff_t most)
{
    ptrdiff_t *const runs = claim(m.k, sizeof *runs, OTHER, INPUT, sizeof *runs);
    for (ptrdiff_t p = 0; p < m.k; p++)
        runs[p] = want(runs)[p] = m.b_at[p] = between(0, most);
    return runs;
}

void NAME(check_runs)(void)
{
    const ptrdiff_t at = some_tile(MOST_K), a_row = some_stride(m.k);
    steps(a_row, 1, 0);
    const ptrdiff_t *const runs = some_runs(200);
    place_operands((int)between(START_ZERO, ADD_TO_C), 1);
    detail("tile %td of k %td columns %td start %d", at, m.k, m.columns, m.start);
    CALL(tile, runs)[at](m.k, m.a, a_row, m.b, runs, m.c, m.c_stride, m.columns, m.start, m.bias);
    verify();
}

static void one_row(ptrdiff_t most_columns)
{
    m.rows = 1, m.k = between(0, MOST_K), m.columns = between(1, most_columns), m.b_step = 1;
}

void NAME(check_row_runs)(void)
{
    one_row(20 * lanes());
    steps(0, 1, 0);
    const ptrdiff_t *const runs = some_runs(200);
    place_operands((int)between(START_ZERO, START_COLUMN_BIAS), 1);
    detail("k %td columns %td start %d", m.k, m.columns, m.start);
    CALL(tile, row_runs)(m.k, m.a, m.b, runs, m.c, m.columns, m.start, m.bias);
    verify();
}

void NAME(check_row_lines)(void)
{
    one_row(20 * lanes());
    const ptrdiff_t a_step = between(0, 3), b_stride = some_stride(m.columns);
    steps(0, a_step, b_stride);
    place_operands((int)between(START_ZERO, START_COLUMN_BIAS), 0);
    detail("k %td columns %td start %d", m.k, m.columns, m.start);
    CALL(tile, row_lines)(m.k, m.a, 0, a_step, m.b, b_stride, m.c, 0, m.columns, m.start, m.bias);
    verify();
}

/* Channels in groups, of each of which the same taps count: the last group may have fewer. */
void NAME(check_taps)(void)
{
    enum { TAPS = 32 };
    const ptrdiff_t at = some_tile(0), a_row = some_stride(7), width = up_to(m.columns, lanes());
    window_taps taps = {.group = between(1, 4), .count = between(0, 8), .a_group = between(0, 60)};
    ptrdiff_t *const places = claim(TAPS, sizeof *places, OTHER, INPUT, sizeof *places);
    ptrdiff_t *const rows = claim(TAPS, sizeof *rows, OTHER, INPUT, sizeof *rows);
    for (int t = 0; t < TAPS; t++) {
        places[t] = want(places)[t] = between(-20, 60);
        rows[t] = want(rows)[t] = between(0, 9) * width;
    }
    taps.channels = between(0, taps.count ? MOST_K / taps.count : 5), taps.b_group = taps.group * taps.count * width;
    taps.places = places, taps.lines = rows;
    m.k = taps.channels * taps.count, m.columns = width;
    for (ptrdiff_t p = 0; p < m.k; p++) {
        const ptrdiff_t each = taps.group * taps.count, group = p / each, t = p % each;
        for (ptrdiff_t i = 0; i < m.rows; i++)
            m.a_at[i * m.k + p] = group * taps.a_group + places[t] + i * a_row;
        m.b_at[p] = group * taps.b_group + rows[t];
    }
    place_operands((int)between(START_ZERO, ADD_TO_C), 1);
    detail("tile %td of channels %td taps %td start %d", at, taps.channels, taps.count, m.start);
    CALL(tile, taps)[at](&taps, m.a, a_row, m.b, m.c, m.c_stride, m.start, m.bias);
    verify();
}

void NAME(check_lines)(void)
{
    const ptrdiff_t at = some_tile(0), width = up_to(m.columns, lanes());
    picture_pixels v = {.pictures = between(0, 3), .lines = between(0, 3), .width = between(0, 7)};
    v.a_picture = some_stride(v.lines * v.width), v.a_line = some_stride(v.width), v.a_column = some_stride(1);
    v.b_picture = v.lines * v.width * width, v.b_line = v.width * width, v.b_column = width;
    ptrdiff_t *const runs = claim(m.rows, sizeof *runs, OTHER, INPUT, sizeof *runs), p = 0;
    for (ptrdiff_t i = 0; i < m.rows; i++)
        runs[i] = want(runs)[i] = between(-30, 30);
    m.k = v.pictures * v.lines * v.width;
    for (ptrdiff_t n = 0; n < v.pictures; n++)
        for (ptrdiff_t l = 0; l < v.lines; l++)
            for (ptrdiff_t e = 0; e < v.width; e++, p++) {
                for (ptrdiff_t i = 0; i < m.rows; i++)
                    m.a_at[i * m.k + p] = n * v.a_picture + l * v.a_line + e * v.a_column + runs[i];
                m.b_at[p] = n * v.b_picture + l * v.b_line + e * v.b_column;
            }
    const int starts[] = {START_ZERO, START_C, ADD_TO_C};
    place_operands(starts[between(0, 2)], 1);
    detail("tile %td of %td x %td x %td pixels, columns %td start %d", at, v.pictures, v.lines, v.width, m.columns,
           m.start);
    CALL(tile, lines)[at](&v, m.a, runs, m.b, m.c, m.c_stride, m.columns, m.start);
    verify();
}
