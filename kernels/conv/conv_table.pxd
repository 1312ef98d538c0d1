# The primitives of conv as Cython sees them; declarations only. The contracts stand in kernels/conv/*.h.


cdef extern from "primitives.h" nogil:
    ctypedef struct windows:
        const char* x
        Py_ssize_t image_stride, channel_stride, row_stride, column_stride
        Py_ssize_t h, w, kh, kw, sh, sw, dh, dw, top, left, oh, ow
    ctypedef struct patch_columns:
        const char* x
        Py_ssize_t image, channel, tap, column
    ctypedef struct conv_primitives:
        Py_ssize_t short_rows
        void (*patch_block)(const windows* windows, Py_ssize_t p0, Py_ssize_t k_count, Py_ssize_t j0, Py_ssize_t columns,
                            void* panels) noexcept nogil
        void (*patch_rows)(const windows* windows, Py_ssize_t p0, Py_ssize_t rows, Py_ssize_t j0, Py_ssize_t columns,
                           void* to, Py_ssize_t stride) noexcept nogil
        void (*patch_sums)(const windows* windows, Py_ssize_t images, Py_ssize_t channels, const patch_columns* cols,
                           const void* bias, char* to, Py_ssize_t to_image, Py_ssize_t to_channel) noexcept nogil
    ctypedef struct flat_layout:
        Py_ssize_t pitch, length, extra, steps_h, steps_w, phases_h, phases_w
    flat_layout flat_layout_of(const windows* windows)
    ctypedef struct flat_primitives:
        void (*fill)(const windows* windows, Py_ssize_t pitch, Py_ssize_t channel, Py_ssize_t row_phase,
                     Py_ssize_t column_phase, Py_ssize_t start, Py_ssize_t count, Py_ssize_t room,
                     void* to) noexcept nogil
        void (*store)(Py_ssize_t rows, Py_ssize_t start, Py_ssize_t count, Py_ssize_t pitch, Py_ssize_t ow, const void* c,
                      Py_ssize_t c_stride, char* y, Py_ssize_t y_channel, Py_ssize_t y_row,
                      Py_ssize_t y_column) noexcept nogil

    ctypedef struct depthwise_band:
        Py_ssize_t elements
    depthwise_band depthwise_forward_band(const windows* x, Py_ssize_t itemsize)
    depthwise_band depthwise_gradient_band(const windows* x, Py_ssize_t itemsize)
    bint depthwise_fits(const windows* x)
    ctypedef struct pixel_band:
        Py_ssize_t pixels
    pixel_band pixels_forward_band(const windows* x, Py_ssize_t pixel_bytes)
    pixel_band pixels_gradient_band(const windows* x)
    ctypedef struct depthwise_primitives:
        void (*forward)(const windows* x, const void* w, const void* bias, char* y, Py_ssize_t y_row,
                        void* scratch) noexcept nogil
        void (*image_gradient)(const windows* x, const char* dy, Py_ssize_t dy_row, const void* w, bint add, char* dx,
                               Py_ssize_t dx_row, void* scratch) noexcept nogil
        void (*weight_lanes)(const windows* x, const char* dy, Py_ssize_t dy_row, double* lanes,
                             void* scratch) noexcept nogil
        void (*sum_lanes)(Py_ssize_t taps, const double* lanes, void* dw) noexcept nogil
        void (*pixels_forward)(const windows* x, Py_ssize_t channels, const void* w, const void* bias, char* y,
                               void* scratch) noexcept nogil
        void (*pixels_image_gradient)(const windows* x, const windows* dy, Py_ssize_t channels, const void* w, char* dx,
                                      void* scratch) noexcept nogil
        void (*pixels_weights)(const windows* x, const windows* dy, Py_ssize_t channels, double* sums,
                               void* scratch) noexcept nogil

    enum:
        WINOGRAD_PLANES
        WINOGRAD_TILES
        WINOGRAD_PIXELS
        WINOGRAD_PARTS
    ctypedef struct winograd_primitives:
        void (*kernels)(Py_ssize_t channels, Py_ssize_t width, const void* taps, bint turned, void* u, Py_ssize_t plane,
                        void* extents) noexcept nogil
        bint (*even_kernels)(Py_ssize_t parts, Py_ssize_t width, const void* extents, Py_ssize_t outputs) noexcept nogil
        void (*input)(const windows* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t channels, Py_ssize_t tiles, void* pixels,
                      void* v, Py_ssize_t plane, Py_ssize_t tile, void* energies) noexcept nogil
        bint (*even)(const windows* x, Py_ssize_t row, Py_ssize_t column, Py_ssize_t tiles,
                     const void* energies) noexcept nogil
        void (*output)(Py_ssize_t tiles, const void* m, Py_ssize_t plane, Py_ssize_t tile, const void* bias,
                       Py_ssize_t channels, void* pixels) noexcept nogil
        void (*store)(Py_ssize_t channels, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t width, const void* pixels, char* y,
                      Py_ssize_t y_channel, Py_ssize_t y_row, Py_ssize_t y_column) noexcept nogil
        void (*gradient)(const windows* dy, Py_ssize_t row, Py_ssize_t column, Py_ssize_t channels, Py_ssize_t tiles,
                         void* pixels, void* v, Py_ssize_t plane, Py_ssize_t tile, void* energies) noexcept nogil
        void (*pixel_extent)(Py_ssize_t tiles, const void* energies, double* largest, double* sum) noexcept nogil
        void (*gradient_extent)(Py_ssize_t tiles, const void* energies, double* largest, double* sum) noexcept nogil
        void (*weights)(Py_ssize_t channels, const void* m, Py_ssize_t plane, Py_ssize_t width, void* taps) noexcept nogil
