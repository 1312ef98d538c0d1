"""Convolution with output channels in the lanes."""
from npkernels._kernels.convolution cimport Convolution

# The rows of a tile are windows of a row, or ("across") images. False: a memory of fixed size would not suffice.
cdef bint lanes_fit(const Convolution* conv, bint across) noexcept nogil
# y; the weights are rows (`weights_are_rows`). False if taps were to be skipped and a weight is infinite or NaN; then y may be
# written in part.
cdef int lanes_run(const Convolution* conv, bint across) except -1 nogil
# What the cost counts: whether images are read where they lie, else the elements from row to row of a copy; pairs of windows
# and taps inside of an axis are pairs_inside.
cdef bint lanes_read_in_place(const Convolution* conv) noexcept nogil
cdef Py_ssize_t lanes_pitch(const Convolution* conv) noexcept nogil
