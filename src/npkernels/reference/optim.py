"""Steps of optimisers, and the clipping of gradients."""

import math

import numpy as np


def momentum_step(p, g, velocity, *, lr, momentum=0.9, nesterov=False, weight_decay=0.0):
    """One step of stochastic gradient descent with momentum; `p` and `velocity` change in place."""
    # g' = g + weight_decay p;  velocity = momentum velocity + g';  p -= lr velocity, or lr (g' + momentum velocity)
    g = g + weight_decay * p
    velocity[...] = momentum * velocity + g
    p -= lr * (g + momentum * velocity if nesterov else velocity)


def sgd_step(p, g, *, lr, weight_decay=0.0):
    """One step of stochastic gradient descent; `p` changes in place."""
    p -= lr * (g + weight_decay * p)


def adagrad_step(p, g, sum_sq, *, lr, eps=1e-10, weight_decay=0.0):
    """One step of Adagrad; `p` and `sum_sq` change in place."""
    # g' = g + weight_decay p;  sum_sq += g'^2;  p -= lr g' / (sqrt(sum_sq) + eps)
    g = g + weight_decay * p
    sum_sq += g * g
    p -= lr * g / (np.sqrt(sum_sq) + eps)


def rmsprop_step(p, g, mean_sq, *, lr, alpha=0.99, eps=1e-8, weight_decay=0.0):
    """One step of RMSProp; `p` and `mean_sq` change in place."""
    # g' = g + weight_decay p;  mean_sq = alpha mean_sq + (1 - alpha) g'^2;  p -= lr g' / (sqrt(mean_sq) + eps)
    g = g + weight_decay * p
    mean_sq[...] = alpha * mean_sq + (1 - alpha) * g * g
    p -= lr * g / (np.sqrt(mean_sq) + eps)


def adam_step(p, g, m, v, *, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.0):
    """One step of Adam, number `step` from 1 on; `p`, `m` and `v` change in place."""
    # g' = g + weight_decay p;  m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2;
    # p -= lr m' / (sqrt(v') + eps), m' = m / (1 - beta1^step), v' = v / (1 - beta2^step)
    g = g + weight_decay * p
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    first, second = (-math.expm1(step * math.log(beta)) if beta else 1.0 for beta in (beta1, beta2))  # 1 - beta^step
    p -= lr * (m / first) / (np.sqrt(v / second) + eps)


def adamw_step(p, g, m, v, *, step, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    """One step of Adam with decoupled weight decay: p -= lr weight_decay p, then `adam_step` without."""
    p -= lr * weight_decay * p
    adam_step(p, g, m, v, step=step, lr=lr, beta1=beta1, beta2=beta2, eps=eps)


def clip_grad_norm(grads, max_norm):
    """The norm of all elements together; then g *= min(1, max_norm / (norm + 1e-6))."""
    # Squares are taken relative to the largest element, so that they do not overflow.
    wide = [np.asarray(g, np.float64) for g in grads]
    most = max([np.abs(g).max(initial=0) for g in wide], default=0.0)
    if most == 0 or not np.isfinite(most):
        norm = float(most)
    else:
        norm = float(most * np.sqrt(sum(((g / most) ** 2).sum() for g in wide)))
    coefficient = np.minimum(1, max_norm / (norm + 1e-6))
    for g in grads:
        g *= coefficient
    return norm
