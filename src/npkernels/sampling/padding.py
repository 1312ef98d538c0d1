"""Padding of images by a constant or by their own pixels, and the gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import _arguments as check
from .._kernels import axes as _axes, resample as _resample
from ._layout import like

if TYPE_CHECKING:
    from .._typing import F, FloatLike, NDArray, Number, Padding, PadMode

MODES = {
    "constant": _axes.CONSTANT,
    "reflect": _axes.REFLECT,
    "replicate": _axes.REPLICATE,
    "circular": _axes.CIRCULAR,
}


def _axis_allows(size: int, pads: tuple[int, int], mode: str) -> None:
    """Raises if an axis of `size` has not the pixels that its pads are made of."""
    if mode == "reflect" and max(pads) >= size:
        raise ValueError(f"padding must be smaller than the image with mode='reflect', got {pads} for size {size}")
    if mode == "circular" and max(pads) > size:
        raise ValueError(f"padding must not be larger than the image with mode='circular', got {pads} for size {size}")
    if mode == "replicate" and size == 0:
        raise ValueError("x must have at least one row and one column with mode='replicate', got size 0")
    if size + sum(pads) > check.INT64_MAX:
        raise ValueError(f"padding must leave a size that fits 64 bits, got {pads} for size {size}")


def pad2d(x: FloatLike[F], padding: Padding, *, mode: PadMode = "constant", value: Number = 0.0) -> NDArray[F]:
    """Images with rows and columns added on each side.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides.
    padding : int, (int, int) or ((top, bottom), (left, right))
        Rows and columns that are added, as in `conv2d`.
    mode : {"constant", "reflect", "replicate", "circular"}
        What they hold: `value`; the image mirrored at the centre of its outermost pixels, each side smaller than the
        image; its outermost pixels; or the image once more, each side at most as large as the image.
    value : float
        With mode "constant" only.

    Returns
    -------
    y : (n, c, top + h + bottom, left + w + right) array, dtype of `x`
        The very numbers of `x`.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or `padding` does not hold ints.
    ValueError
        If `x` does not have four axes, a size is out of range, or `value` is not 0 with another mode than "constant".

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.arange(1.0, 4.0).reshape(1, 1, 1, 3)
    >>> nk.pad2d(x, (0, 2), mode="reflect")[0, 0]
    array([[3., 2., 1., 2., 3., 2., 1.]])
    >>> nk.pad2d(x, ((0, 1), (1, 0)), value=9)[0, 0]
    array([[9., 1., 2., 3.],
           [9., 9., 9., 9.]])
    """
    image = check.real("x", x)
    check.rank("x", image, 4, "(n, c, h, w)")
    pads = check.pads("padding", padding)
    kind = MODES[check.choice("mode", mode, MODES)]
    value = check.number("value", value)
    if mode != "constant" and value != 0:
        raise ValueError(f"value must be 0 with mode={mode!r}, got {value}")
    for size, sides in zip(image.shape[2:], pads, strict=True):
        _axis_allows(size, sides, mode)
    counts = (size + sum(sides) for size, sides in zip(image.shape[2:], pads, strict=True))
    y = like(image, *counts)
    if y.size:
        rows, columns = (
            _axes.padding(size, sides[0], sides[1], kind, image.dtype.num)
            for size, sides in zip(image.shape[2:], pads, strict=True)
        )
        _resample.resample(image, y, rows, columns, value)
    return y


def pad2d_backward(dy: FloatLike[F], padding: Padding, *, mode: PadMode = "constant") -> NDArray[F]:
    """Gradient of `pad2d`: each pixel is given what its copies were.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
        Gradient of the loss with respect to the padded images; any strides.
    padding, mode
        As of `pad2d`.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`
        With r and s copies of a row and a column, the error is at most ``(min(r, 8192) + min(s, 8192)) eps`` times the
        same sum of ``|dy|``.

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or `padding` does not hold ints.
    ValueError
        If `dy` does not have four axes, is smaller than the padding, or a size is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.pad2d_backward(np.ones((1, 1, 1, 5)), (0, 1), mode="replicate")[0, 0]
    array([[2., 1., 2.]])
    """
    gradient = check.real("dy", dy)
    check.rank("dy", gradient, 4, "(n, c, oh, ow)")
    pads = check.pads("padding", padding)
    kind = MODES[check.choice("mode", mode, MODES)]
    sizes = [size - sum(sides) for size, sides in zip(gradient.shape[2:], pads, strict=True)]
    if min(sizes) < 0:
        raise ValueError(f"dy must have a shape of at least the padding {pads}, got {gradient.shape}")
    for size, sides in zip(sizes, pads, strict=True):
        _axis_allows(size, sides, mode)
    dx = like(gradient, *sizes)
    if dx.size:
        rows, columns = (
            _axes.adjoint(_axes.padding(size, sides[0], sides[1], kind, dx.dtype.num), size)
            for size, sides in zip(sizes, pads, strict=True)
        )
        _resample.resample(gradient, dx, rows, columns, 0.0)
    return dx
