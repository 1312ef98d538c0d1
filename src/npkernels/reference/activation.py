"""Elementwise functions."""

import math

import numpy as np

from ._common import quiet


def relu(x):
    """max(0, x)."""
    return np.maximum(x, 0)


def relu_backward(dy, x):
    """dx = 0 for x <= 0, else dy."""
    return np.where(x <= 0, 0, dy)


def sigmoid(x):
    """1 / (1 + e^-x); with e = exp(-|x|): 1/(1 + e) for x >= 0, e/(1 + e) below, accurate to the denormals."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


def sigmoid_backward(dy, x):
    """dx = dy f (1 - f), with 1 - f(x) = f(-x)."""
    return dy * (sigmoid(x) * sigmoid(-x))


def tanh(x):
    """tanh x."""
    return np.tanh(x)


@quiet
def tanh_backward(dy, x):
    """dx = dy (1 - tanh^2 x) = dy / cosh^2 x."""
    return dy * (1 / np.cosh(x)) ** 2


def leaky_relu(x, slope=0.01):
    """`slope` x for x < 0, else x."""
    return np.where(x < 0, slope * x, x)


def elu(x, alpha=1.0):
    """alpha (e^x - 1) for x <= 0, else x."""
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def softplus(x, beta=1.0):
    """ln(1 + e^(beta x)) / beta = max(x, 0) + ln(1 + e^-|beta x|) / beta."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(beta * x))) / beta


@quiet
def silu(x):
    """x sigmoid(x), 0 at -inf."""
    return np.where(x == -np.inf, 0, x * sigmoid(x))


@quiet
def gelu(x, approximate="none"):
    """x Phi(x), Phi the normal distribution function or its tanh approximation; 0 at -inf."""
    # Phi(x) = erfc(-x / sqrt 2) / 2  ~  (1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)
    if approximate == "tanh":
        phi = sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x**3))
    else:
        phi = 0.5 * np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2))
    return np.where(x == -np.inf, 0, x * phi)


ACTIVATIONS = {f.__name__: f for f in (relu, leaky_relu, sigmoid, tanh, gelu, silu, softplus, elu)}
