"""The arithmetic of sliding windows, shared by convolution and pooling, one axis at a time.

Position i of a window sees the elements i stride + t dilation - begin, t < kernel, of an axis of `size`; `pads` is
(begin, end). Python's integers do not overflow.
"""

from typing import NamedTuple


def output_size(size, kernel, stride, pads, dilation, ceil_mode=False, name="kernel_size"):
    """Number of positions of a window along one axis.

    floor((size + begin + end - dilation (kernel - 1) - 1) / stride) + 1; with `ceil_mode` the ceiling, less a last
    window that would start beyond the image and its leading pad (PyTorch's rule).
    """
    span = size + sum(pads) - dilation * (kernel - 1) - 1
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if ceil_mode and (count - 1) * stride >= size + pads[0]:
        count -= 1
    if count < 1:
        raise ValueError(
            f"{name} is too large: the kernel must fit into the padded image, got kernel size {kernel} "
            f"with dilation {dilation} for size {size} with padding {tuple(pads)}"
        )
    return count


def pooled_size(size, kernel, stride, pads, dilation, ceil_mode=False):
    """`output_size`, where every window must see an element: pads are shorter than the window, which may not stride
    over the image between two of its taps."""
    window = dilation * (kernel - 1) + 1
    if max(pads) >= window:
        raise ValueError(f"padding must be smaller than the (dilated) window of {window}, got {tuple(pads)}")
    count = output_size(size, kernel, stride, pads, dilation, ceil_mode)
    if not size or (dilation > size and _misses(size, stride, pads[0], dilation, count)):
        raise ValueError(
            f"padding must leave an element of the image under every window, got padding {tuple(pads)} and dilation "
            f"{dilation} for size {size}"
        )
    return count


def _misses(size, stride, begin, dilation, count):
    """Whether the taps of one of `count` windows all miss the image, which is shorter than the dilation.

    Window i first reaches 0 or more at (i stride - begin) mod dilation, which must be below `size`. The windows that
    start at 0 or later have their first tap inside.
    """
    first = -begin % dilation
    if begin == 0 or first >= size:
        return begin > 0
    i = _first_within(stride % dilation, dilation, size - first, dilation - 1 - first)
    return i is not None and i < count and i * stride < begin


def _first_within(step, modulus, low, high):
    """The least i with low <= (i step) mod modulus <= high, 0 < low <= high < modulus, by Euclid's algorithm."""
    if step == 0:
        return None
    i = -(-low // step)
    if i * step <= high:
        return i
    # No multiple of step lies in [low, high]: y turns round the modulus bring one into [low, high] + y modulus.
    y = _first_within(-modulus % step, step, low % step, high % step)
    return None if y is None else -(-(low + y * modulus) // step)


SHORT = 1 << 16  # of an axis, padding included: no kernel minds


class Part(NamedTuple):
    """Neighbouring taps and windows of an axis, and the pixels that they see: windows of their own."""

    taps: slice
    windows: slice
    pixels: slice
    stride: int
    dilation: int
    pad: int  # before the first of the pixels


def inside(start, step, size, count):
    """The range (first, end) of i in [0, count) with 0 <= start + i step < size."""
    first = max(0, -(start // step))
    return first, max(first, min(count, (size - 1 - start) // step + 1))


def parts_of(size, kernel, stride, pad, dilation, count):
    """What of an axis has to be computed: parts that hold each pair of a tap and a window that meet in the image once.

    One part, all of it, where that is what ordinary layers want; the taps and windows between the first and the last
    that see a pixel; or, where most of these meet in the padding still, a part for each tap. So work and memory follow
    pixels and results, however large a pad, a stride or a dilation is, and numbers stay small.
    """
    whole = _part(size, stride, pad, dilation, (0, kernel), (0, count))
    if pad < _extent(whole) <= 2 * size:
        return (whole,)
    most = 4 * size + SHORT
    taps, windows = (0, kernel), (0, count)
    for _ in range(2):
        taps = _between(dilation, pad - (windows[1] - 1) * stride, pad - windows[0] * stride + size - 1, taps)
        windows = _between(stride, pad - (taps[1] - 1) * dilation, pad - taps[0] * dilation + size - 1, windows)
        if taps[0] >= taps[1] or windows[0] >= windows[1]:
            return ()
    seen = _part(size, stride, pad, dilation, taps, windows)
    axis = size, kernel, stride, pad, dilation, count, taps, windows
    pairs = _pairs(*axis) if _extent(seen) <= most else 0
    if 4 * pairs < (taps[1] - taps[0]) * (windows[1] - windows[0]):
        return _by_taps(*axis)
    return (whole if 2 * pairs >= kernel * count and _extent(whole) <= most else seen,)


def _between(step, low, high, limits):
    """The range of i within `limits` with low <= i step <= high."""
    return max(limits[0], -(-low // step)), min(limits[1], high // step + 1)


def _part(size, stride, pad, dilation, taps, windows):
    start = windows[0] * stride + taps[0] * dilation - pad
    end = (windows[1] - 1) * stride + (taps[1] - 1) * dilation - pad + 1
    pixels = slice(min(max(0, start), size), max(0, min(size, end)))
    stride = stride if windows[1] - windows[0] > 1 else 1
    dilation = dilation if taps[1] - taps[0] > 1 else 1
    return Part(slice(*taps), slice(*windows), pixels, stride, dilation, max(0, -start))


def _extent(part):
    """Elements from the first tap of the first window to the last tap of the last one."""
    windows, taps = part.windows.stop - part.windows.start, part.taps.stop - part.taps.start
    return (windows - 1) * part.stride + (taps - 1) * part.dilation + 1


def _pairs(size, kernel, stride, pad, dilation, count, taps, windows):
    """Pairs of a tap and a window that meet in the image; the fewer of the two are counted through."""
    if taps[1] - taps[0] <= windows[1] - windows[0]:
        ranges = (inside(t * dilation - pad, stride, size, count) for t in range(*taps))
    else:
        ranges = (inside(i * stride - pad, dilation, size, kernel) for i in range(*windows))
    return sum(end - first for first, end in ranges)


def _by_taps(size, kernel, stride, pad, dilation, count, taps, windows):
    if taps[1] - taps[0] <= windows[1] - windows[0]:
        meeting = range(*taps)
    else:
        meeting = sorted({t for i in range(*windows) for t in range(*inside(i * stride - pad, dilation, size, kernel))})
    parts = []
    for t in meeting:
        first, end = inside(t * dilation - pad, stride, size, count)
        if first < end:
            start, step = first * stride + t * dilation - pad, stride if end - first > 1 else 1
            pixels = slice(start, start + (end - first - 1) * step + 1, step)
            parts.append(Part(slice(t, t + 1), slice(first, end), pixels, 1, 1, 0))
    return tuple(parts)
