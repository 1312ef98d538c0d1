"""KMeans: Lloyd's algorithm on the kernels of k-means, with scikit-learn's contract."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from .._sklearn import estimator as base
from ._lloyd import Samples, distances, lloyd, nearest

if TYPE_CHECKING:
    from .._typing import ArrayLike, Flag, FloatArray, Init, Int, NDArray, Number, RandomState


class BaseKMeans(base.Estimator):
    """What KMeans and MiniBatchKMeans share."""

    n_clusters: Int
    n_init: Int | Literal["auto"]
    init: Init
    cluster_centers_: FloatArray
    labels_: NDArray[np.int32]
    inertia_: float
    n_iter_: int

    _estimator_type = "clusterer"
    _fitted = "cluster_centers_"

    if TYPE_CHECKING:

        def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self: ...

    def _check_size(self, data):
        if len(data) < self.n_clusters:
            raise ValueError(f"n_samples={len(data)} should be >= n_clusters={self.n_clusters}.")

    def _runs(self, default):
        """How many first centres are tried."""
        array = not isinstance(self.init, str) and not callable(self.init)
        if self.n_init == "auto":
            return 1 if array or (isinstance(self.init, str) and self.init == "k-means++") else default
        if array and self.n_init != 1:
            warnings.warn(
                f"Explicit initial center position passed: performing only one init in {type(self).__name__} instead "
                f"of n_init={self.n_init}.",
                RuntimeWarning,
                stacklevel=3,
            )
            return 1
        return self.n_init

    def _array_of_centres(self, value, x):
        centres = np.ascontiguousarray(base.as_real("init", value), dtype=x.dtype)
        if centres.ndim != 2 or centres.shape[0] != self.n_clusters:
            raise ValueError(
                f"The shape of the initial centers {centres.shape} does not match the number of clusters "
                f"{self.n_clusters}."
            )
        if centres.shape[1] != x.shape[1]:
            raise ValueError(
                f"The shape of the initial centers {centres.shape} does not match the number of features of the data "
                f"{x.shape[1]}."
            )
        base.require_finite(centres, "init", type(self).__name__)
        return centres

    def _first_centres(self, data, state, rng):
        """Centres to start from. `state` is the parameter random_state, `rng` a Generator made of it."""
        if callable(self.init):
            return self._array_of_centres(self.init(data.x, self.n_clusters, random_state=state), data.x)
        if not isinstance(self.init, str):
            return self._array_of_centres(self.init, data.x).copy()
        return data.random(rng) if self.init == "random" else data.plus_plus(rng)

    @staticmethod
    def _rounded(centres, dtype):
        """The attributes for centres in float64. Of float32 samples, what rounding takes from cluster_centers_ is kept
        beside it, lest `predict` differ from labels_ far from the origin."""
        return {
            "cluster_centers_": centres.astype(dtype),
            "_unrounded": None if dtype == np.float64 else centres,
        }

    def _centres(self):
        """(centres to compute with, cluster_centers_), the second checked. The first are those before rounding, as long
        as cluster_centers_ is what they are rounded to."""
        centres = self._main_attribute()
        if not len(centres):
            raise ValueError(f"cluster_centers_ must have at least one row, got shape {centres.shape}")
        exact = getattr(self, "_unrounded", None)
        if type(exact) is np.ndarray and exact.dtype == np.float64 and exact.flags.c_contiguous:
            with np.errstate(all="ignore"):
                if np.array_equal(exact.astype(centres.dtype), centres):
                    return exact, centres
        return centres, centres

    def _fitted_samples(self, X):
        """X as the centres take it, and these."""
        exact, centres = self._centres()
        return self._samples(X, like=centres, blocks=True), exact

    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> NDArray[np.int32]:
        """`fit`, then the labels of X, (n,) int32."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def fit_transform(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> FloatArray:
        """`fit`, then the distances of X to the centres, (n, k)."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    def predict(self, X: ArrayLike) -> NDArray[np.int32]:
        """The number of the nearest centre of every sample.

        Parameters
        ----------
        X : (n, d) array-like

        Returns
        -------
        labels : (n,) array of int32
        """
        x, centres = self._fitted_samples(X)
        if base.is_dask_array(x):
            from . import _distributed

            return _distributed.labels(x, centres, type(self).__name__)
        return nearest(x, None, centres, type(self).__name__)[0]

    def transform(self, X: ArrayLike) -> FloatArray:
        """The Euclidean distances of every sample to all centres.

        Parameters
        ----------
        X : (n, d) array-like

        Returns
        -------
        distances : (n, k) array, dtype of the centres
            Square roots of sums of squared differences: nothing cancels. A data frame if `set_output` says so.
        """
        x, centres = self._fitted_samples(X)
        if base.is_dask_array(x):
            from . import _distributed

            return _distributed.distances(x, centres, type(self).__name__)
        return self._in_container(distances(x, centres, type(self).__name__), X)

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the weighted sum of the squared distances to the nearest centres.

        Parameters
        ----------
        X : (n, d) array-like
        y : ignored
        sample_weight : number or (n,) array-like, optional

        Returns
        -------
        score : float
        """
        (x, centres), name = self._fitted_samples(X), type(self).__name__
        if base.is_dask_array(x):
            from . import _distributed

            return -_distributed.Blocks(x, sample_weight, len(centres), name).finish(centres)[1]
        return -nearest(x, self._weights(sample_weight, x), centres, name)[1]


class KMeans(BaseKMeans):
    """Clusters of samples around k centres, by Lloyd's algorithm; an estimator with scikit-learn's contract.

    Parameters
    ----------
    n_clusters : int
    init : {"k-means++", "random"}, (k, d) array-like or callable
        First centres: greedy k-means++, samples drawn at random, these, or what ``init(X, n_clusters, random_state)``
        returns.
    n_init : "auto" or int
        Runs from different first centres, of which that of the smallest inertia stays. "auto" is 1 for k-means++ and
        arrays, else 10.
    max_iter : int
        Iterations of a run at most.
    tol : float
        A run ends when the squared shift of the centres is at most `tol` times the mean variance of the features, or
        when no label changes.
    verbose : int
        1 prints a line an iteration.
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
    copy_x : bool
        Without effect: X is neither written nor copied.
    algorithm : {"lloyd", "elkan", "auto"}
        All are Lloyd's algorithm, which no exact pruned variant was found to beat here by much; see the notes.

    Attributes
    ----------
    cluster_centers_ : (k, d) array, float32 for X in float32, else float64
    labels_ : (n,) array of int32
        For a dask array one too, computed when it is needed.
    inertia_ : float
        Weighted sum of squared distances to the nearest centres.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : (d,) array of str
        Where X has such names.

    Notes
    -----
    Results are the same bits for any number of threads. Also for X in float32 centres are kept in float64, of which
    cluster_centers_ are rounded: far from the origin, too, labels, distances and inertia are those of float64 up to the
    rounding of differences between samples and centres. Once others are set as cluster_centers_ these count. An empty
    cluster moves to the sample farthest from its centre.
    If there are fewer distinct samples than clusters a ``ConvergenceWarning`` says so.

    Pruning needs the distance to the second nearest centre too. In fits to convergence Hamerly's bounds left 75 % of
    the comparisons of samples with all centres (blobs of 64 features, 256 clusters) and 54 % (MNIST, 100 clusters),
    which then cost 2.8 and 1.2 times as much: slower in the first case, 1.1 times faster in the second.

    X may be a dask array (``pip install 'npkernels[distributed]'``), `sample_weight` then one too. Workers sum up their
    blocks, partial sums meet in a tree, and from the same first centres come the labels of the fit in memory, whatever
    the blocks; where a worker dies others do its work. ``init="k-means++"`` is k-means|| [3]_. Each iteration goes
    through X once: call ``X.persist()`` before where it fits in the memory of the workers. A block takes one thread,
    so there should be more of them than threads. `predict` and `transform` return dask arrays, in which NaN is found
    when they are computed. Clusters that run empty cost a number for each sample in the memory of one worker.

    References
    ----------
    .. [1] S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28(2), 1982.
    .. [2] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    .. [3] B. Bahmani, B. Moseley, A. Vattani, R. Kumar, S. Vassilvitskii, "Scalable k-means++", VLDB 2012.

    Examples
    --------
    >>> import npkernels as nk
    >>> x = [[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]]
    >>> kmeans = nk.KMeans(n_clusters=2, init=[[1.0, 2.0], [10.0, 2.0]]).fit(x)
    >>> kmeans.labels_
    array([0, 0, 0, 1, 1, 1], dtype=int32)
    >>> kmeans.predict([[0.0, 0.0], [12.0, 3.0]])
    array([0, 1], dtype=int32)
    >>> kmeans.cluster_centers_
    array([[ 1.,  2.],
           [10.,  2.]])
    """

    __module__ = "npkernels"  # where a class lies is no part of its pickles

    _constraints = {  # noqa: RUF012
        "n_clusters": [base.POSITIVE],
        "init": [base.one_of("k-means++", "random"), base.CALLABLE, base.ARRAY],
        "n_init": [base.one_of("auto"), base.POSITIVE],
        "max_iter": [base.POSITIVE],
        "tol": [base.real_from(0)],
        "verbose": base.VERBOSE,
        "random_state": base.RANDOM_STATE,
        "copy_x": [base.BOOL],
        "algorithm": [base.one_of("lloyd", "elkan", "auto")],
    }

    def __init__(
        self,
        n_clusters: Int = 8,
        *,
        init: Init = "k-means++",
        n_init: Int | Literal["auto"] = "auto",
        max_iter: Int = 300,
        tol: Number = 1e-4,
        verbose: Int | Flag = 0,
        random_state: RandomState | None = None,
        copy_x: Flag = True,
        algorithm: Literal["lloyd", "elkan", "auto"] = "lloyd",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Finds the clusters of X.

        Parameters
        ----------
        X : (n, d) array-like or dask array
            float32 stays, other numbers become float64; any strides, read in place.
        y : ignored
        sample_weight : number or (n,) array-like, optional
            Not negative and not all zero.

        Returns
        -------
        self : KMeans

        Raises
        ------
        TypeError
            If X is sparse or no array of numbers.
        ValueError
            If X is not finite or has no two axes, has fewer samples than there are clusters, or a parameter is not what
            it can be.
        """
        self._check_parameters()
        data = self._data(X, sample_weight)
        self._check_size(data)
        runs = self._runs(default=10)
        if self.algorithm == "elkan" and self.n_clusters == 1:
            warnings.warn(
                "algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead.",
                RuntimeWarning,
                stacklevel=2,
            )
        state = base.legacy_random_state(self.random_state)
        rng = base.generator(state)
        tol = self.tol * data.mean_variance() if self.tol else 0.0
        best: Any = None
        for _ in range(runs):
            centres = self._first_centres(data, state, rng)
            if self.verbose:
                print("Initialization complete")
            run = lloyd(data, centres, int(self.max_iter), tol, bool(self.verbose))
            if best is None or (run.inertia < best.inertia and not data.same(run, best)):
                best = run
        labels, inertia, centres, iterations, clusters = best
        rounded = self._rounded(centres, data.x.dtype)
        self._become(X, labels_=labels, inertia_=inertia, n_iter_=iterations, **rounded)
        if clusters < self.n_clusters:
            base.warn_of_convergence(
                f"Number of distinct clusters ({clusters}) found smaller than n_clusters ({self.n_clusters}). Possibly "
                "due to duplicate points in X."
            )
        return self

    def _data(self, X, sample_weight):
        """X and its weights, checked, as a fit goes through them."""
        x = self._samples(X, blocks=True)
        if base.is_dask_array(x):
            from . import _distributed

            return _distributed.Blocks(x, sample_weight, int(self.n_clusters), "KMeans")
        return Samples(x, self._weights(sample_weight, x), int(self.n_clusters), "KMeans")
