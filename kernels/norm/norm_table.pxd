# The primitives of norm as Cython sees them; declarations only. The contracts stand in kernels/norm/*.h.


cdef extern from "primitives.h" nogil:
    ctypedef struct norm_terms:
        const void* mean
        const void* rest
        const void* scale
        const void* shift
        int streamed
    ctypedef struct norm_gradient_terms:
        const void* weight
        const void* mean
        const void* offset
        const void* slope
        const void* scale
        int streamed
    ctypedef struct norm_pair:
        const void* dy
        const void* x
        Py_ssize_t dy_stride, x_stride
    ctypedef struct norm_channels:
        const void* scale
        const void* other
        void* first
        void* second
    ctypedef struct norm_primitives:
        void (*moments)(Py_ssize_t planes, Py_ssize_t count, const void* x, Py_ssize_t stride, double* mean,
                        double* variance) noexcept nogil
        void (*gradient_sums)(Py_ssize_t planes, Py_ssize_t count, const void* dy, Py_ssize_t dy_stride, const void* x,
                              Py_ssize_t x_stride, const void* mean, double* sum, double* product) noexcept nogil
        void (*plane_gradient_sums)(Py_ssize_t planes, Py_ssize_t count, const void* dy, Py_ssize_t dy_stride, const void* x,
                                    Py_ssize_t x_stride, const void* mean, double* sums) noexcept nogil
        void (*column_moments)(Py_ssize_t channels, Py_ssize_t rows, const void* x, Py_ssize_t stride, double* mean,
                               double* variance) noexcept nogil
        void (*column_gradient_sums)(Py_ssize_t channels, Py_ssize_t rows, const norm_pair* pair, const void* mean, double* sum,
                                     double* product) noexcept nogil
        int (*finish)(Py_ssize_t channels, const double** moments, double eps, const norm_channels* to, void* terms,
                      Py_ssize_t pitch) noexcept nogil
        void (*finish_gradient)(Py_ssize_t channels, const double** sums, double positions, double eps, const norm_channels* to,
                                void* terms, Py_ssize_t pitch) noexcept nogil
        void (*rows)(Py_ssize_t channels, Py_ssize_t count, const void* x, Py_ssize_t x_stride, const norm_terms* terms,
                     Py_ssize_t channel, void* y, Py_ssize_t y_stride) noexcept nogil
        void (*gradient_rows)(Py_ssize_t channels, Py_ssize_t count, const void* dy, Py_ssize_t dy_stride, const void* x,
                              Py_ssize_t x_stride, const norm_gradient_terms* terms, Py_ssize_t channel, void* dx,
                              Py_ssize_t dx_stride) noexcept nogil
        void (*columns)(Py_ssize_t channels, Py_ssize_t rows, const void* x, Py_ssize_t x_stride, const norm_terms* terms,
                        void* y, Py_ssize_t y_stride) noexcept nogil
        void (*gradient_columns)(Py_ssize_t channels, Py_ssize_t rows, const norm_pair* pair, const norm_gradient_terms* terms,
                                 void* dx, Py_ssize_t dx_stride) noexcept nogil
    ctypedef struct row_norm_primitives:
        void (*row)(Py_ssize_t count, const void* x, double mean, double scale, const void* gamma, const void* beta,
                    void* y) noexcept nogil
        void (*row_gradient_sums)(Py_ssize_t count, const void* dy, const void* x, const void* gamma, double mean,
                                  double scale, double* sums, void* dgamma, void* dbeta) noexcept nogil
        void (*row_gradient)(Py_ssize_t count, const void* dy, const void* x, const void* gamma, double mean, double scale,
                             double offset, double slope, void* dx) noexcept nogil
