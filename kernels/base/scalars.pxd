"""Single numbers of the type of a table, or shared by threads, and sizes in whole lines of the cache."""
from libc.stdint cimport int64_t

from npkernels._kernels.primitives cimport primitives

cdef extern from "shared.h" nogil:
    ctypedef int64_t int64_memory
    int64_t load_once(const int64_memory* x)

cdef extern from *:
    # Numbers of arrays that come from outside: NumPy's may be unaligned.
    """
    typedef float float_memory __attribute__((aligned(1), may_alias));
    typedef double double_memory __attribute__((aligned(1), may_alias));
    """
    ctypedef float float_memory
    ctypedef double double_memory


cdef inline double real_at(const primitives* table, const char* x, Py_ssize_t i) noexcept nogil:
    return (<const float_memory*>x)[i] if table.itemsize == sizeof(float) else (<const double_memory*>x)[i]


cdef inline void put(const primitives* table, char* x, Py_ssize_t i, double value) noexcept nogil:
    if table.itemsize == sizeof(float):
        (<float_memory*>x)[i] = <float>value
    else:
        (<double_memory*>x)[i] = value


cdef enum:
    SUM_LANES = 64


cdef inline double sum_in_double(const primitives* table, const char* x, Py_ssize_t count) noexcept nogil:
    # In an order that depends on the count alone: one chain of additions waits four cycles for each number.
    cdef double sums[SUM_LANES]
    cdef double total = 0
    cdef Py_ssize_t first = 0, i
    for i in range(SUM_LANES):
        sums[i] = 0
    while first < count:
        table.rows.add_to_doubles(min(<Py_ssize_t>SUM_LANES, count - first), x + first * table.itemsize, sums)
        first += SUM_LANES
    for i in range(SUM_LANES):
        total += sums[i]
    return total


cdef inline Py_ssize_t ceil_div(Py_ssize_t a, Py_ssize_t b) noexcept nogil:
    return (a + b - 1) // b


cdef inline Py_ssize_t round_up(Py_ssize_t a, Py_ssize_t unit) noexcept nogil:
    return (a + unit - 1) // unit * unit


cdef inline size_t round_to_line(size_t bytes) noexcept nogil:
    return (bytes + 63) & ~<size_t>63


cdef inline Py_ssize_t odd_lines(Py_ssize_t elements) noexcept nogil:
    # The distance of planes that are read or written side by side: an odd number of cache lines, else they share a set
    return (elements // 16 + 1 | 1) * 16
