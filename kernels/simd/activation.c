#include "primitives.h"
#include "vmath.h"

/* Every activation below is two functions of a vector, the value and the gradient dx = dy f'(x); c are the parameters.
 *
 * With t = |x| only e^-t occurs, which cannot overflow. Where a result is a multiple of e^-t, its power of two 2^n
 * comes last: the result keeps its digits where e^-t itself is denormal or 0. */

static const vreal zero = {0};

/* e^-|x|, and p, n with p 2^n = e^-|x|; p is 0 where any product with a finite number is 0. */
INLINE vreal decay(vreal x, vreal *p, vreal *n)
{
    const vreal power = vminus_abs(x);
    *p = vselect(power < EXP_LOWEST, zero, vexp_parts(vmax(vsplat(EXP_LOWEST), power), n));
    return vscale(*p, *n);
}

/* max(0, x) */
INLINE vreal relu_value(vreal x, const number *c)
{
    (void)c;
    return vmax(zero, x); /* a NaN is the second operand: it stays */
}
INLINE vreal relu_gradient(vreal dy, vreal x, const number *c)
{
    (void)c;
    return vselect(x <= 0, zero, dy);
}

/* slope x for x < 0, else x */
INLINE vreal leaky_relu_value(vreal x, const number *c) { return vselect(x < 0, c[0] * x, x); }
INLINE vreal leaky_relu_gradient(vreal dy, vreal x, const number *c) { return vselect(x < 0, c[0] * dy, dy); }

/* 1 / (1 + e^-x); f' = f (1 - f) = e^-t / (1 + e^-t)^2 */
INLINE vreal sigmoid_value(vreal x, const number *c)
{
    (void)c;
    return vsigmoid(x);
}
INLINE vreal sigmoid_gradient(vreal dy, vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal d = 1 + decay(x, &p, &n);
    return vscale(dy * (p / (d * d)), n);
}

/* tanh x; f' = 1 / cosh^2 x = 4 e^-2t / (1 + e^-2t)^2 */
INLINE vreal tanh_value(vreal x, const number *c)
{
    (void)c;
    return vtanh(x);
}
INLINE vreal tanh_gradient(vreal dy, vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal d = 1 + decay(2 * x, &p, &n);
    return vscale(dy * (4 * p / (d * d)), n);
}

/* x Phi(x), Phi the normal distribution: max(0, x) - t Q(t), Q(t) = 1 - Phi(t) */
INLINE vreal gelu_value(vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal t = vmin(vsplat(NORMAL_END), vabs(x)), tail = vnormal_tail(t, t, &p, &n);
    return vmax(x, zero) - vscale(tail, n);
}
/* f' = Phi(x) + x phi(x), phi(x) = e^(-x^2/2) / sqrt(2 pi): with d = t phi(t) - Q(t), 1 + d for x >= 0 and -d below */
INLINE vreal gelu_gradient(vreal dy, vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal size = vabs(x), t = vmin(vsplat(NORMAL_END), size), tail = vnormal_tail(t, vsplat(1), &p, &n);
    const vreal d = vselect(size > NORMAL_END, zero, (number)0x1.9884533d43651p-2 * t * p - tail); /* 1 / sqrt(2 pi) */
    const vint negative = x < 0;
    return vscale(dy * vselect(negative, -d, 1 + vscale(d, n)), vselect(negative, n, zero));
}

/* x / (1 + e^-x) = max(0, x) - t e^-t / (1 + e^-t) */
INLINE vreal silu_value(vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal t = vabs(x), e = decay(t, &p, &n);
    return vmax(x, zero) - vscale(vmin(vsplat(-EXP_LOWEST), t) * p / (1 + e), n);
}
/* f' = s (1 + x (1 - s)), s = sigmoid x: over (1 + e)^2, e = e^-t, it is 1 + e + t e for x >= 0, e (1 + e - t) below */
INLINE vreal silu_gradient(vreal dy, vreal x, const number *c)
{
    (void)c;
    vreal p, n;
    const vreal size = vabs(x), e = decay(x, &p, &n), t = vmin(vsplat(-EXP_LOWEST), size), d = 1 + e;
    const vint negative = x < 0;
    const vreal top = vselect(negative, p * (d - t), d + t * e);
    return vscale(dy * (top / (d * d)), vselect(negative, n, zero));
}

/* ln(1 + e^(beta x)) / beta = (z > 0 ? x : 0) + ln(1 + e^-|z|) / beta, z = beta x; ln(1 + e) = e for small e */
INLINE vreal softplus_value(vreal x, const number *c)
{
    vreal p, n;
    const number inverse = 1 / c[0];
    const vreal z = c[0] * x, e = decay(z, &p, &n);
    const vint small = n < -60;
    const vreal rest = inverse * vselect(small, p, vlog1p_inner(e));
    return vselect(z > 0, x, zero) + vscale(rest, vselect(small, n, zero));
}
/* f' = 1 / (1 + e^-z) */
INLINE vreal softplus_gradient(vreal dy, vreal x, const number *c)
{
    vreal p, n;
    const vreal z = c[0] * x, d = 1 + decay(z, &p, &n);
    const vint negative = z < 0;
    return vscale(dy * (vselect(negative, p, 1 + zero) / d), vselect(negative, n, zero));
}

/* alpha (e^x - 1) for x <= 0, else x; f' = alpha e^x or 1 */
INLINE vreal elu_value(vreal x, const number *c) { return vselect(x > 0, x, c[0] * vexpm1(x)); }
INLINE vreal elu_gradient(vreal dy, vreal x, const number *c)
{
    vreal p, n;
    decay(x, &p, &n);
    return vselect(x > 0, dy, vscale(dy * (c[0] * p), n));
}

typedef vreal (*value_fn)(vreal x, const number *c);
typedef vreal (*gradient_fn)(vreal dy, vreal x, const number *c);

INLINE void take(number c[ACTIVATION_PARAMETERS], const double *parameters, const double *defaults)
{
    for (int i = 0; i < ACTIVATION_PARAMETERS; i++)
        c[i] = (number)(parameters != NULL ? parameters : defaults)[i];
}

/* Long rows start with the part of a vector that brings the result to a boundary: a vector across two lines of the
 * cache is written at half speed. */
INLINE ptrdiff_t to_boundary(ptrdiff_t count, const real *p)
{
    return count < 16 * LANES ? 0 : (ptrdiff_t)(-(uintptr_t)p % VECTOR_BYTES / sizeof(number));
}

INLINE void forward_row(value_fn f, ptrdiff_t count, const real *x, real *y, const number *c)
{
    ptrdiff_t i = to_boundary(count, y);
    if (i > 0)
        vstore_part(y, f(vload_part(x, i), c), i);
    for (; i + LANES <= count; i += LANES)
        vstore(y + i, f(vload(x + i), c));
    if (i < count)
        vstore_part(y + i, f(vload_part(x + i, count - i), c), count - i);
}

INLINE void backward_row(gradient_fn f, ptrdiff_t count, const real *dy, const real *x, real *dx, const number *c)
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
        number c[ACTIVATION_PARAMETERS];                                                                               \
        take(c, parameters, (const double[ACTIVATION_PARAMETERS]){__VA_ARGS__});                                       \
        forward_row(name##_value, count, x, y, c);                                                                     \
    }                                                                                                                  \
    static void name##_backward(ptrdiff_t count, const real *dy, const real *x, real *dx, const double *parameters)    \
    {                                                                                                                  \
        number c[ACTIVATION_PARAMETERS];                                                                               \
        take(c, parameters, (const double[ACTIVATION_PARAMETERS]){__VA_ARGS__});                                       \
        backward_row(name##_gradient, count, dy, x, dx, c);                                                            \
    }
ACTIVATIONS(ROWS)

#define FORWARD(name, ...) name##_forward,
#define BACKWARD(name, ...) name##_backward,
static const activation_fn forward[] = {ACTIVATIONS(FORWARD)};
static const activation_gradient_fn backward[] = {ACTIVATIONS(BACKWARD)};

const activation_primitives NAME(activation) = {.forward = forward, .backward = backward};
