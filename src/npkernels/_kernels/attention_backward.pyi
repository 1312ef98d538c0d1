import numpy as np
from numpy.typing import NDArray

def backward(
    dy: NDArray[np.floating],
    q: NDArray[np.floating],
    k: NDArray[np.floating],
    v: NDArray[np.floating],
    mask: NDArray[np.floating] | NDArray[np.bool_] | None,
    y: NDArray[np.floating],
    statistics: NDArray[np.floating],
    causal: bool,
    scale: float,
    dq: NDArray[np.floating],
    dk: NDArray[np.floating],
    dv: NDArray[np.floating],
) -> None: ...
