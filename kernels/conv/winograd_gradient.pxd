from npkernels._kernels.convolution cimport Convolution

# dw of one group with 3x3 or 5x5 windows at stride and dilation 1; whether the pixels were even, else dw is not valid.
cdef int winograd_weights_run(const Convolution* conv) except -1 nogil
