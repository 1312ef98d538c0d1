"""Attention over heads: products, scores and masks, for its forward and its backward pass.

Queries are in the lanes. A panel of them, transposed once, meets the keys block by block: scores k q' of a block, which are
replaced by their weights, and products of these with values. Keys and values are operands that are read number by number,
where they lie; nothing is packed but queries.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
cimport numpy as cnp

from npkernels._kernels.layout cimport MOST_AXES, read_strides
from npkernels._kernels.primitives cimport ADD_TO_C, START_C, START_ZERO, panel_count, panel_start, primitives, tile_fn
from npkernels._kernels.runtime cimport primitives_for, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line
from npkernels._kernels.strided cimport merge_axes, offset_of

cnp.import_array()

cdef enum:
    BLOCK_SLIVERS = 8              # of keys in a block, each as high as a tile
    PART = 2048                    # keys that one task is worth
    CHAIN = 8192                   # the most terms of a chain
    MOST_PARTS = 4                 # of fewer keys than a chain
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
