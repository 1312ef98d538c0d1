"""Random calls of the forms of convolution by name: by their cost alone, some would be met seldom at small sizes."""

import functools

import numpy as np

from npkernels._kernels import conv as _conv, costs as _costs
from npkernels.conv.geometry import geometry_of

from .draw import Call, values
from .image_calls import Layer, kernels


def layer_of(rng):
    """A layer of at least one image, channel and output, and its geometry."""
    while True:
        layer = Layer(rng)
        if layer.n * layer.c * layer.oc:
            options = layer.stride, layer.padding, layer.dilation
            return layer, geometry_of(*layer.image, *layer.kernel, *options)


def forward(x, w, b, form, geometry, groups):
    y = np.empty((len(x), len(w), geometry.oh, geometry.ow), x.dtype)
    _conv.forward(x, w, b, y, geometry, groups, -1, _costs.FORMS[form])
    return y


def image_gradient(dy, w, form, image, geometry, groups):
    dx = np.empty((len(dy), w.shape[1] * groups, *image), dy.dtype)
    _conv.image_gradient(dy, w, None, dx, geometry, groups, _costs.FORMS[form])
    return dx


def weight_gradient(dy, x, form, kernel, geometry, groups):
    dw = np.empty((dy.shape[1], x.shape[1] // groups, *kernel), x.dtype)
    _conv.weight_gradient(dy, x, dw, geometry, groups, _costs.FORMS[form])
    return dw


def operands(rng, layer, dtype):
    x = values(rng, (layer.n, layer.groups * layer.c, *layer.image), dtype)
    return x, values(rng, (layer.n, layer.groups * layer.oc, *layer.result), dtype)


def draw_forward(rng, dtype, *, form):
    layer, geometry = layer_of(rng)
    x, _ = operands(rng, layer, dtype)
    return Call(forward, (x, kernels(rng, layer, dtype), None, form, geometry, layer.groups), {})


def draw_image(rng, dtype, *, form):
    layer, geometry = layer_of(rng)
    _, dy = operands(rng, layer, dtype)
    return Call(image_gradient, (dy, kernels(rng, layer, dtype), form, layer.image, geometry, layer.groups), {})


def draw_weights(rng, dtype, *, form):
    layer, geometry = layer_of(rng)
    x, dy = operands(rng, layer, dtype)
    return Call(weight_gradient, (dy, x, form, layer.kernel, geometry, layer.groups), {})


DEPTHWISE = "rows", "pixels"
DRAWS = {
    draw_forward: ("flat", "patches", "planes", "lanes", "images", *DEPTHWISE),
    draw_image: ("columns", "phases", *DEPTHWISE),
    draw_weights: ("sums", "plane_products", *DEPTHWISE),
}
FORMS = {
    f"{draw.__name__} {form}": functools.partial(draw, form=form) for draw, forms in DRAWS.items() for form in forms
}
