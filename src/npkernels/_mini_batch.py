"""Where pickles look that were made before the package had rooms."""

from .cluster.mini_batch import MiniBatchKMeans as MiniBatchKMeans
