"""Optimiser steps at the weights of layers of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import tensors, torch

import npkernels as nk
from npkernels import reference

RATE = 1e-6


class Step(Operation):
    """A step of one library on its own copy of the parameters; the call returns what it changed."""

    states, options = 1, {"lr": RATE}
    kind, torch_options = "", {}  # the class of torch.optim

    def prepare(self, s):
        self.p, self.g = self.normal(s.size), self.normal(s.size)

    def step(self, library):
        function = getattr(library, self.name)
        p, states = self.p.copy(), [np.zeros_like(self.p) for _ in range(self.states)]

        def call():
            function(p, self.g, *states, **self.options)
            return p

        return call

    def moved(self):
        return (3 + 2 * self.states) * self.p.nbytes

    def npkernels(self):
        return self.step(nk)

    def numpy(self):
        return self.step(reference)

    def torch(self):
        p, g = tensors(self.p.copy(), self.g)
        p.requires_grad_()
        p.grad = g
        step = getattr(torch.optim, self.kind)([p], lr=RATE, **self.torch_options).step

        def call():
            step()
            return p

        return call


class MomentumStep(Step):
    layers, needs = shapes.OPTIM, ("momentum_step",)
    kind, torch_options = "SGD", {"momentum": 0.9, "fused": True}


class RmspropStep(Step):
    layers, needs = shapes.OPTIM, ("rmsprop_step",)
    kind = "RMSprop"


class AdamStep(Step):
    layers, needs = shapes.OPTIM, ("adam_step",)
    states, options = 2, {"lr": RATE, "step": 1000}
    kind, torch_options = "Adam", {"fused": True}


class ClipGradNorm(Operation):
    layers, needs = shapes.OPTIM, ("clip_grad_norm",)

    def prepare(self, s):
        self.grads = [self.normal(s.size), self.normal(1000)]

    def clip(self, function):
        grads = [g.copy() for g in self.grads]
        return lambda: float(function(grads, 1e9))

    def npkernels(self):
        return self.clip(nk.clip_grad_norm)

    def numpy(self):
        return self.clip(reference.clip_grad_norm)

    def torch(self):
        leaves = [tensor.requires_grad_() for tensor in tensors(*(g.copy() for g in self.grads))]
        for leaf, g in zip(leaves, tensors(*self.grads), strict=True):
            leaf.grad = g
        return lambda: float(torch.nn.utils.clip_grad_norm_(leaves, 1e9))


def bench_optim(benchmark, contender):
    benchmark(contender)
