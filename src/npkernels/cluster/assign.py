"""k-means: nearest centroids, the sums of their samples, and seeding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .. import _arguments as check
from .._kernels import cluster as _cluster, distance as _distance

if TYPE_CHECKING:
    from .._typing import F, FloatLike, Int, NDArray

# Sums over samples are split into a part for every so many samples, at most so many parts of so many bytes in all.
# Where fewer fit, features are shared out instead, at least so many at a time. All of it depends on sizes only.
PART_SAMPLES, PARTS, PARTS_BYTES, RANGE_FEATURES = 4096, 32, 16 << 20, 64


def _operands(x: object, centroids: object) -> tuple[NDArray[Any], NDArray[Any]]:
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
    return x, np.ascontiguousarray(centroids)


def _refuse(x, centroids):
    """Raises if an input is not finite; scores may also overflow where both are."""
    if not np.isfinite(centroids).all():
        raise ValueError("centroids must be finite, got NaN or inf")
    check.finite_rows("x", x)


@overload
def kmeans_assign(
    x: FloatLike[F], centroids: FloatLike[F], *, return_distances: Literal[False] = ...
) -> NDArray[np.int32]: ...
@overload
def kmeans_assign(
    x: FloatLike[F], centroids: FloatLike[F], *, return_distances: Literal[True]
) -> tuple[NDArray[np.int32], NDArray[F]]: ...
def kmeans_assign(
    x: FloatLike[F], centroids: FloatLike[F], *, return_distances: bool = False
) -> NDArray[np.int32] | tuple[NDArray[np.int32], NDArray[F]]:
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
    n = x.shape[0]
    labels = np.empty(n, np.int32)
    distances = np.empty(n, x.dtype) if check.flag("return_distances", return_distances) else None
    if not _cluster.assign(x, centroids, labels, distances):
        _refuse(x, centroids)
    return labels if distances is None else (labels, distances)


def kmeans_accumulate(
    x: FloatLike[F], centroids: FloatLike[F], *, sample_weight: FloatLike[F] | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], float]:
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
    Sums run in float64 and in an order that depends on sizes only, with an error of at most n eps of float64 in n
    terms; the inertia is a sum of distances of the dtype of `x`, each with an error of at most
    ``(min(d, 8192) + d / 8192 + 4) eps``. Sums and counts of several blocks of a larger data set add up;
    ``sums / counts[:, None]`` are the next centroids.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.kmeans_accumulate(np.array([[0.0], [1.0], [5.0]]), np.array([[0.0], [4.0]]))
    (array([0, 0, 1], dtype=int32), array([[1.],
           [5.]]), array([2., 1.]), 2.0)
    """
    x, centroids = _operands(x, centroids)
    weights = None if sample_weight is None else check.weights(sample_weight, len(x), x)
    labels, totals = np.empty(len(x), np.int32), Totals(x, weights, len(centroids))
    if not totals.take(centroids, labels, inertia=True):
        _refuse(x, centroids)
    return labels, totals.sums(), totals.counts(), totals.inertia()


class Totals:
    """What samples contribute to the next centroids; the memory for it is kept from one step of k-means to the next.
    Weights are float64, None for 1."""

    def __init__(self, x, weights, k):
        (n, d), self.x, self.weights = x.shape, x, weights
        wanted = max(1, min(-(-n // PART_SAMPLES), PARTS))
        parts = max(1, min(wanted, PARTS_BYTES // (8 * k * d)))
        self._ranges = max(1, min(wanted // parts, d // RANGE_FEATURES))
        self._sums, self._counts = check.empty((parts, k, d), np.float64), np.empty((parts, k))
        self._inertia = np.empty(parts)
        self._distances = None

    def take(self, centroids, labels, *, sums=True, inertia=False):
        """Fills labels with the nearest centroids, which have the dtype of x or are float64, and the totals that are
        wanted. Returns whether everything is finite; if not, centroids, samples or distances are not, and where
        centroids are not nothing has been filled."""
        ranges = self._ranges if sums else 1
        if ranges > 1 and inertia and self._distances is None:
            self._distances = np.empty(len(self.x), self.x.dtype)
        return _cluster.accumulate(
            self.x,
            centroids,
            self.weights,
            labels,
            self._sums if sums else None,
            self._counts,
            self._inertia if inertia else None,
            ranges,
            self._distances if ranges > 1 and inertia else None,
        )

    def sums(self):
        return self._sums.sum(0)

    def counts(self):
        return self._counts.sum(0)

    def inertia(self):
        return float(self._inertia.sum())


def uniform(weights):
    """(None, weight) where all samples have the same weight, which changes the inertia only, else (weights, 1)."""
    if weights is None or weights.min() < weights.max():
        return weights, 1.0
    return None, float(weights[0])


def kmeans_plus_plus(
    x: FloatLike[F], k: Int, *, rng: np.random.Generator, sample_weight: FloatLike[F] | None = None
) -> NDArray[F]:
    """Samples that are good first centroids for k-means, by greedy k-means++.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        One sample per row; any strides, read in place.
    k : int
        From 1 to n.
    rng : numpy.random.Generator
    sample_weight : (n,) array, dtype of `x`, optional
        Not negative and not all zero. A sample of weight 0 is never chosen.

    Returns
    -------
    centroids : (k, d) array, dtype of `x`
        Rows of `x`. There are equal ones if `x` has fewer than `k` distinct rows.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or they differ, `k` is no int or `rng` no Generator.
    ValueError
        If a shape does not match, there is no feature, `k` is not in range, a value is NaN or inf, or the weights are
        negative or all zero.

    Notes
    -----
    The first centroid is drawn with probability in proportion to its weight. For every other one ``2 + int(log(k))``
    candidates are drawn, with probability in proportion to their weight times their squared distance to the nearest
    centroid so far; the one that leaves the smallest weighted sum of squared distances stays. `x` is read once for each
    centroid.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.array([[0.0], [0.0], [0.0], [9.0]])
    >>> sorted(nk.kmeans_plus_plus(x, 2, rng=np.random.default_rng(0)).ravel().tolist())
    [0.0, 9.0]
    """
    x = check.real("x", x)
    check.rank("x", x, 2, "(n, d)")
    n, d = x.shape
    k = check.integer("k", k, 1)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {type(rng).__name__}")
    if d == 0:
        raise ValueError(f"x must have at least one feature, got {x.shape}")
    if k > n:
        raise ValueError(f"k must be at most the number of samples, {n}, got {k}")
    chosen, finite = plus_plus(x, k, rng, None if sample_weight is None else check.weights(sample_weight, n, x))
    if not finite:
        _refuse(x, x[:0])
    return x[chosen]


def plus_plus(x, k, rng, weights):
    """The rows of x that greedy k-means++ chooses, and whether all distances are finite; weights as those of Totals."""
    n, trials, (weights, _) = len(x), 2 + int(math.log(k)), uniform(weights)
    chosen, nearest = np.empty(k, np.intp), np.full(n, np.inf, x.dtype)
    finite = _distance.plus_plus(x, weights, rng.random(1 + (k - 1) * trials), trials, nearest, chosen)
    return chosen, finite and k > 1
