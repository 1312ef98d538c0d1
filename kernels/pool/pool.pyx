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
    # Of a row of planes that lie next to each other: it stays in L2. 2**13 to 2**18 differ by 4 % (28x28x512, 112x112x64).
    LINE_ELEMENTS = 1 << 16

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


cdef const char* gather_band(const Pool* pool, const char* x, Py_ssize_t planes, Py_ssize_t i, Py_ssize_t count,
                             char* band, Py_ssize_t* plane_bytes) noexcept nogil:
    # The rows of x that rows i .. i + count of y see; returns where row 0, column 0 of the first plane would lie.
    cdef const pooling* g = &pool.g
    cdef Py_ssize_t row_bytes = pool.pitch * pool.table.itemsize
    cdef interval rows = rows_seen(g, i, i + count)
    pool.table.pool.gather(planes, rows.last - rows.first, g.seen, x + rows.first * pool.x.row, pool.x.channel, pool.x.row,
                           pool.x.column, pool.left, pool.right, -INFINITY, pool.pitch, band)
    plane_bytes[0] = (rows.last - rows.first) * row_bytes
    return band + pool.left * pool.table.itemsize - rows.first * row_bytes


cdef void pool_planes(const Pool* pool, Py_ssize_t image, Py_ssize_t i, char* scratch) noexcept nogil:
    # Row i of all planes of an image: what lies together is read together.
    cdef Py_ssize_t c = 0, planes, size = pool.table.itemsize
    cdef const char* x = pool.x.data + image * pool.x.image
    cdef Py_ssize_t at = (image * pool.x.channels * pool.g.oh + i) * pool.g.ow
    cdef char* y = pool.y + at * size
    if pool.indices != NULL:
        pool.table.pool_indices.max_planes(&pool.g, x, pool.x.row, pool.x.column, pool.x.channels, i, scratch, y,
                                           pool.indices + at)
        return
    while c < pool.x.channels:
        planes = min(pool.together, pool.x.channels - c)
        if pool.mean:
            pool.table.pool.mean_planes(&pool.g, x, pool.x.row, pool.x.column, planes, i, pool.include_pad, scratch, y)
        else:
            pool.table.pool.max_planes(&pool.g, x, pool.x.row, pool.x.column, planes, i, scratch, y)
        c += planes
        x += planes * size
        y += planes * pool.g.oh * pool.g.ow * size


cdef void pool_group(const Pool* pool, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t i, Py_ssize_t count,
                     char* scratch) noexcept nogil:
    # Rows i .. i + count of the planes that are gathered at once.
    cdef const pooling* g = &pool.g
    cdef Py_ssize_t planes = min(pool.group, pool.x.channels - channel), plane = image * pool.x.channels + channel
    cdef Py_ssize_t row_stride = pool.x.row, plane_stride = pool.x.channel
    cdef const char* x = plane_at(&pool.x, plane)
    cdef char* y
    if pool.gathered:
        x = gather_band(pool, x, planes, i, count, scratch + pool.line_bytes, &plane_stride)
        row_stride = pool.pitch * pool.table.itemsize
    for plane in range(plane, plane + planes):
        y = pool.y + (plane * g.oh + i) * g.ow * pool.table.itemsize
        if pool.mean:
            pool.table.pool.mean_rows(g, x, row_stride, i, i + count, pool.include_pad, scratch, y)
        elif pool.indices == NULL:
            pool.table.pool.max_rows(g, x, row_stride, i, i + count, scratch, y)
        else:
            pool.table.pool_indices.max_rows(g, x, row_stride, i, i + count, scratch, y, pool.indices + (plane * g.oh + i) * g.ow)
        x += plane_stride


cdef void pool_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Pool* pool = <const Pool*>context
    cdef char* scratch = slot_of(&pool.team, slot)
    cdef Py_ssize_t part, i, count, channel, planes = pool.x.channels // pool.parts
    while first < last:
        part, i = first // pool.g.oh, first % pool.g.oh
        count = min(last - first, pool.g.oh - i)
        if pool.together:
            count = 1
            pool_planes(pool, part, i, scratch)
        else:
            count = min(count, pool.band) if pool.gathered else count
            channel = 0
            while channel < planes:
                pool_group(pool, part // pool.parts, part % pool.parts * planes + channel, i, count, scratch)
                channel += pool.group
        first += count


cdef size_t choose_band(Pool* pool) noexcept nogil:
    # Sets the shape of the gathered band and returns its size, the largest if that overflows.
    cdef pooling* g = &pool.g
    cdef Py_ssize_t window = min(g.h, (g.kh - 1) * g.dh + 1), rows
    cdef double row_bytes
    pool.pitch, pool.left, pool.right = g.seen, 0, 0
    if pool.indices != NULL:
        pool.pitch, pool.left, pool.right = g.span + 2 * pool.table.lanes, g.left, g.span - g.left - g.seen
    row_bytes = <double>pool.pitch * pool.table.itemsize
    if (pool.x.channel == pool.table.itemsize != pool.x.column
            and row_bytes * window * min(pool.table.lanes, pool.x.channels) <= 16. * BAND_BYTES):
        pool.group = min(pool.table.lanes, pool.x.channels)
    pool.band = <Py_ssize_t>max(1., min(<double>g.oh, 1 + (BAND_BYTES / (row_bytes * pool.group) - window) / g.sh))
    rows = window if pool.band == 1 else min(g.h, (pool.band - 1) * g.sh + window)
    if row_bytes * rows * pool.group > <double>(<size_t>1 << 60):
        return <size_t>-1
    return rows * pool.pitch * pool.group * pool.table.itemsize


cdef size_t choose_form(Pool* pool) noexcept nogil:
    # Sets what is taken at once, and returns the scratch memory of a thread, the largest if its size overflows.
    cdef pooling* g = &pool.g
    cdef Py_ssize_t size = pool.table.pool.lay_out(g), lanes = pool.table.lanes
    cdef size_t band = 0
    cdef bint adjacent = pool.x.channel == pool.table.itemsize != pool.x.column
    pool.group = 1
    pool.gathered = pool.indices != NULL or (pool.x.column != pool.table.itemsize and g.w > 1)
    if size < 0:
        return <size_t>-1
    pool.together = 0
    if pool.indices != NULL:
        pool.together = pool.x.channels if adjacent and pool.x.channels >= lanes else 0
    elif (adjacent and g.span <= min(LINE_ELEMENTS // lanes, <Py_ssize_t>SUM_BLOCK)
          and not (pool.mean and pool.x.channels <= pool.table.pool.dealt)):
        pool.together = min(pool.x.channels, max(lanes, LINE_ELEMENTS // g.span // lanes * lanes))
    if pool.together and pool.indices != NULL:
        size = 2 * (pool.x.channels + lanes) * lanes
    elif pool.together:
        size = g.ow + g.span * pool.together + 2 * lanes
    elif pool.gathered:
        band = choose_band(pool)
    pool.line_bytes = round_to_line(size * pool.table.itemsize)
    pool.parts = 1 if pool.together or pool.group > 1 else pool.x.channels
    return max(band, pool.line_bytes + band)


cdef int pool_windows(Pool* pool, Py_ssize_t images) except -1 nogil:
    cdef size_t slot_bytes = choose_form(pool)
    cdef Py_ssize_t units = images * pool.parts * pool.g.oh
    cdef double work = pooling_work(pool.table, &pool.g, images * pool.x.channels)
    team_begin(&pool.team, work, units, 0, slot_bytes)
    team_run(&pool.team, pool_rows, pool, units, work)
    team_end()
    return 0


cdef int pool_images(const pooling* g, cnp.ndarray x, cnp.ndarray y, cnp.ndarray indices, bint mean, bint include_pad) except -1:
    cdef Pool pool
    cdef Narrow narrow
    if cnp.PyArray_SIZE(y) == 0:
        return 0
    pool.g = g[0]
    pool.table = primitives_for(cnp.PyArray_TYPE(x))
    set_planes(&pool.x, x)
    pool.y, pool.indices = <char*>cnp.PyArray_DATA(y), NULL
    if indices is not None:
        pool.indices = <int*>cnp.PyArray_DATA(indices)
    pool.mean, pool.include_pad = mean, include_pad
    narrow.table, narrow.g, narrow.planes, narrow.images = pool.table, pool.g, pool.x, cnp.PyArray_DIMS(x)[0]
    narrow.to, narrow.places, narrow.mean, narrow.backward, narrow.include_pad = pool.y, pool.indices, mean, False, include_pad
    with nogil:
        if is_narrow(&narrow):
            pool_narrow(&narrow)
        else:
            pool_windows(&pool, narrow.images)
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
    pool_images(&g, x, y, indices, False, False)


def mean_forward(
    cnp.ndarray x,           # IN (n, c, h, w)
    cnp.ndarray y,           # OUT (n, c, oh, ow), C-contiguous
    object geometry,         # a `PoolGeometry`
    bint include_pad,
):
    # y[n, c, i, j] = sum over (a, b) of x[n, c, i sh + a - top, j sw + b - left] / divisor[i, j]
    cdef pooling g
    set_pooling(&g, cnp.PyArray_DIMS(x)[2], cnp.PyArray_DIMS(x)[3], geometry)
    pool_images(&g, x, y, None, True, include_pad)


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
    pool_images(&g, <cnp.ndarray>x, y, None, mean, True)
    return y
