"""Signals (n, c, l) as images of one row."""

from . import _arguments as check


def rows(x):
    """A signal, or its kernels, as images of one row; a view."""
    return None if x is None else x[:, :, None]


def ends(padding):
    """((0, 0), (begin, end)) of the padding of a signal."""
    return (0, 0), check.pair("padding", padding, 0, "an int or a pair (begin, end)")
