"""How far a float32 kernel may be from its float64 definition: counted roundings, nothing tuned.

A bound is a function of the kernel's arrays `a` (in float64) and of what the definition returns for them,
`expected`, always a tuple; it gives the allowed error of each array of `expected`. A sum of k products is within
(k + 2) eps of the sum of their magnitudes, in whatever order it is taken; exp and log are within 2 ULP.
N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002, section 3.1.
"""

from types import SimpleNamespace

import numpy as np

from npkernels import reference

from .winograd import largest_gradient, largest_result

EPS = float(np.finfo(np.float32).eps)


def as_tuple(result):
    """What a kernel returned, as a tuple of arrays."""
    return result if isinstance(result, tuple) else (result,)


def mapped(arrays, function):
    """The same arrays, `function` applied to the floating ones and the others copied."""
    floating = {name: np.issubdtype(array.dtype, np.floating) for name, array in vars(arrays).items()}
    return SimpleNamespace(**{k: function(v) if floating[k] else v.copy() for k, v in vars(arrays).items()})


def exact(a, expected):
    """No rounding at all."""
    return tuple(np.zeros(np.shape(e)) for e in expected)


def sums(call, *terms):
    """Each result a sum of so many products: the magnitudes come from the same call on magnitudes."""
    return lambda a, expected: tuple(
        (k + 2) * EPS * m for k, m in zip(terms, as_tuple(call(reference, mapped(a, np.abs))), strict=True)
    )


def conv2d(a, expected):
    # a product for each channel; two passes over tile, kernel and result, each of sums of at most 6 terms
    most = largest_result(a.x, a.filters, 1, expected[0].shape[2:]) + np.abs(a.biases)[:, None, None]
    return ((a.x.shape[1] + 40) * EPS * most,)


def conv2d_backward(a, expected):
    # dx, of too few channels for Winograd's form, and db are plain sums
    dx, _, db = reference.conv2d_backward(*map(np.abs, (a.dmaps, a.x, a.filters)), padding=1)
    most, tiles = largest_gradient(a.x, a.dmaps, 1, 3)
    pixels = a.dmaps.size // a.dmaps.shape[1]
    return (9 * a.dmaps.shape[1] + 2) * EPS * dx, (tiles + 40) * EPS * most, (pixels + 2) * EPS * db


def dense_gelu(a, expected):
    # gelu has slopes below 1.13: the error of the sum, and 4 ULP of the result
    magnitude = np.abs(a.flat) @ np.abs(a.w).T + np.abs(a.b)
    return (EPS * (1.13 * (a.flat.shape[1] + 3) * magnitude + 4 * np.abs(expected[0])),)


def two_ulp(a, expected):
    """Two units in the last place of the result."""
    return tuple(2 * np.spacing(np.abs(e).astype(np.float32)).astype(np.float64) for e in expected)


def slopes(first, second):
    """dx = dy f'(x): 8 eps |dy| (|f'| + |x f''|)."""
    return lambda a, expected: (8 * EPS * np.abs(a.dy) * (np.abs(first(a.x)) + np.abs(a.x * second(a.x))),)


def _spread(logits):
    # exp(fl(x - m)), m the maximum, is within (2 + |x - m| / 2) eps of its value, and a sum of c of them within
    # c / 2 eps more; twice that covers their quotient, and 2 eps the division
    return (logits.max(1) - logits.min(1) + logits.shape[1] + 6)[:, None]


def softmax(a, expected):
    return (_spread(a.logits) * EPS * expected[0],)


def log_softmax(a, expected):
    # (x - m) - log(sum): the sum as above, 2 ULP of its logarithm <= log c < c / 2, and the last rounding
    return ((_spread(a.logits) + a.logits.shape[1] + np.abs(expected[0])) * EPS,)


def softmax_backward(a, expected):
    # y (dy - sum(y dy)): no magnitude cancels
    dy = np.abs(a.dlogits)
    return ((dy.shape[1] + 4) * EPS * a.y * (dy + (a.y * dy).sum(1, keepdims=True)),)


def log_softmax_backward(a, expected):
    # dy - exp(y) sum(dy)
    dy = np.abs(a.dlogits)
    return ((dy.shape[1] + 6) * EPS * (dy + np.exp(a.log_y) * dy.sum(1, keepdims=True)),)


def cross_entropy(a, expected):
    # loss: the mean of the bounds of -log p at the targets, and the sum of n losses, none negative
    # dlogits = (p - onehot) / n: the bound of p, a subtraction and a division
    n, c = a.logits.shape
    log_p = reference.log_softmax(a.logits)
    picked = log_softmax(a, (log_p,))[0][np.arange(n), a.targets]
    onehot = a.targets[:, None] == np.arange(c)
    loss = picked.mean() + (n + 2) * EPS * expected[0]
    return (loss, (_spread(a.logits) + 2) * EPS * (np.exp(log_p) + onehot) / n)[: len(expected)]


def momentum(a, expected):
    # velocity' = 0.9 velocity + g and p' = p - 0.01 velocity', the constants rounded to float32
    velocity = 0.9 * np.abs(a.velocity) + np.abs(a.g)
    return 3 * EPS * (np.abs(a.p) + 0.02 * velocity), 3 * EPS * velocity


def _nearest(a):
    # the product form, centred on the mean m of the centroids, ranks distances up to this error
    d, mean = a.rows.shape[1], a.centroids.mean(0)
    return 4 * (d + 16) * EPS * (((a.rows - mean) ** 2).sum(1) + ((a.centroids - mean) ** 2).sum(1).max())


def kmeans_assign(a, expected):
    # what the chosen centroid may be farther than the nearest; the distance returned rounds d + 2 times
    return _nearest(a), _nearest(a) + (a.rows.shape[1] + 2) * EPS * expected[1]


def kmeans_accumulate(a, expected):
    # sums of whole numbers are exact; the inertia adds what the distances may be off
    nearest, inertia = _nearest(a).sum(), expected[2]
    return np.zeros_like(expected[0]), np.zeros_like(expected[1]), nearest + (a.rows.shape[1] + 2) * EPS * inertia
