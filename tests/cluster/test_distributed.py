import contextlib
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

import npkernels as nk

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")


@pytest.fixture(autouse=True)
def _threads_of_this_process():
    with dask.config.set(scheduler="threads"):
        yield


EPS = float(np.finfo(np.float64).eps)


def blobs(rng, n=1000, d=5, k=7, dtype=np.float64):
    return (4 * rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))).astype(dtype)


def assert_equal(fit, wanted):
    """A fit of a dask array is that of an array."""
    assert isinstance(fit.labels_, da.Array)
    assert fit.labels_.dtype == np.int32
    assert np.array_equal(fit.labels_.compute(), wanted.labels_)
    assert fit.cluster_centers_.dtype == wanted.cluster_centers_.dtype
    # averages of a thousand samples at most, put together in another order; in float32 rounded every iteration
    limit = 64 * np.finfo(fit.cluster_centers_.dtype).eps
    scale = abs(wanted.cluster_centers_).max()
    assert np.allclose(fit.cluster_centers_, wanted.cluster_centers_, rtol=0, atol=limit * scale)
    assert np.isclose(fit.inertia_, wanted.inertia_, rtol=limit)
    assert type(fit.inertia_) is float
    assert fit.n_iter_ == wanted.n_iter_
    assert fit.n_features_in_ == wanted.n_features_in_


@pytest.mark.parametrize("chunks", [1000, 64, (1, 499, 0, 500), (250, 2)], ids=str)
@pytest.mark.parametrize("weights", ["none", "number", "array", "blocks"])
@pytest.mark.parametrize(("far", "tol"), [(0, 0), (4, 1e-2)])
def test_fit_equals_that_in_memory_for_any_blocks(rng, dtype, chunks, weights, far, tol):
    x = blobs(rng, dtype=dtype)
    init = x[:7].copy()
    init[:far] = 100 + np.arange(far)[:, None]  # empty clusters
    w = rng.random(1000)
    w[rng.integers(0, 1000, 100)] = 0
    w[:64] = 0  # a block without weight
    in_memory = {"none": None, "number": 3, "array": w, "blocks": w}[weights]
    given = da.from_array(w, chunks=300) if weights == "blocks" else in_memory
    rows, columns = chunks if isinstance(chunks, tuple) and len(chunks) == 2 else (chunks, 5)
    blocks = da.from_array(x, chunks=(rows, columns))
    wanted = nk.KMeans(7, init=init, tol=tol).fit(x, sample_weight=in_memory)
    assert_equal(nk.KMeans(7, init=init, tol=tol).fit(blocks, sample_weight=given), wanted)


def test_methods_stay_lazy(rng):
    x, new = blobs(rng), blobs(rng, 300)
    wanted = nk.KMeans(7, init=x[:7]).fit(x)
    fit = nk.KMeans(7, init=x[:7]).fit(da.from_array(x, chunks=(300, 3)))
    blocks, weights = da.from_array(new, chunks=(130, 4)), rng.random(300)
    for method in ("predict", "transform"):
        found, expected = getattr(fit, method)(blocks), getattr(wanted, method)(new)
        assert isinstance(found, da.Array)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
        assert np.allclose(found.compute(), expected, rtol=64 * EPS)
        assert np.allclose(getattr(wanted, method)(blocks).compute(), expected, rtol=64 * EPS)  # fitted in memory
    score = wanted.score(new, sample_weight=weights)
    assert np.isclose(fit.score(blocks, sample_weight=weights), score, rtol=64 * EPS)
    assert np.isclose(fit.score(blocks, sample_weight=da.from_array(weights, chunks=70)), score, rtol=64 * EPS)
    assert np.array_equal(
        nk.KMeans(7, init=x[:7]).fit_predict(da.from_array(x, chunks=(300, 5))).compute(), wanted.labels_
    )
    distances = nk.KMeans(7, init=x[:7]).fit_transform(da.from_array(x, chunks=(300, 5)))
    assert np.allclose(distances.compute(), wanted.transform(x), rtol=64 * EPS)


def test_a_number_of_rows_that_is_not_known(rng):
    x = blobs(rng)
    blocks = da.from_array(x, chunks=(300, 5))
    some = blocks[blocks[:, 0] > 0]
    wanted = nk.KMeans(4, init=x[:4]).fit(x[x[:, 0] > 0], sample_weight=1 + x[x[:, 0] > 0, 1] ** 2)
    fit = nk.KMeans(4, init=x[:4]).fit(some, sample_weight=1 + some[:, 1] ** 2)
    assert_equal(fit, wanted)
    assert np.isnan(some.shape[0])  # the caller's array is as it was
    assert np.array_equal(fit.predict(some).compute(), wanted.labels_)


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("weighted", [False, True])
def test_draws_do_not_depend_on_blocks(rng, init, weighted):
    x, weights = blobs(rng), rng.random(1000) * (rng.random(1000) < 0.5)

    def fit(rows, seed=0):
        kmeans = nk.KMeans(7, init=init, max_iter=1, n_init=1, random_state=seed)
        return kmeans.fit(da.from_array(x, chunks=(rows, 5)), sample_weight=weights if weighted else None)

    first = fit(1000)
    for rows in (501, 90):
        assert np.array_equal(fit(rows).labels_.compute(), first.labels_.compute())
    assert not np.array_equal(fit(1000, seed=1).labels_.compute(), first.labels_.compute())


def test_random_starts_are_drawn_by_weight(rng):
    x, weights = np.arange(4.0)[:, None], np.array([0, 1.0, 2, 5])
    drawn = []
    for seed in range(300):
        kmeans = nk.KMeans(1, init="random", n_init=1, max_iter=1, random_state=seed, verbose=0)
        blocks = da.from_array(x, chunks=(2, 1))
        state = np.random.default_rng(seed)
        data = kmeans._data(blocks, weights)
        drawn.append(int(data.random(state)[0, 0]))
    counts = np.bincount(drawn, minlength=4)
    expected = 300 * weights / weights.sum()
    assert counts[0] == 0
    # chi squared of 2 degrees of freedom: above 13.8 once in a thousand, and the seeds are fixed
    assert (np.square(counts - expected)[1:] / expected[1:]).sum() < 13.8


def test_the_start_of_k_means_plus_plus_finds_small_clusters(rng):
    # a thousandth of the samples in each of five clusters far away
    x = rng.standard_normal((10000, 3))
    for i in range(5):
        x[10 * i : 10 * (i + 1)] += 1000 * rng.standard_normal(3)
    x = x[rng.permutation(10000)]
    fit = nk.KMeans(6, random_state=0).fit(da.from_array(x, chunks=(1500, 3)))
    assert fit.inertia_ <= 1.01 * 3 * 10000
    assert sorted(np.bincount(fit.labels_.compute())) == [10] * 5 + [9950]


def test_the_best_of_several_runs_stays(rng):
    x = blobs(rng, 400, 2, 15)
    starts = [x[i * 15 : (i + 1) * 15] for i in range(4)]
    starts.append(starts[np.argmin([nk.KMeans(15, init=start).fit(x).inertia_ for start in starts])][::-1])

    def fit(data):
        left = iter(starts)
        return nk.KMeans(15, init=lambda X, k, random_state: next(left), n_init=5).fit(data)

    assert_equal(fit(da.from_array(x, chunks=(90, 2))), fit(x))


def test_fewer_distinct_samples_than_clusters_warn(rng):
    x = np.repeat(np.arange(3.0)[:, None], 5, axis=0)
    for init in ("k-means++", "random", x[:5]):
        with pytest.warns(UserWarning, match=re.escape("distinct clusters (")):
            fit = nk.KMeans(5, init=init, n_init=1, random_state=0).fit(da.from_array(x, chunks=(4, 1)))
        assert fit.predict(da.from_array(x, chunks=(4, 1))).shape == (15,)
    weights = np.r_[1.0, 1.0, np.zeros(13)]
    with pytest.warns(UserWarning, match=re.escape("distinct clusters (1)")):
        nk.KMeans(5, random_state=0).fit(da.from_array(x, chunks=(4, 1)), sample_weight=weights)


def test_kinds_of_numbers(rng):
    x = rng.integers(0, 9, (60, 3))
    wanted = nk.KMeans(4, init=x[:4]).fit(x.astype(float))
    for same in (x, x.astype(np.float16), x.astype(">f4"), x.astype(object), np.asfortranarray(x)):
        assert_equal(nk.KMeans(4, init=x[:4]).fit(da.from_array(same, chunks=(17, 3))), wanted)
    single = da.from_array(x.astype(np.float32), chunks=(17, 3))
    assert np.array_equal(wanted.predict(single).compute(), wanted.labels_)
    assert nk.KMeans(4, init=x[:4]).fit(single).cluster_centers_.dtype == np.float32
    # estimators that have no use for blocks take them as an array
    assert nk.PCA(2).fit(single).components_.shape == (2, 3)
    assert nk.MiniBatchKMeans(2, random_state=0).fit(single).labels_.shape == (60,)


def blocks_of(x):
    return da.from_array(np.asarray(x), chunks=4)


X = np.arange(20.0).reshape(10, 2)
NAN, INF = X.copy(), X.copy()
NAN[3, 1], INF[3, 1] = np.nan, np.inf


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.KMeans(11).fit(blocks_of(X)), ValueError, "n_samples=10 should be >= n_clusters=11."),
        (lambda: nk.KMeans(2).fit(blocks_of(NAN)), ValueError, "Input X contains NaN.\nKMeans does not accept"),
        (lambda: nk.KMeans(2, tol=0).fit(blocks_of(INF)), ValueError, "Input X contains infinity"),
        (lambda: nk.KMeans(2, init=X[:2], tol=0).fit(blocks_of(NAN)), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2).fit(blocks_of(X)).predict(blocks_of(NAN)).compute(), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2).fit(blocks_of(X)).transform(blocks_of(INF)).compute(), ValueError, "contains infinity"),
        (lambda: nk.KMeans(2).fit(blocks_of(X)).score(blocks_of(NAN)), ValueError, "Input X contains NaN"),
        (lambda: nk.KMeans(2).fit(blocks_of(X)).predict(blocks_of(X[:, :1])), ValueError, "X has 1 features, but"),
        (lambda: nk.KMeans(2, init=X[:2, :1]).fit(blocks_of(X)), ValueError, "features of the data 2."),
        (lambda: nk.KMeans(2).fit(blocks_of(X[0])), ValueError, "Expected 2D array, got 1D array instead"),
        (lambda: nk.KMeans(2).fit(blocks_of(X[:0])), ValueError, "Found array with 0 sample(s) (shape=(0, 2))"),
        (lambda: nk.KMeans(2).fit(blocks_of(X[:, :0])), ValueError, "Found array with 0 feature(s) (shape=(10, 0))"),
        (lambda: nk.KMeans(2).fit(blocks_of(X + 1j)), ValueError, "Complex data not supported"),
        (lambda: nk.KMeans(2).fit(blocks_of(X.astype("M8[s]"))), TypeError, "X must be numbers, got datetime64"),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X).map_blocks(np.ma.masked_array)),
            TypeError,
            "X must be a plain array, got a masked array",
        ),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=blocks_of(np.zeros(10))),
            ValueError,
            "must contain at least one non-zero number",
        ),
        (lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=-1), ValueError, "Negative values in data passed to"),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=blocks_of(NAN[:, 1])),
            ValueError,
            "Input sample_weight contains NaN",
        ),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=blocks_of(np.ones(9))),
            ValueError,
            "sample_weight.shape == (9,), expected (10,)!",
        ),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=np.ones(9)),
            ValueError,
            "sample_weight.shape == (9,), expected (10,)!",
        ),
        (
            lambda: nk.KMeans(2).fit(blocks_of(X), sample_weight=blocks_of(X)),
            ValueError,
            "Sample weights must be 1D array or scalar, got 2D array.",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


def test_dask_is_imported_by_its_users_only():
    code = "import sys, npkernels as nk; nk.KMeans(2).fit([[1.0], [2.0], [9.0]]).predict([[3.0]]); assert {bad} == []"
    bad = "[name for name in sys.modules if name.split('.')[0] in ('dask', 'distributed', 'sklearn', 'pandas')]"
    code = code.replace("{bad}", bad).replace("fit(", "set_params(init=[[1.0], [9.0]]).fit(")
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- On worker processes ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    # who calls a worker that is dead waits so long
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
        distributed.LocalCluster(host="127.0.0.1", **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def processes(client):
    """The process numbers of the workers, once there are two."""
    client.wait_for_workers(2)
    return set(client.run(os.getpid).values())


@pytest.fixture
def _workers(client, _threads_of_this_process):
    with dask.config.set(scheduler="distributed"):
        yield


@pytest.mark.usefixtures("_workers")
def test_worker_processes_find_what_one_process_finds(rng, client):
    x = blobs(rng, 2000)
    weights = rng.random(2000)
    assert os.getpid() not in processes(client)
    for rows in (2000, 333):
        blocks = da.from_array(x, chunks=(rows, 5)).persist()
        fit = nk.KMeans(7, init=x[:7]).fit(blocks, sample_weight=weights)
        assert_equal(fit, nk.KMeans(7, init=x[:7]).fit(x, sample_weight=weights))
    assert np.array_equal(fit.predict(blocks).compute(), fit.labels_.compute())
    with pytest.raises(ValueError, match="Input X contains NaN"):
        nk.KMeans(7).fit(da.where(blocks > 5, np.nan, blocks))


@pytest.mark.usefixtures("_workers")
def test_a_worker_killed_at_work(rng, client, tmp_path):
    x = blobs(rng, 2000)
    before, log = processes(client), tmp_path / "blocks read"

    def read(block):
        with log.open("ab") as file:
            file.write(b".")
        if log.stat().st_size > 16:  # in the fourth pass or so
            with contextlib.suppress(FileExistsError):
                (tmp_path / "killed").touch(exist_ok=False)
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    wanted = nk.KMeans(7, init=x[:7], tol=0).fit(x)
    assert wanted.n_iter_ > 5
    blocks = da.from_array(x, chunks=(500, 5)).map_blocks(read, meta=x[:0])
    fit = nk.KMeans(7, init=x[:7], tol=0).fit(blocks)
    assert log.stat().st_size > 4 * wanted.n_iter_
    assert (tmp_path / "killed").exists()
    assert_equal(fit, wanted)
    assert processes(client) != before


@pytest.mark.usefixtures("_workers")
def test_a_worker_killed_with_the_samples_it_holds(rng, client):
    x, weights = blobs(rng, 2000), rng.random(2000)
    before = processes(client)
    blocks = da.from_array(x, chunks=(250, 5)).persist()
    starts = [x[:7], x[7:14]]

    def init(X, k, random_state):
        if len(starts) == 1:  # between two runs
            os.kill(min(before), signal.SIGKILL)
        return starts.pop()

    fit = nk.KMeans(7, init=init, n_init=2).fit(blocks, sample_weight=weights)
    runs = [nk.KMeans(7, init=start).fit(x, sample_weight=weights) for start in (x[7:14], x[:7])]
    assert_equal(fit, min(runs, key=lambda run: run.inertia_))
    assert processes(client) != before
