/* Cells of recurrent layers: against the portable functions in float64; rows of a panel on integers. */
#include "checkasm.h"

enum { GATES = 4 };

static ptrdiff_t count, h; /* of the case */

static void some_units(void)
{
    count = some_count(0);
    h = count + between(0, 9);
    tolerate(REAL_BITS == 32 ? 4 : 16, 32 * EPS);
    detail("%td of %td units", count, h);
}

/* The numbers of unit j in each gate, one after the other. */
static void take_unit(const real *gates, ptrdiff_t j, double unit[GATES])
{
    for (int g = 0; g < GATES; g++)
        unit[g] = gates[g * h + j];
}

static void want_unit(const double unit[GATES], ptrdiff_t j, real *gates, int most)
{
    for (int g = 0; g < most; g++)
        want(gates)[g * h + j] = (number)unit[g];
}

void NAME(check_lstm)(void)
{
    some_units();
    real *const gates = numbers(GATES * h, -6, 6, RESULT), *const cell = numbers(count, -2, 2, INPUT);
    real *const cell_next = results(count), *const h_next = results(count), *const y = results(count);
    for (ptrdiff_t j = 0; j < count; j++) {
        double unit[GATES], c = cell[j], c_next, out, same_out;
        take_unit(gates, j, unit);
        exact->recurrent->lstm(1, 1, (real *)unit, (real *)&c, (real *)&c_next, (real *)&out, (real *)&same_out);
        want_unit(unit, j, gates, GATES);
        want(cell_next)[j] = (number)c_next;
        want(h_next)[j] = want(y)[j] = (number)out;
    }
    CALL(recurrent, lstm)(count, h, gates, cell, cell_next, h_next, y);
    verify();
}

void NAME(check_gru)(void)
{
    some_units();
    real *const gates = numbers(GATES * h, -6, 6, RESULT), *const hidden = numbers(count, -1, 1, INPUT);
    real *const h_next = results(count), *const y = results(count);
    for (ptrdiff_t j = 0; j < count; j++) {
        double unit[GATES], before = hidden[j], out, same_out;
        take_unit(gates, j, unit);
        exact->recurrent->gru(1, 1, (real *)unit, (real *)&before, (real *)&out, (real *)&same_out);
        want_unit(unit, j, gates, 3);
        want(h_next)[j] = want(y)[j] = (number)out;
    }
    CALL(recurrent, gru)(count, h, gates, hidden, h_next, y);
    verify();
}

void NAME(check_rnn)(void)
{
    some_units();
    const int relu = (int)between(0, 1);
    real *const gates = numbers(count, -6, 6, RESULT), *const h_next = results(count), *const y = results(count);
    for (ptrdiff_t j = 0; j < count; j++)
        want(gates)[j] = want(h_next)[j] = want(y)[j] = (number)(!relu ? tanh(gates[j]) : gates[j] > 0 ? gates[j] : 0);
    CALL(recurrent, rnn)(count, relu, gates, h_next, y);
    verify();
}

void NAME(check_lstm_backward)(void)
{
    some_units();
    real *const gates = numbers(GATES * h, 0, 1, INPUT), *const cell = numbers(count, -2, 2, INPUT);
    real *const dy = one_in(3) ? NULL : numbers(count, -1, 1, INPUT), *const dh = numbers(count, -1, 1, INPUT);
    real *const dc = numbers(count, -1, 1, RESULT), *const da = results(GATES * h);
    for (ptrdiff_t j = 0; j < count; j++) {
        double unit[GATES], c = cell[j], d = dh[j], d_cell = dc[j], d_out = dy ? dy[j] : 0, sums[GATES];
        take_unit(gates, j, unit);
        exact->recurrent->lstm_backward(1, 1, (real *)unit, (real *)&c, (real *)&d_out, (real *)&d, (real *)&d_cell,
                                        (real *)sums);
        want_unit(sums, j, da, GATES);
        want(dc)[j] = (number)d_cell;
    }
    CALL(recurrent, lstm_backward)(count, h, gates, cell, dy, dh, dc, da);
    verify();
}

void NAME(check_gru_backward)(void)
{
    some_units();
    real *const gates = numbers(GATES * h, 0, 1, INPUT), *const hidden = numbers(count, -1, 1, INPUT);
    real *const dy = one_in(3) ? NULL : numbers(count, -1, 1, INPUT), *const dh = numbers(count, -1, 1, RESULT);
    real *const da = results(GATES * h);
    for (ptrdiff_t j = 0; j < count; j++) {
        double unit[GATES], before = hidden[j], d = dh[j], d_out = dy ? dy[j] : 0, sums[GATES];
        take_unit(gates, j, unit);
        exact->recurrent->gru_backward(1, 1, (real *)unit, (real *)&before, (real *)&d_out, (real *)&d, (real *)sums);
        want_unit(sums, j, da, GATES);
        want(dh)[j] = (number)d;
    }
    CALL(recurrent, gru_backward)(count, h, gates, hidden, dy, dh, da);
    verify();
}

void NAME(check_rnn_backward)(void)
{
    some_units();
    const int relu = (int)between(0, 1);
    real *const out = numbers(count, -1, 1, INPUT), *const dh = numbers(count, -1, 1, INPUT);
    real *const dy = one_in(3) ? NULL : numbers(count, -1, 1, INPUT), *const da = results(count);
    for (ptrdiff_t j = 0; j < count; j++) {
        const double d = (double)dh[j] + (dy ? (double)dy[j] : 0), t = out[j];
        want(da)[j] = (number)(!relu ? d * (1 - t * t) : t > 0 ? d : 0);
    }
    CALL(recurrent, rnn_backward)(count, relu, out, dy, dh, da);
    verify();
}

void NAME(check_row_panel)(void)
{
    const int starts[] = {START_ZERO, START_C, START_COLUMN_BIAS, ADD_TO_C}, start = starts[between(0, 3)];
    const ptrdiff_t k = between(0, 70), vectors = between(1, ROW_PANEL), width = vectors * lanes();
    const ptrdiff_t columns = width - (one_in(3) ? 0 : between(0, lanes() - 1));
    real *const a = integers(k, INPUT), *const b = integers(k * width, INPUT);
    real *const c = start == START_C || start == ADD_TO_C ? integers(columns, RESULT) : results(columns);
    real *const bias = start == START_COLUMN_BIAS ? integers(columns, INPUT) : NULL;
    for (ptrdiff_t j = 0; j < columns; j++) {
        number sum = bias ? bias[j] : start == START_ZERO ? 0 : c[j];
        for (ptrdiff_t p = 0; p < k; p++)
            sum += a[p] * b[p * width + j];
        want(c)[j] = sum;
    }
    detail("k %td, %td columns, start %d", k, columns, start);
    CALL(recurrent, row_panel)(k, a, b, vectors, c, columns, start, bias);
    verify();
}
