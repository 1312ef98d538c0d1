"""Normalisation and its gradients."""

import math

import numpy as np

from ._common import quiet


def _by_channel(values, x):
    """(c,) in the shape that broadcasts to x (n, c, *spatial)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


@quiet
def batch_norm(x, gamma, beta, *, eps=1e-5):
    """(y, mean, var) of x (n, c, *spatial): y = (x - mean) / sqrt(var + eps) gamma + beta, moments of each channel."""
    axes = (0, *range(2, x.ndim))
    mean = x.mean(axes)
    var = ((x - _by_channel(mean, x)) ** 2).mean(axes)
    return batch_norm_inference(x, gamma, beta, mean, var, eps=eps), mean, var


@quiet
def batch_norm_inference(x, gamma, beta, mean, var, *, eps=1e-5):
    """y = (x - mean) / sqrt(var + eps) gamma + beta."""
    scale = _by_channel(gamma / np.sqrt(var + eps), x)
    return (x - _by_channel(mean, x)) * scale + _by_channel(beta, x)


@quiet
def batch_norm_backward(dy, x, gamma, mean, var, *, eps=1e-5):
    """(dx, dgamma, dbeta); with t = (x - mean) / sqrt(var + eps):"""
    # dbeta = sum(dy), dgamma = sum(dy t), dx = gamma / sqrt(var + eps) (dy - mean(dy) - t mean(dy t))
    axes = (0, *range(2, x.ndim))
    scale = 1 / np.sqrt(var + eps)
    t = (x - _by_channel(mean, x)) * _by_channel(scale, x)
    dgamma, dbeta, count = (dy * t).sum(axes), dy.sum(axes), x.size / max(1, x.shape[1])
    dx = dy - _by_channel(dbeta / count, x) - t * _by_channel(dgamma / count, x)
    return dx * _by_channel(gamma * scale, x), dgamma, dbeta


@quiet
def layer_norm(x, gamma, beta, *, eps=1e-5):
    """(y, mean, var) of x (..., d): y = (x - mean) / sqrt(var + eps) gamma + beta, moments over the last axis."""
    count = np.divide(x.shape[-1], 1, dtype=x.dtype)
    mean = x.sum(-1) / count
    var = ((x - mean[..., None]) ** 2).sum(-1) / count
    return (x - mean[..., None]) / np.sqrt(var + eps)[..., None] * gamma + beta, mean, var


@quiet
def layer_norm_backward(dy, x, gamma, mean, var, *, eps=1e-5):
    """(dx, dgamma, dbeta); with t = (x - mean) / sqrt(var + eps) and g = dy gamma:"""
    # dbeta = sum(dy), dgamma = sum(dy t) over the rows, dx = (g - mean(g) - t mean(g t)) / sqrt(var + eps)
    scale = 1 / np.sqrt(var + eps)[..., None]
    t, g, rows = (x - mean[..., None]) * scale, dy * gamma, tuple(range(x.ndim - 1))
    count = max(1, x.shape[-1])
    dx = (g - g.sum(-1, keepdims=True) / count - t * ((g * t).sum(-1, keepdims=True) / count)) * scale
    return dx, (dy * t).sum(rows), dy.sum(rows)


def _grouped(values, groups):
    """(n, c, *spatial) as rows (n, groups, values of a group)."""
    return values.reshape(len(values), groups, math.prod(values.shape[1:]) // groups)


@quiet
def group_norm(x, groups, gamma, beta, *, eps=1e-5):
    """(y, mean, var) of x (n, c, *spatial): each group of c / groups channels of a sample is a row of layer_norm."""
    t, mean, var = layer_norm(_grouped(x, groups), 1, 0, eps=eps)
    return t.reshape(x.shape) * _by_channel(gamma, x) + _by_channel(beta, x), mean, var


@quiet
def group_norm_backward(dy, x, groups, gamma, mean, var, *, eps=1e-5):
    """(dx, dgamma, dbeta): the dx of layer_norm from dy gamma, and sums over samples and places of each channel."""
    axes, g = (0, *range(2, x.ndim)), dy * _by_channel(gamma, x)
    dx, _, _ = layer_norm_backward(_grouped(g, groups), _grouped(x, groups), 1, mean, var, eps=eps)
    t = (_grouped(x, groups) - mean[..., None]) / np.sqrt(var + eps)[..., None]
    return dx.reshape(x.shape), (dy * t.reshape(x.shape)).sum(axes), dy.sum(axes)


def _epsilon(eps, x):
    return np.finfo(x.dtype).eps if eps is None else eps


@quiet
def rms_norm(x, gamma, *, eps=None):
    """(y, mean_sq) of x (..., d): y = x / sqrt(mean_sq + eps) gamma, mean_sq the mean square of the last axis."""
    mean_sq = (x**2).sum(-1) / np.divide(x.shape[-1], 1, dtype=x.dtype)
    return x / np.sqrt(mean_sq + _epsilon(eps, x))[..., None] * gamma, mean_sq


@quiet
def rms_norm_backward(dy, x, gamma, mean_sq, *, eps=None):
    """(dx, dgamma): the gradients of layer_norm from moments 0 and mean_sq, but dx keeps the mean of dy gamma."""
    scale = 1 / np.sqrt(mean_sq + _epsilon(eps, x))[..., None]
    t, g, rows = x * scale, dy * gamma, tuple(range(x.ndim - 1))
    return (g - t * ((g * t).sum(-1, keepdims=True) / max(1, x.shape[-1]))) * scale, (dy * t).sum(rows)
