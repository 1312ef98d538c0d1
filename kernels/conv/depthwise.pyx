"""Convolution whose groups have one input channel: plane by plane, without a product.

    y[n, o, i, j]   = bias[o] + sum over (a, b) of  w[o, a, b] x[n, o // m, i*sh + a*dh - top, j*sw + b*dw - left]
    dx[n, c]        = sum over the m outputs o of c of the transposed convolution of dy[n, o] with w[o]
    dw[o, a, b]     = sum over (n, i, j) of  dy[n, o, i, j] x[n, o // m, i*sh + a*dh - top, j*sw + b*dw - left]
"""
from libc.string cimport memset

from npkernels._kernels.convolution cimport Convolution, Images, convolution_work
from npkernels._kernels.primitives cimport (
    depthwise_band, depthwise_fits, depthwise_forward_band, depthwise_gradient_band, primitives, windows,
)
from npkernels._kernels.runtime cimport Team, slot_of, task_fn, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cdef enum:
    DEPTHWISE_TIME = 2            # times as long as a product takes for as many multiply-adds

cdef struct Planes:
    Convolution conv
    const primitives* table
    Team team                     # of a slot: a band, a plane of x, a plane of dy, the lanes of dw
    size_t band_bytes, x_bytes, y_bytes


cdef bint rows_fit(const Convolution* conv) noexcept nogil:
    return conv.channels == 1 and conv.x.top >= 0 and conv.x.left >= 0 and depthwise_fits(&conv.x)


cdef size_t copy_bytes(Py_ssize_t h, Py_ssize_t w, Py_ssize_t column_stride, Py_ssize_t size) noexcept nogil:
    if column_stride == size:
        return 0
    return round_to_line(<size_t>(h * w * size))


cdef void set_planes(Planes* form, const Convolution* conv, depthwise_band band) noexcept nogil:
    form.conv, form.table = conv[0], conv.table
    form.band_bytes = round_to_line(<size_t>(band.elements * form.table.itemsize))
    form.x_bytes = copy_bytes(conv.x.h, conv.x.w, conv.x.column_stride, form.table.itemsize)
    form.y_bytes = copy_bytes(conv.x.oh, conv.x.ow, conv.y.column, form.table.itemsize)


cdef windows plane_of_x(const Planes* form, Py_ssize_t image, Py_ssize_t channel, char* copy) noexcept nogil:
    cdef windows x = form.conv.x
    x.x += image * x.image_stride + channel * x.channel_stride
    if form.x_bytes > 0:
        form.table.pack.rows(x.h, x.w, x.x, x.row_stride, x.column_stride, copy)
        x.x, x.row_stride, x.column_stride = copy, x.w * form.table.itemsize, form.table.itemsize
    return x


cdef const char* plane_of_y(const Planes* form, Py_ssize_t image, Py_ssize_t output, char* copy, Py_ssize_t* row) noexcept nogil:
    cdef const Images* dy = &form.conv.y
    cdef const char* y = dy.data + image * dy.image + output * dy.channel
    row[0] = dy.row
    if form.y_bytes > 0:
        form.table.pack.rows(form.conv.x.oh, form.conv.x.ow, y, dy.row, dy.column, copy)
        row[0] = form.conv.x.ow * form.table.itemsize
        return copy
    return y


cdef int run_planes(Planes* form, task_fn task, Py_ssize_t count, size_t slot_bytes) except -1 nogil:
    cdef double work = DEPTHWISE_TIME * convolution_work(&form.conv)
    team_begin(&form.team, work, count, 0, form.band_bytes + slot_bytes)
    team_run(&form.team, task, form, count, work)
    team_end()
    return 0


cdef void forward_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Planes* form = <const Planes*>context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t size = form.table.itemsize, taps = conv.x.kh * conv.x.kw, all_outputs = conv.groups * conv.outputs, r, output
    cdef windows x
    cdef char* band = slot_of(&form.team, slot)
    cdef char* y
    for r in range(first, last):
        output = r % all_outputs
        x = plane_of_x(form, r // all_outputs, output // conv.outputs, band + form.band_bytes)
        y = conv.y.data + r * x.oh * x.ow * size
        form.table.depthwise.forward(&x, conv.w.data + output * taps * size,
                                     conv.bias + output * size if conv.bias != NULL else NULL, y, x.ow * size, band)
        if conv.activation != NULL:
            conv.activation(x.oh * x.ow, y, y, NULL)


cdef int rows_forward(const Convolution* conv) except -1 nogil:
    cdef Planes form
    set_planes(&form, conv, depthwise_forward_band(&conv.x, conv.table.itemsize))
    return run_planes(&form, forward_planes, conv.images * conv.groups * conv.outputs, form.x_bytes)


cdef void image_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Planes* form = <const Planes*>context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t size = form.table.itemsize, taps = conv.x.kh * conv.x.kw, r, output, i, row
    cdef const char* dy
    cdef char* band = slot_of(&form.team, slot)
    for r in range(first, last):
        for i in range(conv.outputs):
            output = r % conv.groups * conv.outputs + i
            dy = plane_of_y(form, r // conv.groups, output, band + form.band_bytes, &row)
            form.table.depthwise.image_gradient(&conv.x, dy, row, conv.w.data + output * taps * size, i > 0,
                                                <char*>conv.x.x + r * conv.x.h * conv.x.w * size, conv.x.w * size, band)


cdef int rows_image_gradient(const Convolution* conv) except -1 nogil:
    cdef Planes form
    set_planes(&form, conv, depthwise_gradient_band(&conv.x, conv.table.itemsize))
    return run_planes(&form, image_planes, conv.images * conv.groups, form.y_bytes)


cdef inline Py_ssize_t taps_at_once(const windows* x) noexcept nogil:
    # rows of the kernel whose taps are summed together
    cdef windows piece = x[0]
    cdef Py_ssize_t pieces = 1
    while piece.kh > 1 and not depthwise_fits(&piece):
        pieces += 1
        piece.kh = ceil_div(x.kh, pieces)
    return piece.kh


cdef windows kernel_rows(const windows* x, Py_ssize_t first, Py_ssize_t count) noexcept nogil:
    # The windows of some rows of the kernel; rows of the image above the first that they meet are left out.
    cdef windows piece = x[0]
    piece.kh, piece.top = count, x.top - first * x.dh
    if piece.top < 0:
        piece.x, piece.h, piece.top = piece.x - piece.top * piece.row_stride, piece.h + piece.top, 0
    return piece


cdef bint weight_rows_fit(const Convolution* conv) noexcept nogil:
    cdef windows piece = kernel_rows(&conv.x, 0, taps_at_once(&conv.x))
    return conv.x.top >= 0 and conv.x.left >= 0 and depthwise_fits(&piece)


cdef void weight_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # The images of a pair of channel and output one after the other, in lanes; then the lanes of each tap
    cdef const Planes* form = <const Planes*>context
    cdef const Convolution* conv = &form.conv
    cdef Py_ssize_t size = form.table.itemsize, taps = conv.x.kh * conv.x.kw, step = taps_at_once(&conv.x), image, pair, row
    cdef Py_ssize_t output, channel, piece_number, a
    cdef char* band = slot_of(&form.team, slot)
    cdef char* x_copy = band + form.band_bytes
    cdef char* y_copy = x_copy + form.x_bytes
    cdef double* lanes = <double*>(y_copy + form.y_bytes)
    cdef const char* dy
    cdef windows x, piece
    for pair in range(first, last):
        output, channel = pair // conv.channels, pair % conv.channels
        memset(lanes, 0, <size_t>(taps * form.table.lanes) * sizeof(double))
        for image in range(conv.images):
            x = plane_of_x(form, image, output // conv.outputs * conv.channels + channel, x_copy)
            dy = plane_of_y(form, image, output, y_copy, &row)
            for piece_number in range(ceil_div(x.kh, step)):
                a = piece_number * step
                piece = kernel_rows(&x, a, min(step, x.kh - a))
                if piece.h > 0:
                    form.table.depthwise.weight_lanes(&piece, dy, row, lanes + a * x.kw * form.table.lanes, band)
        form.table.depthwise.sum_lanes(taps, lanes, conv.w.data + pair * taps * size)


cdef int rows_weight_gradient(const Convolution* conv) except -1 nogil:
    cdef Planes form
    cdef Py_ssize_t step = taps_at_once(&conv.x)
    cdef windows piece = kernel_rows(&conv.x, 0, step), rest = kernel_rows(&conv.x, 0, (conv.x.kh - 1) % step + 1)
    cdef depthwise_band band = depthwise_forward_band(&piece, conv.table.itemsize)
    band.elements = max(band.elements, depthwise_forward_band(&rest, conv.table.itemsize).elements)
    set_planes(&form, conv, band)
    return run_planes(&form, weight_planes, conv.groups * conv.outputs * conv.channels,
                      form.x_bytes + form.y_bytes + <size_t>(conv.x.kh * conv.x.kw * form.table.lanes) * sizeof(double))
