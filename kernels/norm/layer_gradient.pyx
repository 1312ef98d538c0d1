"""The gradients of layer_norm, rms_norm, and group_norm where planes are a few elements (norm_rows.pxd).

dgamma and dbeta sum blocks of samples, and these in double precision. All blocks depend on the shape alone.

    samples  | block 0 | dgamma, dbeta of the block, in the number type where it has few samples,
             | block 1 | else in double precision over sums of SHORT_ROWS
             | ...     | then columns of all blocks together: a piece of dgamma or dbeta is a task

    few, so that there is one block:
             | piece 0 | piece 1 | ...  of columns; each is a task, which adds the terms of all samples, and
             |         |         |      leaves what its piece of a row adds to the two sums of that row
"""
from libc.math cimport INFINITY
from libc.string cimport memset
cimport numpy as cnp

from npkernels._kernels.norm_rows cimport Norm, begin_norm, data_of, read, row_moments
from npkernels._kernels.runtime cimport slot_of, team_begin, team_end, team_run, work_of
from npkernels._kernels.scalars cimport ceil_div, real_at, round_to_line
from npkernels._kernels.strided cimport merge_array
from npkernels._kernels.units cimport large_unit, root_in, scale_to

cnp.import_array()

cdef enum:
    ROW_PIECE = 2048         # elements of a row whose sums are taken in the number type: a task where samples are few
    SHORT_ROWS = 64          # samples whose dgamma and dbeta are: the length of their chains, not a speed
    MOST_BLOCKS = 64         # of samples: tasks of as many threads, and a bound of the memory of their sums; not fitted
    BLOCK_ELEMENTS = 1 << 14    # of a block of samples, at least: 2 to 4 us, which an awake thread is worth (worth.c)
    LEAST_ROWS = 8           # of a block: its sums, two numbers a column, are a quarter of it then; not fitted
    PIECE = 512              # of dgamma and dbeta


cdef inline void given(const Norm* norm, Py_ssize_t row, double* mean, double* variance) noexcept nogil:
    mean[0] = 0 if norm.mean == NULL else real_at(norm.table, norm.mean, row)
    variance[0] = real_at(norm.table, norm.variance, row)


cdef inline void add_piece(const Norm* norm, Py_ssize_t column, Py_ssize_t count, const char* dy, const char* x, double mean,
                           double scale, double* sums, char* dgamma, char* dbeta) noexcept nogil:
    # A piece of a row, from an element of gamma on
    cdef Py_ssize_t at = column * norm.table.itemsize
    norm.table.row_norm.row_gradient_sums(count, dy, x, norm.gamma + at, mean, scale, sums, dgamma + at,
                                          NULL if dbeta == NULL else dbeta + at)


cdef void backward_row(const Norm* norm, Py_ssize_t row, char* buffer, char* dgamma, char* dbeta) noexcept nogil:
    # With t = (x - mean) scale and g = dy gamma: dx = scale (g - mean(g) - t mean(g t)). Ba, Kiros, Hinton, "Layer
    # normalization", 2016. Without a mean of x there is none of g: Zhang, Sennrich, "Root mean square layer
    # normalization", 2019.
    # A variance that is infinite left the dtype and is taken anew.
    cdef double mean, variance, unit = 1, scale
    cdef double sums[2]
    cdef Py_ssize_t first = 0, count, size = norm.table.itemsize, column = row % norm.groups * norm.d
    cdef const char* x = read(norm, &norm.x, row * norm.d, norm.d, buffer)
    cdef const char* dy = read(norm, &norm.dy, row * norm.d, norm.d, buffer + norm.row_bytes)
    cdef char* dx = norm.y + row * norm.d * size
    given(norm, row, &mean, &variance)
    if variance == INFINITY:
        unit = large_unit(norm.table)
        x = scale_to(norm.table, x, norm.d, unit, buffer)
        row_moments(norm, x, &mean, &variance)
    scale = 1 / root_in(unit, variance, norm.eps)
    sums[0] = sums[1] = 0
    while first < norm.d:
        count = min(norm.d - first, <Py_ssize_t>ROW_PIECE)
        add_piece(norm, column + first, count, dy + first * size, x + first * size, mean, scale, sums, dgamma, dbeta)
        first += count
    norm.table.row_norm.row_gradient(norm.d, dy, x, norm.gamma + column * size, mean, scale, sums[0] / norm.d,
                                     sums[1] / norm.d, dx)
    if unit != 1:
        norm.table.optim.scale(norm.d, dx, unit)


cdef void backward_samples(const Norm* norm, Py_ssize_t first, Py_ssize_t last, char* buffer, char* dgamma,
                           char* dbeta) noexcept nogil:
    cdef size_t bytes = <size_t>(norm.groups * norm.d * norm.table.itemsize)
    cdef Py_ssize_t row
    memset(dgamma, 0, bytes)
    if dbeta != NULL:
        memset(dbeta, 0, bytes)
    for row in range(first * norm.groups, last * norm.groups):
        backward_row(norm, row, buffer, dgamma, dbeta)


cdef void backward_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef char* dgamma = norm.dgamma
    cdef char* dbeta = norm.dbeta
    cdef char* sums
    cdef Py_ssize_t block, start, end
    for block in range(first, last):
        sums = norm.sums + 2 * <size_t>block * norm.sum_bytes
        if norm.wide:
            memset(sums, 0, 2 * norm.sum_bytes)
        if norm.wide or norm.blocks > 1:           # else these are the results
            dgamma = buffer + 2 * norm.row_bytes if norm.wide else sums
            dbeta = dgamma + norm.width_bytes if norm.dbeta != NULL else NULL
        start, end = block * norm.samples // norm.blocks, (block + 1) * norm.samples // norm.blocks
        while start < end:
            backward_samples(norm, start, min(start + SHORT_ROWS, end), buffer, dgamma, dbeta)
            if norm.wide:
                norm.table.rows.add_to_doubles(norm.groups * norm.d, dgamma, <double*>sums)
                if dbeta != NULL:
                    norm.table.rows.add_to_doubles(norm.groups * norm.d, dbeta, <double*>(sums + norm.sum_bytes))
            start += SHORT_ROWS


cdef void add_blocks(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Pieces of dgamma, and then those of dbeta.
    cdef const Norm* norm = <const Norm*>context
    cdef double totals[PIECE]
    cdef const char* sums
    cdef Py_ssize_t task, start, count, block, i, width = norm.groups * norm.d, pieces = ceil_div(width, PIECE)
    for task in range(first, last):
        start = task % pieces * PIECE
        count = min(width - start, <Py_ssize_t>PIECE)
        memset(totals, 0, sizeof(totals))
        for block in range(norm.blocks):
            sums = norm.sums + <size_t>(2 * block + task // pieces) * norm.sum_bytes
            if norm.wide:
                for i in range(count):
                    totals[i] += (<const double*>sums)[start + i]
            else:
                norm.table.rows.add_to_doubles(count, sums + start * norm.table.itemsize, totals)
        norm.table.rows.narrow(count, totals, (norm.dbeta if task >= pieces else norm.dgamma) + start * norm.table.itemsize)


cdef void sum_pieces(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # Of few samples: pieces of dgamma and dbeta, and of the sums of rows.
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, sample, row, column, start, count
    cdef const char* x
    cdef const char* dy
    cdef double mean, variance
    cdef double* sums
    for task in range(first, last):
        start = task % norm.pieces * ROW_PIECE
        count, column = min(norm.d - start, <Py_ssize_t>ROW_PIECE), task // norm.pieces * norm.d + start
        memset(norm.dgamma + column * norm.table.itemsize, 0, <size_t>(count * norm.table.itemsize))
        if norm.dbeta != NULL:
            memset(norm.dbeta + column * norm.table.itemsize, 0, <size_t>(count * norm.table.itemsize))
        for sample in range(norm.samples):
            row = sample * norm.groups + task // norm.pieces
            x = read(norm, &norm.x, row * norm.d + start, count, buffer)
            dy = read(norm, &norm.dy, row * norm.d + start, count, buffer + ROW_PIECE * norm.table.itemsize)
            given(norm, row, &mean, &variance)
            sums = norm.row_sums + 2 * (row * norm.pieces + task % norm.pieces)
            sums[0] = sums[1] = 0
            add_piece(norm, column, count, dy, x, mean, 1 / root_in(1, variance, norm.eps), sums, norm.dgamma, norm.dbeta)


cdef void map_pieces(void* context, Py_ssize_t first, Py_ssize_t last, int slot) noexcept nogil:
    # dx of pieces of rows, in the order of memory
    cdef const Norm* norm = <const Norm*>context
    cdef char* buffer = slot_of(&norm.team, slot)
    cdef Py_ssize_t task, row, start, count, size = norm.table.itemsize
    cdef const char* x
    cdef const char* dy
    cdef double mean, variance
    cdef double* sums
    for task in range(first, last):
        row, start = task // norm.pieces, task % norm.pieces * ROW_PIECE
        count = min(norm.d - start, <Py_ssize_t>ROW_PIECE)
        x = read(norm, &norm.x, row * norm.d + start, count, buffer)
        dy = read(norm, &norm.dy, row * norm.d + start, count, buffer + ROW_PIECE * size)
        given(norm, row, &mean, &variance)
        sums = norm.row_sums + 2 * row * norm.pieces
        norm.table.row_norm.row_gradient(count, dy, x, norm.gamma + (row % norm.groups * norm.d + start) * size, mean,
                                         1 / root_in(1, variance, norm.eps), sums[0] / norm.d, sums[1] / norm.d,
                                         norm.y + (row * norm.d + start) * size)


cdef void few_samples(Norm* norm) noexcept nogil:
    # The same sums in the same order as backward_row takes.
    cdef Py_ssize_t row, piece, rows = norm.samples * norm.groups
    cdef double* sums
    team_run(&norm.team, sum_pieces, norm, norm.groups * norm.pieces, norm.work)
    for row in range(rows):
        sums = norm.row_sums + 2 * row * norm.pieces
        for piece in range(1, norm.pieces):
            sums[0] += sums[2 * piece]
            sums[1] += sums[2 * piece + 1]
    team_run(&norm.team, map_pieces, norm, rows * norm.pieces, norm.work)


cdef bint is_ordinary(const Norm* norm) noexcept nogil:
    # Is no variance to be taken anew?
    cdef Py_ssize_t row
    for row in range(norm.samples * norm.groups):
        if real_at(norm.table, norm.variance, row) == INFINITY:
            return False
    return True


cdef Py_ssize_t block_count(Py_ssize_t samples, Py_ssize_t width) noexcept nogil:
    # Enough for the threads of most machines, each worth a task.
    cdef Py_ssize_t count = min(samples // LEAST_ROWS, min(<Py_ssize_t>MOST_BLOCKS, samples * width // BLOCK_ELEMENTS))
    return max(<Py_ssize_t>1, count) if samples > 0 else 0


cdef int gradients(Norm* norm) except -1 nogil:
    cdef double work
    cdef size_t shared, slot
    cdef bint few
    cdef Py_ssize_t width = norm.groups * norm.d
    norm.blocks = block_count(norm.samples, width)
    norm.wide = norm.samples > norm.blocks * SHORT_ROWS
    few = norm.blocks == 1 and not norm.wide
    norm.pieces = ceil_div(norm.d, ROW_PIECE)
    norm.sum_bytes = round_to_line(<size_t>width * sizeof(double)) if norm.wide else norm.width_bytes
    shared = 2 * <size_t>norm.blocks * norm.sum_bytes
    if few:
        shared = 2 * <size_t>(norm.samples * norm.groups * norm.pieces) * sizeof(double)
    slot = 2 * norm.row_bytes + (2 * norm.width_bytes if norm.wide else 0)
    if few:
        slot = max(slot, 2 * ROW_PIECE * <size_t>norm.table.itemsize)
    team_begin(&norm.team, norm.work, norm.groups * norm.pieces if few else norm.blocks, shared, slot)
    norm.sums, norm.row_sums = norm.team.shared, <double*>norm.team.shared
    if few and norm.team.threads > 1 and is_ordinary(norm):
        few_samples(norm)
    else:
        team_run(&norm.team, backward_blocks, norm, norm.blocks, norm.work)
    if not few:
        work = work_of(norm.table, 0, 4. * norm.blocks * norm.sum_bytes)
        team_run(&norm.team, add_blocks, norm, ceil_div(width, PIECE) * (1 if norm.dbeta == NULL else 2), work)
    team_end()
    return 0


def backward(
    cnp.ndarray dy,            # IN (samples, groups, d) by any axes; with one group: (..., d)
    cnp.ndarray x,             # IN the same shape
    cnp.ndarray gamma,         # IN (groups, d), C-contiguous
    Py_ssize_t groups,
    object mean,               # IN (samples, groups), C-contiguous, or None
    cnp.ndarray variance,      # IN (samples, groups), C-contiguous, or the mean square
    double eps,
    cnp.ndarray dx,            # OUT shape of x, C-contiguous
    cnp.ndarray dgamma,        # OUT (groups, d), C-contiguous
    object dbeta,              # OUT the same, or None
):
    cdef Norm norm
    begin_norm(&norm, x, gamma, groups, eps, dx, mean, variance)
    merge_array(&norm.dy, dy)
    norm.dgamma, norm.dbeta = <char*>cnp.PyArray_DATA(dgamma), data_of(dbeta)
    if norm.d == 0:
        return
    with nogil:
        gradients(&norm)
