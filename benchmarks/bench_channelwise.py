"""Activations by channel, on maps with many and with no neighbours of a channel."""

import numpy as np
import shapes
from engine import Operation
from rivals import F, aten, tensors

import npkernels as nk
from npkernels import reference


class Prelu(Operation):
    layers, needs = shapes.CHANNELWISE, ("prelu",)

    def prepare(self, s):
        self.x, self.dy = self.normal(s.n, s.c, s.h, s.h), self.normal(s.n, s.c, s.h, s.h)
        self.slope = self.normal(s.c)

    def npkernels(self):
        return lambda: nk.prelu(self.x, slope=self.slope)

    def numpy(self):
        return lambda: reference.prelu(self.x, slope=self.slope)

    def torch(self):
        x, slope = tensors(self.x, self.slope)
        return lambda: F.prelu(x, slope)


class PreluBackward(Prelu):
    layers, needs = shapes.CHANNELWISE, ("prelu_backward",)

    def npkernels(self):
        return lambda: nk.prelu_backward(self.dy, self.x, slope=self.slope)

    def numpy(self):
        return lambda: reference.prelu_backward(self.dy, self.x, slope=self.slope)

    def torch(self):
        dy, x, slope = tensors(self.dy, self.x, self.slope.reshape(-1, 1, 1))

        def call():
            dx, terms = aten._prelu_kernel_backward(dy, x, slope)
            return dx, terms.sum((0, 2, 3))

        return call


class Maxout(Operation):
    layers, needs = shapes.CHANNELWISE, ("maxout",)

    def prepare(self, s):
        self.x = self.normal(s.n, s.c, s.h, s.h)

    def npkernels(self):
        return lambda: nk.maxout(self.x, 2)

    def numpy(self):
        return lambda: reference.maxout(self.x, 2)

    def torch(self):
        (x,) = tensors(self.x.reshape(len(self.x), -1, 2, *self.x.shape[2:]))

        def call():
            y, which = x.max(2)
            return y, which.numpy().astype(np.int32)

        return call


def bench_channelwise(benchmark, contender):
    benchmark(contender)
