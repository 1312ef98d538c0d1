import numpy as np
from numpy.typing import NDArray

def assign(
    x: NDArray[np.floating],
    mean: NDArray[np.floating],
    centred: NDArray[np.floating],
    start: NDArray[np.floating],
    best: NDArray[np.floating],
    labels: NDArray[np.int32],
) -> None: ...
def squared_distances(
    x: NDArray[np.floating],
    centroids: NDArray[np.floating],
    labels: NDArray[np.int32],
    distances: NDArray[np.floating],
) -> None: ...
def accumulate(
    x: NDArray[np.floating],
    centroids: NDArray[np.floating],
    labels: NDArray[np.int32],
    weights: NDArray[np.float64] | None,
    sums: NDArray[np.float64],
    counts: NDArray[np.float64],
    inertia: NDArray[np.float64],
) -> None: ...
