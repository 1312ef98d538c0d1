"""Losses of rows and of pairs of rows, and the cosine of pairs."""

import numpy as np

from ._common import quiet


@quiet
def _reduced(losses, gradients, reduction):
    """(loss, *gradients) from the loss of every row and its gradients."""
    n = losses.shape[0] if losses.ndim else 1
    divisor = {"none": 1, "sum": 1, "mean": losses.size, "batchmean": n}[reduction]
    loss = losses if reduction == "none" else losses.sum() / losses.dtype.type(divisor)
    return (loss, *(g / losses.dtype.type(divisor) for g in gradients))


def multi_margin_loss_with_grad(scores, targets, *, margin=1.0, reduction="mean"):
    """Mean over all classes j but the target t of max(0, margin - x_t + x_j); gradient 1/c at each that counts."""
    n, c = scores.shape
    own = np.arange(n), targets.astype(np.intp)
    z = margin - scores[own][:, None] + scores
    z[own] = 0
    slopes = (z > 0).astype(scores.dtype)
    slopes[own] = -slopes.sum(1)
    return _reduced(np.maximum(z, 0).sum(1) / max(c, 1), (slopes / max(c, 1),), reduction)


@quiet
def triplet_margin_loss_with_grad(anchor, positive, negative, *, margin=1.0, reduction="mean"):
    """max(0, |a - p| - |a - n| + margin), with 1e-6 added to differences."""
    shift = anchor.dtype.type(1e-6)
    near, far = anchor - positive + shift, anchor - negative + shift
    to_near, to_far = (np.sqrt((x * x).sum(-1, keepdims=True)) for x in (near, far))
    losses = (to_near - to_far)[..., 0] + margin
    counts = (losses >= 0)[..., None]
    pull, push = (np.where(counts & (size != 0), x / size, 0) for x, size in ((near, to_near), (far, to_far)))
    return _reduced(np.maximum(losses, 0), (pull - push, -pull, push), reduction)


def gaussian_kl_with_grad(mean, log_var, *, reduction="batchmean"):
    """sum (e^v + m^2 - 1 - v) / 2; gradients m and (e^v - 1) / 2."""
    rise = np.expm1(log_var)
    return _reduced(((mean * mean + (rise - log_var)) / 2).sum(-1), (mean, rise / 2), reduction)


def multi_margin_loss(scores, targets, *, margin=1.0, reduction="mean"):
    return multi_margin_loss_with_grad(scores, targets, margin=margin, reduction=reduction)[0]


def triplet_margin_loss(anchor, positive, negative, *, margin=1.0, reduction="mean"):
    return triplet_margin_loss_with_grad(anchor, positive, negative, margin=margin, reduction=reduction)[0]


def gaussian_kl(mean, log_var, *, reduction="batchmean"):
    return gaussian_kl_with_grad(mean, log_var, reduction=reduction)[0]


def _norms(a, axis):
    norms = np.sqrt((a * a).sum(axis, keepdims=True))
    return norms, np.maximum(norms, a.dtype.type(1e-8))


def cosine_similarity(a, b, axis=-1):
    """a.b / (|a| |b|), the norms 1e-8 at least."""
    return (a / _norms(a, axis)[1] * (b / _norms(b, axis)[1])).sum(axis)


@quiet
def cosine_similarity_backward(dy, a, b, axis=-1):
    """da = dy (b / (|a| |b|) - c a / |a|^2), db likewise."""
    dy, c = np.expand_dims(dy, axis), np.expand_dims(cosine_similarity(a, b, axis), axis)
    (first, large_first), (second, large_second) = _norms(a, axis), _norms(b, axis)
    da = b / (large_first * large_second) - np.where(first == 0, 0, c * a / (large_first * first))
    db = a / (large_first * large_second) - np.where(second == 0, 0, c * b / (large_second * second))
    return dy * da, dy * db
