"""Classes as vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .._typing import ArrayLike, Int, NDArray


def one_hot(indices: ArrayLike, num_classes: Int, *, dtype: DTypeLike) -> NDArray[Any]:
    """Unit vectors of classes: 1 at the index, else 0.

    Parameters
    ----------
    indices : array of integers
        Of any shape, in [0, num_classes).
    num_classes : int
        At least 1.
    dtype : NumPy dtype
        Of the result: floating, integer or bool.

    Returns
    -------
    y : (*indices.shape, num_classes) array of `dtype`

    Raises
    ------
    TypeError
        If `indices` are not integers, `num_classes` is no int, or `dtype` is of another kind.
    ValueError
        If an index is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.one_hot([2, 0], 3, dtype=np.float32)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    indices = check.integers("indices", indices)
    num_classes = check.integer("num_classes", num_classes, 1)
    try:
        kind = np.dtype(dtype)
    except Exception as error:  # whatever the conversion of a foreign object raises
        raise TypeError(f"dtype must be a NumPy dtype, got {dtype!r}") from error
    if kind.kind not in "fiub" or dtype is None:
        raise TypeError(f"dtype must be floating, integer or bool, got {dtype if dtype is None else kind}")
    if not kind.isnative:
        raise TypeError(f"dtype must have the native byte order, got {kind}")
    least, most = (indices.min(), indices.max()) if indices.size else (0, 0)
    if least < 0 or most >= num_classes:
        raise ValueError(f"indices must be in [0, {num_classes}), got {least} to {most}")
    try:
        y = np.zeros((*indices.shape, num_classes), kind)
    except ValueError:
        raise ValueError(f"num_classes must leave a size that fits 64 bits, got {num_classes}") from None
    rows = y.reshape(indices.size, num_classes)
    rows[np.arange(indices.size), indices.ravel()] = 1
    return y
