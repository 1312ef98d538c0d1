"""`conv2d` and `conv2d_backward` where a group has one input channel."""

import itertools

import numpy as np
import pytest
from bounds import assert_within

import npkernels as nk
from npkernels import reference

# c, multiplier, h, w, kh, kw: one pixel, rows around a vector, several vectors, several bands of rows
SHAPES = [
    (3, 1, 1, 1, 1, 1),
    (2, 2, 9, 16, 3, 3),
    (3, 1, 7, 33, 5, 2),
    (1, 4, 20, 70, 4, 5),
    (2, 1, 150, 90, 3, 3),
    (2, 3, 6, 300, 1, 7),
]


def operands(rng, n, shape, dtype):
    c, multiplier, h, w, kh, kw = shape
    shapes = ((n, c, h, w), (c * multiplier, 1, kh, kw), (c * multiplier,))
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1), (1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_depthwise_and_gradients_are_within_the_bound(isa, dtype, eps, rng, shape, stride):
    x, w, b = operands(rng, 2, shape, dtype)
    for padding, dilation in itertools.product([0, 2, ((1, 0), (3, 4))], [1, (2, 3)]):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": x.shape[1]}
        try:
            y = nk.conv2d(x, w, b, **options)
        except ValueError:
            continue  # the kernel does not fit
        assert_within(y, reference.conv2d, (x, w, b), w[0].size, eps, **options)
        dy = rng.standard_normal(y.shape).astype(dtype)
        terms = (w[0].size * shape[1], y[:, 0].size, y[:, 0].size)
        got = nk.conv2d_backward(dy, x, w, **options)
        assert_within(got, reference.conv2d_backward, (dy, x, w), terms, eps, **options)


@pytest.mark.parametrize("stride", [1, 2])
def test_same_bits_for_any_threads_batch_and_layout(isa, dtype, rng, layouts, same_for_any_threads, stride):
    x, w, b = operands(rng, 6, (40, 2, 20, 21, 3, 3), dtype)
    dy = rng.standard_normal(nk.conv2d(x, w, stride=stride, padding=1, groups=40).shape).astype(dtype)

    def run(x=x, w=w, dy=dy):
        options = {"stride": stride, "padding": 1, "groups": 40}
        return nk.conv2d(x, w, b, activation="relu", **options), *nk.conv2d_backward(dy, x, w, **options)

    first = same_for_any_threads(run)
    for one in (0, 3):
        part = slice(one, one + 1)
        y, dx, _, _ = run(x[part], dy=dy[part])
        assert np.array_equal(y[0], first[0][one])
        assert np.array_equal(dx[0], first[1][one])
    changed = [*({"x": a} for a in layouts(x)), *({"w": a} for a in layouts(w)), *({"dy": a} for a in layouts(dy))]
    for arguments in changed:
        for got, wanted in zip(run(**arguments), first, strict=True):
            assert np.array_equal(got, wanted)


def test_nan_outside_the_windows_is_not_seen_and_infinite_weights_meet_the_padding(isa, dtype):
    x, w = np.ones((1, 2, 6, 6), dtype), np.ones((2, 1, 3, 3), dtype)
    x[0, 0, 5] = x[0, 0, :, 5] = np.nan  # row and column 5 lie beyond the last window of stride 2
    y = nk.conv2d(x, w, stride=2, groups=2)
    assert (y == 9).all()
    dx, dw, _ = nk.conv2d_backward(np.ones_like(y), x, w, stride=2, groups=2)
    assert np.isfinite(dx).all()
    assert (dw == 4).all()
    w[1, 0, 0, 0] = np.inf
    y = nk.conv2d(np.ones((1, 2, 6, 6), dtype), w, padding=1, groups=2)
    with np.errstate(invalid="ignore"):
        wanted = reference.conv2d(np.ones((1, 2, 6, 6)), w.astype(np.float64), padding=1, groups=2)
    assert np.array_equal(y, wanted.astype(dtype), equal_nan=True)


def test_large_dilation_and_kernels_take_the_general_form(isa, dtype, eps, rng):
    for kernel, dilation, padding in ((13, 1, 6), (3, 300, 300), ((1, 130), 1, 0)):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        x, w = (rng.standard_normal(s).astype(dtype) for s in ((1, 3, 14, 140), (3, 1, kh, kw)))
        options = {"padding": padding, "dilation": dilation, "groups": 3}
        y = nk.conv2d(x, w, **options)
        assert_within(y, reference.conv2d, (x, w), w[0].size, eps, **options)
        dy = rng.standard_normal(y.shape).astype(dtype)
        terms = (w[0].size, y[:, 0].size, y[:, 0].size)
        got = nk.conv2d_backward(dy, x, w, **options)
        assert_within(got, reference.conv2d_backward, (dy, x, w), terms, eps, **options)
