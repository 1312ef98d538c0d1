"""Softmax, and the cross-entropy of what it gives."""
