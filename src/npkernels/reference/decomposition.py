"""Principal components."""

import numpy as np


def pca(x):
    """(mean (d,), components (r, d), variances (r,)) of x (n, d), r = min(n, d), in descending order of variance."""
    mean = x.mean(0)
    _, values, components = np.linalg.svd(x - mean, full_matrices=False)
    largest = abs(components).argmax(1)
    signs = np.where(components[np.arange(len(components)), largest] < 0, -1, 1)
    return mean, components * signs[:, None], values**2 / (len(x) - 1)
