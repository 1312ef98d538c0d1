import numpy as np
from numpy.typing import NDArray

def triangle(
    x: NDArray[np.floating],
    near: NDArray[np.floating] | None,
    sums: NDArray[np.float64] | None,
    totals: NDArray[np.float64],
    ranges: int,
) -> None: ...
