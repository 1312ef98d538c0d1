"""Convolution (cross-correlation, as in every deep-learning library), its transpose in transpose.py."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Literal

from .. import _arguments as check
from .._kernels import conv as _conv, costs as _costs
from ..activation.parameterless import ACTIVATIONS, fused
from . import parts as in_parts
from .geometry import geometry_of
from .parts import windows_of

if TYPE_CHECKING:
    from .._typing import Activation, Algorithm, F, FloatLike, Int, Int2, NDArray, Padding


def checked_geometry(x, w, stride, padding, dilation, groups):
    """Groups, and what `geometry_of` gives, after all checks of sizes; plain ints are checked once."""
    if type(stride) is type(padding) is type(dilation) is type(groups) is int:
        return _geometry_of_ints(x.shape, w.shape, stride, padding, dilation, groups)
    return _geometry_of_ints.__wrapped__(x.shape, w.shape, stride, padding, dilation, groups)


@lru_cache(maxsize=256)
def _geometry_of_ints(x, w, stride, padding, dilation, groups):
    for name, shape, text in ("x", x, "(n, c, h, w)"), ("w", w, "(oc, c/groups, kh, kw)"):
        if len(shape) != 4:
            raise ValueError(f"{name} must have shape {text}, got {shape}")
    groups = check.integer("groups", groups, 1)
    c, oc = x[1], w[0]
    if c % groups or oc % groups:
        raise ValueError(f"groups must divide the channels of x and w, got groups={groups} for c={c} and oc={oc}")
    if w[1] != c // groups:
        raise ValueError(f"w must have shape (oc, {c // groups}, kh, kw), got {w}")
    if w[2] < 1 or w[3] < 1:
        raise ValueError(f"w must have a kernel of at least 1 x 1, got {w}")
    return groups, geometry_of(*x[2:], *w[2:], stride, padding, dilation)


def conv2d(
    x: FloatLike[F],
    w: FloatLike[F],
    b: FloatLike[F] | None = None,
    *,
    stride: Int2 = 1,
    padding: Padding | Literal["valid", "same"] = 0,
    dilation: Int2 = 1,
    groups: Int = 1,
    activation: Activation | None = None,
    algorithm: Algorithm = "auto",
    out: NDArray[F] | None = None,
) -> NDArray[F]:
    """Two-dimensional convolution of a batch of images, with an optional activation applied on the way out.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides, read in place.
    w : (oc, c/groups, kh, kw) array, dtype of `x`
        One kernel per output channel. ``np.flip(w, (2, 3))`` gives the mathematical convolution.
    b : (oc,) array, dtype of `x`, optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "valid" or "same"
        Zeros around the image. "same" needs stride 1 and puts an odd pad at the end.
    groups : int
        Output channel ``i`` sees the input channels of its group only.
    activation : None or {"relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"}
        Applied with its default parameters while the result is still in cache.
    algorithm : {"auto", "direct", "winograd"}
        "winograd" is F(4x4, 3x3) or F(2x2, 5x5): a quarter or a third of the multiplications, for 3x3 and 5x5 kernels
        at stride and dilation 1. "auto" takes it from 16 channels of `x` in a group, 32 of `y` (16 for 5x5 kernels) and
        49 pixels on, unless most taps meet the padding, where it is up to 2.5 times faster; the choice looks at the
        sizes of an image, never at the batch.
    out : (n, oc, oh, ow) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (n, oc, oh, ow) array, dtype of `x`
        An image's result depends on that image only, to the last bit.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if a size is not an int.
    ValueError
        If a shape does not match, a size is out of range, the kernel is larger than the padded image, or
        ``algorithm="winograd"`` is asked for another kernel, stride or dilation.

    Notes
    -----
    The direct form is a product of the weights with the image patches [1]_, which are never stored. With
    ``k = c/groups * kh * kw`` its error is at most ``(min(k, 8192) + k / 8192 + 3) eps (conv2d(|x|, |w|) + |b|)``: more
    products than 8192 are summed in blocks, which are added in double precision. The Winograd form [2]_ subtracts
    neighbouring pixels, so that its error is relative to the largest terms of a tile of 6x6 pixels. Measured with 512
    channels, its largest error is 2.0 times (float32) and 1.5 times (float64) that of the direct form on unit normal
    data, and 0.3 times on data with a mean of 100; for 5x5 kernels 0.7, 0.5, and 0.5 times. Groups of more than 8192
    channels take the direct form.

    An image takes the direct form, group by group and also where "winograd" is asked for, if it is uneven, because
    results that do not see its largest pixels would suffer from them: if a part of a tile that a window covers, of 2x2
    pixels and all channels of the group or more, has less than 1/128 of the sum of squares of the tile. So do all
    images if a weight is larger than all others of its output channel together. What is left errs at most 16 times as
    much as the direct form, also among the pixels that do not see an outlier. The direct form is taken, too, where
    pixels or weights are infinite, NaN or beyond 2^50 (float32) or 2^450 (float64), or as much below 1.

    References
    ----------
    .. [1] K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document
       processing", IWFHR 2006.
    .. [2] A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    >>> w = np.array([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])[None, None]
    >>> nk.conv2d(x, np.flip(w, (2, 3)), padding=1)[0, 0]
    array([[-13., -20., -17.],
           [-18., -24., -18.],
           [ 13.,  20.,  17.]])
    """
    function = -1 if activation is None else fused(activation)
    auto = type(algorithm) is str and algorithm == "auto"
    if out is None and auto and type(groups) is int and groups == 1:
        y = _conv.conv2d_plain(x, w, b, stride, padding, dilation, function)
        if y is not None:
            return y
    x = check.real("x", x)
    w = check.real("w", w, x)
    groups, geometry = checked_geometry(x, w, stride, padding, dilation, groups)
    oc = len(w)
    if b is not None:
        b = check.vector("b", b, oc, x)
    if not auto:
        check_algorithm(algorithm, geometry)
    wanted = (len(x), oc, geometry.oh, geometry.ow)
    if out is None:
        y = check.empty(wanted, x.dtype)
    else:
        y = check.output(out, wanted, x.dtype, {"x": x, "w": w, "b": b})
    convolve(x, w, b, y, geometry, groups, activation, algorithm)
    return y


FORMS = {"auto": _costs.FORMS["any"], "direct": _costs.FORMS["direct"], "winograd": _costs.FORMS["winograd"]}


def check_algorithm(algorithm, geometry):
    check.choice("algorithm", algorithm, tuple(FORMS))
    kernel, steps = geometry[:2], geometry[2:6]
    if algorithm == "winograd" and (kernel not in ((3, 3), (5, 5)) or steps != (1, 1, 1, 1)):
        raise ValueError(
            f"algorithm='winograd' must have a 3x3 or 5x5 kernel and stride and dilation 1, got kernel {kernel}, "
            f"stride {steps[:2]}, dilation {steps[2:]}"
        )


def convolve(x, w, b, y, geometry, groups, activation=None, algorithm="auto"):
    """y = the convolution of x with w (oc, c/groups, kh, kw), as a whole or in parts."""
    form = FORMS[algorithm]
    parts = windows_of(geometry, *x.shape[2:])
    if parts is None:
        _conv.forward(x, w, b, y, geometry, groups, -1 if activation is None else fused(activation), form)
    else:
        in_parts.convolve(parts, partial(_conv.forward, groups=groups, form=form), x, w, b, y, geometry)
        if activation is not None:
            ACTIVATIONS[activation](y, out=y)
