"""Softmax and its logarithm."""

import numpy as np

from ._common import quiet


@quiet
def softmax(x, axis=-1):
    """y = exp(x - m) / sum(exp(x - m)) along `axis`, m = max(x). A row with +inf, or of -inf alone, is NaN."""
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


@quiet
def log_softmax(x, axis=-1):
    """y = (x - m) - log(sum(exp(x - m))) along `axis`, m = max(x)."""
    y = x - x.max(axis, keepdims=True, initial=-np.inf)
    return y - np.log(np.exp(y).sum(axis, keepdims=True))


def softmax_backward(dy, y, axis=-1):
    """dx of y = softmax(x): dy_j/dx_i = y_j (delta_ij - y_i), so dx = y (dy - sum(y dy))."""
    return y * (dy - (y * dy).sum(axis, keepdims=True))


def log_softmax_backward(dy, y, axis=-1):
    """dx of y = log_softmax(x): dy_j/dx_i = delta_ij - exp(y_i), so dx = dy - exp(y) sum(dy)."""
    return dy - np.exp(y) * dy.sum(axis, keepdims=True)
