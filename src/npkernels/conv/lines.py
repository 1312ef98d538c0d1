"""Convolution of signals (n, c, l), its transpose, and their gradients: those of images of one row."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import global_pool as _global_pool
from .._lines import ends, rows
from ..activation.parameterless import fused
from .forward import convolve
from .geometry import geometry_of
from .gradient import image_gradient, weight_gradient
from .transpose import geometry_of as transposed_geometry_of

if TYPE_CHECKING:
    from .._typing import Activation, F, FloatLike, Gradients, Int, NDArray, Needs, Padding1


def _of_ints(geometry, *arguments):
    """What a cached function gives; plain ints are checked once."""
    cached = all(type(value) is int for value in arguments[2:])
    return (geometry if cached else geometry.__wrapped__)(*arguments)


def _kernels(x, w, groups, wanted):
    """Checks of the shapes; `wanted` of w."""
    for name, shape, text in ("x", x, "(n, c, l)"), ("w", w, wanted):
        if len(shape) != 3:
            raise ValueError(f"{name} must have shape {text}, got {shape}")
    groups = check.integer("groups", groups, 1)
    if w[2] < 1:
        raise ValueError(f"w must have a kernel of at least 1 element, got {w}")
    return groups


@lru_cache(maxsize=256)
def _geometry(x, w, stride, padding, dilation, groups):
    """Groups, and the `Geometry` of the windows, from the shapes of x and w."""
    groups = _kernels(x, w, groups, "(oc, c/groups, k)")
    if x[1] % groups or w[0] % groups:
        raise ValueError(f"groups must divide the channels of x and w, got groups={groups} for c={x[1]} and oc={w[0]}")
    if w[1] != x[1] // groups:
        raise ValueError(f"w must have shape (oc, {x[1] // groups}, k), got {w}")
    stride, dilation = check.integer("stride", stride, 1), check.integer("dilation", dilation, 1)
    if isinstance(padding, str):
        check.choice("padding", padding, ("valid", "same"))
        if padding == "same" and stride != 1:
            raise ValueError(f"padding='same' must go with stride 1, got stride {stride}")
    else:
        padding = ends(padding)
    return groups, geometry_of(1, x[2], 1, w[2], (1, stride), padding, (1, dilation))


def conv1d(
    x: FloatLike[F],
    w: FloatLike[F],
    b: FloatLike[F] | None = None,
    *,
    stride: Int = 1,
    padding: Padding1 | Literal["valid", "same"] = 0,
    dilation: Int = 1,
    groups: Int = 1,
    activation: Activation | None = None,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """One-dimensional convolution of a batch of signals, with an optional activation applied on the way out.

    Parameters
    ----------
    x : (n, c, l) array of float32 or float64
        Signals, channels first; any strides, read in place.
    w : (oc, c/groups, k) array, dtype of `x`
        One kernel per output channel. ``np.flip(w, 2)`` gives the mathematical convolution.
    b : (oc,) array, dtype of `x`, optional
    stride, dilation : int
    padding : int, (begin, end), "valid" or "same"
        Zeros around the signal: ``((k - 1) * dilation, 0)`` makes the convolution causal. "same" needs stride 1 and
        puts an odd pad at the end.
    groups : int
        Output channel ``i`` sees the input channels of its group only.
    activation : None or {"relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"}
        Applied with its default parameters while the result is still in cache.
    out : (n, oc, ol) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (n, oc, ol) array, dtype of `x`
        ``ol = floor((l + begin + end - dilation * (k - 1) - 1) / stride) + 1``. A signal's result depends on
        that signal only, to the last bit.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if a size is not an int.
    ValueError
        If a shape does not match, a size is out of range, or the kernel is larger than the padded signal.

    Notes
    -----
    `conv2d` of images of one row, with its error.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.conv1d(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]), padding=(1, 0))
    array([[[1., 1., 2.]]])
    """
    if activation is not None:
        fused(activation)
    x = check.real("x", x)
    w = check.real("w", w, x)
    groups, geometry = _of_ints(_geometry, x.shape, w.shape, stride, padding, dilation, groups)
    if b is not None:
        b = check.vector("b", b, len(w), x)
    y = check.output(out, (len(x), len(w), geometry.ow), x.dtype, {"x": x, "w": w, "b": b})
    convolve(rows(x), rows(w), b, rows(y), geometry, groups, activation)
    return y


@overload
def conv1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = ...,
    padding: Padding1 | Literal["valid", "same"] = ...,
    dilation: Int = ...,
    groups: Int = ...,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def conv1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = ...,
    padding: Padding1 | Literal["valid", "same"] = ...,
    dilation: Int = ...,
    groups: Int = ...,
    needs: Needs,
) -> Gradients[F]: ...
def conv1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = 1,
    padding: Padding1 | Literal["valid", "same"] = 0,
    dilation: Int = 1,
    groups: Int = 1,
    needs: Needs = ("x", "w", "b"),
) -> Gradients[F]:
    """Gradients of `conv1d` without activation.

    Parameters
    ----------
    dy : (n, oc, ol) array, dtype of `x`
        Gradient of the loss with respect to the convolution, before any activation.
    x : (n, c, l) array of float32 or float64
    w : (oc, c/groups, k) array, dtype of `x`
    stride, padding, dilation, groups
        As in `conv1d`.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, l) array or None
    dw : (oc, c/groups, k) array or None
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
    >>> nk.conv1d_backward(np.ones((1, 1, 2)), np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]))
    (array([[[-1.,  0.,  1.]]]), array([[[3., 6.]]]), array([2.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    groups, geometry = _of_ints(_geometry, x.shape, w.shape, stride, padding, dilation, groups)
    check.shape("dy", dy, (len(x), len(w), geometry.ow))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        image_gradient(rows(dy), rows(w), None, rows(dx), geometry, groups)
    if need_w:
        dw = check.empty(w.shape, x.dtype)
        weight_gradient(rows(dy), rows(x), rows(dw), geometry, groups)
    if need_b:
        db = np.empty(len(w), x.dtype)
        _global_pool.bias_gradient(rows(dy), db)
    return dx, dw, db


@lru_cache(maxsize=256)
def _transposed_geometry(x, w, stride, padding, output_padding, dilation, groups):
    """From the shapes: channels and length of the result, and the geometry of the convolution from it to x."""
    groups = _kernels(x, w, groups, "(c, oc/groups, k)")
    if x[1] % groups:
        raise ValueError(f"groups must divide the channels of x, got groups={groups} for c={x[1]}")
    if w[0] != x[1]:
        raise ValueError(f"w must have shape ({x[1]}, oc/groups, k), got {w}")
    stride, dilation = check.integer("stride", stride, 1), check.integer("dilation", dilation, 1)
    extra, pads = check.integer("output_padding", output_padding, 0), ends(padding)
    if extra >= max(stride, dilation):
        raise ValueError(
            f"output_padding must be smaller than stride or dilation, got {extra} with stride {stride} "
            f"and dilation {dilation}"
        )
    length = (x[2] - 1) * stride - sum(pads[1]) + dilation * (w[2] - 1) + 1 + extra
    if length < 1:
        raise ValueError(
            f"the result must have at least 1 element after padding is removed, got {length} for a signal of {x[2]}"
        )
    geometry = transposed_geometry_of((1, x[2]), (1, w[2]), (1, stride), (1, dilation), pads, (1, length))
    return groups, (w[1] * groups, length), geometry


def conv_transpose1d(
    x: FloatLike[F],
    w: FloatLike[F],
    b: FloatLike[F] | None = None,
    *,
    stride: Int = 1,
    padding: Padding1 = 0,
    output_padding: Int = 0,
    dilation: Int = 1,
    groups: Int = 1,
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """Transposed one-dimensional convolution of a batch of signals; PyTorch's `conv_transpose1d`.

    Every element of x adds its multiple of the kernel to the result, ``stride`` elements apart: the linear map that
    `conv1d_backward` applies to a gradient, with w as `conv1d` would take it on the way from the result to x.

    Parameters
    ----------
    x : (n, c, l) array of float32 or float64
        Signals, channels first; any strides, read in place.
    w : (c, oc/groups, k) array, dtype of `x`
    b : (oc,) array, dtype of `x`, optional
    stride, dilation : int
    padding : int or (begin, end)
        Elements removed from each side of the result.
    output_padding : int
        Elements added at the end; smaller than stride or dilation.
    groups : int
        Output channels of a group see the input channels of that group only.
    out : (n, oc, ol) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (n, oc, ol) array, dtype of `x`
        ``ol = (l - 1) * stride - begin - end + dilation * (k - 1) + 1 + output_padding``.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if a size is not an int.
    ValueError
        If a shape does not match, a size is out of range, or the result would have no element.

    Notes
    -----
    `conv_transpose2d` of images of one row, with its error.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0, 100.0]]]), stride=2)
    array([[[  1.,  10., 102.,  20., 200.]]])
    """
    x = check.real("x", x)
    w = check.real("w", w, x)
    groups, shape, geometry = _of_ints(
        _transposed_geometry, x.shape, w.shape, stride, padding, output_padding, dilation, groups
    )
    if b is not None:
        b = check.vector("b", b, shape[0], x)
    y = check.output(out, (len(x), *shape), x.dtype, {"x": x, "w": w, "b": b})
    image_gradient(rows(x), rows(w), b, rows(y), geometry, groups)
    return y


@overload
def conv_transpose1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = ...,
    padding: Padding1 = ...,
    output_padding: Int = ...,
    dilation: Int = ...,
    groups: Int = ...,
) -> tuple[NDArray[F], NDArray[F], NDArray[F]]: ...
@overload
def conv_transpose1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = ...,
    padding: Padding1 = ...,
    output_padding: Int = ...,
    dilation: Int = ...,
    groups: Int = ...,
    needs: Needs,
) -> Gradients[F]: ...
def conv_transpose1d_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    w: FloatLike[F],
    *,
    stride: Int = 1,
    padding: Padding1 = 0,
    output_padding: Int = 0,
    dilation: Int = 1,
    groups: Int = 1,
    needs: Needs = ("x", "w", "b"),
) -> Gradients[F]:
    """Gradients of `conv_transpose1d`.

    Parameters
    ----------
    dy : (n, oc, ol) array, dtype of `x`
        Gradient of the loss with respect to the result.
    x : (n, c, l) array of float32 or float64
    w : (c, oc/groups, k) array, dtype of `x`
    stride, padding, output_padding, dilation, groups
        As in `conv_transpose1d`.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, l) array or None
    dw : (c, oc/groups, k) array or None
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
    >>> x, w = np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0, 100.0]]])
    >>> nk.conv_transpose1d_backward(np.ones((1, 1, 5)), x, w, stride=2)
    (array([[[111., 111.]]]), array([[[3., 3., 3.]]]), array([5.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    groups, shape, geometry = _of_ints(
        _transposed_geometry, x.shape, w.shape, stride, padding, output_padding, dilation, groups
    )
    check.shape("dy", dy, (len(x), *shape))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        convolve(rows(dy), rows(w), None, rows(dx), geometry, groups)
    if need_w:
        dw = check.empty(w.shape, x.dtype)
        weight_gradient(rows(x), rows(dy), rows(dw), geometry, groups)
    if need_b:
        db = np.empty(shape[0], x.dtype)
        _global_pool.bias_gradient(rows(dy), db)
    return dx, dw, db
