"""The windows of a pooling."""

from typing import NamedTuple


class PoolGeometry(NamedTuple):
    """Windows as kernels take them: the numbers of a convolution's `Geometry`, and the trailing pads, which count for
    the divisor of the average."""

    kh: int
    kw: int
    sh: int
    sw: int
    dh: int
    dw: int
    top: int
    left: int
    oh: int
    ow: int
    bottom: int
    right: int

    def axes(self, h, w):
        """For rows and for columns of an image: size, kernel, stride, dilation, number of windows, pads."""
        return (
            (h, self.kh, self.sh, self.dh, self.oh, self.top, self.bottom),
            (w, self.kw, self.sw, self.dw, self.ow, self.left, self.right),
        )
