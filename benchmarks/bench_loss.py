"""Losses of elements with their gradients, at the outputs of named networks."""

import shapes
from engine import Operation
from rivals import F, tensors

import npkernels as nk
from npkernels import reference


class Loss(Operation):
    """The mean loss and its gradient; prediction and target are the operands x and y."""

    def prepare(self, s):
        self.x, self.y = self.normal(s.size), self.rng.random(s.size, self.dtype)

    def of(self, library):
        function = getattr(library, self.name)
        return lambda: function(self.x, self.y)

    def npkernels(self):
        return self.of(nk)

    def numpy(self):
        return self.of(reference)

    def torch(self):
        x, y = tensors(self.x, self.y)
        function = getattr(F, self.name.removesuffix("_with_grad"))
        x.requires_grad_()

        def call():
            x.grad = None
            loss = function(x, y)
            loss.backward()
            return loss, x.grad

        return call


class MseLossWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("mse_loss_with_grad",)


class HuberLossWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("huber_loss_with_grad",)


class BinaryCrossEntropyWithLogitsWithGrad(Loss):
    layers, needs = shapes.REGRESSION, ("binary_cross_entropy_with_logits_with_grad",)


def bench_loss(benchmark, contender):
    benchmark(contender)
