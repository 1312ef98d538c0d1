"""Dropout at activations of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import aten, tensors, torch

import npkernels as nk
from npkernels import reference


class Dropout(Operation):
    """Every library draws its own mask: contenders are not compared."""

    layers, needs = shapes.DROPOUT, ("dropout",)
    p = 0.1

    def prepare(self, s):
        self.x, self.generator = self.normal(s.size), np.random.default_rng(0)

    def outcome(self, result):
        return []

    def npkernels(self):
        return lambda: nk.dropout(self.x, self.p, self.generator)

    def numpy(self):
        def call():
            mask = self.generator.random(self.x.shape, np.float32) >= self.p
            return self.x * mask * self.x.dtype.type(1 / (1 - self.p)), mask

        return call

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.native_dropout(x, self.p, True)


class DropoutBackward(Operation):
    layers, needs = shapes.DROPOUT, ("dropout_backward",)
    p = 0.1

    def prepare(self, s):
        self.dy = self.normal(s.size)
        self.mask = reference.dropout(self.dy, self.p, np.random.default_rng(0))[1]

    def npkernels(self):
        return lambda: nk.dropout_backward(self.dy, self.mask, self.p)

    def numpy(self):
        return lambda: reference.dropout_backward(self.dy, self.mask, self.p)

    def torch(self):
        dy, mask = tensors(self.dy, self.mask)
        return lambda: aten.native_dropout_backward(dy, mask, 1 / (1 - self.p))


def bench_regularisation(benchmark, contender):
    benchmark(contender)
