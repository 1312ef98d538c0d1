"""k-means on the digits, its seeding and its loop written with the two kernels."""

from itertools import pairwise

import numpy as np

import npkernels as nk

CLUSTERS, STARTS, WANTED_PURITY = 10, 8, 0.7


def seeds(x, k, rng):
    """k rows of x (n, d), each drawn with probability proportional to its squared distance to those before it."""
    # D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", 2007
    centroids = x[rng.integers(len(x), size=1)]
    nearest = np.full(len(x), np.inf)
    while len(centroids) < k:
        nearest = np.minimum(nearest, nk.kmeans_assign(x, centroids[-1:], return_distances=True)[1])
        centroids = np.concatenate([centroids, x[rng.choice(len(x), size=1, p=nearest / nearest.sum())]])
    return centroids


def lloyd(x, centroids):
    """Assigns and averages until no label changes; returns (labels, the inertia of every pass)."""
    labels, inertias = None, []
    while True:
        before = labels
        labels, sums, counts, inertia = nk.kmeans_accumulate(x, centroids)
        inertias.append(inertia)
        if before is not None and (labels == before).all():
            return labels, inertias
        filled = counts > 0  # an empty cluster keeps its centre
        centroids = centroids.copy()
        centroids[filled] = sums[filled] / counts[filled, None]


def run(images, labels, rng):
    """Prints inertia and purity; returns a sentence for every check that fails."""
    x = images.reshape(len(images), -1).astype(np.float32)
    print(f"k-means: {len(x)} digits of {x.shape[1]} pixels, {CLUSTERS} clusters, the best of {STARTS} starts.\n")
    results, failures = [], []
    for start in range(STARTS):
        clusters, inertias = lloyd(x, seeds(x, CLUSTERS, rng))
        results.append((inertias[-1], clusters))
        print(f"start {start + 1}   inertia {inertias[0]:12.1f} -> {inertias[-1]:12.1f} in {len(inertias):2} passes")
        if any(later > earlier * (1 + 1e-5) for earlier, later in pairwise(inertias)):
            failures.append(f"the inertia of k-means went up during start {start + 1}")
    inertia, clusters = min(results, key=lambda result: result[0])
    pairs = np.zeros((CLUSTERS, 10), int)
    np.add.at(pairs, (clusters, labels), 1)
    purity = pairs.max(1).sum() / len(x)
    print(f"best      inertia {inertia:12.1f}, purity {purity:.2%} (images in a cluster of mostly their own digit)")
    if purity < WANTED_PURITY:
        failures.append(f"the purity of the clusters is {purity:.2%}, less than {WANTED_PURITY:.0%}")
    return failures
