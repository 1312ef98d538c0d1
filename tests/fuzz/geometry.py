"""Sizes 0 to 5, strides, dilations and pads up to 2^62: convolutions and poolings against a walk over the pixels.

Numbers are small integers, so that sums are exact. Calls run in a child process with a limit of memory and of time, for
what is wrong here is often a crash or a loop that does not end.
"""

import itertools
import multiprocessing
import resource
import sys
import time
from pathlib import Path

import numpy as np

import npkernels as nk

PATIENCE = 60  # seconds for a call that takes milliseconds; sanitizers and emulators are slow
MEMORY = 3 << 30  # bytes more than at the start
BATCH = 200  # calls of a child


def meetings(size, kernel, stride, pad, dilation, count):
    """Every (tap, window, pixel) of an axis that meet, found from the pixels in Python's integers."""
    for i, p in itertools.product(range(count), range(size)):
        tap, rest = divmod(p + pad - i * stride, dilation)
        if rest == 0 and 0 <= tap < kernel:
            yield tap, i, p


class Axis:
    """Random numbers of an axis, small or huge, with 1 to 4 windows."""

    def __init__(self, rng, most_kernel, pooling=False):
        self.size, self.count = int(rng.integers(1 if pooling else 0, 6)), int(rng.integers(1, 5))
        self.kernel = large(rng) if pooling and rng.random() < 0.5 else int(rng.integers(1, most_kernel + 1))
        self.stride, self.dilation = large(rng), large(rng)
        span = self.dilation * (self.kernel - 1)
        if rng.random() < 0.7 and self.size:  # so that a tap of a window meets a pixel
            tap, window = int(rng.integers(min(self.kernel, 1 << 40))), int(rng.integers(self.count))
            self.begin = max(0, tap * self.dilation + window * self.stride - int(rng.integers(self.size)))
        else:
            self.begin = large(rng) - 1
        if rng.random() < 0.3:
            self.begin = int(rng.integers(3))
        self.end = (self.count - 1) * self.stride + span + 1 - self.size - self.begin
        self.end += int(rng.integers(min(self.stride, 1 << 62)))  # the rest that no window reaches
        if self.end < 0:
            self.end = int(rng.integers(3))
        self.count = (self.size + self.begin + self.end - span - 1) // self.stride + 1

    def legal(self):
        numbers = self.kernel, self.stride, self.dilation, self.begin, self.end, self.size + self.begin + self.end
        return 1 <= self.count <= 12 and max(numbers) < 2**63

    def sees(self):
        """As a pooling: every window sees a pixel and pads are shorter than a window."""
        window = self.dilation * (self.kernel - 1) + 1
        windows = {i for _, i, _ in self.meetings()}
        return self.size > 0 and max(self.begin, self.end) < window and len(windows) == self.count

    def meetings(self):
        return list(meetings(self.size, self.kernel, self.stride, self.begin, self.dilation, self.count))


def large(rng):
    """1 to 4, or any number of bits up to 62, or beside a power of two."""
    u = rng.random()
    if u < 0.5:
        return int(rng.integers(1, 5))
    bits = int(rng.integers(2, 63))
    return int(rng.integers(1 << (bits - 1), 1 << bits)) if u < 0.8 else max(1, (1 << bits) + int(rng.integers(-3, 4)))


def axes_of(rng, most_kernel, pooling=False, dilated=True):
    while True:
        axes = [Axis(rng, most_kernel, pooling) for _ in range(2)]
        if rng.random() < 0.3:
            axes[1] = axes[0]
        if not dilated:
            for axis in axes:
                axis.dilation = 1
                axis.count = (axis.size + axis.begin + axis.end - axis.kernel) // axis.stride + 1
        if all(axis.legal() and (not pooling or axis.sees()) for axis in axes):
            return axes


def options_of(rows, columns, *, dilation=True):
    options = {"stride": (rows.stride, columns.stride)}
    options["padding"] = ((rows.begin, rows.end), (columns.begin, columns.end))
    return options | ({"dilation": (rows.dilation, columns.dilation)} if dilation else {})


def integers(rng, dtype, *shape):
    return rng.integers(-3, 4, shape).astype(dtype)


def same(name, got, wanted):
    assert got.shape == wanted.shape, f"{name}: shape {got.shape}, wanted {wanted.shape}"
    assert np.array_equal(got, wanted), f"{name}: {got.ravel()[:20]}, wanted {wanted.ravel()[:20]}"


def convolution(rng, dtype):
    rows, columns = axes_of(rng, 4)
    groups, each, outputs = int(rng.integers(1, 3)), int(rng.choice([1, 2, 3, 20])), int(rng.choice([1, 2, 5, 40]))
    n, c, oc = int(rng.integers(1, 4)), groups * each, groups * outputs
    x = integers(rng, dtype, n, c, rows.size, columns.size)
    w = integers(rng, dtype, oc, each, rows.kernel, columns.kernel)
    b, dy = integers(rng, dtype, oc), integers(rng, dtype, n, oc, rows.count, columns.count)
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    y += b[:, None, None]
    for (a, i, r), (a_, j, q) in itertools.product(rows.meetings(), columns.meetings()):
        for g in range(groups):
            inner, outer = slice(g * each, (g + 1) * each), slice(g * outputs, (g + 1) * outputs)
            y[:, outer, i, j] += x[:, inner, r, q] @ w[outer, :, a, a_].T
            dx[:, inner, r, q] += dy[:, outer, i, j] @ w[outer, :, a, a_]
            dw[outer, :, a, a_] += dy[:, outer, i, j].T @ x[:, inner, r, q]
    options = options_of(rows, columns) | {"groups": groups}
    found = nk.conv2d(x, w, b, algorithm="direct", **options)
    same("conv2d", found, y)
    same("conv2d of one image", nk.conv2d(x[:1], w, b, algorithm="direct", **options), y[:1])
    same("conv2d with relu", nk.conv2d(x, w, b, activation="relu", algorithm="direct", **options), np.maximum(y, 0))
    gradients = nk.conv2d_backward(dy, x, w, needs=("x", "w"), **options)[:2]
    for name, got, wanted in zip(("dx", "dw"), gradients, (dx, dw), strict=True):
        same(name, got, wanted)


def transposed(rng, dtype):
    # The result is the image of a convolution, x its windows; pads are cut from it, output_padding is the rest.
    rows, columns = axes_of(rng, 4)
    axes = rows, columns
    reached = [(a.count - 1) * a.stride - a.begin - a.end + a.dilation * (a.kernel - 1) + 1 for a in axes]
    extra = tuple(a.size - size for a, size in zip(axes, reached, strict=True))
    if any(a.size == 0 or not 0 <= e < max(a.stride, a.dilation) for a, e in zip(axes, extra, strict=True)):
        return
    n, c, oc = (int(i) for i in rng.integers(1, 4, 3))
    x = integers(rng, dtype, n, c, rows.count, columns.count)
    w = integers(rng, dtype, c, oc, rows.kernel, columns.kernel)
    b, dy = integers(rng, dtype, oc), integers(rng, dtype, n, oc, rows.size, columns.size)
    y, dx, dw = np.zeros(dy.shape), np.zeros(x.shape), np.zeros(w.shape)
    y += b[:, None, None]
    for (a, i, r), (a_, j, q) in itertools.product(rows.meetings(), columns.meetings()):
        y[:, :, r, q] += x[:, :, i, j] @ w[:, :, a, a_]
        dx[:, :, i, j] += dy[:, :, r, q] @ w[:, :, a, a_].T
        dw[:, :, a, a_] += x[:, :, i, j].T @ dy[:, :, r, q]
    options = options_of(rows, columns) | {"output_padding": extra}
    same("conv_transpose2d", nk.conv_transpose2d(x, w, b, **options), y)
    gradients = nk.conv_transpose2d_backward(dy, x, w, needs=("x", "w"), **options)[:2]
    for name, got, wanted in zip(("dx", "dw"), gradients, (dx, dw), strict=True):
        same(f"{name} of conv_transpose2d", got, wanted)


def columns_of_patches(rng, dtype):
    rows, columns = axes_of(rng, 4)
    kernel, count = (rows.kernel, columns.kernel), rows.count * columns.count
    n, c = (int(i) for i in rng.integers(1, 4, 2))
    x = integers(rng, dtype, n, c, rows.size, columns.size)
    cols = integers(rng, dtype, n, c * kernel[0] * kernel[1], count)
    wanted, image = np.zeros((n, c, *kernel, rows.count, columns.count)), np.zeros(x.shape)
    parts = cols.reshape(wanted.shape)
    for (a, i, r), (a_, j, q) in itertools.product(rows.meetings(), columns.meetings()):
        wanted[:, :, a, a_, i, j] = x[:, :, r, q]
        image[:, :, r, q] += parts[:, :, a, a_, i, j]
    options = options_of(rows, columns)
    same("im2col", nk.im2col(x, kernel, **options), wanted.reshape(cols.shape))
    same("col2im", nk.col2im(cols, x.shape[2:], kernel, **options), image)


def maxima(rng, dtype):
    rows, columns = axes_of(rng, 4, pooling=True)
    n, c = (int(i) for i in rng.integers(1, 4, 2))
    x = integers(rng, dtype, n, c, rows.size, columns.size)
    shape = n, c, rows.count, columns.count
    wanted, places = np.full(shape, -np.inf), np.zeros(shape, int)
    for (_, i, r), (_, j, q) in itertools.product(rows.meetings(), columns.meetings()):
        at, here = (..., i, j), r * columns.size + q
        better = (x[:, :, r, q] > wanted[at]) | ((x[:, :, r, q] == wanted[at]) & (here < places[at]))
        wanted[at], places[at] = np.where(better, x[:, :, r, q], wanted[at]), np.where(better, here, places[at])
    kernel, options = (rows.kernel, columns.kernel), options_of(rows, columns)
    same("max_pool2d", nk.max_pool2d(x, kernel, **options), wanted)
    y, indices = nk.max_pool2d(x, kernel, return_indices=True, **options)
    same("max_pool2d with indices", y, wanted)
    same("indices", indices, places)


def averages(rng, dtype):
    rows, columns = axes_of(rng, 4, pooling=True, dilated=False)
    n, c = (int(i) for i in rng.integers(1, 4, 2))
    x, dy = integers(rng, dtype, n, c, rows.size, columns.size), integers(rng, dtype, n, c, rows.count, columns.count)
    include = bool(rng.integers(2))
    total, dx, divisor = np.zeros(dy.shape), np.zeros(x.shape), np.ones(dy.shape[2:])
    for i, j in itertools.product(range(rows.count), range(columns.count)):
        for axis, at in (rows, i), (columns, j):
            start = at * axis.stride - axis.begin
            low, high = (-axis.begin, axis.size + axis.end) if include else (0, axis.size)
            divisor[i, j] *= min(start + axis.kernel, high) - max(start, low)
    for (_, i, r), (_, j, q) in itertools.product(rows.meetings(), columns.meetings()):
        total[:, :, i, j] += x[:, :, r, q]
        dx[:, :, r, q] += dy[:, :, i, j] / divisor[i, j]
    kernel, options = (rows.kernel, columns.kernel), options_of(rows, columns, dilation=False)
    options["count_include_pad"], eps = include, np.finfo(dtype).eps
    got = nk.avg_pool2d(x, kernel, **options)
    assert np.allclose(got, total / divisor, rtol=4 * eps, atol=0), f"avg_pool2d: {got}, wanted {total / divisor}"
    got = nk.avg_pool2d_backward(dy, x.shape[2:], kernel, **options)
    assert np.allclose(got, dx, rtol=8 * eps, atol=99 * eps * abs(dy / divisor).max()), f"its dx: {got}, wanted {dx}"


FAMILIES = convolution, transposed, columns_of_patches, maxima, averages


def call(seed, i):
    rng = np.random.default_rng([seed, i])
    FAMILIES[i % len(FAMILIES)](rng, np.dtype(np.float64 if i // len(FAMILIES) % 2 else np.float32))


def child(seed, first, last, at, why):
    """Calls first .. last; `at` says which one runs, `why` holds what went wrong."""
    if sys.platform == "linux":
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if in_use < 1 << 40:  # a sanitizer reserves more
            resource.setrlimit(resource.RLIMIT_AS, (in_use + MEMORY,) * 2)
    for i in range(first, last):
        at.value = i
        try:
            call(seed, i)
        except BaseException as error:
            why.value = f"{type(error).__name__}: {error}".encode()[: len(why) - 1]
            return
    at.value = last


def batch(seed, first, last):
    """Runs calls in a child and returns what is wrong, or None."""
    context = multiprocessing.get_context("spawn")
    at, why = context.Value("q", first, lock=False), context.Array("c", 4000, lock=False)
    process = context.Process(target=child, args=(seed, first, last, at, why))
    process.start()
    before, since = first, time.monotonic()
    while process.is_alive():
        process.join(0.2)
        if at.value != before:
            before, since = at.value, time.monotonic()
        if time.monotonic() - since > PATIENCE:
            process.kill()
            process.join()
            return f"call({seed}, {at.value}) did not end"
    if at.value == last:
        return None
    return f"call({seed}, {at.value}): {why.value.decode() or f'the process died, exit code {process.exitcode}'}"


def run(seed, seconds):
    """Calls that were made; an AssertionError says which one fails: `tests.fuzz.geometry.call(seed, i)`."""
    end, done = time.monotonic() + seconds, 0
    while done == 0 or time.monotonic() < end:
        wrong = batch(seed, done, done + BATCH)
        assert wrong is None, f"tests.fuzz.geometry.{wrong}"
        done += BATCH
    return done
