"""The compiled modules (kernels/): what the functions and estimators of the package call."""
