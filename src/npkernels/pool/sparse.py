"""Pooling whose windows reach far beyond the image or lie far apart: by the pixels that they see, however many others
or taps in the padding there are.

Most windows then see the same pixels as others. Distinct ranges of rows are reduced once each, then distinct ranges of
columns, and every window takes the value of its pair.
"""

from functools import lru_cache

import numpy as np

from ..conv.windows import SHORT, inside

_FEW = 1 << 14  # taps of a plane that kernels may waste
_MANY = 1 << 24  # elements that kernels read in the time that a window takes here


@lru_cache(maxsize=256)
def is_sparse(window, h, w):
    """Whether kernels would spend most of their work on padding, or count further than they should."""
    axes = window.axes(h, w)
    reaches = [(count - 1) * s + (k - 1) * d + 1 for _, k, s, d, count, *_ in axes]
    row = min(w, reaches[1])
    if row * window.kh * window.oh > _MANY * (window.oh + window.ow) and 64 * window.kw * window.ow < row:
        return True  # kernels read whole rows, which a broadcast axis may make longer than any memory
    if all(reach <= 2 * size for reach, (size, *_) in zip(reaches, axes, strict=True)):
        return False
    if any(reach > 4 * size + SHORT for reach, (size, *_) in zip(reaches, axes, strict=True)):
        return True
    pairs = [sum(len(seen) for seen in _seen(*axis)) for *axis, _ in axes]
    taps = [k * count for _, k, _, _, count, *_ in axes]
    return taps[0] * taps[1] > _FEW and any(t > 8 * p for t, p in zip(taps, pairs, strict=True))


def _seen(size, kernel, stride, dilation, count, pad):
    """The pixels of an axis that each window sees, as ranges."""
    for i in range(count):
        start = i * stride - pad
        first, end = inside(start, dilation, size, kernel)
        yield range(start + first * dilation, start + end * dilation, dilation)


def _axes(window, h, w):
    """For rows and for columns: the distinct ranges of pixels, the number of each window's range, its divisors."""
    for size, k, s, d, count, before, after in window.axes(h, w):
        seen = list(_seen(size, k, s, d, count, before))
        numbers = {}
        which = np.array([numbers.setdefault((r.start, len(r)), len(numbers)) for r in seen])
        ranges = [slice(start, start + (length - 1) * d + 1, d if length > 1 else 1) for start, length in numbers]
        padded = [min(i * s - before + k, size + after) - (i * s - before) for i in range(count)]
        yield ranges, which, (np.array(padded, np.float64), np.array([len(r) for r in seen], np.float64))


def _compact(columns):
    """The columns that are seen at all, and each range as places among them."""
    ranges = [np.arange(c.start, c.stop, c.step) for c in columns]
    seen = np.unique(np.concatenate(ranges))
    return seen, [np.searchsorted(seen, c) for c in ranges]


def max_forward(x, y, indices, window):
    (rows, row, _), (columns, column, _) = _axes(window, *x.shape[2:])
    seen, columns = _compact(columns)
    lines, places = [], []
    for r in rows:
        block = x[:, :, r][..., seen]
        first = block.argmax(axis=2)  # of NaN the first
        lines.append(np.take_along_axis(block, first[:, :, None], 2)[:, :, 0])
        places.append((r.start + first * r.step) * x.shape[3] + seen)
    lines, places = np.stack(lines, 2), np.stack(places, 2)
    values, indices_ = [], []
    for c in columns:
        line, place = lines[..., c], places[..., c]
        most = line.max(axis=3, keepdims=True)
        best = (line == most) | (np.isnan(line) & np.isnan(most))
        values.append(most[..., 0])
        indices_.append(np.where(best, place, np.iinfo(place.dtype).max).min(axis=3))
    y[...] = np.stack(values, 3)[:, :, row[:, None], column]
    if indices is not None:
        indices[...] = np.stack(indices_, 3)[:, :, row[:, None], column]


def mean_forward(x, y, window, include_pad):
    (rows, row, down), (columns, column, along) = _axes(window, *x.shape[2:])
    seen, columns = _compact(columns)
    chosen = 0 if include_pad else 1
    with np.errstate(all="ignore"):
        lines = np.stack([x[:, :, r][..., seen].sum(axis=2, dtype=np.float64) for r in rows], 2)
        sums = np.stack([lines[..., c].sum(axis=3) for c in columns], 3)
        y[...] = sums[:, :, row[:, None], column] / (down[chosen][:, None] * along[chosen])


def mean_backward(dy, dx, window, include_pad):
    (rows, row, down), (columns, column, along) = _axes(window, *dx.shape[2:])
    chosen = 0 if include_pad else 1
    with np.errstate(all="ignore"):
        shares = dy / (down[chosen][:, None] * along[chosen])
        lines = np.zeros((*dx.shape[:3], dy.shape[3]))
        for i, number in enumerate(row):
            lines[:, :, rows[number]] += shares[:, :, i : i + 1]
        total = np.zeros(dx.shape)
        for j, number in enumerate(column):
            total[..., columns[number]] += lines[..., j : j + 1]
        dx[...] = total
