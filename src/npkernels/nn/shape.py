"""Layers that give an array another shape, and those that add noise to it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .activations import Elementwise
from .layer import Layer, Seed
from .metrics import generator_of

if TYPE_CHECKING:
    from .layer import Array, Shape


def like_result(dy: object, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """The gradient of a result of this shape and dtype."""
    array = check.as_array("dy", dy)
    check.shape("dy", array, shape)
    if array.dtype != dtype and dtype.kind == "f":
        raise TypeError(f"dy must be {dtype} like the result, got {array.dtype}")
    return array


class Reshape(Layer):
    """Another shape of every sample; a view of the input where that is possible.

    Parameters
    ----------
    *shape : int
        Without the batch axis; one size may be -1, which follows from the others.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Reshape(8, -1).output_shape((16, 4))
    (8, 8)
    """

    def __init__(self, *shape: int):
        self.shape = tuple(check.integer("shape", size, -1) for size in shape)
        if self.shape.count(-1) > 1:
            raise ValueError(f"shape must have one size of -1 at most, got {self.shape}")

    def output_shape(self, shape: Shape) -> Shape:
        size, known = math.prod(shape), math.prod(n for n in self.shape if n >= 0)
        if (size % max(1, known) or (size and not known)) if -1 in self.shape else size != known:
            raise ValueError(f"Reshape: {size} elements of an input {shape} must make the shape {self.shape}")
        return tuple(size // max(1, known) if n < 0 else n for n in self.shape)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = np.asarray(x)
        y: Array = x.reshape(len(x), *self.output_shape(x.shape[1:]))
        self.keep((x.shape, y.shape, y.dtype) if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        shape, *result = self.kept()
        return like_result(dy, *result).reshape(shape) if needs_dx else None


class Flatten(Reshape):
    """One axis of all but the batch axis; `torch.nn.Flatten`.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Flatten().output_shape((16, 7, 7))
    (784,)
    """

    def __init__(self) -> None:
        super().__init__(-1)

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)


class _Noise(Elementwise):
    """A layer that draws in training, and is the identity in inference."""

    def __init__(self, rng: Seed):
        self.rng = generator_of(rng)

    def use_generator(self, rng: np.random.Generator) -> None:
        self.rng = rng


class Dropout(_Noise):
    """In training each value is 0 with probability p, and the others 1 / (1 - p) times as large; `torch.nn.Dropout`.

    Parameters
    ----------
    p : float
        In [0, 1].
    rng : int, numpy.random.Generator or None
        Until `initialise` or `fit` gives another one.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.Dropout(0.5)(np.ones(3))
    array([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, *, rng: Seed = None):
        super().__init__(rng)
        self.p = check.fraction("p", p)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        array = check.real("x", x)
        if not training:
            self.keep(None)
            return array
        y, mask = nk.dropout(array, self.p, self.rng)
        self.keep((mask, y.dtype))
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        mask, dtype = self.kept()
        return nk.dropout_backward(like_result(dy, mask.shape, dtype), mask, self.p) if needs_dx else None


class GaussianNoise(_Noise):
    """In training, normally distributed noise is added.

    Parameters
    ----------
    std : float
        Its standard deviation.
    rng : int, numpy.random.Generator or None
        Until `initialise` or `fit` gives another one.
    """

    def __init__(self, std: float, *, rng: Seed = None):
        super().__init__(rng)
        self.std = check.number("std", std, 0)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        array = check.real("x", x)
        self.keep((array.shape, array.dtype) if training else None)
        if not training:
            return array
        y = check.empty(array.shape, array.dtype)
        self.rng.standard_normal(dtype=array.dtype.type, out=y)
        y *= self.std
        y += array
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        result = self.kept()
        return like_result(dy, *result) if needs_dx else None
