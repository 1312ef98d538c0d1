"""Samples, and the batches in which a network sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import _arguments as check
from .arena import Arena

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    # One array, or a tuple of them with a first axis of the same length.
    Arrays: TypeAlias = Array | tuple[Array, ...]


def arrays(name: str, value: object) -> Arrays:
    """An array, or a tuple of arrays, each with an axis of samples."""
    if isinstance(value, tuple):
        return tuple(_array(f"{name}[{i}]", each) for i, each in enumerate(value))
    return _array(name, value)


def _array(name: str, value: object) -> Array:
    array = check.as_array(name, value)
    if not array.ndim:
        raise ValueError(f"{name} must have a first axis, that of the samples, got a 0-d array")
    return array


def each(value: Arrays) -> tuple[Array, ...]:
    """The arrays of a tuple, or the one there is."""
    return value if isinstance(value, tuple) else (value,)


def count(value: Arrays) -> int:
    """How many samples there are."""
    return len(each(value)[0])


def copied(value: Arrays) -> Arrays:
    """Copies of the arrays."""
    return tuple(array.copy() for array in value) if isinstance(value, tuple) else value.copy()


class Samples:
    """Inputs and targets, some rows of them if `rows` says which.

    Batches in another order are gathered, into memory that a later one uses again once nobody refers to it.
    """

    def __init__(self, x: object, y: object, where: str = "") -> None:
        self.x, self.y, self.rows = arrays(f"{where}x", x), arrays(f"{where}y", y), None
        lengths = [len(array) for array in (*each(self.x), *each(self.y))]
        if len(set(lengths)) != 1:
            raise ValueError(f"{where}x and y must have equally many samples, got {', '.join(map(str, lengths))}")
        if not lengths[0]:
            raise ValueError(f"{where}x must have at least one sample, got none")
        self._arena = Arena()

    rows: Array | None

    def __len__(self) -> int:
        return count(self.x) if self.rows is None else len(self.rows)

    def split(self, size: int, rng: np.random.Generator | None) -> tuple[Samples, Samples]:
        """All but the last `size` samples, and these, after a shuffle if there is a generator."""
        order = rng.permutation(len(self)) if rng is not None else np.arange(len(self))
        parts = Samples(self.x, self.y), Samples(self.x, self.y)
        for part, rows in zip(parts, (order[:-size], order[-size:]), strict=True):
            part.rows = rows
        return parts

    def batches(self, size: int, rng: np.random.Generator | None = None) -> Iterator[tuple[Arrays, Arrays]]:
        """(x, y) of `size` samples each, fewer in the last, in an order drawn from `rng` or as they lie."""
        rows = self.rows
        if rng is not None:
            rows = rng.permutation(len(self) if rows is None else rows)
        for first in range(0, len(self), size):
            batch = slice(first, first + size) if rows is None else rows[first : first + size]
            yield self._gathered(self.x, batch), self._gathered(self.y, batch)

    def _gathered(self, value: Arrays, batch: slice | Array) -> Arrays:
        if isinstance(value, tuple):
            return tuple(self._rows_of(array, batch) for array in value)
        return self._rows_of(value, batch)

    def _rows_of(self, array: Array, batch: slice | Array) -> Array:
        if isinstance(batch, slice):
            return array[batch]
        kind = array.dtype
        if not (array.flags.c_contiguous and array.flags.aligned and kind.isnative) or kind.hasobject:
            rows: Array = array[batch]  # `take` would first copy all of them, and buffers hold no objects
            return rows
        out = self._arena.empty((len(batch), *array.shape[1:]), kind)
        return np.take(array, batch, axis=0, out=out, mode="clip")
