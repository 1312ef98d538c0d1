import numpy as np
from numpy.typing import NDArray

from .direct import Geometry

def weight_gradient(
    x: NDArray[np.floating],
    dy: NDArray[np.floating],
    dw: NDArray[np.floating],
    geometry: Geometry,
) -> bool: ...
