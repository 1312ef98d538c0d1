# The primitives of neighbours as Cython sees them; declarations only. The contracts stand in kernels/neighbours/*.h.

from libc.stdint cimport int32_t


cdef extern from "primitives.h" nogil:
    enum:
        SQUARED_DISTANCE, ROOT_DISTANCE, COSINE_DISTANCE, INNER_PRODUCT

    ctypedef struct matrix:
        const char* data
        Py_ssize_t row, column

    ctypedef struct neighbour_primitives:
        void (*middle)(Py_ssize_t count, Py_ssize_t d, const void* rows, void* middle) noexcept nogil
        double (*deviation)(Py_ssize_t count, Py_ssize_t d, const char* x, Py_ssize_t row_stride,
                            const void* middle) noexcept nogil
        void (*pack)(Py_ssize_t count, Py_ssize_t d, const char* y, Py_ssize_t row_stride, const void* middle,
                     const void* scale, int norms, void* packed, void* start) noexcept nogil
        void (*panel)(Py_ssize_t count, Py_ssize_t d, const matrix* x, const void* middle, const void* scale,
                      void* panel) noexcept nogil
        Py_ssize_t (*queue_reals)(Py_ssize_t length) noexcept nogil
        void (*begin)(Py_ssize_t length, void* queue) noexcept nogil
        void (*search)(Py_ssize_t tiles, Py_ssize_t d, Py_ssize_t first, const void* packed, const void* start,
                       Py_ssize_t vectors, const void* panel, Py_ssize_t length, void* queues) noexcept nogil
        void (*merge)(Py_ssize_t length, void* queue, void* other) noexcept nogil
        void (*finish)(Py_ssize_t count, Py_ssize_t d, Py_ssize_t k, int kind, const matrix* x, const matrix* y, void* rows,
                       Py_ssize_t length, void* queue, void* values, int32_t* indices) noexcept nogil

    ctypedef struct sample_groups:
        Py_ssize_t tiles, d
        const void* packed
        const void* weights
        const int32_t* ends
        const double* shares

    ctypedef struct pairwise_primitives:
        void (*distances)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t d, int kind, const void* packed,
                          const void* panel, void* out, Py_ssize_t stride) noexcept nogil
        void (*sums)(const sample_groups* groups, Py_ssize_t vectors, const void* panel, const double* homes, double* own,
                     double* other) noexcept nogil
