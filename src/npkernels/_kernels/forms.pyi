import numpy as np
from numpy.typing import NDArray

from .conv import Windows

def chosen(
    x: NDArray[np.floating], w: NDArray[np.floating], y: NDArray[np.floating], geometry: Windows, groups: int
) -> tuple[int, int, int]: ...
