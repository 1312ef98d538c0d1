"""The tiles of Winograd's forms: those of an image in rows, a row cut into strips of up to WINOGRAD_TILES, all alike."""
from npkernels._kernels.primitives cimport WINOGRAD_TILES
from npkernels._kernels.scalars cimport ceil_div

cdef struct Strips:
    Py_ssize_t rows, columns                 # tiles of an image
    Py_ssize_t chunks, longest, count        # strips in a row of tiles; tiles of the longest; strips of all images


cdef inline void set_strips(Strips* v, Py_ssize_t images, Py_ssize_t oh, Py_ssize_t ow, Py_ssize_t step) noexcept nogil:
    v.rows, v.columns = ceil_div(oh, step), ceil_div(ow, step)
    v.chunks = ceil_div(v.columns, WINOGRAD_TILES)
    v.longest, v.count = ceil_div(v.columns, v.chunks), images * v.rows * v.chunks


cdef inline Py_ssize_t first_tile(const Strips* v, Py_ssize_t strip) noexcept nogil:
    # Its number among the tiles of all images
    return strip // v.chunks * v.columns + v.columns * (strip % v.chunks) // v.chunks


cdef inline void locate(const Strips* v, Py_ssize_t strip, Py_ssize_t* image, Py_ssize_t* row, Py_ssize_t* column,
                        Py_ssize_t* tiles) noexcept nogil:
    # A strip's first tile and its number of tiles
    cdef Py_ssize_t first = first_tile(v, strip)
    row[0], image[0] = strip // v.chunks % v.rows, strip // v.chunks // v.rows
    column[0], tiles[0] = first % v.columns, first_tile(v, strip + 1) - first
