"""Pooling at layers of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import F, aten, session, tensors

import npkernels as nk
from npkernels import reference


class MaxPool2d(Operation):
    layers, needs = shapes.POOL, ("max_pool2d",)

    def prepare(self, s):
        self.x, self.window = self.normal(s.n, s.c, s.h, s.h), {"stride": s.stride, "padding": s.padding}

    def npkernels(self):
        return lambda: nk.max_pool2d(self.x, self.layer.kernel, **self.window)

    def numpy(self):
        return lambda: reference.max_pool2d(self.x, self.layer.kernel, **self.window)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.max_pool2d(x, self.layer.kernel, **self.window)

    def onnxruntime(self):
        return session(self, self.x, [("MaxPool", window(self.layer))])


class MaxPool2dIndices(MaxPool2d):
    def npkernels(self):
        return lambda: nk.max_pool2d(self.x, self.layer.kernel, return_indices=True, **self.window)

    def numpy(self):
        return lambda: reference.max_pool2d(self.x, self.layer.kernel, return_indices=True, **self.window)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.max_pool2d(x, self.layer.kernel, return_indices=True, **self.window)

    onnxruntime = None  # counts its indices over the whole batch


class MaxPool2dBackward(MaxPool2d):
    needs = ("max_pool2d_backward",)

    def prepare(self, s):
        super().prepare(s)
        y, self.indices = reference.max_pool2d(self.x, s.kernel, return_indices=True, **self.window)
        self.dy = self.normal(*y.shape)

    def npkernels(self):
        return lambda: nk.max_pool2d_backward(self.dy, self.indices, self.x.shape[2:])

    def numpy(self):
        n, c, h, w = self.x.shape
        starts = np.arange(0, n * c * h * w, h * w).reshape(n, c, 1, 1)

        def call():
            places = (self.indices + starts).ravel()
            return np.bincount(places, self.dy.ravel(), n * c * h * w).astype(self.dtype).reshape(n, c, h, w)

        return call

    def torch(self):
        s, (dy, x, indices) = self.layer, tensors(self.dy, self.x, self.indices.astype(np.int64))
        options = [s.kernel] * 2, [s.stride] * 2, [s.padding] * 2, [1, 1], False, indices
        return lambda: aten.max_pool2d_with_indices_backward(dy, x, *options)

    onnxruntime = None


class AvgPool2d(MaxPool2d):
    needs = ("avg_pool2d",)

    def npkernels(self):
        return lambda: nk.avg_pool2d(self.x, self.layer.kernel, **self.window)

    def numpy(self):
        return lambda: reference.avg_pool2d(self.x, self.layer.kernel, **self.window)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.avg_pool2d(x, self.layer.kernel, **self.window)

    def onnxruntime(self):
        return session(self, self.x, [("AveragePool", window(self.layer) | {"count_include_pad": 1})])


class AvgPool2dBackward(MaxPool2d):
    needs = ("avg_pool2d_backward",)

    def prepare(self, s):
        super().prepare(s)
        self.dy = self.normal(*reference.avg_pool2d(self.x, s.kernel, **self.window).shape)

    def npkernels(self):
        return lambda: nk.avg_pool2d_backward(self.dy, self.x.shape[2:], self.layer.kernel, **self.window)

    def numpy(self):
        return lambda: reference.avg_pool2d_backward(self.dy, self.x.shape[2:], self.layer.kernel, **self.window)

    def torch(self):
        s, (dy, x) = self.layer, tensors(self.dy, self.x)
        options = [s.kernel] * 2, [s.stride] * 2, [s.padding] * 2, False, True, None
        return lambda: aten.avg_pool2d_backward(dy, x, *options)

    onnxruntime = None


class GlobalAvgPool2d(Operation):
    layers, needs = shapes.GLOBAL_POOL, ("global_avg_pool2d",)

    def prepare(self, s):
        self.x = self.normal(s.n, s.c, s.h, s.h)

    def outcome(self, result):
        return [y.reshape(self.x.shape[:2]) for y in super().outcome(result)]

    def npkernels(self):
        return lambda: nk.global_avg_pool2d(self.x)

    def numpy(self):
        return lambda: reference.global_avg_pool2d(self.x)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: x.mean((2, 3))

    def onnxruntime(self):
        return session(self, self.x, [("GlobalAveragePool", {})])


class AdaptiveAvgPool2d(Operation):
    layers, needs = shapes.ADAPTIVE_POOL, ("adaptive_avg_pool2d",)

    def prepare(self, s):
        self.x, self.size = self.normal(s.n, s.c, s.h, s.h), s.size

    def npkernels(self):
        return lambda: nk.adaptive_avg_pool2d(self.x, self.size)

    def numpy(self):
        return lambda: reference.adaptive_avg_pool2d(self.x, self.size)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.adaptive_avg_pool2d(x, self.size)


class AdaptiveMaxPool2dIndices(AdaptiveAvgPool2d):
    needs = ("adaptive_max_pool2d",)

    def npkernels(self):
        return lambda: nk.adaptive_max_pool2d(self.x, self.size, return_indices=True)

    def numpy(self):
        return lambda: reference.adaptive_max_pool2d(self.x, self.size, return_indices=True)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.adaptive_max_pool2d(x, self.size, return_indices=True)


class AdaptiveAvgPool2dBackward(AdaptiveAvgPool2d):
    needs = ("adaptive_avg_pool2d_backward",)

    def prepare(self, s):
        super().prepare(s)
        self.dy = self.normal(s.n, s.c, *np.broadcast_to(s.size, 2))

    def npkernels(self):
        return lambda: nk.adaptive_avg_pool2d_backward(self.dy, self.x.shape[2:])

    def numpy(self):
        return lambda: reference.adaptive_avg_pool2d_backward(self.dy, self.x.shape[2:])

    def torch(self):
        dy, x = tensors(self.dy, self.x)
        return lambda: aten._adaptive_avg_pool2d_backward(dy, x)


class GlobalMaxPool2dBackward(Operation):
    layers, needs = shapes.GLOBAL_POOL, ("global_max_pool2d_backward",)

    def prepare(self, s):
        self.x, self.dy = self.normal(s.n, s.c, s.h, s.h), self.normal(s.n, s.c)

    def npkernels(self):
        return lambda: nk.global_max_pool2d_backward(self.dy, self.x)

    def numpy(self):
        return lambda: reference.global_max_pool2d_backward(self.dy, self.x)

    def torch(self):
        dy, x = tensors(self.dy[:, :, None, None], self.x)

        def call():
            _, indices = F.adaptive_max_pool2d(x, 1, return_indices=True)
            return aten.adaptive_max_pool2d_backward(dy, x, indices)

        return call


def window(s):
    """Attributes of ONNX pooling nodes."""
    return {"kernel_shape": [s.kernel] * 2, "strides": [s.stride] * 2, "pads": [s.padding] * 4}


def bench_pool(benchmark, contender):
    benchmark(contender)
