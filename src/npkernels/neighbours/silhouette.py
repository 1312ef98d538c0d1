"""How well clusters are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _arguments as check
from .._kernels import pairwise as _pairwise
from .pairwise import unit_of

if TYPE_CHECKING:
    from .._typing import FloatLike, NDArray


def silhouette_score(
    x: FloatLike[Any], labels: NDArray[np.integer[Any]], *, sample_weight: FloatLike[Any] | None = None
) -> float:
    """The mean silhouette of all samples.

    Parameters
    ----------
    x : (n, d) array of float32 or float64
        One sample per row; any strides, read in place.
    labels : (n,) array of integers
        The cluster of each sample.
    sample_weight : (n,) array, dtype of `x`, optional
        How often a sample counts: one of weight 2 is as good as two samples, one of weight 0 as none. Not negative.

    Returns
    -------
    score : float
        From -1 to 1.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or the two differ, or labels are no integers.
    ValueError
        If a shape does not match, a value is NaN or inf, weights are negative or all zero, or the number of clusters is
        not from 2 to that of samples, which is the sum of the weights, less one.

    Notes
    -----
    The silhouette of a sample is ``(b - a) / max(a, b)``, where a is its mean Euclidean distance to the other samples
    of its cluster and b the least mean distance to those of another one; 0 if it is alone in its cluster. The matrix of
    distances is never stored. Distances are as in `pairwise_distances`; their sums run in float64, with the sums of up
    to 8 of them in the dtype of `x`.

    References
    ----------
    .. [1] P. J. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis",
       Journal of Computational and Applied Mathematics 20, 1987.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> nk.silhouette_score(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1]))
    0.746031746031746
    """
    x = check.real("x", x)
    check.rank("x", x, 2, "(n, d)")
    labels = check.integers("labels", labels)
    check.shape("labels", labels, (len(x),))
    weights = np.ones(len(x)) if sample_weight is None else check.weights(sample_weight, len(x), x)
    check.finite_rows("x", x)
    counted = np.flatnonzero(weights > 0)
    _, clusters = np.unique(labels[counted], return_inverse=True)
    clusters = clusters.reshape(-1)
    sizes = np.bincount(clusters, weights[counted])
    if not 2 <= len(sizes) <= weights.sum() - 1:
        given = f"of {weights.sum():g} samples" + (" by sample_weight" if sample_weight is not None else "")
        raise ValueError(f"Number of labels is {len(sizes)}. Valid values are 2 to n_samples - 1 (inclusive), {given}")
    order = np.argsort(clusters, kind="stable")
    clusters, counted = clusters[order].astype(np.int32), counted[order]
    weights = weights[counted]
    ends = np.where(np.append(clusters[1:] != clusters[:-1], True), clusters, -1).astype(np.int32)
    own, other = np.empty((2, len(order)))
    x = x[counted]
    unit = unit_of(x)  # silhouettes are ratios
    _pairwise.sums(np.ldexp(x, -unit) if unit else x, weights.astype(x.dtype), ends, clusters, 1 / sizes, own, other)
    with np.errstate(invalid="ignore", divide="ignore"):
        own /= sizes[clusters] - 1
        silhouettes = np.nan_to_num((other - own) / np.maximum(own, other))
    silhouettes[sizes[clusters] <= 1] = 0
    return float(weights @ silhouettes / weights.sum())
