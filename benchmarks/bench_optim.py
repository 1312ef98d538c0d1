"""Optimiser steps at the weights of layers of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import tensors, torch

import npkernels as nk
from npkernels import reference

RATE = 1e-6


class MomentumStep(Operation):
    layers, needs = shapes.OPTIM, ("momentum_step",)

    def prepare(self, s):
        self.p, self.g = self.normal(s.size), self.normal(s.size)

    def step(self, function):
        """A call of one library's step on its own copy of the parameters; returns what it changed."""
        p, velocity = self.p.copy(), np.zeros_like(self.p)

        def call():
            function(p, self.g, velocity, lr=RATE)
            return p

        return call

    def npkernels(self):
        return self.step(nk.momentum_step)

    def numpy(self):
        return self.step(reference.momentum_step)

    def torch(self):
        p, g = tensors(self.p.copy(), self.g)
        p.requires_grad_()
        p.grad = g
        step = torch.optim.SGD([p], lr=RATE, momentum=0.9, fused=True).step

        def call():
            step()
            return p

        return call


def bench_optim(benchmark, contender):
    benchmark(contender)
