"""The gradients of pooling.

Units of work are planes of dx, or rows of them: a split into tasks changes no bits. Where the planes of dy or of the indices lie
next to each other (channels last), a band of rows of several planes is gathered and then read plane by plane.
"""
cimport numpy as cnp
from libc.string cimport memchr, memset

from npkernels._kernels.primitives cimport UNSIGNED_INDEX, pool_gradients, pooling, primitives
from npkernels._kernels.planes cimport (
    BAND_BYTES, POOL_GRAIN, Planes, no_memory, set_planes, set_pooling, team, whole_lines,
)
from npkernels._kernels.tiny cimport Tiny, are_tiny, pool_tiny_planes
from npkernels._kernels.runtime cimport parallel_for, primitives_for, workspace, workspace_done

cnp.import_array()

cdef enum:
    INT32 = 2                                # log2 of the bytes of such an index
    GROUP = 1 << 12                          # pixels of planes that are taken together

cdef struct Source:
    # Planes that are read where they lie, or gathered: rows of `columns` elements, `planes` planes one behind the other.
    const primitives* table                  # of numbers as wide as the elements
    Planes from_
    bint together
    char* band                               # where to gather
    const char* data                         # of the first plane from the wanted row on
    Py_ssize_t plane, row, column            # strides


cdef void set_source(Source* v, cnp.ndarray x, int type) noexcept:
    v.table = primitives_for(type)
    set_planes(&v.from_, x)
    v.together = (v.from_.channels > 1 and cnp.PyArray_ITEMSIZE(x) == v.table.itemsize
                  and v.from_.channel == v.table.itemsize != v.from_.column)


cdef inline void fetch(Source* v, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t planes, Py_ssize_t first, Py_ssize_t rows,
                       Py_ssize_t columns) noexcept nogil:
    # Rows first .. first + rows of some neighbouring planes of one image.
    v.data = v.from_.data + image * v.from_.image + channel * v.from_.channel + first * v.from_.row
    v.plane, v.row, v.column = v.from_.channel, v.from_.row, v.from_.column
    if v.together and planes > 1:
        v.table.pool.gather(planes, rows, columns, v.data, v.plane, v.row, v.column, 0, 0, 0.0, columns, v.band)
        v.data, v.column, v.row = v.band, v.table.itemsize, columns * v.table.itemsize
        v.plane = rows * v.row


cdef inline bint are_apart(const Source* v) noexcept nogil:
    # Whether all planes lie a constant step apart and are read in place.
    return not v.together and v.from_.image == v.from_.channels * v.from_.channel


cdef struct Scatter:
    pool_gradients g
    Source dy, indices
    Py_ssize_t channels, group, groups       # planes at a time; of an image
    Py_ssize_t oh, ow, band                  # rows at a time
    char* dx
    char* scratch
    size_t scratch_bytes
    int type
    char bad[1024]                           # of each thread


cdef bint scatter_group(const Scatter* v, Source* dy, Source* indices, Py_ssize_t image, Py_ssize_t channel,
                        Py_ssize_t planes) noexcept nogil:
    # dx of some planes of an image; False if an index lies outside.
    cdef pool_gradients g
    cdef Py_ssize_t plane_bytes = v.g.size * dy.table.itemsize, plane = image * v.channels + channel, i = 0
    cdef bint good = True
    g.size, g.planes = v.g.size, planes
    memset(v.dx + plane * plane_bytes, 0, planes * plane_bytes)
    while i < v.oh:
        g.rows, g.columns = min(v.band, v.oh - i), v.ow
        fetch(dy, image, channel, planes, i, g.rows, v.ow)
        fetch(indices, image, channel, planes, i, g.rows, v.ow)
        i += g.rows
        g.dy_row, g.dy_column, g.index_row, g.index_column = dy.row, dy.column, indices.row, indices.column
        if g.dy_row == g.columns * g.dy_column and g.index_row == g.columns * g.index_column:
            g.rows, g.columns = 1, g.rows * g.columns
        g.dy, g.dy_plane, g.indices, g.index_plane = dy.data, dy.plane, indices.data, indices.plane
        good &= dy.table.pool_indices.scatter(&g, v.type, v.dx + plane * plane_bytes) != 0
    return good


cdef void scatter_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef Scatter* v = <Scatter*>context
    cdef Source dy = v.dy, indices = v.indices          # once a task: a plane may be a few hundred elements
    cdef Py_ssize_t task, channel
    dy.band = v.scratch + slot * v.scratch_bytes
    indices.band = dy.band + v.scratch_bytes // 2
    for task in range(first, last):
        channel = task % v.groups * v.group
        if not scatter_group(v, &dy, &indices, task // v.groups, channel, min(v.group, v.channels - channel)):
            v.bad[slot] = 1


cdef inline Py_ssize_t band_rows(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t planes, Py_ssize_t size) noexcept nogil:
    return max(<Py_ssize_t>1, min(rows, BAND_BYTES // size // planes // max(<Py_ssize_t>1, columns)))


def max_backward(
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray indices,     # IN (n, c, oh, ow), any integer type in native byte order
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
):
    # dx[n, c, indices[n, c, i, j]] += dy[n, c, i, j] in ascending (i, j); False if an index lies outside the plane
    cdef Scatter v
    cdef Py_ssize_t images = cnp.PyArray_DIMS(dx)[0], bytes = cnp.PyArray_ITEMSIZE(indices), grain
    cdef int threads
    v.channels, v.oh, v.ow = cnp.PyArray_DIMS(dx)[1], cnp.PyArray_DIMS(dy)[2], cnp.PyArray_DIMS(dy)[3]
    if images * v.channels == 0:
        return True
    memset(v.bad, 0, sizeof(v.bad))
    v.type = (bytes > 1) + (bytes > 2) + (bytes > 4) + (0 if cnp.PyArray_ISSIGNED(indices) else UNSIGNED_INDEX)
    set_source(&v.dy, dy, cnp.PyArray_TYPE(dy))
    set_source(&v.indices, indices, cnp.NPY_FLOAT)
    v.indices.together = v.indices.together and v.type == INT32
    v.dx, v.group, v.band, v.scratch_bytes, v.scratch = <char*>cnp.PyArray_DATA(dx), 1, v.oh, 0, NULL
    v.g.size = cnp.PyArray_DIMS(dx)[2] * cnp.PyArray_DIMS(dx)[3]
    if are_apart(&v.dy) and are_apart(&v.indices):                        # planes of all images as those of one
        v.channels, images = images * v.channels, 1
        v.group = min(v.channels, max(<Py_ssize_t>1, GROUP // (v.g.size + 1)))
    elif (v.dy.together or v.indices.together) and v.channels >= v.dy.table.lanes:     # fewer leave lanes empty: slower
        v.group = min(v.dy.table.lanes, v.indices.table.lanes)
        v.band = band_rows(v.oh, v.ow, v.group, v.dy.table.itemsize)
        v.scratch_bytes = 2 * whole_lines(v.group * v.band * v.ow * v.dy.table.itemsize)
    v.groups = (v.channels + v.group - 1) // v.group
    grain = max(1, POOL_GRAIN // v.group // (v.g.size + 1))
    threads = team(images * v.groups, grain, v.scratch_bytes)
    with nogil:
        if v.scratch_bytes > 0:
            v.scratch = <char*>workspace(v.scratch_bytes * threads)
        if v.scratch != NULL or v.scratch_bytes == 0:
            parallel_for(scatter_groups, &v, images * v.groups, grain, threads)
            workspace_done()
    if v.scratch == NULL and v.scratch_bytes > 0:
        no_memory(v.scratch_bytes * threads)
    return memchr(v.bad, 1, sizeof(v.bad)) == NULL


cdef struct MeanBackward:
    pooling g
    Source dy
    Py_ssize_t channels, group, groups       # planes at a time; of an image
    Py_ssize_t band                          # rows of dx at a time
    char* dx
    char* scratch
    size_t scratch_bytes, line_bytes         # of one thread; of it before the gathered band
    bint include_pad


cdef void mean_group(const MeanBackward* v, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t planes, Py_ssize_t r,
                     Py_ssize_t count, char* scratch) noexcept nogil:
    # Rows r .. r + count of dx of some planes of an image, from the rows of dy that see them.
    cdef const pooling* g = &v.g
    cdef Source dy = v.dy
    cdef Py_ssize_t p, plane = image * v.channels + channel, size = dy.table.itemsize
    cdef Py_ssize_t last = min(g.oh, (r + count - 1 + g.top) // g.sh + 1)
    cdef Py_ssize_t first = 0 if r + g.top < g.kh else min(last, (r + g.top - g.kh) // g.sh + 1)
    dy.band = scratch + v.line_bytes
    fetch(&dy, image, channel, planes, first, last - first, g.ow)
    for p in range(plane, plane + planes):
        dy.table.pool_backward.mean_rows(g, dy.data - first * dy.row, dy.row, dy.column, r, r + count, v.include_pad, scratch,
                                         v.dx + (p * g.h + r) * g.w * size)
        dy.data += dy.plane


cdef void mean_backward_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const MeanBackward* v = <const MeanBackward*>context
    cdef Py_ssize_t group, channel, r, count
    while first < last:
        group, r = first // v.g.h, first % v.g.h
        count = min(min(last - first, v.g.h - r), v.band)
        channel = group % v.groups * v.group
        mean_group(v, group // v.groups, channel, min(v.group, v.channels - channel), r, count,
                   v.scratch + slot * v.scratch_bytes)
        first += count


def mean_backward(
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
    tuple geometry,          # as in pool.pyx, `max_forward`
    bint include_pad,
):
    # dx[n, c, r, c] = sum of dy[n, c, i, j] / divisor[i, j] over the windows (i, j) that see (r, c)
    cdef MeanBackward v
    cdef Tiny tiny
    cdef pooling* g = &v.g
    cdef Py_ssize_t size, units, grain, rows
    cdef int threads
    if cnp.PyArray_SIZE(dx) == 0:
        return
    v.dx, v.include_pad, v.channels, v.group = <char*>cnp.PyArray_DATA(dx), include_pad, cnp.PyArray_DIMS(dx)[1], 1
    set_source(&v.dy, dy, cnp.PyArray_TYPE(dy))
    set_pooling(g, cnp.PyArray_DIMS(dx)[2], cnp.PyArray_DIMS(dx)[3], geometry)
    tiny.table, tiny.g, tiny.planes, tiny.to = v.dy.table, g[0], v.dy.from_, v.dx
    tiny.backward, tiny.include_pad = True, include_pad
    if are_tiny(&tiny, cnp.PyArray_DIMS(dx)[0], g.oh, g.ow, g.h * g.w):
        with nogil:
            pool_tiny_planes(&tiny)
        return
    size = v.dy.table.pool_backward.plan(g)
    if size < 0:
        no_memory(<size_t>-1)
    v.scratch_bytes = v.line_bytes = whole_lines(size * v.dy.table.itemsize)
    v.band = g.h
    if v.dy.together:
        v.group = min(v.dy.table.lanes, v.channels)
        rows = band_rows(g.oh, g.ow, v.group, v.dy.table.itemsize)     # of dy; of the next band's windows g.kh // g.sh again
        v.band = max(<Py_ssize_t>1, min(g.h, (rows - g.kh // g.sh) * g.sh))
        rows = min(g.oh, (v.band - 1 + g.kh - 1) // g.sh + 2)
        v.scratch_bytes += whole_lines(v.group * rows * g.ow * v.dy.table.itemsize)
    v.groups = (v.channels + v.group - 1) // v.group
    units = cnp.PyArray_DIMS(dx)[0] * v.groups * g.h
    grain = max(1, POOL_GRAIN // v.group // g.w)
    threads = team(units, grain, v.scratch_bytes)
    v.scratch = <char*>workspace(v.scratch_bytes * threads)
    if v.scratch == NULL:
        no_memory(v.scratch_bytes * threads)
    with nogil:
        parallel_for(mean_backward_rows, &v, units, grain, threads)
        workspace_done()
