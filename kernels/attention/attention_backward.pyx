"""The gradients of attention. Weights are computed anew, block by block, from scores and their statistics.

With weights p, of the scores s = q k' scale + mask, and y = p v:

    dv = p' dy,  dp = dy v',  ds = p (dp - mean),  mean = sum over keys of p dp = sum over c of dy y,
    dq = ds k scale,  dk = ds' q scale

A task is a head, or a part of its keys: panels of queries, and for each the blocks of keys (attention.pyx). A weight of 0 times
inf or NaN is NaN, but shall not count: where a result is not finite, all is done again with products that leave such terms out.
"""
from libc.math cimport INFINITY
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.attention cimport (
    ANY_TERMS, WEIGHTS_IN_A, WEIGHTS_IN_B, Attention, Matrix, Panel, Rows, attention_begin, attention_work, head_rows,
    load_columns, matrix, multiply, packed_bytes, panel_of, scores, set_rows,
)
from npkernels._kernels.primitives cimport primitives
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, threads_for
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line, round_up
from npkernels._kernels.strided cimport offset_of

cnp.import_array()

cdef enum:
    CHAIN = 8192                   # the most queries whose terms of dk and dv are one chain

cdef struct Backward:
    Attention g
    Rows y, dy                     # (heads, lq, dv)
    const char* statistics         # (heads, lq)
    char* dq                       # (heads, lq, d)
    char* dk                       # (heads, lk, d)
    char* dv                       # (heads, lk, dv)
    double scale
    bint apart                     # parts are tasks; their dq but that of the first lie in shared memory
    bint long_sums                 # dk and dv are sums of chains
    Py_ssize_t q_width, dy_width   # of rows, whole vectors

cdef struct Scratch:               # of a thread; columns are queries, or rows
    Py_ssize_t* held
    char* q
    char* dy
    char* y
    char* q_rows
    char* dy_rows
    char* s
    char* ds
    char* mask
    char* dq
    char* most
    char* mean
    char* dk
    char* dv
    char* packed


cdef inline char* take(char** memory, size_t bytes) noexcept nogil:
    cdef char* at = memory[0]
    memory[0] += round_to_line(bytes)
    return at


cdef Scratch scratch_of(const Backward* v, char* memory, char** end) noexcept nogil:
    cdef const Attention* g = &v.g
    cdef size_t size = <size_t>g.table.itemsize, width = <size_t>g.width * size
    cdef size_t sums = <size_t>g.part * size if v.long_sums else 0
    cdef Scratch s
    s.held = <Py_ssize_t*>take(&memory, sizeof(Py_ssize_t))
    s.q, s.dq = take(&memory, g.d * width), take(&memory, g.d * width)
    s.dy, s.y = take(&memory, g.dv * width), take(&memory, g.dv * width)
    s.q_rows, s.dy_rows = take(&memory, v.q_width * width), take(&memory, v.dy_width * width)
    s.s, s.ds, s.mask = take(&memory, g.block * width), take(&memory, g.block * width), take(&memory, g.block * width)
    s.most, s.mean = take(&memory, width), take(&memory, width)
    s.dk, s.dv = take(&memory, g.d * sums), take(&memory, g.dv * sums)
    s.packed = take(&memory, packed_bytes(g))
    end[0] = memory
    return s


cdef void load_panel(const Backward* v, const Panel* p, const Scratch* s) noexcept nogil:
    cdef const Attention* g = &v.g
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize, i
    load_columns(g, &g.q, g.d, p, g.factor, s.q)
    load_columns(g, &v.dy, g.dv, p, 1, s.dy)
    load_columns(g, &v.y, g.dv, p, 1, s.y)
    t.attention.lane_dots(g.dv, p.vectors, s.dy, s.y, s.mean)
    t.pack.rows(1, p.count, v.statistics + (p.head * g.lq + p.first) * size, 0, size, s.most)
    for i in range(p.count, p.width):
        put(t, s.most, i, INFINITY)
    t.pack.panel(p.count, g.d, v.q_width, g.q.data + offset_of(&g.q.heads, p.head) + p.first * g.q.row, g.q.row, g.q.column,
                 s.q_rows)
    t.attention.scale(p.count * v.q_width, v.scale, s.q_rows)
    t.pack.panel(p.count, g.dv, v.dy_width, v.dy.data + offset_of(&v.dy.heads, p.head) + p.first * v.dy.row, v.dy.row,
                 v.dy.column, s.dy_rows)


cdef bint block_gradients(const Backward* v, const Panel* p, Matrix keys, Matrix values, Py_ssize_t j, Py_ssize_t count,
                          const Scratch* s, bint started, bint begun, bint careful) noexcept nogil:
    # Keys j to j + count, whose rows of dk and dv lie at s.dk and s.dv, as sums that have begun; False where all are hidden.
    cdef const Attention* g = &v.g
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize
    cdef int in_a = WEIGHTS_IN_A if careful else ANY_TERMS, in_b = WEIGHTS_IN_B if careful else ANY_TERMS
    cdef Matrix weights = matrix(s.s, p.width, 1), ds = matrix(s.ds, p.width, 1)
    if not scores(g, p, keys, j, count, s.q, s.mask, s.s):
        return False
    multiply(t, count, p.width, g.dv, matrix(values.data + j * values.row * size, values.row, 1), matrix(s.dy, p.width, 1), ds,
             False, ANY_TERMS)
    t.attention.gradient(count, p.vectors, s.most, s.mean, s.s, s.ds)
    multiply(t, count, g.dv, p.count, weights, matrix(s.dy_rows, v.dy_width, 1), matrix(s.dv, g.dv, 1), begun, in_a)
    multiply(t, count, g.d, p.count, ds, matrix(s.q_rows, v.q_width, 1), matrix(s.dk, g.d, 1), begun, in_a)
    multiply(t, g.d, p.width, count, matrix(keys.data + j * keys.row * size, 1, keys.row), ds, matrix(s.dq, p.width, 1),
             started, in_b)
    return True


cdef inline bint is_finite(const primitives* t, Py_ssize_t count, const char* x) noexcept nogil:
    return t.attention.finite(1, count, x, 0, t.itemsize)


cdef bint are_finite(const Backward* v, Py_ssize_t count, const char* dk, const char* dv) noexcept nogil:
    return is_finite(v.g.table, count * v.g.d, dk) and is_finite(v.g.table, count * v.g.dv, dv)


cdef void clear_rows(const Backward* v, Py_ssize_t first, Py_ssize_t last, const Scratch* s) noexcept nogil:
    cdef Py_ssize_t size = v.g.table.itemsize
    if first < last:
        memset(s.dk + first * v.g.d * size, 0, <size_t>((last - first) * v.g.d * size))
        memset(s.dv + first * v.g.dv * size, 0, <size_t>((last - first) * v.g.dv * size))


cdef void end_sums(const Backward* v, Py_ssize_t count, const Scratch* s, char* dk, char* dv) noexcept nogil:
    v.g.table.rows.add(count * v.g.d, s.dk, dk)
    v.g.table.rows.add(count * v.g.dv, s.dv, dv)
    clear_rows(v, 0, count, s)


cdef void store_dq(const Backward* v, const Panel* p, Py_ssize_t part, const Scratch* s) noexcept nogil:
    # That of the first part, the others to be added to it.
    cdef const Attention* g = &v.g
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize
    cdef size_t row = <size_t>((p.head * g.lq + p.first) * g.d * size)
    t.attention.scale(g.d * p.width, v.scale, s.dq)
    if part == 0:
        t.pack.transpose(g.d, p.count, s.dq, p.width, v.dq + row, g.d)
    elif v.apart:
        t.pack.transpose(g.d, p.count, s.dq, p.width, part_of_dq(v, part) + row, g.d)
    else:
        t.pack.transpose(g.d, p.count, s.dq, p.width, s.q_rows, g.d)
        t.rows.add(p.count * g.d, s.q_rows, v.dq + row)


cdef inline char* part_of_dq(const Backward* v, Py_ssize_t part) noexcept nogil:
    return v.g.team.shared + <size_t>((part - 1) * v.g.heads * v.g.lq * v.g.d * v.g.table.itemsize)


cdef bint panel_gradients(const Backward* v, const Panel* p, Py_ssize_t part, const Scratch* sums, Py_ssize_t* begun,
                          bint careful) noexcept nogil:
    # Rows of dk and dv from `begun` on are not yet written. Of the last panel, whether all results are finite.
    cdef const Attention* g = &v.g
    cdef Py_ssize_t size = g.table.itemsize, first = part * g.part, end = min(p.keys, first + g.part) - first, j = 0, count
    cdef bint started = False, finite = True, last = p.first + p.count == g.lq and not v.long_sums, seen, fresh
    cdef Scratch s = sums[0]
    cdef Matrix keys, values
    head_rows(g, p.head, s.packed, s.held, &keys, &values)
    load_panel(v, p, &s)
    while j < end:
        count, fresh = min(g.block, end - j), j >= begun[0]
        if not fresh:
            clear_rows(v, begun[0], j + count, sums)
        s.dk, s.dv = sums.dk + j * g.d * size, sums.dv + j * g.dv * size
        seen = block_gradients(v, p, keys, values, first + j, count, &s, started, not fresh, careful)
        if fresh and not seen:
            clear_rows(v, j, j + count, sums)
        if last:
            finite = finite and are_finite(v, count, s.dk, s.dv)
        started |= seen
        j += count
        begun[0] = max(begun[0], j)
    if not started:
        memset(s.dq, 0, <size_t>(g.d * p.width * size))
    finite = finite and is_finite(g.table, g.d * p.width, s.dq)
    store_dq(v, p, part, &s)
    return finite


cdef bint part_gradients(const Backward* v, Py_ssize_t head, Py_ssize_t part, const Scratch* scratch,
                         bint careful) noexcept nogil:
    # Whether all results are finite.
    cdef const Attention* g = &v.g
    cdef Py_ssize_t size = g.table.itemsize, first = part * g.part, count = min(g.part, g.lk - first), begun = 0, index
    cdef char* dk = v.dk + (head * g.lk + first) * g.d * size
    cdef char* dv = v.dv + (head * g.lk + first) * g.dv * size
    cdef Scratch results = scratch[0], sums = scratch[0]
    cdef bint finite = True
    cdef Panel p
    results.dk, results.dv = dk, dv
    if v.long_sums:
        begun = count
        clear_rows(v, 0, count, &results)
        clear_rows(v, 0, count, &sums)
    for index in range(g.panels):
        p = panel_of(g, head, index)
        if p.keys <= first:
            continue
        finite &= panel_gradients(v, &p, part, &sums if v.long_sums else &results, &begun, careful)
        if v.long_sums and (p.first + p.count) // CHAIN > p.first // CHAIN:
            end_sums(v, count, &sums, dk, dv)
    clear_rows(v, begun, count, &results)
    if v.long_sums:
        end_sums(v, count, &sums, dk, dv)
        finite = finite and are_finite(v, count, dk, dv)
    return finite


cdef bint head_gradients(const Backward* v, Py_ssize_t head, const Scratch* s, bint careful) noexcept nogil:
    cdef bint finite = True
    cdef Py_ssize_t part
    for part in range(v.g.parts):
        finite &= part_gradients(v, head, part, s, careful)
    return finite


cdef void head_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Backward* v = <const Backward*>context
    cdef char* end
    cdef Scratch s = scratch_of(v, slot_of(&v.g.team, slot), &end)
    cdef Py_ssize_t task
    for task in range(first, last):
        if not head_gradients(v, task, &s, False):
            head_gradients(v, task, &s, True)


cdef void part_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Backward* v = <const Backward*>context
    cdef char* end
    cdef Scratch s = scratch_of(v, slot_of(&v.g.team, slot), &end)
    cdef Py_ssize_t task
    for task in range(first, last):
        if not part_gradients(v, task // v.g.parts, task % v.g.parts, &s, False):
            part_gradients(v, task // v.g.parts, task % v.g.parts, &s, True)


cdef void add_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Backward* v = <const Backward*>context
    cdef const Attention* g = &v.g
    cdef Py_ssize_t task, part
    cdef size_t row
    cdef Panel p
    for task in range(first, last):
        p = panel_of(g, task // g.panels, task % g.panels)
        row = <size_t>((p.head * g.lq + p.first) * g.d * g.table.itemsize)
        for part in range(1, ceil_div(p.keys, g.part)):
            g.table.rows.add(p.count * g.d, part_of_dq(v, part) + row, v.dq + row)


cdef int run_backward(Backward* v) except -1 nogil:
    cdef Attention* g = &v.g
    cdef double work = attention_work(g, 5)
    cdef Py_ssize_t tasks = g.heads
    cdef size_t shared = 0
    cdef char* end
    cdef int i
    v.apart = g.parts > 1 and tasks < 2 * threads_for(work, tasks * g.parts)
    if v.apart:
        shared = <size_t>((g.parts - 1) * g.heads * g.lq * g.d * g.table.itemsize)
        tasks *= g.parts
    scratch_of(v, NULL, &end)
    team_begin(&g.team, work, tasks, shared, <size_t>end)
    for i in range(g.team.threads):
        (<Py_ssize_t*>slot_of(&g.team, i))[0] = -1
    team_run(&g.team, part_tasks if v.apart else head_tasks, v, tasks, work)
    if v.apart:
        team_run(&g.team, add_tasks, v, g.heads * g.panels, work / 64)
    team_end()
    return 0


def backward(
    cnp.ndarray dy,          # IN (..., lq, dv)
    cnp.ndarray q,           # IN (..., lq, d), every axis at least 1; and so on as `forward` took them
    cnp.ndarray k,           # IN (..., lk, d)
    cnp.ndarray v,           # IN (..., lk, dv)
    cnp.ndarray mask,        # IN (..., lq, lk), or None
    cnp.ndarray y,           # IN (..., lq, dv)
    cnp.ndarray statistics,  # IN (..., lq), C-contiguous
    bint causal,
    double scale,
    cnp.ndarray dq,          # OUT (..., lq, d), C-contiguous
    cnp.ndarray dk,          # OUT (..., lk, d), C-contiguous
    cnp.ndarray dv,          # OUT (..., lk, dv), C-contiguous
):
    cdef Backward b
    attention_begin(&b.g, q, k, v, mask, causal, scale)
    set_rows(&b.y, y)
    set_rows(&b.dy, dy)
    b.statistics, b.scale = <const char*>cnp.PyArray_DATA(statistics), scale
    b.dq, b.dk, b.dv = <char*>cnp.PyArray_DATA(dq), <char*>cnp.PyArray_DATA(dk), <char*>cnp.PyArray_DATA(dv)
    b.long_sums = b.g.lq > CHAIN
    b.q_width, b.dy_width = round_up(b.g.d, b.g.table.lanes), round_up(b.g.dv, b.g.table.lanes)
    with nogil:
        run_backward(&b)
