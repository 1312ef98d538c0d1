import numpy as np
from numpy.typing import NDArray

from .direct import Geometry

def forward(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    turned: bool,
    bias: NDArray[np.floating] | None,
    y: NDArray[np.floating],
    geometry: Geometry,
    activation: int = -1,
) -> NDArray[np.uint8]: ...
