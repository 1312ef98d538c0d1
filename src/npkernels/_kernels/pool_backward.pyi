import numpy as np
from numpy.typing import NDArray

from .pool import Geometry

def max_backward(dy: NDArray[np.floating], indices: NDArray[np.integer], dx: NDArray[np.floating]) -> bool: ...
def mean_backward(
    dy: NDArray[np.floating], dx: NDArray[np.floating], geometry: Geometry, include_pad: bool
) -> None: ...
