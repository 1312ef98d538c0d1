#include "primitives.h"

#include "activation_exp.h"
#include "activation_linear.h"

/* Every activation is two functions of a vector, the value and the gradient dx = dy f'(x), which stand in the headers
 * above by kind; c are the parameters. Here they become loops over rows and the tables of those. */

typedef vreal (*value_fn)(vreal x, const double *c);
typedef vreal (*gradient_fn)(vreal dy, vreal x, const double *c);

/* A copy, which no store to a row can change. */
INLINE void take(double c[ACTIVATION_PARAMETERS], const double *parameters, const double *defaults)
{
    for (int i = 0; i < ACTIVATION_PARAMETERS; i++)
        c[i] = (parameters != NULL ? parameters : defaults)[i];
}

/* Long rows start with the part of a vector that brings the result to a boundary: a vector across two lines of the
 * cache is written at half speed. */
INLINE ptrdiff_t to_boundary(ptrdiff_t count, const real *p)
{
    return count < 16 * LANES ? 0 : (ptrdiff_t)(-(uintptr_t)p % VECTOR_BYTES / sizeof(number));
}

INLINE void forward_row(value_fn f, ptrdiff_t count, const real *x, real *y, const double *c)
{
    ptrdiff_t i = to_boundary(count, y);
    if (i > 0)
        vstore_part(y, f(vload_part(x, i), c), i);
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, f(vload(x + i), c));
    if (i < count)
        vstore_part(y + i, f(vload_part(x + i, count - i), c), count - i);
}

INLINE void backward_row(gradient_fn f, ptrdiff_t count, const real *dy, const real *x, real *dx, const double *c)
{
    ptrdiff_t i = to_boundary(count, dx);
    if (i > 0)
        vstore_part(dx, f(vload_part(dy, i), vload_part(x, i), c), i);
    for (; i + LANES <= count; i += LANES)
        vstore(dx + i, f(vload(dy + i), vload(x + i), c));
    if (i < count)
        vstore_part(dx + i, f(vload_part(dy + i, count - i), vload_part(x + i, count - i), c), count - i);
}

#define ROWS(name, ...)                                                                                                \
    static void name##_forward(ptrdiff_t count, const real *x, real *y, const double *parameters)                      \
    {                                                                                                                  \
        double c[ACTIVATION_PARAMETERS];                                                                               \
        take(c, parameters, (const double[ACTIVATION_PARAMETERS]){__VA_ARGS__});                                       \
        forward_row(name##_value, count, x, y, c);                                                                     \
    }                                                                                                                  \
    static void name##_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const double *parameters)    \
    {                                                                                                                  \
        double c[ACTIVATION_PARAMETERS];                                                                               \
        take(c, parameters, (const double[ACTIVATION_PARAMETERS]){__VA_ARGS__});                                       \
        backward_row(name##_gradient, count, dy, x, dx, c);                                                            \
    }
ACTIVATIONS(ROWS)

#define FORWARD(name, ...) name##_forward,
#define BACKWARD(name, ...) name##_backward,
static const activation_fn forward[] = {ACTIVATIONS(FORWARD)};
static const activation_gradient_fn backward[] = {ACTIVATIONS(BACKWARD)};

const activation_primitives NAME(activation) = {.forward = forward, .backward = backward};
