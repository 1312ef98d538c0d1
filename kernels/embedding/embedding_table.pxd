# The primitives of embedding as Cython sees them; declarations only. The contracts stand in kernels/embedding/*.h.

from libc.stdint cimport int64_t


cdef extern from "primitives.h" nogil:
    ctypedef struct embedding_primitives:
        void (*gather)(Py_ssize_t count, Py_ssize_t columns, const char* w, Py_ssize_t row_stride, const int64_t* rows,
                       int streamed, void* y) noexcept nogil
