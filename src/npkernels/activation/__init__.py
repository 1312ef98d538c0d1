"""Activations: without parameters, with parameters, and with parameters for each channel."""
