/* Softmax and cross-entropy against their formulas in float64. A logit moves a result by as many ulps as it has digits
 * before the point, hence the bounds. */
#include "checkasm.h"

static const double LOGITS = 8;

static void tolerate_logits(ptrdiff_t c) { tolerate(48, (16 + 2 * sqrt((double)c)) * LOGITS * EPS); }

/* m + log of the sum of exp(x_j - m), of c numbers `step` apart */
static double log_sum(ptrdiff_t c, const real *x, ptrdiff_t step)
{
    double most = -INFINITY, sum = 0;
    for (ptrdiff_t j = 0; j < c; j++)
        most = x[j * step] > most ? x[j * step] : most;
    for (ptrdiff_t j = 0; j < c; j++)
        sum += exp(x[j * step] - most);
    return most + log(sum);
}

static void expect_softmax(int logarithm, ptrdiff_t c, const real *x, ptrdiff_t step, real *y)
{
    const double all = log_sum(c, x, step);
    for (ptrdiff_t j = 0; j < c; j++)
        y[j * step] = (number)(logarithm ? x[j * step] - all : exp(x[j * step] - all));
}

static void check_softmax_rows(int logarithm)
{
    const ptrdiff_t count = between(0, 2 * lanes() + 1), c = some_count(1), row = c * SIZE + between(0, 9);
    char *const x = (char *)claim(count * row, 1, OTHER, INPUT, 1);
    real *const y = results(count * c), *const buffer = one_in(3) ? scratch(c) : NULL;
    for (ptrdiff_t i = 0; i < count; i++) {
        for (ptrdiff_t j = 0; j < c; j++)
            put_number((real *)(x + i * row) + j, uniform(-LOGITS, LOGITS));
        expect_softmax(logarithm, c, (real *)(x + i * row), 1, want(y + i * c));
    }
    detail("%td samples of %td classes", count, c);
    tolerate_logits(c);
    (logarithm ? CALL(softmax, rows_log_softmax) : CALL(softmax, rows_softmax))(count, c, x, row, y, buffer);
    tested->fence();
    verify();
}

void NAME(check_rows_softmax)(void) { check_softmax_rows(0); }
void NAME(check_rows_log_softmax)(void) { check_softmax_rows(1); }

static void check_softmax_lanes(int logarithm)
{
    const ptrdiff_t c = some_count(1), here = one_in(2);
    real *const x = numbers(c * lanes(), -LOGITS, LOGITS, here ? RESULT : INPUT);
    real *const y = here ? x : results(c * lanes());
    for (ptrdiff_t l = 0; l < lanes(); l++)
        expect_softmax(logarithm, c, x + l, lanes(), want(y) + l);
    tolerate_logits(c);
    (logarithm ? CALL(softmax, lanes_log_softmax) : CALL(softmax, lanes_softmax))(c, x, y);
    verify();
}

void NAME(check_lanes_softmax)(void) { check_softmax_lanes(0); }
void NAME(check_lanes_log_softmax)(void) { check_softmax_lanes(1); }

static void check_softmax_gradient(softmax_gradient_fn f, int logarithm, ptrdiff_t width)
{
    const ptrdiff_t c = some_count(1), here = one_in(2);
    real *const dy = integers(c * width, here ? RESULT : INPUT), *const y = numbers(c * width, -3, 0, INPUT);
    real *const dx = here ? dy : results(c * width);
    for (ptrdiff_t l = 0; l < width; l++) {
        double sum = 0;
        for (ptrdiff_t j = l; j < c * width; j += width)
            sum += logarithm ? dy[j] : (double)dy[j] * y[j];
        for (ptrdiff_t j = l; j < c * width; j += width)
            want(dx)[j] = (number)(logarithm ? dy[j] - exp(y[j]) * sum : y[j] * (dy[j] - sum));
    }
    tolerate(16, 64 * sqrt((double)c) * EPS * 10);
    f(c, dy, y, dx);
    verify();
}

void NAME(check_row_softmax_backward)(void) { check_softmax_gradient(CALL(softmax, row_softmax_backward), 0, 1); }
void NAME(check_row_log_softmax_backward)(void)
{
    check_softmax_gradient(CALL(softmax, row_log_softmax_backward), 1, 1);
}
void NAME(check_lanes_softmax_backward)(void)
{
    check_softmax_gradient(CALL(softmax, lanes_softmax_backward), 0, lanes());
}
void NAME(check_lanes_log_softmax_backward)(void)
{
    check_softmax_gradient(CALL(softmax, lanes_log_softmax_backward), 1, lanes());
}

/* ---- Cross-entropy ----------------------------------------------------------------------------------------------- */

static sample_target some_target(ptrdiff_t c)
{
    sample_target t = {between(0, c - 1), 0.75, 0.5};
    if (one_in(4))
        t = (sample_target){one_in(2) ? TARGET_NONE : TARGET_IGNORED, 0, 0.5};
    return t;
}

/* Loss and gradient of one sample, its classes `step` apart; base `base_step` apart or NULL */
static void expect_entropy(ptrdiff_t c, const real *x, ptrdiff_t step, const real *base, ptrdiff_t base_step,
                           sample_target t, real *loss, real *dx)
{
    const double all = log_sum(c, x, step);
    double total = 0, weight = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        const double q = (base ? base[j * base_step] : 0) + (t.target == j ? t.hard : 0);
        total += q * (all - x[j * step]);
        weight += q;
    }
    *loss = (number)(t.target == TARGET_IGNORED ? 0 : total);
    for (ptrdiff_t j = 0; dx && j < c; j++) {
        const double q = (base ? base[j * base_step] : 0) + (t.target == j ? t.hard : 0);
        dx[j * step] = (number)(t.target == TARGET_IGNORED ? 0 : t.scale * (exp(x[j * step] - all) * weight - q));
    }
}

static double sum_of(ptrdiff_t c, const real *base, ptrdiff_t step)
{
    double sum = 0;
    for (ptrdiff_t j = 0; base && j < c; j++)
        sum += base[j * step];
    return sum;
}

static void tolerate_entropy(ptrdiff_t c) { tolerate(64, (32 + 4 * sqrt((double)c)) * LOGITS * (double)(c + 1) * EPS); }

void NAME(check_row_cross_entropy)(void)
{
    enum { NO_GRADIENT, HERE, ELSEWHERE, STREAMED };
    const ptrdiff_t c = some_count(1), mode = between(NO_GRADIENT, STREAMED);
    real *const x = numbers(c, -LOGITS, LOGITS, mode == HERE ? RESULT : INPUT);
    real *const base = one_in(2) ? numbers(c, 0, 1, INPUT) : NULL, *const loss = results(1);
    real *const dx = mode == NO_GRADIENT ? NULL : mode == HERE ? x : results(c);
    real *const buffer = mode == STREAMED ? scratch(c) : NULL;
    const sample_target t = some_target(c);
    expect_entropy(c, x, 1, base, 1, t, want(loss), dx ? want(dx) : NULL);
    detail("c %td mode %td target %td base %d", c, mode, t.target, base != NULL);
    tolerate_entropy(c);
    CALL(softmax, row_cross_entropy)(c, x, base, sum_of(c, base, 1), &t, dx, loss, buffer);
    tested->fence();
    verify();
}

void NAME(check_lanes_cross_entropy)(void)
{
    enum { NO_GRADIENT, HERE, ELSEWHERE };
    const ptrdiff_t c = some_count(1), mode = between(NO_GRADIENT, ELSEWHERE), count = between(1, lanes()),
                    width = lanes();
    const int shared = one_in(2);
    real *const x = numbers(c * width, -LOGITS, LOGITS, mode == HERE ? RESULT : INPUT), *const loss = results(count);
    real *const base = one_in(2) ? numbers(shared ? c : c * width, 0, 1, INPUT) : NULL;
    real *const dx = mode == NO_GRADIENT ? NULL : mode == HERE ? x : results(c * width);
    sample_target targets[MOST_LANES];
    double *const sums = doubles(width, 0, 0, INPUT);
    for (ptrdiff_t l = 0; l < count; l++) {
        targets[l] = some_target(c);
        const real *const own = base && !shared ? base + l : base;
        sums[l] = want(sums)[l] = sum_of(c, own, shared ? 1 : width);
        expect_entropy(c, x + l, width, own, shared ? 1 : width, targets[l], want(loss) + l, dx ? want(dx) + l : NULL);
    }
    detail("c %td count %td mode %td base %d shared %d", c, count, mode, base != NULL, shared);
    tolerate_entropy(c);
    CALL(softmax, lanes_cross_entropy)(c, count, x, base, shared, sums, targets, dx, loss);
    for (ptrdiff_t j = 0; dx && j < c; j++) /* the gradient of lanes that hold no sample is left open */
        leave_open(dx + j * width + count, width - count);
    verify();
}

void NAME(check_row_base)(void)
{
    const ptrdiff_t c = some_count(1);
    const int here = one_in(2);
    real *const target = numbers(c, 0, 1, here ? RESULT : INPUT);
    real *const weight = one_in(2) ? numbers(c, 0, 2, INPUT) : NULL;
    real *const base = here ? target : results(c);
    double sum = 0;
    for (ptrdiff_t j = 0; j < c; j++) {
        want(base)[j] = (number)((weight ? weight[j] : 1) * (0.75 * target[j] + 0.125));
        sum += want(base)[j];
    }
    tolerate(4, 4 * pow((double)c + 1, 1.5) * EPS); /* sums of c numbers near 1 */
    same(CALL(softmax, row_base)(c, target, weight, 0.75, 0.125, base), sum, KIND);
    verify();
}

void NAME(check_lanes_base)(void)
{
    const ptrdiff_t c = some_count(0), width = lanes();
    const int here = one_in(2);
    real *const target = numbers(c * width, 0, 1, here ? RESULT : INPUT), *const weight = one_in(2)
                                                                                              ? numbers(c, 0, 2, INPUT)
                                                                                              : NULL;
    real *const base = here ? target : results(c * width);
    double *const sums = doubles(width, 0, 0, RESULT);
    for (ptrdiff_t e = 0; e < c * width; e++) {
        want(base)[e] = (number)((weight ? weight[e / width] : 1) * (0.75 * target[e] + 0.125));
        want(sums)[e % width] += want(base)[e];
    }
    tolerate(4, 4 * pow((double)c + 1, 1.5) * EPS); /* sums of c numbers near 1 */
    CALL(softmax, lanes_base)(c, target, weight, 0.75, 0.125, base, sums);
    verify();
}
