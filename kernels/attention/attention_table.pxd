# The primitives of attention as Cython sees them; declarations only. The contracts stand in kernels/attention/*.h.


cdef extern from "primitives.h" nogil:
    ctypedef struct attention_state:
        void* most
        void* sum
        void* o
    ctypedef struct attention_primitives:
        void (*scale)(Py_ssize_t count, double factor, void* x) noexcept nogil
        void (*mask)(Py_ssize_t keys, Py_ssize_t vectors, const void* added, const void* bounds, Py_ssize_t diagonal,
                     void* s) noexcept nogil
        void (*bounds)(Py_ssize_t keys, Py_ssize_t queries, Py_ssize_t vectors, const char* x, Py_ssize_t key_stride,
                       Py_ssize_t query_stride, void* bounds) noexcept nogil
        int (*weights)(Py_ssize_t keys, Py_ssize_t vectors, void* s, const attention_state* state, void* factor) noexcept nogil
        void (*rescale)(Py_ssize_t rows, Py_ssize_t vectors, const void* factor, void* o) noexcept nogil
        void (*merge)(Py_ssize_t rows, Py_ssize_t vectors, const attention_state* state,
                      const attention_state* other) noexcept nogil
        int (*finish)(Py_ssize_t rows, Py_ssize_t vectors, const attention_state* state) noexcept nogil
        double (*row_weights)(Py_ssize_t count, const char* added, const char* seen, Py_ssize_t stride, void* s, void* most,
                              void* sum) noexcept nogil
        void (*lane_dots)(Py_ssize_t rows, Py_ssize_t vectors, const void* a, const void* b, void* sums) noexcept nogil
        void (*gradient)(Py_ssize_t keys, Py_ssize_t vectors, const void* most, const void* less, void* s,
                         void* d) noexcept nogil
        void (*weighted)(int in_a, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t k, const void* a, Py_ssize_t a_row,
                         Py_ssize_t a_step, const void* b, Py_ssize_t b_stride, void* c, Py_ssize_t c_stride,
                         int start) noexcept nogil
        int (*finite)(Py_ssize_t rows, Py_ssize_t columns, const char* x, Py_ssize_t row_stride,
                      Py_ssize_t column_stride) noexcept nogil
