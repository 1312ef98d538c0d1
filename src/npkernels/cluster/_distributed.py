"""KMeans on blocks of samples, on the workers of dask: its twin in memory is `_lloyd.Samples`.

Imported for dask arrays only. What a task returns is a function of its block and of the centres, and workers keep
nothing from one iteration to the next: where a worker dies, dask runs its tasks again elsewhere, with the same outcome.
"""

import functools
import numbers

import dask
import dask.array as da
import numpy as np

from .._sklearn import estimator as base
from ..runtime import threads
from ._lloyd import (
    Samples,
    Step,
    distances as all_distances,
    farthest,
    lloyd,
    nearest,
    refuse,
    relocate,
    squared_distances,
)
from .assign import Totals, plus_plus

FAN_IN = 8  # partial results that a task of a tree puts together
# k-means||: so many rounds, each of which draws so many candidates for a centre; then iterations on candidates alone.
# These start as well as greedy k-means++ in memory, also where clusters are too small for a uniform sample to hit.
ROUNDS, CANDIDATES, ITERATIONS = 3, 2, 30


def alone(function, *args, **options):
    """A task takes one thread, as dask expects: a worker has as many tasks at once as it has threads."""
    with threads(1):
        return function(*args, **options)


def task(function, *args):
    return dask.delayed(alone, pure=False)(function, *args)


def as_block(name, block, place, dtype, shape):
    """Block `place` of X or the weights as the fit in memory would take it. It need not be what dask has been told:
    then it is converted where that loses nothing, and refused by its name elsewhere; None in `shape` is any size."""
    name = f"block {place} of {name}"
    array = base.as_real(name, block)
    if array.ndim != len(shape) or any(b not in (None, a) for a, b in zip(array.shape, shape, strict=True)):
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise ValueError(f"{name} must have shape ({wanted}), which is what dask has been told, got {array.shape}")
    if not np.can_cast(array.dtype, dtype):
        raise TypeError(f"{name} must be {dtype}, which is what dask has been told, got {array.dtype}")
    return array.astype(dtype, copy=False)


def on_block(function, told, block, *args):
    """A function of a checked block."""
    return function(as_block("X", block, *told), *args)


def on_lazy_block(block, function, told, centres, name, block_id):
    dtype, features = told
    return alone(function, as_block("X", block, block_id[0], dtype, (None, features)), centres, name)


def tree(combine, parts):
    """What remains of `parts` when `combine`, which takes a list, is called on neighbours until there is one."""
    while len(parts) > 1:
        parts = [task(combine, parts[i : i + FAN_IN]) for i in range(0, len(parts), FAN_IN)]
    return parts[0].compute()


def rows_of(x):
    """The dask array x in blocks of whole rows."""
    return x if len(x.chunks[1]) == 1 else x.rechunk({1: -1})


# ---- Tasks: functions of a block of samples, of its weights (None for 1) and of centres; and what adds them up -------


def moments(x, weights, name):
    """Number of samples, mean, and the sum of their squared distances to it."""
    base.require_finite(x, "X", name)
    mean = x.mean(0, dtype=np.float64) if len(x) else np.zeros(x.shape[1])
    return len(x), mean, nearest(x, None, mean[None], name)[1]


def all_moments(parts):
    """The moments of blocks together (T. F. Chan, G. H. Golub, R. J. LeVeque, 1979)."""
    counts, means, squares = (np.array(column) for column in zip(*parts, strict=True))
    mean = counts @ means / max(1, counts.sum())
    return counts.sum(), mean, squares.sum() + counts @ np.square(means - mean).sum(1)


def block_of_weights(block, told):
    return np.require(as_block("sample_weight", block, *told), requirements="CA")


def extremes(weights):
    """The least and the largest weight, NaN if there is one."""
    return np.array([weights.min(), weights.max()]) if len(weights) else weights


def gathered(x, weights, centres, name, inertia):
    """Sums, counts and inertia of a step, the last if wanted."""
    totals = Totals(x, weights, len(centres))
    if not totals.take(centres, np.empty(len(x), np.int32), inertia=inertia):
        refuse(x, centres, name)
    return totals.sums(), totals.counts(), totals.inertia() if inertia else 0.0


def membership(x, weights, centres, name):
    """How many samples each centre has, what they weigh, and the inertia."""
    found, inertia = nearest(x, weights, centres, name)
    members = np.bincount(found, minlength=len(centres))
    return members, members if weights is None else np.bincount(found, weights, len(centres)), inertia


def added(parts):
    return [sum(column) for column in zip(*parts, strict=True)]


def meetings(x, weights, centres, other, name):
    """(k, k): whether a sample has this number by `centres` and that by `other`."""
    met = np.zeros((len(centres), len(other)), bool)
    met[nearest(x, None, centres, name)[0], nearest(x, None, other, name)[0]] = True
    return met


def farthest_of_all(distances, number):
    """(places, distances) of the largest of the distances in all blocks."""
    distances = np.concatenate(distances)
    places = farthest(distances, number)
    return places, distances[places]


def picked(x, weights, rows):
    return x[rows], np.ones(len(rows)) if weights is None else weights[rows]


def drawn(x, weights, candidates, name, first, number, key):
    """(times, samples): those whose time comes first, in order of time.

    Times are exponential, with a rate of weight times squared distance to the nearest candidate. So the first of all
    are a draw without replacement in proportion to the rates (P. S. Efraimidis, P. G. Spirakis, 2006). Random numbers
    are counted by the place `first` of the block in the data: the draw does not depend on blocks.
    """
    rates = np.ones(len(x)) if weights is None else weights
    if candidates is not None:
        rates = rates * squared_distances(x, weights, candidates, name)
    numbers = np.random.Generator(np.random.Philox(key=key, counter=first // 4))  # a count stands for 4 numbers
    numbers.random(first % 4)
    waits, rows = numbers.standard_exponential(len(x), method="inv"), np.flatnonzero(rates > 0)
    with np.errstate(over="ignore"):
        times = waits[rows] / rates[rows]
    order = times.argsort(kind="stable")[:number]
    return times[order], x[rows[order]]


def first_drawn(parts, number):
    times, samples = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = times.argsort(kind="stable")[:number]
    return times[order], samples[order]


# ---- The fit ---------------------------------------------------------------------------------------------------------


class Blocks:
    """Samples in blocks, with the methods of `_lloyd.Samples`."""

    def __init__(self, x, weights, k, name):
        if np.isnan(x.shape[0]):
            x = x.copy().compute_chunk_sizes()  # the copy, because it changes the array
        self.x, self.k, self.name = rows_of(x), k, name
        self._blocks = list(self.x.to_delayed().ravel())
        self._told = [(i, self.x.dtype, (rows, self.x.shape[1])) for i, rows in enumerate(self.x.chunks[0])]
        self._firsts = np.cumsum([0, *self.x.chunks[0]])
        self._weights, self._unit = [None] * len(self._blocks), 1.0
        if weights is not None:
            self._take_weights(weights)

    def __len__(self):
        return self.x.shape[0]

    def _take_weights(self, weights):
        sizes = self.x.chunks[0]
        if isinstance(weights, numbers.Number):
            weights = da.full(len(self), float(weights), chunks=(sizes,))
        in_memory = not base.is_dask_array(weights)
        if in_memory:
            weights = base.as_real("sample_weight", weights)
        else:
            base.as_real("sample_weight", weights._meta)
            if np.isnan(weights.size):
                weights = weights.copy().compute_chunk_sizes()
        base.require_one_each(weights, len(self))
        weights = da.from_array(weights, chunks=(sizes,)).persist() if in_memory else weights.rechunk((sizes,))
        self.weights = weights  # delayed blocks do not keep alive what was persisted
        told = [(i, np.dtype(np.float64), (rows,)) for i, rows in enumerate(sizes)]
        blocks = [task(block_of_weights, *pair) for pair in zip(weights.to_delayed(), told, strict=True)]
        limits = tree(np.concatenate, [task(extremes, block) for block in blocks])
        base.require_weights(limits, self.name)
        if limits.min() < limits.max():
            self._weights = blocks
        else:  # which changes the inertia only
            self._unit = float(limits[0])

    def _task(self, i, function, *args):
        """A task for block i and its weights."""
        return task(on_block, function, self._told[i], self._blocks[i], self._weights[i], *args)

    def _tasks(self, function, *args):
        """A task for each block; what several blocks need travels once to each worker."""
        args = [dask.delayed(value) if isinstance(value, np.ndarray) else value for value in args]
        return [self._task(i, function, *args) for i in range(len(self._blocks))]

    def _drawn(self, number, candidates, rng):
        shared = None if candidates is None else dask.delayed(candidates)
        key = int(rng.integers(2**63))
        tasks = [
            self._task(i, drawn, shared, self.name, int(first), number, key)
            for i, first in enumerate(self._firsts[:-1])
        ]
        return tree(functools.partial(first_drawn, number=number), tasks)[1]

    def _centres(self, samples):
        """k of them; where there are fewer they come again."""
        return np.resize(samples, (self.k, self.x.shape[1]))

    def random(self, rng):
        return self._centres(self._drawn(self.k, None, rng))

    def plus_plus(self, rng):
        """Centres by k-means||, the parallel form of k-means++ (B. Bahmani et al., "Scalable k-means++", 2012): rounds
        that each draw many candidates, then k-means++ among candidates, each with the weight of its samples."""
        candidates = self._drawn(1, None, rng)
        for _ in range(ROUNDS):
            new = self._drawn(CANDIDATES * self.k, candidates, rng)
            candidates = np.concatenate([candidates, new])
        if len(candidates) <= self.k:
            return self._centres(candidates)
        weights = tree(added, self._tasks(membership, candidates, self.name))[1].astype(np.float64)
        chosen, _ = plus_plus(candidates, self.k, rng, weights)
        start = np.ascontiguousarray(candidates[chosen])
        return lloyd(Samples(candidates, weights, self.k, self.name), start, ITERATIONS, 0.0).centres

    def mean_variance(self):
        return tree(all_moments, self._tasks(moments, self.name))[2] / self.x.size

    def begin(self):
        """Nothing is kept between steps."""

    def step(self, centres, inertia):
        sums, counts, inertia = tree(added, self._tasks(gathered, centres, self.name, inertia))
        empty = np.flatnonzero(counts <= 0)
        if len(empty):
            sums, counts = sums.copy(), counts.copy()  # a result may be the memory of a task
            relocate(sums, counts, empty, *self._farthest(len(empty), centres))
        # Where no label changes, sums are the same to the bit, and centres stand still: that ends a run too.
        return Step(sums, counts, inertia * self._unit, settled=False)

    def _farthest(self, number, centres):
        """(samples, weights, labels, distances) of those farthest from their centres. One task holds the distances of
        all samples: the order of the farthest in memory depends on all of them."""
        parts = self._tasks(squared_distances, centres, self.name)
        places, distances = task(farthest_of_all, parts, number).compute()
        homes = self._firsts.searchsorted(places, side="right") - 1
        samples, weights = np.empty((number, self.x.shape[1]), self.x.dtype), np.empty(number)
        wanted = {home: np.flatnonzero(homes == home) for home in np.unique(homes)}
        picks = [self._task(home, picked, places[which] - self._firsts[home]) for home, which in wanted.items()]
        for which, pick in zip(wanted.values(), dask.compute(*picks), strict=True):
            samples[which], weights[which] = pick
        return samples, weights, nearest(samples, None, centres, self.name)[0], distances

    def finish(self, centres):
        members, _, inertia = tree(added, self._tasks(membership, centres, self.name))
        return labels(self.x, centres, self.name), float(inertia) * self._unit, np.count_nonzero(members)

    def same(self, run, other):
        met = tree(np.logical_or.reduce, self._tasks(meetings, run.centres, other.centres, self.name))
        return met.sum(1).max() <= 1


def labels(x, centres, name):
    """The numbers of the nearest centres: a dask array that is computed when it is needed."""
    # as a column first, because dask puts blocks together before it drops an axis, also those that have none
    return on_lazy_blocks(numbers_of_nearest, x, centres, name, 1, np.int32)[:, 0]


def numbers_of_nearest(x, centres, name):
    return nearest(x, None, centres, name)[0][:, None]


def distances(x, centres, name):
    """The distances to all centres: a dask array that is computed when it is needed."""
    return on_lazy_blocks(all_distances, x, centres, name, len(centres), x.dtype)


def on_lazy_blocks(function, x, centres, name, columns, dtype):
    x = rows_of(x)
    options = {"function": function, "told": (x.dtype, x.shape[1]), "centres": centres, "name": name}
    found = functools.partial(on_lazy_block, **options)
    return x.map_blocks(found, chunks=(x.chunks[0], (columns,)), meta=np.empty((0, 0), dtype))
