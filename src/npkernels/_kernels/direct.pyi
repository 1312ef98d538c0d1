import numpy as np
from numpy.typing import NDArray

# kh, kw, sh, sw, dh, dw, top, left, oh, ow
Geometry = tuple[int, int, int, int, int, int, int, int, int, int]

WINOGRAD_CHANNELS: int
FORMS: dict[str, int]

def conv2d_plain(
    x: object, w: object, b: object, stride: object, padding: object, dilation: object, groups: object, activation: int
) -> NDArray[np.floating] | None: ...
def forward(
    x: NDArray[np.floating],
    w: NDArray[np.floating],
    bias: NDArray[np.floating] | None,
    y: NDArray[np.floating],
    geometry: Geometry,
    groups: int = 1,
    activation: int = -1,
    form: int = 3,
) -> None: ...
