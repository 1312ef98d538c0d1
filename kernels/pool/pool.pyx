"""Pooling.

Units of work are rows of the output, plane after plane. A row is a function of the input alone,
so any split into tasks gives the same bits. Rows of x whose columns are contiguous are read in place, and so are channels
that lie next to each other, whose rows of pixels are folded as one line of numbers; others, and those whose indices are
wanted, through a band of gathered rows.
"""
cimport numpy as cnp
from libc.math cimport INFINITY

from npkernels._kernels.plain cimport is_plain, plain_positions, plain_size
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.planes cimport (
    BAND_BYTES, POOL_GRAIN, Planes, no_memory, plane_at, set_planes, set_pooling, team, whole_lines,
)
from npkernels._kernels.product cimport SUM_BLOCK
from npkernels._kernels.tiny cimport Tiny, are_tiny, pool_tiny_planes
from npkernels._kernels.runtime cimport empty_array, parallel_for, primitives_for, workspace, workspace_done

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
    char* scratch                            # of all threads
    size_t scratch_bytes, line_bytes         # of one thread; of it before the gathered band


cdef const char* gather_band(const Pool* v, const char* x, Py_ssize_t planes, Py_ssize_t i, Py_ssize_t count,
                             char* band, Py_ssize_t* plane_bytes) noexcept nogil:
    # The rows of x that rows i .. i + count of y see; returns where row 0, column 0 of the first plane would lie.
    cdef const pooling* g = &v.g
    cdef Py_ssize_t row_bytes = v.pitch * v.table.itemsize
    cdef Py_ssize_t first = max(0, i * g.sh - g.top)
    cdef Py_ssize_t last = min(g.h, (i + count - 1) * g.sh - g.top + (g.kh - 1) * g.dh + 1)
    v.table.pool.gather(planes, last - first, g.seen, x + first * v.x.row, v.x.channel, v.x.row, v.x.column, v.left,
                        v.right, -INFINITY, v.pitch, band)
    plane_bytes[0] = (last - first) * row_bytes
    return band + v.left * v.table.itemsize - first * row_bytes


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
    cdef char* scratch = v.scratch + slot * v.scratch_bytes
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


cdef size_t band_bytes(Pool* v) noexcept nogil:
    # Sets the shape of the gathered band; 0 if its size overflows.
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
        return 0
    return whole_lines(rows * v.pitch * v.group * v.table.itemsize)


cdef size_t run_pool(Pool* v, Py_ssize_t images) noexcept nogil:
    # Returns 0, or the scratch memory that could not be had.
    cdef pooling* g = &v.g
    cdef Py_ssize_t size = v.table.pool.plan(g), units, grain
    cdef size_t band = 0
    cdef int threads
    cdef bint adjacent = v.x.channel == v.table.itemsize != v.x.column
    v.group = 1
    v.gathered = v.indices != NULL or (v.x.column != v.table.itemsize and g.w > 1)
    if size < 0:
        return <size_t>-1
    v.line_bytes = whole_lines(size * v.table.itemsize)
    v.together = 0
    if v.indices != NULL:
        v.together = v.x.channels if adjacent and v.x.channels >= v.table.lanes else 0
    elif (adjacent and g.span <= min(LINE_ELEMENTS // v.table.lanes, <Py_ssize_t>SUM_BLOCK)
          and not (v.mean and v.x.channels <= v.table.pool.dealt)):
        v.together = min(v.x.channels, max(v.table.lanes, LINE_ELEMENTS // g.span // v.table.lanes * v.table.lanes))
    if v.together and v.indices != NULL:
        v.line_bytes = whole_lines(2 * (v.x.channels + v.table.lanes) * v.table.lanes * v.table.itemsize)
    elif v.together:
        v.line_bytes = whole_lines((g.ow + g.span * v.together + 2 * v.table.lanes) * v.table.itemsize)
    elif v.gathered:
        band = band_bytes(v)
        if band == 0:
            return <size_t>-1
    v.parts = 1 if v.together or v.group > 1 else v.x.channels
    v.scratch_bytes = v.line_bytes + band
    units = images * v.parts * g.oh
    grain = max(1, POOL_GRAIN * v.parts // v.x.channels // g.w // min(g.sh, g.h))
    threads = team(units, grain, v.scratch_bytes)
    v.scratch = <char*>workspace(v.scratch_bytes * threads)
    if v.scratch == NULL:
        return v.scratch_bytes * threads
    parallel_for(pool_rows, v, units, grain, threads)
    workspace_done()
    return 0


cdef int pool(const pooling* g, cnp.ndarray x, cnp.ndarray y, cnp.ndarray indices, bint mean, bint include_pad) except -1:
    cdef Pool v
    cdef Tiny tiny
    cdef size_t missing
    if cnp.PyArray_SIZE(y) == 0:
        return 0
    v.g = g[0]
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    set_planes(&v.x, x)
    v.y, v.indices = <char*>cnp.PyArray_DATA(y), NULL
    if indices is not None:
        v.indices = <int*>cnp.PyArray_DATA(indices)
    v.mean, v.include_pad = mean, include_pad
    tiny.table, tiny.g, tiny.planes, tiny.to = v.table, v.g, v.x, v.y
    tiny.mean, tiny.backward, tiny.include_pad = mean, False, include_pad
    tiny.places = v.indices
    if are_tiny(&tiny, cnp.PyArray_DIMS(x)[0], g.h, g.w, g.oh * g.ow):
        with nogil:
            pool_tiny_planes(&tiny)
        return 0
    with nogil:
        missing = run_pool(&v, cnp.PyArray_DIMS(x)[0])
    return no_memory(missing) if missing else 0


def max_forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous
    cnp.ndarray indices,     # OUT (n, c, oh, ow), int32, C-contiguous, or None
    tuple geometry,          # kh, kw, sh, sw, dh, dw, top, left, bottom, right, oh, ow
):
    # y[n, c, i, j] = max over (a, b) of x[n, c, i sh + a dh - top, j sw + b dw - left]; indices: where it was found
    cdef pooling g
    set_pooling(&g, cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3], geometry)
    pool(&g, x, y, indices, False, False)


def mean_forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous
    tuple geometry,          # as in `max_forward`
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
