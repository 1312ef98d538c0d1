"""Pooling."""

import itertools
import math

import numpy as np

from ._common import add_patches, pad_pairs, pair, shifts
from .conv import conv_output_size


def _pooling(size, kernel_size, stride, padding, dilation, ceil_mode):
    """(kernel, stride, dilation, out, pads), the pads made long enough for the last window of `ceil_mode`."""
    kernel, dilation, pads = pair(kernel_size), pair(dilation), pad_pairs(padding)
    stride = kernel if stride is None else pair(stride)
    out = conv_output_size(size, kernel, stride=stride, padding=pads, dilation=dilation, ceil_mode=ceil_mode)
    window = zip(size, kernel, stride, dilation, out, pads, strict=True)
    pads = tuple((lead, max(end, (o - 1) * s + d * (k - 1) + 1 - n - lead)) for n, k, s, d, o, (lead, end) in window)
    return kernel, stride, dilation, out, pads


def max_pool2d(x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """x (n, c, h, w) -> y (n, c, oh, ow), or (y, indices): the int32 places in the (h, w) plane y was found at."""
    # y[i, j] = max over (p, q) of x[i sh + p dh - top, j sw + q dw - left]; padding is -inf and is never chosen;
    # of equal values the first wins, and the first NaN wins over every number
    h, w = x.shape[2:]
    kernel, stride, dilation, out, pads = _pooling((h, w), kernel_size, stride, padding, dilation, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *pads), constant_values=-np.inf)
    y = np.full((*x.shape[:2], *out), -np.inf, x.dtype)
    if not return_indices:
        for _, _, rows, columns in shifts(kernel, stride, dilation, out):
            np.maximum(y, padded[:, :, rows, columns], out=y)
        return y
    places = np.pad(np.arange(h * w, dtype=np.int32).reshape(h, w), pads, constant_values=-1)
    indices = np.full(y.shape, -1, np.int32)
    for _, _, rows, columns in shifts(kernel, stride, dilation, out):
        value, place = padded[:, :, rows, columns], places[rows, columns]
        better = (value > y) | (indices < 0) | (np.isnan(value) & ~np.isnan(y))
        np.copyto(y, value, where=better)
        np.copyto(indices, place, where=better)
    return y, indices


def max_pool2d_backward(dy, indices, input_size):
    """dy, indices (n, c, oh, ow) -> dx (n, c, h, w): each dy added at the place its maximum came from."""
    (n, c), (h, w) = dy.shape[:2], input_size
    plane = np.arange(n * c).reshape(n, c, 1, 1) * (h * w)
    dx = np.zeros(n * c * h * w, dy.dtype)
    np.add.at(dx, (plane + indices.astype(np.int64)).ravel(), dy.ravel())
    return dx.reshape(n, c, h, w)


def _pool_counts(size, kernel, stride, padding, out, count_include_pad):
    """(oh, ow): the elements of each window within the image and its pads, or within the image alone."""
    counts = []
    for n, k, s, o, (lead, end) in zip(size, kernel, stride, out, pad_pairs(padding), strict=True):
        first = np.arange(o) * s - lead
        last = np.minimum(first + k, n + end)
        counts.append(last - first if count_include_pad else np.minimum(last, n) - np.maximum(first, 0))
    return np.multiply.outer(*counts)


def avg_pool2d(x, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """x (n, c, h, w) -> y (n, c, oh, ow), the mean of each window."""
    # y[i, j] = sum over (p, q) of x[i sh + p - top, j sw + q - left] / count[i, j], x = 0 outside the image
    kernel, stride, one, out, pads = _pooling(x.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    y = np.zeros((*x.shape[:2], *out), x.dtype)
    for _, _, rows, columns in shifts(kernel, stride, one, out):
        y += padded[:, :, rows, columns]
    return y / _pool_counts(x.shape[2:], kernel, stride, padding, out, count_include_pad).astype(x.dtype)


def avg_pool2d_backward(
    dy, input_size, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """dy (n, c, oh, ow) -> dx (n, c, h, w): dy / count added to every element of its window."""
    kernel, stride, one, out, pads = _pooling(input_size, kernel_size, stride, padding, 1, ceil_mode)
    share = dy / _pool_counts(input_size, kernel, stride, padding, out, count_include_pad).astype(dy.dtype)
    patches = np.broadcast_to(share[:, :, None, None], (*dy.shape[:2], *kernel, *out))
    return add_patches(patches, input_size, stride, pads, one)


def global_avg_pool2d(x):
    """x (n, c, h, w) -> y (n, c), the mean of each plane."""
    return x.mean((2, 3))


def global_avg_pool2d_backward(dy, input_size):
    """dy (n, c) -> dx (n, c, h, w), dy / (h w) all over its plane."""
    return np.broadcast_to((dy / math.prod(input_size))[:, :, None, None], (*dy.shape, *input_size)).copy()


def global_max_pool2d(x):
    """x (n, c, h, w) -> y (n, c), the largest value of each plane, NaN if it holds one."""
    return x.max((2, 3))


def global_max_pool2d_backward(dy, x):
    """dy (n, c), x (n, c, h, w) -> dx (n, c, h, w), dy at the place of the first maximum of its plane."""
    _, indices = adaptive_max_pool2d(x, 1, return_indices=True)
    return max_pool2d_backward(dy[:, :, None, None], indices, x.shape[2:])


def _shares(size, output_size):
    """For rows and for columns of an image: the windows that share them out, as slices."""
    # window i of o holds floor(i s / o) <= t < ceil((i + 1) s / o)
    wanted = [s if o is None else o for s, o in zip(size, pair(output_size), strict=True)]
    return [[slice(i * s // o, -(-(i + 1) * s // o)) for i in range(o)] for s, o in zip(size, wanted, strict=True)]


def _windows(x, output_size):
    """The place of each window in the result, and what it holds of x, as rows of h w numbers."""
    rows, columns = _shares(x.shape[2:], output_size)
    for (i, r), (j, c) in itertools.product(enumerate(rows), enumerate(columns)):
        yield (i, j), x[:, :, r, c].reshape(*x.shape[:2], -1)


def _adaptive_shape(x, output_size):
    return (*x.shape[:2], *map(len, _shares(x.shape[2:], output_size)))


def adaptive_avg_pool2d(x, output_size):
    """x (n, c, h, w) -> y (n, c, oh, ow), the means of windows that share out the image."""
    y = np.empty(_adaptive_shape(x, output_size), x.dtype)
    for (i, j), window in _windows(x, output_size):
        y[:, :, i, j] = window.mean(2)
    return y


def adaptive_avg_pool2d_backward(dy, input_size):
    """dy (n, c, oh, ow) -> dx (n, c, h, w), each dy shared out over its window."""
    dx = np.zeros((*dy.shape[:2], *input_size), dy.dtype)
    rows, columns = _shares(input_size, dy.shape[2:])
    for (i, r), (j, c) in itertools.product(enumerate(rows), enumerate(columns)):
        dx[:, :, r, c] += (dy[:, :, i, j] / ((r.stop - r.start) * (c.stop - c.start)))[:, :, None, None]
    return dx


def adaptive_max_pool2d(x, output_size, *, return_indices=False):
    """x (n, c, h, w) -> y (n, c, oh, ow), or (y, indices): the int32 places in the (h, w) plane y was found at."""
    # of equal values the first wins, and the first NaN wins over every number
    y = np.empty(_adaptive_shape(x, output_size), x.dtype)
    indices = np.empty(y.shape, np.int32)
    place = np.broadcast_to(np.arange(math.prod(x.shape[2:]), dtype=np.int32).reshape(x.shape[2:]), x.shape)
    places = _windows(place, output_size)
    for ((i, j), window), (_, at) in zip(_windows(x, output_size), places, strict=True):
        first = window.argmax(2)[:, :, None]
        y[:, :, i, j] = np.take_along_axis(window, first, 2)[:, :, 0]
        indices[:, :, i, j] = np.take_along_axis(at, first, 2)[:, :, 0]
    return (y, indices) if return_indices else y


def adaptive_max_pool2d_backward(dy, indices, input_size):
    """dy, indices (n, c, oh, ow) -> dx (n, c, h, w): each dy added at the place its maximum came from."""
    return max_pool2d_backward(dy, indices, input_size)
