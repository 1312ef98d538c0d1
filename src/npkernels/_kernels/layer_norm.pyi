import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

def forward(
    x: Array,
    gamma: Array,
    beta: Array | None,
    groups: int,
    eps: float,
    y: Array,
    mean: Array | None,
    variance: Array,
) -> None: ...
