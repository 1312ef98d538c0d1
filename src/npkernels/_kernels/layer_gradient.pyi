import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

def backward(
    dy: Array,
    x: Array,
    gamma: Array,
    groups: int,
    mean: Array | None,
    variance: Array,
    eps: float,
    dx: Array,
    dgamma: Array,
    dbeta: Array | None,
) -> None: ...
