"""CPU kernels for neural networks and clustering on NumPy arrays."""

from .conv import col2im, conv2d, conv2d_backward, conv_output_size, im2col
from .linear import dense, dense_backward, matmul
from .runtime import available_isas, get_num_threads, isa, set_num_threads, show_config, threads, use_isa

__version__ = "0.1.0"

__all__ = [
    "available_isas",
    "col2im",
    "conv2d",
    "conv2d_backward",
    "conv_output_size",
    "dense",
    "dense_backward",
    "get_num_threads",
    "im2col",
    "isa",
    "matmul",
    "set_num_threads",
    "show_config",
    "threads",
    "use_isa",
]
