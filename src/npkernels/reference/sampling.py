"""Grids, interpolation and padding of images."""

import numpy as np

from ._common import pad_pairs, pair, quiet


def affine_grid(theta, size, *, align_corners=False):
    """theta (n, 2, 3), size (n, c, h, w) -> grid (n, h, w, 2), grid[n, i, j] = theta[n] @ (x[j], y[i], 1)."""
    # x and y: the centres of pixels, -1 and 1 those of the outermost ones if align_corners, else their outer edges
    y, x = (np.arange(1 - m, m, 2) / max(1, m - 1 if align_corners else m) for m in size[2:])
    points = np.stack(
        np.broadcast_arrays(x.astype(theta.dtype), y.astype(theta.dtype)[:, None], theta.dtype.type(1)), -1
    )
    return np.einsum("ijk,nlk->nijl", points, theta)


def _reflect(place, low, span):
    """Coordinates mirrored at low and low + span, and -1 where their direction was turned."""
    beyond = abs(place - low)
    rest = beyond - np.trunc(beyond / (2 * span)) * (2 * span)
    back = rest > 2 * span - rest
    return np.where(back, 2 * span - rest, rest) + low, np.where(back ^ (place < low), -1, 1)


def _coordinate(grid, size, padding_mode, align_corners):
    """The coordinate in pixels of each place of an axis of `size`, and its slope."""
    real = grid.dtype.type
    scale = real(size - 1 if align_corners else size) / 2
    place = (grid + 1) * scale - real(0 if align_corners else 0.5)
    slope = np.full(place.shape, scale)
    if padding_mode == "zeros":
        return place, slope
    if padding_mode == "reflection":
        span = real(size - 1 if align_corners else size)
        turned = np.zeros(place.shape, int)
        if span:
            place, turned = _reflect(place, real(0 if align_corners else -0.5), span)
        else:
            place = np.zeros_like(place)
        slope = slope * turned
    inside = np.fmin(np.fmax(place, 0), size - 1)  # NaN becomes 0
    return inside.astype(grid.dtype), np.where((inside > 0) & (inside < size - 1), slope, real(0))


def _pixels(place, size):
    """Bounded coordinates as whole numbers."""
    return np.clip(np.where(np.isnan(place), -2, place), -2, size + 1).astype(np.int64)


def _look(x, rows, columns):
    """x[n, :, rows[n], columns[n]], 0 outside, and whether it lies inside."""
    n, _, h, w = x.shape
    seen = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    values = x[np.arange(n)[:, None, None], :, np.where(seen, rows, 0), np.where(seen, columns, 0)]  # (n, oh, ow, c)
    return np.where(seen[..., None], values, x.dtype.type(0)).transpose(0, 3, 1, 2), seen


def _taps(x, grid, mode, padding_mode, align_corners):
    """(rows, columns, weight) of the pixels of each place, the two pairs of weights, and the two slopes."""
    h, w = x.shape[2:]
    across, dx = _coordinate(grid[..., 0], w, padding_mode, align_corners)
    down, dy = _coordinate(grid[..., 1], h, padding_mode, align_corners)
    if mode == "nearest":
        return [(_pixels(np.rint(down), h), _pixels(np.rint(across), w), None)], None, None
    east, south = across - np.floor(across), down - np.floor(down)
    pairs = (1 - south, south), (1 - east, east)
    top, left = _pixels(np.floor(down), h), _pixels(np.floor(across), w)
    return [(top + a, left + b, pairs[0][a] * pairs[1][b]) for a in (0, 1) for b in (0, 1)], pairs, (dx, dy)


@quiet
def grid_sample(x, grid, *, mode="bilinear", padding_mode="zeros", align_corners=False):
    """x (n, c, h, w), grid (n, oh, ow, 2) of (x, y) in [-1, 1] -> y (n, c, oh, ow)."""
    # y = sum over 2 x 2 pixels of weight * x, or the nearest pixel, half to even; 0 outside
    taps, _, _ = _taps(x, grid, mode, padding_mode, align_corners)
    values = (_look(x, rows, columns)[0] * (1 if weight is None else weight[:, None]) for rows, columns, weight in taps)
    return sum(values, np.zeros((), x.dtype)).astype(x.dtype)


@quiet
def grid_sample_backward(
    dy, x, grid, *, mode="bilinear", padding_mode="zeros", align_corners=False, needs=("x", "grid")
):
    """dy (n, c, oh, ow) -> (dx, dgrid): weight * dy added where a pixel was seen; the slopes of the weights."""
    taps, pairs, slopes = _taps(x, grid, mode, padding_mode, align_corners)
    dx, dgrid = np.zeros_like(x, order="C"), np.zeros_like(grid, order="C")
    for rows, columns, weight in taps:
        seen = _look(x, rows, columns)[1]
        n, i, j = np.nonzero(seen)
        share = dy if weight is None else dy * weight[:, None]
        np.add.at(dx, (n, slice(None), rows[seen], columns[seen]), share[n, :, i, j])
    if mode == "bilinear":
        (north, south), (west, east) = ([weight[:, None] for weight in side] for side in pairs)
        nw, ne, sw, se = (_look(x, rows, columns)[0] for rows, columns, _ in taps)
        dgrid[..., 0] = (dy * ((ne - nw) * north + (se - sw) * south)).sum(1) * slopes[0]
        dgrid[..., 1] = (dy * ((sw - nw) * west + (se - ne) * east)).sum(1) * slopes[1]
    return dx if "x" in needs else None, dgrid if "grid" in needs else None


def interpolation_taps(size, count, factor, mode, align_corners, antialias, dtype):
    """For an axis, (pixel, weight) of each tap of all results; pixel -1 where a result has fewer."""
    real, i = np.dtype(dtype).type, np.arange(count)
    if mode == "nearest":
        scale = np.float32(1 / factor if factor else np.float32(size) / np.float32(count))
        pixel = np.minimum(np.floor(i.astype(np.float32) * scale).astype(int), size - 1)
        return [(i if count == size else i // 2 if count == 2 * size else pixel, np.ones(count, dtype))]
    scale = real(1 / factor) if factor else real(size) / real(count)
    if align_corners:
        scale = real(size - 1) / real(count - 1) if count > 1 else real(0)
    if antialias:
        return _smooth_taps(size, count, scale, real)
    if size == count:
        return [(i, np.ones(count, dtype)), (i, np.zeros(count, dtype))]
    place = (
        i.astype(dtype) * scale if align_corners else np.maximum((i.astype(dtype) + real(0.5)) * scale - real(0.5), 0)
    )
    first = np.minimum(place.astype(int), size - 1)
    rest = np.minimum(place - first.astype(dtype), 1).astype(dtype)
    return [(first, 1 - rest), (np.minimum(first + 1, size - 1), rest)]


def _smooth_taps(size, count, scale, real):
    """A triangle as wide as two pixels of the smaller image."""
    i, half = np.arange(count), real(0.5)
    if size == count:
        return [(i, np.ones(count, real))]
    centre, support = scale * (i.astype(real) + half), max(scale, real(1))
    first = np.maximum((centre - support + half).astype(int), 0)
    last = np.minimum((centre + support + half).astype(int), size)
    pixels = [np.where(first + t < last, first + t, -1) for t in range((last - first).max())]
    weights = [np.maximum(1 - abs(p.astype(real) - centre + half) * (real(1) / support), 0) * (p >= 0) for p in pixels]
    return [(p, (weight / sum(weights)).astype(real)) for p, weight in zip(pixels, weights, strict=True)]


def interpolation_axes(
    input_size, size=None, *, scale_factor=None, mode="nearest", align_corners=False, antialias=False, dtype=np.float64
):
    """The taps of rows and of columns; coordinates are computed in the dtype."""
    factors = pair(scale_factor) if size is None else (0, 0)
    counts = (
        pair(size) if size is not None else [int(np.floor(n * f)) for n, f in zip(input_size, factors, strict=True)]
    )
    axes = zip(input_size, counts, factors, strict=True)
    return [interpolation_taps(*axis, mode, align_corners, antialias, dtype) for axis in axes]


@quiet
def combine(x, rows, columns):
    """y[i, j] = sum over the taps b of column j of v[b] (sum over the taps a of row i of u[a] x[row a, column b])"""
    lines = [np.where((p >= 0)[:, None], x[:, :, p], x.dtype.type(0)) * weight[:, None] for p, weight in rows]
    lines = sum(lines[1:], lines[0])
    parts = [np.where(p >= 0, lines[..., p], x.dtype.type(0)) * weight for p, weight in columns]
    return sum(parts[1:], parts[0])


@quiet
def spread(dy, rows, columns, size):
    """The adjoint of `combine`."""
    lines = np.zeros((*dy.shape[:2], size[0], dy.shape[3]), dy.dtype)
    for p, weight in rows:
        np.add.at(lines, (slice(None), slice(None), p[p >= 0]), (dy * weight[:, None])[:, :, p >= 0])
    dx = np.zeros((*dy.shape[:2], *size), dy.dtype)
    for p, weight in columns:
        np.add.at(dx, (..., p[p >= 0]), (lines * weight)[..., p >= 0])
    return dx


def interpolate(x, size=None, *, scale_factor=None, mode="nearest", align_corners=False, antialias=False):
    """x (n, c, h, w) -> y (n, c, oh, ow): weighted sums of rows, then of columns."""
    options = {"mode": mode, "align_corners": align_corners, "antialias": antialias, "dtype": x.dtype}
    return combine(x, *interpolation_axes(x.shape[2:], size, scale_factor=scale_factor, **options))


def interpolate_backward(
    dy, input_size, size=None, *, scale_factor=None, mode="nearest", align_corners=False, antialias=False
):
    """dy (n, c, oh, ow) -> dx (n, c, h, w): each result gives its pixels their shares."""
    options = {"mode": mode, "align_corners": align_corners, "antialias": antialias, "dtype": dy.dtype}
    size = dy.shape[2:] if size is None and scale_factor is None else size
    axes = interpolation_axes(pair(input_size), size, scale_factor=scale_factor, **options)
    return spread(dy, *axes, pair(input_size))


PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad2d(x, padding, *, mode="constant", value=0.0):
    """x (n, c, h, w) -> y (n, c, top + h + bottom, left + w + right)."""
    options = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, ((0, 0), (0, 0), *pad_pairs(padding)), PAD_MODES[mode], **options)


def pad2d_backward(dy, padding, *, mode="constant"):
    """dy (n, c, oh, ow) -> dx (n, c, h, w): each dy added to the pixel that was copied there."""
    pads = pad_pairs(padding)
    h, w = (size - sum(sides) for size, sides in zip(dy.shape[2:], pads, strict=True))
    options = {"constant_values": -1} if mode == "constant" else {}
    places = np.pad(np.arange(h * w).reshape(h, w), pads, PAD_MODES[mode], **options)
    dx = np.zeros((*dy.shape[:2], h * w), dy.dtype)
    np.add.at(dx, (slice(None), slice(None), places[places >= 0]), dy[:, :, places >= 0])
    return dx.reshape(*dy.shape[:2], h, w)
