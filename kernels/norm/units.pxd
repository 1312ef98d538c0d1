"""Units for numbers whose squares overflow or vanish: scaled by a power of 2, they are computed with like all others.

float32 beyond 2^64 and float64 beyond 2^512 have no square; differences below 2^-50 and 2^-450 have one that loses digits,
which counts unless their mean is so large that smaller differences cannot be.
"""
from libc.math cimport fabs, hypot, ldexp, sqrt
from libc.string cimport memcpy

from npkernels._kernels.primitives cimport primitives


cdef inline double large_unit(const primitives* table) noexcept nogil:
    return ldexp(1, -70 if table.itemsize == sizeof(float) else -600)


cdef inline double largest_mean(const primitives* table) noexcept nogil:
    # Of a mean that is given: x less a larger one may overflow.
    return ldexp(1, 125 if table.itemsize == sizeof(float) else 1021)


cdef inline double unit_for(const primitives* table, double mean, double variance) noexcept nogil:
    # The unit in which moments that came out so have to be taken anew, or 1.
    if variance - variance != 0:
        return large_unit(table)
    if table.itemsize == sizeof(float):
        return ldexp(1, 96) if variance < ldexp(1, -100) and fabs(mean) < ldexp(1, -20) else 1
    return ldexp(1, 700) if variance < ldexp(1, -900) and fabs(mean) < ldexp(1, -300) else 1


cdef inline double root_in(double unit, double variance, double eps) noexcept nogil:
    # sqrt(variance + eps), the variance being that of scaled numbers
    return sqrt(variance + eps) if unit == 1 else hypot(sqrt(variance), sqrt(eps) * unit)


cdef inline const char* scale_to(const primitives* table, const char* x, Py_ssize_t count, double unit,
                                 char* buffer) noexcept nogil:
    # The numbers in a unit, in the buffer, in which they may be already.
    if x != buffer:
        memcpy(buffer, x, <size_t>(count * table.itemsize))
    table.optim.scale(count, buffer, unit)
    return buffer
