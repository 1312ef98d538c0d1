"""Functions by channel, with parameters that are learned or drawn, and their gradients.

Channels lie along axis 1, or along the only axis. A parameter is a scalar or has one value a channel; of `apl` it has
shape (s,) or (s, c).
"""

import numpy as np

from ._common import quiet
from .activation_exp import sigmoid, sigmoid_backward
from .activation_linear import leaky_relu, leaky_relu_backward, line, relu, relu_backward


def by_channel(parameter, x):
    """A parameter as an array that broadcasts against x."""
    parameter = np.asarray(parameter, x.dtype)
    if parameter.size == 1:
        return parameter.reshape(())
    return parameter.reshape((-1,) + (1,) * (x.ndim - 2) if x.ndim > 1 else -1)


def total(terms, parameter):
    """The sum of terms, of the shape of x, over all elements that share a value of the parameter."""
    shape = np.shape(parameter)
    if np.size(parameter) == 1:
        return terms.sum().reshape(shape)
    return terms.sum(axis=tuple(axis for axis in range(terms.ndim) if axis != min(1, terms.ndim - 1)))


def brelu(x):
    """relu(x) at even channels, -relu(-x) at odd ones."""
    sign = _signs(x)
    return sign * relu(sign * x)


def brelu_backward(dy, x):
    """f' = 1 for x > 0 at even and for x < 0 at odd channels, else 0."""
    return relu_backward(dy, _signs(x) * x)


def _signs(x):
    count = x.shape[min(1, x.ndim - 1)] if x.ndim else 1
    return by_channel(1 - 2 * (np.arange(count) % 2), x)


def prelu(x, *, slope):
    """slope x for x <= 0, else x."""
    return leaky_relu(x, by_channel(slope, x))


@quiet
def prelu_backward(dy, x, *, slope):
    """dx, dslope: f' = 1 for x > 0, else slope; df / dslope = 0 for x > 0, else x."""
    return leaky_relu_backward(dy, x, by_channel(slope, x)), total(np.where(x > 0, 0, dy * x), slope)


def rrelu(x, *, lower=1 / 8, upper=1 / 3, slopes=None):
    """slopes x for x <= 0, else x; the mean of the bounds without slopes."""
    return leaky_relu(x, (lower + upper) / 2 if slopes is None else slopes)


def rrelu_backward(dy, x, *, lower=1 / 8, upper=1 / 3, slopes=None):
    """f' = 1 for x > 0, else slopes."""
    return leaky_relu_backward(dy, x, (lower + upper) / 2 if slopes is None else slopes)


@quiet
def srelu(x, *, t_left, a_left, t_right, a_right):
    """t_left + a_left (x - t_left) for x <= t_left; x between; t_right + a_right (x - t_right) for x >= t_right."""
    tl, al, tr, ar = (by_channel(p, x) for p in (t_left, a_left, t_right, a_right))
    right = np.where(x >= tr, tr + line(ar, x - tr), x)
    return np.where(x <= tl, tl + line(al, x - tl), right)


@quiet
def srelu_backward(dy, x, *, t_left, a_left, t_right, a_right):
    """dx, dt_left, da_left, dt_right, da_right: on the left a_left, 1 - a_left, x - t_left, and so on the right."""
    tl, al, tr, ar = (by_channel(p, x) for p in (t_left, a_left, t_right, a_right))
    left, right = x <= tl, (x >= tr) & ~(x <= tl)
    dx = dy * np.where(left, al, np.where(right, ar, 1))
    sides = (left, 1 - al, t_left), (left, x - tl, a_left), (right, 1 - ar, t_right), (right, x - tr, a_right)
    return (dx, *(total(np.where(side, dy * slope, 0), parameter) for side, slope, parameter in sides))


def apl(x, *, slopes, hinges):
    """max(0, x) + sum over s of slopes[s] max(0, hinges[s] - x)."""
    y = relu(x)
    for slope, hinge in zip(slopes, hinges, strict=True):
        y = y + line(by_channel(slope, x), relu(by_channel(hinge, x) - x))
    return y


@quiet
def apl_backward(dy, x, *, slopes, hinges):
    """dx, dslopes, dhinges: with h = hinges[s] - x, H(x) - sum of slopes[s] H(h), max(0, h), slopes[s] H(h)."""
    dx, dslopes, dhinges = relu_backward(dy, x), [], []
    for slope, hinge in zip(slopes, hinges, strict=True):
        a, rest = by_channel(slope, x), by_channel(hinge, x) - x
        below = np.where(rest <= 0, 0, a * dy)
        dx = dx - below
        dslopes.append(total(dy * relu(rest), slope))
        dhinges.append(total(below, hinge))
    return dx, np.array(dslopes), np.array(dhinges)


def glu(x, axis=1):
    """a sigmoid(b), a and b the halves of x along the axis."""
    a, b = np.split(x, 2, axis)
    return a * sigmoid(b)


def glu_backward(dy, x, axis=1):
    """dx: dy sigmoid(b) for a, dy a sigmoid'(b) for b."""
    a, b = np.split(x, 2, axis)
    return np.concatenate([dy * sigmoid(b), sigmoid_backward(dy, b) * a], axis)


def maxout(x, pieces):
    """y, which: the maximum of every `pieces` neighbouring channels, and its place; the first NaN or maximum wins."""
    axis = min(1, x.ndim - 1)
    groups = x.reshape(x.shape[:axis] + (x.shape[axis] // pieces, pieces) + x.shape[axis + 1 :])
    which = groups.argmax(axis + 1).astype(np.int32)  # a NaN counts as the maximum, as here
    return np.take_along_axis(groups, np.expand_dims(which, axis + 1), axis + 1).squeeze(axis + 1), which


def maxout_backward(dy, which, pieces):
    """dx: dy at the place of the maximum, else 0."""
    axis = min(1, dy.ndim - 1)
    dx = np.zeros(dy.shape[: axis + 1] + (pieces,) + dy.shape[axis + 1 :], dy.dtype)
    np.put_along_axis(dx, np.expand_dims(which, axis + 1), np.expand_dims(dy, axis + 1), axis + 1)
    return dx.reshape(dy.shape[:axis] + (dy.shape[axis] * pieces,) + dy.shape[axis + 1 :])
