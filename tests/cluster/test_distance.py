import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels._kernels import distance as _distance

# n, d, k around the vector, tile and part edges
SIZES = [
    (1, 1, 1),
    (2, 1, 2),
    (17, 2, 3),
    (47, 3, 20),
    (300, 8, 16),
    (1023, 5, 9),
    (1025, 17, 21),
    (2500, 33, 40),
    (70, 600, 5),
]


def blobs(rng, n, d, k, dtype):
    return (8 * rng.standard_normal((k, d))[rng.integers(0, k, n)] + rng.standard_normal((n, d))).astype(dtype)


def seeds(x, k, seed=5, **options):
    return nk.kmeans_plus_plus(x, k, rng=np.random.default_rng(seed), **options)


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans_plus_plus_equals_its_definition(isa, rng, n, d, k, weighted):
    # in float64 neither a draw nor a candidate of these hangs on the order of a sum
    x = blobs(rng, n, d, k, np.dtype(np.float64))
    options = {"sample_weight": rng.integers(1, 4, n) / 2} if weighted else {}
    wanted = reference.kmeans_plus_plus(x, k, rng=np.random.default_rng(5), **options)
    assert np.array_equal(seeds(x, k, **options), wanted)


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_centroids_are_distinct_rows(isa, dtype, rng, n, d, k):
    x = rng.permutation(n * d).reshape(n, d).astype(dtype)
    centroids = seeds(x, k)
    assert centroids.dtype == dtype
    rows = {row.tobytes() for row in centroids}
    assert len(rows) == k
    assert rows <= {row.tobytes() for row in x}


def test_the_generator_decides(dtype, rng):
    x = blobs(rng, 500, 4, 9, dtype)
    assert np.array_equal(seeds(x, 9, 1), seeds(x, 9, 1))
    assert not np.array_equal(seeds(x, 9, 1), seeds(x, 9, 2))


def test_greedy_seeds_find_separate_blobs(dtype):
    # 12 clusters of radius 1 on a grid of width 1000: a draw misses one only if another is drawn twice
    grid = np.array([(i, j) for i in range(4) for j in range(3)], np.float64) * 1000
    for seed in range(20):
        local = np.random.default_rng(seed)
        x = (grid[local.integers(0, 12, 600)] + local.uniform(-1, 1, (600, 2))).astype(dtype)
        assert len(np.unique(np.round(seeds(x, 12, seed) / 1000), axis=0)) == 12


def test_fewer_distinct_rows_than_centroids_are_repeated(isa, dtype, rng):
    distinct = rng.standard_normal((3, 40)).astype(dtype)
    centroids = seeds(np.repeat(distinct, 30, axis=0), 7)
    assert {row.tobytes() for row in centroids} == {row.tobytes() for row in distinct}
    assert len(np.unique(seeds(np.zeros((50, 2), dtype), 50), axis=0)) == 1


@pytest.mark.parametrize("k", [1, 4, 12])
def test_rows_of_weight_0_are_never_chosen(isa, dtype, rng, k):
    x = blobs(rng, 3000, 3, 5, dtype)
    weight = np.zeros(3000, dtype)
    weight[::250] = 1
    allowed = {row.tobytes() for row in x[::250]}
    for seed in range(10):
        assert {row.tobytes() for row in seeds(x, k, seed, sample_weight=weight)} <= allowed
    # more centroids than rows with a weight: repeats of these
    assert {row.tobytes() for row in seeds(x, 30, sample_weight=weight)} <= allowed


def test_probabilities_are_weight_times_squared_distance(dtype):
    # Without greed (k = 1 draws only by weight): frequencies of the first centroid within 5 sigma.
    x, weight = np.arange(4, dtype=dtype)[:, None], np.array([1, 2, 0, 5], dtype)
    local, n = np.random.default_rng(0), 4000
    drawn = np.array([nk.kmeans_plus_plus(x, 1, rng=local, sample_weight=weight)[0, 0] for _ in range(n)])
    for i in range(4):
        p = weight[i] / 8
        assert abs((drawn == i).sum() - n * p) <= 5 * np.sqrt(n * p * (1 - p))


@pytest.mark.parametrize(("n", "d", "k"), [(3000, 5, 9), (700, 40, 17)])
def test_strides_and_threads_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, n, d, k):
    x = blobs(rng, n, d, k, dtype)
    weight = rng.random(n).astype(dtype)
    wanted = same_for_any_threads(lambda: seeds(x, k, sample_weight=weight))
    for x_, weight_ in zip(layouts(x), layouts(weight), strict=True):
        assert np.array_equal(seeds(x_, k, sample_weight=weight_), wanted)


def test_an_offset_changes_no_choice(dtype, rng):
    # integers and their differences are exact
    x = rng.integers(-50, 50, (2000, 6)).astype(dtype)
    assert np.array_equal(seeds(x + dtype.type(10000), 20), seeds(x, 20) + dtype.type(10000))


@pytest.mark.parametrize("d", [2, 40])
def test_distances_that_overflow_are_no_error(isa, dtype, d):
    big = np.finfo(dtype).max / 2
    x = np.stack([np.full(d, value, dtype) for value in (-big, big, 0, 1, -1)])
    assert {row.tobytes() for row in seeds(x, 4)} <= {row.tobytes() for row in x}


x32 = np.arange(15, dtype=np.float32).reshape(5, 3)
rng0 = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.kmeans_plus_plus(x32.astype(int), 2, rng=rng0), TypeError, "x must be float32 or float64"),
        (lambda: nk.kmeans_plus_plus(x32[0], 2, rng=rng0), ValueError, "x must have shape (n, d), got (3,)"),
        (lambda: nk.kmeans_plus_plus(x32[:, :0], 2, rng=rng0), ValueError, "x must have at least one feature"),
        (
            lambda: nk.kmeans_plus_plus(x32, 6, rng=rng0),
            ValueError,
            "k must be at most the number of samples, 5, got 6",
        ),
        (lambda: nk.kmeans_plus_plus(x32, 0, rng=rng0), ValueError, "k must be at least 1, got 0"),
        (lambda: nk.kmeans_plus_plus(x32, 2.0, rng=rng0), TypeError, "k must be an int, got float"),
        (lambda: nk.kmeans_plus_plus(x32, 2, rng=0), TypeError, "rng must be a numpy.random.Generator, got int"),
        (
            lambda: nk.kmeans_plus_plus(x32, 2, rng=np.random.RandomState(0)),
            TypeError,
            "rng must be a numpy.random.Generator, got RandomState",
        ),
        (
            lambda: nk.kmeans_plus_plus(x32, 2, rng=rng0, sample_weight=-np.ones(5, np.float32)),
            ValueError,
            "sample_weight must not be negative",
        ),
        (
            lambda: nk.kmeans_plus_plus(x32, 2, rng=rng0, sample_weight=np.zeros(5, np.float32)),
            ValueError,
            "sample_weight must not be zero",
        ),
        (
            lambda: nk.kmeans_plus_plus(x32, 2, rng=rng0, sample_weight=np.ones(4, np.float32)),
            ValueError,
            "sample_weight must have shape (5,)",
        ),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("d", [1, 3, 40])
def test_values_that_are_not_finite_are_refused(isa, dtype, rng, bad, k, d):
    x = rng.standard_normal((50, d)).astype(dtype)
    x[31, d // 2] = bad
    weight = np.ones(50, dtype)
    weight[31] = 0
    for options in ({}, {"sample_weight": weight}):
        with pytest.raises(ValueError, match="x must be finite, got NaN or inf in row 31"):
            seeds(x, k, **options)


@pytest.mark.parametrize(("n", "d", "k"), [*SIZES, (100, 4, 130)])
def test_distances_to_all_centroids(isa, dtype, eps, rng, layouts, same_for_any_threads, n, d, k):
    x, centroids = (rng.standard_normal(shape) + 100 for shape in [(n, d), (k, d)])
    x, centroids = x.astype(dtype), centroids.astype(dtype)
    centroids[0] = x[0]

    def call(x=x):
        out = np.full((n, k), np.nan, dtype)
        _distance.distances(x, centroids, out)
        return out

    out = same_for_any_threads(call)
    wanted = np.sqrt(((x[:, None].astype(np.float64) - centroids.astype(np.float64)) ** 2).sum(2))
    # a sum of d squares of differences, each rounded twice, and a root that halves relative errors
    assert (abs(out - wanted) <= (d + 4) * eps * wanted).all()
    assert out[0, 0] == 0
    for x_ in layouts(x):
        assert np.array_equal(call(x_), out)
