"""The gradients of convolution."""

import math
from functools import lru_cache, partial

import numpy as np

from .. import _arguments as check
from .._kernels import (
    depthwise_pixels as _depthwise_pixels,
    global_pool as _global_pool,
    image_gradient as _image_gradient,
    weight_gradient as _weight_gradient,
    winograd_gradient as _winograd_gradient,
)
from .._kernels.linear import products
from . import parts as in_parts
from .forward import (
    LONGEST_CHAIN,
    by_tiles,
    check_algorithm,
    checked_geometry,
    correlate,
    depthwise_form,
    has_winograd,
    is_depthwise,
    matrix_of,
    winograd_pays,
    winograd_tiles,
)
from .parts import windows_of

_IMAGES = 64  # whose parts of the gradient of the weights are kept side by side
_VIEW_PIXELS = 2048  # more of them read a copy of the weights so often that it pays


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1, algorithm="auto", needs=("x", "w", "b")):
    """Gradients of `conv2d` without activation.

    Parameters
    ----------
    dy : (n, oc, oh, ow) array, dtype of `x`
        Gradient of the loss with respect to the convolution, before any activation.
    x : (n, c, h, w) array of float32 or float64
    w : (oc, c/groups, kh, kw) array, dtype of `x`
    stride, padding, dilation, groups
        As in `conv2d`.
    algorithm : {"auto", "direct", "winograd"}
        Of `dx` and `dw`; "winograd" as in `conv2d`. "auto" takes it for `dx` where `conv2d` would take it for that
        convolution of `dy`, and for `dw` from 16 channels on both sides of a group and 8 tiles on.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, h, w) array or None
        That of an image depends on that image only, to the last bit.
    dw : (oc, c/groups, kh, kw) array or None
    db : (oc,) array or None

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `needs` is no tuple.
    ValueError
        If a shape does not match, a size is out of range, `needs` holds an unknown name, or ``algorithm="winograd"`` is
        asked for a kernel, stride or dilation that has no such form.

    Notes
    -----
    With ``k = n oh ow`` the errors of the direct form of dw and of db are at most
    ``(min(k, 8192) + k / 8192 + 35) eps`` times the gradient of ``|dy|`` and ``|x|``, with ``k = oc/groups * kh * kw``
    that of dx: longer sums are those of blocks, added in double precision.

    The Winograd form of `dx` is that of `conv2d`, with its errors; whether an image takes it depends on `dy` and `w`.
    That of `dw` is F(3x3, 4x4) or F(5x5, 2x2), a sum over the tiles of the whole batch. On normal data its largest
    error was measured within 4.4 times that of the direct form, which stands in for it where `x` or `dy` are uneven: if
    a tile of a channel, by the root of its sum of squares, outweighs all other tiles of a channel together, the mean of
    the channels of a group; or if pixels are as large or as small as `conv2d` says.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> dy, x, w = np.ones((1, 1, 2, 2)), np.arange(9.0).reshape(1, 1, 3, 3), np.ones((1, 1, 2, 2))
    >>> dx, dw, db = nk.conv2d_backward(dy, x, w)
    >>> dx[0, 0], dw[0, 0], db
    (array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]]), array([[ 8., 12.],
           [20., 24.]]), array([4.]))
    """
    x = check.real("x", x)
    dy = check.real("dy", dy, x)
    w = check.real("w", w, x)
    groups, geometry = checked_geometry(x, w, stride, padding, dilation, groups)
    check_algorithm(algorithm, geometry)
    check.shape("dy", dy, (x.shape[0], w.shape[0], geometry[8], geometry[9]))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        image_gradient(dy, w, None, dx, geometry, groups, algorithm)
    if need_w:
        dw = weight_gradient(dy, x, w.shape, geometry, groups, algorithm)
    if need_b:
        db = np.empty(w.shape[0], x.dtype)
        _global_pool.bias_gradient(dy, db)
    return dx, dw, db


def weight_gradient(dy, x, shape, geometry, groups, algorithm="auto"):
    """dw of the given shape, as a whole or in parts."""
    parts = windows_of(geometry, *x.shape[2:])
    if parts is None:
        return _whole_weight_gradient(dy, x, shape, geometry, groups, algorithm)
    dw = check.empty(shape, x.dtype)
    form = partial(_whole_weight_gradient, groups=groups, algorithm=algorithm)
    in_parts.weight_gradient(parts, form, dy, x, dw, geometry)
    return dw


def _whole_weight_gradient(dy, x, shape, geometry, groups, algorithm):
    dw = check.empty(shape, x.dtype)
    if dy.size == 0 or x.size == 0:
        dw[...] = 0
    elif algorithm != "winograd" and is_depthwise(dw, groups, 4, geometry):
        depthwise_form(dw, x, geometry, _depthwise_pixels.WEIGHTS).weight_gradient(x, dy, dw, geometry)
    elif groups == 1 and _planes_pay(*shape[:2], x.shape[2:], geometry):
        dw[...] = _by_planes(dy, x)[:, :, None, None]
    else:
        c, oc = shape[1], shape[0] // groups
        matrices = dw.reshape(groups, oc, math.prod(shape[1:]))
        if algorithm == "auto":
            # Sums in 36 planes are worth their transform back if the tiles are more than a few.
            winograd = c >= 16 and oc >= 16 and len(x) * winograd_tiles(geometry) >= 20
        else:
            winograd = has_winograd(algorithm, geometry)
        if winograd and not _by_winograd(x, dy, matrices, geometry):
            return _whole_weight_gradient(dy, x, shape, geometry, groups, "direct")
        if not winograd:
            _weight_gradient.weight_gradient(x, dy, matrices, geometry)
    return dw


def _planes_pay(oc, c, size, geometry):
    few, pixels = min(oc, c), size[0] * size[1]
    return geometry == (1, 1, 1, 1, 1, 1, 0, 0, *size) and pixels >= (49 if few <= 4 else 512) and few <= 8


def _by_planes(dy, x):
    """dw of 1x1 kernels as dot products of planes, image by image; the fewer planes are those that stay in cache."""
    c, oc = x.shape[1], dy.shape[1]
    few, many = (dy, x) if oc < c else (x, dy)
    total = np.zeros((few.shape[1], many.shape[1]))  # float64: images may be many
    folds = all(a.strides[2] == a.shape[3] * a.strides[3] for a in (x, dy))  # else an image has to be copied
    for i in range(0, len(x), _IMAGES):
        parts = np.empty((min(_IMAGES, len(x) - i), *total.shape), x.dtype)
        step = len(parts) if folds else 1
        for j in range(0, len(parts), step):
            rows, lines = (a[i + j : i + j + step].reshape(step, a.shape[1], -1) for a in (few, many))
            products(rows, lines.swapaxes(1, 2), parts[j : j + step], True)
        total += parts.sum(axis=0)
    total = total.astype(x.dtype, copy=False)
    return total if oc < c else total.T


def _by_winograd(x, dy, matrices, geometry):
    """dw of every group by Winograd's form; whether pixels allowed it."""
    c, oc = x.shape[1] // len(matrices), matrices.shape[1]
    return all(
        _winograd_gradient.weight_gradient(x[:, g * c : (g + 1) * c], dy[:, g * oc : (g + 1) * oc], dw, geometry)
        for g, dw in enumerate(matrices)
    )


def image_gradient(dy, w, b, dx, geometry, groups, algorithm="auto"):
    """dx = b + the gradient of the image, as a whole or in parts."""
    parts = windows_of(geometry, *dx.shape[2:])
    if parts is None:
        _whole_image_gradient(dy, w, b, dx, geometry, groups, algorithm)
    else:
        form = partial(_whole_image_gradient, groups=groups, algorithm=algorithm)
        in_parts.image_gradient(parts, form, dy, w, b, dx)


def _whole_image_gradient(dy, w, b, dx, geometry, groups, algorithm):
    """dx = b + the gradient of the image, as the sum of columns at their places or as convolutions of dy.

    x at row i sh + a dh - top meets w[., a] in y[., i], so dx at row r collects w[., a] dy[., i] for all a with
    r + top - a dh = i sh. Rows of the same phase (r + top) mod sh share their taps a, which lie sh/gcd(sh, dh) apart
    and meet rows of dy that lie dh/gcd(sh, dh) apart: each phase of rows and columns is one convolution of stride 1.
    """
    if b is None and dy.size and algorithm != "winograd" and is_depthwise(w, groups, 4, geometry):
        depthwise_form(w, dx, geometry, _depthwise_pixels.IMAGE).image_gradient(
            dy, np.ascontiguousarray(w), dx, geometry
        )
        return
    kh, kw, sh, sw, dh, dw, top, left, _, _ = geometry
    _, _, h, width = dx.shape
    oc, c, _, _ = w.shape
    asked = has_winograd(algorithm, geometry)
    if dx.size and dy.size and not asked and _columns_pay(c, oc // groups, geometry, h, width):
        _image_gradient.by_columns(dy, matrix_of(w), b, dx, geometry, groups)
        return
    rows, columns = _phases(h, kh, sh, dh, top), _phases(width, kw, sw, dw, left)
    if len(rows) < min(sh, h) or len(columns) < min(sw, width):  # some pixels meet no tap
        dx[...] = 0 if b is None else b[:, None, None] + 0
    for first_row, rows_of_w, dilation_h, top_of_dy in rows:
        for first_column, columns_of_w, dilation_w, left_of_dy in columns:
            kernel = len(range(*rows_of_w)), len(range(*columns_of_w))
            part = dx[:, :, first_row::sh, first_column::sw]
            window = (*kernel, 1, 1, dilation_h, dilation_w, top_of_dy, left_of_dy, *part.shape[2:])
            turned = partial(_turned_matrix, w, groups, rows_of_w, columns_of_w, dy.size // max(1, oc))
            winograd = asked and oc // groups <= LONGEST_CHAIN
            winograd = winograd or (algorithm == "auto" and winograd_pays(oc // groups, c, window))
            if winograd and kernel == (kh, kw) and dy.size and dx.size:
                kernels = w.reshape(groups, oc // groups, c, kh * kw).swapaxes(1, 2)
                direct = partial(_direct_image, w, groups, geometry if asked else None, window, turned)
                by_tiles(dy, kernels, True, direct, b, part, window)
            else:
                correlate(dy, turned(), b, part, window, groups, algorithm="direct" if asked else algorithm)


def _direct_image(w, groups, geometry, window, turned, dy, group, b, dx):
    """dx of a group without Winograd's form: of all phases by what the sizes call for, or of one by a convolution."""
    oc, c = len(w) // groups, w.shape[1]
    if geometry is not None:
        _whole_image_gradient(dy, w[group * oc : (group + 1) * oc], b, dx, geometry, 1, "direct")
    else:
        correlate(dy, turned()[group * c : (group + 1) * c], b, dx, window, algorithm="direct")


def _turned_matrix(w, groups, rows, columns, pixels):
    """The kernels (c, oc/groups * taps) for convolutions of dy with so many pixels; ranges of the taps taken."""
    if groups == 1 and len(range(*rows)) == len(range(*columns)) == 1 and pixels <= _VIEW_PIXELS:
        return w[:, :, rows[0], columns[0]].T
    return _image_gradient.turned_weights(w, groups, rows, columns)


@lru_cache(maxsize=256)
def _columns_pay(c, oc, geometry, h, w):
    """Whether columns summed at their places are faster than convolutions of dy, by the sizes of an image.

    Both in multiply-adds for four images, fitted to times: the product; what each column, each pixel of dx and of dy
    and each weight costs; for convolutions also what a phase costs. They leave out most taps of the padding if they
    can.
    """
    kh, kw, sh, sw, dh, dw, top, left, oh, ow = geometry
    taps, windows, pixels = kh * kw, oh * ow, h * w
    if sh * sw == 1 and (taps == 1 or winograd_pays(oc, c, (*geometry[:8], h, w))):
        return False
    each = c * (taps * windows * (1.13 * oc + 27) + (19 if taps > 1 else 95) * pixels + 70 * taps)
    by_columns = 4 * (each + 26 * oc * windows) + 30 * oc * c * taps + 350_000
    rows, columns = _phases(h, kh, sh, dh, top), _phases(w, kw, sw, dw, left)
    phases = len(rows) * len(columns)
    inside = _pairs_inside(h, kh, sh, dh, top, oh) * _pairs_inside(w, kw, sw, dw, left, ow)
    if not all(_skips_padding(oc, a, b, w // sw) for _, a, *_ in rows for _, b, *_ in columns):
        inside = max(inside, taps * pixels // (sh * sw))
    multiply = 1.32 * c if c > 1 else 3.6  # a tile of one row loads a vector for each multiply-add
    work = oc * (multiply * inside + 0.09 * c * (taps * windows - inside) + phases * (16 * windows + 98)) + 12 * pixels
    by_convolutions = 4 * (work + (28 * c * pixels if sh * sw > 1 else 0)) + 77 * oc * c * taps + 512_000 * phases
    return by_columns < by_convolutions


def _skips_padding(channels, rows, columns, width):
    """Whether a convolution with these ranges of taps may have output channels in the lanes (kernels/conv/lanes.pyx),
    the form that leaves out the padding: what a row of windows sees stays in cache, and so do panels of its weights."""
    kh, kw = len(range(*rows)), len(range(*columns))
    band, panel = 4 * channels * kh * (width + kw), 192 * channels * kh * kw
    return band <= 1 << 20 and panel <= 4 << 20 and 192 * width <= 1 << 20


def _pairs_inside(size, kernel, stride, dilation, pad, count):
    """Pairs of a window and one of its taps that lies inside the image, along an axis."""
    starts = range(-pad, kernel * dilation - pad, dilation)  # of the taps in the first window
    return sum(max(0, min(count, (size - 1 - i) // stride + 1) - max(0, -(i // stride))) for i in starts)


def _phases(size, kernel, stride, dilation, pad):
    """(first row of dx, its taps, their dilation in dy, leading pad of dy) of each phase that meets a tap."""
    common = math.gcd(stride, dilation)
    step, spread = stride // common, dilation // common
    phases = []
    for tap in range(min(kernel, step)):
        first = (tap * dilation - pad) % stride
        if first < size:
            # Row i of the phase and tap + t step meet row (first + pad - tap dilation)/stride + i - t spread of dy.
            # The flipped taps begin with the largest t.
            largest = len(range(tap, kernel, step)) - 1
            start = (first + pad - tap * dilation) // stride - largest * spread
            phases.append((first, (tap, kernel, step), spread, -start))
    return phases
