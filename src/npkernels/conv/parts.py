"""Convolutions most of whose taps or windows see nothing but padding: put together from the parts that see pixels.

A tap that meets no pixel, a window far out in the padding, or a dilation beyond the image would cost kernels time and
memory in proportion to numbers that no result depends on, which may be as large as 2^62. `windows_of` cuts a
convolution into smaller ones on views of its operands. What is cut away are products of weights and zeros: nothing,
unless a weight, or in its gradient dy, is infinite or NaN.
"""

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .windows import inside, parts_of


class Window(NamedTuple):
    """A convolution that is a part of another: the ranges of the taps, windows and pixels, and its own geometry."""

    taps: tuple[slice, slice]
    windows: tuple[slice, slice]
    pixels: tuple[slice, slice]
    geometry: tuple[int, ...]

    def of(self, array, ranges):
        return array[(..., *getattr(self, ranges))]


@lru_cache(maxsize=256)
def windows_of(geometry, h, w):
    """The parts of a convolution of images of h x w pixels, or None if it is one that kernels should see as a whole."""
    kernel, stride, dilation, pads, sizes = (geometry[i : i + 2] for i in range(0, 10, 2))
    axes = [parts_of(*axis) for axis in zip((h, w), kernel, stride, pads, dilation, sizes, strict=True)]
    if all(len(parts) == 1 and _is_whole(parts[0], *axis) for parts, *axis in zip(axes, kernel, sizes, strict=True)):
        return None
    return [
        Window(
            *((row[i], column[i]) for i in range(3)),
            (
                *(_length(part.taps) for part in (row, column)),
                *itertools.chain(*((row[i], column[i]) for i in range(3, 6))),
                *(_length(part.windows) for part in (row, column)),
            ),
        )
        for row, column in itertools.product(*axes)
    ]


def _length(part):
    return part.stop - part.start


def _is_whole(part, kernel, count):
    return _length(part.taps) == kernel and _length(part.windows) == count


def convolve(parts, form, x, w, b, y, geometry):
    """y = b + the sum of the parts, each of them computed by `form(x, w, b, y, geometry)`."""
    y[...] = 0 if b is None else b[:, None, None] + 0
    for part in parts:
        to, operands = part.of(y, "windows"), (part.of(x, "pixels"), part.of(w, "taps"))
        if len(parts) == 1:
            to[...] = _result(form, *operands, b, to.shape, part.geometry)
        else:
            _add(to, _result(form, *operands, None, to.shape, part.geometry))
    for row, column, outputs in _not_finite(w):
        # Zeros of the padding times such a weight are NaN, in all windows whose tap lies there.
        seen = np.zeros(y.shape[2:], bool)
        seen[_windows_seen(geometry, x.shape[2:], row, column)] = True
        y[:, outputs] += np.where(seen, 0, np.nan).astype(y.dtype)


def image_gradient(parts, form, dy, w, b, dx):
    """dx = b + the gradient of the image, part by part by `form(dy, w, b, dx, geometry)`."""
    dx[...] = 0 if b is None else b[:, None, None] + 0
    for part in parts:
        to, operands = part.of(dx, "pixels"), (part.of(dy, "windows"), part.of(w, "taps"))
        _add(to, _result(form, *operands, None, to.shape, part.geometry))


def weight_gradient(parts, form, dy, x, dw, geometry):
    """dw, part by part by `form(dy, x, dw, geometry)`; a tap that no window shows a pixel has the gradient 0."""
    dw[...] = 0
    for part in parts:
        to = part.of(dw, "taps")
        result = np.empty(to.shape, x.dtype)
        form(part.of(dy, "windows"), part.of(x, "pixels"), result, part.geometry)
        to[...] = result
    outputs = np.flatnonzero(~np.isfinite(dy).all(axis=(0, 2, 3)))
    for o, a, b in itertools.product(outputs, range(dw.shape[2]), range(dw.shape[3])):
        outside = np.ones(dy.shape[2:], bool)
        outside[_windows_seen(geometry, x.shape[2:], a, b)] = False
        if not np.isfinite(dy[:, o, outside]).all():
            dw[o, :, a, b] = np.nan


def _result(form, a, w, b, shape, geometry):
    result = np.empty(shape, a.dtype)
    form(a, w, b, result, geometry)
    return result


def _add(to, part):
    with np.errstate(all="ignore"):
        to += part


def _windows_seen(geometry, size, a, b):
    """The windows that see a pixel by tap (a, b)."""
    (sh, sw, dh, dw, top, left, oh, ow), (h, w) = geometry[2:], size
    return slice(*inside(a * dh - top, sh, h, oh)), slice(*inside(b * dw - left, sw, w, ow))


def _not_finite(w):
    """(a, b, the output channels) of taps that have a weight that is infinite or NaN."""
    distinct = w[tuple(slice(1) if step == 0 else slice(None) for step in w.strides)]
    if np.isfinite(distinct).all():
        return
    for a, b in itertools.product(*map(range, w.shape[2:])):
        outputs = np.flatnonzero(~np.isfinite(w[:, :, a, b]).all(axis=1))
        if len(outputs):
            yield a, b, outputs


def unfold(parts, x, cols):
    """`im2col` part by part: x (n, c, h, w), cols (n, c, kh, kw, oh, ow)."""
    cols[...] = 0
    for a, b, windows, pixels in _taps(parts):
        cols[:, :, a, b, *windows] = x[:, :, *pixels]


def fold(parts, cols, x):
    """`col2im` part by part, in ascending order of the taps, which may be many: in double precision."""
    total = np.zeros(x.shape)
    with np.errstate(all="ignore"):
        for a, b, windows, pixels in _taps(parts):
            total[:, :, *pixels] += cols[:, :, a, b, *windows]
        x[...] = total


def _taps(parts):
    """(a, b, windows, pixels) of every tap: which windows see which pixels by it, both as slices."""
    for part in parts:
        kernel, stride, dilation, pads, sizes = (part.geometry[i : i + 2] for i in range(0, 10, 2))
        for tap in itertools.product(*map(range, kernel)):
            views = [
                _view(t * d - pad, s, size, windows, pixels)
                for t, d, pad, s, size, windows, pixels in zip(
                    tap, dilation, pads, stride, sizes, part.windows, part.pixels, strict=True
                )
            ]
            yield *(t + of.start for t, of in zip(tap, part.taps, strict=True)), *zip(*views, strict=True)


def _view(start, stride, count, windows, pixels):
    """The slices of an axis for a tap whose first window sees pixel `start` of a part."""
    step = pixels.step or 1
    first, end = inside(start, stride, -(-(pixels.stop - pixels.start) // step), count)
    if first == end:
        return slice(0), slice(0)
    begin, last = (pixels.start + step * (start + i * stride) for i in (first, end - 1))
    return slice(windows.start + first, windows.start + end), slice(begin, last + 1, step * stride)
