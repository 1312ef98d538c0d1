"""Arrays that need no check and no conversion."""
cimport numpy as cnp


cdef inline bint is_plain(object x) noexcept:
    # An ndarray and no subclass, float32 or float64 in native byte order
    if type(x) is not cnp.ndarray:
        return False
    return (cnp.PyArray_TYPE(<cnp.ndarray>x) in (cnp.NPY_FLOAT32, cnp.NPY_FLOAT64)
            and cnp.PyArray_ISNOTSWAPPED(<cnp.ndarray>x))
