"""Elementwise functions and their gradients, by the same formulas in every type, wider ones than float64 too.

Where a formula differs from the textbook's, it is for numbers at which that one overflows or cancels. A gradient is
dx = dy f'(x). This module holds those made of lines, parabolas and roots; `activation_exp` those made of exponentials.
"""

import numpy as np

from ._common import quiet


@quiet
def line(slope, x):
    """slope x, also where that is 0 times inf: there the limit, a 0 with the sign of the product."""
    return slope * np.where(np.equal(slope, 0), np.copysign(1, x).astype(x.dtype), x)


def identity(x):
    """x."""
    return np.array(x)


def identity_backward(dy, x):
    """f' = 1."""
    return np.array(dy)


def binary_step(x):
    """0 for x < 0, else 1."""
    return np.where(np.isnan(x), x, np.where(x < 0, 0, 1).astype(x.dtype))


def binary_step_backward(dy, x):
    """f' = 0."""
    return np.zeros_like(x)


def relu(x):
    """max(0, x)."""
    return np.where(x < 0, 0, x)


def relu_backward(dy, x, from_output=False):
    """f' = 0 for x <= 0, else 1; so has f, which x is if `from_output`."""
    return np.where(x <= 0, 0, dy)


def leaky_relu(x, slope=0.01):
    """`slope` x for x <= 0, else x."""
    return np.where(x <= 0, line(slope, x), x)


def leaky_relu_backward(dy, x, slope=0.01, from_output=False):
    """f' = 1 for x > 0, else `slope`; f has the sign of x for slopes from 0 on."""
    return np.where(x > 0, dy, slope * dy)


def clip(x, low, high):
    """min(max(x, low), high)."""
    return np.clip(x, x.dtype.type(low), x.dtype.type(high))


def clip_backward(dy, x, low, high):
    """f' = 0 at and beyond the edges, else 1."""
    return np.where((x <= x.dtype.type(low)) | (x >= x.dtype.type(high)), 0, dy)


def relu6(x):
    """min(max(x, 0), 6)."""
    return clip(x, 0, 6)


def relu6_backward(dy, x):
    """f' = 0 at and beyond 0 and 6, else 1."""
    return clip_backward(dy, x, 0, 6)


def hard_sigmoid(x):
    """x/6 + 1/2, clipped to [0, 1]."""
    return np.clip((x + 3) / 6, 0, 1)


def hard_sigmoid_backward(dy, x):
    """f' = 0 at and beyond -3 and 3, else 1/6."""
    return np.where((x > -3) & (x < 3), dy / 6, 0)


@quiet
def hard_swish(x):
    """x hard_sigmoid(x)."""
    return np.where(x <= -3, -0.0, x * hard_sigmoid(x))


@quiet
def hard_swish_backward(dy, x):
    """f' = 0 for x <= -3, 1 for x >= 3, else x/3 + 1/2."""
    return np.where(x <= -3, 0, np.where(x >= 3, dy, dy * ((2 * x + 3) / 6)))


def sqnl(x):
    """1 for x > 2; x - x^2/4 on [0, 2]; x + x^2/4 on [-2, 0); -1 below."""
    t = np.clip(x, -2, 2)
    return t * (1 - np.abs(t) / 4)


def sqnl_backward(dy, x):
    """f' = 1 - |x|/2 inside, 0 outside."""
    return dy * (1 - np.minimum(np.abs(x), 2) / 2)


@quiet
def sq_rbf(x):
    """1 - x^2/2 for |x| <= 1; (2 - |x|)^2/2 for 1 < |x| < 2; 0 beyond."""
    t = np.abs(x)
    return np.where(t <= 1, 1 - t * t / 2, np.maximum(2 - t, 0) ** 2 / 2)


def sq_rbf_backward(dy, x):
    """f' = -x; sign(x) (|x| - 2); 0."""
    t = np.abs(x)
    return -dy * np.sign(x) * np.where(t <= 1, t, np.maximum(2 - t, 0))


@quiet
def softsign(x):
    """x / (1 + |x|)."""
    return np.where(np.isinf(x), np.sign(x), x / (1 + np.abs(x)))


@quiet
def softsign_backward(dy, x):
    """f' = 1 / (1 + |x|)^2."""
    return dy / (1 + np.abs(x)) / (1 + np.abs(x))


@quiet
def isru(x, alpha=1.0):
    """x / sqrt(1 + alpha x^2); sign(x) / sqrt(alpha + 1/x^2) for |x| > 1."""
    return np.where(np.abs(x) > 1, np.sign(x) / np.sqrt(alpha + (1 / x) ** 2), x / np.sqrt(1 + alpha * x * x))


@quiet
def isru_backward(dy, x, alpha=1.0):
    """f' = 1 / sqrt(1 + alpha x^2)^3."""
    ratio = np.where(np.abs(x) > 1, np.abs(1 / x) / np.sqrt(alpha + (1 / x) ** 2), 1 / np.sqrt(1 + alpha * x * x))
    return dy * ratio * ratio * ratio


def isrlu(x, alpha=1.0):
    """isru(x) for x < 0, else x."""
    return np.where(x < 0, isru(x, alpha), x)


def isrlu_backward(dy, x, alpha=1.0):
    """f' = that of isru for x < 0, else 1."""
    return np.where(x < 0, isru_backward(dy, x, alpha), dy)


@quiet
def bent_identity(x):
    """(sqrt(x^2 + 1) - 1)/2 + x = x (1 + x/(2 (1 + sqrt(x^2 + 1))))."""
    return x * (1 + np.where(np.isinf(x), np.sign(x), x / (1 + np.hypot(x, 1))) / 2)


@quiet
def bent_identity_backward(dy, x):
    """f' = x / (2 sqrt(x^2 + 1)) + 1."""
    return dy * (1 + np.where(np.isinf(x), np.sign(x), x / np.hypot(x, 1)) / 2)


def arsinh(x):
    """ln(x + sqrt(x^2 + 1))."""
    return np.arcsinh(x)


def arsinh_backward(dy, x):
    """f' = 1 / sqrt(x^2 + 1)."""
    return dy / np.hypot(x, 1)


def arctan(x):
    """arctan x."""
    return np.arctan(x)


def arctan_backward(dy, x):
    """f' = 1 / (x^2 + 1)."""
    return dy / np.hypot(x, 1) / np.hypot(x, 1)
