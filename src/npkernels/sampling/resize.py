"""Interpolation of images to another size, and the gradient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import _arguments as check
from .._kernels import axes as _axes, resample as _resample
from ._layout import like

if TYPE_CHECKING:
    from .._typing import F, Flag, FloatLike, Int2, Interpolation, NDArray, Number

MODES = ("nearest", "bilinear")


def _factors(value: Any) -> tuple[float, float]:
    """The scale of rows and of columns from a number or a pair."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"scale_factor must be a number or a pair of numbers, got {len(pair)} values")
    rows, columns = (check.number("scale_factor", each) for each in pair)
    for factor in (rows, columns):
        if not 0 < factor < math.inf:
            raise ValueError(f"scale_factor must be positive and finite, got {factor}")
    return rows, columns


def _sizes(input_size: tuple[int, int], size: Any, scale_factor: Any) -> tuple[tuple[int, int], tuple[float, float]]:
    """Rows and columns of the result, and the factors that were given, 0 where it was the size."""
    if size is not None and scale_factor is not None:
        raise ValueError(f"size must be None where scale_factor is given, got {size!r} and {scale_factor!r}")
    if size is not None:
        return check.pair("size", size, 1), (0.0, 0.0)
    if scale_factor is None:
        raise ValueError("size or scale_factor must be given, got neither")
    factors = _factors(scale_factor)
    scaled = tuple(n * factor for n, factor in zip(input_size, factors, strict=True))
    if not 1 <= min(scaled) <= max(scaled) < 2.0**63:
        raise ValueError(
            f"scale_factor must leave at least one row and one column and sizes that fit 64 bits, got {factors} "
            f"for size {input_size}"
        )
    return (math.floor(scaled[0]), math.floor(scaled[1])), factors


def _axis_maker(mode: Any, align_corners: Any, antialias: Any) -> Any:
    """The function that makes the taps of an axis from its sizes, factor and dtype."""
    check.choice("mode", mode, MODES)
    align_corners, antialias = check.flag("align_corners", align_corners), check.flag("antialias", antialias)
    if mode == "bilinear":
        return lambda size, count, factor, num: _axes.interpolating(size, count, factor, align_corners, antialias, num)
    if align_corners:
        raise ValueError("align_corners must be False with mode='nearest', got True")
    if antialias:
        raise ValueError("antialias must be False with mode='nearest', got True")
    return _axes.nearest


def interpolate(
    x: FloatLike[F],
    size: Int2 | None = None,
    *,
    scale_factor: Number | tuple[Number, Number] | list[float] | None = None,
    mode: Interpolation = "nearest",
    align_corners: Flag = False,
    antialias: Flag = False,
) -> NDArray[F]:
    """Images of another size, as `torch.nn.functional.interpolate` makes them.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides. Channels that lie next to each other are read in place.
    size : int or (int, int), optional
        Rows and columns of the result; either this or `scale_factor`.
    scale_factor : float or (float, float), optional
        The result has ``floor(h * scale_factor)`` rows, and its pixels lie ``1 / scale_factor`` apart.
    mode : {"nearest", "bilinear"}
        The pixel at ``floor(i * scale)``, the scale and the product in float32; or a weighted mean of 2 by 2 pixels.
    align_corners : bool
        Results and pixels share the centres of the outermost ones, not their outer edges; with "bilinear" only.
    antialias : bool
        Where the result is smaller, a mean over all the pixels under a triangle as wide as two of its own pixels; with
        "bilinear" only.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`
        Coordinates are computed in the dtype of `x`. The error is at most ``(a + b + 2) eps`` times the same sum of
        ``|x|``, a and b the rows and columns of a mean.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, or an argument is of the wrong kind.
    ValueError
        If `x` does not have four axes or has no pixels, both `size` and `scale_factor` are given or neither, or the
        result would have no pixels.

    Notes
    -----
    Rows are combined first, then columns. A pixel that is infinite makes the results NaN that see it with weight 0, as
    PyTorch's do.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> nk.interpolate(x, (2, 4))[0, 0]
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])
    >>> nk.interpolate(x, (3, 3), mode="bilinear", align_corners=True)[0, 0]
    array([[1. , 1.5, 2. ],
           [2. , 2.5, 3. ],
           [3. , 3.5, 4. ]])
    """
    image = check.real("x", x)
    check.rank("x", image, 4, "(n, c, h, w)")
    h, w = image.shape[2:]
    if h == 0 or w == 0:
        raise ValueError(f"x must have at least one row and one column, got shape {image.shape}")
    counts, factors = _sizes((h, w), size, scale_factor)
    axis = _axis_maker(mode, align_corners, antialias)
    y = like(image, *counts)
    if y.size:
        rows, columns = (axis(*each, y.dtype.num) for each in zip((h, w), counts, factors, strict=True))
        _resample.resample(image, y, rows, columns, 0.0)
    return y


def interpolate_backward(
    dy: FloatLike[F],
    input_size: Int2,
    size: Int2 | None = None,
    *,
    scale_factor: Number | tuple[Number, Number] | list[float] | None = None,
    mode: Interpolation = "nearest",
    align_corners: Flag = False,
    antialias: Flag = False,
) -> NDArray[F]:
    """Gradient of `interpolate`: each pixel is given the weighted sum of the results that saw it.

    Parameters
    ----------
    dy : (n, c, oh, ow) array of float32 or float64
        Gradient of the loss with respect to the result; any strides.
    input_size : int or (int, int)
        Rows and columns of the images.
    size, scale_factor, mode, align_corners, antialias
        As of `interpolate`; with neither `size` nor `scale_factor`, the size is that of `dy`.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `dy`
        The error is at most ``(min(a, 8192) + min(b, 8192) + 2) eps`` times the same sum of ``|dy|``, for a pixel that
        a rows and b columns of results saw.

    Raises
    ------
    TypeError
        If `dy` is not float32 or float64, or an argument is of the wrong kind.
    ValueError
        If a size is out of range, or `dy` does not have the shape that `interpolate` gives.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.interpolate_backward(np.ones((1, 1, 2, 4)), 2)[0, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    gradient = check.real("dy", dy)
    check.rank("dy", gradient, 4, "(n, c, oh, ow)")
    h, w = check.pair("input_size", input_size, 1)
    if size is None and scale_factor is None:
        size = gradient.shape[2:]
        if min(size) == 0:
            raise ValueError(f"dy must have at least one row and one column, got shape {gradient.shape}")
    counts, factors = _sizes((h, w), size, scale_factor)
    axis = _axis_maker(mode, align_corners, antialias)
    check.shape("dy", gradient, (*gradient.shape[:2], *counts))
    dx = like(gradient, h, w)
    if dx.size:
        rows, columns = (
            _axes.adjoint(axis(pixels, count, factor, dx.dtype.num), pixels)
            for pixels, count, factor in zip((h, w), counts, factors, strict=True)
        )
        _resample.resample(gradient, dx, rows, columns, 0.0)
    return dx
