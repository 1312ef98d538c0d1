"""Where the elements of an array lie: the one place at which the steps of an array enter the kernels."""
cimport numpy as cnp

cdef enum:
    MOST_AXES = 64                # that NumPy allows


cdef inline void read_strides(cnp.ndarray x, cnp.npy_intp* strides) noexcept:
    # The bytes from an element to the next one along each axis. NumPy lets that of an axis of length 1 be anything: a[..., None]
    # has 0, a window 2**40. Nobody steps along such an axis, but address arithmetic and tests of contiguity would believe it:
    # here it spans the axes behind it, as in C order. The same goes for all axes of an array without elements.
    cdef const cnp.npy_intp* shape = cnp.PyArray_DIMS(x)
    cdef const cnp.npy_intp* given = cnp.PyArray_STRIDES(x)
    cdef cnp.npy_intp span = cnp.PyArray_ITEMSIZE(x)
    cdef int axes = cnp.PyArray_NDIM(x), i
    cdef bint empty = False
    for i in range(axes):
        strides[i] = span
        empty |= shape[i] == 0
    if empty:
        return
    for i in range(axes - 1, -1, -1):
        if shape[i] == 1:
            strides[i] = span
        else:
            strides[i] = given[i]
            span = max(span, shape[i] * (given[i] if given[i] > 0 else -given[i]))
