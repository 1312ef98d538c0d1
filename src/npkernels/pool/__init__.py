"""Pooling: windows that slide, and windows far larger than the image."""
