"""Depthwise convolution of small planes: 16 or fewer channels of an image at a time, in the lanes of its pixels.

The same sums as in depthwise.pyx, whose rows of a plane would leave most lanes of a vector empty here; `pays` says where.
y and dx have the same bits in both forms.
"""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.primitives cimport activation_fn, pixels_forward_band, pixels_gradient_band, primitives, windows
from npkernels._kernels.product cimport ceil_div
from npkernels._kernels.runtime cimport num_threads, parallel_for, primitives_for, workspace, workspace_done
from npkernels._kernels.scalars cimport put, round_to_line
from npkernels._kernels.windows cimport set_windows

cnp.import_array()

cdef enum:
    SERIAL_TAPS = 250000          # multiply-adds that are not worth a second thread
    MOST_BYTES = 4 << 20          # of the pixels of a band, which wide padding makes large too

cdef struct Blocks:
    const primitives* table
    windows x, y                  # of the first image and channel; y or dy is seen through windows of one pixel
    const char* w                 # (c, taps), contiguous
    const char* bias
    char* result                  # y, dx or dw, C-contiguous
    Py_ssize_t images, channels, taps, blocks
    activation_fn activation
    char* scratch                 # of a slot: kernels or their sums, then pixels
    size_t slot_bytes, kernel_bytes


cdef int begin(Blocks* v, cnp.ndarray x, cnp.ndarray y, tuple geometry) except -1:
    memset(v, 0, sizeof(Blocks))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_windows(&v.x, x, 0, geometry)
    set_windows(&v.y, y, 0, (1, 1, 1, 1, 1, 1, 0, 0, v.x.oh, v.x.ow))
    v.images, v.channels, v.taps = cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1], v.x.kh * v.x.kw
    v.blocks = ceil_div(v.channels, v.table.lanes)
    v.kernel_bytes = round_to_line(<size_t>(v.taps * v.table.lanes) * sizeof(double))
    return 0


cdef enum:
    FORWARD_, IMAGE_, WEIGHTS_
FORWARD, IMAGE, WEIGHTS = FORWARD_, IMAGE_, WEIGHTS_


def pays(
    cnp.ndarray x,           # IN (n, c, h, w)
    tuple geometry,
    int result,              # FORWARD, IMAGE or WEIGHTS
):
    """Whether this form is faster than rows of planes, by the sizes of an image; costs of a plane in ns on one machine."""
    cdef Blocks v
    begin(&v, x, x, geometry)
    cdef Py_ssize_t lanes = v.table.lanes, vector_bytes = lanes * v.table.itemsize, out = v.x.oh * v.x.ow
    cdef double by_pixels = (80 + 1.76 * (v.x.h * v.x.w + out) + 0.22 * out * v.taps) * v.blocks / max(1, v.channels)
    cdef double by_rows = (30 + v.x.h * ceil_div(v.x.w, lanes * v.x.sw)
                           + 0.375 * v.x.oh * ceil_div(v.x.ow, lanes) * v.taps)
    if result == IMAGE_ and v.x.sh * v.x.sw > 1:
        by_rows += 60 + 3 * v.x.h
    if result == WEIGHTS_:
        by_rows *= 1.5
    if vector_bytes == 32:
        by_rows *= 1.15
    if max(pixels_forward_band(&v.x, vector_bytes).pixels, pixels_gradient_band(&v.x).pixels) * vector_bytes > MOST_BYTES:
        return False
    return vector_bytes == 16 or by_pixels < by_rows      # the smallest vectors have no masks


cdef int run(Blocks* v, void (*task)(void*, Py_ssize_t, Py_ssize_t, int) noexcept nogil, Py_ssize_t count,
             Py_ssize_t pixels) except -1 nogil:
    cdef double work = <double>v.images * v.channels * v.x.oh * v.x.ow * v.taps
    cdef int threads = <int>max(1, min(<Py_ssize_t>(num_threads() if work >= SERIAL_TAPS else 1), count))
    cdef Py_ssize_t grain = <Py_ssize_t>max(1.0, min(count * SERIAL_TAPS / (8 * work), count / (4.0 * threads)))
    v.slot_bytes = v.kernel_bytes + round_to_line(<size_t>(pixels * v.table.lanes * v.table.itemsize))
    v.scratch = <char*>workspace(v.slot_bytes * <size_t>threads)
    if v.scratch == NULL:
        raise MemoryError("no memory for the pixels of a convolution")
    parallel_for(task, v, count, grain, threads)
    workspace_done()
    return 0


cdef inline windows pixels_at(const windows* x, Py_ssize_t image, Py_ssize_t channel) noexcept nogil:
    cdef windows at = x[0]
    at.x += image * x.image_stride + channel * x.channel_stride
    return at


cdef inline Py_ssize_t begin_block(const Blocks* v, Py_ssize_t block, char* kernels, Py_ssize_t* channels) noexcept nogil:
    # The first channel of a block; its kernels are packed.
    cdef Py_ssize_t c = block * v.table.lanes, size = v.table.itemsize
    channels[0] = min(v.table.lanes, v.channels - c)
    v.table.pack.panel(v.taps, channels[0], v.table.lanes, v.w + c * v.taps * size, size, v.taps * size, kernels)
    return c


cdef void forward_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Blocks* v = <const Blocks*>context
    cdef Py_ssize_t size = v.table.itemsize, plane = v.x.oh * v.x.ow, task, c, channels
    cdef char* kernels = v.scratch + <size_t>slot * v.slot_bytes
    cdef char* y
    cdef windows x
    for task in range(first, last):
        c = begin_block(v, task % v.blocks, kernels, &channels)
        x = pixels_at(&v.x, task // v.blocks, c)
        y = v.result + (task // v.blocks * v.channels + c) * plane * size
        v.table.depthwise.pixels_forward(&x, channels, kernels, v.bias + c * size if v.bias != NULL else NULL, y,
                                         kernels + v.kernel_bytes)
        if v.activation != NULL:
            v.activation(channels * plane, y, y, NULL)


def forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray w,           # IN (c, kh * kw), C-contiguous
    cnp.ndarray bias,        # IN (c,), contiguous, or None
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous, fully overwritten
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, oh, ow
    int activation=-1,
):
    cdef Blocks v
    begin(&v, x, y, geometry)
    v.w, v.result = <const char*>cnp.PyArray_DATA(w), <char*>cnp.PyArray_DATA(y)
    if bias is not None:
        v.bias = <const char*>cnp.PyArray_DATA(bias)
    if activation >= 0:
        v.activation = v.table.activation.forward[activation]
    with nogil:
        run(&v, forward_blocks, v.images * v.blocks, pixels_forward_band(&v.x, v.table.lanes * v.table.itemsize).pixels)


cdef void image_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Blocks* v = <const Blocks*>context
    cdef Py_ssize_t task, c, channels
    cdef char* kernels = v.scratch + <size_t>slot * v.slot_bytes
    cdef windows dy
    for task in range(first, last):
        c = begin_block(v, task % v.blocks, kernels, &channels)
        dy = pixels_at(&v.y, task // v.blocks, c)
        v.table.depthwise.pixels_image_gradient(
            &v.x, &dy, channels, kernels,
            v.result + (task // v.blocks * v.channels + c) * v.x.h * v.x.w * v.table.itemsize, kernels + v.kernel_bytes)


def image_gradient(
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray w,           # IN (c, kh * kw), C-contiguous
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous, fully overwritten
    tuple geometry,
):
    cdef Blocks v
    begin(&v, dx, dy, geometry)
    v.w, v.result = <const char*>cnp.PyArray_DATA(w), <char*>cnp.PyArray_DATA(dx)
    with nogil:
        run(&v, image_blocks, v.images * v.blocks, pixels_gradient_band(&v.x).pixels)


cdef void weight_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # All images of a block of channels, one after the other
    cdef const Blocks* v = <const Blocks*>context
    cdef Py_ssize_t lanes = v.table.lanes, block, c, i, t, image
    cdef char* memory = v.scratch + <size_t>slot * v.slot_bytes
    cdef double* sums = <double*>memory
    cdef windows x, dy
    for block in range(first, last):
        c = block * lanes
        memset(sums, 0, v.kernel_bytes)
        for image in range(v.images):
            x, dy = pixels_at(&v.x, image, c), pixels_at(&v.y, image, c)
            v.table.depthwise.pixels_weights(&x, &dy, min(lanes, v.channels - c), sums, memory + v.kernel_bytes)
        for i in range(min(lanes, v.channels - c)):
            for t in range(v.taps):
                put(v.table, v.result, (c + i) * v.taps + t, sums[t * lanes + i])


def weight_gradient(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray dw,          # OUT (c, kh * kw), C-contiguous, fully overwritten
    tuple geometry,
):
    cdef Blocks v
    begin(&v, x, dy, geometry)
    v.result = <char*>cnp.PyArray_DATA(dw)
    with nogil:
        run(&v, weight_blocks, v.blocks, pixels_forward_band(&v.x, v.table.lanes * v.table.itemsize).pixels)
