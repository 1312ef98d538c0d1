"""Softmax and cross-entropy at heads of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import aten, session, tensors, torch

import npkernels as nk
from npkernels import reference


class Softmax(Operation):
    layers, needs = shapes.SOFTMAX, ("softmax",)

    def prepare(self, s):
        self.x = self.normal(s.n, s.c)

    def npkernels(self):
        return lambda: nk.softmax(self.x)

    def numpy(self):
        def call():
            y = self.x - self.x.max(1, keepdims=True)
            np.exp(y, out=y)
            y /= y.sum(1, keepdims=True)
            return y

        return call

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.softmax(x, 1)

    def onnxruntime(self):
        return session(self, self.x, [("Softmax", {"axis": 1})])


class LogSoftmax(Softmax):
    needs = ("log_softmax",)

    def npkernels(self):
        return lambda: nk.log_softmax(self.x)

    def numpy(self):
        return lambda: reference.log_softmax(self.x)

    def torch(self):
        (x,) = tensors(self.x)
        return lambda: torch.log_softmax(x, 1)

    def onnxruntime(self):
        return session(self, self.x, [("LogSoftmax", {"axis": 1})])


class SoftmaxBackward(Operation):
    layers, needs = shapes.SOFTMAX, ("softmax_backward",)

    def prepare(self, s):
        self.dy, self.y = self.normal(s.n, s.c), reference.softmax(self.normal(s.n, s.c))

    def npkernels(self):
        return lambda: nk.softmax_backward(self.dy, self.y)

    def numpy(self):
        return lambda: reference.softmax_backward(self.dy, self.y)

    def torch(self):
        dy, y = tensors(self.dy, self.y)
        return lambda: aten._softmax_backward_data(dy, y, 1, y.dtype)


class SoftmaxCrossEntropyWithGrad(Operation):
    layers, needs = shapes.LOSS, ("softmax_cross_entropy_with_grad",)

    def prepare(self, s):
        self.logits, self.targets = self.normal(s.n, s.c), self.rng.integers(0, s.c, s.n)

    def npkernels(self):
        return lambda: nk.softmax_cross_entropy_with_grad(self.logits, self.targets)

    def numpy(self):
        rows = np.arange(len(self.logits))

        def call():
            # loss = mean of log(sum of e^z) - z[target], gradient = (softmax(z) - [target]) / n: one exponential
            z = self.logits - self.logits.max(1, keepdims=True)
            e = np.exp(z)
            total = e.sum(1, keepdims=True)
            loss = (np.log(total[:, 0]) - z[rows, self.targets]).mean()
            e /= total
            e[rows, self.targets] -= 1
            e /= len(rows)
            return loss, e

        return call

    def torch(self):
        logits, targets = tensors(self.logits, self.targets)
        one = torch.ones((), dtype=logits.dtype)

        def call():
            logp = aten._log_softmax(logits, 1, False)
            loss, weight = aten.nll_loss_forward(logp, targets, None, 1, -100)
            dlogp = aten.nll_loss_backward(one, logp, targets, None, 1, -100, weight)
            return loss, aten._log_softmax_backward_data(dlogp, logp, 1, logits.dtype)

        return call


def bench_softmax(benchmark, contender):
    benchmark(contender)
