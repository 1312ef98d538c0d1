"""Elementwise functions with parameters, and their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels.activation import FUNCTIONS
from .elementwise import ULP_COMPOSED, backward, by_output, documented, forward

if TYPE_CHECKING:
    from .._typing import Approximate, F, Flag, FloatLike, NDArray, Number

LEAKY_RELU, CLIP, ISRU, ISRLU = (FUNCTIONS[name] for name in ("leaky_relu", "clip", "isru", "isrlu"))
ELU, CELU, SOFTPLUS = (FUNCTIONS[name] for name in ("elu", "celu", "softplus"))
SOFT_EXPONENTIAL, SOFT_CLIPPING = (FUNCTIONS[name] for name in ("soft_exponential", "soft_clipping"))
GELU = {"none": FUNCTIONS["gelu"], "tanh": FUNCTIONS["gelu_tanh"]}

SLOPE = "slope : float\n    Factor below 0."
EDGES = "low, high : float\n    The least and the largest result, low <= high; rounded to the dtype of `x`."
APPROXIMATE = 'approximate : {"none", "tanh"}\n    Phi itself, or (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))/2.'


def alpha_is(text):
    """The documentation of `alpha`."""
    return f"alpha : float\n    {text}"


@documented(parameters=SLOPE)
def leaky_relu(x: FloatLike[F], *, out: NDArray[F] | None = None, slope: Number = 0.01) -> NDArray[F]:
    """Leaky rectifier: slope x for x <= 0, else x.

    >>> nk.leaky_relu(np.array([-1.0, 0.0, 2.0]), slope=0.5)
    array([-0.5,  0. ,  2. ])
    """
    return forward(LEAKY_RELU, x, out, (check.number("slope", slope),))


def _of_output(name, value, from_output):
    """A parameter that a function can be told from its result with, but for negative ones."""
    value = check.number(name, value)
    if check.flag("from_output", from_output) and not value >= 0:
        raise ValueError(f"{name} must be at least 0 with from_output=True, got {value}")
    return value


@documented(
    gradient=True,
    parameters=f"{SLOPE}\n{by_output('the same')}",
    value_errors=";\n    if `from_output` and `slope` is below 0",
)
def leaky_relu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, slope: Number = 0.01, from_output: Flag = False
) -> NDArray[F]:
    """Gradient of `leaky_relu`: dy for x > 0, else slope dy, also at 0 and where x is NaN.

    >>> nk.leaky_relu_backward(np.array([4.0, 6.0]), np.array([-1.0, 2.0]), slope=0.5)
    array([2., 6.])
    """
    return backward(LEAKY_RELU, dy, x, out, (_of_output("slope", slope, from_output),), from_output)


def _edges(low, high):
    low, high = check.number("low", low), check.number("high", high)
    if not low <= high:
        raise ValueError(f"low must be at most high, got {low} and {high}")
    return low, high


@documented(parameters=EDGES, value_errors=";\n    if low > high")
def clip(x: FloatLike[F], *, low: Number, high: Number, out: NDArray[F] | None = None) -> NDArray[F]:
    """Clipping: min(max(x, low), high), or hard tanh.

    >>> nk.clip(np.array([-2.0, 0.5, 3.0]), low=-1, high=1)
    array([-1. ,  0.5,  1. ])
    """
    return forward(CLIP, x, out, _edges(low, high))


@documented(gradient=True, parameters=EDGES, value_errors=";\n    if low > high")
def clip_backward(
    dy: FloatLike[F], x: FloatLike[F], *, low: Number, high: Number, out: NDArray[F] | None = None
) -> NDArray[F]:
    """Gradient of `clip`: dy between the edges, 0 at them and beyond.

    >>> nk.clip_backward(np.array([4.0, 5.0, 6.0]), np.array([-1.0, 0.5, 3.0]), low=-1, high=1)
    array([0., 5., 0.])
    """
    return backward(CLIP, dy, x, out, _edges(low, high))


@documented(parameters=alpha_is("1 / alpha is the square of the limit at inf."), ulp=ULP_COMPOSED)
def isru(x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0) -> NDArray[F]:
    """Inverse square root unit: x / sqrt(1 + alpha x^2). B. Carlile et al., arXiv:1710.09967, 2017.

    >>> nk.isru(np.array([-np.inf, 0.0, 0.75]))
    array([-1. ,  0. ,  0.6])
    """
    return forward(ISRU, x, out, (check.number("alpha", alpha),))


@documented(gradient=True, parameters=alpha_is("As of `isru`."))
def isru_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0
) -> NDArray[F]:
    """Gradient of `isru`: dy / sqrt(1 + alpha x^2)^3.

    >>> nk.isru_backward(np.array([1.0]), np.array([0.75])).round(4)
    array([0.512])
    """
    return backward(ISRU, dy, x, out, (check.number("alpha", alpha),))


@documented(parameters=alpha_is("1 / alpha is the square of the limit at -inf."), ulp=ULP_COMPOSED)
def isrlu(x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0) -> NDArray[F]:
    """Inverse square root linear unit: x / sqrt(1 + alpha x^2) for x < 0, else x.

    >>> nk.isrlu(np.array([-0.75, 2.0]))
    array([-0.6,  2. ])
    """
    return forward(ISRLU, x, out, (check.number("alpha", alpha),))


@documented(gradient=True, parameters=alpha_is("As of `isrlu`."))
def isrlu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0
) -> NDArray[F]:
    """Gradient of `isrlu`: dy / sqrt(1 + alpha x^2)^3 for x < 0, else dy.

    >>> nk.isrlu_backward(np.array([1.0, 1.0]), np.array([-0.75, 2.0])).round(4)
    array([0.512, 1.   ])
    """
    return backward(ISRLU, dy, x, out, (check.number("alpha", alpha),))


@documented(parameters=alpha_is("Minus the limit at -inf."))
def elu(x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0) -> NDArray[F]:
    """Exponential linear unit: alpha (e^x - 1) for x <= 0, else x. D.-A. Clevert et al., arXiv:1511.07289, 2015.

    >>> nk.elu(np.array([-np.inf, 0.0, 2.0]))
    array([-1.,  0.,  2.])
    """
    return forward(ELU, x, out, (check.number("alpha", alpha),))


@documented(
    gradient=True,
    parameters="\n".join([alpha_is("As of `elu`."), by_output("``dy (x + alpha)`` for x <= 0, dy above", "alpha")]),
    value_errors=";\n    if `from_output` and `alpha` is below 0",
)
def elu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0, from_output: Flag = False
) -> NDArray[F]:
    """Gradient of `elu`: dy alpha e^x for x <= 0, else dy.

    >>> nk.elu_backward(np.array([3.0, 3.0]), np.array([-np.inf, 1.0]))
    array([0., 3.])
    """
    return backward(ELU, dy, x, out, (_of_output("alpha", alpha, from_output),), from_output)


@documented(parameters=alpha_is("Minus the limit at -inf."), ulp=ULP_COMPOSED, value_errors=";\n    if `alpha` is 0")
def celu(x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0) -> NDArray[F]:
    """Continuously differentiable `elu`: alpha (e^(x/alpha) - 1) for x <= 0, else x. J. Barron, arXiv:1704.07483, 2017.

    >>> nk.celu(np.array([-np.inf, 0.0, 2.0]), alpha=0.5)
    array([-0.5,  0. ,  2. ])
    """
    return forward(CELU, x, out, (check.nonzero("alpha", alpha),))


@documented(gradient=True, parameters=alpha_is("As of `celu`."), value_errors=";\n    if `alpha` is 0")
def celu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, alpha: Number = 1.0
) -> NDArray[F]:
    """Gradient of `celu`: dy e^(x/alpha) for x <= 0, else dy.

    >>> nk.celu_backward(np.array([3.0, 3.0]), np.array([-np.inf, 1.0]), alpha=0.5)
    array([0., 3.])
    """
    return backward(CELU, dy, x, out, (check.nonzero("alpha", alpha),))


BETA = "beta : float\n    Sharpness, not 0: the function tends to max(0, x) as `beta` grows."


@documented(parameters=BETA, ulp=ULP_COMPOSED, value_errors=";\n    if `beta` is 0")
def softplus(x: FloatLike[F], *, out: NDArray[F] | None = None, beta: Number = 1.0) -> NDArray[F]:
    """Smooth rectifier: ln(1 + e^(beta x)) / beta, at every x.

    >>> nk.softplus(np.array([-1.0, 0.0, 1000.0])).round(4)
    array([3.133e-01, 6.931e-01, 1.000e+03])
    """
    return forward(SOFTPLUS, x, out, (check.nonzero("beta", beta),))


@documented(
    gradient=True,
    parameters=f"{BETA}\n{by_output('``dy (1 - e^(-beta x))``')}",
    value_errors=";\n    if `beta` is 0",
)
def softplus_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, beta: Number = 1.0, from_output: Flag = False
) -> NDArray[F]:
    """Gradient of `softplus`: dy / (1 + e^(-beta x)).

    >>> nk.softplus_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return backward(SOFTPLUS, dy, x, out, (check.nonzero("beta", beta),), from_output)


@documented(parameters=APPROXIMATE, ulp=ULP_COMPOSED)
def gelu(x: FloatLike[F], *, out: NDArray[F] | None = None, approximate: Approximate = "none") -> NDArray[F]:
    """Gaussian error linear unit: x Phi(x), Phi the normal distribution function. D. Hendrycks and K. Gimpel,
    arXiv:1606.08415, 2016.

    >>> nk.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """
    return forward(GELU[check.choice("approximate", approximate, GELU)], x, out)


@documented(gradient=True, parameters=APPROXIMATE)
def gelu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None, approximate: Approximate = "none"
) -> NDArray[F]:
    """Gradient of `gelu`: dy (Phi(x) + x phi(x)), phi the derivative of Phi.

    >>> nk.gelu_backward(np.array([4.0]), np.array([0.0]))
    array([2.])
    """
    return backward(GELU[check.choice("approximate", approximate, GELU)], dy, x, out)


SHAPE = alpha_is("Below 0 like a logarithm, 0 the identity, above 0 like an exponential.")
SUM_OF_TERMS = """    For alpha > 0 relative to ``|(e^(alpha x) - 1) / alpha| + alpha``; NaN outside the domain for
    alpha < 0."""


@documented(parameters=SHAPE, results=SUM_OF_TERMS, ulp=ULP_COMPOSED)
def soft_exponential(x: FloatLike[F], *, alpha: Number, out: NDArray[F] | None = None) -> NDArray[F]:
    """Soft exponential: -ln(1 - alpha (x + alpha)) / alpha, x, (e^(alpha x) - 1) / alpha + alpha for alpha <, =, > 0.

    L. B. Godfrey and M. S. Gashler, *A continuum among logarithmic, linear, and exponential functions*, 2015.

    >>> nk.soft_exponential(np.array([0.0, 1.0]), alpha=1.0).round(4)
    array([1.    , 2.7183])
    """
    return forward(SOFT_EXPONENTIAL, x, out, (check.number("alpha", alpha),))


@documented(gradient=True, parameters=SHAPE)
def soft_exponential_backward(
    dy: FloatLike[F], x: FloatLike[F], *, alpha: Number, out: NDArray[F] | None = None
) -> NDArray[F]:
    """Gradient of `soft_exponential`: dy / (1 - alpha (alpha + x)) for alpha < 0, else dy e^(alpha x).

    >>> nk.soft_exponential_backward(np.array([1.0, 1.0]), np.array([0.0, 1.0]), alpha=1.0).round(4)
    array([1.    , 2.7183])
    """
    return backward(SOFT_EXPONENTIAL, dy, x, out, (check.number("alpha", alpha),))


SHARPNESS = alpha_is("Sharpness, not 0: the function tends to x clipped to [0, 1] as `alpha` grows.")


def _sharpness(alpha):
    alpha = check.nonzero("alpha", alpha)
    return alpha, -math.expm1(-abs(alpha))


@documented(parameters=SHARPNESS, ulp=ULP_COMPOSED, value_errors=";\n    if `alpha` is 0")
def soft_clipping(x: FloatLike[F], *, alpha: Number, out: NDArray[F] | None = None) -> NDArray[F]:
    """Smooth clipping to [0, 1]: ln((1 + e^(alpha x)) / (1 + e^(alpha (x - 1)))) / alpha.

    M. D. Klimek and M. Perelstein, *Neural network-based approach to phase space integration*, 2018.

    >>> nk.soft_clipping(np.array([-np.inf, 0.5, 1.0]), alpha=10.0).round(4)
    array([0.    , 0.5   , 0.9307])
    """
    return forward(SOFT_CLIPPING, x, out, _sharpness(alpha))


@documented(gradient=True, parameters=SHARPNESS, value_errors=";\n    if `alpha` is 0")
def soft_clipping_backward(
    dy: FloatLike[F], x: FloatLike[F], *, alpha: Number, out: NDArray[F] | None = None
) -> NDArray[F]:
    """Gradient of `soft_clipping`: dy sinh(alpha/2) / (2 cosh(alpha x/2) cosh(alpha (1 - x)/2)).

    >>> nk.soft_clipping_backward(np.array([1.0, 1.0]), np.array([0.5, 1.0]), alpha=10.0).round(4)
    array([0.9866, 0.5   ])
    """
    return backward(SOFT_CLIPPING, dy, x, out, _sharpness(alpha))
