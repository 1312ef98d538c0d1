"""What the rounding errors of a convolution by Winograd's form are relative to.

The form subtracts neighbouring pixels of a tile, so that an error is not relative to the pixels that a result sees but
to the largest terms of its tile: the absolute values of all matrices and operands, all through the form.
"""

import math

import numpy as np

from npkernels.reference._common import pad_pairs

A, B = math.sqrt(0.5), math.sqrt(2)


def transforms(result, kernel):
    """The absolute values of A', G and B' (kernels/conv/winograd.c) for so many coefficients, one way."""
    points = np.array([0, A, -A, B, -B])
    powers = np.vander(points, result, increasing=True).T
    others = [np.prod([x - y for y in points if y != x]) for x in points]
    values = np.vander(points, kernel, increasing=True) / np.array(others)[:, None]
    rows = [np.poly([y for y in points if y != x])[::-1] for x in points]
    pixels = np.vstack([np.pad(rows, ((0, 0), (0, 1))), np.poly(points)[::-1]])
    return abs(np.hstack([powers, np.eye(result)[:, -1:]])), abs(np.vstack([values, np.eye(kernel)[-1]])), abs(pixels)


def tiles_of(x, padding, rows, columns, step):
    """(n, c, rows, columns, 6, 6): tiles of the padded image, `step` apart."""
    (top, _), (left, _) = pad_pairs(padding)
    h, w = (rows - 1) * step + 6, (columns - 1) * step + 6
    extent = max(h - top - x.shape[2], 0), max(w - left - x.shape[3], 0)
    padded = np.pad(x, ((0, 0), (0, 0), (top, extent[0]), (left, extent[1])))[:, :, :h, :w]
    return np.lib.stride_tricks.sliding_window_view(padded, (6, 6), axis=(2, 3))[:, :, ::step, ::step]


def largest_result(x, w, padding, size):
    """What the rounding errors of the Winograd form are relative to: absolute values all through it, tile by tile."""
    taps, (oh, ow) = w.shape[2], size
    step = 7 - taps
    result, kernel, pixels = transforms(step, taps)
    u = np.einsum("fi,ocij,gj->ocfg", kernel, abs(w), kernel)
    tiles = tiles_of(abs(x), padding, -(-oh // step), -(-ow // step), step)
    v = np.einsum("fi,ncabij,gj->ncabfg", pixels, tiles, pixels, optimize=True)
    m = np.einsum("ocfg,ncabfg->noabfg", u, v, optimize=True)
    y = np.einsum("if,noabfg,jg->noaibj", result, m, result, optimize=True)
    return y.reshape(*y.shape[:2], y.shape[2] * step, y.shape[4] * step)[:, :, :oh, :ow]


def largest_gradient(x, dy, padding, taps):
    """The same for the gradient of the kernels, and the number of tiles that are summed."""
    step, (oh, ow) = 7 - taps, dy.shape[2:]
    result, kernel, pixels = transforms(taps, step)
    rows, columns = -(-oh // step), -(-ow // step)
    of_dy = np.pad(abs(dy), ((0, 0), (0, 0), (0, rows * step - oh), (0, columns * step - ow)))
    of_dy = of_dy.reshape(*dy.shape[:2], rows, step, columns, step).swapaxes(3, 4)
    tiles = tiles_of(abs(x), padding, rows, columns, step)
    v = np.einsum("fi,ncabij,gj->fgcnab", pixels, tiles, pixels, optimize=True).reshape(36, x.shape[1], -1)
    u = np.einsum("fi,noabij,gj->fgonab", kernel, of_dy, kernel, optimize=True).reshape(36, dy.shape[1], -1)
    m = (u @ v.swapaxes(1, 2)).reshape(6, 6, dy.shape[1], x.shape[1])
    return np.einsum("if,fgoc,jg->ocij", result, m, result), u.shape[2]
