"""The gated linear unit: one half of the channels opens or closes the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels import activation as _activation

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int, NDArray


def _halves(x, axis):
    """Views of both halves of `x` along the axis."""
    channels = x.shape[axis]
    if channels % 2:
        raise ValueError(f"x must have an even size along axis {axis}, got shape {x.shape}")
    first = (slice(None),) * axis
    return x[(*first, slice(channels // 2))], x[(*first, slice(channels // 2, None))]


def glu(x: FloatLike[F], axis: Int = 1) -> NDArray[F]:
    """``a sigmoid(b)``, a and b the halves of the channels. Y. N. Dauphin et al., arXiv:1612.08083, 2016.

    Parameters
    ----------
    x : array of float32 or float64
        Any strides, at least one axis.
    axis : int
        The axis that is halved; its size must be even. Negative counts from the end.

    Returns
    -------
    y : array, dtype of `x`, half its size along the axis
        Within 5 ULP.

    Raises
    ------
    TypeError
        If the dtype is not float32 or float64, or `axis` is not an int.
    ValueError
        If the size along the axis is odd, or there is no such axis.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.glu(np.array([[4.0, 6.0, 0.0, np.inf]]))
    array([[2., 6.]])
    """
    x = check.real("x", x)
    a, b = _halves(x, check.axis(axis, x))
    y = check.empty(a.shape, x.dtype)
    _activation.glu(a, b, y)
    return y


def glu_backward(dy: FloatLike[F], x: FloatLike[F], axis: Int = 1) -> NDArray[F]:
    """Gradient of `glu`.

    Parameters
    ----------
    dy : array, dtype of `x`, half its size along the axis
        Gradient of the loss with respect to the result; any strides.
    x : array of float32 or float64
        What `glu` was given.
    axis : int
        As of `glu`.

    Returns
    -------
    dx : array, shape and dtype of `x`
        ``dy sigmoid(b)`` and ``dy a sigmoid'(b)``, one behind the other along the axis; within 8 ULP.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`, or `axis` is not an int.
    ValueError
        If a shape does not match, the size along the axis is odd, or there is no such axis.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.glu_backward(np.array([[1.0]]), np.array([[8.0, 0.0]]))
    array([[0.5, 2. ]])
    """
    x = check.real("x", x)
    axis = check.axis(axis, x)
    a, b = _halves(x, axis)
    dy = check.real("dy", dy, x)
    check.shape("dy", dy, a.shape)
    dx = check.empty(x.shape, x.dtype)
    _activation.glu_backward(dy, a, b, *_halves(dx, axis))
    return dx
