"""Scaled dot-product attention."""

import math

import numpy as np

from ._common import quiet


def _weights(q, k, mask, causal, scale):
    """p = softmax(q k' scale + mask) over the keys that are seen; 0 where a query sees none."""
    scores = q @ np.swapaxes(k, -1, -2) * q.dtype.type(scale)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    most = scores.max(-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(most == -np.inf, 0, most))
    total = e.sum(-1, keepdims=True)
    return np.where(total == 0, 0, e / total)


def _weighted(p, x):
    """p x, in which a weight of 0 does not count, even of inf or NaN."""
    if np.isfinite(x).all():
        return p @ x
    rows = [np.where(row[..., None] == 0, 0, row[..., None] * x).sum(-2) for row in np.moveaxis(p, -2, 0)]
    return np.stack(rows, -2)


def _sum_to(gradient, x):
    axes = *range(gradient.ndim - x.ndim), *(i - x.ndim for i, size in enumerate(x.shape[:-2]) if size == 1)
    return gradient.sum(axes).reshape(x.shape)


@quiet
def attention(q, k, v, *, mask=None, causal=False, scale=None, training=False):
    """y = p v with p = softmax(q k' scale + mask) over the keys, a query a row."""
    scale = 1 / math.sqrt(q.shape[-1] or 1) if scale is None else scale
    y = _weighted(_weights(q, k, mask, causal, scale), v)
    return y, (q, k, v, mask, causal, scale) if training else None


@quiet
def attention_backward(dy, tape):
    """dv = p' dy and dp = dy v'; ds = p (dp - sum over keys of p dp), the gradient of softmax; dq = ds k scale and
    dk = ds' q scale. Summed over the axes that were broadcast."""
    q, k, v, mask, causal, scale = tape
    p = _weights(q, k, mask, causal, scale)
    dp = np.where(p == 0, 0, dy @ np.swapaxes(v, -1, -2))
    ds = p * (dp - (p * dp).sum(-1, keepdims=True)) * q.dtype.type(scale)
    ds = np.where(p == 0, 0, ds)
    turned = np.swapaxes(ds, -1, -2)
    gradients = _weighted(ds, k), _weighted(turned, q), _weighted(np.swapaxes(p, -1, -2), dy)
    return tuple(_sum_to(gradient, x) for gradient, x in zip(gradients, (q, k, v), strict=True))
