"""Elementwise functions made of exponentials, and their gradients; see `activation_linear`."""

import math

import numpy as np

from ._common import quiet
from .activation_linear import identity


def sigmoid(x):
    """1 / (1 + e^-x); with e = exp(-|x|): 1/(1 + e) for x >= 0, e/(1 + e) below, accurate to the denormals."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_backward(dy, x, from_output=False):
    """f' = f (1 - f), with 1 - f(x) = f(-x); x is f if `from_output`, here and below."""
    if from_output:
        return dy * ((1 - x) * x)
    return dy * (sigmoid(x) * sigmoid(-x))


def tanh(x):
    """tanh x."""
    return np.tanh(x)


@quiet
def tanh_backward(dy, x, from_output=False):
    """f' = 1 - tanh^2 x = 1 / cosh^2 x."""
    if from_output:
        return dy * ((1 - x) * (1 + x))
    return dy * (1 / np.cosh(x)) ** 2


def elu(x, alpha=1.0):
    """alpha (e^x - 1) for x <= 0, else x."""
    return np.where(x > 0, x, alpha * np.expm1(np.where(x > 0, 0, x)))


def elu_backward(dy, x, alpha=1.0, from_output=False):
    """f' = alpha e^x = f + alpha for x <= 0, else 1."""
    if from_output:
        return dy * np.where(x > 0, 1, x + alpha)
    return dy * np.where(x > 0, 1, alpha * np.exp(np.minimum(x, 0)))


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def selu(x):
    """1.0507009873554805 elu(x, alpha=1.6732632423543772)."""
    return SELU_SCALE * elu(x, SELU_ALPHA)


def selu_backward(dy, x, from_output=False):
    """f' = 1.0507009873554805 that of elu."""
    if from_output:
        return dy * np.where(x > 0, SELU_SCALE, x + SELU_SCALE * SELU_ALPHA)
    return SELU_SCALE * elu_backward(dy, x, SELU_ALPHA)


@quiet
def celu(x, alpha=1.0):
    """alpha (e^(x/alpha) - 1) for x <= 0, else x."""
    return np.where(x > 0, x, alpha * np.expm1(x / alpha))


@quiet
def celu_backward(dy, x, alpha=1.0):
    """f' = e^(x/alpha) for x <= 0, else 1."""
    return dy * np.where(x > 0, 1, np.exp(x / alpha))


def softplus(x, beta=1.0):
    """ln(1 + e^(beta x)) / beta = (beta x > 0 ? x : 0) + ln(1 + e^-|beta x|) / beta."""
    return np.where(beta * x > 0, x, -0.0) + np.log1p(np.exp(-np.abs(beta * x))) / beta


def softplus_backward(dy, x, beta=1.0, from_output=False):
    """f' = 1 / (1 + e^(-beta x)) = 1 - e^(-beta f)."""
    if from_output:
        return dy * -np.expm1(-beta * x)
    return dy * sigmoid(beta * x)


@quiet
def silu(x):
    """x sigmoid(x), -0 at -inf."""
    return np.where(x == -np.inf, -0.0, x * sigmoid(x))


@quiet
def silu_backward(dy, x):
    """f' = s (1 + x (1 - s)), s = sigmoid(x)."""
    return dy * np.where(np.isinf(x), x > 0, sigmoid(x) * (1 + x * sigmoid(-x)))


@quiet
def mish(x):
    """x tanh(ln(1 + e^x)) = x e (e + 2) / (e (e + 2) + 2), e = e^x; over e^2 for x >= 0; 0 at -inf."""
    e = np.exp(-np.abs(x))
    below, above = e * (2 + e) / (2 + e * (2 + e)), (1 + 2 * e) / (1 + 2 * e * (1 + e))
    return np.where(x == -np.inf, 0, x * np.where(x < 0, below, above))


@quiet
def mish_backward(dy, x):
    """f' = t + x (1 - t^2) sigmoid(x), t = tanh s, s = ln(1 + e^x)."""
    s = softplus(x)
    return dy * np.where(np.isinf(x), x > 0, np.tanh(s) + x * (1 / np.cosh(s)) ** 2 * sigmoid(x))


@quiet
def gelu(x, approximate="none"):
    """x Phi(x), Phi the normal distribution function or its tanh approximation; -0 at -inf."""
    # (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    phi = _normal(x) if approximate == "none" else sigmoid(_gelu_argument(x, 1))
    return np.where(x == -np.inf, -0.0, x * phi)


@quiet
def gelu_backward(dy, x, approximate="none"):
    """f' = Phi(x) + x phi(x), phi the normal density; s + x s (1 - s) z' for the sigmoid s of z."""
    if approximate == "none":
        density = np.exp(-x * x / 2) / np.sqrt(2 * _pi(x))
        slope = _normal(x) + np.where(density == 0, 0, x * density)
    else:
        z = np.clip(_gelu_argument(x, 1), -1e5, 1e5)
        slope = sigmoid(z) * (1 + np.where(np.abs(z) == 1e5, 0, _gelu_argument(x, 3)) * sigmoid(-z))
    return dy * slope


def _pi(x):
    return 4 * np.arctan(np.ones((), x.dtype))


def _gelu_argument(x, power):
    """z = sqrt(8 / pi) (x + 0.044715 x^3) for power 1, x z' for power 3."""
    return np.sqrt(8 / _pi(x)) * x * (1 + power * x.dtype.type(44715) / 10**6 * x * x)


def _normal(x):
    """Phi(x) = erfc(-x / sqrt 2) / 2 in float64. The rounding error of q = -x / sqrt 2 is d: erfc(q + d) is
    erfc(q) - 2 / sqrt(pi) e^(-q^2) d, where d itself may be 10^-13 of it."""
    narrow = np.clip(x, -40, 40).astype(np.float64)  # beyond, Phi is 0 or 1
    split = narrow * (2**27 + 1)
    high = split - (split - narrow)  # 26 digits (Veltkamp), whose product with 26 of 1 / sqrt 2 is exact
    root, root_rest = float.fromhex("0x1.6a09e6p-1"), float.fromhex("0x1.9fcef32422cbfp-27")
    q = -narrow / math.sqrt(2)
    d = ((-high * root - q) - (narrow - high) * root) - narrow * root_rest
    phi = np.vectorize(math.erfc, otypes=[np.float64])(q) / 2 - np.exp(-q * q) / math.sqrt(math.pi) * d
    return phi.astype(x.dtype)


@quiet
def soft_exponential(x, alpha):
    """-ln(1 - alpha (x + alpha)) / alpha; x; (e^(alpha x) - 1) / alpha + alpha for alpha <, =, > 0."""
    if alpha == 0:
        return identity(x)
    if alpha < 0:
        return -np.log1p(-alpha * (x + alpha)) / alpha
    return np.expm1(alpha * x) / alpha + alpha


@quiet
def soft_exponential_backward(dy, x, alpha):
    """f' = 1 / (1 - alpha (alpha + x)) for alpha < 0, else e^(alpha x)."""
    if alpha == 0:
        return identity(dy)
    return dy / (1 - alpha * (alpha + x)) if alpha < 0 else dy * np.exp(alpha * x)


@quiet
def soft_clipping(x, alpha):
    """ln((1 + e^(alpha x)) / (1 + e^(alpha (x - 1)))) / alpha, which is f for |alpha| of x or 1 - x."""
    # Up to 1/2, ln(1 + (e^(b w) - e^(b (w - 1))) / (1 + e^(b (w - 1)))) / b; w itself for large b w; then 1 - f(1 - x).
    b, near, far = abs(alpha), np.minimum(x, 1 - x), np.maximum(x, 1 - x)
    inner = np.minimum(b * near, 50)
    y = np.where(inner < 50, np.log1p(-np.exp(inner) * np.expm1(-x.dtype.type(b)) / (1 + np.exp(-b * far))) / b, near)
    return np.where((x > 0.5) == (alpha > 0), 1 - y, y)


@quiet
def soft_clipping_backward(dy, x, alpha):
    """f' = sinh(alpha/2) sech(alpha x/2) sech(alpha (1 - x)/2) / 2, over e^(|alpha|/2)."""
    b, outside = abs(alpha), np.maximum(np.maximum(-x, x - 1), 0)
    slope = -np.sign(alpha) * np.expm1(-x.dtype.type(b)) * np.exp(-b * outside)
    return dy * (slope / ((1 + np.exp(-b * np.abs(x))) * (1 + np.exp(-b * np.abs(1 - x)))))


@quiet
def gaussian(x):
    """e^(-x^2)."""
    return np.exp(-x * x)


@quiet
def gaussian_backward(dy, x):
    """f' = -2 x e^(-x^2)."""
    return dy * np.where(np.isinf(x), 0, -2 * x * np.exp(-x * x))


@quiet
def sinusoid(x):
    """sin x."""
    return np.sin(x)


@quiet
def sinusoid_backward(dy, x):
    """f' = cos x."""
    return dy * np.cos(x)


@quiet
def sinc(x):
    """sin(x)/x, 1 at 0, 0 at inf."""
    return np.where(x == 0, 1, np.where(np.isinf(x), 0, np.sin(x) / x))


@quiet
def sinc_backward(dy, x):
    """f' = cos(x)/x - sin(x)/x^2, as a sum of powers of x near 0; 0 at inf."""
    t = np.clip(x, -1, 1)
    series = sum((-1) ** k * 2 * k * t ** (2 * k - 1) / math.factorial(2 * k + 1) for k in range(1, 12))
    return dy * np.where(np.abs(x) < 1, series, np.where(np.isinf(x), 0, (np.cos(x) - np.sin(x) / x) / x))
