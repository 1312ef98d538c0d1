import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

# n, d, clusters: some with single samples, the last with several tasks
SIZES = [(3, 1, 2), (20, 3, 4), (49, 17, 2), (97, 2, 60), (200, 130, 7), (500, 5, 20)]


def samples(rng, n, d, clusters, dtype):
    labels = np.concatenate([np.arange(clusters), rng.integers(0, clusters, n - clusters)])
    return (rng.standard_normal((n, d)) + labels[:, None]).astype(dtype), rng.permutation(labels)


@pytest.mark.parametrize(("n", "d", "clusters"), SIZES)
def test_it_is_the_definition(isa, dtype, eps, rng, n, d, clusters):
    x, labels = samples(rng, n, d, clusters, dtype)
    score = nk.silhouette_score(x, labels)
    assert type(score) is float
    # a distance is off by (d / 2 + 2) eps at most, a sum of 8 by 4 eps more; a silhouette by twice what its terms are
    assert abs(score - reference.silhouette_score(x.astype(np.float64), labels)) <= (np.sqrt(d) + 8) * eps
    weight = rng.integers(0, 4, n).astype(dtype)
    weight[:2] = 2
    wide = reference.silhouette_score(x.astype(np.float64), labels, sample_weight=weight)
    assert abs(nk.silhouette_score(x, labels, sample_weight=weight) - wide) <= (np.sqrt(d) + 8) * eps


def test_integers_on_a_line_are_exact(isa, dtype, rng):
    x, labels = np.arange(16, dtype=dtype)[:, None], np.repeat([0, 1], 8)
    assert nk.silhouette_score(x, labels) == pytest.approx(reference.silhouette_score(x, labels), rel=1e-15)


@pytest.mark.parametrize(("n", "d", "clusters"), SIZES)
def test_it_is_that_of_scikit_learn(rng, n, d, clusters):
    metrics = pytest.importorskip("sklearn.metrics")
    x, labels = samples(rng, n, d, clusters, np.float64)
    assert nk.silhouette_score(x, labels) == pytest.approx(metrics.silhouette_score(x, labels), rel=1e-7, abs=1e-12)


def test_a_weight_counts_samples(isa, dtype, rng):
    x, labels = samples(rng, 60, 4, 5, dtype)
    weight = rng.integers(0, 4, 60)
    weight[:3] = 1
    wanted = nk.silhouette_score(np.repeat(x, weight, 0), np.repeat(labels, weight))
    got = nk.silhouette_score(x, labels, sample_weight=weight.astype(dtype))
    assert got == pytest.approx(wanted, rel=float(40 * np.finfo(dtype).eps))
    assert nk.silhouette_score(x, labels, sample_weight=np.ones(60, dtype)) == nk.silhouette_score(x, labels)


def test_equal_samples_and_any_labels(dtype):
    assert nk.silhouette_score(np.ones((4, 2), dtype), np.array([0, 0, 1, 1])) == 0
    x = np.array([[0], [1], [9], [10]], dtype)
    wanted = nk.silhouette_score(x, np.array([0, 0, 1, 1]))
    assert nk.silhouette_score(x, np.array([200, 200, 7, 7], np.uint8)) == wanted
    assert nk.silhouette_score(x, np.array([-5, -5, 2**62, 2**62])) == wanted


def test_threads_and_strides_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads):
    x, labels = samples(rng, 333, 9, 6, dtype)
    wanted = same_for_any_threads(lambda: np.array(nk.silhouette_score(x, labels)))
    for x_, labels_ in zip(layouts(x), layouts(labels), strict=True):
        assert nk.silhouette_score(x_, labels_) == wanted


def test_bad_arguments(rng):
    x = rng.standard_normal((4, 2))
    for labels, count in ([0, 0, 0, 0], 1), ([0, 1, 2, 3], 4):
        with pytest.raises(ValueError, match=rf"Number of labels is {count}\. Valid values are 2 to n_samples - 1"):
            nk.silhouette_score(x, np.array(labels))
    with pytest.raises(ValueError, match="Number of labels is 0"):
        nk.silhouette_score(x[:0], np.zeros(0, int))
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r"Number of labels is 2\. .* of 1 samples"):
        nk.silhouette_score(x, labels, sample_weight=np.full(4, 0.25))
    with pytest.raises(ValueError, match=r"labels must have shape \(4,\), got \(3,\)"):
        nk.silhouette_score(x, labels[:3])
    with pytest.raises(TypeError, match="labels must be integers, got float64"):
        nk.silhouette_score(x, labels.astype(float))
    with pytest.raises(ValueError, match="sample_weight must not be negative"):
        nk.silhouette_score(x, labels, sample_weight=np.array([1.0, 1, 1, -1]))
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match="x must be finite, got NaN or inf in row 2"):
        nk.silhouette_score(x, labels)
