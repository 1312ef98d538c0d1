# The primitives of sampling as Cython sees them; declarations only. The contracts stand in kernels/sampling/*.h.

from libc.stdint cimport int32_t


cdef extern from "primitives.h" nogil:
    ctypedef struct pixel_list:
        const Py_ssize_t* start
        const Py_ssize_t* pixel
        const void* weight
    ctypedef struct column_group:
        Py_ssize_t first, taps, base
        int near
        Py_ssize_t copies
    ctypedef struct resampling:
        Py_ssize_t width, columns
        pixel_list rows, across
        const column_group* groups
        const int32_t* offsets
        const void* weights
        const int32_t* masks
        double fill
    ctypedef struct resample_primitives:
        Py_ssize_t pieces
        void (*plane)(const resampling* r, const char* x, Py_ssize_t row_stride, Py_ssize_t first, Py_ssize_t last, void* line,
                      void* y) noexcept nogil
        void (*image)(const resampling* r, const char* x, Py_ssize_t row_stride, Py_ssize_t pixel_stride, Py_ssize_t channels,
                      Py_ssize_t first, Py_ssize_t last, void* line, void* y, Py_ssize_t pitch) noexcept nogil

    enum:
        GRID_ZEROS
        GRID_BORDER
        GRID_REFLECTION
    ctypedef struct sampling:
        Py_ssize_t h, w, top, bottom
        int nearest, padding, align_corners
        Py_ssize_t position, coordinate, channels, line, pixel, channel
        int together
        Py_ssize_t y_position, y_channel, dy_position, dy_channel, sum_pixel, sum_channel
    ctypedef struct grid_primitives:
        void (*forward)(const sampling* s, Py_ssize_t count, const char* grid, const char* x, void* y) noexcept nogil
        void (*affine)(Py_ssize_t count, const void* x, const double* slope, const double* start, void* to) noexcept nogil
    ctypedef struct grid_gradient_primitives:
        void (*places)(const sampling* s, Py_ssize_t count, const char* grid, const char* x, const char* dy,
                       void* dgrid) noexcept nogil
        void (*image)(const sampling* s, Py_ssize_t count, const char* grid, const char* dy, double* sums) noexcept nogil
        void (*turn)(Py_ssize_t pixels, const double* sums, void* dx, Py_ssize_t plane) noexcept nogil
