import numpy as np
from numpy.typing import NDArray

BINARY_CROSS_ENTROPY_WITH_LOGITS: int
MSE_LOSS: int
L1_LOSS: int
HUBER_LOSS: int
KL_DIV: int
SIGMOID_FOCAL_LOSS: int

def loss(
    kind: int,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    weight: NDArray[np.floating] | None,
    parameters: tuple[float, float],
    divisor: float,
    losses: NDArray[np.floating] | None,
    gradient: NDArray[np.floating] | None,
) -> np.floating: ...
