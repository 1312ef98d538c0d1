"""The forms of the direct convolution and of the gradient of its weights: whichever is taken, the same bits."""

import time

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference
from npkernels._kernels import conv as _conv, costs as _costs
from npkernels.conv.geometry import geometry_of

FORMS = ("any", "direct", "flat", "patches", "planes", "lanes", "images")  # of y, without Winograd's

# n, c, h, w, oc, kh, kw, stride, padding, dilation, groups
CASES = [
    (9, 3, 7, 7, 20, 3, 3, 1, 1, 1, 1),
    (8, 20, 5, 6, 49, 5, 5, 1, 2, 1, 1),
    (17, 2, 3, 4, 5, 3, 4, 1, 3, 1, 1),
    (2, 5, 13, 14, 33, 7, 7, 2, 3, 1, 1),
    (3, 4, 12, 12, 64, 3, 3, 2, 0, 1, 1),
    (4, 6, 10, 9, 8, 3, 3, 3, 1, 2, 2),
    (2, 40, 9, 9, 16, 1, 1, 2, 0, 1, 1),
    (1, 3, 40, 70, 10, 3, 3, 1, 1, 1, 1),
    (1, 2, 9, 300, 3, 2, 5, (1, 2), 0, (3, 1), 1),
    (10, 3, 6, 6, 7, 6, 6, 1, ((0, 5), (5, 0)), 1, 1),
    (2, 300, 4, 4, 60, 3, 3, 1, 1, 1, 1),
    (3, 20, 11, 13, 10, 1, 1, 1, 0, 1, 2),  # so few outputs of 1x1 kernels that planes are rows of a product
    (2, 7, 31, 33, 16, 1, 1, 1, 0, 1, 1),
]


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def operands(rng, case, dtype, values=normal):
    n, c, h, w, oc, kh, kw, stride, padding, dilation, groups = case
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shapes = (n, c, h, w), (oc, c // groups, kh, kw), (oc,)
    return [values(rng, shape, dtype) for shape in shapes], options


def by_form(form, x, w, b, stride, padding, dilation, groups, y=None):
    geometry = geometry_of(*x.shape[2:], *w.shape[2:], stride, padding, dilation)
    if y is None:
        y = np.full((len(x), len(w), *geometry[8:]), np.nan, x.dtype)
    _conv.forward(x, w, b, y, geometry, groups, -1, _costs.FORMS[form])
    return y


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_forms_of_integers_are_exact(isa, dtype, rng, form, case):
    (x, w, b), options = operands(rng, case, dtype, integers)
    for bias in (b, None):
        arguments = (x, w) if bias is None else (x, w, bias)
        assert_exact(by_form(form, x, w, bias, **options), reference.conv2d, arguments, **options)


@pytest.mark.parametrize("case", CASES)
def test_forms_round_alike(isa, dtype, eps, rng, case):
    (x, w, b), options = operands(rng, case, dtype)
    y = by_form("lanes", x, w, b, **options)
    assert_near(y, reference.conv2d, (x, w, b), w[0].size + 1, eps, **options)
    for form in FORMS[1:]:
        assert np.array_equal(y, by_form(form, x, w, b, **options))
    assert np.array_equal(y, nk.conv2d(x, w, b, algorithm="direct", **options))
    assert np.array_equal(by_form("lanes", x, w, None, **options), by_form("patches", x, w, None, **options))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_threads_batch_and_strides_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads, form, case):
    (x, w, b), options = operands(rng, case, dtype)
    y = by_form(form, x, w, b, **options)
    many = np.tile(x, (-(-40 // len(x)), 1, 1, 1))
    same_for_any_threads(lambda: by_form(form, many, w, b, **options))
    assert np.array_equal(by_form(form, many, w, b, **options)[-len(x) :], y)
    for i in range(len(x)):
        assert np.array_equal(by_form(form, x[i : i + 1], w, b, **options), y[i : i + 1])
    for x_ in layouts(x):
        assert np.array_equal(by_form(form, x_, w, b, **options), y)
    strided = np.full((*y.shape[:2], 2 * y.shape[2], 3 * y.shape[3]), np.nan, dtype)
    by_form(form, x, w, b, **options, y=strided[:, :, ::2, ::3])
    assert np.array_equal(strided[:, :, ::2, ::3], y)
    assert np.isnan(strided).sum() == strided.size - y.size


@pytest.mark.parametrize("form", FORMS)
def test_padding_times_an_infinite_weight_is_nan(isa, dtype, rng, form):
    # Taps of the padding are left out only if that changes nothing.
    (x, w, b), options = operands(rng, CASES[0], dtype)
    w[3, 1, 0, 2], w[7, 0, 2, 2] = np.inf, np.nan
    for n in 1, 9:
        y = by_form(form, x[:n], w, b, **options)
        with np.errstate(invalid="ignore"):
            assert np.array_equal(np.isnan(y), np.isnan(reference.conv2d(x[:n], w, b, **options)))
        assert np.isnan(y[:, 3, 0]).all()
        assert np.isfinite(y[:, :3]).all()


@pytest.mark.parametrize("form", FORMS)
def test_pixels_that_are_no_numbers_stay_in_their_windows(isa, dtype, rng, form):
    (x, w, b), options = operands(rng, CASES[1], dtype)
    x[2, 4, 1, 2], x[5, 0, 4, 5] = np.nan, np.inf
    y = by_form(form, x, w, b, **options)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(np.isfinite(y), np.isfinite(reference.conv2d(x, w, b, **options)))


def test_weights_beyond_the_memory_for_panels(dtype, rng):
    # so many taps that the lanes leave them to another form, and so many outputs that they are packed in ranges
    x, w = rng.standard_normal((2, 1, 160, 160)).astype(dtype), rng.standard_normal((3, 1, 160, 160)).astype(dtype)
    assert np.array_equal(nk.conv2d(x, w, algorithm="direct"), by_form("patches", x, w, None, 1, 0, 1, 1))
    x, w = rng.standard_normal((9, 512, 3, 3)).astype(dtype), rng.standard_normal((500, 512, 3, 3)).astype(dtype)
    assert np.array_equal(by_form("lanes", x, w, None, 1, 1, 1, 1), by_form("patches", x, w, None, 1, 1, 1, 1))


def odd_strides(x):
    """A copy whose images lie a number of bytes apart that is no multiple of an element."""
    raw = np.zeros(x.nbytes + 2 * len(x), np.uint8)
    copy = np.ndarray(x.shape, x.dtype, raw, 0, (x[0].nbytes + 2, *x.strides[1:]))
    copy[...] = x
    return copy


def weight_gradient(x, dy, case):
    _n, c, h, w, oc, kh, kw, stride, padding, dilation, groups = case
    dw = np.full((oc, c // groups, kh, kw), np.nan, x.dtype)
    geometry = geometry_of(h, w, kh, kw, stride, padding, dilation)
    _conv.weight_gradient(dy, x, dw, geometry, groups, _costs.FORMS["sums"])
    return dw


GRADIENT_CASES = [(n, max(c, 7 * groups), *sizes, groups) for n, c, *sizes, groups in CASES]


@pytest.mark.parametrize("case", GRADIENT_CASES)
def test_gradients_of_weights_are_exact_on_integers(isa, dtype, rng, layouts, case):
    """From the image in place, and from copies where the step between images is no multiple of an element."""
    (x, w, _b), options = operands(rng, case, dtype, integers)
    dy = integers(rng, nk.conv2d(x, w, **options).shape, dtype)
    wanted = reference.conv2d_backward(dy.astype(float), x.astype(float), w.astype(float), **options)[1]
    for x_, dy_ in ((x, dy), (odd_strides(x), dy), *zip(layouts(x), layouts(dy), strict=True)):
        np.testing.assert_array_equal(weight_gradient(x_, dy_, case), wanted)


@pytest.mark.parametrize("case", GRADIENT_CASES)
def test_gradient_from_images_in_place_and_from_copies(isa, dtype, rng, layouts, same_for_any_threads, case):
    (x, w, _b), options = operands(rng, case, dtype)
    dy = rng.standard_normal(nk.conv2d(x, w, **options).shape).astype(dtype)
    dw = same_for_any_threads(lambda: weight_gradient(x, dy, case))
    assert np.array_equal(weight_gradient(odd_strides(x), dy, case), dw)
    for x_, dy_ in zip(layouts(x), layouts(dy), strict=True):
        assert np.array_equal(weight_gradient(x_, dy_, case), dw)


# n, c, h, w, oc: dot products in one chain, in several, with either side the fewer planes
@pytest.mark.parametrize(
    "sizes",
    [(3, 1, 7, 9, 20), (70, 2, 7, 8, 5), (2, 3, 40, 45, 65), (5, 70, 9, 8, 4), (2, 19, 25, 44, 8), (1, 1, 1, 1, 1)],
)
def test_gradient_from_planes(isa, dtype, eps, rng, layouts, same_for_any_threads, sizes):
    n, c, h, w, oc = sizes
    x, dy = rng.standard_normal((n, c, h, w)).astype(dtype), rng.standard_normal((n, oc, h, w)).astype(dtype)
    kernels = np.empty((oc, c, 1, 1), dtype)

    def gradient(dy, x):
        return nk.conv2d_backward(dy, x, kernels, needs=("w",))[1]

    def by_definition(dy, x):
        return np.einsum("nohw,nchw->oc", dy, x)[..., None, None]

    dw = same_for_any_threads(lambda: gradient(dy, x))
    assert_near(dw, by_definition, (dy, x), n * h * w, eps)
    assert np.array_equal(gradient(odd_strides(dy), odd_strides(x)), dw)
    whole = integers(rng, dy.shape, dtype), integers(rng, x.shape, dtype)
    assert_exact(gradient(*whole), by_definition, whole)
    for x_, dy_ in zip(layouts(x), layouts(dy), strict=True):
        assert np.array_equal(gradient(dy_, x_), dw)


@pytest.mark.parametrize("case", GRADIENT_CASES[:4])
def test_padding_times_an_infinite_gradient_is_nan(isa, dtype, rng, case):
    (x, w, _b), options = operands(rng, case, dtype)
    dy = rng.standard_normal(nk.conv2d(x, w, **options).shape).astype(dtype)
    dy[1, 2, 0, -1], dy[0, 4, -1, 0] = np.inf, np.nan
    dw = nk.conv2d_backward(dy, x, w, needs=("w",), **options)[1]
    with np.errstate(invalid="ignore"):
        wanted = reference.conv2d_backward(dy, x, w, needs=("w",), **options)[1]
    assert np.array_equal(np.isnan(dw), np.isnan(wanted))
    assert np.isnan(dw[4]).all()
    assert np.isfinite(dw[0]).all()


def best_time(call):
    times = []
    for _ in range(3):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@pytest.mark.parametrize(
    ("shape", "dilation"), [((1, 2, 128, 2048), 64), ((1, 8, 32, 2048), 8), ((1, 8, 256, 512), 16)]
)
def test_long_rows_under_high_windows_are_not_copied_for_each_block_of_columns(rng, shape, dilation):
    # The flat form copies all rows that a window reaches over, for every block of columns: 40 to 700 times as long.
    c = shape[1]
    x, w, b = normal(rng, shape, "f4"), normal(rng, (c, c, 3, 3), "f4"), None
    options = {"stride": 1, "padding": dilation, "dilation": dilation, "groups": 1}
    with nk.threads(1):
        chosen = best_time(lambda: by_form("any", x, w, b, **options))
        assert chosen < 5 * best_time(lambda: by_form("patches", x, w, b, **options))
