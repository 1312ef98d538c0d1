from npkernels._kernels.convolution cimport Convolution

# y of the direct forms, all of the same bits; the weights are rows (`weights_are_rows`).
cdef int flat_run(const Convolution* conv) except -1 nogil     # its k is no sum of parts of a channel
cdef int patches_run(const Convolution* conv) except -1 nogil
cdef int planes_run(const Convolution* conv) except -1 nogil   # 1x1 windows of whole images; planes of x and y are contiguous
# Blocks of columns of the flat form for an image: each fills runs of its own, which reach over the place of its last tap.
cdef Py_ssize_t flat_blocks(const Convolution* conv) noexcept nogil
