"""Pooling.

Units of work are rows of the output, plane after plane. A row is a function of the input alone,
so any split into tasks gives the same bits. Rows of x whose columns are contiguous are read in place, and so are channels
that lie next to each other, whose rows of pixels are folded as one line of numbers; others, and those whose indices are
wanted, through a band of gathered rows.
"""
cimport numpy as cnp
from libc.math cimport INFINITY

from npkernels._kernels.axis cimport interval
from npkernels._kernels.plain cimport is_plain, plain_positions, plain_size
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.narrow cimport Narrow, is_narrow, pool_narrow
from npkernels._kernels.planes cimport BAND_BYTES, Planes, plane_at, pooling_work, rows_seen, set_planes, set_pooling
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.runtime cimport Team, empty_array, primitives_for, slot_of, team_begin, team_end, team_run
from npkernels._kernels.scalars cimport round_to_line

cnp.import_array()

cdef enum:
    LINE_ELEMENTS = 1 << 16                  # of a row of planes that lie next to each other

cdef struct Pool:
    const primitives* table
    pooling g
    Planes x
    char* y                                  # contiguous, as are the indices
    int* indices                             # NULL if not wanted
    bint mean, include_pad, gathered
    Py_ssize_t together                      # planes next to each other of which a row is read in place; 0: none
    Py_ssize_t parts, group, band            # tasks of an image; planes gathered at once; rows of y in a band
    Py_ssize_t pitch, left, right            # of the gathered rows: their distance, pads on both sides
    Team team                                # of a slot: lines, the gathered band
    size_t line_bytes


cdef const char* gather_band(const Pool* v, const char* x, Py_ssize_t planes, Py_ssize_t i, Py_ssize_t count,
                             char* band, Py_ssize_t* plane_bytes) noexcept nogil:
    # The rows of x that rows i .. i + count of y see; returns where row 0, column 0 of the first plane would lie.
    cdef const pooling* g = &v.g
    cdef Py_ssize_t row_bytes = v.pitch * v.table.itemsize
    cdef interval rows = rows_seen(g, i, i + count)
    v.table.pool.gather(planes, rows.last - rows.first, g.seen, x + rows.first * v.x.row, v.x.channel, v.x.row, v.x.column, v.left,
                        v.right, -INFINITY, v.pitch, band)
    plane_bytes[0] = (rows.last - rows.first) * row_bytes
    return band + v.left * v.table.itemsize - rows.first * row_bytes


cdef void pool_planes(const Pool* v, Py_ssize_t image, Py_ssize_t i, char* scratch) noexcept nogil:
    # Row i of all planes of an image: what lies together is read together.
    cdef Py_ssize_t c = 0, planes, size = v.table.itemsize
    cdef const char* x = v.x.data + image * v.x.image
    cdef Py_ssize_t at = (image * v.x.channels * v.g.oh + i) * v.g.ow
    cdef char* y = v.y + at * size
    if v.indices != NULL:
        v.table.pool_indices.max_planes(&v.g, x, v.x.row, v.x.column, v.x.channels, i, scratch, y,
                                        v.indices + at)
        return
    while c < v.x.channels:
        planes = min(v.together, v.x.channels - c)
        if v.mean:
            v.table.pool.mean_planes(&v.g, x, v.x.row, v.x.column, planes, i, v.include_pad, scratch, y)
        else:
            v.table.pool.max_planes(&v.g, x, v.x.row, v.x.column, planes, i, scratch, y)
        c += planes
        x += planes * size
        y += planes * v.g.oh * v.g.ow * size


cdef void pool_group(const Pool* v, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t i, Py_ssize_t count,
                     char* scratch) noexcept nogil:
    # Rows i .. i + count of the planes that are gathered at once.
    cdef const pooling* g = &v.g
    cdef Py_ssize_t planes = min(v.group, v.x.channels - channel), plane = image * v.x.channels + channel
    cdef Py_ssize_t row_stride = v.x.row, plane_stride = v.x.channel
    cdef const char* x = plane_at(&v.x, plane)
    cdef char* y
    if v.gathered:
        x = gather_band(v, x, planes, i, count, scratch + v.line_bytes, &plane_stride)
        row_stride = v.pitch * v.table.itemsize
    for plane in range(plane, plane + planes):
        y = v.y + (plane * g.oh + i) * g.ow * v.table.itemsize
        if v.mean:
            v.table.pool.mean_rows(g, x, row_stride, i, i + count, v.include_pad, scratch, y)
        elif v.indices == NULL:
            v.table.pool.max_rows(g, x, row_stride, i, i + count, scratch, y)
        else:
            v.table.pool_indices.max_rows(g, x, row_stride, i, i + count, scratch, y, v.indices + (plane * g.oh + i) * g.ow)
        x += plane_stride


cdef void pool_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Pool* v = <const Pool*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef Py_ssize_t part, i, count, channel, planes = v.x.channels // v.parts
    while first < last:
        part, i = first // v.g.oh, first % v.g.oh
        count = min(last - first, v.g.oh - i)
        if v.together:
            count = 1
            pool_planes(v, part, i, scratch)
        else:
            count = min(count, v.band) if v.gathered else count
            channel = 0
            while channel < planes:
                pool_group(v, part // v.parts, part % v.parts * planes + channel, i, count, scratch)
                channel += v.group
        first += count


cdef size_t choose_band(Pool* v) noexcept nogil:
    # Sets the shape of the gathered band and returns its size, the largest if that overflows.
    cdef pooling* g = &v.g
    cdef Py_ssize_t window = min(g.h, (g.kh - 1) * g.dh + 1), rows
    cdef double row_bytes
    v.pitch, v.left, v.right = g.seen, 0, 0
    if v.indices != NULL:
        v.pitch, v.left, v.right = g.span + 2 * v.table.lanes, g.left, g.span - g.left - g.seen
    row_bytes = <double>v.pitch * v.table.itemsize
    if (v.x.channel == v.table.itemsize != v.x.column
            and row_bytes * window * min(v.table.lanes, v.x.channels) <= 16. * BAND_BYTES):
        v.group = min(v.table.lanes, v.x.channels)
    v.band = <Py_ssize_t>max(1., min(<double>g.oh, 1 + (BAND_BYTES / (row_bytes * v.group) - window) / g.sh))
    rows = window if v.band == 1 else min(g.h, (v.band - 1) * g.sh + window)
    if row_bytes * rows * v.group > <double>(<size_t>1 << 60):
        return <size_t>-1
    return rows * v.pitch * v.group * v.table.itemsize


cdef size_t choose_form(Pool* v) noexcept nogil:
    # Sets what is taken at once, and returns the scratch memory of a thread, the largest if its size overflows.
    cdef pooling* g = &v.g
    cdef Py_ssize_t size = v.table.pool.lay_out(g)
    cdef size_t band = 0
    cdef bint adjacent = v.x.channel == v.table.itemsize != v.x.column
    v.group = 1
    v.gathered = v.indices != NULL or (v.x.column != v.table.itemsize and g.w > 1)
    if size < 0:
        return <size_t>-1
    v.together = 0
    if v.indices != NULL:
        v.together = v.x.channels if adjacent and v.x.channels >= v.table.lanes else 0
    elif (adjacent and g.span <= min(LINE_ELEMENTS // v.table.lanes, <Py_ssize_t>SUM_BLOCK)
          and not (v.mean and v.x.channels <= v.table.pool.dealt)):
        v.together = min(v.x.channels, max(v.table.lanes, LINE_ELEMENTS // g.span // v.table.lanes * v.table.lanes))
    if v.together and v.indices != NULL:
        size = 2 * (v.x.channels + v.table.lanes) * v.table.lanes
    elif v.together:
        size = g.ow + g.span * v.together + 2 * v.table.lanes
    elif v.gathered:
        band = choose_band(v)
    v.line_bytes = round_to_line(size * v.table.itemsize)
    v.parts = 1 if v.together or v.group > 1 else v.x.channels
    return max(band, v.line_bytes + band)


cdef int pool_windows(Pool* v, Py_ssize_t images) except -1 nogil:
    cdef size_t slot_bytes = choose_form(v)
    cdef Py_ssize_t units = images * v.parts * v.g.oh
    cdef double work = pooling_work(v.table, &v.g, images * v.x.channels)
    team_begin(&v.team, work, units, 0, slot_bytes)
    team_run(&v.team, pool_rows, v, units, work)
    team_end()
    return 0


cdef int pool(const pooling* g, cnp.ndarray x, cnp.ndarray y, cnp.ndarray indices, bint mean, bint include_pad) except -1:
    cdef Pool v
    cdef Narrow narrow
    if cnp.PyArray_SIZE(y) == 0:
        return 0
    v.g = g[0]
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_planes(&v.x, x)
    v.y, v.indices = <char*>cnp.PyArray_DATA(y), NULL
    if indices is not None:
        v.indices = <int*>cnp.PyArray_DATA(indices)
    v.mean, v.include_pad = mean, include_pad
    narrow.table, narrow.g, narrow.planes, narrow.images = v.table, v.g, v.x, cnp.PyArray_DIMS(x)[0]
    narrow.to, narrow.places, narrow.mean, narrow.backward, narrow.include_pad = v.y, v.indices, mean, False, include_pad
    with nogil:
        if is_narrow(&narrow):
            pool_narrow(&narrow)
        else:
            pool_windows(&v, narrow.images)
    return 0


def max_forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous
    cnp.ndarray indices,     # OUT (n, c, oh, ow), int32, C-contiguous, or None
    object geometry,         # a `PoolGeometry`
):
    # y[n, c, i, j] = max over (a, b) of x[n, c, i sh + a dh - top, j sw + b dw - left]; indices: where it was found
    cdef pooling g
    set_pooling(&g, cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3], geometry)
    pool(&g, x, y, indices, False, False)


def mean_forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous
    object geometry,         # a `PoolGeometry`
    bint include_pad,
):
    # y[n, c, i, j] = sum over (a, b) of x[n, c, i sh + a - top, j sw + b - left] / divisor[i, j]
    cdef pooling g
    set_pooling(&g, cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3], geometry)
    pool(&g, x, y, None, True, include_pad)


def pool_plain(x, kernel_size, stride, padding, dilation, bint mean):
    """The pooled images as a new array if nothing needs a check or a conversion, else None."""
    cdef Py_ssize_t size = plain_size(kernel_size), step = size if stride is None else plain_size(stride)
    cdef Py_ssize_t pad = plain_size(padding)
    cdef cnp.npy_intp* shape
    cdef cnp.npy_intp wanted[4]
    cdef cnp.ndarray y
    cdef pooling g
    if not is_plain(x) or cnp.PyArray_NDIM(<cnp.ndarray>x) != 4 or pad >= size or plain_size(dilation) != 1:
        return None
    shape = cnp.PyArray_DIMS(<cnp.ndarray>x)
    g.h, g.w, g.kh, g.kw, g.dh, g.dw = shape[2], shape[3], size, size, 1, 1
    g.top = g.left = g.bottom = g.right = pad
    g.sh, g.sw = min(step, g.h + 2 * pad), min(step, g.w + 2 * pad)
    g.oh, g.ow = plain_positions(g.h, size, step, pad, 1), plain_positions(g.w, size, step, pad, 1)
    if g.oh == 0 or g.ow == 0 or size > min(g.h, g.w):                     # large windows: perhaps by the pixels seen
        return None
    wanted[0], wanted[1], wanted[2], wanted[3] = shape[0], shape[1], g.oh, g.ow
    try:
        y = empty_array(4, wanted, cnp.PyArray_TYPE(<cnp.ndarray>x))
    except ValueError:                       # the checks say which size overflows
        return None
    pool(&g, <cnp.ndarray>x, y, None, mean, True)
    return y
