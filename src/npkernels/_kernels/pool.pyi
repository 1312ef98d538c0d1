from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pool.geometry import PoolGeometry

def pool_plain(
    x: object, kernel_size: object, stride: object, padding: object, dilation: object, mean: bool
) -> NDArray[Any] | None: ...
def max_forward(
    x: NDArray[np.floating], y: NDArray[np.floating], indices: NDArray[np.int32] | None, geometry: PoolGeometry
) -> None: ...
def mean_forward(
    x: NDArray[np.floating], y: NDArray[np.floating], geometry: PoolGeometry, include_pad: bool
) -> None: ...
