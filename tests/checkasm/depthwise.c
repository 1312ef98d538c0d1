/* Depthwise convolution: planes whose rows are contiguous, and pixels with channels in the lanes. */
#include "checkasm.h"

static windows some_plane(void)
{
    const ptrdiff_t wide = one_in(4) ? 150 : 30;
    return windows_of(some_windows(12, 5, 4, 3, 0, 6, 1), some_windows(wide, 7, 4, 3, 0, 9, 1));
}

static void describe(const windows *g)
{
    detail("image %td x %td, kernel %td x %td, stride %td %td, dilation %td %td, pad %td %td, windows %td x %td", g->h,
           g->w, g->kh, g->kw, g->sh, g->sw, g->dh, g->dw, g->top, g->left, g->oh, g->ow);
}

/* The row and column of the image that tap t of window (i, j) sees; whether there is such a pixel */
static int seen(const windows *g, ptrdiff_t i, ptrdiff_t j, ptrdiff_t t, ptrdiff_t *row, ptrdiff_t *column)
{
    *row = i * g->sh + t / g->kw * g->dh - g->top, *column = j * g->sw + t % g->kw * g->dw - g->left;
    return is_inside(g, *row, *column);
}

#define FOR_SEEN(g, i, j, t, row, column)                                                                              \
    for (ptrdiff_t i = 0, row, column; i < (g)->oh; i++)                                                               \
        for (ptrdiff_t j = 0; j < (g)->ow; j++)                                                                        \
            for (ptrdiff_t t = 0; t < (g)->kh * (g)->kw; t++)                                                          \
                if (seen(g, i, j, t, &row, &column))

void NAME(check_depthwise_forward)(void)
{
    windows g = some_plane();
    const view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, g.h, g.w),
               y = VIEW(GAPS | BACK | CLOSE, RESULT, g.oh, g.ow);
    g.x = x.data, g.row_stride = x.strides[0], g.column_stride = SIZE;
    real *const w = integers(g.kh * g.kw, INPUT), *const bias = one_in(2) ? integers(1, INPUT) : NULL;
    real *const band = scratch(depthwise_forward_band(&g, SIZE).elements);
    for (ptrdiff_t i = 0; i < g.oh; i++)
        for (ptrdiff_t j = 0; j < g.ow; j++)
            *want(AT(y, i, j)) = bias ? *bias : 0;
    FOR_SEEN (&g, i, j, t, row, column)
        *want(AT(y, i, j)) += w[t] * *AT(x, row, column);
    describe(&g);
    CALL(depthwise, forward)(&g, w, bias, y.data, y.strides[0], band);
    verify();
}

void NAME(check_depthwise_image_gradient)(void)
{
    const windows g = some_plane();
    const view dy = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, g.oh, g.ow),
               dx = VIEW(GAPS | BACK | CLOSE, RESULT, g.h, g.w);
    real *const w = integers(g.kh * g.kw, INPUT), *const band = scratch(depthwise_gradient_band(&g, SIZE).elements);
    const int add = one_in(2);
    for (ptrdiff_t i = 0; i < g.h; i++)
        for (ptrdiff_t j = 0; j < g.w; j++)
            put_number(AT(dx, i, j), add ? (double)between(-3, 3) : 0);
    FOR_SEEN (&g, i, j, t, row, column)
        *want(AT(dx, row, column)) += w[t] * *AT(dy, i, j);
    describe(&g);
    CALL(depthwise, image_gradient)(&g, dy.data, dy.strides[0], w, add, dx.data, dx.strides[0], band);
    verify();
}

void NAME(check_depthwise_weight_lanes)(void)
{
    windows g = some_plane();
    const ptrdiff_t taps = g.kh * g.kw;
    const view x = VIEW(GAPS | BACK | STILL | ODD | CLOSE, INPUT, g.h, g.w),
               dy = VIEW(GAPS | BACK | STILL | CLOSE, INPUT, g.oh, g.ow);
    g.x = x.data, g.row_stride = x.strides[0], g.column_stride = SIZE;
    double *const lane = doubles(taps * lanes(), -3, 3, RESULT);
    real *const band = scratch(depthwise_forward_band(&g, SIZE).elements);
    double sums[DEPTHWISE_TAPS] = {0};
    for (ptrdiff_t e = 0; e < taps * lanes(); e++)
        sums[e / lanes()] += lane[e];
    FOR_SEEN (&g, i, j, t, row, column)
        sums[t] += *AT(dy, i, j) * *AT(x, row, column);
    describe(&g);
    CALL(depthwise, weight_lanes)(&g, dy.data, dy.strides[0], lane, band);
    for (ptrdiff_t t = 0; t < taps; t++) { /* which columns fall to which lane is left open */
        double sum = 0;
        for (ptrdiff_t l = 0; l < lanes(); l++)
            sum += lane[t * lanes() + l];
        same(sum, sums[t], KIND);
    }
    memcpy(want(lane), lane, (size_t)(taps * lanes()) * sizeof *lane);
    verify();
}

void NAME(check_sum_lanes)(void)
{
    const ptrdiff_t taps = between(0, 20);
    double *const lane = doubles(taps * lanes(), -3, 3, INPUT);
    real *const dw = results(taps);
    for (ptrdiff_t t = 0; t < taps; t++)
        for (ptrdiff_t l = 0; l < lanes(); l++)
            want(dw)[t] = (l ? want(dw)[t] : 0) + (number)lane[t * lanes() + l];
    CALL(depthwise, sum_lanes)(taps, lane, dw);
    verify();
}

/* ---- Channels in the lanes --------------------------------------------------------------------------------------- */

typedef struct {
    windows g, pixels; /* of x; of y seen through windows of one pixel */
    ptrdiff_t channels;
    view x, dy;
    real *w; /* taps x LANES, 0 in the lanes of no channel */
} block;

static windows pixels_of(ptrdiff_t h, ptrdiff_t w)
{
    return (windows){.h = h, .w = w, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .oh = h, .ow = w};
}

static view some_channels(windows *g, ptrdiff_t channels, ptrdiff_t h, ptrdiff_t w)
{
    const view x = VIEW(one_in(3) ? 0 : ANY_STRIDES, INPUT, 1, channels, h, w);
    look_at(g, &x);
    return x;
}

static block some_block(void)
{
    block v = {.channels = one_in(2) ? lanes() : between(1, lanes())};
    v.g = windows_of(some_windows(9, 5, 4, 3, 0, 6, 1), some_windows(one_in(4) ? 40 : 9, 7, 4, 3, 0, 9, 1));
    v.pixels = pixels_of(v.g.oh, v.g.ow);
    v.w = nothing(v.g.kh * v.g.kw * lanes(), INPUT);
    for (ptrdiff_t e = 0; e < v.g.kh * v.g.kw * lanes(); e++)
        put_number(v.w + e, e % lanes() < v.channels ? (double)between(-3, 3) : 0);
    describe(&v.g);
    return v;
}

void NAME(check_pixels_forward)(void)
{
    block v = some_block();
    const ptrdiff_t plane = v.g.oh * v.g.ow;
    v.x = some_channels(&v.g, v.channels, v.g.h, v.g.w);
    real *const bias = one_in(2) ? integers(v.channels, INPUT) : NULL, *const y = results(v.channels * plane);
    real *const band = scratch(pixels_forward_band(&v.g, lanes() * SIZE).pixels * lanes());
    for (ptrdiff_t c = 0; c < v.channels; c++) {
        for (ptrdiff_t i = 0; i < plane; i++)
            want(y)[c * plane + i] = bias ? bias[c] : 0;
        FOR_SEEN (&v.g, i, j, t, row, column)
            want(y)[c * plane + i * v.g.ow + j] += v.w[t * lanes() + c] * *AT(v.x, 0, c, row, column);
    }
    CALL(depthwise, pixels_forward)(&v.g, v.channels, v.w, bias, (char *)y, band);
    verify();
}

void NAME(check_pixels_image_gradient)(void)
{
    block v = some_block();
    const ptrdiff_t plane = v.g.h * v.g.w;
    v.dy = some_channels(&v.pixels, v.channels, v.g.oh, v.g.ow);
    real *const dx = results(v.channels * plane), *const band = scratch(pixels_gradient_band(&v.g).pixels * lanes());
    memset((void *)want(dx), 0, (size_t)(v.channels * plane * SIZE));
    for (ptrdiff_t c = 0; c < v.channels; c++)
        FOR_SEEN (&v.g, i, j, t, row, column)
            want(dx)[c * plane + row * v.g.w + column] += v.w[t * lanes() + c] * *AT(v.dy, 0, c, i, j);
    CALL(depthwise, pixels_image_gradient)(&v.g, &v.pixels, v.channels, v.w, (char *)dx, band);
    verify();
}

void NAME(check_pixels_weights)(void)
{
    block v = some_block();
    const ptrdiff_t taps = v.g.kh * v.g.kw;
    v.x = some_channels(&v.g, v.channels, v.g.h, v.g.w);
    v.dy = some_channels(&v.pixels, v.channels, v.g.oh, v.g.ow);
    double *const sums = doubles(taps * lanes(), -3, 3, RESULT);
    real *const band = scratch(pixels_forward_band(&v.g, lanes() * SIZE).pixels * lanes());
    for (ptrdiff_t c = 0; c < v.channels; c++)
        FOR_SEEN (&v.g, i, j, t, row, column)
            want(sums)[t * lanes() + c] += (double)(*AT(v.dy, 0, c, i, j) * *AT(v.x, 0, c, row, column));
    CALL(depthwise, pixels_weights)(&v.g, &v.pixels, v.channels, sums, band);
    verify();
}
