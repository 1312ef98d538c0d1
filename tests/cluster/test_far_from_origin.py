"""float32 samples whose distance from the origin is large against what they differ by: k-means finds what it finds in
float64, up to the rounding of differences between samples and centres."""

import pickle

import numpy as np
import pytest

import npkernels as nk

EPS = np.finfo(np.float32).eps
OFFSETS = [0.0, 1e4, 1e6, -1e7]
N, D, K = 3000, 10, 20


@pytest.fixture(params=OFFSETS, ids=str)
def x(request, rng):
    """Samples without clusters, so that many are near a border."""
    return (rng.standard_normal((N, D)) + request.param * rng.uniform(0.5, 1, D)).astype(np.float32)


def exact_distances(x, fit):
    return np.sqrt(((x[:, None].astype(float) - fit.cluster_centers_) ** 2).sum(2))


def assert_close(single, double, x, labels_that_differ=0):
    """A fit of float32 is that of float64. What is left is rounding at the scale of differences, not of the offset."""
    assert single.n_iter_ == double.n_iter_
    assert (single.labels_ != double.labels_).sum() <= labels_that_differ
    assert abs(single.inertia_ - double.inertia_) <= (D + 16) * EPS * double.inertia_
    assert single.cluster_centers_.dtype == np.float32
    assert np.array_equal(single.cluster_centers_, double.cluster_centers_.astype(np.float32))
    wanted = exact_distances(x, double)
    assert (abs(single.transform(x) - wanted) <= (D + 8) * EPS * wanted).all()
    assert np.array_equal(single.predict(x), single.labels_)
    assert -single.score(x) == single.inertia_


@pytest.mark.parametrize("tol", [0, 1e-4])
def test_fit(isa, x, tol):
    single, double = (nk.KMeans(K, init=x[:K], tol=tol).fit(x_) for x_ in (x, x.astype(float)))
    assert_close(single, double, x)
    again = pickle.loads(pickle.dumps(single))
    assert np.array_equal(again.predict(x), single.labels_)


def test_fit_of_blocks(x):
    da = pytest.importorskip("dask.array")
    blocks = da.from_array(x, chunks=(700, D))
    fit, wanted = nk.KMeans(K, init=x[:K]).fit(blocks), nk.KMeans(K, init=x[:K]).fit(x)
    assert np.array_equal(fit.labels_.compute(), wanted.labels_)
    assert np.array_equal(fit.cluster_centers_, wanted.cluster_centers_)
    assert np.array_equal(fit.predict(blocks).compute(), wanted.labels_)
    assert np.array_equal(fit.transform(blocks).compute(), wanted.transform(x))
    assert abs(fit.score(blocks) + wanted.inertia_) <= 1e-6 * wanted.inertia_
    assert fit.n_iter_ == wanted.n_iter_


def test_batches(x):
    def fits(x):
        whole = nk.MiniBatchKMeans(K, random_state=0, init=x[:K].astype(np.float32), reassignment_ratio=0).fit(x)
        parts = nk.MiniBatchKMeans(K, random_state=0, init=x[:K].astype(np.float32), reassignment_ratio=0)
        for first in range(0, N, 500):
            parts.partial_fit(x[first : first + 500])
        return whole, parts

    for single, double, seen in zip(fits(x), fits(x.astype(float)), (x, x[-500:]), strict=True):
        assert single.n_steps_ == double.n_steps_
        assert np.array_equal(single.labels_, double.labels_)
        assert abs(single.inertia_ - double.inertia_) <= (D + 16) * EPS * double.inertia_
        assert np.array_equal(single.cluster_centers_, double.cluster_centers_.astype(np.float32))
        assert np.array_equal(single.predict(seen), single.labels_)


@pytest.mark.parametrize("offset", [0, 1e3, 1e4])  # beyond, rounded samples have equal distances too often
def test_labels_are_those_of_scikit_learn(rng, offset):
    cluster = pytest.importorskip("sklearn.cluster")
    x = (rng.standard_normal((N, D)) + offset).astype(np.float32)
    ours, theirs = nk.KMeans(K, init=x[:K]).fit(x), cluster.KMeans(K, init=x[:K]).fit(x.astype(float))
    assert np.array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
    assert np.isclose(ours.inertia_, theirs.inertia_, rtol=1e-5)


def test_equal_integers_go_to_the_lowest_index(rng):
    # Differences of integers are exact at any of these offsets: equal distances are equal.
    da = pytest.importorskip("dask.array")
    for offset in (0, 1 << 12, 1 << 20):
        x = (rng.integers(-4, 5, (400, 3)) * 2 + offset).astype(np.float32)
        init = x[[0, 1, 2, 3, 0, 1]]
        centres = init.astype(float)
        wanted = ((x[:, None] - centres) ** 2).sum(2).argmin(1)
        fit = nk.KMeans(6, init=init, max_iter=1).fit(x)
        fit.cluster_centers_ = init
        assert np.array_equal(fit.predict(x), wanted)
        assert np.array_equal(fit.predict(da.from_array(x, chunks=(90, 3))).compute(), wanted)
        ours = nk.KMeans(6, init=init).fit(x)
        blocks = nk.KMeans(6, init=init).fit(da.from_array(x, chunks=(90, 3)))
        assert np.array_equal(ours.labels_, blocks.labels_.compute())
        assert np.array_equal(ours.labels_, nk.KMeans(6, init=init).fit(x.astype(float)).labels_)


def test_centres_that_are_set_count(x):
    fit = nk.KMeans(K, init=x[:K], max_iter=3).fit(x)
    fit.cluster_centers_ = fit.cluster_centers_.copy()  # the same numbers: nothing changes
    assert np.array_equal(fit.predict(x), fit.labels_)
    fit.cluster_centers_ = fit.cluster_centers_[::-1]
    assert np.array_equal(fit.predict(x), nk.kmeans_assign(x, fit.cluster_centers_))
