import numpy as np
from numpy.typing import NDArray

def plus_plus(
    x: NDArray[np.floating],
    weights: NDArray[np.float64] | None,
    draws: NDArray[np.float64],
    trials: int,
    nearest: NDArray[np.floating],
    chosen: NDArray[np.intp],
) -> bool: ...
def distances(x: NDArray[np.floating], centroids: NDArray[np.floating], out: NDArray[np.floating]) -> None: ...
