"""Products of matrices."""

import math

import numpy as np

from ._activations import ACTIVATIONS


def dense(x, w, b=None, *, activation=None):
    """x (..., k), w (n, k), b (n,) -> y (..., n) = act(x @ w.T + b)."""
    y = (x.reshape(math.prod(x.shape[:-1]), x.shape[-1]) @ w.T).reshape(*x.shape[:-1], len(w))
    y = y if b is None else y + b
    return y if activation is None else ACTIVATIONS[activation](y)


def dense_backward(dy, x, w, *, needs=("x", "w", "b")):
    """dy (..., n), x (..., k), w (n, k) -> (dx, dw, db), None in place of what `needs` leaves out."""
    # forward: y = x @ w.T + b;  so: dx = dy @ w, dw = dy.T @ x, db = sum of dy over the rows
    shape, rows = x.shape, math.prod(x.shape[:-1])
    dy, x = dy.reshape(rows, len(w)), x.reshape(rows, shape[-1])
    dx = (dy @ w).reshape(shape) if "x" in needs else None
    return dx, dy.T @ x if "w" in needs else None, dy.sum(0) if "b" in needs else None


def matmul(a, b):
    """a (..., m, k) @ b (..., k, n), leading axes broadcast; 1-D operands as in np.matmul."""
    return np.matmul(a, b)
