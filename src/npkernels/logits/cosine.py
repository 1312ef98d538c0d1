"""The cosine of pairs of vectors, and its gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _arguments as check
from .._kernels import pairs as _pairs

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int, NDArray


def cosine_similarity(a: FloatLike[F], b: FloatLike[F], axis: Int = -1) -> NDArray[F]:
    """Cosine of the angle between vectors along an axis: ``a.b / (|a| |b|)``.

    Parameters
    ----------
    a : array of float32 or float64
        At least one axis; any strides.
    b : array of the shape and dtype of `a`
    axis : int

    Returns
    -------
    c : array of the shape of `a` without `axis`; dtype of `a`
        Norms count as 1e-8 at least, as in PyTorch's ``cosine_similarity``; sums are taken in double precision.

    Raises
    ------
    TypeError
        If an array is not float32 or float64, or the two differ.
    ValueError
        If the shapes differ, or `axis` is out of range.

    Notes
    -----
    Squares must not overflow a double.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.cosine_similarity(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [0.0, 2.0]]))
    array([0.96, 0.  ])
    """
    first, second, along = _pair(a, b, axis)
    c = np.empty((*first.shape[:along], *first.shape[along + 1 :]), first.dtype)
    rows = np.moveaxis(first, along, -1), np.moveaxis(second, along, -1)
    _pairs.rows(_pairs.COSINE, rows, 0.0, 1.0, None, None, c, None)
    return c if c.ndim else c[()]


def cosine_similarity_backward(
    dy: FloatLike[F], a: FloatLike[F], b: FloatLike[F], axis: Int = -1
) -> tuple[NDArray[F], NDArray[F]]:
    """Gradients of `cosine_similarity`: ``dy (b / (|a| |b|) - c a / |a|^2)``, and that of b likewise.

    Parameters
    ----------
    dy : array of the shape of `a` without `axis`, dtype of `a`
        Gradient of the loss with respect to the cosines.
    a, b, axis
        As `cosine_similarity`.

    Returns
    -------
    da, db : arrays of the shape and dtype of `a`

    Raises
    ------
    TypeError, ValueError
        As `cosine_similarity`; if `dy` has another shape or dtype.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.cosine_similarity_backward(np.ones(1), np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]]))
    (array([[0., 1.]]), array([[0.5, 0. ]]))
    """
    first, second, along = _pair(a, b, axis)
    dy = check.real("dy", dy, first, "a")
    check.shape("dy", dy, (*first.shape[:along], *first.shape[along + 1 :]))
    da, db = check.empty(first.shape, first.dtype), check.empty(first.shape, first.dtype)
    rows = [np.moveaxis(x, along, -1) for x in (first, second, da, db)]
    cosines = np.empty(dy.shape, first.dtype)
    _pairs.rows(_pairs.COSINE, tuple(rows[:2]), 0.0, 1.0, None, np.ascontiguousarray(dy), cosines, tuple(rows[2:]))
    return da, db


def _pair(a, b, axis):
    a = check.real("a", a)
    b = check.real("b", b, a, "a")
    if a.ndim == 0:
        raise ValueError("a must have at least one axis, got a 0-d array")
    check.shape("b", b, a.shape)
    return a, b, check.axis(axis, a)
