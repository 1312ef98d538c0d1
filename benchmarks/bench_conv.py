"""Convolution and its patches at layers of named networks."""

import shapes
from engine import Operation
from rivals import F, aten, session, tensors

import npkernels as nk
from npkernels import reference


class Conv2d(Operation):
    layers, needs = shapes.CONV2D, ("conv2d", "conv2d_backward")

    def prepare(self, s):
        self.x, self.w = self.normal(s.n, s.c, s.h, s.h), self.normal(s.oc, s.c // s.groups, s.kernel, s.kernel)
        self.b = self.normal(s.oc)
        self.window = {"stride": s.stride, "padding": s.padding, "groups": s.groups}

    def flop(self):
        s = self.layer
        return 2 * s.n * ((s.h + 2 * s.padding - s.kernel) // s.stride + 1) ** 2 * self.w.size

    def npkernels(self):
        return lambda: nk.conv2d(self.x, self.w, self.b, **self.window)

    def numpy(self):
        return lambda: reference.conv2d(self.x, self.w, self.b, **self.window)

    def torch(self):
        x, w, b = tensors(self.x, self.w, self.b)
        return lambda: F.conv2d(x, w, b, **self.window)

    def onnxruntime(self):
        s = self.layer
        window = {"strides": [s.stride] * 2, "pads": [s.padding] * 4, "group": s.groups}
        return session(self, self.x, [("Conv", window)], (self.w, self.b))


class Conv2dBackward(Conv2d):
    def prepare(self, s):
        super().prepare(s)
        oh = (s.h + 2 * s.padding - s.kernel) // s.stride + 1
        self.dy = self.normal(s.n, s.oc, oh, oh)

    def flop(self):
        return 2 * super().flop()

    def npkernels(self):
        return lambda: nk.conv2d_backward(self.dy, self.x, self.w, **self.window)

    def numpy(self):
        return lambda: reference.conv2d_backward(self.dy, self.x, self.w, **self.window)

    def torch(self):
        s, (dy, x, w) = self.layer, tensors(self.dy, self.x, self.w)
        window = [s.oc], [s.stride] * 2, [s.padding] * 2, [1, 1], False, [0, 0], s.groups, [True, True, True]
        return lambda: aten.convolution_backward(dy, x, w, *window)

    onnxruntime = None


class Im2col(Operation):
    layers, needs = shapes.UNFOLD, ("im2col", "col2im")

    def prepare(self, s):
        self.x, self.window = self.normal(s.n, s.c, s.h, s.h), {"stride": s.stride, "padding": s.padding}
        self.size, self.kernel = (s.h, s.h), (s.kernel, s.kernel)

    def npkernels(self):
        return lambda: nk.im2col(self.x, self.kernel, **self.window)

    def numpy(self):
        return lambda: reference.im2col(self.x, self.kernel, **self.window)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.unfold(x, self.kernel, **self.window)


class Col2im(Im2col):
    def prepare(self, s):
        super().prepare(s)
        self.cols = self.normal(*reference.im2col(self.x, self.kernel, **self.window).shape)

    def npkernels(self):
        return lambda: nk.col2im(self.cols, self.size, self.kernel, **self.window)

    def numpy(self):
        return lambda: reference.col2im(self.cols, self.size, self.kernel, **self.window)

    def torch(self):
        (cols,) = tensors(self.cols)
        return lambda: F.fold(cols, self.size, self.kernel, **self.window)


def bench_conv(benchmark, contender):
    benchmark(contender)
