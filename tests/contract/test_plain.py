"""Plain arrays take a way past Python's checks: the same bits as the way with `out`, and the same complaints."""

import itertools

import numpy as np
import pytest

import npkernels as nk

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("c", "oc", "kernel"), [(2, 1, 1), (3, 8, 3), (15, 5, 2), (16, 40, 3), (1, 3, 3)])
def test_conv2d(dtype, c, oc, kernel):
    w, b = RNG.normal(size=(oc, c, kernel, kernel)).astype(dtype), RNG.normal(size=oc).astype(dtype)
    for h, width, stride, padding, dilation in itertools.product((3, 8), (1, 9), (1, 2, 40), (0, 2), (1, 2)):
        if min(h, width) + 2 * padding <= dilation * (kernel - 1):
            continue
        x = RNG.normal(size=(2, c, h, width)).astype(dtype)
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        y = nk.conv2d(x, w, b, activation="relu", **options)
        out = np.full_like(y, np.nan)
        assert nk.conv2d(x, w, b, activation="relu", out=out, **options) is out
        assert y.dtype == dtype
        assert np.array_equal(y, out)
        strided = nk.conv2d(x, np.repeat(w, 2, axis=0)[::2], np.repeat(b, 2)[::2], activation="relu", **options)
        assert np.array_equal(strided, y)


@pytest.mark.parametrize("pool", [nk.max_pool2d, nk.avg_pool2d])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pooling(pool, dtype):
    for h, width, size, stride, padding in itertools.product((1, 7), (5, 34), (1, 2, 3), (None, 1, 2, 90), (0, 1)):
        if padding >= size or h + 2 * padding < size:
            continue
        x = RNG.normal(size=(2, 3, h, width)).astype(dtype)
        y = pool(x, size, stride=stride, padding=padding)
        out = np.full_like(y, np.nan)
        assert pool(x, size, stride=stride, padding=padding, out=out) is out
        assert y.dtype == dtype
        assert np.array_equal(y, out)


X, W = np.zeros((1, 2, 5, 5)), np.zeros((4, 2, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nk.conv2d(X, W, groups=True), TypeError, "groups must be an int, got bool"),
        (lambda: nk.conv2d(X, W, stride=True), TypeError, "stride must be an int"),
        (lambda: nk.conv2d(X, W, stride=2**64), ValueError, "stride must fit 64 bits"),
        (lambda: nk.conv2d(X, W, stride=0), ValueError, "stride must be at least 1"),
        (lambda: nk.conv2d(X, W, padding=-1), ValueError, "padding must be at least 0"),
        (lambda: nk.conv2d(X, W, dilation=3), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.conv2d(X, W, np.zeros(3)), ValueError, r"b must have shape \(4,\), got \(3,\)"),
        (lambda: nk.conv2d(X, W, np.zeros(4, np.float32)), TypeError, "b must be float64 like x, got float32"),
        (lambda: nk.conv2d(X, W.astype(np.float32)), TypeError, "w must be float64 like x, got float32"),
        (lambda: nk.conv2d(X, W[:, :1]), ValueError, "w must have shape"),
        (lambda: nk.conv2d(X, W[0]), ValueError, "w must have shape"),
        (lambda: nk.max_pool2d(X, True), TypeError, "kernel_size must be an int"),
        (lambda: nk.max_pool2d(X, 2, dilation=True), TypeError, "dilation must be an int"),
        (lambda: nk.max_pool2d(X, 2, padding=2), ValueError, "padding must be smaller than"),
        (lambda: nk.max_pool2d(X, 0), ValueError, "kernel_size must be at least 1"),
        (lambda: nk.max_pool2d(X, 6), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.avg_pool2d(X, 2, stride=0), ValueError, "stride must be at least 1"),
        (lambda: nk.avg_pool2d(X[0], 2), ValueError, "x must have shape"),
        (lambda: nk.avg_pool2d(X.astype(">f8"), 2), TypeError, "x must be float32 or float64, got >f8"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_sizes_beyond_those_of_the_short_way():
    far = 2**40
    assert nk.conv2d(X, W, stride=far).shape == (1, 4, 1, 1)
    assert nk.max_pool2d(X, 2, stride=far).shape == (1, 2, 1, 1)
    # Few bytes are read, many would be written.
    with pytest.raises(ValueError, match="size overflows"):
        nk.conv2d(np.broadcast_to(0.0, (2**36, 2, 2**10, 2**10)), np.zeros((64, 2, 3, 3)))
    with pytest.raises(ValueError, match="size overflows"):
        nk.avg_pool2d(np.broadcast_to(0.0, (2**40, 2, 1, 1)), 2**12, stride=1, padding=2**12 - 1)
