"""The product of one step, whose B is the same in all: packed once a call, block by block of hidden units."""
from npkernels._kernels.primitives cimport panel_start, primitives

cdef enum:
    GATES = 4                      # the most

# C of a gate is k x columns; a block of units has the panels of all gates for each block of k, one behind the other.
cdef struct Panels:
    const primitives* table
    Py_ssize_t k, columns, gates
    Py_ssize_t split, jump         # from p = split on, A lies `jump` bytes further; split = k: nowhere
    Py_ssize_t vectors, blocks     # of the columns
    const char* w                  # B[p, j] of gate g: w + p * w_k + j * w_column + g * w_gate, bytes
    Py_ssize_t w_k, w_column, w_gate
    int start[GATES]               # how a chain of the gate begins (tile.h)
    const char* bias[GATES]
    Py_ssize_t place[GATES]        # of the gate in a row of C, bytes
    char* packed

# The units first <= j < first + count of a block.
cdef inline Py_ssize_t first_unit(const Panels* b, Py_ssize_t block) noexcept nogil:
    return panel_start(b.vectors, b.blocks, block) * b.table.lanes


cdef inline Py_ssize_t unit_count(const Panels* b, Py_ssize_t block) noexcept nogil:
    return min(first_unit(b, block + 1), b.columns) - first_unit(b, block)


# Memory for `packed` that lives as long as `kept`.
cdef char* new_panels(list kept, const Panels* b) except NULL
# On all threads; -1 and MemoryError.
cdef int pack_weights(Panels* b) except -1 nogil
# C of one block of units; a and c are at their first row, c at its first unit, steps in bytes. One chain of multiply-adds an
# element, in ascending p, whatever the rows and blocks; more than CHAIN products are blocks that are added in order.
cdef void multiply(const Panels* b, Py_ssize_t block, const char* a, Py_ssize_t a_row, Py_ssize_t rows, char* c,
                   Py_ssize_t c_row) noexcept nogil
