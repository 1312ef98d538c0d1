from typing import Any

import numpy as np
from numpy.typing import NDArray

# kh, kw, sh, sw, dh, dw, top, left, bottom, right, oh, ow
Geometry = tuple[int, int, int, int, int, int, int, int, int, int, int, int]

def pool_plain(
    x: object, kernel_size: object, stride: object, padding: object, dilation: object, mean: bool
) -> NDArray[Any] | None: ...
def max_forward(
    x: NDArray[np.floating], y: NDArray[np.floating], indices: NDArray[np.int32] | None, geometry: Geometry
) -> None: ...
def mean_forward(x: NDArray[np.floating], y: NDArray[np.floating], geometry: Geometry, include_pad: bool) -> None: ...
