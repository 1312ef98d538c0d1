import numpy as np
from numpy.typing import NDArray

def momentum_step(
    p: NDArray[np.floating],
    g: NDArray[np.floating],
    velocity: NDArray[np.floating],
    lr: float,
    momentum: float,
    nesterov: bool,
    weight_decay: float,
) -> None: ...
