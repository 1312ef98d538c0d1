"""Lloyd's algorithm, and the samples in memory that it goes through.

Centres are float64 from step to step, also those of float32 samples: averages of numbers far from the origin, rounded
to float32, would be off by more than what the samples differ by. The kernels take such centres in two parts.
"""

from typing import Any, NamedTuple

import numpy as np

from .._kernels import cluster as _cluster, distance as _distance
from .._sklearn import estimator as base
from .assign import Totals, plus_plus, uniform

BLOCK = 1 << 16  # labels that are looked at at a time: an index takes twice their memory


class Run(NamedTuple):
    """What Lloyd's algorithm finds; `clusters` is the number of those that have samples."""

    labels: Any
    inertia: float
    centres: np.ndarray
    iterations: int
    clusters: int


class Step(NamedTuple):
    """What an iteration finds: `inertia` if it is wanted, and whether labels are `settled`, those of the last one."""

    sums: np.ndarray
    counts: np.ndarray
    inertia: float | None
    settled: bool


def refuse(x, centres, name):
    """Raises where samples are not finite, or so large that sums of them are not; `name` is that of the estimator.
    Scores may overflow where both are finite, which is no error."""
    base.require_finite(x, "X", name)
    if not np.isfinite(centres).all():
        raise ValueError(f"Input X or sample_weight contains a value too large for sums in {centres.dtype!r}.")


def nearest(x, weights, centres, name):
    """labels (n,) int32 and inertia of x; `name` is that of the estimator, for the message if x is not finite."""
    labels, totals = np.empty(len(x), np.int32), Totals(x, weights, len(centres))
    if not totals.take(centres, labels, sums=False, inertia=True):
        refuse(x, centres, name)
    return labels, totals.inertia()


def distances(x, centres, name):
    """Distances (n, k) of x to all centres; `name` as for `nearest`."""
    found = np.empty((len(x), len(centres)), x.dtype)
    _distance.distances(x, centres, found)
    if not np.isfinite(found[:, 0]).all():
        base.require_finite(x, "X", name)
    return found


def mean_variance(x, name):
    """The mean over features of their variances; `name` as for `nearest`."""
    labels, totals = np.empty(len(x), np.int32), Totals(x, None, 1)
    if not totals.take(np.ascontiguousarray(x[:1]), labels):
        base.require_finite(x, "X", name)
    return nearest(x, None, totals.sums() / len(x), name)[1] / x.size


def averages(sums, counts):
    """Centres of clusters from sums and sums of weights; an empty cluster gets the centre of the largest."""
    empty = counts <= 0
    if empty.any():
        sums, counts = sums.copy(), counts.copy()
        most = counts.argmax()
        sums[empty], counts[empty] = sums[most], counts[most]
    return sums / counts[:, None]


def squared_distances(x, weights, centres, name):
    """To the nearest centres, 0 for samples without weight; `name` as for `nearest`."""
    found = np.empty(len(x), x.dtype)
    if not _cluster.assign(x, centres, np.empty(len(x), np.int32), found):
        refuse(x, centres, name)
    if weights is not None:
        found[weights == 0] = 0
    return found


def farthest(distances, number):
    """The places of the largest distances, in the order in which scikit-learn takes them."""
    return np.argpartition(distances, -number)[: -number - 1 : -1]


def relocate(sums, counts, empty, samples, weights, labels, distances):
    """Moves every empty cluster to one of the samples given, which leaves its own cluster."""
    for cluster, sample, weight, label, distance in zip(empty, samples, weights, labels, distances, strict=True):
        if distance > 0:
            moved = weight * sample.astype(np.float64)
            sums[label] -= moved
            counts[label] -= weight
            sums[cluster], counts[cluster] = moved, weight


class Samples:
    """Samples in memory. `_distributed.Blocks` is its twin for blocks of samples on many machines."""

    def __init__(self, x, weights, k, name):
        self.x, self.k, self.name = x, k, name
        self.weights, self._unit = uniform(weights)
        self._totals = None

    def __len__(self):
        return len(self.x)

    def random(self, rng):
        """k samples, drawn in proportion to their weights."""
        share = None if self.weights is None else self.weights / self.weights.sum()
        return np.ascontiguousarray(self.x[rng.choice(len(self.x), self.k, replace=False, p=share)])

    def plus_plus(self, rng):
        """The samples that greedy k-means++ chooses."""
        chosen, finite = plus_plus(self.x, self.k, rng, self.weights)
        if not finite:
            base.require_finite(self.x, "X", self.name)
        return np.ascontiguousarray(self.x[chosen])

    def mean_variance(self):
        return mean_variance(self.x, self.name)

    def begin(self):
        """To be called before the steps of a run."""
        if self._totals is None:
            self._totals = Totals(self.x, self.weights, self.k)
        # a step fills what was there before the last one
        self._labels, self._before = np.full(len(self.x), -1, np.int32), np.empty(len(self.x), np.int32)

    def step(self, centres, inertia):
        """An iteration from `centres`; an empty cluster moves to one of the samples farthest from their centre."""
        totals, self._labels, self._before = self._totals, self._before, self._labels
        if not totals.take(centres, self._labels, inertia=inertia):
            refuse(self.x, centres, self.name)
        sums, counts = totals.sums(), totals.counts()
        empty = np.flatnonzero(counts <= 0)
        if len(empty):
            distances = squared_distances(self.x, self.weights, centres, self.name)
            rows = farthest(distances, len(empty))
            weights = np.ones(len(rows)) if self.weights is None else self.weights[rows]
            relocate(sums, counts, empty, self.x[rows], weights, self._labels[rows], distances[rows])
        settled = np.array_equal(self._labels, self._before)
        return Step(sums, counts, totals.inertia() * self._unit if inertia else None, settled)

    def finish(self, centres):
        """(labels, inertia, number of clusters that have samples) of the centres found."""
        if not self._totals.take(centres, self._labels, sums=False, inertia=True):
            refuse(self.x, centres, self.name)
        found = np.zeros(self.k, bool)
        for first in range(0, len(self), BLOCK):
            found[self._labels[first : first + BLOCK]] = True
        return self._labels, self._totals.inertia() * self._unit, np.count_nonzero(found)

    def same(self, run, other):
        """Whether two runs differ in the names of the clusters only."""
        names = np.full(self.k, -1, np.int32)
        names[run.labels] = other.labels
        return np.array_equal(names[run.labels], other.labels)


def lloyd(data, centres, max_iter, tol, verbose=False):
    """The Run from `centres`, which ends when no label changes or when the squared shift of all centres is at most
    `tol`."""
    data.begin()
    centres = centres.astype(np.float64)
    for iteration in range(1, max_iter + 1):
        step = data.step(centres, verbose)
        previous, centres = centres, averages(step.sums, step.counts)
        if verbose:
            print(f"Iteration {iteration}, inertia {step.inertia}.")
        shift = np.square(centres - previous).sum()
        if step.settled or shift <= tol:
            if verbose:
                reason = "no label changed" if step.settled else f"center shift {shift} within tolerance {tol}"
                print(f"Converged at iteration {iteration}: {reason}.")
            break
    labels, inertia, clusters = data.finish(centres)
    return Run(labels, inertia, centres, iteration, clusters)
