import math
import subprocess
import sys

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference
from npkernels.cluster import assign

# n, d, k around the edges of vectors, panels of samples and tiles of centroids; the last has several groups of panels
SIZES = [
    (1, 1, 1),
    (17, 2, 3),
    (100, 3, 5),
    (300, 8, 16),
    (33, 16, 40),
    (257, 15, 7),
    (100, 17, 31),
    (200, 64, 100),
    (77, 130, 515),
    (50, 600, 49),
    (15, 4, 6),
    (16, 8, 7),
    (47, 2, 8),
    (48, 4, 9),
    (49, 32, 12),
    (1000, 33, 25),
]


def samples(rng, n, d, k, dtype, offset=0.0):
    return (rng.standard_normal((n, d)) + offset).astype(dtype), (rng.standard_normal((k, d)) + offset).astype(dtype)


def exact_distances(x, centroids):
    return ((x[:, None].astype(np.float64) - centroids[None].astype(np.float64)) ** 2).sum(2)


@pytest.mark.parametrize("offset", [0.0, 1e4])
@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_the_chosen_distance_is_within_the_bound_of_the_smallest(isa, dtype, eps, rng, n, d, k, offset):
    x, centroids = samples(rng, n, d, k, dtype, offset)
    labels, distances = nk.kmeans_assign(x, centroids, return_distances=True)
    assert labels.dtype == np.int32
    assert distances.dtype == dtype
    exact = exact_distances(x, centroids)
    chosen = exact[np.arange(n), labels]
    mean = centroids.astype(np.float64).mean(0)
    size = ((x - mean) ** 2).sum(1) + ((centroids - mean) ** 2).sum(1).max()
    assert (chosen - exact.min(1) <= 4 * (d + 16) * eps * size).all()
    # d squares of differences, each rounded twice, and their sum: no cancellation. Measured: 0.65 of it
    assert (abs(distances - chosen) <= (np.sqrt(d) / 2 + 2) * eps * chosen).all()


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
def test_ties_of_integers_go_to_the_lowest_index(isa, dtype, rng, n, d, k):
    x, centroids = (rng.integers(-3, 4, shape).astype(dtype) for shape in [(n, d), (k, d)])
    assert np.array_equal(nk.kmeans_assign(x, centroids), exact_distances(x, centroids).argmin(1))
    shift = dtype.type(1000)
    assert np.array_equal(nk.kmeans_assign(x + shift, centroids + shift), exact_distances(x, centroids).argmin(1))


@pytest.mark.parametrize("d", [3, 40])
def test_equal_centroids_go_to_the_lowest_index(isa, dtype, rng, d):
    x, centroids = samples(rng, 200, d, 30, dtype)
    twice = np.concatenate([centroids, centroids, centroids])
    labels = nk.kmeans_assign(x, twice)
    assert (labels < 30).all()
    assert (nk.kmeans_assign(x, np.repeat(centroids[:1], 5, axis=0)) == 0).all()


@pytest.mark.parametrize(("n", "d", "k"), [*SIZES, (9000, 5, 7)])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_of_integers_are_exact(isa, dtype, rng, n, d, k, weighted):
    x, centroids = integers(rng, (n, d), dtype), integers(rng, (k, d), dtype)
    weight = rng.integers(0, 5, n).astype(dtype) if weighted and n > 1 else None
    w = np.ones(n) if weight is None else weight.astype(float)
    exact = exact_distances(x, centroids)
    labels, distances = nk.kmeans_assign(x, centroids, return_distances=True)
    np.testing.assert_array_equal(labels, exact.argmin(1))
    np.testing.assert_array_equal(distances, exact.min(1))
    got = nk.kmeans_accumulate(x, centroids, sample_weight=weight)
    one_hot = (labels[:, None] == np.arange(k)) * w[:, None]
    wanted = labels, one_hot.T @ x.astype(float), one_hot.sum(0), w @ exact.min(1)
    for one, each in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, each)


@pytest.mark.parametrize(("n", "d", "k"), SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_accumulate_equals_its_definition(isa, dtype, eps, rng, n, d, k, weighted):
    x, centroids = samples(rng, n, d, k, dtype, 3.0)
    weight = rng.random(n).astype(dtype) + dtype.type(0.1) if weighted else None
    labels, sums, counts, inertia = nk.kmeans_accumulate(x, centroids, sample_weight=weight)
    assert np.array_equal(labels, nk.kmeans_assign(x, centroids))
    assert sums.dtype == counts.dtype == np.float64
    assert type(inertia) is float
    w = np.ones(n) if weight is None else weight.astype(np.float64)
    one_hot = (labels[:, None] == np.arange(k)) * w[:, None]
    wide = x.astype(np.float64)
    rounding = (np.sqrt(n) + 2) * np.finfo(np.float64).eps  # of positive numbers, most sums of few
    assert (abs(sums - one_hot.T @ wide) <= rounding * (one_hot.T @ abs(wide))).all()
    assert (abs(counts - one_hot.sum(0)) <= rounding * one_hot.sum(0)).all()
    wanted = (w * exact_distances(x, centroids)[np.arange(n), labels]).sum()
    assert abs(inertia - wanted) <= ((np.sqrt(d) / 2 + 2) * eps + rounding) * wanted


def test_blocks_add_up_to_the_whole(dtype, rng):
    x, centroids = samples(rng, 9000, 5, 7, dtype)
    whole = nk.kmeans_accumulate(x, centroids)
    first, second = nk.kmeans_accumulate(x[:4000], centroids), nk.kmeans_accumulate(x[4000:], centroids)
    assert np.array_equal(np.concatenate([first[0], second[0]]), whole[0])
    # sums of up to 9000 numbers in float64
    assert (abs(first[1] + second[1] - whole[1]) <= 100 * np.finfo(float).eps * abs(x).sum(0)).all()
    assert np.array_equal(first[2] + second[2], whole[2])
    assert math.isclose(first[3] + second[3], whole[3], rel_tol=100 * np.finfo(float).eps)


@pytest.mark.parametrize(("n", "d", "k"), [(700, 8, 16), (300, 40, 60)])
def test_strides_change_no_bit(isa, dtype, rng, layouts, n, d, k):
    x, centroids = samples(rng, n, d, k, dtype)
    weight = rng.random(n).astype(dtype)
    wanted = (
        *nk.kmeans_assign(x, centroids, return_distances=True),
        *nk.kmeans_accumulate(x, centroids, sample_weight=weight),
    )
    for x_, centroids_, weight_ in zip(layouts(x), layouts(centroids), layouts(weight), strict=True):
        got = nk.kmeans_assign(x_, centroids_, return_distances=True)
        got += nk.kmeans_accumulate(x_, centroids_, sample_weight=weight_)
        for one, other in zip(got, wanted, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize(("d", "k"), [(2, 5), (8, 16), (16, 3), (40, 60), (130, 700)])
def test_a_sample_does_not_depend_on_the_others(isa, dtype, rng, d, k):
    x, centroids = samples(rng, 90, d, k, dtype)
    labels, distances = nk.kmeans_assign(x, centroids, return_distances=True)
    for rows in (slice(0, 1), slice(7, 8), slice(5, 38), slice(89, 90)):
        some = nk.kmeans_assign(x[rows], centroids, return_distances=True)
        assert np.array_equal(some[0], labels[rows])
        assert np.array_equal(some[1], distances[rows])


@pytest.mark.parametrize(("n", "d", "k"), [(20000, 8, 16), (9000, 40, 60)])
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, n, d, k):
    x, centroids = samples(rng, n, d, k, dtype)
    same_for_any_threads(lambda: nk.kmeans_assign(x, centroids, return_distances=True))
    same_for_any_threads(lambda: nk.kmeans_accumulate(x, centroids))


def test_lloyd_equals_the_definition(dtype, rng):
    centres = rng.standard_normal((6, 10)) * 8
    x = (centres[rng.integers(0, 6, 2000)] + rng.standard_normal((2000, 10))).astype(dtype)
    ours = theirs = x[:6]
    for _ in range(5):
        _, sums, counts, _ = nk.kmeans_accumulate(x, ours)
        ours = (sums / counts[:, None]).astype(dtype)
        _, sums, counts, _ = reference.kmeans_accumulate(x.astype(np.float64), theirs.astype(np.float64))
        theirs = sums / counts[:, None]
    # the same labels, so that centres differ by the rounding of five steps to the dtype
    assert (abs(ours - theirs) <= 4 * np.finfo(dtype).eps * abs(x).max()).all()


@pytest.mark.parametrize("d", [4, 40])
def test_labels_are_right_where_distances_overflow(isa, dtype, d):
    big = np.finfo(dtype).max / 2
    x = np.full((5, d), big, dtype)
    centroids = np.stack([np.full(d, -big, dtype), np.zeros(d, dtype)])
    assert (nk.kmeans_assign(x, centroids) == 1).all()
    assert (nk.kmeans_assign(-x, centroids) == 0).all()
    assert (nk.kmeans_accumulate(x, centroids)[0] == 1).all()


@pytest.mark.parametrize("exponent", [-0.85, -0.6, 0.6, 0.97])
def test_any_magnitude_is_ranked_like_another(isa, dtype, rng, exponent):
    # products of two numbers of this magnitude underflow or overflow; a power of 2 changes nothing else
    scale = dtype.type(2.0 ** int(exponent * np.finfo(dtype).maxexp))
    x, centroids = samples(rng, 100, 20, 30, dtype)
    assert np.array_equal(nk.kmeans_assign(x * scale, centroids * scale), nk.kmeans_assign(x, centroids))


def test_samples_far_from_all_centroids_have_labels_in_range(isa, dtype, rng):
    x, centroids = samples(rng, 40, 6, 9, dtype)
    x[::3] = np.finfo(dtype).max
    labels = nk.kmeans_assign(x, centroids * np.finfo(dtype).tiny)
    assert ((labels >= 0) & (labels < 9)).all()


@pytest.mark.parametrize("weighted", [False, True])
def test_features_shared_out_change_no_sum(isa, dtype, rng, layouts, same_for_any_threads, monkeypatch, weighted):
    x, centroids = (rng.integers(-9, 10, shape).astype(dtype) for shape in [(2000, 50), (11, 50)])
    weight = rng.integers(1, 5, 2000).astype(dtype) if weighted else None
    # sums of whole numbers are exact in any order
    wanted = nk.kmeans_accumulate(x, centroids, sample_weight=weight)
    for name, value in {"PART_SAMPLES": 100, "PARTS_BYTES": 8 * 11 * 50 * 3, "RANGE_FEATURES": 7}.items():
        monkeypatch.setattr(assign, name, value)
    for x_ in [x, *layouts(x)]:
        got = same_for_any_threads(lambda x_=x_: nk.kmeans_accumulate(x_, centroids, sample_weight=weight))
        for one, other in zip(got, wanted, strict=True):
            assert np.array_equal(one, other)


@pytest.mark.parametrize("d", [1, 4, 40])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("k", [1, 3, 50])
def test_values_that_are_not_finite_are_refused(isa, dtype, rng, d, bad, k):
    x, centroids = samples(rng, 50, d, k, dtype)
    x[31, d // 2] = bad
    for function in (nk.kmeans_assign, nk.kmeans_accumulate):
        with pytest.raises(ValueError, match="x must be finite, got NaN or inf in row 31"):
            function(x, centroids)
        with pytest.raises(ValueError, match="centroids must be finite"):
            function(centroids, x)


def test_no_samples(dtype):
    x, centroids = np.empty((0, 3), dtype), np.ones((2, 3), dtype)
    assert nk.kmeans_assign(x, centroids).shape == (0,)
    labels, sums, counts, inertia = nk.kmeans_accumulate(x, centroids)
    assert labels.shape == (0,)
    assert not sums.any()
    assert not counts.any()
    assert inertia == 0.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads ru_maxrss in kilobytes")
def test_a_million_samples_and_a_thousand_centroids_take_under_32_mb():
    # labels are 4 MB; the matrix of distances would be 4 GB
    program = """if True:
        import resource
        import numpy as np
        import npkernels as nk
        x = np.random.default_rng(0).random((1_000_000, 4), dtype=np.float32)
        centroids = x[:1000].copy()
        nk.kmeans_assign(x[:10], centroids[:10])
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        nk.kmeans_assign(x, centroids)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    grown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert int(grown) < 32 << 10


x32, c32 = np.ones((5, 3), np.float32), np.ones((2, 3), np.float32)
w32 = np.ones(5, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.kmeans_assign(x32.astype(int), c32), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.kmeans_assign(x32, c32.astype(float)), TypeError, "centroids must be float32 like x, got float64"),
        (lambda: nk.kmeans_assign(x32[0], c32), ValueError, "x must have shape (n, d), got (3,)"),
        (lambda: nk.kmeans_assign(x32, c32[0]), ValueError, "centroids must have shape (k, 3), got (3,)"),
        (lambda: nk.kmeans_assign(x32, c32[:, :2]), ValueError, "centroids must have shape (k, 3), got (2, 2)"),
        (lambda: nk.kmeans_assign(x32, c32[:0]), ValueError, "at least one feature and one centroid, got (0, 3)"),
        (lambda: nk.kmeans_assign(x32[:, :0], c32[:, :0]), ValueError, "at least one feature and one centroid"),
        (
            lambda: nk.kmeans_accumulate(x32, c32, sample_weight=w32[:2]),
            ValueError,
            "sample_weight must have shape (5,)",
        ),
        (lambda: nk.kmeans_accumulate(x32, c32, sample_weight=-w32), ValueError, "sample_weight must not be negative"),
        (lambda: nk.kmeans_accumulate(x32, c32, sample_weight=0 * w32), ValueError, "sample_weight must not be zero"),
        (lambda: nk.kmeans_accumulate(x32, c32, sample_weight=w32 / 0), ValueError, "sample_weight must be finite"),
        (lambda: nk.kmeans_accumulate(x32, c32, sample_weight=[1] * 5), TypeError, "sample_weight must be float32"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
