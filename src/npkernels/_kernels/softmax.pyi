import numpy as np
from numpy.typing import NDArray

def forward(x: NDArray[np.floating], y: NDArray[np.floating], log: bool) -> None: ...
def backward(dy: NDArray[np.floating], y: NDArray[np.floating], dx: NDArray[np.floating], log: bool) -> None: ...
def cross_entropy(
    x: NDArray[np.floating],
    classes: NDArray[np.int64] | None,
    target: NDArray[np.floating] | None,
    weight: NDArray[np.floating] | None,
    base: NDArray[np.floating] | None,
    smoothing: float,
    ignored: int | None,
    mean: bool,
    dx: NDArray[np.floating] | None,
    losses: NDArray[np.floating],
) -> tuple[float, float, int]: ...
