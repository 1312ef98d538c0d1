"""The two forms of the gradient of an image: columns summed at their places, convolutions of dy."""

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference
from npkernels._kernels import costs as _costs, forms as _forms
from npkernels.conv.geometry import Geometry, geometry_of

# n, c, h, w, oc, kh, kw, stride, padding, dilation, groups
CASES = [
    (3, 4, 12, 12, 20, 3, 3, 2, 0, 1, 1),
    (9, 20, 7, 9, 6, 3, 3, 2, 1, 1, 2),
    (2, 5, 14, 14, 3, 5, 5, 1, 2, 1, 1),
    (4, 6, 5, 8, 4, 2, 3, (3, 1), 0, 1, 1),
    (1, 9, 40, 37, 2, 3, 3, 2, 1, 2, 1),
    (2, 2, 6, 6, 3, 4, 4, 2, ((1, 2), (0, 3)), 1, 1),
    (11, 1, 3, 2, 2, 3, 2, 1, 3, 1, 1),
    (2, 12, 31, 33, 8, 1, 1, 4, 0, 1, 4),
    (1, 3, 64, 64, 2, 7, 7, 2, 3, 1, 1),
    (2, 40, 9, 9, 37, 1, 1, 1, 0, 1, 1),
]


@pytest.fixture(params=["columns", "phases"])
def form(request, take):
    take(request.param)


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def operands(rng, case, dtype, values=normal):
    n, c, h, w, oc, kh, kw, stride, padding, dilation, groups = case
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    x, kernels = values(rng, (n, c, h, w), dtype), values(rng, (oc, c // groups, kh, kw), dtype)
    dy = values(rng, nk.conv2d(x, kernels, **options).shape, dtype)
    return dy, x, kernels, options


@pytest.mark.parametrize("case", CASES)
def test_both_forms_are_exact_on_integers(form, isa, dtype, rng, case):
    dy, x, w, options = operands(rng, case, dtype, integers)
    options["needs"] = ("x",)
    dx = nk.conv2d_backward(dy, x, w, **options)[0]
    assert_exact(dx, lambda *a: reference.conv2d_backward(*a, **options)[0], (dy, x, w))


@pytest.mark.parametrize("case", CASES)
def test_rounding_is_near_that_of_sums_of_random_signs(form, isa, dtype, eps, rng, case):
    dy, x, w, options = operands(rng, case, dtype)
    options["needs"] = ("x",)
    dx = nk.conv2d_backward(dy, x, w, **options)[0]
    terms = w[:, 0].size // case[-1]
    assert_near(dx, lambda *a: reference.conv2d_backward(*a, **options)[0], (dy, x, w), terms, eps)


@pytest.mark.parametrize("case", CASES)
def test_threads_batch_and_strides_change_no_bit(form, isa, dtype, rng, layouts, same_for_any_threads, case):
    dy, x, w, options = operands(rng, case, dtype)
    dx = nk.conv2d_backward(dy, x, w, needs=("x",), **options)[0]
    same_for_any_threads(
        lambda: nk.conv2d_backward(np.tile(dy, (30, 1, 1, 1)), np.tile(x, (30, 1, 1, 1)), w, **options)[0]
    )
    assert np.array_equal(nk.conv2d_backward(dy[-1:], x[-1:], w, needs=("x",), **options)[0], dx[-1:])
    for dy_, w_ in zip(layouts(dy), layouts(w), strict=True):
        assert np.array_equal(nk.conv2d_backward(dy_, x, w_, needs=("x",), **options)[0], dx)


def test_transposed_convolution_starts_from_its_bias(form, isa, dtype, rng):
    x, w, b = (integers(rng, shape, dtype) for shape in ((3, 8, 5, 6), (8, 5, 3, 3), (5,)))
    y = nk.conv_transpose2d(x, w, b, stride=2, padding=1)
    assert_exact(y, reference.conv_transpose2d, (x, w, b), stride=2, padding=1)


def test_nan_reaches_only_the_pixels_that_its_window_sees(form, isa, dtype):
    dy, w = np.ones((9, 2, 5, 5), dtype), np.ones((2, 4, 3, 3), dtype)
    dy[3, 1, 2, 2] = np.nan
    dx = nk.conv2d_backward(dy, np.ones((9, 4, 11, 11), dtype), w, stride=2, needs=("x",))[0]
    hit = np.zeros(dx.shape, bool)
    hit[3, :, 4:7, 4:7] = True
    assert np.array_equal(np.isnan(dx), hit)


@pytest.mark.parametrize("n", [1, 9])
@pytest.mark.parametrize(
    ("c", "oc", "size", "geometry", "form"),
    [
        # unpadded small images take columns, padded large ones convolutions
        (32, 128, (7, 7), geometry_of(7, 7, 7, 7, 1, 0, 1), "columns"),
        (64, 64, (56, 56), geometry_of(56, 56, 3, 3, 1, 1, 1), "phases"),
        (64, 64, (14, 14), geometry_of(14, 14, 1, 1, 1, 0, 1), "phases"),
        (64, 64, (56, 56), geometry_of(56, 56, 3, 3, 1, 2, 2), "phases"),
        # Kernels as high as the image: all but one tap of a window lie in the padding of dy, and rows are too long for
        # the form that leaves it out (ShallowConvNet on 22 electrodes: 1551 ms, now 45).
        (40, 40, (22, 976), Geometry(22, 1, 1, 1, 1, 1, 0, 0, 1, 976), "columns"),
        (4, 8, (64, 8000), Geometry(64, 1, 1, 1, 1, 1, 0, 0, 1, 8000), "columns"),
    ],
)
def test_the_form_depends_on_the_sizes_of_an_image_alone(n, c, oc, size, geometry, form):
    x, w = np.zeros((n, c, *size), np.float32), np.zeros((oc, c, geometry.kh, geometry.kw), np.float32)
    dy = np.zeros((n, oc, geometry.oh, geometry.ow), np.float32)
    for layout in (np.ascontiguousarray, np.asfortranarray):
        assert _forms.chosen(x, w, layout(dy), geometry, 1)[1] == _costs.FORMS[form]
