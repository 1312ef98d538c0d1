"""Elementwise functions and their gradients, on the smallest array, in the cache, and on the map of a network."""

import numpy as np
import shapes
from engine import Operation
from rivals import F, aten, session, tensors, torch

import npkernels as nk
from npkernels import reference

SELU = 1.6732632423543772, 1.0507009873554805


class Elementwise(Operation):
    """The function `f` of both `npkernels` and `reference`; the classes below add its rivals."""

    def prepare(self, s):
        self.dy, self.x = self.normal(s.size), self.normal(s.size)

    def arguments(self):
        return (self.x,)

    def npkernels(self):
        f, arguments = getattr(nk, self.needs[0]), self.arguments()
        return lambda: f(*arguments)

    def numpy(self):
        f, arguments = getattr(reference, self.needs[0]), self.arguments()
        return lambda: f(*arguments)


class Gradient(Elementwise):
    def arguments(self):
        return self.dy, self.x


def torch_call(f, arguments=Elementwise.arguments):
    """The method that times PyTorch's `f` of these arrays."""

    def method(self):
        call, arrays = f(), tensors(*arguments(self))
        return lambda: call(*arrays)

    return method


def result(function):
    """Some gradients of PyTorch take the result in place of x."""
    return lambda self: (self.dy, function(self.x))


class Glu(Elementwise):
    """The halves are planes apart, as of a convolution."""

    layers, needs = shapes.GATED, ("glu",)
    torch = torch_call(lambda: lambda x: aten.glu(x, 1))

    def prepare(self, s):
        self.dy, self.x = self.normal(s.n, s.c // 2, s.h, s.h), self.normal(s.n, s.c, s.h, s.h)


class GluBackward(Glu):
    needs = ("glu_backward",)
    arguments = Gradient.arguments
    torch = torch_call(lambda: lambda dy, x: aten.glu_backward(dy, x, 1), Gradient.arguments)


class Relu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("relu",)
    torch = torch_call(lambda: torch.relu)

    def onnxruntime(self):
        return session(self, self.x, [("Relu", {})])


class ReluBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("relu_backward",)
    torch = torch_call(lambda: lambda dy, x: aten.threshold_backward(dy, x, 0), Gradient.arguments)

    def numpy(self):
        return lambda: self.dy * (self.x > 0)


class Sigmoid(Elementwise):
    layers, needs = shapes.ACTIVATION, ("sigmoid",)
    torch = torch_call(lambda: torch.sigmoid)

    def numpy(self):
        return lambda: 1 / (1 + np.exp(-self.x))

    def onnxruntime(self):
        return session(self, self.x, [("Sigmoid", {})])


class SigmoidBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("sigmoid_backward",)
    torch = torch_call(lambda: aten.sigmoid_backward, result(reference.sigmoid))

    def numpy(self):
        y = reference.sigmoid(self.x)
        return lambda: self.dy * y * (1 - y)


class Tanh(Elementwise):
    layers, needs = shapes.ACTIVATION, ("tanh",)
    torch = torch_call(lambda: torch.tanh)

    def onnxruntime(self):
        return session(self, self.x, [("Tanh", {})])


class TanhBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("tanh_backward",)
    torch = torch_call(lambda: aten.tanh_backward, result(np.tanh))

    def numpy(self):
        y = np.tanh(self.x)
        return lambda: self.dy * (1 - y * y)


class FromOutput(Gradient):
    """The gradient of a fused activation, by the result; PyTorch's takes that, too, but for softplus."""

    def npkernels(self):
        f = getattr(nk, self.needs[0])
        y = self.result(self.x)
        return lambda: f(self.dy, y, from_output=True)

    def numpy(self):
        f = getattr(reference, self.needs[0])
        y = self.result(self.x)
        return lambda: f(self.dy, y, from_output=True)


def torch_output(f):
    """The method that times PyTorch's gradient of the result."""

    def method(self):
        call, arrays = f(), tensors(self.dy, self.result(self.x))
        return lambda: call(*arrays)

    return method


class SigmoidFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("sigmoid_backward",), staticmethod(reference.sigmoid)
    torch = torch_output(lambda: aten.sigmoid_backward)


class TanhFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("tanh_backward",), staticmethod(np.tanh)
    torch = torch_output(lambda: aten.tanh_backward)


class EluFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("elu_backward",), staticmethod(reference.elu)
    torch = torch_output(lambda: lambda dy, y: aten.elu_backward(dy, 1, 1, 1, True, y))


class SeluFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("selu_backward",), staticmethod(reference.selu)
    torch = torch_output(lambda: lambda dy, y: aten.elu_backward(dy, *SELU, 1, True, y))


class LeakyReluFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("leaky_relu_backward",), staticmethod(reference.leaky_relu)
    torch = torch_output(lambda: lambda dy, y: aten.leaky_relu_backward(dy, y, 0.01, True))


class SoftplusFromOutput(FromOutput):
    layers, needs, result = shapes.ACTIVATION, ("softplus_backward",), staticmethod(reference.softplus)

    def torch(self):
        dy, x = tensors(self.dy, self.x)
        return lambda: aten.softplus_backward(dy, x, 1, 20)


class Silu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("silu",)
    torch = torch_call(lambda: F.silu)

    def numpy(self):
        return lambda: self.x / (1 + np.exp(-self.x))


class SiluBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("silu_backward",)
    torch = torch_call(lambda: aten.silu_backward, Gradient.arguments)


class Gelu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("gelu",)
    numpy = None  # has no error function
    torch = torch_call(lambda: F.gelu)


class GeluBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("gelu_backward",)
    numpy = None
    torch = torch_call(lambda: aten.gelu_backward, Gradient.arguments)


class Softplus(Elementwise):
    layers, needs = shapes.ACTIVATION, ("softplus",)
    torch = torch_call(lambda: F.softplus)


class Elu(Elementwise):
    layers, needs = shapes.ACTIVATION, ("elu",)
    torch = torch_call(lambda: F.elu)


class Mish(Elementwise):
    layers, needs = shapes.ACTIVATION, ("mish",)
    torch = torch_call(lambda: F.mish)


class MishBackward(Gradient):
    layers, needs = shapes.ACTIVATION, ("mish_backward",)
    torch = torch_call(lambda: aten.mish_backward, Gradient.arguments)


class Sinusoid(Elementwise):
    layers, needs = shapes.ACTIVATION, ("sinusoid",)
    torch = torch_call(lambda: torch.sin)


class Arctan(Elementwise):
    layers, needs = shapes.ACTIVATION, ("arctan",)
    torch = torch_call(lambda: torch.arctan)


def bench_activation(benchmark, contender):
    benchmark(contender)
