import numpy as np
from numpy.typing import NDArray

def backward(dy: NDArray[np.floating], dx: NDArray[np.floating]) -> None: ...
