"""The transpose of convolution: what a convolution does to gradients, as a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

import numpy as np

from .. import _arguments as check
from .._kernels import global_pool as _global_pool
from .forward import convolve
from .geometry import Geometry
from .gradient import image_gradient, weight_gradient

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Gradients, Int, Int2, NDArray, Needs, Padding


def _geometry(x, w, stride, padding, output_padding, dilation, groups):
    """Channels and size of the result, and the geometry of the convolution from it to x."""
    if x.ndim != 4:
        check.rank("x", x, 4, "(n, c, h, w)")
    check.rank("w", w, 4, "(c, oc/groups, kh, kw)")
    groups = check.integer("groups", groups, 1)
    if x.shape[1] % groups:
        raise ValueError(f"groups must divide the channels of x, got groups={groups} for c={x.shape[1]}")
    if w.shape[0] != x.shape[1]:
        raise ValueError(f"w must have shape ({x.shape[1]}, oc/groups, kh, kw), got {w.shape}")
    if w.shape[2] < 1 or w.shape[3] < 1:
        raise ValueError(f"w must have a kernel of at least 1 x 1, got {w.shape}")
    kernel = w.shape[2:]
    stride, dilation = check.pair("stride", stride, 1), check.pair("dilation", dilation, 1)
    extra, pads = check.pair("output_padding", output_padding, 0), check.pads("padding", padding)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation, strict=True)):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation, got {extra} with stride {stride} "
            f"and dilation {dilation}"
        )
    # oh = (h - 1) sh - top - bottom + dh (kh - 1) + 1 + output_padding
    axes = zip(x.shape[2:], kernel, stride, dilation, pads, extra, strict=True)
    size = tuple((n - 1) * s - sum(pad) + d * (k - 1) + 1 + e for n, k, s, d, pad, e in axes)
    if min(size) < 1:
        raise ValueError(
            f"the result must have at least 1 x 1 pixels after padding is removed, got {size} for an image of "
            f"{x.shape[2:]}"
        )
    return groups, (w.shape[1] * groups, *size), geometry_of(x.shape[2:], kernel, stride, dilation, pads, size)


def geometry_of(image, kernel, stride, dilation, pads, size):
    """The geometry of the convolution from a result of this size to an image."""
    (top, _), (left, _) = pads
    dilation = tuple(d if k > 1 else 1 for d, k in zip(dilation, kernel, strict=True))
    # A step that is never taken is a short one, as in geometry.py.
    stride = tuple(s if n > 1 else min(s, m) for s, n, m in zip(stride, image, size, strict=True))
    return Geometry(*kernel, *stride, *dilation, top, left, *image)


def conv_transpose2d(
    x: FloatLike[F],
    w: FloatLike[F],
    b: FloatLike[F] | None = None,
    *,
    stride: Int2 = 1,
    padding: Padding = 0,
    output_padding: Int2 = 0,
    dilation: Int2 = 1,
    groups: Int = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """Transposed two-dimensional convolution of a batch of images; PyTorch's `conv_transpose2d`.

    Every pixel of x adds its multiple of the kernel to the result, ``stride`` pixels apart: the linear map that
    `conv2d_backward` applies to a gradient, with w as `conv2d` would take it on the way from the result to x.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides, read in place.
    w : (c, oc/groups, kh, kw) array, dtype of `x`
    b : (oc,) array, dtype of `x`, optional
    stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
        Pixels removed from each side of the result.
    output_padding : int or (int, int)
        Rows and columns added at the bottom and the right; smaller than stride or dilation.
    groups : int
        Output channels of a group see the input channels of that group only.
    out : (n, oc, oh, ow) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (n, oc, oh, ow) array, dtype of `x`
        ``oh = (h - 1) * stride - top - bottom + dilation * (kh - 1) + 1 + output_padding``.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if a size is not an int.
    ValueError
        If a shape does not match, a size is out of range, or the result would have no pixel.

    Notes
    -----
    With ``k = c/groups * kh * kw`` the error is at most ``(min(k, 8192) + k / 8192 + 5) eps`` times the result of
    ``|x|``, ``|w|`` and ``|b|``; where `conv2d` would take Winograd's form, see there.

    References
    ----------
    .. [1] V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.conv_transpose2d(np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 10.0, 100.0]]]]), stride=2)[0, 0]
    array([[  1.,  10., 102.,  20., 200.]])
    """
    x = check.real("x", x)
    w = check.real("w", w, x)
    groups, shape, geometry = _geometry(x, w, stride, padding, output_padding, dilation, groups)
    if b is not None:
        b = check.vector("b", b, shape[0], x)
    y = check.output(out, (x.shape[0], *shape), x.dtype, {"x": x, "w": w, "b": b})
    image_gradient(x, w, b, y, geometry, groups)
    return y


@overload
def conv_transpose2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = ...,
    padding: Padding = ...,
    output_padding: Int2 = ...,
    dilation: Int2 = ...,
    groups: Int = ...,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def conv_transpose2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = ...,
    padding: Padding = ...,
    output_padding: Int2 = ...,
    dilation: Int2 = ...,
    groups: Int = ...,
    needs: Needs,
) -> Gradients[F]: ...
def conv_transpose2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = 1,
    padding: Padding = 0,
    output_padding: Int2 = 0,
    dilation: Int2 = 1,
    groups: Int = 1,
    needs: Needs = ("x", "w", "b"),
) -> Gradients[F]:
    """Gradients of `conv_transpose2d`.

    Parameters
    ----------
    dy : (n, oc, oh, ow) array, dtype of `x`
        Gradient of the loss with respect to the result.
    x : (n, c, h, w) array of float32 or float64
    w : (c, oc/groups, kh, kw) array, dtype of `x`
    stride, padding, output_padding, dilation, groups
        As in `conv_transpose2d`.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, h, w) array or None
    dw : (c, oc/groups, kh, kw) array or None
    db : (oc,) array or None

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `needs` is no tuple.
    ValueError
        If a shape does not match, a size is out of range, or `needs` holds an unknown name.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, w = np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 10.0, 100.0]]]])
    >>> dx, dw, db = nk.conv_transpose2d_backward(np.ones((1, 1, 1, 5)), x, w, stride=2)
    >>> dx[0, 0], dw[0, 0], db
    (array([[111., 111.]]), array([[3., 3., 3.]]), array([5.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    groups, shape, geometry = _geometry(x, w, stride, padding, output_padding, dilation, groups)
    check.shape("dy", dy, (x.shape[0], *shape))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        convolve(dy, w, None, dx, geometry, groups)
    if need_w:
        dw = check.empty(w.shape, x.dtype)
        weight_gradient(x, dy, dw, geometry, groups)
    if need_b:
        db = np.empty(shape[0], x.dtype)
        _global_pool.bias_gradient(dy, db)
    return dx, dw, db
