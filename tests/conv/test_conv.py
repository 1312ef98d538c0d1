import itertools

import numpy as np
import pytest
from bounds import assert_exact, assert_near, integers

import npkernels as nk
from npkernels import reference

# n, c, h, w, oc, kh, kw: one window, rows shorter and longer than a vector, columns around the widest tile
SHAPES = [
    (2, 4, 7, 9, 6, 3, 3),
    (1, 2, 5, 5, 4, 1, 1),
    (3, 2, 8, 6, 2, 2, 3),
    (1, 2, 30, 70, 4, 5, 5),
    (2, 6, 7, 7, 12, 3, 2),
    (1, 2, 3, 3, 2, 3, 3),
]
STRIDES = [1, 2, (3, 1)]
PADDINGS = [0, 1, (2, 0), ((0, 1), (2, 1))]


def normal(rng, shape, dtype):
    return rng.standard_normal(shape).astype(dtype)


def operands(rng, shape, groups, dtype, values=normal):
    n, c, h, w, oc, kh, kw = shape
    return values(rng, (n, c, h, w), dtype), values(rng, (oc, c // groups, kh, kw), dtype), values(rng, oc, dtype)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("shape", SHAPES)
def test_convolution_and_gradients_of_integers_are_exact(isa, dtype, rng, shape, stride, padding):
    for dilation, groups in itertools.product([1, 2, (1, 3)], [1, 2]):
        x, w, b = operands(rng, shape, groups, dtype, integers)
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        try:
            oh, ow = nk.conv_output_size(x.shape[2:], w.shape[2:], stride=stride, padding=padding, dilation=dilation)
        except ValueError:
            with pytest.raises(ValueError, match="kernel must fit"):
                nk.conv2d(x, w, b, **options)
            continue
        y = nk.conv2d(x, w, b, **options)
        assert y.shape == (len(x), len(w), oh, ow)
        assert_exact(y, reference.conv2d, (x, w, b), **options)
        assert_exact(nk.conv2d(x, w, **options), reference.conv2d, (x, w), **options)
        dy = integers(rng, y.shape, dtype)
        assert_exact(nk.conv2d_backward(dy, x, w, **options), reference.conv2d_backward, (dy, x, w), **options)


@pytest.mark.parametrize(("c", "oc"), [(300, 5), (70, 130), (5, 300)])
def test_products_longer_than_a_block_of_k_are_exact(isa, dtype, rng, direct, c, oc):
    x, w, b = integers(rng, (3, c, 6, 5), dtype), integers(rng, (oc, c, 3, 3), dtype), integers(rng, oc, dtype)
    assert_exact(nk.conv2d(x, w, b, padding=1), reference.conv2d, (x, w, b), padding=1)
    dy = integers(rng, (3, oc, 6, 5), dtype)
    assert_exact(nk.conv2d_backward(dy, x, w, padding=1), reference.conv2d_backward, (dy, x, w), padding=1)


@pytest.mark.parametrize("shape", [SHAPES[0], SHAPES[3], (2, 40, 20, 21, 50, 3, 3), (3, 300, 6, 5, 7, 3, 3)])
def test_rounding_is_near_that_of_sums_of_random_signs(isa, dtype, eps, rng, direct, shape):
    x, w, b = operands(rng, shape, 1, dtype)
    y = nk.conv2d(x, w, b, padding=1)
    assert_near(y, reference.conv2d, (x, w, b), w[0].size + 1, eps, padding=1)
    dy = normal(rng, y.shape, dtype)
    terms = (w[:, 0].size, y[:, 0].size, y[:, 0].size)
    got = nk.conv2d_backward(dy, x, w, padding=1)
    assert_near(got, reference.conv2d_backward, (dy, x, w), terms, eps, padding=1)


def test_true_convolution_of_the_textbook(isa, dtype):
    x = np.arange(1, 10, dtype=dtype).reshape(1, 1, 3, 3)
    w = np.array([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], dtype)[None, None]
    wanted = [[-13, -20, -17], [-18, -24, -18], [13, 20, 17]]
    assert np.array_equal(nk.conv2d(x, np.flip(w, (2, 3)), padding=1)[0, 0], wanted)


def test_same_and_valid_padding(isa, dtype, rng):
    x, w, _ = operands(rng, (1, 2, 6, 7, 3, 2, 3), 1, dtype)
    assert nk.conv2d(x, w, padding="same").shape == (1, 3, 6, 7)
    assert np.array_equal(nk.conv2d(x, w, padding="same"), nk.conv2d(x, w, padding=((0, 1), (1, 1))))
    assert np.array_equal(nk.conv2d(x, w, padding="valid"), nk.conv2d(x, w))
    dilated = nk.conv2d(x, w, padding="same", dilation=2)
    assert np.array_equal(dilated, nk.conv2d(x, w, padding=((1, 1), (2, 2)), dilation=2))


def test_strides_change_no_bit(isa, dtype, rng, layouts):
    x, w, b = operands(rng, (2, 4, 7, 9, 6, 3, 3), 2, dtype)
    dy = normal(rng, (2, 6, 4, 5), dtype)
    options = {"stride": 2, "padding": 1, "groups": 2}
    y, gradients = nk.conv2d(x, w, b, **options), nk.conv2d_backward(dy, x, w, **options)
    channels_last = [np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, w, dy)]
    for x_, w_, b_, dy_ in [
        *zip(layouts(x), layouts(w), layouts(b), layouts(dy), strict=True),
        (*channels_last[:2], b, channels_last[2]),
    ]:
        assert np.array_equal(nk.conv2d(x_, w_, b_, **options), y)
        for one, other in zip(nk.conv2d_backward(dy_, x_, w_, **options), gradients, strict=True):
            assert np.array_equal(one, other)


def test_1x1_reads_channels_last_images_in_place(isa, dtype, rng):
    # panels of pixels inside one image and across two, a vector's width of channels and not
    for c, size in ((16, 13), (5, 6)):
        x, w = rng.standard_normal((3, c, size, size)).astype(dtype), rng.standard_normal((9, c, 1, 1)).astype(dtype)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        for options in ({}, {"padding": 1}, {"stride": 2}):
            assert np.array_equal(nk.conv2d(last, w, **options), nk.conv2d(x, w, **options))
        assert np.array_equal(nk.conv2d(last[:, :, ::-1, 1:], w), nk.conv2d(x[:, :, ::-1, 1:], w))


def test_weights_whose_matrix_is_transposed_change_no_bit(isa, dtype, rng):
    # one input channel and a flat kernel: the axes of weights in Fortran's order fold without a copy
    x, w = rng.standard_normal((1, 1, 16, 120)).astype(dtype), rng.standard_normal((40, 1, 1, 7)).astype(dtype)
    y = nk.conv2d(x, w, padding=(0, 3))
    assert np.array_equal(nk.conv2d(x, np.asfortranarray(w), padding=(0, 3)), y)


def test_an_image_does_not_depend_on_its_batch(isa, dtype, rng):
    x, w, b = normal(rng, (9, 20, 7, 7), dtype), normal(rng, (33, 20, 3, 3), dtype), normal(rng, 33, dtype)
    y = nk.conv2d(x, w, b, padding=1)
    dx, _, _ = nk.conv2d_backward(y, x, w, padding=1, needs=("x",))
    for images in (slice(0, 1), slice(4, 5), slice(3, 9)):
        assert np.array_equal(nk.conv2d(x[images], w, b, padding=1), y[images])
        part, _, _ = nk.conv2d_backward(y[images], x[images], w, padding=1, needs=("x",))
        assert np.array_equal(part, dx[images])


def test_threads_change_no_bit(isa, dtype, rng, layouts, same_for_any_threads):
    x, w, b = normal(rng, (5, 16, 20, 21), dtype), normal(rng, (24, 16, 3, 3), dtype), normal(rng, 24, dtype)
    y = same_for_any_threads(lambda: nk.conv2d(x, w, b, padding=1, activation="relu"))
    same_for_any_threads(lambda: nk.conv2d_backward(y, x, w, padding=1))
    cols = same_for_any_threads(lambda: nk.im2col(x, 3, padding=1))
    back = same_for_any_threads(lambda: nk.col2im(cols, (20, 21), 3, padding=1))
    for cols_ in layouts(cols):
        assert np.array_equal(same_for_any_threads(lambda a=cols_: nk.col2im(a, (20, 21), 3, padding=1)), back)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2, "padding": (1, 2)}])
def test_gradients_equal_central_differences(isa, rng, options):
    x, w, b = operands(rng, (1, 2, 6, 7, 4, 2, 3), options.get("groups", 1), np.float64)
    dy = rng.standard_normal(nk.conv2d(x, w, b, **options).shape)
    for argument, gradient in zip((x, w, b), nk.conv2d_backward(dy, x, w, **options), strict=True):
        for index in itertools.islice(np.ndindex(argument.shape), 0, None, 3):
            before, step = argument[index], 1e-3
            argument[index] = before + step
            above = (nk.conv2d(x, w, b, **options) * dy).sum()
            argument[index] = before - step
            below = (nk.conv2d(x, w, b, **options) * dy).sum()
            argument[index] = before
            # linear in each argument: the difference quotient is exact but for rounding
            assert abs((above - below) / (2 * step) - gradient[index]) < 1e-9


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": (2, 1), "padding": ((1, 2), (0, 3))},
        {"stride": (5, 4)},
    ],
)
def test_im2col_and_col2im_equal_their_definitions(isa, dtype, eps, rng, layouts, options):
    x = normal(rng, (2, 3, 8, 9), dtype)
    cols = nk.im2col(x, (3, 2), **options)
    assert np.array_equal(cols, reference.im2col(x, (3, 2), **options))
    sizes = {"output_size": (8, 9), "kernel_size": (3, 2), **options}
    whole = integers(rng, cols.shape, dtype)
    assert_exact(nk.col2im(whole, **sizes), reference.col2im, (whole,), **sizes)
    other = normal(rng, cols.shape, dtype)
    back = nk.col2im(other, **sizes)
    assert_near(back, reference.col2im, (other,), 6, eps, **sizes)
    for x_, other_ in zip(layouts(x), layouts(other), strict=True):
        assert np.array_equal(nk.im2col(x_, (3, 2), **options), cols)
        assert np.array_equal(nk.col2im(other_, (8, 9), (3, 2), **options), back)
    out = np.full(cols.shape, np.nan, dtype)
    assert nk.im2col(x, (3, 2), out=out, **options) is out
    assert np.array_equal(out, cols)
    out = np.full(x.shape, np.nan, dtype)
    assert nk.col2im(other, (8, 9), (3, 2), out=out, **options) is out
    assert np.array_equal(out, back)


def test_empty_axes(isa, dtype):
    b = np.arange(4, dtype=dtype)
    assert nk.conv2d(np.ones((0, 3, 5, 5), dtype), np.ones((4, 3, 3, 3), dtype)).shape == (0, 4, 3, 3)
    assert nk.conv2d(np.ones((2, 3, 5, 5), dtype), np.ones((0, 3, 3, 3), dtype)).shape == (2, 0, 3, 3)
    y = nk.conv2d(np.ones((2, 0, 5, 5), dtype), np.ones((4, 0, 3, 3), dtype), b)
    assert np.array_equal(y, np.broadcast_to(b[:, None, None], (2, 4, 3, 3)))
    dx, dw, db = nk.conv2d_backward(
        np.ones((0, 4, 3, 3), dtype), np.ones((0, 3, 5, 5), dtype), np.ones((4, 3, 3, 3), dtype)
    )
    assert dx.shape == (0, 3, 5, 5)
    assert np.array_equal(dw, np.zeros((4, 3, 3, 3)))
    assert np.array_equal(db, np.zeros(4))
    dx, dw, _ = nk.conv2d_backward(
        np.ones((2, 0, 3, 3), dtype), np.ones((2, 3, 5, 5), dtype), np.ones((0, 3, 3, 3), dtype)
    )
    assert np.array_equal(dx, np.zeros((2, 3, 5, 5)))
    assert dw.shape == (0, 3, 3, 3)
    assert nk.im2col(np.ones((2, 0, 5, 5), dtype), 3).shape == (2, 0, 9)


def test_nan_reaches_only_the_windows_that_see_it(isa, dtype):
    x = np.zeros((1, 1, 7, 7), dtype)
    x[0, 0, 3, 2] = np.nan
    y = nk.conv2d(x, np.ones((1, 1, 3, 3), dtype), padding=1)
    assert np.isnan(y[0, 0, 2:5, 1:4]).all()
    assert np.isnan(y).sum() == 9


@pytest.mark.parametrize("stride", [2**40, 2**62, 2**63 - 1])
def test_any_stride_is_legal(dtype, rng, stride):
    x, w, b = operands(rng, (1, 2, 6, 7, 3, 3, 3), 1, dtype)
    y = nk.conv2d(x, w, b, stride=stride, padding=1)
    assert np.array_equal(y, nk.conv2d(x, w, b, padding=1)[:, :, :1, :1])
    dx, _, _ = nk.conv2d_backward(y, x, w, stride=stride, padding=1)
    wanted, _, _ = nk.conv2d_backward(y, x, w, stride=100, padding=1)
    assert np.array_equal(dx, wanted)


x32, w32 = np.ones((2, 3, 5, 5), np.float32), np.ones((8, 3, 3, 3), np.float32)
huge = 2**40


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.conv2d(x32.astype(int), w32), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.conv2d(x32, w32.astype(float)), TypeError, "w must be float32 like x, got float64"),
        (
            lambda: nk.conv2d(x32, np.ones((8, 4, 5, 5), "f4")),
            ValueError,
            "w must have shape (oc, 3, kh, kw), got (8, 4, 5, 5)",
        ),
        (lambda: nk.conv2d(x32[0], w32), ValueError, "x must have shape (n, c, h, w), got (3, 5, 5)"),
        (lambda: nk.conv2d(x32, w32[0]), ValueError, "w must have shape (oc, c/groups, kh, kw), got (3, 3, 3)"),
        (lambda: nk.conv2d(x32, w32[:, :, :0]), ValueError, "w must have a kernel of at least 1 x 1"),
        (lambda: nk.conv2d(x32, w32, x32[0, 0, 0]), ValueError, "b must have shape (8,), got (5,)"),
        (lambda: nk.conv2d(x32, w32, stride=0), ValueError, "stride must be at least 1, got 0"),
        (lambda: nk.conv2d(x32, w32, stride=-1), ValueError, "stride must be at least 1, got -1"),
        (lambda: nk.conv2d(x32, w32, stride=1.0), TypeError, "stride must be an int or a pair of ints, got float"),
        (lambda: nk.conv2d(x32, w32, stride=True), TypeError, "stride must be an int or a pair of ints, got bool"),
        (lambda: nk.conv2d(x32, w32, stride=(1, 2.0)), TypeError, "stride must be an int, got float"),
        (lambda: nk.conv2d(x32, w32, stride=(1, 2, 3)), ValueError, "an int or a pair of ints, got 3 values"),
        (lambda: nk.conv2d(x32, w32, stride=2**70), ValueError, "stride must fit 64 bits"),
        (lambda: nk.conv2d(x32, w32, dilation=0), ValueError, "dilation must be at least 1, got 0"),
        (lambda: nk.conv2d(x32, w32, dilation=3), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.conv2d(x32, w32, dilation=2**62), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.conv2d(x32, w32, padding=-1), ValueError, "padding must be at least 0, got -1"),
        (lambda: nk.conv2d(x32, w32, padding="full"), ValueError, "padding must be one of 'valid', 'same', got 'full'"),
        (lambda: nk.conv2d(x32, w32, padding="same", stride=2), ValueError, "padding='same' must go with stride 1"),
        (lambda: nk.conv2d(x32, w32, padding=2**62), ValueError, "overflows"),
        (lambda: nk.conv2d(x32, w32, groups=2), ValueError, "groups must divide the channels"),
        (lambda: nk.conv2d(x32, w32, groups=0), ValueError, "groups must be at least 1, got 0"),
        (lambda: nk.conv2d(x32, np.ones((1, 3, 6, 6), "f4")), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.conv2d(x32, w32, out=np.ones((2, 8, 3, 4), "f4")), ValueError, "out must have shape (2, 8, 3, 3)"),
        (lambda: nk.conv2d(x32, np.ones((3, 3, 1, 1), "f4"), out=x32), ValueError, "out must not overlap x"),
        (lambda: nk.conv2d_backward(x32, x32, w32), ValueError, "dy must have shape (2, 8, 3, 3), got (2, 3, 5, 5)"),
        (lambda: nk.im2col(x32, 0), ValueError, "kernel_size must be at least 1, got 0"),
        (lambda: nk.im2col(x32, 6), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.im2col(x32, 2, padding="same"), TypeError, "padding must be an int, a pair of ints or ((top"),
        (lambda: nk.col2im(x32[0], (5, 5), 3), ValueError, "cols must have shape (n, c*9, oh*ow)"),
        (lambda: nk.col2im(np.ones((1, 9, 8)), (5, 5), 3), ValueError, "cols must have shape (1, 9, 9), got (1, 9, 8)"),
        (lambda: nk.conv_output_size((5, 5), 6), ValueError, "the kernel must fit into the padded image"),
        (lambda: nk.conv_output_size((5.0, 5), 3), TypeError, "size must be an int, got float"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("ceil_mode", [False, True])
def test_conv_output_size_equals_its_definition(ceil_mode):
    for size, kernel, stride, pad, dilation in itertools.product(
        range(1, 9), range(1, 4), range(1, 4), range(2), range(1, 3)
    ):
        options = {"stride": stride, "padding": pad, "dilation": dilation, "ceil_mode": ceil_mode}
        if size + 2 * pad > dilation * (kernel - 1):
            wanted = reference.conv_output_size((size, size), kernel, **options)
            assert nk.conv_output_size((size, size), kernel, **options) == wanted
