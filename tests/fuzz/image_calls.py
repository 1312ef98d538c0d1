"""Random valid calls of convolution and pooling, with sizes that lead to each of their forms."""

import math

import numpy as np

import npkernels as nk
from npkernels.conv.windows import pooled_size

from .draw import Call, both, chance, int2, needs, pads, pick, shape, sides, size, values

FUSED = (None, None, "relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu")

# n, groups, channels and outputs of a group, kernels, sizes beyond one window, as (least, most); likely strides.
SMALL = (0, 3), (1, 3), (0, 5), (0, 5), (1, 4), (0, 6), 3
PROFILES = {
    "small": SMALL,
    "channels": ((1, 3), (1, 2), (1, 40), (1, 60), (1, 3), (0, 6), 2),
    "points": ((1, 3), (1, 2), (1, 130), (1, 40), (1, 1), (0, 12), 2),
    "planes": ((1, 4), (1, 1), (1, 9), (1, 9), (1, 1), (6, 40), 1),
    "depthwise": ((1, 3), (1, 40), (1, 1), (1, 4), (1, 5), (0, 20), 2),
    "winograd": ((1, 2), (1, 1), (16, 36), (16, 40), (3, 3), (4, 13), 1),
    "winograd5": ((1, 2), (1, 1), (16, 20), (16, 20), (5, 5), (4, 10), 1),
    "images": ((1, 20), (1, 1), (1, 8), (1, 50), (1, 4), (0, 5), 2),
    "wide": ((1, 2), (1, 1), (1, 4), (1, 8), (1, 7), (10, 70), 2),
}

MOST_PIXELS = 1 << 20


def between(rng, least, most):
    return int(rng.integers(least, most, endpoint=True))


class Layer:
    """Sizes and options of a convolution; `image` is what it reads, `result` what it gives."""

    def __init__(self, rng):
        names = list(PROFILES)
        weights = np.array([4, 2, 1, 1, 2, 1, 0.5, 1, 1])
        n, groups, c, oc, kernel, beyond, stride = PROFILES[names[rng.choice(len(names), p=weights / weights.sum())]]
        self.n, self.groups, self.c, self.oc = (between(rng, *a) for a in (n, groups, c, oc))
        self.kernel = tuple(between(rng, *kernel) for _ in range(2))
        self.stride = int2(rng, 1, stride) if chance(rng, 0.7) else 1
        self.dilation = int2(rng, 1, 3) if chance(rng, 0.3) else 1
        spans = tuple((k - 1) * d + 1 for k, d in zip(self.kernel, both(self.dilation), strict=True))
        self.padding = pads(rng, [s + 1 if chance(rng, 0.1) else s // 2 for s in spans])
        room = [s - sum(side) for s, side in zip(spans, sides(self.padding), strict=True)]
        self.image = tuple(max(1, r + between(rng, *beyond)) for r in room)
        if self.stride in (1, (1, 1), [1, 1]) and chance(rng, 0.2):
            self.padding = "same"
        elif all(i >= s for i, s in zip(self.image, spans, strict=True)) and chance(rng, 0.1):
            self.padding = "valid"

    @property
    def options(self):
        names = "stride", "padding", "dilation", "groups"
        return {name: getattr(self, name) for name in names}

    @property
    def result(self):
        if self.padding == "same":
            return self.image
        padding = 0 if self.padding == "valid" else self.padding
        return nk.conv_output_size(self.image, self.kernel, stride=self.stride, padding=padding, dilation=self.dilation)

    @property
    def winograd(self):
        plain = both(self.stride) == both(self.dilation) == (1, 1)
        return plain and self.kernel in ((3, 3), (5, 5))


def kernels(rng, layer, dtype):
    return values(rng, (layer.groups * layer.oc, layer.c, *layer.kernel), dtype)


def conv2d(rng, dtype):
    layer = Layer(rng)
    x = values(rng, (layer.n, layer.groups * layer.c, *layer.image), dtype)
    b = values(rng, (layer.groups * layer.oc,), dtype) if chance(rng, 0.5) else None
    algorithm = pick(rng, "auto", "auto", "direct", "winograd" if layer.winograd else "auto")
    options = {"activation": pick(rng, *FUSED), "algorithm": algorithm}
    return Call(nk.conv2d, (x, kernels(rng, layer, dtype), b), layer.options | options)


def conv2d_backward(rng, dtype):
    layer = Layer(rng)
    x = values(rng, (layer.n, layer.groups * layer.c, *layer.image), dtype)
    dy = values(rng, (layer.n, layer.groups * layer.oc, *layer.result), dtype)
    return Call(
        nk.conv2d_backward, (dy, x, kernels(rng, layer, dtype)), layer.options | {"needs": needs(rng, "x", "w", "b")}
    )


def transposed(rng):
    """The layer whose result is the image of the transposed one, its options and the size of that one's result."""
    while True:
        layer = Layer(rng)
        stride, dilation = both(layer.stride), both(layer.dilation)
        padding = 0 if isinstance(layer.padding, str) else layer.padding
        extra = tuple(int(rng.integers(max(s, d))) for s, d in zip(stride, dilation, strict=True))
        axes = zip(layer.result, layer.kernel, stride, dilation, sides(padding), extra, strict=True)
        image = tuple((n - 1) * s - sum(pad) + d * (k - 1) + 1 + e for n, k, s, d, pad, e in axes)
        if min(image) >= 1:
            return layer, layer.options | {"padding": padding, "output_padding": extra}, image


def conv_transpose2d(rng, dtype):
    layer, options, _ = transposed(rng)
    x = values(rng, (layer.n, layer.groups * layer.oc, *layer.result), dtype)
    b = values(rng, (layer.groups * layer.c,), dtype) if chance(rng, 0.5) else None
    return Call(nk.conv_transpose2d, (x, kernels(rng, layer, dtype), b), options)


def conv_transpose2d_backward(rng, dtype):
    layer, options, image = transposed(rng)
    x = values(rng, (layer.n, layer.groups * layer.oc, *layer.result), dtype)
    dy = values(rng, (layer.n, layer.groups * layer.c, *image), dtype)
    options["needs"] = needs(rng, "x", "w", "b")
    return Call(nk.conv_transpose2d_backward, (dy, x, kernels(rng, layer, dtype)), options)


def unfolding(rng):
    layer = Layer(rng)
    padding = 0 if isinstance(layer.padding, str) else layer.padding
    spans = ((k - 1) * d + 1 for k, d in zip(layer.kernel, both(layer.dilation), strict=True))
    layer.image = tuple(max(i, s - sum(side)) for i, s, side in zip(layer.image, spans, sides(padding), strict=True))
    layer.padding = padding
    return layer, {"stride": layer.stride, "padding": padding, "dilation": layer.dilation}


def im2col(rng, dtype):
    layer, options = unfolding(rng)
    return Call(nk.im2col, (values(rng, (layer.n, layer.c, *layer.image), dtype), layer.kernel), options)


def col2im(rng, dtype):
    layer, options = unfolding(rng)
    kh, kw = layer.kernel
    cols = values(rng, (layer.n, layer.c * kh * kw, int(np.prod(layer.result))), dtype)
    return Call(nk.col2im, (cols, layer.image, layer.kernel), options)


def pooling(rng, dilated):
    """Image, window and its options; and the size of the result."""
    while True:
        image = tuple(size(rng, 1) for _ in range(2))
        kernel, stride = int2(rng, 1, pick(rng, 3, 3, 9)), None if chance(rng, 0.4) else int2(rng, 1, 4)
        dilation = int2(rng, 1, 3) if dilated and chance(rng, 0.3) else 1
        spans = [(k - 1) * d for k, d in zip(both(kernel), both(dilation), strict=True)]
        padding, ceil_mode = pads(rng, spans) if chance(rng, 0.6) else 0, chance(rng, 0.3)
        axes = zip(
            image, both(kernel), both(kernel if stride is None else stride), sides(padding), both(dilation), strict=True
        )
        try:
            result = tuple(pooled_size(*axis, ceil_mode) for axis in axes)
        except ValueError:
            continue
        options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode}
        return image, kernel, options | ({"dilation": dilation} if dilated else {}), result


def planes(rng, *sizes):
    """Sizes (n, c, *sizes) of not too many elements; now and then more planes than one thread takes."""
    n, c = shape(rng, 2, 60)
    most = max(1, MOST_PIXELS // max(1, math.prod(sizes)))
    c = min(c, most)
    return min(n, max(1, most // max(1, c))), c, *sizes


def max_pool2d(rng, dtype):
    image, kernel, options, _ = pooling(rng, True)
    options["return_indices"] = chance(rng, 0.5)
    return Call(nk.max_pool2d, (values(rng, planes(rng, *image), dtype), kernel), options)


def max_pool2d_backward(rng, dtype):
    image, _, _, result = pooling(rng, True)
    dy = values(rng, planes(rng, *result), dtype)
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= image[0] * image[1] - 1]
    indices = rng.integers(image[0] * image[1], size=dy.shape).astype(pick(rng, *kinds))
    return Call(nk.max_pool2d_backward, (dy, indices, image), {})


def avg_pool2d(rng, dtype):
    image, kernel, options, _ = pooling(rng, False)
    options["count_include_pad"] = chance(rng, 0.5)
    return Call(nk.avg_pool2d, (values(rng, planes(rng, *image), dtype), kernel), options)


def avg_pool2d_backward(rng, dtype):
    image, kernel, options, result = pooling(rng, False)
    options["count_include_pad"] = chance(rng, 0.5)
    return Call(nk.avg_pool2d_backward, (values(rng, planes(rng, *result), dtype), image, kernel), options)


def global_avg_pool2d(rng, dtype):
    return Call(nk.global_avg_pool2d, (values(rng, planes(rng, size(rng, 1), size(rng, 1)), dtype),), {})


def global_max_pool2d(rng, dtype):
    return Call(nk.global_max_pool2d, (values(rng, planes(rng, size(rng, 1), size(rng, 1)), dtype),), {})


def global_avg_pool2d_backward(rng, dtype):
    return Call(nk.global_avg_pool2d_backward, (values(rng, planes(rng), dtype), (size(rng, 1), size(rng, 1))), {})


def global_max_pool2d_backward(rng, dtype):
    x = values(rng, planes(rng, size(rng, 1), size(rng, 1)), dtype)
    return Call(nk.global_max_pool2d_backward, (values(rng, x.shape[:2], dtype), x), {})


def adaptive(rng):
    """An image, and a size that its pooling gives: any, one that divides it, or None."""
    image = tuple(size(rng, 1) for _ in range(2))
    result = [pick(rng, size(rng, 0), max(1, s // int(rng.integers(1, 5))), 1) for s in image]
    return image, tuple(result)


def adaptive_pooling(rng, dtype):
    image, result = adaptive(rng)
    wanted = tuple(None if chance(rng, 0.1) else s for s in result)
    return values(rng, planes(rng, *image), dtype), wanted


def adaptive_avg_pool2d(rng, dtype):
    return Call(nk.adaptive_avg_pool2d, adaptive_pooling(rng, dtype), {})


def adaptive_avg_pool2d_backward(rng, dtype):
    image, result = adaptive(rng)
    return Call(nk.adaptive_avg_pool2d_backward, (values(rng, planes(rng, *result), dtype), image), {})


def adaptive_max_pool2d(rng, dtype):
    return Call(nk.adaptive_max_pool2d, adaptive_pooling(rng, dtype), {"return_indices": chance(rng, 0.5)})


def adaptive_max_pool2d_backward(rng, dtype):
    call = max_pool2d_backward(rng, dtype)
    return Call(nk.adaptive_max_pool2d_backward, call.args, {})


DRAWS = (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    im2col,
    col2im,
    max_pool2d,
    max_pool2d_backward,
    avg_pool2d,
    avg_pool2d_backward,
    global_avg_pool2d,
    global_max_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d_backward,
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
)
CALLS = {draw.__name__: draw for draw in DRAWS}
