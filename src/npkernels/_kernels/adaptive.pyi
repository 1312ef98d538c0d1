import numpy as np
from numpy.typing import NDArray

def forward(
    x: NDArray[np.floating], y: NDArray[np.floating], indices: NDArray[np.int32] | None, mean: bool
) -> None: ...
