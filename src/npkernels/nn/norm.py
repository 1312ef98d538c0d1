"""Normalisation of batches, rows and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .layer import Layer, Seed, real_dtype, real_input

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .layer import Array, Shape


class _Norm(Layer):
    """Scale and shift, which begin as 1 and 0."""

    fresh = True

    def _set(self, features: int, eps: float, dtype: DTypeLike) -> None:
        self.eps = check.number("eps", eps, 0)
        self.parameters["weight"] = np.ones(features, real_dtype(dtype))
        self.parameters["bias"] = np.zeros(features, real_dtype(dtype))

    def draw(self, rng: np.random.Generator) -> None:
        self.parameters["weight"][...] = 1
        self.parameters["bias"][...] = 0

    @property
    def _affine(self) -> tuple[Array, Array]:
        return self.parameters["weight"], self.parameters["bias"]

    def multiply_adds(self, shape: Shape) -> int:
        return int(np.prod(shape, dtype=object))


class BatchNorm(_Norm):
    """Mean 0 and variance 1 of every channel (axis 1) over the batch, then scale and shift; `torch.nn.BatchNorm1d/2d`.

    In inference, and in training while it is not trainable, it takes the running statistics for those of the batch.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float
        Weight of a new batch in the running statistics.
    dtype : float32 or float64
    rng
        Has no part: nothing is drawn.

    Attributes
    ----------
    parameters, buffers : dict
        "weight", "bias", and "running_mean", "running_var" (unbiased), each (num_features,).

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> norm = nn.BatchNorm(1, momentum=0.5)
    >>> _ = norm.forward(np.array([[1.0], [3.0]], np.float32), training=True)
    >>> float(norm.buffers["running_mean"][0]), float(norm.buffers["running_var"][0])
    (1.0, 1.5)
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        self.num_features = check.integer("num_features", num_features, 0)
        self.momentum = check.number("momentum", momentum)
        self._set(self.num_features, eps, dtype)
        self.buffers["running_mean"] = np.zeros(self.num_features, real_dtype(dtype))
        self.buffers["running_var"] = np.ones(self.num_features, real_dtype(dtype))

    def draw(self, rng: np.random.Generator) -> None:
        super().draw(rng)
        self.buffers["running_mean"][...] = 0
        self.buffers["running_var"][...] = 1

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[0] != self.num_features:
            raise ValueError(f"BatchNorm: each input must have shape ({self.num_features}, ...), got {shape}")
        return shape

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        self.output_shape(x.shape[1:])
        weight, bias = self._affine
        if training and self.trainable:
            if x.size <= self.num_features:
                raise ValueError(f"BatchNorm: training takes more than one value for each channel, got {x.shape}")
            y, mean, var = nk.batch_norm(x, weight, bias, eps=self.eps)
            count = x.size // max(1, self.num_features)
            for name, value in (("running_mean", mean), ("running_var", var * (count / (count - 1)))):
                self.buffers[name] *= 1 - self.momentum
                self.buffers[name] += self.momentum * value
            self.keep((x, mean, var))
            return y
        mean, var = self.buffers["running_mean"], self.buffers["running_var"]
        y = nk.batch_norm_inference(x, weight, bias, mean, var, eps=self.eps, out=check.empty(x.shape, x.dtype))
        self.keep((None, mean, var) if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x, mean, var = self.kept()
        weight = self.parameters["weight"]
        if x is not None:
            dx, dweight, dbias = nk.batch_norm_backward(dy, x, weight, mean, var, eps=self.eps)
            self.take_gradients(weight=dweight, bias=dbias)
            return dx if needs_dx else None
        # y = (x - mean) / sqrt(var + eps) weight + bias with constants: dx is the same map of dy without its offsets
        zeros = np.zeros_like(mean)
        return nk.batch_norm_inference(dy, weight, zeros, zeros, var, eps=self.eps) if needs_dx else None


class LayerNorm(_Norm):
    """Mean 0 and variance 1 of every row of the last axis, then scale and shift; `torch.nn.LayerNorm`.

    Parameters
    ----------
    features : int
        Length of the last axis.
    eps : float
        Added to the variance.
    dtype : float32 or float64
    rng
        Has no part: nothing is drawn.

    Attributes
    ----------
    parameters : dict
        "weight", "bias", each (features,).

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.LayerNorm(2, eps=0.0)(np.array([[1.0, 3.0], [4.0, 8.0]], np.float32))
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    def __init__(self, features: int, eps: float = 1e-5, *, dtype: DTypeLike = np.float32, rng: Seed = None):
        self.features = check.integer("features", features, 0)
        self._set(self.features, eps, dtype)

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[-1] != self.features:
            raise ValueError(f"LayerNorm: the input must have shape (..., {self.features}), got {shape}")
        return shape

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        self.output_shape(x.shape)
        y, mean, var = nk.layer_norm(x, *self._affine, eps=self.eps)
        self.keep((x, mean, var) if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x, mean, var = self.kept()
        dx, dweight, dbias = nk.layer_norm_backward(dy, x, self.parameters["weight"], mean, var, eps=self.eps)
        self.take_gradients(weight=dweight, bias=dbias)
        return dx if needs_dx else None


class GroupNorm(_Norm):
    """Mean 0 and variance 1 of every group of channels of a sample, then scale and shift; `torch.nn.GroupNorm`.

    Parameters
    ----------
    groups : int
        Divides `channels`; as many as these: instance normalisation.
    channels : int
    eps : float
        Added to the variance.
    dtype : float32 or float64
    rng
        Has no part: nothing is drawn.

    Attributes
    ----------
    parameters : dict
        "weight", "bias", each (channels,).
    """

    def __init__(
        self, groups: int, channels: int, eps: float = 1e-5, *, dtype: DTypeLike = np.float32, rng: Seed = None
    ):
        self.groups, self.channels = check.integer("groups", groups, 1), check.integer("channels", channels, 0)
        if self.channels % self.groups:
            raise ValueError(f"groups must divide channels, got groups={groups} for {channels}")
        self._set(self.channels, eps, dtype)

    def output_shape(self, shape: Shape) -> Shape:
        if not shape or shape[0] != self.channels:
            raise ValueError(f"GroupNorm: each input must have shape ({self.channels}, ...), got {shape}")
        return shape

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        self.output_shape(x.shape[1:])
        y, mean, var = nk.group_norm(x, self.groups, *self._affine, eps=self.eps)
        self.keep((x, mean, var) if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x, mean, var = self.kept()
        weight = self.parameters["weight"]
        dx, dweight, dbias = nk.group_norm_backward(dy, x, self.groups, weight, mean, var, eps=self.eps)
        self.take_gradients(weight=dweight, bias=dbias)
        return dx if needs_dx else None
