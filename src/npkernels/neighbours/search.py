"""The rows of one array that are nearest to each row of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _arguments as check
from .._kernels import neighbours as _neighbours
from .pairwise import KINDS, operands, unit_rows

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int, Metric, NDArray


def nearest(
    x: FloatLike[F], y: FloatLike[F], k: Int, *, metric: Metric = "sqeuclidean"
) -> tuple[NDArray[F], NDArray[np.int32]]:
    """The `k` rows of `y` that are nearest to each row of `x`.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        Any strides, read in place.
    y : (m, d) array, dtype of `x`
        The same.
    k : int
        From 1 to m.
    metric : {"sqeuclidean", "euclidean", "cosine", "dot"}
        As in `pairwise_distances`.

    Returns
    -------
    distances : (n, k) array, dtype of `x`
        Ascending. For "dot" inner products, of which the largest are nearest: descending.
    indices : (n, k) array of int32
        Rows of `y`; of equal distances the lowest index comes first.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or the two differ, or `k` is no int.
    ValueError
        If a shape does not match, there is no feature, `k` is not in range, a value is NaN or inf, or there is no such
        metric.

    Notes
    -----
    The nearest rows have the largest ``(x - m).(y - m) - |y - m|^2 / 2``, m being near the mean of `y`: a product, of
    which the best of each row are kept, at least three more than `k`. The matrix of all is never stored. Distances are
    then computed from the pairs that are left, as in `pairwise_distances`, and sorted. Where arithmetic is exact, as
    on small integers, so are ties; else the j-th squared distance exceeds the j-th smallest by at most
    ``8 (d + 16) eps (|x - m|^2 + max |y - m|^2)``, for "dot" and "cosine" by as much with m = 0, and rows of
    length 1 for "cosine". Where y is so small or large that squares would vanish or overflow, x and y are scaled. A
    result does not depend on the other rows of `x`, to the last bit.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.nearest(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0], [-1.0]]), 2)
    (array([[ 1.,  1.],
           [ 1., 16.]]), array([[1, 2],
           [0, 1]], dtype=int32))
    """
    rows, others = operands(x, y)
    (n, d), m = rows.shape, len(others)
    kind, k = KINDS[check.choice("metric", metric, KINDS)], check.integer("k", k, 1)
    if d == 0:
        raise ValueError(f"x and y must have at least one feature, got {rows.shape} and {others.shape}")
    if m > 2**31 - 1:
        raise ValueError(f"y must have at most 2**31 - 1 rows, got {m}")
    if k > m:
        raise ValueError(f"k must be at most the number of rows of y, {m}, got {k}")
    values, indices = check.empty((n, k), rows.dtype), check.empty((n, k), np.int32)
    if kind == KINDS["cosine"]:
        check.finite_rows("y", others)
        check.finite_rows("x", rows)
        rows, others = unit_rows(rows), unit_rows(others)
    _search(rows, others, kind, values, indices)
    return values, indices


def _search(x, y, kind, values, indices):
    outcome = _neighbours.search(x, y, kind, values, indices) if len(x) else _neighbours.NOT_FINITE
    if outcome == _neighbours.NOT_FINITE:
        check.finite_rows("y", y)
        check.finite_rows("x", x)
    elif outcome == _neighbours.OVERFLOW:
        half = len(x) // 2
        if half:
            _search(x[:half], y, kind, values[:half], indices[:half])
            _search(x[half:], y, kind, values[half:], indices[half:])
        else:
            _search_from_afar(x, y, kind, values, indices)
    elif outcome == _neighbours.EXTREME:
        unit = np.frexp(abs(y).max())[1]
        _search(np.ldexp(x, -unit), np.ldexp(y, -unit), kind, values, indices)
        with np.errstate(over="ignore", under="ignore"):
            np.ldexp(values, unit if kind == KINDS["euclidean"] else 2 * unit, out=values)


def _search_from_afar(x, y, kind, values, indices):
    """One row, so far away that products overflow: of (x - m).(y - m) - |y - m|^2 / 2 the second term is lost in the
    rounding of the first, and the first one may be scaled."""
    quarter = x.dtype.type(0.25)
    centre = y[:1] * (quarter if kind != KINDS["dot"] else 0)
    shifted = [array * quarter - centre for array in (x, y)]
    scaled = [np.ldexp(array, -np.frexp(abs(array).max())[1]) for array in shifted]
    _search(*scaled, KINDS["dot"], values, indices)
    pairs = y[indices[0]].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == KINDS["dot"]:
            values[0] = (pairs * x).sum(1)
        else:
            squares = np.square(pairs - x).sum(1)
            values[0] = np.sqrt(squares) if kind == KINDS["euclidean"] else squares
    order = np.argsort(-values[0] if kind == KINDS["dot"] else values[0], kind="stable")
    values[0], indices[0] = values[0, order], indices[0, order]
