"""Nearest rows against faiss and scikit-learn by brute force, distances of all pairs, and silhouettes."""

import numpy as np
import shapes
from engine import Operation
from rivals import faiss, sklearn_metrics, sklearn_neighbors, tensors, torch

import npkernels as nk


class Nearest(Operation):
    layers, needs = shapes.NEAREST, ("nearest",)

    def prepare(self, s):
        self.x, self.y = self.normal(s.n, s.d), self.normal(s.m, s.d)

    def outcome(self, result):
        """The squared distances of the rows found: places of those that are equal up to rounding may differ."""
        return [((self.x[:100, None] - self.y[np.asarray(result[1][:100])]) ** 2).sum(2)]

    def flop(self):
        return 2 * self.x.size * len(self.y)

    def npkernels(self):
        return lambda: nk.nearest(self.x, self.y, self.layer.k)

    def faiss(self):
        if self.dtype != np.float32:
            return None
        index = faiss.IndexFlatL2(self.layer.d)
        index.add(self.y)
        return lambda: index.search(self.x, self.layer.k)

    def sklearn(self):
        found = sklearn_neighbors.NearestNeighbors(n_neighbors=self.layer.k, algorithm="brute").fit(self.y)
        return lambda: found.kneighbors(self.x)


class PairwiseDistances(Operation):
    layers, needs = shapes.PAIRS, ("pairwise_distances",)

    def prepare(self, s):
        self.x, self.y = self.normal(s.n, s.d), self.normal(s.m, s.d)

    def flop(self):
        return 2 * self.x.size * len(self.y)

    def npkernels(self):
        return lambda: nk.pairwise_distances(self.x, self.y, metric="euclidean")

    def numpy(self):
        def call():
            squares = (self.x**2).sum(1)[:, None] + (self.y**2).sum(1) - 2 * self.x @ self.y.T
            return np.sqrt(np.maximum(squares, 0))

        return call

    def torch(self):
        x, y = tensors(self.x, self.y)
        return lambda: torch.cdist(x, y)

    def sklearn(self):
        return lambda: sklearn_metrics.pairwise_distances(self.x, self.y)


class SilhouetteScore(Operation):
    layers, needs = shapes.FIT, ("silhouette_score",)

    def prepare(self, s):
        n = min(s.n, 5000)
        self.labels = self.rng.integers(0, s.k, n)
        self.x = self.normal(s.k, s.d)[self.labels] + self.normal(n, s.d)

    def npkernels(self):
        return lambda: nk.silhouette_score(self.x, self.labels)

    def sklearn(self):
        return lambda: sklearn_metrics.silhouette_score(self.x, self.labels)


def bench_neighbours(benchmark, contender):
    benchmark(contender)
