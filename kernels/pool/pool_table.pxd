# The primitives of pool as Cython sees them; declarations only. The contracts stand in kernels/pool/*.h.

from npkernels._kernels.axis cimport interval


cdef extern from "primitives.h" nogil:
    enum:
        UNSIGNED_INDEX
    ctypedef struct pooling:
        Py_ssize_t h, w, kh, kw, sh, sw, dh, dw, top, left, bottom, right, oh, ow, span, seen, pitch, batch, skew, line
    ctypedef struct pool_gradients:
        Py_ssize_t planes, rows, columns
        const char* dy
        const char* indices
        Py_ssize_t dy_plane, dy_row, dy_column, index_plane, index_row, index_column, size
    ctypedef struct pool_primitives:
        int dealt
        Py_ssize_t (*lay_out)(pooling* g) noexcept nogil
        void (*gather)(Py_ssize_t planes, Py_ssize_t rows, Py_ssize_t columns, const char* x, Py_ssize_t plane_stride,
                       Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t left, Py_ssize_t right, double outside,
                       Py_ssize_t pitch, void* to) noexcept nogil
        void (*max_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                         void* scratch, void* y) noexcept nogil
        void (*mean_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                          int include_pad, void* scratch, void* y) noexcept nogil
        void (*max_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t planes,
                           Py_ssize_t i, void* scratch, void* y) noexcept nogil
        void (*mean_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride,
                            Py_ssize_t planes, Py_ssize_t i, int include_pad, void* scratch, void* y) noexcept nogil
    ctypedef struct pool_index_primitives:
        void (*max_rows)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last,
                         void* scratch, void* y, int* indices) noexcept nogil
        void (*max_planes)(const pooling* g, const char* x, Py_ssize_t row_stride, Py_ssize_t column_stride, Py_ssize_t planes,
                           Py_ssize_t i, void* scratch, void* y, int* indices) noexcept nogil
        int (*scatter)(const pool_gradients* g, int type, void* dx) noexcept nogil
    ctypedef struct pool_backward_primitives:
        Py_ssize_t (*scratch_size)(const pooling* g) noexcept nogil
        void (*mean_rows)(const pooling* g, const char* dy, Py_ssize_t dy_row, Py_ssize_t dy_column, Py_ssize_t first,
                          Py_ssize_t last, int include_pad, void* scratch, void* dx) noexcept nogil
        void (*spread)(Py_ssize_t planes, Py_ssize_t count, const char* dy, Py_ssize_t dy_stride, double divisor,
                       void* dx) noexcept nogil
    ctypedef struct narrow_pool_primitives:
        void (*max)(const pooling* g, Py_ssize_t lanes, interval rows, const void* x, void* line, void* y) noexcept nogil
        void (*mean)(const pooling* g, int include_pad, Py_ssize_t lanes, interval rows, const void* x, void* line,
                     void* y) noexcept nogil
        void (*indices)(const pooling* g, Py_ssize_t lanes, interval rows, const void* x, void* y, void* places) noexcept nogil
        void (*to_integers)(Py_ssize_t count, const void* x, Py_ssize_t origin, int* to) noexcept nogil
        void (*mean_backward)(const pooling* g, int include_pad, Py_ssize_t lanes, interval rows, void* dy, void* line,
                              void* dx) noexcept nogil
        void (*fetch)(Py_ssize_t bytes, const char* x) noexcept nogil
    ctypedef struct run_of_elements:
        interval windows
        Py_ssize_t count
    ctypedef struct adaptive_primitives:
        void (*fold)(int mean, const char* x, Py_ssize_t row_stride, Py_ssize_t rows, Py_ssize_t count, void* line) noexcept nogil
        void (*fold_places)(const char* x, Py_ssize_t row_stride, Py_ssize_t rows, Py_ssize_t place, Py_ssize_t step,
                            Py_ssize_t count, void* line, void* places) noexcept nogil
        void (*along)(int mean, const interval* columns, Py_ssize_t count, Py_ssize_t planes, Py_ssize_t pitch,
                      const void* heights, const void* line, void* y) noexcept nogil
        void (*along_places)(const interval* columns, Py_ssize_t count, Py_ssize_t planes, Py_ssize_t pitch, const void* line,
                             const void* line_places, void* y, void* places) noexcept nogil
        void (*narrow_places)(Py_ssize_t count, const void* places, int* to) noexcept nogil
        void (*shares)(const interval* columns, Py_ssize_t count, Py_ssize_t planes, Py_ssize_t height, const void* dy,
                       void* shares) noexcept nogil
        void (*spread_runs)(const run_of_elements* runs, Py_ssize_t count, const void* line, void* row) noexcept nogil
