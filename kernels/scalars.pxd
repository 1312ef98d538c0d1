"""Single numbers of the type of a table, and sizes in whole lines of the cache."""
from npkernels._primitives cimport primitives


cdef inline double real_at(const primitives* table, const char* x, Py_ssize_t i) noexcept nogil:
    return (<const float*>x)[i] if table.itemsize == sizeof(float) else (<const double*>x)[i]


cdef inline void put(const primitives* table, char* x, Py_ssize_t i, double value) noexcept nogil:
    if table.itemsize == sizeof(float):
        (<float*>x)[i] = <float>value
    else:
        (<double*>x)[i] = value


cdef inline size_t round_to_line(size_t bytes) noexcept nogil:
    return (bytes + 63) & ~<size_t>63
