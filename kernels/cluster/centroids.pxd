# Centroids of more digits than the samples have. Averages of float32 numbers far from the origin, rounded to float32, are
# off by more than what their samples differ by; as a sum of two float32 numbers they are not.


cdef inline bint split(const double* values, Py_ssize_t count, float* high, float* low) noexcept nogil:
    # high + low = values, to 48 bits. Returns whether a low is not 0.
    cdef Py_ssize_t i
    cdef bint rounded = False
    for i in range(count):
        high[i] = <float>values[i]
        low[i] = <float>(values[i] - high[i])
        rounded |= low[i] != 0
    return rounded
