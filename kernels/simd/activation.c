#include "primitives.h"

static void relu(ptrdiff_t count, const real *x, real *y, const double *parameters)
{
    (void)parameters;
    for (ptrdiff_t i = 0; i < count; i++)
        y[i] = x[i] <= 0 ? 0 : x[i]; /* a NaN is not <= 0: it stays */
}

static const activation_fn forward[ACTIVATION_COUNT] = {[ACTIVATION_RELU] = relu};

const activation_primitives NAME(activation) = {.forward = forward};
