import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

def forward(x: Array, gamma: Array, beta: Array, eps: float, y: Array, mean: Array, variance: Array) -> None: ...
def backward(
    dy: Array, x: Array, gamma: Array, mean: Array, variance: Array, eps: float, dx: Array, dgamma: Array, dbeta: Array
) -> None: ...
