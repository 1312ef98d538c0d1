# The primitives of cluster as Cython sees them; declarations only. The contracts stand in kernels/cluster/*.h.

from libc.stdint cimport int32_t


cdef extern from "primitives.h" nogil:
    ctypedef struct cluster_primitives:
        int (*centre)(Py_ssize_t k, Py_ssize_t d, const void* centroids, const void* low, void* mean, void* scale,
                      void* packed, void* start) noexcept nogil
        int (*nearest)(Py_ssize_t count, Py_ssize_t following, Py_ssize_t d, Py_ssize_t k, const char* x,
                       Py_ssize_t row_stride, Py_ssize_t column_stride, const void* mean, const void* scale,
                       const void* packed, const void* start, void* scratch, int32_t* labels) noexcept nogil
        Py_ssize_t (*scratch_reals)(Py_ssize_t count, Py_ssize_t d) noexcept nogil
        void (*squared_distances)(Py_ssize_t count, Py_ssize_t d, const char* x, Py_ssize_t row_stride,
                                  const void* centroids, const void* low, const int32_t* labels,
                                  void* distances) noexcept nogil
        void (*add_samples)(Py_ssize_t count, Py_ssize_t d, const char* x, Py_ssize_t row_stride, const int32_t* labels,
                            const double* weights, double* sums, Py_ssize_t pitch) noexcept nogil
        void (*add_weights)(Py_ssize_t count, const int32_t* labels, const double* weights, const void* distances,
                            double* counts, double* inertia) noexcept nogil

    ctypedef struct distance_primitives:
        void (*pack)(Py_ssize_t k, Py_ssize_t d, const void* points, void* packed) noexcept nogil
        void (*distances)(Py_ssize_t count, Py_ssize_t d, Py_ssize_t k, const char* x, Py_ssize_t row_stride,
                          Py_ssize_t column_stride, const void* packed, const void* low, const void* zero, void* panel,
                          void* distances, Py_ssize_t pitch) noexcept nogil
        Py_ssize_t (*panel_reals)(Py_ssize_t d) noexcept nogil
        int (*lower)(Py_ssize_t count, Py_ssize_t k, const void* distances, Py_ssize_t pitch, const double* weights,
                     void* nearest, double* sums) noexcept nogil
        Py_ssize_t (*draw)(Py_ssize_t count, const void* nearest, const double* weights, double target) noexcept nogil
        void (*roots)(Py_ssize_t count, Py_ssize_t k, const void* distances, Py_ssize_t pitch, void* to,
                      Py_ssize_t row) noexcept nogil
