import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference

METRICS = ["sqeuclidean", "euclidean", "cosine", "dot"]
# n, m, d around the edges of vectors, panels and tiles; the last ones have several tasks
SIZES = [
    (1, 1, 1),
    (3, 17, 2),
    (8, 48, 3),
    (9, 49, 16),
    (7, 15, 33),
    (70, 100, 5),
    (5, 200, 130),
    (1, 97, 8),
    (600, 130, 4),
]


@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_distances_of_integers_are_exact(isa, dtype, rng, n, m, d):
    x, y = integers(rng, (n, d), dtype), integers(rng, (m, d), dtype)
    for metric in "sqeuclidean", "dot":
        distances = nk.pairwise_distances(x, y, metric=metric)
        assert distances.dtype == dtype
        np.testing.assert_array_equal(distances, reference.pairwise_distances(x, y, metric=metric))
    roots = np.sqrt(reference.pairwise_distances(x, y))
    np.testing.assert_array_equal(nk.pairwise_distances(x, y, metric="euclidean"), roots)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_nothing_cancels(isa, dtype, eps, rng, n, m, d, offset):
    """Near rows far from the origin, where a product would leave nothing."""
    x = (rng.standard_normal((n, d)) + offset).astype(dtype)
    y = (x[rng.integers(0, n, m)] + 0.1 * rng.standard_normal((m, d))).astype(dtype)
    exact = reference.pairwise_distances(x.astype(np.float64), y.astype(np.float64))
    rounding = 0 if dtype == np.float32 else 2 * np.finfo(float).eps * (d + 2)  # of the definition
    # differences are rounded once, their squares and sums once each: as random steps
    error = ((np.sqrt(d) / 2 + 2) * eps + rounding) * exact
    assert (abs(nk.pairwise_distances(x, y) - exact) <= error).all()
    roots, wanted = nk.pairwise_distances(x, y, metric="euclidean"), np.sqrt(exact)
    assert (abs(roots - wanted) <= ((np.sqrt(d) / 4 + 2) * eps + rounding) * wanted).all()


@pytest.mark.parametrize(("n", "m", "d"), SIZES)
def test_cosine(isa, dtype, eps, rng, n, m, d):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(n, d), (m, d)])
    y[::3] = -2 * x[rng.integers(0, n, len(y[::3]))]
    distances = nk.pairwise_distances(x, y, metric="cosine")
    exact = reference.pairwise_distances(x.astype(np.float64), y.astype(np.float64), metric="cosine")
    assert (abs(distances - exact) <= (8 + d) * eps * exact + 8 * eps * np.sqrt(exact) + 16 * np.finfo(float).eps).all()
    assert distances.min() >= 0
    assert distances.max() <= 2


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
def test_a_row_is_exactly_0_from_itself(isa, dtype, rng, metric):
    x = (rng.standard_normal((90, 17)) * 100 + 1e3).astype(dtype)
    x[7] = 0
    distances = nk.pairwise_distances(x, metric=metric)
    np.testing.assert_array_equal(np.diag(distances), 0)
    np.testing.assert_array_equal(distances, distances.T)
    if metric == "cosine":
        np.testing.assert_array_equal(np.delete(distances[7], 7), 1)
        np.testing.assert_array_equal(nk.pairwise_distances(x, x[7:8], metric=metric), 1)


def test_lengths_that_overflow_or_vanish_have_a_direction(dtype):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    x = np.array([[tiny, 0], [0, huge], [huge, huge], [-huge, 0]], dtype)
    distances = nk.pairwise_distances(x, metric="cosine")
    half = np.sqrt(0.5)
    wanted = [[0, 1, 1 - half, 2], [1, 0, 1 - half, 1], [1 - half, 1 - half, 0, 1 + half], [2, 1, 1 + half, 0]]
    np.testing.assert_allclose(distances, wanted, rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("metric", METRICS)
def test_strides_and_threads_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, metric):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(133, 37), (71, 37)])
    wanted = same_for_any_threads(lambda: nk.pairwise_distances(x, y, metric=metric))
    for x_ in layouts(x):
        assert np.array_equal(nk.pairwise_distances(x_, y, metric=metric), wanted)
    for y_ in layouts(y):
        assert np.array_equal(nk.pairwise_distances(x, y_, metric=metric), wanted)


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "cosine"])
def test_a_distance_does_not_depend_on_the_others(isa, dtype, rng, metric):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(40, 19), (60, 19)])
    distances = nk.pairwise_distances(x, y, metric=metric)
    assert np.array_equal(nk.pairwise_distances(x[3:5], y, metric=metric), distances[3:5])
    assert np.array_equal(nk.pairwise_distances(x, y[50:51], metric=metric), distances[:, 50:51])


@pytest.mark.parametrize("metric", METRICS)
def test_nan_and_inf_travel(isa, dtype, metric):
    x = np.array([[1, 2], [np.nan, 0], [np.inf, 1], [0, 0]], dtype)
    distances = nk.pairwise_distances(x, x[[0, 1, 3]], metric=metric)
    assert np.isnan(distances[1]).all()
    assert np.isnan(distances[:, 1]).all()
    assert np.isfinite(distances[0, [0, 2]]).all()
    if metric in ("sqeuclidean", "euclidean"):
        np.testing.assert_array_equal(distances[2, [0, 2]], np.inf)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shapes", [((0, 3), (4, 3)), ((4, 3), (0, 3)), ((0, 3), (0, 3)), ((2, 0), (3, 0))])
def test_nothing_in_nothing_out(dtype, metric, shapes):
    x, y = (np.ones(shape, dtype) for shape in shapes)
    distances = nk.pairwise_distances(x, y, metric=metric)
    assert distances.shape == (len(x), len(y))
    np.testing.assert_array_equal(distances, 1 if metric == "cosine" else 0)


def test_long_rows(isa):
    x = np.full((2, 300_000), 0.1, np.float32)
    x[1] = 0
    exact = float(np.float32(0.1)) ** 2 * x.shape[1]
    assert abs(nk.pairwise_distances(x)[0, 1] - exact) <= 8192 * 2.0**-24 * exact


@pytest.mark.parametrize("metric", METRICS)
def test_they_are_those_of_scikit_learn(rng, metric):
    metrics = pytest.importorskip("sklearn.metrics")
    x, y = rng.standard_normal((30, 9)), rng.standard_normal((20, 9))
    wanted = (
        metrics.pairwise.linear_kernel(x, y) if metric == "dot" else metrics.pairwise_distances(x, y, metric=metric)
    )
    np.testing.assert_allclose(nk.pairwise_distances(x, y, metric=metric), wanted, rtol=1e-12, atol=1e-14)


def test_bad_arguments():
    x = np.ones((3, 2))
    with pytest.raises(ValueError, match=r"y must have shape \(m, 2\), got \(3, 3\)"):
        nk.pairwise_distances(x, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, d\), got \(3,\)"):
        nk.pairwise_distances(x[:, 0])
    with pytest.raises(TypeError, match="y must be float64 like x, got float32"):
        nk.pairwise_distances(x, x.astype(np.float32))
    with pytest.raises(ValueError, match=r"metric must be one of 'sqeuclidean', .*, got 'manhattan'"):
        nk.pairwise_distances(x, metric="manhattan")


@pytest.mark.parametrize("exponent", [-100, -60, -20, 20, 60, 100])
def test_euclidean_distances_of_any_unit(dtype, rng, exponent):
    """A power of 2 that squares would not bear changes the result by itself, and silhouettes not at all."""
    exponent *= 1 if dtype == np.float32 else 8
    x, y = rng.standard_normal((20, 5)).astype(dtype), rng.standard_normal((30, 5)).astype(dtype)
    wanted = np.ldexp(nk.pairwise_distances(x, y, metric="euclidean"), exponent)
    far = np.ldexp(x, exponent), np.ldexp(y, exponent)
    np.testing.assert_array_equal(nk.pairwise_distances(*far, metric="euclidean"), wanted)
    labels = np.arange(20) % 3
    assert nk.silhouette_score(far[0], labels) == nk.silhouette_score(x, labels)
