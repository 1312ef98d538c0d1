import numpy as np
from numpy.typing import NDArray

from .direct import Geometry

def unfold(x: NDArray[np.floating], cols: NDArray[np.floating], geometry: Geometry) -> None: ...
def fold(cols: NDArray[np.floating], x: NDArray[np.floating], geometry: Geometry) -> None: ...
