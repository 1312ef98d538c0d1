/* Packers, and the table itself. */
#include "checkasm.h"

#define TOP(member) (visit(offsetof(primitives, member), sizeof(void *), 0, #member), tested->member)

void NAME(check_table)(void)
{
    if (TOP(itemsize) != SIZE || TOP(lanes) < 2 || TOP(lanes) > MOST_LANES)
        fail("%td bytes, %td lanes", tested->itemsize, tested->lanes);
    TOP(fence)();
    verify();
}

/* to[place[p] * width + j] = x[p, j]; x readable as far as it goes */
static void expect_panel(const view *x, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width, ptrdiff_t chains, real *to)
{
    for (ptrdiff_t p = 0; p < k; p++)
        for (ptrdiff_t j = 0; j < width; j++)
            *want(to + (p % chains * ((k + chains - 1) / chains) + p / chains) * width + j) =
                j < columns ? *AT(*x, p, j) : 0;
}

static void check_one_panel(pack_panel_fn pack, ptrdiff_t chains)
{
    const ptrdiff_t k = between(0, 3 * lanes() + 1), columns = between(1, 4 * lanes()), width = up_to(columns, lanes());
    const view x = VIEW(ANY_STRIDES, INPUT, k, columns);
    real *const to = results(up_to(k, chains) * width);
    expect_panel(&x, k, columns, width, chains, to);
    detail("k %td columns %td strides %td %td", k, columns, x.strides[0], x.strides[1]);
    pack(k, columns, width, x.data, x.strides[0], x.strides[1], to);
    verify();
}

void NAME(check_panel)(void) { check_one_panel(CALL(pack, panel), 1); }
void NAME(check_chained_panel)(void) { check_one_panel(CALL(pack, chained_panel), lanes()); }

void NAME(check_panels)(void)
{
    const ptrdiff_t count = between(0, 4), k = between(0, 2 * lanes()), columns = between(1, 3 * lanes());
    const ptrdiff_t width = up_to(columns, lanes());
    const view x = VIEW(ANY_STRIDES, INPUT, count, k, columns);
    real *const to = results(count * k * width);
    for (ptrdiff_t i = 0; i < count; i++) {
        view one = {x.data + i * x.strides[0], 2, {k, columns}, {x.strides[1], x.strides[2]}};
        expect_panel(&one, k, columns, width, 1, to + i * k * width);
    }
    CALL(pack, panels)(count, x.strides[0], k, columns, width, x.data, x.strides[1], x.strides[2], to);
    verify();
}

void NAME(check_rows)(void)
{
    const ptrdiff_t count = between(0, 9), k = some_count(0);
    const view x = VIEW(ANY_STRIDES, INPUT, count, k);
    real *const to = results(count * k);
    for (ptrdiff_t i = 0; i < count; i++)
        for (ptrdiff_t p = 0; p < k; p++)
            *want(to + i * k + p) = *AT(x, i, p);
    CALL(pack, rows)(count, k, x.data, x.strides[0], x.strides[1], to);
    verify();
}

void NAME(check_scatter)(void)
{
    const ptrdiff_t rows = between(0, 9), columns = some_count(0), stride = columns + between(0, 3);
    real *const x = integers(rows * stride, INPUT);
    const view to = VIEW(ANY_RESULT, RESULT, rows, columns);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            *want(AT(to, i, j)) = x[i * stride + j];
    CALL(pack, scatter)(rows, columns, x, stride, to.data, to.strides[0], to.strides[1]);
    verify();
}

void NAME(check_turn)(void)
{
    const ptrdiff_t rows = between(0, 9), columns = between(0, 16), taps = between(0, 9),
                    row = rows * taps + between(0, 5);
    const view x = VIEW(ANY_STRIDES, INPUT, rows, columns, 9);
    ptrdiff_t *const offsets = claim(taps, sizeof *offsets, OTHER, INPUT, sizeof *offsets), tap[9];
    real *const to = results(columns * row);
    for (ptrdiff_t t = 0; t < taps; t++)
        offsets[t] = want(offsets)[t] = x.strides[2] * (tap[t] = between(0, 8));
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            for (ptrdiff_t t = 0; t < taps; t++)
                *want(to + j * row + i * taps + t) = *AT(x, i, j, tap[t]);
    CALL(pack, turn)(rows, columns, taps, x.data, x.strides[0], x.strides[1], offsets, to, row);
    verify();
}

void NAME(check_transpose)(void)
{
    const ptrdiff_t rows = between(0, 3 * lanes() + 1), columns = between(0, 3 * lanes() + 1);
    const ptrdiff_t stride = columns + between(0, 3), to_stride = rows + between(0, 3);
    real *const x = integers(rows ? (rows - 1) * stride + columns : 0, INPUT), *const to = results(columns * to_stride);
    for (ptrdiff_t i = 0; i < rows; i++)
        for (ptrdiff_t j = 0; j < columns; j++)
            *want(to + j * to_stride + i) = x[i * stride + j];
    detail("%td x %td", rows, columns);
    CALL(pack, transpose)(rows, columns, x, stride, to, to_stride);
    verify();
}
