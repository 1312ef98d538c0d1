"""The windows of an operation over the images of an array."""
cimport numpy as cnp

from npkernels._primitives cimport windows


cdef inline void set_images(windows* v, cnp.ndarray x, Py_ssize_t channel) noexcept:
    # The images of x (n, c, h, w) from a channel on.
    cdef cnp.npy_intp* s = cnp.PyArray_STRIDES(x)
    v.x = <const char*>cnp.PyArray_DATA(x) + channel * s[1]
    v.image_stride, v.channel_stride, v.row_stride, v.column_stride = s[0], s[1], s[2], s[3]
    v.h, v.w = cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3]


cdef inline int set_windows(windows* v, cnp.ndarray x, Py_ssize_t channel, tuple geometry) except -1:
    # The windows over them.
    set_images(v, x, channel)
    v.kh, v.kw, v.sh, v.sw, v.dh, v.dw, v.top, v.left, v.oh, v.ow = geometry
