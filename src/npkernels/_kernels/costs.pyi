import numpy as np
from numpy.typing import NDArray

from .conv import Windows

NS: dict[str, dict[str, float]]
FORMS: dict[str, int]

def use_ns(names: dict[str, dict[str, float]]) -> None: ...
def counts(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    y: NDArray[np.floating],
    geometry: Windows,
    groups: int,
    form: str,
) -> list[float]: ...
