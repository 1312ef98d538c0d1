"""Layers and training on the kernels, as objects."""

from .layer import Layer as Layer

__all__ = ["Layer"]
