"""Strides, dilations, pads and windows of any size: work and memory follow pixels and results."""

import time

import numpy as np
import pytest
from bounds import assert_exact, integers

import npkernels as nk
from npkernels import reference

from ..fuzz import geometry


def test_random_geometries_in_a_child_process():
    # 400 of the calls that `python -m tests.fuzz` makes without end
    assert geometry.batch(0, 0, 400) is None


@pytest.mark.parametrize("shape", [(1, 2, 0, 3), (2, 2, 3, 0), (1, 2, 0, 0)])
def test_images_without_rows_or_columns_but_with_pads_are_legal(isa, dtype, shape):
    x, w, b = np.ones(shape, dtype), np.ones((4, 2, 1, 1), dtype), np.arange(4, dtype=dtype)
    y = nk.conv2d(x, w, b, padding=1)
    assert np.array_equal(y, np.broadcast_to(b[:, None, None], (shape[0], 4, shape[2] + 2, shape[3] + 2)))
    cols = nk.im2col(x, 1, padding=1)
    assert cols.shape == (shape[0], 2, y[0, 0].size)
    assert not cols.any()
    assert nk.col2im(cols, shape[2:], 1, padding=1).shape == shape
    dx, dw, db = nk.conv2d_backward(y, x, w, padding=1)
    assert dx.shape == shape
    assert not dw.any()
    assert np.array_equal(db, y.sum(axis=(0, 2, 3)))


def test_dilation_and_padding_of_a_thousand_million(isa, dtype):
    x, w = np.ones((1, 2, 3, 1), dtype), np.ones((3, 2, 2, 2), dtype)
    options = {"dilation": (2**30, 2**30 - 3), "padding": ((0, 2**30), (0, 2**30 - 3))}
    y = nk.conv2d(x, w, **options)
    assert np.array_equal(y, np.full((1, 3, 3, 1), 2))
    dx, dw, _ = nk.conv2d_backward(y, x, w, **options)
    assert (dx == 6).all()
    assert np.array_equal(dw[0, 0], [[6, 0], [0, 0]])


def test_work_follows_pixels_not_pads():
    start = time.monotonic()
    x = nk.col2im(np.ones((1, 1, 9)), (3, 3), 1, stride=2**28, padding=2**28)
    assert x.sum() == x[0, 0, 0, 0] == 1
    ones = np.ones((1, 1, 8, 8))
    assert nk.max_pool2d(ones, 2**30, padding=2**29).shape == (1, 1, 1, 1)
    assert nk.avg_pool2d(ones, 2**24, stride=1, padding=2**23)[0, 0, 0, 0] == 64 / 2.0**48
    assert nk.avg_pool2d(ones, 2**24, stride=1, padding=2**23, count_include_pad=False)[0, 0, 8, 8] == 1
    assert nk.im2col(ones, 3, dilation=2**40, padding=2**40).sum() == 64
    wide = np.broadcast_to(np.float32(1), (1, 2, 1, 2**40))
    assert np.array_equal(nk.max_pool2d(wide, (1, 2), stride=2**38), np.ones((1, 2, 1, 4)))
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(10, 2, 40), (183, 40, 2)])
def test_every_tap_meets_few_of_many_windows(isa, dtype, rng, kernel, stride, dilation):
    # three pixels of a column: some 30 pairs of 1830; the last tap and the last window have some
    sizes = {"stride": (stride, 1), "dilation": (dilation, 1), "padding": (360, 0)}
    x, w = integers(rng, (2, 3, 5, 4), dtype), integers(rng, (4, 3, kernel, 1), dtype)
    assert_exact(nk.conv2d(x, w, **sizes), reference.conv2d, (x, w), **sizes)
    operands = integers(rng, nk.conv2d(x, w, **sizes).shape, dtype), x, w
    assert_exact(nk.conv2d_backward(*operands, **sizes), reference.conv2d_backward, operands, **sizes)
    sizes["kernel_size"] = kernel, 1
    assert_exact(nk.im2col(x, **sizes), reference.im2col, (x,), **sizes)
    cols = integers(rng, nk.im2col(x, **sizes).shape, dtype)
    sizes["output_size"] = 5, 4
    assert_exact(nk.col2im(cols, **sizes), reference.col2im, (cols,), **sizes)


def test_nan_wins_in_windows_beyond_the_image(isa, dtype):
    x = np.ones((1, 1, 8, 8), dtype)
    x[0, 0, 3, 5:] = x[0, 0, 4, 2] = np.nan
    y, indices = nk.max_pool2d(x, 2**30, padding=2**29, return_indices=True)
    assert np.isnan(y).all()
    assert indices == 8 * 3 + 5


def test_taps_in_the_padding_count_where_a_weight_is_not_finite(isa, dtype):
    # Definition: zeros times infinity are NaN; taps that meet no pixel are left out only if that changes nothing.
    x, w = np.ones((2, 2, 4, 4), dtype), np.ones((3, 2, 3, 3), dtype)
    w[1, 0, 0, 2], w[2, 1, 2, 0] = np.inf, np.nan
    for dilation, padding in ((5, 5), (9, 9), (3, 6), (40, 40), (2, 40)):
        with np.errstate(invalid="ignore"):
            wanted = reference.conv2d(x, w, dilation=dilation, padding=padding)
        assert np.array_equal(nk.conv2d(x, w, dilation=dilation, padding=padding), wanted, equal_nan=True)
        dy = np.ones(wanted.shape, dtype)
        dy[1, 2, 0, 0] = np.inf
        with np.errstate(invalid="ignore"):
            wanted = reference.conv2d_backward(dy, x, w, dilation=dilation, padding=padding)[1]
        got = nk.conv2d_backward(dy, x, w, dilation=dilation, padding=padding, needs=("w",))[1]
        assert np.array_equal(got, wanted, equal_nan=True)


@pytest.mark.parametrize("activation", [None, "leaky_relu", "gelu"])
def test_one_tap_of_a_wide_dilation_gives_the_convolution_of_that_tap(isa, dtype, rng, activation):
    x, w, b = rng.standard_normal((2, 6, 9, 9)), rng.standard_normal((4, 6, 3, 3)), rng.standard_normal(4)
    x, w, b = (a.astype(dtype) for a in (x, w, b))
    y = nk.conv2d(x, w, b, dilation=24, padding=24, activation=activation)
    assert np.array_equal(y, nk.conv2d(x, w[:, :, 1:2, 1:2].copy(), b, activation=activation))
