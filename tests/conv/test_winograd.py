"""The Winograd form of `conv2d` and `conv2d_backward`."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels._main_job.winograd import largest_result
from npkernels.reference._common import pad_pairs

# n, c, h, w, oc, padding for 3x3 kernels: tiles cut off at either end, a pixel, channels around a vector, several
# ranges of outputs, kernels that outweigh the tiles
SHAPES = [
    (2, 1, 9, 7, 3, 1),
    (1, 17, 3, 3, 5, 0),
    (3, 5, 1, 14, 33, 1),
    (1, 16, 8, 70, 16, ((0, 2), (1, 0))),
    (2, 33, 13, 6, 49, ((3, 0), (0, 2))),
    (1, 380, 7, 6, 77, 1),
]


def operands(rng, shape, dtype, taps=3):
    """Larger kernels get larger padding, so that results have the same size."""
    n, c, h, w, oc, padding = shape
    x, weights, b = (rng.standard_normal(s).astype(dtype) for s in ((n, c, h, w), (oc, c, taps, taps), (oc,)))
    return x, weights, b, tuple((i + taps // 2 - 1, j + taps // 2 - 1) for i, j in pad_pairs(padding))


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_winograd_is_within_its_bound(isa, dtype, eps, rng, shape, taps):
    x, w, b, padding = operands(rng, shape, dtype, taps)
    y = nk.conv2d(x, w, b, padding=padding, algorithm="winograd")
    x, w, b = (a.astype(np.float64) for a in (x, w, b))
    # c products; two passes over tile, kernel and result, each of sums of at most 6 terms with rounded coefficients
    bound = (x.shape[1] + 40) * eps * (largest_result(x, w, padding, y.shape[2:]) + abs(b)[:, None, None])
    assert (abs(y - reference.conv2d(x, w, b, padding=padding)) <= bound).all()


def test_winograd_is_chosen_by_the_sizes_of_an_image_alone(dtype, rng):
    for n, taps, c, oc, size, winograd in (
        (1, 3, 16, 32, 7, True),
        (3, 3, 16, 32, 7, True),
        (3, 3, 16, 32, 6, False),
        (3, 3, 15, 32, 7, False),
        (3, 3, 16, 31, 7, False),
        (3, 5, 16, 16, 7, True),
        (3, 5, 16, 15, 7, False),
    ):
        x, w, _, padding = operands(rng, (n, c, size, size, oc, 1), dtype, taps)
        forms = [nk.conv2d(x, w, padding=padding, algorithm=name) for name in ("direct", "winograd")]
        y = nk.conv2d(x, w, padding=padding)
        assert np.array_equal(y, forms[winograd])
        assert not np.array_equal(y, forms[not winograd])


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("mean", [0, 100])
def test_error_of_winograd_is_near_that_of_the_direct_form(isa, rng, mean, taps):
    x, w = rng.standard_normal((1, 512, 12, 12)) + mean, rng.standard_normal((16, 512, taps, taps))
    x, w = x.astype(np.float32), w.astype(np.float32)
    definition = reference.conv2d(x.astype(np.float64), w.astype(np.float64))
    error = {name: abs(nk.conv2d(x, w, algorithm=name) - definition).max() for name in ("direct", "winograd")}
    assert error["winograd"] <= 4 * error["direct"]


def test_winograd_has_the_same_bits_for_any_threads_batch_and_layout(isa, dtype, rng, layouts, same_for_any_threads):
    # many tiles, many kernels
    for shape, taps in (((5, 20, 21, 35, 50, 1), 3), ((3, 200, 10, 9, 150, 1), 3), ((2, 20, 9, 13, 33, 1), 5)):
        check_bits(*operands(rng, shape, dtype, taps), layouts, same_for_any_threads)


def check_bits(x, w, b, padding, layouts, same_for_any_threads):
    def run(x=x, w=w):
        return nk.conv2d(x, w, b, padding=padding, algorithm="winograd", activation="silu")

    y = same_for_any_threads(run)
    for i in range(len(x)):
        assert np.array_equal(run(x[i : i + 1])[0], y[i])
    for other in layouts(x):
        assert np.array_equal(run(other), y)
    for other in layouts(w):
        assert np.array_equal(run(w=other), y)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert np.array_equal(run(last), y)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "large"])
def test_images_and_weights_that_could_overflow_get_the_direct_form(isa, dtype, rng, value):
    value = np.finfo(dtype).max / 4 if value == "large" else value
    x, w, b, padding = operands(rng, (3, 18, 9, 10, 17, 1), dtype)
    clean = nk.conv2d(x, w, b, padding=padding, algorithm="winograd")
    x[1, 17, 4, 9] = value
    y = nk.conv2d(x, w, b, padding=padding, algorithm="winograd")
    assert np.array_equal(y[[0, 2]], clean[[0, 2]])
    assert np.array_equal(y[1], nk.conv2d(x, w, b, padding=padding, algorithm="direct")[1], equal_nan=True)
    w[16, 0, 2, 2] = value
    direct = nk.conv2d(x, w, b, padding=padding, algorithm="direct")
    assert np.array_equal(nk.conv2d(x, w, b, padding=padding, algorithm="winograd"), direct, equal_nan=True)


def test_groups_bias_and_out(isa, dtype, eps, rng):
    x, w = rng.standard_normal((2, 36, 9, 9)).astype(dtype), rng.standard_normal((40, 18, 3, 3)).astype(dtype)
    b, out = rng.standard_normal(40).astype(dtype), np.empty((2, 40, 7, 7), dtype)
    y = nk.conv2d(x, w, b, groups=2, algorithm="winograd", out=out)
    assert y is out
    for g in range(2):
        inner, outer = slice(18 * g, 18 * g + 18), slice(20 * g, 20 * g + 20)
        assert np.array_equal(y[:, outer], nk.conv2d(x[:, inner], w[outer], b[outer], algorithm="winograd"))


@pytest.mark.parametrize("taps", [3, 5])
def test_gradient_of_the_image_is_within_its_bound(isa, dtype, eps, rng, taps):
    x, w, _, padding = operands(rng, (2, 35, 11, 9, 37, 1), dtype, taps)
    dy = rng.standard_normal((2, 37, 11, 9)).astype(dtype)
    dx = nk.conv2d_backward(dy, x, w, padding=padding, needs=("x",))[0]
    x, w, dy = (a.astype(np.float64) for a in (x, w, dy))
    flipped = np.flip(w, (2, 3)).swapaxes(0, 1)
    bound = (w.shape[0] + 40) * eps * largest_result(dy, flipped, padding, x.shape[2:])
    wanted = reference.conv2d_backward(dy, x, w, padding=padding)[0]
    assert (abs(dx - wanted) <= bound).all()


@pytest.mark.parametrize(("taps", "size", "groups"), [(3, 14, 1), (5, 14, 1), (3, 7, 2)])
def test_gradient_of_the_image_is_the_convolution_with_turned_kernels(isa, dtype, rng, layouts, taps, size, groups):
    w = rng.standard_normal((34 * groups, 33, taps, taps)).astype(dtype)
    dy = rng.standard_normal((2, 34 * groups, size, size)).astype(dtype)
    dy[0, 1, 2, 3] = np.inf  # this image takes the direct form
    parts = w.reshape(groups, 34, 33, taps, taps).swapaxes(1, 2)[..., ::-1, ::-1]
    turned = np.ascontiguousarray(parts).reshape(33 * groups, 34, taps, taps)
    x = np.empty((2, 33 * groups, size, size), dtype)
    with np.errstate(invalid="ignore"):
        wanted = nk.conv2d(dy, turned, padding=taps // 2, groups=groups)
        for w_ in layouts(w):
            dx, _, _ = nk.conv2d_backward(dy, x, w_, padding=taps // 2, groups=groups, needs=("x",))
            assert np.array_equal(dx, wanted, equal_nan=True)


def test_algorithm_is_checked():
    x, w = np.ones((1, 2, 8, 8)), np.ones((3, 2, 3, 3))
    with pytest.raises(ValueError, match="algorithm must be"):
        nk.conv2d(x, w, algorithm="fft")
    for bad in ({"stride": 2}, {"dilation": 2}):
        with pytest.raises(ValueError, match="algorithm='winograd' must have a 3x3 or 5x5 kernel"):
            nk.conv2d(x, w, algorithm="winograd", **bad)
    with pytest.raises(ValueError, match="algorithm='winograd' must have a 3x3 or 5x5 kernel"):
        nk.conv2d(x, np.ones((3, 2, 7, 7)), algorithm="winograd")
    assert nk.conv2d(x[:0], w, algorithm="winograd").shape == (0, 3, 6, 6)
    assert np.array_equal(
        nk.conv2d(x[:, :0], w[:, :0], np.arange(3.0), algorithm="winograd")[0, :, 0, 0], np.arange(3.0)
    )
