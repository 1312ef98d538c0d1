"""How a product is cut into tasks and blocks, and how the loops read its operands."""
from npkernels._kernels.primitives cimport BLOCK_PANELS, primitives
from npkernels._kernels.product cimport (
    A_COLUMNS, A_IN_PLACE, A_ROWS, AForm, B_COLUMNS, B_IN_PLACE, B_LINES, B_PANELS, BForm, Product,
)
from npkernels._kernels.runtime cimport CacheSizes, cache_sizes
from npkernels._kernels.scalars cimport ceil_div, round_to_line, round_up

cdef enum:
    SCRATCH_LIMIT = 8 << 20
    LINE_BLOCK = 1024              # lines of B, of which the numbers in A may have to be packed
    CHAIN_STEPS = 64               # the most multiply-adds of a chain before it is added to C: an A sliver of 32 kB
    SUM_ROWS = 512                 # rows of C that are kept in double at a time, where k is more than a block of a sum


cdef inline bint is_long(const Product* g) noexcept nogil:
    return g.k > g.sum_block


cdef inline Py_ssize_t clamp(Py_ssize_t x, Py_ssize_t low, Py_ssize_t high) noexcept nogil:
    return low if x < low else (high if x > high else x)


cdef inline bint has_lines(const Product* g) noexcept nogil:
    cdef Py_ssize_t size = g.table.itemsize
    return (g.pack_a == NULL and g.pack_b == NULL and g.b_column == size and g.b_k % size == 0 and g.c != NULL
            and (g.m == 1 or g.k == 1))


cdef inline void plan_tasks(Product* g, int threads) noexcept nogil:
    # Tasks are ranges of columns where there are enough of them, since then no panel of B is packed twice; else also of
    # rows, and of rows alone where they are many and k is so short that C is all that counts: they lie together. Three tasks
    # a thread let a thread that the system holds up be overtaken; not where parts of lines would become so short that memory
    # is slower.
    cdef const primitives* t = g.table
    cdef Py_ssize_t vectors = ceil_div(g.n, t.lanes), wanted = threads if has_lines(g) and g.m == 1 else 3 * threads
    g.row_tasks = g.column_tasks = 1
    if threads == 1:
        return
    if g.k > t.tile.rows or g.m <= 2 * t.tile.rows:
        g.column_tasks = clamp(vectors // t.tile.vectors, 1, wanted)
    if g.column_tasks < wanted:
        g.row_tasks = clamp(ceil_div(wanted, g.column_tasks), 1, ceil_div(g.m, 2 * t.tile.rows))


cdef inline void plan_runs(Product* g, Py_ssize_t bytes, Py_ssize_t widest) noexcept nogil:
    # As many columns as fit the cache with all runs of a block of k, and with C where that is kept aside.
    cdef Py_ssize_t size = g.table.itemsize, runs = max(1, g.k_block // g.k_unit * g.unit_runs)
    cdef Py_ssize_t columns = bytes // (runs * size) - g.run_extra
    if g.k_block < g.k:
        columns = min(columns, 2 * bytes // (g.m * size))
    g.column_block = clamp(columns // widest, 1, 2 * BLOCK_PANELS) * widest


cdef inline void plan_blocks(Product* g) noexcept nogil:
    # A sliver of A (tile rows x k_block) lives in L1 while the panels of a block of B (k_block x column_block) stream
    # past it from L2. Blocks change no bits (see tile.h), so they may follow the machine's caches.
    cdef const primitives* t = g.table
    cdef CacheSizes cache = cache_sizes()
    cdef Py_ssize_t size = t.itemsize, widest = t.lanes * t.tile.vectors, columns = ceil_div(g.n, g.column_tasks), k_most
    cdef Py_ssize_t k = min(g.k, g.sum_block)
    if g.chained:                             # part of what an element is: follows k alone
        k_most = CHAIN_STEPS * t.lanes
        g.k_block = round_up(ceil_div(k, max(1, ceil_div(k, k_most))), t.lanes)
    else:
        k_most = clamp(cache.l1d // ((2 if g.unit_runs else 3) * t.tile.rows * size), 64, 1024) & ~<Py_ssize_t>7
        g.k_block = round_up(ceil_div(k, max(1, ceil_div(k, k_most))), g.k_unit)
    if g.unit_runs > 0:
        plan_runs(g, cache.l2 // 2, widest)
    else:
        g.column_block = clamp(cache.l2 // 8 * 5 // max(1, g.k_block * size) // widest, 1, BLOCK_PANELS) * widest
        if g.k_block * size * widest > SCRATCH_LIMIT:
            g.column_block = t.lanes
    # blocks of like size
    g.column_block = round_up(ceil_div(columns, ceil_div(columns, g.column_block)), t.lanes)
    g.run_length = ((g.column_block + g.run_extra) // t.lanes + 1 | 1) * t.lanes   # odd: no two runs share a cache set


cdef inline AForm form_of_a(const Product* g) noexcept nogil:
    cdef Py_ssize_t size = g.table.itemsize
    if g.pack_a == NULL and g.a_row % size == 0 and (g.a_k == size or g.k <= 1):
        return A_IN_PLACE
    if g.pack_a == NULL and g.a_row == size and g.m > 1 and g.unit_runs == 0:
        return A_COLUMNS
    return A_ROWS


cdef inline BForm form_of_b(const Product* g) noexcept nogil:
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize
    if g.pack_b != NULL:
        return B_PANELS
    if has_lines(g):
        return B_LINES
    if g.b_column == size and g.b_k % size == 0 and ceil_div(g.m, g.row_tasks) <= 2 * t.tile.rows:
        return B_IN_PLACE
    if (g.b_k == size and g.b_column % size == 0 and g.m <= (t.tile.dots_most if g.chained else t.tile.rows)
            and g.pack_a == NULL and g.a_form != A_COLUMNS):
        return B_COLUMNS
    return B_PANELS


cdef inline void fit_blocks(Product* g) noexcept nogil:
    # The blocks of `plan_blocks` are for panels of tiles: columns of B are taken one tile at a time, lines as long as the
    # cache allows.
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize, columns = ceil_div(ceil_div(g.n, t.lanes), g.column_tasks) * t.lanes
    g.sliver = t.tile.rows
    if g.b_form == B_COLUMNS and g.chained:
        g.column_block = t.lanes * t.tile.vectors
        if g.m > 2 * t.tile.rows:
            g.sliver = t.tile.dots_rows
    elif g.b_form == B_LINES and g.chained:              # the sums of all chains stay in L1
        g.column_block = min(columns, cache_sizes().l1d // 2 // (t.lanes * size))
    elif g.b_form == B_LINES:
        g.k_block = min(g.k, <Py_ssize_t>LINE_BLOCK)
        g.column_block = clamp(cache_sizes().l2 // 2 // size // t.lanes * t.lanes, t.lanes, columns)


cdef inline void plan_scratch(Product* g) noexcept nogil:
    # A sliver of A, a block of B, and the block of C that is kept aside with its sums in double.
    cdef const primitives* t = g.table
    cdef Py_ssize_t size = t.itemsize, rows = t.tile.rows
    g.a_bytes = g.b_bytes = g.c_bytes = g.sum_bytes = 0
    if g.a_form != A_IN_PLACE:
        g.a_bytes = round_to_line(<size_t>(g.k_block * (round_up(rows, t.lanes) if g.a_form == A_COLUMNS else rows) * size))
    if g.unit_runs > 0:
        g.b_bytes = <size_t>(g.k_block // g.k_unit * g.unit_runs * g.run_length * size)
    elif g.b_form == B_PANELS or g.b_form == B_IN_PLACE or (g.b_form == B_LINES and g.chained):
        g.b_bytes = round_to_line(<size_t>(g.k_block * g.column_block * size))
    if g.c == NULL or is_long(g):
        if g.k_block < g.k:
            rows = ceil_div(g.m, g.row_tasks)
        if is_long(g):
            rows = min(rows, <Py_ssize_t>SUM_ROWS)
            g.sum_bytes = <size_t>(rows * g.column_block) * sizeof(double)
        g.c_bytes = round_to_line(<size_t>(rows * g.column_block * size))
    g.scratch_bytes = g.a_bytes + g.b_bytes + g.c_bytes + g.sum_bytes
