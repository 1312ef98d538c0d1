"""A whole fit of k-means from given centroids, the same number of iterations for all, and greedy seeding."""

import numpy as np
import shapes
from engine import Operation
from rivals import faiss, intelex, sklearn_cluster

import npkernels as nk
from npkernels.data import load_digits

ITERATIONS = 15


def samples(operation, s):
    if s.name == "digits":
        return load_digits()[0].reshape(s.n, s.d).astype(operation.dtype)
    centres = operation.normal(s.k, s.d)
    return centres[operation.rng.integers(0, s.k, s.n)] + 1.5 * operation.normal(s.n, s.d)


class KmeansFit(Operation):
    layers, needs = shapes.FIT, ("KMeans",)

    def prepare(self, s):
        self.x = samples(self, s)
        self.init = self.x[: s.k].copy()

    def outcome(self, result):
        """The inertia of the centroids found."""
        return [np.array(nk.kmeans_accumulate(self.x, np.asarray(result, self.dtype))[3])]

    def estimator(self, kind):
        made = kind(len(self.init), init=self.init, n_init=1, max_iter=ITERATIONS, tol=0)
        return lambda: made.fit(self.x).cluster_centers_

    def npkernels(self):
        return self.estimator(nk.KMeans)

    def sklearn(self):
        return self.estimator(sklearn_cluster.KMeans)

    def intelex(self):
        return self.estimator(intelex.KMeans)

    def faiss(self):
        if self.dtype != np.float32:
            return None
        n, (k, d) = len(self.x), self.init.shape
        made = faiss.Kmeans(d, k, niter=ITERATIONS, min_points_per_centroid=1, max_points_per_centroid=n)

        def call():
            made.train(self.x, init_centroids=self.init)
            made.index.search(self.x, 1)
            return made.centroids

        return call


class KmeansPlusPlus(Operation):
    layers, needs = shapes.FIT, ("kmeans_plus_plus",)

    def prepare(self, s):
        self.x = samples(self, s)

    def outcome(self, result):
        """Draws differ between rivals: what they all give is rows of the data."""
        return [np.array([(self.x == row).all(1).any() for row in result], float)]

    def npkernels(self):
        return lambda: nk.kmeans_plus_plus(self.x, self.layer.k, rng=np.random.default_rng(0))

    def sklearn(self):
        return lambda: sklearn_cluster.kmeans_plusplus(self.x, self.layer.k, random_state=0)[0]


def bench_kmeans(benchmark, contender):
    benchmark(contender)
