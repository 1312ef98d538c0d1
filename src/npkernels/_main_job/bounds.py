"""How far a float32 kernel may be from its float64 definition: bounds from the number of roundings, none tuned.

A rule takes (call, arrays, expected): the call under test, its arrays in float64, and what the definition returns
for them. It gives one array of allowed errors for each array returned. See N. J. Higham, Accuracy and Stability of
Numerical Algorithms, 2nd ed., 2002, section 3.1: a sum of k products is within (k + 2) eps of the sum of their
magnitudes, in whatever order it is taken.
"""

from types import SimpleNamespace

import numpy as np

from npkernels import reference

EPS = float(np.finfo(np.float32).eps)


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def mapped(arrays, function):
    """The same arrays with `function` applied to the floating ones."""
    return SimpleNamespace(
        **{name: function(a) if np.issubdtype(a.dtype, np.floating) else a for name, a in vars(arrays).items()}
    )


def exact(call, arrays, expected):
    return tuple(np.zeros(np.shape(e)) for e in as_tuple(expected))


def linear(*terms):
    """Results that are sums of `terms` products, one number for each result: the same call on magnitudes."""

    def rule(call, arrays, expected):
        magnitudes = as_tuple(call(reference, mapped(arrays, np.abs)))
        return tuple((k + 2) * EPS * m for k, m in zip(terms, magnitudes, strict=True))

    return rule


def ulps(count):
    """Within `count` units in the last place of the float32 result."""

    def rule(call, arrays, expected):
        return (count * np.spacing(np.abs(expected).astype(np.float32)).astype(np.float64),)

    return rule


def slope(first, second):
    """Gradients of elementwise functions: 8 eps |dy| (|f'| + |x f''|)."""

    def rule(call, arrays, expected):
        x = arrays.x
        return (8 * EPS * np.abs(arrays.dx) * (np.abs(first(x)) + np.abs(x * second(x))),)

    return rule


def _range(logits):
    # Row by row, what the subtraction of the maximum m, exp (2 ULP) and the sum of c terms may cost, over EPS:
    # exp(fl(x - m)) is within (2 + |x - m|/2) eps of its value, a sum of c of those within (2 + max |x - m|/2 + c/2) eps
    return (logits.max(1) - logits.min(1) + logits.shape[1] + 6)[:, None]


def softmax_bound(call, arrays, expected):
    # the quotient of two of the above
    return (_range(arrays.logits) * EPS * expected,)


def log_softmax_bound(call, arrays, expected):
    # (x - m) - log(sum): both roundings, the relative error of the sum, 2 ULP of a logarithm below log(c) <= c/2
    return ((_range(arrays.logits) + arrays.logits.shape[1] + np.abs(expected)) * EPS,)


def softmax_backward_bound(call, arrays, expected):
    # y (dy - sum(y dy)): every term positive
    y, dy = arrays.y, np.abs(arrays.dlogits)
    return ((dy.shape[1] + 4) * EPS * y * (dy + (y * dy).sum(1, keepdims=True)),)


def log_softmax_backward_bound(call, arrays, expected):
    # dy - exp(y) sum(dy), exp within 2 ULP of a y that is given
    dy = np.abs(arrays.dlogits)
    return ((dy.shape[1] + 6) * EPS * (dy + np.exp(arrays.logy) * dy.sum(1, keepdims=True)),)


def cross_entropy_bound(call, arrays, expected):
    # loss: the mean of the bounds of -log p at the targets, and n roundings of the sum of losses >= 0
    # dlogits = (p - onehot)/n: the bound of p and two roundings
    n, targets = len(arrays.logits), arrays.targets
    logp = reference.log_softmax(arrays.logits)
    picked = log_softmax_bound(call, arrays, logp)[0][np.arange(n), targets]
    loss = picked.mean() + (n + 1) * EPS * as_tuple(expected)[0]
    onehot = targets[:, None] == np.arange(logp.shape[1])
    gradient = (_range(arrays.logits) + 2) * EPS * (np.exp(logp) + onehot) / n
    return (loss, gradient)[: len(as_tuple(expected))]


def momentum_bound(call, arrays, expected):
    # velocity' = 0.9 velocity + g, p' = p - 0.001 velocity'; the constants are rounded too
    velocity = 0.9 * np.abs(arrays.velocity) + np.abs(arrays.g)
    return 3 * EPS * (np.abs(arrays.p) + 0.004 * velocity), 3 * EPS * velocity
