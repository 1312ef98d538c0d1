"""MiniBatchKMeans: k-means on small samples of the data, or on data that come in batches."""

import numpy as np

from . import _estimator as base
from ._kmeans import BaseKMeans
from ._lloyd import Samples, mean_variance, nearest
from .cluster import Totals


class Progress:
    """When to stop: no new minimum of the smoothed inertia of the batches for so many steps."""

    def __init__(self, share, patience):
        self.share, self.patience = share, patience
        self.smooth = self.least = None
        self.waited = 0

    def stalled(self, inertia):
        # The first batch comes right after the initialisation and says little.
        if self.smooth is None:
            self.smooth = np.inf
            return False
        first = self.smooth == np.inf
        self.smooth = inertia if first else self.smooth * (1 - self.share) + inertia * self.share
        if self.least is None or self.smooth < self.least:
            self.least, self.waited = self.smooth, 0
        else:
            self.waited += 1
        return self.patience is not None and self.waited >= self.patience


class MiniBatchKMeans(BaseKMeans):
    """Clusters of samples around k centres, from small random samples; an estimator with scikit-learn's contract.

    Parameters
    ----------
    n_clusters : int
    init : {"k-means++", "random"}, (k, d) array-like or callable
        First centres, from ``3 max(batch_size, n_clusters)`` samples; see `KMeans`.
    max_iter : int
        Passes over the data at most.
    batch_size : int
        Samples a step.
    verbose : int
        1 prints a line a step.
    random_state : None, int, numpy.random.RandomState or numpy.random.Generator
    tol : float
        A fit ends when a step moves the centres by a squared distance of at most `tol` times the mean variance of the
        features; 0: not for that reason.
    max_no_improvement : int or None
        A fit ends after so many steps without a new minimum of the smoothed inertia; None: not for that reason.
    n_init : "auto" or int
        First centres that are tried, of which the best are used. "auto" is 1 for k-means++ and arrays, else 3.
    reassignment_ratio : float
        Centres that have less than this share of the weight of the largest move to random samples now and then.

    Attributes
    ----------
    cluster_centers_ : (k, d) array, float32 for X in float32, else float64
    labels_ : (n,) array of int32
        Of the last X.
    inertia_ : float
        Of the last X.
    n_iter_ : int
        Passes over the data of `fit`.
    n_steps_ : int
        Batches seen.
    n_features_in_ : int
    feature_names_in_ : (d,) array of str
        Where X has such names.

    Notes
    -----
    A centre is the average of all samples that batches have given to it. `fit` draws batches in proportion to the
    weights and takes memory for a batch only: X may be memory-mapped. `partial_fit` takes the batches as they come.

    References
    ----------
    .. [1] D. Sculley, "Web-scale k-means clustering", WWW 2010.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> rng = np.random.default_rng(0)
    >>> kmeans = nk.MiniBatchKMeans(n_clusters=2, random_state=0)
    >>> for batch in (rng.standard_normal((100, 1)) + 10 * rng.integers(0, 2, (100, 1)) for _ in range(50)):
    ...     kmeans = kmeans.partial_fit(batch)
    >>> sorted(kmeans.cluster_centers_.ravel().round().tolist())
    [0.0, 10.0]
    """

    _constraints = {  # noqa: RUF012
        "n_clusters": [base.POSITIVE],
        "init": [base.one_of("k-means++", "random"), base.CALLABLE, base.ARRAY],
        "max_iter": [base.POSITIVE],
        "batch_size": [base.POSITIVE],
        "verbose": base.VERBOSE,
        "random_state": base.RANDOM_STATE,
        "tol": [base.real_from(0)],
        "max_no_improvement": [base.integer_from(0), base.NONE],
        "n_init": [base.one_of("auto"), base.POSITIVE],
        "reassignment_ratio": [base.real_from(0)],
    }

    def __init__(
        self,
        n_clusters=8,
        *,
        init="k-means++",
        max_iter=100,
        batch_size=1024,
        verbose=0,
        random_state=None,
        tol=0.0,
        max_no_improvement=10,
        n_init="auto",
        reassignment_ratio=0.01,
    ):
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio

    def _start(self, x, weights, runs):
        """The best of so many first centres. Sets what a step goes on from."""
        self._state = base.legacy_random_state(self.random_state)
        self._rng = base.generator(self._state)
        self._counts, self._since_reassigned = np.zeros(self.n_clusters), 0
        allowed = np.arange(len(x)) if weights is None else np.flatnonzero(weights)
        size = min(3 * int(max(min(self.batch_size, len(x)), self.n_clusters)), len(x))

        def some():
            # all of them, as often as there are too few of a weight
            rows = (
                np.resize(allowed, size) if len(allowed) <= size else allowed[self._rng.integers(0, len(allowed), size)]
            )
            return x[rows], None if weights is None else weights[rows]

        held_out = some()
        tried = []
        for _ in range(runs):
            data = Samples(*some(), int(self.n_clusters), type(self).__name__)
            centres = self._first_centres(data, self._state, self._rng)
            tried.append((nearest(*held_out, centres, type(self).__name__)[1], centres))
            if self.verbose:
                print(f"Initialization complete, inertia {tried[-1][0]} of {size} samples.")
        return min(tried, key=lambda one: one[0])[1]

    def _step(self, x, weights, centres):
        """(new centres, inertia of the old ones) of a batch."""
        totals, labels = Totals(x, weights, len(centres)), np.empty(len(x), np.int32)
        if not totals.take(centres, labels, inertia=True):
            base.require_finite(x, "X", type(self).__name__)
        seen, self._counts = self._counts, self._counts + totals.counts()
        hit, new = totals.counts() > 0, centres.copy()
        # the average of all samples so far
        new[hit] = (centres[hit] * seen[hit, None] + totals.sums()[hit]) / self._counts[hit, None]
        self._since_reassigned += len(x)
        if (self._counts == 0).any() or self._since_reassigned >= 10 * len(centres):
            self._since_reassigned = 0
            self._reassign(x, weights, new)
        return new, totals.inertia()

    def _reassign(self, x, weights, centres):
        """Moves centres of little weight to samples of the batch, at most half of them."""
        allowed = np.arange(len(x)) if weights is None else np.flatnonzero(weights)
        least = self._counts.argsort(kind="stable")[:-1][: min(len(x) // 2, len(allowed))]
        moved = least[self._counts[least] < self.reassignment_ratio * self._counts.max()]
        if len(moved):
            centres[moved] = x[self._rng.choice(allowed, len(moved), replace=False)]
            # with the weight of the smallest of the others, lest they move again at once
            self._counts[moved] = np.delete(self._counts, moved).min()
            if self.verbose:
                print(f"Reassigned {len(moved)} cluster centers.")

    def fit(self, X, y=None, sample_weight=None):
        """Finds the clusters of X from random batches.

        Parameters
        ----------
        X : (n, d) array-like
            float32 stays, other numbers become float64; any strides, read in place.
        y : ignored
        sample_weight : number or (n,) array-like, optional
            Not negative and not all zero.

        Returns
        -------
        self : MiniBatchKMeans

        Raises
        ------
        TypeError
            If X is sparse or no array of numbers.
        ValueError
            If X is not finite or has no two axes, has fewer samples than there are clusters, or a parameter is not what
            it can be.
        """
        self._check_parameters()
        x = self._samples(X, fitting=True)
        self._check_size(x)
        weights = self._weights(sample_weight, x)
        centres = self._start(x, weights, self._runs(default=3))
        tol = self.tol * mean_variance(x) if self.tol else -1.0
        n, size = len(x), int(min(self.batch_size, len(x)))
        heaps = None if weights is None else np.cumsum(weights)
        steps = int(self.max_iter) * n // size
        progress = Progress(min(1.0, 2.0 * size / (n + 1)), self.max_no_improvement)
        for step in range(1, steps + 1):
            if heaps is None:
                rows = self._rng.integers(0, n, size)
            else:
                drawn = np.minimum(heaps[-1] * self._rng.random(size), np.nextafter(heaps[-1], 0))
                rows = heaps.searchsorted(drawn, side="right")  # never a sample of weight 0
            previous = centres
            centres, inertia = self._step(x[rows], None, centres)
            if self.verbose:
                print(f"Minibatch step {step}/{steps}: mean batch inertia: {inertia / size}.")
            still = step > 1 and np.square(centres - previous, dtype=np.float64).sum() <= tol
            if progress.stalled(inertia) or still:
                if self.verbose:
                    print(f"Converged at step {step}/{steps}.")
                break
        self.labels_, self.inertia_ = nearest(x, weights, centres, type(self).__name__)
        self.cluster_centers_ = centres
        self.n_steps_, self.n_iter_ = step, -(-step * size // n)
        return self

    def partial_fit(self, X, y=None, sample_weight=None):
        """Goes on with one batch.

        Parameters
        ----------
        X : (n, d) array-like
            The first batch must have a sample for every cluster.
        y : ignored
        sample_weight : number or (n,) array-like, optional

        Returns
        -------
        self : MiniBatchKMeans
        """
        self._check_parameters()
        fitted = hasattr(self, "cluster_centers_")
        x = self._samples(X, fitting=not fitted, like=self.cluster_centers_ if fitted else None)
        weights = self._weights(sample_weight, x)
        if not fitted:
            self._check_size(x)
            centres, steps = self._start(x, weights, self._runs(default=3)), 0
        else:
            centres, steps = self.cluster_centers_, self.n_steps_
        self.cluster_centers_, _ = self._step(x, weights, centres)
        self.labels_, self.inertia_ = nearest(x, weights, self.cluster_centers_, type(self).__name__)
        self.n_steps_ = steps + 1
        return self
