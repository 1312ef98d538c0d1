"""Depthwise convolution of small planes: 16 or fewer channels of an image at a time, in the lanes of its pixels.

The same sums as in depthwise.pyx, whose rows of a plane would leave most lanes of a vector empty here.
y and dx have the same bits in both forms.
"""
from libc.string cimport memset

from npkernels._kernels.convolution cimport Convolution, convolution_work, windows_of_y
from npkernels._kernels.depthwise cimport rows_fit
from npkernels._kernels.primitives cimport pixels_forward_band, pixels_gradient_band, primitives, windows
from npkernels._kernels.runtime cimport Team, slot_of, task_fn, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line

cdef enum:
    DEPTHWISE_TIME = 2            # times as long as a product takes for as many multiply-adds
    MOST_BYTES = 4 << 20          # of the pixels of a band, which wide padding makes large too

cdef struct Blocks:
    Convolution conv
    const primitives* table
    windows y                     # y or dy is seen through windows of one pixel
    Py_ssize_t channels, taps, blocks
    Team team                     # of a slot: kernels or their sums, then pixels
    size_t kernel_bytes


cdef bint pixels_fit(const Convolution* conv) noexcept nogil:
    cdef Py_ssize_t vector_bytes = conv.table.lanes * conv.table.itemsize
    return (rows_fit(conv) and conv.outputs == 1
            and max(pixels_forward_band(&conv.x, vector_bytes).pixels, pixels_gradient_band(&conv.x).pixels) * vector_bytes
            <= MOST_BYTES)


cdef void set_blocks(Blocks* form, const Convolution* conv) noexcept nogil:
    form.conv, form.table, form.y = conv[0], conv.table, windows_of_y(conv)
    form.channels, form.taps, form.blocks = conv.groups, conv.x.kh * conv.x.kw, ceil_div(conv.groups, conv.table.lanes)
    form.kernel_bytes = round_to_line(<size_t>(form.taps * form.table.lanes) * sizeof(double))


cdef int run_blocks(Blocks* form, task_fn task, Py_ssize_t count, Py_ssize_t pixels) except -1 nogil:
    cdef double work = DEPTHWISE_TIME * convolution_work(&form.conv)
    team_begin(&form.team, work, count, 0, form.kernel_bytes + <size_t>(pixels * form.table.lanes * form.table.itemsize))
    team_run(&form.team, task, form, count, work)
    team_end()
    return 0


cdef inline windows pixels_at(const windows* x, Py_ssize_t image, Py_ssize_t channel) noexcept nogil:
    cdef windows at = x[0]
    at.x += image * x.image_stride + channel * x.channel_stride
    return at


cdef inline Py_ssize_t begin_block(const Blocks* form, Py_ssize_t block, char* kernels, Py_ssize_t* channels) noexcept nogil:
    # The first channel of a block; its kernels are packed.
    cdef Py_ssize_t c = block * form.table.lanes, size = form.table.itemsize
    channels[0] = min(form.table.lanes, form.channels - c)
    form.table.pack.panel(form.taps, channels[0], form.table.lanes, form.conv.w.data + c * form.taps * size, size,
                          form.taps * size, kernels)
    return c


cdef void forward_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Blocks* form = <const Blocks*>context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t size = form.table.itemsize, plane = conv.x.oh * conv.x.ow, task, c, channels
    cdef char* kernels = slot_of(&form.team, slot)
    cdef char* y
    cdef windows x
    for task in range(first, last):
        c = begin_block(form, task % form.blocks, kernels, &channels)
        x = pixels_at(&conv.x, task // form.blocks, c)
        y = conv.y.data + (task // form.blocks * form.channels + c) * plane * size
        form.table.depthwise.pixels_forward(&x, channels, kernels, conv.bias + c * size if conv.bias != NULL else NULL, y,
                                            kernels + form.kernel_bytes)
        if conv.activation != NULL:
            conv.activation(channels * plane, y, y, NULL)


cdef int pixels_forward(const Convolution* conv) except -1 nogil:
    cdef Blocks form
    set_blocks(&form, conv)
    return run_blocks(&form, forward_blocks, conv.images * form.blocks,
                      pixels_forward_band(&conv.x, form.table.lanes * form.table.itemsize).pixels)


cdef void image_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Blocks* form = <const Blocks*>context
    cdef const windows* x = &form.conv.x
    cdef Py_ssize_t task, c, channels
    cdef char* kernels = slot_of(&form.team, slot)
    cdef windows dy
    for task in range(first, last):
        c = begin_block(form, task % form.blocks, kernels, &channels)
        dy = pixels_at(&form.y, task // form.blocks, c)
        form.table.depthwise.pixels_image_gradient(
            x, &dy, channels, kernels, <char*>x.x + (task // form.blocks * form.channels + c) * x.h * x.w * form.table.itemsize,
            kernels + form.kernel_bytes)


cdef int pixels_image_gradient(const Convolution* conv) except -1 nogil:
    cdef Blocks form
    set_blocks(&form, conv)
    return run_blocks(&form, image_blocks, conv.images * form.blocks, pixels_gradient_band(&conv.x).pixels)


cdef void weight_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # All images of a block of channels, one after the other
    cdef const Blocks* form = <const Blocks*>context
    cdef Py_ssize_t lanes = form.table.lanes, block, c, i, t, image
    cdef char* memory = slot_of(&form.team, slot)
    cdef double* sums = <double*>memory
    cdef windows x, dy
    for block in range(first, last):
        c = block * lanes
        memset(sums, 0, form.kernel_bytes)
        for image in range(form.conv.images):
            x, dy = pixels_at(&form.conv.x, image, c), pixels_at(&form.y, image, c)
            form.table.depthwise.pixels_weights(&x, &dy, min(lanes, form.channels - c), sums, memory + form.kernel_bytes)
        for i in range(min(lanes, form.channels - c)):
            for t in range(form.taps):
                put(form.table, form.conv.w.data, (c + i) * form.taps + t, sums[t * lanes + i])


cdef int pixels_weight_gradient(const Convolution* conv) except -1 nogil:
    cdef Blocks form
    set_blocks(&form, conv)
    return run_blocks(&form, weight_blocks, form.blocks,
                      pixels_forward_band(&conv.x, form.table.lanes * form.table.itemsize).pixels)
