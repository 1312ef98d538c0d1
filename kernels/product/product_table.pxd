# The primitives of product as Cython sees them; declarations only. The contracts stand in kernels/product/*.h.


cdef extern from "primitives.h" nogil:
    enum:
        START_ZERO
        START_C
        START_ROW_BIAS
        START_COLUMN_BIAS
        ADD_TO_C
        BLOCK_PANELS
    Py_ssize_t panel_count(Py_ssize_t vectors, Py_ssize_t widest)
    Py_ssize_t panel_start(Py_ssize_t vectors, Py_ssize_t panels, Py_ssize_t q)
    ctypedef void (*tile_fn)(Py_ssize_t k, const void* a, Py_ssize_t a_row, Py_ssize_t a_step, const void* b,
                             Py_ssize_t b_stride, void* c, Py_ssize_t c_stride, Py_ssize_t columns, int start,
                             const void* bias) noexcept nogil
    ctypedef void (*tile_runs_fn)(Py_ssize_t k, const void* a, Py_ssize_t a_stride, const void* b,
                                  const Py_ssize_t* runs, void* c, Py_ssize_t c_stride, Py_ssize_t columns, int start,
                                  const void* bias) noexcept nogil
    ctypedef struct window_taps:
        Py_ssize_t channels, group, count, a_group, b_group
        const Py_ssize_t* places
        const Py_ssize_t* lines
    ctypedef void (*tile_taps_fn)(const window_taps* taps, const void* a, Py_ssize_t a_row, const void* b, void* c,
                                  Py_ssize_t c_stride, int start, const void* bias) noexcept nogil
    ctypedef struct picture_pixels:
        Py_ssize_t pictures, lines, width, a_picture, a_line, a_column, b_picture, b_line, b_column
    ctypedef void (*tile_lines_fn)(const picture_pixels* pixels, const void* a, const Py_ssize_t* runs, const void* b, void* c,
                                   Py_ssize_t c_stride, Py_ssize_t columns, int start) noexcept nogil
    ctypedef void (*row_runs_fn)(Py_ssize_t k, const void* a, const void* b, const Py_ssize_t* runs, void* c,
                                 Py_ssize_t columns, int start, const void* bias) noexcept nogil
    ctypedef struct tile_primitives:
        Py_ssize_t rows, vectors
        const tile_fn* tiles
        const tile_runs_fn* runs
        const tile_taps_fn* taps
        const tile_lines_fn* lines
        row_runs_fn row_runs
        tile_fn row_lines
        const tile_fn* thin
        const tile_fn* dots
        Py_ssize_t dots_most, dots_rows

    ctypedef void (*pack_panel_fn)(Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const char* x, Py_ssize_t k_stride,
                                   Py_ssize_t column_stride, void* panel) noexcept nogil
    ctypedef struct pack_primitives:
        pack_panel_fn panel, chained_panel
        void (*panels)(Py_ssize_t count, Py_ssize_t step, Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const char* x,
                       Py_ssize_t k_stride, Py_ssize_t column_stride, void* panels) noexcept nogil
        void (*rows)(Py_ssize_t count, Py_ssize_t k, const char* x, Py_ssize_t row_stride, Py_ssize_t k_stride,
                     void* rows) noexcept nogil
        void (*scatter)(Py_ssize_t rows, Py_ssize_t columns, const void* x, Py_ssize_t x_stride, char* to,
                        Py_ssize_t row_stride, Py_ssize_t column_stride) noexcept nogil
        void (*turn)(Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t taps, const char* x, Py_ssize_t row_stride,
                     Py_ssize_t column_stride, const Py_ssize_t* offsets, void* to, Py_ssize_t row) noexcept nogil
        void (*transpose)(Py_ssize_t rows, Py_ssize_t columns, const void* x, Py_ssize_t x_stride, void* to,
                          Py_ssize_t to_stride) noexcept nogil

    ctypedef struct gram_primitives:
        void (*centre)(Py_ssize_t k, Py_ssize_t columns, Py_ssize_t width, const void* near, void* panel,
                       double* sums) noexcept nogil
        void (*add)(Py_ssize_t rows, Py_ssize_t columns, const void* c, Py_ssize_t c_stride, double* to,
                    Py_ssize_t to_stride) noexcept nogil
