"""The planes of an array (n, c, h, w), one after the other, and what pooling and its gradients share."""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport pooling
from npkernels._kernels.runtime cimport num_threads

cdef enum:
    POOL_GRAIN = 65536                       # elements of the input that are worth a thread
    BAND_BYTES = 1 << 17                     # of gathered rows: they stay in L2

cdef struct Planes:
    const char* data
    Py_ssize_t channels, image, channel, row, column         # strides in bytes


cdef inline void set_planes(Planes* v, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp s[4]
    read_strides(x, s)
    v.data, v.channels = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[1]
    v.image, v.channel, v.row, v.column = s[0], s[1], s[2], s[3]


cdef inline const char* plane_at(const Planes* v, Py_ssize_t index) noexcept nogil:
    return v.data + index // v.channels * v.image + index % v.channels * v.channel


cdef inline int set_pooling(pooling* g, Py_ssize_t h, Py_ssize_t w, tuple geometry) except -1:
    g.h, g.w = h, w
    g.kh, g.kw, g.sh, g.sw, g.dh, g.dw, g.top, g.left, g.bottom, g.right, g.oh, g.ow = geometry
    return 0


cdef inline int team(Py_ssize_t units, Py_ssize_t grain, size_t scratch_bytes) noexcept nogil:
    # Threads that `units` keep busy and whose scratch has a size; the thread pool has room for 1024.
    cdef Py_ssize_t pieces = (units - 1) // grain + 1
    pieces = min(min(pieces, 1024), <Py_ssize_t>num_threads())
    return 1 if scratch_bytes > (<size_t>-1) // 2048 else <int>pieces


cdef inline size_t whole_lines(size_t bytes) noexcept nogil:
    # whole cache lines, one of them free
    return (bytes // 64 + 2) * 64


cdef inline int no_memory(size_t bytes) except -1:
    raise MemoryError(f"{bytes} bytes of scratch memory for windows of this size")
