"""Pooling of whole planes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels import global_pool as _global_pool

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int2, NDArray


def _whole_planes(name, value, mean):
    x = check.real(name, value)
    check.rank(name, x, 4, "(n, c, h, w)")
    if x.shape[2] == 0 or x.shape[3] == 0:
        raise ValueError(f"{name} must have at least one row and one column, got {x.shape}")
    y = check.empty(x.shape[:2], x.dtype)
    _global_pool.forward(x, y, mean)
    return y


def global_avg_pool2d(x: FloatLike[F]) -> NDArray[F]:
    """The mean of each plane.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Any strides.

    Returns
    -------
    y : (n, c) array, dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not float32 or float64.
    ValueError
        If `x` does not have four axes, or its planes are empty.

    Notes
    -----
    Pieces of 1024 elements are summed in the dtype of `x`, their sums in float64. The error is at most
    ``(min(h w, 1024) + 2) eps global_avg_pool2d(|x|)``, in float64 ``(h w + 2) eps global_avg_pool2d(|x|)``.

    References
    ----------
    .. [1] M. Lin, Q. Chen and S. Yan, "Network in network", arXiv:1312.4400, 2013.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.global_avg_pool2d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[1.5, 5.5]])
    """
    return _whole_planes("x", x, True)


def global_avg_pool2d_backward(dy: FloatLike[F], input_size: Int2) -> NDArray[F]:
    """Gradient of `global_avg_pool2d`: each `dy` is shared out evenly over its plane.

    Parameters
    ----------
    dy : (n, c) array of float32 or float64
    input_size : (h, w)
        Rows and columns of the images, at least 1.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`

    Raises
    ------
    TypeError, ValueError
        If `dy` is not float32 or float64, does not have two axes, or a size is not an int of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.global_avg_pool2d_backward(np.array([[3.0]]), (1, 3))
    array([[[[1., 1., 1.]]]])
    """
    dy = check.real("dy", dy)
    check.rank("dy", dy, 2, "(n, c)")
    h, w = check.pair("input_size", input_size, 1)
    dx = check.empty((*dy.shape, h, w), dy.dtype)
    _global_pool.mean_backward(dy, dx)
    return dx


def global_max_pool2d(x: FloatLike[F]) -> NDArray[F]:
    """The largest element of each plane, NaN if it holds one.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Any strides.

    Returns
    -------
    y : (n, c) array, dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not float32 or float64.
    ValueError
        If `x` does not have four axes, or its planes are empty.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.global_max_pool2d(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[3., 7.]])
    """
    return _whole_planes("x", x, False)
