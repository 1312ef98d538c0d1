"""Recurrent layers and backpropagation through time."""
