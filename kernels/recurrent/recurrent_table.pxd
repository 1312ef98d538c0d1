# The primitives of recurrent as Cython sees them; declarations only. The contracts stand in kernels/recurrent/*.h.


cdef extern from "primitives.h" nogil:
    enum:
        ROW_PANEL
    ctypedef struct recurrent_primitives:
        void (*lstm)(Py_ssize_t count, Py_ssize_t h, void* gates, const void* cell, void* cell_next, void* h_next,
                     void* y) noexcept nogil
        void (*gru)(Py_ssize_t count, Py_ssize_t h, void* gates, const void* hidden, void* h_next, void* y) noexcept nogil
        void (*rnn)(Py_ssize_t count, int relu, void* gates, void* h_next, void* y) noexcept nogil
        void (*lstm_backward)(Py_ssize_t count, Py_ssize_t h, const void* gates, const void* cell, const void* dy,
                              const void* dh, void* dc, void* da) noexcept nogil
        void (*gru_backward)(Py_ssize_t count, Py_ssize_t h, const void* gates, const void* hidden, const void* dy, void* dh,
                             void* da) noexcept nogil
        void (*rnn_backward)(Py_ssize_t count, int relu, const void* gates, const void* dy, const void* dh,
                             void* da) noexcept nogil
        void (*row_panel)(Py_ssize_t k, const void* a, const void* b, Py_ssize_t vectors, void* c, Py_ssize_t columns,
                          int start, const void* bias) noexcept nogil
