/* Normalisation, and activations by channel: on integers, where little is rounded. */
#include "checkasm.h"

static view some_planes(ptrdiff_t planes, ptrdiff_t count, int layout, array_role role)
{
    return VIEW((layout & ~TURNED) | CLOSE, role, planes, count);
}

void NAME(check_moments)(void)
{
    const ptrdiff_t planes = between(1, 9), count = some_count(1);
    const view x = some_planes(planes, count, ANY_STRIDES, INPUT);
    const double n = (double)(planes * count);
    double mean = 0, variance = 0, got[2];
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t i = 0; i < count; i++)
            mean += *AT(x, p, i) / n;
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t i = 0; i < count; i++)
            variance += (*AT(x, p, i) - mean) * (*AT(x, p, i) - mean) / n;
    detail("%td planes of %td", planes, count);
    CALL(norm, moments)(planes, count, (real *)x.data, x.strides[0], &got[0], &got[1]);
    tolerate(0, 64 * EPS * 9);
    same(got[0], mean, FLOAT64);
    same(got[1], variance, FLOAT64);
    verify();
}

void NAME(check_gradient_sums)(void)
{
    const ptrdiff_t planes = between(1, 9), count = some_count(1);
    const view x = some_planes(planes, count, ANY_STRIDES, INPUT), dy = some_planes(planes, count, ANY_STRIDES, INPUT);
    real *const mean = integers(1, INPUT);
    double sums[2] = {0}, got[2] = {7, 7};
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t i = 0; i < count; i++) {
            sums[0] += *AT(dy, p, i);
            sums[1] += *AT(dy, p, i) * (*AT(x, p, i) - *mean);
        }
    CALL(norm, gradient_sums)(planes, count, (real *)dy.data, dy.strides[0], (real *)x.data, x.strides[0], mean, &got[0],
                               &got[1]);
    same(got[0], sums[0], FLOAT64);
    same(got[1], sums[1], FLOAT64);
    verify();
}

/* Sums of columns: doubles, of which whole vectors are written */
static double *column_results(ptrdiff_t channels) { return doubles(up_to(channels, lanes()), 0, 0, RESULT); }
static void leave_rest_open(const double *sums, ptrdiff_t channels)
{
    leave_doubles_open(sums + channels, up_to(channels, lanes()) - channels);
}

void NAME(check_column_moments)(void)
{
    const ptrdiff_t channels = some_count(0), rows = one_in(4) ? between(1, 200) : between(1, 9);
    const view x = some_planes(rows, channels, ANY_STRIDES, INPUT);
    double *const mean = column_results(channels), *const variance = column_results(channels);
    for (ptrdiff_t c = 0; c < channels; c++) {
        for (ptrdiff_t r = 0; r < rows; r++)
            want(mean)[c] += *AT(x, r, c) / (double)rows;
        for (ptrdiff_t r = 0; r < rows; r++)
            want(variance)[c] += (*AT(x, r, c) - want(mean)[c]) * (*AT(x, r, c) - want(mean)[c]) / (double)rows;
    }
    detail("%td rows of %td", rows, channels);
    CALL(norm, column_moments)(channels, rows, (real *)x.data, x.strides[0], mean, variance);
    leave_rest_open(mean, channels), leave_rest_open(variance, channels);
    tolerate(0, 64 * EPS * 9);
    verify();
}

void NAME(check_column_gradient_sums)(void)
{
    const ptrdiff_t channels = some_count(0), rows = one_in(4) ? between(1, 200) : between(1, 9);
    const view x = some_planes(rows, channels, ANY_STRIDES, INPUT), dy = some_planes(rows, channels, ANY_STRIDES, INPUT);
    const norm_pair from = {(real *)dy.data, (real *)x.data, dy.strides[0], x.strides[0]};
    real *const mean = integers(channels, INPUT);
    double *const sum = column_results(channels), *const product = column_results(channels);
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            want(sum)[c] += *AT(dy, r, c);
            want(product)[c] += *AT(dy, r, c) * (*AT(x, r, c) - mean[c]);
        }
    detail("%td rows of %td", rows, channels);
    CALL(norm, column_gradient_sums)(channels, rows, &from, mean, sum, product);
    leave_rest_open(sum, channels), leave_rest_open(product, channels);
    verify();
}

void NAME(check_norm_finish)(void)
{
    const ptrdiff_t channels = some_count(0), pitch = channels + between(0, 3), whole = up_to(channels, lanes());
    const double *const moments[2] = {doubles(whole, -3, 3, INPUT), doubles(whole, 0, 3, INPUT)};
    real *const terms = results(4 * pitch), *const mean = results(channels), *const variance = results(channels);
    const norm_channels to = {integers(channels, INPUT), integers(channels, INPUT), mean, variance};
    int odd = 0;
    for (ptrdiff_t c = 0; c < channels; c++) {
        want(mean)[c] = want(terms)[c] = (number)moments[0][c];
        want(variance)[c] = (number)moments[1][c];
        want(terms)[pitch + c] = 0;
        want(terms)[2 * pitch + c] = (number)((double)to.scale[c] / sqrt(moments[1][c] + 1));
        want(terms)[3 * pitch + c] = to.other[c];
        odd |= moments[1][c] == 0;
    }
    same(CALL(norm, finish)(channels, (const double **)moments, 1, &to, terms, pitch) != 0, odd, FLOAT64);
    verify();
}

void NAME(check_norm_finish_gradient)(void)
{
    const ptrdiff_t channels = some_count(0), pitch = channels + between(0, 3), whole = up_to(channels, lanes());
    const double *const sums[2] = {doubles(whole, -3, 3, INPUT), doubles(whole, -3, 3, INPUT)};
    real *const terms = results(3 * pitch), *const dbeta = results(channels), *const dgamma = results(channels);
    const norm_channels to = {integers(channels, INPUT), numbers(channels, 0, 3, INPUT), dbeta, dgamma};
    for (ptrdiff_t c = 0; c < channels; c++) {
        const double scale = 1 / sqrt((double)to.other[c] + 1);
        want(dbeta)[c] = (number)sums[0][c];
        want(dgamma)[c] = (number)(sums[1][c] * scale);
        want(terms)[c] = (number)(sums[0][c] / 4);
        want(terms)[pitch + c] = (number)(sums[1][c] / 4 * scale * scale);
        want(terms)[2 * pitch + c] = (number)((double)to.scale[c] * scale);
    }
    tolerate(2, 4 * EPS);
    CALL(norm, finish_gradient)(channels, (const double **)sums, 4, 1, &to, terms, pitch);
    verify();
}

/* Terms of channels; mean, rest or offset, scale or slope, shift or scale */
static void some_terms(ptrdiff_t channels, real *terms[4])
{
    for (int t = 0; t < 4; t++)
        terms[t] = integers(channels, INPUT);
}

static number mapped(number x, real *const t[4], ptrdiff_t c) { return ((x - t[0][c]) - t[1][c]) * t[2][c] + t[3][c]; }
static number gradient_of(number dy, number x, real *const t[4], ptrdiff_t c, const real *weight)
{
    return ((dy * (weight ? weight[c] : 1) - t[1][c]) - (x - t[0][c]) * t[2][c]) * t[3][c];
}

static void check_norm_rows(int backward)
{
    const ptrdiff_t channel = between(0, 3), channels = between(0, 5), count = some_count(0);
    const int here = !backward && one_in(3);
    real *t[4];
    some_terms(channel + channels, t);
    const real *const weight = one_in(2) ? integers(channel + channels, INPUT) : NULL;
    const view y = some_planes(channels, count, GAPS | BACK | ODD, RESULT);
    const view x = here ? y : some_planes(channels, count, ANY_STRIDES, INPUT);
    const view dy = backward ? some_planes(channels, count, ANY_STRIDES, INPUT) : x;
    const norm_terms terms = {t[0], t[1], t[2], t[3], one_in(3)};
    const norm_gradient_terms gradient_terms = {weight, t[0], t[1], t[2], t[3], one_in(3)};
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t i = 0; i < count; i++) {
            if (here)
                put_number(AT(x, c, i), (double)between(-3, 3));
            *want(AT(y, c, i)) = backward ? gradient_of(*AT(dy, c, i), *AT(x, c, i), t, channel + c, weight)
                                          : mapped(*AT(x, c, i), t, channel + c);
        }
    if (backward)
        CALL(norm, gradient_rows)(channels, count, (real *)dy.data, dy.strides[0], (real *)x.data, x.strides[0],
                                  &gradient_terms, channel, (real *)y.data, y.strides[0]);
    else
        CALL(norm, rows)(channels, count, (real *)x.data, x.strides[0], &terms, channel, (real *)y.data, y.strides[0]);
    tested->fence();
    verify();
}

void NAME(check_norm_rows)(void) { check_norm_rows(0); }
void NAME(check_norm_gradient_rows)(void) { check_norm_rows(1); }

void NAME(check_norm_columns)(void)
{
    const ptrdiff_t channels = some_count(0), rows = between(0, 5);
    real *t[4];
    some_terms(channels, t);
    const view y = some_planes(rows, channels, GAPS | BACK | ODD, RESULT);
    const view dx = some_planes(rows, channels, GAPS | BACK | ODD, RESULT);
    const view x = some_planes(rows, channels, ANY_STRIDES, INPUT), dy = some_planes(rows, channels, ANY_STRIDES, INPUT);
    const norm_pair from = {(real *)dy.data, (real *)x.data, dy.strides[0], x.strides[0]};
    const norm_terms terms = {t[0], t[1], t[2], t[3], one_in(3)};
    const norm_gradient_terms gradient_terms = {NULL, t[0], t[1], t[2], t[3], one_in(3)};
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < channels; c++) {
            *want(AT(y, r, c)) = mapped(*AT(x, r, c), t, c);
            *want(AT(dx, r, c)) = gradient_of(*AT(dy, r, c), *AT(x, r, c), t, c, NULL);
        }
    CALL(norm, columns)(channels, rows, (real *)x.data, x.strides[0], &terms, (real *)y.data, y.strides[0]);
    CALL(norm, gradient_columns)(channels, rows, &from, &gradient_terms, (real *)dx.data, dx.strides[0]);
    tested->fence();
    verify();
}

void NAME(check_norm_row)(void)
{
    const ptrdiff_t count = some_count(0);
    const int shifted = !one_in(3);
    real *const x = integers(count, INPUT), *const dy = integers(count, INPUT), *const gamma = integers(count, INPUT);
    real *const beta = shifted ? integers(count, INPUT) : NULL, *const y = results(count), *const dx = results(count);
    real *const dgamma = integers(count, RESULT), *const dbeta = shifted ? integers(count, RESULT) : NULL;
    double sums[2] = {5, 6}, wanted[2] = {5, 6};
    for (ptrdiff_t i = 0; i < count; i++) {
        const number t = (x[i] - 1) * (number)0.5, g = dy[i] * gamma[i];
        want(y)[i] = t * gamma[i] + (shifted ? beta[i] : 0);
        wanted[0] += shifted ? g : 0, wanted[1] += g * t;
        want(dgamma)[i] += dy[i] * t;
        if (shifted)
            want(dbeta)[i] += dy[i];
        want(dx)[i] = (number)0.5 * ((g - 2) - t * 3);
    }
    CALL(row_norm, row)(count, x, 1, 0.5, gamma, beta, y);
    CALL(row_norm, row_gradient_sums)(count, dy, x, gamma, 1, 0.5, sums, dgamma, dbeta);
    CALL(row_norm, row_gradient)(count, dy, x, gamma, 1, 0.5, 2, 3, dx);
    same(sums[0], wanted[0], FLOAT64);
    same(sums[1], wanted[1], FLOAT64);
    verify();
}

void NAME(check_plane_gradient_sums)(void)
{
    const ptrdiff_t planes = between(0, 5), count = some_count(1);
    const view x = some_planes(planes, count, ANY_STRIDES, INPUT), dy = some_planes(planes, count, ANY_STRIDES, INPUT);
    real *const mean = integers(planes, INPUT);
    double *const sums = doubles(2 * planes, -3, 3, RESULT);
    for (ptrdiff_t p = 0; p < planes; p++)
        for (ptrdiff_t i = 0; i < count; i++) {
            want(sums)[2 * p] += *AT(dy, p, i);
            want(sums)[2 * p + 1] += *AT(dy, p, i) * (*AT(x, p, i) - mean[p]);
        }
    CALL(norm, plane_gradient_sums)(planes, count, (real *)dy.data, dy.strides[0], (real *)x.data, x.strides[0], mean, sums);
    verify();
}

/* ---- Activations by channel: against the portable ones ----------------------------------------------------------- */

static void check_channelwise(int f, int backward)
{
    const ptrdiff_t count = some_count(0);
    const int here = (int)between(0, 2), step = one_in(2);
    channel_parameters c = {.step = step};
    c.count = f == CHANNELWISE_SRELU ? 4 : f == CHANNELWISE_APL ? 2 * (int)between(1, 3) : 1;
    const ptrdiff_t each = step ? count : 1;
    c.pitch = each + between(0, 3), c.sums_pitch = each + between(0, 3);
    real *const parameters = integers(c.count * c.pitch, INPUT);
    for (ptrdiff_t i = 0; f == CHANNELWISE_BRELU && i < c.pitch; i++)
        put_number(parameters + i, one_in(2) ? 1 : -1);
    c.parameters = parameters;
    c.sums = backward && one_in(2) ? doubles(c.count * c.sums_pitch, -3, 3, RESULT) : NULL;
    real *const x = integers(count, here == 1 ? RESULT : INPUT);
    real *const dy = backward ? integers(count, here == 2 ? RESULT : INPUT) : NULL;
    real *const y = here == 1 ? x : here == 2 && backward ? dy : results(count);
    channel_parameters twin = c;
    twin.sums = c.sums ? want(c.sums) : NULL;
    if (backward)
        generic->channelwise->backward[f](count, dy, x, want(y), &twin);
    else
        generic->channelwise->forward[f](count, x, want(y), &twin);
    detail("function %d of %td elements, step %d", f, count, step);
    if (backward)
        CALL(channelwise, backward)[f](count, dy, x, y, &c);
    else
        CALL(channelwise, forward)[f](count, x, y, &c);
    verify();
}

void NAME(check_channelwise_forward)(void)
{
    for (int f = 0; f < CHANNELWISE_COUNT; f++)
        check_channelwise(f, 0);
}

void NAME(check_channelwise_backward)(void)
{
    for (int f = 0; f < CHANNELWISE_COUNT; f++)
        check_channelwise(f, 1);
}

void NAME(check_maxout)(void)
{
    const ptrdiff_t count = some_count(0);
    const int piece = (int)between(0, 2);
    real *const x = integers(count, INPUT), *const best = integers(count, RESULT), *const dx = results(count);
    int32_t *const which = places(count, 0, 3, RESULT), *const from = places(count, 0, 3, INPUT);
    for (ptrdiff_t i = 0; i < count; i++) {
        if (one_in(9))
            put_number(x + i, NAN);
        if (one_in(9))
            put_number(best + i, NAN);
        const int wins = piece == 0 || x[i] > best[i] || (x[i] != x[i] && best[i] == best[i]);
        want(best)[i] = wins ? x[i] : best[i];
        want(which)[i] = wins ? piece : which[i];
        want(dx)[i] = from[i] == piece ? x[i] : 0;
    }
    CALL(channelwise, maxout)(count, piece, x, best, which);
    CALL(channelwise, maxout_backward)(count, piece, x, from, dx);
    verify();
}
