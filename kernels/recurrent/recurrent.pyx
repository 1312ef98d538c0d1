"""Recurrent layers forward: the sums of the inputs of many steps as one product, then step by step what depends on the state.

A row is a sequence at a step. Rows lie step by step, those of a step by falling length of their sequences, so that each step
is a matrix without gaps whatever the lengths and the direction.
"""
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport (
    ADD_TO_C, ROW_PANEL, START_C, START_COLUMN_BIAS, START_ZERO,
)
from npkernels._kernels.product cimport Product, product_begin, product_run
from npkernels._kernels.runtime cimport Team, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, odd_lines
from npkernels._kernels.step_product cimport Panels, first_unit, multiply, new_panels, pack_weights, unit_count
from npkernels._kernels.recurrent_layer cimport (
    FEW_STEPS, GRU, LSTM, RELU, Layer, Rows, new_rows, row_at, rows_of, set_layer, set_sequences, walk_work,
)
from npkernels._kernels.step_walk cimport Sequences, active, time_of, walk_plan, walk_run

cnp.import_array()

cdef enum:
    CHUNK_BYTES = 4 << 20          # of gates whose inputs are multiplied at a time: they are read from a cache
    LONG_INPUT = 4096              # products of inputs, behind which those of the state are a chain of their own

cdef struct Forward:
    Layer layer
    const char* x
    Py_ssize_t d, x_sequence, x_time, x_number     # bytes
    const char* w_ih
    Py_ssize_t w_row, w_column
    const char* bias               # (sums h,), and of h in the new gate of a GRU; or NULL
    const char* bias_n
    bint kept                      # rows of all steps stay: the tape
    Rows inputs                    # copies of x, where it is not rows of one stride
    Rows gates, hidden, cells
    char* y
    char* h_final                  # (n, h): on the way in the states at the beginning
    char* c_final
    Py_ssize_t first               # step of a chunk, and its first row in `gates` and `inputs`
    Py_ssize_t first_row
    bint multiplied                # a few steps: their products are there


cdef inline Py_ssize_t state_row(const Forward* f, Py_ssize_t step) noexcept nogil:
    # States before a step: of all steps, or of two in turn.
    return f.layer.q.starts[step] if f.kept else (step & 1) * f.layer.q.n


cdef inline Py_ssize_t gate_row(const Forward* f, Py_ssize_t step) noexcept nogil:
    return f.layer.q.starts[step] - f.first_row


cdef void forward_block(void* context, Py_ssize_t i, Py_ssize_t first, Py_ssize_t last, Py_ssize_t block) noexcept nogil:
    cdef const Forward* f = <const Forward*>context
    cdef const Layer* v = &f.layer
    cdef Py_ssize_t step = f.first + i, size = v.table.itemsize, h = v.h, r, at, line = h * size
    cdef Py_ssize_t unit = first_unit(&v.panels, block), count = unit_count(&v.panels, block), u = unit * size
    cdef char* gates = row_at(&f.gates, gate_row(f, step) + first) + u
    cdef char* hidden = row_at(&f.hidden, state_row(f, step) + first)
    cdef char* cell
    cdef char* h_next
    cdef char* c_next
    cdef char* y
    last = min(last, active(&v.q, step))
    if first >= last:
        return
    if not f.multiplied:
        multiply(&v.panels, block, hidden, f.hidden.row, last - first, gates, f.gates.row)
    for r in range(first, last):
        at = v.q.order[r] * line + u
        y = f.y + v.q.order[r] * v.q.t * line + time_of(&v.q, r, step) * line + u
        if step + 1 < v.q.lengths[r]:
            h_next = row_at(&f.hidden, state_row(f, step + 1) + r) + u
        else:
            h_next = f.h_final + at
        if v.cell == LSTM:
            cell = row_at(&f.cells, state_row(f, step) + r) + u
            c_next = row_at(&f.cells, state_row(f, step + 1) + r) + u if step + 1 < v.q.lengths[r] else f.c_final + at
            v.table.recurrent.lstm(count, h, gates, cell, c_next, h_next, y)
        elif v.cell == GRU:
            v.table.recurrent.gru(count, h, gates, hidden + u, h_next, y)
        else:
            v.table.recurrent.rnn(count, v.cell == RELU, gates, h_next, y)
        gates += f.gates.row
        hidden += f.hidden.row


# --- sums of the inputs

cdef struct Gather:
    const Forward* forward
    Team team


cdef void gather_steps(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Forward* f = (<Gather*>context).forward
    cdef const Layer* v = &f.layer
    cdef Py_ssize_t step, r
    for step in range(f.first + first, f.first + last):
        for r in range(active(&v.q, step)):
            v.table.pack.rows(1, f.d, f.x + v.q.order[r] * f.x_sequence + time_of(&v.q, r, step) * f.x_time, 0, f.x_number,
                              row_at(&f.inputs, gate_row(f, step) + r))


cdef int gather_inputs(Forward* f, Py_ssize_t steps, Py_ssize_t rows) except -1 nogil:
    cdef Gather gather
    cdef double work = work_of(f.layer.table, 0, 4.0 * rows * f.d * f.layer.table.itemsize)
    gather.forward = f
    team_begin(&gather.team, work, steps, 0, 0)
    team_run(&gather.team, gather_steps, &gather, steps, work)
    team_end()
    return 0


cdef bint rows_in_place(Forward* f, Py_ssize_t* row) noexcept nogil:
    # Whether the rows of all steps are one step apart in x, as in an array that is time-major.
    cdef const Sequences* q = &f.layer.q
    cdef Py_ssize_t time = -f.x_time if q.reverse else f.x_time
    if f.kept or (q.n > 1 and q.lengths[q.n - 1] < q.t):
        return False
    row[0] = time if q.n == 1 else f.x_sequence
    return q.n == 1 or q.t == 1 or time == q.n * f.x_sequence


cdef int multiply_inputs(Forward* f, Py_ssize_t steps, int typenum) except -1 nogil:
    cdef Layer* v = &f.layer
    cdef Product g
    cdef Py_ssize_t rows = v.q.starts[f.first + steps] - v.q.starts[f.first], row
    product_begin(&g, typenum, rows, v.sums * v.h, f.d)
    g.table = v.table
    if rows_in_place(f, &row):
        g.a, g.a_row, g.a_k = f.x + time_of(&v.q, 0, f.first) * f.x_time, row, f.x_number
    else:
        gather_inputs(f, steps, rows)
        g.a, g.a_row, g.a_k = row_at(&f.inputs, gate_row(f, f.first)), f.inputs.row, v.table.itemsize
    g.b, g.b_k, g.b_column = f.w_ih, f.w_column, f.w_row
    g.c, g.c_row = row_at(&f.gates, gate_row(f, f.first)), f.gates.row
    if f.bias != NULL:
        g.bias, g.start = f.bias, START_COLUMN_BIAS
    product_run(&g)
    return 0


cdef int multiply_states(Forward* f, int typenum) except -1 nogil:
    # Of one step, from weights where they lie: each gate that continues the sum of its inputs, and the new one of a GRU.
    cdef Layer* v = &f.layer
    cdef Panels* b = &v.panels
    cdef Py_ssize_t rows = active(&v.q, f.first)
    cdef Product g
    cdef int part, parts = 2 if v.cell == GRU else 1, gate
    for part in range(parts):
        gate = 2 * part
        product_begin(&g, typenum, rows, v.h * (1 if part else v.sums + 1 - parts), v.h)
        g.table = v.table
        g.a, g.a_row, g.a_k = row_at(&f.hidden, state_row(f, f.first)), f.hidden.row, v.table.itemsize
        g.b, g.b_k, g.b_column = b.w + gate * b.w_gate, b.w_k, b.w_column
        g.c, g.c_row = row_at(&f.gates, gate_row(f, f.first)) + b.place[gate], f.gates.row
        g.start, g.bias = b.start[gate], b.bias[gate]
        product_run(&g)
    return 0


# --- the whole

cdef void copy_states(Forward* f) noexcept nogil:
    # (n, h) in the order of rows, before the first step.
    cdef const Layer* v = &f.layer
    cdef Py_ssize_t r, line = v.h * v.table.itemsize
    for r in range(active(&v.q, 0)):
        v.table.pack.rows(1, v.h, f.h_final + v.q.order[r] * line, 0, v.table.itemsize, row_at(&f.hidden, state_row(f, 0) + r))
        if v.cell == LSTM:
            v.table.pack.rows(1, v.h, f.c_final + v.q.order[r] * line, 0, v.table.itemsize,
                              row_at(&f.cells, state_row(f, 0) + r))


cdef Py_ssize_t chunk_end(const Forward* f, Py_ssize_t first) noexcept nogil:
    cdef const Sequences* q = &f.layer.q
    cdef Py_ssize_t last = first + 1
    while last < q.steps and (q.starts[last + 1] - q.starts[first]) * f.gates.row <= CHUNK_BYTES:
        last += 1
    return last


cdef int run(Forward* f, int typenum) except -1 nogil:
    cdef Layer* v = &f.layer
    cdef Py_ssize_t step, end
    copy_states(f)
    if not f.multiplied:
        pack_weights(&v.panels)
    f.first = 0
    while f.first < v.q.steps:
        end = chunk_end(f, f.first)
        f.first_row = 0 if f.kept else v.q.starts[f.first]
        multiply_inputs(f, end - f.first, typenum)
        if f.multiplied:
            for step in range(f.first, end):
                f.first = step
                multiply_states(f, typenum)
                walk_run(&v.walk, 1)
        else:
            walk_run(&v.walk, end - f.first)
        f.first = end
    return 0


cdef void set_panels(Forward* f, cnp.ndarray w_hh) noexcept:
    # B[p, j] of gate g is w_hh[g h + j, p]. A sum goes on where that of the inputs ended; a GRU's b_n begins anew.
    cdef Layer* v = &f.layer
    cdef Panels* b = &v.panels
    cdef cnp.npy_intp strides[2]
    cdef int g
    cdef bint apart
    b.table, b.k, b.columns, b.gates = v.table, v.h, v.h, <int>v.sums
    b.split, b.jump = b.k, 0
    b.vectors = ceil_div(v.h, v.table.lanes)
    b.w = <const char*>cnp.PyArray_DATA(w_hh)
    read_strides(w_hh, strides)
    b.w_k, b.w_column = strides[1], strides[0]
    b.w_gate = v.h * b.w_column
    for g in range(v.sums):
        apart = v.cell == GRU and g == 2
        b.place[g] = (3 if apart else g) * v.h * v.table.itemsize
        b.start[g] = ADD_TO_C if f.d > LONG_INPUT else START_C
        b.bias[g] = NULL
        if apart:
            b.bias[g], b.start[g] = f.bias_n, START_ZERO if f.bias_n == NULL else START_COLUMN_BIAS


cdef inline Py_ssize_t pitch(Py_ssize_t numbers) noexcept:
    # As rows of the tape: those that lie a power of 2 apart share a set of a cache.
    return numbers if numbers < 64 else odd_lines(numbers)


cdef Py_ssize_t most_rows(const Forward* f) noexcept:
    # of a chunk
    cdef Py_ssize_t first = 0, end, most = 0
    while first < f.layer.q.steps:
        end = chunk_end(f, first)
        most = max(most, f.layer.q.starts[end] - f.layer.q.starts[first])
        first = end
    return most


def forward(
    int cell,
    cnp.ndarray x,             # IN (n, t, d)
    cnp.ndarray w_ih,          # IN (gates h, d)
    cnp.ndarray w_hh,          # IN (gates h, h)
    cnp.ndarray bias,          # IN (gates h,), contiguous, or None
    cnp.ndarray bias_n,        # IN (h,), contiguous, or None: of h in the new gate of a GRU
    tuple sequences,           # IN order, lengths, starts (int64, contiguous), whether reversed
    cnp.ndarray y,             # OUT (n, t, h), C-contiguous; steps beyond a length are not written
    cnp.ndarray h_final,       # INOUT (n, h), C-contiguous: the first states become the last
    cnp.ndarray c_final,       # the same of cells, or None
    tuple tape,                # OUT gates, inputs and states, cells: rows of all steps; or None
):
    cdef Forward f
    cdef Layer* v = &f.layer
    cdef list buffers = []
    cdef int typenum = cnp.PyArray_TYPE(x)
    cdef Py_ssize_t n = cnp.PyArray_DIMS(x)[0], t = cnp.PyArray_DIMS(x)[1], row = 0
    cdef Py_ssize_t widest
    cdef cnp.npy_intp strides[3]
    order, lengths, starts, reverse = sequences
    set_layer(v, cell, w_hh)
    set_sequences(&v.q, n, t, order, lengths, starts, reverse)
    f.x, f.d = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[2]
    read_strides(x, strides)
    f.x_sequence, f.x_time, f.x_number = strides[0], strides[1], strides[2]
    read_strides(w_ih, strides)
    f.w_ih, f.w_row, f.w_column = <const char*>cnp.PyArray_DATA(w_ih), strides[0], strides[1]
    f.bias = f.bias_n = NULL
    if bias is not None:
        f.bias = <const char*>cnp.PyArray_DATA(bias)
    if bias_n is not None:
        f.bias_n = <const char*>cnp.PyArray_DATA(bias_n)
    f.y, f.h_final = <char*>cnp.PyArray_DATA(y), <char*>cnp.PyArray_DATA(h_final)
    f.c_final = NULL if c_final is None else <char*>cnp.PyArray_DATA(c_final)
    f.kept, f.first, f.first_row = tape is not None, 0, 0
    set_panels(&f, w_hh)
    f.multiplied = v.q.steps < FEW_STEPS and v.h <= LONG_INPUT and f.d <= LONG_INPUT
    widest = ROW_PANEL if n == 1 else v.table.tile.vectors
    walk_plan(&v.walk, active(&v.q, 0), v.q.steps, v.panels.vectors, widest, walk_work(v))
    v.walk.lengths, v.walk.block, v.walk.context = v.q.lengths, forward_block, &f
    v.panels.blocks = v.walk.blocks
    if f.kept:
        f.gates, f.inputs, f.hidden = rows_of(tape[0], 0), rows_of(tape[1], 0), rows_of(tape[1], f.d)
        if cell == LSTM:
            f.cells = rows_of(tape[2], 0)
    else:
        f.gates.row = pitch((1 if v.sums == 1 else 4) * v.h) * v.table.itemsize
        f.gates = new_rows(buffers, most_rows(&f), f.gates.row // v.table.itemsize, typenum)
        if not rows_in_place(&f, &row):
            f.inputs = new_rows(buffers, most_rows(&f), f.d, typenum)
        f.hidden = new_rows(buffers, 2 * n, v.h, typenum)
        if cell == LSTM:
            f.cells = new_rows(buffers, 2 * n, v.h, typenum)
    if not f.multiplied:
        v.panels.packed = new_panels(buffers, &v.panels)
    with nogil:
        run(&f, typenum)
