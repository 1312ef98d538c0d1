"""Recurrent layers forward, and forward and backward as in a step of training."""

import functools

import numpy as np
import shapes
from engine import Operation
from rivals import torch

import npkernels as nk


class Recurrent(Operation):
    """One layer and its PyTorch module, which share the weights."""

    kind, gates = "LSTM", 4

    def prepare(self, s):
        rows, scale = self.gates * s.h, self.dtype.type(1 / np.sqrt(s.h))
        self.x, self.dy = self.normal(s.n, s.t, s.d), self.normal(s.n, s.t, s.h)
        self.weights = [w * scale for w in (self.normal(rows, s.d), self.normal(rows, s.h))]
        self.weights += [self.normal(rows) * scale for _ in range(2)]

    def flop(self):
        s = self.layer
        return 2 * s.n * s.t * self.gates * s.h * (s.d + s.h)

    @functools.cached_property
    def module(self):
        s = self.layer
        layer = getattr(torch.nn, self.kind)(s.d, s.h, batch_first=True, dtype=torch.from_numpy(self.x).dtype)
        with torch.no_grad():
            for parameter, w in zip(layer.parameters(), self.weights, strict=True):
                parameter.copy_(torch.from_numpy(w))
        return layer


class Forward(Recurrent):
    def npkernels(self):
        layer = getattr(nk, self.kind.lower())
        return lambda: layer(self.x, *self.weights)[0]

    def torch(self):
        module, x = self.module, torch.from_numpy(self.x)

        def call():
            with torch.inference_mode():
                return module(x)[0]

        return call


class Training(Recurrent):
    def flop(self):
        return 3 * super().flop()

    def npkernels(self):
        layer, backward = getattr(nk, self.kind.lower()), getattr(nk, f"{self.kind.lower()}_backward")

        def call():
            y, _, tape = layer(self.x, *self.weights, training=True)
            dx, _, *dw = backward(self.dy, tape)
            return y, dx, *dw

        return call

    def torch(self):
        module, dy = self.module, torch.from_numpy(self.dy)
        x = torch.from_numpy(self.x).requires_grad_()

        def call():
            module.zero_grad()
            x.grad = None
            y, _ = module(x)
            y.backward(dy)
            return y, x.grad, *(parameter.grad for parameter in module.parameters())

        return call


class Lstm(Forward):
    layers, needs = shapes.SEQUENCES, ("lstm",)


class LstmTraining(Training):
    layers, needs = shapes.SEQUENCES, ("lstm_backward",)


class Gru(Forward):
    layers, needs, kind, gates = shapes.SEQUENCES, ("gru",), "GRU", 3


class GruTraining(Training):
    layers, needs, kind, gates = shapes.SEQUENCES, ("gru_backward",), "GRU", 3


class Rnn(Forward):
    layers, needs, kind, gates = shapes.SEQUENCES, ("rnn",), "RNN", 1


class RnnTraining(Training):
    layers, needs, kind, gates = shapes.SEQUENCES, ("rnn_backward",), "RNN", 1


def bench_recurrent(benchmark, contender):
    benchmark(contender)
