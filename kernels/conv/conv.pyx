"""Convolutions and their gradients: y, dx and dw, each by the form that forms.pyx chooses."""
cimport numpy as cnp
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from npkernels._kernels.convolution cimport (
    Convolution, group_of, image_of, set_images, set_operands, set_windows, weights_are_rows,
)
from npkernels._kernels.costs cimport (
    ANY, COLUMNS, DIRECT, FLAT, IMAGES, LANES, PHASES, PIXELS, PLANE_PRODUCTS, PLANES, ROWS, WINOGRAD,
)
from npkernels._kernels.depthwise cimport rows_forward, rows_image_gradient, rows_weight_gradient
from npkernels._kernels.depthwise_pixels cimport pixels_forward, pixels_image_gradient, pixels_weight_gradient
from npkernels._kernels.direct cimport flat_run, patches_run, planes_run
from npkernels._kernels.forms cimport choose_forward, choose_image_gradient, choose_product, choose_weight_gradient
from npkernels._kernels.image_gradient cimport Phase, columns_run, phase_of, phases_of, weights_as_rows
from npkernels._kernels.lanes cimport lanes_run
from npkernels._kernels.plain cimport is_plain, plain_positions, plain_size
from npkernels._kernels.plane_products cimport plane_products_run
from npkernels._kernels.primitives cimport windows
from npkernels._kernels.runtime cimport empty_array
from npkernels._kernels.scalars cimport put, real_at
from npkernels._kernels.weight_gradient cimport sums_run
from npkernels._kernels.winograd cimport winograd_run
from npkernels._kernels.winograd_gradient cimport winograd_weights_run

cnp.import_array()

cdef enum:
    VIEW_PIXELS = 2048            # more of them read turned weights so often that a copy pays


cdef int run_form(const Convolution* conv, int form) except -1 nogil:
    # y by any form but Winograd's; the weights are rows
    if form == LANES or form == IMAGES:
        if lanes_run(conv, form == IMAGES):
            return 0
        form = choose_product(conv)
    if form == FLAT:
        return flat_run(conv)
    if form == PLANES:
        return planes_run(conv)
    if form == ROWS:
        return rows_forward(conv)
    if form == PIXELS:
        return pixels_forward(conv)
    return patches_run(conv)


cdef int run_y(Convolution conv, int asked, const Convolution* dx) except -1:
    # dx: NULL, or the gradient whose direct form stands in where Winograd's does not do
    cdef cnp.ndarray _rows = None            # whose memory conv reads
    cdef const windows* x = &conv.x
    cdef int form
    if conv.images * conv.groups * conv.outputs * x.oh * x.ow == 0:
        return 0
    form = choose_forward(&conv, asked)
    if form == WINOGRAD:
        if conv.w.row != x.kw * conv.w.column:
            _rows = weights_as_rows(&conv)
        return run_winograd(conv, dx)
    if not weights_are_rows(&conv) or (conv.w.turned and conv.images * x.oh * x.ow > VIEW_PIXELS):
        _rows = weights_as_rows(&conv)
    with nogil:
        run_form(&conv, form)
    return 0


cdef int run_winograd(Convolution conv, const Convolution* dx) except -1:
    # Group by group; images that are not even enough for it take the direct form.
    cdef cnp.ndarray _rows = None            # whose memory conv reads
    cdef Convolution one
    cdef Py_ssize_t group, image
    cdef char* uneven = <char*>malloc(<size_t>conv.images)
    if uneven == NULL:
        raise MemoryError("no memory for a flag an image")
    try:
        for group in range(conv.groups):
            memset(uneven, 0, <size_t>conv.images)
            one = group_of(&conv, group)
            with nogil:
                winograd_run(&one, uneven)
            for image in range(conv.images):
                if not uneven[image]:
                    continue
                if dx != NULL:
                    one = group_of(dx, group)
                    run_dx(image_of(&one, image), DIRECT)
                    continue
                if not weights_are_rows(&conv):
                    _rows = weights_as_rows(&conv)
                one = group_of(&conv, group)
                run_y(image_of(&one, image), DIRECT, NULL)
    finally:
        free(uneven)
    return 0


cdef int run_dx(Convolution conv, int asked) except -1:
    cdef int form
    if conv.images * conv.groups * conv.channels * conv.x.h * conv.x.w == 0:
        return 0
    if conv.outputs * conv.x.oh * conv.x.ow == 0:
        fill(&conv)
        return 0
    form = choose_image_gradient(&conv, asked)
    if form == PHASES:
        return run_phases(&conv, ANY if asked == PHASES else asked)
    with nogil:
        if form == COLUMNS:
            columns_run(&conv)
        elif form == ROWS:
            rows_image_gradient(&conv)
        else:
            pixels_image_gradient(&conv)
    return 0


cdef int run_phases(const Convolution* conv, int asked) except -1:
    cdef const windows* x = &conv.x
    cdef Py_ssize_t most_rows = min(x.kh, x.sh), most_columns = min(x.kw, x.sw), row_count, column_count, i, j
    cdef Phase* rows = <Phase*>malloc(<size_t>(most_rows + most_columns) * sizeof(Phase))
    cdef Phase* columns = rows + most_rows
    if rows == NULL:
        raise MemoryError("no memory for the phases of a stride")
    try:
        row_count, column_count = phases_of(x, False, rows), phases_of(x, True, columns)
        if row_count < min(x.sh, x.h) or column_count < min(x.sw, x.w):
            fill(conv)                       # some pixels meet no tap
        for i in range(row_count):
            for j in range(column_count):
                run_y(phase_of(conv, &rows[i], &columns[j]), asked, conv if asked == WINOGRAD else NULL)
    finally:
        free(rows)
    return 0


cdef void fill(const Convolution* conv) noexcept nogil:
    # dx, in C order, = bias
    cdef Py_ssize_t size = conv.table.itemsize, plane = conv.x.h * conv.x.w, channels = conv.groups * conv.channels, c, i, count
    cdef char* dx = <char*>conv.x.x
    cdef char* to
    for c in range(channels):
        to = dx + c * plane * size
        put(conv.table, to, 0, 0 if conv.bias == NULL else real_at(conv.table, conv.bias, c) + 0.)
        i = 1
        while i < plane:
            count = min(i, plane - i)
            memcpy(to + i * size, to, <size_t>(count * size))
            i += count
    for i in range(1, conv.images):
        memcpy(dx + i * channels * plane * size, dx, <size_t>(channels * plane * size))


cdef int run_dw(const Convolution* conv, int asked) except -1 nogil:
    cdef int form = choose_weight_gradient(conv, asked), even = True
    cdef Convolution one
    cdef Py_ssize_t group
    if form == WINOGRAD:
        for group in range(conv.groups):
            one = group_of(conv, group)
            even = even and winograd_weights_run(&one)
        return 0 if even else run_dw(conv, DIRECT)
    if form == ROWS:
        return rows_weight_gradient(conv)
    if form == PIXELS:
        return pixels_weight_gradient(conv)
    if form == PLANE_PRODUCTS:
        return plane_products_run(conv)
    return sums_run(conv)


cdef cnp.ndarray set_convolution(Convolution* conv, cnp.ndarray x, cnp.ndarray w, cnp.ndarray bias, cnp.ndarray y,
                                 object geometry, Py_ssize_t groups):
    # The array that has the weights: w, or a copy if its axes do not fold
    set_windows(&conv.x, x, geometry)
    set_operands(conv, x, w, bias, y, groups)
    if weights_are_rows(conv) and (conv.channels > 1 or cnp.PyArray_IS_C_CONTIGUOUS(w)):
        return w
    w = <cnp.ndarray>cnp.PyArray_GETCONTIGUOUS(w)
    set_operands(conv, x, w, bias, y, groups)
    return w


def forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray w,           # IN (oc, c/groups, kh, kw)
    cnp.ndarray bias,        # IN (oc,), contiguous, or None
    cnp.ndarray y,           # OUT (n, oc, oh, ow), any strides, fully overwritten
    object geometry,         # Geometry: kh, kw, sh, sw, dh, dw, top, left, oh, ow
    Py_ssize_t groups=1,
    int activation=-1,
    int form=ANY,            # one of FORMS (costs.pyx)
):
    cdef Convolution conv
    w = set_convolution(&conv, x, w, bias, y, geometry, groups)
    if activation >= 0:
        conv.activation = conv.table.activation.forward[activation]
    run_y(conv, form, NULL)


def image_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray w,           # IN (oc, c/groups, kh, kw)
    cnp.ndarray bias,        # IN (c,), contiguous, or None
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous, fully overwritten
    object geometry,
    Py_ssize_t groups=1,
    int form=ANY,
):
    cdef Convolution conv
    w = set_convolution(&conv, dx, w, bias, dy, geometry, groups)
    run_dx(conv, form)


def weight_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray dw,          # OUT (oc, c/groups, kh, kw), C-contiguous, fully overwritten
    object geometry,
    Py_ssize_t groups=1,
    int form=ANY,
):
    cdef Convolution conv
    set_windows(&conv.x, x, geometry)
    set_operands(&conv, x, dw, None, dy, groups)
    if cnp.PyArray_SIZE(dw) == 0:
        return
    if cnp.PyArray_SIZE(x) == 0 or cnp.PyArray_SIZE(dy) == 0:
        memset(cnp.PyArray_DATA(dw), 0, <size_t>cnp.PyArray_NBYTES(dw))
        return
    with nogil:
        run_dw(&conv, form)


cdef bint plain_weights(x, w, b) noexcept:
    # Are all arrays plain and alike, with contiguous weights and biases that fit the channels of x?
    cdef cnp.npy_intp* shape
    if not (is_plain(x) and is_plain(w)) or cnp.PyArray_NDIM(<cnp.ndarray>x) != 4 or cnp.PyArray_NDIM(<cnp.ndarray>w) != 4:
        return False
    shape = cnp.PyArray_DIMS(<cnp.ndarray>w)
    if (cnp.PyArray_TYPE(<cnp.ndarray>x) != cnp.PyArray_TYPE(<cnp.ndarray>w) or cnp.PyArray_DIMS(<cnp.ndarray>x)[1] != shape[1]
            or not cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>w)):
        return False
    return b is None or (
        is_plain(b) and cnp.PyArray_TYPE(<cnp.ndarray>b) == cnp.PyArray_TYPE(<cnp.ndarray>w)
        and cnp.PyArray_NDIM(<cnp.ndarray>b) == 1 and cnp.PyArray_DIMS(<cnp.ndarray>b)[0] == shape[0]
        and cnp.PyArray_IS_C_CONTIGUOUS(<cnp.ndarray>b))


def conv2d_plain(x, w, b, stride, padding, dilation, int activation):
    """The convolution of one group as a new array if nothing needs a check or a conversion, else None."""
    cdef Py_ssize_t step = plain_size(stride), pad = plain_size(padding), spread = plain_size(dilation)
    cdef cnp.npy_intp shape[4]
    cdef cnp.npy_intp* size
    cdef cnp.ndarray y
    cdef Convolution conv
    cdef windows* p = &conv.x
    if not plain_weights(x, w, b):
        return None
    size = cnp.PyArray_DIMS(<cnp.ndarray>w)
    set_images(p, <cnp.ndarray>x)
    p.kh, p.kw, p.top, p.left = size[2], size[3], pad, pad
    p.sh, p.sw = min(step, p.h + 2 * pad), min(step, p.w + 2 * pad)
    p.dh, p.dw = spread if p.kh > 1 else 1, spread if p.kw > 1 else 1
    p.oh, p.ow = plain_positions(p.h, p.kh, step, pad, spread), plain_positions(p.w, p.kw, step, pad, spread)
    shape[0], shape[1], shape[2], shape[3] = cnp.PyArray_DIMS(<cnp.ndarray>x)[0], size[0], p.oh, p.ow
    if p.oh == 0 or p.ow == 0 or 2 * pad > min(p.h, p.w):                 # much padding: perhaps in parts
        return None
    try:
        y = empty_array(4, shape, cnp.PyArray_TYPE(<cnp.ndarray>x))
    except ValueError:                       # the checks say which size overflows
        return None
    set_operands(&conv, <cnp.ndarray>x, <cnp.ndarray>w, b, y, 1)
    if activation >= 0:
        conv.activation = conv.table.activation.forward[activation]
    run_y(conv, ANY, NULL)
    return y
