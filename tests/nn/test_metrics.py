"""Accuracy, and the parts into which samples are split."""

import numpy as np
import pytest

from npkernels import nn


def test_accuracy_of_classes(rng):
    scores, y = rng.standard_normal((50, 4)), rng.integers(0, 4, 50)
    wanted = (scores.argmax(1) == y).mean()
    assert nn.accuracy(scores, y) == wanted
    assert nn.accuracy(scores, np.eye(4)[y]) == wanted
    planes, classes = rng.standard_normal((2, 3, 5, 6)), rng.integers(0, 3, (2, 5, 6))
    assert nn.accuracy(planes, classes) == (planes.argmax(1) == classes).mean()


def test_accuracy_of_two_classes(rng):
    logits, y = rng.standard_normal(50), rng.integers(0, 2, 50)
    wanted = ((logits > 0) == y).mean()
    for scores in (logits, logits[:, None]):
        for targets in (y, y.astype(np.float32), y.astype(bool)):
            assert nn.accuracy(scores, targets) == wanted
    assert nn.accuracy(logits[:, None], y[:, None]) == wanted
    assert np.isnan(nn.accuracy(logits[:0], y[:0]))


@pytest.mark.parametrize(
    ("scores", "y", "message"),
    [
        (np.ones((3, 2)), np.ones(4), r"y must have shape \(3,\), or \(3, 2\) like the prediction, got \(4,\)"),
        (np.ones((3, 2, 5)), np.ones((3, 4)), r"y must have shape \(3, 5\)"),
        (np.ones((3, 1)), np.ones(4), r"y must have shape \(3, 1\) like the prediction, got \(4,\)"),
        (np.float64(1), np.ones(1), "y must have shape"),
    ],
)
def test_accuracy_of_shapes_that_do_not_fit(scores, y, message):
    with pytest.raises(ValueError, match=message):
        nn.accuracy(scores, y)


def test_a_split_is_a_partition_in_the_order_of_scikit_learn(rng):
    x, y = np.arange(50)[:, None] * [1, 2], np.arange(50)
    parts = nn.train_test_split(x, y, fractions=(0.6, 0.3, 0.1), rng=3)
    assert [len(part) for part in parts] == [30, 15, 5] * 2
    np.testing.assert_array_equal(np.sort(np.concatenate(parts[3:])), y)
    for xs, ys in zip(parts[:3], parts[3:], strict=True):
        np.testing.assert_array_equal(xs[:, 0], ys)
    again = nn.train_test_split(x, y, fractions=(0.6, 0.3, 0.1), rng=np.random.default_rng(3))
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    other = nn.train_test_split(x, y, rng=4)
    assert not np.array_equal(other[2], np.sort(other[2]))
    assert [len(part) for part in nn.train_test_split(y, fractions=(0.5, 0.2), rng=0)] == [25, 10]


@pytest.mark.parametrize("fractions", [(0.8, 0.2), (0.5, 0.25, 0.25), (0.34, 0.33, 0.33)])
def test_each_part_has_its_share_of_every_class(rng, fractions):
    y = rng.permutation(np.repeat(["a", "b", "c"], [100, 37, 12]))
    parts = nn.train_test_split(y, fractions=fractions, stratify=y, rng=rng)
    assert sum(map(len, parts)) == len(y)
    for part, share in zip(parts, fractions, strict=True):
        assert abs(len(part) - share * len(y)) <= 1
        for label, count in (("a", 100), ("b", 37), ("c", 12)):
            assert abs((part == label).sum() - share * count) < 2
        assert not np.array_equal(part, np.sort(part))


@pytest.mark.parametrize(
    ("arrays", "options", "error", "message"),
    [
        ((), {}, ValueError, "arrays must have an axis of samples, got none"),
        ((np.float64(1),), {}, ValueError, "arrays must have an axis of samples"),
        ((np.ones(3), np.ones(4)), {}, ValueError, "arrays must have equally many samples, got 3, 4"),
        ((np.ones(9),), {"fractions": (0.8, 0.3)}, ValueError, "fractions must be positive and together at most 1"),
        ((np.ones(9),), {"fractions": ()}, ValueError, "fractions must be positive"),
        ((np.ones(9),), {"fractions": (1.2, -0.2)}, ValueError, "fractions must be at least 0"),
        ((np.ones(2),), {"fractions": (0.9, 0.1)}, ValueError, "fractions must leave a sample for each part"),
        ((np.ones(4),), {"stratify": np.ones(3)}, ValueError, r"stratify must have shape \(4,\), got \(3,\)"),
        ((np.ones(6),), {"stratify": [0, 0, 0, 0, 0, 1]}, ValueError, "stratify must have at least 2 samples of each"),
        ((np.ones(4),), {"rng": 0.5}, TypeError, "rng must be an int, got float"),
    ],
)
def test_bad_splits(arrays, options, error, message):
    with pytest.raises(error, match=message):
        nn.train_test_split(*arrays, **options)
