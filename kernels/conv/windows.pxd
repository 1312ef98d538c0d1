"""Which windows and taps of an axis meet the image."""

from npkernels._kernels.axis cimport inside, interval


cdef inline Py_ssize_t pairs_inside(Py_ssize_t count, Py_ssize_t stride, Py_ssize_t kernel, Py_ssize_t dilation, Py_ssize_t pad,
                                    Py_ssize_t size) noexcept nogil:
    # of a window and a tap
    cdef Py_ssize_t i, pairs = 0
    cdef interval taps
    for i in range(count):
        taps = inside(size, i * stride - pad, dilation, kernel)
        pairs += taps.last - taps.first
    return pairs
