"""One line a kernel, run on the digits: the error as a fraction of what it may be, and the time next to NumPy's."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

import npkernels as nk
from npkernels import reference

from . import bounds
from .bounds import as_tuple, exact, mapped, slopes, two_ulp


class Row(NamedTuple):
    """A kernel: how to call it, the bound of its error, and what to compare where that is not the result itself."""

    name: str
    call: Callable  # of a library (this one, or the reference) and the arrays
    bound: Callable | tuple  # a function of bounds.py, or for each result how many products it sums
    measure: Callable = lambda a, result: as_tuple(result)


def operands(images, labels, rng):
    """The operands of every row, float32: the digits, feature maps made of 512 of them, random weights."""

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    a = SimpleNamespace(rows=images.reshape(len(images), 64).astype(np.float32), targets=labels)
    a.x = reference.conv2d(images[:512, None].astype(np.float32) / 16, normal(16, 1, 3, 3), padding=1)
    a.filters, a.biases, a.dmaps = normal(32, 16, 3, 3), normal(32), normal(512, 32, 8, 8)
    a.cols, a.dy, a.dpooled, a.dmeans = normal(512, 144, 64), normal(*a.x.shape), normal(512, 16, 4, 4), normal(512, 16)
    a.places = reference.max_pool2d(a.x, 3, stride=2, padding=1, return_indices=True)[1]
    a.flat, a.w, a.b, a.dunits = a.x.reshape(512, 1024), normal(128, 1024), normal(128), normal(512, 128)
    a.logits = reference.dense(a.rows / 16, normal(10, 64), normal(10))
    a.dlogits, a.y, a.log_y = normal(*a.logits.shape), reference.softmax(a.logits), reference.log_softmax(a.logits)
    a.centroids = np.stack([a.rows[labels == digit].mean(0) for digit in range(10)])
    a.p, a.g, a.velocity = normal(256, 1024), normal(256, 1024), normal(256, 1024)
    return a


def momentum_step(lib, a):
    lib.momentum_step(a.p, a.g, a.velocity, lr=0.01)
    return a.p, a.velocity


def chosen(a, result):
    """The exact squared distance of every row to the centroid chosen for it, and the distance returned."""
    labels, distances = result
    return ((a.rows - a.centroids[labels]) ** 2).sum(1), distances


def accumulated(a, result):
    """How far sums and counts are from those of the labels returned, and the inertia."""
    labels, sums, counts, inertia = result
    members = (labels == np.arange(len(counts))[:, None]).astype(np.float64)
    return sums - members @ a.rows, counts - members.sum(1), inertia


def sigmoid_slope(x):
    return reference.sigmoid_backward(1, x)


def tanh_slope(x):
    return reference.tanh_backward(1, x)


POOL = {"stride": 2, "padding": 1}
ROWS = [
    Row("conv2d", lambda lib, a: lib.conv2d(a.x, a.filters, a.biases, padding=1), bounds.conv2d),
    Row(
        "conv2d_backward",
        lambda lib, a: lib.conv2d_backward(a.dmaps, a.x, a.filters, padding=1),
        bounds.conv2d_backward,
    ),
    Row("im2col", lambda lib, a: lib.im2col(a.x, 3, padding=1), exact),
    Row("col2im", lambda lib, a: lib.col2im(a.cols, (8, 8), 3, padding=1), (9,)),
    Row("max_pool2d", lambda lib, a: lib.max_pool2d(a.x, 3, **POOL), exact),
    Row("max_pool2d, indices", lambda lib, a: lib.max_pool2d(a.x, 3, **POOL, return_indices=True), exact),
    Row("max_pool2d_backward", lambda lib, a: lib.max_pool2d_backward(a.dpooled, a.places, (8, 8)), (4,)),
    Row("avg_pool2d", lambda lib, a: lib.avg_pool2d(a.x, 3, **POOL), (9,)),
    Row("avg_pool2d_backward", lambda lib, a: lib.avg_pool2d_backward(a.dpooled, (8, 8), 3, **POOL), (4,)),
    Row("global_avg_pool2d", lambda lib, a: lib.global_avg_pool2d(a.x), (64,)),
    Row("global_avg_pool2d_backward", lambda lib, a: lib.global_avg_pool2d_backward(a.dmeans, (8, 8)), (1,)),
    Row("global_max_pool2d", lambda lib, a: lib.global_max_pool2d(a.x), exact),
    Row("dense", lambda lib, a: lib.dense(a.flat, a.w, a.b), (1025,)),
    Row("dense, gelu", lambda lib, a: lib.dense(a.flat, a.w, a.b, activation="gelu"), bounds.dense_gelu),
    Row("dense_backward", lambda lib, a: lib.dense_backward(a.dunits, a.flat, a.w), (128, 512, 512)),
    Row("matmul", lambda lib, a: lib.matmul(a.rows.T, a.rows), (1797,)),
    Row("softmax", lambda lib, a: lib.softmax(a.logits), bounds.softmax),
    Row("softmax_backward", lambda lib, a: lib.softmax_backward(a.dlogits, a.y), bounds.softmax_backward),
    Row("log_softmax", lambda lib, a: lib.log_softmax(a.logits), bounds.log_softmax),
    Row(
        "log_softmax_backward", lambda lib, a: lib.log_softmax_backward(a.dlogits, a.log_y), bounds.log_softmax_backward
    ),
    Row("softmax_cross_entropy", lambda lib, a: lib.softmax_cross_entropy(a.logits, a.targets), bounds.cross_entropy),
    Row(
        "softmax_cross_entropy_with_grad",
        lambda lib, a: lib.softmax_cross_entropy_with_grad(a.logits, a.targets),
        bounds.cross_entropy,
    ),
    Row("relu", lambda lib, a: lib.relu(a.x), exact),
    Row("relu_backward", lambda lib, a: lib.relu_backward(a.dy, a.x), exact),
    Row("sigmoid", lambda lib, a: lib.sigmoid(a.x), two_ulp),
    Row(
        "sigmoid_backward",
        lambda lib, a: lib.sigmoid_backward(a.dy, a.x),
        slopes(sigmoid_slope, lambda x: sigmoid_slope(x) * (1 - 2 * reference.sigmoid(x))),
    ),
    Row("tanh", lambda lib, a: lib.tanh(a.x), two_ulp),
    Row(
        "tanh_backward",
        lambda lib, a: lib.tanh_backward(a.dy, a.x),
        slopes(tanh_slope, lambda x: -2 * np.tanh(x) * tanh_slope(x)),
    ),
    Row("momentum_step", momentum_step, bounds.momentum),
    Row(
        "kmeans_assign",
        lambda lib, a: lib.kmeans_assign(a.rows, a.centroids, return_distances=True),
        bounds.kmeans_assign,
        chosen,
    ),
    Row(
        "kmeans_accumulate",
        lambda lib, a: lib.kmeans_accumulate(a.rows, a.centroids),
        bounds.kmeans_accumulate,
        accumulated,
    ),
]


def worst_fraction(row, arrays):
    """The largest error of a row as a fraction of its bound; 0 where both are 0."""
    inputs, narrow, wide = (mapped(arrays, lambda v, t=t: v.astype(t)) for t in (np.float64, np.float32, np.float64))
    result = row.measure(inputs, row.call(nk, narrow))
    expected = row.measure(inputs, row.call(reference, wide))
    allowed = (
        row.bound(inputs, expected) if callable(row.bound) else bounds.sums(row.call, *row.bound)(inputs, expected)
    )
    worst = 0.0
    for r, e, bound in zip(result, expected, allowed, strict=True):
        if np.shape(r) != np.shape(e):
            return np.inf
        error = np.abs(np.asarray(r, np.float64) - e)
        with np.errstate(divide="ignore", invalid="ignore"):
            worst = np.maximum(worst, np.where(error == 0, 0, error / bound).max())
    return float(worst)


def best_times(row, arrays, rounds=5):
    """Best seconds of the reference and of this library in float32, measured in turn."""
    inputs = mapped(arrays, np.copy)
    times = {reference: [], nk: []}
    for _ in range(rounds):
        for lib, seconds in times.items():
            start = time.perf_counter()
            row.call(lib, inputs)
            seconds.append(time.perf_counter() - start)
    return min(times[reference]), min(times[nk])


def run(images, labels, rng):
    """Prints the table; returns a sentence for every kernel that is out of its bound."""
    print("Kernels in float32 on 512 digits as 16 x 8 x 8 feature maps; losses and k-means on all 1797.")
    print("Error: the largest, as a fraction of the rounding error allowed. Times: best of 5, milliseconds.\n")
    print(f"{'kernel':32}{'error / bound':>14}{'NumPy':>10}{'npkernels':>11}{'speed-up':>10}")
    arrays, failures = operands(images, labels, rng), []
    for row in ROWS:
        fraction = worst_fraction(row, arrays)
        numpy, here = best_times(row, arrays)
        error = "exact" if fraction == 0 else f"{fraction:.4f}" if fraction > 1e-4 else f"{fraction:.0e}"
        print(f"{row.name:32}{error:>14}{numpy * 1e3:10.3f}{here * 1e3:11.3f}{numpy / here:9.1f}x", flush=True)
        if not fraction <= 1:
            failures.append(f"the error of {row.name} is {fraction:.3g} times the one that rounding allows")
    return failures
