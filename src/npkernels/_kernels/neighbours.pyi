import numpy as np
from numpy.typing import NDArray

FOUND: int
NOT_FINITE: int
OVERFLOW: int
EXTREME: int

def search(
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    kind: int,
    values: NDArray[np.floating],
    indices: NDArray[np.int32],
) -> int: ...
