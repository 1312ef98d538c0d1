cimport numpy as cnp

from npkernels._kernels.primitives cimport ADD_TO_C, START_C, START_COLUMN_BIAS, ROW_PANEL, primitives, tile_fn
from npkernels._kernels.runtime cimport Team, empty_array, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cnp.import_array()

cdef extern from "ahead.h" nogil:
    void fetch_rows(const char* x, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t bytes)

cdef enum:
    K_BLOCK = 2048                 # bytes of a row of A, of which a tile's rows stay in L1
    CHAIN = 4096                   # products after which a chain ends


cdef inline Py_ssize_t end_of_block(const Panels* b, Py_ssize_t p) noexcept nogil:
    # Blocks of k of like size, none across the split.
    cdef Py_ssize_t first = 0 if p < b.split else b.split, end = b.split if p < b.split else b.k
    cdef Py_ssize_t blocks = ceil_div((end - first) * b.table.itemsize, K_BLOCK)
    return min(p + ceil_div(end - first, blocks), end)


cdef inline Py_ssize_t panel_bytes(const Panels* b) noexcept nogil:
    return b.gates * b.k * b.vectors * b.table.lanes * b.table.itemsize


cdef char* new_panels(list kept, const Panels* b) except NULL:
    # From a line of the cache on: vectors across two would take longer.
    cdef cnp.npy_intp bytes = panel_bytes(b) + 64
    kept.append(empty_array(1, &bytes, cnp.NPY_UINT8))
    return <char*>round_to_line(<size_t>cnp.PyArray_DATA(<cnp.ndarray>kept[len(kept) - 1]))


cdef void pack_block(const Panels* b, Py_ssize_t block) noexcept nogil:
    cdef Py_ssize_t size = b.table.itemsize, first = first_unit(b, block), width = first_unit(b, block + 1) - first
    cdef Py_ssize_t count = unit_count(b, block), p = 0, end
    cdef char* to = b.packed + first * b.gates * b.k * size
    cdef int g
    while p < b.k:
        end = end_of_block(b, p)
        for g in range(b.gates):
            b.table.pack.panel(end - p, count, width, b.w + p * b.w_k + first * b.w_column + g * b.w_gate, b.w_k,
                               b.w_column, to)
            to += (end - p) * width * size
        p = end


cdef void pack_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef Py_ssize_t block
    for block in range(first, last):
        pack_block(<const Panels*>context, block)


cdef int pack_weights(Panels* b) except -1 nogil:
    cdef Team team
    cdef double work = work_of(b.table, 0, 4.0 * panel_bytes(b))
    team_begin(&team, work, b.blocks, 0, 0)
    team_run(&team, pack_blocks, b, b.blocks, work)
    team_end()
    return 0


cdef void multiply(const Panels* b, Py_ssize_t block, const char* a, Py_ssize_t a_row, Py_ssize_t rows, char* c,
                   Py_ssize_t c_row) noexcept nogil:
    cdef Py_ssize_t size = b.table.itemsize, first = first_unit(b, block), width = first_unit(b, block + 1) - first
    cdef Py_ssize_t count = unit_count(b, block), p = 0, end, chain = 0
    cdef const char* panel = b.packed + first * b.gates * b.k * size
    cdef const char* at
    cdef const char* bias
    cdef int g, start
    while p < b.k:
        end = end_of_block(b, p)
        at = a + p * size + (b.jump if p >= b.split else 0)
        for g in range(b.gates):
            start = b.start[g] if p == 0 else START_C if p // CHAIN == chain else ADD_TO_C
            bias = b.bias[g] + first * size if start == START_COLUMN_BIAS else NULL
            if rows == 1 and width <= ROW_PANEL * b.table.lanes:
                b.table.recurrent.row_panel(end - p, at, panel, width // b.table.lanes, c + b.place[g], count, start, bias)
            else:
                slivers(b.table, end - p, at, a_row, rows, panel, width, c + b.place[g], c_row, count, start, bias,
                        c + b.place[(g + 1) % b.gates])
            panel += (end - p) * width * size
        chain = p // CHAIN
        p = end


cdef inline void slivers(const primitives* t, Py_ssize_t k, const char* a, Py_ssize_t a_row, Py_ssize_t rows,
                         const char* panel, Py_ssize_t width, char* c, Py_ssize_t c_row, Py_ssize_t count, int start,
                         const char* bias, const char* c_next) noexcept nogil:
    # Rows are split evenly, at most as high as a tile. A chain waits for the numbers of C that it goes on from: those of the
    # next tile are fetched meanwhile.
    cdef Py_ssize_t pieces = ceil_div(rows, t.tile.rows), piece, i = 0, end
    cdef const tile_fn* tiles = t.tile.tiles + width // t.lanes - 1
    for piece in range(pieces):
        end = rows * (piece + 1) // pieces
        if end < rows:
            fetch_rows(c + end * c_row, c_row, rows * (piece + 2) // pieces - end, width * t.itemsize)
        else:
            fetch_rows(c_next, c_row, rows // pieces, width * t.itemsize)
        tiles[(end - i - 1) * t.tile.vectors](k, a + i * a_row, a_row // t.itemsize, 1, panel, width, c + i * c_row,
                                              c_row // t.itemsize, count, start, bias)
        i = end
