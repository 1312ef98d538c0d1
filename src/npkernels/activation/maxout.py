"""The maximum of neighbouring channels, which lie along axis 1, or along the only axis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _arguments as check
from .._kernels import channelwise as _channelwise

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, FloatLike, Int, NDArray


def _axis(name, array):
    if not array.ndim:
        raise ValueError(f"{name} must have a channel axis, got shape ()")
    return min(1, array.ndim - 1)


def maxout(x: FloatLike[F], pieces: Int) -> tuple[NDArray[F], NDArray[np.int32]]:
    """Maximum of every `pieces` neighbouring channels. I. Goodfellow et al., arXiv:1302.4389, 2013.

    Parameters
    ----------
    x : (n, c, ...) or (c,) array of float32 or float64
        Any strides.
    pieces : int
        Divides c.

    Returns
    -------
    y : (n, c / pieces, ...) or (c / pieces,) array, dtype of `x`
        The maxima; a NaN counts as the maximum.
    which : int32 array of the shape of `y`
        The place of the maximum among its pieces, the first if there are several.

    Raises
    ------
    TypeError
        If the dtype is not float32 or float64, or `pieces` is not an int.
    ValueError
        If `pieces` is below 1 or does not divide c, or `x` is 0-d.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.maxout(np.array([[1.0, 3.0, 2.0, 2.0]]), 2)
    (array([[3., 2.]]), array([[1, 0]], dtype=int32))
    """
    x = check.real("x", x)
    axis = _axis("x", x)
    pieces = check.integer("pieces", pieces, 1, 2**31 - 1)
    channels = x.shape[axis]
    if channels % pieces:
        raise ValueError(f"pieces must divide the {channels} channels, got {pieces}")
    shape = x.shape[:axis] + (channels // pieces,) + x.shape[axis + 1 :]
    y, which = check.empty(shape, x.dtype), check.empty(shape, np.int32)
    _channelwise.maxout(x, axis, pieces, y, which)
    return y, which


def maxout_backward(dy: FloatLike[F], which: ArrayLike, pieces: Int) -> NDArray[F]:
    """Gradient of `maxout`: dy at the place of the maximum, 0 at the other pieces.

    Parameters
    ----------
    dy : (n, c / pieces, ...) or (c / pieces,) array of float32 or float64
        Gradient of the loss with respect to the maxima; any strides.
    which : array of the shape of `dy`, any integer dtype
        What `maxout` returned.
    pieces : int
        As of `maxout`.

    Returns
    -------
    dx : (n, c, ...) or (c,) array, dtype of `dy`

    Raises
    ------
    TypeError
        If a dtype is not as stated, or `pieces` is not an int.
    ValueError
        If `pieces` is below 1, a shape differs from that of `dy`, `dy` is 0-d, or `which` is not in [0, pieces).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.maxout_backward(np.array([[5.0, 6.0]]), np.array([[1, 0]]), 2)
    array([[0., 5., 6., 0.]])
    """
    dy = check.real("dy", dy)
    axis = _axis("dy", dy)
    which = check.integers("which", which)
    check.shape("which", which, dy.shape)
    pieces = check.integer("pieces", pieces, 1, 2**31 - 1)
    if which.size and not (which.min() >= 0 and which.max() < pieces):
        raise ValueError(f"which must be in [0, {pieces}), got {which.min()} to {which.max()}")
    dx = check.empty((*dy.shape[:axis], dy.shape[axis] * pieces, *dy.shape[axis + 1 :]), dy.dtype)
    _channelwise.maxout_backward(dy, np.require(which, np.int32, ["C", "A"]), axis, pieces, dx)
    return dx
