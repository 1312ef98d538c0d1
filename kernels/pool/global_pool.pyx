"""Sums of whole planes: pooling, the gradient of the mean, and the gradient of a convolution's bias."""
cimport numpy as cnp
from libc.math cimport INFINITY

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.planes cimport Planes, are_apart, plane_at, set_planes
from npkernels._kernels.primitives cimport primitives, windows
from npkernels._kernels.runtime cimport Team, primitives_for, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport put

cnp.import_array()

cdef enum:
    PIECE = 1024                             # elements of a plane that are summed in one go
    SHORT = 512                              # of a plane that is read with others: 14x14 takes a quarter of the time

cdef struct Global:
    const primitives* table
    windows pixels                           # 1 x 1 windows: patch[c, (n, i, j)] = x[n, c, i, j]
    Planes x
    Py_ssize_t size                          # h * w
    char* y
    double* sums                             # of the planes, if they are wanted and not y
    bint mean, contiguous


cdef void reduce_short_planes(const Global* v, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    cdef double gathered[PIECE]
    cdef const char* planes
    cdef Py_ssize_t plane = first, stride, count
    while plane < last:
        count = last - plane
        if v.contiguous and are_apart(&v.x):   # all of them a constant step apart
            planes, stride = plane_at(&v.x, plane), v.x.channel
        else:
            count = min(count, v.x.channels - plane % v.x.channels, PIECE // v.size)
            v.table.conv.patch_rows(&v.pixels, plane % v.x.channels, count, plane // v.x.channels * v.size, v.size,
                                    gathered, v.size)
            planes, stride = <const char*>gathered, v.size * v.table.itemsize
        if v.mean:
            v.table.rows.means(count, v.size, planes, stride, v.y + plane * v.table.itemsize)
        else:
            v.table.rows.maxima(count, v.size, planes, stride, v.y + plane * v.table.itemsize)
        plane += count


cdef void reduce_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Short planes several at a time, long ones in pieces of a fixed length; gathered into L1 where they are not contiguous.
    cdef const Global* v = <const Global*>context
    cdef double gathered[PIECE]
    cdef double all
    cdef const char* piece
    cdef Py_ssize_t plane, done, count
    if v.y != NULL and v.size <= SHORT:
        reduce_short_planes(v, first, last)
        return
    for plane in range(first, last):
        all, done = 0 if v.mean else -INFINITY, 0
        while done < v.size:
            count = min(PIECE, v.size - done)
            piece = plane_at(&v.x, plane) + done * v.table.itemsize
            if not v.contiguous:
                v.table.conv.patch_rows(&v.pixels, plane % v.x.channels, 1, plane // v.x.channels * v.size + done, count,
                                        gathered, count)
                piece = <const char*>gathered
            if v.mean:
                all += v.table.rows.sum(count, piece)
            else:
                all = v.table.pool.largest(count, piece, all)
            done += count
        if v.sums != NULL:
            v.sums[plane] = all
        else:
            put(v.table, v.y, plane, all / v.size if v.mean else all)


cdef void set_global(Global* v, cnp.ndarray x, bint mean) noexcept:
    cdef windows* g = &v.pixels
    v.table, v.mean, v.y, v.sums = primitives_for(cnp.PyArray_TYPE(x)), mean, NULL, NULL
    set_planes(&v.x, x)
    g.x, g.image_stride, g.channel_stride, g.row_stride, g.column_stride = (
        v.x.data, v.x.image, v.x.channel, v.x.row, v.x.column)
    g.h = g.oh = cnp.PyArray_DIMS(x)[2]
    g.w = g.ow = cnp.PyArray_DIMS(x)[3]
    g.kh = g.kw = g.sh = g.sw = g.dh = g.dw = 1
    g.top = g.left = 0
    v.size = g.h * g.w
    v.contiguous = v.x.column == v.table.itemsize and v.x.row == g.w * v.x.column


cdef double global_work(const Global* v, Py_ssize_t planes) noexcept nogil:
    return planes * work_of(v.table, v.size, v.size * v.table.itemsize)


def forward(
    cnp.ndarray x,           # IN (n, c, h, w), h and w at least 1
    cnp.ndarray y,           # OUT (n, c), C-contiguous
    bint mean,               # else the maximum
):
    # y[n, c] = mean or max of x[n, c, :, :]
    cdef Global v
    cdef Team team
    cdef Py_ssize_t planes = cnp.PyArray_SIZE(y)
    if planes == 0:
        return
    set_global(&v, x, mean)
    v.y = <char*>cnp.PyArray_DATA(y)
    with nogil:
        team_begin(&team, global_work(&v, planes), planes, 0, 0)
        team_run(&team, reduce_planes, &v, planes, global_work(&v, planes))
        team_end()


def bias_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray db,          # OUT (oc,), C-contiguous
):
    # db[o] = sum over (n, i, j) of dy[n, o, i, j]
    cdef Global v
    cdef Team team
    cdef Py_ssize_t n = cnp.PyArray_DIMS(dy)[0], planes = n * cnp.PyArray_DIMS(dy)[1], i, c
    cdef double total
    cdef char* to = <char*>cnp.PyArray_DATA(db)
    set_global(&v, dy, True)
    with nogil:
        team_begin(&team, global_work(&v, planes), planes, planes * sizeof(double), 0)
        v.sums = <double*>team.shared
        team_run(&team, reduce_planes, &v, planes, global_work(&v, planes))
        for c in range(v.x.channels):
            total = 0
            for i in range(n):
                total += v.sums[i * v.x.channels + c]
            put(v.table, to, c, total)
        team_end()


cdef struct Spread:
    const primitives* table
    Py_ssize_t size
    const char* dy
    Py_ssize_t channels, image, channel
    char* dx


cdef void spread_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Spread* v = <const Spread*>context
    cdef Py_ssize_t plane = first, count
    while plane < last:
        count = last - plane
        if v.image != v.channels * v.channel:            # else all of them lie a constant step apart
            count = min(count, v.channels - plane % v.channels)
        v.table.pool_backward.spread(
            count, v.size, v.dy + plane // v.channels * v.image + plane % v.channels * v.channel, v.channel, <double>v.size,
            v.dx + plane * v.size * v.table.itemsize)
        plane += count


def mean_backward(
    cnp.ndarray dy,          # IN (n, c)
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
):
    # dx[n, c, :, :] = dy[n, c] / (h w)
    cdef Spread v
    cdef Team team
    cdef cnp.npy_intp s[2]
    cdef Py_ssize_t planes = cnp.PyArray_SIZE(dy)
    cdef double work
    read_strides(dy, s)
    if cnp.PyArray_SIZE(dx) == 0:
        return
    v.table, v.dy, v.dx = (primitives_for(cnp.PyArray_TYPE(dy)), <const char*>cnp.PyArray_DATA(dy),
                           <char*>cnp.PyArray_DATA(dx))
    v.channels, v.image, v.channel = cnp.PyArray_DIMS(dy)[1], s[0], s[1]
    v.size = cnp.PyArray_DIMS(dx)[2] * cnp.PyArray_DIMS(dx)[3]
    work = work_of(v.table, 0, cnp.PyArray_NBYTES(dx))
    with nogil:
        team_begin(&team, work, planes, 0, 0)
        team_run(&team, spread_planes, &v, planes, work)
        team_end()
