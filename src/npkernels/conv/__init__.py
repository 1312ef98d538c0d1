"""Convolution, forward, backward and transposed, patches, and the geometry that pooling shares."""
