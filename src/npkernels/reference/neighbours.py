"""Distances between rows, the nearest ones, silhouettes."""

import numpy as np

from ._common import quiet


@quiet
def pairwise_distances(x, y=None, *, metric="sqeuclidean"):
    """x (n, d), y (m, d) -> (n, m) by the metric."""
    other = x if y is None else y
    if metric == "dot":
        return x @ other.T
    if metric == "cosine":
        # 1 - x.y / (|x| |y|), a row of zeros being orthogonal to all others but itself
        distances = 1 - _unit_rows(x) @ _unit_rows(other).T
        if y is None:
            np.fill_diagonal(distances, 0)
        return np.clip(distances, 0, 2)
    squares = np.stack([((row - other) ** 2).sum(1) for row in x]) if len(x) else np.empty((0, len(other)), x.dtype)
    return np.sqrt(squares) if metric == "euclidean" else squares


def _unit_rows(x):
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(length == 0, 1, length)


def nearest(x, y, k, *, metric="sqeuclidean"):
    """The k rows of y (m, d) nearest to each row of x (n, d) -> distances (n, k), indices (n, k) int32."""
    distances = pairwise_distances(x, y, metric=metric)
    order = np.argsort(-distances if metric == "dot" else distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, 1), order.astype(np.int32)


def silhouette_score(x, labels, *, sample_weight=None):
    """The mean silhouette of samples x (n, d) with labels (n,), each as often as its weight says."""
    # (b - a) / max(a, b): a the mean distance to the other samples of the own cluster, b the least mean distance to
    # those of another one
    weights = np.ones(len(x)) if sample_weight is None else sample_weight.astype(np.float64)
    x, labels, weights = x[weights > 0], labels[weights > 0], weights[weights > 0]
    distances = pairwise_distances(x, metric="euclidean").astype(np.float64)
    silhouettes = np.zeros(len(x))
    for i, row in enumerate(weights * distances):
        sums = {c: (row[labels == c].sum(), weights[labels == c].sum()) for c in np.unique(labels)}
        own, size = sums.pop(labels[i])
        if size > 1:
            a, b = own / (size - 1), min(total / count for total, count in sums.values())
            silhouettes[i] = (b - a) / max(a, b) if max(a, b) > 0 else 0
    return float(np.average(silhouettes, weights=weights))
