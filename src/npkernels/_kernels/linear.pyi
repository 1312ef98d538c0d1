from typing import Any

import numpy as np
from numpy.typing import NDArray

def product(
    a: NDArray[np.floating],
    b: NDArray[np.floating],
    c: NDArray[np.floating],
    a_transposed: bool,
    b_transposed: bool,
    bias: NDArray[np.floating] | None = None,
    activation: int = -1,
    chained: bool = False,
) -> None: ...
def products(
    a: NDArray[np.floating], b: NDArray[np.floating], c: NDArray[np.floating], chained: bool = False
) -> None: ...
def dense_plain(x: object, w: object, b: object, activation: int) -> NDArray[Any] | None: ...
