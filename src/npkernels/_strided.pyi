import numpy as np
from numpy.typing import NDArray

def extents_meet(a: NDArray[np.generic], b: NDArray[np.generic]) -> bool: ...
