"""CPU kernels for neural networks and clustering on NumPy arrays."""

from .conv import col2im, conv2d, conv2d_backward, conv_output_size, im2col
from .linear import dense, dense_backward, matmul

__version__ = "0.1.0"

__all__ = [
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "dense",
    "dense_backward",
    "im2col",
    "matmul",
]
