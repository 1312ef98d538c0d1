"""What the two directions of a recurrent layer share: where the rows of all steps lie."""
cimport numpy as cnp
from libc.stdint cimport int64_t

from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport empty_array, primitives_for, work_of
from npkernels._kernels.step_product cimport Panels
from npkernels._kernels.step_walk cimport Sequences, Walk

cdef enum:
    LSTM, GRU, TANH, RELU
    FEW_STEPS = 3                  # in which packed weights would not pay

# Rows of all steps, step by step, those of a step as in `Sequences`.
cdef struct Rows:
    char* data
    Py_ssize_t row                 # bytes

cdef struct Layer:
    const primitives* table
    int cell
    Py_ssize_t h, sums             # sums: of gates, h each; a row of gates has one more in a GRU
    Sequences q
    Panels panels                  # of w_hh
    Walk walk


cdef inline void set_layer(Layer* v, int cell, cnp.ndarray w_hh) noexcept:
    v.table = primitives_for(cnp.PyArray_TYPE(w_hh))
    v.cell, v.h = cell, cnp.PyArray_DIMS(w_hh)[1]
    v.sums = 4 if cell == LSTM else 3 if cell == GRU else 1


cdef inline void set_sequences(Sequences* q, Py_ssize_t n, Py_ssize_t t, cnp.ndarray order, cnp.ndarray lengths,
                               cnp.ndarray starts, bint reverse) noexcept:
    q.n, q.t, q.reverse = n, t, reverse
    q.steps = cnp.PyArray_DIMS(starts)[0] - 1
    q.order, q.lengths = <const int64_t*>cnp.PyArray_DATA(order), <const int64_t*>cnp.PyArray_DATA(lengths)
    q.starts = <const int64_t*>cnp.PyArray_DATA(starts)


cdef inline Rows rows_of(cnp.ndarray x, Py_ssize_t column) noexcept:
    # the columns from `column` on of a C-contiguous matrix
    cdef Rows rows
    rows.row = cnp.PyArray_DIMS(x)[1] * cnp.PyArray_ITEMSIZE(x)
    rows.data = <char*>cnp.PyArray_DATA(x) + column * cnp.PyArray_ITEMSIZE(x)
    return rows


cdef inline Rows new_rows(list kept, Py_ssize_t rows, Py_ssize_t columns, int typenum):
    # Memory that lives as long as `kept`.
    cdef cnp.npy_intp shape[2]
    shape[0], shape[1] = rows, columns
    kept.append(empty_array(2, shape, typenum))
    return rows_of(<cnp.ndarray>kept[len(kept) - 1], 0)


cdef inline char* row_at(const Rows* rows, Py_ssize_t row) noexcept nogil:
    return rows.data + row * rows.row


cdef inline double walk_work(const Layer* v) noexcept nogil:
    # Products, whose weights come from a cache in each step, and about 100 flops a unit and gate.
    cdef double sums = <double>v.sums * v.h * v.h, rows = <double>v.q.starts[v.q.steps]
    return work_of(v.table, 2 * rows * sums + 100 * rows * v.sums * v.h, v.q.steps * sums * v.table.itemsize)
