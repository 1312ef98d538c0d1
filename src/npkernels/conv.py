"""Convolution (cross-correlation, as in every deep-learning library), its transpose in `conv_transpose`."""

import math
from functools import lru_cache, partial

import numpy as np

from . import _arguments as check
from . import _conv, _depthwise, _depthwise_pixels, _image_gradient, _weight_gradient, _winograd, _winograd_gradient
from . import conv_parts as in_parts
from ._linear import products
from .activation import ACTIVATIONS, fused
from .conv_geometry import geometry_of
from .conv_parts import windows_of


def _geometry(x, w, stride, padding, dilation, groups):
    """Groups, and what `geometry_of` gives, after all checks of sizes; plain ints are checked once."""
    if type(stride) is type(padding) is type(dilation) is type(groups) is int:
        return _geometry_of_ints(x.shape, w.shape, stride, padding, dilation, groups)
    return _geometry_of_ints.__wrapped__(x.shape, w.shape, stride, padding, dilation, groups)


@lru_cache(maxsize=256)
def _geometry_of_ints(x, w, stride, padding, dilation, groups):
    for name, shape, text in ("x", x, "(n, c, h, w)"), ("w", w, "(oc, c/groups, kh, kw)"):
        if len(shape) != 4:
            raise ValueError(f"{name} must have shape {text}, got {shape}")
    groups = check.integer("groups", groups, 1)
    c, oc = x[1], w[0]
    if c % groups or oc % groups:
        raise ValueError(f"groups must divide the channels of x and w, got groups={groups} for c={c} and oc={oc}")
    if w[1] != c // groups:
        raise ValueError(f"w must have shape (oc, {c // groups}, kh, kw), got {w}")
    if w[2] < 1 or w[3] < 1:
        raise ValueError(f"w must have a kernel of at least 1 x 1, got {w}")
    return groups, geometry_of(*x[2:], *w[2:], stride, padding, dilation)


def conv2d(x, w, b=None, *, stride=1, padding=0, dilation=1, groups=1, activation=None, algorithm="auto", out=None):
    """Two-dimensional convolution of a batch of images, with an optional activation applied on the way out.

    Parameters
    ----------
    x : (n, c, h, w) array of float32 or float64
        Images, channels first; any strides, read in place.
    w : (oc, c/groups, kh, kw) array, dtype of `x`
        One kernel per output channel. ``np.flip(w, (2, 3))`` gives the mathematical convolution.
    b : (oc,) array, dtype of `x`, optional
    stride, dilation : int or (int, int)
    padding : int, (int, int), ((top, bottom), (left, right)), "valid" or "same"
        Zeros around the image. "same" needs stride 1 and puts an odd pad at the end.
    groups : int
        Output channel ``i`` sees the input channels of its group only.
    activation : None or {"relu", "leaky_relu", "sigmoid", "tanh", "gelu", "silu", "softplus", "elu"}
        Applied with its default parameters while the result is still in cache.
    algorithm : {"auto", "direct", "winograd"}
        "winograd" is F(4x4, 3x3) or F(2x2, 5x5): a quarter or a third of the multiplications, for 3x3 and 5x5 kernels
        at stride and dilation 1. "auto" takes it from 16 channels of `x` in a group, 32 of `y` (16 for 5x5 kernels) and
        49 pixels on, where it is up to 2.5 times faster; the choice looks at the sizes of an image, never at the batch.
    out : (n, oc, oh, ow) array, dtype of `x`, optional
        C-contiguous; must not overlap an input.

    Returns
    -------
    y : (n, oc, oh, ow) array, dtype of `x`
        An image's result depends on that image only, to the last bit.

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if a size is not an int.
    ValueError
        If a shape does not match, a size is out of range, the kernel is larger than the padded image, or
        ``algorithm="winograd"`` is asked for another kernel, stride or dilation.

    Notes
    -----
    The direct form is a product of the weights with the image patches [1]_, which are never stored. With
    ``k = c/groups * kh * kw`` its error is at most ``(k + 2) eps (conv2d(|x|, |w|) + |b|)``. The Winograd form [2]_
    subtracts neighbouring pixels, so that its error is relative to the largest terms of a tile of 6x6 pixels. Measured
    with 512 channels, its largest error is 2.0 times (float32) and 1.5 times (float64) that of the direct form on unit
    normal data, and 0.3 times on data with a mean of 100; for 5x5 kernels 0.7, 0.5, and 0.5 times. An image with a
    pixel that is infinite, NaN or beyond 2^50 (float32) or 2^450 (float64) gets the direct form; so does every image
    if a weight is.

    References
    ----------
    .. [1] K. Chellapilla, S. Puri and P. Simard, "High performance convolutional neural networks for document
       processing", IWFHR 2006.
    .. [2] A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks", CVPR 2016.

    Examples
    --------
    >>> import numpy as np
    >>> import npkernels as nk
    >>> x = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
    >>> w = np.array([[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]])[None, None]
    >>> nk.conv2d(x, np.flip(w, (2, 3)), padding=1)[0, 0]
    array([[-13., -20., -17.],
           [-18., -24., -18.],
           [ 13.,  20.,  17.]])
    """
    function = -1 if activation is None else fused(activation)
    auto = type(algorithm) is str and algorithm == "auto"
    if out is None and auto:
        y = _conv.conv2d_plain(x, w, b, stride, padding, dilation, groups, function)
        if y is not None:
            return y
    x = check.real("x", x)
    w = check.real("w", w, x)
    groups, geometry = _geometry(x, w, stride, padding, dilation, groups)
    oc = len(w)
    if b is not None:
        b = check.vector("b", b, oc, x)
    if not auto:
        check.choice("algorithm", algorithm, ("auto", "direct", "winograd"))
        if algorithm == "winograd" and geometry[:6] not in WINOGRAD_WINDOWS:
            raise ValueError(
                f"algorithm='winograd' must have a 3x3 or 5x5 kernel and stride and dilation 1, got {geometry[:6]}"
            )
    wanted = (len(x), oc, geometry[8], geometry[9])
    if out is None:
        y = check.empty(wanted, x.dtype)
    else:
        y = check.output(out, wanted, x.dtype, {"x": x, "w": w, "b": b})
    convolve(x, w, b, y, geometry, groups, activation, algorithm)
    return y


_IMAGES = 64  # whose parts of the gradient of the weights are kept side by side
_VIEW_PIXELS = 2048  # more of them read a copy of the weights so often that it pays
WINOGRAD_WINDOWS = (3, 3, 1, 1, 1, 1), (5, 5, 1, 1, 1, 1)  # kernel, stride, dilation


def _winograd_tiles(geometry):
    """Tiles of an image, of 4 x 4 pixels (2 x 2 for 5x5 kernels); 0 if less than half of their pixels are wanted or the
    windows are others."""
    if geometry[:6] not in WINOGRAD_WINDOWS:
        return 0
    step, (oh, ow) = 7 - geometry[0], geometry[8:]
    tiles = -(-oh // step) * -(-ow // step)
    return tiles if 2 * oh * ow >= step * step * tiles else 0


def _winograd_pays(c, oc, geometry):
    # Below, transforming costs more than it saves.
    outputs = 32 if geometry[0] == 3 else 16
    if c < _conv.WINOGRAD_CHANNELS or oc < outputs or geometry[8] * geometry[9] < 49:
        return False
    return _winograd_tiles(geometry) > 0


def convolve(x, w, b, y, geometry, groups, activation=None, algorithm="auto"):
    """y = the convolution of x with w (oc, c/groups, kh, kw), as a whole or in parts."""
    parts = windows_of(geometry, *x.shape[2:])
    if parts is None:
        function = -1 if activation is None else fused(activation)
        _whole_convolution(x, w, b, y, geometry, groups, function, algorithm)
    else:
        in_parts.convolve(parts, partial(_whole_convolution, groups=groups, algorithm=algorithm), x, w, b, y, geometry)
        if activation is not None:
            ACTIVATIONS[activation](y, out=y)


def _whole_convolution(x, w, b, y, geometry, groups, function=-1, algorithm="auto"):
    if w.shape[1] == 1 and algorithm != "winograd" and _is_depthwise(w, groups, 4, geometry):
        _depthwise_form(w, x, geometry, _depthwise_pixels.FORWARD).forward(
            x, np.ascontiguousarray(w), b, y, geometry, function
        )
    else:
        correlate(x, matrix_of(w), b, y, geometry, groups, function, algorithm)


def correlate(x, matrix, b, y, geometry, groups=1, function=-1, algorithm="auto"):
    """y = the convolution of x with the kernels (oc, c/groups * kh * kw) by the form that pays or is asked for."""
    c, oc = x.shape[1] // groups, y.shape[1] // groups
    if algorithm == "auto":
        winograd = _winograd_pays(c, oc, geometry)
    else:
        winograd = algorithm == "winograd" and geometry[:6] in WINOGRAD_WINDOWS  # a part may have other windows
    if winograd and x.size and y.size:
        _by_tiles(x, matrix.reshape(groups, oc, c, -1), False, lambda: matrix, b, y, geometry, function)
    else:
        _conv.forward(x, matrix, b, y, geometry, groups, function)


def _by_tiles(x, kernels, turned, matrix, b, y, geometry, function=-1):
    """Winograd's form with kernels (groups, oc, c, kh * kw), `turned` if their taps count from the last to the first.

    Images with numbers that are too large for it take the direct form, with the kernels that `matrix` gives.
    """
    groups, oc, c, _ = kernels.shape
    for g in range(groups):
        inner, outer = slice(g * c, (g + 1) * c), slice(g * oc, (g + 1) * oc)
        bias = None if b is None else b[outer]
        undone = _winograd.forward(x[:, inner], kernels[g], turned, bias, y[:, outer], geometry, function)
        for i in np.flatnonzero(undone):
            _conv.forward(x[i : i + 1, inner], matrix()[outer], bias, y[i : i + 1, outer], geometry, 1, function)


def _is_depthwise(w, groups, outputs, geometry):
    """One input channel and at most so many outputs a group: fewer than fill a tile of the product."""
    return w.shape[1] == 1 and w.shape[0] <= outputs * groups and _depthwise.fits(geometry)


def _depthwise_form(w, x, geometry, result):
    """The module that is faster: channels in the lanes, or rows of a plane, which several outputs a channel need."""
    return _depthwise_pixels if len(w) == x.shape[1] and _depthwise_pixels.pays(x, geometry, result) else _depthwise


def matrix_of(w):
    """(oc, c, kh, kw) -> (oc, c * kh * kw); small weights are copied if their axes do not fold."""
    return w.reshape(len(w), -1 if w.size else math.prod(w.shape[1:]))


def conv2d_backward(dy, x, w, *, stride=1, padding=0, dilation=1, groups=1, needs=("x", "w", "b")):
    """Gradients of `conv2d` without activation.

    Parameters
    ----------
    dy : (n, oc, oh, ow) array, dtype of `x`
        Gradient of the loss with respect to the convolution, before any activation.
    x : (n, c, h, w) array of float32 or float64
    w : (oc, c/groups, kh, kw) array, dtype of `x`
    stride, padding, dilation, groups
        As in `conv2d`.
    needs : tuple of "x", "w", "b"
        Which gradients to compute.

    Returns
    -------
    dx : (n, c, h, w) array or None
        By the form that ``algorithm="auto"`` of `conv2d` takes.
    dw : (oc, c/groups, kh, kw) array or None
        By Winograd's F(3x3, 4x4) or F(5x5, 2x2) from 16 channels on both sides of a group and 8 tiles on.
    db : (oc,) array or None

    Raises
    ------
    TypeError
        If a dtype is not float32 or float64, or differs from that of `x`; if `needs` is no tuple.
    ValueError
        If a shape does not match, a size is out of range, or `needs` holds an unknown name.

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
    groups, geometry = _geometry(x, w, stride, padding, dilation, groups)
    check.shape("dy", dy, (x.shape[0], w.shape[0], geometry[8], geometry[9]))
    need_x, need_w, need_b = check.needs(needs)
    dx = dw = db = None
    if need_x:
        dx = check.empty(x.shape, x.dtype)
        image_gradient(dy, w, None, dx, geometry, groups)
    if need_w:
        dw = weight_gradient(dy, x, w.shape, geometry, groups)
    if need_b:
        db = np.empty(w.shape[0], x.dtype)
        _weight_gradient.bias_gradient(dy, db)
    return dx, dw, db


def weight_gradient(dy, x, shape, geometry, groups):
    """dw of the given shape, as a whole or in parts."""
    parts = windows_of(geometry, *x.shape[2:])
    if parts is None:
        return _whole_weight_gradient(dy, x, shape, geometry, groups)
    dw = check.empty(shape, x.dtype)
    in_parts.weight_gradient(parts, partial(_whole_weight_gradient, groups=groups), dy, x, dw, geometry)
    return dw


def _whole_weight_gradient(dy, x, shape, geometry, groups):
    dw = check.empty(shape, x.dtype)
    if dy.size == 0 or x.size == 0:
        dw[...] = 0
    elif _is_depthwise(dw, groups, 4, geometry):
        _depthwise_form(dw, x, geometry, _depthwise_pixels.WEIGHTS).weight_gradient(x, dy, dw, geometry)
    elif groups == 1 and _planes_pay(*shape[:2], x.shape[2:], geometry):
        dw[...] = _by_planes(dy, x)[:, :, None, None]
    else:
        c, oc = shape[1], shape[0] // groups
        matrices = dw.reshape(groups, oc, math.prod(shape[1:]))
        # Sums in 36 planes are worth their transform back if the tiles are more than a few.
        pays = c >= 16 and oc >= 16 and len(x) * _winograd_tiles(geometry) >= 8
        if not (pays and _by_winograd(x, dy, matrices, geometry)):
            _weight_gradient.weight_gradient(x, dy, matrices, geometry)
    return dw


def _planes_pay(oc, c, size, geometry):
    few, pixels = min(oc, c), size[0] * size[1]
    return geometry == (1, 1, 1, 1, 1, 1, 0, 0, *size) and pixels >= (49 if few <= 4 else 512) and few <= 8


def _by_planes(dy, x):
    """dw of 1x1 kernels as dot products of planes, image by image; the fewer planes are those that stay in cache."""
    c, oc = x.shape[1], dy.shape[1]
    few, many = (dy, x) if oc < c else (x, dy)
    total = np.zeros((few.shape[1], many.shape[1]), x.dtype)
    folds = all(a.strides[2] == a.shape[3] * a.strides[3] for a in (x, dy))  # else an image has to be copied
    for i in range(0, len(x), _IMAGES):
        parts = np.empty((min(_IMAGES, len(x) - i), *total.shape), x.dtype)
        step = len(parts) if folds else 1
        for j in range(0, len(parts), step):
            rows, lines = (a[i + j : i + j + step].reshape(step, a.shape[1], -1) for a in (few, many))
            products(rows, lines.swapaxes(1, 2), parts[j : j + step], True)
        total += parts.sum(axis=0)
    return total if oc < c else total.T


def _by_winograd(x, dy, matrices, geometry):
    """dw of every group by Winograd's form; whether pixels allowed it."""
    c, oc = x.shape[1] // len(matrices), matrices.shape[1]
    return all(
        _winograd_gradient.weight_gradient(x[:, g * c : (g + 1) * c], dy[:, g * oc : (g + 1) * oc], dw, geometry)
        for g, dw in enumerate(matrices)
    )


def image_gradient(dy, w, b, dx, geometry, groups):
    """dx = b + the gradient of the image, as a whole or in parts."""
    parts = windows_of(geometry, *dx.shape[2:])
    if parts is None:
        _whole_image_gradient(dy, w, b, dx, geometry, groups)
    else:
        in_parts.image_gradient(parts, partial(_whole_image_gradient, groups=groups), dy, w, b, dx)


def _whole_image_gradient(dy, w, b, dx, geometry, groups):
    """dx = b + the gradient of the image, as the sum of columns at their places or as convolutions of dy.

    x at row i sh + a dh - top meets w[., a] in y[., i], so dx at row r collects w[., a] dy[., i] for all a with
    r + top - a dh = i sh. Rows of the same phase (r + top) mod sh share their taps a, which lie sh/gcd(sh, dh) apart
    and meet rows of dy that lie dh/gcd(sh, dh) apart: each phase of rows and columns is one convolution of stride 1.
    """
    if b is None and dy.size and _is_depthwise(w, groups, 4, geometry):
        _depthwise_form(w, dx, geometry, _depthwise_pixels.IMAGE).image_gradient(
            dy, np.ascontiguousarray(w), dx, geometry
        )
        return
    kh, kw, sh, sw, dh, dw, top, left, _, _ = geometry
    _, _, h, width = dx.shape
    oc, c, _, _ = w.shape
    if dx.size and dy.size and _columns_pay(c, oc // groups, geometry, h, width):
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
            if kernel == (kh, kw) and _winograd_pays(oc // groups, c, window) and dy.size and dx.size:
                kernels = w.reshape(groups, oc // groups, c, kh * kw).swapaxes(1, 2)
                _by_tiles(dy, kernels, True, turned, b, part, window)
            else:
                correlate(dy, turned(), b, part, window, groups)


def _turned_matrix(w, groups, rows, columns, pixels):
    """The kernels (c, oc/groups * taps) for convolutions of dy with so many pixels; ranges of the taps taken."""
    if groups == 1 and len(range(*rows)) == len(range(*columns)) == 1 and pixels <= _VIEW_PIXELS:
        return w[:, :, rows[0], columns[0]].T
    return _image_gradient.turned_weights(w, groups, rows, columns)


@lru_cache(maxsize=256)
def _columns_pay(c, oc, geometry, h, w):
    """Whether columns summed at their places are faster than convolutions of dy, by the sizes of an image.

    Both in multiply-adds for four images, fitted to times: the product; what each column, each pixel of dx and of dy
    and each weight costs; for convolutions also what a phase costs. They leave out most taps of the padding.
    """
    kh, kw, sh, sw, dh, dw, top, left, oh, ow = geometry
    taps, windows, pixels = kh * kw, oh * ow, h * w
    if sh * sw == 1 and (taps == 1 or _winograd_pays(oc, c, (*geometry[:8], h, w))):
        return False
    each = c * (taps * windows * (1.13 * oc + 27) + (19 if taps > 1 else 95) * pixels + 70 * taps)
    by_columns = 4 * (each + 26 * oc * windows) + 30 * oc * c * taps + 350_000
    rows, columns = _phases(h, kh, sh, dh, top), _phases(w, kw, sw, dw, left)
    phases = len(rows) * len(columns)
    inside = _pairs_inside(h, kh, sh, dh, top, oh) * _pairs_inside(w, kw, sw, dw, left, ow)
    multiply = 1.32 * c if c > 1 else 3.6  # a tile of one row loads a vector for each multiply-add
    work = oc * (multiply * inside + 0.09 * c * (taps * windows - inside) + phases * (16 * windows + 98)) + 12 * pixels
    by_convolutions = 4 * (work + (28 * c * pixels if sh * sw > 1 else 0)) + 77 * oc * c * taps + 512_000 * phases
    return by_columns < by_convolutions


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
