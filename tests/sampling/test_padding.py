"""Padding: the very pixels of the definition, and its gradient, in every layout."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference

SHAPES = [(2, 3, 7, 9), (1, 1, 1, 1), (2, 20, 5, 40), (1, 33, 3, 3), (1, 3, 4, 100)]
MODES = ["constant", "reflect", "replicate", "circular"]
PADDINGS = [0, 2, (1, 3), ((1, 0), (0, 3)), ((2, 2), (8, 1)), ((0, 40), (50, 0))]


def allowed(shape, padding, mode):
    most = {"reflect": lambda n: n - 1, "circular": lambda n: n}.get(mode, lambda n: 99)
    sides = reference.sampling.pad_pairs(padding)
    return all(max(side) <= most(n) for side, n in zip(sides, shape[2:], strict=True))


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_gradients(isa, dtype, rng, layouts, shape, mode):
    x = rng.integers(-9, 10, shape).astype(dtype)
    x[rng.random(shape) < 0.2] = -0.0
    for padding in PADDINGS:
        if not allowed(shape, padding, mode):
            continue
        options = {"mode": mode, "value": 2.5 if mode == "constant" else 0.0}
        wanted = reference.pad2d(x, padding, **options)
        for other in x, channels_last(x), *layouts(x):
            assert nk.pad2d(other, padding, **options).tobytes() == wanted.tobytes()
        dy = rng.integers(-9, 10, wanted.shape).astype(dtype)
        wanted = reference.pad2d_backward(dy, padding, mode=mode)
        for other in dy, channels_last(dy), *layouts(dy):
            np.testing.assert_array_equal(nk.pad2d_backward(other, padding, mode=mode), wanted)


@pytest.mark.parametrize("mode", MODES)
def test_against_pytorch(dtype, rng, mode):
    torch = pytest.importorskip("torch")
    for shape in SHAPES:
        for padding in PADDINGS:
            if not allowed(shape, padding, mode):
                continue
            (top, bottom), (left, right) = reference.sampling.pad_pairs(padding)
            x = torch.from_numpy(rng.integers(-9, 10, shape).astype(dtype)).requires_grad_()
            y = torch.nn.functional.pad(x, (left, right, top, bottom), mode=mode)
            np.testing.assert_array_equal(nk.pad2d(x.detach().numpy(), padding, mode=mode), y.detach())
            dy = rng.integers(-9, 10, tuple(y.shape)).astype(dtype)
            y.backward(torch.from_numpy(dy))
            np.testing.assert_array_equal(nk.pad2d_backward(dy, padding, mode=mode), x.grad)


@pytest.mark.parametrize("mode", MODES)
def test_threads_change_no_bit(isa, dtype, rng, same_for_any_threads, mode):
    for shape in (3, 5, 30, 40), (2, 40, 7, 7):
        x = rng.standard_normal(shape).astype(dtype)
        for each in x, channels_last(x):
            same_for_any_threads(
                lambda x=each: (nk.pad2d(x, (2, 3), mode=mode), nk.pad2d_backward(x, (1, 2), mode=mode))
            )


def test_special_values_are_kept(isa, dtype):
    x = np.array([np.nan, np.inf, -0.0, np.finfo(dtype).smallest_subnormal], dtype).reshape(1, 1, 1, 4)
    y = nk.pad2d(x, (0, 3), mode="reflect")
    np.testing.assert_array_equal(y.ravel(), [x.flat[i] for i in (3, 2, 1, 0, 1, 2, 3, 2, 1, 0)])
    for value in np.nan, np.inf, -0.0, 3:
        y = nk.pad2d(x, ((1, 0), (0, 20)), value=value)
        np.testing.assert_array_equal(y[..., 4:], np.full((1, 1, 2, 20), value))
        np.testing.assert_array_equal(y[0, 0, 1, :4], x[0, 0, 0])


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_no_pixels(dtype, shape):
    x = np.ones(shape, dtype)
    y = nk.pad2d(x, 2, value=7)
    assert y.shape == (*shape[:2], shape[2] + 4, shape[3] + 4)
    assert (y == 7).all() or x.size
    assert nk.pad2d_backward(y, 2).shape == shape
    if shape[2] and shape[3]:
        assert nk.pad2d(x, 2, mode="replicate").shape == y.shape


X = np.ones((1, 2, 4, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.pad2d(X, 4, mode="reflect"), ValueError, r"padding must be smaller .* got \(4, 4\) for size 4"),
        (lambda: nk.pad2d(X, (0, 6), mode="circular"), ValueError, r"padding must not be larger .* got \(6, 6\)"),
        (lambda: nk.pad2d(X[..., :0], 0, mode="replicate"), ValueError, "x must have at least one row"),
        (lambda: nk.pad2d(X, -1), ValueError, "padding must be at least 0, got -1"),
        (lambda: nk.pad2d(X, 1.5), TypeError, "padding must be an int, a pair of ints or"),
        (lambda: nk.pad2d(X, (1, 2, 3)), ValueError, "padding must be an int, a pair of ints or"),
        (lambda: nk.pad2d(X, 1, mode="edge"), ValueError, "mode must be one of 'constant', 'reflect'"),
        (lambda: nk.pad2d(X, 1, mode="reflect", value=1), ValueError, "value must be 0 with mode='reflect', got 1"),
        (lambda: nk.pad2d(X, 1, value="x"), TypeError, "value must be a number, got str"),
        (lambda: nk.pad2d(X[0], 1), ValueError, r"x must have shape \(n, c, h, w\)"),
        (lambda: nk.pad2d(X, 2**63 - 1), ValueError, "padding must leave a size that fits 64 bits"),
        (lambda: nk.pad2d(X, 2**61), ValueError, "the result would have shape .* whose size overflows"),
        (lambda: nk.pad2d_backward(X, 3), ValueError, r"dy must have a shape of at least the padding"),
        (lambda: nk.pad2d_backward(X, 2, mode="reflect"), ValueError, "padding must be smaller than the image"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
