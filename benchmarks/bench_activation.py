"""Elementwise functions and their gradients, on the smallest array and on the map of a network."""

import numpy as np
import shapes
from engine import Operation
from rivals import F, aten, session, tensors, torch

import npkernels as nk
from npkernels import reference


class Elementwise(Operation):
    """The function `f` of both `npkernels` and `reference`; the classes below add its rivals."""

    def prepare(self, s):
        self.dy, self.x = self.normal(s.size), self.normal(s.size)

    def npkernels(self):
        f = getattr(nk, self.needs[0])
        return lambda: f(self.x)

    def numpy(self):
        f = getattr(reference, self.needs[0])
        return lambda: f(self.x)


class Gradient(Elementwise):
    def npkernels(self):
        f = getattr(nk, self.needs[0])
        return lambda: f(self.dy, self.x)

    def numpy(self):
        f = getattr(reference, self.needs[0])
        return lambda: f(self.dy, self.x)


class Relu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("relu",)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.relu(x)

    def onnxruntime(self):
        return session(self, self.x, [("Relu", {})])


class ReluBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("relu_backward",)

    def numpy(self):
        return lambda: self.dy * (self.x > 0)

    def torch(self):
        dy, x = tensors(self.dy, self.x)
        return lambda: aten.threshold_backward(dy, x, 0)


class Sigmoid(Elementwise):
    layers, needs = shapes.ACTIVATION, ("sigmoid",)

    def numpy(self):
        return lambda: 1 / (1 + np.exp(-self.x))

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.sigmoid(x)

    def onnxruntime(self):
        return session(self, self.x, [("Sigmoid", {})])


class SigmoidBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("sigmoid_backward",)

    def numpy(self):
        y = reference.sigmoid(self.x)
        return lambda: self.dy * y * (1 - y)

    def torch(self):
        dy, y = tensors(self.dy, reference.sigmoid(self.x))
        return lambda: aten.sigmoid_backward(dy, y)


class Tanh(Elementwise):
    layers, needs = shapes.ACTIVATION, ("tanh",)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.tanh(x)

    def onnxruntime(self):
        return session(self, self.x, [("Tanh", {})])


class TanhBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("tanh_backward",)

    def numpy(self):
        y = np.tanh(self.x)
        return lambda: self.dy * (1 - y * y)

    def torch(self):
        dy, y = tensors(self.dy, np.tanh(self.x))
        return lambda: aten.tanh_backward(dy, y)


class Silu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("silu",)

    def numpy(self):
        return lambda: self.x / (1 + np.exp(-self.x))

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.silu(x)


class Gelu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("gelu",)
    numpy = None  # has no error function

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: F.gelu(x)


def bench_activation(benchmark, contender):
    benchmark(contender)
