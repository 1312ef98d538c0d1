import numpy as np
from numpy.typing import NDArray

from ..pool.geometry import PoolGeometry

def max_backward(dy: NDArray[np.floating], indices: NDArray[np.integer], dx: NDArray[np.floating]) -> bool: ...
def mean_backward(
    dy: NDArray[np.floating], dx: NDArray[np.floating], geometry: PoolGeometry, include_pad: bool
) -> None: ...
