"""The definitions themselves: against hand-computed cases, the direct sums and central differences."""

import itertools
import math

import numpy as np
import pytest

from npkernels import reference
from npkernels.data import load_digits


def close(actual, expected, tolerance=1e-12):
    np.testing.assert_allclose(actual, np.asarray(expected), rtol=tolerance, atol=tolerance)


def numeric_gradient(loss, x, step=1e-5):
    """Central differences of a scalar function of x, in float64."""
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        shift = np.zeros_like(x)
        shift[place] = step
        gradient[place] = (loss(x + shift) - loss(x - shift)) / (2 * step)
    return gradient


def distinct(rng, shape):
    """Values at least 0.1 apart, so that a step of central differences changes no maximum; none near 0."""
    return (rng.permutation(math.prod(shape)).reshape(shape) - math.prod(shape) / 2 + 0.3) * 0.1


# Convolution


def direct_conv2d(x, w, b, stride, pads, dilation, groups):
    """The sum of the definition, one term at a time."""
    (sh, sw), (dh, dw), ((top, bottom), (left, right)) = stride, dilation, pads
    (n, _, h, wide), (oc, cg, kh, kw) = x.shape, w.shape
    oh = (h + top + bottom - dh * (kh - 1) - 1) // sh + 1
    ow = (wide + left + right - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((n, oc, oh, ow)) + b[:, None, None]
    for s, o, i, j, c, p, q in itertools.product(*map(range, (n, oc, oh, ow, cg, kh, kw))):
        row, column = i * sh + p * dh - top, j * sw + q * dw - left
        if 0 <= row < h and 0 <= column < wide:
            y[s, o, i, j] += x[s, o // (oc // groups) * cg + c, row, column] * w[o, c, p, q]
    return y


def test_true_convolution_by_hand():
    x = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    w = np.array([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]).reshape(1, 1, 3, 3)
    y = reference.conv2d(x, np.flip(w, (2, 3)), padding=1)
    np.testing.assert_array_equal(y[0, 0], [[-13, -20, -17], [-18, -24, -18], [13, 20, 17]])


def test_im2col_by_hand():
    x = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(reference.im2col(x, (2, 2))[0], [[1, 2], [2, 3], [4, 5], [5, 6]])
    np.testing.assert_array_equal(reference.col2im(np.ones((1, 4, 2)), (2, 3), 2)[0, 0], [[1, 2, 1], [1, 2, 1]])


@pytest.mark.parametrize(
    ("size", "kernel", "options", "expected"),
    [
        ((7, 8), 3, {}, (5, 6)),
        ((7, 8), (3, 2), {"stride": 2, "padding": (1, 0)}, (4, 4)),
        ((7, 8), 3, {"padding": ((0, 2), (1, 0)), "dilation": 2}, (5, 5)),
        ((224, 224), 7, {"stride": 2, "padding": 3}, (112, 112)),
        ((5, 6), 2, {"stride": 2, "ceil_mode": True}, (3, 3)),
        ((3, 3), 1, {"stride": 4, "padding": ((0, 2), (0, 1)), "ceil_mode": True}, (1, 1)),  # window in the end pad
        ((3, 3), 2, {"stride": 4, "padding": 1, "ceil_mode": True}, (1, 1)),
        ((4, 4), 2, {"stride": 4, "padding": 1, "ceil_mode": True}, (2, 2)),
    ],
)
def test_conv_output_size(size, kernel, options, expected):
    assert reference.conv_output_size(size, kernel, **options) == expected


CONV_OPTIONS = [  # stride, padding, dilation, groups, kernel
    (1, 0, 1, 1, (3, 3)),
    ((2, 1), (0, 2), 1, 1, (2, 3)),
    (2, ((0, 2), (1, 0)), (1, 2), 2, (3, 2)),
    (1, ((2, 0), (0, 3)), 2, 1, (2, 2)),
    ((3, 2), 1, 1, 4, (1, 3)),
    (1, "same", (1, 3), 1, (2, 2)),
    (3, "valid", 1, 2, (1, 1)),
]


def conv_case(rng, groups, kernel):
    return rng.normal(size=(2, 4, 6, 7)), rng.normal(size=(8, 4 // groups, *kernel)), rng.normal(size=8)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups", "kernel"), CONV_OPTIONS)
def test_conv2d_is_the_direct_sum(rng, stride, padding, dilation, groups, kernel):
    x, w, b = conv_case(rng, groups, kernel)
    pads = {"same": ((0, 1), (1, 2)), "valid": ((0, 0), (0, 0))}.get(str(padding), padding)
    pads = pads if isinstance(pads, tuple) else (pads, pads)
    pads = tuple(side if isinstance(side, tuple) else (side, side) for side in pads)
    pair = lambda v: v if isinstance(v, tuple) else (v, v)  # noqa: E731
    y = reference.conv2d(x, w, b, stride=stride, padding=padding, dilation=dilation, groups=groups)
    close(y, direct_conv2d(x, w, b, pair(stride), pads, pair(dilation), groups))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups", "kernel"), CONV_OPTIONS)
def test_conv2d_gradients(rng, stride, padding, dilation, groups, kernel):
    x, w, b = conv_case(rng, groups, kernel)
    x = x[:, :, :4, :5].copy() if kernel != (2, 2) else x[:1]
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dy = rng.normal(size=reference.conv2d(x, w, b, **options).shape)
    dx, dw, db = reference.conv2d_backward(dy, x, w, **options)
    close(dx, numeric_gradient(lambda v: (dy * reference.conv2d(v, w, b, **options)).sum(), x), 1e-7)
    close(dw, numeric_gradient(lambda v: (dy * reference.conv2d(x, v, b, **options)).sum(), w), 1e-7)
    close(db, numeric_gradient(lambda v: (dy * reference.conv2d(x, w, v, **options)).sum(), b), 1e-7)
    only = reference.conv2d_backward(dy, x, w, **options, needs=("w",))
    assert only[0] is None
    assert only[2] is None
    np.testing.assert_array_equal(only[1], dw)


@pytest.mark.parametrize(
    "options", [{}, {"stride": (2, 1), "padding": ((0, 2), (1, 0))}, {"dilation": (1, 2), "padding": 1}]
)
def test_im2col_and_col2im_are_adjoint(rng, options):
    x = rng.normal(size=(2, 3, 5, 6))
    cols = reference.im2col(x, (3, 2), **options)
    dcols = rng.normal(size=cols.shape)
    dx = reference.col2im(dcols, (5, 6), (3, 2), **options)
    assert dx.shape == x.shape
    close((cols * dcols).sum(), (x * dx).sum(), 1e-13)


def test_convolution_of_nothing():
    w, b = np.ones((3, 2, 3, 3), np.float32), np.arange(3, dtype=np.float32)
    assert reference.conv2d(np.ones((0, 2, 5, 5), np.float32), w, b).shape == (0, 3, 3, 3)
    assert reference.conv2d(np.ones((2, 2, 5, 5), np.float32), w[:0], b[:0]).shape == (2, 0, 3, 3)
    no_channels = reference.conv2d(np.ones((2, 0, 5, 5), np.float32), w[:, :0], b)
    np.testing.assert_array_equal(no_channels, np.broadcast_to(b[:, None, None], (2, 3, 3, 3)))
    assert no_channels.dtype == np.float32
    dx, dw, db = reference.conv2d_backward(np.ones((0, 3, 3, 3)), np.ones((0, 2, 5, 5)), np.ones((3, 2, 3, 3)))
    assert dx.shape == (0, 2, 5, 5)
    assert dw.shape == (3, 2, 3, 3)
    assert not dw.any()
    np.testing.assert_array_equal(db, np.zeros(3))


# Pooling

PLANE = np.array([[1.0, 3, 2, 1], [4, 6, 5, 0], [7, 2, 9, 8], [1, 0, 3, 4]]).reshape(1, 1, 4, 4)


def test_pooling_by_hand():
    y, indices = reference.max_pool2d(PLANE, 2, return_indices=True)
    np.testing.assert_array_equal(y[0, 0], [[6, 5], [7, 9]])
    np.testing.assert_array_equal(indices[0, 0], [[5, 6], [8, 10]])
    assert indices.dtype == np.int32
    np.testing.assert_array_equal(reference.max_pool2d(PLANE, 2), y)
    np.testing.assert_array_equal(reference.avg_pool2d(PLANE, 2)[0, 0], [[3.5, 2], [2.5, 6]])
    np.testing.assert_array_equal(reference.global_avg_pool2d(PLANE), [[3.5]])
    np.testing.assert_array_equal(reference.global_max_pool2d(PLANE), [[9]])


def test_average_with_unequal_pads_by_hand():
    # rows: one window over (pad, 1st, 2nd), one over (3rd, 4th, beyond the image by ceil_mode)
    options = {"stride": 3, "padding": ((1, 0), (0, 0)), "ceil_mode": True}
    y = reference.avg_pool2d(PLANE, (3, 2), **options)
    np.testing.assert_array_equal(y[0, 0, :, 0], [14 / 6, 10 / 4])
    y = reference.avg_pool2d(PLANE, (3, 2), **options, count_include_pad=False)
    np.testing.assert_array_equal(y[0, 0, :, 0], [14 / 4, 10 / 4])


def test_max_pool2d_first_maximum_and_first_nan_win():
    nan = np.nan
    x = np.array([[2, 2, nan, 5], [2, 2, 5, nan], [2, -np.inf, 3, nan]], np.float32).reshape(1, 1, 3, 4)
    y, indices = reference.max_pool2d(x, 2, padding=1, ceil_mode=True, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0], [[0, 2, 3], [4, 6, 7]])
    np.testing.assert_array_equal(y[0, 0], [[2, nan, 5], [2, 5, nan]])
    np.testing.assert_array_equal(reference.max_pool2d(x, 2, padding=1, ceil_mode=True), y)
    low = np.full((1, 1, 3, 3), -np.inf)
    y, indices = reference.max_pool2d(low, 2, padding=1, return_indices=True)
    np.testing.assert_array_equal(indices[0, 0], [[0, 1], [3, 4]])  # never the padding
    assert np.isnan(reference.global_max_pool2d(x)).all()


POOL_OPTIONS = [
    (2, {}),
    ((3, 2), {"stride": (2, 1), "padding": (1, 0)}),
    (3, {"stride": 2, "padding": 1, "ceil_mode": True}),
    ((2, 3), {"stride": 3, "padding": ((1, 0), (2, 1)), "ceil_mode": True}),
    (5, {"stride": 4, "padding": 2, "ceil_mode": True}),
]


@pytest.mark.parametrize(("kernel", "options"), POOL_OPTIONS)
def test_pooling_gradients(rng, kernel, options):
    x = distinct(rng, (2, 1, 6, 7))
    y, indices = reference.max_pool2d(x, kernel, **options, return_indices=True)
    dy = rng.normal(size=y.shape)
    dx = reference.max_pool2d_backward(dy, indices.astype(np.uint64), (6, 7))
    close(dx, numeric_gradient(lambda v: (dy * reference.max_pool2d(v, kernel, **options)).sum(), x), 1e-7)
    for count in (True, False):
        dx = reference.avg_pool2d_backward(dy, (6, 7), kernel, **options, count_include_pad=count)
        pool = lambda v: reference.avg_pool2d(v, kernel, **options, count_include_pad=count)  # noqa: B023, E731
        close(dx, numeric_gradient(lambda v: (dy * pool(v)).sum(), x), 1e-7)  # noqa: B023
    dy = rng.normal(size=(2, 1))
    dx = reference.global_avg_pool2d_backward(dy, (6, 7))
    close(dx, numeric_gradient(lambda v: (dy * reference.global_avg_pool2d(v)).sum(), x), 1e-7)


# Linear


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (0, 5), (3, 0)])
def test_dense_and_its_gradients(rng, shape):
    x, w, b = rng.normal(size=shape), rng.normal(size=(4, shape[-1])), rng.normal(size=4)
    y = reference.dense(x, w, b)
    assert y.shape == (*shape[:-1], 4)
    for place in np.ndindex(shape[:-1]):
        for j in range(4):
            assert math.isclose(y[*place, j], math.fsum([*(x[place] * w[j]), b[j]]), rel_tol=1e-12, abs_tol=1e-13)
    dy = rng.normal(size=y.shape)
    dx, dw, db = reference.dense_backward(dy, x, w)
    close(dx, numeric_gradient(lambda v: (dy * reference.dense(v, w, b)).sum(), x), 1e-7)
    close(dw, numeric_gradient(lambda v: (dy * reference.dense(x, v, b)).sum(), w), 1e-7)
    close(db, numeric_gradient(lambda v: (dy * reference.dense(x, w, v)).sum(), b), 1e-7)
    assert reference.dense_backward(dy, x, w, needs=("b",))[:2] == (None, None)


# Softmax and losses


def test_softmax_of_large_and_infinite_logits():
    inf = np.inf
    x = np.array([[1e4, 1e4 - 1, -1e4], [0, -inf, 0], [inf, 0, 1], [-inf, -inf, -inf]], np.float32)
    close(reference.softmax(x)[:2], [[0.7310586, 0.2689414, 0], [0.5, 0, 0.5]], 1e-6)
    logs = [[-0.3132617, -1.3132617, -20000.3132617], [-0.6931472, -inf, -0.6931472]]
    close(reference.log_softmax(x)[:2], logs, 1e-6)
    assert np.isnan(reference.softmax(x)[2:]).all()
    assert np.isnan(reference.log_softmax(x)[2:]).all()
    assert reference.softmax(x[:, :0]).shape == (4, 0)
    assert reference.log_softmax(x[:0], axis=0).shape == (0, 3)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_gradients(rng, axis):
    x, dy = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3, 4))
    y, logy = reference.softmax(x, axis), reference.log_softmax(x, axis)
    close(y.sum(axis), np.ones_like(y.sum(axis)))
    close(np.exp(logy), y)
    dx = reference.softmax_backward(dy, y, axis)
    close(dx, numeric_gradient(lambda v: (dy * reference.softmax(v, axis)).sum(), x), 1e-7)
    dx = reference.log_softmax_backward(dy, logy, axis)
    close(dx, numeric_gradient(lambda v: (dy * reference.log_softmax(v, axis)).sum(), x), 1e-7)


def loss_cases():
    """Every combination of spatial axes, kind of target, weight, ignored class, smoothing and reduction."""
    for spatial, soft, weighted, ignore in itertools.product(((), (3, 2)), *[(False, True)] * 3):
        for smoothing, reduction in itertools.product((0.0, 0.1), ("mean", "sum", "none")):
            if not (soft and ignore):
                yield spatial, soft, weighted, ignore, smoothing, reduction


def loss_case(rng, spatial, soft, weighted, ignore, smoothing, reduction):
    logits = 3 * rng.normal(size=(5, 4, *spatial))
    targets = reference.softmax(rng.normal(size=logits.shape), 1) if soft else rng.integers(0, 4, (5, *spatial))
    options = {"label_smoothing": smoothing, "reduction": reduction}
    if weighted:
        options["weight"] = rng.uniform(0.5, 2, 4)
    if ignore:
        targets[:2] = 3
        options["ignore_index"] = 3
    return logits, targets, options


def test_cross_entropy_gradients(rng):
    for case in loss_cases():
        logits, targets, options = loss_case(rng, *case)
        loss, dlogits = reference.softmax_cross_entropy_with_grad(logits, targets, **options)
        np.testing.assert_array_equal(loss, reference.softmax_cross_entropy(logits, targets, **options))
        total = lambda v: np.sum(reference.softmax_cross_entropy(v, targets, **options))  # noqa: B023, E731
        close(dlogits, numeric_gradient(total, logits), 1e-7)


def test_cross_entropy_edges():
    both = reference.softmax_cross_entropy_with_grad
    logits = np.array([[1e4, -1e4, 0], [np.nan, 0, 1]], np.float32)
    loss, d = both(logits, np.array([1, 2], np.uint8), ignore_index=2)  # an ignored row counts for nothing
    assert loss == np.float32(2e4)
    assert loss.dtype == np.float32
    np.testing.assert_array_equal(d, [[1, -1, 0], [0, 0, 0]])
    for smoothing in (0.0, 0.2):  # all ignored
        loss, d = both(logits[:1], np.array([-100]), ignore_index=-100, label_smoothing=smoothing)
        assert np.isnan(loss)
        np.testing.assert_array_equal(d, np.zeros((1, 3)))
    none = np.empty((0, 3)), np.empty(0, np.int64)
    assert np.isnan(both(*none)[0])
    assert both(*none, reduction="sum")[0] == 0
    assert both(*none, reduction="none")[0].shape == (0,)
    assert both(*none)[1].shape == (0, 3)
    masked = np.array([[0.0, -np.inf, 0]])
    loss, d = both(masked, np.array([0]))
    close(loss, np.log(2))
    close(d, [[-0.5, 0, 0.5]])
    assert both(masked, np.array([1]))[0] == np.inf


# Activations

FUSED = ("relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_activation_gradients(rng, name):
    x, dy = distinct(rng, (6, 7)), rng.normal(size=(6, 7))
    f, backward = getattr(reference, name), getattr(reference, name + "_backward")
    close(backward(dy, x), numeric_gradient(lambda v: (dy * f(v)).sum(), x), 1e-7)
    assert backward(np.float32([1]), np.float32([-200])) == 0


def test_activations_take_their_limits_and_keep_their_dtype():
    low = {"leaky_relu": -np.inf, "tanh": -1, "elu": -1}
    high = {"sigmoid": 1, "tanh": 1}
    for name in FUSED:
        f = getattr(reference, name)
        y = f(np.array([-np.inf, np.inf, np.nan], np.float32))
        np.testing.assert_array_equal(y, [low.get(name, 0), high.get(name, np.inf), np.nan])
        assert y.dtype == np.float32
        assert f(np.zeros((2, 0))).shape == (2, 0)
    np.testing.assert_array_equal(reference.gelu(np.array([-np.inf, np.inf]), approximate="tanh"), [0, np.inf])
    assert reference.sigmoid(np.float32(-100)) > 0  # a denormal, not 0


def test_fused_activations(rng):
    image, w, rows, units = (rng.normal(size=size) for size in [(1, 1, 3, 3), (1, 1, 2, 2), (4, 3), (5, 3)])
    for name in FUSED:
        f = getattr(reference, name)
        close(reference.conv2d(image, w, activation=name), f(reference.conv2d(image, w)))
        close(reference.dense(rows, units, activation=name), f(rows @ units.T))


# Clustering


def test_kmeans_assign_is_the_nearest(rng):
    x, centroids = rng.normal(size=(500, 7)), rng.normal(size=(9, 7))
    exact = ((x[:, None] - centroids) ** 2).sum(2)
    for offset in (0, 1e7):  # a common offset costs nothing but the rounding of the inputs
        labels, distances = reference.kmeans_assign(x + offset, centroids + offset, return_distances=True)
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(labels, exact.argmin(1))
        close(distances, exact.min(1), 1e-7 if offset else 1e-12)


def test_kmeans_assign_ties_go_to_the_lowest_index(rng, dtype):
    x = rng.integers(-4, 5, size=(300, 5)).astype(dtype)
    centroids = rng.integers(-4, 5, size=(40, 5)).astype(dtype)
    exact = ((x[:, None] - centroids) ** 2).sum(2)
    assert ((exact == exact.min(1, keepdims=True)).sum(1) > 1).mean() > 0.05  # the case occurs
    np.testing.assert_array_equal(reference.kmeans_assign(x, centroids), exact.argmin(1))
    same = np.repeat(rng.normal(size=(1, 5)).astype(dtype), 33, axis=0)
    assert not reference.kmeans_assign(x, same).any()
    far = reference.kmeans_assign(np.full((2, 5), np.finfo(dtype).max), -same * (np.finfo(dtype).max / 8))
    assert ((far >= 0) & (far < 33)).all()
    assert reference.kmeans_assign(x[:0], centroids).shape == (0,)


def test_kmeans_accumulate(rng):
    x, centroids = rng.normal(size=(60, 3)).astype(np.float32), np.float32([[0, 0, 0], [1, 1, 1], [50, 50, 50]])
    for weight in (None, rng.uniform(0, 2, 60).astype(np.float32)):
        labels, sums, counts, inertia = reference.kmeans_accumulate(x, centroids, sample_weight=weight)
        w = np.ones(60) if weight is None else weight.astype(np.float64)
        for j in range(3):
            close(sums[j], (w[:, None] * x)[labels == j].sum(0))
            close(counts[j], w[labels == j].sum())
        assert counts[2] == 0
        assert sums.dtype == counts.dtype == np.float64
        assert isinstance(inertia, float)
        close(inertia, (w * ((x - centroids[labels].astype(np.float64)) ** 2).sum(1)).sum(), 1e-6)


# Data


def test_digits_are_the_published_ones():
    images, labels = load_digits()
    assert images.shape == (1797, 8, 8)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.bincount(labels), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert images.min() == 0
    assert images.max() == 16
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    published = sklearn_datasets.load_digits()
    np.testing.assert_array_equal(images, published.images)
    np.testing.assert_array_equal(labels, published.target)
