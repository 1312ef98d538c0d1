from npkernels._kernels.convolution cimport Convolution

# dw, in C order; images, channels and outputs are not 0.
cdef int sums_run(const Convolution* conv) except -1 nogil
