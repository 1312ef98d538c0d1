"""k-means: nearest centroids and the sums of their samples."""

import math

import numpy as np

from . import _arguments as check
from . import _cluster

# A sum over samples is split into parts of at least so many samples, at most so many parts of so many bytes in all.
PART_SAMPLES, PARTS, PARTS_BYTES = 4096, 32, 16 << 20


def _operands(x, centroids):
    x = check.real("x", x)
    centroids = check.real("centroids", centroids, x)
    check.rank("x", x, 2, "(n, d)")
    k = centroids.shape[0] if centroids.ndim == 2 else 0
    if centroids.ndim != 2 or centroids.shape[1] != x.shape[1]:
        raise ValueError(f"centroids must have shape (k, {x.shape[1]}), got {centroids.shape}")
    if x.shape[1] == 0 or k == 0:
        raise ValueError(f"x and centroids must have at least one feature and one centroid, got {centroids.shape}")
    if k > 2**31 - 1:
        raise ValueError(f"centroids must be at most 2**31 - 1, got {k}")
    if not np.isfinite(centroids).all():
        raise ValueError("centroids must be finite, got NaN or inf")
    return x, np.ascontiguousarray(centroids)


def _centre(centroids):
    """m, c - m and -|c - m|^2 / 2 in the dtype of the centroids.

    m is their mean, rounded to a power of 2 near an eighth of their spread: integer data stays exactly representable
    after the subtraction, so that exact ties remain ties.
    """
    mean = centroids.mean(0, dtype=np.float64)
    spread = abs(centroids - mean).max()
    if 0 < spread < math.inf:
        step = math.ldexp(1.0, max(math.frexp(spread)[1] - 4, -1000))
        mean = np.round(mean / step) * step
    mean = mean.astype(centroids.dtype)
    centred = centroids - mean
    return mean, centred, (-0.5 * np.square(centred, dtype=np.float64).sum(1)).astype(centroids.dtype)


def _assign(x, centroids):
    n = len(x)
    labels, best = np.full(n, -1, np.int32), np.full(n, -np.inf, x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, centred, start = _centre(centroids)
    _cluster.assign(x, mean, centred, start, best, labels)
    odd = ~np.isfinite(best)
    if odd.any():  # NaN, inf, or distances that overflow
        rows = np.flatnonzero(odd)
        finite = np.isfinite(x[rows]).all(1)
        if not finite.all():
            raise ValueError(f"x must be finite, got NaN or inf in row {rows[~finite][0]}")
        labels[labels < 0] = 0
    return labels


def kmeans_assign(x, centroids, *, return_distances=False):
    """The nearest centroid of every sample.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        One sample per row; any strides, read in place.
    centroids : (k, d) array, dtype of `x`
    return_distances : bool
        Return the squared distances too.

    Returns
    -------
    labels : (n,) array of int32
        Of equal distances the lowest index wins.
    distances : (n,) array, dtype of `x`
        Squared Euclidean distances, computed from the differences of the winning pairs.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or the two differ.
    ValueError
        If a shape does not match, there is no feature or no centroid, or a value is NaN or inf.

    Notes
    -----
    The nearest centroid has the largest ``(x - m).(c - m) - |c - m|^2 / 2``, m being near the mean of the centroids: a
    product, of which only the best of each row is kept. The distance chosen exceeds the smallest by at most
    ``4 (d + 16) eps (|x - m|^2 + max |c - m|^2)``: a common offset costs nothing. A label does not depend on the
    other samples.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.kmeans_assign(np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0]]), return_distances=True)
    (array([0, 0, 1], dtype=int32), array([0., 1., 1.]))
    """
    x, centroids = _operands(x, centroids)
    labels = _assign(x, centroids)
    if not return_distances:
        return labels
    distances = np.empty(len(x), x.dtype)
    _cluster.squared_distances(x, centroids, labels, distances)
    return labels, distances


def kmeans_accumulate(x, centroids, *, sample_weight=None):
    """What a block of samples contributes to a step of k-means.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        One sample per row; any strides, read in place.
    centroids : (k, d) array, dtype of `x`
    sample_weight : (n,) array, dtype of `x`, optional
        Not negative and not all zero.

    Returns
    -------
    labels : (n,) array of int32
        As `kmeans_assign`.
    sums : (k, d) array of float64
        Weighted sums of the samples of each centroid.
    counts : (k,) array of float64
        Sums of their weights.
    inertia : float
        Weighted sum of the squared distances.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or they differ.
    ValueError
        If a shape does not match, there is no feature or no centroid, a value is NaN or inf, or the weights are
        negative or all zero.

    Notes
    -----
    Sums run in float64 and in an order that depends on sizes only. Sums and counts of several blocks of a larger data
    set add up; ``sums / counts[:, None]`` are the next centroids.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.kmeans_accumulate(np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0]]))
    (array([0, 0, 1], dtype=int32), array([[1.],
           [5.]]), array([2., 1.]), 2.0)
    """
    x, centroids = _operands(x, centroids)
    (n, d), k = x.shape, len(centroids)
    weights = None if sample_weight is None else _weights(sample_weight, n, x)
    labels = _assign(x, centroids)
    parts = max(1, min(-(-n // PART_SAMPLES), PARTS, PARTS_BYTES // (8 * k * d)))
    sums, counts, inertia = check.empty((parts, k, d), np.float64), np.empty((parts, k)), np.empty(parts)
    _cluster.accumulate(x, centroids, labels, weights, sums, counts, inertia)
    return labels, sums.sum(0), counts.sum(0), float(inertia.sum())


def _weights(sample_weight, n, x):
    weights = check.vector("sample_weight", sample_weight, n, x)
    if not np.isfinite(weights).all():
        raise ValueError("sample_weight must be finite, got NaN or inf")
    if n and weights.min() < 0:
        raise ValueError(f"sample_weight must not be negative, got {weights.min()}")
    if n and weights.max() == 0:
        raise ValueError("sample_weight must not be zero for all samples")
    return weights.astype(np.float64)
