"""Depthwise convolutions plane by plane: one channel a group; y or dx, w and dw in C order."""
from npkernels._kernels.convolution cimport Convolution

cdef bint rows_fit(const Convolution* conv) noexcept nogil
cdef bint weight_rows_fit(const Convolution* conv) noexcept nogil
cdef int rows_forward(const Convolution* conv) except -1 nogil
cdef int rows_image_gradient(const Convolution* conv) except -1 nogil       # without bias
cdef int rows_weight_gradient(const Convolution* conv) except -1 nogil
