import numpy as np
from numpy.typing import NDArray

from .direct import Geometry

def by_columns(
    dy: NDArray[np.floating],
    w: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    dx: NDArray[np.floating],
    geometry: Geometry,
    groups: int,
) -> None: ...
def turned_weights(
    w: NDArray[np.floating], groups: int, rows: tuple[int, int, int], columns: tuple[int, int, int]
) -> NDArray[np.floating]: ...
