"""Convolution and pooling of signals at layers of named networks."""

import shapes
from engine import Operation
from rivals import F, aten, tensors

import npkernels as nk
from npkernels import reference


class Conv1d(Operation):
    layers, needs = shapes.CONV1D, ("conv1d", "conv1d_backward")
    transposed = False

    def prepare(self, s):
        self.x, self.w = self.normal(s.n, s.c, s.length), self.normal(*self.kernels(s))
        self.window = {"stride": s.stride, "padding": s.padding, "groups": s.groups}
        self.dy = self.normal(*self.of(reference)().shape)

    def kernels(self, s):
        return s.oc, s.c // s.groups, s.kernel

    def of(self, library):
        return lambda: getattr(library, self.needs[0])(self.x, self.w, **self.window)

    def flop(self):
        s = self.layer
        return 2 * self.w.size * s.n * (s.length if self.transposed else self.dy.shape[2])

    def npkernels(self):
        return self.of(nk)

    def numpy(self):
        return self.of(reference)

    def torch(self):
        function = getattr(F, self.needs[0])
        x, w = tensors(self.x, self.w)
        return lambda: function(x, w, **self.window)


class Conv1dBackward(Conv1d):
    def gradients_of(self, library):
        return lambda: getattr(library, self.needs[1])(self.dy, self.x, self.w, **self.window)

    def flop(self):
        return 2 * super().flop()

    def npkernels(self):
        return self.gradients_of(nk)

    def numpy(self):
        return self.gradients_of(reference)

    def torch(self):
        s, (dy, x, w) = self.layer, tensors(self.dy, self.x, self.w)
        window = [s.oc], [s.stride], [s.padding], [1], self.transposed, [0], s.groups, [True, True, True]
        return lambda: aten.convolution_backward(dy, x, w, *window)


class ConvTranspose1d(Conv1d):
    layers, needs = shapes.CONV_TRANSPOSE1D, ("conv_transpose1d", "conv_transpose1d_backward")
    transposed = True

    def kernels(self, s):
        return s.c, s.oc // s.groups, s.kernel


class ConvTranspose1dBackward(Conv1dBackward):
    layers, needs = ConvTranspose1d.layers, ConvTranspose1d.needs
    transposed, kernels = True, ConvTranspose1d.kernels


class MaxPool1d(Operation):
    layers, needs = shapes.POOL1D, ("max_pool1d",)

    def prepare(self, s):
        self.x = self.normal(s.n, s.c, s.length)
        self.window = {"kernel_size": s.kernel, "stride": s.stride, "padding": s.padding}

    def npkernels(self):
        function = getattr(nk, self.needs[0])
        return lambda: function(self.x, **self.window)

    def numpy(self):
        function = getattr(reference, self.needs[0])
        return lambda: function(self.x, **self.window)

    def torch(self):
        function, (x,) = getattr(F, self.needs[0]), tensors(self.x)
        return lambda: function(x, **self.window)


class AvgPool1d(MaxPool1d):
    needs = ("avg_pool1d",)


def bench_lines(benchmark, contender):
    benchmark(contender)
