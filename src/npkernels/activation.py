"""Elementwise activation functions and their gradients."""

from . import _arguments as check
from ._activation import FUNCTIONS, backward, forward

FUSED_NAMES = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")
FUSED = {name: FUNCTIONS[name] for name in FUSED_NAMES}

# What the documentation of every function below shares.
ARGUMENTS = """
    Parameters
    ----------
    x : array of float32 or float64
        Any rank, any strides.{parameters}
    out : array of the shape and dtype of `x`, optional
        C-contiguous; may be `x` itself, and must not overlap it otherwise.

    Returns
    -------
    y : array of the shape and dtype of `x`
        Each element within {ulp}, exact at 0, inf and NaN.
"""
GRADIENT_ARGUMENTS = """
    Parameters
    ----------
    dy : array of the shape and dtype of `x`
        Gradient of the loss with respect to the result.
    x : array of float32 or float64
        What the function was applied to; any rank, any strides.{parameters}
    out : array of the shape and dtype of `x`, optional
        C-contiguous; may be `dy` or `x` itself, and must not overlap them otherwise.

    Returns
    -------
    dx : array of the shape and dtype of `x`
        ``dy f'(x)``, each element within ``8 eps |dy| (|f'(x)| + |x f''(x)|)``.
"""
ERRORS = """
    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`.
    ValueError
        If a shape differs from that of `x`, or `out` is read-only, not C-contiguous or overlaps an input.
"""
ULP = "2 ULP (float32) and 4 ULP (float64)"
ULP_COMPOSED = "4 ULP (float32) and 8 ULP (float64)"


def documented(arguments, parameters="", ulp=ULP):
    """Completes a docstring with the sections that all functions share, behind its first paragraph."""

    def complete(function):
        if function.__doc__ is not None:
            summary, _, rest = function.__doc__.partition("\n\n")
            text = arguments.replace("{parameters}", parameters and "\n    " + parameters).replace("{ulp}", ulp)
            function.__doc__ = f"{summary}\n{text}{ERRORS}\n{rest}"
        return function

    return complete


def fused(name):
    """The number of an activation that a product applies to its result, with the default parameters."""
    return FUSED[check.choice("activation", name, FUSED)]


def _forward(function, x, out, parameters=None):
    x = check.real("x", x)
    if out is None:
        y = check.empty(x.shape, x.dtype)
        forward(function, x, y, parameters)
        return y if y.ndim else y[()]
    y = check.output(out, x.shape, x.dtype, {"x": x}, ("x",))
    forward(function, x, y, parameters)
    return y


def _backward(function, dy, x, out, parameters=None):
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    check.shape("dy", dy, x.shape)
    if out is None:
        dx = check.empty(x.shape, x.dtype)
        backward(function, dy, x, dx, parameters)
        return dx if dx.ndim else dx[()]
    dx = check.output(out, x.shape, x.dtype, {"dy": dy, "x": x}, ("dy", "x"))
    backward(function, dy, x, dx, parameters)
    return dx


RELU, SIGMOID, TANH, GELU, SILU = (FUNCTIONS[name] for name in ("relu", "sigmoid", "tanh", "gelu", "silu"))
LEAKY_RELU, SOFTPLUS, ELU = (FUNCTIONS[name] for name in ("leaky_relu", "softplus", "elu"))
SLOPE = "slope : float\n        Factor below 0."
BETA = "beta : float\n        Sharpness, not 0: the function tends to max(0, x) as `beta` grows."
ALPHA = "alpha : float\n        Minus the limit at -inf."


@documented(ARGUMENTS)
def relu(x, *, out=None):
    """Rectifier: max(0, x).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return _forward(RELU, x, out)


@documented(GRADIENT_ARGUMENTS)
def relu_backward(dy, x, *, out=None):
    """Gradient of `relu`: dy for x > 0, 0 at 0 and below.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.relu_backward(np.array([5.0, 6.0, 7.0]), np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 7.])
    """
    return _backward(RELU, dy, x, out)


@documented(ARGUMENTS, SLOPE)
def leaky_relu(x, *, out=None, slope=0.01):
    """Leaky rectifier: slope x for x < 0, else x.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.leaky_relu(np.array([-1.0, 0.0, 2.0]), slope=0.5)
    array([-0.5,  0. ,  2. ])
    """
    return _forward(LEAKY_RELU, x, out, (check.number("slope", slope),))


@documented(GRADIENT_ARGUMENTS, SLOPE)
def leaky_relu_backward(dy, x, *, out=None, slope=0.01):
    """Gradient of `leaky_relu`: slope dy for x < 0, else dy.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.leaky_relu_backward(np.array([4.0, 6.0]), np.array([-1.0, 2.0]), slope=0.5)
    array([2., 6.])
    """
    return _backward(LEAKY_RELU, dy, x, out, (check.number("slope", slope),))


@documented(ARGUMENTS)
def sigmoid(x, *, out=None):
    """Logistic function: 1 / (1 + e^-x).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.sigmoid(np.array([-np.inf, 0.0, np.inf]))
    array([0. , 0.5, 1. ])
    """
    return _forward(SIGMOID, x, out)


@documented(GRADIENT_ARGUMENTS)
def sigmoid_backward(dy, x, *, out=None):
    """Gradient of `sigmoid`: dy f (1 - f), without cancellation at either end.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.sigmoid_backward(np.array([4.0]), np.array([0.0]))
    array([1.])
    """
    return _backward(SIGMOID, dy, x, out)


@documented(ARGUMENTS)
def tanh(x, *, out=None):
    """Hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.tanh(np.array([-np.inf, 0.0, np.inf]))
    array([-1.,  0.,  1.])
    """
    return _forward(TANH, x, out)


@documented(GRADIENT_ARGUMENTS)
def tanh_backward(dy, x, *, out=None):
    """Gradient of `tanh`: dy / cosh^2 x, without cancellation at either end.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.tanh_backward(np.array([3.0]), np.array([0.0]))
    array([3.])
    """
    return _backward(TANH, dy, x, out)


@documented(ARGUMENTS, ulp=ULP_COMPOSED)
def gelu(x, *, out=None):
    """Gaussian error linear unit: x Phi(x), Phi the normal distribution function.

    References
    ----------
    .. [1] D. Hendrycks and K. Gimpel, "Gaussian error linear units", arXiv:1606.08415, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return _forward(GELU, x, out)


@documented(GRADIENT_ARGUMENTS)
def gelu_backward(dy, x, *, out=None):
    """Gradient of `gelu`: dy (Phi(x) + x phi(x)), phi the normal density.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.gelu_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return _backward(GELU, dy, x, out)


@documented(ARGUMENTS, ulp=ULP_COMPOSED)
def silu(x, *, out=None):
    """Sigmoid linear unit: x / (1 + e^-x).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.silu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.2689,  0.    ,  0.7311])
    """
    return _forward(SILU, x, out)


@documented(GRADIENT_ARGUMENTS)
def silu_backward(dy, x, *, out=None):
    """Gradient of `silu`: dy s (1 + x (1 - s)), s the sigmoid of x.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.silu_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return _backward(SILU, dy, x, out)


@documented(ARGUMENTS, BETA, ULP_COMPOSED)
def softplus(x, *, out=None, beta=1.0):
    """Smooth rectifier: ln(1 + e^(beta x)) / beta, at every x.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.softplus(np.array([-1.0, 0.0, 1000.0])).round(4)
    array([3.133e-01, 6.931e-01, 1.000e+03])
    """
    return _forward(SOFTPLUS, x, out, (_beta(beta),))


@documented(GRADIENT_ARGUMENTS, BETA)
def softplus_backward(dy, x, *, out=None, beta=1.0):
    """Gradient of `softplus`: dy / (1 + e^(-beta x)).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.softplus_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return _backward(SOFTPLUS, dy, x, out, (_beta(beta),))


def _beta(beta):
    if check.number("beta", beta) == 0:
        raise ValueError("beta must not be 0, got 0")
    return beta


@documented(ARGUMENTS, ALPHA)
def elu(x, *, out=None, alpha=1.0):
    """Exponential linear unit: alpha (e^x - 1) for x <= 0, else x.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.elu(np.array([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return _forward(ELU, x, out, (check.number("alpha", alpha),))


@documented(GRADIENT_ARGUMENTS, ALPHA)
def elu_backward(dy, x, *, out=None, alpha=1.0):
    """Gradient of `elu`: dy alpha e^x for x <= 0, else dy.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.elu_backward(np.array([3.0, 3.0]), np.array([-np.inf, 1.0]))
    array([0., 3.])
    """
    return _backward(ELU, dy, x, out, (check.number("alpha", alpha),))
