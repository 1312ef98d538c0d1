"""Backpropagation through time: step by step the gradients of the sums of the gates, then of all else as products over all steps.

Rows are those of the tape (recurrent.pyx). P. J. Werbos, "Backpropagation through time: what it does and how to do it",
Proceedings of the IEEE 78(10), 1990.
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport ROW_PANEL, START_C, START_ZERO
from npkernels._kernels.product cimport Product, product_begin, product_run
from npkernels._kernels.recurrent_layer cimport (
    FEW_STEPS, GRU, LSTM, RELU, Layer, Rows, row_at, rows_of, set_layer, set_sequences, walk_work,
)
from npkernels._kernels.scalars cimport ceil_div
from npkernels._kernels.step_product cimport Panels, first_unit, multiply, new_panels, pack_weights, unit_count
from npkernels._kernels.step_walk cimport active, time_of, walk_plan, walk_run

cnp.import_array()

cdef extern from "ahead.h" nogil:
    void fetch_rows(const char* x, Py_ssize_t step, Py_ssize_t rows, Py_ssize_t bytes)

cdef enum:
    BLOCK_BYTES = 512              # of a block of units: ROW_PANEL vectors at the most
    LONG_SUM = 4096
    FETCH_AHEAD = 3                # rows

cdef struct Backward:
    Layer layer
    Rows gates, hidden, cells      # the tape
    Rows da                        # gradients of the sums; behind that of a GRU's new gate the one of its b_n
    Rows dh, dc                    # (n, h), in the order of rows: of the states behind a step
    const char* dy                 # or NULL
    Py_ssize_t dy_sequence, dy_time, dy_unit
    bint multiplied                # a few steps: dh of the next one is there
    Py_ssize_t first               # steps walked before


cdef const char* dy_at(const Backward* b, Py_ssize_t row, Py_ssize_t step, Py_ssize_t unit, Py_ssize_t count,
                       char* buffer) noexcept nogil:
    cdef const Layer* v = &b.layer
    cdef const char* at
    if b.dy == NULL:
        return NULL
    at = b.dy + v.q.order[row] * b.dy_sequence + time_of(&v.q, row, step) * b.dy_time + unit * b.dy_unit
    if b.dy_unit == v.table.itemsize:
        return at
    v.table.pack.rows(1, count, at, 0, b.dy_unit, buffer)
    return buffer


cdef inline void fetch_row(const Backward* b, Py_ssize_t row, Py_ssize_t u, Py_ssize_t bytes) noexcept nogil:
    # of the tape, which comes from memory
    cdef const Layer* v = &b.layer
    fetch_rows(row_at(&b.gates, row) + u, v.h * v.table.itemsize, 4 if v.sums > 1 else 1, bytes)
    if v.cell == LSTM:
        fetch_rows(row_at(&b.cells, row) + u, 0, 1, bytes)


cdef void backward_block(void* context, Py_ssize_t i, Py_ssize_t first, Py_ssize_t last, Py_ssize_t block) noexcept nogil:
    # dh of the step behind comes first. The walk may have one step more, which ends with it.
    cdef const Backward* b = <const Backward*>context
    cdef const Layer* v = &b.layer
    cdef Py_ssize_t step = v.q.steps - 1 - b.first - i, h = v.h, r, row
    cdef Py_ssize_t unit = first_unit(&v.panels, block), count = unit_count(&v.panels, block), u = unit * v.table.itemsize
    cdef Py_ssize_t behind = min(last, active(&v.q, step + 1))
    cdef char buffer[BLOCK_BYTES]
    cdef const char* dy
    cdef char* dh
    cdef char* da
    cdef const char* gates
    if first < behind and not b.multiplied:
        multiply(&v.panels, block, row_at(&b.da, v.q.starts[step + 1] + first), b.da.row, behind - first,
                 row_at(&b.dh, first) + u, b.dh.row)
    if step < 0:
        return
    for r in range(first, min(last, active(&v.q, step))):
        row = v.q.starts[step] + r
        fetch_row(b, row + FETCH_AHEAD, u, count * v.table.itemsize)
        dy, dh = dy_at(b, r, step, unit, count, buffer), row_at(&b.dh, r) + u
        gates, da = row_at(&b.gates, row) + u, row_at(&b.da, row) + u
        if v.cell == LSTM:
            v.table.recurrent.lstm_backward(count, h, gates, row_at(&b.cells, row) + u, dy, dh, row_at(&b.dc, r) + u, da)
        elif v.cell == GRU:
            v.table.recurrent.gru_backward(count, h, gates, row_at(&b.hidden, row) + u, dy, dh, da)
        else:
            v.table.recurrent.rnn_backward(count, v.cell == RELU, gates, dy, dh, da)


cdef int multiply_sums(Backward* b, Py_ssize_t step, int typenum) except -1 nogil:
    # dh of one step from da, with weights where they lie; a chain as in `multiply`.
    cdef Layer* v = &b.layer
    cdef Panels* w = &v.panels
    cdef Product g
    cdef Py_ssize_t part
    for part in range(2 if w.split < w.k else 1):
        product_begin(&g, typenum, active(&v.q, step), v.h, w.k - w.split if part else w.split)
        g.table = v.table
        g.a = row_at(&b.da, v.q.starts[step]) + part * (w.split * v.table.itemsize + w.jump)
        g.a_row, g.a_k = b.da.row, v.table.itemsize
        g.b, g.b_k, g.b_column = w.w + part * w.split * w.w_k, w.w_k, w.w_column
        g.c, g.c_row = b.dh.data, b.dh.row
        g.start = START_C if part else w.start[0]
        product_run(&g)
    return 0


cdef int run(Backward* b, bint to_begin, int typenum) except -1 nogil:
    cdef Layer* v = &b.layer
    cdef Py_ssize_t step
    b.first = 0
    if not b.multiplied:
        pack_weights(&v.panels)
        return walk_run(&v.walk, v.q.steps + to_begin)
    for step in range(v.q.steps - 1, -1, -1):
        walk_run(&v.walk, 1)
        if step > 0 or to_begin:
            multiply_sums(b, step, typenum)
        b.first += 1
    return 0


cdef void set_panels(Layer* v, cnp.ndarray w_hh) noexcept:
    # B[p, j] = w_hh[p, j], where p runs over all gates
    cdef Panels* b = &v.panels
    cdef cnp.npy_intp strides[2]
    read_strides(w_hh, strides)
    b.table, b.k, b.columns, b.gates = v.table, v.sums * v.h, v.h, 1
    b.split, b.jump = b.k, 0
    b.start[0], b.bias[0], b.place[0] = START_ZERO, NULL, 0
    if v.cell == GRU:              # b_n in place of a_n, and on top of the part z dh
        b.split, b.jump, b.start[0] = 2 * v.h, v.h * v.table.itemsize, START_C
    b.vectors = ceil_div(v.h, v.table.lanes)
    b.w, b.w_k, b.w_column, b.w_gate = <const char*>cnp.PyArray_DATA(w_hh), strides[0], strides[1], 0


def through_time(
    int cell,
    cnp.ndarray w_hh,          # IN (gates h, h)
    tuple sequences,           # IN as in `forward`
    cnp.ndarray dy,            # IN (n, t, h), or None
    tuple tape,                # IN as in `forward`
    cnp.ndarray da,            # OUT (rows, ...): of the sums, and b_n behind those of a GRU
    cnp.ndarray dh,            # INOUT (n, h), C-contiguous, in the order of rows: of the last states, then of the first
    cnp.ndarray dc,            # the same of cells, or None
    bint to_begin,             # whether dh of the first states is wanted
):
    cdef Backward b
    cdef Layer* v = &b.layer
    cdef list buffers = []
    cdef int typenum = cnp.PyArray_TYPE(w_hh)
    cdef cnp.npy_intp strides[3]
    cdef Py_ssize_t n = cnp.PyArray_DIMS(dh)[0], t = 0
    order, lengths, starts, reverse = sequences
    set_layer(v, cell, w_hh)
    set_sequences(&v.q, n, t, order, lengths, starts, reverse)
    b.dy = NULL
    if dy is not None:
        read_strides(dy, strides)
        b.dy, b.dy_sequence, b.dy_time, b.dy_unit = <const char*>cnp.PyArray_DATA(dy), strides[0], strides[1], strides[2]
    b.gates, b.hidden = rows_of(tape[0], 0), rows_of(tape[1], tape[3])
    if cell == LSTM:
        b.cells, b.dc = rows_of(tape[2], 0), rows_of(dc, 0)
    b.da, b.dh = rows_of(da, 0), rows_of(dh, 0)
    set_panels(v, w_hh)
    b.multiplied = v.q.steps < FEW_STEPS and v.panels.k <= LONG_SUM
    walk_plan(&v.walk, active(&v.q, 0), v.q.steps + to_begin, v.panels.vectors, ROW_PANEL if n == 1 else v.table.tile.vectors,
              walk_work(v))
    v.walk.lengths, v.walk.block, v.walk.context = v.q.lengths, backward_block, &b
    v.panels.blocks = v.walk.blocks
    if not b.multiplied:
        v.panels.packed = new_panels(buffers, &v.panels)
    with nogil:
        run(&b, to_begin, typenum)
