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


def one_hot(indices, num_classes, *, dtype):
    """1 at the index, else 0."""
    return (indices[..., None] == np.arange(num_classes)).astype(dtype)


def nll_loss(log_probs, targets, *, weight=None, ignore_index=None, reduction="mean"):
    return nll_loss_with_grad(log_probs, targets, weight=weight, ignore_index=ignore_index, reduction=reduction)[0]


@quiet
def nll_loss_with_grad(log_probs, targets, *, weight=None, ignore_index=None, reduction="mean"):
    """-weight_t log_probs_t of the class t of each sample; the mean divides by the sum of the weights."""
    c, counted = log_probs.shape[1], np.ones(targets.shape, bool)
    if ignore_index is not None:
        counted = targets != ignore_index
    safe = np.where(counted, targets, 0).astype(np.intp)
    picked = np.moveaxis(one_hot(safe, c, dtype=bool) & counted[..., None], -1, 1)
    w = np.where(counted, (np.ones(c, log_probs.dtype) if weight is None else weight)[safe], 0)
    at_target = np.take_along_axis(log_probs, np.expand_dims(safe, 1), 1)[:, 0] if safe.size else np.zeros(w.shape)
    losses = np.where(counted, -w * at_target, 0).astype(log_probs.dtype)
    divisor = w.sum() if reduction == "mean" else 1
    slopes = np.where(picked, np.expand_dims(-w / divisor, 1), 0).astype(log_probs.dtype)
    return losses if reduction == "none" else losses.sum() / divisor, slopes


@quiet
def _reduced(losses, slopes, reduction):
    """(loss, gradient) from the loss of every element and its derivative."""
    if reduction == "none":
        return losses, slopes
    divisor = {"sum": 1, "mean": losses.size, "batchmean": losses.shape[0] if losses.ndim else 1}[reduction]
    return losses.sum() / losses.dtype.type(divisor), slopes / divisor


@quiet
def binary_cross_entropy_with_logits_with_grad(prediction, target, *, pos_weight=None, reduction="mean"):
    """-w y ln s - (1 - y) ln(1 - s) with s = 1 / (1 + e^-x) and w = pos_weight; gradient (1 - y) s - w y (1 - s)."""
    # ln s = min(x, 0) - ln(1 + e^-|x|) and ln(1 - s) = ln s - x
    x, y, w = prediction, target, 1 if pos_weight is None else pos_weight
    e, on = np.exp(-np.abs(x)), target if pos_weight is None else pos_weight * target
    losses = np.abs(x) * np.where(x < 0, on, 1 - y) + (1 if pos_weight is None else 1 - y + w * y) * np.log1p(e)
    slopes = ((1 - y) * np.where(x < 0, e, 1) - on * np.where(x < 0, 1, e)) / (1 + e)
    return _reduced(losses, slopes, reduction)


@quiet
def mse_loss_with_grad(prediction, target, *, reduction="mean"):
    """(x - y)^2; gradient 2 (x - y)."""
    d = prediction - target
    return _reduced(d * d, 2 * d, reduction)


@quiet
def l1_loss_with_grad(prediction, target, *, reduction="mean"):
    """|x - y|; gradient sign(x - y)."""
    d = prediction - target
    return _reduced(np.abs(d), np.sign(d), reduction)


@quiet
def huber_loss_with_grad(prediction, target, *, delta=1.0, reduction="mean"):
    """d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2), d = x - y; gradient d limited to [-delta, delta]."""
    d = prediction - target
    losses = np.where(np.abs(d) > delta, delta * (np.abs(d) - delta / 2), d * d / 2)
    return _reduced(losses, np.clip(d, -delta, delta), reduction)


@quiet
def kl_div_with_grad(log_q, p, *, reduction="mean"):
    """p (ln p - log_q), 0 where p = 0; gradient -p."""
    return _reduced(np.where(p == 0, 0, p * (np.log(p) - log_q)), -p, reduction)


@quiet
def sigmoid_focal_loss_with_grad(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    """a (1 - p)^gamma times the cross-entropy, p = y s + (1 - y) (1 - s), s = sigmoid(x)."""
    x, y = logits, targets
    entropy, slope = binary_cross_entropy_with_logits_with_grad(x, y, reduction="none")
    s, rest = (np.where(sign * x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x))) for sign in (1, -1))
    q = (1 - y) * s + y * rest
    a = 1 if alpha < 0 else alpha * y + (1 - alpha) * (1 - y)
    power, ratio = q**gamma, np.where(q == 0, 0, s * rest / np.where(q == 0, 1, q))
    return _reduced(a * power * entropy, a * power * (gamma * ratio * (1 - 2 * y) * entropy + slope), reduction)


def sigmoid_focal_loss(logits, targets, *, alpha=0.25, gamma=2.0, reduction="none"):
    return sigmoid_focal_loss_with_grad(logits, targets, alpha=alpha, gamma=gamma, reduction=reduction)[0]


def binary_cross_entropy_with_logits(prediction, target, *, pos_weight=None, reduction="mean"):
    return binary_cross_entropy_with_logits_with_grad(prediction, target, pos_weight=pos_weight, reduction=reduction)[0]


def mse_loss(prediction, target, *, reduction="mean"):
    return mse_loss_with_grad(prediction, target, reduction=reduction)[0]


def l1_loss(prediction, target, *, reduction="mean"):
    return l1_loss_with_grad(prediction, target, reduction=reduction)[0]


def huber_loss(prediction, target, *, delta=1.0, reduction="mean"):
    return huber_loss_with_grad(prediction, target, delta=delta, reduction=reduction)[0]


def kl_div(log_q, p, *, reduction="mean"):
    return kl_div_with_grad(log_q, p, reduction=reduction)[0]
