"""The Winograd form of the gradient of a convolution's weights."""

import numpy as np
import pytest

import npkernels as nk
from npkernels import reference
from npkernels._kernels import conv as _conv, costs as _costs
from npkernels._main_job.winograd import largest_gradient
from npkernels.conv.geometry import geometry_of
from npkernels.reference._common import pad_pairs

from .test_winograd import SHAPES as FORWARD_SHAPES

# n, c, h, w, oc, padding: as for the result, and several groups of tiles, ranges of outputs and ranges of channels
SHAPES = [*FORWARD_SHAPES, (2, 16, 56, 55, 17, 1), (1, 130, 12, 9, 200, 1), (1, 530, 4, 9, 16, 1)]


def operands(rng, shape, dtype, taps=3):
    """Larger kernels get larger padding, so that dy has the same size."""
    n, c, h, w, oc, padding = shape
    padding = tuple((i + taps // 2 - 1, j + taps // 2 - 1) for i, j in pad_pairs(padding))
    geometry = geometry_of(h, w, taps, taps, 1, padding, 1)
    return *(rng.standard_normal(s).astype(dtype) for s in ((n, c, h, w), (n, oc, *geometry[8:]))), padding, geometry


def gradient(x, dy, geometry, form="winograd"):
    dw = np.full((dy.shape[1], x.shape[1], *geometry[:2]), 99, x.dtype)
    _conv.weight_gradient(dy, x, dw, geometry, 1, _costs.FORMS[form])
    return dw


@pytest.mark.parametrize("taps", [3, 5])
@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_within_its_bound(isa, dtype, eps, rng, shape, taps):
    x, dy, padding, _ = operands(rng, shape, dtype, taps)
    options = {"padding": padding, "algorithm": "winograd", "needs": ("w",)}  # one tile is left to the direct form
    dw = nk.conv2d_backward(dy, x, np.zeros((dy.shape[1], x.shape[1], taps, taps), dtype), **options)[1]
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    wanted = reference.conv2d_backward(dy, x, np.zeros(dw.shape), padding=padding)[1]
    # a product for every tile; two passes over tiles and sums, each of at most 6 terms with rounded coefficients
    most, tiles = largest_gradient(x, dy, padding, taps)
    assert (abs(dw - wanted) <= (tiles + 40) * eps * most).all()


@pytest.mark.parametrize("taps", [3, 5])
def test_its_error_is_near_that_of_the_direct_form(isa, rng, taps):
    for mean in (0, 100):
        x = (rng.standard_normal((8, 16, 24, 24)) + mean).astype(np.float32)
        dy = rng.standard_normal((8, 16, 24, 24)).astype(np.float32)
        geometry = geometry_of(24, 24, taps, taps, 1, taps // 2, 1)
        wanted = gradient(x.astype(np.float64), dy.astype(np.float64), geometry, "sums")
        winograd, direct = (gradient(x, dy, geometry, form) for form in ("winograd", "sums"))
        assert abs(winograd - wanted).max() <= 8 * abs(direct - wanted).max()


def test_it_is_chosen_by_sizes(dtype, rng):
    for n, c, size, chosen in ((5, 16, 8, True), (4, 16, 8, False), (5, 15, 8, False), (9, 16, 5, False)):
        x, dy, _, geometry = operands(rng, (n, c, size, size, 16, 1), dtype)
        dw = nk.conv2d_backward(dy, x, np.zeros((16, c, 3, 3), dtype), padding=1, needs=("w",))[1]
        assert np.array_equal(dw, gradient(x, dy, geometry, "sums")) != chosen
        if chosen:
            assert np.array_equal(dw, gradient(x, dy, geometry))


def test_it_has_the_same_bits_for_any_threads_and_layout(isa, dtype, rng, layouts, same_for_any_threads):
    for shape, taps in (((3, 20, 21, 35, 50, 1), 3), ((2, 200, 10, 9, 150, 1), 3), ((2, 20, 9, 13, 33, 1), 5)):
        x, dy, _, geometry = operands(rng, shape, dtype, taps)
        dw = same_for_any_threads(lambda x=x, dy=dy, geometry=geometry: gradient(x, dy, geometry))
        for other in layouts(x):
            assert np.array_equal(gradient(other, dy, geometry), dw)
        for other in layouts(dy):
            assert np.array_equal(gradient(x, other, geometry), dw)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        assert np.array_equal(gradient(last, dy, geometry), dw)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, "large"])
def test_pixels_that_could_overflow_get_the_direct_form(isa, dtype, rng, value):
    value = np.finfo(dtype).max / 4 if value == "large" else value
    x, dy, padding, geometry = operands(rng, (2, 40, 9, 10, 34, 1), dtype)
    x[1, 38, 4, 9] = value
    for a, b in ((x, dy), (dy, x)):
        w = np.zeros((b.shape[1], a.shape[1], 3, 3), dtype)
        dw = nk.conv2d_backward(b, a, w, padding=padding, algorithm="winograd", needs=("w",))[1]
        assert np.array_equal(dw, gradient(a, b, geometry, "sums"), equal_nan=True)


def test_groups_are_gradients_of_their_own(isa, dtype, rng):
    x, dy, _, geometry = operands(rng, (2, 36, 9, 9, 40, 1), dtype)
    w = np.zeros((40, 18, 3, 3), dtype)
    dw = nk.conv2d_backward(dy, x, w, padding=1, groups=2, algorithm="winograd", needs=("w",))[1]
    for g in range(2):
        inner, outer = slice(18 * g, 18 * g + 18), slice(20 * g, 20 * g + 20)
        assert np.array_equal(dw[outer], gradient(x[:, inner], dy[:, outer], geometry))
