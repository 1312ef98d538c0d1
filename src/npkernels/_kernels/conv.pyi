from typing import Any

import numpy as np
from numpy.typing import NDArray

# A Geometry: kh, kw, sh, sw, dh, dw, top, left, oh, ow
Windows = tuple[int, int, int, int, int, int, int, int, int, int]

def conv2d_plain(
    x: object, w: object, b: object, stride: object, padding: object, dilation: object, activation: int
) -> NDArray[Any] | None: ...
def forward(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    y: NDArray[np.floating],
    geometry: Windows,
    groups: int = 1,
    activation: int = -1,
    form: int = 0,
) -> None: ...
def image_gradient(
    dy: NDArray[np.floating],
    w: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    dx: NDArray[np.floating],
    geometry: Windows,
    groups: int = 1,
    form: int = 0,
) -> None: ...
def weight_gradient(
    dy: NDArray[np.floating],
    x: NDArray[np.floating],
    dw: NDArray[np.floating],
    geometry: Windows,
    groups: int = 1,
    form: int = 0,
) -> None: ...
