"""Attention: softmax(q k' scale + mask) v for every head, without the matrix of scores.

A task is a panel of queries, or a part of its keys: v' times the weights of each block of keys is added to a panel of results,
and the largest scores and the sums of weights run along. Few queries are rows of scores instead.
"""
from libc.math cimport INFINITY
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.attention cimport (
    ADDED, ANY_TERMS, SEEN, WEIGHTS_IN_B, Attention, Matrix, Panel, attention_begin, attention_work, head_rows, load_columns,
    matrix, multiply, packed_bytes, panel_of, scores,
)
from npkernels._kernels.primitives cimport START_C, START_ZERO, attention_state, primitives
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, threads_for
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line
from npkernels._kernels.strided cimport offset_of

cnp.import_array()

cdef enum:
    FEW_QUERIES = 4                # so many rows of scores are faster than lanes that are mostly idle
    FEW_KEYS = 256                 # in a block of theirs

cdef struct Forward:
    Attention g
    char* y                       # (heads, lq, dv)
    char* statistics              # (heads, lq): log2 of the sum of 2^score
    bint by_rows                  # few queries: these are rows of scores
    bint apart                    # parts are tasks, whose states lie in shared memory
    size_t state_bytes, q_bytes, s_bytes

cdef struct Scratch:              # of a thread
    Py_ssize_t* held
    char* q
    char* s
    char* mask
    char* factor
    char* packed
    attention_state state, part


cdef attention_state state_at(const Attention* g, char* memory) noexcept nogil:
    cdef attention_state state
    cdef size_t lanes = round_to_line(<size_t>(g.width * g.table.itemsize))
    state.most, state.sum, state.o = memory, memory + lanes, memory + 2 * lanes
    return state


cdef void plan_scratch(Forward* v) noexcept nogil:
    cdef const Attention* g = &v.g
    cdef size_t size = <size_t>g.table.itemsize, lanes = round_to_line(<size_t>g.width * size)
    v.state_bytes = 2 * lanes + round_to_line(<size_t>(g.dv * g.width) * size)
    v.q_bytes = round_to_line(<size_t>(g.d * g.width) * size)
    v.s_bytes = round_to_line(<size_t>(g.block * g.width) * size)
    if v.by_rows:                           # rows of scores, and of results
        v.s_bytes = round_to_line(<size_t>(FEW_QUERIES * max(g.dv, <Py_ssize_t>FEW_KEYS)) * size)


cdef size_t scratch_bytes(const Forward* v) noexcept nogil:
    return (64 + v.q_bytes + 2 * v.s_bytes + round_to_line(<size_t>(v.g.width * v.g.table.itemsize)) + 2 * v.state_bytes
            + packed_bytes(&v.g))


cdef Scratch scratch_of(const Forward* v, char* memory) noexcept nogil:
    cdef Scratch s
    s.held = <Py_ssize_t*>memory
    s.q = memory + 64
    s.s = s.q + v.q_bytes
    s.mask = s.s + v.s_bytes
    s.factor = s.mask + v.s_bytes
    memory = s.factor + round_to_line(<size_t>(v.g.width * v.g.table.itemsize))
    s.state, s.part = state_at(&v.g, memory), state_at(&v.g, memory + v.state_bytes)
    s.packed = memory + 2 * v.state_bytes
    return s


cdef void no_key(const Attention* g, const Panel* p, const attention_state* state) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(p.width):
        put(g.table, <char*>state.most, i, -INFINITY)
        put(g.table, <char*>state.sum, i, 0)
    memset(state.o, 0, <size_t>(g.dv * p.width * g.table.itemsize))


cdef void attend(const Attention* g, const Panel* p, Py_ssize_t first, Py_ssize_t last, const Scratch* s, bint careful,
                 const attention_state* state) noexcept nogil:
    # Keys first to last.
    cdef const primitives* t = g.table
    cdef Py_ssize_t j = first, keys
    cdef bint started = False
    cdef Matrix k, v
    head_rows(g, p.head, s.packed, s.held, &k, &v)
    no_key(g, p, state)
    while j < last:
        keys = min(g.block, last - j)
        if scores(g, p, k, j, keys, s.q, s.mask, s.s):
            if t.attention.weights(keys, p.vectors, s.s, state, s.factor) and started:
                t.attention.rescale(g.dv, p.vectors, s.factor, state.o)
            multiply(t, g.dv, p.width, keys, matrix(v.data + j * v.row * t.itemsize, 1, v.row), matrix(s.s, p.width, 1),
                     matrix(<char*>state.o, p.width, 1), started, WEIGHTS_IN_B if careful else ANY_TERMS)
            started = True
        j += keys


cdef void attend_rows(const Attention* g, const Panel* p, Py_ssize_t first, Py_ssize_t last, const Scratch* s, bint careful,
                      const attention_state* state) noexcept nogil:
    # The same for few queries: a row of scores each. Results are rows until the last key.
    cdef const primitives* t = g.table
    cdef Py_ssize_t j = first, keys, i, size = t.itemsize
    cdef Matrix k, v
    cdef char* weights
    cdef char* row
    cdef const char* given
    cdef const char* values
    cdef double factor
    head_rows(g, p.head, s.packed, s.held, &k, &v)
    no_key(g, p, state)
    memset(s.mask, 0, <size_t>(p.count * g.dv * size))
    while j < last:
        keys = min(<Py_ssize_t>FEW_KEYS, last - j)
        t.tile.dots[p.count - 1](g.d, s.q, g.d, 1, k.data + j * k.row * size, k.row, s.s, FEW_KEYS, keys, START_ZERO, NULL)
        values = v.data + j * v.row * size
        for i in range(p.count):
            given = g.mask.data + offset_of(&g.mask.heads, p.head) + i * g.mask.row + j * g.mask.column
            weights, row = s.s + i * FEW_KEYS * size, s.mask + i * g.dv * size
            factor = t.attention.row_weights(keys, given if g.masked == ADDED else NULL, given if g.masked == SEEN else NULL,
                                             g.mask.column, weights, <char*>state.most + i * size, <char*>state.sum + i * size)
            if factor != 1 and j > first:
                t.attention.scale(g.dv, factor, row)
            if careful:
                t.attention.weighted(True, 1, g.dv, keys, weights, 0, 1, values, v.row, row, 0, START_C)
            else:
                t.tile.row_lines(keys, weights, 0, 1, values, v.row, row, 0, g.dv, START_C, NULL)
        j += keys
    for i in range(p.count):
        t.pack.scatter(1, g.dv, s.mask + i * g.dv * size, 0, <char*>state.o + i * size, 0, p.width * size)


cdef void load_queries(const Forward* v, const Panel* p, const Scratch* s) noexcept nogil:
    cdef const Attention* g = &v.g
    if v.by_rows:
        g.table.pack.rows(p.count, g.d, g.q.data + offset_of(&g.q.heads, p.head), g.q.row, g.q.column, s.q)
        g.table.attention.scale(p.count * g.d, g.factor, s.q)
    else:
        load_columns(g, &g.q, g.d, p, g.factor, s.q)


cdef inline void attend_part(const Forward* v, const Panel* p, Py_ssize_t part, const Scratch* s, bint careful,
                             const attention_state* state) noexcept nogil:
    cdef const Attention* g = &v.g
    cdef Py_ssize_t first = part * g.part, last = min(first + g.part, p.keys)
    if v.by_rows:
        attend_rows(g, p, first, last, s, careful, state)
    else:
        attend(g, p, first, last, s, careful, state)


cdef void attend_panel(const Forward* v, const Panel* p, const Scratch* s, bint careful) noexcept nogil:
    cdef Py_ssize_t part
    load_queries(v, p, s)
    attend_part(v, p, 0, s, careful, &s.state)
    for part in range(1, ceil_div(p.keys, v.g.part)):
        attend_part(v, p, part, s, careful, &s.part)
        v.g.table.attention.merge(v.g.dv, p.vectors, &s.state, &s.part)


cdef void store_panel(const Forward* v, const Panel* p, const Scratch* s) noexcept nogil:
    # A weight of 0 times inf or NaN is NaN, but shall not count: then, all is done again.
    cdef const Attention* g = &v.g
    cdef Py_ssize_t size = g.table.itemsize, row = p.head * g.lq + p.first
    if not g.table.attention.finish(g.dv, p.vectors, &s.state):
        attend_panel(v, p, s, True)
        g.table.attention.finish(g.dv, p.vectors, &s.state)
    g.table.pack.transpose(g.dv, p.count, s.state.o, p.width, v.y + row * g.dv * size, g.dv)
    g.table.pack.rows(1, p.count, <char*>s.state.most, 0, size, v.statistics + row * size)


cdef void panel_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Forward* v = <const Forward*>context
    cdef Scratch s = scratch_of(v, slot_of(&v.g.team, slot))
    cdef Py_ssize_t task
    cdef Panel p
    for task in range(first, last):
        p = panel_of(&v.g, task // v.g.panels, task % v.g.panels)
        attend_panel(v, &p, &s, False)
        store_panel(v, &p, &s)


cdef void part_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Forward* v = <const Forward*>context
    cdef const Attention* g = &v.g
    cdef Scratch s = scratch_of(v, slot_of(&g.team, slot))
    cdef attention_state state
    cdef Py_ssize_t task, part
    cdef Panel p
    for task in range(first, last):
        p = panel_of(g, task // g.parts // g.panels, task // g.parts % g.panels)
        part = task % g.parts
        if part * g.part < p.keys:
            state = state_at(g, g.team.shared + <size_t>task * v.state_bytes)
            load_queries(v, &p, &s)
            attend_part(v, &p, part, &s, False, &state)


cdef void merge_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Forward* v = <const Forward*>context
    cdef const Attention* g = &v.g
    cdef Scratch s = scratch_of(v, slot_of(&g.team, slot))
    cdef attention_state other
    cdef Py_ssize_t task, part
    cdef Panel p
    for task in range(first, last):
        p = panel_of(g, task // g.panels, task % g.panels)
        s.state = state_at(g, g.team.shared + <size_t>(task * g.parts) * v.state_bytes)
        for part in range(1, ceil_div(p.keys, g.part)):
            other = state_at(g, g.team.shared + <size_t>(task * g.parts + part) * v.state_bytes)
            g.table.attention.merge(g.dv, p.vectors, &s.state, &other)
        store_panel(v, &p, &s)


cdef int run_forward(Forward* v) except -1 nogil:
    cdef Attention* g = &v.g
    cdef double work = attention_work(g, 2)
    cdef Py_ssize_t tasks = g.heads * g.panels
    cdef int i
    v.apart = g.parts > 1 and tasks < 2 * threads_for(work, tasks * g.parts)
    team_begin(&g.team, work, tasks * g.parts if v.apart else tasks,
               v.state_bytes * <size_t>(tasks * g.parts) if v.apart else 0, scratch_bytes(v))
    for i in range(g.team.threads):
        (<Py_ssize_t*>slot_of(&g.team, i))[0] = -1
    if v.apart:
        team_run(&g.team, part_tasks, v, tasks * g.parts, work)
        team_run(&g.team, merge_tasks, v, tasks, work / 64)
    else:
        team_run(&g.team, panel_tasks, v, tasks, work)
    team_end()
    return 0


def forward(
    cnp.ndarray q,           # IN (..., lq, d), every axis at least 1
    cnp.ndarray k,           # IN (..., lk, d), leading axes of q
    cnp.ndarray v,           # IN (..., lk, dv), leading axes of q
    cnp.ndarray mask,        # IN (..., lq, lk), leading axes of q, bool or numbers that are added, or None
    bint causal,
    double scale,
    cnp.ndarray y,           # OUT (..., lq, dv), C-contiguous
    cnp.ndarray statistics,  # OUT (..., lq), C-contiguous: log2 of the sum of e^score, inf for a query that sees no key
):
    cdef Forward f
    attention_begin(&f.g, q, k, v, mask, causal, scale)
    f.y, f.statistics = <char*>cnp.PyArray_DATA(y), <char*>cnp.PyArray_DATA(statistics)
    f.by_rows = f.g.lq <= FEW_QUERIES and not causal
    with nogil:
        plan_scratch(&f)
        run_forward(&f)
