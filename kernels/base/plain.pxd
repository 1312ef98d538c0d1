"""Arrays and numbers that need no check and no conversion: Python's checks cost more than a small kernel."""
cimport numpy as cnp
from cpython.long cimport PyLong_AsLongAndOverflow, PyLong_CheckExact

cdef enum:
    PLAIN_MOST = 1 << 24          # no sum or product of two such numbers overflows


cdef inline bint is_plain(object x) noexcept:
    # An ndarray and no subclass, float32 or float64 in native byte order
    if type(x) is not cnp.ndarray:
        return False
    return (cnp.PyArray_TYPE(<cnp.ndarray>x) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
            and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>x))


cdef inline Py_ssize_t plain_size(object x) except? -1:
    # An int of 0 to PLAIN_MOST, or -1
    cdef int overflow = 0
    cdef long value
    if not PyLong_CheckExact(x):
        return -1
    value = PyLong_AsLongAndOverflow(x, &overflow)
    return value if overflow == 0 and 0 <= value <= PLAIN_MOST else -1


cdef inline Py_ssize_t plain_positions(Py_ssize_t size, Py_ssize_t kernel, Py_ssize_t stride, Py_ssize_t pad,
                                       Py_ssize_t dilation) noexcept:
    # of a window along an axis (src/npkernels/conv/windows.py), or 0 where Python shall count them or say what is wrong
    cdef Py_ssize_t span = size + 2 * pad - dilation * (kernel - 1) - 1
    if min(size, min(kernel, min(stride, dilation))) < 1 or pad < 0 or max(size, kernel) > PLAIN_MOST or span < 0:
        return 0
    return span // stride + 1
