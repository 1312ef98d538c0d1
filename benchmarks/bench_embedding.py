"""Embedding of tokens."""

import shapes
from engine import Operation
from rivals import F, aten, tensors

import npkernels as nk
from npkernels import reference


class Embedding(Operation):
    layers, needs = shapes.EMBEDDING, ("embedding",)

    def prepare(self, s):
        self.w, self.indices = self.normal(s.m, s.d), self.rng.integers(0, s.m, s.n)

    def npkernels(self):
        return lambda: nk.embedding(self.indices, self.w)

    def numpy(self):
        return lambda: self.w.take(self.indices, axis=0)

    def torch(self):
        indices, w = tensors(self.indices, self.w)
        return lambda: F.embedding(indices, w)


class EmbeddingBackward(Operation):
    layers, needs = shapes.EMBEDDING, ("embedding_backward",)

    def prepare(self, s):
        self.dy, self.indices, self.m = self.normal(s.n, s.d), self.rng.integers(0, s.m, s.n), s.m

    def npkernels(self):
        return lambda: nk.embedding_backward(self.dy, self.indices, self.m)

    def numpy(self):
        return lambda: reference.embedding_backward(self.dy, self.indices, self.m)

    def torch(self):
        dy, indices = tensors(self.dy, self.indices)
        return lambda: aten.embedding_dense_backward(dy, indices, self.m, -1, False)


def bench_embedding(benchmark, contender):
    benchmark(contender)
