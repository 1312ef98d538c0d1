cimport numpy as cnp

from npkernels._kernels.convolution cimport Convolution
from npkernels._kernels.primitives cimport windows

cdef struct Phase:
    # Rows, or columns, of dx that meet the same taps
    Py_ssize_t first, size             # the first of them; how many
    Py_ssize_t tap, step, taps         # the first tap, from tap to tap, how many
    Py_ssize_t dilation, pad           # of these taps in dy; before its first row

# dx, in C order, from columns; the weights are rows (`weights_are_rows`).
cdef int columns_run(const Convolution* conv) except -1 nogil
# dx as convolutions of dy, one for each phase of rows and of columns that meets a tap.
cdef Py_ssize_t phases_of(const windows* x, bint columns, Phase* phases) noexcept nogil
cdef Convolution phase_of(const Convolution* conv, const Phase* row, const Phase* column) noexcept nogil
# Copies the weights into rows, an odd number of cache lines apart, in the order of the windows' taps; the array has their memory.
cdef cnp.ndarray weights_as_rows(Convolution* conv)
