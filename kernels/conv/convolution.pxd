"""A convolution as all its forms see it: where its operands lie, and the windows between them.

    y[n, (g, o), i, j] = bias[(g, o)]
                         + sum over (c, a, b) of  w[g, o, c, a, b] x[n, (g, c), i*sh + a*dh - top, j*sw + b*dw - left]
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport activation_fn, primitives, windows
from npkernels._kernels.runtime cimport primitives_for, work_of

cdef struct Images:
    # (channels, h, w) of each image; strides in bytes
    char* data
    Py_ssize_t image, channel, row, column

cdef struct Weights:
    # w[g, o, c, a, b]; strides in bytes. Turned: the taps count from the last to the first.
    char* data
    Py_ssize_t group, output, channel, row, column
    bint turned

cdef struct Convolution:
    int typenum
    const primitives* table
    windows x                                     # over x, or over dx
    Images y                                      # or dy
    Weights w                                     # or dw, in C order
    const char* bias                              # (groups * outputs,) of y, (groups * channels,) of dx, or NULL
    activation_fn activation                      # NULL: none
    Py_ssize_t images, groups, channels, outputs  # channels and outputs of a group


cdef inline void set_images(windows* v, cnp.ndarray x) noexcept:
    # The images of x (n, c, h, w).
    cdef cnp.npy_intp s[4]
    read_strides(x, s)
    v.x = <const char*>cnp.PyArray_DATA(x)
    v.image_stride, v.channel_stride, v.row_stride, v.column_stride = s[0], s[1], s[2], s[3]
    v.h, v.w = cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3]


cdef inline int set_windows(windows* v, cnp.ndarray x, object geometry) except -1:
    # The windows over them; geometry: a `Geometry` (src/npkernels/conv/geometry.py), or a tuple like it
    set_images(v, x)
    v.kh, v.kw, v.sh, v.sw, v.dh, v.dw, v.top, v.left, v.oh, v.ow = <tuple>geometry


cdef inline void set_operands(Convolution* conv, cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, cnp.ndarray y,
                              Py_ssize_t groups) noexcept:
    # All but the windows. x (n, c, h, w), w (oc, c/groups, kh, kw), bias contiguous or None, y (n, oc, oh, ow)
    cdef cnp.npy_intp s[4]
    cdef const cnp.npy_intp* shape = cnp.PyArray_DIMS(w)
    conv.typenum, conv.table = cnp.PyArray_TYPE(x), primitives_for(cnp.PyArray_TYPE(x))
    conv.images, conv.groups, conv.channels, conv.outputs = cnp.PyArray_DIMS(x)[0], groups, shape[1], shape[0] // groups
    read_strides(y, s)
    conv.y.data, conv.y.image, conv.y.channel, conv.y.row, conv.y.column = <char*>cnp.PyArray_DATA(y), s[0], s[1], s[2], s[3]
    read_strides(w, s)
    conv.w.data, conv.w.group, conv.w.turned = <char*>cnp.PyArray_DATA(w), conv.outputs * s[0], False
    conv.w.output, conv.w.channel, conv.w.row, conv.w.column = s[0], s[1], s[2], s[3]
    conv.bias, conv.activation = NULL, NULL
    if bias is not None:
        conv.bias = <const char*>cnp.PyArray_DATA(bias)


cdef inline bint is_empty(const Convolution* conv) noexcept nogil:
    # Has the result no element, or its sums no term?
    return conv.images * conv.groups * conv.channels * conv.outputs == 0 or conv.x.h * conv.x.w == 0


cdef inline double multiply_adds(const Convolution* conv) noexcept nogil:
    return (<double>conv.images * conv.groups * conv.outputs * conv.channels * conv.x.oh * conv.x.ow * conv.x.kh * conv.x.kw)


cdef inline double convolution_work(const Convolution* conv) noexcept nogil:
    # Nanoseconds of one thread for y, dx or dw, without Winograd's form
    cdef double bytes = <double>conv.images * conv.table.itemsize * (
        conv.groups * conv.channels * conv.x.h * conv.x.w + conv.groups * conv.outputs * conv.x.oh * conv.x.ow)
    return work_of(conv.table, 2 * multiply_adds(conv), bytes)


cdef inline Convolution group_of(const Convolution* conv, Py_ssize_t group) noexcept nogil:
    cdef Convolution one = conv[0]
    one.x.x += group * conv.channels * conv.x.channel_stride
    one.y.data += group * conv.outputs * conv.y.channel
    one.w.data += group * conv.w.group
    if conv.bias != NULL:
        one.bias += group * conv.outputs * conv.table.itemsize
    one.groups = 1
    return one


cdef inline Convolution image_of(const Convolution* conv, Py_ssize_t image) noexcept nogil:
    cdef Convolution one = conv[0]
    one.x.x += image * conv.x.image_stride
    one.y.data += image * conv.y.image
    one.images = 1
    return one


cdef inline bint weights_are_rows(const Convolution* conv) noexcept nogil:
    # Are those of an output (c, a, b) one step apart, in the order of the windows' taps?
    cdef const Weights* w = &conv.w
    cdef Py_ssize_t taps = conv.x.kh * conv.x.kw
    return taps == 1 or (not w.turned and w.row == conv.x.kw * w.column and w.channel == taps * w.column)


cdef inline Py_ssize_t step_of_rows(const Convolution* conv) noexcept nogil:
    return conv.w.channel if conv.x.kh * conv.x.kw == 1 else conv.w.column


cdef inline windows windows_of_y(const Convolution* conv) noexcept nogil:
    # y as images, whose windows are pixels
    cdef windows v
    v.x, v.h, v.w = conv.y.data, conv.x.oh, conv.x.ow
    v.image_stride, v.channel_stride, v.row_stride, v.column_stride = conv.y.image, conv.y.channel, conv.y.row, conv.y.column
    v.kh = v.kw = v.sh = v.sw = v.dh = v.dw = 1
    v.top = v.left = 0
    v.oh, v.ow = v.h, v.w
    return v
