"""Sums of many numbers. Of equal ones, whose roundings all go the same way, a single chain of float32 loses a hundredth
at a million terms. No chain is longer than CHAIN; beyond, the sums of chains are added in double."""

import numpy as np
import pytest

import npkernels as nk

CHAIN = 8192
MANY = 1_000_000
TENTH = np.float32(0.1)


def equal(*shape):
    """float32 tenths that take no memory."""
    return np.broadcast_to(TENTH, shape)


def tenths(*shape):
    return np.full(shape, TENTH)


T = float(TENTH)


def products():
    k = MANY
    yield "row", nk.matmul(equal(1, k), tenths(k, 3)), k * T * T
    yield "row of lines", nk.matmul(tenths(1, 300_000), tenths(300_000, 300)), 300_000 * T * T
    yield "tiles", nk.matmul(equal(9, k), equal(k, 20)), k * T * T
    yield "thin", nk.matmul(equal(3, k), tenths(5, k).T), k * T * T
    yield "columns", nk.matmul(tenths(k, 5).T, tenths(k, 7)), k * T * T
    yield "stack", nk.matmul(equal(4, 2, k), equal(4, k, 3)), k * T * T
    yield "many rows", nk.matmul(equal(700, 20_000), equal(20_000, 20)), 20_000 * T * T
    yield "dense row", nk.dense(tenths(1, k), tenths(3, k), tenths(3)), k * T * T + T
    yield "dense", nk.dense(equal(20, k), equal(3, k), activation="relu"), k * T * T
    yield "dense of long rows", nk.dense(tenths(20, 20_000), tenths(60, 20_000)), 20_000 * T * T


def dense_gradients():
    x, w, dy = equal(MANY, 3), tenths(2, 3), equal(MANY, 2)
    _, dw, db = nk.dense_backward(dy, x, w)
    yield "dw", dw, MANY * T * T
    yield "db", db, MANY * T
    yield "dx", nk.dense_backward(equal(2, 50_000), equal(2, 3), equal(50_000, 3), needs=("x",))[0], 50_000 * T * T


def convolutions():
    yield "flat", nk.conv2d(equal(1, 2000, 12, 12), equal(20, 2000, 3, 3), tenths(20)), 18_000 * T * T + T
    yield "small images", nk.conv2d(equal(1, 2000, 5, 5), equal(40, 2000, 3, 3), stride=2), 18_000 * T * T
    yield "1x1", nk.conv2d(equal(2, 20_000, 4, 4), equal(3, 20_000, 1, 1)), 20_000 * T * T
    yield "planes", nk.conv2d(tenths(1, 20_000, 8, 8), equal(3, 20_000, 1, 1)), 20_000 * T * T
    yield "winograd", nk.conv2d(equal(1, 20_000, 8, 8), equal(32, 20_000, 3, 3)), 180_000 * T * T
    yield "one large kernel", nk.conv2d(equal(1, 1, 200, 210), equal(2, 1, 190, 200)), 38_000 * T * T
    yield (
        "gradient of the image",
        inner(nk.conv2d_backward(equal(1, 20_000, 6, 6), equal(1, 2, 8, 8), equal(20_000, 2, 3, 3), needs=("x",))[0]),
        180_000 * T * T,
    )
    yield "transposed", inner(nk.conv_transpose2d(equal(1, 20_000, 6, 6), equal(20_000, 2, 3, 3))), 180_000 * T * T


def inner(dx):
    """The pixels that all windows see."""
    return dx[..., 2:-2, 2:-2]


def gradients_of_kernels():
    for text, c, oc, kernel, n, size, options in [
        ("in place", 8, 5, 3, 30, 62, {"stride": 2}),
        ("small images", 9, 5, 3, 3000, 7, {}),
        ("from copies", 2, 5, 3, 30, 102, {}),
        ("long lines", 2, 5, 1, 1, (2, 40_000), {"stride": (1, 2)}),
        ("winograd", 16, 16, 3, 100, 66, {}),
        ("winograd 5x5", 16, 16, 5, 30, 68, {}),
        ("planes", 3, 5, 1, 1000, 20, {}),
        ("depthwise", 3, 3, 3, 40, 102, {"groups": 3}),
        ("depthwise pixels", 16, 16, 3, 2000, 9, {"groups": 16}),
        ("depthwise lines", 3, 3, 1, 9, (1, 60_000), {"groups": 3}),
    ]:
        h, w = (size, size) if isinstance(size, int) else size
        x, weights = tenths(n, c, h, w), equal(oc, c // options.get("groups", 1), kernel, kernel)
        oh, ow = nk.conv_output_size((h, w), kernel, stride=options.get("stride", 1))
        dy = equal(n, oc, oh, ow)
        _, dw, db = nk.conv2d_backward(dy, x, weights, needs=("w", "b"), **options)
        yield text, dw, n * oh * ow * T * T
        yield f"{text}, db", db, n * oh * ow * T


def pooling():
    k = MANY
    for text, shape in [("rows", (1, 1, k, 2)), ("columns", (1, 1, 2, k)), ("channels last", (1, 20, 2, k))]:
        window = tuple(size if size > 2 else 1 for size in shape[2:])
        yield text, nk.avg_pool2d(equal(*shape), window), T
    for stride in (1, 2, 3):
        for width, window in ((60_100, (1, 60_000)), (30_000, (1, 20_000))):
            yield f"stride {stride}", nk.avg_pool2d(tenths(1, 1, 1, width), window, stride=stride), T
            yield f"stride {stride} down", nk.avg_pool2d(tenths(1, 1, width, 3), window[::-1], stride=stride), T
    yield "global", nk.global_avg_pool2d(equal(1, 2, 1000, 1000)), T


def seen(window, stride, count):
    """How many of `count` windows see each of the pixels up to 2 window - 1."""
    places = np.arange(2 * window - 1)
    return np.minimum(places // stride, count - 1) - np.maximum(0, -(-(places - window + 1) // stride)) + 1


def pooling_gradients():
    for window, stride, down in [(20_000, 1, False), (20_000, 2, False), (30_000, 3, False), (10_000, 1, True)]:
        count = (window - 1) // stride + 1
        turn = slice(None, None, -1 if down else 1)
        dy, size, image = equal(1, 1, *(1, count)[turn]), (1, window)[turn], (1, 2 * window - 1)[turn]
        dx = nk.avg_pool2d_backward(dy, image, size, stride=stride)
        yield f"stride {stride}", dx.ravel(), seen(window, stride, count) * (T / window)


def columns():
    window = 20_000
    for stride in (1, 2):
        count = (window - 1) // stride + 1
        dx = nk.col2im(equal(1, window, count), (1, 2 * window - 1), (1, window), stride=(1, stride))
        yield f"stride {stride}", dx.ravel(), seen(window, stride, count) * T


def softmaxes():
    # One class is 1 and the others are e^-2 of it before they are divided by their sum.
    c = MANY
    x = np.broadcast_to(np.float32(-2), (c,)).copy()
    x[0] = 0
    total = 1 + (c - 1) * np.exp(-2.0)
    for text, logits, axis in [("rows", x[None], 1), ("lanes", np.repeat(x[:, None], 2, 1), 0)]:
        first = (slice(None), 0) if axis else (0, slice(None))
        y = nk.softmax(logits, axis)
        yield f"{text}", y[first], 1 / total
        yield f"{text} log", nk.log_softmax(logits, axis)[first], -np.log(total)
        y, log_y = equal(*logits.shape), np.broadcast_to(np.log(TENTH), logits.shape)  # of no logits
        yield f"{text} gradient", nk.softmax_backward(y, y, axis=axis), T * (T - c * T * T)
        dx = nk.log_softmax_backward(y, log_y, axis=axis)
        yield f"{text} log gradient", dx, T - c * T * np.exp(float(log_y.flat[0]))


def entropies():
    c = MANY
    x = np.zeros((2, c), np.float32)
    x[:, 0] = 2
    total = np.exp(2.0) + c - 1
    for text, logits in [("rows", x), ("lanes", np.repeat(x[:, :, None], 2, 2))]:
        labels = np.zeros(logits.shape[:1] + logits.shape[2:], np.int64)
        yield f"{text}, classes", nk.softmax_cross_entropy(logits, labels), np.log(total) - 2
        even = np.broadcast_to(np.float32(1 / c), logits.shape)
        loss = nk.softmax_cross_entropy(logits, even)
        yield f"{text}, probabilities", loss, float(even.flat[0]) * (c * np.log(total) - 2)


def clusters():
    d = 300_000
    x, centroids = equal(20, d), np.zeros((3, d), np.float32)
    _, distances = nk.kmeans_assign(x, centroids, return_distances=True)
    yield "distances", distances, d * T * T
    _, sums, _, inertia = nk.kmeans_accumulate(equal(MANY, 2), np.zeros((1, 2), np.float32))
    yield "sums", sums, MANY * T
    yield "inertia", np.array(inertia), 2 * MANY * T * T


def norms():
    yield "clip", np.array(nk.clip_grad_norm([tenths(3 * MANY)], 1.0)), np.sqrt(3 * MANY) * T
    noise = np.random.default_rng(0).random((1, 2 * MANY), np.float32)
    for x in (noise.reshape(2 * MANY, 1), noise.reshape(1, 1, 1000, 2000)):
        _, mean, var = nk.batch_norm(x, np.ones(1, np.float32), np.zeros(1, np.float32))
        yield "mean", mean, noise.mean(dtype=np.float64)
        yield "variance", var, noise.var(dtype=np.float64)
        one = np.ones(1, np.float32)
        _, dgamma, dbeta = nk.batch_norm_backward(equal(*x.shape), x, one, np.float32([-1]), one, eps=0.0)
        yield "dgamma", dgamma, T * (noise.sum(dtype=np.float64) + noise.size)
        yield "dbeta", dbeta, T * noise.size
    gamma, beta = np.ones(2 * MANY, np.float32), np.zeros(2 * MANY, np.float32)
    _, mean, var = nk.layer_norm(noise, gamma, beta)
    yield "mean of a row", mean, noise.mean(dtype=np.float64)
    yield "variance of a row", var, noise.var(dtype=np.float64)
    one, two = np.ones(MANY, np.float32), np.ones(2, np.float32)
    _, dgamma, dbeta = nk.layer_norm_backward(equal(MANY, 2), equal(MANY, 2), two, one * 0, one, eps=0.0)
    yield "dgamma of columns", dgamma, MANY * T * T
    yield "dbeta of columns", dbeta, MANY * T


def losses():
    x, y = equal(3 * MANY), np.broadcast_to(np.float32(0), 3 * MANY)
    yield "mse", nk.mse_loss(x, y, reduction="sum"), 3 * MANY * T * T
    yield "l1", nk.l1_loss(x, y, reduction="mean"), T


CASES = [
    products, dense_gradients, convolutions, gradients_of_kernels, pooling, pooling_gradients, columns, softmaxes,
    entropies, clusters, norms, losses,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_no_chain_is_longer_than_a_block(isa, case):
    for text, got, wanted in case():
        got = np.asarray(got)
        assert got.dtype == np.float32 or text in ("sums", "inertia", "clip"), text
        error = np.abs(got - wanted)
        assert (error <= (CHAIN + 64) * 2.0**-24 * np.abs(wanted)).all(), (text, error.max())


@pytest.mark.parametrize("case", CASES)
def test_long_sums_have_the_same_bits_for_any_threads(case, same_for_any_threads):
    same_for_any_threads(lambda: tuple(np.array(got) for _, got, _ in case()))
