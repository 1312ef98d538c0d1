"""The planes of an array (n, c, h, w), one after the other."""
cimport numpy as cnp

cdef enum:
    POOL_GRAIN = 65536                       # elements of the input that are worth a thread

cdef struct Planes:
    const char* data
    Py_ssize_t channels, image, channel, row, column         # strides in bytes


cdef inline void set_planes(Planes* v, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(x)
    v.data, v.channels = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[1]
    v.image, v.channel, v.row, v.column = s[0], s[1], s[2], s[3]


cdef inline const char* plane_at(const Planes* v, Py_ssize_t index) noexcept nogil:
    return v.data + index // v.channels * v.image + index % v.channels * v.channel
