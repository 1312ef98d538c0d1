/* Functions of one element after the other: activations, dropout, losses, optimisers. */
#include "checkasm.h"

/* Ordinary numbers, and those where something may go wrong. */
static void disturb(real *x, ptrdiff_t count)
{
    const double corners[] = {0.0, -0.0,  1,      -1, 3,    -3,  6,    INFINITY, -INFINITY,
                              NAN, 1e-30, -1e-30, 88, -104, 700, -746, 1e30,     -1e30};
    for (ptrdiff_t i = 0; i < count; i++)
        if (one_in(20))
            put_number(x + i, corners[between(0, (ptrdiff_t)(sizeof corners / sizeof *corners) - 1)]);
}

/* ---- Activations: against the portable functions in float64 ------------------------------------------------------ */

/* Within so many ulps, and within 4 eps of what a gradient is added up from. */
static void tolerate_functions(void) { tolerate(REAL_BITS == 32 ? 4 : 16, 8 * EPS); }

void NAME(check_glu)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const dy = numbers(count, -3, 3, INPUT), *const a = numbers(count, -3, 3, INPUT);
    real *const b = numbers(count, -12, 12, INPUT), *const y = results(count);
    real *const da = results(count), *const db = results(count);
    for (ptrdiff_t i = 0; i < count; i++) {
        const double e = exp(-fabs((double)b[i])), share = (b[i] < 0 ? e : 1) / (1 + e);
        want(y)[i] = (number)(a[i] * share);
        want(da)[i] = (number)(dy[i] * share);
        want(db)[i] = (number)(dy[i] * (e / ((1 + e) * (1 + e))) * a[i]);
    }
    tolerate_functions();
    CALL(activation, glu)(count, a, b, y);
    CALL(activation, glu_backward)(count, dy, a, b, da, db);
    verify();
}

enum { FORWARD, BACKWARD, FROM_OUTPUT };

static activation_gradient_fn gradient_of(const activation_primitives *table, int f, int way)
{
    return (way == BACKWARD ? table->backward : table->from_output)[f];
}

static void check_activation(int f, int way)
{
    const int backward = way != FORWARD;
    const ptrdiff_t count = some_count(0);
    const int here = (int)between(0, 2); /* where the result goes: elsewhere, to x, to dy */
    const int most = way == FROM_OUTPUT ? 1 : 12;
    real *const x = numbers(count, -most, most, here == 1 ? RESULT : INPUT);
    real *const dy = backward ? integers(count, here == 2 ? RESULT : INPUT) : NULL;
    real *const y = here == 1 ? x : here == 2 && backward ? dy : results(count);
    /* a half, whose product with x is exact: else the exponent's rounding would count */
    const activation_options options = {.parameters = {0.5, 0.75}, .streamed = here == 0 && one_in(3)};
    const activation_options *const given = one_in(3) ? NULL : &options;
    if (way != FROM_OUTPUT)
        disturb(x, count);
    for (ptrdiff_t i = 0; i < count; i++) {
        const double wide = x[i], slope = dy ? dy[i] : 0;
        double result;
        if (backward)
            gradient_of(exact->activation, f, way)(1, (const real *)&slope, (const real *)&wide, (real *)&result,
                                                   given);
        else
            exact->activation->forward[f](1, (const real *)&wide, (real *)&result, given);
        want(y)[i] = (number)result;
    }
    detail("function %d of %td elements, result %s", f, count,
           here == 0   ? "elsewhere"
           : here == 1 ? "over x"
                       : "over dy");
    tolerate_functions();
    if (way == FROM_OUTPUT)
        CALL(activation, from_output)[f](count, dy, x, y, given);
    else if (way == BACKWARD)
        CALL(activation, backward)[f](count, dy, x, y, given);
    else
        CALL(activation, forward)[f](count, x, y, given);
    verify();
}

void NAME(check_activation_forward)(void)
{
    for (int f = 0; f < ACTIVATION_COUNT; f++)
        check_activation(f, FORWARD);
}

void NAME(check_activation_backward)(void)
{
    for (int f = 0; f < ACTIVATION_COUNT; f++)
        check_activation(f, BACKWARD);
}

void NAME(check_activation_from_output)(void)
{
    for (int f = 0; f < ACTIVATION_COUNT; f++)
        if (exact->activation->from_output[f] != NULL)
            check_activation(f, FROM_OUTPUT);
}

/* ---- Dropout ----------------------------------------------------------------------------------------------------- */

static uint8_t *bytes(ptrdiff_t count, ptrdiff_t high, array_role role)
{
    uint8_t *const x = claim(count, 1, OTHER, role, 1);
    for (ptrdiff_t i = 0; i < count; i++)
        x[i] = want(x)[i] = (uint8_t)between(0, high);
    return x;
}

void NAME(check_dropout_draw)(void)
{
    const ptrdiff_t count = some_count(0), first = between(0, 1 << 30) * DROPOUT_GROUP;
    const uint64_t key = (uint64_t)between(0, PTRDIFF_MAX - 1), kept = (uint64_t)between(0, (ptrdiff_t)1 << 32);
    uint8_t *const mask = bytes(count, 0, RESULT);
    generic->dropout->draw(key, kept, first, count, want(mask));
    CALL(dropout, draw)(key, kept, first, count, mask);
    verify();
}

void NAME(check_dropout_apply)(void)
{
    const ptrdiff_t count = some_count(0), here = one_in(2);
    real *const x = integers(count, here ? RESULT : INPUT), *const y = here ? x : results(count);
    uint8_t *const mask = bytes(count, 1, INPUT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(y)[i] = mask[i] ? (number)1.25 * x[i] : 0;
    CALL(dropout, apply)(count, x, mask, 1.25, y);
    verify();
}

/* ---- Losses: against the portable ones --------------------------------------------------------------------------- */

static void check_one_loss(int f)
{
    const ptrdiff_t count = some_count(0);
    real *const x = numbers(count, -9, 9, INPUT), *const y = numbers(count, 0, 1, INPUT);
    real *const weight = one_in(2) ? numbers(count, 0, 2, INPUT) : NULL;
    real *const losses = one_in(2) ? results(count) : NULL, *const gradient = one_in(2) ? results(count) : NULL;
    const double parameters[LOSS_PARAMETERS] = {0.75, one_in(2) ? 2 : 1.5};
    double terms = 0;
    for (ptrdiff_t i = 0; i < count; i++)
        terms += 32 + 2 * fabs((double)x[i]);
    const double sum = generic->loss->losses[f](count, x, y, weight, parameters, 0.5, losses ? want(losses) : NULL,
                                                gradient ? want(gradient) : NULL);
    detail("loss %d of %td elements", f, count);
    const double got = CALL(loss, losses)[f](count, x, y, weight, parameters, 0.5, losses, gradient);
    tolerate(0, 4 * EPS * terms);
    same(got, sum, FLOAT64);
    tolerate(8, 32 * EPS);
    verify();
}

void NAME(check_losses)(void)
{
    for (int f = 0; f < LOSS_COUNT; f++)
        check_one_loss(f);
}

/* ---- Optimisers -------------------------------------------------------------------------------------------------- */

#define STATES(name, states) states,
static const int states_of[] = {OPTIMISERS(STATES)};

static void check_one_step(int f)
{
    const ptrdiff_t count = some_count(0);
    const optim_settings s = {.lr = 0.125,
                              .weight_decay = one_in(2) ? 0.25 : 0,
                              .eps = 1e-8,
                              .first = 0.9,
                              .second = 0.999,
                              .m_scale = 1 / (1 - 0.9),
                              .root_scale = 1 / sqrt(1 - 0.999),
                              .nesterov = one_in(2)};
    real *const p = numbers(count, -1, 1, RESULT), *const g = numbers(count, -1, 1, INPUT);
    real *const first = states_of[f] > 0 ? numbers(count, 0, 1, RESULT) : NULL;
    real *const second = states_of[f] > 1 ? numbers(count, 0, 1, RESULT) : NULL;
    generic->optim->steps[f](count, want(p), g, first ? want(first) : NULL, second ? want(second) : NULL, &s);
    detail("step %d of %td elements", f, count);
    tolerate(8, 16 * EPS);
    CALL(optim, steps)[f](count, p, g, first, second, &s);
    verify();
}

void NAME(check_steps)(void)
{
    for (int f = 0; f < OPTIMISER_COUNT; f++)
        check_one_step(f);
}

void NAME(check_squares)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, INPUT);
    double sum = 0;
    for (ptrdiff_t i = 0; i < count; i++)
        sum += 0.25 * x[i] * x[i];
    same(CALL(optim, squares)(count, x, 0.5), sum, FLOAT64);
    verify();
}

void NAME(check_scale)(void)
{
    const ptrdiff_t count = some_count(0);
    real *const x = integers(count, RESULT);
    for (ptrdiff_t i = 0; i < count; i++)
        want(x)[i] = (number)0.5 * x[i];
    CALL(optim, scale)(count, x, 0.5);
    verify();
}
