"""Max and average pooling of signals (n, c, l), and their gradients: those of images of one row."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import pool as _pool, pool_backward as _pool_backward
from .._lines import ends, rows
from .pooling import form_of, window_of

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, Flag, FloatLike, Int, NDArray, Padding1


def _window(length, kernel_size, stride, padding, dilation, ceil_mode):
    ceil_mode = check.flag("ceil_mode", ceil_mode)
    if type(kernel_size) is type(padding) is type(dilation) is int and (stride is None or type(stride) is int):
        return _window_of_ints(length, kernel_size, stride, padding, dilation, ceil_mode)
    return _window_of_ints.__wrapped__(length, kernel_size, stride, padding, dilation, ceil_mode)


@lru_cache(maxsize=256)
def _window_of_ints(length, kernel_size, stride, padding, dilation, ceil_mode):
    kernel = check.integer("kernel_size", kernel_size, 1)
    stride = kernel if stride is None else check.integer("stride", stride, 1)
    dilation = check.integer("dilation", dilation, 1)
    return window_of(1, length, (1, kernel), (1, stride), ends(padding), (1, dilation), ceil_mode)


@overload
def max_pool1d(
    x: FloatLike[F],
    kernel_size: Int,
    *,
    stride: Int | None = ...,
    padding: Padding1 = ...,
    dilation: Int = ...,
    ceil_mode: Flag = ...,
    return_indices: Literal[False] = ...,
    out: NDArray[F] | None = ...,
) -> NDArray[F]: ...
@overload
def max_pool1d(
    x: FloatLike[F],
    kernel_size: Int,
    *,
    stride: Int | None = ...,
    padding: Padding1 = ...,
    dilation: Int = ...,
    ceil_mode: Flag = ...,
    return_indices: Literal[True],
    out: NDArray[F] | None = ...,
) -> tuple[NDArray[F], NDArray[np.int32]]: ...
def max_pool1d(
    x: FloatLike[F],
    kernel_size: Int,
    *,
    stride: Int | None = None,
    padding: Padding1 = 0,
    dilation: Int = 1,
    ceil_mode: Flag = False,
    return_indices: bool = False,
    out: NDArray[F] | None = None,
) -> NDArray[F] | tuple[NDArray[F], NDArray[np.int32]]:
    """The largest element of each window that slides over the signals.

    Parameters
    ----------
    x : (n, c, l) array of float32 or float64
        Signals, channels first; any strides.
    kernel_size, dilation : int
    stride : int, optional
        `kernel_size` if None.
    padding : int or (begin, end)
        Each side smaller than the (dilated) window. Padding is never the maximum.
    ceil_mode : bool
        Keep a last window that reaches beyond the signal, if it starts inside the signal or its leading pad.
    return_indices : bool
        Return where each maximum was found.
    out : (n, c, ol) array, dtype of `x`, optional
        C-contiguous; must not overlap `x`.

    Returns
    -------
    y : (n, c, ol) array, dtype of `x`
        A NaN wins over every number.
    indices : (n, c, ol) array of int32, if `return_indices`
        Positions in the signal; of equal maxima the first, of NaN the first.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If a shape or size is out of range, a window covers no element of the signal, or the signal has more than
        2**31 - 1 elements with `return_indices`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.max_pool1d(np.array([[[1.0, 3.0, 2.0, 0.0]]]), 2, return_indices=True)
    (array([[[3., 2.]]]), array([[[1, 2]]], dtype=int32))
    """
    x = check.real("x", x)
    check.rank("x", x, 3, "(n, c, l)")
    window = _window(x.shape[2], kernel_size, stride, padding, dilation, ceil_mode)
    shape = (*x.shape[:2], window.ow)
    indices = None
    if check.flag("return_indices", return_indices):
        if x.shape[2] > 2**31 - 1:
            raise ValueError(f"return_indices must go with at most {2**31 - 1} elements, got {x.shape[2]}")
        indices = check.empty(shape, np.int32)
    y = check.output(out, shape, x.dtype, {"x": x})
    images = rows(x)
    form_of(window, images, _pool).max_forward(images, rows(y), rows(indices), window)
    return y if indices is None else (y, indices)


def max_pool1d_backward(dy: FloatLike[F], indices: ArrayLike, input_size: Int) -> NDArray[F]:
    """Gradient of `max_pool1d`: each `dy` goes to the place its maximum came from.

    Parameters
    ----------
    dy : (n, c, ol) array of float32 or float64
    indices : (n, c, ol) array of integers
        As `max_pool1d` returned them, of any integer dtype.
    input_size : int
        Length of the signals.

    Returns
    -------
    dx : (n, c, l) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or `indices` are not integers.
    ValueError
        If the shapes differ or an index is outside [0, input_size).

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.max_pool1d_backward(np.array([[[5.0]]]), np.array([[[2]]]), 4)
    array([[[0., 0., 5., 0.]]])
    """
    dy = check.real("dy", dy)
    check.rank("dy", dy, 3, "(n, c, ol)")
    indices = check.integers("indices", indices)
    check.shape("indices", indices, dy.shape)
    length = check.integer("input_size", input_size, 0)
    dx = check.empty((*dy.shape[:2], length), dy.dtype)
    if not _pool_backward.max_backward(rows(dy), rows(indices), rows(dx)):
        raise ValueError(f"indices must be in [0, {length}), got {indices.min()} to {indices.max()}")
    return dx


def avg_pool1d(
    x: FloatLike[F],
    kernel_size: Int,
    *,
    stride: Int | None = None,
    padding: Padding1 = 0,
    ceil_mode: Flag = False,
    count_include_pad: Flag = True,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """The mean of each window that slides over the signals.

    Parameters
    ----------
    x : (n, c, l) array of float32 or float64
        Signals, channels first; any strides.
    kernel_size : int
    stride : int, optional
        `kernel_size` if None.
    padding : int or (begin, end)
        Zeros, each side smaller than the window.
    ceil_mode : bool
        Keep a last window that reaches beyond the signal, if it starts inside the signal or its leading pad.
    count_include_pad : bool
        Divide by the elements of the window inside the padded signal, else by those inside the signal.
    out : (n, c, ol) array, dtype of `x`, optional
        C-contiguous; must not overlap `x`.

    Returns
    -------
    y : (n, c, ol) array, dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If a shape or size is out of range.

    Notes
    -----
    `avg_pool2d` of images of one row, with its error.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.avg_pool1d(np.array([[[1.0, 3.0, 2.0, 0.0]]]), 2)
    array([[[2., 1.]]])
    """
    x = check.real("x", x)
    check.rank("x", x, 3, "(n, c, l)")
    window = _window(x.shape[2], kernel_size, stride, padding, 1, ceil_mode)
    y = check.output(out, (*x.shape[:2], window.ow), x.dtype, {"x": x})
    images, count_pad = rows(x), check.flag("count_include_pad", count_include_pad)
    form_of(window, images, _pool).mean_forward(images, rows(y), window, count_pad)
    return y


def avg_pool1d_backward(
    dy: FloatLike[F],
    input_size: Int,
    kernel_size: Int,
    *,
    stride: Int | None = None,
    padding: Padding1 = 0,
    ceil_mode: Flag = False,
    count_include_pad: Flag = True,
) -> NDArray[F]:
    """Gradient of `avg_pool1d`: each `dy` is shared out evenly over its window.

    Parameters
    ----------
    dy : (n, c, ol) array of float32 or float64
    input_size : int
        Length of the signals.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As in `avg_pool1d`.

    Returns
    -------
    dx : (n, c, l) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or a size is not an int.
    ValueError
        If a size is out of range, or `dy` does not have the shape that `avg_pool1d` gives.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.avg_pool1d_backward(np.array([[[4.0, 2.0]]]), 5, 2)
    array([[[2., 2., 1., 1., 0.]]])
    """
    dy = check.real("dy", dy)
    check.rank("dy", dy, 3, "(n, c, ol)")
    length = check.integer("input_size", input_size, 0)
    window = _window(length, kernel_size, stride, padding, 1, ceil_mode)
    check.shape("dy", dy, (*dy.shape[:2], window.ow))
    dx = check.empty((*dy.shape[:2], length), dy.dtype)
    images, count_pad = rows(dx), check.flag("count_include_pad", count_include_pad)
    form_of(window, images, _pool_backward).mean_backward(rows(dy), images, window, count_pad)
    return dx
