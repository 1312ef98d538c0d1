"""Softmax, log-softmax and their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels import softmax as _softmax

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int, NDArray


def _fold(x, axis):
    """(outer, c) or (outer, c, inner); a view wherever the strides fold."""
    shape = x.shape
    if axis == 1 and len(shape) == 2:
        return x
    return x.reshape(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def _forward(x, axis, out, log):
    x = check.real("x", x)
    axis = check.axis(axis, x)
    if out is None:
        y = check.empty(x.shape, x.dtype)
    else:
        y = check.output(out, x.shape, x.dtype, {"x": x}, may_be=("x",))
    if y.size:
        _softmax.forward(_fold(x, axis), _fold(y, axis), log)
    return y


def softmax(x: FloatLike[F], axis: Int = -1, *, out: NDArray[F] | None = None) -> NDArray[F]:
    """Exponentials along an axis, scaled to the sum 1.

    Parameters
    ----------
    x : array of float32 or float64
        At least one axis; any strides. Copied only where the axes before or those after `axis` do not fold into one.
    axis : int
    out : array of the shape and dtype of `x`, optional
        C-contiguous; may be `x`.

    Returns
    -------
    y : array of the shape and dtype of `x`
        ``exp(x - m) / sum(exp(x - m))`` with m the maximum along `axis`.

    Raises
    ------
    TypeError
        If the dtype is not float32 or float64, or `axis` is not an int.
    ValueError
        If `x` is 0-d or `axis` is out of range.

    Notes
    -----
    Of any size of `x` the result is finite; a row that holds +inf or NaN, or only -inf, is NaN. The relative error is
    at most ``(min(c, 8192) + c / 8192 + (m - x) + 8) eps`` for c elements along `axis`: sums of more than 8192 are
    those of pieces, added in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.softmax(np.log([1.0, 2.0, 5.0]))
    array([0.125, 0.25 , 0.625])
    """
    return _forward(x, axis, out, False)


def log_softmax(x: FloatLike[F], axis: Int = -1, *, out: NDArray[F] | None = None) -> NDArray[F]:
    """Logarithm of `softmax`, computed without rounding small probabilities to 0.

    Parameters
    ----------
    x : array of float32 or float64
        At least one axis; any strides. Copied only where the axes before or those after `axis` do not fold into one.
    axis : int
    out : array of the shape and dtype of `x`, optional
        C-contiguous; may be `x`.

    Returns
    -------
    y : array of the shape and dtype of `x`
        ``x - m - log(sum(exp(x - m)))`` with m the maximum along `axis`.

    Raises
    ------
    TypeError, ValueError
        As `softmax`.

    Notes
    -----
    The error is at most ``(min(c, 8192) + c / 8192 + 2 |y| + (m - x) + 8) eps`` for c elements along `axis`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.log_softmax(np.array([0.0, 1000.0]))
    array([-1000.,     0.])
    """
    return _forward(x, axis, out, True)


def _backward(dy, y, axis, log):
    y = check.real("y", y)
    dy = check.real("dy", dy, y, "y")
    check.shape("dy", dy, y.shape)
    axis = check.axis(axis, y)
    dx = check.empty(y.shape, y.dtype)
    if dx.size:
        _softmax.backward(_fold(dy, axis), _fold(y, axis), _fold(dx, axis), log)
    return dx


def softmax_backward(dy: FloatLike[F], y: FloatLike[F], axis: Int = -1) -> NDArray[F]:
    """Gradient of `softmax`.

    Parameters
    ----------
    dy : array, shape and dtype of `y`
        Gradient of the loss with respect to the result.
    y : array of float32 or float64
        The result of `softmax`.
    axis : int

    Returns
    -------
    dx : array, shape and dtype of `y`
        ``y (dy - sum(y dy))``

    Raises
    ------
    TypeError, ValueError
        As `softmax`; also if the shapes differ.

    Notes
    -----
    The error is at most ``(min(c, 8192) + c / 8192 + 4) eps |y| (|dy| + sum(|y dy|))`` for c elements along `axis`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.softmax_backward(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    array([ 0.25, -0.25])
    """
    return _backward(dy, y, axis, False)


def log_softmax_backward(dy: FloatLike[F], y: FloatLike[F], axis: Int = -1) -> NDArray[F]:
    """Gradient of `log_softmax`.

    Parameters
    ----------
    dy : array, shape and dtype of `y`
        Gradient of the loss with respect to the result.
    y : array of float32 or float64
        The result of `log_softmax`.
    axis : int

    Returns
    -------
    dx : array, shape and dtype of `y`
        ``dy - exp(y) sum(dy)``

    Raises
    ------
    TypeError, ValueError
        As `softmax`; also if the shapes differ.

    Notes
    -----
    The error is at most ``(min(c, 8192) + c / 8192 + 6) eps (|dy| + exp(y) sum(|dy|))`` for c elements along `axis`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.log_softmax_backward(np.array([1.0, 0.0]), np.log([0.5, 0.5]))
    array([ 0.5, -0.5])
    """
    return _backward(dy, y, axis, True)
