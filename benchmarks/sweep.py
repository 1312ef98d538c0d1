"""Searches all sizes for cliffs: shapes at which PyTorch, or scikit-learn's k-means, is faster.

    python benchmarks/sweep.py [--family conv --family pool ...] [--count 100] [--seed 0] [--threads 1] [--below 0.8]

Sizes are drawn log-uniformly, so that tiny and huge ones are as frequent as those of networks, within 2 GFLOP and
200 MB. A row below the limit is measured again before it counts. Calls under 20 microseconds are overhead and only
counted. Prints the rows below the limit, the worst first, and for each family the geometric mean of PyTorch's time
over ours.
"""

import argparse
import functools
import math

import engine
import numpy as np
import rivals
from bench_cluster import KmeansAssign
from bench_softmax import SoftmaxCrossEntropyWithGrad
from rivals import F, aten, tensors, torch
from shapes import Cluster, Head

import npkernels as nk

FLOP, BYTES = 2e9, 200e6
OVERHEAD = 20e-6  # seconds
ROUNDS, AGAIN = 3, 3  # of a measurement; measurements of a row that is below the limit
CLEAR = 3.0  # the ratio from which on a row is not measured closely
LOSSES = ("mse_loss", "huber_loss", "binary_cross_entropy_with_logits")
EPS = 1e-5


class Draw:
    """Random sizes and operands of one case."""

    def __init__(self, rng, dtype):
        self.rng, self.dtype = rng, np.dtype(dtype)

    def size(self, low, high):
        return min(high, int(math.exp(self.rng.uniform(math.log(low), math.log(high + 1)))))

    def normal(self, *shape):
        return self.rng.standard_normal(shape, self.dtype)

    def image(self):
        return self.size(1, 200_000), self.size(1, 1024), self.size(1, 20_000), self.size(1, 20_000)

    def fits(self, *shapes):
        return sum(map(math.prod, shapes)) * self.dtype.itemsize <= BYTES


def conv(d):
    """The convolution, its gradients, and the transposed convolution, whose dx is the convolution."""
    (n, c, h, w), oc, groups = d.image(), d.size(1, 1024), 1
    kernel, stride, dilation = [d.size(1, 128), d.size(1, 128)], d.size(1, 8), d.size(1, 64)
    if d.rng.uniform() < 0.3:
        groups = math.gcd(c, oc) if d.rng.uniform() < 0.5 else c
        oc = max(1, oc // groups) * groups if groups == c else oc
    padding = [min((k - 1) * dilation // 2, 2 * size) for k, size in zip(kernel, (h, w), strict=True)]
    oh, ow = (
        (s + 2 * p - (k - 1) * dilation - 1) // stride + 1 for s, p, k in zip((h, w), padding, kernel, strict=True)
    )
    flop = 2 * n * oc * oh * ow * (c // groups) * math.prod(kernel)
    if min(oh, ow) < 1 or flop > FLOP or not d.fits((n, c, h, w), (n, oc, oh, ow), (oc, c // groups, *kernel)):
        return
    x, k, dy = d.normal(n, c, h, w), d.normal(oc, c // groups, *kernel), d.normal(n, oc, oh, ow)
    tx, tk, tdy = tensors(x, k, dy)
    window = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    given = {**window, "padding": tuple(padding)}
    options = [oc], [stride] * 2, padding, [dilation] * 2, False, [0, 0], groups
    text = f"({n}, {c}, {h}, {w}) -> {oc}, {kernel[0]}x{kernel[1]}/{stride}, dilation {dilation}, groups {groups}"

    def gradient(name, mask):
        ours = lambda: nk.conv2d_backward(dy, x, k, needs=(name,), **given)  # noqa: E731
        return f"conv2d d{name}", text, ours, lambda: aten.convolution_backward(tdy, tx, tk, *options, mask)

    yield "conv2d", text, lambda: nk.conv2d(x, k, **given), lambda: F.conv2d(tx, tk, **window)
    yield gradient("x", [True, False, False])
    yield gradient("w", [False, True, False])
    transposed = lambda: nk.conv_transpose2d(dy, k, **given)  # noqa: E731
    yield "conv_transpose2d", text, transposed, lambda: F.conv_transpose2d(tdy, tk, **window)


def pool(d):
    """Windows, and whole planes."""
    (n, c, h, w), kernel, stride = d.image(), d.size(1, 128), d.size(1, 8)
    if kernel > min(h, w) or n * c * h * w * min(kernel, 16) > FLOP / 4 or not d.fits((n, c, h, w), (n, c, h, w)):
        return
    x, text = d.normal(n, c, h, w), f"({n}, {c}, {h}, {w}), {kernel}x{kernel}/{stride}"
    y, indices = nk.max_pool2d(x, kernel, stride=stride, return_indices=True)
    dy, plane, all_dy = d.normal(*y.shape), (h, w), d.normal(n, c)
    tx, tdy, places, tall = tensors(x, dy, indices.astype(np.int64), all_dy)
    window = [kernel] * 2, [stride] * 2, [0, 0]

    def case(name, ours, theirs):
        return name, text, ours, theirs

    yield case("max_pool2d", lambda: nk.max_pool2d(x, kernel, stride=stride), lambda: F.max_pool2d(tx, kernel, stride))
    yield case(
        "max_pool2d indices",
        lambda: nk.max_pool2d(x, kernel, stride=stride, return_indices=True),
        lambda: F.max_pool2d(tx, kernel, stride, return_indices=True),
    )
    yield case(
        "max_pool2d_backward",
        lambda: nk.max_pool2d_backward(dy, indices, plane),
        lambda: aten.max_pool2d_with_indices_backward(tdy, tx, *window, [1, 1], False, places),
    )
    yield case("avg_pool2d", lambda: nk.avg_pool2d(x, kernel, stride=stride), lambda: F.avg_pool2d(tx, kernel, stride))
    yield case(
        "avg_pool2d_backward",
        lambda: nk.avg_pool2d_backward(dy, plane, kernel, stride=stride),
        lambda: aten.avg_pool2d_backward(tdy, tx, *window, False, True, None),
    )
    yield case("global_avg_pool2d", lambda: nk.global_avg_pool2d(x), lambda: tx.mean((2, 3)))
    yield case("global_max_pool2d", lambda: nk.global_max_pool2d(x), lambda: tx.amax((2, 3)))
    yield case(
        "global_avg_pool2d_backward",
        lambda: nk.global_avg_pool2d_backward(all_dy, plane),
        lambda: (tall / (h * w))[:, :, None, None].expand(n, c, h, w).contiguous(),
    )


def norm(d):
    """Batch and layer normalisation of arrays of two to four axes."""
    shape = [d.size(1, 200_000), d.size(1, 200_000), d.size(1, 20_000), d.size(1, 20_000)][: d.rng.integers(2, 5)]
    if not d.fits(shape, shape, shape):
        return
    x, dy, text = d.normal(*shape), d.normal(*shape), str(tuple(shape))
    gamma, beta, last_gamma, last_beta = (
        d.normal(shape[1]),
        d.normal(shape[1]),
        d.normal(shape[-1]),
        d.normal(shape[-1]),
    )
    _, mean, var = nk.batch_norm(x, gamma, beta)
    _, row_mean, row_var = nk.layer_norm(x, last_gamma, last_beta)
    tx, tdy, tg, tb, tlg, tlb, tm, tv = tensors(x, dy, gamma, beta, last_gamma, last_beta, mean, var)
    _, saved, inverse = aten.native_batch_norm(tx, tg, tb, None, None, True, 0.1, EPS)
    _, last_mean, last_inverse = aten.native_layer_norm(tx, shape[-1:], tlg, tlb, EPS)
    yield (
        "batch_norm",
        text,
        lambda: nk.batch_norm(x, gamma, beta),
        lambda: aten.native_batch_norm(tx, tg, tb, None, None, True, 0.1, EPS),
    )
    yield (
        "batch_norm_inference",
        text,
        lambda: nk.batch_norm_inference(x, gamma, beta, mean, var),
        lambda: aten.native_batch_norm(tx, tg, tb, tm, tv, False, 0.1, EPS),
    )
    yield (
        "batch_norm_backward",
        text,
        lambda: nk.batch_norm_backward(dy, x, gamma, mean, var),
        lambda: aten.native_batch_norm_backward(tdy, tx, tg, None, None, saved, inverse, True, EPS, [True] * 3),
    )
    yield (
        "layer_norm",
        text,
        lambda: nk.layer_norm(x, last_gamma, last_beta),
        lambda: aten.native_layer_norm(tx, shape[-1:], tlg, tlb, EPS),
    )
    yield (
        "layer_norm_backward",
        text,
        lambda: nk.layer_norm_backward(dy, x, last_gamma, row_mean, row_var),
        lambda: aten.native_layer_norm_backward(tdy, tx, shape[-1:], last_mean, last_inverse, tlg, tlb, [True] * 3),
    )


def softmax(d):
    """Along the last axis, and along one with others behind it."""
    shape = [d.size(1, 200_000), d.size(1, 200_000), d.size(1, 20_000)][: d.rng.integers(2, 4)]
    if not d.fits(shape, shape, shape):
        return
    x, dy, text = d.normal(*shape), d.normal(*shape), str(tuple(shape))
    tx, tdy = tensors(x, dy)
    for name in ("softmax", "log_softmax"):
        backward, theirs = getattr(nk, f"{name}_backward"), getattr(aten, f"_{name}_backward_data")
        y = getattr(nk, name)(x, 1)
        (ty,) = tensors(y)
        yield name, text, functools.partial(getattr(nk, name), x, 1), functools.partial(getattr(torch, name), tx, 1)
        ours = functools.partial(backward, dy, y, 1)
        yield f"{name}_backward", text, ours, functools.partial(theirs, tdy, ty, 1, ty.dtype)


def loss(d):
    """Losses with their gradients: of elements, and of classes."""
    n, c = d.size(1, 200_000), d.size(1, 200_000)
    if not d.fits((n, c), (n, c), (n, c)):
        return
    text, x, y = f"({n}, {c})", d.normal(n, c), d.rng.random((n, c), d.dtype)
    tx, ty = tensors(x, y)
    tx.requires_grad_()

    def theirs(name):
        return torch.autograd.grad(getattr(F, name)(tx, ty), tx)

    for name in LOSSES:
        ours = functools.partial(getattr(nk, f"{name}_with_grad"), x, y)
        yield name, text, ours, functools.partial(theirs, name)
    case = SoftmaxCrossEntropyWithGrad(Head("sweep", n, c), d.dtype)
    yield case.name, text, case.npkernels(), case.torch()


def kmeans(d):
    """The nearest of k centres, against the faster of PyTorch and scikit-learn."""
    layer = Cluster("sweep", d.size(1, 1_000_000), d.size(1, 2000), d.size(1, 2000))
    if 2 * layer.n * layer.d * layer.k > FLOP or not d.fits((layer.n, layer.d), (layer.k, layer.d)):
        return
    case = KmeansAssign(layer, d.dtype)
    yield "kmeans_assign", layer.shape, case.npkernels(), case.torch(), *([case.sklearn()] if rivals.lloyd else [])


FAMILIES = {"conv": conv, "pool": pool, "norm": norm, "softmax": softmax, "loss": loss, "kmeans": kmeans}


def measured(calls, below):
    """The best rival's time over ours, and ours; more rounds before we are believed to be slow, none where two calls
    tell that a rival is slower by far: some take a minute."""
    ours, *theirs = (min(engine.timed(call, 1) for _ in range(2)) for call in calls)
    if min(theirs) > CLEAR * ours:
        return min(theirs) / ours, ours
    best = dict.fromkeys(range(len(calls)), math.inf)
    for _ in range(1 + AGAIN):
        times = engine.measure(dict(enumerate(calls)), ROUNDS, 0.3)
        best = {i: min(best[i], times[i]) for i in best}
        ours, theirs = best[0], min(best[i] for i in best if i > 0)
        if theirs >= below * ours:
            break
    return theirs / ours, ours


def sweep(family, count, rng, dtype, below):
    """Rows (ratio, seconds, operation, shape) of `count` shapes, and how many calls were too short to tell."""
    rows, short, shapes = [], 0, 0
    while shapes < count:
        cases = list(FAMILIES[family](Draw(rng, dtype)))
        shapes += bool(cases)
        for operation, shape, *calls in cases:
            ratio, seconds = measured(calls, below)
            if min(seconds, seconds * ratio) < OVERHEAD:
                short += 1
            else:
                rows.append((ratio, seconds, operation, shape))
    return rows, short


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--family", action="append", choices=FAMILIES, help="all of them unless given")
    parser.add_argument("--count", type=int, default=100, help="shapes of a family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--below", type=float, default=0.8, help="ratios that are printed")
    options = parser.parse_args()
    rivals.set_threads(options.threads)
    for family in options.family or FAMILIES:
        rng = np.random.default_rng(options.seed)
        rows, short = sweep(family, options.count, rng, options.dtype, options.below)
        for ratio, seconds, operation, shape in sorted(row for row in rows if row[0] < options.below):
            print(f"  {ratio:.2f} {1e3 * seconds:9.3f} ms  {operation} {shape}")
        ratios = np.array([row[0] for row in rows])
        mean = math.exp(np.log(ratios).mean())
        slow = ", ".join(f"{(ratios < limit).mean():.1%} below {limit}" for limit in (0.8, 0.5))
        print(f"{family}: {len(rows)} rows, geometric mean {mean:.2f}, {slow}; {short} too short to tell", flush=True)


if __name__ == "__main__":
    main()
