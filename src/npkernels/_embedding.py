"""Rows of a table by their numbers, and the gradient of the table."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import _arguments as check
from ._kernels import embedding as _embedding

Real = TypeVar("Real", np.float32, np.float64)


def _rows(indices: Any, end: int, what: str) -> NDArray[np.int64]:
    """A copy of the indices as int64, each in [0, end): nobody else can write to it any more."""
    indices = check.integers("indices", indices)
    rows = indices.astype(np.int64, order="C")
    first = _embedding.first_outside(rows, end)
    if first >= 0:
        value = rows.flat[first]
        if indices.dtype.kind == "u":
            value = value.astype(np.uint64)
        raise ValueError(f"indices must be in [0, {what} = {end}), got {value}")
    return rows


def embedding(indices: NDArray[np.integer[Any]], w: NDArray[Real]) -> NDArray[Real]:
    """Rows of a table: the vectors that stand for words, or other things that are numbered.

    Parameters
    ----------
    indices : array of any integer dtype and shape
        Any strides. Copied once and checked.
    w : (m, d) array of float32 or float64
        Any strides, read in place.

    Returns
    -------
    y : (*indices.shape, d) array, dtype of `w`
        ``w[indices]``, exactly.

    Raises
    ------
    TypeError
        If the dtype of `w` is not float32 or float64, or that of `indices` is no integer; bool is none.
    ValueError
        If `w` is not 2-D, or an index is not in [0, m): negative ones do not count from the end.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.embedding(np.array([2, 0, 2]), np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]))
    array([[4., 5.],
           [0., 1.],
           [4., 5.]])
    """
    w = check.real("w", w)
    check.rank("w", w, 2, "(m, d)")
    rows: NDArray[np.int64] = _rows(indices, w.shape[0], "m")
    y = check.empty((*rows.shape, w.shape[1]), w.dtype)
    if y.size:
        _embedding.forward(rows, w, y)
    return y


def embedding_backward(dy: NDArray[Real], indices: NDArray[np.integer[Any]], num_embeddings: int) -> NDArray[Real]:
    """Gradient of `embedding` with respect to the table.

    Parameters
    ----------
    dy : (*indices.shape, d) array of float32 or float64
        Gradient of the loss with respect to the rows; any strides, read in place.
    indices : array of any integer dtype and shape
        As `embedding` took them.
    num_embeddings : int
        The number of rows of the table, m.

    Returns
    -------
    dw : (m, d) array, dtype of `dy`
        Row j is the sum of the rows of `dy` whose index is j, 0 if there is none.

    Raises
    ------
    TypeError
        If the dtype of `dy` is not float32 or float64, that of `indices` is no integer, or `num_embeddings` is no int.
    ValueError
        If a shape does not match, `num_embeddings` is negative, or an index is not in [0, m).

    Notes
    -----
    Rows are added in the order in which they stand in `dy`, on however many threads. Of more than 8192 rows with one
    index, the sums of so many each are added: the error is at most ``(min(r, 8192) + r / 8192) eps`` times the sum of
    the absolute values of the r rows.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.embedding_backward(np.array([[1.0], [2.0], [4.0]]), np.array([2, 0, 2]), 3)
    array([[2.],
           [0.],
           [5.]])
    """
    dy = check.real("dy", dy)
    m = check.integer("num_embeddings", num_embeddings, 0)
    rows = _rows(indices, m, "num_embeddings")
    if dy.ndim == 0 or dy.shape[:-1] != rows.shape:
        raise ValueError(f"dy must have shape {rows.shape} of indices and one axis more, got {dy.shape}")
    d = dy.shape[-1]
    try:
        dw = np.zeros((m, d), dy.dtype)
    except ValueError:
        raise ValueError(f"the result would have shape {(m, d)}, whose size overflows") from None
    if dy.size:
        _embedding.backward(dy, rows, dw)
    return dw
