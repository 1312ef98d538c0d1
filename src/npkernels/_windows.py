"""The arithmetic of sliding windows, shared by convolution and pooling, one axis at a time.

Position i of a window sees the elements i stride + t dilation - begin, t < kernel, of an axis of `size`; `pads` is
(begin, end). Python's integers do not overflow.
"""


def output_size(size, kernel, stride, pads, dilation, ceil_mode=False):
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
            f"the kernel must fit into the padded image, got kernel size {kernel} with dilation {dilation} "
            f"for size {size} with padding {tuple(pads)}"
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
