"""Adaptive pooling and its gradients; the gradient of the maximum of whole planes."""

import itertools

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference

# Planes that are turned, one to a lane, lines of windows, and lines too long to be turned.
SHAPES = [(3, 7, 7, 7), (2, 40, 14, 9), (1, 3, 50, 61), (2, 35, 9, 70), (1, 1, 2, 5000), (2, 3, 1, 1)]
SIZES = [1, 7, (3, 5), 6, (None, 2), (20, 1), (1, 13)]


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def with_ties(rng, shape, dtype):
    x = rng.integers(-1, 2, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.02, rng.choice([np.nan, np.inf, -np.inf], shape), x).astype(dtype)


def same(got, wanted):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("shape", SHAPES)
def test_averages_are_their_definition(isa, dtype, rng, same_for_any_threads, shape):
    for size in SIZES:
        x = integers(rng, shape, dtype)
        y = same_for_any_threads(lambda x=x, size=size: nk.adaptive_avg_pool2d(x, size))
        same(y, reference.adaptive_avg_pool2d(x.astype(np.float64), size).astype(dtype))  # exact sums, one quotient
        for view in (channels_last(x), x[:, ::-1, :, ::-1].copy()[:, ::-1, :, ::-1]):
            assert nk.adaptive_avg_pool2d(view, size).tobytes() == y.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_averages_of_normal_numbers_are_near_and_alike_in_every_layout(isa, dtype, eps, rng, layouts, shape):
    for size in SIZES:
        x = rng.standard_normal(shape).astype(dtype)
        y = nk.adaptive_avg_pool2d(x, size)
        wide = x.astype(np.float64)
        wanted, scale = (reference.adaptive_avg_pool2d(a, size) for a in (wide, abs(wide)))
        terms = sum(-(-s // o) + 1 for s, o in zip(shape[2:], y.shape[2:], strict=True))
        assert (abs(y - wanted) <= (terms + 3) * eps * scale).all()
        for view in (*layouts(x), channels_last(x)):
            assert nk.adaptive_avg_pool2d(view, size).tobytes() == y.tobytes()
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = nk.adaptive_avg_pool2d_backward(dy, shape[2:])
        wide = dy.astype(np.float64)
        wanted, scale = (reference.adaptive_avg_pool2d_backward(a, shape[2:]) for a in (wide, abs(wide)))
        terms = sum(-(-o // s) + 1 for s, o in zip(shape[2:], y.shape[2:], strict=True))
        assert (abs(dx - wanted) <= (terms + 5) * eps * scale).all()
        for view in (*layouts(dy), channels_last(dy)):
            assert nk.adaptive_avg_pool2d_backward(view, shape[2:]).tobytes() == dx.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_maxima_and_their_gradients_are_their_definitions(isa, dtype, rng, layouts, same_for_any_threads, shape):
    for size in SIZES:
        x = with_ties(rng, shape, dtype)
        wanted, places = reference.adaptive_max_pool2d(x, size, return_indices=True)
        y, indices = same_for_any_threads(lambda x=x, size=size: nk.adaptive_max_pool2d(x, size, return_indices=True))
        same(y, wanted)
        same(indices, places)
        same(nk.adaptive_max_pool2d(x, size), wanted)
        for view in (*layouts(x), channels_last(x)):
            same(nk.adaptive_max_pool2d(view, size), wanted)
            for got, one in zip(nk.adaptive_max_pool2d(view, size, return_indices=True), (y, indices), strict=True):
                same(got, one)
        dy = integers(rng, y.shape, dtype)
        dx = nk.adaptive_max_pool2d_backward(dy, indices, shape[2:])
        same(dx, reference.adaptive_max_pool2d_backward(dy, places, shape[2:]))


@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_of_whole_maxima_goes_to_the_first(isa, dtype, rng, layouts, same_for_any_threads, shape):
    x, dy = with_ties(rng, shape, dtype), integers(rng, shape[:2], dtype)
    wanted = reference.global_max_pool2d_backward(dy, x)
    same(same_for_any_threads(lambda: nk.global_max_pool2d_backward(dy, x)), wanted)
    for view, gradient in zip(layouts(x), layouts(dy), strict=True):
        same(nk.global_max_pool2d_backward(gradient, view), wanted)
    same(nk.global_max_pool2d_backward(dy, channels_last(x)), wanted)


def test_the_first_of_zeros_of_both_signs_is_the_maximum(isa, dtype, rng):
    for h, w in [(1, 3), (4, 4), (5, 7), (30, 40), (3, 2000)]:
        x = -rng.integers(0, 2, (3, 37, h, w)).astype(dtype)
        x[rng.random(x.shape) < 0.5] *= -1  # -0, 0, 1 and -1
        x[x == 1] = -1
        x[:, :, -1, -1] = 0
        first = reference.adaptive_max_pool2d(x, 1)[:, :, 0, 0]
        for view in (x, channels_last(x), np.asfortranarray(x)):
            assert nk.global_max_pool2d(view).tobytes() == first.tobytes()
            assert nk.adaptive_max_pool2d(view, 1).tobytes() == first.tobytes()
            assert nk.adaptive_max_pool2d(view, 1, return_indices=True)[0].tobytes() == first.tobytes()


def test_equal_windows_are_those_that_slide(isa, dtype, rng):
    x = rng.standard_normal((2, 3, 24, 36)).astype(dtype)
    for size in (12, 6, (3, 4), (24, 18), 1):
        oh, ow = np.broadcast_to(size, 2)
        kernel = (24 // int(oh), 36 // int(ow))
        y, indices = nk.adaptive_max_pool2d(x, size, return_indices=True)
        same(y, nk.max_pool2d(x, kernel))
        same(indices, nk.max_pool2d(x, kernel, return_indices=True)[1])
        if size != 1:
            mean = nk.adaptive_avg_pool2d(x, size)
            assert mean.tobytes() == nk.avg_pool2d(x, kernel).tobytes()
            dx = nk.adaptive_avg_pool2d_backward(mean, (24, 36))
            assert dx.tobytes() == nk.avg_pool2d_backward(mean, (24, 36), kernel).tobytes()


def test_results_do_not_depend_on_the_batch(isa, dtype, rng):
    for shape, size in itertools.product([(5, 7, 7, 9), (5, 7, 20, 70)], [(3, 5), (8, 80)]):
        x = rng.standard_normal(shape).astype(dtype)
        y = nk.adaptive_avg_pool2d(x, size)
        assert nk.adaptive_avg_pool2d(x[3:4, 2:3], size).tobytes() == y[3:4, 2:3].tobytes()
        dx = nk.adaptive_avg_pool2d_backward(y, shape[2:])
        assert nk.adaptive_avg_pool2d_backward(y[3:4, 2:3], shape[2:]).tobytes() == dx[3:4, 2:3].tobytes()


def test_gradients_are_differences(isa):
    rng = np.random.default_rng(1)
    x, step = rng.permutation(2 * 5 * 7).reshape(1, 2, 5, 7).astype(np.float64), 2.0**-3
    for size in (3, (2, 4), (8, 5), 1):
        dy = rng.standard_normal(nk.adaptive_avg_pool2d(x, size).shape)
        _, indices = nk.adaptive_max_pool2d(x, size, return_indices=True)
        both = {
            nk.adaptive_avg_pool2d: nk.adaptive_avg_pool2d_backward(dy, (5, 7)),
            nk.adaptive_max_pool2d: nk.adaptive_max_pool2d_backward(dy, indices, (5, 7)),
        }
        for function, dx in both.items():
            for place in np.ndindex(x.shape):
                up, down = x.copy(), x.copy()
                up[place] += step
                down[place] -= step
                slope = (dy * (function(up, size) - function(down, size))).sum() / (2 * step)
                np.testing.assert_allclose(dx[place], slope, rtol=0, atol=1e-11)


def test_long_sums_are_those_of_pieces(isa, eps):
    for shape, size in [((1, 1, 100_000, 3), (1, 2)), ((1, 2, 2, 100_001), (2, 2))]:
        y = nk.adaptive_avg_pool2d(np.full(shape, 0.1, np.float32), size)
        assert abs(y - np.float64(np.float32(0.1))).max() <= 8192 * np.finfo(np.float32).eps * 0.1
    for size, image in [((100_000, 1), (3, 7)), ((3, 100_000), (7, 5)), ((1, 100_000), (1, 70))]:
        dy = np.full((1, 1, *size), 0.1, np.float32)
        wanted = reference.adaptive_avg_pool2d_backward(dy[:, :, :1000, :1000].astype(np.float64), image)  # its shape
        dx = nk.adaptive_avg_pool2d_backward(dy, image)
        assert dx.shape == wanted.shape
        assert abs(dx.sum(dtype=np.float64) / (np.float64(np.float32(0.1)) * dy.size) - 1) <= 8192 * 2.0**-23


def test_empty_batches_and_sizes(isa, dtype):
    for n, c in [(0, 3), (2, 0)]:
        x = np.empty((n, c, 5, 6), dtype)
        y, indices = nk.adaptive_max_pool2d(x, (3, 4), return_indices=True)
        assert y.shape == indices.shape == nk.adaptive_avg_pool2d(x, (3, 4)).shape == (n, c, 3, 4)
        assert nk.adaptive_avg_pool2d_backward(y, (5, 6)).shape == x.shape
        assert nk.adaptive_max_pool2d_backward(y, indices, (5, 6)).shape == x.shape
        assert nk.global_max_pool2d_backward(np.empty((n, c), dtype), x).shape == x.shape
    x = np.ones((2, 3, 5, 6), dtype)
    for size in (0, (0, 3), (None, 0)):
        y, indices = nk.adaptive_max_pool2d(x, size, return_indices=True)
        assert y.size == indices.size == 0
        assert y.shape == nk.adaptive_avg_pool2d(x, size).shape
        assert not nk.adaptive_avg_pool2d_backward(y, (5, 6)).any()
        assert not nk.adaptive_max_pool2d_backward(y, indices, (5, 6)).any()


def test_infinities_and_nan_travel(isa, dtype):
    x = np.zeros((1, 1, 5, 7), dtype)
    x[0, 0, 0, 0], x[0, 0, 4, 6], x[0, 0, 2, 3] = np.inf, -np.inf, np.nan
    same(nk.adaptive_avg_pool2d(x, (5, 1))[0, 0, :, 0], np.array([np.inf, 0, np.nan, 0, -np.inf], dtype))
    y = nk.adaptive_avg_pool2d(x, 2)
    assert np.isnan(y).all()  # the middle is part of all windows
    assert np.isnan(nk.adaptive_max_pool2d(x, 2)).all()


@pytest.mark.parametrize("pool", [nk.adaptive_avg_pool2d, nk.adaptive_max_pool2d])
def test_errors_name_the_argument(pool):
    x = np.zeros((1, 2, 5, 6), np.float32)
    with pytest.raises(TypeError, match="x must be float32 or float64, got int64"):
        pool(x.astype(np.int64), 2)
    with pytest.raises(ValueError, match=r"x must have shape \(n, c, h, w\), got \(5, 6\)"):
        pool(x[0, 0], 2)
    with pytest.raises(ValueError, match=r"x must have at least one row and one column, got \(1, 2, 0, 6\)"):
        pool(x[:, :, :0], 2)
    for bad, error, text in [
        (-1, ValueError, "at least 0, got -1"),
        ((2, -3), ValueError, "at least 0, got -3"),
        ((1, 2, 3), ValueError, "an int or a pair of ints or None, got 3 values"),
        (None, TypeError, "NoneType"),
        (2.0, TypeError, "float"),
        ((None, 2.0), TypeError, "float"),
        (True, TypeError, "bool"),
        (2**63, ValueError, "64 bits"),
    ]:
        with pytest.raises(error, match=f"output_size must.*{text}"):
            pool(x, bad)
    with pytest.raises(ValueError, match="overflows"):
        pool(x, 2**40)
    with pytest.raises(TypeError, match="return_indices must be a bool"):
        nk.adaptive_max_pool2d(x, 2, return_indices="yes")
    large = np.broadcast_to(np.float32(1), (1, 1, 2**16, 2**15))
    with pytest.raises(ValueError, match=r"return_indices .* 2147483647 elements, got 65536 x 32768"):
        nk.adaptive_max_pool2d(large, 2, return_indices=True)
    with pytest.raises(ValueError, match=r"x must have planes of at most 2147483647 elements"):
        nk.global_max_pool2d_backward(np.ones((1, 1), np.float32), large)


def test_errors_of_gradients_name_the_argument():
    dy, indices = np.zeros((1, 2, 2, 3), np.float32), np.zeros((1, 2, 2, 3), np.int32)
    with pytest.raises(ValueError, match=r"dy must have shape \(n, c, oh, ow\), got \(2, 3\)"):
        nk.adaptive_avg_pool2d_backward(dy[0, 0], (4, 4))
    with pytest.raises(ValueError, match="input_size must be at least 1, got 0"):
        nk.adaptive_avg_pool2d_backward(dy, (4, 0))
    with pytest.raises(ValueError, match=r"indices must be in \[0, 16\), got 0 to 16"):
        nk.adaptive_max_pool2d_backward(dy, np.where(np.arange(3) == 1, 16, indices), (4, 4))
    with pytest.raises(ValueError, match=r"dy must have shape \(1, 2\), got \(2, 1\)"):
        nk.global_max_pool2d_backward(np.zeros((2, 1), np.float32), np.zeros((1, 2, 4, 4), np.float32))
    with pytest.raises(TypeError, match="x must be float32 like dy, got float64"):
        nk.global_max_pool2d_backward(np.zeros((1, 2), np.float32), np.zeros((1, 2, 4, 4)))


def test_pytorch_agrees(rng):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    for shape, size in itertools.product([(2, 3, 7, 7), (1, 4, 19, 53)], [1, (3, 5), (8, 20), (None, 4)]):
        x = rng.integers(-2, 3, shape).astype(np.float64)
        tensor = torch.from_numpy(x).requires_grad_()
        mean = functional.adaptive_avg_pool2d(tensor, size)
        dy = rng.standard_normal(mean.shape)
        (dx,) = torch.autograd.grad(mean, tensor, torch.from_numpy(dy))
        np.testing.assert_allclose(nk.adaptive_avg_pool2d(x, size), mean.detach(), rtol=0, atol=1e-14)
        np.testing.assert_allclose(nk.adaptive_avg_pool2d_backward(dy, shape[2:]), dx, rtol=0, atol=1e-14)
        most, places = functional.adaptive_max_pool2d(tensor, size, return_indices=True)
        (dx,) = torch.autograd.grad(most, tensor, torch.from_numpy(dy))
        y, indices = nk.adaptive_max_pool2d(x, size, return_indices=True)
        np.testing.assert_array_equal(y, most.detach())
        np.testing.assert_array_equal(indices, places)
        np.testing.assert_allclose(nk.adaptive_max_pool2d_backward(dy, indices, shape[2:]), dx, rtol=0, atol=1e-14)
        if size == 1:
            got = nk.global_max_pool2d_backward(dy[:, :, 0, 0], x)
            np.testing.assert_array_equal(got, dx)
