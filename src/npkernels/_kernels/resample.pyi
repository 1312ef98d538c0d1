import numpy as np
from numpy.typing import NDArray

from .axes import Taps

def resample(x: NDArray[np.floating], y: NDArray[np.floating], rows: Taps, columns: Taps, fill: float) -> None: ...
