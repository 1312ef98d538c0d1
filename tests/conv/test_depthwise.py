"""`conv2d` and `conv2d_backward` where a group has one input channel."""

import itertools
import resource

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference
from npkernels._kernels import conv as _conv, costs as _costs
from npkernels.conv.geometry import geometry_of

# c, multiplier, h, w, kh, kw: one pixel, rows around a vector, several vectors, several bands of rows
SHAPES = [
    (3, 1, 1, 1, 1, 1),
    (2, 2, 9, 16, 3, 3),
    (3, 1, 7, 33, 5, 2),
    (1, 4, 20, 70, 4, 5),
    (2, 1, 150, 90, 3, 3),
    (2, 3, 6, 300, 1, 7),
    (37, 1, 7, 7, 5, 5),
    (16, 1, 14, 13, 3, 3),
]


@pytest.fixture(params=["rows", "pixels"], autouse=True)
def form(request, take):
    take(request.param)


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def operands(rng, n, shape, dtype, values=normal):
    c, multiplier, h, w, kh, kw = shape
    shapes = ((n, c, h, w), (c * multiplier, 1, kh, kw), (c * multiplier,))
    return [values(rng, s, dtype) for s in shapes]


@pytest.mark.parametrize("stride", [1, 2, 3, (2, 1), (1, 2)])
@pytest.mark.parametrize("shape", SHAPES)
def test_depthwise_and_gradients_of_integers_are_exact(isa, dtype, rng, shape, stride):
    x, w, b = operands(rng, 2, shape, dtype, integers)
    for padding, dilation in itertools.product([0, 2, ((1, 0), (3, 4))], [1, (2, 3)]):
        options = {"stride": stride, "padding": padding, "dilation": dilation}
        try:
            size = nk.conv_output_size(x.shape[2:], w.shape[2:], **options)
        except ValueError:
            with pytest.raises(ValueError, match="w is too large: the kernel must fit"):
                nk.conv2d(x, w, b, **options, groups=x.shape[1])
            continue
        options["groups"] = x.shape[1]
        y = nk.conv2d(x, w, b, **options)
        assert y.shape == (2, len(w), *size)
        assert_exact(y, reference.conv2d, (x, w, b), **options)
        dy = integers(rng, y.shape, dtype)
        assert_exact(nk.conv2d_backward(dy, x, w, **options), reference.conv2d_backward, (dy, x, w), **options)


@pytest.mark.parametrize(
    "case",
    [
        (2, 3, 170, 40, 2, (142, 2), 1, 1, (70, 0), 1),  # more taps than are summed at a time
        (1, 5, 9, 30, 1, (9, 3), 1, 9, (36, 9), 1),  # rows of taps far apart, some beyond the image
        (3, 2, 9, 99, 1, (6, 6), 4, 1, (2, 2), 1),
        (2, 4, 10, 33, 2, (3, 3), 3, 5, (5, 5), 2),
        (2, 1, 20, 59, 2, (4, 2), 6, 2, (3, 1), 1),  # most pixels meet no tap
    ],
)
def test_gradients_of_several_channels_and_large_kernels_are_exact(isa, dtype, rng, case):
    n, c, h, w, oc, kernel, stride, dilation, padding, groups = case
    x, k = integers(rng, (n, c, h, w), dtype), integers(rng, (oc, c // groups, *kernel), dtype)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dy = integers(rng, nk.conv2d(x, k, **options).shape, dtype)
    assert_exact(nk.conv2d_backward(dy, x, k, **options), reference.conv2d_backward, (dy, x, k), **options)


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_rounding_is_near_that_of_sums_of_random_signs(isa, dtype, eps, rng, shape):
    x, w, b = operands(rng, 2, shape, dtype)
    options = {"padding": 2, "groups": x.shape[1]}
    y = nk.conv2d(x, w, b, **options)
    assert_near(y, reference.conv2d, (x, w, b), w[0].size + 1, eps, **options)
    dy = normal(rng, y.shape, dtype)
    terms = (w[0].size * shape[1], y[:, 0].size, y[:, 0].size)
    assert_near(nk.conv2d_backward(dy, x, w, **options), reference.conv2d_backward, (dy, x, w), terms, eps, **options)


@pytest.mark.parametrize("multiplier", [1, 2])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_bits_for_any_threads_batch_and_layout(isa, dtype, rng, layouts, same_for_any_threads, stride, multiplier):
    x, w, b = operands(rng, 6, (40, multiplier, 20, 21, 3, 3), dtype)
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


def test_large_dilation_and_kernels_take_the_general_form(isa, dtype, rng):
    for kernel, dilation, padding in ((13, 1, 6), (3, 300, 300), ((1, 130), 1, 0)):
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        x, w = integers(rng, (1, 3, 14, 140), dtype), integers(rng, (3, 1, kh, kw), dtype)
        options = {"padding": padding, "dilation": dilation, "groups": 3}
        y = nk.conv2d(x, w, **options)
        assert_exact(y, reference.conv2d, (x, w), **options)
        dy = integers(rng, y.shape, dtype)
        assert_exact(nk.conv2d_backward(dy, x, w, **options), reference.conv2d_backward, (dy, x, w), **options)


@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
def test_rows_and_pixels_have_the_same_bits(isa, dtype, eps, rng, stride):
    x, w, b = operands(rng, 2, (21, 1, 15, 18, 5, 3), dtype)
    geometry = geometry_of(*x.shape[2:], *w.shape[2:], stride, ((2, 0), (1, 3)), (1, 2))
    dy = rng.standard_normal((2, 21, *geometry[8:])).astype(dtype)
    results = []
    for form in (_costs.FORMS["rows"], _costs.FORMS["pixels"]):
        y, dx, dw = np.full_like(dy, np.nan), np.full_like(x, np.nan), np.full_like(w, np.nan)
        _conv.forward(x, w, b, y, geometry, 21, -1, form)
        _conv.image_gradient(dy, w, None, dx, geometry, 21, form)
        _conv.weight_gradient(dy, x, dw, geometry, 21, form)
        results.append((y, dx, dw))
    assert np.array_equal(results[0][0], results[1][0])
    assert np.array_equal(results[0][1], results[1][1])
    # the gradient of the weights is a sum over pixels, in the order of each form
    options = {"stride": stride, "padding": ((2, 0), (1, 3)), "dilation": (1, 2), "groups": 21}
    for _, _, dw in results:
        assert_near(dw, lambda *a: reference.conv2d_backward(*a, **options)[1], (dy, x, w), dy[:, 0].size, eps)


def test_wide_padding_goes_by_rows(isa, dtype):
    """A band of pixels is as wide as the padded image: here it would take hundreds of megabytes."""
    geometry = geometry_of(3, 3, 5, 5, 1, ((0, 40), (25000, 25000)), (8, 1))
    x, w = np.ones((1, 16, 3, 3), dtype), np.ones((16, 1, 5, 5), dtype)
    y = np.empty((1, 16, geometry.oh, geometry.ow), dtype)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _conv.forward(x, w, None, y, geometry, 16, -1, _costs.FORMS["pixels"])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < y.nbytes // 1024 + 16 * 1024
