"""Distances between rows, the nearest rows, and how well clusters are apart."""
