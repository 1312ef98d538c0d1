"""Activations by channel: with learned or drawn slopes, by the parity of the channel.

Channels lie along axis 1, along the only axis of 1-D arrays; a 0-d array is one channel.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels.channelwise import (
    APL,
    BRELU,
    PRELU,
    SRELU,
    backward as run_backward,
    forward as run_forward,
    scaled,
    scaled_backward,
)
from .elementwise import ULP_COMPOSED, documented
from .parametric import leaky_relu, leaky_relu_backward

if TYPE_CHECKING:
    from .._typing import F, Flag, FloatLike, NDArray, Number

SCALARS = """{names} : float or array of the dtype of `x`
    {what}: a number or an array of size 1, or an array of shape (c,), one for each
    of the c channels (axis 1; the last axis of a 1-D `x`)."""
PIECES = """slopes, hinges : (s,) or (s, c) array of the dtype of `x`
    Of s pieces; the same for all channels, or one for each of the c channels (axis 1; the last axis of a 1-D `x`)."""
GRADIENT = """{} : of the shape of {}, dtype of `x`
    Sums over all elements that share the parameter, in an order that depends on sizes alone."""
SHAPES = ";\n    if a parameter has another shape"


def _channels(x):
    """How many channels x has, and how many neighbouring elements of each."""
    return (x.shape[1], math.prod(x.shape[2:])) if x.ndim > 1 else (math.prod(x.shape), 1)


def _parameter(name, value, x):
    """An array of the dtype of x; numbers take it."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return np.array(check.number(name, value), x.dtype)
    return check.real(name, value, x)


def _scalars(x, **parameters):
    """The parameters as arrays, by name, and stacked: (count, 1), or (count, channels) if any is given by channel."""
    channels, _ = _channels(x)
    arrays, width = {name: _parameter(name, value, x) for name, value in parameters.items()}, 1
    for name, array in arrays.items():
        if array.size != 1:
            width = channels
            if array.shape != (channels,):
                raise ValueError(f"{name} must be a scalar or have shape ({channels},), got {array.shape}")
    return arrays, _stack([a.reshape(()) if a.size == 1 else a for a in arrays.values()], width, x)


def _pieces(x, slopes, hinges):
    """The parameters of `apl` as arrays, by name, and stacked: slopes, then hinges."""
    channels, _ = _channels(x)
    arrays = {"slopes": _parameter("slopes", slopes, x), "hinges": _parameter("hinges", hinges, x)}
    pieces = arrays["slopes"].shape[0] if arrays["slopes"].ndim else "s"
    for name, array in arrays.items():
        if array.shape not in ((pieces,), (pieces, channels)):
            raise ValueError(f"{name} must have shape ({pieces},) or ({pieces}, {channels}), got {array.shape}")
    width = 1 if all(array.ndim == 1 for array in arrays.values()) else channels
    return arrays, _stack([row for array in arrays.values() for row in array], width, x)


def _stack(rows, width, x):
    stacked = np.empty((len(rows), width), x.dtype)
    for i, row in enumerate(rows):
        stacked[i] = row
    return stacked


def _inner(x, stacked):
    """The neighbouring elements that share a value of the parameters."""
    return x.size if stacked.shape[1] == 1 else _channels(x)[1]


def _forward(function, x, stacked, out, parameters=None):
    y = check.output(out, x.shape, x.dtype, {"x": x, **(parameters or {})}, ("x",))
    run_forward(function, x, stacked, _inner(x, stacked), y)
    return y[()] if out is None and not y.ndim else y


def _backward(function, dy, x, stacked, out, sums=None, parameters=None):
    dy = check.real("dy", dy, x)
    check.shape("dy", dy, x.shape)
    dx = check.output(out, x.shape, x.dtype, {"dy": dy, "x": x, **(parameters or {})}, ("dy", "x"))
    run_backward(function, dy, x, stacked, _inner(x, stacked), dx, sums)
    return dx[()] if out is None and not dx.ndim else dx


def _shaped(sums, like):
    """The gradient of a parameter like `like` from its sums by channel."""
    if like.size != 1:
        return sums.astype(like.dtype)
    total = like.dtype.type(sums[0] if sums.size == 1 else sums.sum())
    return np.full(like.shape, total) if like.ndim else total


@documented()
def brelu(x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]:
    """Bipolar rectifier: max(0, x) at even channels, min(0, x) at odd ones.

    L. Eidnes and A. Noekland, *Shifting mean activation towards zero with bipolar activation functions*, 2017.

    >>> nk.brelu(np.array([[-1.0, -1.0], [2.0, 2.0]]))
    array([[ 0., -1.],
           [ 2., -0.]])
    """
    x = check.real("x", x)
    return _forward(BRELU, x, _signs(_channels(x)[0], x.dtype), out)


@documented(gradient=True)
def brelu_backward(dy: FloatLike[F], x: FloatLike[F], *, out: NDArray[F] | None = None) -> NDArray[F]:
    """Gradient of `brelu`: dy where the function is not 0, else 0.

    >>> nk.brelu_backward(np.ones((2, 2)), np.array([[-1.0, -1.0], [2.0, 2.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    x = check.real("x", x)
    return _backward(BRELU, dy, x, _signs(_channels(x)[0], x.dtype), out)


@functools.lru_cache(maxsize=4)
def _signs(channels, dtype):
    signs = np.ones((1, channels), dtype)
    signs[:, 1::2] = -1
    signs.flags.writeable = False  # all callers share it
    return signs


SLOPE = SCALARS.format(names="slope", what="Factor below 0")


@documented(parameters=SLOPE, value_errors=SHAPES)
def prelu(x: FloatLike[F], *, slope: FloatLike[F], out: NDArray[F] | None = None) -> NDArray[F]:
    """Rectifier with a learned slope: slope x for x <= 0, else x. K. He et al., arXiv:1502.01852, 2015.

    >>> nk.prelu(np.array([[-1.0, -1.0], [2.0, 2.0]]), slope=np.array([0.5, 0.25]))
    array([[-0.5 , -0.25],
           [ 2.  ,  2.  ]])
    """
    x = check.real("x", x)
    arrays, stacked = _scalars(x, slope=slope)
    return _forward(PRELU, x, stacked, out, arrays)


@documented(gradient=True, parameters=SLOPE, value_errors=SHAPES, results=GRADIENT.format("dslope", "`slope`"))
def prelu_backward(
    dy: FloatLike[F], x: FloatLike[F], *, slope: FloatLike[F], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F]]:
    """Gradients of `prelu`: dx = dy for x > 0, else slope dy, also at 0; dslope = the sum of dy x where x is not > 0.

    >>> nk.prelu_backward(np.ones((2, 2)), np.array([[-1.0, -1.0], [2.0, -2.0]]), slope=np.array([0.5, 0.25]))
    (array([[0.5 , 0.25],
           [1.  , 0.25]]), array([-1., -3.]))
    """
    x = check.real("x", x)
    arrays, stacked = _scalars(x, slope=slope)
    sums = np.zeros(stacked.shape)
    dx = _backward(PRELU, dy, x, stacked, out, sums, arrays)
    return dx, _shaped(sums[0], arrays["slope"])


SIDES = SCALARS.format(names="t_left, a_left, t_right, a_right", what="Threshold and slope of either side")
OF_TERMS = "    Relative to the sum of the absolute terms."
SIDE_GRADIENTS = GRADIENT.format("dt_left, da_left, dt_right, da_right", "the parameters")


@documented(parameters=SIDES, value_errors=SHAPES, results=OF_TERMS, ulp=ULP_COMPOSED)
def srelu(
    x: FloatLike[F],
    *,
    t_left: FloatLike[F],
    a_left: FloatLike[F],
    t_right: FloatLike[F],
    a_right: FloatLike[F],
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """S-shaped rectifier: t + a (x - t) at and beyond the threshold of a side, the left one first; x between.

    X. Jin et al., *Deep learning with S-shaped rectified linear activation units*, AAAI 2016.

    >>> nk.srelu(np.array([-3.0, 0.5, 3.0]), t_left=-1.0, a_left=0.5, t_right=1.0, a_right=2.0)
    array([-2. ,  0.5,  5. ])
    """
    x = check.real("x", x)
    arrays, stacked = _scalars(x, t_left=t_left, a_left=a_left, t_right=t_right, a_right=a_right)
    return _forward(SRELU, x, stacked, out, arrays)


@documented(gradient=True, parameters=SIDES, value_errors=SHAPES, results=SIDE_GRADIENTS)
def srelu_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    *,
    t_left: FloatLike[F],
    a_left: FloatLike[F],
    t_right: FloatLike[F],
    a_right: FloatLike[F],
    out: NDArray[F] | None = None,
) -> tuple[NDArray[F], NDArray[F], NDArray[F], NDArray[F], NDArray[F]]:
    """Gradients of `srelu`: dx = a dy on the sides, dy between; dt and da = the sums of dy (1 - a) and dy (x - t).

    >>> nk.srelu_backward(np.ones(2), np.array([-3.0, 0.5]), t_left=-1.0, a_left=0.5, t_right=1.0, a_right=2.0)
    (array([0.5, 1. ]), np.float64(0.5), np.float64(-2.0), np.float64(0.0), np.float64(0.0))
    """
    x = check.real("x", x)
    arrays, stacked = _scalars(x, t_left=t_left, a_left=a_left, t_right=t_right, a_right=a_right)
    sums = np.zeros(stacked.shape)
    dx = _backward(SRELU, dy, x, stacked, out, sums, arrays)
    return (dx, *map(_shaped, sums, arrays.values()))


@documented(parameters=PIECES, value_errors=SHAPES, results=OF_TERMS, ulp=ULP_COMPOSED)
def apl(x: FloatLike[F], *, slopes: FloatLike[F], hinges: FloatLike[F], out: NDArray[F] | None = None) -> NDArray[F]:
    """Adaptive piecewise linear unit: max(0, x) + sum over s of slopes[s] max(0, hinges[s] - x).

    F. Agostinelli et al., *Learning activation functions to improve deep neural networks*, 2014.

    >>> nk.apl(np.array([-2.0, 3.0]), slopes=np.array([0.5, -1.0]), hinges=np.array([0.0, -1.0]))
    array([0., 3.])
    """
    x = check.real("x", x)
    arrays, stacked = _pieces(x, slopes, hinges)
    return _forward(APL, x, stacked, out, arrays)


@documented(
    gradient=True,
    parameters=PIECES,
    value_errors=SHAPES,
    results=GRADIENT.format("dslopes, dhinges", "`slopes` and `hinges`"),
)
def apl_backward(
    dy: FloatLike[F], x: FloatLike[F], *, slopes: FloatLike[F], hinges: FloatLike[F], out: NDArray[F] | None = None
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]:
    """Gradients of `apl`: with h_s = hinges[s] - x, dx = dy (H(x) - sum of slopes[s] H(h_s)); dslopes and dhinges = the
    sums of dy max(0, h_s) and dy slopes[s] H(h_s).

    >>> nk.apl_backward(np.ones(2), np.array([-2.0, 3.0]), slopes=np.array([0.5, -1.0]), hinges=np.array([0.0, -1.0]))
    (array([0.5, 1. ]), array([2., 1.]), array([ 0.5, -1. ]))
    """
    x = check.real("x", x)
    arrays, stacked = _pieces(x, slopes, hinges)
    sums = np.zeros(stacked.shape)
    dx = _backward(APL, dy, x, stacked, out, sums, arrays)
    halves = np.split(sums, 2)
    return (dx, *(_piece_sums(half, like) for half, like in zip(halves, arrays.values(), strict=True)))


def _piece_sums(sums, like):
    total = sums if like.ndim == 2 else sums.sum(axis=1)
    return total.astype(like.dtype)


BOUNDS = "lower, upper : float\n    Bounds of the slope below 0, lower <= upper."


@overload
def rrelu(
    x: FloatLike[F],
    *,
    out: NDArray[F] | None = ...,
    lower: Number = ...,
    upper: Number = ...,
    training: Literal[False] = ...,
    rng: np.random.Generator | None = ...,
) -> NDArray[F]: ...
@overload
def rrelu(
    x: FloatLike[F],
    *,
    out: NDArray[F] | None = ...,
    lower: Number = ...,
    upper: Number = ...,
    training: Literal[True],
    rng: np.random.Generator | None,
) -> tuple[NDArray[F], NDArray[F]]: ...
@documented(
    parameters=BOUNDS
    + """
training : bool
    Draw a slope for every element; otherwise all are the mean of the bounds.
rng : numpy.random.Generator
    Where the slopes come from in training.""",
    results="slopes : array of the shape and dtype of `x`\n    In training only: what `rrelu_backward` takes.",
    type_errors=";\n    if `rng` is not a generator in training",
    value_errors=";\n    if lower > upper",
)
def rrelu(
    x: FloatLike[F],
    *,
    out: NDArray[F] | None = None,
    lower: Number = 1 / 8,
    upper: Number = 1 / 3,
    training: Flag = False,
    rng: np.random.Generator | None = None,
) -> NDArray[F] | tuple[NDArray[F], NDArray[F]]:
    """Rectifier with random slopes: slope x for x <= 0, else x. B. Xu et al., arXiv:1505.00853, 2015.

    >>> y, slopes = nk.rrelu(np.array([-1.0, 2.0]), training=True, rng=np.random.default_rng(0))
    >>> bool(y[0] == -slopes[0]) and float(y[1])
    2.0
    """
    lower, upper = _bounds(lower, upper)
    if not check.flag("training", training):
        return leaky_relu(x, slope=(lower + upper) / 2, out=out)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    x = check.real("x", x)
    y = check.output(out, x.shape, x.dtype, {"x": x}, ("x",))
    slopes = np.asarray(rng.random(x.shape, x.dtype), x.dtype)
    slopes *= upper - lower
    slopes += lower
    np.minimum(slopes, upper, out=slopes)  # rounding may lead beyond
    scaled(x, slopes, y)
    return (y[()] if out is None and not y.ndim else y), slopes[()]


@documented(
    gradient=True,
    parameters=BOUNDS
    + """
training : bool
    Then `slopes` must be given.
slopes : array of the shape and dtype of `x`, optional
    What `rrelu` returned in training; otherwise all are the mean of the bounds.""",
    type_errors=";\n    if `slopes` is missing in training",
    value_errors=";\n    if lower > upper",
)
def rrelu_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    *,
    out: NDArray[F] | None = None,
    lower: Number = 1 / 8,
    upper: Number = 1 / 3,
    training: Flag = False,
    slopes: FloatLike[F] | None = None,
) -> NDArray[F]:
    """Gradient of `rrelu`: dy for x > 0, else slope dy, also at 0.

    >>> nk.rrelu_backward(np.array([4.0, 4.0]), np.array([-1.0, 2.0]), slopes=np.array([0.25, 0.125]))
    array([1., 4.])
    """
    lower, upper = _bounds(lower, upper)
    training = check.flag("training", training)
    if slopes is None:
        if training:
            raise TypeError("slopes must be the array that rrelu returned in training, got NoneType")
        return leaky_relu_backward(dy, x, slope=(lower + upper) / 2, out=out)
    x = check.real("x", x)
    arrays = {"dy": check.real("dy", dy, x), "slopes": check.real("slopes", slopes, x), "x": x}
    for name, array in arrays.items():
        check.shape(name, array, x.shape)
    dx = check.output(out, x.shape, x.dtype, arrays, ("dy", "x"))
    scaled_backward(arrays["dy"], x, arrays["slopes"], dx)
    return dx[()] if out is None and not dx.ndim else dx


def _bounds(lower, upper):
    lower, upper = check.number("lower", lower), check.number("upper", upper)
    if not lower <= upper:
        raise ValueError(f"lower must be at most upper, got {lower} and {upper}")
    return lower, upper
