from npkernels._kernels.convolution cimport Convolution

# dw of one group with 1x1 windows of whole images, in C order.
cdef int plane_products_run(const Convolution* conv) except -1 nogil
