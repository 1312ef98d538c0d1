"""Programs that use the package for what it is made for: `python -m npkernels.examples.NAME --help`."""
