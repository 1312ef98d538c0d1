"""Interpolation, padding and sampling at a grid, at images of the input, the middle and the end of a network."""

from typing import NamedTuple

import numpy as np
from engine import Operation
from rivals import F, aten, tensors

import npkernels as nk
from npkernels import reference


class Images(NamedTuple):
    name: str
    n: int
    c: int
    h: int


LAYERS = (
    Images("input", 8, 3, 224),
    Images("middle", 8, 64, 56),
    Images("end", 32, 512, 7),
    Images("one", 1, 3, 512),
)


class Upsample(Operation):
    layers, needs, scale, mode = LAYERS, ("interpolate",), 2, "bilinear"

    def prepare(self, s):
        self.x, self.options = (
            self.normal(s.n, s.c, s.h, s.h),
            {"size": (int(s.h * self.scale),) * 2, "mode": self.mode},
        )

    def npkernels(self):
        return lambda: nk.interpolate(self.x, **self.options)

    def numpy(self):
        return lambda: reference.interpolate(self.x, **self.options)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.interpolate(x, **self.options)


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


class UpsampleChannelsLast(Upsample):
    def prepare(self, s):
        super().prepare(s)
        self.x = channels_last(self.x)


class UpsampleNearest(Upsample):
    mode = "nearest"


class Downsample(Upsample):
    scale = 0.5


class UpsampleBackward(Upsample):
    needs = ("interpolate_backward",)

    def prepare(self, s):
        super().prepare(s)
        self.x, self.dy = None, self.normal(s.n, s.c, *self.options["size"])

    def npkernels(self):
        return lambda: nk.interpolate_backward(self.dy, self.layer.h, **self.options)

    def numpy(self):
        return lambda: reference.interpolate_backward(self.dy, self.layer.h, **self.options)

    def torch(self):
        s, (dy,) = self.layer, tensors(self.dy)
        sizes = list(self.options["size"]), [s.n, s.c, s.h, s.h]
        return lambda: aten.upsample_bilinear2d_backward(dy, *sizes, False)


class Pad(Operation):
    layers, needs, mode = LAYERS, ("pad2d",), "constant"

    def prepare(self, s):
        self.x = self.normal(s.n, s.c, s.h, s.h)

    def npkernels(self):
        return lambda: nk.pad2d(self.x, 2, mode=self.mode)

    def numpy(self):
        return lambda: reference.pad2d(self.x, 2, mode=self.mode)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.pad(x, (2, 2, 2, 2), mode=self.mode)


class PadReflect(Pad):
    mode = "reflect"


class PadChannelsLast(Pad):
    def prepare(self, s):
        super().prepare(s)
        self.x = channels_last(self.x)


class GridSample(Operation):
    """Each image turned by another angle."""

    layers, needs = LAYERS, ("affine_grid", "grid_sample")

    def prepare(self, s):
        self.x, angles = self.normal(s.n, s.c, s.h, s.h), np.linspace(0.1, 1.2, s.n)
        rows = (np.cos(angles), -np.sin(angles), 0 * angles), (np.sin(angles), np.cos(angles), 0 * angles)
        theta = np.array(rows).transpose(2, 0, 1).astype(self.dtype)
        self.grid = nk.affine_grid(theta, self.x.shape)

    def npkernels(self):
        return lambda: nk.grid_sample(self.x, self.grid)

    def numpy(self):
        return lambda: reference.grid_sample(self.x, self.grid)

    def torch(self):
        x, grid = tensors(self.x, self.grid)
        return lambda: F.grid_sample(x, grid, align_corners=False)


class GridSampleChannelsLast(GridSample):
    def prepare(self, s):
        super().prepare(s)
        self.x = channels_last(self.x)


class GridSampleBackward(GridSample):
    needs = ("affine_grid", "grid_sample_backward")

    def prepare(self, s):
        super().prepare(s)
        self.dy = self.normal(*self.x.shape)

    def npkernels(self):
        return lambda: nk.grid_sample_backward(self.dy, self.x, self.grid)

    def numpy(self):
        return lambda: reference.grid_sample_backward(self.dy, self.x, self.grid)

    def torch(self):
        dy, x, grid = tensors(self.dy, self.x, self.grid)
        return lambda: aten.grid_sampler_2d_backward(dy, x, grid, 0, 0, False, [True, True])


def bench_sampling(benchmark, contender):
    benchmark(contender)
