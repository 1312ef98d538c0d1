"""Dropout and its gradient. What is kept is a function of a key and the place of an element, so that neither threads
nor strides change it."""
from libc.stdint cimport uint8_t, uint64_t
cimport numpy as cnp

from npkernels._kernels.primitives cimport strided
from npkernels._kernels.strided cimport (
    READ, WRITE, Elementwise, elementwise_begin, elementwise_operand, elementwise_run, merge_array,
)

cnp.import_array()

cdef enum:
    DRAW = 100               # operations of a random number
    PIECE = 1024             # elements whose mask is made or gathered at a time, whole groups of random numbers

cdef struct Dropout:
    uint8_t* mask            # C-contiguous, else NULL
    strided gathered         # the mask that is not
    uint64_t key, kept
    double scale


cdef void forward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    # Rows start at multiples of the walker's chunk, which holds whole groups. y, operand 1, says where.
    cdef const Dropout* v = <const Dropout*>e.context
    cdef Py_ssize_t first = (at[1] - e.data[1]) // e.table.itemsize, i = 0, some
    while i < count:
        some = min(count - i, <Py_ssize_t>PIECE)
        e.table.dropout.draw(v.key, v.kept, first + i, some, v.mask + first + i)
        e.table.dropout.apply(some, at[0] + i * e.table.itemsize, v.mask + first + i, v.scale, at[1] + i * e.table.itemsize)
        i += some


def forward(
    cnp.ndarray x,             # IN any shape
    double p,                  # the probability of 0
    uint64_t key,
    cnp.ndarray y,             # OUT shape of x, C-contiguous
    cnp.ndarray mask,          # OUT shape of x, C-contiguous, bool
):
    # mask = random number < 2^32 (1 - p);  y = mask ? x / (1 - p) : 0
    cdef Elementwise e
    cdef Dropout v
    v.key, v.kept, v.scale = key, <uint64_t>((1 - p) * <double>(<uint64_t>1 << 32) + 0.5), 1 / (1 - p)
    v.mask = <uint8_t*>cnp.PyArray_DATA(mask)
    elementwise_begin(&e, x, DRAW, forward_row, &v)
    elementwise_operand(&e, x, READ)
    elementwise_operand(&e, y, WRITE)
    elementwise_run(&e)


cdef void backward_row(const Elementwise* e, Py_ssize_t count, char** at) noexcept nogil:
    cdef const Dropout* v = <const Dropout*>e.context
    cdef Py_ssize_t first = (at[1] - e.data[1]) // e.table.itemsize, i = 0, some
    cdef uint8_t piece[PIECE]
    if v.mask != NULL:
        e.table.dropout.apply(count, at[0], v.mask + first, v.scale, at[1])
        return
    while i < count:
        some = min(count - i, <Py_ssize_t>PIECE)
        e.table.strided.gather_bytes(&v.gathered, first + i, some, piece)
        e.table.dropout.apply(some, at[0] + i * e.table.itemsize, piece, v.scale, at[1] + i * e.table.itemsize)
        i += some


def backward(
    cnp.ndarray dy,            # IN any shape
    cnp.ndarray mask,          # IN shape of dy, bool
    double p,
    cnp.ndarray dx,            # OUT shape of dy, C-contiguous
):
    # dx = mask ? dy / (1 - p) : 0
    cdef Elementwise e
    cdef Dropout v
    v.scale, v.mask = 1 / (1 - p), <uint8_t*>cnp.PyArray_DATA(mask)
    if not cnp.PyArray_IS_C_CONTIGUOUS(mask):
        merge_array(&v.gathered, mask)
        v.mask = NULL
    elementwise_begin(&e, dy, 4, backward_row, &v)
    elementwise_operand(&e, dy, READ)
    elementwise_operand(&e, dx, WRITE)
    elementwise_run(&e)
