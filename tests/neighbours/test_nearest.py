import numpy as np
import pytest
from bounds import integers
from fuzz.sharing import shared_by

import npkernels as nk
from npkernels import reference

METRICS = ["sqeuclidean", "euclidean", "cosine", "dot"]
# n, m, d, k around the edges of vectors, panels, tiles and queues; queues that fill again and again
SIZES = [
    (1, 1, 1, 1),
    (3, 8, 2, 8),
    (17, 9, 3, 5),
    (49, 100, 16, 6),
    (5, 3000, 3, 12),
    (33, 700, 33, 13),
    (100, 257, 130, 100),
    (2, 515, 7, 515),
    (1000, 40, 4, 1),
]


def near_and_far(x, y):
    """What rounding is measured with."""
    mean = y.astype(np.float64).mean(0)
    return ((x - mean) ** 2).sum(1)[:, None] + ((y - mean) ** 2).sum(1).max()


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "dot"])
@pytest.mark.parametrize(("n", "m", "d", "k"), SIZES)
def test_ties_of_integers_go_to_the_lowest_index(isa, dtype, rng, n, m, d, k, metric):
    x, y = integers(rng, (n, d), dtype), integers(rng, (m, d), dtype)
    offset = dtype.type(0 if metric == "dot" else 1000)
    distances, indices = nk.nearest(x + offset, y + offset, k, metric=metric)
    assert distances.dtype == dtype
    assert indices.dtype == np.int32
    wanted = reference.nearest(x.astype(np.float64), y.astype(np.float64), k, metric=metric)
    np.testing.assert_array_equal(indices, wanted[1])
    np.testing.assert_array_equal(distances, wanted[0].astype(dtype))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "m", "d", "k"), SIZES)
def test_distances_are_within_the_bound_of_the_smallest(isa, dtype, eps, rng, n, m, d, k, metric):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(n, d), (m, d)])
    distances, indices = nk.nearest(x, y, k, metric=metric)
    wide = x.astype(np.float64), y.astype(np.float64)
    exact = reference.pairwise_distances(*wide, metric=metric)
    chosen, best = np.take_along_axis(exact, indices.astype(int), 1), reference.nearest(*wide, k, metric=metric)[0]
    away = best - chosen if metric == "dot" else chosen**2 - best**2 if metric == "euclidean" else chosen - best
    size = (wide[0] ** 2).sum(1)[:, None] + (wide[1] ** 2).sum(1).max() if metric == "dot" else near_and_far(x, y)
    size = 2 if metric == "cosine" else size
    assert (away <= 8 * (d + 16) * eps * size).all()
    assert all(len(set(row)) == k for row in indices)
    order = -distances if metric == "dot" else distances
    assert (np.diff(order, axis=1) >= 0).all()
    if metric == "dot":
        terms = abs(wide[0]) @ abs(wide[1]).T
        assert (
            abs(distances - chosen) <= (np.sqrt(d) / 2 + 2) * eps * np.take_along_axis(terms, indices.astype(int), 1)
        ).all()
    elif metric == "cosine":
        assert (
            abs(distances - chosen) <= (8 + d) * eps * chosen + 8 * eps * np.sqrt(chosen) + 16 * np.finfo(float).eps
        ).all()
    else:
        assert (abs(distances - chosen) <= (np.sqrt(d) / 2 + 3) * eps * chosen).all()


def test_an_offset_costs_nothing(isa, dtype, rng):
    x, y = (rng.integers(-50, 50, shape).astype(dtype) for shape in [(60, 3), (900, 3)])
    shift = dtype.type(2**20)
    for one, other in zip(nk.nearest(x, y, 7), nk.nearest(x + shift, y + shift, 7), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("metric", METRICS)
def test_equal_rows_come_in_their_order(isa, dtype, rng, metric):
    y = rng.standard_normal((30, 11)).astype(dtype)
    indices = nk.nearest(y, np.concatenate([y, y, y]), 3, metric="sqeuclidean" if metric == "dot" else metric)[1]
    np.testing.assert_array_equal(indices, np.arange(30)[:, None] + [0, 30, 60])
    same = nk.nearest(y, np.repeat(y[:1], 300, 0), 20, metric=metric)[1]
    np.testing.assert_array_equal(same, np.tile(np.arange(20), (30, 1)))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "m", "d", "k"), [(150, 999, 23, 9), (2, 20_000, 5, 40), (300, 2000, 600, 3)])
def test_threads_and_strides_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, n, m, d, k, metric):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(n, d), (m, d)])
    wanted = same_for_any_threads(lambda: nk.nearest(x, y, k, metric=metric))
    for x_, y_ in zip(layouts(x), layouts(y), strict=True):
        for one, other in zip(nk.nearest(x_, y_, k, metric=metric), wanted, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("metric", METRICS)
def test_a_row_does_not_depend_on_the_others(isa, dtype, rng, metric):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(120, 13), (400, 13)])
    distances, indices = nk.nearest(x, y, 10, metric=metric)
    for rows in slice(0, 1), slice(17, 20), slice(47, 49), slice(119, 120):
        some = nk.nearest(x[rows], y, 10, metric=metric)
        assert np.array_equal(some[0], distances[rows])
        assert np.array_equal(some[1], indices[rows])


def test_rows_of_zeros_are_at_cosine_distance_1(isa, dtype):
    x, y = np.array([[1, 0], [0, 0]], dtype), np.array([[-1, 0], [0, 0], [1, 1], [2, 0]], dtype)
    distances, indices = nk.nearest(x, y, 4, metric="cosine")
    np.testing.assert_array_equal(indices, [[3, 2, 1, 0], [0, 1, 2, 3]])
    np.testing.assert_allclose(distances, [[0, 1 - np.sqrt(0.5), 1, 2], [1, 1, 1, 1]], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_units_do_not_matter(isa, rng, scale):
    """Squares of these would overflow or vanish; powers of 2 change no bit of a difference."""
    x, y = (rng.integers(-9, 9, shape).astype(np.float32) for shape in [(40, 4), (200, 4)])
    unit = np.float32(2.0 ** np.round(np.log2(scale)))
    np.testing.assert_array_equal(nk.nearest(x * unit, y * unit, 5)[1], nk.nearest(x, y, 5)[1])


@pytest.mark.parametrize("metric", ["sqeuclidean", "euclidean", "dot"])
def test_rows_whose_products_overflow_have_neighbours(isa, dtype, metric):
    huge = np.finfo(dtype).max
    x = np.array([[huge, 0], [1, 1], [-huge, huge], [0, -huge]], dtype)
    y = np.array([[0, 0], [1, 0], [0, 1], [-1, 1], [0, -1]], dtype)
    with shared_by(2):
        distances, indices = nk.nearest(x, y, 2, metric=metric)
    np.testing.assert_array_equal(indices[:, 0], [1, 1, 3, 4])
    np.testing.assert_array_equal(distances[1], {"dot": [1, 1], "sqeuclidean": [1, 1], "euclidean": [1, 1]}[metric])
    far = np.array([[-huge, 0], [huge, 0]], dtype)
    assert ((nk.nearest(far, far, 2, metric=metric)[1] >= 0) & (nk.nearest(far, far, 2, metric=metric)[1] < 2)).all()


def test_an_empty_x_has_no_neighbours(dtype):
    distances, indices = nk.nearest(np.ones((0, 3), dtype), np.ones((4, 3), dtype), 2)
    assert distances.shape == indices.shape == (0, 2)
    assert distances.dtype == dtype
    assert indices.dtype == np.int32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", [1, 5, 40])
def test_nan_and_inf_are_refused(isa, dtype, rng, bad, metric, d):
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in [(30, d), (50, d)])
    spoiled = y.copy()
    spoiled[41, d // 2] = bad
    with pytest.raises(ValueError, match="y must be finite, got NaN or inf in row 41"):
        nk.nearest(x, spoiled, 3, metric=metric)
    x[29, d - 1] = bad
    with pytest.raises(ValueError, match="x must be finite, got NaN or inf in row 29"):
        nk.nearest(x, y, 3, metric=metric)


def test_bad_arguments():
    x = np.ones((3, 2))
    for k, message in (0, "k must be at least 1, got 0"), (4, "k must be at most the number of rows of y, 3, got 4"):
        with pytest.raises(ValueError, match=message):
            nk.nearest(x, x, k)
    with pytest.raises(TypeError, match="k must be an int, got float"):
        nk.nearest(x, x, 2.0)
    with pytest.raises(ValueError, match="x and y must have at least one feature"):
        nk.nearest(x[:, :0], x[:, :0], 1)
    with pytest.raises(ValueError, match=r"y must have shape \(m, 2\), got \(2,\)"):
        nk.nearest(x, x[0], 1)


def test_they_are_those_of_scikit_learn(rng):
    neighbors = pytest.importorskip("sklearn.neighbors")
    x, y = rng.standard_normal((200, 20)), rng.standard_normal((1000, 20))
    for metric in "sqeuclidean", "euclidean", "cosine":
        brute = neighbors.NearestNeighbors(n_neighbors=7, algorithm="brute", metric=metric).fit(y)
        wanted, places = brute.kneighbors(x)
        distances, indices = nk.nearest(x, y, 7, metric=metric)
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_allclose(distances, wanted, rtol=1e-10, atol=1e-13)


def test_inner_products_are_those_of_faiss(rng):
    faiss = pytest.importorskip("faiss")
    x, y = (rng.standard_normal(shape, dtype=np.float32) for shape in [(50, 16), (500, 16)])
    index = faiss.IndexFlatIP(16)
    index.add(y)
    wanted, places = index.search(x, 5)
    distances, indices = nk.nearest(x, y, 5, metric="dot")
    np.testing.assert_array_equal(indices, places)
    np.testing.assert_allclose(distances, wanted, rtol=1e-5)
