"""Rows of an operand of any strides, and tiles of them."""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport matrix, primitives
from npkernels._kernels.scalars cimport ceil_div

cdef enum:
    LINE = 64                                # bytes of a cache line


cdef inline void read_matrix(cnp.ndarray x, matrix* rows) noexcept:
    cdef cnp.npy_intp strides[2]
    read_strides(x, strides)
    rows.data, rows.row, rows.column = <const char*>cnp.PyArray_DATA(x), strides[0], strides[1]


cdef inline matrix rows_from(const matrix* x, Py_ssize_t i) noexcept nogil:
    cdef matrix rows = x[0]
    rows.data += i * x.row
    return rows


cdef inline const char* contiguous_rows(const primitives* table, const matrix* x, Py_ssize_t i, Py_ssize_t count,
                                        Py_ssize_t d, char* to, Py_ssize_t* row) noexcept nogil:
    # Rows i to i + count, of contiguous features, `row` bytes apart: where they lie, or a copy.
    cdef const char* rows = x.data + i * x.row
    row[0] = x.row
    if x.column == table.itemsize:
        return rows
    table.pack.rows(count, d, rows, x.row, x.column, to)
    row[0] = d * table.itemsize
    return to


cdef inline void pack_tiles(const primitives* table, const matrix* x, Py_ssize_t i, Py_ssize_t end, Py_ssize_t d,
                            const void* middle, const void* scale, bint norms, char* rows, char* packed,
                            char* start) noexcept nogil:
    # Rows i to end in tiles, a tile at a time through `rows` where features are not contiguous.
    cdef Py_ssize_t height = table.tile.rows, size = table.itemsize, row, count
    cdef Py_ssize_t step = end - i if x.column == size else height
    cdef const char* from_rows
    while i < end:
        count = min(step, end - i)
        from_rows = contiguous_rows(table, x, i, count, d, rows, &row)
        table.neighbours.pack(count, d, from_rows, row, middle, scale, norms, packed, start)
        packed += ceil_div(count, height) * height * d * size
        start += ceil_div(count, height) * height * size
        i += count
