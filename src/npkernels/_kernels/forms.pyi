import numpy as np
from numpy.typing import NDArray

from .conv import Windows

def chosen(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    y: NDArray[np.floating],
    geometry: Windows,
    groups: int,
    asked: int = 0,
) -> tuple[int, int, int]: ...
def cost_by_phases(
    x: NDArray[np.floating], w: NDArray[np.floating], y: NDArray[np.floating], geometry: Windows, groups: int
) -> float: ...
