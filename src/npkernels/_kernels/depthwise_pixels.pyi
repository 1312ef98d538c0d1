import numpy as np
from numpy.typing import NDArray

from .depthwise import forward as forward, image_gradient as image_gradient, weight_gradient as weight_gradient
from .direct import Geometry

FORWARD: int
IMAGE: int
WEIGHTS: int

def pays(x: NDArray[np.floating], geometry: Geometry, result: int) -> bool: ...
