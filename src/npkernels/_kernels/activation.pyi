from typing import Any

import numpy as np
from numpy.typing import NDArray

FUNCTIONS: dict[str, int]

def forward(
    function: int,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    parameters: tuple[float, ...] | None = None,
) -> None: ...
def forward_plain(function: int, x: object, parameters: tuple[float, ...] | None = None) -> NDArray[Any] | None: ...
def glu(a: NDArray[np.floating], b: NDArray[np.floating], y: NDArray[np.floating]) -> None: ...
def glu_backward(
    dy: NDArray[np.floating],
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    da: NDArray[np.floating],
    db: NDArray[np.floating],
) -> None: ...
def backward(
    function: int,
    dy: NDArray[np.floating],
    x: NDArray[np.floating],
    dx: NDArray[np.floating],
    parameters: tuple[float, ...] | None = None,
    from_output: bool = False,
) -> None: ...
