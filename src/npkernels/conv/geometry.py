"""Sizes and receptive fields of convolutions and poolings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from .. import _arguments as check
from .windows import output_size

if TYPE_CHECKING:
    from .._typing import Flag, Int, Int2, Padding


def conv_output_size(
    size: Int2,
    kernel_size: Int2,
    *,
    stride: Int2 = 1,
    padding: Padding = 0,
    dilation: Int2 = 1,
    ceil_mode: Flag = False,
) -> tuple[int, int]:
    """Rows and columns that a convolution or a pooling makes of an image.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns of the image.
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
    ceil_mode : bool
        Count a last window that reaches beyond the image, as PyTorch's pooling does.

    Returns
    -------
    (oh, ow) : tuple of int
        ``floor((size + begin + end - dilation * (kernel - 1) - 1) / stride) + 1`` per axis.

    Raises
    ------
    TypeError, ValueError
        If an argument is not an int2, or the kernel is larger than the padded image.

    References
    ----------
    .. [1] V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285, 2016.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.conv_output_size((224, 224), 7, stride=2, padding=3)
    (112, 112)
    """
    size = check.pair("size", size, 0)
    kernel = check.pair("kernel_size", kernel_size, 1)
    stride, dilation = check.pair("stride", stride, 1), check.pair("dilation", dilation, 1)
    pads = check.pads("padding", padding)
    return tuple(
        output_size(n, k, s, p, d, check.flag("ceil_mode", ceil_mode))
        for n, k, s, p, d in zip(size, kernel, stride, pads, dilation, strict=True)
    )


class Geometry(NamedTuple):
    """The windows of a convolution as kernels take them: kernel, stride, dilation, leading pads, size of the result."""

    kh: int
    kw: int
    sh: int
    sw: int
    dh: int
    dw: int
    top: int
    left: int
    oh: int
    ow: int


class ReceptiveField(NamedTuple):
    """What an element of a layer's output sees of the input: the number of its pixels, their distance from those of the
    next element, and the centre of the first element, in pixels from the input's edge."""

    size: int
    jump: int
    start: float


ReceptiveField.__module__ = "npkernels"


def receptive_field(layers: Iterable[tuple[Int, Int, Int] | list[int]]) -> ReceptiveField:
    """Receptive field of a stack of convolutions and poolings along one axis.

    Parameters
    ----------
    layers : sequence of (kernel, stride, padding)
        From the input on; a dilated kernel counts with its span.

    Returns
    -------
    ReceptiveField
        ``size`` += (kernel - 1) jump, ``start`` += ((kernel - 1)/2 - padding) jump, ``jump`` *= stride, from
        size 1, jump 1, start 0.5.

    Raises
    ------
    TypeError
        If `layers` is no sequence, or a number is not an int.
    ValueError
        If a layer is not three numbers, kernel or stride is below 1 or padding below 0, or `start` is beyond a float.

    Notes
    -----
    ``size`` and ``jump`` are exact, ``start`` is rounded once.

    References
    ----------
    .. [1] A. Araujo, W. Norris and J. Sim, "Computing receptive fields of convolutional neural networks", Distill,
       2019.

    Examples
    --------
    >>> import npkernels as nk
    >>> nk.receptive_field([(3, 1, 1), (2, 2, 0), (3, 1, 1)])
    ReceptiveField(size=8, jump=2, start=1.0)
    """
    if not isinstance(layers, Iterable) or getattr(layers, "ndim", 1) == 0:
        raise TypeError(f"layers must be a sequence of (kernel, stride, padding), got {type(layers).__name__}")
    size, jump, twice_start = 1, 1, 1
    for i, layer in enumerate(layers):
        if not isinstance(layer, (tuple, list)) or len(layer) != 3:
            raise ValueError(f"layers[{i}] must be (kernel, stride, padding), got {layer!r}")
        names = (f"{part} of layers[{i}]" for part in ("kernel", "stride", "padding"))
        kernel, stride, padding = (check.integer(*each) for each in zip(names, layer, (1, 1, 0), strict=True))
        size += (kernel - 1) * jump
        twice_start += (kernel - 1 - 2 * padding) * jump
        jump *= stride
    try:
        return ReceptiveField(size, jump, twice_start / 2)
    except OverflowError:
        raise ValueError(f"layers must leave a start that fits a float, got {i + 1} layers") from None


def geometry_of(h, w, kh, kw, stride, padding, dilation, name="w"):
    """The `Geometry` of windows over images of h x w pixels; `name` has the kernel."""
    sh, sw = check.pair("stride", stride, 1)
    dh, dw = check.pair("dilation", dilation, 1)
    if isinstance(padding, str):
        check.choice("padding", padding, ("valid", "same"))
        if padding == "same" and (sh, sw) != (1, 1):
            raise ValueError(f"padding='same' must go with stride 1, got stride {(sh, sw)}")
        spans = (dh * (kh - 1), dw * (kw - 1)) if padding == "same" else (0, 0)
        (top, bottom), (left, right) = ((span // 2, span - span // 2) for span in spans)
    else:
        (top, bottom), (left, right) = check.pads("padding", padding)
    oh = output_size(h, kh, sh, (top, bottom), dh, name=name)
    ow = output_size(w, kw, sw, (left, right), dw, name=name)
    # A step that is never taken is a short one: of what parts.py leaves whole no number overflows.
    sh, sw = sh if oh > 1 else min(sh, max(1, h)), sw if ow > 1 else min(sw, max(1, w))
    dh, dw = dh if kh > 1 else 1, dw if kw > 1 else 1
    return Geometry(kh, kw, sh, sw, dh, dw, top, left, oh, ow)
