"""Depthwise convolutions with channels in the lanes: one channel and one output a group; y or dx, w and dw in C order."""
from npkernels._kernels.convolution cimport Convolution

cdef bint pixels_fit(const Convolution* conv) noexcept nogil
cdef int pixels_forward(const Convolution* conv) except -1 nogil
cdef int pixels_image_gradient(const Convolution* conv) except -1 nogil       # without bias
cdef int pixels_weight_gradient(const Convolution* conv) except -1 nogil
