"""Which windows, taps and elements of an axis meet."""

cdef extern from "axis.h" nogil:
    ctypedef struct interval:
        Py_ssize_t first, last
    interval inside(Py_ssize_t size, Py_ssize_t start, Py_ssize_t step, Py_ssize_t count)
    interval windows_that_see(Py_ssize_t first, Py_ssize_t last, Py_ssize_t begin, Py_ssize_t kernel, Py_ssize_t stride,
                              Py_ssize_t count)
