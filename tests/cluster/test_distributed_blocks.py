"""Blocks that are not what dask has been told: converted as the fit in memory would, or refused by number."""

import itertools

import numpy as np
import pytest

import npkernels as nk

from ..estimators.test_estimator_state import state

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")


@pytest.fixture(autouse=True)
def _threads_of_this_process():
    with dask.config.set(scheduler="threads"):
        yield


INTEGERS = np.random.default_rng(0).integers(0, 2, (80, 3)) * np.array([1, 10, 100])


def told(blocks, dtype, shape=(20, 3)):
    """A dask array of these blocks, each of which is said to be of this dtype and shape."""
    parts = [da.from_delayed(dask.delayed(block, traverse=False), shape, dtype=dtype) for block in blocks]
    return da.concatenate(parts, axis=0)


def blocks_of(x, change=lambda block: block, which=(0, 1, 2, 3)):
    return [change(block) if i in which else block for i, block in enumerate(np.split(x, 4))]


def answers(model, x):
    """What a model says about x, in memory or on dask."""
    fitted = np.asarray(model.labels_), model.cluster_centers_, model.inertia_, model.n_iter_
    return *fitted, np.asarray(model.predict(x)), np.asarray(model.transform(x)), model.score(x)


@pytest.mark.parametrize("which", [(0, 1, 2, 3), (2,)], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "i4", "u1", "i8", "?", "e", ">f8", ">i2", "O"])
@pytest.mark.parametrize("init", ["array", "k-means++", "random"])
def test_other_dtypes_are_converted(which, dtype, init):
    x = INTEGERS.astype(dtype).astype(float)
    start = x[[0, 1]] + [[0.0], [0.25]] if init == "array" else init
    model = nk.KMeans(2, init=start, random_state=0, n_init=1, tol=1e-3)
    given = told(blocks_of(x, lambda block: block.astype(dtype), which), float)
    wanted = answers(model.fit(da.from_array(x, chunks=(20, 3))), x)
    for a, b in zip(answers(model.fit(given), given), wanted, strict=True):
        assert np.allclose(a, b, rtol=1e-12)
    weights = INTEGERS[:, 1].astype(dtype) + np.ones(1, dtype)
    given_weights = told(blocks_of(weights, which=which), float, (20,))
    found = answers(model.fit(given, sample_weight=given_weights), x)
    wanted = answers(model.fit(da.from_array(x, chunks=(20, 3)), sample_weight=weights.astype(float)), x)
    for a, b in zip(found, wanted, strict=True):
        assert np.allclose(a, b, rtol=1e-12)


X = np.random.default_rng(0).standard_normal((80, 3))
WRONG = {
    "wider": (lambda block: np.concatenate([block, block], axis=1), r"must have shape \(20, 3\)"),
    "narrower": (lambda block: block[:, :2], r"must have shape \(20, 3\)"),
    "longer": (lambda block: np.concatenate([block, block]), r"must have shape \(20, 3\)"),
    "shorter": (lambda block: block[:7], r"must have shape \(20, 3\)"),
    "flat": (np.ravel, r"must have shape \(20, 3\), which is what dask has been told, got \(60,\)"),
    "a column": (lambda block: block[:, 0], r"must have shape \(20, 3\)"),
    "a number": (lambda block: block[0, 0], r"must have shape \(20, 3\)"),
    "stacked": (lambda block: block[None], r"must have shape \(20, 3\)"),
    "complex": (lambda block: block + 1j, "Complex data not supported"),
    "dates": (lambda block: block.astype("M8[s]"), "must be numbers, got datetime64"),
    "names": (lambda block: np.full(block.shape, "a"), "must be numbers: could not convert string to float"),
    "masked": (np.ma.masked_array, "must be a plain array, got a masked array"),
    "nothing": (lambda block: None, "must have shape"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("which", [0, 3])
def test_other_shapes_and_kinds_are_refused_by_number(kind, which):
    change, text = WRONG[kind]
    given, good = told(blocks_of(X, change, (which,)), float), da.from_array(X, chunks=(20, 3))
    fitted = nk.KMeans(2, random_state=0).fit(good)
    for init, tol in itertools.product(("k-means++", "random", X[:2]), (0, 1e-4)):
        model = nk.KMeans(2, init=init, tol=tol, n_init=1).fit(X)
        before = state(model)
        with pytest.raises((TypeError, ValueError), match=text) as caught:
            model.fit(given)
        assert f"block {which} of X" in str(caught.value)
        assert state(model) == before
    # Labels and distances have as many rows as a block; who asks for them need not know how many there are.
    lazy = [lambda x: fitted.predict(x).compute(), lambda x: fitted.transform(x).compute()]
    for call in [fitted.score] if kind in ("longer", "shorter") else [fitted.score, *lazy]:
        with pytest.raises((TypeError, ValueError), match=f"(?s)(?=.*block {which} of X)"):
            call(given)


@pytest.mark.parametrize("kind", ["wider", "shorter", "complex", "nothing", "NaN"])
def test_blocks_of_weights_are_refused_by_number(kind):
    change = WRONG[kind][0] if kind in WRONG and kind != "wider" else (lambda block: np.stack([block, block], 1))
    change = (lambda block: np.full(20, np.nan)) if kind == "NaN" else change
    weights = told(blocks_of(np.ones(80), change, (1,)), float, (20,))
    text = "Input sample_weight contains NaN" if kind == "NaN" else "block 1 of sample_weight"
    with pytest.raises((TypeError, ValueError), match=text):
        nk.KMeans(2).fit(da.from_array(X, chunks=(20, 3)), sample_weight=weights)


def test_numbers_of_fewer_digits_than_the_blocks_have_are_refused():
    given = told(blocks_of(X), np.float32)
    with pytest.raises(TypeError, match=r"block \d of X must be float32, which is what dask has been told, got"):
        nk.KMeans(2, random_state=0).fit(given)
    fit = nk.KMeans(2, random_state=0).fit(told(blocks_of(X.astype(np.float16)), np.float32).astype(np.float64))
    assert fit.cluster_centers_.dtype == np.float64


def test_a_fit_of_blocks_that_fails_leaves_the_old_model():
    bad = X.copy()
    bad[-1] = np.nan
    for fitted in (nk.KMeans(3, random_state=0).fit(X), nk.KMeans(3, random_state=0).fit(da.from_array(X, chunks=20))):
        before = dict(vars(fitted))
        for x in (bad, np.concatenate([bad, X], axis=1)):
            for options in ({}, {"sample_weight": np.ones(80)}, {"sample_weight": np.ones(3)}):
                with pytest.raises(ValueError):
                    fitted.fit(da.from_array(x, chunks=(20, x.shape[1])), **options)
                assert vars(fitted) == before
        assert np.array_equal(np.asarray(fitted.labels_), fitted.predict(X))


@pytest.mark.parametrize("weight", [1.0, 0.3, 4])
def test_weights_that_are_all_the_same_change_the_inertia_only(weight):
    blocks = da.from_array(X, chunks=(30, 3))
    for init in ("k-means++", "random", X[:4]):
        model = nk.KMeans(4, init=init, n_init=1, random_state=0)
        labels, inertia = np.asarray(model.fit(blocks).labels_), model.inertia_
        for weights in (weight, np.full(80, weight), da.full(80, weight, chunks=17)):
            assert np.array_equal(np.asarray(model.fit(blocks, sample_weight=weights).labels_), labels)
            assert model.inertia_ == inertia * weight
