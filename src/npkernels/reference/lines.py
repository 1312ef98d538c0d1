"""Convolution and pooling of signals (n, c, l): those of images of one row."""

from . import conv, pool


def _row(x):
    return x[:, :, None]


def _windows(padding=0, **sizes):
    """The options of images from those of signals: no pads above and below, windows of one row in steps of 1."""
    if not isinstance(padding, str):
        padding = ((0, 0), (padding, padding) if isinstance(padding, int) else tuple(padding))
    first = {"output_padding": 0}
    return {"padding": padding} | {name: (first.get(name, 1), size) for name, size in sizes.items()}


def conv1d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None):
    """x (n, c, l), w (oc, c/groups, k), b (oc,) -> y (n, oc, ol)."""
    options = _windows(padding, stride=stride, dilation=dilation)
    return conv.conv2d(_row(x), _row(w), b, **options, groups=groups, activation=activation)[:, :, 0]


def _lines(gradients):
    dx, dw, db = gradients
    return None if dx is None else dx[:, :, 0], None if dw is None else dw[:, :, 0], db


def conv1d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1, needs=("x", "w", "b")):
    """dy (n, oc, ol) -> (dx, dw, db)."""
    options = _windows(padding, stride=stride, dilation=dilation)
    return _lines(conv.conv2d_backward(_row(dy), _row(x), _row(w), **options, groups=groups, needs=needs))


def conv_transpose1d(x, w, b=None, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    """x (n, c, l), w (c, oc/groups, k), b (oc,) -> y (n, oc, ol)."""
    options = _windows(padding, stride=stride, output_padding=output_padding, dilation=dilation)
    return conv.conv_transpose2d(_row(x), _row(w), b, **options, groups=groups)[:, :, 0]


def conv_transpose1d_backward(
    dy, x, w, *, stride=1, padding=0, output_padding=0, dilation=1, groups=1, needs=("x", "w", "b")
):
    """dy (n, oc, ol) -> (dx, dw, db)."""
    options = _windows(padding, stride=stride, output_padding=output_padding, dilation=dilation)
    return _lines(conv.conv_transpose2d_backward(_row(dy), _row(x), _row(w), **options, groups=groups, needs=needs))


def max_pool1d(x, kernel_size, *, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
    """x (n, c, l) -> y (n, c, ol), with the places of the maxima if `return_indices`."""
    options = _windows(padding, stride=kernel_size if stride is None else stride, dilation=dilation)
    y, indices = pool.max_pool2d(_row(x), (1, kernel_size), **options, ceil_mode=ceil_mode, return_indices=True)
    return (y[:, :, 0], indices[:, :, 0]) if return_indices else y[:, :, 0]


def max_pool1d_backward(dy, indices, input_size):
    """dy and indices (n, c, ol) -> dx (n, c, input_size)."""
    return pool.max_pool2d_backward(_row(dy), _row(indices), (1, input_size))[:, :, 0]


def avg_pool1d(x, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """x (n, c, l) -> y (n, c, ol)."""
    options = _windows(padding, stride=kernel_size if stride is None else stride)
    options |= {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return pool.avg_pool2d(_row(x), (1, kernel_size), **options)[:, :, 0]


def avg_pool1d_backward(
    dy, input_size, kernel_size, *, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    """dy (n, c, ol) -> dx (n, c, input_size)."""
    options = _windows(padding, stride=kernel_size if stride is None else stride)
    options |= {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
    return pool.avg_pool2d_backward(_row(dy), (1, input_size), (1, kernel_size), **options)[:, :, 0]
