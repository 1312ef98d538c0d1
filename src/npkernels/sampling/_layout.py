"""Where results lie in memory: as the images that they are made of."""

from typing import Any

from numpy.typing import NDArray

from .. import _arguments as check


def like(x: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """New images of the channels of `x`, which lie next to each other where those of `x` do."""
    n, c = x.shape[:2]
    if c > 1 and x.shape[3] > 1 and x.strides[1] == x.itemsize != x.strides[3]:
        return check.empty((n, height, width, c), x.dtype).transpose(0, 3, 1, 2)
    return check.empty((n, c, height, width), x.dtype)
