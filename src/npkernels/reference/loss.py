"""Losses and their gradients."""

import math

import numpy as np

from ._common import quiet
from .softmax import log_softmax


def softmax_cross_entropy(logits, targets, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"):
    """logits (n, c, *spatial), targets classes (n, *spatial) or probabilities (n, c, *spatial) -> loss."""
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient=False)[0]


def softmax_cross_entropy_with_grad(
    logits, targets, *, weight=None, ignore_index=None, label_smoothing=0.0, reduction="mean"
):
    """(loss, dlogits): the loss above and its gradient, that of the sum of the losses for "none"."""
    return _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient=True)


@quiet
def _cross_entropy(logits, targets, weight, ignore_index, label_smoothing, reduction, gradient):
    # loss = -sum_j q_j log p_j, p = softmax(logits) and q_j = weight_j ((1 - s) target_j + s / c);  so:
    # dlogits = p sum(q) - q. The mean divides by the sum of the weights of the targets, or by the number of samples
    # when targets are probabilities. An ignored sample has loss, weight and gradient 0, whatever its logits.
    c, samples = logits.shape[1], logits.shape[:1] + logits.shape[2:]
    m, even = math.prod(samples), label_smoothing / max(c, 1)
    logp = log_softmax(np.moveaxis(logits, 1, -1).reshape(m, c))
    weight, every, ignored = np.ones(c, logits.dtype) if weight is None else weight, np.arange(m), np.zeros(m, bool)
    if np.issubdtype(targets.dtype, np.floating):
        q = weight * ((1 - label_smoothing) * np.moveaxis(targets, 1, -1).reshape(m, c) + even)
        losses, total, divisor = -(q * logp).sum(1), q.sum(1), m
    else:
        ignored = ignored if ignore_index is None else targets.reshape(m) == ignore_index
        targets = np.where(ignored, 0, targets.reshape(m)).astype(np.intp)
        divisor = weight[targets][~ignored].sum()
        total = q = (1 - label_smoothing) * weight[targets]  # of the target alone, a vector
        losses = -q * logp[every, targets]
        if even:
            losses, total = losses - even * (logp * weight).sum(1), total + even * weight.sum()
        losses[ignored] = 0
    divisor = divisor if reduction == "mean" else 1
    loss = losses.reshape(samples) if reduction == "none" else losses.sum() / divisor
    if not gradient:
        return loss, None
    d = np.exp(logp) * total[:, None] - (q if q.ndim == 2 else even * weight)
    if q.ndim == 1:
        d[every, targets] -= q
    d /= divisor
    d[ignored] = 0
    return loss, np.ascontiguousarray(np.moveaxis(d.reshape(*samples, c), -1, 1))
