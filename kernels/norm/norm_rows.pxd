"""What layer_norm, rms_norm, and group_norm where planes are a few elements, have in common with their gradients.

Samples hold `groups` rows of d elements, each with its own stretch of gamma and beta; layer_norm has one. A row is read
in place where it is contiguous, and else gathered. Long rows have the moments of blocks, put together in order.
"""
cimport numpy as cnp

from npkernels._kernels.moments cimport add_moments
from npkernels._kernels.primitives cimport primitives, strided
from npkernels._kernels.runtime cimport Team, primitives_for, work_of
from npkernels._kernels.scalars cimport round_to_line
from npkernels._kernels.strided cimport merge_array, run_of

cdef enum:
    BLOCK = 4096             # elements whose moments are taken in the number type
    FLOPS = 16               # of an element

cdef struct Norm:
    const primitives* table
    Py_ssize_t samples, groups, d
    Py_ssize_t blocks        # of samples
    Py_ssize_t pieces        # of a row
    strided x, dy            # (samples, groups, d) by any strides
    const char* gamma        # (groups, d)
    const char* beta         # or NULL
    char* mean               # (samples, groups), or NULL: x is divided by the root of its mean square
    char* variance           # or the mean square
    double eps
    char* y                  # (samples, groups, d), C-contiguous
    char* dgamma             # (groups, d)
    char* dbeta              # or NULL, without beta
    bint wide                # the sums of blocks are in double precision
    char* sums               # (blocks, 2): dgamma and dbeta of blocks of samples, `sum_bytes` apart
    double* row_sums         # (samples, groups, pieces, 2)
    size_t sum_bytes
    size_t row_bytes
    size_t width_bytes       # of numbers (groups, d)
    double work
    Team team                # a thread has rows of x and dy, and sums of short blocks


cdef inline char* data_of(object x) noexcept:
    return NULL if x is None else <char*>cnp.PyArray_DATA(<cnp.ndarray>x)


cdef inline void begin_norm(Norm* norm, cnp.ndarray x, cnp.ndarray gamma, Py_ssize_t groups, double eps, cnp.ndarray y,
                            object mean, cnp.ndarray variance) noexcept:
    norm.table, norm.eps, norm.groups = primitives_for(cnp.PyArray_TYPE(x)), eps, groups
    norm.samples, norm.d = cnp.PyArray_SIZE(variance) // groups, cnp.PyArray_SIZE(gamma) // groups
    merge_array(&norm.x, x)
    norm.gamma, norm.y = <const char*>cnp.PyArray_DATA(gamma), <char*>cnp.PyArray_DATA(y)
    norm.mean, norm.variance = data_of(mean), <char*>cnp.PyArray_DATA(variance)
    norm.work = work_of(norm.table, <double>FLOPS * cnp.PyArray_SIZE(x), <double>3 * cnp.PyArray_NBYTES(x))
    norm.row_bytes = round_to_line(<size_t>(norm.d * norm.table.itemsize))
    norm.width_bytes = round_to_line(<size_t>(groups * norm.d * norm.table.itemsize))


cdef inline const char* read(const Norm* norm, const strided* a, Py_ssize_t first, Py_ssize_t count,
                             char* buffer) noexcept nogil:
    # Elements first .. first + count
    cdef const char* at = run_of(a, first, count, norm.table.itemsize)
    if at != NULL:
        return at
    norm.table.strided.gather(a, first, count, buffer)
    return buffer


cdef inline void row_moments(const Norm* norm, const char* x, double* mean, double* variance) noexcept nogil:
    cdef Py_ssize_t first = 0, count
    cdef double near, spread
    if norm.mean == NULL:
        mean[0], variance[0] = 0, norm.table.optim.squares(norm.d, x, 1) / norm.d
        return
    while first < norm.d:
        count = min(norm.d - first, <Py_ssize_t>BLOCK)
        norm.table.norm.moments(1, count, x + first * norm.table.itemsize, 0, &near, &spread)
        add_moments(mean, variance, first, count, near, spread)
        first += count
