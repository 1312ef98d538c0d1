"""Pooling to a given size, and its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import (
    adaptive as _adaptive,
    adaptive_backward as _adaptive_backward,
    global_pool as _global_pool,
    pool as _pool,
    pool_backward as _pool_backward,
)
from .pooling import form_of, images_of, max_pool2d_backward, places_of, window_of

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, FloatLike, Int2, Int2OrNone, NDArray


def _result(x: NDArray[Any], output_size: object) -> tuple[int, ...]:
    """The shape of the result; None in `output_size` keeps the size of the image."""
    if not all(x.shape[2:]):
        raise ValueError(f"x must have at least one row and one column, got {x.shape}")
    if isinstance(output_size, (tuple, list)) and len(output_size) == 2:
        output_size = [size if given is None else given for size, given in zip(x.shape[2:], output_size, strict=True)]
    return (*x.shape[:2], *check.pair("output_size", output_size, 0, "an int or a pair of ints or None"))


def _equal(size, windows):
    """The `PoolGeometry` where windows of one or two columns do not meet, which the kernels of sliding windows pick out
    of a vector; they give the same bits, and otherwise take up to three times as long."""
    (h, w), (oh, ow) = size, windows
    return None if h % oh or w % ow or w // ow > 2 else window_of(h, w, (h // oh, w // ow), None, 0, 1, False)


def adaptive_avg_pool2d(x: FloatLike[F], output_size: Int2OrNone) -> NDArray[F]:
    """The mean of each of the windows that share out the images.

    Window i of the oh windows of h rows holds the rows from floor(i h / oh) to ceil((i + 1) h / oh), that one
    left out: all are as large where oh divides h, else neighbours share a row at most. The same goes for columns.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first, at least one row and column; any strides.
    output_size : int or (int or None, int or None)
        Rows and columns of the result; None keeps those of `x`.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If `x` does not have four axes or its planes are empty, or a size is negative.

    Notes
    -----
    The error is that of `avg_pool2d` with a window as large.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren and J. Sun, "Spatial pyramid pooling in deep convolutional networks for visual
       recognition", ECCV 2014.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.adaptive_avg_pool2d(np.arange(15.0).reshape(1, 1, 3, 5), (None, 2))[0, 0]
    array([[ 1.,  3.],
           [ 6.,  8.],
           [11., 13.]])
    """
    x = images_of("x", x)
    shape = _result(x, output_size)
    y = check.empty(shape, x.dtype)
    if not y.size:
        return y
    window = _equal(x.shape[2:], shape[2:])
    if shape[2] == shape[3] == 1:
        _global_pool.forward(x, y.reshape(shape[:2]), True)
    elif window is None:
        _adaptive.forward(x, y, None, True)
    else:
        form_of(window, x, _pool).mean_forward(x, y, window, True)
    return y


def adaptive_avg_pool2d_backward(dy: FloatLike[F], input_size: Int2) -> NDArray[F]:
    """Gradient of `adaptive_avg_pool2d`: each `dy` is shared out evenly over its window.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
    input_size : (h, w)
        Rows and columns of the images, at least 1.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or a size is not an int.
    ValueError
        If `dy` does not have four axes, or a size is less than 1.

    Notes
    -----
    The error is at most ``(min(i, 8192) + min(j, 8192) + 5) eps adaptive_avg_pool2d_backward(|dy|)`` for a pixel that
    is in i rows and j columns of windows, in float64 ``(i + j) / 8192`` eps more.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.adaptive_avg_pool2d_backward(np.array([[[[6.0, 9.0]]]]), (1, 5))
    array([[[[2., 2., 5., 3., 3.]]]])
    """
    dy = images_of("dy", dy, "(n, c, oh, ow)")
    h, w = check.pair("input_size", input_size, 1)
    dx = check.empty((*dy.shape[:2], h, w), dy.dtype)
    if not dy.size:
        dx[...] = 0
        return dx
    window = _equal((h, w), dy.shape[2:])
    if dy.shape[2:] == (1, 1):
        _global_pool.mean_backward(dy[:, :, 0, 0], dx)
    elif window is None:
        _adaptive_backward.backward(dy, dx)
    else:
        form_of(window, dx, _pool_backward).mean_backward(dy, dx, window, True)
    return dx


@overload
def adaptive_max_pool2d(
    x: FloatLike[F], output_size: Int2OrNone, *, return_indices: Literal[False] = ...
) -> NDArray[F]: ...
@overload
def adaptive_max_pool2d(
    x: FloatLike[F], output_size: Int2OrNone, *, return_indices: Literal[True]
) -> tuple[NDArray[F], NDArray[np.int32]]: ...
def adaptive_max_pool2d(
    x: FloatLike[F], output_size: Int2OrNone, *, return_indices: bool = False
) -> NDArray[F] | tuple[NDArray[F], NDArray[np.int32]]:
    """The largest element of each of the windows that share out the images.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first, at least one row and column; any strides.
    output_size : int or (int or None, int or None)
        Rows and columns of the result; None keeps those of `x`. The windows are those of `adaptive_avg_pool2d`.
    return_indices : bool
        Return where each maximum was found.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`
        A NaN wins over every number.
    indices : (n, c, oh, ow) array of int32, if `return_indices`
        Flat positions in the (h, w) plane; of equal maxima the first, of NaN the first (PyTorch: the last NaN).

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If `x` does not have four axes or its planes are empty, a size is negative, or the plane has more than
        2**31 - 1 elements with `return_indices`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[1.0, 3.0, 2.0], [4.0, 6.0, 5.0]])
    >>> y, indices = nk.adaptive_max_pool2d(x[None, None], (1, 2), return_indices=True)
    >>> y[0, 0], indices[0, 0]
    (array([[6., 6.]]), array([[4, 4]], dtype=int32))
    """
    x = images_of("x", x)
    shape = _result(x, output_size)
    indices = places_of(x, shape, return_indices)
    y = check.empty(shape, x.dtype)
    if y.size:
        _maxima(x, y, indices)
    return y if indices is None else (y, indices)


def _maxima(x, y, indices):
    window = _equal(x.shape[2:], y.shape[2:])
    if y.shape[2:] == (1, 1) and indices is None:
        _global_pool.forward(x, y.reshape(y.shape[:2]), False)
    elif window is None or y.shape[2:] == (1, 1):
        _adaptive.forward(x, y, indices, False)
    else:
        form_of(window, x, _pool).max_forward(x, y, indices, window)


def adaptive_max_pool2d_backward(dy: FloatLike[F], indices: ArrayLike, input_size: Int2) -> NDArray[F]:
    """Gradient of `adaptive_max_pool2d`: each `dy` goes to the place its maximum came from.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
    indices : (n, c, oh, ow) array of integers
        As `adaptive_max_pool2d` returned them, of any integer dtype.
    input_size : (int, int) or int
        Rows and columns of the images.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or `indices` are not integers.
    ValueError
        If the shapes differ or an index is outside [0, h * w).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.adaptive_max_pool2d_backward(np.array([[[[5.0, 2.0]]]]), np.array([[[[4, 4]]]]), (2, 3))[0, 0]
    array([[0., 0., 0.],
           [0., 7., 0.]])
    """
    return max_pool2d_backward(dy, indices, input_size)


def global_max_pool2d_backward(dy: FloatLike[F], x: FloatLike[F]) -> NDArray[F]:
    """Gradient of `global_max_pool2d`: each `dy` goes to the largest element of its plane.

    Of equal maxima the first one takes all, as in PyTorch's ``adaptive_max_pool2d(x, 1)`` (whose ``amax`` shares it
    out among them); of NaN the first.

    Parameters
    ----------
    dy : (n, c) array of float32 or float64
    x : (n, c, h, w) array, dtype of `dy`
        What `global_max_pool2d` was given; any strides.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or `x` has another dtype.
    ValueError
        If `x` does not have four axes, its planes are empty or have more than 2**31 - 1 elements, or `dy` does not have
        the shape (n, c).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.global_max_pool2d_backward(np.array([[3.0]]), np.array([[[[1.0, 4.0, 4.0]]]]))
    array([[[[0., 3., 0.]]]])
    """
    dy = check.real("dy", dy)
    x = check.real("x", x, dy, "dy")
    check.rank("x", x, 4, "(n, c, h, w)")
    check.shape("dy", dy, x.shape[:2])
    if x.shape[2] * x.shape[3] > 2**31 - 1:
        raise ValueError(f"x must have planes of at most {2**31 - 1} elements, got {x.shape}")
    _, indices = adaptive_max_pool2d(x, 1, return_indices=True)
    dx = check.empty(x.shape, x.dtype)
    _pool_backward.max_backward(dy[:, :, None, None], indices, dx)
    return dx
