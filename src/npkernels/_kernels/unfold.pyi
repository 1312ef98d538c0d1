import numpy as np
from numpy.typing import NDArray

from .conv import Windows

def unfold(x: NDArray[np.floating], cols: NDArray[np.floating], geometry: Windows) -> None: ...
def fold(cols: NDArray[np.floating], x: NDArray[np.floating], geometry: Windows) -> None: ...
