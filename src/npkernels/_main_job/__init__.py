"""The three parts of `python -m npkernels`: the table of kernels, a small CNN, and k-means, all on the digits."""
