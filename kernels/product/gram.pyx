"""The product of a matrix with its own transpose, of which only one triangle is computed.

Rows are packed once into panels of columns, less a row near their mean. The same panels serve the tile as both operands:
vectors of one panel times single numbers of another. Chains of CHAIN rows are added up in double.
"""
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.layout cimport read_strides
from npkernels._kernels.primitives cimport START_C, START_ZERO, primitives, tile_fn
from npkernels._kernels.runtime cimport Team, primitives_for, slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, round_to_line

cnp.import_array()

cdef enum:
    BLOCK = 256                              # rows that are packed at a time
    CHAIN = 1024                             # rows whose products are one chain of multiply-adds

cdef struct Gram:
    const primitives* table
    const char* x                            # (n, d)
    Py_ssize_t n, d, size, row, column       # size of a number and strides of x in bytes
    const char* near                         # (d,), or NULL: 0
    # Part q has the rows from n q / parts to n (q + 1) / parts, range r the panels from bound(r) to bound(r + 1).
    double* sums                             # (parts, d)
    double* totals                           # (parts, d, d)
    Py_ssize_t parts, ranges
    Py_ssize_t width, panels                 # columns of a panel; panels
    Team team
    size_t sums_bytes, panels_bytes


cdef Py_ssize_t bound(const Gram* v, Py_ssize_t r) noexcept nogil:
    # The first panel of range r: ranges have about the same part of the triangle, (bound / panels)^2 = r / ranges.
    cdef Py_ssize_t q = 0
    while q < v.panels and q * q * v.ranges < r * v.panels * v.panels:
        q += 1
    return q


cdef inline Py_ssize_t panel_columns(const Gram* v, Py_ssize_t q) noexcept nogil:
    return min(v.width, v.d - q * v.width)


cdef inline Py_ssize_t whole_vectors(const Gram* v, Py_ssize_t columns) noexcept nogil:
    return ceil_div(columns, v.table.lanes)


cdef void pack_block(const Gram* v, Py_ssize_t i, Py_ssize_t count, Py_ssize_t last, char* panels, double* sums) noexcept nogil:
    # Panels 0 to last - 1 of rows i to i + count.
    cdef Py_ssize_t q, j, columns, width
    cdef char* panel
    for q in range(last):
        j, columns = q * v.width, panel_columns(v, q)
        width = whole_vectors(v, columns) * v.table.lanes
        panel = panels + j * BLOCK * v.size
        v.table.pack.panel(count, columns, width, v.x + i * v.row + j * v.column, v.row, v.column, panel)
        if v.near != NULL:
            v.table.gram.centre(count, columns, width, v.near + j * v.size, panel, sums + j)


cdef void multiply_panels(const Gram* v, Py_ssize_t a, Py_ssize_t b, Py_ssize_t count, const char* panels, int start,
                          char* c) noexcept nogil:
    # Columns of panel a times panel b; c (width, width).
    cdef Py_ssize_t i = 0, rows, m = panel_columns(v, a), columns = panel_columns(v, b), tiles, t
    cdef Py_ssize_t vectors = whole_vectors(v, columns)
    cdef const char* pa = panels + a * v.width * BLOCK * v.size
    cdef const char* pb = panels + b * v.width * BLOCK * v.size
    cdef const tile_fn* heights = v.table.tile.tiles
    tiles = ceil_div(m, v.table.tile.rows)
    for t in range(tiles):
        i, rows = m * t // tiles, m * (t + 1) // tiles - m * t // tiles
        heights[(rows - 1) * v.table.tile.vectors + vectors - 1](
            count, pa + i * v.size, 1, whole_vectors(v, m) * v.table.lanes, pb, vectors * v.table.lanes,
            c + i * v.width * v.size, v.width, columns, start, NULL)


cdef void add_chain(const Gram* v, Py_ssize_t i, Py_ssize_t end, Py_ssize_t first, Py_ssize_t last, double* totals,
                    double* sums, char* panels) noexcept nogil:
    # Rows i to end of panels first to last - 1 of the triangle.
    cdef Py_ssize_t a, b, count
    cdef char* c
    cdef char* products = panels + v.panels_bytes
    cdef int start = START_ZERO
    while i < end:
        count = min(<Py_ssize_t>BLOCK, end - i)
        pack_block(v, i, count, last, panels, sums)
        c = products
        for b in range(first, last):
            for a in range(b + 1):
                multiply_panels(v, a, b, count, panels, start, c)
                c += v.width * v.width * v.size
        start = START_C
        i += count
    c = products
    for b in range(first, last):
        for a in range(b + 1):
            v.table.gram.add(panel_columns(v, a), panel_columns(v, b), c, v.width,
                             totals + a * v.width * v.d + b * v.width, v.d)
            c += v.width * v.width * v.size


cdef void gram_tasks(void* context, Py_ssize_t begin, Py_ssize_t finish, int slot) noexcept nogil:
    cdef const Gram* v = <const Gram*>context
    cdef char* scratch = slot_of(&v.team, slot)
    cdef double* sums = <double*>scratch
    cdef Py_ssize_t task, part, r, i, end, j
    for task in range(begin, finish):
        part, r = task // v.ranges, task % v.ranges
        i, end = v.n * part // v.parts, v.n * (part + 1) // v.parts
        memset(sums, 0, v.sums_bytes)
        while i < end:
            add_chain(v, i, min(end, i + CHAIN), bound(v, r), bound(v, r + 1), v.totals + part * v.d * v.d, sums,
                      scratch + v.sums_bytes)
            i += CHAIN
        if r == v.ranges - 1 and v.near != NULL:
            for j in range(v.d):
                v.sums[part * v.d + j] = sums[j]


cdef Py_ssize_t most_products(const Gram* v) noexcept nogil:
    # Pairs of panels of the largest range.
    cdef Py_ssize_t r, b, pairs, most = 0
    for r in range(v.ranges):
        pairs = 0
        for b in range(bound(v, r), bound(v, r + 1)):
            pairs += b + 1
        most = max(most, pairs)
    return most


def triangle(
    cnp.ndarray x,           # IN (n, d)
    near,                    # IN (d,), C-contiguous, or None for zeros
    sums,                    # OUT (parts, d) float64, C-contiguous, the sums of x - near over rows; None if near is
    cnp.ndarray totals,      # IN zeros, OUT (parts, d, d) float64, C-contiguous: (x - near)^T (x - near) on and above the
                             # diagonal; below it, what there is must not be used
    Py_ssize_t ranges,       # of columns, which are shared out
):
    cdef Gram v
    cdef cnp.npy_intp strides[2]
    cdef double work
    memset(&v, 0, sizeof(Gram))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size, v.width = v.table.itemsize, v.table.tile.vectors * v.table.lanes
    v.x, v.n, v.d = <const char*>cnp.PyArray_DATA(x), cnp.PyArray_DIMS(x)[0], cnp.PyArray_DIMS(x)[1]
    read_strides(x, strides)
    v.row, v.column = strides[0], strides[1]
    if near is not None:
        v.near, v.sums = <const char*>cnp.PyArray_DATA(near), <double*>cnp.PyArray_DATA(sums)
    v.totals, v.parts, v.ranges = <double*>cnp.PyArray_DATA(totals), cnp.PyArray_DIMS(totals)[0], ranges
    v.panels = ceil_div(v.d, v.width)
    with nogil:
        v.sums_bytes = round_to_line(<size_t>v.d * sizeof(double))
        v.panels_bytes = round_to_line(v.panels * v.width * BLOCK * v.size)
        work = work_of(v.table, <double>v.n * v.d * (v.d + v.width), v.n * v.d * v.size)
        team_begin(&v.team, work, v.parts * v.ranges, 0,
                   v.sums_bytes + v.panels_bytes + <size_t>(most_products(&v) * v.width * v.width * v.size))
        team_run(&v.team, gram_tasks, &v, v.parts * v.ranges, work)
        team_end()
