"""The nearest rows of y for each row of x.

Rows of y are packed a block at a time, which stays in L3; then groups of samples search it, each in L2, with queues that
live from block to block. Few samples share out the tiles of a block, each part with queues of its own, which are merged at
the end. Where there are so many samples that their queues would take much memory, they come in batches, one after the
other. What is found depends on none of this: scores are single chains, and queues know the order of equal ones.
"""
from libc.math cimport frexp, isinf, isnan, ldexp
from libc.stdint cimport int32_t
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.primitives cimport COSINE_DISTANCE, INNER_PRODUCT, matrix, primitives
from npkernels._kernels.rows cimport LINE, contiguous_rows, pack_tiles, read_matrix, rows_from
from npkernels._kernels.runtime cimport (
    Team, cache_sizes, num_threads, primitives_for, slot_of, team_begin, team_end, team_run, work_of,
)
from npkernels._kernels.scalars cimport ceil_div, put, round_to_line

cnp.import_array()

cdef enum:
    BLOCK_BYTES = 4 << 20                    # of packed rows of y
    BLOCK_TILES = 32                         # the fewest in a block, if there are so many
    CHUNK_BYTES = 16 << 10                   # of packed rows that a panel goes through at a time, in L1
    GROUP_PANELS = 8                         # the most panels of samples in a group
    PACKED_TILES = 16                        # a task of packing
    QUEUE_BYTES = 64 << 20                   # of a batch
    MIDDLE_ROWS = 256                        # of y, whose middle is taken
    SURVEYED_ROWS = 256                      # a task
    TASKS = 16                               # for each thread
    SHORTEST = 8                             # queue
    SPARE = 3                                # in a queue: rounded scores may put near ones in another order

FOUND, NOT_FINITE, OVERFLOW, EXTREME = range(4)

cdef enum Outcome:
    AS_FOUND, AS_NOT_FINITE, AS_OVERFLOW, AS_EXTREME

cdef struct Search:
    const primitives* table
    Py_ssize_t n, m, d, k, size, length      # size of a number in bytes, length of a queue
    int kind
    matrix x, y                              # (n, d), (m, d)
    char* values                             # (n, k)
    int32_t* indices                         # (n, k)
    const matrix* surveyed
    Py_ssize_t surveyed_rows
    # Tiles of y and panels of x: in a block, in a group, in a batch; how many share a block
    Py_ssize_t block, tiles, first, group, batch, batch_first, batch_end, parts
    Team team
    char* middle
    char* scale
    char* packed
    char* start
    char* queues                             # of the batch: part by part, vector by vector
    size_t queue_bytes, panels_bytes
    bint begun


cdef inline Py_ssize_t panel_of(const Search* v) noexcept nogil:
    return v.table.lanes * v.table.tile.vectors


cdef void choose_blocks(Search* v) noexcept nogil:
    cdef Py_ssize_t height = v.table.tile.rows, panel = panel_of(v), panels, threads = num_threads()
    cdef Py_ssize_t bytes = v.d * v.size, all_tiles = ceil_div(v.m, height)
    v.length = SHORTEST
    while v.length < v.k + SPARE and v.length < v.m:
        v.length *= 2
    while v.length < v.k:
        v.length *= 2
    v.queue_bytes = round_to_line(v.table.neighbours.queue_reals(v.length) * v.size)
    v.block = min(all_tiles, max(<Py_ssize_t>BLOCK_TILES, BLOCK_BYTES // (height * bytes)))
    panels = min(ceil_div(v.n, panel), max(<Py_ssize_t>1, QUEUE_BYTES // <Py_ssize_t>(v.queue_bytes * v.table.tile.vectors)))
    v.batch = panels
    v.group = max(<Py_ssize_t>1, min(<Py_ssize_t>GROUP_PANELS, cache_sizes().l2 // 2 // (panel * bytes)))
    v.group = max(<Py_ssize_t>1, min(v.group, panels // (TASKS * threads)))
    v.parts = 1
    if threads > 1:
        v.parts = max(<Py_ssize_t>1, min(TASKS * threads // ceil_div(panels, v.group), v.block // BLOCK_TILES))


cdef int reserve(Search* v, double work) except -1 nogil:
    cdef size_t middle = round_to_line(v.d * v.size), height = v.table.tile.rows
    cdef size_t packed = round_to_line(v.block * height * v.d * v.size), start = round_to_line(v.block * height * v.size)
    cdef size_t queues = v.parts * v.batch * v.table.tile.vectors * v.queue_bytes
    cdef size_t rows = round_to_line(max(height, <size_t>2) * v.d * v.size)
    cdef size_t sample = round_to_line(min(<Py_ssize_t>MIDDLE_ROWS, v.m) * v.d * v.size)
    v.panels_bytes = round_to_line(v.group * panel_of(v) * v.d * v.size)
    team_begin(&v.team, work, TASKS * num_threads(), middle + LINE + max(packed + start + queues, sample),
               LINE + v.panels_bytes + rows)
    v.middle = v.team.shared
    v.scale = v.middle + middle
    v.packed = v.scale + LINE
    v.start = v.packed + packed
    v.queues = v.start + start
    return 0


cdef void survey(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # The largest deviation of a slot, NaN if there is one.
    cdef const Search* v = <const Search*>context
    cdef double* most = <double*>slot_of(&v.team, slot)
    cdef char* rows = slot_of(&v.team, slot) + LINE + v.panels_bytes
    cdef Py_ssize_t i = first * SURVEYED_ROWS, end = min(last * SURVEYED_ROWS, v.surveyed_rows), count, row
    cdef Py_ssize_t step = SURVEYED_ROWS if v.surveyed.column == v.size else v.table.tile.rows
    cdef const char* x
    cdef double found
    while i < end:
        count = min(step, end - i)
        x = contiguous_rows(v.table, v.surveyed, i, count, v.d, rows, &row)
        found = v.table.neighbours.deviation(count, v.d, x, row, v.middle)
        if found > most[0] or isnan(found):
            most[0] = found
        i += count


cdef double largest_deviation(Search* v, const matrix* x, Py_ssize_t n) noexcept nogil:
    cdef double largest = 0, found
    cdef int slot
    v.surveyed, v.surveyed_rows = x, n
    for slot in range(v.team.threads):
        (<double*>slot_of(&v.team, slot))[0] = 0
    team_run(&v.team, survey, v, ceil_div(n, SURVEYED_ROWS), work_of(v.table, 4.0 * n * v.d, n * v.d * v.size))
    for slot in range(v.team.threads):
        found = (<double*>slot_of(&v.team, slot))[0]
        if isnan(found):
            return found                     # which no comparison would keep
        largest = max(largest, found)
    return largest


cdef Outcome centre(Search* v) noexcept nogil:
    # Chooses m and the scale; whether scores may be computed.
    cdef int most = 126 if v.size == sizeof(float) else 1022     # 2^most and its inverse are normal
    cdef Py_ssize_t rows = min(<Py_ssize_t>MIDDLE_ROWS, v.m), i
    cdef double spread = ldexp(1, most), reach
    cdef int exponent
    if v.kind != INNER_PRODUCT and v.kind != COSINE_DISTANCE:
        for i in range(rows):
            v.table.pack.rows(1, v.d, v.y.data + v.m * i // rows * v.y.row, v.y.row, v.y.column,
                              v.packed + i * v.d * v.size)
        v.table.neighbours.middle(rows, v.d, v.packed, v.middle)
        spread = largest_deviation(v, &v.y, v.m)
    if spread >= ldexp(1, most):             # y - m might overflow, or m is 0: no offset can matter
        memset(v.middle, 0, <size_t>(v.d * v.size))
        spread = largest_deviation(v, &v.y, v.m)
    if isnan(spread):
        return AS_NOT_FINITE
    reach = largest_deviation(v, &v.x, v.n)
    if isnan(reach):
        return AS_NOT_FINITE
    frexp(spread, &exponent)
    exponent = max(-most, min(exponent, most))
    put(v.table, v.scale, 0, ldexp(1, -exponent))
    # |x - m| |y - m| d with both scaled must be far below the largest number
    if isinf(reach) or ldexp(reach, -exponent) >= ldexp(1, most - 4) / <double>v.d:
        return AS_OVERFLOW
    if exponent > most // 2 - 8 or exponent < -most // 4:    # squares of differences would overflow or vanish
        return AS_EXTREME
    return AS_FOUND


cdef void pack_block(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Tasks of PACKED_TILES of the tiles from v.first on.
    cdef const Search* v = <const Search*>context
    cdef Py_ssize_t height = v.table.tile.rows, q = first * PACKED_TILES, end = min(last * PACKED_TILES, v.tiles)
    pack_tiles(v.table, &v.y, (v.first + q) * height, min(v.m, (v.first + end) * height), v.d, v.middle, v.scale,
               v.kind != INNER_PRODUCT and v.kind != COSINE_DISTANCE, slot_of(&v.team, slot) + LINE + v.panels_bytes,
               v.packed + q * height * v.d * v.size, v.start + q * height * v.size)


cdef inline char* queues_of(const Search* v, Py_ssize_t part, Py_ssize_t vector) noexcept nogil:
    return v.queues + (part * v.batch * v.table.tile.vectors + vector) * v.queue_bytes


cdef void search_part(const Search* v, Py_ssize_t group, Py_ssize_t part, char* panels) noexcept nogil:
    # A group of samples against a part of the block.
    cdef Py_ssize_t width = panel_of(v), vectors = v.table.tile.vectors, height = v.table.tile.rows, bytes = v.d * v.size
    cdef Py_ssize_t first = group * v.group, end = min(first + v.group, ceil_div(v.batch_end - v.batch_first, width)), i, g
    cdef Py_ssize_t q = v.tiles * part // v.parts, last = v.tiles * (part + 1) // v.parts, count, vector
    cdef Py_ssize_t step = max(<Py_ssize_t>1, CHUNK_BYTES // (height * bytes)), tiles
    cdef matrix x
    for g in range(first, end):
        i = v.batch_first + g * width
        x = rows_from(&v.x, i)
        v.table.neighbours.panel(min(width, v.batch_end - i), v.d, &x, v.middle, v.scale, panels + (g - first) * width * bytes)
    if not v.begun:
        for vector in range(first * vectors, end * vectors):
            v.table.neighbours.begin(v.length, queues_of(v, part, vector))
    while q < last:
        tiles = min(step, last - q)
        for g in range(first, end):
            count = ceil_div(min(width, v.batch_end - v.batch_first - g * width), v.table.lanes)
            v.table.neighbours.search(
                tiles, v.d, (v.first + q) * height, v.packed + q * height * bytes, v.start + q * height * v.size, count,
                panels + (g - first) * width * bytes, v.length, queues_of(v, part, g * vectors))
        q += tiles


cdef void search_block(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Search* v = <const Search*>context
    cdef Py_ssize_t task
    for task in range(first, last):
        search_part(v, task // v.parts, task % v.parts, slot_of(&v.team, slot) + LINE)


cdef void finish_vectors(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Search* v = <const Search*>context
    cdef Py_ssize_t vector, part, i, lanes = v.table.lanes
    cdef matrix x
    for vector in range(first, last):
        for part in range(1, v.parts):
            v.table.neighbours.merge(v.length, queues_of(v, 0, vector), queues_of(v, part, vector))
        i = v.batch_first + vector * lanes
        x = rows_from(&v.x, i)
        v.table.neighbours.finish(
            min(lanes, v.batch_end - i), v.d, v.k, v.kind, &x, &v.y, slot_of(&v.team, slot) + LINE + v.panels_bytes, v.length,
            queues_of(v, 0, vector), v.values + i * v.k * v.size, v.indices + i * v.k)


cdef void search_batch(Search* v, double work) noexcept nogil:
    # Samples batch_first to batch_end.
    cdef Py_ssize_t height = v.table.tile.rows, all_tiles = ceil_div(v.m, height), count = v.batch_end - v.batch_first
    cdef double share
    v.begun, v.first = False, 0
    while v.first < all_tiles:
        v.tiles = min(v.block, all_tiles - v.first)
        share = <double>v.tiles / <double>all_tiles
        team_run(&v.team, pack_block, v, ceil_div(v.tiles, PACKED_TILES),
                 work_of(v.table, 0, 4.0 * v.tiles * height * v.d * v.size))
        team_run(&v.team, search_block, v, ceil_div(count, v.group * panel_of(v)) * v.parts, work * share)
        v.begun = True
        v.first += v.tiles
    team_run(&v.team, finish_vectors, v, ceil_div(count, v.table.lanes),
             work_of(v.table, 0, 4.0 * count * v.length * (v.d + 16) * v.size))


cdef int run_search(Search* v) except -1 nogil:
    cdef double work
    cdef Outcome outcome
    choose_blocks(v)
    work = work_of(v.table, 2.0 * v.n * (v.d + 4) * (v.m + 8), v.m * v.d * v.size)
    reserve(v, work)
    outcome = centre(v)
    if outcome == AS_FOUND:
        v.batch_first = 0
        while v.batch_first < v.n:
            v.batch_end = min(v.n, v.batch_first + v.batch * panel_of(v))
            search_batch(v, work * <double>(v.batch_end - v.batch_first) / <double>v.n)
            v.batch_first = v.batch_end
    team_end()
    return outcome


def search(
    cnp.ndarray x,           # IN (n, d), n >= 1
    cnp.ndarray y,           # IN (m, d)
    int kind,                # as in neighbours.h
    cnp.ndarray values,      # OUT (n, k), C-contiguous, 1 <= k <= m
    cnp.ndarray indices,     # OUT (n, k) int32, C-contiguous
):
    """FOUND; or NOT_FINITE where an input is not, OVERFLOW where scores of a row of x might, EXTREME where squares of the
    differences of y overflow or vanish: then nothing has been written."""
    cdef Search v
    cdef int outcome
    memset(&v, 0, sizeof(Search))
    v.table = primitives_for(cnp.PyArray_TYPE(x))
    v.size, v.kind = v.table.itemsize, kind
    v.n, v.d, v.m, v.k = x.shape[0], x.shape[1], y.shape[0], values.shape[1]
    read_matrix(x, &v.x)
    read_matrix(y, &v.y)
    v.values, v.indices = <char*>cnp.PyArray_DATA(values), <int32_t*>cnp.PyArray_DATA(indices)
    with nogil:
        outcome = run_search(&v)
    return outcome
