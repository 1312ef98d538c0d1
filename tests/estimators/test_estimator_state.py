"""What is left of an estimator when a fit fails, what changed attributes do to it, and what it prints."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import npkernels as nk
from npkernels._kernels import cluster as _cluster, gram as _gram
from npkernels.cluster._lloyd import Samples

from ..fuzz import scikit_learn, tampering

X = np.random.default_rng(0).standard_normal((60, 3))
NAN = X.copy()
NAN[-1, 1] = np.nan


class Frame(tampering.Frame):
    pass


def test_every_change_of_an_attribute_in_every_method():
    calls, wrong = tampering.batch()
    assert wrong == []
    assert calls > 20000


def test_the_estimators_against_scikit_learn():
    pytest.importorskip("sklearn")
    # 400 of the calls that `python -m tests.fuzz` makes without end
    assert scikit_learn.batch(0, 0, 400) is None


def test_the_first_labels_are_compared_with_none():
    # They were compared with memory that nobody had written: zeros, mostly.
    fit = nk.KMeans(2, init=[[0.5, 0.5], [3, 3]], n_init=1).fit([[0, 0], [0.5, 0], [0.5, 1], [1, 1]])
    assert fit.inertia_ == 0.25
    data = Samples(np.zeros((5, 2)), None, 1, "KMeans")
    for _ in range(2):
        data.begin()
        assert not data.step(np.zeros((1, 2)), False).settled
        assert data.step(np.zeros((1, 2)), False).settled


@pytest.mark.parametrize("fill", [0x00, 0x7F, 0xFF])
def test_memory_that_nobody_wrote_is_not_read(monkeypatch, fill):
    def fits():
        x32 = X.astype(np.float32)
        for x, k in itertools.product((X, x32, np.repeat(X[:5], 9, axis=0)), (1, 4)):
            fit = nk.KMeans(k, random_state=0, n_init=2, tol=1e-3).fit(x)
            yield from (fit.labels_, fit.cluster_centers_, fit.inertia_, fit.n_iter_, fit.transform(x), fit.score(x))
            fit = nk.MiniBatchKMeans(k, random_state=0, batch_size=20, tol=1e-3).fit(x).partial_fit(x)
            yield from (fit.labels_, fit.cluster_centers_, fit.inertia_)
            yield nk.kmeans_plus_plus(x, k, rng=np.random.default_rng(0))
            for solver in ("full", "covariance_eigh", "randomized"):
                fit = nk.PCA(2, svd_solver=solver, random_state=0).fit(x)
                yield from (fit.components_, fit.explained_variance_, fit.transform(x), fit.score_samples(x))

    def poisoned(shape, dtype=float, **options):
        made = empty(shape, dtype, **options)
        if made.dtype.kind in "fiu" and made.flags.c_contiguous:
            made.reshape(-1).view(np.uint8)[...] = fill
        return made

    wanted, empty = list(fits()), np.empty
    monkeypatch.setattr(np, "empty", poisoned)
    for a, b in zip(fits(), wanted, strict=True):
        assert np.array_equal(a, b)


# ---- A fit that fails ------------------------------------------------------------------------------------------------

FITTED = [
    nk.KMeans(3, random_state=0).fit(X),
    nk.MiniBatchKMeans(3, random_state=0, batch_size=20, max_iter=3).fit(X).partial_fit(X),
    nk.PCA(2).fit(X),
    nk.KMeans(3, random_state=0).fit(Frame(X)),
    nk.PCA(2, svd_solver="randomized", random_state=0).fit(Frame(X)),
]


def state(model):
    return pickle.dumps(dict(sorted(vars(model).items())))


def failing(method):
    """Calls of a fit that fail early or late."""
    wide = np.concatenate([NAN, X], axis=1)
    if method != "partial_fit":
        yield lambda f: f(wide), {}
        yield lambda f: f(wide[:, :1]), {}
        yield lambda f: f(Frame(NAN)), {}
    yield lambda f: f(NAN), {}
    yield lambda f: f(NAN.astype(np.float32)), {}
    yield lambda f: f(X[:1]), {"n_clusters": 2, "n_components": 2}
    yield lambda f: f(np.full((40, 3), 1e308)), {}
    yield lambda f: f(X[0]), {}
    yield lambda f: f(X), {"n_clusters": 0, "n_components": -1}
    yield lambda f: f(X, sample_weight=-np.ones(60)), {}


@pytest.mark.parametrize("fitted", FITTED, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("method", ["fit", "fit_predict", "fit_transform", "partial_fit"])
def test_a_fit_that_fails_leaves_the_old_model(fitted, method):
    if not hasattr(fitted, method):
        return
    failed = 0
    for call, parameters in failing(method):
        model = copy.deepcopy(fitted)
        model.set_params(**{name: value for name, value in parameters.items() if name in model.get_params()})
        before = state(model)
        try:
            with np.errstate(all="ignore"):
                call(getattr(model, method))
        except (TypeError, ValueError):
            failed += 1
            assert state(model) == before
            model.transform(Frame(X) if hasattr(model, "feature_names_in_") else X)
    assert failed >= 4


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("fitted", FITTED, ids=lambda m: type(m).__name__)
def test_a_fit_that_is_interrupted_anywhere_leaves_the_old_model(monkeypatch, fitted, error):
    left = 0

    def interrupted(function):
        def call(*args, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise error
            return function(*args, **options)

        return call

    for module, name in ((_cluster, "assign"), (_cluster, "accumulate"), (_gram, "triangle"), (np, "empty")):
        monkeypatch.setattr(module, name, interrupted(getattr(module, name)))
    other = np.concatenate([X, X], axis=1)
    for method, x in (("fit", other), ("partial_fit", X)):
        if not hasattr(fitted, method):
            continue
        for allowed in range(200):
            left = 1 << 30
            model = copy.deepcopy(fitted)
            before, left = state(model), allowed
            try:
                getattr(model, method)(x)
                break
            except error:
                left = 1 << 30
                assert state(model) == before
        left = 1 << 30
        assert 1 <= allowed < 199


def test_a_batch_that_fails_draws_nothing():
    def fit():
        return nk.MiniBatchKMeans(3, random_state=0, reassignment_ratio=1).partial_fit(X)

    with_failure, without = fit(), fit()
    for _ in range(8):
        for bad in (NAN, X[:, :2]):
            with pytest.raises(ValueError):
                with_failure.partial_fit(bad)
        with_failure.partial_fit(X)
        without.partial_fit(X)
    assert np.array_equal(with_failure.cluster_centers_, without.cluster_centers_)


def test_numbers_whose_sums_overflow_are_refused():
    for x in (np.full((4, 1), 1e308), np.array([[1e308], [1.2e308], [-1e308], [0.0]])):
        for model in (nk.KMeans(1), nk.KMeans(2, init=x[-2:]), nk.KMeans(1, tol=0), nk.KMeans(1, max_iter=1)):
            with np.errstate(all="ignore"), pytest.raises(ValueError, match="contains a value too large"):
                model.fit(x)
    x = np.array([[3e38], [-3e38], [1.0]], np.float32)  # sums are float64
    assert np.isfinite(nk.KMeans(1).fit(x).cluster_centers_).all()


# ---- What it prints --------------------------------------------------------------------------------------------------

PARAMETERS = {
    "KMeans": {
        "n_clusters": (8, 3), "init": ("k-means++", "random", np.eye(2), [[0.5, 0.5], [3, 3]], np.zeros((40, 9))),
        "n_init": ("auto", 1), "max_iter": (300, 30), "tol": (1e-4, 0.0001, 0, 1e-5), "verbose": (0, 1, False),
        "random_state": (None, 0, 2**31), "copy_x": (True, False), "algorithm": ("lloyd", "elkan"),
    },
    "MiniBatchKMeans": {
        "n_clusters": (8, 3), "init": ("k-means++", "random", np.arange(300.0).reshape(100, 3)), "max_iter": (100, 5),
        "batch_size": (1024, 77), "verbose": (0, 1), "random_state": (None, 7), "tol": (0.0, 0, 1e-3),
        "max_no_improvement": (10, None), "n_init": ("auto", 3), "reassignment_ratio": (0.01, 1e-2, 0.5),
    },
    "PCA": {
        "n_components": (None, 2, 0.5, "mle"), "copy": (True, False), "whiten": (False, True),
        "svd_solver": ("auto", "randomized", "covariance_eigh"), "random_state": (None, 3),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_representation_is_that_of_scikit_learn(rng, name):
    pytest.importorskip("sklearn")
    from sklearn import cluster, decomposition

    ours, theirs = getattr(nk, name), getattr(cluster, name, None) or getattr(decomposition, name)
    for _ in range(200):
        chosen = {key: values[rng.integers(len(values))] for key, values in PARAMETERS[name].items()}
        some = {key: value for key, value in chosen.items() if rng.random() < 0.7}
        assert repr(ours(**some)) == repr(theirs(**some))


def test_subclasses():
    class Named(nk.KMeans):
        def __init__(self, label, n_clusters=3, *, random_state=0):
            super().__init__(n_clusters, random_state=random_state)
            self.label = label

        def fit(self, X, y=None, sample_weight=None):
            super().fit(X, sample_weight=sample_weight)
            self.cluster_centers_ = self.cluster_centers_[np.argsort(self.cluster_centers_[:, 0])]
            return self

    model = Named("first").fit(X)
    assert repr(model) == "Named(label='first')"
    assert model.get_params() == {"label": "first", "n_clusters": 3, "random_state": 0}
    assert np.array_equal(model.predict(X), nk.kmeans_assign(X, np.ascontiguousarray(model.cluster_centers_)))
