import numpy as np
from numpy.typing import NDArray

from .direct import Geometry

def fits(geometry: Geometry) -> bool: ...
def forward(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    y: NDArray[np.floating],
    geometry: Geometry,
    activation: int = -1,
) -> None: ...
def image_gradient(
    dy: NDArray[np.floating], w: NDArray[np.floating], dx: NDArray[np.floating], geometry: Geometry
) -> None: ...
def weight_gradient(
    x: NDArray[np.floating], dy: NDArray[np.floating], dw: NDArray[np.floating], geometry: Geometry
) -> None: ...
