"""The two halves of Lloyd's algorithm on data of common kinds: the nearest centroids, and the sums they gather."""

import numpy as np
import shapes
from engine import Operation
from rivals import faiss, lloyd, pools, tensors, torch

import npkernels as nk

BLOCK = 4096  # rows whose scores NumPy and PyTorch hold at a time


class KmeansAssign(Operation):
    layers, needs = shapes.CLUSTER, ("kmeans_assign",)

    def prepare(self, s):
        self.centroids = self.normal(s.k, s.d)
        self.x = self.centroids[self.rng.integers(0, s.k, s.n)] + self.normal(s.n, s.d)

    def outcome(self, result):
        """The squared distances to the centroids chosen: equal where two centroids tie up to rounding."""
        labels = result[0] if isinstance(result, tuple) else result
        return [((self.x - self.centroids[np.asarray(labels).ravel()]) ** 2).sum(1)]

    def flop(self):
        return 2 * self.x.size * len(self.centroids)

    def npkernels(self):
        return lambda: nk.kmeans_assign(self.x, self.centroids)

    def numpy(self):
        def call():
            # |x - c|^2 is smallest where |c|^2 / 2 - x.c is
            half = (self.centroids**2).sum(1) / 2
            return np.concatenate(
                [(half - self.x[i : i + BLOCK] @ self.centroids.T).argmin(1) for i in range(0, len(self.x), BLOCK)]
            )

        return call

    def torch(self):
        x, centroids = tensors(self.x, self.centroids)

        def call():
            half = centroids.square().sum(1) / 2
            return torch.cat([torch.addmm(half, block, centroids.t(), alpha=-1).argmin(1) for block in x.split(BLOCK)])

        return call

    def sklearn(self):
        return self.iteration(update=False)

    def faiss(self):
        if self.dtype != np.float32:
            return None
        index = faiss.IndexFlatL2(self.layer.d)
        index.add(self.centroids)
        return lambda: index.search(self.x, 1)[1]

    def iteration(self, update):
        """An iteration of scikit-learn's KMeans, without what its `fit` and `predict` do around it."""
        n, k = len(self.x), len(self.centroids)
        weight, labels = np.ones(n, self.dtype), np.empty(n, np.int32)
        centroids, sums, shift = np.empty_like(self.centroids), np.empty(k, self.dtype), np.empty(k, self.dtype)

        def call():
            with pools.limit(limits=1, user_api="blas"):
                lloyd.lloyd_iter_chunked_dense(
                    self.x, weight, self.centroids, centroids, sums, labels, shift, self.threads, update
                )
            return labels, centroids, sums

        return call


class KmeansAccumulate(KmeansAssign):
    needs = ("kmeans_accumulate",)

    def npkernels(self):
        return lambda: nk.kmeans_accumulate(self.x, self.centroids)

    def numpy(self):
        assign = super().numpy()

        def call():
            labels = assign()
            sums = [np.bincount(labels, column, len(self.centroids)) for column in self.x.T]
            return labels, np.stack(sums, axis=1), np.bincount(labels, minlength=len(self.centroids))

        return call

    def torch(self):
        assign, (x,) = super().torch(), tensors(self.x)

        def call():
            labels, k = assign(), len(self.centroids)
            return labels, x.new_zeros(k, x.shape[1]).index_add_(0, labels, x), labels.bincount(minlength=k)

        return call

    def sklearn(self):
        return self.iteration(update=True)

    faiss = None


def bench_cluster(benchmark, contender):
    benchmark(contender)
