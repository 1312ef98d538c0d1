"""Pooling of images (n, c, h, w)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import npkernels as nk

from .. import _arguments as check
from .conv import Spatial, image_size, output_size, tuples
from .layer import real_input

if TYPE_CHECKING:
    from .._typing import Int2, Padding
    from .layer import Array, Shape


class _Pool(Spatial):
    """What the two kinds of windows share."""

    fresh = True

    def _set(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, **more: Any) -> None:
        self.kernel_size = check.pair("kernel_size", kernel_size, 1)
        self.geometry = {
            "stride": self.kernel_size if stride is None else check.pair("stride", stride, 1),
            "padding": tuples(padding),
            "ceil_mode": check.flag("ceil_mode", ceil_mode),
            **more,
        }

    def result_shape(self, shape: Shape) -> Shape:
        geometry = {name: value for name, value in self.geometry.items() if name != "count_include_pad"}
        return (*shape[:1], *output_size(image_size(self, shape), self.kernel_size, **geometry))

    def _input(self, x: Any) -> tuple[Array, Array]:
        """The input, and memory for the result."""
        x = real_input(self, x)
        return x, check.empty((*x.shape[:1], *self.result_shape(x.shape[1:])), x.dtype)

    def window(self) -> tuple[Any, Any]:
        """Span of the window, and stride, along rows and columns."""
        dilation = check.pair("dilation", self.geometry.get("dilation", 1), 1)
        spans = tuple(d * (k - 1) + 1 for k, d in zip(self.kernel_size, dilation, strict=True))
        return spans, self.geometry["stride"]


class MaxPool2d(_Pool):
    """The largest value of each window; `torch.nn.MaxPool2d`.

    Parameters
    ----------
    kernel_size, stride, dilation : int or (int, int)
        `stride` None: `kernel_size`.
    padding : int, (int, int) or ((top, bottom), (left, right))
    ceil_mode : bool
        Count a last window that reaches beyond the image.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.MaxPool2d(2).output_shape((8, 28, 28))
    (8, 14, 14)
    """

    def __init__(
        self,
        kernel_size: Int2,
        stride: Int2 | None = None,
        padding: Padding = 0,
        dilation: Int2 = 1,
        *,
        ceil_mode: bool = False,
    ):
        self._set(kernel_size, stride, padding, ceil_mode, dilation=check.pair("dilation", dilation, 1))

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x, out = self._input(x)
        self.keep(None)
        y: Array
        if not training:
            y = nk.max_pool2d(x, self.kernel_size, out=out, **self.geometry)
            return y
        y, indices = nk.max_pool2d(x, self.kernel_size, return_indices=True, out=out, **self.geometry)
        self.keep((indices, x.shape[2:]))
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        indices, size = self.kept()
        return nk.max_pool2d_backward(dy, indices, size) if needs_dx else None


class AvgPool2d(_Pool):
    """The mean of each window; `torch.nn.AvgPool2d`.

    Parameters
    ----------
    kernel_size, stride : int or (int, int)
        `stride` None: `kernel_size`.
    padding : int, (int, int) or ((top, bottom), (left, right))
    ceil_mode : bool
        Count a last window that reaches beyond the image.
    count_include_pad : bool
        Whether the pads count as zeros.

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.AvgPool2d(3, stride=2, padding=1).output_shape((8, 28, 28))
    (8, 14, 14)
    """

    def __init__(
        self,
        kernel_size: Int2,
        stride: Int2 | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        self._set(kernel_size, stride, padding, ceil_mode, count_include_pad=count_include_pad)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x, out = self._input(x)
        y = nk.avg_pool2d(x, self.kernel_size, out=out, **self.geometry)
        self.keep(x.shape[2:] if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        size = self.kept()
        return nk.avg_pool2d_backward(dy, size, self.kernel_size, **self.geometry) if needs_dx else None


class GlobalAvgPool2d(Spatial):
    """The mean of each channel: (n, c, h, w) to (n, c).

    Examples
    --------
    >>> from npkernels import nn
    >>> nn.GlobalAvgPool2d().output_shape((8, 7, 7))
    (8,)
    """

    fresh = True

    def result_shape(self, shape: Shape) -> Shape:
        image_size(self, shape)
        return shape[:1]

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        self.result_shape(x.shape[1:])
        y = nk.global_avg_pool2d(x)
        self.keep(x.shape[2:] if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        size = self.kept()
        return nk.global_avg_pool2d_backward(dy, size) if needs_dx else None


class AdaptiveAvgPool2d(Spatial):
    """Means of windows that share out the image; `torch.nn.AdaptiveAvgPool2d`.

    Parameters
    ----------
    output_size : int or (int, int)
        Rows and columns of the result.
    """

    fresh = True

    def __init__(self, output_size: Int2):
        self.output_size = check.pair("output_size", output_size, 1)

    def result_shape(self, shape: Shape) -> Shape:
        image_size(self, shape)
        return (*shape[:1], *self.output_size)

    def forward(self, x: Any, *, training: bool = False) -> Array:
        x = real_input(self, x)
        self.result_shape(x.shape[1:])
        y = nk.adaptive_avg_pool2d(x, self.output_size)
        self.keep(x.shape[2:] if training else None)
        return y

    def backward(self, dy: Any, *, needs_dx: bool = True) -> Array | None:
        size = self.kept()
        return nk.adaptive_avg_pool2d_backward(dy, size) if needs_dx else None
