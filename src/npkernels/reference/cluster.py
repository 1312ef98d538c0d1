"""k-means."""

import math

import numpy as np

from ._common import blocks, quiet


@quiet
def kmeans_assign(x, centroids, *, return_distances=False):
    """x (n, d), centroids (k, d) -> labels (n,) int32 of the nearest centroid, and the squared distances (n,)."""
    # |x - c|^2 - |x - m|^2 = |c'|^2 - 2 x'.c' with x' = x - m, c' = c - m, m the mean of the centroids: one product
    # a block of rows. Scores within the rounding error of the smallest count as ties; the lowest index wins them.
    mean = centroids.mean(0)
    centred = centroids - mean
    norms = (centred * centred).sum(1)
    rounding = 4 * (x.shape[1] + 16) * np.finfo(x.dtype).eps
    labels, distances = np.empty(len(x), np.int32), np.empty(len(x), x.dtype)
    for some in blocks(len(x), (len(centroids) + x.shape[1]) * x.itemsize):
        rows = x[some] - mean
        scores = rows @ (-2 * centred.T) + norms
        limit = scores.min(1) + rounding * ((rows * rows).sum(1) + norms.max())
        labels[some] = (scores <= limit[:, None]).argmax(1)
        if return_distances:
            distances[some] = ((x[some] - centroids[labels[some]]) ** 2).sum(1)
    return (labels, distances) if return_distances else labels


def kmeans_accumulate(x, centroids, *, sample_weight=None):
    """(labels (n,) int32, sums (k, d) float64, counts (k,) float64, inertia) of one pass over x (n, d)."""
    # sums_j = sum of w_i x_i and counts_j = sum of w_i over label i = j; inertia = sum of w_i |x_i - c_label|^2
    k = len(centroids)
    labels, distances = kmeans_assign(x, centroids, return_distances=True)
    weight = np.ones(len(x)) if sample_weight is None else sample_weight.astype(np.float64)
    sums = np.stack([np.bincount(labels, weight * column, minlength=k) for column in x.T], axis=1)
    return labels, sums, np.bincount(labels, weight, minlength=k), float(weight @ distances.astype(np.float64))


def kmeans_plus_plus(x, k, *, rng, sample_weight=None):
    """k rows of x (n, d) by greedy k-means++."""
    # Candidates are drawn with probability proportional to weight * squared distance to the centroids so far; the one
    # that leaves the smallest sum of these products stays.
    weight = np.ones(len(x)) if sample_weight is None else sample_weight.astype(np.float64)
    trials = 2 + int(math.log(k))
    first, *draws = rng.random(1 + (k - 1) * trials)
    chosen, nearest = [_draw(weight, first)], np.full(len(x), np.inf)
    for u in np.reshape(draws, (k - 1, trials)):
        nearest = np.minimum(nearest, _squared_distances(x, x[chosen[-1]]))
        potential = weight * nearest
        candidates = [_draw(potential if potential.any() else weight, one) for one in u]
        left = [(weight * np.minimum(nearest, _squared_distances(x, x[i]))).sum() for i in candidates]
        chosen.append(candidates[int(np.argmin(left))])
    return x[chosen]


def _draw(share, u):
    # The first index up to which the shares add up to more than u times all of them; never one of share 0.
    total = np.cumsum(share)
    return min(int(np.searchsorted(total, u * total[-1], side="right")), int(np.flatnonzero(share)[-1]))


def _squared_distances(x, point):
    return ((x.astype(np.float64) - point.astype(np.float64)) ** 2).sum(1)
