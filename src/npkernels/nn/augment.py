"""Augmentation: callables ``(x, rng) -> x`` on images (n, c, h, w), with a draw of its own for each image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import _arguments as check, affine_grid, grid_sample, pad2d

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]

__all__ = ["Compose", "RandomAffine", "RandomCrop", "RandomFlip"]

Augmentation: TypeAlias = Callable[[Any, np.random.Generator], Any]


class RandomFlip:
    """Mirrors images.

    Parameters
    ----------
    horizontal, vertical : float
        The probability that left and right, top and bottom change places, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> nn.augment.RandomFlip(horizontal=1)(x, np.random.default_rng(0))[0, 0]
    array([[1., 0.],
           [3., 2.]])
    """

    def __init__(self, horizontal: float = 0.5, vertical: float = 0.0) -> None:
        self.horizontal = check.fraction("horizontal", horizontal)
        self.vertical = check.fraction("vertical", vertical)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A new array, or `x` itself where no image is mirrored.

        Parameters
        ----------
        x : (n, c, h, w) array
        rng : numpy.random.Generator

        Returns
        -------
        y : (n, c, h, w) array
        """
        images = _images(x)
        draws = rng.random((2, len(images)))
        across, down = draws[0] < self.horizontal, draws[1] < self.vertical
        if not (across.any() or down.any()):
            return images
        y = images.copy()
        y[across & ~down] = images[across & ~down, :, :, ::-1]
        y[down & ~across] = images[down & ~across, :, ::-1]
        y[across & down] = images[across & down, :, ::-1, ::-1]
        return y


class RandomCrop:
    """Cuts a window out of each image, somewhere.

    Parameters
    ----------
    size : int or (int, int)
        Rows and columns of the window.
    padding : int, (int, int) or ((top, bottom), (left, right))
        Zeros around the image, first.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> nn.augment.RandomCrop(28, padding=2)(np.ones((5, 1, 28, 28)), np.random.default_rng(0)).shape
    (5, 1, 28, 28)
    """

    def __init__(self, size: int | tuple[int, int], padding: Any = 0) -> None:
        self.size = check.pair("size", size, 1)
        self.padding = check.pads("padding", padding)

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A new array.

        Parameters
        ----------
        x : (n, c, h, w) array
        rng : numpy.random.Generator

        Returns
        -------
        y : (n, c, *size*) array

        Raises
        ------
        ValueError
            If the window is larger than the image and its padding.
        """
        images = _images(x)
        if any(map(any, self.padding)):
            images = pad2d(images, self.padding)
        last = tuple(have - want for have, want in zip(images.shape[2:], self.size, strict=True))
        if min(last) < 0:
            raise ValueError(f"size must be at most that of the padded image {images.shape[2:]}, got {self.size}")
        n = len(images)
        top, left = rng.integers(0, last[0] + 1, n), rng.integers(0, last[1] + 1, n)
        windows = np.lib.stride_tricks.sliding_window_view(images, self.size, axis=(2, 3))
        y: Array = windows[np.arange(n), :, top, left]
        return y


class RandomAffine:
    """Turns, moves, scales and shears images about their centre, by one bilinear sampling; beyond is 0.

    Parameters
    ----------
    degrees : float or (float, float)
        The angle, counter-clockwise: between -degrees and degrees, or between the two.
    translate : float or (float, float)
        The largest move, as a fraction of the size: of rows and columns, or of rows, of columns.
    scale : (float, float)
        Between which factors the size is drawn, positive.
    shear : float or (float, float)
        The angle in degrees by which columns lean over: between -shear and shear, or between the two.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> nn.augment.RandomAffine(degrees=(90, 90))(x, np.random.default_rng(0)).round(6)[0, 0]
    array([[1., 3.],
           [0., 2.]])
    """

    def __init__(
        self,
        degrees: float | tuple[float, float] = 0,
        translate: float | tuple[float, float] = 0,
        scale: tuple[float, float] = (1, 1),
        shear: float | tuple[float, float] = 0,
    ) -> None:
        self.degrees, self.shear = _interval("degrees", degrees), _interval("shear", shear)
        pair = translate if isinstance(translate, (tuple, list)) else (translate, translate)
        self.translate = _interval("translate", tuple(pair), ordered=False)
        for share in self.translate:
            check.fraction("translate", share)
        self.scale = _interval("scale", tuple(scale) if isinstance(scale, (tuple, list)) else (scale, scale))
        if not self.scale[0] > 0:
            raise ValueError(f"scale must be positive, got {scale}")
        if max(map(abs, self.shear)) >= 90:
            raise ValueError(f"shear must be between -90 and 90 degrees, got {shear}")

    def __call__(self, x: Array, rng: np.random.Generator) -> Array:
        """A new array.

        Parameters
        ----------
        x : (n, c, h, w) array of float32 or float64
        rng : numpy.random.Generator

        Returns
        -------
        y : (n, c, h, w) array
        """
        images = _images(x)
        h, w = images.shape[2:]
        theta = self._maps(len(images), h, w, rng)
        return grid_sample(images, affine_grid(theta.astype(images.dtype), images.shape))

    def _maps(self, n: int, h: int, w: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """For each image the map from places of the result to places of the image, both in [-1, 1].

        In pixels about the centre, rows downwards, the result is A p + t of the image's place p, with
        A = scale [[cos, sin], [-sin, cos]] [[1, tan(shear)], [0, 1]]; the map is its inverse.
        """
        angle = np.deg2rad(rng.uniform(*self.degrees, n))
        slope = np.tan(np.deg2rad(rng.uniform(*self.shear, n)))
        scale = rng.uniform(*self.scale, n)
        down, right = (rng.uniform(-share, share, n) for share in self.translate)
        cos, sin = np.cos(angle), np.sin(angle)
        inverse = np.stack([cos - slope * sin, -sin - slope * cos, sin, cos], 1).reshape(n, 2, 2)
        inverse /= scale[:, None, None]
        half = np.array([w / 2, h / 2])
        theta = np.empty((n, 2, 3))
        theta[:, :, :2] = inverse * half / half[:, None]
        moved = np.stack([right * w, down * h], 1)
        theta[:, :, 2] = -np.einsum("nij,nj->ni", inverse, moved) / half
        return theta


class Compose:
    """One augmentation after the other.

    Parameters
    ----------
    *steps : callable
        ``(x, rng) -> x`` each.

    Examples
    --------
    >>> import numpy as np
    >>> from npkernels import nn
    >>> augment = nn.augment.Compose(nn.augment.RandomFlip(), nn.augment.RandomCrop(8, padding=1))
    >>> augment(np.ones((2, 1, 8, 8)), np.random.default_rng(0)).shape
    (2, 1, 8, 8)
    """

    def __init__(self, *steps: Augmentation) -> None:
        for i, step in enumerate(steps):
            if not callable(step):
                raise TypeError(f"steps[{i}] must be callable, got {type(step).__name__}")
        self.steps = steps

    def __call__(self, x: Any, rng: np.random.Generator) -> Any:
        """What the last step makes of what the others made.

        Parameters
        ----------
        x : (n, c, h, w) array
        rng : numpy.random.Generator

        Returns
        -------
        y : array
        """
        for step in self.steps:
            x = step(x, rng)
        return x


def _images(x: object) -> Array:
    images = check.as_array("x", x)
    check.rank("x", images, 4, "(n, c, h, w)")
    return images


def _interval(name: str, value: object, ordered: bool = True) -> tuple[float, float]:
    """Two numbers, ascending; of one number those of both signs."""
    if isinstance(value, (tuple, list)):
        if len(value) != 2:
            raise ValueError(f"{name} must be a number or a pair, got {len(value)} values")
        low, high = (check.number(name, each) for each in value)
    else:
        high = check.number(name, value, 0)
        low = -high
    if not (np.isfinite(low) and np.isfinite(high)) or (ordered and low > high):
        raise ValueError(f"{name} must be finite and ascending, got {value}")
    return low, high
