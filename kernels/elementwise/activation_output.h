/* Gradients by the result: dx = dy f'(x) of y = f(x), for functions of which y says enough. Part of activation.c.
 *
 * relu and leaky_relu have that of x, as y has its sign. A slope near 0 has lost the digits that y has lost near its
 * limit: the error is that of an eps in the limit. */
#ifndef NPK_ACTIVATION_OUTPUT_H
#define NPK_ACTIVATION_OUTPUT_H

#include "activation_exp.h"

/* f' = y (1 - y) */
INLINE vreal sigmoid_output(vreal dy, vreal y, const double *c) { return dy * ((1 - y) * y); }

/* f' = 1 - y^2 */
INLINE vreal tanh_output(vreal dy, vreal y, const double *c) { return dy * ((1 - y) * (1 + y)); }

INLINE vreal relu_output(vreal dy, vreal y, const double *c) { return relu_gradient(dy, y, c); }
INLINE vreal leaky_relu_output(vreal dy, vreal y, const double *c) { return leaky_relu_gradient(dy, y, c); }

/* f' = y + alpha for y <= 0, else 1 */
INLINE vreal elu_output(vreal dy, vreal y, const double *c) { return dy * vselect(y > 0, vsplat(1), y + (number)c[0]); }
INLINE vreal selu_output(vreal dy, vreal y, const double *c)
{
    return dy * vselect(y > 0, vsplat((number)SELU_SCALE), y + (number)(SELU_SCALE * SELU_ALPHA));
}

/* f' = 1 - e^(-beta y) */
INLINE vreal softplus_output(vreal dy, vreal y, const double *c) { return dy * -vexpm1((number)-c[0] * y); }

#endif
