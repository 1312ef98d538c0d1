"""Memory of training steps that the next step uses again.

A fresh large array costs more than most kernels: the system zeroes each of its pages at the first touch. A step of
training allocates what the step before it allocated, so a model owns an arena. While one of its steps runs, the results
of kernels (all come from `_arguments.empty`) lie in the arena's buffers. A buffer is free as soon as no array lies in
it: what somebody still refers to, a prediction say, stays as it is, and no layer says when it has done with an array.
"""

from __future__ import annotations

import math
import sys
import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _arguments as check

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

SMALLEST = 1 << 16  # bytes; below, allocation has free-lists of its own
STEPS = 16  # a buffer that so many steps have not used goes back to the system

_active = threading.local()


class _Buffer:
    """Memory, and the step that used it last."""

    __slots__ = ("memory", "step")

    def __init__(self, size: int, step: int):
        self.memory: NDArray[np.uint8] = np.empty(size, np.uint8)
        self.step = step

    def references(self) -> int:
        """To the memory, in the way this version of Python counts them: arrays in it refer to it."""
        return sys.getrefcount(self.memory)


UNUSED = _Buffer(1, 0).references()


class Arena:
    """Buffers in the order of their sizes. ``with arena:`` lets the kernels that this thread calls use them."""

    def __init__(self) -> None:
        self._buffers: list[_Buffer] = []
        self._sizes: list[int] = []
        self._lock = threading.Lock()
        self._step = 0

    def __enter__(self) -> Arena:
        stack = _active.__dict__.setdefault("stack", [])
        if not stack:
            self._next_step()
        # Inside the step of a whole model, that of a layer is part of it.
        stack.append(stack[-1] if stack else self)
        return self

    def __exit__(self, *_error: object) -> None:
        _active.stack.pop()

    def __reduce__(self) -> tuple[type[Arena], tuple[()]]:
        return Arena, ()  # copies begin without memory

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers."""
        return sum(self._sizes)

    def _next_step(self) -> None:
        """Counts a step, and gives back the buffers that the last ones had no use for."""
        with self._lock:
            self._step += 1
            if any(buffer.step + STEPS < self._step for buffer in self._buffers):
                self._buffers = [buffer for buffer in self._buffers if buffer.step + STEPS >= self._step]
                self._sizes = [buffer.memory.size for buffer in self._buffers]

    def clear(self) -> None:
        """Gives all memory back that no array lies in."""
        with self._lock:
            self._buffers, self._sizes = [], []

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array in the smallest free buffer that it fills to the half at least, or in one that is made for it."""
        kind = np.dtype(dtype)
        size = math.prod(shape) * kind.itemsize
        if size < SMALLEST:
            return np.empty(shape, kind)
        with self._lock:
            for i in range(bisect_left(self._sizes, size), len(self._sizes)):
                buffer = self._buffers[i]
                if self._sizes[i] > 2 * size:
                    break
                if buffer.references() == UNUSED:
                    buffer.step = self._step
                    return np.ndarray(shape, kind, buffer.memory)
            buffer = _Buffer(size, self._step)
            place = bisect_left(self._sizes, size)
            self._sizes.insert(place, size)
            self._buffers.insert(place, buffer)
            return np.ndarray(shape, kind, buffer.memory)


def _empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """`numpy.empty`, or that of the arena whose step this thread runs."""
    stack = _active.__dict__.get("stack")
    return stack[-1].empty(shape, dtype) if stack else np.empty(shape, dtype)


check.allocate = _empty
