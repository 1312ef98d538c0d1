"""Convolution as products with patches of the image."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ._activations import ACTIVATIONS
from ._common import add_patches, blocks, pad_pairs, pair


def conv_output_size(size, kernel_size, *, stride=1, padding=0, dilation=1, ceil_mode=False):
    """(oh, ow) of a window of `kernel_size` that slides over an image of `size` = (h, w)."""
    # oh = floor((h + top + bottom - dh (kh - 1) - 1) / sh) + 1, or with the ceiling of the quotient; then the last
    # window goes if it would start beyond the image and its leading pad
    out = []
    window = zip(size, pair(kernel_size), pair(stride), pad_pairs(padding), pair(dilation), strict=True)
    for n, k, s, (begin, end), d in window:
        span = n + begin + end - d * (k - 1) - 1
        o = (span + (s - 1 if ceil_mode else 0)) // s + 1
        out.append(o - 1 if ceil_mode and (o - 1) * s >= n + begin else o)
    return tuple(out)


def im2col(x, kernel_size, *, stride=1, padding=0, dilation=1):
    """x (n, c, h, w) -> cols (n, c*kh*kw, oh*ow), the patch under each window as a column."""
    # cols[n, (c, p, q), (i, j)] = x[n, c, i sh + p dh - top, j sw + q dw - left], 0 outside the image
    (kh, kw), (sh, sw), (dh, dw) = pair(kernel_size), pair(stride), pair(dilation)
    padded = np.pad(x, ((0, 0), (0, 0), *pad_pairs(padding)))
    windows = sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3))
    patches = windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)
    n, c, kh, kw, oh, ow = patches.shape
    return patches.reshape(n, c * kh * kw, oh * ow)


def col2im(cols, output_size, kernel_size, *, stride=1, padding=0, dilation=1):
    """cols (n, c*kh*kw, oh*ow) -> x (n, c, h, w), the adjoint of `im2col`: patches added where they came from."""
    (kh, kw), (stride, dilation), pads = pair(kernel_size), (pair(stride), pair(dilation)), pad_pairs(padding)
    oh, ow = conv_output_size(output_size, (kh, kw), stride=stride, padding=pads, dilation=dilation)
    patches = cols.reshape(len(cols), cols.shape[1] // (kh * kw), kh, kw, oh, ow)
    return add_patches(patches, output_size, stride, pads, dilation)


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """x (n, c, h, w), w (oc, c/groups, kh, kw), b (oc,) -> y (n, oc, oh, ow): cross-correlation."""
    # y[n, o, i, j] = b[o] + sum over (c, p, q) of w[o, c, p, q] x[n, c, i sh + p dh - top, j sw + q dw - left]: the
    # filters (oc, c*kh*kw) of each group of channels times its patches. Padding takes part as zeros.
    oc, k, kernel = len(w), math.prod(w.shape[1:]), w.shape[2:]
    window = {"stride": stride, "padding": pad_pairs(padding, kernel, dilation), "dilation": dilation}
    oh, ow = conv_output_size(x.shape[2:], kernel, **window)
    filters = w.reshape(groups, oc // groups, k)
    y = np.empty((len(x), groups, oc // groups, oh * ow), x.dtype)
    for some in blocks(len(x), groups * k * oh * ow * x.itemsize):
        y[some] = filters @ im2col(x[some], kernel, **window).reshape(len(x[some]), groups, k, oh * ow)
    y = y.reshape(len(x), oc, oh, ow)
    if b is not None:
        y += b[:, None, None]
    return y if activation is None else ACTIVATIONS[activation](y)


def conv_transpose2d(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """x (n, c, h, w), w (c, oc/groups, kh, kw), b (oc,) -> y (n, oc, oh, ow): every pixel adds its multiple of w."""
    # y[n, o, i sh + p dh - top, j sw + q dw - left] += w[c, o, p, q] x[n, c, i, j], starting from b[o]
    (n, c, h, width), kernel, pads = x.shape, w.shape[2:], pad_pairs(padding)
    stride, dilation, extra = pair(stride), pair(dilation), pair(output_padding)
    axes = zip((h, width), kernel, stride, dilation, pads, extra, strict=True)
    size = tuple((m - 1) * s - sum(pad) + d * (k - 1) + 1 + e for m, k, s, d, pad, e in axes)
    filters = w.reshape(groups, c // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    patches = filters @ x.reshape(n, groups, c // groups, h * width)
    y = add_patches(patches.reshape(n, groups * w.shape[1], *kernel, h, width), size, stride, pads, dilation)
    return y if b is None else y + b[:, None, None]


def conv_transpose2d_backward(
    dy, x, w, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1, needs=("x", "w", "b")
):
    """dy (n, oc, oh, ow) -> (dx, dw, db), None in place of what `needs` leaves out."""
    # forward: y = col2im(w.T @ x) + b;  so: dx = w @ im2col(dy), dw = sum over n of x @ im2col(dy).T
    (n, c, h, width), (kh, kw) = x.shape, w.shape[2:]
    cols = im2col(dy, (kh, kw), stride=stride, padding=padding, dilation=dilation)
    oh, ow = conv_output_size(dy.shape[2:], (kh, kw), stride=stride, padding=padding, dilation=dilation)
    cols = cols.reshape(n, groups, -1, oh, ow)[..., :h, :width].reshape(n, groups, -1, h * width)
    filters, images = w.reshape(groups, c // groups, -1), x.reshape(n, groups, c // groups, h * width)
    dx = (filters @ cols).reshape(x.shape) if "x" in needs else None
    dw = (images @ cols.swapaxes(2, 3)).sum(0).reshape(w.shape) if "w" in needs else None
    return dx, dw, dy.sum((0, 2, 3)) if "b" in needs else None


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1, needs=("x", "w", "b")):
    """dy (n, oc, oh, ow) -> (dx, dw, db), None in place of what `needs` leaves out."""
    # forward: y = filters @ im2col(x) + b
    # so:      dw = sum over n of dy @ im2col(x).T, dx = col2im(filters.T @ dy), db = sum of dy
    oc, k, kernel, pixels = len(w), math.prod(w.shape[1:]), w.shape[2:], dy.shape[2] * dy.shape[3]
    window = {"stride": stride, "padding": pad_pairs(padding, kernel, dilation), "dilation": dilation}
    filters = w.reshape(groups, oc // groups, k)
    dx, dw, db = np.empty(x.shape, x.dtype), np.zeros_like(filters), dy.sum((0, 2, 3))
    for some in blocks(len(x), groups * k * pixels * x.itemsize):
        m = len(x[some])
        dy_block = dy[some].reshape(m, groups, oc // groups, pixels)
        if "w" in needs:
            dw += (dy_block @ im2col(x[some], kernel, **window).reshape(m, groups, k, pixels).swapaxes(2, 3)).sum(0)
        if "x" in needs:
            dcols = (filters.swapaxes(1, 2) @ dy_block).reshape(m, groups * k, pixels)
            dx[some] = col2im(dcols, x.shape[2:], kernel, **window)
    return dx if "x" in needs else None, dw.reshape(w.shape) if "w" in needs else None, db if "b" in needs else None
