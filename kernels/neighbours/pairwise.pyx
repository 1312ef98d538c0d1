"""Distances of all rows of x to all rows of y, and their sums over groups of samples."""
from libc.stdint cimport int32_t
from libc.string cimport memcpy, memset
cimport numpy as cnp

from npkernels._kernels.primitives cimport matrix, primitives, sample_groups
from npkernels._kernels.rows cimport LINE, pack_tiles, read_matrix, rows_from
from npkernels._kernels.runtime cimport (
    Team, cache_sizes, num_threads, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line, round_up

cnp.import_array()

cdef enum:
    LEAST_TILES = 4                          # of rows of x, against which a panel of rows of y is packed
    MOST_TILES = 64
    TASKS = 8                                # for each thread
    PACKED_TILES = 16                        # a task of packing

cdef struct Pairs:
    const primitives* table
    Py_ssize_t n, m, d, size
    int kind
    matrix x, y                              # (n, d), (m, d)
    char* out                                # (n, m)
    Py_ssize_t rows, parts                   # of x that a task has, and parts of the panels of y
    Team team
    char* zero                               # (d,)
    char* one                                # the scale
    size_t panel_bytes, packed_bytes, start_bytes
    # sums
    sample_groups groups
    double* homes                            # (n,) up to whole panels
    double* own                              # the same
    double* other


cdef int begin_pairs(Pairs* v, cnp.ndarray x, cnp.ndarray y) except -1:
    memset(v, 0, sizeof(Pairs))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size = v.table.itemsize
    v.n, v.d, v.m = x.shape[0], x.shape[1], y.shape[0]
    read_matrix(x, &v.x)
    read_matrix(y, &v.y)
    return 0


cdef inline Py_ssize_t panel_of(const Pairs* v) noexcept nogil:
    return v.table.lanes * v.table.tile.vectors


cdef void pack_panel(const Pairs* v, Py_ssize_t j, Py_ssize_t count, char* panel) noexcept nogil:
    cdef matrix y = rows_from(&v.y, j)
    v.table.neighbours.panel(count, v.d, &y, v.zero, v.one, panel)


cdef void run_distances(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Pairs* v = <const Pairs*>context
    cdef char* panel = slot_of(&v.team, slot)
    cdef char* packed = panel + v.panel_bytes
    cdef char* start = packed + v.packed_bytes
    cdef Py_ssize_t task, i, end, j, j1, columns, width = panel_of(v), panels = ceil_div(v.m, width)
    for task in range(first, last):
        i = task // v.parts * v.rows
        end = min(v.n, i + v.rows)
        pack_tiles(v.table, &v.x, i, end, v.d, v.zero, v.one, False, start + v.start_bytes, packed, start)
        j, j1 = panels * (task % v.parts) // v.parts * width, min(v.m, panels * (task % v.parts + 1) // v.parts * width)
        while j < j1:
            columns = min(width, j1 - j)
            pack_panel(v, j, columns, panel)
            v.table.pairwise.distances(end - i, columns, v.d, v.kind, packed, panel, v.out + (i * v.m + j) * v.size, v.m)
            j += columns


cdef int reserve(Pairs* v, double work, size_t shared, size_t packed, size_t rows) except -1 nogil:
    # `packed` rows of x in a slot, `rows` to copy. What is shared follows the zeros and the scale.
    cdef size_t zero = round_to_line(v.d * v.size)
    v.panel_bytes = round_to_line(panel_of(v) * v.d * v.size)
    v.packed_bytes = round_to_line(packed * v.d * v.size)
    v.start_bytes = round_to_line(packed * v.size)
    team_begin(&v.team, work, TASKS * num_threads(), zero + LINE + shared,
               v.panel_bytes + v.packed_bytes + v.start_bytes + round_to_line(rows * v.d * v.size))
    v.zero = v.team.shared
    v.one = v.zero + zero
    memset(v.zero, 0, zero)
    put(v.table, v.one, 0, 1)
    return 0


cdef inline double pairs_work(const Pairs* v) noexcept nogil:
    return work_of(v.table, 3.0 * v.n * v.m * (v.d + 4), v.n * v.m * v.size)


cdef int run_pairs(Pairs* v) except -1 nogil:
    cdef Py_ssize_t height = v.table.tile.rows, tiles, blocks, wanted = TASKS * num_threads()
    tiles = cache_sizes().l2 // 2 // (height * max(<Py_ssize_t>1, v.d) * v.size)
    tiles = min(max(<Py_ssize_t>LEAST_TILES, min(tiles, <Py_ssize_t>MOST_TILES)), ceil_div(v.n, height))
    v.rows = tiles * height
    blocks = ceil_div(v.n, v.rows)
    v.parts = max(<Py_ssize_t>1, min(ceil_div(wanted, blocks), ceil_div(v.m, panel_of(v))))
    reserve(v, pairs_work(v), 0, v.rows, height)
    team_run(&v.team, run_distances, v, blocks * v.parts, pairs_work(v))
    team_end()
    return 0


def distances(
    cnp.ndarray x,           # IN (n, d), n >= 1
    cnp.ndarray y,           # IN (m, d), m >= 1
    int kind,                # as in neighbours.h, but no INNER_PRODUCT
    cnp.ndarray out,         # OUT (n, m), C-contiguous
):
    cdef Pairs v
    begin_pairs(&v, x, y)
    v.kind, v.out = kind, <char*>cnp.PyArray_DATA(out)
    with nogil:
        run_pairs(&v)


cdef void pack_groups(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Pairs* v = <const Pairs*>context
    cdef Py_ssize_t height = v.table.tile.rows, i
    cdef char* start = slot_of(&v.team, slot) + v.panel_bytes
    cdef Py_ssize_t task
    for task in range(first, last):
        i = task * PACKED_TILES * height
        pack_tiles(v.table, &v.x, i, min(v.n, i + PACKED_TILES * height), v.d, v.zero, v.one, False,
                   start + v.start_bytes + v.packed_bytes, <char*>v.groups.packed + i * v.d * v.size, start)


cdef void run_sums(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Pairs* v = <const Pairs*>context
    cdef char* panel = slot_of(&v.team, slot)
    cdef Py_ssize_t task, i, count, width = panel_of(v)
    for task in range(first, last):
        i = task * width
        count = min(width, v.n - i)
        pack_panel(v, i, count, panel)
        v.table.pairwise.sums(&v.groups, ceil_div(count, v.table.lanes), panel, v.homes + i, v.own + i, v.other + i)


cdef int run_groups(Pairs* v, const char* weights, const int32_t* ends, const int32_t* homes, double* own,
                    double* other) except -1 nogil:
    cdef Py_ssize_t height = v.table.tile.rows, rows = round_up(v.n, height), i, whole = round_up(v.n, panel_of(v))
    cdef size_t packed = round_to_line(rows * v.d * v.size), weighed = round_to_line(rows * v.size)
    cdef size_t ended = round_to_line(rows * sizeof(int32_t)), doubles = round_to_line(whole * sizeof(double))
    cdef char* memory
    reserve(v, pairs_work(v), packed + weighed + ended + 3 * doubles, PACKED_TILES * height, height)
    memory = v.one + LINE
    v.groups.packed = memory
    memcpy(memory + packed, weights, <size_t>(v.n * v.size))
    memset(memory + packed + v.n * v.size, 0, <size_t>((rows - v.n) * v.size))
    v.groups.weights = memory + packed
    memcpy(memory + packed + weighed, ends, <size_t>v.n * sizeof(int32_t))
    memset(memory + packed + weighed + <size_t>v.n * sizeof(int32_t), 255, <size_t>(rows - v.n) * sizeof(int32_t))
    v.groups.ends = <const int32_t*>(memory + packed + weighed)
    v.homes = <double*>(memory + packed + weighed + ended)
    v.own, v.other = <double*>(<char*>v.homes + doubles), <double*>(<char*>v.homes + 2 * doubles)
    for i in range(whole):
        v.homes[i] = homes[i] if i < v.n else -1
    v.groups.tiles, v.groups.d = rows // height, v.d
    team_run(&v.team, pack_groups, v, ceil_div(v.groups.tiles, PACKED_TILES), work_of(v.table, 0, 4.0 * v.n * v.d * v.size))
    team_run(&v.team, run_sums, v, ceil_div(v.n, panel_of(v)), pairs_work(v))
    memcpy(own, v.own, <size_t>v.n * sizeof(double))
    memcpy(other, v.other, <size_t>v.n * sizeof(double))
    team_end()
    return 0


def sums(
    cnp.ndarray x,           # IN (n, d): samples group by group
    cnp.ndarray weights,     # IN (n,), C-contiguous
    cnp.ndarray ends,        # IN (n,) int32: the group that ends with this sample, or -1
    cnp.ndarray homes,       # IN (n,) int32: the group of a sample
    cnp.ndarray shares,      # IN float64: 1 / the weight of each group
    cnp.ndarray own,         # OUT (n,) float64: the weighted sums of the distances to samples of the own group
    cnp.ndarray other,       # OUT (n,) float64: the least weighted mean of the distances to those of another group
):
    cdef Pairs v
    begin_pairs(&v, x, x)
    v.groups.shares = <const double*>cnp.PyArray_DATA(shares)
    with nogil:
        run_groups(&v, <const char*>cnp.PyArray_DATA(weights), <const int32_t*>cnp.PyArray_DATA(ends),
                   <const int32_t*>cnp.PyArray_DATA(homes), <double*>cnp.PyArray_DATA(own), <double*>cnp.PyArray_DATA(other))
