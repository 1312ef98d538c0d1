"""Where pickles look that were made before the package had rooms."""

from .cluster.kmeans import KMeans as KMeans
