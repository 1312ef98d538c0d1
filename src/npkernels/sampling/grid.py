"""Images sampled at the places of a grid: the spatial transformer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .. import _arguments as check
from .._kernels import grid as _grid
from ._layout import like

if TYPE_CHECKING:
    from .._typing import F, Flag, FloatLike, GridPadding, Int, Interpolation, NDArray

MODES = ("bilinear", "nearest")


def _centres(count: int, align_corners: bool) -> NDArray[np.float64]:
    """Coordinates of the pixels of an axis; of a single one 0."""
    doubled = np.arange(1 - count, count, 2, dtype=np.float64)
    return doubled / max(1, count - 1 if align_corners else count)


def affine_grid(theta: FloatLike[F], size: Sequence[Int], *, align_corners: Flag = False) -> NDArray[F]:
    """The places to which an affine map takes the pixels of an image, for `grid_sample`.

    Parameters
    ----------
    theta : (n, 2, 3) array of float32 or float64
        A map for each image, from coordinates (x, y, 1) of the result to (x, y) of the input.
    size : (int, int, int, int)
        (n, c, h, w) of the result.
    align_corners : bool
        Whether -1 and 1 are the centres of the outermost pixels, else their outer edges.

    Returns
    -------
    grid : (n, h, w, 2) array, dtype of `theta`
        ``grid[n, i, j] = theta[n] @ (x[j], y[i], 1)``. The error is at most 3 eps times the sum of the absolute terms.

    Raises
    ------
    TypeError
        If `theta` is not float32 or float64, or `size` does not hold ints.
    ValueError
        If a shape does not match, or the size has no rows or no columns.

    References
    ----------
    .. [1] M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, "Spatial transformer networks", arXiv:1506.02025,
       2015.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.affine_grid(np.array([[[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    array([[[[0., 0.],
             [1., 0.]]]])
    """
    maps = check.real("theta", theta)
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"size must be a tuple (n, c, h, w), got {type(size).__name__}")
    if len(size) != 4:
        raise ValueError(f"size must be (n, c, h, w), got {len(size)} values")
    n, _, h, w = (check.integer("size", each, low) for each, low in zip(size, (0, 0, 1, 1), strict=True))
    check.shape("theta", maps, (n, 2, 3))
    align_corners = check.flag("align_corners", align_corners)
    grid = check.empty((n, h, w, 2), maps.dtype)
    if n:
        columns = np.repeat(_centres(w, align_corners).astype(maps.dtype), 2)
        _grid.affine(maps, columns, _centres(h, align_corners), grid)
    return grid


def _checked(x: Any, grid: Any, mode: Any, padding_mode: Any, align_corners: Any) -> tuple[Any, Any, bool, int, bool]:
    """Images, grid, and the options as the kernels take them."""
    image = check.real("x", x)
    check.rank("x", image, 4, "(n, c, h, w)")
    places = check.real("grid", grid, image)
    n, _, h, w = image.shape
    if places.ndim != 4 or places.shape[0] != n or places.shape[3] != 2:
        raise ValueError(f"grid must have shape ({n}, oh, ow, 2), got {places.shape}")
    if not 1 <= h * w <= _grid.MOST_PIXELS:
        raise ValueError(f"x must have planes of 1 to {_grid.MOST_PIXELS} pixels, got shape {image.shape}")
    nearest = check.choice("mode", mode, MODES) == "nearest"
    padding = _grid.PADDINGS[check.choice("padding_mode", padding_mode, _grid.PADDINGS)]
    return image, places, nearest, padding, check.flag("align_corners", align_corners)


def grid_sample(
    x: FloatLike[F],
    grid: FloatLike[F],
    *,
    mode: Interpolation = "bilinear",
    padding_mode: GridPadding = "zeros",
    align_corners: Flag = False,
) -> NDArray[F]:
    """Samples of images at the places of a grid.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides. Columns or channels that lie next to each other are read in place.
    grid : (n, oh, ow, 2) array, dtype of `x`
        Coordinates (x, y) of each sample; -1 is left and top, 1 right and bottom.
    mode : {"bilinear", "nearest"}
        Between 2 by 2 pixels, or the nearest pixel, of two as near the even one.
    padding_mode : {"zeros", "border", "reflection"}
        What lies beyond the image: zeros, its outermost pixels, or the image mirrored at its border.
    align_corners : bool
        Whether -1 and 1 are the centres of the outermost pixels, else their outer edges.

    Returns
    -------
    y : (n, c, oh, ow) array, dtype of `x`
        Places are computed in the dtype of `x`; from there on the error is at most ``8 eps`` times the same sum of
        ``|x|``.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, `grid` is not of its dtype, or an argument is of the wrong kind.
    ValueError
        If a shape does not match, an option is unknown, or an image has no pixels or more than 2**30 in a plane.

    Notes
    -----
    Any coordinate is legal, as in PyTorch: NaN is the first row or column with "border" and "reflection"; with "zeros"
    NaN and infinity give NaN with "bilinear", and 0 with "nearest".

    References
    ----------
    .. [1] M. Jaderberg, K. Simonyan, A. Zisserman and K. Kavukcuoglu, "Spatial transformer networks", arXiv:1506.02025,
       2015.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> nk.grid_sample(x, np.array([[[[0.0, 0.0], [0.5, -0.5], [1.0, -0.5]]]]))[0, 0]
    array([[2.5, 2. , 1. ]])
    """
    image, places, nearest, padding, align = _checked(x, grid, mode, padding_mode, align_corners)
    y = like(image, *places.shape[1:3])
    _grid.forward(image, places, y, nearest, padding, align)
    return y


def grid_sample_backward(
    dy: FloatLike[F],
    x: FloatLike[F],
    grid: FloatLike[F],
    *,
    mode: Interpolation = "bilinear",
    padding_mode: GridPadding = "zeros",
    align_corners: Flag = False,
    needs: tuple[Literal["x", "grid"], ...] = ("x", "grid"),
) -> tuple[NDArray[F] | None, NDArray[F] | None]:
    """Gradients of `grid_sample`.

    Parameters
    ----------
    dy : (n, c, oh, ow) array, dtype of `x`
        Gradient of the loss with respect to the samples; any strides.
    x, grid, mode, padding_mode, align_corners
        As of `grid_sample`.
    needs : tuple of "x", "grid"
        Which gradients are wanted.

    Returns
    -------
    dx : (n, c, h, w) array, dtype of `x`, or None
        Each pixel is the sum of what the samples took of it, in the order of the grid, in double precision: the error
        is at most ``8 eps`` times the same sum of ``|dy|`` in float32, ``(m + 8) eps`` of m terms in float64.
    dgrid : (n, oh, ow, 2) array, dtype of `x`, or None
        0 with mode "nearest", and for a coordinate beyond the image or on its border unless the padding is zeros. The
        error is at most ``(c + 16) eps`` times the sum of the absolute terms.

    Raises
    ------
    TypeError
        If `x` is not float32 or float64, `dy` or `grid` is not of its dtype, or an argument is of the wrong kind.
    ValueError
        If a shape does not match, an option is unknown, or an image has no pixels or more than 2**30 in a plane.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x, grid = np.array([[[[1.0, 2.0], [3.0, 4.0]]]]), np.zeros((1, 1, 1, 2))
    >>> dx, dgrid = nk.grid_sample_backward(np.ones((1, 1, 1, 1)), x, grid)
    >>> dx[0, 0], dgrid[0, 0, 0]
    (array([[0.25, 0.25],
           [0.25, 0.25]]), array([1., 2.]))
    """
    image, places, nearest, padding, align = _checked(x, grid, mode, padding_mode, align_corners)
    gradient = check.real("dy", dy, image)
    check.shape("dy", gradient, (*image.shape[:2], *places.shape[1:3]))
    need_x, need_grid = check.needs(needs, ("x", "grid"))
    dx = like(image, *image.shape[2:]) if need_x else None
    dgrid = check.empty(places.shape, image.dtype) if need_grid else None
    if need_x or need_grid:
        _grid.backward(gradient, image, places, dx, dgrid, nearest, padding, align)
    return dx, dgrid
