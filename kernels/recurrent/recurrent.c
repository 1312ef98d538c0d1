#include "parts.h"
#include "primitives.h"
#include "vmath.h"

static void lstm(ptrdiff_t count, ptrdiff_t h, real *gates, const real *cell, real *cell_next, real *h_next, real *y)
{
    assert(count >= 0 && h >= count);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        real *const at = gates + j;
        const vreal i = vsigmoid(load_some(at, some)), f = vsigmoid(load_some(at + h, some));
        const vreal g = vtanh(load_some(at + 2 * h, some)), o = vsigmoid(load_some(at + 3 * h, some));
        const vreal c = vfma(f, load_some(cell + j, some), i * g), out = o * vtanh(c);
        store_some(at, i, some);
        store_some(at + h, f, some);
        store_some(at + 2 * h, g, some);
        store_some(at + 3 * h, o, some);
        store_some(cell_next + j, c, some);
        store_some(h_next + j, out, some);
        store_some(y + j, out, some);
    }
}

/* s' = s (1 - s), tanh' = 1 - tanh^2 */
INLINE vreal sigmoid_slope(vreal s) { return vfnma(s, s, s); }
INLINE vreal tanh_slope(vreal t) { return vfnma(t, t, vsplat(1)); }

INLINE vreal gradient_of_h(const real *dy, const real *dh, ptrdiff_t j, ptrdiff_t some)
{
    const vreal d = load_some(dh + j, some);
    return dy != NULL ? d + load_some(dy + j, some) : d;
}

static void lstm_backward(ptrdiff_t count, ptrdiff_t h, const real *gates, const real *cell, const real *dy,
                          const real *dh, real *dc, real *da)
{
    assert(count >= 0 && h >= count);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        const real *const at = gates + j;
        real *const to = da + j;
        const vreal i = load_some(at, some), f = load_some(at + h, some);
        const vreal g = load_some(at + 2 * h, some), o = load_some(at + 3 * h, some);
        const vreal before = load_some(cell + j, some), out = vtanh(vfma(f, before, i * g));
        const vreal d = gradient_of_h(dy, dh, j, some);
        const vreal e = vfma(d * o, tanh_slope(out), load_some(dc + j, some)); /* of c */
        store_some(to, e * g * sigmoid_slope(i), some);
        store_some(to + h, e * before * sigmoid_slope(f), some);
        store_some(to + 2 * h, e * i * tanh_slope(g), some);
        store_some(to + 3 * h, d * out * sigmoid_slope(o), some);
        store_some(dc + j, e * f, some);
    }
}

static void gru(ptrdiff_t count, ptrdiff_t h, real *gates, const real *hidden, real *h_next, real *y)
{
    assert(count >= 0 && h >= count);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        real *const at = gates + j;
        const vreal r = vsigmoid(load_some(at, some)), z = vsigmoid(load_some(at + h, some));
        const vreal n = vtanh(vfma(r, load_some(at + 3 * h, some), load_some(at + 2 * h, some)));
        const vreal out = vfma(z, load_some(hidden + j, some) - n, n);
        store_some(at, r, some);
        store_some(at + h, z, some);
        store_some(at + 2 * h, n, some);
        store_some(h_next + j, out, some);
        store_some(y + j, out, some);
    }
}

static void gru_backward(ptrdiff_t count, ptrdiff_t h, const real *gates, const real *hidden, const real *dy, real *dh,
                         real *da)
{
    assert(count >= 0 && h >= count);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        const real *const at = gates + j;
        real *const to = da + j;
        const vreal r = load_some(at, some), z = load_some(at + h, some), n = load_some(at + 2 * h, some);
        const vreal d = gradient_of_h(dy, dh, j, some), dn = d * (1 - z) * tanh_slope(n);
        store_some(to, dn * load_some(at + 3 * h, some) * sigmoid_slope(r), some);
        store_some(to + h, d * (load_some(hidden + j, some) - n) * sigmoid_slope(z), some);
        store_some(to + 2 * h, dn, some);
        store_some(to + 3 * h, dn * r, some);
        store_some(dh + j, d * z, some);
    }
}

static void rnn(ptrdiff_t count, int relu, real *gates, real *h_next, real *y)
{
    assert(count >= 0);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        const vreal a = load_some(gates + j, some);
        const vreal out = relu ? vmax((vreal){0}, a) : vtanh(a); /* a NaN is the second operand: it stays */
        store_some(gates + j, out, some);
        store_some(h_next + j, out, some);
        store_some(y + j, out, some);
    }
}

static void rnn_backward(ptrdiff_t count, int relu, const real *gates, const real *dy, const real *dh, real *da)
{
    assert(count >= 0);
    for (ptrdiff_t j = 0; j < count; j += LANES) {
        const ptrdiff_t some = count - j;
        const vreal out = load_some(gates + j, some), d = gradient_of_h(dy, dh, j, some);
        store_some(da + j, relu ? vselect(out <= 0, (vreal){0}, d) : d * tanh_slope(out), some);
    }
}

INLINE void row_of_panel(const int vectors, ptrdiff_t k, const real *a, const real *b, real *c, ptrdiff_t columns,
                         int start, const real *bias)
{
    assert(columns > (vectors - 1) * LANES && columns <= vectors * LANES);
    const ptrdiff_t last = columns - (vectors - 1) * LANES;
    vreal sum[ROW_PANEL];
    UNROLL for (int v = 0; v < vectors; v++)
    {
        const ptrdiff_t count = v < vectors - 1 ? LANES : last;
        sum[v] = start == START_C             ? load_some(c + v * LANES, count)
                 : start == START_COLUMN_BIAS ? load_some(bias + v * LANES, count)
                                              : (vreal){0};
    }
    for (ptrdiff_t p = 0; p < k; p++, b += vectors * LANES) {
        const vreal ap = vsplat(a[p]);
        UNROLL for (int v = 0; v < vectors; v++) sum[v] = vfma(ap, vload(b + v * LANES), sum[v]);
    }
    UNROLL for (int v = 0; v < vectors; v++)
    {
        const ptrdiff_t count = v < vectors - 1 ? LANES : last;
        if (start == ADD_TO_C)
            sum[v] += load_some(c + v * LANES, count);
        store_some(c + v * LANES, positive_zeros(sum[v]), count);
    }
}

static void row_panel(ptrdiff_t k, const real *a, const real *b, ptrdiff_t vectors, real *c, ptrdiff_t columns,
                      int start, const real *bias)
{
    assert(k >= 0 && vectors >= 1 && vectors <= ROW_PANEL && start != START_ROW_BIAS);
    switch (vectors) {
    case 1: row_of_panel(1, k, a, b, c, columns, start, bias); break;
    case 2: row_of_panel(2, k, a, b, c, columns, start, bias); break;
    case 3: row_of_panel(3, k, a, b, c, columns, start, bias); break;
    case 4: row_of_panel(4, k, a, b, c, columns, start, bias); break;
    case 5: row_of_panel(5, k, a, b, c, columns, start, bias); break;
    case 6: row_of_panel(6, k, a, b, c, columns, start, bias); break;
    case 7: row_of_panel(7, k, a, b, c, columns, start, bias); break;
    default: row_of_panel(8, k, a, b, c, columns, start, bias); break;
    }
}

const recurrent_primitives NAME(recurrent) = {
    .lstm = lstm,
    .gru = gru,
    .rnn = rnn,
    .lstm_backward = lstm_backward,
    .gru_backward = gru_backward,
    .rnn_backward = rnn_backward,
    .row_panel = row_panel,
};
