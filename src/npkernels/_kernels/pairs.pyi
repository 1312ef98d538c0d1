import numpy as np
from numpy.typing import NDArray

MULTI_MARGIN: int
GAUSSIAN_KL: int
TRIPLET_MARGIN: int
COSINE: int

def rows(
    kind: int,
    inputs: tuple[NDArray[np.floating], ...],
    parameter: float,
    scale: float,
    classes: NDArray[np.int64] | None,
    dy: NDArray[np.floating] | None,
    losses: NDArray[np.floating],
    results: tuple[NDArray[np.floating], ...] | None,
) -> float: ...
def first_beyond(classes: NDArray[np.int64], count: int) -> int: ...
