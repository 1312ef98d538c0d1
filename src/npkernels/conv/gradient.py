"""The gradients of convolution."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import conv as _conv, global_pool as _global_pool
from . import parts as in_parts
from .forward import FORMS, check_algorithm, checked_geometry
from .parts import windows_of

if TYPE_CHECKING:
    from .._typing import Algorithm, F, FloatLike, Gradients, Int, Int2, NDArray, Needs, Padding


@overload
def conv2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = ...,
    padding: Padding | Literal["valid", "same"] = ...,
    dilation: Int2 = ...,
    groups: Int = ...,
    algorithm: Algorithm = ...,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def conv2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = ...,
    padding: Padding | Literal["valid", "same"] = ...,
    dilation: Int2 = ...,
    groups: Int = ...,
    algorithm: Algorithm = ...,
    needs: Needs,
) -> Gradients[F]: ...
def conv2d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int2 = 1,
    padding: Padding | Literal["valid", "same"] = 0,
    dilation: Int2 = 1,
    groups: Int = 1,
    algorithm: Algorithm = "auto",
    needs: Needs = ("x", "w", "b"),
) -> Gradients[F]:
    """Gradients of `conv2d` without activation.

    Parameters
    ----------
    dy : (n, oc, oh, ow) array, dtype of `x`
        Gradient of the loss with respect to the convolution, before any activation.
    x : (n, c, h, w) array of float32 or float64
    w : (oc, c/groups, kh, kw) array, dtype of `x`
    stride, padding, dilation, groups
        As in `conv2d`.
    algorithm : {"auto", "direct", "winograd"}
        Of `dx` and `dw`; "winograd" as in `conv2d`. "auto" takes it for `dx` where that is a convolution of `dy` for
        which `conv2d` would take it and no other form costs less, and for `dw` from 16 channels on both sides of a
        group and 8 tiles on.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, h, w) array or None
        That of an image depends on that image only, to the last bit.
    dw : (oc, c/groups, kh, kw) array or None
    db : (oc,) array or None

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `needs` is no tuple.
    ValueError
        If a shape does not match, a size is out of range, `needs` holds an unknown name, or ``algorithm="winograd"`` is
        asked for a kernel, stride or dilation that has no such form.

    Notes
    -----
    With ``k = n oh ow`` the errors of the direct form of dw and of db are at most
    ``(min(k, 8192) + k / 8192 + 35) eps`` times the gradient of ``|dy|`` and ``|x|``, with ``k = oc/groups * kh * kw``
    that of dx: longer sums are those of blocks, added in double precision.

    The Winograd form of `dx` is that of `conv2d`, with its errors; whether an image takes it depends on `dy` and `w`.
    That of `dw` is F(3x3, 4x4) or F(5x5, 2x2), a sum over the tiles of the whole batch. On normal data its largest
    error was measured within 4.4 times that of the direct form, which stands in for it where `x` or `dy` are uneven: if
    a tile of a channel, by the root of its sum of squares, outweighs all other tiles of a channel together, the mean of
    the channels of a group; or if pixels are as large or as small as `conv2d` says.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> dy, x, w = np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = nk.conv2d_backward(dy, x, w)
    >>> dx[0, 0], dw[0, 0], db
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    groups, geometry = checked_geometry(x, w, stride, padding, dilation, groups)
    check_algorithm(algorithm, geometry)
    check.shape("dy", dy, (x.shape[0], w.shape[0], geometry.oh, geometry.ow))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        image_gradient(dy, w, None, dx, geometry, groups, algorithm)
    if need_w:
        dw = check.empty(w.shape, x.dtype)
        weight_gradient(dy, x, dw, geometry, groups, algorithm)
    if need_b:
        db = np.empty(w.shape[0], x.dtype)
        _global_pool.bias_gradient(dy, db)
    return dx, dw, db


def weight_gradient(dy, x, dw, geometry, groups, algorithm="auto"):
    """dw, as a whole or in parts."""
    form = partial(_conv.weight_gradient, groups=groups, form=FORMS[algorithm])
    parts = windows_of(geometry, *x.shape[2:])
    if parts is None:
        form(dy, x, dw, geometry)
    else:
        in_parts.weight_gradient(parts, form, dy, x, dw, geometry)


def image_gradient(dy, w, b, dx, geometry, groups, algorithm="auto"):
    """dx = b + the gradient of the image, as a whole or in parts."""
    form = partial(_conv.image_gradient, groups=groups, form=FORMS[algorithm])
    parts = windows_of(geometry, *dx.shape[2:])
    if parts is None:
        form(dy, w, b, dx, geometry)
    else:
        in_parts.image_gradient(parts, form, dy, w, b, dx)
