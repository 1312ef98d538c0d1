import numpy as np
from numpy.typing import NDArray

CONSTANT: int
REFLECT: int
REPLICATE: int
CIRCULAR: int

# start, pixel, weight
Taps = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.floating]]

def interpolating(size: int, count: int, factor: float, align_corners: bool, antialias: bool, typenum: int) -> Taps: ...
def nearest(size: int, count: int, factor: float, typenum: int) -> Taps: ...
def padding(size: int, before: int, after: int, mode: int, typenum: int) -> Taps: ...
def adjoint(taps: Taps, size: int) -> Taps: ...
