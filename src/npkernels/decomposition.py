"""Principal components on the product kernel, with scikit-learn's contract."""

import math
import numbers

import numpy as np

from . import _estimator as base
from . import _gram
from .linear import dense, matmul

# Rows are centred so many bytes at a time.
BLOCK_BYTES = 4 << 20
# The sum over rows of a product is split into parts of at least so many, at most so many parts of so many bytes in all;
# where fewer fit, columns are shared out, at least so many at a time. All of it depends on sizes only.
PART_ROWS, PARTS, PARTS_BYTES, RANGE_COLUMNS = 1024, 16, 32 << 20, 192
SOME_ROWS = 256  # rows whose mean is near that of all
EXACT, OVERSAMPLES = ("full", "covariance_eigh", "arpack"), 10


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


class PCA(base.Estimator):
    """Principal component analysis; an estimator with scikit-learn's contract.

    Parameters
    ----------
    n_components : None, int, float or "mle"
        All of ``min(n, d)``, so many, as many as explain more than this fraction of the variance, or what T. Minka's
        estimate of the dimension says.
    copy : bool
        Without effect: X is never written.
    whiten : bool
        Scale transformed samples to unit variance.
    svd_solver : {"auto", "full", "covariance_eigh", "arpack", "randomized"}
        "full" takes the singular values of the centred X. "covariance_eigh" takes the eigenvectors of the covariance,
        or of the products of samples if these are fewer than features: fastest, and components of less than about
        ``sqrt(eps)`` of the largest variance are inaccurate. "randomized" finds few components of large data.
        "arpack" is the same as "full", for fewer than ``min(n, d)`` components. "auto" chooses by sizes.
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
        For "randomized".

    Attributes
    ----------
    components_ : (k, d) array
        Orthonormal rows of descending variance; the entry of largest magnitude of each is positive.
    explained_variance_, explained_variance_ratio_, singular_values_ : (k,) array
    mean_ : (d,) array
    n_components_, n_samples_, n_features_in_ : int
    noise_variance_ : float
        The mean variance of the components left out.
    feature_names_in_ : (d,) array of str
        Where X has such names.

    Notes
    -----
    Samples are centred before any product, a block at a time: a common offset costs nothing. Arrays have the dtype of
    X, float32 or float64.

    References
    ----------
    .. [1] M. Tipping and C. Bishop, "Mixtures of probabilistic principal component analysers", Neural Computation
       11(2), 1999.
    .. [2] N. Halko, P. Martinsson and J. Tropp, "Finding structure with randomness", SIAM Review 53(2), 2011.
    .. [3] T. Minka, "Automatic choice of dimensionality for PCA", NIPS 2000.

    Examples
    --------
    >>> import npkernels as nk
    >>> x = [[-2.0, -2.0], [-1.0, -1.0], [1.0, 1.0], [2.0, 2.0]]
    >>> pca = nk.PCA(1).fit(x)
    >>> pca.components_.round(3)
    array([[0.707, 0.707]])
    >>> pca.transform([[3.0, 3.0]]).round(3)
    array([[4.243]])
    """

    _constraints = {  # noqa: RUF012
        "n_components": [base.integer_from(0), base.FRACTION, base.one_of("mle"), base.NONE],
        "copy": [base.BOOL],
        "whiten": [base.BOOL],
        "svd_solver": [base.one_of("auto", *EXACT, "randomized")],
        "random_state": base.RANDOM_STATE,
    }
    _fitted = "components_"

    def __init__(self, n_components=None, *, copy=True, whiten=False, svd_solver="auto", random_state=None):
        self.n_components = n_components
        self.copy = copy
        self.whiten = whiten
        self.svd_solver = svd_solver
        self.random_state = random_state

    def _solver(self, n, d):
        if self.svd_solver != "auto":
            return self.svd_solver
        if min(n, d) <= 1000 and max(n, d) >= 10 * min(n, d):
            return "covariance_eigh"
        if max(n, d) <= 500 or isinstance(self.n_components, str):
            return "full"
        few = isinstance(self.n_components, numbers.Integral) and 1 <= self.n_components < 0.8 * min(n, d)
        return "randomized" if few else "full"

    def _wanted(self, n, d, solver):
        """n_components, checked against the sizes."""
        wanted, most = self.n_components, min(n, d)
        if wanted is None:
            return most - (solver == "arpack")
        truncated = solver in ("randomized", "arpack")
        if isinstance(wanted, str):
            if truncated:
                raise ValueError(f"n_components={wanted!r} cannot be a string with svd_solver={solver!r}")
            if n < d:
                raise ValueError("n_components='mle' is only supported if n_samples >= n_features")
        elif not truncated <= wanted <= most:
            raise ValueError(
                f"n_components={wanted!r} must be between {int(truncated)} and min(n_samples, n_features)={most!r} "
                f"with svd_solver={solver!r}"
            )
        elif solver == "arpack" and wanted == most:
            raise ValueError(
                f"n_components={wanted!r} must be strictly less than min(n_samples, n_features)={most!r} with "
                f"svd_solver={solver!r}"
            )
        return wanted

    def fit(self, X, y=None):
        """Finds the principal components of X.

        Parameters
        ----------
        X : (n, d) array-like
            At least 2 samples. float32 stays, other numbers become float64.
        y : ignored

        Returns
        -------
        self : PCA

        Raises
        ------
        TypeError
            If X is sparse or no array of numbers.
        ValueError
            If X is not finite or has no two axes, or a parameter is not what it can be.
        """
        self._check_parameters()
        x = self._samples(X, fitting=True)
        n, d = x.shape
        if n < 2:
            raise ValueError(f"Found array with 1 sample(s) (shape={x.shape}) while a minimum of 2 is required by PCA.")
        solver = self._solver(n, d)
        wanted = self._wanted(n, d, solver)
        if solver == "randomized":
            rng = base.generator(base.legacy_random_state(self.random_state))
            mean, values, components, squares = randomized(x, wanted, rng)
        else:
            by = by_full_svd if solver != "covariance_eigh" else by_gram if n < d else by_covariance
            mean, values, components = by(x)
            squares = np.square(values, dtype=np.float64).sum()
        self._keep(x, mean, values.astype(np.float64), components, squares, wanted)
        return self

    def _keep(self, x, mean, values, components, squares, wanted):
        (n, d), dtype = x.shape, x.dtype
        variances, total = values**2 / (n - 1), squares / (n - 1)
        with np.errstate(invalid="ignore"):
            ratios = variances / total
        k = wanted
        if isinstance(k, str):
            k = most_evident_rank(variances, n)
        elif 0 < k < 1:
            k = min(int(np.cumsum(ratios).searchsorted(k, side="right")) + 1, len(values))
        components = np.array(components[:k], dtype=dtype)
        largest = abs(components).argmax(1)
        components *= np.where(components[np.arange(k), largest] < 0, -1, 1)[:, None].astype(dtype)
        self.mean_, self.components_ = mean.astype(dtype), components
        self.explained_variance_ = variances[:k].astype(dtype)
        self.explained_variance_ratio_ = ratios[:k].astype(dtype)
        self.singular_values_ = values[:k].astype(dtype)
        left = min(n, d) - k
        self.noise_variance_ = max(0.0, float(total - variances[:k].sum()) / left) if left else 0.0
        self.n_samples_, self.n_components_ = n, int(k)

    @property
    def _n_features_out(self):
        return len(self.components_)

    def _scale(self):
        """The standard deviations of the components, never 0."""
        return np.maximum(np.sqrt(self.explained_variance_), np.finfo(self.explained_variance_.dtype).eps)

    def fit_transform(self, X, y=None):
        """`fit`, then `transform` of X."""
        return self.fit(X).transform(X)

    def transform(self, X):
        """The coordinates of every sample along the components.

        Parameters
        ----------
        X : (n, d) array-like

        Returns
        -------
        y : (n, k) array
            A data frame if `set_output` says so.
        """
        self._check_fitted()
        x = self._samples(X, like=self.components_)
        y = np.empty((len(x), len(self.components_)), x.dtype)
        for rows, block in centred_blocks(x, self.mean_):
            if not np.isfinite(block).all():
                base.require_finite(x, "X", "PCA")
            matmul(block, self.components_.T, out=y[rows])
        if self.whiten:
            y /= self._scale()
        return self._in_container(y, X)

    def inverse_transform(self, X):
        """The samples of given coordinates: the inverse of `transform` where no component is left out.

        Parameters
        ----------
        X : (n, k) array-like

        Returns
        -------
        x : (n, d) array
        """
        self._check_fitted()
        y = np.atleast_2d(base.as_real("X", X))
        base.require_finite(y, "X", "PCA")
        if y.shape[1:] != (len(self.components_),):
            raise ValueError(f"X must have shape (n, {len(self.components_)}), got {y.shape}")
        y = y.astype(self.components_.dtype, copy=False)
        if self.whiten:
            y = y * self._scale()
        return dense(y, self.components_.T, self.mean_)

    def get_covariance(self):
        """The covariance of the model, (d, d): that of the components, and noise in all directions."""
        self._check_fitted()
        # W W^T + s I with s the noise and W W^T = V^T diag(variance - s) V
        return self._spread(np.maximum(self.explained_variance_ - self.noise_variance_, 0), self.noise_variance_)

    def get_precision(self):
        """The inverse of the covariance of the model, (d, d)."""
        self._check_fitted()
        if self.noise_variance_ == 0:
            return np.linalg.inv(self.get_covariance())
        kept = np.maximum(self.explained_variance_, self.noise_variance_)
        return self._spread(1 / kept - 1 / self.noise_variance_, 1 / self.noise_variance_)

    def _spread(self, along, everywhere):
        # V^T diag(along) V + everywhere I
        v = self.components_
        matrix = matmul(v.T, v * along[:, None].astype(v.dtype))
        matrix[np.diag_indices(len(matrix))] += everywhere
        return matrix

    def score_samples(self, X):
        """The logarithm of the probability of every sample under the model, (n,)."""
        self._check_fitted()
        x = self._samples(X, like=self.components_)
        precision = self.get_precision()
        sign, log_determinant = np.linalg.slogdet(precision)
        constant = x.shape[1] * math.log(2 * math.pi) - (log_determinant if sign > 0 else -np.inf)
        scores = np.empty(len(x), x.dtype)
        for rows, block in centred_blocks(x, self.mean_):
            if not np.isfinite(block).all():
                base.require_finite(x, "X", "PCA")
            scores[rows] = -0.5 * ((block * matmul(block, precision)).sum(1) + constant)
        return scores

    def score(self, X, y=None):
        """The mean of `score_samples`."""
        return float(self.score_samples(X).mean())
