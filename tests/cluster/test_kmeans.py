import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SIZES = [(60, 1, 3), (500, 5, 7), (900, 20, 30), (300, 3, 60)]


def blobs(rng, n, d, k, dtype=np.float64):
    return (4 * rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))).astype(dtype)


def lloyd(x, centres, max_iter, weight):
    """Lloyd's algorithm until no label changes; no cluster may run empty."""
    labels = None
    for _ in range(max_iter):
        before = labels
        labels, sums, counts, inertia = reference.kmeans_accumulate(x, centres, sample_weight=weight)
        assert counts.all()
        centres = sums / counts[:, None]
        if before is not None and np.array_equal(labels, before):
            break
    labels, _, _, inertia = reference.kmeans_accumulate(x, centres, sample_weight=weight)
    return labels, centres, inertia


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("max_iter", [1, 4, 300])
def test_fit_equals_its_definition(isa, rng, n, d, k, weighted, max_iter):
    x = blobs(rng, n, d, k)
    weight = rng.random(n) + 0.1 if weighted else None
    init = nk.kmeans_plus_plus(x, k, rng=rng)
    labels, centres, inertia = lloyd(x, init, max_iter, weight)
    fit = nk.KMeans(k, init=init, max_iter=max_iter, tol=0).fit(x, sample_weight=weight)
    assert fit.labels_.dtype == np.int32
    assert np.array_equal(fit.labels_, labels)
    # averages of at most n values, whose rounding errors are at most n eps of the largest
    assert (abs(fit.cluster_centers_ - centres) <= 2 * n * np.finfo(float).eps * abs(x).max()).all()
    assert abs(fit.inertia_ - inertia) <= (n + d) * np.finfo(float).eps * inertia
    assert type(fit.inertia_) is float
    assert fit.n_iter_ <= max_iter
    assert fit.n_features_in_ == d


def test_predict_transform_and_score_agree(isa, dtype, eps, rng):
    x, new = blobs(rng, 700, 6, 9, dtype), blobs(rng, 200, 6, 9, dtype)
    weight = rng.random(200)
    fit = nk.KMeans(9, random_state=0).fit(x)
    assert fit.cluster_centers_.dtype == dtype
    assert np.array_equal(fit.predict(x), fit.labels_)
    distances = fit.transform(new)
    assert distances.dtype == dtype
    exact = ((new[:, None].astype(float) - fit.cluster_centers_.astype(float)) ** 2).sum(2)
    assert (abs(distances - np.sqrt(exact)) <= 10 * eps * np.sqrt(exact)).all()
    chosen = exact[np.arange(200), fit.predict(new)]
    spread = ((fit.cluster_centers_ - fit.cluster_centers_.mean(0)) ** 2).sum(1).max() + exact.max()
    assert (chosen - exact.min(1) <= 4 * (6 + 16) * eps * 2 * spread).all()
    assert abs(fit.score(new) + chosen.sum()) <= 10 * eps * chosen.sum()
    assert abs(fit.score(new, sample_weight=weight) + weight @ chosen) <= 10 * eps * chosen.sum()
    assert np.array_equal(fit.fit_predict(x), fit.labels_)
    assert np.array_equal(fit.fit_transform(x), fit.transform(x))


@pytest.mark.parametrize("algorithm", ["lloyd", "elkan", "auto"])
def test_a_seed_a_layout_and_threads_decide_nothing_else(isa, dtype, rng, layouts, same_for_any_threads, algorithm):
    x = blobs(rng, 5000, 4, 12, dtype)

    def call(x=x):
        fit = nk.KMeans(12, random_state=3, algorithm=algorithm).fit(x)
        return fit.labels_, fit.cluster_centers_, fit.inertia_, fit.n_iter_, fit.transform(x)

    wanted = same_for_any_threads(call)
    for x_ in layouts(x):
        for a, b in zip(call(x_), wanted, strict=True):
            assert np.array_equal(a, b)


def test_random_states(rng):
    x = rng.standard_normal((300, 2))

    def centres(random_state, init="random"):
        return nk.KMeans(8, init=init, n_init=1, max_iter=1, random_state=random_state).fit(x).cluster_centers_

    for init in ("random", "k-means++"):
        assert np.array_equal(centres(3, init), centres(np.random.RandomState(3), init))
        assert np.array_equal(centres(np.random.default_rng(3), init), centres(np.random.default_rng(3), init))
        assert not np.array_equal(centres(3, init), centres(4, init))
    shared = np.random.RandomState(0)
    assert not np.array_equal(centres(shared), centres(shared))
    before = np.random.get_state()  # noqa: NPY002
    np.random.set_state(np.random.RandomState(5).get_state())  # noqa: NPY002
    try:
        first = centres(None)
        np.random.set_state(np.random.RandomState(5).get_state())  # noqa: NPY002
        assert np.array_equal(first, centres(None))
    finally:
        np.random.set_state(before)  # noqa: NPY002


def test_the_best_of_several_runs_stays(rng):
    x = blobs(rng, 400, 2, 15)
    seen = []

    def init(X, k, random_state):
        seen.append(random_state.randint(100))
        return X[len(seen) * k : (len(seen) + 1) * k]

    fit = nk.KMeans(15, init=init, random_state=0).fit(x)
    assert len(seen) == 10  # n_init="auto"
    single = [nk.KMeans(15, init=x[i * 15 : (i + 1) * 15]).fit(x).inertia_ for i in range(1, 11)]
    assert fit.inertia_ == min(single)
    assert nk.KMeans(15, n_init=20, random_state=0).fit(x).inertia_ <= nk.KMeans(15, random_state=0).fit(x).inertia_


def test_tolerance_is_relative_to_the_variance(rng):
    x = blobs(rng, 2000, 3, 10)
    init = x[:10]
    loose = nk.KMeans(10, init=init, tol=1e-2).fit(x)
    strict = nk.KMeans(10, init=init, tol=0).fit(x)
    assert loose.n_iter_ < strict.n_iter_
    assert nk.KMeans(10, init=init * 1000, tol=1e-2).fit(x * 1000).n_iter_ == loose.n_iter_
    # The last step was at most the tolerance, the one before it was not.
    steps = [nk.KMeans(10, init=init, max_iter=i, tol=0).fit(x).cluster_centers_ for i in range(1, loose.n_iter_ + 1)]
    shifts = [((a - b) ** 2).sum() for a, b in zip(steps, [init, *steps], strict=False)]
    assert shifts[-1] <= 1e-2 * x.var(0).mean()
    assert min(shifts[:-1]) > 1e-2 * x.var(0).mean()


def test_far_from_the_origin_labels_are_those_of_float64(isa, rng):
    x = (rng.standard_normal((3000, 10)) + 1e4).astype(np.float32)
    centres = (rng.standard_normal((20, 10)) + 1e4).astype(np.float32)
    fit = nk.KMeans(20, init=centres, max_iter=1).fit(x)
    double = nk.KMeans(20, init=centres, max_iter=1).fit(x.astype(float))
    squares = ((x[:, None].astype(float) - double.cluster_centers_) ** 2).sum(2)
    first, second = np.sort(squares, axis=1)[:, :2].T
    # products of d terms of the size of the squared distances, none of the size of the offset
    clear = second - first > 4 * (10 + 16) * np.finfo(np.float32).eps * second.max()
    assert clear.mean() > 0.99
    assert np.array_equal(fit.labels_[clear], squares.argmin(1)[clear])
    # and a whole fit, where clusters are apart
    x = (blobs(rng, 3000, 10, 20) + 1e4).astype(np.float32)
    init = nk.kmeans_plus_plus(x, 20, rng=rng)
    single, double = nk.KMeans(20, init=init, tol=0).fit(x), nk.KMeans(20, init=init, tol=0).fit(x.astype(float))
    assert np.array_equal(single.labels_, double.labels_)
    assert (abs(single.cluster_centers_ - double.cluster_centers_) <= np.finfo(np.float32).eps * 1e4).all()


def test_memory_does_not_grow_with_clusters():
    program = """if True:
        import resource
        import numpy as np, npkernels as nk
        x = np.random.default_rng(0).random((1_000_000, 4), dtype=np.float32)
        fit = lambda n, k: nk.KMeans(k, init=x[:k], max_iter=1).fit(x[:n])
        fit(1000, 500)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        fit(1_000_000, 500)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    grown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 32 << 10  # labels, twice, are 8 MB; distances to all centres would be 2 GB


def test_empty_clusters_move_to_the_farthest_samples():
    x = np.array([[0.0], [1.0], [2.0], [30.0], [31.0], [100.0]])
    init = np.array([[1.0], [1e6], [2e6]])
    fit = nk.KMeans(3, init=init).fit(x)
    assert sorted(fit.cluster_centers_.ravel()) == [1.0, 30.5, 100.0]
    # a sample without weight is no centre
    fit = nk.KMeans(2, init=init[:2], max_iter=1).fit(x, sample_weight=[1, 1, 1, 1, 1, 0])
    assert 100.0 not in fit.cluster_centers_


def test_fewer_distinct_samples_than_clusters_warn(dtype):
    x = np.repeat(np.arange(3, dtype=dtype)[:, None], 5, axis=0)
    message = re.escape("Number of distinct clusters (3) found smaller than n_clusters (5). Possibly due to duplicate")
    with pytest.warns(UserWarning, match=message) as caught:
        fit = nk.KMeans(5, random_state=0).fit(x)
    assert caught[0].filename == __file__
    assert caught[0].category.__name__ == "ConvergenceWarning"
    assert fit.inertia_ == 0
    assert np.array_equal(fit.predict(x), fit.labels_)


def test_kinds_of_input(rng):
    x = rng.integers(0, 9, (60, 3))
    wanted = nk.KMeans(4, random_state=0).fit(x.astype(float))
    for same in (x, x.tolist(), x.astype(np.float16), x.astype(">f4"), x.astype(object), np.asfortranarray(x)):
        fit = nk.KMeans(4, random_state=0).fit(same)
        assert fit.cluster_centers_.dtype == np.float64
        assert np.array_equal(fit.cluster_centers_, wanted.cluster_centers_)
    single = nk.KMeans(4, random_state=0).fit(x.astype(np.float32))
    assert single.cluster_centers_.dtype == np.float32
    assert np.array_equal(single.predict(x), single.labels_)  # X in another dtype


def test_weights_count_as_repetition(rng):
    x = blobs(rng, 200, 3, 4)
    repeats = rng.integers(0, 4, 200)
    init = x[:4]
    weighted = nk.KMeans(4, init=init, tol=0).fit(x, sample_weight=repeats)
    repeated = nk.KMeans(4, init=init, tol=0).fit(x.repeat(repeats, axis=0))
    assert np.array_equal(weighted.labels_.repeat(repeats), repeated.labels_)
    eps = np.finfo(float).eps  # sums of some 300 numbers in other orders
    assert np.allclose(weighted.cluster_centers_, repeated.cluster_centers_, rtol=0, atol=32 * eps * abs(x).max())
    assert np.isclose(weighted.inertia_, repeated.inertia_, rtol=32 * eps)
    twice = nk.KMeans(4, init=init, tol=0).fit(x, sample_weight=2)
    assert np.isclose(twice.inertia_, 2 * nk.KMeans(4, init=init, tol=0).fit(x).inertia_, rtol=32 * eps)


def test_verbose_prints_a_line_an_iteration(rng, capsys):
    x = rng.standard_normal((100, 2))
    fit = nk.KMeans(5, verbose=1, tol=0, random_state=0).fit(x)
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("Iteration ")]) == fit.n_iter_
    assert lines[-1].startswith("Converged")
    nk.KMeans(5, random_state=0).fit(x)
    assert capsys.readouterr().out == ""


def test_parameters(rng):
    kmeans = nk.KMeans(3, tol=0.5)
    assert kmeans.get_params()["n_clusters"] == 3
    assert kmeans.set_params(n_clusters=4, tol=0.25) is kmeans
    assert repr(kmeans) == "KMeans(n_clusters=4, tol=0.25)"
    with pytest.raises(ValueError, match="Invalid parameter 'k' for estimator KMeans"):
        kmeans.set_params(k=3)
    fit = kmeans.fit(rng.standard_normal((20, 2)))
    again = pickle.loads(pickle.dumps(fit))
    assert np.array_equal(again.cluster_centers_, fit.cluster_centers_)
    assert fit.get_feature_names_out().tolist() == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]


class Frame:
    """As much of a data frame as an estimator looks at."""

    def __init__(self, values, columns):
        self.values, self.columns = values, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def test_feature_names(rng):
    x = rng.standard_normal((20, 2))
    fit = nk.KMeans(2, random_state=0).fit(Frame(x, ["a", "b"]))
    assert fit.feature_names_in_.tolist() == ["a", "b"]
    fit.predict(Frame(x, ["a", "b"]))
    with pytest.warns(UserWarning, match="X does not have valid feature names, but KMeans was fitted with"):
        fit.predict(x)
    with pytest.raises(ValueError, match="Feature names must be in the same order"):
        fit.predict(Frame(x, ["b", "a"]))
    with pytest.raises(
        ValueError, match="unseen at fit time:\n- c\nFeature names seen at fit time, yet now missing:\n- b"
    ):
        fit.predict(Frame(x, ["a", "c"]))
    with pytest.raises(TypeError, match="Feature names are only supported if all input features have string names"):
        fit.fit(Frame(x, ["a", 1]))
    assert not hasattr(fit.fit(x), "feature_names_in_")
    with pytest.warns(UserWarning, match="X has feature names, but KMeans was fitted without feature names"):
        fit.predict(Frame(x, ["a", "b"]))


class Sparse:
    nnz = 1

    def toarray(self):
        return np.eye(3)


X = np.arange(20.0).reshape(10, 2)
NAN, INF = X.copy(), X.copy()
NAN[3, 1], INF[3, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: nk.KMeans(0).fit(X),
            ValueError,
            "'n_clusters' parameter of KMeans must be an int in the range [1, inf)",
        ),
        (lambda: nk.KMeans(2.0).fit(X), TypeError, "'n_clusters' parameter of KMeans must be an int"),
        (lambda: nk.KMeans(True).fit(X), ValueError, "'n_clusters' parameter of KMeans"),
        (lambda: nk.KMeans(11).fit(X), ValueError, "n_samples=10 should be >= n_clusters=11."),
        (
            lambda: nk.KMeans(2, init="best").fit(X),
            ValueError,
            "'init' parameter of KMeans must be a str among {'k-means",
        ),
        (lambda: nk.KMeans(2, n_init=0).fit(X), ValueError, "'n_init' parameter of KMeans"),
        (lambda: nk.KMeans(2, max_iter=0).fit(X), ValueError, "'max_iter' parameter of KMeans"),
        (lambda: nk.KMeans(2, tol=-1).fit(X), ValueError, "must be a float in the range [0.0, inf). Got -1 instead."),
        (lambda: nk.KMeans(2, random_state="a").fit(X), ValueError, "'random_state' parameter of KMeans"),
        (lambda: nk.KMeans(2, algorithm="full").fit(X), ValueError, "'algorithm' parameter of KMeans"),
        (lambda: nk.KMeans(2, init=X[:3]).fit(X), ValueError, "(3, 2) does not match the number of clusters 2."),
        (
            lambda: nk.KMeans(2, init=X[:2, :1]).fit(X),
            ValueError,
            "does not match the number of features of the data 2.",
        ),
        (lambda: nk.KMeans(2, init=NAN[2:4]).fit(X), ValueError, "Input init contains NaN"),
        (lambda: nk.KMeans(2, init=lambda X, k, random_state: X).fit(X), ValueError, "does not match the number of"),
        (lambda: nk.KMeans(2).fit(NAN), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2, init=X[:2], tol=0).fit(NAN), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2, init="random", n_init=1).fit(INF), ValueError, "Input X contains infinity"),
        (lambda: nk.KMeans(2).fit(X).predict(NAN), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2).fit(X).transform(INF), ValueError, "Input X contains infinity"),
        (lambda: nk.KMeans(2).predict(X), ValueError, "This KMeans instance is not fitted yet."),
        (lambda: nk.KMeans(2).transform(X), AttributeError, "This KMeans instance is not fitted yet."),
        (lambda: nk.KMeans(2).get_feature_names_out(), AttributeError, "This KMeans instance is not fitted yet."),
        (
            lambda: nk.KMeans(2).fit(X).predict(X[:, :1]),
            ValueError,
            "X has 1 features, but KMeans is expecting 2 features",
        ),
        (lambda: nk.KMeans(2).fit(X[:, 0]), ValueError, "Expected 2D array, got 1D array instead"),
        (lambda: nk.KMeans(2).fit(X[0, 0]), ValueError, "Expected 2D array, got scalar array instead"),
        (
            lambda: nk.KMeans(2).fit(X[None]),
            ValueError,
            "Found array with dim 3, while dim <= 2 is required by KMeans.",
        ),
        (
            lambda: nk.KMeans(2).fit(X[:0]),
            ValueError,
            "Found array with 0 sample(s) (shape=(0, 2)) while a minimum of 1",
        ),
        (lambda: nk.KMeans(2).fit(X[:, :0]), ValueError, "Found array with 0 feature(s) (shape=(10, 0))"),
        (lambda: nk.KMeans(2).fit(X + 1j), ValueError, "Complex data not supported"),
        (lambda: nk.KMeans(2).fit(Sparse()), TypeError, "Sparse data was passed for X, but dense data is required."),
        (lambda: nk.KMeans(2).fit([["a", "b"]] * 5), ValueError, "could not convert string to float"),
        (lambda: nk.KMeans(2).fit(np.array([[{}]] * 5)), TypeError, "argument must be a string or a real number"),
        (lambda: nk.KMeans(2).fit(X.astype("M8[s]")), TypeError, "X must be numbers, got datetime64"),
        (lambda: nk.KMeans(2).fit(np.ma.masked_array(X)), TypeError, "X must be a plain array, got a masked array"),
        (
            lambda: nk.KMeans(2).fit(X, sample_weight=np.zeros(10)),
            ValueError,
            "must contain at least one non-zero number",
        ),
        (
            lambda: nk.KMeans(2).fit(X, sample_weight=-np.ones(10)),
            ValueError,
            "Negative values in data passed to `sample_w",
        ),
        (lambda: nk.KMeans(2).fit(X, sample_weight=NAN[:, 1]), ValueError, "Input sample_weight contains NaN"),
        (
            lambda: nk.KMeans(2).fit(X, sample_weight=np.ones(9)),
            ValueError,
            "sample_weight.shape == (9,), expected (10,)!",
        ),
        (lambda: nk.KMeans(2).fit(X, sample_weight=X), ValueError, "Sample weights must be 1D array or scalar, got 2D"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_an_array_to_start_from_needs_one_run():
    with pytest.warns(
        RuntimeWarning, match="Explicit initial center position passed: performing only one init in KMeans"
    ):
        nk.KMeans(2, init=X[:2], n_init=3).fit(X)


def test_elkan_needs_more_than_one_cluster():
    with pytest.warns(RuntimeWarning, match="algorithm='elkan' doesn't make sense for a single cluster"):
        assert nk.KMeans(1, algorithm="elkan").fit(X).cluster_centers_.tolist() == [[9.0, 10.0]]


def test_input_is_not_written(rng):
    x, init, weight = rng.standard_normal((50, 3)), rng.standard_normal((4, 3)), rng.random(50)
    for array in (x, init, weight):
        array.flags.writeable = False
    copies = x.copy(), init.copy()
    nk.KMeans(4, init=init, copy_x=False).fit(x, sample_weight=weight)
    assert np.array_equal(x, copies[0])
    assert np.array_equal(init, copies[1])
