"""Random valid calls of grids, interpolation and padding."""

import numpy as np

import npkernels as nk

from .draw import Call, chance, needs, pads, pick, sides, size, values
from .image_calls import planes


def affine_grid(rng, dtype):
    n = size(rng)
    theta = values(rng, (n, 2, 3), dtype)
    return Call(
        nk.affine_grid, (theta, (n, size(rng), size(rng, 1), size(rng, 1))), {"align_corners": chance(rng, 0.5)}
    )


def sampled(rng, dtype):
    """Images, a grid, whose places lie anywhere, and options."""
    x = values(rng, planes(rng, size(rng, 1), size(rng, 1)), dtype)
    result = planes(rng, size(rng), size(rng))
    grid = values(rng, (x.shape[0], *result[2:], 2), dtype)
    if chance(rng, 0.3):
        with np.errstate(over="ignore"):
            grid = np.round(grid * 8) / 8
    modes = {"mode": pick(rng, "bilinear", "nearest"), "padding_mode": pick(rng, "zeros", "border", "reflection")}
    return x, grid, modes | {"align_corners": chance(rng, 0.5)}


def grid_sample(rng, dtype):
    x, grid, options = sampled(rng, dtype)
    return Call(nk.grid_sample, (x, grid), options)


def grid_sample_backward(rng, dtype):
    x, grid, options = sampled(rng, dtype)
    dy = values(rng, (*x.shape[:2], *grid.shape[1:3]), dtype)
    return Call(nk.grid_sample_backward, (dy, x, grid), options | {"needs": needs(rng, "x", "grid")})


def resized(rng):
    """Sizes of images, the size that they get, and the options that say so."""
    image = tuple(size(rng, 1) for _ in range(2))
    options = {"mode": pick(rng, "nearest", "bilinear")}
    if options["mode"] == "bilinear":
        options |= {"align_corners": chance(rng, 0.4), "antialias": chance(rng, 0.4)}
    result = tuple(pick(rng, max(1, n // 2), n, 2 * n, size(rng, 1)) for n in image)
    if chance(rng, 0.4):
        options["scale_factor"] = tuple((r + 0.5) / n for r, n in zip(result, image, strict=True))
        result = tuple(int(n * f) for n, f in zip(image, options["scale_factor"], strict=True))
    else:
        options["size"] = result
    return image, result, options


def interpolate(rng, dtype):
    image, _, options = resized(rng)
    return Call(nk.interpolate, (values(rng, planes(rng, *image), dtype),), options)


def interpolate_backward(rng, dtype):
    image, result, options = resized(rng)
    return Call(nk.interpolate_backward, (values(rng, planes(rng, *result), dtype), image), options)


def padded(rng):
    """Sizes of images, pads and a mode that they allow."""
    image, mode = tuple(size(rng, 1) for _ in range(2)), pick(rng, "constant", "reflect", "replicate", "circular")
    most = {"reflect": [n - 1 for n in image], "circular": image}.get(mode, (9, 9))
    return image, pads(rng, most), {"mode": mode}


def pad2d(rng, dtype):
    image, padding, options = padded(rng)
    if options["mode"] == "constant":
        options["value"] = pick(rng, 0.0, -1.5, np.inf)
    return Call(nk.pad2d, (values(rng, planes(rng, *image), dtype), padding), options)


def pad2d_backward(rng, dtype):
    image, padding, options = padded(rng)
    result = (n + sum(side) for n, side in zip(image, sides(padding), strict=True))
    return Call(nk.pad2d_backward, (values(rng, planes(rng, *result), dtype), padding), options)


DRAWS = affine_grid, grid_sample, grid_sample_backward, interpolate, interpolate_backward, pad2d, pad2d_backward
CALLS = {draw.__name__: draw for draw in DRAWS}
