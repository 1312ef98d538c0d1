"""Dense layers and stacks of products at layers of named networks."""

import numpy as np
import shapes
from engine import Operation
from rivals import F, session, tensors, torch

import npkernels as nk
from npkernels import reference


class DenseRelu(Operation):
    layers, needs = shapes.DENSE, ("dense",)

    def prepare(self, s):
        self.x, self.w, self.b = self.normal(s.n, s.k), self.normal(s.units, s.k), self.normal(s.units)

    def flop(self):
        return 2 * self.x.size * len(self.w)

    def npkernels(self):
        return lambda: nk.dense(self.x, self.w, self.b, activation="relu")

    def numpy(self):
        def call():
            y = self.x @ self.w.T
            y += self.b
            return np.maximum(y, 0, out=y)

        return call

    def torch(self):
        x, w, b = tensors(self.x, self.w, self.b)
        return lambda: F.relu_(F.linear(x, w, b))

    def onnxruntime(self):
        return session(self, self.x, [("Gemm", {"transB": 1}), ("Relu", {})], (self.w, self.b))


class DenseBackward(Operation):
    layers, needs = shapes.DENSE, ("dense_backward",)

    def prepare(self, s):
        self.dy, self.x, self.w = self.normal(s.n, s.units), self.normal(s.n, s.k), self.normal(s.units, s.k)

    def flop(self):
        return 4 * self.x.size * len(self.w)

    def npkernels(self):
        return lambda: nk.dense_backward(self.dy, self.x, self.w)

    def numpy(self):
        return lambda: reference.dense_backward(self.dy, self.x, self.w)

    def torch(self):
        dy, x, w = tensors(self.dy, self.x, self.w)
        return lambda: (dy @ w, dy.t() @ x, dy.sum(0))


class Matmul(Operation):
    layers, needs = shapes.MATMUL, ("matmul",)

    def prepare(self, s):
        self.a, self.b = self.normal(s.batch, s.m, s.k), self.normal(s.batch, s.k, s.n)

    def flop(self):
        return 2 * self.a.size * self.b.shape[-1]

    def npkernels(self):
        return lambda: nk.matmul(self.a, self.b)

    def numpy(self):
        return lambda: np.matmul(self.a, self.b)

    def torch(self):
        a, b = tensors(self.a, self.b)
        return lambda: torch.matmul(a, b)

    def onnxruntime(self):
        return session(self, self.a, [("MatMul", {})], (self.b,))


def bench_linear(benchmark, contender):
    benchmark(contender)
