"""Single numbers of the type of a table, or shared by threads, and sizes in whole lines of the cache."""
from libc.stdint cimport int64_t

from npkernels._primitives cimport primitives

cdef extern from "shared.h" nogil:
    int64_t load_once(const int64_t* x)
    void raise_flag(char* flag)
    bint is_raised(const char* flag)


cdef inline double real_at(const primitives* table, const char* x, Py_ssize_t i) noexcept nogil:
    return (<const float*>x)[i] if table.itemsize == sizeof(float) else (<const double*>x)[i]


cdef inline void put(const primitives* table, char* x, Py_ssize_t i, double value) noexcept nogil:
    if table.itemsize == sizeof(float):
        (<float*>x)[i] = <float>value
    else:
        (<double*>x)[i] = value


cdef inline size_t round_to_line(size_t bytes) noexcept nogil:
    return (bytes + 63) & ~<size_t>63
