"""Convolution whose groups have one input channel: plane by plane, without a product.

    y[n, o, i, j]   = bias[o] + sum over (a, b) of  w[o, a, b] x[n, o // m, i*sh + a*dh - top, j*sw + b*dw - left]
    dx[n, c]        = sum over the m outputs o of c of the transposed convolution of dy[n, o] with w[o]
    dw[o, a, b]     = sum over (n, i, j) of  dy[n, o, i, j] x[n, o // m, i*sh + a*dh - top, j*sw + b*dw - left]
"""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport (
    activation_fn, depthwise_fits, depthwise_forward_band, depthwise_gradient_band, primitives, windows,
)
from npkernels._kernels.runtime cimport num_threads, parallel_for, primitives_for, workspace, workspace_done
from npkernels._kernels.scalars cimport round_to_line
from npkernels._kernels.windows cimport set_windows

cnp.import_array()

cdef enum:
    SERIAL_TAPS = 250000          # multiply-adds that are not worth a second thread

cdef struct Planes:
    const primitives* table
    windows x                     # x or dx, from its first image and channel on
    const char* y                 # y or dy
    Py_ssize_t y_image, y_channel, y_row, y_column
    const char* w                 # (oc, kh * kw), contiguous
    const char* bias
    char* result                  # y, dx (C-contiguous) or dw
    Py_ssize_t images, channels, outputs
    activation_fn activation
    char* scratch                 # of a slot: a band, a plane of x, a plane of dy, the lanes of dw
    size_t slot_bytes, band_bytes, x_bytes, y_bytes


def fits(tuple geometry):
    """Whether the kernels of this module do that geometry; others are left to the product."""
    cdef windows x
    x.w, (x.kh, x.kw, x.sh, x.sw, x.dh, x.dw, x.top, x.left, x.oh, x.ow) = 0, geometry
    return depthwise_fits(&x)


cdef size_t copy_bytes(Py_ssize_t h, Py_ssize_t w, Py_ssize_t column_stride, Py_ssize_t size) noexcept nogil:
    if column_stride == size:
        return 0
    return round_to_line(<size_t>(h * w * size))


cdef int begin(Planes* v, cnp.ndarray x, cnp.ndarray y, tuple geometry) except -1:
    cdef cnp.npy_intp s[4]
    memset(v, 0, sizeof(Planes))
    read_strides(y, s)
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.x, x, 0, geometry)
    v.y = <const char*>cnp.PyArray_DATA(y)
    v.y_image, v.y_channel, v.y_row, v.y_column = s[0], s[1], s[2], s[3]
    v.images, v.channels, v.outputs = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1], cnp.PyArray_DIMS(y)[1]
    v.x_bytes = copy_bytes(v.x.h, v.x.w, v.x.column_stride, v.table.itemsize)
    v.y_bytes = copy_bytes(v.x.oh, v.x.ow, v.y_column, v.table.itemsize)
    return 0


cdef windows plane_of_x(const Planes* v, Py_ssize_t image, Py_ssize_t channel, char* copy) noexcept nogil:
    cdef windows x = v.x
    x.x += image * x.image_stride + channel * x.channel_stride
    if v.x_bytes > 0:
        v.table.pack.rows(x.h, x.w, x.x, x.row_stride, x.column_stride, copy)
        x.x, x.row_stride, x.column_stride = copy, x.w * v.table.itemsize, v.table.itemsize
    return x


cdef const char* plane_of_y(const Planes* v, Py_ssize_t image, Py_ssize_t output, char* copy, Py_ssize_t* row) noexcept nogil:
    cdef const char* y = v.y + image * v.y_image + output * v.y_channel
    row[0] = v.y_row
    if v.y_bytes > 0:
        v.table.pack.rows(v.x.oh, v.x.ow, y, v.y_row, v.y_column, copy)
        row[0] = v.x.ow * v.table.itemsize
        return copy
    return y


cdef int run(Planes* v, void (*task)(void*, Py_ssize_t, Py_ssize_t, int) noexcept nogil, Py_ssize_t count, double cost,
             size_t slot_bytes) except -1 nogil:
    # `cost` in multiply-adds of one of `count` tasks
    cdef int threads = num_threads() if cost * count >= SERIAL_TAPS else 1
    threads = <int>max(1, min(<Py_ssize_t>threads, count))
    v.slot_bytes = round_to_line(v.band_bytes + slot_bytes)
    v.scratch = <char*>workspace(v.slot_bytes * <size_t>threads)
    if v.scratch == NULL:
        raise MemoryError("no memory for the planes of a convolution")
    parallel_for(task, v, count, <Py_ssize_t>max(1.0, min(SERIAL_TAPS / (8 * cost + 1), count / (4.0 * threads))), threads)
    workspace_done()
    return 0


cdef void forward_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Planes* v = <const Planes*>context
    cdef Py_ssize_t size = v.table.itemsize, plane = v.x.oh * v.x.ow, m = v.outputs // v.channels, r, image, output
    cdef windows x
    cdef char* band = v.scratch + <size_t>slot * v.slot_bytes
    cdef char* y
    for r in range(first, last):
        image, output = r // v.outputs, r % v.outputs
        x = plane_of_x(v, image, output // m, band + v.band_bytes)
        y = v.result + r * plane * size
        v.table.depthwise.forward(&x, v.w + output * x.kh * x.kw * size, v.bias + output * size if v.bias != NULL else NULL,
                                  y, x.ow * size, band)
        if v.activation != NULL:
            v.activation(plane, y, y, NULL)


def forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray w,           # IN (oc, kh * kw), C-contiguous
    cnp.ndarray bias,        # IN (oc,), contiguous, or None
    cnp.ndarray y,           # OUT (n, oc, oh, ow), C-contiguous, fully overwritten
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, oh, ow
    int activation=-1,
):
    cdef Planes v
    begin(&v, x, y, geometry)
    v.w, v.result = <const char*>cnp.PyArray_DATA(w), <char*>cnp.PyArray_DATA(y)
    v.band_bytes = round_to_line(<size_t>(depthwise_forward_band(&v.x, v.table.itemsize).elements * v.table.itemsize))
    if bias is not None:
        v.bias = <const char*>cnp.PyArray_DATA(bias)
    if activation >= 0:
        v.activation = v.table.activation.forward[activation]
    with nogil:
        run(&v, forward_planes, v.images * v.outputs, <double>v.x.oh * v.x.ow * v.x.kh * v.x.kw, v.x_bytes)


cdef void image_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Planes* v = <const Planes*>context
    cdef Py_ssize_t size = v.table.itemsize, m = v.outputs // v.channels, r, image, output, i, row
    cdef const char* dy
    cdef char* band = v.scratch + <size_t>slot * v.slot_bytes
    for r in range(first, last):
        for i in range(m):
            image, output = r // v.channels, r % v.channels * m + i
            dy = plane_of_y(v, image, output, band + v.band_bytes, &row)
            v.table.depthwise.image_gradient(&v.x, dy, row, v.w + output * v.x.kh * v.x.kw * size, i > 0,
                                             v.result + r * v.x.h * v.x.w * size, v.x.w * size, band)


def image_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow), oc >= c
    cnp.ndarray w,           # IN (oc, kh * kw), C-contiguous
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous, fully overwritten
    tuple geometry,
):
    cdef Planes v
    begin(&v, dx, dy, geometry)
    v.w, v.result = <const char*>cnp.PyArray_DATA(w), <char*>cnp.PyArray_DATA(dx)
    v.band_bytes = round_to_line(<size_t>(depthwise_gradient_band(&v.x, v.table.itemsize).elements * v.table.itemsize))
    with nogil:
        run(&v, image_planes, v.images * v.channels, <double>v.x.oh * v.x.ow * v.x.kh * v.x.kw * (v.outputs // v.channels),
            v.y_bytes)


cdef void weight_outputs(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # The images of an output channel one after the other, in lanes; then the lanes of each tap
    cdef const Planes* v = <const Planes*>context
    cdef Py_ssize_t size = v.table.itemsize, m = v.outputs // v.channels, taps = v.x.kh * v.x.kw, image, output, row
    cdef char* band = v.scratch + <size_t>slot * v.slot_bytes
    cdef char* x_copy = band + v.band_bytes
    cdef char* y_copy = x_copy + v.x_bytes
    cdef double* lanes = <double*>(y_copy + v.y_bytes)
    cdef const char* dy
    cdef windows x
    for output in range(first, last):
        memset(lanes, 0, <size_t>(taps * v.table.lanes) * sizeof(double))
        for image in range(v.images):
            x = plane_of_x(v, image, output // m, x_copy)
            dy = plane_of_y(v, image, output, y_copy, &row)
            v.table.depthwise.weight_lanes(&x, dy, row, lanes, band)
        v.table.depthwise.sum_lanes(taps, lanes, v.result + output * taps * size)


def weight_gradient(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray dy,          # IN (n, oc, oh, ow), oc >= c
    cnp.ndarray dw,          # OUT (oc, kh * kw), C-contiguous, fully overwritten
    tuple geometry,
):
    cdef Planes v
    begin(&v, x, dy, geometry)
    v.result = <char*>cnp.PyArray_DATA(dw)
    v.band_bytes = round_to_line(<size_t>(depthwise_forward_band(&v.x, v.table.itemsize).elements * v.table.itemsize))
    with nogil:
        run(&v, weight_outputs, v.outputs, <double>v.images * v.x.oh * v.x.ow * v.x.kh * v.x.kw,
            v.x_bytes + v.y_bytes + <size_t>(v.x.kh * v.x.kw * v.table.lanes) * sizeof(double))
