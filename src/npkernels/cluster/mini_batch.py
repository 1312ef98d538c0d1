"""MiniBatchKMeans: k-means on small samples of the data, or on data that come in batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from .. import _arguments as check
from .._sklearn import estimator as base
from ._lloyd import Samples, mean_variance, nearest, refuse
from .assign import Totals, uniform
from .kmeans import BaseKMeans

if TYPE_CHECKING:
    from .._typing import ArrayLike, Flag, Init, Int, Number, RandomState


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


class Steps:
    """Centres in float64, what each of them weighs, and how a batch changes them."""

    def __init__(self, centres, counts, since_reassigned, rng, estimator):
        self.centres, self.counts, self.since_reassigned, self.rng = centres, counts, since_reassigned, rng
        self.ratio, self.verbose, self.name = (
            estimator.reassignment_ratio,
            estimator.verbose,
            type(estimator).__name__,
        )

    def take(self, x, weights):
        """Goes on with a batch; returns the inertia of the centres so far."""
        totals, labels = Totals(x, weights, len(self.centres)), np.empty(len(x), np.int32)
        if not totals.take(self.centres, labels, inertia=True):
            refuse(x, self.centres, self.name)
        seen, self.counts = self.counts, self.counts + totals.counts()
        hit, centres = totals.counts() > 0, self.centres.copy()
        # the average of all samples so far
        centres[hit] = (centres[hit] * seen[hit, None] + totals.sums()[hit]) / self.counts[hit, None]
        self.centres = centres
        self.since_reassigned += len(x)
        if (self.counts == 0).any() or self.since_reassigned >= 10 * len(centres):
            self.since_reassigned = 0
            self._reassign(x, weights)
        return totals.inertia()

    def _reassign(self, x, weights):
        """Moves centres of little weight to samples of the batch, at most half of them."""
        allowed = np.arange(len(x)) if weights is None else np.flatnonzero(weights)
        least = self.counts.argsort(kind="stable")[:-1][: min(len(x) // 2, len(allowed))]
        moved = least[self.counts[least] < self.ratio * self.counts.max()]
        if len(moved):
            self.centres[moved] = x[self.rng.choice(allowed, len(moved), replace=False)]
            # with the weight of the smallest of the others, lest they move again at once
            self.counts[moved] = np.delete(self.counts, moved).min()
            if self.verbose:
                print(f"Reassigned {len(moved)} cluster centers.")


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

    __module__ = "npkernels"  # where a class lies is no part of its pickles

    n_steps_: int

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
        n_clusters: Int = 8,
        *,
        init: Init = "k-means++",
        max_iter: Int = 100,
        batch_size: Int = 1024,
        verbose: Int | Flag = 0,
        random_state: RandomState | None = None,
        tol: Number = 0.0,
        max_no_improvement: Int | None = 10,
        n_init: Int | Literal["auto"] = "auto",
        reassignment_ratio: Number = 0.01,
    ) -> None:
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
        """Steps from the best of so many first centres."""
        state = base.legacy_random_state(self.random_state)
        rng = base.generator(state)
        weights, _ = uniform(weights)
        allowed = np.arange(len(x)) if weights is None else np.flatnonzero(weights)
        size = min(3 * int(max(min(self.batch_size, len(x)), self.n_clusters)), len(x))

        def some():
            # all of them, as often as there are too few of a weight
            rows = np.resize(allowed, size) if len(allowed) <= size else allowed[rng.integers(0, len(allowed), size)]
            return x[rows], None if weights is None else weights[rows]

        held_out = some()
        tried = []
        for _ in range(runs):
            data = Samples(*some(), int(self.n_clusters), type(self).__name__)
            centres = self._first_centres(data, state, rng)
            tried.append((nearest(*held_out, centres, type(self).__name__)[1], centres))
            if self.verbose:
                print(f"Initialization complete, inertia {tried[-1][0]} of {size} samples.")
        centres = min(tried, key=lambda one: one[0])[1].astype(np.float64)
        return Steps(centres, np.zeros(self.n_clusters), 0, rng, self)

    def _resumed(self):
        """Steps from where the last batch left them."""
        centres, _ = self._centres()
        counts = self._attribute("_counts", {"len(cluster_centers_)": len(centres)}).astype(np.float64)
        if (counts < 0).any():
            raise ValueError(f"_counts must not be negative, got {counts.min()}")
        if not isinstance(self._rng, np.random.Generator):
            raise TypeError(f"_rng must be a numpy.random.Generator, got {type(self._rng).__name__}")
        since = check.integer("_since_reassigned", self._since_reassigned, 0)
        return Steps(centres.astype(np.float64), counts, since, self._rng, self)

    def _left(self, steps, dtype):
        """The attributes from which `_resumed` goes on."""
        return {
            **self._rounded(steps.centres, dtype),
            "_counts": steps.counts,
            "_since_reassigned": steps.since_reassigned,
            "_rng": steps.rng,
        }

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
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
        x = self._samples(X)
        self._check_size(x)
        weights, unit = uniform(self._weights(sample_weight, x))
        steps, name = self._start(x, weights, self._runs(default=3)), type(self).__name__
        tol = self.tol * mean_variance(x, name) if self.tol else -1.0
        n, size = len(x), int(min(self.batch_size, len(x)))
        heaps = None if weights is None else np.cumsum(weights)
        last = int(self.max_iter) * n // size
        progress = Progress(min(1.0, 2.0 * size / (n + 1)), self.max_no_improvement)
        for step in range(1, last + 1):
            if heaps is None:
                rows = steps.rng.integers(0, n, size)
            else:
                drawn = np.minimum(heaps[-1] * steps.rng.random(size), np.nextafter(heaps[-1], 0))
                rows = heaps.searchsorted(drawn, side="right")  # never a sample of weight 0
            previous = steps.centres
            inertia = steps.take(x[rows], None)
            if self.verbose:
                print(f"Minibatch step {step}/{last}: mean batch inertia: {inertia / size}.")
            still = step > 1 and np.square(steps.centres - previous).sum() <= tol
            if progress.stalled(inertia) or still:
                if self.verbose:
                    print(f"Converged at step {step}/{last}.")
                break
        labels, inertia = nearest(x, weights, steps.centres, name)
        found = {"labels_": labels, "inertia_": inertia * unit, "n_steps_": step, "n_iter_": -(-step * size // n)}
        self._become(X, **found, **self._left(steps, x.dtype))
        return self

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
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
        x = self._samples(X, like=self._centres()[1] if fitted else None)
        weights = self._weights(sample_weight, x)
        if fitted:
            steps, before = self._resumed(), check.integer("n_steps_", self.n_steps_, 0)
        else:
            self._check_size(x)
            steps, before = self._start(x, weights, self._runs(default=3)), 0
        draws = steps.rng.bit_generator.state
        try:
            steps.take(x, weights)
            labels, inertia = nearest(x, weights, steps.centres, type(self).__name__)
        except BaseException:
            steps.rng.bit_generator.state = draws  # the next batch draws what it would have drawn without this one
            raise
        found = {"labels_": labels, "inertia_": inertia, "n_steps_": before + 1, **self._left(steps, x.dtype)}
        if fitted:
            vars(self).update(found)
        else:
            self._become(X, **found)
        return self
