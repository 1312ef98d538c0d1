"""Distances between all rows of two arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _arguments as check
from .._kernels import pairwise as _pairwise
from ..linear import matmul

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Metric, NDArray

KINDS = {"sqeuclidean": 0, "euclidean": 1, "cosine": 2, "dot": 3}  # as in kernels/neighbours/neighbours.h
BLOCK = 1 << 18  # numbers that are looked at in float64 at a time


def operands(x: object, y: object) -> tuple[NDArray[Any], NDArray[Any]]:
    """x (n, d) and y (m, d)."""
    x = check.real("x", x)
    check.rank("x", x, 2, "(n, d)")
    y = check.real("y", y, x)
    if y.ndim != 2 or y.shape[1] != x.shape[1]:
        raise ValueError(f"y must have shape (m, {x.shape[1]}), got {y.shape}")
    return x, y


def unit_rows(x):
    """x with rows of length 1, but those of length 0. No length overflows or vanishes, or depends on other rows."""
    units = check.empty(x.shape, x.dtype)
    step = max(1, BLOCK // max(1, x.shape[1]))
    for first in range(0, len(x), step):
        rows = np.array(x[first : first + step], np.float64, order="C")
        if x.dtype == np.float64 and rows.size:
            np.ldexp(rows, -np.frexp(abs(rows).max(1, keepdims=True))[1], out=rows)
        length = np.sqrt(np.square(rows).sum(1, keepdims=True))
        length[length == 0] = 1
        with np.errstate(invalid="ignore"):
            units[first : first + step] = rows / length
    return units


def unit_of(*arrays):
    """The exponent of the largest number where squares of such numbers would overflow or vanish, else 0."""
    largest = np.max([max(array.max(), -array.min()) for array in arrays if array.size], initial=0)
    exponent = int(np.frexp(largest)[1])
    return exponent if np.isfinite(largest) and abs(exponent) > np.finfo(largest.dtype).maxexp // 2 - 16 else 0


def pairwise_distances(x: FloatLike[F], y: FloatLike[F] | None = None, *, metric: Metric = "sqeuclidean") -> NDArray[F]:
    """Distances of all rows of `x` to all rows of `y`.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        Any strides, read in place.
    y : (m, d) array, dtype of `x`, optional
        By default `x` itself.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        ``|x - y|^2``, ``|x - y|``, ``1 - x.y / (|x| |y|)``, or the inner product ``x.y``, which is no distance: it is
        largest where rows are alike.

    Returns
    -------
    distances : (n, m) array, dtype of `x`

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or the two differ.
    ValueError
        If a shape does not match, or there is no such metric.

    Notes
    -----
    Squares of differences are added up, so that nothing cancels: the relative error of ``|x - y|^2`` is at most
    ``(min(d, 8192) + d / 8192 + 3) eps``, and equal rows are exactly 0 apart, also by "cosine". That is
    ``|x / |x| - y / |y||^2 / 2``, with an error of at most ``(d + 8) eps`` times itself, ``8 eps`` times its root and
    ``8 eps^2`` together; a row of zeros is at distance 1 from all others, and at distance 0 from itself where `y` is
    not given. "dot" is `matmul`. A distance does not depend on the other rows; where all numbers are so large or small
    that their squares would overflow or vanish, "euclidean" scales them. NaN and inf travel.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), metric="euclidean")
    array([[0., 5.],
           [5., 0.]])
    """
    rows, others = operands(x, x if y is None else y)
    kind = KINDS[check.choice("metric", metric, KINDS)]
    if kind == KINDS["dot"]:
        return matmul(rows, others.T)
    if kind == KINDS["cosine"]:
        rows, others = (units := unit_rows(rows)), units if y is None else unit_rows(others)
    unit = unit_of(rows, others) if kind == KINDS["euclidean"] else 0
    if unit:
        rows, others = np.ldexp(rows, -unit), np.ldexp(others, -unit)
    out = check.empty((len(rows), len(others)), rows.dtype)
    if out.size:
        _pairwise.distances(rows, others, kind, out)
    if unit:
        with np.errstate(over="ignore", under="ignore"):
            np.ldexp(out, unit, out=out)
    if kind == KINDS["cosine"]:
        zero, other_zero = ~rows.any(1), ~others.any(1)
        out[zero] = out[zero] * 0 + 1  # NaN stays
        out[:, other_zero] = out[:, other_zero] * 0 + 1
        if y is None:
            out[zero, zero] = 0
    return out
