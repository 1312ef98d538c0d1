import numpy as np
from numpy.typing import NDArray

PRELU: int
BRELU: int
SRELU: int
APL: int

def forward(
    function: int,
    x: NDArray[np.floating],
    parameters: NDArray[np.floating],
    inner: int,
    y: NDArray[np.floating],
) -> None: ...
def backward(
    function: int,
    dy: NDArray[np.floating],
    x: NDArray[np.floating],
    parameters: NDArray[np.floating],
    inner: int,
    dx: NDArray[np.floating],
    sums: NDArray[np.float64] | None = None,
) -> None: ...
def maxout(
    x: NDArray[np.floating],
    axis: int,
    pieces: int,
    y: NDArray[np.floating],
    which: NDArray[np.int32],
) -> None: ...
def maxout_backward(
    dy: NDArray[np.floating],
    which: NDArray[np.int32],
    axis: int,
    pieces: int,
    dx: NDArray[np.floating],
) -> None: ...
def scaled(x: NDArray[np.floating], slopes: NDArray[np.floating], y: NDArray[np.floating]) -> None: ...
def scaled_backward(
    dy: NDArray[np.floating],
    x: NDArray[np.floating],
    slopes: NDArray[np.floating],
    dx: NDArray[np.floating],
) -> None: ...
