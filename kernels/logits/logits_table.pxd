# The primitives of logits as Cython sees them; declarations only. The contracts stand in kernels/logits/*.h.


cdef extern from "primitives.h" nogil:
    ctypedef struct pair_primitives:
        double (*margins)(Py_ssize_t d, const void* x, Py_ssize_t target, double margin, double scale, void* dx) noexcept nogil
        double (*gaussian_kl)(Py_ssize_t d, const void* m, const void* v, double scale, void* dm, void* dv) noexcept nogil
        void (*dots)(Py_ssize_t d, const void* a, const void* b, double* sums) noexcept nogil
        double (*distance)(Py_ssize_t d, const void* a, const void* b, double shift) noexcept nogil
        void (*difference)(Py_ssize_t d, const void* a, const void* b, double shift, double factor, void* y) noexcept nogil
        void (*combine)(Py_ssize_t d, const void* a, const void* b, double p, double q, void* y) noexcept nogil

    enum:
        TARGET_NONE
        TARGET_IGNORED
    ctypedef struct sample_target:
        Py_ssize_t target
        double hard, scale
    ctypedef void (*softmax_fn)(Py_ssize_t c, const void* x, void* y) noexcept nogil
    ctypedef void (*softmax_rows_fn)(Py_ssize_t count, Py_ssize_t c, const char* x, Py_ssize_t x_bytes, void* y,
                                     void* scratch) noexcept nogil
    ctypedef void (*softmax_gradient_fn)(Py_ssize_t c, const void* dy, const void* y, void* dx) noexcept nogil
    ctypedef struct softmax_primitives:
        softmax_rows_fn rows_softmax, rows_log_softmax
        softmax_fn lanes_softmax, lanes_log_softmax
        softmax_gradient_fn row_softmax_backward, row_log_softmax_backward
        softmax_gradient_fn lanes_softmax_backward, lanes_log_softmax_backward
        void (*row_cross_entropy)(Py_ssize_t c, const void* x, const void* base, double base_sum,
                                  const sample_target* target, void* dx, void* loss, void* scratch) noexcept nogil
        void (*lanes_cross_entropy)(Py_ssize_t c, Py_ssize_t count, const void* x, const void* base, int shared,
                                    const double* base_sum, const sample_target* targets, void* dx,
                                    void* loss) noexcept nogil
        double (*row_base)(Py_ssize_t c, const void* target, const void* weight, double keep, double even,
                           void* base) noexcept nogil
        void (*lanes_base)(Py_ssize_t c, const void* target, const void* weight, double keep, double even, void* base,
                           double* sums) noexcept nogil
