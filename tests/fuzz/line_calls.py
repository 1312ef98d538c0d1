"""Random valid calls of convolution and pooling of signals: those of images, of which the columns are taken."""

import numpy as np

import npkernels as nk

from .draw import Call, both, chance, needs, pick, sides, values
from .image_calls import FUSED, Layer, planes, pooling, transposed


def columns(options):
    """The options of a signal from those of images."""
    padding = options.get("padding", 0)
    if not isinstance(padding, str):
        padding = sides(padding)[1]
        padding = padding[0] if padding[0] == padding[1] else padding
    wide = {name: both(options[name])[1] for name in ("stride", "dilation", "output_padding") if options.get(name)}
    return {"padding": padding} | wide | ({"groups": options["groups"]} if "groups" in options else {})


def kernels(rng, layer, dtype):
    return values(rng, (layer.groups * layer.oc, layer.c, layer.kernel[1]), dtype)


def conv1d(rng, dtype):
    layer = Layer(rng)
    x = values(rng, (layer.n, layer.groups * layer.c, layer.image[1]), dtype)
    b = values(rng, (layer.groups * layer.oc,), dtype) if chance(rng, 0.5) else None
    options = columns(layer.options) | {"activation": pick(rng, *FUSED)}
    return Call(nk.conv1d, (x, kernels(rng, layer, dtype), b), options)


def conv1d_backward(rng, dtype):
    layer = Layer(rng)
    x = values(rng, (layer.n, layer.groups * layer.c, layer.image[1]), dtype)
    dy = values(rng, (layer.n, layer.groups * layer.oc, layer.result[1]), dtype)
    options = columns(layer.options) | {"needs": needs(rng, "x", "w", "b")}
    return Call(nk.conv1d_backward, (dy, x, kernels(rng, layer, dtype)), options)


def conv_transpose1d(rng, dtype):
    layer, options, _ = transposed(rng)
    x = values(rng, (layer.n, layer.groups * layer.oc, layer.result[1]), dtype)
    b = values(rng, (layer.groups * layer.c,), dtype) if chance(rng, 0.5) else None
    return Call(nk.conv_transpose1d, (x, kernels(rng, layer, dtype), b), columns(options))


def conv_transpose1d_backward(rng, dtype):
    layer, options, image = transposed(rng)
    x = values(rng, (layer.n, layer.groups * layer.oc, layer.result[1]), dtype)
    dy = values(rng, (layer.n, layer.groups * layer.c, image[1]), dtype)
    options = columns(options) | {"needs": needs(rng, "x", "w", "b")}
    return Call(nk.conv_transpose1d_backward, (dy, x, kernels(rng, layer, dtype)), options)


def max_pool1d(rng, dtype):
    image, kernel, options, _ = pooling(rng, True)
    given = columns(options) | {"ceil_mode": options["ceil_mode"], "return_indices": chance(rng, 0.5)}
    return Call(nk.max_pool1d, (values(rng, planes(rng, image[1]), dtype), both(kernel)[1]), given)


def max_pool1d_backward(rng, dtype):
    image, _, _, result = pooling(rng, True)
    dy = values(rng, planes(rng, result[1]), dtype)
    kinds = [kind for kind in "bBhHiIqQ" if np.iinfo(kind).max >= image[1] - 1]
    indices = rng.integers(image[1], size=dy.shape).astype(pick(rng, *kinds))
    return Call(nk.max_pool1d_backward, (dy, indices, image[1]), {})


def averages(rng):
    image, kernel, options, result = pooling(rng, False)
    given = columns(options) | {"ceil_mode": options["ceil_mode"], "count_include_pad": chance(rng, 0.5)}
    return image[1], both(kernel)[1], given, result[1]


def avg_pool1d(rng, dtype):
    length, kernel, options, _ = averages(rng)
    return Call(nk.avg_pool1d, (values(rng, planes(rng, length), dtype), kernel), options)


def avg_pool1d_backward(rng, dtype):
    length, kernel, options, result = averages(rng)
    return Call(nk.avg_pool1d_backward, (values(rng, planes(rng, result), dtype), length, kernel), options)


DRAWS = (
    conv1d,
    conv1d_backward,
    conv_transpose1d,
    conv_transpose1d_backward,
    max_pool1d,
    max_pool1d_backward,
    avg_pool1d,
    avg_pool1d_backward,
)
CALLS = {draw.__name__: draw for draw in DRAWS}
