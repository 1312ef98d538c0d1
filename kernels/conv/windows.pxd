"""The windows of an operation over the images of an array."""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport windows


cdef inline void set_images(windows* v, cnp.ndarray x, Py_ssize_t channel) noexcept:
    # The images of x (n, c, h, w) from a channel on.
    cdef cnp.npy_intp s[4]
    read_strides(x, s)
    v.x = <const char*>cnp.PyArray_DATA(x) + channel * s[1]
    v.image_stride, v.channel_stride, v.row_stride, v.column_stride = s[0], s[1], s[2], s[3]
    v.h, v.w = cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3]


# Along an axis: windows or taps that start at start, start + step, start + 2 step ... and those inside 0 .. size - 1
cdef inline Py_ssize_t first_inside(Py_ssize_t start, Py_ssize_t step) noexcept nogil:
    return 0 if start >= 0 else (step - 1 - start) // step


cdef inline Py_ssize_t end_inside(Py_ssize_t start, Py_ssize_t step, Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    return 0 if start >= size else min(count, (size - 1 - start) // step + 1)


cdef inline Py_ssize_t pairs_inside(Py_ssize_t count, Py_ssize_t stride, Py_ssize_t kernel, Py_ssize_t dilation, Py_ssize_t pad,
                                    Py_ssize_t size) noexcept nogil:
    # of a window and a tap
    cdef Py_ssize_t i, start, pairs = 0
    for i in range(count):
        start = i * stride - pad
        pairs += max(<Py_ssize_t>0, end_inside(start, dilation, size, kernel) - first_inside(start, dilation))
    return pairs


cdef inline int set_windows(windows* v, cnp.ndarray x, Py_ssize_t channel, tuple geometry) except -1:
    # The windows over them.
    set_images(v, x, channel)
    v.kh, v.kw, v.sh, v.sw, v.dh, v.dw, v.top, v.left, v.oh, v.ow = geometry
