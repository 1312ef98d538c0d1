"""The algorithms of PCA: means, singular values and vectors of centred samples, and how many of them there are."""

import math

import numpy as np

from .._kernels import gram as _gram
from .._sklearn import estimator as base
from ..linear import matmul

# Rows are centred so many bytes at a time.
BLOCK_BYTES = 4 << 20
# The sum over rows of a product is split into parts of at least so many, at most so many parts of so many bytes in all;
# where fewer fit, columns are shared out, at least so many at a time. All of it depends on sizes only.
PART_ROWS, PARTS, PARTS_BYTES, RANGE_COLUMNS = 1024, 16, 32 << 20, 192
SOME_ROWS = 256  # rows whose mean is near that of all
OVERSAMPLES = 10  # directions beyond those wanted


def require_squares(squares, dtype):
    """Raises where sums of squares are not finite, though X is."""
    if not np.isfinite(squares).all():
        raise ValueError(f"Input X contains a value too large for its squares in {dtype!r}.")


def centred_blocks(x, mean):
    """(rows, x[rows] - mean) of blocks of rows; the memory of a block is used again for the next."""
    size = max(1, min(len(x), BLOCK_BYTES // (x.shape[1] * x.itemsize)))
    buffer = np.empty((size, x.shape[1]), x.dtype)
    for first in range(0, len(x), size):
        rows = slice(first, min(first + size, len(x)))
        yield rows, np.subtract(x[rows], mean, out=buffer[: rows.stop - first])


def product_with_itself(x, near=None):
    """(sum of e^T e, sum of e) over the rows e of x - near, (d, d) and (d,) float64; the second only with near."""
    n, d = x.shape
    parts = max(1, min(n // PART_ROWS, PARTS, PARTS_BYTES // (8 * d * d)))
    totals, sums = np.zeros((parts, d, d)), None if near is None else np.zeros((parts, d))
    _gram.triangle(x, near, sums, totals, max(1, min(PARTS // parts, d // RANGE_COLUMNS)))
    with np.errstate(over="ignore", invalid="ignore"):
        upper = np.triu(totals.sum(0))
        return upper + np.triu(upper, 1).T, None if sums is None else sums.sum(0)


def by_covariance(x):
    """(mean, singular values, right singular vectors) of the centred x, from the eigenvectors of its covariance."""
    n = len(x)
    with np.errstate(over="ignore", invalid="ignore"):
        near = np.ascontiguousarray(x[:: max(1, n // SOME_ROWS)]).mean(0)
    # with e = x - near: the sum of e e^T less n m m^T, m the mean of e, so that a common offset costs nothing
    total, sums = product_with_itself(x, near)
    if not np.isfinite(sums).all():
        base.require_finite(x, "X", "PCA")
    require_squares(total, x.dtype)
    shift = sums / n
    values, vectors = np.linalg.eigh(total - n * np.outer(shift, shift))
    return near + shift, np.sqrt(np.maximum(values[::-1], 0)), vectors[:, ::-1].T


def centred(x):
    """(mean, x - mean), C-contiguous. Blocks of rows are made contiguous first: one order of sums for all layouts."""
    sums, size = np.zeros(x.shape[1]), max(1, BLOCK_BYTES // (x.shape[1] * x.itemsize))
    with np.errstate(over="ignore", invalid="ignore"):
        for first in range(0, len(x), size):
            sums += np.ascontiguousarray(x[first : first + size]).sum(0, dtype=np.float64)
        mean = (sums / len(x)).astype(x.dtype)
        rest = np.subtract(x, mean, out=np.empty(x.shape, x.dtype))
    if not np.isfinite(sums).all():
        base.require_finite(x, "X", "PCA")
    return mean, rest


def by_gram(x):
    """The same where there are fewer samples than features, from the eigenvectors of the products of samples."""
    mean, rest = centred(x)
    total, _ = product_with_itself(rest.T)
    require_squares(total, x.dtype)
    _, vectors = np.linalg.eigh(total)
    # Directions of no variance have no image; orthogonalisation makes one up.
    images = matmul(rest.T, np.ascontiguousarray(vectors[:, ::-1], dtype=x.dtype))
    right, triangle = np.linalg.qr(images)
    values = abs(np.diagonal(triangle))
    order = np.argsort(-values, kind="stable")
    return mean, values[order], right.T[order]


def by_full_svd(x):
    mean, rest = centred(x)
    return mean, *np.linalg.svd(rest, full_matrices=False)[1:]


def randomized(x, k, rng):
    """(mean, k singular values and vectors of the centred x, sum of its squares): a random subspace, drawn to the large
    ones by power iterations. N. Halko, P. Martinsson, J. Tropp, "Finding structure with randomness", SIAM Review 53(2),
    2011, algorithms 4.4 and 5.1."""
    mean, a = centred(x)
    squares = sum(float(np.vdot(row, row)) for row in a)
    require_squares(squares, x.dtype)
    if len(a) < a.shape[1]:
        a = a.T
    size = min(k + OVERSAMPLES, *a.shape)
    basis = rng.standard_normal((a.shape[1], size)).astype(a.dtype)
    for _ in range(7 if k < 0.1 * min(a.shape) else 4):
        basis = np.linalg.qr(matmul(a.T, np.linalg.qr(matmul(a, basis))[0]))[0]
    basis = np.linalg.qr(matmul(a, basis))[0]
    left, values, right = np.linalg.svd(matmul(basis.T, a), full_matrices=False)
    if len(x) < x.shape[1]:
        right = matmul(basis, left).T
    return mean, values[:k], right[:k], squares


def log_gamma(values):
    return np.array([math.lgamma(value) for value in values])


def evidence(spectrum, rank, n):
    """The logarithm of the probability of n samples of covariance `spectrum` under a model of `rank` components.
    T. Minka, "Automatic choice of dimensionality for PCA", NIPS 2000, equation 77."""
    d = len(spectrum)
    if spectrum[rank - 1] < 1e-15:
        return -np.inf
    halves = (d - np.arange(rank)) / 2
    uniform = -rank * math.log(2) + (log_gamma(halves) - halves * math.log(math.pi)).sum()
    kept = -n / 2 * np.log(spectrum[:rank]).sum()
    noise = max(1e-15, spectrum[rank:].sum() / (d - rank))
    left_out = -n * (d - rank) / 2 * math.log(noise)
    free = d * rank - rank * (rank + 1) / 2
    inverse = 1 / np.concatenate([spectrum[:rank], np.full(d - rank, noise)])
    curvature = 0.0
    for i in range(rank):
        with np.errstate(divide="ignore"):  # equal values: no curvature, certain evidence
            gaps = np.log((spectrum[i] - spectrum[i + 1 :]) * (inverse[i + 1 :] - inverse[i]))
        curvature += (gaps + math.log(n)).sum()
    return (
        uniform + kept + left_out + (free + rank) / 2 * math.log(2 * math.pi) - curvature / 2 - rank / 2 * math.log(n)
    )


def most_evident_rank(spectrum, n):
    ranks = range(1, len(spectrum))
    return max(ranks, key=lambda rank: evidence(spectrum, rank, n), default=0)
