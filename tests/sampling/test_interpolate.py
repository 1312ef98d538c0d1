"""Interpolation: against the definition and PyTorch, for every form that the kernels take."""

import itertools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels.reference.sampling import combine, interpolation_axes, spread

# Planes that are turned, read in place, gathered; few and many channels; rows of less than a vector and of several
SHAPES = [(2, 3, 7, 9), (1, 1, 1, 1), (2, 20, 5, 40), (1, 33, 3, 3), (1, 9, 21, 70), (3, 2, 1, 5), (1, 2, 300, 2)]
MODES = [
    {"mode": "nearest"},
    {"mode": "bilinear"},
    {"mode": "bilinear", "align_corners": True},
    {"mode": "bilinear", "antialias": True},
    {"mode": "bilinear", "antialias": True, "align_corners": True},
]


def sizes_of(h, w):
    yield {"size": (2 * h, 2 * w)}
    yield {"size": (max(1, h // 2), max(1, w // 2))}
    yield {"size": (3, 50)}
    yield {"size": (h, w)}
    yield {"size": 1}
    yield {"scale_factor": (1.7, 2.3)}
    yield {"scale_factor": 1.05}


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def channels_of_more(x):
    """Channels side by side, beside others, in images that are cut out of larger ones."""
    wide = np.full((x.shape[0], x.shape[2] + 2, x.shape[3] + 3, x.shape[1] + 5), np.nan, x.dtype)[:, 1:-1, 2:-1, 2:-3]
    wide[...] = x.transpose(0, 2, 3, 1)
    return wide.transpose(0, 3, 1, 2)


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(isa, dtype, eps, rng, layouts, shape, options):
    x = rng.standard_normal(shape).astype(dtype)
    for size in sizes_of(*shape[2:]):
        axes = interpolation_axes(shape[2:], **size, **options, dtype=dtype)
        y = nk.interpolate(x, **size, **options)
        terms = sum(max(len(taps), 2) for taps in axes) + 4
        wide = x.astype(np.longdouble)
        assert (abs(y - combine(wide, *axes)) <= terms * eps * combine(abs(wide), *axes)).all()
        for other in channels_last(x), channels_of_more(x), *layouts(x):
            assert nk.interpolate(other, **size, **options).tobytes() == y.tobytes()
        dy = rng.standard_normal(y.shape).astype(dtype)
        dx = nk.interpolate_backward(dy, shape[2:], **size, **options)
        wide = dy.astype(np.longdouble)
        terms = sum(max(np.bincount(np.concatenate([p[p >= 0] for p, _ in taps]))) for taps in axes) + 6
        limit = terms * eps * spread(abs(wide), *axes, shape[2:])
        assert (abs(dx - spread(wide, *axes, shape[2:])) <= limit).all()
        for other in channels_last(dy), channels_of_more(dy), *layouts(dy):
            assert nk.interpolate_backward(other, shape[2:], **size, **options).tobytes() == dx.tobytes()


@pytest.mark.parametrize("options", MODES)
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, options):
    for shape in (3, 5, 30, 40), (2, 40, 7, 7):
        x = rng.standard_normal(shape).astype(dtype)
        dy = rng.standard_normal((*shape[:2], 17, 60)).astype(dtype)
        for a, b in (x, dy), (channels_last(x), channels_last(dy)):
            same_for_any_threads(
                lambda a=a, b=b, shape=shape: (
                    nk.interpolate(a, (17, 60), **options),
                    nk.interpolate_backward(b, shape[2:], **options),
                )
            )


def test_a_sample_does_not_depend_on_its_batch(isa, dtype, rng):
    x = rng.standard_normal((5, 12, 9, 33)).astype(dtype)
    for options in MODES:
        whole = nk.interpolate(x, (20, 20), **options)
        assert whole[3:4].tobytes() == nk.interpolate(x[3:4], (20, 20), **options).tobytes()


def test_results_lie_as_their_images(dtype):
    x = channels_last(np.ones((2, 3, 4, 5), dtype))
    for y in nk.interpolate(x, 7), nk.interpolate_backward(x, 7), nk.pad2d(x, 1), nk.pad2d_backward(x, 1):
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    assert nk.interpolate(np.asfortranarray(x[:1]), 7).shape == (1, 3, 7, 7)
    assert nk.interpolate(x.copy(order="C"), 7).flags.c_contiguous


def test_nearest_pixels_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    for n in range(1, 90):
        x = np.arange(n, dtype=np.float32).reshape(1, 1, 1, n)
        for size in {*range(1, 200, 7), n, 2 * n, 3 * n, n // 2 + 1}:
            wanted = torch.nn.functional.interpolate(torch.from_numpy(x), (1, size))
            assert np.array_equal(nk.interpolate(x, (1, size)), wanted)
        for factor in 0.3, 1.05, 1.7, 2.3, 3.1:
            if n * factor >= 1:
                wanted = torch.nn.functional.interpolate(torch.from_numpy(x), scale_factor=(1, factor))
                assert np.array_equal(nk.interpolate(x, scale_factor=(1, factor)), wanted)


@pytest.mark.parametrize("options", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_pytorch(dtype, eps, rng, shape, options):
    torch = pytest.importorskip("torch")
    x = rng.standard_normal(shape).astype(dtype)
    for size in sizes_of(*shape[2:]):
        # PyTorch smooths rows twice where results have one column, and takes equal sizes as they are forward only;
        # with a scale it looks for the nearest pixel in two ways, for small results as in the gradient.
        narrow = np.ravel(size.get("size", 2))[-1] == 1
        if options.get("antialias") and (narrow or size.get("scale_factor") == 1.05):
            continue
        if options["mode"] == "nearest" and "scale_factor" in size and (dtype == np.float64 or shape[2] > 100):
            continue
        tensor = torch.from_numpy(x).requires_grad_()
        y = torch.nn.functional.interpolate(tensor, **size, **options if options["mode"] != "nearest" else {})
        dy = rng.standard_normal(tuple(y.shape)).astype(dtype)
        y.backward(torch.from_numpy(dy))
        np.testing.assert_allclose(nk.interpolate(x, **size, **options), y.detach(), rtol=0, atol=500 * eps)
        dx = nk.interpolate_backward(dy, shape[2:], **size, **options)
        np.testing.assert_allclose(dx, tensor.grad, rtol=0, atol=500 * eps * max(1, abs(dx).max()))


def test_infinite_pixels(isa, dtype):
    """As PyTorch: a result that sees infinity with weight 0 is NaN, one that does not see it is finite."""
    x = np.array([1, np.inf, 2, 3], dtype).reshape(1, 1, 1, 4)
    nan, inf = np.nan, np.inf
    np.testing.assert_array_equal(nk.interpolate(x, (1, 4), mode="bilinear").ravel(), [1, nan, 2, 3])
    eight = [nan, nan, nan, nan, nan, 2.25, 2.75, 3]
    np.testing.assert_array_equal(nk.interpolate(x, (1, 8), mode="bilinear").ravel(), eight)
    smooth = nk.interpolate(x, (1, 8), mode="bilinear", antialias=True).ravel()
    np.testing.assert_array_equal(smooth, [1, inf, inf, inf, inf, 2.25, 2.75, 3])
    dy = np.array([1, inf, 1, 1], dtype).reshape(1, 1, 1, 4)
    np.testing.assert_array_equal(nk.interpolate_backward(dy, (1, 4), mode="bilinear").ravel(), [1, nan, 1, 1])
    assert np.signbit(nk.interpolate(np.full((1, 1, 2, 2), -0.0, dtype), 3)).all()


def test_long_sums_of_gradients(isa):
    """A pixel that fills a row of 200,000 results: one chain of additions errs by 40, pieces of 8192 by 1.3."""
    dy = np.full((1, 1, 1, 200_000), 0.1, np.float32)
    wide = channels_last(np.broadcast_to(dy, (1, 20, 1, 200_000)))
    for each in dy, wide, dy.transpose(0, 1, 3, 2), wide.transpose(0, 1, 3, 2):
        assert (abs(nk.interpolate_backward(each, (1, 1)) - dy.sum(dtype=np.float64)) < 3).all()


def test_gradient_is_the_adjoint(dtype, rng):
    for options, size in itertools.product(MODES, [(9, 4), (3, 20), (5, 8)]):
        x, dy = rng.standard_normal((2, 3, 5, 8)), rng.standard_normal((2, 3, *size))
        forward = (nk.interpolate(x, size, **options) * dy).sum()
        assert abs(forward - (x * nk.interpolate_backward(dy, (5, 8), size, **options)).sum()) < 1e-12
        np.testing.assert_allclose(
            reference.interpolate(x, size, **options), nk.interpolate(x, size, **options), 1e-12, 1e-12
        )


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5)])
def test_no_images(dtype, shape):
    x = np.ones(shape, dtype)
    assert nk.interpolate(x, (2, 7)).shape == (*shape[:2], 2, 7)
    assert nk.interpolate_backward(x, (2, 7), mode="bilinear").shape == (*shape[:2], 2, 7)


X = np.ones((1, 2, 4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.interpolate(X), ValueError, "size or scale_factor must be given"),
        (lambda: nk.interpolate(X, 3, scale_factor=2), ValueError, "size must be None where scale_factor is given"),
        (lambda: nk.interpolate(X, 0), ValueError, "size must be at least 1, got 0"),
        (lambda: nk.interpolate(X, 2.5), TypeError, "size must be an int or a pair"),
        (lambda: nk.interpolate(X, (1, 2, 3)), ValueError, "size must be an int or a pair of ints, got 3 values"),
        (lambda: nk.interpolate(X, scale_factor=0.1), ValueError, "scale_factor must leave at least one row"),
        (lambda: nk.interpolate(X, scale_factor=-1), ValueError, "scale_factor must be positive and finite, got -1"),
        (lambda: nk.interpolate(X, scale_factor=np.nan), ValueError, "scale_factor must be positive and finite"),
        (lambda: nk.interpolate(X, scale_factor=1e300), ValueError, "scale_factor must leave .* fit 64 bits"),
        (lambda: nk.interpolate(X, scale_factor=(1, 2, 3)), ValueError, "scale_factor must be a number or a pair"),
        (lambda: nk.interpolate(X, 2, mode="bicubic"), ValueError, "mode must be one of 'nearest', 'bilinear'"),
        (
            lambda: nk.interpolate(X, 2, align_corners=True),
            ValueError,
            "align_corners must be False with mode='nearest'",
        ),
        (lambda: nk.interpolate(X, 2, antialias=True), ValueError, "antialias must be False with mode='nearest'"),
        (lambda: nk.interpolate(X[0], 2), ValueError, r"x must have shape \(n, c, h, w\), got \(2, 4, 5\)"),
        (lambda: nk.interpolate(X[:, :, :0], 2), ValueError, "x must have at least one row and one column"),
        (lambda: nk.interpolate(X.astype(int), 2), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.interpolate(X, 2**62), ValueError, "the result would have shape .* whose size overflows"),
        (lambda: nk.interpolate_backward(X, (2, 2), (3, 5)), ValueError, r"dy must have shape \(1, 2, 3, 5\)"),
        (lambda: nk.interpolate_backward(X, 0), ValueError, "input_size must be at least 1"),
        (lambda: nk.interpolate_backward(X[..., :0], 2), ValueError, "dy must have at least one row and one column"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
