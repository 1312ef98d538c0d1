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


def matmul_backward(dc, a, b, needs=("a", "b")):
    """dc (..., m, n) -> (da, db): da = dc @ b.T and db = a.T @ dc, summed where a or b is broadcast."""
    left, right = a[None] if a.ndim == 1 else a, b[:, None] if b.ndim == 1 else b
    leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    dc = dc.reshape(*leading, left.shape[-2], right.shape[-1])
    da = _unbroadcast(dc @ right.swapaxes(-1, -2), left.shape).reshape(a.shape) if "a" in needs else None
    return da, _unbroadcast(left.swapaxes(-1, -2) @ dc, right.shape).reshape(b.shape) if "b" in needs else None


def _unbroadcast(x, shape):
    x = x.sum(tuple(range(x.ndim - len(shape))))
    return x.sum(tuple(i for i, size in enumerate(shape) if x.shape[i] != size), keepdims=True)
