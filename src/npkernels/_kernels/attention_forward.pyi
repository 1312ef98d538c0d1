import numpy as np
from numpy.typing import NDArray

def forward(
    q: NDArray[np.floating],
    k: NDArray[np.floating],
    v: NDArray[np.floating],
    mask: NDArray[np.floating] | NDArray[np.bool_] | None,
    causal: bool,
    scale: float,
    y: NDArray[np.floating],
    statistics: NDArray[np.floating],
) -> None: ...
