import numpy as np
from numpy.typing import NDArray

def nll_loss(
    x: NDArray[np.floating],
    classes: NDArray[np.int64],
    weight: NDArray[np.floating] | None,
    ignored: int | None,
    mean: bool,
    dx: NDArray[np.floating] | None,
    losses: NDArray[np.floating],
) -> tuple[float, float, int]: ...
