"""Principal components on the product kernel, with scikit-learn's contract."""

from __future__ import annotations

import math
import numbers
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from .. import _arguments as check
from .._sklearn import estimator as base
from ..linear import dense, matmul
from ._components import (
    by_covariance,
    by_full_svd,
    by_gram,
    centred_blocks,
    most_evident_rank,
    randomized,
    require_squares,
)

if TYPE_CHECKING:
    from .._typing import ArrayLike, Flag, FloatArray, Number, RandomState

EXACT = ("full", "covariance_eigh", "arpack")


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
    Samples are centred before any product, a block at a time: a common offset costs nothing. Products of 1024 samples
    are summed in the dtype, those of all in double precision. Arrays have the dtype of X, float32 or float64.

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

    __module__ = "npkernels"  # where a class lies is no part of its pickles

    components_: FloatArray
    explained_variance_: FloatArray
    explained_variance_ratio_: FloatArray
    singular_values_: FloatArray
    mean_: FloatArray
    noise_variance_: float
    n_components_: int
    n_samples_: int

    _constraints = {  # noqa: RUF012
        "n_components": [base.integer_from(0), base.FRACTION, base.one_of("mle"), base.NONE],
        "copy": [base.BOOL],
        "whiten": [base.BOOL],
        "svd_solver": [base.one_of("auto", *EXACT, "randomized")],
        "random_state": base.RANDOM_STATE,
    }
    _fitted = "components_"

    def __init__(
        self,
        n_components: Number | Literal["mle"] | None = None,
        *,
        copy: Flag = True,
        whiten: Flag = False,
        svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] = "auto",
        random_state: RandomState | None = None,
    ) -> None:
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

    def fit(self, X: ArrayLike, y: object = None) -> Self:
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
            If X or its variance is not finite or X has no two axes, or a parameter is not what it can be.
        """
        self._check_parameters()
        x = self._samples(X)
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
            with np.errstate(over="ignore"):
                squares = np.square(values, dtype=np.float64).sum()
        self._become(X, **self._found(x, mean, values.astype(np.float64), components, squares, wanted))
        return self

    @staticmethod
    def _found(x, mean, values, components, squares, wanted):
        """The attributes, by name."""
        (n, d), dtype = x.shape, x.dtype
        with np.errstate(over="ignore"):
            variances = values**2 / (n - 1)
            require_squares(np.append(variances, squares).astype(dtype), dtype)
        total = squares / (n - 1)
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
        left = min(n, d) - k
        return {
            "mean_": mean.astype(dtype),
            "components_": components,
            "explained_variance_": variances[:k].astype(dtype),
            "explained_variance_ratio_": ratios[:k].astype(dtype),
            "singular_values_": values[:k].astype(dtype),
            "noise_variance_": max(0.0, float(total - variances[:k].sum()) / left) if left else 0.0,
            "n_samples_": n,
            "n_components_": int(k),
        }

    def _model(self, *others):
        """(components_, mean_), checked, in one dtype: the widest of theirs and of `others`."""
        components = self._main_attribute()
        mean = self._attribute("mean_", {"components_.shape[1]": components.shape[1]})
        dtype = np.result_type(components, mean, *others)
        return components.astype(dtype, copy=False), mean.astype(dtype, copy=False)

    def _variances(self, components):
        """explained_variance_, checked, in the dtype of the components."""
        variances = self._attribute("explained_variance_", {"len(components_)": len(components)})
        if not ((variances >= 0) & (variances <= np.finfo(components.dtype).max)).all():
            raise ValueError(f"explained_variance_ must be at least 0 and fit {components.dtype}, got {variances}")
        return variances.astype(components.dtype, copy=False)

    def _noise(self):
        noise = check.number("noise_variance_", self.noise_variance_, 0)
        if noise == math.inf:
            raise ValueError("noise_variance_ must be finite, got inf")
        return noise

    def _scale(self, components):
        """The standard deviations of the components, never 0."""
        return np.maximum(np.sqrt(self._variances(components)), np.finfo(components.dtype).eps)

    def fit_transform(self, X: ArrayLike, y: object = None) -> FloatArray:
        """`fit`, then `transform` of X."""
        return self.fit(X).transform(X)

    def transform(self, X: ArrayLike) -> FloatArray:
        """The coordinates of every sample along the components.

        Parameters
        ----------
        X : (n, d) array-like

        Returns
        -------
        y : (n, k) array
            float64 if X or the model is, as scikit-learn's. A data frame if `set_output` says so.
        """
        x = self._samples(X, like=self._model()[0], wider=True)
        components, mean = self._model(x)
        y = np.empty((len(x), len(components)), x.dtype)
        for rows, block in centred_blocks(x, mean):
            if not np.isfinite(block).all():
                base.require_finite(x, "X", "PCA")
            matmul(block, components.T, out=y[rows])
        if self.whiten:
            y /= self._scale(components)
        return self._in_container(y, X)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """The samples of given coordinates: the inverse of `transform` where no component is left out.

        Parameters
        ----------
        X : (n, k) array-like

        Returns
        -------
        x : (n, d) array
        """
        y = np.atleast_2d(base.as_real("X", X))
        components, mean = self._model(y)
        base.require_finite(y, "X", "PCA")
        if y.shape[1:] != (len(components),):
            raise ValueError(f"X must have shape (n, {len(components)}), got {y.shape}")
        y = y.astype(components.dtype, copy=False)
        if self.whiten:
            y = y * self._scale(components)
        return dense(y, components.T, mean)

    def get_covariance(self) -> FloatArray:
        """The covariance of the model, (d, d): that of the components, and noise in all directions."""
        (components, _), noise = self._model(), self._noise()
        # W W^T + s I with s the noise and W W^T = V^T diag(variance - s) V
        return self._spread(components, np.maximum(self._variances(components) - noise, 0), noise)

    def get_precision(self) -> FloatArray:
        """The inverse of the covariance of the model, (d, d).

        Raises
        ------
        numpy.linalg.LinAlgError
            If `noise_variance_` is 0 and so is the variance in some direction: of a component, or because there are
            fewer than d. scikit-learn raises it too, or inverts rounding errors.
        """
        (components, _), noise = self._model(), self._noise()
        kept, spans = np.maximum(self._variances(components), noise), len(components) >= components.shape[1]
        if (kept.min(initial=np.inf) if spans else noise) < np.finfo(components.dtype).tiny:
            raise np.linalg.LinAlgError("noise_variance_ is 0, and so is the variance in some direction: no inverse")
        everywhere = 0.0 if spans else 1 / noise
        return self._spread(components, 1 / kept - everywhere, everywhere)

    @staticmethod
    def _spread(v, along, everywhere):
        # V^T diag(along) V + everywhere I
        matrix = matmul(v.T, v * along[:, None].astype(v.dtype))
        matrix[np.diag_indices(len(matrix))] += everywhere
        return matrix

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """The logarithm of the probability of every sample under the model, (n,)."""
        x = self._samples(X, like=self._model()[0], wider=True)
        mean, precision = self._model(x)[1], self.get_precision().astype(x.dtype, copy=False)
        sign, log_determinant = np.linalg.slogdet(precision)
        constant = x.shape[1] * math.log(2 * math.pi) - (log_determinant if sign > 0 else -np.inf)
        scores = np.empty(len(x), x.dtype)
        for rows, block in centred_blocks(x, mean):
            if not np.isfinite(block).all():
                base.require_finite(x, "X", "PCA")
            scores[rows] = -0.5 * ((block * matmul(block, precision)).sum(1) + constant)
        return scores

    def score(self, X: ArrayLike, y: object = None) -> float:
        """The mean of `score_samples`."""
        return float(self.score_samples(X).mean())
