import numpy as np
from numpy.typing import NDArray

SGD: int
MOMENTUM: int
ADAGRAD: int
RMSPROP: int
ADAM: int
ADAMW: int

def step(
    kind: int,
    p: NDArray[np.floating],
    g: NDArray[np.floating],
    first: NDArray[np.floating] | None,
    second: NDArray[np.floating] | None,
    lr: float,
    weight_decay: float,
    eps: float = 0.0,
    keep_first: float = 0.0,
    keep_second: float = 0.0,
    count: float = 0.0,
    nesterov: bool = False,
) -> None: ...
def plain(*arrays: object) -> bool: ...
def squares(g: NDArray[np.floating], scale: float) -> float: ...
def scale(g: NDArray[np.floating], factor: float) -> None: ...
