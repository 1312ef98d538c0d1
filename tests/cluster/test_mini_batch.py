import pickle
import warnings

import numpy as np
import pytest

import npkernels as nk

GRID = 20.0 * np.array([(i, j, i * j) for i in range(3) for j in range(2)])  # centres of 6 clusters of radius 1


def blobs(rng, n, dtype=np.float64):
    return (GRID[rng.integers(0, 6, n)] + rng.uniform(-1, 1, (n, 3))).astype(dtype)


def found(fit):
    """Whether every centre lies within the radius of its own cluster."""
    nearest = abs(fit.cluster_centers_[:, None] - GRID).max(2)
    return (nearest.min(1) < 1).all() and len(set(nearest.argmin(1))) == 6


@pytest.mark.parametrize("init", ["k-means++", "random", GRID + 3, lambda X, k, random_state: X[:k]])
@pytest.mark.parametrize("weighted", [False, True])
def test_fit_finds_separate_clusters(isa, dtype, rng, init, weighted):
    x = blobs(rng, 5000, dtype)
    weight = rng.random(5000) if weighted else None
    n_init = 400 if isinstance(init, str) and init == "random" else "auto"  # 6! / 6^6 = 1.5 % of the draws are good
    fit = nk.MiniBatchKMeans(6, init=init, n_init=n_init, reassignment_ratio=0.2, random_state=0)
    assert fit.fit(x, sample_weight=weight) is fit
    assert fit.cluster_centers_.dtype == dtype
    if isinstance(init, (str, np.ndarray)):
        assert found(fit)
    assert np.array_equal(fit.predict(x), fit.labels_)
    w = np.ones(5000) if weight is None else weight
    away = x.astype(float) - fit.cluster_centers_.astype(float)[fit.labels_]
    # squares of differences near 60, which float32 holds to 2^-19: of the size of 1, relative
    assert np.isclose(fit.inertia_, (w * (away**2).sum(1)).sum(), rtol=8 * np.finfo(dtype).eps)
    assert fit.n_steps_ >= 1
    assert fit.n_iter_ == -(-fit.n_steps_ * 1024 // 5000)


def test_a_step_averages_all_samples_so_far(isa, rng):
    # From given centres, with weights and without reassignment, batches give weighted averages of all they assigned.
    batches = [blobs(rng, 300) for _ in range(4)]
    weights = [rng.random(300) + 0.1 for _ in range(4)]
    fit = nk.MiniBatchKMeans(6, init=GRID, reassignment_ratio=0)
    for batch, weight in zip(batches, weights, strict=True):
        fit.partial_fit(batch, sample_weight=weight)
    x, w = np.concatenate(batches), np.concatenate(weights)
    labels = nk.kmeans_assign(x, GRID)  # no sample is near a border
    wanted = [np.average(x[labels == j], axis=0, weights=w[labels == j]) for j in range(6)]
    # averages of some hundred numbers up to 60
    assert np.allclose(fit.cluster_centers_, wanted, rtol=0, atol=16 * np.finfo(float).eps * 60)
    assert fit.n_steps_ == 4
    assert np.array_equal(fit.labels_, labels[-300:])


def test_batches_of_a_generator(dtype):
    local = np.random.default_rng(1)
    fit = nk.MiniBatchKMeans(6, random_state=0, reassignment_ratio=0.2)
    for batch in (blobs(local, 200, dtype) for _ in range(60)):
        fit.partial_fit(batch)
    assert found(fit)
    assert fit.n_steps_ == 60
    before = fit.cluster_centers_.copy()
    again = pickle.loads(pickle.dumps(fit)).partial_fit(batch)  # goes on from where it was
    assert again.n_steps_ == 61
    # some 33 samples within 1 of each of 6 centres that 2000 have moved already
    assert (abs(again.cluster_centers_ - before) < 0.05).all()


def test_a_memory_mapped_array_is_not_read_whole_into_memory(tmp_path, rng):
    path = tmp_path / "x.npy"
    np.save(path, blobs(rng, 20000, np.float32))
    mapped = np.load(path, mmap_mode="r")
    in_memory = nk.MiniBatchKMeans(6, random_state=0).fit(np.load(path))
    fit = nk.MiniBatchKMeans(6, random_state=0).fit(mapped)
    assert np.array_equal(fit.cluster_centers_, in_memory.cluster_centers_)
    assert np.array_equal(nk.MiniBatchKMeans(6, random_state=0).fit_predict(mapped), fit.labels_)


def test_threads_and_layouts_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads):
    x = blobs(rng, 4000, dtype)

    def call(x=x):
        fit = nk.MiniBatchKMeans(9, random_state=3).fit(x)
        return fit.cluster_centers_, fit.labels_, fit.inertia_, fit.n_steps_

    wanted = same_for_any_threads(call)
    for x_ in layouts(x):
        for a, b in zip(call(x_), wanted, strict=True):
            assert np.array_equal(a, b)


def test_samples_of_weight_0_do_not_count(rng):
    x = np.concatenate([blobs(rng, 500), np.full((500, 3), 1e6)])
    weight = np.repeat([1.0, 0.0], 500)
    fit = nk.MiniBatchKMeans(6, random_state=0, reassignment_ratio=0.2).fit(x, sample_weight=weight)
    assert found(fit)
    for _ in range(5):
        fit.partial_fit(x, sample_weight=weight)
    assert abs(fit.cluster_centers_).max() < 1e3


def test_centres_of_little_weight_move(rng):
    far = GRID.copy()
    far[3] = 1e6
    x = blobs(rng, 3000)
    stays = nk.MiniBatchKMeans(6, init=far, reassignment_ratio=0, random_state=0).fit(x)
    assert stays.cluster_centers_.max() == 1e6
    moves = nk.MiniBatchKMeans(6, init=far, reassignment_ratio=0.01, random_state=0).fit(x)
    assert abs(moves.cluster_centers_).max() < 100
    for ratio in (1, 5):  # even where nearly all or all are light
        assert np.isfinite(nk.MiniBatchKMeans(6, init=far, reassignment_ratio=ratio).fit(x).cluster_centers_).all()


def test_when_a_fit_ends(rng):
    x = blobs(rng, 2000)
    whole = nk.MiniBatchKMeans(6, init=GRID, max_iter=7, batch_size=100, max_no_improvement=None).fit(x)
    assert whole.n_steps_ == 7 * 2000 // 100
    assert whole.n_iter_ == 7
    assert nk.MiniBatchKMeans(6, init=GRID, max_iter=7, batch_size=100, max_no_improvement=3).fit(x).n_steps_ < 140
    small = nk.MiniBatchKMeans(6, init=GRID, max_iter=7, batch_size=100, max_no_improvement=None, tol=0.01).fit(x)
    assert 2 <= small.n_steps_ < 140


def test_verbose_prints_a_line_a_step(rng, capsys):
    fit = nk.MiniBatchKMeans(6, verbose=1, batch_size=100, random_state=0).fit(blobs(rng, 1000))
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("Minibatch step")]) == fit.n_steps_
    assert lines[0].startswith("Initialization complete")


X = np.arange(20.0).reshape(10, 2)
NAN = np.where(X == 7, np.nan, X)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.MiniBatchKMeans(11).fit(X), ValueError, "n_samples=10 should be >= n_clusters=11."),
        (lambda: nk.MiniBatchKMeans(11).partial_fit(X), ValueError, "n_samples=10 should be >= n_clusters=11."),
        (
            lambda: nk.MiniBatchKMeans(2, batch_size=0).fit(X),
            ValueError,
            "'batch_size' parameter of MiniBatchKMeans must",
        ),
        (
            lambda: nk.MiniBatchKMeans(2, max_no_improvement=-1).fit(X),
            ValueError,
            "an int in the range [0, inf) or None.",
        ),
        (lambda: nk.MiniBatchKMeans(2, reassignment_ratio=-1).fit(X), ValueError, "'reassignment_ratio' parameter of"),
        (lambda: nk.MiniBatchKMeans(2, tol="a").partial_fit(X), TypeError, "'tol' parameter of MiniBatchKMeans"),
        (lambda: nk.MiniBatchKMeans(2).fit(NAN), ValueError, "Input X contains NaN.\nMiniBatchKMeans does not accept"),
        (lambda: nk.MiniBatchKMeans(2).partial_fit(NAN), ValueError, "Input X contains NaN"),
        (lambda: nk.MiniBatchKMeans(2).fit(X).partial_fit(NAN), ValueError, "Input X contains NaN"),
        (
            lambda: nk.MiniBatchKMeans(2).fit(X).partial_fit(X[:, :1]),
            ValueError,
            "X has 1 features, but MiniBatchKMeans",
        ),
        (lambda: nk.MiniBatchKMeans(2).predict(X), AttributeError, "This MiniBatchKMeans instance is not fitted yet."),
        (lambda: nk.MiniBatchKMeans(2, init=X[:3]).fit(X), ValueError, "does not match the number of clusters 2."),
        (lambda: nk.MiniBatchKMeans(2).fit(X, sample_weight=np.zeros(10)), ValueError, "at least one non-zero number"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_checks_of_scikit_learn():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    excepted = {"check_sample_weight_equivalence_on_dense_data": "other draws for repeated samples"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = nk.MiniBatchKMeans(n_clusters=2, n_init=2, max_iter=5, batch_size=10)
        results = checks.check_estimator(estimator, expected_failed_checks=excepted, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    assert not failed
    assert sum(result["status"] == "passed" for result in results) >= 50
