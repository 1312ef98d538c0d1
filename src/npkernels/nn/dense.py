"""The dense layer, and the table of embeddings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .layer import Fusible, Layer, Seed, draw_uniform, real_dtype, real_input
from .metrics import generator_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .._typing import Activation as Fused, Needs
    from .layer import Array, Shape


def needs(layer: Layer, dx: bool) -> Needs:
    """Which gradients of its input, weight and bias a layer takes."""
    weights: Needs = () if not layer.trainable else ("w", "b") if "bias" in layer.parameters else ("w",)
    return ("x", *weights) if dx else weights


class Dense(Fusible):
    """Affine map of the last axis: ``x @ weight.T + bias``; `torch.nn.Linear`.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
    dtype : float32 or float64
    rng : int, numpy.random.Generator or None
        Draws weight and bias uniformly within ``1 / sqrt(in_features)``.

    Attributes
    ----------
    parameters : dict
        "weight" (out_features, in_features), "bias" (out_features,).

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.Dense(3, 2, rng=0)(np.ones((4, 3), np.float32)).shape
    (4, 2)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: DTypeLike = np.float32, rng: Seed = None
    ):
        self.in_features = check.integer("in_features", in_features, 0)
        self.out_features = check.integer("out_features", out_features, 0)
        self.parameters["weight"] = np.zeros((self.out_features, self.in_features), real_dtype(dtype))
        if check.flag("bias", bias):
            self.parameters["bias"] = np.zeros(self.out_features, real_dtype(dtype))
        self.draw(generator_of(rng))

    def draw(self, rng: np.random.Generator) -> None:
        for array in self.parameters.values():
            draw_uniform(rng, array, 1 / math.sqrt(max(1, self.in_features)))

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"Dense: the input must have shape (..., {self.in_features}), got {shape}")
        return (*shape[:-1], self.out_features)

    def fused(self, x: Any, *, training: bool = False, activation: Fused | None = None) -> Array:
        x = real_input(self, x)
        wanted = (*x.shape[:1], *self.output_shape(x.shape[1:])) if x.ndim > 1 else self.output_shape(x.shape)
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        y = nk.dense(x, weight, bias, activation=activation, out=check.empty(wanted, x.dtype))
        self.keep(x if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x = self.kept()
        dx, dw, db = nk.dense_backward(dy, x, self.parameters["weight"], needs=needs(self, needs_dx))
        self.take_gradients(weight=dw, bias=db)
        return dx

    def multiply_adds(self, shape: Shape) -> int:
        return math.prod(shape) * self.out_features


class Embedding(Layer):
    """A row of a table for each index; `torch.nn.Embedding`.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Rows and columns of the table.
    dtype : float32 or float64
    rng : int, numpy.random.Generator or None
        Draws the table from the normal distribution.

    Attributes
    ----------
    parameters : dict
        "weight" (num_embeddings, embedding_dim).

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.Embedding(100, 8)(np.array([[3, 1, 4]])).shape
    (1, 3, 8)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, dtype: DTypeLike = np.float32, rng: Seed = None):
        self.num_embeddings = check.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = check.integer("embedding_dim", embedding_dim, 1)
        self.parameters["weight"] = np.zeros((self.num_embeddings, self.embedding_dim), real_dtype(dtype))
        self.draw(generator_of(rng))

    def draw(self, rng: np.random.Generator) -> None:
        weight = self.parameters["weight"]
        weight[...] = rng.standard_normal(weight.shape, weight.dtype)

    def output_shape(self, shape: Shape) -> Shape:
        return (*shape, self.embedding_dim)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        y: Array = nk.embedding(x, self.parameters["weight"])
        self.keep(x if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = False) -> None:
        """As that of every layer; indices have no gradient."""
        x = self.kept()
        if self.trainable:
            self.take_gradients(weight=nk.embedding_backward(dy, x, self.num_embeddings))
