"""Sums of whole planes: pooling, the gradient of the mean, and the gradient of a convolution's bias."""
cimport numpy as cnp
from libc.math cimport INFINITY

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.planes cimport Planes, are_apart, plane_at, set_planes
from npkernels._kernels.primitives cimport primitives, windows
from npkernels._kernels.runtime cimport Team, primitives_for, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport put, real_at

cnp.import_array()

cdef enum:
    PIECE = 1024                             # elements that are summed in one go: the order of sums, and 8 KB of L1; not fitted
    SHORT = 512                              # of a plane that is read with others: 14x14 takes a quarter of the time

cdef struct Global:
    const primitives* table
    windows pixels                           # 1 x 1 windows: patch[c, (n, i, j)] = x[n, c, i, j]
    Planes x
    Py_ssize_t size                          # h * w
    char* y
    double* sums                             # of the planes, if they are wanted and not y
    bint mean, contiguous


cdef void reduce_rows(const Global* whole, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # Planes as rows of numbers, many at a time, gathered where they are not contiguous.
    cdef double gathered[PIECE]
    cdef const char* planes
    cdef Py_ssize_t plane = first, stride, count
    while plane < last:
        count = last - plane
        if not (whole.contiguous and are_apart(&whole.x)):
            count = min(count, whole.x.channels - plane % whole.x.channels)
        planes, stride = plane_at(&whole.x, plane), whole.x.channel
        if not whole.contiguous:
            count = min(count, PIECE // whole.size)
            whole.table.conv.patch_rows(&whole.pixels, plane % whole.x.channels, count, plane // whole.x.channels * whole.size,
                                        whole.size, gathered, whole.size)
            planes, stride = <const char*>gathered, whole.size * whole.table.itemsize
        if whole.mean:
            whole.table.rows.means(count, whole.size, planes, stride, whole.y + plane * whole.table.itemsize)
        else:
            whole.table.rows.maxima(count, whole.size, planes, stride, whole.y + plane * whole.table.itemsize)
        plane += count


cdef inline double larger(const primitives* table, Py_ssize_t count, const char* x, double most) noexcept nogil:
    # Of `most` and the largest of x: a NaN wins.
    cdef double all
    cdef char[8] largest
    table.rows.maxima(1, count, x, 0, largest)
    all = real_at(table, largest, 0)
    return most if most != most or most >= all else all


cdef void reduce_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Short planes, and maxima in place, several at a time; others in pieces of a fixed length, gathered into L1 where they are
    # not contiguous.
    cdef const Global* whole = <const Global*>context
    cdef double gathered[PIECE]
    cdef double all
    cdef const char* piece
    cdef Py_ssize_t plane, done, count
    if whole.y != NULL and (whole.size <= SHORT or (whole.contiguous and not whole.mean)):
        reduce_rows(whole, first, last)
        return
    for plane in range(first, last):
        all, done = 0 if whole.mean else -INFINITY, 0
        while done < whole.size:
            count = min(PIECE, whole.size - done)
            piece = plane_at(&whole.x, plane) + done * whole.table.itemsize
            if not whole.contiguous:
                whole.table.conv.patch_rows(&whole.pixels, plane % whole.x.channels, 1,
                                            plane // whole.x.channels * whole.size + done, count, gathered, count)
                piece = <const char*>gathered
            all = all + whole.table.rows.sum(count, piece) if whole.mean else larger(whole.table, count, piece, all)
            done += count
        if whole.sums != NULL:
            whole.sums[plane] = all
        else:
            put(whole.table, whole.y, plane, all / whole.size if whole.mean else all)


cdef void set_global(Global* whole, cnp.ndarray x, bint mean) noexcept:
    cdef windows* g = &whole.pixels
    whole.table, whole.mean, whole.y, whole.sums = primitives_for(cnp.PyArray_TYPE(x)), mean, NULL, NULL
    set_planes(&whole.x, x)
    g.x, g.image_stride, g.channel_stride, g.row_stride, g.column_stride = (
        whole.x.data, whole.x.image, whole.x.channel, whole.x.row, whole.x.column)
    g.h = g.oh = cnp.PyArray_DIMS(x)[2]
    g.w = g.ow = cnp.PyArray_DIMS(x)[3]
    g.kh = g.kw = g.sh = g.sw = g.dh = g.dw = 1
    g.top = g.left = 0
    whole.size = g.h * g.w
    whole.contiguous = whole.x.column == whole.table.itemsize and whole.x.row == g.w * whole.x.column


cdef double global_work(const Global* whole, Py_ssize_t planes) noexcept nogil:
    return planes * work_of(whole.table, whole.size, whole.size * whole.table.itemsize)


def forward(
    cnp.ndarray x,           # IN (n, c, h, w), h and w at least 1
    cnp.ndarray y,           # OUT (n, c), C-contiguous
    bint mean,               # else the maximum
):
    # y[n, c] = mean or max of x[n, c, :, :]
    cdef Global whole
    cdef Team team
    cdef Py_ssize_t planes = cnp.PyArray_SIZE(y)
    if planes == 0:
        return
    set_global(&whole, x, mean)
    whole.y = <char*>cnp.PyArray_DATA(y)
    with nogil:
        team_begin(&team, global_work(&whole, planes), planes, 0, 0)
        team_run(&team, reduce_planes, &whole, planes, global_work(&whole, planes))
        team_end()


def bias_gradient(
    cnp.ndarray dy,          # IN (n, oc, oh, ow)
    cnp.ndarray db,          # OUT (oc,), C-contiguous
):
    # db[o] = sum over (n, i, j) of dy[n, o, i, j]
    cdef Global whole
    cdef Team team
    cdef Py_ssize_t n = cnp.PyArray_DIMS(dy)[0], planes = n * cnp.PyArray_DIMS(dy)[1], i, c
    cdef double total
    cdef char* to = <char*>cnp.PyArray_DATA(db)
    set_global(&whole, dy, True)
    with nogil:
        team_begin(&team, global_work(&whole, planes), planes, planes * sizeof(double), 0)
        whole.sums = <double*>team.shared
        team_run(&team, reduce_planes, &whole, planes, global_work(&whole, planes))
        for c in range(whole.x.channels):
            total = 0
            for i in range(n):
                total += whole.sums[i * whole.x.channels + c]
            put(whole.table, to, c, total)
        team_end()


cdef struct Spread:
    const primitives* table
    Py_ssize_t size
    const char* dy
    Py_ssize_t channels, image, channel
    char* dx


cdef void spread_planes(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Spread* spread = <const Spread*>context
    cdef const char* dy
    cdef Py_ssize_t plane = first, count
    while plane < last:
        count = last - plane
        if spread.image != spread.channels * spread.channel:            # else all of them lie a constant step apart
            count = min(count, spread.channels - plane % spread.channels)
        dy = spread.dy + plane // spread.channels * spread.image + plane % spread.channels * spread.channel
        spread.table.pool_backward.spread(count, spread.size, dy, spread.channel, <double>spread.size,
                                          spread.dx + plane * spread.size * spread.table.itemsize)
        plane += count


def mean_backward(
    cnp.ndarray dy,          # IN (n, c)
    cnp.ndarray dx,          # OUT (n, c, h, w), C-contiguous
):
    # dx[n, c, :, :] = dy[n, c] / (h w)
    cdef Spread spread
    cdef Team team
    cdef cnp.npy_intp s[2]
    cdef Py_ssize_t planes = cnp.PyArray_SIZE(dy)
    cdef double work
    read_strides(dy, s)
    if cnp.PyArray_SIZE(dx) == 0:
        return
    spread.table = primitives_for(cnp.PyArray_TYPE(dy))
    spread.dy, spread.dx = <const char*>cnp.PyArray_DATA(dy), <char*>cnp.PyArray_DATA(dx)
    spread.channels, spread.image, spread.channel = cnp.PyArray_DIMS(dy)[1], s[0], s[1]
    spread.size = cnp.PyArray_DIMS(dx)[2] * cnp.PyArray_DIMS(dx)[3]
    work = work_of(spread.table, 0, cnp.PyArray_NBYTES(dx))
    with nogil:
        team_begin(&team, work, planes, 0, 0)
        team_run(&team, spread_planes, &spread, planes, work)
        team_end()
