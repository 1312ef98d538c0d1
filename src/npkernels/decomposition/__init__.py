"""Principal components."""

from .pca import PCA as PCA
