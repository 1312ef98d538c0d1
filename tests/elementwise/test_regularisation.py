"""Dropout: the random numbers, their statistics, the scaling, layouts, errors."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels.reference.regularisation import philox4x32

SIZES = [0, 1, 15, 16, 17, 63, 64, 65, 1023, 1024, 1025, 2049, 20000]


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_random_numbers_are_those_that_the_authors_published(counter, key, expected):
    assert philox4x32(counter, key).tolist() == expected


@pytest.mark.parametrize("p", [0.0, 1e-3, 0.25, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", SIZES)
def test_dropout_equals_its_definition(isa, dtype, eps, rng, n, p):
    x = rng.standard_normal(n).astype(dtype)
    y, mask = nk.dropout(x, p, generator())
    wanted, wanted_mask = reference.dropout(x.astype(np.float64), p, generator())
    assert y.dtype == dtype
    assert mask.dtype == np.bool_
    np.testing.assert_array_equal(mask, wanted_mask)
    assert set(mask.view(np.uint8)) <= {0, 1}
    assert (np.abs(y - wanted) <= eps * np.abs(wanted)).all()  # the scale and the product
    assert nk.dropout_backward(x, mask, p).tobytes() == y.tobytes()


def test_p_of_0_keeps_all_and_p_of_1_nothing(isa, dtype, rng):
    x = rng.standard_normal((40, 50)).astype(dtype)
    x[0, 0], x[1, 1] = np.inf, np.nan
    y, mask = nk.dropout(x, 0, generator())
    np.testing.assert_array_equal(y, x)
    assert mask.all()
    y, mask = nk.dropout(x, 1.0, generator())
    assert (y == 0).all()
    assert not mask.any()
    assert (nk.dropout_backward(x, mask, 1) == 0).all()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.97])
def test_share_of_what_is_kept_is_binomial(isa, p):
    n = 200_000
    for seed in range(10):
        kept = nk.dropout(np.ones(n), p, generator(seed))[1].sum()
        assert abs(kept - n * (1 - p)) < 5 * np.sqrt(n * p * (1 - p))  # once in 10^6
    assert nk.dropout(np.ones(n), p, generator())[0].mean() == pytest.approx(1, abs=5 * np.sqrt(p / (1 - p) / n))


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 8, 15, 16, 17, 63, 64, 65, 1024])
def test_neighbours_are_not_correlated(lag):
    n = 400_000
    mask = nk.dropout(np.ones(n), 0.5, generator())[1] - 0.5
    assert abs((mask[lag:] * mask[:-lag]).sum() / 0.25) < 5 * np.sqrt(n)  # a sum of independent signs


def test_calls_and_seeds_differ_and_equal_seeds_repeat():
    x, rng = np.ones(100_000), generator()
    masks = [nk.dropout(x, 0.5, rng)[1] for _ in range(3)] + [nk.dropout(x, 0.5, generator(1))[1]]
    for i, a in enumerate(masks):
        for b in masks[:i]:
            assert abs(((a - 0.5) * (b - 0.5)).sum() / 0.25) < 5 * np.sqrt(x.size)
    np.testing.assert_array_equal(nk.dropout(x, 0.5, generator())[1], masks[0])
    for kind in (np.random.MT19937, np.random.Philox, np.random.SFC64):
        kept = nk.dropout(x, 0.5, np.random.Generator(kind(0)))[1].sum()
        assert abs(kept - x.size / 2) < 5 * np.sqrt(x.size / 4)


def test_layouts_threads_and_dtypes_share_the_mask(isa, dtype, rng, layouts, same_for_any_threads):
    x = rng.standard_normal((30, 41, 19)).astype(dtype)
    y, mask = same_for_any_threads(lambda: nk.dropout(x, 0.4, generator()))
    np.testing.assert_array_equal(nk.dropout(x.astype(np.float64), 0.4, generator())[1], mask)
    dx = same_for_any_threads(lambda: nk.dropout_backward(x, mask, 0.4))
    for a, b in zip(layouts(x), layouts(mask), strict=True):
        other, other_mask = nk.dropout(a, 0.4, generator())
        assert other.tobytes() == y.tobytes()
        np.testing.assert_array_equal(other_mask, mask)
        assert nk.dropout_backward(a, b, 0.4).tobytes() == dx.tobytes()
        assert nk.dropout_backward(x, b, 0.4).tobytes() == dx.tobytes()
    row = mask[:1, :1]
    expected = nk.dropout_backward(x, np.ascontiguousarray(np.broadcast_to(row, x.shape)), 0.4)
    assert nk.dropout_backward(x, np.broadcast_to(row, x.shape), 0.4).tobytes() == expected.tobytes()


def test_zero_dimensions_and_lists():
    y, mask = nk.dropout(np.float32(2), 0.5, generator())
    assert type(y) is np.float32
    assert type(mask) is np.bool_
    assert nk.dropout_backward(np.float64(3), np.True_, 0.25) == 4
    assert nk.dropout([1.0, 2.0], 0, generator())[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("function", "arguments", "error", "message"),
    [
        (nk.dropout, (np.ones(3, int), 0.5, generator()), TypeError, "x must be float32 or float64, got int64"),
        (nk.dropout, (np.ones(3), 1.5, generator()), ValueError, r"p must be in \[0, 1\], got 1.5"),
        (nk.dropout, (np.ones(3), -0.1, generator()), ValueError, r"p must be in \[0, 1\], got -0.1"),
        (nk.dropout, (np.ones(3), np.nan, generator()), ValueError, r"p must be in \[0, 1\], got nan"),
        (nk.dropout, (np.ones(3), "0.5", generator()), TypeError, "p must be a number, got str"),
        (nk.dropout, (np.ones(3), 0.5, 0), TypeError, "rng must be a numpy.random.Generator, got int"),
        (nk.dropout, (np.ones(3), 0.5, None), TypeError, "rng must be a numpy.random.Generator, got NoneType"),
        (nk.dropout_backward, (np.ones(3, int), np.ones(3, bool), 0.5), TypeError, "dy must be float32 or float64"),
        (nk.dropout_backward, (np.ones(3), np.ones(3), 0.5), TypeError, "mask must be bool, got float64"),
        (
            nk.dropout_backward,
            (np.ones(3), np.ones(4, bool), 0.5),
            ValueError,
            r"mask must have shape \(3,\), got \(4,\)",
        ),
        (nk.dropout_backward, (np.ones(3), np.ones(3, bool), 2), ValueError, r"p must be in \[0, 1\], got 2"),
    ],
)
def test_errors_name_argument_wish_and_value(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(*arguments)
