"""A small network on the protocol of layers, written as a user would, for the tests of training."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import nn


class Affine(nn.Layer):
    def __init__(self, inputs, outputs, dtype):
        self.parameters["weight"] = np.zeros((outputs, inputs), dtype)
        self.parameters["bias"] = np.zeros(outputs, dtype)

    def draw(self, rng):
        weight = self.parameters["weight"]
        weight[...] = rng.standard_normal(weight.shape) / np.sqrt(weight.shape[1])
        self.parameters["bias"][...] = 0

    def forward(self, x, *, training=False):
        self.keep(x if training else None)
        return nk.dense(x, self.parameters["weight"], self.parameters["bias"])

    def backward(self, dy, *, needs_dx=True):
        dx, dw, db = nk.dense_backward(dy, self.kept(), self.parameters["weight"])
        self.take_gradients(weight=dw, bias=db)
        return dx if needs_dx else None


class Hidden(nn.Layer):
    """tanh, of what is left after noise from the generator, and a count of its batches as a buffer."""

    def __init__(self, noise):
        self.noise, self.rng = noise, None
        self.buffers["batches"] = np.zeros(1)

    def use_generator(self, rng):
        self.rng = rng

    def forward(self, x, *, training=False):
        if training:
            self.buffers["batches"] += 1
            if self.noise:
                x = x + (self.noise * self.rng.standard_normal(x.shape)).astype(x.dtype)
        y = nk.tanh(x)
        self.keep(y if training else None)
        return y

    def backward(self, dy, *, needs_dx=True):
        return nk.tanh_backward(dy, self.kept(), from_output=True)


class Network(nn.Layer):
    def __init__(self, inputs, hidden, outputs, dtype=np.float64, noise=0.0, rng=0):
        self.first = Affine(inputs, hidden, dtype)
        self.hidden = Hidden(noise)
        self.last = Affine(hidden, outputs, dtype)
        self.initialise(rng)

    def forward(self, x, *, training=False):
        for layer in self.children().values():
            x = layer(x, training=training)
        return x

    def backward(self, dy, *, needs_dx=True):
        for layer in reversed(self.children().values()):
            dy = layer.backward(dy)
        return dy


@pytest.fixture
def network():
    """Makes a network of two layers with a hyperbolic tangent between them."""
    return Network


@pytest.fixture
def bits():
    """All bits of the parameters and buffers of a model."""

    def of(model):
        return [
            array.tobytes()
            for _, layer in model.everything()
            for array in (*layer.parameters.values(), *layer.buffers.values())
        ]

    return of


@pytest.fixture
def data(rng):
    """Three classes of points that a small network tells apart: x (90, 5), y (90,)."""
    y = np.arange(90) % 3
    return rng.standard_normal((90, 5)) + 2 * np.eye(3, 5)[y], y
