import numpy as np
from numpy.typing import NDArray

def distances(x: NDArray[np.floating], y: NDArray[np.floating], kind: int, out: NDArray[np.floating]) -> None: ...
def sums(
    x: NDArray[np.floating],
    weights: NDArray[np.floating],
    ends: NDArray[np.int32],
    homes: NDArray[np.int32],
    shares: NDArray[np.float64],
    own: NDArray[np.float64],
    other: NDArray[np.float64],
) -> None: ...
