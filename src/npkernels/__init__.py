"""CPU kernels for neural networks and clustering on NumPy arrays."""

from .linear import dense, dense_backward, matmul

__version__ = "0.1.0"

__all__ = ["dense", "dense_backward", "matmul"]
