"""The planes of an array (n, c, h, w), one after the other, and what pooling and its gradients share."""
cimport numpy as cnp

from npkernels._kernels.axis cimport interval, windows_that_see
from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport pooling, primitives
from npkernels._kernels.runtime cimport work_of

cdef enum:
    # Of gathered rows: they stay in L2. Gradients of 112x112x64, channels last: with 16 KB 1.1 to 1.5 times as long, 512 KB 0.9.
    BAND_BYTES = 1 << 17
    TAP_FLOPS = 4                            # an addition or a comparison with its load; counted, not fitted

cdef struct Planes:
    const char* data
    Py_ssize_t channels, image, channel, row, column         # strides in bytes


cdef inline void set_planes(Planes* planes, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp s[4]
    read_strides(x, s)
    planes.data, planes.channels = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[1]
    planes.image, planes.channel, planes.row, planes.column = s[0], s[1], s[2], s[3]


cdef inline const char* plane_at(const Planes* planes, Py_ssize_t index) noexcept nogil:
    return planes.data + index // planes.channels * planes.image + index % planes.channels * planes.channel


cdef inline bint are_apart(const Planes* planes) noexcept nogil:
    # Whether those of all images lie a constant step apart.
    return planes.image == planes.channels * planes.channel


cdef inline int set_pooling(pooling* g, Py_ssize_t h, Py_ssize_t w, object geometry) except -1:
    # geometry: a `PoolGeometry` (src/npkernels/pool/geometry.py), or a tuple like it
    g.h, g.w = h, w
    g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.top, g.left, g.oh, g.ow, g.bottom, g.right = <tuple>geometry
    return 0


cdef inline interval rows_seen(const pooling* g, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # The rows of x that the windows of rows first .. last - 1 of y reach.
    cdef interval rows
    rows.first = max(<Py_ssize_t>0, first * g.sh - g.top)
    rows.last = min(g.h, (last - 1) * g.sh - g.top + (g.kh - 1) * g.dh + 1)
    return rows


cdef inline interval rows_that_see(const pooling* g, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    # The rows of windows that see one of the rows first .. last - 1 of x.
    return windows_that_see(first, last, g.top, g.kh, g.sh, g.oh)


cdef inline double pooling_work(const primitives* table, const pooling* g, Py_ssize_t planes) noexcept nogil:
    # Nanoseconds of one thread for y or for dx
    cdef double rows = <double>g.oh * g.kh, columns = <double>g.ow * g.kw
    return planes * work_of(table, TAP_FLOPS * (rows * g.w + columns * g.oh),
                            table.itemsize * (min(rows, <double>g.h) * g.w + <double>g.oh * g.ow))
