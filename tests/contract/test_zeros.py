"""Signs of zero: products that vanish, biases of -0 and products that underflow give +0 in every form of a sum."""

import numpy as np
import pytest

import npkernels as nk
from npkernels._kernels import conv as _conv, costs as _costs
from npkernels.conv.geometry import geometry_of

from ..conv.test_conv_forms import CASES, FORMS, by_form, weight_gradient

DEPTHWISE = [
    (3, 20, 7, 7, 20, 3, 3, 1, 1, 1, 20),
    (2, 5, 9, 8, 5, 3, 2, (2, 1), (2, 1), 1, 5),
    (1, 4, 6, 40, 8, 3, 3, 1, 3, 2, 4),
]


def draw(rng, shape, dtype):
    """Zeros of either sign, and numbers so small that a product of two is rounded to a zero."""
    tiny = np.sqrt(np.finfo(dtype).smallest_subnormal) / 4
    return rng.choice(np.array([0.0, -0.0, -0.0, tiny, -tiny], dtype), shape)


def operands(rng, case, dtype):
    n, c, h, w, oc, kh, kw, stride, padding, dilation, groups = case
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return [draw(rng, s, dtype) for s in ((n, c, h, w), (oc, c // groups, kh, kw))], np.full(oc, -0.0, dtype), options


def assert_positive_zeros(*arrays):
    for array in arrays:
        assert not np.asarray(array).view(np.uint8).any()


@pytest.mark.parametrize("case", CASES)
def test_convolution(isa, dtype, rng, case):
    (x, w), b, options = operands(rng, case, dtype)
    many = np.tile(x, (-(-40 // len(x)), 1, 1, 1))
    for form in FORMS:
        assert_positive_zeros(by_form(form, x, w, b, **options), by_form(form, many, w, b, **options))
    for algorithm in ("auto", "direct"):
        assert_positive_zeros(nk.conv2d(many, w, b, algorithm=algorithm, **options))
    dy = draw(rng, nk.conv2d(x, w, **options).shape, dtype)
    assert_positive_zeros(*nk.conv2d_backward(dy, x, w, needs=("x", "w"), **options)[:2], weight_gradient(x, dy, case))


@pytest.mark.parametrize("case", CASES)
def test_transposed_convolution(isa, dtype, rng, case):
    (x, w), _, options = operands(rng, case, dtype)
    b = np.full(x.shape[1], -0.0, dtype)
    dy = draw(rng, nk.conv2d(x, w, **options).shape, dtype)
    y = nk.conv_transpose2d(dy, w, b, **options)
    assert_positive_zeros(
        y, *nk.conv_transpose2d_backward(draw(rng, y.shape, dtype), dy, w, needs=("x", "w"), **options)[:2]
    )


@pytest.mark.parametrize("case", DEPTHWISE)
def test_depthwise_convolution(isa, dtype, rng, case):
    (x, w), b, options = operands(rng, case, dtype)
    n, c, h, width, oc, kh, kw, stride, padding, dilation, _ = case
    geometry = geometry_of(h, width, kh, kw, stride, padding, dilation)
    for form in (_costs.FORMS["rows"], _costs.FORMS["pixels"]):
        y, dx = np.full((n, oc, *geometry[8:]), np.nan, dtype), np.full_like(x, np.nan)
        _conv.forward(x, w, b, y, geometry, c, -1, form)
        _conv.image_gradient(draw(rng, y.shape, dtype), w, None, dx, geometry, c, form)
        assert_positive_zeros(y, dx)
    assert_positive_zeros(
        nk.conv2d(x, w, b, **options),
        *nk.conv2d_backward(draw(rng, y.shape, dtype), x, w, needs=("x", "w"), **options)[:2],
    )


@pytest.mark.parametrize("taps", [3, 5])
def test_winograd(isa, dtype, rng, taps):
    x, w, b = draw(rng, (2, 17, 9, 9), dtype), draw(rng, (33, 17, taps, taps), dtype), np.full(33, -0.0, dtype)
    for operand in (x, np.zeros_like(x), np.full_like(x, -0.0)):
        assert_positive_zeros(nk.conv2d(operand, w, b, algorithm="winograd"))


@pytest.mark.parametrize("k", [0, 1, 5, 40, 700])
@pytest.mark.parametrize(("m", "n"), [(1, 7), (1, 300), (5, 33), (70, 100), (3, 1)])
def test_products(isa, dtype, rng, k, m, n):
    x, w, b = draw(rng, (m, k), dtype), draw(rng, (n, k), dtype), np.full(n, -0.0, dtype)
    assert_positive_zeros(nk.dense(x, w, b), nk.dense(x, w), nk.matmul(x, w.T), nk.matmul(x, np.ascontiguousarray(w.T)))
    assert_positive_zeros(
        nk.dense(x, np.asfortranarray(w), b), *nk.dense_backward(draw(rng, (m, n), dtype), x, w, needs=("x", "w"))[:2]
    )


def test_no_products(isa, dtype):
    b = np.full(3, -0.0, dtype)
    assert_positive_zeros(nk.conv2d(np.ones((2, 0, 5, 5), dtype), np.ones((3, 0, 3, 3), dtype), b))
    assert_positive_zeros(nk.conv_transpose2d(np.ones((2, 0, 5, 5), dtype), np.ones((0, 3, 2, 2), dtype), b, stride=3))
    assert_positive_zeros(nk.conv_transpose2d(np.ones((2, 1, 2, 2), dtype), np.zeros((1, 3, 1, 1), dtype), b, stride=3))
