"""The gradients of pooling.

Units of work are planes of dx, or rows of them: a split into tasks changes no bits. Where the planes of dy or of the indices lie
next to each other (channels last), a band of rows of several planes is gathered and then read plane by plane.
"""
cimport numpy as cnp
from libc.string cimport memset

from npkernels._kernels.axis cimport interval
from npkernels._kernels.narrow cimport Narrow, is_narrow, pool_narrow
from npkernels._kernels.planes cimport (
    BAND_BYTES, Planes, are_apart, pooling_work, rows_that_see, set_planes, set_pooling,
)
from npkernels._kernels.primitives cimport UNSIGNED_INDEX, pool_gradients, pooling, primitives
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cnp.import_array()

cdef enum:
    INT32 = 2                                # log2 of the bytes of such an index
    GROUP = 1 << 12                          # pixels of planes that are taken together; 2**8 take 1.1 times as long
    SCATTER_FLOPS = 32                       # of a number that is added at its index

cdef struct Source:
    # Planes that are read where they lie, or gathered: rows of `columns` elements, `planes` planes one behind the other.
    const primitives* table                  # of numbers as wide as the elements
    Planes from_
    bint together
    char* band                               # where to gather
    const char* data                         # of the first plane from the wanted row on
    Py_ssize_t plane, row, column            # strides


cdef void set_source(Source* source, cnp.ndarray x, int type) noexcept:
    cdef Planes* planes = &source.from_
    source.table = primitives_for(type)
    set_planes(planes, x)
    source.together = (planes.channels > 1 and cnp.PyArray_ITEMSIZE(x) == source.table.itemsize
                       and planes.channel == source.table.itemsize != planes.column)


cdef inline void fetch(Source* source, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t planes, Py_ssize_t first,
                       Py_ssize_t rows, Py_ssize_t columns) noexcept nogil:
    # Rows first .. first + rows of some neighbouring planes of one image.
    cdef const Planes* x = &source.from_
    source.data = x.data + image * x.image + channel * x.channel + first * x.row
    source.plane, source.row, source.column = x.channel, x.row, x.column
    if source.together and planes > 1:
        source.table.pool.gather(planes, rows, columns, source.data, source.plane, source.row, source.column, 0, 0, 0.0, columns,
                                 source.band)
        source.data, source.column, source.row = source.band, source.table.itemsize, columns * source.table.itemsize
        source.plane = rows * source.row


cdef struct Scatter:
    pool_gradients g
    Source dy, indices
    Py_ssize_t channels, group, groups       # planes at a time; of an image
    Py_ssize_t oh, ow, band                  # rows at a time
    char* dx
    int type
    Team team                                # of a slot: whether an index lay outside, bands of dy and of indices
    size_t band_bytes


cdef bint scatter_group(const Scatter* scatter, Source* dy, Source* indices, Py_ssize_t image, Py_ssize_t channel,
                        Py_ssize_t planes) noexcept nogil:
    # dx of some planes of an image; False if an index lies outside.
    cdef pool_gradients g
    cdef Py_ssize_t plane_bytes = scatter.g.size * dy.table.itemsize, plane = image * scatter.channels + channel, i = 0
    cdef bint good = True
    g.size, g.planes = scatter.g.size, planes
    memset(scatter.dx + plane * plane_bytes, 0, planes * plane_bytes)
    while i < scatter.oh:
        g.rows, g.columns = min(scatter.band, scatter.oh - i), scatter.ow
        fetch(dy, image, channel, planes, i, g.rows, scatter.ow)
        fetch(indices, image, channel, planes, i, g.rows, scatter.ow)
        i += g.rows
        g.dy_row, g.dy_column, g.index_row, g.index_column = dy.row, dy.column, indices.row, indices.column
        if g.dy_row == g.columns * g.dy_column and g.index_row == g.columns * g.index_column:
            g.rows, g.columns = 1, g.rows * g.columns
        g.dy, g.dy_plane, g.indices, g.index_plane = dy.data, dy.plane, indices.data, indices.plane
        good &= dy.table.pool_indices.scatter(&g, scatter.type, scatter.dx + plane * plane_bytes) != 0
    return good


cdef void scatter_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Scatter* scatter = <const Scatter*>context
    cdef Source dy = scatter.dy, indices = scatter.indices          # once a task: a plane may be a few hundred elements
    cdef Py_ssize_t task, channel
    cdef char* bad = slot_of(&scatter.team, slot)
    dy.band = bad + round_to_line(1)
    indices.band = dy.band + scatter.band_bytes
    for task in range(first, last):
        channel = task % scatter.groups * scatter.group
        if not scatter_group(scatter, &dy, &indices, task // scatter.groups, channel,
                             min(scatter.group, scatter.channels - channel)):
            bad[0] = 1


cdef inline Py_ssize_t band_rows(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t planes, Py_ssize_t size) noexcept nogil:
    return max(<Py_ssize_t>1, min(rows, BAND_BYTES // size // planes // max(<Py_ssize_t>1, columns)))


def max_backward(
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray indices,     # IN (n, c, oh, ow), any integer type in native byte order
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
):
    # dx[n, c, indices[n, c, i, j]] += dy[n, c, i, j] in ascending (i, j); False if an index lies outside the plane
    cdef Scatter scatter
    cdef Py_ssize_t images = cnp.PyArray_DIMS(dx)[0], bytes = cnp.PyArray_ITEMSIZE(indices), slot
    cdef double work
    cdef bint good = True, together
    scatter.channels, scatter.oh, scatter.ow = cnp.PyArray_DIMS(dx)[1], cnp.PyArray_DIMS(dy)[2], cnp.PyArray_DIMS(dy)[3]
    if images * scatter.channels == 0:
        return True
    scatter.type = (bytes > 1) + (bytes > 2) + (bytes > 4) + (0 if cnp.PyArray_ISSIGNED(indices) else UNSIGNED_INDEX)
    set_source(&scatter.dy, dy, cnp.PyArray_TYPE(dy))
    set_source(&scatter.indices, indices, cnp.NPY_FLOAT)
    scatter.indices.together = scatter.indices.together and scatter.type == INT32
    scatter.dx, scatter.group, scatter.band, scatter.band_bytes = <char*>cnp.PyArray_DATA(dx), 1, scatter.oh, 0
    scatter.g.size = cnp.PyArray_DIMS(dx)[2] * cnp.PyArray_DIMS(dx)[3]
    together = scatter.dy.together or scatter.indices.together
    if not together and are_apart(&scatter.dy.from_) and are_apart(&scatter.indices.from_):
        scatter.channels, images = images * scatter.channels, 1           # planes of all images as those of one
        scatter.group = min(scatter.channels, max(<Py_ssize_t>1, GROUP // (scatter.g.size + 1)))
    elif together and scatter.channels >= scatter.dy.table.lanes:         # fewer leave lanes empty: slower
        scatter.group = min(scatter.dy.table.lanes, scatter.indices.table.lanes)
        scatter.band = band_rows(scatter.oh, scatter.ow, scatter.group, scatter.dy.table.itemsize)
        scatter.band_bytes = round_to_line(scatter.group * scatter.band * scatter.ow * scatter.dy.table.itemsize)
    scatter.groups = ceil_div(scatter.channels, scatter.group)
    work = work_of(scatter.dy.table, SCATTER_FLOPS * <double>cnp.PyArray_SIZE(dy), cnp.PyArray_NBYTES(dx))
    with nogil:
        team_begin(&scatter.team, work, images * scatter.groups, 0, round_to_line(1) + 2 * scatter.band_bytes)
        for slot in range(scatter.team.threads):
            slot_of(&scatter.team, <int>slot)[0] = 0
        team_run(&scatter.team, scatter_groups, &scatter, images * scatter.groups, work)
        for slot in range(scatter.team.threads):
            good &= slot_of(&scatter.team, <int>slot)[0] == 0
        team_end()
    return good


cdef struct MeanBackward:
    pooling g
    Source dy
    Py_ssize_t channels, group, groups       # planes at a time; of an image
    Py_ssize_t band                          # rows of dx at a time
    char* dx
    Team team                                # of a slot: lines, the gathered band
    size_t line_bytes
    bint include_pad


cdef void mean_group(const MeanBackward* mean, Py_ssize_t image, Py_ssize_t channel, Py_ssize_t planes, Py_ssize_t r,
                     Py_ssize_t count, char* scratch) noexcept nogil:
    # Rows r .. r + count of dx of some planes of an image, from the rows of dy that see them.
    cdef const pooling* g = &mean.g
    cdef Source dy = mean.dy
    cdef Py_ssize_t p, plane = image * mean.channels + channel, size = dy.table.itemsize
    cdef interval windows = rows_that_see(g, r, r + count)
    dy.band = scratch + mean.line_bytes
    fetch(&dy, image, channel, planes, windows.first, windows.last - windows.first, g.ow)
    for p in range(plane, plane + planes):
        dy.table.pool_backward.mean_rows(g, dy.data - windows.first * dy.row, dy.row, dy.column, r, r + count, mean.include_pad,
                                         scratch, mean.dx + (p * g.h + r) * g.w * size)
        dy.data += dy.plane


cdef void mean_backward_rows(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const MeanBackward* mean = <const MeanBackward*>context
    cdef Py_ssize_t group, channel, r, count
    while first < last:
        group, r = first // mean.g.h, first % mean.g.h
        count = min(min(last - first, mean.g.h - r), mean.band)
        channel = group % mean.groups * mean.group
        mean_group(mean, group // mean.groups, channel, min(mean.group, mean.channels - channel), r, count,
                   slot_of(&mean.team, slot))
        first += count


cdef int mean_backward_planes(MeanBackward* mean, Py_ssize_t images) except -1 nogil:
    cdef const pooling* g = &mean.g
    cdef Py_ssize_t scratch = mean.dy.table.pool_backward.scratch_size(g), size = mean.dy.table.itemsize, rows, units
    cdef size_t band_bytes = 0
    cdef double work = pooling_work(mean.dy.table, g, images * mean.channels)
    mean.band, mean.group = g.h, 1
    if mean.dy.together:
        mean.group = min(mean.dy.table.lanes, mean.channels)
        rows = band_rows(g.oh, g.ow, mean.group, size)                    # of dy; of the next band's windows g.kh // g.sh again
        mean.band = max(<Py_ssize_t>1, min(g.h, (rows - g.kh // g.sh) * g.sh))
        rows = min(g.oh, (mean.band - 1 + g.kh - 1) // g.sh + 2)
        band_bytes = mean.group * rows * g.ow * size
    mean.line_bytes, mean.groups = round_to_line(scratch * size), ceil_div(mean.channels, mean.group)
    units = images * mean.groups * g.h
    team_begin(&mean.team, work, units, 0, <size_t>-1 if scratch < 0 else mean.line_bytes + band_bytes)
    team_run(&mean.team, mean_backward_rows, mean, units, work)
    team_end()
    return 0


def mean_backward(
    cnp.ndarray dy,          # IN (n, c, oh, ow)
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
    object geometry,         # a `PoolGeometry`
    bint include_pad,
):
    # dx[n, c, r, c] = sum of dy[n, c, i, j] / divisor[i, j] over the windows (i, j) that see (r, c)
    cdef MeanBackward mean
    cdef Narrow narrow
    if cnp.PyArray_SIZE(dx) == 0:
        return
    mean.dx, mean.include_pad, mean.channels = <char*>cnp.PyArray_DATA(dx), include_pad, cnp.PyArray_DIMS(dx)[1]
    set_source(&mean.dy, dy, cnp.PyArray_TYPE(dy))
    set_pooling(&mean.g, cnp.PyArray_DIMS(dx)[2], cnp.PyArray_DIMS(dx)[3], geometry)
    narrow.table, narrow.g, narrow.planes, narrow.images = mean.dy.table, mean.g, mean.dy.from_, cnp.PyArray_DIMS(dx)[0]
    narrow.to, narrow.places, narrow.mean, narrow.backward, narrow.include_pad = mean.dx, NULL, True, True, include_pad
    with nogil:
        if is_narrow(&narrow):
            pool_narrow(&narrow)
        else:
            mean_backward_planes(&mean, narrow.images)
