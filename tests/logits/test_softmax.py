import numpy as np
import pytest
from bounds import assert_exact, integers

import npkernels as nk
from npkernels import reference

SHAPES = [
    ((5, 1), -1),
    ((1, 10), -1),
    ((37, 10), 1),
    ((33, 32), 1),
    ((33, 33), 1),
    ((3, 100), 1),
    ((2, 1000), 1),
    ((10,), 0),
    ((50,), -1),
    ((4, 7, 5), 1),
    ((4, 50, 17), 1),
    ((9, 3, 4, 5), 1),
    ((6, 40), 0),
    ((3, 4, 5), 0),
]
FORWARD = [(nk.softmax, reference.softmax), (nk.log_softmax, reference.log_softmax)]


def normal(rng, shape, dtype):
    return (3 * rng.standard_normal(shape)).astype(dtype)


def assert_softmax(got, x, axis, eps):
    """|relative error| <= (|x - m| + sqrt(c) + 4) eps: the rounding of x - m grows in exp, the sum has c terms, exp and
    quotient are within 2 ULP each. Measured: 0.4 of it."""
    wide = x.astype(np.float64)
    wanted = reference.softmax(wide, axis)
    size = abs(wide - wide.max(axis, keepdims=True)) + np.sqrt(x.shape[axis]) + 4
    assert (abs(got - wanted) <= size * eps * wanted + 4 * np.finfo(x.dtype).tiny).all()


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_softmax_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape, axis):
    x = normal(rng, shape, dtype)
    y = nk.softmax(x, axis)
    assert y.dtype == dtype
    assert_softmax(y, x, axis, eps)


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_log_softmax_is_within_the_bound_of_its_definition(isa, dtype, eps, rng, shape, axis):
    x = normal(rng, shape, dtype)
    wide = x.astype(np.float64)
    wanted = reference.log_softmax(wide, axis)
    # x - m and - log s round once each; s has c terms whose exponents carry the rounding of x - m. Measured: 0.4 of it
    distance = abs(wide - wide.max(axis, keepdims=True))
    bound = (distance + abs(wanted) + np.sqrt(x.shape[axis]) + 4) * eps
    assert (abs(nk.log_softmax(x, axis) - wanted) <= bound).all()


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_gradients_are_within_the_bound_of_their_definition(isa, dtype, eps, rng, shape, axis):
    dy = normal(rng, shape, dtype)
    y = reference.softmax(normal(rng, shape, np.float64), axis).astype(dtype)
    logy = np.log(y)
    wide_dy, wide_y, wide_logy = (a.astype(np.float64) for a in (dy, y, logy))
    # sums of c numbers of random signs, see `assert_near`, then a difference and a product. Measured: 0.7 and 0.5 of it
    terms = wide_dy * wide_y
    wanted = reference.softmax_backward(wide_dy, wide_y, axis)
    size = abs(wide_dy) + abs(terms.sum(axis, keepdims=True)) + root_of_sum(terms, axis)
    assert (abs(nk.softmax_backward(dy, y, axis) - wanted) <= 1.5 * eps * wide_y * size).all()
    wanted = reference.log_softmax_backward(wide_dy, wide_logy, axis)
    size = abs(wide_dy.sum(axis, keepdims=True)) + root_of_sum(wide_dy, axis)
    size = abs(wide_dy) + np.exp(wide_logy) * (2 + abs(wide_logy)) * size
    assert (abs(nk.log_softmax_backward(dy, logy, axis) - wanted) <= eps * size).all()


def root_of_sum(terms, axis):
    return np.sqrt(terms.shape[axis] * (terms**2).sum(axis, keepdims=True))


@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_gradients_of_dyadic_numbers_are_exact(isa, dtype, rng, shape, axis):
    dy, y = integers(rng, shape, dtype), integers(rng, shape, dtype) / dtype.type(8)
    assert_exact(nk.softmax_backward(dy, y, axis), lambda dy, y: reference.softmax_backward(dy, y, axis), (dy, y))


@pytest.mark.parametrize(
    ("backward", "forward"), [(nk.softmax_backward, nk.softmax), (nk.log_softmax_backward, nk.log_softmax)]
)
@pytest.mark.parametrize("c", [5, 40])
def test_gradients_equal_central_differences(isa, rng, backward, forward, c):
    x, dy, step = rng.standard_normal((3, c)), rng.standard_normal((3, c)), 1e-5
    dx = backward(dy, forward(x))
    for index in np.ndindex(x.shape):
        before = x[index]
        x[index] = before + step
        above = (forward(x) * dy).sum()
        x[index] = before - step
        below = (forward(x) * dy).sum()
        x[index] = before
        # the third derivative is below 2 |dy|, so the quotient is off by at most step^2, and by rounding / step
        assert abs((above - below) / (2 * step) - dx[index]) < 1e-8


@pytest.mark.parametrize("c", [10, 40])
@pytest.mark.parametrize(("ours", "definition"), FORWARD)
def test_logits_of_any_size(isa, dtype, ours, definition, c):
    x = np.zeros((8, c), dtype)
    x[0] = 1e4
    x[1, 3] = 1e4
    x[2] = -np.finfo(dtype).max
    x[2, 0] = np.finfo(dtype).max
    x[3, 1:] = -np.inf
    x[4] = -np.inf
    x[5, 2] = np.inf
    x[6, 7] = np.nan
    x[7, 4] = -np.inf
    got, wanted = ours(x), definition(x.astype(np.float64))
    with np.errstate(over="ignore"):
        # log(c) and 1 / c, or exact
        np.testing.assert_allclose(got, wanted.astype(dtype), rtol=8 * np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("c", [10, 40, 100])
def test_the_largest_logit_may_lie_anywhere(isa, dtype, c):
    x = np.diag(np.full(c, 1e4, dtype))
    assert np.array_equal(nk.softmax(x), np.eye(c))
    assert np.array_equal(nk.log_softmax(x), x - 10_000)


@pytest.mark.parametrize(("shape", "axis"), [((37, 10), 1), ((21, 50), 1), ((3, 12, 20), 1), ((3, 4, 5), 0)])
def test_strides_change_no_bit(isa, dtype, rng, layouts, shape, axis):
    x, dy = normal(rng, shape, dtype), normal(rng, shape, dtype)
    for forward, backward in [(nk.softmax, nk.softmax_backward), (nk.log_softmax, nk.log_softmax_backward)]:
        y = forward(x, axis)
        dx = backward(dy, y, axis)
        for x_, dy_, y_ in zip(layouts(x), layouts(dy), layouts(y), strict=True):
            assert np.array_equal(forward(x_, axis), y)
            assert np.array_equal(backward(dy_, y_, axis), dx)


@pytest.mark.parametrize("c", [10, 50])
def test_threads_and_batch_change_no_bit(isa, dtype, rng, same_for_any_threads, c):
    x, dy = normal(rng, (6000, c), dtype), normal(rng, (6000, c), dtype)
    y = same_for_any_threads(lambda: nk.softmax(x))
    assert np.array_equal(nk.softmax(x[17:29]), y[17:29])
    same_for_any_threads(lambda: nk.log_softmax(x))
    same_for_any_threads(lambda: nk.softmax_backward(dy, y))


@pytest.mark.parametrize("function", [nk.softmax, nk.log_softmax])
@pytest.mark.parametrize("shape", [(40, 10), (5, 60), (3, 4, 17)])
def test_out_may_be_x(isa, dtype, rng, function, shape):
    x = normal(rng, shape, dtype)
    wanted = function(x, 1)
    out = np.full(shape, np.nan, dtype)
    assert function(x, 1, out=out) is out
    assert np.array_equal(out, wanted)
    assert function(x, 1, out=x) is x
    assert np.array_equal(x, wanted)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 0, 3), (0,)])
def test_empty_axes_give_an_empty_result(dtype, shape):
    x = np.empty(shape, dtype)
    for axis in range(len(shape)):
        assert nk.softmax(x, axis).shape == shape
        assert nk.log_softmax_backward(x, x, axis).shape == shape


x32 = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nk.softmax(x32.astype(int)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: nk.softmax(x32, 2), ValueError, "axis must be in [-2, 2), got 2"),
        (lambda: nk.softmax(x32, 1.0), TypeError, "axis must be an int, got float"),
        (lambda: nk.softmax(x32[0, 0]), ValueError, "x must have at least one axis"),
        (lambda: nk.log_softmax(x32, out=np.ones((3, 2), "f4")), ValueError, "out must have shape (2, 3), got (3, 2)"),
        (lambda: nk.softmax(x32[:, ::-1], out=x32), ValueError, "out must not overlap x"),
        (lambda: nk.softmax_backward(x32, x32[:1]), ValueError, "dy must have shape (1, 3), got (2, 3)"),
        (lambda: nk.softmax_backward(x32, x32.astype(float)), TypeError, "dy must be float64 like y, got float32"),
    ],
)
def test_bad_input_is_named(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize("classes", [37, 1001, 70003])
def test_results_that_the_caches_cannot_hold_have_the_same_bits(isa, dtype, rng, classes):
    # a result that exists already is written past the caches, a new one is not
    few, size = max(2, 3000 // classes), max(2, 3000 // classes) * classes
    x, targets = rng.standard_normal((few, classes)).astype(dtype), rng.integers(0, classes, few)
    times = (26 << 20) // (2 * size * dtype.itemsize) + 1
    large, labels, out = np.tile(x, (times, 1)), np.tile(targets, times), np.ones((times * few, classes), dtype)
    for f in (nk.softmax, nk.log_softmax):
        for y in (f(large), f(large, out=out)):
            assert (y.reshape(times, few, classes) == f(x)).all()
    wanted = nk.softmax_cross_entropy_with_grad(x, targets, label_smoothing=0.1, reduction="sum")[1]
    for _ in range(2):
        gradient = nk.softmax_cross_entropy_with_grad(large, labels, label_smoothing=0.1, reduction="sum")[1]
        assert (gradient.reshape(times, few, classes) == wanted).all()
