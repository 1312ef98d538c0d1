"""Convolutions."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

import npkernels as nk

from .. import _arguments as check
from .dense import needs
from .layer import Fusible, Layer, Seed, draw_uniform, dtype_of, kernel, real_dtype, real_input
from .metrics import generator_of

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .._typing import Activation as Fused, Int2, Padding, Padding1
    from .layer import Array, Shape

output_size = lru_cache(maxsize=256)(nk.conv_output_size)


def tuples(value: Any) -> Any:
    """Lists as tuples, which can be keys."""
    return tuple(map(tuples, value)) if isinstance(value, (list, tuple)) else value


def image_size(layer: Layer, shape: Shape, channels: int | str = "c") -> tuple[int, int]:
    """Rows and columns of an image (c, h, w)."""
    if len(shape) != 3 or channels not in ("c", shape[0]):
        raise ValueError(f"{type(layer).__name__}: each input must have shape ({channels}, h, w), got {shape}")
    return shape[1], shape[2]


class Spatial(Layer):
    """A layer whose kernel has checks of its own, which `output_shape` makes on a batch of no samples."""

    def result_shape(self, shape: Shape) -> Shape:
        """The shape of a result, where the kernel refuses nothing."""
        raise NotImplementedError

    def output_shape(self, shape: Shape) -> Shape:
        result, kept = self.result_shape(shape), self._kept
        try:
            self.forward(np.empty((0, *shape), dtype_of(self)))
        finally:
            self._kept = kept
        return result


class _Convolution(Spatial):
    """The parameters that all convolutions share, of a kernel with one axis or two."""

    operation: ClassVar[str]
    axes: ClassVar[int] = 2
    transposed: ClassVar[bool] = False
    fresh = True
    # Arguments of the kernels.
    geometry: dict[str, Any]

    def _set(self, channels: tuple[int, int], kernel_size: Any, bias: bool, dtype: DTypeLike, rng: Seed) -> None:
        names, groups = ("in_channels", "out_channels"), check.integer("groups", self.geometry["groups"], 1)
        self.in_channels, self.out_channels = (check.integer(*each, 0) for each in zip(names, channels, strict=True))
        if self.in_channels % groups or self.out_channels % groups:
            raise ValueError(f"groups must divide in_channels and out_channels, got groups={groups} for {channels}")
        size = "kernel_size", kernel_size, 1
        self.kernel_size = check.pair(*size) if self.axes == 2 else (check.integer(*size),)
        self.geometry = {name: tuples(value) for name, value in self.geometry.items()}
        outer, inner = channels if self.transposed else channels[::-1]
        self.parameters["weight"] = np.zeros((outer, inner // groups, *self.kernel_size), real_dtype(dtype))
        if check.flag("bias", bias):
            self.parameters["bias"] = np.zeros(self.out_channels, real_dtype(dtype))
        self.draw(generator_of(rng))

    def draw(self, rng: np.random.Generator) -> None:
        fan_in = math.prod(self.parameters["weight"].shape[1:])
        for array in self.parameters.values():
            draw_uniform(rng, array, 1 / math.sqrt(max(1, fan_in)))

    def _run(self, x: Any, training: bool, **options: Any) -> Array:
        """The result of the kernel."""
        x = real_input(self, x)
        out = check.empty((*x.shape[:1], *self.result_shape(x.shape[1:])), x.dtype)
        weight, bias = self.parameters["weight"], self.parameters.get("bias")
        y: Array = kernel(self.operation)(x, weight, bias, out=out, **options, **self.geometry)
        self.keep(x if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        x, gradient, wanted = self.kept(), kernel(f"{self.operation}_backward"), needs(self, needs_dx)
        dx: Array | None
        dx, dw, db = gradient(dy, x, self.parameters["weight"], needs=wanted, **self.geometry)
        self.take_gradients(weight=dw, bias=db)
        return dx

    def multiply_adds(self, shape: Shape) -> int:
        pixels = math.prod((shape if self.transposed else self.output_shape(shape))[1:])
        return pixels * self.parameters["weight"].size

    def window(self) -> tuple[Any, Any]:
        """Span of the kernel, and stride, along rows and columns."""
        dilation, stride = (check.pair(name, self.geometry[name], 1) for name in ("dilation", "stride"))
        spans = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, dilation, strict=False))
        if self.transposed:  # a result sees every stride-th tap
            return tuple(-(-k // s) for k, s in zip(spans, stride, strict=True)), tuple(Fraction(1, s) for s in stride)
        return (spans, stride) if self.axes == 2 else ((*spans, 1), (stride[0], 1))


class _Fusible(_Convolution, Fusible):
    def fused(self, x: Any, *, training: bool = False, activation: Fused | None = None) -> Array:
        return self._run(x, training, activation=activation)


class Conv2d(_Fusible):
    """Two-dimensional convolution of images (n, c, h, w); `torch.nn.Conv2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "valid" or "same"
        As `npkernels.conv2d` takes it.
    groups : int
        Divides both numbers of channels.
    bias : bool
    dtype : float32 or float64
    rng : int, numpy.random.Generator or None
        Draws weight and bias uniformly within ``1 / sqrt(in_channels / groups * kh * kw)``.

    Attributes
    ----------
    parameters : dict
        "weight" (out_channels, in_channels / groups, kh, kw), "bias" (out_channels,).

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Conv2d(3, 8, 3, stride=2, padding=1).output_shape((3, 32, 32))
    (8, 16, 16)
    """

    operation = "conv2d"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Int2,
        stride: Int2 = 1,
        padding: Padding | Literal["valid", "same"] = 0,
        dilation: Int2 = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        self.geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self._set((in_channels, out_channels), kernel_size, bias, dtype, rng)

    def result_shape(self, shape: Shape) -> Shape:
        size = image_size(self, shape, self.in_channels)
        padding = self.geometry["padding"]
        if padding == "same":
            return (self.out_channels, *size)
        pads = 0 if padding == "valid" else padding
        steps = {"stride": self.geometry["stride"], "dilation": self.geometry["dilation"]}
        return (self.out_channels, *output_size(size, self.kernel_size, padding=pads, **steps))


class Conv1d(_Fusible):
    """One-dimensional convolution of signals (n, c, l); `torch.nn.Conv1d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, dilation, groups : int
    padding : int, (begin, end), "valid" or "same"
    bias, dtype, rng
        As of `Conv2d`.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.Conv1d(3, 8, 5, padding=2).output_shape((3, 100))
    (8, 100)
    """

    operation = "conv1d"
    axes = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: Padding1 | Literal["valid", "same"] = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        self.geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        self._set((in_channels, out_channels), kernel_size, bias, dtype, rng)

    def result_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2 or shape[0] != self.in_channels:
            raise ValueError(f"Conv1d: each input must have shape ({self.in_channels}, l), got {shape}")
        stride, padding, dilation = (self.geometry[name] for name in ("stride", "padding", "dilation"))
        if padding == "same":
            return (self.out_channels, shape[1])
        ends = (0, 0) if padding == "valid" else check.pair("padding", padding, 0)
        line = output_size(
            (1, shape[1]), (1, *self.kernel_size), stride=(1, stride), padding=((0, 0), ends), dilation=(1, dilation)
        )
        return (self.out_channels, line[1])


class ConvTranspose2d(_Convolution):
    """Transposed two-dimensional convolution of images (n, c, h, w); `torch.nn.ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or (int, int)
    padding : int, (int, int) or ((top, bottom), (left, right))
        What is removed from each side of the result.
    output_padding : int or (int, int)
        Rows and columns that are added at the end.
    groups, bias, dtype, rng
        As of `Conv2d`.

    Attributes
    ----------
    parameters : dict
        "weight" (in_channels, out_channels / groups, kh, kw), "bias" (out_channels,).

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.ConvTranspose2d(8, 4, 2, stride=2).output_shape((8, 16, 16))
    (4, 32, 32)
    """

    operation = "conv_transpose2d"
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Int2,
        stride: Int2 = 1,
        padding: Padding = 0,
        output_padding: Int2 = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Int2 = 1,
        *,
        dtype: DTypeLike = np.float32,
        rng: Seed = None,
    ):
        self.geometry = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation,
            "groups": groups,
        }
        self._set((in_channels, out_channels), kernel_size, bias, dtype, rng)

    def result_shape(self, shape: Shape) -> Shape:
        size = image_size(self, shape, self.in_channels)
        pads = check.pads("padding", self.geometry["padding"])
        names = ("stride", "dilation", "output_padding")
        steps = zip(*(check.pair(name, self.geometry[name]) for name in names), strict=True)
        sizes = tuple(
            (n - 1) * s - sum(p) + d * (k - 1) + extra + 1
            for n, k, p, (s, d, extra) in zip(size, self.kernel_size, pads, steps, strict=True)
        )
        if min(sizes) < 1:
            raise ValueError(f"ConvTranspose2d: the padding leaves {sizes[0]} x {sizes[1]} pixels of an input {shape}")
        return (self.out_channels, *sizes)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        return self._run(x, training)
