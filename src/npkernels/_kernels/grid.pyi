import numpy as np
from numpy.typing import NDArray

PADDINGS: dict[str, int]
MOST_PIXELS: int

def forward(
    x: NDArray[np.floating],
    grid: NDArray[np.floating],
    y: NDArray[np.floating],
    nearest: bool,
    padding: int,
    align_corners: bool,
) -> None: ...
def backward(
    dy: NDArray[np.floating],
    x: NDArray[np.floating],
    grid: NDArray[np.floating],
    dx: NDArray[np.floating] | None,
    dgrid: NDArray[np.floating] | None,
    nearest: bool,
    padding: int,
    align_corners: bool,
) -> None: ...
def affine(
    theta: NDArray[np.floating], columns: NDArray[np.floating], lines: NDArray[np.float64], grid: NDArray[np.floating]
) -> None: ...
