"""Random calls of the forms of convolution by name: by their cost alone, some would be met seldom at small sizes."""

import functools

import numpy as np

from npkernels._kernels import direct as _direct, image_gradient as _image_gradient, weight_gradient as _weight_gradient
from npkernels.conv.forward import matrix_of
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
    y = np.empty((len(x), len(w), *geometry[8:]), x.dtype)
    _direct.forward(x, matrix_of(w), b, y, geometry, groups, -1, _direct.FORMS[form])
    return y


def by_columns(dy, w, image, geometry, groups):
    dx = np.empty((len(dy), w.shape[1] * groups, *image), dy.dtype)
    _image_gradient.by_columns(dy, matrix_of(w), None, dx, geometry, groups)
    return dx


def weights(x, dy, groups, geometry):
    taps = geometry[0] * geometry[1]
    dw = np.empty((groups, dy.shape[1] // groups, x.shape[1] // groups * taps), x.dtype)
    _weight_gradient.weight_gradient(x, dy, dw, geometry)
    return dw


def operands(rng, layer, dtype):
    x = values(rng, (layer.n, layer.groups * layer.c, *layer.image), dtype)
    return x, values(rng, (layer.n, layer.groups * layer.oc, *layer.result), dtype)


def draw_forward(rng, dtype, *, form):
    layer, geometry = layer_of(rng)
    x, _ = operands(rng, layer, dtype)
    return Call(forward, (x, kernels(rng, layer, dtype), None, form, geometry, layer.groups), {})


def draw_columns(rng, dtype):
    layer, geometry = layer_of(rng)
    _, dy = operands(rng, layer, dtype)
    return Call(by_columns, (dy, kernels(rng, layer, dtype), layer.image, geometry, layer.groups), {})


def draw_weights(rng, dtype):
    layer, geometry = layer_of(rng)
    return Call(weights, (*operands(rng, layer, dtype), layer.groups, geometry), {})


FORMS = {f"conv2d {form}": functools.partial(draw_forward, form=form) for form in _direct.FORMS}
FORMS |= {"image gradient by columns": draw_columns, "weight gradient": draw_weights}
