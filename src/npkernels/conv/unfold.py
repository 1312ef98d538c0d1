"""im2col and col2im: the patches under a sliding window as columns, and their sum at their places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels import unfold as _unfold
from . import parts as in_parts
from .geometry import geometry_of
from .parts import windows_of

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int2, NDArray, Padding


def im2col(
    x: FloatLike[F],
    kernel_size: Int2,
    *,
    stride: Int2 = 1,
    padding: Padding = 0,
    dilation: Int2 = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """The patches under a sliding window as columns; PyTorch's `unfold`.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
    out : (n, c*kh*kw, oh*ow) array, dtype of `x`, optional
        C-contiguous; must not overlap `x`.

    Returns
    -------
    cols : (n, c*kh*kw, oh*ow) array, dtype of `x`

    Raises
    ------
    TypeError, ValueError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.im2col(np.arange(6.0).reshape(1, 1, 2, 3), 2)[0]
    array([[0., 1.],
           [1., 2.],
           [3., 4.],
           [4., 5.]])
    """
    x = check.real("x", x)
    check.rank("x", x, 4, "(n, c, h, w)")
    kh, kw = check.pair("kernel_size", kernel_size, 1)
    n, c, h, w = x.shape
    geometry = geometry_of(h, w, kh, kw, stride, check.pads("padding", padding), dilation, "kernel_size")
    wanted = (n, c * kh * kw, geometry.oh * geometry.ow)
    cols = check.output(out, wanted, x.dtype, {"x": x})
    parts = windows_of(geometry, h, w)
    if parts is None:
        _unfold.unfold(x, cols, geometry)
    else:
        in_parts.unfold(parts, x, cols.reshape(n, c, kh, kw, *geometry[8:]))
    return cols


def col2im(
    cols: FloatLike[F],
    output_size: Int2,
    kernel_size: Int2,
    *,
    stride: Int2 = 1,
    padding: Padding = 0,
    dilation: Int2 = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """The sum of patches at their places in the image, the adjoint of `im2col`; PyTorch's `fold`.

    Parameters
    ----------
    cols : (n, c*kh*kw, oh*ow) array of float32 or float64
    output_size : (h, w)
        Rows and columns of the image.
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
    out : (n, c, h, w) array, dtype of `cols`, optional
        C-contiguous; must not overlap `cols`.

    Returns
    -------
    x : (n, c, h, w) array, dtype of `cols`

    Raises
    ------
    TypeError, ValueError
        As `conv2d`; also if `cols` does not have the shape that `im2col` would give.

    Notes
    -----
    The error of a pixel that k windows see is at most ``(min(k, 8192) + k / 8192 + 2) eps col2im(|cols|)``: more terms
    than 8192 are summed in pieces, which are added in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.col2im(np.ones((1, 4, 2)), (2, 3), 2)[0, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    cols = check.real("cols", cols)
    check.rank("cols", cols, 3, "(n, c*kh*kw, oh*ow)")
    h, w = check.pair("output_size", output_size, 0)
    kh, kw = check.pair("kernel_size", kernel_size, 1)
    geometry = geometry_of(h, w, kh, kw, stride, check.pads("padding", padding), dilation, "kernel_size")
    n, k, _ = cols.shape
    if k % (kh * kw):
        raise ValueError(f"cols must have shape (n, c*{kh * kw}, oh*ow), got {cols.shape}")
    check.shape("cols", cols, (n, k, geometry.oh * geometry.ow))
    x = check.output(out, (n, k // (kh * kw), h, w), cols.dtype, {"cols": cols})
    parts = windows_of(geometry, h, w)
    if parts is None:
        _unfold.fold(cols, x, geometry)
    else:
        in_parts.fold(parts, cols.reshape(n, x.shape[1], kh, kw, *geometry[8:]), x)
    return x
