from libc.string cimport memset

from npkernels._kernels.blocks cimport (
    SUM_ROWS, fit_blocks, form_of_a, form_of_b, is_long, plan_blocks, plan_scratch, plan_tasks,
)
from npkernels._kernels.primitives cimport (
    ADD_TO_C, START_C, START_COLUMN_BIAS, START_ROW_BIAS, START_ZERO, pack_panel_fn, panel_count, panel_start, primitives,
    tile_fn,
)
from npkernels._kernels.runtime cimport primitives_for, slot_of, team_begin, team_end, team_run, threads_for, work_of
from npkernels._kernels.scalars cimport ceil_div, round_up

cdef float ONE32 = 1
cdef double ONE64 = 1

cdef enum:
    LINE_STEPS = 4                 # lines of a chain at a time


cdef void product_begin(Product* g, int typenum, Py_ssize_t m, Py_ssize_t n, Py_ssize_t k) noexcept nogil:
    memset(g, 0, sizeof(Product))
    g.table = primitives_for(typenum)
    g.m, g.n, g.k = m, n, k
    g.start = START_ZERO
    g.k_unit, g.sum_block = 1, SUM_BLOCK


cdef size_t product_plan(Product* g, int threads) noexcept nogil:
    plan_tasks(g, threads)
    plan_blocks(g)
    g.a_form = form_of_a(g)
    g.b_form = form_of_b(g)
    fit_blocks(g)
    plan_scratch(g)
    return g.scratch_bytes


cdef double product_work(const Product* g) noexcept nogil:
    cdef double elements = <double>g.m * g.k + <double>g.k * g.n + <double>g.m * g.n
    return work_of(g.table, 2.0 * g.m * g.n * g.k, elements * g.table.itemsize)


cdef int product_run(Product* g) except -1 nogil:
    cdef double work = product_work(g)
    cdef Py_ssize_t tasks
    if g.m == 0 or g.n == 0:
        return 0
    product_plan(g, threads_for(work, g.m * g.n))
    tasks = g.row_tasks * g.column_tasks
    team_begin(&g.team, work, tasks, 0, g.scratch_bytes)
    team_run(&g.team, product_tasks, g, tasks, work)
    team_end()
    return 0


cdef void product_serial(const Product* g, char* scratch) noexcept nogil:
    if g.m > 0 and g.n > 0:
        run_block(g, 0, g.m, 0, g.n, scratch)


cdef void product_tasks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Product* g = <const Product*>context
    cdef Py_ssize_t task, row, column, vectors = ceil_div(g.n, g.table.lanes), lanes = g.table.lanes
    for task in range(first, last):
        row, column = task // g.column_tasks, task % g.column_tasks
        run_block(g, g.m * row // g.row_tasks, g.m * (row + 1) // g.row_tasks,
                  vectors * column // g.column_tasks * lanes, min(g.n, vectors * (column + 1) // g.column_tasks * lanes),
                  slot_of(&g.team, slot))


cdef void run_block(const Product* g, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t j0, Py_ssize_t j1, char* scratch) noexcept nogil:
    # C[i0:i1, j0:j1], one block of columns after the other, each over all of k.
    cdef Py_ssize_t j = j0, i, columns
    while j < j1:
        columns = min(g.column_block, j1 - j)
        if is_long(g):
            i = i0
            while i < i1:
                add_up_blocks(g, i, min(i + SUM_ROWS, i1), j, columns, scratch)
                i += SUM_ROWS
        else:
            run_sums(g, i0, i1, 0, g.k, j, columns, scratch)
        j += columns


cdef void run_sums(const Product* g, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t first, Py_ssize_t end, Py_ssize_t j,
                   Py_ssize_t columns, char* scratch) noexcept nogil:
    # Over first <= p < end: all of k, or one block of a long sum.
    cdef Py_ssize_t p = first, k_count
    while True:
        k_count = min(g.k_block, end - p)
        if g.b_form == B_PANELS or g.b_form == B_IN_PLACE:
            pack_panels(g, p, k_count, j, columns, scratch)
        run_slivers(g, i0, i1, p, k_count, j, columns, scratch)
        p += k_count
        if p >= end:
            break


cdef void add_up_blocks(const Product* g, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t j, Py_ssize_t columns,
                        char* scratch) noexcept nogil:
    # A long sum: that of each block of k lies aside, and is added in double.
    cdef Py_ssize_t p = 0, r, rows = i1 - i0, stride, aside_stride = g.column_block * g.table.itemsize
    cdef char* aside = scratch + g.a_bytes + g.b_bytes
    cdef double* sums = <double*>(aside + g.c_bytes)
    cdef char* c = block_of_c(g, i0, j, columns, &stride)
    cdef char* to
    memset(sums, 0, <size_t>(rows * g.column_block) * sizeof(double))
    while p < g.k:
        run_sums(g, i0, i1, p, min(p + g.sum_block, g.k), j, columns, scratch)
        for r in range(rows):
            g.table.rows.add_to_doubles(columns, aside + r * aside_stride, sums + r * g.column_block)
        p += g.sum_block
    for r in range(rows):
        to = c + r * stride if c != NULL else aside + r * aside_stride
        g.table.rows.narrow(columns, sums + r * g.column_block, to)
        if g.activation != NULL:
            g.activation(columns, to, to, NULL)
    if c == NULL:
        g.epilogue(g, i0, rows, j, columns, aside, g.column_block)


cdef inline bint panel_in_place(const Product* g, Py_ssize_t columns) noexcept nogil:
    return g.b_form == B_IN_PLACE and columns % g.table.lanes == 0     # the tile reads whole vectors


cdef inline char* panel_of_b(const Product* g, Py_ssize_t start, Py_ssize_t k_count, char* scratch) noexcept nogil:
    if g.chained:
        k_count = round_up(k_count, g.table.lanes)     # chains of one length each
    return scratch + g.a_bytes + start * k_count * g.table.itemsize


cdef void pack_panels(const Product* g, Py_ssize_t p, Py_ssize_t k_count, Py_ssize_t j, Py_ssize_t columns,
                      char* scratch) noexcept nogil:
    cdef Py_ssize_t lanes = g.table.lanes, vectors = ceil_div(columns, lanes), q, start, end, count
    cdef Py_ssize_t panels = panel_count(vectors, g.table.tile.vectors)
    cdef pack_panel_fn pack
    if g.pack_b != NULL:
        g.pack_b(g, p, k_count, j, columns, scratch + g.a_bytes)
        return
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        count = min(end, columns) - start
        if not panel_in_place(g, count):
            pack = g.table.pack.chained_panel if g.chained else g.table.pack.panel
            pack(k_count, count, end - start, g.b + p * g.b_k + (j + start) * g.b_column, g.b_k, g.b_column,
                 panel_of_b(g, start, k_count, scratch))


cdef void run_slivers(const Product* g, Py_ssize_t i0, Py_ssize_t i1, Py_ssize_t p, Py_ssize_t k_count,
                      Py_ssize_t j, Py_ssize_t columns, char* scratch) noexcept nogil:
    # Rows are split evenly into slivers, at most as high as a tile: 9 are 5 + 4 and not 8 + 1. Those of columns are copied a
    # whole vector wide, or lines of the cache would be read twice.
    cdef const primitives* t = g.table
    cdef Py_ssize_t slivers = ceil_div(i1 - i0, g.sliver), s, i, r, rows, a_stride = 0, c_stride
    cdef Py_ssize_t group = max(<Py_ssize_t>1, t.lanes // g.sliver) if g.a_form == A_COLUMNS else 1, first = i0, end
    cdef const char* packed = NULL
    cdef const char* a
    cdef char* base = NULL
    cdef char* c
    cdef bint aside
    if not is_long(g):
        base = block_of_c(g, i0, j, columns, &c_stride)
    aside = base == NULL
    if aside:
        base, c_stride = scratch + g.a_bytes + g.b_bytes, g.column_block * t.itemsize
    for s in range(slivers):
        i = i0 + (i1 - i0) * s // slivers
        rows = i0 + (i1 - i0) * (s + 1) // slivers - i
        if s % group == 0:
            first, end = i, i0 + (i1 - i0) * min(s + group, slivers) // slivers
            packed = sliver_of_a(g, first, end - first, p, k_count, scratch, &a_stride)
        a = packed + (i - first) * t.itemsize
        c = base + (0 if aside and g.k_block >= g.k else (i - i0) * c_stride)
        run_tiles(g, i, rows, a, a_stride, p, k_count, j, columns, scratch, c, c_stride // t.itemsize)
        if p + k_count < g.k or is_long(g):
            continue
        if g.activation != NULL:
            for r in range(rows):
                g.activation(columns, c + r * c_stride, c + r * c_stride, NULL)
        if aside:
            g.epilogue(g, i, rows, j, columns, c, c_stride // t.itemsize)


cdef inline char* block_of_c(const Product* g, Py_ssize_t i0, Py_ssize_t j, Py_ssize_t columns,
                             Py_ssize_t* stride) noexcept nogil:
    cdef char* c
    if g.c != NULL:
        stride[0] = g.c_row
        return g.c + i0 * g.c_row + j * g.table.itemsize
    if g.place == NULL:
        return NULL
    c = g.place(g, j, columns, stride)
    return NULL if c == NULL else c + i0 * stride[0]


cdef inline const char* sliver_of_a(const Product* g, Py_ssize_t i, Py_ssize_t rows, Py_ssize_t p, Py_ssize_t k_count,
                                    char* scratch, Py_ssize_t* stride) noexcept nogil:
    cdef const char* a = g.a + i * g.a_row + p * g.a_k
    cdef Py_ssize_t lanes = g.table.lanes
    if g.a_form == A_IN_PLACE:
        stride[0] = g.a_row // g.table.itemsize
        return a
    if g.a_form == A_COLUMNS:
        stride[0] = round_up(rows, lanes)
        g.table.pack.panel(k_count, rows, stride[0], a, g.a_k, g.a_row, scratch)
    else:
        stride[0] = k_count
        if g.pack_a != NULL:
            g.pack_a(g, i, rows, p, k_count, scratch)
        else:
            g.table.pack.rows(rows, k_count, a, g.a_row, g.a_k, scratch)
    return scratch


cdef void run_tiles(const Product* g, Py_ssize_t i, Py_ssize_t rows, const char* a, Py_ssize_t a_stride, Py_ssize_t p,
                    Py_ssize_t k_count, Py_ssize_t j, Py_ssize_t columns, char* scratch, char* c,
                    Py_ssize_t stride) noexcept nogil:
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize, lanes = t.lanes, vectors = ceil_div(columns, lanes), q, r, start, end, count, b_stride
    cdef Py_ssize_t panels = panel_count(vectors, t.tile.vectors), height = (rows - 1) * t.tile.vectors
    cdef Py_ssize_t a_row = 1 if g.a_form == A_COLUMNS else a_stride, a_step = a_stride if g.a_form == A_COLUMNS else 1
    cdef const tile_fn* tiles = (t.tile.thin if g.b_form == B_COLUMNS else t.tile.tiles) + height
    cdef int begin = g.start if p == 0 else START_ZERO if p % g.sum_block == 0 else ADD_TO_C if g.chained else START_C
    cdef const char* b = g.b + p * g.b_k + j * g.b_column
    cdef const char* bias = g.bias + (i if begin == START_ROW_BIAS else j if begin == START_COLUMN_BIAS else 0) * size
    if g.b_form == B_LINES:
        if g.chained:
            add_lines(g, a, k_count, b, columns, scratch, c, begin, bias)
        else:
            for r in range(rows):
                t.tile.row_lines(k_count, a + r * a_row * size, 0, a_step, b, g.b_k // size, c + r * stride * size, 0,
                                 columns, begin, bias + (r * size if begin == START_ROW_BIAS else 0))
        return
    if g.chained and g.b_form == B_COLUMNS:
        t.tile.dots[rows - 1](k_count, a, a_stride, 1, b, g.b_column // size, c, stride, columns, begin, bias)
        return
    if g.runs != NULL and rows == 1:
        t.tile.row_runs(k_count, a, scratch + g.a_bytes, g.runs, c, columns, begin, bias)
        return
    for q in range(panels):
        start, end = panel_start(vectors, panels, q) * lanes, panel_start(vectors, panels, q + 1) * lanes
        count = min(end, columns) - start
        if begin == START_COLUMN_BIAS:
            bias = g.bias + (j + start) * size
        if g.runs != NULL:
            t.tile.runs[height + (end - start) // lanes - 1](
                k_count, a, a_stride, scratch + g.a_bytes + start * size, g.runs, c + start * size, stride, count, begin, bias)
            continue
        if g.b_form == B_COLUMNS:
            b, b_stride = g.b + p * g.b_k + (j + start) * g.b_column, g.b_column // size
        elif panel_in_place(g, count):
            b, b_stride = g.b + p * g.b_k + (j + start) * size, g.b_k // size
        else:
            b, b_stride = panel_of_b(g, start, k_count, scratch), end - start
        if g.chained:
            add_chains(g, tiles[(end - start) // lanes - 1], k_count, a, a_row, a_step, b, b_stride,
                       panel_in_place(g, count), c + start * size, stride, count, begin, bias)
        else:
            tiles[(end - start) // lanes - 1](
                k_count, a, a_row, a_step, b, b_stride, c + start * size, stride, count, begin, bias)


cdef void add_chains(const Product* g, tile_fn tile, Py_ssize_t k_count, const char* a, Py_ssize_t a_row, Py_ssize_t a_step,
                     const char* b, Py_ssize_t b_stride, bint in_place, char* c, Py_ssize_t stride, Py_ssize_t columns,
                     int begin, const char* bias) noexcept nogil:
    # A tile as the sum of its chains; those of a packed B lie one behind the other.
    cdef Py_ssize_t chains = g.table.lanes, size = g.table.itemsize, chain
    cdef Py_ssize_t next_b = b_stride * size * (1 if in_place else ceil_div(k_count, chains))
    for chain in range(chains):
        tile(ceil_div(k_count - chain, chains), a + chain * a_step * size, a_row, chains * a_step, b + chain * next_b,
             chains * b_stride if in_place else b_stride, c, stride, columns, begin, bias)
        begin = ADD_TO_C


cdef void add_lines(const Product* g, const char* a, Py_ssize_t k_count, const char* b, Py_ssize_t columns, char* scratch,
                    char* c, int begin, const char* bias) noexcept nogil:
    # The same for one row of A, a few lines of B at a time: all chains grow side by side, the first one in C if that begins.
    cdef Py_ssize_t chains = g.table.lanes, size = g.table.itemsize, p = 0, chain, first = begin != ADD_TO_C
    cdef char* sums = scratch + g.a_bytes
    cdef char* sum
    while p < k_count:
        for chain in range(min(chains, k_count - p)):
            sum = c if chain < first else sums + chain * columns * size
            g.table.tile.row_lines(
                min(<Py_ssize_t>LINE_STEPS, ceil_div(k_count - p - chain, chains)), a + (p + chain) * size, 0, chains,
                b + (p + chain) * g.b_k, chains * g.b_k // size, sum, 0, columns,
                START_C if p > 0 else (begin if chain < first else START_ZERO), bias)
        p += LINE_STEPS * chains
    g.table.tile.row_lines(chains - first, <const char*>&ONE32 if size == sizeof(float) else <const char*>&ONE64, 0, 0,
                           sums + first * columns * size, columns, c, 0, columns, START_C, NULL)
