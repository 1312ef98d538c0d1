"""Grids: against the definition and PyTorch, at every kind of place."""

import itertools

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SHAPES = [(2, 3, 7, 9), (1, 1, 1, 1), (2, 20, 5, 40), (1, 33, 3, 3), (1, 2, 1, 5), (1, 150, 4, 4)]
OPTIONS = [
    {"mode": mode, "padding_mode": padding, "align_corners": align}
    for mode, padding, align in itertools.product(
        ("bilinear", "nearest"), ("zeros", "border", "reflection"), (False, True)
    )
]


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def a_grid(rng, n, size, dtype):
    """Places in and around the images, a part of them in the middle of pixels or between two."""
    grid = rng.standard_normal((n, *size, 2)) * 1.2
    return np.where(rng.random(grid.shape) < 0.3, np.round(grid * 4) / 4, grid).astype(dtype)


def exact_case(rng, shape, dtype):
    """Images and places that no rounding touches: sizes of a power of 2, eighths of a pixel, small whole numbers."""
    n, (h, w) = shape[0], shape[2:]
    places = rng.integers(-8 * np.array([w, h]), 16 * np.array([w, h]), (n, 5, 21, 2)) / 8
    return rng.integers(-8, 9, shape).astype(dtype), ((2 * places + 1) / [w, h] - 1).astype(dtype)


@pytest.mark.parametrize("options", [o for o in OPTIONS if not o["align_corners"]])
@pytest.mark.parametrize("shape", [(2, 3, 4, 8), (1, 21, 8, 2), (1, 1, 1, 4), (2, 40, 2, 2)])
def test_exact_values(isa, dtype, rng, layouts, shape, options):
    x, grid = exact_case(rng, shape, dtype)
    y = nk.grid_sample(x, grid, **options)
    np.testing.assert_array_equal(y, reference.grid_sample(x, grid, **options))
    dy = rng.integers(-8, 9, y.shape).astype(dtype)
    dx, dgrid = nk.grid_sample_backward(dy, x, grid, **options)
    wanted = reference.grid_sample_backward(dy, x, grid, **options)
    np.testing.assert_array_equal(dx, wanted[0])
    np.testing.assert_array_equal(dgrid, wanted[1])
    for image, each in (channels_last(x), channels_last(dy)), *zip(layouts(x), layouts(dy), strict=True):
        assert nk.grid_sample(image, grid, **options).tobytes() == y.tobytes()
        for a, b in itertools.product((x, image), (dy, each)):
            again = nk.grid_sample_backward(b, a, grid, **options)
            assert [part.tobytes() for part in again] == [dx.tobytes(), dgrid.tobytes()]
    for places in layouts(grid):
        assert nk.grid_sample(x, places, **options).tobytes() == y.tobytes()
        again = nk.grid_sample_backward(dy, x, places, **options)
        assert [part.tobytes() for part in again] == [dx.tobytes(), dgrid.tobytes()]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_against_pytorch(isa, dtype, eps, rng, shape, options):
    torch = pytest.importorskip("torch")
    if options["mode"] == "nearest" and isa == "generic":
        pytest.skip("without multiply-adds another pixel may be the nearest")
    for size in (4, 5), (1, 1), (9, 40):
        x, grid = rng.standard_normal(shape).astype(dtype), a_grid(rng, shape[0], size, dtype)
        tensors = [torch.from_numpy(a).requires_grad_() for a in (x, grid)]
        y = torch.nn.functional.grid_sample(*tensors, **options)
        dy = rng.standard_normal(tuple(y.shape)).astype(dtype)
        y.backward(torch.from_numpy(dy))
        limit = 40 * eps * max(shape[2:])
        np.testing.assert_allclose(nk.grid_sample(x, grid, **options), y.detach(), rtol=0, atol=limit)
        for mine, theirs in zip(nk.grid_sample_backward(dy, x, grid, **options), tensors, strict=True):
            np.testing.assert_allclose(mine, theirs.grad, rtol=0, atol=limit * max(1, abs(mine).max()))


@pytest.mark.parametrize("options", OPTIONS)
def test_places_that_are_no_numbers_and_far_ones(isa, dtype, options):
    """As PyTorch forward; its gradients of NaN beyond zeros write outside its arrays."""
    x = np.arange(1, 21, dtype=dtype).reshape(1, 1, 4, 5)
    ends = [np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9]
    grid = np.array([[p, 0.3] for p in ends] + [[0.3, p] for p in ends], dtype).reshape(1, 2, 7, 2)
    y = nk.grid_sample(x, grid, **options)
    np.testing.assert_allclose(y, reference.grid_sample(x, grid, **options), 1e-5)
    spoiled = np.zeros(7, bool) | [
        options["padding_mode"] == "zeros" and options["mode"] == "bilinear" and i < 3 for i in range(7)
    ]
    np.testing.assert_array_equal(np.isnan(y[0, 0]), [spoiled, spoiled])
    try:
        import torch
    except ImportError:
        pass
    else:
        wanted = torch.nn.functional.grid_sample(torch.from_numpy(x), torch.from_numpy(grid), **options)
        if options["padding_mode"] != "reflection":  # where a float32 of 1e30 lies is a matter of its last bit
            np.testing.assert_allclose(y, wanted, 1e-5)
    dx, dgrid = nk.grid_sample_backward(np.ones_like(y), x, grid, **options)
    assert np.isfinite(dx).all() or options["padding_mode"] == "zeros"
    if options["padding_mode"] == "border":
        assert not dgrid[0, 0, :, 0].any()
        assert not dgrid[0, 1, :, 1].any()


def test_half_goes_to_the_even_pixel(isa, dtype):
    x = np.arange(8, dtype=dtype).reshape(1, 1, 1, 8)
    places = np.arange(-4, 20) / 2
    grid = np.stack([(2 * places + 1) / 8 - 1, np.zeros(24)], -1).astype(dtype).reshape(1, 1, 24, 2)
    wanted = np.rint(places)
    y = nk.grid_sample(x, grid, mode="nearest", padding_mode="border")
    np.testing.assert_array_equal(y.ravel(), np.clip(wanted, 0, 7))
    y = nk.grid_sample(x, grid, mode="nearest")
    np.testing.assert_array_equal(y.ravel(), np.where((wanted >= 0) & (wanted < 8), wanted, 0))


def test_infinite_pixels_spoil_no_others(isa, dtype):
    x = np.array([[1, np.inf], [3, 4]], dtype).reshape(1, 1, 2, 2)
    grid = np.array([[-0.5, 0.5], [-2, 0.5], [0.5, 3], [0.5, -0.5], [-0.5, -0.5]], dtype).reshape(1, 1, 5, 2)
    y = nk.grid_sample(x, grid).ravel()
    np.testing.assert_array_equal(y[:3], [3, 0, 0])
    assert y[3] == np.inf
    assert np.isnan(y[4])


@pytest.mark.parametrize("options", OPTIONS)
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, options):
    for shape in (3, 5, 12, 14), (2, 40, 7, 7):
        x, grid = rng.standard_normal(shape).astype(dtype), a_grid(rng, shape[0], (30, 25), dtype)
        dy = rng.standard_normal((*shape[:2], 30, 25)).astype(dtype)
        for a, b in (x, dy), (channels_last(x), channels_last(dy)):
            same_for_any_threads(
                lambda a=a, b=b, grid=grid: (
                    nk.grid_sample(a, grid, **options), *nk.grid_sample_backward(b, a, grid, **options)
                )
            )  # fmt: skip


@pytest.mark.parametrize("shape", [(2, 1, 5, 1), (2, 3, 5, 1), (1, 20, 5, 1), (2, 1, 1, 5), (2, 2, 1, 2), (1, 5, 3, 2)])
def test_thin_images_of_any_strides(isa, dtype, rng, shape):
    x, grid = rng.integers(-8, 9, shape).astype(dtype), (rng.integers(-16, 17, (shape[0], 4, 19, 2)) / 8).astype(dtype)
    for image in x, channels_last(x), x[..., ::-1], x[:, :, ::-1], np.broadcast_to(x[:, :, :1], shape):
        for mode in "bilinear", "nearest":
            y = nk.grid_sample(image, grid, mode=mode)
            np.testing.assert_allclose(y, reference.grid_sample(image, grid, mode=mode), 1e-4, 1e-4)
            for dy in y, channels_last(y):
                wanted = reference.grid_sample_backward(dy, image, grid, mode=mode)
                for a, b in zip(nk.grid_sample_backward(dy, image, grid, mode=mode), wanted, strict=True):
                    np.testing.assert_allclose(a, b, 1e-4, 1e-2)


def test_long_sums_of_gradients(isa):
    """A pixel that fills 200,000 samples: one chain of additions errs by 40."""
    grid, x = np.zeros((1, 400, 500, 2), np.float32), np.ones((1, 20, 1, 1), np.float32)
    dy = np.full((1, 20, 400, 500), 0.1, np.float32)
    wanted = dy[0, 0].sum(dtype=np.float64)
    for channels, mode in itertools.product((1, 3, 20), ("bilinear", "nearest")):
        for each in dy[:, :channels], channels_last(dy[:, :channels]):
            dx, _ = nk.grid_sample_backward(each, x[:, :channels], grid, mode=mode, needs=("x",))
            np.testing.assert_allclose(dx, wanted, 8 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_bands_of_one_image_change_no_bit(isa, dtype, rng, same_for_any_threads, mode):
    x, grid = rng.standard_normal((1, 3, 40, 30)).astype(dtype), a_grid(rng, 1, (60, 50), dtype)
    dy = rng.standard_normal((1, 3, 60, 50)).astype(dtype)
    for a, b in (x, dy), (channels_last(x), channels_last(dy)):
        same_for_any_threads(lambda a=a, b=b: nk.grid_sample_backward(b, a, grid, mode=mode))


def test_a_sample_does_not_depend_on_its_batch(isa, dtype, rng):
    x, grid = rng.standard_normal((5, 9, 9, 11)).astype(dtype), a_grid(rng, 5, (6, 7), dtype)
    whole = nk.grid_sample(x, grid)
    assert whole[3:4].tobytes() == nk.grid_sample(x[3:4], grid[3:4]).tobytes()
    dx, dgrid = nk.grid_sample_backward(whole, x, grid)
    one = nk.grid_sample_backward(whole[3:4], x[3:4], grid[3:4])
    assert (dx[3:4].tobytes(), dgrid[3:4].tobytes()) == (one[0].tobytes(), one[1].tobytes())


@pytest.mark.parametrize("options", [o for o in OPTIONS if o["mode"] == "bilinear"])
def test_gradients_are_central_differences(rng, options):
    x, grid = rng.standard_normal((2, 3, 4, 5)), rng.uniform(-1.3, 1.3, (2, 3, 4, 2))
    dy, step = rng.standard_normal((2, 3, 3, 4)), 1e-6
    dx, dgrid = nk.grid_sample_backward(dy, x, grid, **options)
    for operand, gradient in (x, dx), (grid, dgrid):
        for place in itertools.islice(np.ndindex(operand.shape), 0, None, 7):
            ends = []
            for sign in 1, -1:
                before = operand[place]
                operand[place] += sign * step
                ends.append((nk.grid_sample(x, grid, **options) * dy).sum())
                operand[place] = before
            assert abs((ends[0] - ends[1]) / (2 * step) - gradient[place]) < 1e-6 * max(1, abs(gradient).max())


def test_only_what_is_needed(dtype, rng):
    x, grid = rng.standard_normal((2, 3, 4, 5)).astype(dtype), a_grid(rng, 2, (3, 3), dtype)
    dy = rng.standard_normal((2, 3, 3, 3)).astype(dtype)
    dx, dgrid = nk.grid_sample_backward(dy, x, grid)
    only = nk.grid_sample_backward(dy, x, grid, needs=("x",))
    assert only[0].tobytes() == dx.tobytes()
    assert only[1] is None
    only = nk.grid_sample_backward(dy, x, grid, needs=("grid",))
    assert only[0] is None
    assert only[1].tobytes() == dgrid.tobytes()
    assert nk.grid_sample_backward(dy, x, grid, needs=()) == (None, None)


def test_results_lie_as_their_images(dtype):
    x, grid = channels_last(np.ones((2, 3, 4, 5), dtype)), np.zeros((2, 2, 3, 2), dtype)
    y = nk.grid_sample(x, grid)
    for each in y, nk.grid_sample_backward(y, x, grid)[0]:
        assert each.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(("shape", "size"), [((0, 3, 4, 5), (2, 2)), ((2, 0, 4, 5), (2, 2)), ((2, 3, 4, 5), (0, 2))])
def test_nothing_to_sample(dtype, shape, size):
    x, grid = np.ones(shape, dtype), np.zeros((shape[0], *size, 2), dtype)
    y = nk.grid_sample(x, grid)
    assert y.shape == (*shape[:2], *size)
    dx, dgrid = nk.grid_sample_backward(y, x, grid)
    assert (dx.shape, dgrid.shape) == (x.shape, grid.shape)
    assert not dx.any()
    assert not dgrid.any()


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(3, 1, 4, 5), (1, 2, 1, 1), (2, 1, 3, 70), (0, 1, 2, 2)])
def test_affine_grids(isa, dtype, eps, rng, layouts, size, align):
    theta = rng.standard_normal((size[0], 2, 3)).astype(dtype)
    grid = nk.affine_grid(theta, size, align_corners=align)
    wanted = reference.affine_grid(theta.astype(np.longdouble), size, align_corners=align)
    assert grid.shape == wanted.shape
    assert (abs(grid - wanted) <= 3 * eps * abs(theta).sum(2)[:, None, None]).all()
    for other in layouts(theta):
        assert nk.affine_grid(other, list(size), align_corners=align).tobytes() == grid.tobytes()


@pytest.mark.filterwarnings("ignore:Since version 1.3.0")
def test_affine_grids_of_pytorch(dtype, eps, rng):
    torch = pytest.importorskip("torch")
    for size, align in itertools.product([(2, 1, 4, 5), (2, 1, 1, 1), (2, 3, 9, 30)], (False, True)):
        theta = rng.standard_normal((2, 2, 3)).astype(dtype)
        wanted = torch.nn.functional.affine_grid(torch.from_numpy(theta), size, align_corners=align)
        np.testing.assert_allclose(nk.affine_grid(theta, size, align_corners=align), wanted, rtol=0, atol=16 * eps)


X, GRID, THETA = np.ones((2, 3, 4, 5)), np.zeros((2, 3, 3, 2)), np.zeros((2, 2, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.grid_sample(X, GRID[:1]), ValueError, r"grid must have shape \(2, oh, ow, 2\), got \(1, 3, 3, 2\)"),
        (lambda: nk.grid_sample(X, GRID[..., :1]), ValueError, r"grid must have shape \(2, oh, ow, 2\)"),
        (lambda: nk.grid_sample(X, GRID.astype("f4")), TypeError, "grid must be float64 like x, got float32"),
        (lambda: nk.grid_sample(X[0], GRID), ValueError, r"x must have shape \(n, c, h, w\)"),
        (lambda: nk.grid_sample(X[:, :, :0], GRID), ValueError, "x must have planes of 1 to 1073741824 pixels"),
        (lambda: nk.grid_sample(X, GRID, mode="bicubic"), ValueError, "mode must be one of 'bilinear', 'nearest'"),
        (lambda: nk.grid_sample(X, GRID, padding_mode="reflect"), ValueError, "padding_mode must be one of 'zeros'"),
        (lambda: nk.grid_sample(X, GRID, align_corners=1), TypeError, "align_corners must be a bool, got int"),
        (
            lambda: nk.grid_sample(np.broadcast_to(np.ones(1), (1, 1, 2**16, 2**16)), GRID[:1]),
            ValueError,
            "x must have planes of 1 to 1073741824 pixels",
        ),
        (lambda: nk.grid_sample_backward(X, X, GRID), ValueError, r"dy must have shape \(2, 3, 3, 3\)"),
        (
            lambda: nk.grid_sample_backward(np.ones((2, 3, 3, 3)), X, GRID, needs=("w",)),
            ValueError,
            "needs may hold 'x', 'grid', got 'w'",
        ),
        (lambda: nk.affine_grid(THETA, (1, 1, 2, 2)), ValueError, r"theta must have shape \(1, 2, 3\)"),
        (lambda: nk.affine_grid(THETA, (2, 1, 0, 2)), ValueError, "size must be at least 1, got 0"),
        (lambda: nk.affine_grid(THETA, (2, 1, 2)), ValueError, r"size must be \(n, c, h, w\), got 3 values"),
        (lambda: nk.affine_grid(THETA, 3), TypeError, r"size must be a tuple \(n, c, h, w\), got int"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
