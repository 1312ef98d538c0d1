"""Attention: softmax(q k' scale + mask) v for every head, without the matrix of scores.

Queries are in the lanes. A panel of them, transposed once, meets the keys block by block: scores k q' of a block, which are
replaced by their weights, and v' times these, added to a panel of results. Largest scores and sums run along.
Keys and values are operands that are read number by number, where they lie; nothing is packed but queries.
"""
from libc.math cimport INFINITY
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport (
    ADD_TO_C, START_C, START_ZERO, attention_state, panel_count, panel_start, primitives, tile_fn,
)
from npkernels._kernels.runtime cimport primitives_for, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line
from npkernels._kernels.strided cimport merge_axes, offset_of

cnp.import_array()

cdef enum:
    BLOCK_SLIVERS = 8              # of keys in a block, each as high as a tile
    PART = 2048                    # keys that one task is worth
    CHAIN = 8192                   # the most terms of a chain
    MOST_PARTS = 4                 # of fewer keys than a chain
    FEW_QUERIES = 4                # so many rows of scores are faster than lanes that are mostly idle
    FEW_KEYS = 256                 # in a block of theirs
    WEIGHT_FLOPS = 40              # of a score


cdef void set_rows(Rows* to, cnp.ndarray x) noexcept:
    cdef cnp.npy_intp strides[MOST_AXES]
    cdef int last = cnp.PyArray_NDIM(x) - 1
    read_strides(x, strides)
    to.data, to.row, to.column = <char*>cnp.PyArray_DATA(x), strides[last - 1], strides[last]
    merge_axes(&to.heads, to.data, last - 1, cnp.PyArray_DIMS(x), strides)


cdef inline bint in_place(const Rows* rows, Py_ssize_t size) noexcept nogil:
    return rows.column == size and rows.row % size == 0


cdef void attention_begin(Attention* g, cnp.ndarray q, cnp.ndarray k, cnp.ndarray v, cnp.ndarray mask, bint causal,
                          double scale) noexcept:
    cdef int last = cnp.PyArray_NDIM(q) - 1, i
    cdef const primitives* t = primitives_for(cnp.PyArray_TYPE(q))
    memset(g, 0, sizeof(Attention))
    g.table, g.causal, g.factor = t, causal, scale * 1.4426950408889634
    g.heads, g.lq, g.d = 1, cnp.PyArray_DIMS(q)[last - 1], cnp.PyArray_DIMS(q)[last]
    for i in range(last - 1):
        g.heads *= cnp.PyArray_DIMS(q)[i]
    g.lk, g.dv = cnp.PyArray_DIMS(v)[last - 1], cnp.PyArray_DIMS(v)[last]
    set_rows(&g.q, q)
    set_rows(&g.k, k)
    set_rows(&g.v, v)
    if mask is not None:
        g.masked = SEEN if cnp.PyArray_TYPE(mask) == cnp.NPY_BOOL else ADDED
        set_rows(&g.mask, mask)
    g.k_in_place, g.v_in_place = in_place(&g.k, t.itemsize), in_place(&g.v, t.itemsize)
    g.vectors = ceil_div(g.lq, t.lanes)
    g.panels = panel_count(g.vectors, t.tile.vectors)
    g.width = min(g.vectors, t.tile.vectors) * t.lanes
    g.block = min(BLOCK_SLIVERS * t.tile.rows, g.lk)
    g.part = min(max(ceil_div(g.lk, MOST_PARTS), <Py_ssize_t>PART), <Py_ssize_t>CHAIN)
    g.parts = ceil_div(g.lk, g.part)


cdef double attention_work(const Attention* g, double products) noexcept nogil:
    cdef double scores = <double>g.heads * g.lq * g.lk * (0.5 if g.causal else 1.0), size = g.table.itemsize
    cdef double numbers = <double>g.heads * (g.lq + g.lk) * (g.d + g.dv)
    return work_of(g.table, scores * (products * (g.d + g.dv) + WEIGHT_FLOPS), products * numbers * size)


cdef Panel panel_of(const Attention* g, Py_ssize_t head, Py_ssize_t index) noexcept nogil:
    cdef Panel p
    cdef Py_ssize_t first = panel_start(g.vectors, g.panels, index)
    p.vectors = panel_start(g.vectors, g.panels, index + 1) - first
    p.head, p.first, p.width = head, first * g.table.lanes, p.vectors * g.table.lanes
    p.count = min(p.width, g.lq - p.first)
    p.keys = min(g.lk, p.first + p.count) if g.causal else g.lk
    return p


cdef size_t packed_bytes(const Attention* g) noexcept nogil:
    cdef size_t size = <size_t>g.table.itemsize
    return ((0 if g.k_in_place else round_to_line(<size_t>(g.lk * g.d) * size))
            + (0 if g.v_in_place else round_to_line(<size_t>(g.lk * g.dv) * size)))


cdef void head_rows(const Attention* g, Py_ssize_t head, char* packed, Py_ssize_t* held, Matrix* k, Matrix* v) noexcept nogil:
    # `held`: the head whose rows lie in `packed`.
    cdef const primitives* t = g.table
    cdef char* keys = g.k.data + offset_of(&g.k.heads, head)
    cdef char* values = g.v.data + offset_of(&g.v.heads, head)
    if g.k_in_place:
        k[0] = matrix(keys, g.k.row // t.itemsize, 1)
    else:
        k[0] = matrix(packed, g.d, 1)
        if held[0] != head:
            t.pack.rows(g.lk, g.d, keys, g.k.row, g.k.column, packed)
        packed += round_to_line(<size_t>(g.lk * g.d * t.itemsize))
    if g.v_in_place:
        v[0] = matrix(values, g.v.row // t.itemsize, 1)
    else:
        v[0] = matrix(packed, g.dv, 1)
        if held[0] != head:
            t.pack.rows(g.lk, g.dv, values, g.v.row, g.v.column, packed)
    held[0] = head


cdef void multiply(const primitives* t, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k, Matrix a, Matrix b, Matrix c, bint started,
                   int weights) noexcept nogil:
    cdef Py_ssize_t size = t.itemsize, vectors = ceil_div(n, t.lanes), panels = panel_count(vectors, t.tile.vectors)
    cdef Py_ssize_t slivers = ceil_div(m, t.tile.rows), s, i, rows, q, j, width, p
    cdef const tile_fn* tiles
    cdef tile_fn tile
    if weights != ANY_TERMS:
        t.attention.weighted(weights == WEIGHTS_IN_A, m, n, k, a.data, a.row, a.column, b.data, b.row, c.data, c.row,
                             START_C if started else START_ZERO)
        return
    for s in range(slivers):
        i = m * s // slivers
        rows = m * (s + 1) // slivers - i
        tiles = t.tile.tiles + (rows - 1) * t.tile.vectors
        for q in range(panels):
            j = panel_start(vectors, panels, q)
            width = panel_start(vectors, panels, q + 1) - j
            tile = tiles[width - 1]
            j *= t.lanes
            p = 0
            while True:                     # of a long sum the chains are added
                tile(min(<Py_ssize_t>CHAIN, k - p), a.data + (i * a.row + p * a.column) * size, a.row, a.column,
                     b.data + (p * b.row + j) * size, b.row, c.data + (i * c.row + j) * size, c.row,
                     min(width * t.lanes, n - j), (START_C if started else START_ZERO) if p == 0 else ADD_TO_C, NULL)
                p += CHAIN
                if p >= k:
                    break


cdef void load_columns(const Attention* g, const Rows* rows, Py_ssize_t size, const Panel* p, double factor,
                       char* to) noexcept nogil:
    g.table.pack.panel(size, p.count, p.width, rows.data + offset_of(&rows.heads, p.head) + p.first * rows.row, rows.column,
                       rows.row, to)
    if factor != 1:
        g.table.attention.scale(size * p.width, factor, to)


cdef enum Seen:
    SOME
    ALL
    NONE


cdef int seen_of(const Attention* g, const char* given, Py_ssize_t queries, Py_ssize_t keys) noexcept nogil:
    # Of a block of the mask: most are whole in masks of lengths or windows. A word at a time, until it is neither.
    cdef Py_ssize_t i, j
    cdef uint64_t word, ones = 0x0101010101010101      # the lowest bit of every byte
    cdef bint hidden = False, seen = False
    if g.mask.column != 1:
        return SOME
    for i in range(queries):
        j = 0
        while j < keys:
            word = 0
            memcpy(&word, given + i * g.mask.row + j, <size_t>min(<Py_ssize_t>8, keys - j))
            if keys - j < 8:                # the bytes behind the last key are like it
                word |= (ones if given[i * g.mask.row + keys - 1] != 0 else <uint64_t>0) << 8 * (keys - j)
            hidden |= (word - ones) & ~word & ones << 7 != 0     # whether any byte is 0
            seen |= word != 0
            if hidden and seen:
                return SOME
            j += 8
    return NONE if hidden else ALL


cdef bint scores(const Attention* g, const Panel* p, Matrix k, Py_ssize_t j, Py_ssize_t keys, const char* q, char* mask,
                 char* s) noexcept nogil:
    cdef const primitives* t = g.table
    cdef Py_ssize_t diagonal = p.first - j if g.causal else keys
    cdef const char* given = NULL
    cdef int masked = g.masked, seen
    if masked != UNMASKED:
        given = g.mask.data + offset_of(&g.mask.heads, p.head) + p.first * g.mask.row + j * g.mask.column
    if masked == SEEN:
        seen = seen_of(g, given, p.count, keys)
        if seen == NONE:
            return False
        if seen == ALL:
            masked = UNMASKED
    multiply(t, keys, p.width, g.d, matrix(k.data + j * k.row * t.itemsize, k.row, 1), matrix(<char*>q, p.width, 1),
             matrix(s, p.width, 1), False, ANY_TERMS)
    if masked == SEEN:
        t.attention.bounds(keys, p.count, p.vectors, given, g.mask.column, g.mask.row, mask)
    elif masked == ADDED:
        t.pack.panel(keys, p.count, p.width, given, g.mask.column, g.mask.row, mask)
    if masked != UNMASKED or diagonal < keys - 1:
        t.attention.mask(keys, p.vectors, mask if masked == ADDED else NULL, mask if masked == SEEN else NULL, diagonal, s)
    return True


# --- forward

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
