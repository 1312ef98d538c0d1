import numpy as np
from numpy.typing import NDArray

from ._conv import Geometry
from ._depthwise import forward as forward
from ._depthwise import image_gradient as image_gradient
from ._depthwise import weight_gradient as weight_gradient

FORWARD: int
IMAGE: int
WEIGHTS: int

def pays(x: NDArray[np.floating], geometry: Geometry, result: int) -> bool: ...
