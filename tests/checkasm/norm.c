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
    CALL(norm, gradient_sums)(planes, count, (real *)dy.data, dy.strides[0], (real *)x.data, x.strides[0], mean, got);
    same(got[0], sums[0], FLOAT64);
    same(got[1], sums[1], FLOAT64);
    verify();
}

/* Terms of channels; mean, rest or offset, scale or slope, shift or scale */
static void some_terms(ptrdiff_t channels, real *terms[4])
{
    for (int t = 0; t < 4; t++)
        terms[t] = integers(channels, INPUT);
}

static number mapped(number x, real *const t[4], ptrdiff_t c) { return ((x - t[0][c]) - t[1][c]) * t[2][c] + t[3][c]; }
static number gradient_of(number dy, number x, real *const t[4], ptrdiff_t c)
{
    return ((dy - t[1][c]) - (x - t[0][c]) * t[2][c]) * t[3][c];
}

static void check_norm_rows(int backward)
{
    const ptrdiff_t channel = between(0, 3), channels = between(0, 5), count = some_count(0);
    const int here = !backward && one_in(3);
    real *t[4];
    some_terms(channel + channels, t);
    const view y = some_planes(channels, count, GAPS | BACK | ODD, RESULT);
    const view x = here ? y : some_planes(channels, count, ANY_STRIDES, INPUT);
    const view dy = backward ? some_planes(channels, count, ANY_STRIDES, INPUT) : x;
    const norm_terms terms = {t[0], t[1], t[2], t[3], one_in(3)};
    const norm_gradient_terms gradient_terms = {t[0], t[1], t[2], t[3], one_in(3)};
    for (ptrdiff_t c = 0; c < channels; c++)
        for (ptrdiff_t i = 0; i < count; i++) {
            if (here)
                put_number(AT(x, c, i), (double)between(-3, 3));
            *want(AT(y, c, i)) = backward ? gradient_of(*AT(dy, c, i), *AT(x, c, i), t, channel + c)
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
    const ptrdiff_t channels = some_count(0);
    real *t[4], *const x = integers(channels, INPUT), *const dy = integers(channels, INPUT);
    real *const y = results(channels), *const dx = results(channels);
    some_terms(channels, t);
    const norm_terms terms = {t[0], t[1], t[2], t[3], 0};
    const norm_gradient_terms gradient_terms = {t[0], t[1], t[2], t[3], 0};
    for (ptrdiff_t c = 0; c < channels; c++) {
        want(y)[c] = mapped(x[c], t, c);
        want(dx)[c] = gradient_of(dy[c], x[c], t, c);
    }
    CALL(norm, columns)(channels, x, &terms, y);
    CALL(norm, gradient_columns)(channels, dy, x, &gradient_terms, dx);
    verify();
}

void NAME(check_norm_row)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, INPUT), *const dy = integers(count, INPUT), *const gamma = integers(count, INPUT);
    real *const beta = integers(count, INPUT), *const y = results(count), *const dx = results(count);
    real *const dgamma = integers(count, RESULT), *const dbeta = integers(count, RESULT);
    double sums[2] = {5, 6}, wanted[2] = {5, 6};
    for (ptrdiff_t i = 0; i < count; i++) {
        const number t = (x[i] - 1) * (number)0.5, g = dy[i] * gamma[i];
        want(y)[i] = t * gamma[i] + beta[i];
        wanted[0] += g, wanted[1] += g * t;
        want(dgamma)[i] += dy[i] * t, want(dbeta)[i] += dy[i];
        want(dx)[i] = (number)0.5 * ((g - 2) - t * 3);
    }
    CALL(norm, row)(count, x, 1, 0.5, gamma, beta, y);
    CALL(norm, row_gradient_sums)(count, dy, x, gamma, 1, 0.5, sums, dgamma, dbeta);
    CALL(norm, row_gradient)(count, dy, x, gamma, 1, 0.5, 2, 3, dx);
    same(sums[0], wanted[0], FLOAT64);
    same(sums[1], wanted[1], FLOAT64);
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
