import itertools
import math

import numpy as np
import pytest
from bounds import integers

import npkernels as nk
from npkernels import reference

# kernel, options; the windows of some reach beyond the image with ceil_mode
WINDOWS = [
    (2, {}),
    (3, {"stride": 2, "padding": 1}),
    (3, {"stride": 1, "padding": 1}),
    ((2, 3), {"stride": (1, 2)}),
    ((3, 2), {"stride": (2, 1), "padding": ((0, 1), (1, 0))}),
    ((1, 4), {"stride": (3, 3), "padding": ((0, 0), (3, 1)), "ceil_mode": True}),
    ((4, 5), {"stride": (3, 2), "padding": (2, 3), "ceil_mode": True}),
    ((2, 1), {"stride": (1, 4)}),
    ((5, 7), {"stride": (4, 5), "padding": ((1, 4), (6, 0)), "ceil_mode": True}),
]
WIDTHS = [5, 7, 8, 15, 16, 17, 31, 33, 66]  # around one and two vectors of every ISA


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def with_ties(rng, shape, dtype):
    """Few different values, with NaN and infinities."""
    x = rng.integers(-2, 3, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.05, rng.choice([np.nan, np.inf, -np.inf], shape), x).astype(dtype)


def same(got, wanted):
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


def rounded(definition, x, *arguments, **options):
    """The definition of integers, whose sums are exact, so that it is rounded once where it divides."""
    return definition(x.astype(np.float64), *arguments, **options).astype(x.dtype)


def near(got, definition, x, eps, *arguments, **options):
    """|error| <= 3 eps definition(|x|): a sum of a few numbers of random signs and a quotient. Measured: 2.0 eps, half
    of which may be the definition's own in float64."""
    wanted = definition(x.astype(np.float64), *arguments, **options)
    assert (abs(got - wanted) <= 3 * eps * definition(abs(x.astype(np.float64)), *arguments, **options)).all()


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
def test_max_pool2d_is_its_definition(isa, dtype, rng, kernel, options, dilation):
    for w in WIDTHS:
        x = with_ties(rng, (2, 3, 11, w), dtype)
        try:
            size = nk.conv_output_size((11, w), kernel, dilation=dilation, **{"stride": kernel, **options})
        except ValueError:
            with pytest.raises(ValueError, match="kernel must fit"):
                nk.max_pool2d(x, kernel, dilation=dilation, **options)
            continue
        wanted, places = reference.max_pool2d(x, kernel, dilation=dilation, **options, return_indices=True)
        assert wanted.shape[2:] == size
        same(nk.max_pool2d(x, kernel, dilation=dilation, **options), wanted)
        y, indices = nk.max_pool2d(x, kernel, dilation=dilation, **options, return_indices=True)
        same(y, wanted)
        same(indices, places)
        dy = integers(rng, y.shape, dtype)
        same(nk.max_pool2d_backward(dy, indices, (11, w)), reference.max_pool2d_backward(dy, places, (11, w)))


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool2d_and_its_gradient_are_their_definitions(isa, dtype, eps, rng, kernel, options, count_include_pad):
    options = {**options, "count_include_pad": count_include_pad}
    kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
    counts = math.lcm(*range(1, kh + 1)) * math.lcm(*range(1, kw + 1))  # what a window may divide by divides it
    for w in WIDTHS:
        x = integers(rng, (2, 3, 11, w), dtype)
        window = {"stride": kernel, "ceil_mode": False, **options}
        window.pop("count_include_pad")
        try:
            size = nk.conv_output_size((11, w), kernel, **window)
        except ValueError:
            with pytest.raises(ValueError, match="kernel_size is too large: the kernel must fit"):
                nk.avg_pool2d(x, kernel, **options)
            continue
        y = nk.avg_pool2d(x, kernel, **options)
        assert y.shape == (2, 3, *size)
        same(y, rounded(reference.avg_pool2d, x, kernel, **options))
        dy = counts * integers(rng, y.shape, dtype)
        dx = nk.avg_pool2d_backward(dy, (11, w), kernel, **options)
        same(dx, rounded(reference.avg_pool2d_backward, dy, (11, w), kernel, **options))
        x, dy = normal(rng, x.shape, dtype), normal(rng, dy.shape, dtype)
        near(nk.avg_pool2d(x, kernel, **options), reference.avg_pool2d, x, eps, kernel, **options)
        dx = nk.avg_pool2d_backward(dy, (11, w), kernel, **options)
        near(dx, reference.avg_pool2d_backward, dy, eps, (11, w), kernel, **options)


def test_narrow_tall_and_single_planes(isa, dtype, rng):
    for h, w in [(1, 1), (1, 40), (300, 1), (70, 3), (2, 700)]:
        x = with_ties(rng, (1, 2, h, w), dtype)
        for kernel, stride, padding in [((h, w), 1, 0), (1, 1, 0), (1, 3, 0), ((min(h, 3), min(w, 3)), 2, 0)]:
            options = {"stride": stride, "padding": padding}
            wanted, places = reference.max_pool2d(x, kernel, **options, return_indices=True)
            same(nk.max_pool2d(x, kernel, **options), wanted)
            same(nk.max_pool2d(x, kernel, **options, return_indices=True)[1], places)
            z = np.nan_to_num(x, posinf=1, neginf=1)
            same(nk.avg_pool2d(z, kernel, **options), rounded(reference.avg_pool2d, z, kernel, **options))


def test_two_by_two_pooling_of_a_four_by_four_plane(isa, dtype):
    x = np.array([[1, 3, 2, 0], [4, 6, 5, 1], [7, 1, 8, 2], [0, 2, 9, 5]], dtype).reshape(1, 1, 4, 4)
    y, indices = nk.max_pool2d(x, 2, return_indices=True)
    same(y, np.array([[[[6, 5], [7, 9]]]], dtype))
    same(indices, np.array([[[[5, 6], [8, 14]]]], np.int32))
    same(nk.avg_pool2d(x, 2), np.array([[[[3.5, 2], [2.5, 6]]]], dtype))


def test_first_maximum_and_first_nan_win(isa, dtype):
    x = np.zeros((1, 1, 40, 40), dtype)
    x[..., 1::2] = -0.0
    y, indices = nk.max_pool2d(x, (40, 4), stride=1, return_indices=True)
    same(indices[0, 0, 0], np.arange(37, dtype=np.int32))
    low = np.full((1, 1, 5, 5), -np.inf, dtype)
    indices = nk.max_pool2d(low, 3, stride=2, padding=1, return_indices=True)[1]
    same(indices[0, 0], np.array([[0, 1, 3], [5, 6, 8], [15, 16, 18]], np.int32))  # never the padding
    indices = nk.max_pool2d(low, 2, stride=2, padding=1, dilation=2, return_indices=True)[1]
    same(indices[0, 0], np.array([[6, 6, 8], [6, 6, 8], [16, 16, 18]], np.int32))
    for row, column in itertools.product(range(3), range(3)):
        x = np.ones((1, 1, 3, 35), dtype)
        x[0, 0, :, ::2] = np.inf
        x[0, 0, row, column::3] = np.nan
        y, indices = nk.max_pool2d(x, 3, return_indices=True)
        assert np.isnan(y).all()
        same(indices[0, 0, 0], (35 * row + column + 3 * np.arange(11)).astype(np.int32))
        assert np.isnan(nk.max_pool2d(x, 3)).all()
        assert np.isnan(nk.global_max_pool2d(x)).all()


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
def test_layouts_give_the_same_bits(isa, dtype, rng, layouts, kernel, options):
    x = with_ties(rng, (2, 19, 9, 21), dtype)
    finite = normal(rng, x.shape, dtype)
    y, indices = nk.max_pool2d(x, kernel, **options, return_indices=True)
    mean = nk.avg_pool2d(finite, kernel, **options)
    dx, dmean = nk.max_pool2d_backward(mean, indices, (9, 21)), nk.avg_pool2d_backward(mean, (9, 21), kernel, **options)
    for view, places, plain in zip(layouts(x), layouts(indices), layouts(mean), strict=True):
        assert nk.max_pool2d(view, kernel, **options).tobytes() == nk.max_pool2d(x, kernel, **options).tobytes()
        again = nk.max_pool2d(view, kernel, **options, return_indices=True)
        assert [a.tobytes() for a in again] == [y.tobytes(), indices.tobytes()]
        assert nk.max_pool2d_backward(plain, places, (9, 21)).tobytes() == dx.tobytes()
        assert nk.avg_pool2d_backward(plain, (9, 21), kernel, **options).tobytes() == dmean.tobytes()
        assert nk.global_max_pool2d(view).tobytes() == nk.global_max_pool2d(x).tobytes()
    last = channels_last(finite)
    for view in (*layouts(finite), last, last[:, 2:, ::-1]):
        plain = np.ascontiguousarray(view)
        assert nk.avg_pool2d(view, kernel, **options).tobytes() == nk.avg_pool2d(plain, kernel, **options).tobytes()
        assert nk.max_pool2d(view, kernel, **options).tobytes() == nk.max_pool2d(plain, kernel, **options).tobytes()
        assert nk.global_avg_pool2d(view).tobytes() == nk.global_avg_pool2d(plain).tobytes()
    row = np.broadcast_to(x[:, :, :1], x.shape)
    same(nk.max_pool2d(row, kernel, **options), nk.max_pool2d(row.copy(), kernel, **options))


@pytest.mark.parametrize("channels", [2, 16, 35])
def test_channels_last_images_are_read_in_place(isa, dtype, rng, channels, same_for_any_threads):
    x = rng.standard_normal((2, channels, 9, 23)).astype(dtype)
    x[1, channels - 1, 4, 11] = np.nan
    last = channels_last(x)
    for kernel, options in ((2, {}), (3, {"stride": 2, "padding": 1}), ((1, 4), {"stride": (3, 1), "padding": (0, 2)})):
        for function in (nk.max_pool2d, nk.avg_pool2d):
            y = function(x, kernel, **options)
            assert (
                same_for_any_threads(lambda f=function, k=kernel, o=options: f(last, k, **o)).tobytes() == y.tobytes()
            )
            assert (
                function(last[:, 1:, ::-1], kernel, **options).tobytes()
                == function(x[:, 1:, ::-1], kernel, **options).tobytes()
            )


def channels_last(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [2, 3, 4, 5, 8, 16, 35])
@pytest.mark.parametrize(
    ("kernel", "options"), [(2, {}), (3, {"stride": 2, "padding": 1}), ((5, 4), {"stride": (1, 3)})]
)
def test_channels_last_gradients_have_the_same_bits(isa, dtype, rng, channels, kernel, options, same_for_any_threads):
    # planes that are gathered in several bands, with rows that do not fill their last vector
    x = rng.standard_normal((2, channels, 60, 131)).astype(dtype)
    y, indices = nk.max_pool2d(x, kernel, **options, return_indices=True)
    again = nk.max_pool2d(channels_last(x), kernel, **options, return_indices=True)
    assert [a.tobytes() for a in again] == [y.tobytes(), indices.tobytes()]
    dx = nk.max_pool2d_backward(y, indices, (60, 131)).tobytes()
    wide = channels_last(indices).astype(np.int64, order="K")
    for dy, places in [(a, b) for a in (y, channels_last(y)) for b in (indices, channels_last(indices), wide)]:
        assert same_for_any_threads(lambda d=dy, i=places: nk.max_pool2d_backward(d, i, (60, 131))).tobytes() == dx
    wrong = channels_last(indices)
    wrong[1, channels - 1, -1, -1] = 60 * 131
    with pytest.raises(ValueError, match="indices"):
        nk.max_pool2d_backward(channels_last(y), wrong, (60, 131))
    dmean = nk.avg_pool2d_backward(y, (60, 131), kernel, **options).tobytes()
    last = channels_last(y)
    assert same_for_any_threads(lambda: nk.avg_pool2d_backward(last, (60, 131), kernel, **options)).tobytes() == dmean


def test_any_number_of_threads_gives_the_same_bits(isa, dtype, rng, same_for_any_threads):
    for shape in [(1, 1, 700, 301), (4, 33, 40, 45)]:
        x = normal(rng, shape, dtype)
        for view in (x, np.asfortranarray(x)):
            y, indices = same_for_any_threads(lambda: nk.max_pool2d(view, 3, stride=2, padding=1, return_indices=True))  # noqa: B023
            same_for_any_threads(lambda: nk.max_pool2d(view, 3, stride=2, padding=1))  # noqa: B023
            same_for_any_threads(lambda: nk.avg_pool2d(view, 3, stride=2, padding=1, count_include_pad=False))  # noqa: B023
            same_for_any_threads(lambda: (nk.global_avg_pool2d(view), nk.global_max_pool2d(view)))  # noqa: B023
        same_for_any_threads(lambda: nk.max_pool2d_backward(y, indices, shape[2:]))  # noqa: B023
        same_for_any_threads(lambda: nk.avg_pool2d_backward(y, shape[2:], 3, stride=2, padding=1))  # noqa: B023
        same_for_any_threads(lambda: nk.global_avg_pool2d_backward(y[:, :, 0, 0], shape[2:]))  # noqa: B023


@pytest.mark.parametrize("integer", ["b", "h", "i", "q", "B", "H", "I", "Q", ">i4", ">u8"])
def test_max_gradient_takes_every_integer_type(isa, dtype, rng, integer):
    x = rng.permutation(2 * 3 * 81).reshape(2, 3, 9, 9).astype(dtype)
    y, indices = nk.max_pool2d(x, 3, stride=2, return_indices=True)
    dy = rng.integers(-8, 9, y.shape).astype(dtype)
    wanted = reference.max_pool2d_backward(dy, indices, (9, 9))
    same(nk.max_pool2d_backward(dy, indices.astype(integer), (9, 9)), wanted)
    same(nk.max_pool2d_backward(dy, indices.astype(integer)[..., ::-1][..., ::-1], (9, 9)), wanted)
    bad = indices.astype(integer)
    bad[1, 2, 3, 3] = 81
    with pytest.raises(ValueError, match=r"indices must be in \[0, 81\), got \d to 81"):
        nk.max_pool2d_backward(dy, bad, (9, 9))
    bad[1, 2, 3, 3] = np.iinfo(integer).max
    with pytest.raises(ValueError, match="indices"):
        nk.max_pool2d_backward(dy, bad, (9, 9))
    if np.iinfo(integer).min < 0:
        for low in (-1, np.iinfo(integer).min):
            bad[1, 2, 3, 3] = low
            with pytest.raises(ValueError, match=rf"indices must be in \[0, 81\), got {low} to"):
                nk.max_pool2d_backward(dy, bad, (9, 9))


@pytest.mark.parametrize(("kernel", "options"), WINDOWS)
def test_gradients_are_the_adjoints(isa, rng, kernel, options):
    """<dy, pool(x)> = <backward(dy), x>: for the maximum exactly, in integers and with its indices held."""
    x = rng.permutation(2 * 3 * 11 * 17).reshape(2, 3, 11, 17).astype(np.float64)
    y, indices = nk.max_pool2d(x, kernel, **options, return_indices=True)
    dy = rng.integers(-8, 9, y.shape).astype(np.float64)
    assert (dy * y).sum() == (nk.max_pool2d_backward(dy, indices, (11, 17)) * x).sum()
    for count in (True, False):
        y = nk.avg_pool2d(x, kernel, **options, count_include_pad=count)
        dx = nk.avg_pool2d_backward(dy, (11, 17), kernel, **options, count_include_pad=count)
        # both sides are sums of rounded terms, which NumPy adds up pairwise
        terms = abs(dy) * nk.avg_pool2d(abs(x), kernel, **options, count_include_pad=count)
        assert abs((dy * y).sum() - (dx * x).sum()) <= 4 * np.finfo(np.float64).eps * terms.sum()


def test_pooling_of_whole_planes(isa, dtype, eps, rng):
    for h, w in [(1, 1), (1, 2), (3, 5), (7, 7), (17, 15), (31, 33), (40, 60), (1, 2049)]:
        c = 37 if h * w < 1000 else 5  # short planes are read several at a time
        x = with_ties(rng, (2, c, h, w), dtype)
        same(nk.global_max_pool2d(x), reference.global_max_pool2d(x))
        x = integers(rng, x.shape, dtype)
        same(nk.global_avg_pool2d(x), rounded(reference.global_avg_pool2d, x))
        x = normal(rng, x.shape, dtype)
        same(nk.global_max_pool2d(x), reference.global_max_pool2d(x))
        near(nk.global_avg_pool2d(x), reference.global_avg_pool2d, x, eps)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        for function in (nk.global_max_pool2d, nk.global_avg_pool2d):
            assert function(last).tobytes() == function(x[:, ::-1])[:, ::-1].tobytes() == function(x).tobytes()
        x[1, 3, h // 2, w // 2] = np.nan
        assert np.argwhere(np.isnan(nk.global_max_pool2d(x))).tolist() == [[1, 3]]
        dy = normal(rng, (2, c), dtype)
        for view in (dy, np.asfortranarray(dy), dy[:, ::-1].copy()[:, ::-1]):
            same(nk.global_avg_pool2d_backward(view, (h, w)), reference.global_avg_pool2d_backward(dy, (h, w)))


def test_infinities_and_nan_travel_through_the_average(isa, dtype):
    x = np.zeros((1, 1, 4, 40), dtype)
    x[0, 0, 0, 0], x[0, 0, 1, 5], x[0, 0, 2, 8], x[0, 0, 3, 9] = np.inf, np.nan, np.inf, -np.inf
    wanted = np.zeros((1, 1, 2, 20), dtype)
    wanted[0, 0, 0, 0], wanted[0, 0, 0, 2], wanted[0, 0, 1, 4] = np.inf, np.nan, np.nan  # inf - inf
    same(nk.avg_pool2d(x, 2), wanted)
    assert np.isnan(nk.global_avg_pool2d(x)).all()
    same(nk.global_avg_pool2d(x[:, :, :1]), np.full((1, 1), np.inf, dtype))


def test_empty_batches_and_no_channels(isa, dtype):
    for n, c in [(0, 3), (2, 0), (0, 0)]:
        x = np.empty((n, c, 6, 6), dtype)
        y, indices = nk.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
        assert y.shape == indices.shape == nk.avg_pool2d(x, 2).shape == (n, c, 3, 3)
        assert nk.max_pool2d_backward(y, indices, (6, 6)).shape == x.shape
        assert nk.avg_pool2d_backward(y, (6, 6), 2).shape == x.shape
        assert nk.global_max_pool2d(x).shape == nk.global_avg_pool2d(x).shape == (n, c)
        assert nk.global_avg_pool2d_backward(np.empty((n, c), dtype), (6, 6)).shape == x.shape


def test_no_window_and_no_pixel_gives_an_empty_gradient(dtype):
    nothing = np.empty((2, 3, 0, 4), dtype)
    dx = nk.max_pool2d_backward(nothing, np.empty(nothing.shape, np.int64), (2, 2))
    assert dx.shape == (2, 3, 2, 2)
    assert not dx.any()
    assert nk.max_pool2d_backward(nothing, np.empty(nothing.shape, np.int64), (0, 7)).shape == (2, 3, 0, 7)


def test_pads_that_exceed_the_image(isa, dtype, rng):
    x = with_ties(rng, (1, 2, 3, 2), dtype)
    for kernel, padding, dilation in [
        (9, 8, 1),
        ((50, 7), ((49, 3), (0, 6)), 1),
        (2, ((0, 3), (0, 2)), (3, 2)),
        (3, 3, 2),
    ]:
        options = {"stride": 2, "padding": padding, "dilation": dilation}
        wanted, places = reference.max_pool2d(x, kernel, **options, return_indices=True)
        same(nk.max_pool2d(x, kernel, **options), wanted)
        same(nk.max_pool2d(x, kernel, **options, return_indices=True)[1], places)


def test_strides_of_any_size_are_legal(isa, dtype, rng):
    x = normal(rng, (1, 2, 5, 6), dtype)
    for stride in (7, 2**31, 2**62, 2**63 - 1):
        same(nk.max_pool2d(x, 2, stride=stride), x[:, :, :2, :2].max((2, 3), keepdims=True))
        assert nk.max_pool2d(x, 1, stride=stride, ceil_mode=True).shape == (1, 2, 1, 1)
        dx = nk.avg_pool2d_backward(np.ones((1, 2, 1, 1), dtype), (5, 6), 2, stride=stride)
        assert dx.sum() == 2
        # A window beyond the image, as PyTorch counts it
        same(nk.max_pool2d(x, 9, stride=stride, ceil_mode=True), x.max((2, 3), keepdims=True))
        same(nk.max_pool2d(x, 2**62, stride=2**63 - 1, ceil_mode=True), x.max((2, 3), keepdims=True))
