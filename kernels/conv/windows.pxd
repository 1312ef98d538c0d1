"""Which windows and taps of an axis meet the image."""

# Along an axis: windows or taps that start at start, start + step, start + 2 step ... and those inside 0 .. size - 1
cdef inline Py_ssize_t first_inside(Py_ssize_t start, Py_ssize_t step) noexcept nogil:
    return 0 if start >= 0 else (step - 1 - start) // step


cdef inline Py_ssize_t end_inside(Py_ssize_t start, Py_ssize_t step, Py_ssize_t size, Py_ssize_t count) noexcept nogil:
    return 0 if start >= size else min(count, (size - 1 - start) // step + 1)


cdef inline Py_ssize_t pairs_inside(Py_ssize_t count, Py_ssize_t stride, Py_ssize_t kernel, Py_ssize_t dilation, Py_ssize_t pad,
                                    Py_ssize_t size) noexcept nogil:
    # of a window and a tap
    cdef Py_ssize_t i, start, pairs = 0
    for i in range(count):
        start = i * stride - pad
        pairs += max(<Py_ssize_t>0, end_inside(start, dilation, size, kernel) - first_inside(start, dilation))
    return pairs
