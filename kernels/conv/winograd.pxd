from npkernels._kernels.convolution cimport Convolution

# y of one group with 3x3 or 5x5 windows at stride and dilation 1, taps one step apart in w. Raises a flag of `uneven` for each
# image whose pixels, or of all whose kernels, are not even: their y is not valid.
cdef int winograd_run(const Convolution* conv, char* uneven) except -1 nogil
# Nanoseconds of one thread for y or dw
cdef double winograd_work(const Convolution* conv) noexcept nogil
