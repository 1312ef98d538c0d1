import warnings

import numpy as np
import pytest

import npkernels as nk

SIZES = [(60, 1, 3), (500, 5, 7), (900, 20, 30), (300, 3, 60)]
X = np.arange(20.0).reshape(10, 2)


def blobs(rng, n, d, k):
    return 4 * rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))


def sklearn_cluster():
    return pytest.importorskip("sklearn.cluster")


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("far", [0, 2])
def test_same_start_gives_the_labels_of_scikit_learn(rng, n, d, k, weighted, far):
    x = blobs(rng, n, d, k)
    init = x[:k].copy()
    init[:far] = 100 + np.arange(far)[:, None]  # empty clusters
    weight = rng.random(n) if weighted else None
    ours = nk.KMeans(k, init=init).fit(x, sample_weight=weight)
    theirs = sklearn_cluster().KMeans(k, init=init).fit(x, sample_weight=weight)
    assert np.array_equal(ours.labels_, theirs.labels_)
    assert ours.n_iter_ == theirs.n_iter_
    # the same labels, so that centres are averages of the same up to 900 samples, by other sums
    eps, scale = np.finfo(float).eps, abs(theirs.cluster_centers_).max()
    assert np.allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=0, atol=64 * eps * scale)
    assert np.isclose(ours.inertia_, theirs.inertia_, rtol=64 * eps)
    # scikit-learn's distances are differences of squares: off by eps |x|^2 before the root
    squares = (x**2).sum(1).max() + (ours.cluster_centers_**2).sum(1).max()
    assert np.allclose(ours.transform(x) ** 2, theirs.transform(x) ** 2, rtol=0, atol=64 * eps * squares)


def test_classes_of_scikit_learn_are_raised():
    sklearn_cluster()
    from sklearn.base import clone, is_clusterer
    from sklearn.exceptions import ConvergenceWarning, NotFittedError

    with pytest.raises(NotFittedError):
        nk.KMeans().predict(X)
    with pytest.warns(ConvergenceWarning):
        nk.KMeans(3, random_state=0).fit(np.zeros((5, 2)))
    assert is_clusterer(nk.KMeans())
    copy = clone(nk.KMeans(7, init=X))
    assert np.array_equal(copy.init, X)


# Draws follow the order of the samples, which repetition changes; scikit-learn excepts its own estimator likewise.
EXCEPTED = {"check_sample_weight_equivalence_on_dense_data": "other draws for repeated samples"}


def test_checks_of_scikit_learn():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = nk.KMeans(n_clusters=2, n_init=2, max_iter=5)
        results = checks.check_estimator(estimator, expected_failed_checks=EXCEPTED, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) >= 50
