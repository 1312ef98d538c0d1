"""Random valid calls of distances, nearest rows and silhouettes."""

import numpy as np

import npkernels as nk

from .draw import Call, chance, pick, positive, size, values

METRICS = "sqeuclidean", "euclidean", "cosine", "dot"


def pairwise_distances(rng, dtype):
    d = min(40, size(rng))
    x = values(rng, (size(rng), d), dtype)
    others = () if chance(rng, 0.3) else (values(rng, (size(rng), d), dtype),)
    return Call(nk.pairwise_distances, (x, *others), {"metric": pick(rng, *METRICS)})


def nearest(rng, dtype):
    m, d = size(rng, 1), min(40, size(rng, 1))
    x, y = values(rng, (size(rng), d), dtype, finite=True), values(rng, (m, d), dtype, finite=True)
    k = int(rng.integers(1, m, endpoint=True))
    return Call(nk.nearest, (x, y, k), {"metric": pick(rng, *METRICS)})


def score(x, labels, *, sample_weight=None):
    """The silhouette, -2 where there are too few clusters: layouts that repeat labels may leave one."""
    try:
        return nk.silhouette_score(x, labels, sample_weight=sample_weight)
    except ValueError as error:
        if "Number of labels" not in str(error):
            raise
        return -2.0


def silhouette_score(rng, dtype):
    n = size(rng, 3)
    x = values(rng, (n, min(40, size(rng))), dtype, finite=True)
    labels = rng.permutation(np.append([0, 1], rng.integers(0, 2, n - 2)))
    weights = {"sample_weight": 1 + positive(rng, n, dtype)} if chance(rng, 0.5) else {}
    return Call(score, (x, labels.astype(pick(rng, np.int64, np.int32, np.uint8))), weights)


CALLS = {draw.__name__: draw for draw in (pairwise_distances, nearest, silhouette_score)}
