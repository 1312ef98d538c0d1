"""Max and average pooling and their gradients."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import pool as _pool, pool_backward as _pool_backward
from ..conv.windows import pooled_size
from . import sparse as pool_sparse
from .geometry import PoolGeometry

if TYPE_CHECKING:
    from .._typing import ArrayLike, F, Flag, FloatLike, Int2, NDArray, Padding


def window_of(h, w, kernel_size, stride, padding, dilation, ceil_mode):
    """The `PoolGeometry` of windows over images of h x w pixels."""
    ceil_mode = check.flag("ceil_mode", ceil_mode)
    if type(kernel_size) is type(padding) is type(dilation) is int and (stride is None or type(stride) is int):
        return _window_of_ints(h, w, kernel_size, stride, padding, dilation, ceil_mode)
    return _window_of_ints.__wrapped__(h, w, kernel_size, stride, padding, dilation, ceil_mode)


@lru_cache(maxsize=256)
def _window_of_ints(h, w, kernel_size, stride, padding, dilation, ceil_mode):
    kernel = check.pair("kernel_size", kernel_size, 1)
    stride = kernel if stride is None else check.pair("stride", stride, 1)
    dilation = check.pair("dilation", dilation, 1)
    pads = check.pads("padding", padding)
    taps, steps, spreads, sizes = zip(
        *[_axis(*axis, ceil_mode) for axis in zip((h, w), kernel, stride, pads, dilation, strict=True)], strict=True
    )
    (top, bottom), (left, right) = pads
    return PoolGeometry(*taps, *steps, *spreads, top, left, *sizes, bottom, right)


def _axis(size, kernel, stride, pads, dilation, ceil_mode):
    """Taps, stride, dilation and number of positions of a window, none of them larger than the padded axis."""
    count = pooled_size(size, kernel, stride, pads, dilation, ceil_mode)
    padded = size + sum(pads)
    if padded > check.INT64_MAX:
        raise ValueError(f"padding must leave a size that fits 64 bits, got {tuple(pads)} for size {size}")
    kernel = min(kernel, (padded - 1) // dilation + 1)  # what lies beyond the padded axis is never seen
    return kernel, min(stride, padded), dilation if kernel > 1 else 1, count


def form_of(window, images, kernels):
    """The module for a window over images: that of the kernels, or the one that goes by the pixels seen."""
    return pool_sparse if images.size and pool_sparse.is_sparse(window, *images.shape[2:]) else kernels


def images_of(name: str, value: object, text: str = "(n, c, h, w)") -> NDArray[Any]:
    value = check.real(name, value)
    if value.ndim != 4:
        check.rank(name, value, 4, text)
    return value


def places_of(x: NDArray[Any], shape: tuple[int, ...], wanted: object) -> NDArray[np.int32] | None:
    """Where the places of maxima in planes of `x` go, if they are wanted."""
    if not check.flag("return_indices", wanted):
        return None
    h, w = x.shape[2:]
    if h * w > 2**31 - 1:
        raise ValueError(f"return_indices must go with planes of at most {2**31 - 1} elements, got {h} x {w}")
    return check.empty(shape, np.int32)


@overload
def max_pool2d(
    x: FloatLike[F],
    kernel_size: Int2,
    *,
    stride: Int2 | None = ...,
    padding: Padding = ...,
    dilation: Int2 = ...,
    ceil_mode: Flag = ...,
    return_indices: Literal[False] = ...,
    out: NDArray[F] | None = ...,
) -> NDArray[F]: ...
@overload
def max_pool2d(
    x: FloatLike[F],
    kernel_size: Int2,
    *,
    stride: Int2 | None = ...,
    padding: Padding = ...,
    dilation: Int2 = ...,
    ceil_mode: Flag = ...,
    return_indices: Literal[True],
    out: NDArray[F] | None = ...,
) -> tuple[NDArray[F], NDArray[np.int32]]: ...
def max_pool2d(
    x: FloatLike[F],
    kernel_size: Int2,
    *,
    stride: Int2 | None = None,
    padding: Padding = 0,
    dilation: Int2 = 1,
    ceil_mode: Flag = False,
    return_indices: bool = False,
    out: NDArray[F] | None = None,
) -> NDArray[F] | tuple[NDArray[F], NDArray[np.int32]]:
    """The largest element of each window that slides over the images.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides.
    kernel_size, dilation : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` if None.
    padding : int, (int, int) or ((top, bottom), (left, right))
        Each side smaller than the (dilated) window. Padding is never the maximum.
    ceil_mode : bool
        Keep a last window that reaches beyond the image, if it starts inside the image or its leading pad.
    return_indices : bool
        Return where each maximum was found.
    out : (n, c, oh, ow) array, dtype of `x`, optional
        C-contiguous; must not overlap `x`.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`
        A NaN wins over every number.
    indices : (n, c, oh, ow) array of int32, if `return_indices`
        Flat positions in the (h, w) plane; of equal maxima the first, of NaN the first.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If a shape or size is out of range, a window covers no element of the image, or the plane has more than
        2**31 - 1 elements with `return_indices`.

    References
    ----------
    .. [1] Y-L. Boureau, J. Ponce and Y. LeCun, "A theoretical analysis of feature pooling in visual recognition",
       ICML 2010.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[1.0, 3.0, 2.0, 0.0], [4.0, 6.0, 5.0, 1.0], [7.0, 1.0, 8.0, 2.0], [0.0, 2.0, 9.0, 5.0]])
    >>> y, indices = nk.max_pool2d(x[None, None], 2, return_indices=True)
    >>> y[0, 0], indices[0, 0]
    (array([[6., 5.],
           [7., 9.]]), array([[ 5,  6],
           [ 8, 14]], dtype=int32))
    """
    if out is None and ceil_mode is False and return_indices is False:
        y = _pool.pool_plain(x, kernel_size, stride, padding, dilation, False)
        if y is not None:
            return y
    x = images_of("x", x)
    n, c, h, w = x.shape
    window = window_of(h, w, kernel_size, stride, padding, dilation, ceil_mode)
    shape = (n, c, window.oh, window.ow)
    indices = places_of(x, shape, return_indices)
    y = check.empty(shape, x.dtype) if out is None else check.output(out, shape, x.dtype, {"x": x})
    form_of(window, x, _pool).max_forward(x, y, indices, window)
    return y if indices is None else (y, indices)


def max_pool2d_backward(dy: FloatLike[F], indices: ArrayLike, input_size: Int2) -> NDArray[F]:
    """Gradient of `max_pool2d`: each `dy` goes to the place its maximum came from.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
    indices : (n, c, oh, ow) array of integers
        As `max_pool2d` returned them, of any integer dtype.
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
    >>> nk.max_pool2d_backward(np.array([[[[5.0]]]]), np.array([[[[2]]]]), (2, 2))[0, 0]
    array([[0., 0.],
           [5., 0.]])
    """
    dy = check.real("dy", dy)
    check.rank("dy", dy, 4, "(n, c, oh, ow)")
    indices = check.integers("indices", indices)
    check.shape("indices", indices, dy.shape)
    h, w = check.pair("input_size", input_size, 0)
    dx = check.empty((*dy.shape[:2], h, w), dy.dtype)
    if not _pool_backward.max_backward(dy, indices, dx):
        raise ValueError(f"indices must be in [0, {h * w}), got {indices.min()} to {indices.max()}")
    return dx


def avg_pool2d(
    x: FloatLike[F],
    kernel_size: Int2,
    *,
    stride: Int2 | None = None,
    padding: Padding = 0,
    ceil_mode: Flag = False,
    count_include_pad: Flag = True,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """The mean of each window that slides over the images.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides.
    kernel_size : int or (int, int)
    stride : int or (int, int), optional
        `kernel_size` if None.
    padding : int, (int, int) or ((top, bottom), (left, right))
        Zeros, each side smaller than the window.
    ceil_mode : bool
        Keep a last window that reaches beyond the image, if it starts inside the image or its leading pad.
    count_include_pad : bool
        Divide by the elements of the window inside the padded image, else by those inside the image.
    out : (n, c, oh, ow) array, dtype of `x`, optional
        C-contiguous; must not overlap `x`.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or a size is not an int.
    ValueError
        If a shape or size is out of range.

    Notes
    -----
    A window is summed down its columns, then along the row: the error is at most
    ``(min(kh, 8192) + min(kw, 8192) + 3) eps avg_pool2d(|x|)``, in float64 ``(kh + kw) / 8192`` eps more: longer sums
    are those of pieces, added in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[1.0, 3.0, 2.0, 0.0], [4.0, 6.0, 5.0, 1.0], [7.0, 1.0, 8.0, 2.0], [0.0, 2.0, 9.0, 5.0]])
    >>> nk.avg_pool2d(x[None, None], 2)[0, 0]
    array([[3.5, 2. ],
           [2.5, 6. ]])
    """
    if out is None and count_include_pad is True and ceil_mode is False:
        y = _pool.pool_plain(x, kernel_size, stride, padding, 1, True)
        if y is not None:
            return y
    x = images_of("x", x)
    n, c, h, w = x.shape
    window = window_of(h, w, kernel_size, stride, padding, 1, ceil_mode)
    shape = (n, c, window.oh, window.ow)
    y = check.empty(shape, x.dtype) if out is None else check.output(out, shape, x.dtype, {"x": x})
    form_of(window, x, _pool).mean_forward(x, y, window, check.flag("count_include_pad", count_include_pad))
    return y


def avg_pool2d_backward(
    dy: FloatLike[F],
    input_size: Int2,
    kernel_size: Int2,
    *,
    stride: Int2 | None = None,
    padding: Padding = 0,
    ceil_mode: Flag = False,
    count_include_pad: Flag = True,
) -> NDArray[F]:
    """Gradient of `avg_pool2d`: each `dy` is shared out evenly over its window.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
    input_size : (int, int) or int
        Rows and columns of the images.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As in `avg_pool2d`.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or a size is not an int.
    ValueError
        If a size is out of range, or `dy` does not have the shape that `avg_pool2d` gives.

    Notes
    -----
    The error is at most ``(min(i, 8192) + min(j, 8192) + 5) eps avg_pool2d_backward(|dy|)`` for a pixel that is in i
    rows and j columns of windows, in float64 ``(i + j) / 8192`` eps more.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.avg_pool2d_backward(np.array([[[[4.0]]]]), (2, 3), 2)[0, 0]
    array([[1., 1., 0.],
           [1., 1., 0.]])
    """
    dy = check.real("dy", dy)
    check.rank("dy", dy, 4, "(n, c, oh, ow)")
    h, w = check.pair("input_size", input_size, 0)
    window = window_of(h, w, kernel_size, stride, padding, 1, ceil_mode)
    check.shape("dy", dy, (*dy.shape[:2], window.oh, window.ow))
    dx = check.empty((*dy.shape[:2], h, w), dy.dtype)
    form_of(window, dx, _pool_backward).mean_backward(
        dy, dx, window, check.flag("count_include_pad", count_include_pad)
    )
    return dx
