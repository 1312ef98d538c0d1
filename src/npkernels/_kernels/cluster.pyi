import numpy as np
from numpy.typing import NDArray

def assign(
    x: NDArray[np.floating],
    centroids: NDArray[np.floating],
    labels: NDArray[np.int32],
    distances: NDArray[np.floating] | None = None,
) -> bool: ...
def accumulate(
    x: NDArray[np.floating],
    centroids: NDArray[np.floating],
    weights: NDArray[np.float64] | None,
    labels: NDArray[np.int32],
    sums: NDArray[np.float64] | None,
    counts: NDArray[np.float64],
    inertia: NDArray[np.float64] | None,
    ranges: int,
    distances: NDArray[np.floating] | None = None,
) -> bool: ...
