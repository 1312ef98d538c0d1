"""What the definitions share: windows on images, blocks of samples."""

import numpy as np

quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")  # inf and NaN are results here, not accidents


def pair(value):
    """(rows, columns) of an int or a pair."""
    return (value, value) if np.ndim(value) == 0 else tuple(value)


def pad_pairs(padding, kernel_size=1, dilation=1):
    """((top, bottom), (left, right)) of an int, a pair, two pairs, "valid" or "same"."""
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(pair(kernel_size), pair(dilation), strict=True)]
        padding = [(span // 2, span - span // 2) for span in spans]
    return tuple(pair(side) for side in pair(0 if padding == "valid" else padding))


def shifts(kernel, stride, dilation, out):
    """For every kernel position (p, q): the rows and the columns of the padded image that it meets."""
    (sh, sw), (dh, dw), (oh, ow) = stride, dilation, out
    for p, q in np.ndindex(*kernel):
        yield p, q, slice(p * dh, p * dh + (oh - 1) * sh + 1, sh), slice(q * dw, q * dw + (ow - 1) * sw + 1, sw)


def blocks(n, bytes_each):
    """Slices of range(n) whose temporaries stay near 4 MB."""
    step = max(1, (1 << 22) // max(1, bytes_each))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def add_patches(patches, size, stride, pads, dilation):
    # x[n, c, i sh + p dh - top, j sw + q dw - left] += patches[n, c, p, q, i, j]
    n, c, kh, kw, oh, ow = patches.shape
    (h, w), ((top, bottom), (left, right)) = size, pads
    padded = np.zeros((n, c, h + top + bottom, w + left + right), patches.dtype)
    for p, q, rows, columns in shifts((kh, kw), stride, dilation, (oh, ow)):
        padded[:, :, rows, columns] += patches[:, :, p, q]
    return np.ascontiguousarray(padded[:, :, top : top + h, left : left + w])
